/* SPDX-License-Identifier: MIT */
/*
 * stop - the end of an engine
 *
 * Problem:    a stop must end every actor, whatever it is doing, report all
 *             that was accepted and not handled, let calls of other threads
 *             under way get out, and return in time even if a handler does not.
 * Approach:   spawns are refused; every slot is visited and its life signalled,
 *             again and again until spawned equals ended (a handler may have
 *             been spawning while we passed by); then the number is
 *             unpublished, which waits for calls under way; then the workers
 *             leave. If a handler does not return, its thread is left alone,
 *             and the memory it can reach stays until it does: the last worker
 *             to leave frees it.
 * Orderings:  [E1] see rest.c.
 *             [E2] ENGINE_STOPS store -> load in a spawn; the repeated visits
 *             catch what it lets slip.
 *             [E4] ENGINE_GIVES_UP store -> look at it under a cold block's
 *             lock, or that of the outsiders; the visit that empties the lists
 *             comes in between.
 *             [E5] xoutside: a wait from outside is counted before its call is
 *             over; the stop looks after it has unpublished the engine.
 */

#include <errno.h>
#include <sched.h>
#include <stdio.h>

#include "core/abandon.h"
#include "core/ask.h"
#include "core/cold.h"
#include "core/engine.h"
#include "core/estate.h"
#include "core/here.h"
#include "core/offload.h"
#include "core/options.h"
#include "core/pause.h"
#include "core/pools.h"
#include "core/process.h"
#include "core/run.h"
#include "mailbox/closure.h"

/* ---- ending all ---- */

static void signal_slot(struct engine *engine, uint32_t number)
{
	struct actor *actor = slabs_cell(engine->actors.xentry, number);
	/* Relaxed: looked at again until all have ended. */
	AO_t signal = AO_load(&actor->xsignal);
	struct site site;

	/* Of most cells nobody has made anything yet. */
	if (!(signal & SIGNAL_LIVE) || (signal & SIGNAL_ENGINE))
		return;
	site = (struct site){.engine = engine,
			     .shard = &engine->shards[0],
			     .cache = &engine->shards[0].cache,
			     .record = thread_record_here()};
	spin_lock(&site.shard->xlock);
	actor_signal(&site, actor,
		     id_make(engine->number, number, signal_generation(signal)),
		     SIGNAL_ENGINE);
	spin_unlock(&site.shard->xlock);
	if (site.awakened)
		crew_inject(&engine->crew, site.awakened);
}

struct visitor {
	struct engine *engine;
	void (*visit)(struct engine *engine, uint32_t number);
};

static void visit_cell(void *context, uint32_t number)
{
	const struct visitor *visitor = context;

	visitor->visit(visitor->engine, number);
}

static void for_all_cells(struct engine *engine, struct slabs *slabs,
			  void (*visit)(struct engine *engine, uint32_t number))
{
	struct visitor each = {engine, visit};

	slabs_visit(slabs, visit_cell, &each);
}

static void for_all_slots(struct engine *engine,
			  void (*visit)(struct engine *engine, uint32_t number))
{
	for_all_cells(engine, &engine->actors, visit);
}

/* Actors that live or are still run, tasks that have not come to their end. */
static AO_t n_alive(struct engine *engine)
{
	AO_t ended = engine_sum(engine, offsetof(struct counters, xended)) +
		     engine_sum(engine, offsetof(struct counters, xfinished)) +
		     engine_sum(engine, offsetof(struct counters, xreturned));

	return engine_sum(engine, offsetof(struct counters, xspawned)) +
	       engine_sum(engine, offsetof(struct counters, xsubmitted)) +
	       /* [E1] their handlers have not returned, before they have */
	       engine_sum(engine, offsetof(struct counters, xabandoned)) -
	       ended;
}

/* Actors that were being spawned as we passed by are visited after this. */
#define END_LOOK_NS 1000000

/* True if all have ended by then. */
static bool end_all(struct engine *engine, uint64_t deadline)
{
	/* [E2] pairs with rota_spawn() */
	AO_store_release(&engine->xstate, ENGINE_STOPS);
	pause_end(engine);
	for (;;) {
		int64_t left;

		for_all_slots(engine, signal_slot);
		if (n_alive(engine) == 0)
			return true;
		left = clock_left(clock_ns(), deadline);
		if (left == 0)
			return n_alive(engine) == 0;
		left = left < END_LOOK_NS ? left : END_LOOK_NS;
		if (!here_await_rest(engine, NULL, left))
			engine_await_rest(engine, left);
	}
}

/*
 * Some handler did not return in time: those who wait for its actor, for room
 * or for its end, would wait for ever. And what a destroy() still waits for,
 * which the stop has left alone, ends now.
 */
