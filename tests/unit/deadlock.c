/* SPDX-License-Identifier: MIT */
/*
 * deadlock - asks that would never end are refused, and no others
 */
#include <rota/protocol.h>

#include "tests/unit/asks.h"

#define MAX_RING 100

enum op {
	ASKS,  /* the next one */
	SENDS, /* to the next one, whose mailbox is full */
	TAKEN, /* asks a servant that keeps the token; the test answers it */
	RESTS  /* returns at once */
};

struct seat {
	rota_id gate; /* waits for its end first */
	enum op op;
	rota_id next;
	struct flag ended;
	int result;
	int n_steps;
	struct rota_deadlock_step step[MAX_RING];
};

static struct seat seats[MAX_RING];
static rota_id ids[MAX_RING];
static struct tally n_ended;

static int ask_next(struct seat *seat)
{
	struct act act = {NULL, NULL};

	if (seat->op == ASKS)
		return rota_ask(seat->next, NOTHING, &act, sizeof(act), NULL, 0,
				ROTA_FOREVER);
	if (seat->op == TAKEN)
		return rota_ask(seat->next, TAKES, &act, sizeof(act), NULL, 0,
				ROTA_FOREVER);
	if (seat->op == SENDS)
		return rota_send(seat->next, NOTHING, &act, sizeof(act));
	return 0;
}

static int act_seat(void *arg)
{
	struct seat *seat = arg;

	rota_join(seat->gate, ROTA_FOREVER, NULL);
	seat->result = ask_next(seat);
	seat->n_steps = rota_last_deadlock(seat->step, MAX_RING);
	flag_raise(&seat->ended);
	tally_add(&n_ended, 1);
	return 0;
}

/* All sit down and wait; then all go on at once. */
static void play(size_t n, unsigned mailbox, const enum op *op,
		 const size_t *next)
{
	rota_id gate;
	uint64_t waits;

	memset(seats, 0, n * sizeof(seats[0]));
	n_ended = (struct tally){0};
	gate = puppet_spawn(NULL, 0);
	for (size_t i = 0; i < n; i++)
		ids[i] = servant_spawn(mailbox, NULL);
	waits = counters().waits;
	for (size_t i = 0; i < n; i++) {
		seats[i].gate = gate;
		seats[i].op = op[i];
		seats[i].next = ids[next[i]];
		cr_assert_eq(rota_send(ids[i], RUNS,
				       &(struct act){act_seat, &seats[i]},
				       sizeof(struct act)),
			     0);
	}
	AWAIT(counters().waits >= waits + n);
	rota_actor_stop(gate);
	AWAIT(tally_of(&n_ended) == n);
	quiesce();
}

static size_t n_refused(size_t n)
{
	size_t refused = 0;

	for (size_t i = 0; i < n; i++) {
		cr_assert(seats[i].result == 0 || seats[i].result == -EDEADLK,
			  "seat %zu: %d", i, seats[i].result);
		refused += seats[i].result != 0;
	}
	return refused;
}

/* The circle shown is one: everybody in it once, each waits for the next. */
static void expect_circle(const struct seat *seat, size_t n)
{
	bool found = false;

	cr_assert_eq(seat->n_steps, (int)n);
	for (size_t i = 0; i < n; i++) {
		const struct rota_deadlock_step *step = &seat->step[i];

		cr_assert_eq(step->whom, seat->step[(i + 1) % n].actor);
		cr_assert_eq(step->asks, 1);
		cr_assert_eq(step->tag, NOTHING);
		cr_assert_str_eq(step->type, "servant");
		cr_assert_str_eq(step->message, "nothing");
		for (size_t k = 0; k < i; k++)
			cr_assert_neq(step->actor, seat->step[k].actor);
		found |= step->actor == ids[seat - seats];
	}
	cr_assert(found, "who is refused is in it");
}

/* ---- rings ---- */

static void ring(size_t n, unsigned workers, unsigned mailbox)
{
	enum op op[MAX_RING];
	size_t next[MAX_RING];

	for (size_t i = 0; i < n; i++) {
		op[i] = ASKS;
		next[i] = (i + 1) % n;
	}
	engine_start(workers);
	play(n, mailbox, op, next);
	cr_assert_eq(n_refused(n), 1, "one of %zu", n);
	for (size_t i = 0; i < n; i++) {
		if (seats[i].result)
			expect_circle(&seats[i], n);
		else
			cr_assert_eq(seats[i].n_steps, 0);
	}
	engine_stop();
}

