/* SPDX-License-Identifier: MIT */
/*
 * A pointer to another payload is sent by reference.
 *
 * expect-c: incompatible pointer type
 *
 * expect-c++: cannot convert .counter_dec\*. to .const counter_inc\*.|no known
 * conversion|no matching function
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
	return counter_inc_ref(id, &m);
#else
	struct counter_dec m = {1};
	return counter_inc_ref(id, &m);
#endif
}
