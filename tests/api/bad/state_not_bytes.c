/* SPDX-License-Identifier: MIT */
/*
 * A state has a constructor.
 *
 * only: c++
 *
 * expect: struct counter cannot be copied as bytes
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
#ifndef FIXED
	counter() : total(1)
	{
	}
	counter(const counter &o) : total(o.total)
	{
	}
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
