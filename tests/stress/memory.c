/* SPDX-License-Identifier: MIT */
/*
 * memory - blocks wander between threads: is each in one hand, and none lost?
 *
 * Threads get blocks, stamp them, leave them for others to free, and run out
 * of memory now and then. Strangers look up numbers that they made up.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/stress/jitter.h"

#include "sched/memory.c"

#include "tests/stress/crowd.h"
#include "tests/unit/chunks.h"

#define THREADS 4
#define SHELF 512
#define OWN 600

/* Bytes 16 to 39 are the pool's while it is free. */
struct block {
	AO_t xnumber; /* set by carve(), then constant */
	uint64_t stamp[7];
};

static struct chunks chunks;
static struct source source;
static struct slabs slabs;
static struct pool pool;
static AO_t shelf[SHELF]; /* blocks that change hands */
static AO_t *xheld;	  /* per block: 1 while somebody has it */
static AO_t xn_carved;
static AO_t xn_busy; /* threads that are not through */
static unsigned long n_steps;

struct member {
	struct magazine magazine;
	struct block *own[OWN];
	unsigned n_own;
	unsigned long n_moved; /* over the shelf */
	unsigned long n_refused;
	unsigned long n_wrong;
	char pad[64];
};

static struct member members[THREADS + 1];

static void carve(void *start, uint32_t number, uint32_t parameter)
{
	struct block *block = start;

	(void)parameter;
	/* Relaxed: a stranger finds this or zero; others get the block. */
	AO_store(&block->xnumber, number);
	AO_fetch_and_add1(&xn_carved);
}

static AO_t *held(const struct block *block)
{
	/* Relaxed: constant since before anyone had it. */
	uint32_t number = (uint32_t)AO_load(&block->xnumber);

	return &xheld[(number >> SLAB_CELL_BITS) *
			      (CHUNK_SIZE / pool.block_size) +
		      (number & SLAB_CELL_MASK)];
}

static void stamp(struct block *block, uint64_t value)
{
	for (int i = 0; i < 7; i++)
		block->stamp[i] = value;
}

static bool is_stamped(const struct block *block)
{
	for (int i = 1; i < 7; i++)
		if (block->stamp[i] != block->stamp[0])
			return false;
	return true;
}

static struct block *get(struct member *self)
{
	struct block *block = pool_get(&pool, &self->magazine);

	if (!block) {
		self->n_refused++;
		return NULL;
	}
	/* Relaxed: if two have it, the second one sees the first one's. */
	if (AO_fetch_and_add1(held(block)) != 0)
		self->n_wrong++;
	stamp(block, (uint64_t)jitter_random());
	return block;
}

static void put(struct member *self, struct block *block)
{
	if (!is_stamped(block) || AO_fetch_and_sub1(held(block)) != 1)
		self->n_wrong++;
	pool_put(&pool, &self->magazine, block);
}

/* Put one on the shelf, take what lay there. */
static void change_hands(struct member *self)
{
	AO_t *place = &shelf[jitter_random() % SHELF];
	unsigned k = jitter_random() % self->n_own;
	AO_t there = AO_load(place);

	if (!AO_compare_and_swap_full(place, there, (AO_t)self->own[k]))
		return;
	self->n_moved++;
	self->own[k] = (struct block *)there;
	if (!there)
		self->own[k] = self->own[--self->n_own];
}

static void step(struct member *self, bool up)
{
	uint32_t choice = jitter_random() % 16;
	struct block *block;

	if (choice < 4 && self->n_own > 0)
		change_hands(self);
	else if (choice < (up ? 12 : 8) && self->n_own < OWN) {
		block = get(self);
		if (block)
			self->own[self->n_own++] = block;
	} else if (self->n_own > 0) {
		unsigned k = jitter_random() % self->n_own;

		block = self->own[k];
		self->own[k] = self->own[--self->n_own];
		put(self, block);
	}
}

static void work(unsigned number)
{
	struct member *self = &members[number];

	for (unsigned long i = 0; i < n_steps; i++) {
		step(self, i / 5000 % 2 == 0);
		if (jitter_random() % 20000 == 0)
			pool_flush(&pool, &self->magazine);
	}
	AO_fetch_and_sub1(&xn_busy);
}

/* Any number leads to nothing, or to memory that is or will be that cell. */
static void look_up(unsigned number)
{
	struct member *self = &members[number];

	while (AO_load(&xn_busy) > 0) {
		uint32_t any = jitter_random() & 0xfffff;
		struct block *block = slabs_cell(slabs.xentry, any);
		AO_t found;

		if (!block)
			continue;
		found = AO_load(&block->xnumber);
		if (found != 0 && found != any)
			self->n_wrong++;
		self->n_moved++;
	}
}

