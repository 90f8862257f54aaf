/* SPDX-License-Identifier: MIT */
/*
 * mailbox - a bounded queue of messages in one word: many senders, one consumer
 *
 * word = count << 48 | newest message (bits 6-47) | flags
 *
 *   flag       meaning                         set by         cleared by
 *   SCHEDULED  the consumer runs or will run   any push       consumer, idle
 *   URGENT     an urgent message is in it      urgent push    consumer, take
 *   WAITERS    senders wait for room; room is  a waiter       who empties the
 *              only given by grant                            list
 *   CLOSED     nothing more is accepted; only  consumer       next life
 *              chains may come, into leased room
 *   ENDED      not even those                  consumer       next life
 *   SIGNALLED  a signal was raised: look       anyone         consumer
 *   LEFT       (the same bit, once severed)    who had the    next life
 *              the message that was in another's message
 *              hand is not needed there any
 *              more
 *
 * WAITERS changes only under the lock of the waiters' list. count: counted
 * messages that are queued or in the consumer's hand, and room that is leased
 * to chains that are still to come. It can exceed the capacity by what
 * mailbox_push_over() let in.
 *
 * Idle is: SCHEDULED clear, no message; count may hold leases. Who sets
 * SCHEDULED makes the consumer runnable. Only the consumer takes, and it alone
 * lowers the count.
 */
#ifndef ROTA_MAILBOX_MAILBOX_H
#define ROTA_MAILBOX_MAILBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <atomic_ops.h>

#include "mailbox/message.h"

#define MAILBOX_SCHEDULED ((AO_t)1)
#define MAILBOX_URGENT ((AO_t)2)
#define MAILBOX_WAITERS ((AO_t)4)
#define MAILBOX_CLOSED ((AO_t)8)
#define MAILBOX_SIGNALLED ((AO_t)16)
#define MAILBOX_LEFT MAILBOX_SIGNALLED
#define MAILBOX_ENDED ((AO_t)32)
#define MAILBOX_FLAGS ((AO_t)63)
#define MAILBOX_ONE ((AO_t)1 << 48)
#define MAILBOX_COUNT (~(MAILBOX_ONE - 1))
#define MAILBOX_POINTER (~(MAILBOX_COUNT | MAILBOX_FLAGS))
#define MAILBOX_MAX_COUNT 65535u
#define MAILBOX_MAX_LEASE 62u

enum mailbox_push {
	MAILBOX_PUSHED,
	MAILBOX_AWAKENED, /* pushed, and the caller makes the consumer runnable */
	MAILBOX_FULL,
	MAILBOX_IS_CLOSED
};

static inline struct message *mailbox_newest(AO_t word)
{
	return (struct message *)(word & MAILBOX_POINTER);
}

static inline unsigned mailbox_count(AO_t word)
{
	return (unsigned)(word >> 48);
}

/* One attempt's new word: the message on top, the consumer scheduled. */
static inline AO_t mailbox_with(AO_t word, struct message *message, AO_t flags)
{
	AO_t newest = word & MAILBOX_POINTER;

	message->next = (struct message *)newest;
	return (word ^ newest) | (AO_t)message | MAILBOX_SCHEDULED | flags;
}

/* The flags that a message brings along. */
static inline AO_t mailbox_flags_of(const struct message *message)
{
	return message->flags & MESSAGE_URGENT ? MAILBOX_URGENT : 0;
}

/* Push a counted message within the bound. @flags: mailbox_flags_of() it. */
static inline enum mailbox_push mailbox_push(AO_t *xword,
					     struct message *message,
					     unsigned capacity, AO_t flags)
{
	/* Relaxed: the CAS re-checks it. */
	AO_t word = AO_load(xword);

	for (;;) {
		AO_t seen;

		if (unlikely(word & (MAILBOX_CLOSED | MAILBOX_WAITERS) ||
			     mailbox_count(word) >= capacity))
			return word & MAILBOX_CLOSED ? MAILBOX_IS_CLOSED
						     : MAILBOX_FULL;
		/* [X1] pairs with mailbox_take() and the consumer's peek;
		   [X2] pairs with mailbox_idle() */
		seen = AO_fetch_compare_and_swap_full(
			xword, word,
			mailbox_with(word, message, flags) + MAILBOX_ONE);
		if (likely(seen == word))
			return word & MAILBOX_SCHEDULED ? MAILBOX_PUSHED
							: MAILBOX_AWAKENED;
		word = seen; /* another sender or the consumer went ahead */
	}
}

/*
 * Messages of one sender that go out together. Room for them is leased before,
 * so that the bound holds at every moment.
 */
struct mailbox_chain {
	struct message *newest; /* NULL: none; linked as in a mailbox */
	struct message *oldest;
	unsigned n;	/* counted messages */
	unsigned lease; /* room for so many, n of it used */
};

/* As mailbox_push(); @lease: how much more room was leased, if it was pushed. */
enum mailbox_push mailbox_push_leasing(AO_t *xword, struct message *message,
				       unsigned capacity, unsigned *lease);

