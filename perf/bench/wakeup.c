/* SPDX-License-Identifier: MIT */
/*
 * wakeup - a thread sends to an engine that sleeps; n times
 *
 * p50_us is the time from before the send until the handler's first line runs.
 * Before each send the thread itself sleeps 2 ms, so that all workers and the
 * monitor have gone to sleep; afterwards the engine is left alone for 5 s and
 * its processor time is taken: idle_cpu_percent of one processor. The number
 * lies if the engine was not asleep: a send for which the engine counted no
 * wake-up does not count and is repeated; asleep_share says how many did.
 * Sender and handler read the same clock on two cores; CLOCK_MONOTONIC is one
 * clock on Linux.
 */
#include <stdlib.h>
#include <sys/resource.h>

#include <atomic_ops.h>

#include "perf/bench/scenarios.h"

#define PAUSE_NS 2000000
#define MAX_TRIES 20 /* sends per one that counts, on average */

enum { WAKE, END };

struct wake {
	uint64_t sent_ns;
	/* Written once by the handler, polled by the main thread. Relaxed:
	   nothing but the number itself is passed. */
	volatile AO_t *xtook_ns;
};

static int sleeper_handle(void *state, unsigned tag, void *payload,
			  size_t length)
{
	uint64_t now = measure_ns();
	const struct wake *wake = payload;

	(void)state;
	(void)length;
	if (tag == END)
		return rota_self_stop(0);
	/* Never 0, which means that it has not come yet. */
	AO_store(wake->xtook_ns, now - wake->sent_ns + 1);
	return 0;
}

static const struct rota_behaviour sleeper_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "sleeper",
	.handle = sleeper_handle,
};

static uint64_t wakeups_of(struct run *run)
{
	struct rota_stats counters = ROTA_STATS_INIT;

	rota_stats(run->engine, ROTA_STATS_ALL, &counters);
	return counters.wakeups;
}

struct wakeup {
	uint64_t *took;
	uint64_t n_took;
	uint64_t n_sent;
	uint64_t sending_ns; /* how long the sends took that count */
};

static uint64_t wait_for(struct run *run, volatile AO_t *xtook)
{
	uint64_t start = measure_ns();

	for (;;) {
		measure_pause(PAUSE_NS);
		if (AO_load(xtook) != 0) /* Relaxed: see struct wake. */
			return AO_load(xtook);
		if ((double)(measure_ns() - start) > run->options->limit * 1e9)
			bench_fail("a message was not handled");
	}
}

/* One send to a sleeping engine; nothing is noted if it was awake. */
static void wake_once(struct run *run, rota_id sleeper, struct wakeup *wakeup)
{
	static volatile AO_t xtook;
	struct wake wake = {.xtook_ns = &xtook};
	uint64_t before = wakeups_of(run), sent, took;

	AO_store(&xtook, 0); /* Relaxed: the send publishes it. */
	wake.sent_ns = measure_ns();
	bench_send(sleeper, WAKE, &wake, sizeof(wake));
	sent = measure_ns();
	took = wait_for(run, &xtook);
	wakeup->n_sent++;
	if (wakeups_of(run) == before)
		return;
	wakeup->took[wakeup->n_took++] = took;
	wakeup->sending_ns += sent - wake.sent_ns;
}

static long switches(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_nvcsw + usage.ru_nivcsw;
}

/* Nobody sends; what does the engine do? */
static void idle_measure(struct run *run)
{
	double seconds = run->options->quick ? 1 : 5;
	uint64_t cpu;
	long before;

	if (run->options->seconds > 0)
		seconds = run->options->seconds;
	measure_pause(100000000);
	before = switches();
	cpu = measure_cpu_ns();
	measure_pause((uint64_t)(seconds * 1e9));
	cpu = measure_cpu_ns() - cpu;
	run_metric(run, "idle_cpu_percent",
		   (double)cpu / (seconds * 1e9) * 100);
	run_metric(run, "idle_switches", (double)(switches() - before));
}

static void wakeup_report(struct run *run, struct wakeup *wakeup)
{
	uint64_t n = wakeup->n_took, *took = wakeup->took, sum = 0;

	for (uint64_t i = 0; i < n; i++)
		sum += took[i];
	measure_sort(took, n);
	run->elapsed_ns = sum;
	run->ops = n;
	run_metric(run, "p50_us", (double)measure_quantile(took, n, .5) / 1e3);
	run_metric(run, "p99_us", (double)measure_quantile(took, n, .99) / 1e3);
	run_metric(run, "p99.9_us",
		   (double)measure_quantile(took, n, .999) / 1e3);
	run_metric(run, "max_us", (double)took[n - 1] / 1e3);
	run_metric(run, "send_us",
		   (double)wakeup->sending_ns / (double)n / 1e3);
	run_metric(run, "asleep_share", (double)n / (double)wakeup->n_sent);
}

static void wakeup_run(struct run *run)
{
	struct wakeup wakeup = {.took = bench_alloc(run->n, sizeof(uint64_t))};
	rota_id sleeper = run_spawn(run, &sleeper_behaviour, NULL);

	measure_pause(PAUSE_NS);
	while (wakeup.n_took < run->n) {
		if (wakeup.n_sent == MAX_TRIES * run->n)
			bench_fail("the engine does not go to sleep");
		wake_once(run, sleeper, &wakeup);
	}
	wakeup_report(run, &wakeup);
	if (!run->is_warm_up)
		idle_measure(run);
	bench_tell(sleeper, END);
	run_join(run, sleeper);
	free(wakeup.took);
}

static const struct budget budgets[] = {
	{.figure = "p50_us", .limit = {50, 50}},
	{.figure = "idle_cpu_percent", .limit = {.05, .05}},
	{.figure = NULL},
};

const struct scenario scenario_wakeup = {
	.name = "wakeup",
	.what = "a thread sends to a sleeping engine (n times), then 5 s idle",
	.unit = "send",
	.n = 2000,
	.quick_n = 300,
	.budgets = budgets,
	.run = wakeup_run,
};
