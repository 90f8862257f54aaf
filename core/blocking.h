/* SPDX-License-Identifier: MIT */
/*
 * blocking - a handler or a task says in advance that it will block
 */
#ifndef ROTA_CORE_BLOCKING_H
#define ROTA_CORE_BLOCKING_H

#include "core/engine.h"

/*
 * The turn is about to wait with a region open: the worker goes on with others
 * meanwhile, so it is not lost. It is again when the turn goes on.
 */
void blocking_pause(struct local *local);
void blocking_resume(struct local *local, struct region region);

/* The handler, or this task, has returned and left a region open: close it. */
void blocking_repair(struct local *local);

/* Of a task that returns; for actors see end_message(). */
static inline void blocking_end_of_task(struct local *local,
					const struct job *job)
{
	if (unlikely(local->turn.marks & TURN_BLOCKS) &&
	    local->region.task == job)
		blocking_repair(local);
}

#endif
