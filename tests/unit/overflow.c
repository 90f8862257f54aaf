/* SPDX-License-Identifier: MIT */
/*
 * overflow - mailboxes that take messages beyond their capacity
 */
#include <rota/ask.h>
#include <rota/closure.h>
#include <rota/offload.h>
#include <rota/process.h>
#include <rota/status.h>
#include <rota/wait.h>

#include "tests/unit/support.h"

static struct record record;

static rota_id spawn_large(const struct rota_behaviour *behaviour,
			   const void *state, unsigned mailbox,
			   unsigned overflow)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	rota_id id;

	options.mailbox = mailbox;
	options.overflow = overflow;
	options.flags = ROTA_TAKES_URGENT;
	id = rota_spawn(engine, behaviour, state, &options);
	cr_assert_eq(rota_id_error(id), 0);
	return id;
}

static rota_id puppet_large(unsigned mailbox, unsigned overflow)
{
	return spawn_large(&puppet_behaviour, &(struct puppet){&record},
			   mailbox, overflow);
}

/* The engine, and a puppet that notes what it gets. */
static rota_id stage(unsigned mailbox, unsigned overflow)
{
	engine_start(2);
	return puppet_large(mailbox, overflow);
}

/* ... which holds still. */
static rota_id stage_held(struct hold *hold, unsigned mailbox,
			  unsigned overflow)
{
	rota_id id = stage(mailbox, overflow);

	memset(hold, 0, sizeof(*hold));
	hold_start(hold, id);
	return id;
}

static struct rota_status status_of(rota_id id)
{
	struct rota_status status = ROTA_STATUS_INIT;

	cr_assert_eq(rota_status(id, &status), 0);
	return status;
}

/* It holds still, takes so many, and has handled them in order afterwards. */
static void expect_room(rota_id id, size_t n)
{
	static struct hold hold;
	size_t before;

	memset(&hold, 0, sizeof(hold));
	hold_start(&hold, id);
	before = tally_of(&record.n);
	cr_assert_eq(fill(id, 1), n);
	cr_assert_eq(status_of(id).mailbox_length, n + 1);
	hold_end(&hold);
	quiesce();
	cr_assert_eq(tally_of(&record.n), before + n);
	for (size_t i = 0; i < n && before + i < MAX_NOTES - 1; i++)
		cr_assert_eq(record.note[before + i].value, i);
	cr_assert_eq(status_of(id).mailbox_length, 0);
}

/* ---- the bound ---- */

Test(overflow, is_taken_in_order_and_given_back, .timeout = HANG)
{
	rota_id id = stage(4, 100);

	cr_assert_eq(status_of(id).mailbox_capacity, 104);
	for (int i = 0; i < 5; i++)
		expect_room(id, 103);
	engine_stop();
}

Test(overflow, is_not_there_unless_asked_for, .timeout = HANG)
{
	rota_id id = stage(4, 0);

	cr_assert_eq(status_of(id).mailbox_capacity, 4);
	expect_room(id, 3);
	engine_stop();
}

Test(overflow, goes_beyond_the_largest_mailbox, .timeout = HANG)
{
	rota_id id = stage(ROTA_MAX_MAILBOX, 60000);

	cr_assert_eq(status_of(id).mailbox_capacity, ROTA_MAX_MAILBOX + 60000);
	expect_room(id, ROTA_MAX_MAILBOX - 1 + 60000);
	expect_room(id, ROTA_MAX_MAILBOX - 1 + 60000);
	engine_stop();
}

struct flood {
	rota_id to;
	uint64_t n;
	int error;
	struct flag ended;
};

static int act_flood(void *arg)
{
	struct flood *flood = arg;

	for (uint64_t i = 0; i < flood->n && !flood->error; i++)
		flood->error = send_value(flood->to, 1, i);
	flag_raise(&flood->ended);
	return 0;
}

