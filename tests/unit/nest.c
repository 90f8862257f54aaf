/* SPDX-License-Identifier: MIT */
/*
 * nest - newest first for the owner, oldest first for thieves
 */
#include "tests/check.h"

#define NEST_CAPACITY 8u
#include "sched/nest.c"

static struct nest nest;
static struct task tasks[64];

static void push(unsigned i, AO_t key)
{
	cr_assert(nest_push(&nest, &tasks[i], key), "%u", i);
}

static void expect_take(AO_t key, unsigned i)
{
	cr_assert_eq(nest_take(&nest, key), &tasks[i], "%u", i);
}

static void expect_steal(unsigned from, unsigned n)
{
	struct task *task;

	cr_assert_eq(nest_steal(&nest, &task), n, "%u", from);
	for (unsigned i = from; i < from + n; i++) {
		cr_assert_eq(task, &tasks[i], "%u", i);
		task = task->next;
	}
	cr_assert_null(task);
}

static void expect_empty(void)
{
	cr_assert_eq(nest_length(&nest), 0);
	cr_assert_null(nest_take(&nest, 0));
	cr_assert_null(nest_take(&nest, 1));
	expect_steal(0, 0);
}

Test(nest, is_empty_at_first)
{
	nest_init(&nest);
	expect_empty();
}

Test(nest, the_owner_takes_the_newest)
{
	nest_init(&nest);
	for (unsigned i = 0; i < 5; i++)
		push(i, 1);
	cr_assert_eq(nest_length(&nest), 5);
	expect_take(1, 4);
	expect_take(0, 3);
	push(10, 1);
	expect_take(1, 10);
	expect_take(1, 2);
	expect_take(1, 1);
	expect_take(1, 0);
	expect_empty();
}

Test(nest, a_take_is_for_a_key)
{
	nest_init(&nest);
	push(0, 1);
	push(1, 2);
	cr_assert_null(nest_take(&nest, 1)); /* not the newest */
	expect_take(2, 1);
	cr_assert_null(nest_take(&nest, 2));
	expect_take(1, 0);
	expect_empty();
}

Test(nest, a_thief_takes_half_of_one_key)
{
	nest_init(&nest);
	for (unsigned i = 0; i < 8; i++)
		push(i, 1);
	expect_steal(0, 4);
	expect_steal(4, 2);
	expect_steal(6, 1);
	expect_steal(7, 1);
	expect_empty();
}

Test(nest, a_thief_leaves_the_next_generation)
{
	nest_init(&nest);
	push(0, 1);
	push(1, 1);
	for (unsigned i = 2; i < 8; i++)
		push(i, i);
	expect_steal(0, 2);
	expect_steal(2, 1);
	expect_steal(3, 1);
	expect_take(7, 7);
	cr_assert_eq(nest_length(&nest), 3);
	expect_take(6, 6);
	expect_steal(4, 1);
	expect_take(5, 5);
	expect_empty();
}

Test(nest, is_full_at_its_capacity)
{
	nest_init(&nest);
	for (unsigned i = 0; i < NEST_CAPACITY; i++)
		push(i, 1);
	cr_assert(!nest_push(&nest, &tasks[20], 1));
	expect_take(1, NEST_CAPACITY - 1);
	push(NEST_CAPACITY - 1, 1);
	cr_assert(!nest_push(&nest, &tasks[20], 1));
	expect_steal(0, 4);
	for (unsigned i = 8; i < 12; i++)
		push(i, 1);
	cr_assert(!nest_push(&nest, &tasks[20], 1));
	for (unsigned i = 12; i-- > 4;)
		expect_take(1, i);
	expect_empty();
}

/* Round and round: what was stolen is never looked at again. */
Test(nest, outlives_its_slots)
{
	nest_init(&nest);
	for (unsigned round = 0; round < 100; round++) {
		unsigned n = round % 6 + 1, i;

		for (i = 0; i < n; i++)
			push(i, i + 1);
		for (i = 0; i < n / 2; i++)
			expect_steal(i, 1);
		for (i = n; i-- > n / 2;)
			expect_take(i + 1, i);
		expect_empty();
	}
}

Test(nest, a_thief_at_work_keeps_others_out)
{
	nest_init(&nest);
	push(0, 1);
	spin_lock(&nest.xlock);
	expect_steal(0, 0);
	spin_unlock(&nest.xlock);
	expect_steal(0, 1);
	expect_empty();
}
