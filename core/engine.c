/* SPDX-License-Identifier: MIT */
/*
 * engine - made, and freed
 *
 * Its life between the two: rest.c and stop.c.
 *
 * Orderings:  [E6] the keepers' count: what one did before it went is seen by
 *             who frees the engine.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/chain.h"
#include "core/chain_choice.h"
#include "core/engine.h"
#include "core/estate.h"
#include "core/offload.h"
#include "core/options.h"
#include "core/pause.h"
#include "core/pools.h"
#include "core/run.h"

/* ---- making ---- */

/* crew is the engine's first member */
static bool tick(struct crew *crew, uint64_t now_ns)
{
	watch_tick(crew, now_ns);
	if (now_ns > 0)
		stuck_tick((struct engine *)crew);
	return cycle_tick((struct engine *)crew);
}

/* A worker of the engine, which is its crew's first member. */
static void dress(struct worker *worker)
{
	struct engine *engine = (struct engine *)worker->crew;
	struct local *local = (struct local *)worker;

	local->engine = engine;
	local->actors = engine->actors.xentry;
	local->small = &engine->messages.of[0];
	local->number = engine->number;
	local->usual = local->number;
	local->near = local->usual;
	pools_place_cache(&local->cache, &worker->node);
	if (engine->has_chains)
		chain_start(local);
}

static void engine_free(struct engine *engine);

static void abandoned(struct crew *crew)
{
	/* crew is the engine's first member */
	engine_let_go((struct engine *)crew);
}

void engine_let_go(struct engine *engine)
{
	/* [E6] pairs with itself: the last sees what the others did */
	if (AO_fetch_and_add_full(&engine->xkeepers, (AO_t)-1) == 1)
		engine_free(engine);
}

static void say(struct crew *crew, bool is_error, const char *line)
{
	engine_log((struct engine *)crew,
		   is_error ? ROTA_LOG_ERROR : ROTA_LOG_WARNING, "%s", line);
}

static int make_fork_page(struct engine *engine)
{
	unsigned char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return -ENOMEM;
	/* Old kernels: no detection. */
	madvise(page, 4096, MADV_WIPEONFORK);
	*page = 1;
	engine->fork_page = page;
	return 0;
}

static int make_memory(struct engine *engine)
{
	size_t size = N_SHARDS * sizeof(struct shard);
	unsigned i;

	pools_init(engine);
	engine->shards = aligned_alloc(CACHE_LINE, size);
	if (!engine->shards)
		return -ENOMEM;
	memset(engine->shards, 0, size);
	for (i = 0; i < N_SHARDS; i++)
		pools_place_cache(&engine->shards[i].cache,
				  &engine->shards[i].node);
	if (slabs_init(&engine->actors) != 0 ||
	    slabs_init(&engine->records) != 0 ||
	    slabs_init(&engine->timer_cells) != 0 ||
	    slabs_init(&engine->ask_cells) != 0 ||
	    slabs_init(&engine->job_cells) != 0 ||
	    exits_init(&engine->exits) != 0)
		return -ENOMEM;
	return make_fork_page(engine);
}

static uint64_t seed_of(const struct rota_config *config)
{
	return config->seed ? config->seed : clock_ns();
}

static int make_crew(struct engine *engine)
{
	const struct rota_config *config = &engine->config;
	struct crew_options options = {
		.n_workers = config->workers,
		.each_thread = config->flags & ROTA_EACH_THREAD,
		.unbound = config->flags & ROTA_NO_BIND,
		.topology = config->topology,
		.driven = config->flags & ROTA_RUN_HERE,
		.stack_size = config->stack_size,
		.budget = &engine->budget,
		.name = engine->name,
		.seed = seed_of(config),
		.worker_size = sizeof(struct local),
		.max_spares =
			config->spares == ROTA_NO_SPARES ? 0 : config->spares,
		.dress = dress,
		.rest = engine_rests,
		.look = engine->has_chains ? chain_look : NULL,
		.revoke = chain_revoke,
		.tick = tick,
		.doze = watch_doze,
		.say = say,
		.abandoned = abandoned,
	};
	int error;

	watch_init(engine);
	error = crew_init(&engine->crew, &options);
	engine->has_crew = !error;
	return error;
}

