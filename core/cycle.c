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
 *             The monitor works in passes. A pass takes all that was handed
 *             over before it began, and walks from each; a walk ends where
 *             another walk of the same pass has come through, so that a pass
 *             visits each wait about once. It does some steps per tick.
 *             Nothing is missed by that: a circle is handed over after its last
 *             edge was written, and does not change any more. So it stands as
 *             it is from before the pass began, and the first walk of the pass
 *             that comes to it goes round it and finds it, whether it started
 *             on it or not. (Hence HANDED_AGAIN: what is handed over while it
 *             stands in a pass belongs to the next.)
 * Rejected:   refusing the wait (a program would fail because its mailboxes
 *             are small); time-outs; walking to the end at each wait (quadratic
 *             in a pipeline that is backed up).
 * Invariants: I1 an edge holds exactly while its wait word says WAITING with
 *                the edge's sequence.
 *             I2 a block is in one chain at most: xhanded or pass, while its
 *                `handed` says so. It may have changed hands there: blocks are
 *                type-stable, and the walk starts from who owns it then.
 * Orderings:  [L1] see spin.h; publish an edge under one's own lock, then
 *             read others' under theirs: of two turns that close a circle at
 *             once, the one that locks second sees the other's edge.
 *             [G1] hand_over() -> take_handed(): the links of the chain.
 */
#include "core/cycle.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/ask.h"
#include "core/cold.h"
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

