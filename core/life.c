/* SPDX-License-Identifier: MIT */
/*
 * life - signals that end actors, from inside and outside
 *
 * Orderings:  [A1] see cold.c. A stop raises the signal first and then looks
 *             for a wait under the cold block's lock; a turn enters its wait
 *             under that lock and then looks at the signal. Whoever locks
 *             second sees the other.
 */
#include <errno.h>

#include <rota/actor.h>

#include "core/chain.h"
#include "core/cold.h"
#include "core/reads.h"
#include "core/run.h"
#include "core/send.h"
#include "sched/drive.h"

/* Add to the signals of a life. */
static int raise_signals(struct actor *actor, rota_id id, AO_t signals)
{
	/* Relaxed: the CAS re-checks it. */
	AO_t signal = AO_load(&actor->xsignal);

	for (;;) {
		AO_t seen;

		if (!signal_lives(signal, id))
			return -ESRCH;
		/* [A1] pairs with end_life() and cold_install() */
		seen = AO_fetch_compare_and_swap_full(&actor->xsignal, signal,
						      signal | signals);
		if (seen == signal)
			return 0;
		signal = seen;
	}
}

/*
 * Whoever waits for room is refused at once, whatever the actor is doing. If
 * it is stopped, the wait that its handler is in ends, and those after it fail;
 * what destroy() waits for is none of a stop's business.
 */
static void end_waits(struct site *site, struct actor *actor, rota_id id,
		      bool cancels)
{
	int error;
	struct cold *cold = cold_lock(site, actor, id, false, &error);
	struct wait *cancelled = NULL;
	struct reading *readings = NULL;
	struct waiter *chain;

	if (!cold)
		return;
	cancels = cancels && !actor_is_at_end(actor);
	/*
	 * Under the lock: the turn cannot leave the wait's stack meanwhile. A
	 * wait that is claimed it does not leave before the end.
	 */
	if (cancels && cold->wait && wait_cancel(cold->wait))
		cancelled = cold->wait;
	if (cancels)
		readings = reads_cancel(cold);
	chain = waiters_claim_all(&cold->room);
	mailbox_clear_waiters(&actor->xmail);
	cold_unlock(cold);
	site_unlock(site); /* a wake-up may be a system call */
	if (cancelled)
		wait_finish(cancelled, -ECANCELED);
	reads_finish(readings);
	waiters_finish(chain, -ESHUTDOWN);
	site_lock(site);
}

int actor_signal(struct site *site, struct actor *actor, rota_id id,
		 AO_t signals)
{
	int error = raise_signals(actor, id, signals);

	if (error)
		return error;
	end_waits(site, actor, id,
		  (signals & (SIGNAL_STOP | SIGNAL_ENGINE)) != 0);
	if (mailbox_signal(&actor->xmail))
		site_schedule(site, actor);
	return 0;
}

static int signal_id(rota_id id, AO_t signals)
{
	struct actor *actor;
	struct site site;
	int error = site_enter(&site, id);

	if (error)
		return error;
	actor = engine_actor(site.engine, id);
	error = actor ? actor_signal(&site, actor, id, signals) : -ESRCH;
	site_leave(&site);
	return error;
}

int rota_actor_stop(rota_id id)
{
	return signal_id(id, SIGNAL_STOP);
}

int rota_actor_drain(rota_id id)
{
	return signal_id(id, SIGNAL_DRAIN);
}

int rota_is_alive(rota_id id)
{
	struct actor *actor;
	struct site site;
	int alive;

	if (site_enter(&site, id) != 0)
		return 0;
	actor = engine_actor(site.engine, id);
	/* Relaxed: a moment old when the caller reads it. */
	alive = actor && signal_lives(AO_load(&actor->xsignal), id);
	site_leave(&site);
	return alive;
}

/* ---- inside a handler ---- */

rota_id rota_self(void)
{
	struct local *local = local_in_turn();

	return local ? local->turn.self : ROTA_NONE;
}

rota_id rota_sender(void)
{
	struct local *local = local_in_turn();

	return local && local->turn.message ? local->turn.message->from
					    : ROTA_NONE;
}

rota_deadline rota_deadline_here(void)
{
	return (rota_deadline){send_inherited_ns()};
}

rota_engine *rota_self_engine(void)
{
	struct local *local = local_may_wait();

	return local ? local->engine->handle : NULL;
}

int rota_should_yield(void)
{
	struct local *local = local_may_wait();

	if (local && local->worker.crew->drive && !local->worker.home)
		return drive_should_make_way(local->worker.crew);
	return local && worker_should_make_way(&local->worker);
}

int rota_self_stop(int reason)
{
	struct local *local = local_in_turn();

	if (!local || turn_only_reads(local))
		return -EPERM;
	local->turn.reason = reason;
	turn_marks(local, TURN_STOPS, 0);
	return 0;
}

int rota_self_drain(void)
{
	struct local *local = local_in_turn();

	if (!local || turn_only_reads(local))
		return -EPERM;
	chain_close(local);
	raise_signals(local->turn.actor, local->turn.self, SIGNAL_DRAIN);
	/* The mailbox closes at once; between two messages the rest follows. */
	turn_shut(local);
	return 0;
}
