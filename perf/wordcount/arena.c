/* SPDX-License-Identifier: MIT */
/*
 * arena - bytes that are only ever added and all go at once
 */
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "common.h"

#define CHUNK ((size_t)1 << 18)

struct arena_chunk {
	struct arena_chunk *next;
	size_t used;
	char bytes[];
};

static struct arena_chunk *new_chunk(struct arena *arena, size_t size)
{
	struct arena_chunk *chunk = must_allocate(sizeof(*chunk) + size);

	chunk->used = 0;
	arena->bytes += sizeof(*chunk) + size;
	return chunk;
}

/*
 * A text too big for the room left gets a chunk; one that would leave most of
 * an ordinary chunk's room unused goes behind the first, which stays in use.
 */
static struct arena_chunk *chunk_for(struct arena *arena, size_t length)
{
	struct arena_chunk *chunk;

	if (length <= arena->left)
		return arena->chunks;
	if (length > CHUNK / 4 && arena->chunks != NULL) {
		chunk = new_chunk(arena, length);
		chunk->next = arena->chunks->next;
		arena->chunks->next = chunk;
		return chunk;
	}
	chunk = new_chunk(arena, length > CHUNK ? length : CHUNK);
	chunk->next = arena->chunks;
	arena->chunks = chunk;
	arena->left = length > CHUNK ? length : CHUNK;
	return chunk;
}

char *arena_copy(struct arena *arena, const char *text, size_t length)
{
	struct arena_chunk *chunk = chunk_for(arena, length);
	char *copy = chunk->bytes + chunk->used;

	memcpy(copy, text, length);
	chunk->used += length;
	if (chunk == arena->chunks)
		arena->left -= length;
	return copy;
}

void arena_fini(struct arena *arena)
{
	struct arena_chunk *chunk = arena->chunks;

	while (chunk != NULL) {
		struct arena_chunk *next = chunk->next;

		free(chunk);
		chunk = next;
	}
	*arena = (struct arena){0};
}
