/* SPDX-License-Identifier: MIT */
/*
 * limit - rota_config.memory: -ENOMEM to whoever asks, and nothing is lost
 *
 * What was accepted is handled, what was refused is still the caller's, and
 * when memory is free again the engine goes on.
 */
#include <sys/mman.h>
#include <sys/resource.h>

#include <rota/task.h>

#include "sched/worker.h"
#include "tests/unit/threads.h"

#define MIB ((size_t)1 << 20)

static void start_with_limit(unsigned workers, size_t limit)
{
	struct rota_config config = test_config(workers);

	config.memory = limit;
	engine = engine_make(&config);
}

/* Within the limit, but not by far. */
static void expect_full(size_t limit)
{
	struct rota_stats now = counters();

	cr_assert_eq(now.memory_limit, limit);
	cr_assert_leq(now.memory, limit);
	cr_assert_gt(now.memory + 4 * MIB, limit);
	cr_assert_gt(now.memory_refused, 0);
}

Test(limit, too_small_to_start_with_is_said_at_once, .timeout = HANG)
{
	for (size_t limit = 1; limit <= 8 * MIB; limit *= 2) {
		struct rota_config config = test_config(2);

		config.memory = limit;
		errno = 0;
		engine = rota_start(&config);
		if (engine) {
			cr_assert_gt(limit, 4 * MIB);
			engine_stop();
		} else {
			cr_assert_eq(errno, ENOMEM);
			cr_assert_leq(limit, 6 * MIB);
		}
	}
}

Test(limit, is_unlimited_by_default, .timeout = HANG)
{
	engine_start(1);
	cr_assert_eq(counters().memory_limit, 0);
	cr_assert_eq(counters().memory_refused, 0);
	engine_stop();
}

/* Spawn until that fails; the actors. */
static size_t spawn_all(rota_id *ids, size_t most)
{
	size_t n = 0;
	rota_id id;

	while (n < most) {
		id = rota_spawn(engine, &puppet_behaviour,
				&(struct puppet){NULL}, NULL);
		if (rota_id_error(id) == -ENOMEM)
			return n;
		cr_assert_eq(rota_id_error(id), 0);
		ids[n++] = id;
	}
	cr_assert_fail("no limit");
	return 0;
}

Test(limit, of_actors, .timeout = HANG)
{
	const size_t limit = 32 * MIB, most = limit / 128;
	rota_id *ids = calloc(most, sizeof(*ids));
	size_t n, again;

	start_with_limit(2, limit);
	n = spawn_all(ids, most);
	expect_full(limit);
	cr_assert_gt(n, 10 * MIB / 128);
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(rota_actor_stop(ids[i]), 0); /* takes none */
	quiesce();
	cr_assert_eq(counters().ended, n);
	/* Their memory serves others; a few blocks lie with the workers. */
	again = spawn_all(ids, most);
	cr_assert_geq(again + 1000, n);
	expect_full(limit);
	engine_stop();
	free(ids);
}

static size_t n_dropped;

static void drop(void *buffer, size_t length)
{
	(void)length;
	n_dropped++;
	free(buffer);
}

/* Send until that fails for want of memory; how many were accepted. */
static uint64_t send_all(rota_id to, unsigned tag, size_t length)
{
	static unsigned char bytes[ROTA_MAX_PAYLOAD];
	uint64_t n = 0;
	int error;

	while ((error = rota_try_send(to, tag, bytes, length)) == 0)
		n++;
	cr_assert(error == -ENOMEM || error == -EAGAIN, "%d", error);
	return n;
}

#define HOLDS 5

