/* SPDX-License-Identifier: MIT */
/*
 * ask - exactly one answer, or exactly one failure
 */
#include <rota/closure.h>
#include <rota/status.h>

#include "tests/unit/asks.h"

static void answers_on(unsigned workers, bool is_thread)
{
	rota_id servant;

	engine_start(workers);
	servant = servant_spawn(0, NULL);
	for (uint64_t i = 0; i < 20; i++) {
		struct asked a = asked_of(servant, TWICE, i);

		cr_assert_eq(ask_now(&a, is_thread), 0);
		cr_assert_eq(a.reply, 2 * i);
		cr_assert_eq(a.detail.length, 8);
		cr_assert_eq(a.detail.progress,
			     ROTA_ASK_SENT | ROTA_ASK_STARTED);
	}
	engine_stop();
}

Test(ask, a_handler_gets_the_reply, .timeout = HANG)
{
	answers_on(2, false);
}

Test(ask, one_worker_is_enough, .timeout = HANG)
{
	answers_on(1, false);
}

Test(ask, a_thread_gets_the_reply, .timeout = HANG)
{
	answers_on(1, true);
}

Test(ask, many_workers_do_no_harm, .timeout = HANG)
{
	answers_on(64, false);
}

#define AGAIN SIZED(10000, 1000)

static int act_many(void *arg)
{
	struct asked *a = arg;

	for (uint64_t i = 0; i < AGAIN; i++) {
		uint64_t reply = 1;

		a->result = rota_ask(a->to, TWICE, &i, sizeof(i), &reply,
				     sizeof(reply), ROTA_FOREVER);
		if (a->result || reply != 2 * i)
			break;
		a->value++;
	}
	flag_raise(&a->ended);
	return 0;
}

Test(ask, a_handler_may_ask_again_and_again, .timeout = HANG)
{
	struct asked a;

	engine_start(1);
	a = asked_of(servant_spawn(1, NULL), TWICE, 0);
	ACTS(puppet_spawn(NULL, 0), act_many, &a);
	AWAIT(flag_is_up(&a.ended));
	cr_assert_eq(a.value, AGAIN);
	engine_stop();
}

/* ---- the handler's own words ---- */

static void handlers_error(bool is_thread)
{
	static const int errors[] = {1, 7, -7, INT_MAX, -INT_MAX, EPIPE};
	rota_id servant;

	engine_start(2);
	servant = servant_spawn(0, NULL);
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct asked a =
			asked_of(servant, FAILS, (uint64_t)(int64_t)errors[i]);

		cr_assert_eq(ask_now(&a, is_thread), abs(errors[i]));
		cr_assert_eq(a.reply, 12345, "no reply, no change");
	}
	cr_assert(rota_is_alive(servant), "an answer fails nobody");
	engine_stop();
}

Test(ask, handlers_errors_are_positive, .timeout = HANG)
{
	handlers_error(false);
}

Test(ask, handlers_errors_are_positive_in_threads, .timeout = HANG)
{
	handlers_error(true);
}

static int act_returns(void *arg)
{
	return *(int *)arg;
}

static int ask_run(rota_id servant, int (*run)(void *), void *arg)
{
	struct act act = {run, arg};

	return rota_ask(servant, RUNS, &act, sizeof(act), NULL, 0,
			ROTA_FOREVER);
}

Test(ask, what_the_handler_returns_is_an_answer, .timeout = HANG)
{
	int results[] = {0, 5, -5, ROTA_UNKNOWN};
	rota_id servant;

	engine_start(2);
	servant = servant_spawn(0, NULL);
	cr_assert_eq(ask_run(servant, act_returns, &results[0]), 0);
	cr_assert_eq(ask_run(servant, act_returns, &results[1]), 5);
	cr_assert_eq(ask_run(servant, act_returns, &results[2]), 5);
	cr_assert_eq(ask_run(servant, act_returns, &results[3]), -ENOSYS);
	cr_assert(rota_is_alive(servant));
	expect_conserved(4);
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_UNKNOWN]), 1);
	engine_stop();
}

