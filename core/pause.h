/* SPDX-License-Identifier: MIT */
/*
 * pause - waits of a turn, a task or a thread for nobody in particular
 */
#ifndef ROTA_CORE_PAUSE_H
#define ROTA_CORE_PAUSE_H

struct engine;

void pause_init(struct engine *engine);

/* The engine stops: tasks that sleep are woken, and sleep no more. Actors'
   turns are woken by the stop of their actor. */
void pause_end(struct engine *engine);

#endif
