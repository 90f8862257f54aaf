/* SPDX-License-Identifier: MIT */
/*
 * A message of the protocol has no handler.
 *
 * expect: struct counter needs, before ROTA_BEHAVIOUR, the handler int
 * counter_on_inc(struct counter *self, struct counter_inc const *m)
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
};

#ifdef FIXED
static int counter_on_inc(struct counter *c, const struct counter_inc *m)
{
	c->total += m->by;
	return 0;
}
#endif

static int counter_on_reset(struct counter *c)
{
	c->total = 0;
	return 0;
}

ROTA_BEHAVIOUR(counter, counter, COUNTER, NULL);
