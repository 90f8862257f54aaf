/* SPDX-License-Identifier: MIT */
/*
 * asking - several asks at a time, cancelled ones, answers as messages
 */
#include "tests/unit/asks.h"

#define MANY 100

static struct rota_asking asking[MANY];
static uint64_t reply[MANY];

static int start_one(size_t i, rota_id to, unsigned tag, uint64_t value,
		     int64_t within)
{
	return rota_ask_start(to, tag, &value, sizeof(value), &reply[i],
			      sizeof(reply[i]), within, &asking[i]);
}

/* Run in the test's thread, or in a puppet's turn, or in a task. */
enum where { THREAD, HANDLER };

struct scene {
	int (*play)(void *arg);
	struct flag ended;
	int result;
	rota_id to[MANY];
	AO_t xtoken[MANY];
	rota_token token[MANY];
};

static struct scene scene;

static int act_scene(void *arg)
{
	struct scene *s = arg;

	s->result = s->play(s);
	flag_raise(&s->ended);
	return 0;
}

/* Returns 0, or the line where something was not as it should be. */
#define EXPECT(condition)                \
	do {                             \
		if (!(condition))        \
			return __LINE__; \
	} while (0)

static void begin(enum where where, int (*play)(void *))
{
	scene.play = play;
	if (where == THREAD)
		act_scene(&scene);
	else
		ACTS(puppet_spawn(NULL, 0), act_scene, &scene);
}

static void expect_end(void)
{
	AWAIT(flag_is_up(&scene.ended));
	cr_assert_eq(scene.result, 0, "line %d", scene.result);
}

static void stage(unsigned workers, size_t n)
{
	engine_start(workers);
	for (size_t i = 0; i < n; i++)
		scene.to[i] = servant_spawn(0, &scene.xtoken[i]);
}

static void run(unsigned workers, size_t n, enum where where,
		int (*play)(void *))
{
	stage(workers, n);
	begin(where, play);
	expect_end();
	engine_stop();
}

/* ---- all, any, a quorum ---- */

static int play_all(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < MANY; i++)
		EXPECT(start_one(i, scene.to[i], TWICE, i, ROTA_FOREVER) == 0);
	EXPECT(rota_ask_await(asking, MANY, MANY, ROTA_FOREVER) == MANY);
	for (size_t i = 0; i < MANY; i++)
		EXPECT(asking[i].outcome == 0 && reply[i] == 2 * i &&
		       asking[i].token == 0 && asking[i].length == 8);
	/* What has ended stays so. */
	EXPECT(rota_ask_await(asking, MANY, MANY, ROTA_NOW) == MANY);
	EXPECT(rota_ask_cancel(&asking[0]) == -EALREADY);
	return 0;
}

Test(asking, a_handler_gathers_all, .timeout = HANG)
{
	run(1, MANY, HANDLER, play_all);
}

Test(asking, a_handler_gathers_all_from_many_workers, .timeout = HANG)
{
	run(8, MANY, HANDLER, play_all);
}

Test(asking, a_thread_gathers_all, .timeout = HANG)
{
	run(2, MANY, THREAD, play_all);
}

/* All of them are answered by the test, by their tokens. */
static int play_start_taken(size_t n)
{
	for (size_t i = 0; i < n; i++)
		EXPECT(start_one(i, scene.to[i], TAKES, i, ROTA_FOREVER) == 0);
	return 0;
}

static int play_any(void *arg)
{
	(void)arg;
	EXPECT(play_start_taken(10) == 0);
	EXPECT(rota_ask_await(asking, 10, 1, ROTA_FOREVER) == 1);
	EXPECT(asking[7].token == 0 && reply[7] == 70);
	for (size_t i = 0; i < 10; i++)
		EXPECT((asking[i].token != 0) == (i != 7));
	for (size_t i = 0; i < 10; i++)
		EXPECT(i == 7 || rota_ask_cancel(&asking[i]) == 0);
	return 0;
}

static void answer(size_t i, int result)
{
	uint64_t value = i * 10;

	scene.token[i] = await_token(&scene.xtoken[i]);
	cr_assert_eq(rota_reply(scene.token[i], result, &value, sizeof(value)),
		     0);
}

static void *thread_scene(void *arg)
{
	act_scene(arg);
	return NULL;
}

static void answered_by_test(enum where where, size_t n, int (*play)(void *),
			     const int *order, size_t n_order)
{
	pthread_t thread = pthread_self();

	stage(2, n);
	scene.play = play;
	if (where == THREAD)
		thread = thread_start(thread_scene, &scene);
	else
		begin(where, play);
	for (size_t i = 0; i < n_order; i++)
		answer((size_t)abs(order[i]), order[i] < 0 ? 5 : 0);
	expect_end();
	if (where == THREAD)
		thread_join(thread);
	engine_stop();
}

Test(asking, a_handler_awaits_any, .timeout = HANG)
{
	answered_by_test(HANDLER, 10, play_any, (int[]){7}, 1);
}

Test(asking, a_thread_awaits_any, .timeout = HANG)
{
	answered_by_test(THREAD, 10, play_any, (int[]){7}, 1);
}

static int play_some(void *arg)
{
	(void)arg;
	EXPECT(play_start_taken(5) == 0);
	EXPECT(rota_ask_await(asking, 5, 3, ROTA_FOREVER) == 3);
	EXPECT(asking[1].outcome == 0 && asking[4].outcome == 5 &&
	       asking[2].outcome == 0);
	EXPECT(asking[0].token && asking[3].token);
	return 0; /* two are left to the end of the handler */
}

Test(asking, some_are_awaited_however_they_end, .timeout = HANG)
{
	answered_by_test(HANDLER, 5, play_some, (int[]){1, -4, 2}, 3);
}

static int play_quorum(void *arg)
{
	(void)arg;
	EXPECT(play_start_taken(5) == 0);
	EXPECT(rota_ask_quorum(asking, 5, 3, ROTA_FOREVER) == 3);
	EXPECT(asking[1].outcome == 0 && asking[4].outcome == 5 &&
	       asking[2].outcome == 0 && asking[3].outcome == 0);
	EXPECT(asking[0].token);
	return 0;
}

Test(asking, a_quorum_is_of_good_answers, .timeout = HANG)
{
	answered_by_test(HANDLER, 5, play_quorum, (int[]){1, -4, 2, 3}, 4);
}

static int play_no_quorum(void *arg)
{
	(void)arg;
	EXPECT(play_start_taken(5) == 0);
	EXPECT(rota_ask_quorum(asking, 5, 6, ROTA_FOREVER) == -EINVAL);
	EXPECT(rota_ask_quorum(asking, 5, 4, ROTA_FOREVER) == -EIO);
	EXPECT(asking[3].token && asking[0].token);
	return 0;
}

Test(asking, a_quorum_that_cannot_be_is_given_up, .timeout = HANG)
{
	answered_by_test(HANDLER, 5, play_no_quorum, (int[]){1, -4, -2}, 3);
}

