/* SPDX-License-Identifier: MIT */
/*
 * room - sends that wait until a mailbox has room
 */
#include "tests/unit/support.h"

static struct record record;

/* A puppet that stands still with a full mailbox. */
static rota_id full_puppet(struct hold *hold, unsigned capacity)
{
	rota_id id = puppet_spawn(&record, capacity);

	*hold = (struct hold){0};
	hold_start(hold, id);
	cr_assert_eq(fill(id, 1), capacity - 1);
	return id;
}

/* ---- waiting ---- */

Test(room, a_thread_waits_for_it, .timeout = HANG)
{
	struct hold hold;
	struct sending s;
	rota_id id;

	engine_start(2);
	id = full_puppet(&hold, 4);
	s = sending_to(id, 9, 99);
	sending_in_thread(&s);
	hold_end(&hold);
	cr_assert_eq(sending_thread_result(&s), 0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 4);
	cr_assert_eq(record.note[3].value, 99);
	cr_assert_eq(record.note[3].sender, ROTA_NONE);
	engine_stop();
}

static void puppet_waits(unsigned workers, unsigned capacity)
{
	struct hold hold;
	struct sending s;
	rota_id from;
	rota_id id;

	engine_start(workers);
	id = full_puppet(&hold, capacity);
	from = puppet_spawn(NULL, 0);
	s = sending_to(id, 9, 99);
	sending_in_puppet(&s, from);
	hold_end(&hold);
	cr_assert_eq(sending_puppet_result(&s), 0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), capacity);
	cr_assert_eq(record.note[capacity - 1].value, 99);
	cr_assert_eq(record.note[capacity - 1].sender, from);
	engine_stop();
}

Test(room, a_handler_waits_for_it, .timeout = HANG)
{
	puppet_waits(2, 4);
}

/* The worker goes on with others: one is enough. */
Test(room, a_handler_that_waits_leaves_its_worker, .timeout = HANG)
{
	puppet_waits(1, 4);
}

Test(room, a_handler_waits_for_it_at_capacity_1, .timeout = HANG)
{
	puppet_waits(1, 1);
}

Test(room, is_not_waited_for_where_there_is_some, .timeout = HANG)
{
	uint64_t waits;
	struct sending s;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 1);
	quiesce();
	waits = counters().waits;
	s = sending_to(id, 1, 1);
	for (int i = 0; i < 100; i++) {
		ACTS(puppet_spawn(NULL, 0), act_sending, &s);
		quiesce();
	}
	cr_assert_eq(tally_of(&record.n), 100);
	cr_assert_eq(counters().waits, waits);
	engine_stop();
}

/* ---- in their order ---- */

static void expect_order(size_t from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(record.note[from + i].value, 100 + i, "note %zu",
			     from + i);
}

#define WAITERS 20

static void waiters_in_order(unsigned capacity, bool threads, bool puppets)
{
	struct sending s[WAITERS];
	struct hold hold;
	bool is_thread[WAITERS];
	rota_id id;

	engine_start(2);
	id = full_puppet(&hold, capacity);
	for (size_t i = 0; i < WAITERS; i++) {
		s[i] = sending_to(id, 9, 100 + i);
		is_thread[i] = threads && (!puppets || i % 2);
		if (is_thread[i])
			sending_in_thread(&s[i]);
		else
			sending_in_puppet(&s[i], puppet_spawn(NULL, 0));
	}
	hold_end(&hold);
	for (size_t i = 0; i < WAITERS; i++)
		cr_assert_eq(is_thread[i] ? sending_thread_result(&s[i])
					  : sending_puppet_result(&s[i]),
			     0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), capacity - 1 + WAITERS);
	expect_order(capacity - 1, WAITERS);
	engine_stop();
}

Test(room, handlers_get_it_in_their_order, .timeout = HANG)
{
	waiters_in_order(5, false, true);
}

Test(room, threads_get_it_in_their_order, .timeout = HANG)
{
	waiters_in_order(5, true, false);
}

Test(room, handlers_and_threads_get_it_in_their_order, .timeout = HANG)
{
	waiters_in_order(5, true, true);
}

Test(room, is_got_in_order_at_capacity_1, .timeout = HANG)
{
	waiters_in_order(1, true, true);
}

Test(room, is_got_in_order_where_there_is_more_than_asked_for, .timeout = HANG)
{
	waiters_in_order(100, true, true);
}

/* Whoever comes later and does not wait cannot take it from who does. */
Test(room, is_not_taken_from_who_waits, .timeout = HANG)
{
	struct sending s[4];
	struct hold hold;
	rota_id id;

	engine_start(2);
	id = full_puppet(&hold, 1);
	for (size_t i = 0; i < 4; i++) {
		s[i] = sending_to(id, 9, 100 + i);
		sending_in_puppet(&s[i], puppet_spawn(NULL, 0));
	}
	cr_assert_eq(rota_actor_stop(hold.gate), 0);
	AWAIT(try_value(id, 9, 104) == 0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 5);
	expect_order(0, 5);
	engine_stop();
}