Test(limit, of_messages, .timeout = HANG)
{
	const size_t limit = 32 * MIB;
	struct hold hold[HOLDS] = {0};
	void *buffer = malloc(10);
	rota_id ids[HOLDS];
	uint64_t accepted = HOLDS;

	start_with_limit(2, limit);
	for (int i = 0; i < HOLDS; i++)
		hold_start(&hold[i], ids[i] = puppet_spawn(NULL, 32767));
	accepted += send_all(ids[0], 1, ROTA_MAX_PAYLOAD);
	cr_assert_gt(accepted, 10 * MIB / ROTA_MAX_PAYLOAD);
	for (int i = 0; i < HOLDS; i++)
		accepted += send_all(ids[i], 2, 8);
	cr_assert_eq(try_value(ids[HOLDS - 1], 2, 1), -ENOMEM);
	expect_full(limit);
	cr_assert_eq(rota_send_own(ids[0], 3, buffer, 10, drop, ROTA_NOW),
		     -ENOMEM);
	for (int i = 0; i < HOLDS; i++)
		hold_end(&hold[i]);
	expect_conserved(accepted);
	cr_assert_eq(n_dropped, 0);
	cr_assert_eq(rota_send_own(ids[0], 3, buffer, 10, drop, ROTA_NOW), 0);
	expect_conserved(accepted + 1);
	cr_assert_eq(n_dropped, 1);
	engine_stop();
}

Test(limit, of_timers, .timeout = HANG)
{
	const size_t limit = 16 * MIB;
	int64_t delay = ROTA_MS(300);
	rota_deadline due;
	uint64_t n = 0;
	rota_id id;
	int error;

	start_with_limit(1, limit);
	id = puppet_spawn(NULL, 0);
	/* More at a time, where the machine is too slow to fill it by then. */
	for (;; delay *= 2) {
		due = rota_deadline_in(delay);
		while ((error = rota_send_after(id, 1, NULL, 0, delay, NULL)) ==
			       0 &&
		       rota_deadline_left(due) > 0)
			n++;
		if (error)
			break;
		n++;
		quiesce();
	}
	cr_assert_eq(error, -ENOMEM);
	expect_full(limit);
	quiesce();
	expect_conserved(n);
	cr_assert_eq(rota_send_after(id, 1, NULL, 0, 0, NULL), 0);
	engine_stop();
}

/* ---- stacks ---- */

struct crowd {
	rota_id gate;
	struct tally waited;
	struct tally refused;
	struct tally odd;
};

static int act_wait(void *arg)
{
	struct crowd *crowd = arg;
	int error = rota_join(crowd->gate, ROTA_FOREVER, NULL);

	tally_add(error == 0	     ? &crowd->waited
		  : error == -ENOMEM ? &crowd->refused
				     : &crowd->odd,
		  1);
	return 0;
}

static void crowd_waits(struct crowd *crowd, const rota_id *ids, uint64_t n)
{
	uint64_t waits = counters().waits;

	*crowd = (struct crowd){.gate = puppet_spawn(NULL, 1)};
	for (uint64_t i = 0; i < n; i++)
		ACTS(ids[i], act_wait, crowd);
	AWAIT(counters().waits - waits + tally_of(&crowd->refused) == n);
}

static void crowd_goes_on(struct crowd *crowd, uint64_t n)
{
	cr_assert_eq(rota_actor_stop(crowd->gate), 0);
	quiesce();
	cr_assert_eq(tally_of(&crowd->odd), 0);
	cr_assert_eq(tally_of(&crowd->waited) + tally_of(&crowd->refused), n);
}

#define CROWD 300

Test(limit, of_stacks, .timeout = HANG)
{
	const size_t limit = 48 * MIB;
	struct crowd crowd;
	rota_id ids[CROWD];

	start_with_limit(2, limit);
	for (int i = 0; i < CROWD; i++)
		ids[i] = puppet_spawn(NULL, 0);
	for (int round = 0; round < 3; round++) {
		crowd_waits(&crowd, ids, CROWD);
		cr_assert_gt(tally_of(&crowd.refused), 0);
		expect_full(limit);
		crowd_goes_on(&crowd, CROWD);
		cr_assert_gt(tally_of(&crowd.waited), 20 * MIB / (264 * 1024));
		/* A few can wait at any time. */
		crowd_waits(&crowd, ids, 50);
		cr_assert_eq(tally_of(&crowd.refused), 0);
		crowd_goes_on(&crowd, 50);
	}
	expect_conserved(3 * (CROWD + 50));
	engine_stop();
}