static int play_all_or_nothing(void *arg)
{
	(void)arg;
	EXPECT(play_start_taken(3) == 0);
	EXPECT(rota_ask_quorum(asking, 3, 3, ROTA_FOREVER) == -EIO);
	EXPECT(asking[1].outcome == 5);
	EXPECT(asking[0].token && asking[2].token);
	return 0;
}

Test(asking, a_quorum_of_all_is_given_up_with_the_first, .timeout = HANG)
{
	answered_by_test(HANDLER, 3, play_all_or_nothing, (int[]){-1}, 1);
}

/* Two are asked: one takes the token, the other asks the asker. */
struct circle {
	rota_id asker;
	size_t wanted;
	int quorum, back;
	struct flag ended;
};

static int act_asks_back(void *arg)
{
	struct circle *circle = arg;

	circle->back = rota_ask(circle->asker, NOTHING, NULL, 0, NULL, 0,
				ROTA_FOREVER);
	return circle->back;
}

static int act_quorum(void *arg)
{
	struct circle *circle = arg;
	struct act act = {act_asks_back, circle};

	start_one(0, scene.to[0], TAKES, 1, ROTA_FOREVER);
	rota_ask_start(scene.to[1], RUNS, &act, sizeof(act), NULL, 0,
		       ROTA_FOREVER, &asking[1]);
	circle->quorum =
		rota_ask_quorum(asking, 2, circle->wanted, ROTA_FOREVER);
	flag_raise(&circle->ended);
	return 0;
}

static void start_circle(struct circle *circle)
{
	stage(2, 2);
	circle->asker = servant_spawn(0, NULL);
	cr_assert_eq(rota_send(circle->asker, RUNS,
			       &(struct act){act_quorum, circle},
			       sizeof(struct act)),
		     0);
	await_token(&scene.xtoken[0]);
}

/* Both wait, and none is refused: the first one may fail and end that. */
static void expect_that_they_wait(struct circle *circle)
{
	AWAIT(counters().waits >= 2);
	for (int i = 0; i < 20; i++)
		nap();
	cr_assert_not(flag_is_up(&circle->ended));
	cr_assert_eq(circle->back, 1);
}

Test(asking, a_quorum_of_all_closes_no_circle_while_others_may_fail,
     .timeout = HANG)
{
	struct circle circle = {.wanted = 2, .back = 1};

	start_circle(&circle);
	expect_that_they_wait(&circle);
	cr_assert_eq(rota_reply(scene.xtoken[0], 5, NULL, 0), 0);
	quiesce();
	cr_assert_eq(circle.quorum, -EIO);
	cr_assert(circle.back == 0 || circle.back == -ECANCELED);
	engine_stop();
}

/* Whoever of the two is refused. */
Test(asking, a_quorum_that_needs_the_last_one_may_close_a_circle,
     .timeout = HANG)
{
	struct circle circle = {.wanted = 2, .back = 1};

	start_circle(&circle);
	expect_that_they_wait(&circle);
	cr_assert_eq(rota_reply(scene.xtoken[0], 0, NULL, 0), 0);
	AWAIT(flag_is_up(&circle.ended));
	quiesce();
	if (circle.quorum == -EIO)
		cr_assert_eq(circle.back, -EDEADLK);
	else
		cr_assert_eq(circle.quorum, -EDEADLK);
	engine_stop();
}

Test(asking, a_quorum_of_less_closes_none, .timeout = HANG)
{
	struct circle circle = {.wanted = 1, .back = 1};

	start_circle(&circle);
	expect_that_they_wait(&circle);
	cr_assert_eq(rota_reply(scene.xtoken[0], 0, NULL, 0), 0);
	quiesce();
	cr_assert_eq(circle.quorum, 1);
	cr_assert(circle.back == 0 || circle.back == -ECANCELED);
	engine_stop();
}

/* ---- time ---- */

static int play_deadline(void *arg)
{
	int n;

	(void)arg;
	EXPECT(play_start_taken(4) == 0);
	EXPECT(start_one(4, scene.to[4], TWICE, 8, ROTA_FOREVER) == 0);
	n = rota_ask_await(asking, 5, 1, ROTA_FOREVER);
	EXPECT(n == 1 && reply[4] == 16);
	EXPECT(rota_ask_await(asking, 5, 5, ROTA_MS(5)) == -ETIMEDOUT);
	EXPECT(rota_ask_await(asking, 5, 2, ROTA_MS(5)) == -ETIMEDOUT);
	EXPECT(rota_ask_await(asking, 5, 2, ROTA_NOW) == -ETIMEDOUT);
	for (size_t i = 0; i < 4; i++)
		EXPECT(asking[i].token);
	for (size_t i = 0; i < 4; i++)
		EXPECT(rota_ask_cancel(&asking[i]) == 0 &&
		       asking[i].outcome == -ECANCELED);
	return 0;
}

Test(asking, an_await_has_a_time_of_its_own, .timeout = HANG)
{
	run(2, 5, HANDLER, play_deadline);
}

Test(asking, an_await_of_a_thread_has_a_time_of_its_own, .timeout = HANG)
{
	run(2, 5, THREAD, play_deadline);
}

static int play_own_time(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < 4; i++)
		EXPECT(start_one(i, scene.to[i], TAKES, i, ROTA_MS(3)) == 0);
	EXPECT(rota_ask_await(asking, 4, 4, ROTA_FOREVER) == 4);
	for (size_t i = 0; i < 4; i++)
		EXPECT(asking[i].outcome == -ETIMEDOUT);
	EXPECT(start_one(0, scene.to[0], TAKES, 0, ROTA_NOW) == -ETIMEDOUT);
	EXPECT(asking[0].token == 0 && asking[0].outcome == -ETIMEDOUT);
	return 0;
}

Test(asking, asks_end_as_their_own_time_is_up, .timeout = HANG)
{
	run(2, 4, HANDLER, play_own_time);
}

Test(asking, asks_of_a_thread_end_as_their_own_time_is_up, .timeout = HANG)
{
	run(2, 4, THREAD, play_own_time);
}

/* ---- failures ---- */

static int play_failures(void *arg)
{
	(void)arg;
	EXPECT(start_one(0, scene.to[0], FAILS, 3, ROTA_FOREVER) == 0);
	EXPECT(start_one(1, scene.to[1], 99, 3, ROTA_FOREVER) == 0);
	EXPECT(start_one(2, ROTA_NONE, TWICE, 3, ROTA_FOREVER) == -ESRCH);
	EXPECT(start_one(3, scene.to[0], LONG, 1000, ROTA_FOREVER) == 0);
	EXPECT(start_one(4, scene.to[0], LONG, 3, ROTA_FOREVER) == 0);
	EXPECT(rota_ask_await(asking, 5, 5, ROTA_FOREVER) == 5);
	EXPECT(asking[0].outcome == 3);
	EXPECT(asking[1].outcome == -ENOSYS);
	EXPECT(asking[2].outcome == -ESRCH);
	EXPECT(asking[3].outcome == -EMSGSIZE && asking[3].length == 1000);
	EXPECT(asking[4].outcome == 0 && reply[4] == 0x5a5a5a);
	EXPECT(rota_ask_await(asking, 5, 6, ROTA_FOREVER) == -EINVAL);
	EXPECT(rota_ask_await(NULL, 0, 0, ROTA_FOREVER) == 0);
	return 0;
}

