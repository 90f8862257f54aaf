/* SPDX-License-Identifier: MIT */
/*
 * directory - which words there are, and a number for each
 *
 * Linear probing, at most three quarters full; the slots are half a line, so
 * that a probe rarely leaves the line it started on. Growth moves everything
 * at once: a stop of some milliseconds for this shard, seen by nobody else but
 * as a full mailbox.
 */
#include <stdlib.h>

#include "common.h"
#include "directory.h"

#define FIRST_SLOTS 1024

void directory_init(struct directory *directory)
{
	*directory = (struct directory){.mask = FIRST_SLOTS - 1};
	directory->slots =
		must_allocate_table(FIRST_SLOTS * sizeof(directory->slots[0]));
}

void directory_fini(struct directory *directory)
{
	free(directory->slots);
	arena_fini(&directory->arena);
	*directory = (struct directory){0};
}

static struct directory_slot *free_slot(const struct directory *directory,
					uint64_t hash)
{
	size_t at = (size_t)hash & directory->mask;

	while (directory->slots[at].key.length != 0)
		at = (at + 1) & directory->mask;
	return &directory->slots[at];
}

static void grow(struct directory *directory)
{
	struct directory_slot *old = directory->slots;
	size_t i, n = directory->mask + 1;

	directory->mask = 2 * n - 1;
	directory->slots = must_allocate_table(2 * n * sizeof(old[0]));
	for (i = 0; i < n; i++) {
		if (old[i].key.length != 0)
			*free_slot(directory, word_hash(&old[i].key)) = old[i];
	}
	free(old);
}

struct directory_slot *directory_add(struct directory *directory,
				     const struct word_key *key, uint64_t hash)
{
	struct directory_slot *slot;

	if (directory->used >= (directory->mask + 1) / 4 * 3)
		grow(directory);
	slot = free_slot(directory, hash);
	slot->key = *key;
	slot->value = 0;
	if (key->length > WORD_PACKED)
		slot->key.b = (uint64_t)(uintptr_t)arena_copy(
			&directory->arena, (const char *)(uintptr_t)key->b,
			(size_t)key->length);
	directory->used++;
	return slot;
}
