/* SPDX-License-Identifier: MIT */
/*
 * dedicated - actors that live on a thread of their own, or of their group
 *
 * Problem:    such an actor is spoken to by the same calls as all others, and
 *             these must not ask what kind it is.
 * Approach:   its task has a home (sched/home.c), by its class. An actor type
 *             has one class in the engine; here it has one more for each thread
 *             on which actors of it have lived. Threads' slots are used again,
 *             and so are these classes: there are no more of them than threads
 *             at a time, times types.
 *             An actor is counted at its home before it is made, so that the
 *             thread is there, and off at the end of its last turn.
 * Rejected:   a home in the actor's header (there is no room) or cold block
 *             (whoever wakes an actor would have to look).
 * Orderings:  [E2] see stop.c; a home is refused once the crew stops.
 *             Classes are seen by other threads through the list's lock.
 */
#include "core/dedicated.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/engine.h"
#include "core/spawn.h"

_Static_assert(ROTA_MAX_GROUP == HOME_NAME - 1, "a group's name fits");

/* ---- types ---- */

static void settle_class(struct task_class *class, struct worker *home)
{
	class->home = home;
	/* Relaxed: nobody else knows it yet. */
	AO_store(&class->xmean_ns, TASK_HOME_NS);
}

static struct behaviour *
make(struct worker *home, const struct rota_behaviour *origin, unsigned flags)
{
	struct behaviour *behaviour = behaviour_make(origin, flags);

	if (!behaviour)
		return NULL;
	settle_class(&behaviour->class, home);
	settle_class(&behaviour->sifts, home);
	settle_class(&behaviour->stands, home);
	return behaviour;
}

/* Under the lock. */
static struct behaviour *
find(struct local *local, const struct rota_behaviour *origin, unsigned flags)
{
	struct behaviour *behaviour = local->behaviours;

	while (behaviour &&
	       (behaviour->origin != origin || behaviour->flags != flags))
		behaviour = behaviour->next_here;
	return behaviour;
}

/* Under the lock. */
static void enlist(struct engine *engine, struct local *local,
		   struct behaviour *behaviour)
{
	behaviour->next_here = local->behaviours;
	local->behaviours = behaviour;
	behaviour->next = engine->dedicated;
	engine->dedicated = behaviour;
}

struct behaviour *dedicated_behaviour(struct engine *engine,
				      struct worker *home,
				      const struct rota_behaviour *origin,
				      unsigned flags, int *error)
{
	struct local *local = (struct local *)home;
	struct behaviour *behaviour, *fresh;

	*error = behaviour_check(origin);
	fresh = *error ? NULL : make(home, origin, flags);
	if (!fresh) {
		*error = *error ? *error : -ENOMEM;
		return NULL;
	}
	spin_lock(&engine->behaviours_lock);
	behaviour = find(local, origin, flags);
	if (!behaviour)
		enlist(engine, local, fresh);
	spin_unlock(&engine->behaviours_lock);
	if (!behaviour)
		return fresh;
	free(fresh);
	return behaviour;
}

/* ---- actors ---- */

static int check(const struct rota_spawn_options *options)
{
	size_t length = options->group ? strlen(options->group) : 0;
	bool is_own = (options->flags & ROTA_OWN_THREAD) != 0;

	if (is_own == (options->group != NULL))
		return -EINVAL;
	return options->group && (length == 0 || length > ROTA_MAX_GROUP)
		       ? -EINVAL
		       : 0;
}

/* A thread may have to be made: not under the shard's lock. */
static int enter(struct site *site, const struct rota_behaviour *origin,
		 const struct rota_spawn_options *options, struct worker **home)
{
	struct home_wish wish = {
		.name = options->group,
		.title = options->group ? options->group : origin->name,
		.cpu = options->cpu,
	};
	int error;

	/* [E2] pairs with rota_stop() */
	if (AO_load_acquire(&site->engine->xstate) != ENGINE_RUNS)
		return -ESHUTDOWN;
	site_unlock(site);
	error = home_enter(&site->engine->crew, &wish, home);
	site_lock(site);
	return error;
}

static rota_id spawn(struct site *site, const struct rota_behaviour *origin,
		     const void *state,
		     const struct rota_spawn_options *options)
{
	unsigned flags = options->flags & ~(unsigned)ROTA_OWN_THREAD;
	struct behaviour *behaviour;
	struct worker *home;
	rota_id id;
	int error = enter(site, origin, options, &home);

	if (error)
		return id_of_error(error);
	behaviour =
		dedicated_behaviour(site->engine, home, origin, flags, &error);
	id = behaviour ? spawn_as(site->engine, site->cache, behaviour, state,
				  options)
		       : id_of_error(error);
	if (rota_id_error(id) != 0)
		home_leave(home);
	return id;
}

rota_id dedicated_spawn(rota_engine *handle,
			const struct rota_behaviour *behaviour,
			const void *state,
			const struct rota_spawn_options *options)
{
	int error = check(options);
	struct site site;
	rota_id id;

	if (!error)
		error = behaviour_check(behaviour);
	if (!error)
		error = site_enter_handle(&site, handle);
	if (error)
		return id_of_error(error);
	id = spawn(&site, behaviour, state, options);
	site_leave(&site);
	return id;
}
