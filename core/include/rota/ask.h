/* SPDX-License-Identifier: MIT */
/*
 * rota/ask.h - ask an actor and get its answer: the raw interface
 *
 * A C program normally writes kinds ASK and READ into its protocol's list, see
 * <rota/protocol.h>, which makes typed calls of what is here.
 *
 * Every ask has exactly one outcome, in two layers that are never confused:
 *
 *    0          answered; the reply is there
 *    positive   answered with the handler's own error, whatever that means
 *    negative   rota's failure, one of these and no others:
 *
 *   -ESRCH       not handled: there is no such actor, or it ended before it
 *                began with the request. Safe to ask again, or somebody else
 *   -ESHUTDOWN   not handled: the actor, or its engine, is closing. Likewise
 *   -ENOSYS      not handled: the actor does not know this request
 *   -ETIMEDOUT   the time is up. rota_ask_detail() says how far it got: if it
 *                was not SENT, or not STARTED, it is not handled
 *   -ECANCELED   rota_ask_cancel(), the asker is being stopped, or what it asks
 *                on behalf of was cancelled. Likewise
 *   -EDEADLK     waiting would never end: all in a circle ask each other. Not
 *                handled. rota_last_deadlock() shows the circle
 *   -ECONNRESET  the actor died, or its engine gave up, with the request begun
 *                and unanswered: it may have had an effect. (Or the engine is
 *                gone, and there was no memory to keep what became of it.)
 *   -EPIPE       who was to answer later has dropped the token. Likewise
 *   -EMSGSIZE    the request is too large (not handled), or the reply is larger
 *                than the memory for it (handled), or than what is kept of one
 *                for which nobody waits: ROTA_MAX_PAYLOAD for an ask that was
 *                started, less a struct rota_notice for one that comes as a
 *                message (handled)
 *   -ENOMEM      not handled; or, for a reply above 40 bytes to an ask that was
 *                started or is to come as a message, handled
 *   -EINVAL, -EPERM  as for rota_send(); -EINVAL also for an old copy of an ask
 *                that has ended
 *
 * An answer that comes after the asker has given up does no harm to anybody,
 * and is counted (rota_stats.late_replies); a second one is not. A request that
 * is not handled is a dead letter besides.
 *
 * When to ask, when to send? Where the next step needs the answer, ask: the
 * turn waits, its worker does not. Where it does not, or where two actors would
 * ask each other, send, or let the answer come as a message: rota_ask_then().
 */
#ifndef ROTA_ASK_H
#define ROTA_ASK_H

#include <rota/actor.h>
#include <rota/base.h>

ROTA_EXTERN_C_BEGIN

/**
 * rota_ask() - send a request and wait for the answer
 * @to:         who is asked
 * @tag:        0 ... ROTA_MAX_TAG; with ROTA_QUERY if its handler only reads
 * @payload:    the request, @length bytes, copied; may be NULL if that is 0
 * @reply:      where the reply goes; may be NULL if @reply_size is 0
 * @reply_size: room there, as much as you like. A shorter reply is fine, see
 *              rota_ask_detail()
 * @within:     for all of it, waiting for room included; ROTA_NOW or less is
 *              -ETIMEDOUT at once; ROTA_DEFAULT: what @to was spawned with, or
 *              its engine was started with, or five seconds
 *
 * A request is a message like any other: in order with all that is sent, and
 * counted in the bound. When this returns nobody touches @reply any more.
 *
 * Context: a handler (its turn waits, and handles nothing else meanwhile), a
 *          task or any thread.
 * Return:  see the top.
 */
ROTA_API int rota_ask(rota_id to, unsigned tag, const void *payload,
		      size_t length, void *reply, size_t reply_size,
		      int64_t within);

/* rota_ask() through the urgent lane: to whom that is sent, see
   rota_send_urgent(), else -EPERM. */
ROTA_API int rota_ask_urgent(rota_id to, unsigned tag, const void *payload,
			     size_t length, void *reply, size_t reply_size,
			     int64_t within);

