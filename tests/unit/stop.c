/* SPDX-License-Identifier: MIT */
/*
 * stop - the ways an actor ends, and what becomes of what it had
 */
#include <rota/process.h>
#include <rota/wait.h>

#include "tests/unit/support.h"

static struct record record;

static struct rota_exit ended(rota_id id)
{
	struct rota_exit why = {0};

	cr_assert_eq(rota_join(id, PATIENCE, &why), 0);
	return why;
}

static void expect_end(rota_id id, enum rota_exit_cause cause, int reason)
{
	struct rota_exit why = ended(id);

	cr_assert_eq(why.cause, cause, "cause %d", (int)why.cause);
	cr_assert_eq(why.reason, reason, "reason %d", why.reason);
	cr_assert_eq(rota_is_alive(id), 0);
	cr_assert_eq(send_value(id, 1, 1), -ESRCH);
	cr_assert_eq(try_value(id, 1, 1), -ESRCH);
	cr_assert_eq(rota_actor_stop(id), -ESRCH);
	cr_assert_eq(rota_actor_drain(id), -ESRCH);
}

static void expect_dead(size_t n)
{
	quiesce();
	cr_assert_eq(n_dead(), n);
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_STOPPED]), n);
}

/* ---- by itself ---- */

static int act_stop_5(void *arg)
{
	*(int *)arg = rota_self_stop(5);
	return 0;
}

Test(stop, an_actor_ends_after_this_message, .timeout = HANG)
{
	struct hold hold = {0};
	int result = 1;
	rota_id id;

	engine_start(1);
	id = puppet_spawn(&record, 64);
	hold_start(&hold, id);
	for (uint64_t i = 0; i < 3; i++)
		cr_assert_eq(send_value(id, 1, i), 0);
	ACTS(id, act_stop_5, &result);
	for (uint64_t i = 3; i < 10; i++)
		cr_assert_eq(send_value(id, 1, i), 0);
	hold_end(&hold);
	expect_end(id, ROTA_EXIT_NORMAL, 5);
	cr_assert_eq(result, 0);
	cr_assert_eq(tally_of(&record.n), 3);
	cr_assert_eq(tally_of(&record.destroyed), 1);
	expect_dead(7);
	for (size_t i = 0; i < 7; i++) {
		cr_assert_eq(morgue.letter[i].to, id);
		cr_assert_eq(morgue.letter[i].value, 3 + i);
	}
	engine_stop();
}

static int act_stop_reason(void *arg)
{
	return rota_self_stop(*(int *)arg);
}

Test(stop, any_reason_reaches_who_joins, .timeout = HANG)
{
	static int reasons[] = {0, 1, -1, -ESRCH, INT32_MAX, INT32_MIN};

	engine_start(2);
	for (size_t i = 0; i < 6; i++) {
		rota_id id = puppet_spawn(NULL, 0);

		ACTS(id, act_stop_reason, &reasons[i]);
		expect_end(id, ROTA_EXIT_NORMAL, reasons[i]);
	}
	engine_stop();
}

/* rota_self_stop() is for when the handler returns: until then it may wait. */
struct stop_then_wait {
	struct hold hold;
	struct sending s;
};

static int act_stop_then_wait(void *arg)
{
	struct stop_then_wait *both = arg;

	rota_self_stop(0);
	act_hold(&both->hold);
	return act_sending(&both->s);
}

Test(stop, what_the_handler_still_does_is_not_cut_short, .timeout = HANG)
{
	struct stop_then_wait both = {0};
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 0);
	both.hold.gate = puppet_spawn(NULL, 0);
	both.s = sending_to(puppet_spawn(&record, 1), 1, 1);
	ACTS(id, act_stop_then_wait, &both);
	AWAIT(flag_is_up(&both.hold.begun));
	cr_assert_eq(rota_is_alive(id), 1);
	hold_end(&both.hold);
	expect_end(id, ROTA_EXIT_NORMAL, 0);
	cr_assert_eq(both.hold.result, 0);
	cr_assert_eq(both.s.result, 0);
	engine_stop();
}

/* ---- from outside ---- */

