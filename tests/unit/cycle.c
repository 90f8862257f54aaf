/* SPDX-License-Identifier: MIT */
/*
 * cycle - actors that wait for each other's room in a circle
 *
 * A program cannot hang because its mailboxes are small: where waits close a
 * circle, one message is let in above the bound. Each test here would hang
 * without that; its time-out is the failure.
 */
#include "tests/unit/support.h"

static struct record record;

/* ---- circles made for sure ---- */

#define MAX_RING 10000

struct ring_seat {
	struct hold *hold;
	struct sending s;
};

static struct ring_seat seats[MAX_RING];
static rota_id ids[MAX_RING];

/* Everybody has one message in hand, so at capacity 1 every mailbox is full
   before the first of them sends. */
static int act_pass_on(void *arg)
{
	struct ring_seat *seat = arg;

	rota_join(seat->hold->gate, ROTA_FOREVER, NULL);
	return act_sending(&seat->s);
}

static void ring(size_t n, unsigned workers, bool is_urgent, int64_t within)
{
	struct hold hold = {0};

	memset(&record, 0, sizeof(record));
	memset(seats, 0, sizeof(seats));
	engine_start(workers);
	hold.gate = puppet_spawn(NULL, 1);
	for (size_t i = 0; i < n; i++)
		ids[i] = puppet_spawn(i ? NULL : &record, 1);
	for (size_t i = 0; i < n; i++) {
		seats[i].hold = &hold;
		seats[i].s = sending_to(ids[(i + 1) % n], 1, i);
		seats[i].s.is_urgent = is_urgent;
		seats[i].s.within = within;
		ACTS(ids[i], act_pass_on, &seats[i]);
	}
	AWAIT(counters().waits >= n);
	cr_assert_eq(rota_actor_stop(hold.gate), 0);
	quiesce();
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(seats[i].s.result, 0, "seat %zu of %zu: %d", i, n,
			     seats[i].s.result);
	cr_assert_eq(tally_of(&record.n), 1);
	cr_assert_eq(record.note[0].value, n - 1);
	cr_assert_gt(counters().overdrafts, 0);
	cr_assert_leq(counters().overdrafts, n);
	engine_stop();
}

Test(cycle, of_two_is_broken, .timeout = HANG)
{
	ring(2, 1, false, ROTA_FOREVER);
	ring(2, 2, false, ROTA_FOREVER);
}

Test(cycle, of_any_length_up_to_100_is_broken, .timeout = HANG)
{
	for (size_t n = 3; n <= 100; n += n < 12 ? 1 : 11)
		ring(n, 2, false, ROTA_FOREVER);
	ring(100, 2, false, ROTA_FOREVER);
}

Test(cycle, is_broken_on_one_worker, .timeout = HANG)
{
	ring(3, 1, false, ROTA_FOREVER);
	ring(100, 1, false, ROTA_FOREVER);
}

Test(cycle, is_broken_on_64_workers, .timeout = HANG)
{
	for (int i = 0; i < SIZED(5, 2); i++)
		ring(50, 64, false, ROTA_FOREVER);
}

Test(cycle, of_urgent_messages_is_broken, .timeout = HANG)
{
	ring(5, 2, true, ROTA_FOREVER);
}

/* A deadline is for waits that may end by themselves; a circle cannot. */
Test(cycle, of_waits_with_deadlines_is_broken, .timeout = HANG)
{
	ring(5, 2, false, ROTA_S(3600));
}

/* ---- circles too long for one walk ---- */

/* Lengths at which a turn sees the whole circle, just does not, and by far. */
static void long_rings(unsigned workers)
{
	/* ThreadSanitizer is slow to make stacks, and knows only so many. */
	size_t n[] = {2,
		      64,
		      65,
		      128,
		      UNDER_TSAN ? 130 : 1000,
		      UNDER_TSAN ? 200 : MAX_RING};

	for (size_t i = 0; i < sizeof(n) / sizeof(n[0]); i++)
		ring(n[i], workers, false, ROTA_FOREVER);
}

