/* SPDX-License-Identifier: MIT */
/*
 * clockwork - a worker's timing wheel, and who serves it
 *
 * Problem:    a wheel that only its owner serves stands still while the owner
 *             computes for seconds. But who else takes an alarm out of it may
 *             find that its memory is gone: the deadline of a wait lies on the
 *             stack that waits, and that wait may end at any moment.
 * Approach:   an alarm is touched under the wheel's lock only, or by whom it
 *             belongs to. There are two kinds. One belongs to its ring() once
 *             it is out of the wheel; nobody else frees it from then on. The
 *             other, a wait's deadline, always belongs to the waiter: what is
 *             needed of it, the ticket, is copied out before the lock is let
 *             go, and a ticket may be as old as it likes. The waiter takes the
 *             same lock once before its frame goes away (clockwork_clear()):
 *             it finds the alarm linked, or the ticket copied.
 *             Who serves says so in is_served, and a second one goes away
 *             again: no order would be left if two rang at a time, and a
 *             server that was put aside by the kernel must not hold up another.
 * Rejected:   a count of servers that the waiter waits for (it would stand
 *             still with a server that stands still); alarms of waits from a
 *             pool (a block per wait with a deadline, and a second one to run
 *             out of); two locks, one to serve and one to change (the second
 *             is had for a flag under the first).
 * Invariants: I1 an alarm is linked in one wheel at most, and is cleared at
 *             that one.
 *             I2 is_served is set by the one who will reset it, soon: ring()
 *             neither waits nor calls anybody's handler.
 * Orderings:  [B3] xclaims: who sets an alarm on another's wheel counts itself
 *             before it looks whether that is closed; the worker that is to
 *             end closes it only if nobody is counted.
 *             [L1] see spin.h: set -> serve, serve -> clear, and from one
 *             server to the next.
 */
#include "sched/clockwork.h"

#include <errno.h>

#include "sched/clock.h"
#include "sched/spin.h"

/* A burst is cut into portions so that tasks run in between. */
#define PORTION 256

/* The owner sleeps so long if what is due is being served by another. */
#define SERVED_NS 100000

void clockwork_init(struct clockwork *clockwork, uint64_t now_ns)
{
	clockwork->xlock = AO_TS_INITIALIZER;
	clockwork->xn_alarms = clockwork->xlate = 0;
	clockwork->xclaims = CLOCKWORK_CLOSED;
	clockwork->sleeping_until_ns = 0;
	clockwork->is_served = false;
	wheel_init(&clockwork->wheel, now_ns);
}

bool clockwork_close(struct clockwork *clockwork)
{
	bool closed;

	spin_lock(&clockwork->xlock);
	/* [B3] pairs with clockwork_claim() */
	closed = clockwork->wheel.n_timers == 0 &&
		 AO_compare_and_swap_full(&clockwork->xclaims, 0,
					  CLOCKWORK_CLOSED);
	spin_unlock(&clockwork->xlock);
	return closed;
}

void clockwork_open(struct clockwork *clockwork)
{
	/* [B3] pairs with clockwork_claim(), whose vain claims may be in it */
	AO_fetch_and_add_full(&clockwork->xclaims, -CLOCKWORK_CLOSED);
}

bool clockwork_claim(struct clockwork *clockwork)
{
	/* [B3] pairs with clockwork_close() */
	if (AO_fetch_and_add1_full(&clockwork->xclaims) < CLOCKWORK_CLOSED)
		return true;
	/* [B3] likewise: it may have been opened since; it does no harm */
	AO_fetch_and_sub1_full(&clockwork->xclaims);
	return false;
}

void clockwork_unclaim(struct clockwork *clockwork)
{
	/* [B3] pairs with clockwork_close(): the alarm is in the wheel */
	AO_fetch_and_sub1_full(&clockwork->xclaims);
}

