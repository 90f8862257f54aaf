/* SPDX-License-Identifier: MIT */
/*
 * harness - starts an engine for each run, times it, checks it, stops it
 *
 * Each run has an engine of its own, so that runs do not inherit each other's
 * luck with memory and queues; the warm-up inside it makes pools, caches and
 * page tables what they are in a program that has run for a while.
 *
 * What would make every number a lie: an operation that did not happen (the
 * scenarios count theirs, and the harness asks the engine for dead letters,
 * spawned, ended and handled), a hang taken for slowness (every wait has a
 * limit), and another unit before than after (c is measured on both sides).
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "perf/bench/bench.h"

/* Written by the main thread before it starts an engine; for messages. */
static const char *current = "rota-bench";

_Noreturn void bench_fail(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	flockfile(stderr);
	fprintf(stderr, "FAILED %s: ", current);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	/* Not exit(): this may be a handler, beside others that run on. */
	_exit(1);
}

_Noreturn void bench_fail_call(const char *call, int error)
{
	bench_fail("%s: %s (%d)", call, rota_strerror(error), error);
}

void *bench_alloc(size_t n, size_t size)
{
	void *memory = NULL;

	if (size != 0 && n > SIZE_MAX / size)
		bench_fail("%zu times %zu bytes is too much", n, size);
	if (n * size == 0)
		n = size = 1;
	memory = malloc(n * size);
	if (memory == NULL)
		bench_fail("no memory for %zu bytes", n * size);
	/* Not calloc(): its pages would be touched while the clock runs. */
	memset(memory, 0, n * size);
	return memory;
}

static int64_t wait_limit(const struct run *run)
{
	return (int64_t)(run->options->limit * 1e9);
}

void run_clock_start(struct run *run)
{
	run->start_cpu_ns = measure_cpu_ns();
	run->start_ns = measure_ns();
}

void run_clock_stop(struct run *run)
{
	run->elapsed_ns = measure_ns() - run->start_ns;
	run->cpu_ns = measure_cpu_ns() - run->start_cpu_ns;
}

void run_metric(struct run *run, const char *name, double value)
{
	if (run->n_metrics == RUN_METRICS)
		bench_fail("more than %d metrics", RUN_METRICS);
	run->metrics[run->n_metrics].name = name;
	run->metrics[run->n_metrics].value = value;
	run->n_metrics++;
}

rota_id run_spawn(struct run *run, const struct rota_behaviour *behaviour,
		  const void *state)
{
	return bench_spawn(run->engine, behaviour, state, NULL);
}

void run_join(struct run *run, rota_id id)
{
	struct rota_exit why = {0};
	int error = rota_join(id, wait_limit(run), &why);

	if (error != 0)
		bench_fail_call("rota_join", error);
	if (why.cause != ROTA_EXIT_NORMAL || why.reason != 0)
		bench_fail("an actor ended with cause %d, reason %d",
			   (int)why.cause, why.reason);
}

void run_task(struct run *run, rota_task_function *function,
	      const void *argument, size_t length)
{
	rota_task task;
	int result = 0;
	int error = rota_task_submit(run->engine, function, argument, length,
				     &task);

	if (error != 0)
		bench_fail_call("rota_task_submit", error);
	error = rota_task_join(task, wait_limit(run), &result);
	if (error != 0)
		bench_fail_call("rota_task_join", error);
	if (result != 0)
		bench_fail("a task returned %d", result);
}

void run_wait(struct rota_task_group *group)
{
	int failure = 0;
	int error = rota_task_group_wait(group, ROTA_FOREVER, &failure);

	if (error != 0)
		bench_fail_call("rota_task_group_wait", error);
	if (failure != 0)
		bench_fail("a task returned %d", failure);
}

void run_quiesce(struct run *run)
{
	int error = rota_quiesce(run->engine, wait_limit(run));

	if (error != 0)
		bench_fail_call("rota_quiesce", error);
}

void run_check(const struct run *run, const char *what, uint64_t got,
	       uint64_t expected)
{
	(void)run;
	if (got != expected)
		bench_fail("%s: %llu instead of %llu", what,
			   (unsigned long long)got,
			   (unsigned long long)expected);
}

static rota_engine *engine_start(const struct scenario *scenario,
				 const struct bench_options *options,
				 unsigned workers)
{
	struct rota_config config = ROTA_CONFIG_INIT;
	rota_engine *engine;

	config.workers = options->here ? 0 : workers;
	config.flags = options->here ? ROTA_RUN_HERE : 0;
	config.mailbox = options->mailbox;
	config.spares = scenario->flags & SCENARIO_SPARES ? 0 : ROTA_NO_SPARES;
	engine = rota_start(&config);
	if (engine == NULL)
		bench_fail("rota_start: %s", strerror(errno));
	return engine;
}

static void engine_stop(struct run *run)
{
	int error = rota_stop(run->engine, wait_limit(run));

	if (error != 0)
		bench_fail_call("rota_stop", error);
}

static struct rota_stats counters_read(struct run *run)
{
	struct rota_stats counters = ROTA_STATS_INIT;

	rota_stats(run->engine, ROTA_STATS_ALL, &counters);
	return counters;
}

