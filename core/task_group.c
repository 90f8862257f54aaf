/* SPDX-License-Identifier: MIT */
/*
 * task_group - tasks that somebody waits for
 *
 * Problem:    divide and conquer: every call makes a group, puts a task or two
 *             into it and waits; nearly always the same worker runs them. That
 *             must cost little more than the calls themselves.
 * Approach:   the count of open tasks is in two parts. `own` is changed by the
 *             maker's worker with plain arithmetic: tasks it put in, less those
 *             it ran. xothers is changed by all others, and may be negative. A
 *             wait first runs what the maker forked into the group and has in
 *             its nest still, as plain calls on the maker's stack. Only if that
 *             leaves some, which were stolen, it adds own to xothers and sets
 *             WAITING; from then on all change xothers, and who takes the last
 *             one out ends the wait.
 *
 *   xothers = count * 4 | state
 *   state     meaning                            left by
 *   0         the maker does not wait            maker -> WAITING
 *   WAITING   own is 0; the maker waits          maker (the wait ended without
 *                                                all tasks) -> 0; the last
 *                                                task -> ENDING
 *   ENDING    the last task reads the maker's    that task -> 0, count 0: its
 *             ticket; count is 1                 last touch of the group
 *
 *             What a wait runs on its stack: tasks of the very group that it
 *             waits for, so nothing else is held up by it, no lock that the
 *             maker may hold is met by a stranger, and the stack is as deep as
 *             the program's own calls would make it. Not if more than half of
 *             the stack is used, and not if the worker has other things to do
 *             and the monitor has seen this turn at two ticks: then it blocks,
 *             and the worker's loop runs them, in turns with the rest.
 *             Read-modify-writes of a task that is not stolen: 1, out of the
 *             nest. Of one that is: 3 (thieves' lock, nest, xothers), and what
 *             a wait takes.
 * No memory:  a wait needs a stack for what the worker does meanwhile. If there
 *             is none it runs its group's tasks with less room, even if others
 *             should have their turn, and then says -ENOMEM. The maker cannot
 *             return, for tasks write to its stack; what it can do is cancel
 *             the group and wait again, and that ends:
 *              - What of the group is in the maker's nest is passed over at
 *                once, on the stack that waits: that takes no room.
 *              - What was queued elsewhere, or has started, needs its worker to
 *                come by. Those that stand here in waits of their own have their
 *                stacks; but what ends these waits may be anything that is
 *                queued here, and that needs one. So the wait of a cancelled
 *                group takes a stack beyond the limit: its worker goes on as if
 *                there were no limit, and so does any other that such a wait
 *                would hold up. What else runs there gets -ENOMEM from its
 *                waits as before, and can do the same. So a started task is held
 *                up by itself only, or by whoever does not cancel.
 *              - So each cancelled group that is being waited for takes a stack
 *                more than the limit allows, at most, and only if some of it has
 *                been taken up elsewhere: a chain of calls that runs into the
 *                limit comes back without any. When the wait is over a stack
 *                goes back at once: nobody else waits on it. One reserved stack
 *                per worker would not do: what runs on it may come to the same
 *                point.
 *              - If the kernel has no stack either, the thread looks again each
 *                millisecond: others may end the tasks, or give memory back. It
 *                serves nothing meanwhile. Tasks of this group hardly stand
 *                here: who has been away since it forked them has a stack to
 *                spare. But others' may, and so two workers may hold each other
 *                up until the kernel has one.
 * Rejected:   one shared count (2 more per task); running any task while
 *             waiting (the maker may wait for long when its own tasks are done,
 *             and stacks get deep); a wait that is cancelled while tasks run
 *             (they write to their maker's stack); where the kernel has no
 *             stack, to go on with one that stands here and is ready (its turn
 *             may have moved, and then cannot end without a spare: see stand.c).
 * Invariants: I1 own + count = tasks that have not ended.
 *             I2 is_waiting <=> own is 0 and will stay so.
 *             own and is_waiting belong to the thread of the maker's worker, if
 *             the maker stays there: a task does, and a turn, but for one of an
 *             actor that goes on anywhere. That one may have submitted here and
 *             wait there: its groups have no such thread (`local` is NULL), all
 *             change xothers, and own stays 0.
 * Orderings:  [TG1] the changes of xothers, and looks at it by the maker: what
 *             a task did is seen after the wait.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include <rota/task.h>

#include "core/await.h"
#include "core/chain.h"
#include "core/engine.h"
#include "core/process.h"

#define GROUP_WAITING ((AO_t)1)
#define GROUP_ENDING ((AO_t)2)
#define GROUP_ONE ((AO_t)4)

_Static_assert(sizeof(AO_t) == sizeof(size_t), "see rota/task.h");

/* ---- the count ---- */

