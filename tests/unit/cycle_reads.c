/* SPDX-License-Identifier: MIT */
/*
 * cycle_reads - circles through actors that handle several queries at a time
 *
 * Of such an actor each query waits for somebody else. Who waits for the actor
 * itself is held up by all of them, and stands in a circle as soon as one of
 * them leads back. Here graphs of such waits are played: who waits is a seat,
 * at an actor that has that one alone, or is a table and has several. They wait
 * at gates until all are seated, and some of them until what is a circle
 * without them has been found.
 */
#include <rota/ask.h>
#include <rota/status.h>

#include "tests/unit/support.h"

enum { SIT = 1, NOTHING };

enum op {
	ASKS,  /* an actor, which comes to it when all its seats have ended */
	SENDS, /* to an actor, likewise, if its mailbox is full */
	JOINS, /* an actor, within an hour */
	HAS,   /* a seat at a table: that one is its query */
	STAYS  /* until the graph is finished */
};

#define MAX_ACTORS 12
#define MAX_SEATS 32

struct seat {
	size_t at;
	enum op op;
	size_t to; /* number of an actor; HAS: of a seat */
	/* While it is played: */
	rota_id whom;
	rota_id gate;
	uint64_t payload; /* HAS: the address of the other one */
	struct flag ended;
	int result;
	int n_steps; /* of the circle for which it was refused */
	struct rota_deadlock_step step[MAX_SEATS];
	struct rota_asking asking; /* of a query that the test asks */
};

/* What is played. */
static struct {
	size_t n_actors;
	size_t n_seats;
	unsigned mailbox; /* 1: no room beside what is in hand, 0: much */
	struct seat seat[MAX_SEATS];
	rota_id id[MAX_ACTORS];
	rota_id gate; /* for those that stay */
	struct hold hold[MAX_ACTORS];
	struct tally n_seated;
	struct tally n_ended;
} graph;

/* ---- one seat ---- */

static int act(struct seat *seat)
{
	switch (seat->op) {
	case ASKS:
		return rota_ask(seat->whom, NOTHING, NULL, 0, NULL, 0,
				ROTA_FOREVER);
	case SENDS:
		return rota_send(seat->whom, NOTHING, NULL, 0);
	case JOINS:
		return rota_join(seat->whom, ROTA_S(3600), NULL);
	case HAS:
		return rota_ask(seat->whom, SIT | ROTA_QUERY, &seat->payload,
				sizeof(seat->payload), NULL, 0, ROTA_FOREVER);
	default:
		return rota_join(seat->whom, ROTA_FOREVER, NULL);
	}
}

static int sit(struct seat *seat)
{
	const struct timespec a_while = {.tv_nsec = 100000};

	if (!seat) { /* to teach what a query takes */
		nanosleep(&a_while, NULL);
		return 0;
	}
	tally_add(&graph.n_seated, 1);
	if (seat->op != HAS)
		rota_join(seat->gate, ROTA_FOREVER, NULL);
	seat->result = act(seat);
	if (seat->result == -EDEADLK)
		seat->n_steps = rota_last_deadlock(seat->step, MAX_SEATS);
	flag_raise(&seat->ended);
	tally_add(&graph.n_ended, 1);
	return 0;
}

static int actor_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct puppet puppet = {NULL};

	(void)state;
	if (tag == ACT)
		return puppet_handle(&puppet, tag, payload, length);
	if (tag == SIT)
		sit((struct seat *)(uintptr_t)value_at(payload, length));
	rota_answer(0, NULL, 0);
	return 0;
}

static const struct rota_behaviour actor_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "actor",
	.handle = actor_handle,
};

/* ---- to play a graph ---- */

static struct rota_status status_of(rota_id id)
{
	struct rota_status status = ROTA_STATUS_INIT;

	cr_assert_eq(rota_status(id, &status), 0);
	return status;
}

static void query(rota_id id, struct seat *seat, struct rota_asking *asking)
{
	uint64_t payload = (uintptr_t)seat;

	cr_assert_eq(rota_ask_start(id, SIT | ROTA_QUERY, &payload,
				    sizeof(payload), NULL, 0, ROTA_FOREVER,
				    asking),
		     0);
}

static void begin(unsigned workers)
{
	struct rota_asking asking[2];
	struct hold hold = {0};
	rota_id id;

	engine_start(workers);
	id = spawn(&actor_behaviour, NULL, 0);
	hold_start(&hold, id);
	for (size_t i = 0; i < 2; i++)
		query(id, NULL, &asking[i]);
	hold_end(&hold);
	for (size_t i = 0; i < 2; i++)
		cr_assert_eq(rota_ask_await(&asking[i], 1, 1, PATIENCE), 1);
	quiesce();
}

