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
 *             out: of 64 marks over a time T two neighbours of one lie no
 *             further apart than 2 T / 62. So ages become coarser by a
 *             thirtieth of the oldest, and too low if anything.
 *             Who is watched is found by a hash of the id. A tick looks at
 *             some of them, in turn. Where all places are taken the one that
 *             was not asked about for longest yields its own, but only after
 *             some seconds: if more actors than there are places are asked
 *             about in turn, ages are known of some of them, not of none.
 * Rejected:   a time in each message (there is no room, and a clock costs as
 *             much as a send); a note of when the mailbox was last seen empty
 *             (one that is busy is never empty, however young its messages);
 *             watching all actors (millions of cache lines per tick).
 * Limits:     urgent messages and those of timers, which are not counted in the
 *             mailbox, move the ordinals: ages come out too low then, until the
 *             mailbox is empty once. Room that a chain has leased counts as
 *             messages for a tick or two.
 * Orderings:  [V1] turn_set_message(), turn_set_job() -> glance(): the memory of
 *             the block is there. Else none: all that is read of turns are
 *             relaxed words in type-stable memory, looked at twice. What is
 *             seen may be a moment old, or mixed of two moments; only what two
 *             ticks agree on has a time.
 */
#include "core/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rota/status.h>

#include "core/engine.h"
#include "core/look.h"
#include "mailbox/closure.h"

#define MARKS 64
#define HASH_BITS 10 /* WATCHED buckets */

/* At that time so many messages had come, in all its life. */
struct mark {
	uint64_t ordinal;
	uint64_t at_ns;
};

struct watched {
	rota_id id;
	uint64_t asked_ns;	/* when somebody last did */
	struct watched *chain;	/* the next one of its bucket */
	struct watched *before; /* who was asked about before it, and after */
	struct watched *after;
	unsigned place; /* in the order */
	uint64_t fewer; /* had come at the last look than marks say; or 0 */
	unsigned n_marks;
	struct mark marks[MARKS]; /* oldest first; ordinals grow */
};

struct watches {
	unsigned n;
	unsigned next;	       /* whose turn it is at the next tick */
	struct watched *first; /* not asked about for longest */
	struct watched *last;
	uint16_t order[WATCHED]; /* the first n are in use, the rest free */
	struct watched *buckets[WATCHED];
	struct watched of[WATCHED];
};

_Static_assert(WATCHED == 1 << HASH_BITS, "a bucket for each, about");

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
	if (n == 0)
		return;
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

/*
 * Fewer have come than it seemed: room that was leased is given back. One look
 * does not tell: a message that is begun between a look at those that are begun
 * and at those that are queued is in neither.
 */
