/* SPDX-License-Identifier: MIT */
/*
 * timer - setting, cancelling and firing timers of one wheel
 *
 * Most timers are deadlines that never come: set is insert and remove among a
 * thousand others. Firing lies if timers fire early or not at all: each is
 * compared with the time, and all are counted.
 */
#include <stddef.h>
#include <string.h>

#include "perf/micro/micro.h"
#include "sched/timer.h"

#define TIMERS 1024
#define SPAN_NS 1000000000u /* timers lie within this */

static struct timer timers[TIMERS];
static struct timer extra;

static uint64_t some_time(uint64_t *random)
{
	return 1 + measure_random(random) % SPAN_NS;
}

static void set(struct micro_run *run)
{
	static struct wheel wheel;
	uint64_t random = 88172645463325252u;

	memset(timers, 0, sizeof(timers));
	memset(&extra, 0, sizeof(extra));
	wheel_init(&wheel, 0);
	for (unsigned i = 0; i < TIMERS; i++)
		wheel_insert(&wheel, &timers[i], some_time(&random));
	micro_start(run);
	for (uint64_t i = 0; i < run->n; i++) {
		wheel_insert(&wheel, &extra, some_time(&random));
		wheel_remove(&wheel, &extra);
	}
	micro_stop(run, run->n);
	micro_check(wheel.n_timers == TIMERS);
}

static void fire(struct micro_run *run)
{
	static struct wheel wheel;
	uint64_t random = 88172645463325252u, now = 0, n_fired = 0;

	memset(timers, 0, sizeof(timers));
	wheel_init(&wheel, 0);
	micro_start(run);
	for (unsigned i = 0; i < TIMERS; i++)
		wheel_insert(&wheel, &timers[i], some_time(&random));
	while (n_fired < run->n) {
		struct timer *timer = wheel_expire(&wheel, now);

		if (timer == NULL) {
			now = wheel_next_ns(&wheel);
			micro_check(now != UINT64_MAX);
			continue;
		}
		micro_check(timer->when_ns <= now);
		n_fired++;
		wheel_insert(&wheel, timer, now + some_time(&random));
	}
	micro_stop(run, n_fired);
	micro_check(wheel.n_timers == TIMERS);
}

const struct micro micros_timer[] = {
	{"timer/set", "set and cancel, among 1,024 others", 10000000, set},
	{"timer/fire", "set and let fire, among 1,024 others", 2000000, fire},
	{NULL, NULL, 0, NULL},
};
