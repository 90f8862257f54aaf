/* SPDX-License-Identifier: MIT */
/*
 * closure - messages that are functions
 *
 * They run like handlers, in order with all other messages, and a capture that
 * owns something is dropped exactly once, whatever happens.
 */
#include "tests/unit/support.h"

#include <rota/closure.h>
#include <rota/status.h>

#include "tests/unit/closures.h"

/* ---- run ---- */

struct add {
	uint64_t by;
};

struct sum {
	uint64_t total;
};

static int sum_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct sum *sum = *(struct sum **)state;

	(void)tag;
	sum->total = sum->total * 10 + value_at(payload, length);
	return 0;
}

static const struct rota_behaviour sum_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "sum",
	.state_size = sizeof(struct sum *),
	.handle = sum_handle,
};

static rota_id sum_spawn(struct sum *sum, unsigned capacity)
{
	return spawn(&sum_behaviour, &sum, capacity);
}

static int append(void *state, void *capture)
{
	struct sum *sum = *(struct sum **)state;
	const struct add *add = capture;

	sum->total = sum->total * 10 + add->by;
	return 0;
}

Test(closure, runs_with_the_actors_state_and_a_copy, .timeout = HANG)
{
	static struct sum sum;
	struct add add = {.by = 7};

	engine_start(2);
	cr_assert_eq(rota_cast(sum_spawn(&sum, 0), append, &add), 0);
	add.by = 1;
	quiesce();
	cr_assert_eq(sum.total, 7);
	cr_assert_eq(counters().messages, 1);
	engine_stop();
}

Test(closure, is_in_order_with_messages, .timeout = HANG)
{
	static struct sum sum;
	rota_id id;

	engine_start(2);
	id = sum_spawn(&sum, 0);
	for (uint64_t i = 1; i < 10; i++) {
		struct add add = {.by = i};

		if (i % 2)
			cr_assert_eq(rota_cast(id, append, &add), 0);
		else
			cr_assert_eq(send_value(id, 1, i), 0);
	}
	quiesce();
	cr_assert_eq(sum.total, 123456789);
	engine_stop();
}

static int act_mixed_burst(void *arg)
{
	rota_id id = *(rota_id *)arg;

	for (uint64_t i = 1; i < 10; i++) {
		struct add add = {.by = i};
		int error = i % 3 ? rota_cast(id, append, &add)
				  : send_value(id, 1, i);

		if (error)
			return error;
	}
	return 0;
}

/* The handler's sends and casts make one chain. */
Test(closure, is_in_order_with_messages_of_a_chain, .timeout = HANG)
{
	static struct sum sum;
	rota_id id;

	engine_start(1);
	id = sum_spawn(&sum, 64);
	ACTS(puppet_spawn(NULL, 0), act_mixed_burst, &id);
	quiesce();
	cr_assert_eq(sum.total, 123456789);
	engine_stop();
}

Test(closure, an_urgent_one_goes_first, .timeout = HANG)
{
	static struct record record;
	struct hold hold = {0};
	static struct seen seen;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 0);
	hold_start(&hold, id);
	cr_assert_eq(send_value(id, 1, 1), 0);
	cr_assert_eq(rota_cast_urgent(id, note_seen,
				      &(struct look_at){&seen, &record}),
		     0);
	hold_end(&hold);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 1);
	cr_assert_eq(seen.n_before, 0);
	cr_assert_eq(seen.self, id);
	cr_assert_eq(seen.sender, ROTA_NONE);
	engine_stop();
}

/* ---- captures ---- */

struct sized {
	struct tally *good;
	size_t length;
};

static int check_bytes(void *state, void *capture)
{
	const unsigned char *bytes = capture;
	struct sized sized;

	(void)state;
	memcpy(&sized, capture, sizeof(sized));
	for (size_t i = sizeof(sized); i < sized.length; i++)
		if (bytes[i] != (unsigned char)(i * 7))
			return 0;
	if ((uintptr_t)capture % 8 == 0)
		tally_add(sized.good, 1);
	return 0;
}

static size_t cast_of_size(rota_id id, unsigned char *bytes, size_t length,
			   struct tally *good, closure_dropper *drop)
{
	struct sized sized = {good, length};

	for (size_t i = 0; i < length; i++)
		bytes[i] = (unsigned char)(i * 7);
	memcpy(bytes, &sized, sizeof(sized));
	cr_assert_eq(rota_cast_with(id, check_bytes, bytes, length, drop, 0,
				    ROTA_FOREVER),
		     0);
	quiesce();
	return tally_of(good);
}

