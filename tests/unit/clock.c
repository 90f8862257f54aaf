/* SPDX-License-Identifier: MIT */
/*
 * clock - do nanoseconds and ticks agree?
 */
#include <pthread.h>
#include <time.h>

#include "sched/clock.h"
#include "tests/check.h"

static uint64_t libc_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

Test(clock, is_the_monotonic_clock)
{
	for (int i = 0; i < 100000; i++) {
		uint64_t before = libc_ns();
		uint64_t now = clock_ns();
		uint64_t after = libc_ns();

		cr_assert_leq(before, now);
		cr_assert_leq(now, after);
	}
}

/*
 * Two readings of the counter around a sleep, each between two readings of the
 * clock: what passed in ticks lies between the inner and the outer interval,
 * however long we were held up. The speed may be rounded, and a percent off.
 */
Test(clock, ticks_have_the_speed_told)
{
	struct timespec pause = {.tv_nsec = 20000000};
	uint64_t speed = clock_ticks_per_1024ns();
	uint64_t outer = clock_ns();
	uint64_t ticks = clock_ticks();
	uint64_t inner = clock_ns();

	nanosleep(&pause, NULL);
	inner = clock_ns() - inner;
	ticks = clock_ticks() - ticks;
	outer = clock_ns() - outer;
	cr_assert_gt(speed, 0);
	cr_assert_geq(ticks * 1024, inner * (speed - 1) / 100 * 99);
	cr_assert_leq(ticks * 1024, outer * (speed + 1) / 100 * 101);
}

static void *ask(void *arg)
{
	*(uint64_t *)arg = clock_ticks_per_1024ns();
	return NULL;
}

Test(clock, all_are_told_the_same_speed)
{
	enum { N = 8 };
	pthread_t threads[N];
	uint64_t told[N];

	for (int i = 0; i < N; i++)
		pthread_create(&threads[i], NULL, ask, &told[i]);
	for (int i = 0; i < N; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < N; i++)
		cr_assert_eq(told[i], clock_ticks_per_1024ns());
}

Test(clock, deadlines_lie_in_the_future_or_are_now)
{
	cr_assert_eq(clock_deadline(1000, 7), 1007);
	cr_assert_eq(clock_deadline(1000, 0), 1000);
	cr_assert_eq(clock_deadline(1000, -7), 1000);
	cr_assert_eq(clock_deadline(1000, INT64_MIN), 1000);
	cr_assert_eq(clock_deadline(1000, CLOCK_FOREVER), CLOCK_NEVER);
	cr_assert_lt(clock_deadline(1000, CLOCK_FOREVER - 1), CLOCK_NEVER);
}

Test(clock, what_is_left_until_a_deadline)
{
	cr_assert_eq(clock_left(1000, 1007), 7);
	cr_assert_eq(clock_left(1000, 1000), 0);
	cr_assert_eq(clock_left(1007, 1000), 0);
	cr_assert_eq(clock_left(1000, CLOCK_NEVER), CLOCK_FOREVER);
}
