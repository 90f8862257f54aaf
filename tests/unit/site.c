/* SPDX-License-Identifier: MIT */
/*
 * site - a look into an engine leaves a call that is under way as it was
 */
#include "core/engine.h"
#include "tests/check.h"

Test(site, looks_are_announced, .timeout = 60)
{
	rota_engine *handle = rota_start(NULL);
	struct thread_record *own = thread_record_here(), *record;
	struct engine *engine;

	cr_assert_not_null(handle);
	cr_assert_eq(site_look(handle->number, &engine, &record), 0);
	cr_assert_eq(engine->handle, handle);
	cr_assert_eq(AO_load(&own->xcall), handle->number); /* relaxed: own */
	site_end_look(record);
	cr_assert_eq(AO_load(&own->xcall), 0);
	cr_assert_eq(rota_stop(handle, ROTA_FOREVER), 0);
	cr_assert_eq(site_look(handle->number, &engine, &record), -ESRCH);
	cr_assert_eq(AO_load(&own->xcall), 0);
}

/* As in a callback: if the announcement ended there, a stop of the engine would
   not wait for the call around it. */
Test(site, a_look_inside_a_call_does_not_end_it, .timeout = 60)
{
	rota_engine *handle = rota_start(NULL);
	struct thread_record *own = thread_record_here(), *record;
	struct engine *engine;

	cr_assert_not_null(table_enter(own, handle->number));
	cr_assert_eq(site_look(handle->number, &engine, &record), 0);
	cr_assert_eq(engine->handle, handle);
	site_end_look(record);
	cr_assert_eq(AO_load(&own->xcall), handle->number); /* relaxed: own */
	table_leave(own);
	cr_assert_eq(rota_stop(handle, ROTA_FOREVER), 0);
}
