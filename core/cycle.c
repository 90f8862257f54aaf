/* SPDX-License-Identifier: MIT */
/*
 * cycle - finds waits that close a circle, and opens it
 *
 * Problem:    actors with small mailboxes that send to each other in a circle
 *             would wait for each other for ever. Whoever closes a circle must
 *             find out; but whoever just stands at the end of a long queue of
 *             waits must not pay for its length each time.
 * Approach:   a turn that waits for another actor writes an edge into its own
 *             cold block and then follows the edges from its target. If that
 *             leads back, and a second time over the very same waits, the wait
 *             would never end. A turn goes a few steps only; if the edges go
 *             on, the monitor takes over (cycle_tick()).
 *             An actor that handles several queries at a time waits for as
 *             many others. Who waits for the answer of one of them is held up
 *             by that one; all else by each, so that it is stuck as soon as one
 *             of them is. There the way forks: a walk notes which wait it took,
 *             and where a way ends it turns back to the last fork and takes the
 *             next. What it has found is gone round along the same waits.
 *             The monitor works in passes. A pass takes all that was handed
 *             over before it began, and walks from each. Its walks leave marks,
 *             and turn back where one of them has come by, so that a pass
 *             visits each wait about once, however many ways lead there; where
 *             a walk comes to a mark that lies on its own way it has found a
 *             circle. It does some steps per tick.
 *             Nothing is missed by that: a circle is handed over after its last
 *             edge was written, and does not change any more. So it stands as
 *             it is from before the pass began, and the first walk of the pass
 *             that comes to it leaves its mark at one of its waits first. From
 *             there it comes to all others before it turns back, whichever it
 *             takes at forks: also to the last one, which leads to that mark
 *             while it lies on the way still. (Hence HANDED_AGAIN: what is
 *             handed over while it stands in a pass belongs to the next.)
 *             The circle that is found there need not be that one, as the way
 *             may have left it and come back: over waits that have ended since,
 *             say, or another wait than the one that we open. So where a walk
 *             that came to forks has found something the marks are forgotten,
 *             and its start is walked from again in the next pass.
 *             If what it has found ends by itself, as a wait in it has a
 *             deadline, this would be repeated until then. So a pass goes along
 *             no such waits at first; and once more along all of them from
 *             where it has met some, for room that is waited for beside them.
 * Rejected:   refusing the wait (a program would fail because its mailboxes
 *             are small); time-outs; walking to the end at each wait (quadratic
 *             in a pipeline that is backed up); marks in the actors' blocks
 *             (monitors of several engines would write over each other's).
 * Limits:     of several circles that have a way in common, of which one ends
 *             by itself, one with a wait for room and another such end may be
 *             found only when the first has ended.
 * Invariants: I1 an edge holds exactly while its wait word says WAITING with
 *                the edge's sequence.
 *             I2 a block is in one chain at most, or is `walked`: xhanded, pass
 *                or later, while its `handed` says so. It may have changed hands
 *                there: blocks are type-stable, and the walk starts from who
 *                owns it then.
 *             I3 the forks of a walk are those on the way from its start to
 *                where it is, in their order, and the numbers before them grow.
 *                A mark lies on that way exactly if it has one of these numbers
 *                or the last.
 *             I4 behind a mark of the pass that does not lie on the way all was
 *                walked, or the marks have been forgotten since.
 * Orderings:  [L1] see spin.h; publish an edge under one's own lock, then
 *             read others' under theirs: of two turns that close a circle at
 *             once, the one that locks second sees the other's edge. At a fork
 *             too, where one comes by again and again: see reads_next().
 *             [G1] hand_over() -> take_handed(): the links of the chain.
 */
#include "core/cycle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/ask.h"
#include "core/cold.h"
#include "core/deadlock.h"
#include "core/engine.h"
#include "core/process.h"
#include "core/reads.h"

#define TURN_STEPS 64	/* of a turn, at a wait */
#define TICK_STEPS 1024 /* of the monitor: about 0.1 ms */

/* ---- at an actor ---- */

/* Enter the engine of an actor and lock its cold block; NULL: it has none. */
static struct cold *visit(struct site *site, rota_id id)
{
	struct actor *actor;
	struct cold *cold = NULL;
	int error;

	if (site_enter(site, id) != 0)
		return NULL;
	actor = engine_actor(site->engine, id);
	if (actor)
		cold = cold_lock(site, actor, id, false, &error);
	if (!cold)
		site_leave(site);
	return cold;
}

