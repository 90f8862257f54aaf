/* SPDX-License-Identifier: MIT */
/*
 * mailbox - the bound: exact, and everything counts that should
 *
 * A mailbox of capacity k holds k messages, the one in hand among them.
 */
#include <sched.h>

#include "tests/unit/support.h"

static struct record record;

/* An actor that stands still with one message in hand takes k - 1 more. */
static void bound_is(unsigned asked, size_t capacity)
{
	struct hold hold = {0};
	rota_id id = puppet_spawn(&record, asked);

	memset(&record, 0, sizeof(record));
	hold_start(&hold, id);
	cr_assert_eq(fill(id, 1), capacity - 1, "capacity %zu", capacity);
	cr_assert_eq(try_value(id, 1, 0), -EAGAIN); /* and stays full */
	hold_end(&hold);
	quiesce();
	cr_assert_eq(tally_of(&record.n), capacity - 1);
}

Test(mailbox, the_bound_is_exact_at_each_capacity, .timeout = HANG)
{
	static const unsigned capacities[] = {
		1,  2,	3,  4,	 5,   7,   8,	 9,    15,    16,
		63, 64, 65, 100, 255, 256, 1000, 4096, 32766, ROTA_MAX_MAILBOX};

	engine_start(2);
	for (size_t i = 0; i < sizeof(capacities) / sizeof(*capacities); i++)
		bound_is(capacities[i], capacities[i]);
	engine_stop();
	cr_assert_eq(n_dead(), 0);
}

Test(mailbox, the_default_is_64, .timeout = HANG)
{
	engine_start(2);
	bound_is(0, 64);
	engine_stop();
}

Test(mailbox, the_engine_may_have_another_default, .timeout = HANG)
{
	struct rota_config config = test_config(2);

	config.mailbox = 5;
	engine = engine_make(&config);
	bound_is(0, 5);
	bound_is(9, 9);
	engine_stop();
}

Test(mailbox, no_options_mean_the_default_too, .timeout = HANG)
{
	struct hold hold = {0};
	struct puppet puppet = {&record};
	rota_id id;

	engine_start(2);
	id = rota_spawn(engine, &puppet_behaviour, &puppet, NULL);
	hold_start(&hold, id);
	cr_assert_eq(fill(id, 1), 63);
	hold_end(&hold);
	engine_stop();
}

/* A stalled turn has its message in hand as much as a waiting one. */
Test(mailbox, the_message_in_hand_counts_when_its_turn_runs, .timeout = HANG)
{
	static struct stall stall;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 3);
	stall_start(&stall, id);
	cr_assert_eq(fill(id, 1), 2);
	flag_raise(&stall.go);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 2);
	engine_stop();
}

Test(mailbox, all_room_is_back_when_it_is_idle, .timeout = HANG)
{
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 8);
	for (int round = 0; round < 50; round++) {
		struct hold hold = {0};

		hold_start(&hold, id);
		cr_assert_eq(fill(id, 1), 7, "round %d", round);
		hold_end(&hold);
		quiesce();
	}
	cr_assert_eq(tally_of(&record.n), 350);
	engine_stop();
}

/* Between two waits of the actor it is full once. */
static void wait_with_finished(unsigned capacity)
{
	struct hold first = {0};
	struct hold second = {0};
	uint64_t n_before = tally_of(&record.n), n = 0;
	rota_id id = puppet_spawn(&record, capacity);

	hold_start(&first, id);
	second.gate = puppet_spawn(NULL, 1);
	for (uint64_t i = 0; i < capacity - 2; i++)
		cr_assert_eq(try_value(id, 1, i), 0);
	cr_assert_eq(rota_try_send(id, ACT, &(struct act){act_hold, &second},
				   sizeof(struct act)),
		     0);
	cr_assert_eq(try_value(id, 1, 7), -EAGAIN);
	hold_end(&first);
	AWAIT(flag_is_up(&second.begun));
	/* In hand: 1; the rest fits, once it waits: it has begun, no more. */
	AWAIT((n += fill(id, 1)) == capacity - 1);
	hold_end(&second);
	quiesce();
	cr_assert_eq(tally_of(&record.n) - n_before, 2 * capacity - 3);
}

/* Their room is given back by the quarter; what is left of it before a wait. */
Test(mailbox, finished_messages_free_their_room_before_a_wait, .timeout = HANG)
{
	engine_start(2);
	for (unsigned capacity = 4; capacity <= 24; capacity++)
		wait_with_finished(capacity);
	engine_stop();
}

