/* SPDX-License-Identifier: MIT */
/*
 * reply - answers that come later, or from somebody else
 */
#include <rota/host.h>
#include <rota/wait.h>

#include "tests/unit/asks.h"

static AO_t xtoken;

static int reply_value(rota_token token, uint64_t value)
{
	return rota_reply(token, 0, &value, sizeof(value));
}

/* ---- later ---- */

static void later(bool is_thread)
{
	struct asked a;
	rota_token token;
	rota_id id;

	engine_start(2);
	id = servant_spawn(0, &xtoken);
	a = asked_of(id, TAKES, 1);
	ask_by(&a, is_thread);
	token = await_token(&xtoken);
	/* The actor goes on with others meanwhile. */
	send_value(id, NOTHING, 0);
	AWAIT(tally_of(&n_begun) == 2);
	cr_assert_not(flag_is_up(&a.ended));
	cr_assert_eq(rota_reply_is_wanted(token), 1);
	cr_assert_eq(reply_value(token, 99), 0);
	cr_assert_eq(ask_result(&a, is_thread), 0);
	cr_assert_eq(a.reply, 99);
	cr_assert_eq(rota_reply_is_wanted(token), 0);
	cr_assert_eq(reply_value(token, 98), -EALREADY);
	cr_assert_eq(rota_reply_drop(token), -EALREADY);
	cr_assert_eq(a.reply, 99);
	engine_stop();
}

Test(reply, a_handler_may_be_answered_later, .timeout = HANG)
{
	later(false);
}

Test(reply, a_thread_may_be_answered_later, .timeout = HANG)
{
	later(true);
}

Test(reply, made_up_tokens_find_nothing, .timeout = HANG)
{
	engine_start(1);
	cr_assert_eq(rota_reply_drop(0), -ECANCELED);
	cr_assert_eq(rota_reply_drop((uint64_t)1 << 56), -EALREADY);
	cr_assert_eq(rota_reply_drop(((uint64_t)1 << 56) + 12345), -EALREADY);
	cr_assert_eq(rota_reply_drop(UINT64_MAX), -ECANCELED);
	cr_assert_eq(rota_reply_is_wanted(0), 0);
	cr_assert_eq(rota_reply_later(NULL), -EPERM);
	engine_stop();
}

static void dropped(bool is_thread)
{
	struct asked a;

	engine_start(2);
	a = asked_of(servant_spawn(0, &xtoken), TAKES, 1);
	ask_by(&a, is_thread);
	cr_assert_eq(rota_reply_drop(await_token(&xtoken)), 0);
	cr_assert_eq(ask_result(&a, is_thread), -EPIPE);
	cr_assert_eq(a.detail.progress, ROTA_ASK_SENT | ROTA_ASK_STARTED);
	engine_stop();
}

Test(reply, a_dropped_token_breaks_the_promise, .timeout = HANG)
{
	dropped(false);
}

Test(reply, a_dropped_token_breaks_the_promise_to_a_thread, .timeout = HANG)
{
	dropped(true);
}

/* One that is held, and that nobody waits for any more. */
static rota_token unwanted(rota_id id)
{
	struct rota_asking asking;
	uint64_t value = 1;
	rota_token token;

	AO_store_release(&xtoken, 0);
	cr_assert_eq(rota_ask_start(id, TAKES, &value, sizeof(value), NULL, 0,
				    ROTA_FOREVER, &asking),
		     0);
	token = await_token(&xtoken);
	cr_assert_eq(rota_ask_cancel(&asking), 0);
	return token;
}

/* ---- the end of who has taken tokens ---- */

#define MANY 40

struct holder {
	AO_t *xtoken; /* MANY of them */
	size_t n;
};

static int holder_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct holder *holder = state;
	rota_token token;

	(void)tag;
	(void)payload;
	(void)length;
	if (rota_reply_later(&token) != 0)
		return EIO;
	AO_store_release(&holder->xtoken[holder->n++], token);
	return ROTA_LATER;
}

static const struct rota_behaviour holder_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "holder",
	.state_size = sizeof(struct holder),
	.handle = holder_handle,
};

