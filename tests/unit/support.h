/* SPDX-License-Identifier: MIT */
/*
 * support - what the tests of the engine share
 *
 * The tests see the engine through its public headers only. Most of them are
 * written with a puppet: an actor whose ACT message carries a function that it
 * runs as its handler, and which notes every other message in a record.
 *
 * Assertions belong into the test's own thread: handlers and helper threads
 * note what they saw, and the test judges it.
 *
 * Counters here are relaxed on purpose: a test that ordered the engine's memory
 * accesses by its own would hide from ThreadSanitizer what the engine forgot.
 * Plain memory that handlers wrote is read after rota_quiesce(), rota_join() or
 * rota_stop(), whose promise it is that this is in order, or behind a flag.
 */
#ifndef ROTA_TESTS_UNIT_SUPPORT_H
#define ROTA_TESTS_UNIT_SUPPORT_H

#include <errno.h>
#include <inttypes.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic_ops.h>

#include <rota/actor.h>
#include <rota/base.h>
#include <rota/engine.h>
#include <rota/stats.h>
#include <rota/timer.h>

#include "tests/check.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif

#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#else
#define UNDER_TSAN 0
#endif

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#else
#define UNDER_ASAN 0
#endif

/* Does a forked child see that it is one? */
#ifdef __aarch64__
#define WIPES_ON_FORK 0 /* these tests run under qemu-user there */
#else
#define WIPES_ON_FORK 1
#endif

/* Sanitizers, and machines that an emulator plays, get smaller numbers. */
#if UNDER_TSAN || UNDER_ASAN || !defined(__x86_64__)
#define IS_SLOW 1
#else
#define IS_SLOW 0
#endif

#define SIZED(quick, slow) (IS_SLOW ? (slow) : (quick))
/* Of waits: each takes gcc's ThreadSanitizer a millisecond. */
#define N_WAITS(quick, slow) (UNDER_TSAN ? (slow) / 5 : SIZED(quick, slow))

/* Against hangs only: no test measures a duration. Seconds. */
#define HANG 120
#define STRESS 600
#define PATIENCE ROTA_S(100)

/* ---- threads ---- */

static inline void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

/* A condition that is awaited never holds, if it has not by then: half of what
   the whole test may take, as the runner scales that. */
static inline time_t await_limit(time_t now)
{
	return now + (time_t)(HANG / 2 * check_patience());
}

/* Wait in the test's own thread until a condition holds. */
#define AWAIT(condition)                                               \
	do {                                                           \
		time_t await_end_ = await_limit(time(NULL));           \
		while (!(condition)) {                                 \
			if (time(NULL) > await_end_)                   \
				cr_assert(0, "never: %s", #condition); \
			nap();                                         \
		}                                                      \
	} while (0)

struct tally {
	AO_t n; /* any thread adds; relaxed: see above */
};

static inline void tally_add(struct tally *tally, size_t n)
{
	AO_fetch_and_add(&tally->n, n);
}

static inline size_t tally_of(struct tally *tally)
{
	return AO_load(&tally->n);
}

/* Raised once; what was written before is seen by who found it raised. */
struct flag {
	AO_t is_up;
};

static inline void flag_raise(struct flag *flag)
{
	AO_store_release(&flag->is_up, 1); /* [T1] pairs with flag_is_up() */
}

static inline bool flag_is_up(struct flag *flag)
{
	return AO_load_acquire(&flag->is_up); /* [T1] pairs with flag_raise() */
}

/* For helper threads and for handlers that are to block their worker. */
static inline void flag_block(struct flag *flag)
{
	while (!flag_is_up(flag))
		nap();
}

static inline pthread_t thread_start(void *(*run)(void *), void *arg)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, run, arg);

	cr_assert_eq(error, 0, "pthread_create: %d", error);
	return thread;
}

static inline void thread_join(pthread_t thread)
{
	cr_assert_eq(pthread_join(thread, NULL), 0);
}

/* .init of what gives handlers up. */
static inline void check_kernel(void)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
		    0, 0) != 0)
		cr_skip_test("this kernel has no membarrier");
}

