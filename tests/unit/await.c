/* SPDX-License-Identifier: MIT */
/*
 * await - does a call that waits come to its end, whoever waits and whyever?
 *
 * Waits for nobody in particular, on the inside interface; what sends and joins
 * make of it is tested in room, join and cycle.
 */
#include "core/await.h"
#include "core/cold.h"
#include "tests/unit/support.h"

/* A wait that the test ends, or whatever else does. */
struct waiting {
	rota_id id;	/* whose engine is entered */
	rota_id to;	/* for whom, ROTA_NONE: nobody */
	int64_t within; /* ROTA_FOREVER unless the deadline is to end it */
	bool is_listed; /* in the joiners' list of @id */
	bool is_entered;
	int outcome; /* what await_end() is told */
	bool stops;  /* a stop comes between beginning and end */
	struct flag begun;
	struct flag ended;
	struct wait_ticket ticket; /* behind @begun */
	enum await_state before;
	enum await_state after;
	bool is_linked; /* after the end */
	int result;
};

static int begin(struct await *await, struct waiting *w, struct site *site)
{
	struct cold *cold;
	int error = await_begin(await, w->within, site);

	w->before = await->state;
	if (error)
		return error;
	w->ticket = await->waiter.ticket;
	if (w->stops)
		rota_actor_stop(rota_self());
	if (w->is_listed) {
		cold = cold_lock(site, await->target, w->id, true, &error);
		await_enter(await, cold, &cold->joiners);
		cold_unlock(cold);
	} else if (w->is_entered) {
		await_enter(await, NULL, NULL);
	}
	return 0;
}

static int act_wait(void *arg)
{
	struct waiting *w = arg;
	struct await await = {.to = w->to};
	struct site site;

	w->result = site_enter(&site, w->id);
	if (w->result == 0) {
		await.target = engine_actor(site.engine, w->id);
		w->result = begin(&await, w, &site);
		flag_raise(&w->begun);
		if (w->result == 0)
			w->result = await_end(&await, w->outcome, &site);
		site_leave(&site);
	}
	w->after = await.state;
	w->is_linked = await.waiter.prev != NULL;
	flag_raise(&w->ended);
	return 0;
}

static void *thread_wait(void *arg)
{
	act_wait(arg);
	return NULL;
}

static void finish(struct waiting *w, int result)
{
	AWAIT(flag_is_up(&w->begun));
	cr_assert(wait_claim(w->ticket));
	wait_finish(w->ticket.wait, result);
}

static void expect_over(struct waiting *w, int result)
{
	AWAIT(flag_is_up(&w->ended));
	cr_assert_eq(w->result, result, "%d", w->result);
	cr_assert_eq(w->before, AWAIT_BEGUN);
	cr_assert_eq(w->after, AWAIT_OVER);
	cr_assert_not(w->is_linked);
	cr_assert_not(wait_claim(w->ticket)); /* it is spent */
}

static struct waiting waiting_in(rota_id id)
{
	return (struct waiting){
		.id = id, .within = ROTA_FOREVER, .is_entered = true};
}

Test(await, result_is_that_of_who_ends_it, .timeout = HANG)
{
	pthread_t thread;
	struct waiting w;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 0);
	w = waiting_in(id);
	ACTS(id, act_wait, &w);
	finish(&w, 42);
	expect_over(&w, 42);
	w = waiting_in(id);
	thread = thread_start(thread_wait, &w);
	finish(&w, 0);
	expect_over(&w, 0);
	thread_join(thread);
	engine_stop();
}

/* The same wait once more, by a thread; it ends by itself. */
static void again_in_thread(struct waiting *w, int result)
{
	pthread_t thread;

	w->begun = w->ended = (struct flag){0};
	thread = thread_start(thread_wait, w);
	expect_over(w, result);
	thread_join(thread);
}

