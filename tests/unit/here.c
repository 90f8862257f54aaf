/* SPDX-License-Identifier: MIT */
/*
 * here - an engine without threads, driven by the test's own
 */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include <rota/host.h>
#include <rota/status.h>
#include <rota/task.h>

#include "tests/unit/threads.h"

static struct record record;

static void start_here(void)
{
	struct rota_config config = test_config(0);

	config.flags = ROTA_RUN_HERE;
	engine = engine_make(&config);
}

/* Run all that can be run. */
static void drain(void)
{
	int more;

	while ((more = rota_run_some(engine, 64)) > 0)
		;
	cr_assert_eq(more, 0, "rota_run_some: %s", rota_strerror(more));
}

/* Is there something to run within so many ms? */
static bool polls(int ms)
{
	struct pollfd at = {.fd = rota_run_fd(engine), .events = POLLIN};

	cr_assert_geq(at.fd, 0, "rota_run_fd: %s", rota_strerror(at.fd));
	return poll(&at, 1, ms) == 1;
}

/* Drive as a host does until a condition holds. */
#define DRIVE(condition)                                               \
	do {                                                           \
		time_t drive_end_ = time(NULL) + HANG / 2;             \
		for (;;) {                                             \
			drain();                                       \
			if (condition)                                 \
				break;                                 \
			if (time(NULL) > drive_end_)                   \
				cr_assert(0, "never: %s", #condition); \
			polls(100);                                    \
		}                                                      \
	} while (0)

static int act_count(void *arg)
{
	tally_add(arg, 1);
	return 0;
}

/* ---- driving ---- */

Test(here, makes_no_thread, .timeout = HANG)
{
	unsigned before = n_threads();

	start_here();
	cr_assert_eq(rota_workers(engine), 1);
	puppet_spawn(NULL, 0);
	quiesce();
	cr_assert_eq(n_threads(), before);
	engine_stop();
}

Test(here, the_descriptor_tells_when_to_drive, .timeout = HANG)
{
	static struct tally n;
	rota_id puppet;

	start_here();
	cr_assert(polls(0), "after the start");
	drain();
	cr_assert(!polls(0), "nothing is there");
	puppet = puppet_spawn(NULL, 0);
	for (int i = 1; i <= 100; i++) {
		ACTS(puppet, act_count, &n);
		cr_assert(polls(0) && polls(0), "as long as it is there");
		cr_assert_eq(tally_of(&n), (size_t)i - 1, "not by itself");
		drain();
		cr_assert_eq(tally_of(&n), (size_t)i);
		cr_assert(!polls(0));
	}
	engine_stop();
}

Test(here, a_budget_is_kept_to_the_turn, .timeout = HANG)
{
	static struct tally n;

	start_here();
	drain();
	for (int i = 0; i < 10; i++)
		ACTS(puppet_spawn(NULL, 0), act_count, &n);
	for (size_t i = 1; i <= 5; i++) {
		cr_assert_eq(rota_run_some(engine, 1), 1);
		cr_assert_eq(tally_of(&n), i);
		cr_assert(polls(0), "there is more");
	}
	cr_assert_eq(rota_run_some(engine, 3), 1);
	cr_assert_eq(tally_of(&n), 8);
	cr_assert_eq(rota_run_some(engine, 1000), 0);
	cr_assert_eq(tally_of(&n), 10);
	cr_assert(!polls(0));
	engine_stop();
}

/* Two that send to each other for ever. */
static int echo_handle(void *state, unsigned tag, void *payload, size_t length)
{
	rota_id *partner = state;

	if (length == sizeof(*partner))
		memcpy(partner, payload, length);
	return rota_send(*partner, tag, NULL, 0);
}

static const struct rota_behaviour echo_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "echo",
	.state_size = sizeof(rota_id),
	.handle = echo_handle,
};

static void start_echoes(void)
{
	rota_id a = spawn(&echo_behaviour, NULL, 0);
	rota_id b = spawn(&echo_behaviour, &a, 0);

	cr_assert_eq(rota_send(a, 1, &b, sizeof(b)), 0);
}

Test(here, a_time_is_kept_where_there_is_no_end, .timeout = HANG)
{
	uint64_t before;

	start_here();
	start_echoes();
	cr_assert_eq(rota_run_within(engine, ROTA_MS(2)), 1);
	before = counters().messages;
	cr_assert_gt(before, 0);
	cr_assert_eq(rota_run_within(engine, ROTA_NOW), 1);
	cr_assert_gt(counters().messages, before, "one turn at least");
	cr_assert_eq(rota_run_some(engine, 1000000), 1);
	cr_assert_gt(counters().messages, before + 500000);
	engine_stop();
}

