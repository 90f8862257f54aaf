/* SPDX-License-Identifier: MIT */
/*
 * mailbox_word - many senders, one consumer that several threads take turns at
 *
 * The word without actors. Whoever is told to makes the consumer runnable,
 * which is a counter here, and any of two threads runs it then. What a run
 * leaves to the next one and what a message carries is plain memory, and the
 * counter is relaxed: only the word orders them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/stress/jitter.h"

#include "mailbox/mailbox.c"
#include "mailbox/waiters.c"
#include "sched/wait.c"

#include "mailbox/lane.h"
#include "sched/spin.h"
#include "tests/stress/crowd.h"

#define MAX_SENDERS 5
#define CONSUMERS 2
#define LANES 2

struct sender {
	struct message *messages; /* of its own, one after the other */
	unsigned long n_sent;	  /* accepted */
	unsigned long sent[LANES];
	unsigned long n_refused;
	unsigned long n_waited;
	unsigned long n_late; /* waits that a deadline ended */
	unsigned long n_wrong;
	struct wait wait;
	bool was_closed;
	bool is_stuck;
	char pad[64];
};

static struct sender senders[MAX_SENDERS];
static unsigned n_senders;
static unsigned long n_messages; /* per sender */
static unsigned capacity;
static AO_t xmail;
static AO_t xn_runnable;   /* runs of the consumer that are due */
static AO_t xn_in_run;	   /* never more than 1 */
static AO_t xn_in_mailbox; /* at least so many are counted in the word */
static AO_t xn_handled;
static AO_t xn_sending; /* senders that are not through */
static AO_t xis_over;

/* The consumer's own: whoever runs it. */
static struct {
	struct message *lane[LANES];
	unsigned due;
	unsigned long next[MAX_SENDERS][LANES];
	unsigned long next_place[LANES]; /* of those who stood in line */
	unsigned long n_handled;
	unsigned long n_urgent_takes;
	unsigned long n_wrong;
	AO_t signals_seen;
} consumer;

/* Set by tests before the threads start. */
static void (*grant)(void);
static unsigned long close_after;

static void begin(unsigned n, unsigned room, unsigned long messages)
{
	memset(senders, 0, sizeof(senders));
	memset(&consumer, 0, sizeof(consumer));
	n_senders = n;
	capacity = room;
	n_messages = messages;
	xmail = xn_runnable = xn_in_run = xn_in_mailbox = xn_handled = 0;
	xis_over = 0;
	xn_sending = n;
	grant = NULL;
	close_after = 0;
	for (unsigned i = 0; i < n; i++) {
		senders[i].messages = aligned_alloc(
			CACHE_LINE, messages * sizeof(struct message));
		cr_assert_not_null(senders[i].messages);
	}
}

static bool is_over(void)
{
	return AO_load(&xis_over) != 0; /* relaxed: for its value alone */
}

static void give_up(bool *is_stuck)
{
	*is_stuck = true;
	AO_store(&xis_over, 1);
}

/* ---- the consumer ---- */

static void make_runnable(void)
{
	AO_fetch_and_add1(&xn_runnable); /* relaxed: see the top */
}

/*
 * from: the sender; tag: the lane; generation: its place in what this sender
 * sent there; payload: its place in the line, if it was ready to wait.
 */
static void handle(struct message *message)
{
	unsigned long *next = &consumer.next[message->from][message->tag];
	unsigned long place;

	if (message->generation != *next)
		consumer.n_wrong++;
	++*next;
	if (message->size > 0) {
		memcpy(&place, message->payload, sizeof(place));
		if (place < consumer.next_place[message->tag])
			consumer.n_wrong++;
		consumer.next_place[message->tag] = place + 1;
	}
	consumer.n_handled++;
	consumer.due++;
	AO_fetch_and_add1(&xn_handled);
}

static struct message *pop(void)
{
	struct message *message = lane_pop(&consumer.lane[1]);

	return message ? message : lane_pop(&consumer.lane[0]);
}

