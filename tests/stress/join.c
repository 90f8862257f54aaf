/* SPDX-License-Identifier: MIT */
/*
 * join - many wait for many ends
 *
 * Whoever joins, before, during or after the end, is told the same reason, and
 * the destructor has run by then.
 */
#include "tests/unit/support.h"

#define TARGETS 32

struct fate {
	rota_id id;
	int reason;
	struct flag destroyed;
};

static struct {
	struct fate fate[TARGETS];
	struct tally joined;
	struct tally timed_out;
	struct tally wrong;
} fates;

struct mortal {
	struct fate *fate;
};

static int mortal_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct mortal *mortal = state;

	(void)payload;
	(void)length;
	return tag ? -mortal->fate->reason
		   : rota_self_stop(mortal->fate->reason);
}

static void mortal_destroy(void *state)
{
	flag_raise(&((struct mortal *)state)->fate->destroyed);
}

static const struct rota_behaviour mortal_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "mortal",
	.state_size = sizeof(struct mortal),
	.handle = mortal_handle,
	.destroy = mortal_destroy,
};

static bool is_told(const struct fate *fate, const struct rota_exit *why)
{
	if (why->cause == ROTA_EXIT_NORMAL)
		return why->reason == fate->reason;
	if (why->cause == ROTA_EXIT_FAILED)
		return why->reason == -fate->reason;
	return why->cause == ROTA_EXIT_STOPPED;
}

static void join_one(uint64_t random)
{
	struct fate *fate = &fates.fate[random % TARGETS];
	struct rota_exit why = {.cause = 0};
	int64_t within = random >> 8 & 1 ? (int64_t)(random >> 16 & 0xffff)
					 : ROTA_FOREVER;
	int error = rota_join(fate->id, within, &why);

	if (error == -ETIMEDOUT && within < ROTA_FOREVER)
		tally_add(&fates.timed_out, 1);
	else if (error || !is_told(fate, &why) || !flag_is_up(&fate->destroyed))
		tally_add(&fates.wrong, 1);
	else
		tally_add(&fates.joined, 1);
}

static int act_join_some(void *arg)
{
	uint64_t *random = arg;

	for (int i = 0; i < 8; i++)
		join_one(next_random(random));
	return rota_self_stop(0);
}

static void *thread_join_some(void *arg)
{
	uint64_t *random = arg;

	for (int i = 0; i < 8; i++)
		join_one(next_random(random));
	return NULL;
}

static void fates_spawn(unsigned long round)
{
	memset(&fates.fate, 0, sizeof(fates.fate));
	for (int i = 0; i < TARGETS; i++) {
		struct mortal mortal = {&fates.fate[i]};

		fates.fate[i].reason = (int)(round % 1000) * TARGETS + i + 1;
		fates.fate[i].id = spawn(&mortal_behaviour, &mortal, 4);
	}
}

/* In some order, in one of three ways. */
static void fates_end(uint64_t random)
{
	for (size_t i = 0; i < TARGETS; i++) {
		rota_id id = fates.fate[i * 13 % TARGETS].id;

		switch (next_random(&random) % 3) {
		case 0:
			cr_assert_eq(rota_actor_stop(id), 0);
			break;
		case 1:
			cr_assert_eq(rota_send(id, 0, NULL, 0), 0);
			break;
		default:
			cr_assert_eq(rota_send(id, 1, NULL, 0), 0);
		}
	}
}

#define THREADS 4
#define PUPPETS 60

static void storm(unsigned workers, unsigned long rounds)
{
	static uint64_t random[THREADS + PUPPETS];
	pthread_t thread[THREADS];

	for (size_t i = 0; i < THREADS + PUPPETS; i++)
		random[i] = i + 1;
	engine_start(workers);
	for (unsigned long round = 1; round <= rounds; round++) {
		fates_spawn(round);
		for (size_t i = 0; i < THREADS; i++)
			thread[i] = thread_start(thread_join_some, &random[i]);
		for (size_t i = THREADS; i < THREADS + PUPPETS; i++)
			ACTS(puppet_spawn(NULL, 1), act_join_some, &random[i]);
		fates_end(round);
		for (size_t i = 0; i < THREADS; i++)
			thread_join(thread[i]);
		quiesce();
		cr_assert_eq(tally_of(&fates.wrong), 0, "round %lu", round);
		cr_assert_eq(counters().spawned, counters().ended);
	}
	cr_assert_eq(tally_of(&fates.joined) + tally_of(&fates.timed_out),
		     rounds * 8 * (THREADS + PUPPETS));
	engine_stop();
}

Test(join, storm_on_2_workers, .timeout = STRESS)
{
	storm(2, check_stress(800));
}

Test(join, storm_on_64_workers, .timeout = STRESS)
{
	storm(64, check_stress(300));
}

Test(join, storm_on_one_worker, .timeout = STRESS)
{
	storm(1, check_stress(800));
}
