/* SPDX-License-Identifier: MIT */
/*
 * memory - do slabs, pools and magazines keep count of every block?
 */
#include <stdlib.h>
#include <string.h>

#include "tests/check.h"
#include "tests/unit/chunks.h"

#define CELLS_MAX ((size_t)1 << SLAB_CELL_BITS)

static struct chunks chunks;
static struct source source;
static struct slabs slabs;
static struct pool pool;
static struct magazine magazine;

static void begin(void)
{
	chunks = (struct chunks){.left = SIZE_MAX, .max_once = SIZE_MAX};
	source_init(&source, chunks_map, chunks_unmap, &chunks);
	cr_assert_eq(slabs_init(&slabs), 0);
}

static void end(void)
{
	slabs_fini(&slabs);
	source_fini(&source);
	cr_assert_eq(chunks.n_extents, 0, "memory was not given back");
	cr_assert_eq(chunks.n_wrong, 0);
}

static bool is_zero(const void *block, size_t size)
{
	const char *bytes = block;

	return *bytes == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

/* ---- source ---- */

static void expect_good_chunk(void *chunk)
{
	cr_assert_not_null(chunk);
	cr_assert_eq((uintptr_t)chunk % CHUNK_SIZE, 0);
	cr_assert_eq((uintptr_t)chunk >> 47, 0);
	cr_assert(is_zero(chunk, CHUNK_SIZE));
	memset(chunk, 1, CHUNK_SIZE);
}

Test(source, gives_whole_aligned_zeroed_chunks)
{
	begin();
	for (int i = 0; i < 40; i++) {
		void *chunk = source_chunk(&source, i % 2);

		/* Zeroed: nobody got it before. */
		expect_good_chunk(chunk);
		cr_assert(chunks_hold(&chunks, chunk, CHUNK_SIZE));
	}
	cr_assert_eq(AO_load(&source.xbytes), chunks_bytes(&chunks));
	end();
}

Test(source, maps_memory_itself_without_hooks)
{
	struct source own;

	source_init(&own, NULL, NULL, NULL);
	for (int i = 0; i < 20; i++)
		expect_good_chunk(source_chunk(&own, i % 2));
	cr_assert_geq(AO_load(&own.xbytes), 20 * CHUNK_SIZE);
	source_fini(&own);
}

Test(source, asks_for_one_chunk_first_and_rarely_later)
{
	begin();
	source_chunk(&source, false);
	cr_assert_eq(chunks_bytes(&chunks), CHUNK_SIZE);
	for (int i = 0; i < 320; i++)
		cr_assert_not_null(source_chunk(&source, false));
	cr_assert_lt(chunks.n_calls, 32);
	cr_assert_lt(chunks_bytes(&chunks), (321 + 16) * CHUNK_SIZE);
	end();
}

Test(source, takes_what_it_can_get)
{
	begin();
	chunks.max_once = 1;
	/* More extents than the first list holds. */
	for (int i = 0; i < 700; i++)
		cr_assert_not_null(source_chunk(&source, false), "%d", i);
	cr_assert_eq(chunks.n_extents, 700);
	cr_assert_eq(AO_load(&source.xbytes), 700 * CHUNK_SIZE);
	end();
}

Test(source, says_when_there_is_no_memory)
{
	begin();
	chunks.left = 5;
	for (int i = 0; i < 5; i++)
		cr_assert_not_null(source_chunk(&source, false));
	for (int i = 0; i < 3; i++)
		cr_assert_null(source_chunk(&source, false));
	cr_assert_eq(AO_load(&source.xbytes), 5 * CHUNK_SIZE);
	chunks.left = 1;
	expect_good_chunk(source_chunk(&source, false));
	cr_assert_null(source_chunk(&source, false));
	cr_assert_eq(AO_load(&source.xbytes), 6 * CHUNK_SIZE);
	end();
}

Test(source, refuses_addresses_that_words_have_no_room_for)
{
	begin();
	chunks.shift = 4096;
	cr_assert_null(source_chunk(&source, false));
	cr_assert_eq(chunks.n_extents, 0, "the refused memory is kept");
	chunks.shift = 0;
	chunks.is_high = true;
	cr_assert_null(source_chunk(&source, false));
	cr_assert_eq(chunks.n_extents, 0);
	cr_assert_eq(AO_load(&source.xbytes), 0);
	chunks.is_high = false;
	expect_good_chunk(source_chunk(&source, false));
	end();
}

/* ---- slabs ---- */

/* What carve() was called with, in order. */
static struct {
	char *block;
	uint32_t number;
} carved[4 * CELLS_MAX];
static size_t n_carved;

static void carve(void *block, uint32_t number, uint32_t parameter)
{
	cr_assert_eq(parameter, 77);
	cr_assert(is_zero(block, 64), "somebody had it before");
	carved[n_carved].block = block;
	carved[n_carved++].number = number;
	memcpy(block, &number, sizeof(number));
}

static void begin_pool(size_t block_size, bool numbered)
{
	begin();
	n_carved = 0;
	memset(&magazine, 0, sizeof(magazine));
	pool_init(&pool, block_size, &source, numbered ? &slabs : NULL, carve,
		  77);
}

static size_t per_chunk(void)
{
	return CHUNK_SIZE / pool.block_size;
}

Test(slabs, number_leads_to_its_cell)
{
	static const size_t sizes[] = {64, 128, 192, 320, 4096, 65600, 1 << 20};

	for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
		size_t n;

		begin_pool(sizes[k], true);
		n = 2 * per_chunk() + 1;
		for (size_t i = 0; i < n; i++)
			cr_assert_not_null(pool_get(&pool, &magazine));
		cr_assert_geq(n_carved, n);
		for (size_t i = 0; i < n_carved; i++)
			cr_assert_eq(slabs_cell(slabs.xentry, carved[i].number),
				     carved[i].block);
		end();
	}
}