static void take(void)
{
	/* Relaxed: a set flag stays until we take. */
	bool is_urgent = (AO_load(&xmail) & MAILBOX_URGENT) != 0;
	struct message *before = consumer.lane[1];

	lanes_fill(&consumer.lane[0], &consumer.lane[1],
		   mailbox_take(&xmail, &(bool){false}), true);
	if (is_urgent && consumer.lane[1] == before)
		consumer.n_wrong++;
	consumer.n_urgent_takes += is_urgent;
}

static void uncount(void)
{
	/* Before the word says so: see count_in(). */
	AO_fetch_and_add(&xn_in_mailbox, -(AO_t)consumer.due);
}

static void give_back(void)
{
	unsigned due = consumer.due;

	if (due == 0)
		return;
	uncount();
	consumer.due = 0;
	if (mailbox_credit(&xmail, due) && grant)
		grant();
}

static AO_t xsignals; /* raised so far */

/* Why could it not go idle? False: it is idle, and not ours any more. */
static bool stay_awake(void)
{
	unsigned due = consumer.due;
	AO_t word;

	uncount();
	consumer.due = 0;
	AO_fetch_and_sub1(&xn_in_run);
	if (mailbox_idle(&xmail, due))
		return false;
	AO_fetch_and_add1(&xn_in_run);
	if (mailbox_credit(&xmail, due) && grant)
		grant();
	/* Relaxed: looked at again in any case. */
	word = AO_load(&xmail);
	if (word & MAILBOX_SIGNALLED) {
		mailbox_clear_signal(&xmail);
		/* Relaxed: the word orders. */
		consumer.signals_seen = AO_load(&xsignals);
	}
	if ((word & MAILBOX_WAITERS) && grant)
		grant();
	return true;
}

static void close_if_due(void)
{
	if (close_after == 0 || consumer.n_handled < close_after)
		return;
	close_after = 0;
	lanes_fill(&consumer.lane[0], &consumer.lane[1],
		   mailbox_newest(mailbox_close(&xmail, MAILBOX_CLOSED)), true);
}

/* One run: until nothing is there, or now and then until a share is used. */
static void consume(void)
{
	unsigned share = 1 + jitter_random() % 100;

	/* As every run begins: what the last one did is seen from here on. */
	AO_load_acquire(&xmail);
	if (AO_fetch_and_add1(&xn_in_run) != 0)
		consumer.n_wrong++;
	for (;;) {
		struct message *message;

		if (!consumer.lane[0] || jitter_random() % 4 == 0)
			take();
		message = pop();
		if (!message) {
			if (!stay_awake())
				return;
			continue;
		}
		handle(message);
		close_if_due();
		if (consumer.due * 4 >= capacity)
			give_back();
		if (--share == 0)
			break;
	}
	give_back();
	AO_fetch_and_sub1(&xn_in_run);
	/* It stays scheduled: the run queue has to order this, not the word. */
	AO_fetch_and_add_release(&xn_runnable, 1);
}

static void run_consumer(void)
{
	while (!is_over()) {
		/* Relaxed: see the top. */
		AO_t n = AO_load(&xn_runnable);

		if (n == 0)
			sched_yield();
		else if (AO_compare_and_swap_acquire(&xn_runnable, n, n - 1))
			consume();
	}
}

/* ---- senders ---- */

/*
 * Called after a push; the consumer counts down before it gives back room. So
 * this is never more than what the word counts, and that is within the bound.
 */
static void count_in(struct sender *self)
{
	AO_t n = AO_fetch_and_add1(&xn_in_mailbox) + 1;

	if ((intptr_t)n > (intptr_t)capacity)
		self->n_wrong++;
}

static struct message *next_message(struct sender *self)
{
	struct message *message = &self->messages[self->n_sent];
	bool is_urgent = jitter_random() % 8 == 0;

	*message = (struct message){
		.from = (uint64_t)(self - senders),
		.tag = is_urgent,
		.flags = is_urgent ? MESSAGE_URGENT : 0,
		.generation = (uint32_t)self->sent[is_urgent],
	};
	return message;
}

