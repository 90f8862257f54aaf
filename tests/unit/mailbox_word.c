/* SPDX-License-Identifier: MIT */
/*
 * mailbox_word - does the one word keep bound, flags and messages together?
 *
 * The mailbox itself, without actors: each operation from each state it can
 * meet. What actors see of it is in mailbox.c beside this file.
 */
#include <stdlib.h>

#include "mailbox/mailbox.h"
#include "tests/check.h"

#define N 300

static AO_t word;
static struct message *messages; /* N of them, aligned like blocks */

static void begin(void)
{
	word = 0;
	messages = aligned_alloc(CACHE_LINE, N * sizeof(*messages));
	cr_assert_not_null(messages);
	for (unsigned i = 0; i < N; i++)
		messages[i] = (struct message){.tag = (uint16_t)i};
}

static void end(void)
{
	free(messages);
}

static enum mailbox_push push(unsigned i, unsigned capacity)
{
	return mailbox_push(&word, &messages[i], capacity,
			    mailbox_flags_of(&messages[i]));
}

static void expect_word(const struct message *newest, unsigned count,
			AO_t flags)
{
	cr_assert_eq(mailbox_newest(word), newest);
	cr_assert_eq(mailbox_count(word), count);
	cr_assert_eq(word & MAILBOX_FLAGS, flags, "flags %lx not %lx",
		     word & MAILBOX_FLAGS, flags);
}

/* messages[first + n - 1] ... messages[first]: newest first, then nothing. */
static void expect_chain(const struct message *newest, unsigned first,
			 unsigned n)
{
	for (unsigned i = n; i > 0; i--) {
		cr_assert_eq(newest, &messages[first + i - 1]);
		newest = newest->next;
	}
	cr_assert_null(newest);
}

/* ---- push and take ---- */

Test(mailbox_word, zero_is_an_empty_idle_mailbox, .init = begin, .fini = end)
{
	expect_word(NULL, 0, 0);
	cr_assert_null(mailbox_take(&word, &(bool){false}));
	expect_word(NULL, 0, 0);
}

Test(mailbox_word, first_push_makes_runnable_the_others_do_not, .init = begin,
     .fini = end)
{
	cr_assert_eq(push(0, 64), MAILBOX_AWAKENED);
	for (unsigned i = 1; i < 10; i++)
		cr_assert_eq(push(i, 64), MAILBOX_PUSHED);
	expect_word(&messages[9], 10, MAILBOX_SCHEDULED);
}

Test(mailbox_word, take_takes_all_newest_first, .init = begin, .fini = end)
{
	for (unsigned n = 1; n < 20; n++) {
		for (unsigned i = 0; i < n; i++)
			push(i, 64);
		expect_chain(mailbox_take(&word, &(bool){false}), 0, n);
		/* Still in the consumer's hand: they count, and it runs. */
		expect_word(NULL, n, MAILBOX_SCHEDULED);
		cr_assert_null(mailbox_take(&word, &(bool){false}));
		cr_assert(mailbox_idle(&word, n));
		expect_word(NULL, 0, 0);
	}
}

static void expect_bound(unsigned capacity)
{
	unsigned n = 0;
	AO_t full;

	word = 0;
	while (push(n % N, capacity) < MAILBOX_FULL)
		n++;
	cr_assert_eq(n, capacity);
	full = word;
	cr_assert_eq(push(n % N, capacity), MAILBOX_FULL);
	cr_assert_eq(word, full, "a refused push changed the mailbox");
	mailbox_take(&word, &(bool){false});
	cr_assert_eq(push(0, capacity), MAILBOX_FULL, "taken is not handled");
	cr_assert_not(mailbox_credit(&word, 1));
	cr_assert_eq(push(0, capacity), MAILBOX_PUSHED);
	cr_assert_eq(push(1, capacity), MAILBOX_FULL);
	mailbox_take(&word, &(bool){false});
	cr_assert(mailbox_idle(&word, capacity));
	expect_word(NULL, 0, 0);
}

Test(mailbox_word, bound_is_exact, .init = begin, .fini = end)
{
	static const unsigned capacities[] = {1,  2,   3,   4,	  63,	 64,
					      65, 255, 256, 1000, 32766, 32767};

	for (size_t i = 0; i < sizeof(capacities) / sizeof(*capacities); i++)
		expect_bound(capacities[i]);
}