static void play(unsigned number)
{
	if (number < THREADS)
		work(number);
	else
		look_up(number);
}

static void give_all_back(void)
{
	for (unsigned i = 0; i < THREADS; i++) {
		struct member *member = &members[i];

		while (member->n_own > 0)
			put(member, member->own[--member->n_own]);
		pool_flush(&pool, &member->magazine);
	}
	for (unsigned i = 0; i < SHELF; i++)
		if (shelf[i])
			put(&members[0], (struct block *)shelf[i]);
	pool_flush(&pool, &members[0].magazine);
}

static size_t n_in_hand(void)
{
	size_t n = 0;

	for (unsigned i = 0; i < THREADS; i++)
		n += members[i].n_own;
	for (unsigned i = 0; i < SHELF; i++)
		n += shelf[i] != 0;
	return n;
}

/* All lie where they are from. */
static void check_depots(void)
{
	size_t n = 0;

	for (unsigned i = 0; i < pool.n_depots; i++) {
		cr_assert_eq(pool.depots[i].n_free, pool.depots[i].n_carved);
		n += pool.depots[i].n_carved;
	}
	cr_assert_eq(AO_load(&xn_carved), n);
}

/* Every block comes back, and can be had once more. */
static void check_all(size_t n_chunks)
{
	size_t all = n_chunks * (CHUNK_SIZE / pool.block_size), n = 0;

	for (unsigned i = 0; i <= THREADS; i++) {
		cr_assert_eq(members[i].n_wrong, 0);
		cr_assert_gt(members[i].n_moved, 0);
		if (i < THREADS)
			pool_flush(&pool, &members[i].magazine);
	}
	cr_assert_eq(pool_in_use(&pool), n_in_hand());
	give_all_back();
	cr_assert_eq(pool_in_use(&pool), 0);
	check_depots();
	while (get(&members[0]))
		n++;
	cr_assert_eq(n, all);
	cr_assert_eq(members[0].n_wrong, 0);
}

static const unsigned nodes[] = {0, 1, 2};

static void place_members(unsigned n_nodes)
{
	cr_assert_eq(source_spread(&source, n_nodes), 0);
	pool_spread(&pool);
	for (unsigned i = 0; i <= THREADS; i++)
		members[i].magazine.node = &nodes[i % n_nodes];
}

static unsigned long run(size_t block_size, size_t n_chunks, unsigned n_nodes)
{
	unsigned long n_refused = 0;

	chunks = (struct chunks){.left = n_chunks, .max_once = SIZE_MAX};
	source_init(&source, chunks_map, chunks_unmap, &chunks);
	cr_assert_eq(slabs_init(&slabs), 0);
	pool_init(&pool, block_size, &source, &slabs, carve, 0);
	place_members(n_nodes);
	n_steps = check_stress(1500000);
	/* Numbers begin behind those of an unused chunk, and each node may have
	   reserved those of one more. */
	xheld = calloc((n_chunks + 1 + n_nodes) * (CHUNK_SIZE / block_size),
		       sizeof(*xheld));
	cr_assert_not_null(xheld);
	AO_store(&xn_busy, THREADS);
	crowd_run(THREADS + 1, play);
	for (unsigned i = 0; i < THREADS; i++)
		n_refused += members[i].n_refused;
	check_all(n_chunks);
	free(xheld);
	slabs_fini(&slabs);
	source_fini(&source);
	cr_assert_eq(chunks.n_extents, 0);
	return n_refused;
}

Test(memory, blocks_wander_between_threads, .timeout = 120)
{
	run(64, 4, 1);
}

/* There are 1,024 of these, fewer than are asked for. */
Test(memory, blocks_wander_where_they_are_scarce, .timeout = 120)
{
	cr_assert_gt(run(4096, 2, 1), 0);
}

Test(memory, large_blocks_wander, .timeout = 120)
{
	cr_assert_gt(run(65600, 20, 1), 0);
}

/* Of as many nodes as there are magazines, and of fewer chunks than nodes. */
Test(memory, blocks_wander_between_nodes, .timeout = 120)
{
	run(64, 4, 3);
}

Test(memory, blocks_wander_between_nodes_where_they_are_scarce, .timeout = 120)
{
	cr_assert_gt(run(4096, 2, 3), 0);
}
