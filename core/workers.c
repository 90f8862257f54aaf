/* SPDX-License-Identifier: MIT */
/* workers - how many there are, and shall be */
#include <errno.h>

#include "core/chain.h"
#include "core/engine.h"

unsigned rota_workers(const rota_engine *handle)
{
	struct thread_record *record;
	struct engine *engine;
	unsigned n;

	if (!handle || site_look(handle->number, &engine, &record) != 0)
		return 0;
	n = roster_target(&engine->crew.roster);
	site_end_look(record);
	return n;
}

int rota_workers_set(rota_engine *handle, unsigned n)
{
	struct local *local = local_here();
	struct thread_record *record;
	struct engine *engine;
	int error;

	if (!handle)
		return -EINVAL;
	if (local)
		chain_close(local);
	error = site_look(handle->number, &engine, &record);
	if (error)
		return error;
	error = engine->crew.drive ? -EINVAL : roster_set(&engine->crew, n);
	site_end_look(record);
	return error;
}