static size_t n_at(size_t actor)
{
	size_t n = 0;

	for (size_t i = 0; i < graph.n_seats; i++)
		n += graph.seat[i].at == actor;
	return n;
}

static bool is_table(size_t actor)
{
	return n_at(actor) > 1;
}

/* Is it another seat's query? */
static bool is_had(size_t seat)
{
	for (size_t i = 0; i < graph.n_seats; i++)
		if (graph.seat[i].op == HAS && graph.seat[i].to == seat)
			return true;
	return false;
}

static void prepare(struct seat *seat)
{
	if (seat->op == STAYS)
		seat->whom = graph.gate;
	else if (seat->op == HAS)
		seat->whom = graph.id[graph.seat[seat->to].at];
	else
		seat->whom = graph.id[seat->to];
	seat->payload = (uintptr_t)&graph.seat[seat->to];
	seat->gate = puppet_spawn(NULL, 0);
}

static rota_id actor_spawn(size_t actor)
{
	size_t n = n_at(actor);

	/* What holds a table takes a place, which is free afterwards. */
	return spawn(&actor_behaviour, NULL,
		     !graph.mailbox ? 0 : (unsigned)(n > 1 ? n + 1 : 1));
}

/* All of its queries are in its mailbox, behind what holds it. */
static void release(size_t actor)
{
	AWAIT(status_of(graph.id[actor]).mailbox_length >= 1 + n_at(actor));
	hold_end(&graph.hold[actor]);
}

/* A seat may have one at an actor of a higher number only. */
static void seat_all(size_t actor)
{
	for (size_t i = 0; i < graph.n_seats; i++) {
		struct seat *seat = &graph.seat[i];
		uint64_t payload = (uintptr_t)seat;

		if (seat->at != actor || is_had(i))
			continue;
		if (is_table(actor))
			query(graph.id[actor], seat, &seat->asking);
		else
			cr_assert_eq(rota_send(graph.id[actor], SIT, &payload,
					       sizeof(payload)),
				     0);
	}
}

/* Until all are seated. */
static void play(const struct seat *seats, size_t n_seats, size_t n_actors,
		 unsigned mailbox)
{
	memset(&graph, 0, sizeof(graph));
	memcpy(graph.seat, seats, n_seats * sizeof(*seats));
	graph.n_actors = n_actors;
	graph.n_seats = n_seats;
	graph.mailbox = mailbox;
	graph.gate = puppet_spawn(NULL, 0);
	for (size_t i = 0; i < n_actors; i++)
		graph.id[i] = actor_spawn(i);
	for (size_t i = 0; i < n_seats; i++)
		prepare(&graph.seat[i]);
	for (size_t i = 0; i < n_actors; i++)
		if (is_table(i))
			hold_start(&graph.hold[i], graph.id[i]);
	for (size_t i = 0; i < n_actors; i++) {
		seat_all(i);
		if (is_table(i))
			release(i);
	}
	AWAIT(tally_of(&graph.n_seated) == n_seats);
}

/* One goes on, and waits. */
static void send_off(size_t seat)
{
	uint64_t waits = counters().waits;

	rota_actor_stop(graph.seat[seat].gate);
	AWAIT(counters().waits > waits);
}

static void send_off_all(void)
{
	for (size_t i = 0; i < graph.n_seats; i++)
		rota_actor_stop(graph.seat[i].gate);
}

/* Those that have stayed go on, too; all has to end. */
static void finish(void)
{
	rota_actor_stop(graph.gate);
	AWAIT(tally_of(&graph.n_ended) == graph.n_seats);
	for (size_t i = 0; i < graph.n_seats; i++)
		if (is_table(graph.seat[i].at) && !is_had(i))
			cr_assert_eq(rota_ask_await(&graph.seat[i].asking, 1, 1,
						    PATIENCE),
				     1);
	for (size_t i = 0; i < graph.n_actors; i++)
		rota_actor_stop(graph.id[i]);
	quiesce();
}

static bool has_ended(size_t seat)
{
	return flag_is_up(&graph.seat[seat].ended);
}

static bool is_refused(size_t seat)
{
	return has_ended(seat) && graph.seat[seat].result == -EDEADLK;
}

static size_t n_refused(void)
{
	size_t refused = 0;

	for (size_t i = 0; i < graph.n_seats; i++)
		refused += is_refused(i);
	return refused;
}

