/* SPDX-License-Identifier: MIT */
/*
 * task - functions that run once: submitted, run, joined, cancelled
 *
 * Problem:    a task may be as short as a function call, and there may be
 *             millions; but some have names, by which any thread may join or
 *             cancel them while they start, run or end.
 * Approach:   two kinds of cell. A small one has no name and no state: it is
 *             made by its submitter, run by its runner, and nobody else knows
 *             it, so it needs no atomics. All that happens to a large one
 *             happens under its own lock, a byte in the cell: a name is
 *             checked there, so it never meets the cell's next task.
 *             Read-modify-writes per task, but for those of the run queues
 *             (1 from the ring, 1 from the nest): small 0; named 4 (the lock:
 *             submit, start, end, join), 3 more if the joiner has to wait.
 *             A cancelled task stays in its run queue; its joiners are told at
 *             once, its runner finds out.
 * Rejected:   a state word that is changed by CAS (as many of them, and the
 *             list of joiners needs a lock all the same).
 * Orderings:  [E2] see stop.c.
 *             [L1] see spin.h: all between a task and those who know its name.
 */
#include "core/task.h"

#include <errno.h>
#include <string.h>

#include "core/await.h"
#include "core/blocking.h"
#include "core/chain.h"
#include "core/engine.h"

/* ---- names ---- */

/* task name = engine << 56 | generation (32 bits) << 24 | number */
#define NAME_NUMBER_BITS 24

static rota_task name_of(const struct engine *engine,
			 const struct large_job *large)
{
	return (rota_task)engine->number << 56 |
	       (rota_task)large->generation << NAME_NUMBER_BITS | large->number;
}

static uint32_t name_generation(rota_task name)
{
	return (uint32_t)(name >> NAME_NUMBER_BITS);
}

uint32_t job_first_generation(uint32_t engine_generation)
{
	return engine_generation << 8;
}

/* The inverse, rounded up: where the number's next engine has to start. */
static void note_generation(struct cache *cache, uint32_t generation)
{
	AO_t *xmax = &cache->counters.xmax_generation;

	/* Relaxed: read when all have left. */
	if (unlikely(generation >> 8 > AO_load(xmax)))
		AO_store(xmax, generation >> 8);
}

/*
 * The lock is clear, and the cell free and without a name, as its memory comes:
 * zeroed. Somebody with a made-up name may be looking at that.
 */
void job_carve(void *block, uint32_t number, uint32_t generation)
{
	struct large_job *large = block;

	large->number = number;
	large->generation = generation;
}

/* Enter its engine and lock the cell that a name leads to. */
static int lock_name(struct site *site, rota_task name,
		     struct large_job **found)
{
	int error = site_enter(site, name);
	struct large_job *large;

	if (error)
		return error == -EPERM || error == -ENOMEM ? error : -ESRCH;
	large = slabs_cell(site->engine->job_cells.xentry,
			   (uint32_t)name & ((1u << NAME_NUMBER_BITS) - 1));
	if (large) {
		spin_lock(&large->xlock);
		if (large->is_named &&
		    large->generation == name_generation(name)) {
			*found = large;
			return 0;
		}
		spin_unlock(&large->xlock);
	}
	site_leave(site);
	return -ESRCH;
}

/* Under the lock. */
static void use_up_name(struct large_job *large)
{
	large->is_named = false;
	large->generation++;
}

static void free_large(struct engine *engine, struct cache *cache,
		       struct large_job *large)
{
	/* The last generation is never given out: the cell is retired. */
	if (unlikely(large->generation == UINT32_MAX))
		count(&cache->counters.xretired_jobs, 1);
	else
		pool_put(&engine->large_jobs, &cache->large_jobs, large);
}

/* ---- making ---- */

int job_check(struct engine *engine, rota_task_function *run,
	      const void *argument, size_t length)
{
	if (unlikely(!run || (!argument && length > 0)))
		return -EINVAL;
	if (unlikely(length > ROTA_TASK_ARGUMENT))
		return -EMSGSIZE;
	/* [E2] pairs with rota_stop() */
	if (unlikely(AO_load_acquire(&engine->xstate) != ENGINE_RUNS))
		return -ESHUTDOWN;
	return 0;
}

static inline unsigned class_of(rota_task_function *run)
{
	return (unsigned)(((uintptr_t)run >> 4) % JOB_CLASSES);
}

