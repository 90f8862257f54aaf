/* SPDX-License-Identifier: MIT */
/*
 * dedicated - threads that come and go in a storm of messages
 *
 * Actors on threads of their own, in groups and on workers send to each other
 * from all sides while some of them end and others begin: what was accepted is
 * handled or reported, nobody's turns leave his thread, and all threads are gone
 * in the end.
 */
#include <rota/host.h>

#include "tests/unit/threads.h"

/* ---- walkers: each hop is a message to somebody else ---- */

#define SEATS 16

static AO_t xseat[SEATS]; /* rota_id: whom to send to; relaxed: any will do */
static struct tally accepted, hops, strays, turned;

struct walker {
	long thread; /* where the first turn was; 0: nowhere yet */
	bool stays;  /* on one thread */
};

static rota_id someone(uint64_t *random)
{
	return AO_load(&xseat[next_random(random) % SEATS]);
}

static void pass_on(uint64_t random, uint64_t left)
{
	for (int tries = 0; tries < 4; tries++) {
		uint64_t hop[2] = {random, left};
		rota_id to = someone(&random);

		if (rota_send(to, 1, hop, sizeof(hop)) != 0)
			continue; /* it has ended, or is about to */
		tally_add(&accepted, 1);
		return;
	}
}

static int walker_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct walker *walker = state;
	uint64_t hop[2];

	(void)tag;
	(void)length;
	memcpy(hop, payload, sizeof(hop));
	if (walker->stays && !walker->thread)
		walker->thread = thread_number();
	if (walker->stays && walker->thread != thread_number())
		tally_add(&strays, 1);
	tally_add(&hops, 1);
	if (hop[1] > 0)
		pass_on(next_random(&hop[0]), hop[1] - 1);
	return 0;
}

static const struct rota_behaviour walker_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "walker",
	.state_size = sizeof(struct walker),
	.handle = walker_handle,
};

/* Of each kind, in turns. */
static rota_id seat_one(size_t seat)
{
	static const char *const groups[] = {"red", "blue"};
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	struct walker walker = {.stays = seat % 3 != 0};

	options.mailbox = 8;
	if (seat % 3 == 1)
		options.flags = ROTA_OWN_THREAD;
	if (seat % 3 == 2)
		options.group = groups[seat / 3 % 2];
	return rota_spawn(engine, &walker_behaviour, &walker, &options);
}

/* Somebody takes the seat of another, who ends. */
static void replace(uint64_t *random)
{
	size_t seat = next_random(random) % SEATS;
	rota_id next = seat_one(seat), last = AO_load(&xseat[seat]);

	cr_assert_eq(rota_id_error(next), 0);
	AO_store(&xseat[seat], next);
	if (next_random(random) % 2)
		rota_actor_drain(last);
	else
		rota_actor_stop(last);
	tally_add(&turned, 1);
}

static void seat_all(void)
{
	for (size_t i = 0; i < SEATS; i++) {
		rota_id id = seat_one(i);

		cr_assert_eq(rota_id_error(id), 0);
		AO_store(&xseat[i], id);
	}
}

static void storm(unsigned workers)
{
	uint64_t random = 88172645463325252u;
	unsigned before;

	engine_start(workers);
	before = n_threads();
	seat_all();
	for (unsigned long i = 0; i < check_stress(SIZED(400, 100)); i++) {
		pass_on(next_random(&random), 50);
		if (i % 4 == 0)
			replace(&random);
		if (i % 64 == 0)
			rota_workers_set(engine, 1 + (unsigned)i / 64 % 3);
	}
	quiesce();
	expect_conserved(tally_of(&accepted));
	cr_assert_gt(tally_of(&hops), 0);
	cr_assert_eq(tally_of(&strays), 0);
	rota_workers_set(engine, workers);
	for (size_t i = 0; i < SEATS; i++)
		rota_actor_drain(AO_load(&xseat[i]));
	AWAIT(n_threads() <= before);
	engine_stop();
}

Test(dedicated, storm_beside_one_worker, .timeout = STRESS)
{
	storm(1);
}

Test(dedicated, storm_beside_two_workers, .timeout = STRESS)
{
	storm(2);
}

/* ---- stops in the middle ---- */

static void *push_in(void *arg)
{
	uint64_t random = (uint64_t)(uintptr_t)arg | 1;

	while (tally_of(&turned) == 0)
		pass_on(next_random(&random), 50);
	return NULL;
}

static void stop_in_the_middle(unsigned flags)
{
	unsigned before = n_threads_before();

	for (unsigned long i = 0; i < check_stress(SIZED(20, 5)); i++) {
		struct rota_config config = test_config(flags ? 0 : 2);
		pthread_t thread;

		config.flags = flags;
		engine = engine_make(&config);
		turned = (struct tally){0};
		seat_all();
		thread = thread_start(push_in, &config);
		for (unsigned long k = 0; k < i % 5; k++)
			nap();
		engine_stop();
		tally_add(&turned, 1);
		thread_join(thread);
		cr_assert_eq(tally_of(&strays), 0);
		AWAIT(n_threads() == before);
	}
}

Test(dedicated, stops_in_the_middle_of_a_storm, .timeout = STRESS)
{
	stop_in_the_middle(0);
}

Test(dedicated, stops_where_nobody_drives, .timeout = STRESS)
{
	stop_in_the_middle(ROTA_RUN_HERE);
}

/* ---- sleeping and waking: one message at a time ---- */

struct ball {
	rota_id other;
	uint64_t left;
};

static int player_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct ball ball, back;

	(void)state;
	(void)length;
	memcpy(&ball, payload, sizeof(ball));
	tally_add(&hops, 1);
	back = (struct ball){rota_self(), ball.left - 1};
	return ball.left ? rota_send(ball.other, tag, &back, sizeof(back)) : 0;
}

static const struct rota_behaviour player_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "player",
	.handle = player_handle,
};

static rota_id player(unsigned flags)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	rota_id id;

	options.flags = flags;
	id = rota_spawn(engine, &player_behaviour, NULL, &options);
	cr_assert_eq(rota_id_error(id), 0);
	return id;
}

/* Each message finds its receiver asleep, about to sleep, or awake. */
Test(dedicated, no_wake_up_is_lost, .timeout = STRESS)
{
	uint64_t left = check_stress(SIZED(20000, 2000));
	rota_id own;

	engine_start(1);
	own = player(ROTA_OWN_THREAD);
	for (unsigned i = 0; i < 2; i++) {
		struct ball ball = {own, left};
		rota_id id = player(i ? ROTA_OWN_THREAD : 0);

		hops = (struct tally){0};
		cr_assert_eq(rota_send(id, 1, &ball, sizeof(ball)), 0);
		quiesce();
		cr_assert_eq(tally_of(&hops), left + 1);
	}
	engine_stop();
}