Test(stop, ends_an_idle_actor, .timeout = HANG)
{
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 0);
	quiesce();
	cr_assert_eq(rota_is_alive(id), 1);
	cr_assert_eq(rota_actor_stop(id), 0);
	expect_end(id, ROTA_EXIT_STOPPED, 0);
	cr_assert_eq(tally_of(&record.destroyed), 1);
	engine_stop();
	cr_assert_eq(tally_of(&record.destroyed), 1);
}

Test(stop, ends_an_actor_that_was_never_sent_anything, .timeout = HANG)
{
	engine_start(2);
	for (int i = 0; i < 1000; i++) {
		rota_id id = puppet_spawn(&record, 0);

		cr_assert_eq(rota_actor_stop(id), 0);
		cr_assert_eq(ended(id).cause, ROTA_EXIT_STOPPED);
	}
	cr_assert_eq(tally_of(&record.destroyed), 1000);
	engine_stop();
}

Test(stop, overtakes_all_that_is_queued, .timeout = HANG)
{
	static struct stall stall;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 64);
	stall_start(&stall, id);
	cr_assert_eq(fill(id, 1), 63);
	cr_assert_eq(rota_actor_stop(id), 0);
	cr_assert_eq(rota_actor_stop(id), 0); /* it is ending already */
	cr_assert_eq(rota_is_alive(id), 1);
	cr_assert_eq(rota_join(id, ROTA_MS(1), NULL), -ETIMEDOUT);
	cr_assert_eq(tally_of(&record.destroyed), 0);
	flag_raise(&stall.go);
	expect_end(id, ROTA_EXIT_STOPPED, 0);
	cr_assert_eq(tally_of(&record.n), 0);
	cr_assert_eq(tally_of(&record.destroyed), 1);
	expect_dead(63);
	engine_stop();
}

/* Urgent mail too, and what is in the middle of a batch. */
Test(stop, overtakes_urgent_messages, .timeout = HANG)
{
	static struct stall stall;
	uint64_t value = 1;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 64);
	stall_start(&stall, id);
	for (int i = 0; i < 10; i++) {
		cr_assert_eq(rota_send_urgent(id, 2, &value, 8), 0);
		cr_assert_eq(send_value(id, 1, 1), 0);
	}
	cr_assert_eq(rota_actor_stop(id), 0);
	flag_raise(&stall.go);
	expect_end(id, ROTA_EXIT_STOPPED, 0);
	cr_assert_eq(tally_of(&record.n), 0);
	expect_dead(20);
	engine_stop();
}

Test(stop, overtakes_a_batch_in_progress, .timeout = HANG)
{
	static struct stall stall;
	struct hold hold = {0};
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 64);
	hold_start(&hold, id);
	for (uint64_t i = 0; i < 20; i++)
		cr_assert_eq(send_value(id, 1, i), 0);
	ACTS(id, act_stall, &stall);
	for (uint64_t i = 20; i < 40; i++)
		cr_assert_eq(send_value(id, 1, i), 0);
	hold_end(&hold);
	AWAIT(flag_is_up(&stall.begun));
	cr_assert_eq(rota_actor_stop(id), 0);
	flag_raise(&stall.go);
	expect_end(id, ROTA_EXIT_STOPPED, 0);
	cr_assert_eq(tally_of(&record.n), 20);
	expect_dead(20);
	engine_stop();
}

static int act_stop_myself(void *arg)
{
	*(int *)arg = rota_actor_stop(rota_self());
	return 0;
}

Test(stop, may_be_asked_for_by_its_own_handler, .timeout = HANG)
{
	int result = 1;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 0);
	ACTS(id, act_stop_myself, &result);
	expect_end(id, ROTA_EXIT_STOPPED, 0);
	cr_assert_eq(result, 0);
	cr_assert_eq(tally_of(&record.destroyed), 1);
	engine_stop();
}

struct killer {
	rota_id whom;
	int stop;
	int join;
	int again;
};

static int act_kill(void *arg)
{
	struct killer *killer = arg;

	killer->stop = rota_actor_stop(killer->whom);
	killer->join = rota_join(killer->whom, ROTA_FOREVER, NULL);
	killer->again = rota_actor_stop(killer->whom);
	return 0;
}

