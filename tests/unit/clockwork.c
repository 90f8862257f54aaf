/* SPDX-License-Identifier: MIT */
/*
 * clockwork - a wheel that anybody may serve, one at a time
 */
#include <errno.h>
#include <string.h>

#include "sched/clock.h"
#include "sched/clockwork.h"
#include "sched/spin.h"
#include "tests/check.h"

#define MS UINT64_C(1000000)
#define START (1000 * MS)
#define MANY 600

static struct clockwork clockwork;
/* Never looked into: ring() gets what serve() got. */
static char owner, other;
#define OWNER ((struct worker *)(void *)&owner)
#define OTHER ((struct worker *)(void *)&other)

struct bell {
	struct alarm alarm;
	unsigned order; /* when it rang: 1, 2, ...; 0: it has not */
	struct worker *server;
	void (*then)(struct bell *bell);
};

static struct bell bells[MANY];
static unsigned n_rung;

static void ring_bell(struct worker *server, struct alarm *alarm)
{
	struct bell *bell = (struct bell *)alarm;

	cr_assert_eq(bell->order, 0);
	bell->order = ++n_rung;
	bell->server = server;
	if (bell->then)
		bell->then(bell);
}

static void begin(void)
{
	clockwork_init(&clockwork, START);
	for (unsigned i = 0; i < MANY; i++)
		bells[i].alarm.ring = ring_bell;
}

static bool set(unsigned i, uint64_t when_ns)
{
	return clockwork_set(&clockwork, &bells[i].alarm, when_ns);
}

/* ---- serving ---- */

Test(clockwork, rings_what_is_due_in_the_order_of_time, .init = begin)
{
	set(0, START + 5 * MS);
	set(1, START + 2 * MS);
	set(2, START + 90 * MS);
	cr_assert_not(clockwork_serve(&clockwork, OWNER, START + MS));
	cr_assert_eq(n_rung, 0);
	cr_assert_not(clockwork_serve(&clockwork, OWNER, START + 6 * MS));
	cr_assert_eq(bells[1].order, 1);
	cr_assert_eq(bells[0].order, 2);
	cr_assert_eq(bells[2].order, 0);
	cr_assert(clockwork_has_alarms(&clockwork));
	cr_assert_not(clockwork_serve(&clockwork, OWNER, START + 100 * MS));
	cr_assert_eq(bells[2].order, 3);
	cr_assert_not(clockwork_has_alarms(&clockwork));
}

Test(clockwork, rings_on_whoever_serves, .init = begin)
{
	set(0, START);
	clockwork_serve(&clockwork, OTHER, START + MS);
	cr_assert(bells[0].server == OTHER);
	set(1, START);
	clockwork_serve(&clockwork, OWNER, START + MS);
	cr_assert(bells[1].server == OWNER);
}

Test(clockwork, a_burst_is_cut_into_portions, .init = begin)
{
	unsigned portions = 1;

	for (unsigned i = 0; i < MANY; i++)
		set(i, START);
	while (clockwork_serve(&clockwork, OWNER, START + MS)) {
		cr_assert_lt(n_rung, MANY);
		portions++;
	}
	cr_assert_eq(n_rung, MANY);
	cr_assert_gt(portions, 1);
	for (unsigned i = 0; i < MANY; i++)
		cr_assert_eq(bells[i].order, i + 1);
}

static void serve_once_more(struct bell *bell)
{
	(void)bell;
	cr_assert_not(clockwork_serve(&clockwork, OTHER, START + MS));
	cr_assert_eq(n_rung, 1, "two at a time");
	/* What is being served is not late. */
	cr_assert_not(clockwork_is_late(&clockwork, START + MS));
	cr_assert_gt(clockwork_sleep(&clockwork, START + MS), 0);
	clockwork_wake(&clockwork);
}

Test(clockwork, one_serves_at_a_time, .init = begin)
{
	bells[0].then = serve_once_more;
	set(0, START);
	set(1, START);
	clockwork_serve(&clockwork, OWNER, START + MS);
	cr_assert_eq(n_rung, 2);
	cr_assert(bells[1].server == OWNER);
}

static void set_again(struct bell *bell)
{
	if (bell->alarm.ring) {
		bell->order = 0;
		bell->then = NULL;
		clockwork_set(&clockwork, &bell->alarm, START);
	}
}

Test(clockwork, one_that_rings_is_its_own_master, .init = begin)
{
	bells[0].then = set_again;
	set(0, START);
	clockwork_serve(&clockwork, OWNER, START + MS);
	cr_assert_eq(n_rung, 2);
}

Test(clockwork, a_cleared_one_does_not_ring, .init = begin)
{
	set(0, START);
	set(1, START);
	cr_assert(clockwork_clear(&clockwork, &bells[0].alarm));
	cr_assert_not(clockwork_clear(&clockwork, &bells[0].alarm));
	clockwork_serve(&clockwork, OWNER, START + MS);
	cr_assert_eq(bells[0].order, 0);
	cr_assert_eq(bells[1].order, 1);
	cr_assert_not(clockwork_clear(&clockwork, &bells[1].alarm));
}

/* ---- waits ---- */

static struct wait_alarm deadline;
static unsigned n_woken;

/* The waiter goes on at once, and its frame is used for something else. */
static void leave_frame(struct wait *wait)
{
	(void)wait;
	n_woken++;
	clockwork_clear(&clockwork, &deadline.alarm);
	memset(&deadline, 0xff, sizeof(deadline));
}

static struct wait waiter = {.wake = leave_frame};

static void wait_until(uint64_t when_ns)
{
	memset(&deadline, 0, sizeof(deadline));
	cr_assert(wait_begin(&waiter, &deadline.ticket));
	clockwork_set(&clockwork, &deadline.alarm, when_ns);
}

