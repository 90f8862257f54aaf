/* SPDX-License-Identifier: MIT */
/*
 * handover - gives away all tasks that a worker has
 *
 * Thieves may be at it too: what they are faster to take is not ours to give.
 * The owner takes from its own queues as it always does, so nothing here is new
 * to them. Tasks that the running one has forked go as if they were stolen.
 */
#include "sched/handover.h"

#include <stddef.h>

#include "sched/worker.h"

struct bundle {
	struct task *first; /* NULL: empty */
	struct task *last;
	unsigned n;
};

static void add(struct bundle *bundle, struct task *task)
{
	task->next = NULL;
	if (bundle->last)
		bundle->last->next = task;
	else
		bundle->first = task;
	bundle->last = task;
	bundle->n++;
}

static void add_next(struct worker *worker, struct bundle *bundle)
{
	AO_t was = worker_enter_hand(worker);
	struct task *task;

	/* Relaxed: [H1] orders. */
	task = (struct task *)AO_load(&worker->xnext);
	/* Relaxed: as above. */
	AO_store(&worker->xnext, 0);
	worker_leave_hand(worker, was);
	if (task)
		add(bundle, task);
}

static void add_chain(struct bundle *bundle, struct task *task)
{
	struct task *next;

	for (; task; task = next) {
		next = task->next;
		add(bundle, task);
	}
}

/* A worker's spill may be long: cut so that its lock is not held for long. */
#define PORTION 1024

static void add_spilled(struct worker *worker, struct bundle *bundle)
{
	struct task *first;

	while (spill_take(&worker->spill, PORTION, true, &first) > 0)
		add_chain(bundle, first);
}

/* They come newest first; the oldest stand for the largest trees. */
static void add_forked(struct worker *worker, struct bundle *bundle)
{
	struct task *task, *chain = NULL;

	while ((task = nest_take(&worker->nest, 0))) {
		task->next = chain;
		chain = task;
	}
	add_chain(bundle, chain);
}

unsigned handover(struct worker *worker)
{
	struct crew *crew = worker->crew;
	struct bundle bundle = {NULL, NULL, 0};
	struct task *task;

	add_next(worker, &bundle);
	while ((task = queue_pop(&worker->queue)))
		add(&bundle, task);
	add_spilled(worker, &bundle);
	add_forked(worker, &bundle);
	if (bundle.n == 0)
		return 0;
	inject_push(&crew->nodes.of[worker_node(worker)]->inject, bundle.first,
		    bundle.last, bundle.n);
	crew_wake_one(crew, worker, false);
	return bundle.n;
}
