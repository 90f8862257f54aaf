/* SPDX-License-Identifier: MIT */
/*
 * desk - what an actor has that chooses among its messages
 *
 * Orderings:  [A1] see cold.c.
 *             [L1] see spin.h: `wanted`, and the CAS that goes idle, are under
 *             the cold block's lock; so is a sender's look at both.
 */
#include "core/desk.h"

#include <errno.h>
#include <string.h>

#include "core/cold.h"
#include "mailbox/lane.h"

static struct desk *desk_of(struct wait *wait)
{
	return (struct desk *)((char *)wait - offsetof(struct desk, wait));
}

/*
 * wait.wake: the time of a receive is up. The actor looks itself; if the
 * receive has ended meanwhile, the actor or even its next life looks in vain.
 * On a worker of the engine, which serves the wheel.
 */
static void desk_ring(struct wait *wait)
{
	/* Relaxed: an actor of this engine in any case. */
	struct actor *actor = (struct actor *)AO_load(&desk_of(wait)->xactor);
	struct site site = site_of(local_here());

	if (mailbox_signal(&actor->xmail))
		site_schedule(&site, actor);
}

void desk_carve(void *block, uint32_t number, uint32_t parameter)
{
	struct desk *desk = block;

	(void)number;
	(void)parameter;
	AO_store(&desk->wait.xword, 0); /* relaxed: nobody knows it yet */
	desk->wait.wake = desk_ring;
}

struct desk *desk_here(struct local *local)
{
	struct actor *actor = local->turn.actor;
	/* [A1] pairs with cold_install(): another may have, without a desk */
	uint32_t number = signal_cold(AO_load_acquire(&actor->xsignal));

	return number ? cold_at(local->engine, number)->desk : NULL;
}

static struct desk *make(struct local *local)
{
	struct desk *desk =
		pool_get(&local->engine->desks, &local->cache.desks);

	if (!desk)
		return NULL;
	memset(&desk->accepts, 0, sizeof(desk->accepts));
	memset(&desk->wanted, 0, sizeof(desk->wanted));
	memset(desk->stash, 0, sizeof(desk->stash));
	/* Relaxed: see desk_ring(). */
	AO_store(&desk->xactor, (AO_t)local->turn.actor);
	desk->stack = NULL;
	desk->copied = NULL;
	desk->since = 0;
	desk_forget(desk);
	desk->n_stashed = desk->n_taken = 0;
	desk->stays = true;
	return desk;
}

struct desk *desk_make(struct local *local, int *error)
{
	struct desk *desk = desk_here(local);
	struct site own = site_of(local);
	struct cold *cold;

	if (desk)
		return desk;
	*error = -ENOMEM;
	desk = make(local);
	if (!desk)
		return NULL;
	cold = cold_lock(&own, local->turn.actor, local->turn.self, true,
			 error);
	if (!cold) {
		desk_free(local->engine, &local->cache, desk);
		return NULL;
	}
	cold->desk = desk;
	cold_unlock(cold);
	return desk;
}

void desk_free(struct engine *engine, struct cache *cache, struct desk *desk)
{
	if (desk)
		pool_put(&engine->desks, &cache->desks, desk);
}

struct message *desk_take(struct desk *desk, struct actor *actor,
			  const struct tag_set *set)
{
	struct message *message = NULL;
	unsigned i;

	for (i = 0; i < DESK_LANES && !message; i++)
		message = sift_take(desk_lane(actor, (enum desk_lane)i),
				    &desk->sift[i], set);
	return message;
}

void desk_forget(struct desk *desk)
{
	unsigned i;

	for (i = 0; i < DESK_LANES; i++)
		sift_forget(&desk->sift[i]);
}

/* Two lists that lead to their newest become one. */
static struct message *joined(struct message *first, struct message *second)
{
	struct message *oldest;

	if (!first || !second)
		return first ? first : second;
	oldest = first->next;
	first->next = second->next;
	second->next = oldest;
	return second;
}

unsigned desk_unstash(struct desk *desk, struct actor *actor)
{
	unsigned i, n = desk->n_stashed;

	for (i = 0; i < DESK_LANES; i++) {
		struct message **lane = desk_lane(actor, (enum desk_lane)i);

		*lane = joined(desk->stash[i], *lane);
		desk->stash[i] = NULL;
	}
	desk->n_stashed = 0;
	desk_forget(desk);
	return n;
}

bool desk_admits(const struct cold *cold, const struct actor *actor,
		 const struct message *message)
{
	/* Relaxed: it goes idle under this lock; if it is awake it will look at
	   those who wait before it does. */
	return cold->desk && !(AO_load(&actor->xmail) & MAILBOX_SCHEDULED) &&
	       tag_set_has(&cold->desk->wanted, message->tag);
}
