/* SPDX-License-Identifier: MIT */
/*
 * ring - one token goes round 1,000 actors; n hops
 *
 * As pingpong, but the actors' memory no longer sits in the first-level cache.
 * The number lies if hops are skipped: at the end every actor reports how
 * many tokens it saw, and these must add up to n. Collecting them is inside
 * the clock, as in the peers' programs: 2,000 messages beside 10 million.
 */
#include <stdlib.h>

#include "perf/bench/scenarios.h"

enum { TOKEN, END, ARRIVED, HOPS };

struct ring {
	rota_id *nodes;
	uint64_t n_nodes;
	uint64_t hops; /* written by the collector, read after its end */
};

struct node {
	const struct ring *ring;
	rota_id next; /* known at the first token: the ring is not closed yet
			 when the actor is made */
	rota_id collector;
	uint64_t index;
	uint64_t hops;
};

struct collector {
	struct ring *ring;
	uint64_t missing;
};

static void node_pass(struct node *node, int64_t left)
{
	if (node->next == ROTA_NONE)
		node->next = node->ring->nodes[(node->index + 1) %
					       node->ring->n_nodes];
	node->hops++;
	if (left == 0)
		bench_tell(node->collector, ARRIVED);
	else
		bench_tell_i64(node->next, TOKEN, left - 1);
}

static int node_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct node *node = state;
	const int64_t *left = payload;

	(void)length;
	if (tag == TOKEN) {
		node_pass(node, *left);
		return 0;
	}
	bench_tell_i64(node->collector, HOPS, (int64_t)node->hops);
	return rota_self_stop(0);
}

static int collector_handle(void *state, unsigned tag, void *payload,
			    size_t length)
{
	struct collector *collector = state;
	struct ring *ring = collector->ring;
	const int64_t *hops = payload;

	(void)length;
	if (tag == ARRIVED) {
		collector->missing = ring->n_nodes;
		for (uint64_t i = 0; i < ring->n_nodes; i++)
			bench_tell(ring->nodes[i], END);
		return 0;
	}
	ring->hops += (uint64_t)*hops;
	return --collector->missing == 0 ? rota_self_stop(0) : 0;
}

static const struct rota_behaviour node_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "node",
	.state_size = sizeof(struct node),
	.handle = node_handle,
};

static const struct rota_behaviour collector_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "collector",
	.state_size = sizeof(struct collector),
	.handle = collector_handle,
};

static void ring_run(struct run *run)
{
	struct ring ring = {.n_nodes = run->actors};
	struct collector collector = {.ring = &ring};
	struct node node = {.ring = &ring};

	ring.nodes = bench_alloc(ring.n_nodes, sizeof(*ring.nodes));
	run_clock_start(run);
	node.collector = run_spawn(run, &collector_behaviour, &collector);
	for (; node.index < ring.n_nodes; node.index++)
		ring.nodes[node.index] = run_spawn(run, &node_behaviour, &node);
	bench_tell_i64(ring.nodes[0], TOKEN, (int64_t)run->n - 1);
	run_join(run, node.collector);
	run_clock_stop(run);
	run->ops = run->n;
	run_check(run, "hops", ring.hops, run->n);
	run_quiesce(run);
	free(ring.nodes);
}

static const struct budget budgets[] = {
	{.figure = "ratio", .limit = {2.4, 2.5}, .reach = {1.9, 0}},
	{.figure = NULL},
};

const struct scenario scenario_ring = {
	.name = "ring",
	.what = "one token goes round 1,000 actors (n hops)",
	.unit = "message",
	.n = 10000000,
	.quick_n = 1000000,
	.actors = 1000,
	.flags = SCENARIO_MESSAGES,
	.budgets = budgets,
	.run = ring_run,
};
