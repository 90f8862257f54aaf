/* SPDX-License-Identifier: MIT */
/*
 * inject - many push and many take: does each task come out once, in order?
 */
#include <stdlib.h>

#include "tests/stress/jitter.h"

#include "sched/inject.c"

#include "tests/stress/crowd.h"

#define PUSHERS 3
#define TAKERS 3

struct job {
	struct task task;
	unsigned long place; /* in what its pusher made; plain memory that the
				lock passes on */
	unsigned pusher;
	bool is_taken;
};

static struct inject list;
static struct job *jobs[PUSHERS];
static unsigned long n_jobs; /* per pusher */
static AO_t xn_taken;

/* Per taker. */
static struct {
	unsigned long next[PUSHERS]; /* least place that may come now */
	unsigned long wrong;
	unsigned long empty; /* takes that found nothing */
	bool is_lost;
	char pad[64];
} seen[TAKERS];

static void push_all(unsigned number)
{
	struct job *own = jobs[number];
	unsigned long made = 0;

	while (made < n_jobs) {
		unsigned long n = 1 + jitter_random() % 5, i;

		if (n > n_jobs - made)
			n = n_jobs - made;
		for (i = made; i < made + n; i++) {
			own[i] = (struct job){.place = i, .pusher = number};
			own[i].task.next = &own[i + 1].task;
		}
		inject_push(&list, &own[made].task, &own[made + n - 1].task,
			    (unsigned)n);
		made += n;
		/* Short, so that it is empty now and then. */
		while (inject_length(&list) > 20)
			sched_yield();
	}
}

/* What one taker gets of one pusher comes in order. */
static void look_at(unsigned taker, struct job *job)
{
	if (job->is_taken || job->place < seen[taker].next[job->pusher])
		seen[taker].wrong++;
	seen[taker].next[job->pusher] = job->place + 1;
	job->is_taken = true;
}

static void take_all(unsigned taker)
{
	struct patience patience = {0};
	AO_t taken;

	/* Relaxed: for its value alone. */
	while ((taken = AO_load(&xn_taken)) < PUSHERS * n_jobs) {
		unsigned most = 1 + jitter_random() % 8, n, i;
		struct task *task, *next;

		if (!patience_left(&patience, taken)) {
			seen[taker].is_lost = true;
			return;
		}
		n = inject_take(&list, most, &task);
		seen[taker].empty += n == 0;
		seen[taker].wrong += n > most;
		for (i = 0; task; task = next, i++) {
			next = task->next;
			look_at(taker, (struct job *)task);
		}
		seen[taker].wrong += i != n;
		AO_fetch_and_add(&xn_taken, n); /* relaxed: a count */
	}
}

static void play(unsigned number)
{
	if (number < PUSHERS)
		push_all(number);
	else
		take_all(number - PUSHERS);
}

Test(inject, each_task_comes_out_once, .timeout = 120)
{
	unsigned long empty = 0;

	n_jobs = check_stress(400000);
	inject_init(&list);
	for (unsigned i = 0; i < PUSHERS; i++) {
		jobs[i] = calloc(n_jobs + 1, sizeof(struct job));
		cr_assert_not_null(jobs[i]);
	}
	crowd_run(PUSHERS + TAKERS, play);
	for (unsigned i = 0; i < TAKERS; i++) {
		cr_assert_not(seen[i].is_lost, "tasks are lost");
		cr_assert_eq(seen[i].wrong, 0);
		empty += seen[i].empty;
	}
	cr_assert_eq(inject_length(&list), 0);
	for (unsigned i = 0; i < PUSHERS; i++) {
		for (unsigned long k = 0; k < n_jobs; k++)
			cr_assert(jobs[i][k].is_taken);
		free(jobs[i]);
	}
	cr_assert_gt(empty, 0, "it was never empty");
}