Test(asking, every_ask_fails_in_its_own_way, .timeout = HANG)
{
	run(2, 2, HANDLER, play_failures);
}

static int play_long(void *arg)
{
	static unsigned char bytes[ROTA_MAX_PAYLOAD];

	(void)arg;
	for (uint64_t n = 0; n <= sizeof(bytes); n += n < 100 ? 1 : n / 2) {
		memset(bytes, 0, sizeof(bytes));
		EXPECT(rota_ask_start(scene.to[0], LONG, &n, sizeof(n), bytes,
				      sizeof(bytes), ROTA_FOREVER,
				      &asking[0]) == 0);
		EXPECT(rota_ask_await(asking, 1, 1, ROTA_FOREVER) == 1);
		EXPECT(asking[0].outcome == 0 && asking[0].length == n);
		for (size_t i = 0; i < sizeof(bytes); i += n < i ? 997 : 1)
			EXPECT(bytes[i] == (i < n ? 0x5a : 0));
	}
	return 0;
}

Test(asking, kept_replies_may_have_any_length, .timeout = HANG)
{
	run(2, 1, HANDLER, play_long);
}

#define HUGE_REPLY ((size_t)1 << 20)

static int play_too_long(void *arg)
{
	static unsigned char bytes[HUGE_REPLY];
	size_t lengths[] = {ROTA_MAX_PAYLOAD + 1, 65792, 100000, HUGE_REPLY};

	(void)arg;
	for (size_t i = 0; i < 4; i++) {
		uint64_t n = lengths[i];

		EXPECT(rota_ask_start(scene.to[0], LONG, &n, sizeof(n), bytes,
				      sizeof(bytes), ROTA_FOREVER,
				      &asking[0]) == 0);
		EXPECT(rota_ask_await(asking, 1, 1, ROTA_FOREVER) == 1);
		EXPECT(asking[0].outcome == -EMSGSIZE);
		EXPECT(asking[0].length == n && bytes[0] == 0);
	}
	for (size_t i = 0; i < 4; i++) {
		uint64_t n = lengths[i];

		EXPECT(rota_ask(scene.to[0], LONG, &n, sizeof(n), bytes,
				sizeof(bytes), ROTA_FOREVER) == 0);
		EXPECT(bytes[n - 1] == 0x5a);
	}
	return 0;
}

/* There is no room for it while nobody waits. */
Test(asking, kept_replies_are_no_longer_than_messages, .timeout = HANG)
{
	run(2, 1, HANDLER, play_too_long);
}

/* ---- the end of who has started them ---- */

static int play_leave(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < 4; i++)
		EXPECT(start_one(i, scene.to[0], TWICE, i, ROTA_FOREVER) == 0);
	EXPECT(start_one(4, scene.to[1], TAKES, 4, ROTA_FOREVER) == 0);
	while (AO_load_acquire(&scene.xtoken[1]) == 0)
		nap(); /* until it has begun */
	return 0;
}

/* Of those that are left, what has not begun does not begin. */
Test(asking, what_a_handler_leaves_is_cancelled, .timeout = HANG)
{
	struct stall stall = {0};
	uint64_t value = 1;

	stage(4, 2);
	stall_start(&stall, scene.to[0]);
	begin(HANDLER, play_leave);
	expect_end();
	await_token(&scene.xtoken[1]);
	AWAIT(!rota_reply_is_wanted(scene.xtoken[1]));
	cr_assert_eq(rota_reply(scene.xtoken[1], 0, &value, 8), -ECANCELED);
	cr_assert_eq(rota_reply(scene.xtoken[1], 0, &value, 8), -EALREADY);
	flag_raise(&stall.go);
	quiesce();
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_WITHDRAWN]), 4);
	cr_assert_eq(tally_of(&n_begun), 2);
	cr_assert_eq(counters().late_replies, 1);
	cr_assert_eq(reply[4], 0);
	engine_stop();
}

/* ---- the end of the engine ---- */

static void expect_ended(size_t i, int outcome, unsigned progress)
{
	cr_assert_eq(asking[i].token, 0);
	cr_assert_eq(asking[i].outcome, outcome, "%zu: %d", i,
		     asking[i].outcome);
	cr_assert_eq(asking[i].progress, progress, "%zu: %x", i,
		     asking[i].progress);
}

#define SENT ((unsigned)ROTA_ASK_SENT)
#define STARTED ((unsigned)ROTA_ASK_SENT | (unsigned)ROTA_ASK_STARTED)

/* What a thread has started and not ended keeps its outcome beyond it. */
Test(asking, what_a_thread_leaves_ends_with_the_engine, .timeout = HANG)
{
	static unsigned char bytes[6000], none[8];
	struct rota_asking copy[5];
	struct hold hold = {0};
	uint64_t n = 5000;

	stage(2, 4);
	cr_assert_eq(start_one(0, scene.to[0], TWICE, 21, ROTA_FOREVER), 0);
	cr_assert_eq(start_one(1, scene.to[0], FAILS, 7, ROTA_FOREVER), 0);
	cr_assert_eq(rota_ask_start(scene.to[1], LONG, &n, sizeof(n), bytes,
				    sizeof(bytes), ROTA_FOREVER, &asking[2]),
		     0);
	cr_assert_eq(start_one(3, scene.to[2], TAKES, 1, ROTA_FOREVER), 0);
	quiesce();
	hold_start(&hold, scene.to[3]);
	cr_assert_eq(start_one(4, scene.to[3], TWICE, 1, ROTA_FOREVER), 0);
	memcpy(copy, asking, sizeof(copy));
	reply[0] = 1;
	memset(bytes, 1, sizeof(bytes));
	engine_stop();
	cr_assert_eq(reply[0], 1, "nobody writes to it but the caller");
	cr_assert_eq(rota_ask_cancel(&asking[0]), -EALREADY);
	cr_assert_eq(rota_ask_await(asking, 5, 1, ROTA_NOW), 5);
	expect_ended(0, 0, STARTED);
	cr_assert_eq(reply[0], 42);
	cr_assert_eq(asking[0].length, 8);
	expect_ended(1, 7, STARTED);
	expect_ended(2, 0, STARTED);
	cr_assert_eq(asking[2].length, n);
	memset(none, 0x5a, sizeof(none));
	cr_assert_eq(memcmp(bytes + n - 8, none, 8), 0);
	cr_assert_eq(bytes[n], 0);
	cr_assert_eq(bytes[sizeof(bytes) - 1], 0);
	expect_ended(3, -EPIPE, STARTED);
	expect_ended(4, -ESRCH, SENT);
	/* Once. */
	cr_assert_eq(rota_ask_await(copy, 4, 4, ROTA_FOREVER), 4);
	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(copy[i].outcome, -EINVAL);
	cr_assert_eq(rota_ask_cancel(&copy[4]), -EINVAL);
}

