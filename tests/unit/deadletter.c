/* SPDX-License-Identifier: MIT */
/*
 * deadletter - what was accepted and not handled is told, with its cause
 */
#include "tests/unit/support.h"

static struct record record;

static int unknown_handle(void *state, unsigned tag, void *payload,
			  size_t length)
{
	(void)payload;
	(void)length;
	if (tag % 2 == 0)
		return ROTA_UNKNOWN;
	tally_add(&(*(struct record **)state)->n, 1);
	return 0;
}

static const struct rota_behaviour unknown_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "unknown",
	.state_size = sizeof(struct record *),
	.handle = unknown_handle,
};

static rota_id unknown_spawn(unsigned capacity)
{
	struct record *state = &record;

	return spawn(&unknown_behaviour, &state, capacity);
}

Test(deadletter, a_message_the_actor_does_not_know, .timeout = HANG)
{
	rota_id id;

	engine_start(2);
	id = unknown_spawn(64);
	for (unsigned tag = 0; tag < 20; tag++)
		cr_assert_eq(send_value(id, tag, 100 + tag), 0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 10); /* it goes on as it was */
	cr_assert_eq(rota_is_alive(id), 1);
	cr_assert_eq(n_dead(), 10);
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_UNKNOWN]), 10);
	for (unsigned i = 0; i < 10; i++) {
		cr_assert_eq(morgue.letter[i].to, id);
		cr_assert_eq(morgue.letter[i].from, ROTA_NONE);
		cr_assert_eq(morgue.letter[i].cause, ROTA_DEAD_UNKNOWN);
		cr_assert_eq(morgue.letter[i].tag, 2 * i);
		cr_assert_eq(morgue.letter[i].length, 8);
		cr_assert_eq(morgue.letter[i].value, 100 + 2 * i);
	}
	engine_stop();
	cr_assert_eq(n_dead(), 10);
}

Test(deadletter, names_its_sender, .timeout = HANG)
{
	struct sending s;
	rota_id from;

	engine_start(2);
	from = puppet_spawn(NULL, 0);
	s = sending_to(unknown_spawn(0), 2, 1);
	ACTS(from, act_sending, &s);
	quiesce();
	cr_assert_eq(n_dead(), 1);
	cr_assert_eq(morgue.letter[0].from, from);
	cr_assert_eq(morgue.letter[0].to, s.to);
	engine_stop();
}

static void length_of_letter(size_t length)
{
	static char bytes[ROTA_MAX_PAYLOAD];
	size_t before = n_dead();
	uint64_t value = UINT64_C(0x1122334455667788);

	memcpy(bytes, &value, sizeof(value));
	cr_assert_eq(rota_send(unknown_spawn(0), 2, bytes, length), 0);
	quiesce();
	cr_assert_eq(n_dead(), before + 1);
	cr_assert_eq(morgue.letter[before].length, length);
	if (length >= 8)
		cr_assert_eq(morgue.letter[before].value, value);
}

Test(deadletter, has_its_payload_of_any_size, .timeout = HANG)
{
	engine_start(2);
	length_of_letter(0);
	length_of_letter(1);
	length_of_letter(40);
	length_of_letter(41);
	length_of_letter(4096);
	length_of_letter(ROTA_MAX_PAYLOAD);
	engine_stop();
}

/* Whatever lane they stood in. */
Test(deadletter, leftovers_are_told_one_by_one, .timeout = HANG)
{
	struct hold hold = {0};
	struct rota_stats sums;
	bool told[64] = {false};
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 64);
	hold_start(&hold, id);
	for (uint64_t i = 0; i < 60; i++) {
		if (i % 3)
			cr_assert_eq(send_value(id, 1, i), 0);
		else
			cr_assert_eq(rota_send_urgent(id, 1, &i, 8), 0);
	}
	cr_assert_eq(rota_actor_stop(id), 0);
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
	quiesce();
	cr_assert_eq(n_dead(), 60);
	for (size_t i = 0; i < 60; i++) {
		uint64_t value = morgue.letter[i].value;

		cr_assert_eq(morgue.letter[i].cause, ROTA_DEAD_STOPPED);
		cr_assert_lt(value, 60);
		cr_assert(!told[value]);
		told[value] = true;
	}
	sums = counters();
	cr_assert_eq(sums.dead_letters[ROTA_DEAD_STOPPED], 60);
	cr_assert_eq(sums.dead_letters[0], 60);
	cr_assert_eq(tally_of(&record.n), 0);
	engine_stop();
}

static int act_fail(void *arg)
{
	(void)arg;
	return -EIO;
}

Test(deadletter, leftovers_of_a_failed_actor_are_told, .timeout = HANG)
{
	struct hold hold = {0};
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 64);
	hold_start(&hold, id);
	ACTS(id, act_fail, NULL);
	for (uint64_t i = 0; i < 5; i++)
		cr_assert_eq(send_value(id, 1, i), 0);
	hold_end(&hold);
	quiesce();
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_STOPPED]), 5);
	engine_stop();
}

Test(deadletter, what_was_refused_is_none, .timeout = HANG)
{
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 0);
	ACTS(id, act_self_stop, NULL);
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
	quiesce();
	cr_assert_eq(send_value(id, 1, 1), -ESRCH); /* refused: not accepted */
	quiesce();
	cr_assert_eq(n_dead(), 0);
	engine_stop();
}

Test(deadletter, is_counted_without_a_callback_too, .timeout = HANG)
{
	struct rota_config config = test_config(2);
	struct rota_stats sums;
	rota_id id;

	config.dead_letter = NULL;
	engine = engine_make(&config);
	id = unknown_spawn(0);
	for (int i = 0; i < 7; i++)
		cr_assert_eq(send_value(id, 2, 1), 0);
	quiesce();
	sums = counters();
	cr_assert_eq(sums.dead_letters[0], 7);
	cr_assert_eq(sums.dead_letters[ROTA_DEAD_UNKNOWN], 7);
	cr_assert_eq(sums.messages, 0);
	engine_stop();
	cr_assert_eq(n_dead(), 0);
}