/* The sender never waits, whatever comes. */
Test(overflow, may_have_no_bound, .timeout = HANG)
{
	struct flood flood = {.n = SIZED(300000, 50000)};
	struct hold hold;
	uint64_t waits;

	flood.to = stage_held(&hold, 1, ROTA_UNBOUNDED);
	cr_assert_eq(status_of(flood.to).mailbox_capacity, ROTA_UNBOUNDED);
	waits = counters().waits;
	ACTS(puppet_spawn(NULL, 0), act_flood, &flood);
	AWAIT(flag_is_up(&flood.ended));
	cr_assert_eq(flood.error, 0);
	cr_assert_eq(counters().waits, waits);
	cr_assert_eq(status_of(flood.to).mailbox_length, flood.n + 1);
	hold_end(&hold);
	quiesce();
	cr_assert_eq(tally_of(&record.n), flood.n);
	for (size_t i = 0; i < MAX_NOTES - 1; i++)
		cr_assert_eq(record.note[i].value, i);
	expect_conserved(flood.n + 2);
	engine_stop();
}

/* To itself, which would be -EDEADLK. */
static int act_flood_self(void *arg)
{
	struct flood *flood = arg;

	flood->to = rota_self();
	return act_flood(arg);
}

Test(overflow, takes_what_the_actor_sends_itself, .timeout = HANG)
{
	struct flood flood = {.n = 1000};
	rota_id id;

	engine_start(1);
	id = puppet_large(1, ROTA_UNBOUNDED);
	ACTS(id, act_flood_self, &flood);
	quiesce();
	cr_assert_eq(flood.error, 0);
	cr_assert_eq(tally_of(&record.n), 1000);
	engine_stop();
}

/* Beyond it senders wait, in their order, or until their time is over. */
Test(overflow, has_its_end_too, .timeout = HANG)
{
	static struct sending s[10];
	struct sending late;
	struct hold hold;
	rota_id id = stage_held(&hold, 2, 3);

	cr_assert_eq(fill(id, 1), 4);
	for (uint64_t i = 0; i < 10; i++) {
		s[i] = sending_to(id, 2, i);
		if (i % 2)
			sending_in_thread(&s[i]);
		else
			sending_in_puppet(&s[i], puppet_spawn(NULL, 0));
	}
	late = sending_to(id, 3, 0);
	late.within = ROTA_MS(1);
	sending_in_puppet(&late, puppet_spawn(NULL, 0));
	cr_assert_eq(sending_puppet_result(&late), -ETIMEDOUT);
	hold_end(&hold);
	for (size_t i = 0; i < 10; i++)
		cr_assert_eq(i % 2 ? sending_thread_result(&s[i])
				   : sending_puppet_result(&s[i]),
			     0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 14);
	for (size_t i = 0; i < 10; i++)
		cr_assert_eq(record.note[4 + i].value, i);
	expect_room(id, 4);
	engine_stop();
}

/* An urgent hold: beyond the bound, if it has to be. */
static void send_hold(struct hold *hold, rota_id id)
{
	struct act act = {act_hold, hold};

	hold->gate = puppet_spawn(NULL, 1);
	cr_assert_eq(rota_send_urgent(id, ACT, &act, sizeof(act)), 0);
}

/* One ends, and the next one waits. */
static void hold_next(struct hold *hold, struct hold *next)
{
	uint64_t waits = counters().waits;

	hold_end(hold);
	AWAIT(flag_is_up(&next->begun) && counters().waits > waits);
}

/*
 * The two beyond the bound are urgent. As the first of them is finished there is
 * room for another, but what waits was sent before that.
 */
Test(overflow, is_not_for_who_comes_after_one_that_waits, .timeout = HANG)
{
	static struct hold hold, beyond[2];
	rota_id id = stage_held(&hold, 1, 2);
	struct sending waits, later;

	send_hold(&beyond[0], id);
	send_hold(&beyond[1], id);
	hold_next(&hold, &beyond[0]);
	cr_assert_eq(try_value(id, 1, 1), 0);
	cr_assert_eq(try_value(id, 1, 9), -EAGAIN);
	waits = sending_to(id, 1, 2);
	sending_in_puppet(&waits, puppet_spawn(NULL, 0));
	hold_next(&beyond[0], &beyond[1]);
	cr_assert_eq(status_of(id).mailbox_length, 2);
	cr_assert_eq(try_value(id, 1, 9), -EAGAIN);
	later = sending_to(id, 1, 3);
	sending_in_thread(&later);
	hold_end(&beyond[1]);
	cr_assert_eq(sending_puppet_result(&waits), 0);
	cr_assert_eq(sending_thread_result(&later), 0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 3);
	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(record.note[i].value, i + 1);
	expect_room(id, 2);
	engine_stop();
}

