/* SPDX-License-Identifier: MIT */
/*
 * dedicated - actors on a thread of their own, or of their group
 */
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <rota/ask.h>
#include <rota/host.h>
#include <rota/process.h>
#include <rota/status.h>
#include <rota/task.h>
#include <rota/wait.h>

#include "tests/unit/threads.h"

static rota_id try_dedicated(const char *group, unsigned flags, unsigned cpu,
			     struct record *record)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;

	options.flags = flags;
	options.group = group;
	options.cpu = cpu;
	return rota_spawn(engine, &puppet_behaviour, &(struct puppet){record},
			  &options);
}

static rota_id dedicated_in(const char *group, struct record *record)
{
	rota_id id = try_dedicated(group, 0, 0, record);

	cr_assert_eq(rota_id_error(id), 0, "%s",
		     rota_strerror(rota_id_error(id)));
	return id;
}

static rota_id dedicated(struct record *record)
{
	rota_id id = try_dedicated(NULL, ROTA_OWN_THREAD, 0, record);

	cr_assert_eq(rota_id_error(id), 0, "%s",
		     rota_strerror(rota_id_error(id)));
	return id;
}

/* Stop an actor, and wait until its end. */
static void end(rota_id id)
{
	cr_assert_eq(rota_actor_stop(id), 0);
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
}

static void start_here(void)
{
	struct rota_config config = test_config(0);

	config.flags = ROTA_RUN_HERE;
	engine = engine_make(&config);
}

/* ---- where turns run ---- */

/* Threads on which turns have been, one word each. */
struct trail {
	struct tally first; /* 0: none yet */
	struct tally n;
	struct tally strays; /* turns on another one */
};

static void tread(struct trail *trail)
{
	size_t here = (size_t)thread_number();

	if (tally_of(&trail->first) == 0)
		tally_add(&trail->first, here);
	else if (tally_of(&trail->first) != here)
		tally_add(&trail->strays, 1);
	tally_add(&trail->n, 1);
}

static int act_tread(void *arg)
{
	tread(arg);
	return 0;
}

static __thread long kept; /* by whoever has the thread to himself */

static int act_keep(void *arg)
{
	struct trail *trail = arg;

	tread(trail);
	if (kept++ != (long)tally_of(&trail->n) - 1)
		tally_add(&trail->strays, 1);
	return 0;
}

Test(dedicated, all_turns_run_on_one_thread, .timeout = HANG)
{
	static struct trail trail;
	rota_id id;

	engine_start(2);
	id = dedicated(NULL);
	for (size_t i = 0; i < 1000; i++)
		ACTS(id, act_keep, &trail);
	quiesce();
	cr_assert_eq(tally_of(&trail.n), 1000);
	cr_assert_eq(tally_of(&trail.strays), 0);
	engine_stop();
}

/* A wait of each kind, and the thread looked at after each. */
static int act_wait_and_tread(void *arg)
{
	rota_id other = puppet_spawn(NULL, 0);

	tread(arg);
	rota_sleep(100000);
	tread(arg);
	rota_yield();
	tread(arg);
	rota_flush(other, ROTA_FOREVER);
	tread(arg);
	rota_actor_drain(other);
	rota_join(other, ROTA_FOREVER, NULL);
	tread(arg);
	return 0;
}

Test(dedicated, turns_that_waited_go_on_there, .timeout = HANG)
{
	static struct trail trail;
	rota_id id;

	engine_start(2);
	id = dedicated(NULL);
	for (size_t i = 0; i < 100; i++)
		ACTS(id, act_wait_and_tread, &trail);
	quiesce();
	cr_assert_eq(tally_of(&trail.n), 500);
	cr_assert_eq(tally_of(&trail.strays), 0);
	engine_stop();
}

static int act_receive_and_tread(void *arg)
{
	struct rota_received message;

	for (int i = 0; i < 10; i++) {
		if (rota_receive(NULL, ROTA_FOREVER, &message) != 0)
			return -1;
		tread(arg);
	}
	return 0;
}

Test(dedicated, a_loop_that_receives_stays_there, .timeout = HANG)
{
	static const unsigned flags[] = {ROTA_OWN_THREAD,
					 ROTA_OWN_THREAD | ROTA_ANYWHERE};

	engine_start(2);
	for (size_t i = 0; i < 2; i++) {
		static struct trail trail[2];
		rota_id id = try_dedicated(NULL, flags[i], 0, NULL);

		ACTS(id, act_tread, &trail[i]);
		ACTS(id, act_receive_and_tread, &trail[i]);
		for (unsigned n = 0; n < 10; n++) {
			cr_assert_eq(send_value(id, n, n), 0);
			nap();
		}
		quiesce();
		cr_assert_eq(tally_of(&trail[i].n), 11);
		cr_assert_eq(tally_of(&trail[i].strays), 0);
	}
	engine_stop();
}

