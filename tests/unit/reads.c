/* SPDX-License-Identifier: MIT */
/*
 * reads - queries are handled beside each other where that pays
 *
 * The actor under test is a table. Its turn is held while requests are queued,
 * so that they lie in its mailbox one behind the other; a first pair of slow
 * ones teaches the engine what a query takes.
 */
#include <rota/ask.h>
#include <rota/closure.h>
#include <rota/process.h>
#include <rota/status.h>

#include <sys/mman.h>

#include "tests/unit/support.h"

enum { SET = 1, GET, BLANK, BOTHER };

struct table {
	uint64_t value;
	struct tally *ended; /* of tables; NULL: nobody counts */
};

/* A request GET: the handler calls it, and answers with the value. */
struct query {
	int (*run)(void *arg);
	void *arg;
};

static int answer_value(const struct table *table, int result)
{
	return rota_answer(result, &table->value, sizeof(table->value));
}

static int table_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct table *table = state;
	struct query query;

	switch (tag) {
	case SET:
		table->value = value_at(payload, length);
		return 0;
	case GET:
		memcpy(&query, payload, sizeof(query));
		if (!query.run)
			return ROTA_UNKNOWN;
		return answer_value(table, query.run(query.arg));
	case BLANK:
		return answer_value(table, 0);
	case ACT:
		return puppet_handle(&(struct puppet){NULL}, tag, payload,
				     length);
	default:
		return ROTA_UNKNOWN;
	}
}

static void table_destroy(void *state)
{
	struct table *table = state;

	if (table->ended)
		tally_add(table->ended, 1);
}

static const struct rota_behaviour table_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "table",
	.state_size = sizeof(struct table),
	.handle = table_handle,
	.destroy = table_destroy,
};

/* ---- asking several at a time ---- */

#define MAX 16

static struct rota_asking asking[MAX];
static uint64_t reply[MAX];
static rota_id table;
static struct hold hold;

static void ask(size_t i, unsigned tag, int (*run)(void *), void *arg)
{
	struct query query = {run, arg};

	reply[i] = 0;
	cr_assert_eq(rota_ask_start(table, tag | ROTA_QUERY, &query,
				    sizeof(query), &reply[i], sizeof(reply[i]),
				    ROTA_FOREVER, &asking[i]),
		     0);
}

static int outcome(size_t i)
{
	cr_assert_eq(rota_ask_await(&asking[i], 1, 1, PATIENCE), 1);
	return asking[i].outcome;
}

static int act_slow(void *arg)
{
	const struct timespec while_ = {.tv_nsec = 100000};

	(void)arg;
	nanosleep(&while_, NULL);
	return 0;
}

/* What is asked between these is taken as one batch. */
static void queue_begin(void)
{
	memset(&hold, 0, sizeof(hold));
	hold_start(&hold, table);
}

static void queue_end(void)
{
	hold_end(&hold);
}

static void learn(unsigned tag)
{
	queue_begin();
	ask(0, tag, act_slow, NULL);
	ask(1, tag, act_slow, NULL);
	queue_end();
	cr_assert_eq(outcome(0), 0);
	cr_assert_eq(outcome(1), 0);
	quiesce();
}

static void begin(unsigned workers, unsigned mailbox)
{
	engine_start(workers);
	table = spawn(&table_behaviour, &(struct table){0, NULL}, mailbox);
	learn(GET);
	cr_assert_eq(counters().queries, 0);
}

/* ---- at once ---- */

static struct tally n_in;
static struct flag go;

/* Blocks its worker until so many are in. */
static int act_meet(void *arg)
{
	tally_add(&n_in, 1);
	while (tally_of(&n_in) < (size_t)(uintptr_t)arg)
		nap();
	flag_block(&go);
	return 0;
}

static struct rota_status status_of(rota_id id)
{
	struct rota_status status = ROTA_STATUS_INIT;

	cr_assert_eq(rota_status(id, &status), 0);
	return status;
}

