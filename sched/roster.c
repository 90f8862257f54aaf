/* SPDX-License-Identifier: MIT */
/*
 * roster - who of the workers is on duty
 *
 * Problem:    the number of workers changes while they run, and nothing may be
 *             lost: neither the tasks in their queues nor the turns that wait
 *             on their threads, nor alarms.
 * Approach:   a worker that is to leave retires first: it hands over its
 *             tasks, and only goes on with what stands on its thread. When
 *             nothing does, the thread ends, after a while, for it may be
 *             needed again soon. Its slot stays: counters, memory, inbox and
 *             wheel are there for whoever holds its address, and for the next
 *             thread.
 * Rejected:   moving waiting turns to other threads (C keeps the addresses of
 *             thread-locals); moving alarms (others hold their address with
 *             that of the wheel they are in).
 * Invariants: I1 regular workers [0, target) are ACTIVE, others are not.
 *             I2 regular worker 0 never leaves: alarms find a wheel.
 *             I3 a member of the idle list is ACTIVE or RETIRING, or about to
 *                take notice of it.
 * Orderings:  [SL2] add_regular() store -> roster_regular().
 *             [I1] see idle.c: a thread that has retired ends with a
 *             read-modify-write of the idle word, and then looks whether the
 *             monitor sleeps, see monitor.c: it does not sleep on threads that
 *             are to be joined.
 *             Else the lock; hints read without it are looked at again under
 *             it, or at the next tick.
 */
#include "sched/roster.h"

#include <errno.h>
#include <stdlib.h>

#include "sched/monitor.h"
#include "sched/worker.h"

/* A thread that has retired ends after so long. */
#define KEEP_NS 20000000
#define REREAD_NS UINT64_C(1000000000)

enum duty roster_duty(const struct worker *worker)
{
	/* Relaxed: under the lock, or a hint. */
	return (enum duty)AO_load(&worker->xduty);
}

static void set_duty(struct worker *worker, enum duty duty)
{
	/* Relaxed: under the lock. */
	AO_store(&worker->xduty, (AO_t)duty);
}

/* Only changed under the lock, and read by others as a hint: relaxed. */
static void add(AO_t *xn, int n)
{
	/* Relaxed: see above. */
	AO_store(xn, AO_load(xn) + (AO_t)n);
}

/* ---- slots ---- */

static int add_regular(struct crew *crew)
{
	struct roster *roster = &crew->roster;
	unsigned number = roster->n_regulars;
	struct worker *worker;
	int error = crew_add_worker(crew, number % crew->places.n_places, false,
				    NULL, &worker);

	if (error)
		return error;
	/* [SL2] pairs with roster_regular() */
	AO_store_release(&roster->xregular[number], (AO_t)worker);
	roster->n_regulars++;
	return 0;
}

int roster_add_spare(struct crew *crew, struct worker **made)
{
	struct roster *roster = &crew->roster;
	int error;

	if (roster->n_spares == roster->max_spares)
		return -ENOSPC;
	error = crew_add_worker(crew, 0, true, NULL, made);
	if (error)
		return error;
	roster->spare[roster->n_spares++] = *made;
	return 0;
}

int roster_init(struct crew *crew)
{
	struct roster *roster = &crew->roster;
	unsigned i, n = crew->places.n_workers;
	int error = 0;

	pthread_mutex_init(&roster->lock, NULL);
	roster->xregular = calloc(WORKERS_MAX, sizeof(*roster->xregular));
	roster->max_spares = crew->options.max_spares;
	roster->spare = calloc(roster->max_spares + 1, /* see relief_lend() */
			       sizeof(*roster->spare));
	roster->home = calloc(HOMES_MAX, sizeof(*roster->home));
	if (!roster->xregular || !roster->spare || !roster->home)
		return -ENOMEM;
	for (i = 0; i < n && !error; i++) {
		error = add_regular(crew);
		if (error)
			break;
		crew->workers[i]->is_member = true;
		set_duty(crew->workers[i], DUTY_ACTIVE);
		clockwork_open(&crew->workers[i]->clockwork);
	}
	add(&roster->xtarget, (int)n);
	return error;
}

void roster_fini(struct crew *crew)
{
	struct roster *roster = &crew->roster;

	free(roster->xregular);
	free(roster->spare);
	free(roster->home);
	pthread_mutex_destroy(&roster->lock);
}

void roster_open(struct crew *crew)
{
	struct roster *roster = &crew->roster;

	pthread_mutex_lock(&roster->lock);
	roster->is_open = true;
	pthread_mutex_unlock(&roster->lock);
}

void roster_close(struct crew *crew)
{
	struct roster *roster = &crew->roster;

	pthread_mutex_lock(&roster->lock);
	roster->is_open = false;
	pthread_mutex_unlock(&roster->lock);
}

/* ---- duties; all under the lock ---- */

void roster_join(struct worker *worker)
{
	crew_join_worker(worker);
	set_duty(worker, DUTY_NONE);
	add(&worker->crew->roster.xn_ending, -1);
}

/* A member from before its first step: see idle.c. */
static int begin_thread(struct worker *worker)
{
	struct crew *crew = worker->crew;
	int error;

	worker->is_member = true;
	set_duty(worker, DUTY_ACTIVE);
	idle_enlist(&crew->idle);
	if (idle_appear(&crew->idle))
		monitor_wake(crew->monitor);
	error = crew_start_worker(worker);
	if (!error) {
		clockwork_open(&worker->clockwork);
		return 0;
	}
	/* What was meant for it while it was a member is for the others. */
	idle_discharge(&crew->idle);
	idle_vanish(&crew->idle);
	worker->is_member = false;
	set_duty(worker, DUTY_NONE);
	return error;
}

