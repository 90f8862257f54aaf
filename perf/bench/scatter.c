/* SPDX-License-Identifier: MIT */
/*
 * scatter - an actor asks a hundred others at a time and gathers the answers
 *
 * n rounds; the figure is per ask. What it measures: starting asks, keeping
 * their answers, one wait for all. The number lies if an answer is missing or
 * is another's: each carries the number of its request and of its round.
 */
#include <stdlib.h>

#include <rota/ask.h>

#include "perf/bench/scenarios.h"

#define MAX_ACTORS 10000

enum { GO, QUESTION, END };

struct question {
	uint32_t round;
	uint32_t number;
};

static int leaf_handle(void *state, unsigned tag, void *payload, size_t length)
{
	(void)state;
	if (tag == END)
		return rota_self_stop(0);
	return rota_answer(0, payload, length);
}

static const struct rota_behaviour leaf_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "leaf",
	.handle = leaf_handle,
};

struct root {
	const rota_id *leaves;
	struct rota_asking *askings;
	struct question *replies;
	size_t n_leaves;
	uint64_t n_rounds;
	uint64_t *done; /* answers */
};

static void scatter(struct root *root, uint32_t round)
{
	for (uint32_t i = 0; i < root->n_leaves; i++) {
		struct question question = {round, i};
		int error = rota_ask_start(root->leaves[i], QUESTION, &question,
					   sizeof(question), &root->replies[i],
					   sizeof(question), ROTA_FOREVER,
					   &root->askings[i]);

		if (error != 0)
			bench_fail_call("rota_ask_start", error);
	}
}

static void gather(struct root *root, uint32_t round)
{
	int n = rota_ask_await(root->askings, root->n_leaves, root->n_leaves,
			       ROTA_FOREVER);

	if (n != (int)root->n_leaves)
		bench_fail_call("rota_ask_await", n);
	for (uint32_t i = 0; i < root->n_leaves; i++)
		if (root->askings[i].outcome != 0 ||
		    root->replies[i].number != i ||
		    root->replies[i].round != round)
			bench_fail("answer %u of round %u is wrong", i, round);
	*root->done += root->n_leaves;
}

static int root_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct root *root = state;

	(void)tag;
	(void)payload;
	(void)length;
	for (uint32_t round = 0; round < root->n_rounds; round++) {
		scatter(root, round);
		gather(root, round);
	}
	for (size_t i = 0; i < root->n_leaves; i++)
		bench_tell(root->leaves[i], END);
	return rota_self_stop(0);
}

static const struct rota_behaviour root_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "root",
	.state_size = sizeof(struct root),
	.handle = root_handle,
};

static void scatter_run(struct run *run)
{
	size_t n = run->actors < MAX_ACTORS ? run->actors : MAX_ACTORS;
	rota_id *leaves = bench_alloc(n, sizeof(*leaves));
	uint64_t done = 0;
	struct root root = {
		.leaves = leaves,
		.askings = bench_alloc(n, sizeof(struct rota_asking)),
		.replies = bench_alloc(n, sizeof(struct question)),
		.n_leaves = n,
		.n_rounds = run->n,
		.done = &done,
	};
	rota_id id;

	for (size_t i = 0; i < n; i++)
		leaves[i] = run_spawn(run, &leaf_behaviour, NULL);
	id = run_spawn(run, &root_behaviour, &root);
	run_clock_start(run);
	bench_tell(id, GO);
	run_join(run, id);
	run_clock_stop(run);
	run->ops = run->n * n;
	run_check(run, "answers", done, run->ops);
	free(leaves);
	free(root.askings);
	free(root.replies);
}

const struct scenario scenario_scatter = {
	.name = "scatter",
	.what = "an actor asks 100 (--actors) at a time and gathers (n rounds)",
	.unit = "ask",
	.n = 20000,
	.quick_n = 2000,
	.actors = 100,
	.flags = SCENARIO_MESSAGES,
	.run = scatter_run,
};
