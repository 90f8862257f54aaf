/* SPDX-License-Identifier: MIT */
/*
 * The destroy function is that of another type.
 *
 * expect-c: incompatible pointer type|incompatible function pointer type
 *
 * expect-c++: invalid conversion from .void \(\*\)\(meter\*\)|cannot
 * initialize a member subobject
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

#ifdef FIXED
static void fini(struct counter *c)
{
	c->total = 0;
}
#else
static void fini(struct meter *c)
{
	c->total = 0;
}
#endif

#ifdef __cplusplus
ROTA_HOOKS(counter, fini);
#else
ROTA_HOOKS(counter, .destroy = fini);
#endif
ROTA_BEHAVIOUR(counter, counter, COUNTER, &counter_hooks);