Test(mailbox_word, refused_message_stays_the_callers, .init = begin,
     .fini = end)
{
	push(0, 1);
	messages[1].tag = 77;
	cr_assert_eq(push(1, 1), MAILBOX_FULL);
	cr_assert_eq(messages[1].tag, 77);
	expect_chain(mailbox_take(&word, &(bool){false}), 0, 1);
}

Test(mailbox_word, addresses_to_the_last_bit, .init = begin, .fini = end)
{
	AO_t top = ((AO_t)1 << 47) - 64;

	/* Never dereferenced: a block may lie anywhere below 2^47. */
	word = top | MAILBOX_SCHEDULED | (AO_t)UINT16_MAX << 48;
	cr_assert_eq((AO_t)mailbox_newest(word), top);
	cr_assert_eq(mailbox_count(word), UINT16_MAX);
	cr_assert_eq((AO_t)mailbox_take(&word, &(bool){false}), top);
	expect_word(NULL, UINT16_MAX, MAILBOX_SCHEDULED);
}

/* ---- idle and credit ---- */

Test(mailbox_word, idle_gives_back_what_is_due, .init = begin, .fini = end)
{
	for (unsigned i = 0; i < 5; i++)
		push(i, 64);
	mailbox_take(&word, &(bool){false});
	cr_assert_not(mailbox_credit(&word, 2));
	expect_word(NULL, 3, MAILBOX_SCHEDULED);
	cr_assert(mailbox_idle(&word, 2));
	/* One is leased out or in hand elsewhere: idle all the same. */
	expect_word(NULL, 1, 0);
	cr_assert_eq(push(0, 64), MAILBOX_AWAKENED);
	expect_word(&messages[0], 2, MAILBOX_SCHEDULED);
}

Test(mailbox_word, never_idle_on_a_message, .init = begin, .fini = end)
{
	AO_t before;

	push(0, 64);
	mailbox_take(&word, &(bool){false});
	push(1, 64);
	before = word;
	cr_assert_not(mailbox_idle(&word, 1));
	cr_assert_eq(word, before);
	expect_chain(mailbox_take(&word, &(bool){false}), 1, 1);
	cr_assert(mailbox_idle(&word, 2));
}

Test(mailbox_word, never_idle_while_someone_waits_for_room, .init = begin,
     .fini = end)
{
	AO_t before;

	push(0, 1);
	cr_assert_eq(mailbox_push_or_wait(&word, &messages[1], 1),
		     MAILBOX_FULL);
	mailbox_take(&word, &(bool){false});
	before = word;
	cr_assert_not(mailbox_idle(&word, 1));
	cr_assert_eq(word, before);
	mailbox_clear_waiters(&word);
	cr_assert(mailbox_idle(&word, 1));
}

Test(mailbox_word, never_idle_on_a_signal, .init = begin, .fini = end)
{
	AO_t before;

	push(0, 1);
	mailbox_take(&word, &(bool){false});
	cr_assert_not(mailbox_signal(&word));
	before = word;
	cr_assert_not(mailbox_idle(&word, 1));
	cr_assert_eq(word, before);
	mailbox_clear_signal(&word);
	cr_assert(mailbox_idle(&word, 1));
}

Test(mailbox_word, credit_says_whether_someone_waits, .init = begin,
     .fini = end)
{
	for (unsigned i = 0; i < 4; i++)
		push(i, 4);
	mailbox_take(&word, &(bool){false});
	cr_assert_not(mailbox_credit(&word, 1));
	push(4, 4);
	mailbox_push_or_wait(&word, &messages[5], 4);
	cr_assert(mailbox_credit(&word, 2));
	expect_word(&messages[4], 2, MAILBOX_SCHEDULED | MAILBOX_WAITERS);
}

/* ---- lanes ---- */

