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

/* How many threads of this process have no name of an engine. */
static unsigned n_nameless(void)
{
	DIR *threads = opendir("/proc/self/task");
	struct dirent *entry;
	unsigned n = 0;

	cr_assert_not_null(threads);
	while ((entry = readdir(threads))) {
		char name[32];

		if (entry->d_name[0] == '.')
			continue;
		comm_of(entry->d_name, name);
		/* It may have ended meanwhile. */
		n += name[0] && strncmp(name, "rota", 4) != 0;
	}
	closedir(threads);
	return n;
}

/* Not a moment later: whoever looks then sees them all. */
Test(thread_names, are_there_when_the_call_returns, .timeout = HANG)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	struct puppet puppet = {NULL};
	unsigned n_others;

	engine_start(1); /* a sanitizer's own thread begins with the first */
	engine_stop();
	n_others = n_nameless();
	options.flags = ROTA_OWN_THREAD;
	for (size_t i = 0; i < SIZED(100, 30); i++) {
		engine_start(2);
		cr_assert_eq(n_nameless(), n_others, "round %zu", i);
		cr_assert_gt(n_named("1"), 0);
		cr_assert_gt(n_named("monitor"), 0);
		cr_assert_eq(rota_workers_set(engine, 4), 0);
		cr_assert_eq(n_nameless(), n_others, "round %zu", i);
		cr_assert_gt(n_named("3"), 0);
		cr_assert_eq(rota_id_error(rota_spawn(engine, &puppet_behaviour,
						      &puppet, &options)),
			     0);
		cr_assert_eq(n_nameless(), n_others, "round %zu", i);
		cr_assert_gt(n_named("puppet"), 0);
		engine_stop();
	}
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
