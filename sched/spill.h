/* SPDX-License-Identifier: MIT */
/*
 * spill - the tasks that do not fit into a worker's ring
 *
 * Pushed by the worker whose it is; taken by that worker when its ring is
 * empty, and by thieves. Never full: tasks are linked through themselves.
 */
#ifndef ROTA_SCHED_SPILL_H
#define ROTA_SCHED_SPILL_H

#include <stdbool.h>
#include <stdint.h>
#include <atomic_ops.h>

#include "sched/task.h"

/* A power of two; when all are used, groups grow instead. A checker build
   shrinks it. */
#ifndef SPILL_GROUPS
#define SPILL_GROUPS 512u
#endif

/* Tasks linked first to last, oldest first. */
struct spill_list {
	struct task *first; /* NULL: empty */
	struct task *last;
	uint32_t n;
};

struct spill {
	AO_TS_t xlock; /* everything below */
	AO_t xlength;  /* all tasks; written under xlock, read by anyone as a
	                  hint that a look under the lock repairs */
	AO_t xn_fresh; /* those in groups; likewise */
	AO_t turn;     /* the push turn of the newest group */
	struct spill_list woken;
	uint64_t woken_due; /* a fraction of one that is still to be taken */
	uint32_t n_groups;
	uint32_t oldest; /* group[oldest % SPILL_GROUPS] */
	struct spill_list group[SPILL_GROUPS];
};

void spill_init(struct spill *spill);

/*
 * @turn: a number that is another one in each turn of the worker. Tasks that
 * one turn pushes stay together, in their order.
 */
void spill_push(struct spill *spill, struct task *task, AO_t turn);

/*
 * Unlink up to @most tasks as a chain (NULL: none), woken and fresh ones in
 * proportion; their number. @oldest: fresh ones that wait longest, as thieves
 * want them, else those that were pushed last.
 */
unsigned spill_take(struct spill *spill, unsigned most, bool oldest,
		    struct task **first);

static inline AO_t spill_length(const struct spill *spill)
{
	/* Relaxed: a hint, see above. */
	return AO_load(&spill->xlength);
}

/* Of these, tasks that have never run. */
static inline AO_t spill_n_fresh(const struct spill *spill)
{
	/* Relaxed: a hint, see above. */
	return AO_load(&spill->xn_fresh);
}

#endif