static void leave(struct site *site, struct cold *cold)
{
	cold_unlock(cold);
	site_leave(site);
}

static bool is_same(struct wait_ticket a, struct wait_ticket b)
{
	return a.wait == b.wait && a.sequence == b.sequence;
}

static bool holds(const struct step *step)
{
	/* [W1] pairs with wait_begin(): it waits, and for this */
	return step->edge != EDGE_NONE && step->edge != EDGE_ANY &&
	       AO_load_acquire(&step->ticket.wait->xword) ==
		       (step->ticket.sequence | WAIT_WAITING);
}

enum way {
	WAY_GOES_ON,
	WAY_ENDS,   /* whatever is taken at forks, or leads where it is known */
	WAY_CLOSES, /* leads back to the wait of the start */
	WAY_STRAYS  /* leads into another circle; one with marks, into any */
};

/* ---- marks ---- */

/* That of the place; or where it is to be, which is empty. */
static struct way_mark *mark_at(const struct marks *marks,
				struct wait_ticket place)
{
	uint64_t hash = ((uintptr_t)place.wait ^ place.sequence) *
			UINT64_C(0x9e3779b97f4a7c15);
	size_t i = (size_t)(hash >> 32);
	struct way_mark *mark;

	do
		mark = &marks->mark[i++ & (marks->size - 1)];
	while (mark->number >= marks->pass && !is_same(mark->place, place));
	return mark;
}

/* It is more than half empty after one more step, which leaves two at most. */
static bool have_room(const struct marks *marks)
{
	return marks->n + 2 <= marks->size / 2;
}

static bool grow_marks(struct marks *marks)
{
	struct marks larger = *marks;
	size_t i;

	larger.size = marks->size ? 2 * marks->size : 64;
	larger.mark = calloc(larger.size, sizeof(larger.mark[0]));
	if (!larger.mark)
		return false;
	for (i = 0; i < marks->size; i++)
		if (marks->mark[i].number >= marks->pass)
			*mark_at(&larger, marks->mark[i].place) =
				marks->mark[i];
	free(marks->mark);
	*marks = larger;
	return true;
}

/* Where it has come by is new from here on. */
static void forget_marks(struct marks *marks)
{
	marks->pass = marks->last + 1;
	marks->n = 0;
}

/* The number before its i-th fork. */
static uint64_t number_before(const struct walk *walk, unsigned i)
{
	return i < walk->n_forks ? walk->fork[i].mark : walk->mark;
}

/* The first fork behind where it left that number; false: that is not on the
   way to where it is, it has turned back from there. */
static bool find_number(const struct walk *walk, uint64_t number,
			unsigned *fork)
{
	unsigned low = 0, high = walk->n_forks;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (number_before(walk, middle) < number)
			low = middle + 1;
		else
			high = middle;
	}
	*fork = low;
	return number_before(walk, low) == number;
}

/* The walk comes by. If it is back on its own way, STRAYS, with the first fork
   of the circle; ENDS if it, or another one of the pass, was here and left. */
static enum way come_by(struct walk *walk, struct wait_ticket place)
{
	struct marks *marks = walk->marks;
	struct way_mark *mark;

	if (!marks)
		return WAY_GOES_ON;
	mark = mark_at(marks, place);
	if (mark->number >= marks->pass)
		return find_number(walk, mark->number, &walk->circle.fork)
			       ? WAY_STRAYS
			       : WAY_ENDS;
	*mark = (struct way_mark){place, walk->mark};
	marks->n++;
	return WAY_GOES_ON;
}

static enum way come_by_wait(struct walk *walk, struct wait_ticket ticket)
{
	enum way way = come_by(walk, ticket);

	if (way == WAY_STRAYS) {
		walk->circle.start = walk->at;
		walk->circle.first = ticket;
	}
	return way;
}

/* ---- forks ---- */

static void choose(struct walk *walk, struct wait_ticket ticket)
{
	walk->fork[walk->n_forks++] = (struct fork){
		walk->at, ticket, walk->n_steps, walk->signature, walk->mark};
	walk->has_forked = true;
	if (walk->marks)
		walk->mark = ++walk->marks->last;
}