Test(reads, several_run_at_once, .timeout = HANG)
{
	struct rota_status status;

	begin(2, 0);
	queue_begin();
	for (size_t i = 0; i < 2; i++)
		ask(i, GET, act_meet, (void *)2);
	cr_assert_eq(send_value(table, SET, 5), 0);
	queue_end();
	AWAIT(tally_of(&n_in) == 2);
	status = status_of(table);
	cr_assert_eq(status.queries, 2);
	cr_assert_eq(status.activity, ROTA_RUNNING);
	cr_assert_eq(status.tag, GET);
	cr_assert_eq(status.mailbox_length, 3);
	flag_raise(&go);
	for (size_t i = 0; i < 2; i++) {
		cr_assert_eq(outcome(i), 0);
		cr_assert_eq(reply[i], 0);
	}
	quiesce();
	cr_assert_eq(counters().queries, 2);
	cr_assert_eq(status_of(table).queries, 0);
	/* The holds, the two that taught, SET, and these. */
	cr_assert_eq(status_of(table).handled, 2 + 2 + 1 + 2);
	engine_stop();
}

/* Nobody could tell what is to become of the others. */
Test(reads, one_of_several_is_not_given_up, .init = check_kernel,
     .timeout = HANG)
{
	begin(2, 0);
	queue_begin();
	for (size_t i = 0; i < 2; i++)
		ask(i, GET, act_meet, (void *)2);
	queue_end();
	AWAIT(tally_of(&n_in) == 2);
	cr_assert_eq(rota_abandon_within(table, PATIENCE), -EBUSY);
	flag_raise(&go);
	for (size_t i = 0; i < 2; i++)
		cr_assert_eq(outcome(i), 0);
	cr_assert_eq(counters().queries, 2);
	cr_assert(rota_is_alive(table));
	engine_stop();
}

Test(reads, one_worker_offers_none, .timeout = HANG)
{
	engine_start(1);
	table = spawn(&table_behaviour, &(struct table){0, NULL}, 0);
	learn(GET);
	learn(GET);
	cr_assert_eq(counters().queries, 0);
	engine_stop();
}

Test(reads, an_actor_with_its_own_thread_offers_none, .timeout = HANG)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;

	engine_start(2);
	options.flags = ROTA_OWN_THREAD;
	table = rota_spawn(engine, &table_behaviour, &(struct table){0, NULL},
			   &options);
	cr_assert_eq(rota_id_error(table), 0);
	learn(GET);
	queue_begin();
	for (size_t i = 0; i < 4; i++)
		ask(i, GET, act_slow, NULL);
	queue_end();
	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(outcome(i), 0);
	cr_assert_eq(counters().queries, 0);
	engine_stop();
}

/* A turn that was preempted while it was timed may seem long, once. */
static uint64_t offered_of_short_ones(void)
{
	uint64_t offered;

	engine_start(2);
	table = spawn(&table_behaviour, &(struct table){0, NULL}, 0);
	for (size_t round = 0; round < 4; round++) {
		queue_begin();
		for (size_t i = 0; i < MAX; i++)
			ask(i, BLANK, NULL, NULL);
		queue_end();
		for (size_t i = 0; i < MAX; i++)
			cr_assert_eq(outcome(i), 0);
	}
	offered = counters().queries;
	engine_stop();
	return offered;
}

Test(reads, short_ones_are_not_offered, .timeout = HANG)
{
	size_t tries = 0;

	if (IS_SLOW) /* nothing is short there */
		return;
	while (offered_of_short_ones() > 0)
		cr_assert_lt(++tries, 50);
}

