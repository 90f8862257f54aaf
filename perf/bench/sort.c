/* SPDX-License-Identifier: MIT */
/*
 * sort - a merge sort of n numbers: halves are tasks, and halves of merges
 *
 * speedup is the processor time of the same sort in plain calls, measured
 * before and after, over the time here; machine is what plain threads reach
 * (yardstick.h). The numbers lie if the plain sort ran on a slower processor
 * (it is measured on both sides), if it is another algorithm (it is the same
 * code; only a fork becomes two calls), if the result is not sorted, or not of
 * the same numbers (both are checked), or if memory runs out: each plain thread
 * sorts numbers of its own, so 8 bytes per element and worker are needed, 80 MB
 * per worker by default.
 */
#include <stdlib.h>
#include <string.h>

#include <rota/task.h>

#include "perf/bench/scenarios.h"
#include "perf/bench/yardstick.h"

#define SMALL 4096 /* elements that are not worth a task */

struct merge {
	const uint32_t *a;
	const uint32_t *b;
	uint32_t *out;
	size_t n_a;
	size_t n_b;
	bool is_plain; /* calls instead of tasks, for comparison */
};

struct sort {
	uint32_t *data;
	uint32_t *room; /* as large */
	size_t n;
	bool into_room; /* where the result is to be */
	bool is_plain;
};

static void fork_both(rota_task_function *part, void *one, void *two,
		      size_t length, bool is_plain)
{
	struct rota_task_group group;
	int error;

	if (is_plain) {
		part(one);
		part(two);
		return;
	}
	rota_task_group_init(&group, NULL);
	error = rota_task_group_submit(&group, part, one, length);
	if (error == 0)
		error = rota_task_group_submit(&group, part, two, length);
	if (error != 0)
		bench_fail_call("rota_task_group_submit", error);
	run_wait(&group);
}

static void merge_plain(const struct merge *m)
{
	const uint32_t *a = m->a, *a_end = a + m->n_a;
	const uint32_t *b = m->b, *b_end = b + m->n_b;
	uint32_t *out = m->out;

	while (a < a_end && b < b_end)
		*out++ = *b < *a ? *b++ : *a++;
	memcpy(out, a, (size_t)(a_end - a) * sizeof(*a));
	memcpy(out + (a_end - a), b, (size_t)(b_end - b) * sizeof(*b));
}

static size_t n_below(const uint32_t *data, size_t n, uint32_t value)
{
	size_t low = 0;

	while (low < n) {
		size_t middle = low + (n - low) / 2;

		if (data[middle] < value)
			low = middle + 1;
		else
			n = middle;
	}
	return low;
}

/* The middle of the longer run splits the shorter one. */
static int merge(void *argument)
{
	struct merge m = *(struct merge *)argument, low, high;

	if (m.n_a + m.n_b <= SMALL) {
		merge_plain(&m);
		return 0;
	}
	if (m.n_a < m.n_b)
		m = (struct merge){m.b, m.a, m.out, m.n_b, m.n_a, m.is_plain};
	low = high = m;
	low.n_a = m.n_a / 2;
	low.n_b = n_below(m.b, m.n_b, m.a[low.n_a]);
	high.a += low.n_a;
	high.b += low.n_b;
	high.out += low.n_a + low.n_b;
	high.n_a -= low.n_a;
	high.n_b -= low.n_b;
	fork_both(merge, &low, &high, sizeof(m), m.is_plain);
	return 0;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int sort_part(void *argument)
{
	struct sort s = *(struct sort *)argument, low = s, high = s;
	const uint32_t *from = s.into_room ? s.data : s.room;
	struct merge both;

	if (s.n <= SMALL) {
		qsort(s.data, s.n, sizeof(*s.data), compare);
		if (s.into_room)
			memcpy(s.room, s.data, s.n * sizeof(*s.data));
		return 0;
	}
	low.into_room = high.into_room = !s.into_room;
	low.n = s.n / 2;
	high.n = s.n - low.n;
	high.data += low.n;
	high.room += low.n;
	fork_both(sort_part, &low, &high, sizeof(s), s.is_plain);
	both = (struct merge){
		from,  from + low.n, s.into_room ? s.room : s.data,
		low.n, high.n,	     s.is_plain};
	return merge(&both);
}

/* The same numbers each time; their sum. */
static uint64_t fill(uint32_t *data, size_t n)
{
	uint64_t random = 1, sum = 0;

	for (size_t i = 0; i < n; i++) {
		random = random * UINT64_C(6364136223846793005) + 1442695040;
		data[i] = (uint32_t)(random >> 33);
		sum += data[i];
	}
	return sum;
}

/* Numbers and room for each thread. */
static struct sort *sorts_make(size_t n, unsigned n_threads)
{
	struct sort *all = bench_alloc(n_threads, sizeof(*all));

	for (unsigned i = 0; i < n_threads; i++) {
		uint32_t *data = bench_alloc(2 * n, sizeof(*data));

		all[i] = (struct sort){.data = data, .room = data + n, .n = n};
	}
	return all;
}

static void sorts_free(struct sort *all, unsigned n_threads)
{
	for (unsigned i = 0; i < n_threads; i++)
		free(all[i].data);
	free(all);
}

static void plain_fill(void *all, unsigned thread)
{
	const struct sort *s = &((struct sort *)all)[thread];

	fill(s->data, s->n);
}

static uint64_t plain_sort(void *all, unsigned thread)
{
	struct sort s = ((struct sort *)all)[thread];

	s.is_plain = true;
	sort_part(&s);
	return s.data[0];
}

static void check_sorted(const struct run *run, const struct sort *s,
			 uint64_t sum)
{
	uint64_t n_wrong = 0;

	for (size_t i = 0; i < s->n; i++) {
		n_wrong += i > 0 && s->data[i - 1] > s->data[i];
		sum -= s->data[i];
	}
	run_check(run, "elements out of order", n_wrong, 0);
	run_check(run, "difference of the sums", sum, 0);
}

static void sort(struct run *run)
{
	struct sort *all = sorts_make(run->n, run->workers);
	struct yardstick yardstick = {plain_sort, plain_fill, all, .share = 1};
	uint64_t sum;

	yardstick_measure(&yardstick, run->workers);
	sum = fill(all[0].data, all[0].n);
	run_clock_start(run);
	run_task(run, sort_part, &all[0], sizeof(all[0]));
	run_clock_stop(run);
	run->ops = run->n;
	check_sorted(run, &all[0], sum);
	yardstick_measure(&yardstick, run->workers);
	yardstick_report(&yardstick, run);
	sorts_free(all, run->workers);
}

static const struct budget budgets[] = {
	{.figure = "speedup", .limit = {0, 1.9}, .at_least = true},
	{.figure = "of_machine", .limit = {0, 0.95}, .at_least = true},
	{.figure = NULL},
};

const struct scenario scenario_sort = {
	.name = "sort",
	.what = "a merge sort of n numbers: a tree of tasks, no actors",
	.unit = "element",
	.n = 10000000,
	.quick_n = 2000000,
	.flags = SCENARIO_PARALLEL | SCENARIO_SCALES,
	.budgets = budgets,
	.run = sort,
};