Test(deadlock, of_two_is_refused, .timeout = HANG)
{
	ring(2, 1, 0);
	ring(2, 2, 0);
	ring(2, 2, 1);
}

Test(deadlock, in_rings_up_to_100_is_refused_once, .timeout = HANG)
{
	for (size_t n = 3; n <= 100; n += n < 8 ? 1 : 13)
		ring(n, 2, n % 2);
	ring(100, 2, 0);
}

Test(deadlock, is_refused_on_one_worker, .timeout = HANG)
{
	ring(3, 1, 0);
	ring(70, 1, 0);
}

Test(deadlock, is_refused_on_64_workers, .timeout = HANG)
{
	for (int i = 0; i < 5; i++)
		ring(20, 64, 0);
}

/* ---- a ring in which each asks while it is asked ---- */

struct link {
	rota_id next;
	struct link *then; /* what the next one does; NULL: nothing */
	int result;
	struct rota_ask_detail detail;
};

static int act_nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int act_link(void *arg)
{
	struct link *link = arg;
	struct act act = {link->then ? act_link : act_nothing, link->then};

	link->result = rota_ask(link->next, RUNS, &act, sizeof(act), NULL, 0,
				ROTA_FOREVER);
	rota_ask_detail(&link->detail);
	return link->result ? 1 : 0;
}

static void expect_unhandled(const struct link *link, size_t n)
{
	size_t refused = 0;

	for (size_t i = 0; i < n; i++) {
		if (link[i].result != -EDEADLK)
			continue;
		refused++;
		cr_assert_not(link[i].detail.progress & ROTA_ASK_STARTED,
			      "link %zu of %zu", i, n);
	}
	cr_assert_eq(refused, 1);
}

/*
 * The last link closes the ring; who finds out first may be another, whose
 * request is in the next one's hand already. On engines that are new, where
 * things take longest.
 */
Test(deadlock, is_told_to_whose_request_was_not_begun, .timeout = HANG)
{
	struct link link[4];

	for (size_t round = 0; round < SIZED(150, 30); round++) {
		size_t n = 2 + round % 3;

		engine_start(2);
		for (size_t i = 0; i < n; i++)
			ids[i] = servant_spawn(4, NULL);
		for (size_t i = 0; i < n; i++) {
			link[i].next = ids[(i + 1) % n];
			link[i].then = i + 1 < n ? &link[i + 1] : NULL;
		}
		cr_assert_eq(rota_send(ids[0], RUNS,
				       &(struct act){act_link, &link[0]},
				       sizeof(struct act)),
			     0);
		quiesce();
		expect_unhandled(link, n);
		engine_stop();
	}
}

static int act_ask_self(void *arg)
{
	struct seat *seat = arg;

	seat->result =
		rota_ask(rota_self(), NOTHING, NULL, 0, NULL, 0, ROTA_FOREVER);
	seat->n_steps = rota_last_deadlock(seat->step, MAX_RING);
	return 0;
}

Test(deadlock, with_oneself_is_refused, .timeout = HANG)
{
	engine_start(2);
	cr_assert_eq(rota_last_deadlock(NULL, 0), -EPERM);
	ids[0] = servant_spawn(0, NULL);
	cr_assert_eq(rota_ask(ids[0], RUNS,
			      &(struct act){act_ask_self, &seats[0]},
			      sizeof(struct act), NULL, 0, ROTA_FOREVER),
		     0);
	cr_assert_eq(seats[0].result, -EDEADLK);
	expect_circle(&seats[0], 1);
	expect_conserved(1);
	engine_stop();
}

/* ---- names ---- */

struct told {
	rota_id to;
	unsigned tag;
	struct flag ended;
	int result;
	int n_text;
	char text[512];
};

static int act_tell(void *arg)
{
	struct rota_deadlock_step steps[4];
	struct told *told = arg;
	uint64_t value = 0;
	int n;

	told->result = rota_ask(told->to, told->tag, &value, sizeof(value),
				NULL, 0, ROTA_FOREVER);
	n = rota_last_deadlock(steps, 4);
	told->n_text = rota_deadlock_text(steps, (size_t)n, told->text,
					  sizeof(told->text));
	flag_raise(&told->ended);
	return 0;
}

struct fork_take {
	uint64_t value;
};

#define FORK(M, p) M(p, ASK, take, struct fork_take, void)
ROTA_PROTOCOL(fork, FORK);

struct fork {
	struct told *told;
};

static int fork_on_take(struct fork *fork, const struct fork_take *m)
{
	(void)m;
	return act_tell(fork->told);
}
ROTA_BEHAVIOUR(fork, fork, FORK, NULL);

