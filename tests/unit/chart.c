/* SPDX-License-Identifier: MIT */
/*
 * chart - does the plan read as it is?
 */
#include <stdlib.h>
#include <string.h>

#include "sched/chart.h"
#include "sched/topology.h"
#include "tests/check.h"

static struct places places;

static void plan(const char *synthetic, const struct place_policy *policy)
{
	hwloc_topology_t topology;

	cr_assert_eq(topology_load(&topology, synthetic), 0);
	cr_assert_eq(places_plan(&places, topology, policy), 0);
}

static void expect(const char *text)
{
	size_t length = chart_print(&places, places.n_workers, NULL, 0);
	char *is = malloc(length + 1);

	cr_assert_eq(chart_print(&places, places.n_workers, is, length + 1),
		     length);
	cr_assert_eq(strlen(is), length);
	cr_assert_str_eq(is, text, "%s", is);
	free(is);
	places_fini(&places);
}

Test(chart, workers_stand_in_the_machine)
{
	static const struct place_policy policy = {.bind = true};

	plan("pack:2 [numa(memory=1GiB)] l3:1(size=16MiB) core:2 pu:2",
	     &policy);
	expect("planned: 4 workers for 4 cores on 4 cores, not bound (another "
	       "machine)\n"
	       "Machine 0\n"
	       "  Package 0\n"
	       "    NUMA node 0 (1024 MiB)\n"
	       "    L3 0 (16MB)\n"
	       "      Core 0 (cpu 0-1): worker 0\n"
	       "      Core 1 (cpu 2-3): worker 1\n"
	       "  Package 1\n"
	       "    NUMA node 1 (1024 MiB)\n"
	       "    L3 1 (16MB)\n"
	       "      Core 2 (cpu 4-5): worker 2\n"
	       "      Core 3 (cpu 6-7): worker 3\n"
	       "worker 0, NUMA node 0, victims: cache 1; far 2 3\n"
	       "worker 1, NUMA node 0, victims: cache 0; far 2 3\n"
	       "worker 2, NUMA node 1, victims: cache 3; far 0 1\n"
	       "worker 3, NUMA node 1, victims: cache 2; far 0 1\n");
}

Test(chart, threads_have_lines_if_they_have_workers)
{
	static const struct place_policy policy = {.each_thread = true,
						   .n_workers = 5};

	plan("[numa(memory=512MiB)] core:2 pu:2", &policy);
	expect("planned: 5 workers for 4 hardware threads on 2 cores, not "
	       "bound\n"
	       "Machine 0\n"
	       "  NUMA node 0 (512 MiB)\n"
	       "  Core 0\n"
	       "    PU 0 (cpu 0): worker 0, 4\n"
	       "    PU 1 (cpu 1): worker 2\n"
	       "  Core 1\n"
	       "    PU 2 (cpu 2): worker 1\n"
	       "    PU 3 (cpu 3): worker 3\n"
	       "worker 0, NUMA node 0, victims: core 4; core 2; node 1 3\n"
	       "worker 1, NUMA node 0, victims: core 3; node 2 4 0\n"
	       "worker 2, NUMA node 0, victims: core 4 0; node 3 1\n"
	       "worker 3, NUMA node 0, victims: core 1; node 4 0 2\n"
	       "worker 4, NUMA node 0, victims: core 0; core 2; node 1 3\n");
}

Test(chart, a_lonely_worker_has_no_victims)
{
	static const struct place_policy policy = {.millicpus = 250,
						   .bind = true};

	plan("[numa(memory=512MiB)] core:2 pu:1", &policy);
	expect("planned: 1 worker for 2 cores on 2 cores, quota of 0.250 "
	       "processors, "
	       "not bound (another machine)\n"
	       "Machine 0\n"
	       "  NUMA node 0 (512 MiB)\n"
	       "  Core 0 (cpu 0): worker 0\n"
	       "  Core 1\n"
	       "worker 0, NUMA node 0, victims: none\n");
}

/* Caches of one core have no line; their memory has. */
Test(chart, memory_stands_where_its_processors_do)
{
	static const struct place_policy policy = {.bind = false};

	plan("pack:1 l3:2 [numa(memory=1GiB)] core:1 pu:1", &policy);
	expect("planned: 2 workers for 2 cores on 2 cores, not bound\n"
	       "Machine 0\n"
	       "  Package 0\n"
	       "    Core 0 (cpu 0): worker 0\n"
	       "      NUMA node 0 (1024 MiB)\n"
	       "    Core 1 (cpu 1): worker 1\n"
	       "      NUMA node 1 (1024 MiB)\n"
	       "worker 0, NUMA node 0, victims: far 1\n"
	       "worker 1, NUMA node 1, victims: far 0\n");
}

