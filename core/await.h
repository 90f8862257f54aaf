/* SPDX-License-Identifier: MIT */
/*
 * await - a call that waits, from its beginning to its end
 *
 *   state    how far the call has got                   left by
 *   NEW      says what it waits for; nothing is held    await_begin() -> BEGUN
 *   BEGUN    its wait has begun, but nobody knows of    await_enter() -> ENTERED;
 *            it: only a stop of its actor may end it    await_end() -> OVER
 *   ENTERED  others know of it, and any may end it      await_end() -> OVER
 *   OVER     the wait has ended, nobody knows of it     -
 *
 * Ownership: a struct await lies in the frame of the call and is that call's
 * alone, but for `waiter`: while this is in a list, its links are whoever's
 * holds the lock on that list, and its message is whoever's has claimed the
 * wait. A wait that ended with 0 has given the message away; after any other
 * result it is the call's again.
 *
 * Who waits is one of three: a turn or a task of the engine that the call is
 * about, one of another engine, a thread. The latter two are in that engine by
 * a struct site, which they step out of while they wait; or, where the wait is
 * for nobody in particular, in none.
 */
#ifndef ROTA_CORE_AWAIT_H
#define ROTA_CORE_AWAIT_H

#include "core/engine.h"

enum await_state { AWAIT_NEW, AWAIT_BEGUN, AWAIT_ENTERED, AWAIT_OVER };

struct await {
	/* What for: set by the caller before await_begin(). */
	enum edge edge; /* EDGE_NONE: for nobody, just for a time */
	rota_id to;	/* for whom */
	struct actor *target;
	uint64_t token; /* EDGE_ASK: of the ask */
	bool insists;	/* a limit on memory does not matter, nor whether the
			   turn's engine has given up waiting */

	/* Read only for the caller, but for waiter.message. */
	bool exceeds; /* the turn has taken a stack beyond the limit */
	enum await_state state;
	struct waiter waiter; /* with the ticket of the wait */
	struct wait *wait;
	struct local *turn;	      /* the turn that waits, or NULL */
	struct thread_record *thread; /* the thread that waits, or NULL */
	AO_TS_t *lock;		      /* guards the list */
	struct waiters *list;	      /* where it was entered, or NULL */
	bool lingers; /* who ends the wait does not take it out of the list */
	bool roams;   /* the turn may go on on another worker */
	uint64_t deadline_ns; /* on the clock of who waits */
};

/*
 * Find out who waits, and begin its wait: from now on a stop may end it, but
 * nobody else. The turn's finished messages give back their room.
 * 0; -EDEADLK a turn would wait for its own actor; -EAGAIN the caller is a
 * callback on a worker, where nothing may wait; -ENOMEM; -ECANCELED the turn is
 * being stopped; -ESRCH the turn's engine has given up waiting.
 */
int await_begin(struct await *await, int64_t within, struct site *site);

/*
 * Make the wait known: it is appended to a list in a cold block that the caller
 * has locked; or to none, where something else than a list leads to its ticket.
 * Whoever ends it claims it first.
 */
void await_enter(struct await *await, struct cold *cold, struct waiters *list);

/* The same for a list under another lock, which the caller holds, or NULL. */
void await_enter_list(struct await *await, AO_TS_t *lock, struct waiters *list);

/*
 * The end of a call that has begun to wait. If the wait has been entered: stay
 * here until it has ended; its result. Else it is not needed any more, and the
 * result is @outcome. Either way it is in no list afterwards.
 * The site is left in between: what its cache held belongs to others now. If the
 * site may move, so may the turn: the cache is that of where it goes on.
 */
int await_end(struct await *await, int outcome, struct site *site);

/*
 * The two for a turn that asks somebody of its own engine, and whose ask leads to
 * the ticket: await_turn() begins the wait, await_answer() enters it and stays
 * until it has ended; *xaim says who is to answer by now. Errors as above; but
 * not the caller's own actor.
 */
int await_turn(struct local *local, struct wait_ticket *ticket);

/* Could a turn call an actor that looks idle, in place of waiting for it? */
bool await_may_call(struct local *local, const struct actor *actor);

/* After await_may_call(): the turn has made @actor, which is @to, runnable. Run
   its turn now; that has ended, or waits, as this returns. */
void await_call(struct local *local, struct actor *actor, rota_id to);
int await_answer(struct local *local, const struct actor *target,
		 const AO_t *xaim, const struct step *step,
		 uint64_t deadline_ns);

/*
 * A turn, or a task, is about to wait: it enters itself where a stop finds it.
 * 0, -ENOMEM, -ECANCELED (it has been stopped), -ESRCH (as above).
 */
int turn_may_wait(struct local *local);

/* Leave the stack until the wait has ended; see worker_block(), or if it roams
   worker_block_roaming(). The worker that the turn goes on on. */
struct local *turn_block(struct local *local, struct wait_ticket ticket,
			 uint64_t deadline_ns, bool roams);

/* All that a worker has of the turn that runs there. */
struct luggage {
	struct turn turn;
	struct ask *asks;
	unsigned near;
	struct region region;
	struct site *outside;
};

/* The turn is about to leave the worker; it goes on there, or on another. */
void turn_pack(struct local *local, struct luggage *luggage);
void turn_unpack(struct local *local, const struct luggage *luggage);

/* The turn is over, or has moved on: a stop does not end its waits any more. */
void turn_leaves_wait(struct local *local);

#endif