int roster_call(struct worker *worker, unsigned place)
{
	enum duty duty = roster_duty(worker);

	if (duty == DUTY_ACTIVE)
		return 0;
	/* Relaxed: under the lock. */
	AO_store(&worker->xplace, place);
	if (duty == DUTY_ENDING)
		roster_join(worker);
	if (duty == DUTY_NONE || duty == DUTY_ENDING)
		return begin_thread(worker);
	set_duty(worker, DUTY_ACTIVE);
	park_wake(&worker->park);
	return 0;
}

void roster_dismiss(struct worker *worker)
{
	if (roster_duty(worker) != DUTY_ACTIVE)
		return;
	set_duty(worker, DUTY_RETIRING);
	park_wake(&worker->park);
}

/* ---- the number ---- */

static int raise_to(struct crew *crew, unsigned n)
{
	struct roster *roster = &crew->roster;
	int error = 0;
	unsigned i;

	for (i = 0; i < n && !error; i++) {
		if (i == roster->n_regulars)
			error = add_regular(crew);
		if (!error)
			error = roster_call(roster_regular(roster, i),
					    i % crew->places.n_places);
	}
	return error;
}

static int set(struct crew *crew, unsigned n)
{
	struct roster *roster = &crew->roster;
	int error;
	unsigned i;

	if (!roster->is_open)
		return -ESRCH;
	error = raise_to(crew, n);
	if (!error)
		add(&roster->xtarget, (int)n - (int)roster_target(roster));
	for (i = roster_target(roster); i < roster->n_regulars; i++)
		roster_dismiss(roster_regular(roster, i));
	return error;
}

int roster_set(struct crew *crew, unsigned n)
{
	struct roster *roster = &crew->roster;
	int error;

	if (n == 0 || n > WORKERS_MAX)
		return -EINVAL;
	pthread_mutex_lock(&roster->lock);
	error = set(crew, n);
	roster->is_set |= !error;
	pthread_mutex_unlock(&roster->lock);
	return error;
}

/* ---- a worker about itself ---- */

static void become_member(struct worker *worker)
{
	struct crew *crew = worker->crew;
	/* Relaxed: nobody changes it while it is on duty. */
	unsigned place = (unsigned)AO_load(&worker->xplace);

	worker->is_member = true;
	idle_enlist(&crew->idle);
	if (worker->seat != place)
		crew_sit(crew, worker, place);
}

void roster_look(struct worker *worker)
{
	struct crew *crew = worker->crew;
	enum duty duty;

	pthread_mutex_lock(&crew->roster.lock);
	duty = roster_duty(worker);
	if (duty == DUTY_RETIRING) {
		duty = DUTY_RETIRED;
		set_duty(worker, duty);
	}
	pthread_mutex_unlock(&crew->roster.lock);
	if (duty == DUTY_ACTIVE && !worker->is_member) {
		become_member(worker);
	} else if (duty == DUTY_RETIRED && worker->is_member) {
		worker->is_member = false;
		idle_discharge(&crew->idle);
		worker->left_ns = crew_now_ns(crew);
	}
}

/* Turns that wait here, and alarms, which are looked at again under the lock on
   the wheel. */
static bool is_needed(const struct worker *worker)
{
	return worker->n_standing > 0 ||
	       clockwork_has_alarms(&worker->clockwork);
}

int64_t roster_patience(struct worker *worker)
{
	uint64_t now_ns, until_ns = worker->left_ns + KEEP_NS;

	if (is_needed(worker))
		return -1;
	now_ns = crew_now_ns(worker->crew);
	return until_ns > now_ns ? (int64_t)(until_ns - now_ns) : 0;
}

bool roster_may_end(struct worker *worker)
{
	struct roster *roster = &worker->crew->roster;
	bool ends;

	if (worker->is_member || roster_patience(worker) != 0)
		return false;
	pthread_mutex_lock(&roster->lock);
	ends = roster->is_open && roster_duty(worker) == DUTY_RETIRED &&
	       clockwork_close(&worker->clockwork);
	if (ends) {
		set_duty(worker, DUTY_ENDING);
		add(&roster->xn_ending, 1);
	}
	pthread_mutex_unlock(&roster->lock);
	return ends;
}

/* ---- the monitor ---- */

static void join_ended(struct crew *crew)
{
	unsigned i, n = crew_slots(crew);

	for (i = 0; i < n; i++)
		if (roster_duty(crew->workers[i]) == DUTY_ENDING)
			roster_join(crew->workers[i]);
}

static void follow_quota(struct crew *crew, uint64_t now_ns)
{
	struct roster *roster = &crew->roster;
	const char *root = crew->options.root ? crew->options.root : "";
	unsigned n;

	if (!crew->places.follows_quota ||
	    now_ns - roster->reread_ns < REREAD_NS)
		return;
	roster->reread_ns = now_ns;
	n = places_reread(&crew->places, root);
	pthread_mutex_lock(&roster->lock);
	if (!roster->is_set && n != roster_target(roster))
		set(crew, n); /* if it fails, again in a second */
	pthread_mutex_unlock(&roster->lock);
}

bool roster_tick(struct crew *crew, uint64_t now_ns)
{
	struct roster *roster = &crew->roster;

	/* Relaxed: a hint; what is missed is seen at the next tick. */
	if (AO_load(&roster->xn_ending) > 0) {
		pthread_mutex_lock(&roster->lock);
		if (roster->is_open)
			join_ended(crew);
		pthread_mutex_unlock(&roster->lock);
	}
	if (now_ns > 0)
		follow_quota(crew, now_ns);
	/* Relaxed: as above. */
	return AO_load(&roster->xn_ending) > 0;
}
