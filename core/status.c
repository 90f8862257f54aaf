/* SPDX-License-Identifier: MIT */
/* status - what an actor is doing, for whoever asks */
#include <errno.h>

#include <rota/status.h>

#include "core/engine.h"
#include "core/look.h"
#include "core/options.h"

static int64_t since(uint64_t then_ns, uint64_t now_ns)
{
	return then_ns && now_ns > then_ns ? (int64_t)(now_ns - then_ns) : 0;
}

static int64_t lasts(struct engine *engine, const struct look *look)
{
	uint64_t now_ns = crew_now_ns(&engine->crew);
	uint64_t begun_ns = look->since_ns;

	if (engine->crew.drive)
		watch_glance(engine);
	if (look->activity == ROTA_RUNNING || look->calls)
		begun_ns = watch_since(engine, (unsigned)look->worker,
				       &look->sighting);
	return since(begun_ns, now_ns);
}

static int tell(struct engine *engine, rota_id id, struct rota_status *status)
{
	struct look look;
	int error = watch_look(engine, id, &look, &status->oldest_ns);

	if (error)
		return error;
	status->type = look.behaviour->name;
	status->activity = look.activity;
	status->worker = look.worker;
	status->tag = look.tag;
	status->is_closing = look.is_closing;
	status->waits_for = look.waits_for;
	status->mailbox_capacity =
		look.over_limit < ROTA_UNBOUNDED - look.capacity
			? look.capacity + look.over_limit
			: ROTA_UNBOUNDED;
	status->whom = look.whom;
	status->handled = look.begun;
	status->mailbox_length = look.length;
	status->queries = look.n_readings;
	status->tags.mask = look.tags.mask;
	status->tags.base = look.tags.base;
	status->for_ns = lasts(engine, &look);
	return 0;
}

int rota_status(rota_id id, struct rota_status *status)
{
	struct rota_status all = ROTA_STATUS_INIT;
	struct thread_record *record;
	struct engine *engine;
	int error;

	if (!status)
		return -EINVAL;
	if (id_engine(id) == 0)
		return rota_id_error(id);
	error = site_look(id_engine(id), &engine, &record);
	if (error)
		return error;
	error = tell(engine, id, &all);
	site_end_look(record);
	if (!error)
		options_give(status, &all, sizeof(all));
	return error;
}
