/* SPDX-License-Identifier: MIT */
/*
 * causal - order between many actors that send to each other at random
 *
 * Matrix clocks: sent[s][r] is how many messages from s to r an actor knows of.
 * It travels with each message, so the receiver r can say exactly what must
 * have come before: of each s at least sent[s][r].
 */
#include "tests/unit/support.h"

#define ACTORS 9

struct clock {
	uint32_t sent[ACTORS][ACTORS];
};

struct talk {
	uint32_t from;
	uint32_t hops; /* left */
	struct clock clock;
};

static struct {
	rota_id id[ACTORS];
	struct tally bad;
	struct tally handled;
	struct tally sent;
	struct tally failed;
} room;

struct talker {
	uint32_t me;
	uint64_t random;
	uint32_t got[ACTORS]; /* messages from each */
	struct clock clock;
};

static void learn(struct clock *clock, const struct clock *news)
{
	for (size_t s = 0; s < ACTORS; s++)
		for (size_t r = 0; r < ACTORS; r++)
			if (clock->sent[s][r] < news->sent[s][r])
				clock->sent[s][r] = news->sent[s][r];
}

/* The matrix says what was sent before; this message itself is one more. */
static bool is_in_order(const struct talker *t, const struct talk *talk)
{
	for (size_t s = 0; s < ACTORS; s++)
		if (t->got[s] < talk->clock.sent[s][t->me])
			return false;
	return t->got[talk->from] == talk->clock.sent[talk->from][t->me];
}

static void pass_on(struct talker *t, uint32_t hops)
{
	uint32_t to = (uint32_t)(next_random(&t->random) % (ACTORS - 1));
	struct talk talk = {.from = t->me, .hops = hops, .clock = t->clock};

	if (to >= t->me)
		to++;
	if (rota_send(room.id[to], 1, &talk, sizeof(talk))) {
		tally_add(&room.failed, 1);
		return;
	}
	tally_add(&room.sent, 1);
	t->clock.sent[t->me][to]++;
}

static int talker_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct talker *t = state;
	struct talk talk;

	(void)tag;
	(void)length;
	memcpy(&talk, payload, sizeof(talk));
	if (talk.from < ACTORS) {
		if (!is_in_order(t, &talk))
			tally_add(&room.bad, 1);
		t->got[talk.from]++;
		learn(&t->clock, &talk.clock);
		t->clock.sent[talk.from][t->me] = t->got[talk.from];
		tally_add(&room.handled, 1);
	}
	if (talk.hops == 0)
		return 0;
	/* Now and then two, and then none: on average one. */
	switch (next_random(&t->random) % 8) {
	case 0:
		pass_on(t, talk.hops - 1);
		pass_on(t, talk.hops - 1);
		break;
	case 1:
		break;
	default:
		pass_on(t, talk.hops - 1);
	}
	return 0;
}

static const struct rota_behaviour talker_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "talker",
	.state_size = sizeof(struct talker),
	.handle = talker_handle,
};

static void talk_at_random(unsigned workers, unsigned capacity, uint32_t n)
{
	engine_start(workers);
	for (uint32_t i = 0; i < ACTORS; i++) {
		struct talker talker = {.me = i, .random = i * 77 + 1};

		room.id[i] = spawn(&talker_behaviour, &talker, capacity);
	}
	for (uint32_t round = 0; round < n; round++) {
		for (uint32_t i = 0; i < ACTORS; i++) {
			struct talk start = {.from = ACTORS, .hops = 60};

			cr_assert_eq(
				rota_send(room.id[i], 1, &start, sizeof(start)),
				0);
		}
		if (round % 64 == 0)
			quiesce();
	}
	quiesce();
	cr_assert_eq(tally_of(&room.failed), 0);
	cr_assert_gt(tally_of(&room.handled), n);
	cr_assert_eq(tally_of(&room.handled), tally_of(&room.sent));
	cr_assert_eq(tally_of(&room.bad), 0);
	engine_stop();
}

Test(causal, order_at_capacity_1, .timeout = STRESS)
{
	talk_at_random(2, 1, (uint32_t)check_stress(500));
}

Test(causal, order_at_capacity_2, .timeout = STRESS)
{
	talk_at_random(2, 2, (uint32_t)check_stress(500));
}

Test(causal, order_at_capacity_64, .timeout = STRESS)
{
	talk_at_random(2, 64, (uint32_t)check_stress(1000));
}

Test(causal, order_with_room_for_all, .timeout = STRESS)
{
	talk_at_random(2, 10000, (uint32_t)check_stress(1000));
}

Test(causal, order_on_64_workers_at_capacity_1, .timeout = STRESS)
{
	talk_at_random(64, 1, (uint32_t)check_stress(200));
}

Test(causal, order_on_64_workers, .timeout = STRESS)
{
	talk_at_random(64, 64, (uint32_t)check_stress(500));
}

Test(causal, order_on_one_worker, .timeout = STRESS)
{
	talk_at_random(1, 1, (uint32_t)check_stress(500));
}
