/* SPDX-License-Identifier: MIT */
/*
 * nest - the tasks that tasks of one worker have forked, and will wait for
 *
 * Problem:    divide and conquer makes a task per call, tens of millions a
 *             second, and nearly all are run by the worker that made them, last
 *             in, first out. Yet each must be there for a thief at any time,
 *             for its maker may compute for long before it comes back to it.
 * Approach:   an array of slots. The owner pushes with stores and takes with
 *             one CAS on the slot; a thief takes with the same CAS, from the
 *             other end. Whoever clears the slot has the task; a slot that was
 *             popped and filled again in between holds a runnable task
 *             too, so nothing goes wrong if the CAS succeeds on that.
 *             Thieves have a lock among themselves, and go in order: so a
 *             slot at the top that somebody else has cleared tells the owner
 *             that there is nothing below.
 *             Of the oldest tasks a thief takes one, or several if they have
 *             the same key: siblings are of one size, but the next generation
 *             is smaller, and the owner has it in its cache.
 * Rejected:   Chase and Lev's deque (a store that must be seen before a load,
 *             for which there is no read-modify-write on one word here); a
 *             private list from which the owner now and then lets go (what
 *             its owner does not let go while it computes, nobody helps with);
 *             one word with both ends (two CASes per task).
 * Invariants: I1 slots in [xbase, xtop) are filled, but for one at each end
 *                that is being taken; all others are 0.
 *             I2 xbase <= xtop, and only thieves move xbase.
 * Orderings:  [F1] nest_push() stores -> nest_steal() loads: the task and its
 *             key are complete.
 *             [F2] the CASes on a slot, and the owner's look at a slot that it
 *             is going to fill again.
 *             [L1] see spin.h: xbase, among thieves.
 */
#include "sched/nest.h"

#include <stddef.h>

#include "sched/spin.h"

void nest_init(struct nest *nest)
{
	unsigned i;

	for (i = 0; i < NEST_CAPACITY; i++)
		nest->slot[i] = (struct nest_slot){0, 0};
	/* Not 0: the slot below the first one is looked at, and empty. */
	nest->xtop = nest->xbase = NEST_CAPACITY;
	nest->xlock = AO_TS_INITIALIZER;
}

/* The task in a slot if its key is *key (0: any, and tell); else NULL. */
static struct task *claim(struct nest_slot *slot, AO_t *key)
{
	/* [F1] pairs with nest_push() */
	AO_t task = AO_load_acquire(&slot->xtask);
	/* Relaxed: it belongs to the task if the CAS succeeds. */
	AO_t its_key = AO_load(&slot->xkey);

	if (task == 0 || (*key != 0 && its_key != *key))
		return NULL;
	/* [F2] pairs with nest_take() and nest_push() */
	if (!AO_compare_and_swap_full(&slot->xtask, task, 0))
		return NULL;
	*key = its_key;
	return (struct task *)task;
}

unsigned nest_steal(struct nest *nest, struct task **first)
{
	struct task **last = first;
	AO_t base, most, n = 0, key = 0;

	*first = NULL;
	if (!spin_try_lock(&nest->xlock))
		return 0; /* another thief is at it */
	/* Relaxed: under the lock. */
	base = AO_load(&nest->xbase);
	/* [F1] pairs with nest_push() */
	most = AO_load_acquire(&nest->xtop) - base;
	most = (intptr_t)most > 0 ? (most + 1) / 2 : 0;
	while (n < most) {
		struct task *task =
			claim(&nest->slot[(base + n) % NEST_CAPACITY], &key);

		if (!task)
			break;
		*last = task;
		last = &task->next;
		n++;
	}
	*last = NULL;
	/* Relaxed: only written under the lock. */
	AO_store(&nest->xbase, base + n);
	spin_unlock(&nest->xlock);
	return (unsigned)n;
}
