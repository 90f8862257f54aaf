/* SPDX-License-Identifier: MIT */
/*
 * helpers - threads for code that would keep a worker from everybody else
 *
 * Problem:    code that blocks for long is to run somewhere else, on as many
 *             threads as it takes and no more; a thread may fail to be made,
 *             and code may never return, also when the pool is to end.
 * Approach:   one queue, one lock, one futex word: what runs here takes
 *             microseconds at least, so nothing is won by more. A submitter
 *             that finds more work than idle threads makes one, outside of the
 *             lock, having counted it before. A thread that has found nothing
 *             for IDLE_NS leaves; whoever makes the next one, or ends the pool,
 *             joins it, so that an ended pool has no thread anywhere.
 *             The pool is counted by those who use it, its threads among them:
 *             a thread that never ends keeps the pool and nothing else.
 * Rejected:   making threads on helpers only (all of them may be busy for long
 *             when work comes); detached threads (they may still be about to
 *             leave when the program unloads us).
 * Invariants: I1 work in the queue => a thread exists or is being made.
 *             I2 a thread is in `all` from its making until it leaves; in
 *                `left` then, until it is joined.
 * Orderings:  [L1] see spin.h: all between submitters and helpers.
 *             [HP1] xword: changed under the lock before those who sleep on it
 *             are woken.
 */
#include "sched/helpers.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched/clock.h"
#include "sched/park.h"
#include "sched/spin.h"

#ifdef ROTA_HELPERS_IDLE_NS
#define IDLE_NS ROTA_HELPERS_IDLE_NS
#else
#define IDLE_NS 250000000
#endif

struct helper {
	struct helpers *pool;
	struct helper *next; /* in all, or in left */
	struct work *work;   /* in hand, not done yet */
	pthread_t thread;
	unsigned number;
	bool is_busy; /* between two looks at the queue */
};

struct helpers {
	AO_TS_t xlock; /* everything below */
	struct work *first;
	struct work **last;
	size_t n_queued;
	struct helper *all;
	struct helper *left; /* to be joined */
	unsigned n_threads;
	unsigned n_idle;
	unsigned n_holders;
	bool is_closed;
	bool is_abandoned; /* nobody joins any more */
	unsigned xword;	   /* futex: work came, or a thread left, or the end */
	/* constants */
	unsigned max_threads;
	bool has_cpus;
	cpu_set_t cpus; /* where our maker may run: workers are bound */
	char name[8];
};

struct helpers *helpers_create(const char *name, unsigned max_threads)
{
	struct helpers *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->xlock = AO_TS_INITIALIZER;
	pool->last = &pool->first;
	pool->n_holders = 1;
	pool->max_threads = max_threads;
	snprintf(pool->name, sizeof(pool->name), "%s", name);
	pool->has_cpus =
		sched_getaffinity(0, sizeof(pool->cpus), &pool->cpus) == 0;
	return pool;
}

void helpers_hold(struct helpers *pool)
{
	spin_lock(&pool->xlock);
	pool->n_holders++;
	spin_unlock(&pool->xlock);
}

void helpers_release(struct helpers *pool)
{
	bool is_last;

	spin_lock(&pool->xlock);
	is_last = --pool->n_holders == 0;
	spin_unlock(&pool->xlock);
	if (is_last)
		free(pool);
}

/* Under the lock: something has changed for those who sleep. */
static void change(struct helpers *pool)
{
	/* [HP1] pairs with sleep_on() */
	AO_int_fetch_and_add_full(&pool->xword, 1);
}

/* Leaves the lock for as long as nothing changes, or for that time. */
static void sleep_on(struct helpers *pool, int64_t within)
{
	/* [HP1] pairs with change() */
	unsigned seen = AO_int_load_acquire(&pool->xword);

	spin_unlock(&pool->xlock);
	futex_wait(&pool->xword, seen, within);
	spin_lock(&pool->xlock);
}

/* ---- the queue, under the lock ---- */

static void append(struct helpers *pool, struct work *work)
{
	work->next = NULL;
	work->prev = pool->last;
	*pool->last = work;
	pool->last = &work->next;
	pool->n_queued++;
}

static void take_out(struct helpers *pool, struct work *work)
{
	*work->prev = work->next;
	if (work->next)
		work->next->prev = work->prev;
	else
		pool->last = work->prev;
	work->prev = NULL;
	pool->n_queued--;
}

