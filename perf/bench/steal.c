/* SPDX-License-Identifier: MIT */
/*
 * steal - one worker makes all the work; how soon and how evenly do all share
 *
 * One handler spawns n actors and sends each one message that computes for
 * 10 µs, 50 µs or 1 ms. speedup is the time of the same n turns in a plain
 * loop, measured before and after, over the time here; machine is what plain
 * threads reach (yardstick.h); evenness is the time spent computing on the
 * least busy worker over the mean; spread_us is the time from the first spawn
 * until every worker but the one that spawns has begun a turn (null if one
 * never did). The numbers lie if the plain loop ran on a slower processor (it
 * is measured on both sides), or if turns are left out (each notes that it
 * ran, and its result).
 */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "perf/bench/scenarios.h"
#include "perf/bench/yardstick.h"

enum { GO, WORK };

/* Written by the turn, read by the main thread after rota_quiesce(). */
struct turn {
	uint64_t begin_ns;
	uint64_t end_ns;
	uint64_t result;
	uintptr_t thread;
};

/* One run at a time: the workers' actors need no state. */
static struct turn *turns;
static uint64_t n_turns;
static uint64_t steps;
static uint64_t first_spawn_ns; /* by the spawner, as the next */
static uintptr_t spawner_thread;

static int worker_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	uint64_t index = *(const uint64_t *)payload;
	struct turn *turn = &turns[index];

	(void)state;
	(void)tag;
	(void)length;
	turn->begin_ns = measure_ns();
	turn->result = measure_work(steps, index + 1);
	turn->thread = (uintptr_t)pthread_self();
	turn->end_ns = measure_ns();
	return rota_self_stop(0);
}

static const struct rota_behaviour worker_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "worker",
	.handle = worker_handle,
};

static int spawner_handle(void *state, unsigned tag, void *payload,
			  size_t length)
{
	(void)state;
	(void)tag;
	(void)payload;
	(void)length;
	first_spawn_ns = measure_ns();
	spawner_thread = (uintptr_t)pthread_self();
	for (uint64_t i = 0; i < n_turns; i++) {
		rota_id id = bench_spawn(NULL, &worker_behaviour, NULL, NULL);

		bench_send(id, WORK, &i, sizeof(i));
	}
	return rota_self_stop(0);
}

static const struct rota_behaviour spawner_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "spawner",
	.handle = spawner_handle,
};

#define PLAIN_SHARE 10

/* The same turns in a plain loop; a tenth of them. */
static uint64_t plain(void *argument, unsigned thread)
{
	uint64_t sum = 0;

	(void)argument;
	(void)thread;
	for (uint64_t i = 0; i < n_turns / PLAIN_SHARE + 1; i++)
		sum += measure_work(steps, i + 1);
	return sum;
}

/* What one worker did. */
struct share {
	uintptr_t thread;
	uint64_t busy_ns;
	uint64_t first_ns;
};

static struct share *share_of(struct share *shares, unsigned *n_shares,
			      unsigned max, const struct turn *turn)
{
	for (unsigned i = 0; i < *n_shares; i++)
		if (shares[i].thread == turn->thread)
			return &shares[i];
	if (*n_shares == max)
		bench_fail("more threads than the %u workers", max);
	shares[*n_shares] = (struct share){.thread = turn->thread,
					   .first_ns = turn->begin_ns};
	return &shares[(*n_shares)++];
}

/* Until the last of the other workers had begun; NAN if not all did. */
static double spread_ns(const struct run *run, const struct share *shares,
			unsigned n_shares)
{
	uint64_t last = first_spawn_ns;
	unsigned n_others = 0;

	for (unsigned i = 0; i < n_shares; i++) {
		if (shares[i].thread == spawner_thread)
			continue;
		n_others++;
		if (shares[i].first_ns > last)
			last = shares[i].first_ns;
	}
	return n_others + 1 < run->workers ? NAN
					   : (double)(last - first_spawn_ns);
}