Test(reads, each_tag_has_its_own_estimate, .timeout = HANG)
{
	begin(2, 0);
	queue_begin();
	/* Never timed before: the first is handled alone. */
	for (size_t i = 0; i < 3; i++)
		ask(i, BOTHER, act_slow, NULL);
	queue_end();
	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(outcome(i), -ENOSYS);
	quiesce();
	cr_assert_leq(counters().queries, 2);
	cr_assert_eq(counters().dead_letters[ROTA_DEAD_UNKNOWN], 3);
	queue_begin();
	ask(0, GET, act_slow, NULL);
	ask(1, BOTHER, act_slow, NULL);
	queue_end();
	cr_assert_eq(outcome(0), 0);
	cr_assert_eq(outcome(1), -ENOSYS, "beside others, too");
	quiesce();
	cr_assert_geq(counters().queries, 2);
	cr_assert_eq(counters().dead_letters[ROTA_DEAD_UNKNOWN], 4);
	engine_stop();
}

/* ---- order, and the bound ---- */

Test(reads, each_sees_what_was_sent_before_it, .timeout = HANG)
{
	begin(2, 0);
	queue_begin();
	for (size_t i = 0; i < 3; i++) {
		ask(2 * i, GET, act_slow, NULL);
		ask(2 * i + 1, GET, act_slow, NULL);
		cr_assert_eq(send_value(table, SET, i + 1), 0);
	}
	queue_end();
	for (size_t i = 0; i < 6; i++) {
		cr_assert_eq(outcome(i), 0);
		cr_assert_eq(reply[i], i / 2);
	}
	quiesce();
	cr_assert_eq(counters().queries, 6);
	engine_stop();
}

/* A turn that waits for the gate, and keeps no worker. */
static int act_wait(void *arg)
{
	const rota_id *gate = arg;

	tally_add(&n_in, 1);
	return -rota_join(*gate, ROTA_FOREVER, NULL);
}

Test(reads, one_that_waits_does_not_hold_up_the_others, .timeout = HANG)
{
	rota_id gate;

	begin(2, 0);
	gate = puppet_spawn(NULL, 0);
	queue_begin();
	for (size_t i = 0; i < 4; i++)
		ask(i, GET, act_wait, &gate);
	ask(4, GET, act_slow, NULL);
	cr_assert_eq(send_value(table, SET, 7), 0);
	ask(5, GET, act_slow, NULL);
	queue_end();
	cr_assert_eq(outcome(4), 0);
	AWAIT(tally_of(&n_in) == 4 &&
	      status_of(table).activity == ROTA_WAITING);
	cr_assert_eq(status_of(table).queries, 4);
	cr_assert_eq(status_of(table).waits_for, ROTA_WAITS_FOR_END);
	cr_assert_eq(rota_ask_await(&asking[5], 1, 1, ROTA_MS(1)), -ETIMEDOUT,
		     "what comes behind waits for all");
	rota_actor_stop(gate);
	for (size_t i = 0; i < 4; i++) {
		cr_assert_eq(outcome(i), 0);
		cr_assert_eq(reply[i], 0);
	}
	cr_assert_eq(outcome(5), 0);
	cr_assert_eq(reply[5], 7);
	engine_stop();
}

Test(reads, room_is_given_back_by_the_last, .timeout = HANG)
{
	rota_id gate;
	size_t n = 0;

	begin(2, 8);
	gate = puppet_spawn(NULL, 0);
	queue_begin();
	ask(0, GET, act_wait, &gate);
	ask(1, GET, act_slow, NULL);
	ask(2, GET, act_slow, NULL);
	queue_end();
	cr_assert_eq(outcome(1), 0);
	cr_assert_eq(outcome(2), 0);
	AWAIT(tally_of(&n_in) == 1);
	while (try_value(table, SET, n) == 0)
		n++;
	cr_assert_eq(n, 5, "all three are counted until all have ended");
	rota_actor_stop(gate);
	cr_assert_eq(outcome(0), 0);
	quiesce();
	queue_begin();
	for (n = 0; try_value(table, SET, n) == 0;)
		n++;
	cr_assert_eq(n, 7, "nothing was lost: but for what is held");
	queue_end();
	engine_stop();
}

static struct tally n_sent;

/* The turn gives back what it has finished, if it needs that to send this. */
static void send_again(void *context, const struct rota_dead_letter *letter)
{
	(void)context;
	if (letter->cause == ROTA_DEAD_UNKNOWN &&
	    try_value(letter->to, SET, 0) == 0)
		tally_add(&n_sent, 1);
}

