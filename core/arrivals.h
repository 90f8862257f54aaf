/* SPDX-License-Identifier: MIT */
/*
 * arrivals - when the messages of an actor came, as far as looks at it tell
 *
 * A look finds how many messages had come by then, in all its life. Nothing here
 * knows clocks, locks or actors.
 */
#ifndef ROTA_CORE_ARRIVALS_H
#define ROTA_CORE_ARRIVALS_H

#include <stdbool.h>
#include <stdint.h>

#define MARKS 64

/* What a look has found. */
struct arrivals_look {
	uint64_t before_ns; /* it began no sooner, */
	uint64_t after_ns;  /* and ended no later */
	uint64_t begun;	    /* messages that the actor has begun to handle */
	uint64_t queued;    /* those behind it */
};

/* At that time so many messages had come. */
struct mark {
	uint64_t ordinal;
	uint64_t at_ns;
	uint64_t
		gap_ns; /* some may have come so much sooner; 0: a tick or so */
};

struct arrivals {
	uint64_t looked_ns; /* what came later was not seen by any look yet */
	uint64_t fewer;	    /* if is_fewer: so many had come at the last look */
	bool is_fewer;	    /* that was less than the last mark says */
	bool has_looked;
	unsigned n;
	struct mark of[MARKS]; /* oldest first; ordinals grow */
};

/* Nobody has looked yet. */
void arrivals_init(struct arrivals *arrivals);

/*
 * Somebody has looked. @gap_ns: what two looks may lie apart, so that what came
 * between them is as good as known.
 */
void arrivals_look(struct arrivals *arrivals, const struct arrivals_look *look,
		   uint64_t gap_ns);

/*
 * How long the oldest message has been queued, as in rota_status.oldest_ns; of
 * the last look, or one that began before it.
 */
int64_t arrivals_oldest(const struct arrivals *arrivals,
			const struct arrivals_look *look);

#endif
