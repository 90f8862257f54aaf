/* SPDX-License-Identifier: MIT */
/*
 * receive - does a handler get its own messages in their order, only those that
 * it wants, and does it always come back?
 */
#include <rota/ask.h>
#include <rota/closure.h>
#include <rota/process.h>
#include <rota/status.h>
#include <rota/wait.h>

#include "core/engine.h"
#include "tests/unit/support.h"

/* A process runs a function that does the receiving. */
#define RUN 1000u

struct process {
	struct record record;
	struct tally waits; /* about to receive for the n-th time */
	struct flag ended;
	int result;  /* of the last receive, behind @ended */
	int result2; /* of one more */
	long threads[2];
	struct rota_tags tags;
	int64_t within;
	size_t limit;	/* messages until it returns */
	bool has_slept; /* first: a wait that is over */
	unsigned mailbox;
	unsigned flags;
	rota_id id;
};

static void note(struct process *p, const struct rota_received *m)
{
	record_note(&p->record, m->tag, m->payload, m->length);
}

static int run_loop(struct process *p)
{
	const struct rota_tags *tags = p->tags.mask ? &p->tags : NULL;
	struct rota_received m;

	if (p->has_slept)
		rota_sleep(1);
	while (tally_of(&p->record.n) < p->limit) {
		tally_add(&p->waits, 1);
		p->result = rota_receive(tags, p->within, &m);
		if (p->result)
			break;
		note(p, &m);
	}
	flag_raise(&p->ended);
	return 0;
}

static int process_handle(void *state, unsigned tag, void *payload,
			  size_t length)
{
	struct process *p = *(struct process **)state;
	int (*run)(struct process *);

	if (tag == RUN) {
		memcpy(&run, payload, sizeof(run));
		return run(p);
	}
	record_note(&p->record, tag, payload, length);
	return 0;
}

static const struct rota_behaviour process_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "process",
	.state_size = sizeof(struct process *),
	.handle = process_handle,
};

static struct process *process_new(void)
{
	struct process *p = calloc(1, sizeof(*p));

	p->within = ROTA_FOREVER;
	p->limit = MAX_NOTES;
	return p;
}

static rota_id process_start(struct process *p, int (*run)(struct process *))
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;

	options.mailbox = p->mailbox;
	options.flags = p->flags | ROTA_TAKES_URGENT;
	p->id = rota_spawn(engine, &process_behaviour, &p, &options);
	cr_assert_eq(rota_id_error(p->id), 0);
	cr_assert_eq(rota_send(p->id, RUN, &run, sizeof(run)), 0);
	return p->id;
}

static void expect_ended(struct process *p, int result)
{
	AWAIT(flag_is_up(&p->ended));
	cr_assert_eq(p->result, result, "%d", p->result);
}

/* Wait until a process has taken all, and stands. */
static void expect_taken(struct process *p, size_t n)
{
	AWAIT(tally_of(&p->record.n) == n);
	quiesce();
}

/* Both kinds: those that go on where they stand, and those that may move. */
#define BOTH(flags)                                                \
	for (unsigned flags = 0; flags <= (unsigned)ROTA_ANYWHERE; \
	     flags += (unsigned)ROTA_ANYWHERE)

Test(receive, gives_messages_in_order, .timeout = HANG)
{
	BOTH(flags)
	{
		struct process *p = process_new();

		engine_start(2);
		p->flags = flags;
		process_start(p, run_loop);
		for (uint64_t i = 0; i < 300; i++)
			cr_assert_eq(send_value(p->id, (unsigned)(i % 7), i),
				     0);
		expect_taken(p, 300);
		for (uint64_t i = 0; i < 300; i++) {
			cr_assert_eq(p->record.note[i].value, i);
			cr_assert_eq(p->record.note[i].tag, i % 7);
			cr_assert_eq(p->record.note[i].self, p->id);
		}
		cr_assert_not(flag_is_up(&p->ended));
		expect_conserved(301);
		engine_stop();
		expect_ended(p, -ECANCELED);
		free(p);
	}
}

static int act_send(void *arg)
{
	rota_id *to = arg;

	return send_value(*to, 5, 5);
}

Test(receive, says_who_sent_it, .timeout = HANG)
{
	struct process *p = process_new();
	rota_id puppet;

	engine_start(1);
	process_start(p, run_loop);
	puppet = puppet_spawn(NULL, 0);
	ACTS(puppet, act_send, &p->id);
	expect_taken(p, 1);
	cr_assert_eq(p->record.note[0].sender, puppet);
	engine_stop();
	free(p);
}