/* So many that their pages are given back in between; these count no more,
   and are asked for again. */
Test(limit, of_stacks_that_were_cold, .timeout = HANG)
{
	const size_t n = SIZED(2000, 900);
	const size_t limit = n * 320 * 1024;
	rota_id *ids = calloc(n, sizeof(*ids));
	struct rota_stats busy, idle;
	struct crowd crowd;

	start_with_limit(1, limit);
	for (size_t i = 0; i < n; i++)
		ids[i] = puppet_spawn(NULL, 0);
	for (int round = 0; round < 3; round++) {
		crowd_waits(&crowd, ids, n);
		cr_assert_eq(tally_of(&crowd.refused), 0);
		busy = counters();
		crowd_goes_on(&crowd, n);
		idle = counters();
		cr_assert_geq(busy.memory_of[ROTA_MEMORY_STACKS],
			      n * 256 * 1024);
		cr_assert_leq(idle.memory_of[ROTA_MEMORY_STACKS],
			      600 * 272 * 1024);
	}
	engine_stop();
	free(ids);
}

/* ---- groups of tasks ---- */

struct grouping {
	int64_t within; /* for a wait before the last, that is too short */
	struct tally n_short;
	struct tally n_late; /* that one has timed out */
	struct tally n_odd;
	struct tally n_ended;
};

static int do_nothing(void *argument)
{
	(void)argument;
	return 0;
}

static int wait_for_ten(struct rota_task_group *group)
{
	int error = rota_task_group_init(group, NULL);

	for (int i = 0; i < 10 && !error; i++)
		error = rota_task_group_submit(group, do_nothing, NULL, 0);
	if (!error)
		error = rota_task_group_wait(group, ROTA_FOREVER, NULL);
	return error;
}

/* Its wait is told that there is no memory, and then cannot be refused. */
static int act_group(void *arg)
{
	struct grouping *g = arg;
	struct rota_task_group group;
	int error = wait_for_ten(&group);

	if (error == -ENOMEM) {
		tally_add(&g->n_short, 1);
		rota_task_group_cancel(&group);
		if (g->within &&
		    rota_task_group_wait(&group, g->within, NULL) == -ETIMEDOUT)
			tally_add(&g->n_late, 1);
		error = rota_task_group_wait(&group, ROTA_FOREVER, NULL);
		error = error == -ECANCELED ? 0 : error;
	}
	tally_add(&g->n_odd, error != 0);
	tally_add(&g->n_ended, 1);
	return 0;
}

/* One worker, and a group has been: the next needs memory for stacks only. */
static void start_with_groups(rota_id ids[100], size_t limit)
{
	struct rota_config config = test_config(1);
	struct grouping g = {.n_short = {0}};

	config.memory = limit;
	config.spares = ROTA_NO_SPARES;
	engine = engine_make(&config);
	for (int i = 0; i < 100; i++)
		ids[i] = puppet_spawn(NULL, 0);
	ACTS(ids[0], act_group, &g);
	quiesce();
	cr_assert_eq(tally_of(&g.n_ended), 1);
}

/* Turns wait on all stacks there are. */
static void start_without_stacks(struct crowd *crowd, size_t limit)
{
	rota_id ids[100];

	start_with_groups(ids, limit);
	crowd_waits(crowd, ids, 100);
	cr_assert_gt(tally_of(&crowd->refused), 0);
}

