/* SPDX-License-Identifier: MIT */
/*
 * topology - are machines loaded, ours and others, and nonsense refused?
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <atomic_ops.h>

#include "sched/topology.h"
#include "tests/check.h"

static hwloc_topology_t topology;

static int n_of(hwloc_obj_type_t type)
{
	return hwloc_get_nbobjs_by_type(topology, type);
}

Test(topology, a_synthetic_machine_is_as_described)
{
	cr_assert_eq(topology_load(&topology, "pack:2 core:4 pu:2"), 0);
	cr_assert_eq(n_of(HWLOC_OBJ_PACKAGE), 2);
	cr_assert_eq(n_of(HWLOC_OBJ_CORE), 8);
	cr_assert_eq(n_of(HWLOC_OBJ_PU), 16);
	cr_assert_not(hwloc_topology_is_thissystem(topology));
	cr_assert_null(topology_affinity(topology));
	hwloc_topology_destroy(topology);
}

Test(topology, xml_is_read_from_text_and_from_a_file)
{
	char name[] = "/tmp/rota-XXXXXX.xml", *xml;
	int length, fd = mkstemps(name, 4);

	cr_assert_geq(fd, 0);
	cr_assert_eq(topology_load(&topology, "pack:2 core:3 pu:2"), 0);
	cr_assert_eq(
		hwloc_topology_export_xmlbuffer(topology, &xml, &length, 0), 0);
	cr_assert_eq(write(fd, xml, (size_t)length - 1), length - 1);
	close(fd);
	hwloc_topology_destroy(topology);
	for (int from_file = 0; from_file < 2; from_file++) {
		cr_assert_eq(topology_load(&topology, from_file ? name : xml),
			     0);
		cr_assert_eq(n_of(HWLOC_OBJ_CORE), 6);
		if (from_file)
			hwloc_free_xmlbuffer(topology, xml);
		hwloc_topology_destroy(topology);
	}
	unlink(name);
}

Test(topology, nonsense_is_refused)
{
	static const char *const wrong[] = {
		"",
		"pack:x",
		"hello",
		"pack:",
		"/tmp",
		"<",
		"<a>",
		"/nonexistent/rota.xml",
		".xml",
		"core:0",
		"<topology version=\"2.0\"></topology>",
		"/dev/null",
		"pu:2 core:2"};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		topology = (void *)&topology;
		cr_assert_eq(topology_load(&topology, wrong[i]), -EINVAL, "%s",
			     wrong[i]);
		cr_assert_null(topology);
	}
}

static unsigned n_mine(void)
{
	hwloc_bitmap_t mine;
	int n;

	cr_assert_eq(topology_load(&topology, NULL), 0);
	mine = topology_affinity(topology);
	cr_assert_not_null(mine);
	n = hwloc_bitmap_weight(mine);
	hwloc_bitmap_free(mine);
	hwloc_topology_destroy(topology);
	return (unsigned)n;
}

/* Test runners and sanitizers have threads of their own. */
static void pin_all_threads(const cpu_set_t *where)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *entry;

	cr_assert_not_null(tasks);
	while ((entry = readdir(tasks)) != NULL)
		if (atoi(entry->d_name) > 0)
			sched_setaffinity(atoi(entry->d_name), sizeof(*where),
					  where);
	closedir(tasks);
}

/* The last of the processors that we may use. */
Test(topology, the_affinity_is_seen)
{
	cpu_set_t all, one;
	unsigned pu = CPU_SETSIZE - 1;
	hwloc_bitmap_t mine;

	sched_getaffinity(0, sizeof(all), &all);
	if (CPU_COUNT(&all) < 2)
		cr_skip_test("one processor only");
	while (!CPU_ISSET(pu, &all))
		pu--;
	CPU_ZERO(&one);
	CPU_SET(pu, &one);
	pin_all_threads(&one);
	cr_assert_eq(n_mine(), 1);
	cr_assert_eq(topology_load(&topology, NULL), 0);
	mine = topology_affinity(topology);
	cr_assert(hwloc_bitmap_isset(mine, pu));
	hwloc_bitmap_free(mine);
	hwloc_topology_destroy(topology);
}

static AO_t xover;

static void *idle(void *arg)
{
	/* Relaxed: seen some time. */
	while (!AO_load(&xover))
		usleep(100);
	return arg;
}

/* A host that has pinned itself still gets workers everywhere. */
Test(topology, the_process_is_all_its_threads)
{
	cpu_set_t all, one;
	pthread_t thread;
	unsigned before = n_mine(), after, pu = 0;

	pthread_create(&thread, NULL, idle, NULL);
	sched_getaffinity(0, sizeof(all), &all);
	while (!CPU_ISSET(pu, &all))
		pu++;
	CPU_ZERO(&one);
	CPU_SET(pu, &one);
	cr_assert_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	after = n_mine();
	AO_store(&xover, 1); /* relaxed: see above */
	pthread_join(thread, NULL);
	cr_assert_eq(after, before);
}