Test(reads, room_is_not_given_back_twice, .timeout = HANG)
{
	struct rota_config config = test_config(2);
	size_t n = 0;

	config.dead_letter = send_again;
	engine = engine_make(&config);
	table = spawn(&table_behaviour, &(struct table){0, NULL}, 5);
	learn(GET);
	queue_begin();
	for (size_t i = 0; i < 4; i++)
		ask(i, GET, NULL, NULL);
	queue_end();
	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(outcome(i), -ENOSYS);
	quiesce();
	cr_assert_eq(counters().queries, 4);
	/* One reader may take the room that another has just given back. */
	cr_assert(tally_of(&n_sent) >= 1 && tally_of(&n_sent) <= 4);
	queue_begin();
	while (try_value(table, SET, n) == 0)
		n++;
	cr_assert_eq(n, 4);
	queue_end();
	engine_stop();
}

/* ---- what they may do ---- */

struct refusals {
	int result[9];
};

static int act_meddle(void *arg)
{
	struct refusals *refusals = arg;
	struct rota_received received;
	rota_token token;
	int *result = refusals->result;

	*result++ = rota_self_stop(1);
	*result++ = rota_self_drain();
	*result++ = rota_receive(NULL, ROTA_NOW, &received);
	*result++ = rota_accept(&(struct rota_tags){0});
	*result++ = rota_stash();
	*result++ = rota_unstash();
	*result++ = rota_become(&puppet_behaviour);
	*result++ = rota_reply_later(&token);
	return act_slow(NULL);
}

Test(reads, none_may_change_the_actor, .timeout = HANG)
{
	static struct refusals refusals[5];

	begin(2, 0);
	queue_begin();
	for (size_t i = 0; i < 4; i++)
		ask(i, GET, act_meddle, &refusals[i]);
	queue_end();
	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(outcome(i), 0);
	quiesce();
	cr_assert_eq(counters().queries, 4);
	ask(4, GET, act_meddle, &refusals[4]); /* alone */
	cr_assert_eq(outcome(4), 0);
	quiesce();
	cr_assert_eq(counters().queries, 4);
	for (size_t i = 0; i < 5; i++)
		for (size_t k = 0; k < 8; k++)
			cr_assert_eq(refusals[i].result[k], -EPERM, "%zu %zu",
				     i, k);
	cr_assert(rota_is_alive(table));
	engine_stop();
}

static rota_id other;
static struct record heard;

/* Sends, and asks somebody who asks nobody. */
static int act_ask_other(void *arg)
{
	struct query query = {act_slow, NULL};
	uint64_t value = 0;
	int error = send_value(other, 77, 1);

	if (!error)
		error = rota_ask(*(rota_id *)arg, GET | ROTA_QUERY, &query,
				 sizeof(query), &value, sizeof(value),
				 ROTA_FOREVER);
	return error ? -error : value == 33 ? 0 : 1;
}

Test(reads, they_may_send_and_ask, .timeout = HANG)
{
	rota_id source;

	begin(2, 0);
	other = puppet_spawn(&heard, 0);
	source = spawn(&table_behaviour, &(struct table){33, NULL}, 0);
	queue_begin();
	for (size_t i = 0; i < MAX; i++)
		ask(i, GET, act_ask_other, &source);
	queue_end();
	for (size_t i = 0; i < MAX; i++)
		cr_assert_eq(outcome(i), 0);
	quiesce();
	cr_assert_eq(tally_of(&heard.n), MAX);
	cr_assert_geq(counters().queries, MAX);
	for (size_t i = 0; i < MAX; i++) {
		cr_assert_eq(heard.note[i].self, other);
		cr_assert_eq(heard.note[i].sender, table);
	}
	engine_stop();
}

