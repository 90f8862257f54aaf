/* SPDX-License-Identifier: MIT */
/*
 * home - workers that run the tasks that live there, and no others
 *
 * For what is bound to a thread: libraries with a state per thread, code that
 * blocks. A task whose class has a home (see task.h) is run by that worker only,
 * whoever makes it runnable. Such a worker has a thread from when its first
 * lodger moves in until its last one has moved out. It steals nothing and is
 * not stolen from, and it is not counted among the crew's workers.
 */
#ifndef ROTA_SCHED_HOME_H
#define ROTA_SCHED_HOME_H

#include <stdbool.h>
#include <stddef.h>
#include <atomic_ops.h>

#include "sched/task.h"

struct crew;
struct worker;

/* So many at a time. */
#define HOMES_MAX 1024

/* Bytes of a name, and of what a thread is called; with the 0. */
#define HOME_NAME 32
#define HOME_TITLE 8

struct home {
	AO_TS_t xlock; /* the next four */
	bool is_asleep;
	struct task *first; /* runnable, oldest first */
	struct task *last;
	AO_t xlength;	    /* read by anyone as a hint */
	struct task *taken; /* the owner's alone: older than those */
	AO_t xn_taken;	    /* of them; read by anyone, likewise */
	AO_t xn_lodgers;    /* changed under the roster's lock; the owner reads
	                       it as a hint */
	/* Under the roster's lock; constant while it has a thread. */
	char name[HOME_NAME]; /* "": it is for one lodger */
	char title[HOME_TITLE];
	unsigned cpu; /* 1 + the number of a hardware thread, as the kernel
	                 counts; 0: wherever the crew may run */
};

struct home_wish {
	const char *name;  /* lodgers that name the same one share it; NULL: one
	                     of its own */
	const char *title; /* of its thread, if it has to begin */
	unsigned cpu;	   /* likewise; see struct home */
};

/*
 * A lodger is about to move in: *worker is its home, which has a thread by now.
 * Errors: -EAGAIN no thread is to be had, -ENOMEM, -EMFILE, -ESHUTDOWN.
 */
int home_enter(struct crew *crew, const struct home_wish *wish,
	       struct worker **worker);

/* It has moved out, or did not come. Its tasks are gone. */
void home_leave(struct worker *worker);

/* ---- for any thread ---- */

/* Make a task runnable at a worker that is a home. */
void home_push(struct worker *worker, struct task *task);

/* How many tasks wait there. */
static inline AO_t home_length(const struct home *home)
{
	/* Relaxed: a hint. */
	return AO_load(&home->xlength) + AO_load(&home->xn_taken);
}

/* ---- for the owner ---- */

/* Make a task runnable, wherever it is at home. */
void home_push_out(struct worker *worker, struct task *task);

/* The oldest task; NULL: there is none. */
struct task *home_take(struct home *home);

/*
 * True: there is no task, and whoever brings one from now on wakes the worker's
 * park. Afterwards home_get_up().
 */
bool home_lie_down(struct home *home);
void home_get_up(struct home *home);

/* It has no lodgers, and nothing stands on its thread: true if that is to end. */
bool home_may_end(struct worker *worker);

/* Its thread is awake, see idle_appear(). */
void home_appear(struct crew *crew);

/* The running turn blocks: nobody need watch it meanwhile. */
void home_block(struct worker *worker);
void home_unblock(struct worker *worker);

/* Bind its thread as was wished; or else let go of the place of whoever began
   it, from whom it is inherited. */
void home_sit(struct worker *worker);

#endif
