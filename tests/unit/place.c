/* SPDX-License-Identifier: MIT */
/*
 * place - does every worker get a place, and does it know its neighbours?
 *
 * The machines are synthetic, some cut into shapes that no synthetic
 * description has; each is planned twice, the second time from the XML that
 * hwloc makes of it.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/mempolicy.h>

#include "sched/chart.h"
#include "sched/place.h"
#include "sched/topology.h"
#include "tests/check.h"
#include "tests/unit/tables.h"

struct machine {
	const char *name;
	const char *synthetic;
	const char *keep;    /* processors that exist; NULL: all */
	const char *memory;  /* ... and NUMA nodes */
	const char *fast;    /* processors of the fast kind */
	const char *slow;    /* ... and of the slow one */
	const char *allowed; /* NULL: all */
	unsigned wanted;
	unsigned millicpus;
	bool each_thread;
	/* What is expected. */
	unsigned n_workers, n_cores, n_seats, n_nodes;
	const char *cpus; /* of the first workers, "/" between them */
	unsigned worker;
	const char *victims; /* of that worker */
};

#define E_CLUSTERS "0,2,4,6,8,10,12,14,16,18,20,22,24,26,28,30"
#define P_CORES "32,33,40,41,48,49,56,57,64,65,72,73,80,81,88,89"
#define HYBRID                                                                 \
	.synthetic = "l3:1 l2:12 core:4 pu:2", .keep = E_CLUSTERS "," P_CORES, \
	.fast = P_CORES, .slow = E_CLUSTERS