static struct tally size_drops;

static void drop_sized(void *capture, size_t length)
{
	struct sized sized;

	memcpy(&sized, capture, sizeof(sized));
	if (sized.length == length)
		tally_add(&size_drops, 1);
}

Test(closure, captures_up_to_the_limit, .timeout = HANG)
{
	static const size_t sizes[] = {16,  17,	  24,	25,    31,   32,  33,
				       40,  47,	  48,	63,    64,   100, 200,
				       479, 4096, 9999, 65535, 65536};
	static unsigned char bytes[ROTA_MAX_PAYLOAD];
	static struct tally good;
	size_t n = 0;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		cr_assert_eq(cast_of_size(id, bytes, sizes[i], &good, NULL),
			     ++n, "%zu bytes", sizes[i]);
		cr_assert_eq(
			cast_of_size(id, bytes, sizes[i], &good, drop_sized),
			++n, "%zu bytes", sizes[i]);
		cr_assert_eq(tally_of(&size_drops), i + 1);
	}
	cr_assert_eq(rota_cast_bytes(id, check_bytes, bytes,
				     ROTA_MAX_PAYLOAD + 1, ROTA_FOREVER),
		     -EMSGSIZE);
	cr_assert_eq(
		rota_cast_bytes(id, check_bytes, bytes, SIZE_MAX, ROTA_FOREVER),
		-EMSGSIZE);
	engine_stop();
}

static int count_call(void *state, void *capture)
{
	(void)capture;
	tally_add(&(*(struct puppet *)state).record->n, 1);
	return 0;
}

Test(closure, may_capture_nothing, .timeout = HANG)
{
	static struct record record;

	engine_start(2);
	cr_assert_eq(rota_cast_bytes(puppet_spawn(&record, 0), count_call, NULL,
				     0, ROTA_FOREVER),
		     0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 1);
	engine_stop();
}

static int act_misuse(void *arg)
{
	rota_id id = *(rota_id *)arg;
	int bad = 0;
	char byte = 0;

	bad += rota_cast_bytes(id, NULL, &byte, 1, ROTA_FOREVER) != -EINVAL;
	bad += rota_cast_bytes(id, count_call, NULL, 1, ROTA_FOREVER) !=
	       -EINVAL;
	bad += rota_cast_with(id, count_call, &byte, 1, NULL, 2,
			      ROTA_FOREVER) != -EINVAL;
	bad += rota_cast_with(id, NULL, &byte, 1, NULL, ROTA_URGENT,
			      ROTA_FOREVER) != -EINVAL;
	/* Into an open chain as well. */
	bad += rota_cast_bytes(id, count_call, NULL, 0, ROTA_FOREVER) != 0;
	bad += rota_cast_bytes(id, count_call, NULL, 0, ROTA_FOREVER) != 0;
	bad += rota_cast_bytes(id, count_call, NULL, 0, ROTA_FOREVER) != 0;
	bad += rota_cast_bytes(id, NULL, NULL, 0, ROTA_FOREVER) != -EINVAL;
	bad += rota_cast_bytes(id, count_call, NULL, 1, ROTA_FOREVER) !=
	       -EINVAL;
	return bad ? -EIO : 0;
}

Test(closure, refuses_misuse, .timeout = HANG)
{
	static struct record record;
	rota_id id;
	rota_id puppet;

	engine_start(1);
	id = puppet_spawn(&record, 0);
	cr_assert_eq(act_misuse(&id), 0);
	puppet = puppet_spawn(NULL, 0);
	ACTS(puppet, act_misuse, &id);
	quiesce();
	cr_assert(rota_is_alive(puppet));
	cr_assert_eq(tally_of(&record.n), 6);
	engine_stop();
}

/* ---- what the function returns ---- */

static int result_of(void *state, void *capture)
{
	(void)state;
	return *(int *)capture;
}

Test(closure, a_negative_result_fails_the_actor, .timeout = HANG)
{
	struct rota_exit why;
	int result = -EIO;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 0);
	cr_assert_eq(rota_cast(id, result_of, &result), 0);
	cr_assert_eq(rota_join(id, PATIENCE, &why), 0);
	cr_assert_eq(why.cause, ROTA_EXIT_FAILED);
	cr_assert_eq(why.reason, -EIO);
	cr_assert_eq(rota_cast(id, result_of, &result), -ESRCH);
	engine_stop();
}

