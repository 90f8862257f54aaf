/* SPDX-License-Identifier: MIT */
/*
 * stats - adds up what every worker has counted
 *
 * All that is read here is written by others meanwhile: relaxed loads of words
 * that only grow, but for memory. No lock is taken, so that the user's
 * allocator and callbacks may ask, too.
 */
#include "core/stats.h"

#include <errno.h>
#include <string.h>

#include "core/options.h"
#include "core/pools.h"

/* ---- counters ---- */

static void add_cache(struct rota_stats *all, const struct cache *cache)
{
	const struct counters *counters = &cache->counters;
	unsigned cause;

	/* Relaxed: statistics, here and below. */
	all->spawned += AO_load(&counters->xspawned);
	all->ended += AO_load(&counters->xended);
	/* Relaxed: as above. */
	all->abandoned += AO_load(&counters->xabandoned);
	all->returned += AO_load(&counters->xreturned);
	all->messages +=
		AO_load(&counters->xmessages) + AO_load(&counters->xalone);
	all->overdrafts += AO_load(&counters->xoverdrafts);
	all->tasks += AO_load(&counters->xfinished);
	all->late_replies += AO_load(&counters->xlate);
	/* Relaxed: as above. */
	all->queries += AO_load(&counters->xoffered);
	all->chained += AO_load(&counters->xchained); /* relaxed: as above */
	for (cause = 0; cause < ROTA_DEAD_CAUSES; cause++)
		/* Relaxed: as above. */
		all->dead_letters[cause] += AO_load(&counters->xdead[cause]);
}

static void add_worker(struct rota_stats *all, const struct worker *worker)
{
	add_cache(all, &((const struct local *)worker)->cache);
	/* Relaxed: statistics. */
	all->turns += AO_load(&worker->xturns);
	all->waits += AO_load(&worker->xwaits);
	all->steals += AO_load(&worker->xsteals);
	all->wakeups += AO_load(&worker->xwakeups);
	all->stuck += stuck_reported(((const struct local *)worker)->engine,
				     worker->number);
}

static void add_outside(struct rota_stats *all, const struct engine *engine)
{
	unsigned i;

	for (i = 0; i < N_SHARDS; i++)
		add_cache(all, &engine->shards[i].cache);
	/* Relaxed: a statistic. */
	all->wakeups += AO_load(&engine->crew.xforeign_wakeups);
}

/* ---- memory ---- */

static void add_memory(struct rota_stats *all, struct engine *engine)
{
	uint64_t *of = all->memory_of;
	uint64_t chunks, used = 0;
	unsigned kind;

	pools_measure(engine, of);
	for (kind = 0; kind < ROTA_MEMORY_KINDS; kind++)
		used += of[kind];
	/* Relaxed: statistics. */
	of[ROTA_MEMORY_STACKS] = AO_load(&engine->crew.stacks.xbytes);
	chunks = AO_load(&engine->source.xbytes);
	/* A chunk is counted by its source before a pool has it. */
	of[ROTA_MEMORY_SPARE] = chunks > used ? chunks - used : 0;
	all->memory = used + of[ROTA_MEMORY_SPARE] + of[ROTA_MEMORY_STACKS];
	all->memory_limit = engine->budget.limit;
	/* Relaxed: a statistic. */
	all->memory_refused = AO_load(&engine->budget.xrefused);
}

/* ---- the calls ---- */

void stats_read(struct engine *engine, int of, struct rota_stats *stats)
{
	struct worker **workers = engine->crew.workers;
	unsigned i, n = crew_slots(&engine->crew);

	if (of >= 0) {
		add_worker(stats, workers[of]);
		return;
	}
	add_outside(stats, engine);
	if (of == ROTA_STATS_OUTSIDE)
		return;
	for (i = 0; i < n; i++)
		add_worker(stats, workers[i]);
	add_memory(stats, engine);
	/* Relaxed: a statistic. */
	stats->spares = AO_load(&engine->crew.relief.xn_total);
}

int rota_stats(rota_engine *handle, int of, struct rota_stats *stats)
{
	struct rota_stats all = ROTA_STATS_INIT;
	struct thread_record *record;
	struct engine *engine;
	int error;

	if (!stats)
		return -EINVAL;
	error = handle ? site_look(handle->number, &engine, &record) : -EINVAL;
	if (!error) {
		if (of < ROTA_STATS_OUTSIDE ||
		    of >= (int)crew_slots(&engine->crew))
			error = -EINVAL;
		else
			stats_read(engine, of, &all);
		site_end_look(record);
	}
	options_give(stats, &all, sizeof(all));
	return error;
}
