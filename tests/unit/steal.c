/* SPDX-License-Identifier: MIT */
/*
 * steal - is work moved where that pays, and left alone where it does not?
 *
 * A crew without threads: the test plays its workers. The prices are constants
 * of the source, which is why it is included.
 */
#include <string.h>

#include "sched/clock.h"
#include "sched/steal.c"
#include "tests/check.h"

#define WORKERS 4
#define N 100

static struct crew crew;
static struct task_class class;
static struct task tasks[N];
static unsigned start_at; /* what chance says about victims */
static struct worker *thief, *victim;

static unsigned choose(void *context, unsigned worker, enum choice what,
		       unsigned n)
{
	(void)context;
	(void)worker;
	cr_assert_gt(n, 0);
	return what == CHOOSE_VICTIM ? start_at % n : n - 1;
}

static void begin_on(const char *machine, unsigned n_workers)
{
	const struct crew_options options = {
		.n_workers = n_workers,
		.unbound = true,
		.topology = machine,
		.stack_size = 65536,
		.worker_size = sizeof(struct worker),
	};

	cr_assert_eq(crew_init(&crew, &options), 0);
	crew.chance.choose = choose;
	start_at = 0;
	thief = crew.workers[0];
	victim = crew.workers[n_workers > 1 ? 1 : 0];
	for (unsigned i = 0; i < N; i++)
		tasks[i] = (struct task){.class = &class};
}

/* All at one distance. */
static void begin_with(unsigned n_workers)
{
	begin_on("core:8 pu:1", n_workers);
}

static void begin(void)
{
	begin_with(WORKERS);
}

static void end(void)
{
	crew_fini(&crew);
}

/* @worker has n tasks, tasks[0] ..., which are reckoned at so much each. */
static void load(struct worker *worker, unsigned n, AO_t mean_ns)
{
	queue_init(&worker->queue);
	for (unsigned i = 0; i < n; i++)
		queue_push(&worker->queue, &tasks[i]);
	AO_store(&worker->xmean_ns, mean_ns);
}

/* Steals, and forgets that it was a search. */
static struct task *steal(void)
{
	struct task *task = steal_any(thief);

	if (thief->is_searching)
		idle_end_search(&crew.idle);
	thief->is_searching = false;
	queue_init(&thief->queue);
	return task;
}

/* Would it be worth it? The victim is as before. */
static void expect_worth(unsigned n, AO_t mean_ns, bool worth)
{
	load(victim, n, mean_ns);
	cr_assert_eq(steal_sees_work(thief), worth, "%u of %lu ns", n, mean_ns);
	cr_assert_eq(steal() != NULL, worth, "%u of %lu ns", n, mean_ns);
	queue_init(&victim->queue);
}

/* ---- the price ---- */

Test(steal, nothing_there_is_nothing_to_take, .init = begin, .fini = end)
{
	cr_assert_not(steal_sees_work(thief));
	cr_assert_null(steal());
	expect_worth(0, 1000000000, false);
}

Test(steal, short_turns_stay_where_they_are, .init = begin, .fini = end)
{
	/* However many: each would cost more to move than it takes. */
	expect_worth(N, MOVE_NS - 1, false);
	expect_worth(N, 50, false);
	expect_worth(N, 0, false);
	expect_worth(N, MOVE_NS, true);
}

Test(steal, small_backlogs_stay_where_they_are, .init = begin, .fini = end)
{
	expect_worth(STEAL_NS / MOVE_NS - 1, MOVE_NS, false);
	expect_worth(STEAL_NS / MOVE_NS, MOVE_NS, true);
	expect_worth(1, STEAL_NS - 1, false);
	expect_worth(1, STEAL_NS, true);
}

Test(steal, waking_someone_costs_more, .init = begin, .fini = end)
{
	load(victim, 1, WAKE_NS - 1);
	cr_assert_not(steal_is_worth_waking(victim));
	cr_assert(steal_sees_work(thief));
	load(victim, 2, WAKE_NS / 2);
	cr_assert(steal_is_worth_waking(victim));
	load(victim, N, MOVE_NS - 1);
	cr_assert_not(steal_is_worth_waking(victim));
}

