/* SPDX-License-Identifier: MIT */
/*
 * rota-bench - measures the engine, and checks that it did the work
 */
#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rota/version.h>

#include "perf/bench/bench.h"

/* argp finds it by this name: --version. */
const char *argp_program_version = "rota-bench " ROTA_VERSION_STRING;

#define MAX_CHOSEN 32

enum command { COMMAND_RUN, COMMAND_ALL, COMMAND_SCALE, COMMAND_LIST };

struct arguments {
	enum command command;
	bool has_command;
	const struct scenario *chosen[MAX_CHOSEN + 1]; /* ended by NULL */
	size_t n_chosen;
	struct bench_options options;
};

enum option_key {
	KEY_LIST = 256,
	KEY_RECEIVERS,
	KEY_ACTORS,
	KEY_STATE,
	KEY_SECONDS,
	KEY_LIMIT,
	KEY_SVG,
	KEY_QUICK,
	KEY_HERE,
	KEY_JSON
};

static const struct argp_option options[] = {
	{"workers", 'w', "N", 0,
	 "Worker threads (default: one per core; with all: 1 and 2)", 0},
	{"n", 'n', "N", 0,
	 "Size: round trips, messages, actors, ... (k, M and G are powers of "
	 "ten)",
	 0},
	{"mailbox", 'm', "K", 0, "Capacity of mailboxes (default: 64)", 0},
	{"repeat", 'r', "R", 0,
	 "Runs, each with an engine of its own (default: 1; all and scale: 3; "
	 "all --quick: 1)",
	 0},
	{"receivers", KEY_RECEIVERS, "N", 0,
	 "Receivers of fjthroughput (default: 60)", 0},
	{"actors", KEY_ACTORS, "N", 0,
	 "Actors of ring, mpsc (senders), big, chameneos, latency, random, "
	 "reads, scatter; threads of cell (default: 1, 2, 4 and 8)",
	 0},
	{"state", KEY_STATE, "BYTES", 0, "State of an idle actor (default: 48)",
	 0},
	{"seconds", KEY_SECONDS, "S", 0,
	 "How long latency measures at most and wakeup idles", 0},
	{"limit", KEY_LIMIT, "S", 0,
	 "A wait longer than this is a hang (default: 600)", 0},
	{"svg", KEY_SVG, "FILE", 0,
	 "scale: where to draw (default: rota-scale.svg)", 0},
	{"json", KEY_JSON, NULL, 0,
	 "One JSON object per run and line, nothing else", 0},
	{"quick", KEY_QUICK, NULL, 0, "Small sizes; all in under a minute", 0},
	{"here", KEY_HERE, NULL, 0,
	 "No worker threads: the main thread drives while it waits", 0},
	{"list", KEY_LIST, NULL, 0, "List the scenarios and their sizes", 0},
	{NULL, 0, NULL, 0, NULL, 0}};

static const char doc[] =
	"Measure rota. SCENARIO is a name from --list, or its part before the "
	"slash for all of that kind.\v"
	"all prints a table of every scenario beside its budget. scale runs "
	"1 ... all workers and draws the speed-up (gnuplot). c is the cost of "
	"one uncontended load-plus-CAS in this process, measured before and "
	"after each run; ratio is ns per operation / c. Every scenario checks "
	"its own counts; a wrong one ends with status 1.";

static const char args_doc[] = "SCENARIO...\nall\nscale [SCENARIO...]";

/* ---- numbers */

static double suffix_factor(const char *suffix)
{
	if (strcmp(suffix, "") == 0)
		return 1;
	if (strcmp(suffix, "k") == 0)
		return 1e3;
	if (strcmp(suffix, "M") == 0)
		return 1e6;
	if (strcmp(suffix, "G") == 0)
		return 1e9;
	return NAN;
}

static double parse_number(struct argp_state *state, const char *what,
			   const char *text, double min, double max)
{
	char *end = NULL;
	double value = strtod(text, &end);

	value *= suffix_factor(end);
	if (end == text || !(value >= min && value <= max))
		argp_error(state, "--%s: %s is not a number from %g to %g",
			   what, text, min, max);
	return value;
}

/* ---- names */

static void choose(struct arguments *arguments, const struct scenario *scenario)
{
	if (arguments->n_chosen < MAX_CHOSEN)
		arguments->chosen[arguments->n_chosen++] = scenario;
}

/* NAME itself, else all whose names begin with "NAME/". */
static bool choose_by_name(struct arguments *arguments, const char *name)
{
	size_t length = strlen(name), before = arguments->n_chosen;

	for (size_t i = 0; scenarios[i] != NULL; i++)
		if (strcmp(scenarios[i]->name, name) == 0) {
			choose(arguments, scenarios[i]);
			return true;
		}
	for (size_t i = 0; scenarios[i] != NULL; i++)
		if (strncmp(scenarios[i]->name, name, length) == 0 &&
		    scenarios[i]->name[length] == '/')
			choose(arguments, scenarios[i]);
	return arguments->n_chosen > before;
}

