/* SPDX-License-Identifier: MIT */
/*
 * cancel - a timer's name is used before its alarm is set
 *
 * The name can be known, or guessed, by then. The source is included so that
 * the cancel comes right in between.
 */
#include "core/run.h"

static void cancel_in_between(struct worker *worker, struct alarm *alarm,
			      uint64_t when_ns);

#define worker_set_alarm cancel_in_between
#define fill fill_timer /* support.h has one */
#include "core/timer.c"
#undef fill
#undef worker_set_alarm

#include "tests/unit/support.h"

static rota_timer name;
static int result = 1;
static bool fires_at_once;

static void cancel_in_between(struct worker *worker, struct alarm *alarm,
			      uint64_t when_ns)
{
	result = rota_timer_cancel(name);
	worker_set_alarm(worker, alarm, when_ns);
	if (fires_at_once)
		clockwork_serve(&worker->clockwork, worker, when_ns + 1000000);
}

static int act_arm(void *arg)
{
	rota_id *bell = arg;

	return rota_send_after(*bell, 1, NULL, 0, ROTA_S(1000), &name);
}

/* Nothing is left armed: an engine at rest would have to wait for that. */
static void expect_gone(rota_id bell)
{
	quiesce();
	cr_assert_eq(result, 0);
	cr_assert_eq(rota_timer_cancel(name), -ESRCH);
	cr_assert_eq(rota_actor_stop(bell), 0);
	engine_stop();
}

Test(cancel, before_the_alarm_is_set_leaves_nothing_behind, .timeout = HANG)
{
	rota_id bell;

	engine_start(1);
	bell = puppet_spawn(NULL, 1);
	cr_assert_eq(rota_send_after(bell, 1, NULL, 0, ROTA_S(1000), &name), 0);
	expect_gone(bell);
}

Test(cancel, likewise_in_a_handler, .timeout = HANG)
{
	rota_id bell;

	engine_start(1);
	bell = puppet_spawn(NULL, 1);
	ACTS(puppet_spawn(NULL, 1), act_arm, &bell);
	expect_gone(bell);
}

Test(cancel, likewise_if_it_fires_in_between, .timeout = HANG)
{
	rota_id bell;

	engine_start(1);
	fires_at_once = true;
	bell = puppet_spawn(NULL, 1);
	ACTS(puppet_spawn(NULL, 1), act_arm, &bell);
	expect_gone(bell);
}
