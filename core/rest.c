/* SPDX-License-Identifier: MIT */
/*
 * rest - an engine that has nothing to do, and who waits for that
 *
 * Problem:    nobody counts what all workers together have to do: such a count
 *             would be a line that every message writes.
 * Approach:   each cache counts what has begun there and what is done; sums of
 *             both are compared. Who waits looks when a worker goes to sleep.
 * Orderings:  [E1] done is stored after, and read before, what began in its
 *             turn: engine_is_at_rest().
 *             [E3] a waiter for rest registers by read-modify-write of the
 *             idle word's neighbour and reads that word; a worker changes the
 *             idle word before it looks for waiters.
 */

#include <errno.h>

#include "core/engine.h"
#include "core/here.h"
#include "core/offload.h"

static AO_t sum_of(const struct counters *counters, size_t offset)
{
	/* [E1] acquire for begun and done; statistics do not need it */
	return AO_load_acquire((const AO_t *)((const char *)counters + offset));
}

AO_t engine_sum(struct engine *engine, size_t offset)
{
	unsigned i, n = crew_slots(&engine->crew);
	AO_t sum = 0;

	for (i = 0; i < n; i++)
		sum += sum_of(&((struct local *)engine->crew.workers[i])
				       ->cache.counters,
			      offset);
	for (i = 0; i < N_SHARDS; i++)
		sum += sum_of(&engine->shards[i].cache.counters, offset);
	return sum;
}

bool engine_is_at_rest(struct engine *engine)
{
	/*
	 * Both only grow and done <= begun. If all done, read first, equal all
	 * begun, read later, then they were equal in between. Tasks likewise.
	 */
	AO_t done = engine_sum(engine, offsetof(struct counters, xdone)) +
		    engine_sum(engine, offsetof(struct counters, xalone)) +
		    engine_sum(engine, offsetof(struct counters, xfinished));

	return done == engine_sum(engine, offsetof(struct counters, xbegun)) +
			       engine_sum(engine, offsetof(struct counters,
							   xsubmitted));
}

/* The longest that a lost wake-up may delay us; none is known. */
#define REST_LOOK_NS 10000000

void engine_await_rest(struct engine *engine, int64_t within)
{
	unsigned seen;

	/* [E3] pairs with engine_rests() */
	AO_fetch_and_add_full(&engine->xresters, 1);
	idle_read(&engine->crew.idle);
	seen = AO_int_load_acquire(&engine->rest_word); /* [E3] likewise */
	if (!engine_is_at_rest(engine))
		futex_wait(&engine->rest_word, seen,
			   within < REST_LOOK_NS ? within : REST_LOOK_NS);
	/* [E3] likewise */
	AO_fetch_and_add_full(&engine->xresters, (AO_t)-1);
}

/* It is one of the engine's own, or in a callback of a call to it. */
bool engine_needs_caller(const struct rota_engine *handle)
{
	const struct engine *engine = table_engine(handle->number);
	struct thread_record *record = thread_record_here();

	/* It may go away meanwhile: only its address is used. */
	return offload_is_here(handle) ||
	       (engine && crew_owns_thread(&engine->crew)) ||
	       (record && site_is_below(record, handle->number));
}

int rota_quiesce(rota_engine *handle, int64_t within)
{
	struct thread_record *record = thread_record_here();
	struct engine *engine;
	uint64_t deadline;
	int error = 0;

	if (!handle)
		return -EINVAL;
	if ((local_here() && local_here()->engine->handle == handle) ||
	    engine_needs_caller(handle))
		return -EDEADLK;
	if (!record)
		return -ENOMEM;
	deadline = clock_deadline(clock_ns(), within);
	for (;;) {
		int64_t left;

		engine = table_enter(record, handle->number);
		if (!engine)
			return -ESRCH;
		if (*engine->fork_page == 0) {
			table_leave(record);
			return -EPERM;
		}
		if (engine_is_at_rest(engine))
			break;
		left = clock_left(clock_ns(), deadline);
		if (left == 0) {
			error = -ETIMEDOUT;
			break;
		}
		if (here_await_rest(engine, record, left))
			continue;
		engine_await_rest(engine, left);
		table_leave(record);
	}
	table_leave(record);
	return error;
}

void engine_rests(struct worker *worker)
{
	struct engine *engine = ((struct local *)worker)->engine;

	/* [E3] pairs with engine_await_rest() */
	if (likely(AO_load_acquire(&engine->xresters) == 0))
		return;
	AO_int_fetch_and_add_full(&engine->rest_word, 1); /* [E3] likewise */
	futex_wake(&engine->rest_word, INT_MAX);
}
