/* SPDX-License-Identifier: MIT */
/*
 * hand - plain memory that an owner and seizers change in turns
 *
 * The owner goes in and out of its hand, nested and not, and changes two plain
 * words there; seizers change them too while they have it. Nothing is lost, and
 * nobody sees one half of a change. ThreadSanitizer sees [H1] and [H2].
 *
 * What it cannot see is membarrier(), for which the last test is there: without
 * it the owner's store that it is busy may still be on its way when the owner
 * looks whether somebody is at its hand, and both are in. So that it is on its
 * way for long, stores that miss all caches go ahead of it. It takes two
 * processors that run both at a time to find that; with the barrier nothing is
 * found however they run.
 */
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "sched/hand.h"
#include "sched/worker.h"
#include "tests/check.h"
#include "tests/stress/crowd.h"

#define SEIZERS 2

static struct worker worker;
static volatile size_t first, second; /* equal outside of a change */
static AO_t xtorn;		      /* relaxed: read when all have ended */
static AO_t xdone;
static AO_t xseized; /* by one of them at least; relaxed */
static size_t n_seized[SEIZERS];

static void change(void)
{
	if (first != second)
		AO_store(&xtorn, 1);
	first++;
	second++;
}

static void *seize(void *arg)
{
	size_t *n = arg;

	while (!AO_load(&xdone)) {
		if (hand_seize(&worker)) {
			change();
			sched_yield(); /* the owner may come back */
			change();
			*n += 2;
			hand_release(&worker);
			AO_store(&xseized, 1);
		}
		/* As ticks do: the owner gets somewhere in between. */
		nanosleep(&(struct timespec){.tv_nsec = 1000}, NULL);
	}
	return NULL;
}

static size_t own_once(size_t i)
{
	AO_t outer, inner;

	worker_step_in(&worker);
	change();
	inner = worker_enter_hand(&worker);
	worker_leave_hand(&worker, inner);
	change();
	worker_step_out(&worker);
	if (i % 16 == 0)
		sched_yield();
	outer = worker_enter_hand(&worker);
	change();
	worker_leave_hand(&worker, outer);
	return 3;
}

Test(hand, nothing_is_torn_or_lost, .timeout = 600)
{
	pthread_t thread[SEIZERS];
	size_t sum = 0, rounds = check_stress(200000);

	if (!hand_prepare())
		cr_skip_test("this kernel has no membarrier");
	memset(&worker, 0, sizeof(worker));
	for (size_t i = 0; i < SEIZERS; i++)
		cr_assert_eq(
			pthread_create(&thread[i], NULL, seize, &n_seized[i]),
			0);
	/* And until it was seized: the machine may be busy with others. */
	for (size_t i = 0; i < rounds || !AO_load(&xseized); i++)
		sum += own_once(i);
	AO_store(&xdone, 1);
	for (size_t i = 0; i < SEIZERS; i++) {
		pthread_join(thread[i], NULL);
		sum += n_seized[i];
	}
	cr_assert_not(AO_load(&xtorn));
	cr_assert_eq(first, sum);
	cr_assert_eq(second, sum);
}

/* ---- two processors at a time ---- */

enum { NOBODY, OWNER, SEIZER };

static AO_t xwho; /* is in: relaxed, each looks whether the other came in */
static volatile uint64_t far_away[1 << 21]; /* more than caches hold */

static uint64_t next_random(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random;
}

/* What is stored after this is on its way for as long. */
static void store_far_away(uint64_t *random)
{
	for (int i = 0; i < 4; i++)
		far_away[next_random(random) % (1 << 21)] = *random;
}

/* For so many looks. */
static void stay_in(AO_t who, unsigned n)
{
	AO_store(&xwho, who);
	while (n-- > 0)
		if (AO_load(&xwho) != who)
			AO_store(&xtorn, 1);
	AO_store(&xwho, NOBODY);
}

/* Most of the time the owner is to find it free. */
static void stay_out(uint64_t *random)
{
	for (volatile uint64_t n = next_random(random) % 1000; n > 0; n--)
		;
}

static void *seize_at_once(void *arg)
{
	uint64_t random = 1;
	size_t *n = arg;

	while (!AO_load(&xdone)) {
		if (!hand_seize(&worker))
			continue;
		stay_in(SEIZER, 50);
		hand_release(&worker);
		++*n;
		stay_out(&random);
	}
	return NULL;
}

Test(hand, is_never_in_two_hands, .timeout = 600)
{
	size_t i, rounds = check_stress(1000000), n = 0;
	uint64_t random = 2;
	pthread_t thread;

	if (!hand_prepare())
		cr_skip_test("this kernel has no membarrier");
	memset(&worker, 0, sizeof(worker));
	for (i = 0; i < sizeof(far_away) / sizeof(far_away[0]); i++)
		far_away[i] = i; /* no page faults later */
	cr_assert_eq(pthread_create(&thread, NULL, seize_at_once, &n), 0);
	for (i = 0; i < rounds && !AO_load(&xtorn); i++) {
		store_far_away(&random);
		worker_step_in(&worker);
		stay_in(OWNER, 2);
		worker_step_out(&worker);
	}
	AO_store(&xdone, 1);
	pthread_join(thread, NULL);
	cr_assert_not(AO_load(&xtorn),
		      "in round %zu, after it was seized %zu times", i, n);
}
