/* SPDX-License-Identifier: MIT */
/*
 * deadline - messages that are of no use after a moment, and what follows them
 */
#include <rota/closure.h>

#include "tests/unit/asks.h"

static struct record record;

static rota_deadline soon(void)
{
	return rota_deadline_in(ROTA_MS(3));
}

/* Long enough for what soon() said to have passed. */
static void outlive(rota_deadline deadline)
{
	while (rota_deadline_left(deadline) > 0)
		nap();
}

static int until(rota_id to, unsigned tag, uint64_t value,
		 rota_deadline deadline)
{
	return rota_send_until(to, tag, &value, sizeof(value), deadline);
}

Test(deadline, is_a_moment)
{
	rota_deadline a = rota_deadline_in(ROTA_FOREVER), b;

	cr_assert_eq(a.ns, UINT64_MAX);
	cr_assert_eq(rota_deadline_left(a), ROTA_FOREVER);
	a = rota_deadline_in(ROTA_S(100));
	b = rota_deadline_in(ROTA_S(100));
	cr_assert_leq(a.ns, b.ns);
	cr_assert_gt(rota_deadline_left(b), 0);
	cr_assert_leq(rota_deadline_left(b), ROTA_S(100));
	cr_assert_eq(rota_deadline_left(rota_deadline_in(-1)), 0);
	cr_assert_eq(rota_deadline_here().ns, UINT64_MAX);
}

Test(deadline, that_has_not_passed_changes_nothing, .timeout = HANG)
{
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 0);
	for (uint64_t i = 0; i < 100; i++) {
		rota_deadline far = rota_deadline_in(ROTA_S(1000));

		cr_assert_eq(
			i % 2 ? until(id, 5, i, far) : send_value(id, 5, i), 0);
	}
	expect_conserved(100);
	for (uint64_t i = 0; i < 100; i++) {
		cr_assert_eq(record.note[i].value, i);
		cr_assert_eq(record.note[i].length, 8);
		cr_assert_eq(record.note[i].tag, 5);
	}
	engine_stop();
}

Test(deadline, that_has_passed_makes_a_dead_letter, .timeout = HANG)
{
	struct stall stall = {0};
	rota_deadline deadline;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 0);
	stall_start(&stall, id);
	deadline = soon();
	send_value(id, 1, 1);
	cr_assert_eq(until(id, 2, 2, deadline), 0);
	cr_assert_eq(until(id, 3, 3, rota_deadline_in(ROTA_S(1000))), 0);
	outlive(deadline);
	flag_raise(&stall.go);
	expect_conserved(4);
	cr_assert_eq(tally_of(&record.n), 2);
	cr_assert_eq(record.note[0].value, 1);
	cr_assert_eq(record.note[1].value, 3);
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_EXPIRED]), 1);
	cr_assert_eq(morgue.letter[0].tag, 2);
	cr_assert_eq(morgue.letter[0].value, 2);
	cr_assert_eq(morgue.letter[0].length, 8);
	cr_assert_eq(until(id, 2, 2, deadline), -ETIMEDOUT);
	engine_stop();
}

Test(deadline, ends_the_wait_for_room, .timeout = HANG)
{
	struct stall stall = {0};
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 1);
	stall_start(&stall, id);
	cr_assert_eq(until(id, 2, 2, soon()), -ETIMEDOUT);
	flag_raise(&stall.go);
	expect_conserved(1);
	engine_stop();
}

/* ---- ways to send ---- */

enum how {
	SEND,
	TRY,
	WITHIN,
	URGENT,
	PARTS,
	OWN,
	CAST,
	CAST_WITH,
	UNTIL_NEVER,
	PARTS_NEVER,
	OWN_NEVER,
	CAST_NEVER,
	CAST_WITH_NEVER,
	AFTER,
	N_HOWS
};

struct sender {
	rota_id to;
	enum how how;
	unsigned times;
	rota_id gate; /* waits for its end first, if any */
	rota_deadline here;
	int result;
	struct flag ended;
};

static struct tally n_dropped;

static void drop(void *buffer, size_t length)
{
	(void)length;
	free(buffer);
	tally_add(&n_dropped, 1);
}

static void count_drop(void *capture, size_t length)
{
	(void)capture;
	(void)length;
	tally_add(&n_dropped, 1);
}