Test(overflow, ends_with_the_memory, .timeout = HANG)
{
	struct rota_config config = test_config(1);
	struct hold hold = {0};
	uint64_t n = 0;
	rota_id id;
	int error;

	config.memory = (size_t)32 << 20;
	engine = engine_make(&config);
	id = spawn_large(&puppet_behaviour, NULL, 1, ROTA_UNBOUNDED);
	hold_start(&hold, id);
	while ((error = try_value(id, 1, n)) == 0)
		n++;
	cr_assert_eq(error, -ENOMEM);
	cr_assert_gt(n, 10000);
	hold_end(&hold);
	expect_conserved(n + 1);
	engine_stop();
}

/* ---- what else comes in ---- */

static int answer_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	(void)state;
	(void)tag;
	return rota_answer(0, payload, length);
}

static const struct rota_behaviour answer_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "answer",
	.handle = answer_handle,
};

static int give_back(void *argument)
{
	(void)argument;
	return 0;
}

struct notices {
	rota_id whom;
	struct tally n_failed;
};

/* What comes of these passes the bound. */
static int act_provoke_notices(void *arg)
{
	struct notices *notices = arg;

	for (int i = 0; i < 20; i++) {
		int error = rota_ask_then(notices->whom, 1, NULL, 0,
					  ROTA_FOREVER, 5, NULL);

		error |= rota_offload_start(give_back, NULL, 0, 6);
		error |= rota_send_after(rota_self(), 7, NULL, 0, 1, NULL);
		if (error)
			tally_add(&notices->n_failed, 1);
	}
	return 0;
}

/* They leave nothing behind, and take nothing away. */
Test(overflow, is_not_for_notices, .timeout = HANG)
{
	struct notices notices = {.n_failed = {0}};
	rota_id id = stage(4, 10);

	notices.whom = spawn(&answer_behaviour, NULL, 0);
	for (int round = 0; round < 5; round++) {
		ACTS(id, act_provoke_notices, &notices);
		cr_assert_eq(rota_flush(id, PATIENCE), 0);
		quiesce();
	}
	cr_assert_eq(tally_of(&notices.n_failed), 0);
	cr_assert_eq(tally_of(&record.n), 300);
	expect_room(id, 13);
	engine_stop();
}

struct stasher {
	unsigned n_stashed;
};

/* Puts each message of a timer aside once, and takes them back at 9. */
static int stash_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct stasher *stasher = state;
	struct act act;

	if (tag == ACT) {
		memcpy(&act, payload, sizeof(act));
		return act.run(act.arg);
	}
	if (tag == 7 && stasher->n_stashed < 5) {
		stasher->n_stashed++;
		return rota_stash();
	}
	if (tag == 9)
		return rota_unstash();
	record_note(&record, tag, payload, length);
	return 0;
}

static const struct rota_behaviour stash_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "stash",
	.state_size = sizeof(struct stasher),
	.handle = stash_handle,
};

/* A copy of it is put aside, which is a timer's no more. */
Test(overflow, is_not_for_timers_that_were_put_aside, .timeout = HANG)
{
	rota_id id;

	engine_start(2);
	id = spawn_large(&stash_behaviour, NULL, 40, 10);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(rota_send_after(id, 7, NULL, 0, 1, NULL), 0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 0);
	cr_assert_eq(send_value(id, 9, 0), 0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 5);
	expect_room(id, 49);
	engine_stop();
}

/* It comes after all that was sent before, and before what the urgent lane
   has overtaken. */
Test(overflow, is_flushed_and_overtaken, .timeout = HANG)
{
	struct hold hold;
	rota_id id = stage_held(&hold, 2, 50);

	for (uint64_t i = 0; i < 40; i++)
		cr_assert_eq(try_value(id, 1, i), 0);
	cr_assert_eq(rota_send_urgent(id, 2, NULL, 0), 0);
	hold_end(&hold);
	cr_assert_eq(rota_flush(id, PATIENCE), 0);
	cr_assert_eq(tally_of(&record.n), 41);
	cr_assert_eq(record.note[0].tag, 2);
	cr_assert_eq(record.note[40].value, 39);
	engine_stop();
}

/* ---- all kinds ---- */

static struct tally n_dropped, n_run;

static void note_drop(void *buffer, size_t length)
{
	(void)buffer;
	(void)length;
	tally_add(&n_dropped, 1);
}

static int note_run(void *state, void *capture)
{
	(void)state;
	(void)capture;
	tally_add(&n_run, 1);
	return 0;
}

