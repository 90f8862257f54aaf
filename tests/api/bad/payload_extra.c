/* SPDX-License-Identifier: MIT */
/*
 * A payload goes with a message that has none.
 *
 * expect-c: too many arguments
 *
 * expect-c++: too many arguments|no matching function for call to
 * .counter_reset.
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
	return counter_reset(id);
#else
	struct counter_inc m = {1};
	return counter_reset(id, m);
#endif
}