static void add_kind(hwloc_topology_t topology, unsigned first, unsigned last,
		     int efficiency)
{
	hwloc_bitmap_t cpus = hwloc_bitmap_alloc();

	hwloc_bitmap_set_range(cpus, first, (int)last);
	cr_assert_eq(
		hwloc_cpukinds_register(topology, cpus, efficiency, 0, NULL, 0),
		0);
	hwloc_bitmap_free(cpus);
}

Test(chart, cores_say_how_fast_they_are_if_they_differ)
{
	static const struct place_policy policy = {.n_workers = 2},
					 threads = {.n_workers = 1,
						    .each_thread = true};
	hwloc_topology_t topology;

	cr_assert_eq(topology_load(&topology, "core:3 pu:1"), 0);
	add_kind(topology, 0, 0, 10);
	add_kind(topology, 1, 1, 30);
	add_kind(topology, 2, 2, 20);
	cr_assert_eq(places_plan(&places, topology, &policy), 0);
	expect("planned: 2 workers for 3 cores on 3 cores, not bound\n"
	       "Machine 0\n"
	       "  NUMA node 0 (1024 MiB)\n"
	       "  Core 0, slow\n"
	       "  Core 1, fast (cpu 1): worker 0\n"
	       "  Core 2, medium (cpu 2): worker 1\n"
	       "worker 0, NUMA node 0, victims: node 1\n"
	       "worker 1, NUMA node 0, victims: node 0\n");
	cr_assert_eq(topology_load(&topology, "core:2 pu:2"), 0);
	add_kind(topology, 0, 1, 10);
	add_kind(topology, 2, 3, 30);
	cr_assert_eq(places_plan(&places, topology, &threads), 0);
	expect("planned: 1 worker for 4 hardware threads on 2 cores, not "
	       "bound\n"
	       "Machine 0\n"
	       "  NUMA node 0 (1024 MiB)\n"
	       "  Core 0, slow\n"
	       "    PU 0\n"
	       "    PU 1\n"
	       "  Core 1, fast\n"
	       "    PU 2 (cpu 2): worker 0\n"
	       "    PU 3\n"
	       "worker 0, NUMA node 0, victims: none\n");
}

/* They are those of numactl, as the processors' are those of taskset. */
Test(chart, numbers_of_nodes_and_processors_are_the_kernels)
{
	static const struct place_policy policy = {.bind = false};

	plan("pack:2 [numa(memory=1GiB indexes=5,2)] core:1 "
	     "pu:2(indexes=7,3,1,4)",
	     &policy);
	expect("planned: 2 workers for 2 cores on 2 cores, not bound\n"
	       "Machine 0\n"
	       "  Package 0\n"
	       "    NUMA node 2 (1024 MiB)\n"
	       "    Core 0 (cpu 1,4): worker 0\n"
	       "  Package 1\n"
	       "    NUMA node 5 (1024 MiB)\n"
	       "    Core 1 (cpu 3,7): worker 1\n"
	       "worker 0, NUMA node 2, victims: far 1\n"
	       "worker 1, NUMA node 5, victims: far 0\n");
}

/* If hwloc is told that it is the one at hand. */
Test(chart, this_machine_binds)
{
	static const struct place_policy policy = {.bind = true};
	char text[1000];

	setenv("HWLOC_THISSYSTEM", "1", 1);
	plan("core:1 pu:1", &policy);
	unsetenv("HWLOC_THISSYSTEM");
	chart_print(&places, places.n_workers, text, sizeof(text));
	cr_assert_not_null(strstr(text, "1 core, bound\n"), "%s", text);
	places_fini(&places);
}

Test(chart, too_short_a_buffer_cuts_off)
{
	static const struct place_policy policy = {.bind = true};
	char whole[2000], part[2000];
	size_t length;

	plan("pack:2 l3:1 core:4 pu:2", &policy);
	length = chart_print(&places, places.n_workers, whole, sizeof(whole));
	cr_assert_lt(length, sizeof(whole));
	for (size_t size = 1; size <= length; size++) {
		memset(part, '#', sizeof(part));
		cr_assert_eq(chart_print(&places, places.n_workers, part, size),
			     length);
		cr_assert_eq(strlen(part), size - 1);
		cr_assert_arr_eq(part, whole, size - 1);
		cr_assert_eq(part[size], '#');
	}
	places_fini(&places);
}
