/* SPDX-License-Identifier: MIT */
/*
 * watched - the actors that somebody asked about, and whose turn it is
 *
 * A table of ids and times; the caller's lock protects it.
 */
#ifndef ROTA_CORE_WATCHED_H
#define ROTA_CORE_WATCHED_H

#include <stdint.h>

#include <rota/base.h>

#include "core/arrivals.h"

#define WATCHED 1024
/* One that nobody has asked about for so long gives up its place if another one
   wants it. */
#define WATCHED_YIELD_NS UINT64_C(5000000000)

struct watched {
	rota_id id;
	uint64_t asked_ns;	/* when somebody last did */
	struct watched *chain;	/* the next one of its bucket */
	struct watched *before; /* who was asked about before it, and after */
	struct watched *after;
	unsigned place; /* in the order */
	struct arrivals arrivals;
};

struct watches {
	unsigned n;
	unsigned next;	       /* whose turn it is */
	struct watched *first; /* not asked about for longest */
	struct watched *last;
	uint16_t order[WATCHED]; /* the first n are in use, the rest free */
	struct watched *buckets[WATCHED];
	struct watched of[WATCHED];
};

/* NULL: no memory. free() it. */
struct watches *watches_make(void);

/* NULL: it is not among them. */
struct watched *watches_find(struct watches *watches, rota_id id);

/* One that is not among them comes in. NULL: there is no room. */
struct watched *watches_add(struct watches *watches, rota_id id,
			    uint64_t now_ns);

/* Somebody asks about it. */
void watches_ask(struct watches *watches, struct watched *watched,
		 uint64_t now_ns);

void watches_forget(struct watches *watches, struct watched *watched);

/*
 * Whose turn it is; there are some. watches_pass() says that it has had it; if it
 * is forgotten instead it is another one's turn.
 */
struct watched *watches_next(struct watches *watches);
void watches_pass(struct watches *watches);

#endif
