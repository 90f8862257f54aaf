/* SPDX-License-Identifier: MIT */
/*
 * pause - waits of a turn, a task or a thread for nobody in particular
 *
 * Problem:    a yield must let all run that are runnable now, and must not
 *             itself be put off for ever by those that come later.
 * Approach:   a mark goes into the worker's run queue, behind the last of them,
 *             and the turn waits. When the mark's time comes it ends that wait,
 *             whoever runs it. It is a cell of its own, since a stop may end
 *             the wait sooner; the ticket it holds is void then.
 * Rejected:   ending the wait at once (turns whose wait has ended are served
 *             after every other task, so that one would run and no more); a
 *             count of turns to let pass (nobody knows how many are queued
 *             where).
 * Orderings:  [E2] see stop.c: a task that begins to sleep sees the stop, or
 *             the stop sees it in the list, by the list's lock.
 */
#include "core/pause.h"

#include <errno.h>
#include <sched.h>

#include <rota/wait.h>

#include "core/await.h"
#include "core/engine.h"

/* ---- sleeping ---- */

/* Nothing but time, and who stops it, knows of the wait. */
static int enter_sleep(struct await *await, struct local *local)
{
	struct engine *engine;
	bool may_sleep;

	if (!local || local->turn.self != ROTA_NONE) {
		await_enter_list(await, NULL, NULL);
		return 0;
	}
	engine = local->engine;
	spin_lock(&engine->outsiders_lock);
	/* [E2] pairs with rota_stop() */
	may_sleep = AO_load_acquire(&engine->xstate) == ENGINE_RUNS;
	if (may_sleep)
		await_enter_list(await, &engine->outsiders_lock,
				 &engine->sleepers);
	spin_unlock(&engine->outsiders_lock);
	return may_sleep ? 0 : -ECANCELED;
}

int rota_sleep(int64_t duration)
{
	struct local *local = local_here();
	struct await await = {.edge = EDGE_NONE};
	struct site site = {.engine = NULL};
	int error;

	if (duration <= 0)
		return 0;
	error = await_begin(&await, duration, &site);
	if (error)
		return error == -EAGAIN ? -EDEADLK : error;
	error = await_end(&await, enter_sleep(&await, local), &site);
	return error == -ETIMEDOUT ? 0 : error;
}

void pause_end(struct engine *engine)
{
	struct waiter *chain;

	spin_lock(&engine->outsiders_lock);
	chain = waiters_claim_all(&engine->sleepers);
	spin_unlock(&engine->outsiders_lock);
	waiters_finish(chain, -ECANCELED);
}

/* ---- yielding ---- */

/* A cell of small_jobs. */
struct mark {
	struct task task;
	struct wait_ticket ticket;
};

_Static_assert(sizeof(struct mark) <= sizeof(struct small_job),
	       "lies in a small task's cell");

static void run_mark(struct task *task, struct worker *worker)
{
	struct local *local = (struct local *)worker;
	struct wait_ticket ticket = ((struct mark *)task)->ticket;

	pool_put(&local->engine->small_jobs, &local->cache.small_jobs, task);
	if (wait_claim(ticket))
		wait_finish(ticket.wait, 0);
}

void pause_init(struct engine *engine)
{
	engine->marks.run = run_mark;
	/* Relaxed: nobody else is here yet. It is not worth being timed. */
	AO_store(&engine->marks.xmean_ns, 1);
	waiters_init(&engine->sleepers);
}

static int leave_mark(struct local *local, struct await *await)
{
	struct mark *mark =
		pool_get(&local->engine->small_jobs, &local->cache.small_jobs);

	if (!mark)
		return -ENOMEM;
	mark->task.class = &local->engine->marks;
	mark->ticket = await->waiter.ticket;
	await_enter_list(await, NULL, NULL);
	worker_push_quietly(&local->worker, &mark->task);
	return 0;
}

int rota_yield(void)
{
	struct local *local = local_may_wait();
	struct await await = {.edge = EDGE_NONE};
	struct site site = {.engine = NULL};
	int error;

	if (!local && local_here())
		return -EDEADLK;
	if (!local)
		return sched_yield();
	error = await_begin(&await, ROTA_FOREVER, &site);
	if (error)
		return error;
	return await_end(&await, leave_mark(local, &await), &site);
}
