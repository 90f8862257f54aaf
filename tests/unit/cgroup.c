/* SPDX-License-Identifier: MIT */
/*
 * cgroup - is the tightest quota found, wherever a machine keeps it?
 *
 * Each test builds the files of a machine in a folder of its own.
 */
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sched/cgroup.h"
#include "sched/place.h"
#include "sched/topology.h"
#include "tests/check.h"

static char root[32];

static void begin(void)
{
	strcpy(root, "/tmp/rota-XXXXXX");
	cr_assert_not_null(mkdtemp(root));
}

static int remove_one(const char *path, const struct stat *status, int type,
		      struct FTW *ftw)
{
	(void)status;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void end(void)
{
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Write a file, and the folders around it. */
__attribute__((format(printf, 2, 3))) static void put(const char *name,
						      const char *format, ...)
{
	char path[PATH_MAX];
	va_list arguments;
	FILE *file;

	snprintf(path, sizeof(path), "%s%s", root, name);
	for (char *c = path + strlen(root) + 1; *c; c++) {
		if (*c != '/')
			continue;
		*c = '\0';
		mkdir(path, 0700);
		*c = '/';
	}
	file = fopen(path, "w");
	cr_assert_not_null(file, "%s", path);
	va_start(arguments, format);
	vfprintf(file, format, arguments);
	va_end(arguments);
	fclose(file);
}

static void expect(unsigned millicpus, const char *what)
{
	unsigned is = cgroup_millicpus(root, NULL);

	cr_assert_eq(is, millicpus, "%s: %u", what, is);
}

#define TMPFS "24 1 0:22 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
#define V2                                                                  \
	"30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 " \
	"rw\n"
#define V1                                                             \
	TMPFS "31 24 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - " \
	      "cgroup cgroup rw,cpu,cpuacct\n"                         \
	      "32 24 0:28 / /sys/fs/cgroup/cpuset rw - cgroup cgroup " \
	      "rw,cpuset\n"

static void use(const char *groups, const char *mounts)
{
	put("/proc/self/cgroup", "%s", groups);
	put("/proc/self/mountinfo", "%s", mounts);
}

static void v1_quota(const char *folder, long quota, long period)
{
	char name[256];

	snprintf(name, sizeof(name), "%s/cpu.cfs_quota_us", folder);
	put(name, "%ld\n", quota);
	snprintf(name, sizeof(name), "%s/cpu.cfs_period_us", folder);
	put(name, "%ld\n", period);
}

Test(cgroup, nothing_known_is_no_quota, .init = begin, .fini = end)
{
	expect(0, "no files");
	put("/proc/self/cgroup", "0::/a\n");
	expect(0, "no mounts");
	use("0::/a\n", V2);
	expect(0, "no quota");
	use("", "");
	expect(0, "empty");
	cr_assert_eq(cgroup_millicpus("/nonexistent", NULL), 0);
}

Test(cgroup, v2_own_group, .init = begin, .fini = end)
{
	use("0::/user.slice/job\n", V2);
	put("/sys/fs/cgroup/user.slice/job/cpu.max", "150000 100000\n");
	expect(1500, "150000 100000");
	put("/sys/fs/cgroup/user.slice/job/cpu.max", "max 100000\n");
	expect(0, "max");
	put("/sys/fs/cgroup/user.slice/job/cpu.max", "25000 50000\n");
	expect(500, "another period");
	put("/sys/fs/cgroup/user.slice/job/cpu.max", "1 100000000\n");
	expect(1, "hardly anything is not nothing");
}

Test(cgroup, v2_the_tightest_of_all_around_counts, .init = begin, .fini = end)
{
	use("0::/a/b/c\n", V2);
	put("/sys/fs/cgroup/a/b/c/cpu.max", "400000 100000\n");
	put("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
	expect(4000, "inner");
	put("/sys/fs/cgroup/a/cpu.max", "150000 100000\n");
	expect(1500, "outer");
	put("/sys/fs/cgroup/a/b/cpu.max", "30000 20000\n");
	expect(1500, "two alike");
	/* In a namespace the mount point is a group with a quota itself. */
	put("/sys/fs/cgroup/cpu.max", "100000 100000\n");
	expect(1000, "outermost");
	put("/sys/fs/cgroup/a/other/cpu.max", "1000 100000\n");
	put("/sys/fs/cpu.max", "1000 100000\n");
	expect(1000, "others are none of ours");
}

Test(cgroup, v1_the_tightest_of_all_around_counts, .init = begin, .fini = end)
{
	use("4:cpuset:/elsewhere\n3:cpu,cpuacct:/docker/abc\n"
	    "1:name=systemd:/docker/abc\n",
	    V1);
	expect(0, "no quota");
	v1_quota("/sys/fs/cgroup/cpu,cpuacct/docker/abc", -1, 100000);
	expect(0, "-1");
	v1_quota("/sys/fs/cgroup/cpu,cpuacct/docker/abc", 600000, 100000);
	expect(6000, "inner");
	v1_quota("/sys/fs/cgroup/cpu,cpuacct/docker", 150000, 100000);
	expect(1500, "outer");
	v1_quota("/sys/fs/cgroup/cpuset/docker/abc", 1000, 100000);
	expect(1500, "a quota where no quotas are");
}

Test(cgroup, both_versions_at_once, .init = begin, .fini = end)
{
	use("3:cpu:/job\n0::/job\n",
	    TMPFS "31 24 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
		  "33 24 0:29 / /sys/fs/cgroup/unified rw - cgroup2 none rw\n");
	v1_quota("/sys/fs/cgroup/cpu/job", 300000, 100000);
	expect(3000, "version 1");
	put("/sys/fs/cgroup/unified/job/cpu.max", "200000 100000\n");
	expect(2000, "version 2 is tighter");
	v1_quota("/sys/fs/cgroup/cpu/job", 100000, 100000);
	expect(1000, "version 1 is tighter");
}

/* A container that sees its own group only, under the path of its host. */
Test(cgroup, the_mount_point_may_be_our_group, .init = begin, .fini = end)
{
	use("3:cpu:/docker/abc/inner\n",
	    "31 24 0:27 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup "
	    "rw,cpu\n");
	v1_quota("/sys/fs/cgroup/cpu", 200000, 100000);
	expect(2000, "the container's");
	v1_quota("/sys/fs/cgroup/cpu/inner", 150000, 100000);
	expect(1500, "ours in it");
	use("3:cpu:/docker/abcdef\n",
	    "31 24 0:27 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup "
	    "rw,cpu\n");
	expect(2000, "a path that is not shown: the closest that is");
}

/* Moved out of its namespace: "/../x" must not lead out of the mount. */
Test(cgroup, paths_do_not_lead_out, .init = begin, .fini = end)
{
	static const char *const paths[] = {"0::/../x\n", "0::/..\n",
					    "0::/a/../../x\n"};

	put("/sys/fs/x/cpu.max", "1000 100000\n");
	put("/sys/fs/cpu.max", "1000 100000\n");
	put("/sys/fs/cgroup/cpu.max", "200000 100000\n");
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		use(paths[i], V2);
		expect(2000, paths[i]);
	}
}

static void expect_hidden(bool is_hidden, const char *groups,
			  const char *mounts)
{
	bool is = !is_hidden;

	use(groups, mounts);
	cgroup_millicpus(root, &is);
	cr_assert_eq(is, is_hidden, "%s%s", groups, mounts);
}

#define ABOVE "30 24 0:26 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"

/* In a namespace that has not mounted the groups again. */
Test(cgroup, a_group_without_a_name_is_told, .init = begin, .fini = end)
{
	expect_hidden(true, "0::/\n", ABOVE);
	expect_hidden(true, "0::/../x\n", V2);
	expect_hidden(false, "0::/\n", V2);
	expect_hidden(false, "0::/\n",
		      ABOVE "31 24 0:26 / /mnt rw - cgroup2 cgroup2 rw\n");
	expect_hidden(false, "3:cpu:/docker/abc\n",
		      "31 24 0:27 /docker/ab /sys/fs/cgroup/cpu ro - cgroup "
		      "cgroup rw,cpu\n");
	expect_hidden(false, "0::/\n", "");
}

/* One hierarchy, mounted twice: the other is somebody else's part. */
Test(cgroup, the_mount_that_shows_our_group_is_taken, .init = begin,
     .fini = end)
{
	use("0::/job\n",
	    "29 24 0:26 /other /mnt/other rw - cgroup2 cgroup2 rw\n" V2);
	put("/mnt/other/cpu.max", "1000 100000\n");
	put("/sys/fs/cgroup/job/cpu.max", "300000 100000\n");
	expect(3000, "ours");
}

Test(cgroup, names_may_hold_blanks_and_colons, .init = begin, .fini = end)
{
	use("0::/a b:c\n",
	    "30 24 0:26 / /mnt/my\\040groups rw - cgroup2 cgroup2 rw\n");
	put("/mnt/my groups/a b:c/cpu.max", "300000 100000\n");
	expect(3000, "blanks");
}

Test(cgroup, garbage_is_no_quota, .init = begin, .fini = end)
{
	static const char *const garbage[] = {"",
					      "\n",
					      "abc",
					      "100000",
					      "100000 0",
					      "-5 100000",
					      "0 100000",
					      "1 x",
					      "9223372036854775807 1",
					      "99999999999999999999999 100000",
					      "100000 -100000"};

	for (size_t i = 0; i < sizeof(garbage) / sizeof(*garbage); i++) {
		use("0::/a\n", V2);
		put("/sys/fs/cgroup/a/cpu.max", "%s", garbage[i]);
		expect(0, garbage[i]);
	}
	put("/sys/fs/cgroup/a/cpu.max", "100000 100000");
	use("\n:\n::\n0:\nx\n0::/a", "\n-\n - \n1 2 3 / / - x\n - - - -\n" V2);
	expect(1000, "lines of garbage around");
}

Test(cgroup, a_plan_can_look_again, .init = begin, .fini = end)
{
	struct place_policy policy = {.millicpus = 1500, .follows_quota = true};
	hwloc_topology_t topology;
	struct places places;

	cr_assert_eq(topology_load(&topology, "core:8 pu:2"), 0);
	cr_assert_eq(places_plan(&places, topology, &policy), 0);
	cr_assert_eq(places.n_workers, 2);
	use("0::/a\n", V2);
	put("/sys/fs/cgroup/a/cpu.max", "250000 100000\n");
	cr_assert_eq(places_reread(&places, root), 3);
	put("/sys/fs/cgroup/a/cpu.max", "max 100000\n");
	cr_assert_eq(places_reread(&places, root), 8);
	put("/sys/fs/cgroup/a/cpu.max", "1000 100000\n");
	cr_assert_eq(places_reread(&places, root), 1);
	places_fini(&places);
}

/* Whatever it says here, it must say it again. */
Test(cgroup, this_machine_can_be_asked)
{
	cr_assert_eq(cgroup_millicpus("", NULL), cgroup_millicpus("", NULL));
}
