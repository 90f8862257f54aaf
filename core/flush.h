/* SPDX-License-Identifier: MIT */
/*
 * flush - waits until an actor has handled what came before
 */
#ifndef ROTA_CORE_FLUSH_H
#define ROTA_CORE_FLUSH_H

#include "core/engine.h"

/*
 * A flush's mark has come out of the mailbox of an actor, whose consumer the
 * caller is: whoever waits for it is told, 0 or an error. Frees it.
 */
void flush_take(struct site *site, struct actor *actor, rota_id id,
		struct message *mark, int result);

#endif