struct job *job_make_small(struct site *site, rota_task_function *run,
			   const void *argument, size_t length)
{
	struct small_job *small =
		pool_get(&site->engine->small_jobs, &site->cache->small_jobs);

	if (unlikely(!small))
		return NULL;
	small->job.task.class = &site->engine->job_classes.small[class_of(run)];
	small->job.run = run;
	small->job.group = NULL;
	message_copy_inline(small->argument, argument, length);
	return &small->job;
}

/* Names have no room for higher numbers. */
static bool is_numbered(struct site *site, struct large_job *large)
{
	if (likely(large->number >> NAME_NUMBER_BITS == 0))
		return true;
	pool_put(&site->engine->large_jobs, &site->cache->large_jobs, large);
	return false;
}

struct large_job *job_make_large(struct site *site, rota_task_function *run,
				 const void *argument, size_t length,
				 rota_task *name)
{
	struct large_job *large =
		pool_get(&site->engine->large_jobs, &site->cache->large_jobs);
	uint32_t generation;

	if (unlikely(!large) || !is_numbered(site, large))
		return NULL;
	large->job.task.class = &site->engine->job_classes.large[class_of(run)];
	large->job.run = run;
	large->job.group = NULL;
	if (length > 0)
		memcpy(large->argument, argument, length);
	/* By an old name somebody may be looking. */
	spin_lock(&large->xlock);
	waiters_init(&large->joiners);
	large->state = JOB_QUEUED;
	large->is_named = name != NULL;
	if (name)
		*name = name_of(site->engine, large);
	generation = large->generation;
	/* Relaxed: a hint to the task, which starts later. */
	AO_char_store(&large->xcancelled, 0);
	spin_unlock(&large->xlock);
	note_generation(site->cache, generation);
	return large;
}

static int submit(struct site *site, rota_task_function *run,
		  const void *argument, size_t length, rota_task *name)
{
	struct large_job *large;
	struct job *job;

	if (!name && length <= ROTA_TASK_SMALL) {
		job = job_make_small(site, run, argument, length);
		if (!job)
			return -ENOMEM;
	} else {
		large = job_make_large(site, run, argument, length, name);
		if (!large)
			return -ENOMEM;
		job = &large->job;
	}
	count_submitted(site->cache);
	if (site->local)
		worker_push_any(&site->local->worker, &job->task);
	else
		site->awakened = &job->task;
	return 0;
}

int rota_task_submit(rota_engine *handle, rota_task_function *run,
		     const void *argument, size_t length, rota_task *name)
{
	struct site site;
	int error = site_enter_handle(&site, handle);

	if (error)
		return error;
	error = job_check(site.engine, run, argument, length);
	if (!error)
		error = submit(&site, run, argument, length, name);
	site_leave(&site);
	return error;
}

/* ---- joiners ---- */

/* A join; `await` is its wait, whose waiter stands in the cell's list. */
struct joining {
	struct await await;
	int result; /* the winner's until the wait has ended */
};

static struct joining *joining_of(struct waiter *waiter)
{
	return (struct joining *)((char *)waiter -
				  offsetof(struct joining, await.waiter));
}

/*
 * Under the lock, once the outcome is known: those who wait for it, as a chain
 * to be finished without the lock. If there is one, the name is used up.
 */
static struct waiter *tell_joiners(struct large_job *large)
{
	struct waiter *chain = waiters_claim_all(&large->joiners), *at;

	for (at = chain; at; at = at->next)
		joining_of(at)->result = large->result;
	if (chain)
		use_up_name(large);
	return chain;
}

/* Under the lock: take a known outcome; true if the cell is to be freed. */
static bool take_outcome(struct large_job *large)
{
	use_up_name(large);
	if (large->state == JOB_CANCELLED)
		return false; /* its runner does it */
	large->state = JOB_FREE;
	return true;
}

void job_release_joiners(struct engine *engine, uint32_t number)
{
	struct large_job *large = slabs_cell(engine->job_cells.xentry, number);
	struct waiter *chain = NULL;

	spin_lock(&large->xlock);
	if (large->is_named &&
	    (large->state == JOB_QUEUED || large->state == JOB_STARTED))
		chain = waiters_claim_all(&large->joiners);
	spin_unlock(&large->xlock);
	waiters_finish(chain, -ESRCH);
}

void job_release(struct engine *engine, uint32_t number)
{
	struct large_job *large = slabs_cell(engine->job_cells.xentry, number);

	if (large->state != JOB_ENDED && large->state != JOB_SKIPPED)
		return;
	take_outcome(large);
	free_large(engine, &engine->shards[0].cache, large);
}

/* ---- running ---- */

