/* SPDX-License-Identifier: MIT */
/*
 * generate - text that is the same on every machine, for a seed and a size
 *
 * The rank of a word is drawn in two steps, first how many binary digits it
 * has, then the digits: each octave of ranks is equally likely, which is
 * Zipf's law in steps and needs no floating point. A rank is spelled in
 * syllables so that low ranks are short and no two ranks look the same.
 */
#include <string.h>

#include "generate.h"

#define OCTAVES 20
#define TOKEN_ROOM 16 /* four syllables, a full stop, up to two line ends */

size_t generate_pieces(uint64_t size)
{
	return (size_t)((size + GENERATE_PIECE - 1) / GENERATE_PIECE);
}

static uint64_t scramble(uint64_t value)
{
	value = (value ^ value >> 31) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
	return value ^ value >> 30;
}

static uint64_t draw(struct generator *generator)
{
	generator->random += UINT64_C(0x9e3779b97f4a7c15);
	return scramble(generator->random);
}

void generate_begin(struct generator *generator, uint64_t seed, uint64_t size,
		    size_t index)
{
	uint64_t start = (uint64_t)index * GENERATE_PIECE;
	uint64_t left = size - start;

	*generator = (struct generator){
		.random = scramble(scramble(seed + 1) + index),
		.left = left < GENERATE_PIECE ? left : GENERATE_PIECE,
		.in_line = 8,
	};
}

/* Bijective numeration in base 50: every rank is spelled in just one way. */
static unsigned spell(uint32_t rank, char *text)
{
	static const char consonants[] = "tnsrhldcmp";
	static const char vowels[] = "eaiou";
	unsigned length = 0;

	while (rank > 0) {
		uint32_t digit = (rank - 1) % 50;

		rank = (rank - 1) / 50;
		text[length++] = consonants[digit / 5];
		text[length++] = vowels[digit % 5];
	}
	return length;
}

/* One word and what separates it from the next. */
static unsigned next_token(struct generator *generator, char *text)
{
	uint64_t chance = draw(generator);
	uint32_t octave = (uint32_t)((chance >> 32) * OCTAVES >> 32);
	uint32_t rank = (UINT32_C(1) << octave) |
			((uint32_t)chance & ((UINT32_C(1) << octave) - 1));
	unsigned length = spell(rank, text);

	if (--generator->in_line > 0) {
		text[length++] = ' ';
		return length;
	}
	chance = draw(generator);
	generator->in_line = 6 + (unsigned)(chance & 7);
	if ((chance >> 3 & 3) == 0)
		text[length++] = '.';
	text[length++] = '\n';
	if ((chance >> 5 & 15) == 0)
		text[length++] = '\n';
	return length;
}

/* Bytes left over from a token that did not fit. */
static size_t read_pending(struct generator *generator, char *buffer,
			   size_t size)
{
	size_t n = generator->pending < size ? generator->pending : size;

	memcpy(buffer,
	       generator->token + sizeof(generator->token) - generator->pending,
	       n);
	generator->pending -= (unsigned)n;
	return n;
}

size_t generate_read(struct generator *generator, char *buffer, size_t size)
{
	size_t done;

	if (size > generator->left)
		size = (size_t)generator->left;
	done = read_pending(generator, buffer, size);
	while (done + TOKEN_ROOM <= size)
		done += next_token(generator, buffer + done);
	while (done < size) {
		char token[TOKEN_ROOM];
		unsigned length = next_token(generator, token);

		memcpy(generator->token + sizeof(generator->token) - length,
		       token, length);
		generator->pending = length;
		done += read_pending(generator, buffer + done, size - done);
	}
	generator->left -= done;
	return done;
}
