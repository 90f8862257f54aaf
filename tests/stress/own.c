/* SPDX-License-Identifier: MIT */
/*
 * own - moved buffers in a storm: each is dropped once
 *
 * Buffers of malloc travel between actors that handle, keep, move on, refuse
 * and end. Made minus dropped is zero in the end; what is freed twice or never
 * the sanitizers see.
 */
#include "tests/unit/support.h"

#define ACTORS 24

static struct {
	AO_t id[ACTORS]; /* some stale; relaxed, any will do */
	struct tally made;
	struct tally dropped;
	struct tally bad;
	struct tally strange;
} market;

struct goods {
	uint64_t magic;
	size_t length;
};

#define MAGIC UINT64_C(0x600d600d600d600d)

static struct goods *goods_make(uint64_t random)
{
	size_t length = sizeof(struct goods) + (random & 1023);
	struct goods *goods = calloc(1, length);

	*goods = (struct goods){MAGIC, length};
	tally_add(&market.made, 1);
	return goods;
}

static void goods_drop(void *buffer, size_t length)
{
	struct goods *goods = buffer;

	if (goods->magic != MAGIC || goods->length != length)
		tally_add(&market.bad, 1);
	goods->magic = 0;
	free(goods);
	tally_add(&market.dropped, 1);
}

static bool is_refusal(int error)
{
	return error == -ESRCH || error == -ESHUTDOWN || error == -EAGAIN ||
	       error == -ETIMEDOUT || error == -ECANCELED || error == -EDEADLK;
}

struct trader {
	uint64_t random;
};

static rota_id anyone(uint64_t random)
{
	return AO_load(&market.id[random % ACTORS]);
}

static int64_t patience(uint64_t random)
{
	switch (random & 3) {
	case 0:
		return ROTA_NOW;
	case 1:
		return ROTA_US(30);
	default:
		return ROTA_FOREVER;
	}
}

static int offer(uint64_t random, struct goods *goods)
{
	int error = rota_send_own(anyone(random), 1 + (random >> 50 & 1), goods,
				  goods->length, goods_drop,
				  patience(random >> 16));

	if (error && !is_refusal(error))
		tally_add(&market.strange, 1);
	return error;
}

static int trader_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct trader *trader = state;
	struct goods *goods = payload;
	uint64_t way = next_random(&trader->random);

	if (goods->magic != MAGIC || goods->length != length)
		tally_add(&market.bad, 1);
	switch (way >> 8 & 15) {
	case 0: /* keep and drop oneself */
		if (rota_keep())
			tally_add(&market.bad, 1);
		else
			goods_drop(goods, length);
		return 0;
	case 1:
		return ROTA_UNKNOWN;
	case 2: /* keep, and send as one's own */
		if (rota_keep())
			tally_add(&market.bad, 1);
		if (offer(way, goods))
			goods_drop(goods, length);
		return 0;
	case 3:
		return way >> 20 & 7 ? 0 : -EIO;
	case 4:
		return way >> 20 & 7 ? 0 : rota_self_stop(0);
	case 5:
	case 6:
		return 0;
	default: /* move on, if it can be */
		(void)offer(way, goods);
		return tag == 2 && (way >> 20 & 31) == 0 ? -EIO : 0;
	}
}

static const struct rota_behaviour trader_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "trader",
	.state_size = sizeof(struct trader),
	.handle = trader_handle,
};

static void trader_spawn(size_t place, uint64_t random)
{
	struct trader trader = {random | 1};

	AO_store(&market.id[place],
		 spawn(&trader_behaviour, &trader, 1 + (unsigned)place % 5));
}

static void *thread_offer(void *arg)
{
	uint64_t random = *(uint64_t *)arg;

	for (unsigned long i = check_stress(150000); i; i--) {
		struct goods *goods = goods_make(next_random(&random));

		if (offer(next_random(&random), goods))
			goods_drop(goods, goods->length);
	}
	return NULL;
}

static void trade(unsigned workers)
{
	uint64_t random[4] = {1, 2, 3, 4};
	pthread_t thread[4];
	size_t replaced = 0;

	engine_start(workers);
	for (size_t i = 0; i < ACTORS; i++)
		trader_spawn(i, i + 1);
	for (int i = 0; i < 4; i++)
		thread[i] = thread_start(thread_offer, &random[i]);
	/* Replace those that ended, and end some that have not. */
	for (size_t i = 0; i < 3000; i++) {
		rota_id id = AO_load(&market.id[i % ACTORS]);

		if (i % 7 == 0)
			(void)rota_actor_stop(id);
		if (i % 11 == 0)
			(void)rota_actor_drain(id);
		if (!rota_is_alive(id)) {
			trader_spawn(i % ACTORS, i + 1);
			replaced++;
		}
		if (i % 4 == 0)
			nap();
	}
	for (int i = 0; i < 4; i++)
		thread_join(thread[i]);
	engine_stop(); /* in the middle of what they still move */
	cr_assert_gt(replaced, 0);
	cr_assert_eq(tally_of(&market.bad), 0);
	cr_assert_eq(tally_of(&market.strange), 0);
	cr_assert_eq(tally_of(&market.made), tally_of(&market.dropped));
}

Test(own, each_is_dropped_once_in_a_storm, .timeout = STRESS)
{
	trade(2);
}

Test(own, each_is_dropped_once_in_a_storm_on_64_workers, .timeout = STRESS)
{
	trade(64);
}