Test(ask, a_tag_that_is_unknown_is_said_to_be, .timeout = HANG)
{
	struct asked a;

	engine_start(2);
	a = asked_of(servant_spawn(0, NULL), 999, 7);
	cr_assert_eq(ask_now(&a, true), -ENOSYS);
	a = asked_of(a.to, 999, 7);
	cr_assert_eq(ask_now(&a, false), -ENOSYS);
	expect_conserved(3);
	cr_assert_eq(morgue.letter[0].value, 7, "the payload is told");
	cr_assert_eq(morgue.letter[0].length, 8);
	engine_stop();
}

static int act_answers_twice(void *arg)
{
	int *second = arg;
	uint64_t value = 1;

	rota_answer(0, &value, sizeof(value));
	*second = rota_is_asked();
	value = 2;
	rota_answer(3, &value, sizeof(value));
	return 9;
}

Test(ask, the_first_answer_counts, .timeout = HANG)
{
	struct act act;
	uint64_t reply = 0;
	int second = 7;
	rota_id servant;

	engine_start(2);
	servant = servant_spawn(0, NULL);
	act = (struct act){act_answers_twice, &second};
	cr_assert_eq(rota_ask(servant, RUNS, &act, sizeof(act), &reply,
			      sizeof(reply), ROTA_FOREVER),
		     0);
	cr_assert_eq(reply, 1);
	quiesce();
	cr_assert_eq(second, 0);
	engine_stop();
}

/* ---- sizes ---- */

static const size_t lengths[] = {
	0, 1, 15, 16, 17, 39, 40, 41, 100, 1000, 4096, 60000, ROTA_MAX_PAYLOAD};

#define N_LENGTHS (sizeof(lengths) / sizeof(lengths[0]))

static unsigned char buffer[ROTA_MAX_PAYLOAD + 1];

Test(ask, replies_of_every_length_fit, .timeout = HANG)
{
	rota_id servant;

	engine_start(2);
	servant = servant_spawn(0, NULL);
	for (size_t i = 0; i < N_LENGTHS; i++) {
		uint64_t n = lengths[i];
		struct rota_ask_detail detail;

		memset(buffer, 1, sizeof(buffer));
		cr_assert_eq(rota_ask(servant, LONG, &n, sizeof(n), buffer, n,
				      ROTA_FOREVER),
			     0);
		rota_ask_detail(&detail);
		cr_assert_eq(detail.length, n);
		for (size_t k = 0; k < n; k++)
			cr_assert_eq(buffer[k], 0x5a);
		cr_assert_eq(buffer[n], 1, "beyond the room");
	}
	engine_stop();
}

Test(ask, what_a_short_reply_leaves_is_zero, .timeout = HANG)
{
	uint64_t n = 3;

	engine_start(1);
	memset(buffer, 1, sizeof(buffer));
	cr_assert_eq(rota_ask(servant_spawn(0, NULL), LONG, &n, sizeof(n),
			      buffer, 8, ROTA_FOREVER),
		     0);
	cr_assert_eq(memcmp(buffer, "\x5a\x5a\x5a\0\0\0\0\0\1", 9), 0);
	engine_stop();
}

Test(ask, a_reply_that_does_not_fit_is_an_error, .timeout = HANG)
{
	struct rota_ask_detail detail;
	uint64_t n = 9;

	engine_start(1);
	memset(buffer, 1, sizeof(buffer));
	cr_assert_eq(rota_ask(servant_spawn(0, NULL), LONG, &n, sizeof(n),
			      buffer, 8, ROTA_FOREVER),
		     -EMSGSIZE);
	rota_ask_detail(&detail);
	cr_assert_eq(detail.length, 9);
	cr_assert_eq(buffer[0], 1);
	engine_stop();
}

static int check_handle(void *state, unsigned tag, void *payload, size_t length)
{
	size_t n_wrong = 0;

	(void)state;
	(void)tag;
	for (size_t i = 0; i < length; i++)
		n_wrong += ((unsigned char *)payload)[i] !=
			   (unsigned char)(i * 7 + length);
	if ((uintptr_t)payload % 8)
		n_wrong++;
	return rota_answer(n_wrong ? 1 : 0, &length, sizeof(length));
}

static const struct rota_behaviour check_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "check",
	.handle = check_handle,
};