/* True if the message was accepted. */
static bool account(struct sender *self, const struct message *message,
		    enum mailbox_push pushed)
{
	if (pushed == MAILBOX_AWAKENED)
		make_runnable();
	if (pushed == MAILBOX_FULL)
		self->n_refused++;
	if (pushed == MAILBOX_IS_CLOSED)
		self->was_closed = true;
	if (pushed > MAILBOX_AWAKENED)
		return false;
	count_in(self);
	self->sent[message->tag]++;
	self->n_sent++;
	return true;
}

static bool try_send(struct sender *self)
{
	struct message *message = next_message(self);

	return account(self, message,
		       mailbox_push(&xmail, message, capacity,
				    mailbox_flags_of(message)));
}

static void send_all(struct sender *self)
{
	struct patience patience = {0};

	while (self->n_sent < n_messages && !self->was_closed && !is_over()) {
		if (try_send(self))
			continue;
		if (!patience_left(&patience, AO_load(&xn_handled) + 1)) {
			give_up(&self->is_stuck);
			return;
		}
		sched_yield();
	}
}

static AO_t n_accepted(void)
{
	AO_t n = 0;

	for (unsigned i = 0; i < n_senders; i++)
		n += senders[i].n_sent;
	return n;
}

/* The last sender waits for the consumer to handle all. */
static void await_end(struct sender *self)
{
	struct patience patience = {0};
	AO_t handled, all;

	/* Full, for the others' n_sent. */
	if (AO_fetch_and_add_full(&xn_sending, (AO_t)-1) != 1)
		return;
	all = n_accepted();
	while ((handled = AO_load(&xn_handled)) < all && !is_over()) {
		if (!patience_left(&patience, handled + 1)) {
			give_up(&self->is_stuck);
			return;
		}
		sched_yield();
	}
	AO_store(&xis_over, 1);
}

static void play(unsigned number)
{
	if (number >= n_senders) {
		run_consumer();
		return;
	}
	send_all(&senders[number]);
	await_end(&senders[number]);
}

/* ---- judging ---- */

static void check_all(void)
{
	unsigned long n_sent = 0, n_wrong = 0;

	for (unsigned i = 0; i < n_senders; i++) {
		cr_assert_not(senders[i].is_stuck, "sender %u waits in vain",
			      i);
		n_sent += senders[i].n_sent;
		n_wrong += senders[i].n_wrong;
		for (unsigned lane = 0; lane < LANES; lane++)
			cr_assert_eq(consumer.next[i][lane],
				     senders[i].sent[lane]);
		free(senders[i].messages);
	}
	cr_assert_eq(n_wrong, 0, "the bound was broken");
	cr_assert_eq(consumer.n_wrong, 0, "the order was broken");
	cr_assert_eq(consumer.n_handled, n_sent);
	cr_assert_gt(consumer.n_urgent_takes, 0);
}

/* The consumer may have been stopped between two runs: let it come to rest. */
static void settle(void)
{
	while (xn_runnable > 0) {
		xn_runnable--;
		consume();
	}
	cr_assert_eq(mailbox_newest(xmail), NULL);
	cr_assert_eq(mailbox_count(xmail), 0);
	cr_assert_eq(xmail & MAILBOX_FLAGS & ~MAILBOX_CLOSED, 0);
}

static void run(unsigned n, unsigned room, unsigned long messages)
{
	begin(n, room, messages);
	crowd_run(n + CONSUMERS, play);
	settle();
	check_all();
}

Test(mailbox_word, one_sender, .timeout = 120)
{
	run(1, 1, check_stress(100000));
	run(1, 64, check_stress(300000));
}

Test(mailbox_word, many_senders_little_room, .timeout = 120)
{
	run(4, 1, check_stress(25000));
	run(4, 2, check_stress(40000));
}

Test(mailbox_word, many_senders, .timeout = 120)
{
	run(5, 7, check_stress(60000));
	run(5, 64, check_stress(120000));
	run(3, 32767, check_stress(100000));
}