Test(stop, may_be_asked_for_by_another_handler, .timeout = HANG)
{
	struct killer killer = {0, 1, 1, 1};

	engine_start(1);
	killer.whom = puppet_spawn(&record, 0);
	ACTS(puppet_spawn(NULL, 0), act_kill, &killer);
	quiesce();
	cr_assert_eq(killer.stop, 0);
	cr_assert_eq(killer.join, 0);
	cr_assert_eq(killer.again, -ESRCH);
	expect_end(killer.whom, ROTA_EXIT_STOPPED, 0);
	engine_stop();
}

/* ---- of one that waits ---- */

Test(stop, wakes_a_waiting_handler, .timeout = HANG)
{
	struct hold hold = {0};
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 64);
	hold_start(&hold, id);
	cr_assert_eq(fill(id, 1), 63);
	cr_assert_eq(rota_actor_stop(id), 0);
	expect_end(id, ROTA_EXIT_STOPPED, 0);
	cr_assert(flag_is_up(&hold.ended));
	cr_assert_eq(hold.result, -ECANCELED);
	expect_dead(63);
	engine_stop();
}

/* Once stopped, nothing that would wait waits; what need not wait works. */
struct stubborn {
	struct hold hold;
	rota_id full;
	rota_id roomy;
	rota_id living;
	int room;
	int again;
	int join;
	int sent;
	int attempt;
};

static int act_stubborn(void *arg)
{
	struct stubborn *s = arg;
	uint64_t value = 7;

	act_hold(&s->hold);
	s->room = send_value(s->full, 1, 1);
	s->again = rota_send_within(s->full, 1, &value, 8, ROTA_S(3600));
	s->join = rota_join(s->living, ROTA_FOREVER, NULL);
	s->sent = send_value(s->roomy, 1, 7);
	s->attempt = try_value(s->full, 1, 1);
	return 0;
}

Test(stop, cancels_every_further_wait_of_the_handler, .timeout = HANG)
{
	struct stubborn s = {.room = 1};
	struct hold hold = {0};
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 0);
	s.full = puppet_spawn(NULL, 1);
	hold_start(&hold, s.full);
	s.roomy = puppet_spawn(&record, 0);
	s.living = puppet_spawn(NULL, 0);
	s.hold.gate = s.living;
	ACTS(id, act_stubborn, &s);
	AWAIT(flag_is_up(&s.hold.begun) && counters().waits >= 2);
	cr_assert_eq(rota_actor_stop(id), 0);
	expect_end(id, ROTA_EXIT_STOPPED, 0);
	cr_assert_eq(s.hold.result, -ECANCELED);
	cr_assert_eq(s.room, -ECANCELED);
	cr_assert_eq(s.again, -ECANCELED);
	cr_assert_eq(s.join, -ECANCELED);
	cr_assert_eq(s.sent, 0);
	cr_assert_eq(s.attempt, -EAGAIN);
	hold_end(&hold);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 1);
	cr_assert_eq(record.note[0].value, 7);
	engine_stop();
}

/* The same where the stop comes before the first wait: once is not enough. */
struct late_waiter {
	struct stall stall;
	struct tally receives; /* about to, after an ordinary wait if any */
	bool is_receiving;
	bool has_waited; /* before the stop */
	rota_id living;
	int received;
	int join;
	int again[4];
	struct flag ended;
};

static void stand(struct late_waiter *late)
{
	struct rota_received m;

	if (late->has_waited)
		rota_sleep(1);
	tally_add(&late->receives, 1);
	late->received = rota_receive(NULL, ROTA_FOREVER, &m);
}

static int act_wait_late(void *arg)
{
	struct late_waiter *late = arg;
	struct rota_received m;

	if (late->is_receiving)
		stand(late);
	else
		act_stall(&late->stall);
	late->join = rota_join(late->living, ROTA_FOREVER, NULL);
	late->again[0] = rota_sleep(ROTA_FOREVER);
	late->again[1] = rota_receive(NULL, ROTA_FOREVER, &m);
	late->again[2] = rota_join(late->living, ROTA_FOREVER, NULL);
	late->again[3] = rota_yield();
	flag_raise(&late->ended);
	return 0;
}