static void report_shares(struct run *run, const struct share *shares,
			  unsigned n_shares)
{
	uint64_t least = UINT64_MAX, sum = 0;
	double mean;

	for (unsigned i = 0; i < n_shares; i++) {
		sum += shares[i].busy_ns;
		if (shares[i].busy_ns < least)
			least = shares[i].busy_ns;
	}
	mean = (double)sum / run->workers;
	if (n_shares < run->workers)
		least = 0;
	run_metric(run, "evenness", (double)least / mean);
	run_metric(run, "spread_us", spread_ns(run, shares, n_shares) / 1e3);
	run_metric(run, "workers_used", n_shares);
}

static void report_turns(struct run *run)
{
	struct share *shares = bench_alloc(run->workers, sizeof(*shares));
	unsigned n_shares = 0;

	for (uint64_t i = 0; i < n_turns; i++) {
		struct share *share =
			share_of(shares, &n_shares, run->workers, &turns[i]);

		share->busy_ns += turns[i].end_ns - turns[i].begin_ns;
		if (turns[i].begin_ns < share->first_ns)
			share->first_ns = turns[i].begin_ns;
	}
	report_shares(run, shares, n_shares);
	free(shares);
}

static void check_turns(const struct run *run)
{
	uint64_t every = n_turns / 100 + 1;

	for (uint64_t i = 0; i < n_turns; i++) {
		if (turns[i].end_ns == 0)
			bench_fail("turn %llu did not run",
				   (unsigned long long)i);
		if (i % every == 0)
			run_check(run, "result of a turn", turns[i].result,
				  measure_work(steps, i + 1));
	}
}

static void steal(struct run *run)
{
	struct yardstick yardstick = {.work = plain};

	n_turns = run->n;
	steps = measure_steps(run->scenario->value);
	turns = bench_alloc(n_turns, sizeof(*turns));
	yardstick.share = (double)n_turns / (double)(n_turns / PLAIN_SHARE + 1);
	yardstick_measure(&yardstick, run->workers);
	run_clock_start(run);
	bench_tell(run_spawn(run, &spawner_behaviour, NULL), GO);
	run_quiesce(run);
	run_clock_stop(run);
	yardstick_measure(&yardstick, run->workers);
	run->ops = n_turns;
	check_turns(run);
	run_metric(run, "turn_us", (double)run->scenario->value / 1e3);
	yardstick_report(&yardstick, run);
	report_turns(run);
	free(turns);
}

static const struct budget budgets[] = {
	{.figure = "speedup", .limit = {0, 1.9}, .at_least = true},
	{.figure = "of_machine", .limit = {0, 0.95}, .at_least = true},
	{.figure = NULL},
};

/* The burst of long turns has a budget of its own: on all within 100 µs. */
static const struct budget budgets_long[] = {
	{.figure = "speedup", .limit = {0, 1.9}, .at_least = true},
	{.figure = "of_machine", .limit = {0, 0.95}, .at_least = true},
	{.figure = "spread_us", .limit = {0, 100}},
	{.figure = NULL},
};

const struct scenario scenario_steal_10us = {
	.name = "steal/10us",
	.what = "one handler makes n turns of 10 us of computing",
	.unit = "turn",
	.n = 50000,
	.quick_n = 20000,
	.value = 10000,
	.flags = SCENARIO_PARALLEL,
	.budgets = budgets,
	.run = steal,
};

const struct scenario scenario_steal_50us = {
	.name = "steal/50us",
	.what = "one handler makes n turns of 50 us of computing",
	.unit = "turn",
	.n = 10000,
	.quick_n = 4000,
	.value = 50000,
	.flags = SCENARIO_PARALLEL | SCENARIO_SCALES,
	.budgets = budgets,
	.run = steal,
};

const struct scenario scenario_steal_1ms = {
	.name = "steal/1ms",
	.what = "one handler makes n turns of 1 ms of computing",
	.unit = "turn",
	.n = 1000,
	.quick_n = 200,
	.value = 1000000,
	.flags = SCENARIO_PARALLEL,
	.budgets = budgets_long,
	.run = steal,
};