Test(steal, price_doubles_per_step_and_victim, .init = begin, .fini = end)
{
	for (unsigned price = 0; price <= MAX_PRICE; price++) {
		thief->price[victim->number] = (uint8_t)price;
		thief->price[2] = (uint8_t)(MAX_PRICE - price);
		expect_worth(N, ((AO_t)MOVE_NS << price) - 1, false);
		expect_worth(N, (AO_t)MOVE_NS << price, true);
		expect_worth(1, ((AO_t)STEAL_NS << price) - 1, false);
		expect_worth(1, (AO_t)STEAL_NS << price, true);
	}
}

Test(steal, whoever_stands_still_is_robbed_at_no_price, .init = begin,
     .fini = end)
{
	thief->price[victim->number] = MAX_PRICE;
	AO_store(&victim->xturns, 77);
	AO_store(&victim->xstuck_at, 77);
	expect_worth(1, 0, true);
	expect_worth(0, 1000000, false);
	load(victim, 1, 0);
	cr_assert(steal_is_worth_waking(victim));
	/* It moves on: the mark has lost its force. */
	AO_store(&victim->xturns, 78);
	expect_worth(N, 10, false);
}

/* ---- taking ---- */

Test(steal, half_is_moved_and_counted, .init = begin, .fini = end)
{
	load(victim, 9, 100000);
	cr_assert_eq(steal_any(thief), &tasks[0]);
	cr_assert_eq(queue_length(&thief->queue), 4);
	cr_assert_eq(queue_length(&victim->queue), 4);
	cr_assert_eq(AO_load(&thief->xsteals), 5);
	cr_assert_eq(thief->robbed, victim);
	/* What lies in our ring now is what lay in the victim's. */
	cr_assert_eq(AO_load(&thief->xmean_ns), 100000);
}

Test(steal, task_that_is_next_is_not_taken, .init = begin, .fini = end)
{
	load(victim, 0, 1000000);
	victim->xnext = (AO_t)&tasks[0];
	cr_assert_not(steal_sees_work(thief));
	cr_assert_null(steal());
	cr_assert_eq(victim->xnext, (AO_t)&tasks[0]);
}

Test(steal, nobody_robs_itself, .init = begin, .fini = end)
{
	load(thief, 10, 1000000);
	cr_assert_not(steal_sees_work(thief));
	cr_assert_null(steal_any(thief));
	cr_assert_eq(queue_length(&thief->queue), 10);
}

Test(steal, alone_there_is_nobody_to_rob)
{
	begin_with(1);
	load(thief, 10, 1000000);
	cr_assert_not(steal_sees_work(thief));
	cr_assert_null(steal_any(thief));
	cr_assert_eq(idle_searching(idle_read(&crew.idle)), 0);
	end();
}

Test(steal, chance_says_where_to_begin, .init = begin, .fini = end)
{
	for (start_at = 0; start_at < WORKERS; start_at++) {
		unsigned expected = 1 + start_at % (WORKERS - 1);

		for (unsigned i = 1; i < WORKERS; i++)
			load(crew.workers[i], 10, 100000);
		cr_assert_not_null(steal());
		cr_assert_eq(thief->robbed, crew.workers[expected]);
	}
}

Test(steal, every_victim_is_looked_at, .init = begin, .fini = end)
{
	for (unsigned rich = 1; rich < WORKERS; rich++)
		for (start_at = 0; start_at < WORKERS; start_at++) {
			for (unsigned i = 1; i < WORKERS; i++)
				load(crew.workers[i], i == rich ? 10 : 0,
				     100000);
			cr_assert(steal_sees_work(thief));
			cr_assert_not_null(steal());
			cr_assert_eq(thief->robbed, crew.workers[rich]);
		}
}