static int act_ask_self(void *arg)
{
	struct query query = {act_slow, NULL};

	(void)arg;
	return -rota_ask(rota_self(), GET, &query, sizeof(query), NULL, 0,
			 ROTA_FOREVER);
}

Test(reads, asking_oneself_is_refused, .timeout = HANG)
{
	begin(2, 0);
	queue_begin();
	ask(0, GET, act_ask_self, NULL);
	ask(1, GET, act_ask_self, NULL);
	queue_end();
	cr_assert_eq(outcome(0), EDEADLK);
	cr_assert_eq(outcome(1), EDEADLK);
	engine_stop();
}

/* ---- received ones are not beside others ---- */

static int act_receive(void *arg)
{
	struct rota_received received;
	int *results = arg;
	uint64_t value = 9;

	results[0] = rota_receive(NULL, PATIENCE, &received);
	rota_answer(0, &value, sizeof(value));
	results[1] = rota_receive(NULL, PATIENCE, &received);
	rota_answer(0, &value, sizeof(value));
	return rota_self_stop(0);
}

Test(reads, a_loop_that_receives_them_goes_on, .timeout = HANG)
{
	int results[2] = {1, 1};

	begin(2, 0);
	ACTS(table, act_receive, results);
	ask(0, GET, act_slow, NULL);
	ask(1, GET, act_slow, NULL);
	cr_assert_eq(outcome(0), 0);
	cr_assert_eq(outcome(1), 0);
	cr_assert_eq(rota_join(table, PATIENCE, NULL), 0);
	cr_assert_eq(results[0], 0);
	cr_assert_eq(results[1], 0);
	engine_stop();
}

/* ---- stops ---- */

static struct tally n_second;

/* Waits, and once more: both are cancelled by a stop. */
static int act_wait_twice(void *arg)
{
	const rota_id *gate = arg;
	int first;

	tally_add(&n_in, 1);
	first = rota_join(*gate, ROTA_FOREVER, NULL);
	if (rota_join(*gate, ROTA_FOREVER, NULL) == -ECANCELED)
		tally_add(&n_second, 1);
	return -first;
}

Test(reads, a_stop_ends_the_waits_of_all, .timeout = HANG)
{
	struct tally ended = {0};
	struct rota_exit why;
	rota_id gate;

	engine_start(2);
	table = spawn(&table_behaviour, &(struct table){0, &ended}, 0);
	learn(GET);
	gate = puppet_spawn(NULL, 0);
	queue_begin();
	for (size_t i = 0; i < 5; i++)
		ask(i, GET, act_wait_twice, &gate);
	queue_end();
	AWAIT(tally_of(&n_in) == 5 &&
	      status_of(table).activity == ROTA_WAITING);
	cr_assert_eq(rota_actor_stop(table), 0);
	for (size_t i = 0; i < 5; i++)
		cr_assert_eq(outcome(i), ECANCELED);
	cr_assert_eq(rota_join(table, PATIENCE, &why), 0);
	cr_assert_eq(why.cause, ROTA_EXIT_STOPPED);
	cr_assert_eq(tally_of(&n_second), 5);
	cr_assert_eq(tally_of(&ended), 1);
	engine_stop();
}

Test(reads, after_a_stop_none_begins, .timeout = HANG)
{
	size_t n_run = 0, n_refused = 0;

	begin(2, 0);
	queue_begin();
	for (size_t i = 0; i < MAX; i++)
		ask(i, GET, act_meet, (void *)2);
	queue_end();
	AWAIT(tally_of(&n_in) == 2); /* on both workers: there is no third */
	cr_assert_eq(rota_actor_stop(table), 0);
	cr_assert(rota_is_alive(table), "until the last has ended");
	flag_raise(&go);
	for (size_t i = 0; i < MAX; i++) {
		int result = outcome(i);

		n_run += result == 0;
		n_refused += result == -ESRCH;
	}
	cr_assert_eq(n_run, 2);
	cr_assert_eq(n_refused, MAX - 2);
	cr_assert_eq(rota_join(table, PATIENCE, NULL), 0);
	quiesce();
	cr_assert_eq(counters().dead_letters[ROTA_DEAD_STOPPED], MAX - 2);
	engine_stop();
}