static AO_t held[MANY];

Test(reply, the_end_of_an_actor_breaks_its_promises, .timeout = HANG)
{
	static struct asked a[MANY];
	rota_id id;

	engine_start(2);
	id = spawn(&holder_behaviour, &(struct holder){held, 0}, 0);
	for (size_t i = 0; i < MANY; i++) {
		a[i] = asked_of(id, 1, i);
		ask_by(&a[i], false);
		await_token(&held[i]);
	}
	for (size_t i = 0; i < MANY; i += 3)
		cr_assert_eq(reply_value(held[i], i), 0);
	rota_actor_stop(id);
	for (size_t i = 0; i < MANY; i++) {
		int result = ask_result(&a[i], false);

		cr_assert_eq(result, i % 3 ? -EPIPE : 0);
		if (i % 3 == 0)
			cr_assert_eq(a[i].reply, i);
	}
	engine_stop();
}

/* Answered ones are swept out: the list stays short. */
Test(reply, an_actor_may_promise_for_ever, .timeout = HANG)
{
	uint64_t reply;
	rota_id id;

	engine_start(2);
	id = servant_spawn(0, &xtoken);
	for (uint64_t i = 0; i < 5000; i++) {
		struct rota_asking asking;

		AO_store_release(&xtoken, 0);
		cr_assert_eq(rota_ask_start(id, TAKES, &i, sizeof(i), &reply,
					    sizeof(reply), ROTA_FOREVER,
					    &asking),
			     0);
		cr_assert_eq(reply_value(await_token(&xtoken), i), 0);
		cr_assert_eq(rota_ask_await(&asking, 1, 1, PATIENCE), 1);
		cr_assert_eq(reply, i);
	}
	engine_stop();
}

static uint64_t memory_of_asks(void)
{
	return counters().memory_of[ROTA_MEMORY_ASKS];
}

/* Nor do those stay that nobody wants, and that are never answered. */
Test(reply, an_actor_may_forget_what_nobody_wants, .timeout = HANG)
{
	uint64_t before;
	rota_id id;

	engine_start(2);
	id = servant_spawn(0, &xtoken);
	unwanted(id);
	before = memory_of_asks();
	for (size_t i = 0; i < 12000; i++)
		cr_assert_not(rota_reply_is_wanted(unwanted(id)));
	cr_assert_eq(memory_of_asks(), before);
	cr_assert_eq(counters().late_replies, 0);
	engine_stop();
}

static int act_takes_and_stops(void *arg)
{
	rota_token *token = arg;

	rota_reply_later(token);
	rota_self_stop(3);
	return 7; /* means nothing: the token is gone */
}

Test(reply, who_takes_the_token_and_ends_breaks_the_promise, .timeout = HANG)
{
	struct act act;
	rota_token token = 0;

	engine_start(2);
	act = (struct act){act_takes_and_stops, &token};
	cr_assert_eq(rota_ask(servant_spawn(0, NULL), RUNS, &act, sizeof(act),
			      NULL, 0, ROTA_FOREVER),
		     -EPIPE);
	cr_assert_neq(token, 0);
	engine_stop();
}

/* Tokens are values: they may be sent to another actor, or end with the
   engine. */
Test(reply, the_engines_stop_breaks_promises, .timeout = HANG)
{
	struct asked a, b;

	engine_start(2);
	a = asked_of(servant_spawn(0, &xtoken), TAKES, 1);
	ask_in_thread(&a);
	await_token(&xtoken);
	AO_store_release(&xtoken, 0);
	b = asked_of(servant_spawn(0, &xtoken), TAKES, 1);
	ask_by(&b, false);
	await_token(&xtoken);
	await_sleep(&a.thread);
	engine_stop();
	cr_assert_eq(ask_thread_result(&a), -EPIPE);
	cr_assert(b.result == -EPIPE || b.result == -ECANCELED);
	cr_assert_eq(rota_reply_drop(xtoken), -ECANCELED);
}

/* ---- forward ---- */

struct post {
	rota_id to;
	unsigned tag;
	uint64_t value;
	int result;
	int again; /* the same once more */
	int asked; /* afterwards */
	struct flag ended;
};

