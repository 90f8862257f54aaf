/* SPDX-License-Identifier: MIT */
/*
 * arrange - is the program obeyed, then the environment, then the machine?
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sched/arrange.h"
#include "tests/check.h"

#define TWO_SOCKETS "pack:2 core:4 pu:2"

static struct places places;
static struct arrange_options options;
static char complaint[256];

static void begin(void)
{
	unsetenv("ROTA_WORKERS");
	unsetenv("ROTA_BIND");
	unsetenv("ROTA_TOPOLOGY");
	options = (struct arrange_options){.topology = TWO_SOCKETS};
}

static int attempt(void)
{
	strcpy(complaint, "nothing");
	memset(&places, 0xff, sizeof(places));
	return arrange(&places, &options, complaint, sizeof(complaint));
}

static void expect(unsigned n_workers, bool each_thread, bool bind)
{
	cr_assert_eq(attempt(), 0, "%s", complaint);
	cr_assert_str_eq(complaint, "");
	cr_assert_eq(places.n_workers, n_workers, "%u", places.n_workers);
	cr_assert_eq(places.each_thread, each_thread);
	cr_assert_eq(places.bind, bind);
	places_fini(&places);
}

/* The complaint names what is wrong, and what would be right. */
static void expect_complaint(int error, const char *what, const char *value)
{
	cr_assert_eq(attempt(), error, "%s", value);
	cr_assert(strstr(complaint, what), "%s", complaint);
	cr_assert(strstr(complaint, value), "%s", complaint);
}

Test(arrange, one_bound_worker_per_core_if_nobody_says_anything, .init = begin)
{
	expect(8, false, true);
}

Test(arrange, the_program_says_how_many, .init = begin)
{
	options.n_workers = 5;
	setenv("ROTA_WORKERS", "3", 1);
	expect(5, false, true);
	setenv("ROTA_WORKERS", "nonsense that nobody asks for", 1);
	expect(5, false, true);
	options.n_workers = WORKERS_MAX;
	expect(WORKERS_MAX, false, true);
	options.n_workers++;
	expect_complaint(-EINVAL, "1024", "1025");
}

Test(arrange, else_the_environment_says_how_many, .init = begin)
{
	static const char *const wrong[] = {
		"",   "0",	    "1025",
		"x",  "3x",	    "-1",
		" 3", "4294967299", "99999999999999999999999"};
	static const struct {
		const char *text;
		unsigned n;
	} right[] = {{"1", 1}, {"3", 3}, {"1024", 1024}, {"0012", 12}};

	for (size_t i = 0; i < sizeof(right) / sizeof(*right); i++) {
		setenv("ROTA_WORKERS", right[i].text, 1);
		expect(right[i].n, false, true);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		setenv("ROTA_WORKERS", wrong[i], 1);
		expect_complaint(-EINVAL, "ROTA_WORKERS", wrong[i]);
		cr_assert(strstr(complaint, "from 1 to 1024"));
	}
}

Test(arrange, the_program_says_where, .init = begin)
{
	setenv("ROTA_BIND", "nonsense", 1);
	options.each_thread = true;
	expect(16, true, true);
	options.unbound = true;
	expect(16, true, false);
	options.each_thread = false;
	expect(8, false, false);
}

Test(arrange, else_the_environment_says_where, .init = begin)
{
	static const char *const wrong[] = {"",	 "Core", "core ", "cores",
					    "0", "yes",	 "no",	  "threads"};

	setenv("ROTA_BIND", "core", 1);
	expect(8, false, true);
	setenv("ROTA_BIND", "thread", 1);
	expect(16, true, true);
	setenv("ROTA_BIND", "none", 1);
	expect(8, false, false);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		setenv("ROTA_BIND", wrong[i], 1);
		expect_complaint(-EINVAL, "ROTA_BIND", wrong[i]);
		cr_assert(strstr(complaint, "core, thread or none"));
	}
}

