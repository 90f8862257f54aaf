/* SPDX-License-Identifier: MIT */
/*
 * check - the small test runner, and what both runners share
 *
 * Tests register themselves before main(), which forks a child for each and
 * waits for it with a time-out. The parent has one thread and never runs a
 * test, so that fork() is sound and a crash costs one test. What the child has
 * to say beside its exit status stands in a page both see. With either runner
 * results are printed in TAP on standard output.
 */
#include "tests/check.h"

#include <limits.h>
#include <stdlib.h>

#define DEFAULT_TIMEOUT 60.0 /* seconds */

double check_patience(void)
{
	const char *scale = getenv("ROTA_TIMEOUT_SCALE");
	double factor = scale ? atof(scale) : 1;

	return factor > 0 ? factor : 1;
}

static double timeout_of(double seconds)
{
	return (seconds > 0 ? seconds : DEFAULT_TIMEOUT) * check_patience();
}

unsigned long check_stress(unsigned long n)
{
	const char *text = getenv("ROTA_STRESS");
	double percent = text ? atof(text) : 100;
	double scaled = (double)n * (percent > 0 ? percent : 100) / 100;

	if (scaled < 1)
		return 1;
	return scaled < (double)LONG_MAX ? (unsigned long)scaled : LONG_MAX;
}

#ifndef ROTA_SMALL_RUNNER

#include <stdio.h>

#include <criterion/hooks.h>
#include <criterion/stats.h>

/* A test that hangs must not take the whole run with it. */
ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
	FOREACH_SET(struct criterion_suite_set * suite, tests->suites)
	{
		if (!suite->tests)
			continue;
		FOREACH_SET(struct criterion_test * test, suite->tests)
		{
			test->data->timeout = timeout_of(test->data->timeout);
		}
	}
}

static void print_tap(const struct criterion_test_stats *test)
{
	bool failed = test->test_status == CR_STATUS_FAILED || test->crashed ||
		      test->timed_out;

	printf("%s - %s::%s", failed ? "not ok" : "ok", test->test->category,
	       test->test->name);
	if (test->test_status == CR_STATUS_SKIPPED)
		printf(" # SKIP %s\n", test->message ? test->message : "");
	else
		printf(" (%.2f s)\n", (double)test->elapsed_time);
}

/*
 * Criterion's own TAP swallows what a failing test has to say; so it keeps its
 * log on standard error, and standard output gets this.
 */
ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
	const struct criterion_suite_stats *suite;
	const struct criterion_test_stats *test;

	for (suite = stats->suites; suite; suite = suite->next)
		for (test = suite->tests; test; test = test->next)
			print_tap(test);
	printf("1..%zu\n", stats->nb_tests);
	fflush(stdout);
}

#else

#include <errno.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic_ops.h>

#if defined(__SANITIZE_ADDRESS__)
#define WITH_LSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_LSAN 1
#endif
#endif
#ifdef WITH_LSAN
#include <sanitizer/lsan_interface.h>
#endif

#include "sched/topology.h"

enum outcome { PASSED, FAILED, SKIPPED };

/* Written by the child, read by the parent after waitpid(). */
struct report {
	AO_t xn_failures; /* any thread of the child counts up */
	bool skipped;
	bool finished; /* body and hooks returned */
	char why[256]; /* skipped */
};

static struct check_test *tests;
static struct check_test **tests_end = &tests;
static struct report *report;
static sigset_t mask; /* a test's: as this program found it */

void check_register(struct check_test *test)
{
	*tests_end = test;
	tests_end = &test->next;
}

__attribute__((format(printf, 4, 0))) static void
print_failure(const char *file, int line, const char *text, const char *format,
	      va_list args)
{
	char message[1024];

	vsnprintf(message, sizeof(message), format, args);
	fprintf(stderr, "%s:%d: failed: %s%s%s\n", file, line, text,
		*message ? ": " : "", message);
	/* Relaxed: the parent reads it when all of us are gone. */
	AO_fetch_and_add1(&report->xn_failures);
}

void check_note(const char *file, int line, const char *text,
		const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_failure(file, line, text, format, args);
	va_end(args);
}

void check_stop(const char *file, int line, const char *text,
		const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_failure(file, line, text, format, args);
	va_end(args);
	fflush(NULL);
	_exit(EXIT_FAILURE);
}

void check_skip(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(report->why, sizeof(report->why), format, args);
	va_end(args);
	report->skipped = true;
	fflush(NULL);
	_exit(EXIT_SUCCESS);
}

static void run_body(const struct check_test *test)
{
	if (test->options.init)
		test->options.init();
	test->body();
	if (test->options.fini)
		test->options.fini();
	report->finished = true;
}

static _Noreturn void run_child(const struct check_test *test)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CORE, &(struct rlimit){0});
	setpgid(0, 0);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	run_body(test);
	fflush(NULL);
	/* exit(), so that the sanitizers have their last word. */
	exit(EXIT_SUCCESS);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Until a child may have ended, at most until the deadline. */
static void wait_signal(double deadline)
{
	double left = deadline - now();
	sigset_t child;

	if (left <= 0)
		return;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigtimedwait(
		&child, NULL,
		&(struct timespec){
			.tv_sec = (time_t)left,
			.tv_nsec = (long)((left - (double)(time_t)left) * 1e9),
		});
}

