/* SPDX-License-Identifier: MIT */
/*
 * crowd - threads that start together, and a limit to their patience
 *
 * Threads of a test do not assert: they count what is wrong, and the test's own
 * thread judges.
 */
#ifndef ROTA_TESTS_STRESS_CROWD_H
#define ROTA_TESTS_STRESS_CROWD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "tests/check.h"

#define CROWD_MAX 16
#define CROWD_PATIENCE_S 20 /* without any progress: lost for good */

struct crowd_member {
	void (*run)(unsigned number);
	unsigned number;
	pthread_barrier_t *start;
};

static inline void *crowd_main(void *argument)
{
	const struct crowd_member *member = argument;

	pthread_barrier_wait(member->start);
	member->run(member->number);
	return NULL;
}

/* Run @run with 0 ... n - 1, each in a thread, and wait for all of them. */
static inline void crowd_run(unsigned n, void (*run)(unsigned number))
{
	struct crowd_member member[CROWD_MAX];
	pthread_t thread[CROWD_MAX];
	pthread_barrier_t start;

	cr_assert_leq(n, CROWD_MAX);
	pthread_barrier_init(&start, NULL, n);
	for (unsigned i = 0; i < n; i++) {
		member[i] = (struct crowd_member){run, i, &start};
		cr_assert_eq(pthread_create(&thread[i], NULL, crowd_main,
					    &member[i]),
			     0);
	}
	for (unsigned i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
	pthread_barrier_destroy(&start);
}

/* How long something has not changed. Zero it first. */
struct patience {
	uintmax_t seen;
	time_t since;
	unsigned calls;
};

/* False once @progress has been the same for too long. */
static inline bool patience_left(struct patience *patience, uintmax_t progress)
{
	struct timespec now;

	if (patience->seen == progress && ++patience->calls % 1024 != 0)
		return true;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (patience->seen != progress || patience->since == 0) {
		patience->seen = progress;
		patience->since = now.tv_sec;
	}
	return now.tv_sec - patience->since < CROWD_PATIENCE_S;
}

#endif