Test(mailbox_word, urgent_is_seen_until_it_is_taken, .init = begin, .fini = end)
{
	messages[1].flags = MESSAGE_URGENT;
	push(0, 64);
	expect_word(&messages[0], 1, MAILBOX_SCHEDULED);
	push(1, 64);
	push(2, 64);
	expect_word(&messages[2], 3, MAILBOX_SCHEDULED | MAILBOX_URGENT);
	mailbox_credit(&word, 1);
	cr_assert(word & MAILBOX_URGENT);
	mailbox_take(&word, &(bool){false});
	expect_word(NULL, 2, MAILBOX_SCHEDULED);
	cr_assert_eq(mailbox_push_over(&word, &messages[1]), MAILBOX_PUSHED);
	expect_word(&messages[1], 3, MAILBOX_SCHEDULED | MAILBOX_URGENT);
	mailbox_take(&word, &(bool){false});
	mailbox_push_or_wait(&word, &messages[1], 64);
	cr_assert(word & MAILBOX_URGENT);
}

Test(mailbox_word, urgent_keeps_the_bound, .init = begin, .fini = end)
{
	push(0, 1);
	messages[1].flags = MESSAGE_URGENT;
	cr_assert_eq(push(1, 1), MAILBOX_FULL);
	expect_word(&messages[0], 1, MAILBOX_SCHEDULED);
}

/* ---- beyond the bound ---- */

Test(mailbox_word, over_passes_the_bound_and_counts, .init = begin, .fini = end)
{
	cr_assert_eq(mailbox_push_over(&word, &messages[0]), MAILBOX_AWAKENED);
	for (unsigned i = 1; i < 10; i++)
		cr_assert_eq(mailbox_push_over(&word, &messages[i]),
			     MAILBOX_PUSHED);
	expect_word(&messages[9], 10, MAILBOX_SCHEDULED);
	cr_assert_eq(push(10, 4), MAILBOX_FULL);
	expect_chain(mailbox_take(&word, &(bool){false}), 0, 10);
}

Test(mailbox_word, uncounted_messages_take_no_room, .init = begin, .fini = end)
{
	push(0, 2);
	messages[1].flags = MESSAGE_UNCOUNTED;
	messages[2].flags = MESSAGE_UNCOUNTED | MESSAGE_URGENT;
	cr_assert_eq(mailbox_push_over(&word, &messages[1]), MAILBOX_PUSHED);
	cr_assert_eq(mailbox_push_over(&word, &messages[2]), MAILBOX_PUSHED);
	expect_word(&messages[2], 1, MAILBOX_SCHEDULED | MAILBOX_URGENT);
	cr_assert_eq(push(3, 2), MAILBOX_PUSHED);
	expect_chain(mailbox_take(&word, &(bool){false}), 0, 4);
	cr_assert(mailbox_idle(&word, 2));
	expect_word(NULL, 0, 0);
	cr_assert_eq(mailbox_push_over(&word, &messages[1]), MAILBOX_AWAKENED);
	expect_word(&messages[1], 0, MAILBOX_SCHEDULED);
}

Test(mailbox_word, over_passes_waiters_too, .init = begin, .fini = end)
{
	push(0, 1);
	mailbox_push_or_wait(&word, &messages[1], 1);
	cr_assert_eq(mailbox_push_over(&word, &messages[1]), MAILBOX_PUSHED);
	expect_word(&messages[1], 2, MAILBOX_SCHEDULED | MAILBOX_WAITERS);
}

/* One more would run into the next mailbox's count: zero, without a bound. */
Test(mailbox_word, count_ends_at_its_maximum, .init = begin, .fini = end)
{
	AO_t before;

	word = (AO_t)(MAILBOX_MAX_COUNT - 1) << 48 | MAILBOX_SCHEDULED;
	cr_assert_eq(mailbox_push_over(&word, &messages[0]), MAILBOX_PUSHED);
	before = word;
	cr_assert_eq(mailbox_push_over(&word, &messages[1]), MAILBOX_FULL);
	cr_assert_eq(word, before);
	messages[2].flags = MESSAGE_UNCOUNTED;
	cr_assert_eq(mailbox_push_over(&word, &messages[2]), MAILBOX_PUSHED);
	expect_word(&messages[2], MAILBOX_MAX_COUNT, MAILBOX_SCHEDULED);
}

/* ---- waiters ---- */