static int act_forward(void *arg)
{
	struct post *post = arg;

	post->result = rota_forward(0, post->to, post->tag, &post->value,
				    sizeof(post->value), ROTA_FOREVER);
	post->asked = rota_is_asked();
	post->again = rota_forward(0, post->to, post->tag, &post->value,
				   sizeof(post->value), ROTA_FOREVER);
	flag_raise(&post->ended);
	return post->result == 0 ? ROTA_LATER : 11;
}

static int ask_forwarded(rota_id id, struct post *post, uint64_t *reply)
{
	struct act act = {act_forward, post};

	return rota_ask(id, RUNS, &act, sizeof(act), reply, sizeof(*reply),
			ROTA_FOREVER);
}

Test(reply, another_actor_answers_my_asker, .timeout = HANG)
{
	struct post post = {.tag = TWICE, .value = 8};
	uint64_t reply = 0;

	engine_start(2);
	post.to = servant_spawn(0, NULL);
	cr_assert_eq(ask_forwarded(servant_spawn(0, NULL), &post, &reply), 0);
	cr_assert_eq(reply, 16);
	quiesce();
	cr_assert_eq(post.result, 0);
	cr_assert_eq(post.asked, 0);
	cr_assert_eq(post.again, -EINVAL);
	engine_stop();
}

Test(reply, a_forward_that_fails_leaves_the_request, .timeout = HANG)
{
	struct post post = {.to = ROTA_NONE, .tag = TWICE, .value = 8};
	uint64_t reply = 0;

	engine_start(2);
	cr_assert_eq(ask_forwarded(servant_spawn(0, NULL), &post, &reply), 11);
	quiesce();
	cr_assert_eq(post.result, -ESRCH);
	cr_assert_eq(post.asked, 1);
	engine_stop();
}

Test(reply, a_token_may_be_forwarded_and_comes_back_on_failure, .timeout = HANG)
{
	uint64_t value = 4;
	rota_token token;
	struct asked a;
	rota_id id, other;

	engine_start(2);
	id = servant_spawn(0, &xtoken);
	other = servant_spawn(0, NULL);
	a = asked_of(id, TAKES, 1);
	ask_by(&a, true);
	token = await_token(&xtoken);
	cr_assert_eq(
		rota_forward(token, ROTA_NONE, TWICE, &value, 8, ROTA_FOREVER),
		-ESRCH);
	cr_assert_eq(rota_reply_is_wanted(token), 1);
	cr_assert_eq(rota_forward(token, other, TWICE, &value, 8, ROTA_FOREVER),
		     0);
	cr_assert_eq(ask_result(&a, true), 0);
	cr_assert_eq(a.reply, 8);
	cr_assert_eq(rota_forward(token, other, TWICE, &value, 8, ROTA_FOREVER),
		     -EALREADY);
	engine_stop();
}

/* What it has passed on is not its promise any more. */
Test(reply, who_forwards_a_token_may_end, .timeout = HANG)
{
	static AO_t xsecond;
	struct asked a;
	uint64_t value = 4;
	rota_id id;

	engine_start(2);
	id = servant_spawn(0, &xtoken);
	a = asked_of(id, TAKES, 1);
	ask_by(&a, false);
	cr_assert_eq(rota_forward(await_token(&xtoken),
				  servant_spawn(0, &xsecond), TAKES, &value, 8,
				  ROTA_FOREVER),
		     0);
	await_token(&xsecond);
	rota_actor_stop(id);
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
	cr_assert_eq(reply_value(xsecond, 12), 0);
	cr_assert_eq(ask_result(&a, false), 0);
	cr_assert_eq(a.reply, 12);
	engine_stop();
}

struct passing {
	rota_token token;
	rota_id to;
	struct tally thread;
	int result;
};

static void *thread_pass(void *arg)
{
	struct passing *passing = arg;
	uint64_t value = 4;

	tally_add(&passing->thread, (size_t)thread_number());
	passing->result = rota_forward(passing->token, passing->to, TWICE,
				       &value, sizeof(value), ROTA_FOREVER);
	return NULL;
}

