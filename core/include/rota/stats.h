/* SPDX-License-Identifier: MIT */
/*
 * rota/stats.h - what an engine has done so far, in numbers
 *
 * Counters are always on: each worker has its own, on memory that only it
 * writes, and who asks adds them up. Asking stops nobody.
 */
#ifndef ROTA_STATS_H
#define ROTA_STATS_H

#include <rota/base.h>

ROTA_EXTERN_C_BEGIN

/* What the memory of an engine is for. */
enum rota_memory_kind {
	ROTA_MEMORY_ACTORS,   /* actors and their states */
	ROTA_MEMORY_MESSAGES, /* in mailboxes or ready for use */
	ROTA_MEMORY_TIMERS,
	ROTA_MEMORY_RECORDS, /* of who waits for whom */
	ROTA_MEMORY_STACKS,  /* of turns, at their full size: the kernel gives
	                        pages only as they are touched */
	ROTA_MEMORY_SPARE,   /* taken from the allocator, of no kind yet */
	ROTA_MEMORY_TASKS,
	ROTA_MEMORY_ASKS, /* answers that are waited for */
	ROTA_MEMORY_KINDS
};

/*
 * Sums since the start. Each figure is exact when the engine is quiescent and
 * a moment old otherwise; none but those of memory ever goes down.
 */
struct rota_stats {
	size_t size;
	uint64_t spawned;
	uint64_t ended;
	uint64_t messages; /* handled; with dead_letters[0] all that were
	                      accepted, once quiescent */
	uint64_t turns;
	uint64_t waits;		   /* turns that gave up their worker */
	uint64_t overdrafts;	   /* messages over a bound to break a cycle */
	uint64_t steals;	   /* tasks taken from another worker */
	uint64_t wakeups;	   /* sleeping workers woken, by this one */
	uint64_t dead_letters[16]; /* by enum rota_dead_cause; [0]: all */
	/* Of the engine as a whole: 0 for a single worker. */
	uint64_t memory;	/* bytes held, of all kinds */
	uint64_t memory_of[16]; /* by enum rota_memory_kind */
	uint64_t memory_limit; /* rota_config.memory; 0: none. What comes on top
	                            of it is told there */
	uint64_t memory_refused; /* how often somebody got -ENOMEM for it */
	/* Of a worker again. */
	uint64_t tasks; /* of rota/task.h, that came to their end */
	uint64_t stuck; /* turns that lasted for rota_config.stuck_after */
	uint64_t late_replies; /* answers that nobody waited for any more */
	/* Of the engine as a whole again. */
	uint64_t spares; /* times that a spare thread took the place of a worker
	                    whose turn did not come back */
	/* Of a worker again. */
	uint64_t queries; /* offered to be handled beside others of their actor:
	                     see ROTA_QUERY */
	uint64_t abandoned; /* of the ended: by rota_abandon() */
	uint64_t returned;  /* of those: their handlers have returned since */
	uint64_t chained; /* messages that went out in chains, see ROTA_CHAINS;
	                       the one that opens a chain goes before it */
};

#define ROTA_STATS_INIT ROTA_SIZED(rota_stats)

/*
 * Whose figures; else the number of a worker, from 0 on in the order in which
 * they came: 0 ... rota_workers() - 1 at the start; spare ones, dedicated threads
 * (ROTA_OWN_THREAD, numbers are used again) and those that have left keep their
 * numbers.
 */
#define ROTA_STATS_ALL (-1)	/* the sum of all */
#define ROTA_STATS_OUTSIDE (-2) /* threads that are no workers */

/**
 * rota_stats() - counters of one worker, or of all
 * @of:    a worker's number, ROTA_STATS_OUTSIDE or ROTA_STATS_ALL
 * @stats: filled as far as its size goes; zeroes on failure
 *
 * Context: a handler or any thread; never waits.
 * Errors:  -ESRCH the engine is gone; -EINVAL there is no such worker, or an
 *          argument is NULL; -EPERM in a forked child; -ENOMEM.
 * Return:  0 or one of the errors above.
 */
ROTA_API int rota_stats(rota_engine *engine, int of, struct rota_stats *stats);

/**
 * rota_prometheus() - the same as text that Prometheus reads
 * @name:   value of the label "engine", UTF-8; NULL: the engine's number
 * @buffer: the text, with a 0 at its end; may be NULL if @size is 0
 * @size:   bytes at @buffer
 *
 * Text exposition format 0.0.4 (text/plain; version=0.0.4): HELP and TYPE of
 * each metric, then a line for each worker. All names begin with rota_. Texts
 * of several engines must not simply be put behind each other: each metric
 * may be described once; serve them at different addresses.
 *
 * Context: a handler or any thread; never waits.
 * Errors:  those of rota_stats().
 * Return:  length of the text without its 0, as with snprintf(): if that is
 *          @size or more, the text was cut off, and a larger buffer is needed;
 *          or one of the errors above.
 */
ROTA_API int rota_prometheus(rota_engine *engine, const char *name,
			     char *buffer, size_t size);

ROTA_EXTERN_C_END

#endif
