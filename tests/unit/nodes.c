/* SPDX-License-Identifier: MIT */
/*
 * nodes - a list per NUMA node, and nobody's work is left lying
 */
#include <sched.h>
#include <stdlib.h>

#include "sched/worker.h"
#include "tests/check.h"
#include "tests/unit/tables.h"

#define TASKS 32

static struct crew crew;
static struct task_class class;
static struct task tasks[TASKS];

static void no_rest(struct worker *worker)
{
	(void)worker;
}

/* Without threads. */
static void begin_on(const char *machine, unsigned n_workers)
{
	const struct crew_options options = {
		.n_workers = n_workers,
		.unbound = true,
		.topology = machine,
		.stack_size = 65536,
		.worker_size = sizeof(struct worker),
		.rest = no_rest,
	};

	cr_assert_eq(crew_init(&crew, &options), 0);
	for (unsigned i = 0; i < TASKS; i++)
		tasks[i].class = &class;
}

/* ---- numbers ---- */

Test(nodes, there_is_one_list_on_a_small_machine)
{
	begin_on("core:2 pu:1", 2);
	cr_assert_eq(crew.nodes.n, 1);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(nodes_here(&crew.nodes), 0);
	crew_fini(&crew);
}

Test(nodes, each_worker_knows_its_node)
{
	begin_on("numa:4 core:2 pu:1", 8);
	cr_assert_eq(crew.nodes.n, 4);
	for (unsigned i = 0; i < 8; i++) {
		cr_assert_eq(worker_node(crew.workers[i]), i / 2);
		cr_assert_eq(crew.nodes.of[i / 2]->first_worker, i / 2 * 2);
	}
	crew_fini(&crew);
}

Test(nodes, those_where_workers_may_come_to_sit_have_a_list)
{
	begin_on("numa:4 core:2 pu:1", 3);
	cr_assert_eq(crew.nodes.n, 4);
	crew_fini(&crew);
}

/* Of 65 there are 64 places for those that may come. */
Test(nodes, others_have_none)
{
	begin_on("numa:65 core:1 pu:1", 3);
	cr_assert_eq(crew.nodes.n, 64);
	crew_fini(&crew);
}

Test(nodes, the_others_come_nearest_first)
{
	/* Two packages of two nodes each. */
	static const uint16_t order[4][2] = {{0, 1}, {1, 0}, {2, 3}, {3, 2}};

	begin_on("pack:2 numa:2 core:2 pu:1", 8);
	cr_assert_eq(crew.nodes.n, 4);
	for (unsigned i = 0; i < 4; i++) {
		const uint16_t *of = crew.nodes.of[i]->order;
		unsigned seen = 0;

		cr_assert_eq(of[0], order[i][0]);
		cr_assert_eq(of[1], order[i][1]);
		for (unsigned k = 0; k < 4; k++)
			seen |= 1u << of[k];
		cr_assert_eq(seen, 15, "each once");
	}
	crew_fini(&crew);
}

Test(nodes, the_farthest_of_a_square_comes_last)
{
	static const uint16_t order[4][4] = {
		{0, 1, 2, 3}, {1, 3, 0, 2}, {2, 3, 0, 1}, {3, 1, 2, 0}};
	const struct table table = {TABLE_LATENCY, 4, 0, 1, table_square};
	char *xml = table_xml("numa:4 core:2 pu:1", NULL, &table, 1);

	begin_on(xml, 8);
	free(xml);
	cr_assert_eq(crew.nodes.n, 4);
	for (unsigned i = 0; i < 4; i++)
		for (unsigned k = 0; k < 4; k++)
			cr_assert_eq(crew.nodes.of[i]->order[k], order[i][k]);
	crew_fini(&crew);
}

/* ---- where work goes ---- */

Test(nodes, who_runs_on_another_machine_spreads_its_work)
{
	unsigned n[4] = {0};

	begin_on("numa:4 core:2 pu:1", 8);
	for (unsigned i = 0; i < 40; i++)
		n[nodes_here(&crew.nodes)]++;
	for (unsigned i = 0; i < 4; i++)
		cr_assert_eq(n[i], 10);
	crew_fini(&crew);
}

static void run_on(const cpu_set_t *cpus)
{
	cr_assert_eq(sched_setaffinity(0, sizeof(*cpus), cpus), 0);
}

/* As if our processors belonged to this machine's nodes, each to one. */
static void push_from_each_node(const char *machine)
{
	cpu_set_t usual, one;
	bool is_here;

	cr_assert_eq(sched_getaffinity(0, sizeof(usual), &usual), 0);
	setenv("HWLOC_THISSYSTEM", "1", 1);
	begin_on(machine, 64);
	cr_assert_eq(crew.nodes.n, 64);
	is_here = hwloc_topology_is_thissystem(crew.places.topology);
	for (unsigned cpu = 0; cpu < 64 && is_here; cpu++) {
		if (!CPU_ISSET(cpu, &usual))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		run_on(&one);
		for (int i = 0; i < 5; i++)
			cr_assert_eq(nodes_here(&crew.nodes), cpu, "%.20s, %u",
				     machine, cpu);
	}
	run_on(&usual);
	crew_fini(&crew);
}

