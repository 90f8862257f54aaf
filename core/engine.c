/* SPDX-License-Identifier: MIT */
/*
 * engine - made, watched, stopped
 *
 * Problem:    a stop must end every actor, whatever it is doing, report all
 *             that was accepted and not handled, let calls of other threads
 *             under way get out, and return in time even if a handler does not.
 * Approach:   spawns are refused; every slot is visited and its life signalled,
 *             again and again until spawned equals ended (a handler may have
 *             been spawning while we passed by); then the number is
 *             unpublished, which waits for calls under way; then the workers
 *             leave. If a handler does not return, its thread is left alone,
 *             and the memory it can reach stays until it does: the last worker
 *             to leave frees it.
 * Orderings:  [E1] done is stored after, and read before, what began in its
 *             turn: engine_is_at_rest().
 *             [E2] ENGINE_STOPS store -> load in a spawn; the repeated visits
 *             catch what it lets slip.
 *             [E4] ENGINE_GIVES_UP store -> look at it under a cold block's
 *             lock, or that of the outsiders; the visit that empties the lists
 *             comes in between.
 *             [E5] xoutside: a wait from outside is counted before its call is
 *             over; the stop looks after it has unpublished the engine.
 *             [E6] the keepers' count: what one did before it went is seen by
 *             who frees the engine.
 *             [E3] a waiter for rest registers by read-modify-write of the
 *             idle word's neighbour and reads that word; a worker changes the
 *             idle word before it looks for waiters.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/abandon.h"
#include "core/ask.h"
#include "core/chain.h"
#include "core/chain_choice.h"
#include "core/cold.h"
#include "core/desk.h"
#include "core/engine.h"
#include "core/estate.h"
#include "core/here.h"
#include "core/offload.h"
#include "core/options.h"
#include "core/pause.h"
#include "core/run.h"
#include "mailbox/closure.h"

/* ---- cells ---- */

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

/* ---- making ---- */

static void rest(struct worker *worker)
{
	struct engine *engine = ((struct local *)worker)->engine;

	/* [E3] pairs with engine_await_rest() */
	if (likely(AO_load_acquire(&engine->xresters) == 0))
		return;
	AO_int_fetch_and_add_full(&engine->rest_word, 1); /* [E3] likewise */
	futex_wake(&engine->rest_word, INT_MAX);
}

/* crew is the engine's first member */
static bool tick(struct crew *crew, uint64_t now_ns)
{
	watch_tick(crew, now_ns);
	if (now_ns > 0)
		stuck_tick((struct engine *)crew);
	return cycle_tick((struct engine *)crew);
}

/* A worker of the engine, which is its crew's first member. */
/* Its magazines are filled on the node where @node says that its owner is. */
static void place_cache(struct cache *cache, const unsigned *node)
{
	unsigned class;

	for (class = 0; class < MESSAGE_CLASSES; class ++)
		cache->messages[class].node = node;
	for (class = 0; class < CELL_CLASSES; class ++)
		cache->cells[class].node = node;
	cache->colds.node = node;
	cache->desks.node = node;
	cache->timers.node = node;
	cache->asks.node = node;
	cache->small_jobs.node = node;
	cache->large_jobs.node = node;
}

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
	place_cache(&local->cache, &worker->node);
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

static void make_pools(struct engine *engine)
{
	const struct rota_allocator *allocator = &engine->config.allocator;
	unsigned class;

	source_init(&engine->source, allocator->map, allocator->unmap,
		    allocator->context);
	engine->budget.limit = engine->config.memory;
	engine->source.budget = &engine->budget;
	message_pools_init(&engine->messages, &engine->source);
	for (class = 0; class < CELL_CLASSES; class ++)
		pool_init(&engine->cells[class], cell_size(class),
			  &engine->source, &engine->actors, carve_cell,
			  engine->first_generation);
	pool_init(&engine->colds, COLD_SIZE, &engine->source, &engine->records,
		  cold_carve, 0);
	pool_init(&engine->desks, DESK_SIZE, &engine->source, &engine->records,
		  desk_carve, 0);
	pool_init(&engine->timers, timer_size(), &engine->source,
		  &engine->timer_cells, timer_carve, 0);
	pool_init(&engine->asks, ask_size(), &engine->source,
		  &engine->ask_cells, ask_carve, engine->first_generation);
	pool_init(&engine->small_jobs, sizeof(struct small_job),
		  &engine->source, NULL, NULL, 0);
	pool_init(&engine->large_jobs, sizeof(struct large_job),
		  &engine->source, &engine->job_cells, job_carve,
		  job_first_generation(engine->first_generation));
}

