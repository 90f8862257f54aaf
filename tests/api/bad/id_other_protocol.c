/* SPDX-License-Identifier: MIT */
/*
 * A message of another protocol is sent.
 *
 * expect-c: incompatible type for argument 1 of .meter_reset.|to parameter of
 * incompatible type .meter_id.
 *
 * expect-c++: could not convert .* to .meter_id.|no viable conversion from .*
 * to .meter_id.|no matching function
 */
#include <rota/rota.h>

struct counter_inc {
	int by;
};

#define COUNTER(M, p)                       \
	M(p, SEND, inc, struct counter_inc) \
	M(p, SEND, reset, void)
ROTA_PROTOCOL(counter, COUNTER);

#define METER(M, p) M(p, SEND, reset, void)
ROTA_PROTOCOL(meter, METER);

int use(counter_id id);
int use(counter_id id)
{
#ifdef FIXED
	return counter_reset(id);
#else
	return meter_reset(id);
#endif
}