/* One was, for a circle of so many. */
static void expect_refused(int n_steps)
{
	cr_assert_eq(n_refused(), 1);
	for (size_t i = 0; i < graph.n_seats; i++)
		if (is_refused(i))
			cr_assert_eq(graph.seat[i].n_steps, n_steps);
}

static void expect_stands(void)
{
	for (int i = 0; i < 20; i++)
		nap();
	for (size_t i = 0; i < graph.n_seats; i++)
		cr_assert_not(has_ended(i), "seat %zu: %d", i,
			      graph.seat[i].result);
}

#define PLAY(seats, n_actors, mailbox) \
	play((seats), sizeof(seats) / sizeof((seats)[0]), (n_actors), (mailbox))

/* ---- circles through several tables ---- */

/*
 * A ring of so many tables and an actor that closes it. At each table those
 * that stay begin to wait before, and after, the one that leads on.
 */
static void ring(size_t n, enum op last, unsigned mailbox)
{
	struct seat seats[MAX_SEATS];
	size_t n_seats = 0;

	for (size_t i = 0; i < n; i++) {
		seats[n_seats++] = (struct seat){.at = i, .op = STAYS};
		seats[n_seats++] =
			(struct seat){.at = i, .op = ASKS, .to = i + 1};
		seats[n_seats++] = (struct seat){.at = i, .op = STAYS};
		seats[n_seats++] = (struct seat){.at = i, .op = STAYS};
	}
	seats[n_seats++] = (struct seat){.at = n, .op = last, .to = 0};
	begin(2);
	play(seats, n_seats, n + 1, mailbox);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < 4; k++)
			send_off(4 * i + k);
	rota_actor_stop(graph.seat[4 * n].gate);
	AWAIT(n_refused() == 1);
	for (size_t i = 0; i < n_seats; i++)
		cr_assert(seats[i].op != STAYS || !has_ended(i));
	finish();
	expect_refused((int)n + 1);
	engine_stop();
}

Test(cycle_reads, through_one_table_is_found, .timeout = HANG)
{
	ring(1, ASKS, 0);
}

Test(cycle_reads, through_two_tables_is_found, .timeout = HANG)
{
	ring(2, ASKS, 0);
}

Test(cycle_reads, through_three_tables_is_found, .timeout = HANG)
{
	ring(3, ASKS, 0);
}

Test(cycle_reads, through_seven_tables_is_found, .timeout = HANG)
{
	ring(7, ASKS, 0);
}

Test(cycle_reads, of_asks_that_wait_for_room_first_is_found, .timeout = HANG)
{
	ring(2, ASKS, 1);
}

/* A query's own wait closes it: it has read beside others all the time. */
Test(cycle_reads, may_be_closed_by_a_query, .timeout = HANG)
{
	static const struct seat seats[] = {
		{.at = 0, .op = ASKS, .to = 1}, {.at = 0, .op = STAYS},
		{.at = 0, .op = STAYS},		{.at = 1, .op = STAYS},
		{.at = 1, .op = ASKS, .to = 2}, {.at = 1, .op = STAYS},
		{.at = 2, .op = ASKS, .to = 0}};

	begin(2);
	PLAY(seats, 3, 0);
	for (size_t i = 1; i < 7; i++)
		send_off(i);
	rota_actor_stop(graph.seat[0].gate);
	AWAIT(n_refused() == 1);
	finish();
	expect_refused(3);
	engine_stop();
}

/* In the middle, one waits for the answer of one query. */
Test(cycle_reads, through_one_query_and_all_of_a_table, .timeout = HANG)
{
	static const struct seat seats[] = {
		{.at = 0, .op = HAS, .to = 3}, {.at = 1, .op = STAYS},
		{.at = 1, .op = STAYS},	       {.at = 1, .op = ASKS, .to = 2},
		{.at = 2, .op = STAYS},	       {.at = 2, .op = ASKS, .to = 0},
		{.at = 2, .op = STAYS}};

	begin(2);
	PLAY(seats, 3, 0);
	for (size_t i = 1; i < 7; i++)
		if (i != 5)
			send_off(i);
	rota_actor_stop(graph.seat[5].gate);
	AWAIT(n_refused() == 1);
	finish();
	expect_refused(3);
	engine_stop();
}

/* Two tables as above; but who would close it waits for another query than the
   one that leads on. */
Test(cycle_reads, beside_the_query_that_leads_on_is_none, .timeout = HANG)
{
	static const struct seat seats[] = {
		{.at = 0, .op = HAS, .to = 5},	{.at = 1, .op = STAYS},
		{.at = 1, .op = ASKS, .to = 2}, {.at = 2, .op = STAYS},
		{.at = 2, .op = ASKS, .to = 0}, {.at = 1, .op = STAYS}};

	begin(2);
	PLAY(seats, 3, 0);
	for (size_t i = 1; i < 6; i++)
		send_off(i);
	expect_stands();
	finish();
	cr_assert_eq(n_refused(), 0);
	engine_stop();
}

