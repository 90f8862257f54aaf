/* SPDX-License-Identifier: MIT */
/*
 * desk - what an actor has that chooses among its messages
 *
 * Hangs off the cold block. The actor's alone, but for `wanted`, which is under
 * the cold block's lock, and for what the end of its deadline touches.
 */
#ifndef ROTA_CORE_DESK_H
#define ROTA_CORE_DESK_H

#include "core/engine.h"
#include "mailbox/sift.h"

#define DESK_SIZE 256

enum desk_lane { DESK_URGENT, DESK_NORMAL, DESK_LANES };

struct desk {
	/* Bytes 16 to 39 are the links of a free block. */
	struct tag_set accepts; /* for handlers; see rota_accept() */
	struct tag_set wanted;	/* what an idle actor would take */
	struct message *stash[DESK_LANES];
	/* As is, whoever has the block: a deadline may be late. */
	struct wait wait; /* of a receive with a deadline */
	AO_t xactor;	  /* struct actor *; relaxed, see desk_ring() */
	/* The actor's again. */
	struct stack *stack; /* stands in a receive, or NULL */
	uint64_t since;	     /* ticks: this stretch is timed; 0: it is not */
	struct sift sift[DESK_LANES];
	struct message *copied; /* was in hand: a copy of it is stashed */
	unsigned n_stashed;
	unsigned n_taken; /* by receives since the turn was queued last */
	bool stays;	  /* the stack goes on where it stands */
};

_Static_assert(sizeof(struct desk) <= DESK_SIZE &&
		       offsetof(struct desk, wait) >= 40,
	       "what is kept while a block is free lies outside its links");

/* Called for each new cell of the pool. */
void desk_carve(void *block, uint32_t number, uint32_t parameter);

/* The desk of the actor whose turn this is; NULL: it has none. */
struct desk *desk_here(struct local *local);

/* Made if need be; NULL with *error -ENOMEM, or -ESRCH (the engine gives up). */
struct desk *desk_make(struct local *local, int *error);

/* The actor has ended; may be NULL. */
void desk_free(struct engine *engine, struct cache *cache, struct desk *desk);

/* The lane, in the actor's header. */
static inline struct message **desk_lane(struct actor *actor,
					 enum desk_lane lane)
{
	return lane == DESK_URGENT ? &actor->urgent : &actor->normal;
}

/* The oldest message of the set that was taken out of the mailbox, urgent ones
   first; NULL: none is there. */
struct message *desk_take(struct desk *desk, struct actor *actor,
			  const struct tag_set *set);

/* Messages will be taken from the lanes in other ways. */
void desk_forget(struct desk *desk);

/* Put what is stashed back to the front of its lanes; how many. */
unsigned desk_unstash(struct desk *desk, struct actor *actor);

/*
 * Under the lock of the cold block, by a sender that finds the mailbox full: is
 * the actor idle, and would it take that message?
 */
bool desk_admits(const struct cold *cold, const struct actor *actor,
		 const struct message *message);

#endif
