/* SPDX-License-Identifier: MIT */
/*
 * ask - everybody asks, and everything that may happen to an ask does
 *
 * Servants answer at once, later (others have the token then), never, or pass
 * the request on; some are stopped meanwhile. Actors and threads ask them with
 * short times, one by one or several at a time, cancel some, leave some. Each
 * ask has to end with one of the outcomes that there are, an answer has to be
 * the one to its request, and memory for replies has to stay as it is once its
 * ask has ended. The engine's own check at its end finds what is lost.
 */
#include <sched.h>

#include <rota/ask.h>

#include "tests/unit/support.h"

enum { PLAIN = 1, GO, NOTICE };

#define N_SERVANTS 6
#define N_ASKERS SIZED(60, 12)
#define N_THREADS 3
#define N_ASKS SIZED(300, 40)
#define SEVERAL 5
#define UNTOUCHED UINT64_C(0xa5a5a5a5a5a5a5a5)

static AO_t servants[N_SERVANTS]; /* their ids: replaced as they are stopped */
static struct tally n_wrong, n_answered, n_failed, n_then, n_notices, n_done;

static void wrong(const char *what, int result)
{
	fprintf(stderr, "# %s: %d\n", what, result);
	tally_add(&n_wrong, 1);
}

static rota_id some_servant(uint64_t *random)
{
	return AO_load_acquire(&servants[next_random(random) % N_SERVANTS]);
}

/* ---- servants ---- */

struct servant {
	uint64_t random;
	rota_token token; /* taken, or 0 */
	uint64_t value;
};

/* The answer to a request says which one it was. */
static int give(rota_token token, uint64_t value)
{
	value = ~value;
	return token ? rota_reply(token, 0, &value, sizeof(value))
		     : rota_answer(0, &value, sizeof(value));
}

/* What was taken before is answered, dropped, or passed on. */
static void settle(struct servant *servant)
{
	rota_token token = servant->token;

	servant->token = 0;
	if (!token)
		return;
	switch (next_random(&servant->random) % 4) {
	case 0:
		rota_reply_drop(token);
		break;
	case 1:
		if (rota_forward(token, some_servant(&servant->random), PLAIN,
				 &servant->value, sizeof(servant->value),
				 ROTA_NOW) == 0)
			break;
		/* fall through */
	default:
		give(token, servant->value);
		/* Twice, and late. */
		if (give(token, servant->value) != -EALREADY)
			wrong("second answer", 0);
	}
}

static int servant_handle(void *state, unsigned tag, void *payload,
			  size_t length)
{
	struct servant *servant = state;
	uint64_t value = value_at(payload, length);

	(void)tag;
	settle(servant);
	switch (next_random(&servant->random) % 8) {
	case 0:
		return 77;
	case 1:
	case 2:
		servant->value = value;
		if (rota_reply_later(&servant->token) == 0)
			return ROTA_LATER;
		servant->token = 0;
		return 77;
	case 3:
		if (rota_forward(0, some_servant(&servant->random), PLAIN,
				 &value, sizeof(value), ROTA_NOW) == 0)
			return ROTA_LATER;
		return 77;
	case 4:
		sched_yield();
		return give(0, value);
	default:
		return give(0, value);
	}
}

static const struct rota_behaviour servant_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "servant",
	.state_size = sizeof(struct servant),
	.handle = servant_handle,
};

static rota_id hire(uint64_t *random)
{
	struct servant servant = {.random = next_random(random)};

	return spawn(&servant_behaviour, &servant, 8);
}

/* ---- who asks ---- */

static void judge(int outcome, uint64_t value, uint64_t reply)
{
	if (outcome == 0 && reply != ~value)
		wrong("the answer to another request", 0);
	if (outcome != 0 && reply != UNTOUCHED)
		wrong("a reply beside a failure", outcome);
	tally_add(outcome == 0 ? &n_answered : &n_failed, 1);
	switch (outcome) {
	case 0:
	case 77:
	case -ESRCH:
	case -ESHUTDOWN:
	case -ETIMEDOUT:
	case -ECANCELED:
	case -EPIPE:
	case -ECONNRESET:
		return;
	default:
		wrong("outcome", outcome);
	}
}

static int64_t some_time(uint64_t *random)
{
	static const int64_t times[] = {1, ROTA_US(20), ROTA_US(100),
					ROTA_US(500), ROTA_MS(5)};

	return times[next_random(random) % 5];
}

static void ask_one(uint64_t *random)
{
	uint64_t value = next_random(random), reply = UNTOUCHED, seen;
	int outcome =
		rota_ask(some_servant(random), PLAIN, &value, sizeof(value),
			 &reply, sizeof(reply), some_time(random));

	seen = reply;
	sched_yield();
	judge(outcome, value, reply);
	if (reply != seen)
		wrong("a reply that changes", outcome);
}

static void ask_several(uint64_t *random)
{
	uint64_t value[SEVERAL], reply[SEVERAL];
	struct rota_asking asking[SEVERAL];
	size_t wanted = 1 + next_random(random) % SEVERAL;
	int n;

	for (size_t i = 0; i < SEVERAL; i++) {
		value[i] = next_random(random);
		reply[i] = UNTOUCHED;
		rota_ask_start(some_servant(random), PLAIN, &value[i],
			       sizeof(value[i]), &reply[i], sizeof(reply[i]),
			       some_time(random), &asking[i]);
	}
	n = rota_ask_await(asking, SEVERAL, wanted, some_time(random));
	if (n < (int)wanted && n != -ETIMEDOUT && n != -ECANCELED)
		wrong("await", n);
	for (size_t i = 0; i < SEVERAL; i++) {
		if (asking[i].token)
			rota_ask_cancel(&asking[i]);
		judge(asking[i].outcome, value[i], reply[i]);
	}
}