/* Where it is found alone it is handled in place; here it is one of several. */
Test(closure, a_negative_result_buries_what_follows, .timeout = HANG)
{
	struct hold hold = {0};
	int bad = -EIO;
	int good = 0;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 0);
	hold_start(&hold, id);
	cr_assert_eq(rota_cast(id, result_of, &good), 0);
	cr_assert_eq(rota_cast(id, result_of, &bad), 0);
	cr_assert_eq(rota_cast(id, result_of, &good), 0);
	hold_end(&hold);
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
	quiesce();
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_STOPPED]), 1);
	engine_stop();
}

Test(closure, may_say_that_it_is_unknown, .timeout = HANG)
{
	int result = ROTA_UNKNOWN;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 0);
	cr_assert_eq(rota_cast(id, result_of, &result), 0);
	quiesce();
	cr_assert(rota_is_alive(id));
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_UNKNOWN]), 1);
	cr_assert_eq(morgue.letter[0].tag, ROTA_TAG_CLOSURE);
	engine_stop();
}

static int stop_self(void *state, void *capture)
{
	(void)state;
	(void)capture;
	return rota_self_stop(3);
}

Test(closure, may_stop_its_actor, .timeout = HANG)
{
	struct rota_exit why;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 0);
	cr_assert_eq(rota_cast_bytes(id, stop_self, NULL, 0, ROTA_FOREVER), 0);
	cr_assert_eq(rota_join(id, PATIENCE, &why), 0);
	cr_assert_eq(why.cause, ROTA_EXIT_NORMAL);
	cr_assert_eq(why.reason, 3);
	engine_stop();
}

/* ---- waits ---- */

static int run_act(void *state, void *capture)
{
	struct act *act = capture;

	(void)state;
	return act->run(act->arg);
}

static void cast_act(rota_id id, int (*run)(void *), void *arg)
{
	struct act act = {run, arg};

	cr_assert_eq(rota_cast(id, run_act, &act), 0);
}

Test(closure, may_wait_like_a_handler, .timeout = HANG)
{
	static struct record record;
	struct hold hold = {0};
	uint64_t waits;
	rota_id id;

	engine_start(1);
	id = puppet_spawn(&record, 0);
	waits = counters().waits;
	hold.gate = puppet_spawn(NULL, 1);
	cast_act(id, act_hold, &hold);
	AWAIT(flag_is_up(&hold.begun) && counters().waits > waits);
	cr_assert_eq(send_value(id, 1, 1), 0);
	hold_end(&hold);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 1);
	engine_stop();
}

Test(closure, waits_for_room_from_a_thread_and_a_turn, .timeout = HANG)
{
	static struct record record;
	struct cast_sending threads = {0};
	struct cast_sending turns = {0};
	struct hold hold = {0};
	rota_id sender;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 1);
	sender = puppet_spawn(NULL, 0);
	hold_start(&hold, id);
	cr_assert_eq(rota_cast_bytes(id, count_call, NULL, 0, ROTA_NOW),
		     -EAGAIN);
	cr_assert_eq(rota_cast_bytes(id, count_call, NULL, 0, ROTA_MS(1)),
		     -ETIMEDOUT);
	cast_sending_in_thread(&threads, id, count_call);
	cast_sending_in_puppet(&turns, sender, id, count_call);
	hold_end(&hold);
	cr_assert_eq(cast_sending_thread_result(&threads), 0);
	AWAIT(flag_is_up(&turns.ended));
	cr_assert_eq(turns.result, 0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 2);
	engine_stop();
}

/* ---- seen from outside ---- */

Test(closure, status_shows_one_that_runs, .timeout = HANG)
{
	struct rota_status status = ROTA_STATUS_INIT;
	struct stall stall = {0};
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 0);
	cast_act(id, act_stall, &stall);
	AWAIT(flag_is_up(&stall.begun));
	AWAIT(rota_status(id, &status) == 0 &&
	      status.activity == ROTA_RUNNING && status.for_ns > 0);
	cr_assert_eq(status.tag, ROTA_TAG_CLOSURE);
	flag_raise(&stall.go);
	engine_stop();
}

Test(closure, status_shows_one_that_waits, .timeout = HANG)
{
	struct rota_status status = ROTA_STATUS_INIT;
	struct hold hold = {0};
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 0);
	hold.gate = puppet_spawn(NULL, 1);
	cast_act(id, act_hold, &hold);
	AWAIT(rota_status(id, &status) == 0 && status.activity == ROTA_WAITING);
	cr_assert_eq(status.tag, ROTA_TAG_CLOSURE);
	cr_assert_eq(status.waits_for, ROTA_WAITS_FOR_END);
	cr_assert_eq(status.whom, hold.gate);
	cr_assert_geq(status.worker, 0);
	cr_assert_lt(status.worker, 2);
	hold_end(&hold);
	engine_stop();
}

