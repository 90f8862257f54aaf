/* SPDX-License-Identifier: MIT */
/*
 * A protocol has 129 messages.
 *
 * expect: protocol wide has more than 128 messages
 */
#include <rota/rota.h>

#define TEN(M, p, a)                \
	M(p, SEND, m##a##0, void)   \
	M(p, SEND, m##a##1, void)   \
	M(p, SEND, m##a##2, int)    \
	M(p, SEND, m##a##3, void)   \
	M(p, SEND, m##a##4, void)   \
	M(p, SEND, m##a##5, long)   \
	M(p, SEND, m##a##6, void)   \
	M(p, SEND, m##a##7, void)   \
	M(p, SEND, m##a##8, double) \
	M(p, SEND, m##a##9, void)
#define WIDE_120(M, p) \
	TEN(M, p, 0)   \
	TEN(M, p, 1)   \
	TEN(M, p, 2)   \
	TEN(M, p, 3)   \
	TEN(M, p, 4)   \
	TEN(M, p, 5)   \
	TEN(M, p, 6)   \
	TEN(M, p, 7)   \
	TEN(M, p, 8)   \
	TEN(M, p, 9)   \
	TEN(M, p, a)   \
	TEN(M, p, b)
#define WIDE_128(M, p)       \
	WIDE_120(M, p)       \
	M(p, SEND, n0, void) \
	M(p, SEND, n1, void) \
	M(p, SEND, n2, void) \
	M(p, SEND, n3, void) \
	M(p, SEND, n4, void) \
	M(p, SEND, n5, void) \
	M(p, SEND, n6, void) \
	M(p, SEND, n7, void)

#ifdef FIXED
#define WIDE(M, p) WIDE_128(M, p)
#else
#define WIDE(M, p) WIDE_128(M, p) M(p, SEND, n8, void)
#endif
ROTA_PROTOCOL(wide, WIDE);