static void expect_cancelled(const struct late_waiter *late)
{
	cr_assert_eq(late->received, late->is_receiving ? -ECANCELED : 0);
	cr_assert_eq(late->join, -ECANCELED);
	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(late->again[i], -ECANCELED, "%zu: %d", i,
			     late->again[i]);
}

static rota_id spawn_with(unsigned flags)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	rota_id id;

	options.flags = flags;
	id = rota_spawn(engine, &puppet_behaviour, NULL, &options);
	cr_assert_eq(rota_id_error(id), 0);
	return id;
}

static const unsigned kinds[] = {0, ROTA_ANYWHERE, ROTA_OWN_THREAD};

Test(stop, cancels_all_waits_that_begin_after_it, .timeout = HANG)
{
	engine_start(2);
	for (size_t i = 0; i < 3; i++) {
		struct late_waiter late = {.join = 1};
		rota_id id = spawn_with(kinds[i]);

		late.living = puppet_spawn(NULL, 0);
		ACTS(id, act_wait_late, &late);
		AWAIT(flag_is_up(&late.stall.begun));
		cr_assert_eq(rota_actor_stop(id), 0);
		flag_raise(&late.stall.go);
		expect_end(id, ROTA_EXIT_STOPPED, 0);
		expect_cancelled(&late);
	}
	engine_stop();
}

/* Of one that stands in a receive, which is no wait like others. */
Test(stop, cancels_all_waits_after_a_receive, .timeout = HANG)
{
	engine_start(2);
	for (size_t i = 0; i < 6; i++) {
		struct late_waiter late = {.is_receiving = true,
					   .has_waited = i % 2};
		rota_id id = spawn_with(kinds[i / 2]);

		late.living = puppet_spawn(NULL, 0);
		ACTS(id, act_wait_late, &late);
		AWAIT(tally_of(&late.receives) == 1);
		quiesce();
		cr_assert_eq(rota_actor_stop(id), 0);
		expect_end(id, ROTA_EXIT_STOPPED, 0);
		expect_cancelled(&late);
	}
	engine_stop();
}

/* ---- in destroy() ---- */

/* Its waits are its own: the stop that led to it is over, for it. */
struct parting {
	struct stall stall; /* in the handler, before the stop */
	bool has_waited;
	struct flag begun;
	rota_id gate;
	int64_t first; /* sleeps so long */
	int sleep;
	int join;
	int last;
	struct flag ended;
};

static void parting_destroy(void *state)
{
	struct parting *parting = *(struct parting **)state;

	flag_raise(&parting->begun);
	parting->sleep = rota_sleep(parting->first);
	parting->join = rota_join(parting->gate, ROTA_FOREVER, NULL);
	parting->last = rota_sleep(1);
	flag_raise(&parting->ended);
}

static const struct rota_behaviour parting_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "parting",
	.state_size = sizeof(struct parting *),
	.handle = puppet_handle,
	.destroy = parting_destroy,
};

static int act_stall_and_wait(void *arg)
{
	struct parting *parting = arg;

	act_stall(&parting->stall);
	if (parting->has_waited)
		rota_sleep(1);
	return 0;
}

static rota_id parting_spawn(struct parting *parting)
{
	parting->first = 1;
	parting->sleep = parting->join = parting->last = 1;
	parting->gate = puppet_spawn(NULL, 0);
	return spawn(&parting_behaviour, &parting, 0);
}

static void expect_parted(rota_id id, struct parting *parting,
			  enum rota_exit_cause cause)
{
	AWAIT(flag_is_up(&parting->begun));
	cr_assert_eq(rota_actor_stop(parting->gate), 0);
	cr_assert_eq(ended(id).cause, cause);
	cr_assert_eq(parting->sleep, 0);
	cr_assert_eq(parting->join, 0);
	cr_assert_eq(parting->last, 0);
}

Test(stop, lets_destroy_wait, .timeout = HANG)
{
	engine_start(2);
	for (int i = 0; i < 3; i++) {
		struct parting parting = {.has_waited = i == 2};
		rota_id id = parting_spawn(&parting);

		if (i > 0)
			ACTS(id, act_stall_and_wait, &parting);
		if (i > 0)
			AWAIT(flag_is_up(&parting.stall.begun));
		cr_assert_eq(rota_actor_stop(id), 0);
		flag_raise(&parting.stall.go);
		expect_parted(id, &parting, ROTA_EXIT_STOPPED);
	}
	engine_stop();
}

