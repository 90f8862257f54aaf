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

/* @closure outlives the parcel. */
static struct parcel parcel_of(rota_id to, const struct closure *closure,
			       const void *capture, size_t length,
			       unsigned flags)
{
	return (struct parcel){.to = to,
			       .head = closure,
			       .head_length = closure_lead(flags),
			       .tail = capture,
			       .tail_length = length,
			       .flags = (unsigned char)flags};
}

static int post(const struct parcel *parcel)
{
	const struct closure *closure = parcel->head;

	if (!closure->run || (!parcel->tail && parcel->tail_length > 0))
		return -EINVAL;
	return parcel->tail_length > ROTA_MAX_PAYLOAD ? -EMSGSIZE
						      : send_parcel(parcel);
}

int closure_post(rota_id to, closure_run *run, const void *capture,
		 size_t length, int64_t within)
{
	struct closure closure = {.run = run};
	struct parcel parcel =
		parcel_of(to, &closure, capture, length, MESSAGE_CLOSURE);

	parcel.within = within;
	return post(&parcel);
}

static unsigned flags_of(const struct closure *closure, unsigned flags)
{
	unsigned all = MESSAGE_CLOSURE;

	if (flags & ROTA_URGENT)
		all |= MESSAGE_URGENT;
	return closure->drop ? all | MESSAGE_OWNED : all;
}

int rota_cast_with(rota_id to, rota_function *function, const void *capture,
		   size_t length, void (*drop)(void *capture, size_t length),
		   unsigned flags, int64_t within)
{
	struct closure closure = {function, drop};
	struct parcel parcel = parcel_of(to, &closure, capture, length,
					 flags_of(&closure, flags));

	if (flags & ~ROTA_URGENT)
		return -EINVAL;
	parcel.within = within;
	return post(&parcel);
}

int rota_cast_with_until(rota_id to, rota_function *function,
			 const void *capture, size_t length,
			 void (*drop)(void *capture, size_t length),
			 unsigned flags, rota_deadline deadline)
{
	struct closure closure = {function, drop};
	struct parcel parcel = parcel_of(to, &closure, capture, length,
					 flags_of(&closure, flags));

	if (flags & ~ROTA_URGENT)
		return -EINVAL;
	return send_until(&parcel, deadline) ? post(&parcel) : -ETIMEDOUT;
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

int rota_call_bytes_until(rota_id to, rota_function *function, void *capture,
			  size_t length, rota_deadline deadline)
{
	struct request request = {.to = to,
				  .payload = capture,
				  .length = length,
				  .flags = MESSAGE_CLOSURE,
				  .run = function};

	request_until(&request, deadline);
	return function ? request_call(&request, capture, length) : -EINVAL;
}