Test(ask, requests_of_every_length_arrive, .timeout = HANG)
{
	rota_id id;

	engine_start(2);
	id = spawn(&check_behaviour, NULL, 0);
	for (size_t i = 0; i < N_LENGTHS; i++) {
		size_t n = lengths[i], reply = 0;

		for (size_t k = 0; k < n; k++)
			buffer[k] = (unsigned char)(k * 7 + n);
		cr_assert_eq(rota_ask(id, 1, buffer, n, &reply, sizeof(reply),
				      ROTA_FOREVER),
			     0);
		cr_assert_eq(reply, n);
	}
	engine_stop();
}

Test(ask, nonsense_is_refused, .timeout = HANG)
{
	uint64_t value = 0;
	rota_id id;

	engine_start(1);
	id = servant_spawn(0, NULL);
	cr_assert_eq(
		rota_ask(id, ROTA_MAX_TAG + 1, NULL, 0, NULL, 0, ROTA_FOREVER),
		-EINVAL);
	cr_assert_eq(rota_ask(id, TWICE, NULL, 1, NULL, 0, ROTA_FOREVER),
		     -EINVAL);
	cr_assert_eq(rota_ask(id, TWICE, &value, 8, NULL, 8, ROTA_FOREVER),
		     -EINVAL);
	cr_assert_eq(rota_ask(id, TWICE, &value, ROTA_MAX_PAYLOAD + 1, NULL, 0,
			      ROTA_FOREVER),
		     -EMSGSIZE);
	cr_assert_eq(
		rota_ask(ROTA_NONE, TWICE, &value, 8, NULL, 0, ROTA_FOREVER),
		-ESRCH);
	cr_assert_eq(rota_ask(id, TWICE, &value, 8, NULL, 0, ROTA_NOW),
		     -ETIMEDOUT);
	cr_assert_eq(rota_ask(id, TWICE, &value, 8, NULL, 0, -5), -ETIMEDOUT);
	cr_assert_eq(rota_answer(0, NULL, 0), 0);
	cr_assert_eq(rota_is_asked(), 0);
	cr_assert_eq(rota_is_cancelled(), 0);
	expect_conserved(0);
	engine_stop();
}

/* A send of the same tag asks nobody: an answer goes nowhere. */
Test(ask, an_answer_to_a_send_goes_nowhere, .timeout = HANG)
{
	engine_start(2);
	send_value(servant_spawn(0, NULL), TWICE, 1);
	send_value(servant_spawn(0, NULL), FAILS, 1);
	expect_conserved(2);
	cr_assert_eq(counters().late_replies, 0);
	engine_stop();
}

/* ---- time ---- */

static void times_out(bool is_thread, bool is_full)
{
	struct stall stall = {0};
	struct asked a;
	rota_id id;

	engine_start(4);
	id = servant_spawn(is_full ? 1 : 4, NULL);
	stall_start(&stall, id);
	a = asked_of(id, TWICE, 1);
	a.within = ROTA_MS(5);
	cr_assert_eq(ask_now(&a, is_thread), -ETIMEDOUT);
	cr_assert_eq(a.detail.progress, is_full ? 0 : ROTA_ASK_SENT);
	cr_assert_eq(a.reply, 12345);
	flag_raise(&stall.go);
	quiesce();
	cr_assert_eq(tally_of(&n_begun), 1, "it is not handled any more");
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_EXPIRED]), !is_full);
	engine_stop();
}

Test(ask, a_thread_waits_so_long_at_most, .timeout = HANG)
{
	times_out(true, false);
}

Test(ask, a_handler_waits_so_long_at_most, .timeout = HANG)
{
	times_out(false, false);
}

Test(ask, a_thread_waits_for_room_so_long_at_most, .timeout = HANG)
{
	times_out(true, true);
}

Test(ask, a_handler_waits_for_room_so_long_at_most, .timeout = HANG)
{
	times_out(false, true);
}

struct slow {
	struct flag begun;
	struct flag go;
	struct flag ended;
	int is_cancelled;
};

static int act_slow(void *arg)
{
	struct slow *slow = arg;
	uint64_t value = 1;

	flag_raise(&slow->begun);
	flag_block(&slow->go);
	slow->is_cancelled = rota_is_cancelled();
	rota_answer(0, &value, sizeof(value));
	flag_raise(&slow->ended);
	return 0;
}