/* Has an earlier walk of the pass come through here? From now on one has. */
static bool is_known(struct cold *cold, const struct marks *marks)
{
	AO_t mark = cold->mark;

	if (!marks->own || id_engine(cold->owner) != id_engine(marks->any))
		return false;
	cold->mark = marks->own;
	return mark >= marks->first && mark < marks->own;
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

/*
 * Of an actor that handles several queries at a time: the wait that holds up
 * who has come to it. Who waits for the answer of one of them is held up by
 * that one; all else by each, and if the walk began with one of them, that
 * closes it. False: by none.
 */
static bool pick(const struct cold *cold, struct walk *walk, struct step *step)
{
	enum reads_answer answer = READS_NOT;
	struct step other;

	if (walk->via)
		answer = reads_answering(cold, walk->via, step);
	if (answer != READS_NOT)
		return answer == READS_WAITS;
	if (walk->at == walk->start && walk->first.wait)
		if (is_same(step->ticket, walk->first) ||
		    reads_waits_in(cold, walk->first, step))
			return true;
	if (reads_nth(cold, 1, &other) && walk->fork == ROTA_NONE)
		walk->fork = cold->owner;
	return holds(step) || reads_nth(cold, 0, step);
}

/*
 * The wait that leads on from where the walk is, if there is one right now, and
 * no earlier walk of the pass has followed it.
 */
static bool follow(struct walk *walk, struct step *step)
{
	struct site site;
	struct cold *cold = visit(&site, walk->at);
	bool leads_on;

	if (!cold)
		return false;
	*step = (struct step){walk->at,		 cold->edge_to,
			      cold->edge,	 cold->edge_ends,
			      cold->edge_ticket, cold->edge_token};
	if (unlikely(cold->run != NULL))
		leads_on = pick(cold, walk, step) && holds(step);
	else
		leads_on = holds(step) && !is_known(cold, &walk->marks);
	leave(&site, cold);
	/* An ask that is open now was open as the wait was looked at. */
	if (leads_on && step->edge == EDGE_ASK)
		step->to = ask_edge(step->token);
	return leads_on && step->to != ROTA_NONE;
}

/* ---- walking ---- */

enum way {
	WAY_GOES_ON,
	WAY_ENDS,   /* or is known */
	WAY_CLOSES, /* leads back to the wait of the start */
	WAY_STRAYS /* leads into a circle that the start is not on: walk.at is */
};

static void walk_begin(struct walk *walk, rota_id start,
		       struct wait_ticket first, struct marks marks)
{
	*walk = (struct walk){.start = start,
			      .first = first,
			      .at = start,
			      .signature = 1,
			      .marks = marks};
}

static void note_step(struct walk *walk, const struct step *step)
{
	if (walk->n_steps == 0)
		walk->first = step->ticket;
	if (walk->way_out.edge == EDGE_NONE ||
	    (walk->way_out.edge != EDGE_ROOM && step->edge == EDGE_ROOM))
		walk->way_out = *step;
	walk->some_end |= step->ends;
	walk->signature = (walk->signature ^ step->ticket.sequence ^
			   step->from ^ (step->to << 1)) *
			  UINT64_C(0x9e3779b97f4a7c15);
	walk->at = step->to;
	walk->via = step->edge == EDGE_ASK ? step->token : 0;
	walk->n_steps++;
	if ((walk->n_steps & (walk->n_steps - 1)) == 0)
		walk->milestone = step->ticket;
}

/*
 * Go on for some steps at most, which are taken off. Circles without the start
 * are found in Brent's way: a milestone, set anew after 1, 2, 4, ... steps, is
 * passed again.
 */
static enum way walk_on(struct walk *walk, unsigned *n_steps)
{
	struct step step;

	while (*n_steps > 0) {
		(*n_steps)--;
		if (!follow(walk, &step))
			return WAY_ENDS;
		if (walk->n_steps > 0 && is_same(step.ticket, walk->first))
			return WAY_CLOSES;
		if (walk->n_steps > 0 && is_same(step.ticket, walk->milestone))
			return WAY_STRAYS;
		note_step(walk, &step);
	}
	return WAY_GOES_ON;
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

/* -EDEADLK: none of its waits ends unless one is given up. */
static int open_circle(const struct walk *walk)
{
	if (walk->way_out.edge == EDGE_ROOM)
		return overdraw(&walk->way_out);
	return walk->some_end ? 0 : -EDEADLK;
}

/* ---- the circle, to be shown ---- */

struct deadlock {
	size_t n;
	struct rota_deadlock_step step[];
};

/* The type's name, and that of a message to it; each may be NULL. What they
   point to outlives the engine. */
static void name(rota_id id, unsigned tag, const char **type,
		 const char **message)
{
	const struct behaviour *behaviour;
	struct actor *actor;
	struct site site;

	if (site_enter(&site, id) != 0)
		return;
	actor = engine_actor(site.engine, id);
	if (actor) {
		/* [A1] pairs with make_live(): it waits, or is waited for */
		behaviour =
			behaviour_of((const struct task_class *)AO_load_acquire(
				&actor->task.xclass));
		*type = behaviour->name;
		*message = behaviour_tag_name(behaviour, tag);
	}
	site_leave(&site);
}

static void name_step(struct rota_deadlock_step *step)
{
	const char *other, *none;

	name(step->actor, 0, &step->type, &none);
	if (step->asks)
		name(step->whom, step->tag, &other, &step->message);
}

#define MAX_DRAWN 65536

/* Room for the steps up to the n-th: 8, 16, 32 ... */
static struct deadlock *grow(struct deadlock *circle, size_t n)
{
	struct deadlock *larger;

	if (n > 0 && (n < 8 || (n & (n - 1)) != 0))
		return circle;
	larger = n < MAX_DRAWN
			 ? realloc(circle,
				   sizeof(*circle) +
					   (n ? 2 * n : 8) *
						   sizeof(circle->step[0]))
			 : NULL;
	if (!larger)
		free(circle);
	return larger;
}

static struct rota_deadlock_step drawn_of(const struct step *step)
{
	struct rota_deadlock_step drawn = {.actor = step->from,
					   .whom = step->to,
					   .asks = step->edge == EDGE_ASK,
					   .token = step->token};
	struct ask_seen seen;

	if (drawn.asks && ask_look(step->token, &seen))
		drawn.tag = seen.tag;
	name_step(&drawn);
	return drawn;
}

/* From that wait on. NULL: it is none any more, or there is no memory. */
static struct deadlock *draw(const struct step *victim)
{
	struct deadlock *circle = NULL;
	struct walk walk;
	size_t n = 0;

	walk_begin(&walk, victim->from, victim->ticket, (struct marks){0});
	for (;;) {
		struct step step;

		if (!follow(&walk, &step))
			break;
		if (n > 0 && is_same(step.ticket, walk.first)) {
			circle->n = n;
			return circle;
		}
		circle = grow(circle, n);
		if (!circle)
			break;
		circle->step[n++] = drawn_of(&step);
		note_step(&walk, &step);
	}
	free(circle);
	return NULL;
}

/* Under the lock; the caller frees what it returns, after it. */
static struct deadlock *remember(struct cold *cold, struct deadlock *circle)
{
	struct deadlock *old = cold->deadlock;

	cold->deadlock = circle;
	return old;
}

void cycle_note_self(struct local *local, unsigned tag)
{
	struct site own = site_of(local);
	struct deadlock *circle = grow(NULL, 0);
	struct cold *cold;
	int error;

	if (!circle)
		return;
	circle->n = 1;
	circle->step[0] = (struct rota_deadlock_step){.actor = local->turn.self,
						      .whom = local->turn.self,
						      .asks = 1,
						      .tag = tag};
	name_step(&circle->step[0]);
	cold = cold_lock(&own, local->turn.actor, local->turn.self, true,
			 &error);
	if (cold) {
		circle = remember(cold, circle);
		cold_unlock(cold);
	}
	free(circle);
}

static int copy_steps(const struct deadlock *circle,
		      struct rota_deadlock_step *steps, size_t n)
{
	if (!circle)
		return 0;
	if (n > circle->n)
		n = circle->n;
	if (n > 0)
		memcpy(steps, circle->step, n * sizeof(*steps));
	return (int)circle->n;
}

int rota_last_deadlock(struct rota_deadlock_step *steps, size_t n)
{
	struct local *local = local_in_turn();
	struct cold *cold;
	int result;

	if (!local)
		return -EPERM;
	cold = cold_lock_own(local);
	if (!cold)
		return 0;
	result = copy_steps(cold->deadlock, steps, n);
	cold_unlock(cold);
	return result;
}

/* As snprintf(), from where the text has come to. */
static ROTA_PRINTF(4, 5) void add_text(char *text, size_t size, size_t *length,
				       const char *format, ...)
{
	size_t at = *length < size ? *length : size;
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(size > at ? text + at : NULL, size - at, format,
		      arguments);
	va_end(arguments);
	if (n > 0)
		*length += (size_t)n;
}

/* What whom a step leads to is called: the next step is its. */
static const char *type_of_whom(const struct rota_deadlock_step *steps,
				size_t n, size_t i)
{
	const struct rota_deadlock_step *next = &steps[(i + 1) % n];

	return next->actor == steps[i].whom && next->type ? next->type
							  : "actor";
}

int rota_deadlock_text(const struct rota_deadlock_step *steps, size_t n,
		       char *text, size_t size)
{
	size_t i, length = 0;

	if (size > 0)
		text[0] = '\0';
	for (i = 0; i < n; i++) {
		const struct rota_deadlock_step *step = &steps[i];

		add_text(text, size, &length,
			 "%s%s %016" PRIx64 " %s %s %016" PRIx64,
			 i > 0 ? "\n" : "", step->type ? step->type : "actor",
			 step->actor, step->asks ? "asks" : "waits for",
			 type_of_whom(steps, n, i), step->whom);
		if (step->asks && step->message)
			add_text(text, size, &length, ": %s", step->message);
		else if (step->asks)
			add_text(text, size, &length, ": tag %u", step->tag);
	}
	return length < INT_MAX ? (int)length : INT_MAX;
}

/*
 * Held while it is decided whose wait is given up: of two that find the same
 * circle the second finds it opened. Taken where one was found, by nobody who
 * holds another lock. A lock of the process, as circles may go through several
 * engines.
 */
static AO_TS_t deciding = AO_TS_INITIALIZER;

/* Is the circle what it was? */
static bool stands(const struct walk *walk)
{
	unsigned n_steps = (unsigned)walk->n_steps + 1;
	struct walk again;

	walk_begin(&again, walk->start, walk->first, (struct marks){0});
	return walk_on(&again, &n_steps) == WAY_CLOSES &&
	       again.signature == walk->signature;
}

/* Claim its wait, with the circle to be shown; false: it has ended. */
static bool claim_victim(const struct step *victim)
{
	struct deadlock *circle = draw(victim);
	struct site site;
	struct cold *cold = visit(&site, victim->from);
	struct step step;
	bool is_ours = false;

	if (cold) {
		/* While this is its edge, its wait is where it was. */
		is_ours = ((cold->edge != EDGE_NONE &&
			    cold->edge_ticket.wait == victim->ticket.wait) ||
			   reads_waits_in(cold, victim->ticket, &step)) &&
			  wait_claim(victim->ticket);
		if (is_ours)
			circle = remember(cold, circle);
		leave(&site, cold);
	}
	free(circle);
	return is_ours;
}

/* The circle has no way out: end a wait in it with -EDEADLK. */
static void give_up(const struct walk *walk, const struct step *victim)
{
	bool is_ours;

	spin_lock(&deciding);
	is_ours = stands(walk) && claim_victim(victim);
	spin_unlock(&deciding);
	if (is_ours)
		wait_finish(victim->ticket.wait, -EDEADLK);
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

/* The token of the request that the turn has in hand, or has taken and not
   passed on; 0: it has none. In no lock: the look may enter an engine. */
static uint64_t behalf_of(const struct local *local)
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

void cycle_set_edge(struct cold *cold, const struct step *step, uint64_t behalf)
{
	cold->edge = step->edge;
	cold->edge_ticket = wait_ticket_copy(&step->ticket);
	cold->edge_to = step->to;
	cold->edge_ends = step->ends;
	cold->edge_token = step->token;
	cold->behalf = behalf;
}

static uint64_t set_edge(struct local *local, const struct step *step)
{
	uint64_t behalf = behalf_of(local);
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
static bool is_withdrawn(uint64_t behalf)
{
	struct ask_seen seen;

	return behalf && ask_look(behalf, &seen) && seen.is_withdrawn;
}

/* One of several that wait: the edge is written over by the next. */
static void note_reading(struct local *local, const struct step *step,
			 uint64_t behalf)
{
	struct cold *cold = cold_lock_own(local);

	reads_note(cold, step, behalf);
	cold_unlock(cold);
}

/* The same, where the first step is known; *n_steps are left. */
static enum way walk_after(struct walk *walk, const struct step *first)
{
	unsigned n_steps = TURN_STEPS - 1;

	walk_begin(walk, first->from, first->ticket, (struct marks){0});
	note_step(walk, first);
	return walk_on(walk, &n_steps);
}

static enum way walk_from(struct walk *walk, rota_id start,
			  struct wait_ticket first)
{
	unsigned n_steps = TURN_STEPS;

	walk_begin(walk, start, first, (struct marks){0});
	return walk_on(walk, &n_steps);
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

/*
 * Who has no cold block has never waited. If it is about to, it makes one first
 * and then locks ours: it did so before us, and its block is seen here, or it
 * sees our edge.
 */
static bool never_waited(const struct local *local, rota_id id)
{
	const struct actor *actor;
	AO_t signal;

	if (id_engine(id) != local->number)
		return false;
	actor = engine_actor(local->engine, id);
	if (!actor)
		return false;
	/* [A1] pairs with cold_install(); after [L1] of our own block */
	signal = AO_load_acquire(&actor->xsignal);
	return signal_lives(signal, id) && signal_cold(signal) == 0;
}

int cycle_add_edge(struct local *local, const struct step *step)
{
	struct walk first, second;
	uint64_t behalf = set_edge(local, step);
	enum way way;

	if (unlikely(turn_only_reads(local)))
		note_reading(local, step, behalf);
	if (unlikely(behalf && is_withdrawn(behalf)))
		return -ECANCELED;
	if (step->edge == EDGE_ANY || likely(never_waited(local, step->to)))
		return 0;
	way = walk_after(&first, step);
	if (way == WAY_GOES_ON)
		cycle_hand_over(local);
	else if (way != WAY_CLOSES && unlikely(first.fork != ROTA_NONE))
		hand_over_other(first.fork);
	/* Into a circle that it is not on: those on it see to that. */
	if (way != WAY_CLOSES ||
	    walk_from(&second, step->from, step->ticket) != WAY_CLOSES ||
	    first.signature != second.signature)
		return 0;
	if (open_circle(&second) == -EDEADLK)
		give_up(&second, step);
	return 0;
}

void cycle_look(rota_id start)
{
	const struct wait_ticket whichever = {NULL, 0};
	struct walk first, second;
	enum way way = walk_from(&first, start, whichever);

	if (way == WAY_GOES_ON)
		hand_over_other(start);
	else if (way != WAY_CLOSES && first.fork != ROTA_NONE)
		hand_over_other(first.fork);
	if (way == WAY_CLOSES &&
	    walk_from(&second, start, first.first) == WAY_CLOSES &&
	    first.signature == second.signature &&
	    open_circle(&second) == -EDEADLK)
		give_up(&second, &second.way_out);
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
	cycles->walk.marks.first = cycles->walk.marks.own + 1;
}

static void begin_walk(struct engine *engine, rota_id start,
		       struct wait_ticket first)
{
	struct cycles *cycles = &engine->cycles;
	struct marks marks = cycles->walk.marks;

	marks.own++;
	marks.any = id_make(engine->number, 0, 0);
	walk_begin(&cycles->walk, start, first, marks);
	cycles->first_time = 0;
	cycles->is_walking = true;
}

/* One that reads for several, and waits for each of them: walk from the next of
   its waits. False: that was the last. */
static bool begin_forked(struct engine *engine)
{
	struct cycles *cycles = &engine->cycles;
	struct step step;
	struct site site;
	struct cold *cold = visit(&site, cycles->forked);
	bool found = cold && reads_nth(cold, cycles->n_forked++, &step);

	if (cold)
		leave(&site, cold);
	if (found)
		begin_walk(engine, cycles->forked, step.ticket);
	else
		cycles->forked = ROTA_NONE;
	return found;
}

/* Whose walk is next in this pass; false if it is over. */
static bool begin_next(struct engine *engine)
{
	const struct wait_ticket whichever = {NULL, 0};
	struct cycles *cycles = &engine->cycles;
	struct cold *cold;
	rota_id start;

	if (cycles->forked != ROTA_NONE && begin_forked(engine))
		return true;
	cold = cycles->pass;
	if (!cold)
		return false;
	spin_lock(&cold->xlock);
	start = cold->owner; /* 0 leads nowhere */
	cycles->pass = cold->next_handed;
	if (cold->handed == HANDED_AGAIN)
		hand_over(cold, cycles);
	cold->handed--;
	if (unlikely(cold->run != NULL)) {
		cycles->forked = start;
		cycles->n_forked = 0;
	}
	cold_unlock(cold);
	begin_walk(engine, start, whichever);
	return true;
}

static void walk_again(struct cycles *cycles, rota_id start,
		       struct wait_ticket first, uint64_t first_time)
{
	walk_begin(&cycles->walk, start, first, cycles->walk.marks);
	cycles->first_time = first_time;
}

static void carry_on(struct cycles *cycles, unsigned *n_steps)
{
	struct walk *walk = &cycles->walk;
	enum way way = walk_on(walk, n_steps);

	if (way == WAY_STRAYS) {
		walk_again(cycles, walk->at, walk->milestone, 0);
	} else if (way == WAY_CLOSES && !cycles->first_time) {
		walk_again(cycles, walk->start, walk->first, walk->signature);
	} else if (way != WAY_GOES_ON) {
		cycles->is_walking = false;
		if (way == WAY_CLOSES &&
		    walk->signature == cycles->first_time &&
		    open_circle(walk) == -EDEADLK)
			give_up(walk, &walk->way_out);
	}
}

/* In this pass. */
static bool has_walks(const struct cycles *cycles)
{
	return cycles->is_walking || cycles->forked != ROTA_NONE ||
	       cycles->pass != NULL;
}

bool cycle_tick(struct engine *engine)
{
	struct cycles *cycles = &engine->cycles;
	unsigned n_steps = TICK_STEPS;

	if (!has_walks(cycles))
		take_handed(cycles);
	if (!has_walks(cycles))
		return false;
	if (!thread_record_here())
		return true; /* no memory: one cannot even look */
	while (n_steps > 0 && (cycles->is_walking || begin_next(engine)))
		carry_on(cycles, &n_steps);
	/* Relaxed: what it misses was handed over by a worker that is awake. */
	return has_walks(cycles) || AO_load(&cycles->xhanded) != 0;
}
