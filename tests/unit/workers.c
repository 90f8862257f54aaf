/* SPDX-License-Identifier: MIT */
/*
 * workers - does their number change as asked, and is nothing lost?
 */
#include <rota/process.h>
#include <rota/task.h>

#include "tests/unit/threads.h"

/* ---- the number ---- */

Test(workers, are_as_many_as_asked_for, .timeout = HANG)
{
	static const unsigned numbers[] = {3, 1, 8, 2, 2, 16, 1};

	engine_start(2);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		cr_assert_eq(rota_workers_set(engine, numbers[i]), 0);
		cr_assert_eq(rota_workers(engine), numbers[i]);
	}
	engine_stop();
}

Test(workers, nonsense_is_refused_and_changes_nothing, .timeout = HANG)
{
	rota_engine *old;

	engine_start(2);
	cr_assert_eq(rota_workers_set(engine, 0), -EINVAL);
	cr_assert_eq(rota_workers_set(engine, 1025), -EINVAL);
	cr_assert_eq(rota_workers_set(NULL, 1), -EINVAL);
	cr_assert_eq(rota_workers(engine), 2);
	old = engine;
	engine_stop();
	cr_assert_eq(rota_workers_set(old, 1), -ESRCH);
	cr_assert_eq(rota_workers(old), 0);
	cr_assert_eq(rota_workers(NULL), 0);
}

Test(workers, there_is_one_where_a_host_drives, .timeout = HANG)
{
	struct rota_config config = test_config(1);

	config.flags = ROTA_RUN_HERE;
	engine = engine_make(&config);
	cr_assert_eq(rota_workers_set(engine, 2), -EINVAL);
	cr_assert_eq(rota_workers(engine), 1);
	engine_stop();
}

struct setting {
	unsigned n;
	int result;
	unsigned seen;
};

static int act_set(void *arg)
{
	struct setting *setting = arg;

	setting->result = rota_workers_set(engine, setting->n);
	setting->seen = rota_workers(engine);
	return 0;
}

Test(workers, a_handler_may_change_their_number, .timeout = HANG)
{
	rota_id actor;

	engine_start(2);
	actor = puppet_spawn(NULL, 0);
	for (unsigned n = 1; n <= 6; n++) {
		struct setting setting = {.n = 7 - n, .result = -1};

		ACTS(actor, act_set, &setting);
		quiesce();
		cr_assert_eq(setting.result, 0);
		cr_assert_eq(setting.seen, 7 - n);
	}
	engine_stop();
}

/* ---- growing ---- */

/* Turns that only end when all of them run at a time. */
struct meeting {
	struct tally come;
	size_t n;
};

static int act_meet(void *arg)
{
	struct meeting *meeting = arg;

	tally_add(&meeting->come, 1);
	while (tally_of(&meeting->come) < meeting->n)
		nap();
	return 0;
}

static void meet(size_t n)
{
	struct meeting meeting = {.n = n};

	for (size_t i = 0; i < n; i++)
		ACTS(puppet_spawn(NULL, 0), act_meet, &meeting);
	quiesce();
	cr_assert_eq(tally_of(&meeting.come), n);
}

Test(workers, more_of_them_run_more_turns_at_a_time, .timeout = HANG)
{
	engine_start(1);
	meet(1);
	for (unsigned n = 2; n <= 12; n += 5) {
		cr_assert_eq(rota_workers_set(engine, n), 0);
		meet(n);
	}
	/* Again after some have gone, be their threads there still or not. */
	for (unsigned round = 0; round < 6; round++) {
		cr_assert_eq(rota_workers_set(engine, 2), 0);
		if (round % 2)
			nanosleep(&(struct timespec){.tv_nsec = 30000000},
				  NULL);
		cr_assert_eq(rota_workers_set(engine, 12), 0);
		meet(12);
	}
	engine_stop();
}

/* ---- shrinking ---- */

Test(workers, threads_of_those_that_leave_end, .timeout = HANG)
{
	unsigned before;

	engine_start(1);
	before = n_threads();
	for (unsigned round = 0; round < 3; round++) {
		cr_assert_eq(rota_workers_set(engine, 8), 0);
		meet(8);
		AWAIT(n_threads() == before + 7);
		cr_assert_eq(rota_workers_set(engine, 1), 0);
		AWAIT(n_threads() == before);
	}
	engine_stop();
}

#define WAITS 40

/* On all workers turns wait, and all workers but one leave: the turns go on. */
Test(workers, turns_that_wait_on_a_leaving_thread_go_on, .timeout = HANG)
{
	static struct hold holds[WAITS];
	unsigned before;

	engine_start(1);
	before = n_threads();
	cr_assert_eq(rota_workers_set(engine, 8), 0);
	meet(8);
	for (size_t i = 0; i < WAITS; i++)
		hold_start(&holds[i], puppet_spawn(NULL, 0));
	cr_assert_eq(rota_workers_set(engine, 1), 0);
	/* Time in which they would go if they did not care. */
	nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	for (size_t i = 0; i < WAITS; i++)
		hold_end(&holds[i]);
	for (size_t i = 0; i < WAITS; i++)
		cr_assert_eq(holds[i].result, 0);
	AWAIT(n_threads() == before);
	engine_stop();
}