/* The same shape, and it leads elsewhere in the end. */
Test(cycle_reads, that_leads_to_another_one_is_none, .timeout = HANG)
{
	static const struct seat seats[] = {
		{.at = 0, .op = STAYS},		{.at = 0, .op = ASKS, .to = 1},
		{.at = 0, .op = ASKS, .to = 3}, {.at = 1, .op = ASKS, .to = 2},
		{.at = 1, .op = STAYS},		{.at = 1, .op = ASKS, .to = 4},
		{.at = 2, .op = ASKS, .to = 3}, {.at = 3, .op = ASKS, .to = 4},
		{.at = 4, .op = STAYS},		{.at = 4, .op = STAYS}};

	begin(2);
	PLAY(seats, 5, 0);
	for (size_t i = 0; i < 10; i++)
		send_off(i);
	expect_stands();
	finish();
	cr_assert_eq(n_refused(), 0);
	engine_stop();
}

/* ---- others than asks */

/* Who waits for room is let in, and none is refused. */
Test(cycle_reads, with_a_wait_for_room_is_opened, .timeout = HANG)
{
	static const struct seat seats[] = {
		{.at = 0, .op = STAYS},		 {.at = 0, .op = ASKS, .to = 1},
		{.at = 0, .op = STAYS},		 {.at = 1, .op = STAYS},
		{.at = 1, .op = SENDS, .to = 2}, {.at = 1, .op = STAYS},
		{.at = 2, .op = ASKS, .to = 0}};

	begin(2);
	PLAY(seats, 3, 1);
	for (size_t i = 0; i < 6; i++)
		send_off(i);
	rota_actor_stop(graph.seat[6].gate);
	AWAIT(has_ended(4));
	cr_assert_not(has_ended(6));
	finish();
	cr_assert_eq(n_refused(), 0);
	cr_assert_gt(counters().overdrafts, 0);
	engine_stop();
}

/* Each of its queries stands in one: all are opened. */
Test(cycle_reads, several_through_one_table_are_opened, .timeout = HANG)
{
	static const struct seat seats[] = {{.at = 0, .op = SENDS, .to = 1},
					    {.at = 0, .op = SENDS, .to = 1},
					    {.at = 0, .op = STAYS},
					    {.at = 0, .op = SENDS, .to = 1},
					    {.at = 1, .op = ASKS, .to = 0}};

	begin(2);
	PLAY(seats, 2, 1);
	for (size_t i = 0; i < 4; i++)
		send_off(i);
	rota_actor_stop(graph.seat[4].gate);
	AWAIT(has_ended(0) && has_ended(1) && has_ended(3));
	cr_assert_not(has_ended(4));
	finish();
	cr_assert_eq(n_refused(), 0);
	engine_stop();
}

/* Several go round with a deadline on the way, and one without. */
Test(cycle_reads, beside_those_that_end_by_themselves_is_found, .timeout = HANG)
{
	for (size_t k = 0; k < 6; k++) {
		struct seat seats[7];

		for (size_t i = 0; i < 6; i++)
			seats[i] = (struct seat){.at = 0, .op = JOINS, .to = 1};
		seats[k].op = ASKS;
		seats[6] = (struct seat){.at = 1, .op = ASKS, .to = 0};
		begin(2);
		PLAY(seats, 2, 0);
		send_off_all();
		AWAIT(is_refused(k) || is_refused(6));
		AWAIT(has_ended(k));
		rota_actor_stop(graph.id[1]);
		finish();
		cr_assert_eq(n_refused(), 1);
		engine_stop();
	}
}

/* ---- random graphs against a small reference ---- */

/* One waits for the other, unless it has been refused. */
static bool leads(size_t i, size_t to, const bool *is_gone)
{
	const struct seat *seat = &graph.seat[i];

	if (is_gone[i] || is_gone[to])
		return false;
	if (seat->op == HAS)
		return seat->to == to;
	return seat->op == ASKS && seat->to == graph.seat[to].at;
}

static bool is_on_circle(size_t start, const bool *is_gone)
{
	bool is_seen[MAX_SEATS] = {false};
	size_t list[MAX_SEATS], n = 0;

	list[n++] = start;
	while (n > 0) {
		size_t at = list[--n];

		for (size_t i = 0; i < graph.n_seats; i++) {
			if (is_seen[i] || !leads(at, i, is_gone))
				continue;
			if (i == start)
				return true;
			is_seen[i] = true;
			list[n++] = i;
		}
	}
	return false;
}