static struct trail ends;

static void tread_at_end(void *state)
{
	(void)state;
	tread(&ends);
}

static const struct rota_behaviour mortal = {
	.size = sizeof(struct rota_behaviour),
	.name = "mortal",
	.state_size = sizeof(struct puppet),
	.handle = puppet_handle,
	.destroy = tread_at_end,
};

Test(dedicated, its_destructor_runs_there, .timeout = HANG)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	rota_id id;

	engine_start(2);
	options.flags = ROTA_OWN_THREAD;
	id = rota_spawn(engine, &mortal, &(struct puppet){NULL}, &options);
	ACTS(id, act_tread, &ends);
	quiesce();
	end(id);
	cr_assert_eq(tally_of(&ends.n), 2);
	cr_assert_eq(tally_of(&ends.strays), 0);
	engine_stop();
}

static int act_become_mortal(void *arg)
{
	(void)arg;
	return rota_become(&mortal);
}

Test(dedicated, one_that_becomes_another_stays_there, .timeout = HANG)
{
	rota_id id;

	engine_start(2);
	id = dedicated(NULL);
	ACTS(id, act_tread, &ends);
	ACTS(id, act_become_mortal, NULL);
	for (int i = 0; i < 100; i++)
		ACTS(id, act_tread, &ends);
	quiesce();
	end(id);
	cr_assert_eq(tally_of(&ends.n), 102);
	cr_assert_eq(tally_of(&ends.strays), 0);
	engine_stop();
}

/* ---- groups ---- */

Test(dedicated, a_group_shares_a_thread, .timeout = HANG)
{
	static struct trail red, blue;
	char name[] = "red";
	unsigned before;

	engine_start(2);
	before = n_threads();
	for (size_t i = 0; i < 20; i++) {
		memcpy(name, "red", 3);
		ACTS(dedicated_in(name, NULL), act_tread, &red);
		memcpy(name, "xxx", 3); /* it was copied */
		ACTS(dedicated_in("blue", NULL), act_tread, &blue);
	}
	AWAIT(n_threads() == before + 2);
	quiesce();
	cr_assert_eq(tally_of(&red.n), 20);
	cr_assert_eq(tally_of(&blue.n), 20);
	cr_assert_eq(tally_of(&red.strays) + tally_of(&blue.strays), 0);
	cr_assert_neq(tally_of(&red.first), tally_of(&blue.first));
	engine_stop();
}

Test(dedicated, a_group_ends_with_its_last_and_may_begin_again, .timeout = HANG)
{
	rota_id one, two;
	unsigned before;

	engine_start(1);
	before = n_threads();
	for (int i = 0; i < 20; i++) {
		one = dedicated_in("a", NULL);
		two = dedicated_in("a", NULL);
		AWAIT(n_threads() == before + 1);
		end(one);
		cr_assert_eq(send_value(two, 1, 1), 0, "it is there still");
		end(two);
	}
	AWAIT(n_threads() == before);
	engine_stop();
}

Test(dedicated, nonsense_is_refused, .timeout = HANG)
{
	static const char long_name[] = "12345678901234567890123456789012";
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	unsigned before;

	engine_start(1);
	before = n_threads();
#define REFUSED(group, flags, cpu)                                          \
	cr_assert_eq(rota_id_error(try_dedicated(group, flags, cpu, NULL)), \
		     -EINVAL)
	REFUSED("", 0, 0);
	REFUSED(long_name, 0, 0);
	REFUSED("a", ROTA_OWN_THREAD, 0);
	REFUSED(NULL, 0, ROTA_CPU(0));
	REFUSED(NULL, ROTA_OWN_THREAD << 1, 0);
	options.ask_within = -1;
	cr_assert_eq(rota_id_error(rota_spawn(engine, &puppet_behaviour, NULL,
					      &options)),
		     -EINVAL);
	cr_assert_eq(n_threads(), before);
	cr_assert_eq(rota_id_error(try_dedicated(long_name + 1, 0, 0, NULL)),
		     0);
	engine_stop();
}