static size_t n_visited;

static void visit(void *context, uint32_t number)
{
	cr_assert_eq(context, &slabs);
	cr_assert_lt(n_visited, n_carved);
	cr_assert_eq(number, carved[n_visited++].number);
}

/* Memory that nobody has used is not touched for it. */
Test(slabs, visits_the_cells_that_exist)
{
	static const size_t sizes[] = {64, 192, 4096, 1 << 20};

	for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
		begin_pool(sizes[k], true);
		for (size_t i = 0; i < 2 * per_chunk() + 1; i++) {
			if (i % 1000 == 0 || i + 2 > 2 * per_chunk()) {
				n_visited = 0;
				slabs_visit(&slabs, visit, &slabs);
				cr_assert_eq(n_visited, n_carved);
			}
			cr_assert_not_null(pool_get(&pool, &magazine));
		}
		end();
	}
}

Test(slabs, zero_names_nothing)
{
	begin_pool(64, true);
	cr_assert_null(slabs_cell(slabs.xentry, 0));
	pool_get(&pool, &magazine);
	cr_assert_neq(carved[0].number, 0);
	for (uint32_t i = 0; i < CELLS_MAX; i++)
		cr_assert_null(slabs_cell(slabs.xentry, i));
	end();
}

/* Its first 64 bytes are what everyone reads to find out that it is wrong. */
static void expect_harmless(uint32_t number)
{
	void *cell = slabs_cell(slabs.xentry, number);

	if (cell)
		cr_assert(chunks_hold(&chunks, cell, 64), "%x", number);
}

Test(slabs, made_up_numbers_are_harmless)
{
	struct pool other;
	struct magazine others = {0};

	srand(2);
	begin_pool(192, true);
	pool_init(&other, 65600, &source, &slabs, NULL, 0);
	pool_get(&pool, &magazine);
	pool_get(&other, &others);
	/* All of the chunks that are there, cut or not, and beyond. */
	for (uint32_t i = 0; i < 5 * CELLS_MAX; i++)
		expect_harmless(i);
	for (uint32_t chunk = 3; chunk < SLAB_MAX_CHUNKS; chunk++)
		cr_assert_null(slabs_cell(slabs.xentry,
					  chunk << SLAB_CELL_BITS |
						  (chunk & SLAB_CELL_MASK)));
	for (int i = 0; i < 1000000; i++)
		expect_harmless((uint32_t)rand() << 1 ^ (uint32_t)rand());
	expect_harmless(UINT32_MAX);
	end();
}

