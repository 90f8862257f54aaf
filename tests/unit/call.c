/* SPDX-License-Identifier: MIT */
/*
 * call - does a turn that asks an idle actor of its worker go on as if it waited?
 *
 * The actor's turn is run at once, on a stack of its own; see sched/call.h. What
 * runs can tell by the worker's number of callers that this is so.
 */
#include "sched/call.h"

#include <rota/process.h>
#include <rota/status.h>
#include <rota/wait.h>

#include "tests/unit/quick.h"

#include "tests/unit/asks.h"

/* Whether it is somebody's turn right now depends on what else there is: a look
   around every 61 turns, say. So many tries. */
#define TRIES 200

static unsigned n_callers(void)
{
	return worker_n_callers(&local_here()->worker);
}

static int ask_to_run(rota_id to, int (*run)(void *), void *arg, int64_t within)
{
	struct act act = {run, arg};

	seem_quick(to);
	return rota_ask(to, RUNS, &act, sizeof(act), NULL, 0, within);
}

/* ---- who asks ---- */

/* Ask again and again, until that was a call; then *result is the outcome. */
struct caller {
	rota_id to;
	int (*run)(struct caller *caller); /* by whom is asked */
	int64_t within;
	unsigned n_callers; /* as it was asked the last time */
	int result;
	struct rota_ask_detail detail;
	struct flag called;
	struct flag go;
	struct flag ended;
	rota_token token;
	int other;
};

static int served(void *arg)
{
	struct caller *caller = arg;

	caller->n_callers = n_callers();
	if (caller->n_callers == 0)
		return 0;
	flag_raise(&caller->called);
	return caller->run(caller);
}

static int act_call(void *arg)
{
	struct caller *caller = arg;

	for (int i = 0; i < TRIES && !flag_is_up(&caller->called); i++)
		caller->result =
			ask_to_run(caller->to, served, caller, caller->within);
	rota_ask_detail(&caller->detail);
	flag_raise(&caller->ended);
	return 0;
}

static struct caller caller_of(int (*run)(struct caller *))
{
	return (struct caller){.to = servant_spawn(0, NULL),
			       .run = run,
			       .within = ROTA_FOREVER};
}

static rota_id start_caller(struct caller *caller)
{
	rota_id asker = puppet_spawn(NULL, 0);

	ACTS(asker, act_call, caller);
	return asker;
}

static int result_of(struct caller *caller)
{
	AWAIT(flag_is_up(&caller->ended));
	cr_assert(flag_is_up(&caller->called), "never called");
	return caller->result;
}

/* ---- what answers at once ---- */

static int answer_seven(struct caller *caller)
{
	(void)caller;
	return rota_answer(7, NULL, 0);
}

static int return_nothing(struct caller *caller)
{
	(void)caller;
	return 0;
}

static int fail(struct caller *caller)
{
	(void)caller;
	return -EIO;
}

static int outcome(int (*run)(struct caller *))
{
	static struct caller caller;
	int result;

	engine_start(1);
	caller = caller_of(run);
	start_caller(&caller);
	result = result_of(&caller);
	quiesce();
	cr_assert_eq(caller.detail.progress, ROTA_ASK_SENT | ROTA_ASK_STARTED);
	engine_stop();
	return result;
}

Test(call, its_outcome_is_the_asks, .timeout = HANG)
{
	cr_assert_eq(outcome(answer_seven), 7);
	cr_assert_eq(outcome(return_nothing), 0);
	cr_assert_eq(outcome(fail), EIO);
}

/* ---- calls in calls ---- */

#define CHAIN 7

static struct {
	rota_id id[CHAIN + 1];
	unsigned seen[CHAIN + 1];
	int result[CHAIN + 1];
} links;

static int act_link(void *arg)
{
	uintptr_t i = (uintptr_t)arg;

	links.seen[i] = n_callers();
	links.result[i] = 0;
	if (i < CHAIN)
		links.result[i] = ask_to_run(links.id[i + 1], act_link,
					     (void *)(i + 1), ROTA_FOREVER);
	return 0;
}

static bool all_are_nested(void)
{
	for (unsigned i = 0; i <= WORKER_MAX_CALLERS; i++)
		if (links.seen[i] != i)
			return false;
	return true;
}

/* So many; the next one waits, and so do all before it. */
Test(call, calls_may_call, .timeout = HANG)
{
	bool nested = false;

	engine_start(1);
	links.id[0] = puppet_spawn(NULL, 0);
	for (unsigned i = 1; i <= CHAIN; i++)
		links.id[i] = servant_spawn(0, NULL);
	for (int i = 0; i < TRIES && !nested; i++) {
		ACTS(links.id[0], act_link, NULL);
		quiesce();
		for (unsigned j = 0; j <= CHAIN; j++)
			cr_assert_eq(links.result[j], 0, "%u", j);
		nested = all_are_nested();
	}
	cr_assert(nested);
	cr_assert_eq(links.seen[WORKER_MAX_CALLERS + 1], 0);
	engine_stop();
}