static inline long thread_number(void)
{
	return syscall(SYS_gettid);
}

/* Whether the kernel has a thread of this process asleep. */
static inline bool thread_sleeps(long number)
{
	char path[64];
	char line[256] = "";
	const char *state;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%ld/stat", number);
	file = fopen(path, "r");
	if (!file)
		return false;
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	fclose(file);
	state = strrchr(line, ')');
	return state && state[1] == ' ' && state[2] == 'S';
}

/* Wait until a thread that was about to call something is asleep in it. */
static inline void await_sleep(struct tally *number)
{
	unsigned seen = 0;

	AWAIT(tally_of(number) != 0);
	AWAIT((seen = thread_sleeps((long)tally_of(number)) ? seen + 1 : 0) >=
	      10);
}

/* Xorshift; never 0, and neither may be what it starts with. */
static inline uint64_t next_random(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random;
}

/* ---- the engine under test ---- */

#define MAX_LETTERS 4096

struct letter {
	rota_id to;
	rota_id from;
	enum rota_dead_cause cause;
	unsigned tag;
	size_t length;
	uint64_t value; /* the first bytes of the payload */
};

/* What the dead letter callback saw. */
struct morgue {
	struct tally n[ROTA_DEAD_CAUSES]; /* by cause; [0]: all */
	pthread_mutex_t lock;
	struct letter letter[MAX_LETTERS];
};

static struct morgue morgue = {.lock = PTHREAD_MUTEX_INITIALIZER};
static rota_engine *engine;

static inline uint64_t value_at(const void *payload, size_t length)
{
	uint64_t value = 0;

	if (payload)
		memcpy(&value, payload,
		       length < sizeof(value) ? length : sizeof(value));
	return value;
}

static inline void bury(void *context, const struct rota_dead_letter *dead)
{
	struct morgue *where = context;
	size_t i;

	pthread_mutex_lock(&where->lock);
	i = tally_of(&where->n[0]);
	if (i < MAX_LETTERS)
		where->letter[i] = (struct letter){
			.to = dead->to,
			.from = dead->from,
			.cause = dead->cause,
			.tag = dead->tag,
			.length = dead->length,
			.value = value_at(dead->payload, dead->length),
		};
	if (dead->cause > 0 && dead->cause < ROTA_DEAD_CAUSES)
		tally_add(&where->n[dead->cause], 1);
	tally_add(&where->n[0], 1);
	pthread_mutex_unlock(&where->lock);
}

static inline size_t n_dead(void)
{
	return tally_of(&morgue.n[0]);
}

static inline struct rota_config test_config(unsigned workers)
{
	struct rota_config config = ROTA_CONFIG_INIT;

	config.workers = workers;
	/* A stall is to keep its worker from all others. */
	config.spares = ROTA_NO_SPARES;
	config.dead_letter = bury;
	config.context = &morgue;
	return config;
}

static inline rota_engine *engine_make(const struct rota_config *config)
{
	rota_engine *made = rota_start(config);

	cr_assert_not_null(made, "rota_start: errno %d", errno);
	return made;
}

/* @flags: enum rota_config_flag. */
static inline void engine_start_with(unsigned workers, unsigned flags)
{
	struct rota_config config = test_config(workers);

	config.flags |= flags;
	engine = engine_make(&config);
}

static inline void engine_start(unsigned workers)
{
	engine_start_with(workers, 0);
}

static inline void engine_stop(void)
{
	int error = rota_stop(engine, PATIENCE);

	engine = NULL;
	cr_assert_eq(error, 0, "rota_stop: %s", rota_strerror(error));
}

static inline void quiesce(void)
{
	int error = rota_quiesce(engine, PATIENCE);

	cr_assert_eq(error, 0, "rota_quiesce: %s", rota_strerror(error));
}

static inline struct rota_stats counters(void)
{
	struct rota_stats sums = ROTA_STATS_INIT;

	rota_stats(engine, ROTA_STATS_ALL, &sums);
	return sums;
}

