/* SPDX-License-Identifier: MIT */
/*
 * clockwork - a worker's timing wheel, and who serves it
 *
 * Its owner does so every so often; when that stands still, any other worker
 * that the monitor sends. One at a time: alarms of a wheel ring in the order of
 * their times, whoever rings them.
 */
#ifndef ROTA_SCHED_CLOCKWORK_H
#define ROTA_SCHED_CLOCKWORK_H

#include <stdbool.h>
#include <stdint.h>
#include <atomic_ops.h>

#include "sched/timer.h"
#include "sched/wait.h"

struct worker;

/*
 * Something to be done at a time. From the moment on at which it is out of the
 * wheel it belongs to ring(), which is called on the worker that serves.
 */
struct alarm {
	struct timer timer;
	/* NULL: this is a struct wait_alarm */
	void (*ring)(struct worker *server, struct alarm *alarm);
};

/*
 * The deadline of a wait: ends it with -ETIMEDOUT. May lie on the stack that
 * waits: clockwork_clear() is its last use, whatever has become of it.
 */
struct wait_alarm {
	struct alarm alarm;
	struct wait_ticket ticket;
};

/* Nobody will serve this wheel. */
#define CLOCKWORK_CLOSED ((AO_t)1 << 32)

struct clockwork {
	AO_t xclaims;  /* threads that are about to set an alarm here, and whose
	                 worker does not end before they have; or CLOSED */
	AO_TS_t xlock; /* everything below; for a few instructions */
	AO_t xn_alarms; /* wheel.n_timers; written under xlock, read by anyone
	                   as a hint: what it misses is found next time */
	AO_t xlate; /* 1: something is due, and the owner stands still; written
	               under xlock, read by others as a hint */
	struct wheel wheel;
	uint64_t sleeping_until_ns; /* 0: the owner is awake */
	bool is_served;		    /* somebody rings */
};

void clockwork_init(struct clockwork *clockwork, uint64_t now_ns);

/*
 * The owner is about to end, and nothing is set: true if from now on nobody
 * claims the wheel. It begins anew. A wheel begins closed.
 */
bool clockwork_close(struct clockwork *clockwork);
void clockwork_open(struct clockwork *clockwork);

/*
 * Another thread is going to set an alarm: false if it is closed. Afterwards
 * the owner does not end before clockwork_unclaim(), and then has the alarm.
 */
bool clockwork_claim(struct clockwork *clockwork);
void clockwork_unclaim(struct clockwork *clockwork);

/* True if the owner sleeps beyond that time, and must be woken. */
bool clockwork_set(struct clockwork *clockwork, struct alarm *alarm,
		   uint64_t when_ns);

/* Take an alarm back. False if it is not set any more: then it has rung, or is
   ringing right now. */
bool clockwork_clear(struct clockwork *clockwork, struct alarm *alarm);

/*
 * Ring what is due, on @server, up to a portion. True if more is due; false
 * also if somebody else is at it.
 */
bool clockwork_serve(struct clockwork *clockwork, struct worker *server,
		     uint64_t now_ns);

/* The monitor: the owner stands still. Is something due that somebody should
   serve? Never waits; if in doubt, no: there is a next tick. */
bool clockwork_is_late(struct clockwork *clockwork, uint64_t now_ns);

/* The owner is about to sleep: for how long at most, -1: for ever. */
int64_t clockwork_sleep(struct clockwork *clockwork, uint64_t now_ns);
void clockwork_wake(struct clockwork *clockwork);

/* Under the lock, after each change of the wheel. */
static inline void clockwork_changed(struct clockwork *clockwork)
{
	/* Relaxed: see above. */
	AO_store(&clockwork->xn_alarms, clockwork->wheel.n_timers);
}

/* Is there anything at all to ring some day? */
static inline bool clockwork_has_alarms(const struct clockwork *clockwork)
{
	/* Relaxed: a hint, see above. */
	return AO_load(&clockwork->xn_alarms) > 0;
}

/* Has the monitor found something due that nobody has served since? */
static inline bool clockwork_wants_service(const struct clockwork *clockwork)
{
	/* Relaxed: a hint, see above. */
	return AO_load(&clockwork->xlate) != 0;
}

#endif
