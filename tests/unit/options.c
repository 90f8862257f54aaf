/* SPDX-License-Identifier: MIT */
/*
 * options - structs that grow: what an older or newer program may pass
 *
 * The rule is that of the kernel's clone3: an older, shorter struct means zero
 * for what it lacks; of a newer, longer one the unknown tail must be zero.
 */
#include "tests/unit/support.h"

/* Today's struct with a tail of tomorrow's. */
#define NEWER(type)                \
	struct {                   \
		type now;          \
		uint64_t later[2]; \
	}

Test(options, start_refuses_an_unknown_tail_that_is_set, .timeout = HANG)
{
	NEWER(struct rota_config) newer = {.later = {0, 1}};

	newer.now.size = sizeof(newer);
	newer.now.workers = 1;
	errno = 0;
	cr_assert_null(rota_start(&newer.now));
	cr_assert_eq(errno, E2BIG);
}

Test(options, start_accepts_an_unknown_tail_of_zeroes, .timeout = HANG)
{
	NEWER(struct rota_config) newer = {.later = {0, 0}};

	newer.now.size = sizeof(newer);
	newer.now.workers = 1;
	engine = engine_make(&newer.now);
	engine_stop();
}

Test(options, start_accepts_an_older_struct, .timeout = HANG)
{
	struct rota_config older;

	memset(&older, 0xff, sizeof(older)); /* none of its memory is read */
	older.size = offsetof(struct rota_config, mailbox);
	older.workers = 3;
	engine = engine_make(&older);
	cr_assert_eq(rota_workers(engine), 3);
	engine_stop();
}

Test(options, start_refuses_a_forgotten_size)
{
	struct rota_config config = {0};

	errno = 0;
	cr_assert_null(rota_start(&config));
	cr_assert_eq(errno, EINVAL);
}

Test(options, spawn_refuses_an_unknown_tail_that_is_set, .timeout = HANG)
{
	NEWER(struct rota_spawn_options) newer = {.later = {1, 0}};
	rota_id id;

	newer.now.size = sizeof(newer);
	engine_start(1);
	id = rota_spawn(engine, &puppet_behaviour, NULL, &newer.now);
	cr_assert_eq(rota_id_error(id), -E2BIG);
	engine_stop();
}

Test(options, spawn_accepts_an_unknown_tail_of_zeroes, .timeout = HANG)
{
	NEWER(struct rota_spawn_options) newer = {.later = {0, 0}};
	rota_id id;

	newer.now.size = sizeof(newer);
	engine_start(1);
	id = rota_spawn(engine, &puppet_behaviour, NULL, &newer.now);
	cr_assert_eq(rota_id_error(id), 0);
	engine_stop();
}

Test(options, spawn_accepts_an_older_struct, .timeout = HANG)
{
	struct rota_spawn_options older;
	rota_id id;

	memset(&older, 0xff, sizeof(older));
	older.size = offsetof(struct rota_spawn_options, mailbox);
	engine_start(1);
	id = rota_spawn(engine, &puppet_behaviour, NULL, &older);
	cr_assert_eq(rota_id_error(id), 0);
	engine_stop();
}

Test(options, spawn_refuses_a_forgotten_size, .timeout = HANG)
{
	struct rota_spawn_options options = {0};
	rota_id id;

	engine_start(1);
	id = rota_spawn(engine, &puppet_behaviour, NULL, &options);
	cr_assert_eq(rota_id_error(id), -EINVAL);
	engine_stop();
}

/* Behaviours are constants: what is asked of one is never changed here. */
Test(options, spawn_accepts_a_behaviour_with_a_tail_of_zeroes, .timeout = HANG)
{
	static NEWER(struct rota_behaviour) newer;

	newer.now = puppet_behaviour;
	newer.now.size = sizeof(newer);
	engine_start(1);
	cr_assert_eq(rota_id_error(rota_spawn(engine, &newer.now, NULL, NULL)),
		     0);
	engine_stop();
}

Test(options, spawn_refuses_a_newer_behaviour, .timeout = HANG)
{
	static NEWER(struct rota_behaviour) newer = {.later = {0, 1}};

	newer.now = puppet_behaviour;
	newer.now.size = sizeof(newer);
	engine_start(1);
	cr_assert_eq(rota_id_error(rota_spawn(engine, &newer.now, NULL, NULL)),
		     -E2BIG);
	engine_stop();
}

Test(options, counters_fill_no_more_than_they_were_given, .timeout = HANG)
{
	struct rota_stats older;

	engine_start(1);
	(void)puppet_spawn(NULL, 0);
	memset(&older, 0x5a, sizeof(older));
	older.size = offsetof(struct rota_stats, ended);
	rota_stats(engine, ROTA_STATS_ALL, &older);
	cr_assert_eq(older.spawned, 1);
	cr_assert_eq(older.ended, UINT64_C(0x5a5a5a5a5a5a5a5a));
	cr_assert_eq(older.memory, UINT64_C(0x5a5a5a5a5a5a5a5a));
	engine_stop();
}

Test(options, the_report_fills_no_more_than_it_was_given, .timeout = HANG)
{
	struct rota_stop_report older;

	memset(&older, 0x5a, sizeof(older));
	older.size = offsetof(struct rota_stop_report, dead_letters);
	engine_start(1);
	(void)puppet_spawn(NULL, 0);
	quiesce();
	cr_assert_eq(rota_stop_report(engine, PATIENCE, &older), 0);
	cr_assert_eq(older.actors_stopped, 1);
	cr_assert_eq(older.dead_letters, UINT64_C(0x5a5a5a5a5a5a5a5a));
}
