/* SPDX-License-Identifier: MIT */
/*
 * A kind is misspelt.
 *
 * expect: rota__kind_SNED
 */
#include <rota/rota.h>

#ifdef FIXED
#define SINK(M, p) M(p, SEND, put, void)
#else
#define SINK(M, p) M(p, SNED, put, void)
#endif
ROTA_PROTOCOL(sink, SINK);
