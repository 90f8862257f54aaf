/* SPDX-License-Identifier: MIT */
/*
 * sequential - the same count by one thread and no actors
 */
#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "sequential.h"
#include "source.h"

#define BLOCK ((size_t)256 << 10)
#define FIRST_SLOTS ((size_t)1 << 16)

/* What is between reading and counting. */
struct scan {
	struct sequential *to;
	bool is_space[256];
	char *block;
	size_t room, filled;
};

static const uint64_t hash_start = UINT64_C(0xcbf29ce484222325);

static inline uint64_t hash_step(uint64_t hash, unsigned char byte)
{
	return (hash ^ byte) * UINT64_C(0x100000001b3);
}

/* The low bits choose the slot; fold in the high ones, which are better. */
static inline uint64_t hash_end(uint64_t hash)
{
	return hash ^ hash >> 32;
}

static struct sequential_slot *place(const struct sequential *sequential,
				     uint64_t hash, const char *text,
				     size_t length)
{
	size_t at = (size_t)hash & sequential->mask;
	struct sequential_slot *slot = &sequential->slots[at];

	while (slot->length != 0 &&
	       (slot->hash != hash || slot->length != length ||
		memcmp(slot->text, text, length) != 0)) {
		at = (at + 1) & sequential->mask;
		slot = &sequential->slots[at];
	}
	return slot;
}

static void grow(struct sequential *sequential)
{
	struct sequential_slot *old = sequential->slots;
	size_t i, at, n = sequential->mask + 1;

	sequential->mask = 2 * n - 1;
	sequential->slots = must_allocate_table(2 * n * sizeof(old[0]));
	for (i = 0; i < n; i++) {
		if (old[i].length == 0)
			continue;
		at = (size_t)old[i].hash & sequential->mask;
		while (sequential->slots[at].length != 0)
			at = (at + 1) & sequential->mask;
		sequential->slots[at] = old[i];
	}
	free(old);
}

static void count_word(struct sequential *sequential, uint64_t hash,
		       const char *text, size_t length)
{
	struct sequential_slot *slot = place(sequential, hash, text, length);

	sequential->words++;
	if (slot->length != 0) {
		slot->count++;
		return;
	}
	*slot = (struct sequential_slot){
		.hash = hash,
		.count = 1,
		.text = arena_copy(&sequential->arena, text, length),
		.length = length,
	};
	if (++sequential->distinct > (sequential->mask + 1) / 4 * 3)
		grow(sequential);
}

/*
 * Count the words in the block; of the last one what may go on in the next
 * block is left at the start, unless this is the end.
 */
static void count_block(struct scan *scan, bool is_end)
{
	const char *at = scan->block, *end = scan->block + scan->filled;
	const char *start = at;

	while (at < end) {
		uint64_t hash = hash_start;

		while (at < end && scan->is_space[(unsigned char)*at])
			at++;
		for (start = at;
		     at < end && !scan->is_space[(unsigned char)*at]; at++)
			hash = hash_step(hash, (unsigned char)*at);
		if (at > start && (at < end || is_end)) {
			count_word(scan->to, hash_end(hash), start,
				   (size_t)(at - start));
			start = at;
		}
	}
	scan->filled = (size_t)(end - start);
	memmove(scan->block, start, scan->filled);
}

static uint64_t count_line_ends(const char *text, size_t length)
{
	const char *end = text + length;
	uint64_t n = 0;

	while ((text = memchr(text, '\n', (size_t)(end - text))) != NULL) {
		text++;
		n++;
	}
	return n;
}

static void fit_room(struct scan *scan)
{
	if (scan->filled == scan->room)
		scan->room *= 2;
	else if (scan->room > BLOCK && scan->filled < BLOCK)
		scan->room = BLOCK;
	else
		return;
	scan->block = must_reallocate(scan->block, scan->room);
}

static bool count_item(struct scan *scan, struct source *source)
{
	struct sequential *to = scan->to;
	bool in_line = false;
	ssize_t got;

	while ((got = source_read(source, scan->block + scan->filled,
				  scan->room - scan->filled)) > 0) {
		const char *text = scan->block + scan->filled;

		to->bytes += (size_t)got;
		to->lines += count_line_ends(text, (size_t)got);
		in_line = text[got - 1] != '\n';
		scan->filled += (size_t)got;
		count_block(scan, false);
		fit_room(scan);
	}
	to->lines += in_line;
	count_block(scan, true);
	return got == 0;
}

static void count_items(struct scan *scan, const struct input *input)
{
	struct source source = {0};
	size_t item, n = input_items(input);

	for (item = 0; item < n; item++) {
		bool is_whole = false;

		if (source_open(&source, input, item) == 0) {
			is_whole = count_item(scan, &source);
			source_close(&source);
		}
		if (is_whole)
			scan->to->items++;
		else
			scan->to->skipped++;
	}
	source_release(&source);
}

void sequential_count(struct sequential *sequential, const struct input *input)
{
	struct scan scan = {.to = sequential, .room = BLOCK};
	double start = now();
	int c;

	*sequential = (struct sequential){.mask = FIRST_SLOTS - 1};
	sequential->slots =
		must_allocate_table(FIRST_SLOTS * sizeof(sequential->slots[0]));
	for (c = 0; c < 256; c++)
		scan.is_space[c] = isspace(c) != 0;
	scan.block = must_allocate(BLOCK);
	count_items(&scan, input);
	free(scan.block);
	sequential->seconds = now() - start;
}

uint64_t sequential_find(const struct sequential *sequential, const char *text,
			 size_t length)
{
	uint64_t hash = hash_start;
	const struct sequential_slot *slot;
	size_t i;

	for (i = 0; i < length; i++)
		hash = hash_step(hash, (unsigned char)text[i]);
	slot = place(sequential, hash_end(hash), text, length);
	return slot->length != 0 ? slot->count : 0;
}

void sequential_fini(struct sequential *sequential)
{
	free(sequential->slots);
	arena_fini(&sequential->arena);
}
