/* SPDX-License-Identifier: MIT */
/*
 * join - waiting for an actor's end: sticky, for any number, with the reason
 */
#include <rota/wait.h>

#include "tests/unit/support.h"

static struct record record;

struct joining {
	rota_id whom;
	int64_t within;
	struct tally thread;
	struct flag ended;
	struct rota_exit why;
	int result;
	pthread_t pthread;
	struct record *destroyed; /* must have happened when it returns */
	size_t destroyed_then;
};

static int act_join(void *arg)
{
	struct joining *j = arg;

	tally_add(&j->thread, (size_t)thread_number());
	j->result = rota_join(j->whom, j->within, &j->why);
	if (j->destroyed)
		j->destroyed_then = tally_of(&j->destroyed->destroyed);
	flag_raise(&j->ended);
	return 0;
}

static void *thread_joining(void *arg)
{
	act_join(arg);
	return NULL;
}

static struct joining joining(rota_id whom)
{
	return (struct joining){
		.whom = whom, .within = ROTA_FOREVER, .result = 1};
}

static int act_stop_7(void *arg)
{
	(void)arg;
	return rota_self_stop(7);
}

static int act_fail(void *arg)
{
	(void)arg;
	return -EIO;
}

static void expect_why(const struct joining *j, enum rota_exit_cause cause,
		       int reason)
{
	cr_assert_eq(j->result, 0, "%s", rota_strerror(j->result));
	cr_assert_eq(j->why.cause, cause, "cause %d", (int)j->why.cause);
	cr_assert_eq(j->why.reason, reason);
}

/* ---- before the end ---- */

/* The same by its name among the waits. */
static int act_await_exit(void *arg)
{
	struct joining *j = arg;

	j->result = rota_await_exit(j->whom, j->within, &j->why);
	flag_raise(&j->ended);
	return 0;
}

Test(join, is_a_wait_like_others, .timeout = HANG)
{
	struct joining j;

	engine_start(2);
	j = joining(puppet_spawn(NULL, 0));
	cr_assert_eq(rota_await_exit(j.whom, ROTA_MS(1), &j.why), -ETIMEDOUT);
	ACTS(puppet_spawn(NULL, 0), act_await_exit, &j);
	AWAIT(counters().waits >= 1);
	cr_assert(!flag_is_up(&j.ended));
	ACTS(j.whom, act_stop_7, NULL);
	AWAIT(flag_is_up(&j.ended));
	expect_why(&j, ROTA_EXIT_NORMAL, 7);
	j = joining(j.whom);
	j.result = rota_await_exit(j.whom, ROTA_NOW, &j.why);
	expect_why(&j, ROTA_EXIT_NORMAL, 7);
	engine_stop();
}

Test(join, a_thread_waits_for_the_end, .timeout = HANG)
{
	struct joining j;

	engine_start(2);
	j = joining(puppet_spawn(&record, 0));
	j.destroyed = &record;
	j.pthread = thread_start(thread_joining, &j);
	await_sleep(&j.thread);
	cr_assert(!flag_is_up(&j.ended));
	ACTS(j.whom, act_stop_7, NULL);
	thread_join(j.pthread);
	expect_why(&j, ROTA_EXIT_NORMAL, 7);
	cr_assert_eq(j.destroyed_then, 1); /* the destructor has run */
	engine_stop();
}

Test(join, a_handler_waits_for_the_end, .timeout = HANG)
{
	struct joining j;

	engine_start(1);
	j = joining(puppet_spawn(&record, 0));
	j.destroyed = &record;
	ACTS(puppet_spawn(NULL, 0), act_join, &j);
	AWAIT(counters().waits >= 1);
	cr_assert(!flag_is_up(&j.ended));
	ACTS(j.whom, act_stop_7, NULL);
	AWAIT(flag_is_up(&j.ended));
	expect_why(&j, ROTA_EXIT_NORMAL, 7);
	cr_assert_eq(j.destroyed_then, 1);
	engine_stop();
}

