/* SPDX-License-Identifier: MIT */
/* wait - the one word that every waiting turn and thread sleeps on */
#include "sched/wait.h"

static enum wait_state state_of(AO_t word)
{
	return (enum wait_state)(word & WAIT_STATE_MASK);
}

static AO_t sequence_of(AO_t word)
{
	return word & ~(WAIT_SEQUENCE - 1);
}

bool wait_begin(struct wait *wait, struct wait_ticket *ticket)
{
	/* Relaxed: the CAS re-checks it; only a cancel can interfere. */
	AO_t word = AO_load(&wait->xword);

	for (;;) {
		AO_t next, seen;

		if (word & WAIT_CANCEL)
			return false;
		next = (sequence_of(word) + WAIT_SEQUENCE) | WAIT_WAITING;
		/* [W1] pairs with wait_claim() */
		seen = AO_fetch_compare_and_swap_full(&wait->xword, word, next);
		if (seen == word) {
			*ticket = (struct wait_ticket){wait, sequence_of(next)};
			return true;
		}
		word = seen;
	}
}

bool wait_claim(struct wait_ticket ticket)
{
	AO_t word = ticket.sequence | WAIT_WAITING;
	/* [W1] pairs with wait_begin() */
	AO_t seen = AO_fetch_compare_and_swap_full(
		&ticket.wait->xword, word, ticket.sequence | WAIT_CLAIMED);

	/* A cancel bit beside WAITING does not occur: wait_cancel() claims. */
	return seen == word;
}

bool wait_retract(struct wait_ticket ticket)
{
	/* [W1] pairs with a claim that came too late, or too early */
	return AO_compare_and_swap_full(&ticket.wait->xword,
					ticket.sequence | WAIT_WAITING,
					ticket.sequence | WAIT_IDLE);
}

void wait_finish(struct wait *wait, int result)
{
	void (*wake)(struct wait *) = wait->wake;
	AO_t word;

	wait->result = result;
	/* Relaxed: only a cancel bit may come in between; the loop sees it. */
	word = AO_load(&wait->xword);
	for (;;) {
		/* [W2] pairs with wait_has_ended() */
		AO_t seen = AO_fetch_compare_and_swap_release(
			&wait->xword, word,
			(word & ~WAIT_STATE_MASK) | WAIT_ENDED);

		if (seen == word)
			break;
		word = seen;
	}
	wake(wait);
}

void wait_complete(struct wait_ticket ticket)
{
	/* [W1] pairs with wait_begin(), [W2] with wait_has_ended(); a cancel bit
	   beside WAITING does not occur */
	AO_t seen = AO_fetch_compare_and_swap_full(
		&ticket.wait->xword, ticket.sequence | WAIT_WAITING,
		ticket.sequence | WAIT_ENDED);

	/* Not read before: it may be a later owner's to set. This one stays where
	   it is until it is woken. */
	if (seen == (ticket.sequence | WAIT_WAITING))
		ticket.wait->wake(ticket.wait);
}

bool wait_has_ended(const struct wait *wait)
{
	/* [W2] pairs with wait_finish() */
	return state_of(AO_load_acquire(&wait->xword)) == WAIT_ENDED;
}

int wait_end(struct wait *wait)
{
	int result = wait->result;
	/* Relaxed: only a cancel bit may interfere; the loop sees it. */
	AO_t word = AO_load(&wait->xword);

	for (;;) {
		/* Relaxed: the owner's own next step; claims need WAITING. */
		AO_t seen = AO_fetch_compare_and_swap(
			&wait->xword, word,
			(word & ~WAIT_STATE_MASK) | WAIT_IDLE);

		if (seen == word)
			return result;
		word = seen;
	}
}

bool wait_cancel(struct wait *wait)
{
	/* Relaxed: the CAS re-checks it. */
	AO_t word = AO_load(&wait->xword);

	for (;;) {
		AO_t next =
			state_of(word) == WAIT_WAITING
				? sequence_of(word) | WAIT_CANCEL | WAIT_CLAIMED
				: word | WAIT_CANCEL;
		/* [W1] pairs with wait_begin() */
		AO_t seen = AO_fetch_compare_and_swap_full(&wait->xword, word,
							   next);

		if (seen == word)
			return state_of(word) == WAIT_WAITING;
		word = seen;
	}
}

void wait_clear(struct wait *wait)
{
	/* Relaxed: see wait_end(); after this a cancel is for the next turn. */
	AO_t word = AO_load(&wait->xword);

	for (;;) {
		/* Relaxed: as above. */
		AO_t seen = AO_fetch_compare_and_swap(&wait->xword, word,
						      word & ~WAIT_CANCEL);

		if (seen == word)
			return;
		word = seen;
	}
}
