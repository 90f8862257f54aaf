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
 * order, and how many there are now if that is another number, into @buffer: at
 * most @size bytes with a NUL at the end, cut off where that is too few.
 * Returns how long the whole text is, without NUL.
 */
size_t chart_print(const struct places *places, unsigned n_present,
		   char *buffer, size_t size);

/* One worker's victims: "core 1; cache 2-3; far 4-7". As chart_print(). */
size_t chart_victims(const struct places *places, unsigned worker, char *buffer,
		     size_t size);

/* The kernel's number of a worker's NUMA node, as numactl has it; -1: none. */
int chart_node(const struct places *places, unsigned worker);

/* Does this object make a difference to workers, and so have a line? */
bool chart_shows(const struct places *places, hwloc_obj_t object);

/* What that line begins with: "L3 0 (16MB)"; "Core 1, fast (cpu 2-3)", with its
   processors if a worker sits there. As chart_print(). */
size_t chart_title(const struct places *places, hwloc_obj_t object,
		   char *buffer, size_t size);

/* "Core 1". As chart_print(). */
size_t chart_name(hwloc_obj_t object, char *buffer, size_t size);

/* "fast", "medium" or "slow"; NULL where all are alike, or @object is not a
   core (or what stands for one). */
const char *chart_speed(const struct places *places, hwloc_obj_t object);

/*
 * The NUMA node behind @last (NULL: the first) that belongs to @object, which
 * is shown; NULL: no more. Each belongs to one: what is not shown leaves its
 * memory to what is below if that has the same processors, else to what is
 * around it.
 */
hwloc_obj_t chart_next_memory(const struct places *places, hwloc_obj_t object,
			      hwloc_obj_t last);

/* What NEAR_... is called: "core", "cache", "node", "far". */
const char *nearness_name(enum nearness near);

#endif