Test(receive, urgent_ones_come_first, .timeout = HANG)
{
	struct process *p = process_new();
	struct stall stall = {.go = {0}};
	uint64_t value = 9;

	engine_start(1);
	process_start(p, run_loop);
	expect_taken(p, 0);
	stall_start(&stall, puppet_spawn(NULL, 0));
	cr_assert_eq(send_value(p->id, 1, 1), 0);
	cr_assert_eq(send_value(p->id, 2, 2), 0);
	cr_assert_eq(rota_send_urgent(p->id, 3, &value, sizeof(value)), 0);
	flag_raise(&stall.go);
	expect_taken(p, 3);
	cr_assert_eq(p->record.note[0].tag, 3);
	cr_assert_eq(p->record.note[1].tag, 1);
	cr_assert_eq(p->record.note[2].tag, 2);
	engine_stop();
	free(p);
}

/* ---- only some tags ---- */

/* Takes two of tag 2, then all that is there. */
static int run_selective(struct process *p)
{
	struct rota_tags two = rota_tags_of(2);
	struct rota_received m;

	for (int i = 0; i < 2; i++) {
		tally_add(&p->waits, 1);
		p->result = rota_receive(&two, ROTA_FOREVER, &m);
		if (p->result)
			break;
		note(p, &m);
	}
	return run_loop(p);
}

Test(receive, skipped_messages_keep_their_places, .timeout = HANG)
{
	BOTH(flags)
	{
		struct process *p = process_new();

		engine_start(2);
		p->flags = flags;
		process_start(p, run_selective);
		cr_assert_eq(send_value(p->id, 1, 10), 0);
		cr_assert_eq(send_value(p->id, 3, 11), 0);
		quiesce();
		cr_assert_eq(tally_of(&p->record.n), 0);
		cr_assert_eq(send_value(p->id, 2, 12), 0);
		expect_taken(p, 1);
		cr_assert_eq(send_value(p->id, 1, 13), 0);
		quiesce();
		cr_assert_eq(tally_of(&p->record.n), 1);
		cr_assert_eq(send_value(p->id, 2, 14), 0);
		expect_taken(p, 5);
		for (size_t i = 0; i < 5; i++)
			cr_assert_eq(p->record.note[i].value,
				     ((uint64_t[]){12, 14, 10, 11, 13})[i]);
		expect_conserved(6);
		engine_stop();
		free(p);
	}
}

Test(receive, what_is_left_is_handled_after_the_return, .timeout = HANG)
{
	BOTH(flags)
	{
		struct process *p = process_new();

		engine_start(1);
		p->flags = flags;
		p->tags = rota_tags_of(2);
		p->limit = 1;
		process_start(p, run_loop);
		cr_assert_eq(send_value(p->id, 1, 1), 0);
		cr_assert_eq(send_value(p->id, 3, 3), 0);
		cr_assert_eq(send_value(p->id, 2, 2), 0);
		expect_taken(p, 3);
		expect_ended(p, 0);
		cr_assert_eq(p->record.note[0].tag, 2);
		cr_assert_eq(p->record.note[1].tag, 1);
		cr_assert_eq(p->record.note[2].tag, 3);
		expect_conserved(4);
		engine_stop();
		free(p);
	}
}

Test(receive, a_mailbox_full_of_others_does_not_hang, .timeout = HANG)
{
	BOTH(flags)
	{
		struct sending unwanted, wanted, early;
		struct process *p = process_new();
		struct hold hold = {.gate = ROTA_NONE};

		(void)hold;
		engine_start(2);
		p->flags = flags;
		p->mailbox = 4;
		process_start(p, run_selective);
		quiesce();
		cr_assert_eq(fill(p->id, 1), 4);
		/* One waits with what is not wanted, and goes on waiting ... */
		unwanted = sending_to(p->id, 1, 100);
		sending_in_thread(&unwanted);
		/* ... those with what is wanted are let in; by a thread and by
		   a turn. */
		wanted = sending_to(p->id, 2, 200);
		early = sending_to(p->id, 2, 201);
		wanted.pthread = thread_start(thread_sending, &wanted);
		cr_assert_eq(sending_thread_result(&wanted), 0);
		cr_assert_not(flag_is_up(&unwanted.ended));
		ACTS(puppet_spawn(NULL, 0), act_sending, &early);
		cr_assert_eq(sending_puppet_result(&early), 0);
		cr_assert_eq(sending_thread_result(&unwanted), 0);
		expect_taken(p, 7);
		cr_assert_eq(p->record.note[0].value, 200);
		cr_assert_eq(p->record.note[1].value, 201);
		cr_assert_eq(p->record.note[6].value, 100);
		engine_stop();
		free(p);
	}
}

