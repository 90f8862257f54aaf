/* SPDX-License-Identifier: MIT */
/*
 * fib - a recursion with a task per call, on rota and on oneTBB, in one run
 *
 * The two take turns, and each line has the processor time of all threads
 * beside the time that passed: on a machine that others use, too, the former
 * says more. c is an uncontended load and CAS, measured before and after. The
 * numbers lie if one side leaves tasks out (both make a task of every call but
 * the first, and the result is checked), or if the compiler turns calls into
 * less (neither can: the function is run through a pointer).
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/bench/measure.h"
#include "perf/fib/fib.h"

#ifndef ROTA_HAS_TBB
#define ROTA_HAS_TBB 0
#endif

struct options {
	int n;
	unsigned workers;
	unsigned repeat;
	bool json;
};

static const char usage[] =
	"usage: fib [--n N] [--workers W] [--repeat R] [--json]\n"
	"\n"
	"Computes fib(N) (35) with a task per call, on W workers (2), R times\n"
	"(3), on rota and, if it was there when this was built, on oneTBB.\n";

/* A number from @low to @high; ends the program if it is none. */
static int number(const char *name, const char *text, int low, int high)
{
	char *end = NULL;
	long value = text ? strtol(text, &end, 10) : 0;

	if (!text || *text == '\0' || *end != '\0' || value < low ||
	    value > high) {
		fprintf(stderr, "fib: %s wants a number from %d to %d\n", name,
			low, high);
		exit(2);
	}
	return (int)value;
}

static struct options parse(char **argv)
{
	struct options options = {.n = 35, .workers = 2, .repeat = 3};

	for (argv++; *argv; argv++) {
		if (strcmp(*argv, "--json") == 0) {
			options.json = true;
			continue;
		}
		if (strcmp(*argv, "--help") == 0 || strcmp(*argv, "-h") == 0) {
			fputs(usage, stdout);
			exit(0);
		}
		if (strcmp(*argv, "--n") == 0)
			options.n = number("--n", argv[1], 2, 50);
		else if (strcmp(*argv, "--workers") == 0)
			options.workers =
				(unsigned)number(*argv, argv[1], 1, 1024);
		else if (strcmp(*argv, "--repeat") == 0)
			options.repeat =
				(unsigned)number(*argv, argv[1], 1, 1000);
		else {
			fprintf(stderr, "fib: what is %s? See --help.\n",
				*argv);
			exit(2);
		}
		argv++;
	}
	return options;
}

static int64_t fib(int n)
{
	int64_t a = 0, b = 1;

	while (n-- > 0) {
		int64_t next = a + b;

		a = b;
		b = next;
	}
	return a;
}

static void report(const struct options *options, const char *on,
		   const struct fib_time *time, double c_ns, unsigned repeat)
{
	/* Calls: 1 for n < 2, else 1 + those of both children. */
	double n_tasks = (double)(2 * fib(options->n + 1) - 1);
	double ns = (double)time->elapsed_ns, cpu_ns = (double)time->cpu_ns;

	printf(options->json ? "{\"program\":\"fib\",\"on\":\"%s\",\"n\":%d,"
			       "\"workers\":%u,\"run\":%u,\"seconds\":%.6f,"
			       "\"ns_per_task\":%.3f,\"cpu_ns_per_task\":%.3f,"
			       "\"c_ns\":%.3f,\"cpu_ratio\":%.3f}\n"
			     : "fib on %-7s n %d  %u workers  run %u  %8.3f s  "
			       "%7.1f ns/task  processor time %7.1f ns/task "
			       "(c %.1f ns) = %.2f c\n",
	       on, options->n, options->workers, repeat, ns / 1e9, ns / n_tasks,
	       cpu_ns / n_tasks, c_ns, cpu_ns / n_tasks / c_ns);
	fflush(stdout);
}

static void run(const struct options *options, const char *on,
		struct fib_time (*fib_on)(int n, unsigned workers),
		unsigned repeat)
{
	double before = measure_c(), after;
	struct fib_time time = fib_on(options->n, options->workers);

	after = measure_c();
	if (time.result != fib(options->n)) {
		fprintf(stderr,
			"FAILED fib on %s: %" PRId64 " instead of %" PRId64
			"\n",
			on, time.result, fib(options->n));
		exit(1);
	}
	report(options, on, &time, (before + after) / 2, repeat);
}

int main(int argc, char **argv)
{
	struct options options = parse(argv);
	unsigned i;

	(void)argc;
#if ROTA_HAS_TBB
	fprintf(stderr, "oneTBB: interface version %d\n", fib_tbb_version());
#else
	fputs("fib: built without oneTBB (Debian: libtbb-dev)\n", stderr);
#endif
	for (i = 1; i <= options.repeat; i++) {
		run(&options, "rota", fib_on_rota, i);
#if ROTA_HAS_TBB
		run(&options, "oneTBB", fib_on_tbb, i);
#endif
	}
	/* An earlier write may be what failed. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fputs("fib: standard output cannot be written\n", stderr);
		return 1;
	}
	return 0;
}
