/* SPDX-License-Identifier: MIT */
/*
 * arena - bytes that are only ever added and all go at once
 */
#ifndef WORDCOUNT_ARENA_H
#define WORDCOUNT_ARENA_H

#include <stddef.h>

struct arena {
	struct arena_chunk *chunks;
	size_t left;  /* bytes free in the first chunk */
	size_t bytes; /* held in all chunks */
};

/* A copy of @length bytes, not aligned; ends the program without memory. */
char *arena_copy(struct arena *arena, const char *text, size_t length);

void arena_fini(struct arena *arena);

#endif
