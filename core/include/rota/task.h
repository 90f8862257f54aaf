/* SPDX-License-Identifier: MIT */
/*
 * rota/task.h - functions that run once, on any worker: no actors needed
 *
 * A task is a function and a small argument, which is copied. There are two
 * ways to wait for tasks, of which the second is for recursion: only the wait
 * for a group runs what it waits for in place, as a call would. To join by name
 * keeps a stack and takes a wait per level, about a thousand times as dear:
 *
 *   a name   rota_task_submit() gives one out: join it, cancel it, or forget it
 *   a group  rota_task_group_submit() puts tasks into a group, whose wait
 *            returns when all of them have ended; for divide and conquer
 *
 * A task may do what a handler may: submit tasks, wait for them and for actors,
 * send, ask rota_self_engine(). While it waits its worker runs something else.
 * It inherits no deadline from who submitted it, and no cancellation but as
 * rota_task_is_cancelled() tells. Its argument lies in the
 * engine's memory, is the task's to change and is gone when the function
 * returns.
 *
 *	struct fib { int n; long *result; };
 *
 *	static int fib(void *argument)
 *	{
 *		struct fib *f = argument;
 *		struct rota_task_group group;
 *		long a, b;
 *
 *		if (f->n < 2) {
 *			*f->result = f->n;
 *			return 0;
 *		}
 *		rota_task_group_init(&group, NULL);
 *		rota_task_group_submit(&group, fib,
 *			&(struct fib){f->n - 1, &a}, sizeof(struct fib));
 *		rota_task_group_submit(&group, fib,
 *			&(struct fib){f->n - 2, &b}, sizeof(struct fib));
 *		rota_task_group_wait(&group, ROTA_FOREVER, NULL);
 *		*f->result = a + b;
 *		return 0;
 *	}
 *
 * (without its errors: a failed submit, -ENOMEM from the wait, a failure of a task
 * below. tests/examples/queens.c and sort.c have the same shape with all of them.)
 */
#ifndef ROTA_TASK_H
#define ROTA_TASK_H

#include <rota/base.h>

ROTA_EXTERN_C_BEGIN

/* The name of a task: a plain value, like an id. 0 names none. */
typedef uint64_t rota_task;

/*
 * What a task does. Its result is any int for a task with a name; in a group a
 * negative number says that it failed.
 */
typedef int rota_task_function(void *argument);

/* Bytes of an argument, at most. It is aligned to 16. Up to
   ROTA_TASK_SMALL bytes a task without a name takes 64 bytes, else 128. */
#define ROTA_TASK_ARGUMENT 64
#define ROTA_TASK_SMALL 32

/* ---- tasks with names ---- */

/**
 * rota_task_submit() - have a function run on a worker, soon
 * @engine:   where; NULL: the caller's own, in a task or a handler
 * @argument: @length bytes, copied; NULL if @length is 0
 * @task:     set to the task's name on success. NULL: it gets none, and its
 *            result is not kept.
 *
 * Tasks without relation to each other may run in any order and at the same
 * time. A task with a name is kept until its result has been taken by
 * rota_task_join(), or rota_task_forget() says that nobody will; an engine
 * holds 8 million such tasks, among which count those without a name whose
 * argument has more than ROTA_TASK_SMALL bytes, until they have run. Results
 * that nobody has taken are lost when the engine stops.
 *
 * There is no bound on how many are queued but that, and memory: whoever submits
 * faster than they run gets -ENOMEM in the end, if rota_config.memory says so.
 * To go on in step with them keep a window of names and join the oldest before
 * the next submit, or put so many into a group and wait for that.
 *
 * Context: a task, a handler or any thread; never waits.
 * Errors:  -EINVAL, -EMSGSIZE (@length), -ENOMEM, -ESHUTDOWN (the engine is
 *          being stopped), -ESRCH (it is gone), -EPERM (in a forked child).
 * Return:  0 or one of the errors above; then nothing has happened.
 */
ROTA_API int rota_task_submit(rota_engine *engine, rota_task_function *run,
			      const void *argument, size_t length,
			      rota_task *task);

/**
 * rota_task_join() - wait for a task's end and take its result
 * @within: nanoseconds; ROTA_NOW asks only
 * @result: set to what the function returned, if this returns 0; may be NULL
 *
 * Sees all that the task did. Any number may wait at a time, and all get the
 * result; with that the name is used up.
 *
 * Context: a task, a handler (the turn waits) or any thread (it waits).
 * Errors:  -ECANCELED: it was cancelled before it started, or the engine was
 *          stopped before that (the name is used up); or the caller's actor is
 *          being stopped. -ESRCH: not a task, its result was taken before, or
 *          the engine is gone; also if it was stopped meanwhile and gave up
 *          waiting: then the task, or one before it, has not returned, and may
 *          run still.
 *          -ETIMEDOUT; -EDEADLK: it is the caller; -ENOMEM.
 * Return:  0 or one of the errors above.
 */
ROTA_API int rota_task_join(rota_task task, int64_t within, int *result);

/**
 * rota_task_cancel() - have a task not run, or tell it to stop
 *
 * A task that has not started never will, and whoever joins it gets
 * -ECANCELED. One that runs can ask with rota_task_is_cancelled(), and ends as
 * it likes: its waits go on until they end by themselves or by their own
 * deadlines, so who is to be cancelled waits in portions. What a lost argument
 * points to is the caller's again.
 *
 * Context: a task, a handler or any thread; never waits.
 * Errors:  -ESRCH: not a task, or its result was taken.
 * Return:  0: it will not run; 1: it had started, and may have ended; or one
 *          of the errors above.
 */
