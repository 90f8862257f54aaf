/* SPDX-License-Identifier: MIT */
/*
 * stuck - reports turns that do not end
 *
 * Problem:    a handler that computes or blocks for seconds holds up turns that
 *             only its thread can resume, and nobody knows which one it is.
 * Approach:   the watch notes at each tick what every worker's turn is about
 *             and since when; this looks at its notes. What has lasted for
 *             the time that was asked for is reported, and again whenever that
 *             has doubled: a turn of an hour makes a dozen lines, not 3,600.
 *             What is told is read between two sightings that agree: else the
 *             turn has ended meanwhile, and nothing is told.
 *             A turn in a blocking region has its worker's place taken by
 *             another, and is reported only if turns wait for its very thread,
 *             or if the other could not come and there is work for it.
 *             A turn that waits is none of its worker's any more, and so is
 *             never reported. A task that waits for its group by running it is
 *             seen to move on by the tasks that end.
 *             Where a host drives there is no monitor: it ticks between two of
 *             its turns. So a handler on a thread of its own is reported as
 *             long as the host does drive.
 * Rejected:   a clock per turn (as dear as a message); the user's callback
 *             under the watch's lock (it may ask rota_status()).
 */
#include "core/stuck.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/engine.h"
#include "core/process.h"
#include "mailbox/closure.h"
#include "sched/call.h"

#define STUCK_NS ROTA_S(1)

uint64_t stuck_reported(const struct engine *engine, unsigned worker)
{
	const struct local *local =
		(const struct local *)engine->crew.workers[worker];

	/* Relaxed: a statistic. */
	return AO_load(&local->stuck.xn_reported);
}

static uint64_t first_report_ns(const struct engine *engine)
{
	int64_t after = engine->config.stuck_after;

	return (uint64_t)(after ? after : STUCK_NS);
}

/* Runnable behind it, and what can go on on this thread only. */
static uint64_t n_held_up(const struct worker *worker)
{
	AO_t n = worker_backlog(worker) + nest_length(&worker->nest) +
		 worker_n_callers(worker) + worker_n_ended(worker);

	return worker->home ? n + home_length(worker->home) : n;
}

/* The class of an actor, or the function of a task: words only, which lead
   nowhere until they are known to hold. */
static const struct task_class *fetch_who(struct engine *engine,
					  const struct sighting *seen,
					  struct rota_stuck *report)
{
	const struct actor *actor = engine_actor(engine, seen->self);

	if (actor)
		/* [A1] before the second sighting */
		return (const struct task_class *)AO_load_acquire(
			&actor->task.xclass);
	/* [V1] with the look at the job; it is looked at again */
	report->task =
		(const void *)(uintptr_t)((const struct job *)seen->job)->run;
	return NULL;
}

static void log_report(struct engine *engine, const struct rota_stuck *report,
		       const struct behaviour *behaviour)
{
	char who[192], what[64];

	if (behaviour)
		behaviour_tag_text(behaviour, report->tag, what, sizeof(what));
	if (report->type && report->tag == CLOSURE_TAG)
		snprintf(who, sizeof(who),
			 "actor %016" PRIx64 " (%.64s) has been running a "
			 "closure",
			 (uint64_t)report->actor, report->type);
	else if (report->type)
		snprintf(who, sizeof(who),
			 "actor %016" PRIx64 " (%.64s) has been handling "
			 "%s",
			 (uint64_t)report->actor, report->type, what);
	else
		snprintf(who, sizeof(who),
			 "the task with the function at %p has been running",
			 report->task);
	engine_log(engine, ROTA_LOG_WARNING,
		   "%s for %" PRId64 " ms; it holds up worker %u and %" PRIu64
		   " turns there",
		   who, report->for_ns / 1000000, report->worker,
		   report->held_up);
}

static bool tell(struct engine *engine, unsigned worker,
		 const struct sighting *seen, uint64_t now_ns)
{
	struct rota_stuck report = {
		.actor = seen->self,
		.tag = seen->tag,
		.worker = worker,
		.for_ns = (int64_t)(now_ns - seen->at_ns),
		.held_up = n_held_up(engine->crew.workers[worker]),
	};
	const struct task_class *class = fetch_who(engine, seen, &report);
	const struct behaviour *behaviour = NULL;
	struct sighting again;

	again = watch_sight(engine, worker);
	if (!watch_is_same(seen, &again))
		return false;
	if (class) {
		behaviour = behaviour_of(class);
		report.type = behaviour->name;
	}
	log_report(engine, &report, behaviour);
	if (engine->config.stuck)
		engine->config.stuck(engine->config.context, &report);
	return true;
}

/*
 * It said that it blocks, and nobody waits for its worker: nothing stands there,
 * and another took its place. Where one place could not be taken it is not known
 * which: then all are told. Relaxed, all: hints.
 */
static bool is_replaced(struct engine *engine, const struct worker *worker)
{
	/* Relaxed: see above. At home it is the actor's own thread. */
	return AO_load(&worker->xblocked) && worker_n_ended(worker) == 0 &&
	       worker_n_callers(worker) == 0 &&
	       (worker->home || AO_load(&engine->crew.relief.xerror) == 0);
}

static void look(struct engine *engine, unsigned worker, uint64_t now_ns)
{
	struct local *local = (struct local *)engine->crew.workers[worker];
	struct sighting seen = watch_seen(engine, worker);
	struct stuck *stuck = &local->stuck;
	uint64_t first_ns = first_report_ns(engine);

	if (seen.self == ROTA_NONE && !seen.job)
		return;
	if (is_replaced(engine, &local->worker))
		return;
	if (now_ns < seen.at_ns)
		return; /* somebody else has just looked */
	if (stuck->since_ns != seen.at_ns) {
		stuck->since_ns = seen.at_ns;
		stuck->next_ns = first_ns;
	}
	if (now_ns - seen.at_ns < stuck->next_ns ||
	    !tell(engine, worker, &seen, now_ns))
		return;
	if (stuck->next_ns == first_ns)
		/* Relaxed: only who ticks writes. */
		AO_store(&stuck->xn_reported, AO_load(&stuck->xn_reported) + 1);
	while (stuck->next_ns <= now_ns - seen.at_ns)
		stuck->next_ns *= 2;
}

void stuck_tick(struct engine *engine)
{
	uint64_t now_ns = crew_now_ns(&engine->crew);
	unsigned i, n = crew_slots(&engine->crew);

	for (i = 0; i < n; i++)
		look(engine, i, now_ns);
}