/* All have ended. For the maker, while it does not wait. */
static inline bool is_complete(const struct rota_task_group *group)
{
	/* [TG1] pairs with leave_shared() */
	AO_t word = AO_load_acquire(&group->xothers);

	return word + (AO_t)group->own * GROUP_ONE == 0;
}

static inline bool counts_here(const struct local *local,
			       const struct rota_task_group *group)
{
	return likely(group->local == local && local && !group->is_waiting);
}

static inline void enter(const struct local *local,
			 struct rota_task_group *group)
{
	if (counts_here(local, group))
		group->own++;
	else
		/* Relaxed: the caller, who is in it or made it, keeps it open;
		   queues order what follows. */
		AO_fetch_and_add(&group->xothers, GROUP_ONE);
}

/* The last one: end the maker's wait. */
static void end_wait(struct rota_task_group *group)
{
	struct wait_ticket ticket = {group->wait, group->sequence};

	/* [TG1] pairs with stop_waiting(): not to be touched from here on */
	AO_store_release(&group->xothers, 0);
	if (wait_claim(ticket))
		wait_finish(ticket.wait, 0);
}

static __attribute__((noinline)) void
leave_shared(struct rota_task_group *group)
{
	/* Relaxed: the CAS re-checks it. Somebody else has made progress if
	   that fails. */
	AO_t word = AO_load(&group->xothers);

	for (;;) {
		bool is_last = word == (GROUP_ONE | GROUP_WAITING);
		/* [TG1] pairs with is_complete(), publish() and the others */
		AO_t seen = AO_fetch_compare_and_swap_full(
			&group->xothers, word,
			is_last ? GROUP_ONE | GROUP_ENDING : word - GROUP_ONE);

		if (seen == word) {
			if (is_last)
				end_wait(group);
			return;
		}
		word = seen;
	}
}

void task_group_leave(struct local *local, struct rota_task_group *group)
{
	if (counts_here(local, group))
		group->own--;
	else
		leave_shared(group);
}

/* ---- making and filling ---- */

/* Whom only one can be at a time: a stack of a worker, or a thread's record. */
static inline void *maker_here(void)
{
	struct local *local = local_here();

	return local ? (void *)local->worker.stack
		     : (void *)thread_record_here();
}

/*
 * A task that runs on the stack of who waits for it is another job; and a record
 * goes from one thread to the next.
 */
static inline bool is_maker(const struct local *local,
			    const struct rota_task_group *group)
{
	void *maker = maker_here();

	if (unlikely(group->maker != maker))
		return false;
	if (likely(local != NULL))
		return group->outer == local->turn.job;
	return group->tenancy == ((struct thread_record *)maker)->tenancy;
}

int rota_task_group_init(struct rota_task_group *group, rota_engine *handle)
{
	struct local *local = local_here();
	struct site site;
	int error = site_enter_handle(&site, handle);

	if (error)
		return error;
	group->engine = site.engine;
	group->place =
		id_make(site.engine->number, 0, site.engine->first_generation);
	group->local = site.local && process_stays(local) ? local : NULL;
	group->maker = maker_here();
	group->outer = local ? local->turn.job : NULL;
	group->tenancy = local ? 0 : site.record->tenancy;
	group->actor = local && local->turn.self != ROTA_NONE
			       ? local->turn.actor
			       : NULL;
	group->own = 0;
	/* Relaxed, as all of it: nobody knows it yet. */
	AO_store(&group->xothers, 0);
	AO_store(&group->xcancelled, 0);
	AO_store(&group->xskipped, 0);
	AO_store(&group->xfailure, 0);
	group->is_waiting = 0;
	site_leave(&site);
	return 0;
}