/* Each takes a stack beyond the limit, which serves nobody else afterwards. */
Test(limit, a_cancelled_wait_gives_back_what_it_took_beyond, .timeout = HANG)
{
	const size_t limit = 14 * MIB, rounds = 20;
	struct grouping g = {.n_short = {0}};
	struct crowd crowd;
	rota_id one, other;
	size_t refused;

	start_without_stacks(&crowd, limit);
	one = puppet_spawn(NULL, 0);
	other = puppet_spawn(NULL, 0);
	refused = tally_of(&crowd.refused);
	for (size_t i = 1; i <= rounds; i++) {
		ACTS(one, act_group, &g);
		AWAIT(tally_of(&g.n_ended) == i);
		cr_assert_leq(counters().memory, limit);
		ACTS(other, act_wait, &crowd);
		AWAIT(tally_of(&crowd.refused) == refused + i);
	}
	cr_assert_eq(tally_of(&g.n_short), rounds);
	cr_assert_eq(tally_of(&g.n_odd), 0);
	crowd_goes_on(&crowd, 100 + rounds);
	cr_assert_leq(counters().memory, limit);
	engine_stop();
}

/* The process may map no more than it has mapped. False: that cannot be had. */
static bool forbid_to_map(struct rlimit *before)
{
	struct rlimit limit;
	void *more;

	cr_assert_eq(getrlimit(RLIMIT_AS, before), 0);
	limit = *before;
	limit.rlim_cur = (rlim_t)1 << 20;
	cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
	more = mmap(NULL, (size_t)1 << 20, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return more == MAP_FAILED;
}

/* It holds up its thread, and is not refused. */
Test(limit, a_cancelled_wait_lasts_until_the_kernel_has_a_stack,
     .timeout = HANG)
{
	struct grouping g = {.within = ROTA_MS(5)};
	struct rlimit before;
	struct crowd crowd;
	rota_id ids[100];

	if (UNDER_TSAN || UNDER_ASAN)
		cr_skip_test("sanitizers need address space themselves");
	start_with_groups(ids, 0);
	if (!forbid_to_map(&before))
		cr_skip_test("address space cannot be limited here");
	crowd_waits(&crowd, ids, 100);
	cr_assert_gt(tally_of(&crowd.refused), 0);
	ACTS(puppet_spawn(NULL, 0), act_group, &g);
	AWAIT(tally_of(&g.n_late) == 1);
	for (int i = 0; i < 10; i++)
		nap();
	cr_assert_eq(tally_of(&g.n_short), 1);
	cr_assert_eq(tally_of(&g.n_ended), 0);
	cr_assert_eq(setrlimit(RLIMIT_AS, &before), 0);
	AWAIT(tally_of(&g.n_ended) == 1);
	cr_assert_eq(tally_of(&g.n_odd), 0);
	crowd_goes_on(&crowd, 100);
	engine_stop();
}

struct late {
	int result;
	struct flag ended;
};

/* For so long that the worker's other tasks should have their turn. */
static int wait_late(void *argument)
{
	struct rota_task_group group;
	int error = rota_task_submit(NULL, do_nothing, NULL, 0, NULL);
	struct late *late;

	memcpy(&late, argument, sizeof(late));
	while (!worker_should_make_way(worker_current))
		nap();
	late->result = error ? error : wait_for_ten(&group);
	flag_raise(&late->ended);
	return 0;
}

/* They cannot have it; what the group needs it has on its own stack. */
Test(limit, a_wait_that_should_make_way_and_cannot_goes_on, .timeout = HANG)
{
	struct crowd crowd;
	struct late late = {.result = 1}, *pointer = &late;

	start_without_stacks(&crowd, 14 * MIB);
	cr_assert_eq(rota_task_submit(engine, wait_late, &pointer,
				      sizeof(pointer), NULL),
		     0);
	AWAIT(flag_is_up(&late.ended));
	cr_assert_eq(late.result, 0, "%s", rota_strerror(late.result));
	crowd_goes_on(&crowd, 100);
	engine_stop();
}

/* ---- stacks of threads ---- */

#define BURST 24

/* Dedicated actors, until one is refused or there are so many; they end. */
static unsigned dedicated_come_and_go(void)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	struct puppet puppet = {NULL};
	rota_id ids[BURST];
	unsigned n = 0;

	options.flags = ROTA_OWN_THREAD;
	while (n < BURST) {
		ids[n] = rota_spawn(engine, &puppet_behaviour, &puppet,
				    &options);
		if (rota_id_error(ids[n]))
			break;
		n++;
	}
	for (unsigned i = 0; i < n; i++)
		cr_assert_eq(rota_actor_stop(ids[i]), 0);
	for (unsigned i = 0; i < n; i++)
		cr_assert_eq(rota_join(ids[i], PATIENCE, NULL), 0);
	return n;
}

