/* SPDX-License-Identifier: MIT */
/*
 * measure - the clock, the unit c, and the few statistics that benchmarks need
 *
 * c would lie if the compiler could keep the word in a register (the atomics
 * forbid it), if its line were shared with anything that is written (it has
 * one of its own), or if time counted in which another process had the
 * processor (it is processor time, and the median of chunks).
 */
#include <math.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <atomic_ops.h>

#include "perf/bench/measure.h"

#define C_CHUNKS 9
#define C_STEPS 100000

volatile uint64_t measure_sink;

static uint64_t clock_read(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t measure_ns(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

uint64_t measure_cpu_ns(void)
{
	return clock_read(CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t measure_thread_ns(void)
{
	return clock_read(CLOCK_THREAD_CPUTIME_ID);
}

void measure_pause(uint64_t ns)
{
	uint64_t until = measure_ns() + ns;
	struct timespec t = {.tv_sec = (time_t)(until / 1000000000u),
			     .tv_nsec = (long)(until % 1000000000u)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0)
		;
}

double measure_c(void)
{
	static struct {
		alignas(128) volatile AO_t word;
		char rest[120];
	} line;
	double chunks[C_CHUNKS];

	for (size_t chunk = 0; chunk < C_CHUNKS; chunk++) {
		uint64_t start = measure_thread_ns();

		for (unsigned i = 0; i < C_STEPS; i++) {
			/* Relaxed load: a benchmark of one thread. */
			AO_t seen = AO_load(&line.word);

			AO_compare_and_swap_full(&line.word, seen, seen + 1);
		}
		chunks[chunk] = (double)(measure_thread_ns() - start) / C_STEPS;
	}
	return measure_median(chunks, C_CHUNKS);
}

/* The kernel's exact figure: the one in status lags by a batch per thread. */
static uint64_t rss_exact(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	unsigned long long kib = 0;
	char line[256];

	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "Rss: %llu kB", &kib) == 1)
			break;
	fclose(f);
	return (uint64_t)kib * 1024;
}

uint64_t measure_rss(void)
{
	uint64_t exact = rss_exact();
	unsigned long long size = 0, resident = 0;
	FILE *f;

	if (exact != 0)
		return exact;
	f = fopen("/proc/self/statm", "r");
	if (f == NULL)
		return 0;
	if (fscanf(f, "%llu %llu", &size, &resident) != 2)
		resident = 0;
	fclose(f);
	return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	/* What could not be measured counts as worst. */
	if (isnan(x) || isnan(y))
		return !!isnan(x) - !!isnan(y);
	return (x > y) - (x < y);
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

double measure_median(double *values, size_t n_values)
{
	qsort(values, n_values, sizeof(*values), compare_double);
	if (n_values % 2 != 0)
		return values[n_values / 2];
	return (values[n_values / 2 - 1] + values[n_values / 2]) / 2;
}

void measure_sort(uint64_t *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare_u64);
}

uint64_t measure_quantile(const uint64_t *sorted, size_t n, double p)
{
	return sorted[(size_t)(p * (double)(n - 1))];
}

uint64_t measure_weighted(const uint64_t *sorted, size_t n, double p)
{
	double total = 0, sum = 0;

	for (size_t i = 0; i < n; i++)
		total += (double)sorted[i];
	for (size_t i = 0; i < n; i++) {
		sum += (double)sorted[i];
		if (sum >= p * total)
			return sorted[i];
	}
	return sorted[n - 1];
}

uint64_t measure_steps(uint64_t ns)
{
	const uint64_t steps = 100000;
	double best = 1e18;

	for (unsigned try = 0; try < 20; try++) {
		uint64_t start = measure_thread_ns();
		double each;

		measure_sink = measure_work(steps, 88172645463325252u + try);
		each = (double)(measure_thread_ns() - start) / (double)steps;
		if (each < best)
			best = each;
	}
	return (uint64_t)((double)ns / best) + 1;
}