/* Into the engine that the group was made on, if that is still there. */
static int enter_site(struct site *site, const struct rota_task_group *group)
{
	int error = site_enter(site, group->place);

	if (!error &&
	    site->engine->first_generation != id_generation(group->place)) {
		site_leave(site);
		error = -ESRCH;
	}
	return error;
}

/* From a task: into the nest, where it may be had back. */
static inline void make_runnable(struct site *site,
				 struct rota_task_group *group, struct job *job)
{
	struct local *local = site->local;

	count_submitted(site->cache);
	if (unlikely(!local))
		site->awakened = &job->task;
	else if (unlikely(!local->turn.job) ||
		 !worker_fork(&local->worker, &job->task, (AO_t)group))
		worker_push_any(&local->worker, &job->task);
}

static inline int submit(struct site *site, struct rota_task_group *group,
			 rota_task_function *run, const void *argument,
			 size_t length)
{
	int error = job_check(site->engine, run, argument, length);
	struct large_job *large;
	struct job *job;

	if (unlikely(error))
		return error;
	if (likely(length <= ROTA_TASK_SMALL)) {
		job = job_make_small(site, run, argument, length);
	} else {
		large = job_make_large(site, run, argument, length, NULL);
		job = large ? &large->job : NULL;
	}
	if (unlikely(!job))
		return -ENOMEM;
	job->group = group;
	enter(site->local, group);
	make_runnable(site, group, job);
	return 0;
}

int rota_task_group_submit(struct rota_task_group *group,
			   rota_task_function *run, const void *argument,
			   size_t length)
{
	struct local *local = local_here();
	struct site site;
	int error;

	if (likely(local && local->engine == group->engine)) {
		chain_close(local);
		site = site_of(local);
		return submit(&site, group, run, argument, length);
	}
	error = enter_site(&site, group);
	if (error)
		return error;
	error = submit(&site, group, run, argument, length);
	site_leave(&site);
	return error;
}

void rota_task_group_cancel(struct rota_task_group *group)
{
	struct local *local = local_here();

	if (local)
		chain_close(local);
	/* Relaxed: a task that starts as it is cancelled has started before. */
	AO_store(&group->xcancelled, 1);
}

/* ---- running the group's tasks on the waiting stack ---- */

/* The part of a stack that a task still has that is run there: a half; or a
   quarter where there are no others. */
#define ROOM 2
#define ROOM_IN_NEED 4

static inline bool has_room(const struct worker *worker, size_t part)
{
	const char *here = __builtin_frame_address(0);
	const struct stack *stack = worker->stack;

	return (size_t)(here - stack->low) > stack->size / part;
}

/* @in_need: it cannot make way for others. */
static inline void run_forked(struct local *local,
			      struct rota_task_group *group, bool in_need)
{
	struct worker *worker = &local->worker;

	while (group->own > 0 &&
	       has_room(worker, in_need ? ROOM_IN_NEED : ROOM) &&
	       (in_need || !worker_should_make_way(worker))) {
		struct task *task = nest_take(&worker->nest, (AO_t)group);

		if (!task)
			return;
		task->class->run(task, worker);
	}
}

/* The group is cancelled: its tasks are passed over, which takes no stack. */
static void skip_forked(struct local *local, struct rota_task_group *group)
{
	struct worker *worker = &local->worker;

	while (group->own > 0) {
		struct task *task = nest_take(&worker->nest, (AO_t)group);

		if (!task)
			return;
		task->class->run(task, worker);
	}
}

