/* SPDX-License-Identifier: MIT */
/*
 * stats - the counters add up
 *
 * When an engine is quiescent each message that was accepted has been handled
 * or is a dead letter, and each actor spawned lives or has ended.
 */
#include <rota/task.h>

#include "tests/unit/support.h"

static struct record record;

Test(stats, start_at_zero, .timeout = HANG)
{
	struct rota_stats sums;

	engine_start(2);
	sums = counters();
	cr_assert_eq(sums.spawned, 0);
	cr_assert_eq(sums.ended, 0);
	cr_assert_eq(sums.messages, 0);
	cr_assert_eq(sums.waits, 0);
	cr_assert_eq(sums.overdrafts, 0);
	for (int i = 0; i < ROTA_DEAD_CAUSES; i++)
		cr_assert_eq(sums.dead_letters[i], 0);
	engine_stop();
}

Test(stats, count_messages_and_actors_exactly, .timeout = HANG)
{
	struct rota_stats sums;
	uint64_t accepted = 0;

	engine_start(2);
	for (size_t i = 0; i < 300; i++) {
		rota_id id = puppet_spawn(NULL, 0);

		for (size_t j = 0; j < i % 7; j++, accepted++)
			cr_assert_eq(send_value(id, 1, j), 0);
		if (i % 3 == 0) {
			ACTS(id, act_self_stop, NULL);
			accepted++;
		}
	}
	quiesce();
	sums = counters();
	cr_assert_eq(sums.spawned, 300);
	cr_assert_eq(sums.ended, 100);
	cr_assert_eq(sums.messages, accepted);
	cr_assert_eq(sums.dead_letters[0], 0);
	cr_assert_gt(sums.turns, 0);
	cr_assert_leq(sums.turns, accepted + 300);
	engine_stop();
}

Test(stats, count_dead_letters_by_cause, .timeout = HANG)
{
	struct rota_stats sums;
	struct hold hold = {0};
	uint64_t by_cause = 0;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 64);
	hold_start(&hold, id);
	for (uint64_t i = 0; i < 9; i++)
		cr_assert_eq(send_value(id, 1, i), 0);
	cr_assert_eq(rota_send_after(id, 1, NULL, 0, ROTA_MS(20), NULL), 0);
	cr_assert_eq(rota_actor_stop(id), 0);
	quiesce();
	sums = counters();
	cr_assert_eq(sums.messages, 1); /* the hold */
	cr_assert_eq(sums.dead_letters[0], 10);
	for (int i = 1; i < ROTA_DEAD_CAUSES; i++)
		by_cause += sums.dead_letters[i];
	cr_assert_eq(by_cause, 10);
	for (int i = 0; i < ROTA_DEAD_CAUSES; i++)
		cr_assert_eq(tally_of(&morgue.n[i]), sums.dead_letters[i]);
	engine_stop();
}

Test(stats, refused_sends_count_nowhere, .timeout = HANG)
{
	struct hold hold = {0};
	struct rota_stats sums;
	uint64_t value = 0;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 1);
	hold_start(&hold, id);
	for (int i = 0; i < 10; i++) {
		cr_assert_eq(try_value(id, 1, 1), -EAGAIN);
		cr_assert_eq(rota_send_within(id, 1, &value, 8, ROTA_US(10)),
			     -ETIMEDOUT);
	}
	cr_assert_eq(try_value(ROTA_NONE, 1, 1), -ESRCH);
	hold_end(&hold);
	quiesce();
	sums = counters();
	cr_assert_eq(sums.messages, 1);
	cr_assert_eq(sums.dead_letters[0], 0);
	engine_stop();
}

Test(stats, count_each_wait_of_a_turn, .timeout = HANG)
{
	struct hold hold[10];

	engine_start(1);
	for (int i = 0; i < 10; i++) {
		hold[i] = (struct hold){0};
		hold_start(&hold[i], puppet_spawn(NULL, 0));
	}
	for (int i = 0; i < 10; i++)
		hold_end(&hold[i]);
	quiesce();
	cr_assert_eq(counters().waits, 10);
	engine_stop();
}

Test(stats, tell_how_much_memory_is_held, .timeout = HANG)
{
	uint64_t before;

	engine_start(1);
	(void)puppet_spawn(NULL, 0);
	before = counters().memory;
	cr_assert_gt(before, 0);
	for (int i = 0; i < 100000; i++)
		(void)puppet_spawn(NULL, 0);
	cr_assert_geq(counters().memory, before + 100000 * 64);
	engine_stop();
}

