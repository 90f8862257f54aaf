/* SPDX-License-Identifier: MIT */
/*
 * cycle - finds waits that close a circle, and opens it
 *
 * A turn that waits for another actor is an edge from its own actor to that.
 * Where edges form a circle none of the waits would end; so one waiter for room
 * in it gets its message in above the bound, or, where all wait for ends, one
 * is told -EDEADLK.
 */
#ifndef ROTA_CORE_CYCLE_H
#define ROTA_CORE_CYCLE_H

#include <stdbool.h>

#include "core/actor.h"

struct cold;
struct engine;
struct local;

/* An edge as it was seen. */
struct step {
	rota_id from;
	rota_id to;
	enum edge edge;
	bool ends; /* by itself: the wait has a deadline */
	struct wait_ticket ticket;
	uint64_t token; /* EDGE_ASK: of the ask */
};

/* Where a walk of a monitor has come by: at a wait; or, without one and with an
   actor's id as its sequence, at that actor, which waits for several. */
struct way_mark {
	struct wait_ticket place;
	uint64_t number; /* of the stretch between two forks */
};

/* What the walks of one pass leave: a table with open addresses. */
struct marks {
	uint64_t
		pass; /* the first number of this pass; less is an empty place */
	uint64_t last;
	struct way_mark *mark;
	size_t n;
	size_t size; /* a power of two, or 0 */
};

/* At an actor that waits for several: which of its waits was taken. */
struct fork {
	rota_id at;
	struct wait_ticket ticket;
	/* The walk as it came there: */
	uint64_t n_steps;
	uint64_t signature;
	uint64_t mark;
};

/* Where a circle begins that a walk has come round. */
struct circle {
	rota_id start;
	struct wait_ticket first;
	unsigned fork; /* the first one on the circle behind that wait */
};

/*
 * Following the waits from that of an actor, as far as it has got. What it goes
 * along are waits, not actors: one that answers several queries at a time has
 * several.
 */
struct walk {
	rota_id start;
	struct wait_ticket
		first; /* of the start; no wait: whichever it is in */
	rota_id at;
	uint64_t via;		  /* the ask by which it came there, or 0 */
	const struct wait *taken; /* it has come back there, and took that wait
	                             the last time; NULL: it has not */
	struct wait_ticket
		milestone; /* the wait some steps ago, see walk_on() */
	uint64_t n_steps;
	uint64_t
		signature; /* two walks over the same waits have it in common */
	struct fork *fork; /* those made on the way to where it is */
	unsigned n_forks;
	unsigned max_forks;
	bool has_forked;      /* it has made forks, if maybe not on this way */
	bool goes_round;      /* along @max_forks that another has made */
	bool without_ends;    /* not along waits that end by themselves, */
	bool has_met_ends;    /* ... and there was one */
	struct circle circle; /* that it has found */
	/* Of one that goes round: */
	struct step way_out; /* the wait that opens the circle if it ends: one
	                        for room if there is one */
	bool some_end;	     /* on the way are waits with a deadline */
	/* Of a monitor's: */
	struct marks *marks; /* NULL: it leaves none */
	uint64_t mark;	     /* the number since the last fork */
};

/* The walks of an engine that its monitor finishes. */
struct cycles {
	AO_t xhanded; /* struct cold * chain: whose walks were cut short; pushed
	                 by turns, taken by the monitor */
	/* The monitor's alone. */
	struct cold *pass;   /* those of this pass whose turn is to come */
	struct cold *later;  /* those of it for the pass with ends */
	struct cold *walked; /* whose turn it is, or NULL */
	bool with_ends;	     /* the kind of this pass */
	bool is_round;	     /* @round goes along what @search has found */
	struct walk search;
	struct walk round;
	uint64_t first_time; /* the signature of the first time round, or 0 */
	struct marks marks;
};

/*
 * The turn's wait is an edge from its actor from now on, until the wait ends.
 * If this closes a circle, it is opened: now if that is short, by the monitor
 * within some ticks if it is long; if that cannot be done otherwise, by ending
 * a wait in it, mostly this one, with -EDEADLK. -ECANCELED if the request that
 * the turn has in hand was withdrawn, and this wait is not to be; else 0.
 */
int cycle_add_edge(struct local *local, const struct step *step);

/*
 * The edge from an actor leads to somebody else from now on: see whether this
 * closes a circle, and open it. In no site.
 */
void cycle_look(rota_id start);

/* Under the lock of its actor's cold block: the edge is this one now. */
static inline void cycle_set_edge(struct cold *cold, const struct step *step,
				  uint64_t behalf)
{
	cold->edge = step->edge;
	cold->edge_ticket = wait_ticket_copy(&step->ticket);
	cold->edge_to = step->to;
	cold->edge_ends = step->ends;
	cold->edge_token = step->token;
	cold->behalf = behalf;
}

/*
 * The rest of cycle_add_edge() for a turn that has set its edge, where the actor
 * that it waits for may wait, too: look where that leads, and open a circle.
 */
void cycle_walk(struct local *local, const struct step *step);

/* Does an actor of this engine wait for nobody, so that no way leads on from
   there? If it is about to wait, it finds the edge that the caller has set. */
bool cycle_waits_for_none(struct engine *engine, const struct actor *actor,
			  rota_id id);

/*
 * Who has no cold block has never waited. If it is about to, it puts one into its
 * signal word first, by a CAS with a full barrier, and then looks for ours; we
 * have done the same: one of the two sees the other's, locks it, and finds the
 * edge or comes before it. (A load-acquire of aarch64 stays behind such a CAS, as
 * long as it is an LDAR and no LDAPR.)
 */
static inline bool cycle_never_waited(const struct actor *actor, rota_id id)
{
	/* [A1] pairs with cold_install(); after [L1] of our own block */
	AO_t signal = AO_load_acquire(&actor->xsignal);

	return signal_lives(signal, id) && signal_cold(signal) == 0;
}

static inline bool cycle_stands_alone(struct engine *engine,
				      const struct actor *actor, rota_id id)
{
	return likely(cycle_never_waited(actor, id)) ||
	       cycle_waits_for_none(engine, actor, id);
}

/*
 * On behalf of which ask the turn does what it does: the token of the request
 * that it has in hand, or has taken and not passed on; 0: of none. And has that
 * one been withdrawn? In no lock: both may enter an engine.
 */
uint64_t cycle_behalf(const struct local *local);
bool cycle_is_withdrawn(uint64_t behalf);

/* The monitor is to walk from the actor whose turn this is. */
void cycle_hand_over(struct local *local);

/*
 * The monitor's tick: carry on with the walks that were cut short. True if that
 * is not all of it; false: there is nothing to do until a turn waits.
 */
bool cycle_tick(struct engine *engine);

/* Nobody walks any more: give the memory back that walks took. */
void cycles_fini(struct cycles *cycles);

#endif
