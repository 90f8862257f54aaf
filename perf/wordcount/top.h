/* SPDX-License-Identifier: MIT */
/*
 * top - the most frequent words
 */
#ifndef WORDCOUNT_TOP_H
#define WORDCOUNT_TOP_H

#include "words.h"

#define TOP_WORDS 20

struct top_word {
	struct word_key key; /* refers to the text where it is kept */
	uint64_t count;
};

/* Highest count first; of equal counts the lower bytes first. */
struct top {
	unsigned n;
	struct top_word words[TOP_WORDS];
};

/* Take in a word if it belongs there. */
void top_offer(struct top *top, const struct word_key *key, uint64_t count);

/* Take in all of another. */
void top_merge(struct top *top, const struct top *other);

#endif
