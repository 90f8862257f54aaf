/* SPDX-License-Identifier: MIT */
/*
 * spawn - makes actors
 */
#ifndef ROTA_CORE_SPAWN_H
#define ROTA_CORE_SPAWN_H

#include <rota/actor.h>

#include "core/engine.h"

/* 0, -EINVAL, -E2BIG. */
int behaviour_check(const struct rota_behaviour *origin);

/* In no list yet; NULL: no memory. */
struct behaviour *behaviour_make(const struct rota_behaviour *origin,
				 unsigned flags);

/* The actor's id, or one that carries -ENOMEM. */
rota_id spawn_as(struct engine *engine, struct cache *cache,
		 struct behaviour *behaviour, const void *state,
		 const struct rota_spawn_options *options);

#endif
