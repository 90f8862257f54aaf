/* SPDX-License-Identifier: MIT */
/*
 * rota/actor.h - actors and the raw interface to them: tag, pointer, length
 *
 * This is the floor that generated code and language runtimes stand on. A C
 * program normally writes <rota/protocol.h>, which makes typed calls of it.
 *
 * An actor is a state and a function that handles one message at a time. It
 * runs on some worker, never on two at once. A handler is an ordinary C
 * function; it may call anything in this header, and where a call says that it
 * waits, the handler's turn waits and its worker goes on with other actors.
 */
#ifndef ROTA_ACTOR_H
#define ROTA_ACTOR_H

#include <limits.h>

#include <rota/base.h>

ROTA_EXTERN_C_BEGIN

/* Payloads up to this size travel inside the message block. */
#define ROTA_INLINE_PAYLOAD 40

/* Payloads up to this size are copied; larger ones are moved (rota_send_own). */
#define ROTA_MAX_PAYLOAD 65536

/* Tags are 0 ... ROTA_MAX_TAG. */
#define ROTA_MAX_TAG 65535u

/*
 * With a request's tag, in the calls of <rota/ask.h>: the handler only reads
 * (kind READ). Requests of that kind that stand in a mailbox one behind the
 * other may be handled at the same time, each by a worker of its own, if they
 * take long enough (some 2 us each) for that to be faster. What was sent before
 * them has been handled by then; what was sent after them has not begun.
 *
 * So the handler must not write to the state, nor to anything else without a
 * lock. It may read, send, ask, wait and answer; what would change the actor is
 * -EPERM in it, whether or not others run beside it: rota_self_stop(),
 * rota_self_drain(), rota_receive(), rota_accept(), rota_stash(),
 * rota_unstash(), rota_become(), rota_reply_later(). A request that was taken
 * by rota_receive() is none of these. A stop ends the waits of all that run;
 * those that have not begun are not handled; the actor ends when the last one
 * has returned. An actor that chooses among its messages (rota_accept()),
 * resumes anywhere (ROTA_ANYWHERE) or has a thread of its own handles them one
 * by one.
 */
#define ROTA_QUERY 0x20000u

/* Largest capacity of a mailbox. */
#define ROTA_MAX_MAILBOX 32767u

/* Largest state that lives inside an actor, in bytes. */
#define ROTA_MAX_STATE (1u << 20)

/* Return this from rota_behaviour.handle for a message it does not know. */
#define ROTA_UNKNOWN INT_MIN

/*
 * The functions of an actor type; a constant that outlives the engine.
 *
 * handle() gets a payload aligned to 8 bytes, valid until it returns and its
 * to change. Return 0, or a negative number: the actor has failed and is
 * stopped (ROTA_UNKNOWN instead makes the message a dead letter and leaves the
 * actor as it is). destroy() runs once, on a worker, when the actor has ended.
 * It may wait, whatever has ended the actor: a stop ends the waits of handlers
 * only (rota_stop() those of destroy() too, when its time is up).
 */
struct rota_behaviour {
	size_t size;	   /* sizeof(struct rota_behaviour) */
	const char *name;  /* for messages to people; never NULL */
	size_t state_size; /* bytes, 0 ... ROTA_MAX_STATE; aligned to 16 */
	int (*handle)(void *state, unsigned tag, void *payload, size_t length);
	void (*destroy)(void *state); /* may be NULL */
	/* What people call the messages with that tag; NULL: no name. May be
	   NULL. Only looks up constants: it is called by any thread, under
	   locks. (ROTA_BEHAVIOUR() makes it: "counter_inc".) */
	const char *(*tag_name)(unsigned tag);
};

/* Options of rota_spawn(); zero is the default of every field. */
struct rota_spawn_options {
	size_t size;
	unsigned mailbox; /* capacity 1 ... ROTA_MAX_MAILBOX; 0: the engine's */
	unsigned flags;	  /* enum rota_spawn_flag */
	/* For actors on a thread of their own, see ROTA_OWN_THREAD. */
	const char *group; /* those that name the same one share a thread; 1 to
	                      ROTA_MAX_GROUP bytes, copied; NULL: none */
	unsigned cpu; /* where the thread is bound: ROTA_CPU(n); 0: it may run
	                 wherever the engine may */
	unsigned overflow;  /* messages that are let in beyond the capacity: 0,
	                      none; ROTA_UNBOUNDED: any number, see below */
	int64_t ask_within; /* nanoseconds that ROTA_DEFAULT stands for where
	                       this actor is asked; 0: the engine's, see
	                       rota_config */
};

