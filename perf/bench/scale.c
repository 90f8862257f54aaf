/* SPDX-License-Identifier: MIT */
/*
 * scale - the same work with 1, 2, … all workers, drawn as speed-up
 *
 * The work does not grow with the workers. The line lies if the machine has
 * fewer free cores than the engine has workers; the dotted line is what as
 * many cores could do at best. gnuplot reads data and drawing from a pipe.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/bench/bench.h"

#define DEFAULT_SVG "rota-scale.svg"
#define MAX_LINES 32

struct line {
	const struct scenario *scenario;
	double *seconds; /* [workers - 1] */
};

struct plot {
	unsigned workers;
	struct line lines[MAX_LINES];
	size_t n_lines;
};

/* All workers: what --workers says, else what an engine starts by itself. */
static unsigned all_workers(const struct bench_options *options)
{
	rota_engine *engine;
	unsigned workers = options->workers;

	if (workers != 0)
		return workers;
	engine = rota_start(NULL);
	if (engine == NULL)
		bench_fail("rota_start: %s", strerror(errno));
	workers = rota_workers(engine);
	if (rota_stop(engine, ROTA_S(10)) != 0)
		bench_fail("rota_stop of an idle engine");
	return workers;
}

static void line_measure(struct line *line, unsigned workers,
			 const struct bench_options *options)
{
	unsigned repeat = options->repeat != 0 ? options->repeat : 3;
	struct outcome *outcomes = bench_alloc(repeat, sizeof(*outcomes));
	struct outcome median;

	for (unsigned i = 0; i < repeat; i++)
		bench_run(line->scenario, workers, options, &outcomes[i]);
	outcome_median(outcomes, repeat, &median);
	free(outcomes);
	line->seconds[workers - 1] = median.seconds;
	if (median.n_metrics < RUN_METRICS) {
		struct metric *m = &median.metrics[median.n_metrics++];

		m->name = "scaling";
		m->value = line->seconds[0] / median.seconds;
	}
	report_median(&median, repeat, options->json);
}

static void plot_add(struct plot *plot, const struct scenario *scenario,
		     const struct bench_options *options)
{
	struct line *line = &plot->lines[plot->n_lines];

	if (plot->n_lines == MAX_LINES)
		bench_fail("scale draws %d scenarios at most", MAX_LINES);
	if (scenario->workers != 0)
		bench_fail("scale: %s has a fixed number of workers",
			   scenario->name);
	plot->n_lines++;
	line->scenario = scenario;
	line->seconds = bench_alloc(plot->workers, sizeof(*line->seconds));
	for (unsigned workers = 1; workers <= plot->workers; workers++)
		line_measure(line, workers, options);
}

/* A string of gnuplot: a quote inside single quotes is doubled. */
static void put_quoted(FILE *out, const char *text)
{
	fputc('\'', out);
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			fputc('\'', out);
		fputc(*text, out);
	}
	fputc('\'', out);
}

static void put_data(FILE *out, const struct plot *plot)
{
	for (size_t i = 0; i < plot->n_lines; i++) {
		const double *seconds = plot->lines[i].seconds;

		fprintf(out, "$line%zu << END\n", i);
		for (unsigned w = 1; w <= plot->workers; w++)
			fprintf(out, "%u %.6f\n", w,
				seconds[0] / seconds[w - 1]);
		fprintf(out, "END\n");
	}
}

static void put_drawing(FILE *out, const struct plot *plot, const char *svg)
{
	fprintf(out, "set terminal svg size 800,560 background 'white'\n"
		     "set output ");
	put_quoted(out, svg);
	fprintf(out,
		"\nset xlabel 'workers'\nset ylabel 'speed-up'\n"
		"set xtics 1\nset grid\nset key left top\n"
		"set xrange [0.8:%u.2]\nset yrange [0:*]\n"
		"plot x with lines dashtype 3 linecolor 'gray' "
		"title 'as many cores'",
		plot->workers);
	for (size_t i = 0; i < plot->n_lines; i++) {
		fprintf(out, ", $line%zu with linespoints title ", i);
		put_quoted(out, plot->lines[i].scenario->name);
	}
	fprintf(out, "\n");
}

/* Before anything is measured: can the drawing be written? */
static void svg_create(const char *svg)
{
	FILE *f = fopen(svg, "w");

	if (f == NULL || fclose(f) != 0)
		bench_fail("%s: %s", svg, strerror(errno));
}

static void plot_draw(const struct plot *plot, const char *svg)
{
	FILE *out = popen("gnuplot 1>&2", "w");

	if (out == NULL)
		bench_fail("gnuplot: %s", strerror(errno));
	put_data(out, plot);
	put_drawing(out, plot, svg);
	if (pclose(out) != 0)
		bench_fail("gnuplot did not draw %s", svg);
}

void bench_scale(const struct scenario *const *chosen,
		 const struct bench_options *options)
{
	const char *svg = options->svg != NULL ? options->svg : DEFAULT_SVG;
	bool is_default = chosen[0] == NULL;
	struct plot plot = {.workers = all_workers(options)};

	svg_create(svg);
	if (is_default)
		chosen = scenarios;
	for (size_t i = 0; chosen[i] != NULL; i++)
		if (!is_default || (chosen[i]->flags & SCENARIO_SCALES))
			plot_add(&plot, chosen[i], options);
	plot_draw(&plot, svg);
	for (size_t i = 0; i < plot.n_lines; i++)
		free(plot.lines[i].seconds);
	if (!options->json)
		printf("drawn: %s\n", svg);
}
