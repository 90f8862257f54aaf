/* SPDX-License-Identifier: MIT */
/*
 * id - the names of actors: plain values that never dangle
 */
#include "tests/unit/support.h"

static struct record record;

/* Every call on an id that names no living actor. */
static void expect_all(rota_id id, int error, bool is_joined)
{
	uint64_t value = 0;
	rota_timer timer;

	cr_assert_eq(send_value(id, 1, 1), error);
	cr_assert_eq(try_value(id, 1, 1), error);
	cr_assert_eq(rota_send_within(id, 1, &value, 8, ROTA_FOREVER), error);
	cr_assert_eq(rota_send_within(id, 1, &value, 8, ROTA_NOW), error);
	cr_assert_eq(rota_send_urgent(id, 1, &value, 8), error);
	cr_assert_eq(rota_send_own(id, 1, &value, 8, NULL, ROTA_FOREVER),
		     error);
	cr_assert_eq(rota_send_after(id, 1, &value, 8, 0, &timer), error);
	cr_assert_eq(rota_send_after(id, 1, &value, 8, ROTA_S(1), NULL), error);
	cr_assert_eq(rota_actor_stop(id), error);
	cr_assert_eq(rota_actor_drain(id), error);
	cr_assert_eq(rota_is_alive(id), 0);
	if (is_joined)
		cr_assert_eq(rota_join(id, ROTA_FOREVER, NULL), error);
}

Test(id, none_names_nobody, .timeout = HANG)
{
	cr_assert_eq(rota_id_error(ROTA_NONE), -ESRCH);
	expect_all(ROTA_NONE, -ESRCH, true);
	engine_start(1);
	expect_all(ROTA_NONE, -ESRCH, true);
	engine_stop();
}

Test(id, of_a_failed_spawn_carries_its_error, .timeout = HANG)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	struct {
		struct rota_spawn_options now;
		uint64_t later;
	} newer = {.later = 1};
	rota_id id;

	engine_start(1);
	options.mailbox = ROTA_MAX_MAILBOX + 1;
	id = rota_spawn(engine, &puppet_behaviour, NULL, &options);
	cr_assert_eq(rota_id_error(id), -EINVAL);
	expect_all(id, -EINVAL, true);
	newer.now.size = sizeof(newer);
	id = rota_spawn(engine, &puppet_behaviour, NULL, &newer.now);
	cr_assert_eq(rota_id_error(id), -E2BIG);
	expect_all(id, -E2BIG, true);
	engine_stop();
	expect_all(id, -E2BIG, true); /* for ever */
}

Test(id, has_no_error_while_it_may_name_an_actor, .timeout = HANG)
{
	rota_id id;

	engine_start(1);
	id = puppet_spawn(NULL, 0);
	cr_assert_eq(rota_id_error(id), 0);
	cr_assert_eq(rota_actor_stop(id), 0);
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
	cr_assert_eq(rota_id_error(id), 0);
	engine_stop();
}

Test(id, of_the_dead_is_refused_for_ever, .timeout = HANG)
{
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 0);
	cr_assert_eq(rota_actor_stop(id), 0);
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
	for (int i = 0; i < 1000; i++) {
		rota_id other = puppet_spawn(&record, 0);

		cr_assert_neq(other, id);
		expect_all(id, -ESRCH, false);
		cr_assert_eq(rota_is_alive(other), 1);
		ACTS(other, act_self_stop, NULL);
		if (i % 10 == 0)
			quiesce();
	}
	quiesce();
	cr_assert_eq(tally_of(&record.n), 0);
	cr_assert_eq(n_dead(), 0);
	engine_stop();
	expect_all(id, -ESRCH, true);
}

/* ---- never twice ---- */

static int compare_ids(const void *a, const void *b)
{
	const rota_id *left = a;
	const rota_id *right = b;

	return (*left > *right) - (*left < *right);
}

static void expect_distinct(rota_id *id, size_t n)
{
	qsort(id, n, sizeof(*id), compare_ids);
	for (size_t i = 1; i < n; i++)
		cr_assert_neq(id[i - 1], id[i]);
	cr_assert_neq(id[0], ROTA_NONE);
}

Test(id, is_never_used_twice, .timeout = HANG)
{
	size_t n = SIZED(100000, 10000);
	rota_id *id = calloc(n, sizeof(*id));

	engine_start(2);
	for (size_t i = 0; i < n; i++) {
		id[i] = puppet_spawn(NULL, 1);
		if (i % 4)
			cr_assert_eq(rota_actor_stop(id[i]), 0);
		if (i % 100 == 0)
			quiesce();
	}
	expect_distinct(id, n);
	engine_stop();
	free(id);
}

/* Engine numbers are used again; the ids of each engine are new all the same.
 */