/* ---- they come and go ---- */

Test(dedicated, many_come_and_go, .timeout = HANG)
{
	enum { MANY = 50 };
	static struct trail trail[MANY];
	rota_id id[MANY];
	unsigned before;

	engine_start(2);
	before = n_threads();
	for (int round = 0; round < 3; round++) {
		memset(trail, 0, sizeof(trail));
		for (int i = 0; i < MANY; i++) {
			id[i] = dedicated(NULL);
			ACTS(id[i], act_tread, &trail[i]);
		}
		cr_assert_geq(n_threads(), before + MANY);
		cr_assert_eq(rota_workers(engine), 2);
		quiesce();
		for (int i = 0; i < MANY; i++)
			ACTS(id[i], act_tread, &trail[i]);
		for (int i = 0; i < MANY; i++) {
			cr_assert_eq(rota_actor_drain(id[i]), 0);
			cr_assert_eq(rota_join(id[i], PATIENCE, NULL), 0);
			cr_assert_eq(tally_of(&trail[i].n), 2);
			cr_assert_eq(tally_of(&trail[i].strays), 0);
			for (int k = 0; k < i; k++)
				cr_assert_neq(tally_of(&trail[k].first),
					      tally_of(&trail[i].first));
		}
		AWAIT(n_threads() == before);
	}
	engine_stop();
}

static int act_note_name(void *arg)
{
	return prctl(PR_GET_NAME, arg);
}

Test(dedicated, threads_bear_names, .timeout = HANG)
{
	static char seen[2][32];
	rota_id id;

	engine_start(1);
	id = dedicated_in("gpu", NULL);
	ACTS(id, act_note_name, seen[0]);
	id = dedicated(NULL);
	ACTS(id, act_note_name, seen[1]);
	quiesce();
	cr_assert_not_null(strstr(seen[0], "-gpu"), "%s", seen[0]);
	cr_assert_not_null(strstr(seen[1], "-puppet"), "%s", seen[1]);
	engine_stop();
}

static int act_count_cpus(void *arg)
{
	cpu_set_t set;

	sched_getaffinity(0, sizeof(set), &set);
	tally_add(arg, (size_t)CPU_COUNT(&set));
	return 0;
}

static int act_spawn_counter(void *arg)
{
	return puppet_act(try_dedicated(NULL, ROTA_OWN_THREAD, 0, NULL),
			  act_count_cpus, arg);
}

Test(dedicated, it_sits_where_it_was_told_to, .timeout = HANG)
{
	static struct tally bound, free_, begun_inside, refused;
	cpu_set_t set;
	size_t cpu = 0;

	sched_getaffinity(0, sizeof(set), &set);
	while (!CPU_ISSET(cpu, &set))
		cpu++;
	engine_start(1);
	ACTS(try_dedicated(NULL, ROTA_OWN_THREAD, ROTA_CPU((unsigned)cpu),
			   NULL),
	     act_count_cpus, &bound);
	ACTS(dedicated(NULL), act_count_cpus, &free_);
	/* A worker is bound, a thread that it begins is not. */
	ACTS(puppet_spawn(NULL, 0), act_spawn_counter, &begun_inside);
	/* No such one: it runs nevertheless. */
	ACTS(try_dedicated(NULL, ROTA_OWN_THREAD, ROTA_CPU(100000), NULL),
	     act_count_cpus, &refused);
	quiesce();
	cr_assert_eq(tally_of(&bound), 1);
	cr_assert_eq(tally_of(&free_), (size_t)CPU_COUNT(&set));
	cr_assert_eq(tally_of(&begun_inside), (size_t)CPU_COUNT(&set));
	cr_assert_eq(tally_of(&refused), (size_t)CPU_COUNT(&set));
	engine_stop();
}

/* ---- messages ---- */

/* A number goes to and fro until it is 0. */
struct ball {
	rota_id other;
	uint64_t left;
};

static int ball_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct ball ball, back;

	(void)state;
	(void)length;
	memcpy(&ball, payload, sizeof(ball));
	if (ball.left == 0)
		return 0;
	back = (struct ball){rota_self(), ball.left - 1};
	return rota_send(ball.other, tag, &back, sizeof(back));
}

static const struct rota_behaviour player = {
	.size = sizeof(struct rota_behaviour),
	.name = "player",
	.handle = ball_handle,
};

static rota_id player_spawn(const char *group, unsigned flags)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;

	options.group = group;
	options.flags = flags;
	return rota_spawn(engine, &player, NULL, &options);
}