/* What must hold for every scenario once its engine is quiescent. */
static void counters_check(struct run *run, const struct rota_stats *before,
			   const struct rota_stats *after)
{
	unsigned flags = run->scenario->flags;
	uint64_t messages = after->messages - before->messages;

	run_check(run, "dead letters", after->dead_letters[0], 0);
	if (!(flags & SCENARIO_KEEPS_ACTORS))
		run_check(run, "actors ended", after->ended, after->spawned);
	if ((flags & SCENARIO_MESSAGES) && messages < run->ops)
		run_check(run, "messages handled", messages, run->ops);
}

/* Counts that explain a number; they are no part of the clocked time. */
static void counters_report(struct run *run, const struct rota_stats *before,
			    const struct rota_stats *after)
{
	run_metric(run, "turns", (double)(after->turns - before->turns));
	run_metric(run, "waits", (double)(after->waits - before->waits));
	run_metric(run, "overdrafts",
		   (double)(after->overdrafts - before->overdrafts));
	run_metric(run, "chained", (double)(after->chained - before->chained));
	run_metric(run, "steals", (double)(after->steals - before->steals));
	run_metric(run, "wakeups", (double)(after->wakeups - before->wakeups));
}

static void run_once(struct run *run, uint64_t n, bool is_warm_up)
{
	struct rota_stats before = counters_read(run), after;

	run->n = n;
	run->is_warm_up = is_warm_up;
	run->ops = 0;
	run->elapsed_ns = 0;
	run->cpu_ns = 0;
	run->n_metrics = 0;
	run->scenario->run(run);
	run_quiesce(run);
	after = counters_read(run);
	counters_check(run, &before, &after);
	if (run->elapsed_ns == 0 || run->ops == 0)
		bench_fail("nothing was measured");
	if (run->cpu_ns != 0)
		run_metric(run, "cpu_ns_per_op",
			   (double)run->cpu_ns / (double)run->ops);
	counters_report(run, &before, &after);
}

static uint64_t choose_n(const struct scenario *scenario,
			 const struct bench_options *options)
{
	if (options->n != 0)
		return options->n;
	return options->quick ? scenario->quick_n : scenario->n;
}

/* As in the peers' programs a tenth, but the whole if memory must be warm. */
static void warm_up(struct run *run, uint64_t n)
{
	unsigned flags = run->scenario->flags;

	if (flags & SCENARIO_COLD)
		return;
	if (!(flags & SCENARIO_WARM_FULL))
		n = n > 10 ? n / 10 : 1;
	run_once(run, n, true);
}

static void outcome_fill(struct outcome *outcome, const struct run *run,
			 double c_ns)
{
	*outcome = (struct outcome){
		.scenario = run->scenario,
		.workers = run->workers,
		.n = run->n,
		.ops = run->ops,
		.seconds = (double)run->elapsed_ns / 1e9,
		.ns_per_op = (double)run->elapsed_ns / (double)run->ops,
		.c_ns = c_ns,
		.n_metrics = run->n_metrics,
	};
	outcome->ratio = outcome->ns_per_op / c_ns;
	memcpy(outcome->metrics, run->metrics, sizeof(run->metrics));
}

void bench_run(const struct scenario *scenario, unsigned workers,
	       const struct bench_options *options, struct outcome *outcome)
{
	struct run run = {.scenario = scenario, .options = options};
	uint64_t n = choose_n(scenario, options);
	double before, after;

	current = scenario->name;
	if (scenario->workers != 0)
		workers = scenario->workers;
	run.actors = options->actors != 0 ? options->actors : scenario->actors;
	run.engine = engine_start(scenario, options, workers);
	run.workers = rota_workers(run.engine);
	warm_up(&run, n);
	before = measure_c();
	run_once(&run, n, false);
	after = measure_c();
	engine_stop(&run);
	outcome_fill(outcome, &run, (before + after) / 2);
}

/* ---- outcomes */

static double metric_of(const struct outcome *outcome, const char *name)
{
	for (size_t i = 0; i < outcome->n_metrics; i++)
		if (strcmp(outcome->metrics[i].name, name) == 0)
			return outcome->metrics[i].value;
	return NAN;
}

double outcome_figure(const struct outcome *outcome, const char *figure)
{
	if (strcmp(figure, "ratio") == 0)
		return outcome->ratio;
	if (strcmp(figure, "ns_per_op") == 0)
		return outcome->ns_per_op;
	if (strcmp(figure, "seconds") == 0)
		return outcome->seconds;
	if (strcmp(figure, "c_ns") == 0)
		return outcome->c_ns;
	return metric_of(outcome, figure);
}

static double median_of(const struct outcome *outcomes, size_t n,
			const char *figure)
{
	double *values = bench_alloc(n, sizeof(*values));
	double median;

	for (size_t i = 0; i < n; i++)
		values[i] = outcome_figure(&outcomes[i], figure);
	median = measure_median(values, n);
	free(values);
	return median;
}

void outcome_median(const struct outcome *outcomes, size_t n,
		    struct outcome *median)
{
	*median = outcomes[0];
	median->seconds = median_of(outcomes, n, "seconds");
	median->ns_per_op = median_of(outcomes, n, "ns_per_op");
	median->c_ns = median_of(outcomes, n, "c_ns");
	median->ratio = median_of(outcomes, n, "ratio");
	for (size_t i = 0; i < median->n_metrics; i++)
		median->metrics[i].value =
			median_of(outcomes, n, median->metrics[i].name);
}
