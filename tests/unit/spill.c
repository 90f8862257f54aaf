/* SPDX-License-Identifier: MIT */
/*
 * spill - in which order comes back what did not fit into the ring?
 */
#include <stdlib.h>
#include <string.h>

#include "tests/check.h"

#define SPILL_GROUPS 8u
#include "sched/spill.c"

#define N 4000

struct job {
	struct task task;
	bool is_fresh;
};

static bool job_is_fresh(const struct task *task)
{
	return ((const struct job *)task)->is_fresh;
}

static struct task_class asked = {.is_fresh = job_is_fresh};
static struct task_class unasked;
static struct job jobs[N];
static struct spill spill;

static void begin(void)
{
	spill_init(&spill);
	memset(jobs, 0xff, sizeof(jobs));
	for (unsigned i = 0; i < N; i++)
		jobs[i].task.class = &asked;
}

/* Push @n jobs from number @from on, all in one turn. */
static void push(unsigned from, unsigned n, bool fresh, AO_t turn)
{
	for (unsigned i = from; i < from + n; i++) {
		jobs[i].is_fresh = fresh;
		spill_push(&spill, &jobs[i].task, turn);
	}
}

/* These come next, in this order, out of a chain that ends. */
static struct task *expect(struct task *task, unsigned from, unsigned n)
{
	for (unsigned i = from; i < from + n; i++) {
		cr_assert_eq(task, &jobs[i].task, "%u", i);
		task = task->next;
	}
	return task;
}

static void expect_take(unsigned most, bool oldest, unsigned from, unsigned n)
{
	struct task *first;

	cr_assert_eq(spill_take(&spill, most, oldest, &first), n);
	cr_assert_null(expect(first, from, n));
}

static void expect_empty(void)
{
	struct task *first = &jobs[0].task;

	cr_assert_eq(spill_length(&spill), 0);
	cr_assert_eq(spill_n_fresh(&spill), 0);
	cr_assert_eq(spill_take(&spill, 10, false, &first), 0);
	cr_assert_null(first);
}

Test(spill, is_empty_at_first)
{
	begin();
	expect_empty();
}

Test(spill, woken_tasks_are_first_in_first_out)
{
	begin();
	push(0, 100, false, 1);
	push(100, 100, false, 2);
	cr_assert_eq(spill_length(&spill), 200);
	cr_assert_eq(spill_n_fresh(&spill), 0);
	expect_take(150, false, 0, 150);
	push(200, 10, false, 3);
	expect_take(150, true, 150, 60);
	expect_empty();
}

Test(spill, a_class_without_the_question_counts_as_woken)
{
	begin();
	for (unsigned i = 0; i < N; i++)
		jobs[i].task.class = &unasked;
	push(0, 100, true, 1);
	cr_assert_eq(spill_n_fresh(&spill), 0);
	expect_take(100, false, 0, 100);
	expect_empty();
}

Test(spill, a_turn_keeps_its_order_and_the_newest_turn_is_first)
{
	begin();
	push(0, 100, true, 1);
	push(100, 100, true, 2);
	push(200, 100, true, 3);
	cr_assert_eq(spill_n_fresh(&spill), 300);
	expect_take(60, false, 200, 60);
	expect_take(40, false, 260, 40);
	expect_take(100, false, 100, 100);
	expect_take(100, false, 0, 100);
	expect_empty();
}

Test(spill, a_take_spans_groups)
{
	struct task *first;

	begin();
	push(0, 100, true, 1);
	push(100, 100, true, 2);
	cr_assert_eq(spill_take(&spill, 150, false, &first), 150);
	cr_assert_null(expect(expect(first, 100, 100), 0, 50));
	expect_take(100, false, 50, 50);
	expect_empty();
}

