/* SPDX-License-Identifier: MIT */
/*
 * sift - takes the oldest message of some tags out of a lane
 *
 * Problem:    a receiver that waits for some tags while thousands of others are
 *             queued would compare all of them at each receive.
 * Approach:   messages that do not match stay in the lane. For a set that is
 *             used again the comparison goes on behind the last message that
 *             was compared for it. Where that one is taken out (for another
 *             set), its predecessor takes its place, or nothing if it was the
 *             oldest: all before it is gone then. So each message is compared
 *             once per set, and two sets that alternate (all that is wanted,
 *             and an answer) do not disturb each other. The set of all tags
 *             needs no memory.
 * Rejected:   a list per tag (the order among tags is lost, or needs a number
 *             in each message, where there is no room); putting skipped ones
 *             into a list aside (to be put back whenever the set changes).
 */
#include "mailbox/sift.h"

#include <string.h>

void sift_forget(struct sift *sift)
{
	memset(sift, 0, sizeof(*sift));
}

/* Take out what follows @pred, which is the lane's newest for its oldest. */
static struct message *take_after(struct message **lane, struct sift *sift,
				  struct message *pred)
{
	struct message *message = pred->next;
	bool is_oldest = pred == *lane;
	unsigned i;

	for (i = 0; i < SIFT_SETS; i++)
		if (sift->seen[i].last == message)
			sift->seen[i].last = is_oldest ? NULL : pred;
	pred->next = message->next;
	if (message == pred)
		*lane = NULL;
	else if (message == *lane)
		*lane = pred;
	return message;
}

static bool is_same(const struct tag_set *a, const struct tag_set *b)
{
	return a->mask == b->mask && a->base == b->base;
}

/* Where the set's comparison has come to. */
static struct message **place_of(struct sift *sift, const struct tag_set *set)
{
	unsigned i;

	for (i = 0; i < SIFT_SETS; i++)
		if (is_same(&sift->seen[i].set, set))
			break;
	if (i == SIFT_SETS) {
		i = sift->older;
		sift->seen[i].set = *set;
		sift->seen[i].last = NULL;
	}
	sift->older = (i + 1) % SIFT_SETS;
	return &sift->seen[i].last;
}

struct message *sift_take(struct message **lane, struct sift *sift,
			  const struct tag_set *set)
{
	struct message *newest = *lane, *pred, **last;

	if (!newest)
		return NULL;
	if (set->mask == 0 || newest->next->flags & MESSAGE_FLUSH)
		return take_after(lane, sift, newest);
	last = place_of(sift, set);
	for (pred = *last ? *last : newest; *last != newest; pred = *last) {
		struct message *message = pred->next;

		if (tag_set_has(set, message->tag) &&
		    !(message->flags & MESSAGE_FLUSH))
			return take_after(lane, sift, pred);
		*last = message;
	}
	return NULL;
}
