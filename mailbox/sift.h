/* SPDX-License-Identifier: MIT */
/*
 * sift - takes the oldest message of some tags out of a lane
 *
 * What does not match keeps its place, and is not looked at again for the same
 * set of tags: how far a set was compared is remembered, for the two sets that
 * were used last. Every change of the lane goes through here meanwhile, or is
 * followed by sift_forget().
 */
#ifndef ROTA_MAILBOX_SIFT_H
#define ROTA_MAILBOX_SIFT_H

#include <stdbool.h>
#include <stdint.h>

#include "mailbox/message.h"

/* Tags base ... base + 63, as the bits say; mask 0: all tags. */
struct tag_set {
	uint64_t mask;
	uint32_t base;
};

static inline bool tag_set_has(const struct tag_set *set, unsigned tag)
{
	unsigned bit = tag - set->base;

	return set->mask == 0 || (bit < 64 && (set->mask >> bit & 1) != 0);
}

#define SIFT_SETS 2

struct sift {
	struct {
		struct tag_set set;
		struct message *last; /* up to here none matches; NULL: none
		                         was compared */
	} seen[SIFT_SETS];
	unsigned older; /* which of them was not used last */
};

/*
 * The oldest message of the set, taken out of the lane, or NULL. A flush's mark
 * belongs to all sets, but only once it is the oldest of the lane.
 */
struct message *sift_take(struct message **lane, struct sift *sift,
			  const struct tag_set *set);

/* The lane was changed in other ways than by appending. */
void sift_forget(struct sift *sift);

#endif
