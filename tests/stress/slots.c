/* SPDX-License-Identifier: MIT */
/*
 * slots - used again and again under ids that have gone stale
 *
 * Each message carries the id it is for; whoever handles it compares. Ids are
 * published where everybody takes them from, also long after their actor died.
 */
#include "tests/unit/support.h"

#define BOARD 64

static struct {
	AO_t id[BOARD]; /* published ids; relaxed: a stale one is welcome */
	struct tally wrong;
	struct tally handled;
	struct tally accepted;
	struct tally spawned;
	struct tally destroyed;
	struct tally failed;
} board;

struct tenant {
	rota_id id;
};

static int tenant_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct tenant *tenant = state;
	rota_id meant = value_at(payload, length);

	if (meant != rota_self())
		tally_add(&board.wrong, 1);
	if (tenant->id == ROTA_NONE)
		tenant->id = meant;
	if (tenant->id != meant)
		tally_add(&board.wrong, 1);
	tally_add(&board.handled, 1);
	return tag == 2 ? rota_self_stop(0) : 0;
}

static void tenant_destroy(void *state)
{
	(void)state;
	tally_add(&board.destroyed, 1);
}

static const struct rota_behaviour tenant_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "tenant",
	.state_size = sizeof(struct tenant),
	.handle = tenant_handle,
	.destroy = tenant_destroy,
};

static void count_send(int error)
{
	if (error == 0)
		tally_add(&board.accepted, 1);
	else if (error != -ESRCH && error != -ESHUTDOWN && error != -EAGAIN &&
		 error != -ECANCELED)
		tally_add(&board.failed, 1);
}

static int tell(rota_id id, unsigned tag)
{
	return rota_send(id, tag, &id, sizeof(id));
}

/* Replace one by a new one, and end the old one in one of several ways. */
static void move_in(uint64_t *random)
{
	size_t place = next_random(random) % BOARD;
	rota_id old = AO_load(&board.id[place]);
	rota_id id = rota_spawn(engine, &tenant_behaviour, NULL, NULL);

	if (rota_id_error(id)) {
		tally_add(&board.failed, 1);
		return;
	}
	tally_add(&board.spawned, 1);
	count_send(tell(id, 1));
	AO_store(&board.id[place], id);
	switch (next_random(random) % 3) {
	case 0:
		(void)rota_actor_stop(old);
		break;
	case 1:
		(void)rota_actor_drain(old);
		break;
	default:
		count_send(tell(old, 2));
	}
}

static void *thread_move(void *arg)
{
	uint64_t random = *(uint64_t *)arg;

	for (unsigned long i = check_stress(150000); i; i--)
		move_in(&random);
	return NULL;
}

struct mover {
	uint64_t random;
	unsigned long left;
};

static int act_move(void *arg)
{
	struct mover *mover = arg;
	struct act act = {act_move, arg};

	for (int i = 0; i < 10; i++)
		move_in(&mover->random);
	if (--mover->left)
		count_send(rota_try_send(rota_self(), ACT, &act, sizeof(act)));
	return 0;
}

static void *thread_tell(void *arg)
{
	uint64_t random = *(uint64_t *)arg;
	rota_id old[16] = {0};

	for (unsigned long i = check_stress(600000); i; i--) {
		rota_id *id = &old[next_random(&random) % 16];

		if (next_random(&random) % 4 == 0)
			*id = AO_load(&board.id[random % BOARD]);
		count_send(tell(*id, 1));
	}
	return NULL;
}

static void slots(unsigned workers)
{
	static struct mover mover[4];
	uint64_t random[4] = {5, 6, 7, 8};
	pthread_t thread[4];
	uint64_t accepted;

	engine_start(workers);
	for (int i = 0; i < 4; i++) {
		mover[i].random = (uint64_t)i + 1;
		mover[i].left = check_stress(10000);
		ACTS(puppet_spawn(NULL, 2), act_move, &mover[i]);
		thread[i] = thread_start(i % 2 ? thread_tell : thread_move,
					 &random[i]);
	}
	for (int i = 0; i < 4; i++)
		thread_join(thread[i]);
	quiesce();
	cr_assert_eq(tally_of(&board.wrong), 0);
	cr_assert_eq(tally_of(&board.failed), 0);
	accepted = tally_of(&board.accepted) + 4;
	expect_conserved(accepted);
	cr_assert_eq(counters().spawned, tally_of(&board.spawned) + 4);
	engine_stop();
	cr_assert_eq(tally_of(&board.destroyed), tally_of(&board.spawned));
	cr_assert_eq(tally_of(&board.wrong), 0);
}

Test(slots, never_give_a_message_to_the_wrong_one, .timeout = STRESS)
{
	slots(2);
}

Test(slots, never_do_on_64_workers, .timeout = STRESS)
{
	slots(64);
}

/* One slot, over and over: millions of lives, one stale id of each kept. */
Test(slots, serve_millions_of_lives, .timeout = STRESS)
{
	unsigned long n = check_stress(2000000);
	rota_id stale[256] = {0};

	engine_start(1);
	for (unsigned long i = 0; i < n; i++) {
		rota_id id = rota_spawn(engine, &tenant_behaviour, NULL, NULL);
		rota_id *kept = &stale[i % 256];

		if (rota_id_error(id) || id == *kept)
			tally_add(&board.failed, 1);
		if (*kept && tell(*kept, 1) == 0)
			tally_add(&board.accepted, 1);
		if (tell(id, 2))
			tally_add(&board.failed, 1);
		tally_add(&board.accepted, 1);
		*kept = id;
		if (i % 128 == 0)
			quiesce();
	}
	cr_assert_eq(tally_of(&board.failed), 0);
	expect_conserved(tally_of(&board.accepted));
	cr_assert_eq(tally_of(&board.wrong), 0);
	cr_assert_eq(counters().ended, n);
	engine_stop();
	cr_assert_eq(tally_of(&board.destroyed), n);
}
