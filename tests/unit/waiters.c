/* SPDX-License-Identifier: MIT */
/*
 * waiters - do grants deliver, in order, to those who still wait?
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mailbox/mailbox.h"
#include "mailbox/waiters.h"
#include "tests/check.h"

#define N 8

static struct waiters list;
static struct waiter waiters[N];
static struct wait waits[N];
static struct message *messages; /* N to wait with, then one to fill up */
static AO_t mail;
static unsigned n_woken;

static void wake(struct wait *wait)
{
	n_woken += wait >= waits && wait < waits + N;
}

static void begin(void)
{
	waiters_init(&list);
	memset(waits, 0, sizeof(waits));
	memset(waiters, 0xff, sizeof(waiters));
	messages = aligned_alloc(CACHE_LINE, (N + 1) * sizeof(*messages));
	memset(messages, 0, (N + 1) * sizeof(*messages));
	for (unsigned i = 0; i < N; i++) {
		waits[i].wake = wake;
		waiters[i].message = &messages[i];
	}
	mail = 0;
	n_woken = 0;
}

static void end(void)
{
	free(messages);
}

/* As a sender does that finds the mailbox full. */
static void join(unsigned i, unsigned capacity)
{
	cr_assert(wait_begin(&waits[i], &waiters[i].ticket));
	cr_assert_eq(mailbox_push_or_wait(&mail, waiters[i].message, capacity),
		     MAILBOX_FULL);
	waiters_append(&list, &waiters[i]);
	cr_assert_not_null(waiters[i].prev);
}

/* A mailbox that is full, and n who wait for room. */
static void fill(unsigned capacity, unsigned n)
{
	mail = capacity * MAILBOX_ONE | MAILBOX_SCHEDULED;
	for (unsigned i = 0; i < n; i++)
		join(i, capacity);
}

static struct waiter *grant(unsigned capacity)
{
	return waiters_grant(&list, &mail, capacity);
}

/* The chain holds those whose bit is set, in order; their waits are won. */
static void expect_chain(const struct waiter *chain, unsigned set)
{
	for (unsigned i = 0; i < N; i++) {
		if (!(set >> i & 1))
			continue;
		cr_assert_eq(chain, &waiters[i], "%u", i);
		cr_assert_null(chain->prev, "it believes it is in the list");
		cr_assert_eq(waits[i].xword & WAIT_STATE_MASK, WAIT_CLAIMED);
		chain = chain->next;
	}
	cr_assert_null(chain);
}

/* The list holds those whose bit is set. */
static void expect_list(unsigned set)
{
	struct waiter **at = &list.first;

	for (unsigned i = 0; i < N; i++) {
		if (!(set >> i & 1))
			continue;
		cr_assert_eq(*at, &waiters[i], "%u", i);
		cr_assert_eq(waiters[i].prev, at);
		cr_assert_eq(waits[i].xword & WAIT_STATE_MASK, WAIT_WAITING);
		at = &waiters[i].next;
	}
	cr_assert_null(*at);
	cr_assert_eq(list.last, at);
	cr_assert_eq((mail & MAILBOX_WAITERS) != 0, set != 0);
}

/* The mailbox holds the messages whose bit is set, in order. */
static void expect_mail(unsigned set)
{
	const struct message *message = mailbox_take(&mail, &(bool){false});

	for (unsigned i = N; i-- > 0;) {
		if (!(set >> i & 1))
			continue;
		cr_assert_eq(message, &messages[i], "%u", i);
		message = message->next;
	}
	cr_assert_null(message);
}

/* Somebody else ends the wait: a deadline, a cancel. */
static void end_elsewhere(unsigned i)
{
	cr_assert(wait_claim(waiters[i].ticket));
	wait_finish(&waits[i], -ETIMEDOUT);
}

/* ---- the list ---- */

Test(waiters, list_keeps_the_order, .init = begin, .fini = end)
{
	fill(1, 5);
	expect_list(0x1f);
}

Test(waiters, any_may_leave, .init = begin, .fini = end)
{
	/* Every set of five, leaving in two orders. */
	for (unsigned set = 1; set < 32; set++)
		for (int backwards = 0; backwards < 2; backwards++) {
			end();
			begin();
			fill(1, 5);
			for (unsigned k = 0; k < 5; k++) {
				unsigned i = backwards ? 4 - k : k;

				if (!(set >> i & 1))
					continue;
				waiters_remove(&list, &waiters[i]);
				cr_assert_null(waiters[i].prev);
			}
			if (set == 31)
				mailbox_clear_waiters(&mail);
			expect_list(31 & ~set);
			if (set != 31)
				mailbox_clear_waiters(&mail);
			/* And the next ones go to the end. */
			mail = MAILBOX_ONE;
			join(5, 1);
			join(6, 1);
			expect_list((31 & ~set) | 0x60);
		}
}

/* ---- grants ---- */

Test(waiters, grant_lets_in_as_many_as_there_is_room_for, .init = begin,
     .fini = end)
{
	for (unsigned room = 0; room <= 6; room++) {
		unsigned in = room < 5 ? room : 5;

		end();
		begin();
		fill(8, 5);
		mailbox_credit(&mail, room);
		expect_chain(grant(8), (1u << in) - 1);
		expect_list(31u & ~((1u << in) - 1));
		cr_assert_eq(mailbox_count(mail), 8 - room + in);
		cr_assert_eq(n_woken, 0, "woken before the lock is released");
		expect_mail((1u << in) - 1);
	}
}