/* A typed actor, and one that has a name for one message only. */
static void expect_told(unsigned tag, const char *named)
{
	struct told first = {.tag = fork_take_tag}, second = {.tag = tag};
	const struct told *told;
	char line[128];
	fork_id fork;
	rota_id id;

	engine_start(2);
	id = servant_spawn(0, NULL);
	fork = fork_spawn(engine, &(struct fork){&second}, NULL);
	first.to = fork.id;
	second.to = id;
	cr_assert_eq(rota_send(id, RUNS, &(struct act){act_tell, &first},
			       sizeof(struct act)),
		     0);
	AWAIT(flag_is_up(&first.ended) && flag_is_up(&second.ended));
	cr_assert_neq(first.result == -EDEADLK, second.result == -EDEADLK);
	told = first.result == -EDEADLK ? &first : &second;
	snprintf(line, sizeof(line),
		 "servant %016" PRIx64 " asks fork %016" PRIx64 ": fork_take",
		 id, fork.id);
	cr_assert_not_null(strstr(told->text, line), "%s", told->text);
	snprintf(line, sizeof(line),
		 "fork %016" PRIx64 " asks servant %016" PRIx64 ": %s", fork.id,
		 id, named);
	cr_assert_not_null(strstr(told->text, line), "%s", told->text);
	cr_assert_eq(told->n_text, (int)strlen(told->text));
	engine_stop();
}

Test(deadlock, is_told_with_names, .timeout = HANG)
{
	expect_told(NOTHING, "nothing");
}

Test(deadlock, is_told_with_tags_that_have_no_names, .timeout = HANG)
{
	expect_told(FAILS, "tag 2");
}

Test(deadlock, is_told_in_as_much_room_as_there_is, .timeout = HANG)
{
	struct rota_deadlock_step steps[2] = {{.actor = 1, .whom = 2},
					      {.actor = 2, .whom = 1}};
	char text[32];
	int length = rota_deadlock_text(steps, 2, NULL, 0);

	memset(text, 'x', sizeof(text));
	cr_assert_gt(length, 32);
	cr_assert_eq(rota_deadlock_text(steps, 2, text, 20), length);
	cr_assert_str_eq(text, "actor 0000000000000");
	cr_assert_eq(text[20], 'x');
	cr_assert_eq(rota_deadlock_text(steps, 0, text, 20), 0);
	cr_assert_str_eq(text, "");
}

/* ---- what is none ---- */

/* One that only sends: its message is let in above the bound. */
Test(deadlock, is_none_where_one_waits_for_room, .timeout = HANG)
{
	enum op op[MAX_RING];
	size_t next[MAX_RING];

	for (size_t n = 2; n <= 30; n += n < 6 ? 1 : 12)
		for (size_t sender = 0; sender < n; sender += n / 3 + 1) {
			for (size_t i = 0; i < n; i++) {
				op[i] = i == sender ? SENDS : ASKS;
				next[i] = (i + 1) % n;
			}
			engine_start(2);
			play(n, 1, op, next);
			cr_assert_eq(n_refused(n), 0, "%zu of %zu", sender, n);
			engine_stop();
		}
}

/* Long lines of those who wait are no circles. */
Test(deadlock, is_none_in_a_line, .timeout = HANG)
{
	enum op op[MAX_RING];
	size_t next[MAX_RING];

	for (size_t i = 0; i < 100; i++) {
		op[i] = i == 99 ? RESTS : ASKS;
		next[i] = (i + 1) % 100;
	}
	engine_start(2);
	play(100, 0, op, next);
	cr_assert_eq(n_refused(100), 0);
	engine_stop();
}

static AO_t xtoken;

/* First asks second for what comes later, and second goes on to ask first: who
   has the token may answer any time. */
Test(deadlock, is_none_where_the_answer_comes_later, .timeout = HANG)
{
	uint64_t value = 5, waits;
	rota_id first, second;
	struct asked a, b;

	engine_start(2);
	first = servant_spawn(0, NULL);
	second = servant_spawn(0, &xtoken);
	a = asked_of(second, TAKES, 1);
	cr_assert_eq(rota_send(first, RUNS, &(struct act){act_ask, &a},
			       sizeof(struct act)),
		     0);
	await_token(&xtoken);
	waits = counters().waits;
	b = asked_of(first, TWICE, 7);
	cr_assert_eq(rota_send(second, RUNS, &(struct act){act_ask, &b},
			       sizeof(struct act)),
		     0);
	AWAIT(counters().waits > waits);
	for (int i = 0; i < 20; i++)
		nap();
	cr_assert_not(flag_is_up(&b.ended), "refused, and could end");
	cr_assert_eq(rota_reply(xtoken, 0, &value, sizeof(value)), 0);
	AWAIT(flag_is_up(&a.ended) && flag_is_up(&b.ended));
	cr_assert_eq(a.result, 0);
	cr_assert_eq(b.result, 0);
	cr_assert_eq(b.reply, 14);
	engine_stop();
}

