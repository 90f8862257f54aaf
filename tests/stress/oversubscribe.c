/* SPDX-License-Identifier: MIT */
/*
 * oversubscribe - far more workers than cores
 *
 * The kernel stops workers at any point, for long: what another worker waits
 * for may be in the hands of one that does not run.
 */
#include "tests/unit/support.h"

/* A ring of actors around which several tokens run. */
struct seat {
	rota_id next;
	struct tally *hops;
};

enum { TOKEN = 1, NEXT };

static int seat_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct seat *seat = state;
	uint64_t value = value_at(payload, length);

	if (tag == NEXT) {
		seat->next = value;
		return 0;
	}
	tally_add(seat->hops, 1);
	return value ? send_value(seat->next, TOKEN, value - 1) : 0;
}

static const struct rota_behaviour seat_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "seat",
	.state_size = sizeof(struct seat),
	.handle = seat_handle,
};

static void tokens(unsigned workers, size_t seats, size_t n, uint64_t hops)
{
	static struct tally count;
	struct seat seat = {ROTA_NONE, &count};
	rota_id *id = calloc(seats, sizeof(*id));

	AO_store(&count.n, 0);
	engine_start(workers);
	for (size_t i = 0; i < seats; i++)
		id[i] = spawn(&seat_behaviour, &seat, 0);
	for (size_t i = 0; i < seats; i++)
		cr_assert_eq(send_value(id[i], NEXT, id[(i + 1) % seats]), 0);
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(send_value(id[i * seats / n], TOKEN, hops - 1), 0);
	quiesce();
	cr_assert_eq(tally_of(&count), n * hops);
	cr_assert_eq(counters().messages, n * hops + seats);
	engine_stop();
	free(id);
}

Test(oversubscribe, one_token_on_64_workers, .timeout = STRESS)
{
	tokens(64, 100, 1, check_stress(1000000));
}

Test(oversubscribe, many_tokens_on_64_workers, .timeout = STRESS)
{
	tokens(64, 1000, 100, check_stress(10000));
}

Test(oversubscribe, many_tokens_on_200_workers, .timeout = STRESS)
{
	tokens(200, 1000, 400, check_stress(2000));
}

/* Actors that compute and spawn: work spreads, is done once, and ends. */
struct divide {
	struct tally *leaves;
	unsigned depth;
};

static int divide_handle(void *state, unsigned tag, void *payload,
			 size_t length);

static const struct rota_behaviour divide_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "divide",
	.state_size = sizeof(struct divide),
	.handle = divide_handle,
};

static int divide_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct divide *divide = state;
	struct divide half = {divide->leaves, divide->depth - 1};

	(void)tag;
	(void)payload;
	(void)length;
	if (divide->depth == 0)
		tally_add(divide->leaves, 1);
	else
		for (int i = 0; i < 2; i++)
			if (rota_send(rota_spawn(NULL, &divide_behaviour, &half,
						 NULL),
				      1, NULL, 0))
				return -EIO;
	for (volatile unsigned i = 0; i < 500; i++)
		;
	return rota_self_stop(0);
}

Test(oversubscribe, work_divides_on_64_workers, .timeout = STRESS)
{
	unsigned long rounds = check_stress(40);

	engine_start(64);
	for (unsigned long i = 0; i < rounds; i++) {
		struct tally leaves = {0};
		struct divide whole = {&leaves, 13};

		cr_assert_eq(rota_send(spawn(&divide_behaviour, &whole, 0), 1,
				       NULL, 0),
			     0);
		quiesce();
		cr_assert_eq(tally_of(&leaves), 1 << 13);
		cr_assert_eq(counters().spawned, (i + 1) * ((2 << 13) - 1));
		cr_assert_eq(counters().ended, counters().spawned);
	}
	engine_stop();
}

/* An engine that falls asleep and is woken, again and again. */
Test(oversubscribe, sleeps_and_wakes_with_64_workers, .timeout = STRESS)
{
	static struct record record;
	unsigned long n = check_stress(20000);
	rota_id id;

	engine_start(64);
	id = puppet_spawn(&record, 0);
	for (unsigned long i = 0; i < n; i++) {
		cr_assert_eq(send_value(id, 1, i), 0);
		AWAIT(tally_of(&record.n) == i + 1);
		if (i % 16 == 0)
			quiesce();
	}
	engine_stop();
}
