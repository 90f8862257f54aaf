/* SPDX-License-Identifier: MIT */
/*
 * chance - the one table that everything accidental goes through
 *
 * Which victim a thief tries first, which sleeper is woken, which runnable
 * task is next, what time it is, and random numbers. A simulation puts its own
 * functions here; with the same seed it then makes the same run.
 */
#ifndef ROTA_SCHED_CHANCE_H
#define ROTA_SCHED_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

enum choice {
	CHOOSE_VICTIM, /* where a thief starts to look, of those at a distance */
	CHOOSE_SLEEPER, /* whom to wake, of the nearest that sleep */
	CHOOSE_TASK	/* which of a ring's first n tasks is next; asked only
	                   if chooses_tasks is set */
};

struct chance {
	/* One of n: 0 ... n - 1. worker is the caller's number. */
	unsigned (*choose)(void *context, unsigned worker, enum choice what,
			   unsigned n);
	uint64_t (*random)(void *context, unsigned worker);
	uint64_t (*now_ns)(void *context);
	void *context;
	bool chooses_tasks; /* costs a call per turn; off in a real run */
};

/* One stream per worker, on lines of their own. */
struct chance_stream {
	uint64_t state; /* from 0 on, whatever the seed */
	char pad[56];
};

/* The table of a real run: clock_ns() and a generator per worker. */
struct chance_default {
	struct chance_stream *streams;
	unsigned n_streams;
	uint64_t seed;
};

int chance_init_default(struct chance *chance, struct chance_default *storage,
			unsigned n_workers, uint64_t seed);
void chance_fini_default(struct chance_default *storage);

#endif
