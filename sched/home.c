/* SPDX-License-Identifier: MIT */
/*
 * home - workers that run the tasks that live there, and no others
 *
 * Problem:    some tasks belong to one thread, and whoever makes a task
 *             runnable, which is the hottest path of all, must not pay for
 *             asking whether this is one of them.
 * Approach:   their class says that they are expected to take for ever. So they
 *             never come into a run-next slot: what keeps long tasks out of it
 *             sends them to worker_push_last(), which knows their number and
 *             brings them here. Only what comes from outside, which costs a
 *             lock anyhow, is asked.
 *             A home is a worker off duty for all others: no member of the idle
 *             list, with an empty ring, so that nobody wakes it for work or
 *             steals from it. What its turns make runnable for others goes to
 *             the shared list at once, and nothing is in its hand: its turns
 *             may block at any moment.
 *             Its tasks are in a list under a small lock, and the owner takes
 *             all that is there at a time. Slots stay, as in the roster.
 *             A thread that has ended is joined by the monitor; or, for where a
 *             host drives there is none, by the next that ends, the next that
 *             begins, or the stop.
 * Rejected:   a flag in the task that every push looks at; a field of the
 *             worker "what I make runnable goes to" (a turn wakes both kinds); a
 *             thread beside the crew with a loop of its own (no waits, no
 *             timers, no watch, and another stop).
 * Invariants: I1 a class has a home <=> its mean is TASK_HOME_NS.
 *             I2 a task is here only while its lodger is: a thread with no
 *             lodgers gets no more tasks, and may end.
 * Orderings:  [L1] see spin.h. Both the last look before the sleep and a push
 *             are made under xlock, and so one comes first:
 *
 *               push                        sleep
 *               1. link the task            a. is the list empty?
 *               2. is_asleep? reset it      b. is_asleep = true
 *               3. then wake the park       c. sleep in the park
 *
 *             If 1 does, a sees the task, and nobody sleeps. If b does, 2 sees
 *             it; 3 may come before c, but a wake-up of a park is not lost. What
 *             the pusher wrote is seen by who takes the task.
 *             Turns whose wait has ended come through the inbox: [B1], [B2] in
 *             worker.c. Lodgers are counted under the roster's lock, and the
 *             thread decides to end under it: one that moves in either finds
 *             the home as it was, or not at all.
 */
#include "sched/home.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched/monitor.h"
#include "sched/roster.h"
#include "sched/spin.h"
#include "sched/worker.h"

/* ---- tasks ---- */

void home_push(struct worker *worker, struct task *task)
{
	struct home *home = worker->home;
	bool wake;

	task->next = NULL;
	spin_lock(&home->xlock);
	if (home->last)
		home->last->next = task;
	else
		home->first = task;
	home->last = task;
	/* Relaxed: only changed under the lock. */
	AO_store(&home->xlength, AO_load(&home->xlength) + 1);
	wake = home->is_asleep;
	home->is_asleep = false;
	spin_unlock(&home->xlock);
	/* The task may be gone by now, and its lodger; the slot stays. */
	if (wake)
		park_wake(&worker->park);
}

void home_push_out(struct worker *worker, struct task *task)
{
	struct crew *crew = worker->crew;
	unsigned node = worker_node(worker);

	if (task_expected_ns(task) >= TASK_HOME_NS) {
		home_push(task->class->home, task);
		return;
	}
	nodes_push(&crew->nodes, node, task);
	crew_wake_at(crew, node, false);
}

/* Relaxed, both: the owner's own; others read it as a hint. */
static void count_taken(struct home *home, AO_t n)
{
	/* Relaxed: see above. */
	AO_store(&home->xn_taken, AO_load(&home->xn_taken) + n);
}

static void take_all(struct home *home)
{
	spin_lock(&home->xlock);
	home->taken = home->first;
	home->first = home->last = NULL;
	/* Relaxed: under the lock. */
	count_taken(home, AO_load(&home->xlength));
	/* Relaxed: likewise. */
	AO_store(&home->xlength, 0);
	spin_unlock(&home->xlock);
}

struct task *home_take(struct home *home)
{
	struct task *task;

	/* Relaxed: a hint; who lies down looks again. */
	if (!home->taken && AO_load(&home->xlength) > 0)
		take_all(home);
	task = home->taken;
	if (!task)
		return NULL;
	home->taken = task->next;
	count_taken(home, (AO_t)-1);
	return task;
}

bool home_lie_down(struct home *home)
{
	bool is_empty;

	spin_lock(&home->xlock);
	is_empty = !home->first && !home->taken;
	home->is_asleep = is_empty;
	spin_unlock(&home->xlock);
	return is_empty;
}

void home_get_up(struct home *home)
{
	spin_lock(&home->xlock);
	home->is_asleep = false;
	spin_unlock(&home->xlock);
}

void home_appear(struct crew *crew)
{
	if (idle_appear(&crew->idle) && crew->monitor)
		monitor_wake(crew->monitor);
}

void home_block(struct worker *worker)
{
	/* Relaxed: a hint to who reports turns that last. */
	AO_store(&worker->xblocked, 1);
	idle_vanish(&worker->crew->idle);
}

void home_unblock(struct worker *worker)
{
	/* Relaxed: as above. */
	AO_store(&worker->xblocked, 0);
	home_appear(worker->crew);
}

/* ---- places ---- */

