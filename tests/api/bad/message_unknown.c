/* SPDX-License-Identifier: MIT */
/*
 * A message that the protocol does not contain is sent.
 *
 * expect-c: implicit declaration of function .counter_dec.
 *
 * expect-c++: .counter_dec. was not declared|undeclared identifier
 * .counter_dec.
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
	return counter_dec(id);
#endif
}
