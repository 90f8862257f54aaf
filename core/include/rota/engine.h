/* SPDX-License-Identifier: MIT */
/*
 * rota/engine.h - start an engine, wait until it rests, stop it
 *
 * An engine is a set of worker threads (or none: host.h) and the actors they
 * run. A process may have several; they share nothing. An engine makes no
 * thread before rota_start(), installs no signal handler and no atexit
 * function, and gives everything back in rota_stop(). In a child that fork()
 * made without exec() no engine runs: calls there return -EPERM.
 *
 * The handle stays a handle after rota_stop(): calls on it give an error, until
 * 255 more engines have been started and one of them gets it again.
 */
#ifndef ROTA_ENGINE_H
#define ROTA_ENGINE_H

#include <stdio.h>

#include <rota/base.h>

ROTA_EXTERN_C_BEGIN

/* Why a message was not handled. */
enum rota_dead_cause {
	ROTA_DEAD_NO_ACTOR = 1, /* its receiver was gone when it was taken */
	ROTA_DEAD_STOPPED,	/* its receiver ended with it still queued */
	ROTA_DEAD_UNKNOWN,	/* its receiver does not know the tag, or the
	                           payload has the wrong size */
	ROTA_DEAD_EXPIRED,	/* its deadline had passed when it was taken */
	ROTA_DEAD_WITHDRAWN,	/* who asked did not want it any more */
	ROTA_DEAD_ABANDONED,	/* its receiver was given up while it handled
	                           it; the handler may still be at it, and at
	                           the payload */
	ROTA_DEAD_CAUSES	/* number of causes plus one */
};

/*
 * A message that was accepted and then not handled. All pointers are valid
 * during the callback only. The payload of a moved buffer is dropped after the
 * callback returns. Of a closure (see closure.h) the tag is ROTA_TAG_CLOSURE,
 * and the payload is its capture.
 */
struct rota_dead_letter {
	rota_id to;
	rota_id from; /* ROTA_NONE if sent by a thread */
	enum rota_dead_cause cause;
	unsigned tag;
	const void *payload;
	size_t length;				     /* bytes at payload */
	int (*function)(void *state, void *capture); /* of a closure; NULL */
};

/*
 * A turn that has not ended for a while. The times are exact to the monitor's
 * tick, a millisecond at most. A handler that waits (for room, for an end) is
 * never reported: its worker goes on without it.
 */
struct rota_stuck {
	rota_id actor;	  /* whose handler it is; ROTA_NONE: a task */
	const char *type; /* rota_behaviour.name; NULL: a task */
	const void *task; /* address of the task's function; NULL: an actor */
	unsigned tag;	  /* of the message in hand */
	unsigned worker;  /* whose thread it holds up */
	int64_t for_ns;	  /* how long it has been at it */
	uint64_t held_up; /* turns that the worker would run next, as far as
	                     others have not taken them over, and those that can
	                     go on on this thread only */
};

enum rota_log_level { ROTA_LOG_ERROR, ROTA_LOG_WARNING, ROTA_LOG_INFO };

/*
 * Where the memory of actors and messages comes from (threads, their stacks and
 * the stacks of turns are the kernel's, hwloc's tree is malloc's). map()
 * returns size bytes (a multiple of 2 MiB) aligned to 2 MiB and below 2^47,
 * zeroed, or NULL; unmap() takes the same block back. Both are called from any
 * thread, also at the same time.
 */
struct rota_allocator {
	void *(*map)(void *context, size_t size);
	void (*unmap)(void *context, void *block, size_t size);
	void *context;
};

/*
 * Options of rota_start(). Zero is the default of every field; set size with
 * ROTA_CONFIG_INIT. Callbacks come from any worker or calling thread, or one of
 * the engine's own, several at a time, and must not wait.
 *
 * dead_letter(), log() and stuck() may call what does not wait: rota_try_send(),
 * rota_spawn(), rota_actor_stop(), rota_abandon(), rota_workers_set(),
 * rota_status(), rota_stats() and so on. What has to wait says -EAGAIN or
 * -EDEADLK on a worker between two turns; elsewhere it holds up whoever has
 * called us: a turn, a thread, or all that is watched. Refused, with nothing
 * done, by -EDEADLK: rota_stop(), rota_stop_report() and rota_quiesce() of the
 * same engine, which would wait for who has called us; what drives an engine
 * (see host.h); and on a worker, as in handlers, rota_start() of an engine and
 * rota_stop() of any. The functions of the allocator may call nothing of rota.
 */