/* The hardware thread that the kernel calls n. */
#define ROTA_CPU(n) ((n) + 1u)

/* Longest name of a group of actors that share a thread. */
#define ROTA_MAX_GROUP 31

enum rota_spawn_flag {
	ROTA_ANYWHERE = 1 << 0,	    /* goes on on any thread after a wait for
	                              room, see rota_send(), and after
	                              rota_receive(), see process.h */
	ROTA_TAKES_URGENT = 1 << 1, /* may be sent urgent messages */
	ROTA_OWN_THREAD = 1 << 2    /* on a thread of its own, see below */
};

/*
 * options.overflow. A mailbox that is full makes its senders wait, which is what
 * keeps memory flat and a slow actor from being buried; where that is not wanted
 * an actor may take more, which count in a second place and cost each some tens
 * of nanoseconds more. Order and all else are the same. Without a bound senders
 * never wait, and the memory of the engine (rota_config.memory) is the bound.
 */
#define ROTA_UNBOUNDED (~0u)

#define ROTA_SPAWN_INIT ROTA_SIZED(rota_spawn_options)

/**
 * rota_spawn() - make an actor
 * @engine:    where; NULL in a handler: the engine that runs it
 * @behaviour: its functions
 * @state:     state_size bytes, copied into the actor; NULL: zeroes
 * @options:   NULL for all defaults
 *
 * The actor exists when this returns and costs no more than its state and one
 * cache line until it is sent something. On failure nothing was copied and
 * destroy() will not run.
 *
 * A dedicated thread. With the flag ROTA_OWN_THREAD the actor has a thread of
 * its own; with options.group it shares one with all live actors that name the
 * same group. All its turns run there, also after waits, and so does destroy():
 * for libraries that are bound to a thread, for contents of thread-locals, and
 * for calls that block, which hold up nobody but the group. It runs nothing
 * else. All calls are the same, to it and in it. It is no worker: rota_workers()
 * does not count it, and it works in an engine that nobody drives (ROTA_RUN_HERE)
 * too. A message to or from it crosses to another thread, which costs
 * microseconds where it has to be woken: see README.md.
 *
 * The thread begins with the first actor and ends with the last; it is called
 * after the group, or the actor type, and sits where options.cpu says if the
 * kernel lets it (else the log says so). Of a group the first one decides. There
 * may be 1,024 such threads at a time. A handler that blocks for long may say
 * so, by rota_blocking_begin(): then nobody watches it meanwhile; without it the
 * monitor ticks and reports it as stuck.
 *
 * Context: a handler, a task or any thread; never waits, but for a thread to be
 *          made.
 * Errors (in the id): -EINVAL (also options.cpu without a thread to be bound, or
 *          a group and ROTA_OWN_THREAD), -E2BIG (options of a newer library),
 *          -ENOMEM, -ESHUTDOWN (the engine is stopping), -EAGAIN or -EMFILE (no
 *          thread is to be had).
 * Return:  the actor's id, or an id that carries the error (rota_id_error()).
 */
ROTA_API rota_id rota_spawn(rota_engine *engine,
			    const struct rota_behaviour *behaviour,
			    const void *state,
			    const struct rota_spawn_options *options);

/**
 * rota_send() - put a message into an actor's mailbox, waiting for room
 * @to:      receiver
 * @tag:     what the message means to it, 0 ... ROTA_MAX_TAG
 * @payload: @length bytes, copied; may be NULL if @length is 0
 *
 * Messages of one sender to one receiver are handled in the order sent, and
 * order is causal: what A sends to B before it tells C comes before all that C
 * then sends to B. Where several wait for room, they get it in their order.
 * Waiting never hangs a program because its mailboxes are small: where actors
 * wait for each other in a circle, one message is let in above the bound.
 *
 * A handler that has waited goes on on the thread where it stood. With the flag
 * ROTA_ANYWHERE that of its actor goes on on any, beside the receiver as a rule:
 * this is faster where several workers feed one actor, and no busy thread holds
 * it up. Thread-locals do not survive the call then, their addresses must not be
 * kept across it, and no lock of a thread may be held. All sends and casts alike.
 *
 * Context: a handler (its turn waits), a task (likewise) or any thread (the
 *          thread waits).
 * Errors:  -ESRCH no such actor; -ESHUTDOWN it is closing; -ENOMEM; -EINVAL
 *          (@tag); -EMSGSIZE (@length); -EDEADLK a handler's send to its own
 *          full mailbox (the message in hand counts: with capacity 1 it is
 *          always full); -ECANCELED it would have to wait, but the sender is
 *          being stopped, or the request that it has in hand was cancelled
 *          (rota_ask_cancel(), or whoever asked is being stopped); -EPERM in a
 *          forked child. The message was not accepted and has no effect.
 * Return:  0 or one of the errors above.
 */