static int ask_slow(rota_id id, struct slow *slow, uint64_t *reply)
{
	struct act act = {act_slow, slow};

	return rota_ask(id, RUNS, &act, sizeof(act), reply, sizeof(*reply),
			ROTA_MS(20));
}

/* The memory for the reply is the asker's again. */
Test(ask, late_answers_are_counted_and_do_no_harm, .timeout = HANG)
{
	struct rota_ask_detail detail;
	struct slow slow = {0};
	uint64_t reply = 7;
	rota_id id;
	int error;

	engine_start(2);
	id = servant_spawn(0, NULL);
	error = ask_slow(id, &slow, &reply);
	cr_assert_eq(error, -ETIMEDOUT);
	rota_ask_detail(&detail);
	AWAIT(flag_is_up(&slow.begun) || detail.progress == ROTA_ASK_SENT);
	flag_raise(&slow.go);
	quiesce();
	cr_assert_eq(reply, 7);
	if (detail.progress & ROTA_ASK_STARTED) {
		cr_assert_eq(slow.is_cancelled, 1);
		cr_assert_eq(counters().late_replies, 1);
	}
	engine_stop();
}

/* ---- room ---- */

static void waits_for_room(bool is_thread, unsigned workers)
{
	struct hold hold = {0};
	struct asked a;
	rota_id id;

	engine_start(workers);
	id = servant_spawn(2, NULL);
	hold_start(&hold, id);
	cr_assert_eq(try_value(id, NOTHING, 0), 0);
	cr_assert_eq(try_value(id, NOTHING, 0), -EAGAIN);
	a = asked_of(id, TWICE, 21);
	ask_by(&a, is_thread);
	AWAIT(flag_is_up(&a.begun));
	if (is_thread)
		await_sleep(&a.thread);
	hold_end(&hold);
	cr_assert_eq(ask_result(&a, is_thread), 0);
	cr_assert_eq(a.reply, 42);
	engine_stop();
}

Test(ask, a_thread_waits_for_room, .timeout = HANG)
{
	waits_for_room(true, 2);
}

Test(ask, a_handler_waits_for_room, .timeout = HANG)
{
	waits_for_room(false, 1);
}

/* ---- ends ---- */

static void ends_before(bool is_thread, bool drains)
{
	struct stall stall = {0};
	struct asked a;
	rota_id id;

	engine_start(4);
	id = servant_spawn(0, NULL);
	stall_start(&stall, id);
	a = asked_of(id, TWICE, 4);
	ask_by(&a, is_thread);
	AWAIT(flag_is_up(&a.begun));
	if (is_thread)
		await_sleep(&a.thread);
	else
		AWAIT(counters().waits > 0);
	if (drains)
		rota_actor_drain(id);
	else
		rota_actor_stop(id);
	flag_raise(&stall.go);
	cr_assert_eq(ask_result(&a, is_thread), drains ? 0 : -ESRCH);
	if (!drains)
		cr_assert_eq(a.detail.progress, ROTA_ASK_SENT);
	quiesce();
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_STOPPED]), !drains);
	a = asked_of(id, TWICE, 4);
	cr_assert_eq(ask_now(&a, is_thread), -ESRCH);
	cr_assert_eq(a.detail.progress, 0);
	engine_stop();
}

Test(ask, who_stops_with_it_queued_did_not_handle_it, .timeout = HANG)
{
	ends_before(false, false);
}

Test(ask, who_stops_with_it_queued_did_not_handle_it_thread, .timeout = HANG)
{
	ends_before(true, false);
}

Test(ask, who_drains_answers_first, .timeout = HANG)
{
	ends_before(false, true);
}

Test(ask, who_drains_answers_first_thread, .timeout = HANG)
{
	ends_before(true, true);
}

Test(ask, an_asker_that_is_stopped_is_cancelled, .timeout = HANG)
{
	struct stall stall = {0};
	struct asked a;
	rota_id id, puppet;

	engine_start(4);
	id = servant_spawn(0, NULL);
	stall_start(&stall, id);
	puppet = puppet_spawn(NULL, 0);
	a = asked_of(id, TWICE, 4);
	ask_in_puppet(&a, puppet);
	AWAIT(counters().waits > 0);
	rota_actor_stop(puppet);
	cr_assert_eq(ask_puppet_result(&a), -ECANCELED);
	flag_raise(&stall.go);
	quiesce();
	cr_assert_eq(tally_of(&n_begun), 1, "withdrawn");
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_WITHDRAWN]), 1);
	engine_stop();
}

