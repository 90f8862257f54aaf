/* SPDX-License-Identifier: MIT */
/*
 * spawn - makes actors
 *
 * No lock and no list: a cell from a magazine, the state copied in, and one
 * store that makes it live.
 *
 * Orderings:  a behaviour's entry in the list is seen by other caches through
 *             the list's lock; a task reaches another worker through the
 *             run queues, which order too.
 *             [A1] see cold.c; here the store of LIVE: the cell is complete.
 *             [A2] the record of the last life's end -> account() in join.c.
 *             [E2] see engine.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rota/actor.h>

#include "core/chain.h"
#include "core/dedicated.h"
#include "core/engine.h"
#include "core/options.h"
#include "core/process.h"
#include "core/reads.h"
#include "core/run.h"
#include "core/spawn.h"

/* ---- behaviours ---- */

int behaviour_check(const struct rota_behaviour *origin)
{
	struct rota_behaviour known = {.size = sizeof(known)};
	int error = options_copy(&known, sizeof(known), origin);

	if (!error && (origin->size < sizeof(*origin) || !known.name ||
		       !known.handle || known.state_size > ROTA_MAX_STATE))
		error = -EINVAL;
	return error;
}

struct behaviour *behaviour_make(const struct rota_behaviour *origin,
				 unsigned flags)
{
	struct behaviour *behaviour = calloc(1, sizeof(*behaviour));

	if (!behaviour)
		return NULL;
	behaviour->flags = flags;
	behaviour->is_anywhere = (flags & ROTA_ANYWHERE) != 0;
	behaviour->class.run = behaviour->is_anywhere ? process_run : actor_run;
	behaviour->class.is_fresh = actor_is_fresh;
	process_init_classes(behaviour);
	reads_init_classes(behaviour);
	behaviour->handle = origin->handle;
	behaviour->destroy = origin->destroy;
	behaviour->name = origin->name;
	behaviour->state_size = origin->state_size;
	behaviour->cell_class =
		(unsigned)cell_class(sizeof(struct actor) + origin->state_size);
	behaviour->origin = origin;
	return behaviour;
}

/* Find it in the engine's list or add it. */
static struct behaviour *enlist(struct engine *engine,
				const struct rota_behaviour *origin,
				unsigned flags)
{
	struct behaviour *behaviour, *fresh = behaviour_make(origin, flags);

	if (!fresh)
		return NULL;
	spin_lock(&engine->behaviours_lock);
	for (behaviour = engine->behaviours; behaviour;
	     behaviour = behaviour->next)
		if (behaviour->origin == origin && behaviour->flags == flags)
			break;
	if (!behaviour) {
		fresh->next = engine->behaviours;
		engine->behaviours = behaviour = fresh;
	}
	spin_unlock(&engine->behaviours_lock);
	if (behaviour != fresh)
		free(fresh);
	return behaviour;
}

struct behaviour *behaviour_find(struct engine *engine, struct cache *cache,
				 const struct rota_behaviour *origin,
				 unsigned flags, int *error)
{
	uintptr_t hash =
		((uintptr_t)origin >> 4) ^ ((uintptr_t)origin >> 8) ^ flags;
	struct behaviour **place = &cache->behaviours[hash % BEHAVIOUR_CACHE];

	if (likely(*place && (*place)->origin == origin &&
		   (*place)->flags == flags))
		return *place;
	*error = behaviour_check(origin);
	if (*error)
		return NULL;
	*place = enlist(engine, origin, flags);
	if (!*place)
		*error = -ENOMEM;
	return *place;
}

/* ---- actors ---- */

/* The slot's last life ended in a way that joiners may still ask for. */
static void remember_end(struct engine *engine, const struct actor *actor)
{
	/* Relaxed: the slot is ours. */
	uint32_t generation = signal_generation(AO_load(&actor->xsignal));

	/* Relaxed: likewise. */
	AO_t ended = AO_load(&actor->xended);

	exits_record(&engine->exits,
		     id_make(engine->number, actor->slot, generation - 1),
		     (int)exit_cause_of(ended), exit_reason_of(ended));
}

/* Keeps the highest generation, where the number's next engine starts. */
static inline void note_generation(struct cache *cache, uint32_t generation)
{
	AO_t *xmax = &cache->counters.xmax_generation;

	/* Relaxed: read when all have left. */
	if (unlikely(generation > AO_load(xmax)))
		AO_store(xmax, generation);
}

