/* SPDX-License-Identifier: MIT */
/*
 * watch - what the monitor has seen of actors, tick by tick
 *
 * Problem:    people ask how long a handler has been at it, and how long the
 *             oldest message has been lying there. No clock is read per message
 *             or per turn, and no word may be written for this on the way of a
 *             message.
 * Approach:   at each tick the monitor notes what every worker's turn is about;
 *             what is the same as at an earlier tick has lasted since then. It
 *             also looks at the actors that somebody has asked about (watched.c):
 *             some at each tick, in turn; what that tells about the ages of
 *             their messages is in arrivals.c.
 *             While no worker is awake there is no tick, but messages come: to
 *             an actor whose handler waits, which is no reason to wake anybody.
 *             So as long as some are watched the monitor looks at them in its
 *             sleep, the more rarely the longer nobody has asked: after a time
 *             T each is looked at in steps of T / 32, until they are forgotten.
 *             That makes some hundred wake-ups for each 64 actors after each
 *             time that somebody asks, and then none.
 *             Where a host drives nobody looks but at its ticks, when it has
 *             nothing more to run, and whoever asks; how long nobody did is
 *             seen, and ages are not told then.
 * Rejected:   a time in each message (there is no room, and a clock costs as
 *             much as a send); a note of when the mailbox was last seen empty
 *             (one that is busy is never empty, however young its messages);
 *             watching all actors (millions of cache lines per tick); a tick in
 *             an engine that sleeps (it would wake a thousand times a second
 *             for as long as a dashboard asks every few seconds); to tell ages
 *             from the look before a gap, or from that after it (too high, too
 *             low).
 * Limits:     urgent messages and those of timers, which are not counted in the
 *             mailbox, move the ordinals: ages come out too low then, until the
 *             mailbox is empty once. Room that a chain has leased counts as
 *             messages for a tick or two. A handler that waits though there was
 *             no memory for a cold block (insist() in await.c) is not seen to
 *             wait: the message in its hand counts as queued. What a turn
 *             finishes meanwhile may be seen in another order than it was
 *             written (not on x86): then messages are counted twice, and what
 *             comes next is told to be older than it is, for two looks.
 * Orderings:  [V1] turn_set_message(), turn_set_job() -> glance(): the memory of
 *             the block is there.
 *             [V2] loads in this order: what the actor has begun, what its turn
 *             has finished, the word of its mailbox (look.c).
 *             Else none: all that is read of turns are relaxed words in
 *             type-stable memory, looked at twice. What is seen may be a moment
 *             old, or mixed of two moments; only what two ticks agree on has a
 *             time.
 */
#include "core/watch.h"

#include <stdlib.h>

#include <rota/status.h>

#include "core/engine.h"
#include "core/look.h"
#include "core/watched.h"
#include "mailbox/closure.h"
#include "sched/monitor.h"

/* So many of the watched are looked at at a time: in turn, where there are more. */
#define LOOKS 64
/* One that nobody has asked about for so long is not watched any more. */
#define FORGET_NS UINT64_C(60000000000)
/* Two ticks of the monitor, and a wake-up: see TICK_MAX_NS there. */
#define GAP_NS UINT64_C(2000000)
/* While there is no tick: looks lie so far apart at least, and the farther the
   longer nobody has asked. */
#define DOZE_NS UINT64_C(1000000)
#define DOZE_PART 32
/* Where a host drives: so soon after a look there is no other. */
#define AGAIN_NS UINT64_C(100000)

void watch_init(struct engine *engine)
{
	engine->watch.xlock = AO_TS_INITIALIZER;
}

void watch_fini(struct engine *engine)
{
	free(engine->watch.watches);
}

uint64_t watch_now_ns(struct engine *engine)
{
	/* Relaxed: the time of a tick, this or the last. */
	uint64_t now_ns = AO_load(&engine->watch.xnow_ns);

	return now_ns ? now_ns : crew_now_ns(&engine->crew);
}

/* ---- what workers do ---- */

static void glance_at_job(const struct local *local, struct sighting *now)
{
	/* [V1] pairs with turn_set_job() */
	now->job = AO_load_acquire(&local->turn.xjob);
	if (!now->job)
		return;
	/* Relaxed: see the top. */
	now->turns = AO_load(&local->worker.xturns);
	now->handled = AO_load(&local->cache.counters.xfinished);
}

static struct sighting glance(const struct local *local)
{
	const struct turn *turn = &local->turn;
	struct sighting now = {.self = ROTA_NONE};
	const struct message *message;
	const struct actor *actor;

