/* SPDX-License-Identifier: MIT */
/*
 * hand - who may touch what a worker has in hand
 *
 * The owner is the test's own thread; what two threads do is tests/stress/hand.
 */
#include <pthread.h>
#include <string.h>

#include "sched/hand.h"
#include "sched/worker.h"
#include "tests/check.h"

static struct worker worker;

static void begin(void)
{
	memset(&worker, 0, sizeof(worker));
	if (!hand_prepare())
		cr_skip_test("this kernel has no membarrier");
}

Test(hand, is_free_in_user_code, .init = begin)
{
	cr_assert(hand_seize(&worker));
	hand_release(&worker);
	cr_assert(hand_seize(&worker));
	hand_release(&worker);
}

Test(hand, is_not_in_engine_code, .init = begin)
{
	AO_t was = worker_enter_hand(&worker);

	cr_assert_eq(was, 0);
	cr_assert(worker_is_in_hand(&worker));
	cr_assert_not(hand_seize(&worker));
	worker_leave_hand(&worker, was);
	cr_assert_not(worker_is_in_hand(&worker));
	cr_assert(hand_seize(&worker));
	hand_release(&worker);
}

Test(hand, is_one_seizers_at_a_time, .init = begin)
{
	cr_assert(hand_seize(&worker));
	cr_assert_not(hand_seize(&worker));
	hand_release(&worker);
	cr_assert(hand_seize(&worker));
}

/* A failed attempt leaves nothing behind that the owner would wait for. */
Test(hand, a_vain_attempt_leaves_nothing, .init = begin, .timeout = 60)
{
	worker_step_in(&worker);
	cr_assert_not(hand_seize(&worker));
	worker_step_out(&worker);
	worker_step_in(&worker);
	worker_step_out(&worker);
	cr_assert(hand_seize(&worker));
}

/* The inner section leaves the outer one as it is. */
Test(hand, sections_nest, .init = begin)
{
	AO_t outer, inner;

	outer = worker_enter_hand(&worker);
	inner = worker_enter_hand(&worker);
	worker_leave_hand(&worker, inner);
	cr_assert_not(hand_seize(&worker));
	worker_leave_hand(&worker, outer);
	cr_assert(hand_seize(&worker));
}

/* The loop calls a handler, that calls the engine. */
Test(hand, user_code_is_left_as_user_code, .init = begin)
{
	AO_t was;

	worker_step_in(&worker);
	worker_step_out(&worker);
	was = worker_enter_hand(&worker);
	worker_leave_hand(&worker, was);
	cr_assert(hand_seize(&worker));
	hand_release(&worker);
	worker_step_in(&worker);
	cr_assert_not(hand_seize(&worker));
}

static void *release_later(void *arg)
{
	for (int i = 0; i < 1000; i++)
		sched_yield();
	AO_store(&worker.xnext, (AO_t)arg);
	hand_release(&worker);
	return NULL;
}

static void start_releasing(pthread_t *thread)
{
	cr_assert(hand_seize(&worker));
	cr_assert_eq(
		pthread_create(thread, NULL, release_later, (void *)&worker),
		0);
}

Test(hand, its_owner_waits_until_it_is_released, .init = begin, .timeout = 60)
{
	pthread_t thread;
	AO_t was;

	start_releasing(&thread);
	was = worker_enter_hand(&worker);
	cr_assert_eq(AO_load(&worker.xnext), (AO_t)&worker);
	worker_leave_hand(&worker, was);
	pthread_join(thread, NULL);
}

Test(hand, so_it_does_as_its_handler_returns, .init = begin, .timeout = 60)
{
	pthread_t thread;

	start_releasing(&thread);
	worker_step_in(&worker);
	cr_assert_eq(AO_load(&worker.xnext), (AO_t)&worker);
	worker_step_out(&worker);
	pthread_join(thread, NULL);
}
