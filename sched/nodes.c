/* SPDX-License-Identifier: MIT */
/*
 * nodes - the shared lists of runnable tasks, one per NUMA node
 *
 * Problem:    one list for a machine of many nodes is a line that goes round
 *             all of them, and takes work away from where its memory is.
 * Approach:   a list per node, in memory of that node. A thread from outside
 *             pushes to the node it runs on; which one that is costs a few ns
 *             (the kernel keeps the processor's number in memory that the
 *             thread may read). A worker takes from its own node's list, then
 *             from the others, the nearest first. That alone would let the list
 *             of a node whose workers are all stuck wait for as long as the
 *             others get enough: so every few looks a worker begins elsewhere
 *             (nodes_take()'s @skip). A list is nobody's: whoever looks for work
 *             looks at all of them before it sleeps.
 * Rejected:   a list per worker (a stuck worker's is then one more thing to be
 *             rescued); one word with the sum of all lengths (every push of
 *             every node would write it).
 * Orderings:  those of inject.c.
 */
#include "sched/nodes.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define NODE_SIZE ((sizeof(struct node) + 63) / 64 * 64)

/* ---- making ---- */

/* The number of a worker's node here; a new one if none of its was seen. */
static unsigned number_node(struct nodes *nodes, const struct places *places,
			    unsigned worker)
{
	unsigned i;

	for (i = 0; i < nodes->n; i++)
		if (places->of[nodes->of[i]->first_worker].node ==
		    places->of[worker].node)
			break;
	return i;
}

static int make_node(struct nodes *nodes, const struct places *places,
		     unsigned worker)
{
	/* Near that worker. */
	struct node *node = places_alloc(places, worker, NODE_SIZE);

	if (!node)
		return -ENOMEM;
	memset(node, 0, NODE_SIZE);
	inject_init(&node->inject);
	node->first_worker = worker;
	nodes->of[nodes->n++] = node;
	return 0;
}

/* Those of its first worker's victims, each once, in their order. */
static int make_order(struct nodes *nodes, const struct places *places,
		      unsigned number)
{
	struct node *node = nodes->of[number];
	const uint16_t *victims = places->of[node->first_worker].victims;
	bool *is_seen = calloc(nodes->n, sizeof(*is_seen));
	unsigned n = 0, i;

	node->order = calloc(nodes->n, sizeof(*node->order));
	if (!node->order || !is_seen) {
		free(is_seen);
		return -ENOMEM;
	}
	node->order[n++] = (uint16_t)number;
	is_seen[number] = true;
	for (i = 0; i + 1 < places->n_places; i++) {
		uint16_t other = nodes->of_worker[victims[i]];

		if (is_seen[other])
			continue;
		is_seen[other] = true;
		node->order[n++] = other;
	}
	free(is_seen);
	return 0;
}

/* What we call a node that has a place and this logical number. */
static uint16_t node_called(const struct nodes *nodes,
			    const struct places *places, unsigned logical)
{
	unsigned i;

	for (i = 0; i < nodes->n; i++)
		if (places->of[nodes->of[i]->first_worker].node == logical)
			return (uint16_t)i;
	return NO_NODE;
}

/* Which processor belongs to which node, if this is the machine we run on. */
static int map_cpus(struct nodes *nodes, const struct places *places)
{
	hwloc_topology_t topology = places->topology;
	int last =
		hwloc_bitmap_last(hwloc_topology_get_complete_cpuset(topology));
	hwloc_obj_t pu = NULL;
	int cpu;

	if (nodes->n == 1 || last < 0 ||
	    !hwloc_topology_is_thissystem(topology))
		return 0;
	nodes->of_cpu = malloc(((size_t)last + 1) * sizeof(*nodes->of_cpu));
	if (!nodes->of_cpu)
		return -ENOMEM;
	nodes->n_cpus = (unsigned)last + 1;
	for (cpu = 0; cpu <= last; cpu++)
		nodes->of_cpu[cpu] = NO_NODE;
	/* As workers there have it: other nodes may have the same processors. */
	while ((pu = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_PU, pu)))
		nodes->of_cpu[pu->os_index] =
			node_called(nodes, places, places_node(topology, pu));
	return 0;
}

static int number_all(struct nodes *nodes, const struct places *places)
{
	unsigned i;
	int error;

	for (i = 0; i < places->n_places; i++) {
		unsigned number = number_node(nodes, places, i);

		if (number == nodes->n) {
			error = make_node(nodes, places, i);
			if (error)
				return error;
		}
		nodes->of_worker[i] = (uint16_t)number;
	}
	return 0;
}

int nodes_init(struct nodes *nodes, const struct places *places)
{
	unsigned i;
	int error;

	nodes->of = calloc(places->n_places, sizeof(struct node *));
	nodes->of_worker = calloc(places->n_places, sizeof(*nodes->of_worker));
	if (!nodes->of || !nodes->of_worker)
		return -ENOMEM;
	error = number_all(nodes, places);
	for (i = 0; i < nodes->n && !error; i++)
		error = make_order(nodes, places, i);
	return error ? error : map_cpus(nodes, places);
}

void nodes_fini(struct nodes *nodes, const struct places *places)
{
	unsigned i;

	for (i = 0; i < nodes->n; i++) {
		free(nodes->of[i]->order);
		places_free(places, nodes->of[i], NODE_SIZE);
	}
	free(nodes->of);
	free(nodes->of_worker);
	free(nodes->of_cpu);
	memset(nodes, 0, sizeof(*nodes));
}

/* ---- using ---- */

unsigned nodes_here(struct nodes *nodes)
{
	int cpu;

	if (nodes->n == 1)
		return 0;
	cpu = nodes->of_cpu ? sched_getcpu() : -1;
	if (cpu >= 0 && (unsigned)cpu < nodes->n_cpus &&
	    nodes->of_cpu[cpu] != NO_NODE)
		return nodes->of_cpu[cpu];
	/* Relaxed: it spreads, no more. */
	return (unsigned)(AO_fetch_and_add1(&nodes->xnext) % nodes->n);
}

unsigned nodes_take(struct nodes *nodes, unsigned node, unsigned skip,
		    unsigned most, struct task **first)
{
	const uint16_t *order = nodes->of[node]->order;
	unsigned n = 0, i;

	*first = NULL;
	for (i = 0; i < nodes->n && n == 0; i++)
		n = inject_take(
			&nodes->of[order[(skip + i) % nodes->n]]->inject, most,
			first);
	return n;
}
