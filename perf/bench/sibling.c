/* SPDX-License-Identifier: MIT */
/*
 * sibling - a handler computes for 2 s; when do those behind it start
 *
 * The handler spawns n actors, sends each a message, and then computes, all in
 * one turn: they lie in its worker's queue. first_us and last_us are the times
 * from when it begins to compute until the first and the last of them has begun
 * its turn. With one worker a spare thread has to come and share the processor
 * with the handler; with two, the one that sleeps is to be woken. started_share
 * says how many had started when it was done: anything but 1 says that the
 * others waited for it. The number lies if the siblings had started before the
 * handler computed (then the delay is 0); hog_s is how long it computed.
 * stall_us is the longest time between two looks of the handler at the clock,
 * some 20 us apart, in its first 10 ms. With two workers the machine gave
 * whatever is above that to others, and may have taken it from the siblings,
 * too; with one it is first of all the time of the spare thread, which has to
 * share the processor.
 * CLOCK_MONOTONIC is one clock on Linux, whichever processor asks.
 */
#include <stdlib.h>

#include "perf/bench/scenarios.h"

enum { GO, START };

/* Written by the turns, read by the main thread after rota_quiesce(). */
static uint64_t *started_ns;
static uint64_t n_siblings, hog_ns, hog_begin_ns, hog_end_ns, hog_stall_ns;

#define STALLS_NS 10000000

static int sibling_handle(void *state, unsigned tag, void *payload,
			  size_t length)
{
	(void)state;
	(void)tag;
	(void)length;
	started_ns[*(const uint64_t *)payload] = measure_ns();
	return rota_self_stop(0);
}

static const struct rota_behaviour sibling_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "sibling",
	.handle = sibling_handle,
};

static int hog_handle(void *state, unsigned tag, void *payload, size_t length)
{
	(void)state;
	(void)tag;
	(void)payload;
	(void)length;
	for (uint64_t i = 0; i < n_siblings; i++)
		bench_send(bench_spawn(NULL, &sibling_behaviour, NULL, NULL),
			   START, &i, sizeof(i));
	hog_stall_ns = 0;
	hog_begin_ns = hog_end_ns = measure_ns();
	do {
		uint64_t before_ns = hog_end_ns;

		measure_sink = measure_work(10000, 1);
		hog_end_ns = measure_ns();
		if (before_ns - hog_begin_ns < STALLS_NS &&
		    hog_end_ns - before_ns > hog_stall_ns)
			hog_stall_ns = hog_end_ns - before_ns;
	} while (hog_end_ns - hog_begin_ns < hog_ns);
	return rota_self_stop(0);
}

static const struct rota_behaviour hog_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "hog",
	.handle = hog_handle,
};

/* Some may have started before it began to compute: at once. */
static uint64_t delay_of(uint64_t sibling)
{
	uint64_t at = started_ns[sibling];

	if (at == 0)
		bench_fail("sibling %llu did not start",
			   (unsigned long long)sibling);
	return at > hog_begin_ns ? at - hog_begin_ns : 0;
}

static void report(struct run *run)
{
	uint64_t first = UINT64_MAX, last = 0, n_before = 0;

	for (uint64_t i = 0; i < n_siblings; i++) {
		uint64_t delay = delay_of(i);

		first = delay < first ? delay : first;
		last = delay > last ? delay : last;
		n_before += started_ns[i] < hog_end_ns;
	}
	run->elapsed_ns = last + 1;
	run->ops = n_siblings;
	run_metric(run, "first_us", (double)first / 1e3);
	run_metric(run, "last_us", (double)last / 1e3);
	run_metric(run, "started_share", (double)n_before / (double)n_siblings);
	run_metric(run, "stall_us", (double)hog_stall_ns / 1e3);
	run_metric(run, "hog_s", (double)(hog_end_ns - hog_begin_ns) / 1e9);
}

static void sibling_run(struct run *run)
{
	hog_ns = run->scenario->value;
	if (run->options->quick || run->is_warm_up)
		hog_ns /= 10;
	n_siblings = run->n;
	started_ns = bench_alloc(n_siblings, sizeof(*started_ns));
	bench_tell(run_spawn(run, &hog_behaviour, NULL), GO);
	run_quiesce(run);
	report(run);
	free(started_ns);
}

static const struct budget budgets[] = {
	{.figure = "last_us", .limit = {0, 2000}},
	{.figure = "started_share", .limit = {1, 1}, .at_least = true},
	{.figure = NULL},
};

const struct scenario scenario_sibling = {
	.name = "sibling",
	.what = "a handler computes for 2 s; when do its n siblings start",
	.unit = "sibling",
	.n = 100,
	.quick_n = 100,
	.value = 2000000000,
	.flags = SCENARIO_SPARES,
	.budgets = budgets,
	.run = sibling_run,
};