Test(clockwork, a_deadline_ends_its_wait, .init = begin)
{
	wait_until(START + MS);
	clockwork_serve(&clockwork, OTHER, START);
	cr_assert_not(wait_has_ended(&waiter));
	clockwork_serve(&clockwork, OTHER, START + 2 * MS);
	cr_assert_eq(n_woken, 1);
	cr_assert_eq(wait_end(&waiter), -ETIMEDOUT);
}

static void end_wait(struct bell *bell)
{
	struct wait_ticket ticket = deadline.ticket;

	(void)bell;
	cr_assert(wait_claim(ticket));
	wait_finish(ticket.wait, 7);
}

/* Both are due; the first one's bell ends the wait of the second. */
Test(clockwork, a_wait_that_has_ended_has_no_deadline, .init = begin)
{
	bells[0].then = end_wait;
	set(0, START);
	wait_until(START);
	clockwork_serve(&clockwork, OTHER, START + MS);
	cr_assert_eq(n_woken, 1);
	cr_assert_eq(wait_end(&waiter), 7);
	/* The next one of the same stack is not touched by it. */
	wait_until(START + 9 * MS);
	clockwork_serve(&clockwork, OTHER, START + MS);
	cr_assert_not(wait_has_ended(&waiter));
}

/* ---- the monitor's look ---- */

Test(clockwork, is_late_if_something_is_due, .init = begin)
{
	cr_assert_not(clockwork_is_late(&clockwork, START + 9 * MS));
	set(0, START + 5 * MS);
	cr_assert_not(clockwork_is_late(&clockwork, START + MS));
	cr_assert_not(clockwork_wants_service(&clockwork));
	cr_assert(clockwork_is_late(&clockwork, START + 9 * MS));
	cr_assert(clockwork_wants_service(&clockwork));
	clockwork_serve(&clockwork, OTHER, START + 9 * MS);
	cr_assert_not(clockwork_wants_service(&clockwork));
	cr_assert_not(clockwork_is_late(&clockwork, START + 9 * MS));
}

Test(clockwork, what_is_left_of_a_burst_wants_service_still, .init = begin)
{
	for (unsigned i = 0; i < MANY; i++)
		set(i, START);
	cr_assert(clockwork_is_late(&clockwork, START + MS));
	cr_assert(clockwork_serve(&clockwork, OTHER, START + MS));
	cr_assert(clockwork_wants_service(&clockwork));
}

Test(clockwork, is_not_late_while_its_owner_sleeps, .init = begin)
{
	set(0, START + MS);
	clockwork_sleep(&clockwork, START);
	cr_assert_not(clockwork_is_late(&clockwork, START + 9 * MS));
	clockwork_wake(&clockwork);
	cr_assert(clockwork_is_late(&clockwork, START + 9 * MS));
}

Test(clockwork, nobody_waits_to_see_whether_it_is_late, .init = begin)
{
	set(0, START);
	spin_lock(&clockwork.xlock);
	cr_assert_not(clockwork_is_late(&clockwork, START + MS));
	spin_unlock(&clockwork.xlock);
	cr_assert(clockwork_is_late(&clockwork, START + MS));
}

/* ---- sleep ---- */

Test(clockwork, sleeps_no_longer_than_to_the_next, .init = begin)
{
	int64_t limit;

	cr_assert_eq(clockwork_sleep(&clockwork, START), -1);
	clockwork_wake(&clockwork);
	set(0, START + 5 * MS);
	limit = clockwork_sleep(&clockwork, START);
	cr_assert_gt(limit, 0);
	/* ... and a tick of the wheel. */
	cr_assert_leq(limit, (int64_t)(5 * MS + (1 << WHEEL_TICK_SHIFT)));
	cr_assert_eq(clockwork_sleep(&clockwork, START + 6 * MS), 0);
}

Test(clockwork, who_sets_an_earlier_one_wakes_the_owner, .init = begin)
{
	cr_assert_not(set(0, START + 5 * MS), "it is awake");
	clockwork_sleep(&clockwork, START);
	cr_assert(set(1, START + MS));
	cr_assert_not(set(2, START + 6 * MS));
	clockwork_wake(&clockwork);
	cr_assert_not(set(3, START));
}

/* ---- whose owner ends ---- */

Test(clockwork, begins_closed_and_may_be_opened_again, .init = begin)
{
	for (unsigned i = 0; i < 3; i++) {
		cr_assert_not(clockwork_claim(&clockwork));
		clockwork_open(&clockwork);
		cr_assert(clockwork_claim(&clockwork));
		clockwork_unclaim(&clockwork);
		cr_assert(clockwork_close(&clockwork));
	}
}

Test(clockwork, is_not_closed_while_an_alarm_is_set, .init = begin)
{
	clockwork_open(&clockwork);
	set(0, START + MS);
	cr_assert_not(clockwork_close(&clockwork));
	cr_assert(clockwork_claim(&clockwork), "it is open still");
	clockwork_unclaim(&clockwork);
	cr_assert(clockwork_clear(&clockwork, &bells[0].alarm));
	cr_assert(clockwork_close(&clockwork));
}

Test(clockwork, is_not_closed_while_it_is_claimed, .init = begin)
{
	clockwork_open(&clockwork);
	cr_assert(clockwork_claim(&clockwork));
	cr_assert(clockwork_claim(&clockwork));
	clockwork_unclaim(&clockwork);
	cr_assert_not(clockwork_close(&clockwork));
	clockwork_unclaim(&clockwork);
	cr_assert(clockwork_close(&clockwork));
}
