/* SPDX-License-Identifier: MIT */
/*
 * idle - counts who sleeps and who searches, and says whom to wake
 *
 * Problem:    a task that is queued while the last worker falls asleep must
 *             not stay there; and a burst of tasks must not wake everybody,
 *             for waking costs more than most turns.
 * Approach:   one word (searching, unparked, epoch) that is changed by
 *             read-modify-write only. Who queues work touches it afterwards
 *             (idle_pick()); who goes to sleep decrements it and looks through
 *             all queues afterwards. Of two read-modify-writes of one word one
 *             is first: either the toucher sees the sleeper asleep, or the
 *             sleeper sees the work. At most half of the workers search; while
 *             one searches nobody is woken, and the last searcher that finds
 *             work wakes one more: a chain, not a herd. The monitor's own
 *             sleep follows from the same word; monitor.c has that argument.
 * Rejected:   a flag per worker and fences (a store-load fence per push, which
 *             ThreadSanitizer cannot check); polling with sleeps (milliseconds
 *             of delay, and never 0 % of a processor); waking one per push.
 *             Workers come and go (roster.c). Who does not take tasks is never
 *             in the list, so the argument above is about members; it counts
 *             as unparked while awake, so that the word says when the monitor
 *             may sleep. That is why sleepers have a count of their own in the
 *             word: that all members are awake cannot be told from `unparked`.
 *             A worker becomes a member, and stops being one, by itself and
 *             while it is awake: between two tasks, after its last look into
 *             the queues was as a member, or before its first one. A push that
 *             finds no sleeper because the only one to come is not a member
 *             yet is seen by it, for it looks through all queues before it
 *             sleeps.
 * Invariants: I1 the word's sleepers = n_sleepers, under xlock; sleepers are
 *                members.
 *             I2 searching <= unparked; searchers are members.
 *             I3 members that are awake + others that are awake = unparked.
 * Orderings:  [I1] read-modify-writes of the word: push, touch -> sleep, scan
 *             and sleep -> touch.
 *             [L1] see spin.h: the lock on the list.
 * Reference:  the argument is that of tokio's idle set; Go's proc.go lists the
 *             rejected designs.
 */
#include "sched/idle.h"

#include <errno.h>
#include <stdlib.h>

#include "sched/spin.h"

int idle_init(struct idle *idle, unsigned n_members, unsigned capacity)
{
	idle->sleepers = calloc(capacity, sizeof(*idle->sleepers));
	if (!idle->sleepers)
		return -ENOMEM;
	idle->xlock = AO_TS_INITIALIZER;
	idle->n_sleepers = 0;
	idle->xword = IDLE_UNPARKED * n_members;
	idle->xn_members = n_members;
	return 0;
}

void idle_fini(struct idle *idle)
{
	free(idle->sleepers);
	idle->sleepers = NULL;
}

bool idle_try_search(struct idle *idle)
{
	/* Relaxed: the CAS re-checks it. */
	AO_t word = AO_load(&idle->xword);

	for (;;) {
		AO_t seen;

		/* Relaxed: about half. */
		if (2 * idle_searching(word) >= AO_load(&idle->xn_members) &&
		    idle_searching(word) > 0)
			return false;
		/* [I1] pairs with idle_pick() */
		seen = AO_fetch_compare_and_swap_full(&idle->xword, word,
						      word + IDLE_SEARCHING);
		if (seen == word)
			return true;
		word = seen; /* someone else made progress */
	}
}

bool idle_end_search(struct idle *idle)
{
	/* [I1] pairs with idle_pick(): later pushes see one searcher less */
	AO_t old = AO_fetch_and_add_full(&idle->xword, -IDLE_SEARCHING);

	return idle_searching(old) == 1;
}

void idle_enter(struct idle *idle, unsigned worker, bool searching)
{
	spin_lock(&idle->xlock);
	idle->sleepers[idle->n_sleepers++] = (uint16_t)worker;
	/* [I1] pairs with idle_pick(): a scan of all queues follows */
	AO_fetch_and_add_full(&idle->xword,
			      IDLE_SLEEPER - IDLE_UNPARKED -
				      (searching ? IDLE_SEARCHING : 0));
	spin_unlock(&idle->xlock);
}

/* Needs xlock. */
static bool unlist(struct idle *idle, unsigned worker)
{
	unsigned i;

	for (i = 0; i < idle->n_sleepers; i++) {
		if (idle->sleepers[i] != worker)
			continue;
		for (i++; i < idle->n_sleepers; i++)
			idle->sleepers[i - 1] = idle->sleepers[i];
		idle->n_sleepers--;
		return true;
	}
	return false;
}

bool idle_leave(struct idle *idle, unsigned worker, bool *first)
{
	bool listed;
	AO_t old = IDLE_UNPARKED;

	spin_lock(&idle->xlock);
	listed = unlist(idle, worker);
	if (listed) {
		/* [I1] pairs with the monitor's look before it sleeps */
		old = AO_fetch_and_add_full(&idle->xword,
					    IDLE_UNPARKED - IDLE_SLEEPER);
	}
	spin_unlock(&idle->xlock);
	*first = idle_unparked(old) == 0;
	return !listed;
}

bool idle_appear(struct idle *idle)
{
	/* [I1] pairs with the monitor's look before it sleeps */
	AO_t old = AO_fetch_and_add_full(&idle->xword, IDLE_UNPARKED);

	return idle_unparked(old) == 0;
}

void idle_vanish(struct idle *idle)
{
	/* [I1] pairs with the monitor's look before it sleeps */
	AO_fetch_and_add_full(&idle->xword, -IDLE_UNPARKED);
}

void idle_enlist(struct idle *idle)
{
	/* Relaxed: see struct idle. */
	AO_fetch_and_add1(&idle->xn_members);
}

void idle_discharge(struct idle *idle)
{
	/* Relaxed: see struct idle. */
	AO_fetch_and_sub1(&idle->xn_members);
}

static bool wants_waking(AO_t word, bool force)
{
	return idle_sleepers(word) > 0 && (force || idle_searching(word) == 0);
}

int idle_pick(struct idle *idle, bool force,
	      unsigned (*choose)(void *context, const uint16_t *sleepers,
				 unsigned n),
	      void *context, bool *first)
{
	/* [I1] pairs with idle_enter() and idle_end_search() */
	AO_t word = AO_fetch_and_add_full(&idle->xword, IDLE_EPOCH);
	int worker = -1;

	*first = false;
	if (!wants_waking(word, force))
		return -1;
	spin_lock(&idle->xlock);
	word = idle_read(idle);
	if (wants_waking(word, force)) {
		unsigned n = idle->n_sleepers;

		worker = idle->sleepers[choose ? choose(context, idle->sleepers,
							n)
					       : n - 1];
		unlist(idle, (unsigned)worker);
		*first = idle_unparked(word) == 0;
		/* [I1] counted as searching before it wakes */
		AO_fetch_and_add_full(&idle->xword, IDLE_UNPARKED +
							    IDLE_SEARCHING -
							    IDLE_SLEEPER);
	}
	spin_unlock(&idle->xlock);
	return worker;
}
