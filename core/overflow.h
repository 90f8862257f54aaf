/* SPDX-License-Identifier: MIT */
/*
 * overflow - messages beyond a mailbox's capacity, where the actor wants them
 */
#ifndef ROTA_CORE_OVERFLOW_H
#define ROTA_CORE_OVERFLOW_H

#include "core/engine.h"

/*
 * A sender that has found the mailbox full. True: *pushed says what became of
 * the message, which counts in the second word; false: nothing was done, there
 * is no room there either.
 */
bool overflow_push(struct site *site, struct actor *actor, rota_id to,
		   struct message *message, enum mailbox_push *pushed);

/* A notice, which passes the bound, is about to be pushed: it looks like one of
   ours. Before it is. */
void overflow_note(struct site *site, struct actor *actor, rota_id to,
		   const struct message *message);

/* The turn is done with a message that does not count in the mailbox. */
void overflow_credit(struct local *local, const struct message *message);

/* How many there are. Under the cold block's lock. */
unsigned overflow_length(const struct cold *cold);

#endif