/* To the last fork, where the next wait is to be taken. False: there is none. */
static bool turn_back(struct walk *walk)
{
	const struct fork *last;

	if (walk->goes_round || walk->n_forks == 0)
		return false;
	last = &walk->fork[--walk->n_forks];
	walk->at = last->at;
	walk->via = 0;
	walk->taken = last->ticket.wait;
	walk->n_steps = last->n_steps;
	walk->signature = last->signature;
	walk->mark = last->mark;
	return true;
}

/* It lies on the way already. */
static bool has_forked_here(const struct walk *walk)
{
	unsigned i = 0;

	while (i < walk->n_forks && walk->fork[i].at != walk->at)
		i++;
	return i < walk->n_forks;
}

static enum way come_by_fork(struct walk *walk)
{
	struct circle *circle = &walk->circle;
	enum way way;

	if (!walk->marks)
		return has_forked_here(walk) ? WAY_STRAYS : WAY_GOES_ON;
	way = come_by(walk, (struct wait_ticket){NULL, (AO_t)walk->at});
	if (way == WAY_STRAYS) {
		circle->start = walk->at;
		circle->first = walk->fork[circle->fork++].ticket;
	}
	return way;
}

/* The next one of the waits here, each of which holds up who has come. */
static enum way follow_next(struct walk *walk, struct cold *cold,
			    struct step *step)
{
	enum way way = walk->taken ? WAY_GOES_ON : come_by_fork(walk);
	struct reading *reading;

	if (way != WAY_GOES_ON)
		return way;
	reading = reads_next(cold, walk->taken);
	if (!reading)
		return WAY_ENDS;
	choose(walk, reading->step.ticket);
	*step = reading->step;
	return WAY_GOES_ON;
}

/* The one that was taken when the circle was found. */
static enum way follow_taken(struct walk *walk, struct cold *cold,
			     struct step *step)
{
	const struct fork *fork = &walk->fork[walk->n_forks];
	struct reading *reading;

	if (walk->n_forks == walk->max_forks || fork->at != walk->at)
		return WAY_ENDS;
	walk->n_forks++;
	reading = reads_of(cold, fork->ticket);
	if (!reading)
		return WAY_ENDS;
	*step = reading->step;
	return WAY_GOES_ON;
}

/*
 * At an actor that handles several queries at a time. Who waits for the answer
 * of one of them is held up by that one; all else by each, and if the walk
 * began with one of them, that closes it.
 */
static enum way follow_reads(struct walk *walk, struct cold *cold,
			     struct step *step)
{
	enum reads_answer answer = READS_NOT;
	struct reading *reading = NULL;

	if (walk->via)
		answer = reads_answering(cold, walk->via, &reading);
	if (answer == READS_RUNS)
		return WAY_ENDS;
	if (!reading && !walk->taken && walk->at == walk->start &&
	    walk->first.wait)
		reading = reads_of(cold, walk->first);
	if (reading) {
		*step = reading->step;
		return WAY_GOES_ON;
	}
	return walk->goes_round ? follow_taken(walk, cold, step)
				: follow_next(walk, cold, step);
}

/* ---- walking ---- */

/* The wait that leads on from where the walk is, if there is one right now. */
static inline enum way follow(struct walk *walk, struct step *step)
{
	struct site site;
	struct cold *cold = visit(&site, walk->at);
	enum way way = WAY_GOES_ON;

	if (!cold)
		return WAY_ENDS;
	*step = (struct step){walk->at,		 cold->edge_to,
			      cold->edge,	 cold->edge_ends,
			      cold->edge_ticket, cold->edge_token};
	if (unlikely(cold->run != NULL || walk->taken != NULL))
		way = follow_reads(walk, cold, step);
	if (way == WAY_GOES_ON && !holds(step))
		way = WAY_ENDS;
	leave(&site, cold);
	/* An ask that is open now was open as the wait was looked at. */
	if (way == WAY_GOES_ON && step->edge == EDGE_ASK)
		step->to = ask_edge(step->token);
	return way == WAY_GOES_ON && step->to == ROTA_NONE ? WAY_ENDS : way;
}

/* Field by field, as most walks are of a turn and end soon: what a circle has
   is set where one is found. */
static void walk_begin(struct walk *walk, rota_id start,
		       struct wait_ticket first, struct fork *fork,
		       unsigned max_forks)
{
	walk->start = start;
	walk->first = first;
	walk->at = start;
	walk->via = 0;
	walk->taken = NULL;
	walk->milestone.wait = NULL;
	walk->n_steps = 0;
	walk->signature = 1;
	walk->fork = fork;
	walk->n_forks = 0;
	walk->max_forks = max_forks;
	walk->has_forked = false;
	walk->goes_round = false;
	walk->without_ends = false;
	walk->has_met_ends = false;
	walk->marks = NULL;
	walk->mark = 0;
}

