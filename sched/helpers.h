/* SPDX-License-Identifier: MIT */
/*
 * helpers - threads for code that would keep a worker from everybody else
 *
 * A pool that makes a thread when there is work and nobody idle, up to a
 * number, and lets threads go that have been idle for a while. There is none
 * before the first piece of work.
 */
#ifndef ROTA_SCHED_HELPERS_H
#define ROTA_SCHED_HELPERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <atomic_ops.h>

struct helper;
struct helpers;

/* Whose memory it is decides who submits it. */
struct work {
	/* On a helper's thread; calls helpers_done() when the slow part is over,
	   and touches the work afterwards only if that returns true. */
	void (*run)(struct work *work, struct helper *helper);
	/* It was accepted and will not be run: from another's helpers_submit(),
	   or whoever closes the pool. */
	void (*refuse)(struct work *work, int error);
	/* The pool's. */
	struct work *next;
	struct work **prev; /* NULL: it is not in the queue */
};

/* A pool; @name: of its threads, NAME-off0 and so on. NULL: no memory. */
struct helpers *helpers_create(const char *name, unsigned max_threads);

/* It goes when all who hold it have let go, and its threads have ended. Its
   maker is one of them. */
void helpers_hold(struct helpers *helpers);
void helpers_release(struct helpers *helpers);

/*
 * Have work done. 0; -ESHUTDOWN after helpers_close(); -EAGAIN if @most pieces
 * are queued already, or if there is no thread and none could be made: then all
 * others that are queued are refused.
 */
int helpers_submit(struct helpers *helpers, struct work *work, size_t most);

/* Take it back. False: somebody has it in hand, or had. */
bool helpers_withdraw(struct helpers *helpers, struct work *work);

/* On a helper's thread: see struct work. False: it was abandoned. */
bool helpers_done(struct helper *helper);

/* ---- the end ---- */

/* Accept nothing more; what was queued, linked by next. */
struct work *helpers_close(struct helpers *helpers);

/* Wait until all threads have ended; how many have not. After close. */
unsigned helpers_await(struct helpers *helpers, int64_t within);

/*
 * Leave those alone that do not come to an end: for each @leave is called, under
 * the pool's lock; true: helpers_done() is to return false. Those that are
 * past that are waited for. How many were left.
 */
unsigned helpers_abandon(struct helpers *helpers,
			 bool (*leave)(struct work *work, void *context),
			 void *context);

/* Of threads that exist; for tests. */
unsigned helpers_count(struct helpers *helpers);

#endif