/* Lets them queue up first, so that they wait before it looks. */
static int run_late_selective(struct process *p)
{
	while (tally_of(&p->waits) == 0)
		rota_sleep(ROTA_US(100));
	return run_selective(p);
}

Test(receive, who_waited_already_is_let_in_if_wanted, .timeout = HANG)
{
	struct sending unwanted, wanted[2];
	struct process *p = process_new();

	engine_start(2);
	p->mailbox = 3;
	process_start(p, run_late_selective);
	AWAIT(counters().waits > 0);
	cr_assert_eq(fill(p->id, 1), 2); /* and the message in hand */
	unwanted = sending_to(p->id, 1, 100);
	sending_in_thread(&unwanted);
	for (int i = 0; i < 2; i++) {
		wanted[i] = sending_to(p->id, 2, 200 + (uint64_t)i);
		sending_in_thread(&wanted[i]);
	}
	tally_add(&p->waits, 1);
	cr_assert_eq(sending_thread_result(&wanted[0]), 0);
	cr_assert_eq(sending_thread_result(&wanted[1]), 0);
	cr_assert_eq(sending_thread_result(&unwanted), 0);
	expect_taken(p, 5);
	cr_assert_eq(p->record.note[0].value, 200);
	cr_assert_eq(p->record.note[1].value, 201);
	engine_stop();
	free(p);
}

/* ---- time ---- */

Test(receive, has_a_deadline, .timeout = HANG)
{
	BOTH(flags)
	{
		struct process *p = process_new();

		engine_start(2);
		p->flags = flags;
		p->within = ROTA_MS(2);
		process_start(p, run_loop);
		quiesce(); /* it is timed: not at rest before */
		expect_ended(p, -ETIMEDOUT);
		engine_stop();
		free(p);
	}
}

Test(receive, polls_with_no_time, .timeout = HANG)
{
	struct process *p = process_new();

	engine_start(1);
	p->within = ROTA_NOW;
	process_start(p, run_loop);
	expect_ended(p, -ETIMEDOUT);
	engine_stop();
	free(p);
}

static int run_twice(struct process *p)
{
	struct rota_received m;

	tally_add(&p->waits, 1);
	p->result = rota_receive(NULL, ROTA_S(1000), &m);
	if (p->result == 0)
		note(p, &m);
	p->result2 = rota_receive(NULL, ROTA_MS(1), &m);
	flag_raise(&p->ended);
	return 0;
}

Test(receive, a_message_ends_the_time, .timeout = HANG)
{
	BOTH(flags)
	{
		struct process *p = process_new();

		engine_start(2);
		p->flags = flags;
		process_start(p, run_twice);
		AWAIT(counters().waits >= 1);
		cr_assert_eq(send_value(p->id, 1, 1), 0);
		expect_ended(p, 0);
		cr_assert_eq(p->result2, -ETIMEDOUT);
		quiesce();
		engine_stop();
		free(p);
	}
}

/* ---- ends ---- */

Test(receive, stop_ends_it, .timeout = HANG)
{
	BOTH(flags)
	{
		struct process *p = process_new();
		struct rota_exit why;

		engine_start(2);
		p->flags = flags;
		p->tags = rota_tags_of(2);
		process_start(p, run_loop);
		cr_assert_eq(send_value(p->id, 1, 1), 0);
		quiesce();
		cr_assert_eq(rota_actor_stop(p->id), 0);
		cr_assert_eq(rota_join(p->id, PATIENCE, &why), 0);
		cr_assert_eq(why.cause, ROTA_EXIT_STOPPED);
		expect_ended(p, -ECANCELED);
		cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_STOPPED]),
			     flags ? 2 : 1);
		engine_stop();
		free(p);
	}
}

Test(receive, drain_ends_it_once_it_is_empty, .timeout = HANG)
{
	BOTH(flags)
	{
		struct process *p = process_new();
		struct stall stall = {.go = {0}};
		struct rota_exit why;

		engine_start(1);
		p->flags = flags;
		process_start(p, run_loop);
		quiesce();
		stall_start(&stall, puppet_spawn(NULL, 0));
		for (uint64_t i = 0; i < 10; i++)
			cr_assert_eq(send_value(p->id, 1, i), 0);
		cr_assert_eq(rota_actor_drain(p->id), 0);
		cr_assert_eq(send_value(p->id, 1, 1), -ESHUTDOWN);
		flag_raise(&stall.go);
		expect_ended(p, -ESHUTDOWN);
		cr_assert_eq(tally_of(&p->record.n), 10);
		cr_assert_eq(rota_join(p->id, PATIENCE, &why), 0);
		cr_assert_eq(why.cause, ROTA_EXIT_NORMAL);
		engine_stop();
		free(p);
	}
}

