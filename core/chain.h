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
#include "mailbox/closure.h"

/* A chain that is not used by so many messages did not pay. */
#define CHAIN_MIN 3
/* It is tried after 2 sends in a row, later where it did not pay. */
#define CHAIN_FIRST 2
#define CHAIN_LAST 64

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
	if (unlikely(chain_receiver(local) != ROTA_NONE))
		chain_flush(local);
}

/* The handler has returned. */
static inline void chain_end(struct local *local)
{
	chain_close(local);
	local->chain.last = ROTA_NONE;
}

/*
 * The monitor takes the chain of a handler that does not return; crew_options.
 * revoke.
 */
void chain_revoke(struct worker *worker);

/*
 * Send to the receiver of the open chain. False: nothing was done, send it the
 * other way.
 */
bool chain_join(struct local *local, rota_id to, unsigned tag,
		const void *payload, size_t length);
bool chain_join_closure(struct local *local, rota_id to, closure_run *run,
			const void *capture, size_t length);

/*
 * One more send to whom the handler sent to last: does it open a chain? (Sends
 * to others in between are not noticed. Where that misleads, it does not pay,
 * and the next chain is tried later.)
 */
static inline bool chain_is_due(struct local *local)
{
	struct chain *chain = &local->chain;

	if (chain->alike != chain->last) {
		chain->alike = chain->last;
		chain->n_alike = 0;
	}
	return ++chain->n_alike >= chain->open_at && local->worker.has_hand;
}

/* Send, and open a chain if there is room to lease. False: as above. */
bool chain_begin(struct local *local, struct actor *actor, rota_id to,
		 unsigned tag, const void *payload, size_t length);
bool chain_begin_closure(struct local *local, struct actor *actor, rota_id to,
			 closure_run *run, const void *capture, size_t length);

#endif
