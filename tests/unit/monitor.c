/* SPDX-License-Identifier: MIT */
/*
 * monitor - does it see who stands still, and sleep when all do?
 *
 * The first half plays workers for single ticks; in the second half the
 * monitor's thread runs. Its state is private, so the source is included.
 */
#include <sched.h>
#include <string.h>

#include "sched/monitor.c"
#include "tests/check.h"

#define WORKERS 3

static struct crew crew;
static struct monitor monitor; /* without a thread */
static AO_t seen[WORKERS];
static struct task_class class;
static struct task tasks[10];

static void begin_on(const char *machine)
{
	const struct crew_options options = {
		.n_workers = WORKERS,
		.unbound = true,
		.topology = machine,
		.stack_size = 65536,
		.worker_size = sizeof(struct worker),
	};

	cr_assert_eq(crew_init(&crew, &options), 0);
	crew.monitor = &monitor;
	monitor = (struct monitor){.crew = &crew, .seen = seen};
	for (unsigned i = 0; i < WORKERS; i++) {
		AO_store(&crew.workers[i]->xturns, 100 * i);
		seen[i] = (AO_t)-1;
	}
	for (unsigned i = 0; i < 10; i++)
		tasks[i] = (struct task){.class = &class};
}

static void begin(void)
{
	begin_on(NULL);
}

/* Workers 0 and 1 on a node, 2 on another. */
static void begin_on_nodes(void)
{
	begin_on("numa:2 core:2 pu:1");
}

static void end(void)
{
	if (crew.monitor == &monitor)
		crew.monitor = NULL;
	crew_fini(&crew);
}

static bool is_marked(unsigned i)
{
	struct worker *worker = crew.workers[i];

	return AO_load(&worker->xstuck_at) == AO_load(&worker->xturns);
}

static void go_on(unsigned i)
{
	worker_count(&crew.workers[i]->xturns, 1);
}

static unsigned n_asleep(void)
{
	return WORKERS - idle_unparked(idle_read(&crew.idle));
}

/* ---- one tick ---- */

Test(monitor, nobody_is_marked_at_first_sight, .init = begin, .fini = end)
{
	tick(&monitor);
	for (unsigned i = 0; i < WORKERS; i++) {
		cr_assert_not(is_marked(i));
		cr_assert(!worker_is_stuck(crew.workers[i]));
	}
}

Test(monitor, who_stands_still_for_a_tick_is_marked, .init = begin, .fini = end)
{
	tick(&monitor);
	go_on(0);
	go_on(2);
	tick(&monitor);
	for (unsigned i = 0; i < WORKERS; i++) {
		cr_assert_eq(is_marked(i), i == 1);
		cr_assert_eq(worker_is_stuck(crew.workers[i]), i == 1);
	}
}

Test(monitor, mark_loses_its_force_with_the_next_turn, .init = begin,
     .fini = end)
{
	tick(&monitor);
	tick(&monitor);
	cr_assert(is_marked(1));
	go_on(1);
	cr_assert_not(is_marked(1));
	tick(&monitor);
	cr_assert_not(is_marked(1));
	tick(&monitor);
	cr_assert(is_marked(1));
}

Test(monitor, work_behind_a_long_turn_wakes_a_sleeper, .init = begin,
     .fini = end)
{
	idle_enter(&crew.idle, 0, false);
	/* Others search and decline: that must not keep us from waking. */
	cr_assert(idle_try_search(&crew.idle));
	tick(&monitor);
	tick(&monitor);
	cr_assert_eq(n_asleep(), 1, "there was nothing to do");
	queue_push(&crew.workers[1]->queue, &tasks[0]);
	go_on(1);
	tick(&monitor);
	cr_assert_eq(n_asleep(), 1, "its owner is about to do it");
	tick(&monitor);
	cr_assert_eq(n_asleep(), 0);
}

Test(monitor, work_in_the_shared_list_wakes_a_sleeper, .init = begin,
     .fini = end)
{
	idle_enter(&crew.idle, 0, false);
	nodes_push(&crew.nodes, 0, &tasks[0]);
	tick(&monitor);
	cr_assert_eq(n_asleep(), 0);
}

/* Whoever fell asleep last. */
Test(monitor, a_sleeper_near_the_long_turn_is_woken, .init = begin_on_nodes,
     .fini = end)
{
	idle_enter(&crew.idle, 1, false);
	idle_enter(&crew.idle, 2, false);
	queue_push(&crew.workers[0]->queue, &tasks[0]);
	tick(&monitor);
	tick(&monitor);
	cr_assert_eq(n_asleep(), 1);
	cr_assert_eq(crew.idle.sleepers[0], 2);
}

