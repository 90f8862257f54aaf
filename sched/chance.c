/* SPDX-License-Identifier: MIT */
/* chance - the one table that everything accidental goes through */
#include "sched/chance.h"

#include <errno.h>
#include <stdlib.h>

#include "sched/clock.h"

/* splitmix64 by Sebastiano Vigna (public domain algorithm): one add, mixed. */
static uint64_t next_random(uint64_t *state, uint64_t seed)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15)) + seed;

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static uint64_t default_random(void *context, unsigned worker)
{
	struct chance_default *storage = context;

	return next_random(&storage->streams[worker].state,
			   storage->seed +
				   worker * UINT64_C(0x2545f4914f6cdd1d));
}

static unsigned default_choose(void *context, unsigned worker, enum choice what,
			       unsigned n)
{
	uint64_t random;

	if (what == CHOOSE_SLEEPER)
		return n -
		       1; /* the last to fall asleep has the warmest cache */
	if (what == CHOOSE_TASK)
		return 0;
	random = default_random(context, worker) >> 32;
	return (unsigned)(random * n >> 32);
}

static uint64_t default_now_ns(void *context)
{
	(void)context;
	return clock_ns();
}

int chance_init_default(struct chance *chance, struct chance_default *storage,
			unsigned n_workers, uint64_t seed)
{
	storage->seed = seed;
	storage->n_streams = n_workers;
	storage->streams =
		calloc(storage->n_streams, sizeof(*storage->streams));
	if (!storage->streams)
		return -ENOMEM;
	*chance = (struct chance){default_choose, default_random,
				  default_now_ns, storage, false};
	return 0;
}

void chance_fini_default(struct chance_default *storage)
{
	free(storage->streams);
	storage->streams = NULL;
}
