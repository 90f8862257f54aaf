/* SPDX-License-Identifier: MIT */
/*
 * drive - runs the one worker of a crew without threads, on a host's thread
 *
 * Whoever drives has taken the crew: one thread at a time. It runs some tasks,
 * may sleep until there is something to run, and gives the crew back; until it
 * is taken the next time a host may sleep on park.epoll of the worker, which is
 * readable when there is something to run.
 *
 *   state      meaning                         left by
 *   FREE       nobody drives                   drive_take() -> TAKEN
 *   TAKEN      a thread drives                 its drive_give() -> FREE; a
 *                                              stopper that has to wait for
 *                                              it -> WANTED; the stopper itself
 *                                              stays here for ever
 *   WANTED     a stopper sleeps until it is    drive_give() -> FREE, and wakes
 *              given                           it; the stopper -> ABANDONED
 *   ABANDONED  the stopper has lost patience   -; drive_give() ends the crew
 */
#ifndef ROTA_SCHED_DRIVE_H
#define ROTA_SCHED_DRIVE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <atomic_ops.h>

#include "sched/worker.h"

enum drive_state { DRIVE_FREE, DRIVE_TAKEN, DRIVE_WANTED, DRIVE_ABANDONED };

enum drive_take {
	DRIVE_OURS,
	DRIVE_BUSY, /* another thread drives, or the crew has been stopped */
	DRIVE_ELSEWHERE /* stacks wait that can go on on another thread only */
};

/* Turns without limit. */
#define DRIVE_ALL ((AO_t)-1)

struct drive {
	pthread_mutex_t tick_lock; /* one ticks at a time */
	unsigned xstate;	   /* futex; enum drive_state */
	AO_t xthread; /* number of the thread that drove last; written by who
	                    has taken the crew, read by anyone: relaxed, only
	                    the thread of that number stores it */

	/* Who has taken the crew. */
	bool is_fresh;	    /* the stack has to begin its loop anew */
	bool is_asleep;	    /* as drive_run() left it: nothing was to be seen */
	bool is_woken;	    /* what made the descriptor readable is taken out */
	bool is_signalled;  /* it is readable because of us */
	AO_t first_turn;    /* xturns when this run began */
	AO_t n_turns;	    /* of this run, at most */
	uint64_t end_ticks; /* of this run, on clock_ticks(); 0: none */
	uint64_t tick_ticks; /* when crew_options.tick was called last */
	unsigned until_look; /* turns until the next look at the clock */
};

/* 0 or -EMFILE, -ENFILE, -ENOMEM. */
int drive_init(struct crew *crew);
void drive_fini(struct crew *crew);

/* Was the calling thread the last to drive? For any thread. */
bool drive_is_mine(const struct crew *crew);

/*
 * Become the one who drives. The calling thread is none of a crew's workers,
 * and drives no other. Waits, for a moment, only for who is about to find out
 * that it may not drive.
 */
enum drive_take drive_take(struct crew *crew);

/*
 * Run at most so many turns (a turn up to its first wait, and from one to the
 * next, count as one each), until clock_ticks() is at @end_ticks (0: for ever),
 * or until nothing is left to be run. False: nothing was left.
 */
bool drive_run(struct crew *crew, AO_t n_turns, uint64_t end_ticks);

/* After a drive_run() that left nothing: sleep until there is something, or
   the worker's park is woken, at most that long (CLOCK_FOREVER). */
void drive_sleep(struct crew *crew, int64_t within);

/* The last touch. */
void drive_give(struct crew *crew);

/*
 * crew_options.tick, as the monitor would; @now_ns as there. By who drives, and
 * by dedicated threads before they sleep, for there may be nobody who does.
 */
bool drive_tick(struct crew *crew, uint64_t now_ns);

/* In a task: has the run lasted for its time, or the turn for about a tick? */
bool drive_should_make_way(struct crew *crew);

/* crew_stop(). 1: a task does not return, or its stack waits for another
   thread. */
unsigned drive_stop(struct crew *crew, int64_t within);

#endif
