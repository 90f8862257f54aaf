/* SPDX-License-Identifier: MIT */
/* message - blocks that carry messages */
#include "mailbox/message.h"

#include <assert.h>

/* 64, 128, ... 65,536, and one that holds the largest payload, with all that a
   message may have besides. */
static size_t class_size(unsigned class)
{
	if (class == MESSAGE_CLASSES - 1)
		return MESSAGE_MAX + 2 * CACHE_LINE;
	return (size_t)CACHE_LINE << class;
}

void message_pools_init(struct message_pools *pools, struct source *source)
{
	unsigned class;

	for (class = 0; class < MESSAGE_CLASSES; class ++)
		pool_init(&pools->of[class], class_size(class), source, NULL,
			  NULL, 0);
}

/* A block of a class above the smallest; its length is noted. */
static struct message *get_large(struct message_pools *pools,
				 struct magazine *magazines, size_t length,
				 size_t lead, unsigned flags)
{
	uint64_t stored = length;
	unsigned class = 1;
	struct message *message;

	while (class < MESSAGE_CLASSES &&
	       class_size(class) < length + lead + MESSAGE_LARGE_HEADER)
		class ++;
	assert(class < MESSAGE_CLASSES); /* its length was not checked */
	message = pool_get(&pools->of[class], &magazines[class]);
	if (!message)
		return NULL;
	message_set(message, 0, 0, flags, MESSAGE_LARGE + class);
	memcpy(message->payload, &stored, sizeof(stored));
	return message;
}

struct message *message_get_large(struct message_pools *pools,
				  struct magazine *magazines, size_t length)
{
	return get_large(pools, magazines, length, 0, 0);
}

struct message *message_get_large_extended(struct message_pools *pools,
					   struct magazine *magazines,
					   size_t length)
{
	return get_large(pools, magazines, length,
			 sizeof(struct message_extension), MESSAGE_EXTENDED);
}
