/* SPDX-License-Identifier: MIT */
/*
 * thread_names - ps, perf and debuggers tell the engine's threads apart
 */
#include <ctype.h>
#include <dirent.h>

#include "tests/unit/support.h"

static void comm_of(const char *thread, char name[32])
{
	char path[300];
	FILE *file;

	name[0] = '\0';
	snprintf(path, sizeof(path), "/proc/self/task/%s/comm", thread);
	file = fopen(path, "r");
	if (!file)
		return;
	if (!fgets(name, 32, file))
		name[0] = '\0';
	name[strcspn(name, "\n")] = '\0';
	fclose(file);
}

/* How many threads bear a name rotaN-@what of any N. */
static unsigned n_named(const char *what)
{
	DIR *threads = opendir("/proc/self/task");
	struct dirent *entry;
	unsigned n = 0;

	if (!threads)
		return 0;
	while ((entry = readdir(threads))) {
		char name[32], *rest = name + 4;

		comm_of(entry->d_name, name);
		if (strncmp(name, "rota", 4) != 0)
			continue;
		while (isdigit((unsigned char)*rest))
			rest++;
		n += *rest == '-' && strcmp(rest + 1, what) == 0;
	}
	closedir(threads);
	return n;
}

Test(thread_names, tell_workers_and_monitor, .timeout = HANG)
{
	engine_start(3);
	AWAIT(n_named("0") == 1);
	AWAIT(n_named("1") == 1);
	AWAIT(n_named("2") == 1);
	AWAIT(n_named("monitor") == 1);
	cr_assert_eq(n_named("3"), 0);
	engine_stop();
}

static int act_name(void *arg)
{
	return pthread_getname_np(pthread_self(), arg, 32);
}

Test(thread_names, tell_engines_apart, .timeout = HANG)
{
	rota_engine *first;
	char names[2][32] = {"", ""};

	engine_start(1);
	first = engine;
	ACTS(puppet_spawn(NULL, 0), act_name, names[0]);
	quiesce();
	engine_start(1);
	ACTS(puppet_spawn(NULL, 0), act_name, names[1]);
	quiesce();
	cr_assert_eq(strncmp(names[0], "rota", 4), 0);
	cr_assert_eq(strncmp(names[1], "rota", 4), 0);
	cr_assert_str_neq(names[0], names[1]);
	engine_stop();
	engine = first;
	engine_stop();
}

/* The guest leaves its host's own threads as they are. */
Test(thread_names, leave_the_callers_alone, .timeout = HANG)
{
	char before[32], after[32];

	act_name(before);
	engine_start(1);
	send_value(puppet_spawn(NULL, 0), 1, 1);
	quiesce();
	engine_stop();
	act_name(after);
	cr_assert_str_eq(before, after);
}
