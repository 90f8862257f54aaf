/* SPDX-License-Identifier: MIT */
/*
 * room - waits for room against deadlines, stops and ends
 *
 * Whatever ends a wait, the result and the receiver agree: a send that returned
 * 0 was delivered once, one that returned an error never. Each message is a
 * number of its own; who handled it makes a mark for it.
 */
#include "tests/unit/support.h"

static unsigned char *marks; /* per message: how often it was handled */

static int mark_handle(void *state, unsigned tag, void *payload, size_t length)
{
	(void)state;
	(void)tag;
	marks[value_at(payload, length)]++;
	return 0;
}

static const struct rota_behaviour mark_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "mark",
	.handle = mark_handle,
};

struct hopeful {
	rota_id to;
	uint64_t first;
	uint64_t n;
	uint64_t random;
	int64_t patience; /* the longest it waits */
	struct flag begun;
	signed char *result; /* per message: 0 or an error's number */
	struct tally *accepted;
	struct tally *timed_out;
	struct tally *cancelled;
};

static int act_hope(void *arg)
{
	struct hopeful *h = arg;

	flag_raise(&h->begun);
	for (uint64_t i = h->first; i < h->first + h->n; i++) {
		int64_t within = (int64_t)(next_random(&h->random) %
					   (uint64_t)h->patience);
		int error = rota_send_within(h->to, 1, &i, sizeof(i), within);

		h->result[i] = (signed char)-error;
		if (!error)
			tally_add(h->accepted, 1);
		if (error == -ETIMEDOUT)
			tally_add(h->timed_out, 1);
		if (error == -ECANCELED) {
			tally_add(h->cancelled, 1);
			break;
		}
	}
	return 0;
}

static void *thread_hope(void *arg)
{
	act_hope(arg);
	return NULL;
}

static bool is_refusal(int error)
{
	return error == EAGAIN || error == ETIMEDOUT || error == ECANCELED ||
	       error == ESRCH || error == ESHUTDOWN;
}

#define HOPEFULS 24

struct hope {
	unsigned flags; /* of those that are actors */
	struct hopeful one[HOPEFULS];
	rota_id id[HOPEFULS]; /* ROTA_NONE: a thread */
	pthread_t thread[HOPEFULS];
	signed char *result;
	struct tally accepted;
	struct tally timed_out;
	struct tally cancelled;
};

static rota_id hopeful_spawn(unsigned flags)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	rota_id id;

	options.mailbox = 1;
	options.flags = flags;
	id = rota_spawn(engine, &puppet_behaviour, NULL, &options);
	cr_assert_eq(rota_id_error(id), 0);
	return id;
}

static void hope_start(struct hope *hope, rota_id to, uint64_t n,
		       int64_t patience)
{
	marks = calloc(n * HOPEFULS, 1);
	hope->result = calloc(n * HOPEFULS, 1);
	memset(hope->result, -1, n * HOPEFULS); /* was never sent */
	for (size_t i = 0; i < HOPEFULS; i++) {
		hope->one[i] = (struct hopeful){
			.to = to,
			.first = i * n,
			.n = n,
			.random = i + 1,
			.patience = patience,
			.result = hope->result,
			.accepted = &hope->accepted,
			.timed_out = &hope->timed_out,
			.cancelled = &hope->cancelled,
		};
		if (i % 4) {
			hope->id[i] = hopeful_spawn(hope->flags);
			ACTS(hope->id[i], act_hope, &hope->one[i]);
		} else {
			hope->thread[i] =
				thread_start(thread_hope, &hope->one[i]);
		}
	}
}

/* @lost: messages may have been accepted and become dead letters. */
static void hope_end(struct hope *hope, uint64_t n, bool lost)
{
	uint64_t handled = 0;

	for (size_t i = 0; i < HOPEFULS; i += 4)
		thread_join(hope->thread[i]);
	quiesce();
	for (uint64_t i = 0; i < n * HOPEFULS; i++) {
		handled += marks[i];
		cr_assert_leq(marks[i], 1, "message %" PRIu64 " twice", i);
		if (marks[i])
			cr_assert_eq(hope->result[i], 0,
				     "message %" PRIu64 " refused, handled", i);
		else if (hope->result[i] == 0)
			cr_assert(lost, "message %" PRIu64 " was lost", i);
		else if (hope->result[i] != -1)
			cr_assert(is_refusal(hope->result[i]), "error %d",
				  hope->result[i]);
	}
	cr_assert_eq(handled + n_dead(), tally_of(&hope->accepted));
	free(marks);
	free(hope->result);
}

