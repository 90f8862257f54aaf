/* SPDX-License-Identifier: MIT */
/*
 * latency - are nodes nearer that the machine's table says are?
 *
 * All machines go through XML: so they come from people who have them.
 */
#include "sched/chart.h"
#include "sched/place.h"
#include "tests/check.h"
#include "tests/unit/tables.h"

#define VALUES(...) ((const hwloc_uint64_t[]){__VA_ARGS__})

struct machine {
	const char *name;
	const char *synthetic;
	const char *keep; /* processors that exist; NULL: all */
	struct table tables[2];
	struct {
		unsigned worker;
		const char *victims; /* NULL: no more */
	} expected[4];
};

static const struct machine machines[] = {
	{"a square",
	 "numa:4 core:2 pu:1",
	 NULL,
	 {{TABLE_LATENCY, 4, 0, 1, table_square}},
	 {{0, "node 1; far 2-5; far 6 7"},
	  {2, "node 3; far 6 7 0 1; far 4 5"},
	  {5, "node 4; far 6 7 0 1; far 2 3"},
	  {6, "node 7; far 2-5; far 0 1"}}},
	{"asymmetric",
	 "numa:3 core:1 pu:1",
	 NULL,
	 {{TABLE_LATENCY, 3, 0, 1, VALUES(10, 30, 20, 12, 10, 14, 9, 8, 10)}},
	 {{0, "far 2; far 1"}, {1, "far 0; far 2"}, {2, "far 1; far 0"}}},
	{"nodes that the table lacks",
	 "numa:6 core:1 pu:1",
	 NULL,
	 {{TABLE_LATENCY, 3, 0, 2, VALUES(10, 22, 16, 22, 10, 16, 16, 22, 10)}},
	 {{0, "far 4; far 2; far 1 3 5"},
	  {4, "far 0; far 2; far 5 1 3"},
	  {3, "far 4 5 0-2"}}},
	{"nothing known of some",
	 "numa:4 core:1 pu:1",
	 NULL,
	 {{TABLE_LATENCY, 4, 0, 1,
	   VALUES(10, 0, 22, 16, 16, 10, 0, 0, 0, 0, 0, 0, 1, 2, 3, 0)}},
	 {{0, "far 3; far 2; far 1"},
	  {1, "far 0; far 2 3"},
	  {2, "far 3 0 1"},
	  {3, "far 0; far 1; far 2"}}},
	{"memory without processors",
	 "numa:5 core:1 pu:1",
	 "0,2,4",
	 {{TABLE_LATENCY, 5, 0, 1,
	   VALUES(10, 11, 30, 11, 20, 11, 10, 11, 11, 11, 30, 11, 10, 11, 20,
		  11, 11, 11, 10, 11, 20, 11, 25, 11, 10)}},
	 {{0, "far 2; far 1"}, {1, "far 2; far 0"}, {2, "far 0; far 1"}}},
	/* Nodes 1, 3 and 5 are the fast ones of the packages. */
	{"two kinds of memory",
	 "pack:3 [numa] [numa] core:2 pu:1",
	 NULL,
	 {{TABLE_LATENCY, 6, 0, 1,
	   VALUES(10, 50, 20, 50, 30, 50, 50, 10, 50, 50, 50, 15, 20, 50, 10,
		  50, 40, 50, 50, 50, 50, 10, 50, 50, 30, 50, 40, 50, 10, 50,
		  50, 15, 50, 50, 50, 10)}},
	 {{0, "node 1; far 4 5; far 2 3"},
	  {2, "node 3; far 0 1; far 4 5"},
	  {5, "node 4; far 0 1; far 2 3"}}},
	{"fast memory alone has a table",
	 "pack:3 [numa] [numa] core:1 pu:1",
	 NULL,
	 {{TABLE_LATENCY, 3, 1, 2, VALUES(1, 3, 2, 3, 1, 2, 2, 3, 1)}},
	 {{0, "far 2; far 1"}, {1, "far 2; far 0"}, {2, "far 0; far 1"}}},
	{"bandwidth, if there is nothing else",
	 "numa:4 core:1 pu:1",
	 NULL,
	 {{TABLE_BANDWIDTH, 4, 0, 1,
	   VALUES(90, 20, 30, 0, 20, 90, 20, 30, 30, 20, 90, 20, 5, 30, 20,
		  90)}},
	 {{0, "far 2; far 1; far 3"},
	  {1, "far 3; far 2 0"},
	  {3, "far 1; far 2; far 0"}}},
	{"latency before bandwidth",
	 "numa:3 core:1 pu:1",
	 NULL,
	 {{TABLE_BANDWIDTH, 3, 0, 1, VALUES(9, 5, 1, 5, 9, 5, 1, 5, 9)},
	  {TABLE_LATENCY, 3, 0, 1, VALUES(9, 5, 1, 5, 9, 5, 1, 5, 9)}},
	 {{0, "far 2; far 1"}, {2, "far 0; far 1"}}},
	{"the table of the most nodes",
	 "numa:4 core:1 pu:1",
	 NULL,
	 {{TABLE_LATENCY, 3, 0, 1, VALUES(1, 2, 3, 2, 1, 2, 3, 2, 1)},
	  {TABLE_LATENCY, 4, 0, 1, table_square}},
	 {{0, "far 1 2; far 3"}, {3, "far 1 2; far 0"}}},
	{"a measured table before the firmware's",
	 "numa:3 core:1 pu:1",
	 NULL,
	 {{TABLE_LATENCY | TABLE_OS, 3, 0, 1,
	   VALUES(1, 2, 3, 2, 1, 2, 3, 2, 1)},
	  {TABLE_LATENCY, 3, 0, 1, VALUES(1, 3, 2, 3, 1, 2, 2, 3, 1)}},
	 {{0, "far 2; far 1"}, {1, "far 2; far 0"}, {2, "far 0; far 1"}}},
	{"likewise if that was added later",
	 "numa:3 core:1 pu:1",
	 NULL,
	 {{TABLE_LATENCY, 3, 0, 1, VALUES(1, 3, 2, 3, 1, 2, 2, 3, 1)},
	  {TABLE_LATENCY | TABLE_OS, 3, 0, 1,
	   VALUES(1, 2, 3, 2, 1, 2, 3, 2, 1)}},
	 {{0, "far 2; far 1"}, {1, "far 2; far 0"}, {2, "far 0; far 1"}}},
	{"the firmware's, if that has more nodes",
	 "numa:4 core:1 pu:1",
	 NULL,
	 {{TABLE_LATENCY | TABLE_OS, 4, 0, 1, table_square},
	  {TABLE_LATENCY, 3, 0, 1, VALUES(1, 3, 2, 3, 1, 2, 2, 3, 1)}},
	 {{0, "far 1 2; far 3"}, {3, "far 1 2; far 0"}}},
	/* Two squares and a link between nodes 0 and 4, which is faster than
	   two hops: hwloc makes a group of each square. */
	{"groups made of the table",
	 "numa:8 core:1 pu:1",
	 NULL,
	 {{TABLE_LATENCY | TABLE_GROUPS, 8, 0, 1,
	   VALUES(10, 16, 16, 22, 20, 26, 26, 32, 16, 10, 22, 16, 26, 32, 32,
		  38, 16, 22, 10, 16, 26, 32, 32, 38, 22, 16, 16, 10, 32, 38,
		  38, 44, 20, 26, 26, 32, 10, 16, 16, 22, 26, 32, 32, 38, 16,
		  10, 22, 16, 26, 32, 32, 38, 16, 22, 10, 16, 32, 38, 38, 44,
		  22, 16, 16, 10)}},
	 {{0, "far 1 2; far 4; far 3; far 5 6; far 7"},
	  {4, "far 5 6; far 0; far 7; far 1 2; far 3"},
	  {3, "far 1 2; far 0; far 4; far 5 6; far 7"}}},
	{"groups of nodes without a table",
	 "group:2 numa:2 core:1 pu:1",
	 NULL,
	 {{0, 0, 0, 0, NULL}},
	 {{0, "far 1; far 2 3"}, {3, "far 2; far 0 1"}}},
	{"groups of nodes that are as far from all",
	 "group:2 numa:2 core:1 pu:1",
	 NULL,
	 {{TABLE_LATENCY, 4, 0, 1,
	   VALUES(1, 2, 2, 2, 2, 1, 2, 2, 2, 2, 1, 2, 2, 2, 2, 1)}},
	 {{0, "far 1; far 2 3"}, {3, "far 2; far 0 1"}}},
	{"caches and packages come first",
	 "pack:2 numa:2 l3:2 core:1 pu:1",
	 NULL,
	 {{TABLE_LATENCY, 4, 0, 1,
	   VALUES(50, 40, 20, 10, 40, 50, 10, 20, 20, 10, 50, 40, 10, 20, 40,
		  50)}},
	 {{0, "node 1; far 2 3; far 6 7; far 4 5"}}},
	{"nodes below a cache are as near",
	 "l3:2 numa:2 core:1 pu:1",
	 NULL,
	 {{TABLE_LATENCY, 4, 0, 1, table_square}},
	 {{0, "cache 1; far 2; far 3"}}},
	{"three nodes below a cache",
	 "l3:1 numa:3 core:1 pu:1",
	 NULL,
	 {{TABLE_LATENCY, 3, 0, 1, VALUES(1, 3, 2, 3, 1, 2, 2, 3, 1)}},
	 {{0, "cache 1 2"}}},
};

