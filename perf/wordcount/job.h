/* SPDX-License-Identifier: MIT */
/*
 * job - the actors of the main job and what they say to each other
 *
 *	feeder <-> readers -> parsers -> shards <-> words
 *	              |                    |
 *	              +------> report <----+
 *
 * The end. Nothing asks whether all is quiet; the end of the input travels the
 * same way as the words, behind the last of them. A reader to whom the feeder
 * has nothing more to give tells every parser so. A parser that has heard it
 * from all readers has cut its last line, and tells every shard. A shard that
 * has heard it from all parsers has had its last word and has told the word's
 * actor; it then asks its words' actors for their counts, and since messages
 * of one sender stay in order, each answers with all its words counted. The
 * shard moves its directory, filled with counts, to the report actor, which
 * ends when all have come in. So the end is exact whatever the mailboxes hold
 * and however many workers there are.
 *
 * Waiting. Lines and words flow one way, so no circle of full mailboxes can
 * form, and what is slow slows what is before it. The only way back is an
 * answer of a word's actor to its shard. The shard asks for no more of them at
 * a time than its mailbox holds, for an answer that must wait is a turn that
 * waits: with a million words a million stacks.
 *
 * Memory. Besides the words themselves: mailboxes, one block per reader, and
 * one buffer per line that is longer than a copied payload may be.
 */
#ifndef WORDCOUNT_JOB_H
#define WORDCOUNT_JOB_H

#include <rota/actor.h>
#include <rota/engine.h>

#include "directory.h"
#include "input.h"
#include "options.h"
#include "top.h"

/* Tags, by receiver. Where nothing else is said there is no payload. */
enum feeder_tag {
	FEEDER_MORE /* the sender is a reader with nothing to do */
};

enum reader_tag {
	READER_START,
	READER_ITEM, /* size_t: read this item, then ask for more */
	READER_END   /* there are no more items */
};

enum parser_tag {
	PARSER_LINE, /* the bytes of a line, copied or moved */
	PARSER_END   /* a reader will send no more lines */
};

enum shard_tag {
	SHARD_WORD, /* the bytes of a word, copied or moved */
	SHARD_END,  /* a parser will send no more words */
	SHARD_COUNT /* struct word_answer */
};

enum word_tag {
	WORD_SEEN, /* once more */
	WORD_TELL  /* size_t: answer the sender with it and the count */
};

struct word_answer {
	size_t slot; /* which of the shard's words it is */
	uint64_t count;
};

enum report_tag {
	REPORT_PROGRESS, /* struct progress */
	REPORT_TICK,	 /* from its own timer: show the progress */
	REPORT_SKIP,	 /* struct skip: an item cannot be read */
	REPORT_READ,	 /* struct reading: a reader is done */
	REPORT_DIRECTORY /* struct tally, moved: a shard is done */
};

struct skip {
	size_t item;
	char why[128];
};

struct reading {
	uint64_t items; /* read to their ends */
	uint64_t bytes;
	uint64_t lines;
};

/* All that a shard knows at the end. */
struct tally {
	unsigned shard;
	uint64_t words;		    /* that came in, each time they did */
	uint64_t counted;	    /* sum of the answers of their actors */
	struct directory directory; /* values are counts now */
	struct top top;
};

/* What comes out. The report actor fills it, main reads it after its end. */
struct outcome {
	struct reading reading;
	size_t skipped; /* items that could not be read */
	uint64_t words, counted, distinct;
	uint64_t directory_bytes;
	struct top top;
	struct tally **tallies; /* by shard */
};

/*
 * How much has been done since the last time that was told. Told only if
 * someone looks on; otherwise the messages would be more than the work needs.
 */
struct progress {
	uint64_t bytes, lines;	  /* by readers, for each block */
	uint64_t words, distinct; /* by shards, every so many words */
};

/* Constant once the readers have been started, but for the outcome. */
struct job {
	const struct options *options;
	const struct input *input;
	unsigned n_readers, n_parsers, n_shards;
	rota_id feeder, report;
	rota_id *readers, *parsers, *shards;
	bool is_watched; /* tell the report actor of progress */
	struct outcome outcome;
};

/* The first part of every actor's state: what all of them need. */
struct member {
	struct job *job;
	unsigned index; /* among its kind */
};

/* States are larger inside; rota_spawn() gets a struct member each time. */
rota_id feeder_spawn(rota_engine *engine, struct job *job);
rota_id reader_spawn(rota_engine *engine, struct job *job, unsigned index);
rota_id parser_spawn(rota_engine *engine, struct job *job, unsigned index);
rota_id shard_spawn(rota_engine *engine, struct job *job, unsigned index);
rota_id report_spawn(rota_engine *engine, struct job *job);

/* Called by shards. With @slow_ns every message wastes that much time. */
rota_id word_spawn(uint64_t slow_ns);

/* Make all actors but the words' and start the readers. */
void job_start(struct job *job, rota_engine *engine);

/* Wait for the end; then job->outcome is complete. */
void job_wait(struct job *job);

/* After the engine's end: free what the outcome holds. */
void job_fini(struct job *job);

#endif