static void stop_holder(rota_id id)
{
	rota_actor_stop(id);
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
}

/* Its handler does not return. */
static struct stall held_up;

static void abandon_holder(rota_id id)
{
	cr_assert_eq(rota_send(id, RUNS, &(struct act){act_stall, &held_up},
			       sizeof(struct act)),
		     0);
	AWAIT(flag_is_up(&held_up.begun));
	cr_assert_eq(rota_abandon_within(id, PATIENCE), 0);
}

/* Whose promise it was has ended while somebody tried to pass it on, in vain. */
static void comes_back_to_the_dead(void (*end)(rota_id id))
{
	struct passing passing = {.result = 0};
	struct hold hold = {0};
	pthread_t thread;
	struct asked a;
	rota_id id;

	engine_start(2);
	id = servant_spawn(0, &xtoken);
	a = asked_of(id, TAKES, 1);
	ask_in_thread(&a);
	passing.token = await_token(&xtoken);
	passing.to = servant_spawn(1, NULL);
	hold_start(&hold, passing.to); /* it is full */
	thread = thread_start(thread_pass, &passing);
	await_sleep(&passing.thread);
	end(id);
	cr_assert_not(flag_is_up(&a.ended));
	rota_actor_stop(passing.to);
	thread_join(thread);
	cr_assert_eq(passing.result, -ESHUTDOWN);
	cr_assert_eq(ask_thread_result(&a), -EPIPE);
	cr_assert_eq(rota_reply_drop(passing.token), -EALREADY);
	flag_raise(&held_up.go);
	engine_stop();
}

Test(reply, a_promise_is_broken_if_it_comes_back_to_the_dead, .timeout = HANG)
{
	comes_back_to_the_dead(stop_holder);
}

Test(reply, a_promise_is_broken_if_it_comes_back_to_the_abandoned,
     .init = check_kernel, .timeout = HANG)
{
	comes_back_to_the_dead(abandon_holder);
}

/* Not begun a second time, but once: it may have had an effect. */
Test(reply, a_forwarded_request_that_is_lost_died_unanswered, .timeout = HANG)
{
	struct stall stall = {0};
	struct post post = {.tag = TWICE, .value = 8};
	uint64_t reply = 0;
	struct act act = {act_forward, &post};
	struct rota_asking asking;

	engine_start(4);
	post.to = servant_spawn(0, NULL);
	stall_start(&stall, post.to);
	cr_assert_eq(rota_ask_start(servant_spawn(0, NULL), RUNS, &act,
				    sizeof(act), &reply, sizeof(reply),
				    ROTA_FOREVER, &asking),
		     0);
	AWAIT(tally_of(&n_begun) == 2);
	AWAIT(flag_is_up(&post.ended));
	rota_actor_stop(post.to);
	flag_raise(&stall.go);
	cr_assert_eq(rota_ask_await(&asking, 1, 1, PATIENCE), 1);
	cr_assert_eq(asking.outcome, -ECONNRESET);
	engine_stop();
}

/* ---- askers that have given up ---- */

Test(reply, a_forward_for_nobody_uses_up_the_token, .timeout = HANG)
{
	rota_token token;
	rota_id id;

	engine_start(2);
	id = servant_spawn(0, &xtoken);
	token = unwanted(id);
	cr_assert_eq(rota_forward(token, id, NOTHING, NULL, 0, ROTA_FOREVER),
		     -ECANCELED);
	cr_assert_eq(rota_forward(token, id, NOTHING, NULL, 0, ROTA_FOREVER),
		     -EALREADY);
	cr_assert_eq(rota_reply_drop(token), -EALREADY);
	cr_assert_eq(counters().late_replies, 1);
	engine_stop();
}

struct abroad {
	struct flag begun;
	struct flag go;
	rota_id to;
	int result;
	int asked; /* afterwards */
};

static int act_forwards_late(void *arg)
{
	struct abroad *abroad = arg;

	flag_raise(&abroad->begun);
	flag_block(&abroad->go);
	abroad->result =
		rota_forward(0, abroad->to, NOTHING, NULL, 0, ROTA_FOREVER);
	abroad->asked = rota_is_asked();
	return 0;
}

