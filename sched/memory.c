/* SPDX-License-Identifier: MIT */
/*
 * memory - slabs, pools and magazines: all memory of the hot paths
 *
 * Problem:    an engine frees most blocks on another thread than the one that
 *             allocated them, millions of times a second, and ids must find
 *             their actor without a lock even when it is long dead.
 * Approach:   blocks of one size come from chunks that are never given back
 *             while the engine lives. Each worker has a magazine of at most
 *             two batches per size; full batches go to the pool and come from
 *             it, one lock per batch. A block goes to the magazine of whoever
 *             frees it: a ping-pong of messages between two workers recycles
 *             without traffic.
 *             Where a machine has several NUMA nodes each pool has a depot on
 *             each. A chunk belongs to one of them: the threads of that node
 *             cut it, so that they touch its pages first and the kernel takes
 *             them from there. Blocks may be freed anywhere; when a magazine
 *             is full they go back to where they are from, which a table by
 *             address tells. A depot without memory takes what others have:
 *             far memory is better than none. On a virtual machine of two nodes
 *             all of the actors spawned first lie where they were spawned, and
 *             of later ones, in memory that others have freed, 96 to 100 of a
 *             hundred (before: 45 to 67); unless the kernel moves their pages
 *             (numa_balancing).
 * Rejected:   returning blocks to their owner (a queue per pair of workers,
 *             and an owner that sleeps hoards); lock-free batches (a pop by
 *             many needs a double-width CAS or hazards; the lock is taken once
 *             per 64 blocks); huge pages from the first chunk on (an engine
 *             with ten actors would touch 2 MiB per size); binding chunks to
 *             nodes by mbind() (each is a mapping of its own then, of which a
 *             process has 65,530; who cuts it decides just as well).
 * Invariants: I1 n_carved = blocks in use + in magazines + n_free, of all
 *                depots together.
 *             I2 a magazine's n_blocks <= batch; its spare is NULL or holds
 *                exactly one batch.
 *             I3 a depot's batches and fresh blocks are of its own chunks.
 * Orderings:  [M1] slabs_add() store -> slabs_cell() load: who can name a cell
 *             by an honest number sees it carved; the number itself travels
 *             with its own ordering (messages), this edge covers made-up ones.
 *             [M2] depot_carve_batch() store -> slabs_visit() load: who visits all
 *             cells finds them carved.
 *             [L1] see spin.h; the pool's lock: a block's contents pass from
 *             the thread that freed it to the one that gets it.
 */
#include "sched/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "sched/poison.h"

/* ---- source ---- */

#define SOURCE_MAX_GROW 16 /* chunks mapped at a time, at most */

struct extent {
	void *start;
	size_t size;
};

