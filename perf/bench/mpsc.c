/* SPDX-License-Identifier: MIT */
/*
 * mpsc - eight actors send n / 8 numbers each to one, which adds them up
 *
 * Eight handlers stand in a loop and wait for room in the same mailbox. They may
 * go on anywhere, so that with two workers they gather beside the one; without
 * that each message of those that began on the other worker crosses a cache line
 * or two, and a run takes up to twice as long. The number lies if the senders
 * run one after the other without ever meeting (a mailbox as large as n / 8),
 * or if messages are lost: the sum is checked.
 */
#include "perf/bench/scenarios.h"

enum { GO, VALUE };

struct producer {
	rota_id adder;
	uint64_t n;
};

struct adder {
	uint64_t left;
	uint64_t sum;
	uint64_t *result;
};

static int producer_handle(void *state, unsigned tag, void *payload,
			   size_t length)
{
	const struct producer *producer = state;

	(void)tag;
	(void)payload;
	(void)length;
	for (uint64_t i = 1; i <= producer->n; i++)
		bench_tell_i64(producer->adder, VALUE, (int64_t)i);
	return rota_self_stop(0);
}

static int adder_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct adder *adder = state;
	const int64_t *value = payload;

	(void)tag;
	(void)length;
	adder->sum += (uint64_t)*value;
	if (--adder->left > 0)
		return 0;
	*adder->result = adder->sum;
	return rota_self_stop(0);
}

static const struct rota_behaviour producer_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "producer",
	.state_size = sizeof(struct producer),
	.handle = producer_handle,
};

static const struct rota_behaviour adder_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "adder",
	.state_size = sizeof(struct adder),
	.handle = adder_handle,
};

static void mpsc(struct run *run)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	uint64_t each = run->n / run->actors, sum = 0;
	struct adder adder = {.result = &sum};
	struct producer producer = {0};

	if (each == 0)
		each = 1;
	adder.left = each * run->actors;
	producer.n = each;
	options.flags = ROTA_ANYWHERE;
	run_clock_start(run);
	producer.adder = run_spawn(run, &adder_behaviour, &adder);
	for (uint64_t i = 0; i < run->actors; i++)
		bench_tell(bench_spawn(run->engine, &producer_behaviour,
				       &producer, &options),
			   GO);
	run_join(run, producer.adder);
	run_clock_stop(run);
	run->ops = each * run->actors;
	run_check(run, "sum", sum, run->actors * (each * (each + 1) / 2));
}

static const struct budget budgets[] = {
	{.figure = "ratio", .limit = {1.5, 1.6}, .reach = {1, 0}},
	{.figure = NULL},
};

const struct scenario scenario_mpsc = {
	.name = "mpsc",
	.what = "eight actors send n / 8 messages each to one",
	.unit = "message",
	.n = 8000000,
	.quick_n = 800000,
	.actors = 8,
	.flags = SCENARIO_MESSAGES,
	.budgets = budgets,
	.run = mpsc,
};
