/* SPDX-License-Identifier: MIT */
/*
 * A payload needs more alignment than a message has.
 *
 * expect: the payload of sink_put needs more than the 8 bytes of alignment
 * there are
 */
#include <rota/rota.h>

#ifdef FIXED
struct payload {
	double d[2];
};
#else
struct payload {
	double d[2] __attribute__((aligned(32)));
};
#endif

#define SINK(M, p) M(p, SEND, put, struct payload)
ROTA_PROTOCOL(sink, SINK);
