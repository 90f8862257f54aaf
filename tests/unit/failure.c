/* SPDX-License-Identifier: MIT */
/*
 * failure - a handler that returns a negative number ends its actor
 */
#include "tests/unit/support.h"

static struct record record;

static int act_fail(void *arg)
{
	return *(int *)arg;
}

Test(failure, a_negative_return_ends_the_actor_with_it, .timeout = HANG)
{
	static int errors[] = {-1, -EIO, -ENOMEM, -4096, -INT32_MAX};
	struct rota_exit why;

	engine_start(2);
	for (size_t i = 0; i < 5; i++) {
		rota_id id = puppet_spawn(&record, 0);

		ACTS(id, act_fail, &errors[i]);
		cr_assert_eq(rota_join(id, PATIENCE, &why), 0);
		cr_assert_eq(why.cause, ROTA_EXIT_FAILED);
		cr_assert_eq(why.reason, errors[i]);
		cr_assert_eq(send_value(id, 1, 1), -ESRCH);
		cr_assert_eq(tally_of(&record.destroyed), i + 1);
	}
	engine_stop();
	cr_assert_eq(tally_of(&record.destroyed), 5);
}

Test(failure, touches_nobody_else, .timeout = HANG)
{
	static int error = -EIO;
	rota_id other;

	engine_start(1);
	other = puppet_spawn(&record, 0);
	for (int i = 0; i < 100; i++) {
		ACTS(puppet_spawn(NULL, 0), act_fail, &error);
		cr_assert_eq(send_value(other, 1, 1), 0);
	}
	quiesce();
	cr_assert_eq(tally_of(&record.n), 100);
	cr_assert_eq(rota_is_alive(other), 1);
	cr_assert_eq(counters().ended, 100);
	engine_stop();
}

Test(failure, leaves_what_is_queued_to_the_dead_letters, .timeout = HANG)
{
	static int error = -EIO;
	struct hold hold = {0};
	rota_id id;

	engine_start(1);
	id = puppet_spawn(&record, 64);
	hold_start(&hold, id);
	for (uint64_t i = 0; i < 4; i++)
		cr_assert_eq(send_value(id, 1, i), 0);
	ACTS(id, act_fail, &error);
	for (uint64_t i = 4; i < 10; i++)
		cr_assert_eq(send_value(id, 1, i), 0);
	hold_end(&hold);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 4);
	cr_assert_eq(n_dead(), 6); /* the one it failed at is none */
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_STOPPED]), 6);
	engine_stop();
}

static int act_stop_then_fail(void *arg)
{
	rota_self_stop(3);
	return *(int *)arg;
}

Test(failure, outweighs_an_orderly_stop, .timeout = HANG)
{
	static int error = -EIO;
	struct rota_exit why;
	rota_id id;

	engine_start(1);
	id = puppet_spawn(&record, 0);
	ACTS(id, act_stop_then_fail, &error);
	cr_assert_eq(rota_join(id, PATIENCE, &why), 0);
	cr_assert_eq(why.cause, ROTA_EXIT_FAILED);
	cr_assert_eq(why.reason, -EIO);
	engine_stop();
}

static int act_hold_then_fail(void *arg)
{
	act_hold(arg);
	return -EIO;
}

Test(failure, after_a_wait_is_the_same, .timeout = HANG)
{
	struct hold hold = {0};
	struct rota_exit why;
	rota_id id;

	engine_start(1);
	id = puppet_spawn(&record, 0);
	hold.gate = puppet_spawn(NULL, 0);
	ACTS(id, act_hold_then_fail, &hold);
	AWAIT(flag_is_up(&hold.begun));
	cr_assert_eq(send_value(id, 1, 1), 0);
	hold_end(&hold);
	cr_assert_eq(rota_join(id, PATIENCE, &why), 0);
	cr_assert_eq(why.cause, ROTA_EXIT_FAILED);
	cr_assert_eq(why.reason, -EIO);
	quiesce();
	cr_assert_eq(n_dead(), 1);
	cr_assert_eq(tally_of(&record.destroyed), 1);
	engine_stop();
}

Test(failure, one_while_draining_ends_the_drain, .timeout = HANG)
{
	static int error = -EIO;
	struct hold hold = {0};
	struct rota_exit why;
	rota_id id;

	engine_start(1);
	id = puppet_spawn(&record, 64);
	hold_start(&hold, id);
	cr_assert_eq(send_value(id, 1, 0), 0);
	ACTS(id, act_fail, &error);
	cr_assert_eq(send_value(id, 1, 1), 0);
	cr_assert_eq(rota_actor_drain(id), 0);
	hold_end(&hold);
	cr_assert_eq(rota_join(id, PATIENCE, &why), 0);
	cr_assert_eq(why.cause, ROTA_EXIT_FAILED);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 1);
	cr_assert_eq(n_dead(), 1);
	engine_stop();
}

/* ---- destroy ---- */

struct grave {
	struct tally n;
	struct tally bad;
	struct tally sent;
	rota_id friend;
	rota_engine *engine;
};

struct mortal {
	struct grave *grave;
	uint64_t check;
};

static int mortal_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct mortal *mortal = state;

	(void)payload;
	(void)length;
	mortal->check += tag;
	return tag == 9 ? -EIO : 0;
}

/* Sees the state as the last handler left it; may send and spawn. */
static void mortal_destroy(void *state)
{
	struct mortal *mortal = state;
	struct grave *grave = mortal->grave;

	tally_add(&grave->n, 1);
	if (mortal->check != 1000 + 1 + 2 + 9)
		tally_add(&grave->bad, 1);
	if (try_value(grave->friend, 1, 1) == 0)
		tally_add(&grave->sent, 1);
}

static const struct rota_behaviour mortal_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "mortal",
	.state_size = sizeof(struct mortal),
	.handle = mortal_handle,
	.destroy = mortal_destroy,
};

Test(failure, destroy_sees_the_state_as_it_was_left, .timeout = HANG)
{
	static struct grave grave;
	struct mortal mortal = {&grave, 1000};

	engine_start(2);
	grave.friend = puppet_spawn(&record, 1000);
	for (int i = 0; i < 100; i++) {
		rota_id id = spawn(&mortal_behaviour, &mortal, 0);

		cr_assert_eq(rota_send(id, 1, NULL, 0), 0);
		cr_assert_eq(rota_send(id, 2, NULL, 0), 0);
		cr_assert_eq(rota_send(id, 9, NULL, 0), 0);
	}
	quiesce();
	cr_assert_eq(tally_of(&grave.n), 100);
	cr_assert_eq(tally_of(&grave.bad), 0);
	cr_assert_eq(tally_of(&record.n), tally_of(&grave.sent));
	cr_assert_eq(tally_of(&grave.sent), 100);
	engine_stop();
	cr_assert_eq(tally_of(&grave.n), 100);
}
