/* SPDX-License-Identifier: MIT */
/*
 * topology - loads a description of this machine, or of one that is elsewhere
 */
#ifndef ROTA_SCHED_TOPOLOGY_H
#define ROTA_SCHED_TOPOLOGY_H

#include <hwloc.h>
#include <stdbool.h>

/*
 * Load @description: NULL is this machine; what begins with "<" is XML; what
 * ends in ".xml" is the name of a file of XML; all else is a synthetic
 * description ("pack:2 core:4 pu:2"). The caller destroys what it gets.
 * Errors: -EINVAL (unusable description), -ENOMEM.
 * The parser of XML is hwloc's, which some mangled files crash (2.9): it must
 * come from a source that is trusted.
 */
int topology_load(hwloc_topology_t *topology, const char *description);

/*
 * The processors this process may use, the caller's to free; NULL if that is
 * not known, or if the topology is of another machine.
 */
hwloc_bitmap_t topology_affinity(hwloc_topology_t topology);

#endif