struct log {
	pthread_mutex_t lock;
	char text[1024];
};

static void keep_log(void *context, enum rota_log_level level, const char *line)
{
	struct log *log = context;
	size_t used;

	(void)level;
	pthread_mutex_lock(&log->lock);
	used = strlen(log->text);
	snprintf(log->text + used, sizeof(log->text) - used, "%s\n", line);
	pthread_mutex_unlock(&log->lock);
}

Test(closure, a_stop_names_one_that_does_not_return, .timeout = HANG)
{
	static struct log log = {.lock = PTHREAD_MUTEX_INITIALIZER};
	static struct stall stall;
	struct rota_stop_report report = ROTA_STOP_REPORT_INIT;
	struct rota_config config = ROTA_CONFIG_INIT;
	char address[32];
	rota_id id;

	config.workers = 2;
	config.log = keep_log;
	config.context = &log;
	engine = engine_make(&config);
	id = puppet_spawn(NULL, 0);
	cast_act(id, act_stall, &stall);
	AWAIT(flag_is_up(&stall.begun));
	cr_assert_eq(rota_stop_report(engine, ROTA_MS(50), &report),
		     -ETIMEDOUT);
	cr_assert_eq(report.stuck_actor, id);
	cr_assert_eq(report.stuck_tag, ROTA_TAG_CLOSURE);
	snprintf(address, sizeof(address), "function at %p",
		 (void *)(uintptr_t)run_act);
	cr_assert(strstr(log.text, address) != NULL, "%s", log.text);
	flag_raise(&stall.go);
	AWAIT(flag_is_up(&stall.ended));
}

/* ---- dropped exactly once ---- */

Test(closure, its_capture_is_dropped_once_after_it_ran, .timeout = HANG)
{
	engine_start(2);
	cr_assert_eq(cast_cargo(puppet_spawn(NULL, 0), 0, 0, ROTA_FOREVER), 0);
	quiesce();
	expect_cargo(0, RUN_ONCE, DROPPED_ONCE);
	cr_assert_eq(tally_of(&cargo[0].early), 0);
	engine_stop();
	expect_cargo(0, RUN_ONCE, DROPPED_ONCE);
}

Test(closure, its_capture_is_dropped_once_after_it_failed, .timeout = HANG)
{
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 0);
	cr_assert_eq(cast_cargo(id, 0, -EIO, ROTA_FOREVER), 0);
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
	engine_stop();
	expect_cargo(0, RUN_ONCE, DROPPED_ONCE);
}

Test(closure, its_capture_is_dropped_once_when_unknown, .timeout = HANG)
{
	engine_start(2);
	cr_assert_eq(cast_cargo(puppet_spawn(NULL, 0), 0, ROTA_UNKNOWN,
				ROTA_FOREVER),
		     0);
	quiesce();
	expect_cargo(0, RUN_ONCE, DROPPED_ONCE);
	cr_assert_eq(n_dead(), 1);
	engine_stop();
	expect_cargo(0, RUN_ONCE, DROPPED_ONCE);
}

/* The capture of one that was kept is the function's. */
Test(closure, a_kept_capture_is_not_dropped, .timeout = HANG)
{
	static const int results[] = {0, ROTA_UNKNOWN, -EIO};

	engine_start(2);
	for (size_t i = 0; i < 3; i++) {
		rota_id id = puppet_spawn(NULL, 0);

		cargo[i].keeps = true;
		cr_assert_eq(cast_cargo(id, i, results[i], ROTA_FOREVER), 0);
		quiesce();
		cr_assert_eq(cargo[i].kept[0], 0);
		cr_assert_eq(cargo[i].kept[1], -EINVAL);
	}
	engine_stop();
	for (size_t i = 0; i < 3; i++)
		expect_cargo(i, RUN_ONCE, DROPPED_NEVER);
}

Test(closure, only_a_capture_with_a_drop_function_can_be_kept, .timeout = HANG)
{
	int result = 0;

	engine_start(2);
	cast_act(puppet_spawn(NULL, 0), act_keep_nothing, &result);
	quiesce();
	cr_assert_eq(result, -EINVAL);
	engine_stop();
}

