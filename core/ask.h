/* SPDX-License-Identifier: MIT */
/*
 * ask - where an answer is waited for
 *
 * A cell that asker and answerer share; its name, a 64-bit token, travels with
 * the request. Cells are type-stable, and a token holds the cell's sequence, so
 * that an old token finds nothing.
 *
 * word = sequence << 8 | flags | state
 *
 *   state    meaning                          left by
 *   FREE     in a magazine                    asker: ask_open() -> OPEN
 *   OPEN     no answer yet                    answerer: -> CLAIMED;
 *                                             asker: ask_leave(), or who
 *                                             cancels: ask_cascade() -> LEFT
 *   CLAIMED  the answer is being written      answerer: -> DONE, or -> FREE
 *   DONE     the answer is there              asker: ask_close() -> FREE
 *   LEFT     nobody wants it any more         answerer: -> FREE
 *
 *   flag       meaning                        set by, while OPEN
 *   STARTED    its handler has begun          answerer
 *   WATCHED    ->ticket waits for the answer  asker; cleared by it, too
 *   WITHDRAWN  left on purpose: not to be     asker, as it leaves
 *              handled if it is not STARTED
 *   CALLED     see ask_is_called()            asker, as it opens it; cleared
 *                                             with the first of the others
 *                                             that it sets, or when it is DONE
 *
 * The answerer is whoever holds the token: the message it lies in, the handler
 * of that, or whom that gave it to. Whichever of the two comes last frees the
 * cell. The cell is of the asker's engine, or, where a thread asks, of the
 * receiver's.
 */
#ifndef ROTA_CORE_ASK_H
#define ROTA_CORE_ASK_H

#include <stdbool.h>
#include <stdint.h>
#include <atomic_ops.h>

#include <rota/ask.h>

#include "core/engine.h"

struct bequest;

enum ask_state { ASK_FREE, ASK_OPEN, ASK_CLAIMED, ASK_DONE, ASK_LEFT };

#define ASK_STATE ((AO_t)7)
#define ASK_STARTED ((AO_t)8)
#define ASK_WATCHED ((AO_t)16)
#define ASK_WITHDRAWN ((AO_t)32)
#define ASK_CALLED ((AO_t)64)
#define ASK_SEQUENCE ((AO_t)256)
#define ASK_INLINE 40

/* How the answer gets to the asker. */
enum ask_kind {
	ASK_CALL,   /* into the memory of a call that waits */
	ASK_HANDLE, /* it stays in the cell until it is asked for */
	ASK_NOTICE  /* as a message */
};

/* Who waits for several at a time. Lies in the frame that waits; answerers
   touch it while their cell is CLAIMED. */
struct gather {
	AO_t xmissing; /* answers until the wait is over; relaxed, but for the
	                   step to 0, which the wait orders */
	struct wait_ticket ticket;
};

/* The alarm of one that waits for a message, and what it is about. */
struct ask_alarm {
	struct alarm alarm;
	AO_t xname; /* token; 0: it has rung, or is not set */
};

struct ask {
	AO_t xword;	 /* see above */
	uint32_t number; /* constant */
	uint16_t tag;	 /* of the request, if it is no closure */
	uint8_t kind;	 /* enum ask_kind */
	bool is_far;	 /* who waits is no turn of this engine */
	/* A free cell's links lie here, in bytes 16 to 39. */
	union {
		struct { /* ASK_CALL: where it goes */
			void *reply;
			size_t reply_size;
		};
		struct { /* ASK_NOTICE: made on behalf of another; or NULL */
			struct cold *cold; /* the asker's, with its list */
			uint64_t behalf;   /* the token of that one */
		};
	};
	size_t length; /* of the reply */
	/* The asker's while OPEN, the answerer's while CLAIMED. */
	int outcome;
	uint16_t reply_tag; /* ASK_NOTICE: of the message */
	bool is_closure;    /* the request; the asker's, constant while open */
	bool is_threads;    /* ASK_HANDLE: a thread has started it */
	struct wait_ticket ticket;
	struct gather *gather; /* NULL: it waits for this answer alone */
	AO_t xaim; /* who is to answer, as far as the asker is held up by that:
	              an edge for cycle.c; ROTA_NONE: it is not known when. By
	              the answerer */
	AO_t xholder; /* who has taken the token and not passed it on, and whose
	                 end breaks its promise; ROTA_NONE: nobody. As xaim */
	rota_id asker;
	uint64_t deadline_ns;
	/* ASK_HANDLE: the list of the turn that asked. ASK_NOTICE: that of its
	   cold block, under its lock; prev is NULL: it is in none. */
	struct ask *next;
	struct ask **prev;
	struct message *block; /* a long reply; ASK_NOTICE: the message */
	void *context;	       /* ASK_NOTICE: goes back to the asker */
	struct worker *worker; /* ASK_NOTICE: whose alarm, NULL: none */
	union {
		unsigned char kept[ASK_INLINE]; /* ASK_HANDLE: a short reply */
		struct ask_alarm alarm;		/* ASK_NOTICE */
	};
};