/* ---- deadlines ---- */

Test(room, a_thread_waits_no_longer_than_it_wants, .timeout = HANG)
{
	struct hold hold;
	uint64_t value = 1;
	rota_id id;

	engine_start(2);
	id = full_puppet(&hold, 4);
	for (int i = 0; i < 20; i++)
		cr_assert_eq(rota_send_within(id, 9, &value, 8, ROTA_US(300)),
			     -ETIMEDOUT);
	hold_end(&hold);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 3); /* refused means: no effect */
	engine_stop();
}

Test(room, a_handler_waits_no_longer_than_it_wants, .timeout = HANG)
{
	struct hold hold;
	struct sending s;
	rota_id from;
	rota_id id;

	engine_start(1);
	id = full_puppet(&hold, 4);
	from = puppet_spawn(NULL, 0);
	for (int i = 0; i < 20; i++) {
		s = sending_to(id, 9, 99);
		s.within = ROTA_US(300);
		ACTS(from, act_sending, &s);
		AWAIT(flag_is_up(&s.ended));
		cr_assert_eq(s.result, -ETIMEDOUT);
	}
	hold_end(&hold);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 3);
	engine_stop();
}

Test(room, without_time_is_not_waited_for, .timeout = HANG)
{
	struct hold hold;
	uint64_t value = 1;
	rota_id id;

	engine_start(2);
	id = full_puppet(&hold, 4);
	cr_assert_eq(rota_send_within(id, 9, &value, 8, ROTA_NOW), -EAGAIN);
	cr_assert_eq(rota_send_within(id, 9, &value, 8, -1), -EAGAIN);
	cr_assert_eq(rota_send_within(id, 9, &value, 8, INT64_MIN), -EAGAIN);
	cr_assert_eq(rota_send_own(id, 9, &value, 8, NULL, ROTA_NOW), -EAGAIN);
	hold_end(&hold);
	quiesce();
	cr_assert_eq(rota_send_within(id, 9, &value, 8, ROTA_NOW), 0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 4);
	engine_stop();
}

/* A huge duration does not wrap into a short one. */
Test(room, is_waited_for_as_long_as_it_takes, .timeout = HANG)
{
	static const int64_t durations[] = {ROTA_S(3600), INT64_MAX / 2,
					    INT64_MAX - 1, ROTA_FOREVER};

	engine_start(2);
	for (size_t i = 0; i < 4; i++) {
		struct hold hold;
		struct sending s;

		s = sending_to(full_puppet(&hold, 2), 9, i);
		s.within = durations[i];
		sending_in_puppet(&s, puppet_spawn(NULL, 0));
		hold_end(&hold);
		cr_assert_eq(sending_puppet_result(&s), 0);
	}
	engine_stop();
}

/* Those that give up leave the queue; the others keep their places in it. */
Test(room, waiters_that_give_up_leave_the_others_in_order, .timeout = HANG)
{
	struct sending s[WAITERS];
	struct hold hold;
	rota_id id;

	engine_start(2);
	id = full_puppet(&hold, 3);
	for (size_t i = 0; i < WAITERS; i++) {
		s[i] = sending_to(id, 9, 100 + i / 2);
		if (i % 2)
			s[i].within = ROTA_MS(200);
		if (i % 4 < 2) {
			sending_in_puppet(&s[i], puppet_spawn(NULL, 0));
		} else if (i % 2) {
			act_sending(&s[i]);
		} else {
			sending_in_thread(&s[i]);
		}
	}
	for (size_t i = 1; i < WAITERS; i += 2) {
		AWAIT(flag_is_up(&s[i].ended));
		cr_assert_eq(s[i].result, -ETIMEDOUT);
	}
	hold_end(&hold);
	for (size_t i = 0; i < WAITERS; i += 2)
		cr_assert_eq(i % 4 ? sending_thread_result(&s[i])
				   : sending_puppet_result(&s[i]),
			     0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 2 + WAITERS / 2);
	expect_order(2, WAITERS / 2);
	engine_stop();
}

/* No room is lost with those that gave up, and none is made. */
Test(room, is_exact_after_waits_that_timed_out, .timeout = HANG)
{
	struct hold hold;
	uint64_t value = 1;
	rota_id id;

	engine_start(2);
	id = full_puppet(&hold, 8);
	for (int i = 0; i < 30; i++)
		cr_assert_eq(rota_send_within(id, 9, &value, 8, ROTA_US(50)),
			     -ETIMEDOUT);
	hold_end(&hold);
	quiesce();
	hold = (struct hold){0};
	hold_start(&hold, id);
	cr_assert_eq(fill(id, 1), 7);
	hold_end(&hold);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 14);
	engine_stop();
}

/* ---- the receiver's end ---- */

enum ending { BY_STOP, BY_DRAIN, BY_FAILURE, BY_ENGINE };

static int act_hold_then_fail(void *arg)
{
	act_hold(arg);
	return -EIO;
}