#define N_MACHINES (sizeof(machines) / sizeof(*machines))

static struct places places;

static void plan(char *xml)
{
	struct place_policy policy = {.bind = true};
	hwloc_topology_t topology;

	cr_assert_eq(topology_load(&topology, xml), 0);
	free(xml);
	cr_assert_eq(places_plan(&places, topology, &policy), 0);
}

static void expect(const char *name, unsigned worker, const char *victims)
{
	char is[256];

	cr_assert_lt(chart_victims(&places, worker, is, sizeof(is)),
		     sizeof(is));
	cr_assert_str_eq(is, victims, "%s, worker %u: %s", name, worker, is);
}

Test(latency, the_nearest_nodes_come_first)
{
	for (size_t i = 0; i < N_MACHINES; i++) {
		const struct machine *machine = &machines[i];

		plan(table_xml(machine->synthetic, machine->keep,
			       machine->tables, 2));
		for (size_t k = 0; k < 4 && machine->expected[k].victims; k++)
			expect(machine->name, machine->expected[k].worker,
			       machine->expected[k].victims);
		places_fini(&places);
	}
}

/* ---- many nodes ---- */

#define MANY 300

static hwloc_uint64_t values[MANY * MANY];

Test(latency, a_ring_of_nodes_is_gone_round_both_ways)
{
	const struct table table = {TABLE_LATENCY, 8, 0, 1, values};

	for (unsigned i = 0; i < 64; i++) {
		unsigned hops = (i / 8 + 8 - i % 8) % 8;

		values[i] = 10 + 6 * (hops < 8 - hops ? hops : 8 - hops);
	}
	plan(table_xml("numa:8 l3:2 core:1 pu:1", NULL, &table, 1));
	expect("ring", 6,
	       "node 7; far 8 9 4 5; far 10 11 2 3; far 12 13 0 1; far 14 15");
	expect("ring", 15,
	       "node 14; far 0 1 12 13; far 2 3 10 11; far 4 5 8 9; far 6 7");
	places_fini(&places);
}

/* More than rings, and more than a byte counts: still nearest first. */
Test(latency, each_node_at_a_distance_of_its_own)
{
	const struct table table = {TABLE_LATENCY, MANY, 0, 1, values};
	const struct place *place;

	for (unsigned i = 0; i < MANY; i++)
		for (unsigned k = 0; k < MANY; k++)
			values[i * MANY + k] = 1000 + (k * 7 + i) % MANY;
	plan(table_xml("numa:300 core:1 pu:1", NULL, &table, 1));
	cr_assert_eq(places.n_workers, MANY);
	for (unsigned i = 0; i < MANY; i++) {
		place = &places.of[i];
		cr_assert_eq(place->n_rings, PLACE_RINGS);
		cr_assert_eq(place->ring_end[PLACE_RINGS - 1], MANY - 1);
		for (unsigned k = 1; k < MANY - 1; k++) {
			unsigned a = place->victims[k - 1];
			unsigned b = place->victims[k];

			cr_assert_lt(values[i * MANY + a],
				     values[i * MANY + b]);
			cr_assert_eq(places_distance(&places, i, b),
				     k < PLACE_RINGS ? k + 1 : PLACE_RINGS);
		}
	}
	places_fini(&places);
}
