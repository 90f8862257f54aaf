/* SPDX-License-Identifier: MIT */
/*
 * closure - messages that are a function and what it has captured
 *
 * To a mailbox they are messages like any other; what is different is that the
 * turn calls the function in them in place of the actor's handler. So a flag in
 * the message says so, where one is looked at anyway. The common case is in
 * send.c, beside that of a send.
 */
#include <errno.h>

#include <rota/closure.h>

#include "core/asking.h"
#include "core/send.h"

_Static_assert(CLOSURE_TAG == ROTA_TAG_CLOSURE, "a tag that no message has");
_Static_assert(CLOSURE_INLINE == ROTA_INLINE_CAPTURE, "as it was promised");

static int post(rota_id to, const struct closure *closure, const void *capture,
		size_t length, unsigned flags, int64_t within)
{
	struct parcel parcel = {.to = to,
				.head = closure,
				.head_length = closure_lead(flags),
				.tail = capture,
				.tail_length = length,
				.flags = (unsigned char)flags,
				.within = within};

	if (!closure->run || (!capture && length > 0))
		return -EINVAL;
	return length > ROTA_MAX_PAYLOAD ? -EMSGSIZE : send_parcel(&parcel);
}

int closure_post(rota_id to, closure_run *run, const void *capture,
		 size_t length, int64_t within)
{
	struct closure closure = {.run = run};

	return post(to, &closure, capture, length, MESSAGE_CLOSURE, within);
}

int rota_cast_with(rota_id to, rota_function *function, const void *capture,
		   size_t length, void (*drop)(void *capture, size_t length),
		   unsigned flags, int64_t within)
{
	struct closure closure = {function, drop};
	unsigned all = MESSAGE_CLOSURE;

	if (flags & ~ROTA_URGENT)
		return -EINVAL;
	if (flags & ROTA_URGENT)
		all |= MESSAGE_URGENT;
	if (drop)
		all |= MESSAGE_OWNED;
	return post(to, &closure, capture, length, all, within);
}

int rota_call_bytes(rota_id to, rota_function *function, void *capture,
		    size_t length, int64_t within)
{
	struct request request = {.to = to,
				  .payload = capture,
				  .length = length,
				  .flags = MESSAGE_CLOSURE,
				  .within = within,
				  .run = function};

	return function ? request_call(&request, capture, length) : -EINVAL;
}