Test(here, until_nothing_is_left, .timeout = HANG)
{
	static struct tally n;
	rota_id puppet;

	start_here();
	puppet = puppet_spawn(NULL, 1000);
	for (int i = 0; i < 1000; i++)
		ACTS(puppet, act_count, &n);
	cr_assert_eq(rota_run_within(engine, ROTA_FOREVER), 0);
	cr_assert_eq(tally_of(&n), 1000);
	engine_stop();
}

static void *thread_send_many(void *arg)
{
	for (int i = 0; i < 200; i++) {
		nap();
		send_value(*(rota_id *)arg, 1, (uint64_t)i);
	}
	return NULL;
}

/* Told of changes only, the host misses none if it drives until 0. */
Test(here, works_under_an_edge_triggered_epoll, .timeout = HANG)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	pthread_t thread;
	rota_id puppet;

	start_here();
	puppet = puppet_spawn(&record, 1);
	cr_assert_eq(
		epoll_ctl(epoll, EPOLL_CTL_ADD, rota_run_fd(engine), &event),
		0);
	thread = thread_start(thread_send_many, &puppet);
	while (tally_of(&record.n) < 200) {
		cr_assert_eq(epoll_wait(epoll, &event, 1, HANG * 500), 1,
			     "nothing came after %zu", tally_of(&record.n));
		while (rota_run_some(engine, 1) > 0)
			;
	}
	thread_join(thread);
	close(epoll);
	engine_stop();
}

Test(here, errno_stays, .timeout = HANG)
{
	start_here();
	errno = ENOTTY;
	drain();
	cr_assert_eq(errno, ENOTTY);
	engine_stop();
}

/* ---- time ---- */

Test(here, a_timer_makes_the_descriptor_readable, .timeout = HANG)
{
	rota_id puppet;

	start_here();
	puppet = puppet_spawn(&record, 0);
	for (size_t i = 1; i <= 5; i++) {
		rota_send_after(puppet, 1, NULL, 0, ROTA_MS(5), NULL);
		drain();
		/* A machine that is slow has handled it by now. */
		cr_assert(tally_of(&record.n) == i || polls(HANG * 500),
			  "never due");
		DRIVE(tally_of(&record.n) == i);
		cr_assert(!polls(0));
	}
	engine_stop();
}

static void *thread_arm(void *arg)
{
	rota_send_after(*(rota_id *)arg, 2, NULL, 0, ROTA_MS(1), NULL);
	return NULL;
}

Test(here, a_sooner_timer_from_outside_counts, .timeout = HANG)
{
	rota_timer late;
	rota_id puppet;
	pthread_t thread;

	start_here();
	puppet = puppet_spawn(&record, 0);
	cr_assert_eq(rota_send_after(puppet, 1, NULL, 0, ROTA_S(3600), &late),
		     0);
	drain();
	thread = thread_start(thread_arm, &puppet);
	DRIVE(tally_of(&record.n) == 1);
	cr_assert_eq(record.note[0].tag, 2);
	thread_join(thread);
	cr_assert_eq(rota_timer_cancel(late), 0);
	quiesce();
	engine_stop();
}

/* ---- turns that wait ---- */

struct gate {
	rota_id gate;
	struct tally begun;
	struct tally ended;
	int64_t within;
	int result;
};

static int act_wait(void *arg)
{
	struct gate *gate = arg;

	tally_add(&gate->begun, 1);
	gate->result = rota_join(gate->gate, gate->within, NULL);
	tally_add(&gate->ended, 1);
	return 0;
}

static void start_waiting(struct gate *gate)
{
	*gate = (struct gate){.gate = puppet_spawn(NULL, 0),
			      .within = ROTA_FOREVER};
	ACTS(puppet_spawn(NULL, 0), act_wait, gate);
	drain();
	cr_assert_eq(tally_of(&gate->begun), 1);
	cr_assert_eq(tally_of(&gate->ended), 0);
}

Test(here, a_turn_that_waits_does_not_hold_the_host, .timeout = HANG)
{
	static struct gate gate[10];
	static struct tally n;

	start_here();
	for (int i = 0; i < 10; i++)
		start_waiting(&gate[i]);
	ACTS(puppet_spawn(NULL, 0), act_count, &n);
	drain();
	cr_assert_eq(tally_of(&n), 1);
	cr_assert(!polls(0));
	for (int i = 9; i >= 0; i--) {
		rota_actor_stop(gate[i].gate);
		cr_assert(polls(0));
		drain();
		cr_assert_eq(tally_of(&gate[i].ended), 1);
		cr_assert_eq(gate[i].result, 0);
	}
	engine_stop();
}

Test(here, a_wait_of_a_turn_ends_in_time, .timeout = HANG)
{
	static struct gate gate;

	start_here();
	gate.gate = puppet_spawn(NULL, 0);
	gate.within = ROTA_MS(5);
	ACTS(puppet_spawn(NULL, 0), act_wait, &gate);
	DRIVE(tally_of(&gate.ended) == 1);
	cr_assert_eq(gate.result, -ETIMEDOUT);
	engine_stop();
}

