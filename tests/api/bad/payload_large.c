/* SPDX-License-Identifier: MIT */
/*
 * A payload is larger than what is copied.
 *
 * expect: the payload of sink_put is larger than 64 KiB; move it with OWN
 */
#include <rota/rota.h>

#ifdef FIXED
struct payload {
	char bytes[65536];
};
#else
struct payload {
	char bytes[65537];
};
#endif

#define SINK(M, p) M(p, SEND, put, struct payload)
ROTA_PROTOCOL(sink, SINK);