static void play(rota_id a, rota_id b)
{
	struct ball ball = {a, 2000};
	uint64_t before = counters().messages;

	cr_assert_eq(rota_send(b, 0, &ball, sizeof(ball)), 0);
	quiesce();
	cr_assert_eq(counters().messages, before + 2001);
}

Test(dedicated, messages_go_to_and_fro, .timeout = HANG)
{
	rota_id worker, own, red, red_too, blue;

	engine_start(2);
	worker = player_spawn(NULL, 0);
	own = player_spawn(NULL, ROTA_OWN_THREAD);
	red = player_spawn("red", 0);
	red_too = player_spawn("red", 0);
	blue = player_spawn("blue", 0);
	play(worker, own);
	play(own, worker);
	play(own, red);
	play(red, red_too);
	play(blue, red);
	engine_stop();
}

static int act_send_a_hundred(void *arg)
{
	const rota_id *to = arg;

	for (uint64_t i = 0; i < 100; i++)
		if (send_value(*to, 1, i) != 0)
			return -1;
	return 0;
}

/* From a worker, a dedicated one and a thread, into a mailbox of four. */
Test(dedicated, the_bound_and_the_order_hold, .timeout = HANG)
{
	static struct record record;
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	uint64_t next[3] = {0};
	rota_id from[3], to;

	engine_start(2);
	options.flags = ROTA_OWN_THREAD;
	options.mailbox = 4;
	to = rota_spawn(engine, &puppet_behaviour, &(struct puppet){&record},
			&options);
	from[0] = puppet_spawn(NULL, 0);
	from[1] = dedicated(NULL);
	from[2] = ROTA_NONE;
	ACTS(from[0], act_send_a_hundred, &to);
	ACTS(from[1], act_send_a_hundred, &to);
	cr_assert_eq(act_send_a_hundred(&to), 0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 300);
	for (size_t i = 0; i < 300; i++) {
		const struct note *note = &record.note[i];
		size_t who = note->sender == from[0]   ? 0
			     : note->sender == from[1] ? 1
						       : 2;

		cr_assert_eq(note->value, next[who]++);
	}
	expect_conserved(302);
	engine_stop();
}

Test(dedicated, a_full_mailbox_says_so, .timeout = HANG)
{
	static struct stall stall;
	rota_id id;

	engine_start(1);
	id = dedicated(NULL);
	stall_start(&stall, id);
	cr_assert_eq(fill(id, 1), 63);
	flag_raise(&stall.go);
	quiesce();
	cr_assert_eq(try_value(id, 1, 1), 0);
	engine_stop();
}

/* One tells B, which is dedicated, then C, which tells B. */
static rota_id told_first, told_then;

static int act_pass_on(void *arg)
{
	(void)arg;
	return send_value(told_first, 2, 0);
}

static int act_tell_both(void *arg)
{
	(void)arg;
	if (send_value(told_first, 1, 0) != 0)
		return -1;
	return puppet_act(told_then, act_pass_on, NULL);
}

Test(dedicated, order_is_causal, .timeout = HANG)
{
	static struct record record;

	engine_start(2);
	told_first = dedicated(&record);
	for (int k = 0; k < 4; k++) {
		rota_id one = k & 1 ? dedicated(NULL) : puppet_spawn(NULL, 0);

		told_then = k & 2 ? dedicated(NULL) : puppet_spawn(NULL, 0);
		tally_add(&record.n, -tally_of(&record.n));
		for (int i = 0; i < 200; i++)
			ACTS(one, act_tell_both, NULL);
		quiesce();
		cr_assert_eq(tally_of(&record.n), 400);
		for (size_t i = 0, first = 0, then = 0; i < 400; i++) {
			first += record.note[i].tag == 1;
			then += record.note[i].tag == 2;
			cr_assert_leq(then, first, "at %zu", i);
		}
	}
	engine_stop();
}

/* ---- asks ---- */

static int answer_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct act act;
	uint64_t value;

	(void)state;
	if (tag == ACT) {
		memcpy(&act, payload, sizeof(act));
		return act.run(act.arg);
	}
	memcpy(&value, payload, sizeof(value));
	value++;
	(void)length;
	return rota_answer(0, &value, sizeof(value));
}

static const struct rota_behaviour oracle = {
	.size = sizeof(struct rota_behaviour),
	.name = "oracle",
	.handle = answer_handle,
};