Test(id, is_never_used_twice_by_later_engines, .timeout = HANG)
{
	enum { PER_ENGINE = 20 };
	/* Of numbers ThreadSanitizer says nothing. */
	size_t engines = UNDER_TSAN ? 60 : SIZED(600, 300);
	rota_id *id = calloc(engines * PER_ENGINE, sizeof(*id));
	size_t n = 0;

	for (size_t i = 0; i < engines; i++) {
		engine_start(1);
		for (size_t j = 0; j < PER_ENGINE; j++) {
			id[n] = puppet_spawn(&record, 0);
			if (j % 2)
				cr_assert_eq(rota_actor_stop(id[n]), 0);
			n++;
		}
		if (i % 16 == 0)
			for (size_t j = 0; j < n - PER_ENGINE; j += 7)
				expect_all(id[j], -ESRCH, true);
		engine_stop();
	}
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(send_value(id[i], 1, 1), -ESRCH);
	expect_distinct(id, n);
	cr_assert_eq(tally_of(&record.n), 0);
	free(id);
}

/* ---- several engines ---- */

Test(id, works_across_engines, .timeout = HANG)
{
	static struct record records[2];
	struct rota_config config = test_config(2);
	struct sending s[2];
	rota_engine *both[2];
	rota_id from[2];
	rota_id to[2];

	for (int i = 0; i < 2; i++) {
		engine = both[i] = engine_make(&config);
		from[i] = puppet_spawn(NULL, 0);
		to[i] = puppet_spawn(&records[i], 0);
	}
	cr_assert_neq(from[0], from[1]);
	for (int i = 0; i < 2; i++) {
		s[i] = sending_to(to[!i], 1, 10 + (uint64_t)i);
		ACTS(from[i], act_sending, &s[i]);
	}
	for (int i = 0; i < 2; i++)
		AWAIT(tally_of(&records[i].n) == 1);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(rota_quiesce(both[i], PATIENCE), 0);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(s[i].result, 0);
		cr_assert_eq(records[i].note[0].value, 11 - (uint64_t)i);
		cr_assert_eq(records[i].note[0].sender, from[!i]);
	}
	cr_assert_eq(rota_stop(both[0], PATIENCE), 0);
	expect_all(to[0], -ESRCH, true);
	cr_assert_eq(send_value(to[1], 1, 1), 0); /* they share nothing */
	engine = both[1];
	quiesce();
	cr_assert_eq(tally_of(&records[1].n), 2);
	engine_stop();
}

/* Across engines a handler waits for room as within one. */
Test(id, waits_for_room_across_engines, .timeout = HANG)
{
	struct rota_config config = test_config(1);
	struct hold hold = {0};
	struct sending s;
	rota_engine *other;

	other = engine = engine_make(&config);
	s = sending_to(puppet_spawn(&record, 1), 1, 5);
	hold_start(&hold, s.to);
	engine_start(1);
	sending_in_puppet(&s, puppet_spawn(NULL, 0));
	cr_assert_eq(rota_actor_stop(hold.gate), 0);
	cr_assert_eq(sending_puppet_result(&s), 0);
	engine_stop();
	cr_assert_eq(rota_quiesce(other, PATIENCE), 0);
	cr_assert_eq(tally_of(&record.n), 1);
	cr_assert_eq(rota_stop(other, PATIENCE), 0);
}

/* The engine that a handler waits on goes away; the handler goes on. */
Test(id, a_wait_ends_with_the_other_engine, .timeout = HANG)
{
	struct rota_config config = test_config(1);
	struct hold hold = {0};
	struct sending s;
	rota_engine *other;

	other = engine = engine_make(&config);
	s = sending_to(puppet_spawn(NULL, 1), 1, 5);
	hold_start(&hold, s.to);
	engine_start(1);
	sending_in_puppet(&s, puppet_spawn(NULL, 0));
	cr_assert_eq(rota_stop(other, PATIENCE), 0);
	sending_puppet_result(&s);
	cr_assert(s.result == -ESRCH || s.result == -ESHUTDOWN, "%d", s.result);
	engine_stop();
}

/* The waiter's engine goes away; the receiver's room is not lost with it. */
Test(id, a_wait_ends_with_its_own_engine, .timeout = HANG)
{
	struct rota_config config = test_config(1);
	struct hold hold = {0};
	struct sending s;
	rota_engine *other;

	other = engine = engine_make(&config);
	s = sending_to(puppet_spawn(&record, 2), 1, 5);
	hold_start(&hold, s.to);
	cr_assert_eq(fill(s.to, 1), 1);
	engine_start(1);
	sending_in_puppet(&s, puppet_spawn(NULL, 0));
	engine_stop();
	cr_assert(flag_is_up(&s.ended));
	cr_assert_eq(s.result, -ECANCELED);
	engine = other;
	hold_end(&hold);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 1);
	hold = (struct hold){0};
	hold_start(&hold, s.to);
	cr_assert_eq(fill(s.to, 1), 1);
	hold_end(&hold);
	engine_stop();
}

/* ---- made up ---- */

Test(id, any_64_bits_may_be_asked_about, .timeout = HANG)
{
	uint64_t random = 88172645463325252u;

	engine_start(1);
	(void)puppet_spawn(&record, 0);
	for (int i = 0; i < 100000; i++) {
		(void)next_random(&random);
		(void)rota_id_error(random);
		cr_assert_lt(send_value(random, 1, 1), 0);
		cr_assert_lt(rota_actor_stop(random), 0);
		cr_assert_eq(rota_is_alive(random), 0);
		cr_assert_lt(rota_join(random, ROTA_NOW, NULL), 1);
	}
	engine_stop();
	cr_assert_eq(tally_of(&record.n), 0);
}