Test(spill, the_oldest_can_be_asked_for)
{
	begin();
	push(0, 100, true, 1);
	push(100, 100, true, 2);
	expect_take(60, true, 0, 60);
	expect_take(30, false, 100, 30);
	expect_take(40, true, 60, 40);
	expect_take(100, true, 130, 70);
	expect_empty();
}

Test(spill, small_groups_take_in_the_next_turn)
{
	begin();
	push(0, GROUP_SMALL - 1, true, 1);
	push(GROUP_SMALL - 1, 100, true, 2);
	push(GROUP_SMALL + 99, 10, true, 3);
	expect_take(10, false, GROUP_SMALL + 99, 10);
	expect_take(N, false, 0, GROUP_SMALL + 99);
	expect_empty();
}

Test(spill, a_turn_that_went_on_stays_in_its_group)
{
	begin();
	push(0, 50, true, 1);
	push(50, 50, true, 2);
	push(100, 50, false, 2);
	push(150, 50, true, 2);
	cr_assert_eq(spill_n_fresh(&spill), 150);
	cr_assert_eq(spill_length(&spill), 200);
}

/* Where there are no more groups the newest one grows: nothing is lost. */
Test(spill, groups_run_out)
{
	const unsigned n = GROUP_SMALL;

	begin();
	for (unsigned i = 0; i < 3 * SPILL_GROUPS; i++)
		push(i * n, n, true, i + 1);
	expect_take(n, false, (SPILL_GROUPS - 1) * n, n);
	expect_take(n, true, 0, n);
	for (unsigned i = SPILL_GROUPS; i < 3 * SPILL_GROUPS; i++)
		expect_take(n, false, i * n, n);
	for (unsigned i = SPILL_GROUPS - 2; i > 0; i--)
		expect_take(n, false, i * n, n);
	expect_empty();
}

/* A woken task waits about as long as if there were one list. */
Test(spill, both_kinds_are_taken_in_proportion)
{
	struct task *task;
	unsigned n_fresh = 0;

	begin();
	push(0, 300, true, 1);
	push(300, 100, false, 1);
	cr_assert_eq(spill_take(&spill, 40, false, &task), 40);
	cr_assert_eq(task, &jobs[300].task);
	for (; task; task = task->next)
		n_fresh += ((struct job *)task)->is_fresh;
	cr_assert_eq(n_fresh, 30);
	cr_assert_eq(spill_length(&spill), 360);
	cr_assert_eq(spill_n_fresh(&spill), 270);
}

/* One woken task among many fresh ones comes back once in a round of them. */
Test(spill, one_among_many_comes_in_its_turn)
{
	unsigned n_seen = 0;
	struct task *task, *next;

	begin();
	push(0, 1999, true, 1);
	push(1999, 1, false, 1);
	for (unsigned i = 0; i < 1000; i++) {
		cr_assert_eq(spill_take(&spill, 20, false, &task), 20);
		for (; task; task = next) {
			next = task->next;
			n_seen += task == &jobs[1999].task;
			spill_push(&spill, task, i + 2);
		}
	}
	cr_assert_geq(n_seen, 9);
	cr_assert_leq(n_seen, 11);
}

/* Depth first has not helped: then in the order in which they came. */
Test(spill, a_flood_is_served_from_its_beginning)
{
	const unsigned n = FLOOD + 1;
	struct job *many = calloc(n + 1, sizeof(*many));
	struct task *task;

	spill_init(&spill);
	for (unsigned i = 0; i <= n; i++) {
		many[i].task.class = &asked;
		many[i].is_fresh = true;
		spill_push(&spill, &many[i].task, i / 64);
	}
	cr_assert_eq(spill_take(&spill, 1, false, &task), 1);
	cr_assert_eq(task, &many[0].task);
	cr_assert_eq(spill_take(&spill, 1, false, &task), 1);
	cr_assert_eq(task, &many[1].task);
	cr_assert_eq(spill_take(&spill, 1, false, &task), 1);
	cr_assert_neq(task, &many[2].task);
	free(many);
}
