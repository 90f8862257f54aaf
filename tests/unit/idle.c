/* SPDX-License-Identifier: MIT */
/*
 * idle - are sleepers, searchers and who is to be woken counted right?
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "sched/idle.h"
#include "sched/spin.h"
#include "tests/check.h"

static struct idle idle;
static bool first;

static void begin(unsigned n_workers)
{
	memset(&idle, 0xff, sizeof(idle));
	cr_assert_eq(idle_init(&idle, n_workers, n_workers), 0);
}

static void expect_counts(unsigned unparked, unsigned searching)
{
	cr_assert_eq(idle_unparked(idle_read(&idle)), unparked);
	cr_assert_eq(idle_searching(idle_read(&idle)), searching);
	cr_assert_eq(idle_sleepers(idle_read(&idle)), idle.n_sleepers);
	cr_assert_eq(idle.n_sleepers, AO_load(&idle.xn_members) - unparked);
}

static int pick(bool force)
{
	first = true;
	return idle_pick(&idle, force, NULL, NULL, &first);
}

static bool leave(unsigned worker)
{
	return idle_leave(&idle, worker, &first);
}

/* ---- searching ---- */

Test(idle, all_start_awake_and_none_searches)
{
	for (unsigned n = 1; n <= 65; n++) {
		begin(n);
		expect_counts(n, 0);
		idle_fini(&idle);
	}
}

Test(idle, at_most_half_search)
{
	for (unsigned n = 1; n <= 65; n++) {
		unsigned half = (n + 1) / 2;

		begin(n);
		for (unsigned i = 0; i < half; i++)
			cr_assert(idle_try_search(&idle), "%u of %u", i, n);
		for (unsigned i = 0; i < 3; i++)
			cr_assert_not(idle_try_search(&idle), "%u", n);
		expect_counts(n, half);
		idle_end_search(&idle);
		cr_assert(idle_try_search(&idle));
		cr_assert_not(idle_try_search(&idle));
		idle_fini(&idle);
	}
}

Test(idle, the_last_to_end_its_search_is_told)
{
	begin(8);
	for (unsigned n = 1; n <= 4; n++) {
		for (unsigned i = 0; i < n; i++)
			cr_assert(idle_try_search(&idle));
		for (unsigned i = n; i > 0; i--) {
			cr_assert_eq(idle_end_search(&idle), i == 1);
			expect_counts(8, i - 1);
		}
	}
	idle_fini(&idle);
}

/* ---- falling asleep and waking up ---- */

Test(idle, enter_counts_one_less_awake)
{
	begin(4);
	for (unsigned i = 0; i < 4; i++) {
		idle_enter(&idle, i, false);
		expect_counts(3 - i, 0);
	}
	idle_fini(&idle);
}

Test(idle, enter_ends_the_search)
{
	begin(4);
	cr_assert(idle_try_search(&idle));
	cr_assert(idle_try_search(&idle));
	idle_enter(&idle, 2, true);
	expect_counts(3, 1);
	idle_enter(&idle, 1, false);
	expect_counts(2, 1);
	idle_enter(&idle, 3, true);
	expect_counts(1, 0);
	idle_fini(&idle);
}

Test(idle, leave_undoes_enter)
{
	begin(3);
	for (unsigned i = 0; i < 3; i++)
		idle_enter(&idle, i, false);
	for (unsigned i = 0; i < 3; i++) {
		cr_assert_not(leave(i));
		cr_assert_eq(first, i == 0);
		expect_counts(i + 1, 0);
	}
	cr_assert_eq(pick(true), -1);
	idle_fini(&idle);
}

Test(idle, who_was_picked_leaves_as_a_searcher)
{
	begin(2);
	idle_enter(&idle, 0, false);
	idle_enter(&idle, 1, false);
	cr_assert_eq(pick(false), 1);
	cr_assert(first);
	expect_counts(1, 1);
	cr_assert(leave(1));
	cr_assert_not(first, "it was counted as awake when it was picked");
	expect_counts(1, 1);
	cr_assert_not(leave(0));
	cr_assert_not(first);
	expect_counts(2, 1);
	cr_assert(idle_end_search(&idle));
	idle_fini(&idle);
}

