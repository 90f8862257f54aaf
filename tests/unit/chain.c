/* SPDX-License-Identifier: MIT */
/*
 * chain - can anybody tell that messages go out together?
 *
 * A handler that sends to the same actor again and again does so in chains. The
 * bound, the order, what is accepted and what becomes of it are as without; and
 * a handler that does not return hides its messages for a moment only.
 */
#include "core/chain.h"
#include "core/engine.h"

#include <rota/process.h>
#include <rota/wait.h>

#include "tests/unit/chains.h"

static void arrive_in_order(unsigned workers, unsigned mailbox)
{
	static struct expecting expecting;
	static const size_t n[] = {1, 2,  3,  4,  5,
				   8, 63, 64, 65, SIZED(5000, 500)};
	struct burst burst;
	rota_id sender, to;

	engine_start_with(workers, ROTA_CHAINS);
	sender = puppet_spawn(NULL, 0);
	for (size_t i = 0; i < sizeof(n) / sizeof(n[0]); i++) {
		to = expecting_spawn(&expecting, mailbox);
		burst = burst_of(to, n[i], &expecting);
		ACTS(sender, act_burst, &burst);
		quiesce();
		cr_assert_eq(burst.accepted, n[i]);
		cr_assert_eq(tally_of(&expecting.n), n[i]);
		cr_assert_eq(tally_of(&expecting.n_wrong), 0);
	}
	cr_assert_eq(n_dead(), 0);
	/* Chains need room, and nobody else takes it with one worker. */
	if (workers == 1 && mailbox >= 64)
		cr_assert_gt(counters().chained, 0, "%u", mailbox);
	if (mailbox < 4)
		cr_assert_eq(counters().chained, 0, "%u", mailbox);
	engine_stop();
}

Test(chain, all_arrive_in_order, .timeout = HANG)
{
	static const unsigned mailbox[] = {1, 7, 8, 9, 64, 1000, 32767};

	for (unsigned workers = 1; workers <= 64; workers *= 8)
		for (size_t i = 0; i < sizeof(mailbox) / sizeof(mailbox[0]);
		     i++)
			arrive_in_order(workers, mailbox[i]);
}

/* ---- the bound ---- */

/* What one handler may send without waiting is what there is room for. */
static void bound_is_exact(unsigned workers, unsigned mailbox)
{
	static struct expecting expecting;
	struct hold hold = {.gate = 0};
	struct burst burst;
	rota_id sender, to;

	engine_start_with(workers, ROTA_CHAINS);
	sender = puppet_spawn(NULL, 0);
	to = expecting_spawn(&expecting, mailbox);
	hold_start(&hold, to); /* counts as one */
	burst = burst_of(to, 100000, &expecting);
	burst.within = ROTA_NOW;
	ACTS(sender, act_burst, &burst);
	AWAIT(flag_is_up(&burst.ended));
	cr_assert_eq(burst.error, -EAGAIN);
	cr_assert_eq(burst.accepted, mailbox - 1, "%zu of %u", burst.accepted,
		     mailbox);
	/* Nor has the lease left anything behind. */
	cr_assert_eq(try_value(to, 1, 0), -EAGAIN);
	hold_end(&hold);
	quiesce();
	cr_assert_eq(tally_of(&expecting.n), mailbox - 1);
	cr_assert_eq(tally_of(&expecting.n_wrong), 0);
	hold_start(&hold, to);
	cr_assert_eq(fill(to, 1), mailbox - 1);
	hold_end(&hold);
	engine_stop();
}

Test(chain, bound_is_exact, .timeout = HANG)
{
	static const unsigned mailbox[] = {1,  2,  7,  8,   9,	 10,
					   20, 63, 64, 100, 300, 5000};

	for (size_t i = 0; i < sizeof(mailbox) / sizeof(mailbox[0]); i++)
		for (unsigned workers = 1; workers <= 2; workers++)
			bound_is_exact(workers, mailbox[i]);
}

/* ---- handlers that do not return ---- */

/* By the monitor's own thread; after how many of its ticks, see chain_look.c. */
static void seen_while(int (*then)(struct burst *), size_t n)
{
	static struct expecting expecting;
	static struct burst burst;
	rota_id to;

	engine_start_with(2, ROTA_CHAINS);
	to = expecting_spawn(&expecting, 64);
	burst = burst_of(to, n, &expecting);
	burst.then = then;
	ACTS(puppet_spawn(NULL, 0), act_burst, &burst);
	AWAIT(flag_is_up(&burst.sent));
	AWAIT(tally_of(&expecting.n) == n);
	flag_raise(&burst.go);
	AWAIT(flag_is_up(&burst.ended));
	quiesce();
	cr_assert_eq(tally_of(&expecting.n_wrong), 0);
	cr_assert_eq(n_dead(), 0);
	engine_stop();
}

