/* SPDX-License-Identifier: MIT */
/*
 * here - an engine that a host's thread drives, and what that means for waits
 *
 * Problem:    a thread that drives an engine and waits for what it alone could
 *             bring about would wait for ever; but what it waits for may also
 *             come from another thread, while nothing is to be run.
 * Approach:   it runs portions of turns, and sleeps in between in the worker's
 *             park. So who ends its wait has to wake that, and then is in the
 *             engine for a moment longer: the last that it touches is the count
 *             in the thread's record, for which the thread waits.
 *             Who drives has taken the crew (see drive.h), and the engine waits
 *             for that before it goes away; its call to the engine is not
 *             announced meanwhile, for handlers call other engines.
 * Orderings:  [W1] of wait.h: here_choose() comes before wait_begin().
 *             [T5] see table.c.
 */
#include "core/here.h"

#include <errno.h>

#include <rota/host.h>

#include "sched/drive.h"

/* ---- waits ---- */

/* Between two looks at whether the wait has ended. */
#define PORTION 16

void here_choose(struct engine *engine, struct thread_record *record)
{
	bool drives =
		engine && engine->crew.drive && drive_is_mine(&engine->crew);

	thread_wakes_in(record, drives ? &engine->crew.workers[0]->park : NULL);
}

/* False: the time is over, or another thread has taken over. */
static bool drive_on(struct engine *engine, const struct wait *wait,
		     uint64_t deadline_ns)
{
	int64_t left = clock_left(clock_ns(), deadline_ns);

	if (left == 0 || drive_take(&engine->crew) != DRIVE_OURS)
		return false;
	if (!drive_run(&engine->crew, PORTION, 0) && !wait_has_ended(wait))
		drive_sleep(&engine->crew, left);
	drive_give(&engine->crew);
	return true;
}

void here_block(struct engine *engine, struct thread_record *record,
		struct wait_ticket ticket, uint64_t deadline_ns)
{
	bool drives = record->park != NULL;

	while (drives && !wait_has_ended(&record->wait))
		drives = drive_on(engine, &record->wait, deadline_ns);
	thread_block(record, ticket, deadline_ns);
	if (record->park)
		thread_await_waker(record);
}

/* ---- rest ---- */

/* The clock's ticks when so much time will have passed; 0: never. */
static uint64_t ticks_after(int64_t within)
{
	uint64_t ns = within > 0 ? (uint64_t)within : 0;

	if (ns >> 50 != 0) /* 13 days */
		return 0;
	return clock_ticks() + ns * clock_ticks_per_1024ns() / 1024;
}

/* As with threads: what others undo, like timers, wakes nobody. */
#define REST_LOOK_NS 10000000

bool here_await_rest(struct engine *engine, struct thread_record *record,
		     int64_t within)
{
	struct crew *crew = &engine->crew;

	if (!crew->drive || (record && !drive_is_mine(crew)) ||
	    drive_take(crew) != DRIVE_OURS)
		return false;
	if (record)
		table_leave(record);
	if (!drive_run(crew, DRIVE_ALL, ticks_after(within)) &&
	    !engine_is_at_rest(engine))
		drive_sleep(crew,
			    within < REST_LOOK_NS ? within : REST_LOOK_NS);
	drive_give(crew);
	return true;
}

/* ---- the host's calls ---- */

/* Announce a call to an engine that runs here. */
static int enter(rota_engine *handle, struct engine **engine,
		 struct thread_record **record)
{
	int error = 0;

	if (!handle)
		return -EINVAL;
	*record = thread_record_here();
	if (!*record)
		return -ENOMEM;
	if (site_is_below(*record, 0) || crew_owns_thread(NULL))
		return -EDEADLK;
	*engine = table_enter(*record, handle->number);
	if (!*engine)
		return -ESRCH;
	if (*(*engine)->fork_page == 0)
		error = -EPERM;
	else if (!(*engine)->crew.drive)
		error = -EINVAL;
	if (error)
		table_leave(*record);
	return error;
}

static int run(rota_engine *handle, AO_t n_turns, uint64_t end_ticks)
{
	struct thread_record *record;
	struct engine *engine;
	enum drive_take take;
	int error;
	bool more;

	if (local_here())
		return -EDEADLK;
	error = enter(handle, &engine, &record);
	if (error)
		return error;
	take = drive_take(&engine->crew);
	table_leave(record);
	if (take != DRIVE_OURS)
		return take == DRIVE_BUSY ? -EBUSY : -EPERM;
	more = drive_run(&engine->crew, n_turns, end_ticks);
	drive_give(&engine->crew);
	return more;
}

int rota_run_some(rota_engine *handle, unsigned budget)
{
	if (budget == 0)
		return -EINVAL;
	return run(handle, budget, 0);
}

int rota_run_within(rota_engine *handle, int64_t within)
{
	return run(handle, DRIVE_ALL, ticks_after(within));
}

int rota_run_fd(rota_engine *handle)
{
	struct thread_record *record;
	struct engine *engine;
	int error, fd;

	error = enter(handle, &engine, &record);
	if (error)
		return error;
	fd = engine->crew.workers[0]->park.epoll;
	table_leave(record);
	return fd;
}