/* ---- a circle ---- */

static int ask_back(struct caller *caller)
{
	uint64_t none = 0;

	caller->other = rota_ask(rota_sender(), NOTHING, &none, sizeof(none),
				 NULL, 0, ROTA_FOREVER);
	return 0;
}

Test(call, a_circle_is_refused, .timeout = HANG)
{
	static struct caller caller;

	engine_start(1);
	caller = caller_of(ask_back);
	start_caller(&caller);
	cr_assert_eq(result_of(&caller), 0);
	cr_assert_eq(caller.other, -EDEADLK);
	engine_stop();
}

/* ---- what waits ---- */

static int sleep_long(struct caller *caller)
{
	caller->other = rota_sleep(ROTA_S(1000));
	return 0;
}

static int sleep_shortly(struct caller *caller)
{
	caller->other = rota_sleep(ROTA_MS(2));
	return n_callers() == 0 ? rota_answer(3, NULL, 0) : 0;
}

Test(call, one_that_waits_is_waited_for, .timeout = HANG)
{
	cr_assert_eq(outcome(sleep_shortly), 3);
}

/* ... no longer than it was to be, and then it is cancelled. */
Test(call, but_not_for_ever, .timeout = HANG)
{
	static struct caller caller;

	engine_start(1);
	caller = caller_of(sleep_long);
	caller.within = ROTA_MS(20);
	start_caller(&caller);
	cr_assert_eq(result_of(&caller), -ETIMEDOUT);
	cr_assert_eq(caller.detail.progress, ROTA_ASK_SENT | ROTA_ASK_STARTED);
	cr_assert_eq(rota_actor_stop(caller.to), 0);
	quiesce();
	engine_stop();
}

static int ask_in_vain(struct caller *caller)
{
	static AO_t xtoken;
	uint64_t none = 0;

	caller->other = rota_ask(servant_spawn(0, &xtoken), TAKES, &none,
				 sizeof(none), NULL, 0, ROTA_FOREVER);
	return 0;
}

/* Whoever waits in a call can be stopped, and all that hangs on it. */
Test(call, a_stop_goes_on_to_what_waits, .timeout = HANG)
{
	static struct caller caller;
	rota_id asker;

	engine_start(1);
	caller = caller_of(ask_in_vain);
	asker = start_caller(&caller);
	AWAIT(flag_is_up(&caller.called));
	cr_assert_eq(rota_actor_stop(asker), 0);
	cr_assert_eq(result_of(&caller), -ECANCELED);
	quiesce();
	cr_assert_eq(caller.other, -ECANCELED);
	engine_stop();
}

/* ---- what computes ---- */

static int stall(struct caller *caller)
{
	while (!flag_is_up(&caller->go))
		nap();
	return rota_answer(5, NULL, 0);
}

static int poll_cancelled(struct caller *caller)
{
	while (!(caller->other = rota_is_cancelled()) &&
	       !flag_is_up(&caller->go))
		nap();
	return 0;
}

Test(call, its_caller_is_seen_to_wait, .timeout = HANG)
{
	struct rota_status status = ROTA_STATUS_INIT;
	static struct caller caller;
	rota_id asker;

	engine_start(2);
	caller = caller_of(stall);
	asker = start_caller(&caller);
	AWAIT(flag_is_up(&caller.called));
	cr_assert_eq(rota_status(asker, &status), 0);
	cr_assert_eq(status.activity, ROTA_WAITING);
	cr_assert_eq(status.waits_for, ROTA_WAITS_FOR_ANSWER);
	cr_assert_eq(status.whom, caller.to);
	cr_assert_eq(status.tag, ACT);
	cr_assert_eq(status.mailbox_length, 1);
	cr_assert_geq(status.worker, 0);
	cr_assert_eq(rota_status(caller.to, &status), 0);
	cr_assert_eq(status.activity, ROTA_RUNNING);
	flag_raise(&caller.go);
	cr_assert_eq(result_of(&caller), 5);
	engine_stop();
}

Test(call, one_that_asks_is_told_of_a_cancel, .timeout = HANG)
{
	static struct caller caller;
	rota_id asker;

	engine_start(2);
	caller = caller_of(poll_cancelled);
	asker = start_caller(&caller);
	AWAIT(flag_is_up(&caller.called));
	cr_assert_eq(rota_actor_stop(asker), 0);
	cr_assert_eq(result_of(&caller), -ECANCELED);
	quiesce();
	cr_assert_eq(caller.other, 1);
	engine_stop();
}

Test(call, one_that_is_abandoned, .init = check_kernel, .timeout = HANG)
{
	static struct caller caller;

	engine_start(2);
	caller = caller_of(stall);
	start_caller(&caller);
	AWAIT(flag_is_up(&caller.called));
	cr_assert_eq(rota_abandon_within(caller.to, ROTA_S(60)), 0);
	flag_raise(&caller.go);
	cr_assert_eq(result_of(&caller), -ECONNRESET);
	quiesce();
	engine_stop();
}

