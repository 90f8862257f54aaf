/* SPDX-License-Identifier: MIT */
/*
 * stage - a crew whose workers and clock the test plays
 */
#ifndef ROTA_TESTS_UNIT_STAGE_H
#define ROTA_TESTS_UNIT_STAGE_H

#include "sched/worker.h"
#include "tests/check.h"

static struct crew crew;
static struct worker *one, *two;
static uint64_t now_ns;
static unsigned n_dressed;

static inline uint64_t play_clock(void *context)
{
	(void)context;
	return now_ns;
}

static inline void dress(struct worker *worker)
{
	cr_assert_eq(worker->crew, &crew);
	n_dressed++;
}

static inline void no_rest(struct worker *worker)
{
	(void)worker;
}

static inline void abandoned(struct crew *who)
{
	(void)who;
}

static inline void begin_with(const char *machine, unsigned n_workers)
{
	const struct crew_options options = {
		.n_workers = n_workers,
		.unbound = true,
		.topology = machine,
		.stack_size = 65536,
		.worker_size = sizeof(struct worker),
		.max_spares = 4,
		.dress = dress,
		.rest = no_rest,
		.abandoned = abandoned,
	};

	n_dressed = 0;
	cr_assert_eq(crew_init(&crew, &options), 0);
	one = crew.workers[0];
	two = crew.workers[n_workers - 1];
	now_ns = clock_ns();
}

/* Two workers without threads, on a clock that stands. */
static inline void begin(void)
{
	begin_with("core:4 pu:1", 2);
	crew.chance.now_ns = play_clock;
	crew.roster.is_open = true;
}

static inline void end(void)
{
	crew_fini(&crew);
}

#endif