Test(reads, a_drain_lets_all_run, .timeout = HANG)
{
	begin(2, 0);
	queue_begin();
	for (size_t i = 0; i < MAX; i++)
		ask(i, GET, act_meet, (void *)2);
	queue_end();
	AWAIT(tally_of(&n_in) == 2);
	cr_assert_eq(rota_actor_drain(table), 0);
	flag_raise(&go);
	for (size_t i = 0; i < MAX; i++)
		cr_assert_eq(outcome(i), 0);
	cr_assert_eq(rota_join(table, PATIENCE, NULL), 0);
	engine_stop();
}

Test(reads, the_engine_stops_with_some_that_wait, .timeout = HANG)
{
	rota_id gate;

	begin(2, 0);
	gate = puppet_spawn(NULL, 0);
	queue_begin();
	for (size_t i = 0; i < 5; i++)
		ask(i, GET, act_wait_twice, &gate);
	queue_end();
	AWAIT(tally_of(&n_in) == 5);
	engine_stop();
}

/* ---- cancelling, and circles ---- */

static rota_id servants[2];
static rota_id gates[2];

/* Waits for a gate, then asks the table. */
static int act_gate_and_ask(void *arg)
{
	size_t i = (size_t)(uintptr_t)arg;
	struct query query = {act_slow, NULL};

	tally_add(&n_in, 1);
	rota_join(gates[i], ROTA_FOREVER, NULL);
	if (i == 1)
		return 0;
	return -rota_ask(table, GET, &query, sizeof(query), NULL, 0,
			 ROTA_FOREVER);
}

/* Asks a servant, which waits. */
static int act_ask_servant(void *arg)
{
	size_t i = (size_t)(uintptr_t)arg;
	struct query query = {act_gate_and_ask, arg};
	uint64_t value;

	return -rota_ask(servants[i], GET, &query, sizeof(query), &value,
			 sizeof(value), ROTA_FOREVER);
}

static void begin_circles(void)
{
	begin(2, 0);
	for (size_t i = 0; i < 2; i++) {
		servants[i] =
			spawn(&table_behaviour, &(struct table){0, NULL}, 0);
		gates[i] = puppet_spawn(NULL, 0);
	}
}

Test(reads, cancelling_one_cancels_what_it_asks, .timeout = HANG)
{
	begin_circles();
	queue_begin();
	ask(0, GET, act_ask_servant, (void *)0);
	ask(1, GET, act_ask_servant, (void *)1);
	queue_end();
	AWAIT(tally_of(&n_in) == 2);
	/* In whichever order they have begun to wait. */
	for (size_t i = 0; i < 2; i++)
		cr_assert_eq(rota_ask_cancel(&asking[i]), 0);
	/* Their own asks have ended: so they have, and the table goes on. */
	ask(2, GET, act_slow, NULL);
	cr_assert_eq(outcome(2), 0);
	rota_actor_stop(gates[0]);
	rota_actor_stop(gates[1]);
	quiesce();
	engine_stop();
}

Test(reads, a_circle_through_one_is_refused, .timeout = HANG)
{
	begin_circles();
	queue_begin();
	ask(0, GET, act_ask_servant, (void *)0);
	ask(1, GET, act_slow, NULL);
	queue_end();
	AWAIT(tally_of(&n_in) == 1);
	rota_actor_stop(gates[0]); /* now it asks the table */
	cr_assert_eq(outcome(0), EDEADLK, "passed on by both");
	cr_assert_eq(outcome(1), 0);
	engine_stop();
}

