/* SPDX-License-Identifier: MIT */
/*
 * engine - stopping while everything is under way
 *
 * Threads send, join, spawn and start timers without a pause while the engine
 * is stopped. Their calls end, with an error at the latest then; what had been
 * accepted is handled or a dead letter; every state is destroyed once.
 */
#include "tests/unit/support.h"

#define ACTORS 16
#define THREADS 6

static struct {
	rota_engine *engine;
	rota_id id[ACTORS];
	struct tally accepted;
	struct tally handled;
	struct tally spawned;
	struct tally destroyed;
	struct tally strange;
	struct tally ready;
} now;

static int node_handle(void *state, unsigned tag, void *payload, size_t length)
{
	uint64_t hops = value_at(payload, length);
	rota_id to = now.id[hops * 7 % ACTORS];
	int error;

	(void)state;
	(void)tag;
	tally_add(&now.handled, 1);
	if (hops == 0)
		return 0;
	hops--;
	error = rota_send(to, 1, &hops, sizeof(hops));
	if (error == 0)
		tally_add(&now.accepted, 1);
	else if (error != -ESRCH && error != -ESHUTDOWN &&
		 error != -ECANCELED && error != -EDEADLK)
		tally_add(&now.strange, 1);
	return 0;
}

static void node_destroy(void *state)
{
	(void)state;
	tally_add(&now.destroyed, 1);
}

static const struct rota_behaviour node_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "node",
	.handle = node_handle,
	.destroy = node_destroy,
};

static bool is_end(int error)
{
	return error == -ESRCH || error == -ESHUTDOWN;
}

static int send_one(uint64_t way)
{
	rota_id to = now.id[way % ACTORS];
	uint64_t hops = way >> 8 & 15;
	int error = way >> 16 & 1
			    ? rota_send(to, 1, &hops, 8)
			    : rota_send_within(to, 1, &hops, 8, ROTA_US(20));

	if (error == 0)
		tally_add(&now.accepted, 1);
	return error == -EAGAIN || error == -ETIMEDOUT ? 0 : error;
}

static int spawn_one(void)
{
	rota_id id = rota_spawn(now.engine, &node_behaviour, NULL, NULL);

	if (!rota_id_error(id))
		tally_add(&now.spawned, 1);
	return rota_id_error(id);
}

/* Until the end, which it is told. */
static int join_one(uint64_t way)
{
	struct rota_exit why = {.cause = 0};
	int error = rota_join(now.id[way % ACTORS], ROTA_FOREVER, &why);

	if (!error && why.cause != ROTA_EXIT_ENGINE)
		tally_add(&now.strange, 1);
	return error;
}

static int call_one(uint64_t way)
{
	int error;

	switch (way >> 20 & 15) {
	case 0:
		return spawn_one();
	case 1:
		return rota_send_after(now.id[way % ACTORS], 2, NULL, 0,
				       ROTA_S(3600), NULL);
	case 2:
		/* Rarely: who joins does nothing else any more. */
		if ((way >> 24 & 63) == 0)
			return join_one(way);
		error = rota_quiesce(now.engine, ROTA_US(10));
		return error == -ETIMEDOUT ? 0 : error;
	default:
		return send_one(way);
	}
}

/* Until the engine is gone for this caller. */
static void *thread_call(void *arg)
{
	uint64_t random = *(uint64_t *)arg;
	int error = 0;

	tally_add(&now.ready, 1);
	while (!is_end(error)) {
		error = call_one(next_random(&random));
		if (error && !is_end(error))
			tally_add(&now.strange, 1);
	}
	return NULL;
}

static void cut_short(unsigned workers, unsigned capacity, unsigned long round)
{
	uint64_t random[THREADS];
	pthread_t thread[THREADS];

	memset(&now, 0, sizeof(now));
	for (int i = 0; i < ROTA_DEAD_CAUSES; i++)
		AO_store(&morgue.n[i].n, 0);
	engine_start(workers);
	now.engine = engine;
	for (size_t i = 0; i < ACTORS; i++)
		now.id[i] = spawn(&node_behaviour, NULL, capacity);
	tally_add(&now.spawned, ACTORS);
	for (size_t i = 0; i < THREADS; i++) {
		random[i] = round * THREADS + i + 1;
		thread[i] = thread_start(thread_call, &random[i]);
	}
	AWAIT(tally_of(&now.ready) == THREADS &&
	      tally_of(&now.handled) > round % 200);
	engine_stop();
	for (size_t i = 0; i < THREADS; i++)
		thread_join(thread[i]);
	cr_assert_eq(tally_of(&now.strange), 0, "round %lu", round);
	cr_assert_eq(tally_of(&now.destroyed), tally_of(&now.spawned),
		     "round %lu", round);
	cr_assert_eq(tally_of(&now.handled) + n_dead(), tally_of(&now.accepted),
		     "round %lu: %zu handled, %zu dead, %zu accepted", round,
		     tally_of(&now.handled), n_dead(), tally_of(&now.accepted));
}

Test(engine, stops_under_calls, .timeout = STRESS)
{
	unsigned long rounds = check_stress(300);

	for (unsigned long i = 0; i < rounds; i++)
		cut_short(2, 1 + (unsigned)i % 9, i);
}

Test(engine, stops_under_calls_with_64_workers, .timeout = STRESS)
{
	unsigned long rounds = check_stress(60);

	for (unsigned long i = 0; i < rounds; i++)
		cut_short(64, 1 + (unsigned)i % 9, i);
}

Test(engine, stops_under_calls_with_one_worker, .timeout = STRESS)
{
	unsigned long rounds = check_stress(300);

	for (unsigned long i = 0; i < rounds; i++)
		cut_short(1, 1 + (unsigned)i % 9, i);
}

/* Start and stop many at once: numbers are given and taken by threads. */
static void *thread_start_stop(void *arg)
{
	struct rota_config config = ROTA_CONFIG_INIT;
	unsigned long *n = arg;

	config.workers = 1;
	for (unsigned long i = 0; i < *n; i++) {
		rota_engine *one = rota_start(&config);
		rota_id id;

		if (!one) {
			tally_add(&now.strange, 1);
			continue;
		}
		id = rota_spawn(one, &puppet_behaviour, NULL, NULL);
		if (send_value(id, 1, 1) || rota_stop(one, PATIENCE) ||
		    send_value(id, 1, 1) != -ESRCH)
			tally_add(&now.strange, 1);
	}
	return NULL;
}

Test(engine, many_start_and_stop_at_once, .timeout = STRESS)
{
	unsigned long n = check_stress(300);
	pthread_t thread[4];

	for (int i = 0; i < 4; i++)
		thread[i] = thread_start(thread_start_stop, &n);
	for (int i = 0; i < 4; i++)
		thread_join(thread[i]);
	cr_assert_eq(tally_of(&now.strange), 0);
}
