/* SPDX-License-Identifier: MIT */
/*
 * engine - what an engine consists of, and what a caller has of it
 *
 *   struct engine  one running engine
 *   struct local   a worker with what it has for actors: its turn, its cache
 *   struct cache   magazines and counters; of a worker, or of a shard
 *   struct shard   a cache for threads that are no workers, under a lock
 *   struct site    where a call executes: which engine, whose cache
 */
#ifndef ROTA_CORE_ENGINE_H
#define ROTA_CORE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include <atomic_ops.h>

#include <rota/engine.h>

#include "core/actor.h"
#include "core/cycle.h"
#include "core/exits.h"
#include "core/stuck.h"
#include "core/table.h"
#include "core/task.h"
#include "core/watch.h"
#include "mailbox/message.h"
#include "sched/memory.h"
#include "sched/stand.h"
#include "sched/worker.h"

/* Cells: header and state. 64, 128, ... 1,024, then four sizes per doubling. */
#define CELL_CLASSES 58

/*
 * Counters of one cache. Written by its owner (or under the shard's lock), read
 * by all: relaxed throughout, statistics but for begun and done.
 */
struct counters {
	/*
	 * begun: actors that became runnable, timers that were armed, asks
	 * whose answers come as messages; done: those that went idle or ended,
	 * or were answered. Written so that a reader who sums
	 * all done before all begun sees equality only at rest.
	 */
	AO_t xbegun;
	AO_t xdone;
	AO_t xalone; /* turns of one message, handled in place: they count as
	                done, and their messages as handled */
	/* Likewise, tasks that were submitted, and those that came to their
	   end, run or not. */
	AO_t xsubmitted;
	AO_t xfinished;
	AO_t xmessages;
	AO_t xspawned;
	AO_t xended;
	AO_t xabandoned; /* of the ended, while their handlers ran */
	AO_t xreturned;	 /* handlers of those that have come back */
	AO_t xoverdrafts;
	AO_t xlate;	      /* answers that nobody waited for any more */
	AO_t xoffered;	      /* queries that others could take */
	AO_t xchained;	      /* messages that joined a chain */
	AO_t xretired;	      /* slots that have used up their generations */
	AO_t xretired_jobs;   /* cells of tasks, likewise */
	AO_t xmax_generation; /* the highest that was given out here */
	AO_t xdead[ROTA_DEAD_CAUSES];
};

/* A few behaviours that were used last, by address. */
#define BEHAVIOUR_CACHE 16

struct cache {
	struct magazine messages[MESSAGE_CLASSES];
	struct magazine cells[CELL_CLASSES];
	struct magazine colds;
	struct magazine desks;
	struct magazine timers;
	struct magazine asks;
	struct magazine small_jobs;
	struct magazine large_jobs;
	struct behaviour *behaviours[BEHAVIOUR_CACHE];
	struct counters counters;
};

enum turn_mark {
	TURN_STOPS = 1 << 0,  /* rota_self_stop() was called */
	TURN_DRAINS = 1 << 1, /* the mailbox is shut: end when it is empty */
	TURN_WAITED = 1 << 2, /* the turn stands in its cold block */
	TURN_ASKS = 1 << 3,   /* the handler has started asks */
	TURN_BLOCKS =
		1 << 4,	     /* it is in a blocking region; not between turns */
	TURN_ASIDE = 1 << 5, /* user code runs that is not its handler */
	TURN_SWAPPED = 1 << 6,	 /* the message in hand is not the one that the
	                          handler was called with, or there is none */
	TURN_SIFTS = 1 << 7,	 /* not all tags are accepted any more */
	TURN_ABANDONED = 1 << 8, /* set by who gave it up: see abandon.c */
	TURN_TOLD = 1 << 9,	 /* ... and the first wait since has failed */
	TURN_CHAINS = 1 << 10,	 /* the handler has a chain open */
	TURN_BESIDE = 1 << 11	 /* others may run beside it: see reads.c */
};

/*
 * What the running turn is about. Others look at the fields with a second name,
 * by relaxed loads (see watch.c): the owner writes them by turn_set_...() only.
 */
