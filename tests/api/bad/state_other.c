/* SPDX-License-Identifier: MIT */
/*
 * An actor is spawned with another type's state.
 *
 * expect-c: incompatible pointer type
 *
 * expect-c++: cannot convert .meter\*. to .const counter\*.|no matching
 * function
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

struct meter {
	long total;
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

counter_id use(struct counter *c, struct meter *m);
counter_id use(struct counter *c, struct meter *m)
{
	(void)c;
	(void)m;
#ifdef FIXED
	return counter_spawn(NULL, c, NULL);
#else
	return counter_spawn(NULL, m, NULL);
#endif
}