/**
 * rota_ask_until() - ask with a deadline of its own
 * @deadline: until when all of it may take, in place of a time; -ETIMEDOUT at
 *            once if it has passed
 *
 * What a handler asks ends by the deadline of the message in hand, however long
 * it may take besides. This ask, and the others whose names end in _until, do
 * not: their deadline is the one that they are given, be it later or earlier,
 * and it goes on to what is done for them. rota_deadline_in(ROTA_FOREVER): they
 * have none. See rota_send_until().
 *
 * Otherwise as rota_ask(): it ends, too, when the asker is being stopped, or
 * what it asks on behalf of is cancelled.
 */
ROTA_API int rota_ask_until(rota_id to, unsigned tag, const void *payload,
			    size_t length, void *reply, size_t reply_size,
			    rota_deadline deadline);

/* How far an ask has got. */
enum rota_ask_progress {
	ROTA_ASK_SENT = 1 << 0,	  /* it was in the mailbox */
	ROTA_ASK_STARTED = 1 << 1 /* its handler has begun */
};

struct rota_ask_detail {
	unsigned progress; /* enum rota_ask_progress */
	unsigned reserved; /* 0 */
	size_t length;	   /* of the reply, whether it fitted or not */
};

/*
 * More about the last ask that has ended on this thread: right after the call,
 * before the handler waits for anything else.
 */
ROTA_API void rota_ask_detail(struct rota_ask_detail *detail);

/* One of those who wait for each other in a circle. */
struct rota_deadlock_step {
	rota_id actor;	  /* who waits */
	rota_id whom;	  /* for whom: the next one's actor */
	int asks;	  /* 1: for an answer; 0: for its end, as rota_join() */
	unsigned tag;	  /* of the request, if it asks; of a rota_call()
	                   ROTA_TAG_CLOSURE */
	uint64_t token;	  /* of no use to others; tells requests apart */
	const char *type; /* of actor: rota_behaviour.name; NULL: it is not
	                        known any more */
	const char *message; /* the request's name, as the type of whom has it
	                        (rota_behaviour.tag_name); NULL: it has none */
};

/**
 * rota_last_deadlock() - the circle for which a wait of this actor was refused
 * @steps: the first @n of them are set; may be NULL if @n is 0
 *
 * Of the last call in this actor's life that returned -EDEADLK because of a
 * circle. It begins with one of those in it, not always with this actor.
 *
 * Context: a handler.
 * Return:  how many steps the circle has, 0 if there was none (or no memory to
 *          remember it); -EPERM outside a handler.
 */
ROTA_API int rota_last_deadlock(struct rota_deadlock_step *steps, size_t n);

/**
 * rota_deadlock_text() - a circle in words
 * @steps: @n of them, as rota_last_deadlock() gives them
 * @text:  @size bytes, always ended by a 0 if @size is not 0; may be NULL then
 *
 * A line per step, without the last line's end: "table 0100000700000001 asks
 * fork 0100000900000001: fork_take". A message without a name is "tag 17".
 *
 * Context: any thread or handler; never waits.
 * Return:  how many bytes the whole text has, as snprintf().
 */
ROTA_API int rota_deadlock_text(const struct rota_deadlock_step *steps,
				size_t n, char *text, size_t size);

/* ---- several at a time ---- */

/*
 * An ask that was started. In the caller's memory; copied and kept as it likes,
 * but only one copy is to be ended: others end with -EINVAL then. What is in it
 * is nobody else's: an answer waits in the engine until the asker takes it.
 */
struct rota_asking {
	uint64_t token; /* 0: it has ended */
	void *reply;
	size_t reply_size;
	int outcome;	   /* as rota_ask() returns; once it has ended */
	unsigned progress; /* enum rota_ask_progress, likewise */
	size_t length;	   /* of the reply, likewise */
	uint64_t deadline_ns;
};

/**
 * rota_ask_start() - ask without waiting for the answer
 * @reply:  where rota_ask_await() puts it, ROTA_MAX_PAYLOAD bytes at most; must
 *          last until then
 * @within: how long the sender waits for room, and the receiver may take; or
 *          ROTA_DEFAULT, as in rota_ask()
 * @asking: the ask from now on; ended already if this fails
 *
 * What a handler has started and not ended is cancelled when it returns. A
 * thread or a task has to end what it starts. What a thread has started may be
 * ended when its engine is gone, too: the outcome is what it was, and is kept
 * until the engine's number goes to another, 250 engines later or so.
 *
 * Context: a handler, a task or any thread; waits for room, as rota_send().
 * Return:  0, or a failure as at the top.
 */
