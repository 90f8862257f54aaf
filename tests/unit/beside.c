/* SPDX-License-Identifier: MIT */
/*
 * beside - what goes on beside a turn that does not end
 *
 * The turn here ends when others have done what they could not do if it held
 * them up: so these tests hang where they fail.
 */
#include "tests/unit/support.h"

static struct flag heard; /* by another actor */

static int bell_handle(void *state, unsigned tag, void *payload, size_t length)
{
	(void)state;
	(void)tag;
	(void)payload;
	(void)length;
	flag_raise(&heard);
	return 0;
}

static const struct rota_behaviour bell_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "bell",
	.handle = bell_handle,
};

struct spin {
	rota_id bell;
	int64_t delay;
	rota_timer timer;
	int error;
	bool is_blocked; /* in the kernel; else it computes */
	struct flag begun;
};

static void spin_until_heard(const struct spin *spin)
{
	while (!flag_is_up(&heard))
		if (spin->is_blocked)
			nap();
}

/* Its own worker's wheel has the timer. */
static int act_arm_and_spin(void *arg)
{
	struct spin *spin = arg;

	spin->error = rota_send_after(spin->bell, 1, NULL, 0, spin->delay,
				      &spin->timer);
	flag_raise(&spin->begun);
	if (!spin->error)
		spin_until_heard(spin);
	return 0;
}

static int act_spin(void *arg)
{
	struct spin *spin = arg;

	flag_raise(&spin->begun);
	spin_until_heard(spin);
	return 0;
}

static void arm_and_spin(unsigned workers, int64_t delay, bool is_blocked)
{
	struct spin spin = {.delay = delay, .is_blocked = is_blocked};

	engine_start(workers);
	spin.bell = spawn(&bell_behaviour, NULL, 1);
	ACTS(puppet_spawn(NULL, 1), act_arm_and_spin, &spin);
	quiesce();
	cr_assert_eq(spin.error, 0);
	cr_assert(flag_is_up(&heard));
	engine_stop();
}

Test(beside, timers_of_its_worker_keep_their_time, .timeout = HANG)
{
	arm_and_spin(2, ROTA_MS(5), false);
}

Test(beside, so_do_those_that_are_due_at_once, .timeout = HANG)
{
	arm_and_spin(2, 0, false);
}

Test(beside, so_do_those_of_a_worker_that_sleeps_in_the_kernel, .timeout = HANG)
{
	arm_and_spin(3, ROTA_MS(5), true);
}

/* All but one are stuck, and each has timers. */
Test(beside, one_worker_serves_all_others, .timeout = HANG)
{
	struct spin spin[3];

	engine_start(4);
	for (size_t i = 0; i < 3; i++) {
		spin[i] = (struct spin){.bell = puppet_spawn(NULL, 8),
					.delay = ROTA_MS(3),
					.is_blocked = true};
		if (i == 2)
			spin[i].bell = spawn(&bell_behaviour, NULL, 1);
		/* Each on a worker of its own, for they stand still. */
		ACTS(puppet_spawn(NULL, 1), act_arm_and_spin, &spin[i]);
		AWAIT(flag_is_up(&spin[i].begun));
	}
	quiesce();
	engine_stop();
}

/* The one worker left has something to do all the time: it does not sleep. */
static struct tally n_laps;

static int act_run_in_circles(void *arg)
{
	struct spin *spin = arg;

	tally_add(&n_laps, 1);
	if (flag_is_up(&heard))
		return 0;
	return puppet_act(rota_self(), act_run_in_circles, spin);
}

Test(beside, a_busy_worker_serves_too, .timeout = HANG)
{
	struct spin spin = {.delay = ROTA_MS(5), .is_blocked = true};

	engine_start(2);
	spin.bell = spawn(&bell_behaviour, NULL, 1);
	ACTS(puppet_spawn(NULL, 4), act_run_in_circles, &spin);
	ACTS(puppet_spawn(NULL, 4), act_arm_and_spin, &spin);
	quiesce();
	cr_assert_gt(tally_of(&n_laps), 0);
	engine_stop();
}

Test(beside, sends_from_outside_are_handled, .timeout = HANG)
{
	struct spin spin = {0};

	engine_start(2);
	spin.bell = spawn(&bell_behaviour, NULL, 1);
	ACTS(puppet_spawn(NULL, 1), act_spin, &spin);
	AWAIT(flag_is_up(&spin.begun));
	cr_assert_eq(rota_send(spin.bell, 1, NULL, 0), 0);
	quiesce();
	engine_stop();
}

/* Timers from outside go to all wheels, those of stuck workers included. */
Test(beside, timers_from_outside_keep_their_time, .timeout = HANG)
{
	struct stall stall[2] = {{{0}, {0}, {0}}, {{0}, {0}, {0}}};
	static struct record record;
	rota_id bell;

	engine_start(3);
	for (size_t i = 0; i < 2; i++)
		stall_start(&stall[i], puppet_spawn(NULL, 1));
	bell = puppet_spawn(&record, 64);
	for (uint64_t i = 0; i < 60; i++)
		cr_assert_eq(rota_send_after(bell, 1, &i, sizeof(i),
					     ROTA_US(100) * (int64_t)i, NULL),
			     0);
	AWAIT(tally_of(&record.n) == 60);
	for (size_t i = 0; i < 2; i++)
		flag_raise(&stall[i].go);
	quiesce();
	engine_stop();
}

/* A timer of a stuck worker is taken back, before and after it is served. */
Test(beside, timers_of_its_worker_can_be_cancelled, .timeout = HANG)
{
	struct spin spin = {.delay = ROTA_S(1000), .is_blocked = true};

	engine_start(2);
	spin.bell = spawn(&bell_behaviour, NULL, 1);
	ACTS(puppet_spawn(NULL, 1), act_arm_and_spin, &spin);
	AWAIT(flag_is_up(&spin.begun));
	cr_assert_eq(rota_timer_cancel(spin.timer), 0);
	cr_assert_eq(rota_timer_cancel(spin.timer), -ESRCH);
	cr_assert_not(flag_is_up(&heard));
	cr_assert_eq(rota_send(spin.bell, 1, NULL, 0), 0);
	quiesce();
	cr_assert_eq(rota_timer_cancel(spin.timer), -ESRCH);
	engine_stop();
}
