/* SPDX-License-Identifier: MIT */
/*
 * words - the order of words, for ties
 */
#include "words.h"

int word_compare(const struct word_key *x, const struct word_key *y)
{
	char room_x[WORD_PACKED], room_y[WORD_PACKED];
	const char *text_x = word_unpack(x, room_x);
	const char *text_y = word_unpack(y, room_y);
	uint64_t shorter = x->length < y->length ? x->length : y->length;
	int order = memcmp(text_x, text_y, (size_t)shorter);

	if (order != 0)
		return order;
	return (x->length > y->length) - (x->length < y->length);
}