/* The handler does not return: it may have had an effect, or not begun. */
Test(asking, what_a_stop_in_vain_leaves_is_known, .timeout = HANG)
{
	static struct stall stall;
	struct act act = {act_stall, &stall};

	stage(2, 1);
	cr_assert_eq(rota_ask_start(scene.to[0], RUNS, &act, sizeof(act), NULL,
				    0, ROTA_FOREVER, &asking[0]),
		     0);
	cr_assert_eq(start_one(1, scene.to[0], TWICE, 1, ROTA_FOREVER), 0);
	AWAIT(flag_is_up(&stall.begun));
	cr_assert_eq(rota_stop(engine, ROTA_MS(50)), -ETIMEDOUT);
	cr_assert_eq(rota_ask_quorum(asking, 2, 1, ROTA_FOREVER), -EIO);
	expect_ended(0, -ECONNRESET, STARTED);
	expect_ended(1, -ESRCH, SENT);
	flag_raise(&stall.go);
	AWAIT(flag_is_up(&stall.ended));
}

static void *thread_stop(void *arg)
{
	(void)arg;
	engine_stop();
	return NULL;
}

/* Whenever the stop comes, and wherever they wait then. */
Test(asking, an_outcome_is_true_whenever_the_engine_stops, .timeout = HANG)
{
	enum { ROUNDS = SIZED(300, 60), EACH = 8 };
	size_t n_handled = 0;

	for (size_t round = 0; round < ROUNDS; round++) {
		pthread_t thread;

		stage(1, 1);
		thread = thread_start(thread_stop, NULL);
		for (size_t i = 0; i < EACH; i++)
			/* Or not: then that is its outcome. */
			start_one(i, scene.to[0], TWICE, i, ROTA_FOREVER);
		cr_assert_eq(rota_ask_await(asking, EACH, EACH, ROTA_FOREVER),
			     EACH);
		thread_join(thread);
		for (size_t i = 0; i < EACH; i++) {
			int outcome = asking[i].outcome;

			n_handled += outcome == 0;
			cr_assert(outcome == 0 || outcome == -ESRCH ||
					  outcome == -ESHUTDOWN,
				  "%d", outcome);
			cr_assert(outcome != 0 || reply[i] == 2 * i);
		}
		cr_assert_eq(tally_of(&n_begun), n_handled);
	}
}

/* They are not kept for ever: until another engine has the number. */
Test(asking, what_is_left_goes_with_the_engines_number, .timeout = HANG)
{
	struct rota_config config = test_config(1);

	if (UNDER_TSAN)
		cr_skip_test("no races here, and 260 engines take long");
	config.flags = ROTA_RUN_HERE;
	stage(1, 1);
	cr_assert_eq(start_one(0, scene.to[0], TWICE, 1, ROTA_FOREVER), 0);
	engine_stop();
	for (size_t i = 0; i < 260; i++) {
		engine = engine_make(&config);
		engine_stop();
	}
	cr_assert_eq(rota_ask_await(asking, 1, 1, ROTA_FOREVER), 1);
	expect_ended(0, -EINVAL, 0);
}

/* ---- copies ---- */

/* The copies of two that have ended, one with an answer, one without; and
   others, which are in their cells by now, or would be. */
static int play_copies(struct rota_asking *copy)
{
	EXPECT(start_one(8, scene.to[0], TWICE, 1, ROTA_FOREVER) == 0);
	EXPECT(start_one(9, scene.to[9], TAKES, 1, ROTA_FOREVER) == 0);
	copy[0] = asking[8];
	copy[1] = asking[9];
	while (AO_load_acquire(&scene.xtoken[9]) == 0)
		nap();
	EXPECT(rota_ask_await(&asking[8], 1, 1, ROTA_FOREVER) == 1);
	EXPECT(rota_ask_cancel(&asking[9]) == 0);
	return play_start_taken(8);
}

static int play_others(void)
{
	for (size_t i = 0; i < 8; i++)
		EXPECT(asking[i].token != 0);
	EXPECT(rota_ask_await(asking, 8, 8, ROTA_FOREVER) == 8);
	for (size_t i = 0; i < 8; i++)
		EXPECT(asking[i].outcome == 0 && reply[i] == 10 * i);
	return 0;
}

static int play_old_copies(void *arg)
{
	struct rota_asking copy[2], again[4];

	(void)arg;
	EXPECT(play_copies(copy) == 0);
	memcpy(again, copy, sizeof(copy));
	memcpy(again + 2, copy, sizeof(copy));
	reply[8] = 5;
	EXPECT(rota_ask_await(&again[0], 2, 1, ROTA_FOREVER) == 2);
	EXPECT(again[0].outcome == -EINVAL && again[1].outcome == -EINVAL);
	EXPECT(again[0].token == 0 && reply[8] == 5);
	EXPECT(rota_ask_quorum(&again[2], 2, 1, ROTA_FOREVER) == -EIO);
	EXPECT(again[2].outcome == -EINVAL && again[3].outcome == -EINVAL);
	for (size_t i = 0; i < 2; i++) {
		EXPECT(rota_ask_cancel(&copy[i]) == -EINVAL);
		EXPECT(copy[i].outcome == -EINVAL);
		EXPECT(rota_ask_cancel(&copy[i]) == -EALREADY);
	}
	return play_others();
}

/* They do no harm to whoever is in their place. */
Test(asking, old_copies_in_a_handler_lead_nowhere, .timeout = HANG)
{
	answered_by_test(HANDLER, 10, play_old_copies,
			 (int[]){0, 1, 2, 3, 4, 5, 6, 7}, 8);
}

Test(asking, old_copies_in_a_thread_lead_nowhere, .timeout = HANG)
{
	answered_by_test(THREAD, 10, play_old_copies,
			 (int[]){0, 1, 2, 3, 4, 5, 6, 7}, 8);
}

/* ---- cancel ---- */

struct polled {
	struct flag begun;
	int first;
	struct flag told;
};

static int act_polls(void *arg)
{
	struct polled *polled = arg;

	polled->first = rota_is_cancelled();
	flag_raise(&polled->begun);
	while (!rota_is_cancelled())
		nap();
	flag_raise(&polled->told);
	return 0;
}

Test(asking, a_cancelled_handler_is_told, .timeout = HANG)
{
	static struct polled polled;
	struct act act = {act_polls, &polled};

	stage(2, 1);
	cr_assert_eq(rota_ask_start(scene.to[0], RUNS, &act, sizeof(act), NULL,
				    0, ROTA_FOREVER, &asking[0]),
		     0);
	AWAIT(flag_is_up(&polled.begun));
	cr_assert_eq(rota_ask_cancel(&asking[0]), 0);
	cr_assert_eq(asking[0].progress, ROTA_ASK_SENT | ROTA_ASK_STARTED);
	AWAIT(flag_is_up(&polled.told));
	cr_assert_eq(polled.first, 0);
	engine_stop();
	cr_assert_eq(rota_is_cancelled(), 0);
}