static void release_waiters(struct engine *engine, uint32_t number)
{
	struct actor *actor = slabs_cell(engine->actors.xentry, number);
	struct site site = {.engine = engine};
	/*
	 * [E4] pairs with engine_gives_up(): a read-modify-write, so that who
	 * installs a cold block after this sees that we have given up.
	 */
	AO_t signal = AO_fetch_and_add_full(&actor->xsignal, 0);
	struct wait *cancelled = NULL;
	struct waiter *room, *joiners;
	struct cold *cold;
	int error;

	if (!(signal & SIGNAL_LIVE))
		return;
	cold = cold_lock(
		&site, actor,
		id_make(engine->number, number, signal_generation(signal)),
		false, &error);
	if (!cold)
		return;
	room = waiters_claim_all(&cold->room);
	joiners = waiters_claim_all(&cold->joiners);
	/* Under the lock: see end_waits(). */
	if (cold->wait && wait_cancel(cold->wait))
		cancelled = cold->wait;
	cold_unlock(cold);
	if (cancelled)
		wait_finish(cancelled, -ECANCELED);
	waiters_finish(room, -ESRCH);
	waiters_finish(joiners, -ESRCH);
}

/* The same for tasks, and for groups that are waited for from outside. */
static void release_joiners(struct engine *engine)
{
	struct waiter *chain;

	for_all_cells(engine, &engine->job_cells, job_release_joiners);
	spin_lock(&engine->outsiders_lock);
	chain = waiters_claim_all(&engine->outsiders);
	spin_unlock(&engine->outsiders_lock);
	waiters_finish(chain, -ESRCH);
}

/* ---- who is stuck ---- */

/* Words only: what they lead to may be looked at once they are known to hold. */
struct suspect {
	const struct task_class *class; /* of an actor; NULL: it is none */
	void *function;			/* of a task or a closure; NULL */
};

static struct suspect fetch_suspect(struct engine *engine, unsigned worker,
				    const struct sighting *seen)
{
	const struct local *local =
		(const struct local *)engine->crew.workers[worker];
	const struct actor *actor = engine_actor(engine, seen->self);
	struct suspect suspect = {NULL, NULL};
	struct message *message;

	/* [V1] with the look at the job; it is looked at again */
	if (seen->job)
		suspect.function =
			(void *)(uintptr_t)((const struct job *)seen->job)->run;
	if (seen->job || !actor)
		return suspect;
	suspect.class =
		/* [A1] before the second sighting */
		(const struct task_class *)AO_load_acquire(&actor->task.xclass);
	/* [V1] pairs with turn_set_message() */
	message = (struct message *)AO_load_acquire(&local->turn.xmessage);
	if (message && seen->tag == CLOSURE_TAG)
		suspect.function = (void *)(uintptr_t)closure_function(message);
	return suspect;
}

/* Who does not return from what. */
static void name_suspect(char *text, size_t size, const struct sighting *seen,
			 const struct suspect *suspect)
{
	char what[64];

	if (!suspect->class) {
		snprintf(text, size,
			 "the task with the function at %p does not return",
			 suspect->function);
		return;
	}
	if (suspect->function)
		snprintf(what, sizeof(what), "the function at %p",
			 suspect->function);
	else
		snprintf(what, sizeof(what), "tag %u", seen->tag);
	snprintf(text, size,
		 "actor %016llx (%s) does not return from handling %s",
		 (unsigned long long)seen->self,
		 behaviour_of(suspect->class)->name, what);
}

/* It may return right now, and all that was seen of it is void. */
static void report_stuck_worker(struct engine *engine, unsigned worker,
				struct rota_stop_report *report)
{
	struct sighting seen = watch_sight(engine, worker), again;
	struct suspect suspect = fetch_suspect(engine, worker, &seen);
	char text[256];

	again = watch_sight(engine, worker);
	if (!watch_is_same(&seen, &again) ||
	    !(suspect.class || suspect.function))
		return;
	name_suspect(text, sizeof(text), &seen, &suspect);
	if (!seen.job) {
		report->stuck_actor = seen.self;
		report->stuck_tag = seen.tag;
	}
	engine_log(engine, ROTA_LOG_ERROR,
		   "stop: %s; its thread and %zu bytes stay until it does",
		   text,
		   /* Relaxed: a statistic. */
		   (size_t)AO_load(&engine->source.xbytes));
}

static void report_stuck(struct engine *engine, struct rota_stop_report *report)
{
	unsigned i, n = crew_slots(&engine->crew);

	for (i = 0; i < n; i++)
		/* Relaxed: what ends later is seen to have ended. */
		if (!AO_load(&engine->crew.workers[i]->xended))
			report_stuck_worker(engine, i, report);
}