static int then_spin(struct burst *burst)
{
	while (!flag_is_up(&burst->go))
		;
	return 0;
}

static int then_block(struct burst *burst)
{
	flag_block(&burst->go);
	return 0;
}

/* What it waits for is done by the receiver of what it sent. */
static int then_spin_for_receiver(struct burst *burst)
{
	while (tally_of(&burst->expecting->n) < burst->accepted)
		;
	return 0;
}

Test(chain, is_seen_while_its_sender_computes, .timeout = HANG)
{
	for (size_t n = 1; n < 50; n += 3)
		seen_while(then_spin, n);
}

Test(chain, is_seen_while_its_sender_blocks, .timeout = HANG)
{
	for (size_t n = 1; n < 50; n += 3)
		seen_while(then_block, n);
}

Test(chain, is_seen_by_a_receiver_that_its_sender_spins_for, .timeout = HANG)
{
	for (size_t n = 1; n < 50; n += 3)
		seen_while(then_spin_for_receiver, n);
}

/* ---- handlers that end otherwise ---- */

static int then_fail(struct burst *burst)
{
	(void)burst;
	return -EIO;
}

static int then_stop(struct burst *burst)
{
	(void)burst;
	return rota_self_stop(0);
}

static int then_wait(struct burst *burst)
{
	rota_id gate = puppet_spawn(NULL, 1);

	AWAIT(flag_is_up(&burst->go));
	return rota_join(gate, ROTA_MS(1), NULL) == -ETIMEDOUT ? 0 : -EIO;
}

/* It is stopped from outside while it stands still. */
static int then_be_killed(struct burst *burst)
{
	flag_block(&burst->go);
	return 0;
}

static void arrive_after(int (*then)(struct burst *), bool is_killed)
{
	static struct expecting expecting;
	static struct burst burst;
	rota_id sender, to;

	engine_start_with(2, ROTA_CHAINS);
	for (size_t n = 1; n < 60; n += 7) {
		sender = puppet_spawn(NULL, 0);
		to = expecting_spawn(&expecting, 64);
		burst = burst_of(to, n, &expecting);
		burst.then = then;
		ACTS(sender, act_burst, &burst);
		AWAIT(flag_is_up(&burst.sent));
		if (is_killed)
			cr_assert_eq(rota_actor_stop(sender), 0);
		flag_raise(&burst.go);
		quiesce();
		cr_assert_eq(tally_of(&expecting.n), n);
		cr_assert_eq(tally_of(&expecting.n_wrong), 0);
	}
	engine_stop();
}

Test(chain, arrives_if_its_sender_fails, .timeout = HANG)
{
	arrive_after(then_fail, false);
}

Test(chain, arrives_if_its_sender_stops, .timeout = HANG)
{
	arrive_after(then_stop, false);
}

Test(chain, arrives_if_its_sender_waits, .timeout = HANG)
{
	arrive_after(then_wait, false);
}

Test(chain, arrives_if_its_sender_is_stopped, .timeout = HANG)
{
	arrive_after(then_be_killed, true);
}

/* ---- receivers that end ---- */

struct ending {
	struct burst burst;
	bool drains;
};

/* The receiver's handler: ends the receiver while a chain is on its way. */
static int act_end(void *arg)
{
	const struct ending *ending = arg;

	return ending->drains ? rota_self_drain() : rota_self_stop(0);
}

/* Sends some, tells the receiver to end, sends more: all in one handler. */
static int act_burst_at_an_end(void *arg)
{
	struct ending *ending = arg;
	struct burst *burst = &ending->burst;

	ACTS(burst->to, act_end, ending);
	return act_burst(burst);
}

static void conserved_at_an_end(unsigned workers, bool drains)
{
	static struct expecting expecting;
	static struct ending ending;
	uint64_t accepted = 0;
	rota_id sender;

	engine_start_with(workers, ROTA_CHAINS);
	sender = puppet_spawn(NULL, 0);
	for (size_t n = 1; n < 400; n += 3) {
		ending.drains = drains;
		ending.burst =
			burst_of(expecting_spawn(&expecting, 1000), n, NULL);
		ACTS(sender, act_burst_at_an_end, &ending);
		AWAIT(flag_is_up(&ending.burst.ended));
		accepted += 2 + ending.burst.accepted;
		quiesce();
		cr_assert_eq(tally_of(&expecting.n_wrong), 0);
		if (drains)
			cr_assert_eq(tally_of(&expecting.n),
				     ending.burst.accepted);
	}
	expect_conserved(accepted);
	engine_stop();
}