struct turn {
	union {
		rota_id self; /* ROTA_NONE: no turn */
		AO_t xself;
	};
	struct actor *actor;
	union {
		struct message *message; /* in hand; of an earlier turn, if this
		                            one has none yet */
		AO_t xmessage;
	};
	AO_t peeked; /* the mailbox word at which the message is handled in
	                place; 0: it has been taken out */
	union {
		uint32_t due; /* finished messages whose room is not given
		                 back */
		unsigned xdue;
	};
	/* Reset at once. The owner's in the hand; others look while they have
	   seized it, as at all of the turn. */
	_Alignas(8) uint32_t
		marks; /* enum turn_mark; one word, so that a look at several
	                   of them does not wait for the store of one */
	int reason;    /* if it stops */

	union {
		struct job *job; /* the task that runs, if it is no actor's
		                    turn */
		AO_t xjob;
	};
};

static inline void turn_set_self(struct turn *turn, rota_id self)
{
	/* Relaxed: see above, here and below. */
	AO_store(&turn->xself, self);
}

static inline void turn_set_message(struct turn *turn, struct message *message)
{
	/* [V1] pairs with glance() */
	AO_store_release(&turn->xmessage, (AO_t)message);
}

static inline void turn_set_job(struct turn *turn, struct job *job)
{
	/* [V1] pairs with glance_at_job() */
	AO_store_release(&turn->xjob, (AO_t)job);
}

static inline void turn_set_due(struct turn *turn, uint32_t due)
{
	/* Relaxed: see above. */
	AO_int_store(&turn->xdue, due);
}

/* A turn with TURN_BLOCKS is in a blocking region; see blocking.c. */
struct region {
	const struct job *task; /* that began it; NULL: the actor */
	unsigned depth;		/* how often it was begun and not ended */
};

/* What the running handler sends to one actor; see chain.h. */
struct chain {
	/* The owner's alone. */
	rota_id last;	    /* to whom somebody sent last */
	unsigned until_due; /* so many more sends that follow one to the same;
	                       0: the next of them opens a chain */
	unsigned open_at;   /* a chain opens at so many */
	unsigned n_joined;  /* messages since it was opened */
	unsigned n_looks;   /* left, until they have not paid */
	unsigned n_rests;   /* looks around of the worker since they have not */
	bool is_open; /* from chain_begin() to chain_flush(); the monitor may
	                 have taken it meanwhile */
	/* In the worker's hand, with worker.xheld: the receiver's id. */
	bool is_refused; /* the receiver has ended; the lease is given back */
	struct actor *actor;
	struct mailbox_chain messages;
};

/*
 * No engine's number: the handler's sends have to take another way than the
 * common one. NONE: they have a deadline, or a chain is open. NOTED: this worker
 * looks for sends that could go out in chains.
 */
#define NEAR_NONE (~0u)
#define NEAR_NOTED (~1u)

/* Who stands below the running turn, and for whom; see sched/call.h. Relaxed:
   written by the owner, read by others as hints. */
struct calling {
	AO_t xself;
	AO_t xto;
	AO_t xhead; /* of the message in hand; 0: none */
	AO_t xdue;  /* messages that it has finished, and that still count */
};

struct local {
	struct worker worker;
	_Alignas(CACHE_LINE) struct turn turn;
	struct engine *engine;
	const AO_t *actors; /* engine->actors.xentry, at hand */
	struct pool *small; /* the smallest messages' pool, at hand */
	unsigned number;    /* the engine's */
	unsigned near;	    /* the same, or one of those above */
	unsigned usual;	    /* near of a turn that has neither a deadline nor a
	                   chain open: the number, or NEAR_NOTED */
	struct chain chain;
	struct calling callings[WORKER_MAX_CALLERS]; /* the outermost first */
	/* Of the turn, too, but not needed at each. */
	struct ask *called; /* by what runs; see ask_is_called() */
	struct ask *asks;   /* that the handler has started and not ended */
	enum rota_dead_cause refused; /* why the message in hand was not
	                                 handled */
	struct region region;
	struct site *outside; /* calls to other engines that it has stepped out
	                         of, the last one first; see site.c */
	struct sighting seen; /* at the last tick; see watch.c */
	struct stuck stuck;
	unsigned n_reads; /* that were not offered, for every 8th */
	/* Types whose actors live here, if this is a dedicated thread's; under
	   engine->behaviours_lock. */
	struct behaviour *behaviours;
	struct cache cache;
};