Test(waiters, grant_goes_on_where_the_last_one_stopped, .init = begin,
     .fini = end)
{
	fill(2, 5);
	mailbox_credit(&mail, 1);
	expect_chain(grant(2), 1);
	expect_mail(1);
	cr_assert_null(grant(2));
	mailbox_credit(&mail, 2);
	expect_chain(grant(2), 6);
	expect_mail(6);
	expect_list(0x18);
	mailbox_credit(&mail, 2);
	expect_chain(grant(2), 0x18);
	expect_mail(0x18);
	expect_list(0);
}

Test(waiters, overdrawn_mailbox_lets_nobody_in, .init = begin, .fini = end)
{
	fill(2, 2);
	mailbox_push_over(&mail, &messages[N]);
	mailbox_take(&mail, &(bool){false});
	mailbox_credit(&mail, 1);
	cr_assert_null(grant(2));
	expect_list(3);
	mailbox_credit(&mail, 1);
	expect_chain(grant(2), 1);
}

Test(waiters, grant_skips_those_whose_wait_has_ended, .init = begin,
     .fini = end)
{
	/* Every set of five; there is room for two. */
	for (unsigned gone = 0; gone < 32; gone++) {
		unsigned granted = 0, left = 0, room = 2;

		end();
		begin();
		fill(4, 5);
		for (unsigned i = 0; i < 5; i++) {
			if (gone >> i & 1) {
				end_elsewhere(i);
				/* With room left it is found and dropped. */
				if (room == 0)
					left |= 1u << i;
			} else if (room > 0) {
				granted |= 1u << i;
				room--;
			} else {
				left |= 1u << i;
			}
		}
		mailbox_credit(&mail, 2);
		expect_chain(grant(4), granted);
		expect_mail(granted);
		cr_assert_eq(mailbox_count(mail), 4 - room);
		for (unsigned i = 0; i < 5; i++)
			cr_assert_eq(waiters[i].prev != NULL, left >> i & 1,
				     "%u of %x", i, gone);
		cr_assert_eq((mail & MAILBOX_WAITERS) != 0, left != 0);
	}
}

/* Its stack may be in use for something else by then. */
Test(waiters, who_lost_is_not_touched_any_more, .init = begin, .fini = end)
{
	static const struct waiter empty;
	struct waiter *chain;

	fill(1, 4);
	end_elsewhere(1);
	mailbox_credit(&mail, 1);
	expect_chain(grant(1), 1);
	expect_mail(1);
	mailbox_credit(&mail, 1);
	chain = grant(1);
	expect_chain(chain, 4);
	cr_assert_null(waiters[1].prev);
	memset(&waiters[1], 0, sizeof(waiters[1]));
	waiters_finish(chain, 0);
	expect_mail(4);
	waiters_finish(waiters_claim_all(&list), 0);
	cr_assert_arr_eq(&waiters[1], &empty, sizeof(empty));
	cr_assert_eq(wait_end(&waits[1]), -ETIMEDOUT);
}

Test(waiters, message_is_in_before_its_sender_goes_on, .init = begin,
     .fini = end)
{
	struct waiter *chain;

	fill(1, 1);
	mailbox_credit(&mail, 1);
	chain = grant(1);
	cr_assert_eq(mailbox_newest(mail), &messages[0]);
	cr_assert_eq(mailbox_count(mail), 1);
	cr_assert_not(wait_has_ended(&waits[0]));
	waiters_finish(chain, 0);
	cr_assert(wait_has_ended(&waits[0]));
}

Test(waiters, urgent_messages_come_in_as_such, .init = begin, .fini = end)
{
	messages[0].flags = MESSAGE_URGENT;
	fill(1, 1);
	mailbox_credit(&mail, 1);
	cr_assert_not_null(grant(1));
	cr_assert(mail & MAILBOX_URGENT);
}

/* ---- the end ---- */

Test(waiters, finish_ends_every_wait_of_the_chain, .init = begin, .fini = end)
{
	fill(5, 5);
	mailbox_credit(&mail, 5);
	waiters_finish(grant(5), 3);
	cr_assert_eq(n_woken, 5);
	for (unsigned i = 0; i < 5; i++) {
		cr_assert(wait_has_ended(&waits[i]));
		cr_assert_eq(wait_end(&waits[i]), 3);
	}
	waiters_finish(NULL, 0);
	cr_assert_eq(n_woken, 5);
}

/* The owner may put its waiter to another use as soon as it is woken. */
static void wake_and_forget(struct wait *wait)
{
	struct waiter *waiter = &waiters[wait - waits];

	memset(waiter, 0xee, sizeof(*waiter));
	n_woken++;
}

Test(waiters, finish_is_ready_for_waiters_that_vanish, .init = begin,
     .fini = end)
{
	fill(5, 5);
	for (unsigned i = 0; i < 5; i++)
		waits[i].wake = wake_and_forget;
	mailbox_credit(&mail, 5);
	waiters_finish(grant(5), 0);
	cr_assert_eq(n_woken, 5);
}

Test(waiters, claim_all_empties_the_list, .init = begin, .fini = end)
{
	struct waiter *chain;

	fill(1, 5);
	end_elsewhere(0);
	end_elsewhere(3);
	n_woken = 0;
	chain = waiters_claim_all(&list);
	expect_chain(chain, 0x16);
	cr_assert_null(waiters[0].prev);
	cr_assert_null(waiters[3].prev);
	waiters_finish(chain, -ESRCH);
	cr_assert_eq(n_woken, 3);
	cr_assert_eq(wait_end(&waits[4]), -ESRCH);
	mailbox_clear_waiters(&mail);
	expect_list(0);
	expect_mail(0);
	cr_assert_null(waiters_claim_all(&list));
}