Test(cycle, of_any_length_is_broken_on_1_worker, .timeout = HANG)
{
	long_rings(1);
}

Test(cycle, of_any_length_is_broken_on_2_workers, .timeout = HANG)
{
	long_rings(2);
}

/* Seats that wait for the gate; then each sends to where @to says. */
static void line_up(size_t n, struct hold *hold, const size_t *to)
{
	hold->gate = puppet_spawn(NULL, 1);
	for (size_t i = 0; i < n; i++)
		ids[i] = puppet_spawn(NULL, 1);
	memset(seats, 0, sizeof(seats));
	for (size_t i = 0; i < n; i++) {
		seats[i].hold = hold;
		seats[i].s = sending_to(ids[to[i]], 1, i);
	}
}

static void seats_begin(size_t n, int (*act)(void *), struct hold *hold)
{
	uint64_t waits = counters().waits;

	for (size_t i = 0; i < n; i++)
		ACTS(ids[i], act, &seats[i]);
	AWAIT(counters().waits >= waits + n);
	cr_assert_eq(rota_actor_stop(hold->gate), 0);
}

#define LONG (UNDER_TSAN ? 150 : 500)

/* Nobody stands in a circle: nothing is let in above the bound. */
Test(cycle, long_line_is_none, .timeout = HANG)
{
	static size_t to[LONG];
	struct hold hold = {0};
	struct hold end = {0};
	uint64_t waits;

	for (size_t i = 0; i < LONG; i++)
		to[i] = i + 1 < LONG ? i + 1 : i;
	engine_start(2);
	line_up(LONG, &hold, to);
	hold_start(&end, ids[LONG - 1]);
	waits = counters().waits;
	seats_begin(LONG - 1, act_pass_on, &hold);
	/* At the gate, then for room. */
	AWAIT(counters().waits >= waits + 2 * (LONG - 1));
	cr_assert_eq(rota_join(ids[0], ROTA_MS(20), NULL), -ETIMEDOUT);
	for (size_t i = 0; i < LONG - 1; i++)
		cr_assert_not(flag_is_up(&seats[i].s.ended));
	hold_end(&end);
	quiesce();
	for (size_t i = 0; i < LONG - 1; i++)
		cr_assert_eq(seats[i].s.result, 0);
	cr_assert_eq(counters().overdrafts, 0);
	engine_stop();
}

/* Lines that lead into a circle are walked too, before or after it. */
Test(cycle, long_one_with_lines_that_lead_into_it, .timeout = HANG)
{
	static size_t to[3 * LONG];

	/* The circle first, in the middle and last. */
	for (size_t start = 0; start <= 2 * LONG; start += LONG) {
		struct hold hold = {0};

		for (size_t i = 0; i < 3 * LONG; i++)
			to[i] = (i + 1) % LONG == 0 ? start + i / LONG : i + 1;
		to[start + LONG - 1] = start;
		engine_start(2);
		line_up(3 * LONG, &hold, to);
		seats_begin(3 * LONG, act_pass_on, &hold);
		quiesce();
		for (size_t i = 0; i < 3 * LONG; i++)
			cr_assert_eq(seats[i].s.result, 0);
		cr_assert_gt(counters().overdrafts, 0);
		engine_stop();
	}
}

static int act_join_next(void *arg)
{
	struct ring_seat *next = arg;

	rota_join(next->hold->gate, ROTA_FOREVER, NULL);
	next->s.result = rota_join(next->s.to, next->s.within, NULL);
	return rota_self_stop(0);
}