/* Is that its engine, and is there neither a deadline that what the turn sends
   inherits nor a chain that has to go first? */
static inline bool local_is_near(const struct local *local, unsigned engine)
{
	return local->near == engine ||
	       (local->near == NEAR_NOTED && local->number == engine);
}

/* Queries of an actor type, by tag: those that share a class share an estimate
   of how long they take. */
#define READ_CLASSES 8

#define N_SHARDS 8

struct shard {
	_Alignas(CACHE_LINE) AO_TS_t xlock; /* everything below */
	unsigned node; /* of the thread that has it, where there are several */
	struct cache cache;
};

/* An actor type as this engine knows it. Lives as long as the engine. */
struct behaviour {
	struct task_class class; /* first: a task leads here */
	int (*handle)(void *state, unsigned tag, void *payload, size_t length);
	void (*destroy)(void *state);
	const char *(*tag_name)(unsigned tag); /* or NULL */
	const char *name;
	size_t state_size;
	unsigned cell_class;
	const struct rota_behaviour *origin;
	unsigned flags;	  /* enum rota_spawn_flag of its actors */
	bool is_anywhere; /* ROTA_ANYWHERE */
	/* What its actors are between two turns, see process.c. */
	struct task_class sifts;
	struct task_class stands;
	struct task_class roams; /* stand for its turns that wait for room */
	struct task_class reads[READ_CLASSES]; /* see reads.c */
	struct behaviour *next;
	struct behaviour *next_here; /* for the same dedicated thread */
};

enum engine_state {
	ENGINE_RUNS,
	ENGINE_STOPS,	/* spawns are refused, actors are being stopped */
	ENGINE_GIVES_UP /* some do not end: nobody may wait for them */
};

struct engine {
	struct crew crew;
	struct rota_engine *handle;
	unsigned number;
	char name[8]; /* rotaN, for threads */
	uint32_t first_generation;
	unsigned mailbox; /* default capacity */
	struct rota_config config;
	struct budget budget;
	struct source source;
	struct slabs actors;
	struct slabs records; /* cold blocks */
	struct slabs timer_cells;
	struct slabs ask_cells;
	struct slabs job_cells; /* large ones */
	struct message_pools messages;
	struct pool cells[CELL_CLASSES];
	struct pool colds;
	struct pool desks;
	struct pool timers;
	struct pool asks;
	struct pool small_jobs;
	struct pool large_jobs;
	struct job_classes job_classes;
	struct task_class marks;  /* of those who yield, see pause.c */
	AO_TS_t outsiders_lock;	  /* the lists below */
	struct waiters outsiders; /* who waits for groups from outside */
	struct parting *partings; /* see abandon.h */
	struct waiters sleepers;  /* tasks that sleep */
	struct shard *shards;
	AO_TS_t behaviours_lock; /* the list below */
	struct behaviour *behaviours;
	struct behaviour *dedicated; /* those with a home, see dedicated.c */
	struct exits exits;
	struct watch watch;
	struct helpers *helpers; /* for offloaded functions */
	AO_t xtold;    /* of rota_offload_start(), that wait for a helper */
	AO_t xkeepers; /* the crew, and functions that did not return: who
	                  goes last frees the engine */
	struct cycles cycles;
	AO_t xstate;	    /* enum engine_state */
	AO_t xoutside;	    /* waits that keep the engine from going away */
	AO_t xresters;	    /* threads that wait for the engine to rest */
	unsigned rest_word; /* futex: changes when a worker goes to rest */
	AO_t xnext_timer_worker;  /* round robin; a statistic's order */
	unsigned char *fork_page; /* 1 here, 0 in a forked child */
	bool has_crew;
	bool has_chains; /* see chain_choice.c */
};

/*
 * Where a call executes. Between site_enter() and site_leave() the engine does
 * not go away; a shard's lock is held if there is one.
 */
