/* SPDX-License-Identifier: MIT */
/*
 * clock - monotonic nanoseconds, cheaply
 */
#ifndef ROTA_SCHED_CLOCK_H
#define ROTA_SCHED_CLOCK_H

#include <stdint.h>

/*
 * The processor's own counter, in its own ticks: about 9 ns on a virtual
 * machine, as dear as a compare-and-swap. Only differences on one thread mean
 * something.
 */
static inline uint64_t clock_ticks(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t ticks;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
	return ticks;
#else
	extern uint64_t clock_ns(void);
	return clock_ns();
#endif
}

/*
 * Ticks per 1024 ns, the same for every caller. Measured by the first ones on
 * x86 (2 ms asleep), told by the processor on aarch64.
 */
uint64_t clock_ticks_per_1024ns(void);

/* CLOCK_MONOTONIC. */
uint64_t clock_ns(void);

/* A deadline that never comes, and the wait that has none. */
#define CLOCK_NEVER UINT64_MAX
#define CLOCK_FOREVER INT64_MAX

/* When @within nanoseconds will have passed; less than 0 counts as 0. */
static inline uint64_t clock_deadline(uint64_t now_ns, int64_t within)
{
	if (within == CLOCK_FOREVER)
		return CLOCK_NEVER;
	return within > 0 ? now_ns + (uint64_t)within : now_ns;
}

/* How long it is until then: 0 it has come, CLOCK_FOREVER it never does. */
static inline int64_t clock_left(uint64_t now_ns, uint64_t deadline_ns)
{
	if (deadline_ns == CLOCK_NEVER)
		return CLOCK_FOREVER;
	if (deadline_ns <= now_ns)
		return 0;
	return deadline_ns - now_ns < CLOCK_FOREVER
		       ? (int64_t)(deadline_ns - now_ns)
		       : CLOCK_FOREVER - 1;
}

#endif
