/* SPDX-License-Identifier: MIT */
/*
 * inject - a shared list of runnable tasks
 *
 * Takes what comes from threads that are no workers, and what the monitor takes
 * out of a stuck worker's hand. What overflows a worker's ring goes to its own
 * spill.c. FIFO, under a small lock; there is one per NUMA node, see nodes.h.
 *
 * Orderings:  [L1] see spin.h: what the pusher wrote, the taker sees.
 */
#ifndef ROTA_SCHED_INJECT_H
#define ROTA_SCHED_INJECT_H

#include <atomic_ops.h>

#include "sched/task.h"

struct inject {
	AO_TS_t xlock; /* everything below */
	struct task *first;
	struct task *last;
	AO_t xlength; /* written under xlock; read by anyone as a hint that a
	                  later look under the lock, or the idle word, repairs */
};

void inject_init(struct inject *inject);
void inject_push(struct inject *inject, struct task *first, struct task *last,
		 unsigned n_tasks);

/* Unlink up to @most tasks as a chain (NULL: none); their number. */
unsigned inject_take(struct inject *inject, unsigned most, struct task **first);

static inline unsigned inject_length(const struct inject *inject)
{
	/* Relaxed: a hint, see above. */
	return (unsigned)AO_load(&inject->xlength);
}

#endif
