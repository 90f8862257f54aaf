/* SPDX-License-Identifier: MIT */
/*
 * clockwork - waits with deadlines, bells and servers, all at once
 *
 * Each owner has a clockwork that all others serve, too. Its waits have their
 * deadlines on a frame that is overwritten as soon as the wait is over; some
 * are ended by a partner at about the time of the deadline. Its bells come from
 * a few that it uses again and again; each is rung once or cleared once.
 */
#include <errno.h>
#include <string.h>

#include "tests/stress/jitter.h"

#include "sched/spin.h"

/* Right after the lock is where a server may be put aside for long. */
static inline void unlock_slowly(AO_TS_t *lock)
{
	spin_unlock(lock);
	if (jitter_random() % 16 == 0)
		sched_yield();
}

#define spin_unlock unlock_slowly
#include "sched/clockwork.c"
#include "sched/timer.c"
#include "sched/wait.c"

#include "tests/stress/crowd.h"

#define MAX_OWNERS 4
#define MAX_SERVERS 3
#define BELLS 8

struct bell {
	struct alarm alarm;
	AO_t xn_rung;
};

struct owner {
	struct clockwork clockwork;
	struct wait wait;
	AO_t xis_awake; /* the wait's wake() */
	AO_t xticket;	/* sequence for the partner to claim; 0: none */
	struct bell bells[BELLS];
	unsigned long n_timeouts;
	unsigned long n_answers;
	unsigned long n_rung;
	unsigned long n_cleared;
	unsigned long n_wrong;
	bool is_stuck;
	char pad[64];
};

static struct owner owners[MAX_OWNERS];
static unsigned n_owners, n_servers;
static unsigned long n_rounds; /* per owner */
static AO_t xn_busy;	       /* owners that are not through */
static AO_t xtime;	       /* ns; grows with each look at it */

static uint64_t now(void)
{
	/* Relaxed: any order of times will do. */
	return AO_fetch_and_add(&xtime, 5000);
}

static void wake(struct wait *wait)
{
	struct owner *owner =
		(struct owner *)((char *)wait - offsetof(struct owner, wait));

	AO_store_release(&owner->xis_awake, 1);
}

static void ring_bell(struct worker *server, struct alarm *alarm)
{
	(void)server;
	AO_fetch_and_add_release(&((struct bell *)alarm)->xn_rung, 1);
}

static void serve_all(void)
{
	unsigned start = jitter_random() % n_owners;

	for (unsigned i = 0; i < n_owners; i++) {
		struct owner *owner = &owners[(start + i) % n_owners];

		if (jitter_random() % 4 == 0)
			clockwork_is_late(&owner->clockwork, now());
		clockwork_serve(&owner->clockwork, NULL, now());
	}
}

/* Ends a wait of somebody, perhaps. */
static void answer(void)
{
	struct owner *owner = &owners[jitter_random() % n_owners];
	/* What it names may be over: its sequence tells. */
	struct wait_ticket ticket = {.wait = &owner->wait,
				     .sequence =
					     AO_load_acquire(&owner->xticket)};

	if (ticket.sequence && wait_claim(ticket))
		wait_finish(ticket.wait, 1);
}

static void serve(void)
{
	/* Relaxed: for its value alone. */
	while (AO_load(&xn_busy) > 0) {
		serve_all();
		if (jitter_random() % 2)
			answer();
	}
}

/* ---- owners ---- */

/* The frame, in a function of its own. */
static __attribute__((noinline)) void wait_once(struct owner *owner)
{
	struct patience patience = {0};
	struct wait_alarm deadline;

	memset(&deadline, 0, sizeof(deadline));
	AO_store(&owner->xis_awake, 0);
	if (!wait_begin(&owner->wait, &deadline.ticket)) {
		owner->n_wrong++;
		return;
	}
	AO_store_release(&owner->xticket, deadline.ticket.sequence);
	clockwork_set(&owner->clockwork, &deadline.alarm,
		      now() + jitter_random() % 200000);
	while (!AO_load_acquire(&owner->xis_awake)) {
		/* Stuck at times: others serve it. */
		if (jitter_random() % 2)
			clockwork_serve(&owner->clockwork, NULL, now());
		if (!patience_left(&patience, 0)) {
			owner->is_stuck = true;
			return;
		}
		if (jitter_random() % 8 == 0)
			sched_yield();
	}
	clockwork_clear(&owner->clockwork, &deadline.alarm);
	memset(&deadline, 0xff, sizeof(deadline));
	switch (wait_end(&owner->wait)) {
	case 1:
		owner->n_answers++;
		break;
	case -ETIMEDOUT:
		owner->n_timeouts++;
		break;
	default:
		owner->n_wrong++;
	}
}