static void end_receiver(enum ending ending, rota_id id, struct hold *hold)
{
	if (ending == BY_ENGINE) {
		engine_stop();
		return;
	}
	if (ending == BY_STOP)
		cr_assert_eq(rota_actor_stop(id), 0);
	if (ending == BY_DRAIN)
		cr_assert_eq(rota_actor_drain(id), 0);
	if (ending == BY_FAILURE)
		hold_end(hold);
}

static void ends_with_receiver(enum ending ending)
{
	struct hold hold = {0};
	struct sending s[4];
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 1);
	hold.gate = puppet_spawn(NULL, 1);
	ACTS(id, ending == BY_FAILURE ? act_hold_then_fail : act_hold, &hold);
	AWAIT(flag_is_up(&hold.begun));
	for (size_t i = 0; i < 4; i++) {
		s[i] = sending_to(id, 9, i);
		if (i % 2)
			sending_in_thread(&s[i]);
		else
			sending_in_puppet(&s[i], puppet_spawn(NULL, 0));
	}
	end_receiver(ending, id, &hold);
	for (size_t i = 0; i < 4; i++) {
		int result = i % 2 ? sending_thread_result(&s[i])
				   : sending_puppet_result(&s[i]);

		if (ending == BY_DRAIN)
			cr_assert_eq(result, -ESHUTDOWN);
		else
			cr_assert(result == -ESRCH || result == -ESHUTDOWN ||
					  (ending == BY_ENGINE &&
					   result == -ECANCELED),
				  "waiter %zu: %d", i, result);
	}
	if (ending != BY_ENGINE) {
		rota_actor_stop(hold.gate);
		cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
		quiesce();
		engine_stop();
	}
	cr_assert_eq(tally_of(&record.n), 0);
	cr_assert_eq(n_dead(), 0); /* refused, so never accepted */
}

Test(room, waiters_are_refused_when_the_receiver_is_stopped, .timeout = HANG)
{
	ends_with_receiver(BY_STOP);
}

Test(room, waiters_are_refused_when_the_receiver_closes, .timeout = HANG)
{
	ends_with_receiver(BY_DRAIN);
}

Test(room, waiters_are_refused_when_the_receiver_fails, .timeout = HANG)
{
	ends_with_receiver(BY_FAILURE);
}

Test(room, waiters_are_refused_when_the_engine_stops, .timeout = HANG)
{
	ends_with_receiver(BY_ENGINE);
}

/* ---- the sender's end ---- */

Test(room, a_stopped_sender_waits_no_more, .timeout = HANG)
{
	struct hold hold;
	struct sending s;
	rota_id from;
	rota_id id;

	engine_start(2);
	id = full_puppet(&hold, 3);
	from = puppet_spawn(NULL, 0);
	s = sending_to(id, 9, 99);
	sending_in_puppet(&s, from);
	cr_assert_eq(rota_actor_stop(from), 0);
	cr_assert_eq(sending_puppet_result(&s), -ECANCELED);
	cr_assert_eq(rota_join(from, PATIENCE, NULL), 0);
	hold_end(&hold);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 2); /* its message never arrives */
	hold = (struct hold){0};
	hold_start(&hold, id);
	cr_assert_eq(fill(id, 1), 2); /* and took no room with it */
	hold_end(&hold);
	engine_stop();
}

Test(room, a_stopped_sender_leaves_the_others_in_order, .timeout = HANG)
{
	struct sending s[WAITERS];
	rota_id from[WAITERS];
	struct hold hold;
	rota_id id;

	engine_start(2);
	id = full_puppet(&hold, 2);
	for (size_t i = 0; i < WAITERS; i++) {
		from[i] = puppet_spawn(NULL, 0);
		s[i] = sending_to(id, 9, 100 + i / 2);
		sending_in_puppet(&s[i], from[i]);
	}
	for (size_t i = 1; i < WAITERS; i += 2) {
		cr_assert_eq(rota_actor_stop(from[i]), 0);
		cr_assert_eq(sending_puppet_result(&s[i]), -ECANCELED);
	}
	hold_end(&hold);
	for (size_t i = 0; i < WAITERS; i += 2)
		cr_assert_eq(sending_puppet_result(&s[i]), 0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 1 + WAITERS / 2);
	expect_order(1, WAITERS / 2);
	engine_stop();
}

/* ---- many ---- */

/* A receiver that frees one place at a time serves all in the end. */
Test(room, all_of_many_waiters_get_it, .timeout = HANG)
{
	size_t n = N_WAITS(5000, 1000);
	struct sending *s = calloc(n, sizeof(*s));
	struct hold hold;
	rota_id id;

	engine_start(2);
	id = full_puppet(&hold, 2);
	for (size_t i = 0; i < n; i++) {
		s[i] = sending_to(id, 9, i);
		ACTS(puppet_spawn(NULL, 1), act_sending, &s[i]);
	}
	AWAIT(counters().waits >= n + 1);
	hold_end(&hold);
	quiesce();
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(s[i].result, 0);
	cr_assert_eq(tally_of(&record.n), n + 1);
	engine_stop();
	free(s);
}
