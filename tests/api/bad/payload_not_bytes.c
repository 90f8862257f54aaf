/* SPDX-License-Identifier: MIT */
/*
 * A payload has a constructor.
 *
 * only: c++
 *
 * expect: the payload of sink_put cannot be copied as bytes
 */
#include <string>

#include <rota/rota.h>

struct payload {
#ifdef FIXED
	const char *name;
#else
	std::string name;
#endif
};

#define SINK(M, p) M(p, SEND, put, struct payload)
ROTA_PROTOCOL(sink, SINK);
