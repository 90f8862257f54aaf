/* SPDX-License-Identifier: MIT */
/*
 * nest - the tasks that tasks of one worker have forked, and will wait for
 *
 * The owner pushes and takes at the top: newest first. Thieves take from the
 * bottom: the oldest, which stand for the largest trees. Each task has a key
 * that says to whom it belongs.
 */
#ifndef ROTA_SCHED_NEST_H
#define ROTA_SCHED_NEST_H

#include <stdbool.h>
#include <stdint.h>
#include <atomic_ops.h>

#include "sched/task.h"

/* A power of two; a checker build shrinks it. */
#ifndef NEST_CAPACITY
#define NEST_CAPACITY 256u
#endif

struct nest_slot {
	AO_t xtask; /* struct task *, 0: none. Set by the owner; cleared by a
	               CAS of whoever takes it */
	AO_t xkey;  /* written by the owner while xtask is 0, read by thieves */
};

struct nest {
	_Alignas(64) AO_t xtop; /* slots below are used; stored by the owner,
	                           read by thieves */
	struct nest_slot slot[NEST_CAPACITY];
	_Alignas(64) AO_TS_t xlock; /* among thieves: xbase */
	AO_t xbase; /* slots below were stolen; read by anyone as a hint */
};

void nest_init(struct nest *nest);

/* How many tasks anyone sees: a hint. */
static inline AO_t nest_length(const struct nest *nest)
{
	/* Relaxed: a hint; whoever takes one finds out. */
	AO_t base = AO_load(&nest->xbase);
	/* Relaxed, as above. */
	AO_t top = AO_load(&nest->xtop);

	return (intptr_t)(top - base) > 0 ? top - base : 0;
}

/* Owner: false if there is no room. */
static inline bool nest_push(struct nest *nest, struct task *task, AO_t key)
{
	/* Relaxed: the owner's own. */
	AO_t top = AO_load(&nest->xtop);
	struct nest_slot *slot = &nest->slot[top % NEST_CAPACITY];

	/* [F2] pairs with nest_steal(): the thief has read the key */
	if (__builtin_expect(AO_load_acquire(&slot->xtask) != 0, 0))
		return false;
	/* Relaxed: published by the next store. */
	AO_store(&slot->xkey, key);
	/* [F1] pairs with nest_steal(): the task is complete */
	AO_store_release(&slot->xtask, (AO_t)task);
	/* [F1] likewise */
	AO_store_release(&nest->xtop, top + 1);
	return true;
}

/* Owner: the newest task, if it has this key (0: any). Else NULL. */
static inline struct task *nest_take(struct nest *nest, AO_t key)
{
	/* Relaxed: the owner's own. */
	AO_t top = AO_load(&nest->xtop) - 1;
	struct nest_slot *slot = &nest->slot[top % NEST_CAPACITY];
	/* Relaxed: the owner wrote it; the CAS re-checks it. */
	AO_t task = AO_load(&slot->xtask);

	/* Stolen: then so is all below. Relaxed: the key is the owner's own. */
	if (task == 0 || (key != 0 && AO_load(&slot->xkey) != key))
		return NULL;
	/* [F2] pairs with nest_steal(): one of the two gets it */
	if (!AO_compare_and_swap_full(&slot->xtask, task, 0))
		return NULL;
	/* Relaxed: a thief that sees it late finds an empty slot. */
	AO_store(&nest->xtop, top);
	return (struct task *)task;
}

/*
 * Anyone: unlink some of the oldest tasks, all of one key and half of what is
 * there at most, as a chain (NULL: none); their number.
 */
unsigned nest_steal(struct nest *nest, struct task **first);

#endif
