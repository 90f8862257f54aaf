/* SPDX-License-Identifier: MIT */
/*
 * reads - many actors ask one, whose queries may be handled beside each other
 *
 * 32 (--actors) actors ask a table in turns, n queries in all, each of which
 * computes for 0.1, 2 or 20 µs. speedup is the time of the same n computations
 * in a plain loop, measured before and after, over the time here: so asking and
 * answering count against it, and of the short queries it is far below 1.
 * offered is the share of queries that others could take. The number lies if
 * the plain loop ran on a slower processor (it is measured on both sides), or
 * if an answer is not of its query (each is checked).
 */
#include <stdlib.h>

#include <rota/ask.h>

#include "perf/bench/scenarios.h"

#define CALIBRATE 2000

enum { GO, QUERY, END };

/* One run at a time: the table needs no state. */
static uint64_t steps;

static int table_handle(void *state, unsigned tag, void *payload, size_t length)
{
	const uint64_t *value = payload;
	uint64_t reply;

	(void)state;
	(void)length;
	if (tag == END)
		return rota_self_stop(0);
	reply = *value + 1;
	if (measure_work(steps, reply) == 0) /* never: it has to be done */
		reply = 0;
	return rota_answer(0, &reply, sizeof(reply));
}

static const struct rota_behaviour table_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "table",
	.handle = table_handle,
};

struct asker {
	rota_id table;
	uint64_t n;
	uint64_t *done;
};

static int asker_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct asker *asker = state;
	uint64_t i, reply;

	(void)tag;
	(void)payload;
	(void)length;
	for (i = 0; i < asker->n; i++) {
		int error = rota_ask(asker->table, QUERY | ROTA_QUERY, &i,
				     sizeof(i), &reply, sizeof(reply),
				     ROTA_FOREVER);

		if (__builtin_expect(error != 0 || reply != i + 1, 0))
			bench_fail_call("rota_ask", error);
	}
	*asker->done = i;
	return rota_self_stop(0);
}

static const struct rota_behaviour asker_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "asker",
	.state_size = sizeof(struct asker),
	.handle = asker_handle,
};

/* Nanoseconds of one query in a plain loop. */
static double plain_ns(uint64_t n)
{
	uint64_t start = measure_thread_ns(), i;

	for (i = 0; i < n; i++)
		measure_sink = measure_work(steps, i + 1);
	return (double)(measure_thread_ns() - start) / (double)n;
}

static void ask_all(struct run *run, rota_id table, const uint64_t *shares,
		    uint64_t *done)
{
	rota_id *ids = bench_alloc(run->actors, sizeof(*ids));

	for (uint64_t i = 0; i < run->actors; i++) {
		struct asker asker = {table, shares[i], &done[i]};

		ids[i] = run_spawn(run, &asker_behaviour, &asker);
	}
	run_clock_start(run);
	for (uint64_t i = 0; i < run->actors; i++)
		bench_tell(ids[i], GO);
	for (uint64_t i = 0; i < run->actors; i++)
		run_join(run, ids[i]);
	run_clock_stop(run);
	free(ids);
}

static uint64_t n_offered(struct run *run)
{
	struct rota_stats stats = ROTA_STATS_INIT;

	rota_stats(run->engine, ROTA_STATS_ALL, &stats);
	return stats.queries;
}

static void reads(struct run *run)
{
	uint64_t *shares = bench_alloc(run->actors, sizeof(*shares));
	uint64_t *done = bench_alloc(run->actors, sizeof(*done));
	uint64_t sum = 0, offered = n_offered(run);
	rota_id table;
	double before, after;

	steps = measure_steps(run->scenario->value);
	for (uint64_t i = 0; i < run->actors; i++)
		shares[i] = run->n / run->actors + (i < run->n % run->actors);
	table = run_spawn(run, &table_behaviour, NULL);
	before = plain_ns(CALIBRATE);
	ask_all(run, table, shares, done);
	after = plain_ns(CALIBRATE);
	bench_tell(table, END);
	run_join(run, table);
	for (uint64_t i = 0; i < run->actors; i++)
		sum += done[i];
	run->ops = run->n;
	run_check(run, "answers", sum, run->n);
	run_metric(run, "speedup",
		   (before + after) / 2 * (double)run->n /
			   (double)run->elapsed_ns);
	run_metric(run, "offered",
		   (double)(n_offered(run) - offered) / (double)run->n);
	free(shares);
	free(done);
}

const struct scenario scenario_reads_100ns = {
	.name = "reads/100ns",
	.what = "32 (--actors) ask one actor n queries of 0.1 us each",
	.unit = "query",
	.n = 1000000,
	.quick_n = 100000,
	.actors = 32,
	.value = 100,
	.flags = SCENARIO_MESSAGES,
	.run = reads,
};

const struct scenario scenario_reads_2us = {
	.name = "reads/2us",
	.what = "32 (--actors) ask one actor n queries of 2 us each",
	.unit = "query",
	.n = 300000,
	.quick_n = 30000,
	.actors = 32,
	.value = 2000,
	.run = reads,
};

const struct scenario scenario_reads_20us = {
	.name = "reads/20us",
	.what = "32 (--actors) ask one actor n queries of 20 us each",
	.unit = "query",
	.n = 50000,
	.quick_n = 5000,
	.actors = 32,
	.value = 20000,
	.run = reads,
};