static void lower_marks(struct watched *watched, uint64_t newest)
{
	bool again = watched->fewer == newest;

	watched->fewer =
		watched->n_marks > 0 &&
				watched->marks[watched->n_marks - 1].ordinal >
					newest
			? newest
			: 0;
	if (!again)
		return;
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

/* ---- who is watched ---- */

static struct watched **bucket_of(struct watches *watches, rota_id id)
{
	return &watches->buckets[id * UINT64_C(0x9e3779b97f4a7c15) >>
				 (64 - HASH_BITS)];
}

static struct watched *find(struct watches *watches, rota_id id)
{
	struct watched *watched = *bucket_of(watches, id);

	while (watched && watched->id != id)
		watched = watched->chain;
	return watched;
}

static void unlink_asked(struct watches *watches, struct watched *watched)
{
	if (watched->before)
		watched->before->after = watched->after;
	else
		watches->first = watched->after;
	if (watched->after)
		watched->after->before = watched->before;
	else
		watches->last = watched->before;
}

static void link_asked(struct watches *watches, struct watched *watched)
{
	watched->before = watches->last;
	watched->after = NULL;
	if (watches->last)
		watches->last->after = watched;
	else
		watches->first = watched;
	watches->last = watched;
}

static void forget(struct watches *watches, struct watched *watched)
{
	struct watched **link = bucket_of(watches, watched->id);
	uint16_t *order = watches->order;
	unsigned last = --watches->n;
	uint16_t free_one = order[watched->place];

	while (*link != watched)
		link = &(*link)->chain;
	*link = watched->chain;
	unlink_asked(watches, watched);
	order[watched->place] = order[last];
	watches->of[order[last]].place = watched->place;
	order[last] = free_one;
}

/* Of one that was asked about for the first time; NULL: there is no room. */
static struct watched *add(struct watches *watches, rota_id id, uint64_t now_ns)
{
	struct watched **bucket = bucket_of(watches, id);
	struct watched *watched;

	if (watches->n == WATCHED) {
		if (now_ns <= watches->first->asked_ns + WATCH_YIELD_NS)
			return NULL;
		forget(watches, watches->first);
	}
	watched = &watches->of[watches->order[watches->n]];
	watched->id = id;
	watched->fewer = 0;
	watched->n_marks = 0;
	watched->place = watches->n++;
	watched->chain = *bucket;
	*bucket = watched;
	link_asked(watches, watched);
	return watched;
}

static struct watches *make_watches(void)
{
	struct watches *watches = calloc(1, sizeof(*watches));
	unsigned i;

	for (i = 0; watches && i < WATCHED; i++)
		watches->order[i] = (uint16_t)i;
	return watches;
}

/* No malloc() under the lock. */
static void make_places(struct watch *watch)
{
	struct watches *fresh = NULL;
	bool is_missing;

	spin_lock(&watch->xlock);
	is_missing = !watch->watches;
	spin_unlock(&watch->xlock);
	if (is_missing)
		fresh = make_watches();
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

static int64_t oldest_of(struct watched *watched, uint64_t now_ns,
			 uint64_t begun, uint64_t queued)
{
	uint64_t since_ns;

	mark(watched, now_ns, begun, queued);
	since_ns = watched->n_marks > 0 ? watched->marks[0].at_ns : now_ns;
	return now_ns > since_ns ? (int64_t)(now_ns - since_ns) : 0;
}

int64_t watch_oldest(struct engine *engine, rota_id id, uint64_t now_ns,
		     uint64_t begun, uint64_t queued)
{
	struct watch *watch = &engine->watch;
	int64_t age = queued > 0 ? ROTA_AGE_UNKNOWN : 0;
	struct watched *watched = NULL;

	make_places(watch);
	spin_lock(&watch->xlock);
	if (watch->watches)
		watched = find(watch->watches, id);
	if (watched) {
		age = oldest_of(watched, now_ns, begun, queued);
		unlink_asked(watch->watches, watched);
		link_asked(watch->watches, watched);
	} else if (watch->watches) {
		watched = add(watch->watches, id, now_ns);
		if (watched)
			mark(watched, now_ns, begun, queued);
	}
	if (watched)
		watched->asked_ns = now_ns;
	spin_unlock(&watch->xlock);
	return age;
}

/* ---- the monitor's part ---- */

/* False: it is not there any more. */
static bool watch_one(struct engine *engine, struct watched *watched)
{
	struct look look;

	if (look_at(engine, watched->id, &look) != 0)
		return false;
	/* Somebody may have asked since the tick began. */
	mark(watched, crew_now_ns(&engine->crew), look.begun, look.queued);
	return true;
}

static void watch_some(struct engine *engine, struct watches *watches,
		       uint64_t now_ns)
{
	unsigned n = watches->n < WATCH_LOOKS ? watches->n : WATCH_LOOKS, i;

	for (i = 0; i < n; i++) {
		struct watched *watched;

		if (watches->next >= watches->n)
			watches->next = 0;
		watched = &watches->of[watches->order[watches->next]];
		if (now_ns <= watched->asked_ns + WATCH_FORGET_NS &&
		    watch_one(engine, watched))
			watches->next++;
		else
			forget(watches, watched); /* another is there now */
	}
}

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
	if (watch->watches)
		watch_some(engine, watch->watches, now_ns);
	spin_unlock(&watch->xlock);
}