static int act_fill(void *arg)
{
	rota_id to = *(rota_id *)arg;

	for (uint64_t i = 0; i < 1000; i++)
		if (send_value(to, 1, i) != 0)
			return 0;
	return 0;
}

Test(here, a_turn_that_waits_for_room_gets_it, .timeout = HANG)
{
	static rota_id target;

	start_here();
	target = puppet_spawn(&record, 1);
	ACTS(puppet_spawn(NULL, 0), act_fill, &target);
	drain();
	cr_assert_eq(tally_of(&record.n), 1000);
	for (size_t i = 0; i < 1000; i++)
		cr_assert_eq(record.note[i].value, i);
	engine_stop();
}

/* Too long a circle for a turn to follow: the tick finds it. */
#define CIRCLE 300

struct link {
	rota_id to;
	struct tally *done;
};

static int act_pass_on(void *arg)
{
	struct link *link = arg;

	for (int i = 0; i < 3; i++)
		send_value(link->to, 1, 0);
	tally_add(link->done, 1);
	return 0;
}

Test(here, a_circle_of_waits_is_opened, .timeout = HANG)
{
	static struct link link[CIRCLE];
	static struct tally done;
	rota_id id[CIRCLE];

	start_here();
	for (int i = 0; i < CIRCLE; i++)
		id[i] = puppet_spawn(NULL, 1);
	for (int i = 0; i < CIRCLE; i++) {
		link[i] = (struct link){id[(i + 1) % CIRCLE], &done};
		ACTS(id[i], act_pass_on, &link[i]);
	}
	drain();
	cr_assert_eq(tally_of(&done), CIRCLE);
	cr_assert_gt(counters().overdrafts, 0);
	engine_stop();
}

/* ---- calls of the host that wait ---- */

Test(here, a_send_of_the_host_drives_until_there_is_room, .timeout = HANG)
{
	rota_id puppet;

	start_here();
	puppet = puppet_spawn(&record, 1);
	for (uint64_t i = 0; i < 1000; i++)
		cr_assert_eq(send_value(puppet, 1, i), 0);
	drain();
	cr_assert_eq(tally_of(&record.n), 1000);
	engine_stop();
}

Test(here, a_join_of_the_host_drives, .timeout = HANG)
{
	struct rota_exit why;
	rota_id puppet;

	start_here();
	puppet = puppet_spawn(&record, 0);
	ACTS(puppet, act_self_stop, NULL);
	cr_assert_eq(rota_join(puppet, ROTA_FOREVER, &why), 0);
	puppet = puppet_spawn(&record, 0);
	cr_assert_eq(rota_join(puppet, ROTA_MS(5), NULL), -ETIMEDOUT);
	cr_assert_eq(rota_join(puppet, ROTA_NOW, NULL), -ETIMEDOUT);
	engine_stop();
}

static int clock_handle(void *state, unsigned tag, void *payload, size_t length)
{
	(void)state;
	(void)tag;
	(void)payload;
	(void)length;
	return rota_self_stop(7);
}

static const struct rota_behaviour clock_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "clock",
	.handle = clock_handle,
};

Test(here, it_sleeps_until_a_timer_ends_the_wait, .timeout = HANG)
{
	struct rota_exit why;
	rota_id id;

	start_here();
	id = spawn(&clock_behaviour, NULL, 0);
	rota_send_after(id, 1, NULL, 0, ROTA_MS(20), NULL);
	cr_assert_eq(rota_join(id, ROTA_FOREVER, &why), 0);
	cr_assert_eq(why.reason, 7);
	engine_stop();
}

struct outsider {
	rota_id id;
	struct tally thread;
	int64_t within;
	int result;
};

/* Once the test sleeps. */
static void *thread_stop_actor(void *arg)
{
	struct outsider *outsider = arg;

	await_sleep(&outsider->thread);
	outsider->result = rota_actor_stop(outsider->id);
	return NULL;
}

Test(here, another_thread_ends_the_wait_of_the_host, .timeout = HANG)
{
	pthread_t thread;

	start_here();
	for (int i = 0; i < 50; i++) {
		struct outsider outsider = {.id = puppet_spawn(NULL, 0)};

		thread = thread_start(thread_stop_actor, &outsider);
		tally_add(&outsider.thread, (size_t)thread_number());
		cr_assert_eq(rota_join(outsider.id, ROTA_FOREVER, NULL), 0);
		thread_join(thread);
		cr_assert_eq(outsider.result, 0);
	}
	engine_stop();
}

