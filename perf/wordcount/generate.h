/* SPDX-License-Identifier: MIT */
/*
 * generate - text that is the same on every machine, for a seed and a size
 *
 * Words of Zipf-like frequencies: short ones often, about a million others
 * rarely, and with a full stop each counts as another. The text comes in pieces
 * that can be made in any order, each on its own; a piece is to this program
 * what a file is.
 */
#ifndef WORDCOUNT_GENERATE_H
#define WORDCOUNT_GENERATE_H

#include <stddef.h>
#include <stdint.h>

#define GENERATE_PIECE ((uint64_t)4 << 20)

struct generator {
	uint64_t random;  /* state */
	uint64_t left;	  /* bytes of the piece still to come */
	unsigned in_line; /* words until the line ends */
	unsigned pending; /* bytes of the last token that did not fit */
	char token[24];	  /* that token, its rest at the end */
};

/* How many pieces a text of @size bytes has. */
size_t generate_pieces(uint64_t size);

/* Begin piece @index of the text of @size bytes. */
void generate_begin(struct generator *generator, uint64_t seed, uint64_t size,
		    size_t index);

/* Up to @size bytes more; 0 when the piece is over. */
size_t generate_read(struct generator *generator, char *buffer, size_t size);

#endif