static int cast(void *state, void *capture)
{
	(void)state;
	record_note(&record, 1, capture, sizeof(uint64_t));
	return 0;
}

static void *new_value(uint64_t value)
{
	return memcpy(malloc(sizeof(value)), &value, sizeof(value));
}

/* The calls that say what the deadline is, or that there is none. */
enum until { SEND_UNTIL, PARTS_UNTIL, OWN_UNTIL, CAST_UNTIL, CAST_WITH_UNTIL };

static int until_how(rota_id to, enum until how, uint64_t value,
		     rota_deadline deadline)
{
	size_t n = sizeof(value);
	void *buffer;
	int error;

	switch (how) {
	case PARTS_UNTIL:
		return rota_send_parts_until(to, 1, &value, 3,
					     (char *)&value + 3, n - 3, 0,
					     deadline);
	case OWN_UNTIL:
		buffer = new_value(value);
		error = rota_send_own_until(to, 1, buffer, n, drop, deadline);
		if (error)
			free(buffer); /* ours still */
		return error;
	case CAST_UNTIL:
		return rota_cast_until(to, cast, &value, deadline);
	case CAST_WITH_UNTIL:
		return rota_cast_with_until(to, cast, &value, n, count_drop, 0,
					    deadline);
	default:
		return rota_send_until(to, 1, &value, n, deadline);
	}
}

static int send_how(rota_id to, enum how how, uint64_t value)
{
	size_t n = sizeof(value);

	switch (how) {
	case TRY:
		return rota_try_send(to, 1, &value, n);
	case WITHIN:
		return rota_send_within(to, 1, &value, n, ROTA_S(50));
	case URGENT:
		return rota_send_urgent(to, 1, &value, n);
	case PARTS:
		return rota_send_parts(to, 1, &value, 3, (char *)&value + 3,
				       n - 3, 0, ROTA_FOREVER);
	case OWN:
		return rota_send_own(to, 1, malloc(n), n, drop, ROTA_FOREVER);
	case CAST:
		return rota_cast_bytes(to, cast, &value, n, ROTA_FOREVER);
	case CAST_WITH:
		return rota_cast_with(to, cast, &value, n, count_drop, 0,
				      ROTA_FOREVER);
	case UNTIL_NEVER:
	case PARTS_NEVER:
	case OWN_NEVER:
	case CAST_NEVER:
	case CAST_WITH_NEVER:
		return until_how(to, (enum until)(how - UNTIL_NEVER), value,
				 rota_deadline_in(ROTA_FOREVER));
	case AFTER:
		return rota_send_after(to, 1, &value, n, 0, NULL);
	default:
		return rota_send(to, 1, &value, n);
	}
}

/* ---- of every kind ---- */

/* Two of each: for one the time is up before it is taken. */
static void expires(enum until how)
{
	bool drops = how == OWN_UNTIL || how == CAST_WITH_UNTIL;
	struct stall stall = {0};
	rota_deadline deadline;
	rota_id id;

	memset(&record, 0, sizeof(record));
	memset(morgue.n, 0, sizeof(morgue.n));
	n_dropped = (struct tally){0};
	engine_start(2);
	id = puppet_spawn(&record, 0);
	stall_start(&stall, id);
	deadline = rota_deadline_in(ROTA_MS(IS_SLOW ? 100 : 20));
	/* A busy machine may be late. */
	if (until_how(id, how, 1, deadline) == 0) {
		cr_assert_eq(
			until_how(id, how, 2, rota_deadline_in(ROTA_S(1000))),
			0);
		outlive(deadline);
		flag_raise(&stall.go);
		expect_conserved(3);
		cr_assert_eq(tally_of(&record.n), 1);
		cr_assert_eq(record.note[0].value, 2);
		cr_assert_eq(record.note[0].length, 8);
		cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_EXPIRED]), 1);
		cr_assert_eq(morgue.letter[0].value, 1);
		cr_assert_eq(morgue.letter[0].length, 8);
		cr_assert_eq(tally_of(&n_dropped), drops ? 2 : 0);
	}
	flag_raise(&stall.go);
	engine_stop();
}