/* ---- pools ---- */

Test(pool, cuts_blocks_in_the_order_of_their_addresses)
{
	static const size_t sizes[] = {64, 192, 4096, 65600};

	for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
		begin_pool(sizes[k], true);
		for (size_t i = 0; i < per_chunk(); i++) {
			cr_assert_eq(pool_get(&pool, &magazine),
				     carved[i].block);
			cr_assert_eq(carved[i].block,
				     carved[0].block + i * sizes[k]);
			cr_assert_eq(carved[i].number, carved[0].number + i);
		}
		cr_assert_eq(n_carved, per_chunk());
		cr_assert_eq(carved[0].number & SLAB_CELL_MASK, 0);
		end();
	}
}

Test(pool, carves_each_block_once)
{
	void *block[1000];

	begin_pool(64, true);
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 1000; i++)
			block[i] = pool_get(&pool, &magazine);
		for (int i = 0; i < 1000; i++)
			pool_put(&pool, &magazine, block[i]);
		if (round % 2)
			pool_flush(&pool, &magazine);
	}
	cr_assert_lt(n_carved, 1000 + pool.batch);
	for (size_t i = 1; i < n_carved; i++)
		cr_assert_eq(carved[i].number, carved[0].number + i);
	end();
}

Test(pool, blocks_without_numbers_are_in_no_table)
{
	begin_pool(64, false);
	pool_get(&pool, &magazine);
	cr_assert_eq(carved[0].number, 0);
	for (uint32_t chunk = 0; chunk < SLAB_MAX_CHUNKS; chunk++)
		cr_assert_eq(slabs.xentry[chunk], 0);
	end();
}

Test(pool, moves_about_32_kib_at_a_time)
{
	static const struct {
		size_t size;
		unsigned batch;
	} expected[] = {{64, 64},   {512, 64},	{576, 56},   {4096, 8},
			{32768, 1}, {65600, 1}, {1 << 20, 1}};

	for (size_t k = 0; k < sizeof(expected) / sizeof(*expected); k++) {
		begin_pool(expected[k].size, false);
		cr_assert_eq(pool.batch, expected[k].batch);
		end();
	}
}

/* Only bytes 16 to 39 are the pool's while a block is free. */
Test(pool, free_blocks_keep_their_other_bytes)
{
	enum { N = 300, SIZE = 192 };
	unsigned char *block[N];

	begin_pool(SIZE, false);
	for (int i = 0; i < N; i++) {
		block[i] = pool_get(&pool, &magazine);
		memset(block[i], i, SIZE);
	}
	for (int i = 0; i < N; i++)
		pool_put(&pool, &magazine, block[i]);
	for (int flushed = 0; flushed < 2; flushed++) {
		for (int i = 0; i < N; i++)
			for (int k = 0; k < SIZE; k++)
				if (k < 16 || k >= 40)
					cr_assert_eq(block[i][k],
						     (unsigned char)i);
		pool_flush(&pool, &magazine);
	}
	end();
}

Test(pool, last_block_in_is_first_out)
{
	void *a, *b;

	begin_pool(64, false);
	a = pool_get(&pool, &magazine);
	b = pool_get(&pool, &magazine);
	pool_put(&pool, &magazine, a);
	pool_put(&pool, &magazine, b);
	cr_assert_eq(pool_get(&pool, &magazine), b);
	cr_assert_eq(pool_get(&pool, &magazine), a);
	end();
}

