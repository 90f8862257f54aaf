/* SPDX-License-Identifier: MIT */
/*
 * A number is sent in place of a payload struct.
 *
 * expect-c: incompatible type for argument 2 of .counter_inc.|to parameter of
 * incompatible type .struct counter_inc.
 *
 * expect-c++: could not convert .1. from .int. to .counter_inc.|no viable
 * conversion from .int. to .*counter_inc.|no matching function for call to
 * .counter_inc.
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
	struct counter_inc m = {1};
	return counter_inc(id, m);
#else
	return counter_inc(id, 1);
#endif
}
