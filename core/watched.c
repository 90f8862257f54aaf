/* SPDX-License-Identifier: MIT */
/*
 * watched - the actors that somebody asked about, and whose turn it is
 *
 * Who is watched is found by a hash of the id. All have their turn in an order:
 * one that comes in is its last, or takes over the place of the one that it
 * replaces; the last one moves to where one was forgotten, which is looked for
 * only when it is that one's turn. So nobody moves to a place that had its turn
 * already, and waits for two rounds.
 * Where all places are taken the one that was not asked about for longest yields
 * its own, but only after some seconds: if more actors than there are places are
 * asked about in turn, some are watched for long, not all for a moment.
 */
#include "core/watched.h"

#include <stdlib.h>

#define HASH_BITS 10 /* WATCHED buckets */

_Static_assert(WATCHED == 1 << HASH_BITS, "a bucket for each, about");

struct watches *watches_make(void)
{
	struct watches *watches = calloc(1, sizeof(*watches));
	unsigned i;

	for (i = 0; watches && i < WATCHED; i++)
		watches->order[i] = (uint16_t)i;
	return watches;
}

static struct watched **bucket_of(struct watches *watches, rota_id id)
{
	return &watches->buckets[id * UINT64_C(0x9e3779b97f4a7c15) >>
				 (64 - HASH_BITS)];
}

struct watched *watches_find(struct watches *watches, rota_id id)
{
	struct watched *watched = *bucket_of(watches, id);

	while (watched && watched->id != id)
		watched = watched->chain;
	return watched;
}

static void unlink_asked(struct watches *watches, struct watched *watched)
{
	if (watched->before)
		watched->before->after = watched->after;
	else
		watches->first = watched->after;
	if (watched->after)
		watched->after->before = watched->before;
	else
		watches->last = watched->before;
}

static void link_asked(struct watches *watches, struct watched *watched,
		       uint64_t now_ns)
{
	watched->asked_ns = now_ns;
	watched->before = watches->last;
	watched->after = NULL;
	if (watches->last)
		watches->last->after = watched;
	else
		watches->first = watched;
	watches->last = watched;
}

void watches_ask(struct watches *watches, struct watched *watched,
		 uint64_t now_ns)
{
	unlink_asked(watches, watched);
	link_asked(watches, watched, now_ns);
}

/* It keeps its place. */
static void strike_out(struct watches *watches, struct watched *watched)
{
	struct watched **link = bucket_of(watches, watched->id);

	while (*link != watched)
		link = &(*link)->chain;
	*link = watched->chain;
	unlink_asked(watches, watched);
}

void watches_forget(struct watches *watches, struct watched *watched)
{
	uint16_t *order = watches->order;
	unsigned last = --watches->n;
	uint16_t free_one = order[watched->place];

	strike_out(watches, watched);
	order[watched->place] = order[last];
	watches->of[order[last]].place = watched->place;
	order[last] = free_one;
}

/* A place that is nobody's, or not any more. */
static struct watched *take_place(struct watches *watches, uint64_t now_ns)
{
	struct watched *watched = watches->first;

	if (watches->n < WATCHED) {
		watched = &watches->of[watches->order[watches->n]];
		watched->place = watches->n++;
	} else if (now_ns > watched->asked_ns + WATCHED_YIELD_NS) {
		strike_out(watches, watched);
	} else {
		return NULL;
	}
	return watched;
}

struct watched *watches_add(struct watches *watches, rota_id id,
			    uint64_t now_ns)
{
	struct watched **bucket = bucket_of(watches, id);
	struct watched *watched = take_place(watches, now_ns);

	if (!watched)
		return NULL;
	watched->id = id;
	arrivals_init(&watched->arrivals);
	watched->chain = *bucket;
	*bucket = watched;
	link_asked(watches, watched, now_ns);
	return watched;
}

struct watched *watches_next(struct watches *watches)
{
	if (watches->next >= watches->n)
		watches->next = 0;
	return &watches->of[watches->order[watches->next]];
}

void watches_pass(struct watches *watches)
{
	watches->next++;
}