/* Whatever chance says: it chooses among those at one distance only. */
Test(steal, the_nearest_are_robbed_first, .fini = end)
{
	/* 0 and 1 share a cache, 0 to 3 a node. */
	begin_on("numa:2 l3:2 core:2 pu:1", 8);
	for (start_at = 0; start_at < 12; start_at++)
		for (unsigned n_poor = 0; n_poor < 7; n_poor++) {
			unsigned robbed;

			for (unsigned i = 1; i < 8; i++)
				load(crew.workers[i], i <= n_poor ? 0 : 10,
				     100000);
			cr_assert_not_null(steal());
			robbed = thief->robbed->number;
			if (n_poor < 1)
				cr_assert_eq(robbed, 1);
			else if (n_poor < 3)
				cr_assert(robbed == 2 || robbed == 3);
			else
				cr_assert_geq(robbed, 4);
		}
	load(crew.workers[7], 0, 100000);
	cr_assert_null(steal());
}

Test(steal, victim_in_other_hands_is_passed_over, .init = begin, .fini = end)
{
	load(crew.workers[1], 10, 100000);
	load(crew.workers[2], 10, 100000);
	/* A thief has claimed two and is still copying them. */
	AO_store(&crew.workers[1]->queue.xhead, 2);
	cr_assert_not_null(steal());
	cr_assert_eq(thief->robbed, crew.workers[2]);
}

/* ---- searching ---- */

Test(steal, only_as_many_as_may_search_steal, .init = begin, .fini = end)
{
	load(victim, 10, 100000);
	cr_assert(idle_try_search(&crew.idle));
	cr_assert(idle_try_search(&crew.idle));
	cr_assert_null(steal_any(thief));
	cr_assert_not(thief->is_searching);
	idle_end_search(&crew.idle);
	cr_assert_not_null(steal_any(thief));
	cr_assert(thief->is_searching);
	cr_assert_eq(idle_searching(idle_read(&crew.idle)), 2);
}

Test(steal, search_goes_on_if_nothing_was_found, .init = begin, .fini = end)
{
	cr_assert_null(steal_any(thief));
	cr_assert(thief->is_searching);
	cr_assert_null(steal_any(thief));
	cr_assert_eq(idle_searching(idle_read(&crew.idle)), 1);
}

/* One asleep; thief ends its search. Is the sleeper woken? */
static void expect_chain(bool is_last, bool woken)
{
	bool first;

	idle_enter(&crew.idle, 3, false);
	cr_assert(idle_try_search(&crew.idle));
	thief->is_searching = true;
	if (!is_last)
		cr_assert(idle_try_search(&crew.idle));
	AO_store(&thief->xwakeups, 0);
	steal_end_search(thief);
	cr_assert_not(thief->is_searching);
	cr_assert_eq(AO_load(&thief->xwakeups), woken);
	cr_assert_eq(idle_leave(&crew.idle, 3, &first), woken);
	cr_assert_eq(idle_searching(idle_read(&crew.idle)), woken + !is_last);
	while (idle_searching(idle_read(&crew.idle)) > 0)
		idle_end_search(&crew.idle);
}

Test(steal, last_searcher_that_finds_work_wakes_one_more, .init = begin,
     .fini = end)
{
	expect_chain(true, false);
	/* Work in the shared list, */
	nodes_push(&crew.nodes, 0, &tasks[0]);
	expect_chain(true, true);
	expect_chain(false, false);
	inject_init(&crew.nodes.of[0]->inject);
	/* in our own ring, */
	load(thief, 2, WAKE_NS);
	expect_chain(true, true);
	expect_chain(false, false);
	load(thief, 2, MOVE_NS - 1);
	expect_chain(true, false);
	load(thief, 0, 0);
	/* left behind at the victim's. */
	thief->robbed = victim;
	load(victim, 2, WAKE_NS);
	expect_chain(true, true);
	load(victim, 0, 0);
	expect_chain(true, false);
}

/* ---- learning ---- */

