/* SPDX-License-Identifier: MIT */
/*
 * latency - how far NUMA nodes are from each other, as the machine's table says
 *
 * The table is hwloc's: the firmware's, or one that somebody has measured and
 * written into the XML. Many machines have none, or one that lacks nodes.
 */
#ifndef ROTA_SCHED_LATENCY_H
#define ROTA_SCHED_LATENCY_H

#include <hwloc.h>
#include <stdint.h>

#define LATENCY_UNKNOWN UINT64_MAX

struct latency {
	unsigned n;	/* nodes; 0: there is no table */
	unsigned *twin; /* of each: the first one with the same processors */
	uint64_t *of;	/* n rows; those of first ones are filled in */
};

/* 0 or -ENOMEM; call latency_fini() in both cases. */
int latency_init(struct latency *latency, hwloc_topology_t topology);
void latency_fini(struct latency *latency);

/*
 * From processors at the one node to memory at the other, both by logical
 * index: less is nearer, the unit is the table's own. Of several nodes with the
 * same processors the nearest counts. LATENCY_UNKNOWN: the table does not say.
 */
uint64_t latency_between(const struct latency *latency, unsigned from,
			 unsigned to);

#endif
