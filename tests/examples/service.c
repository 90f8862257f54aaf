/* SPDX-License-Identifier: MIT */
/*
 * service - requests and responses, with time limits
 *
 * Clients ask a front desk for the price of a thing. The desk knows some prices
 * and asks a warehouse for the others, which takes its time. How long a client
 * waits goes with its request: the desk needs no time limit of its own, and
 * what nobody waits for any more is not begun.
 *
 * Three ways to wait: a client is an actor that asks and waits; main() starts a
 * hundred questions at a time and gathers the answers; the warehouse answers
 * later, from a timer's message, and handles others meanwhile.
 */
#include <stdio.h>

#include <rota/rota.h>

enum { THINGS = 100, KNOWN = 60, PENDING = 64 };
enum { DESK_NO_SUCH_THING = 1 }; /* the desk's own error */

/* ---- the warehouse: every answer takes a millisecond ---- */

struct price_query {
	int thing;
};

#define WAREHOUSE(M, p)                            \
	M(p, ASK, price, struct price_query, long) \
	M(p, SEND, found, struct price_query)
ROTA_PROTOCOL(warehouse, WAREHOUSE);

struct warehouse {
	rota_token waiting[THINGS]; /* who waits for a thing's price */
};

static int warehouse_on_price(struct warehouse *w, const struct price_query *m,
			      long *reply)
{
	(void)reply;
	if (w->waiting[m->thing])
		return EBUSY;
	if (rota_reply_later(&w->waiting[m->thing]) != 0)
		return ENOMEM;
	warehouse_found_after(warehouse_of(rota_self()), *m, ROTA_MS(1), NULL);
	return ROTA_LATER;
}

static int warehouse_on_found(struct warehouse *w, const struct price_query *m)
{
	rota_token token = w->waiting[m->thing];

	w->waiting[m->thing] = 0;
	/* If nobody waits any more, that does no harm. */
	warehouse_price_reply(token, 100 + m->thing);
	return 0;
}

ROTA_BEHAVIOUR(warehouse, warehouse, WAREHOUSE, NULL);

/* ---- the desk ---- */

#define DESK(M, p) M(p, ASK, price, struct price_query, long)
ROTA_PROTOCOL(desk, DESK);

struct desk {
	warehouse_id warehouse;
};

static int desk_on_price(struct desk *d, const struct price_query *m,
			 long *reply)
{
	if (m->thing < 0 || m->thing >= THINGS)
		return DESK_NO_SUCH_THING;
	if (m->thing < KNOWN) {
		*reply = 100 + m->thing;
		return 0;
	}
	/* The warehouse answers the client; we go on with the next one. */
	return warehouse_price_forward(0, d->warehouse, *m, ROTA_FOREVER) == 0
		       ? ROTA_LATER
		       : EIO;
}

ROTA_BEHAVIOUR(desk, desk, DESK, NULL);

/* ---- a client ---- */

#define CLIENT(M, p) M(p, ASK, shop, void, long)
ROTA_PROTOCOL(client, CLIENT);

struct client {
	desk_id desk;
};

/* The sum of some prices; each ask waits, its worker does not. */
static int client_on_shop(struct client *c, long *reply)
{
	long price;
	int thing, error;

	for (thing = KNOWN - 5; thing < KNOWN + 5; thing++) {
		error = desk_price(c->desk, (struct price_query){thing}, &price,
				   ROTA_S(10));
		if (error != 0)
			return error;
		*reply += price;
	}
	return 0;
}

ROTA_BEHAVIOUR(client, client, CLIENT, NULL);

/* ---- main ---- */

static int gather(desk_id desk)
{
	static struct rota_asking asking[THINGS];
	static long price[THINGS];
	long sum = 0;
	int i, n;

	for (i = 0; i < THINGS; i++)
		desk_price_start(desk, (struct price_query){i}, &price[i],
				 ROTA_S(10), &asking[i]);
	n = rota_ask_await(asking, THINGS, THINGS, ROTA_S(10));
	for (i = 0; i < THINGS; i++)
		sum += asking[i].outcome == 0 ? price[i] : 0;
	printf("%d answers, together %ld\n", n, sum);
	return n == THINGS && sum == 100L * THINGS + 99 * 50 ? 0 : 1;
}

/* What goes wrong, and how it is told. */
static int failures(desk_id desk, warehouse_id warehouse)
{
	struct price_query none = {-1}, slow = {KNOWN};
	long price;
	int unknown, late, gone;

	unknown = desk_price(desk, none, &price, ROTA_S(10));
	late = warehouse_price(warehouse, slow, &price, ROTA_US(10));
	rota_actor_stop(desk.id);
	rota_join(desk.id, ROTA_S(10), NULL);
	gone = desk_price(desk, slow, &price, ROTA_S(10));
	printf("no such thing: %d; late: %s; gone: %s\n", unknown,
	       rota_strerror(late), rota_strerror(gone));
	return unknown == DESK_NO_SUCH_THING && late == -ETIMEDOUT &&
			       gone == -ESRCH
		       ? 0
		       : 1;
}

int main(void)
{
	rota_engine *engine = rota_start(NULL);
	warehouse_id warehouse;
	client_id client;
	desk_id desk;
	long sum = 0;
	int failed;

	if (engine == NULL) {
		perror("rota_start");
		return 1;
	}
	warehouse = warehouse_spawn(engine, NULL, NULL);
	desk = desk_spawn(engine, &(struct desk){warehouse}, NULL);
	client = client_spawn(engine, &(struct client){desk}, NULL);
	failed = gather(desk);
	failed |= client_shop(client, &sum, ROTA_S(20)) != 0;
	printf("the client paid %ld\n", sum);
	failed |= sum != 10 * (100 + KNOWN) - 5;
	failed |= failures(desk, warehouse);
	return rota_stop(engine, ROTA_S(10)) != 0 || failed;
}
