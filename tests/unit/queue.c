/* SPDX-License-Identifier: MIT */
/*
 * queue - does the ring give each task to one taker, in order?
 *
 * One thread plays owner and thieves by turns; a thief in the middle of its
 * work is played by setting the counters as it would have left them. Each test
 * runs with counters that start at 0 and with ones that are about to wrap.
 */
#include <stdlib.h>
#include <string.h>

#include "sched/queue.h"
#include "tests/check.h"

#define N QUEUE_CAPACITY
#define HALF (QUEUE_CAPACITY / 2)

static struct queue queue;
static struct queue own;
static struct task tasks[4 * N];

static const uint32_t starts[] = {0, 1, UINT32_MAX - HALF, UINT32_MAX};

#define FOR_EACH_START(at) \
	for (const uint32_t *at = starts; at < starts + 4; at++)

static AO_t pack(uint32_t steal, uint32_t real)
{
	return (AO_t)steal << 32 | real;
}

static void begin_at(uint32_t counter)
{
	queue_init(&queue);
	queue_init(&own);
	queue.xhead = pack(counter, counter);
	queue.xtail = counter;
	own.xhead = pack(counter + 7, counter + 7);
	own.xtail = (uint32_t)(counter + 7);
}

static uint32_t real_of(const struct queue *ring)
{
	return (uint32_t)ring->xhead;
}

static uint32_t steal_of(const struct queue *ring)
{
	return (uint32_t)(ring->xhead >> 32);
}

/* Push tasks[first] ... tasks[first + n - 1]. */
static void push(struct queue *ring, unsigned first, unsigned n)
{
	for (unsigned i = first; i < first + n; i++)
		cr_assert(queue_push(ring, &tasks[i]), "%u", i);
}

/* The next n tasks are tasks[first] ... */
static void expect_pops(struct queue *ring, unsigned first, unsigned n)
{
	for (unsigned i = first; i < first + n; i++)
		cr_assert_eq(queue_pop(ring), &tasks[i], "%u", i);
}

static void expect_empty(struct queue *ring)
{
	cr_assert_eq(queue_length(ring), 0);
	cr_assert_null(queue_pop(ring));
	cr_assert_eq(steal_of(ring), real_of(ring));
}

/* A thief has claimed n tasks and has not copied them yet. */
static void claim(struct queue *ring, uint32_t n)
{
	ring->xhead = pack(steal_of(ring), real_of(ring) + n);
}

Test(queue, starts_empty)
{
	memset(&queue, 0xff, sizeof(queue));
	queue_init(&queue);
	expect_empty(&queue);
}

Test(queue, gives_tasks_in_the_order_they_came)
{
	FOR_EACH_START(at)
	{
		begin_at(*at);
		for (unsigned i = 0; i < 3 * N; i += 3) {
			push(&queue, i, 3);
			expect_pops(&queue, i, 3);
		}
		push(&queue, 0, N);
		expect_pops(&queue, 0, N);
		expect_empty(&queue);
	}
}

Test(queue, length_counts_what_is_there)
{
	FOR_EACH_START(at)
	{
		begin_at(*at);
		for (unsigned i = 0; i < N; i++) {
			cr_assert_eq(queue_length(&queue), i);
			push(&queue, i, 1);
		}
		for (unsigned i = N; i > 0; i--) {
			cr_assert_eq(queue_length(&queue), i);
			queue_pop(&queue);
		}
		cr_assert_eq(queue_length(&queue), 0);
	}
}

Test(queue, takes_its_capacity_and_no_more)
{
	FOR_EACH_START(at)
	{
		begin_at(*at);
		push(&queue, 0, N);
		cr_assert_not(queue_push(&queue, &tasks[N]));
		cr_assert_eq(queue_length(&queue), N);
		expect_pops(&queue, 0, 1);
		push(&queue, N, 1);
		cr_assert_not(queue_push(&queue, &tasks[N + 1]));
		expect_pops(&queue, 1, N);
		expect_empty(&queue);
	}
}

/* ---- thieves ---- */

static void steal_from(unsigned length)
{
	unsigned half = length - length / 2;
	struct task *first = NULL;
	uint32_t n = 0;

	push(&queue, 0, length);
	cr_assert_eq(queue_steal(&queue, &own, &first, &n), QUEUE_STOLEN);
	cr_assert_eq(n, half);
	cr_assert_eq(first, &tasks[0]);
	cr_assert_eq(queue_length(&own), half - 1);
	cr_assert_eq(queue_length(&queue), length - half);
	cr_assert_eq(steal_of(&queue), real_of(&queue));
	expect_pops(&own, 1, half - 1);
	expect_empty(&own);
	expect_pops(&queue, half, length - half);
	expect_empty(&queue);
}

Test(queue, thief_gets_the_older_half)
{
	FOR_EACH_START(at)
	for (unsigned length = 1; length <= N; length++) {
		begin_at(*at);
		steal_from(length);
	}
}

Test(queue, stolen_tasks_go_behind_those_of_the_thief)
{
	struct task *first;
	uint32_t n;

	FOR_EACH_START(at)
	{
		begin_at(*at);
		push(&own, N, HALF);
		push(&queue, 0, N);
		cr_assert_eq(queue_steal(&queue, &own, &first, &n),
			     QUEUE_STOLEN);
		expect_pops(&own, N, HALF);
		expect_pops(&own, 1, HALF - 1);
		expect_empty(&own);
	}
}