Test(receive, drain_ends_it_if_only_others_are_left, .timeout = HANG)
{
	struct process *p = process_new();

	engine_start(1);
	p->tags = rota_tags_of(2);
	process_start(p, run_loop);
	cr_assert_eq(send_value(p->id, 1, 1), 0);
	quiesce();
	cr_assert_eq(rota_actor_drain(p->id), 0);
	expect_ended(p, -ESHUTDOWN);
	cr_assert_eq(rota_join(p->id, PATIENCE, NULL), 0);
	/* The handler was called for it afterwards. */
	cr_assert_eq(tally_of(&p->record.n), 1);
	cr_assert_eq(n_dead(), 0);
	engine_stop();
	free(p);
}

static int run_failing(struct process *p)
{
	struct rota_received m;

	p->result = rota_receive(NULL, ROTA_FOREVER, &m);
	flag_raise(&p->ended);
	return p->result ? 0 : -7;
}

Test(receive, the_handlers_result_counts, .timeout = HANG)
{
	BOTH(flags)
	{
		struct process *p = process_new();
		struct rota_exit why;

		engine_start(1);
		p->flags = flags;
		process_start(p, run_failing);
		cr_assert_eq(send_value(p->id, 1, 1), 0);
		cr_assert_eq(rota_join(p->id, PATIENCE, &why), 0);
		cr_assert_eq(why.cause, ROTA_EXIT_FAILED);
		cr_assert_eq(why.reason, -7);
		engine_stop();
		free(p);
	}
}

/* ---- what is in hand ---- */

static struct tally dropped;

static void drop(void *buffer, size_t length)
{
	(void)length;
	tally_add(&dropped, 1);
	free(buffer);
}

static int run_owned(struct process *p)
{
	struct rota_received m;
	char *kept;

	p->result = rota_receive(NULL, ROTA_FOREVER, &m);
	strcpy(m.payload, "first");
	cr_assert_eq(tally_of(&dropped), 0);
	p->result = rota_receive(NULL, ROTA_FOREVER, &m);
	p->result2 = (int)tally_of(&dropped);
	kept = m.payload;
	rota_keep();
	p->within = rota_receive(NULL, ROTA_FOREVER, &m);
	strcpy(kept, "mine");
	free(kept);
	flag_raise(&p->ended);
	return 0;
}

Test(receive, moved_buffers_are_dropped_when_the_next_comes, .timeout = HANG)
{
	struct process *p = process_new();

	engine_start(1);
	process_start(p, run_owned);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(rota_send_own(p->id, 1, malloc(16), 16, drop,
					   ROTA_FOREVER),
			     0);
	expect_ended(p, 0);
	quiesce();
	cr_assert_eq(p->result2, 1);
	cr_assert_eq(p->within, 0);
	cr_assert_eq(tally_of(&dropped), 2);
	engine_stop();
	free(p);
}

Test(receive, of_capacity_one_works, .timeout = HANG)
{
	BOTH(flags)
	{
		struct process *p = process_new();

		engine_start(2);
		p->flags = flags;
		p->mailbox = 1;
		process_start(p, run_loop);
		for (uint64_t i = 0; i < 200; i++)
			cr_assert_eq(send_value(p->id, 1, i), 0);
		expect_taken(p, 200);
		engine_stop();
		free(p);
	}
}

/* ---- waits in between, timers, results ---- */

static int run_waiting(struct process *p)
{
	struct rota_received m;

	while (rota_receive(NULL, ROTA_FOREVER, &m) == 0) {
		note(p, &m);
		rota_sleep(ROTA_US(10));
		rota_yield();
	}
	flag_raise(&p->ended);
	return 0;
}

Test(receive, other_waits_between_receives, .timeout = HANG)
{
	BOTH(flags)
	{
		struct process *p[8];

		engine_start(2);
		for (int i = 0; i < 8; i++) {
			p[i] = process_new();
			p[i]->flags = flags;
			process_start(p[i], run_waiting);
		}
		for (uint64_t k = 0; k < 30; k++)
			for (int i = 0; i < 8; i++)
				cr_assert_eq(send_value(p[i]->id, 1, k), 0);
		for (int i = 0; i < 8; i++)
			expect_taken(p[i], 30);
		engine_stop();
		for (int i = 0; i < 8; i++)
			free(p[i]);
	}
}