/* An answer on its way. */
struct answer {
	int outcome; /* 0: a reply, positive: the handler's error (with a reply,
	                if it is a closure's capture), else ours */
	const void *reply;
	size_t length;
};

/* Called for each new cell of the pool. */
void ask_carve(void *block, uint32_t number, uint32_t parameter);
size_t ask_size(void);

/* How far it has got: enum rota_ask_progress. */
static inline unsigned ask_progress(AO_t word)
{
	return word & ASK_STARTED ? ROTA_ASK_SENT | ROTA_ASK_STARTED
				  : ROTA_ASK_SENT;
}

/* token = engine << 56 | sequence (32 bits) << 24 | number */
#define TOKEN_NUMBER_BITS 24
#define TOKEN_NUMBERS (1u << TOKEN_NUMBER_BITS)

/* The cell's number. */
static inline uint32_t ask_number(uint64_t token)
{
	return (uint32_t)token & (TOKEN_NUMBERS - 1);
}

/* The cell that a token leads to; NULL: there is none. */
static inline struct ask *ask_cell(struct engine *engine, uint64_t token)
{
	return slabs_cell(engine->ask_cells.xentry, ask_number(token));
}

/* The word belongs to the ask of that token. */
static inline bool ask_is_of(AO_t word, uint64_t token)
{
	return (uint32_t)(word / ASK_SEQUENCE) ==
	       (uint32_t)(token >> TOKEN_NUMBER_BITS);
}

static inline enum ask_state ask_state(AO_t word)
{
	return (enum ask_state)(word & ASK_STATE);
}

/* ---- the asker; in a site of the cell's engine ---- */

/* It was not opened after all. */
static inline void ask_put(struct site *site, struct ask *ask)
{
	pool_put(&site->engine->asks, &site->cache->asks, ask);
}

/* A cell that is not open yet; NULL: no memory. */
static inline struct ask *ask_get(struct site *site, enum ask_kind kind)
{
	struct ask *ask = pool_get(&site->engine->asks, &site->cache->asks);

	if (unlikely(!ask))
		return NULL;
	if (unlikely(ask->number >= TOKEN_NUMBERS)) {
		ask_put(site, ask);
		return NULL;
	}
	ask->kind = (uint8_t)kind;
	ask->gather = NULL;
	ask->block = NULL;
	ask->worker = NULL;
	ask->is_far = false;
	/* Relaxed: opening it publishes it. */
	AO_store(&ask->xholder, ROTA_NONE);
	return ask;
}

static inline AO_t ask_sequence(AO_t word)
{
	return word & ~(ASK_SEQUENCE - 1);
}

static inline uint64_t ask_name(const struct engine *engine,
				const struct ask *ask, AO_t word)
{
	return (uint64_t)engine->number << 56 |
	       (uint64_t)(uint32_t)(word / ASK_SEQUENCE) << TOKEN_NUMBER_BITS |
	       ask->number;
}

/* Its name until it is freed. */
static inline uint64_t ask_token(const struct site *site, const struct ask *ask)
{
	/* Relaxed: the sequence is the asker's own. */
	return ask_name(site->engine, ask, AO_load(&ask->xword));
}