/* Left to the end of the handler, which then waits in vain for nothing. */
static void ask_and_leave(uint64_t *random)
{
	static uint64_t nowhere;
	struct rota_asking asking;
	uint64_t value = 1;

	rota_ask_start(some_servant(random), PLAIN, &value, sizeof(value),
		       &nowhere, sizeof(nowhere), ROTA_FOREVER, &asking);
}

static void ask_then(uint64_t *random)
{
	uint64_t value = next_random(random);

	if (rota_ask_then(some_servant(random), PLAIN, &value, sizeof(value),
			  some_time(random), NOTICE,
			  (void *)(uintptr_t)value) == 0)
		tally_add(&n_then, 1);
}

struct asker {
	uint64_t random;
	unsigned left;
};

static void note(const void *payload, size_t length)
{
	struct rota_notice notice;
	uint64_t reply = UNTOUCHED;

	memcpy(&notice, payload, sizeof(notice));
	if (notice.outcome == 0)
		reply = value_at((const char *)payload + sizeof(notice),
				 length - sizeof(notice));
	judge(notice.outcome, (uint64_t)(uintptr_t)notice.context, reply);
	tally_add(&n_notices, 1);
}

static int asker_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct asker *asker = state;
	uint64_t *random = &asker->random;

	if (tag == NOTICE) {
		note(payload, length);
		return 0;
	}
	switch (next_random(random) % 8) {
	case 0:
	case 1:
		ask_several(random);
		break;
	case 2:
		ask_and_leave(random);
		break;
	case 3:
		ask_then(random);
		break;
	default:
		ask_one(random);
	}
	if (--asker->left == 0) {
		tally_add(&n_done, 1);
		return 0;
	}
	return rota_send_urgent(rota_self(), GO, NULL, 0);
}

static const struct rota_behaviour asker_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "asker",
	.state_size = sizeof(struct asker),
	.handle = asker_handle,
};

static void *thread_asks(void *arg)
{
	uint64_t random = (uint64_t)(uintptr_t)arg;

	for (int i = 0; i < N_ASKS; i++) {
		if (next_random(&random) % 4)
			ask_one(&random);
		else
			ask_several(&random);
	}
	tally_add(&n_done, 1);
	return NULL;
}

/* ---- the scene ---- */

static void begin(unsigned workers, uint64_t *random, pthread_t *threads)
{
	engine_start(workers);
	for (size_t i = 0; i < N_SERVANTS; i++)
		AO_store_release(&servants[i], hire(random));
	for (size_t i = 0; i < N_ASKERS; i++) {
		struct asker asker = {next_random(random), N_ASKS};

		cr_assert_eq(rota_send(spawn(&asker_behaviour, &asker, 0), GO,
				       NULL, 0),
			     0);
	}
	for (size_t i = 0; i < N_THREADS; i++)
		threads[i] = thread_start(
			thread_asks,
			(void *)(uintptr_t)(next_random(random) | 1));
}

static void replace_one(uint64_t *random)
{
	size_t i = next_random(random) % N_SERVANTS;
	rota_id old = AO_load_acquire(&servants[i]);

	AO_store_release(&servants[i], hire(random));
	rota_actor_stop(old);
}

static void scene(unsigned workers)
{
	uint64_t random = 88172645463325252 + workers;
	pthread_t threads[N_THREADS];

	begin(workers, &random, threads);
	while (tally_of(&n_done) < (size_t)N_ASKERS + N_THREADS) {
		/* On a slow machine none would live until its first answer. */
		if (tally_of(&n_answered) > 0)
			replace_one(&random);
		nap();
	}
	for (size_t i = 0; i < N_THREADS; i++)
		thread_join(threads[i]);
	/* What is taken still, with no end of its time, is broken. */
	for (size_t i = 0; i < N_SERVANTS; i++)
		rota_actor_stop(AO_load_acquire(&servants[i]));
	quiesce();
	cr_assert_eq(tally_of(&n_wrong), 0);
	cr_assert_eq(tally_of(&n_notices), tally_of(&n_then));
	cr_assert_gt(tally_of(&n_answered), 0);
	cr_assert_gt(tally_of(&n_failed), 0);
	engine_stop();
}

Test(ask, everything_happens_on_1_worker, .timeout = STRESS)
{
	scene(1);
}

Test(ask, everything_happens_on_2_workers, .timeout = STRESS)
{
	scene(2);
}

Test(ask, everything_happens_on_64_workers, .timeout = STRESS)
{
	scene(64);
}

/* In the middle of all that. */
Test(ask, the_engine_stops, .timeout = STRESS)
{
	for (int i = 0; i < SIZED(10, 3); i++) {
		uint64_t random = 2463534242 + (uint64_t)i;
		pthread_t threads[N_THREADS];

		begin(2, &random, threads);
		for (int k = 0; k < i; k++)
			nap();
		engine_stop();
		for (size_t k = 0; k < N_THREADS; k++)
			thread_join(threads[k]);
		cr_assert_eq(tally_of(&n_wrong), 0);
	}
}
