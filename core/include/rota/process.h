/* SPDX-License-Identifier: MIT */
/*
 * rota/process.h - actors that choose what they take next, and when
 *
 * A handler is called for each message in its order. Where that does not suit,
 * there are four ways out:
 *
 *   receive   the handler waits for the next message itself, so that an actor
 *             can be one function with a loop, its state in local variables
 *   accept    the actor is called for messages of some tags only, for a while
 *   stash     the message in hand is put aside until later
 *   become    the next messages are handled by another behaviour
 *
 *	static int clock_handle(void *state, unsigned tag, void *payload,
 *				size_t length)
 *	{
 *		struct rota_received m;
 *		long ticks = 0;
 *
 *		while (rota_receive(NULL, ROTA_MS(100), &m) != -ECANCELED) {
 *			...
 *		}
 *		return 0;
 *	}
 *
 * A handler that waits in rota_receive() keeps its stack (two or three pages of
 * 4 KiB); an actor that returns keeps none. Use it where the loop makes things
 * clearer, not for a million idle actors. Until its first message an actor of
 * this kind costs as little as any.
 */
#ifndef ROTA_PROCESS_H
#define ROTA_PROCESS_H

#include <rota/actor.h>

ROTA_EXTERN_C_BEGIN

/*
 * Some tags: bit i of mask stands for tag base + i. With mask 0, and where a
 * pointer to this is NULL: all tags. Functions (see closure.h), which have none,
 * count as tag 0 here.
 */
struct rota_tags {
	uint64_t mask;
	unsigned base;
	unsigned reserved; /* 0 */
};

/* The set of one tag. */
static inline struct rota_tags rota_tags_of(unsigned tag)
{
	struct rota_tags tags = {1, tag, 0};

	return tags;
}

/* One more. 0; -ERANGE: more than 63 away from another one. */
ROTA_API int rota_tags_add(struct rota_tags *tags, unsigned tag);

/* A message, as rota_receive() gives it. */
struct rota_received {
	rota_id from; /* ROTA_NONE if sent by a thread */
	unsigned tag;
	unsigned reserved;
	void *payload; /* aligned to 8; the receiver's to change */
	size_t length;
};

/**
 * rota_receive() - wait for this actor's next message
 * @tags:     which; NULL: any
 * @within:   nanoseconds; ROTA_NOW takes what is there
 * @received: set on success
 *
 * Takes the oldest message of these tags, urgent ones first. Others keep their
 * places, count in the mailbox, and are not compared again with the same tags
 * (the last two sets are remembered). Where the mailbox is full of them, the
 * oldest sender that waits with a message of these tags is let in above the
 * bound.
 *
 * The message in hand, the one that the handler was called with or the last one
 * received, is done with this call: its payload is gone, its room is given
 * back. The new one's is valid until the next call, or until the handler
 * returns, whose result is about the last one. A request (see ask.h) in hand
 * that has not been answered is answered with 0, as by the handler's return.
 * Functions are not given but run, on the way, when their turn comes; with
 * @tags, only if tag 0 is among them: else they keep their places.
 *
 * An actor that was spawned with ROTA_ANYWHERE may go on on any thread after
 * this call, and after a send that waits for room: errno and thread-local
 * variables do not survive it, and their addresses must not be kept across it;
 * nor may a lock of a thread be held.
 * Others go on on the thread where they began to wait, however busy that is.
 *
 * Context: a handler.
 * Errors:  -ETIMEDOUT; -ECANCELED: the actor is being stopped, or has been
 *          given up (rota_abandon()): return;
 *          -ESHUTDOWN: it has been drained, and no such message can come any
 *          more: return; -ENOMEM (then the message in hand may be gone, or
 *          not); -EINVAL; -EPERM outside a handler, in a READ's, and in a
 *          callback or a task that runs within one.
 * Return:  0 or one of the errors above.
 */
ROTA_API int rota_receive(const struct rota_tags *tags, int64_t within,
			  struct rota_received *received);

/**
 * rota_accept() - have the handler called for some tags only, until further
 *                 notice
 * @tags: NULL: for all again
 *
 * Others keep their places and count in the mailbox, as with rota_receive(),
 * which is not affected. So do functions, unless tag 0 is accepted. When the
 * actor is drained, what it does not accept in the end becomes dead letters.
 *
 * Context: a handler; never waits.
 * Errors:  -ENOMEM; -EPERM outside a handler, or in a READ's; -ECANCELED: given
 *          up.
 * Return:  0 or one of the errors above.
 */
ROTA_API int rota_accept(const struct rota_tags *tags);

/**
 * rota_stash() - put the message in hand aside
 *
 * It stays valid until the handler returns, and still counts in the mailbox;
 * one place of that is always left, so that with a capacity of 1 nothing can be
 * put aside. A message of a timer, or a result of rota_offload_start(), is kept
 * like any other. What is left when the actor ends becomes dead letters.
 *
 * Context: a handler; never waits.
 * Errors:  -EAGAIN: no place is left; -EINVAL: there is none in hand, it has
 *          been put aside already, or it is a request, for which there is
 *          rota_reply_later(); -ENOMEM; -EPERM outside a handler, or in a
 *          READ's; -ECANCELED: the actor has been given up.
 * Return:  0 or one of the errors above.
 */
ROTA_API int rota_stash(void);

/**
 * rota_unstash() - put all that is stashed back, in order, in front of what is
 *                  queued
 *
 * Context: a handler; never waits.
 * Return:  how many messages that were; -EPERM outside a handler, or in a
 *          READ's; -ECANCELED: the actor has been given up.
 */
ROTA_API int rota_unstash(void);

/**
 * rota_become() - have other functions handle this actor's next messages
 * @behaviour: of the same state size
 *
 * The state stays as it is. destroy() will be the new one's. With typed actors
 * the behaviour is ROTA_BEHAVIOUR_OF(type), where that is defined.
 *
 * Context: a handler; never waits. The message in hand is the old one's.
 * Errors:  -EINVAL: no behaviour, or another size of state; -E2BIG; -ENOMEM;
 *          -EPERM outside a handler, or in a READ's.
 * Return:  0 or one of the errors above.
 */
ROTA_API int rota_become(const struct rota_behaviour *behaviour);

/* In the file of ROTA_BEHAVIOUR(type, ...). */
#define ROTA_BEHAVIOUR_OF(type) (&type##__behaviour)

ROTA_EXTERN_C_END

#endif