static int run_timed(struct process *p)
{
	rota_timer timer, cancelled;

	rota_send_after(rota_self(), 4, "4", 2, ROTA_MS(1), &timer);
	rota_send_after(rota_self(), 5, "5", 2, ROTA_MS(1), &cancelled);
	rota_sleep(ROTA_MS(3)); /* both are queued */
	rota_timer_cancel(cancelled);
	return run_loop(p);
}

Test(receive, timers_are_messages, .timeout = HANG)
{
	struct process *p = process_new();

	engine_start(1);
	process_start(p, run_timed);
	expect_taken(p, 1);
	cr_assert_eq(p->record.note[0].tag, 4);
	engine_stop();
	free(p);
}

Test(receive, a_flush_waits_for_what_is_skipped, .timeout = HANG)
{
	struct process *p = process_new();

	engine_start(2);
	process_start(p, run_selective);
	cr_assert_eq(send_value(p->id, 1, 1), 0);
	quiesce();
	cr_assert_eq(rota_flush(p->id, ROTA_MS(1)), -ETIMEDOUT);
	cr_assert_eq(send_value(p->id, 2, 2), 0);
	cr_assert_eq(send_value(p->id, 2, 2), 0);
	cr_assert_eq(rota_flush(p->id, PATIENCE), 0);
	cr_assert_eq(tally_of(&p->record.n), 3);
	engine_stop();
	free(p);
}

/* ---- requests and functions ---- */

static int run_serving(struct process *p)
{
	struct rota_received m;

	while (rota_receive(NULL, ROTA_FOREVER, &m) == 0) {
		note(p, &m);
		if (m.tag == 6) /* 7 is answered by the next receive */
			rota_answer(0, m.payload, m.length);
	}
	flag_raise(&p->ended);
	return 0;
}

struct capture {
	struct tally n;
};

static int count_call(void *state, void *capture)
{
	(void)state;
	tally_add(&(*(struct capture **)capture)->n, 1);
	return 0;
}

Test(receive, answers_requests, .timeout = HANG)
{
	BOTH(flags)
	{
		struct process *p = process_new();
		uint64_t asked = 42, reply = 0;
		struct capture capture = {.n = {0}}, *at = &capture;

		engine_start(2);
		p->flags = flags;
		process_start(p, run_serving);
		cr_assert_eq(rota_ask(p->id, 6, &asked, sizeof(asked), &reply,
				      sizeof(reply), PATIENCE),
			     0);
		cr_assert_eq(reply, 42);
		cr_assert_eq(rota_cast_bytes(p->id, count_call, &at, sizeof(at),
					     PATIENCE),
			     0);
		cr_assert_eq(rota_ask(p->id, 7, &asked, sizeof(asked), NULL, 0,
				      PATIENCE),
			     0);
		cr_assert_eq(tally_of(&capture.n), 1);
		cr_assert_eq(tally_of(&p->record.n), 2);
		engine_stop();
		free(p);
	}
}

/* Functions stand where messages of tag 0 do. */
Test(receive, runs_functions_if_they_are_wanted, .timeout = HANG)
{
	BOTH(flags)
	{
		struct capture capture = {.n = {0}}, *at = &capture;

		engine_start(1);
		for (unsigned tag = 0; tag < 3; tag++) {
			struct process *p = process_new();

			p->flags = flags;
			p->tags = rota_tags_of(tag);
			process_start(p, run_loop);
			cr_assert_eq(rota_cast(p->id, count_call, &at), 0);
			cr_assert_eq(send_value(p->id, tag, 1), 0);
			expect_taken(p, 1);
			cr_assert_eq(tally_of(&capture.n),
				     1); /* by the first */
			rota_actor_stop(p->id);
			cr_assert_eq(rota_join(p->id, PATIENCE, NULL), 0);
			free(p);
		}
		engine_stop();
	}
}

/* ---- deadlines ---- */

static void outlive(rota_deadline deadline)
{
	while (rota_deadline_left(deadline) > 0)
		nap();
}

/* What is not wanted any more is told of, and neither given nor run. */
Test(receive, passes_over_what_is_of_no_use, .timeout = HANG)
{
	BOTH(flags)
	{
		struct process *p = process_new();
		struct capture capture = {.n = {0}}, *at = &capture;
		struct stall stall = {.go = {0}};
		struct rota_asking asking;
		rota_deadline soon;
		uint64_t value = 1;
		size_t n_sent = 0;

		memset(morgue.n, 0, sizeof(morgue.n));
		engine_start(1);
		p->flags = flags;
		process_start(p, run_loop);
		expect_taken(p, 0);
		stall_start(&stall, puppet_spawn(NULL, 0));
		soon = rota_deadline_in(ROTA_MS(20));
		n_sent += rota_send_until(p->id, 1, &value, sizeof(value),
					  soon) == 0;
		cr_assert_eq(rota_ask_start(p->id, 6, &value, sizeof(value),
					    NULL, 0, ROTA_FOREVER, &asking),
			     0);
		n_sent += rota_cast_until(p->id, count_call, &at, soon) == 0;
		cr_assert_eq(send_value(p->id, 2, 2), 0);
		cr_assert_eq(rota_ask_cancel(&asking), 0);
		outlive(soon);
		flag_raise(&stall.go);
		expect_taken(p, 1);
		cr_assert_eq(p->record.note[0].tag, 2);
		cr_assert_eq(tally_of(&capture.n), 0);
		cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_EXPIRED]), n_sent);
		cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_WITHDRAWN]), 1);
		engine_stop();
		free(p);
	}
}

