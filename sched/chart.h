/* SPDX-License-Identifier: MIT */
/*
 * chart - writes a plan of places down as a tree
 */
#ifndef ROTA_SCHED_CHART_H
#define ROTA_SCHED_CHART_H

#include <stddef.h>

#include "sched/place.h"

/*
 * Write the machine with its caches and workers, then each worker's victims in
 * order, and how many there are now if that is another number, into @buffer: at most @size bytes with a NUL at the end, cut off
 * where that is too few. Returns how long the whole text is, without NUL.
 */
size_t chart_print(const struct places *places, unsigned n_present,
		   char *buffer, size_t size);

/* One worker's victims: "core 1; cache 2-3; far 4-7". As chart_print(). */
size_t chart_victims(const struct places *places, unsigned worker, char *buffer,
		     size_t size);

/* The kernel's number of a worker's NUMA node, as numactl has it. */
unsigned chart_node(const struct places *places, unsigned worker);

/* Does this object make a difference to workers, and so have a line? */
bool chart_shows(const struct places *places, hwloc_obj_t object);

/* What NEAR_... is called: "core", "cache", "node", "far". */
const char *nearness_name(enum nearness near);

#endif