Test(ask, the_engines_stop_ends_all, .timeout = HANG)
{
	static struct asked a[20];
	struct stall stall = {0};
	rota_id id;

	engine_start(2);
	id = servant_spawn(0, NULL);
	ACTS(id, act_stall, &stall);
	AWAIT(flag_is_up(&stall.begun));
	for (size_t i = 0; i < 20; i++) {
		a[i] = asked_of(id, TWICE, i);
		ask_by(&a[i], i % 2);
		AWAIT(flag_is_up(&a[i].begun));
		if (i % 2)
			await_sleep(&a[i].thread);
	}
	AWAIT(counters().waits >= 10);
	rota_actor_stop(id);
	flag_raise(&stall.go);
	engine_stop();
	for (size_t i = 0; i < 20; i++) {
		int result = i % 2 ? ask_thread_result(&a[i]) : a[i].result;

		cr_assert(flag_is_up(&a[i].ended));
		cr_assert(result == -ESRCH || result == -ECANCELED, "%d",
			  result);
	}
}

/* The engine gives up a handler that does not return. */
Test(ask, a_stop_in_vain_ends_the_asks_of_threads, .timeout = HANG)
{
	static struct stall stall;
	static struct asked a, b;
	rota_id id;

	engine_start(2);
	id = servant_spawn(0, NULL);
	stall_start(&stall, id);
	a = asked_of(id, TWICE, 1);
	b = asked_of(id, TWICE, 1);
	ask_in_thread(&a);
	ask_in_thread(&b);
	await_sleep(&a.thread);
	await_sleep(&b.thread);
	cr_assert_eq(rota_stop(engine, ROTA_MS(50)), -ETIMEDOUT);
	cr_assert_eq(ask_thread_result(&a), -ESRCH);
	cr_assert_eq(ask_thread_result(&b), -ESRCH);
	flag_raise(&stall.go);
	AWAIT(flag_is_up(&stall.ended)); /* it lies on our stack */
}

Test(ask, a_dead_engines_actor_is_not_there, .timeout = HANG)
{
	struct asked a;
	rota_id id;

	engine_start(1);
	id = servant_spawn(0, NULL);
	engine_stop();
	a = asked_of(id, TWICE, 1);
	cr_assert_eq(ask_now(&a, true), -ESRCH);
}

/* ---- from one engine to another ---- */

Test(ask, another_engines_actor_answers, .timeout = HANG)
{
	rota_engine *first;
	struct asked a;
	rota_id id, puppet;

	engine_start(1);
	first = engine;
	puppet = puppet_spawn(NULL, 0);
	engine_start(1);
	id = servant_spawn(0, NULL);
	for (uint64_t i = 0; i < 100; i++) {
		a = asked_of(id, TWICE, i);
		ask_in_puppet(&a, puppet);
		cr_assert_eq(ask_puppet_result(&a), 0);
		cr_assert_eq(a.reply, 2 * i);
	}
	engine_stop();
	a = asked_of(id, TWICE, 1);
	ask_in_puppet(&a, puppet);
	cr_assert_eq(ask_puppet_result(&a), -ESRCH);
	engine = first;
	engine_stop();
}

/* ---- others look ---- */

/* In which order a servant has run these. */
static struct {
	uint64_t value[8];
	size_t n;
} ran;

static int act_notes(void *arg)
{
	ran.value[ran.n++] = (uintptr_t)arg;
	return 0;
}

struct urgent {
	rota_id to;
	struct tally thread;
	int result;
};

static void *thread_asks_urgently(void *arg)
{
	struct urgent *urgent = arg;
	struct act act = {act_notes, (void *)9};

	tally_add(&urgent->thread, (size_t)thread_number());
	urgent->result = rota_ask_urgent(urgent->to, RUNS, &act, sizeof(act),
					 NULL, 0, ROTA_FOREVER);
	return NULL;
}

