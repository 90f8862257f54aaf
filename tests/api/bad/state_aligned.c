/* SPDX-License-Identifier: MIT */
/*
 * A state needs more alignment than an actor gives.
 *
 * expect: struct counter needs more than the 16 bytes of alignment there are
 */
#include <rota/rota.h>

struct counter_inc {
	int by;
};

#define COUNTER(M, p)                       \
	M(p, SEND, inc, struct counter_inc) \
	M(p, SEND, reset, void)
ROTA_PROTOCOL(counter, COUNTER);

struct counter {
	long total;
#ifdef FIXED
	int x __attribute__((aligned(16)));
#else
	int x __attribute__((aligned(32)));
#endif
};

static int counter_on_inc(struct counter *c, const struct counter_inc *m)
{
	c->total += m->by;
	return 0;
}

static int counter_on_reset(struct counter *c)
{
	c->total = 0;
	return 0;
}

ROTA_BEHAVIOUR(counter, counter, COUNTER, NULL);
