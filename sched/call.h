/* SPDX-License-Identifier: MIT */
/*
 * call - a task runs at once, for a turn that needs what it does
 *
 * A turn whose next step depends on a task that has just become runnable need
 * not wait for it: it calls the task, which runs to its end on another stack of
 * the same worker, and then the turn goes on. Nobody is woken, no queue is
 * touched, and there is no wait that others would have to know of.
 *
 * If the task is about to wait, its callers stand where they are for good: they
 * are released, go on before whatever else this worker has to run, and find out
 * that what they need is not done; then they wait for it like everybody else.
 */
#ifndef ROTA_SCHED_CALL_H
#define ROTA_SCHED_CALL_H

#include "sched/worker.h"

/*
 * Is it this task's turn, and is there a stack for it? Not if others would be
 * kept from running: the queues, ended waits, what comes from outside have their
 * share as if the task had been put into the run-next slot.
 */
bool worker_may_call(struct worker *worker, const struct task_class *class);

/*
 * After worker_may_call(), in the hand: run the task, which is runnable and in no
 * queue. Returns as its turn has ended, or as it has released its callers.
 */
void worker_call(struct worker *worker, struct task *task);

/* A loop goes on, on a stack that was its spare: run what is called. */
void worker_run_called(struct worker *worker);

/* The task that was called is about to wait, or wants its callers to be seen to
   wait. They are among those that can go on. */
void worker_release_callers(struct worker *worker);

/* How many callers stand below what runs; read by anyone, as a hint. */
static inline unsigned worker_n_callers(const struct worker *worker)
{
	/* Relaxed: see above. */
	return (unsigned)AO_load(&worker->xn_callers);
}

#endif