static const struct machine machines[] = {
	{"one core", "core:1 pu:1", .n_workers = 1, .n_cores = 1, .n_seats = 1,
	 .n_nodes = 1, .cpus = "0", .victims = ""},
	{"cores unknown", "pu:4", .n_workers = 4, .n_cores = 4, .n_seats = 4,
	 .n_nodes = 1, .cpus = "0/1/2/3", .worker = 1, .victims = "node 2 3 0"},
	{"2 x 8, SMT", "pack:2 [numa] l3:1 core:8 pu:2", .n_workers = 16,
	 .n_cores = 16, .n_seats = 16, .n_nodes = 2, .cpus = "0-1/2-3/4-5",
	 .worker = 9, .victims = "cache 10-15 8; far 0-7"},
	{"2 x 8, a worker per thread", "pack:2 [numa] l3:1 core:8 pu:2",
	 .each_thread = true, .n_workers = 32, .n_cores = 16, .n_seats = 32,
	 .n_nodes = 2, .cpus = "0/2/4/6/8/10/12/14/16", .worker = 0,
	 .victims = "core 16; cache 1-7 17-23; far 8-15 24-31"},
	{"4 NUMA x 16", "numa:4 core:16 pu:1", .n_workers = 64, .n_cores = 64,
	 .n_seats = 64, .n_nodes = 4, .cpus = "0/1/2", .worker = 16,
	 .victims = "node 17-31; far 32-63 0-15"},
	{"8 NUMA x 2 L3 x 8", "numa:8 l3:2 core:8 pu:1", .n_workers = 128,
	 .n_cores = 128, .n_seats = 128, .n_nodes = 8, .cpus = "0/1/2",
	 .worker = 127, .victims = "cache 120-126; node 112-119; far 0-111"},
	{"2 packages x 4 NUMA x 2 L3 x 4", "pack:2 numa:4 l3:2 core:4 pu:2",
	 .n_workers = 64, .n_cores = 64, .n_seats = 64, .n_nodes = 8,
	 .cpus = "0-1", .worker = 0,
	 .victims = "cache 1-3; node 4-7; far 8-31; far 32-63"},
	{"pairs of cores share L2", "pack:2 [numa] l3:2 l2:2 core:2 pu:4",
	 .n_workers = 16, .n_cores = 16, .n_seats = 16, .n_nodes = 2,
	 .cpus = "0-3/4-7", .worker = 0,
	 .victims = "cache 1; cache 2 3; node 4-7; far 8-15"},
	{"two nodes below one L3", "l3:2 numa:2 core:4 pu:1", .n_workers = 16,
	 .n_cores = 16, .n_seats = 16, .n_nodes = 4, .cpus = "0/1", .worker = 0,
	 .victims = "cache 1-3; cache 4-7; far 8-15"},
	{"two kinds of memory", "pack:2 [numa] [numa] core:4 pu:1",
	 .n_workers = 8, .n_cores = 8, .n_seats = 8, .n_nodes = 2,
	 .cpus = "0/1", .worker = 5, .victims = "node 6 7 4; far 0-3"},
	{"hybrid, 8 P + 16 E", HYBRID, .n_workers = 24, .n_cores = 24,
	 .n_seats = 24, .n_nodes = 1,
	 .cpus = "32-33/40-41/48-49/56-57/64-65/72-73/80-81/88-89/0/2/4/6/8",
	 .worker = 8, .victims = "cache 9-11; cache 12-23 0-7"},
	{"hybrid, a worker per thread", HYBRID, .each_thread = true,
	 .n_workers = 32, .n_cores = 24, .n_seats = 32, .n_nodes = 1,
	 .cpus = "32/40/48/56/64/72/80/88/0/2/4/6/8/10/12/14/16/18/20/22/24/26/"
		 "28/30/33/41",
	 .worker = 24, .victims = "core 0; cache 25-31 1-23"},
	{"hybrid, four workers", HYBRID, .wanted = 4, .n_workers = 4,
	 .n_cores = 24, .n_seats = 24, .n_nodes = 1,
	 .cpus = "32-33/40-41/48-49/56-57", .worker = 3,
	 .victims = "cache 0-2"},
	{"asymmetric", "pack:2 [numa] core:4 pu:2", .keep = "0-3,4,6,8,10-11",
	 .n_workers = 6, .n_cores = 6, .n_seats = 6, .n_nodes = 2,
	 .cpus = "0-1/2-3/4/6/8/10-11", .worker = 4,
	 .victims = "node 5; far 0-3"},
	{"restricted cpuset", "pack:2 [numa] l3:1 core:4 pu:2",
	 .allowed = "1,2,5,12-13", .n_workers = 4, .n_cores = 4, .n_seats = 4,
	 .n_nodes = 2, .cpus = "1/2/5/12-13", .worker = 3,
	 .victims = "far 0-2"},
	{"restricted, a worker per thread", "pack:2 [numa] l3:1 core:4 pu:2",
	 .allowed = "1,2,5,12-13", .each_thread = true, .n_workers = 5,
	 .n_cores = 4, .n_seats = 5, .n_nodes = 2, .cpus = "1/2/5/12/13",
	 .worker = 3, .victims = "core 4; far 0-2"},
	{"quota of 1.5", "pack:2 [numa] core:4 pu:2", .millicpus = 1500,
	 .n_workers = 2, .n_cores = 8, .n_seats = 8, .n_nodes = 1,
	 .cpus = "0-1/2-3", .worker = 0, .victims = "node 1"},
	{"quota of a hundredth", "pack:2 core:4 pu:2", .millicpus = 10,
	 .n_workers = 1, .n_cores = 8, .n_seats = 8, .n_nodes = 1,
	 .cpus = "0-1", .worker = 0, .victims = ""},
	{"quota of more than there is", "core:4 pu:1", .millicpus = 64000,
	 .n_workers = 4, .n_cores = 4, .n_seats = 4, .n_nodes = 1,
	 .cpus = "0/1/2/3", .worker = 0, .victims = "node 1-3"},
	{"as many as were asked for, whatever the quota", "core:4 pu:1",
	 .wanted = 3, .millicpus = 1000, .n_workers = 3, .n_cores = 4,
	 .n_seats = 4, .n_nodes = 1, .cpus = "0/1/2", .worker = 0,
	 .victims = "node 1 2"},
	{"more workers than cores", "pack:2 l3:1 core:2 pu:1", .wanted = 6,
	 .n_workers = 6, .n_cores = 4, .n_seats = 4, .n_nodes = 1,
	 .cpus = "0/1/2/3/0/1", .worker = 1,
	 .victims = "core 5; cache 4 0; node 2 3"},
	{"packages whose memory is not ours", "pack:3 [numa] core:2 pu:1",
	 .memory = "1", .n_workers = 6, .n_cores = 6, .n_seats = 6,
	 .n_nodes = 1, .cpus = "0/1/2", .worker = 0,
	 .victims = "far 1; far 2-5"},
	{"the one whose memory is ours", "pack:3 [numa] core:2 pu:1",
	 .memory = "1", .n_workers = 6, .n_cores = 6, .n_seats = 6,
	 .n_nodes = 1, .cpus = "0/1/2", .worker = 2,
	 .victims = "node 3; far 4 5 0 1"},
	{"nodes within a core", "core:2 numa:2 pu:1", .n_workers = 2,
	 .n_cores = 2, .n_seats = 2, .n_nodes = 2, .cpus = "0-1/2-3",
	 .worker = 0, .victims = "far 1"},
	{"deep",
	 "group:2 group:2 group:2 group:2 group:2 group:2 group:2 pack:2 "
	 "core:2 pu:1",
	 .n_workers = 512, .n_cores = 512, .n_seats = 512, .n_nodes = 1,
	 .cpus = "0/1", .worker = 0,
	 .victims = "node 1; node 2 3; node 4-7; node 8-15; node 16-31; "
		    "node 32-63; node 64-127; node 128-255; node 256-511"},
	{"more than 1024 cores", "pack:64 core:32 pu:1", .n_workers = 1024,
	 .n_cores = 2048, .n_seats = 2048, .n_nodes = 1, .cpus = "0/1",
	 .worker = 1023, .victims = "node 992-1022; node 0-991"},
};