static void leftovers(void (*end)(rota_id), unsigned flags)
{
	struct hold hold = {0};
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 64);
	hold_start(&hold, id);
	for (size_t i = 0; i < 63; i++)
		cr_assert_eq(cast_cargo_with(id, i, flags, ROTA_NOW), 0);
	cr_assert_eq(cast_cargo_with(id, 63, flags, ROTA_NOW), -EAGAIN);
	if (end) {
		end(id);
		quiesce();
		for (size_t i = 0; i < 63; i++)
			expect_cargo(i, RUN_NEVER, DROPPED_ONCE);
	}
	engine_stop();
	for (size_t i = 0; i < 63; i++)
		expect_cargo(i, RUN_NEVER, DROPPED_ONCE);
	expect_cargo(63, RUN_NEVER, DROPPED_NEVER);
	cr_assert_eq(n_dead(), 63);
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_STOPPED]), 63);
	cr_assert_eq(morgue.letter[0].tag, ROTA_TAG_CLOSURE);
	cr_assert_eq(morgue.letter[0].length, sizeof(struct cargo *));
	cr_assert_eq(morgue.letter[0].value, (uintptr_t)&cargo[0]);
}

static void end_by_stop(rota_id id)
{
	cr_assert_eq(rota_actor_stop(id), 0);
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
}

Test(closure, captures_left_by_a_stop_are_dropped_once, .timeout = HANG)
{
	leftovers(end_by_stop, 0);
}

Test(closure, urgent_captures_left_by_a_stop_are_dropped_once, .timeout = HANG)
{
	leftovers(end_by_stop, ROTA_URGENT);
}

Test(closure, captures_left_at_the_engines_end_are_dropped_once,
     .timeout = HANG)
{
	leftovers(NULL, 0);
}

Test(closure, a_drain_runs_what_is_queued, .timeout = HANG)
{
	struct hold hold = {0};
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 64);
	hold_start(&hold, id);
	for (size_t i = 0; i < 63; i++)
		cr_assert_eq(cast_cargo(id, i, 0, ROTA_NOW), 0);
	cr_assert_eq(rota_actor_drain(id), 0);
	cr_assert_eq(cast_cargo(id, 63, 0, ROTA_NOW), -ESHUTDOWN);
	hold_end(&hold);
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
	quiesce();
	for (size_t i = 0; i < 63; i++)
		expect_cargo(i, RUN_ONCE, DROPPED_ONCE);
	expect_cargo(63, RUN_NEVER, DROPPED_NEVER);
	engine_stop();
}

Test(closure, a_refused_capture_stays_the_callers, .timeout = HANG)
{
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 0);
	end_by_stop(id);
	cr_assert_eq(cast_cargo(id, 0, 0, ROTA_FOREVER), -ESRCH);
	cr_assert_eq(cast_cargo(ROTA_NONE, 0, 0, ROTA_FOREVER), -ESRCH);
	engine_stop();
	cr_assert_eq(cast_cargo(id, 0, 0, ROTA_FOREVER), -ESRCH);
	expect_cargo(0, RUN_NEVER, DROPPED_NEVER);
	cr_assert_eq(n_dead(), 0);
}

/* The callback sees the capture whole, and the function it was for. */
struct autopsy {
	struct tally n;
	struct tally wrong;
};

static void examine(void *context, const struct rota_dead_letter *dead)
{
	struct autopsy *autopsy = context;
	struct cargo *found;

	memcpy(&found, dead->payload, sizeof(found));
	tally_add(&autopsy->n, 1);
	if (found != &cargo[0] || tally_of(&found->dropped) ||
	    dead->length != sizeof(found) || dead->function != run_cargo ||
	    dead->tag != ROTA_TAG_CLOSURE)
		tally_add(&autopsy->wrong, 1);
}

Test(closure, a_dead_letter_is_dropped_after_the_callback, .timeout = HANG)
{
	static struct autopsy autopsy;
	struct rota_config config = test_config(2);

	config.dead_letter = examine;
	config.context = &autopsy;
	engine = engine_make(&config);
	cr_assert_eq(cast_cargo(puppet_spawn(NULL, 0), 0, ROTA_UNKNOWN,
				ROTA_FOREVER),
		     0);
	quiesce();
	engine_stop();
	cr_assert_eq(tally_of(&autopsy.n), 1);
	cr_assert_eq(tally_of(&autopsy.wrong), 0);
	expect_cargo(0, RUN_ONCE, DROPPED_ONCE);
}

