/* SPDX-License-Identifier: MIT */
/*
 * The payload is forgotten.
 *
 * expect-c: too few arguments
 *
 * expect-c++: too few arguments|no matching function for call to .counter_inc.
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
	return counter_inc(id);
#endif
}
