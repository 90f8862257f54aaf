/* SPDX-License-Identifier: MIT */
/*
 * rota/offload.h - slow code, somewhere else
 *
 * A handler that blocks (reads a file, resolves a name, waits for a lock, or
 * computes for long) keeps its worker from all other actors. Such code belongs
 * on one of the engine's helper threads: these are made when there is work and
 * none is idle, up to rota_config.offload_threads, and go when they have been
 * idle for a while. They are called rotaN-off0 and so on.
 *
 * When to do what: where the handler needs the result to go on, rota_offload()
 * and wait; its actor handles nothing else meanwhile. Where it should stay
 * responsive, rota_offload_start(), and the result is a message. What takes
 * less than some microseconds is better done in place.
 *
 * An offloaded function is outside the engine: it may call what any thread may
 * call, rota_send() for instance.
 */
#ifndef ROTA_OFFLOAD_H
#define ROTA_OFFLOAD_H

#include <rota/base.h>

ROTA_EXTERN_C_BEGIN

typedef int rota_offload_function(void *argument);

/**
 * rota_offload() - have a function run on a helper thread, and wait for it
 * @engine:   whose helpers; NULL: the caller's own, in a handler or a task
 * @run:      the function
 * @argument: passed on; stays the caller's
 * @within:   nanoseconds; with ROTA_NOW or less nothing is done
 * @result:   set to what @run returned, if this returns 0; may be NULL
 *
 * Either the function is never run, and this returns an error; or it is, and
 * this returns 0 when it has returned, however long that takes: @argument may
 * lie on the caller's stack. When the time is up, or the caller's actor is
 * stopped, a function that has not started is taken back at once; one that runs
 * can ask rota_offload_is_cancelled() and end sooner.
 *
 * In a function that is offloaded itself @run is called in place.
 *
 * Context: a handler, a task or any thread, which waits.
 * Errors:  -ETIMEDOUT, -ECANCELED: not started until then; -EAGAIN: no thread
 *          could be made; -ESHUTDOWN: the engine is stopping; -ENOMEM;
 *          -EINVAL (@run, or no @engine in a thread); -ESRCH, -EPERM as
 *          rota_spawn(); -EDEADLK: in a callback, where nothing may wait.
 * Return:  0: @run has run; or one of the errors above: it has not, and will
 *          not.
 */
ROTA_API int rota_offload(rota_engine *engine, rota_offload_function *run,
			  void *argument, int64_t within, int *result);

/* Bytes of an argument of rota_offload_start(), at most. */
#define ROTA_OFFLOAD_ARGUMENT 4096

/*
 * The payload of the message that rota_offload_start() leads to. The argument
 * follows, as the function left it: see rota_offloaded_argument().
 */
struct rota_offloaded {
	int result;	 /* what the function returned */
	unsigned length; /* of the argument */
	void *reserved;	 /* NULL */
};

static inline void *rota_offloaded_argument(struct rota_offloaded *offloaded)
{
	return offloaded + 1;
}

/**
 * rota_offload_start() - have a function run on a helper thread, and be told
 * @run:      the function
 * @argument: @length bytes, copied; the copy is aligned to 16 and the
 *            function's to change; may be NULL if @length is 0 (what the
 *            function gets is not NULL even then, but has no bytes)
 * @tag:      of the message to this actor, whose payload is struct
 *            rota_offloaded and whose sender is the actor itself
 *
 * The message is sent when the function has returned. It passes the bound of
 * the mailbox, like a timer's, not the order. Where the actor has ended by
 * then it is a dead letter; a function that has not started when the engine
 * stops is not run, and is one, too.
 *
 * Context: a handler; never waits.
 * Errors:  -EAGAIN: rota_config.offload_queue are queued already, or no thread
 *          could be made; -EINVAL; -EMSGSIZE (@length); -ENOMEM; -ESHUTDOWN:
 *          the engine is stopping; -EPERM outside a handler.
 * Return:  0 or one of the errors above; then nothing was done.
 */
ROTA_API int rota_offload_start(rota_offload_function *run,
				const void *argument, size_t length,
				unsigned tag);

/**
 * rota_offload_is_cancelled() - should the offloaded function end soon?
 *
 * 1 if nobody can use its result: who waits for it is being stopped, or its
 * time is up; or the actor that is to be told has ended or is being stopped;
 * or the engine is. Else 0; also outside of offloaded functions. Some loads.
 */
ROTA_API int rota_offload_is_cancelled(void);

ROTA_EXTERN_C_END

#endif
