/* SPDX-License-Identifier: MIT */
/*
 * quiesce - waiting until an engine has nothing left to do
 */
#include "tests/unit/support.h"

static struct record record;

Test(quiesce, returns_at_once_when_there_is_nothing, .timeout = HANG)
{
	engine_start(2);
	quiesce();
	quiesce();
	(void)puppet_spawn(NULL, 0);
	quiesce();
	engine_stop();
}

static int act_count(void *arg)
{
	tally_add(arg, 1);
	return 0;
}

Test(quiesce, sees_all_that_was_sent_before, .timeout = HANG)
{
	static struct tally n;
	size_t sent = 0;

	engine_start(2);
	for (int round = 0; round < 200; round++) {
		for (int i = 0; i < 20; i++, sent++)
			ACTS(puppet_spawn(NULL, 0), act_count, &n);
		quiesce();
		cr_assert_eq(tally_of(&n), sent, "round %d", round);
	}
	engine_stop();
}

/* ... and all that follows from it. */
struct domino {
	struct tally *fallen;
	unsigned depth;
};

static int domino_handle(void *state, unsigned tag, void *payload,
			 size_t length);

static const struct rota_behaviour domino_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "domino",
	.state_size = sizeof(struct domino),
	.handle = domino_handle,
};

static int domino_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct domino *domino = state;
	struct domino next = {domino->fallen, domino->depth - 1};

	(void)tag;
	(void)payload;
	(void)length;
	tally_add(domino->fallen, 1);
	if (domino->depth > 0)
		for (int i = 0; i < 2; i++)
			rota_send(rota_spawn(NULL, &domino_behaviour, &next,
					     NULL),
				  1, NULL, 0);
	return rota_self_stop(0);
}

Test(quiesce, sees_all_that_follows, .timeout = HANG)
{
	static struct tally fallen;
	unsigned depth = SIZED(14, 10);
	struct domino first = {&fallen, depth};

	engine_start(4);
	cr_assert_eq(rota_send(spawn(&domino_behaviour, &first, 0), 1, NULL, 0),
		     0);
	quiesce();
	cr_assert_eq(tally_of(&fallen), (2u << depth) - 1);
	cr_assert_eq(counters().ended, counters().spawned);
	engine_stop();
}

/* An unbroken row: at each moment only one message exists. */
struct relay {
	rota_id next;
	struct tally *hops;
};

static int relay_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct relay *relay = state;
	uint64_t left = value_at(payload, length);

	if (tag == 2) {
		relay->next = left;
		return 0;
	}
	tally_add(relay->hops, 1);
	return left ? send_value(relay->next, 1, left - 1) : 0;
}

static const struct rota_behaviour relay_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "relay",
	.state_size = sizeof(struct relay),
	.handle = relay_handle,
};

Test(quiesce, is_not_fooled_by_a_message_on_the_move, .timeout = HANG)
{
	static struct tally hops;
	struct relay relay = {ROTA_NONE, &hops};
	size_t n = SIZED(3000, 500);
	rota_id id[4];

	engine_start(4);
	for (size_t i = 0; i < 4; i++)
		id[i] = spawn(&relay_behaviour, &relay, 0);
	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(send_value(id[i], 2, id[(i + 1) % 4]), 0);
	for (size_t round = 1; round <= 50; round++) {
		cr_assert_eq(send_value(id[round % 4], 1, n - 1), 0);
		quiesce();
		cr_assert_eq(tally_of(&hops), round * n, "round %zu", round);
	}
	engine_stop();
}

Test(quiesce, waits_for_handlers_that_run, .timeout = HANG)
{
	static struct stall stall;

	engine_start(2);
	stall_start(&stall, puppet_spawn(NULL, 0));
	cr_assert_eq(rota_quiesce(engine, ROTA_MS(5)), -ETIMEDOUT);
	flag_raise(&stall.go);
	quiesce();
	cr_assert(flag_is_up(&stall.ended));
	engine_stop();
}

Test(quiesce, waits_for_handlers_that_wait, .timeout = HANG)
{
	struct hold hold = {0};

	engine_start(2);
	hold_start(&hold, puppet_spawn(NULL, 0));
	cr_assert_eq(rota_quiesce(engine, ROTA_MS(5)), -ETIMEDOUT);
	cr_assert_eq(rota_quiesce(engine, ROTA_NOW), -ETIMEDOUT);
	cr_assert_eq(rota_actor_stop(hold.gate), 0);
	quiesce();
	cr_assert(flag_is_up(&hold.ended));
	engine_stop();
}

Test(quiesce, waits_for_timers, .timeout = HANG)
{
	rota_timer timer;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 0);
	cr_assert_eq(rota_send_after(id, 1, NULL, 0, ROTA_MS(20), NULL), 0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 1);
	cr_assert_eq(rota_send_after(id, 1, NULL, 0, ROTA_S(36000), &timer), 0);
	cr_assert_eq(rota_quiesce(engine, ROTA_MS(5)), -ETIMEDOUT);
	cr_assert_eq(rota_timer_cancel(timer), 0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 1);
	engine_stop();
}

Test(quiesce, waits_for_ends, .timeout = HANG)
{
	engine_start(2);
	for (size_t i = 0; i < 500; i++)
		cr_assert_eq(rota_actor_stop(puppet_spawn(&record, 0)), 0);
	quiesce();
	cr_assert_eq(tally_of(&record.destroyed), 500);
	engine_stop();
}

static void *thread_quiesce(void *arg)
{
	*(int *)arg = rota_quiesce(engine, PATIENCE);
	return NULL;
}

Test(quiesce, several_threads_may_wait_for_it, .timeout = HANG)
{
	struct hold hold = {0};
	pthread_t thread[8];
	int result[8];

	engine_start(2);
	hold_start(&hold, puppet_spawn(NULL, 0));
	for (int i = 0; i < 8; i++)
		thread[i] = thread_start(thread_quiesce, &result[i]);
	hold_end(&hold);
	for (int i = 0; i < 8; i++) {
		thread_join(thread[i]);
		cr_assert_eq(result[i], 0);
	}
	engine_stop();
}

Test(quiesce, an_engine_does_not_wait_for_another, .timeout = HANG)
{
	struct rota_config config = test_config(1);
	struct hold hold = {0};
	rota_engine *busy;

	busy = engine = engine_make(&config);
	hold_start(&hold, puppet_spawn(NULL, 0));
	engine_start(1);
	quiesce();
	engine_stop();
	cr_assert_eq(rota_stop(busy, PATIENCE), 0);
}
