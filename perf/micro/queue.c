/* SPDX-License-Identifier: MIT */
/*
 * queue - the run queue: push and pop, stealing, and both at once
 *
 * Lies if tasks are lost or doubled: they are counted on both sides. In
 * queue/thief the number is per task that the owner pushed, wherever it was
 * taken; the thief competes for every one of them, which no real thief does.
 */
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdbool.h>

#include <atomic_ops.h>

#include "perf/micro/micro.h"
#include "sched/inject.h"
#include "sched/queue.h"

#define DEPTH 128

static struct task tasks[QUEUE_CAPACITY];

static void push_pop(struct micro_run *run)
{
	static struct queue queue;

	queue_init(&queue);
	micro_start(run);
	for (uint64_t i = 0; i < run->n; i++) {
		struct task *task = &tasks[i % QUEUE_CAPACITY];

		micro_check(queue_push(&queue, task));
		micro_check(queue_pop(&queue) == task);
	}
	micro_stop(run, run->n);
	micro_check(queue_pop(&queue) == NULL);
}

/* 128 pushed, then taken by a second queue, half of the rest at a time. */
static void steal(struct micro_run *run)
{
	static struct queue victim, own;
	uint64_t rounds = run->n / DEPTH + 1, n_stolen = 0;

	queue_init(&victim);
	queue_init(&own);
	micro_start(run);
	for (uint64_t r = 0; r < rounds; r++) {
		struct task *first;
		uint32_t n_moved;

		for (unsigned i = 0; i < DEPTH; i++)
			micro_check(queue_push(&victim, &tasks[i]));
		while (queue_steal(&victim, &own, &first, &n_moved) ==
		       QUEUE_STOLEN) {
			n_stolen += n_moved;
			while (queue_pop(&own) != NULL)
				;
		}
	}
	micro_stop(run, rounds * DEPTH);
	micro_check(n_stolen == rounds * DEPTH);
}

/* ---- owner and thief at once */

struct robbery {
	struct queue victim;
	struct queue own;
	volatile AO_t xis_over; /* by the owner; relaxed: the thief looks once
				   more after it has seen it */
	uint64_t n_stolen;	/* the thief's, read after it was joined */
};

static bool rob_once(struct robbery *robbery)
{
	struct task *first;
	uint32_t n_moved;

	if (queue_steal(&robbery->victim, &robbery->own, &first, &n_moved) !=
	    QUEUE_STOLEN)
		return false;
	robbery->n_stolen += n_moved;
	while (queue_pop(&robbery->own) != NULL)
		;
	return true;
}

static void *rob(void *arg)
{
	struct robbery *robbery = arg;

	/* Relaxed: see xis_over. */
	while (rob_once(robbery) || !AO_load(&robbery->xis_over))
		sched_yield();
	return NULL;
}

static void with_thief(struct micro_run *run)
{
	static struct robbery robbery;
	uint64_t n_popped = 0;
	pthread_t thread;

	queue_init(&robbery.victim);
	queue_init(&robbery.own);
	robbery.n_stolen = 0;
	/* Relaxed: the thread does not exist yet. */
	AO_store(&robbery.xis_over, 0);
	micro_check(pthread_create(&thread, NULL, rob, &robbery) == 0);
	micro_start(run);
	for (uint64_t i = 0; i < run->n; i++) {
		struct task *task = &tasks[i % QUEUE_CAPACITY];

		while (!queue_push(&robbery.victim, task))
			n_popped += queue_pop(&robbery.victim) != NULL;
		if (i % 2 == 0)
			n_popped += queue_pop(&robbery.victim) != NULL;
	}
	while (queue_pop(&robbery.victim) != NULL)
		n_popped++;
	micro_stop_threads(run, run->n);
	/* Relaxed: see xis_over. */
	AO_store(&robbery.xis_over, 1);
	pthread_join(thread, NULL);
	micro_check(n_popped + robbery.n_stolen == run->n);
}

static void inject(struct micro_run *run)
{
	static struct inject list;

	inject_init(&list);
	micro_start(run);
	for (uint64_t i = 0; i < run->n; i++) {
		struct task *task = &tasks[i % QUEUE_CAPACITY], *first = NULL;

		task->next = NULL;
		inject_push(&list, task, task, 1);
		micro_check(inject_take(&list, 1, &first) == 1);
		micro_check(first == task);
	}
	micro_stop(run, run->n);
}

const struct micro micros_queue[] = {
	{"queue/pop", "push and pop one task", 20000000, push_pop},
	{"queue/steal", "push 128, steal all by halves: per task", 10000000,
	 steal},
	{"queue/thief", "push and pop beside a greedy thief", 5000000,
	 with_thief},
	{"queue/inject", "push and take one task of the shared list", 5000000,
	 inject},
	{NULL, NULL, 0, NULL},
};
