/* SPDX-License-Identifier: MIT */
/*
 * yardstick - what a machine gives to plain threads that do the same work
 *
 * Alone, processor time counts: what a thread needs that has a processor for
 * itself. Beside others, elapsed time does: what is lost to others is what is
 * asked for. The numbers would lie if the threads did not work at the same
 * time, or if one did not count what it waits for a processor: they start
 * together, and the time of each begins when the last of them is ready.
 */
#include <pthread.h>
#include <stdlib.h>

#include "perf/bench/yardstick.h"

struct beside {
	const struct yardstick *y;
	pthread_barrier_t *start;
	pthread_t thread;
	unsigned number;
	uint64_t ready_ns;
	uint64_t end_ns;
	uint64_t result;
};

static void prepare(const struct yardstick *y, unsigned thread)
{
	if (y->prepare != NULL)
		y->prepare(y->argument, thread);
}

static void *beside_main(void *argument)
{
	struct beside *b = argument;

	prepare(b->y, b->number);
	b->ready_ns = measure_ns();
	pthread_barrier_wait(b->start);
	b->result = b->y->work(b->y->argument, b->number);
	b->end_ns = measure_ns();
	return NULL;
}

static uint64_t alone_ns(const struct yardstick *y)
{
	uint64_t start;

	prepare(y, 0);
	start = measure_thread_ns();
	measure_sink = y->work(y->argument, 0);
	return measure_thread_ns() - start;
}

static void work_beside(const struct yardstick *y, struct beside *all,
			unsigned n_threads)
{
	pthread_barrier_t start;
	int error = pthread_barrier_init(&start, NULL, n_threads);

	if (error != 0)
		bench_fail_call("pthread_barrier_init", -error);
	for (unsigned i = 0; i < n_threads; i++) {
		all[i] = (struct beside){.y = y, .start = &start, .number = i};
		error = pthread_create(&all[i].thread, NULL, beside_main,
				       &all[i]);
		if (error != 0)
			bench_fail_call("pthread_create", -error);
	}
	for (unsigned i = 0; i < n_threads; i++)
		pthread_join(all[i].thread, NULL);
	pthread_barrier_destroy(&start);
}

static double speeds(const struct yardstick *y, unsigned n_threads,
		     uint64_t alone)
{
	struct beside *all = bench_alloc(n_threads, sizeof(*all));
	uint64_t start = 0;
	double sum = 0;

	work_beside(y, all, n_threads);
	for (unsigned i = 0; i < n_threads; i++)
		if (all[i].ready_ns > start)
			start = all[i].ready_ns;
	for (unsigned i = 0; i < n_threads; i++) {
		sum += (double)alone / (double)(all[i].end_ns - start);
		measure_sink = all[i].result;
	}
	free(all);
	return sum;
}

void yardstick_measure(struct yardstick *y, unsigned n_threads)
{
	uint64_t alone = alone_ns(y);

	y->alone_ns += (double)alone * y->share;
	y->machine += speeds(y, n_threads, alone);
	y->n++;
}

void yardstick_report(const struct yardstick *y, struct run *run)
{
	double speedup = y->alone_ns / y->n / (double)run->elapsed_ns;
	double machine = y->machine / y->n;

	run_metric(run, "speedup", speedup);
	run_metric(run, "machine", machine);
	run_metric(run, "of_machine", speedup / machine);
}
