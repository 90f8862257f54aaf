/* SPDX-License-Identifier: MIT */
/*
 * pools - all pools of an engine, for what is done with each of them; see pools.h
 */
#include "core/pools.h"

#include <stdio.h>
#include <stdlib.h>

#include <rota/stats.h>

#include "core/ask.h"
#include "core/cold.h"
#include "core/desk.h"
#include "core/engine.h"
#include "core/run.h"

/* ---- actors' cells ---- */

size_t cell_size(unsigned class)
{
	size_t step;

	if (class < 16)
		return (class + 1) * (size_t)CACHE_LINE;
	class -= 16;
	step = (size_t)256 << (class / 4);
	return step * 4 + step * (class % 4 + 1);
}

int cell_class(size_t bytes)
{
	unsigned class;

	for (class = bytes <= 1024 ? (unsigned)((bytes - 1) / CACHE_LINE) : 16;
	     class < CELL_CLASSES; class ++)
		if (cell_size(class) >= bytes)
			return (int)class;
	return -1;
}

/* ---- the list ---- */

/* Some pools, one behind the other, and where a cache has their magazines. */
struct row {
	size_t pools;	  /* offset in struct engine */
	size_t magazines; /* offset in struct cache */
	unsigned n;
	enum rota_memory_kind kind;
	size_t retired; /* offset in struct counters: of blocks that have been
	                   given out for good; or NONE */
	const char *what;
};

#define NONE ((size_t)-1)

static const struct row rows[] = {
	{offsetof(struct engine, messages.of), offsetof(struct cache, messages),
	 MESSAGE_CLASSES, ROTA_MEMORY_MESSAGES, NONE, "messages"},
	{offsetof(struct engine, cells), offsetof(struct cache, cells),
	 CELL_CLASSES, ROTA_MEMORY_ACTORS, offsetof(struct counters, xretired),
	 "actors"},
	{offsetof(struct engine, colds), offsetof(struct cache, colds), 1,
	 ROTA_MEMORY_RECORDS, NONE, "cold blocks"},
	{offsetof(struct engine, desks), offsetof(struct cache, desks), 1,
	 ROTA_MEMORY_RECORDS, NONE, "desks"},
	{offsetof(struct engine, timers), offsetof(struct cache, timers), 1,
	 ROTA_MEMORY_TIMERS, NONE, "timers"},
	{offsetof(struct engine, asks), offsetof(struct cache, asks), 1,
	 ROTA_MEMORY_ASKS, NONE, "asks"},
	{offsetof(struct engine, small_jobs),
	 offsetof(struct cache, small_jobs), 1, ROTA_MEMORY_TASKS, NONE,
	 "tasks"},
	{offsetof(struct engine, large_jobs),
	 offsetof(struct cache, large_jobs), 1, ROTA_MEMORY_TASKS,
	 offsetof(struct counters, xretired_jobs), "tasks"},
};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

/* One that is missing above would be neither flushed nor checked. */
_Static_assert(offsetof(struct cache, behaviours) ==
		       (MESSAGE_CLASSES + CELL_CLASSES + N_ROWS - 2) *
			       sizeof(struct magazine),
	       "each magazine of a cache has its row");

static struct pool *pools_of(struct engine *engine, const struct row *row)
{
	return (struct pool *)((char *)engine + row->pools);
}

static struct magazine *magazines_of(struct cache *cache, const struct row *row)
{
	return (struct magazine *)((char *)cache + row->magazines);
}

/* ---- making ---- */

/* A new cell is the corpse of nobody. */
static void carve_cell(void *block, uint32_t number, uint32_t parameter)
{
	struct actor *actor = block;

	actor->slot = number;
	/* Relaxed: see slabs_cell(); a made-up id finds no LIVE here. */
	AO_store(&actor->xended, exit_pack(ROTA_EXIT_NORMAL, 0));
	AO_store(&actor->xmail, MAILBOX_CLOSED);
	AO_store(&actor->xsignal, (AO_t)parameter << 8);
}

void pools_init(struct engine *engine)
{
	const struct rota_allocator *allocator = &engine->config.allocator;
	struct source *source = &engine->source;
	unsigned class;

	source_init(source, allocator->map, allocator->unmap,
		    allocator->context);
	engine->budget.limit = engine->config.memory;
	source->budget = &engine->budget;
	message_pools_init(&engine->messages, source);
	for (class = 0; class < CELL_CLASSES; class ++)
		pool_init(&engine->cells[class], cell_size(class), source,
			  &engine->actors, carve_cell,
			  engine->first_generation);
	pool_init(&engine->colds, COLD_SIZE, source, &engine->records,
		  cold_carve, 0);
	pool_init(&engine->desks, DESK_SIZE, source, &engine->records,
		  desk_carve, 0);
	pool_init(&engine->timers, timer_size(), source, &engine->timer_cells,
		  timer_carve, 0);
	pool_init(&engine->asks, ask_size(), source, &engine->ask_cells,
		  ask_carve, engine->first_generation);
	pool_init(&engine->small_jobs, sizeof(struct small_job), source, NULL,
		  NULL, 0);
	pool_init(&engine->large_jobs, sizeof(struct large_job), source,
		  &engine->job_cells, job_carve,
		  job_first_generation(engine->first_generation));
}

int pools_spread(struct engine *engine)
{
	int error = source_spread(&engine->source, engine->crew.nodes.n);
	unsigned row, i;

	if (error)
		return error;
	for (row = 0; row < N_ROWS; row++)
		for (i = 0; i < rows[row].n; i++)
			pool_spread(&pools_of(engine, &rows[row])[i]);
	return 0;
}

/* ---- all ---- */

void pools_place_cache(struct cache *cache, const unsigned *node)
{
	unsigned row, i;

	for (row = 0; row < N_ROWS; row++)
		for (i = 0; i < rows[row].n; i++)
			magazines_of(cache, &rows[row])[i].node = node;
}

void pools_flush_cache(struct engine *engine, struct cache *cache)
{
	unsigned row, i;

	for (row = 0; row < N_ROWS; row++)
		for (i = 0; i < rows[row].n; i++)
			pool_flush(&pools_of(engine, &rows[row])[i],
				   &magazines_of(cache, &rows[row])[i]);
}

void pools_measure(struct engine *engine, uint64_t *of)
{
	unsigned row, i;

	for (row = 0; row < N_ROWS; row++)
		for (i = 0; i < rows[row].n; i++)
			/* Relaxed: a statistic. */
			of[rows[row].kind] +=
				AO_load(&pools_of(engine, &rows[row])[i]
						 .xn_chunks) *
				(uint64_t)CHUNK_SIZE;
}

#ifdef ROTA_CHECKS
static void check_pool(struct pool *pool, size_t allowed, const char *what)
{
	size_t n = pool_in_use(pool);

	if (n <= allowed)
		return;
	fprintf(stderr, "rota: %zu %s of %zu bytes are lost\n", n, what,
		pool->block_size);
	abort();
}

void pools_check(struct engine *engine)
{
	unsigned row, i;

	for (row = 0; row < N_ROWS; row++) {
		size_t allowed =
			rows[row].retired == NONE
				? 0
				: engine_sum(engine, rows[row].retired);

		for (i = 0; i < rows[row].n; i++)
			check_pool(&pools_of(engine, &rows[row])[i], allowed,
				   rows[row].what);
	}
}
#else
void pools_check(struct engine *engine)
{
	(void)engine;
}
#endif
