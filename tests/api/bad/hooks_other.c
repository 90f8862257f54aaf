/* SPDX-License-Identifier: MIT */
/*
 * The hooks are something else.
 *
 * expect-c: incompatible pointer type
 *
 * expect-c++: cannot convert .const int\*. to .const rota_hooks\*.|cannot
 * initialize a variable of type .const (struct )?rota_hooks
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

static const int number = 1;
static const struct rota_hooks hooks = {sizeof(struct rota_hooks), NULL};

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

int use(void);
int use(void)
{
	return number + (hooks.destroy != NULL);
}

#ifdef FIXED
ROTA_BEHAVIOUR(counter, counter, COUNTER, &hooks);
#else
ROTA_BEHAVIOUR(counter, counter, COUNTER, &number);
#endif
