/* SPDX-License-Identifier: MIT */
/*
 * print - results, for people and for programs
 */
#ifndef WORDCOUNT_PRINT_H
#define WORDCOUNT_PRINT_H

#include "job.h"
#include "sequential.h"

/* What was measured around the actors' count. */
struct measured {
	unsigned workers;
	double seconds;
	uint64_t messages, turns, waits, overdrafts, steals, wakeups;
	uint64_t dead_letters;
	uint64_t actors;       /* of words */
	uint64_t engine_bytes; /* by how much the engine's memory grew */
	uint64_t resident;     /* and that of the process */
	uint64_t peak;	       /* the most the process has had */
};

enum verdict {
	VERDICT_NONE, /* not compared word by word */
	VERDICT_PASSED,
	VERDICT_FAILED
};

/* Totals and the most frequent words. Used by the report actor. */
void print_counts(const struct outcome *outcome);

/* What follows them; @sequential may be NULL. */
void print_measured(const struct job *job, const struct measured *measured,
		    const struct sequential *sequential, enum verdict verdict);

/* All of it as one JSON object. */
void print_json(const struct job *job, const struct measured *measured,
		const struct sequential *sequential, enum verdict verdict,
		uint64_t differences);

/*
 * A word as it can be shown: bytes that are not plain text as \xHH, long ones
 * cut.
 */
#define PRINT_WORD_ROOM 320
void print_word(char room[static PRINT_WORD_ROOM], const char *text,
		size_t length);

#endif
