/* SPDX-License-Identifier: MIT */
/*
 * storm - spawning and ending, everywhere at once
 *
 * Trees of actors that spawn children, send to them and end in every way there
 * is. Each spawn is one destroy, each message is handled or a dead letter.
 */
#include "tests/unit/support.h"

static struct {
	struct tally spawned;
	struct tally destroyed;
	struct tally handled;
	struct tally accepted;
	struct tally failed;
} storm;

struct leaf {
	uint64_t random;
	unsigned depth;
	unsigned check;
};

enum { GROW = 1, IDLE };

static int leaf_handle(void *state, unsigned tag, void *payload, size_t length);

static void leaf_destroy(void *state)
{
	struct leaf *leaf = state;

	if (leaf->check != 0xfeedbeef)
		tally_add(&storm.failed, 1);
	leaf->check = 0;
	tally_add(&storm.destroyed, 1);
}

static const struct rota_behaviour leaf_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "leaf",
	.state_size = sizeof(struct leaf),
	.handle = leaf_handle,
	.destroy = leaf_destroy,
};

static void count(int error)
{
	if (error == 0)
		tally_add(&storm.accepted, 1);
	else if (error != -ESRCH && error != -ESHUTDOWN && error != -EAGAIN &&
		 error != -ECANCELED)
		tally_add(&storm.failed, 1);
}

static rota_id grow_leaf(uint64_t random, unsigned depth)
{
	struct leaf leaf = {random | 1, depth, 0xfeedbeef};
	rota_id id = rota_spawn(engine, &leaf_behaviour, &leaf, NULL);

	if (rota_id_error(id))
		tally_add(&storm.failed, 1);
	else
		tally_add(&storm.spawned, 1);
	return id;
}

/* Half of the children are ended at once, by whatever end comes to mind. */
static void grow_child(struct leaf *leaf)
{
	uint64_t way = next_random(&leaf->random);
	rota_id id = grow_leaf(way, leaf->depth - 1);

	count(rota_send(id, GROW, NULL, 0));
	for (uint64_t i = way >> 8 & 7; i; i--)
		count(rota_send(id, IDLE, NULL, 0));
	switch (way & 7) {
	case 0:
		(void)rota_actor_stop(id);
		break;
	case 1:
		(void)rota_actor_drain(id);
		break;
	case 2:
		(void)rota_actor_drain(id);
		(void)rota_actor_stop(id);
		break;
	case 3:
		if (rota_join(id, ROTA_US(50), NULL) == -EDEADLK)
			tally_add(&storm.failed, 1);
		break;
	default:
		break;
	}
}

/* The ways an actor may end by itself; the rest ends with the engine. */
static int leaf_end(struct leaf *leaf)
{
	switch (next_random(&leaf->random) % 8) {
	case 0:
		return -EIO;
	case 1:
		return rota_self_drain();
	case 2:
		return rota_actor_stop(rota_self());
	case 3:
		return 0;
	default:
		return rota_self_stop(1);
	}
}

static int leaf_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct leaf *leaf = state;

	(void)payload;
	(void)length;
	tally_add(&storm.handled, 1);
	if (tag == IDLE)
		return 0;
	if (leaf->depth > 0)
		for (int i = 0; i < 3; i++)
			grow_child(leaf);
	return leaf_end(leaf);
}

static void trees(unsigned workers, unsigned depth, unsigned long n)
{
	engine_start(workers);
	for (unsigned long i = 1; i <= n; i++) {
		rota_id id = grow_leaf(i * 2654435761u, depth);

		count(rota_send(id, GROW, NULL, 0));
		if (i % 16 == 0)
			quiesce();
	}
	quiesce();
	cr_assert_eq(tally_of(&storm.failed), 0);
	expect_conserved(tally_of(&storm.accepted));
	cr_assert_eq(counters().spawned, tally_of(&storm.spawned));
	cr_assert_eq(counters().ended, tally_of(&storm.destroyed));
	engine_stop();
	cr_assert_eq(tally_of(&storm.destroyed), tally_of(&storm.spawned));
	cr_assert_eq(tally_of(&storm.failed), 0);
}

Test(storm, of_trees, .timeout = STRESS)
{
	trees(2, 6, check_stress(600));
}

Test(storm, of_trees_on_64_workers, .timeout = STRESS)
{
	trees(64, 6, check_stress(300));
}

Test(storm, of_trees_on_one_worker, .timeout = STRESS)
{
	trees(1, 6, check_stress(600));
}

static void *thread_plant(void *arg)
{
	uint64_t random = *(uint64_t *)arg;

	for (unsigned long i = check_stress(100); i; i--)
		count(rota_send(grow_leaf(next_random(&random), 4), GROW, NULL,
				0));
	return NULL;
}

Test(storm, of_trees_from_threads, .timeout = STRESS)
{
	uint64_t random[4] = {11, 22, 33, 44};
	pthread_t thread[4];

	engine_start(4);
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 4; i++)
			thread[i] = thread_start(thread_plant, &random[i]);
		for (int i = 0; i < 4; i++)
			thread_join(thread[i]);
	}
	quiesce();
	expect_conserved(tally_of(&storm.accepted));
	engine_stop();
	cr_assert_eq(tally_of(&storm.failed), 0);
	cr_assert_eq(tally_of(&storm.destroyed), tally_of(&storm.spawned));
}

/* In the middle of it the engine stops: all are destroyed, none twice. */
Test(storm, cut_short_by_the_engines_end, .timeout = STRESS)
{
	unsigned long rounds = check_stress(150);

	for (unsigned long i = 1; i <= rounds; i++) {
		size_t before = tally_of(&storm.handled);

		engine_start(1 + (unsigned)i % 4);
		for (unsigned j = 0; j < 4; j++)
			count(rota_send(grow_leaf(i * 4 + j, 7), GROW, NULL,
					0));
		/* Now and then all four die out before that. */
		AWAIT(tally_of(&storm.handled) > before + 20 ||
		      rota_quiesce(engine, ROTA_US(1)) == 0);
		/* A spawn that the end overtakes is refused. */
		AO_store(&storm.failed.n, 0);
		engine_stop();
		cr_assert_eq(tally_of(&storm.destroyed),
			     tally_of(&storm.spawned), "round %lu", i);
	}
}