Test(pool, try_get_can_be_undone)
{
	struct magazine before;
	void *block;

	begin_pool(64, false);
	cr_assert_null(pool_try_get(&magazine));
	pool_put(&pool, &magazine, pool_get(&pool, &magazine));
	before = magazine;
	block = pool_try_get(&magazine);
	cr_assert_not_null(block);
	pool_put_back(&magazine, block);
	cr_assert_eq(pool_try_get(&magazine), block);
	pool_put_back(&magazine, block);
	cr_assert_eq(magazine.blocks, before.blocks);
	cr_assert_eq(magazine.n_blocks, before.n_blocks);
	end();
}

/* ---- conservation ---- */

static size_t chain_length(const struct free_block *block)
{
	size_t n = 0;

	for (; block; block = block->next)
		n++;
	return n;
}

/* I2, and how many blocks it holds. */
static size_t check_magazine(const struct magazine *mag)
{
	size_t n = chain_length(mag->blocks);
	size_t n_spare = chain_length(mag->spare);

	cr_assert_eq(n, mag->n_blocks);
	cr_assert_leq(n, pool.batch);
	cr_assert(n_spare == 0 || n_spare == pool.batch);
	return n + n_spare;
}

static unsigned home_of_block(const void *block)
{
	return source.home ? source.home[(uintptr_t)block >> CHUNK_SHIFT] : 0;
}

/* How many lie there; I3 */
static size_t check_depot(unsigned number)
{
	const struct depot *depot = &pool.depots[number];
	const struct free_block *batch, *block;
	size_t n = 0;

	for (batch = depot->batches; batch; batch = batch->next_batch) {
		cr_assert_eq(chain_length(batch), batch->n_batch);
		n += batch->n_batch;
		for (block = batch; block; block = block->next)
			cr_assert_eq(home_of_block(block), number);
	}
	cr_assert_eq(n, depot->n_free);
	if (depot->n_fresh > 0)
		cr_assert_eq(home_of_block(depot->fresh), number);
	return n;
}

/* I1 */
static void check_pool(size_t in_use, size_t in_magazines)
{
	size_t n_free = 0, n = 0;

	for (unsigned i = 0; i < pool.n_depots; i++) {
		n_free += check_depot(i);
		n += pool.depots[i].n_carved;
	}
	cr_assert_eq(n, in_use + in_magazines + n_free);
	cr_assert_eq(n, n_carved);
	cr_assert_eq(pool_in_use(&pool), in_use + in_magazines);
}

enum { HANDS = 3, MOST = 1000 };

static struct {
	void *block[MOST];
	size_t n;
	struct magazine magazine[HANDS];
} play;

static void play_step(void)
{
	struct magazine *mag = &play.magazine[rand() % HANDS];
	/* Long runs up and down, so that batches wander. */
	bool up = rand() % 500 < (play.n < MOST / 2 ? 260 : 240);
	int n = 1 + rand() % 100;

	while (n-- > 0) {
		if (up && play.n < MOST) {
			play.block[play.n] = pool_get(&pool, mag);
			cr_assert_not_null(play.block[play.n++]);
		} else if (!up && play.n > 0) {
			size_t k = (size_t)rand() % play.n;
			void *block = play.block[k];

			play.block[k] = play.block[--play.n];
			pool_put(&pool, mag, block);
		}
	}
	if (rand() % 50 == 0)
		pool_flush(&pool, mag);
}

static const unsigned nodes[] = {0, 1, 2};

static void spread(unsigned n_nodes)
{
	cr_assert_eq(source_spread(&source, n_nodes), 0);
	pool_spread(&pool);
	cr_assert_eq(pool.n_depots, n_nodes);
}

static void play_with(size_t block_size, unsigned n_nodes)
{
	size_t held = 0;

	begin_pool(block_size, true);
	spread(n_nodes);
	memset(&play, 0, sizeof(play));
	for (unsigned k = 0; k < HANDS; k++)
		play.magazine[k].node = &nodes[k % n_nodes];
	for (int i = 0; i < 3000; i++) {
		play_step();
		held = 0;
		for (int k = 0; k < HANDS; k++)
			held += check_magazine(&play.magazine[k]);
		check_pool(play.n, held);
	}
	for (int k = 0; k < HANDS; k++)
		pool_flush(&pool, &play.magazine[k]);
	cr_assert_eq(pool_in_use(&pool), play.n);
	for (int k = 0; k < HANDS; k++)
		cr_assert_eq(check_magazine(&play.magazine[k]), 0);
	end();
}

