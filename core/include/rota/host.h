/* SPDX-License-Identifier: MIT */
/*
 * rota/host.h - an engine without threads, driven by the loop of its host
 *
 * With ROTA_RUN_HERE in rota_config.flags, rota_start() makes no thread. The
 * engine has one worker, and that runs when, and on the thread on which, the
 * host says so:
 *
 *	struct rota_config config = ROTA_CONFIG_INIT;
 *
 *	config.flags = ROTA_RUN_HERE;
 *	engine = rota_start(&config);
 *	(add rota_run_fd(engine) to the loop, for reading)
 *	...
 *	on rota_run_fd(engine) being readable:
 *		rota_run_some(engine, 64);
 *	...
 *	(remove it from the loop)
 *	rota_stop(engine, ROTA_S(1));
 *
 * All else is as with threads. Other threads send, spawn, submit, join and so
 * on as they like; that makes the descriptor readable, and so does a timer that
 * is due. Engines that run here and engines with threads may exist side by side.
 *
 * Who drives: one thread at a time; at first the one that called rota_start(),
 * then whoever called one of the functions below last. It may be another one
 * each time, but while turns or tasks wait only the same: a handler that waited
 * goes on on the thread where it began.
 *
 * A call that waits (rota_send() to a full mailbox, rota_ask(), rota_call(),
 * rota_ask_await(), rota_join(), rota_flush(), rota_quiesce(), rota_task_join(),
 * rota_task_group_wait(), rota_stop(), and what is made of these), made outside
 * handlers by the thread that drove last, drives the engine that it is about,
 * until it has what it waits for. (rota_sleep() is about none, and rota_offload()
 * waits for a helper: there the thread sleeps.) From other threads such calls
 * sleep, until that thread drives. No other engine is driven meanwhile: who
 * drives two engines whose actors ask each other makes no such call with
 * ROTA_FOREVER, but drives both in turns.
 *
 * rota_stop() drives on whichever thread it is called, unless turns wait on
 * another: then that one has to drive in time, else their stacks and all of the
 * engine's memory stay, and it returns -ETIMEDOUT. Where rota_stop() drives, it
 * does not come back from a handler that does not.
 *
 * Actors on threads of their own (ROTA_OWN_THREAD) run whether anybody drives or
 * not, and may be sent to, asked and joined meanwhile; what they send to others
 * waits for who drives.
 *
 * Handlers that compute for long hold up the host, too, and so does a task that
 * waits for a group of its own: it runs that itself, in one turn. Nothing
 * interrupts them, and nothing reports them (rota_config.stuck), for there is no
 * monitor; but rota_should_yield() tells them when the run has had its time, or
 * they have taken 1 ms. rota_status() of a running handler tells how long it has
 * been at it since somebody asked for the first time. Mailboxes are looked at
 * while the host drives, and when somebody asks: the age of what came in between
 * is ROTA_AGE_UNKNOWN, until it is ten times the time in which nobody looked.
 */
#ifndef ROTA_HOST_H
#define ROTA_HOST_H

#include <rota/base.h>

ROTA_EXTERN_C_BEGIN

/**
 * rota_run_fd() - the descriptor that says when to drive
 *
 * For poll(), epoll and whatever is built upon them; nobody reads from it. It
 * is readable when there is something to be run, may be so once too often, and
 * is so after rota_start(). It stays readable until rota_run_some() or
 * rota_run_within() has returned 0; so a loop that is told of changes only
 * (EPOLLET) calls them until they do. rota_stop() closes it: take it out of the
 * loop before.
 *
 * Context: any.
 * Errors:  -EINVAL: the engine has threads of its own, or is NULL; -ESRCH: it
 *          was stopped; -EPERM: in a forked child; -ENOMEM; -EDEADLK: from a
 *          callback.
 * Return:  the descriptor, the same each time, or one of the errors above.
 */
ROTA_API int rota_run_fd(rota_engine *engine);

/**
 * rota_run_some() - drive an engine for some turns
 * @budget: so many turns at most. A turn is one handler or task that is short,
 *          or a row of up to 64 messages to one actor that end after about
 *          100 us; one that waits counts once more each time it goes on.
 *
 * Never sleeps. Timers that are due are sent first where nothing else is to be
 * run, else every 61 turns.
 *
 * Context: any thread, outside handlers and callbacks.
 * Errors:  -EINVAL: the budget is 0, the engine has threads of its own, or is
 *          NULL; -EBUSY: another thread is driving, or the engine is being
 *          stopped; -EPERM: turns wait on another thread, which has to drive;
 *          or in a forked child; -ESRCH: it was stopped; -EDEADLK: from a
 *          handler, of whichever engine, or a callback; -ENOMEM.
 * Return:  1: the budget was used up, and there may be more to be run;
 *          0: there is nothing more; or one of the errors above.
 */
ROTA_API int rota_run_some(rota_engine *engine, unsigned budget);

/**
 * rota_run_within() - drive an engine until nothing is left, or for some time
 * @within: nanoseconds; at least one turn is run. The clock is read every 8
 *          turns: it may take longer by as much as these do, about 1 ms if
 *          handlers themselves are short.
 *
 * rota_run_some() with another measure. ROTA_FOREVER: until nothing is left; it
 * does not wait for timers, nor for what others will send.
 */
ROTA_API int rota_run_within(rota_engine *engine, int64_t within);

ROTA_EXTERN_C_END

#endif
