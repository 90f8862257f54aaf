/* SPDX-License-Identifier: MIT */
/*
 * words - where a word begins and ends, and what stands for it in a table
 *
 * A word is a maximal run of bytes that are not white space in the C locale:
 * blank, tab, line feed, vertical tab, form feed, carriage return. All other
 * bytes, NUL too, belong to words.
 *
 * A key is a word in a form that compares quickly. Of up to 16 bytes it holds
 * them all, as two overlapping loads (together with the length nothing is
 * lost: word_unpack() gives the bytes back), so that finding one of the common
 * words touches one cache line. Of longer words it holds hash and address.
 */
#ifndef WORDCOUNT_WORDS_H
#define WORDCOUNT_WORDS_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define WORD_PACKED 16

struct word_key {
	uint64_t length; /* at least 1 */
	uint64_t a;	 /* packed: first bytes; else the hash */
	uint64_t b;	 /* packed: last bytes; else where the text is */
};

static inline bool is_space(unsigned char c)
{
	return c == ' ' || (unsigned)(c - '\t') < 5u;
}

static inline uint64_t load64(const char *p)
{
	uint64_t value;

	memcpy(&value, p, sizeof(value));
	return value;
}

static inline uint32_t load32(const char *p)
{
	uint32_t value;

	memcpy(&value, p, sizeof(value));
	return value;
}

/* The same for 8 bytes at once: the top bit of each byte that is a space. */
static inline uint64_t spaces(uint64_t bytes)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t low = bytes & 0x7f * ones; /* sums stay inside their byte */
	uint64_t from_tab = low + (0x80 - '\t') * ones;
	uint64_t after_return = low + (0x80 - '\r' - 1) * ones;
	uint64_t not_blank = (low ^ ' ' * ones) + 0x7f * ones;

	return ((from_tab & ~after_return) | ~not_blank) & ~bytes & 0x80 * ones;
}

/* Where the first space at or after @from is, or @end. */
static inline const char *word_end(const char *from, const char *end)
{
	uint64_t found;

	while (end - from >= 8) {
		found = spaces(le64toh(load64(from)));
		if (found != 0)
			return from + __builtin_ctzll(found) / 8;
		from += 8;
	}
	while (from < end && !is_space((unsigned char)*from))
		from++;
	return from;
}

/*
 * The first word at or after @from; *@length is its length, 0 if there is no
 * more.
 */
static inline const char *word_next(const char *from, const char *end,
				    size_t *length)
{
	while (from < end && is_space((unsigned char)*from))
		from++;
	*length = (size_t)(word_end(from, end) - from);
	return from;
}

/* Two multiplications, each followed by a fold of its good upper half. */
static inline uint64_t hash_mix(uint64_t a, uint64_t b, uint64_t length)
{
	uint64_t hash = (a + length) * UINT64_C(0x9e3779b97f4a7c15);

	hash ^= hash >> 32;
	hash = (hash + b) * UINT64_C(0xd6e8feb86659fd93);
	hash ^= hash >> 29;
	hash *= UINT64_C(0xff51afd7ed558ccd);
	return hash ^ hash >> 32;
}

/* Words longer than WORD_PACKED: 16 bytes a step, the last ones overlapping. */
static inline uint64_t hash_long(const char *text, size_t length)
{
	uint64_t hash = length;
	size_t at;

	for (at = 0; at + 16 < length; at += 16)
		hash = hash_mix(load64(text + at), load64(text + at + 8), hash);
	return hash_mix(load64(text + length - 16), load64(text + length - 8),
			hash);
}

static inline struct word_key word_key(const char *text, size_t length)
{
	struct word_key key = {.length = length};

	if (length > WORD_PACKED) {
		key.a = hash_long(text, length);
		key.b = (uint64_t)(uintptr_t)text;
	} else if (length >= 8) {
		key.a = load64(text);
		key.b = load64(text + length - 8);
	} else if (length >= 4) {
		key.a = load32(text);
		key.b = load32(text + length - 4);
	} else {
		key.a = (unsigned char)text[0];
		key.b = (uint64_t)(unsigned char)text[length / 2] << 8 |
			(unsigned char)text[length - 1];
	}
	return key;
}

/* The shard comes from the upper half of it, the place in it from the lower. */
static inline uint64_t word_hash(const struct word_key *key)
{
	if (key->length > WORD_PACKED)
		return key->a;
	return hash_mix(key->a, key->b, key->length);
}

static inline bool word_equal(const struct word_key *x,
			      const struct word_key *y)
{
	if (x->length != y->length || x->a != y->a)
		return false;
	if (x->length <= WORD_PACKED)
		return x->b == y->b;
	return memcmp((const char *)(uintptr_t)x->b,
		      (const char *)(uintptr_t)y->b, (size_t)x->length) == 0;
}

/* The bytes of a word: in @room if it is packed, else where they are kept. */
static inline const char *word_unpack(const struct word_key *key,
				      char room[static WORD_PACKED])
{
	size_t length = (size_t)key->length;
	uint32_t a = (uint32_t)key->a, b = (uint32_t)key->b;

	if (length > WORD_PACKED)
		return (const char *)(uintptr_t)key->b;
	if (length >= 8) {
		memcpy(room, &key->a, 8);
		memcpy(room + length - 8, &key->b, 8);
	} else if (length >= 4) {
		memcpy(room, &a, 4);
		memcpy(room + length - 4, &b, 4);
	} else {
		room[0] = (char)a;
		room[length / 2] = (char)(b >> 8);
		room[length - 1] = (char)b;
	}
	return room;
}

/* Which of @n shards owns a word of this hash. */
static inline unsigned word_shard(uint64_t hash, unsigned n)
{
	return (unsigned)((hash >> 32) * n >> 32);
}

/* Order by bytes; of two where one begins the other, the shorter first. */
int word_compare(const struct word_key *x, const struct word_key *y);

#endif