/* The query of one that was refused: what it asked for is not wanted then. */
static bool is_cancelled(size_t seat)
{
	return has_ended(seat) && graph.seat[seat].result == -ECANCELED;
}

static bool is_circle_left(void)
{
	bool is_gone[MAX_SEATS];

	for (size_t i = 0; i < graph.n_seats; i++)
		is_gone[i] = is_refused(i) || is_cancelled(i);
	for (size_t i = 0; i < graph.n_seats; i++)
		if (is_on_circle(i, is_gone))
			return true;
	return false;
}

/*
 * Is there an order in which they can have been refused, each of them on a
 * circle? One that is on one without all others may have been the last; what
 * remains of these has it to go through. What was cancelled as its asker was
 * refused has waited for a moment after that, and others may have found it.
 */
static void expect_right_ones(void)
{
	bool is_gone[MAX_SEATS];

	for (size_t i = 0; i < graph.n_seats; i++)
		is_gone[i] = is_refused(i);
	for (size_t n = n_refused(); n > 0; n--) {
		size_t i;

		for (i = 0; i < graph.n_seats; i++) {
			if (!is_gone[i])
				continue;
			is_gone[i] = false;
			if (is_on_circle(i, is_gone))
				break;
			is_gone[i] = true;
		}
		cr_assert_lt(i, graph.n_seats, "refused, and could end");
	}
}

/* No wait is in it twice. It may be that of another query of the same actor,
   refused meanwhile; and none if it was opened that very moment. */
static void expect_circle(const struct seat *seat)
{
	size_t n = (size_t)seat->n_steps;

	cr_assert_leq(n, graph.n_seats);
	for (size_t i = 0; i < n; i++) {
		cr_assert_eq(seat->step[i].whom, seat->step[(i + 1) % n].actor);
		for (size_t k = 0; k < i; k++)
			cr_assert_neq(seat->step[i].token, seat->step[k].token);
	}
}

static size_t random_seats(struct seat *seats, size_t n_actors,
			   uint64_t *random)
{
	size_t n = 0;

	for (size_t at = 0; at < n_actors; at++) {
		size_t n_here = 1 + next_random(random) % 4;

		for (size_t k = 0; k < n_here; k++) {
			static const enum op ops[] = {ASKS, ASKS, ASKS,	 ASKS,
						      ASKS, ASKS, STAYS, SENDS};
			struct seat *seat = &seats[n++];

			*seat = (struct seat){.at = at};
			seat->op = ops[next_random(random) % 8];
			do
				seat->to = next_random(random) % n_actors;
			while (seat->to == at);
		}
	}
	return n;
}

/* Some wait for the answer of a query that nobody else has. */
static void random_answers(struct seat *seats, size_t n, uint64_t *random)
{
	bool is_had[MAX_SEATS] = {false};

	for (size_t i = 0; i < n; i++) {
		size_t to = next_random(random) % n, n_there = 0;

		for (size_t k = 0; k < n; k++)
			n_there += seats[k].at == seats[to].at;
		if (n_there == 1 || is_had[to] || seats[to].at <= seats[i].at ||
		    next_random(random) % 2)
			continue;
		is_had[to] = true;
		seats[i].op = HAS;
		seats[i].to = to;
	}
}

static size_t random_graph(uint64_t *random)
{
	size_t n_actors = 2 + next_random(random) % 6;
	struct seat seats[MAX_SEATS];
	size_t n = random_seats(seats, n_actors, random);

	random_answers(seats, n, random);
	play(seats, n, n_actors, next_random(random) % 2);
	send_off_all();
	AWAIT(!is_circle_left()); /* beside those that stay */
	finish();
	expect_right_ones();
	for (size_t i = 0; i < n; i++)
		if (is_refused(i))
			expect_circle(&graph.seat[i]);
	return n_refused();
}

static void random_graphs(unsigned workers, uint64_t random)
{
	size_t refused = 0, n = SIZED(500, 20);

	begin(workers);
	for (size_t i = 0; i < n; i++)
		refused += random_graph(&random);
	cr_assert_gt(refused, n / 4);
	engine_stop();
}

Test(cycle_reads, in_random_graphs_on_2_workers, .timeout = HANG)
{
	random_graphs(2, 88172645463325252);
}

Test(cycle_reads, in_random_graphs_on_4_workers, .timeout = HANG)
{
	random_graphs(4, 2463534242);
}
