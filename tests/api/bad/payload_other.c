/* SPDX-License-Identifier: MIT */
/*
 * The payload of another message is sent.
 *
 * expect-c: incompatible type for argument 2 of .counter_inc.|to parameter of
 * incompatible type .struct counter_inc.
 *
 * expect-c++: could not convert .* to .counter_inc.|no viable conversion from
 * .* to .*counter_inc.|no matching function
 */
#include <rota/rota.h>

struct counter_inc {
	int by;
};

#define COUNTER(M, p)                       \
	M(p, SEND, inc, struct counter_inc) \
	M(p, SEND, reset, void)
ROTA_PROTOCOL(counter, COUNTER);

struct counter_dec {
	int by;
};

int use(counter_id id);
int use(counter_id id)
{
#ifdef FIXED
	struct counter_inc m = {1};
	return counter_inc(id, m);
#else
	struct counter_dec m = {1};
	return counter_inc(id, m);
#endif
}