/* A target with no room, whose turn waits. */
static rota_id start_full(struct gate *gate)
{
	rota_id target = puppet_spawn(NULL, 1);

	*gate = (struct gate){.gate = puppet_spawn(NULL, 0),
			      .within = ROTA_FOREVER};
	ACTS(target, act_wait, gate);
	drain();
	fill(target, 1);
	return target;
}

static void *thread_drain_actor(void *arg)
{
	struct outsider *outsider = arg;

	await_sleep(&outsider->thread);
	outsider->result = rota_actor_drain(outsider->id);
	return NULL;
}

/* There is nothing to be run then, so nothing else wakes the host. */
Test(here, also_without_anything_to_run, .timeout = HANG)
{
	static struct gate gate;
	pthread_t thread;

	start_here();
	for (int i = 0; i < 20; i++) {
		struct outsider outsider = {.id = start_full(&gate)};

		thread = thread_start(thread_drain_actor, &outsider);
		tally_add(&outsider.thread, (size_t)thread_number());
		cr_assert_eq(send_value(outsider.id, 1, 1), -ESHUTDOWN);
		thread_join(thread);
		rota_actor_stop(gate.gate);
		cr_assert_eq(rota_join(outsider.id, PATIENCE, NULL), 0);
	}
	engine_stop();
}

/* What woke the host is forgotten by the kernel, but not by the engine. */
Test(here, what_came_with_the_end_of_a_wait_is_still_told, .timeout = HANG)
{
	static struct gate gate;
	pthread_t thread;

	start_here();
	for (int i = 0; i < 20; i++) {
		struct outsider outsider = {.id = start_full(&gate)};

		thread = thread_start(thread_stop_actor, &outsider);
		tally_add(&outsider.thread, (size_t)thread_number());
		cr_assert_eq(send_value(outsider.id, 1, 1), -ESHUTDOWN);
		thread_join(thread);
		cr_assert(tally_of(&gate.ended) == 1 || polls(0));
		drain();
		cr_assert_eq(gate.result, -ECANCELED);
		rota_actor_stop(gate.gate);
	}
	engine_stop();
}

static int task_answer(void *argument)
{
	(void)argument;
	return 42;
}

static int task_add(void *argument)
{
	tally_add(*(struct tally **)argument, 1);
	return 0;
}

Test(here, tasks_and_groups_of_the_host_are_run, .timeout = HANG)
{
	static struct tally n;
	struct tally *at = &n;
	struct rota_task_group group;
	rota_task task;
	int result = 0;

	start_here();
	cr_assert_eq(rota_task_submit(engine, task_answer, NULL, 0, &task), 0);
	cr_assert_eq(rota_task_join(task, ROTA_FOREVER, &result), 0);
	cr_assert_eq(result, 42);
	cr_assert_eq(rota_task_group_init(&group, engine), 0);
	for (int i = 0; i < 1000; i++)
		cr_assert_eq(rota_task_group_submit(&group, task_add, &at,
						    sizeof(at)),
			     0);
	cr_assert_eq(rota_task_group_wait(&group, ROTA_FOREVER, NULL), 0);
	cr_assert_eq(tally_of(&n), 1000);
	engine_stop();
}

struct tree {
	struct tally *leaves;
	unsigned depth;
};

static int task_tree(void *argument)
{
	struct tree *tree = argument;
	struct tree next = {tree->leaves, tree->depth - 1};
	struct rota_task_group group;

	if (tree->depth == 0) {
		tally_add(tree->leaves, 1);
		return 0;
	}
	rota_task_group_init(&group, NULL);
	rota_task_group_submit(&group, task_tree, &next, sizeof(next));
	rota_task_group_submit(&group, task_tree, &next, sizeof(next));
	return rota_task_group_wait(&group, ROTA_FOREVER, NULL);
}

Test(here, tasks_that_fork_are_run, .timeout = HANG)
{
	static struct tally leaves;
	struct tree tree = {&leaves, 10};

	start_here();
	rota_task_submit(engine, task_tree, &tree, sizeof(tree), NULL);
	drain();
	cr_assert_eq(tally_of(&leaves), 1024);
	engine_stop();
}

Test(here, quiesce_waits_for_timers, .timeout = HANG)
{
	rota_timer late;
	rota_id puppet;

	start_here();
	puppet = puppet_spawn(&record, 0);
	rota_send_after(puppet, 1, NULL, 0, ROTA_S(3600), &late);
	cr_assert_eq(rota_quiesce(engine, ROTA_MS(1)), -ETIMEDOUT);
	rota_timer_cancel(late);
	rota_send_after(puppet, 1, NULL, 0, ROTA_MS(10), NULL);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 1);
	start_echoes();
	cr_assert_eq(rota_quiesce(engine, ROTA_MS(5)), -ETIMEDOUT);
	engine_stop();
}

/* ---- calls of other threads that wait ---- */

