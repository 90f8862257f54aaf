/* SPDX-License-Identifier: MIT */
/*
 * quota - does an engine follow the quota of a real control group?
 *
 * Its wiring is tested with played files elsewhere (cgroup.c, roster.c); here
 * the kernel writes them. Two groups are made, one in the other; the outer one
 * has the quota, and a child of the test goes into the inner one and starts an
 * engine there. Where no groups can be made (no right to, no controller), or
 * where there is one processor only, the tests are skipped.
 */
#include <limits.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/support.h"

#define PERIOD 100000 /* microseconds */
#define NO_ENTRY 2    /* exit status: not let into the group */

static char outer[PATH_MAX], inner[PATH_MAX + 8];
static bool is_v2;

/* ---- files */

static bool put(const char *folder, const char *name, const char *text)
{
	char path[PATH_MAX + 64];
	bool is_done;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "we");
	if (!file)
		return false;
	is_done = fputs(text, file) >= 0;
	return fclose(file) == 0 && is_done;
}

static bool has_word(const char *folder, const char *name, const char *word)
{
	char path[PATH_MAX + 64], text[256] = "";
	bool is_found = false;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "re");
	while (file && !is_found && fscanf(file, "%255s", text) == 1)
		is_found = strcmp(text, word) == 0;
	if (file)
		fclose(file);
	return is_found;
}

/* Is "cpu" among items with commas between them? */
static bool has_cpu(const char *items)
{
	char list[256], *save, *item;

	snprintf(list, sizeof(list), "%s", items);
	for (item = strtok_r(list, ",", &save); item;
	     item = strtok_r(NULL, ",", &save))
		if (strcmp(item, "cpu") == 0)
			return true;
	return false;
}

/* ---- where groups can be made */

/* Our group in the hierarchy of version 2, or in that of the controller. */
static bool find_group(bool v2, char group[PATH_MAX])
{
	FILE *file = fopen("/proc/self/cgroup", "re");
	bool is_found = false;
	char *line = NULL;
	size_t size = 0;

	while (file && !is_found && getline(&line, &size, file) > 0) {
		char *rest = line, *controllers;

		line[strcspn(line, "\n")] = '\0';
		strsep(&rest, ":");
		controllers = strsep(&rest, ":");
		is_found = rest && (v2 ? !*controllers : has_cpu(controllers));
		if (is_found)
			snprintf(group, PATH_MAX, "%s", rest);
	}
	free(line);
	if (file)
		fclose(file);
	return is_found;
}

/* Where that group is to be seen; false: nowhere. */
static bool find_folder(bool v2, const char *group, char folder[PATH_MAX])
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	bool is_found = false;
	size_t size = 0;

	while (file && !is_found && getline(&line, &size, file) > 0) {
		char root[1024], point[1024], type[64], options[256];
		char *rest = strstr(line, " - ");
		size_t length;

		if (!rest ||
		    sscanf(line, "%*s %*s %*s %1023s %1023s", root, point) !=
			    2 ||
		    sscanf(rest, " - %63s %*s %255s", type, options) != 2)
			continue;
		length = strcmp(root, "/") == 0 ? 0 : strlen(root);
		is_found = strncmp(group, root, length) == 0 &&
			   !strstr(group, "/..") &&
			   (v2 ? strcmp(type, "cgroup2") == 0
			       : strcmp(type, "cgroup") == 0 &&
					    has_cpu(options)) &&
			   snprintf(folder, PATH_MAX, "%s%s", point,
				    group + length) < PATH_MAX - 64;
	}
	free(line);
	if (file)
		fclose(file);
	return is_found;
}

/* In version 2 groups with processes have no groups with a quota inside: go up
   to one that has. */
static bool climb(char *folder)
{
	while (!has_word(folder, "cgroup.subtree_control", "cpu")) {
		char *slash = strrchr(folder, '/');

		if (!slash || slash == folder)
			return false;
		*slash = '\0';
	}
	return true;
}

static void remove_groups(void)
{
	/* The kernel may be a moment late with the child's end. */
	for (int i = 0; i < 1000 && rmdir(inner) != 0 && errno == EBUSY; i++)
		nap();
	rmdir(outer);
}

static bool make_groups(bool v2)
{
	char group[PATH_MAX], folder[PATH_MAX];

	is_v2 = v2;
	if (!find_group(v2, group) || !find_folder(v2, group, folder) ||
	    (v2 && !climb(folder)))
		return false;
	if (snprintf(outer, sizeof(outer), "%s/rota-test-%ld", folder,
		     (long)getpid()) >= PATH_MAX)
		return false;
	snprintf(inner, sizeof(inner), "%s/inner", outer);
	if (mkdir(outer, 0755) != 0)
		return false;
	if ((!v2 || put(outer, "cgroup.subtree_control", "+cpu")) &&
	    mkdir(inner, 0755) == 0)
		return true;
	rmdir(outer);
	return false;
}

