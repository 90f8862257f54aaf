/* SPDX-License-Identifier: MIT */
/*
 * The handler of an ASK gives no reply.
 *
 * expect: struct shop needs, before ROTA_BEHAVIOUR, the handler int
 * shop_on_buy(struct shop *self, struct shop_order const *m, struct shop_bill
 * *reply)
 */
#include <rota/rota.h>

struct shop_order {
	int id;
};

struct shop_bill {
	long cents;
};

struct shop_other {
	long cents;
};

#define SHOP(M, p)                                          \
	M(p, ASK, buy, struct shop_order, struct shop_bill) \
	M(p, READ, total, void, long)
ROTA_PROTOCOL(shop, SHOP);

struct shop {
	long total;
};

#ifdef FIXED
static int shop_on_buy(struct shop *s, const struct shop_order *m,
		       struct shop_bill *reply)
{
	s->total += m->id;
	reply->cents = s->total;
	return 0;
}
#else
static int shop_on_buy(struct shop *s, const struct shop_order *m)
{
	s->total += m->id;
	return 0;
}
#endif

static int shop_on_total(const struct shop *s, long *reply)
{
	*reply = s->total;
	return 0;
}

ROTA_BEHAVIOUR(shop, shop, SHOP, NULL);