/* The common case of an idle mailbox, woken once per message. */
static void send_one_by_one(unsigned number)
{
	struct patience patience = {0};
	struct sender *self;

	if (number >= n_senders) {
		run_consumer();
		return;
	}
	self = &senders[number];
	while (self->n_sent < n_messages && !is_over()) {
		AO_t handled = AO_load(&xn_handled);

		if (handled < self->n_sent) {
			if (!patience_left(&patience, handled + 1))
				give_up(&self->is_stuck);
			sched_yield();
			continue;
		}
		if (!try_send(self))
			self->n_wrong += mailbox_count(xmail) == 0;
	}
	await_end(self);
}

Test(mailbox_word, no_wake_up_is_lost, .timeout = 120)
{
	begin(1, 64, check_stress(200000));
	crowd_run(1 + CONSUMERS, send_one_by_one);
	settle();
	check_all();
}

/* ---- close ---- */

static bool run_and_close(unsigned long after)
{
	unsigned long accepted;
	bool was_closed = false;

	begin(4, 8, 4000);
	close_after = after;
	crowd_run(4 + CONSUMERS, play);
	settle();
	accepted = n_accepted();
	for (unsigned i = 0; i < n_senders; i++)
		was_closed |= senders[i].was_closed;
	check_all();
	cr_assert_geq(accepted, after);
	cr_assert(was_closed);
	cr_assert((xmail & MAILBOX_CLOSED) != 0);
	return consumer.n_handled > after;
}

Test(mailbox_word, what_was_accepted_before_the_close_is_handled,
     .timeout = 120)
{
	unsigned long n = check_stress(100), n_left = 0;

	for (unsigned long i = 0; i < n; i++)
		n_left += run_and_close(100 + i * 37 % 4000);
	cr_assert_gt(n_left, 0, "nothing was there when it was closed");
}

/* ---- signals ---- */

static AO_t xack; /* signals that the consumer has seen */

static void note_signals(void)
{
	/* Relaxed: for its value alone. */
	if (AO_load(&xack) != consumer.signals_seen)
		AO_store(&xack, consumer.signals_seen);
}

/* As run_consumer(), and says what it has seen. It alone runs. */
static void run_signalled(void)
{
	while (!is_over()) {
		AO_t n = AO_load(&xn_runnable);

		if (n == 0)
			sched_yield();
		else if (AO_compare_and_swap_acquire(&xn_runnable, n, n - 1)) {
			consume();
			note_signals();
		}
	}
}

/* Raise one signal after the other, each when the last one was seen. */
static void raise_signals(struct sender *self)
{
	struct patience patience = {0};

	for (AO_t i = 1; i <= n_messages && !is_over();) {
		/* Relaxed: the word orders. */
		AO_store(&xsignals, i);
		if (mailbox_signal(&xmail))
			make_runnable();
		while (AO_load(&xack) < i && !is_over()) {
			if (!patience_left(&patience, i))
				give_up(&self->is_stuck);
			sched_yield();
		}
		i++;
	}
	await_end(self);
}

static void play_signals(unsigned number)
{
	if (number == 0)
		raise_signals(&senders[0]);
	else if (number < n_senders)
		play(number);
	else
		run_signalled();
}

Test(mailbox_word, no_signal_is_lost, .timeout = 120)
{
	AO_store(&xsignals, 0);
	AO_store(&xack, 0);
	begin(3, 4, check_stress(30000));
	crowd_run(3 + 1, play_signals);
	settle();
	check_all();
	cr_assert_eq(consumer.signals_seen, n_messages);
}

/* ---- waiting for room ---- */

static AO_TS_t list_lock;
static struct waiters list;
static unsigned long next_place;	    /* under the lock */
static struct waiter *in_line[MAX_SENDERS]; /* under the lock: who can be told
					       that the time is up */

static void wake_nobody(struct wait *wait)
{
	(void)wait; /* senders look for themselves */
}

static void grant_room(void)
{
	struct waiter *chain;

	spin_lock(&list_lock);
	chain = waiters_grant(&list, &xmail, capacity);
	spin_unlock(&list_lock);
	waiters_finish(chain, 0);
}

static bool join_line(struct sender *self, struct waiter *waiter,
		      enum mailbox_push *pushed)
{
	struct message *message = waiter->message;