/* Along the forks that another walk has come by. */
static void round_begin(struct walk *round, rota_id start,
			struct wait_ticket first, struct fork *fork,
			unsigned n_forks)
{
	walk_begin(round, start, first, fork, n_forks);
	round->goes_round = true;
	round->way_out.edge = EDGE_NONE;
	round->some_end = false;
}

static void note_way_out(struct walk *walk, const struct step *step)
{
	if (walk->way_out.edge == EDGE_NONE ||
	    (walk->way_out.edge != EDGE_ROOM && step->edge == EDGE_ROOM))
		walk->way_out = *step;
	walk->some_end |= step->ends;
}

static void note_step(struct walk *walk, const struct step *step)
{
	if (walk->n_steps == 0)
		walk->first = step->ticket;
	if (walk->goes_round)
		note_way_out(walk, step);
	walk->signature = (walk->signature ^ step->ticket.sequence ^
			   step->from ^ (step->to << 1)) *
			  UINT64_C(0x9e3779b97f4a7c15);
	walk->at = step->to;
	walk->via = step->edge == EDGE_ASK ? step->token : 0;
	walk->taken = NULL;
	walk->n_steps++;
	if ((walk->n_steps & (walk->n_steps - 1)) == 0)
		walk->milestone = step->ticket;
}

/* Does it lead to where a walk without marks has been before? */
static enum way look_back(struct walk *walk, const struct step *step)
{
	struct circle *circle = &walk->circle;

	if (walk->n_steps == 0)
		return WAY_GOES_ON;
	if (is_same(step->ticket, walk->first)) {
		circle->start = walk->start;
		circle->first = walk->first;
		/* The first one may have been at the start. */
		circle->fork = walk->n_forks > 0 && walk->fork[0].n_steps == 0;
		return WAY_CLOSES;
	}
	/* Nor is there anything new behind it if it has turned back there. */
	return is_same(step->ticket, walk->milestone) ? WAY_STRAYS
						      : WAY_GOES_ON;
}

#define FEW_FORKS 8

static bool grow_forks(struct walk *walk)
{
	unsigned n = walk->max_forks ? 2 * walk->max_forks : FEW_FORKS;
	struct fork *fork = realloc(walk->fork, n * sizeof(*fork));

	if (!fork)
		return false;
	walk->fork = fork;
	walk->max_forks = n;
	return true;
}

/* For one more step. A walk without marks has what it has; false, too, if there
   is no memory. */
static bool make_room(struct walk *walk)
{
	if (!walk->marks)
		return walk->goes_round || walk->n_forks < walk->max_forks;
	return (walk->n_forks < walk->max_forks || grow_forks(walk)) &&
	       (have_room(walk->marks) || grow_marks(walk->marks));
}

static bool is_left_out(struct walk *walk, const struct step *step)
{
	if (!walk->without_ends || !step->ends || step->edge == EDGE_ROOM)
		return false;
	walk->has_met_ends = true;
	return true;
}

/* One more, along *step if it goes on. */
static inline enum way step_on(struct walk *walk, struct step *step)
{
	enum way way = follow(walk, step);

	if (way != WAY_GOES_ON)
		return way;
	if (likely(!walk->marks))
		return look_back(walk, step);
	return is_left_out(walk, step) ? WAY_ENDS
				       : come_by_wait(walk, step->ticket);
}

/*
 * Go on for some steps at most, which are taken off. Without marks, circles
 * that the start is not on are found in Brent's way: a milestone, set anew after
 * 1, 2, 4, ... steps, is passed again.
 */
static enum way walk_on(struct walk *walk, unsigned *n_steps)
{
	struct step step;
	enum way way;

	while (*n_steps > 0) {
		if (unlikely(walk->n_forks == walk->max_forks || walk->marks) &&
		    !make_room(walk)) {
			*n_steps = 0;
			break;
		}
		(*n_steps)--;
		way = step_on(walk, &step);
		if (likely(way == WAY_GOES_ON))
			note_step(walk, &step);
		else if (way != WAY_ENDS || !turn_back(walk))
			return way;
	}
	return WAY_GOES_ON;
}