/* ---- the stop ---- */

static void flush_all(struct engine *engine)
{
	unsigned i, n = crew_slots(&engine->crew);

	for_all_cells(engine, &engine->job_cells, job_release);
	for_all_cells(engine, &engine->ask_cells, ask_release);
	for (i = 0; i < n; i++) {
		struct worker *worker = engine->crew.workers[i];

		timer_clear_wheel(engine, worker);
		pools_flush_cache(engine, &((struct local *)worker)->cache);
	}
	for (i = 0; i < N_SHARDS; i++)
		pools_flush_cache(engine, &engine->shards[i].cache);
}

/* Those whose waits have just been ended have not looked at it yet. */
static void await_outside(struct engine *engine)
{
	/* [E5] pairs with site_step_out() and site_leave() */
	while (AO_fetch_and_add_full(&engine->xoutside, 0) != 0)
		sched_yield();
}

/* What workers that are not stuck may need to leave. */
#define LEAVE_NS ROTA_MS(100)
/* By then the monitor has seen a handler stand still that does. */
#define STILL_NS ROTA_MS(20)

/*
 * Handlers that did not return in time lose their actors: what these had queued
 * is told now, while somebody is there to hear it. Where that cannot be done
 * (see rota_abandon()) it stays with the handler.
 */
static void give_up_stuck(struct engine *engine)
{
	unsigned i, n = crew_slots(&engine->crew);
	uint64_t deadline = clock_deadline(clock_ns(), STILL_NS);

	for (i = 0; i < n; i++) {
		struct local *local = (struct local *)engine->crew.workers[i];
		/* Relaxed: looked at again by the call. */
		rota_id id = AO_load(&local->turn.xself);

		if (id != ROTA_NONE)
			rota_abandon_within(id,
					    clock_left(clock_ns(), deadline));
	}
}

static void stop(struct engine *engine, int64_t within,
		 struct rota_stop_report *report)
{
	uint64_t deadline = clock_deadline(clock_ns(), within);
	AO_t dead_before =
		engine_sum(engine, offsetof(struct counters, xdead[0]));
	AO_t ended_before =
		engine_sum(engine, offsetof(struct counters, xended));
	bool in_time = end_all(engine, deadline), all_ended = in_time;
	unsigned n_left;

	if (!in_time) {
		give_up_stuck(engine);
		if (!engine->crew.drive)
			relief_lend(&engine->crew);
		all_ended =
			end_all(engine, clock_deadline(clock_ns(), LEAVE_NS));
	}
	if (!all_ended) {
		/* [E4] pairs with engine_gives_up() */
		AO_store_release(&engine->xstate, ENGINE_GIVES_UP);
		for_all_slots(engine, release_waiters);
		abandoned_release(engine);
		release_joiners(engine);
	}
	n_left = offload_stop(engine, clock_left(clock_ns(), deadline), report);
	estate_open(engine->handle);
	table_unpublish(engine->handle);
	for_all_cells(engine, &engine->ask_cells, ask_give_up);
	await_outside(engine);
	for_all_cells(engine, &engine->ask_cells, estate_add);
	estate_settle(engine->handle);
	/* A spawn that was under way may have slipped in: see [E2]. */
	if (all_ended)
		all_ended = end_all(engine, deadline);
	report->stuck =
		crew_stop(&engine->crew,
			  in_time && all_ended ? ROTA_FOREVER : LEAVE_NS) +
		n_left;
	report->actors_stopped =
		engine_sum(engine, offsetof(struct counters, xended)) -
		ended_before;
	report->dead_letters =
		engine_sum(engine, offsetof(struct counters, xdead[0])) -
		dead_before;
	if (report->stuck > 0) {
		/* Relaxed: a statistic. */
		report->bytes_kept = AO_load(&engine->source.xbytes);
		report_stuck(engine, report);
	} else {
		flush_all(engine);
		if (all_ended)
			pools_check(engine);
	}
	if (crew_release(&engine->crew))
		engine_let_go(engine);
}

int rota_stop_report(rota_engine *handle, int64_t within,
		     struct rota_stop_report *report)
{
	struct rota_stop_report all = ROTA_STOP_REPORT_INIT;
	struct engine *engine;

	if (!handle)
		return 0;
	if (local_here() || engine_needs_caller(handle))
		return -EDEADLK;
	engine = table_take(handle);
	if (!engine)
		return -ESRCH;
	if (*engine->fork_page == 0)
		return -EPERM;
	stop(engine, within, &all);
	if (report)
		options_give(report, &all, sizeof(all));
	return all.stuck ? -ETIMEDOUT : 0;
}

int rota_stop(rota_engine *handle, int64_t within)
{
	return rota_stop_report(handle, within, NULL);
}