static rota_id oracle_spawn(unsigned flags)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;

	options.flags = flags;
	return rota_spawn(engine, &oracle, NULL, &options);
}

struct asking {
	rota_id whom;
	struct tally right;
	size_t n;
};

static int act_ask(void *arg)
{
	struct asking *asking = arg;

	for (uint64_t i = 0; i < asking->n; i++) {
		uint64_t reply = 0;

		if (rota_ask(asking->whom, 1, &i, sizeof(i), &reply,
			     sizeof(reply), ROTA_FOREVER) == 0 &&
		    reply == i + 1)
			tally_add(&asking->right, 1);
	}
	return 0;
}

Test(dedicated, asks_are_answered_both_ways, .timeout = HANG)
{
	static struct asking to_it = {.n = 300}, from_it = {.n = 300},
			     among = {.n = 300}, outside = {.n = 300};
	rota_id worker, own, other;

	engine_start(2);
	worker = oracle_spawn(0);
	own = oracle_spawn(ROTA_OWN_THREAD);
	other = oracle_spawn(ROTA_OWN_THREAD);
	to_it.whom = among.whom = outside.whom = own;
	from_it.whom = worker;
	ACTS(puppet_spawn(NULL, 0), act_ask, &to_it);
	ACTS(dedicated(NULL), act_ask, &from_it);
	ACTS(other, act_ask, &among);
	act_ask(&outside);
	quiesce();
	cr_assert_eq(tally_of(&to_it.right), 300);
	cr_assert_eq(tally_of(&from_it.right), 300);
	cr_assert_eq(tally_of(&among.right), 300);
	cr_assert_eq(tally_of(&outside.right), 300);
	engine_stop();
}

/* ---- where nobody drives ---- */

static void *ask_in_thread(void *arg)
{
	act_ask(arg);
	return NULL;
}

Test(dedicated, they_work_in_an_engine_that_nobody_drives, .timeout = HANG)
{
	static struct record record;
	static struct asking asking = {.n = 200}, inside = {.n = 200};
	struct sending sending;
	rota_id red, blue;

	start_here();
	red = dedicated(&record);
	blue = oracle_spawn(ROTA_OWN_THREAD);
	sending = sending_to(red, 1, 7);
	thread_join(thread_start(thread_sending, &sending));
	AWAIT(tally_of(&record.n) == 1);
	asking.whom = inside.whom = blue;
	ACTS(red, act_ask, &inside);
	act_ask(&asking); /* the thread that would drive */
	thread_join(thread_start(ask_in_thread, &asking));
	AWAIT(tally_of(&inside.right) == 200);
	cr_assert_eq(tally_of(&asking.right), 400);
	cr_assert_eq(rota_send_after(red, 1, NULL, 0, ROTA_MS(1), NULL), 0);
	AWAIT(tally_of(&record.n) == 2);
	engine_stop();
}

static void *drive_on(void *arg)
{
	while (!flag_is_up(arg)) {
		rota_run_within(engine, ROTA_MS(1));
		nap();
	}
	return NULL;
}

Test(dedicated, they_speak_with_who_is_driven, .timeout = HANG)
{
	static struct asking there = {.n = 100}, back = {.n = 100},
			     outside = {.n = 100};
	static struct flag over;
	pthread_t driver, asker;
	rota_id driven, own;

	start_here();
	driven = oracle_spawn(0);
	own = oracle_spawn(ROTA_OWN_THREAD);
	there.whom = outside.whom = own;
	back.whom = driven;
	ACTS(driven, act_ask, &there);
	ACTS(dedicated(NULL), act_ask, &back);
	driver = thread_start(drive_on, &over);
	asker = thread_start(ask_in_thread, &outside);
	thread_join(asker);
	AWAIT(tally_of(&there.right) == 100 && tally_of(&back.right) == 100);
	flag_raise(&over);
	thread_join(driver);
	cr_assert_eq(tally_of(&outside.right), 100);
	engine_stop();
}

Test(dedicated, threads_are_joined_where_there_is_no_monitor, .timeout = HANG)
{
	unsigned before = n_threads_before();

	start_here();
	for (int i = 0; i < 100; i++)
		end(dedicated(NULL));
	AWAIT(n_threads() == before);
	engine_stop();
}

/* A circle of asks, too long for who closes it to go round it alone. */
#define CIRCLE 100

static rota_id circle[CIRCLE];
static struct tally n_deadlocks, n_through;