Test(mailbox_word, waiter_pushes_if_there_is_room_after_all, .init = begin,
     .fini = end)
{
	cr_assert_eq(mailbox_push_or_wait(&word, &messages[0], 2),
		     MAILBOX_AWAKENED);
	cr_assert_eq(mailbox_push_or_wait(&word, &messages[1], 2),
		     MAILBOX_PUSHED);
	expect_word(&messages[1], 2, MAILBOX_SCHEDULED);
	cr_assert_eq(mailbox_push_or_wait(&word, &messages[2], 2),
		     MAILBOX_FULL);
	expect_word(&messages[1], 2, MAILBOX_SCHEDULED | MAILBOX_WAITERS);
	expect_chain(mailbox_take(&word, &(bool){false}), 0, 2);
}

Test(mailbox_word, nobody_takes_room_before_a_waiter, .init = begin,
     .fini = end)
{
	push(0, 2);
	push(1, 2);
	mailbox_push_or_wait(&word, &messages[2], 2);
	mailbox_take(&word, &(bool){false});
	mailbox_credit(&word, 2);
	/* There is room, but not for those who come now. */
	cr_assert_eq(push(3, 2), MAILBOX_FULL);
	cr_assert_eq(mailbox_push_or_wait(&word, &messages[3], 2),
		     MAILBOX_FULL);
	expect_word(NULL, 0, MAILBOX_SCHEDULED | MAILBOX_WAITERS);
	mailbox_clear_waiters(&word);
	cr_assert_eq(push(3, 2), MAILBOX_PUSHED);
}

/* ---- close ---- */

Test(mailbox_word, closed_accepts_nothing, .init = begin, .fini = end)
{
	AO_t before;

	push(0, 2);
	expect_chain(mailbox_newest(mailbox_close(&word, MAILBOX_CLOSED)), 0,
		     1);
	expect_word(NULL, 1, MAILBOX_SCHEDULED | MAILBOX_CLOSED);
	before = word;
	messages[2].flags = MESSAGE_UNCOUNTED;
	for (int full = 0; full < 2; full++) {
		cr_assert_eq(push(1, 2), MAILBOX_IS_CLOSED);
		cr_assert_eq(mailbox_push_or_wait(&word, &messages[1], 2),
			     MAILBOX_IS_CLOSED);
		cr_assert_eq(mailbox_push_over(&word, &messages[1]),
			     MAILBOX_IS_CLOSED);
		cr_assert_eq(mailbox_push_over(&word, &messages[2]),
			     MAILBOX_IS_CLOSED);
		cr_assert_not(mailbox_signal(&word));
		cr_assert_eq(word, before);
		/* Closed comes before full, and before waiters. */
		word = before = before + MAILBOX_ONE;
	}
	word = before = before | MAILBOX_WAITERS;
	cr_assert_eq(push(1, 2), MAILBOX_IS_CLOSED);
	cr_assert_eq(mailbox_push_or_wait(&word, &messages[1], 2),
		     MAILBOX_IS_CLOSED);
	cr_assert_eq(word, before);
}

Test(mailbox_word, closing_takes_what_it_holds, .init = begin, .fini = end)
{
	for (unsigned i = 0; i < 5; i++)
		push(i, 64);
	expect_chain(mailbox_newest(mailbox_close(&word, MAILBOX_CLOSED)), 0,
		     5);
	cr_assert_null(mailbox_take(&word, &(bool){false}));
	cr_assert(mailbox_idle(&word, 5));
	expect_word(NULL, 0, MAILBOX_CLOSED);
	cr_assert_eq(push(0, 64), MAILBOX_IS_CLOSED);
}

/* ---- chains ---- */

/* Link messages as a sender does: newest first. */
static struct mailbox_chain chain_of(unsigned first, unsigned n, unsigned lease)
{
	struct mailbox_chain chain = {.n = n, .lease = lease};

	for (unsigned i = first; i < first + n; i++) {
		messages[i].next = chain.newest;
		if (!chain.newest)
			chain.oldest = &messages[i];
		chain.newest = &messages[i];
	}
	return chain;
}

