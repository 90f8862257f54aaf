/* SPDX-License-Identifier: MIT */
/*
 * A payload is an array, whose name would be sent as a pointer.
 *
 * expect-re: function returning an array|function cannot return array
 * type|returning an array
 */
#include <rota/rota.h>

#ifdef FIXED
typedef struct {
	char bytes[8];
} payload;
#else
typedef char payload[8];
#endif

#define SINK(M, p) M(p, SEND, put, payload)
ROTA_PROTOCOL(sink, SINK);