static int act_ask_next(void *arg)
{
	size_t i = (size_t)((rota_id *)arg - circle);
	size_t next = (i + 1) % CIRCLE;
	struct act act = {act_ask_next, &circle[next]};
	int error = rota_ask(circle[next], ACT, &act, sizeof(act), NULL, 0,
			     ROTA_FOREVER);

	tally_add(&n_deadlocks, error == -EDEADLK);
	tally_add(&n_through, 1);
	return 0;
}

Test(dedicated, a_circle_of_asks_is_opened_with_nobody_to_tick, .timeout = HANG)
{
	start_here();
	for (size_t i = 0; i < CIRCLE; i++)
		circle[i] = dedicated_in(i % 2 ? "odd" : "even", NULL);
	ACTS(circle[0], act_ask_next, &circle[0]);
	AWAIT(tally_of(&n_through) >= CIRCLE);
	cr_assert_geq(tally_of(&n_deadlocks), 1);
	engine_stop();
}

/* ---- time ---- */

static rota_timer unused;

static int act_set_timers(void *arg)
{
	rota_id *other = arg;

	rota_send_after(rota_self(), 1, NULL, 0, ROTA_MS(1), NULL);
	rota_send_after(*other, 1, NULL, 0, ROTA_MS(1), NULL);
	rota_send_after(*other, 1, NULL, 0, ROTA_S(3600), &unused);
	return 0;
}

Test(dedicated, timers_ring_and_do_not_keep_the_thread, .timeout = HANG)
{
	static struct record record, other_record;
	rota_id id, other;
	unsigned before;

	engine_start(1);
	before = n_threads();
	id = dedicated(&record);
	other = puppet_spawn(&other_record, 0);
	ACTS(id, act_set_timers, &other);
	AWAIT(tally_of(&record.n) == 1 && tally_of(&other_record.n) == 1);
	end(id);
	AWAIT(n_threads() == before);
	cr_assert_eq(rota_timer_cancel(unused), 0);
	engine_stop();
}

/* ---- beside other things ---- */

static int count_up(void *arg)
{
	tally_add(*(struct tally **)arg, 1);
	return 0;
}

static int act_submit(void *arg)
{
	for (int i = 0; i < 100; i++)
		if (rota_task_submit(NULL, count_up, &arg, sizeof(arg), NULL))
			return -1;
	return 0;
}

Test(dedicated, tasks_go_to_the_workers, .timeout = HANG)
{
	static struct tally n;
	static struct stall stall;
	rota_id id;

	engine_start(1);
	id = dedicated(NULL);
	ACTS(id, act_submit, &n);
	stall_start(&stall, id); /* they do not need its thread */
	AWAIT(tally_of(&n) == 100);
	flag_raise(&stall.go);
	engine_stop();
}

static int act_send_and_stall(void *arg)
{
	void **both = arg;

	send_value(*(rota_id *)both[1], 1, 1);
	return act_stall(both[0]);
}

Test(dedicated, what_one_that_blocks_has_sent_is_handled, .timeout = HANG)
{
	static struct record record;
	static struct stall stall;
	rota_id other;
	void *both[] = {&stall, &other};

	start_here(); /* no monitor takes anything out of its hand */
	other = puppet_spawn(&record, 0);
	for (size_t i = 0; i < 100; i++) { /* its turns are known to be short */
		cr_assert_eq(send_value(other, 1, 1), 0);
		cr_assert_geq(rota_run_within(engine, ROTA_MS(1)), 0);
	}
	ACTS(dedicated(NULL), act_send_and_stall, both);
	AWAIT(flag_is_up(&stall.begun));
	while (tally_of(&record.n) == 100)
		cr_assert_geq(rota_run_within(engine, ROTA_MS(1)), 0);
	cr_assert(!flag_is_up(&stall.ended));
	flag_raise(&stall.go);
	engine_stop();
}

static int act_block(void *arg)
{
	int error = rota_blocking_begin();

	if (!error)
		error = act_stall(arg);
	rota_blocking_end();
	return error;
}

Test(dedicated, a_blocking_region_needs_no_spare, .timeout = HANG)
{
	static struct stall stall;
	struct rota_config config = test_config(1);
	rota_id id;

	config.spares = 4;
	engine = engine_make(&config);
	id = dedicated(NULL);
	ACTS(id, act_block, &stall);
	AWAIT(flag_is_up(&stall.begun));
	for (int i = 0; i < 50; i++)
		nap();
	cr_assert_eq(counters().spares, 0);
	flag_raise(&stall.go);
	quiesce();
	ACTS(id, act_tread, &ends);
	engine_stop();
}