/* What it has received, and what those saw to whom it sent then. */
static struct {
	rota_id to;
	rota_deadline own[4];
	rota_deadline sent[4];
	rota_deadline cast[4];
	struct tally n;
	int is_cancelled;
} passed;

static int act_note_deadline(void *arg)
{
	*(rota_deadline *)arg = rota_deadline_here();
	return 0;
}

static int cast_note_deadline(void *state, void *capture)
{
	(void)state;
	return act_note_deadline(*(void **)capture);
}

static int run_passing(struct process *p)
{
	struct rota_received m;

	while ((p->result = rota_receive(NULL, ROTA_FOREVER, &m)) == 0) {
		size_t i = tally_of(&passed.n);
		struct act act = {act_note_deadline, &passed.sent[i]};
		rota_deadline *at = &passed.cast[i];

		passed.own[i] = rota_deadline_here();
		rota_send(passed.to, ACT, &act, sizeof(act));
		rota_cast(passed.to, cast_note_deadline, &at);
		if (m.tag == 9)
			outlive(passed.own[i]);
		passed.is_cancelled = rota_is_cancelled();
		tally_add(&passed.n, 1);
	}
	return 0;
}

static void expect_passed(const struct process *p, size_t i,
			  rota_deadline deadline)
{
	cr_assert_eq(rota_send_until(p->id, 1, NULL, 0, deadline), 0);
	quiesce();
	cr_assert_eq(tally_of(&passed.n), i + 1);
	cr_assert_eq(passed.own[i].ns, deadline.ns);
	cr_assert_eq(passed.sent[i].ns, deadline.ns);
	cr_assert_eq(passed.cast[i].ns, deadline.ns);
	cr_assert_eq(passed.is_cancelled, 0);
}

/* That of the message that was received last, or none. */
Test(receive, deadlines_go_on_with_what_is_sent, .timeout = HANG)
{
	BOTH(flags)
	{
		struct process *p = process_new();
		rota_deadline never = rota_deadline_in(ROTA_FOREVER);
		rota_deadline far = rota_deadline_in(ROTA_S(1000));
		rota_deadline soon;

		memset(&passed, 0, sizeof(passed));
		memset(morgue.n, 0, sizeof(morgue.n));
		engine_start(1);
		passed.to = puppet_spawn(NULL, 0);
		p->flags = flags;
		process_start(p, run_passing);
		expect_passed(p, 0, never);
		expect_passed(p, 1, far);
		expect_passed(p, 2, never);
		do {
			soon = rota_deadline_in(ROTA_MS(50));
			cr_assert_eq(rota_send_until(p->id, 9, NULL, 0, soon),
				     0);
			quiesce();
		} while (tally_of(&passed.n) < 4);
		cr_assert_eq(passed.is_cancelled, 1);
		engine_stop();
		free(p);
	}
}

/* ---- where it goes on ---- */

static int run_threads(struct process *p)
{
	struct rota_received m;

	errno = 77;
	p->threads[0] = thread_number();
	tally_add(&p->waits, 1);
	p->result = rota_receive(NULL, ROTA_FOREVER, &m);
	p->threads[1] = thread_number();
	flag_raise(&p->ended);
	return 0;
}

/* Its worker is held up, the other one is free. */
static bool has_moved(unsigned flags)
{
	struct process *p = process_new();
	struct stall stall = {.go = {0}};
	bool moved = false;

	engine_start(2);
	p->flags = flags;
	process_start(p, run_threads);
	quiesce();
	/* Stall the worker on which it stands: find that one by trying. */
	stall_start(&stall, puppet_spawn(NULL, 0));
	cr_assert_eq(send_value(p->id, 1, 1), 0);
	if (flags) {
		AWAIT(flag_is_up(&p->ended));
		moved = p->threads[0] != p->threads[1];
		flag_raise(&stall.go);
	} else {
		flag_raise(&stall.go);
		AWAIT(flag_is_up(&p->ended));
		moved = p->threads[0] != p->threads[1];
	}
	engine_stop();
	free(p);
	return moved;
}