static size_t join_ring(int64_t within)
{
	static size_t to[LONG];
	struct hold hold = {0};
	size_t refused = 0;

	engine_start(2);
	for (size_t i = 0; i < LONG; i++)
		to[i] = (i + 1) % LONG;
	line_up(LONG, &hold, to);
	for (size_t i = 0; i < LONG; i++)
		seats[i].s.within = within;
	seats_begin(LONG, act_join_next, &hold);
	quiesce();
	for (size_t i = 0; i < LONG; i++) {
		int result = seats[i].s.result;

		refused += result == -EDEADLK;
		cr_assert(
			result == 0 || result == -EDEADLK ||
				(within < ROTA_FOREVER && result == -ETIMEDOUT),
			"seat %zu: %d", i, result);
	}
	engine_stop();
	return refused;
}

/* Nothing can be let in: one wait is refused, and the others end. */
Test(cycle, long_one_of_joins_costs_one_of_them, .timeout = HANG)
{
	cr_assert_eq(join_ring(ROTA_FOREVER), 1);
}

Test(cycle, long_one_of_joins_with_deadlines_ends_by_itself, .timeout = HANG)
{
	cr_assert_eq(join_ring(ROTA_MS(50)), 0);
}

/* The engine goes away while its monitor walks. */
Test(cycle, long_one_is_stopped_with_its_engine, .timeout = HANG)
{
	for (int round = 0; round < N_WAITS(20, 5); round++) {
		static size_t to[LONG];
		struct hold hold = {0};

		for (size_t i = 0; i < LONG; i++)
			to[i] = (i + 1) % LONG;
		engine_start(2);
		line_up(LONG, &hold, to);
		seats_begin(LONG, act_pass_on, &hold);
		for (int i = 0; i < round % 5; i++)
			nap();
		engine_stop();
		for (size_t i = 0; i < LONG; i++) {
			int result = seats[i].s.result;

			cr_assert(result == 0 || result == -ECANCELED ||
					  result == -ESHUTDOWN ||
					  result == -ESRCH,
				  "seat %zu: %d", i, result);
		}
	}
}

/* ---- circles that come about ---- */

struct chatter {
	rota_id to;
	uint64_t n;
	size_t failed;
};

static int act_chatter(void *arg)
{
	struct chatter *chatter = arg;

	for (uint64_t i = 0; i < chatter->n; i++)
		if (send_value(chatter->to, 1, i))
			chatter->failed++;
	return 0;
}

static void chatter(unsigned workers, unsigned capacity, uint64_t n)
{
	static struct record heard[2];
	struct chatter chatter[2] = {0};
	rota_id id[2];

	memset(heard, 0, sizeof(heard));
	engine_start(workers);
	for (int i = 0; i < 2; i++)
		id[i] = puppet_spawn(&heard[i], capacity);
	for (int i = 0; i < 2; i++) {
		chatter[i] = (struct chatter){id[!i], n, 0};
		ACTS(id[i], act_chatter, &chatter[i]);
	}
	quiesce();
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(chatter[i].failed, 0);
		cr_assert_eq(tally_of(&heard[i].n), n);
		for (uint64_t j = 0; j < n && j < MAX_NOTES - 1; j++)
			cr_assert_eq(heard[i].note[j].value, j);
	}
	engine_stop();
}

Test(cycle, two_that_talk_to_each_other_at_capacity_1, .timeout = HANG)
{
	for (unsigned workers = 1; workers <= 4; workers++)
		chatter(workers, 1, N_WAITS(2000, 500));
}

Test(cycle, two_that_talk_to_each_other_at_capacity_2_and_64, .timeout = HANG)
{
	chatter(2, 2, N_WAITS(5000, 500));
	chatter(2, 64, N_WAITS(5000, 500));
}

/* Pings to random others, pongs back: the benchmark `big` in small. */
#define BIG 120

struct big {
	rota_id peer[BIG];
	uint64_t pings;
	struct tally pongs;
	struct tally failed;
};

enum { PING = 1, PONG, BEGIN };

struct big_one {
	struct big *big;
	uint64_t random;
	uint64_t left;
};

static void big_ping(struct big_one *one)
{
	struct big *big = one->big;
	rota_id to;

	if (one->left == 0)
		return;
	one->left--;
	do
		to = big->peer[next_random(&one->random) % BIG];
	while (to == rota_self());
	if (rota_send(to, PING, NULL, 0))
		tally_add(&big->failed, 1);
}

