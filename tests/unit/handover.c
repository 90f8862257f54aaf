/* SPDX-License-Identifier: MIT */
/*
 * handover - does all that a worker has go to the others, in its order?
 */
#include <string.h>

#include "sched/handover.h"
#include "sched/worker.h"
#include "tests/check.h"

#define N 2000

static struct crew crew;
static struct worker *worker;
static struct task_class class = {.xmean_ns = 100};
static struct task tasks[N];

/* A crew without threads; the second worker sleeps. */
static void begin(void)
{
	const struct crew_options options = {
		.n_workers = 2,
		.unbound = true,
		.topology = "core:2 pu:1",
		.stack_size = 65536,
		.worker_size = sizeof(struct worker),
	};

	cr_assert_eq(crew_init(&crew, &options), 0);
	worker = crew.workers[0];
	idle_enter(&crew.idle, 1, false);
	for (unsigned i = 0; i < N; i++)
		tasks[i] = (struct task){.class = &class};
}

static void end(void)
{
	crew_fini(&crew);
}

/* These are in the shared list, in this order, and nothing else. */
static void expect_injected(unsigned n)
{
	struct task *first;

	cr_assert_eq(inject_length(&crew.nodes.of[0]->inject), n);
	cr_assert_eq(inject_take(&crew.nodes.of[0]->inject, N, &first), n);
	for (unsigned i = 0; i < n; i++, first = first->next)
		cr_assert_eq(first, &tasks[i], "task %td instead of %u",
			     first - tasks, i);
	cr_assert_null(first);
}

/* The worker has nothing any more. */
static void expect_empty(void)
{
	cr_assert_eq(AO_load(&worker->xnext), 0);
	cr_assert_eq(worker_backlog(worker), 0);
	cr_assert_eq(nest_length(&worker->nest), 0);
}

Test(handover, nothing_is_nothing, .init = begin, .fini = end)
{
	cr_assert_eq(handover(worker), 0);
	cr_assert_eq(inject_length(&crew.nodes.of[0]->inject), 0);
	cr_assert_eq(crew.idle.n_sleepers, 1);
}

Test(handover, one_task_wherever_it_is, .init = begin, .fini = end)
{
	for (int where = 0; where < 4; where++) {
		if (where == 0)
			AO_store(&worker->xnext, (AO_t)&tasks[0]);
		else if (where == 1)
			queue_push(&worker->queue, &tasks[0]);
		else if (where == 2)
			spill_push(&worker->spill, &tasks[0], 1);
		else
			nest_push(&worker->nest, &tasks[0], 1);
		cr_assert_eq(handover(worker), 1, "%d", where);
		expect_injected(1);
		expect_empty();
	}
}

Test(handover, all_in_their_order, .init = begin, .fini = end)
{
	unsigned n = 0;

	AO_store(&worker->xnext, (AO_t)&tasks[n++]);
	while (queue_push(&worker->queue, &tasks[n]))
		n++;
	while (n < N - 100)
		spill_push(&worker->spill, &tasks[n++], 1);
	while (n < N)
		cr_assert(nest_push(&worker->nest, &tasks[n++], 1));
	cr_assert_eq(handover(worker), N);
	expect_injected(N);
	expect_empty();
}

Test(handover, somebody_is_woken_for_it, .init = begin, .fini = end)
{
	queue_push(&worker->queue, &tasks[0]);
	handover(worker);
	cr_assert_eq(crew.idle.n_sleepers, 0);
}

/* What others are faster to take is theirs. */
Test(handover, goes_together_with_thieves, .init = begin, .fini = end)
{
	struct task *stolen;
	uint32_t n_moved;

	for (unsigned i = 0; i < 4; i++)
		queue_push(&worker->queue, &tasks[(i + 2) % 4]);
	cr_assert_eq(queue_steal(&worker->queue, &crew.workers[1]->queue,
				 &stolen, &n_moved),
		     QUEUE_STOLEN);
	cr_assert_eq(n_moved, 2);
	cr_assert_eq(handover(worker), 2);
	expect_injected(2);
}