#define JOINERS 100

Test(join, any_number_may_wait, .timeout = HANG)
{
	static struct joining j[JOINERS];
	rota_id whom;

	engine_start(2);
	whom = puppet_spawn(&record, 0);
	for (size_t i = 0; i < JOINERS; i++) {
		j[i] = joining(whom);
		j[i].destroyed = &record;
		if (i % 2)
			ACTS(puppet_spawn(NULL, 0), act_join, &j[i]);
		else
			j[i].pthread = thread_start(thread_joining, &j[i]);
	}
	AWAIT(counters().waits >= JOINERS / 2);
	ACTS(whom, act_fail, NULL);
	for (size_t i = 0; i < JOINERS; i++) {
		if (i % 2)
			AWAIT(flag_is_up(&j[i].ended));
		else
			thread_join(j[i].pthread);
		expect_why(&j[i], ROTA_EXIT_FAILED, -EIO);
		cr_assert_eq(j[i].destroyed_then, 1);
	}
	engine_stop();
}

Test(join, a_thousand_handlers_may_wait, .timeout = HANG)
{
	enum { N = 1000 };
	struct joining *j = calloc(N, sizeof(*j));
	rota_id whom;

	engine_start(2);
	whom = puppet_spawn(&record, 0);
	for (size_t i = 0; i < N; i++) {
		j[i] = joining(whom);
		ACTS(puppet_spawn(NULL, 1), act_join, &j[i]);
	}
	AWAIT(counters().waits >= N);
	cr_assert_eq(rota_actor_stop(whom), 0);
	quiesce();
	for (size_t i = 0; i < N; i++)
		expect_why(&j[i], ROTA_EXIT_STOPPED, 0);
	engine_stop();
	free(j);
}

/* ---- after the end ---- */

Test(join, is_sticky, .timeout = HANG)
{
	struct joining j;
	rota_id by;

	engine_start(2);
	by = puppet_spawn(NULL, 0);
	j = joining(puppet_spawn(&record, 0));
	ACTS(j.whom, act_stop_7, NULL);
	for (int i = 0; i < 10; i++) {
		j.result = 1;
		j.why = (struct rota_exit){0};
		act_join(&j);
		expect_why(&j, ROTA_EXIT_NORMAL, 7);
		ACTS(by, act_join, &j);
		quiesce();
		expect_why(&j, ROTA_EXIT_NORMAL, 7);
	}
	cr_assert_eq(rota_join(j.whom, ROTA_NOW, NULL), 0);
	engine_stop();
}

/* Others die, and live in its slot, after it: the reason is still known. */
Test(join, the_reason_outlives_the_slot, .timeout = HANG)
{
	struct rota_exit why = {0};
	rota_id id;

	engine_start(1);
	id = puppet_spawn(NULL, 0);
	ACTS(id, act_stop_7, NULL);
	quiesce();
	for (int i = 0; i < 16; i++) {
		rota_id later = puppet_spawn(NULL, 0);

		cr_assert_neq(later, id);
		ACTS(later, act_fail, NULL);
		cr_assert_eq(rota_join(later, PATIENCE, NULL), 0);
	}
	(void)puppet_spawn(NULL, 0); /* and one that lives */
	cr_assert_eq(rota_join(id, PATIENCE, &why), 0);
	cr_assert_eq(why.cause, ROTA_EXIT_NORMAL);
	cr_assert_eq(why.reason, 7);
	engine_stop();
}