/*
 * Push a chain and give back what is left of its lease; @again: lease anew, and
 * chain->lease says how much. The word as it was; if it was ENDED, the messages
 * are still the caller's, but the whole lease was given back. @awakened: the
 * caller makes the consumer runnable.
 */
AO_t mailbox_push_chain(AO_t *xword, struct mailbox_chain *chain,
			unsigned capacity, bool again, bool *awakened);

/*
 * Push without regard to the bound or to waiters: an uncounted message, or one
 * that a grant or an overdraft lets in. MAILBOX_FULL only if the count is at
 * its end.
 */
enum mailbox_push mailbox_push_over(AO_t *xword, struct message *message);

/*
 * A waiter's attempt, under the lock of the list: push if there is room now
 * and nobody waits, else set WAITERS and return MAILBOX_FULL.
 */
enum mailbox_push mailbox_push_or_wait(AO_t *xword, struct message *message,
				       unsigned capacity);

/* Consumer: take all messages, newest first; NULL if there are none.
   *has_urgent: urgent ones may be among them. */
static inline struct message *mailbox_take(AO_t *xword, bool *has_urgent)
{
	/* Relaxed: the CAS re-checks it. */
	AO_t word = AO_load(xword);

	for (;;) {
		AO_t next = word & ~(MAILBOX_POINTER | MAILBOX_URGENT);
		AO_t seen;

		*has_urgent = (word & MAILBOX_URGENT) != 0;
		if (!mailbox_newest(word))
			return NULL;
		/* [X1] pairs with mailbox_push() */
		seen = AO_fetch_compare_and_swap_full(xword, word, next);
		if (likely(seen == word))
			return mailbox_newest(word);
		word = seen; /* a sender went ahead */
	}
}

/*
 * Consumer: give back the room of @n messages and, if nothing is there, nobody
 * waits for room and no signal was raised, become idle. True if idle: someone
 * else may run the consumer from then on, also at this moment.
 */
static inline bool mailbox_idle(AO_t *xword, unsigned n)
{
	/* Relaxed: the CAS re-checks it. */
	AO_t word = AO_load(xword);

	for (;;) {
		AO_t seen;

		if (unlikely(mailbox_newest(word) ||
			     (word & (MAILBOX_WAITERS | MAILBOX_SIGNALLED))))
			return false;
		/* [X2] pairs with mailbox_push(): the next run of the consumer
		   sees what this one did */
		seen = AO_fetch_compare_and_swap_full(
			xword, word,
			(word - n * MAILBOX_ONE) & ~MAILBOX_SCHEDULED);
		if (likely(seen == word))
			return true;
		word = seen;
	}
}

/*
 * The same for a consumer that leaves messages lying which it has taken: senders
 * may wait for room, if there is none to be given to them. Under the lock of
 * their list.
 */
bool mailbox_idle_beside(AO_t *xword, unsigned n, unsigned capacity);

/* Consumer: give back the room of @n messages. True if senders wait for it. */
static inline bool mailbox_credit(AO_t *xword, unsigned n)
{
	/* [X2] what the handler did comes before the room it made; and who set
	   WAITERS before has made what the caller looks for next */
	AO_t word = AO_fetch_and_add_full(xword, -(n * MAILBOX_ONE));

	return (word & MAILBOX_WAITERS) != 0;
}

/*
 * Consumer: accept nothing from now on, and take all messages. @flags: CLOSED,
 * or both CLOSED and ENDED. The word as it was: its mailbox_newest(),
 * MAILBOX_URGENT if urgent ones may be among them, MAILBOX_WAITERS if senders
 * wait for room. Nobody enters that list any more.
 */
AO_t mailbox_close(AO_t *xword, AO_t flags);

/*
 * Consumer: mailbox_close() to CLOSED and ENDED, while a message that was taken
 * out, or is handled in place, is in another's hand. Room of one message is that
 * party's from now on, so that the count is not 0 while it is there: the
 * message's own, or if it is not @counted one more. The two part by one
 * read-modify-write each: who comes second, and sees it in the word that
 * results, puts the message away. It is the consumer's no longer SCHEDULED, and
 * the other's LEFT.
 */
AO_t mailbox_sever(AO_t *xword, bool is_counted);

/* The other party has left the message; the word that results. */
AO_t mailbox_leave(AO_t *xword);

/* The consumer has left the mailbox; the word that results. */
AO_t mailbox_resign(AO_t *xword);

/*
 * A signal was raised elsewhere: make the consumer look. True if the caller
 * makes it runnable. A closed mailbox is left alone: its consumer runs, or is
 * no more.
 */
bool mailbox_signal(AO_t *xword);

/* Consumer: about to look for signals; those raised before are seen then. */
void mailbox_clear_signal(AO_t *xword);

/* Under the lock of the list, which is empty. */
void mailbox_clear_waiters(AO_t *xword);

#endif
