/* SPDX-License-Identifier: MIT */
/*
 * The request of another message is sent.
 *
 * expect-c: incompatible type for argument 2 of .shop_buy.|to parameter of
 * incompatible type .struct shop_order.
 *
 * expect-c++: could not convert .* to .shop_order.|no viable conversion from
 * .* to .*shop_order.|no matching function
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

int use(shop_id id);
int use(shop_id id)
{
	struct shop_bill bill;
	struct shop_order good = {1};
	struct shop_other bad = {1};
	(void)good;
	(void)bad;
#ifdef FIXED
	return shop_buy(id, good, &bill, ROTA_FOREVER);
#else
	return shop_buy(id, bad, &bill, ROTA_FOREVER);
#endif
}
