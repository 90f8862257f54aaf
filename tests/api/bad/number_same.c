/* SPDX-License-Identifier: MIT */
/*
 * An actor type speaks two protocols of the same number.
 *
 * expect: struct counter speaks counter and meter, which have the same number:
 * declare one of them with ROTA_PROTOCOL_NUMBERED
 */
#include <rota/rota.h>

struct counter_inc {
	int by;
};

#define COUNTER(M, p)                       \
	M(p, SEND, inc, struct counter_inc) \
	M(p, SEND, reset, void)
ROTA_PROTOCOL_NUMBERED(counter, COUNTER, 7);

#define METER(M, p) M(p, SEND, reset, void)
#ifdef FIXED
ROTA_PROTOCOL_NUMBERED(meter, METER, 8);
#else
ROTA_PROTOCOL_NUMBERED(meter, METER, 7);
#endif

struct counter {
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

ROTA_BEHAVIOUR_2(counter, counter, COUNTER, meter, METER, NULL);
