/* SPDX-License-Identifier: MIT */
/*
 * clock - what it costs to look at the time
 *
 * Lies if the compiler drops a reading nobody uses: all are added up.
 */
#include <stddef.h>

#include "perf/micro/micro.h"
#include "sched/clock.h"

static void ticks(struct micro_run *run)
{
	uint64_t sum = 0, first = clock_ticks();

	micro_start(run);
	for (uint64_t i = 0; i < run->n; i++)
		sum += clock_ticks() - first;
	micro_stop(run, run->n);
	micro_check(run->n < 1000 || sum > 0);
	measure_sink = sum;
}

static void ns(struct micro_run *run)
{
	uint64_t sum = 0, first = clock_ns();

	micro_start(run);
	for (uint64_t i = 0; i < run->n; i++)
		sum += clock_ns() - first;
	micro_stop(run, run->n);
	micro_check(run->n < 1000 || sum > 0);
	measure_sink = sum;
}

const struct micro micros_clock[] = {
	{"clock/ticks", "clock_ticks()", 10000000, ticks},
	{"clock/ns", "clock_ns()", 3000000, ns},
	{NULL, NULL, 0, NULL},
};