Test(arrange, the_program_names_the_machine, .init = begin)
{
	setenv("ROTA_TOPOLOGY", "core:3 pu:1", 1);
	expect(8, false, true);
	options.topology = NULL;
	expect(3, false, true);
	setenv("ROTA_TOPOLOGY", "core:x", 1);
	expect_complaint(-EINVAL, "ROTA_TOPOLOGY", "core:x");
	setenv("ROTA_TOPOLOGY", "", 1);
	expect_complaint(-EINVAL, "ROTA_TOPOLOGY", "pack:2 core:4 pu:2");
	options.topology = "/nonexistent.xml";
	expect_complaint(-EINVAL, "topology", "/nonexistent.xml");
}

Test(arrange, long_nonsense_is_cut_off, .init = begin)
{
	char nonsense[5000];

	memset(nonsense, 'x', sizeof(nonsense));
	nonsense[sizeof(nonsense) - 1] = '\0';
	setenv("ROTA_WORKERS", nonsense, 1);
	expect_complaint(-EINVAL, "ROTA_WORKERS", "xxx");
	unsetenv("ROTA_WORKERS");
	options.topology = nonsense;
	expect_complaint(-EINVAL, "the topology", "xxx");
	cr_assert_lt(strlen(complaint), sizeof(complaint) - 1);
}

/* ---- limits ---- */

Test(arrange, the_program_may_set_the_limits, .init = begin)
{
	hwloc_bitmap_t some = hwloc_bitmap_alloc();

	options.millicpus = 2500;
	expect(3, false, true);
	hwloc_bitmap_set_range(some, 0, 3);
	options.allowed = some;
	expect(2, false, true);
	options.each_thread = true;
	expect(3, true, true);
	hwloc_bitmap_only(some, 77);
	expect_complaint(-ENODEV, "topology", "no processor");
	hwloc_bitmap_free(some);
}

static char root[] = "/tmp/rota-XXXXXX";

static void put(const char *name, const char *text)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	if (!text) {
		mkdir(path, 0700);
		return;
	}
	file = fopen(path, "w");
	cr_assert_not_null(file);
	fputs(text, file);
	fclose(file);
}

static void remove_all(void)
{
	static const char *const names[] = {
		"/proc/self/cgroup", "/proc/self/mountinfo",
		"/proc/self",	     "/proc",
		"/cpu.max",	     ""};
	char path[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s%s", root, names[i]);
		remove(path);
	}
}

/* Quotas are this machine's; who says a number knows better. */
Test(arrange, a_quota_counts_here_if_nobody_says_how_many, .init = begin)
{
	cr_assert_not_null(mkdtemp(root));
	put("proc", NULL);
	put("proc/self", NULL);
	put("proc/self/cgroup", "0::/\n");
	put("proc/self/mountinfo", "1 1 0:1 / / rw - cgroup2 cgroup2 rw\n");
	put("cpu.max", "20000 100000\n");
	options.root = root;
	expect(8, false, true);
	cr_assert_eq(attempt(), 0);
	cr_assert_eq(places_reread(&places, root), 8);
	places_fini(&places);
	options.topology = NULL;
	expect(1, false, true);
	cr_assert_eq(attempt(), 0);
	cr_assert_eq(places.millicpus, 200);
	put("cpu.max", "max 100000\n");
	cr_assert_eq(places_reread(&places, root), places.n_seats);
	put("cpu.max", "20000 100000\n");
	places_fini(&places);
	setenv("ROTA_WORKERS", "3", 1);
	expect(3, false, true);
	options.n_workers = 2;
	expect(2, false, true);
	put("proc/self/mountinfo", "1 1 0:1 /.. / rw - cgroup2 cgroup2 rw\n");
	expect(2, false, true);
	options.n_workers = 0;
	unsetenv("ROTA_WORKERS");
	cr_assert_eq(attempt(), 0);
	cr_assert(strstr(complaint, "quota may be missed"), "%s", complaint);
	places_fini(&places);
	options.n_workers = 2;
	/* It is known all the same: spinning does not pay under a quota. */
	cr_assert_eq(attempt(), 0);
	cr_assert_eq(places.millicpus, 200);
	cr_assert_eq(places_reread(&places, root), 2);
	places_fini(&places);
	remove_all();
}
