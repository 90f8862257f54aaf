/* SPDX-License-Identifier: MIT */
/*
 * closure - captures in a storm: each is dropped once
 *
 * Threads and actors cast functions, with captures of malloc's, to actors that
 * fail, stop, drain and are replaced all the while. Made minus dropped is zero
 * in the end, no function has run twice, and nothing that was accepted is
 * neither run nor reported.
 */
#include "tests/unit/support.h"

#include <rota/closure.h>

#define ACTORS 16

static struct {
	AO_t id[ACTORS]; /* some stale; relaxed, any will do */
	struct tally made;
	struct tally accepted;
	struct tally ran;
	struct tally dropped;
	struct tally kept;
	struct tally bad;
	struct tally strange;
} storm;

struct goods {
	uint64_t magic;
	uint64_t way; /* what its function does */
	AO_t runs;    /* of its function; relaxed: read after all */
};

#define MAGIC UINT64_C(0x600d600d600d600d)

/* The capture: some are larger than what a block holds. */
struct load {
	struct goods *goods;
	uint64_t filler[15];
};

static void goods_free(struct goods *goods)
{
	if (goods->magic != MAGIC || AO_load(&goods->runs) > 1)
		tally_add(&storm.bad, 1);
	goods->magic = 0;
	free(goods);
}

static void load_drop(void *capture, size_t length)
{
	struct load *load = capture;

	if (length < sizeof(load->goods) || length > sizeof(*load))
		tally_add(&storm.bad, 1);
	goods_free(load->goods);
	tally_add(&storm.dropped, 1);
}

static bool is_refusal(int error)
{
	return error == -ESRCH || error == -ESHUTDOWN || error == -EAGAIN ||
	       error == -ETIMEDOUT || error == -ECANCELED || error == -EDEADLK;
}

static rota_id anyone(uint64_t random)
{
	return AO_load(&storm.id[random % ACTORS]);
}

static int unload(void *state, void *capture);

static void cast_one(uint64_t random, int64_t within)
{
	struct load load = {.goods = calloc(1, sizeof(*load.goods))};
	size_t length = random >> 40 & 3 ? sizeof(load.goods) : sizeof(load);
	int error;

	load.goods->magic = MAGIC;
	load.goods->way = random >> 8;
	tally_add(&storm.made, 1);
	error = rota_cast_with(anyone(random), unload, &load, length, load_drop,
			       random >> 50 & 3 ? 0 : ROTA_URGENT, within);
	if (error == 0) {
		tally_add(&storm.accepted, 1);
		return;
	}
	if (!is_refusal(error))
		tally_add(&storm.strange, 1);
	load_drop(&load, length); /* ours still */
}

static int unload(void *state, void *capture)
{
	struct goods *goods = ((struct load *)capture)->goods;
	uint64_t way = goods->way;

	(void)state;
	if (goods->magic != MAGIC)
		tally_add(&storm.bad, 1);
	AO_fetch_and_add(&goods->runs, 1);
	switch (way & 31) {
	case 0:
		if (rota_keep())
			tally_add(&storm.bad, 1);
		goods_free(goods);
		tally_add(&storm.dropped, 1);
		tally_add(&storm.kept, 1);
		break;
	case 1:
		return ROTA_UNKNOWN; /* is reported, so not counted as run */
	case 2:
		tally_add(&storm.ran, 1);
		return way >> 20 & 7 ? 0 : -EIO;
	case 3:
		tally_add(&storm.ran, 1);
		return way >> 20 & 7 ? 0 : rota_self_stop(0);
	case 4:
	case 5: /* waits, if there is no room; the chain of casts dies out */
		cast_one((way >> 7) | UINT64_C(6) << 8, ROTA_FOREVER);
		break;
	case 6:
		cast_one((way >> 9) | UINT64_C(7) << 8, ROTA_NOW);
		break;
	default:
		break;
	}
	tally_add(&storm.ran, 1);
	return 0;
}

static void replace(size_t place)
{
	AO_store(&storm.id[place],
		 spawn(&puppet_behaviour, &(struct puppet){NULL},
		       1 + (unsigned)place % 5));
}

static void *thread_cast(void *arg)
{
	uint64_t random = *(uint64_t *)arg;

	for (unsigned long i = check_stress(60000); i; i--) {
		uint64_t next = next_random(&random);

		cast_one(next, next >> 60 & 1 ? ROTA_US(30) : ROTA_FOREVER);
	}
	return NULL;
}

static void trouble(unsigned long n)
{
	for (size_t i = 0; i < n; i++) {
		rota_id id = AO_load(&storm.id[i % ACTORS]);

		if (i % 7 == 0)
			(void)rota_actor_stop(id);
		if (i % 11 == 0)
			(void)rota_actor_drain(id);
		if (!rota_is_alive(id))
			replace(i % ACTORS);
		if (i % 4 == 0)
			nap();
	}
}

static void rage(unsigned workers, bool quiesces)
{
	uint64_t random[3] = {1, 2, 3};
	pthread_t thread[3];

	engine_start(workers);
	for (size_t i = 0; i < ACTORS; i++)
		replace(i);
	for (int i = 0; i < 3; i++)
		thread[i] = thread_start(thread_cast, &random[i]);
	trouble(check_stress(2000));
	for (int i = 0; i < 3; i++)
		thread_join(thread[i]);
	if (quiesces)
		expect_conserved(tally_of(&storm.accepted));
	engine_stop(); /* or in the middle of what they still cast */
	cr_assert_eq(tally_of(&storm.bad), 0);
	cr_assert_eq(tally_of(&storm.strange), 0);
	cr_assert_gt(tally_of(&storm.ran), 0);
	cr_assert_eq(tally_of(&storm.made), tally_of(&storm.dropped));
	/* Each was run, or reported. */
	cr_assert_eq(tally_of(&storm.ran) + n_dead(),
		     tally_of(&storm.accepted));
}

Test(closure, each_capture_is_dropped_once_on_1_worker, .timeout = STRESS)
{
	rage(1, true);
}

Test(closure, each_capture_is_dropped_once_on_2_workers, .timeout = STRESS)
{
	rage(2, false);
}

Test(closure, each_capture_is_dropped_once_on_64_workers, .timeout = STRESS)
{
	rage(64, false);
}