Test(nodes, who_runs_on_a_node_pushes_there)
{
	push_from_each_node("numa:64 core:1 pu:1");
}

Test(nodes, so_does_who_runs_beside_two_kinds_of_memory)
{
	push_from_each_node("pack:64 [numa] [numa] core:1 pu:1");
}

/* As where the process may use a part of the memory only. */
Test(nodes, so_does_who_runs_where_there_is_no_memory)
{
	hwloc_topology_t topology;
	char *xml;

	cr_assert_eq(topology_load(&topology, "numa:64 core:1 pu:1"), 0);
	table_keep_memory(topology, "1-63");
	xml = table_export(topology);
	push_from_each_node(xml);
	free(xml);
}

Test(nodes, all_lists_count)
{
	begin_on("numa:4 core:2 pu:1", 8);
	cr_assert_eq(nodes_length(&crew.nodes), 0);
	for (unsigned i = 0; i < 4; i++) {
		nodes_push(&crew.nodes, i, &tasks[i]);
		cr_assert_eq(nodes_length(&crew.nodes), i + 1);
	}
	crew_fini(&crew);
}

static void expect_taken(unsigned node, unsigned skip, unsigned i)
{
	struct task *first;

	cr_assert_eq(nodes_take(&crew.nodes, node, skip, 1, &first), 1);
	cr_assert(first == &tasks[i], "%u", (unsigned)(first - tasks));
}

Test(nodes, the_own_list_is_served_first)
{
	struct task *first;

	begin_on("pack:2 numa:2 core:2 pu:1", 8);
	for (unsigned i = 0; i < 4; i++)
		nodes_push(&crew.nodes, i, &tasks[i]);
	expect_taken(3, 0, 3);
	expect_taken(3, 0, 2);
	expect_taken(3, 0, 0);
	expect_taken(3, 0, 1);
	cr_assert_eq(nodes_take(&crew.nodes, 3, 0, 1, &first), 0);
	cr_assert_null(first);
	crew_fini(&crew);
}

Test(nodes, another_list_is_served_first_on_demand)
{
	begin_on("pack:2 numa:2 core:2 pu:1", 8);
	for (unsigned i = 0; i < 4; i++)
		nodes_push(&crew.nodes, i, &tasks[i]);
	expect_taken(0, 1, 1);
	expect_taken(0, 3 + 4, 3);
	expect_taken(0, 2, 2);
	/* None left there: the nearest of the rest. */
	expect_taken(0, 1, 0);
	crew_fini(&crew);
}

/* Who is woken for a task from outside, or from a home? It finds nothing, as
   far as others know. */
static unsigned woken_by(struct worker *home, struct task *task)
{
	unsigned n = crew.idle.n_sleepers, k;
	uint16_t before[8];

	for (k = 0; k < n; k++)
		before[k] = crew.idle.sleepers[k];
	if (home)
		home_push_out(home, task);
	else
		crew_inject(&crew, task);
	cr_assert_eq(crew.idle.n_sleepers, n - 1);
	idle_end_search(&crew.idle);
	for (k = 0; k < n - 1; k++)
		if (crew.idle.sleepers[k] != before[k])
			break;
	return before[k];
}

static unsigned woken_for(struct task *task)
{
	return woken_by(NULL, task);
}

/* The sleeper that is woken sits where the work lies. */
Test(nodes, a_worker_of_the_node_is_woken)
{
	unsigned n_first[4] = {0};

	begin_on("numa:4 core:2 pu:1", 8);
	/* One is awake: there is no monitor here to be told of the first. */
	for (unsigned i = 0; i < 7; i++)
		idle_enter(&crew.idle, i, false);
	for (unsigned i = 0; i < 4; i++)
		n_first[woken_for(&tasks[i]) / 2]++;
	for (unsigned i = 0; i < 4; i++)
		cr_assert_eq(n_first[i], 1);
	crew_fini(&crew);
}

/* A home that came to sit elsewhere than its slot did when it was made. */
Test(nodes, so_is_one_where_a_home_sits)
{
	struct home *place = calloc(1, sizeof(*place));
	struct worker *home;

	begin_on("numa:4 core:2 pu:1", 8);
	cr_assert_eq(crew_add_worker(&crew, 0, false, place, &home), 0);
	AO_store(&home->xplace, 4);
	for (unsigned i = 0; i < 7; i++)
		idle_enter(&crew.idle, i, false);
	cr_assert_eq(woken_by(home, &tasks[0]), 5);
	cr_assert_eq(woken_by(home, &tasks[1]), 4);
	crew_fini(&crew);
}

/* Whoever fell asleep last. The processor is that of another machine: each node
   in turn gets the work. */
