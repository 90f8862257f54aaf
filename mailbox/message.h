/* SPDX-License-Identifier: MIT */
/*
 * message - blocks that carry messages: 24 bytes of header, then the payload
 *
 * A block belongs to one party at a time: its sender until it is pushed, the
 * mailbox, then whoever took it. Blocks are multiples of 64 bytes, aligned to
 * 64, which leaves the low six bits of their address to the mailbox word.
 */
#ifndef ROTA_MAILBOX_MESSAGE_H
#define ROTA_MAILBOX_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <atomic_ops.h>

#include "sched/memory.h"

#define MESSAGE_INLINE 40
#define MESSAGE_MAX 65536
#define MESSAGE_CLASSES 12

enum message_flag {
	MESSAGE_URGENT = 1 << 0,
	MESSAGE_UNCOUNTED = 1 << 1, /* passes the bound: notices, timers */
	MESSAGE_OWNED = 1 << 2,	    /* the payload is a struct owned */
	MESSAGE_TIMER = 1 << 3,	    /* the block is a timer's: see core/timer */
	MESSAGE_EXTENDED = 1 << 4,  /* 24 bytes of deadline and tokens lie
	                               before the payload */
	MESSAGE_CLOSURE = 1 << 5,   /* the payload is a function and what it has
	                               captured: see closure.h */
	MESSAGE_FLUSH = 1 << 6,	    /* no handler sees it: see core/flush */
	MESSAGE_READ = 1 << 7	    /* a request that changes nothing, and may
	                               be handled beside others: see core/reads */
};

/* What a message is. (The order of the fields is little-endian's.) */
struct message_head {
	uint32_t generation; /* of the receiver: bits 0-23; crashes: 24-31 */
	uint16_t tag;
	uint8_t size;  /* 0 ... 40: bytes of payload; else MESSAGE_LARGE +
	                 class */
	uint8_t flags; /* above the size: see message_is_plain() */
};

struct message {
	struct message
		*next; /* older one in the mailbox, newer one in a list */
	/*
	 * Written as one word, by message_set() alone: whoever watches a
	 * worker may look at a message that it neither owns nor keeps. A free
	 * block keeps it.
	 */
	union {
		AO_t xhead; /* relaxed: what is seen in passing is a hint */
		struct {    /* struct message_head, for the owner */
			uint32_t generation;
			uint16_t tag;
			uint8_t size;
			uint8_t flags;
		};
	};
	uint64_t from; /* id of the sender, 0: a thread */
	unsigned char payload[MESSAGE_INLINE]; /* through message_payload() */
};

_Static_assert(sizeof(struct message) == 64, "a message is one cache line");
_Static_assert(sizeof(struct message_head) == sizeof(AO_t), "one word");

union message_word {
	AO_t word;
	struct message_head head;
};

/* Four stores would cost as much as the rest of a small send. */
static inline void message_set(struct message *message, uint32_t generation,
			       unsigned tag, unsigned flags, unsigned size)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	AO_t word = generation | (AO_t)tag << 32 | (AO_t)size << 48 |
		    (AO_t)flags << 56;
#else
	AO_t word =
		((union message_word){.head = {generation, (uint16_t)tag,
					       (uint8_t)size, (uint8_t)flags}})
			.word;
#endif

	/* Relaxed: see above; the owner passes it on by other ways. */
	AO_store(&message->xhead, word);
}

static inline void message_set_flags(struct message *message, unsigned flags)
{
	message_set(message, message->generation, message->tag, flags,
		    message->size);
}

/* For others than the owner: what some message at this address is or was. */
static inline struct message_head message_look(const struct message *message)
{
	/* Relaxed: see above. */
	return (union message_word){.word = AO_load(&message->xhead)}.head;
}

#define MESSAGE_LARGE 128
#define MESSAGE_GENERATION 0xffffffu

static inline uint32_t message_head_generation(AO_t head)
{
	return (union message_word){.word = head}.head.generation &
	       MESSAGE_GENERATION;
}

static inline unsigned message_head_tag(AO_t head)
{
	return (union message_word){.word = head}.head.tag;
}

static inline unsigned message_head_size(AO_t head)
{
	return (union message_word){.word = head}.head.size;
}

/*
 * A small message without any flag, which most are. One
 * comparison says so, as the flags lie right above the size.
 */
static inline bool message_is_plain(AO_t head)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return head >> 48 <= MESSAGE_INLINE;
#else
	struct message_head fields = (union message_word){.word = head}.head;

	return fields.flags == 0 && fields.size <= MESSAGE_INLINE;
#endif
}

/* A moved buffer, as it travels. */
struct owned {
	void *buffer;
	size_t length;
	void (*drop)(void *buffer, size_t length);
};

/* Larger payloads begin with their length. */
#define MESSAGE_LARGE_HEADER 32

/* What a message may have besides: lies right before its payload, if
   EXTENDED. */