static int big_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct big_one *one = state;

	(void)payload;
	(void)length;
	if (tag == PING && rota_send(rota_sender(), PONG, NULL, 0))
		tally_add(&one->big->failed, 1);
	if (tag == PONG)
		tally_add(&one->big->pongs, 1);
	if (tag != PING)
		big_ping(one);
	return 0;
}

static const struct rota_behaviour big_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "big",
	.state_size = sizeof(struct big_one),
	.handle = big_handle,
};

static void big(unsigned workers, unsigned capacity, uint64_t pings)
{
	static struct big big;
	struct big_one one = {.big = &big, .left = pings};

	memset(&big, 0, sizeof(big));
	engine_start(workers);
	for (size_t i = 0; i < BIG; i++) {
		one.random = i + 1;
		big.peer[i] = spawn(&big_behaviour, &one, capacity);
	}
	for (size_t i = 0; i < BIG; i++)
		cr_assert_eq(rota_send(big.peer[i], BEGIN, NULL, 0), 0);
	quiesce();
	cr_assert_eq(tally_of(&big.failed), 0);
	cr_assert_eq(tally_of(&big.pongs), BIG * pings);
	cr_assert_eq(counters().messages, BIG * (2 * pings + 1));
	engine_stop();
}

Test(cycle, big_ends_at_capacity_1_with_1_worker, .timeout = HANG)
{
	big(1, 1, N_WAITS(500, 100));
}

Test(cycle, big_ends_at_capacity_1_with_2_workers, .timeout = HANG)
{
	big(2, 1, N_WAITS(500, 100));
}

Test(cycle, big_ends_at_capacity_1_with_64_workers, .timeout = HANG)
{
	big(64, 1, N_WAITS(200, 30));
}

Test(cycle, big_ends_at_capacity_2_and_8, .timeout = HANG)
{
	big(2, 2, N_WAITS(500, 100));
	big(2, 8, N_WAITS(500, 100));
}

/* ---- circles that are not only of room ---- */

struct joiner {
	rota_id whom;
	struct hold *hold;
	struct flag joins;
	int result;
};

static int act_join(void *arg)
{
	struct joiner *joiner = arg;

	flag_raise(&joiner->joins);
	joiner->result = rota_join(joiner->whom, ROTA_FOREVER, NULL);
	return 0;
}

struct sender_then_stop {
	struct hold *hold;
	struct sending s;
};

static int act_send_then_stop(void *arg)
{
	struct sender_then_stop *one = arg;

	rota_join(one->hold->gate, ROTA_FOREVER, NULL);
	act_sending(&one->s);
	return rota_self_stop(0);
}

/*
 * A's handler joins B; B, before it ends, sends to A, whose mailbox is full
 * with the message in hand. With one more place it would go on: so it must.
 */
Test(cycle, join_of_an_actor_that_waits_for_room, .timeout = HANG)
{
	struct hold hold = {0};
	struct joiner joiner = {.result = 1};
	struct sender_then_stop b = {.hold = &hold};
	rota_id a;

	engine_start(2);
	hold.gate = puppet_spawn(NULL, 1);
	a = puppet_spawn(&record, 1);
	joiner.whom = puppet_spawn(NULL, 1);
	b.s = sending_to(a, 1, 42);
	ACTS(joiner.whom, act_send_then_stop, &b);
	ACTS(a, act_join, &joiner);
	AWAIT(counters().waits >= 2);
	cr_assert_eq(rota_actor_stop(hold.gate), 0);
	quiesce();
	cr_assert_eq(b.s.result, 0);
	cr_assert_eq(joiner.result, 0);
	cr_assert_eq(tally_of(&record.n), 1);
	engine_stop();
}

/*
 * The other way round: B waits for room first, then A joins it. C's message
 * takes the place that becomes free in between.
 */
