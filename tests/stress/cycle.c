/* SPDX-License-Identifier: MIT */
/*
 * cycle - waits that close circles of all shapes, over and over
 *
 * Actors of small capacity send to each other at random, several messages for
 * each one they handle. Whatever circles their waits close, all of it ends.
 */
#include "tests/unit/support.h"

#define MAX_ACTORS 1000

static struct {
	size_t n;
	rota_id id[MAX_ACTORS];
	struct tally sent;
	struct tally handled;
	struct tally refused; /* to oneself, when full */
	struct tally strange;
} web;

struct knot {
	uint64_t random;
};

/* @hops messages are sent in the handler, of which all but one end there. */
static void spread(struct knot *knot, uint64_t hops)
{
	uint64_t fan = 1 + next_random(&knot->random) % 3;

	for (uint64_t i = 0; i < fan; i++) {
		rota_id to = web.id[next_random(&knot->random) % web.n];
		uint64_t left = i == 0 ? hops - 1 : 0;
		int error = rota_send(to, 1, &left, sizeof(left));

		if (error == 0)
			tally_add(&web.sent, 1);
		else if (error == -EDEADLK && to == rota_self())
			tally_add(&web.refused, 1);
		else
			tally_add(&web.strange, 1);
	}
}

static int knot_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct knot *knot = state;
	uint64_t hops = value_at(payload, length);

	(void)tag;
	tally_add(&web.handled, 1);
	if (hops)
		spread(knot, hops);
	return 0;
}

static const struct rota_behaviour knot_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "knot",
	.state_size = sizeof(struct knot),
	.handle = knot_handle,
};

static void weave(unsigned workers, unsigned capacity, size_t n,
		  unsigned long rounds)
{
	memset(&web, 0, sizeof(web));
	web.n = n;
	engine_start(workers);
	for (size_t i = 0; i < n; i++)
		web.id[i] =
			spawn(&knot_behaviour, &(struct knot){i + 1}, capacity);
	for (unsigned long round = 0; round < rounds; round++) {
		uint64_t hops = 30;

		for (size_t i = 0; i < n; i++)
			cr_assert_eq(rota_send(web.id[i], 1, &hops, 8), 0);
		if (round % 8 == 0)
			quiesce();
	}
	quiesce();
	cr_assert_eq(tally_of(&web.strange), 0);
	cr_assert_eq(tally_of(&web.handled), tally_of(&web.sent) + n * rounds);
	engine_stop();
	cr_assert_eq(n_dead(), 0);
}

Test(cycle, of_two_actors, .timeout = STRESS)
{
	weave(2, 1, 2, check_stress(2500));
}

Test(cycle, of_three_actors, .timeout = STRESS)
{
	weave(2, 1, 3, check_stress(2500));
}

Test(cycle, of_ten_actors, .timeout = STRESS)
{
	weave(2, 1, 10, check_stress(600));
	weave(2, 2, 10, check_stress(600));
}

Test(cycle, of_64_actors, .timeout = STRESS)
{
	weave(2, 1, 64, check_stress(100));
	weave(2, 3, 64, check_stress(100));
}

/* Many circles here are longer than a turn walks. */
Test(cycle, of_1000_actors, .timeout = STRESS)
{
	size_t n = SIZED(MAX_ACTORS, 200);

	weave(2, 1, n, check_stress(10));
	weave(1, 1, n, check_stress(10));
}

Test(cycle, on_64_workers, .timeout = STRESS)
{
	weave(64, 1, 10, check_stress(200));
	weave(64, 2, 64, check_stress(50));
}

Test(cycle, on_one_worker, .timeout = STRESS)
{
	weave(1, 1, 3, check_stress(2500));
	weave(1, 2, 64, check_stress(100));
}