/* After very many deaths it may be forgotten how, but never that. */
Test(join, an_end_is_never_forgotten, .timeout = HANG)
{
	struct rota_exit why = {0};
	size_t n = SIZED(100000, 10000);
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 0);
	ACTS(id, act_stop_7, NULL);
	for (size_t i = 0; i < n; i++) {
		cr_assert_eq(rota_actor_stop(puppet_spawn(NULL, 1)), 0);
		if (i % 1000 == 0)
			quiesce();
	}
	cr_assert_eq(rota_join(id, ROTA_FOREVER, &why), 0);
	cr_assert((why.cause == ROTA_EXIT_NORMAL && why.reason == 7) ||
			  why.cause == ROTA_EXIT_FORGOTTEN,
		  "cause %d", (int)why.cause);
	engine_stop();
}

/* A waiter that was there before the end gets the reason, whoever comes. */
Test(join, waiters_get_the_reason_of_the_one_they_waited_for, .timeout = HANG)
{
	static struct joining j[200];

	engine_start(2);
	for (size_t i = 0; i < 200; i++) {
		j[i] = joining(puppet_spawn(NULL, 0));
		ACTS(puppet_spawn(NULL, 0), act_join, &j[i]);
		if (i % 2)
			ACTS(j[i].whom, act_stop_7, NULL);
		else
			ACTS(j[i].whom, act_fail, NULL);
	}
	quiesce();
	for (size_t i = 0; i < 200; i++)
		expect_why(&j[i], i % 2 ? ROTA_EXIT_NORMAL : ROTA_EXIT_FAILED,
			   i % 2 ? 7 : -EIO);
	engine_stop();
}

/* ---- deadlines ---- */

Test(join, waits_no_longer_than_asked, .timeout = HANG)
{
	static const int64_t within[] = {INT64_MIN, -1,		  ROTA_NOW,
					 1,	    ROTA_US(100), ROTA_MS(2)};
	struct joining j;
	rota_id by;

	engine_start(2);
	by = puppet_spawn(NULL, 0);
	j = joining(puppet_spawn(&record, 0));
	for (size_t i = 0; i < 6; i++) {
		j.within = within[i];
		act_join(&j);
		cr_assert_eq(j.result, -ETIMEDOUT);
		j.result = 1;
		ACTS(by, act_join, &j);
		quiesce();
		cr_assert_eq(j.result, -ETIMEDOUT);
	}
	cr_assert_eq(rota_is_alive(j.whom), 1); /* and does nothing to it */
	ACTS(j.whom, act_stop_7, NULL);
	j.within = PATIENCE;
	act_join(&j);
	expect_why(&j, ROTA_EXIT_NORMAL, 7);
	engine_stop();
}

Test(join, a_failed_one_leaves_the_reason_alone, .timeout = HANG)
{
	struct rota_exit why = {.cause = ROTA_EXIT_FORGOTTEN, .reason = 12345};

	engine_start(1);
	cr_assert_eq(rota_join(puppet_spawn(NULL, 0), ROTA_NOW, &why),
		     -ETIMEDOUT);
	cr_assert_eq(why.cause, ROTA_EXIT_FORGOTTEN);
	cr_assert_eq(why.reason, 12345);
	engine_stop();
}

/* ---- refusals ---- */

static int act_join_self(void *arg)
{
	struct joining *j = arg;

	j->whom = rota_self();
	return act_join(j);
}

Test(join, of_oneself_is_refused, .timeout = HANG)
{
	struct joining j = joining(ROTA_NONE);

	engine_start(1);
	ACTS(puppet_spawn(NULL, 0), act_join_self, &j);
	quiesce();
	cr_assert_eq(j.result, -EDEADLK);
	engine_stop();
}

/* Actors that join each other in a circle: no end of this ever comes. */
#define RING 5

struct ring {
	struct hold hold;
	struct joining joining;
};

static int act_hold_then_join(void *arg)
{
	struct ring *ring = arg;

	act_hold(&ring->hold);
	return act_join(&ring->joining);
}