/* Once more round what @walk has gone round. */
static void go_again(struct walk *round, const struct walk *walk)
{
	round_begin(round, walk->start, walk->first, walk->fork,
		    walk->max_forks);
}

/* Round what @search has found. */
static void go_round(struct walk *round, const struct walk *search)
{
	const struct circle *circle = &search->circle;

	round_begin(round, circle->start, circle->first,
		    search->fork + circle->fork,
		    search->n_forks - circle->fork);
}

/* ---- opening ---- */

static struct waiter *find_waiter(const struct waiters *waiters,
				  struct wait_ticket ticket)
{
	struct waiter *waiter;

	for (waiter = waiters->first; waiter; waiter = waiter->next)
		if (waiter->ticket.wait == ticket.wait &&
		    waiter->ticket.sequence == ticket.sequence)
			break;
	return waiter;
}

/* Overdrafts are used up at this count. */
#define MAX_OVERDRAWN (MAILBOX_MAX_COUNT - 256)

/* Let a waiter's message in above the bound and end its wait. */
static int overdraw(const struct step *step)
{
	enum mailbox_push pushed;
	struct waiter *waiter;
	struct actor *actor;
	struct site site;
	struct cold *cold = visit(&site, step->to);
	bool is_full;

	if (!cold)
		return 0; /* it has ended, and with it the circle */
	actor = engine_actor(site.engine, step->to);
	waiter = find_waiter(&cold->room, step->ticket);
	/* Relaxed: only pushes by others may raise it further. */
	is_full = mailbox_count(AO_load(&actor->xmail)) >= MAX_OVERDRAWN;
	if (!waiter || is_full || !wait_claim(waiter->ticket)) {
		leave(&site, cold);
		return waiter && is_full ? -EDEADLK : 0;
	}
	waiters_remove(&cold->room, waiter);
	pushed = mailbox_push_over(&actor->xmail, waiter->message);
	if (!cold->room.first)
		mailbox_clear_waiters(&actor->xmail);
	count(&site.cache->counters.xoverdrafts, 1);
	cold_unlock(cold);
	if (pushed == MAILBOX_AWAKENED)
		site_schedule(&site, actor);
	site_leave(&site);
	wait_finish(step->ticket.wait,
		    pushed == MAILBOX_IS_CLOSED ? -ESHUTDOWN : 0);
	return 0;
}

static bool ends_by_itself(const struct walk *round)
{
	return round->way_out.edge != EDGE_ROOM && round->some_end;
}

/* -EDEADLK: none of its waits ends unless one is given up. */
static int open_circle(const struct walk *round)
{
	if (round->way_out.edge == EDGE_ROOM)
		return overdraw(&round->way_out);
	return ends_by_itself(round) ? 0 : -EDEADLK;
}

/* ---- the circle, to be shown ---- */

/* NULL: it is none any more, or there is no memory. */
static struct deadlock *draw(const struct walk *round)
{
	struct deadlock *circle = deadlock_begin();
	struct walk walk;
	bool is_first;

	go_again(&walk, round);
	for (is_first = true; circle; is_first = false) {
		struct step step;

		if (follow(&walk, &step) != WAY_GOES_ON)
			break;
		if (!is_first && is_same(step.ticket, walk.first))
			return circle;
		circle = deadlock_add(circle, &step);
		note_step(&walk, &step);
	}
	free(circle);
	return NULL;
}

/* ---- who is refused ---- */

/* Is the circle what it was? */
static bool stands(const struct walk *round)
{
	unsigned n_steps = (unsigned)round->n_steps + 1;
	struct walk again;

	go_again(&again, round);
	return walk_on(&again, &n_steps) == WAY_CLOSES &&
	       again.signature == round->signature;
}

/* Claim its wait, with the circle to be shown; false: it has ended. */
static bool claim_victim(const struct walk *round, const struct step *victim)
{
	struct deadlock *circle = draw(round);
	struct site site;
	struct cold *cold = visit(&site, victim->from);
	bool is_ours = false;

	if (cold) {
		/* While this is its edge, its wait is where it was. */
		is_ours = ((cold->edge != EDGE_NONE &&
			    cold->edge_ticket.wait == victim->ticket.wait) ||
			   reads_of(cold, victim->ticket)) &&
			  wait_claim(victim->ticket);
		if (is_ours)
			circle = deadlock_remember(cold, circle);
		leave(&site, cold);
	}
	free(circle);
	return is_ours;
}

