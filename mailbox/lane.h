/* SPDX-License-Identifier: MIT */
/*
 * lane - a consumer's private list of taken messages, oldest first
 *
 * One pointer, to the newest; the newest's next is the oldest. So both ends
 * are at hand, and what is taken later goes behind what was taken before.
 */
#ifndef ROTA_MAILBOX_LANE_H
#define ROTA_MAILBOX_LANE_H

#include <stdbool.h>

#include "mailbox/message.h"

static inline struct message *lane_pop(struct message **lane)
{
	struct message *newest = *lane, *oldest;

	if (!newest)
		return NULL;
	oldest = newest->next;
	if (oldest == newest)
		*lane = NULL;
	else
		newest->next = oldest->next;
	return oldest;
}

static inline void lane_push(struct message **lane, struct message *message)
{
	struct message *newest = *lane;

	if (newest) {
		message->next = newest->next;
		newest->next = message;
	} else {
		message->next = message;
	}
	*lane = message;
}

/* Append a chain that came newest first: one pass, one store a message. */
static inline void lane_append(struct message **lane, struct message *newest)
{
	struct message *message, *newer = NULL, *next, *last = *lane;

	for (message = newest; message; message = next) {
		next = message->next;
		message->next = newer;
		newer = message;
	}
	/* newer is the oldest of the chain now. */
	if (last) {
		newest->next = last->next;
		last->next = newer;
	} else {
		newest->next = newer;
	}
	*lane = newest;
}

/* Append a chain that came newest first, split by urgency. */
static inline void lanes_split(struct message **normal, struct message **urgent,
			       struct message *newest)
{
	struct message *older = NULL, *message, *next;

	for (message = newest; message; message = next) {
		next = message->next;
		message->next = older;
		older = message;
	}
	for (message = older; message; message = next) {
		next = message->next;
		lane_push(message->flags & MESSAGE_URGENT ? urgent : normal,
			  message);
	}
}

/* The same for what mailbox_take() gave; NULL is allowed. */
static inline void lanes_fill(struct message **normal, struct message **urgent,
			      struct message *newest, bool has_urgent)
{
	if (!newest)
		return;
	if (unlikely(has_urgent))
		lanes_split(normal, urgent, newest);
	else
		lane_append(normal, newest);
}

#endif
