/* SPDX-License-Identifier: MIT */
/*
 * queue - owners and thieves at once: does each task run exactly once?
 *
 * Every thread is the owner of a small ring and robs the others when it has
 * nothing to do, as workers do; what does not fit goes to a list beside it. The
 * rings are so small that they are always full, empty or being robbed.
 */
#include <stdlib.h>

#include "tests/stress/jitter.h"

#define QUEUE_CAPACITY 8u
#include "sched/queue.c"
#include "sched/spill.c"

#include "tests/stress/crowd.h"

struct job {
	struct task task;
	AO_t xruns;
	uintptr_t written; /* by the maker, then by who runs it; the queue has
			      to order the two */
};

struct member {
	struct queue queue;
	struct spill spill;
	struct job *jobs;
	unsigned long n_made;
	unsigned long n_run;
	unsigned long n_stolen;
	unsigned long n_spilled;
	unsigned long n_turns;
	unsigned long n_wrong;
	bool is_lost; /* gave up: tasks are missing */
	char pad[64];
};

static struct member members[CROWD_MAX];
static unsigned n_members;
static unsigned long n_jobs; /* each makes so many */
static AO_t xn_done;

static void run_task(struct member *self, struct task *task)
{
	struct job *job = (struct job *)task;

	if (AO_fetch_and_add1(&job->xruns) != 0 ||
	    job->written != (uintptr_t)job)
		self->n_wrong++;
	job->written = ~(uintptr_t)job;
	self->n_run++;
	AO_fetch_and_add1(&xn_done); /* relaxed: counts, orders nothing */
}

/* Every other job counts as one that has never run. */
static bool job_is_fresh(const struct task *task)
{
	return ((uintptr_t)task / sizeof(struct job)) % 2 == 0;
}

static struct task_class job_class = {.is_fresh = job_is_fresh};

/* As a worker does. */
static void push(struct member *self, struct task *task)
{
	if (spill_length(&self->spill) == 0 && queue_push(&self->queue, task))
		return;
	spill_push(&self->spill, task, self->n_turns);
	self->n_spilled++;
}

static void make_some(struct member *self)
{
	unsigned n = jitter_random() % 6;

	while (n-- > 0 && self->n_made < n_jobs) {
		struct job *job = &self->jobs[self->n_made++];

		job->written = (uintptr_t)job;
		job->task.class = &job_class;
		push(self, &job->task);
	}
}

/* Unlink some, keep the first, queue the others. */
static struct task *take_spilled(struct member *self, struct spill *spill,
				 bool oldest)
{
	struct task *first = NULL, *task, *next;

	if (spill_take(spill, 1 + jitter_random() % 4, oldest, &first) == 0)
		return NULL;
	for (task = first->next; task; task = next) {
		next = task->next;
		push(self, task);
	}
	return first;
}

static struct task *rob_somebody(struct member *self)
{
	struct member *victim = &members[jitter_random() % n_members];
	struct task *task = NULL;
	uint32_t n = 0;

	if (victim == self)
		return NULL;
	if (queue_steal(&victim->queue, &self->queue, &task, &n) ==
	    QUEUE_STOLEN) {
		self->n_stolen += n;
		return task;
	}
	return take_spilled(self, &victim->spill, true);
}

static struct task *find_task(struct member *self)
{
	struct task *task = queue_pop(&self->queue);

	self->n_turns++;
	if (!task)
		task = take_spilled(self, &self->spill, false);
	return task ? task : rob_somebody(self);
}

static void work(unsigned number)
{
	struct member *self = &members[number];
	struct patience patience = {0};
	AO_t done;

	/* Relaxed: only looked at for its value. */
	while ((done = AO_load(&xn_done)) < n_members * n_jobs) {
		struct task *task;

		if (!patience_left(&patience, done)) {
			self->is_lost = true;
			return;
		}
		make_some(self);
		for (unsigned n = jitter_random() % 6; n > 0; n--)
			if ((task = find_task(self)) != NULL)
				run_task(self, task);
	}
}

static void check_all(void)
{
	unsigned long n_run = 0, n_stolen = 0, n_spilled = 0;

	for (unsigned i = 0; i < n_members; i++) {
		struct member *member = &members[i];

		cr_assert_not(member->is_lost, "tasks are lost");
		cr_assert_eq(member->n_wrong, 0);
		cr_assert_null(queue_pop(&member->queue));
		cr_assert_eq(queue_length(&member->queue), 0);
		cr_assert_eq(spill_length(&member->spill), 0);
		cr_assert_eq(spill_n_fresh(&member->spill), 0);
		/* No thief has left a claim behind. */
		cr_assert_eq(member->queue.xhead >> 32,
			     (uint32_t)member->queue.xhead);
		n_run += member->n_run;
		n_stolen += member->n_stolen;
		n_spilled += member->n_spilled;
		for (unsigned long k = 0; k < n_jobs; k++)
			cr_assert_eq(AO_load(&member->jobs[k].xruns), 1);
		free(member->jobs);
	}
	cr_assert_eq(n_run, n_members * n_jobs);
	/* Else this test did not test anything. */
	cr_assert_gt(n_stolen, 0);
	cr_assert_gt(n_spilled, 0);
}

/* @start: of the counters. */
static void run(unsigned n, unsigned long jobs, uint32_t start)
{
	n_members = n;
	n_jobs = jobs;
	AO_store(&xn_done, 0);
	for (unsigned i = 0; i < n; i++) {
		memset(&members[i], 0, sizeof(members[i]));
		queue_init(&members[i].queue);
		spill_init(&members[i].spill);
		members[i].queue.xhead = pack(start, start);
		members[i].queue.xtail = start;
		members[i].jobs = calloc(jobs, sizeof(struct job));
		cr_assert_not_null(members[i].jobs);
	}
	crowd_run(n, work);
	check_all();
}

Test(queue, two_rob_each_other, .timeout = 120)
{
	run(2, check_stress(600000), 0);
}

Test(queue, four_rob_each_other, .timeout = 120)
{
	run(4, check_stress(400000), 0);
}

Test(queue, eight_rob_each_other, .timeout = 120)
{
	run(8, check_stress(200000), 0);
}

Test(queue, counters_wrap, .timeout = 120)
{
	for (unsigned i = 0; i < 40; i++)
		run(4, check_stress(8000) + 100, (uint32_t)-50);
}