static bool is_begun(const struct step *step)
{
	return step->edge == EDGE_ASK && ask_is_begun(step->token);
}

/*
 * -EDEADLK says that the request was not handled. There is one in each circle of
 * plain asks that was not begun: its receiver waits, and was in its turn before
 * it came. But whoever finds the circle may be another, whose request is being
 * handled already: two that close at once.
 */
static struct step choose_victim(const struct walk *round,
				 const struct step *finder)
{
	unsigned left = (unsigned)round->n_steps + 1;
	struct step step = *finder;
	struct walk walk;

	go_again(&walk, round);
	for (; left > 0 && is_begun(&step); left--) {
		if (follow(&walk, &step) != WAY_GOES_ON)
			return *finder; /* it is none any more */
		note_step(&walk, &step);
	}
	return left > 0 ? step : *finder;
}

/* The circle has no way out: end a wait in it with -EDEADLK. */
static void give_up(const struct walk *round, const struct step *finder)
{
	struct step victim = choose_victim(round, finder);
	bool is_ours;

	table_lock_circles();
	is_ours = stands(round) && claim_victim(round, &victim);
	table_unlock_circles();
	if (is_ours)
		wait_finish(victim.ticket.wait, -EDEADLK);
}

/* ---- a turn ---- */

/* The walk was cut short: the monitor is to walk on. */
static void hand_over(struct cold *cold, struct cycles *cycles)
{
	/* Relaxed: the CAS re-checks it. */
	AO_t first = AO_load(&cycles->xhanded);

	for (;;) {
		AO_t seen;

		cold->next_handed = (struct cold *)first;
		/* [G1] pairs with take_handed(); fails as another succeeds */
		seen = AO_fetch_compare_and_swap_release(&cycles->xhanded,
							 first, (AO_t)cold);
		if (seen == first)
			return;
		first = seen;
	}
}

void cycle_hand_over(struct local *local)
{
	struct cold *cold = cold_lock_own(local);

	if (!cold)
		return; /* it has been abandoned */
	if (cold->handed == HANDED_NOT)
		hand_over(cold, &local->engine->cycles);
	/* If it stands in a pass already, that may know its circle's rest. */
	cold->handed = cold->handed == HANDED_NOT ? HANDED_ONCE : HANDED_AGAIN;
	cold_unlock(cold);
}

uint64_t cycle_behalf(const struct local *local)
{
	struct message *message = local->turn.message;
	struct message_extension *extension =
		message ? message_extension(message) : NULL;

	if (extension && unlikely(extension->taken != 0))
		return ask_is_held(extension->taken, local->turn.self)
			       ? extension->taken
			       : 0;
	return extension ? extension->token : 0;
}

static inline uint64_t set_edge(struct local *local, const struct step *step)
{
	uint64_t behalf = cycle_behalf(local);
	struct cold *cold = cold_lock_own(local);

	/* The turn's first wait made it; its life has not ended, or it has
	   been abandoned. */
	if (!cold)
		return behalf;
	cycle_set_edge(cold, step, behalf);
	cold_unlock(cold);
	return behalf;
}

/*
 * Whoever withdrew the request in hand has either found the edge, or it is
 * found out here: see ask_cascade(), which looks after it has withdrawn.
 */
bool cycle_is_withdrawn(uint64_t behalf)
{
	struct ask_seen seen;

	return behalf && ask_look(behalf, &seen) && seen.is_withdrawn;
}

/* One of several that wait: the edge is written over by the next. */
static void note_reading(struct local *local, const struct step *step,
			 uint64_t behalf)
{
	struct cold *cold = cold_lock_own(local);

	if (!cold)
		return; /* it has been abandoned, in a query of its own */
	reads_note(cold, step, behalf);
	cold_unlock(cold);
}

/* For a circle that the start is on. */
static enum way search(struct walk *walk, unsigned n_steps)
{
	enum way way;

	do
		way = walk_on(walk, &n_steps);
	while (way == WAY_STRAYS && turn_back(walk));
	return way;
}

/* It has found one: once more round that, along the same waits. */
static bool is_closed(const struct walk *walk, struct walk *round)
{
	unsigned n_steps = TURN_STEPS;

	go_round(round, walk);
	return walk_on(round, &n_steps) == WAY_CLOSES &&
	       round->signature == walk->signature;
}