ROTA_API int rota_send(rota_id to, unsigned tag, const void *payload,
		       size_t length);

/* rota_send() that does not wait: -EAGAIN where it would. */
ROTA_API int rota_try_send(rota_id to, unsigned tag, const void *payload,
			   size_t length);

/* rota_send() that waits @within nanoseconds at most, then -ETIMEDOUT; with
   ROTA_NOW or less it is rota_try_send(). */
ROTA_API int rota_send_within(rota_id to, unsigned tag, const void *payload,
			      size_t length, int64_t within);

/**
 * rota_send_until() - send a message that is of no use after a moment
 * @deadline: rota_deadline_in(), or rota_deadline_here() of the message in hand
 *
 * Waits for room until then at most. If the message is not taken before, it is
 * not handled but becomes a dead letter (ROTA_DEAD_EXPIRED).
 *
 * Deadlines travel: what a handler sends, by whatever call but timers, has the
 * deadline of the message in hand, unless it is sent by this one, by another
 * that ends in _until, or by what is made of them; what it asks ends by then,
 * unless it is asked by rota_ask_until() and the like. To send, or ask, without:
 * rota_deadline_in(ROTA_FOREVER). Messages without a deadline pay nothing for
 * this.
 *
 * Context, errors: those of rota_send(), and -ETIMEDOUT.
 * Return:  0 or one of the errors.
 */
ROTA_API int rota_send_until(rota_id to, unsigned tag, const void *payload,
			     size_t length, rota_deadline deadline);

/*
 * rota_send() into the urgent lane: handled before all normal messages, in
 * order among the urgent ones. Counts in the bound like any other. Only to an
 * actor that was spawned with ROTA_TAKES_URGENT: others count on the order of
 * what they are sent; -EPERM.
 */
ROTA_API int rota_send_urgent(rota_id to, unsigned tag, const void *payload,
			      size_t length);

/* Flags of rota_send_parts(). */
#define ROTA_URGENT 1u /* as rota_send_urgent() */

/**
 * rota_send_parts() - send one payload that lies in two places
 * @to:          receiver
 * @tag:         0 ... ROTA_MAX_TAG
 * @head:        its first @head_length bytes; may be NULL if that is 0
 * @tail:        the @tail_length bytes that follow; may be NULL if that is 0
 * @flags:       ROTA_URGENT or 0
 * @within:      as in rota_send_within(); ROTA_NOW gives -EAGAIN when full
 *
 * The general form of the sends that copy: the receiver sees one payload of
 * @head_length + @tail_length bytes, the tail right behind the head.
 *
 * Context: a handler (its turn waits), a task (likewise) or any thread (the
 *          thread waits).
 * Errors:  those of rota_send(), and -ETIMEDOUT, -EAGAIN. -EMSGSIZE if the sum
 *          is over ROTA_MAX_PAYLOAD, also where it would overflow a size_t;
 *          -EINVAL for other flags.
 * Return:  0 or one of the errors above.
 */
ROTA_API int rota_send_parts(rota_id to, unsigned tag, const void *head,
			     size_t head_length, const void *tail,
			     size_t tail_length, unsigned flags,
			     int64_t within);

/* rota_send_parts() with a deadline of its own: see rota_send_until(). */
ROTA_API int rota_send_parts_until(rota_id to, unsigned tag, const void *head,
				   size_t head_length, const void *tail,
				   size_t tail_length, unsigned flags,
				   rota_deadline deadline);

/*
 * Moved buffers: the pointer travels, not the bytes. On success the engine
 * owns @buffer and calls @drop(buffer, length) exactly once, whatever happens:
 * after the handler that received it returns, or when the message becomes a
 * dead letter. A handler that wants the buffer in hand for itself calls
 * rota_keep(); one that moves it on to another actor just sends it. On failure
 * the buffer is still the caller's. @drop may be NULL; so may @buffer if @length
 * is 0.
 * @within: as in rota_send_within(); ROTA_NOW gives -EAGAIN when full.
 */
ROTA_API int rota_send_own(rota_id to, unsigned tag, void *buffer,
			   size_t length,
			   void (*drop)(void *buffer, size_t length),
			   int64_t within);

/* rota_send_own() into the urgent lane. */
ROTA_API int rota_send_own_urgent(rota_id to, unsigned tag, void *buffer,
				  size_t length,
				  void (*drop)(void *buffer, size_t length),
				  int64_t within);

