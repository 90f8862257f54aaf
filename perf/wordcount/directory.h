/* SPDX-License-Identifier: MIT */
/*
 * directory - which words there are, and a number for each
 *
 * What a shard keeps: an open-addressed table of its own, in its own memory.
 * The number is the id of the word's actor while counting goes on and the
 * word's count afterwards.
 */
#ifndef WORDCOUNT_DIRECTORY_H
#define WORDCOUNT_DIRECTORY_H

#include "arena.h"
#include "words.h"

/* Half a cache line; free where the length is 0. */
struct directory_slot {
	struct word_key key;
	uint64_t value;
};

struct directory {
	struct directory_slot *slots;
	size_t mask; /* number of slots - 1 */
	size_t used;
	struct arena arena; /* the text of words that are not packed */
};

void directory_init(struct directory *directory);
void directory_fini(struct directory *directory);

/* Put in a word that is not there, with value 0; its text is copied. */
struct directory_slot *directory_add(struct directory *directory,
				     const struct word_key *key, uint64_t hash);

/* The word's slot, or NULL. Valid until the next directory_add(). */
static inline struct directory_slot *
directory_find(const struct directory *directory, const struct word_key *key,
	       uint64_t hash)
{
	size_t at = (size_t)hash & directory->mask;
	struct directory_slot *slot = &directory->slots[at];

	while (slot->key.length != 0) {
		if (word_equal(&slot->key, key))
			return slot;
		at = (at + 1) & directory->mask;
		slot = &directory->slots[at];
	}
	return NULL;
}

/* Fetch the memory that directory_find() will look at first. */
static inline void directory_prefetch(const struct directory *directory,
				      uint64_t hash)
{
	__builtin_prefetch(&directory->slots[(size_t)hash & directory->mask]);
}

/* Bytes held. */
static inline size_t directory_bytes(const struct directory *directory)
{
	return (directory->mask + 1) * sizeof(directory->slots[0]) +
	       directory->arena.bytes;
}

#endif
