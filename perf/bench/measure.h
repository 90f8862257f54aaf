/* SPDX-License-Identifier: MIT */
/*
 * measure - the clock, the unit c, and the few statistics that benchmarks need
 */
#ifndef ROTA_PERF_MEASURE_H
#define ROTA_PERF_MEASURE_H

#include <stddef.h>
#include <stdint.h>

/* CLOCK_MONOTONIC in nanoseconds; the same on all cores. */
uint64_t measure_ns(void);

/* Processor time of the whole process, all threads, in nanoseconds. */
uint64_t measure_cpu_ns(void);

/* Processor time of the calling thread, in nanoseconds. */
uint64_t measure_thread_ns(void);

/* Sleep; signals do not shorten it. */
void measure_pause(uint64_t ns);

/*
 * The unit of the budgets: nanoseconds of one uncontended load plus
 * compare-and-swap, each depending on the one before. Takes about 10 ms.
 */
double measure_c(void);

/* Resident bytes of this process. */
uint64_t measure_rss(void);

/* The middle value; of an even number the mean of the two. Sorts @values. */
double measure_median(double *values, size_t n_values);

/* @sorted ascending, 0 <= @p <= 1; nearest rank below, as the peers do. */
uint64_t measure_quantile(const uint64_t *sorted, size_t n, double p);

/*
 * What one sees at a random instant: the sample in which the given share of
 * all the time has passed. @sorted ascending.
 */
uint64_t measure_weighted(const uint64_t *sorted, size_t n, double p);

void measure_sort(uint64_t *values, size_t n);

/* Compute without memory; the result depends on every step. */
static inline uint64_t measure_work(uint64_t steps, uint64_t x)
{
	for (uint64_t i = 0; i < steps; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
	}
	return x;
}

/* One step of the same generator, for addresses drawn by chance. */
static inline uint64_t measure_random(uint64_t *state)
{
	*state = measure_work(1, *state);
	return *state >> 33;
}

/* How many steps of measure_work() take @ns; best of 20 tries. */
uint64_t measure_steps(uint64_t ns);

/* Where results go that nobody reads, so that they must be computed. */
extern volatile uint64_t measure_sink;

#endif