/* rota_send_own() with a deadline of its own: see rota_send_until(). One that
   is not taken before is dropped, once it has been told of. */
ROTA_API int rota_send_own_until(rota_id to, unsigned tag, void *buffer,
				 size_t length,
				 void (*drop)(void *buffer, size_t length),
				 rota_deadline deadline);

/* ---- inside a handler; elsewhere they return what each says ---- */

/* The running actor; ROTA_NONE outside a handler. */
ROTA_API rota_id rota_self(void);

/* Who sent the message in hand; ROTA_NONE if a thread did, or outside. */
ROTA_API rota_id rota_sender(void);

/* The deadline of the message in hand; never, if it has none, or outside. */
ROTA_API rota_deadline rota_deadline_here(void);

/* The engine that runs this handler, or this task; NULL outside. */
ROTA_API rota_engine *rota_self_engine(void);

/**
 * rota_keep() - take over the moved buffer in hand
 *
 * Its drop function will not be called; the caller has to see to it. Likewise
 * for what a closure has captured, see rota_cast_with().
 *
 * Return:  0; -EINVAL if the message in hand is not a moved buffer (nor a
 *          closure with a drop function), or was kept or moved on already, or
 *          outside a handler; -ECANCELED if the actor has been abandoned: then
 *          it stays the engine's.
 */
ROTA_API int rota_keep(void);

/**
 * rota_blocking_begin() - say that what follows may block the thread
 *
 * For calls that are not the engine's and may take long without computing: a
 * read, a lock, a call of another library. From here to rota_blocking_end() the
 * worker counts as lost: what is queued at it goes to others, and a worker that
 * sleeps, or a spare thread, takes its place at once, so that as many turns run
 * as there are workers. Without this the monitor finds out after a millisecond
 * or two. There are rota_config.spares of these threads; when all are in use,
 * or none is to be had, others have to wait.
 *
 * Turns that wait for something and stand on this thread still go on only
 * after the region. Regions may be nested: the outermost counts. Everything of
 * the engine may be called in a region; a call that waits (a send for room)
 * pauses it meanwhile. A region that is open when the handler, or the task,
 * returns is closed, and the log says so.
 *
 * Context: a handler or a task.
 * Return:  0; -EPERM elsewhere: nothing was done.
 */
ROTA_API int rota_blocking_begin(void);

/* The end of the region that was begun last; nothing where there is none. */
ROTA_API void rota_blocking_end(void);

/**
 * rota_should_yield() - is it time for a long computation to make way?
 *
 * 1 if this turn, or task, has lasted for a tick of the monitor (0.1 to 0.75 ms) or
 * more while others wait for its worker. No other worker can run all of them:
 * turns that waited go on on their own thread only. Asked in a loop it costs
 * a load or two.
 *
 * On 1, let the others run: send the actor itself a message that says where to
 * go on, and return; or, in a task, submit another one with the rest. Who
 * returns late does no harm but to those who wait.
 *
 * Where a host drives (host.h) it is 1 after about 1 ms, or when the host's time
 * is over; then it reads a clock.
 *
 * Context: a handler or a task; elsewhere, and in other threads, it is 0.
 * Return:  1 or 0.
 */
ROTA_API int rota_should_yield(void);

/**
 * rota_self_stop() - end this actor when the handler returns
 * @reason: for rota_join(); any number, 0 means all is well
 *
 * What is queued becomes dead letters.
 *
 * Return:  0; -EPERM outside a handler, or in a READ's.
 */
ROTA_API int rota_self_stop(int reason);

/*
 * End this actor when all that is queued has been handled. From now on it
 * accepts nothing (-ESHUTDOWN). 0; -EPERM outside a handler, or in a READ's.
 */
ROTA_API int rota_self_drain(void);

/* ---- from anywhere ---- */

/**
 * rota_actor_stop() - end an actor after its message in hand
 *
 * Overtakes all that is queued, which becomes dead letters. A handler that
 * waits is woken with -ECANCELED, and so ends whatever it would wait for after
 * that, or after it was stopped while it ran. Returns at once; rota_join()
 * waits.
 *
 * Context: a handler, a task or any thread; never waits.
 * Return:  0 (also when it is ending already); -ESRCH.
 */
ROTA_API int rota_actor_stop(rota_id id);

/*
 * End an actor when all that is queued now has been handled; from now on it
 * accepts nothing (-ESHUTDOWN). Returns at once. 0 or -ESRCH.
 */
ROTA_API int rota_actor_drain(rota_id id);