	spin_lock(&list_lock);
	message->size = sizeof(next_place);
	memcpy(message->payload, &next_place, sizeof(next_place));
	next_place++;
	*pushed = mailbox_push_or_wait(&xmail, message, capacity);
	if (*pushed == MAILBOX_FULL) {
		waiters_append(&list, waiter);
		in_line[self - senders] = waiter;
	}
	spin_unlock(&list_lock);
	return *pushed == MAILBOX_FULL;
}

static void leave_line(struct sender *self, struct waiter *waiter)
{
	spin_lock(&list_lock);
	in_line[self - senders] = NULL;
	if (waiter->prev) {
		waiters_remove(&list, waiter);
		if (!list.first)
			mailbox_clear_waiters(&xmail);
	}
	spin_unlock(&list_lock);
}

static bool see_through(struct sender *self)
{
	struct patience patience = {0};

	while (!wait_has_ended(&self->wait)) {
		if (!patience_left(&patience, AO_load(&xn_handled) + 1)) {
			give_up(&self->is_stuck);
			return false;
		}
		sched_yield();
	}
	return true;
}

/* A send that waits, as core/send does it. */
static void send_waiting(struct sender *self)
{
	struct message *message = next_message(self);
	struct waiter waiter = {.message = message};
	enum mailbox_push pushed;
	int result;

	if (!wait_begin(&self->wait, &waiter.ticket)) {
		self->n_wrong++;
		return;
	}
	if (!join_line(self, &waiter, &pushed)) {
		if (!wait_retract(waiter.ticket))
			self->n_wrong++;
		account(self, message, pushed);
		return;
	}
	if (!see_through(self))
		return;
	leave_line(self, &waiter);
	self->n_waited++;
	result = wait_end(&self->wait);
	if (result == 0) {
		count_in(self);
		self->sent[message->tag]++;
		self->n_sent++;
	} else if (result == -ETIMEDOUT) {
		self->n_late++;
	} else {
		self->n_wrong++;
	}
}

/* Tell one of the waiters that its time is up. */
static void end_somebodys_wait(void)
{
	unsigned i = jitter_random() % n_senders;
	struct wait_ticket ticket = {NULL, 0};

	spin_lock(&list_lock);
	if (in_line[i])
		ticket = in_line[i]->ticket;
	spin_unlock(&list_lock);
	if (ticket.wait && wait_claim(ticket))
		wait_finish(ticket.wait, -ETIMEDOUT);
}

static void send_all_waiting(struct sender *self)
{
	while (self->n_sent < n_messages && !is_over())
		if (jitter_random() % 4 || !try_send(self))
			send_waiting(self);
}

static void play_waiting(unsigned number)
{
	if (number < n_senders) {
		send_all_waiting(&senders[number]);
		await_end(&senders[number]);
	} else if (number < n_senders + CONSUMERS) {
		run_consumer();
	} else {
		while (!is_over()) {
			end_somebodys_wait();
			sched_yield();
		}
	}
}

static void run_waiting(unsigned n, unsigned room, unsigned long messages)
{
	unsigned long n_waited = 0, n_late = 0;

	begin(n, room, messages);
	waiters_init(&list);
	list_lock = AO_TS_INITIALIZER;
	next_place = 0;
	memset(in_line, 0, sizeof(in_line));
	grant = grant_room;
	for (unsigned i = 0; i < n; i++)
		senders[i].wait.wake = wake_nobody;
	crowd_run(n + CONSUMERS + 1, play_waiting);
	cr_assert_null(list.first);
	settle();
	for (unsigned i = 0; i < n; i++) {
		n_waited += senders[i].n_waited;
		n_late += senders[i].n_late;
	}
	check_all();
	cr_assert_gt(n_waited, 0);
	cr_assert_gt(n_late, 0);
}

Test(mailbox_word, those_who_wait_get_room_in_order, .timeout = 120)
{
	run_waiting(5, 1, check_stress(10000));
	run_waiting(5, 4, check_stress(20000));
	run_waiting(2, 2, check_stress(20000));
}