static void send_kinds(rota_id id)
{
	static char buffer[4], large[5000];

	for (int i = 0; i < 10; i++) {
		cr_assert_eq(rota_send_own(id, 1, buffer, sizeof(buffer),
					   note_drop, ROTA_NOW),
			     0);
		cr_assert_eq(rota_try_send(id, 2, large, sizeof(large)), 0);
		cr_assert_eq(rota_cast_bytes(id, note_run, NULL, 0, ROTA_NOW),
			     0);
	}
}

Test(overflow, is_for_all_kinds, .timeout = HANG)
{
	rota_id id = stage(1, 30);
	struct hold hold;

	for (int i = 0; i < 3; i++) {
		memset(&hold, 0, sizeof(hold));
		hold_start(&hold, id);
		send_kinds(id);
		cr_assert_eq(try_value(id, 1, 0), -EAGAIN);
		hold_end(&hold);
		quiesce();
	}
	cr_assert_eq(tally_of(&n_dropped), 30);
	cr_assert_eq(tally_of(&n_run), 30);
	cr_assert_eq(tally_of(&record.n), 60);
	engine_stop();
}

struct asked {
	rota_id whom;
	uint64_t reply;
	int result;
	struct flag ended;
};

static int act_ask(void *arg)
{
	struct asked *asked = arg;
	uint64_t value = 77;

	asked->result = rota_ask(asked->whom, 1, &value, sizeof(value),
				 &asked->reply, sizeof(asked->reply), PATIENCE);
	flag_raise(&asked->ended);
	return 0;
}

struct answering {
	struct flag begun;
	struct flag go;
};

static int stall_and_answer(void *state, unsigned tag, void *payload,
			    size_t length)
{
	struct answering *answering = *(struct answering **)state;

	if (tag == 1)
		return rota_answer(0, payload, length);
	flag_raise(&answering->begun);
	flag_block(&answering->go);
	return 0;
}

static const struct rota_behaviour stall_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "stall",
	.state_size = sizeof(struct answering *),
	.handle = stall_and_answer,
};

Test(overflow, is_for_asks, .timeout = HANG)
{
	struct answering answering = {.go = {0}};
	struct answering *state = &answering;
	static struct asked asked[20];
	rota_id id;

	engine_start(2);
	id = spawn_large(&stall_behaviour, &state, 2, ROTA_UNBOUNDED);
	cr_assert_eq(send_value(id, 2, 0), 0);
	AWAIT(flag_is_up(&answering.begun));
	for (int i = 0; i < 20; i++) {
		asked[i].whom = id;
		ACTS(puppet_spawn(NULL, 0), act_ask, &asked[i]);
	}
	AWAIT(status_of(id).mailbox_length == 21);
	flag_raise(&answering.go);
	for (int i = 0; i < 20; i++) {
		AWAIT(flag_is_up(&asked[i].ended));
		cr_assert_eq(asked[i].result, 0);
		cr_assert_eq(asked[i].reply, 77);
	}
	quiesce();
	cr_assert_eq(status_of(id).mailbox_length, 0);
	engine_stop();
}

/* ---- the end ---- */

Test(overflow, is_drained, .timeout = HANG)
{
	struct hold hold;
	rota_id id = stage_held(&hold, 1, 100);

	for (uint64_t i = 0; i < 50; i++)
		cr_assert_eq(try_value(id, 1, i), 0);
	cr_assert_eq(rota_actor_drain(id), 0);
	AWAIT(try_value(id, 1, 50) == -ESHUTDOWN);
	hold_end(&hold);
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
	cr_assert_eq(tally_of(&record.n), 50);
	engine_stop();
}

Test(overflow, becomes_dead_letters, .timeout = HANG)
{
	struct hold hold;
	rota_id id = stage_held(&hold, 1, 100);

	for (uint64_t i = 0; i < 50; i++)
		cr_assert_eq(try_value(id, 1, i), 0);
	cr_assert_eq(rota_actor_stop(id), 0);
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
	cr_assert_eq(tally_of(&record.n), 0);
	cr_assert_eq(n_dead(), 50);
	expect_conserved(51);
	/* The slot's, and the block's, next life begins anew. */
	for (int i = 0; i < 100; i++)
		expect_room(puppet_large(3, 5), 7);
	engine_stop();
}
