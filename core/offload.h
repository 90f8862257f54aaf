/* SPDX-License-Identifier: MIT */
/*
 * offload - slow code on helper threads, for turns, tasks and threads
 */
#ifndef ROTA_CORE_OFFLOAD_H
#define ROTA_CORE_OFFLOAD_H

#include <stdbool.h>

#include "core/engine.h"

/* 0 or -ENOMEM. */
int offload_init(struct engine *engine);
void offload_fini(struct engine *engine);

/*
 * The engine stops: run nothing more, wait for what runs. How many do not
 * return; these are reported, and keep the engine's memory if they may touch
 * it. The engine can still be entered.
 */
unsigned offload_stop(struct engine *engine, int64_t within,
		      struct rota_stop_report *report);

/* Is the calling thread a helper of that engine? */
bool offload_is_here(const struct rota_engine *handle);

#endif