Test(monitor, a_sleeper_of_the_list_s_node_is_woken, .init = begin_on_nodes,
     .fini = end)
{
	for (unsigned node = 0; node < 2; node++) {
		struct task *task;

		idle_enter(&crew.idle, node == 0 ? 1 : 2, false);
		idle_enter(&crew.idle, node == 0 ? 2 : 1, false);
		nodes_push(&crew.nodes, node, &tasks[0]);
		tick(&monitor);
		cr_assert_eq(n_asleep(), 1);
		cr_assert_eq(crew.idle.sleepers[0], node == 0 ? 2 : 1);
		tick(&monitor);
		cr_assert_eq(n_asleep(), 0);
		cr_assert_eq(nodes_take(&crew.nodes, node, 0, 1, &task), 1);
	}
}

/* ---- its thread ---- */

/* Until it is in that state, or the test's time is up. */
static void await_state(struct monitor *running, unsigned state)
{
	while (load_state(running) != state)
		sched_yield();
}

/* Let it run while all are awake, unless they sleep already. */
static void start_all(bool asleep)
{
	if (asleep)
		for (unsigned i = 0; i < WORKERS; i++)
			idle_enter(&crew.idle, i, false);
	crew.monitor = monitor_start(&crew);
	cr_assert_not_null(crew.monitor);
}

static void stop(void)
{
	monitor_stop(crew.monitor);
	end();
}

/* Was woken: counts itself awake and tells the monitor if it is the first. */
static void wake_up(unsigned i)
{
	bool first;

	idle_leave(&crew.idle, i, &first);
	if (first)
		monitor_wake(crew.monitor);
}

Test(monitor, ticks_while_someone_is_awake, .init = begin, .fini = stop)
{
	start_all(false);
	while (!is_marked(1))
		sched_yield();
	cr_assert_eq(load_state(crew.monitor), MONITOR_TICKS);
	/* Again and again. */
	for (int i = 0; i < 5; i++) {
		go_on(1);
		while (!is_marked(1))
			sched_yield();
	}
}

Test(monitor, sleeps_while_all_sleep_and_is_woken, .init = begin, .fini = stop)
{
	start_all(true);
	for (unsigned i = 0; i < 100; i++) {
		await_state(crew.monitor, MONITOR_SLEEPS);
		wake_up(i % WORKERS);
		go_on(0);
		while (!is_marked(0))
			sched_yield();
		idle_enter(&crew.idle, i % WORKERS, false);
	}
}

/* The first one wakes up while the monitor is just about to sleep. */
Test(monitor, never_sleeps_while_someone_is_awake, .init = begin, .fini = stop)
{
	start_all(true);
	for (unsigned i = 0; i < 2000; i++) {
		wake_up(i % WORKERS);
		go_on(0);
		if (i % 10 == 0)
			while (!is_marked(0))
				sched_yield();
		idle_enter(&crew.idle, i % WORKERS, false);
		for (volatile unsigned k = i % 100 * 20; k > 0;)
			k = k - 1;
	}
}

/* ---- what others want done per tick ---- */

static AO_t n_left;   /* ticks that the others want still */
static AO_t n_others; /* ticks that they got */

static bool tick_of_others(struct crew *ours, uint64_t now_ns)
{
	AO_t left = AO_load(&n_left);

	(void)ours;
	(void)now_ns;
	AO_fetch_and_add1(&n_others);
	if (left > 0)
		AO_store(&n_left, left - 1);
	return left > 0;
}

static void begin_with_others(void)
{
	begin();
	crew.options.tick = tick_of_others;
}

Test(monitor, lets_others_tick_while_someone_is_awake,
     .init = begin_with_others, .fini = stop)
{
	start_all(false);
	while (AO_load(&n_others) < 5)
		sched_yield();
}

/* They have not finished when the last one falls asleep. */
Test(monitor, sleeps_only_when_others_have_finished, .init = begin_with_others,
     .fini = stop)
{
	start_all(false);
	for (AO_t i = 0; i < 20; i++) {
		AO_store(&n_left, i);
		for (unsigned k = 0; k < WORKERS; k++)
			idle_enter(&crew.idle, k, false);
		while (AO_load(&n_left) > 0)
			sched_yield();
		await_state(crew.monitor, MONITOR_SLEEPS);
		for (unsigned k = 0; k < WORKERS; k++)
			wake_up(k);
	}
}