/* Memory runs out: refused, and the capture is the caller's. */
Test(closure, without_memory_the_capture_stays_the_callers, .timeout = HANG)
{
	struct rota_config config = test_config(1);
	static unsigned char bytes[ROTA_MAX_PAYLOAD];
	struct hold hold = {0};
	size_t n = 0;
	int error;
	rota_id id;

	config.memory = 16 << 20;
	engine = engine_make(&config);
	id = puppet_spawn(NULL, 4096);
	hold_start(&hold, id);
	do {
		error = rota_cast_with(id, never_run, bytes, sizeof(bytes),
				       count_drop, 0, ROTA_NOW);
		n += error == 0;
	} while (error == 0);
	cr_assert_eq(error, -ENOMEM);
	cr_assert_gt(n, 0);
	cr_assert_eq(tally_of(&n_drops), 0);
	engine_stop();
	cr_assert_eq(tally_of(&n_drops), n);
}

/* ---- calls ---- */

struct called {
	rota_id to;
	rota_function *function;
	int64_t within;
	uint64_t value;	 /* the capture */
	uint64_t result; /* what the function is to return */
	int outcome;	 /* of the call; behind @ended */
	unsigned progress;
	struct rota_deadlock_step steps[2];
	int n_steps; /* of the circle, if it was refused for one */
	struct flag ended;
	struct tally thread;
};

struct two {
	uint64_t value;
	int64_t result;
};

static int act_call(void *arg)
{
	struct called *c = arg;
	struct two two = {c->value, (int64_t)c->result};
	struct rota_ask_detail detail;

	tally_add(&c->thread, (size_t)thread_number());
	c->outcome = rota_call(c->to, c->function, &two, c->within);
	rota_ask_detail(&detail);
	c->progress = detail.progress;
	c->value = two.value;
	c->n_steps = rota_last_deadlock(c->steps, 2);
	flag_raise(&c->ended);
	return 0;
}

static void *thread_call(void *arg)
{
	act_call(arg);
	return NULL;
}

static struct called called_of(rota_id to, rota_function *function, int result)
{
	return (struct called){.to = to,
			       .function = function,
			       .within = ROTA_FOREVER,
			       .value = 21,
			       .result = (uint64_t)(int64_t)result};
}

static int call_by_thread(struct called *c)
{
	thread_join(thread_start(thread_call, c));
	return c->outcome;
}

static int call_by_turn(struct called *c)
{
	ACTS(puppet_spawn(NULL, 0), act_call, c);
	AWAIT(flag_is_up(&c->ended));
	return c->outcome;
}

static int call_by(struct called *c, int is_thread)
{
	return is_thread ? call_by_thread(c) : call_by_turn(c);
}

static int twice(void *state, void *capture)
{
	struct two *two = capture;

	(void)state;
	two->value *= 2;
	return (int)two->result;
}

Test(closure, a_call_brings_back_the_capture, .timeout = HANG)
{
	engine_start(2);
	for (int is_thread = 0; is_thread < 2; is_thread++) {
		struct called c = called_of(puppet_spawn(NULL, 0), twice, 0);

		cr_assert_eq(call_by(&c, is_thread), 0);
		cr_assert_eq(c.value, 42);
	}
	engine_stop();
}

/* The answer, and nothing more: the actor lives. */
Test(closure, a_call_returns_what_the_function_returned, .timeout = HANG)
{
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 0);
	for (int is_thread = 0; is_thread < 2; is_thread++) {
		struct called c = called_of(id, twice, 7);

		cr_assert_eq(call_by(&c, is_thread), 7);
		cr_assert_eq(c.value, 42);
		c = called_of(id, twice, -8);
		cr_assert_eq(call_by(&c, is_thread), 8);
		cr_assert_eq(c.value, 42);
	}
	cr_assert(rota_is_alive(id));
	cr_assert_eq(n_dead(), 0);
	engine_stop();
}

Test(closure, a_call_is_in_order_with_casts, .timeout = HANG)
{
	static struct sum sum;
	struct add add = {.by = 2};
	rota_id id;

	engine_start(2);
	id = sum_spawn(&sum, 0);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(rota_cast(id, append, &(struct add){.by = 1}), 0);
		cr_assert_eq(rota_call(id, append, &add, ROTA_FOREVER), 0);
	}
	cr_assert_eq(sum.total, 121212);
	engine_stop();
}

static int count_up(void *state, void *capture)
{
	unsigned char *bytes = capture;
	struct sized sized;

	memcpy(&sized, capture, sizeof(sized));
	for (size_t i = sizeof(sized); i < sized.length; i++)
		bytes[i]++;
	return check_bytes(state, capture); /* no good any more */
}