Test(queue, nothing_to_steal_is_said)
{
	struct task *first;
	uint32_t n;

	FOR_EACH_START(at)
	{
		begin_at(*at);
		cr_assert_eq(queue_steal(&queue, &own, &first, &n),
			     QUEUE_EMPTY);
		push(&queue, 0, 1);
		queue_pop(&queue);
		cr_assert_eq(queue_steal(&queue, &own, &first, &n),
			     QUEUE_EMPTY);
		expect_empty(&own);
		expect_empty(&queue);
	}
}

Test(queue, one_thief_at_a_time)
{
	struct task *first;
	uint32_t n;
	AO_t head;

	FOR_EACH_START(at)
	{
		begin_at(*at);
		push(&queue, 0, N);
		claim(&queue, HALF);
		head = queue.xhead;
		cr_assert_eq(queue_steal(&queue, &own, &first, &n), QUEUE_LOST);
		cr_assert_eq(queue.xhead, head);
		expect_empty(&own);
		/* Also when the owner has taken all the rest. */
		expect_pops(&queue, HALF, N - HALF);
		cr_assert_eq(queue_steal(&queue, &own, &first, &n), QUEUE_LOST);
	}
}

Test(queue, owner_goes_on_while_a_thief_copies)
{
	FOR_EACH_START(at)
	{
		uint32_t steal;

		begin_at(*at);
		push(&queue, 0, HALF);
		steal = steal_of(&queue);
		claim(&queue, 2);
		expect_pops(&queue, 2, 1);
		cr_assert_eq(steal_of(&queue), steal);
		push(&queue, HALF, 2);
		expect_pops(&queue, 3, HALF - 1);
		cr_assert_null(queue_pop(&queue));
		cr_assert_eq(steal_of(&queue), steal);
	}
}

Test(queue, slots_that_a_thief_copies_are_not_overwritten)
{
	FOR_EACH_START(at)
	{
		uint32_t start;

		begin_at(*at);
		push(&queue, 0, N);
		start = real_of(&queue);
		claim(&queue, HALF);
		expect_pops(&queue, HALF, N - HALF);
		/* Empty for the owner, and yet there is no room. */
		cr_assert_eq(queue_length(&queue), 0);
		cr_assert_not(queue_push(&queue, &tasks[N]));
		for (uint32_t i = 0; i < HALF; i++)
			cr_assert_eq(queue.slot[(start + i) % N],
				     (AO_t)&tasks[i]);
	}
}

/*
 * A thief may be robbed itself: its ring is empty, but what was in it is being
 * copied by somebody who is slow. It must not put its prey on top.
 */
Test(queue, steal_leaves_slots_alone_that_another_thief_copies)
{
	struct task *first = NULL;
	uint32_t n = 0;

	FOR_EACH_START(at)
	{
		uint32_t start;
		unsigned taken;

		begin_at(*at);
		push(&own, 0, N);
		start = real_of(&own);
		claim(&own, HALF);
		expect_pops(&own, HALF, N - HALF);
		push(&queue, N, N);
		if (queue_steal(&queue, &own, &first, &n) != QUEUE_STOLEN)
			n = 0;
		for (uint32_t i = 0; i < HALF; i++)
			cr_assert_eq(own.slot[(start + i) % N],
				     (AO_t)&tasks[i]);
		/* What was not taken is still there. */
		taken = n;
		if (n > 0)
			expect_pops(&own, N + 1, n - 1);
		expect_pops(&queue, N + taken, N - taken);
	}
}

/* ---- overflow ---- */

/* ---- all together, against a model ---- */

struct model {
	struct task *task[N];
	unsigned n;
};

static struct task *model_pop(struct model *model)
{
	struct task *task = model->task[0];

	model->n--;
	memmove(model->task, model->task + 1, model->n * sizeof(task));
	return task;
}

static void model_steal(struct model *model, struct model *thief)
{
	unsigned n = model->n - model->n / 2;
	struct task *first;
	uint32_t n_moved;

	if (model->n == 0) {
		cr_assert_eq(queue_steal(&queue, &own, &first, &n_moved),
			     QUEUE_EMPTY);
		return;
	}
	cr_assert_eq(queue_steal(&queue, &own, &first, &n_moved), QUEUE_STOLEN);
	cr_assert_eq(n_moved, n);
	cr_assert_eq(first, model_pop(model));
	while (--n > 0)
		thief->task[thief->n++] = model_pop(model);
}

static void model_step(struct model *model, struct model *thief, int choice,
		       struct task *task)
{
	if (choice < 10) {
		cr_assert_eq(queue_push(&queue, task), model->n < N);
		if (model->n < N)
			model->task[model->n++] = task;
	} else if (choice < 18) {
		cr_assert_eq(queue_pop(&queue),
			     model->n ? model_pop(model) : NULL);
	} else if (choice == 18 && thief->n == 0) {
		model_steal(model, thief);
	}
	if (thief->n > 0)
		cr_assert_eq(queue_pop(&own), model_pop(thief));
}

Test(queue, does_as_a_list_would)
{
	static struct model model, thief;

	srand(1);
	FOR_EACH_START(at)
	{
		begin_at(*at);
		model.n = thief.n = 0;
		for (unsigned i = 0; i < 100000; i++) {
			/* Filling and emptying take turns. */
			int choice = rand() % 20;

			if (i / 2000 % 2 && choice < 6)
				choice += 10;
			model_step(&model, &thief, choice, &tasks[i % (4 * N)]);
		}
	}
}
