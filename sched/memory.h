/* SPDX-License-Identifier: MIT */
/*
 * memory - slabs, pools and magazines: all memory of the hot paths
 *
 *   source    2 MiB chunks from the allocator (mmap or the user's hooks)
 *   slabs     a table of chunks cut into equal cells; a 32-bit number names a
 *             cell, so an id or a handle finds its memory with one load
 *   pool      the blocks of one size
 *   depot     a pool's free blocks on one NUMA node, in batches, under a lock
 *   magazine  a private stock of one pool's blocks: no atomics
 *
 * Memory is type-stable: a cell stays a cell of its slab until the source is
 * finished, so that a stale number always leads to a valid header.
 *
 * A free block is linked through its bytes 16 to 39; a block's other bytes
 * keep their values while it is free.
 */
#ifndef ROTA_SCHED_MEMORY_H
#define ROTA_SCHED_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <atomic_ops.h>

#include "sched/budget.h"
#include "sched/spin.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define CACHE_LINE 64
#define CHUNK_SHIFT 21
#define CHUNK_SIZE ((size_t)1 << CHUNK_SHIFT)

/* ---- source ---- */

struct source {
	void *(*map)(void *context, size_t size);
	void (*unmap)(void *context, void *block, size_t size);
	void *context;
	struct budget *budget;	/* set after source_init(); NULL: no limit */
	AO_TS_t xlock;		/* everything below */
	char *spare;		/* mapped, not handed out yet */
	size_t n_spare;		/* chunks there */
	size_t grow;		/* chunks to map next time */
	struct extent *extents; /* what was mapped, to give back */
	size_t n_extents;
	size_t max_extents;
	bool is_unusable; /* map() gave a block that cannot be used */
	AO_t xbytes;	  /* mapped; read by anyone as a statistic */
	/* ---- see source_spread() */
	unsigned n_nodes;
	uint16_t *home;	      /* of a chunk, by its address; or NULL */
	struct depot *depots; /* not given out yet */
	unsigned n_depots;
};

/* NULL functions: mmap. */
void source_init(struct source *source, void *(*map)(void *, size_t),
		 void (*unmap)(void *, void *, size_t), void *context);
void source_fini(struct source *source);

/*
 * One chunk, zeroed, CHUNK_SIZE aligned, below 2^47; NULL if there is no
 * memory. @huge asks for huge pages.
 */
void *source_chunk(struct source *source, bool huge);

/*
 * From now on chunks belong to one of @n_nodes NUMA nodes, those that have been
 * handed out to the first. Once, while no other thread uses it, and before
 * pool_spread(). 0 or -ENOMEM; then all is as before.
 */
int source_spread(struct source *source, unsigned n_nodes);

/* ---- slabs ---- */

/* A cell's number: chunk in the table << 15 | cell in the chunk. */
#define SLAB_CELL_BITS 15
#define SLAB_CELL_MASK ((1u << SLAB_CELL_BITS) - 1)
#define SLAB_MAX_CHUNKS (1u << (32 - SLAB_CELL_BITS))

struct slabs {
	AO_t *xentry;	  /* chunk address | cell size / 64; written once under
	                   xlock, read by anyone */
	unsigned *xn_cut; /* cells of that chunk that exist, of a moment ago;
	                     written under the lock of its pool, read by anyone
	                     */
	AO_TS_t xlock;
	unsigned n_chunks; /* entry 0 is never used: number 0 names nothing */
};

int slabs_init(struct slabs *slabs);
void slabs_fini(struct slabs *slabs);

/* Look at all cells that exist: those that come meanwhile may be missed. */
void slabs_visit(struct slabs *slabs,
		 void (*visit)(void *context, uint32_t number), void *context);

/*
 * The cell of that number, or NULL if no chunk holds it. The address is valid
 * memory for any number, also a made-up one.
 */
static inline void *slabs_cell(const AO_t *entries, uint32_t number)
{
	/* [M1] pairs with slabs_add(): the chunk's cells are initialised */
	AO_t entry = AO_load_acquire(&entries[number >> SLAB_CELL_BITS]);
	size_t offset = (number & SLAB_CELL_MASK) *
			((entry & (CHUNK_SIZE - 1)) * CACHE_LINE);

	/* No chunk: the entry is 0, and so are offset and address. Added as
	   numbers: NULL plus 0 is no valid expression between pointers. */
	if (unlikely(offset >= CHUNK_SIZE))
		return NULL;
	return (void *)((entry & ~(AO_t)(CHUNK_SIZE - 1)) + offset);
}