Test(pool, every_block_is_somewhere)
{
	srand(3);
	for (unsigned n_nodes = 1; n_nodes <= HANDS; n_nodes++) {
		play_with(64, n_nodes);
		play_with(4096, n_nodes);
		play_with(65600, n_nodes);
	}
}

/* One block in two hands would be written by both. */
Test(pool, no_block_is_given_twice)
{
	enum { N = 5000 };
	static uint64_t *block[N];

	srand(4);
	begin_pool(128, false);
	for (uint64_t i = 0; i < 300000; i++) {
		size_t k = (size_t)rand() % N;

		if (block[k]) {
			cr_assert_eq(block[k][15], k);
			pool_put(&pool, &magazine, block[k]);
			block[k] = NULL;
			continue;
		}
		block[k] = pool_get(&pool, &magazine);
		cr_assert(chunks_hold(&chunks, block[k], 128));
		cr_assert_eq((uintptr_t)block[k] % CACHE_LINE, 0);
		block[k][15] = k;
	}
	end();
}

/* ---- nodes ---- */

static struct magazine magazine_on(unsigned node)
{
	return (struct magazine){.node = &nodes[node]};
}

/* Until there are @n whose memory is of that node's; the rest is kept. */
static void take(struct magazine *mag, void **block, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		block[i] = pool_get(&pool, mag);
		cr_assert_not_null(block[i]);
		cr_assert_eq(home_of_block(block[i]), *mag->node);
	}
}

/* Whoever frees them, and however mixed they are. */
Test(nodes, blocks_go_back_to_where_they_are_from)
{
	enum { N = 3000 };
	static void *here[N], *there[N];
	struct magazine one, two, other;

	begin_pool(64, true);
	spread(3);
	one = magazine_on(0);
	two = magazine_on(1);
	other = magazine_on(2);
	for (int round = 0; round < 3; round++) {
		take(&one, here, N);
		take(&two, there, N);
		for (size_t i = 0; i < N; i++) {
			pool_put(&pool, &other, here[i]);
			pool_put(&pool, i % 2 ? &other : &one, there[i]);
		}
		pool_flush(&pool, &one);
		pool_flush(&pool, &other);
		pool_flush(&pool, &two);
		check_pool(0, 0);
		cr_assert_eq(pool.depots[2].n_carved, 0);
		cr_assert_lt(n_carved, 2 * N + 4 * pool.batch);
	}
	end();
}

/* One that was used before is the first node's, with all that it has. */
Test(nodes, what_was_there_before_is_the_firsts)
{
	struct magazine far;
	void *block;

	begin_pool(64, true);
	block = pool_get(&pool, &magazine);
	spread(2);
	far = magazine_on(1);
	cr_assert_eq(home_of_block(block), 0);
	cr_assert_neq(pool_get(&pool, &far), NULL);
	pool_put(&pool, &far, block);
	pool_flush(&pool, &far);
	pool_flush(&pool, &magazine);
	check_pool(1, 0);
	end();
}

/* A magazine follows its owner. */
Test(nodes, who_moves_takes_from_where_it_is)
{
	unsigned node = 0;
	struct magazine mag = {.node = &node};
	void *block;

	begin_pool(4096, true);
	spread(2);
	cr_assert_eq(home_of_block(pool_get(&pool, &mag)), 0);
	node = 1;
	while (home_of_block(block = pool_get(&pool, &mag)) == 0)
		cr_assert_not_null(block);
	cr_assert_leq(n_carved, 2 * pool.batch);
	end();
}

