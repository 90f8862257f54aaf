/* SPDX-License-Identifier: MIT */
/*
 * run - an actor's turn, from the first message to its end
 */
#ifndef ROTA_CORE_RUN_H
#define ROTA_CORE_RUN_H

#include "core/engine.h"

/* task_class.run of all behaviours. */
void actor_run(struct task *task, struct worker *worker);

/* task_class.is_fresh: it has not handled a message yet. */
bool actor_is_fresh(const struct task *task);

/* What comes of a message, or of the lack of one. */
enum batch {
	BATCH_GOES_ON,
	BATCH_ENDED /* turn_end() was called: the actor is not to be touched */
};

/* How a turn ends. */
enum turn_cause {
	TURN_RETURNED,	/* the actor lives on */
	TURN_STOPPED,	/* by itself, or drained */
	TURN_FAILED,	/* its handler returned a negative number */
	TURN_CANCELLED, /* stopped from outside */
	TURN_KILLED	/* by the engine's stop */
};

/*
 * Before the handler in progress waits: its message is taken out of the
 * mailbox, and the room of those it has finished is given back.
 */
void turn_settle(struct local *local);

/* A turn ends here, however it ends. */
void turn_end(struct local *local, enum turn_cause cause, int reason);

/* Room of finished messages goes to who waits for it; or what there is. */
void turn_give_back(struct local *local);
void turn_grant(struct local *local);

/* ---- the pieces of a turn, for process.c ---- */

void turn_begin(struct local *local, struct actor *actor);

/* Everything in the mailbox goes behind what was taken before. */
void turn_take_all(struct actor *actor);

/* Look at the signals, between two messages. */
enum batch turn_heed(struct local *local);

/* Is this message for the present life, and still wanted? Else it is gone. */
bool turn_accepts(struct local *local, struct message *message);

/* Call the handler with a message that is OWNED, EXTENDED or a CLOSURE. */
int turn_call(struct local *local, struct actor *actor,
	      struct message *message);

/* The handler has returned. */
enum batch turn_after(struct local *local, struct message *message, int result);

/* The message is finished. */
void turn_finish(struct local *local, struct message *message, int result);

/* Nothing is there: go idle, or end if this was a drain. */
enum batch turn_is_empty(struct local *local);

/* ---- */

/* The actor in its turn accepts nothing more: -ESHUTDOWN to all. */
void turn_shut(struct local *local);

/*
 * Around a call of user code that is not a handler or task: while it runs the
 * worker is not in its hand, but the turn, if there is one, is in the middle of
 * something, and stays where it is.
 */
struct aside {
	struct local *local; /* NULL: a thread's */
	bool in_hand;	     /* the worker was */
	bool is_nested;
};

struct aside aside_begin(void);
void aside_end(struct aside aside);

/* Has such a call been made on this thread, which is no worker? */
bool aside_in_thread(void);

/* Free a message that was handled, or refused: its buffer is not dropped. */
void message_discard(struct engine *engine, struct cache *cache,
		     struct message *message);

/*
 * In three parts, for who does not have a message alone: what there is to tell
 * of it, the telling, and its end: a moved buffer is dropped. The site is
 * unlocked while user code runs.
 */
struct rota_dead_letter letter_of(struct message *message, rota_id to,
				  enum rota_dead_cause cause);
void letter_tell(struct site *site, const struct rota_dead_letter *letter);
void message_drop(struct site *site, struct message *message);

/* All three, in a site that may be a thread's. */
void message_bury(struct site *site, struct message *message, rota_id to,
		  enum rota_dead_cause cause);

/* Report a message that was accepted and is not handled; frees it. */
void dead_letter(struct engine *engine, struct cache *cache,
		 struct message *message, rota_id to,
		 enum rota_dead_cause cause);

/* The same for a plain message, by whoever is in the site: the callback runs
   outside of it, and may call whatever it likes. */
void dead_letter_outside(struct site *site, struct message *message, rota_id to,
			 enum rota_dead_cause cause);

/* Raise signals at an actor's life; 0 or -ESRCH. */
int actor_signal(struct site *site, struct actor *actor, rota_id id,
		 AO_t signals);

/*
 * A lease was given back to a closed mailbox, whose word is now this: if it was
 * the last, and the actor has ended, its slot is free.
 */
void actor_free_leased(struct site *site, struct actor *actor, AO_t word);

/* ---- parts of an actor's end; for its consumer ---- */

/*
 * This was in the mailbox: it goes into the lanes, behind what was taken before.
 * @in_place: the oldest of it, which is cut off; or NULL.
 */
void actor_absorb(struct actor *actor, struct message *in_place,
		  struct message *newest, bool has_urgent);

/* What is in the lanes becomes dead letters; how many of them were counted. */
unsigned actor_bury(struct site *site, struct actor *actor, rota_id id);

void actor_destroy(struct actor *actor);

/* The id is invalid from now on; those who wait for it are told. */
void actor_end_life(struct site *site, struct actor *actor,
		    enum rota_exit_cause cause, int reason);

/* The next life may begin. */
void actor_free_slot(struct engine *engine, struct cache *cache,
		     struct actor *actor);

/* ---- core/timer.c ---- */

/* The message of a timer is in hand: false if it was cancelled. */
bool timer_take(struct message *message);

/* Free a timer's block after its message. */
void timer_put(struct engine *engine, struct cache *cache,
	       struct message *message);
void timer_carve(void *block, uint32_t number, uint32_t parameter);
size_t timer_size(void);

/* The engine stops: take all timers of a worker's wheel and free them. */
void timer_clear_wheel(struct engine *engine, struct worker *worker);

#endif
