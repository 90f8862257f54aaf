/* SPDX-License-Identifier: MIT */
/*
 * message - do payloads fit their blocks, and blocks find back to their pools?
 */
#include <stdlib.h>
#include <string.h>

#include "mailbox/message.h"
#include "tests/check.h"
#include "tests/unit/chunks.h"

static struct chunks chunks;
static struct source source;
static struct message_pools pools;
static struct magazine magazines[MESSAGE_CLASSES];

static void begin(void)
{
	chunks = (struct chunks){.left = SIZE_MAX, .max_once = SIZE_MAX};
	source_init(&source, chunks_map, chunks_unmap, &chunks);
	memset(magazines, 0, sizeof(magazines));
	message_pools_init(&pools, &source);
}

static void end(void)
{
	source_fini(&source);
	cr_assert_eq(chunks.n_extents, 0);
}

static struct message *get(size_t length)
{
	return message_get(&pools, magazines, length);
}

static void put(struct message *message)
{
	message_put(&pools, magazines, message);
}

static size_t in_use(void)
{
	size_t n = 0;

	for (unsigned i = 0; i < MESSAGE_CLASSES; i++) {
		pool_flush(&pools.of[i], &magazines[i]);
		n += pool_in_use(&pools.of[i]);
	}
	return n;
}

/* Lengths around every edge, and some between. */
static size_t next_length(size_t length)
{
	size_t edge = 64;

	if (length < 200)
		return length + 1;
	while (edge + MESSAGE_LARGE_HEADER < length)
		edge *= 2;
	if (length + 2 * MESSAGE_LARGE_HEADER + 8 < edge)
		return edge - 2 * MESSAGE_LARGE_HEADER - 8;
	if (length <= edge + 8 || length + 8 >= MESSAGE_MAX)
		return length + 1;
	return length + edge / 3;
}

#define FOR_EACH_LENGTH(length)                        \
	for (size_t length = 0; length <= MESSAGE_MAX; \
	     length = next_length(length))

Test(message, length_is_remembered, .init = begin, .fini = end)
{
	FOR_EACH_LENGTH(length)
	{
		struct message *message = get(length);

		cr_assert_not_null(message);
		cr_assert_eq(message_length(message), length);
		memset(message_payload(message), 0xff, length);
		cr_assert_eq(message_length(message), length);
		put(message);
	}
}

Test(message, blocks_leave_six_bits_of_their_address, .init = begin,
     .fini = end)
{
	FOR_EACH_LENGTH(length)
	{
		struct message *message = get(length);

		cr_assert_eq((uintptr_t)message & 63, 0);
		cr_assert_eq((uintptr_t)message >> 47, 0);
	}
}

Test(message, payload_lies_within_its_block, .init = begin, .fini = end)
{
	FOR_EACH_LENGTH(length)
	{
		struct message *message = get(length);
		size_t size = pools.of[message_class(message)].block_size;
		char *payload = message_payload(message);

		cr_assert_geq(payload, (char *)message + 24);
		cr_assert_leq(payload + length, (char *)message + size,
			      "%zu bytes", length);
		cr_assert_eq((uintptr_t)payload % 8, 0);
		put(message);
	}
}

static struct message *get_extended(size_t length)
{
	return message_get_extended(&pools, magazines, length);
}

/* An extension lies between the two, and keeps what it was given. */
Test(message, extension_lies_before_the_payload, .init = begin, .fini = end)
{
	FOR_EACH_LENGTH(length)
	{
		struct message *message = get_extended(length);
		size_t size = pools.of[message_class(message)].block_size;
		struct message_extension *extension =
			message_extension(message);
		char *payload = message_payload(message);

		cr_assert_not_null(extension);
		*extension = (struct message_extension){1, 2, 3};
		memset(payload, 0xff, length);
		cr_assert_eq(message_length(message), length);
		cr_assert_eq(extension->deadline_ns, 1);
		cr_assert_eq(extension->token, 2);
		cr_assert_eq(extension->taken, 3);
		cr_assert_eq((uintptr_t)payload % 8, 0);
		cr_assert_leq(payload + length, (char *)message + size,
			      "%zu bytes", length);
		put(message);
	}
}

Test(message, extension_and_a_small_payload_fit_one_line, .init = begin,
     .fini = end)
{
	for (size_t length = 0; length <= 48; length++) {
		struct message *message = get_extended(length);

		cr_assert_eq(message_class(message), length > 16);
		put(message);
	}
}