typedef int await_some(struct rota_asking *askings, size_t n, size_t wanted,
		       int64_t within);

struct any {
	rota_id to[2];
	await_some *await;
	size_t wanted;
	struct flag begun;
	struct flag ended;
	int result;
	int outcome[2];
};

static int act_any(void *arg)
{
	struct any *any = arg;
	struct rota_asking asking[2];
	uint64_t reply[2], value = 3;

	rota_ask_start(any->to[0], NOTHING, &value, sizeof(value), &reply[0], 8,
		       ROTA_FOREVER, &asking[0]);
	rota_ask_start(any->to[1], TAKES, &value, sizeof(value), &reply[1], 8,
		       ROTA_FOREVER, &asking[1]);
	flag_raise(&any->begun);
	any->result = any->await(asking, 2, any->wanted, ROTA_FOREVER);
	any->outcome[0] = asking[0].outcome;
	any->outcome[1] = asking[1].outcome;
	flag_raise(&any->ended);
	return 0;
}

/* One of two is enough: that the other waits for us does not matter. */
static void any_will_do(await_some *await)
{
	static struct any any;
	struct hold hold = {0};
	uint64_t value = 5, waits;
	rota_id id, blocked;
	struct asked b;

	engine_start(2);
	id = servant_spawn(0, NULL);
	blocked = servant_spawn(0, NULL);
	hold_start(&hold, blocked); /* until id's request is queued there */
	any.to[0] = blocked;
	any.to[1] = servant_spawn(0, &xtoken);
	any.await = await;
	any.wanted = 1;
	b = asked_of(id, TWICE, 7);
	cr_assert_eq(rota_send(blocked, RUNS, &(struct act){act_ask, &b},
			       sizeof(struct act)),
		     0);
	cr_assert_eq(rota_send(id, RUNS, &(struct act){act_any, &any},
			       sizeof(struct act)),
		     0);
	AWAIT(flag_is_up(&any.begun));
	await_token(&xtoken);
	waits = counters().waits;
	hold_end(&hold);
	AWAIT(flag_is_up(&b.begun) && counters().waits > waits);
	for (int i = 0; i < 20; i++)
		nap();
	cr_assert_not(flag_is_up(&any.ended));
	cr_assert_not(flag_is_up(&b.ended));
	cr_assert_eq(rota_reply(xtoken, 0, &value, sizeof(value)), 0);
	AWAIT(flag_is_up(&any.ended) && flag_is_up(&b.ended));
	cr_assert_eq(any.result, 1);
	cr_assert_eq(any.outcome[1], 0);
	cr_assert_eq(b.result, 0);
	cr_assert_eq(b.reply, 14);
	engine_stop();
}

Test(deadlock, is_none_where_any_of_several_will_do, .timeout = HANG)
{
	any_will_do(rota_ask_await);
}

Test(deadlock, is_none_where_a_quorum_will_do, .timeout = HANG)
{
	any_will_do(rota_ask_quorum);
}

/* ... but all of them are not to be had. */
static void all_are_awaited(await_some *await)
{
	static struct any any;
	struct hold hold = {0};
	uint64_t value = 5;
	rota_id id, blocked;
	struct asked b;

	engine_start(2);
	id = servant_spawn(0, NULL);
	blocked = servant_spawn(0, NULL);
	hold_start(&hold, blocked);
	any.to[0] = blocked;
	any.to[1] = servant_spawn(0, &xtoken);
	any.await = await;
	any.wanted = 2;
	b = asked_of(id, TWICE, 7);
	cr_assert_eq(rota_send(blocked, RUNS, &(struct act){act_ask, &b},
			       sizeof(struct act)),
		     0);
	cr_assert_eq(rota_send(id, RUNS, &(struct act){act_any, &any},
			       sizeof(struct act)),
		     0);
	AWAIT(flag_is_up(&any.begun));
	await_token(&xtoken);
	hold_end(&hold);
	cr_assert_eq(rota_reply(xtoken, 0, &value, sizeof(value)), 0);
	AWAIT(flag_is_up(&any.ended) && flag_is_up(&b.ended));
	/* One of the two is told; then the other one's wait ends. */
	if (b.result == -EDEADLK)
		cr_assert_eq(any.result, 2);
	else
		cr_assert_eq(any.result, -EDEADLK);
	engine_stop();
}