/* ---- picking ---- */

Test(idle, nobody_is_picked_while_all_are_awake)
{
	begin(2);
	cr_assert_eq(pick(false), -1);
	cr_assert_eq(pick(true), -1);
	cr_assert_not(first);
	expect_counts(2, 0);
	idle_fini(&idle);
}

Test(idle, nobody_is_picked_while_someone_searches)
{
	begin(4);
	idle_enter(&idle, 0, false);
	idle_enter(&idle, 1, false);
	cr_assert(idle_try_search(&idle));
	cr_assert_eq(pick(false), -1);
	cr_assert_not(first);
	expect_counts(2, 1);
	idle_end_search(&idle);
	cr_assert_eq(pick(false), 1);
	/* The one who is being woken searches already. */
	cr_assert_eq(pick(false), -1);
	expect_counts(3, 1);
	idle_fini(&idle);
}

Test(idle, force_picks_though_someone_searches)
{
	begin(4);
	for (unsigned i = 0; i < 3; i++)
		idle_enter(&idle, i, false);
	cr_assert(idle_try_search(&idle));
	for (int i = 2; i >= 0; i--) {
		cr_assert_eq(pick(true), i);
		cr_assert_not(first);
	}
	expect_counts(4, 4);
	cr_assert_eq(pick(true), -1);
	idle_fini(&idle);
}

Test(idle, the_last_to_fall_asleep_is_picked)
{
	static const unsigned order[] = {3, 0, 4, 1, 2};

	begin(5);
	for (int i = 0; i < 5; i++)
		idle_enter(&idle, order[i], false);
	cr_assert_not(leave(4));
	for (int i = 4; i >= 0; i--) {
		if (order[i] == 4)
			continue;
		cr_assert_eq(pick(true), (int)order[i]);
	}
	cr_assert_eq(pick(true), -1);
	idle_fini(&idle);
}

static unsigned asked_n;

static unsigned choose(void *context, const uint16_t *sleepers, unsigned n)
{
	asked_n = n;
	for (unsigned i = 0; i < n; i++)
		cr_assert_eq(sleepers[i], idle.sleepers[i]);
	return *(unsigned *)context;
}

Test(idle, choice_is_left_to_the_caller)
{
	unsigned choice = 1;

	begin(5);
	for (unsigned i = 0; i < 4; i++)
		idle_enter(&idle, i, false);
	cr_assert_eq(idle_pick(&idle, true, choose, &choice, &first), 1);
	cr_assert_eq(asked_n, 4);
	cr_assert_eq(idle_pick(&idle, true, choose, &choice, &first), 2);
	cr_assert_eq(asked_n, 3);
	choice = 0;
	cr_assert_eq(idle_pick(&idle, true, choose, &choice, &first), 0);
	cr_assert_eq(idle_pick(&idle, true, choose, &choice, &first), 3);
	cr_assert_eq(asked_n, 1);
	expect_counts(5, 4);
	idle_fini(&idle);
}

/* A read-modify-write that changes nothing would still order, but a CAS of
   someone who looked before must fail. */
Test(idle, every_pick_changes_the_word)
{
	AO_t before;

	begin(3);
	before = idle_read(&idle);
	cr_assert_eq(pick(false), -1);
	cr_assert_neq(idle_read(&idle), before);
	cr_assert_eq((idle_read(&idle) - before) % IDLE_EPOCH, 0);
	idle_enter(&idle, 0, false);
	before = idle_read(&idle);
	cr_assert_eq(pick(false), 0);
	cr_assert_gt(idle_read(&idle) / IDLE_EPOCH, before / IDLE_EPOCH);
	idle_fini(&idle);
}