Test(nodes, far_memory_is_better_than_none)
{
	struct magazine far;
	size_t n = 0;

	begin_pool(4096, true);
	spread(3);
	chunks.left = 1;
	far = magazine_on(2);
	cr_assert_not_null(pool_get(&pool, &magazine));
	while (pool_get(&pool, &far))
		n++;
	/* All but what the other's magazine has. */
	cr_assert_eq(n, per_chunk() - pool.batch);
	check_pool(n + 1, pool.batch - 1);
	pool_flush(&pool, &magazine);
	for (n = 0; pool_get(&pool, &far); n++)
		;
	cr_assert_eq(n, pool.batch - 1);
	check_pool(per_chunk(), 0);
	end();
}

/* It goes on as if there were one node. */
Test(nodes, a_pool_too_many_is_not_spread)
{
	static struct pool more[70];
	struct magazine far = magazine_on(2);
	size_t n = 0;

	begin_pool(64, false);
	cr_assert_eq(source_spread(&source, 3), 0);
	for (size_t i = 0; i < 70; i++) {
		pool_init(&more[i], 64, &source, NULL, NULL, 0);
		pool_spread(&more[i]);
		n += more[i].n_depots == 3;
		cr_assert_not_null(pool_get(&more[i], &far));
		pool_flush(&more[i], &far);
	}
	cr_assert_eq(n, 64);
	cr_assert_eq(more[69].n_depots, 1);
	end();
}

/* ---- out of memory ---- */

static size_t get_until_null(struct free_block **list)
{
	struct free_block *block;
	size_t n = 0;

	while ((block = pool_get(&pool, &magazine)) != NULL) {
		block->next_batch = *list;
		*list = block;
		n++;
	}
	return n;
}

static void put_all(struct free_block **list)
{
	while (*list) {
		struct free_block *block = *list;

		*list = block->next_batch;
		pool_put(&pool, &magazine, block);
	}
}

static void exhaust(size_t block_size, size_t n_chunks)
{
	struct free_block *list = NULL;
	size_t all;

	begin_pool(block_size, true);
	chunks.left = n_chunks;
	all = n_chunks * per_chunk();
	for (int round = 0; round < 3; round++) {
		cr_assert_eq(get_until_null(&list), all);
		for (int again = 0; again < 3; again++)
			cr_assert_null(pool_get(&pool, &magazine));
		cr_assert_eq(check_magazine(&magazine), 0);
		check_pool(all, 0);
		/* One number may be reserved for the next. */
		cr_assert_leq(slabs.n_chunks, 1 + n_chunks + 1);
		put_all(&list);
		check_pool(0, check_magazine(&magazine));
	}
	pool_flush(&pool, &magazine);
	cr_assert_eq(pool_in_use(&pool), 0);
	/* Memory is back: it goes on where it stood. */
	chunks.left = 1;
	cr_assert_eq(get_until_null(&list), all + per_chunk());
	check_pool(all + per_chunk(), 0);
	end();
}

Test(pool, without_memory_nothing_is_lost)
{
	exhaust(64, 3);
	exhaust(192, 1);
	exhaust(4096, 7);
	exhaust(65600, 2);
	exhaust(64, 0);
}

Test(pool, full_table_is_an_error_and_costs_no_chunks)
{
	size_t bytes;

	begin_pool(64, true);
	slabs.n_chunks = SLAB_MAX_CHUNKS - 1;
	for (size_t i = 0; i < per_chunk(); i++)
		cr_assert_not_null(pool_get(&pool, &magazine));
	cr_assert_eq(carved[0].number >> SLAB_CELL_BITS, SLAB_MAX_CHUNKS - 1);
	cr_assert_eq(carved[n_carved - 1].number, UINT32_MAX);
	cr_assert_eq(slabs_cell(slabs.xentry, UINT32_MAX),
		     carved[n_carved - 1].block);
	cr_assert_null(pool_get(&pool, &magazine));
	bytes = chunks_bytes(&chunks);
	for (int i = 0; i < 100; i++)
		cr_assert_null(pool_get(&pool, &magazine));
	cr_assert_eq(chunks_bytes(&chunks), bytes);
	check_pool(per_chunk(), 0);
	end();
}
