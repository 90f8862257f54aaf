/* SPDX-License-Identifier: MIT */
/*
 * foreign - host threads that come and go, several engines under them
 *
 * Short-lived threads use engines that start and stop meanwhile. What they hold
 * may be stale at any moment; then they get an error, and never anything worse.
 */
#include "tests/unit/support.h"

#define ENGINES 3
#define PER_ENGINE 8
#define THREADS 4

/* Ids of the engines of now, and of those before. Relaxed: any will do. */
static AO_t board[ENGINES * PER_ENGINE];

static struct {
	struct tally handled;
	struct tally accepted;
	struct tally refused;
	struct tally strange;
	struct tally destroyed;
	struct tally spawned;
} all;

static int guest_handle(void *state, unsigned tag, void *payload, size_t length)
{
	(void)state;
	if (value_at(payload, length) != rota_self())
		tally_add(&all.strange, 1);
	tally_add(&all.handled, 1);
	return tag == 2 ? rota_self_stop(0) : 0;
}

static void guest_destroy(void *state)
{
	(void)state;
	tally_add(&all.destroyed, 1);
}

static const struct rota_behaviour guest_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "guest",
	.handle = guest_handle,
	.destroy = guest_destroy,
};

static void judge(int error)
{
	if (error == 0)
		tally_add(&all.accepted, 1);
	else if (error == -ESRCH || error == -ESHUTDOWN || error == -EAGAIN ||
		 error == -ETIMEDOUT)
		tally_add(&all.refused, 1);
	else
		tally_add(&all.strange, 1);
}

static void *thread_call(void *arg)
{
	uint64_t random = *(uint64_t *)arg;

	for (int i = 0; i < 40; i++) {
		uint64_t way = next_random(&random);
		rota_id id = AO_load(&board[way % (ENGINES * PER_ENGINE)]);
		int error;

		switch (way >> 32 & 7) {
		case 0:
			error = rota_join(id, (int64_t)(way >> 40 & 0xfff),
					  NULL);
			if (error && error != -ESRCH && error != -ETIMEDOUT)
				tally_add(&all.strange, 1);
			break;
		case 1:
			error = rota_actor_stop(id);
			if (error && error != -ESRCH)
				tally_add(&all.strange, 1);
			break;
		case 2:
			judge(rota_send_within(id, 1, &id, 8, ROTA_US(50)));
			break;
		case 3:
			judge(rota_try_send(id, 2, &id, 8));
			break;
		case 4:
			(void)rota_is_alive(id);
			break;
		default:
			judge(rota_send(id, 1, &id, 8));
		}
	}
	return NULL;
}

/* One that lives long and starts short-lived ones, over and over. */
struct host {
	uint64_t random;
	unsigned long n;
};

static void *thread_host(void *arg)
{
	struct host *host = arg;

	for (unsigned long i = 0; i < host->n; i++) {
		uint64_t random = next_random(&host->random);
		pthread_t thread;

		if (pthread_create(&thread, NULL, thread_call, &random)) {
			tally_add(&all.strange, 1);
			continue;
		}
		pthread_join(thread, NULL);
	}
	return NULL;
}

static rota_engine *engine_open(size_t place, unsigned workers)
{
	struct rota_config config = test_config(workers);

	engine = engine_make(&config);
	for (size_t i = 0; i < PER_ENGINE; i++) {
		rota_id id = spawn(&guest_behaviour, NULL, 1 + (unsigned)i % 3);

		tally_add(&all.spawned, 1);
		AO_store(&board[place * PER_ENGINE + i], id);
	}
	return engine;
}

/* What is accepted and not handled is told, also at the end of an engine. */
Test(foreign, threads_and_engines_come_and_go, .timeout = STRESS)
{
	unsigned long n = check_stress(1500);
	rota_engine *engines[ENGINES];
	struct host host[THREADS];
	pthread_t thread[THREADS];

	for (size_t i = 0; i < ENGINES; i++)
		engines[i] = engine_open(i, 2);
	for (size_t i = 0; i < THREADS; i++) {
		host[i] = (struct host){i + 1, n};
		thread[i] = thread_start(thread_host, &host[i]);
	}
	for (size_t i = 0; i < n / 4 + 1; i++) {
		size_t place = i % ENGINES;

		cr_assert_eq(rota_stop(engines[place], PATIENCE), 0);
		engines[place] = engine_open(place, 1 + (unsigned)i % 3);
		nap();
	}
	for (size_t i = 0; i < THREADS; i++)
		thread_join(thread[i]);
	for (size_t i = 0; i < ENGINES; i++)
		cr_assert_eq(rota_stop(engines[i], PATIENCE), 0);
	cr_assert_eq(tally_of(&all.strange), 0);
	cr_assert_eq(tally_of(&all.destroyed), tally_of(&all.spawned));
	cr_assert_eq(tally_of(&all.handled) + n_dead(),
		     tally_of(&all.accepted));
	cr_assert_gt(tally_of(&all.handled), 0);
}

/* The same without an end in between: many threads at a time. */
Test(foreign, threads_come_and_go, .timeout = STRESS)
{
	unsigned long rounds = check_stress(200);
	uint64_t random[32];
	pthread_t thread[32];

	for (size_t i = 0; i < ENGINES; i++)
		AO_store(&board[i * PER_ENGINE], ROTA_NONE);
	rota_engine *only = engine_open(0, 4);

	for (unsigned long round = 0; round < rounds; round++) {
		for (size_t i = 0; i < 32; i++) {
			random[i] = round * 32 + i + 1;
			thread[i] = thread_start(thread_call, &random[i]);
		}
		for (size_t i = 0; i < 32; i++)
			thread_join(thread[i]);
		for (size_t i = 0; i < PER_ENGINE; i++) {
			if (rota_is_alive(AO_load(&board[i])))
				continue;
			AO_store(&board[i], spawn(&guest_behaviour, NULL, 2));
			tally_add(&all.spawned, 1);
		}
	}
	engine = only;
	expect_conserved(tally_of(&all.accepted));
	cr_assert_eq(tally_of(&all.strange), 0);
	engine_stop();
	cr_assert_eq(tally_of(&all.destroyed), tally_of(&all.spawned));
}
