/* SPDX-License-Identifier: MIT */
/*
 * rota-places - shows where an engine's workers would sit, here or elsewhere
 *
 * Starts no engine: it makes the plan that rota_start() would make with the
 * same options, environment and machine.
 */
#include <argp.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rota/version.h>

#include "perf/places/places.h"
#include "sched/arrange.h"
#include "sched/chart.h"

/* argp finds it by this name: --version. */
const char *argp_program_version = "rota-places " ROTA_VERSION_STRING;

struct arguments {
	struct arrange_options plan;
	hwloc_bitmap_t cpus;
	unsigned from;
	const char *svg;
	bool json;
};

enum option_key { KEY_CPUS = 256, KEY_QUOTA, KEY_SVG, KEY_FROM, KEY_JSON };

static const struct argp_option options[] = {
	{"topology", 't', "MACHINE", 0,
	 "Plan for this machine: a synthetic description (\"pack:2 [numa] l3:2 "
	 "core:4 pu:2\") or an .xml file of lstopo (default: $ROTA_TOPOLOGY, "
	 "else the one at hand)",
	 0},
	{"workers", 'w', "N", 0,
	 "Workers (default: $ROTA_WORKERS, else as many as fit)", 0},
	{"bind", 'b', "WHERE", 0,
	 "core, thread or none (default: $ROTA_BIND, else core)", 0},
	{"cpus", KEY_CPUS, "LIST", 0,
	 "Processors that may be used, like 0,4-7 (default: the affinity)", 0},
	{"quota", KEY_QUOTA, "CPUS", 0,
	 "Processor time there is, like 1.5 (default: the cgroups' quota)", 0},
	{"from", KEY_FROM, "WORKER", 0,
	 "Whose victims the drawing has in colours (default: 0)", 0},
	{"svg", KEY_SVG, "FILE", 0, "Draw the machine (graphviz)", 0},
	{"json", KEY_JSON, NULL, 0, "One JSON object, nothing else", 0},
	{NULL, 0, NULL, 0, NULL, 0}};

static const char doc[] =
	"Show the plan of places: the machine with its caches and workers as a "
	"tree, then each worker's victims, nearest first.\v"
	"Victims are named by the closest thing that both share: core "
	"(hardware "
	"threads of one core), cache, node (NUMA), far. Where cores differ, "
	"they "
	"are fast, medium or slow. Processors and NUMA nodes have the kernel's "
	"numbers, those of taskset and numactl.\n\n"
	"XML is read by hwloc, which mangled XML may crash: plan for files of "
	"people whom you trust.";

_Noreturn void places_fail(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "rota-places: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

/* ---- arguments */

static double parse_number(struct argp_state *state, const char *what,
			   const char *text, double min, double max)
{
	char *end = NULL;
	double value = strtod(text, &end);

	if (end == text || *end != '\0' || !(value >= min && value <= max))
		argp_error(state, "--%s: %s is not a number from %g to %g",
			   what, text, min, max);
	return value;
}

static unsigned parse_count(struct argp_state *state, const char *what,
			    const char *text, unsigned min)
{
	double value = parse_number(state, what, text, min, WORKERS_MAX);

	if (value != floor(value))
		argp_error(state, "--%s: %s is not a whole number", what, text);
	return (unsigned)value;
}

static void parse_bind(struct argp_state *state, struct arrange_options *plan,
		       const char *text)
{
	plan->each_thread = strcmp(text, "thread") == 0;
	plan->unbound = strcmp(text, "none") == 0;
	if (plan->each_thread || plan->unbound)
		return;
	if (strcmp(text, "core") != 0)
		argp_error(state, "--bind: %s is not core, thread or none",
			   text);
	unsetenv("ROTA_BIND");
}

static void parse_cpus(struct argp_state *state, struct arguments *arguments,
		       const char *text)
{
	hwloc_bitmap_t cpus = hwloc_bitmap_alloc();

	/* hwloc takes an end for a number that it cannot read. */
	if (cpus == NULL || text[strspn(text, "0123456789,-")] != '\0' ||
	    hwloc_bitmap_list_sscanf(cpus, text) < 0 ||
	    hwloc_bitmap_iszero(cpus))
		argp_error(state, "--cpus: %s is not a list like 0,4-7", text);
	hwloc_bitmap_free(arguments->cpus);
	arguments->plan.allowed = arguments->cpus = cpus;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case 't':
		arguments->plan.topology = arg;
		return 0;
	case 'w':
		arguments->plan.n_workers =
			parse_count(state, "workers", arg, 1);
		return 0;
	case 'b':
		parse_bind(state, &arguments->plan, arg);
		return 0;
	case KEY_CPUS:
		parse_cpus(state, arguments, arg);
		return 0;
	case KEY_QUOTA:
		arguments->plan.millicpus = (unsigned)lround(
			1000 * parse_number(state, "quota", arg, 0.001, 1e6));
		return 0;
	case KEY_FROM:
		arguments->from = parse_count(state, "from", arg, 0);
		return 0;
	case KEY_SVG:
		arguments->svg = arg;
		return 0;
	case KEY_JSON:
		arguments->json = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- the plan */

static void print_tree(const struct places *places)
{
	size_t size = chart_print(places, places->n_workers, NULL, 0) + 1;
	char *text = malloc(size);

	if (text == NULL)
		places_fail("no memory for the plan");
	chart_print(places, places->n_workers, text, size);
	fputs(text, stdout);
	free(text);
}

int main(int argc, char **argv)
{
	static const struct argp argp = {options, parse_option, NULL, doc,
					 NULL,	  NULL,		NULL};
	struct arguments arguments = {.from = 0};
	struct places places;
	char complaint[256];

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	if (arrange(&places, &arguments.plan, complaint, sizeof(complaint)) !=
	    0)
		places_fail("%s", complaint);
	if (complaint[0] != '\0')
		fprintf(stderr, "rota-places: %s\n", complaint);
	if (arguments.from >= places.n_workers)
		places_fail("there is no worker %u: the plan has %u",
			    arguments.from, places.n_workers);
	if (arguments.svg != NULL)
		places_draw(&places, arguments.from, arguments.svg);
	if (arguments.json)
		places_json(&places);
	else
		print_tree(&places);
	places_fini(&places);
	hwloc_bitmap_free(arguments.cpus);
	/* An earlier write may be what failed. */
	if (fflush(stdout) != 0 || ferror(stdout))
		places_fail("standard output cannot be written");
	return 0;
}
