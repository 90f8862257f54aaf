/* SPDX-License-Identifier: MIT */
/*
 * offload - actors that have a helper thread run a function n times, and wait
 *
 * The function does nothing, so that what is measured is the way there and
 * back: two wake-ups of sleeping threads, if nothing else goes on. Every actor
 * of --actors waits for one call at a time. It lies if functions run twice or
 * not at all: they are counted. The helper threads are there before the clock
 * starts only if the warm-up was less than a quarter of a second ago, which it
 * was.
 */
#include <stdlib.h>

#include <atomic_ops.h>

#include <rota/offload.h>

#include "perf/bench/scenarios.h"

struct caller {
	uint64_t n;
	AO_t *xn_runs;
};

static int count_run(void *argument)
{
	AO_t *xn_runs = argument;

	AO_fetch_and_add(xn_runs, 1); /* relaxed: read after the join */
	return 0;
}

static int caller_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct caller *caller = state;

	(void)tag;
	(void)payload;
	(void)length;
	for (uint64_t i = 0; i < caller->n; i++) {
		int error = rota_offload(NULL, count_run, caller->xn_runs,
					 ROTA_FOREVER, NULL);

		if (error)
			bench_fail_call("rota_offload", error);
	}
	return rota_self_stop(0);
}

static const struct rota_behaviour caller_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "caller",
	.state_size = sizeof(struct caller),
	.handle = caller_handle,
};

static void offload(struct run *run)
{
	rota_id *ids = bench_alloc(run->actors, sizeof(*ids));
	AO_t xn_runs = 0;
	struct caller caller = {.n = run->n / run->actors, .xn_runs = &xn_runs};

	run_clock_start(run);
	for (uint64_t i = 0; i < run->actors; i++) {
		ids[i] = run_spawn(run, &caller_behaviour, &caller);
		bench_tell(ids[i], 0);
	}
	for (uint64_t i = 0; i < run->actors; i++)
		run_join(run, ids[i]);
	run_clock_stop(run);
	run->ops = caller.n * run->actors;
	/* Relaxed: the joins have ordered. */
	run_check(run, "functions run", AO_load(&xn_runs), run->ops);
	free(ids);
}

const struct scenario scenario_offload = {
	.name = "offload",
	.what = "actors that wait for n functions on helper threads",
	.unit = "call",
	.n = 200000,
	.quick_n = 20000,
	.actors = 8,
	.run = offload,
};