static inline bool may_start(const struct local *local,
			     const struct rota_task_group *group)
{
	/* Relaxed: one that starts as the engine stops has started before. */
	return likely(AO_load(&local->engine->xstate) == ENGINE_RUNS &&
		      !(group && task_group_is_cancelled(group)));
}

static inline int call(struct local *local, struct job *job, void *argument)
{
	struct job *outer = local->turn.job;
	int result;
	AO_t was;

	turn_set_job(&local->turn, job);
	was = worker_is_in_hand(&local->worker); /* not for one that runs on
	                                            another's stack */
	worker_step_out(&local->worker);
	result = job->run(argument);
	if (was)
		worker_step_in(&local->worker);
	/* What it sent is out before anyone can know that it has ended. */
	chain_close(local);
	blocking_end_of_task(local, job);
	turn_set_job(&local->turn, outer);
	return result;
}

/* The first failure counts. */
static __attribute__((noinline)) void
note_failure(struct rota_task_group *group, int result)
{
	/* Relaxed: leaving the group publishes it. */
	AO_compare_and_swap(&group->xfailure, 0, (AO_t)(unsigned)result);
}

static inline int run_or_skip(struct local *local, struct job *job,
			      void *argument)
{
	struct rota_task_group *group = job->group;
	int result;

	if (unlikely(!may_start(local, group))) {
		if (group)
			/* Relaxed: leaving the group publishes it. */
			AO_store(&group->xskipped, 1);
		return -ECANCELED;
	}
	result = call(local, job, argument);
	if (unlikely(result < 0) && group)
		note_failure(group, result);
	return result;
}

static void run_small(struct task *task, struct worker *worker)
{
	struct local *local = (struct local *)worker;
	struct small_job *small = (struct small_job *)task;
	struct rota_task_group *group = small->job.group;

	run_or_skip(local, &small->job, small->argument);
	pool_put(&local->engine->small_jobs, &local->cache.small_jobs, small);
	if (group)
		task_group_leave(local, group);
	/* Last: a stop that sees it counted takes the engine away. */
	count_finished(&local->cache);
}

/*
 * Its runner takes it up: false if it is not to be run. Then the state stays:
 * the outcome is the runner's to give, in end_large(), and who saw it sooner
 * would free the cell under the runner's hands.
 */
static bool start_large(struct local *local, struct large_job *large)
{
	bool starts;

	spin_lock(&large->xlock);
	starts = large->state == JOB_QUEUED &&
		 may_start(local, large->job.group);
	if (starts)
		large->state = JOB_STARTED;
	spin_unlock(&large->xlock);
	return starts;
}

/* Its runner is done with it, and it has run or has been skipped. */
static void end_large(struct local *local, struct large_job *large, int result)
{
	struct waiter *chain = NULL;
	bool ran, is_kept;

	spin_lock(&large->xlock);
	ran = large->state == JOB_STARTED;
	large->state = ran ? JOB_ENDED : JOB_SKIPPED;
	large->result = result;
	if (large->is_named)
		chain = tell_joiners(large);
	is_kept = large->is_named;
	if (!is_kept)
		large->state = JOB_FREE;
	spin_unlock(&large->xlock);
	waiters_finish(chain, ran ? 0 : -ECANCELED);
	if (!is_kept)
		free_large(local->engine, &local->cache, large);
}

static void run_large(struct task *task, struct worker *worker)
{
	struct local *local = (struct local *)worker;
	struct large_job *large = (struct large_job *)task;
	struct rota_task_group *group = large->job.group;
	int result = -ECANCELED;

	if (start_large(local, large)) {
		result = call(local, &large->job, large->argument);
		if (result < 0 && group)
			note_failure(group, result);
	} else if (group) {
		/* Relaxed: leaving the group publishes it. */
		AO_store(&group->xskipped, 1);
	}
	end_large(local, large, result);
	if (group)
		task_group_leave(local, group);
	count_finished(&local->cache);
}

/* Each is queued once, and has not run before. */
static bool is_fresh(const struct task *task)
{
	(void)task;
	return true;
}

void job_classes_init(struct job_classes *classes)
{
	unsigned i;

	for (i = 0; i < JOB_CLASSES; i++) {
		classes->small[i].run = run_small;
		classes->small[i].is_fresh = is_fresh;
		classes->large[i].run = run_large;
		classes->large[i].is_fresh = is_fresh;
	}
}

/* ---- what tasks are around the running one ---- */

/* The task whose wait this one keeps from ending; NULL: none is known. */
static const struct job *job_around(const struct job *job)
{
	return job->group ? job->group->outer : NULL;
}

static bool is_large(const struct job *job)
{
	return job->task.class->run == run_large;
}

