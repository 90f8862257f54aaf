/* SPDX-License-Identifier: MIT */
/*
 * hand - plain memory that an owner and seizers change in turns
 *
 * The owner goes in and out of its hand, nested and not, and changes two plain
 * words there; seizers change them too while they have it. Nothing is lost, and
 * nobody sees one half of a change. ThreadSanitizer sees [H1] and [H2].
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
	for (size_t i = 0; i < rounds; i++)
		sum += own_once(i);
	AO_store(&xdone, 1);
	for (size_t i = 0; i < SEIZERS; i++) {
		pthread_join(thread[i], NULL);
		sum += n_seized[i];
	}
	cr_assert_not(AO_load(&xtorn));
	cr_assert_eq(first, sum);
	cr_assert_eq(second, sum);
	cr_assert_gt(sum, 3 * rounds, "nobody ever seized it");
}