static void *thread_read(void *arg)
{
	struct flag *stop = arg;
	struct rota_stats last = counters();

	while (!flag_is_up(stop)) {
		struct rota_stats now = counters();

		if (now.messages < last.messages ||
		    now.spawned < last.spawned || now.ended < last.ended)
			return arg;
		last = now;
	}
	return NULL;
}

/* Anybody may look at any time; what is counted never goes down. */
Test(stats, may_be_read_while_they_change, .timeout = HANG)
{
	struct flag stop = {0};
	pthread_t reader;
	void *fell = NULL;

	engine_start(2);
	reader = thread_start(thread_read, &stop);
	for (size_t i = 0; i < SIZED(20000, 3000); i++)
		ACTS(puppet_spawn(NULL, 0), act_self_stop, NULL);
	quiesce();
	flag_raise(&stop);
	cr_assert_eq(pthread_join(reader, &fell), 0);
	cr_assert_null(fell);
	cr_assert_eq(counters().messages, SIZED(20000, 3000));
	engine_stop();
}

/* ---- by worker ---- */

static struct rota_stats stats_of(int of)
{
	struct rota_stats stats = ROTA_STATS_INIT;

	cr_assert_eq(rota_stats(engine, of, &stats), 0);
	return stats;
}

static void add(struct rota_stats *sum, struct rota_stats one)
{
	sum->spawned += one.spawned;
	sum->ended += one.ended;
	sum->messages += one.messages;
	sum->turns += one.turns;
	sum->waits += one.waits;
	sum->overdrafts += one.overdrafts;
	sum->steals += one.steals;
	sum->wakeups += one.wakeups;
	for (int i = 0; i < ROTA_DEAD_CAUSES; i++)
		sum->dead_letters[i] += one.dead_letters[i];
}

/*
 * All, worker by worker; false if something was counted meanwhile: workers that
 * found nothing to do step a little until they sleep, and the monitor may wake
 * one once more.
 */
static bool add_workers(struct rota_stats *sum, struct rota_stats *all)
{
	struct rota_stats again;

	*sum = (struct rota_stats)ROTA_STATS_INIT;
	*all = stats_of(ROTA_STATS_ALL);
	nap();
	for (int i = 0; i < 3; i++)
		add(sum, stats_of(i));
	again = stats_of(ROTA_STATS_ALL);
	return again.turns == all->turns && again.wakeups == all->wakeups &&
	       again.steals == all->steals;
}

Test(stats, of_workers_and_outside_are_the_sum, .timeout = HANG)
{
	struct rota_stats sum, all;
	struct hold hold = {0};
	rota_id id;

	engine_start(3);
	id = puppet_spawn(NULL, 0);
	hold_start(&hold, puppet_spawn(NULL, 0));
	for (uint64_t i = 0; i < 1000; i++)
		cr_assert_eq(send_value(id, 1, i), 0);
	hold_end(&hold);
	for (uint64_t i = 0; i < 100; i++)
		ACTS(puppet_spawn(NULL, 0), act_self_stop, NULL);
	quiesce();
	AWAIT(add_workers(&sum, &all));
	cr_assert_eq(sum.messages, 1000 + 100 + 1);
	cr_assert_eq(sum.spawned, 0);
	add(&sum, stats_of(ROTA_STATS_OUTSIDE));
	cr_assert_eq(sum.spawned, 103);
	cr_assert_eq(sum.ended, all.ended);
	cr_assert_eq(sum.messages, all.messages);
	cr_assert_eq(sum.turns, all.turns);
	cr_assert_eq(sum.waits, all.waits);
	cr_assert_eq(sum.steals, all.steals);
	cr_assert_eq(sum.wakeups, all.wakeups);
	cr_assert_gt(all.wakeups, 0);
	engine_stop();
}

/* Those that threads have woken. */
Test(stats, count_wakeups_from_outside, .timeout = HANG)
{
	rota_id id;

	engine_start(1);
	id = puppet_spawn(NULL, 0);
	/* Sooner or later it sleeps when we send. */
	AWAIT(send_value(id, 1, 1) != 0 ||
	      stats_of(ROTA_STATS_OUTSIDE).wakeups > 0);
	quiesce();
	cr_assert_gt(stats_of(ROTA_STATS_OUTSIDE).wakeups, 0);
	cr_assert_geq(stats_of(ROTA_STATS_ALL).wakeups,
		      stats_of(ROTA_STATS_OUTSIDE).wakeups);
	engine_stop();
}

