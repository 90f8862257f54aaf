/* SPDX-License-Identifier: MIT */
/*
 * cold - the block of what few actors have, made when first needed
 */
#ifndef ROTA_CORE_COLD_H
#define ROTA_CORE_COLD_H

#include "core/engine.h"
#include "sched/spin.h"

static inline struct cold *cold_at(struct engine *engine, uint32_t number)
{
	return slabs_cell(engine->records.xentry, number);
}

/* An actor's cold block, locked; NULL with *error -ESRCH (that life is over) or
   -ENOMEM. Made if @make, else NULL with *error 0 if there is none. */
struct cold *cold_lock(struct site *site, struct actor *actor, rota_id id,
		       bool make, int *error);

static inline void cold_unlock(struct cold *cold)
{
	spin_unlock(&cold->xlock);
}

/* That of the actor whose turn this is; NULL if it has none. */
static inline struct cold *cold_lock_own(struct local *local)
{
	struct turn *turn = &local->turn;
	/* [A1] pairs with cold_install(): whoever has made it */
	AO_t signal = AO_load_acquire(&turn->actor->xsignal);
	uint32_t number = signal_cold(signal);
	struct cold *cold;

	if (unlikely(!number))
		return NULL;
	cold = cold_at(local->engine, number);
	spin_lock(&cold->xlock);
	if (likely(cold->owner == turn->self))
		return cold;
	spin_unlock(&cold->xlock); /* it has been abandoned, and has ended */
	return NULL;
}

/*
 * A block for an actor that is about to live: its number goes into the signal
 * word that makes it so, once it has been told whose it is. NULL: no memory.
 */
struct cold *cold_prepare(struct engine *engine, struct cache *cache,
			  const struct rota_spawn_options *options);
void cold_set_owner(struct cold *cold, rota_id owner);

/* The actor has ended: whoever looks from now on finds another owner. */
void cold_release(struct engine *engine, struct cache *cache,
		  struct cold *cold);

/* Called for each new cell of the pool. */
void cold_carve(void *block, uint32_t number, uint32_t parameter);

#endif