/* Until it has rung, or is taken back. */
static void await_bell(struct owner *owner, struct bell *bell)
{
	struct patience patience = {0};

	if (jitter_random() % 2 &&
	    clockwork_clear(&owner->clockwork, &bell->alarm)) {
		owner->n_cleared++;
		return;
	}
	while (AO_load_acquire(&bell->xn_rung) == 0) {
		if (!patience_left(&patience, 0)) {
			owner->is_stuck = true;
			return;
		}
		clockwork_serve(&owner->clockwork, NULL, now());
		sched_yield();
	}
	if (clockwork_clear(&owner->clockwork, &bell->alarm) ||
	    AO_load(&bell->xn_rung) != 1)
		owner->n_wrong++;
	owner->n_rung++;
}

static void own(struct owner *owner)
{
	bool is_set[BELLS] = {false};

	for (unsigned long i = 0; i < n_rounds && !owner->is_stuck; i++) {
		unsigned k = jitter_random() % BELLS;
		struct bell *bell = &owner->bells[k];

		if (is_set[k])
			await_bell(owner, bell);
		is_set[k] = true;
		memset(bell, 0, sizeof(*bell));
		bell->alarm.ring = ring_bell;
		clockwork_set(&owner->clockwork, &bell->alarm,
			      now() + jitter_random() % 400000);
		wait_once(owner);
	}
	for (unsigned k = 0; k < BELLS; k++)
		if (is_set[k] && !owner->is_stuck)
			await_bell(owner, &owner->bells[k]);
	AO_fetch_and_sub1_full(&xn_busy);
}

static void play(unsigned number)
{
	if (number < n_owners)
		own(&owners[number]);
	else
		serve();
}

static void run(unsigned n_own, unsigned n_serve, unsigned long rounds)
{
	unsigned long n_timeouts = 0, n_answers = 0, n_cleared = 0;

	n_owners = n_own;
	n_servers = n_serve;
	n_rounds = rounds;
	AO_store(&xn_busy, n_own);
	for (unsigned i = 0; i < n_own; i++) {
		memset(&owners[i], 0, sizeof(owners[i]));
		clockwork_init(&owners[i].clockwork, now());
		owners[i].wait.wake = wake;
	}
	crowd_run(n_own + n_serve, play);
	for (unsigned i = 0; i < n_own; i++) {
		const struct owner *owner = &owners[i];

		cr_assert_not(owner->is_stuck, "something never rang");
		cr_assert_eq(owner->n_wrong, 0);
		cr_assert_eq(owner->n_timeouts + owner->n_answers, rounds);
		cr_assert_eq(owner->n_rung + owner->n_cleared, rounds);
		cr_assert_not(clockwork_has_alarms(&owner->clockwork));
		n_timeouts += owner->n_timeouts;
		n_answers += owner->n_answers;
		n_cleared += owner->n_cleared;
	}
	/* Else nothing was tested. */
	cr_assert_gt(n_timeouts, 0);
	cr_assert_gt(n_answers, 0);
	cr_assert_gt(n_cleared, 0);
}

Test(clockwork, one_owner_and_one_server, .timeout = 120)
{
	run(1, 1, check_stress(100000));
}

Test(clockwork, owners_and_a_server, .timeout = 120)
{
	run(3, 1, check_stress(30000));
}

Test(clockwork, many_servers, .timeout = 120)
{
	run(2, 3, check_stress(30000));
}