ROTA_API int rota_task_cancel(rota_task task);

/**
 * rota_task_forget() - nobody will join this task
 *
 * The name is used up; the task runs all the same.
 *
 * Context: a task, a handler or any thread; never waits.
 * Errors:  -ESRCH as above; -EBUSY: somebody is waiting for it.
 * Return:  0 or one of the errors above.
 */
ROTA_API int rota_task_forget(rota_task task);

/**
 * rota_task_is_cancelled() - should the running task stop?
 *
 * 1 if the task was cancelled, or the group that it is in, or a task or group
 * around those, or if the engine is being stopped; else 0. Also 0 outside of
 * tasks. Costs a few loads.
 */
ROTA_API int rota_task_is_cancelled(void);

/* ---- groups ---- */

/*
 * A number of tasks that somebody waits for. It lies where its maker likes, on
 * the stack for instance, and must stay there until a wait has returned 0 or
 * -ECANCELED, and with it all that its tasks write to; then it is empty and may
 * be used again, or go. The members are the engine's alone.
 */
struct rota_task_group {
	void *engine;
	void *local;
	void *maker;
	void *outer;
	void *actor;
	uint64_t place;
	long own;
	size_t xothers;
	void *wait;
	size_t sequence;
	size_t xcancelled;
	size_t xskipped;
	size_t xfailure;
	int is_waiting;
	unsigned tenancy;
};

/**
 * rota_task_group_init() - an empty group, on an engine
 * @engine: NULL: the caller's own, in a task or a handler
 *
 * The caller is the group's maker: only it may wait, from the same call of the
 * same task or handler (a task of the group does not pass for it, nor does what
 * is called in the middle of another task), or from the same thread.
 *
 * Context: a task, a handler or any thread; never waits.
 * Errors:  -EINVAL, -ESRCH, -ENOMEM, -EPERM, as rota_task_submit().
 * Return:  0 or one of the errors above.
 */
ROTA_API int rota_task_group_init(struct rota_task_group *group,
				  rota_engine *engine);

/**
 * rota_task_group_submit() - put a task into a group
 *
 * Like rota_task_submit(), without a name. What a task submits, its worker runs
 * newest first, and others take oldest first: so a tree of tasks is unfolded
 * depth first by each worker.
 *
 * Context: the maker, or a task of the group; never waits. Another thread may
 *          if it knows that the group stays open meanwhile (a task that was
 *          submitted before has not ended) or that the maker does not wait
 *          before this has returned; nothing looks.
 * Errors:  as rota_task_submit().
 * Return:  0 or one of the errors above; then nothing has happened.
 */
ROTA_API int rota_task_group_submit(struct rota_task_group *group,
				    rota_task_function *run,
				    const void *argument, size_t length);

/**
 * rota_task_group_wait() - wait until all tasks of a group have ended
 * @within:  nanoseconds; ROTA_NOW asks only
 * @failure: set, if this returns 0 or -ECANCELED, to the first negative result
 *           of a task of the group, 0 if there was none; may be NULL
 *
 * Sees all that the tasks did. A task that waits without limit runs those
 * tasks of the group that its worker still has, one after the other and on its
 * own stack, as if it called them; while less than half of that stack
 * is used. A task may therefore use half of the engine's stack_size. For the
 * others, and in a handler, the worker goes on with another stack.
 *
 * If the caller's actor is stopped meanwhile the group is cancelled, and the
 * wait goes on until those of its tasks that run have ended. What destroy()
 * makes and waits for runs, unless the engine stops.
 *
 * -ENOMEM: there is no stack for what else the worker would run. Then call
 * rota_task_group_cancel() and wait again, without limit: that wait is never
 * refused. It passes over what has not started, and if some of it runs elsewhere
 * it takes one stack beyond rota_config.memory, until it returns. Where the
 * kernel has no memory for that stack either, it holds up its thread, and all
 * that stands there, until the kernel has or the tasks have ended elsewhere. Or
 * give memory back, and wait again.
 *
 * Context: the maker.
 * Errors:  -ECANCELED: all have ended, and some did not run, for the group was
 *          cancelled or the engine stopped. The group is open still, and to be
 *          waited for again, after: -ETIMEDOUT; -ENOMEM (see above);
 *          -EPERM: the caller is not the maker; -EDEADLK: called in a
 *          callback, where nothing may wait; -ESRCH: the engine was stopped
 *          meanwhile, and a task of the group does not return. That is told to
 *          who is not in that engine: a thread, or a task or handler of
 *          another one. One of its own waits on until the task has returned.
 * Return:  0: all ran; or one of the errors above.
 */
ROTA_API int rota_task_group_wait(struct rota_task_group *group, int64_t within,
				  int *failure);

/**
 * rota_task_group_cancel() - start no more tasks of a group
 *
 * Those that run can ask with rota_task_is_cancelled(); their own waits go on, as
 * with rota_task_cancel(). To be waited for all the same. The group is usable
 * again after that wait.
 *
 * Context: the maker, or a task of the group; never waits.
 */
ROTA_API void rota_task_group_cancel(struct rota_task_group *group);

ROTA_EXTERN_C_END

#endif