Test(mailbox_word, leases_half_of_the_room, .init = begin, .fini = end)
{
	unsigned lease;

	for (unsigned capacity = 1; capacity < 1000; capacity++) {
		unsigned half = (capacity - 1) / 2;

		word = 0;
		cr_assert_eq(mailbox_push_leasing(&word, &messages[0], capacity,
						  &lease),
			     MAILBOX_AWAKENED);
		cr_assert_eq(lease, half < 4 ? 0 : half < 62 ? half : 62);
		expect_word(&messages[0], 1 + lease, MAILBOX_SCHEDULED);
	}
}

Test(mailbox_word, leases_nothing_where_a_push_fails, .init = begin,
     .fini = end)
{
	unsigned lease = 9;

	for (unsigned i = 0; i < 8; i++)
		push(i, 8);
	cr_assert_eq(mailbox_push_leasing(&word, &messages[8], 8, &lease),
		     MAILBOX_FULL);
	cr_assert_eq(lease, 0);
	mailbox_push_or_wait(&word, &messages[8], 8);
	cr_assert_eq(mailbox_push_leasing(&word, &messages[9], 100, &lease),
		     MAILBOX_FULL);
	mailbox_close(&word, MAILBOX_CLOSED);
	lease = 9;
	cr_assert_eq(mailbox_push_leasing(&word, &messages[9], 100, &lease),
		     MAILBOX_IS_CLOSED);
	cr_assert_eq(lease, 0);
}

Test(mailbox_word, a_chain_comes_behind_what_is_there, .init = begin,
     .fini = end)
{
	struct mailbox_chain chain = chain_of(2, 5, 5);
	bool awakened;

	push(0, 64);
	push(1, 64);
	word += 5 * MAILBOX_ONE;
	mailbox_push_chain(&word, &chain, 64, false, &awakened);
	cr_assert_not(awakened);
	cr_assert_null(chain.newest);
	cr_assert_eq(chain.lease, 0);
	expect_word(&messages[6], 7, MAILBOX_SCHEDULED);
	expect_chain(mailbox_take(&word, &(bool){false}), 0, 7);
}

Test(mailbox_word, a_chain_wakes_an_idle_consumer, .init = begin, .fini = end)
{
	struct mailbox_chain chain = chain_of(0, 3, 5);
	bool awakened;

	word = 5 * MAILBOX_ONE; /* idle, with a lease */
	mailbox_push_chain(&word, &chain, 64, false, &awakened);
	cr_assert(awakened);
	expect_word(&messages[2], 3, MAILBOX_SCHEDULED);
	expect_chain(mailbox_take(&word, &(bool){false}), 0, 3);
}

Test(mailbox_word, an_unused_lease_is_given_back, .init = begin, .fini = end)
{
	struct mailbox_chain chain = {.lease = 5};
	bool awakened;

	word = 5 * MAILBOX_ONE;
	mailbox_push_chain(&word, &chain, 64, false, &awakened);
	cr_assert_not(awakened);
	expect_word(NULL, 0, 0);

	/* Those who wait for room wait for the consumer to grant it. */
	word = 5 * MAILBOX_ONE | MAILBOX_WAITERS;
	chain.lease = 5;
	mailbox_push_chain(&word, &chain, 64, false, &awakened);
	cr_assert(awakened);
	expect_word(NULL, 0, MAILBOX_WAITERS | MAILBOX_SCHEDULED);
}

Test(mailbox_word, a_full_chain_leases_again, .init = begin, .fini = end)
{
	struct mailbox_chain chain = chain_of(0, 10, 10);
	bool awakened;

	word = 10 * MAILBOX_ONE;
	mailbox_push_chain(&word, &chain, 50, true, &awakened);
	cr_assert(awakened);
	cr_assert_eq(chain.n, 0);
	cr_assert_eq(chain.lease, 20); /* half of 40 */
	expect_word(&messages[9], 30, MAILBOX_SCHEDULED);

	/* Not where somebody waits. */
	word |= MAILBOX_WAITERS;
	chain = chain_of(10, 10, 20);
	mailbox_push_chain(&word, &chain, 50, true, &awakened);
	cr_assert_eq(chain.lease, 0);
	expect_word(&messages[19], 20, MAILBOX_SCHEDULED | MAILBOX_WAITERS);
}