Test(cycle, join_closes_it_too, .timeout = HANG)
{
	struct hold hold = {0};
	struct joiner joiner = {.result = 1};
	struct sending b;
	struct sending c;
	rota_id a;

	engine_start(2);
	a = puppet_spawn(&record, 2);
	hold_start(&hold, a);
	joiner.whom = puppet_spawn(NULL, 1);
	ACTS(a, act_join, &joiner);
	c = sending_to(a, 1, 41);
	sending_in_puppet(&c, puppet_spawn(NULL, 1));
	b = sending_to(a, 1, 42);
	sending_in_puppet(&b, joiner.whom);
	cr_assert_eq(rota_actor_drain(joiner.whom), 0);
	hold_end(&hold);
	quiesce();
	cr_assert_eq(c.result, 0);
	cr_assert_eq(b.result, 0);
	cr_assert_eq(joiner.result, 0);
	cr_assert_eq(tally_of(&record.n), 2);
	cr_assert_eq(record.note[0].value, 41);
	cr_assert_eq(record.note[1].value, 42);
	engine_stop();
}

/* ---- to oneself ---- */

struct selfish {
	rota_id self;
	int send;
	int within;
	int urgent;
	int own;
	int attempt;
	int filled; /* of the sends to itself that fitted, the last result */
};

static int act_selfish(void *arg)
{
	struct selfish *me = arg;
	rota_id self = rota_self();
	uint64_t value = 0;
	int error;

	while ((error = try_value(self, 1, value)) == 0)
		value++;
	me->filled = (int)value;
	me->attempt = error;
	me->send = send_value(self, 1, 0);
	me->within = rota_send_within(self, 1, &value, 8, ROTA_FOREVER);
	me->urgent = rota_send_urgent(self, 1, &value, 8);
	me->own = rota_send_own(self, 1, &value, 8, NULL, ROTA_FOREVER);
	return 0;
}

static void selfish(unsigned capacity)
{
	struct selfish me;
	rota_id id;

	memset(&record, 0, sizeof(record));
	engine_start(2);
	id = puppet_spawn(&record, capacity);
	ACTS(id, act_selfish, &me);
	quiesce();
	cr_assert_eq(me.filled, (int)capacity - 1);
	cr_assert(me.attempt == -EAGAIN || me.attempt == -EDEADLK);
	cr_assert_eq(me.send, -EDEADLK);
	cr_assert_eq(me.within, -EDEADLK);
	cr_assert_eq(me.urgent, -EDEADLK);
	cr_assert_eq(me.own, -EDEADLK);
	cr_assert_eq(tally_of(&record.n), capacity - 1);
	engine_stop();
}

Test(cycle, a_send_to_ones_own_full_mailbox_is_refused, .timeout = HANG)
{
	selfish(1);
	selfish(2);
	selfish(8);
	selfish(64);
}

/* A long batch in progress: what is finished must not look like full. */
struct repeat {
	struct hold hold;
	int results[8];
	size_t n;
};

static int act_repeat(void *arg)
{
	struct repeat *repeat = arg;
	uint64_t value = repeat->n;

	repeat->results[repeat->n++] = send_value(rota_self(), 1, value);
	return 0;
}

Test(cycle, finished_messages_are_not_in_the_way, .timeout = HANG)
{
	struct repeat repeat = {0};
	struct hold hold = {0};
	rota_id id;

	engine_start(1);
	id = puppet_spawn(&record, 8);
	hold_start(&hold, id);
	for (int i = 0; i < 7; i++)
		ACTS(id, act_repeat, &repeat);
	hold_end(&hold);
	quiesce();
	cr_assert_eq(repeat.n, 7);
	for (size_t i = 0; i < 7; i++) /* 7 in the batch, 1 free place */
		cr_assert_eq(repeat.results[i], 0, "send %zu: %s", i,
			     rota_strerror(repeat.results[i]));
	cr_assert_eq(tally_of(&record.n), 7);
	engine_stop();
}