/* ---- what they want done while all sleep ---- */

static AO_t n_dozes;
static AO_t n_wanted; /* then for ever */

static int64_t doze_of_others(struct crew *ours)
{
	(void)ours;
	return AO_fetch_and_add1(&n_dozes) + 1 < AO_load(&n_wanted) ? 100000
								    : -1;
}

static void begin_with_dozers(void)
{
	begin();
	crew.options.doze = doze_of_others;
}

Test(monitor, lets_others_doze_while_all_sleep, .init = begin_with_dozers,
     .fini = stop)
{
	AO_store(&n_wanted, 5);
	start_all(true);
	while (AO_load(&n_dozes) < 5)
		sched_yield();
	await_state(crew.monitor, MONITOR_SLEEPS);
	/* For ever, but for who calls. */
	for (int i = 0; i < 100; i++)
		usleep(200);
	cr_assert_eq(AO_load(&n_dozes), 5);
	AO_store(&n_wanted, 8);
	monitor_wake(crew.monitor);
	while (AO_load(&n_dozes) < 8)
		sched_yield();
}

Test(monitor, lets_nobody_doze_while_someone_is_awake,
     .init = begin_with_dozers, .fini = stop)
{
	AO_store(&n_wanted, (AO_t)INT_MAX);
	start_all(false);
	for (int i = 0; i < 5; i++) {
		go_on(1);
		while (!is_marked(1))
			sched_yield();
	}
	cr_assert_eq(AO_load(&n_dozes), 0);
}

Test(monitor, can_be_stopped_in_any_state, .init = begin, .fini = end)
{
	for (int i = 0; i < 50; i++) {
		crew.monitor = monitor_start(&crew);
		cr_assert_not_null(crew.monitor);
		if (i % 3 == 0)
			wake_up(0);
		else if (i % 3 == 1)
			idle_enter(&crew.idle, 0, false);
		if (i == 1) {
			idle_enter(&crew.idle, 1, false);
			idle_enter(&crew.idle, 2, false);
			await_state(crew.monitor, MONITOR_SLEEPS);
		}
		monitor_stop(crew.monitor);
		/* A worker that was stuck may come late. */
		monitor_wake(crew.monitor);
		cr_assert_eq(load_state(crew.monitor), MONITOR_STOPS);
		monitor_free(crew.monitor);
	}
	crew.monitor = NULL;
	monitor_stop(NULL);
	monitor_free(NULL);
}

/* ---- with workers ---- */

static AO_t xn_ran;
static AO_t xmay_end;

static void run_short(struct task *task, struct worker *worker)
{
	(void)task;
	(void)worker;
	/* We have looked at the task before: its maker may use it again. */
	AO_fetch_and_add_release(&xn_ran, 1);
}

static struct task_class short_class = {.run = run_short, .xmean_ns = 100};

/* Hides nine short turns behind one that does not end before they ran. */
static void run_long(struct task *task, struct worker *worker)
{
	(void)task;
	for (unsigned i = 1; i < 10; i++) {
		tasks[i].class = &short_class;
		worker_push_last(worker, &tasks[i]);
	}
	while (AO_load_acquire(&xn_ran) < 9)
		sched_yield();
	AO_store_release(&xmay_end, 1);
}

static struct task_class long_class = {.run = run_long, .xmean_ns = 100};

static void rest(struct worker *worker)
{
	(void)worker;
}

Test(monitor, short_turns_do_not_stay_behind_a_long_one)
{
	const struct crew_options options = {
		.n_workers = 2,
		.unbound = true,
		.stack_size = 65536,
		.worker_size = sizeof(struct worker),
		.rest = rest,
	};

	cr_assert_eq(crew_init(&crew, &options), 0);
	cr_assert_eq(crew_start(&crew), 0);
	for (int round = 0; round < 20; round++) {
		AO_store(&xn_ran, 0);
		AO_store(&xmay_end, 0);
		/* As if it had been timed: not worth a wake-up. */
		AO_store(&long_class.xmean_ns, 100);
		AO_store(&short_class.xmean_ns, 100);
		tasks[0].class = &long_class;
		crew_inject(&crew, &tasks[0]);
		while (!AO_load_acquire(&xmay_end))
			sched_yield();
	}
	cr_assert_eq(crew_stop(&crew, INT64_MAX), 0);
	crew_fini(&crew);
}