Test(stop, that_finds_destroy_waiting_leaves_it_alone, .timeout = HANG)
{
	struct parting parting = {.has_waited = false};
	rota_id id;

	engine_start(2);
	id = parting_spawn(&parting);
	cr_assert_eq(rota_actor_drain(id), 0);
	AWAIT(counters().waits >= 2);
	cr_assert_eq(rota_actor_stop(id), 0);
	expect_parted(id, &parting, ROTA_EXIT_NORMAL);
	engine_stop();
}

/* ... for as long as there is time: then that of the engine ends it. */
Test(stop, of_the_engine_ends_what_destroy_waits_for_at_last, .timeout = HANG)
{
	struct parting parting = {.has_waited = false};

	engine_start(2);
	parting_spawn(&parting);
	parting.first = ROTA_FOREVER;
	rota_stop(engine, ROTA_MS(50));
	AWAIT(flag_is_up(&parting.ended));
	cr_assert_eq(parting.sleep, -ECANCELED);
	cr_assert_lt(parting.last, 0);
}

/* ---- drain ---- */

Test(stop, drain_handles_what_is_queued_and_accepts_no_more, .timeout = HANG)
{
	struct hold hold = {0};
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 64);
	hold_start(&hold, id);
	cr_assert_eq(fill(id, 1), 63);
	cr_assert_eq(rota_actor_drain(id), 0);
	cr_assert_eq(rota_actor_drain(id), 0);
	cr_assert_eq(send_value(id, 2, 1), -ESHUTDOWN);
	cr_assert_eq(try_value(id, 2, 1), -ESHUTDOWN);
	cr_assert_eq(rota_send_urgent(id, 2, NULL, 0), -ESHUTDOWN);
	cr_assert_eq(rota_send_within(id, 2, NULL, 0, 1), -ESHUTDOWN);
	cr_assert_eq(rota_is_alive(id), 1);
	hold_end(&hold);
	expect_end(id, ROTA_EXIT_NORMAL, 0);
	cr_assert_eq(hold.result, 0); /* drain cancels no wait */
	cr_assert_eq(tally_of(&record.n), 63);
	for (uint64_t i = 0; i < 63; i++)
		cr_assert_eq(record.note[i].value, i);
	cr_assert_eq(tally_of(&record.destroyed), 1);
	expect_dead(0);
	engine_stop();
}

Test(stop, drain_ends_an_idle_actor, .timeout = HANG)
{
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 0);
	quiesce();
	cr_assert_eq(rota_actor_drain(id), 0);
	expect_end(id, ROTA_EXIT_NORMAL, 0);
	cr_assert_eq(tally_of(&record.destroyed), 1);
	engine_stop();
}

struct drainer {
	struct hold hold;
	int drain;
	int to_self;
	int drain_again;
};

static int act_drain(void *arg)
{
	struct drainer *drainer = arg;

	act_hold(&drainer->hold);
	drainer->drain = rota_self_drain();
	drainer->to_self = try_value(rota_self(), 1, 1);
	drainer->drain_again = rota_self_drain();
	return 0;
}

Test(stop, an_actor_may_drain_itself, .timeout = HANG)
{
	struct drainer drainer = {.drain = 1};
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 64);
	drainer.hold.gate = puppet_spawn(NULL, 0);
	ACTS(id, act_drain, &drainer);
	AWAIT(flag_is_up(&drainer.hold.begun));
	for (uint64_t i = 0; i < 20; i++)
		cr_assert_eq(send_value(id, 1, i), 0);
	hold_end(&drainer.hold);
	expect_end(id, ROTA_EXIT_NORMAL, 0);
	cr_assert_eq(drainer.drain, 0);
	cr_assert_eq(drainer.to_self, -ESHUTDOWN);
	cr_assert_eq(drainer.drain_again, 0);
	cr_assert_eq(tally_of(&record.n), 20);
	expect_dead(0);
	engine_stop();
}

