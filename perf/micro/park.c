/* SPDX-License-Identifier: MIT */
/*
 * park - putting a thread to sleep and waking it
 *
 * token: a wake that came before the sleep, on one thread: two system calls
 * and more. wake: two threads wake each other in turn, each asleep when it is
 * woken; one of the two ways is an operation. Lies if a sleep returns without
 * having been woken: both sides count.
 */
#include <pthread.h>
#include <stddef.h>

#include "perf/micro/micro.h"
#include "sched/park.h"

struct duo {
	struct park here;
	struct park there;
	uint64_t n;
	uint64_t n_there; /* the other thread's, read after it was joined */
};

static void sleep_until_woken(struct park *park)
{
	while (park_sleep(park, -1) == 0)
		;
}

static void *answer_all(void *arg)
{
	struct duo *duo = arg;

	for (uint64_t i = 0; i < duo->n; i++) {
		sleep_until_woken(&duo->there);
		duo->n_there++;
		park_wake(&duo->here);
	}
	return NULL;
}

static void wake(struct micro_run *run)
{
	struct duo duo = {.n = run->n};
	pthread_t thread;

	micro_check(park_init(&duo.here) == 0);
	micro_check(park_init(&duo.there) == 0);
	micro_check(pthread_create(&thread, NULL, answer_all, &duo) == 0);
	micro_start(run);
	for (uint64_t i = 0; i < run->n; i++) {
		park_wake(&duo.there);
		sleep_until_woken(&duo.here);
	}
	micro_stop_threads(run, 2 * run->n);
	pthread_join(thread, NULL);
	micro_check(duo.n_there == run->n);
	park_fini(&duo.here);
	park_fini(&duo.there);
}

static void token(struct micro_run *run)
{
	struct park park;

	micro_check(park_init(&park) == 0);
	micro_start(run);
	for (uint64_t i = 0; i < run->n; i++) {
		park_wake(&park);
		micro_check(park_sleep(&park, -1) != 0);
	}
	micro_stop(run, run->n);
	park_fini(&park);
}

const struct micro micros_park[] = {
	{"park/token", "wake, then sleep: returns at once", 500000, token},
	{"park/wake", "wake a sleeping thread, one way", 50000, wake},
	{NULL, NULL, 0, NULL},
};
