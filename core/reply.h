/* SPDX-License-Identifier: MIT */
/*
 * reply - the calls of those who are asked
 */
#ifndef ROTA_CORE_REPLY_H
#define ROTA_CORE_REPLY_H

#include "core/ask.h"

struct promises;

/*
 * An EXTENDED message is about to be handled. 0, or why it is not: then its
 * token is used up.
 */
enum rota_dead_cause reply_begin(struct local *local, struct message *message);

/* The handler has returned: whoever asked gets that as an answer, if no other
   has been given. @result: the handler's. What the turn is to know of it. */
int reply_end(struct local *local, struct message *message, int result);

/* An EXTENDED message is not handled: whoever asked is told. */
void reply_refuse(struct site *site, struct message *message,
		  enum rota_dead_cause cause);

/* The same for a token alone; the site is unlocked where that is needed. */
void reply_fail(struct site *site, uint64_t token, int error);

/* The actor has ended: who waits for its answers waits in vain. Frees them. */
void promises_break(struct site *site, struct promises *promises,
		    rota_id holder);

#endif