Test(reply, a_forward_of_the_request_in_hand_for_nobody, .timeout = HANG)
{
	struct abroad abroad = {.result = 1};
	struct act act = {act_forwards_late, &abroad};
	struct rota_asking asking;

	engine_start(2);
	abroad.to = servant_spawn(0, NULL);
	cr_assert_eq(rota_ask_start(servant_spawn(0, NULL), RUNS, &act,
				    sizeof(act), NULL, 0, ROTA_FOREVER,
				    &asking),
		     0);
	AWAIT(flag_is_up(&abroad.begun));
	cr_assert_eq(rota_ask_cancel(&asking), 0);
	flag_raise(&abroad.go);
	quiesce();
	cr_assert_eq(abroad.result, -ECANCELED);
	cr_assert_eq(abroad.asked, 0);
	cr_assert_eq(counters().late_replies, 1);
	engine_stop();
}

/* Only those that were late, not those that were too many. */
Test(reply, late_answers_are_those_that_nobody_waits_for, .timeout = HANG)
{
	struct asked a;
	rota_token token;
	rota_id id;

	engine_start(2);
	id = servant_spawn(0, &xtoken);
	a = asked_of(id, TAKES, 1);
	ask_by(&a, true);
	token = await_token(&xtoken);
	cr_assert_eq(reply_value(token, 1), 0);
	cr_assert_eq(ask_result(&a, true), 0);
	cr_assert_eq(reply_value(token, 2), -EALREADY);
	cr_assert_eq(reply_value(token + 12345, 2), -EALREADY);
	cr_assert_eq(counters().late_replies, 0);
	cr_assert_eq(reply_value(unwanted(id), 3), -ECANCELED);
	cr_assert_eq(counters().late_replies, 1);
	engine_stop();
}

Test(reply, tokens_of_an_engine_that_is_gone_are_for_nobody, .timeout = HANG)
{
	rota_engine *first;
	struct asked a;
	rota_token token;
	rota_id to;

	engine_start(1);
	first = engine;
	to = servant_spawn(0, NULL);
	engine_start(1);
	a = asked_of(servant_spawn(0, &xtoken), TAKES, 1);
	ask_by(&a, true);
	token = await_token(&xtoken);
	engine_stop();
	cr_assert_eq(ask_result(&a, true), -EPIPE);
	cr_assert_eq(rota_forward(token, to, NOTHING, NULL, 0, ROTA_FOREVER),
		     -ECANCELED);
	cr_assert_eq(reply_value(token, 1), -ECANCELED);
	cr_assert_eq(rota_reply_drop(token), -ECANCELED);
	engine = first;
	engine_stop();
}

struct seen {
	rota_id sender;
	uint64_t deadline_ns;
	int result;
};

static struct seen seen;

static int sees_handle(void *state, unsigned tag, void *payload, size_t length)
{
	(void)state;
	(void)tag;
	(void)payload;
	(void)length;
	seen.sender = rota_sender();
	seen.deadline_ns = rota_deadline_here().ns;
	return 0;
}

static const struct rota_behaviour sees_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "sees",
	.handle = sees_handle,
};

static int act_ask_forwarded(void *arg)
{
	struct post *post = arg;
	struct act act = {act_forward, post};

	seen.result = rota_ask(post->value, RUNS, &act, sizeof(act), NULL, 0,
			       ROTA_FOREVER);
	return 0;
}

Test(reply, who_asked_stays_the_sender, .timeout = HANG)
{
	struct post post = {.tag = TWICE};
	rota_id asker;

	engine_start(2);
	post.to = spawn(&sees_behaviour, NULL, 0);
	post.value = servant_spawn(0, NULL);
	asker = puppet_spawn(NULL, 0);
	ACTS(asker, act_ask_forwarded, &post);
	quiesce();
	cr_assert_eq(seen.result, 0);
	cr_assert_eq(seen.sender, asker);
	engine_stop();
}

