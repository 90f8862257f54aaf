/* SPDX-License-Identifier: MIT */
/*
 * closure - a message that is a function and the bytes it has captured
 *
 * The payload begins with the function; if the message is OWNED besides, who
 * drops the capture comes next. The capture is right behind, aligned to 8.
 */
#ifndef ROTA_MAILBOX_CLOSURE_H
#define ROTA_MAILBOX_CLOSURE_H

#include "mailbox/message.h"

typedef int closure_run(void *state, void *capture);
typedef void closure_drop(void *capture, size_t length);

struct closure {
	closure_run *run;
	closure_drop *drop; /* only if OWNED; NULL: the capture was kept */
};

/* What the world is told as its tag, see ROTA_TAG_CLOSURE. */
#define CLOSURE_TAG 65536u

/* So much lies before the capture. */
static inline size_t closure_lead(unsigned flags)
{
	return flags & MESSAGE_OWNED ? sizeof(struct closure)
				     : offsetof(struct closure, drop);
}

static inline closure_run *closure_function(struct message *message)
{
	closure_run *run;

	memcpy(&run, message_payload(message), sizeof(run));
	return run;
}

static inline void *closure_capture(struct message *message)
{
	return (char *)message_payload(message) + closure_lead(message->flags);
}

static inline size_t closure_length(const struct message *message)
{
	return message_length(message) - closure_lead(message->flags);
}

_Static_assert(MESSAGE_LARGE_HEADER + sizeof(struct message_extension) +
			       sizeof(struct closure) <=
		       2 * CACHE_LINE,
	       "the largest class holds the largest capture");

/* The largest capture of one that is not OWNED and fits into a block. */
#define CLOSURE_INLINE (MESSAGE_INLINE - offsetof(struct closure, drop))

/* Its payload, if that fits. */
static inline void closure_fill(struct message *message, closure_run *run,
				const void *capture, size_t length)
{
	memcpy(message->payload, &run, sizeof(run));
	message_copy_inline(message->payload + sizeof(run), capture, length);
}

/* Run one that is nothing but a CLOSURE. */
static inline int closure_call(struct message *message, void *state)
{
	char *payload = message_plain_payload(message);
	closure_run *run;

	memcpy(&run, payload, sizeof(run));
	return run(state, payload + sizeof(run));
}

/* The tag of any message, as the world is told. */
static inline unsigned closure_tag(struct message_head head)
{
	return head.flags & MESSAGE_CLOSURE ? CLOSURE_TAG : head.tag;
}

/* Of one that is OWNED: whoever had the capture in hand has it for good. */
static inline closure_drop *closure_keep(struct message *message)
{
	struct closure closure;
	closure_drop *drop;

	memcpy(&closure, message_payload(message), sizeof(closure));
	drop = closure.drop;
	closure.drop = NULL;
	memcpy(message_payload(message), &closure, sizeof(closure));
	return drop;
}

/* Of one that is OWNED, at its end. */
static inline void closure_end(struct message *message)
{
	closure_drop *drop = closure_keep(message);

	if (drop)
		drop(closure_capture(message), closure_length(message));
}

#endif