ROTA_API int rota_ask_start(rota_id to, unsigned tag, const void *payload,
			    size_t length, void *reply, size_t reply_size,
			    int64_t within, struct rota_asking *asking);

/* rota_ask_start() with a deadline of its own: see rota_ask_until(). */
ROTA_API int rota_ask_start_until(rota_id to, unsigned tag, const void *payload,
				  size_t length, void *reply, size_t reply_size,
				  rota_deadline deadline,
				  struct rota_asking *asking);

/**
 * rota_ask_await() - wait until so many of several asks have ended
 * @askings: @n of them, ended or not
 * @wanted:  1: any; @n: all; or what lies between
 * @within:  ROTA_NOW: only look
 *
 * Those that have ended have their outcome set, and their reply is where it was
 * to go. An ask whose own time is up has ended, and one of which another copy
 * has ended (its outcome is -EINVAL).
 *
 * Context: a handler (its turn waits), a task or any thread; who has started
 *          them. A thread's must all be of one engine.
 * Errors:  -ETIMEDOUT, -ECANCELED, -EDEADLK (@wanted is all that are left, and
 *          all in a circle ask each other), -ENOMEM, -EINVAL (@wanted is above
 *          @n). Those that have not ended go on.
 * Return:  how many have ended, @wanted or more; or one of the errors above.
 */
ROTA_API int rota_ask_await(struct rota_asking *askings, size_t n,
			    size_t wanted, int64_t within);

/**
 * rota_ask_quorum() - wait until so many of several asks were answered with 0
 *
 * Context, @askings, @n, @within: as in rota_ask_await().
 * Errors:  those (-EDEADLK only where one is left, and that is needed: while
 *          there are more, any may fail and end this); and -EIO: so many have
 *          failed that it cannot be any more.
 * Return:  how many were answered so, @wanted or more; or an error.
 */
ROTA_API int rota_ask_quorum(struct rota_asking *askings, size_t n,
			     size_t wanted, int64_t within);

/**
 * rota_ask_cancel() - end an ask without an answer
 *
 * If its handler has not begun, it will not. If it has, rota_is_cancelled()
 * tells it so, and its waits end with -ECANCELED: for answers, for room, for the
 * end of an actor; what is there at once, or needs no wait, is as ever. Likewise
 * if it has taken the token and not passed it on. What it has asked by
 * rota_ask_then() in that call of the handler, before it answers, ends likewise,
 * also when it has returned. What it was doing otherwise as it returned goes on,
 * and what it asks while it handles later messages, answers among them, it asks
 * for itself.
 *
 * Context: as for rota_ask_await(); never waits.
 * Return:  0; -EALREADY: it has ended, or has just been answered: its outcome
 *          is set; -EINVAL: another copy of it has ended.
 */
ROTA_API int rota_ask_cancel(struct rota_asking *asking);

/* ---- the answer as a message ---- */

/* What such a message begins with; the reply is right behind it. */
struct rota_notice {
	void *context;
	int outcome; /* as rota_ask() returns; if not 0 there is no reply */
	unsigned reserved; /* 0 */
};

/**
 * rota_ask_then() - ask, and have the answer come as a message
 * @within:    as in rota_ask_start()
 * @reply_tag: of that message
 * @context:   comes back in it
 *
 * The handler goes on at once. On success exactly one message comes, with the
 * answer or a failure, in order like all others, and beyond the mailbox's bound.
 * It is asked on behalf of the request in hand, if there is one, or if that call
 * of the handler has taken its token, of that: when that is cancelled before it
 * was answered or passed on, this is cancelled, too, and the message says
 * -ECANCELED. What is asked after the answer is asked for the actor alone. (The
 * deadline of the message in hand holds for it in any case:
 * rota_ask_then_until() has another.)
 *
 * Context: a handler of an actor; waits for room, as rota_send().
 * Errors:  those at the top; no message comes then. -EPERM: no actor's handler
 *          called.
 * Return:  0 or one of the errors above.
 */