	/* Relaxed: see the top, here and below. */
	now.self = AO_load(&turn->xself);
	if (now.self == ROTA_NONE) {
		glance_at_job(local, &now);
		return now;
	}
	now.turns = AO_load(&local->worker.xturns);
	actor = engine_actor(local->engine, now.self);
	if (actor)
		/* [V2] before the mailbox is looked at, and so is due: those
		   that it finishes meanwhile are rather in neither number */
		now.handled = AO_load_acquire(&actor->xhandled);
	now.due = AO_int_load_acquire(&turn->xdue); /* [V2] */
	/* [V1] pairs with turn_set_message() */
	message = (const struct message *)AO_load_acquire(&turn->xmessage);
	now.has_message = message != NULL;
	if (message)
		now.tag = closure_tag(message_look(message));
	return now;
}

bool watch_is_same(const struct sighting *a, const struct sighting *b)
{
	return a->self == b->self && a->job == b->job && a->turns == b->turns &&
	       a->handled == b->handled && a->tag == b->tag;
}

struct sighting watch_sight(struct engine *engine, unsigned worker)
{
	const struct local *local =
		(const struct local *)engine->crew.workers[worker];
	struct sighting now = glance(local), again = glance(local);
	unsigned i;

	/* Few tries: it may handle message after message. */
	for (i = 0; i < 4 && !watch_is_same(&now, &again); i++) {
		now = again;
		again = glance(local);
	}
	return again;
}

/* The clock is read after the look, here and below: nothing is told to be older
   than it is. */
static void see(struct engine *engine, unsigned worker)
{
	struct local *local = (struct local *)engine->crew.workers[worker];
	struct sighting *seen = &local->seen;
	struct sighting now = watch_sight(engine, worker);

	if (watch_is_same(seen, &now))
		return;
	*seen = now;
	seen->at_ns = crew_now_ns(&engine->crew);
}

void watch_glance(struct engine *engine)
{
	unsigned i, n = crew_slots(&engine->crew);

	spin_lock(&engine->watch.xlock);
	for (i = 0; i < n; i++)
		see(engine, i);
	spin_unlock(&engine->watch.xlock);
}

struct sighting watch_seen(struct engine *engine, unsigned worker)
{
	const struct local *local =
		(const struct local *)engine->crew.workers[worker];
	struct watch *watch = &engine->watch;
	struct sighting seen;

	spin_lock(&watch->xlock);
	seen = local->seen;
	spin_unlock(&watch->xlock);
	return seen;
}

uint64_t watch_since(struct engine *engine, unsigned worker,
		     const struct sighting *now)
{
	const struct local *local =
		(const struct local *)engine->crew.workers[worker];
	struct watch *watch = &engine->watch;
	uint64_t since = 0;

	spin_lock(&watch->xlock);
	if (watch_is_same(&local->seen, now))
		since = local->seen.at_ns;
	spin_unlock(&watch->xlock);
	return since;
}

/* ---- when messages came ---- */

/* No malloc() under the lock. */
static void make_places(struct watch *watch)
{
	struct watches *fresh = NULL;
	bool is_missing;

	spin_lock(&watch->xlock);
	is_missing = !watch->watches;
	spin_unlock(&watch->xlock);
	if (is_missing)
		fresh = watches_make();
	if (!fresh)
		return;
	spin_lock(&watch->xlock);
	if (!watch->watches) {
		watch->watches = fresh;
		fresh = NULL;
	}
	spin_unlock(&watch->xlock);
	free(fresh);
}

/*
 * The clock is read before and after: what came since the look did not come
 * before the former, and what it has seen not after the latter.
 */
static int look_between(struct engine *engine, rota_id id, struct look *look,
			struct arrivals_look *found)
{
	int error;

	found->before_ns = crew_now_ns(&engine->crew);
	error = look_at(engine, id, look);
	found->after_ns = crew_now_ns(&engine->crew);
	found->begun = look->begun;
	found->queued = look->queued;
	return error;
}

/* It takes so many ticks until all of them have been looked at. */
static unsigned n_rounds(const struct watches *watches)
{
	return (watches->n + LOOKS - 1) / LOOKS;
}

/* Who asks looks without the lock, and may have been put aside since: what is
   older than another look tells nothing about what came. */
static void note(struct watches *watches, struct watched *watched,
		 const struct arrivals_look *found)
{
	if (found->before_ns >= watched->arrivals.looked_ns)
		arrivals_look(&watched->arrivals, found,
			      n_rounds(watches) * GAP_NS);
}

