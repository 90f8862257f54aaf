/* SPDX-License-Identifier: MIT */
/*
 * deadlock - shows the circle for which a wait was refused
 */
#ifndef ROTA_CORE_DEADLOCK_H
#define ROTA_CORE_DEADLOCK_H

#include <rota/ask.h>

#include "core/cycle.h"
#include "core/engine.h"

/* A circle to be shown; free() it, or deadlock_remember() it. NULL: no memory. */
struct deadlock {
	size_t n;
	struct rota_deadlock_step step[];
};

struct deadlock *deadlock_begin(void);

/* One step more, while it stands. NULL: no memory, and what there was is freed. */
struct deadlock *deadlock_add(struct deadlock *circle, const struct step *step);

/* It is the last one of that actor. Under the lock of the block; the caller
   frees what this returns, after it. */
struct deadlock *deadlock_remember(struct cold *cold, struct deadlock *circle);

/* The turn would wait for its own actor: that is a circle, too. */
void deadlock_note_self(struct local *local, unsigned tag);

#endif