static int make_memory(struct engine *engine)
{
	size_t size = N_SHARDS * sizeof(struct shard);
	unsigned i;

	make_pools(engine);
	engine->shards = aligned_alloc(CACHE_LINE, size);
	if (!engine->shards)
		return -ENOMEM;
	memset(engine->shards, 0, size);
	for (i = 0; i < N_SHARDS; i++)
		place_cache(&engine->shards[i].cache, &engine->shards[i].node);
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
		.rest = rest,
		.look = engine->has_chains ? chain_look : NULL,
		.revoke = chain_revoke,
		.tick = tick,
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

/* How many nodes there are is known when the crew is; it does not run yet. */
static int spread_memory(struct engine *engine)
{
	unsigned class;
	int error = source_spread(&engine->source, engine->crew.nodes.n);

	if (error)
		return error;
	for (class = 0; class < MESSAGE_CLASSES; class ++)
		pool_spread(&engine->messages.of[class]);
	for (class = 0; class < CELL_CLASSES; class ++)
		pool_spread(&engine->cells[class]);
	pool_spread(&engine->colds);
	pool_spread(&engine->desks);
	pool_spread(&engine->timers);
	pool_spread(&engine->asks);
	pool_spread(&engine->small_jobs);
	pool_spread(&engine->large_jobs);
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
	if (!error)
		error = spread_memory(engine);
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

/* ---- rest ---- */

static AO_t sum_of(const struct counters *counters, size_t offset)
{
	/* [E1] acquire for begun and done; statistics do not need it */
	return AO_load_acquire((const AO_t *)((const char *)counters + offset));
}

AO_t engine_sum(struct engine *engine, size_t offset)
{
	unsigned i, n = crew_slots(&engine->crew);
	AO_t sum = 0;

	for (i = 0; i < n; i++)
		sum += sum_of(&((struct local *)engine->crew.workers[i])
				       ->cache.counters,
			      offset);
	for (i = 0; i < N_SHARDS; i++)
		sum += sum_of(&engine->shards[i].cache.counters, offset);
	return sum;
}

bool engine_is_at_rest(struct engine *engine)
{
	/*
	 * Both only grow and done <= begun. If all done, read first, equal all
	 * begun, read later, then they were equal in between. Tasks likewise.
	 */
	AO_t done = engine_sum(engine, offsetof(struct counters, xdone)) +
		    engine_sum(engine, offsetof(struct counters, xalone)) +
		    engine_sum(engine, offsetof(struct counters, xfinished));

	return done == engine_sum(engine, offsetof(struct counters, xbegun)) +
			       engine_sum(engine, offsetof(struct counters,
							   xsubmitted));
}

/* The longest that a lost wake-up may delay us; none is known. */
#define REST_LOOK_NS 10000000

void engine_await_rest(struct engine *engine, int64_t within)
{
	unsigned seen;

	/* [E3] pairs with rest() */
	AO_fetch_and_add_full(&engine->xresters, 1);
	idle_read(&engine->crew.idle);
	seen = AO_int_load_acquire(&engine->rest_word); /* [E3] likewise */
	if (!engine_is_at_rest(engine))
		futex_wait(&engine->rest_word, seen,
			   within < REST_LOOK_NS ? within : REST_LOOK_NS);
	/* [E3] likewise */
	AO_fetch_and_add_full(&engine->xresters, (AO_t)-1);
}

/*
 * Would the calling thread, outside turns, wait for itself? It is one of the
 * engine's own, or in a callback of a call to it.
 */
static bool is_needed(const struct rota_engine *handle)
{
	const struct engine *engine = table_engine(handle->number);
	struct thread_record *record = thread_record_here();

	/* It may go away meanwhile: only its address is used. */
	return offload_is_here(handle) ||
	       (engine && crew_owns_thread(&engine->crew)) ||
	       (record && site_is_below(record, handle->number));
}

int rota_quiesce(rota_engine *handle, int64_t within)
{
	struct thread_record *record = thread_record_here();
	struct engine *engine;
	uint64_t deadline;
	int error = 0;

	if (!handle)
		return -EINVAL;
	if ((local_here() && local_here()->engine->handle == handle) ||
	    is_needed(handle))
		return -EDEADLK;
	if (!record)
		return -ENOMEM;
	deadline = clock_deadline(clock_ns(), within);
	for (;;) {
		int64_t left;

		engine = table_enter(record, handle->number);
		if (!engine)
			return -ESRCH;
		if (*engine->fork_page == 0) {
			table_leave(record);
			return -EPERM;
		}
		if (engine_is_at_rest(engine))
			break;
		left = clock_left(clock_ns(), deadline);
		if (left == 0) {
			error = -ETIMEDOUT;
			break;
		}
		if (here_await_rest(engine, record, left))
			continue;
		engine_await_rest(engine, left);
		table_leave(record);
	}
	table_leave(record);
	return error;
}

/* ---- stopping ---- */

static void signal_slot(struct engine *engine, uint32_t number)
{
	struct actor *actor = slabs_cell(engine->actors.xentry, number);
	/* Relaxed: looked at again until all have ended. */
	AO_t signal = AO_load(&actor->xsignal);
	struct site site;

	/* Of most cells nobody has made anything yet. */
	if (!(signal & SIGNAL_LIVE) || (signal & SIGNAL_ENGINE))
		return;
	site = (struct site){.engine = engine,
			     .shard = &engine->shards[0],
			     .cache = &engine->shards[0].cache,
			     .record = thread_record_here()};
	spin_lock(&site.shard->xlock);
	actor_signal(&site, actor,
		     id_make(engine->number, number, signal_generation(signal)),
		     SIGNAL_ENGINE);
	spin_unlock(&site.shard->xlock);
	if (site.awakened)
		crew_inject(&engine->crew, site.awakened);
}

struct visitor {
	struct engine *engine;
	void (*visit)(struct engine *engine, uint32_t number);
};

static void visit_cell(void *context, uint32_t number)
{
	const struct visitor *visitor = context;

	visitor->visit(visitor->engine, number);
}

static void for_all_cells(struct engine *engine, struct slabs *slabs,
			  void (*visit)(struct engine *engine, uint32_t number))
{
	struct visitor each = {engine, visit};

	slabs_visit(slabs, visit_cell, &each);
}

static void for_all_slots(struct engine *engine,
			  void (*visit)(struct engine *engine, uint32_t number))
{
	for_all_cells(engine, &engine->actors, visit);
}

/* Actors that live or are still run, tasks that have not come to their end. */
static AO_t n_alive(struct engine *engine)
{
	AO_t ended = engine_sum(engine, offsetof(struct counters, xended)) +
		     engine_sum(engine, offsetof(struct counters, xfinished)) +
		     engine_sum(engine, offsetof(struct counters, xreturned));

	return engine_sum(engine, offsetof(struct counters, xspawned)) +
	       engine_sum(engine, offsetof(struct counters, xsubmitted)) +
	       /* [E1] their handlers have not returned, before they have */
	       engine_sum(engine, offsetof(struct counters, xabandoned)) -
	       ended;
}

/* Actors that were being spawned as we passed by are visited after this. */
#define END_LOOK_NS 1000000

/* True if all have ended by then. */
static bool end_all(struct engine *engine, uint64_t deadline)
{
	/* [E2] pairs with rota_spawn() */
	AO_store_release(&engine->xstate, ENGINE_STOPS);
	pause_end(engine);
	for (;;) {
		int64_t left;

		for_all_slots(engine, signal_slot);
		if (n_alive(engine) == 0)
			return true;
		left = clock_left(clock_ns(), deadline);
		if (left == 0)
			return n_alive(engine) == 0;
		left = left < END_LOOK_NS ? left : END_LOOK_NS;
		if (!here_await_rest(engine, NULL, left))
			engine_await_rest(engine, left);
	}
}

/*
 * Some handler did not return in time: those who wait for its actor, for room
 * or for its end, would wait for ever. And what a destroy() still waits for,
 * which the stop has left alone, ends now.
 */
static void release_waiters(struct engine *engine, uint32_t number)
{
	struct actor *actor = slabs_cell(engine->actors.xentry, number);
	struct site site = {.engine = engine};
	/*
	 * [E4] pairs with engine_gives_up(): a read-modify-write, so that who
	 * installs a cold block after this sees that we have given up.
	 */
	AO_t signal = AO_fetch_and_add_full(&actor->xsignal, 0);
	struct wait *cancelled = NULL;
	struct waiter *room, *joiners;
	struct cold *cold;
	int error;

	if (!(signal & SIGNAL_LIVE))
		return;
	cold = cold_lock(
		&site, actor,
		id_make(engine->number, number, signal_generation(signal)),
		false, &error);
	if (!cold)
		return;
	room = waiters_claim_all(&cold->room);
	joiners = waiters_claim_all(&cold->joiners);
	/* Under the lock: see end_waits(). */
	if (cold->wait && wait_cancel(cold->wait))
		cancelled = cold->wait;
	cold_unlock(cold);
	if (cancelled)
		wait_finish(cancelled, -ECANCELED);
	waiters_finish(room, -ESRCH);
	waiters_finish(joiners, -ESRCH);
}

/* The same for tasks, and for groups that are waited for from outside. */
static void release_joiners(struct engine *engine)
{
	struct waiter *chain;

	for_all_cells(engine, &engine->job_cells, job_release_joiners);
	spin_lock(&engine->outsiders_lock);
	chain = waiters_claim_all(&engine->outsiders);
	spin_unlock(&engine->outsiders_lock);
	waiters_finish(chain, -ESRCH);
}

/* ---- freeing ---- */

static void flush_cache(struct engine *engine, struct cache *cache)
{
	unsigned class;

	for (class = 0; class < MESSAGE_CLASSES; class ++)
		pool_flush(&engine->messages.of[class],
			   &cache->messages[class]);
	for (class = 0; class < CELL_CLASSES; class ++)
		pool_flush(&engine->cells[class], &cache->cells[class]);
	pool_flush(&engine->colds, &cache->colds);
	pool_flush(&engine->desks, &cache->desks);
	pool_flush(&engine->timers, &cache->timers);
	pool_flush(&engine->asks, &cache->asks);
	pool_flush(&engine->small_jobs, &cache->small_jobs);
	pool_flush(&engine->large_jobs, &cache->large_jobs);
}

static void flush_all(struct engine *engine)
{
	unsigned i, n = crew_slots(&engine->crew);

	for_all_cells(engine, &engine->job_cells, job_release);
	for_all_cells(engine, &engine->ask_cells, ask_release);
	for (i = 0; i < n; i++) {
		struct worker *worker = engine->crew.workers[i];

		timer_clear_wheel(engine, worker);
		flush_cache(engine, &((struct local *)worker)->cache);
	}
	for (i = 0; i < N_SHARDS; i++)
		flush_cache(engine, &engine->shards[i].cache);
}

#ifdef ROTA_CHECKS
/* Debug builds: an engine that ended in order holds nothing. */
static void check_pool(struct pool *pool, size_t allowed, const char *what)
{
	size_t n = pool_in_use(pool);

	if (n <= allowed)
		return;
	fprintf(stderr, "rota: %zu %s of %zu bytes are lost\n", n, what,
		pool->block_size);
	abort();
}

static void check_all(struct engine *engine)
{
	size_t retired =
		engine_sum(engine, offsetof(struct counters, xretired));
	unsigned class;

	for (class = 0; class < MESSAGE_CLASSES; class ++)
		check_pool(&engine->messages.of[class], 0, "messages");
	for (class = 0; class < CELL_CLASSES; class ++)
		check_pool(&engine->cells[class], retired, "actors");
	check_pool(&engine->colds, 0, "cold blocks");
	check_pool(&engine->desks, 0, "desks");
	check_pool(&engine->timers, 0, "timers");
	check_pool(&engine->asks, 0, "asks");
	check_pool(&engine->small_jobs, 0, "tasks");
	check_pool(&engine->large_jobs,
		   engine_sum(engine, offsetof(struct counters, xretired_jobs)),
		   "tasks");
}
#else
static void check_all(struct engine *engine)
{
	(void)engine;
}
#endif

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

/* What it has in hand, in words. */
static void name_message(char *text, size_t size, const struct sighting *seen,
			 struct message *message)
{
	if (message && seen->tag == CLOSURE_TAG)
		snprintf(text, size, "the function at %p",
			 (void *)(uintptr_t)closure_function(message));
	else
		snprintf(text, size, "tag %u", seen->tag);
}

/* Who does not return from what; 0 bytes: nobody, after all. */
static int name_stuck(char *text, size_t size, const struct sighting *seen,
		      const struct actor *actor, struct message *message)
{
	const struct behaviour *behaviour;
	char what[64];

	if (seen->job)
		/* [V1] with the look at the job; it is looked at again */
		return snprintf(
			text, size,
			"the task with the function at %p does not "
			"return",
			(void *)(uintptr_t)((const struct job *)seen->job)
				->run);
	if (!actor)
		return 0;
	/* [A1] before the second sighting */
	behaviour =
		(const struct behaviour *)AO_load_acquire(&actor->task.xclass);
	name_message(what, sizeof(what), seen, message);
	return snprintf(text, size,
			"actor %016llx (%s) does not return from handling %s",
			(unsigned long long)seen->self, behaviour->name, what);
}

/* It may return right now, and all that was seen of it is void. */
static void report_stuck_worker(struct engine *engine, unsigned worker,
				struct rota_stop_report *report)
{
	const struct local *local =
		(const struct local *)engine->crew.workers[worker];
	struct sighting seen = watch_sight(engine, worker), again;
	struct message *message =
		/* [V1] pairs with turn_set_message() */
		(struct message *)AO_load_acquire(&local->turn.xmessage);
	char text[256];
	int length = name_stuck(text, sizeof(text), &seen,
				engine_actor(engine, seen.self), message);

	again = watch_sight(engine, worker);
	if (length == 0 || !watch_is_same(&seen, &again))
		return;
	if (!seen.job) {
		report->stuck_actor = seen.self;
		report->stuck_tag = seen.tag;
	}
	engine_log(engine, ROTA_LOG_ERROR,
		   "stop: %s; its thread and %zu bytes stay until it does",
		   text,
		   /* Relaxed: a statistic. */
		   (size_t)AO_load(&engine->source.xbytes));
}

static void report_stuck(struct engine *engine, struct rota_stop_report *report)
{
	unsigned i, n = crew_slots(&engine->crew);

	for (i = 0; i < n; i++)
		/* Relaxed: what ends later is seen to have ended. */
		if (!AO_load(&engine->crew.workers[i]->xended))
			report_stuck_worker(engine, i, report);
}

/* Those whose waits have just been ended have not looked at it yet. */
static void await_outside(struct engine *engine)
{
	/* [E5] pairs with site_step_out() and site_leave() */
	while (AO_fetch_and_add_full(&engine->xoutside, 0) != 0)
		sched_yield();
}

/* What workers that are not stuck may need to leave. */
#define LEAVE_NS ROTA_MS(100)
/* By then the monitor has seen a handler stand still that does. */
#define STILL_NS ROTA_MS(20)

/*
 * Handlers that did not return in time lose their actors: what these had queued
 * is told now, while somebody is there to hear it. Where that cannot be done
 * (see rota_abandon()) it stays with the handler.
 */
static void give_up_stuck(struct engine *engine)
{
	unsigned i, n = crew_slots(&engine->crew);
	uint64_t deadline = clock_deadline(clock_ns(), STILL_NS);

	for (i = 0; i < n; i++) {
		struct local *local = (struct local *)engine->crew.workers[i];
		/* Relaxed: looked at again by the call. */
		rota_id id = AO_load(&local->turn.xself);

		if (id != ROTA_NONE)
			rota_abandon_within(id,
					    clock_left(clock_ns(), deadline));
	}
}

static void stop(struct engine *engine, int64_t within,
		 struct rota_stop_report *report)
{
	uint64_t deadline = clock_deadline(clock_ns(), within);
	AO_t dead_before =
		engine_sum(engine, offsetof(struct counters, xdead[0]));
	AO_t ended_before =
		engine_sum(engine, offsetof(struct counters, xended));
	bool in_time = end_all(engine, deadline), all_ended = in_time;
	unsigned n_left;

	if (!in_time) {
		give_up_stuck(engine);
		if (!engine->crew.drive)
			relief_lend(&engine->crew);
		all_ended =
			end_all(engine, clock_deadline(clock_ns(), LEAVE_NS));
	}
	if (!all_ended) {
		/* [E4] pairs with engine_gives_up() */
		AO_store_release(&engine->xstate, ENGINE_GIVES_UP);
		for_all_slots(engine, release_waiters);
		abandoned_release(engine);
		release_joiners(engine);
	}
	n_left = offload_stop(engine, clock_left(clock_ns(), deadline), report);
	estate_open(engine->handle);
	table_unpublish(engine->handle);
	for_all_cells(engine, &engine->ask_cells, ask_give_up);
	await_outside(engine);
	for_all_cells(engine, &engine->ask_cells, estate_add);
	estate_settle(engine->handle);
	/* A spawn that was under way may have slipped in: see [E2]. */
	if (all_ended)
		all_ended = end_all(engine, deadline);
	report->stuck =
		crew_stop(&engine->crew,
			  in_time && all_ended ? ROTA_FOREVER : LEAVE_NS) +
		n_left;
	report->actors_stopped =
		engine_sum(engine, offsetof(struct counters, xended)) -
		ended_before;
	report->dead_letters =
		engine_sum(engine, offsetof(struct counters, xdead[0])) -
		dead_before;
	if (report->stuck > 0) {
		/* Relaxed: a statistic. */
		report->bytes_kept = AO_load(&engine->source.xbytes);
		report_stuck(engine, report);
	} else {
		flush_all(engine);
		if (all_ended)
			check_all(engine);
	}
	if (crew_release(&engine->crew))
		engine_let_go(engine);
}

int rota_stop_report(rota_engine *handle, int64_t within,
		     struct rota_stop_report *report)
{
	struct rota_stop_report all = ROTA_STOP_REPORT_INIT;
	struct engine *engine;

	if (!handle)
		return 0;
	if (local_here() || is_needed(handle))
		return -EDEADLK;
	engine = table_take(handle);
	if (!engine)
		return -ESRCH;
	if (*engine->fork_page == 0)
		return -EPERM;
	stop(engine, within, &all);
	if (report)
		options_give(report, &all, sizeof(all));
	return all.stuck ? -ETIMEDOUT : 0;
}

int rota_stop(rota_engine *handle, int64_t within)
{
	return rota_stop_report(handle, within, NULL);
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