Test(deadlock, is_found_where_all_are_awaited, .timeout = HANG)
{
	all_are_awaited(rota_ask_await);
}

Test(deadlock, is_found_where_a_quorum_is_of_all, .timeout = HANG)
{
	all_are_awaited(rota_ask_quorum);
}

/* A forward turns an edge round: it may close a circle, too. */
struct turns {
	rota_id to;
	struct flag go;
	struct flag begun;
	int result;
};

static int act_forwards(void *arg)
{
	struct turns *turns = arg;
	uint64_t value = 1;

	flag_raise(&turns->begun);
	flag_block(&turns->go);
	turns->result = rota_forward(0, turns->to, NOTHING, &value,
				     sizeof(value), ROTA_FOREVER);
	return ROTA_LATER;
}

struct asks_run {
	rota_id to;
	struct act act;
	struct flag ended;
	int result;
};

static int act_asks_run(void *arg)
{
	struct asks_run *a = arg;

	a->result = rota_ask(a->to, RUNS, &a->act, sizeof(a->act), NULL, 0,
			     ROTA_FOREVER);
	flag_raise(&a->ended);
	return 0;
}

Test(deadlock, may_be_closed_by_a_forward, .timeout = HANG)
{
	static struct turns turns;
	static struct asks_run a;
	rota_id first, second, third;
	struct asked b;
	uint64_t waits;

	engine_start(4);
	first = servant_spawn(0, NULL);
	second = servant_spawn(0, NULL);
	third = servant_spawn(0, NULL);
	turns.to = third;
	a.to = second;
	a.act = (struct act){act_forwards, &turns};
	cr_assert_eq(rota_send(first, RUNS, &(struct act){act_asks_run, &a},
			       sizeof(struct act)),
		     0);
	AWAIT(flag_is_up(&turns.begun));
	waits = counters().waits;
	b = asked_of(first, NOTHING, 1);
	cr_assert_eq(rota_send(third, RUNS, &(struct act){act_ask, &b},
			       sizeof(struct act)),
		     0);
	AWAIT(counters().waits > waits);
	cr_assert_not(flag_is_up(&b.ended));
	flag_raise(&turns.go);
	AWAIT(flag_is_up(&a.ended) && flag_is_up(&b.ended));
	cr_assert_neq(a.result == -EDEADLK, b.result == -EDEADLK);
	quiesce();
	cr_assert_eq(turns.result, 0);
	engine_stop();
}

/* ---- random graphs against a small reference ---- */

/* How many circles of asks alone a graph has where each node has one edge. */
static size_t n_circles(size_t n, const enum op *op, const size_t *next)
{
	size_t circles = 0;

	for (size_t start = 0; start < n; start++) {
		bool all_ask = true, is_least = true;
		size_t at = start, steps = 0;

		do {
			if (op[at] == RESTS)
				break;
			all_ask &= op[at] == ASKS;
			is_least &= at >= start;
			at = next[at];
		} while (at != start && ++steps <= n);
		circles += at == start && op[start] != RESTS && steps <= n &&
			   all_ask && is_least;
	}
	return circles;
}

static void random_graph(uint64_t *random)
{
	enum op op[MAX_RING];
	size_t next[MAX_RING];
	size_t n = 2 + next_random(random) % 12;
	size_t few = next_random(random) % 4; /* kinds to choose from */

	for (size_t i = 0; i < n; i++) {
		static const enum op kinds[4][4] = {{ASKS, ASKS, ASKS, ASKS},
						    {ASKS, ASKS, ASKS, SENDS},
						    {ASKS, ASKS, ASKS, RESTS},
						    {ASKS, SENDS, ASKS, RESTS}};

		op[i] = kinds[few][next_random(random) % 4];
		do
			next[i] = next_random(random) % n;
		while (next[i] == i);
	}
	play(n, 1, op, next);
	cr_assert_eq(n_refused(n), n_circles(n, op, next));
	for (size_t i = 0; i < n; i++)
		rota_actor_stop(ids[i]);
}

Test(deadlock, is_found_in_random_graphs_and_nowhere_else, .timeout = HANG)
{
	uint64_t random = 88172645463325252;

	for (unsigned workers = 1; workers <= 4; workers++) {
		engine_start(workers);
		for (int i = 0; i < SIZED(600, 10); i++)
			random_graph(&random);
		engine_stop();
	}
}