static void *thread_join_actor(void *arg)
{
	struct outsider *outsider = arg;

	tally_add(&outsider->thread, (size_t)thread_number());
	outsider->result = rota_join(outsider->id, outsider->within, NULL);
	return NULL;
}

Test(here, others_sleep_until_somebody_drives, .timeout = HANG)
{
	struct outsider outsider = {.within = ROTA_MS(5)};
	pthread_t thread;

	start_here();
	outsider.id = puppet_spawn(NULL, 0);
	ACTS(outsider.id, act_self_stop, NULL);
	thread = thread_start(thread_join_actor, &outsider);
	thread_join(thread);
	cr_assert_eq(outsider.result, -ETIMEDOUT, "nobody drives");
	outsider = (struct outsider){outsider.id, {0}, ROTA_FOREVER, 1};
	thread = thread_start(thread_join_actor, &outsider);
	await_sleep(&outsider.thread);
	drain();
	thread_join(thread);
	cr_assert_eq(outsider.result, 0);
	engine_stop();
}

static void *thread_quiesce(void *arg)
{
	struct outsider *outsider = arg;

	outsider->result = rota_quiesce(engine, outsider->within);
	return NULL;
}

Test(here, quiesce_of_others_waits_for_the_host, .timeout = HANG)
{
	struct outsider outsider = {.within = ROTA_MS(5)};
	static struct tally n;

	start_here();
	ACTS(puppet_spawn(NULL, 0), act_count, &n);
	thread_join(thread_start(thread_quiesce, &outsider));
	cr_assert_eq(outsider.result, -ETIMEDOUT);
	cr_assert_eq(tally_of(&n), 0);
	drain();
	thread_join(thread_start(thread_quiesce, &outsider));
	cr_assert_eq(outsider.result, 0);
	engine_stop();
}

/* ---- who drives ---- */

static void *thread_drive(void *arg)
{
	*(int *)arg = rota_run_some(engine, 64);
	return NULL;
}

static int drive_elsewhere(void)
{
	int result = 1;

	thread_join(thread_start(thread_drive, &result));
	return result;
}

Test(here, another_thread_may_take_over, .timeout = HANG)
{
	static struct tally n;

	start_here();
	drain();
	for (size_t i = 1; i <= 20; i++) {
		ACTS(puppet_spawn(NULL, 0), act_count, &n);
		if (i % 2)
			cr_assert_eq(drive_elsewhere(), 0);
		else
			drain();
		cr_assert_eq(tally_of(&n), i);
	}
	engine_stop();
}

Test(here, but_not_while_turns_wait, .timeout = HANG)
{
	static struct gate gate;

	start_here();
	start_waiting(&gate);
	cr_assert_eq(drive_elsewhere(), -EPERM);
	rota_actor_stop(gate.gate);
	cr_assert_eq(drive_elsewhere(), -EPERM);
	cr_assert(polls(0));
	drain();
	cr_assert_eq(tally_of(&gate.ended), 1);
	cr_assert_eq(drive_elsewhere(), 0);
	engine_stop();
}

static void *thread_drive_and_wait(void *arg)
{
	start_waiting(arg);
	rota_actor_stop(((struct gate *)arg)->gate);
	drain();
	return NULL;
}

Test(here, a_thread_that_ended_leaves_it_to_others, .timeout = HANG)
{
	static struct gate gate;

	start_here();
	thread_join(thread_start(thread_drive_and_wait, &gate));
	cr_assert_eq(tally_of(&gate.ended), 1);
	start_waiting(&gate);
	rota_actor_stop(gate.gate);
	drain();
	engine_stop();
}

Test(here, one_thread_drives_at_a_time, .timeout = HANG)
{
	static struct stall stall;
	pthread_t thread;
	int result = 1;

	start_here();
	ACTS(puppet_spawn(NULL, 0), act_stall, &stall);
	thread = thread_start(thread_drive, &result);
	AWAIT(flag_is_up(&stall.begun));
	cr_assert_eq(rota_run_some(engine, 1), -EBUSY);
	cr_assert_eq(rota_run_within(engine, ROTA_FOREVER), -EBUSY);
	flag_raise(&stall.go);
	thread_join(thread);
	cr_assert_eq(result, 0);
	engine_stop();
}

/* ---- misuse ---- */

static int act_run(void *arg)
{
	int *result = arg;

	result[0] = rota_run_some(engine, 1);
	result[1] = rota_run_within(engine, ROTA_FOREVER);
	result[2] = rota_quiesce(engine, ROTA_FOREVER);
	result[3] = rota_stop(engine, ROTA_FOREVER);
	return 0;
}

Test(here, a_handler_does_not_drive, .timeout = HANG)
{
	static int result[4];

	start_here();
	ACTS(puppet_spawn(NULL, 0), act_run, result);
	drain();
	for (int i = 0; i < 4; i++)
		cr_assert_eq(result[i], -EDEADLK, "%d", i);
	engine_stop();
}

