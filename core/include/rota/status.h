/* SPDX-License-Identifier: MIT */
/*
 * rota/status.h - what an actor is doing
 *
 * A look from outside: the actor is not asked, so one that hangs can be looked
 * at as well.
 */
#ifndef ROTA_STATUS_H
#define ROTA_STATUS_H

#include <rota/base.h>
#include <rota/process.h>

ROTA_EXTERN_C_BEGIN

enum rota_activity {
	ROTA_IDLE = 1, /* nothing is there for it */
	ROTA_QUEUED,   /* it has something to do and no worker yet */
	ROTA_RUNNING,  /* a worker runs its handler */
	ROTA_WAITING   /* its handler waits; the worker does something else */
};

/* What a handler waits for. */
enum rota_waits_for {
	ROTA_WAITS_FOR_NOTHING,
	ROTA_WAITS_FOR_ROOM,   /* in the mailbox of whom */
	ROTA_WAITS_FOR_END,    /* of whom */
	ROTA_WAITS_FOR_OTHER,  /* something that is no actor's doing */
	ROTA_WAITS_FOR_WORKER, /* the wait is over; the thread on which it goes
	                          on is taken by another handler */
	ROTA_WAITS_FOR_FLUSH,  /* of the mailbox of whom */
	ROTA_WAITS_FOR_ANSWER, /* of whom was asked, ROTA_NONE: one of several */
	ROTA_WAITS_FOR_MESSAGE, /* in rota_receive(): its own next one, of tags */
	ROTA_WAITS_FOR_KINDS
};

/*
 * Times are exact to the monitor's tick, which comes every 0.1 to 0.75 ms while
 * any worker is awake.
 */
struct rota_status {
	size_t size;
	const char *type; /* rota_behaviour.name */
	enum rota_activity activity;
	int worker;	/* that runs it, or on which its handler waits; -1:
	                   none, or it goes on on any (ROTA_ANYWHERE) */
	unsigned tag;	/* of the message in hand, if running or waiting
	                    (ROTA_TAG_CLOSURE: a function); a guess while
	                    for_ns is 0; 0: none is in hand */
	int is_closing; /* it is being stopped or drained */
	int64_t for_ns; /* how long it has had this message in hand, if
	                    running; how long it has waited, if waiting; 0: less
	                    than a tick */
	enum rota_waits_for waits_for;
	unsigned mailbox_capacity; /* with rota_spawn_options.overflow */
	rota_id whom;		   /* whom it waits for, or ROTA_NONE */
	uint64_t handled;	   /* messages that it has begun to handle */
	uint64_t mailbox_length;   /* queued and in hand, and room that handlers
	                            have taken for what they send it right now;
	                            messages of timers do not count, nor do
	                            senders that wait */
	int64_t oldest_ns; /* the oldest message that is queued, without the one
	                      in hand, has been there so long at least; 0: none
	                      is, or it has just come; ROTA_AGE_UNKNOWN: one is,
	                      and since when is not known (yet). See
	                      rota_status() */
	unsigned queries;  /* in progress beside each other, running or waiting;
	                     the rest of what is told is about one of them. 0:
	                     messages are handled one by one. See ROTA_QUERY */
	struct rota_tags tags; /* what it would take, if it waits for a message,
	                          or is idle and accepts some tags only
	                          (rota_accept()); mask 0: any */
};

#define ROTA_STATUS_INIT ROTA_SIZED(rota_status)

/* In place of rota_status.oldest_ns. */
#define ROTA_AGE_UNKNOWN (-1)

/**
 * rota_status() - what an actor is doing, and since when
 * @status: filled as far as its size goes; left alone on failure
 *
 * The figures are a moment old, and may be of moments that are not quite the
 * same. Sends carry no time: the age of the oldest message is found by watching
 * the mailbox. An actor is watched from the first rota_status() on, until it was
 * not asked about for a minute; so the first answer is ROTA_AGE_UNKNOWN, if
 * something is queued, and what was there by then is as old as the watch at
 * least. Ages of what came since are never too high, as far as messages were
 * handled in their order, and too low by no more than
 * - a tick or two, 2 ms, while up to 64 actors of the engine are watched: so many
 *   are looked at in each, in turn; with more of them so much for each 64, 32 ms
 *   for 1,024;
 * - where two looks lay farther apart, a tenth of what is told. As long as the
 *   age is not ten times the gap in which the message came, the answer is
 *   ROTA_AGE_UNKNOWN;
 * - where messages came in more than 64 of these looks and are queued all
 *   together, a thirtieth of the greatest age among them besides.
 * Looks lie farther apart where the system gives the monitor no processor in
 * time; and while no worker is awake: then by 1 ms, or by a 32nd of the time
 * since somebody asked about any actor of the engine, whichever is more. So of
 * an actor whose handler sleeps in an engine that has nothing else to do, and
 * which is asked about every 10 s, only the age of what came in the last 3 s of
 * these may be unknown. For these looks an engine that sleeps wakes some hundred
 * times, for each 64 actors, in the minute after a question. One that a host
 * drives (ROTA_RUN_HERE) has nobody to look while it is not driven, but those who
 * ask. Where a sender has leased room for messages that it then did not send (see
 * ROTA_CHAINS) the next ones may be told to be older than they are, by a tick or
 * two.
 * An engine watches 1,024 actors. The next one takes the place of the one that
 * was not asked about for longest, if that is more than five seconds; if not it
 * is not watched, and the answer ROTA_AGE_UNKNOWN until there is room: who asks
 * about 2,000 actors in turn is told the ages of 1,024.
 *
 * Context: a handler or any thread; never waits, and does not disturb the
 *          actor.
 * Errors:  -ESRCH no such actor; -EINVAL @status is NULL; -EPERM in a forked
 *          child; -ENOMEM. Of an id that a failed rota_spawn() has returned,
 *          the error that it carries; so a number that was never an id may
 *          give any.
 * Return:  0 or one of the errors above.
 */
ROTA_API int rota_status(rota_id id, struct rota_status *status);

ROTA_EXTERN_C_END

#endif
