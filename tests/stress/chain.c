/* SPDX-License-Identifier: MIT */
/*
 * chain - bursts at receivers that come and go
 *
 * Senders on several workers send bursts to receivers that end in the midst of
 * them: with leases open at a mailbox that closes, at a slot that wants to be
 * used again, at a life that is the next one already. Some senders stand still
 * with a chain in hand until the monitor takes it. Every message that was
 * accepted is handled or told; no slot is used while a lease is open.
 */
#include <sched.h>

#include "tests/unit/support.h"

#define N_RECEIVERS 8
#define N_SENDERS 8

static struct {
	AO_t id[N_RECEIVERS]; /* rota_id; replaced when it has ended */
	struct tally accepted;
	struct tally handled;
	struct tally destroyed;
	struct tally failed;
	size_t n_rounds; /* per sender */
} range;

struct receiver {
	uint64_t random;
	uint64_t messages_left;
	uint64_t last[N_SENDERS]; /* that came from each: they only grow */
};

struct shot {
	uint64_t sender;
	uint64_t number;
};

static int receiver_handle(void *state, unsigned tag, void *payload,
			   size_t length)
{
	struct receiver *receiver = state;
	struct shot shot;

	(void)tag;
	if (length != sizeof(shot)) {
		tally_add(&range.failed, 1);
		return 0;
	}
	memcpy(&shot, payload, sizeof(shot));
	if (shot.number <= receiver->last[shot.sender])
		tally_add(&range.failed, 1);
	receiver->last[shot.sender] = shot.number;
	tally_add(&range.handled, 1);
	if (--receiver->messages_left > 0)
		return 0;
	receiver->messages_left = 1000000; /* what a drain still brings */
	switch (next_random(&receiver->random) % 3) {
	case 0:
		return -EIO;
	case 1:
		return rota_self_drain();
	default:
		return rota_self_stop(0);
	}
}

static void receiver_destroy(void *state)
{
	(void)state;
	tally_add(&range.destroyed, 1);
}

static const struct rota_behaviour receiver_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "receiver",
	.state_size = sizeof(struct receiver),
	.handle = receiver_handle,
	.destroy = receiver_destroy,
};

static rota_id receiver_make(uint64_t random)
{
	struct receiver receiver = {.random = random | 1,
				    .messages_left = 1 + random % 200};
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	rota_id id;

	options.mailbox = random >> 20 & 1 ? 64 : 1000;
	options.flags = ROTA_TAKES_URGENT;
	id = rota_spawn(engine, &receiver_behaviour, &receiver, &options);
	if (rota_id_error(id))
		tally_add(&range.failed, 1);
	return id;
}

struct sender {
	uint64_t random;
	uint64_t number;
	uint64_t shots;
	size_t rounds;
};

/* Now and then others get the processor, or the monitor its chance. */
static void hesitate(uint64_t random)
{
	if (random % 64 == 0)
		sched_yield();
	else if (random % 1024 == 1)
		nanosleep(&(struct timespec){.tv_nsec = 300000}, NULL);
}

/* False if the receiver is no more. */
static bool shoot(struct sender *sender, rota_id to)
{
	struct shot shot = {sender->number, ++sender->shots};
	int error = rota_send(to, 1, &shot, sizeof(shot));

	if (error == 0)
		tally_add(&range.accepted, 1);
	else if (error != -ESRCH && error != -ESHUTDOWN && error != -ECANCELED)
		tally_add(&range.failed, 1);
	hesitate(next_random(&sender->random) >> 16);
	return error == 0;
}

static void burst(struct sender *sender)
{
	uint64_t random = next_random(&sender->random);
	AO_t *place = &range.id[random % N_RECEIVERS];
	rota_id to = AO_load_acquire(place); /* [T2] pairs with the CAS */
	bool is_there = true;

	for (uint64_t n = 1 + (random >> 32) % 100; n > 0 && is_there; n--)
		is_there = shoot(sender, to);
	if (is_there)
		return;
	random = receiver_make(next_random(&sender->random));
	/* [T2] pairs with the load above */
	if (!AO_compare_and_swap_full(place, to, random))
		(void)rota_actor_stop(random); /* another one was first */
}

static int sender_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct sender *sender = state;

	(void)tag;
	(void)payload;
	(void)length;
	for (int i = 0; i < 20; i++)
		burst(sender);
	return ++sender->rounds < range.n_rounds
		       ? rota_send_urgent(rota_self(), 1, NULL, 0)
		       : rota_self_stop(0);
}

static const struct rota_behaviour sender_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "sender",
	.state_size = sizeof(struct sender),
	.handle = sender_handle,
};

static void bursts(unsigned workers)
{
	struct rota_stats sums;

	memset(&range, 0, sizeof(range));
	memset(morgue.n, 0, sizeof(morgue.n));
	range.n_rounds = check_stress(400);
	engine_start_with(workers, ROTA_CHAINS);
	for (uint64_t i = 0; i < N_RECEIVERS; i++)
		AO_store(&range.id[i], receiver_make(i * 2654435761u));
	for (uint64_t i = 0; i < N_SENDERS; i++) {
		struct sender sender = {.random = i * 88172645463325252u + 1,
					.number = i};
		rota_id id = spawn(&sender_behaviour, &sender, 0);

		cr_assert_eq(rota_send(id, 1, NULL, 0), 0);
	}
	quiesce();
	for (size_t i = 0; i < N_RECEIVERS; i++)
		(void)rota_actor_stop(AO_load(&range.id[i]));
	quiesce();
	cr_assert_eq(tally_of(&range.failed), 0);
	cr_assert_eq(tally_of(&range.handled) + n_dead(),
		     tally_of(&range.accepted));
	sums = counters();
	cr_assert_eq(sums.spawned, sums.ended);
	cr_assert_eq(tally_of(&range.destroyed), sums.ended - N_SENDERS);
	engine_stop();
}

Test(chain, bursts_at_ends_on_one_worker, .timeout = STRESS)
{
	bursts(1);
}

Test(chain, bursts_at_ends_on_two_workers, .timeout = STRESS)
{
	bursts(2);
}

Test(chain, bursts_at_ends_on_eight_workers, .timeout = STRESS)
{
	bursts(8);
}
