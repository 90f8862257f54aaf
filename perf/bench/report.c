/* SPDX-License-Identifier: MIT */
/*
 * report - lines of JSON for programs, lines and a table for people
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "perf/bench/bench.h"

/* Counters of the engine: in the JSON always, in a line of text on demand. */
static bool is_counter(const char *name)
{
	static const char *const names[] = {"turns",   "waits",	 "overdrafts",
					    "chained", "steals", "wakeups"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* ---- JSON */

static void json_put(json_t *object, const char *key, json_t *value)
{
	if (object == NULL || value == NULL ||
	    json_object_set_new(object, key, value) != 0)
		bench_fail("no memory for a line of JSON");
}

static void json_put_number(json_t *object, const char *key, double value)
{
	/* JSON has no word for what is not a number. */
	if (!isfinite(value))
		json_put(object, key, json_null());
	else if (fabs(value) < 1e15 && value == floor(value))
		json_put(object, key, json_integer((json_int_t)value));
	else
		json_put(object, key, json_real(value));
}

static void json_print(json_t *object)
{
	char *line = json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER |
						JSON_REAL_PRECISION(7));

	if (line == NULL)
		bench_fail("no memory for a line of JSON");
	puts(line);
	fflush(stdout);
	free(line);
	json_decref(object);
}

static json_t *json_outcome(const struct outcome *outcome)
{
	json_t *object = json_object();

	json_put(object, "scenario", json_string(outcome->scenario->name));
	json_put(object, "workers", json_integer(outcome->workers));
	json_put(object, "n", json_integer((json_int_t)outcome->n));
	json_put_number(object, "seconds", outcome->seconds);
	json_put_number(object, "ns_per_op", outcome->ns_per_op);
	json_put_number(object, "c_ns", outcome->c_ns);
	json_put_number(object, "ratio", outcome->ratio);
	json_put(object, "op", json_string(outcome->scenario->unit));
	for (size_t i = 0; i < outcome->n_metrics; i++)
		json_put_number(object, outcome->metrics[i].name,
				outcome->metrics[i].value);
	return object;
}

/* ---- lines of text */

static void text_outcome(const struct outcome *outcome, const char *label)
{
	printf("%-18s %2u workers  n %-10llu %s %8.3f s %9.1f ns/%s"
	       " = %.2f c (c %.1f ns)",
	       outcome->scenario->name, outcome->workers,
	       (unsigned long long)outcome->n, label, outcome->seconds,
	       outcome->ns_per_op, outcome->scenario->unit, outcome->ratio,
	       outcome->c_ns);
	for (size_t i = 0; i < outcome->n_metrics; i++)
		if (!is_counter(outcome->metrics[i].name))
			printf("  %s %.6g", outcome->metrics[i].name,
			       outcome->metrics[i].value);
	putchar('\n');
	fflush(stdout);
}

void report_run(const struct outcome *outcome, unsigned repeat, bool json)
{
	if (json) {
		json_t *object = json_outcome(outcome);

		json_put(object, "run", json_integer(repeat));
		json_print(object);
	} else {
		char label[32];

		snprintf(label, sizeof(label), "run %-3u", repeat);
		text_outcome(outcome, label);
	}
}

void report_median(const struct outcome *median, unsigned n_runs, bool json)
{
	if (json) {
		json_t *object = json_outcome(median);

		json_put(object, "median_of", json_integer(n_runs));
		json_print(object);
	} else {
		text_outcome(median, "median ");
	}
}

/* ---- the table */

/* Which of the two bounds of a budget speaks of this row. */
static double budget_limit(const struct budget *budget,
			   const struct outcome *outcome)
{
	if (outcome->workers < 1 || outcome->workers > 2)
		return 0;
	return budget->limit[outcome->workers - 1];
}

static double budget_reach(const struct budget *budget,
			   const struct outcome *outcome)
{
	if (outcome->workers < 1 || outcome->workers > 2)
		return 0;
	return budget->reach[outcome->workers - 1];
}

static bool budget_is_kept(const struct budget *budget, double limit,
			   double value)
{
	if (isnan(value))
		return false;
	return budget->at_least ? value >= limit : value <= limit;
}

static const struct budget *budget_of(const struct outcome *outcome,
				      const char *figure)
{
	const struct budget *budget = outcome->scenario->budgets;

	for (; budget != NULL && budget->figure != NULL; budget++)
		if (strcmp(budget->figure, figure) == 0 &&
		    budget_limit(budget, outcome) > 0)
			return budget;
	return NULL;
}

void report_table_head(void)
{
	printf("%-26s %7s %11s %9s  %-22s %s\n", "scenario", "workers",
	       "ns per op", "ratio", "budget", "");
	fflush(stdout);
}

/* Time in which nobody of ours ran, though there was work: others did. */
static const char *table_note(const struct outcome *outcome)
{
	double cpu = outcome_figure(outcome, "cpu_ns_per_op");

	return cpu < 0.9 * outcome->ns_per_op ? " (machine was busy)" : "";
}

static void table_budget(const struct budget *budget,
			 const struct outcome *outcome)
{
	double limit, reach;
	char text[64];
	bool is_kept;

	if (budget == NULL) {
		printf("  %-22s%s\n", "-", table_note(outcome));
		return;
	}
	limit = budget_limit(budget, outcome);
	reach = budget_reach(budget, outcome);
	if (reach > 0)
		snprintf(text, sizeof(text), "%s %g, reach %g",
			 budget->at_least ? ">=" : "<=", limit, reach);
	else
		snprintf(text, sizeof(text), "%s %g",
			 budget->at_least ? ">=" : "<=", limit);
	is_kept = budget_is_kept(budget, limit,
				 outcome_figure(outcome, budget->figure));
	printf("  %-22s %s%s\n", text, is_kept ? "ok" : "OVER",
	       strcmp(budget->figure, "ratio") == 0 ? table_note(outcome) : "");
}

static void table_text(const struct outcome *median)
{
	const struct budget *budget = median->scenario->budgets;

	printf("%-26s %7u %11.1f %7.2f c", median->scenario->name,
	       median->workers, median->ns_per_op, median->ratio);
	table_budget(budget_of(median, "ratio"), median);
	for (; budget != NULL && budget->figure != NULL; budget++) {
		if (strcmp(budget->figure, "ratio") == 0 ||
		    budget_limit(budget, median) <= 0)
			continue;
		printf("  %-24s %7u %11s %9.4g", budget->figure,
		       median->workers, "",
		       outcome_figure(median, budget->figure));
		table_budget(budget, median);
	}
	fflush(stdout);
}

static json_t *json_budgets(const struct outcome *median)
{
	const struct budget *budget = median->scenario->budgets;
	json_t *list = json_array();

	for (; budget != NULL && budget->figure != NULL; budget++) {
		double limit = budget_limit(budget, median);
		double value = outcome_figure(median, budget->figure);
		json_t *item;

		if (limit <= 0)
			continue;
		item = json_object();
		json_put(item, "figure", json_string(budget->figure));
		json_put_number(item, "value", value);
		json_put_number(item, budget->at_least ? "min" : "max", limit);
		json_put(item, "ok",
			 json_boolean(budget_is_kept(budget, limit, value)));
		if (json_array_append_new(list, item) != 0)
			bench_fail("no memory for a line of JSON");
	}
	return list;
}

void report_table_row(const struct outcome *median, unsigned n_runs, bool json)
{
	json_t *object;

	if (!json) {
		table_text(median);
		return;
	}
	object = json_outcome(median);
	json_put(object, "median_of", json_integer(n_runs));
	json_put(object, "budgets", json_budgets(median));
	json_print(object);
}

#define SECOND_WORKER_LIMIT 1.05

void report_second_worker(const char *scenario, double ratio, bool json)
{
	bool is_kept = ratio <= SECOND_WORKER_LIMIT;
	json_t *object;

	if (!json) {
		printf("  %-24s %7s %11s %9.3f  <= %-19g %s\n", scenario,
		       "2 / 1", "", ratio, SECOND_WORKER_LIMIT,
		       is_kept ? "ok" : "OVER");
		fflush(stdout);
		return;
	}
	object = json_object();
	json_put(object, "second_worker", json_string(scenario));
	json_put_number(object, "two_over_one", ratio);
	json_put_number(object, "max", SECOND_WORKER_LIMIT);
	json_put(object, "ok", json_boolean(is_kept));
	json_print(object);
}