/* If the walk was cut short; or there may be another circle behind its forks. */
static bool is_to_be_continued(const struct walk *walk, enum way way)
{
	return way == WAY_GOES_ON || (way == WAY_CLOSES && walk->has_forked);
}

static void hand_over_other(rota_id start)
{
	struct site site;
	struct cold *cold = visit(&site, start);

	if (!cold)
		return;
	if (cold->handed == HANDED_NOT)
		hand_over(cold, &site.engine->cycles);
	cold->handed = cold->handed == HANDED_NOT ? HANDED_ONCE : HANDED_AGAIN;
	leave(&site, cold);
}

static bool never_waited(const struct local *local, rota_id id)
{
	const struct actor *actor;

	if (id_engine(id) != local->number)
		return false;
	actor = engine_actor(local->engine, id);
	return actor && cycle_never_waited(actor, id);
}

bool cycle_waits_for_none(struct engine *engine, const struct actor *actor,
			  rota_id id)
{
	/* [A1] pairs with cold_install(); after [L1] of the caller's block */
	AO_t signal = AO_load_acquire(&actor->xsignal);
	struct cold *cold;
	struct step step;
	bool alone;

	if (!signal_lives(signal, id) || !signal_cold(signal))
		return false;
	cold = cold_at(engine, signal_cold(signal));
	spin_lock(&cold->xlock);
	step.edge = cold->edge;
	step.ticket = cold->edge_ticket;
	alone = cold->owner == id && !cold->run && !holds(&step);
	cold_unlock(cold);
	return alone;
}

static __attribute__((noinline)) void find_circle(struct local *local,
						  const struct step *step)
{
	struct fork forks[FEW_FORKS];
	struct walk walk, round;
	enum way way;

	walk_begin(&walk, step->from, step->ticket, forks, FEW_FORKS);
	note_step(&walk, step);
	way = search(&walk, TURN_STEPS - 1);
	/* Into a circle that it is not on: those on it see to that. */
	if (way == WAY_CLOSES && is_closed(&walk, &round) &&
	    open_circle(&round) == -EDEADLK)
		give_up(&round, step);
	if (is_to_be_continued(&walk, way))
		cycle_hand_over(local);
}

/*
 * The step as it leads on now that others can see the edge: an ask may have been
 * forwarded before that, and nobody but us can have found the circle. False: it
 * leads nowhere.
 */
static bool leads_on(const struct step *step, struct step *on)
{
	*on = *step;
	if (step->edge == EDGE_ASK)
		on->to = ask_edge(step->token);
	return step->edge != EDGE_ANY && on->to != ROTA_NONE;
}

void cycle_walk(struct local *local, const struct step *step)
{
	struct step on;

	if (leads_on(step, &on))
		find_circle(local, &on);
}

int cycle_add_edge(struct local *local, const struct step *step)
{
	uint64_t behalf = set_edge(local, step);
	struct step on;

	if (unlikely(turn_only_reads(local)))
		note_reading(local, step, behalf);
	if (unlikely(behalf && cycle_is_withdrawn(behalf)))
		return -ECANCELED;
	if (leads_on(step, &on) && unlikely(!never_waited(local, on.to)))
		find_circle(local, &on);
	return 0;
}

void cycle_look(rota_id start)
{
	const struct wait_ticket whichever = {NULL, 0};
	struct fork forks[FEW_FORKS];
	struct walk walk, round;
	enum way way;

	walk_begin(&walk, start, whichever, forks, FEW_FORKS);
	way = search(&walk, TURN_STEPS);
	if (way == WAY_CLOSES && is_closed(&walk, &round) &&
	    open_circle(&round) == -EDEADLK)
		give_up(&round, &round.way_out);
	if (is_to_be_continued(&walk, way))
		hand_over_other(start);
}

/* ---- the monitor ---- */

/* A pass begins: over all that was handed over before. */
static void take_handed(struct cycles *cycles)
{
	/* Relaxed: the CAS re-checks it. */
	AO_t first = AO_load(&cycles->xhanded);

	while (first) {
		/* [G1] pairs with hand_over(); fails as another succeeds */
		AO_t seen = AO_fetch_compare_and_swap_acquire(&cycles->xhanded,
							      first, 0);

		if (seen == first)
			break;
		first = seen;
	}
	cycles->pass = (struct cold *)first;
	cycles->with_ends = false;
	forget_marks(&cycles->marks);
}

