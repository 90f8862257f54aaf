/* SPDX-License-Identifier: MIT */
/*
 * task - what a worker runs
 *
 * A task belongs to whoever made it; the scheduler links it and calls its
 * class. It is in one queue at most, and its maker sees to that.
 */
#ifndef ROTA_SCHED_TASK_H
#define ROTA_SCHED_TASK_H

#include <stdbool.h>
#include <stdint.h>
#include <atomic_ops.h>

struct worker;
struct task;

/*
 * What tasks of one kind share. The mean is what the price of moving is
 * computed from; 0 means that none was timed yet. Tasks that are run by one
 * worker only, see home.h, have TASK_HOME_NS there. Outlives its tasks.
 */
struct task_class {
	void (*run)(struct task *task, struct worker *worker);
	/* Has it never run? Asked before it runs. NULL: it counts as if it had;
	   see spill.c. */
	bool (*is_fresh)(const struct task *task);
	AO_t xmean_ns; /* written by any worker that timed one, read by all; an
	                  estimate: relaxed, and a lost update does not matter */
	struct worker *home; /* constant; NULL: any worker's. Then the mean is
	                        TASK_HOME_NS, and only then */
};

struct task {
	struct task *next; /* the queue's, while it is in one */
	union {
		struct task_class *class;
		AO_t xclass; /* the same, for who looks at a task that may be
		                freed meanwhile: written as one word, also by
		                whoever uses the memory next */
	};
};

/* A class that was never timed counts as this much: it spreads at once. */
#define TASK_UNKNOWN_NS 50000

/* More than any task takes: so a look at what it is expected to take, which is
   due anyhow, finds out those that have a home. */
#define TASK_HOME_NS ((AO_t)1 << 62)

#endif
