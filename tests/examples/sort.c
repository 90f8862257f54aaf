/* SPDX-License-Identifier: MIT */
/*
 * sort - a merge sort whose halves are tasks, and whose merges are, too
 *
 *	sort [elements [workers]]
 *
 * Both halves are sorted at the same time. A merge of two sorted runs is cut in
 * two as well: the middle of the longer run splits the shorter one by binary
 * search, and what lies below does not depend on what lies above.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rota/rota.h>

#define SMALL 4096 /* elements that are not worth a task */

/* What a merging task does, and a sorting one. */
struct merge {
	const uint32_t *a;
	const uint32_t *b;
	uint32_t *out;
	size_t n_a;
	size_t n_b;
};

struct sort {
	uint32_t *data;
	uint32_t *room; /* as large */
	size_t n;
	bool into_room; /* where the result is to be */
};

/* ---- in one task ---- */

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

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void sort_plain(const struct sort *s)
{
	qsort(s->data, s->n, sizeof(*s->data), compare);
	if (s->into_room)
		memcpy(s->room, s->data, s->n * sizeof(*s->data));
}

/* ---- two tasks, and both ended ---- */

static int fork_both(rota_task_function *run, const void *one, const void *two,
		     size_t length)
{
	struct rota_task_group group;
	int error, wait, failure = 0;

	error = rota_task_group_init(&group, NULL);
	if (error)
		return error;
	error = rota_task_group_submit(&group, run, one, length);
	if (!error)
		error = rota_task_group_submit(&group, run, two, length);
	/* Also after an error, until they have ended: they use our arrays. */
	wait = rota_task_group_wait(&group, ROTA_FOREVER, &failure);
	if (wait == -ENOMEM) {
		/* No stack to wait with: then nothing more is to start. */
		rota_task_group_cancel(&group);
		rota_task_group_wait(&group, ROTA_FOREVER, NULL);
	}
	if (error || wait)
		return error ? error : wait;
	return failure;
}

/* How many of these are smaller than that. */
static size_t n_below(const uint32_t *run, size_t n, uint32_t value)
{
	size_t low = 0;

	while (low < n) {
		size_t middle = low + (n - low) / 2;

		if (run[middle] < value)
			low = middle + 1;
		else
			n = middle;
	}
	return low;
}

static int merge(void *argument)
{
	struct merge m = *(struct merge *)argument, low, high;

	if (m.n_a + m.n_b <= SMALL) {
		merge_plain(&m);
		return 0;
	}
	if (m.n_a < m.n_b)
		m = (struct merge){m.b, m.a, m.out, m.n_b, m.n_a};
	low = m;
	low.n_a = m.n_a / 2;
	low.n_b = n_below(m.b, m.n_b, m.a[low.n_a]);
	high = (struct merge){m.a + low.n_a, m.b + low.n_b,
			      m.out + low.n_a + low.n_b, m.n_a - low.n_a,
			      m.n_b - low.n_b};
	return fork_both(merge, &low, &high, sizeof(m));
}

static int sort(void *argument)
{
	struct sort s = *(struct sort *)argument, low, high;
	const uint32_t *from = s.into_room ? s.data : s.room;
	struct merge both;
	int error;

	if (s.n <= SMALL) {
		sort_plain(&s);
		return 0;
	}
	low = (struct sort){s.data, s.room, s.n / 2, !s.into_room};
	high = (struct sort){s.data + low.n, s.room + low.n, s.n - low.n,
			     !s.into_room};
	error = fork_both(sort, &low, &high, sizeof(s));
	if (error)
		return error;
	both = (struct merge){from, from + low.n, s.into_room ? s.room : s.data,
			      low.n, high.n};
	return merge(&both);
}

/* ---- the program ---- */

static bool is_sorted(const uint32_t *data, size_t n, uint64_t sum)
{
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && data[i - 1] > data[i])
			return false;
		sum -= data[i];
	}
	return sum == 0;
}

int main(int argc, char **argv)
{
	size_t n = argc > 1 ? strtoul(argv[1], NULL, 0) : 1000000;
	struct rota_config config = ROTA_CONFIG_INIT;
	uint32_t *data = malloc(2 * n * sizeof(*data) + 1);
	struct sort all = {data, data + n, n, false};
	uint64_t random = 1, sum = 0;
	rota_engine *engine;
	rota_task task;
	int error, result = 0;
	bool good;

	config.workers = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
	engine = rota_start(&config);
	if (!engine || !data)
		return 1;
	for (size_t i = 0; i < n; i++) {
		random = random * UINT64_C(6364136223846793005) + 1442695040;
		data[i] = (uint32_t)(random >> 33);
		sum += data[i];
	}
	error = rota_task_submit(engine, sort, &all, sizeof(all), &task);
	if (!error)
		error = rota_task_join(task, ROTA_FOREVER, &result);
	if (error || result) {
		fprintf(stderr, "sort: %s\n",
			rota_strerror(error ? error : result));
		return 1;
	}
	good = is_sorted(data, n, sum);
	printf("%zu elements: %s\n", n, good ? "sorted" : "NOT SORTED");
	free(data);
	return rota_stop(engine, ROTA_S(10)) != 0 || !good;
}