static inline rota_id make_live(struct engine *engine, struct cache *cache,
				struct actor *actor,
				struct behaviour *behaviour, const void *state,
				unsigned capacity)
{
	/* Relaxed: the slot is ours. */
	uint32_t generation = signal_generation(AO_load(&actor->xsignal));

	/* Relaxed: the slot is ours. */
	if (unlikely(AO_load(&actor->xended) != exit_pack(ROTA_EXIT_NORMAL, 0)))
		remember_end(engine, actor);
	/* [A2] pairs with account(): who reads 0 finds the record */
	AO_store_release(&actor->xended, 0);
	note_generation(cache, generation);
	actor->task.next = NULL;
	/* Relaxed: see struct task; LIVE publishes it. */
	AO_store(&actor->task.xclass, (AO_t)&behaviour->class);
	actor->normal = NULL;
	AO_store(&actor->xhandled, 0); /* relaxed: a statistic */
	/* Relaxed: see actor_capacity(). */
	AO_short_store(&actor->xcapacity, (unsigned short)capacity);
	actor->incarnation = 0;
	if (behaviour->state_size > 0) {
		if (state)
			memcpy(actor_state(actor), state,
			       behaviour->state_size);
		else
			memset(actor_state(actor), 0, behaviour->state_size);
	}
	/* [X2] pairs with mailbox_push(): an empty mailbox, idle */
	AO_store_release(&actor->xmail, 0);
	/* [A1] pairs with cold_lock() and signal readers */
	AO_store_release(&actor->xsignal, (AO_t)generation << 8 | SIGNAL_LIVE);
	count(&cache->counters.xspawned, 1);
	return id_make(engine->number, actor->slot, generation);
}

rota_id spawn_as(struct engine *engine, struct cache *cache,
		 struct behaviour *behaviour, const void *state,
		 unsigned mailbox)
{
	struct actor *actor = pool_get(&engine->cells[behaviour->cell_class],
				       &cache->cells[behaviour->cell_class]);

	if (!actor)
		return id_of_error(-ENOMEM);
	return make_live(engine, cache, actor, behaviour, state,
			 mailbox ? mailbox : engine->mailbox);
}

static rota_id spawn(struct engine *engine, struct cache *cache,
		     const struct rota_behaviour *origin, const void *state,
		     const struct rota_spawn_options *options)
{
	struct behaviour *behaviour;
	struct actor *actor;
	int error = 0;

	/* [E2] pairs with rota_stop() */
	if (unlikely(AO_load_acquire(&engine->xstate) != ENGINE_RUNS))
		return id_of_error(-ESHUTDOWN);
	behaviour =
		behaviour_find(engine, cache, origin, options->flags, &error);
	if (unlikely(!behaviour))
		return id_of_error(error);
	actor = pool_get(&engine->cells[behaviour->cell_class],
			 &cache->cells[behaviour->cell_class]);
	if (unlikely(!actor))
		return id_of_error(-ENOMEM);
	return make_live(engine, cache, actor, behaviour, state,
			 options->mailbox ? options->mailbox : engine->mailbox);
}

static __attribute__((noinline)) rota_id
spawn_far(rota_engine *handle, const struct rota_behaviour *behaviour,
	  const void *state, const struct rota_spawn_options *options)
{
	struct site site;
	rota_id id;
	int error = site_enter_handle(&site, handle);

	if (error)
		return id_of_error(error);
	id = spawn(site.engine, site.cache, behaviour, state, options);
	site_leave(&site);
	return id;
}

#define KNOWN_FLAGS \
	((unsigned)(ROTA_ANYWHERE | ROTA_TAKES_URGENT | ROTA_OWN_THREAD))

rota_id rota_spawn(rota_engine *handle, const struct rota_behaviour *behaviour,
		   const void *state, const struct rota_spawn_options *options)
{
	struct rota_spawn_options all = ROTA_SPAWN_INIT;
	struct local *local = local_here();
	int error = options ? options_copy(&all, sizeof(all), options) : 0;

	if (!error &&
	    (all.mailbox > ROTA_MAX_MAILBOX || (all.flags & ~KNOWN_FLAGS) != 0))
		error = -EINVAL;
	if (!error && (!behaviour || all.reserved != 0))
		error = -EINVAL;
	if (error)
		return id_of_error(error);
	if (local)
		chain_close(local);
	if (unlikely(options && dedicated_is_wanted(&all)))
		return dedicated_spawn(handle, behaviour, state, &all);
	if (local && (!handle || local->engine->handle == handle))
		return spawn(local->engine, &local->cache, behaviour, state,
			     &all);
	return spawn_far(handle, behaviour, state, &all);
}