/* In thousandths of a processor; 0: none. */
static bool set_quota(long millicpus)
{
	char text[64];

	if (!is_v2) {
		snprintf(text, sizeof(text), "%ld",
			 millicpus ? millicpus * (PERIOD / 1000) : -1);
		return put(outer, "cpu.cfs_quota_us", text);
	}
	if (millicpus)
		snprintf(text, sizeof(text), "%ld %d",
			 millicpus * (PERIOD / 1000), PERIOD);
	else
		snprintf(text, sizeof(text), "max %d", PERIOD);
	return put(outer, "cpu.max", text);
}

/* ---- the child */

/* The quota is read again while the engine is awake. */
static int act_stay_awake(void *arg)
{
	flag_block(arg);
	return 0;
}

/* Wait until there are so many workers, or until time is up: how many. */
static unsigned await_workers(unsigned n)
{
	time_t end = time(NULL) + HANG / 4;

	while (rota_workers(engine) != n && time(NULL) < end)
		nap();
	return rota_workers(engine);
}

/*
 * Says how many workers there are; then, for each number that it is told, waits
 * for so many, and says how many there are. No assertions: this is no test.
 */
static int follow(int commands, int answers)
{
	static struct flag is_over;
	struct act act = {act_stay_awake, &is_over};
	struct rota_config config = test_config(0);
	struct puppet puppet = {NULL};
	unsigned n;
	rota_id id;

	if (!put(inner, "cgroup.procs", "0"))
		return NO_ENTRY;
	engine = rota_start(&config);
	if (!engine)
		return 3;
	id = rota_spawn(engine, &puppet_behaviour, &puppet, NULL);
	if (rota_send(id, ACT, &act, sizeof(act)) != 0)
		return 4;
	n = rota_workers(engine);
	do
		if (write(answers, &n, sizeof(n)) != sizeof(n))
			return 5;
	while (read(commands, &n, sizeof(n)) == sizeof(n) &&
	       ((n = await_workers(n)), true));
	flag_raise(&is_over);
	return rota_stop(engine, PATIENCE) == 0 ? 0 : 6;
}

struct follower {
	pid_t pid;
	int commands, answers;
};

static struct follower follower_start(void)
{
	struct follower follower;
	int to[2], from[2];

	cr_assert_eq(pipe(to), 0);
	cr_assert_eq(pipe(from), 0);
	follower = (struct follower){fork(), to[1], from[0]};
	if (follower.pid == 0) {
		close(to[1]);
		close(from[0]);
		_exit(follow(to[0], from[1]));
	}
	close(to[0]);
	close(from[1]);
	return follower;
}

/* 0: it is not there any more. */
static unsigned answer_of(const struct follower *follower)
{
	unsigned n;

	return read(follower->answers, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

/* How many workers there are with that quota; @expected: which are waited for,
   for a while. */
static unsigned workers_at(const struct follower *follower, long millicpus,
			   unsigned expected)
{
	if (!set_quota(millicpus) ||
	    write(follower->commands, &expected, sizeof(expected)) !=
		    sizeof(expected))
		return 0;
	return answer_of(follower);
}

static int follower_end(const struct follower *follower)
{
	int status = -1;

	close(follower->commands);
	waitpid(follower->pid, &status, 0);
	close(follower->answers);
	return status;
}

/* ---- the tests */

/* Without a quota of ours; 0: a process cannot go into the group. */
static unsigned n_workers_here(void)
{
	struct follower follower = follower_start();
	unsigned n = answer_of(&follower);
	int status = follower_end(&follower);

	if (status == 0)
		return n;
	remove_groups();
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == NO_ENTRY,
		  "status %d", status);
	return 0;
}

static void try_to_follow(bool v2)
{
	enum { FIRST, LESS, MORE, NONE, N };

	struct follower follower;
	unsigned here, n[N];
	int status;

	unsetenv("ROTA_WORKERS");
	unsetenv("ROTA_TOPOLOGY");
	unsetenv("ROTA_BIND");
	signal(SIGPIPE, SIG_IGN);
	if (!make_groups(v2))
		cr_skip_test("no control groups can be made here");
	here = n_workers_here();
	if (here < 2 || !set_quota(1500)) {
		remove_groups();
		cr_skip_test("no group with a quota of two processors here");
	}
	follower = follower_start();
	n[FIRST] = answer_of(&follower);
	n[LESS] = workers_at(&follower, 1000, 1);
	n[MORE] = workers_at(&follower, 1500, 2);
	n[NONE] = workers_at(&follower, 0, here);
	status = follower_end(&follower);
	remove_groups();
	cr_assert_eq(n[FIRST], 2, "at its start: %u", n[FIRST]);
	cr_assert_eq(n[LESS], 1, "of one processor: %u", n[LESS]);
	cr_assert_eq(n[MORE], 2, "of 1.5 processors: %u", n[MORE]);
	cr_assert_eq(n[NONE], here, "without a quota: %u", n[NONE]);
	cr_assert_eq(status, 0, "status %d", status);
}

Test(quota, of_a_real_group_is_followed_v1, .timeout = 2 * HANG)
{
	try_to_follow(false);
}

Test(quota, of_a_real_group_is_followed_v2, .timeout = 2 * HANG)
{
	try_to_follow(true);
}