/* A stop in vain names the one, and the other goes on once that has returned. */
Test(call, one_that_outlasts_the_engine, .init = check_kernel, .timeout = HANG)
{
	struct rota_stop_report report = ROTA_STOP_REPORT_INIT;
	static struct caller caller;

	engine_start(2);
	caller = caller_of(stall);
	start_caller(&caller);
	AWAIT(flag_is_up(&caller.called));
	cr_assert_eq(rota_stop_report(engine, ROTA_MS(5), &report), -ETIMEDOUT);
	cr_assert_eq(report.stuck_actor, caller.to);
	flag_raise(&caller.go);
	AWAIT(flag_is_up(&caller.ended));
	cr_assert_lt(caller.result, 0);
}

/* ---- the answer comes from elsewhere ---- */

static void *thread_reply(void *arg)
{
	struct caller *caller = arg;

	caller->other = rota_reply(caller->token, 9, NULL, 0);
	flag_raise(&caller->go);
	return NULL;
}

static int let_thread_reply(struct caller *caller)
{
	pthread_t thread;
	int error = rota_reply_later(&caller->token);

	if (error)
		return rota_answer(-error, NULL, 0);
	thread = thread_start(thread_reply, caller);
	flag_block(&caller->go);
	thread_join(thread);
	/* Twice is too often, whoever is first. */
	if (rota_reply(caller->token, 8, NULL, 0) != -EALREADY)
		caller->other = 1;
	return ROTA_LATER;
}

static int drop_later(struct caller *caller)
{
	int error = rota_reply_later(&caller->token);

	if (error)
		return rota_answer(-error, NULL, 0);
	error = rota_sleep(ROTA_MS(2));
	if (!error)
		rota_reply_drop(caller->token);
	return ROTA_LATER;
}

static int forward(struct caller *caller)
{
	uint64_t value = 4;
	rota_id other = servant_spawn(0, NULL);

	caller->other = rota_forward(0, other, FAILS, &value, sizeof(value),
				     ROTA_FOREVER);
	return ROTA_LATER;
}

static int result_after(int (*run)(struct caller *), int other)
{
	static struct caller caller;
	int result;

	engine_start(1);
	caller = caller_of(run);
	start_caller(&caller);
	result = result_of(&caller);
	quiesce();
	cr_assert_eq(caller.other, other);
	engine_stop();
	return result;
}

Test(call, the_token_may_be_taken, .timeout = HANG)
{
	cr_assert_eq(result_after(let_thread_reply, 0), 9);
	cr_assert_eq(result_after(drop_later, 0), -EPIPE);
}

Test(call, the_request_may_be_passed_on, .timeout = HANG)
{
	cr_assert_eq(result_after(forward, 0), 4);
}

/* ---- others ---- */

static int stop_self(struct caller *caller)
{
	(void)caller;
	return rota_self_stop(0);
}

/* Handled, and answered; there is nobody to ask after that. */
Test(call, an_actor_may_end_in_it, .timeout = HANG)
{
	static struct caller caller;

	engine_start(1);
	caller = caller_of(stop_self);
	start_caller(&caller);
	cr_assert_eq(result_of(&caller), 0);
	cr_assert_eq(rota_join(caller.to, ROTA_FOREVER, NULL), 0);
	quiesce();
	engine_stop();
}

static int act_raise(void *arg)
{
	flag_raise(arg);
	return 0;
}

struct busy {
	rota_id to;
	rota_id other;
	struct flag begun;
	struct flag told;
};

static int act_ask_until_told(void *arg)
{
	struct busy *busy = arg;
	uint64_t value = 1;

	flag_raise(&busy->begun);
	if (busy->other)
		ACTS(busy->other, act_raise, &busy->told);
	while (!flag_is_up(&busy->told)) {
		seem_quick(busy->to);
		cr_assert_eq(rota_ask(busy->to, TWICE, &value, sizeof(value),
				      &value, sizeof(value), ROTA_FOREVER),
			     0);
		value = 1;
	}
	return 0;
}

/* An actor that asks for ever has the only thread. */
static void others_run(bool from_inside)
{
	static struct busy busy;
	struct rota_config config = test_config(1);
	rota_id asker, other;

	config.spares = ROTA_NO_SPARES;
	engine = engine_make(&config);
	asker = puppet_spawn(NULL, 0);
	other = puppet_spawn(NULL, 0);
	busy = (struct busy){.to = servant_spawn(0, NULL),
			     .other = from_inside ? other : ROTA_NONE};
	ACTS(asker, act_ask_until_told, &busy);
	AWAIT(flag_is_up(&busy.begun));
	if (!from_inside)
		ACTS(other, act_raise, &busy.told);
	quiesce();
	engine_stop();
}

Test(call, others_have_their_turns, .timeout = HANG)
{
	others_run(true);
	others_run(false);
}
