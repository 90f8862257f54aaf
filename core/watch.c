/* SPDX-License-Identifier: MIT */
/*
 * watch - what the monitor has seen of actors, tick by tick
 *
 * Problem:    people ask how long a handler has been at it, and how long the
 *             oldest message has been lying there. No clock is read per message
 *             or per turn, and no word may be written for this on the way of a
 *             message.
 * Approach:   at each tick the monitor notes what every worker's turn is about;
 *             what is the same as at an earlier tick has lasted since then.
 *             Messages are told apart by their ordinal: begun + queued is the
 *             ordinal of the newest one, and begun + 1 that of the oldest that
 *             is queued. For actors that somebody asks about the newest ordinal
 *             is noted at each tick (a mark); the oldest message came no later
 *             than the first mark at or above its ordinal. When the marks of an
 *             actor are used up, those that lie closest in time are thinned
 *             out: ages become coarser by an eighth of the oldest, and too low
 *             if anything.
 * Rejected:   a time in each message (there is no room, and a clock costs as
 *             much as a send); a note of when the mailbox was last seen empty
 *             (one that is busy is never empty, however young its messages);
 *             watching all actors (millions of cache lines per tick).
 * Limits:     urgent messages and those of timers, which are not counted in the
 *             mailbox, move the ordinals: ages come out too low then, until the
 *             mailbox is empty once. Room that a chain has leased counts as
 *             messages for a tick or two.
 * Orderings:  [V1] turn_set_message(), turn_set_job() -> glance(): the memory of
 *             the block is there. Else none: all that is read of turns are relaxed words in
 *             type-stable memory, looked at twice. What is seen may be a moment old, or
 *             mixed of two moments; only what two ticks agree on has a time.
 */
#include "core/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/engine.h"
#include "core/look.h"
#include "mailbox/closure.h"

#define MARKS 16
#define FORGET_NS UINT64_C(60000000000)

/* At that time so many messages had come, in all its life. */
struct mark {
	uint64_t ordinal;
	uint64_t at_ns;
};

struct watched {
	rota_id id;	   /* ROTA_NONE: free */
	uint64_t asked_ns; /* when somebody last did */
	unsigned n_marks;
	struct mark marks[MARKS]; /* oldest first; ordinals grow */
};

void watch_init(struct engine *engine)
{
	engine->watch.xlock = AO_TS_INITIALIZER;
}