static void parse_name(struct argp_state *state, struct arguments *arguments,
		       const char *name)
{
	if (!arguments->has_command && strcmp(name, "all") == 0)
		arguments->command = COMMAND_ALL;
	else if (!arguments->has_command && strcmp(name, "scale") == 0)
		arguments->command = COMMAND_SCALE;
	else if (arguments->command == COMMAND_ALL)
		argp_error(state, "all takes no scenario");
	else if (!choose_by_name(arguments, name))
		argp_error(state, "no scenario %s (see --list)", name);
	arguments->has_command = true;
}

static void parse_end(struct argp_state *state,
		      const struct arguments *arguments)
{
	if (arguments->command == COMMAND_RUN && arguments->n_chosen == 0)
		argp_usage(state);
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	struct bench_options *o = &arguments->options;

	/* This is long because it has a case per option. */
	switch (key) {
	case 'w':
		o->workers =
			(unsigned)parse_number(state, "workers", arg, 1, 1024);
		return 0;
	case 'n':
		o->n = (uint64_t)parse_number(state, "n", arg, 1, 1e15);
		return 0;
	case 'm':
		o->mailbox = (unsigned)parse_number(state, "mailbox", arg, 1,
						    ROTA_MAX_MAILBOX);
		return 0;
	case 'r':
		o->repeat =
			(unsigned)parse_number(state, "repeat", arg, 1, 10000);
		return 0;
	case KEY_RECEIVERS:
		o->actors =
			(uint64_t)parse_number(state, "receivers", arg, 1, 1e7);
		return 0;
	case KEY_ACTORS:
		o->actors =
			(uint64_t)parse_number(state, "actors", arg, 2, 1e8);
		return 0;
	case KEY_STATE:
		o->state = (size_t)parse_number(state, "state", arg, 8,
						ROTA_MAX_STATE);
		return 0;
	case KEY_SECONDS:
		o->seconds = parse_number(state, "seconds", arg, 0.01, 1e6);
		return 0;
	case KEY_LIMIT:
		o->limit = parse_number(state, "limit", arg, 0.001, 1e9);
		return 0;
	case KEY_SVG:
		o->svg = arg;
		return 0;
	case KEY_JSON:
		o->json = true;
		return 0;
	case KEY_HERE:
		o->here = true;
		return 0;
	case KEY_QUICK:
		o->quick = true;
		return 0;
	case KEY_LIST:
		arguments->command = COMMAND_LIST;
		return 0;
	case ARGP_KEY_ARG:
		parse_name(state, arguments, arg);
		return 0;
	case ARGP_KEY_END:
		parse_end(state, arguments);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- commands */

static void command_list(void)
{
	printf("%-18s %11s %11s  %-12s %s\n", "scenario", "n", "n, quick",
	       "unit", "what");
	for (size_t i = 0; scenarios[i] != NULL; i++)
		printf("%-18s %11llu %11llu  %-12s %s\n", scenarios[i]->name,
		       (unsigned long long)scenarios[i]->n,
		       (unsigned long long)scenarios[i]->quick_n,
		       scenarios[i]->unit, scenarios[i]->what);
}

static void run_repeatedly(const struct scenario *scenario,
			   const struct bench_options *o)
{
	unsigned repeat = o->repeat != 0 ? o->repeat : 1;
	struct outcome *outcomes = bench_alloc(repeat, sizeof(*outcomes));

	for (unsigned i = 0; i < repeat; i++) {
		bench_run(scenario, o->workers, o, &outcomes[i]);
		report_run(&outcomes[i], i + 1, o->json);
	}
	if (repeat > 1 && !o->json) {
		struct outcome median;

		outcome_median(outcomes, repeat, &median);
		report_median(&median, repeat, false);
	}
	free(outcomes);
}

static void command_run(const struct arguments *arguments)
{
	for (size_t i = 0; i < arguments->n_chosen; i++)
		run_repeatedly(arguments->chosen[i], &arguments->options);
}

int main(int argc, char **argv)
{
	static const struct argp argp = {options, parse_option, args_doc, doc,
					 NULL,	  NULL,		NULL};
	struct arguments arguments = {.options = {.limit = 600}};

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	switch (arguments.command) {
	case COMMAND_LIST:
		command_list();
		break;
	case COMMAND_ALL:
		bench_all(&arguments.options);
		break;
	case COMMAND_SCALE:
		bench_scale(arguments.chosen, &arguments.options);
		break;
	case COMMAND_RUN:
		command_run(&arguments);
		break;
	}
	/* An earlier write may be what failed. */
	if (fflush(stdout) != 0 || ferror(stdout))
		bench_fail("standard output cannot be written");
	return 0;
}
