/* SPDX-License-Identifier: MIT */
/*
 * all - every scenario with one worker and with two, against its budget
 *
 * Runs with one worker and with two alternate, and the cost of the second
 * worker is the median of the ratios of such pairs: what drifts on the machine
 * drifts in both. Medians of single runs (--repeat 1) are what they are: on a
 * shared machine nothing to quote.
 */
#include <stdio.h>
#include <stdlib.h>

#include "perf/bench/bench.h"

#define MAX_COUNTS 2
#define MAX_PAIRS 64

/* What is left to say after the last row. */
struct pairs {
	const char *scenario[MAX_PAIRS];
	double ratio[MAX_PAIRS];
	size_t n;
};

static unsigned all_repeat(const struct bench_options *options)
{
	if (options->repeat != 0)
		return options->repeat;
	return options->quick ? 1 : 3;
}

static size_t worker_counts(const struct scenario *scenario,
			    const struct bench_options *options,
			    unsigned counts[MAX_COUNTS])
{
	counts[0] = 1;
	counts[1] = 2;
	if (scenario->workers != 0)
		counts[0] = scenario->workers;
	else if (options->workers != 0)
		counts[0] = options->workers;
	else if (scenario->flags & SCENARIO_PARALLEL)
		counts[0] = 2;
	else
		return 2;
	return 1;
}

static void pairs_add(struct pairs *pairs, const struct scenario *scenario,
		      const struct outcome *one, const struct outcome *two,
		      unsigned n)
{
	double *ratios = bench_alloc(n, sizeof(*ratios));

	if (pairs->n == MAX_PAIRS)
		bench_fail("more than %d scenarios", MAX_PAIRS);
	for (unsigned i = 0; i < n; i++)
		ratios[i] = two[i].ns_per_op / one[i].ns_per_op;
	pairs->scenario[pairs->n] = scenario->name;
	pairs->ratio[pairs->n++] = measure_median(ratios, n);
	free(ratios);
}

static void all_one(const struct scenario *scenario,
		    const struct bench_options *options, struct pairs *pairs)
{
	unsigned counts[MAX_COUNTS], repeat = all_repeat(options);
	size_t n_counts = worker_counts(scenario, options, counts);
	struct outcome *outcomes =
		bench_alloc((size_t)repeat * MAX_COUNTS, sizeof(*outcomes));

	for (unsigned i = 0; i < repeat; i++)
		for (size_t k = 0; k < n_counts; k++) {
			struct outcome *o = &outcomes[k * repeat + i];

			bench_run(scenario, counts[k], options, o);
			if (options->json)
				report_run(o, i + 1, true);
		}
	for (size_t k = 0; k < n_counts; k++) {
		struct outcome median;

		outcome_median(&outcomes[k * repeat], repeat, &median);
		report_table_row(&median, repeat, options->json);
	}
	if (n_counts == 2 && (scenario->flags & SCENARIO_MESSAGES))
		pairs_add(pairs, scenario, outcomes, outcomes + repeat, repeat);
	free(outcomes);
}

static void pairs_report(const struct pairs *pairs, bool json)
{
	if (pairs->n != 0 && !json)
		printf("second worker\n");
	for (size_t i = 0; i < pairs->n; i++)
		report_second_worker(pairs->scenario[i], pairs->ratio[i], json);
}

void bench_all(const struct bench_options *options)
{
	struct pairs pairs = {.n = 0};

	if (!options->json)
		report_table_head();
	for (size_t i = 0; scenarios[i] != NULL; i++)
		all_one(scenarios[i], options, &pairs);
	pairs_report(&pairs, options->json);
}
