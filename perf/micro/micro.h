/* SPDX-License-Identifier: MIT */
/*
 * micro - what a micro-benchmark is: a function that does an operation n times
 *
 * It sets how long that took and how many operations it was, and checks that
 * they happened. One part of the engine each, by its internal header, so that
 * a change of a scenario's number can be traced to the part that moved.
 */
#ifndef ROTA_PERF_MICRO_H
#define ROTA_PERF_MICRO_H

#include <stdint.h>

#include "perf/bench/measure.h"

struct micro_run {
	uint64_t n;
	uint64_t start_ns;
	uint64_t start_thread_ns;
	uint64_t took_ns;
	uint64_t ops;
};

struct micro {
	const char *name;
	const char *what;
	uint64_t n;
	void (*run)(struct micro_run *run);
};

/* Each ended by name == NULL. */
extern const struct micro micros_clock[];
extern const struct micro micros_context[];
extern const struct micro micros_floor[];
extern const struct micro micros_mailbox[];
extern const struct micro micros_memory[];
extern const struct micro micros_park[];
extern const struct micro micros_queue[];
extern const struct micro micros_spawn[];
extern const struct micro micros_stack[];
extern const struct micro micros_timer[];

static inline void micro_start(struct micro_run *run)
{
	run->start_thread_ns = measure_thread_ns();
	run->start_ns = measure_ns();
}

/* What one thread did: its processor time, whoever else used the machine. */
static inline void micro_stop(struct micro_run *run, uint64_t ops)
{
	run->took_ns = measure_thread_ns() - run->start_thread_ns;
	run->ops = ops;
}

/* What several threads did together: the time that passed. */
static inline void micro_stop_threads(struct micro_run *run, uint64_t ops)
{
	run->took_ns = measure_ns() - run->start_ns;
	run->ops = ops;
}

_Noreturn void micro_fail(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

/* Fail unless it holds; unlike assert() in every build. */
#define micro_check(condition) \
	((condition)           \
		 ? (void)0     \
		 : micro_fail("%s:%d: %s", __FILE__, __LINE__, #condition))

#endif
