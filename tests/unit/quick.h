/* SPDX-License-Identifier: MIT */
/*
 * quick - an actor whose turns count as short, whatever they take here
 *
 * Long ones are not called: see sched/call.h. Under a sanitizer all are long.
 */
#ifndef ROTA_TESTS_UNIT_QUICK_H
#define ROTA_TESTS_UNIT_QUICK_H

#include "core/engine.h"

/* From a turn of the same engine. */
static inline void seem_quick(rota_id id)
{
	struct actor *actor = engine_actor(local_here()->engine, id);
	struct task_class *class;

	if (!actor)
		return;
	/* Relaxed: a class lives as long as the engine; an estimate. */
	class = (struct task_class *)AO_load(&actor->task.xclass);
	AO_store(&class->xmean_ns, 1000);
}

#endif
