/* SPDX-License-Identifier: MIT */
/*
 * flush - waits until an actor has handled what came before
 *
 * A mark, an uncounted message that no handler sees, goes through the mailbox;
 * when it is taken all that was there before it is done. Who waits for it
 * stands in the list of those who wait for the actor's end, where the mark's
 * taker looks for it: the ticket alone would not do, for its wait may lie in an
 * engine that is gone by then. An actor that ends finishes its marks before it
 * tells those who joined it; an engine that gives up tells all in the list.
 *
 * Rejected:   counting messages handled (there are lanes, and skipped ones).
 */
#include "core/flush.h"

#include <errno.h>
#include <string.h>

#include <rota/wait.h>

#include "core/await.h"
#include "core/cold.h"
#include "core/run.h"

static struct waiter *find(const struct waiters *list,
			   struct wait_ticket ticket)
{
	struct waiter *waiter = list->first;

	while (waiter && (waiter->ticket.wait != ticket.wait ||
			  waiter->ticket.sequence != ticket.sequence))
		waiter = waiter->next;
	return waiter;
}

void flush_take(struct site *site, struct actor *actor, rota_id id,
		struct message *mark, int result)
{
	int error;
	struct cold *cold = cold_lock(site, actor, id, false, &error);
	struct waiter *waiter = NULL;
	struct wait_ticket ticket;
	bool is_ours = false;

	memcpy(&ticket, mark->payload, sizeof(ticket));
	message_discard(site->engine, site->cache, mark);
	if (!cold)
		return; /* of an earlier life: told already */
	waiter = find(&cold->joiners, ticket);
	if (waiter) {
		waiters_remove(&cold->joiners, waiter);
		is_ours = wait_claim(ticket);
	}
	cold_unlock(cold);
	if (!is_ours)
		return;
	site_unlock(site); /* a wake-up may be a system call */
	wait_finish(ticket.wait, result);
	site_lock(site);
}

static struct message *make_mark(struct site *site, rota_id to,
				 struct wait_ticket ticket)
{
	struct message *mark = message_get(
		&site->engine->messages, site->cache->messages, sizeof(ticket));

	if (!mark)
		return NULL;
	mark->from = ROTA_NONE;
	message_set(mark, id_generation(to), 0,
		    MESSAGE_FLUSH | MESSAGE_UNCOUNTED, sizeof(ticket));
	memcpy(mark->payload, &ticket, sizeof(ticket));
	return mark;
}

static int refusal(AO_t signal, rota_id to)
{
	if (signal_accepts(signal, to))
		return 0;
	return signal_lives(signal, to) ? -ESHUTDOWN : -ESRCH;
}

/* Under the lock the mark's taker does not find the list before we are in it. */
static int push_mark(struct await *await, struct cold *cold,
		     struct message *mark, bool *awakened)
{
	AO_t *xmail = &await->target->xmail;
	enum mailbox_push pushed;
	/* Relaxed: the lock orders, see end_waits(). */
	int error = refusal(AO_load(&await->target->xsignal), await->to);

	if (error)
		return error;
	pushed = mailbox_push_over(xmail, mark);
	if (pushed == MAILBOX_IS_CLOSED)
		return -ESHUTDOWN;
	*awakened = pushed == MAILBOX_AWAKENED;
	await_enter(await, cold, &cold->joiners);
	return 0;
}

static int enter(struct await *await, struct site *site)
{
	struct message *mark = make_mark(site, await->to, await->waiter.ticket);
	bool awakened = false;
	struct cold *cold;
	int error;

	if (!mark)
		return -ENOMEM;
	cold = cold_lock(site, await->target, await->to, true, &error);
	if (cold) {
		error = push_mark(await, cold, mark, &awakened);
		cold_unlock(cold);
	}
	if (error)
		message_discard(site->engine, site->cache, mark);
	if (awakened)
		site_schedule(site, await->target);
	return error;
}

static int wait_for_mark(struct site *site, struct actor *target, rota_id id,
			 int64_t within)
{
	struct await await = {.edge = EDGE_FLUSH, .to = id, .target = target};
	int error = await_begin(&await, within, site);

	if (error)
		return error == -EAGAIN ? -EDEADLK : error;
	return await_end(&await, enter(&await, site), site);
}

/* Nothing in its mailbox, nothing in hand. */
static bool is_idle(const struct actor *actor)
{
	/* [X2] pairs with the CAS that went idle: what its turn did is seen */
	AO_t word = AO_load_acquire(&actor->xmail);

	return !(word & MAILBOX_SCHEDULED) && mailbox_count(word) == 0;
}

int rota_flush(rota_id id, int64_t within)
{
	struct actor *actor;
	struct site site;
	int error = site_enter(&site, id);

	if (error)
		return error;
	actor = engine_actor(site.engine, id);
	/* Relaxed: looked at again under the lock, or a moment old. */
	error = actor ? refusal(AO_load(&actor->xsignal), id) : -ESRCH;
	if (!error && within > 0)
		error = wait_for_mark(&site, actor, id, within);
	else if (!error)
		error = is_idle(actor) ? 0 : -ETIMEDOUT;
	site_leave(&site);
	return error;
}
