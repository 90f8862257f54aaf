/* SPDX-License-Identifier: MIT */
/*
 * cold - the block of what few actors have, made when first needed
 *
 * Problem:    supervisors, joiners, waiters and the wait of a turn would
 *             multiply the size of every actor; but whoever needs them must
 *             never attach them to a life that is over.
 * Approach:   a block from a type-stable pool, named in the actor's signal word
 *             beside the generation: the CAS that installs it, and the CAS that
 *             ends the life, are on one word. All else is under the block's
 *             lock, where `owner` tells whose it is at this moment.
 * Invariants: I1 owner == id => that life has not ended, and the block is the
 *                one in its signal word.
 * Orderings:  [A1] the CAS that installs a block, or ends a life, and every
 *             other CAS on the signal word.
 */
#include "core/cold.h"

#include <errno.h>

void cold_carve(void *block, uint32_t number, uint32_t parameter)
{
	struct cold *cold = block;

	(void)parameter;
	cold->xlock = AO_TS_INITIALIZER;
	cold->number = number;
	cold->handed = HANDED_NOT;
}

void cold_release(struct engine *engine, struct cache *cache, struct cold *cold)
{
	pool_put(&engine->colds, &cache->colds, cold);
}

static struct cold *cold_new(struct site *site, rota_id owner)
{
	struct cold *cold = pool_get(&site->engine->colds, &site->cache->colds);

	if (!cold)
		return NULL;
	/* A late visitor of the block's last owner may be looking. */
	spin_lock(&cold->xlock);
	cold->owner = owner;
	waiters_init(&cold->room);
	waiters_init(&cold->joiners);
	cold->wait = NULL;
	cold->edge = EDGE_NONE;
	cold->desk = NULL;
	cold->run = NULL;
	cold->promises = NULL;
	cold->asked = NULL;
	cold->deadlock = NULL;
	/* Relaxed: the signal word publishes it. */
	AO_store(&cold->xask_within, 0);
	AO_int_store(&cold->xover_limit, 0); /* relaxed: as above */
	AO_int_store(&cold->xover, 0);	     /* relaxed: as above */
	spin_unlock(&cold->xlock);
	return cold;
}

struct cold *cold_prepare(struct engine *engine, struct cache *cache,
			  const struct rota_spawn_options *options)
{
	struct site site = {.engine = engine, .cache = cache};
	struct cold *cold = cold_new(&site, 0);

	if (!cold)
		return NULL;
	/* Relaxed: as above. */
	AO_store(&cold->xask_within, (AO_t)options->ask_within);
	AO_int_store(&cold->xover_limit, options->overflow); /* as above */
	return cold;
}

void cold_set_owner(struct cold *cold, rota_id owner)
{
	spin_lock(&cold->xlock);
	cold->owner = owner;
	spin_unlock(&cold->xlock);
}

static void cold_give_up(struct site *site, struct cold *cold)
{
	spin_lock(&cold->xlock);
	cold->owner = 0;
	spin_unlock(&cold->xlock);
	cold_release(site->engine, site->cache, cold);
}

/* Put a new block into the signal word; the number that is there then, 0 with
   *error set. */
static uint32_t cold_install(struct site *site, struct actor *actor, rota_id id,
			     int *error)
{
	struct cold *cold = cold_new(site, id);
	AO_t signal;

	if (!cold) {
		*error = -ENOMEM;
		return 0;
	}
	/* [A1] pairs with another's install: then its block is ours to use */
	signal = AO_load_acquire(&actor->xsignal);
	for (;;) {
		AO_t seen;

		if (!signal_lives(signal, id) || signal_cold(signal))
			break;
		/* [A1] pairs with end_life() and cold_lock() */
		seen = AO_fetch_compare_and_swap_full(
			&actor->xsignal, signal,
			signal | (AO_t)cold->number << 32);
		if (seen == signal)
			return cold->number;
		signal = seen;
	}
	cold_give_up(site, cold);
	*error = signal_lives(signal, id) ? 0 : -ESRCH;
	return *error ? 0 : signal_cold(signal);
}

struct cold *cold_lock(struct site *site, struct actor *actor, rota_id id,
		       bool make, int *error)
{
	/* [A1] pairs with cold_install() */
	AO_t signal = AO_load_acquire(&actor->xsignal);
	uint32_t number = signal_cold(signal);
	struct cold *cold;

	*error = signal_lives(signal, id) ? 0 : -ESRCH;
	if (*error)
		return NULL;
	if (!number && make)
		number = cold_install(site, actor, id, error);
	if (!number)
		return NULL;
	cold = cold_at(site->engine, number);
	spin_lock(&cold->xlock);
	if (cold->owner == id && !(make && engine_gives_up(site->engine)))
		return cold;
	/* The life ended between the look and the lock, or will never end. */
	spin_unlock(&cold->xlock);
	*error = -ESRCH;
	return NULL;
}