static void *map_aligned(void *context, size_t size)
{
	char *raw, *start;
	size_t head;

	(void)context;
	raw = mmap(NULL, size + CHUNK_SIZE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (raw == MAP_FAILED)
		return NULL;
	head = (CHUNK_SIZE - ((uintptr_t)raw & (CHUNK_SIZE - 1))) &
	       (CHUNK_SIZE - 1);
	start = raw + head;
	if (head != 0)
		munmap(raw, head);
	if (head != CHUNK_SIZE)
		munmap(start + size, CHUNK_SIZE - head);
	return start;
}

static void unmap_aligned(void *context, void *block, size_t size)
{
	(void)context;
	munmap(block, size);
}

void source_init(struct source *source, void *(*map)(void *, size_t),
		 void (*unmap)(void *, void *, size_t), void *context)
{
	memset(source, 0, sizeof(*source));
	source->map = map ? map : map_aligned;
	source->unmap = map ? unmap : unmap_aligned;
	source->context = context;
	source->xlock = AO_TS_INITIALIZER;
	source->grow = 1;
	source->n_nodes = 1;
}

/* ---- of several nodes */

#define SOURCE_MAX_POOLS 64
#define MAX_ADDRESS_BITS 47
#define HOMES_SIZE \
	(sizeof(uint16_t) << (MAX_ADDRESS_BITS - CHUNK_SHIFT)) /* 128 MiB */

static size_t spread_size(unsigned n_nodes)
{
	return HOMES_SIZE + SOURCE_MAX_POOLS * n_nodes * sizeof(struct depot);
}

/* Of all this a page is touched per 4 GiB of addresses, and what pools have. */
int source_spread(struct source *source, unsigned n_nodes)
{
	void *tables;

	if (n_nodes == 1)
		return 0;
	tables = mmap(NULL, spread_size(n_nodes), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (tables == MAP_FAILED)
		return -ENOMEM;
	source->home = tables;
	source->depots = (struct depot *)((char *)tables + HOMES_SIZE);
	source->n_depots = SOURCE_MAX_POOLS * n_nodes;
	source->n_nodes = n_nodes;
	return 0;
}

static uint16_t *home_of(const struct source *source, const void *block)
{
	return &source->home[(uintptr_t)block >> CHUNK_SHIFT];
}

/* One for each node; NULL if there were too many pools. */
static struct depot *take_depots(struct source *source)
{
	struct depot *depots = source->depots;

	if (source->n_depots < source->n_nodes)
		return NULL;
	source->depots += source->n_nodes;
	source->n_depots -= source->n_nodes;
	return depots;
}

/* ---- */

void source_fini(struct source *source)
{
	size_t i;

	for (i = 0; i < source->n_extents; i++)
		source->unmap(source->context, source->extents[i].start,
			      source->extents[i].size);
	if (source->extents)
		munmap(source->extents,
		       source->max_extents * sizeof(struct extent));
	if (source->home)
		munmap(source->home, spread_size(source->n_nodes));
	source->home = NULL;
	source->extents = NULL;
	source->n_extents = 0;
}

/* The list of extents is mapped too: no malloc below the engine. */
static bool extents_reserve(struct source *source)
{
	size_t bigger = source->max_extents ? source->max_extents * 2 : 256;
	struct extent *list;

	if (source->n_extents < source->max_extents)
		return true;
	list = mmap(NULL, bigger * sizeof(*list), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (list == MAP_FAILED)
		return false;
	if (source->extents) {
		memcpy(list, source->extents,
		       source->n_extents * sizeof(*list));
		munmap(source->extents, source->max_extents * sizeof(*list));
	}
	source->extents = list;
	source->max_extents = bigger;
	return true;
}

static bool source_grow(struct source *source, size_t n_chunks)
{
	size_t size = n_chunks * CHUNK_SIZE;
	char *start;

	if (!extents_reserve(source))
		return false;
	if (!budget_take(source->budget, size)) {
		if (n_chunks == 1)
			budget_refuse(source->budget);
		return false;
	}
	start = source->map(source->context, size);
	if (!start) {
		budget_give(source->budget, size);
		return false;
	}
	if (((uintptr_t)start & (CHUNK_SIZE - 1)) != 0 ||
	    ((uintptr_t)start + size) >> MAX_ADDRESS_BITS != 0) {
		/* Message words have no room for such an address. */
		source->unmap(source->context, start, size);
		budget_give(source->budget, size);
		source->is_unusable = true;
		return false;
	}
	poison_forget(start, size);
	source->extents[source->n_extents++] = (struct extent){start, size};
	source->spare = start;
	source->n_spare = n_chunks;
	/* A statistic: readers need no order. */
	AO_fetch_and_add(&source->xbytes, size);
	return true;
}

/* As much as is due, or what there is of it. */
static bool source_grow_some(struct source *source)
{
	size_t n;

	for (n = source->grow; n > 0; n /= 2)
		if (source_grow(source, n))
			return true;
	return false;
}

void *source_chunk(struct source *source, bool huge)
{
	void *chunk = NULL;

	/*
	 * The user's map() runs under this lock: a chunk is needed once per
	 * 2 MiB, and whoever else needs one has to wait for it anyway.
	 */
	spin_lock(&source->xlock);
	if (source->n_spare > 0 || source_grow_some(source)) {
		chunk = source->spare;
		source->spare += CHUNK_SIZE;
		source->n_spare--;
		if (source->n_spare == 0 && source->grow < SOURCE_MAX_GROW)
			source->grow *= 2;
	}
	spin_unlock(&source->xlock);
	if (chunk)
		madvise(chunk, CHUNK_SIZE,
			huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	return chunk;
}

/* ---- slabs ---- */

/* Both tables, one behind the other. */
#define SLABS_TABLE_SIZE (SLAB_MAX_CHUNKS * (sizeof(AO_t) + sizeof(unsigned)))

int slabs_init(struct slabs *slabs)
{
	void *table = mmap(NULL, SLABS_TABLE_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (table == MAP_FAILED)
		return -1;
	slabs->xentry = table;
	slabs->xn_cut = (unsigned *)(slabs->xentry + SLAB_MAX_CHUNKS);
	slabs->xlock = AO_TS_INITIALIZER;
	slabs->n_chunks = 1;
	return 0;
}

void slabs_fini(struct slabs *slabs)
{
	if (slabs->xentry)
		munmap(slabs->xentry, SLABS_TABLE_SIZE);
	slabs->xentry = NULL;
}

/* Enter a chunk; the first cell's number, or 0 if the table is full. */
static uint32_t slabs_reserve(struct slabs *slabs)
{
	uint32_t number = 0;

	spin_lock(&slabs->xlock);
	if (slabs->n_chunks < SLAB_MAX_CHUNKS)
		number = slabs->n_chunks++ << SLAB_CELL_BITS;
	spin_unlock(&slabs->xlock);
	return number;
}

static void slabs_add(struct slabs *slabs, uint32_t number, void *chunk,
		      size_t cell_size)
{
	/* [M1] pairs with slabs_cell() */
	AO_store_release(&slabs->xentry[number >> SLAB_CELL_BITS],
			 (AO_t)chunk | (AO_t)(cell_size / CACHE_LINE));
}

/* Of the rest of a chunk nobody has touched the memory yet, nor should we. */
void slabs_visit(struct slabs *slabs,
		 void (*visit)(void *context, uint32_t number), void *context)
{
	unsigned chunk, n_chunks, cell, n_cut;

	spin_lock(&slabs->xlock);
	n_chunks = slabs->n_chunks;
	spin_unlock(&slabs->xlock);
	for (chunk = 1; chunk < n_chunks; chunk++) {
		/* [M2] pairs with depot_carve_batch(): the cells are carved */
		n_cut = AO_int_load_acquire(&slabs->xn_cut[chunk]);
		for (cell = 0; cell < n_cut; cell++)
			visit(context, chunk << SLAB_CELL_BITS | cell);
	}
}

/* ---- pools ---- */

void pool_init(struct pool *pool, size_t block_size, struct source *source,
	       struct slabs *slabs, void (*carve)(void *, uint32_t, uint32_t),
	       uint32_t parameter)
{
	size_t batch = 32768 / block_size;

	memset(pool, 0, sizeof(*pool));
	pool->depots = &pool->first;
	pool->n_depots = 1;
	pool->first.xlock = AO_TS_INITIALIZER;
	pool->block_size = block_size;
	pool->batch = batch < 1		   ? 1
		      : batch > POOL_BATCH ? POOL_BATCH
					   : (unsigned)batch;
	pool->source = source;
	pool->slabs = slabs;
	pool->carve = carve;
	pool->parameter = parameter;
}

void pool_spread(struct pool *pool)
{
	struct source *source = pool->source;
	struct depot *depots = source->n_nodes > 1 ? take_depots(source) : NULL;
	unsigned i;

	if (!depots)
		return;
	depots[0] = pool->first;
	for (i = 1; i < source->n_nodes; i++)
		depots[i].xlock = AO_TS_INITIALIZER;
	pool->depots = depots;
	pool->n_depots = source->n_nodes;
}

/* Needs the depot's lock. */
static bool depot_grow(struct pool *pool, struct depot *depot)
{
	char *chunk;

	/* A number stays reserved if there is no chunk for it now. */
	if (pool->slabs && depot->next_number == 0) {
		depot->next_number = slabs_reserve(pool->slabs);
		if (depot->next_number == 0)
			return false; /* 4 G cells */
	}
	chunk = source_chunk(pool->source, depot->n_chunks > 0);
	if (!chunk)
		return false;
	if (pool->n_depots > 1)
		*home_of(pool->source, chunk) =
			(uint16_t)(depot - pool->depots);
	if (pool->slabs)
		slabs_add(pool->slabs, depot->next_number, chunk,
			  pool->block_size);
	depot->fresh = chunk;
	depot->n_fresh = CHUNK_SIZE / pool->block_size;
	depot->fresh_number = depot->next_number;
	depot->next_number = 0;
	depot->n_chunks++;
	/* A statistic: readers need no order. */
	AO_fetch_and_add1(&pool->xn_chunks);
	return true;
}

/* Cut one block off the fresh chunk. Needs the depot's lock. */
static struct free_block *depot_carve(struct pool *pool, struct depot *depot)
{
	char *block = depot->fresh;

	if (pool->carve)
		pool->carve(block, depot->fresh_number, pool->parameter);
	depot->fresh += pool->block_size;
	depot->fresh_number++;
	depot->n_fresh--;
	depot->n_carved++;
	return (struct free_block *)block;
}

/* A batch of fresh blocks, of which there are some, in the order of their
   addresses. Needs the depot's lock. */
static struct free_block *depot_carve_batch(struct pool *pool,
					    struct depot *depot)
{
	struct free_block *first, *last;
	size_t n = 1;

	first = last = depot_carve(pool, depot);
	while (n < pool->batch && depot->n_fresh > 0) {
		last->next = depot_carve(pool, depot);
		last = last->next;
		n++;
	}
	last->next = NULL;
	first->n_batch = n;
	if (pool->slabs)
		/* [M2] pairs with slabs_visit() */
		AO_int_store_release(
			&pool->slabs->xn_cut[(depot->fresh_number - 1) >>
					     SLAB_CELL_BITS],
			((depot->fresh_number - 1) & SLAB_CELL_MASK) + 1);
	return first;
}

static struct free_block *depot_take(struct pool *pool, struct depot *depot,
				     bool may_grow)
{
	struct free_block *batch;

	spin_lock(&depot->xlock);
	batch = depot->batches;
	if (batch) {
		depot->batches = batch->next_batch;
		depot->n_free -= batch->n_batch;
	} else if (depot->n_fresh > 0 ||
		   (may_grow && depot_grow(pool, depot))) {
		batch = depot_carve_batch(pool, depot);
	}
	spin_unlock(&depot->xlock);
	return batch;
}

static void depot_give(struct depot *depot, struct free_block *batch, size_t n)
{
	batch->n_batch = n;
	spin_lock(&depot->xlock);
	/* Relaxed: the lock orders. */
	AO_store(&batch->xnext_batch, (AO_t)depot->batches);
	depot->batches = batch;
	depot->n_free += n;
	spin_unlock(&depot->xlock);
}

static struct free_block *take_batch(struct pool *pool, unsigned node)
{
	struct free_block *batch = depot_take(pool, &pool->depots[node], true);
	unsigned i;

	for (i = 1; i < pool->n_depots && !batch; i++)
		batch = depot_take(pool,
				   &pool->depots[(node + i) % pool->n_depots],
				   false);
	return batch;
}

/* Part those that are from where the first is from off a list. */
static struct free_block *part(const struct source *source,
			       struct free_block **list, size_t *n)
{
	struct free_block *first = *list, *block, **own = &first, **rest = list;
	unsigned home = *home_of(source, first);

	*n = 0;
	for (block = first; block; block = block->next)
		if (*home_of(source, block) == home) {
			*own = block;
			own = &block->next;
			++*n;
		} else {
			*rest = block;
			rest = &block->next;
		}
	*own = *rest = NULL;
	return first;
}

/* Each to where it is from. */
static void give_home(struct pool *pool, struct free_block *blocks)
{
	while (blocks) {
		unsigned home = *home_of(pool->source, blocks);
		size_t n;
		struct free_block *batch = part(pool->source, &blocks, &n);

		depot_give(&pool->depots[home], batch, n);
	}
}

static void give_batch(struct pool *pool, struct free_block *batch, size_t n)
{
	if (likely(pool->n_depots == 1))
		depot_give(pool->depots, batch, n);
	else
		give_home(pool, batch);
}

void *pool_refill(struct pool *pool, struct magazine *magazine)
{
	struct free_block *batch = magazine->spare;

	if (batch) {
		magazine->spare = NULL;
		magazine->n_blocks = pool->batch;
	} else {
		batch = take_batch(pool, pool->n_depots > 1 && magazine->node
						 ? *magazine->node
						 : 0);
		if (!batch)
			return NULL;
		magazine->n_blocks = (unsigned)batch->n_batch;
	}
	magazine->blocks = batch->next;
	magazine->n_blocks--;
	return batch;
}

void pool_drain(struct pool *pool, struct magazine *magazine)
{
	if (magazine->spare)
		give_batch(pool, magazine->spare, pool->batch);
	magazine->spare = magazine->blocks;
	magazine->blocks = NULL;
	magazine->n_blocks = 0;
}

void pool_flush(struct pool *pool, struct magazine *magazine)
{
	if (magazine->spare)
		give_batch(pool, magazine->spare, pool->batch);
	if (magazine->blocks)
		give_batch(pool, magazine->blocks, magazine->n_blocks);
	magazine->spare = magazine->blocks = NULL;
	magazine->n_blocks = 0;
}

size_t pool_in_use(struct pool *pool)
{
	size_t n = 0;
	unsigned i;

	for (i = 0; i < pool->n_depots; i++) {
		struct depot *depot = &pool->depots[i];

		spin_lock(&depot->xlock);
		n += depot->n_carved - depot->n_free;
		spin_unlock(&depot->xlock);
	}
	return n;
}