Test(message, plain_ones_have_no_extension, .init = begin, .fini = end)
{
	struct message *message = get(40);

	cr_assert_null(message_extension(message));
	cr_assert_eq(message_payload(message), message_plain_payload(message));
	put(message);
}

/* ... and the block is the smallest that will do. */
Test(message, blocks_are_no_larger_than_need_be, .init = begin, .fini = end)
{
	FOR_EACH_LENGTH(length)
	{
		struct message *message = get(length);
		unsigned class = message_class(message);

		if (class > 0)
			cr_assert_gt(length + 32,
				     pools.of[class - 1].block_size);
		cr_assert_eq(class == 0, length <= MESSAGE_INLINE);
		put(message);
	}
}

/* Each byte of each payload is its own. */
Test(message, payloads_do_not_overlap, .init = begin, .fini = end)
{
	enum { N = 800 };
	static struct message *message[N];

	srand(6);
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < N; i++) {
			size_t length = (size_t)rand() %
					((size_t)1 << (rand() % 17 + 1));

			if (length > MESSAGE_MAX)
				length = MESSAGE_MAX;
			message[i] = get(length);
			message_set(message[i], (uint32_t)i, 7, 0,
				    message[i]->size);
			memset(message_payload(message[i]), i, length);
		}
		for (int i = 0; i < N; i++) {
			unsigned char *byte = message_payload(message[i]);
			size_t length = message_length(message[i]);

			cr_assert_eq(message[i]->generation, (uint32_t)i);
			for (size_t k = 0; k < length; k++)
				cr_assert_eq(byte[k], (unsigned char)i);
			put(message[i]);
		}
	}
}

Test(message, put_finds_the_pool_it_came_from, .init = begin, .fini = end)
{
	static struct message *message[10000];
	size_t n = 0;

	FOR_EACH_LENGTH(length)
	{
		message[n] = get(length);
		message_set(message[n], 1, 2, MESSAGE_URGENT, message[n]->size);
		n++;
	}
	cr_assert_eq(in_use(), n);
	while (n > 0) {
		unsigned class = message_class(message[--n]);
		struct pool *pool = &pools.of[class];
		size_t before;

		pool_flush(pool, &magazines[class]);
		before = pool_in_use(pool);
		put(message[n]);
		pool_flush(pool, &magazines[class]);
		cr_assert_eq(pool_in_use(pool), before - 1);
	}
	cr_assert_eq(in_use(), 0);
}

Test(message, without_memory_there_is_none, .init = begin, .fini = end)
{
	static const size_t lengths[] = {0, 40, 41, 97, 4000, MESSAGE_MAX};

	chunks.left = 0;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++)
		cr_assert_null(get(lengths[i]));
	cr_assert_eq(in_use(), 0);
	chunks.left = MESSAGE_CLASSES;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++)
		cr_assert_not_null(get(lengths[i]));
}

/* ---- the header ---- */

static void expect_fields(uint32_t generation, unsigned tag, unsigned flags,
			  unsigned size)
{
	struct message message;

	memset(&message, 0xa5, sizeof(message));
	message_set(&message, generation, tag, flags, size);
	cr_assert_eq(message.generation, generation);
	cr_assert_eq(message.tag, tag);
	cr_assert_eq(message.flags, flags);
	cr_assert_eq(message.size, size);
	for (size_t i = 0, from = offsetof(struct message, xhead);
	     i < sizeof(message); i++)
		if (i < from || i >= from + sizeof(message.xhead))
			cr_assert_eq(((unsigned char *)&message)[i], 0xa5);
}

Test(message, set_writes_four_fields_and_nothing_else)
{
	expect_fields(0, 0, 0, 0);
	expect_fields(UINT32_MAX, 0, 0, 0);
	expect_fields(0, UINT16_MAX, 0, 0);
	expect_fields(0, 0, UINT8_MAX, 0);
	expect_fields(0, 0, 0, UINT8_MAX);
	expect_fields(0x12345678, 0x9abc, 0xde, 0xf1);
}

Test(message, small_copies_are_exact)
{
	unsigned char from[64], to[64];

	for (unsigned i = 0; i < 64; i++)
		from[i] = (unsigned char)(i + 1);
	for (size_t length = 0; length <= MESSAGE_INLINE; length++) {
		memset(to, 0xee, sizeof(to));
		message_copy_inline(to + 8, from + 3, length);
		for (size_t i = 0; i < sizeof(to); i++)
			cr_assert_eq(to[i], i >= 8 && i < 8 + length
						    ? from[i - 8 + 3]
						    : 0xee);
	}
}