/* ... also where it is its own actor that is stopped. */
Test(asking, a_stopped_handler_is_told, .timeout = HANG)
{
	static struct polled polled;

	stage(2, 0);
	rota_id puppet = puppet_spawn(NULL, 0);

	ACTS(puppet, act_polls, &polled);
	AWAIT(flag_is_up(&polled.begun));
	rota_actor_stop(puppet);
	AWAIT(flag_is_up(&polled.told));
	cr_assert_eq(polled.first, 0);
	engine_stop();
}

struct relay {
	rota_id next[8];
	size_t n;
	int result[8];
	struct tally n_ended;
	struct flag hangs;
};

static struct relay relay;

static int act_relay(void *arg);

/* Each asks the next one to do the same; the last one waits for nothing. */
static int relay_ask(size_t i)
{
	struct act act = {act_relay, (void *)(uintptr_t)(i + 1)};
	uint64_t none = 0;

	if (i + 1 == relay.n)
		return rota_ask(relay.next[i + 1], TAKES, &none, sizeof(none),
				NULL, 0, ROTA_FOREVER);
	return rota_ask(relay.next[i + 1], RUNS, &act, sizeof(act), NULL, 0,
			ROTA_FOREVER);
}

static int act_relay(void *arg)
{
	size_t i = (size_t)(uintptr_t)arg;

	relay.result[i] = relay_ask(i);
	tally_add(&relay.n_ended, 1);
	return 0;
}

Test(asking, a_cancel_cascades, .timeout = HANG)
{
	struct act act = {act_relay, (void *)(uintptr_t)0};
	uint64_t waits;

	stage(2, 7);
	memcpy(relay.next, scene.to, 7 * sizeof(rota_id));
	relay.n = 6;
	waits = counters().waits;
	cr_assert_eq(rota_ask_start(relay.next[0], RUNS, &act, sizeof(act),
				    NULL, 0, ROTA_FOREVER, &asking[0]),
		     0);
	await_token(&scene.xtoken[6]);
	AWAIT(counters().waits >= waits + 6);
	cr_assert_eq(tally_of(&relay.n_ended), 0);
	cr_assert_eq(rota_ask_cancel(&asking[0]), 0);
	AWAIT(tally_of(&relay.n_ended) == 6);
	quiesce();
	for (size_t i = 0; i < 6; i++)
		cr_assert_eq(relay.result[i], -ECANCELED, "%zu", i);
	cr_assert_not(rota_reply_is_wanted(scene.xtoken[6]));
	engine_stop();
}

/* A handler that takes the token, may pass it on, and then asks in turn. */
struct later {
	rota_id next;
	rota_id heir; /* ROTA_NONE: it is not passed on */
	rota_token token;
	struct flag begun;
	struct flag go;
	int passed, before, result, after;
	struct flag ended;
};

static int act_later(void *arg)
{
	struct later *later = arg;
	uint64_t value = 1;

	rota_reply_later(&later->token);
	if (later->heir != ROTA_NONE)
		later->passed = rota_forward(later->token, later->heir, TAKES,
					     &value, 8, ROTA_FOREVER);
	later->before = rota_is_cancelled();
	flag_raise(&later->begun);
	flag_block(&later->go);
	later->result = rota_ask(later->next, TAKES, &value, sizeof(value),
				 NULL, 0, ROTA_FOREVER);
	later->after = rota_is_cancelled();
	flag_raise(&later->ended);
	return ROTA_LATER;
}

static void start_later(struct later *later)
{
	struct act act = {act_later, later};

	later->next = scene.to[1];
	cr_assert_eq(rota_ask_start(scene.to[0], RUNS, &act, sizeof(act), NULL,
				    0, ROTA_FOREVER, &asking[0]),
		     0);
	AWAIT(flag_is_up(&later->begun));
}

/* ... until it waits for the next one. */
static void let_it_ask(struct later *later)
{
	uint64_t waits = counters().waits;

	flag_raise(&later->go);
	await_token(&scene.xtoken[1]);
	AWAIT(counters().waits > waits);
}

static void expect_cancelled(struct later *later)
{
	AWAIT(flag_is_up(&later->ended));
	cr_assert_eq(later->before, 0);
	cr_assert_eq(later->result, -ECANCELED);
	cr_assert_eq(later->after, 1);
	cr_assert_eq(rota_reply(later->token, 0, NULL, 0), -ECANCELED);
	engine_stop();
}

Test(asking, a_cancel_reaches_who_means_to_answer_later, .timeout = HANG)
{
	struct later later = {.heir = ROTA_NONE};

	stage(2, 2);
	start_later(&later);
	let_it_ask(&later);
	cr_assert_eq(rota_ask_cancel(&asking[0]), 0);
	AWAIT(!rota_reply_is_wanted(scene.xtoken[1]));
	expect_cancelled(&later);
}

Test(asking, a_cancel_reaches_it_before_it_waits, .timeout = HANG)
{
	struct later later = {.heir = ROTA_NONE};

	stage(2, 2);
	start_later(&later);
	cr_assert_eq(rota_ask_cancel(&asking[0]), 0);
	flag_raise(&later.go);
	expect_cancelled(&later);
}

/* Then it is another's request. */
static void passes_on(bool cancels_first)
{
	struct later later = {.passed = 1};

	stage(2, 3);
	later.heir = scene.to[2];
	start_later(&later);
	if (cancels_first)
		cr_assert_eq(rota_ask_cancel(&asking[0]), 0);
	let_it_ask(&later);
	if (!cancels_first)
		cr_assert_eq(rota_ask_cancel(&asking[0]), 0);
	for (int i = 0; i < 20; i++)
		nap();
	cr_assert_not(flag_is_up(&later.ended));
	cr_assert_eq(rota_reply(scene.xtoken[1], 0, NULL, 0), 0);
	AWAIT(flag_is_up(&later.ended));
	cr_assert_eq(later.passed, 0);
	cr_assert_eq(later.result, 0);
	cr_assert_eq(later.after, 0);
	engine_stop();
}

Test(asking, a_cancel_does_not_reach_who_has_passed_it_on, .timeout = HANG)
{
	passes_on(false);
}

Test(asking, nor_does_one_from_before_it_waits, .timeout = HANG)
{
	passes_on(true);
}

/* ---- answers as messages ---- */

struct then {
	rota_id to;
	unsigned tag;
	uint64_t value;
	int64_t within;
	int result;
};

#define NOTICE 77u

static int act_then(void *arg)
{
	struct then *then = arg;

	then->result =
		rota_ask_then(then->to, then->tag, &then->value,
			      sizeof(then->value), then->within, NOTICE, then);
	return 0;
}