/* False if the time is up; then the child and its children are gone. */
static bool wait_child(pid_t child, double deadline, int *status)
{
	while (waitpid(child, status, WNOHANG) == 0) {
		if (now() > deadline) {
			kill(-child, SIGKILL);
			kill(child, SIGKILL);
			waitpid(child, status, 0);
			return false;
		}
		wait_signal(deadline);
	}
	return true;
}

static enum outcome judge_exit(const struct check_test *test, int code)
{
	if (AO_load(&report->xn_failures) > 0) /* the child is gone */
		return FAILED;
	if (report->skipped)
		return SKIPPED;
	if (test->options.signal)
		fprintf(stderr, "did not die of signal %d\n",
			test->options.signal);
	else if (code != test->options.exit_code)
		fprintf(stderr, "exit status %d%s\n", code,
			report->finished ? " after the test" : "");
	else if (!report->finished && code == 0)
		fprintf(stderr, "exited before the test returned\n");
	else
		return PASSED;
	return FAILED;
}

static enum outcome run_forked(const struct check_test *test)
{
	double limit = timeout_of(test->options.timeout);
	int status;
	pid_t child;

	memset(report, 0, sizeof(*report));
	fflush(NULL);
	child = fork();
	if (child < 0) {
		fprintf(stderr, "fork: %s\n", strerror(errno));
		return FAILED;
	}
	if (child == 0)
		run_child(test);
	if (!wait_child(child, now() + limit, &status)) {
		fprintf(stderr, "timed out after %.0f s\n", limit);
		return FAILED;
	}
	kill(-child, SIGKILL); /* what the test left running */
	if (!WIFSIGNALED(status))
		return judge_exit(test, WEXITSTATUS(status));
	if (WTERMSIG(status) == test->options.signal &&
	    AO_load(&report->xn_failures) == 0) /* the child is gone */
		return PASSED;
	fprintf(stderr, "died of signal %d (%s)\n", WTERMSIG(status),
		strsignal(WTERMSIG(status)));
	return FAILED;
}

static enum outcome run_test(const struct check_test *test, unsigned number)
{
	static const char *const word[] = {"ok", "not ok", "ok"};
	double start = now();
	enum outcome outcome = SKIPPED;

	if (test->options.disabled)
		snprintf(report->why, sizeof(report->why), "disabled");
	else
		outcome = run_forked(test);
	if (outcome == SKIPPED)
		printf("ok %u - %s::%s # SKIP %s\n", number, test->suite,
		       test->name, report->why);
	else
		printf("%s %u - %s::%s (%.2f s)\n", word[outcome], number,
		       test->suite, test->name, now() - start);
	if (outcome == FAILED)
		fprintf(stderr, "---- %s::%s failed\n", test->suite,
			test->name);
	fflush(NULL);
	return outcome;
}

static bool is_chosen(const struct check_test *test, const char *pattern)
{
	char name[256];

	snprintf(name, sizeof(name), "%s/%s", test->suite, test->name);
	return fnmatch(pattern, name, 0) == 0;
}

static void usage(const char *program)
{
	printf("usage: %s [--list] [--no-fork] [--filter SUITE/NAME]\n"
	       "The filter may hold * and ?. --no-fork runs the tests in this\n"
	       "process, up to the first failure, without a time-out: for a\n"
	       "debugger. Results are printed in TAP.\n",
	       program);
}

struct command {
	const char *pattern;
	bool list;
	bool no_fork;
};

static int parse(struct command *command, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--list") == 0)
			command->list = true;
		else if (strcmp(argv[i], "--no-fork") == 0)
			command->no_fork = true;
		else if (strcmp(argv[i], "--filter") == 0 && i + 1 < argc)
			command->pattern = argv[++i];
		else if (strcmp(argv[i], "--help") == 0) {
			usage(argv[0]);
			exit(EXIT_SUCCESS);
		} else {
			fprintf(stderr, "%s: what is %s? See --help.\n",
				argv[0], argv[i]);
			return -EINVAL;
		}
	}
	return 0;
}

/*
 * Nearly every test starts an engine, which reads the machine's topology, and
 * ends with a search for leaks. What the first time costs children inherit:
 * names are bound, pages are mapped, and an emulator, to which this is half of
 * a short test, has translated it.
 */
static void warm_up(void)
{
	hwloc_topology_t topology;

	if (topology_load(&topology, NULL) == 0)
		hwloc_topology_destroy(topology);
#ifdef WITH_LSAN
	__lsan_do_recoverable_leak_check();
#endif
}

/* A child's end stays pending until it is waited for. */
static void block_signal(void)
{
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, &mask);
}

static int run_all(const struct command *command)
{
	unsigned n[3] = {0};
	unsigned number = 0;

	for (struct check_test *test = tests; test; test = test->next) {
		if (!is_chosen(test, command->pattern))
			continue;
		number++;
		if (command->list)
			printf("%s/%s\n", test->suite, test->name);
		else if (command->no_fork)
			run_body(test);
		else
			n[run_test(test, number)]++;
	}
	if (command->list || command->no_fork)
		return EXIT_SUCCESS;
	printf("1..%u\n# %u passed, %u failed, %u skipped\n", number, n[PASSED],
	       n[FAILED], n[SKIPPED]);
	return n[FAILED] ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct command command = {.pattern = "*"};

	if (parse(&command, argc, argv) != 0)
		return 2;
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (report == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	if (!command.list && !command.no_fork) {
		warm_up();
		block_signal();
	}
	return run_all(&command);
}

#endif