/* What is queued may itself do everything, also wait and send. */
Test(stop, drained_messages_may_wait, .timeout = HANG)
{
	struct hold hold = {0};
	struct hold later = {0};
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 64);
	hold_start(&hold, id);
	later.gate = puppet_spawn(NULL, 0);
	ACTS(id, act_hold, &later);
	cr_assert_eq(send_value(id, 1, 1), 0);
	cr_assert_eq(rota_actor_drain(id), 0);
	hold_end(&hold);
	AWAIT(flag_is_up(&later.begun));
	hold_end(&later);
	expect_end(id, ROTA_EXIT_NORMAL, 0);
	cr_assert_eq(later.result, 0);
	cr_assert_eq(tally_of(&record.n), 1);
	engine_stop();
}

Test(stop, overtakes_drain, .timeout = HANG)
{
	struct hold hold = {0};
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 64);
	hold_start(&hold, id);
	cr_assert_eq(fill(id, 1), 63);
	cr_assert_eq(rota_actor_drain(id), 0);
	cr_assert_eq(rota_actor_stop(id), 0);
	expect_end(id, ROTA_EXIT_STOPPED, 0);
	cr_assert_eq(hold.result, -ECANCELED);
	cr_assert_eq(tally_of(&record.n), 0);
	expect_dead(63);
	engine_stop();
}

Test(stop, is_not_weakened_by_a_later_drain, .timeout = HANG)
{
	static struct stall stall;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 64);
	stall_start(&stall, id);
	cr_assert_eq(fill(id, 1), 63);
	cr_assert_eq(rota_actor_stop(id), 0);
	cr_assert_eq(rota_actor_drain(id), 0);
	flag_raise(&stall.go);
	expect_end(id, ROTA_EXIT_STOPPED, 0);
	cr_assert_eq(tally_of(&record.n), 0);
	expect_dead(63);
	engine_stop();
}

Test(stop, one_of_itself_cuts_its_drain_short, .timeout = HANG)
{
	struct hold hold = {0};
	int result = 1;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 64);
	hold_start(&hold, id);
	cr_assert_eq(send_value(id, 1, 0), 0);
	ACTS(id, act_stop_5, &result);
	cr_assert_eq(send_value(id, 1, 2), 0);
	cr_assert_eq(rota_actor_drain(id), 0);
	hold_end(&hold);
	expect_end(id, ROTA_EXIT_NORMAL, 5);
	cr_assert_eq(result, 0);
	cr_assert_eq(tally_of(&record.n), 1);
	expect_dead(1);
	engine_stop();
}

/* ---- of nobody ---- */

Test(stop, of_nobody_is_refused, .timeout = HANG)
{
	cr_assert_eq(rota_actor_stop(ROTA_NONE), -ESRCH);
	cr_assert_eq(rota_actor_drain(ROTA_NONE), -ESRCH);
	engine_start(1);
	cr_assert_eq(rota_actor_stop(ROTA_NONE), -ESRCH);
	cr_assert_eq(rota_actor_drain(ROTA_NONE), -ESRCH);
	engine_stop();
}

/* ---- by the engine ---- */

Test(stop, of_the_engine_cancels_waits, .timeout = HANG)
{
	enum { N = 50 };
	static struct hold hold[N];

	engine_start(2);
	for (size_t i = 0; i < N; i++)
		hold_start(&hold[i], puppet_spawn(&record, 0));
	engine_stop();
	/* Where its gate went first it has seen that; else it was woken. */
	for (size_t i = 0; i < N; i++) {
		cr_assert(flag_is_up(&hold[i].ended));
		cr_assert(hold[i].result == -ECANCELED || hold[i].result == 0);
	}
	cr_assert_eq(tally_of(&record.destroyed), N);
}

static void *thread_stop(void *arg)
{
	*(int *)arg = rota_stop(engine, PATIENCE);
	return NULL;
}