/*
 * A first chunk each for what an engine cannot do without, so that one that
 * has started can always send, join and time a little.
 */
static int reserve_memory(struct engine *engine)
{
	struct pool *pools[] = {&engine->messages.of[0], &engine->colds,
				&engine->timers};
	size_t i;

	for (i = 0; i < sizeof(pools) / sizeof(pools[0]); i++) {
		struct magazine magazine = {0};
		void *block = pool_get(pools[i], &magazine);

		if (!block)
			return engine->source.is_unusable ? -EINVAL : -ENOMEM;
		pool_put(pools[i], &magazine, block);
		pool_flush(pools[i], &magazine);
	}
	return 0;
}

static int choose_chains(struct engine *engine)
{
	char complaint[128];
	int error = chain_choice(engine->config.flags, &engine->has_chains,
				 complaint, sizeof(complaint));

	if (error)
		engine_log(engine, ROTA_LOG_ERROR, "%s", complaint);
	return error;
}

static int engine_make(struct engine *engine)
{
	int error = make_memory(engine);

	if (!error)
		error = choose_chains(engine);
	if (!error)
		error = reserve_memory(engine);
	if (!error)
		error = make_crew(engine);
	/* How many nodes there are is known; it does not run yet. */
	if (!error)
		error = pools_spread(engine);
	if (!error)
		error = offload_init(engine);
	if (error)
		return error;
	table_publish(engine->handle, engine);
	error = crew_start(&engine->crew);
	if (error)
		table_unpublish(engine->handle);
	return error;
}

static rota_engine *start(const struct rota_config *config)
{
	struct engine *engine =
		aligned_alloc(CACHE_LINE, (sizeof(*engine) + CACHE_LINE - 1) /
						  CACHE_LINE * CACHE_LINE);
	struct rota_engine *handle;
	int error;

	if (!engine) {
		errno = ENOMEM;
		return NULL;
	}
	memset(engine, 0, sizeof(*engine));
	handle = table_reserve();
	if (!handle) {
		free(engine);
		errno = EUSERS;
		return NULL;
	}
	estate_drop(handle);
	engine->config = *config;
	engine->handle = handle;
	engine->number = handle->number;
	snprintf(engine->name, sizeof(engine->name), "rota%u",
		 engine->number % 1000);
	engine->first_generation = handle->next_generation;
	engine->behaviours_lock = AO_TS_INITIALIZER;
	engine->outsiders_lock = AO_TS_INITIALIZER;
	waiters_init(&engine->outsiders);
	job_classes_init(&engine->job_classes);
	pause_init(engine);
	engine->mailbox = config->mailbox ? config->mailbox : 64;
	/* Relaxed: nobody else is here yet. */
	AO_store(&engine->xkeepers, 1);
	error = engine_make(engine);
	if (!error)
		return handle;
	engine_free(engine);
	errno = -error;
	return NULL;
}

/* What is wrong with it; NULL: nothing. */
static const char *fault_of(const struct rota_config *config)
{
	const unsigned known = ROTA_NO_BIND | ROTA_EACH_THREAD | ROTA_RUN_HERE |
			       ROTA_CHAINS | ROTA_NO_CHAINS;
	const struct rota_allocator *allocator = &config->allocator;

	if (config->workers > 1024)
		return "workers: 0 to 1024";
	if (config->flags & ROTA_RUN_HERE && config->workers > 1)
		return "workers: 0 or 1 with ROTA_RUN_HERE";
	if (config->spares > 1024 && config->spares != ROTA_NO_SPARES)
		return "spares: 0 to 1024, or ROTA_NO_SPARES";
	if (config->mailbox > ROTA_MAX_MAILBOX)
		return "mailbox: 0 to ROTA_MAX_MAILBOX (32767)";
	if (config->offload_threads > 1024)
		return "offload_threads: 0 to 1024";
	if (config->flags & ~known)
		return "flags: none but those of enum rota_config_flag";
	if ((config->flags & ROTA_CHAINS) && (config->flags & ROTA_NO_CHAINS))
		return "flags: not both ROTA_CHAINS and ROTA_NO_CHAINS";
	if (!allocator->map != !allocator->unmap)
		return "allocator: both map and unmap, or neither";
	if (config->stuck_after < 0)
		return "stuck_after: not below 0";
	if (config->ask_within < 0)
		return "ask_within: not below 0";
	return NULL;
}

