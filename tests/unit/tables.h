/* SPDX-License-Identifier: MIT */
/*
 * tables - machines with tables of how far their nodes are, as hwloc's XML
 */
#ifndef ROTA_TESTS_UNIT_TABLES_H
#define ROTA_TESTS_UNIT_TABLES_H

#include <hwloc.h>
#include <stdlib.h>
#include <string.h>
#include <hwloc/distances.h>

#include "sched/topology.h"
#include "tests/check.h"

#define TABLE_LATENCY HWLOC_DISTANCES_KIND_MEANS_LATENCY
#define TABLE_BANDWIDTH HWLOC_DISTANCES_KIND_MEANS_BANDWIDTH
#define TABLE_OS HWLOC_DISTANCES_KIND_FROM_OS
#define TABLE_GROUPS (1ul << 30) /* hwloc makes groups of it, if it sees any */

/* Of the nodes first, first + step, ...: n of them, n * n values. */
struct table {
	unsigned long
		kind; /* 0: no table; it is a user's unless it is TABLE_OS */
	unsigned n, first, step;
	const hwloc_uint64_t *values;
};

static inline void table_add(hwloc_topology_t topology,
			     const struct table *table)
{
	hwloc_obj_t *nodes = calloc(table->n, sizeof(hwloc_obj_t));
	size_t size = (size_t)table->n * table->n * sizeof(*table->values);
	hwloc_uint64_t *values = malloc(size);
	unsigned long kind = table->kind & ~TABLE_GROUPS;
	unsigned long flags =
		table->kind & TABLE_GROUPS ? HWLOC_DISTANCES_ADD_FLAG_GROUP : 0;

	if (!(kind & TABLE_OS))
		kind |= HWLOC_DISTANCES_KIND_FROM_USER;
	memcpy(values, table->values, size);
	for (unsigned i = 0; i < table->n; i++)
		nodes[i] =
			hwloc_get_obj_by_type(topology, HWLOC_OBJ_NUMANODE,
					      table->first + i * table->step);
#if HWLOC_API_VERSION >= 0x00020500
	void *handle = hwloc_distances_add_create(topology, NULL, kind, 0);

	cr_assert_not_null(handle);
	cr_assert_eq(hwloc_distances_add_values(topology, handle, table->n,
						nodes, values, 0),
		     0);
	cr_assert_eq(hwloc_distances_add_commit(topology, handle, flags), 0);
#else
	cr_assert_eq(hwloc_distances_add(topology, table->n, nodes, values,
					 kind, flags),
		     0);
#endif
	free(values);
	free(nodes);
}

/* As someone would send it to us; free() it. Takes the topology over. */
static inline char *table_export(hwloc_topology_t topology)
{
	char *xml, *copy;
	int length;

	cr_assert_eq(
		hwloc_topology_export_xmlbuffer(topology, &xml, &length, 0), 0);
	copy = strdup(xml);
	hwloc_free_xmlbuffer(topology, xml);
	hwloc_topology_destroy(topology);
	return copy;
}

/* Of the memory only these nodes are left; the processors stay. */
static inline void table_keep_memory(hwloc_topology_t topology,
				     const char *nodes)
{
	hwloc_bitmap_t set = hwloc_bitmap_alloc();

	hwloc_bitmap_list_sscanf(set, nodes);
	cr_assert_eq(hwloc_topology_restrict(topology, set,
					     HWLOC_RESTRICT_FLAG_BYNODESET),
		     0);
	hwloc_bitmap_free(set);
}

/*
 * The machine as someone would send it to us; free() it. @keep: processors that
 * exist, NULL: all. Nodes that lose theirs stay.
 */
static inline char *table_xml(const char *synthetic, const char *keep,
			      const struct table *tables, unsigned n)
{
	hwloc_topology_t topology;

	cr_assert_eq(topology_load(&topology, synthetic), 0, "%s", synthetic);
	for (unsigned i = 0; i < n; i++)
		if (tables[i].kind)
			table_add(topology, &tables[i]);
	if (keep) {
		hwloc_bitmap_t cpus = hwloc_bitmap_alloc();

		hwloc_bitmap_list_sscanf(cpus, keep);
		cr_assert_eq(hwloc_topology_restrict(topology, cpus, 0), 0);
		hwloc_bitmap_free(cpus);
	}
	return table_export(topology);
}

/* Four nodes, each next to two of the others: node 0 to 1 and 2. */
static const hwloc_uint64_t table_square[] = {10, 16, 16, 22, 16, 10, 22, 16,
					      16, 22, 10, 16, 22, 16, 16, 10};

#endif