Test(reply, the_askers_deadline_travels_on, .timeout = HANG)
{
	struct post post = {.tag = TWICE};
	struct act act = {act_forward, &post};
	struct rota_asking asking;

	engine_start(2);
	post.to = spawn(&sees_behaviour, NULL, 0);
	cr_assert_eq(rota_ask_start(servant_spawn(0, NULL), RUNS, &act,
				    sizeof(act), NULL, 0, PATIENCE, &asking),
		     0);
	cr_assert_eq(rota_ask_await(&asking, 1, 1, ROTA_FOREVER), 1);
	cr_assert_eq(asking.outcome, 0);
	cr_assert_eq(seen.deadline_ns, asking.deadline_ns);
	engine_stop();
}

/* ---- between engines ---- */

Test(reply, tokens_and_forwards_cross_engines, .timeout = HANG)
{
	rota_engine *first;
	uint64_t value = 3;
	struct asked a;
	rota_id far, near;

	engine_start(1);
	first = engine;
	near = servant_spawn(0, &xtoken);
	engine_start(1);
	far = servant_spawn(0, NULL);
	for (int i = 0; i < 100; i++) {
		bool is_thread = i % 2;

		AO_store_release(&xtoken, 0);
		a = asked_of(near, TAKES, 1);
		ask_by(&a, is_thread);
		cr_assert_eq(rota_forward(await_token(&xtoken), far, TWICE,
					  &value, 8, ROTA_FOREVER),
			     0);
		cr_assert_eq(ask_result(&a, is_thread), 0);
		cr_assert_eq(a.reply, 6);
	}
	engine_stop();
	engine = first;
	engine_stop();
}

/* An answer that another engine owes does not keep ours from going away. */
Test(reply, a_stop_does_not_wait_for_other_engines, .timeout = HANG)
{
	rota_engine *first, *second;
	static AO_t xnear, xfar;
	uint64_t value = 3;
	struct asked a;
	rota_id far, near;

	engine_start(1);
	first = engine;
	near = servant_spawn(0, &xnear);
	engine_start(1);
	second = engine;
	far = servant_spawn(0, &xfar);
	a = asked_of(near, TAKES, 1);
	ask_by(&a, true);
	cr_assert_eq(rota_forward(await_token(&xnear), far, TAKES, &value, 8,
				  ROTA_FOREVER),
		     0);
	await_token(&xfar);
	engine = first;
	engine_stop();
	cr_assert_eq(ask_result(&a, true), -ECONNRESET);
	cr_assert_eq(rota_reply_drop(xfar), -ECANCELED);
	engine = second;
	engine_stop();
}

/* ---- a callback that calls back ---- */

static rota_id told;

static void bury_and_tell(void *context, const struct rota_dead_letter *dead)
{
	bury(context, dead);
	if (told != ROTA_NONE)
		send_value(told, 1, dead->tag);
}

static int act_ask_then(void *arg)
{
	rota_id *to = arg;
	uint64_t value = 1;

	return rota_ask_then(*to, TAKES, &value, sizeof(value), ROTA_FOREVER,
			     55, NULL);
}

/* The message to an asker that has ended, from the thread that answers. */
Test(reply, a_dead_letter_of_a_thread_may_send, .timeout = HANG)
{
	struct rota_config config = test_config(2);
	static struct record record;
	rota_id asker, id;

	config.dead_letter = bury_and_tell;
	engine = engine_make(&config);
	id = servant_spawn(0, &xtoken);
	asker = puppet_spawn(NULL, 0);
	ACTS(asker, act_ask_then, &id);
	await_token(&xtoken);
	rota_actor_stop(asker);
	cr_assert_eq(rota_join(asker, PATIENCE, NULL), 0);
	told = puppet_spawn(&record, 0);
	cr_assert_eq(reply_value(xtoken, 9), 0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 1);
	cr_assert_eq(record.note[0].value, 55);
	told = ROTA_NONE;
	engine_stop();
}

/* ---- and what it may not ---- */

static int refused[4];