/* From now on it may be answered. @flags: WATCHED, or 0. */
static inline void ask_open(struct ask *ask, AO_t flags)
{
	/* Relaxed: FREE is the holder's. */
	AO_t word = ask_sequence(AO_load(&ask->xword));

	/* [Y1] pairs with the answerer's CASes, like the push that follows */
	AO_store_release(&ask->xword, word | flags | ASK_OPEN);
}

/* Is it the ask of that token still, and its asker has not left it? */
bool ask_is_asked(const struct ask *ask, uint64_t token);

/* Is the answer there? */
bool ask_is_done(const struct ask *ask);

/* Watch one that is OPEN, with its ticket set; false: it is DONE. */
bool ask_watch(struct ask *ask);

/* Its ticket and gather are not to be touched by others any more. */
void ask_unwatch(struct ask *ask);

/* It was opened, and its request is not sent after all: free it. An engine that
   gives up may be answering it. */
void ask_retract(struct site *site, struct ask *ask);

/*
 * Do without the answer. True: left, and the cell is the answerer's to free;
 * *seen is the word as it was. False: it is DONE, and still the asker's.
 */
bool ask_leave(struct ask *ask, bool withdrawn, AO_t *seen);

/* An ASK_NOTICE was not sent after all: free it. False: it has been answered. */
bool ask_take_back(struct site *site, uint64_t token);

/*
 * Around the opening of an ASK_NOTICE, which may be made on behalf of another, as
 * its cold and behalf say: from then on whoever cancels that one finds it. The
 * first gives what the second takes: by then an ask on nobody's behalf may have
 * ended, and its cell be another's.
 */
struct cold *ask_begin_behalf(struct ask *ask);
void ask_end_behalf(struct ask *ask, struct cold *cold);

/* Under the lock of an actor's cold block, as its life ends: what it has asked
   on behalf of others goes on. */
void ask_release_behalf(struct cold *cold);

/* Where the reply lies in an ASK_HANDLE that is DONE. */
static inline const void *ask_kept(const struct ask *ask)
{
	return ask->block ? message_plain_payload(ask->block)
			  : (const void *)ask->kept;
}

void ask_free_block(struct site *site, struct ask *ask);

/* The word of one that is freed: old tokens find nothing from there on. */
static inline AO_t ask_free_word(AO_t word)
{
	return (ask_sequence(word) + ASK_SEQUENCE) | ASK_FREE;
}

/* Free one that is DONE, or that nobody else has, or has seen. */
static inline void ask_close(struct site *site, struct ask *ask)
{
	/* Relaxed: the caller is the only one who has it. */
	AO_t word = ask_free_word(AO_load(&ask->xword));

	if (unlikely(ask->block != NULL))
		ask_free_block(site, ask);
	/* [Y1] pairs with claim() */
	AO_store_release(&ask->xword, word);
	ask_put(site, ask);
}

/* Who holds up the asker: it is to answer, or has taken the token; ROTA_NONE: it
   is not known. By the asker, before it leaves. */
static inline rota_id ask_handler(const struct ask *ask)
{
	/* [Y3] pairs with ask_aim(): who takes the token says so first */
	rota_id aim = AO_load_acquire(&ask->xaim);

	/* Relaxed: ordered as above. */
	return aim != ROTA_NONE ? aim : AO_load(&ask->xholder);
}

/* One that was left while its handler runs, or has promised to answer: end the
   ask for which that waits in turn, and those whose answers are to come to it as
   messages. In no site of another engine. */
void ask_cascade(rota_id handler, uint64_t token);

/* ---- the answerer; anywhere but in a site of another engine ---- */

enum ask_begin {
	ASK_RUNS,
	ASK_UNWANTED, /* the asker has withdrawn it; the token is used up */
	ASK_EXPIRED   /* the asker's time was up; likewise */
};

/*
 * Does its asker stand below the turn that runs here, see sched/call.h, and lies
 * its token in the message that it has called with? Then nobody else has it: the
 * asker looks at the word when this turn is over, nobody waits whom a cancel
 * could find, an engine that gives up leaves it alone, and the answerer needs no
 * compare-and-swap.
 */
static inline bool ask_is_called(const struct local *local,
				 const struct ask *ask)
{
	return local->called == ask && local->worker.caller != NULL;
}