Test(closure, a_call_takes_captures_up_to_the_limit, .timeout = HANG)
{
	static const size_t sizes[] = {16, 17,	24,  32,    33,
				       64, 472, 479, 65535, 65536};
	static unsigned char bytes[ROTA_MAX_PAYLOAD + 1];
	static struct tally good;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct sized sized = {&good, sizes[i]};

		memset(bytes, 0x5a, sizeof(bytes));
		memcpy(bytes, &sized, sizeof(sized));
		cr_assert_eq(rota_call_bytes(id, count_up, bytes, sizes[i],
					     ROTA_FOREVER),
			     0);
		for (size_t j = sizeof(sized); j < sizes[i]; j++)
			cr_assert_eq(bytes[j], 0x5b);
		cr_assert_eq(bytes[sizes[i]], 0x5a);
	}
	cr_assert_eq(rota_call_bytes(id, count_up, bytes, ROTA_MAX_PAYLOAD + 1,
				     ROTA_FOREVER),
		     -EMSGSIZE);
	cr_assert_eq(rota_call_bytes(id, NULL, bytes, 8, ROTA_FOREVER),
		     -EINVAL);
	cr_assert_eq(rota_call_bytes(id, twice, NULL, 8, ROTA_FOREVER),
		     -EINVAL);
	engine_stop();
}

Test(closure, a_call_that_is_not_run_leaves_the_capture_as_it_was,
     .timeout = HANG)
{
	struct hold hold = {0};
	struct called c;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 0);
	hold_start(&hold, id);
	for (int is_thread = 0; is_thread < 2; is_thread++) {
		c = called_of(id, twice, 0);
		c.within = ROTA_MS(2);
		cr_assert_eq(call_by(&c, is_thread), -ETIMEDOUT);
		cr_assert_eq(c.value, 21);
		cr_assert_eq(c.progress, ROTA_ASK_SENT);
	}
	hold_end(&hold);
	quiesce();
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_EXPIRED]), 2);
	cr_assert_eq(morgue.letter[0].tag, ROTA_TAG_CLOSURE);
	cr_assert_eq(morgue.letter[0].length, sizeof(struct two));
	cr_assert_eq(morgue.letter[0].value, 21);

	c = called_of(id, result_of, 0);
	c.function = never_known;
	cr_assert_eq(call_by_thread(&c), -ENOSYS);
	cr_assert_eq(c.value, 21);
	end_by_stop(id);
	c = called_of(id, twice, 0);
	cr_assert_eq(call_by_thread(&c), -ESRCH);
	cr_assert_eq(c.value, 21);
	engine_stop();
	cr_assert_eq(call_by_thread(&c), -ESRCH);
}

Test(closure, a_call_queued_at_a_stop_is_not_run, .timeout = HANG)
{
	struct hold hold = {0};
	struct called c;
	pthread_t thread;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 0);
	hold_start(&hold, id);
	c = called_of(id, twice, 0);
	thread = thread_start(thread_call, &c);
	await_sleep(&c.thread);
	end_by_stop(id);
	thread_join(thread);
	cr_assert_eq(c.outcome, -ESRCH);
	cr_assert_eq(c.value, 21);
	quiesce();
	cr_assert_eq(n_dead(), 1);
	engine_stop();
}

static int call_self(void *state, void *capture)
{
	struct called *c = *(struct called **)capture;

	(void)state;
	act_call(c);
	return 0;
}

Test(closure, a_call_of_oneself_is_refused, .timeout = HANG)
{
	struct called c, *capture = &c;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 0);
	c = called_of(id, twice, 0);
	cr_assert_eq(rota_cast(id, call_self, &capture), 0);
	AWAIT(flag_is_up(&c.ended));
	cr_assert_eq(c.outcome, -EDEADLK);
	cr_assert_eq(c.value, 21);
	engine_stop();
}

/*
 * The one of a circle's two calls that is refused: mostly the inner one, which
 * closes it; but the monitor may come by before that looks for itself. Then the
 * inner one was made for a call that nobody waits for any more.
 */
static struct called *refused_of(struct called *inner, struct called *outer)
{
	AWAIT(flag_is_up(&outer->ended));
	AWAIT(flag_is_up(&inner->ended));
	if (inner->outcome == -EDEADLK) {
		cr_assert_eq(outer->outcome, 0);
		return inner;
	}
	cr_assert_eq(outer->outcome, -EDEADLK);
	cr_assert(inner->outcome == 0 || inner->outcome == -ECANCELED, "%d",
		  inner->outcome);
	return outer;
}