static void bury_and_stop(void *context, const struct rota_dead_letter *dead)
{
	bury(context, dead);
	if (dead->cause != ROTA_DEAD_NO_ACTOR)
		return;
	refused[0] = rota_stop(engine, ROTA_S(1));
	refused[1] = rota_stop_report(engine, ROTA_S(1), NULL);
	refused[2] = rota_quiesce(engine, ROTA_FOREVER);
	/* Another engine's call in between does not make it forget. */
	rota_is_alive(told);
	send_value(told, 1, 1);
	refused[3] = rota_stop(engine, ROTA_S(1));
}

static void dead_letter_of_a_thread(void)
{
	rota_id asker, id;

	id = servant_spawn(0, &xtoken);
	asker = puppet_spawn(NULL, 0);
	ACTS(asker, act_ask_then, &id);
	await_token(&xtoken);
	rota_actor_stop(asker);
	cr_assert_eq(rota_join(asker, PATIENCE, NULL), 0);
	cr_assert_eq(reply_value(xtoken, 9), 0);
}

Test(reply, a_dead_letter_of_a_thread_does_not_stop_the_engine, .timeout = HANG)
{
	struct rota_config config = test_config(2);
	static struct record record;
	rota_engine *second;

	engine_start(1);
	second = engine;
	told = puppet_spawn(&record, 0);
	config.dead_letter = bury_and_stop;
	engine = engine_make(&config);
	dead_letter_of_a_thread();
	for (int i = 0; i < 4; i++)
		cr_assert_eq(refused[i], -EDEADLK, "%d: %d", i, refused[i]);
	quiesce(); /* nothing was done */
	engine_stop();
	engine = second;
	quiesce();
	cr_assert_eq(tally_of(&record.n), 1);
	engine_stop();
}

static int act_reply(void *arg)
{
	return rota_reply(*(AO_t *)arg, 0, NULL, 0);
}

/* On a worker of another engine, whose handler answers. */
Test(reply, a_dead_letter_of_another_engine_does_not_await_it, .timeout = HANG)
{
	struct rota_config config = test_config(2);
	rota_engine *second;
	rota_id asker, id, replier;

	engine_start(1);
	second = engine;
	replier = puppet_spawn(NULL, 0);
	config.dead_letter = bury_and_stop;
	engine = engine_make(&config);
	id = servant_spawn(0, &xtoken);
	asker = puppet_spawn(NULL, 0);
	ACTS(asker, act_ask_then, &id);
	await_token(&xtoken);
	rota_actor_stop(asker);
	cr_assert_eq(rota_join(asker, PATIENCE, NULL), 0);
	ACTS(replier, act_reply, &xtoken);
	cr_assert_eq(rota_flush(replier, PATIENCE), 0);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(refused[i], -EDEADLK, "%d: %d", i, refused[i]);
	quiesce();
	engine_stop();
	cr_assert_eq(rota_stop(second, PATIENCE), 0);
}

static void bury_and_drive(void *context, const struct rota_dead_letter *dead)
{
	bury(context, dead);
	refused[0] = rota_run_some(engine, 1);
	refused[1] = rota_run_within(engine, ROTA_FOREVER);
	refused[2] = rota_quiesce(engine, ROTA_FOREVER);
	refused[3] = rota_stop(engine, ROTA_FOREVER);
}

Test(reply, nor_does_it_drive_it, .timeout = HANG)
{
	struct rota_config config = test_config(1);
	rota_id asker, id;

	config.flags = ROTA_RUN_HERE;
	config.dead_letter = bury_and_drive;
	engine = engine_make(&config);
	id = servant_spawn(0, &xtoken);
	asker = puppet_spawn(NULL, 0);
	ACTS(asker, act_ask_then, &id);
	/* Not until all is quiet: an answer is to come. */
	AWAIT(rota_run_some(engine, 100) >= 0 && AO_load(&xtoken) != 0);
	rota_actor_stop(asker);
	cr_assert_eq(rota_join(asker, PATIENCE, NULL), 0);
	cr_assert_eq(reply_value(xtoken, 9), 0);
	cr_assert_eq(n_dead(), 1);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(refused[i], -EDEADLK, "%d: %d", i, refused[i]);
	engine_stop();
}