ROTA_API int rota_ask_then(rota_id to, unsigned tag, const void *payload,
			   size_t length, int64_t within, unsigned reply_tag,
			   void *context);

/* rota_ask_then() with a deadline of its own: see rota_ask_until(). */
ROTA_API int rota_ask_then_until(rota_id to, unsigned tag, const void *payload,
				 size_t length, rota_deadline deadline,
				 unsigned reply_tag, void *context);

/* ---- who is asked ---- */

/* Is the message in hand a request that nobody has answered yet? 1 or 0. */
ROTA_API int rota_is_asked(void);

/**
 * rota_answer() - answer the request in hand
 * @result: 0, or the handler's own error (the sign does not matter)
 * @reply:  @length bytes, copied, if @result is 0
 *
 * The asker goes on at once; the handler may do so, too. A handler that does
 * not call this answers with what it returns, and no reply: 0, an error, or
 * ROTA_UNKNOWN. An answer never fails its actor. So a handler may return this.
 *
 * Return:  0, also where nobody has asked or waits any more.
 */
ROTA_API int rota_answer(int result, const void *reply, size_t length);

/**
 * rota_is_cancelled() - is what this handler does in vain?
 *
 * 1 if who asked does not wait any more (and this handler has not answered, nor
 * passed the request on), if the deadline of the message in hand has passed, or
 * if the actor is being stopped; else 0, and outside a handler.
 *
 * Context: any. A handler that was asked may wait in it, as in rota_yield(), for
 *          those whose waits on the same worker have ended: the asker may be
 *          among them. So not with a lock held.
 */
ROTA_API int rota_is_cancelled(void);

/*
 * The right, and the duty, to answer a request. A value: copy it, send it, use
 * it in any thread; it is used up by the first who answers. 0 is none.
 */
typedef uint64_t rota_token;

/* A handler that has taken the token returns this (any number will do). */
#define ROTA_LATER 0

/**
 * rota_reply_later() - take the token of the request in hand
 * @token: set on success
 *
 * Somebody has to answer with it, drop or forward it, also if nobody waits any
 * more: until then it takes some memory. If this actor ends before, and has not
 * forwarded it, the asker gets -EPIPE. (Of those that nobody wants some are
 * used up as the actor takes more.)
 *
 * Context: a handler.
 * Errors:  -EINVAL nobody has asked, or it was answered; -EPERM outside a
 *          handler, or in a READ's; -ENOMEM. The request is as it was.
 * Return:  0 or one of the errors above.
 */
ROTA_API int rota_reply_later(rota_token *token);

/**
 * rota_reply() - answer with a token
 * @result, @reply, @length: as in rota_answer()
 *
 * Context: a handler or any thread; never waits.
 * Errors:  -ECANCELED nobody waits any more, or the asker's engine is gone (the
 *          token is used up); -EALREADY it was used up before, or was never
 *          one; -ENOMEM, -EPERM as for rota_send().
 * Return:  0 or one of the errors above.
 */
ROTA_API int rota_reply(rota_token token, int result, const void *reply,
			size_t length);

/* The asker gets -EPIPE. Otherwise as rota_reply(). */
ROTA_API int rota_reply_drop(rota_token token);

/* 1 if somebody still waits for that answer, else 0: then it is to be dropped. */
ROTA_API int rota_reply_is_wanted(rota_token token);

/**
 * rota_forward() - have another actor answer
 * @token: of rota_reply_later(); 0: of the request in hand
 * @to:    who is to answer; any actor of any engine
 * @tag, @payload, @length: the request that it gets
 *
 * It is as if the asker had asked that one: sender and deadline stay what they
 * were. Waits for room @within, or as long as the asker waits.
 *
 * Context: a handler or any thread.
 * Errors:  those of rota_send_within(): the token is the caller's as before
 *          (used up, if the actor that had taken it has ended meanwhile).
 *          -EINVAL @token is 0 and nobody has asked. -ECANCELED, -EALREADY as
 *          in rota_reply().
 * Return:  0 or one of the errors above.
 */
ROTA_API int rota_forward(rota_token token, rota_id to, unsigned tag,
			  const void *payload, size_t length, int64_t within);

ROTA_EXTERN_C_END

#endif
