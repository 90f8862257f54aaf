/* SPDX-License-Identifier: MIT */
/*
 * abandon - gives up actors whose handlers do not return
 */
#ifndef ROTA_CORE_ABANDON_H
#define ROTA_CORE_ABANDON_H

#include "core/engine.h"

/*
 * The handler of an abandoned actor has returned after all: what was left to it
 * (state, message, slot) is put away. The turn is to end without a look at the
 * actor.
 */
void abandoned_returns(struct local *local);

/* An abandoned actor that is in its destroy(): no cold block knows of its waits.
   Lies in its turn's frame, in a list of the engine's under outsiders_lock. */
struct parting {
	struct wait *wait; /* of its stack */
	struct parting *next;
	struct parting **prev;
	struct parting *next_cancelled;
};

/* The engine gives up: what these wait for ends, and they wait no more. */
void abandoned_release(struct engine *engine);

/*
 * In the hand, by the turn that waits or is about to: if it has been abandoned
 * since, the wait in progress, or else its next one, fails, for once. As with a
 * stop: who has to wait nevertheless (for tasks that use its stack) clears the
 * wait word and tries again. True: the wait in progress has been claimed, the
 * caller is to finish it with -ECANCELED.
 */
bool abandoned_heeds(struct local *local);

#endif
