/* SPDX-License-Identifier: MIT */
/*
 * The reply goes into memory of another type.
 *
 * expect-c: incompatible pointer type|incompatible pointer types
 *
 * expect-c++: cannot convert .shop_other|no matching function
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
	struct shop_order order = {1};
	struct shop_other bad;
	(void)bill;
	(void)bad;
#ifdef FIXED
	return shop_buy(id, order, &bill, ROTA_FOREVER);
#else
	return shop_buy(id, order, &bad, ROTA_FOREVER);
#endif
}