Test(ask, urgent_asks_overtake, .timeout = HANG)
{
	struct urgent urgent = {.result = 1};
	struct stall stall = {0};
	pthread_t thread;

	engine_start(2);
	urgent.to = servant_spawn(0, NULL);
	stall_start(&stall, urgent.to);
	for (uintptr_t i = 1; i <= 3; i++) {
		struct act act = {act_notes, (void *)i};

		cr_assert_eq(rota_send(urgent.to, RUNS, &act, sizeof(act)), 0);
	}
	thread = thread_start(thread_asks_urgently, &urgent);
	await_sleep(&urgent.thread);
	flag_raise(&stall.go);
	thread_join(thread);
	quiesce();
	cr_assert_eq(urgent.result, 0);
	cr_assert_eq(ran.n, 4);
	cr_assert_eq(ran.value[0], 9);
	for (size_t i = 1; i <= 3; i++)
		cr_assert_eq(ran.value[i], i);
	engine_stop();
}

/* Others count on the order of what they are sent. */
Test(ask, only_those_who_take_urgent_messages_are_asked_urgently,
     .timeout = HANG)
{
	struct urgent urgent = {.result = 1};

	engine_start(2);
	urgent.to = rota_spawn(engine, &servant_behaviour,
			       &(struct servant){NULL}, NULL);
	thread_join(thread_start(thread_asks_urgently, &urgent));
	cr_assert_eq(urgent.result, -EPERM);
	cr_assert_eq(ran.n, 0);
	expect_conserved(0);
	engine_stop();
}

static struct rota_status status_of(rota_id id)
{
	struct rota_status status = ROTA_STATUS_INIT;

	cr_assert_eq(rota_status(id, &status), 0);
	return status;
}

Test(ask, status_says_for_whose_answer_it_waits, .timeout = HANG)
{
	struct stall stall = {0};
	struct asked a;
	rota_id puppet;

	engine_start(3);
	a = asked_of(servant_spawn(0, NULL), TWICE, 1);
	stall_start(&stall, a.to);
	puppet = puppet_spawn(NULL, 0);
	ask_in_puppet(&a, puppet);
	AWAIT(status_of(puppet).waits_for == ROTA_WAITS_FOR_ANSWER);
	cr_assert_eq(status_of(puppet).whom, a.to);
	cr_assert_eq(status_of(puppet).activity, ROTA_WAITING);
	flag_raise(&stall.go);
	cr_assert_eq(ask_puppet_result(&a), 0);
	engine_stop();
}

/* ---- memory runs out ---- */

/* Asks are started until there is no room for one more; nothing is lost, and
   once they are cancelled there is room again. */
Test(ask, without_memory_is_refused, .timeout = HANG)
{
	enum { MOST = 400000 };
	struct rota_config config = test_config(1);
	struct rota_asking *asking = calloc(MOST, sizeof(*asking));
	uint64_t value = 1, reply = 0;
	size_t n = 0;
	rota_id id;
	AO_t xtoken = 0;

	config.memory = (size_t)16 << 20;
	engine = engine_make(&config);
	id = servant_spawn(32767, &xtoken);
	while (n < MOST &&
	       rota_ask_start(id, TAKES, &value, sizeof(value), NULL, 0,
			      ROTA_FOREVER, &asking[n]) == 0)
		n++;
	cr_assert_lt(n, MOST);
	cr_assert_gt(n, 1000);
	cr_assert_eq(asking[n].outcome, -ENOMEM);
	cr_assert_eq(asking[n].token, 0);
	cr_assert_eq(rota_ask(id, TWICE, &value, sizeof(value), &reply,
			      sizeof(reply), ROTA_FOREVER),
		     -ENOMEM);
	for (size_t i = 0; i < n; i++)
		rota_ask_cancel(&asking[i]);
	rota_actor_stop(id);
	quiesce();
	cr_assert_eq(rota_ask(servant_spawn(0, NULL), TWICE, &value,
			      sizeof(value), &reply, sizeof(reply),
			      ROTA_FOREVER),
		     0);
	cr_assert_eq(reply, 2);
	free(asking);
	engine_stop();
}

/* ---- the time that is meant where none is given ---- */

