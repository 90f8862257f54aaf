/* SPDX-License-Identifier: MIT */
/*
 * rota/wait.h - waits for time, for others' turns, and for work done
 *
 * Plain calls that return when it is done. In a handler the turn waits, in a
 * task the task, and their worker goes on with others; in any other thread the
 * thread waits.
 */
#ifndef ROTA_WAIT_H
#define ROTA_WAIT_H

#include <rota/actor.h>
#include <rota/base.h>

ROTA_EXTERN_C_BEGIN

/**
 * rota_sleep() - do nothing for a time
 * @duration: nanoseconds; ROTA_FOREVER: until the actor, or the task's engine, is
 *            stopped; 0 or less: none
 *
 * Never returns 0 early; late by the timing wheel's 16 microseconds, and by
 * what else runs. A handler that should answer messages meanwhile had better
 * return and have rota_send_after() call it again.
 *
 * Context: a handler, a task or any thread, which waits.
 * Errors:  -ECANCELED: the handler's actor is being stopped, or the task's
 *          engine is (to cancel a task does not end its waits); -ENOMEM: no
 *          stack for what runs meanwhile; -EDEADLK: in a callback on a worker,
 *          where nothing may wait.
 * Return:  0 when the time is over, or one of the errors above.
 */
ROTA_API int rota_sleep(int64_t duration);

/**
 * rota_yield() - let the others run first
 *
 * All that is runnable on this worker now has its turn before this returns:
 * the caller goes behind the last of them. (Of more than 256, actors and tasks
 * that never ran yet may come after it.) What becomes runnable meanwhile may
 * run before or after. In a thread that is no worker: sched_yield().
 *
 * A handler that computes for long keeps its worker from everybody else; where
 * it can stop in between, this is the call.
 *
 * Context: a handler, a task or any thread.
 * Errors:  -ECANCELED, -ENOMEM, -EDEADLK as rota_sleep(); then nobody else
 *          may have run.
 * Return:  0 or one of the errors above.
 */
ROTA_API int rota_yield(void);

/**
 * rota_flush() - wait until an actor has handled what was sent to it before
 * @within: nanoseconds; ROTA_NOW asks only: 0 if the actor has nothing to do
 *
 * Before: what the caller sent, and what others had sent by then (in the sense
 * of the order that rota_send() promises). It has run when its handlers have
 * returned, and what these sent in turn is out. Messages that the actor skips,
 * because it takes others first, are waited for; those that it has stashed are
 * not. All that the handlers did is seen.
 *
 * Context: a handler of another actor, a task or any thread, which waits.
 * Errors:  -ESRCH: no such actor, or it ended first; -ESHUTDOWN: it accepts
 *          nothing any more, rota_join() tells when it is done; -ETIMEDOUT;
 *          -EDEADLK: the caller's own actor, or actors would wait for each
 *          other in a circle, or a callback; -ECANCELED: the caller's actor is
 *          being stopped, or the request that it has in hand was cancelled;
 *          -ENOMEM.
 * Return:  0 or one of the errors above.
 */
ROTA_API int rota_flush(rota_id id, int64_t within);

/* Wait for an actor's end: the name among the waits of rota_join(), which see.
   It works before and after the end, for any number of waiters. */
static inline int rota_await_exit(rota_id id, int64_t within,
				  struct rota_exit *why)
{
	return rota_join(id, within, why);
}

ROTA_EXTERN_C_END

#endif