/* Over those of it that have come by waits that end by themselves. */
static void take_later(struct cycles *cycles)
{
	cycles->pass = cycles->later;
	cycles->later = NULL;
	cycles->with_ends = true;
	forget_marks(&cycles->marks);
}

static void begin_search(struct cycles *cycles, rota_id start)
{
	const struct wait_ticket whichever = {NULL, 0};
	struct walk *walk = &cycles->search;

	walk_begin(walk, start, whichever, walk->fork, walk->max_forks);
	walk->without_ends = !cycles->with_ends;
	walk->marks = &cycles->marks;
	walk->mark = ++cycles->marks.last;
}

/* Whose walk is next; false: it was the last one. */
static bool begin_next(struct cycles *cycles)
{
	struct cold *cold;
	rota_id start;

	if (!cycles->pass)
		take_later(cycles);
	cold = cycles->pass;
	if (!cold)
		return false;
	spin_lock(&cold->xlock);
	start = cold->owner; /* 0 leads nowhere */
	cold_unlock(cold);
	cycles->pass = cold->next_handed;
	cycles->walked = cold;
	begin_search(cycles, start);
	return true;
}

/* @again: in the next pass. */
static void end_walk(struct cycles *cycles, bool again)
{
	struct cold *cold = cycles->walked;

	cycles->walked = NULL;
	if (!again && cycles->search.has_met_ends) {
		cold->next_handed = cycles->later;
		cycles->later = cold;
		return;
	}
	spin_lock(&cold->xlock);
	again |= cold->handed == HANDED_AGAIN;
	cold->handed = again ? HANDED_ONCE : HANDED_NOT;
	if (again)
		hand_over(cold, cycles);
	cold_unlock(cold);
}

static void search_on(struct cycles *cycles, unsigned *n_steps)
{
	enum way way = walk_on(&cycles->search, n_steps);

	if (way == WAY_GOES_ON)
		return;
	if (way == WAY_ENDS) {
		end_walk(cycles, false);
		return;
	}
	go_round(&cycles->round, &cycles->search);
	cycles->is_round = true;
	cycles->first_time = 0;
}

/* What the search has found was gone round twice. */
static void settle(struct cycles *cycles, bool is_circle)
{
	struct walk *walk = &cycles->search, *round = &cycles->round;

	if (is_circle && ends_by_itself(round)) {
		if (!turn_back(walk))
			end_walk(cycles, false);
		return;
	}
	if (is_circle && open_circle(round) == -EDEADLK)
		give_up(round, &round->way_out);
	/* The search went along waits that have ended since. */
	if (walk->has_forked)
		forget_marks(&cycles->marks);
	end_walk(cycles, walk->has_forked);
}

static void round_on(struct cycles *cycles, unsigned *n_steps)
{
	struct walk *round = &cycles->round;
	enum way way = walk_on(round, n_steps);

	if (way == WAY_GOES_ON)
		return;
	if (way == WAY_CLOSES && !cycles->first_time) {
		cycles->first_time = round->signature;
		go_again(round, round);
		return;
	}
	cycles->is_round = false;
	settle(cycles,
	       way == WAY_CLOSES && round->signature == cycles->first_time);
}

static bool has_walks(const struct cycles *cycles)
{
	return cycles->walked || cycles->pass || cycles->later;
}

static void carry_on(struct cycles *cycles, unsigned n_steps)
{
	while (n_steps > 0 && (cycles->walked || begin_next(cycles))) {
		if (cycles->is_round)
			round_on(cycles, &n_steps);
		else
			search_on(cycles, &n_steps);
	}
}

bool cycle_tick(struct engine *engine)
{
	struct cycles *cycles = &engine->cycles;

	if (!has_walks(cycles))
		take_handed(cycles);
	if (!has_walks(cycles))
		return false;
	if (!thread_record_here())
		return true; /* no memory: one cannot even look */
	carry_on(cycles, TICK_STEPS);
	if (!has_walks(cycles))
		cycles_fini(cycles);
	/* Relaxed: what it misses was handed over by a worker that is awake. */
	return has_walks(cycles) || AO_load(&cycles->xhanded) != 0;
}

void cycles_fini(struct cycles *cycles)
{
	free(cycles->search.fork);
	free(cycles->marks.mark);
	cycles->search.fork = NULL;
	cycles->search.max_forks = 0;
	cycles->marks.mark = NULL;
	cycles->marks.size = 0;
}