#define N_MACHINES (sizeof(machines) / sizeof(*machines))

static struct places places;

static hwloc_bitmap_t parse_cpus(const char *list)
{
	hwloc_bitmap_t cpus = hwloc_bitmap_alloc();

	cr_assert_not_null(cpus);
	cr_assert_eq(hwloc_bitmap_list_sscanf(cpus, list), 0, "%s", list);
	return cpus;
}

static void add_kind(hwloc_topology_t topology, const char *list,
		     int efficiency)
{
	hwloc_bitmap_t cpus = parse_cpus(list);

	cr_assert_eq(
		hwloc_cpukinds_register(topology, cpus, efficiency, 0, NULL, 0),
		0);
	hwloc_bitmap_free(cpus);
}

static hwloc_topology_t build(const struct machine *machine)
{
	hwloc_topology_t topology;

	cr_assert_eq(topology_load(&topology, machine->synthetic), 0, "%s",
		     machine->name);
	if (machine->keep) {
		hwloc_bitmap_t cpus = parse_cpus(machine->keep);

		cr_assert_eq(hwloc_topology_restrict(topology, cpus, 0), 0);
		hwloc_bitmap_free(cpus);
	}
	if (machine->memory)
		table_keep_memory(topology, machine->memory);
	if (machine->fast) {
		add_kind(topology, machine->slow, 10);
		add_kind(topology, machine->fast, 20);
	}
	return topology;
}

/* The same machine, as someone would send it to us. */
static hwloc_topology_t through_xml(hwloc_topology_t topology)
{
	hwloc_topology_t copy;
	char *xml;
	int length;

	cr_assert_eq(
		hwloc_topology_export_xmlbuffer(topology, &xml, &length, 0), 0);
	cr_assert_eq(topology_load(&copy, xml), 0);
	hwloc_free_xmlbuffer(topology, xml);
	hwloc_topology_destroy(topology);
	return copy;
}

