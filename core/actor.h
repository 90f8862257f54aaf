/* SPDX-License-Identifier: MIT */
/*
 * actor - the 64 bytes that an actor is, and its cold block
 *
 * The user's state lies right behind the header. Headers are type-stable: the
 * address that a slot leads to is a header while the engine lives, whoever
 * uses it, so a stale id is found out by its generation and by nothing else.
 */
#ifndef ROTA_CORE_ACTOR_H
#define ROTA_CORE_ACTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <atomic_ops.h>

#include <rota/actor.h>

#include "core/id.h"
#include "mailbox/mailbox.h"
#include "mailbox/waiters.h"
#include "sched/memory.h"
#include "sched/task.h"
#include "sched/wait.h"

/*
 * signal word = cold << 32 | generation << 8 | signals
 *
 *   signal  meaning                               set by
 *   LIVE    the slot is in use                    spawn; cleared by the end
 *   STOP    end after the message in hand         anyone
 *   DRAIN   accept nothing more, then end         anyone
 *   ENGINE  as STOP; the engine is stopping       rota_stop()
 *
 * Signals are only ever added during a life. cold: number of the actor's cold
 * block, 0: it has none. The end of a life is one CAS here, to the next
 * generation with no signal and no cold block, so that whoever raises a signal
 * or attaches something does it to the life it meant, or fails.
 */
#define SIGNAL_LIVE ((AO_t)1)
#define SIGNAL_STOP ((AO_t)2)
#define SIGNAL_DRAIN ((AO_t)4)
#define SIGNAL_ENGINE ((AO_t)8)
#define SIGNAL_BITS ((AO_t)0xff)

struct actor {
	AO_t xmail;	  /* see mailbox.h */
	AO_t xsignal;	  /* see above */
	struct task task; /* bytes 16-31; a free cell's links lie here */
	/* The consumer's alone from here on. */
	struct message *normal; /* lanes of taken messages; see lane.h */
	union {
		struct message *urgent;
		AO_t xended; /* while the slot is free: how its last life ended,
		                see exit_pack(); 0 as soon as it is in use */
	};
	uint32_t slot; /* constant */
	unsigned short
		xcapacity; /* constant during a life; see actor_capacity() */
	uint16_t incarnation;
	AO_t xhandled; /* messages begun in this life; read by anyone as a
	                  statistic */
};

_Static_assert(sizeof(struct actor) == CACHE_LINE,
	       "an idle actor is its state and one cache line");

/* How a life ended, in a word that is never 0: a cause is not. */
static inline AO_t exit_pack(enum rota_exit_cause cause, int reason)
{
	return (AO_t)(uint32_t)reason << 32 | (AO_t)cause;
}

static inline enum rota_exit_cause exit_cause_of(AO_t ended)
{
	return (enum rota_exit_cause)(uint32_t)ended;
}

static inline int exit_reason_of(AO_t ended)
{
	return (int)(int32_t)(uint32_t)(ended >> 32);
}

/* Consumer: a message is about to be handled. */
static inline void actor_count(struct actor *actor)
{
	/* Relaxed: see there. */
	AO_store(&actor->xhandled, AO_load(&actor->xhandled) + 1);
}

static inline unsigned actor_capacity(const struct actor *actor)
{
	/* Relaxed: a sender that is late by a life is found out otherwise. */
	return AO_short_load(&actor->xcapacity);
}

/* In its turn, in a task that this waits for, or under its cold block's lock for
   one that waits: the handler is not called any more, destroy() is or will be. */
static inline bool actor_is_at_end(const struct actor *actor)
{
	/* Relaxed: only the turn sets it, before it waits in destroy(). */
	return (AO_load(&actor->xmail) & MAILBOX_ENDED) != 0;
}

static inline void *actor_state(struct actor *actor)
{
	return actor + 1;
}

static inline struct actor *actor_of_task(struct task *task)
{
	return (struct actor *)((char *)task - offsetof(struct actor, task));
}

static inline uint32_t signal_generation(AO_t signal)
{
	return (uint32_t)(signal >> 8) & ID_MAX_GENERATION;
}

static inline uint32_t signal_cold(AO_t signal)
{
	return (uint32_t)(signal >> 32);
}

/* Alive under that id, and no signal raised: one comparison. */
static inline bool signal_accepts(AO_t signal, rota_id id)
{
	return (uint32_t)signal == ((uint32_t)id << 8 | (uint32_t)SIGNAL_LIVE);
}

/* Alive under that id. */
static inline bool signal_lives(AO_t signal, rota_id id)
{
	return (signal & SIGNAL_LIVE) &&
	       signal_generation(signal) == id_generation(id);
}

/* Of a cold block. */
#define COLD_SIZE 192

/* What a waiting turn waits for; an edge of the walk that finds circles. */
enum edge {
	EDGE_NONE,
	EDGE_ROOM,
	EDGE_JOIN,
	EDGE_FLUSH,
	EDGE_ASK, /* leads to whom the ask is aimed at, as long as it is open */
	EDGE_ANY  /* for one of several answers: leads nowhere */
};

/* Does the block stand in a chain of the monitor's? See cycle.c. */
enum handed {
	HANDED_NOT,
	HANDED_ONCE,
	HANDED_AGAIN /* and comes into the next chain after that */
};

/*
 * What few actors have: who waits for it, and what it waits for itself. Cells
 * of the engine's record slabs; type-stable like headers.
 */
struct cold {
	AO_TS_t xlock;	     /* everything below; never held across a switch */
	uint32_t number;     /* constant */
	rota_id owner;	     /* 0 while free */
	struct waiters room; /* for room in the mailbox */
	struct waiters joiners;
	struct wait *wait; /* of the turn in progress, if it has waited */
	enum edge edge;	   /* holds while edge_ticket's wait lasts */
	bool edge_ends;	   /* by itself: the wait has a deadline */
	struct wait_ticket edge_ticket;
	rota_id edge_to;
	uint64_t edge_token;	   /* EDGE_ASK: of the ask */
	uint64_t behalf;	   /* token of the request in hand, if any */
	struct promises *promises; /* to answer later; the actor's alone */
	struct ask *asked;	   /* by rota_ask_then(), on behalf of others */
	struct deadlock *deadlock; /* the last circle that a wait of it was in;
	                              NULL: none */
	struct desk *desk; /* of an actor that chooses among its messages */
	struct run *run; /* queries that are read beside each other, or NULL */
	/* Of the wait in progress, by its turn as it begins; relaxed, they hold
	   while the wait word says that it lasts. */
	AO_t xsince_ns;
	AO_t xabout;	  /* worker << 32 | tag of the message in hand */
	AO_t xask_within; /* nanoseconds, 0: the engine's; from before the actor
	                     lives, or 0; likewise the next */
	unsigned xover_limit; /* see overflow.c, like the next */
	unsigned xover;
	/* About the block, whoever owns it: not reset with the owner. */
	enum handed handed;
	struct cold *next_handed; /* in that chain */
};

/* A free block is linked through its bytes 16 to 39. */
_Static_assert(offsetof(struct cold, handed) >= 40 &&
		       sizeof(struct cold) <= COLD_SIZE,
	       "what is kept while a block is free lies outside its links");

#endif