struct notices {
	AO_t n; /* behind it, what it counts */
	struct rota_notice head[64];
	uint64_t value[64];
	size_t length[64];
};

static struct notices notices;

static size_t n_notices(void)
{
	return AO_load_acquire(&notices.n); /* [T1] pairs with the noter */
}

static int noter_handle(void *state, unsigned tag, void *payload, size_t length)
{
	size_t n = AO_load(&notices.n); /* the noter's own */
	struct act act;

	(void)state;
	if (tag == ACT) {
		memcpy(&act, payload, sizeof(act));
		return act.run(act.arg);
	}
	if (tag != NOTICE || length < sizeof(struct rota_notice))
		return ROTA_UNKNOWN;
	memcpy(&notices.head[n], payload, sizeof(struct rota_notice));
	notices.length[n] = length - sizeof(struct rota_notice);
	notices.value[n] =
		value_at((char *)payload + sizeof(struct rota_notice),
			 notices.length[n]);
	/* [T1] pairs with n_notices() */
	AO_store_release(&notices.n, n + 1);
	return 0;
}

static const struct rota_behaviour noter_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "noter",
	.handle = noter_handle,
};

static struct then then_of(rota_id to, unsigned tag, uint64_t value)
{
	return (struct then){to, tag, value, ROTA_FOREVER, 1};
}

Test(asking, an_answer_may_come_as_a_message, .timeout = HANG)
{
	struct then then[3];
	rota_id noter;

	stage(2, 2);
	noter = spawn(&noter_behaviour, NULL, 1);
	then[0] = then_of(scene.to[0], TWICE, 21);
	then[1] = then_of(scene.to[0], FAILS, 3);
	then[2] = then_of(scene.to[0], LONG, 5000);
	for (size_t i = 0; i < 3; i++) {
		ACTS(noter, act_then, &then[i]);
		quiesce();
		cr_assert_eq(then[i].result, 0);
		cr_assert_eq(n_notices(), i + 1);
		cr_assert_eq(notices.head[i].context, &then[i]);
	}
	cr_assert_eq(notices.head[0].outcome, 0);
	cr_assert_eq(notices.value[0], 42);
	cr_assert_eq(notices.length[0], 8);
	cr_assert_eq(notices.head[1].outcome, 3);
	cr_assert_eq(notices.length[1], 0);
	cr_assert_eq(notices.head[2].outcome, 0);
	cr_assert_eq(notices.length[2], 5000);
	cr_assert_eq(notices.value[2], UINT64_C(0x5a5a5a5a5a5a5a5a));
	engine_stop();
}

Test(asking, an_answer_as_a_message_is_no_longer_than_one, .timeout = HANG)
{
	size_t most = ROTA_MAX_PAYLOAD - sizeof(struct rota_notice);
	struct then then[3];
	rota_id noter;

	stage(2, 1);
	noter = spawn(&noter_behaviour, NULL, 0);
	then[0] = then_of(scene.to[0], LONG, most);
	then[1] = then_of(scene.to[0], LONG, most + 1);
	then[2] = then_of(scene.to[0], LONG, HUGE_REPLY);
	for (size_t i = 0; i < 3; i++) {
		ACTS(noter, act_then, &then[i]);
		quiesce();
		cr_assert_eq(n_notices(), i + 1);
		cr_assert_eq(notices.head[i].outcome, i ? -EMSGSIZE : 0);
		cr_assert_eq(notices.length[i], i ? 0 : most);
	}
	engine_stop();
}

Test(asking, a_failure_comes_as_a_message_too, .timeout = HANG)
{
	struct stall stall = {0};
	struct then then[4];
	rota_id noter;

	stage(4, 3);
	noter = spawn(&noter_behaviour, NULL, 0);
	stall_start(&stall, scene.to[0]);
	then[0] = then_of(scene.to[0], TWICE, 1); /* in vain */
	then[0].within = ROTA_MS(2);
	then[1] = then_of(scene.to[1], TAKES, 1); /* begun, in vain */
	then[1].within = ROTA_MS(2);
	then[2] = then_of(scene.to[2], TAKES, 1); /* broken */
	then[3] = then_of(ROTA_NONE, TAKES, 1);	  /* not sent */
	for (size_t i = 0; i < 4; i++)
		ACTS(noter, act_then, &then[i]);
	AWAIT(n_notices() == 2);
	cr_assert_eq(notices.head[0].outcome, -ETIMEDOUT);
	cr_assert_eq(notices.head[1].outcome, -ETIMEDOUT);
	await_token(&scene.xtoken[2]);
	rota_actor_stop(scene.to[2]);
	AWAIT(n_notices() == 3);
	cr_assert_eq(notices.head[2].outcome, -EPIPE);
	cr_assert_eq(notices.head[2].context, &then[2]);
	flag_raise(&stall.go);
	quiesce();
	cr_assert_eq(then[3].result, -ESRCH);
	cr_assert_eq(n_notices(), 3);
	cr_assert_eq(
		rota_ask_then(scene.to[1], TWICE, NULL, 0, 1, NOTICE, NULL),
		-EPERM);
	engine_stop();
}

Test(asking, an_answer_in_time_clears_its_alarm, .timeout = HANG)
{
	struct then then;
	rota_id noter;

	stage(2, 1);
	noter = spawn(&noter_behaviour, NULL, 0);
	then = then_of(scene.to[0], TWICE, 1);
	then.within = ROTA_MS(2);
	for (size_t i = 0; i < 50; i++)
		ACTS(noter, act_then, &then);
	AWAIT(n_notices() == 50);
	for (int i = 0; i < 25; i++)
		nap();
	quiesce();
	cr_assert_eq(n_notices(), 50, "one message each");
	engine_stop();
}

/* It is something that is still to come, like a timer's message. */
Test(asking, quiesce_waits_for_answers_as_messages, .timeout = HANG)
{
	struct then then[2];
	uint64_t value = 7;
	rota_id noter;

	stage(2, 2);
	noter = spawn(&noter_behaviour, NULL, 0);
	then[0] = then_of(scene.to[0], TAKES, 1);
	ACTS(noter, act_then, &then[0]);
	cr_assert_eq(rota_quiesce(engine, ROTA_MS(30)), -ETIMEDOUT);
	cr_assert_eq(rota_reply(await_token(&scene.xtoken[0]), 0, &value, 8),
		     0);
	quiesce();
	cr_assert_eq(n_notices(), 1);
	cr_assert_eq(notices.value[0], 7);
	then[1] = then_of(scene.to[1], TAKES, 1);
	then[1].within = ROTA_MS(30);
	ACTS(noter, act_then, &then[1]);
	quiesce();
	cr_assert_eq(n_notices(), 2);
	cr_assert_eq(notices.head[1].outcome, -ETIMEDOUT);
	engine_stop();
}