static unsigned workers_come_and_go(void)
{
	unsigned n = 2;

	while (n < BURST && rota_workers_set(engine, n + 1) == 0)
		n++;
	cr_assert_eq(rota_workers_set(engine, 2), 0);
	return n;
}

/* Their stacks are there for turns, and for other threads, afterwards. */
static void threads_come_and_go(unsigned (*come_and_go)(void))
{
	const size_t limit = 20 * MIB;
	unsigned before, n, again;
	struct crowd crowd;
	rota_id ids[16];

	before = n_threads_before();
	start_with_limit(2, limit);
	before += 3; /* its workers and the monitor */
	for (int i = 0; i < 16; i++)
		ids[i] = puppet_spawn(NULL, 0);
	n = come_and_go();
	AWAIT(n_threads() == before);
	again = come_and_go();
	cr_assert_geq(again + 4, n, "%u, then %u", n, again);
	AWAIT(n_threads() == before);
	crowd_waits(&crowd, ids, 16);
	cr_assert_eq(tally_of(&crowd.refused), 0);
	crowd_goes_on(&crowd, 16);
	cr_assert_leq(counters().memory, limit);
	engine_stop();
}

Test(limit, of_stacks_of_dedicated_threads, .timeout = HANG)
{
	threads_come_and_go(dedicated_come_and_go);
}

Test(limit, of_stacks_of_workers, .timeout = HANG)
{
	threads_come_and_go(workers_come_and_go);
}

/* ---- spare threads ---- */

static int act_block_in_region(void *arg)
{
	int error = rota_blocking_begin();

	act_stall(arg);
	rota_blocking_end();
	return error;
}

/*
 * All stacks are in use, and again and again a turn blocks the only worker. On a
 * busy machine spares may have come before, and those stay on which turns of the
 * crowd wait.
 */
static void block_at_the_limit(int (*block)(void *))
{
	enum { SPARES = 4 };
	const size_t limit = 14 * MIB, beyond = SPARES * 300 * 1024;
	struct rota_config config = test_config(1);
	static struct record record;
	rota_id ids[100], blocker, sibling;
	struct crowd crowd;
	unsigned before;

	config.memory = limit;
	config.spares = SPARES;
	engine = engine_make(&config);
	blocker = puppet_spawn(NULL, 0);
	sibling = puppet_spawn(&record, 0);
	for (int i = 0; i < 100; i++)
		ids[i] = puppet_spawn(NULL, 0);
	crowd_waits(&crowd, ids, 100);
	cr_assert_gt(tally_of(&crowd.refused), 0);
	before = n_threads();
	for (uint64_t round = 1; round <= 3; round++) {
		struct stall stall = {0};

		ACTS(blocker, block, &stall);
		AWAIT(flag_is_up(&stall.begun));
		cr_assert_eq(send_value(sibling, 1, round), 0);
		AWAIT(tally_of(&record.n) == round);
		cr_assert_leq(counters().memory, limit + beyond);
		flag_raise(&stall.go);
		AWAIT(flag_is_up(&stall.ended));
		AWAIT(n_threads() <= before);
	}
	crowd_goes_on(&crowd, 100);
	AWAIT(counters().memory <= limit);
	engine_stop();
}

Test(limit, spares_for_regions_come_all_the_same, .timeout = HANG)
{
	block_at_the_limit(act_block_in_region);
}

Test(limit, spares_for_silent_turns_come_all_the_same, .timeout = HANG)
{
	block_at_the_limit(act_stall);
}