Test(dedicated, the_number_of_workers_may_change, .timeout = HANG)
{
	static struct trail trail;
	static struct asking asking = {.n = 200};
	rota_id id;

	engine_start(4);
	id = dedicated(NULL);
	asking.whom = oracle_spawn(0);
	ACTS(id, act_ask, &asking);
	for (unsigned i = 0; i < 40; i++) {
		ACTS(id, act_tread, &trail);
		cr_assert_eq(rota_workers_set(engine, 1 + i % 7), 0);
		cr_assert_eq(rota_workers(engine), 1 + i % 7);
	}
	quiesce();
	cr_assert_eq(tally_of(&asking.right), 200);
	cr_assert_eq(tally_of(&trail.n), 40);
	cr_assert_eq(tally_of(&trail.strays), 0);
	engine_stop();
}

static int act_yields(void *arg)
{
	while (!rota_should_yield())
		nap();
	flag_raise(arg);
	return 0;
}

Test(dedicated, a_group_is_told_to_make_way, .timeout = HANG)
{
	static struct flag told;
	static struct trail trail;
	rota_id one, two;

	engine_start(1);
	one = dedicated_in("a", NULL);
	two = dedicated_in("a", NULL);
	ACTS(one, act_yields, &told);
	ACTS(two, act_tread, &trail);
	quiesce();
	cr_assert(flag_is_up(&told));
	cr_assert_eq(tally_of(&trail.n), 1);
	engine_stop();
}

static int act_asks_to_yield(void *arg)
{
	for (int i = 0; i < 50; i++) {
		nap();
		tally_add(arg, (size_t)rota_should_yield());
	}
	return 0;
}

Test(dedicated, one_that_is_alone_need_not, .timeout = HANG)
{
	static struct tally n;

	for (int i = 0; i < 2; i++) {
		if (i)
			start_here();
		else
			engine_start(1);
		ACTS(dedicated(NULL), act_asks_to_yield, &n);
		quiesce();
		cr_assert_eq(tally_of(&n), 0);
		engine_stop();
	}
}

/* ---- ends ---- */

Test(dedicated, waits_are_cancelled_by_a_stop, .timeout = HANG)
{
	static struct hold hold;
	rota_id id;

	engine_start(1);
	id = dedicated(NULL);
	hold_start(&hold, id);
	cr_assert_eq(rota_actor_stop(id), 0);
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
	cr_assert_eq(hold.result, -ECANCELED);
	engine_stop();
}

Test(dedicated, the_engine_stops_with_all_of_them, .timeout = HANG)
{
	static struct hold hold;
	static struct record record;
	unsigned before = n_threads_before();

	for (int i = 0; i < 2; i++) {
		if (i)
			start_here();
		else
			engine_start(2);
		for (int k = 0; k < 10; k++)
			send_value(dedicated(&record), 1, 1);
		dedicated_in("idle", &record);
		hold.ended = (struct flag){0};
		if (!i)
			hold_start(&hold, dedicated(&record));
		engine_stop();
		AWAIT(n_threads() == before);
	}
	cr_assert_eq(tally_of(&record.destroyed), 23);
}

static struct flag reads, has_read;

static int act_read(void *arg)
{
	const int *pipe_end = arg;
	char byte;

	flag_raise(&reads);
	if (read(*pipe_end, &byte, 1) != 1)
		return -1;
	flag_raise(&has_read);
	return 0;
}

static void stop_while_one_reads(bool here)
{
	struct rota_stop_report report = ROTA_STOP_REPORT_INIT;
	unsigned before = n_threads_before();
	rota_id id;
	int ends_of[2];

	cr_assert_eq(pipe(ends_of), 0);
	if (here)
		start_here();
	else
		engine_start(1);
	id = dedicated(NULL);
	ACTS(id, act_read, &ends_of[0]);
	AWAIT(flag_is_up(&reads));
	cr_assert_eq(rota_stop_report(engine, ROTA_MS(50), &report),
		     -ETIMEDOUT);
	cr_assert_eq(report.stuck, 1);
	cr_assert_eq(report.stuck_actor, id);
	cr_assert_eq(report.stuck_tag, ACT);
	AWAIT(n_threads() == before + 1);
	cr_assert_eq(write(ends_of[1], "x", 1), 1);
	AWAIT(flag_is_up(&has_read));
	AWAIT(n_threads() == before);
	close(ends_of[0]);
	close(ends_of[1]);
}