struct rota_config {
	size_t size;
	unsigned workers;  /* threads, up to 1024; 0: $ROTA_WORKERS, else
	                         one per core that the affinity and the
	                         cgroup's quota allow */
	unsigned mailbox;  /* default capacity; 0: 64 */
	size_t stack_size; /* bytes a handler may use; 0: 256 KiB */
	uint64_t seed;	   /* of the scheduler's random choices; 0: from the
	                         clock */
	unsigned flags;	   /* enum rota_config_flag */
	struct rota_allocator allocator; /* all NULL: mmap */
	void (*dead_letter)(void *context, const struct rota_dead_letter *);
	void (*log)(void *context, enum rota_log_level, const char *line);
	void *context; /* first argument of all callbacks */
	size_t memory; /* bytes that the engine may take for actors, messages
	                  and stacks of turns; 0: no limit. Taken in pieces
	                  of 2 MiB, stacks one by one at their full size.
	                  Who asks for more gets -ENOMEM; the engine's own
	                  tables (up to 32 MiB) come on top. Less than 8 MiB
	                  is not enough to start, and with 8 all else is
	                  -ENOMEM: each of these takes a piece, or two, when
	                  it is first used: tasks without names (10 MiB in
	                  all), with names (12), actors and their messages
	                  (14 beside both). Two go beyond the limit, and count
	                  in rota_stats.memory: a stack for each spare thread
	                  that runs (.spares times .stack_size at most), for
	                  these come where turns that block hold up all
	                  others; and one for each wait for a cancelled group
	                  of tasks (rota_task_group_wait()), until that wait
	                  returns. A piece serves blocks of one size, and
	                  does so until the engine ends: what a burst of
	                  messages has taken is there for the next burst,
	                  and not for actors, stacks or messages of another
	                  size, which may get -ENOMEM although little is in
	                  use. So the limit has to hold the sum of what each
	                  kind takes at its height */
	const char *topology; /* of the machine to plan for, see topology.h;
	                         read by rota_start() only; NULL:
	                         $ROTA_TOPOLOGY, else this machine */
	/*
	 * A turn that has lasted for stuck_after nanoseconds is reported, by a
	 * warning in the log and by stuck(), and again when it has lasted twice
	 * as long, four times and so on. 0: one second; ROTA_FOREVER: never.
	 * One in a blocking region (rota_blocking_begin()) holds nobody up and
	 * is not; but all are while a spare thread is wanted and none can come.
	 * stuck() is called on a thread of the engine's own: while it runs,
	 * nobody else is watched. Where a host drives (ROTA_RUN_HERE) there may
	 * be none: then handlers on threads of their own are looked at while
	 * the host drives, and stuck() is called on its thread, in between two
	 * turns: it must not wait.
	 */
	int64_t stuck_after;
	void (*stuck)(void *context, const struct rota_stuck *);
	unsigned offload_threads; /* for slow code, at most, up to 1024; 0: four
	                             per worker, 4 to 64. See offload.h */
	unsigned offload_queue;	  /* how many calls of rota_offload_start() may
	                             wait for a thread; 0: 1,024 */
	unsigned spares;    /* threads, up to 1024, that may take the places of
	                    workers whose turns do not come back, at a time;
	                    0: 64; ROTA_NO_SPARES: none. At once where the
	                    turn has said rota_blocking_begin(); else while
	                    there is work and a processor seems free, after
	                    some ms, and after twice as long for each that
	                    is on duty already, 1.5 s at most */
	int64_t ask_within; /* nanoseconds that ROTA_DEFAULT stands for where
	                       actors are asked that were spawned without a time
	                       of their own; 0: five seconds */
};

#define ROTA_NO_SPARES (~0u)

/*
 * If neither of the first two is set, $ROTA_BIND says: "core" (also the
 * default): one worker per core, bound to it; "thread": one per hardware
 * thread; "none": unbound. A binding that the system refuses is logged, and
 * does no harm.
 */
enum rota_config_flag {
	ROTA_NO_BIND = 1 << 0,	   /* leave worker threads unbound */
	ROTA_EACH_THREAD = 1 << 1, /* a worker per hardware thread */
	ROTA_RUN_HERE = 1 << 2,	   /* no threads: one worker, which the program
	                              drives, see host.h; .workers is 0 or 1 */
	/*
	 * Messages that a handler sends to one actor in a row go out together,
	 * by one compare-and-swap for many. Nobody can tell but by the time, and
	 * by a handler that does not return: its last ones are seen a tick or
	 * two later. Neither: $ROTA_CHAINS, "yes" or "no"; else as such an
	 * instruction is found to take long (more than 4 ns) or not, at the
	 * start; rota_stats.chained tells. Without membarrier() there are none.
	 */
	ROTA_CHAINS = 1 << 3,
	ROTA_NO_CHAINS = 1 << 4
};

#define ROTA_CONFIG_INIT ROTA_SIZED(rota_config)

/**
 * rota_start() - make an engine and start its workers
 * @config: options; NULL for all defaults. Copied.
 *
 * Its threads are called rotaN-0, rotaN-1 and so on, and rotaN-monitor, where N
 * is the engine's number, 1 for the first of a process; dedicated ones rotaN-NAME.
 *
 * Context: any thread that is not a worker.
 * Return:  the engine, or NULL with errno set: EINVAL (an option is out of
 *          range, or the environment holds nonsense: the log says which),
 *          ENODEV (the topology has no processor that we may use), E2BIG
 *          (config is of a newer library and uses what this one does not
 *          know), ENOMEM, EAGAIN (no thread to be had), EMFILE (no
 *          descriptor), EUSERS (no engine number is free: 255 engines
 *          exist, or used-up numbers add to those that do).
 */