static rota_id patient_servant(int64_t ask_within)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	static AO_t token; /* nobody answers */

	options.ask_within = ask_within;
	return rota_spawn(engine, &servant_behaviour, &(struct servant){&token},
			  &options);
}

/* The deadline of an ask lies where it must, whenever that was. */
static void expect_default(rota_id id, int64_t within)
{
	uint64_t value = 1, least, most;
	struct rota_asking asking;

	least = rota_deadline_in(within).ns;
	cr_assert_eq(rota_ask_start(id, TAKES, &value, sizeof(value), NULL, 0,
				    ROTA_DEFAULT, &asking),
		     0);
	most = rota_deadline_in(within).ns;
	cr_assert_geq(asking.deadline_ns, least);
	cr_assert_leq(asking.deadline_ns, most);
	cr_assert_eq(rota_ask_cancel(&asking), 0);
}

Test(ask, a_default_time_is_the_engines_or_five_seconds, .timeout = HANG)
{
	struct rota_config config = test_config(1);

	engine_start(1);
	expect_default(patient_servant(0), ROTA_S(5));
	engine_stop();
	config.ask_within = ROTA_S(70);
	engine = engine_make(&config);
	expect_default(patient_servant(0), ROTA_S(70));
	expect_default(patient_servant(ROTA_S(300)), ROTA_S(300));
	expect_default(patient_servant(ROTA_FOREVER), ROTA_FOREVER);
	engine_stop();
	config.ask_within = -1;
	cr_assert_null(rota_start(&config));
	cr_assert_eq(errno, EINVAL);
}

static int call_takes(void *state, void *capture)
{
	rota_token token;

	(void)state, (void)capture;
	return rota_reply_later(&token);
}

struct defaults {
	rota_id to;
	struct flag ended;
	int ask, call;
};

static int act_default(void *arg)
{
	struct defaults *d = arg;
	uint64_t value = 1;

	d->ask = rota_ask(d->to, TAKES, &value, sizeof(value), NULL, 0,
			  ROTA_DEFAULT);
	d->call = rota_call_bytes(d->to, call_takes, &value, sizeof(value),
				  ROTA_DEFAULT);
	flag_raise(&d->ended);
	return 0;
}

static void *thread_default(void *arg)
{
	act_default(arg);
	return NULL;
}

/* However the actor lives, and whatever it has had its block for since. */
Test(ask, a_default_time_is_the_actors, .timeout = HANG)
{
	struct defaults d = {.to = ROTA_NONE};
	struct hold hold = {0};

	engine_start(2);
	d.to = patient_servant(ROTA_MS(2));
	cr_assert_eq(rota_id_error(d.to), 0);
	hold_start(&hold, d.to);
	hold_end(&hold);
	thread_join(thread_start(thread_default, &d));
	cr_assert_eq(d.ask, -ETIMEDOUT);
	cr_assert_eq(d.call, -ETIMEDOUT);
	d = (struct defaults){.to = d.to};
	ACTS(puppet_spawn(NULL, 0), act_default, &d);
	AWAIT(flag_is_up(&d.ended));
	cr_assert_eq(d.ask, -ETIMEDOUT);
	cr_assert_eq(d.call, -ETIMEDOUT);
	cr_assert_eq(rota_id_error(patient_servant(-1)), -EINVAL);
	engine_stop();
}

/* What the message in hand leaves of it. */
static int act_default_deadline(void *arg)
{
	uint64_t value = 1, late = rota_deadline_in(ROTA_S(500)).ns;
	struct rota_asking asking;
	rota_id *to = arg;

	rota_ask_start(*to, TAKES, &value, sizeof(value), NULL, 0, ROTA_DEFAULT,
		       &asking);
	return asking.deadline_ns < late ? 0 : 1;
}

Test(ask, a_default_time_ends_with_the_message_in_hand, .timeout = HANG)
{
	struct act act = {act_default_deadline, NULL};
	rota_id to;

	engine_start(2);
	to = patient_servant(ROTA_S(1000));
	act.arg = &to;
	cr_assert_eq(rota_ask(servant_spawn(0, NULL), RUNS, &act, sizeof(act),
			      NULL, 0, PATIENCE),
		     0);
	engine_stop();
}