struct message_extension {
	uint64_t deadline_ns; /* on the receiver's engine's clock; UINT64_MAX:
	                         none */
	uint64_t token; /* names who waits for an answer; 0: nobody does */
	uint64_t taken; /* the same, once the handler has taken it, to answer
	                   later; else 0 */
};

_Static_assert(sizeof(struct message_extension) == 24, "as D4 says");

/* The pools of all classes. */
struct message_pools {
	struct pool of[MESSAGE_CLASSES];
};

void message_pools_init(struct message_pools *pools, struct source *source);

static inline unsigned message_class(const struct message *message)
{
	return message->size <= MESSAGE_INLINE ? 0
					       : message->size - MESSAGE_LARGE;
}

static inline size_t message_length(const struct message *message)
{
	uint64_t length;

	if (likely(message->size <= MESSAGE_INLINE))
		return message->size;
	memcpy(&length, message->payload, sizeof(length));
	return length;
}

/* Shorten the payload of a large block. */
static inline void message_set_length(struct message *message, size_t length)
{
	uint64_t stored = length;

	memcpy(message->payload, &stored, sizeof(stored));
}

/* Of a message that is not EXTENDED. */
static inline void *message_plain_payload(struct message *message)
{
	if (likely(message->size <= MESSAGE_INLINE))
		return message->payload;
	return (char *)message + MESSAGE_LARGE_HEADER;
}

/* NULL: it has none. */
static inline struct message_extension *
message_extension(struct message *message)
{
	if (likely(!(message->flags & MESSAGE_EXTENDED)))
		return NULL;
	return (struct message_extension *)message_plain_payload(message);
}

static inline void *message_payload(struct message *message)
{
	char *payload = message_plain_payload(message);

	if (unlikely(message->flags & MESSAGE_EXTENDED))
		payload += sizeof(struct message_extension);
	return payload;
}

/* Of a message that is OWNED. */
static inline struct owned message_owned(struct message *message)
{
	struct owned owned;

	memcpy(&owned, message_payload(message), sizeof(owned));
	return owned;
}

/* A block for a payload of more than MESSAGE_INLINE bytes; NULL if there is no
   memory. size is set, the other fields are not. */
struct message *message_get_large(struct message_pools *pools,
				  struct magazine *magazines, size_t length);

/* The same with an extension, for more than MESSAGE_EXTENDED_INLINE bytes. */
struct message *message_get_large_extended(struct message_pools *pools,
					   struct magazine *magazines,
					   size_t length);

#define MESSAGE_EXTENDED_INLINE \
	(MESSAGE_INLINE - sizeof(struct message_extension))

/* A block for an extension and @length bytes; size and EXTENDED are set, the
   other fields are not. NULL if there is no memory. */
static inline struct message *message_get_extended(struct message_pools *pools,
						   struct magazine *magazines,
						   size_t length)
{
	struct message *message;

	if (unlikely(length > MESSAGE_EXTENDED_INLINE))
		return message_get_large_extended(pools, magazines, length);
	message = pool_get(&pools->of[0], &magazines[0]);
	if (likely(message != NULL))
		message_set(message, 0, 0, MESSAGE_EXTENDED, (unsigned)length);
	return message;
}

/* A block for @length bytes; size is set, the other fields are not. */
static inline struct message *message_get(struct message_pools *pools,
					  struct magazine *magazines,
					  size_t length)
{
	struct message *message;

	if (unlikely(length > MESSAGE_INLINE))
		return message_get_large(pools, magazines, length);
	message = pool_get(&pools->of[0], &magazines[0]);
	if (likely(message != NULL))
		message_set(message, 0, 0, 0, (unsigned)length);
	return message;
}

static inline void message_put(struct message_pools *pools,
			       struct magazine *magazines,
			       struct message *message)
{
	unsigned class = message_class(message);

	if (likely(class == 0 &&
		   pool_try_put(&magazines[0], POOL_BATCH, message)))
		return;

	pool_put(&pools->of[class], &magazines[class], message);
}

/*
 * memcpy() of up to MESSAGE_INLINE bytes. The library's costs a call and a
 * search for the size, half of what a send may cost here.
 */
static inline void message_copy_inline(unsigned char *to, const void *from,
				       size_t length)
{
	const unsigned char *source = from;

	if (length >= 16) {
		memcpy(to, source, 16);
		if (length > 32)
			memcpy(to + 16, source + 16, 16);
		memcpy(to + length - 16, source + length - 16, 16);
	} else if (length >= 8) {
		memcpy(to, source, 8);
		memcpy(to + length - 8, source + length - 8, 8);
	} else if (length >= 4) {
		memcpy(to, source, 4);
		memcpy(to + length - 4, source + length - 4, 4);
	} else if (length > 0) {
		to[0] = source[0];
		to[length / 2] = source[length / 2];
		to[length - 1] = source[length - 1];
	}
}

#endif
