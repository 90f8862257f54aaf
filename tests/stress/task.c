/* SPDX-License-Identifier: MIT */
/*
 * task - storms of tasks: from everywhere, joined, cancelled and forgotten
 */
#include <rota/task.h>

#include "tests/unit/support.h"

/* ---- trees, many at a time ---- */

struct tree {
	uint64_t *sum; /* of its leaves */
	uint32_t depth;
	uint32_t random;
};

static uint32_t mix(uint32_t x)
{
	x ^= x >> 16;
	x *= UINT32_C(0x85ebca6b);
	x ^= x >> 13;
	return x * UINT32_C(0xc2b2ae35);
}

/* What the tasks of a tree have to come to. */
static uint64_t sum_of(struct tree t)
{
	uint32_t n = t.depth == 0 ? 0 : mix(t.random) % 5;
	uint64_t sum = n == 0 ? t.random : 0;

	for (uint32_t i = 0; i < n; i++)
		sum += sum_of((struct tree){NULL, t.depth - 1,
					    mix(t.random + i + 1)});
	return sum;
}

/* Now and then a wait ends early, and begins again. */
static int wait_somehow(struct rota_task_group *group, uint32_t random)
{
	int error = -ETIMEDOUT;

	while (error == -ETIMEDOUT)
		error = rota_task_group_wait(
			group, random++ % 16 ? ROTA_FOREVER : 1000, NULL);
	return error;
}

static int tree(void *argument)
{
	struct tree t = *(struct tree *)argument;
	uint32_t n = t.depth == 0 ? 0 : mix(t.random) % 5;
	struct rota_task_group group;
	uint64_t sum[5] = {0};
	int error, wait;

	*t.sum = t.random;
	if (n == 0)
		return 0;
	error = rota_task_group_init(&group, NULL);
	if (error)
		return error;
	for (uint32_t i = 0; i < n && !error; i++) {
		struct tree child = {&sum[i], t.depth - 1,
				     mix(t.random + i + 1)};

		error = rota_task_group_submit(&group, tree, &child,
					       sizeof(child));
	}
	wait = wait_somehow(&group, t.random);
	*t.sum = 0;
	for (uint32_t i = 0; i < n; i++)
		*t.sum += sum[i];
	return error ? error : wait;
}

static struct tally n_wrong;

static void grow_some(uint32_t random, unsigned long n)
{
	while (n-- > 0) {
		uint64_t sum = 0;
		struct tree t = {&sum, 9, random = mix(random + 1)};
		int result = 1, error;
		rota_task task;

		error = rota_task_submit(engine, tree, &t, sizeof(t), &task);
		if (!error)
			error = rota_task_join(task, ROTA_FOREVER, &result);
		if (error || result || sum != sum_of(t))
			tally_add(&n_wrong, 1);
	}
}

struct growing {
	uint32_t random;
	unsigned long n;
};

static void *thread_grows(void *arg)
{
	struct growing *g = arg;

	grow_some(g->random, g->n);
	return NULL;
}

static int act_grow(void *arg)
{
	struct growing *g = arg;

	grow_some(g->random, g->n);
	return 0;
}

#define GROWERS 8

static void grow(unsigned workers, unsigned long n)
{
	static struct growing growing[GROWERS];
	pthread_t thread[GROWERS];

	engine_start(workers);
	for (uint32_t i = 0; i < GROWERS; i++) {
		growing[i] = (struct growing){i * 77 + workers, n};
		if (i % 2)
			ACTS(puppet_spawn(NULL, 0), act_grow, &growing[i]);
		else
			thread[i] = thread_start(thread_grows, &growing[i]);
	}
	for (size_t i = 0; i < GROWERS; i += 2)
		thread_join(thread[i]);
	quiesce();
	cr_assert_eq(tally_of(&n_wrong), 0);
	engine_stop();
}

Test(task, trees_on_one_worker, .timeout = STRESS)
{
	grow(1, check_stress(1000));
}

Test(task, trees_on_2_workers, .timeout = STRESS)
{
	grow(2, check_stress(1000));
}

Test(task, trees_on_16_workers, .timeout = STRESS)
{
	grow(16, check_stress(600));
}

/* ---- names ---- */

#define SHELF 64

/* Tasks that anyone may join, cancel or forget. Relaxed: any mix will do. */
static struct {
	AO_t name[SHELF];
	struct tally submitted;
	struct tally ran;
} shelf;

static int run_one(void *argument)
{
	(void)argument;
	tally_add(&shelf.ran, 1);
	return 7;
}