Test(receive, goes_on_where_it_stood_or_anywhere, .timeout = HANG)
{
	unsigned n_moved = 0;

	for (int i = 0; i < 20; i++)
		cr_assert_not(has_moved(0));
	for (int i = 0; i < 200 && n_moved == 0; i++)
		n_moved += has_moved(ROTA_ANYWHERE);
	cr_assert_gt(n_moved, 0);
}

/* ---- seen from outside ---- */

static struct rota_status status_of(rota_id id)
{
	struct rota_status status = ROTA_STATUS_INIT;

	cr_assert_eq(rota_status(id, &status), 0);
	return status;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return ROTA_S(now.tv_sec) + now.tv_nsec;
}

static void expect_waiting(const struct process *p)
{
	struct rota_status status = status_of(p->id);

	cr_assert_eq(status.activity, ROTA_WAITING);
	cr_assert_eq(status.waits_for, ROTA_WAITS_FOR_MESSAGE);
	cr_assert_eq(status.whom, ROTA_NONE);
	cr_assert_eq(status.tag, 0);
	cr_assert_eq(status.tags.mask, p->tags.mask);
	cr_assert_eq(status.tags.base, p->tags.base);
	if (p->flags & ROTA_ANYWHERE)
		cr_assert_eq(status.worker, -1);
	else
		cr_assert(status.worker == 0 || status.worker == 1);
}

static void status_says_so(bool has_slept)
{
	BOTH(flags)
	{
		struct process *p = process_new();
		int64_t before = now_ns();

		engine_start(2);
		p->has_slept = has_slept;
		p->flags = flags;
		p->tags = rota_tags_of(5);
		cr_assert_eq(rota_tags_add(&p->tags, 7), 0);
		process_start(p, run_loop);
		expect_taken(p, 0);
		expect_waiting(p);
		AWAIT(status_of(p->id).for_ns > ROTA_MS(5));
		/* What it does not want changes nothing, but lies there. */
		cr_assert_eq(send_value(p->id, 1, 1), 0);
		quiesce();
		expect_waiting(p);
		cr_assert_eq(status_of(p->id).mailbox_length, 1);
		cr_assert_eq(status_of(p->id).handled, 1);
		cr_assert_gt(status_of(p->id).for_ns, ROTA_MS(5));
		AWAIT(status_of(p->id).oldest_ns > 0);
		cr_assert_leq(status_of(p->id).for_ns, now_ns() - before);
		/* The next wait is another. */
		before = now_ns();
		cr_assert_eq(send_value(p->id, 5, 1), 0);
		expect_taken(p, 1);
		expect_waiting(p);
		cr_assert_leq(status_of(p->id).for_ns,
			      now_ns() - before + ROTA_MS(10));
		engine_stop();
		expect_ended(p, -ECANCELED);
		free(p);
	}
}

Test(receive, status_says_that_it_waits_and_for_what, .timeout = HANG)
{
	status_says_so(false);
}

Test(receive, status_says_so_after_another_wait, .timeout = HANG)
{
	status_says_so(true);
}

Test(receive, status_says_so_with_a_deadline_too, .timeout = HANG)
{
	struct process *p = process_new();
	struct stall stall = {.go = {0}};

	engine_start(1);
	p->has_slept = true;
	p->within = PATIENCE;
	process_start(p, run_loop);
	AWAIT(status_of(p->id).waits_for == ROTA_WAITS_FOR_MESSAGE);
	expect_waiting(p);
	/* One that it would take, and no worker: it does not wait any more. */
	stall_start(&stall, puppet_spawn(NULL, 0));
	cr_assert_eq(send_value(p->id, 5, 1), 0);
	cr_assert_eq(status_of(p->id).activity, ROTA_QUEUED);
	cr_assert_eq(status_of(p->id).waits_for, ROTA_WAITS_FOR_NOTHING);
	flag_raise(&stall.go);
	AWAIT(tally_of(&p->record.n) == 1);
	engine_stop();
	free(p);
}

/* ---- and after it ---- */

static int act_look_near(void *arg)
{
	const struct local *local = (const struct local *)worker_current;

	*(bool *)arg = local->near == local->usual;
	return 0;
}

