/* SPDX-License-Identifier: MIT */
/*
 * latency - how far NUMA nodes are from each other, as the machine's table says
 *
 * Approach:   hwloc keeps tables of latencies, and of bandwidths (more of it is
 *             nearer); of the former, else of the latter, the one that has the
 *             most nodes is taken, and of several the first that is not the
 *             firmware's: somebody has measured it since. They need not be
 *             symmetric, and a zero says that nobody knows. Nodes with the
 *             same processors (fast and plain memory) are one place to be,
 *             which the first of them stands for: the least between any of
 *             them and any of another place counts. Nodes without processors
 *             are no place to be; nobody asks for them.
 * Rejected:   several tables at once (each has a unit of its own).
 */
#include "sched/latency.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <hwloc/distances.h>

static bool is_better(const struct hwloc_distances_s *a,
		      const struct hwloc_distances_s *b)
{
	if (a->nbobjs != b->nbobjs)
		return a->nbobjs > b->nbobjs;
	return (b->kind & HWLOC_DISTANCES_KIND_FROM_OS) &&
	       !(a->kind & HWLOC_DISTANCES_KIND_FROM_OS);
}

static struct hwloc_distances_s *best_of(struct hwloc_distances_s **tables,
					 unsigned n)
{
	struct hwloc_distances_s *best = tables[0];

	for (unsigned i = 1; i < n; i++)
		if (is_better(tables[i], best))
			best = tables[i];
	return best;
}

/* All of that kind; the caller releases them and frees the array. */
static struct hwloc_distances_s **tables_of(hwloc_topology_t topology,
					    unsigned long kind, unsigned *n)
{
	struct hwloc_distances_s **tables;

	*n = 0;
	if (hwloc_distances_get_by_type(topology, HWLOC_OBJ_NUMANODE, n, NULL,
					kind, 0) < 0)
		*n = 0;
	tables = calloc(*n + 1, sizeof(*tables));
	if (tables && *n > 0 &&
	    hwloc_distances_get_by_type(topology, HWLOC_OBJ_NUMANODE, n, tables,
					kind, 0) < 0)
		*n = 0;
	return tables;
}

/* What a table says, the nearer the less. */
static uint64_t cost(const struct hwloc_distances_s *table, unsigned from,
		     unsigned to)
{
	uint64_t value = table->values[from * table->nbobjs + to];

	if (value == 0)
		return LATENCY_UNKNOWN;
	return table->kind & HWLOC_DISTANCES_KIND_MEANS_BANDWIDTH
		       ? LATENCY_UNKNOWN - value
		       : value;
}

static void find_twins(struct latency *latency, hwloc_topology_t topology)
{
	for (unsigned i = 0; i < latency->n; i++) {
		hwloc_obj_t node =
			hwloc_get_obj_by_type(topology, HWLOC_OBJ_NUMANODE, i);
		hwloc_obj_t twin = NULL;

		do
			twin = hwloc_get_next_obj_by_type(
				topology, HWLOC_OBJ_NUMANODE, twin);
		while (!hwloc_bitmap_isequal(twin->cpuset, node->cpuset));
		latency->twin[i] = twin->logical_index;
	}
}

static uint64_t *between(const struct latency *latency, unsigned from,
			 unsigned to)
{
	return &latency->of[(size_t)latency->twin[from] * latency->n +
			    latency->twin[to]];
}

static void read_row(struct latency *latency,
		     const struct hwloc_distances_s *table, unsigned from)
{
	hwloc_obj_t node = table->objs[from];

	for (unsigned to = 0; node && to < table->nbobjs; to++) {
		hwloc_obj_t other = table->objs[to];
		uint64_t value = cost(table, from, to), *least;

		if (!other)
			continue;
		least = between(latency, node->logical_index,
				other->logical_index);
		if (value < *least)
			*least = value;
	}
}

static int read_table(struct latency *latency, hwloc_topology_t topology,
		      const struct hwloc_distances_s *table)
{
	int n_nodes = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_NUMANODE);
	size_t n = n_nodes > 0 ? (size_t)n_nodes : 0;

	latency->twin = calloc(n, sizeof(*latency->twin));
	latency->of = calloc(n * n, sizeof(*latency->of));
	if (!latency->twin || !latency->of)
		return -ENOMEM;
	latency->n = (unsigned)n;
	find_twins(latency, topology);
	for (size_t i = 0; i < n * n; i++)
		latency->of[i] = LATENCY_UNKNOWN;
	for (unsigned from = 0; from < table->nbobjs; from++)
		read_row(latency, table, from);
	return 0;
}

/* 1: there is no table of that kind. */
static int read_kind(struct latency *latency, hwloc_topology_t topology,
		     unsigned long kind)
{
	unsigned n, i;
	struct hwloc_distances_s **tables = tables_of(topology, kind, &n);
	int error = 1;

	if (!tables)
		return -ENOMEM;
	if (n > 0)
		error = read_table(latency, topology, best_of(tables, n));
	for (i = 0; i < n; i++)
		hwloc_distances_release(topology, tables[i]);
	free(tables);
	return error;
}

int latency_init(struct latency *latency, hwloc_topology_t topology)
{
	int error;

	*latency = (struct latency){.n = 0};
	error = read_kind(latency, topology,
			  HWLOC_DISTANCES_KIND_MEANS_LATENCY);
	if (error > 0)
		error = read_kind(latency, topology,
				  HWLOC_DISTANCES_KIND_MEANS_BANDWIDTH);
	return error > 0 ? 0 : error;
}

void latency_fini(struct latency *latency)
{
	free(latency->twin);
	free(latency->of);
	*latency = (struct latency){.n = 0};
}

uint64_t latency_between(const struct latency *latency, unsigned from,
			 unsigned to)
{
	if (from >= latency->n || to >= latency->n)
		return LATENCY_UNKNOWN;
	return *between(latency, from, to);
}