Test(deadline, may_be_that_of_every_kind, .timeout = HANG)
{
	for (enum until how = SEND_UNTIL; how <= CAST_WITH_UNTIL; how++)
		expires(how);
}

Test(deadline, of_every_kind_ends_the_wait_for_room, .timeout = HANG)
{
	struct stall stall = {0};
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 1);
	stall_start(&stall, id);
	for (enum until how = SEND_UNTIL; how <= CAST_WITH_UNTIL; how++) {
		rota_deadline past = rota_deadline_in(0);

		cr_assert_eq(until_how(id, how, 1, soon()), -ETIMEDOUT);
		cr_assert_eq(until_how(id, how, 1, past), -ETIMEDOUT);
	}
	cr_assert_eq(tally_of(&n_dropped), 0);
	flag_raise(&stall.go);
	expect_conserved(1);
	engine_stop();
}

static struct {
	rota_id full;
	int error;
	struct flag ended;
} in_callback;

static void send_in_callback(void *context, const struct rota_dead_letter *dead)
{
	(void)context;
	(void)dead;
	in_callback.error =
		until(in_callback.full, 1, 1, rota_deadline_in(ROTA_S(1000)));
	flag_raise(&in_callback.ended);
}

/* A timer of an actor that has ended is told of between two turns. */
Test(deadline, is_at_once_where_nothing_may_wait, .timeout = HANG)
{
	struct rota_config config = test_config(2);
	struct stall stall = {0};
	rota_id late;

	config.dead_letter = send_in_callback;
	engine = engine_make(&config);
	in_callback.full = puppet_spawn(NULL, 1);
	stall_start(&stall, in_callback.full);
	late = puppet_spawn(NULL, 0);
	cr_assert_eq(rota_send_after(late, 1, NULL, 0, ROTA_MS(5), NULL), 0);
	cr_assert_eq(rota_actor_stop(late), 0);
	AWAIT(flag_is_up(&in_callback.ended));
	cr_assert_eq(in_callback.error, -ETIMEDOUT);
	flag_raise(&stall.go);
	engine_stop();
}

Test(deadline, goes_with_what_is_urgent, .timeout = HANG)
{
	rota_deadline far = rota_deadline_in(ROTA_S(1000));
	struct stall stall = {0};
	uint64_t value = 3;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 0);
	stall_start(&stall, id);
	cr_assert_eq(send_value(id, 1, 1), 0);
	cr_assert_eq(rota_send_parts_until(id, 1, NULL, 0, &value, 8,
					   ROTA_URGENT, far),
		     0);
	cr_assert_eq(rota_cast_with_until(id, cast, &value, 8, NULL,
					  ROTA_URGENT, far),
		     0);
	cr_assert_eq(rota_send_parts_until(id, 1, &value, 8, NULL, 0,
					   ROTA_URGENT << 1, far),
		     -EINVAL);
	cr_assert_eq(rota_cast_with_until(id, cast, &value, 8, NULL,
					  ROTA_URGENT << 1, far),
		     -EINVAL);
	flag_raise(&stall.go);
	expect_conserved(4);
	cr_assert_eq(tally_of(&record.n), 3);
	cr_assert_eq(record.note[0].value, 3);
	cr_assert_eq(record.note[1].value, 3);
	cr_assert_eq(record.note[2].value, 1);
	engine_stop();
}

Test(deadline, of_every_kind_says_what_is_wrong, .timeout = HANG)
{
	static char bytes[ROTA_MAX_PAYLOAD + 1];
	rota_deadline far = rota_deadline_in(ROTA_S(1000));
	rota_id id;

	engine_start(1);
	id = puppet_spawn(NULL, 0);
	for (enum until how = SEND_UNTIL; how <= CAST_WITH_UNTIL; how++)
		cr_assert_eq(until_how(ROTA_NONE, how, 1, far), -ESRCH);
	cr_assert_eq(rota_send_parts_until(id, 1, bytes, 1, bytes,
					   ROTA_MAX_PAYLOAD, 0, far),
		     -EMSGSIZE);
	cr_assert_eq(
		rota_send_own_until(id, ROTA_MAX_TAG + 1, bytes, 1, drop, far),
		-EINVAL);
	cr_assert_eq(rota_cast_with_until(id, NULL, bytes, 1, NULL, 0, far),
		     -EINVAL);
	cr_assert_eq(rota_cast_with_until(id, cast, bytes, sizeof(bytes), NULL,
					  0, far),
		     -EMSGSIZE);
	engine_stop();
}

