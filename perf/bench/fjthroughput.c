/* SPDX-License-Identifier: MIT */
/*
 * fjthroughput - one actor sends n messages to each of 60 others
 *
 * Message-major: the k-th message goes to all receivers before the k+1-th to
 * any. One handler loops and waits for room. The number lies if the loop is
 * receiver-major (then it is counting, 60 times), or if messages are lost:
 * each receiver adds up its numbers and the sums are checked.
 */
#include <stdlib.h>

#include "perf/bench/scenarios.h"

enum { GO, VALUE, SUM };

struct root {
	const rota_id *receivers;
	uint64_t n_receivers;
	uint64_t n;
};

struct receiver {
	rota_id collector;
	uint64_t left;
	uint64_t sum;
};

struct collector {
	uint64_t missing;
	uint64_t *result;
};

static int root_handle(void *state, unsigned tag, void *payload, size_t length)
{
	const struct root *root = state;

	(void)tag;
	(void)payload;
	(void)length;
	for (uint64_t i = 1; i <= root->n; i++)
		for (uint64_t k = 0; k < root->n_receivers; k++)
			bench_tell_i64(root->receivers[k], VALUE, (int64_t)i);
	return rota_self_stop(0);
}

static int receiver_handle(void *state, unsigned tag, void *payload,
			   size_t length)
{
	struct receiver *receiver = state;
	const int64_t *value = payload;

	(void)tag;
	(void)length;
	receiver->sum += (uint64_t)*value;
	if (--receiver->left > 0)
		return 0;
	bench_tell_i64(receiver->collector, SUM, (int64_t)receiver->sum);
	return rota_self_stop(0);
}

static int collector_handle(void *state, unsigned tag, void *payload,
			    size_t length)
{
	struct collector *collector = state;
	const int64_t *sum = payload;

	(void)tag;
	(void)length;
	*collector->result += (uint64_t)*sum;
	return --collector->missing == 0 ? rota_self_stop(0) : 0;
}

static const struct rota_behaviour root_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "root",
	.state_size = sizeof(struct root),
	.handle = root_handle,
};

static const struct rota_behaviour receiver_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "receiver",
	.state_size = sizeof(struct receiver),
	.handle = receiver_handle,
};

static const struct rota_behaviour collector_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "collector",
	.state_size = sizeof(struct collector),
	.handle = collector_handle,
};

static void fjthroughput(struct run *run)
{
	uint64_t k = run->actors, sum = 0;
	rota_id *ids = bench_alloc(k, sizeof(*ids)), root_id;
	struct collector collector = {.missing = k, .result = &sum};
	struct receiver receiver = {.left = run->n};
	struct root root = {.receivers = ids, .n_receivers = k, .n = run->n};

	run_clock_start(run);
	receiver.collector = run_spawn(run, &collector_behaviour, &collector);
	for (uint64_t i = 0; i < k; i++)
		ids[i] = run_spawn(run, &receiver_behaviour, &receiver);
	root_id = run_spawn(run, &root_behaviour, &root);
	bench_tell(root_id, GO);
	run_join(run, receiver.collector);
	run_clock_stop(run);
	run->ops = run->n * k;
	run_metric(run, "receivers", (double)k);
	run_check(run, "sum", sum, k * (run->n * (run->n + 1) / 2));
	/* The root still reads the ids until its last send has returned. */
	run_join(run, root_id);
	free(ids);
}

static const struct budget budgets[] = {
	{.figure = "ratio", .limit = {2.2, 2.3}, .reach = {1.7, 0}},
	{.figure = NULL},
};

const struct scenario scenario_fjthroughput = {
	.name = "fjthroughput",
	.what = "one actor sends n messages to each of 60, in turns",
	.unit = "message",
	.n = 100000,
	.quick_n = 20000,
	.actors = 60,
	.flags = SCENARIO_MESSAGES,
	.budgets = budgets,
	.run = fjthroughput,
};

const struct scenario scenario_fjthroughput_240 = {
	.name = "fjthroughput/240",
	.what = "the same with 240 receivers",
	.unit = "message",
	.n = 25000,
	.quick_n = 5000,
	.actors = 240,
	.flags = SCENARIO_MESSAGES,
	.budgets = budgets,
	.run = fjthroughput,
};
