/* SPDX-License-Identifier: MIT */
/*
 * table - the only things outside engines: their numbers, and who calls
 *
 * The table leads from an engine's number to the engine. A thread that is no
 * worker of it announces its call in a record of its own before it looks; who
 * removes an engine waits for the announced calls to end.
 */
#ifndef ROTA_CORE_TABLE_H
#define ROTA_CORE_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <atomic_ops.h>

#include <rota/base.h>

#include "sched/wait.h"

struct engine;
struct estate;
struct park;
struct site;

/* An entry of the table is what users hold as a handle: it never goes away. */
struct rota_engine {
	AO_t xengine; /* struct engine *, or 0; written under the table's lock */
	unsigned number;
	uint32_t
		next_generation; /* where the next engine of that number starts */
	int is_taken;
	AO_t xstopped; /* where the last engine started whose stop has begun;
	                  grows. Written under the lock, read by anyone */
	/* Under the lock of estate.c. */
	struct estate *estate; /* what threads have not taken yet, or NULL */
	bool is_settling;      /* it is about to be known */
	bool is_partial;       /* some of it is lost */
};

/* One per thread that ever called; never freed, reused by later threads. */
struct thread_record {
	AO_t xcall; /* number of the engine that the thread is calling, or 0 */
	struct wait wait;
	unsigned futex;	   /* counts who has woken it, up to their last touch */
	unsigned n_ended;  /* the owner's: its waits that somebody ended */
	struct park *park; /* where it sleeps instead of on the futex, or NULL;
	                      written before a wait begins, by the owner */
	unsigned shard;
	unsigned tenancy;     /* the owner's: how many threads had it before */
	struct site *outside; /* the owner's: calls that it has stepped out of,
	                         the last one first; see site.c */
	AO_t xin_use;
	struct thread_record *next;
};

/* The calling thread's record; NULL if there is no memory. */
struct thread_record *thread_record_here(void);

/* Announce a call; the engine, or NULL (then nothing is announced). */
struct engine *table_enter(struct thread_record *record, unsigned number);
void table_leave(struct thread_record *record);

/* The same for a thread that has announced a call to it already. */
struct engine *table_engine(unsigned number);

/* The entry of a number, whether it is in use or not. */
struct rota_engine *table_handle(unsigned number);

/* A free number for an engine, not published yet; NULL: there is none. */
struct rota_engine *table_reserve(void);
void table_publish(struct rota_engine *handle, struct engine *engine);

/* Become the one who stops an engine; NULL if it is gone or being stopped. */
struct engine *table_take(struct rota_engine *handle);

/* Has somebody taken the engine of that number that started there? Also of one
   that is gone; a moment old. */
bool table_is_stopped(const struct rota_engine *handle,
		      uint32_t first_generation);

/*
 * Held while it is decided whose wait in a circle is given up: of two that find
 * the same circle the second finds it opened. Here, as circles may go through
 * several engines. Taken where one was found, by nobody who holds another lock.
 */
void table_lock_circles(void);
void table_unlock_circles(void);

/* Calls fail from now on; returns when those under way have ended. */
void table_unpublish(struct rota_engine *handle);

/* The number may be used again, with generations above that. */
void table_release(struct rota_engine *handle, uint32_t max_generation);

/* Before a wait of the calling thread begins: whoever ends it wakes the park,
   too, if it is not NULL. */
void thread_wakes_in(struct thread_record *record, struct park *park);

/* After a wait with a park has ended: nobody touches that any more. */
void thread_await_waker(struct thread_record *record);

/* Block the calling thread until its wait has ended or a time has passed
   (absolute, on clock_ns(); CLOCK_NEVER: none), which ends it with -ETIMEDOUT. */
void thread_block(struct thread_record *record, struct wait_ticket ticket,
		  uint64_t deadline_ns);

#endif