bool clockwork_set(struct clockwork *clockwork, struct alarm *alarm,
		   uint64_t when_ns)
{
	bool wake;

	spin_lock(&clockwork->xlock);
	wheel_insert(&clockwork->wheel, &alarm->timer, when_ns);
	clockwork_changed(clockwork);
	wake = when_ns < clockwork->sleeping_until_ns;
	spin_unlock(&clockwork->xlock);
	return wake;
}

bool clockwork_clear(struct clockwork *clockwork, struct alarm *alarm)
{
	bool was_set;

	spin_lock(&clockwork->xlock);
	was_set = timer_is_linked(&alarm->timer);
	if (was_set)
		wheel_remove(&clockwork->wheel, &alarm->timer);
	clockwork_changed(clockwork);
	spin_unlock(&clockwork->xlock);
	return was_set;
}

/* What is left of an alarm that is out of its wheel. */
struct due {
	struct alarm *alarm;	   /* NULL: a wait's */
	struct wait_ticket ticket; /* ... this one's */
};

/* Under the lock, which the callee keeps. */
static bool take(struct clockwork *clockwork, uint64_t now_ns, struct due *due)
{
	struct timer *timer = wheel_expire(&clockwork->wheel, now_ns);

	if (!timer)
		return false;
	*due = (struct due){.alarm = (struct alarm *)timer};
	if (!due->alarm->ring) {
		due->ticket = ((struct wait_alarm *)timer)->ticket;
		due->alarm = NULL;
	}
	return true;
}

static void ring(struct worker *server, const struct due *due)
{
	if (due->alarm)
		due->alarm->ring(server, due->alarm);
	else if (wait_claim(due->ticket))
		wait_finish(due->ticket.wait, -ETIMEDOUT);
}

/* Needs is_served. Returns with the lock. */
static bool ring_portion(struct clockwork *clockwork, struct worker *server,
			 uint64_t now_ns)
{
	struct due due;
	unsigned n;

	for (n = 0; n < PORTION; n++) {
		if (!take(clockwork, now_ns, &due))
			return false;
		clockwork_changed(clockwork);
		spin_unlock(&clockwork->xlock);
		ring(server, &due);
		spin_lock(&clockwork->xlock);
	}
	return wheel_next_ns(&clockwork->wheel) <= now_ns;
}

bool clockwork_serve(struct clockwork *clockwork, struct worker *server,
		     uint64_t now_ns)
{
	bool more = false;

	spin_lock(&clockwork->xlock);
	if (!clockwork->is_served) {
		clockwork->is_served = true;
		more = ring_portion(clockwork, server, now_ns);
		clockwork->is_served = false;
		/* Relaxed: a hint. */
		AO_store(&clockwork->xlate, more);
	}
	spin_unlock(&clockwork->xlock);
	return more;
}

bool clockwork_is_late(struct clockwork *clockwork, uint64_t now_ns)
{
	bool late;

	if (!clockwork_has_alarms(clockwork) ||
	    !spin_try_lock(&clockwork->xlock))
		return false;
	/* One that sleeps wakes by itself. */
	late = clockwork->sleeping_until_ns == 0 && !clockwork->is_served &&
	       wheel_next_ns(&clockwork->wheel) <= now_ns;
	if (late)
		/* Relaxed: a hint. */
		AO_store(&clockwork->xlate, 1);
	spin_unlock(&clockwork->xlock);
	return late;
}

int64_t clockwork_sleep(struct clockwork *clockwork, uint64_t now_ns)
{
	uint64_t until;
	bool is_served;

	spin_lock(&clockwork->xlock);
	until = wheel_next_ns(&clockwork->wheel);
	clockwork->sleeping_until_ns = until;
	is_served = clockwork->is_served;
	spin_unlock(&clockwork->xlock);
	if (until == CLOCK_NEVER)
		return -1;
	if (until > now_ns)
		return (int64_t)(until - now_ns);
	return is_served ? SERVED_NS : 0;
}

void clockwork_wake(struct clockwork *clockwork)
{
	spin_lock(&clockwork->xlock);
	clockwork->sleeping_until_ns = 0;
	spin_unlock(&clockwork->xlock);
}
