/* SPDX-License-Identifier: MIT */
/*
 * idle - push, then touch against enter, then scan: who sleeps on work?
 *
 * A small crew: workers with rings, who search, sleep and are picked as the
 * real ones do, and makers of work who wait until it is done. A job may have
 * children that wait for each other, so that each needs a worker of its own.
 * There is no monitor and no time-out: whoever falls asleep on work sleeps for
 * ever, and somebody waits for it in vain.
 */
#include <errno.h>
#include <semaphore.h>
#include <string.h>

#include "tests/stress/jitter.h"

#define QUEUE_CAPACITY 16u
#include "sched/idle.c"
#include "sched/inject.c"
#include "sched/queue.c"

#include "tests/stress/crowd.h"

#define MAX_WORKERS 6
#define MAX_MAKERS 3
#define MAX_CHILDREN MAX_WORKERS

struct job {
	struct task task;
	struct member *maker; /* who is told when it is done */
	struct job *parent;   /* not done before all its children have begun */
	struct job *children;
	unsigned n_children;
	AO_t xn_begun; /* children */
};

/* A worker or a maker. */
struct member {
	struct queue queue;
	AO_t xn_done; /* of the jobs it made */
	sem_t park;
	unsigned number;
	bool is_searching;
	unsigned long n_slept;
	unsigned long n_picked;
	unsigned long n_wrong;
	bool is_stuck;
	char pad[64];
};

static struct idle idle;
static struct inject inject;
static struct member members[MAX_WORKERS + MAX_MAKERS];
static unsigned n_workers, n_makers;
static unsigned long n_rounds; /* per maker */
static AO_t xn_making;	       /* makers that are not through */
static AO_t xis_over;

static bool is_over(void)
{
	return AO_load(&xis_over) != 0; /* relaxed: for its value alone */
}

static void touch(struct member *self)
{
	bool first;
	int picked = idle_pick(&idle, false, NULL, NULL, &first);

	if (picked < 0)
		return;
	self->n_picked++;
	if ((unsigned)picked >= n_workers)
		self->n_wrong++;
	else
		sem_post(&members[picked].park);
}

/* ---- work ---- */

static void give_up(struct member *self)
{
	self->is_stuck = true;
	AO_store(&xis_over, 1);
}

/* Until *xcounter is n: others do what it counts. */
static void await(struct member *self, AO_t *xcounter, AO_t n)
{
	struct patience patience = {0};
	AO_t now;

	/* What it counts has been done: its memory is ours again. */
	while ((now = AO_load_acquire(xcounter)) < n && !is_over()) {
		if (!patience_left(&patience, now + 1))
			give_up(self);
		sched_yield();
	}
}

static void await_done(struct member *self, AO_t n)
{
	await(self, &self->xn_done, n);
	AO_store(&self->xn_done, 0);
}

static void run(struct member *self, struct job *job)
{
	for (unsigned i = 0; i < job->n_children; i++) {
		struct job *child = &job->children[i];

		*child = (struct job){.maker = self, .parent = job};
		queue_push(&self->queue, &child->task);
		touch(self);
	}
	/* Nobody else looks after them: this worker is busy with waiting. */
	await_done(self, job->n_children);
	if (job->parent) {
		AO_fetch_and_add1(&job->parent->xn_begun);
		await(self, &job->parent->xn_begun, job->parent->n_children);
	}
	AO_fetch_and_add_release(&job->maker->xn_done, 1);
}

static struct task *rob(struct member *self)
{
	unsigned n = n_workers + n_makers;
	unsigned start = jitter_random() % n;

	if (!self->is_searching)
		self->is_searching = idle_try_search(&idle);
	if (!self->is_searching)
		return NULL;
	for (unsigned i = 0; i < n; i++) {
		struct member *victim = &members[(start + i) % n];
		struct task *task;
		uint32_t moved;

		if (victim != self &&
		    queue_steal(&victim->queue, &self->queue, &task, &moved) ==
			    QUEUE_STOLEN)
			return task;
	}
	return NULL;
}

