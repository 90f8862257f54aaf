/* SPDX-License-Identifier: MIT */
/*
 * A payload is only declared.
 *
 * expect: incomplete type
 */
#include <rota/rota.h>

#ifdef FIXED
struct payload {
	int a;
};
#else
struct payload;
#endif

#define SINK(M, p) M(p, SEND, put, struct payload)
ROTA_PROTOCOL(sink, SINK);