/* 0 or -EINVAL, and the log says why. */
static int check_config(const struct rota_config *config)
{
	const char *fault = fault_of(config);
	char line[128];

	if (!fault)
		return 0;
	snprintf(line, sizeof(line), "rota_config.%s", fault);
	if (config->log)
		config->log(config->context, ROTA_LOG_ERROR, line);
	else
		fprintf(stderr, "rota: %s\n", line);
	return -EINVAL;
}

rota_engine *rota_start(const struct rota_config *config)
{
	struct rota_config all = ROTA_CONFIG_INIT;
	int error = options_copy(&all, sizeof(all), config);

	if (!error)
		error = check_config(&all);
	if (!error && local_here())
		error = -EDEADLK;
	if (error) {
		errno = -error;
		return NULL;
	}
	if (all.stack_size == 0)
		all.stack_size = 256 * 1024;
	if (all.spares == 0)
		all.spares = 64;
	return start(&all);
}

/* ---- freeing ---- */

/* The highest generation any slot has had; nobody else is here any more. */
static uint32_t max_generation(struct engine *engine)
{
	AO_t highest = engine->first_generation;
	unsigned i, n = engine->has_crew ? crew_slots(&engine->crew) : 0;

	for (i = 0; i < n; i++) {
		struct local *local = (struct local *)engine->crew.workers[i];
		/* Relaxed: all have left. */
		AO_t seen = AO_load(&local->cache.counters.xmax_generation);

		highest = seen > highest ? seen : highest;
	}
	for (i = 0; engine->shards && i < N_SHARDS; i++) {
		/* Relaxed: as above. */
		AO_t seen = AO_load(
			&engine->shards[i].cache.counters.xmax_generation);

		highest = seen > highest ? seen : highest;
	}
	return (uint32_t)highest;
}

static void free_behaviours(struct behaviour *behaviour)
{
	while (behaviour) {
		struct behaviour *next = behaviour->next;

		free(behaviour);
		behaviour = next;
	}
}

/* All that is left, and the number. */
static void engine_free(struct engine *engine)
{
	uint32_t highest = max_generation(engine);

	if (engine->has_crew)
		crew_fini(&engine->crew);
	watch_fini(engine);
	offload_fini(engine);
	free_behaviours(engine->behaviours);
	free_behaviours(engine->dedicated);
	source_fini(&engine->source);
	slabs_fini(&engine->actors);
	slabs_fini(&engine->records);
	slabs_fini(&engine->timer_cells);
	slabs_fini(&engine->ask_cells);
	slabs_fini(&engine->job_cells);
	exits_fini(&engine->exits);
	cycles_fini(&engine->cycles);
	if (engine->fork_page)
		munmap(engine->fork_page, 4096);
	free(engine->shards);
	table_release(engine->handle, highest);
	free(engine);
}

/* ---- telling ---- */

void engine_log(struct engine *engine, enum rota_log_level level,
		const char *format, ...)
{
	struct aside aside;
	char line[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	aside = aside_begin();
	if (engine->config.log)
		engine->config.log(engine->config.context, level, line);
	else if (level <= ROTA_LOG_WARNING)
		fprintf(stderr, "rota: %s\n", line);
	aside_end(aside);
}
