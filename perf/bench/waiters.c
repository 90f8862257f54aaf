/* SPDX-License-Identifier: MIT */
/*
 * waiters - n handlers that wait in rota_receive(), all at once; then each gets
 * one message and ends
 *
 * bytes_per_turn is what the process grew by, per handler that waits, pages of
 * its stack and all; wake_ns is the time from the first message sent until the
 * last handler has returned, per handler. The clock runs for the second part
 * only. It lies if not all of them wait before it starts (their number is
 * checked) or if memory of an earlier run is used again: there is no warm-up.
 * A million of them take 9 GB; the default is what any machine has.
 */
#include <stdlib.h>

#include <atomic_ops.h>

#include <rota/process.h>

#include "perf/bench/scenarios.h"

enum { START, GO };

struct waiter {
	AO_t *xwaiting;
};

static int waiter_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct waiter *waiter = state;
	struct rota_received message;
	int error;

	(void)tag;
	(void)payload;
	(void)length;
	AO_fetch_and_add(waiter->xwaiting, 1); /* relaxed: read at rest */
	error = rota_receive(NULL, ROTA_FOREVER, &message);
	if (error)
		bench_fail_call("rota_receive", error);
	return rota_self_stop(0);
}

static const struct rota_behaviour waiter_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "waiter",
	.state_size = sizeof(struct waiter),
	.handle = waiter_handle,
};

static void waiters(struct run *run)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	rota_id *ids = bench_alloc(run->n, sizeof(*ids));
	AO_t xwaiting = 0;
	struct waiter waiter = {&xwaiting};
	uint64_t before = measure_rss();

	options.mailbox = 1;
	options.flags = ROTA_ANYWHERE;
	for (uint64_t i = 0; i < run->n; i++) {
		ids[i] = bench_spawn(run->engine, &waiter_behaviour, &waiter,
				     &options);
		bench_tell(ids[i], START);
	}
	run_quiesce(run);
	/* Relaxed: the engine is at rest. */
	run_check(run, "waiting", AO_load(&xwaiting), run->n);
	run_metric(run, "bytes_per_turn",
		   (double)(measure_rss() - before) / (double)run->n);
	run_clock_start(run);
	for (uint64_t i = 0; i < run->n; i++)
		bench_tell(ids[i], GO);
	run_quiesce(run);
	run_clock_stop(run);
	for (uint64_t i = 0; i < run->n; i++)
		run_join(run, ids[i]);
	run->ops = run->n;
	free(ids);
}

const struct scenario scenario_waiters = {
	.name = "waiters",
	.what = "n handlers wait at once and are woken one by one",
	.unit = "turn",
	.n = 100000,
	.quick_n = 10000,
	.flags = SCENARIO_COLD,
	.run = waiters,
};