/* ---- waiting for the others ---- */

/* Tell them that we wait. False: none is left. */
static bool publish(struct rota_task_group *group, struct wait_ticket ticket)
{
	/* Relaxed: the CAS re-checks it. It fails only if a task came or went. */
	AO_t word = AO_load(&group->xothers);

	group->wait = ticket.wait;
	group->sequence = ticket.sequence;
	for (;;) {
		AO_t next = word + (AO_t)group->own * GROUP_ONE, seen;

		if (next == 0)
			return false;
		/* [TG1] pairs with leave_shared() */
		seen = AO_fetch_compare_and_swap_full(&group->xothers, word,
						      next | GROUP_WAITING);
		if (seen == word)
			break;
		word = seen;
	}
	group->own = 0;
	group->is_waiting = 1;
	return true;
}

/* The wait has ended, whether all tasks have or not. */
static void stop_waiting(struct rota_task_group *group)
{
	unsigned tries = 0;

	for (;;) {
		/* [TG1] pairs with end_wait() */
		AO_t word = AO_load_acquire(&group->xothers);

		if (!(word & (GROUP_WAITING | GROUP_ENDING)))
			break;
		if (word & GROUP_ENDING) {
			/* Two loads and a store away. */
			if (++tries % 64 == 0)
				sched_yield();
			else
				spin_pause();
			continue;
		}
		/* [TG1] pairs with leave_shared() */
		if (AO_compare_and_swap_full(&group->xothers, word,
					     word - GROUP_WAITING))
			break;
	}
	group->is_waiting = 0;
}

/* An engine that gives up finds those who wait from outside in its list. */
static bool enlist(struct site *site, struct await *await)
{
	struct engine *engine = site->engine;
	bool good = true;

	if (!site->shard) {
		await_enter_list(await, NULL, NULL);
		return true;
	}
	await->lingers = true;
	spin_lock(&engine->outsiders_lock);
	good = !engine_gives_up(engine);
	if (good)
		await_enter_list(await, &engine->outsiders_lock,
				 &engine->outsiders);
	spin_unlock(&engine->outsiders_lock);
	return good;
}

/* A wait that has begun, to its end. What ended it; 0 also if all is done. */
static int see_through(struct site *site, struct rota_task_group *group,
		       struct await *await)
{
	int error;

	if (!enlist(site, await))
		return await_end(await, -ESRCH, site);
	if (publish(group, await->waiter.ticket)) {
		error = await_end(await, 0, site);
		stop_waiting(group);
		return error;
	}
	if (wait_claim(await->waiter.ticket)) /* there is no other to do it */
		wait_finish(await->wait, 0);
	return await_end(await, 0, site);
}

/* On the clock of who waits: waits that follow one another have one deadline. */
static uint64_t now_here(void)
{
	struct local *local = local_here();

	return local ? crew_now_ns(&local->engine->crew) : clock_ns();
}

/* A look at the clock is dear. */
static int64_t time_left(uint64_t deadline_ns)
{
	return deadline_ns == CLOCK_NEVER ? CLOCK_FOREVER
					  : clock_left(now_here(), deadline_ns);
}

/*
 * The actor that waits is being stopped: its tasks are, too, but their end is
 * to be waited for. It is by a turn of an engine that gives up, too.
 */
static int begin(struct site *site, struct rota_task_group *group,
		 struct await *await, uint64_t deadline_ns, bool *is_stopped)
{
	int error;

	for (;;) {
		error = await_begin(await, time_left(deadline_ns), site);
		if (error == -ECANCELED) {
			*is_stopped = true;
			rota_task_group_cancel(group);
			wait_clear(await->wait);
		} else if (error != -ESRCH || !await->turn || await->insists) {
			break;
		} /* else its engine gave up after is_to_end() had looked */
		await->insists = true;
	}
	return error == -EAGAIN ? -EDEADLK : error;
}

/* None of its tasks starts any more; nor if the engine is gone for all but the
   last of them. */