Test(mailbox_word, a_closed_mailbox_takes_chains_until_it_ends, .init = begin,
     .fini = end)
{
	struct mailbox_chain chain = chain_of(0, 3, 5);
	bool awakened;
	AO_t before;

	word = 10 * MAILBOX_ONE | MAILBOX_CLOSED;
	mailbox_push_chain(&word, &chain, 64, true, &awakened);
	cr_assert(awakened);
	cr_assert_eq(chain.lease, 0, "nothing more is let in");
	expect_word(&messages[2], 8, MAILBOX_SCHEDULED | MAILBOX_CLOSED);

	mailbox_close(&word, MAILBOX_CLOSED | MAILBOX_ENDED);
	chain = chain_of(3, 3, 5);
	before = word;
	cr_assert_eq(mailbox_push_chain(&word, &chain, 64, true, &awakened),
		     before);
	cr_assert_not(awakened);
	cr_assert_eq(chain.n, 3, "they are still the caller's");
	cr_assert_eq(chain.newest, &messages[5]);
	cr_assert_eq(chain.lease, 0);
	expect_word(NULL, 3,
		    MAILBOX_SCHEDULED | MAILBOX_CLOSED | MAILBOX_ENDED);

	/* The last lease wakes one that is closed: it may end now. */
	word = 2 * MAILBOX_ONE | MAILBOX_CLOSED;
	chain = (struct mailbox_chain){.lease = 2};
	mailbox_push_chain(&word, &chain, 64, false, &awakened);
	cr_assert(awakened);
	expect_word(NULL, 0, MAILBOX_SCHEDULED | MAILBOX_CLOSED);
}

/* ---- signals ---- */

Test(mailbox_word, signal_makes_an_idle_consumer_look, .init = begin,
     .fini = end)
{
	cr_assert(mailbox_signal(&word));
	expect_word(NULL, 0, MAILBOX_SCHEDULED | MAILBOX_SIGNALLED);
	cr_assert_not(mailbox_signal(&word), "it is runnable already");
	cr_assert_eq(push(0, 64), MAILBOX_PUSHED);
	mailbox_clear_signal(&word);
	expect_word(&messages[0], 1, MAILBOX_SCHEDULED);
	cr_assert_not(mailbox_signal(&word));
	expect_word(&messages[0], 1, MAILBOX_SCHEDULED | MAILBOX_SIGNALLED);
}

Test(mailbox_word, closing_tells_how_it_was, .init = begin, .fini = end)
{
	AO_t before;

	messages[0].flags = MESSAGE_URGENT;
	push(0, 1);
	mailbox_push_or_wait(&word, &messages[1], 1);
	mailbox_signal(&word);
	before = word;
	cr_assert_eq(mailbox_close(&word, MAILBOX_CLOSED), before);
	expect_word(NULL, 1,
		    MAILBOX_SCHEDULED | MAILBOX_WAITERS | MAILBOX_SIGNALLED |
			    MAILBOX_CLOSED);
	before = word;
	cr_assert_eq(mailbox_close(&word, MAILBOX_CLOSED), before);
	cr_assert_eq(word, before);
}

Test(mailbox_word, take_keeps_all_flags_but_urgent, .init = begin, .fini = end)
{
	messages[0].flags = MESSAGE_URGENT;
	push(0, 1);
	mailbox_push_or_wait(&word, &messages[1], 1);
	mailbox_signal(&word);
	mailbox_take(&word, &(bool){false});
	expect_word(NULL, 1,
		    MAILBOX_SCHEDULED | MAILBOX_WAITERS | MAILBOX_SIGNALLED);
	mailbox_close(&word, MAILBOX_CLOSED);
	expect_word(NULL, 1,
		    MAILBOX_SCHEDULED | MAILBOX_WAITERS | MAILBOX_SIGNALLED |
			    MAILBOX_CLOSED);
	mailbox_clear_waiters(&word);
	mailbox_clear_signal(&word);
	expect_word(NULL, 1, MAILBOX_SCHEDULED | MAILBOX_CLOSED);
}

/* ---- against a model ---- */

struct model {
	unsigned queue[N];
	unsigned n_queued;
	unsigned in_hand;
	unsigned next; /* message to push */
	bool scheduled, waiters, closed, signalled, urgent;
};