Test(mailbox, urgent_messages_count_like_any_other, .timeout = HANG)
{
	struct hold hold = {0};
	uint64_t value = 0;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 8);
	hold_start(&hold, id);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(rota_send_urgent(id, 2, &value, 8), 0);
	cr_assert_eq(fill(id, 1), 3);
	hold_end(&hold);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 7);
	engine_stop();
}

/* Large payloads take one place each, and moved buffers too. */
Test(mailbox, places_are_counted_not_bytes, .timeout = HANG)
{
	struct hold hold = {0};
	char *bytes = calloc(1, ROTA_MAX_PAYLOAD);
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 8);
	hold_start(&hold, id);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(rota_try_send(id, 1, bytes, ROTA_MAX_PAYLOAD), 0);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(rota_send_own(id, 1, bytes, 1, NULL, ROTA_NOW), 0);
	cr_assert_eq(fill(id, 1), 2);
	hold_end(&hold);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 7);
	engine_stop();
	free(bytes);
}

Test(mailbox, stop_gets_through_a_full_one, .timeout = HANG)
{
	struct hold hold = {0};
	struct rota_exit why = {0};
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 1);
	hold_start(&hold, id);
	cr_assert_eq(fill(id, 1), 0);
	cr_assert_eq(rota_actor_stop(id), 0);
	cr_assert_eq(rota_join(id, PATIENCE, &why), 0);
	cr_assert_eq(why.cause, ROTA_EXIT_STOPPED);
	engine_stop();
}

Test(mailbox, a_timers_message_gets_through_a_full_one, .timeout = HANG)
{
	struct hold hold = {0};
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 4);
	hold_start(&hold, id);
	cr_assert_eq(fill(id, 1), 3);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(rota_send_after(id, 9, NULL, 0, 0, NULL), 0);
	cr_assert_eq(try_value(id, 1, 0), -EAGAIN);
	hold_end(&hold);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 13);
	engine_stop();
}

/* What passes the bound does not use up the room of others. */
Test(mailbox, a_timers_message_takes_no_room, .timeout = HANG)
{
	struct hold hold = {0};
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 4);
	hold_start(&hold, id);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(rota_send_after(id, 9, NULL, 0, 0, NULL), 0);
	nap();
	cr_assert_eq(fill(id, 1), 3);
	hold_end(&hold);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 13);
	hold = (struct hold){0};
	hold_start(&hold, id);
	cr_assert_eq(fill(id, 1), 3);
	hold_end(&hold);
	engine_stop();
}

/* No sender ever sees room that is not there, whatever goes on. */
struct level {
	struct tally queued; /* accepted and not yet taken in hand; may be
				below zero, see thread_push() */
	intptr_t highest;    /* the one actor's */
};

static struct level level;

static int level_handle(void *state, unsigned tag, void *payload, size_t length)
{
	intptr_t queued = (intptr_t)tally_of(&level.queued);

	(void)state;
	(void)tag;
	(void)payload;
	(void)length;
	if (queued > level.highest)
		level.highest = queued;
	tally_add(&level.queued, (size_t)-1);
	return 0;
}

static const struct rota_behaviour level_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "level",
	.handle = level_handle,
};

struct pusher {
	rota_id to;
	size_t n;
};

static void *thread_push(void *arg)
{
	struct pusher *pusher = arg;

	for (size_t i = 0; i < pusher->n; i++) {
		while (rota_try_send(pusher->to, 1, NULL, 0))
			sched_yield();
		/* Late: what is counted is never more than what is there. */
		tally_add(&level.queued, 1);
	}
	return NULL;
}

Test(mailbox, the_bound_holds_with_many_senders, .timeout = HANG)
{
	enum { CAPACITY = 10, SENDERS = 4 };
	struct pusher pusher = {.n = SIZED(20000, 3000)};
	pthread_t thread[SENDERS];

	engine_start(2);
	pusher.to = spawn(&level_behaviour, NULL, CAPACITY);
	for (int i = 0; i < SENDERS; i++)
		thread[i] = thread_start(thread_push, &pusher);
	for (int i = 0; i < SENDERS; i++)
		thread_join(thread[i]);
	quiesce();
	cr_assert_eq(tally_of(&level.queued), 0);
	cr_assert_leq(level.highest, CAPACITY);
	engine_stop();
}