/* Of handlers too that have not waited yet, and would go on to. */
Test(stop, of_the_engine_cancels_all_later_waits, .timeout = HANG)
{
	struct late_waiter computes = {.join = 1};
	struct late_waiter receives = {.is_receiving = true};
	pthread_t thread;
	int result = 1;

	engine_start(2);
	computes.living = receives.living = puppet_spawn(NULL, 0);
	ACTS(puppet_spawn(NULL, 0), act_wait_late, &receives);
	AWAIT(tally_of(&receives.receives) == 1);
	quiesce();
	/* Not where the other stands: it keeps its thread. */
	ACTS(spawn_with(ROTA_OWN_THREAD), act_wait_late, &computes);
	AWAIT(flag_is_up(&computes.stall.begun));
	thread = thread_start(thread_stop, &result);
	AWAIT(flag_is_up(&receives.ended)); /* all are being stopped */
	flag_raise(&computes.stall.go);
	thread_join(thread);
	cr_assert_eq(result, 0);
	/* The living one may be gone before it is joined. */
	for (size_t i = 0; i < 2; i++) {
		cr_assert_eq(computes.again[i], -ECANCELED);
		cr_assert_eq(receives.again[i], -ECANCELED);
	}
}

struct witness {
	rota_id whom;
	struct tally thread;
	struct rota_exit why;
	int result;
};

static void *thread_witness(void *arg)
{
	struct witness *witness = arg;

	tally_add(&witness->thread, (size_t)thread_number());
	witness->result = rota_join(witness->whom, ROTA_FOREVER, &witness->why);
	return NULL;
}

Test(stop, of_the_engine_is_a_cause_of_its_own, .timeout = HANG)
{
	struct witness witness = {.result = 1};
	pthread_t thread;

	engine_start(2);
	witness.whom = puppet_spawn(NULL, 0);
	thread = thread_start(thread_witness, &witness);
	await_sleep(&witness.thread);
	engine_stop();
	thread_join(thread);
	cr_assert_eq(witness.result, 0);
	cr_assert_eq(witness.why.cause, ROTA_EXIT_ENGINE);
}

/* ---- in vain ---- */

static struct tally n_gone;

static int standing_handle(void *state, unsigned tag, void *payload,
			   size_t length)
{
	struct rota_received m;

	(void)state, (void)tag, (void)payload, (void)length;
	while (rota_receive(NULL, ROTA_FOREVER, &m) == 0)
		continue;
	return 0;
}

static void standing_destroy(void *state)
{
	(void)state;
	tally_add(&n_gone, 1);
}

static const struct rota_behaviour standing_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "standing",
	.handle = standing_handle,
	.destroy = standing_destroy,
};

enum { N_STANDING = 64 };

struct crowd {
	rota_id ids[N_STANDING];
	struct stall stall;
};

/* They are queued at this worker, and it hangs. */
static int act_wake_and_hang(void *arg)
{
	struct crowd *crowd = arg;

	for (size_t i = 0; i < N_STANDING; i++)
		send_value(crowd->ids[i], 1, 1);
	return act_stall(&crowd->stall);
}

/*
 * Handlers that stand in a receive on two workers are queued at the one that
 * hangs as the engine is stopped. As that goes on at last, the other's thread,
 * where they are to go on, must be there still.
 */
Test(stop, in_vain_leaves_nobody_standing, .timeout = HANG)
{
	struct rota_config config = test_config(2);
	static struct crowd crowd;
	static struct stall stall;

	config.spares = ROTA_NO_SPARES;
	engine = engine_make(&config);
	for (size_t i = 0; i < N_STANDING; i++) {
		crowd.ids[i] = spawn(&standing_behaviour, NULL, 0);
		cr_assert_eq(send_value(crowd.ids[i], 1, 1), 0);
	}
	quiesce();
	stall_start(&stall, puppet_spawn(NULL, 0));
	ACTS(puppet_spawn(NULL, 0), act_wake_and_hang, &crowd);
	AWAIT(flag_is_up(&crowd.stall.begun));
	cr_assert_eq(rota_stop(engine, ROTA_MS(1)), -ETIMEDOUT);
	flag_raise(&stall.go);
	AWAIT(flag_is_up(&stall.ended));
	for (int i = 0; i < 20; i++)
		nap(); /* it looks for work once more, and leaves */
	flag_raise(&crowd.stall.go);
	AWAIT(tally_of(&n_gone) == N_STANDING);
}