static enum mailbox_push model_push(struct model *model, bool refused,
				    unsigned i)
{
	bool was_scheduled = model->scheduled;

	if (model->closed)
		return MAILBOX_IS_CLOSED;
	if (refused)
		return MAILBOX_FULL;
	model->queue[model->n_queued++] = i;
	model->urgent |= messages[i].flags & MESSAGE_URGENT;
	model->scheduled = true;
	model->next++;
	return was_scheduled ? MAILBOX_PUSHED : MAILBOX_AWAKENED;
}

/* All that is queued, newest first. */
static void model_takes(struct model *model, struct message *message)
{
	while (model->n_queued > 0) {
		cr_assert_eq(message,
			     &messages[model->queue[--model->n_queued]]);
		message = message->next;
		model->in_hand++;
	}
	cr_assert_null(message);
	model->urgent = false;
}

static void model_take(struct model *model)
{
	model_takes(model, mailbox_take(&word, &(bool){false}));
}

static void model_close(struct model *model)
{
	model_takes(model,
		    mailbox_newest(mailbox_close(&word, MAILBOX_CLOSED)));
	model->closed = true;
}

static void sender_step(struct model *model, unsigned capacity)
{
	unsigned i = model->next % N;
	unsigned count = model->n_queued + model->in_hand;
	bool full = count >= capacity || model->waiters;

	messages[i].flags = rand() % 8 == 0 ? MESSAGE_URGENT : 0;
	switch (rand() % 8) {
	case 0:
		cr_assert_eq(
			mailbox_push_or_wait(&word, &messages[i], capacity),
			model_push(model, full, i));
		model->waiters |= full && !model->closed;
		break;
	case 1:
		if (count < N)
			cr_assert_eq(mailbox_push_over(&word, &messages[i]),
				     model_push(model, false, i));
		break;
	case 2:
		cr_assert_eq(mailbox_signal(&word),
			     !model->closed && !model->scheduled);
		if (!model->closed)
			model->scheduled = model->signalled = true;
		break;
	default:
		cr_assert_eq(push(i, capacity), model_push(model, full, i));
	}
}

static void consumer_step(struct model *model)
{
	unsigned n = model->in_hand ? (unsigned)rand() % model->in_hand : 0;
	bool can_idle =
		!model->n_queued && !model->waiters && !model->signalled;

	switch (rand() % 6) {
	case 0:
		model_take(model);
		break;
	case 1:
		cr_assert_eq(mailbox_credit(&word, n), model->waiters);
		model->in_hand -= n;
		break;
	case 2:
		mailbox_clear_waiters(&word);
		model->waiters = false;
		break;
	case 3:
		mailbox_clear_signal(&word);
		model->signalled = false;
		break;
	default:
		cr_assert_eq(mailbox_idle(&word, model->in_hand), can_idle);
		if (!can_idle)
			break;
		model->in_hand = 0;
		model->scheduled = false;
	}
}

static void expect_model(const struct model *model)
{
	expect_word(model->n_queued
			    ? &messages[model->queue[model->n_queued - 1]]
			    : NULL,
		    model->n_queued + model->in_hand,
		    (model->scheduled ? MAILBOX_SCHEDULED : 0) |
			    (model->urgent ? MAILBOX_URGENT : 0) |
			    (model->waiters ? MAILBOX_WAITERS : 0) |
			    (model->closed ? MAILBOX_CLOSED : 0) |
			    (model->signalled ? MAILBOX_SIGNALLED : 0));
	/* I1 */
	cr_assert(!model->n_queued || model->scheduled);
}

static void play(unsigned capacity, unsigned steps)
{
	static struct model model;

	model = (struct model){.next = 0};
	word = 0;
	for (unsigned i = 0; i < steps; i++) {
		if (model.scheduled && rand() % 2)
			consumer_step(&model);
		else
			sender_step(&model, capacity);
		if (i == steps - 50) {
			model_close(&model);
		}
		expect_model(&model);
	}
}

Test(mailbox_word, does_as_a_list_with_flags_would, .init = begin, .fini = end)
{
	srand(8);
	for (unsigned capacity = 1; capacity <= 64; capacity *= 2)
		for (int round = 0; round < 100; round++)
			play(capacity, 1000);
}