/* ... of whichever engine, and to whoever has ended. */
Test(asking, quiesce_waits_for_no_answer_longer_than_it_must, .timeout = HANG)
{
	rota_engine *first;
	struct then then;
	rota_id noter, far;

	engine_start(1);
	first = engine;
	noter = spawn(&noter_behaviour, NULL, 0);
	engine_start(1);
	far = servant_spawn(0, &scene.xtoken[0]);
	then = then_of(far, TAKES, 1);
	cr_assert_eq(rota_send(noter, ACT, &(struct act){act_then, &then},
			       sizeof(struct act)),
		     0);
	await_token(&scene.xtoken[0]);
	quiesce(); /* it is not this one's */
	cr_assert_eq(rota_quiesce(first, ROTA_MS(10)), -ETIMEDOUT);
	rota_actor_stop(noter);
	cr_assert_eq(rota_join(noter, PATIENCE, NULL), 0);
	cr_assert_eq(rota_reply_drop(scene.xtoken[0]), 0);
	engine_stop();
	engine = first;
	quiesce();
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_NO_ACTOR]), 1);
	engine_stop();
}

static void expect_room(rota_id noter, size_t n)
{
	struct hold hold = {0};

	hold_start(&hold, noter);
	cr_assert_eq(fill(noter, 1), n);
	hold_end(&hold);
	quiesce();
}

/* They come beyond the bound, and do not count in it. */
Test(asking, answers_as_messages_take_no_room, .timeout = HANG)
{
	struct hold hold = {0};
	struct then then[3];
	rota_id noter;

	stage(2, 3);
	noter = spawn(&noter_behaviour, NULL, 4);
	for (size_t i = 0; i < 3; i++) {
		then[i] = then_of(scene.to[i], TAKES, 1);
		ACTS(noter, act_then, &then[i]);
		await_token(&scene.xtoken[i]);
	}
	hold_start(&hold, noter);
	for (size_t i = 0; i < 3; i++)
		answer(i, 0);
	cr_assert_eq(fill(noter, 1), 3);
	hold_end(&hold);
	quiesce();
	cr_assert_eq(n_notices(), 3);
	expect_room(noter, 3);
	engine_stop();
}

/* Where the request could not be sent no message comes, and nothing is left. */
Test(asking, one_that_was_not_sent_is_forgotten, .timeout = HANG)
{
	struct hold hold = {0};
	struct then then;
	rota_id noter;
	uint64_t waits;

	stage(2, 0);
	noter = spawn(&noter_behaviour, NULL, 0);
	then = then_of(servant_spawn(1, NULL), TWICE, 1);
	then.within = ROTA_S(20);
	hold_start(&hold, then.to); /* it is full */
	waits = counters().waits;
	ACTS(noter, act_then, &then);
	AWAIT(counters().waits > waits);
	rota_actor_stop(then.to);
	quiesce();
	cr_assert(then.result == -ESRCH || then.result == -ESHUTDOWN);
	cr_assert_eq(n_notices(), 0);
	engine_stop();
}

Test(asking, a_message_to_an_asker_that_has_ended_is_a_dead_letter,
     .timeout = HANG)
{
	struct then then;
	rota_id noter;
	uint64_t value = 5;

	stage(2, 1);
	noter = spawn(&noter_behaviour, NULL, 0);
	then = then_of(scene.to[0], TAKES, 1);
	ACTS(noter, act_then, &then);
	await_token(&scene.xtoken[0]);
	rota_actor_stop(noter);
	cr_assert_eq(rota_join(noter, PATIENCE, NULL), 0);
	rota_reply(scene.xtoken[0], 0, &value, sizeof(value));
	quiesce();
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_NO_ACTOR]), 1);
	cr_assert_eq(morgue.letter[0].tag, NOTICE);
	engine_stop();
}

/* ---- answers as messages, to who is cancelled ---- */

/* What a noter does for a request: asks on, before or after it has taken the
   token. */
struct onward {
	struct then then;
	bool takes;	  /* the token, before it asks */
	bool takes_after; /* likewise, behind */
	rota_id heir;	  /* the token is passed on; ROTA_NONE: it is not */
	bool answers;	  /* before it asks */
	bool waits;	  /* for @go, before it asks */
	bool ends;	  /* behind it all */
	rota_token token;
	struct flag begun;
	struct flag go;
};

static int act_onward(void *arg)
{
	struct onward *o = arg;
	uint64_t value = 1;

	if (o->takes)
		rota_reply_later(&o->token);
	if (o->heir != ROTA_NONE)
		rota_forward(o->token, o->heir, TAKES, &value, 8, ROTA_FOREVER);
	if (o->answers)
		rota_answer(0, &value, 8);
	if (o->waits) {
		flag_raise(&o->begun);
		flag_block(&o->go);
	}
	act_then(&o->then);
	if (o->takes_after)
		rota_reply_later(&o->token);
	if (o->ends)
		rota_self_stop(0);
	flag_raise(&o->begun);
	if (!o->takes && !o->takes_after && !o->answers)
		flag_block(&o->go);
	return ROTA_LATER;
}

/* scene.to[0] is asked by it, and takes the token. */
static rota_id ask_onward(struct onward *o)
{
	struct act act = {act_onward, o};
	int64_t within = o->then.within ? o->then.within : ROTA_FOREVER;
	rota_id noter = spawn(&noter_behaviour, NULL, 0);

	o->then = then_of(scene.to[0], TAKES, 1);
	o->then.within = within;
	cr_assert_eq(rota_ask_start(noter, ACT, &act, sizeof(act), NULL, 0,
				    ROTA_FOREVER, &asking[0]),
		     0);
	AWAIT(flag_is_up(&o->begun));
	return noter;
}

static void expect_cancelled_notice(struct onward *o)
{
	AWAIT(n_notices() == 1);
	cr_assert_eq(o->then.result, 0);
	cr_assert_eq(notices.head[0].context, &o->then);
	cr_assert_eq(notices.head[0].outcome, -ECANCELED);
	cr_assert_eq(notices.length[0], 0);
}

static void cancels_onward(struct onward *o)
{
	stage(2, 1);
	ask_onward(o);
	await_token(&scene.xtoken[0]);
	cr_assert(rota_reply_is_wanted(scene.xtoken[0]));
	cr_assert_eq(rota_ask_cancel(&asking[0]), 0);
	cr_assert_not(rota_reply_is_wanted(scene.xtoken[0]));
	flag_raise(&o->go);
	expect_cancelled_notice(o);
	quiesce(); /* neither an alarm nor an answer to come is left */
	cr_assert_eq(rota_reply(scene.xtoken[0], 0, NULL, 0), -ECANCELED);
	quiesce();
	cr_assert_eq(n_notices(), 1);
	engine_stop();
}

Test(asking, a_cancel_reaches_what_is_asked_by_message, .timeout = HANG)
{
	cancels_onward(&(struct onward){0});
}

Test(asking, a_cancel_reaches_what_is_asked_with_the_token_taken,
     .timeout = HANG)
{
	cancels_onward(&(struct onward){.takes = true});
}