/* What is sent by others on that worker takes the short way again. */
Test(receive, a_deadline_goes_with_the_handler, .timeout = HANG)
{
	struct process *p = process_new();
	bool is_short = false;

	engine_start(1);
	p->limit = 1;
	process_start(p, run_loop);
	cr_assert_eq(rota_send_until(p->id, 1, NULL, 0,
				     rota_deadline_in(ROTA_S(1000))),
		     0);
	expect_ended(p, 0);
	quiesce();
	ACTS(puppet_spawn(NULL, 0), act_look_near, &is_short);
	quiesce();
	cr_assert(is_short);
	engine_stop();
	free(p);
}

/* ---- misuse, and memory running out ---- */

struct misuse {
	struct flag ended;
	int no_result;
};

static int act_misuse(void *arg)
{
	struct misuse *m = arg;

	m->no_result = rota_receive(NULL, ROTA_NOW, NULL);
	flag_raise(&m->ended);
	return 0;
}

Test(receive, says_what_is_wrong, .timeout = HANG)
{
	struct misuse misuse = {.no_result = 0};
	struct rota_received m;

	engine_start(1);
	cr_assert_eq(rota_receive(NULL, ROTA_NOW, &m), -EPERM);
	ACTS(puppet_spawn(NULL, 0), act_misuse, &misuse);
	AWAIT(flag_is_up(&misuse.ended));
	cr_assert_eq(misuse.no_result, -EINVAL);
	engine_stop();
}

static int in_destroy;

static void receiving_destroy(void *state)
{
	struct rota_received m;

	(void)state;
	in_destroy = rota_receive(NULL, ROTA_FOREVER, &m);
}

Test(receive, in_destroy_there_is_nothing, .timeout = HANG)
{
	static const struct rota_behaviour behaviour = {
		.size = sizeof(struct rota_behaviour),
		.name = "receiving",
		.handle = puppet_handle,
		.destroy = receiving_destroy,
	};
	rota_id id;

	engine_start(1);
	id = spawn(&behaviour, NULL, 0);
	cr_assert_eq(rota_actor_stop(id), 0);
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
	cr_assert_eq(in_destroy, -ESHUTDOWN);
	engine_stop();
}

static AO_t refuses;

static void *map_or_refuse(void *context, size_t size)
{
	(void)context;
	void *block = AO_load(&refuses) ? NULL : aligned_alloc(1 << 21, size);

	return block ? memset(block, 0, size) : NULL;
}

static void unmap(void *context, void *block, size_t size)
{
	(void)context;
	(void)size;
	free(block);
}

Test(receive, without_memory_says_so, .timeout = HANG)
{
	struct rota_config config = test_config(1);
	struct process *p = process_new(), *q = process_new();
	struct rota_spawn_options options = ROTA_SPAWN_INIT;

	config.allocator.map = map_or_refuse;
	config.allocator.unmap = unmap;
	engine = engine_make(&config);
	q->id = rota_spawn(engine, &process_behaviour, &q, &options);
	AO_store(&refuses, 1);
	while (rota_id_error(rota_spawn(engine, &puppet_behaviour,
					&(struct puppet){NULL}, NULL)) == 0)
		continue;
	cr_assert_eq(rota_send(q->id, RUN,
			       &(int (*)(struct process *)){run_loop},
			       sizeof(int (*)(struct process *))),
		     0);
	expect_ended(q, -ENOMEM);
	AO_store(&refuses, 0);
	process_start(p, run_loop);
	cr_assert_eq(send_value(p->id, 1, 1), 0);
	expect_taken(p, 1);
	engine_stop();
	free(p);
	free(q);
}

Test(receive, tags_of_a_set_lie_close_together, .timeout = HANG)
{
	struct rota_tags tags = rota_tags_of(100);

	cr_assert_eq(rota_tags_add(&tags, 163), 0);
	cr_assert_eq(rota_tags_add(&tags, 164), -ERANGE);
	cr_assert_eq(rota_tags_add(&tags, 99), -ERANGE);
	cr_assert_eq(tags.mask, UINT64_C(1) << 63 | 1);
	tags = rota_tags_of(100);
	cr_assert_eq(rota_tags_add(&tags, 37), 0);
	cr_assert_eq(tags.base, 37);
	cr_assert_eq(tags.mask, UINT64_C(1) << 63 | 1);
	cr_assert_eq(rota_tags_add(&tags, 36), -ERANGE);
	tags = (struct rota_tags){0, 0, 0};
	cr_assert_eq(rota_tags_add(&tags, 9), 0);
	cr_assert_eq(tags.base, 9);
	cr_assert_eq(tags.mask, 1);
	tags = rota_tags_of(9);
	cr_assert_eq(rota_tags_add(&tags, 9), 0);
	cr_assert_eq(tags.mask, 1);
	cr_assert_eq(rota_tags_add(&tags, UINT32_MAX), -ERANGE);
}