static int plan(const struct machine *machine, hwloc_topology_t topology)
{
	struct place_policy policy = {.n_workers = machine->wanted,
				      .millicpus = machine->millicpus,
				      .each_thread = machine->each_thread,
				      .bind = true};
	hwloc_bitmap_t allowed = NULL;
	int error;

	if (machine->allowed)
		policy.allowed = allowed = parse_cpus(machine->allowed);
	memset(&places, 0xff, sizeof(places));
	error = places_plan(&places, topology, &policy);
	hwloc_bitmap_free(allowed);
	return error;
}

/* As many as are written down. */
static void expect_cpus(const struct machine *machine, const char *how)
{
	char *list = strdup(machine->cpus), *save;
	char *item = strtok_r(list, "/", &save);

	for (unsigned i = 0; item; i++) {
		char is[128];

		cr_assert_lt(i, places.n_workers);
		hwloc_bitmap_list_snprintf(is, sizeof(is), places.of[i].cpus);
		cr_assert_str_eq(is, item, "%s, %s, worker %u", machine->name,
				 how, i);
		item = strtok_r(NULL, "/", &save);
	}
	free(list);
}

static void expect_victims(const struct machine *machine, const char *how)
{
	char is[256];

	cr_assert_lt(chart_victims(&places, machine->worker, is, sizeof(is)),
		     sizeof(is));
	cr_assert_str_eq(is, machine->victims, "%s, %s, worker %u: %s",
			 machine->name, how, machine->worker, is);
}

/* Nearest first, each of the others once, distances that say the same. */
static void check_victims(const struct machine *machine, unsigned worker)
{
	const struct place *place = &places.of[worker];
	bool *seen = calloc(places.n_workers, sizeof(*seen));
	unsigned i = 0;

	for (unsigned ring = 0; ring < place->n_rings; ring++) {
		cr_assert_gt(place->ring_end[ring], i);
		cr_assert(ring == 0 ||
				  place->near[ring] >= place->near[ring - 1],
			  "%s", machine->name);
		for (; i < place->ring_end[ring]; i++) {
			unsigned victim = place->victims[i];

			cr_assert_lt(victim, places.n_workers);
			cr_assert_neq(victim, worker);
			cr_assert_not(seen[victim], "%s: %u twice",
				      machine->name, victim);
			cr_assert_eq(places_distance(&places, worker, victim),
				     ring + 1);
			seen[victim] = true;
		}
	}
	cr_assert_eq(i, places.n_workers - 1, "%s", machine->name);
	cr_assert_eq(places_distance(&places, worker, worker), 0);
	free(seen);
}

static void check(const struct machine *machine, hwloc_topology_t topology,
		  const char *how)
{
	cr_assert_eq(plan(machine, topology), 0, "%s, %s", machine->name, how);
	cr_assert_eq(places.n_workers, machine->n_workers, "%s, %s: %u",
		     machine->name, how, places.n_workers);
	cr_assert_eq(places.n_cores, machine->n_cores, "%s, %s: %u",
		     machine->name, how, places.n_cores);
	cr_assert_eq(places.n_seats, machine->n_seats, "%s, %s: %u",
		     machine->name, how, places.n_seats);
	cr_assert_eq(places.n_nodes, machine->n_nodes, "%s, %s: %u",
		     machine->name, how, places.n_nodes);
	expect_cpus(machine, how);
	expect_victims(machine, how);
	for (unsigned i = 0; i < places.n_workers; i++)
		check_victims(machine, i);
	places_fini(&places);
}

Test(place, synthetic_machines_are_planned_as_they_should)
{
	for (size_t i = 0; i < N_MACHINES; i++)
		check(&machines[i], build(&machines[i]), "synthetic");
}

Test(place, so_are_they_from_their_xml)
{
	for (size_t i = 0; i < N_MACHINES; i++)
		check(&machines[i], through_xml(build(&machines[i])), "XML");
}