/* A moved buffer in hand goes on, or it does not and is in hand still. */
struct passer {
	rota_id to;
	int late;
	int again;
};

static int passer_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct passer *p = *(struct passer **)state;

	p->late = rota_send_own_until(p->to, tag, payload, length, drop,
				      rota_deadline_in(0));
	p->again = rota_send_own_until(p->to, tag, payload, length, drop,
				       rota_deadline_in(ROTA_S(1000)));
	return 0;
}

Test(deadline, of_a_buffer_in_hand_is_a_new_one, .timeout = HANG)
{
	static const struct rota_behaviour behaviour = {
		.size = sizeof(struct rota_behaviour),
		.name = "passer",
		.state_size = sizeof(struct passer *),
		.handle = passer_handle,
	};
	struct passer p = {.late = 1}, nowhere = {.to = ROTA_NONE}, *at = &p;

	engine_start(2);
	p.to = puppet_spawn(&record, 0);
	cr_assert_eq(rota_send_own(spawn(&behaviour, &at, 0), 1, new_value(7),
				   8, drop, ROTA_FOREVER),
		     0);
	at = &nowhere;
	cr_assert_eq(rota_send_own(spawn(&behaviour, &at, 0), 1, new_value(8),
				   8, drop, ROTA_FOREVER),
		     0);
	quiesce();
	cr_assert_eq(p.late, -ETIMEDOUT);
	cr_assert_eq(p.again, 0);
	cr_assert_eq(nowhere.again, -ESRCH);
	cr_assert_eq(tally_of(&record.n), 1);
	cr_assert_eq(record.note[0].value, 7);
	cr_assert_eq(tally_of(&n_dropped), 2);
	engine_stop();
}

/* ---- what is sent while it is handled ---- */

static int act_send(void *arg)
{
	struct sender *s = arg;

	if (s->gate)
		rota_join(s->gate, ROTA_FOREVER, NULL);
	s->here = rota_deadline_here();
	for (unsigned i = 0; i < s->times && !s->result; i++)
		s->result = send_how(s->to, s->how, i);
	flag_raise(&s->ended);
	return 0;
}

static int act_until(rota_id to, struct sender *s, rota_deadline deadline)
{
	struct act act = {act_send, s};

	return rota_send_until(to, ACT, &act, sizeof(act), deadline);
}

/* Who receives stands still until the deadline has passed. */
static void inherits(enum how how, unsigned times)
{
	struct sender s = {.how = how, .times = times};
	struct stall stall = {0};
	rota_deadline deadline;
	bool is_free = how >= UNTIL_NEVER;
	bool drops = how == OWN || how == CAST_WITH || how == OWN_NEVER ||
		     how == CAST_WITH_NEVER;
	rota_id id;

	memset(&record, 0, sizeof(record));
	memset(morgue.n, 0, sizeof(morgue.n));
	n_dropped = (struct tally){0};
	engine_start(3);
	s.to = puppet_spawn(&record, 200);
	stall_start(&stall, s.to);
	id = puppet_spawn(NULL, 0);
	deadline = rota_deadline_in(ROTA_MS(IS_SLOW ? 200 : 40));
	act_until(id, &s, deadline);
	AWAIT(flag_is_up(&s.ended) || rota_deadline_left(deadline) == 0);
	outlive(deadline);
	flag_raise(&stall.go);
	quiesce();
	if (flag_is_up(&s.ended)) { /* a busy machine may have been late */
		cr_assert_eq(s.result, 0);
		cr_assert_eq(s.here.ns, deadline.ns);
		cr_assert_eq(tally_of(&record.n), is_free ? times : 0);
		cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_EXPIRED]),
			     is_free ? 0 : times);
		cr_assert_eq(tally_of(&n_dropped), drops ? times : 0);
	}
	engine_stop();
}

Test(deadline, is_inherited_by_what_is_sent, .timeout = HANG)
{
	for (enum how how = SEND; how < N_HOWS; how++)
		inherits(how, 5); /* the first has no block at hand */
}

