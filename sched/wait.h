/* SPDX-License-Identifier: MIT */
/*
 * wait - the one word that every waiting turn and thread sleeps on
 *
 * word = sequence << 8 | cancel bit | state
 *
 *   state      meaning                          left by
 *   IDLE       nobody waits                     owner: wait_begin() -> WAITING
 *   WAITING    the owner waits, or is about to  anyone: wait_claim() -> CLAIMED,
 *                                               wait_complete() -> ENDED;
 *                                               owner: wait_retract() -> IDLE
 *   CLAIMED    one winner writes the result     winner: wait_finish() -> ENDED
 *   ENDED      the owner may read the result    owner: wait_end() -> IDLE,
 *                                               wait_begin() -> WAITING
 *
 * Every end of a wait (answer, grant, deadline, death, cancel) is a CAS away from
 * WAITING, so that exactly one wins. The sequence grows with each
 * wait_begin(), so that a late claim of an older wait fails; the memory of a
 * wait stays a wait for as long as anyone may hold its address. The cancel bit
 * is sticky: it makes wait_begin() fail until the owner clears it.
 *
 * Orderings:  [W1] wait_begin() -> wait_claim(): the winner sees what the
 *             owner prepared before it waited.
 *             [W2] wait_finish(), wait_complete() -> wait_has_ended(): the
 *             owner sees the result and all that the winner did before.
 */
#ifndef ROTA_SCHED_WAIT_H
#define ROTA_SCHED_WAIT_H

#include <stdbool.h>
#include <stdint.h>
#include <atomic_ops.h>

enum wait_state { WAIT_IDLE, WAIT_WAITING, WAIT_CLAIMED, WAIT_ENDED };

#define WAIT_STATE_MASK ((AO_t)3)
#define WAIT_CANCEL ((AO_t)4)
#define WAIT_SEQUENCE ((AO_t)256)

struct wait {
	AO_t xword; /* table above; owner and whoever ends the wait */
	int result; /* the winner's until ENDED, then the owner's */
	/* Makes the owner go on; called by the winner after ENDED. Set once. */
	void (*wake)(struct wait *wait);
};

/* A wait that somebody may end: the address alone could be of a later one. */
struct wait_ticket {
	struct wait *wait;
	AO_t sequence;
};

/*
 * A copy of one that was just made. Its halves were stored one by one, and are
 * loaded so: one wide load of both would wait for the stores to reach the cache.
 */
static inline struct wait_ticket
wait_ticket_copy(const struct wait_ticket *from)
{
	/* Relaxed: the owner's own; so that the loads are not put together. */
	return (struct wait_ticket){from->wait, AO_load(&from->sequence)};
}

/* Owner: start a wait. False if it has been cancelled. */
bool wait_begin(struct wait *wait, struct wait_ticket *ticket);

/* Anyone: become the one who ends it. */
bool wait_claim(struct wait_ticket ticket);

/* The winner: hand over the result and make the owner go on. */
void wait_finish(struct wait *wait, int result);

/*
 * Anyone: both in one step, where the owner finds the outcome elsewhere and
 * asks for no result: what wait_end() returns means nothing then. Nothing
 * happens if the wait has been claimed, or has ended. The owner is a turn: it
 * goes on when it is woken, not as soon as it could see the end.
 */
void wait_complete(struct wait_ticket ticket);

/* Owner: is the result there? */
bool wait_has_ended(const struct wait *wait);

/* Owner: take the result; the next wait may begin. */
int wait_end(struct wait *wait);

/*
 * The same without a read-modify-write: it stays ENDED until the next wait
 * begins. For an owner that knows without a look that it has ended: who woke it
 * up has told it, in an order.
 */
static inline int wait_result(const struct wait *wait)
{
	return wait->result;
}

/*
 * Owner: end a wait that it began and nobody needs. False if someone else is
 * ending it: then the owner has to see it through.
 */
bool wait_retract(struct wait_ticket ticket);

/*
 * Anyone: make the next wait fail, and claim the one in progress. True if that
 * was won: then the caller hands over -ECANCELED with wait_finish(). It knows
 * that the owner does not change meanwhile; once claimed it does not anyhow.
 */
bool wait_cancel(struct wait *wait);

/* Owner: the next wait is somebody else's business. */
void wait_clear(struct wait *wait);

#endif