/* Never two workers on a core while another one is free. */
Test(place, many_workers_share_evenly)
{
	static const struct machine machine = {.name = "20 on 8",
					       .synthetic =
						       "pack:2 core:4 pu:2",
					       .wanted = 20};

	cr_assert_eq(plan(&machine, build(&machine)), 0);
	cr_assert_eq(places.n_workers, 20);
	for (unsigned pu = 0; pu < 16; pu++) {
		int n = 0;

		for (unsigned i = 0; i < 20; i++)
			n += hwloc_bitmap_isset(places.of[i].cpus, pu);
		cr_assert_geq(n, 2);
		cr_assert_leq(n, 3);
	}
	places_fini(&places);
}

/* A kind that hwloc cannot rank says nothing about speed. */
Test(place, kinds_without_a_rank_are_alike)
{
	static const struct machine machine = {.name = "unranked",
					       .synthetic = "core:4 pu:1",
					       .fast = "2-3",
					       .slow = "0-1"};
	hwloc_topology_t topology;

	cr_assert_eq(topology_load(&topology, machine.synthetic), 0);
	add_kind(topology, machine.slow, -1);
	add_kind(topology, machine.fast, -1);
	cr_assert_eq(plan(&machine, topology), 0);
	for (unsigned i = 0; i < 4; i++)
		cr_assert(hwloc_bitmap_isset(places.of[i].cpus, i), "%u", i);
	places_fini(&places);
}

Test(place, a_machine_that_is_not_ours_at_all_is_refused)
{
	static const struct machine machine = {.name = "not ours",
					       .synthetic = "core:4 pu:1",
					       .allowed = "4-7"};

	cr_assert_eq(plan(&machine, build(&machine)), -ENODEV);
	cr_assert_null(places.of);
	cr_assert_null(places.topology);
}

Test(place, more_than_1024_workers_are_refused)
{
	static const struct machine machine = {.name = "too many",
					       .synthetic = "core:4 pu:1",
					       .wanted = WORKERS_MAX + 1};

	cr_assert_eq(plan(&machine, build(&machine)), -EINVAL);
}

/* ---- quotas ---- */