struct site {
	struct engine *engine;
	struct cache *cache;
	struct local *local;	      /* the worker; NULL for other threads */
	struct shard *shard;	      /* NULL for workers */
	struct thread_record *record; /* NULL for workers */
	struct task *awakened;	      /* to be made runnable by site_leave() */
	struct site *outer; /* in thread_record.outside, or local.outside */
	bool is_outside;    /* site_step_out() was called */
	bool may_move; /* the call may return on another worker, if its turn
	                  may: its frames know none but by this */
};

/* The calling worker, of any engine; NULL for other threads. */
static inline struct local *local_here(void)
{
	return (struct local *)worker_current;
}

/* The same for code that may have moved since it last asked. */
static inline struct local *local_again(void)
{
	return (struct local *)worker_again();
}

/* The calling worker if it runs a turn; NULL else. */
static inline struct local *local_in_turn(void)
{
	struct local *local = local_here();

	return local && local->turn.self != ROTA_NONE ? local : NULL;
}

/*
 * May the running handler change what its actor is, or what becomes of it? One
 * of a READ may not, whether or not others run beside it.
 */
static inline bool turn_only_reads(const struct local *local)
{
	/* Of an earlier turn, maybe, in a callback between two messages. */
	const struct message *message = local->turn.message;

	return message && message_look(message).flags & MESSAGE_READ;
}

/* The calling worker if what it runs, an actor's turn or a task, may wait. */
static inline struct local *local_may_wait(void)
{
	struct local *local = local_here();

	return local && (local->turn.self != ROTA_NONE || local->turn.job)
		       ? local
		       : NULL;
}

/*
 * Enter the engine that an id names. 0; -ESRCH no such engine, the error of an
 * error id, -EPERM in a forked child, -ENOMEM.
 */
int site_enter(struct site *site, rota_id id);

/* Enter an engine by its handle: 0, -ESRCH, -EPERM, -ENOMEM. */
int site_enter_handle(struct site *site, struct rota_engine *handle);
void site_leave(struct site *site);

/*
 * Around what is not to be done under a shard's lock: a system call, a long
 * copy. The engine stays; the cache is somebody else's meanwhile.
 */
static inline void site_unlock(struct site *site)
{
	if (site->shard)
		spin_unlock(&site->shard->xlock);
}

static inline void site_lock(struct site *site)
{
	if (site->shard)
		spin_lock(&site->shard->xlock);
}

/*
 * Before and after a wait. A thread, or a turn of another engine, steps out of
 * the shard but keeps the engine from going away.
 */
void site_step_out(struct site *site);
void site_step_in(struct site *site);

/*
 * Is the calling thread, which is no worker of it, in a call to that engine: in a
 * callback of ours, that is? 0: is it announced to any?
 */
bool site_is_below(struct thread_record *record, unsigned number);

/* The turn that is in its own engine may have moved on to another worker. */
static inline void site_follow(struct site *site, struct local *local)
{
	if (!site->local)
		return;
	site->local = local;
	site->cache = &local->cache;
}

/*
 * Enter an engine by its number for a look that changes nothing: no shard's
 * lock is taken, so this is allowed in every callback too. 0, -ESRCH, -EPERM,
 * -ENOMEM. *record is for site_end_look().
 */
int site_look(unsigned number, struct engine **engine,
	      struct thread_record **record);
void site_end_look(struct thread_record *record);

/*
 * Inside a worker's own engine nothing has to be entered. Field by field: what is
 * built elsewhere and copied in wide pieces would have to wait for the narrow
 * stores that built it.
 */
static inline void site_enter_own(struct site *site, struct local *local)
{
	site->engine = local->engine;
	site->cache = &local->cache;
	site->local = local;
	site->shard = NULL;
	site->record = NULL;
	site->awakened = NULL;
	site->is_outside = false;
	site->may_move = false;
}

/* The same, for whoever needs no haste. */
static inline struct site site_of(struct local *local)
{
	return (struct site){.engine = local->engine,
			     .cache = &local->cache,
			     .local = local};
}

/*
 * Set and clear marks, from where user code may have called us: in the hand, as
 * others may set one. What they were before.
 */
