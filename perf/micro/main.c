/* SPDX-License-Identifier: MIT */
/*
 * rota-micro - measures the engine's parts one by one
 *
 * Every number is of warm caches and predicted branches: what a part costs at
 * best, not what it costs in a program. Two numbers of one part compare
 * versions of it; a sum of parts is no scenario.
 */
#include <argp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include <rota/version.h>

#include "perf/micro/micro.h"

/* argp finds it by this name: --version. */
const char *argp_program_version = "rota-micro " ROTA_VERSION_STRING;

#define MAX_NAMES 32
#define MAX_REPEAT 1000

static const struct micro *const tables[] = {
	micros_clock,	micros_context, micros_stack, micros_memory,
	micros_mailbox, micros_queue,	micros_timer, micros_park,
	micros_spawn,	micros_floor,
};

struct arguments {
	const char *names[MAX_NAMES];
	size_t n_names;
	uint64_t n;
	unsigned repeat;
	bool json;
	bool quick;
	bool list;
};

static const char *current = "rota-micro";

_Noreturn void micro_fail(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "FAILED %s: ", current);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	_exit(1);
}

enum option_key { KEY_JSON = 256, KEY_QUICK, KEY_LIST };

static const struct argp_option options[] = {
	{"n", 'n', "N", 0, "Operations per run", 0},
	{"repeat", 'r', "R", 0, "Runs; the median is printed (default: 5)", 0},
	{"json", KEY_JSON, NULL, 0, "One JSON object per line", 0},
	{"quick", KEY_QUICK, NULL, 0, "A tenth of the operations", 0},
	{"list", KEY_LIST, NULL, 0, "List the benchmarks", 0},
	{NULL, 0, NULL, 0, NULL, 0}};

static uint64_t parse_count(struct argp_state *state, const char *text,
			    uint64_t max)
{
	char *end = NULL;
	unsigned long long value = strtoull(text, &end, 10);

	if (end == text || *end != '\0' || text[0] == '-' || value < 1 ||
	    value > max)
		argp_error(state, "%s is not a number from 1 to %llu", text,
			   (unsigned long long)max);
	return (uint64_t)value;
}

static bool is_chosen(const struct arguments *arguments,
		      const struct micro *micro)
{
	if (arguments->n_names == 0)
		return true;
	for (size_t i = 0; i < arguments->n_names; i++) {
		size_t length = strlen(arguments->names[i]);

		if (strncmp(micro->name, arguments->names[i], length) == 0 &&
		    (micro->name[length] == '\0' || micro->name[length] == '/'))
			return true;
	}
	return false;
}

static bool is_known(const char *name)
{
	struct arguments only = {.names = {name}, .n_names = 1};

	for (size_t t = 0; t < sizeof(tables) / sizeof(*tables); t++)
		for (const struct micro *m = tables[t]; m->name != NULL; m++)
			if (is_chosen(&only, m))
				return true;
	return false;
}

static void parse_name(struct argp_state *state, struct arguments *arguments,
		       const char *name)
{
	if (!is_known(name))
		argp_error(state, "no benchmark %s (see --list)", name);
	if (arguments->n_names == MAX_NAMES)
		argp_error(state, "too many names");
	arguments->names[arguments->n_names++] = name;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case 'n':
		arguments->n = parse_count(state, arg, UINT64_C(1) << 40);
		return 0;
	case 'r':
		arguments->repeat =
			(unsigned)parse_count(state, arg, MAX_REPEAT);
		return 0;
	case KEY_JSON:
		arguments->json = true;
		return 0;
	case KEY_QUICK:
		arguments->quick = true;
		return 0;
	case KEY_LIST:
		arguments->list = true;
		return 0;
	case ARGP_KEY_ARG:
		parse_name(state, arguments, arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

struct result {
	uint64_t n;
	double ns_per_op;
	double c_ns;
};

/* One run with c measured on both sides. */
static void measure_once(const struct micro *micro, uint64_t n,
			 struct result *result)
{
	struct micro_run run = {.n = n};
	double before = measure_c();

	micro->run(&run);
	if (run.ops == 0)
		micro_fail("nothing was measured");
	result->n = n;
	result->c_ns = (before + measure_c()) / 2;
	result->ns_per_op = (double)run.took_ns / (double)run.ops;
}

static void print_json(const struct micro *micro, const struct result *result,
		       unsigned repeat)
{
	json_t *object = json_pack(
		"{s:s, s:I, s:f, s:f, s:f, s:i}", "micro", micro->name, "n",
		(json_int_t)result->n, "ns_per_op", result->ns_per_op, "c_ns",
		result->c_ns, "ratio", result->ns_per_op / result->c_ns,
		"median_of", (int)repeat);
	char *line = object == NULL
			     ? NULL
			     : json_dumps(object,
					  JSON_COMPACT | JSON_PRESERVE_ORDER |
						  JSON_REAL_PRECISION(7));

	if (line == NULL)
		micro_fail("no memory for a line of JSON");
	puts(line);
	free(line);
	json_decref(object);
}

static void print_text(const struct micro *micro, const struct result *result)
{
	printf("%-20s %10.2f ns %8.2f c  %s\n", micro->name, result->ns_per_op,
	       result->ns_per_op / result->c_ns, micro->what);
}

static void measure(const struct micro *micro,
		    const struct arguments *arguments)
{
	double ns[MAX_REPEAT], c[MAX_REPEAT];
	struct result result = {0};
	uint64_t n = arguments->n != 0 ? arguments->n : micro->n;

	current = micro->name;
	if (arguments->quick)
		n = n / 10 + 1;
	measure_once(micro, n / 10 + 1, &result); /* warm up */
	for (unsigned i = 0; i < arguments->repeat; i++) {
		measure_once(micro, n, &result);
		ns[i] = result.ns_per_op;
		c[i] = result.c_ns;
	}
	result.ns_per_op = measure_median(ns, arguments->repeat);
	result.c_ns = measure_median(c, arguments->repeat);
	if (arguments->json)
		print_json(micro, &result, arguments->repeat);
	else
		print_text(micro, &result);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		options,
		parse_option,
		"[NAME...]",
		"Measure parts of rota: all, or those named (or whose name's "
		"part before the slash is).",
		NULL,
		NULL,
		NULL};
	struct arguments arguments = {.repeat = 5};

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	for (size_t t = 0; t < sizeof(tables) / sizeof(*tables); t++)
		for (const struct micro *m = tables[t]; m->name != NULL; m++) {
			if (arguments.list)
				printf("%-20s %11llu  %s\n", m->name,
				       (unsigned long long)m->n, m->what);
			else if (is_chosen(&arguments, m))
				measure(m, &arguments);
		}
	/* An earlier write may be what failed. */
	if (fflush(stdout) != 0 || ferror(stdout))
		micro_fail("standard output cannot be written");
	return 0;
}