/* Nothing is lost and nothing made up: all that was accepted was handled or
   became a dead letter, and each of these was told. */
static inline void expect_conserved(uint64_t accepted)
{
	struct rota_stats sums;
	uint64_t dead = 0;

	quiesce();
	sums = counters();
	for (size_t i = 1; i < ROTA_DEAD_CAUSES; i++) {
		cr_assert_eq(sums.dead_letters[i], tally_of(&morgue.n[i]),
			     "cause %zu", i);
		dead += sums.dead_letters[i];
	}
	cr_assert_eq(sums.dead_letters[0], dead);
	cr_assert_eq(sums.dead_letters[0], n_dead());
	cr_assert_eq(sums.messages + dead, accepted,
		     "accepted %" PRIu64 ", handled %" PRIu64 ", dead %" PRIu64,
		     accepted, sums.messages, dead);
}

/* ---- puppets ---- */

#define ACT 1000u /* payload: struct act */

struct act {
	int (*run)(void *arg); /* its result is the handler's */
	void *arg;
};

#define MAX_NOTES 8192

struct note {
	rota_id self;
	rota_id sender;
	unsigned tag;
	size_t length;
	uint64_t value; /* the first bytes of the payload */
};

/* What puppets were sent. Shared by several only if these never run at once. */
struct record {
	struct tally n;		/* notes; the last of them overwrite */
	struct tally destroyed; /* puppets */
	struct note note[MAX_NOTES];
};

struct puppet {
	struct record *record; /* NULL: forgets */
};

static inline void record_note(struct record *record, unsigned tag,
			       const void *payload, size_t length)
{
	size_t n = tally_of(&record->n);

	record->note[n < MAX_NOTES ? n : MAX_NOTES - 1] = (struct note){
		.self = rota_self(),
		.sender = rota_sender(),
		.tag = tag,
		.length = length,
		.value = value_at(payload, length),
	};
	tally_add(&record->n, 1);
}

static inline int puppet_handle(void *state, unsigned tag, void *payload,
				size_t length)
{
	struct puppet *puppet = state;
	struct act act;

	if (tag == ACT) {
		memcpy(&act, payload, sizeof(act));
		return act.run(act.arg);
	}
	if (puppet->record)
		record_note(puppet->record, tag, payload, length);
	return 0;
}

static inline void puppet_destroy(void *state)
{
	struct puppet *puppet = state;

	if (puppet->record)
		tally_add(&puppet->record->destroyed, 1);
}

static const struct rota_behaviour puppet_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "puppet",
	.state_size = sizeof(struct puppet),
	.handle = puppet_handle,
	.destroy = puppet_destroy,
};

static inline rota_id spawn(const struct rota_behaviour *behaviour,
			    const void *state, unsigned mailbox)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	rota_id id;

	options.mailbox = mailbox;
	options.flags = ROTA_TAKES_URGENT;
	id = rota_spawn(engine, behaviour, state, &options);
	cr_assert_eq(rota_id_error(id), 0, "rota_spawn: %s",
		     rota_strerror(rota_id_error(id)));
	return id;
}

static inline rota_id puppet_spawn(struct record *record, unsigned mailbox)
{
	return spawn(&puppet_behaviour, &(struct puppet){record}, mailbox);
}

static inline int send_value(rota_id to, unsigned tag, uint64_t value)
{
	return rota_send(to, tag, &value, sizeof(value));
}

static inline int try_value(rota_id to, unsigned tag, uint64_t value)
{
	return rota_try_send(to, tag, &value, sizeof(value));
}

/* Have a puppet run a function as its handler. */
static inline int puppet_act(rota_id to, int (*run)(void *), void *arg)
{
	struct act act = {run, arg};

	return rota_send(to, ACT, &act, sizeof(act));
}

#define ACTS(to, run, arg) cr_assert_eq(puppet_act((to), (run), (arg)), 0)

static inline int act_self_stop(void *arg)
{
	(void)arg;
	return rota_self_stop(0);
}

