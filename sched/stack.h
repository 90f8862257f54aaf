/* SPDX-License-Identifier: MIT */
/*
 * stack - a pool of guarded stacks for turns
 *
 * Descriptors are type-stable: a struct stack stays a struct stack until
 * stack_pool_fini(). Stacks are mapped lazily; an unused one costs address
 * space only.
 */
#ifndef ROTA_SCHED_STACK_H
#define ROTA_SCHED_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <atomic_ops.h>

#include "sched/budget.h"
#include "sched/context.h"
#include "sched/task.h"
#include "sched/wait.h"

struct worker;

/*
 * Two cache lines: what the holder needs to enter and leave the stack, and what
 * those who end its wait touch. Zero when first handed out, but for low, size
 * and has_canary; afterwards the pool writes next only, so that the sequence
 * of the wait lives on from turn to turn.
 */
struct stack {
	_Alignas(64) struct context context;
	struct stack *next; /* in a free list, or whatever the holder links */
	char *low;	    /* lowest usable byte, right above the guard */
	size_t size;	    /* usable bytes: the pool's stack_size or a little
			       more */
	void *holder;	    /* for the scheduler: what stands on it */
	int saved_errno;
	bool has_canary;	 /* no guard page; see stack_is_intact() */
	unsigned short xn_inbox; /* its holder's: how many lie in the inbox up
	                            to this one; relaxed, an estimate */
	struct wait wait;	 /* of the turn that stands on this stack */
	struct task roamer;	 /* stands for it in a queue; see stand.h */
	AO_t xmet;		 /* how many of two have come: likewise */
};

_Static_assert(sizeof(struct stack) == 128, "two cache lines");

/* How guards are made; tests force each. */
enum stack_guard {
	STACK_GUARD_AUTO,     /* the best that works here */
	STACK_GUARD_MADVISE,  /* MADV_GUARD_INSTALL, Linux 6.13 */
	STACK_GUARD_MPROTECT, /* a mapping each; the first 16,000 only, then
				 canaries */
	STACK_GUARD_CANARY
};

struct stack_region;

struct stack_pool {
	AO_TS_t xlock;	    /* everything below but the constants */
	struct stack *free; /* with their pages */
	size_t n_free;
	struct stack *cold; /* their pages were given back */
	size_t n_cold;
	size_t n_stacks;	      /* made so far */
	size_t n_protected;	      /* guarded by mprotect */
	struct stack_region *regions; /* all mappings, to give back */
	struct stack_region *fresh;   /* those with stacks not yet made */
	AO_t xbytes; /* of all that are not cold, at their full size; read by
	                anyone as a statistic */
	/* constants */
	struct budget *budget;	/* set after stack_pool_init(); NULL: no limit.
	                          What is in xbytes is taken from it */
	size_t stack_size;	/* usable bytes of each */
	enum stack_guard guard; /* never AUTO after stack_pool_init() */
};

/* A worker's private cache; touched by its owner only. */
struct stack_cache {
	struct stack *free;
	unsigned n_free;
};

#define STACK_GUARD_SIZE (64 * 1024)

/* Errors: -EINVAL: size below 16 KiB or above 1 GiB; -ENOSYS:
   STACK_GUARD_MADVISE asked for, and it does not work here. */
int stack_pool_init(struct stack_pool *pool, size_t stack_size,
		    enum stack_guard guard);

/* Unmap everything. No stack may be in use. */
void stack_pool_fini(struct stack_pool *pool);

/* A stack with nothing on it, or NULL if memory, mappings or the budget ran
   out. */
struct stack *stack_get(struct stack_pool *pool, struct stack_cache *cache);

/* Likewise, whatever the budget says. Its like goes back, pages and all, as soon
   as a cache is flushed: who has taken it sees to that, see stack.c. */
struct stack *stack_get_beyond(struct stack_pool *pool,
			       struct stack_cache *cache);

/*
 * Put a stack back. Keeps a few per worker and a few hundred per pool warm;
 * beyond these the pages are given back to the kernel.
 */
void stack_put(struct stack_pool *pool, struct stack_cache *cache,
	       struct stack *stack);

/* Move all of a cache to the pool: a worker ends. */
void stack_cache_flush(struct stack_pool *pool, struct stack_cache *cache);

/*
 * 0 if the canary below the stack's end is gone: it overflowed. Always 1 where
 * a guard page stands. stack_put() mends the canary.
 */
int stack_is_intact(const struct stack *stack);

#endif