Test(deadline, is_inherited_by_many_in_a_row, .timeout = HANG)
{
	inherits(SEND, 150);
	inherits(OWN, 20);
	inherits(CAST, 150);
}

/* Neither by what the next message sends, nor by what others send meanwhile. */
Test(deadline, is_inherited_by_nothing_else, .timeout = HANG)
{
	struct sender s = {.times = 1}, plain = {.times = 1},
		      other = {.times = 1};
	rota_deadline far = rota_deadline_in(ROTA_S(1000));
	rota_id id;

	engine_start(1);
	s.gate = puppet_spawn(NULL, 0);
	s.to = plain.to = other.to = puppet_spawn(&record, 0);
	id = puppet_spawn(NULL, 0);
	cr_assert_eq(act_until(id, &s, far), 0);
	ACTS(id, act_send, &plain);
	AWAIT(counters().waits > 0);
	ACTS(puppet_spawn(NULL, 0), act_send, &other);
	AWAIT(flag_is_up(&other.ended));
	cr_assert_eq(other.here.ns, UINT64_MAX);
	rota_actor_stop(s.gate);
	AWAIT(flag_is_up(&plain.ended));
	quiesce();
	cr_assert_eq(s.here.ns, far.ns);
	cr_assert_eq(plain.here.ns, UINT64_MAX);
	cr_assert_eq(tally_of(&record.n), 3);
	engine_stop();
}

/* ---- what the handler is told ---- */

struct poller {
	int first;
	int last;
	int64_t left_first; /* behind the look */
	int64_t left;
	struct flag ended;
};

static int act_poll(void *arg)
{
	struct poller *poller = arg;
	rota_deadline here = rota_deadline_here();

	poller->first = rota_is_cancelled();
	poller->left_first = rota_deadline_left(here);
	for (int i = 0; i < 10000 && !rota_is_cancelled(); i++)
		nap();
	poller->last = rota_is_cancelled();
	poller->left = rota_deadline_left(here);
	flag_raise(&poller->ended);
	return 0;
}

Test(deadline, that_passes_cancels_the_handler, .timeout = HANG)
{
	struct poller poller = {.first = 2};
	struct act act = {act_poll, &poller};
	rota_id id;

	engine_start(1);
	id = puppet_spawn(NULL, 0);
	/* On a busy machine it may expire before it is taken. */
	do
		cr_assert_eq(rota_send_until(id, ACT, &act, sizeof(act),
					     rota_deadline_in(ROTA_MS(100))),
			     0);
	while (quiesce(), !flag_is_up(&poller.ended));
	cr_assert(poller.first == 0 || poller.left_first == 0);
	cr_assert_eq(poller.last, 1);
	cr_assert_eq(poller.left, 0);
	engine_stop();
}

/* ---- what is asked ---- */

static int call_twice(void *state, void *capture)
{
	uint64_t *value = capture;

	(void)state;
	*value *= 2;
	return 0;
}

static int act_asks(void *arg)
{
	return act_ask(arg);
}

Test(deadline, ends_what_is_asked_meanwhile, .timeout = HANG)
{
	struct stall stall = {0};
	struct asked a;
	rota_id id;

	engine_start(3);
	a = asked_of(servant_spawn(0, NULL), TWICE, 1);
	stall_start(&stall, a.to);
	id = puppet_spawn(NULL, 0);
	cr_assert_eq(rota_send_until(id, ACT, &(struct act){act_asks, &a},
				     sizeof(struct act),
				     rota_deadline_in(ROTA_MS(50))),
		     0);
	AWAIT(flag_is_up(&a.ended) || n_dead() > 0);
	if (flag_is_up(&a.ended))
		cr_assert_eq(a.result, -ETIMEDOUT);
	flag_raise(&stall.go);
	quiesce();
	cr_assert_eq(tally_of(&n_begun), 1);
	engine_stop();
}

/* Asked when the deadline of the message in hand has passed, with another. */
struct own {
	rota_id to;
	rota_deadline deadline;
	int inherits[3];
	int result[4];
	uint64_t reply[4];
	struct flag ended;
};

#define ANSWERS 77 /* tag of the answers that come as messages */

