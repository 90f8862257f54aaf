/* SPDX-License-Identifier: MIT */
/*
 * clock - monotonic nanoseconds, and how fast the processor's counter runs
 *
 * The speed is a constant of the machine that x86 does not tell everywhere, so
 * it is measured against CLOCK_MONOTONIC and kept in the only word here. Who
 * measures at the same time may differ in the last digit; the first to store
 * decides for all.
 */
#include "sched/clock.h"

#include <time.h>
#include <atomic_ops.h>

#define NS_PER_S 1000000000
#define MEASURE_NS 2000000

uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

#if defined(__x86_64__)

struct reading {
	uint64_t ticks;
	uint64_t ns;
};

/* Both clocks at once: the tightest of a few tries, as we may lose the
   processor in any of them. */
static struct reading read_both(void)
{
	struct reading best = {0, 0};
	uint64_t tightest = UINT64_MAX;

	for (int i = 0; i < 16; i++) {
		uint64_t before = clock_ticks();
		uint64_t ns = clock_ns();
		uint64_t width = clock_ticks() - before;

		if (width < tightest) {
			tightest = width;
			best.ticks = before + width / 2;
			best.ns = ns;
		}
	}
	return best;
}

static uint64_t measure(void)
{
	struct timespec pause = {.tv_nsec = MEASURE_NS};
	struct reading start = read_both();
	struct reading end;
	uint64_t ns;

	/* A signal makes it shorter; no time at all would be no measure. */
	do {
		nanosleep(&pause, NULL);
		end = read_both();
		ns = end.ns - start.ns;
	} while (ns < MEASURE_NS);
	return ((end.ticks - start.ticks) * 1024 + ns / 2) / ns;
}

#elif defined(__aarch64__)

static uint64_t measure(void)
{
	uint64_t hz;

	__asm__("mrs %0, cntfrq_el0" : "=r"(hz));
	return ((hz & UINT32_MAX) * 1024 + NS_PER_S / 2) / NS_PER_S;
}

#else

static uint64_t measure(void)
{
	return 1024;
}

#endif

uint64_t clock_ticks_per_1024ns(void)
{
	static AO_t known; /* 0 until measured, then constant */
	AO_t measured;

	/* Relaxed: the word is all there is. */
	if (AO_load(&known))
		return AO_load(&known);
	measured = (AO_t)measure();
	/* A counter slower than a tick per 2 us is taken for one of that. */
	AO_compare_and_swap(&known, 0, measured ? measured : 1);
	return AO_load(&known);
}