Test(asking, a_cancel_reaches_what_was_asked_before_it_was_taken,
     .timeout = HANG)
{
	cancels_onward(&(struct onward){.takes_after = true});
}

Test(asking, a_cancel_clears_the_alarm_of_what_is_asked, .timeout = HANG)
{
	cancels_onward(
		&(struct onward){.takes = true, .then.within = ROTA_S(1000)});
}

/* It is too late to be found: it finds out. */
Test(asking, what_is_asked_after_the_cancel_is_cancelled, .timeout = HANG)
{
	struct onward o = {.takes = true, .waits = true};

	stage(2, 1);
	ask_onward(&o);
	cr_assert_eq(rota_ask_cancel(&asking[0]), 0);
	flag_raise(&o.go);
	expect_cancelled_notice(&o);
	quiesce();
	engine_stop();
}

/* One that was not begun with is not handled. */
Test(asking, a_cancel_withdraws_what_is_asked_by_message, .timeout = HANG)
{
	struct onward o = {.takes = true};
	struct stall stall = {0};

	stage(3, 1);
	stall_start(&stall, scene.to[0]);
	ask_onward(&o);
	cr_assert_eq(rota_ask_cancel(&asking[0]), 0);
	expect_cancelled_notice(&o);
	flag_raise(&stall.go);
	quiesce();
	cr_assert_eq(AO_load(&scene.xtoken[0]), 0);
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_WITHDRAWN]), 1);
	cr_assert_eq(morgue.letter[0].tag, TAKES);
	engine_stop();
}

/* It was asked for another, or for nobody. */
static void goes_on(struct onward *o)
{
	uint64_t value = 5;

	stage(2, 2);
	if (!o->answers)
		o->heir = scene.to[1];
	ask_onward(o);
	await_token(&scene.xtoken[0]);
	cr_assert_eq(rota_ask_cancel(&asking[0]), o->answers ? -EALREADY : 0);
	cr_assert(rota_reply_is_wanted(scene.xtoken[0]));
	cr_assert_eq(rota_reply(scene.xtoken[0], 0, &value, sizeof(value)), 0);
	quiesce();
	cr_assert_eq(n_notices(), 1);
	cr_assert_eq(notices.head[0].outcome, 0);
	cr_assert_eq(notices.value[0], 5);
	engine_stop();
}

Test(asking, a_cancel_does_not_reach_what_is_asked_by_who_passed_it_on,
     .timeout = HANG)
{
	goes_on(&(struct onward){.takes = true});
}

Test(asking, nor_what_is_asked_behind_the_answer, .timeout = HANG)
{
	goes_on(&(struct onward){.answers = true});
}

/* Its list ends with it; the ask does not, and is answered to nobody. */
Test(asking, who_ends_leaves_what_it_asked_by_message, .timeout = HANG)
{
	struct onward o = {.takes = true, .ends = true};
	uint64_t value = 5;
	rota_id noter;

	stage(2, 1);
	noter = ask_onward(&o);
	cr_assert_eq(rota_join(noter, PATIENCE, NULL), 0);
	await_token(&scene.xtoken[0]);
	cr_assert_eq(rota_ask_cancel(&asking[0]), -EALREADY);
	cr_assert_eq(asking[0].outcome, -EPIPE);
	cr_assert_eq(rota_reply(scene.xtoken[0], 0, &value, sizeof(value)), 0);
	quiesce();
	cr_assert_eq(n_notices(), 0);
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_NO_ACTOR]), 1);
	engine_stop();
}

/* Each takes the token, and asks two others: a tree of so many levels. */
#define LEVELS 5
#define LINKS ((1 << LEVELS) - 1)

struct link {
	rota_id self;
	rota_token token;
	int asked[2];
	struct tally told; /* that it is cancelled, or an error: a million */
};

static struct link chain_of[LINKS];
static struct tally n_linked;

static int act_link(void *arg)
{
	size_t i = (size_t)(uintptr_t)arg;
	struct link *link = &chain_of[i];

	rota_reply_later(&link->token);
	for (size_t k = 0; k < 2 && 2 * i + 1 + k < LINKS; k++) {
		size_t next = 2 * i + 1 + k;
		struct act act = {act_link, (void *)(uintptr_t)next};

		link->asked[k] =
			rota_ask_then(chain_of[next].self, ACT, &act,
				      sizeof(act), ROTA_FOREVER, NOTICE, link);
	}
	tally_add(&n_linked, 1);
	return ROTA_LATER;
}

static int link_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct rota_notice head;
	struct link *link;

	if (tag != NOTICE)
		return puppet_handle(state, tag, payload, length);
	memcpy(&head, payload, sizeof(head));
	link = head.context;
	tally_add(&link->told, head.outcome == -ECANCELED ? 1 : 1000000);
	return 0;
}

/* @other: every second one is in that engine. */
static void cascades(rota_engine *other)
{
	static const struct rota_behaviour behaviour = {
		.size = sizeof(struct rota_behaviour),
		.name = "link",
		.state_size = sizeof(struct puppet),
		.handle = link_handle,
	};
	rota_engine *engines[2] = {engine, other ? other : engine};
	struct act act = {act_link, NULL};

	for (size_t i = 0; i < LINKS; i++) {
		engine = engines[i % 2];
		chain_of[i].self = spawn(&behaviour, &(struct puppet){NULL}, 0);
	}
	engine = engines[0];
	cr_assert_eq(rota_ask_start(chain_of[0].self, ACT, &act, sizeof(act),
				    NULL, 0, ROTA_FOREVER, &asking[0]),
		     0);
	AWAIT(tally_of(&n_linked) == LINKS);
	cr_assert_eq(rota_ask_cancel(&asking[0]), 0);
	cr_assert_eq(rota_quiesce(engines[1], PATIENCE), 0);
	quiesce();
	for (size_t i = 0; i < LINKS; i++) {
		size_t n = 2 * i + 1 < LINKS ? 2 : 0;

		cr_assert_eq(tally_of(&chain_of[i].told), n, "%zu", i);
		cr_assert_not(rota_reply_is_wanted(chain_of[i].token));
	}
}

Test(asking, a_cancel_cascades_through_messages, .timeout = HANG)
{
	stage(3, 0);
	cascades(NULL);
	engine_stop();
}

Test(asking, a_cancel_cascades_through_engines, .timeout = HANG)
{
	struct rota_config config = test_config(2);
	rota_engine *other = engine_make(&config);

	stage(2, 0);
	cascades(other);
	engine_stop();
	cr_assert_eq(rota_stop(other, PATIENCE), 0);
}

/* ---- from a task ---- */

static int task_scene(void *arg)
{
	return act_scene(*(struct scene **)arg);
}

Test(asking, a_task_gathers_all, .timeout = HANG)
{
	struct scene *s = &scene;

	stage(2, MANY);
	scene.play = play_all;
	cr_assert_eq(rota_task_submit(engine, task_scene, &s, sizeof(s), NULL),
		     0);
	expect_end();
	engine_stop();
}
