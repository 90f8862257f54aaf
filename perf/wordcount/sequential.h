/* SPDX-License-Identifier: MIT */
/*
 * sequential - the same count by one thread and no actors
 *
 * Written the straightforward way, to be timed beside the actors and to be
 * compared with them. It shares with them how the input is read and nothing of
 * how it is cut and counted.
 */
#ifndef WORDCOUNT_SEQUENTIAL_H
#define WORDCOUNT_SEQUENTIAL_H

#include "arena.h"
#include "input.h"

/* Free where the length is 0. */
struct sequential_slot {
	uint64_t hash;
	uint64_t count;
	const char *text;
	size_t length;
};

struct sequential {
	struct sequential_slot *slots;
	size_t mask; /* number of slots - 1 */
	struct arena arena;
	uint64_t distinct, words, lines, bytes;
	size_t items, skipped;
	double seconds;
};

void sequential_count(struct sequential *sequential, const struct input *input);

/* How often a word was seen; 0: never. */
uint64_t sequential_find(const struct sequential *sequential, const char *text,
			 size_t length);

void sequential_fini(struct sequential *sequential);

#endif
