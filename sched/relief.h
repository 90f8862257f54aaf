/* SPDX-License-Identifier: MIT */
/*
 * relief - spare workers take the places of those that are lost to their turns
 */
#ifndef ROTA_SCHED_RELIEF_H
#define ROTA_SCHED_RELIEF_H

#include <stdbool.h>
#include <stdint.h>
#include <atomic_ops.h>

struct crew;
struct worker;

/* No count of turns: what is seen next is seen for the first time. */
#define TURNS_UNSEEN ((AO_t)-1)

/* Changed under the roster's lock but where it says otherwise; what has an x is
   read by anyone as a hint: relaxed. */
struct relief {
	AO_t xn;	  /* spare workers on duty */
	AO_t xn_total;	  /* times that one came; a statistic */
	uint64_t last_ns; /* when the last one did */
	AO_t xfailing_ns; /* since when one that is wanted could not come; 0: all
	                      came */
	AO_t xerror;	  /* why, an errno, once that has lasted; or 0 */
	/* The monitor's. */
	unsigned next_asked; /* whether it is asleep */
	uint64_t said_ns;    /* when xerror was told */
};

/*
 * A worker, about itself: its turn is about to block, somebody takes its place;
 * it has come back. Between two tasks or in one.
 */
void relief_block(struct worker *worker);
void relief_unblock(struct worker *worker);

/*
 * One spare more than there may be: who stops the engine wants what lies behind
 * turns that do not return to be ended by somebody.
 */
void relief_lend(struct crew *crew);

/*
 * The monitor has ticked (0: there is no tick until a worker wakes): look for
 * workers that do not come back, send for spare ones or let them go. True: once
 * more, even if all workers sleep.
 */
bool relief_tick(struct crew *crew, uint64_t now_ns);

#endif
