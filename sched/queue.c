/* SPDX-License-Identifier: MIT */
/*
 * queue - a worker's ring of runnable tasks: one owner, many thieves
 *
 * Problem:    the owner pushes and pops for every turn, a thief comes rarely
 *             but must get many tasks at once in constant time.
 * Approach:   a ring of fixed size with free-running counters. The head packs
 *             two: a thief first moves `real` over half of the tasks with one
 *             CAS, which makes them its own; copies them at leisure while the
 *             owner goes on popping; then moves `steal` up to `real`, which
 *             gives the slots back. Only one thief at a time.
 * Rejected:   a growing deque (needs reclamation, and its resize is where the
 *             published ones had their bugs); a linked queue (an allocation
 *             and a dear pop per turn); stealing one at a time (a thief that
 *             must come back for each).
 * Invariants: I1 steal <= real <= tail, tail - steal <= QUEUE_CAPACITY (as
 *             differences of 32-bit counters).
 *             I2 slots in [steal, tail) are not overwritten.
 * Orderings:  [Q1] queue_push() tail store -> queue_steal() tail load: a thief
 *             reads filled slots only.
 *             [Q2] the CAS on head: each task is taken by one.
 *             [Q3] queue_steal() last CAS -> queue_push() head load: the owner
 *             overwrites a slot only after the thief has read it.
 * Progress:   a CAS on head fails only because another one succeeded.
 * Reference:  the shape is that of tokio's local queue.
 */
#include "sched/queue.h"

#include <string.h>

static AO_t pack(uint32_t steal, uint32_t real)
{
	return (AO_t)steal << 32 | real;
}

void queue_init(struct queue *queue)
{
	memset(queue, 0, sizeof(*queue));
}

/* Make half of the victim's tasks ours; their number, 0 if there are none. */
static enum queue_steal claim_half(struct queue *victim, uint32_t *start,
				   uint32_t *n)
{
	/* [Q2] pairs with queue_pop() */
	AO_t head = AO_load_acquire(&victim->xhead);

	for (;;) {
		uint32_t real = (uint32_t)head;
		/* [Q1] pairs with queue_push() */
		uint32_t tail = (uint32_t)AO_load_acquire(&victim->xtail);
		uint32_t length = tail - real;
		AO_t seen;

		if ((uint32_t)(head >> 32) != real)
			return QUEUE_LOST;
		/* A stale head makes nonsense of length; the CAS would fail. */
		if (length == 0 || length > QUEUE_CAPACITY)
			return QUEUE_EMPTY;
		*n = length - length / 2;
		*start = real;
		/* [Q2] pairs with queue_pop() and other thieves */
		seen = AO_fetch_compare_and_swap_full(&victim->xhead, head,
						      pack(real, real + *n));
		if (seen == head)
			return QUEUE_STOLEN;
		head = seen;
	}
}

/* The slots are copied: give them back to the victim. */
static void release_claim(struct queue *victim)
{
	/* Relaxed: the CAS re-checks it. */
	AO_t head = AO_load(&victim->xhead);

	for (;;) {
		uint32_t real = (uint32_t)head;
		/* [Q3] pairs with queue_push() */
		AO_t seen = AO_fetch_compare_and_swap_full(&victim->xhead, head,
							   pack(real, real));

		if (seen == head)
			return;
		head = seen;
	}
}

/*
 * Is there room for half a ring in our own? It may look empty and still have
 * slots that another thief is copying.
 */
static bool has_room(const struct queue *own, uint32_t tail)
{
	/* [Q3] pairs with release_claim() */
	uint32_t steal = (uint32_t)(AO_load_acquire(&own->xhead) >> 32);

	return tail - steal <= QUEUE_CAPACITY / 2;
}

enum queue_steal queue_steal(struct queue *victim, struct queue *own,
			     struct task **first, uint32_t *n_moved)
{
	uint32_t start = 0, n = 0, i;
	/* Relaxed: our own. */
	uint32_t tail = (uint32_t)AO_load(&own->xtail);
	enum queue_steal outcome;

	if (!has_room(own, tail))
		return QUEUE_LOST;
	outcome = claim_half(victim, &start, &n);
	if (outcome != QUEUE_STOLEN)
		return outcome;
	/* Relaxed: [Q1] in claim_half() published the slots. */
	*first = (struct task *)AO_load(&victim->slot[start % QUEUE_CAPACITY]);
	for (i = 1; i < n; i++) {
		/* Relaxed: as above; published by our tail below. */
		AO_t task =
			AO_load(&victim->slot[(start + i) % QUEUE_CAPACITY]);

		/* Relaxed: published by the store of tail. */
		AO_store(&own->slot[(tail + i - 1) % QUEUE_CAPACITY], task);
	}
	release_claim(victim);
	if (n > 1) {
		/* [Q1] pairs with claim_half() */
		AO_store_release(&own->xtail, (AO_t)(uint32_t)(tail + n - 1));
	}
	*n_moved = n;
	return QUEUE_STOLEN;
}