static inline uint32_t turn_marks(struct local *local, uint32_t set,
				  uint32_t clear)
{
	AO_t was = worker_enter_hand(&local->worker);
	uint32_t marks = local->turn.marks;

	local->turn.marks = (marks & ~clear) | set;
	worker_leave_hand(&local->worker, was);
	return marks;
}

/* The actor that an id names, dead or alive; NULL for a made-up id. */
static inline struct actor *engine_actor(struct engine *engine, rota_id id)
{
	return slabs_cell(engine->actors.xentry, id_slot(id));
}

/* A behaviour with these flags as the engine knows it; NULL with *error. */
struct behaviour *behaviour_find(struct engine *engine, struct cache *cache,
				 const struct rota_behaviour *origin,
				 unsigned flags, int *error);

/* What people call the messages of a tag; NULL: nothing. */
const char *behaviour_tag_name(const struct behaviour *behaviour, unsigned tag);

/* The same, or the tag: into @text, of @size bytes. */
void behaviour_tag_text(const struct behaviour *behaviour, unsigned tag,
			char *text, size_t size);

/* Add to a counter that only the caller writes. */
static inline void count(AO_t *xcounter, AO_t n)
{
	/* Relaxed: see struct counters. */
	AO_store(xcounter, AO_load(xcounter) + n);
}

/* begun and done order each other: see engine_is_at_rest(). */
static inline void count_begun(struct cache *cache)
{
	AO_t *xbegun = &cache->counters.xbegun;

	/* [E1] pairs with engine_is_at_rest() */
	AO_store_release(xbegun, AO_load(xbegun) + 1);
}

static inline void count_returned(struct cache *cache)
{
	AO_t *xreturned = &cache->counters.xreturned;

	/* [E1] pairs with n_alive() */
	AO_store_release(xreturned, AO_load(xreturned) + 1);
}

static inline void count_done(struct cache *cache)
{
	AO_t *xdone = &cache->counters.xdone;

	/* [E1] pairs with engine_is_at_rest() */
	AO_store_release(xdone, AO_load(xdone) + 1);
}

/* A turn of one message is done. */
static inline void count_alone(struct cache *cache)
{
	AO_t *xalone = &cache->counters.xalone;

	/* [E1] pairs with engine_is_at_rest() */
	AO_store_release(xalone, AO_load(xalone) + 1);
}

static inline void count_submitted(struct cache *cache)
{
	AO_t *xsubmitted = &cache->counters.xsubmitted;

	/* [E1] pairs with engine_is_at_rest() */
	AO_store_release(xsubmitted, AO_load(xsubmitted) + 1);
}

static inline void count_finished(struct cache *cache)
{
	AO_t *xfinished = &cache->counters.xfinished;

	/* [E1] pairs with engine_is_at_rest() */
	AO_store_release(xfinished, AO_load(xfinished) + 1);
}

/* A pushed message has found its receiver asleep: make it run. */
static inline void site_schedule(struct site *site, struct actor *actor)
{
	count_begun(site->cache);
	if (site->local)
		worker_push_next(&site->local->worker, &actor->task);
	else
		site->awakened = &actor->task; /* not under the shard's lock */
}

/* Some handler has not returned in time: nobody may wait any more. */
static inline bool engine_gives_up(struct engine *engine)
{
	/* [E4] pairs with stop(); ordered by the actor's signal word */
	return AO_load_acquire(&engine->xstate) == ENGINE_GIVES_UP;
}

/* One of those who keep the engine's memory goes; the last frees it. */
void engine_let_go(struct engine *engine);

/* Sum of one counter over all caches, by its offset in struct counters. */
AO_t engine_sum(struct engine *engine, size_t offset);

/* Nothing is queued, running, waiting or timed. */
bool engine_is_at_rest(struct engine *engine);

/* Sleep until some worker goes to rest, a moment at most. */
void engine_await_rest(struct engine *engine, int64_t within);

/* A worker does; crew_options.rest. */
void engine_rests(struct worker *worker);

/* Would the calling thread, outside turns, wait for itself if it waited for the
   engine to rest or to stop? */
bool engine_needs_caller(const struct rota_engine *handle);

void engine_log(struct engine *engine, enum rota_log_level level,
		const char *format, ...) ROTA_PRINTF(3, 4);

#endif