/* Fill a mailbox whose actor stands still; how many messages it took. */
static inline size_t fill(rota_id to, unsigned tag)
{
	size_t n = 0;
	int error;

	while ((error = try_value(to, tag, n)) == 0)
		n++;
	cr_assert_eq(error, -EAGAIN, "rota_try_send: %s", rota_strerror(error));
	return n;
}

/* ---- holds: a turn that waits until the test lets it go on ---- */

/*
 * The turn waits by joining an actor of its own, the gate; stopping the gate
 * ends the wait. No worker is blocked by it.
 */
struct hold {
	rota_id gate;
	struct flag begun;
	struct flag ended;
	int result; /* rota_join()'s; behind @ended */
};

static inline int act_hold(void *arg)
{
	struct hold *hold = arg;

	flag_raise(&hold->begun);
	hold->result = rota_join(hold->gate, ROTA_FOREVER, NULL);
	flag_raise(&hold->ended);
	return 0;
}

static inline void hold_start(struct hold *hold, rota_id actor)
{
	uint64_t waits = counters().waits;

	hold->gate = puppet_spawn(NULL, 1);
	ACTS(actor, act_hold, hold);
	AWAIT(flag_is_up(&hold->begun) && counters().waits > waits);
}

static inline void hold_end(struct hold *hold)
{
	cr_assert_eq(rota_actor_stop(hold->gate), 0);
	AWAIT(flag_is_up(&hold->ended));
}

/* ---- stalls: a turn that blocks its worker's thread ---- */

struct stall {
	struct flag begun;
	struct flag go;
	struct flag ended;
};

static inline int act_stall(void *arg)
{
	struct stall *stall = arg;

	flag_raise(&stall->begun);
	flag_block(&stall->go);
	flag_raise(&stall->ended);
	return 0;
}

static inline void stall_start(struct stall *stall, rota_id actor)
{
	ACTS(actor, act_stall, stall);
	AWAIT(flag_is_up(&stall->begun));
}

/* ---- one send, by a thread or by a puppet ---- */

struct sending {
	rota_id to;
	unsigned tag;
	uint64_t value;
	int64_t within;
	bool is_urgent;
	struct tally thread; /* its number, right before it sends */
	struct flag begun;
	struct flag ended;
	int result; /* behind @ended */
	pthread_t pthread;
};

static inline int act_sending(void *arg)
{
	struct sending *s = arg;

	flag_raise(&s->begun);
	tally_add(&s->thread, (size_t)thread_number());
	if (s->is_urgent)
		s->result = rota_send_urgent(s->to, s->tag, &s->value,
					     sizeof(s->value));
	else
		s->result = rota_send_within(s->to, s->tag, &s->value,
					     sizeof(s->value), s->within);
	flag_raise(&s->ended);
	return 0;
}

static inline void *thread_sending(void *arg)
{
	act_sending(arg);
	return NULL;
}

static inline struct sending sending_to(rota_id to, unsigned tag,
					uint64_t value)
{
	return (struct sending){
		.to = to, .tag = tag, .value = value, .within = ROTA_FOREVER};
}

/* Start a thread that sends, and wait until it sleeps in the call. */
static inline void sending_in_thread(struct sending *s)
{
	s->pthread = thread_start(thread_sending, s);
	await_sleep(&s->thread);
	cr_assert(s->within < ROTA_FOREVER || !flag_is_up(&s->ended));
}

static inline int sending_thread_result(struct sending *s)
{
	thread_join(s->pthread);
	return s->result;
}

/* Have a puppet send, and wait until its turn waits. */
static inline void sending_in_puppet(struct sending *s, rota_id puppet)
{
	uint64_t waits = counters().waits;

	ACTS(puppet, act_sending, s);
	AWAIT(counters().waits > waits);
	cr_assert(s->within < ROTA_FOREVER || !flag_is_up(&s->ended));
}

static inline int sending_puppet_result(struct sending *s)
{
	AWAIT(flag_is_up(&s->ended));
	return s->result;
}

#endif
