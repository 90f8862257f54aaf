/* SPDX-License-Identifier: MIT */
/*
 * yardstick - what a machine gives to plain threads that do the same work
 *
 * A speed-up says little by itself: two processors may be two threads of one
 * core, or share their time with other machines, and then two threads of any
 * program reach less than 2. So the work is done in plain calls, too, before
 * and after: by one thread alone, and by as many threads as the engine has
 * workers, all at once and with nothing to tell each other. `machine` is the
 * sum of these threads' speeds in units of the lone one's; `of_machine` is the
 * part of it that the engine reached.
 */
#ifndef ROTA_PERF_YARDSTICK_H
#define ROTA_PERF_YARDSTICK_H

#include "perf/bench/bench.h"

/*
 * @work does in plain calls what the engine does, or 1 / @share of it, and is
 * called by several threads at once: each has a number of its own from 0 on. It
 * returns something that it cannot know without the work.
 * @prepare, if any, is called before each time, and is not in the numbers.
 */
struct yardstick {
	uint64_t (*work)(void *argument, unsigned thread);
	void (*prepare)(void *argument, unsigned thread);
	void *argument;
	double share;
	/* what was measured so far */
	double alone_ns;
	double machine;
	unsigned n;
};

/* Measure once: outside of the clock, before and after what is compared. */
void yardstick_measure(struct yardstick *y, unsigned n_threads);

/* Metrics `speedup`, `machine` and `of_machine` of a run that has stopped its
   clock. */
void yardstick_report(const struct yardstick *y, struct run *run);

#endif