static void deadlines(unsigned flags, unsigned workers, unsigned capacity,
		      int64_t patience, uint64_t n)
{
	static struct hope hope;

	hope.flags = flags;
	engine_start(workers);
	hope_start(&hope, spawn(&mark_behaviour, NULL, capacity), n, patience);
	hope_end(&hope, n, false);
	cr_assert_eq(n_dead(), 0);
	engine_stop();
}

/* Deadlines about as long as it takes to get room: both come to pass. */
Test(room, or_deadline_first_but_never_both, .timeout = STRESS)
{
	deadlines(0, 2, 1, ROTA_US(60), check_stress(8000));
}

Test(room, or_deadline_first_on_64_workers, .timeout = STRESS)
{
	deadlines(0, 64, 2, ROTA_US(100), check_stress(5000));
}

Test(room, or_deadline_first_on_one_worker, .timeout = STRESS)
{
	deadlines(0, 1, 1, ROTA_US(60), check_stress(8000));
}

Test(room, or_deadline_first_for_who_moves, .timeout = STRESS)
{
	deadlines(ROTA_ANYWHERE, 2, 1, ROTA_US(60), check_stress(8000));
}

Test(room, or_deadline_first_for_who_moves_among_64, .timeout = STRESS)
{
	deadlines(ROTA_ANYWHERE, 64, 2, ROTA_US(100), check_stress(5000));
}

/* The senders are stopped one after the other while they wait; half of the time
   they are such as move. */
Test(room, or_stop_first_but_never_both, .timeout = STRESS)
{
	unsigned long rounds = check_stress(70);
	uint64_t n = 3000;

	for (unsigned long round = 0; round < rounds; round++) {
		struct hope *hope = calloc(1, sizeof(*hope));
		uint64_t random = round + 1;

		hope->flags = round % 2 ? ROTA_ANYWHERE : 0;
		engine_start(2);
		hope_start(hope, spawn(&mark_behaviour, NULL, 1), n,
			   ROTA_MS(100));
		for (size_t i = 0; i < HOPEFULS; i++) {
			if (i % 4 == 0)
				continue;
			AWAIT(flag_is_up(&hope->one[i].begun));
			for (volatile uint64_t j = next_random(&random) % 2000;
			     j; j--)
				;
			cr_assert_eq(rota_actor_stop(hope->id[i]), 0);
		}
		hope_end(hope, n, false);
		engine_stop();
		free(hope);
	}
}

/* The receiver ends under them, half of the time under some that move. */
static void receiver_ends(bool is_drained)
{
	unsigned long rounds = check_stress(200);
	uint64_t n = 500;

	for (unsigned long round = 0; round < rounds; round++) {
		struct hope *hope = calloc(1, sizeof(*hope));
		rota_id to;

		hope->flags = round % 2 ? ROTA_ANYWHERE : 0;
		engine_start(2);
		for (int i = 0; i < ROTA_DEAD_CAUSES; i++)
			AO_store(&morgue.n[i].n, 0);
		to = spawn(&mark_behaviour, NULL, 1 + (unsigned)round % 3);
		hope_start(hope, to, n, ROTA_MS(100));
		AWAIT(tally_of(&hope->accepted) > round % 100);
		cr_assert_eq(is_drained ? rota_actor_drain(to)
					: rota_actor_stop(to),
			     0);
		cr_assert_eq(rota_join(to, PATIENCE, NULL), 0);
		cr_assert_eq(send_value(to, 1, 0), -ESRCH);
		hope_end(hope, n, !is_drained);
		if (is_drained)
			cr_assert_eq(n_dead(), 0);
		engine_stop();
		free(hope);
	}
}

Test(room, ends_with_a_receiver_that_is_stopped, .timeout = STRESS)
{
	receiver_ends(false);
}

Test(room, ends_with_a_receiver_that_is_drained, .timeout = STRESS)
{
	receiver_ends(true);
}
