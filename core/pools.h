/* SPDX-License-Identifier: MIT */
/*
 * pools - all pools of an engine, for what is done with each of them
 *
 * Problem:    an engine has a dozen pools, and each cache a magazine for every
 *             one; what was done with all of them was written out five times,
 *             and a new pool had to be added to all five.
 * Approach:   a list, one row for each kind of block.
 */
#ifndef ROTA_CORE_POOLS_H
#define ROTA_CORE_POOLS_H

#include <stddef.h>
#include <stdint.h>

struct cache;
struct engine;

/* The cell class for so many bytes of header and state; -1: too large. */
int cell_class(size_t bytes);
size_t cell_size(unsigned class);

/* The source and its pools. While no other thread has the engine. */
void pools_init(struct engine *engine);

/* A depot for each NUMA node of the engine's crew, likewise. 0 or -ENOMEM. */
int pools_spread(struct engine *engine);

/* The cache's magazines are filled on the node where @node says that its owner
   is, whenever they are. */
void pools_place_cache(struct cache *cache, const unsigned *node);

/* All that the cache has goes back to the pools. */
void pools_flush_cache(struct engine *engine, struct cache *cache);

/* Bytes by enum rota_memory_kind, added to @of; of a moment ago. */
void pools_measure(struct engine *engine, uint64_t *of);

/* Debug builds: an engine that has ended in order holds nothing, or abort(). */
void pools_check(struct engine *engine);

#endif
