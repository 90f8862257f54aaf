/* SPDX-License-Identifier: MIT */
/*
 * nest - owners and thieves at once: does each task run exactly once?
 *
 * Every thread owns a small nest and robs the others when its own is empty, as
 * workers do. The same jobs are pushed again and again: a slot that a thief
 * looks at may hold the same task another time.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/stress/jitter.h"

#define NEST_CAPACITY 4u
#include "sched/nest.c"

#include "tests/stress/crowd.h"

#define FEW 12 /* jobs of a member: more than its nest holds */

struct job {
	struct task task;
	AO_t xpushed;	   /* 1: it is in a nest, or about to run */
	uintptr_t written; /* by the maker, then by who runs it; the nest has
			      to order the two */
};

struct member {
	struct nest nest;
	struct job jobs[FEW];
	unsigned long n_made;
	unsigned long n_run;
	unsigned long n_stolen;
	unsigned long n_wrong;
	bool is_lost; /* gave up: tasks are missing */
};

static struct member members[CROWD_MAX];
static unsigned n_members;
static unsigned long n_jobs; /* each makes so many */
static AO_t xn_done;

static void run_task(struct member *self, struct task *task)
{
	struct job *job = (struct job *)task;

	if (job->written != (uintptr_t)job + 1)
		self->n_wrong++;
	job->written = (uintptr_t)job;
	self->n_run++;
	/* Two who run it: one of them finds it done. */
	if (!AO_compare_and_swap_full(&job->xpushed, 1, 0))
		self->n_wrong++;
	AO_fetch_and_add1(&xn_done); /* relaxed: counts, orders nothing */
}

static void make_some(struct member *self)
{
	unsigned n = jitter_random() % 6;

	while (n-- > 0 && self->n_made < n_jobs) {
		struct job *job = &self->jobs[jitter_random() % FEW];

		if (AO_load_acquire(&job->xpushed))
			continue;
		job->written = (uintptr_t)job + 1;
		AO_store_release(&job->xpushed, 1);
		if (!nest_push(&self->nest, &job->task,
			       1 + jitter_random() % 3)) {
			/* Relaxed: it is still ours. */
			AO_store(&job->xpushed, 0);
			return;
		}
		self->n_made++;
	}
}

/* As a worker does: any, or what it waits for. */
static void take_some(struct member *self)
{
	AO_t key = jitter_random() % 4;
	struct task *task;

	while ((task = nest_take(&self->nest, key)) != NULL)
		run_task(self, task);
}

static void rob_somebody(struct member *self)
{
	struct member *victim = &members[jitter_random() % n_members];
	struct task *task, *next;

	if (victim == self)
		return;
	self->n_stolen += nest_steal(&victim->nest, &task);
	for (; task; task = next) {
		next = task->next;
		run_task(self, task);
	}
}

static void work(unsigned number)
{
	struct member *self = &members[number];
	struct patience patience = {0};
	AO_t done;

	/* Relaxed: only looked at for its value. */
	while ((done = AO_load(&xn_done)) < n_members * n_jobs) {
		if (!patience_left(&patience, done)) {
			self->is_lost = true;
			return;
		}
		make_some(self);
		if (jitter_random() % 2)
			take_some(self);
		else
			rob_somebody(self);
	}
}

static void check_all(void)
{
	unsigned long n_run = 0, n_stolen = 0;

	for (unsigned i = 0; i < n_members; i++) {
		struct member *member = &members[i];

		cr_assert_not(member->is_lost, "tasks are lost");
		cr_assert_eq(member->n_wrong, 0);
		cr_assert_null(nest_take(&member->nest, 0));
		cr_assert_eq(nest_length(&member->nest), 0);
		for (unsigned k = 0; k < NEST_CAPACITY; k++)
			cr_assert_eq(member->nest.slot[k].xtask, 0);
		n_run += member->n_run;
		n_stolen += member->n_stolen;
	}
	cr_assert_eq(n_run, n_members * n_jobs);
	/* Else this test did not test anything. */
	cr_assert_gt(n_stolen, 0);
	cr_assert_lt(n_stolen, n_run);
}

static void run(unsigned n, unsigned long jobs)
{
	n_members = n;
	n_jobs = jobs;
	AO_store(&xn_done, 0);
	for (unsigned i = 0; i < n; i++) {
		memset(&members[i], 0, sizeof(members[i]));
		nest_init(&members[i].nest);
	}
	crowd_run(n, work);
	check_all();
}

Test(nest, two_rob_each_other, .timeout = 120)
{
	run(2, check_stress(600000));
}

Test(nest, four_rob_each_other, .timeout = 120)
{
	run(4, check_stress(400000));
}

Test(nest, eight_rob_each_other, .timeout = 120)
{
	run(8, check_stress(200000));
}