/* ---- pools ---- */

/* The link of a free block; see the top for where it lies. */
struct free_block {
	char kept[16];
	struct free_block *next;
	union {
		/* Valid in a batch's first block; under the pool's lock. */
		struct free_block *next_batch;
		AO_t xnext_batch; /* as which it is written: others may still
		                     look there for what the block was */
	};
	size_t n_batch; /* likewise */
};

/* The batch of pools of small blocks. */
#define POOL_BATCH 64u

/* A pool's share on one node. All under the lock. */
struct depot {
	_Alignas(CACHE_LINE) AO_TS_t xlock;
	struct free_block *batches;
	size_t n_free;	       /* blocks in batches */
	size_t n_carved;       /* blocks made so far */
	char *fresh;	       /* uncut rest of the newest chunk */
	size_t n_fresh;	       /* blocks there */
	uint32_t fresh_number; /* number of the block at fresh */
	uint32_t next_number;  /* reserved for the next chunk, or 0 */
	size_t n_chunks;
};

struct pool {
	struct depot *depots; /* one per node of the source */
	unsigned n_depots;
	AO_t xn_chunks; /* in all; read by anyone as a statistic */
	/* constants */
	size_t block_size; /* a multiple of 64 */
	unsigned batch;	   /* blocks moved at a time */
	struct source *source;
	struct slabs *slabs; /* NULL: blocks have no numbers */
	/* Called once per block when it is cut, before anyone can name it. */
	void (*carve)(void *block, uint32_t number, uint32_t parameter);
	uint32_t parameter;
	struct depot first; /* on most machines the only one */
};

struct magazine {
	struct free_block *blocks;
	struct free_block *spare; /* a full batch, or NULL */
	unsigned n_blocks;
	const unsigned *node; /* where its owner is now; NULL: on the first */
};

void pool_init(struct pool *pool, size_t block_size, struct source *source,
	       struct slabs *slabs, void (*carve)(void *, uint32_t, uint32_t),
	       uint32_t parameter);

/* A depot on each node of its source, which has been spread. While no other
   thread uses it; it may have been used before. */
void pool_spread(struct pool *pool);

/* Refill an empty magazine / make room in a full one: the slow halves. */
void *pool_refill(struct pool *pool, struct magazine *magazine);
void pool_drain(struct pool *pool, struct magazine *magazine);

/* Give all of a magazine back. */
void pool_flush(struct pool *pool, struct magazine *magazine);

/* How many blocks are in use; exact once all magazines are flushed. */
size_t pool_in_use(struct pool *pool);

/* A block out of the magazine, NULL if that is empty. */
static inline void *pool_try_get(struct magazine *magazine)
{
	struct free_block *block = magazine->blocks;

	if (unlikely(block == NULL))
		return NULL;
	magazine->blocks = block->next;
	magazine->n_blocks--;
	return block;
}

/* Undo pool_try_get(). */
static inline void pool_put_back(struct magazine *magazine, void *unused)
{
	struct free_block *block = unused;

	block->next = magazine->blocks;
	magazine->blocks = block;
	magazine->n_blocks++;
}

/* A block, contents as left by its last user; NULL if there is no memory. */
static inline void *pool_get(struct pool *pool, struct magazine *magazine)
{
	void *block = pool_try_get(magazine);

	return likely(block != NULL) ? block : pool_refill(pool, magazine);
}

/* pool_put() if the magazine has room for one of @batch; the pool's batch may
   be known to the caller. */
static inline bool pool_try_put(struct magazine *magazine, unsigned batch,
				void *freed)
{
	if (unlikely(magazine->n_blocks >= batch))
		return false;
	pool_put_back(magazine, freed);
	return true;
}

static inline void pool_put(struct pool *pool, struct magazine *magazine,
			    void *freed)
{
	if (unlikely(magazine->n_blocks >= pool->batch))
		pool_drain(pool, magazine);
	pool_put_back(magazine, freed);
}

#endif
