/* SPDX-License-Identifier: MIT */
/*
 * A protocol's number is out of range.
 *
 * expect: the number of protocol counter must be 1 ... 511
 */
#include <rota/rota.h>

struct counter_inc {
	int by;
};

#define COUNTER(M, p)                       \
	M(p, SEND, inc, struct counter_inc) \
	M(p, SEND, reset, void)
#ifdef FIXED
ROTA_PROTOCOL_NUMBERED(counter, COUNTER, 511);
#else
ROTA_PROTOCOL_NUMBERED(counter, COUNTER, 512);
#endif