Test(chain, is_conserved_where_its_receiver_stops, .timeout = HANG)
{
	conserved_at_an_end(1, false);
	memset(morgue.n, 0, sizeof(morgue.n));
	conserved_at_an_end(2, false);
}

Test(chain, is_handled_where_its_receiver_drains, .timeout = HANG)
{
	conserved_at_an_end(1, true);
	conserved_at_an_end(2, true);
}

/* ---- order among three ---- */

struct relay {
	rota_id to;
	uint64_t value;
};

static int act_relay(void *arg)
{
	struct relay *relay = arg;

	return send_value(relay->to, 1, relay->value);
}

struct causal {
	struct burst burst;
	struct relay relay;
	rota_id third;
};

/* Tells B often, then tells C, which tells B. */
static int act_causal(void *arg)
{
	struct causal *causal = arg;

	act_burst(&causal->burst);
	ACTS(causal->third, act_relay, &causal->relay);
	for (volatile int i = 0; i < 3000; i++)
		;
	return 0;
}

static void order_is_causal(unsigned workers)
{
	static struct expecting expecting;
	static struct causal causal;
	rota_id sender;

	engine_start_with(workers, ROTA_CHAINS);
	sender = puppet_spawn(NULL, 0);
	causal.third = puppet_spawn(NULL, 0);
	for (size_t n = 1; n < 300; n++) {
		rota_id to = expecting_spawn(&expecting, 1000);

		causal.burst = burst_of(to, n, NULL);
		causal.relay = (struct relay){to, n};
		ACTS(sender, act_causal, &causal);
		quiesce();
		cr_assert_eq(tally_of(&expecting.n), n + 1);
		cr_assert_eq(tally_of(&expecting.n_wrong), 0, "after %zu", n);
	}
	engine_stop();
}

Test(chain, order_is_causal, .timeout = HANG)
{
	order_is_causal(1);
	order_is_causal(2);
	order_is_causal(64);
}

/* ---- callbacks for what nobody takes ---- */

/* The dead of a chain that is closed in a call of a handler are passed on, by
   more messages than it takes to open another. */
#define PASSED_ON 8

static rota_id successor;
static struct tally n_told, n_receives;

static void pass_on(void *context, const struct rota_dead_letter *letter)
{
	struct rota_received received;
	int error;

	(void)context;
	/* By the receiver's end, and by whoever has called us. */
	error = rota_receive(NULL, ROTA_NOW, &received);
	if (error != -ESHUTDOWN && error != -EPERM)
		tally_add(&n_receives, 1);
	for (uint64_t i = 0; i < PASSED_ON; i++)
		cr_assert_eq(rota_try_send(successor, 1, &letter->tag,
					   sizeof(letter->tag)),
			     0);
	tally_add(&n_told, 1);
}

static struct flag counts; /* what it gets it finds there, and counts */

static int count_handle(void *state, unsigned tag, void *payload, size_t length)
{
	(void)tag;
	(void)payload;
	(void)length;
	flag_block(&counts);
	tally_add(*(struct tally **)state, 1);
	return 0;
}

static const struct rota_behaviour count_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "count",
	.state_size = sizeof(struct tally *),
	.handle = count_handle,
};

struct dying {
	struct flag begun; /* the receiver stands still ... */
	struct flag go;	   /* ... until it ends */
	rota_id id;
	size_t n_sent; /* to it, behind @sleeps */
	struct flag sleeps;
};

static int act_die(void *arg)
{
	struct dying *dying = arg;

	flag_raise(&dying->begun);
	AWAIT(flag_is_up(&dying->go));
	return rota_self_stop(0);
}

/* The chain is open as its receiver ends; then we wait, for as long as it takes. */
static int act_chain_and_sleep(void *arg)
{
	struct dying *dying = arg;

	while (!((const struct local *)worker_current)->chain.is_open) {
		cr_assert_eq(rota_send(dying->id, 1, NULL, 0), 0);
		dying->n_sent++;
	}
	cr_assert_eq(rota_send(dying->id, 1, NULL, 0), 0);
	dying->n_sent++;
	flag_raise(&dying->go);
	/* Those before the chain are told by the receiver's end, and so is it if
	   the monitor was faster. */
	AWAIT(tally_of(&n_told) >= dying->n_sent - 1);
	flag_raise(&dying->sleeps);
	return rota_sleep(PATIENCE);
}