Test(place, a_begun_processor_is_worth_a_worker)
{
	static const struct {
		unsigned n_seats, millicpus, n;
	} cases[] = {{8, 0, 8},
		     {8, 1, 1},
		     {8, 999, 1},
		     {8, 1000, 1},
		     {8, 1001, 2},
		     {8, 1500, 2},
		     {8, 2000, 2},
		     {8, 7999, 8},
		     {8, 8001, 8},
		     {1, 64000, 1},
		     {4000, 0, WORKERS_MAX},
		     {4000, 0x7fffffff, WORKERS_MAX}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		cr_assert_eq(
			places_wanted(cases[i].n_seats, cases[i].millicpus),
			cases[i].n, "%u seats, %u", cases[i].n_seats,
			cases[i].millicpus);
}

/* ---- using a plan ---- */

Test(place, a_place_elsewhere_binds_nobody)
{
	static const struct machine machine = {
		.name = "", .synthetic = "pack:2 core:4 pu:2"};
	cpu_set_t before, after;

	sched_getaffinity(0, sizeof(before), &before);
	cr_assert_eq(plan(&machine, build(&machine)), 0);
	cr_assert_eq(places_bind(&places, 7), 0);
	sched_getaffinity(0, sizeof(after), &after);
	cr_assert(CPU_EQUAL(&before, &after));
	places_fini(&places);
}

static void *bind_one(void *arg)
{
	unsigned worker = *(unsigned *)arg;
	cpu_set_t got;
	int n = 0;

	if (places_bind(&places, worker) != 0)
		return NULL;
	sched_getaffinity(0, sizeof(got), &got);
	for (unsigned pu = 0; pu < CPU_SETSIZE; pu++) {
		if (CPU_ISSET(pu, &got) !=
		    hwloc_bitmap_isset(places.of[worker].cpus, pu))
			return NULL;
		n += CPU_ISSET(pu, &got);
	}
	return n > 0 ? arg : NULL;
}

static void plan_here(bool bind)
{
	struct place_policy policy = {.bind = bind};
	hwloc_topology_t topology;
	hwloc_bitmap_t mine;

	cr_assert_eq(topology_load(&topology, NULL), 0);
	policy.allowed = mine = topology_affinity(topology);
	cr_assert_eq(places_plan(&places, topology, &policy), 0);
	hwloc_bitmap_free(mine);
}

Test(place, workers_sit_where_planned)
{
	plan_here(true);
	for (unsigned i = 0; i < places.n_workers; i++) {
		pthread_t thread;
		void *done;

		pthread_create(&thread, NULL, bind_one, &i);
		pthread_join(thread, &done);
		cr_assert_not_null(done, "worker %u", i);
	}
	places_fini(&places);
}

Test(place, unbound_workers_are_left_alone)
{
	cpu_set_t before, after;

	sched_getaffinity(0, sizeof(before), &before);
	plan_here(false);
	cr_assert_eq(places_bind(&places, 0), 0);
	sched_getaffinity(0, sizeof(after), &after);
	cr_assert(CPU_EQUAL(&before, &after));
	places_fini(&places);
}

Test(place, a_refused_place_is_an_error)
{
	plan_here(true);
	hwloc_bitmap_only(places.of[0].cpus, 4000);
	cr_assert_lt(places_bind(&places, 0), 0);
	places_fini(&places);
}

/* On one node, on several elsewhere, on several that should be here. */
Test(place, memory_can_be_used_wherever_it_is)
{
	static const struct machine nodes[] = {
		{.name = "one", .synthetic = "core:4 pu:1"},
		{.name = "four", .synthetic = "numa:4 core:1 pu:1"},
		{.name = "four that are not here",
		 .synthetic = "numa:4 core:1 pu:1"}};

	for (unsigned i = 0; i < 3; i++) {
		unsigned last;

		if (i == 2)
			setenv("HWLOC_THISSYSTEM", "1", 1);
		cr_assert_eq(plan(&nodes[i], build(&nodes[i])), 0);
		last = places.n_workers - 1;
		for (size_t size = 64; size < 100000; size *= 5) {
			char *block;

			size = (size + 63) / 64 * 64;
			block = places_alloc(&places, last, size);
			cr_assert_not_null(block);
			cr_assert_eq((uintptr_t)block % 64, 0);
			memset(block, 0x5a, size);
			places_free(&places, block, size);
		}
		places_free(&places, NULL, 64);
		places_fini(&places);
	}
}

/* The kernel's policy for the page at an address; -1: it does not tell. */
static int policy_at(void *address)
{
	int mode;

	if (syscall(SYS_get_mempolicy, &mode, NULL, 0, address,
		    (unsigned long)MPOL_F_ADDR) != 0)
		return -1;
	return mode;
}

/* Node 0 is here; the others make the plan believe that it matters. */
Test(place, memory_is_wanted_where_its_worker_sits)
{
	static const struct machine machine = {
		.name = "four", .synthetic = "numa:4 core:1 pu:1"};
	char *near, *plain = malloc(1 << 20);
	int usual = policy_at(plain);

	if (usual != MPOL_DEFAULT)
		cr_skip_test("the kernel does not tell, or has another policy");
	setenv("HWLOC_THISSYSTEM", "1", 1);
	cr_assert_eq(plan(&machine, build(&machine)), 0);
	near = places_alloc(&places, 0, 1 << 20);
	memset(near, 1, 1 << 20);
	cr_assert_neq(policy_at(near), MPOL_DEFAULT);
	places_free(&places, near, 1 << 20);
	places.bind = false;
	near = places_alloc(&places, 0, 1 << 20);
	cr_assert_eq(policy_at(near), MPOL_DEFAULT);
	places_free(&places, near, 1 << 20);
	places_fini(&places);
	free(plain);
}
