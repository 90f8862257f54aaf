/* SPDX-License-Identifier: MIT */
/*
 * check - whether the actors and the sequential count agree
 */
#include <inttypes.h>
#include <stdio.h>

#include "check.h"
#include "print.h"

#define MOST_NAMED 10

static uint64_t check_sum(const char *what, uint64_t actors,
			  uint64_t sequential)
{
	if (actors == sequential)
		return 0;
	fprintf(stderr,
		"wordcount: %s differ: actors %" PRIu64 ", sequential %" PRIu64
		"\n",
		what, actors, sequential);
	return 1;
}

uint64_t check_totals(const struct job *job,
		      const struct sequential *sequential)
{
	const struct outcome *outcome = &job->outcome;

	return check_sum("items read", outcome->reading.items,
			 sequential->items) +
	       check_sum("items skipped", outcome->skipped,
			 sequential->skipped) +
	       check_sum("bytes", outcome->reading.bytes, sequential->bytes) +
	       check_sum("lines", outcome->reading.lines, sequential->lines) +
	       check_sum("words", outcome->counted, sequential->words) +
	       check_sum("distinct words", outcome->distinct,
			 sequential->distinct);
}

static void name_difference(uint64_t already, const char *text, size_t length,
			    uint64_t actors, uint64_t sequential)
{
	char shown[PRINT_WORD_ROOM];

	if (already >= MOST_NAMED)
		return;
	print_word(shown, text, length);
	fprintf(stderr,
		"wordcount: \"%s\": actors %" PRIu64 ", sequential %" PRIu64
		"\n",
		shown, actors, sequential);
}

static uint64_t actors_count(const struct job *job, const char *text,
			     size_t length)
{
	struct word_key key = word_key(text, length);
	uint64_t hash = word_hash(&key);
	const struct tally *tally =
		job->outcome.tallies[word_shard(hash, job->n_shards)];
	const struct directory_slot *slot =
		directory_find(&tally->directory, &key, hash);

	return slot != NULL ? slot->value : 0;
}

/* Words that the sequential count has seen. */
static uint64_t check_sequential(const struct job *job,
				 const struct sequential *sequential)
{
	uint64_t count, n = 0;
	size_t i;

	for (i = 0; i <= sequential->mask; i++) {
		const struct sequential_slot *slot = &sequential->slots[i];

		if (slot->length == 0)
			continue;
		count = actors_count(job, slot->text, slot->length);
		if (count != slot->count)
			name_difference(n++, slot->text, slot->length, count,
					slot->count);
	}
	return n;
}

/* Words that only the actors have seen; @n differences were named before. */
static uint64_t check_directory(const struct directory *directory,
				const struct sequential *sequential, uint64_t n)
{
	uint64_t before = n;
	size_t i;

	for (i = 0; i <= directory->mask; i++) {
		const struct directory_slot *slot = &directory->slots[i];
		char room[WORD_PACKED];
		const char *text;

		if (slot->key.length == 0)
			continue;
		text = word_unpack(&slot->key, room);
		if (sequential_find(sequential, text,
				    (size_t)slot->key.length) == 0)
			name_difference(n++, text, (size_t)slot->key.length,
					slot->value, 0);
	}
	return n - before;
}

uint64_t check_words(const struct job *job, const struct sequential *sequential)
{
	uint64_t n = check_sequential(job, sequential);
	unsigned i;

	for (i = 0; i < job->n_shards; i++)
		n += check_directory(&job->outcome.tallies[i]->directory,
				     sequential, n);
	return n;
}