/**
 * rota_abandon() - give up an actor whose handler does not return
 *
 * For a handler that computes without end, or blocks for ever in a call of the
 * system's: rota_actor_stop() would wait for it. The life of the actor ends at
 * once, with ROTA_EXIT_ABANDONED: its id is no actor any more (-ESRCH, also for
 * those who wait for room), rota_join() tells of the end, the message in hand
 * becomes a dead letter with the cause ROTA_DEAD_ABANDONED, what is queued
 * behind it dead letters of the usual cause, in order; rota_quiesce() does not
 * wait for it. What cannot be taken from the handler stays until it returns:
 * its thread, its stack, the actor's state, the message in hand. Should it
 * never, rota_stop() counts it among the stuck ones. If it does return, the
 * state is destroyed (destroy() may wait as ever), the worker goes on, and
 * nothing is handled twice; its result does not matter.
 *
 * Meanwhile the handler knows nothing, but that its waits fail with -ECANCELED,
 * as if the actor was being stopped. It sends as the old id, which rota_self()
 * is; rota_self_stop() and rota_self_drain() do nothing. A moved buffer in hand
 * it can neither keep nor move on (-ECANCELED): it was reported, and is dropped
 * when the handler returns; what it had kept or moved on before is reported as
 * empty.
 *
 * An actor is given up only while the monitor sees it stand still: the same
 * message has been in hand for a tick (0.1 to 0.75 ms) or more. That may also be
 * because the machine is busy: it is for the caller to judge how long is too
 * long (rota_status() tells).
 *
 * Context: a handler, a task or any thread; never waits. The dead letters are
 *          told from here.
 * Errors:  -EAGAIN: it is not stuck, at this moment: it has nothing to do, or
 *          moves on, or its handler waits (which a stop ends); -EBUSY: it
 *          stands still in a callback (its destructor, a buffer's drop
 *          function, the dead letter callback), or in one of several queries
 *          that are handled at the same time (ROTA_QUERY), where it cannot be
 *          given up: the others are at the same state, and what they wait for,
 *          and the room that they take, belong to the life that would end under
 *          them. Once they have returned, and that one has not, it still is one
 *          of several; a query that was alone from its beginning is not;
 *          -ESRCH: no such actor, or it has been given up already; -EDEADLK:
 *          by its own handler; -ENOTSUP: the kernel has no membarrier(),
 *          or the engine has no threads (see host.h);
 *          -EPERM in a forked child; -ENOMEM.
 * Return:  0 or one of the errors above.
 */
ROTA_API int rota_abandon(rota_id id);

/*
 * rota_abandon() that waits @within nanoseconds at most until the actor is
 * stuck, then -ETIMEDOUT; a handler's turn waits, or a task, or the thread. With
 * ROTA_NOW or less it is rota_abandon(). Also -ECANCELED, -EDEADLK as
 * rota_sleep().
 */
ROTA_API int rota_abandon_within(rota_id id, int64_t within);

/* How an actor's life ended. */
enum rota_exit_cause {
	ROTA_EXIT_NORMAL = 1, /* rota_self_stop(), or drained */
	ROTA_EXIT_STOPPED,    /* rota_actor_stop() */
	ROTA_EXIT_FAILED,     /* its handler returned a negative number */
	ROTA_EXIT_ENGINE,     /* rota_stop() */
	ROTA_EXIT_FORGOTTEN,  /* it ended, so long ago that no one knows how */
	ROTA_EXIT_ABANDONED   /* rota_abandon() */
};

struct rota_exit {
	enum rota_exit_cause cause;
	int reason; /* rota_self_stop()'s argument, or the handler's error */
	uint64_t reserved[3]; /* 0 */
};

/**
 * rota_join() - wait until an actor has ended
 * @why: set on success; may be NULL
 *
 * Sticky: works for any number of waiters, before and after the end. When it
 * returns the actor's destructor has run (unless it was abandoned: that runs
 * when its handler returns).
 *
 * Context: a handler (its turn waits), a task (likewise) or any thread (the
 *          thread waits).
 * Errors:  -ETIMEDOUT; -ESRCH there never was such an actor, or its engine is
 *          gone; -EDEADLK an actor waits for itself, directly or through
 *          others' joins (of those in a circle, one is told); -ENOMEM: there
 *          is no memory for the wait; -ECANCELED: the caller's actor is being
 *          stopped, or the request that it has in hand was cancelled.
 * Return:  0 or one of the errors above.
 */
ROTA_API int rota_join(rota_id id, int64_t within, struct rota_exit *why);

/* 1 if the actor lives, 0 if not. Never waits. A moment old when read. */
ROTA_API int rota_is_alive(rota_id id);

ROTA_EXTERN_C_END

#endif