Test(chain, of_a_callback_goes_out_before_a_wait, .timeout = HANG)
{
	static struct dying dying;
	static struct tally n_counted, *counted = &n_counted;
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	struct rota_config config = test_config(2);
	rota_id sender;

	config.flags = ROTA_CHAINS;
	config.dead_letter = pass_on;
	engine = engine_make(&config);
	/* Elsewhere: its turns are not to end the chain by the way. */
	options.flags = ROTA_OWN_THREAD;
	options.mailbox = 1000;
	successor = rota_spawn(engine, &count_behaviour, &counted, &options);
	cr_assert_eq(rota_id_error(successor), 0);
	cr_assert_eq(send_value(successor, 1, 0), 0);
	dying.id = puppet_spawn(NULL, 100);
	ACTS(dying.id, act_die, &dying);
	AWAIT(flag_is_up(&dying.begun));
	sender = puppet_spawn(NULL, 0);
	ACTS(sender, act_chain_and_sleep, &dying);
	AWAIT(flag_is_up(&dying.sleeps));
	AWAIT(tally_of(&n_told) == dying.n_sent);
	flag_raise(&counts);
	/* It sleeps on, and holds nothing back. */
	AWAIT(tally_of(&n_counted) == 1 + dying.n_sent * PASSED_ON);
	cr_assert_eq(tally_of(&n_receives), 0);
	cr_assert_eq(rota_actor_stop(sender), 0);
	engine_stop();
}

/* ---- and ends with the function that has opened it ---- */

/* Of a handler of several in one turn, and of a callback in between. */
enum { BEGIN, SENDS, UNKNOWN, LOOKS };

static struct tally n_sent, n_opened, n_left_open;
static rota_id chained_to;

static const struct local *own(void)
{
	return (const struct local *)worker_current;
}

/* After so many, whatever has not paid before. */
#define OPENS_AT_LAST (CHAIN_LAST + 3)

static void open_one(void)
{
	const struct chain *chain = &own()->chain;
	uint64_t i = 0;

	while (!chain->is_open && i < OPENS_AT_LAST) {
		cr_assert_eq(rota_send(chained_to, 1, &i, sizeof(i)), 0);
		i++;
	}
	tally_add(&n_sent, i);
	tally_add(&n_opened, chain->is_open || !own()->worker.has_hand);
}

static void open_for_the_dead(void *context,
			      const struct rota_dead_letter *letter)
{
	(void)context;
	(void)letter;
	open_one();
}

static int looking_handle(void *state, unsigned tag, void *payload,
			  size_t length)
{
	static const unsigned tags[] = {SENDS, LOOKS, UNKNOWN, LOOKS};

	(void)state;
	(void)payload;
	(void)length;
	if (own()->chain.is_open)
		tally_add(&n_left_open, 1);
	switch (tag) {
	case BEGIN: /* so that they come in one batch */
		for (unsigned i = 0; i < 4; i++)
			cr_assert_eq(rota_send(rota_self(), tags[i], NULL, 0),
				     0);
		return 0;
	case SENDS:
		open_one();
		return 0;
	case LOOKS:
		return 0;
	default:
		return ROTA_UNKNOWN;
	}
}

static const struct rota_behaviour looking_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "looking",
	.handle = looking_handle,
};

static void one_by_one(rota_id id, unsigned tag)
{
	cr_assert_eq(rota_send(id, tag, NULL, 0), 0);
	quiesce();
}

Test(chain, is_not_left_open, .timeout = HANG)
{
	static struct expecting expecting;
	struct rota_config config = test_config(1);
	rota_id id;

	config.flags = ROTA_CHAINS;
	config.dead_letter = open_for_the_dead;
	engine = engine_make(&config);
	chained_to = expecting_spawn(&expecting, 1000);
	id = spawn(&looking_behaviour, NULL, 0);
	one_by_one(id, BEGIN);
	cr_assert_eq(tally_of(&n_opened), 2);
	/* Alone, where they lie in the mailbox. */
	one_by_one(id, SENDS);
	one_by_one(id, LOOKS);
	cr_assert_eq(tally_of(&n_opened), 3);
	cr_assert_eq(tally_of(&n_left_open), 0);
	cr_assert_eq(tally_of(&expecting.n), tally_of(&n_sent));
	engine_stop();
}
