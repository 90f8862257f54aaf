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
 *             [E2] see stop.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rota/actor.h>

#include "core/chain.h"
#include "core/cold.h"
#include "core/dedicated.h"
#include "core/engine.h"
#include "core/options.h"
#include "core/pools.h"
#include "core/process.h"
#include "core/reads.h"
#include "core/run.h"
#include "core/spawn.h"
#include "mailbox/closure.h"

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
	behaviour->tag_name = origin->tag_name;
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

const char *behaviour_tag_name(const struct behaviour *behaviour, unsigned tag)
{
	if (tag == CLOSURE_TAG)
		return "closure";
	return behaviour->tag_name ? behaviour->tag_name(tag) : NULL;
}

void behaviour_tag_text(const struct behaviour *behaviour, unsigned tag,
			char *text, size_t size)
{
	const char *name = behaviour_tag_name(behaviour, tag);

	if (name)
		snprintf(text, size, "%s", name);
	else
		snprintf(text, size, "tag %u", tag);
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

/* The signal word of a life that begins. */
static inline AO_t first_signal(struct engine *engine, struct actor *actor,
				uint32_t generation, struct cold *cold)
{
	AO_t signal = (AO_t)generation << 8 | SIGNAL_LIVE;

	if (likely(!cold))
		return signal;
	cold_set_owner(cold, id_make(engine->number, actor->slot, generation));
	return signal | (AO_t)cold->number << 32;
}

/* @cold: what it has from the beginning, or NULL. */
static inline rota_id make_live(struct engine *engine, struct cache *cache,
				struct actor *actor,
				struct behaviour *behaviour, const void *state,
				unsigned capacity, struct cold *cold)
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
	AO_store_release(&actor->xsignal,
			 first_signal(engine, actor, generation, cold));
	count(&cache->counters.xspawned, 1);
	return id_make(engine->number, actor->slot, generation);
}

/* What options ask for beyond an actor; *cold is NULL if that is nothing. */
static inline bool make_cold(struct engine *engine, struct cache *cache,
			     const struct rota_spawn_options *options,
			     struct cold **cold)
{
	*cold = NULL;
	if (likely(options->ask_within == 0 && options->overflow == 0))
		return true;
	*cold = cold_prepare(engine, cache, options);
	return *cold != NULL;
}

rota_id spawn_as(struct engine *engine, struct cache *cache,
		 struct behaviour *behaviour, const void *state,
		 const struct rota_spawn_options *options)
{
	struct actor *actor;
	struct cold *cold;

	if (unlikely(!make_cold(engine, cache, options, &cold)))
		return id_of_error(-ENOMEM);
	actor = pool_get(&engine->cells[behaviour->cell_class],
			 &cache->cells[behaviour->cell_class]);
	if (likely(actor != NULL))
		return make_live(engine, cache, actor, behaviour, state,
				 options->mailbox ? options->mailbox
						  : engine->mailbox,
				 cold);
	if (cold)
		cold_release(engine, cache, cold);
	return id_of_error(-ENOMEM);
}

static rota_id spawn(struct engine *engine, struct cache *cache,
		     const struct rota_behaviour *origin, const void *state,
		     const struct rota_spawn_options *options)
{
	struct behaviour *behaviour;
	int error = 0;

	/* [E2] pairs with rota_stop() */
	if (unlikely(AO_load_acquire(&engine->xstate) != ENGINE_RUNS))
		return id_of_error(-ESHUTDOWN);
	behaviour =
		behaviour_find(engine, cache, origin, options->flags, &error);
	if (unlikely(!behaviour))
		return id_of_error(error);
	return spawn_as(engine, cache, behaviour, state, options);
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
	if (!error && (!behaviour || all.ask_within < 0))
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