static uint64_t busy_ns;
static bool searched_while_running;
static bool waits_while_running;

static void run(struct task *task, struct worker *worker)
{
	uint64_t until = clock_ns() + busy_ns;

	(void)task;
	searched_while_running = worker->is_searching;
	if (waits_while_running)
		worker_count(&worker->xwaits, 1);
	while (busy_ns > 0 && clock_ns() < until)
		;
}

static void steal_and_run(AO_t mean_ns, uint64_t takes_ns)
{
	class.run = run;
	busy_ns = takes_ns;
	load(victim, 10, mean_ns);
	AO_store(&victim->xstuck_at, AO_load(&victim->xturns));
	steal_run(thief, steal_any(thief));
	cr_assert_null(thief->robbed);
	cr_assert_not(searched_while_running);
	cr_assert_eq(idle_searching(idle_read(&crew.idle)), 0);
	queue_init(&thief->queue);
}

Test(steal, price_rises_where_moving_is_dear, .init = begin, .fini = end)
{
	unsigned price;

	for (unsigned i = 1; i < MAX_PRICE + 3; i++) {
		steal_and_run(1000, 50000);
		price = i < MAX_PRICE ? i : MAX_PRICE;
		cr_assert_eq(thief->price[1], price);
	}
	for (unsigned i = 0; i < WORKERS; i++)
		if (i != 1)
			cr_assert_eq(thief->price[i], 0);
	/* And falls again with each steal that went well. */
	for (unsigned i = MAX_PRICE + 2; i > 0; i--) {
		steal_and_run(3000000000, 0);
		price = price > 0 ? price - 1 : 0;
		cr_assert_eq(thief->price[1], price);
	}
}

/* A turn that waited took as long as somebody else. */
Test(steal, turns_that_waited_teach_nothing, .init = begin, .fini = end)
{
	waits_while_running = true;
	steal_and_run(1000, 50000);
	cr_assert_eq(thief->price[1], 0);
	thief->price[1] = 3;
	steal_and_run(3000000000, 0);
	cr_assert_eq(thief->price[1], 3);
}

/* ---- pushing ---- */

static unsigned n_asleep(void)
{
	return WORKERS - idle_unparked(idle_read(&crew.idle));
}

/* What was never timed counts as long: the first one is worth a worker. */
Test(steal, new_work_spreads_at_once, .init = begin, .fini = end)
{
	idle_enter(&crew.idle, 2, false);
	idle_enter(&crew.idle, 3, false);
	worker_push_last(victim, &tasks[0]);
	cr_assert_eq(n_asleep(), 1, "nobody was woken for it");
	cr_assert(steal_sees_work(thief));
}

Test(steal, long_turns_spread_at_once, .init = begin, .fini = end)
{
	AO_store(&class.xmean_ns, 1000000);
	idle_enter(&crew.idle, 3, false);
	worker_push_last(victim, &tasks[0]);
	cr_assert_eq(n_asleep(), 0);
}

Test(steal, nobody_is_woken_for_short_turns, .init = begin, .fini = end)
{
	AO_store(&class.xmean_ns, 100);
	idle_enter(&crew.idle, 3, false);
	for (unsigned i = 0; i < N; i++)
		worker_push_last(victim, &tasks[i]);
	cr_assert_eq(n_asleep(), 1);
	cr_assert_not(steal_sees_work(thief));
}

Test(steal, growing_backlogs_are_offered_again, .init = begin, .fini = end)
{
	unsigned i;

	AO_store(&class.xmean_ns, 2 * MOVE_NS);
	AO_store(&victim->xmean_ns, 2 * MOVE_NS);
	idle_enter(&crew.idle, 3, false);
	worker_push_last(victim, &tasks[0]);
	cr_assert_eq(n_asleep(), 1, "for 2 us?");
	for (i = 1; i < N && n_asleep() > 0; i++)
		worker_push_last(victim, &tasks[i]);
	cr_assert_leq(i, WAKE_NS / (2 * MOVE_NS) + 16);
}
