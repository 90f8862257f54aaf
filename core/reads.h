/* SPDX-License-Identifier: MIT */
/*
 * reads - queries of an actor that are handled beside each other
 */
#ifndef ROTA_CORE_READS_H
#define ROTA_CORE_READS_H

#include "core/engine.h"

/* One that is in progress. Lies in its turn's frame; in the list of the
   actor's cold block, and changed, under that block's lock. */
struct reading {
	struct reading *next;
	struct reading **prev;
	struct wait *wait; /* of its stack */
	struct reading *next_cancelled;
	struct step step; /* its last wait for another actor; see cycle.h */
	uint64_t behalf;  /* the query's token; 0: it has been answered */
};

/* How long one takes that is handled alone. */
struct reads_timing {
	struct task_class *class;
	AO_t waits;
	uint64_t start_ticks;
};

void reads_init_classes(struct behaviour *behaviour);

/*
 * The turn has taken a query out of its mailbox. If it and those behind it are
 * worth it, they become tasks, and the turn has ended: true.
 */
bool reads_offer(struct local *local, struct message *message);

/* The turn handles a query itself: is this one timed? */
bool reads_is_timed(struct local *local, const struct message *message);

struct reads_timing reads_begin_timing(struct local *local,
				       const struct message *message);
void reads_end_timing(struct local *local, const struct reads_timing *timing);

/* ---- under the lock of the actor's cold block ---- */

/*
 * The actor is being stopped: the waits of those that read end, and their next
 * ones fail. A list for reads_finish(), which comes without the lock.
 */
struct reading *reads_cancel(struct cold *cold);
void reads_finish(struct reading *cancelled);

/* How many are in progress; *waiting: one of them whose wait has not ended; NULL:
   none. */
unsigned reads_count(const struct cold *cold, const struct wait **waiting);

/* One of them waits for another actor, and the edge has been written. */
void reads_note(struct cold *cold, const struct step *step, uint64_t behalf);

/* Is it a query of the run that answers an ask? */
enum reads_answer {
	READS_NOT,  /* no: it comes later */
	READS_RUNS, /* yes, and it does not wait: it runs, or is about to */
	READS_WAITS /* yes, that of *reading */
};

enum reads_answer reads_answering(const struct cold *cold, uint64_t token,
				  struct reading **reading);

/* Whose wait it is, or was its last; NULL: none of theirs. */
struct reading *reads_of(const struct cold *cold, struct wait_ticket ticket);

/*
 * Of those that wait for another actor right now, the next one; the first if
 * @after is NULL. They come in the order of their waits' addresses: while one
 * goes through them, some end and others begin, and yet each that waits all the
 * time is come by once. NULL: that was the last.
 */
struct reading *reads_next(const struct cold *cold, const struct wait *after);

/* The wait that one of them is in on behalf of an ask. False: there is none. */
bool reads_find(const struct cold *cold, uint64_t behalf,
		struct wait_ticket *ticket);

#endif
