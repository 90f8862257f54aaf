/* SPDX-License-Identifier: MIT */
/*
 * A message is listed twice.
 *
 * expect: sink__index_put
 */
#include <rota/rota.h>

#ifdef FIXED
#define SINK(M, p) M(p, SEND, put, void) M(p, SEND, set, void)
#else
#define SINK(M, p) M(p, SEND, put, void) M(p, SEND, put, void)
#endif
ROTA_PROTOCOL(sink, SINK);