Test(await, deadline_ends_it, .timeout = HANG)
{
	struct waiting w;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 0);
	for (int is_listed = 0; is_listed < 2; is_listed++) {
		w = waiting_in(id);
		w.within = ROTA_MS(1);
		w.is_listed = is_listed;
		ACTS(puppet_spawn(NULL, 0), act_wait, &w);
		expect_over(&w, -ETIMEDOUT);
		again_in_thread(&w, -ETIMEDOUT);
	}
	engine_stop();
}

Test(await, is_over_at_once_where_it_is_not_needed, .timeout = HANG)
{
	struct waiting w;
	rota_id id;
	uint64_t waits;

	engine_start(2);
	id = puppet_spawn(NULL, 0);
	waits = counters().waits;
	w = waiting_in(id);
	w.is_entered = false;
	w.outcome = -7;
	ACTS(id, act_wait, &w);
	expect_over(&w, -7);
	again_in_thread(&w, -7);
	cr_assert_eq(counters().waits, waits);
	engine_stop();
}

/* A stop in between has the wait; the outcome stays what it was. */
Test(await, is_seen_through_where_a_stop_was_faster, .timeout = HANG)
{
	struct waiting w;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 0);
	w = waiting_in(id);
	w.is_entered = false;
	w.stops = true;
	w.outcome = -7;
	ACTS(id, act_wait, &w);
	expect_over(&w, -7);
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
	engine_stop();
}

Test(await, stop_of_its_actor_ends_it, .timeout = HANG)
{
	struct waiting w;
	rota_id id;

	engine_start(2);
	for (int is_listed = 0; is_listed < 2; is_listed++) {
		rota_id whose = puppet_spawn(NULL, 0);

		id = puppet_spawn(NULL, 0);
		w = waiting_in(whose);
		w.is_listed = is_listed;
		ACTS(id, act_wait, &w);
		AWAIT(flag_is_up(&w.begun));
		cr_assert_eq(rota_actor_stop(id), 0);
		expect_over(&w, -ECANCELED);
		cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
	}
	engine_stop();
}

Test(await, is_refused_to_who_would_wait_for_itself, .timeout = HANG)
{
	struct waiting w;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 0);
	w = waiting_in(id);
	w.to = id;
	ACTS(id, act_wait, &w);
	AWAIT(flag_is_up(&w.ended));
	cr_assert_eq(w.result, -EDEADLK);
	cr_assert_eq(w.after, AWAIT_NEW);
	engine_stop();
}

/* A turn of another engine steps out of this one while it waits. */
Test(await, turn_of_another_engine_waits, .timeout = HANG)
{
	rota_engine *first;
	struct waiting w;
	rota_id whose;

	engine_start(1);
	first = engine;
	whose = puppet_spawn(NULL, 0);
	engine_start(1);
	w = waiting_in(whose);
	w.is_listed = true;
	ACTS(puppet_spawn(NULL, 0), act_wait, &w);
	AWAIT(flag_is_up(&w.begun));
	cr_assert_eq(rota_actor_stop(whose), 0);
	expect_over(&w, 0);
	engine_stop();
	engine = first;
	engine_stop();
}

static struct waiting in_callback;

static void wait_in_callback(void *context, const struct rota_dead_letter *dead)
{
	(void)context;
	(void)dead;
	act_wait(&in_callback);
}

/* A timer of an actor that has ended is reported between two turns. */
Test(await, callback_on_a_worker_cannot, .timeout = HANG)
{
	struct rota_config config = test_config(1);
	rota_id late;

	config.dead_letter = wait_in_callback;
	engine = engine_make(&config);
	in_callback = waiting_in(puppet_spawn(NULL, 0));
	late = puppet_spawn(NULL, 0);
	cr_assert_eq(rota_send_after(late, 1, NULL, 0, ROTA_MS(5), NULL), 0);
	cr_assert_eq(rota_actor_stop(late), 0);
	AWAIT(flag_is_up(&in_callback.ended));
	cr_assert_eq(in_callback.result, -EAGAIN);
	cr_assert_eq(in_callback.after, AWAIT_NEW);
	engine_stop();
}
