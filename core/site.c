/* SPDX-License-Identifier: MIT */
/*
 * site - how a call gets into an engine and out again
 *
 * A worker of the engine is in it anyway. Any other thread announces itself
 * (see table.c) and borrows one of a few shards of magazines and counters. While
 * it waits, or calls the user back, it is counted at the engine instead, and
 * its own record knows of it: in such a callback, which may make calls like any
 * other code, it must not wait for that count. Of a worker of another engine each
 * turn knows its own, for turns wait beside each other: they go with it.
 */
#include <errno.h>

#include "core/chain.h"
#include "core/engine.h"

static int enter_number(struct site *site, unsigned number)
{
	struct thread_record *record = thread_record_here();
	struct engine *engine;

	*site = (struct site){.record = record};
	if (!record)
		return -ENOMEM;
	engine = table_enter(record, number);
	if (!engine)
		return -ESRCH;
	if (*engine->fork_page == 0) {
		/* A forked child: the workers are in the parent. */
		table_leave(record);
		return -EPERM;
	}
	site->engine = engine;
	site->shard = &engine->shards[record->shard];
	site->cache = &site->shard->cache;
	spin_lock(&site->shard->xlock);
	if (unlikely(engine->crew.nodes.n > 1))
		site->shard->node = nodes_here(&engine->crew.nodes);
	return 0;
}

int site_enter(struct site *site, rota_id id)
{
	struct local *local = local_here();

	if (local)
		chain_close(local);
	if (local && local->number == id_engine(id)) {
		site_enter_own(site, local);
		return 0;
	}
	*site = (struct site){.engine = NULL};
	if (id_engine(id) == 0)
		return rota_id_error(id);
	return enter_number(site, id_engine(id));
}

int site_enter_handle(struct site *site, struct rota_engine *handle)
{
	struct local *local = local_here();

	if (local)
		chain_close(local);
	if (local && (!handle || local->engine->handle == handle)) {
		site_enter_own(site, local);
		return 0;
	}
	*site = (struct site){.engine = NULL};
	return handle ? enter_number(site, handle->number) : -EINVAL;
}

/* Give the shard back; then, without its lock, wake whom we sent to. */
static void leave_shard(struct site *site)
{
	spin_unlock(&site->shard->xlock);
	if (site->awakened)
		crew_inject(&site->engine->crew, site->awakened);
	site->awakened = NULL;
}

/* The calls that the thread, or the turn on it, has stepped out of. */
static struct site **outside_here(struct thread_record *record)
{
	struct local *local = local_again(); /* the turn may have moved */

	return local ? &local->outside : &record->outside;
}

static void note_outside(struct site *site)
{
	struct site **last = outside_here(site->record);

	site->outer = *last;
	*last = site;
}

static void forget_outside(struct site *site)
{
	*outside_here(site->record) = site->outer;
}

bool site_is_below(struct thread_record *record, unsigned number)
{
	const struct site *site = *outside_here(record);

	/* Relaxed: our own word. */
	if (number ? AO_load(&record->xcall) == number
		   : AO_load(&record->xcall) != 0)
		return true;
	while (site && number && site->engine->number != number)
		site = site->outer;
	return site != NULL;
}

void site_leave(struct site *site)
{
	if (!site->shard)
		return;
	leave_shard(site);
	if (site->is_outside) {
		forget_outside(site);
		/* [E5] pairs with await_outside(): the last touch */
		AO_fetch_and_add_full(&site->engine->xoutside, (AO_t)-1);
	} else {
		table_leave(site->record);
	}
	site->shard = NULL;
}

void site_step_out(struct site *site)
{
	if (!site->shard)
		return;
	if (site->is_outside) { /* for the second time in a call */
		leave_shard(site);
		return;
	}
	/* [E5] pairs with await_outside(); [T3] the call is still announced */
	AO_fetch_and_add_full(&site->engine->xoutside, 1);
	site->is_outside = true;
	note_outside(site);
	leave_shard(site);
	table_leave(site->record);
}

void site_step_in(struct site *site)
{
	site_lock(site);
}

/* ---- looks ---- */

static int look_from_outside(unsigned number, struct engine **engine,
			     struct thread_record **record)
{
	struct thread_record *own = thread_record_here();

	if (!own)
		return -ENOMEM;
	/* In a callback of this engine: relaxed, our own word. */
	if (AO_load(&own->xcall) == number) {
		*engine = table_engine(number);
	} else {
		*engine = table_enter(own, number);
		*record = *engine ? own : NULL;
	}
	return *engine ? 0 : -ESRCH;
}

int site_look(unsigned number, struct engine **engine,
	      struct thread_record **record)
{
	struct local *local = local_here();
	int error;

	*record = NULL;
	if (local && local->number == number) {
		*engine = local->engine;
		return 0;
	}
	error = look_from_outside(number, engine, record);
	if (!error && *(*engine)->fork_page == 0) {
		site_end_look(*record);
		error = -EPERM;
	}
	return error;
}

void site_end_look(struct thread_record *record)
{
	if (record)
		table_leave(record);
}
