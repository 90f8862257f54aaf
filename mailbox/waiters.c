/* SPDX-License-Identifier: MIT */
/*
 * waiters - turns and threads that wait at a mailbox, in their order
 *
 * A grant delivers: the consumer claims the wait, links the waiter's message
 * itself, and then ends the wait. So a waiter whose thread is stuck cannot hold
 * room that it was given, and its next send cannot overtake this one.
 * A waiter whose wait was ended by someone else (deadline, cancel) is skipped;
 * it finds out under the lock that it is in no list any more.
 */
#include "mailbox/waiters.h"

#include "mailbox/mailbox.h"

void waiters_init(struct waiters *waiters)
{
	waiters->first = NULL;
	waiters->last = &waiters->first;
}

void waiters_append(struct waiters *waiters, struct waiter *waiter)
{
	waiter->next = NULL;
	waiter->prev = waiters->last;
	*waiters->last = waiter;
	waiters->last = &waiter->next;
}

void waiters_remove(struct waiters *waiters, struct waiter *waiter)
{
	*waiter->prev = waiter->next;
	if (waiter->next)
		waiter->next->prev = waiter->prev;
	else
		waiters->last = waiter->prev;
	waiter->prev = NULL;
}

/* Take the first out; append it to the chain if its wait could be won. */
static struct waiter **claim_first(struct waiters *waiters,
				   struct waiter **chain_end)
{
	struct waiter *waiter = waiters->first;

	waiters_remove(waiters, waiter);
	if (!wait_claim(waiter->ticket))
		return chain_end; /* not to be touched from here on */
	waiter->next = NULL;
	*chain_end = waiter;
	return &waiter->next;
}

struct waiter *waiters_grant(struct waiters *waiters, AO_t *xmail,
			     unsigned capacity)
{
	struct waiter *chain = NULL, **end = &chain;

	/* Relaxed: only we, the consumer, lower the count. */
	while (waiters->first && mailbox_count(AO_load(xmail)) < capacity) {
		struct waiter *waiter = waiters->first;
		struct waiter **before = end;

		end = claim_first(waiters, end);
		if (end != before)
			mailbox_push_over(xmail, waiter->message);
	}
	if (!waiters->first)
		mailbox_clear_waiters(xmail);
	return chain;
}

struct waiter *waiters_claim_all(struct waiters *waiters)
{
	struct waiter *chain = NULL, **end = &chain;

	while (waiters->first)
		end = claim_first(waiters, end);
	return chain;
}

void waiters_finish(struct waiter *chain, int result)
{
	while (chain) {
		struct waiter *waiter = chain;

		chain = waiter->next;
		/* *waiter is gone once its owner sees the end. */
		wait_finish(waiter->ticket.wait, result);
	}
}