int rota_task_is_cancelled(void)
{
	struct local *local = local_here();
	const struct job *job = local ? local->turn.job : NULL;

	/* Relaxed, as all of it: a hint; what is missed is seen next time. */
	if (job && AO_load(&local->engine->xstate) != ENGINE_RUNS)
		return 1;
	for (; job; job = job_around(job)) {
		if (job->group && task_group_is_cancelled(job->group))
			return 1;
		/* Relaxed: as above. */
		if (is_large(job) &&
		    AO_char_load(&((const struct large_job *)job)->xcancelled))
			return 1;
	}
	return 0;
}

/* Would the running task wait for itself, or for one that waits for it? */
static bool is_around(const struct large_job *large)
{
	struct local *local = local_here();
	const struct job *job = local ? local->turn.job : NULL;

	while (job && job != &large->job)
		job = job_around(job);
	return job != NULL;
}

/* ---- joining ---- */

/* A known outcome, under the lock; gives the lock back. */
static int give_outcome(struct site *site, struct large_job *large, int *result)
{
	int error = large->state == JOB_ENDED ? 0 : -ECANCELED;
	bool is_free;

	*result = large->result;
	is_free = take_outcome(large);
	spin_unlock(&large->xlock);
	if (is_free)
		free_large(site->engine, site->cache, large);
	return error;
}

static bool has_outcome(const struct large_job *large)
{
	return large->state != JOB_QUEUED && large->state != JOB_STARTED;
}

/* Put a wait that has begun into the list, or see that it is not needed: then
   the join's outcome, else 0. */
static int stand_in_line(struct site *site, struct large_job *large,
			 rota_task name, struct joining *joining)
{
	spin_lock(&large->xlock);
	if (!large->is_named || large->generation != name_generation(name) ||
	    engine_gives_up(site->engine)) {
		spin_unlock(&large->xlock);
		return -ESRCH;
	}
	if (has_outcome(large))
		return give_outcome(site, large, &joining->result);
	await_enter_list(&joining->await, &large->xlock, &large->joiners);
	spin_unlock(&large->xlock);
	return 0;
}

static int wait_for_end(struct site *site, struct large_job *large,
			rota_task name, int64_t within, int *result)
{
	struct joining joining = {.result = 0};
	int error;

	if (is_around(large))
		return -EDEADLK;
	error = await_begin(&joining.await, within, site);
	if (error)
		return error == -EAGAIN ? -EDEADLK : error;
	error = await_end(&joining.await,
			  stand_in_line(site, large, name, &joining), site);
	*result = joining.result;
	return error;
}

int rota_task_join(rota_task name, int64_t within, int *result)
{
	struct large_job *large;
	int error, outcome = 0;
	struct site site;

	error = lock_name(&site, name, &large);
	if (error)
		return error;
	if (has_outcome(large)) {
		error = give_outcome(&site, large, &outcome);
	} else {
		spin_unlock(&large->xlock);
		error = within > 0 ? wait_for_end(&site, large, name, within,
						  &outcome)
				   : -ETIMEDOUT;
	}
	site_leave(&site);
	if (error == 0 && result)
		*result = outcome;
	return error;
}

/* ---- cancelling ---- */

int rota_task_cancel(rota_task name)
{
	struct waiter *chain = NULL;
	struct large_job *large;
	struct site site;
	int outcome = 0;
	int error = lock_name(&site, name, &large);

	if (error)
		return error;
	if (large->state == JOB_QUEUED) {
		large->state = JOB_CANCELLED;
		large->result = -ECANCELED;
		chain = tell_joiners(large);
	} else if (large->state == JOB_STARTED || large->state == JOB_ENDED) {
		/* Relaxed: a hint to the task. */
		AO_char_store(&large->xcancelled, 1);
		outcome = 1;
	}
	spin_unlock(&large->xlock);
	if (chain) {
		site_step_out(&site); /* to wake is a system call */
		waiters_finish(chain, -ECANCELED);
		site_step_in(&site);
	}
	site_leave(&site);
	return outcome;
}

int rota_task_forget(rota_task name)
{
	struct large_job *large;
	bool is_free = false;
	struct site site;
	int error = lock_name(&site, name, &large);

	if (error)
		return error;
	if (large->joiners.first)
		error = -EBUSY;
	else if (has_outcome(large))
		is_free = take_outcome(large);
	else
		use_up_name(large);
	spin_unlock(&large->xlock);
	if (is_free)
		free_large(site.engine, site.cache, large);
	site_leave(&site);
	return error;
}