#define N_TASKS 100

static struct tally n_run;

static int run_task(void *arg)
{
	(void)arg;
	tally_add(&n_run, 1);
	return 0;
}

/* What is pushed here is handled elsewhere. */
static int act_submit_and_block(void *arg)
{
	(void)arg;
	for (int i = 0; i < N_TASKS; i++)
		cr_assert_eq(rota_task_submit(engine, run_task, NULL, 0, NULL),
			     0);
	AWAIT(tally_of(&n_run) == N_TASKS);
	return 0;
}

Test(stats, count_what_is_stolen, .timeout = HANG)
{
	uint64_t stolen;

	engine_start(2);
	ACTS(puppet_spawn(NULL, 0), act_submit_and_block, NULL);
	quiesce();
	stolen = stats_of(0).steals + stats_of(1).steals;
	cr_assert_gt(stolen, 0);
	cr_assert_eq(stats_of(ROTA_STATS_ALL).tasks, N_TASKS);
	cr_assert_geq(stats_of(ROTA_STATS_ALL).steals, stolen);
	engine_stop();
}

Test(stats, refuse_what_there_is_not, .timeout = HANG)
{
	struct rota_stats stats = ROTA_STATS_INIT;
	rota_engine *stopped;

	engine_start(2);
	cr_assert_eq(rota_stats(engine, 2, &stats), -EINVAL);
	cr_assert_eq(rota_stats(engine, -3, &stats), -EINVAL);
	cr_assert_eq(rota_stats(engine, 0, NULL), -EINVAL);
	cr_assert_eq(rota_stats(NULL, 0, &stats), -EINVAL);
	stopped = engine;
	engine_stop();
	stats.turns = 7;
	cr_assert_eq(rota_stats(stopped, 0, &stats), -ESRCH);
	cr_assert_eq(stats.turns, 0);
}

static int act_stats(void *arg)
{
	return rota_stats(engine, ROTA_STATS_ALL, arg);
}

Test(stats, may_be_read_in_a_handler, .timeout = HANG)
{
	struct rota_stats stats = ROTA_STATS_INIT;

	engine_start(1);
	ACTS(puppet_spawn(NULL, 0), act_stats, &stats);
	quiesce();
	cr_assert_eq(stats.spawned, 1);
	engine_stop();
}

/* ---- memory ---- */

static struct rota_stats expect_kinds_add_up(void)
{
	struct rota_stats all = stats_of(ROTA_STATS_ALL);
	uint64_t sum = 0;

	for (int i = 0; i < ROTA_MEMORY_KINDS; i++)
		sum += all.memory_of[i];
	cr_assert_eq(sum, all.memory);
	return all;
}

Test(stats, tell_what_memory_is_for, .timeout = HANG)
{
	struct rota_stats before, now;
	struct hold hold[40] = {0};
	rota_id id;

	engine_start(1);
	before = expect_kinds_add_up();
	cr_assert_eq(before.memory_of[ROTA_MEMORY_ACTORS], 0);
	for (int i = 0; i < 20000; i++)
		id = puppet_spawn(NULL, 30000);
	now = expect_kinds_add_up();
	cr_assert_geq(now.memory_of[ROTA_MEMORY_ACTORS], 20000 * 128);
	for (int i = 0; i < 40; i++)
		hold_start(&hold[i], i ? puppet_spawn(NULL, 0) : id);
	now = expect_kinds_add_up();
	cr_assert_geq(now.memory_of[ROTA_MEMORY_STACKS], 41 * 256 * 1024);
	for (int i = 0; i < 40000; i++)
		cr_assert_eq(i < 20000 ? send_value(id, 1, 0)
				       : rota_send_after(id, 1, NULL, 0,
							 ROTA_S(3600), NULL),
			     0);
	now = expect_kinds_add_up();
	cr_assert_geq(now.memory_of[ROTA_MEMORY_MESSAGES], 20000 * 64);
	cr_assert_geq(now.memory_of[ROTA_MEMORY_TIMERS], 20000 * 128);
	cr_assert_gt(now.memory_of[ROTA_MEMORY_RECORDS], 0);
	cr_assert_eq(now.memory_limit, 0);
	engine_stop();
}