Test(closure, calls_in_a_circle_are_refused, .timeout = HANG)
{
	struct called inner, outer, *capture = &inner;
	struct called *in_hand = &outer;
	rota_id a, b;

	engine_start(2);
	a = puppet_spawn(NULL, 0);
	b = puppet_spawn(NULL, 0);
	inner = called_of(a, twice, 0); /* by b, while a waits for b */
	outer = called_of(b, call_self, 0);
	outer.value = (uint64_t)(uintptr_t)capture;
	cr_assert_eq(rota_cast(a, call_self, &in_hand), 0);
	refused_of(&inner, &outer);
	engine_stop();
}

static AO_t taken; /* [T2] store in take_token(), load in the test */

static int take_token(void *state, void *capture)
{
	rota_token token;

	(void)state;
	(void)capture;
	if (rota_reply_later(&token) == 0)
		AO_store_release(&taken, token); /* [T2] see above */
	return ROTA_LATER;
}

Test(closure, a_call_may_be_answered_later, .timeout = HANG)
{
	struct two two = {77, 0};
	struct called c;
	pthread_t thread;

	engine_start(2);
	c = called_of(puppet_spawn(NULL, 0), take_token, 0);
	thread = thread_start(thread_call, &c);
	AWAIT(AO_load_acquire(&taken) != 0); /* [T2] see above */
	cr_assert_eq(rota_reply(AO_load(&taken), 0, &two, sizeof(two)), 0);
	thread_join(thread);
	cr_assert_eq(c.outcome, 0);
	cr_assert_eq(c.value, 77);
	engine_stop();
}

Test(closure, a_circle_of_calls_is_shown_as_one, .timeout = HANG)
{
	struct called inner, outer, *capture = &inner, *refused;
	struct called *in_hand = &outer;
	size_t n_of_a = 0;
	rota_id a, b;

	engine_start(2);
	a = puppet_spawn(NULL, 0);
	b = puppet_spawn(NULL, 0);
	inner = called_of(a, twice, 0);
	outer = called_of(b, call_self, 0);
	outer.value = (uint64_t)(uintptr_t)capture;
	cr_assert_eq(rota_cast(a, call_self, &in_hand), 0);
	refused = refused_of(&inner, &outer);
	cr_assert_eq(refused->n_steps, 2);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(refused->steps[i].tag, ROTA_TAG_CLOSURE);
		cr_assert_eq(refused->steps[i].asks, 1);
		n_of_a += refused->steps[i].actor == a;
	}
	cr_assert_eq(n_of_a, 1);
	engine_stop();
}

/* ---- deadlines ---- */

struct heir {
	rota_id to;
	struct flag begun;
	int result;
};

/* One of the largest there are, too. */
static int act_cast_in_time(void *arg)
{
	static unsigned char bytes[ROTA_MAX_PAYLOAD];
	struct heir *heir = arg;

	heir->result = cast_cargo(heir->to, 0, 0, ROTA_FOREVER);
	if (!heir->result)
		heir->result = rota_cast_with(heir->to, never_run, bytes,
					      sizeof(bytes), count_drop, 0,
					      ROTA_FOREVER);
	flag_raise(&heir->begun);
	return 0;
}

Test(closure, inherits_the_deadline_of_the_message_in_hand, .timeout = HANG)
{
	struct heir heir = {.result = 1};
	struct act act = {act_cast_in_time, &heir};
	rota_deadline deadline;
	struct hold hold = {0};
	rota_id puppet;

	engine_start(2);
	puppet = puppet_spawn(NULL, 0);
	heir.to = puppet_spawn(NULL, 0);
	hold_start(&hold, heir.to);
	/* On a slow machine it may be over before it has begun. */
	for (int64_t ms = 20; !flag_is_up(&heir.begun); ms *= 4) {
		deadline = rota_deadline_in(ROTA_MS(ms));
		cr_assert_eq(rota_send_until(puppet, ACT, &act, sizeof(act),
					     deadline),
			     0);
		while (rota_deadline_left(deadline) > 0)
			nap();
	}
	cr_assert_eq(heir.result, 0);
	morgue.n[ROTA_DEAD_EXPIRED] = (struct tally){0};
	hold_end(&hold);
	quiesce();
	cr_assert(rota_is_alive(heir.to));
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_EXPIRED]), 2);
	expect_cargo(0, RUN_NEVER, DROPPED_ONCE);
	cr_assert_eq(tally_of(&n_drops), 1);
	engine_stop();
}