/* A turn that waits in a receive, and goes on where it stands. */
struct listener {
	struct flag begun;
	struct flag ended;
	int result;
	unsigned tag;
};

static int act_listen(void *arg)
{
	struct listener *l = arg;
	struct rota_received m = {0};

	flag_raise(&l->begun);
	l->result = rota_receive(NULL, ROTA_FOREVER, &m);
	l->tag = m.tag;
	flag_raise(&l->ended);
	return 0;
}

/* On threads that leave: they come back for it, which they cannot if they have
   ended. */
Test(workers, turns_that_listen_on_a_leaving_thread_go_on, .timeout = HANG)
{
	static struct listener listeners[WAITS];
	rota_id id[WAITS];
	unsigned before;

	engine_start(1);
	before = n_threads();
	cr_assert_eq(rota_workers_set(engine, 8), 0);
	meet(8);
	for (size_t i = 0; i < WAITS; i++) {
		id[i] = puppet_spawn(NULL, 0);
		ACTS(id[i], act_listen, &listeners[i]);
		AWAIT(flag_is_up(&listeners[i].begun));
	}
	cr_assert_eq(rota_workers_set(engine, 1), 0);
	/* Time in which they would end if they did not care. */
	nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	for (size_t i = 0; i < WAITS; i++)
		cr_assert_eq(send_value(id[i], 7, i), 0);
	for (size_t i = 0; i < WAITS; i++) {
		AWAIT(flag_is_up(&listeners[i].ended));
		cr_assert_eq(listeners[i].result, 0);
		cr_assert_eq(listeners[i].tag, 7);
	}
	AWAIT(n_threads() == before);
	engine_stop();
}

/* What a turn sends when it goes on there is handled by those that stay. */
struct sender {
	rota_id gate;
	rota_id to;
	struct tally begun;
};

static int act_join_and_send(void *arg)
{
	struct sender *sender = arg;
	int error;

	tally_add(&sender->begun, 1);
	error = rota_join(sender->gate, ROTA_FOREVER, NULL);
	for (uint64_t i = 0; i < 100 && !error; i++)
		error = send_value(sender->to, 1, i);
	return error;
}

Test(workers, what_they_send_is_not_lost, .timeout = HANG)
{
	static struct record record;
	struct sender sender;

	engine_start(8);
	sender = (struct sender){.gate = puppet_spawn(NULL, 1),
				 .to = puppet_spawn(&record, 4)};
	for (size_t i = 0; i < WAITS; i++)
		ACTS(puppet_spawn(NULL, 0), act_join_and_send, &sender);
	AWAIT(tally_of(&sender.begun) == WAITS);
	cr_assert_eq(rota_workers_set(engine, 1), 0);
	cr_assert_eq(rota_actor_stop(sender.gate), 0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), WAITS * 100);
	cr_assert_eq(n_dead(), 0);
	engine_stop();
}

static int act_timers(void *arg)
{
	rota_id to = *(rota_id *)arg;
	int error = 0;

	for (uint64_t i = 0; i < 20 && !error; i++)
		error = rota_send_after(to, 1, &i, sizeof(i),
					ROTA_MS((int64_t)(30 + 5 * i)), NULL);
	return error;
}

/* Alarms that were set at a worker ring though it has left, and new ones that
   come from outside find somebody. */
Test(workers, timers_ring_whoever_has_left, .timeout = HANG)
{
	static struct record record;
	rota_id to;

	engine_start(8);
	to = puppet_spawn(&record, 0);
	for (size_t i = 0; i < 16; i++)
		ACTS(puppet_spawn(NULL, 0), act_timers, &to);
	AWAIT(counters().messages >= 16);
	cr_assert_eq(rota_workers_set(engine, 1), 0);
	for (uint64_t i = 0; i < 80; i++) {
		cr_assert_eq(
			rota_send_after(to, 1, &i, sizeof(i), ROTA_MS(1), NULL),
			0);
		nap();
	}
	quiesce();
	cr_assert_eq(tally_of(&record.n), 16 * 20 + 80);
	engine_stop();
}

/* ---- handing over ---- */

static int act_nothing(void *arg)
{
	tally_add(arg, 1);
	return 0;
}

static int task_count(void *arg)
{
	struct tally *tally;

	memcpy(&tally, arg, sizeof(tally));
	tally_add(tally, 1);
	return 0;
}

struct crowd {
	struct tally handled;
	struct flag full;
	struct flag go;
};

/* Its ring, spill and hand are full when it comes back. */
static int act_crowd(void *arg)
{
	struct crowd *crowd = arg;
	struct tally *handled = &crowd->handled;
	int error = 0;

	for (unsigned i = 0; i < 2000 && !error; i++) {
		rota_id id = rota_spawn(NULL, &puppet_behaviour,
					&(struct puppet){NULL}, NULL);

		error = puppet_act(id, act_nothing, handled);
		if (!error)
			error = rota_task_submit(NULL, task_count, &handled,
						 sizeof(handled), NULL);
	}
	flag_raise(&crowd->full);
	flag_block(&crowd->go);
	return error;
}