static struct work *take_all(struct helpers *pool)
{
	struct work *first = pool->first, *work;

	for (work = first; work; work = work->next)
		work->prev = NULL;
	pool->first = NULL;
	pool->last = &pool->first;
	pool->n_queued = 0;
	return first;
}

/* ---- a helper ---- */

static void name_thread(const struct helper *helper)
{
	char name[24];

	snprintf(name, sizeof(name), "%.7s-off%u", helper->pool->name,
		 helper->number % 1000);
	pthread_setname_np(pthread_self(), name);
}

/* Under the lock: wait for work. NULL: it is time to leave. */
static struct work *await_work(struct helpers *pool)
{
	uint64_t until = clock_deadline(clock_ns(), IDLE_NS);

	while (!pool->first && !pool->is_closed) {
		int64_t patience = clock_left(clock_ns(), until);

		if (patience == 0)
			return NULL;
		pool->n_idle++;
		sleep_on(pool, patience);
		pool->n_idle--;
	}
	return pool->first;
}

/* Under the lock. */
static void remove_helper(struct helpers *pool, struct helper *helper)
{
	struct helper **at = &pool->all;

	while (*at != helper)
		at = &(*at)->next;
	*at = helper->next;
	pool->n_threads--;
}

/* Under the lock, which it gives back. */
static void leave(struct helpers *pool, struct helper *helper)
{
	bool is_alone = pool->is_abandoned;

	remove_helper(pool, helper);
	if (!is_alone) {
		helper->next = pool->left;
		pool->left = helper;
	}
	change(pool);
	spin_unlock(&pool->xlock);
	futex_wake(&pool->xword, INT_MAX);
	if (is_alone) {
		pthread_detach(pthread_self());
		free(helper);
	}
	helpers_release(pool);
}

static void *helper_main(void *argument)
{
	struct helper *helper = argument;
	struct helpers *pool = helper->pool;
	struct work *work;

	spin_lock(&pool->xlock);
	helper->thread = pthread_self();
	spin_unlock(&pool->xlock);
	name_thread(helper);
	spin_lock(&pool->xlock);
	while ((work = await_work(pool))) {
		take_out(pool, work);
		helper->work = work;
		helper->is_busy = true;
		spin_unlock(&pool->xlock);
		work->run(work, helper);
		spin_lock(&pool->xlock);
		helper->is_busy = false;
	}
	leave(pool, helper);
	return NULL;
}

bool helpers_done(struct helper *helper)
{
	struct helpers *pool = helper->pool;
	bool is_ours;

	spin_lock(&pool->xlock);
	is_ours = helper->work != NULL;
	helper->work = NULL;
	spin_unlock(&pool->xlock);
	return is_ours;
}

/* ---- making threads ---- */

static int start_thread(struct helpers *pool, struct helper *helper)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int error = pthread_attr_init(&attributes);

	if (error)
		return error;
	if (pool->has_cpus)
		pthread_attr_setaffinity_np(&attributes, sizeof(pool->cpus),
					    &pool->cpus);
	error = pthread_create(&thread, &attributes, helper_main, helper);
	pthread_attr_destroy(&attributes);
	return error;
}

/* Under the lock. */
static struct helper *take_left(struct helpers *pool)
{
	struct helper *left = pool->left;

	pool->left = NULL;
	return left;
}

/* They have nothing left to do but to return. */
static void join_all(struct helper *left)
{
	while (left) {
		struct helper *next = left->next;

		pthread_join(left->thread, NULL);
		free(left);
		left = next;
	}
}

static bool has_number(const struct helpers *pool, unsigned number)
{
	const struct helper *helper = pool->all;

	while (helper && helper->number != number)
		helper = helper->next;
	return helper != NULL;
}

/* Under the lock: as if it existed already. */
static void count_helper(struct helpers *pool, struct helper *helper)
{
	unsigned number = 0;

	while (has_number(pool, number))
		number++;
	*helper = (struct helper){
		.pool = pool, .number = number, .next = pool->all};
	pool->all = helper;
	pool->n_threads++;
	pool->n_holders++;
}

/* Under the lock: none could be made. If there is no other, nobody will do what
   is queued. */
static struct work *give_up(struct helpers *pool, struct helper *helper)
{
	if (helper) {
		remove_helper(pool, helper);
		pool->n_holders--; /* not the last: the submitter holds it */
	}
	change(pool); /* for who waits until there is none */
	return pool->n_threads == 0 ? take_all(pool) : NULL;
}

