/* SPDX-License-Identifier: MIT */
/*
 * watch - what the monitor has seen of actors, tick by tick
 *
 *   sighting  what a worker's turn is about, and since when
 *   watched   an actor somebody asked about: when its messages came
 */
#ifndef ROTA_CORE_WATCH_H
#define ROTA_CORE_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <atomic_ops.h>

#include <rota/base.h>

struct engine;
struct crew;
struct look;
struct watches;

/* A worker's turn. No turn: self is ROTA_NONE, and there is no job. */
struct sighting {
	rota_id self;
	AO_t job;     /* struct job * that runs, if it is no actor's turn */
	AO_t turns;   /* the worker's count of turns */
	AO_t handled; /* the actor's count of messages; of a task: the worker's
	                 count of those that have ended */
	unsigned tag; /* of the message in hand */
	bool has_message; /* there is one in hand */
	unsigned due; /* finished ones that are counted in the mailbox still */
	uint64_t at_ns; /* when this was seen for the first time */
};

struct watch {
	AO_t xnow_ns;  /* time of the last tick, 0 while there are none: by the
	                   monitor, read by anyone, relaxed */
	AO_TS_t xlock; /* everything below, and local.seen */
	struct watches *watches; /* NULL: nobody has asked */
	uint64_t looked_ns; /* at some of them, the last time; not who asked */
	uint64_t doze_ns;   /* when the monitor looks next; 0: at its ticks,
	                       UINT64_MAX: nobody is watched */
};

void watch_init(struct engine *engine);
void watch_fini(struct engine *engine);

/* crew_options.tick, and doze */
void watch_tick(struct crew *crew, uint64_t now_ns);
int64_t watch_doze(struct crew *crew);

/* The time, to the tick. */
uint64_t watch_now_ns(struct engine *engine);

/* What a worker's turn is about right now; at_ns is not set. Any thread. */
struct sighting watch_sight(struct engine *engine, unsigned worker);

/* Where no monitor ticks: look now, for whoever asks next. Any thread. */
void watch_glance(struct engine *engine);

/* Is it about the same message, or run of a task? */
bool watch_is_same(const struct sighting *a, const struct sighting *b);

/* What is known of a worker's turn, and since when. Any thread. */
struct sighting watch_seen(struct engine *engine, unsigned worker);

/* Since when a sighting has been true as far as the monitor knows; 0: it has
   not seen it. */
uint64_t watch_since(struct engine *engine, unsigned worker,
		     const struct sighting *now);

/*
 * look_at() an actor, and watch it from now on. *oldest_ns, if there is no error:
 * rota_status.oldest_ns.
 */
int watch_look(struct engine *engine, rota_id id, struct look *look,
	       int64_t *oldest_ns);

#endif