Test(workers, one_that_leaves_with_much_to_do_hands_it_over, .timeout = HANG)
{
	static struct crowd crowds[4];

	engine_start(4);
	for (size_t i = 0; i < 4; i++)
		ACTS(puppet_spawn(NULL, 0), act_crowd, &crowds[i]);
	for (size_t i = 0; i < 4; i++)
		AWAIT(flag_is_up(&crowds[i].full));
	cr_assert_eq(rota_workers_set(engine, 1), 0);
	for (size_t i = 0; i < 4; i++)
		flag_raise(&crowds[i].go);
	quiesce();
	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(tally_of(&crowds[i].handled), 4000);
	engine_stop();
}

/* ---- the stop ---- */

Test(workers, a_stop_finds_those_that_are_leaving, .timeout = HANG)
{
	for (unsigned round = 0; round < 20; round++) {
		static struct hold hold;

		hold = (struct hold){.result = 1};
		engine_start(4);
		if (round % 2)
			hold_start(&hold, puppet_spawn(NULL, 0));
		cr_assert_eq(rota_workers_set(engine, 1 + round % 4), 0);
		engine_stop();
		if (round % 2)
			cr_assert_eq(hold.result, -ECANCELED);
	}
}

/* ---- spares ---- */

static void start_with_spares(unsigned workers, unsigned spares)
{
	struct rota_config config = test_config(workers);

	config.spares = spares;
	engine = engine_make(&config);
}

static int act_count(void *arg)
{
	tally_add(arg, 1);
	return 0;
}

/* Two workers are stuck, and yet others are served, before they come back. */
Test(workers, spares_take_the_place_of_stuck_ones, .timeout = HANG)
{
	struct stall stalls[2] = {0};
	struct tally n_served = {0};
	unsigned before;

	start_with_spares(2, 0);
	before = n_threads();
	for (size_t i = 0; i < 2; i++)
		stall_start(&stalls[i], puppet_spawn(NULL, 0));
	for (size_t i = 0; i < 100; i++)
		ACTS(puppet_spawn(NULL, 0), act_count, &n_served);
	AWAIT(tally_of(&n_served) == 100);
	AWAIT(counters().spares > 0); /* counted once it is on duty */
	cr_assert_eq(rota_workers(engine), 2);
	for (size_t i = 0; i < 2; i++)
		flag_raise(&stalls[i].go);
	quiesce();
	AWAIT(n_threads() == before);
	engine_stop();
}

/* What the stuck turn itself has sent before. */
static int act_send_and_stall(void *arg)
{
	struct sender *sender = arg;

	for (uint64_t i = 0; i < 50; i++)
		send_value(sender->to, 1, i);
	tally_add(&sender->begun, 1);
	while (rota_is_alive(sender->gate))
		nap();
	return 0;
}

Test(workers, siblings_of_a_long_turn_are_served_meanwhile, .timeout = HANG)
{
	static struct record record;
	struct sender sender;

	start_with_spares(1, 4);
	sender = (struct sender){.gate = puppet_spawn(NULL, 1),
				 .to = puppet_spawn(&record, 64)};
	ACTS(puppet_spawn(NULL, 0), act_send_and_stall, &sender);
	AWAIT(tally_of(&record.n) == 50);
	/* Only they could handle this, too. */
	cr_assert_eq(rota_actor_stop(sender.gate), 0);
	quiesce();
	engine_stop();
}

Test(workers, there_are_no_more_spares_than_allowed, .timeout = HANG)
{
	static struct record record;
	struct stall stalls[3] = {0};
	unsigned before;

	start_with_spares(1, 2);
	before = n_threads();
	for (size_t i = 0; i < 3; i++)
		stall_start(&stalls[i], puppet_spawn(NULL, 0));
	cr_assert_eq(send_value(puppet_spawn(&record, 0), 1, 1), 0);
	nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	cr_assert_eq(tally_of(&record.n), 0);
	AWAIT(n_threads() == before + 2);
	AWAIT(counters().spares >= 2);
	for (size_t i = 0; i < 3; i++)
		flag_raise(&stalls[i].go);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 1);
	engine_stop();
}

Test(workers, none_come_where_there_is_nothing_to_do, .timeout = HANG)
{
	struct stall stall = {0};
	uint64_t before;

	start_with_spares(1, 4);
	stall_start(&stall, puppet_spawn(NULL, 0));
	/* The worker may have been kept from starting for long. */
	before = counters().spares;
	nanosleep(&(struct timespec){.tv_nsec = 30000000}, NULL);
	/* One may have been on its way; else there would be three by now. */
	cr_assert_leq(counters().spares, before + 1);
	flag_raise(&stall.go);
	quiesce();
	engine_stop();
}

Test(workers, a_config_may_say_how_many_spares, .timeout = HANG)
{
	struct rota_config config = test_config(1);

	config.spares = 1025;
	cr_assert_null(rota_start(&config));
	cr_assert_eq(errno, EINVAL);
	start_with_spares(1, 1024);
	engine_stop();
}