static void ring_of(size_t n)
{
	static struct ring ring[RING];
	size_t n_refused = 0;
	rota_id gate;
	rota_id id[RING];

	memset(ring, 0, sizeof(ring));
	engine_start(2);
	gate = puppet_spawn(NULL, 1);
	for (size_t i = 0; i < n; i++)
		id[i] = puppet_spawn(NULL, 1);
	for (size_t i = 0; i < n; i++) {
		ring[i].hold.gate = gate;
		ring[i].joining = joining(id[(i + 1) % n]);
		ACTS(id[i], act_hold_then_join, &ring[i]);
	}
	AWAIT(counters().waits >= n);
	cr_assert_eq(rota_actor_stop(gate), 0);
	/* One of them at least is told, and goes on; the rest wait for it. */
	AWAIT(counters().messages >= 1);
	for (size_t i = 0; i < n; i++)
		(void)rota_actor_stop(id[i]);
	quiesce();
	for (size_t i = 0; i < n; i++) {
		int result = ring[i].joining.result;

		n_refused += result == -EDEADLK;
		cr_assert(result == 0 || result == -EDEADLK ||
				  result == -ECANCELED,
			  "%d", result);
	}
	cr_assert_gt(n_refused, 0);
	engine_stop();
}

Test(join, of_each_other_is_refused, .timeout = HANG)
{
	ring_of(2);
}

Test(join, of_each_other_in_a_ring_is_refused, .timeout = HANG)
{
	ring_of(3);
	ring_of(RING);
}

/* A tree of waits has no circle, however many join. */
Test(join, in_a_tree_ends_from_the_root, .timeout = HANG)
{
	static struct joining j[20];
	rota_id id[20];

	engine_start(2);
	id[0] = puppet_spawn(NULL, 0);
	for (size_t i = 1; i < 20; i++) {
		id[i] = puppet_spawn(NULL, 0);
		j[i] = joining(id[i / 2]);
		ACTS(id[i], act_join, &j[i]);
		ACTS(id[i], act_self_stop, NULL);
	}
	AWAIT(counters().waits >= 19);
	ACTS(id[0], act_self_stop, NULL);
	quiesce();
	for (size_t i = 1; i < 20; i++)
		cr_assert_eq(j[i].result, 0);
	engine_stop();
}

Test(join, of_nobody_is_refused, .timeout = HANG)
{
	cr_assert_eq(rota_join(ROTA_NONE, ROTA_FOREVER, NULL), -ESRCH);
	engine_start(1);
	cr_assert_eq(rota_join(ROTA_NONE, ROTA_FOREVER, NULL), -ESRCH);
	/* Made up. */
	cr_assert_lt(rota_join(UINT64_MAX, ROTA_FOREVER, NULL), 0);
	engine_stop();
}

Test(join, of_an_actor_of_an_engine_that_is_gone_is_refused, .timeout = HANG)
{
	rota_id alive;
	rota_id dead;

	engine_start(1);
	alive = puppet_spawn(NULL, 0);
	dead = puppet_spawn(NULL, 0);
	ACTS(dead, act_stop_7, NULL);
	quiesce();
	engine_stop();
	cr_assert_eq(rota_join(alive, ROTA_FOREVER, NULL), -ESRCH);
	cr_assert_eq(rota_join(dead, ROTA_FOREVER, NULL), -ESRCH);
}

/* ---- across engines ---- */

Test(join, a_handler_may_join_an_actor_of_another_engine, .timeout = HANG)
{
	struct rota_config config = test_config(1);
	struct joining j;
	rota_engine *other;

	other = engine = engine_make(&config);
	j = joining(puppet_spawn(NULL, 0));
	engine_start(1);
	ACTS(puppet_spawn(NULL, 0), act_join, &j);
	AWAIT(counters().waits >= 1);
	ACTS(j.whom, act_stop_7, NULL);
	AWAIT(flag_is_up(&j.ended));
	expect_why(&j, ROTA_EXIT_NORMAL, 7);
	engine_stop();
	cr_assert_eq(rota_stop(other, PATIENCE), 0);
}
