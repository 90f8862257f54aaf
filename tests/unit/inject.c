/* SPDX-License-Identifier: MIT */
/*
 * inject - is the shared list a queue, and is its length right?
 */
#include <string.h>

#include "sched/inject.h"
#include "tests/check.h"

#define N 100

static struct inject inject;
static struct task tasks[N];

static void begin(void)
{
	memset(&inject, 0xff, sizeof(inject));
	memset(tasks, 0xff, sizeof(tasks));
	inject_init(&inject);
}

/* Push tasks[first] ... as one chain. */
static void push(unsigned first, unsigned n)
{
	for (unsigned i = first; i + 1 < first + n; i++)
		tasks[i].next = &tasks[i + 1];
	inject_push(&inject, &tasks[first], &tasks[first + n - 1], n);
}

static void expect_take(unsigned most, unsigned first, unsigned n)
{
	struct task *task = &tasks[N - 1];

	cr_assert_eq(inject_take(&inject, most, &task), n);
	for (unsigned i = first; i < first + n; i++) {
		cr_assert_eq(task, &tasks[i], "%u", i);
		task = task->next;
	}
	cr_assert_null(task);
}

Test(inject, gives_tasks_in_the_order_they_came, .init = begin)
{
	push(0, 1);
	push(1, 5);
	push(6, 1);
	expect_take(1, 0, 1);
	expect_take(4, 1, 4);
	push(7, 3);
	expect_take(N, 5, 5);
}

Test(inject, take_gives_what_is_there_at_most, .init = begin)
{
	for (unsigned n = 1; n < 20; n++)
		for (unsigned most = 1; most < 25; most++) {
			unsigned less = most < n ? most : n;

			push(0, n);
			expect_take(most, 0, less);
			cr_assert_eq(inject_length(&inject), n - less);
			expect_take(N, less, n - less);
			cr_assert_eq(inject_length(&inject), 0);
		}
}

Test(inject, take_from_an_empty_list_gives_no_chain, .init = begin)
{
	expect_take(1, 0, 0);
	push(0, 1);
	expect_take(16, 0, 1);
	expect_take(16, 0, 0);
}

Test(inject, last_task_is_cut_off_from_what_its_maker_linked, .init = begin)
{
	tasks[2].next = &tasks[3];
	push(0, 3);
	push(4, 1);
	expect_take(3, 0, 3);
	expect_take(N, 4, 1);
}

Test(inject, goes_on_after_it_was_empty, .init = begin)
{
	for (unsigned i = 0; i < 10; i++) {
		push(0, 1 + i % 3);
		expect_take(N, 0, 1 + i % 3);
	}
	push(0, 2);
	expect_take(2, 0, 2);
	push(2, 1);
	push(3, 1);
	expect_take(N, 2, 2);
}

Test(inject, length_follows, .init = begin)
{
	unsigned length = 0;

	cr_assert_eq(inject_length(&inject), 0);
	for (unsigned i = 0; i < 10; i++) {
		push(i * 10, i % 10 + 1);
		length += i % 10 + 1;
		cr_assert_eq(inject_length(&inject), length);
	}
	while (length > 0) {
		struct task *task;
		unsigned n = inject_take(&inject, 7, &task);

		cr_assert_eq(n, length < 7 ? length : 7);
		length -= n;
		cr_assert_eq(inject_length(&inject), length);
	}
}