static int act_run_other(void *arg)
{
	rota_engine **other = arg;

	return rota_run_some(*other, 1) == -EDEADLK ? rota_self_stop(1) : 0;
}

Test(here, nor_one_of_another_engine, .timeout = HANG)
{
	rota_engine *here;
	struct rota_exit why;
	rota_id puppet;

	start_here();
	here = engine;
	engine_start(1);
	puppet = puppet_spawn(NULL, 0);
	ACTS(puppet, act_run_other, &here);
	cr_assert_eq(rota_join(puppet, PATIENCE, &why), 0);
	cr_assert_eq(why.reason, 1);
	engine_stop();
	cr_assert_eq(rota_stop(here, PATIENCE), 0);
}

static int from_callback[2];

static void log_and_run(void *context, const struct rota_dead_letter *dead)
{
	(void)context;
	(void)dead;
	from_callback[0] = rota_run_some(engine, 1);
	from_callback[1] = rota_quiesce(engine, 0);
}

Test(here, nor_a_callback, .timeout = HANG)
{
	struct rota_config config = ROTA_CONFIG_INIT;
	rota_id puppet;

	config.flags = ROTA_RUN_HERE;
	config.dead_letter = log_and_run;
	engine = engine_make(&config);
	puppet = puppet_spawn(NULL, 0);
	ACTS(puppet, act_self_stop, NULL);
	send_value(puppet, 1, 1);
	drain();
	cr_assert_eq(from_callback[0], -EDEADLK);
	cr_assert_eq(from_callback[1], -EDEADLK);
	engine_stop();
}

Test(here, arguments_are_checked, .timeout = HANG)
{
	struct rota_config config = test_config(2);
	rota_engine *stopped;

	config.flags = ROTA_RUN_HERE;
	cr_assert_null(rota_start(&config));
	cr_assert_eq(errno, EINVAL);
	cr_assert_eq(rota_run_fd(NULL), -EINVAL);
	cr_assert_eq(rota_run_some(NULL, 1), -EINVAL);
	engine_start(1);
	cr_assert_eq(rota_run_fd(engine), -EINVAL);
	cr_assert_eq(rota_run_some(engine, 1), -EINVAL);
	cr_assert_eq(rota_run_within(engine, ROTA_NOW), -EINVAL);
	engine_stop();
	start_here();
	cr_assert_eq(rota_run_some(engine, 0), -EINVAL);
	stopped = engine;
	engine_stop();
	cr_assert_eq(rota_run_fd(stopped), -ESRCH);
	cr_assert_eq(rota_run_some(stopped, 1), -ESRCH);
	cr_assert_eq(rota_run_within(stopped, ROTA_NOW), -ESRCH);
}

Test(here, a_forked_child_does_not_drive, .timeout = HANG)
{
	int status = 0;
	pid_t child;

	if (!WIPES_ON_FORK)
		cr_skip_test("qemu-user does not wipe pages on fork");
	start_here();
	drain();
	child = fork();
	if (child == 0)
		_exit(!(rota_run_some(engine, 1) == -EPERM &&
			rota_run_within(engine, ROTA_NOW) == -EPERM &&
			rota_run_fd(engine) == -EPERM));
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	engine_stop();
}

/* ---- with others ---- */

static void *thread_fill(void *arg)
{
	act_fill(arg);
	return NULL;
}

Test(here, threads_send_to_it_with_waits, .timeout = HANG)
{
	static rota_id target;
	pthread_t thread;

	start_here();
	target = puppet_spawn(&record, 2);
	thread = thread_start(thread_fill, &target);
	DRIVE(tally_of(&record.n) == 1000);
	thread_join(thread);
	for (size_t i = 0; i < 1000; i++)
		cr_assert_eq(record.note[i].value, i);
	engine_stop();
}

/* Sends each message on, as long as there is some way to go. */
static int relay_handle(void *state, unsigned tag, void *payload, size_t length)
{
	rota_id *partner = state;
	uint64_t left = value_at(payload, length);

	if (tag == 2) {
		*partner = left;
		return 0;
	}
	return left ? send_value(*partner, 1, left - 1) : rota_self_stop(0);
}

static const struct rota_behaviour relay_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "relay",
	.state_size = sizeof(rota_id),
	.handle = relay_handle,
};

Test(here, goes_together_with_an_engine_with_threads, .timeout = HANG)
{
	rota_engine *here;
	rota_id near, far;

	start_here();
	here = engine;
	near = spawn(&relay_behaviour, NULL, 1);
	engine_start(2);
	far = spawn(&relay_behaviour, &near, 1);
	cr_assert_eq(send_value(near, 2, far), 0);
	cr_assert_eq(send_value(near, 1, 2 * SIZED(1000, 100)), 0);
	cr_assert_eq(rota_join(near, PATIENCE, NULL), 0);
	engine_stop();
	engine = here;
	engine_stop();
}