/* The epoch runs over the top of the word and takes nothing with it. */
Test(idle, epoch_may_wrap)
{
	begin(2);
	idle.xword |= (AO_t)UINT16_MAX * IDLE_EPOCH;
	cr_assert_eq(pick(false), -1);
	expect_counts(2, 0);
	idle_enter(&idle, 0, false);
	cr_assert_eq(pick(false), 0);
	expect_counts(2, 1);
	idle_fini(&idle);
}

/* ---- two at a time ---- */

static int picked_aside;

static void *pick_one(void *argument)
{
	(void)argument;
	picked_aside = pick(false);
	return NULL;
}

/* What it saw before it had the lock may be over: one wakes, not a herd. */
Test(idle, pick_looks_again_under_the_lock)
{
	pthread_t thread;
	AO_t before;

	begin(4);
	idle_enter(&idle, 0, false);
	before = idle_read(&idle);
	spin_lock(&idle.xlock);
	cr_assert_eq(pthread_create(&thread, NULL, pick_one, NULL), 0);
	while (idle_read(&idle) == before)
		sched_yield();
	/* It has looked, and waits for the lock. Now someone searches. */
	cr_assert(idle_try_search(&idle));
	spin_unlock(&idle.xlock);
	pthread_join(thread, NULL);
	cr_assert_eq(picked_aside, -1);
	expect_counts(3, 1);
	idle_fini(&idle);
}

/* ---- against a model ---- */

enum { WORKERS = 7 };

struct model {
	bool is_asleep[WORKERS]; /* and not picked */
	bool is_picked[WORKERS]; /* and has not left yet */
	bool is_searching[WORKERS];
};

static unsigned count(const bool *flags)
{
	unsigned n = 0;

	for (int i = 0; i < WORKERS; i++)
		n += flags[i];
	return n;
}

static void step_awake(struct model *model, unsigned i)
{
	unsigned searching = count(model->is_searching);

	if (rand() % 3 == 0) {
		idle_enter(&idle, i, model->is_searching[i]);
		model->is_searching[i] = false;
		model->is_asleep[i] = true;
	} else if (model->is_searching[i]) {
		cr_assert_eq(idle_end_search(&idle), searching == 1);
		model->is_searching[i] = false;
	} else {
		model->is_searching[i] = idle_try_search(&idle);
		cr_assert_eq(model->is_searching[i],
			     searching < (WORKERS + 1) / 2);
	}
}

static void step_leave(struct model *model, unsigned i)
{
	unsigned asleep = count(model->is_asleep);

	cr_assert_eq(leave(i), model->is_picked[i]);
	cr_assert_eq(first, !model->is_picked[i] && asleep == WORKERS);
	model->is_asleep[i] = model->is_picked[i] = false;
}

static void step_pick(struct model *model)
{
	bool force = rand() % 3 == 0;
	unsigned asleep = count(model->is_asleep);
	bool wanted = asleep > 0 && (force || !count(model->is_searching));
	int picked = pick(force);

	cr_assert_eq(picked >= 0, wanted);
	cr_assert_eq(first, wanted && asleep == WORKERS);
	if (!wanted)
		return;
	cr_assert(model->is_asleep[picked]);
	model->is_asleep[picked] = false;
	model->is_picked[picked] = model->is_searching[picked] = true;
}

Test(idle, counts_as_a_table_would)
{
	struct model model = {0};

	srand(5);
	begin(WORKERS);
	for (int step = 0; step < 200000; step++) {
		unsigned i = (unsigned)rand() % WORKERS;

		if (rand() % 3 == 0)
			step_pick(&model);
		else if (model.is_asleep[i] || model.is_picked[i])
			step_leave(&model, i);
		else
			step_awake(&model, i);
		expect_counts(WORKERS - count(model.is_asleep),
			      count(model.is_searching));
	}
	idle_fini(&idle);
}