Test(nodes, the_only_worker_of_a_node_is_woken)
{
	begin_on("numa:4 core:1 pu:1", 4);
	for (unsigned i = 0; i < 8; i++) {
		for (unsigned k = 0; k < 4; k++)
			if (i % 4 == 0)
				idle_enter(&crew.idle, k, false);
		cr_assert_eq(woken_for(&tasks[i]), i % 4);
	}
	crew_fini(&crew);
}

Test(nodes, all_workers_of_a_node_are_as_near_to_it)
{
	static const unsigned order[] = {3, 7, 2, 6, 1, 5, 0, 4};

	begin_on("numa:2 l3:2 core:2 pu:1", 8);
	for (unsigned i = 0; i < 8; i++)
		idle_enter(&crew.idle, i, false);
	for (unsigned i = 0; i < 8; i++)
		cr_assert_eq(woken_for(&tasks[i]), order[i], "%u", i);
	crew_fini(&crew);
}

/* ---- with workers ---- */

static AO_t xblocked; /* workers that stand still */
static AO_t xdone;
static AO_t xn_laps;

/* Until the last one is done. */
static void run_block(struct task *task, struct worker *worker)
{
	(void)task;
	(void)worker;
	AO_fetch_and_add1_full(&xblocked);
	while (!AO_load_acquire(&xdone))
		sched_yield();
}

static void run_done(struct task *task, struct worker *worker)
{
	(void)task;
	(void)worker;
	AO_store_release(&xdone, 1);
}

static AO_t xn_counted;

/* The second of two. */
static void run_count(struct task *task, struct worker *worker)
{
	(void)task;
	(void)worker;
	if (AO_fetch_and_add1_full(&xn_counted) == 1)
		AO_store_release(&xdone, 1);
}

/* Into the list of its worker's node, again and again. */
static void run_lap(struct task *task, struct worker *worker)
{
	AO_fetch_and_add1(&xn_laps);
	if (!AO_load_acquire(&xdone))
		nodes_push(&crew.nodes, worker_node(worker), task);
}

static struct task_class block_class = {.run = run_block, .xmean_ns = 100};
static struct task_class done_class = {.run = run_done, .xmean_ns = 100};
static struct task_class lap_class = {.run = run_lap, .xmean_ns = 100};

static struct task_class count_class = {.run = run_count, .xmean_ns = 100};

static void start_on(const char *machine, unsigned n_workers)
{
	begin_on(machine, n_workers);
	cr_assert_eq(crew_start(&crew), 0);
}

static void stop(void)
{
	cr_assert_eq(crew_stop(&crew, INT64_MAX), 0);
	cr_assert_eq(nodes_length(&crew.nodes), 0);
	crew_fini(&crew);
}

static void inject_into(unsigned node, struct task *task,
			struct task_class *what)
{
	task->class = what;
	nodes_push(&crew.nodes, node, task);
	crew_wake_one(&crew, NULL, false);
}

Test(nodes, what_lies_anywhere_is_run_though_all_sleep, .timeout = 60)
{
	start_on("numa:4 core:1 pu:1", 4);
	for (unsigned i = 0; i < 200; i++) {
		if (i % 8 == 0) /* let them fall asleep */
			while (idle_unparked(idle_read(&crew.idle)) > 0)
				sched_yield();
		AO_store(&xdone, 0);
		inject_into(i % 4, &tasks[0], &done_class);
		while (!AO_load_acquire(&xdone))
			sched_yield();
	}
	stop();
}

/* All but one are stuck, wherever that one sits. */
Test(nodes, what_lies_anywhere_is_run_though_others_are_stuck, .timeout = 60)
{
	for (unsigned node = 0; node < 3; node++) {
		AO_store(&xdone, 0);
		AO_store(&xblocked, 0);
		start_on("numa:3 core:1 pu:1", 3);
		for (unsigned i = 0; i < 2; i++) {
			inject_into(i, &tasks[i], &block_class);
			while (AO_load_acquire(&xblocked) < i + 1)
				sched_yield();
		}
		inject_into(node, &tasks[2], &done_class);
		while (!AO_load_acquire(&xdone))
			sched_yield();
		stop();
	}
}

/* ... and the one that is not stuck has enough to do in its own node. */
Test(nodes, what_lies_elsewhere_is_not_starved, .timeout = 60)
{
	start_on("numa:2 core:1 pu:1", 2);
	inject_into(0, &tasks[0], &block_class);
	while (AO_load_acquire(&xblocked) < 1)
		sched_yield();
	/* The other one, whichever it is, goes in circles in its own. */
	for (unsigned i = 1; i < 9; i++)
		inject_into(i % 2, &tasks[i], &lap_class);
	while (AO_load(&xn_laps) < 1000)
		sched_yield();
	for (unsigned node = 0; node < 2; node++) {
		tasks[9 + node].class = &count_class;
		nodes_push(&crew.nodes, node, &tasks[9 + node]);
	}
	while (!AO_load_acquire(&xdone))
		sched_yield();
	stop();
}
