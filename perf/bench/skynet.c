/* SPDX-License-Identifier: MIT */
/*
 * skynet - a tree of actors, ten children each, down to n leaves
 *
 * Leaves answer with their number, inner nodes with the sum of their
 * children's answers; n = 1,000,000 makes 1,111,111 actors. The number lies if
 * an actor is made but never scheduled (each gets a start message and answers
 * its parent), if children are left out (the sum is checked), or if it
 * measures the kernel's first touch of memory: the warm-up is as large as the
 * measured run.
 */
#include "perf/bench/scenarios.h"

#define CHILDREN 10

enum { START, ANSWER };

struct span {
	int64_t first;
	int64_t size;
};

struct node {
	rota_id parent;
	int64_t sum;
	int64_t *result; /* of the root; NULL in all others */
	int missing;
};

static int node_answer(const struct node *node, int64_t sum)
{
	if (node->result != NULL)
		*node->result = sum;
	else
		bench_tell_i64(node->parent, ANSWER, sum);
	return rota_self_stop(0);
}

static const struct rota_behaviour node_behaviour;

static int node_start(struct node *node, const struct span *span)
{
	struct node child = {.parent = rota_self()};
	struct span part = {span->first, span->size / CHILDREN};

	if (span->size == 1)
		return node_answer(node, span->first);
	node->missing = CHILDREN;
	for (int i = 0; i < CHILDREN; i++) {
		rota_id id = bench_spawn(NULL, &node_behaviour, &child, NULL);

		bench_send(id, START, &part, sizeof(part));
		part.first += part.size;
	}
	return 0;
}

static int node_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct node *node = state;

	(void)length;
	if (tag == START)
		return node_start(node, payload);
	node->sum += *(const int64_t *)payload;
	return --node->missing == 0 ? node_answer(node, node->sum) : 0;
}

static const struct rota_behaviour node_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "node",
	.state_size = sizeof(struct node),
	.handle = node_handle,
};

/* The largest power of ten that is not above n: leaves of a full tree. */
static int64_t leaves_of(uint64_t n)
{
	int64_t leaves = 1;

	while ((uint64_t)leaves * CHILDREN <= n)
		leaves *= CHILDREN;
	return leaves;
}

static uint64_t nodes_of(int64_t leaves)
{
	uint64_t nodes = 0;

	for (; leaves >= 1; leaves /= CHILDREN)
		nodes += (uint64_t)leaves;
	return nodes;
}

static void skynet(struct run *run)
{
	int64_t result = -1;
	struct node root = {.result = &result};
	struct span span = {0, leaves_of(run->n)};
	rota_id id;

	run_clock_start(run);
	id = run_spawn(run, &node_behaviour, &root);
	bench_send(id, START, &span, sizeof(span));
	run_join(run, id);
	run_clock_stop(run);
	run->ops = nodes_of(span.size);
	run_metric(run, "actors", (double)run->ops);
	run_check(run, "sum", (uint64_t)result,
		  (uint64_t)(span.size * (span.size - 1) / 2));
}

static const struct budget budgets[] = {
	{.figure = "ratio", .limit = {14, 9}},
	{.figure = NULL},
};

const struct scenario scenario_skynet = {
	.name = "skynet",
	.what = "a tree of actors down to n leaves (a power of ten)",
	.unit = "actor",
	.n = 1000000,
	.quick_n = 1000000,
	.flags = SCENARIO_WARM_FULL | SCENARIO_SCALES,
	.budgets = budgets,
	.run = skynet,
};