/* Whichever of the two has begun to wait last. */
Test(reads, a_circle_beside_another_wait_is_found, .timeout = HANG)
{
	begin_circles();
	queue_begin();
	ask(0, GET, act_ask_servant, (void *)0);
	ask(1, GET, act_ask_servant, (void *)1);
	queue_end();
	AWAIT(tally_of(&n_in) == 2);
	rota_actor_stop(gates[0]);
	cr_assert_eq(outcome(0), EDEADLK);
	cr_assert_eq(rota_ask_await(&asking[1], 1, 1, ROTA_NOW), -ETIMEDOUT);
	rota_actor_stop(gates[1]);
	cr_assert_eq(outcome(1), 0);
	engine_stop();
}

/* ---- what is no circle, and what is one in spite of others ---- */

/* A servant that has one of the queries in the table answered. */
static int act_ask_table(void *arg)
{
	struct query *query = arg;
	uint64_t value;

	return -rota_ask(table, GET | ROTA_QUERY, query, sizeof(*query), &value,
			 sizeof(value), ROTA_FOREVER);
}

/* A query that asks that servant, once the servant's own is as far as it is to
   be. */
struct beside {
	size_t n_in;
	struct flag asks;
};

static int act_ask_beside(void *arg)
{
	struct beside *beside = arg;
	uint64_t value;

	while (tally_of(&n_in) < beside->n_in)
		nap();
	flag_raise(&beside->asks);
	return -rota_ask(servants[0], BLANK, NULL, 0, &value, sizeof(value),
			 ROTA_FOREVER);
}

static struct rota_asking servants_asking;

static void have_servant_ask(const struct query *query)
{
	struct query all = {act_ask_table, (void *)(uintptr_t)query};

	cr_assert_eq(rota_ask_start(servants[0], GET, &all, sizeof(all), NULL,
				    0, ROTA_FOREVER, &servants_asking),
		     0);
	AWAIT(status_of(servants[0]).waits_for == ROTA_WAITS_FOR_ANSWER);
}

static void expect_no_circle(void)
{
	cr_assert_eq(outcome(0), 0);
	cr_assert_eq(rota_ask_await(&servants_asking, 1, 1, PATIENCE), 1);
	cr_assert_neq(servants_asking.outcome, EDEADLK);
}

/* The servant waits for one query, and the other one waits for the servant. */
Test(reads, who_is_answered_by_another_one_is_in_no_circle, .timeout = HANG)
{
	static struct beside beside = {.n_in = 1};
	struct query first = {act_meet, (void *)1};
	uint64_t waits;

	begin_circles();
	queue_begin();
	have_servant_ask(&first);
	ask(0, GET, act_ask_beside, &beside);
	waits = counters().waits;
	queue_end();
	AWAIT(flag_is_up(&beside.asks) && counters().waits > waits);
	for (int i = 0; i < 20; i++)
		nap();
	cr_assert_eq(rota_ask_await(&asking[0], 1, 1, ROTA_NOW), -ETIMEDOUT,
		     "refused, and could end");
	flag_raise(&go);
	expect_no_circle();
	engine_stop();
}

/* Likewise, and the query has mostly not begun: it is behind the other. */
Test(reads, who_is_to_be_answered_by_another_one_is_in_no_circle,
     .timeout = HANG)
{
	static struct beside beside = {.n_in = 0};
	struct query second = {act_slow, NULL};

	begin_circles();
	for (int i = 0; i < SIZED(50, 5); i++) {
		queue_begin();
		ask(0, GET, act_ask_beside, &beside);
		have_servant_ask(&second);
		queue_end();
		expect_no_circle();
	}
	engine_stop();
}

/* Waits for its gate. */
static int act_gate(void *arg)
{
	tally_add(&n_in, 1);
	rota_join(gates[(size_t)(uintptr_t)arg], ROTA_FOREVER, NULL);
	return 0;
}

/* Whichever of its queries has begun to wait last: one of them stands on a
   circle, and the other one does not end before that is found. */
