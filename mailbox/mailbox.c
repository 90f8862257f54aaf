/* SPDX-License-Identifier: MIT */
/*
 * mailbox - a bounded queue of messages in one word: many senders, one consumer
 *
 * Problem:    a send must check the bound, link the message and find out
 *             whether the receiver has to be made runnable, in one atomic step;
 *             an idle mailbox must cost one word.
 * Approach:   a stack that senders push with one CAS and the consumer empties
 *             with one CAS; reversed, it is a queue. The bound and the state
 *             of the consumer are in the same word, so that the one CAS checks
 *             and changes all three. A sender with more to come leases room
 *             ahead, links what follows by itself and pushes it as a chain.
 *             Nothing is ever popped by a sender and the consumer only takes
 *             all, so that a word that was A, then B, then A again (ABA) leads
 *             to the same result.
 * Rejected:   an exchange-based queue (libatomic_ops has no exchange; it needs
 *             a stub and has a half-linked state); a ring per mailbox (two to
 *             four lines when idle, and the bound fixes the memory).
 * Invariants: I1 a message in the stack => SCHEDULED.
 *             I2 count = counted messages in the stack + taken and not yet
 *                credited + leases. Leases alone are less than the capacity:
 *                each takes half of the room at most.
 *             I3 WAITERS <=> the list of waiters is not empty, outside the
 *                list's lock.
 * Orderings:  [X1] push CAS -> take CAS: the consumer sees the message.
 *             [X2] idle CAS -> push CAS that finds SCHEDULED clear: the next
 *             run of the consumer, on whatever worker, sees what the last one
 *             did. All CASes are acquire and release: they carry both.
 *             [X3] mailbox_signal() CAS -> mailbox_clear_signal() CAS: the
 *             signal word is read after it was written.
 *             [X4] mailbox_leave() and mailbox_resign(): who is second sees all
 *             that the other did with the message and the mailbox.
 * Progress:   a CAS fails only because another one succeeded.
 * Read-modify-writes per message: 1 push + 1 take-and-idle when it is alone
 *             (peek); 1 push + (1 take + 1 idle)/batch + 1 per quarter of the
 *             capacity otherwise. In a chain of n, 1/n instead of 1 push.
 * Reference:  push and take-all as in CAF's inbox and libvsync's quack.
 */
#include "mailbox/mailbox.h"

static enum mailbox_push pushed(AO_t word)
{
	return word & MAILBOX_SCHEDULED ? MAILBOX_PUSHED : MAILBOX_AWAKENED;
}

#define MIN_LEASE 4 /* fewer messages are not worth the steps of a chain */

/* What a sender may lease: half of the room, none where that is scarce. */
static unsigned lease_of(AO_t word, unsigned capacity)
{
	unsigned count = mailbox_count(word);
	unsigned half = count < capacity ? (capacity - count) / 2 : 0;

	if (half < MIN_LEASE || (word & (MAILBOX_WAITERS | MAILBOX_CLOSED)))
		return 0;
	return half < MAILBOX_MAX_LEASE ? half : MAILBOX_MAX_LEASE;
}

enum mailbox_push mailbox_push_leasing(AO_t *xword, struct message *message,
				       unsigned capacity, unsigned *lease)
{
	AO_t flags = mailbox_flags_of(message);
	/* Relaxed: the CAS re-checks it. */
	AO_t word = AO_load(xword);

	for (;;) {
		AO_t seen;

		*lease = 0;
		if (unlikely(word & (MAILBOX_CLOSED | MAILBOX_WAITERS) ||
			     mailbox_count(word) >= capacity))
			return word & MAILBOX_CLOSED ? MAILBOX_IS_CLOSED
						     : MAILBOX_FULL;
		*lease = lease_of(word + MAILBOX_ONE, capacity);
		/* [X1] [X2] as in mailbox_push() */
		seen = AO_fetch_compare_and_swap_full(
			xword, word,
			mailbox_with(word, message, flags) +
				MAILBOX_ONE * (1 + *lease));
		if (likely(seen == word))
			return pushed(word);
		word = seen;
	}
}

/* One attempt's new word. */
static AO_t with_chain(AO_t word, const struct mailbox_chain *chain)
{
	unsigned unused = chain->lease - chain->n;

	if (word & MAILBOX_ENDED)
		return word - MAILBOX_ONE * chain->lease;
	if (chain->newest) {
		chain->oldest->next = mailbox_newest(word);
		word = (word & ~MAILBOX_POINTER) | (AO_t)chain->newest |
		       MAILBOX_SCHEDULED;
	}
	/* Those who wait for room get it from the consumer alone; and one that
	   is closed waits for the last lease. */
	if (unused > 0 && (word & (MAILBOX_WAITERS | MAILBOX_CLOSED)))
		word |= MAILBOX_SCHEDULED;
	return word - MAILBOX_ONE * unused;
}

AO_t mailbox_push_chain(AO_t *xword, struct mailbox_chain *chain,
			unsigned capacity, bool again, bool *awakened)
{
	/* Relaxed: the CAS re-checks it. */
	AO_t word = AO_load(xword);

	for (;;) {
		AO_t next = with_chain(word, chain), seen;
		unsigned lease = again ? lease_of(next, capacity) : 0;

		/* [X1] [X2] as in mailbox_push() */
		seen = AO_fetch_compare_and_swap_full(
			xword, word, next + MAILBOX_ONE * lease);
		if (likely(seen == word)) {
			*awakened = (next & ~word & MAILBOX_SCHEDULED) != 0;
			chain->lease = lease;
			if (word & MAILBOX_ENDED)
				return word;
			chain->newest = chain->oldest = NULL;
			chain->n = 0;
			return word;
		}
		word = seen;
	}
}