static void complain(struct worker *worker, int error)
{
	char line[160];

	snprintf(line, sizeof(line),
		 "the thread %s may not be bound to cpu %u (%s): it runs "
		 "wherever the kernel likes",
		 worker->home->title, worker->home->cpu - 1, strerror(-error));
	crew_say(worker->crew, false, line);
}

void home_sit(struct worker *worker)
{
	struct places *places = &worker->crew->places;
	unsigned cpu = worker->home->cpu;
	int error;

	places_unbind(places);
	worker->node = worker_node(worker);
	if (cpu == 0)
		return;
	error = places_bind_cpu(places, cpu - 1);
	if (error)
		complain(worker, error);
}

/* ---- threads; all under the roster's lock ---- */

static void join_ended(struct crew *crew)
{
	struct roster *roster = &crew->roster;
	unsigned i;

	for (i = 0; i < roster->n_homes; i++)
		if (roster_duty(roster->home[i]) == DUTY_ENDING)
			roster_join(roster->home[i]);
}

static struct worker *find(struct crew *crew, const char *name)
{
	struct roster *roster = &crew->roster;
	unsigned i;

	for (i = 0; i < roster->n_homes; i++)
		if (roster_duty(roster->home[i]) == DUTY_HOME &&
		    strcmp(roster->home[i]->home->name, name) == 0)
			return roster->home[i];
	return NULL;
}

static int add_slot(struct crew *crew, struct worker **worker)
{
	struct roster *roster = &crew->roster;
	struct home *home;
	int error;

	if (roster->n_homes == HOMES_MAX)
		return -EAGAIN;
	home = calloc(1, sizeof(*home));
	if (!home)
		return -ENOMEM;
	home->xlock = AO_TS_INITIALIZER;
	error = crew_add_worker(crew, 0, false, home, worker);
	if (error)
		free(home);
	else
		roster->home[roster->n_homes++] = *worker;
	return error;
}

static int find_slot(struct crew *crew, struct worker **worker)
{
	struct roster *roster = &crew->roster;
	unsigned i;

	for (i = 0; i < roster->n_homes; i++)
		if (roster_duty(roster->home[i]) == DUTY_NONE) {
			*worker = roster->home[i];
			return 0;
		}
	return add_slot(crew, worker);
}

static void furnish(struct worker *worker, const struct home_wish *wish)
{
	struct home *home = worker->home;

	snprintf(home->name, sizeof(home->name), "%s",
		 wish->name ? wish->name : "");
	snprintf(home->title, sizeof(home->title), "%.*s", HOME_TITLE - 1,
		 wish->title);
	home->cpu = wish->cpu;
	if (wish->cpu)
		/* Relaxed: a preference. */
		AO_store(&worker->xplace,
			 places_near_cpu(&worker->crew->places, wish->cpu - 1));
}

static int begin_thread(struct worker *worker)
{
	struct crew *crew = worker->crew;
	int error;

	/* Relaxed: under the lock. */
	AO_store(&worker->xduty, DUTY_HOME);
	home_appear(crew);
	error = crew_start_worker(worker);
	if (!error) {
		clockwork_open(&worker->clockwork);
		return 0;
	}
	idle_vanish(&crew->idle);
	/* Relaxed: as above. */
	AO_store(&worker->xduty, DUTY_NONE);
	return error;
}

static int begin(struct crew *crew, const struct home_wish *wish,
		 struct worker **worker)
{
	int error;

	join_ended(crew);
	error = find_slot(crew, worker);
	if (error)
		return error;
	furnish(*worker, wish);
	return begin_thread(*worker);
}

/* Changed under the lock only: relaxed. */
static void count_lodgers(struct home *home, AO_t n)
{
	/* Relaxed: see above. */
	AO_store(&home->xn_lodgers, AO_load(&home->xn_lodgers) + n);
}

int home_enter(struct crew *crew, const struct home_wish *wish,
	       struct worker **worker)
{
	struct roster *roster = &crew->roster;
	int error = 0;

	pthread_mutex_lock(&roster->lock);
	*worker = wish->name ? find(crew, wish->name) : NULL;
	if (!roster->is_open)
		error = -ESHUTDOWN;
	else if (!*worker)
		error = begin(crew, wish, worker);
	if (!error)
		count_lodgers((*worker)->home, 1);
	pthread_mutex_unlock(&roster->lock);
	return error;
}

void home_leave(struct worker *worker)
{
	struct roster *roster = &worker->crew->roster;

	pthread_mutex_lock(&roster->lock);
	count_lodgers(worker->home, (AO_t)-1);
	pthread_mutex_unlock(&roster->lock);
	if (worker != worker_current)
		park_wake(&worker->park); /* it may have to end */
}

bool home_may_end(struct worker *worker)
{
	struct crew *crew = worker->crew;
	struct roster *roster = &crew->roster;
	bool ends;

	/* Relaxed: a hint; who makes it 0 is us, or wakes us. */
	if (AO_load(&worker->home->xn_lodgers) > 0 || worker->n_standing > 0)
		return false;
	pthread_mutex_lock(&roster->lock);
	/* Relaxed: under the lock. */
	ends = roster->is_open && AO_load(&worker->home->xn_lodgers) == 0 &&
	       clockwork_close(&worker->clockwork);
	if (ends) {
		if (!crew->monitor)
			join_ended(crew);
		/* Relaxed, all: under the lock. */
		AO_store(&worker->xduty, DUTY_ENDING);
		AO_store(&roster->xn_ending, AO_load(&roster->xn_ending) + 1);
	}
	pthread_mutex_unlock(&roster->lock);
	return ends;
}