/* True if @own is among them. */
static bool refuse_all(struct work *refused, const struct work *own)
{
	bool has_own = false;

	while (refused) {
		struct work *next = refused->next;

		if (refused == own)
			has_own = true;
		else
			refused->refuse(refused, -EAGAIN);
		refused = next;
	}
	return has_own;
}

static bool is_short(const struct helpers *pool)
{
	return pool->n_queued > pool->n_idle && !pool->is_closed &&
	       pool->n_threads < pool->max_threads;
}

/* False: that failed, and @own is refused. */
static bool grow(struct helpers *pool, const struct work *own)
{
	struct helper *helper = malloc(sizeof(*helper)), *left;
	struct work *refused;
	bool is_wanted;

	spin_lock(&pool->xlock);
	left = take_left(pool);
	is_wanted = is_short(pool);
	if (is_wanted && helper)
		count_helper(pool, helper);
	spin_unlock(&pool->xlock);
	join_all(left);
	if (is_wanted && helper && start_thread(pool, helper) == 0)
		return true;
	spin_lock(&pool->xlock);
	refused = is_wanted ? give_up(pool, helper) : NULL;
	spin_unlock(&pool->xlock);
	if (is_wanted)
		futex_wake(&pool->xword, INT_MAX);
	free(helper);
	return !refuse_all(refused, own);
}

int helpers_submit(struct helpers *pool, struct work *work, size_t most)
{
	bool grows;

	spin_lock(&pool->xlock);
	if (pool->is_closed || pool->n_queued >= most) {
		int error = pool->is_closed ? -ESHUTDOWN : -EAGAIN;

		spin_unlock(&pool->xlock);
		return error;
	}
	append(pool, work);
	grows = is_short(pool);
	change(pool);
	spin_unlock(&pool->xlock);
	futex_wake(&pool->xword, 1);
	return !grows || grow(pool, work) ? 0 : -EAGAIN;
}

bool helpers_withdraw(struct helpers *pool, struct work *work)
{
	bool was_queued;

	spin_lock(&pool->xlock);
	was_queued = work->prev != NULL;
	if (was_queued)
		take_out(pool, work);
	spin_unlock(&pool->xlock);
	return was_queued;
}

/* ---- the end ---- */

struct work *helpers_close(struct helpers *pool)
{
	struct work *queued;

	spin_lock(&pool->xlock);
	pool->is_closed = true;
	queued = take_all(pool);
	change(pool);
	spin_unlock(&pool->xlock);
	futex_wake(&pool->xword, INT_MAX);
	return queued;
}

unsigned helpers_await(struct helpers *pool, int64_t within)
{
	uint64_t deadline = clock_deadline(clock_ns(), within);
	struct helper *left;
	unsigned n;

	spin_lock(&pool->xlock);
	for (;;) {
		int64_t patience = clock_left(clock_ns(), deadline);

		if (pool->n_threads == 0 || patience == 0)
			break;
		sleep_on(pool, patience);
	}
	left = take_left(pool);
	n = pool->n_threads;
	spin_unlock(&pool->xlock);
	join_all(left);
	return n;
}

/* Under the lock: is some helper between helpers_done() and its next look? */
static bool some_deliver(const struct helpers *pool)
{
	const struct helper *helper = pool->all;

	while (helper && (helper->work || !helper->is_busy))
		helper = helper->next;
	return helper != NULL;
}

unsigned helpers_abandon(struct helpers *pool,
			 bool (*leave_alone)(struct work *work, void *context),
			 void *context)
{
	struct helper *helper, *left;
	unsigned n = 0;

	spin_lock(&pool->xlock);
	while (some_deliver(pool))
		sleep_on(pool, 1000000);
	for (helper = pool->all; helper; helper = helper->next) {
		n += helper->work != NULL;
		if (helper->work && leave_alone(helper->work, context))
			helper->work = NULL;
	}
	pool->is_abandoned = true;
	left = take_left(pool);
	spin_unlock(&pool->xlock);
	join_all(left);
	return n;
}

unsigned helpers_count(struct helpers *pool)
{
	unsigned n;

	spin_lock(&pool->xlock);
	n = pool->n_threads;
	spin_unlock(&pool->xlock);
	return n;
}