static struct task *find(struct member *self)
{
	struct task *task = queue_pop(&self->queue);

	if (!task)
		inject_take(&inject, 1, &task);
	return task ? task : rob(self);
}

static bool sees_work(void)
{
	if (inject_length(&inject) > 0)
		return true;
	for (unsigned i = 0; i < n_workers + n_makers; i++)
		if (queue_length(&members[i].queue) > 0)
			return true;
	return false;
}

/* ---- workers ---- */

static void end_search(struct member *self)
{
	if (!self->is_searching)
		return;
	self->is_searching = false;
	if (idle_end_search(&idle) && sees_work())
		touch(self);
}

static void rest(struct member *self)
{
	bool first;

	idle_enter(&idle, self->number, self->is_searching);
	self->is_searching = false;
	if (!sees_work() && !is_over()) {
		self->n_slept++;
		while (sem_wait(&self->park) != 0 && errno == EINTR)
			;
	}
	self->is_searching = idle_leave(&idle, self->number, &first);
}

static void work(struct member *self)
{
	while (!is_over()) {
		struct task *task = find(self);

		if (!task) {
			rest(self);
			continue;
		}
		end_search(self);
		run(self, (struct job *)task);
	}
}

/* ---- makers ---- */

static void give(struct member *self, struct job *job)
{
	if (jitter_random() % 2)
		queue_push(&self->queue, &job->task);
	else
		inject_push(&inject, &job->task, &job->task, 1);
	touch(self);
}

/* One job at a time: its end is when the workers are about to fall asleep. */
static void make(struct member *self)
{
	struct job job, children[MAX_CHILDREN];
	unsigned most = n_workers / n_makers;

	for (unsigned long i = 0; i < n_rounds && !is_over(); i++) {
		job = (struct job){.maker = self, .children = children};
		/* All wait at once at times: there must be enough workers. */
		if (most > 1)
			job.n_children = jitter_random() % most;
		give(self, &job);
		await_done(self, 1);
	}
	if (AO_fetch_and_sub1(&xn_making) == 1)
		AO_store(&xis_over, 1);
}

static void play(unsigned number)
{
	struct member *self = &members[number];

	if (number < n_workers) {
		work(self);
		return;
	}
	make(self);
	for (unsigned i = 0; is_over() && i < n_workers; i++)
		sem_post(&members[i].park);
}

static void run_crew(unsigned workers, unsigned makers, unsigned long rounds)
{
	unsigned long n_slept = 0, n_picked = 0;

	n_workers = workers;
	n_makers = makers;
	n_rounds = rounds;
	AO_store(&xn_making, makers);
	AO_store(&xis_over, 0);
	cr_assert_eq(idle_init(&idle, workers, workers), 0);
	inject_init(&inject);
	for (unsigned i = 0; i < workers + makers; i++) {
		memset(&members[i], 0, sizeof(members[i]));
		members[i].number = i;
		queue_init(&members[i].queue);
		sem_init(&members[i].park, 0, 0);
	}
	crowd_run(workers + makers, play);
	for (unsigned i = 0; i < workers + makers; i++) {
		cr_assert_not(members[i].is_stuck, "somebody slept on work");
		cr_assert_eq(members[i].n_wrong, 0);
		n_slept += members[i].n_slept;
		n_picked += members[i].n_picked;
		sem_destroy(&members[i].park);
	}
	/* Else nothing was tested. */
	cr_assert_gt(n_slept, 0);
	cr_assert_gt(n_picked, 0);
	idle_fini(&idle);
}

Test(idle, one_worker, .timeout = 120)
{
	run_crew(1, 1, check_stress(150000));
}

Test(idle, two_workers, .timeout = 120)
{
	run_crew(2, 1, check_stress(40000));
}

Test(idle, more_makers_than_workers, .timeout = 120)
{
	run_crew(2, 3, check_stress(40000));
}

Test(idle, many_workers, .timeout = 120)
{
	run_crew(6, 2, check_stress(30000));
}

Test(idle, many_workers_and_one_maker, .timeout = 120)
{
	run_crew(6, 1, check_stress(30000));
}