/* The cell of a token of this engine, most likely the one that is called. */
static inline struct ask *ask_cell_near(const struct local *local,
					uint64_t token)
{
	struct ask *called = local->called;

	if (likely(called && called->number == ask_number(token)))
		return called;
	return ask_cell(local->engine, token);
}

/* The token is about to leave the message in hand. */
static inline void ask_is_shared(struct local *local)
{
	local->called = NULL;
}

/* The request's handler is about to run, or the token to be passed on. */
enum ask_begin ask_begin(struct site *site, uint64_t token, bool starts);

/* The same for a cell of this engine, in a hurry: true, it runs; false, nothing
   was done: ask_begin(). */
static inline bool ask_try_begin(struct local *local, uint64_t token)
{
	struct ask *ask = ask_cell_near(local, token);
	AO_t word;

	if (unlikely(!ask))
		return false;
	/* Relaxed: the CAS re-checks it. */
	word = AO_load(&ask->xword);
	if (unlikely(!ask_is_of(word, token) || ask_state(word) != ASK_OPEN))
		return false;
	if (likely(ask_is_called(local, ask))) {
		/* Relaxed: ours alone. */
		AO_store(&ask->xword, word | ASK_STARTED);
		return true;
	}
	/* [Y1] pairs with ask_leave(): withdrawn, or started */
	return AO_compare_and_swap_full(&ask->xword, word, word | ASK_STARTED);
}

/*
 * Answer. 0; -ECANCELED nobody waits any more, or the asker's engine is gone;
 * -EALREADY the token was used up. In any case it is now. @site: where the
 * caller is, of whatever engine.
 */
int ask_answer(struct site *site, uint64_t token, const struct answer *answer);

/* The same on a worker, for a cell of its own engine. */
int ask_answer_near(struct local *local, uint64_t token,
		    const struct answer *answer);

/* The same for a failure; nobody needs to know whether it was too late. */
void ask_fail(struct site *site, uint64_t token, int error);

/* Whom the asker is held up by: from @from to @to; false: it was not @from.
   ROTA_NONE: by nobody that is known. */
bool ask_aim(uint64_t token, rota_id from, rota_id to);

/* Who has taken it. False: it is used up. */
bool ask_hold(uint64_t token, rota_id holder);

/* What somebody who has a token may know. */
struct ask_seen {
	rota_id asker;
	rota_id aim;
	rota_id holder;
	unsigned tag;
	uint64_t deadline_ns;
	bool is_open;
	bool is_withdrawn;
};

/* False: it is used up. In no site of another engine, like the next. */
bool ask_look(uint64_t token, struct ask_seen *seen);

/* Does anybody wait for it; has its handler begun? The token may be old: these
   look at its word alone. */
bool ask_is_open(uint64_t token);
bool ask_is_begun(uint64_t token);

/* Has @holder taken it, and neither passed it on nor used it up? By @holder, or
   who ends it; the token may be old. In no site of another engine. */
bool ask_is_held(uint64_t token, rota_id holder);

/* Has it been withdrawn? For one of this engine. */
static inline bool ask_is_withdrawn(struct engine *engine, uint64_t token)
{
	const struct ask *ask = ask_cell(engine, token);
	AO_t word;

	if (unlikely(!ask))
		return false;
	/* [Y1] pairs with ask_leave() */
	word = AO_load_acquire(&ask->xword);
	return ask_is_of(word, token) && ask_state(word) == ASK_LEFT &&
	       word & ASK_WITHDRAWN;
}

/* To whom the edge of a wait for this leads; ROTA_NONE: nowhere. */
rota_id ask_edge(uint64_t token);

/* ---- the end ---- */

/* The engine stops, its actors have ended or are given up: no answer will come,
   unless from another engine. */
void ask_give_up(struct engine *engine, uint32_t number);

/* Nobody is in the engine any more, nor comes: is this one that a thread has
   started, and not ended? Then it is ended here, and what it came to is given
   out: see estate.h. */
bool ask_bequeath(struct engine *engine, uint32_t number,
		  struct bequest *bequest);

/* All workers have left. */
void ask_release(struct engine *engine, uint32_t number);

#endif
