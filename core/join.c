/* SPDX-License-Identifier: MIT */
/*
 * join - waits for the end of an actor
 *
 * While the actor lives a joiner stands in its cold block's list. Afterwards
 * the slot tells how the life ended until it is used again, and then the
 * record of exits does.
 *
 * Orderings:  [A2] see spawn.c.
 *             [A1] see cold.c; end_life() -> signal read here: the slot's
 *             account of the end, and all that the actor did, are seen.
 */
#include <errno.h>
#include <string.h>

#include <rota/actor.h>

#include "core/await.h"
#include "core/cold.h"

/* How an earlier life of the slot ended. -ESRCH: it was never lived. */
static int account(struct engine *engine, struct actor *actor, rota_id id,
		   struct rota_exit *why)
{
	for (;;) {
		/* [A1] pairs with end_life() and spawn */
		AO_t signal = AO_load_acquire(&actor->xsignal);
		uint32_t generation = signal_generation(signal);
		/* [A2] pairs with make_live() */
		AO_t ended = AO_load_acquire(&actor->xended);

		memset(why, 0, sizeof(*why));
		if (id_generation(id) >= generation ||
		    id_generation(id) < engine->first_generation)
			return -ESRCH;
		if ((signal & SIGNAL_LIVE) || ended == 0 ||
		    generation != id_generation(id) + 1) {
			exits_find(&engine->exits, id, why);
			return 0;
		}
		why->cause = exit_cause_of(ended);
		why->reason = exit_reason_of(ended);
		/* [A1] unchanged: what was read belongs to that end */
		if (AO_load_acquire(&actor->xsignal) == signal)
			return 0;
	}
}

/* Enter the list of joiners; where there is none the end came first. */
static int enter_joiners(struct await *await, struct site *site)
{
	int error;
	struct cold *cold =
		cold_lock(site, await->target, await->to, true, &error);

	if (!cold)
		return error == -ESRCH ? 0 : error;
	await_enter(await, cold, &cold->joiners);
	cold_unlock(cold);
	return 0;
}

/* Wait for the end of a life. 0: it has ended, or had before. */
static int wait_for_end(struct site *site, struct actor *target, rota_id id,
			int64_t within)
{
	struct await await = {.edge = EDGE_JOIN, .to = id, .target = target};
	int error = await_begin(&await, within, site);

	if (error)
		return error == -EAGAIN ? -EDEADLK : error;
	return await_end(&await, enter_joiners(&await, site), site);
}

int rota_join(rota_id id, int64_t within, struct rota_exit *why)
{
	struct rota_exit account_of_it;
	struct actor *actor;
	struct site site;
	int error = site_enter(&site, id);

	if (error)
		return error;
	actor = engine_actor(site.engine, id);
	if (!actor)
		error = -ESRCH;
	/* [A1] pairs with end_life() */
	else if (signal_lives(AO_load_acquire(&actor->xsignal), id))
		error = within > 0 ? wait_for_end(&site, actor, id, within)
				   : -ETIMEDOUT;
	if (error == 0)
		error = account(site.engine, actor, id, &account_of_it);
	site_leave(&site);
	if (error == 0 && why)
		*why = account_of_it;
	return error;
}