static struct gate other_gate;

Test(here, a_turn_waits_for_an_actor_of_threads, .timeout = HANG)
{
	rota_engine *here, *there;

	start_here();
	here = engine;
	engine_start(1);
	there = engine;
	other_gate.gate = puppet_spawn(NULL, 0);
	other_gate.within = ROTA_FOREVER;
	engine = here;
	ACTS(puppet_spawn(NULL, 0), act_wait, &other_gate);
	drain();
	cr_assert_eq(tally_of(&other_gate.ended), 0);
	cr_assert_eq(rota_actor_stop(other_gate.gate), 0);
	DRIVE(tally_of(&other_gate.ended) == 1);
	cr_assert_eq(other_gate.result, 0);
	engine_stop();
	engine = there;
	engine_stop();
}

/* ---- looking ---- */

static int act_until_yield(void *arg)
{
	time_t end = time(NULL) + HANG / 2;

	while (!rota_should_yield())
		if (time(NULL) > end)
			return 0;
	tally_add(arg, 1);
	return 0;
}

Test(here, a_long_handler_is_told_to_make_way, .timeout = HANG)
{
	static struct tally told;

	start_here();
	ACTS(puppet_spawn(NULL, 0), act_until_yield, &told);
	drain();
	cr_assert_eq(tally_of(&told), 1);
	ACTS(puppet_spawn(NULL, 0), act_until_yield, &told);
	cr_assert_geq(rota_run_within(engine, ROTA_NOW), 0);
	cr_assert_eq(tally_of(&told), 2);
	cr_assert_eq(rota_should_yield(), 0);
	engine_stop();
}

Test(here, a_running_handler_is_seen_from_outside, .timeout = HANG)
{
	struct rota_status status = ROTA_STATUS_INIT;
	static struct stall stall;
	int result = 1;
	pthread_t thread;
	rota_id puppet;

	start_here();
	puppet = puppet_spawn(NULL, 0);
	ACTS(puppet, act_stall, &stall);
	cr_assert_eq(rota_status(puppet, &status), 0);
	cr_assert_eq(status.activity, ROTA_QUEUED);
	thread = thread_start(thread_drive, &result);
	AWAIT(flag_is_up(&stall.begun));
	AWAIT(rota_status(puppet, &status) == 0 && status.for_ns > 0);
	cr_assert_eq(status.activity, ROTA_RUNNING);
	cr_assert_eq(status.tag, ACT);
	flag_raise(&stall.go);
	thread_join(thread);
	cr_assert_eq(rota_status(puppet, &status), 0);
	cr_assert_eq(status.activity, ROTA_IDLE);
	engine_stop();
}

Test(here, a_waiting_handler_too_and_it_is_counted, .timeout = HANG)
{
	struct rota_status status = ROTA_STATUS_INIT;
	static struct gate gate;
	struct rota_stats sums;
	rota_id puppet;

	start_here();
	gate.gate = puppet_spawn(NULL, 0);
	gate.within = ROTA_FOREVER;
	puppet = puppet_spawn(NULL, 0);
	ACTS(puppet, act_wait, &gate);
	drain();
	AWAIT(rota_status(puppet, &status) == 0 && status.for_ns > 0);
	cr_assert_eq(status.activity, ROTA_WAITING);
	cr_assert_eq(status.whom, gate.gate);
	sums = counters();
	cr_assert_eq(sums.waits, 1);
	cr_assert_eq(sums.spawned, 2);
	rota_actor_stop(gate.gate);
	drain();
	cr_assert_eq(counters().messages, 1);
	engine_stop();
}

/* ---- the end ---- */

Test(here, a_stop_ends_what_is_queued_and_what_waits, .timeout = HANG)
{
	struct rota_stop_report report = ROTA_STOP_REPORT_INIT;
	static struct gate gate;

	start_here();
	start_waiting(&gate);
	for (int i = 0; i < 10; i++)
		send_value(puppet_spawn(&record, 0), 1, 1);
	cr_assert_eq(rota_stop_report(engine, PATIENCE, &report), 0);
	cr_assert_eq(tally_of(&gate.ended), 1);
	cr_assert_eq(gate.result, -ECANCELED);
	cr_assert_eq(report.stuck, 0);
	cr_assert_eq(report.actors_stopped, 12);
	cr_assert_eq(report.dead_letters, 10);
	cr_assert_eq(tally_of(&record.destroyed), 10);
	cr_assert_eq(n_dead(), 10);
}

Test(here, one_that_was_never_driven_stops, .timeout = HANG)
{
	for (int i = 0; i < 20; i++) {
		start_here();
		engine_stop();
	}
}

