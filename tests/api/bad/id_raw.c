/* SPDX-License-Identifier: MIT */
/*
 * An untyped id is used for a typed call.
 *
 * expect-c: incompatible type for argument 1 of .counter_reset.|to parameter
 * of incompatible type .counter_id.
 *
 * expect-c++: could not convert .* to .counter_id.|no viable conversion from
 * .* to .counter_id.|no matching function
 */
#include <rota/rota.h>

struct counter_inc {
	int by;
};

#define COUNTER(M, p)                       \
	M(p, SEND, inc, struct counter_inc) \
	M(p, SEND, reset, void)
ROTA_PROTOCOL(counter, COUNTER);

int use(counter_id id);
int use(counter_id id)
{
#ifdef FIXED
	return counter_reset(counter_of(id.id));
#else
	return counter_reset(id.id);
#endif
}
