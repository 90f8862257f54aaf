/* SPDX-License-Identifier: MIT */
/* topology - shows an engine's plan of places */
#include <rota/topology.h>

#include "core/engine.h"
#include "core/table.h"
#include "sched/chart.h"

/* The plan does not change while the engine lives: no lock. How many workers
   there are does, a moment later, too. */
int rota_topology_print(const rota_engine *handle, char *buffer, size_t size)
{
	struct thread_record *record = thread_record_here();
	struct engine *engine;
	size_t length;

	if (!handle)
		return -ESRCH;
	if (!record)
		return -ENOMEM;
	engine = table_enter(record, handle->number);
	if (!engine)
		return -ESRCH;
	length = chart_print(&engine->crew.places,
			     roster_target(&engine->crew.roster), buffer, size);
	table_leave(record);
	return (int)length;
}
