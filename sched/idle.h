/* SPDX-License-Identifier: MIT */
/*
 * idle - counts who sleeps and who searches, and says whom to wake
 *
 * Knows workers by their numbers only; the caller does the waking.
 */
#ifndef ROTA_SCHED_IDLE_H
#define ROTA_SCHED_IDLE_H

#include <stdbool.h>
#include <stdint.h>
#include <atomic_ops.h>

/*
 * word = epoch << 48 | sleepers << 32 | unparked << 16 | searching
 *
 * A member takes tasks: it is unparked, or it sleeps and may be woken for work.
 * A worker that is no member (it has retired, see roster.h) is counted as
 * unparked while it is awake, so that the monitor ticks, and not at all while
 * it sleeps: nobody wakes it for work.
 */
#define IDLE_SEARCHING ((AO_t)1)
#define IDLE_UNPARKED ((AO_t)1 << 16)
#define IDLE_SLEEPER ((AO_t)1 << 32)
#define IDLE_EPOCH ((AO_t)1 << 48)

struct idle {
	AO_t xword;	 /* changed by read-modify-write only */
	AO_t xn_members; /* so many searchers make sense: relaxed */
	char pad[48];
	AO_TS_t xlock; /* everything below */
	unsigned n_sleepers;
	uint16_t *sleepers; /* numbers of the parked, last one parked last */
};

/* So many members start unparked, none searching; there may come to be as many
   as @capacity. 0 or -ENOMEM. */
int idle_init(struct idle *idle, unsigned n_members, unsigned capacity);
void idle_fini(struct idle *idle);

static inline unsigned idle_searching(AO_t word)
{
	return (unsigned)(word & 0xffff);
}

static inline unsigned idle_unparked(AO_t word)
{
	return (unsigned)(word >> 16 & 0xffff);
}

static inline unsigned idle_sleepers(AO_t word)
{
	return (unsigned)(word >> 32 & 0xffff);
}

/* The word, ordered after everything that was done to it before. */
static inline AO_t idle_read(struct idle *idle)
{
	/* [I1] pairs with every other read-modify-write of the word */
	return AO_fetch_and_add_full(&idle->xword, 0);
}

/* May this worker search? At most half of all do at a time. */
bool idle_try_search(struct idle *idle);

/* The search is over. True if it was the last searcher: if it found work, it
   should wake one more. */
bool idle_end_search(struct idle *idle);

/*
 * Enter the list of sleepers; the search, if any, is over. The caller then
 * looks through all queues once more before it really sleeps.
 */
void idle_enter(struct idle *idle, unsigned worker, bool searching);

/*
 * Leave it again, for whatever reason the sleep ended. True if someone had
 * picked this worker to search; then it is counted as searching.
 * @first is set if no worker was awake before this.
 */
bool idle_leave(struct idle *idle, unsigned worker, bool *first);

/*
 * A worker that is no member, or not yet, wakes up, or its thread begins: true
 * if nobody was awake before. It falls asleep, or its thread ends.
 */
bool idle_appear(struct idle *idle);
void idle_vanish(struct idle *idle);

/* A worker that is awake becomes a member, or is none any more. */
void idle_enlist(struct idle *idle);
void idle_discharge(struct idle *idle);

/*
 * There is work: pick a sleeper to search for it, -1 if nobody needs waking.
 * @choose picks one of n sleepers (NULL: the last to fall asleep) from their
 * numbers, in the order in which they fell asleep, and answers with an index;
 * it is called under a lock.
 * @force picks one even though others search already.
 */
int idle_pick(struct idle *idle, bool force,
	      unsigned (*choose)(void *context, const uint16_t *sleepers,
				 unsigned n),
	      void *context, bool *first);

#endif
