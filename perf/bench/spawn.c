/* SPDX-License-Identifier: MIT */
/*
 * spawn - make an actor, send it one message, it answers and dies; n actors
 *
 * As in the peers' programs one actor spawns, each child sends its number plus
 * one to an adder and ends. What the peers leave to luck is stated here: at
 * most 1,024 children are under way (the adder acknowledges every 256), so
 * that what is measured is the life of an actor in warm memory and not the
 * kernel's first touch of a million of them. Hence the adder's mailbox of
 * 1,024. The number lies if children are not destroyed (the harness compares
 * spawned and ended) or do not run (the sum is checked).
 */
#include "perf/bench/scenarios.h"

#define CHUNK 256
#define CHUNKS_UNDER_WAY 4
#define ADDER_MAILBOX 2048

enum { HELLO, MORE, VALUE };

struct spawner {
	rota_id adder;
	uint64_t next;
	uint64_t n;
};

struct child {
	rota_id adder;
};

struct adder {
	rota_id spawner; /* that of the first message */
	uint64_t got;
	uint64_t n;
	uint64_t sum;
	uint64_t *result;
};

static int child_handle(void *state, unsigned tag, void *payload, size_t length)
{
	const struct child *child = state;
	const int64_t *value = payload;

	(void)tag;
	(void)length;
	bench_tell_i64(child->adder, VALUE, *value + 1);
	return rota_self_stop(0);
}

static const struct rota_behaviour child_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "child",
	.state_size = sizeof(struct child),
	.handle = child_handle,
};

static void spawn_chunk(struct spawner *spawner)
{
	struct child child = {spawner->adder};

	for (unsigned i = 0; i < CHUNK && spawner->next < spawner->n; i++) {
		rota_id id = bench_spawn(NULL, &child_behaviour, &child, NULL);

		bench_tell_i64(id, VALUE, (int64_t)spawner->next++);
	}
}

static int spawner_handle(void *state, unsigned tag, void *payload,
			  size_t length)
{
	struct spawner *spawner = state;

	(void)payload;
	(void)length;
	if (tag == HELLO) {
		bench_tell(spawner->adder, HELLO);
		for (unsigned i = 0; i < CHUNKS_UNDER_WAY; i++)
			spawn_chunk(spawner);
	} else {
		spawn_chunk(spawner);
	}
	return spawner->next == spawner->n ? rota_self_stop(0) : 0;
}

static int adder_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct adder *adder = state;
	const int64_t *value = payload;

	(void)length;
	if (tag == HELLO) {
		adder->spawner = rota_sender();
		return 0;
	}
	adder->sum += (uint64_t)*value;
	if (++adder->got == adder->n) {
		*adder->result = adder->sum;
		return rota_self_stop(0);
	}
	/* Once the spawner has made the last one it wants no more. */
	if (adder->got % CHUNK == 0 &&
	    adder->got + CHUNK * (CHUNKS_UNDER_WAY - 1) < adder->n)
		bench_tell(adder->spawner, MORE);
	return 0;
}

static const struct rota_behaviour spawner_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "spawner",
	.state_size = sizeof(struct spawner),
	.handle = spawner_handle,
};

static const struct rota_behaviour adder_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "adder",
	.state_size = sizeof(struct adder),
	.handle = adder_handle,
};

static void spawn_run(struct run *run)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	uint64_t sum = 0;
	struct adder adder = {.n = run->n, .result = &sum};
	struct spawner spawner = {.n = run->n};

	options.mailbox = run->options->mailbox != 0 ? run->options->mailbox
						     : ADDER_MAILBOX;
	run_clock_start(run);
	spawner.adder =
		bench_spawn(run->engine, &adder_behaviour, &adder, &options);
	bench_tell(run_spawn(run, &spawner_behaviour, &spawner), HELLO);
	run_join(run, spawner.adder);
	run_clock_stop(run);
	run->ops = run->n;
	run_check(run, "sum", sum, run->n * (run->n + 1) / 2);
}

static const struct budget budgets[] = {
	{.figure = "ratio", .limit = {8, 6}},
	{.figure = NULL},
};

const struct scenario scenario_spawn = {
	.name = "spawn",
	.what = "an actor is made, gets one message, answers, dies (n actors)",
	.unit = "actor",
	.n = 1000000,
	.quick_n = 200000,
	.flags = SCENARIO_WARM_FULL | SCENARIO_SCALES,
	.budgets = budgets,
	.run = spawn_run,
};