static int act_asks_on(void *arg)
{
	struct own *own = arg;
	uint64_t one = 1, size = sizeof(one);
	struct rota_asking asking;

	outlive(rota_deadline_here());
	own->inherits[0] =
		rota_ask(own->to, TWICE, &one, size, NULL, 0, ROTA_FOREVER);
	own->inherits[1] = rota_ask_start(own->to, TWICE, &one, size, NULL, 0,
					  ROTA_FOREVER, &asking);
	own->inherits[2] = rota_ask_then(own->to, TWICE, &one, size,
					 ROTA_FOREVER, ANSWERS, NULL);
	own->result[0] = rota_ask_until(own->to, TWICE, &one, size,
					&own->reply[0], size, own->deadline);
	own->result[1] =
		rota_ask_start_until(own->to, TWICE, &one, size, &own->reply[1],
				     size, own->deadline, &asking);
	if (!own->result[1] && rota_ask_await(&asking, 1, 1, ROTA_FOREVER) == 1)
		own->result[1] = asking.outcome;
	own->result[2] = rota_ask_then_until(own->to, TWICE, &one, size,
					     own->deadline, ANSWERS, NULL);
	own->reply[3] = 1;
	own->result[3] = rota_call_until(own->to, call_twice, &own->reply[3],
					 own->deadline);
	flag_raise(&own->ended);
	return 0;
}

static void asks_on(rota_deadline deadline, int result)
{
	struct own own = {.deadline = deadline};
	struct act act = {act_asks_on, &own};
	rota_id id;

	memset(&record, 0, sizeof(record));
	n_begun = (struct tally){0};
	engine_start(2);
	own.to = servant_spawn(0, NULL);
	id = puppet_spawn(&record, 0);
	/* On a busy machine it may expire before it is taken. */
	do
		cr_assert_eq(rota_send_until(id, ACT, &act, sizeof(act),
					     rota_deadline_in(ROTA_MS(20))),
			     0);
	while (quiesce(), !flag_is_up(&own.ended));
	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(own.inherits[i], -ETIMEDOUT);
	for (size_t i = 0; i < 4; i++) {
		cr_assert_eq(own.result[i], result, "%zu: %d", i,
			     own.result[i]);
		cr_assert(result || i == 2 || own.reply[i] == 2);
	}
	cr_assert_eq(tally_of(&n_begun), result ? 0 : 3);
	cr_assert_eq(tally_of(&record.n), result ? 0 : 1);
	cr_assert(result || record.note[0].tag == ANSWERS);
	engine_stop();
}

Test(deadline, of_what_is_asked_may_be_its_own, .timeout = HANG)
{
	asks_on(rota_deadline_in(ROTA_S(1000)), 0);
	asks_on(rota_deadline_in(ROTA_FOREVER), 0);
	asks_on(rota_deadline_in(0), -ETIMEDOUT);
}

/* What is done for such an ask has its deadline. */
struct heir {
	struct asked ask; /* for the servant, and how long it may be */
	rota_deadline deadline;
	struct heir *next;
	rota_deadline here;
};

static int act_heir(void *arg)
{
	struct heir *heir = arg;
	struct act act = {act_heir, heir->next};

	heir->here = rota_deadline_here();
	if (heir->next)
		heir->ask.result =
			rota_ask_until(heir->ask.to, RUNS, &act, sizeof(act),
				       NULL, 0, heir->deadline);
	return 0;
}

Test(deadline, of_its_own_goes_on_with_an_ask, .timeout = HANG)
{
	struct heir last = {.next = NULL}, first = {.next = &last};
	struct act act = {act_heir, &first};

	engine_start(2);
	first.ask.to = servant_spawn(0, NULL);
	first.deadline = rota_deadline_in(ROTA_S(2000));
	cr_assert_eq(rota_send_until(puppet_spawn(NULL, 0), ACT, &act,
				     sizeof(act),
				     rota_deadline_in(ROTA_S(1000))),
		     0);
	quiesce();
	cr_assert_eq(first.ask.result, 0);
	cr_assert_geq(last.here.ns, first.deadline.ns);
	/* Up to the clock being read again, by a thread that may be held up. */
	cr_assert_lt(last.here.ns, first.deadline.ns + (uint64_t)ROTA_S(500));
	first.deadline = rota_deadline_in(ROTA_FOREVER);
	cr_assert_eq(puppet_act(puppet_spawn(NULL, 0), act_heir, &first), 0);
	quiesce();
	cr_assert_eq(last.here.ns, UINT64_MAX);
	engine_stop();
}