ROTA_API rota_engine *rota_start(const struct rota_config *config);

/* What rota_stop_report() tells. */
struct rota_stop_report {
	size_t size;
	uint64_t actors_stopped;
	uint64_t dead_letters; /* reported during the stop */
	unsigned stuck;	       /* handlers, also of abandoned actors, and
	                          offloaded functions, that did not return in
	                          time; of handlers that wait on a thread for
	                          one of them, one */
	rota_id stuck_actor;   /* one of them */
	unsigned stuck_tag;    /* the message it is handling; as in
	                          struct rota_status */
	size_t bytes_kept;     /* memory the stuck handlers keep */
};

#define ROTA_STOP_REPORT_INIT ROTA_SIZED(rota_stop_report)

/**
 * rota_stop() - stop every actor after its message in hand, then the engine
 * @within: how long handlers may take to return
 *
 * Where some do not, others that wait for them, and the threads, are given time
 * to leave after that: it returns some 0.2 s later than asked.
 *
 * What is still queued becomes dead letters; waits of handlers, those that they
 * are in and all that follow, end with -ECANCELED; destructors run, and may wait
 * until the time is up. Tasks that have not started are cancelled, those that
 * run are waited for; likewise offloaded functions. To have queued work handled
 * first, call rota_quiesce() before. All ids of the engine give -ESRCH
 * afterwards. The engine is gone whatever this returns.
 *
 * Context: any thread that is not a worker; NULL is allowed and does nothing.
 * Errors:  -ETIMEDOUT: a handler, or an offloaded function, did not return; its
 *          thread, its stack and the memory it can reach (all that the engine
 *          has, see the report) stay until it does, likewise those of handlers
 *          that wait for it; all else is gone. What is queued behind it
 *          becomes dead letters before this returns, and so does its message
 *          in hand, as by rota_abandon(); where that is -ENOTSUP or -EBUSY,
 *          not before the handler returns. Its state and a buffer in hand are
 *          dropped when it returns, the log and the callbacks may be called
 *          then: what they use has to stay as long.
 *          -EDEADLK: called from a handler, an offloaded function, or a
 *          callback of this engine; nothing was done.
 * Return:  0 or one of the errors above.
 */
ROTA_API int rota_stop(rota_engine *engine, int64_t within);

/* rota_stop() that also fills @report (may be NULL). */
ROTA_API int rota_stop_report(rota_engine *engine, int64_t within,
			      struct rota_stop_report *report);

/**
 * rota_quiesce() - wait until nothing is queued, running, waiting or timed
 *
 * Nor are there answers to come as messages (rota_ask_then()). Handlers of
 * abandoned actors are not waited for. Sees all that was sent before the call,
 * and all that follows from it. What other threads send meanwhile may or may not
 * be waited for.
 *
 * Context: any thread that is not a worker.
 * Errors:  -ETIMEDOUT; -EDEADLK: called from a handler, from a function
 *          that the engine's actors have offloaded, or from a callback of
 *          this engine.
 * Return:  0 or one of the errors above.
 */
ROTA_API int rota_quiesce(rota_engine *engine, int64_t within);

/*
 * Number of workers, as asked for last: so many turns run at a time; 1 where a
 * host drives. Spare threads and dedicated ones (ROTA_OWN_THREAD) do not count,
 * nor do those of workers that are leaving. Any context; 0 if the engine is
 * gone.
 */
ROTA_API unsigned rota_workers(const rota_engine *engine);

/**
 * rota_workers_set() - change the number of workers while they run
 * @n: 1 ... 1024
 *
 * Nothing is lost and nothing stands still: workers that leave hand over what
 * is queued at them; turns that wait on their threads go on there when their
 * waits end, and timers ring. A thread ends when nothing stands on it any more,
 * some 20 ms later. New workers sit at the next places of the plan (see
 * topology.h); where there are no more they share them.
 *
 * An engine that was started without a number follows the quota of its control
 * group, which it reads again about once a second while it is awake; after this
 * call it does not any more. In a namespace of control groups whose file system
 * has not been mounted again (unshare -C alone) the group has no name that leads
 * to it: its quota is missed, which a warning in the log says at the start.
 *
 * Context: a handler or any thread; returns when new workers have begun, and
 *          does not wait for others to leave.
 * Errors:  -EINVAL (@n, no engine, or a host drives it); -ENOMEM, -EMFILE,
 *          -EAGAIN (no thread to be had): the number is as before; -ESRCH the
 *          engine is gone, or ends; -EPERM in a forked child.
 * Return:  0 or one of the errors above.
 */
ROTA_API int rota_workers_set(rota_engine *engine, unsigned n);

ROTA_EXTERN_C_END

#endif
