/* SPDX-License-Identifier: MIT */
/*
 * call - actors that ask the next ones, each called by who asks it
 *
 * Each asks only those behind it, so that there are no circles, and many can wait
 * without a time. Whoever is asked answers at once, or asks others first, or
 * waits, or has the request answered later or by another; some are stopped
 * meanwhile, and some ask with little time. Most begin as calls (see
 * sched/call.h), and stop being calls in every way there is. Each ask has to
 * end with an outcome that there is and the answer to its own request, and the
 * engine's check at its end finds what is lost.
 */
#include <rota/ask.h>
#include <rota/wait.h>

#include "sched/call.h"
#include "tests/unit/quick.h"

#include "tests/unit/support.h"

enum { ASKED = 1, GO, SETTLE };

#define N_KNOTS 12
#define N_ROOTS check_stress(40000)
#define REFUSED 5 /* an outcome of ours */

static AO_t knots[N_KNOTS]; /* their ids: replaced as they are stopped */
static struct tally n_wrong, n_called, n_answered, n_failed;

struct knot {
	size_t i;
	uint64_t random;
	rota_token token; /* taken, or 0 */
	uint64_t value;
};

static void wrong(const char *what, int result)
{
	fprintf(stderr, "# %s: %d\n", what, result);
	tally_add(&n_wrong, 1);
}

/* Behind number i. */
static rota_id one_behind(size_t i, uint64_t *random)
{
	size_t n = N_KNOTS - 1 - i;

	return AO_load_acquire(&knots[i + 1 + next_random(random) % n]);
}

static int64_t some_time(uint64_t *random)
{
	static const int64_t times[] = {ROTA_FOREVER, ROTA_FOREVER,
					ROTA_DEFAULT, ROTA_US(30), ROTA_MS(1)};

	return times[next_random(random) % 5];
}

static void judge(int outcome, uint64_t value, uint64_t reply)
{
	switch (outcome) {
	case 0:
		if (reply != ~value)
			wrong("the answer to another request", 0);
		tally_add(&n_answered, 1);
		return;
	case REFUSED:
	case -ETIMEDOUT:
	case -ESRCH:
	case -ECONNRESET:
	case -ECANCELED:
	case -EPIPE:
	case -ESHUTDOWN:
		tally_add(&n_failed, 1);
		return;
	default:
		wrong("an outcome", outcome);
	}
}

static void ask(struct knot *knot)
{
	uint64_t value = next_random(&knot->random), reply = 0;
	rota_id to = one_behind(knot->i, &knot->random);
	int outcome;

	seem_quick(to);
	outcome = rota_ask(to, ASKED, &value, sizeof(value), &reply,
			   sizeof(reply), some_time(&knot->random));
	judge(outcome, value, reply);
}

/* What was taken before is answered, or dropped. */
static void settle(struct knot *knot)
{
	rota_token token = knot->token;
	uint64_t reply = ~knot->value;

	knot->token = 0;
	if (!token)
		return;
	if (next_random(&knot->random) % 4 == 0)
		rota_reply_drop(token);
	else
		rota_reply(token, 0, &reply, sizeof(reply));
}

static int answer_later(struct knot *knot, uint64_t value)
{
	int error;

	settle(knot);
	error = rota_reply_later(&knot->token);
	if (error)
		return rota_answer(-error, NULL, 0);
	knot->value = value;
	if (rota_send(rota_self(), SETTLE, NULL, 0) != 0 ||
	    next_random(&knot->random) % 2 == 0)
		settle(knot);
	return ROTA_LATER;
}

static int pass_on(struct knot *knot, uint64_t value)
{
	int error = rota_forward(0, one_behind(knot->i, &knot->random), ASKED,
				 &value, sizeof(value), ROTA_US(100));

	return error ? rota_answer(REFUSED, NULL, 0) : ROTA_LATER;
}

static int serve(struct knot *knot, uint64_t value)
{
	uint64_t *random = &knot->random, reply = ~value;
	bool is_last = knot->i == N_KNOTS - 1;

	if (worker_n_callers(&local_here()->worker) > 0)
		tally_add(&n_called, 1);
	for (uint64_t i = is_last ? 0 : next_random(random) % 3; i > 0; i--)
		ask(knot);
	switch (next_random(random) % 12) {
	case 0:
		rota_yield();
		break;
	case 1:
		rota_sleep(ROTA_US(10));
		break;
	case 2:
		return answer_later(knot, value);
	case 3:
		if (rota_is_cancelled())
			return rota_answer(REFUSED, NULL, 0);
		break;
	case 4:
		if (!is_last)
			return pass_on(knot, value);
		break;
	default:
		break;
	}
	return rota_answer(0, &reply, sizeof(reply));
}

static int knot_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct knot *knot = state;

	switch (tag) {
	case ASKED:
		return serve(knot, value_at(payload, length));
	case SETTLE:
		settle(knot);
		return 0;
	default:
		ask(knot);
		return 0;
	}
}

static const struct rota_behaviour knot_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "knot",
	.state_size = sizeof(struct knot),
	.handle = knot_handle,
};

static void tie(size_t i, uint64_t seed)
{
	struct knot knot = {.i = i, .random = seed + 1};

	AO_store_release(&knots[i], spawn(&knot_behaviour, &knot, 0));
}

static void everybody_asks(unsigned workers)
{
	uint64_t random = workers;

	engine_start(workers);
	for (size_t i = 0; i < N_KNOTS; i++)
		tie(i, i);
	for (size_t i = 0; i < N_ROOTS; i++) {
		rota_send(AO_load_acquire(
				  &knots[next_random(&random) % (N_KNOTS - 1)]),
			  GO, NULL, 0);
		if (i % 64 == 63) {
			size_t old = i / 64 % N_KNOTS;

			rota_actor_stop(AO_load_acquire(&knots[old]));
			tie(old, i);
		}
	}
	quiesce();
	cr_assert_eq(tally_of(&n_wrong), 0);
	cr_assert_gt(tally_of(&n_answered), 0);
	cr_assert_gt(tally_of(&n_called), 0);
	fprintf(stderr, "# %zu answered, %zu failed, %zu called\n",
		tally_of(&n_answered), tally_of(&n_failed),
		tally_of(&n_called));
	engine_stop();
}

Test(call, everybody_asks_on_1_worker, .timeout = STRESS)
{
	everybody_asks(1);
}

Test(call, everybody_asks_on_2_workers, .timeout = STRESS)
{
	everybody_asks(2);
}

Test(call, everybody_asks_on_64_workers, .timeout = STRESS)
{
	everybody_asks(64);
}
