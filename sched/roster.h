/* SPDX-License-Identifier: MIT */
/*
 * roster - who of the workers is on duty
 *
 * A crew has a number of regular workers, which may be changed while it runs,
 * spare ones, see relief.h, and homes. Each has a slot for life; its thread
 * comes and goes.
 *
 *   duty      meaning                           left by
 *   NONE      no thread                         anyone -> ACTIVE (a new thread)
 *   ACTIVE    takes tasks                       anyone -> RETIRING
 *   RETIRING  is to take no more                itself -> RETIRED;
 *                                               anyone -> ACTIVE
 *   RETIRED   takes none, and has handed over   itself -> ENDING;
 *             what it had; goes on with turns   anyone -> ACTIVE
 *             that stand on its thread, and
 *             rings its alarms
 *   ENDING    the thread ends, or has ended     anyone: joined -> NONE, or
 *                                               -> ACTIVE (a new thread)
 *   HOME      takes what is at home there only, itself -> ENDING
 *             see home.h, which makes it so
 *
 * All changes are made under the roster's lock. "Anyone" is the monitor, a
 * caller of roster_set(), or a worker that is about to block.
 */
#ifndef ROTA_SCHED_ROSTER_H
#define ROTA_SCHED_ROSTER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <atomic_ops.h>

struct crew;
struct worker;

enum duty {
	DUTY_NONE,
	DUTY_ACTIVE,
	DUTY_RETIRING,
	DUTY_RETIRED,
	DUTY_ENDING,
	DUTY_HOME
};

struct roster {
	pthread_mutex_t lock; /* duties, all below; cold, and held while threads
	                         are made or joined */
	bool is_open;	      /* threads run, and nobody stops them */
	bool is_set;	      /* by hand: the quota is not followed any more */
	unsigned n_regulars;  /* slots made */
	unsigned n_spares;    /* likewise */
	unsigned max_spares;  /* that may be made */
	unsigned n_homes;     /* likewise */
	AO_t *xregular; /* struct worker *, 0: not made yet; read by anyone */
	struct worker **spare;
	struct worker **home;
	AO_t xtarget;	/* regular workers on duty; read by anyone, relaxed */
	AO_t xn_ending; /* threads to be joined; likewise */
	uint64_t reread_ns; /* when the quota was read; the monitor's */
};

/* 0 or -ENOMEM. The first workers are on duty from the beginning. */
int roster_init(struct crew *crew);
void roster_fini(struct crew *crew);

/* Threads run: from now on there may be more, or fewer. */
void roster_open(struct crew *crew);

/* Under the lock: join a thread that has ended, or is about to. */
void roster_join(struct worker *worker);

/* The crew stops: no thread begins or is joined after this. */
void roster_close(struct crew *crew);

/*
 * So many regular workers, 1 ... WORKERS_MAX. Any thread.
 * Errors: -EINVAL, -ENOMEM, -EAGAIN, -EMFILE: then the number is as before.
 * -ESRCH: the crew stops.
 */
int roster_set(struct crew *crew, unsigned n);

/* The worker that has this place, or NULL. */
static inline struct worker *roster_regular(const struct roster *roster,
					    unsigned number)
{
	/* [SL2] pairs with add_regular(): it is complete */
	return (struct worker *)AO_load_acquire(&roster->xregular[number]);
}

/* Regular workers on duty. */
static inline unsigned roster_target(const struct roster *roster)
{
	/* Relaxed: it may change at any time. */
	return (unsigned)AO_load(&roster->xtarget);
}

/* ---- for a worker, about itself ---- */

/*
 * Between two tasks, if it is not on duty or no member of the idle list: take
 * notice of a change. Afterwards worker->is_member says whether it takes tasks.
 */
void roster_look(struct worker *worker);

/* For how long it may sleep until it may end, -1: for ever. */
int64_t roster_patience(struct worker *worker);

/* It has retired, and nothing stands on its thread: true if that is to end. */
bool roster_may_end(struct worker *worker);

/* ---- for the monitor ---- */

/* Join threads that have ended, follow the quota; @now_ns as in relief_tick().
   True: once more. */
bool roster_tick(struct crew *crew, uint64_t now_ns);

/* ---- for relief.c, under the lock ---- */

/* As it is right now; without the lock: a hint. */
enum duty roster_duty(const struct worker *worker);

/* One more spare worker, not on duty. 0, -ENOSPC (there are as many as there may
   be), -ENOMEM, -EMFILE. */
int roster_add_spare(struct crew *crew, struct worker **made);

/* Call a worker to duty at a place: 0, -EAGAIN or -ENOMEM. Send it away. */
int roster_call(struct worker *worker, unsigned place);
void roster_dismiss(struct worker *worker);

#endif
