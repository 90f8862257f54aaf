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
 * Rejected:   returning blocks to their owner (a queue per pair of workers,
 *             and an owner that sleeps hoards); lock-free batches (a pop by
 *             many needs a double-width CAS or hazards; the lock is taken once
 *             per 64 blocks); huge pages from the first chunk on (an engine
 *             with ten actors would touch 2 MiB per size).
 * Invariants: I1 n_carved = blocks in use + in magazines + n_free.
 *             I2 a magazine's n_blocks <= batch; its spare is NULL or holds
 *                exactly one batch.
 * Orderings:  [M1] slabs_add() store -> slabs_cell() load: who can name a cell
 *             by an honest number sees it carved; the number itself travels
 *             with its own ordering (messages), this edge covers made-up ones.
 *             [M2] pool_carve_batch() store -> slabs_visit() load: who visits all
 *             cells finds them carved.
 *             [L1] see spin.h; the pool's lock: a block's contents pass from the thread
 *             that freed it to the one that gets it.
 */
#include "sched/memory.h"

#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#ifndef WITH_ASAN
#define WITH_ASAN 0
#endif
#if WITH_ASAN
#include <sanitizer/asan_interface.h>
#endif

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
}

void source_fini(struct source *source)
{
	size_t i;

	for (i = 0; i < source->n_extents; i++)
		source->unmap(source->context, source->extents[i].start,
			      source->extents[i].size);
	if (source->extents)
		munmap(source->extents,
		       source->max_extents * sizeof(struct extent));
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

/*
 * A stack that lay here before left its poison. Its shadow is given back, and
 * reads as zeroes: to write them takes 64 pages for each chunk.
 */
static void forget_poison(char *start, size_t size)
{
#if WITH_ASAN
	size_t scale, offset;

	__asan_get_shadow_mapping(&scale, &offset);
	madvise((char *)(((uintptr_t)start >> scale) + offset), size >> scale,
		MADV_DONTNEED);
#else
	(void)start;
	(void)size;
#endif
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
	    ((uintptr_t)start + size) >> 47 != 0) {
		/* Message words have no room for such an address. */
		source->unmap(source->context, start, size);
		budget_give(source->budget, size);
		source->is_unusable = true;
		return false;
	}
	forget_poison(start, size);
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
		/* [M2] pairs with pool_carve_batch(): the cells are carved */
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
	pool->xlock = AO_TS_INITIALIZER;
	pool->block_size = block_size;
	pool->batch = batch < 1		   ? 1
		      : batch > POOL_BATCH ? POOL_BATCH
					   : (unsigned)batch;
	pool->source = source;
	pool->slabs = slabs;
	pool->carve = carve;
	pool->parameter = parameter;
}

/* Needs xlock. */
static bool pool_grow(struct pool *pool)
{
	char *chunk;

	/* A number stays reserved if there is no chunk for it now. */
	if (pool->slabs && pool->next_number == 0) {
		pool->next_number = slabs_reserve(pool->slabs);
		if (pool->next_number == 0)
			return false; /* 4 G cells */
	}
	/* Relaxed: written under the lock only. */
	chunk = source_chunk(pool->source, AO_load(&pool->xn_chunks) > 0);
	if (!chunk)
		return false;
	if (pool->slabs)
		slabs_add(pool->slabs, pool->next_number, chunk,
			  pool->block_size);
	pool->fresh = chunk;
	pool->n_fresh = CHUNK_SIZE / pool->block_size;
	pool->fresh_number = pool->next_number;
	pool->next_number = 0;
	/* Relaxed: as above; to others a statistic. */
	AO_store(&pool->xn_chunks, AO_load(&pool->xn_chunks) + 1);
	return true;
}

/* Cut one block off the fresh chunk. Needs xlock. */
static struct free_block *pool_carve(struct pool *pool)
{
	char *block = pool->fresh;

	if (pool->carve)
		pool->carve(block, pool->fresh_number, pool->parameter);
	pool->fresh += pool->block_size;
	pool->fresh_number++;
	pool->n_fresh--;
	pool->n_carved++;
	return (struct free_block *)block;
}

/* A batch of fresh blocks in the order of their addresses. Needs xlock. */
static struct free_block *pool_carve_batch(struct pool *pool)
{
	struct free_block *first, *last;
	size_t n = 1;

	if (pool->n_fresh == 0 && !pool_grow(pool))
		return NULL;
	first = last = pool_carve(pool);
	while (n < pool->batch && pool->n_fresh > 0) {
		last->next = pool_carve(pool);
		last = last->next;
		n++;
	}
	last->next = NULL;
	first->n_batch = n;
	if (pool->slabs)
		/* [M2] pairs with slabs_visit() */
		AO_int_store_release(
			&pool->slabs->xn_cut[(pool->fresh_number - 1) >>
					     SLAB_CELL_BITS],
			((pool->fresh_number - 1) & SLAB_CELL_MASK) + 1);
	return first;
}

void *pool_refill(struct pool *pool, struct magazine *magazine)
{
	struct free_block *batch = magazine->spare;

	if (batch) {
		magazine->spare = NULL;
		magazine->n_blocks = pool->batch;
	} else {
		spin_lock(&pool->xlock);
		batch = pool->batches;
		if (batch) {
			pool->batches = batch->next_batch;
			pool->n_free -= batch->n_batch;
		} else {
			batch = pool_carve_batch(pool);
		}
		spin_unlock(&pool->xlock);
		if (!batch)
			return NULL;
		magazine->n_blocks = (unsigned)batch->n_batch;
	}
	magazine->blocks = batch->next;
	magazine->n_blocks--;
	return batch;
}

static void pool_push_batch(struct pool *pool, struct free_block *batch,
			    size_t n)
{
	batch->n_batch = n;
	spin_lock(&pool->xlock);
	/* Relaxed: the lock orders. */
	AO_store(&batch->xnext_batch, (AO_t)pool->batches);
	pool->batches = batch;
	pool->n_free += n;
	spin_unlock(&pool->xlock);
}

void pool_drain(struct pool *pool, struct magazine *magazine)
{
	if (magazine->spare)
		pool_push_batch(pool, magazine->spare, pool->batch);
	magazine->spare = magazine->blocks;
	magazine->blocks = NULL;
	magazine->n_blocks = 0;
}

void pool_flush(struct pool *pool, struct magazine *magazine)
{
	if (magazine->spare)
		pool_push_batch(pool, magazine->spare, pool->batch);
	if (magazine->blocks)
		pool_push_batch(pool, magazine->blocks, magazine->n_blocks);
	memset(magazine, 0, sizeof(*magazine));
}

size_t pool_in_use(struct pool *pool)
{
	size_t n;

	spin_lock(&pool->xlock);
	n = pool->n_carved - pool->n_free;
	spin_unlock(&pool->xlock);
	return n;
}