Test(dedicated, one_that_reads_for_ever_is_left_behind, .timeout = HANG)
{
	stop_while_one_reads(false);
}

Test(dedicated, also_where_a_host_drives, .timeout = HANG)
{
	stop_while_one_reads(true);
}

static int act_spawn_one(void *arg)
{
	rota_id id = try_dedicated(NULL, ROTA_OWN_THREAD, 0, NULL);

	tally_add(arg, rota_id_error(id) == 0);
	return rota_id_error(id) ? 0 : puppet_act(id, act_spawn_one, arg);
}

Test(dedicated, one_may_begin_another_until_the_stop, .timeout = HANG)
{
	static struct tally n;

	engine_start(1);
	ACTS(puppet_spawn(NULL, 0), act_spawn_one, &n);
	AWAIT(tally_of(&n) >= 20);
	engine_stop();
}

/* ---- nothing is to be had ---- */

#if !UNDER_ASAN && !UNDER_TSAN && defined(__x86_64__)
Test(dedicated, no_thread_is_an_error_and_no_more, .timeout = HANG)
{
	static struct trail trail;
	struct rlimit before, low;
	unsigned n, threads;
	rota_id id;

	engine_start(1);
	threads = n_threads();
	end(dedicated(NULL)); /* the slot is there */
	AWAIT(n_threads() == threads);
	cr_assert_eq(getrlimit(RLIMIT_AS, &before), 0);
	low = before;
	low.rlim_cur = 1 << 20;
	cr_assert_eq(setrlimit(RLIMIT_AS, &low), 0);
	for (n = 0; n < 10; n++) {
		id = try_dedicated(NULL, ROTA_OWN_THREAD, 0, NULL);
		if (rota_id_error(id) != 0)
			break;
	}
	cr_assert_eq(setrlimit(RLIMIT_AS, &before), 0);
	cr_assert_lt(n, 10);
	cr_assert(rota_id_error(id) == -EAGAIN || rota_id_error(id) == -ENOMEM);
	ACTS(dedicated(NULL), act_tread, &trail);
	quiesce();
	cr_assert_eq(tally_of(&trail.n), 1);
	engine_stop();
}
#endif

Test(dedicated, no_descriptor_is_an_error_and_no_more, .timeout = HANG)
{
	static struct trail trail;
	struct rlimit before, none;
	rota_id id;

	engine_start(1);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 3;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	id = try_dedicated(NULL, ROTA_OWN_THREAD, 0, NULL);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	cr_assert_eq(rota_id_error(id), -EMFILE);
	ACTS(dedicated(NULL), act_tread, &trail);
	quiesce();
	cr_assert_eq(tally_of(&trail.n), 1);
	engine_stop();
}

Test(dedicated, no_memory_is_an_error_and_no_more, .timeout = HANG)
{
	struct rota_config config = test_config(1);
	static rota_id ids[1 << 16];
	unsigned before;
	size_t n = 0;

	config.memory = (size_t)16 << 20;
	engine = engine_make(&config);
	before = n_threads();
	while (n < 1 << 16) {
		ids[n] = try_dedicated("a", 0, 0, NULL);
		if (rota_id_error(ids[n]) != 0)
			break;
		n++;
	}
	if (n < 1 << 16)
		cr_assert_eq(rota_id_error(ids[n]), -ENOMEM);
	while (n > 0)
		cr_assert_eq(rota_actor_stop(ids[--n]), 0);
	AWAIT(n_threads() == before);
	engine_stop();
}

Test(dedicated, the_number_of_threads_has_a_bound, .timeout = HANG)
{
	static rota_id ids[1025];
	unsigned before, n = 0;

	if (IS_SLOW)
		cr_skip_test();
	engine_start(1);
	before = n_threads();
	for (;;) {
		ids[n] = try_dedicated(NULL, ROTA_OWN_THREAD, 0, NULL);
		if (rota_id_error(ids[n]) != 0)
			break;
		cr_assert_lt(++n, 1025);
	}
	cr_assert(rota_id_error(ids[n]) == -EAGAIN ||
		  rota_id_error(ids[n]) == -EMFILE);
	while (n > 0)
		cr_assert_eq(rota_actor_stop(ids[--n]), 0);
	AWAIT(n_threads() == before);
	engine_stop();
}
