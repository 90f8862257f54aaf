/* SPDX-License-Identifier: MIT */
/*
 * idle - what an actor costs that has handled a message and now waits
 *
 * Makes n actors with 48 bytes of state each, sends each one message, and
 * waits for its answer before the next thousand. bytes_per_actor is the slope
 * of the resident set from n / 10 to n actors, so that what an engine costs by
 * itself is not in it; ns_per_op is the time of making, sending and answering
 * over the same stretch, first touch of memory included. The number lies if
 * the actors are gone (all are counted as living, and a sample must still know
 * its state afterwards), if their state was never written (each adds the
 * message to it), or if memory was mapped before the baseline (no warm-up; the
 * sample's own table is touched before).
 *
 * A hundred million: rota-bench idle --n 100M --state 16 (perf/hundred-million)
 */
#include <stdlib.h>

#include "perf/bench/scenarios.h"

#define CHUNK 1000
#define ROOT_MAILBOX 2048
#define SAMPLES 1000

enum { GO, VALUE, ACK, EXPECT };

/* The idlers' type; its state_size is set before the engine sees it. */
static struct rota_behaviour idler_behaviour;

struct idler {
	uint64_t total; /* the state is as long as --state says */
};

struct sample {
	uint64_t every;
	uint64_t n;
	rota_id ids[SAMPLES + 1];
	uint64_t values[SAMPLES + 1];
};

struct root {
	struct sample *sample;
	uint64_t next;
	uint64_t end;
	uint64_t missing;
	uint64_t sum;
	uint64_t *result;
};

static int idler_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct idler *idler = state;
	const uint64_t *value = payload;

	(void)length;
	if (tag == VALUE) {
		idler->total += *value;
		bench_send(rota_sender(), ACK, &idler->total,
			   sizeof(idler->total));
	} else if (idler->total != *value) {
		bench_fail("an idle actor forgot its state");
	}
	return 0;
}

static void sample_take(struct sample *sample, uint64_t index, rota_id id)
{
	if (index % sample->every != 0)
		return;
	sample->ids[sample->n] = id;
	sample->values[sample->n++] = index;
}

static void root_chunk(struct root *root)
{
	while (root->missing < CHUNK && root->next < root->end) {
		rota_id id = bench_spawn(NULL, &idler_behaviour, NULL, NULL);

		sample_take(root->sample, root->next, id);
		bench_send(id, VALUE, &root->next, sizeof(root->next));
		root->next++;
		root->missing++;
	}
}

static int root_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct root *root = state;

	(void)length;
	if (tag == ACK) {
		root->sum += *(const uint64_t *)payload;
		if (--root->missing > 0)
			return 0;
	}
	if (root->next == root->end) {
		*root->result = root->sum;
		return rota_self_stop(0);
	}
	root_chunk(root);
	return 0;
}

static const struct rota_behaviour root_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "root",
	.state_size = sizeof(struct root),
	.handle = root_handle,
};

static uint64_t sum_below(uint64_t n)
{
	return n % 2 == 0 ? n / 2 * (n - 1) : (n - 1) / 2 * n;
}

/* Make actors number @begin up to, not including, @end. */
static void idle_grow(struct run *run, struct sample *sample, uint64_t begin,
		      uint64_t end)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	uint64_t sum = 0;
	struct root root = {
		.sample = sample, .next = begin, .end = end, .result = &sum};
	rota_id id;

	options.mailbox = ROOT_MAILBOX;
	id = bench_spawn(run->engine, &root_behaviour, &root, &options);
	bench_tell(id, GO);
	run_join(run, id);
	run_check(run, "sum of answers", sum,
		  sum_below(end) - sum_below(begin));
	run_quiesce(run);
}

static void idle_check(struct run *run, const struct sample *sample)
{
	struct rota_stats counters = ROTA_STATS_INIT;

	rota_stats(run->engine, ROTA_STATS_ALL, &counters);
	run_check(run, "living actors", counters.spawned - counters.ended,
		  run->n);
	for (uint64_t i = 0; i < sample->n; i++)
		bench_send(sample->ids[i], EXPECT, &sample->values[i],
			   sizeof(sample->values[i]));
}

static void idle_report(struct run *run, size_t state, const uint64_t *rss)
{
	double slope = ((double)rss[1] - (double)rss[0]) / (double)run->ops;

	/* Below its own state: the memory was there before. Few actors drown
	   in what the process needs by itself. */
	if (run->n >= 1000000 && slope < (double)state)
		bench_fail("%.1f bytes per actor with %zu of state", slope,
			   state);
	run_metric(run, "bytes_per_actor", slope);
	run_metric(run, "rss_mb", (double)rss[1] / 1e6);
	run_metric(run, "state_bytes", (double)state);
}

static void idle(struct run *run)
{
	struct sample *sample = bench_alloc(1, sizeof(*sample));
	size_t state = run->options->state != 0 ? run->options->state : 48;
	uint64_t first = run->n / 10, rss[2];

	idler_behaviour = (struct rota_behaviour){
		.size = sizeof(struct rota_behaviour),
		.name = "idler",
		.state_size = state,
		.handle = idler_handle,
	};
	sample->every = run->n / SAMPLES + 1;
	idle_grow(run, sample, 0, first);
	rss[0] = measure_rss();
	run_clock_start(run);
	idle_grow(run, sample, first, run->n);
	run_clock_stop(run);
	rss[1] = measure_rss();
	run->ops = run->n - first;
	idle_report(run, state, rss);
	idle_check(run, sample);
	run_quiesce(run);
	free(sample);
}

static const struct budget budgets[] = {
	{.figure = "bytes_per_actor", .limit = {132, 132}},
	{.figure = NULL},
};

const struct scenario scenario_idle = {
	.name = "idle",
	.what = "n actors that wait: bytes of each",
	.unit = "actor",
	.n = 10000000,
	.quick_n = 1000000,
	.flags = SCENARIO_COLD | SCENARIO_KEEPS_ACTORS,
	.budgets = budgets,
	.run = idle,
};
