/* SPDX-License-Identifier: MIT */
/*
 * lanes - urgent before normal, in order within each
 */
#include "tests/unit/support.h"

#define NORMAL 1u
#define URGENT 2u

static struct record record;

static int urgent_value(rota_id to, uint64_t value)
{
	return rota_send_urgent(to, URGENT, &value, sizeof(value));
}

static void expect_notes(size_t from, size_t n, unsigned tag)
{
	for (size_t i = 0; i < n; i++) {
		cr_assert_eq(record.note[from + i].tag, tag, "note %zu",
			     from + i);
		cr_assert_eq(record.note[from + i].value, i, "note %zu",
			     from + i);
	}
}

Test(lanes, urgent_ones_go_first, .timeout = HANG)
{
	struct hold hold = {0};
	rota_id id;

	engine_start(1);
	id = puppet_spawn(&record, 100);
	hold_start(&hold, id);
	for (uint64_t i = 0; i < 20; i++)
		cr_assert_eq(send_value(id, NORMAL, i), 0);
	for (uint64_t i = 0; i < 20; i++)
		cr_assert_eq(urgent_value(id, i), 0);
	hold_end(&hold);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 40);
	expect_notes(0, 20, URGENT);
	expect_notes(20, 20, NORMAL);
	engine_stop();
}

Test(lanes, each_is_first_in_first_out_when_mixed, .timeout = HANG)
{
	struct hold hold = {0};
	rota_id id;

	engine_start(1);
	id = puppet_spawn(&record, 300);
	hold_start(&hold, id);
	for (uint64_t i = 0; i < 100; i++) {
		cr_assert_eq(send_value(id, NORMAL, i), 0);
		cr_assert_eq(urgent_value(id, i), 0);
	}
	hold_end(&hold);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 200);
	expect_notes(0, 100, URGENT);
	expect_notes(100, 100, NORMAL);
	engine_stop();
}

/* Also one that comes when a batch of normal ones is already taken. */
struct intruder {
	rota_id self;
	int sent;
};

static int act_intrude(void *arg)
{
	struct intruder *intruder = arg;

	intruder->sent = urgent_value(rota_self(), 0);
	return 0;
}

Test(lanes, an_urgent_one_overtakes_a_batch_in_progress, .timeout = HANG)
{
	struct hold hold = {0};
	struct intruder intruder = {.sent = 1};
	rota_id id;

	engine_start(1);
	id = puppet_spawn(&record, 100);
	hold_start(&hold, id);
	for (uint64_t i = 0; i < 5; i++)
		cr_assert_eq(send_value(id, NORMAL, i), 0);
	ACTS(id, act_intrude, &intruder);
	for (uint64_t i = 5; i < 10; i++)
		cr_assert_eq(send_value(id, NORMAL, i), 0);
	hold_end(&hold);
	quiesce();
	cr_assert_eq(intruder.sent, 0);
	cr_assert_eq(tally_of(&record.n), 11);
	cr_assert_eq(record.note[5].tag, URGENT);
	for (size_t i = 0; i < 10; i++)
		cr_assert_eq(record.note[i < 5 ? i : i + 1].value, i);
	engine_stop();
}

/* What the urgent one found unhandled keeps its order, also many times over. */
Test(lanes, normal_ones_keep_their_order_around_urgent_ones, .timeout = HANG)
{
	enum { N = 600 };
	struct hold hold = {0};
	struct intruder intruder = {.sent = 1};
	uint64_t next = 0;
	rota_id id;

	engine_start(1);
	id = puppet_spawn(&record, 2 * N);
	hold_start(&hold, id);
	for (uint64_t i = 0; i < N; i++) {
		cr_assert_eq(send_value(id, NORMAL, i), 0);
		if (i % 3 == 0)
			ACTS(id, act_intrude, &intruder);
	}
	hold_end(&hold);
	quiesce();
	cr_assert_eq(tally_of(&record.n), N + N / 3);
	for (size_t i = 0; i < N + N / 3; i++)
		if (record.note[i].tag == NORMAL)
			cr_assert_eq(record.note[i].value, next++);
	cr_assert_eq(next, N);
	engine_stop();
}

Test(lanes, an_urgent_one_wakes_an_idle_actor, .timeout = HANG)
{
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 4);
	for (uint64_t i = 0; i < 100; i++) {
		cr_assert_eq(urgent_value(id, i), 0);
		quiesce();
		cr_assert_eq(tally_of(&record.n), i + 1);
	}
	expect_notes(0, 100, URGENT);
	engine_stop();
}

/* Sent to full mailboxes it waits, and once in goes first like any other. */
Test(lanes, an_urgent_one_waits_for_room_like_any_other, .timeout = HANG)
{
	struct hold hold = {0};
	struct sending s;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 3);
	hold_start(&hold, id);
	cr_assert_eq(fill(id, NORMAL), 2);
	s = sending_to(id, URGENT, 0);
	s.is_urgent = true;
	sending_in_thread(&s);
	hold_end(&hold);
	cr_assert_eq(sending_thread_result(&s), 0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 3);
	engine_stop();
}

Test(lanes, all_urgent_ones_share_a_lane, .timeout = HANG)
{
	static uint64_t buffer[30];
	struct hold hold = {0};
	uint64_t value;
	rota_id id;

	engine_start(1);
	id = puppet_spawn(&record, 100);
	hold_start(&hold, id);
	for (uint64_t i = 0; i < 10; i++)
		cr_assert_eq(send_value(id, NORMAL, i), 0);
	for (uint64_t i = 0; i < 30; i++) {
		value = buffer[i] = i;
		if (i % 3 == 0)
			cr_assert_eq(urgent_value(id, i), 0);
		else if (i % 3 == 1)
			cr_assert_eq(rota_send_own_urgent(id, URGENT,
							  &buffer[i], 8, NULL,
							  ROTA_NOW),
				     0);
		else
			cr_assert_eq(rota_send_parts(id, URGENT, &value, 8,
						     NULL, 0, ROTA_URGENT,
						     ROTA_NOW),
				     0);
	}
	hold_end(&hold);
	quiesce();
	expect_notes(0, 30, URGENT);
	expect_notes(30, 10, NORMAL);
	engine_stop();
}

Test(lanes, moved_buffers_are_in_the_normal_lane_with_the_rest, .timeout = HANG)
{
	static uint64_t buffer[10];
	struct hold hold = {0};
	rota_id id;

	engine_start(1);
	id = puppet_spawn(&record, 100);
	hold_start(&hold, id);
	for (uint64_t i = 0; i < 20; i++) {
		if (i % 2) {
			cr_assert_eq(send_value(id, NORMAL, i), 0);
			continue;
		}
		buffer[i / 2] = i;
		cr_assert_eq(rota_send_own(id, NORMAL, &buffer[i / 2], 8, NULL,
					   ROTA_FOREVER),
			     0);
	}
	hold_end(&hold);
	quiesce();
	expect_notes(0, 20, NORMAL);
	engine_stop();
}
