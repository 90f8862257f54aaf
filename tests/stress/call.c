/* SPDX-License-Identifier: MIT */
/*
 * call - actors that ask one another, each called by who asks it
 *
 * Whoever is asked answers at once, or asks others first, or waits, or has the
 * request answered later or by another; some are stopped meanwhile, and some
 * ask with little time. Most begin as calls (see sched/call.h), and stop being
 * calls in every way there is. Each ask has to end with an outcome that there is
 * and the answer to its own request, and the engine's check at its end finds what
 * is lost.
 */
#include <rota/ask.h>
#include <rota/wait.h>

#include "sched/call.h"
#include "tests/unit/quick.h"

#include "tests/unit/support.h"

enum { ASKED = 1, GO, SETTLE };

#define N_KNOTS 12
#define N_ROOTS SIZED(4000, 200)
#define DEPTH 7
#define REFUSED 5 /* an outcome of ours */

static AO_t knots[N_KNOTS]; /* their ids: replaced as they are stopped */
static struct tally n_wrong, n_called, n_answered, n_failed;

struct knot {
	uint64_t random;
	rota_token token; /* taken, or 0 */
	uint64_t value;
};

struct question {
	uint64_t value;
	uint64_t hops;
};

static void wrong(const char *what, int result)
{
	fprintf(stderr, "# %s: %d\n", what, result);
	tally_add(&n_wrong, 1);
}

static rota_id some_knot(uint64_t *random)
{
	return AO_load_acquire(&knots[next_random(random) % N_KNOTS]);
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
	case -EDEADLK:
	case -EPIPE:
	case -ESHUTDOWN:
		tally_add(&n_failed, 1);
		return;
	default:
		wrong("an outcome", outcome);
	}
}

static void ask(uint64_t *random, uint64_t hops)
{
	struct question question = {next_random(random), hops};
	rota_id to = some_knot(random);
	uint64_t reply = 0;
	int outcome;

	seem_quick(to);
	outcome = rota_ask(to, ASKED, &question, sizeof(question), &reply,
			   sizeof(reply), some_time(random));
	judge(outcome, question.value, reply);
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
	rota_send(rota_self(), SETTLE, NULL, 0);
	if (next_random(&knot->random) % 2 == 0)
		settle(knot);
	return ROTA_LATER;
}

static int pass_on(struct knot *knot, const struct question *question)
{
	struct question next = {question->value, 0};
	int error = rota_forward(0, some_knot(&knot->random), ASKED, &next,
				 sizeof(next), ROTA_US(100));

	return error ? rota_answer(REFUSED, NULL, 0) : ROTA_LATER;
}

static int serve(struct knot *knot, const struct question *question)
{
	uint64_t *random = &knot->random, reply = ~question->value;

	if (worker_n_callers(&local_here()->worker) > 0)
		tally_add(&n_called, 1);
	for (uint64_t i = next_random(random) % 3; i > 0 && question->hops > 0;
	     i--)
		ask(random, question->hops - 1);
	switch (next_random(random) % 12) {
	case 0:
		rota_yield();
		break;
	case 1:
		rota_sleep(ROTA_US(10));
		break;
	case 2:
		return answer_later(knot, question->value);
	case 3:
		if (rota_is_cancelled())
			return rota_answer(REFUSED, NULL, 0);
		break;
	case 4:
		return question->hops > 0
			       ? pass_on(knot, question)
			       : rota_answer(0, &reply, sizeof(reply));
	default:
		break;
	}
	return rota_answer(0, &reply, sizeof(reply));
}

static int knot_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct knot *knot = state;
	struct question question;

	(void)length;
	switch (tag) {
	case ASKED:
		memcpy(&question, payload, sizeof(question));
		return serve(knot, &question);
	case SETTLE:
		settle(knot);
		return 0;
	default:
		ask(&knot->random, DEPTH);
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
	struct knot knot = {.random = seed + 1};

	AO_store_release(&knots[i], spawn(&knot_behaviour, &knot, 0));
}

static void everybody_asks(unsigned workers)
{
	uint64_t random = workers;

	engine_start(workers);
	for (size_t i = 0; i < N_KNOTS; i++)
		tie(i, i);
	for (size_t i = 0; i < N_ROOTS; i++) {
		rota_send(some_knot(&random), GO, NULL, 0);
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
