/* SPDX-License-Identifier: MIT */
/*
 * chain - messages of one handler to one receiver that go out together
 *
 * A handler that sends to the same actor again and again pays one CAS for many
 * messages. Everything else that it does lets them go first, so that nobody can
 * tell, but for the time: see chain_close().
 */
#ifndef ROTA_CORE_CHAIN_H
#define ROTA_CORE_CHAIN_H

#include "core/engine.h"

/* A chain that is not used by so many messages did not pay. */
#define CHAIN_MIN 3
/* It is tried when a send follows one to the same receiver; later where that did
   not pay. */
#define CHAIN_FIRST 1
#define CHAIN_LAST 64
/* And after so many where there was no room to lease: it is full soon, or not
   any more. */
#define CHAIN_NO_ROOM 4
/*
 * The look for sends in a row has to pay, too. A worker makes so many and then
 * stops; each message that has joined a chain is worth some more. In case its
 * work has changed it starts again now and then, and when it waits for room.
 */
#define CHAIN_LOOKS 64
#define CHAIN_LOOKS_AGAIN 16 /* in the latter case */
#define CHAIN_LOOKS_EACH 4
#define CHAIN_LOOKS_MAX 256
/* At so many looks around of a worker, each some 61 turns after the other. */
#define CHAIN_LOOK_EVERY 16

/* Is one open? Its receiver, or ROTA_NONE. */
static inline rota_id chain_receiver(const struct local *local)
{
	/* Relaxed: the owner's; if the monitor takes it, nothing is lost. */
	return AO_load(&local->worker.xheld);
}

/*
 * Let everything go out that is still held back. Before any call that another
 * actor could see, before a wait, and when a handler returns.
 */
void chain_flush(struct local *local);

static inline void chain_close(struct local *local)
{
	/* Callbacks for those that nobody takes may have opened another. */
	while (unlikely(local->chain.is_open))
		chain_flush(local);
}

/*
 * The monitor takes the chain of a handler that does not return; crew_options.
 * revoke.
 */
void chain_revoke(struct worker *worker);

enum chain_link {
	CHAIN_LINKED,
	CHAIN_IS_FULL, /* linked; now chain_renew() */
	CHAIN_IS_GONE  /* nothing was done: send it the other way */
};

/*
 * User code sends a message to the receiver of the open chain. Calls nothing:
 * whoever has a hand in ours is waited for on the other way.
 */
static inline enum chain_link chain_link(struct local *local, rota_id to,
					 struct message *message)
{
	struct mailbox_chain *messages = &local->chain.messages;
	enum chain_link link = CHAIN_IS_GONE;

	if (unlikely(!worker_try_step_in(&local->worker)))
		return CHAIN_IS_GONE;
	/* Relaxed: [H1] orders. */
	if (likely(AO_load(&local->worker.xheld) == to &&
		   !local->chain.is_refused)) {
		message->next = messages->newest;
		if (!messages->newest)
			messages->oldest = message;
		messages->newest = message;
		local->chain.n_joined++;
		link = ++messages->n == messages->lease ? CHAIN_IS_FULL
							: CHAIN_LINKED;
	}
	worker_step_out(&local->worker);
	return link;
}

/* The lease is used up: out with the chain, and lease again. 0. */
int chain_renew(struct local *local);

/* A worker of an engine that wants chains begins to look for them. */
void chain_start(struct local *local);

/* It is worth a new try: a turn of the worker has filled a mailbox. */
void chain_look_again(struct local *local);

/* The worker looks around, between two turns: now and then that is worth one,
   too. crew_options.look. */
void chain_look(struct worker *worker);

/* One look more, by a send. Where they do not pay there is none from now on. */
static inline void chain_looks(struct local *local)
{
	if (likely(--local->chain.n_looks > 0))
		return;
	local->usual = local->number;
	local->near = local->usual;
}

/* It was time for a chain, and there was none: the next is tried later. */
void chain_miss(struct local *local);

/*
 * The handler has sent to an actor that was runnable already. One that it has to
 * make runnable is not noticed: if there is more for it, it soon is. Nor does it
 * matter which handler sent: where that misleads, the chain does not pay, and the
 * next is tried later. Only where chains are wanted.
 */
static inline void chain_note(struct local *local, rota_id to)
{
	struct chain *chain = &local->chain;

	if (chain->last == to) {
		chain->until_due -= chain->until_due > 0;
		return;
	}
	if (unlikely(chain->until_due == 0))
		chain_miss(local);
	chain->last = to;
}

/* Is the message about to be sent one that opens a chain? */
static inline bool chain_is_due(const struct local *local, rota_id to)
{
	const struct chain *chain = &local->chain;

	return chain->until_due == 0 && chain->last == to &&
	       local->worker.has_hand;
}

/*
 * The message that opens a chain which is due, if there is room to lease. False:
 * nothing was done, send it the other way.
 */
bool chain_begin(struct local *local, struct actor *actor, rota_id to,
		 struct message *message);

#endif