static int64_t ask(struct watches *watches, rota_id id,
		   const struct arrivals_look *found)
{
	struct watched *watched = watches_find(watches, id);

	if (watched) {
		watches_ask(watches, watched, found->after_ns);
		note(watches, watched, found);
		return arrivals_oldest(&watched->arrivals, found);
	}
	watched = watches_add(watches, id, found->after_ns);
	if (watched)
		note(watches, watched, found);
	return found->queued > 0 ? ROTA_AGE_UNKNOWN : 0;
}

int watch_look(struct engine *engine, rota_id id, struct look *look,
	       int64_t *oldest_ns)
{
	struct watch *watch = &engine->watch;
	struct arrivals_look found;
	bool dozes = false;
	int error;

	make_places(watch);
	error = look_between(engine, id, look, &found);
	if (error)
		return error;
	*oldest_ns = found.queued > 0 ? ROTA_AGE_UNKNOWN : 0;
	spin_lock(&watch->xlock);
	if (watch->watches) {
		*oldest_ns = ask(watch->watches, id, &found);
		dozes = watch->doze_ns > found.after_ns + 2 * DOZE_NS;
	}
	spin_unlock(&watch->xlock);
	if (dozes)
		monitor_wake(engine->crew.monitor);
	return 0;
}

/* ---- the monitor's part ---- */

/* False: it is not there any more. */
static bool watch_one(struct engine *engine, struct watched *watched)
{
	struct arrivals_look found;
	struct look look;

	if (look_between(engine, watched->id, &look, &found) != 0)
		return false;
	note(engine->watch.watches, watched, &found);
	return true;
}

static void watch_some(struct engine *engine, uint64_t now_ns)
{
	struct watches *watches = engine->watch.watches;
	unsigned n = watches->n < LOOKS ? watches->n : LOOKS, i;

	engine->watch.looked_ns = now_ns;
	for (i = 0; i < n; i++) {
		struct watched *watched = watches_next(watches);

		if (now_ns <= watched->asked_ns + FORGET_NS &&
		    watch_one(engine, watched))
			watches_pass(watches);
		else
			watches_forget(watches, watched);
	}
}

/* How long until the next look, where there is no tick. */
static uint64_t doze_ns(const struct watches *watches, uint64_t now_ns)
{
	uint64_t asked_ns = watches->last->asked_ns, pause = 0;

	if (now_ns > asked_ns)
		pause = (now_ns - asked_ns) / (DOZE_PART * n_rounds(watches));
	return pause > DOZE_NS ? pause : DOZE_NS;
}

int64_t watch_doze(struct crew *crew)
{
	/* crew is the engine's first member */
	struct engine *engine = (struct engine *)crew;
	struct watch *watch = &engine->watch;
	uint64_t now_ns = crew_now_ns(crew);
	int64_t pause = -1;

	spin_lock(&watch->xlock);
	if (watch->watches)
		watch_some(engine, now_ns);
	if (watch->watches && watch->watches->n > 0)
		pause = (int64_t)doze_ns(watch->watches, now_ns);
	watch->doze_ns = pause < 0 ? UINT64_MAX : now_ns + (uint64_t)pause;
	spin_unlock(&watch->xlock);
	return pause;
}

/*
 * There is no tick for a while. Where a host drives that may be long, and nobody
 * dozes: what has come by now is seen. Not each time: it may be at every event.
 */
static void look_once_more(struct crew *crew)
{
	/* crew is the engine's first member */
	struct engine *engine = (struct engine *)crew;
	struct watch *watch = &engine->watch;
	uint64_t now_ns;

	if (!crew->drive)
		return;
	spin_lock(&watch->xlock);
	if (watch->watches && watch->watches->n > 0) {
		now_ns = crew_now_ns(crew);
		if (now_ns >= watch->looked_ns + AGAIN_NS)
			watch_some(engine, now_ns);
	}
	spin_unlock(&watch->xlock);
}

void watch_tick(struct crew *crew, uint64_t now_ns)
{
	/* crew is the engine's first member */
	struct engine *engine = (struct engine *)crew;
	struct watch *watch = &engine->watch;
	unsigned i, n = crew_slots(crew);

	/* Relaxed: see watch_now_ns(). */
	AO_store(&watch->xnow_ns, now_ns);
	if (now_ns == 0) {
		look_once_more(crew);
		return;
	}
	spin_lock(&watch->xlock);
	for (i = 0; i < n; i++)
		see(engine, i);
	if (watch->watches)
		watch_some(engine, now_ns);
	watch->doze_ns = 0;
	spin_unlock(&watch->xlock);
}