enum mailbox_push mailbox_push_over(AO_t *xword, struct message *message)
{
	/* Relaxed: the CAS re-checks it. */
	AO_t word = AO_load(xword);
	AO_t one = message->flags & MESSAGE_UNCOUNTED ? 0 : MAILBOX_ONE;
	AO_t flags = mailbox_flags_of(message);

	for (;;) {
		AO_t seen;

		if (word & MAILBOX_CLOSED)
			return MAILBOX_IS_CLOSED;
		if (one && mailbox_count(word) == MAILBOX_MAX_COUNT)
			return MAILBOX_FULL;
		/* [X1] [X2] as in mailbox_push() */
		seen = AO_fetch_compare_and_swap_full(
			xword, word, mailbox_with(word, message, flags) + one);
		if (seen == word)
			return pushed(word);
		word = seen;
	}
}

enum mailbox_push mailbox_push_or_wait(AO_t *xword, struct message *message,
				       unsigned capacity)
{
	/* Relaxed: the CAS re-checks it. */
	AO_t word = AO_load(xword);

	for (;;) {
		bool full = (word & MAILBOX_WAITERS) != 0 ||
			    mailbox_count(word) >= capacity;
		AO_t seen, next;

		if (word & MAILBOX_CLOSED)
			return MAILBOX_IS_CLOSED;
		next = full ? word | MAILBOX_WAITERS
			    : mailbox_with(word, message,
					   mailbox_flags_of(message)) +
				       MAILBOX_ONE;
		/* [X1] [X2] as in mailbox_push() */
		seen = AO_fetch_compare_and_swap_full(xword, word, next);
		if (seen == word)
			return full ? MAILBOX_FULL : pushed(word);
		word = seen;
	}
}

bool mailbox_idle_beside(AO_t *xword, unsigned n, unsigned capacity)
{
	/* Relaxed: the CAS re-checks it. */
	AO_t word = AO_load(xword);

	for (;;) {
		AO_t next = (word - n * MAILBOX_ONE) & ~MAILBOX_SCHEDULED;
		AO_t seen;

		if (mailbox_newest(word) || (word & MAILBOX_SIGNALLED) ||
		    ((word & MAILBOX_WAITERS) &&
		     mailbox_count(next) < capacity))
			return false;
		/* [X2] as in mailbox_idle() */
		seen = AO_fetch_compare_and_swap_full(xword, word, next);
		if (seen == word)
			return true;
		word = seen;
	}
}

/* CAS loop that sets or clears flags. */
static void change(AO_t *xword, AO_t clear, AO_t set)
{
	/* Relaxed: the CAS re-checks it. */
	AO_t word = AO_load(xword);

	for (;;) {
		/* [X2] [X3] like any change of the consumer's state */
		AO_t seen = AO_fetch_compare_and_swap_full(
			xword, word, (word & ~clear) | set);

		if (seen == word)
			return;
		word = seen;
	}
}

AO_t mailbox_close(AO_t *xword, AO_t flags)
{
	/* Relaxed: the CAS re-checks it. */
	AO_t word = AO_load(xword);

	for (;;) {
		AO_t next =
			(word & ~(MAILBOX_POINTER | MAILBOX_URGENT)) | flags;
		/* [X1] pairs with mailbox_push(); [X2] as mailbox_idle() */
		AO_t seen = AO_fetch_compare_and_swap_full(xword, word, next);

		if (seen == word)
			return word;
		word = seen;
	}
}

AO_t mailbox_sever(AO_t *xword, bool is_counted)
{
	AO_t one = is_counted ? 0 : MAILBOX_ONE;
	/* Relaxed: the CAS re-checks it. */
	AO_t word = AO_load(xword);

	for (;;) {
		AO_t next = (word & ~(MAILBOX_POINTER | MAILBOX_URGENT |
				      MAILBOX_SIGNALLED)) |
			    MAILBOX_CLOSED | MAILBOX_ENDED;
		/* [X1] [X2] as mailbox_close() */
		AO_t seen =
			AO_fetch_compare_and_swap_full(xword, word, next + one);

		if (seen == word)
			return word;
		word = seen;
	}
}

AO_t mailbox_leave(AO_t *xword)
{
	AO_t change = MAILBOX_LEFT - MAILBOX_ONE;

	/* [X4] pairs with mailbox_resign(): one of the two is second */
	return AO_fetch_and_add_full(xword, change) + change;
}

AO_t mailbox_resign(AO_t *xword)
{
	/* [X4] pairs with mailbox_leave() */
	return AO_fetch_and_add_full(xword, -MAILBOX_SCHEDULED) -
	       MAILBOX_SCHEDULED;
}

void mailbox_clear_waiters(AO_t *xword)
{
	change(xword, MAILBOX_WAITERS, 0);
}

bool mailbox_signal(AO_t *xword)
{
	/* Relaxed: the CAS re-checks it. */
	AO_t word = AO_load(xword);

	for (;;) {
		AO_t seen;

		if (word & MAILBOX_CLOSED)
			return false;
		/* [X3] pairs with mailbox_clear_signal(); [X2] as any push */
		seen = AO_fetch_compare_and_swap_full(
			xword, word,
			word | MAILBOX_SIGNALLED | MAILBOX_SCHEDULED);
		if (seen == word)
			return !(word & MAILBOX_SCHEDULED);
		word = seen;
	}
}

void mailbox_clear_signal(AO_t *xword)
{
	/* [X3] pairs with mailbox_signal(), in change() */
	change(xword, MAILBOX_SIGNALLED, 0);
}