void watch_fini(struct engine *engine)
{
	free(engine->watch.watched);
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
	now.due = AO_int_load(&turn->xdue);
	actor = engine_actor(local->engine, now.self);
	if (actor)
		/* Relaxed: as above. */
		now.handled = AO_load(&actor->xhandled);
	/* [V1] pairs with turn_set_message() */
	message = (const struct message *)AO_load_acquire(&turn->xmessage);
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

/* ---- when messages came; all under the lock ---- */

/* Messages up to that ordinal are of no interest any more. */
static void drop_marks(struct watched *watched, uint64_t begun)
{
	unsigned n = 0;

	while (n < watched->n_marks && watched->marks[n].ordinal <= begun)
		n++;
	watched->n_marks -= n;
	memmove(watched->marks, watched->marks + n,
		watched->n_marks * sizeof(struct mark));
}

/* The one whose neighbours are closest in time. The first one stays: what it
   tells is asked for next. */
static void drop_one_mark(struct watched *watched)
{
	struct mark *marks = watched->marks;
	unsigned i, least = 1;

	for (i = 2; i < MARKS - 1; i++)
		if (marks[i + 1].at_ns - marks[i - 1].at_ns <
		    marks[least + 1].at_ns - marks[least - 1].at_ns)
			least = i;
	watched->n_marks--;
	memmove(marks + least, marks + least + 1,
		(watched->n_marks - least) * sizeof(*marks));
}

/* Fewer have come than it seemed: room that was leased is given back. */
static void lower_marks(struct watched *watched, uint64_t newest)
{
	while (watched->n_marks > 0 &&
	       watched->marks[watched->n_marks - 1].ordinal > newest) {
		struct mark *last = &watched->marks[watched->n_marks - 1];

		last->ordinal = newest;
		if (watched->n_marks > 1 && last[-1].ordinal >= newest)
			watched->n_marks--;
		else
			return;
	}
}

static void mark(struct watched *watched, uint64_t now_ns, uint64_t begun,
		 uint64_t queued)
{
	uint64_t newest = begun + queued;

	drop_marks(watched, begun);
	lower_marks(watched, newest);
	if (queued == 0)
		watched->n_marks = 0; /* what has moved the ordinals is over */
	if (queued == 0 ||
	    (watched->n_marks > 0 &&
	     watched->marks[watched->n_marks - 1].ordinal >= newest))
		return;
	if (watched->n_marks == MARKS)
		drop_one_mark(watched);
	watched->marks[watched->n_marks++] = (struct mark){newest, now_ns};
}

static void watch_one(struct engine *engine, struct watched *watched,
		      uint64_t now_ns)
{
	struct look look;

	if (watched->id == ROTA_NONE)
		return;
	/* Somebody may have asked since the tick began. */
	if (now_ns > watched->asked_ns + FORGET_NS ||
	    look_at(engine, watched->id, &look) != 0)
		watched->id = ROTA_NONE;
	else
		mark(watched, crew_now_ns(&engine->crew), look.begun,
		     look.queued);
}

/* The place of that actor: its own, or a free one, or the one that was not
   asked about for longest. */
static struct watched *place_of(struct watch *watch, rota_id id)
{
	struct watched *best = &watch->watched[0];
	unsigned i;

	for (i = 0; i < WATCHED; i++) {
		struct watched *watched = &watch->watched[i];

		if (watched->id == id)
			return watched;
		if (best->id != ROTA_NONE &&
		    (watched->id == ROTA_NONE ||
		     watched->asked_ns < best->asked_ns))
			best = watched;
	}
	*best = (struct watched){.id = id};
	return best;
}

/* No malloc() under the lock. */
static void make_places(struct watch *watch)
{
	struct watched *fresh = NULL;
	bool is_missing;

	spin_lock(&watch->xlock);
	is_missing = !watch->watched;
	spin_unlock(&watch->xlock);
	if (is_missing)
		fresh = calloc(WATCHED, sizeof(*fresh));
	if (!fresh)
		return;
	spin_lock(&watch->xlock);
	if (!watch->watched) {
		watch->watched = fresh;
		fresh = NULL;
	}
	spin_unlock(&watch->xlock);
	free(fresh);
}

uint64_t watch_oldest(struct engine *engine, rota_id id, uint64_t now_ns,
		      uint64_t begun, uint64_t queued)
{
	struct watch *watch = &engine->watch;
	struct watched *watched;
	uint64_t since = 0;

	make_places(watch);
	spin_lock(&watch->xlock);
	if (watch->watched) {
		watched = place_of(watch, id);
		watched->asked_ns = now_ns;
		mark(watched, now_ns, begun, queued);
		if (watched->n_marks > 0)
			since = watched->marks[0].at_ns;
	}
	spin_unlock(&watch->xlock);
	return since;
}

/* ---- the monitor's part ---- */

void watch_tick(struct crew *crew, uint64_t now_ns)
{
	/* crew is the engine's first member */
	struct engine *engine = (struct engine *)crew;
	struct watch *watch = &engine->watch;
	unsigned i, n = crew_slots(crew);

	/* Relaxed: see watch_now_ns(). */
	AO_store(&watch->xnow_ns, now_ns);
	if (now_ns == 0)
		return;
	spin_lock(&watch->xlock);
	for (i = 0; i < n; i++)
		see(engine, i);
	for (i = 0; watch->watched && i < WATCHED; i++)
		watch_one(engine, &watch->watched[i], now_ns);
	spin_unlock(&watch->xlock);
}