static bool is_to_end(const struct site *site,
		      const struct rota_task_group *group)
{
	/* Relaxed: a stop that is seen the next time is seen in time. */
	return !site->engine || AO_load(&site->engine->xstate) != ENGINE_RUNS ||
	       task_group_is_cancelled(group);
}

static int wait_for_others(struct site *site, struct rota_task_group *group,
			   uint64_t deadline_ns)
{
	struct await await;
	bool is_stopped = false;
	int error;

	do {
		await = (struct await){.edge = EDGE_NONE,
				       .insists = is_to_end(site, group)};
		error = begin(site, group, &await, deadline_ns, &is_stopped);
		if (error)
			break;
		error = see_through(site, group, &await);
		if (is_complete(group))
			error = 0;
		else if (error == -ECANCELED) /* by the actor's stop */
			is_stopped = true;
	} while (error == -ECANCELED);
	if (is_stopped) {
		rota_task_group_cancel(group);
		/* As it was found: what else the handler waits for fails. */
		wait_cancel(await.wait);
	}
	return error;
}

/* All have ended: what came of it. The group is as new. */
static int conclude(struct rota_task_group *group, int *failure)
{
	/* Relaxed, as all of it: is_complete() has ordered. */
	bool skipped = AO_load(&group->xskipped) != 0;

	if (failure)
		/* Relaxed: as above. */
		*failure = (int)(unsigned)AO_load(&group->xfailure);
	/* Relaxed: as above. */
	AO_store(&group->xothers, 0);
	AO_store(&group->xcancelled, 0);
	AO_store(&group->xskipped, 0);
	AO_store(&group->xfailure, 0);
	group->own = 0;
	return skipped ? -ECANCELED : 0;
}

static int wait_in_site(struct rota_task_group *group, uint64_t deadline_ns)
{
	struct site site;
	int error = enter_site(&site, group);

	/*
	 * An engine that does not let us in any more is waiting for the last
	 * tasks, and so do we: they write to our stack. That needs no engine.
	 */
	if (error && error != -ESRCH)
		return error;
	error = wait_for_others(&site, group, deadline_ns);
	site_leave(&site);
	return error;
}

/* No stack is left that the worker could go on with. */
static int wait_without_stack(struct rota_task_group *group,
			      uint64_t deadline_ns)
{
	struct local *local = local_here();
	int error = -ENOMEM;

	if (local && local->turn.job && deadline_ns == CLOCK_NEVER &&
	    group->local == local)
		run_forked(local, group, true);
	while (!is_complete(group)) {
		if (error != -ENOMEM || !task_group_is_cancelled(group))
			return error;
		if (time_left(deadline_ns) == 0)
			return -ETIMEDOUT;
		/* Nor has the kernel any, whatever the limit. */
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		error = wait_in_site(group, deadline_ns);
	}
	return 0;
}

static __attribute__((noinline)) int
wait_slowly(struct local *local, struct rota_task_group *group, int64_t within)
{
	uint64_t deadline_ns;
	int error;

	if (local && group->local == local && task_group_is_cancelled(group)) {
		skip_forked(local, group);
		if (is_complete(group))
			return 0;
	}
	if (within <= 0)
		return -ETIMEDOUT;
	deadline_ns = within == CLOCK_FOREVER
			      ? CLOCK_NEVER
			      : clock_deadline(now_here(), within);
	error = wait_in_site(group, deadline_ns);
	return error == -ENOMEM ? wait_without_stack(group, deadline_ns)
				: error;
}

int rota_task_group_wait(struct rota_task_group *group, int64_t within,
			 int *failure)
{
	struct local *local = local_here();
	int error;

	if (unlikely(!is_maker(local, group)))
		return -EPERM;
	if (likely(local && local->turn.job && within == ROTA_FOREVER &&
		   group->local == local))
		run_forked(local, group, false);
	if (unlikely(!is_complete(group))) {
		error = wait_slowly(local, group, within);
		if (error)
			return error;
	}
	return conclude(group, failure);
}