/* It ends the ask, as a time does, while nobody answers. */
Test(deadline, of_its_own_ends_an_ask, .timeout = HANG)
{
	uint64_t one = 1;
	AO_t xtoken = 0;
	rota_id id;

	engine_start(2);
	id = servant_spawn(0, &xtoken);
	cr_assert_eq(
		rota_ask_until(id, TAKES, &one, sizeof(one), NULL, 0, soon()),
		-ETIMEDOUT);
	quiesce();
	engine_stop();
}

struct inner {
	struct asked ask;
	int is_cancelled;
};

static int act_inner(void *arg)
{
	struct inner *inner = arg;

	act_ask(&inner->ask);
	inner->is_cancelled = rota_is_cancelled();
	return 0;
}

/* An ask's deadline goes on with the asks that are made for it. */
Test(deadline, of_an_ask_is_that_of_the_asks_for_it, .timeout = HANG)
{
	static struct inner inner;
	struct act act = {act_inner, &inner};
	static AO_t xtoken;
	rota_id outer;
	int error;

	engine_start(2);
	outer = servant_spawn(0, NULL);
	inner.ask = asked_of(servant_spawn(0, &xtoken), TAKES, 1);
	error = rota_ask(outer, RUNS, &act, sizeof(act), NULL, 0, ROTA_MS(50));
	/* The inner one may be the first to be told, and its asker answer. */
	cr_assert(error == -ETIMEDOUT || error == 0, "%d", error);
	quiesce(); /* it would hang, if the inner one waited on */
	if (flag_is_up(&inner.ask.begun)) {
		cr_assert_eq(inner.ask.result, -ETIMEDOUT);
		cr_assert_eq(inner.is_cancelled, 1);
	}
	engine_stop();
}

/* ---- sizes ---- */

static unsigned char huge[ROTA_MAX_PAYLOAD];

static int act_casts_huge(void *arg)
{
	struct sender *s = arg;

	s->result = rota_cast_with(s->to, cast, huge, sizeof(huge), count_drop,
				   0, ROTA_FOREVER);
	return 0;
}

/* All that may lie before a payload lies before the largest one. */
Test(deadline, goes_with_the_largest_capture, .timeout = HANG)
{
	struct sender s = {0};
	struct act act = {act_casts_huge, &s};

	engine_start(2);
	s.to = puppet_spawn(&record, 0);
	cr_assert_eq(rota_send_until(puppet_spawn(NULL, 0), ACT, &act,
				     sizeof(act),
				     rota_deadline_in(ROTA_S(1000))),
		     0);
	expect_conserved(2);
	cr_assert_eq(s.result, 0);
	cr_assert_eq(tally_of(&record.n), 1);
	cr_assert_eq(tally_of(&n_dropped), 1);
	engine_stop();
}

Test(deadline, goes_with_payloads_of_every_length, .timeout = HANG)
{
	static unsigned char bytes[ROTA_MAX_PAYLOAD];
	rota_deadline far = rota_deadline_in(ROTA_S(1000));
	size_t n = 0;
	rota_id id;

	memset(bytes, 7, sizeof(bytes));
	engine_start(2);
	id = puppet_spawn(&record, 0);
	for (size_t length = 0; length <= sizeof(bytes);
	     length += length < 70 ? 1 : length / 2) {
		cr_assert_eq(rota_send_until(id, 1, bytes, length, far), 0);
		n++;
	}
	expect_conserved(n);
	for (size_t i = 0; i < 70; i++)
		cr_assert_eq(record.note[i].length, i);
	cr_assert_eq(record.note[n - 1].value, UINT64_C(0x0707070707070707));
	cr_assert_eq(rota_send_until(id, 1, bytes, sizeof(bytes) + 1, far),
		     -EMSGSIZE);
	cr_assert_eq(rota_send_until(id, ROTA_MAX_TAG + 1, bytes, 1, far),
		     -EINVAL);
	cr_assert_eq(rota_send_until(ROTA_NONE, 1, bytes, 1, far), -ESRCH);
	engine_stop();
}