Test(reads, a_circle_is_found_beside_a_wait_that_stays, .timeout = HANG)
{
	begin_circles();
	queue_begin();
	ask(0, GET, act_ask_servant, (void *)0);
	ask(1, GET, act_gate, (void *)1);
	ask(2, GET, act_gate, (void *)1);
	queue_end();
	AWAIT(tally_of(&n_in) == 3);
	rota_actor_stop(gates[0]); /* the servant asks the table: a circle */
	cr_assert_eq(outcome(0), EDEADLK);
	cr_assert_eq(rota_ask_await(&asking[1], 2, 1, ROTA_NOW), -ETIMEDOUT);
	rota_actor_stop(gates[1]);
	cr_assert_eq(outcome(1), 0);
	cr_assert_eq(outcome(2), 0);
	engine_stop();
}

static int act_pass_on(void *arg)
{
	struct query query = {act_slow, NULL};
	const rota_id *to = arg;

	rota_forward(0, *to, GET | ROTA_QUERY, &query, sizeof(query),
		     ROTA_FOREVER);
	return 0;
}

Test(reads, they_may_pass_on_what_they_are_asked, .timeout = HANG)
{
	rota_id source;

	begin(2, 0);
	source = spawn(&table_behaviour, &(struct table){33, NULL}, 0);
	queue_begin();
	for (size_t i = 0; i < 4; i++)
		ask(i, GET, act_pass_on, &source);
	queue_end();
	for (size_t i = 0; i < 4; i++) {
		cr_assert_eq(outcome(i), 0);
		cr_assert_eq(reply[i], 33);
	}
	engine_stop();
}

/* ---- no memory ---- */

static void *map(void *context, size_t size)
{
	struct flag *is_empty = context;
	char *wide, *block;

	if (flag_is_up(is_empty))
		return NULL;
	wide = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (wide == MAP_FAILED)
		return NULL;
	block = (char *)(((uintptr_t)wide + size - 1) / size * size);
	if (block > wide)
		munmap(wide, (size_t)(block - wide));
	munmap(block + size, (size_t)(wide + size - block));
	return block;
}

static void unmap(void *context, void *block, size_t size)
{
	(void)context;
	munmap(block, size);
}

/* Nothing but a query that is offered needs memory then. */
static void use_up_memory(struct flag *is_empty)
{
	flag_raise(is_empty);
	while (rota_id_error(rota_spawn(engine, &puppet_behaviour,
					&(struct puppet){NULL}, NULL)) == 0)
		;
}

Test(reads, without_memory_they_are_handled_alone, .timeout = HANG)
{
	struct rota_config config = test_config(2);
	struct flag is_empty = {0};

	config.allocator = (struct rota_allocator){map, unmap, &is_empty};
	engine = engine_make(&config);
	table = spawn(&table_behaviour, &(struct table){0, NULL}, 0);
	learn(GET);
	queue_begin();
	use_up_memory(&is_empty);
	for (size_t i = 0; i < 8; i++)
		ask(i, GET, act_slow, NULL);
	queue_end();
	for (size_t i = 0; i < 8; i++)
		cr_assert_eq(outcome(i), 0);
	cr_assert_eq(counters().queries, 0);
	engine_stop();
}

/* ---- the flag ---- */

Test(reads, the_flag_is_for_requests, .timeout = HANG)
{
	struct query query = {act_slow, NULL};
	uint64_t value;

	begin(2, 0);
	cr_assert_eq(send_value(table, SET | ROTA_QUERY, 1), -EINVAL);
	cr_assert_eq(rota_ask(table, ROTA_QUERY - 1, &query, sizeof(query),
			      &value, sizeof(value), ROTA_S(1)),
		     -EINVAL);
	cr_assert_eq(rota_ask(table, 2 * ROTA_QUERY, &query, sizeof(query),
			      &value, sizeof(value), ROTA_S(1)),
		     -EINVAL);
	cr_assert_eq(rota_ask(table, ROTA_QUERY | ROTA_TAG_CLOSURE, &query,
			      sizeof(query), &value, sizeof(value), ROTA_S(1)),
		     -EINVAL);
	cr_assert_eq(rota_ask(table, GET | ROTA_QUERY, &query, sizeof(query),
			      &value, sizeof(value), PATIENCE),
		     0);
	engine_stop();
}