static void *thread_stop(void *arg)
{
	struct outsider *outsider = arg;

	outsider->result = rota_stop(engine, outsider->within);
	return NULL;
}

Test(here, another_thread_stops_it, .timeout = HANG)
{
	struct outsider outsider = {.within = PATIENCE, .result = 1};

	start_here();
	send_value(puppet_spawn(&record, 0), 1, 1);
	drain();
	send_value(puppet_spawn(&record, 0), 1, 1);
	thread_join(thread_start(thread_stop, &outsider));
	cr_assert_eq(outsider.result, 0);
	cr_assert_eq(tally_of(&record.destroyed), 2);
	cr_assert_eq(n_dead(), 1);
}

Test(here, with_the_help_of_the_thread_where_turns_wait, .timeout = HANG)
{
	struct outsider outsider = {.within = PATIENCE, .result = 1};
	static struct gate gate;
	pthread_t thread;

	start_here();
	start_waiting(&gate);
	thread = thread_start(thread_stop, &outsider);
	while (tally_of(&gate.ended) == 0) {
		int more = rota_run_some(engine, 64);

		cr_assert(more >= 0 || more == -EBUSY || more == -ESRCH, "%s",
			  rota_strerror(more));
		nap();
	}
	thread_join(thread);
	cr_assert_eq(outsider.result, 0);
	/* Whom it waits for may have been ended before it is told. */
	cr_assert(gate.result == -ECANCELED || gate.result == 0);
	cr_assert_eq(rota_run_some(engine, 1), -ESRCH);
}

/* What they stand on is never given back: AddressSanitizer minds. */
Test(here, or_not_at_all, .timeout = HANG, .disabled = UNDER_ASAN)
{
	struct outsider outsider = {.within = ROTA_MS(20), .result = 1};
	static struct gate gate;

	start_here();
	start_waiting(&gate);
	thread_join(thread_start(thread_stop, &outsider));
	cr_assert_eq(outsider.result, -ETIMEDOUT);
	cr_assert_eq(tally_of(&gate.ended), 0);
	cr_assert_eq(rota_run_some(engine, 1), -ESRCH);
}

/* The stop does not wait for a handler; who drives ends the engine later. */
Test(here, a_stop_in_the_midst_of_a_handler, .timeout = HANG)
{
	struct outsider outsider = {.within = ROTA_MS(20), .result = 1};
	unsigned before = n_descriptors();
	static struct stall stall;
	pthread_t thread;
	int result = -1;

	start_here();
	send_value(puppet_spawn(&record, 0), 1, 1);
	ACTS(puppet_spawn(&record, 0), act_stall, &stall);
	send_value(puppet_spawn(&record, 0), 1, 1);
	thread = thread_start(thread_drive, &result);
	AWAIT(flag_is_up(&stall.begun));
	thread_join(thread_start(thread_stop, &outsider));
	cr_assert_eq(outsider.result, -ETIMEDOUT);
	cr_assert_eq(rota_run_some(engine, 1), -ESRCH);
	flag_raise(&stall.go);
	thread_join(thread);
	cr_assert_geq(result, 0);
	cr_assert_eq(tally_of(&record.destroyed), 3);
	cr_assert_eq(n_descriptors(), before, "it is still there");
}

Test(here, a_stop_waits_for_who_drives, .timeout = HANG)
{
	struct outsider outsider = {.within = PATIENCE, .result = 1};
	static struct stall stall;
	pthread_t driver, stopper;
	int result = -1;

	start_here();
	ACTS(puppet_spawn(&record, 0), act_stall, &stall);
	driver = thread_start(thread_drive, &result);
	AWAIT(flag_is_up(&stall.begun));
	stopper = thread_start(thread_stop, &outsider);
	nap();
	flag_raise(&stall.go);
	thread_join(driver);
	thread_join(stopper);
	cr_assert_eq(outsider.result, 0);
	cr_assert_eq(tally_of(&record.destroyed), 1);
}

static struct flag has_started;

static void *thread_wait_for_ever(void *arg)
{
	struct outsider *outsider = arg;

	start_here();
	outsider->id = puppet_spawn(NULL, 0);
	flag_raise(&has_started);
	tally_add(&outsider->thread, (size_t)thread_number());
	outsider->result = rota_join(outsider->id, ROTA_FOREVER, NULL);
	return NULL;
}

Test(here, a_stop_ends_the_wait_of_the_host, .timeout = HANG)
{
	struct outsider outsider = {.result = 1};
	pthread_t thread = thread_start(thread_wait_for_ever, &outsider);
	int error;

	AWAIT(flag_is_up(&has_started));
	await_sleep(&outsider.thread);
	error = rota_stop(engine, PATIENCE);
	thread_join(thread);
	cr_assert_eq(error, 0);
	cr_assert_eq(outsider.result, 0, "%s", rota_strerror(outsider.result));
}
