/* SPDX-License-Identifier: MIT */
/*
 * park - the one place where threads of ours go to sleep
 *
 * A worker sleeps in its own epoll with an eventfd, so that ready descriptors
 * and timers wake it without another hop. A foreign thread that waits sleeps
 * on a futex word.
 */
#ifndef ROTA_SCHED_PARK_H
#define ROTA_SCHED_PARK_H

#include <stdbool.h>
#include <stdint.h>

struct park {
	int epoll;
	int event;
	int timer;	   /* a timerfd, or -1: see park_add_timer() */
	uint64_t armed_ns; /* the sleeper's: for when the timer is set */
	bool is_coarse;	   /* the sleeper's: no epoll_pwait2() here */
};

/* Errors: -EMFILE, -ENFILE, -ENOMEM. */
int park_init(struct park *park);
void park_fini(struct park *park);

/*
 * Sleep until park_wake(), a ready descriptor, or @within nanoseconds have
 * passed (negative: no limit; 0: only look), never less. A park_wake() that
 * came before is not lost: the call returns at once. Several before one
 * park_sleep() count as one. Returns nonzero if woken by park_wake().
 *
 * Neither orders memory in the eyes of C: sleeper and waker agree through an
 * atomic word of their own.
 */
int park_sleep(struct park *park, int64_t within);

/* Wake the sleeper, now or at its next park_sleep(). From any thread. */
void park_wake(struct park *park);

/*
 * Instead of park_sleep(), somebody else may sleep in poll(), with others of its
 * descriptors: park->epoll is readable from a wake-up, or the time that is set,
 * until park_sleep() has seen that. Needs park_add_timer(), which fails with
 * -EMFILE, -ENFILE or -ENOMEM.
 */
int park_add_timer(struct park *park);

/* The sleeper: set the time, on clock_ns(); CLOCK_NEVER: none. */
void park_arm(struct park *park, uint64_t when_ns);

/*
 * Futex words for threads that are not workers. futex_wait() sleeps while
 * *word == value, at most @within nanoseconds (negative: no limit); it may
 * return early. Returns 0 or -ETIMEDOUT.
 */
int futex_wait(unsigned *word, unsigned value, int64_t within);
void futex_wake(unsigned *word, int n_threads);

#endif
