/* SPDX-License-Identifier: MIT */
/*
 * top - the most frequent words
 */
#include "top.h"

static bool goes_before(const struct word_key *key, uint64_t count,
			const struct top_word *other)
{
	if (count != other->count)
		return count > other->count;
	return word_compare(key, &other->key) < 0;
}

void top_offer(struct top *top, const struct word_key *key, uint64_t count)
{
	unsigned at = top->n;

	if (at == TOP_WORDS) {
		if (!goes_before(key, count, &top->words[at - 1]))
			return;
		at--;
	} else {
		top->n++;
	}
	while (at > 0 && goes_before(key, count, &top->words[at - 1])) {
		top->words[at] = top->words[at - 1];
		at--;
	}
	top->words[at] = (struct top_word){.key = *key, .count = count};
}

void top_merge(struct top *top, const struct top *other)
{
	unsigned i;

	for (i = 0; i < other->n; i++)
		top_offer(top, &other->words[i].key, other->words[i].count);
}
