/* SPDX-License-Identifier: MIT */
/*
 * bench - what a scenario is, and what the harness does for it
 *
 * A scenario is a constant and a function. The harness starts an engine, runs
 * the function once to warm up and once to measure, measures c before and
 * after, waits until the engine is quiescent, checks what can be checked for
 * all (no dead letter, every actor ended), and reports. The function starts
 * and stops the clock itself, so that one sees in it what the number holds.
 *
 * All checks end the process with status 1 and a line on standard error.
 */
#ifndef ROTA_PERF_BENCH_H
#define ROTA_PERF_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rota/actor.h>
#include <rota/base.h>
#include <rota/engine.h>
#include <rota/stats.h>
#include <rota/task.h>

#include "perf/bench/measure.h"

/* ---- options of the command line; zero: the scenario's default */

struct bench_options {
	unsigned workers;
	uint64_t n;
	unsigned mailbox;
	unsigned repeat;
	uint64_t actors; /* --receivers and --actors */
	size_t state;	 /* bytes of state of an idle actor */
	double seconds;	 /* of measuring, where time and not n ends a run */
	double limit;	 /* seconds until a wait for the end is a hang */
	const char *svg; /* scale: file to draw into */
	bool json;
	bool quick;
	bool here; /* the main thread drives, by waiting */
};

/* ---- scenarios */

struct run;

enum scenario_flag {
	/* Messages are all it does: a second worker must not slow it down. */
	SCENARIO_MESSAGES = 1 << 0,
	/* Its budget is for warm memory: warm up at full size. */
	SCENARIO_WARM_FULL = 1 << 1,
	/* It measures growth: no warm-up. */
	SCENARIO_COLD = 1 << 2,
	/* Its actors live until the engine stops. */
	SCENARIO_KEEPS_ACTORS = 1 << 3,
	/* `all` runs it with two workers only. */
	SCENARIO_PARALLEL = 1 << 4,
	/* `scale` draws it unless told otherwise. */
	SCENARIO_SCALES = 1 << 5,
	/* It is about spare threads. In all others there are none: on a busy
	   machine one might come, and work beside those that are measured. */
	SCENARIO_SPARES = 1 << 6
};

/* A figure and its bounds with one and with two workers; 0: no bound. */
struct budget {
	const char *figure; /* "ratio" or the name of a metric */
	double limit[2];
	double reach[2]; /* what the design hopes for */
	bool at_least;	 /* limit is a lower bound */
};

struct scenario {
	const char *name;
	const char *what; /* for --list */
	const char *unit; /* what ns_per_op counts */
	uint64_t n;
	uint64_t quick_n;
	uint64_t actors;	      /* what --actors or --receivers changes */
	uint64_t value;		      /* for scenarios that share a function */
	unsigned workers;	      /* fixed number; 0: as told */
	unsigned flags;		      /* enum scenario_flag */
	const struct budget *budgets; /* ended by figure == NULL; or NULL */
	void (*run)(struct run *run);
};

extern const struct scenario *const scenarios[]; /* ended by NULL */

/* ---- one run */

#define RUN_METRICS 20

struct metric {
	const char *name;
	double value;
};

/*
 * What the function gets and what it sets. @n is the size of this run, smaller
 * while warming up.
 */
struct run {
	rota_engine *engine;
	const struct scenario *scenario;
	const struct bench_options *options;
	unsigned workers;
	uint64_t n;
	uint64_t actors;
	bool is_warm_up;
	uint64_t start_ns;
	uint64_t start_cpu_ns;
	uint64_t elapsed_ns;
	uint64_t cpu_ns; /* of all threads meanwhile: less than elapsed_ns if
			    others used the machine, more if workers worked at
			    the same time (or one spun) */
	uint64_t ops; /* what elapsed_ns is divided by: set by the function */
	struct metric metrics[RUN_METRICS];
	size_t n_metrics;
};

void run_clock_start(struct run *run);
void run_clock_stop(struct run *run);

/* One more figure of this run; @name is a constant. */
void run_metric(struct run *run, const char *name, double value);

/* Spawn from the main thread; send from it. Failures end the program. */
rota_id run_spawn(struct run *run, const struct rota_behaviour *behaviour,
		  const void *state);

/* Wait for an actor's end and for it to be a normal one. */
void run_join(struct run *run, rota_id id);

/* Have a task run, and wait for its end and for it to return 0. */
void run_task(struct run *run, rota_task_function *function,
	      const void *argument, size_t length);

/* In a task: wait for a group. */
void run_wait(struct rota_task_group *group);

/* Wait until nothing is queued or running. */
void run_quiesce(struct run *run);

/* Fail unless both are the same. */
void run_check(const struct run *run, const char *what, uint64_t got,
	       uint64_t expected);

/* calloc() that ends the program instead of failing; touched already. */
void *bench_alloc(size_t n, size_t size);

/* ---- inside handlers and outside */

_Noreturn void bench_fail(const char *format, ...) ROTA_PRINTF(1, 2);
_Noreturn void bench_fail_call(const char *call, int error);

static inline void bench_send(rota_id to, unsigned tag, const void *payload,
			      size_t length)
{
	int error = rota_send(to, tag, payload, length);

	if (__builtin_expect(error != 0, 0))
		bench_fail_call("rota_send", error);
}

static inline void bench_tell(rota_id to, unsigned tag)
{
	bench_send(to, tag, NULL, 0);
}

static inline void bench_tell_i64(rota_id to, unsigned tag, int64_t value)
{
	bench_send(to, tag, &value, sizeof(value));
}

static inline rota_id bench_spawn(rota_engine *engine,
				  const struct rota_behaviour *behaviour,
				  const void *state,
				  const struct rota_spawn_options *options)
{
	rota_id id = rota_spawn(engine, behaviour, state, options);
	int error = rota_id_error(id);

	if (__builtin_expect(error != 0, 0))
		bench_fail_call("rota_spawn", error);
	return id;
}

/* ---- outcomes */

struct outcome {
	const struct scenario *scenario;
	unsigned workers;
	uint64_t n;
	uint64_t ops;
	double seconds;
	double ns_per_op;
	double c_ns;
	double ratio;
	struct metric metrics[RUN_METRICS];
	size_t n_metrics;
};

/* Start an engine, warm up, measure, check, stop. @workers 0: the engine's. */
void bench_run(const struct scenario *scenario, unsigned workers,
	       const struct bench_options *options, struct outcome *outcome);

/* "ratio", "seconds", "ns_per_op", … or a metric; NAN if there is none. */
double outcome_figure(const struct outcome *outcome, const char *figure);

/* Figure by figure the median of several runs of one scenario. */
void outcome_median(const struct outcome *outcomes, size_t n,
		    struct outcome *median);

/* ---- reports */

/* One line: JSON or text. @repeat counts from 1. */
void report_run(const struct outcome *outcome, unsigned repeat, bool json);

/* The median line of several runs. */
void report_median(const struct outcome *median, unsigned n_runs, bool json);

void report_table_head(void);

/* The row of one scenario, and rows for its other budgets. */
void report_table_row(const struct outcome *median, unsigned n_runs, bool json);

/* How much slower two workers are than one. */
void report_second_worker(const char *scenario, double ratio, bool json);

/* ---- the two that run others */

void bench_all(const struct bench_options *options);
void bench_scale(const struct scenario *const *chosen,
		 const struct bench_options *options);

#endif
