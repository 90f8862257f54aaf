/* SPDX-License-Identifier: MIT */
/*
 * timer - a hierarchical timing wheel
 *
 * Not thread-safe: the holder of a wheel serialises access (a worker's small
 * lock). Insert and remove are O(1); no memory is allocated.
 */
#ifndef ROTA_SCHED_TIMER_H
#define ROTA_SCHED_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
	struct timer *next;
	struct timer **prev; /* NULL while not in a wheel */
	uint64_t when_ns;    /* absolute, on clock_ns() */
};

#define WHEEL_LEVELS 8
#define WHEEL_SLOTS 64
#define WHEEL_TICK_SHIFT 14 /* one tick is 16,384 ns */

struct wheel {
	uint64_t now_ns;		 /* the latest time it was told */
	uint64_t tick;			 /* timers up to this one are due */
	uint64_t occupied[WHEEL_LEVELS]; /* bit per slot that is not empty */
	struct timer *slot[WHEEL_LEVELS][WHEEL_SLOTS];
	struct timer *due;	/* their time has come; first in, first out */
	struct timer **due_end; /* the last one's next, or &due */
	uint64_t n_timers;
};

void wheel_init(struct wheel *wheel, uint64_t now_ns);

/*
 * The timer must not be in a wheel. It is due at once if its time has passed
 * when the wheel was last told the time. Times from 2^62 ns (146 years) on
 * never come, unless wheel_expire() is told UINT64_MAX, which empties a wheel.
 */
void wheel_insert(struct wheel *wheel, struct timer *timer, uint64_t when_ns);

/* Take out a timer that wheel_insert() put in and wheel_expire() has not
   returned yet. */
void wheel_remove(struct wheel *wheel, struct timer *timer);

static inline bool timer_is_linked(const struct timer *timer)
{
	return timer->prev != NULL;
}

/*
 * Take out one timer whose time has come, never before its when_ns, at most
 * one tick after it if called often enough; NULL if there is none. Ticks come
 * in their order, timers of one tick in the order of their insertion. A now_ns
 * that goes backwards is taken for the latest one.
 */
struct timer *wheel_expire(struct wheel *wheel, uint64_t now_ns);

/*
 * A time at which wheel_expire() is worth calling: never later than the
 * earliest timer's tick; later than the latest now_ns if wheel_expire() has
 * returned NULL since the last insertion; UINT64_MAX if the wheel is empty.
 */
uint64_t wheel_next_ns(const struct wheel *wheel);

#endif