static void one_step(uint64_t *random)
{
	size_t place = next_random(random) % SHELF;
	rota_task task = (rota_task)AO_load(&shelf.name[place]);
	int result = 7, error = 0;

	switch (next_random(random) % 8) {
	case 0:
	case 1:
	case 2:
		error = rota_task_submit(engine, run_one, NULL, 0, &task);
		if (!error) {
			tally_add(&shelf.submitted, 1);
			AO_store(&shelf.name[place], (AO_t)task);
		}
		break;
	case 3:
		error = rota_task_cancel(task);
		error = error > 0 ? 0 : error;
		break;
	case 4:
		error = rota_task_forget(task);
		break;
	case 5:
		error = rota_task_join(task, ROTA_US(20), &result);
		break;
	default:
		error = rota_task_join(task, ROTA_FOREVER, &result);
	}
	if ((error && error != -ESRCH && error != -ECANCELED &&
	     error != -ETIMEDOUT && error != -EBUSY) ||
	    result != 7)
		tally_add(&n_wrong, 1);
}

static void *thread_steps(void *arg)
{
	struct growing *g = arg;
	uint64_t random = g->random + 1;

	for (unsigned long i = 0; i < g->n; i++)
		one_step(&random);
	return NULL;
}

static int act_step(void *arg)
{
	thread_steps(arg);
	return 0;
}

static void storm(unsigned workers, unsigned long n)
{
	static struct growing growing[GROWERS];
	pthread_t thread[GROWERS];

	engine_start(workers);
	for (uint32_t i = 0; i < GROWERS; i++) {
		growing[i] = (struct growing){i * 77 + workers, n};
		if (i % 2)
			ACTS(puppet_spawn(NULL, 0), act_step, &growing[i]);
		else
			thread[i] = thread_start(thread_steps, &growing[i]);
	}
	for (size_t i = 0; i < GROWERS; i += 2)
		thread_join(thread[i]);
	quiesce();
	cr_assert_eq(tally_of(&n_wrong), 0);
	cr_assert_eq(counters().tasks, tally_of(&shelf.submitted));
	cr_assert_leq(tally_of(&shelf.ran), tally_of(&shelf.submitted));
	engine_stop();
}

Test(task, names_on_one_worker, .timeout = STRESS)
{
	storm(1, check_stress(60000));
}

Test(task, names_on_2_workers, .timeout = STRESS)
{
	storm(2, check_stress(60000));
}

Test(task, names_on_16_workers, .timeout = STRESS)
{
	storm(16, check_stress(30000));
}

/* ---- cancelled, and joined while their runner finds out ---- */

#define HANDFUL 16

static void *thread_cancels(void *arg)
{
	struct growing *g = arg;

	for (unsigned long i = 0; i < g->n; i++) {
		rota_task task[HANDFUL];
		int result = 7;

		for (size_t k = 0; k < HANDFUL; k++) {
			if (rota_task_submit(engine, run_one, NULL, 0,
					     &task[k]))
				tally_add(&n_wrong, 1);
			rota_task_cancel(task[k]);
		}
		for (size_t k = 0; k < HANDFUL; k++) {
			int error =
				rota_task_join(task[k], ROTA_FOREVER, &result);

			if ((error && error != -ECANCELED) || result != 7)
				tally_add(&n_wrong, 1);
		}
	}
	return NULL;
}

/* A cell that is freed twice serves two tasks, and is missed at the stop. */
Test(task, a_cancelled_task_is_freed_once, .timeout = STRESS)
{
	struct growing growing = {0, check_stress(100000)};
	pthread_t thread[2];

	engine_start(2);
	for (size_t i = 0; i < 2; i++)
		thread[i] = thread_start(thread_cancels, &growing);
	for (size_t i = 0; i < 2; i++)
		thread_join(thread[i]);
	quiesce();
	cr_assert_eq(tally_of(&n_wrong), 0);
	engine_stop();
}

/* ---- engines that stop meanwhile ---- */

/* Threads that wait for groups on an engine that is being stopped. */
static void *thread_submits(void *arg)
{
	rota_engine *target = arg;

	for (;;) {
		struct rota_task_group group;
		int error = rota_task_group_init(&group, target), wait;
		uint64_t sum[4];

		if (error)
			return NULL;
		for (uint32_t i = 0; i < 4 && !error; i++) {
			struct tree t = {&sum[i], 5, i};

			error = rota_task_group_submit(&group, tree, &t,
						       sizeof(t));
		}
		wait = rota_task_group_wait(&group, ROTA_FOREVER, NULL);
		if (wait != 0 && wait != -ECANCELED)
			tally_add(&n_wrong, 1);
		if (error)
			return NULL;
	}
}

Test(task, engines_stop_meanwhile, .timeout = STRESS)
{
	unsigned long n = check_stress(300);

	for (unsigned long i = 0; i < n; i++) {
		pthread_t thread[4];

		engine_start(1 + (unsigned)(i % 3));
		for (size_t k = 0; k < 4; k++)
			thread[k] = thread_start(thread_submits, engine);
		for (unsigned long k = i % 5; k > 0; k--)
			nap();
		engine_stop();
		for (size_t k = 0; k < 4; k++)
			thread_join(thread[k]);
	}
	cr_assert_eq(tally_of(&n_wrong), 0);
}
