/* SPDX-License-Identifier: MIT */
/*
 * dedicated - actors that live on a thread of their own, or of their group
 */
#ifndef ROTA_CORE_DEDICATED_H
#define ROTA_CORE_DEDICATED_H

#include <stdbool.h>

#include <rota/actor.h>

struct behaviour;
struct engine;
struct worker;

/* Do these options say anything about a thread? */
static inline bool dedicated_is_wanted(const struct rota_spawn_options *options)
{
	return (options->flags & ROTA_OWN_THREAD) || options->group ||
	       options->cpu != 0;
}

/* rota_spawn() with such options. */
rota_id dedicated_spawn(rota_engine *handle,
			const struct rota_behaviour *behaviour,
			const void *state,
			const struct rota_spawn_options *options);

/* As behaviour_find(), for actors that live at a worker. */
struct behaviour *dedicated_behaviour(struct engine *engine,
				      struct worker *home,
				      const struct rota_behaviour *origin,
				      unsigned flags, int *error);

#endif
