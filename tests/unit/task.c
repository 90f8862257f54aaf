/* SPDX-License-Identifier: MIT */
/*
 * task - functions that run once, with names: join, cancel, forget
 */
#include <rota/task.h>

#include "tests/unit/support.h"

static rota_task submit(rota_task_function *run, const void *argument,
			size_t length)
{
	rota_task name = 0;
	int error = rota_task_submit(engine, run, argument, length, &name);

	cr_assert_eq(error, 0, "%s", rota_strerror(error));
	cr_assert_neq(name, 0);
	return name;
}

static rota_task submit_pointer(rota_task_function *run, void *pointer)
{
	return submit(run, &pointer, sizeof(pointer));
}

static void *pointer_in(void *argument)
{
	void *pointer;

	memcpy(&pointer, argument, sizeof(pointer));
	return pointer;
}

static void expect_join(rota_task task, int expected)
{
	int result = 12345, error = rota_task_join(task, PATIENCE, &result);

	cr_assert_eq(error, 0, "%s", rota_strerror(error));
	cr_assert_eq(result, expected);
}

static void expect_used_up(rota_task task)
{
	int result = 12345;

	cr_assert_eq(rota_task_join(task, ROTA_FOREVER, &result), -ESRCH);
	cr_assert_eq(result, 12345);
	cr_assert_eq(rota_task_cancel(task), -ESRCH);
	cr_assert_eq(rota_task_forget(task), -ESRCH);
}

static int return_it(void *argument)
{
	int value;

	memcpy(&value, argument, sizeof(value));
	return value;
}

static int count_one(void *argument)
{
	tally_add(pointer_in(argument), 1);
	return 0;
}

/* Blocks its worker's thread. */
static int stall_task(void *argument)
{
	return act_stall(pointer_in(argument));
}

/* ---- running ---- */

Test(task, runs_and_gives_its_result, .timeout = HANG)
{
	static const int results[] = {0, 1, -1, INT32_MAX, INT32_MIN};

	engine_start(2);
	for (size_t i = 0; i < 5; i++) {
		rota_task task =
			submit(return_it, &results[i], sizeof(results[i]));

		expect_join(task, results[i]);
		expect_used_up(task);
	}
	engine_stop();
}

struct bytes {
	size_t length;
	unsigned char sum;
	bool is_aligned;
};

static struct bytes seen;

static int look_at_32(void *argument)
{
	const unsigned char *bytes = argument;

	seen = (struct bytes){.is_aligned = (uintptr_t)argument % 16 == 0};
	for (size_t i = 0; i < 32; i++)
		seen.sum = (unsigned char)(seen.sum * 3 + bytes[i]);
	memset(argument, 0, 32); /* it is ours to change */
	return 0;
}

static int look_at_64(void *argument)
{
	unsigned char sum;

	look_at_32(argument);
	sum = seen.sum;
	look_at_32((unsigned char *)argument + 32);
	seen.sum = (unsigned char)(seen.sum * 7 + sum);
	return 0;
}

Test(task, gets_a_copy_of_its_argument, .timeout = HANG)
{
	unsigned char bytes[ROTA_TASK_ARGUMENT + 1], expected, copy[64];

	engine_start(1);
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 37 + 11);
	memcpy(copy, bytes, 64);
	look_at_64(copy);
	expected = seen.sum;
	seen = (struct bytes){0};
	expect_join(submit(look_at_64, bytes, ROTA_TASK_ARGUMENT), 0);
	cr_assert_eq(seen.sum, expected);
	cr_assert(seen.is_aligned);
	/* Without a name, large and small. */
	seen = (struct bytes){0};
	cr_assert_eq(rota_task_submit(engine, look_at_64, bytes, 64, NULL), 0);
	quiesce();
	cr_assert_eq(seen.sum, expected);
	memcpy(copy, bytes, 32);
	look_at_32(copy);
	expected = seen.sum;
	seen = (struct bytes){0};
	cr_assert_eq(rota_task_submit(engine, look_at_32, bytes, 32, NULL), 0);
	quiesce();
	cr_assert_eq(seen.sum, expected);
	cr_assert(seen.is_aligned);
	engine_stop();
}

Test(task, bad_submits_are_refused, .timeout = HANG)
{
	unsigned char bytes[ROTA_TASK_ARGUMENT + 1] = {0};
	rota_task task = 77;
	rota_engine *gone;

	engine_start(1);
	gone = engine;
	cr_assert_eq(rota_task_submit(NULL, return_it, bytes, 4, &task),
		     -EINVAL);
	cr_assert_eq(rota_task_submit(engine, NULL, bytes, 4, &task), -EINVAL);
	cr_assert_eq(rota_task_submit(engine, return_it, NULL, 4, &task),
		     -EINVAL);
	cr_assert_eq(rota_task_submit(engine, return_it, bytes, sizeof(bytes),
				      &task),
		     -EMSGSIZE);
	quiesce();
	cr_assert_eq(counters().tasks, 0);
	engine_stop();
	cr_assert_eq(rota_task_submit(gone, return_it, bytes, 4, &task),
		     -ESRCH);
	cr_assert_eq(task, 77);
}

Test(task, needs_no_name, .timeout = HANG)
{
	struct tally n = {0};
	void *pointer = &n;

	engine_start(2);
	for (int i = 0; i < 1000; i++)
		cr_assert_eq(rota_task_submit(engine, count_one, &pointer,
					      sizeof(pointer), NULL),
			     0);
	quiesce();
	cr_assert_eq(tally_of(&n), 1000);
	cr_assert_eq(counters().tasks, 1000);
	engine_stop();
}

static int submit_and_join(void *argument)
{
	rota_task task;
	int result = -1, value = return_it(argument) - 1;
	int error;

	if (value < 0)
		return 0;
	error = rota_task_submit(NULL, submit_and_join, &value, sizeof(value),
				 &task);
	if (!error)
		error = rota_task_join(task, ROTA_FOREVER, &result);
	return error ? error : result + 1;
}

Test(task, tasks_may_wait_for_tasks, .timeout = HANG)
{
	for (unsigned workers = 1; workers <= 2; workers++) {
		engine_start(workers);
		expect_join(submit(submit_and_join, &(int){500}, sizeof(int)),
			    500);
		quiesce();
		cr_assert_eq(counters().tasks, 501);
		engine_stop();
	}
}

struct asking {
	int value;
	int result;
	int error;
};

static int act_submit_and_join(void *arg)
{
	struct asking *asking = arg;
	rota_task task;

	asking->error = rota_task_submit(NULL, submit_and_join, &asking->value,
					 sizeof(int), &task);
	if (!asking->error)
		asking->error =
			rota_task_join(task, ROTA_FOREVER, &asking->result);
	return 0;
}

Test(task, handlers_may_wait_for_tasks, .timeout = HANG)
{
	static struct asking asking[100];

	engine_start(2);
	for (int i = 0; i < 100; i++) {
		asking[i].value = i;
		ACTS(puppet_spawn(NULL, 0), act_submit_and_join, &asking[i]);
	}
	quiesce();
	for (int i = 0; i < 100; i++) {
		cr_assert_eq(asking[i].error, 0);
		cr_assert_eq(asking[i].result, i);
	}
	engine_stop();
}

/* ---- what a task may do besides ---- */

static struct record record;

static int task_uses_actors(void *argument)
{
	rota_id id = rota_spawn(NULL, &puppet_behaviour,
				&(struct puppet){&record}, NULL);
	struct rota_exit why;
	int error;

	(void)argument;
	if (rota_self() != ROTA_NONE)
		return 1;
	for (uint64_t i = 0; i < 1000; i++) /* many times its capacity */
		if (rota_send(id, 1, &i, sizeof(i)) != 0)
			return 2;
	if (rota_actor_drain(id) != 0)
		return 3;
	error = rota_join(id, ROTA_FOREVER, &why);
	return error || why.cause != ROTA_EXIT_NORMAL ? 4 : 0;
}

Test(task, may_send_and_join_actors, .timeout = HANG)
{
	engine_start(1);
	expect_join(submit(task_uses_actors, NULL, 0), 0);
	cr_assert_eq(tally_of(&record.n), 1000);
	cr_assert_eq(tally_of(&record.destroyed), 1);
	for (uint64_t i = 0; i < 1000; i++)
		cr_assert_eq(record.note[i].value, i);
	engine_stop();
}

#define BURST 10

/* More in a row than are sent one by one. */
static int send_burst(void *argument)
{
	rota_id id;
	int error = 0;

	memcpy(&id, argument, sizeof(id));
	for (uint64_t i = 0; i < BURST && !error; i++)
		error = rota_send(id, 1, &i, sizeof(i));
	return error;
}

/* A task's sends come before what those who know its end then send. */
Test(task, sends_are_out_when_it_has_ended, .timeout = HANG)
{
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 1000);
	for (uint64_t round = 1; round <= 200; round++) {
		expect_join(submit(send_burst, &id, sizeof(id)), 0);
		cr_assert_eq(send_value(id, 2, round), 0);
	}
	quiesce();
	cr_assert_eq(tally_of(&record.n), 200 * (BURST + 1));
	for (size_t i = 0; i < 200 * (BURST + 1); i++)
		cr_assert_eq(record.note[i].tag,
			     i % (BURST + 1) == BURST ? 2 : 1, "%zu", i);
	engine_stop();
}

/* ---- joining ---- */

struct joiner {
	rota_task task;
	int64_t within;
	struct tally thread;
	int error;
	int result;
	struct flag ended;
	pthread_t pthread;
};

static int act_join_task(void *arg)
{
	struct joiner *j = arg;

	tally_add(&j->thread, (size_t)thread_number());
	j->error = rota_task_join(j->task, j->within, &j->result);
	flag_raise(&j->ended);
	return 0;
}

static void *thread_joining(void *arg)
{
	act_join_task(arg);
	return NULL;
}

#define JOINERS 20

/* Half of them threads, half of them handlers, all waiting. */
static void start_joiners(struct joiner *j, rota_task task)
{
	uint64_t waits = counters().waits;

	for (size_t i = 0; i < JOINERS; i++) {
		j[i] = (struct joiner){.task = task, .within = ROTA_FOREVER};
		if (i % 2 == 0) {
			ACTS(puppet_spawn(NULL, 0), act_join_task, &j[i]);
			continue;
		}
		j[i].pthread = thread_start(thread_joining, &j[i]);
		await_sleep(&j[i].thread);
	}
	AWAIT(counters().waits >= waits + JOINERS / 2);
}

static void end_joiners(struct joiner *j, int error, int result)
{
	for (size_t i = 1; i < JOINERS; i += 2)
		thread_join(j[i].pthread);
	quiesce();
	for (size_t i = 0; i < JOINERS; i++) {
		cr_assert_eq(j[i].error, error, "%zu: %d", i, j[i].error);
		cr_assert_eq(j[i].result, result);
	}
}

struct stalled {
	struct stall stall;
	int result;
	int cancelled[2]; /* seen before and after */
};

static int stalled_task(void *argument)
{
	struct stalled *s = pointer_in(argument);

	s->cancelled[0] = rota_task_is_cancelled();
	act_stall(&s->stall);
	s->cancelled[1] = rota_task_is_cancelled();
	return s->result;
}

static rota_task stalled_start(struct stalled *s)
{
	rota_task task = submit_pointer(stalled_task, s);

	AWAIT(flag_is_up(&s->stall.begun));
	return task;
}

Test(task, all_who_wait_get_the_result, .timeout = HANG)
{
	static struct joiner j[JOINERS];
	struct stalled s = {.result = 42};
	rota_task task;

	engine_start(2);
	task = stalled_start(&s);
	start_joiners(j, task);
	flag_raise(&s.stall.go);
	end_joiners(j, 0, 42);
	expect_used_up(task);
	engine_stop();
}

Test(task, join_waits_no_longer_than_asked, .timeout = HANG)
{
	static const int64_t within[] = {INT64_MIN, -1, ROTA_NOW, 1,
					 ROTA_MS(2)};
	struct stalled s = {.result = 7};
	struct joiner j;
	rota_task task;

	engine_start(2);
	task = stalled_start(&s);
	for (size_t i = 0; i < 5; i++) {
		j = (struct joiner){.task = task, .within = within[i]};
		act_join_task(&j);
		cr_assert_eq(j.error, -ETIMEDOUT);
		j = (struct joiner){.task = task, .within = within[i]};
		ACTS(puppet_spawn(NULL, 0), act_join_task, &j);
		AWAIT(flag_is_up(&j.ended));
		cr_assert_eq(j.error, -ETIMEDOUT);
	}
	flag_raise(&s.stall.go);
	expect_join(task, 7); /* and did nothing to it */
	engine_stop();
}

static int join_self(void *argument)
{
	struct joiner *j = pointer_in(argument);

	while (tally_of(&j->thread) == 0)
		nap();
	return rota_task_join(j->task, ROTA_FOREVER, NULL);
}

Test(task, joining_itself_is_refused, .timeout = HANG)
{
	struct joiner j = {0};

	engine_start(1);
	j.task = submit_pointer(join_self, &j);
	tally_add(&j.thread, 1);
	expect_join(j.task, -EDEADLK);
	engine_stop();
}

Test(task, made_up_names_name_nothing, .timeout = HANG)
{
	rota_task task;

	engine_start(1);
	task = submit(return_it, &(int){3}, sizeof(int));
	expect_used_up(0);
	expect_used_up(1);
	expect_used_up(~(rota_task)0);
	expect_used_up(task + 1);
	expect_used_up(task + (1 << 24));
	expect_used_up(task - (1 << 24));
	expect_used_up(task ^ (rota_task)1 << 56);
	expect_join(task, 3);
	engine_stop();
	expect_used_up(task);
}

Test(task, old_names_stay_used_up, .timeout = HANG)
{
	static rota_task task[1000];

	engine_start(2);
	for (int i = 0; i < 1000; i++) {
		task[i] = submit(return_it, &i, sizeof(i));
		expect_join(task[i], i);
		for (int k = 0; k < i; k += 100)
			expect_used_up(task[k]);
		cr_assert(i == 0 || task[i] != task[i - 1]);
	}
	engine_stop();
	engine_start(2);
	for (int i = 0; i < 1000; i++) {
		expect_used_up(task[i]);
		expect_join(submit(return_it, &i, sizeof(i)), i);
	}
	engine_stop();
}

static int look_for_engine(void *argument)
{
	(void)argument;
	return rota_self_engine() == engine;
}

Test(task, knows_its_engine, .timeout = HANG)
{
	engine_start(1);
	expect_join(submit(look_for_engine, NULL, 0), 1);
	engine_stop();
}

/* ---- cancelling and forgetting ---- */

/* One worker that is busy, so that nothing else starts. */
static struct stall busy;

static void engine_start_busy(void)
{
	engine_start(1);
	busy = (struct stall){{0}, {0}, {0}};
	(void)submit_pointer(stall_task, &busy);
	AWAIT(flag_is_up(&busy.begun));
}

Test(task, cancelled_before_its_start_never_runs, .timeout = HANG)
{
	struct tally n = {0};
	rota_task task;

	engine_start_busy();
	task = submit_pointer(count_one, &n);
	cr_assert_eq(rota_task_cancel(task), 0);
	cr_assert_eq(rota_task_cancel(task), 0);
	cr_assert_eq(rota_task_join(task, ROTA_FOREVER, NULL), -ECANCELED);
	expect_used_up(task);
	task = submit_pointer(count_one, &n);
	cr_assert_eq(rota_task_cancel(task), 0);
	flag_raise(&busy.go);
	quiesce();
	/* Also when it has come out of its queue. */
	cr_assert_eq(rota_task_cancel(task), 0);
	cr_assert_eq(rota_task_join(task, ROTA_FOREVER, NULL), -ECANCELED);
	expect_used_up(task);
	cr_assert_eq(tally_of(&n), 0);
	engine_stop();
}

Test(task, cancelling_tells_joiners_at_once, .timeout = HANG)
{
	static struct joiner j[JOINERS];
	struct tally n = {0};
	rota_task task;

	engine_start_busy();
	task = submit_pointer(count_one, &n);
	for (size_t i = 0; i < JOINERS; i++) {
		j[i] = (struct joiner){.task = task, .within = ROTA_FOREVER};
		j[i].pthread = thread_start(thread_joining, &j[i]);
		await_sleep(&j[i].thread);
	}
	cr_assert_eq(rota_task_cancel(task), 0);
	for (size_t i = 0; i < JOINERS; i++) {
		thread_join(j[i].pthread);
		cr_assert_eq(j[i].error, -ECANCELED);
	}
	expect_used_up(task);
	flag_raise(&busy.go);
	quiesce();
	cr_assert_eq(tally_of(&n), 0);
	engine_stop();
}

Test(task, a_running_one_is_told, .timeout = HANG)
{
	struct stalled s = {.result = 5};
	rota_task task;

	engine_start(1);
	task = stalled_start(&s);
	cr_assert_eq(rota_task_cancel(task), 1);
	flag_raise(&s.stall.go);
	expect_join(task, 5);
	cr_assert_eq(s.cancelled[0], 0);
	cr_assert_eq(s.cancelled[1], 1);
	/* The next one in that cell is another. */
	s.stall = (struct stall){{0}, {1}, {0}};
	expect_join(submit_pointer(stalled_task, &s), 5);
	cr_assert_eq(s.cancelled[1], 0);
	cr_assert_eq(rota_task_is_cancelled(), 0);
	engine_stop();
}

Test(task, forgotten_ones_run, .timeout = HANG)
{
	struct tally n = {0};
	rota_task task;

	engine_start_busy();
	task = submit_pointer(count_one, &n);
	cr_assert_eq(rota_task_forget(task), 0);
	expect_used_up(task);
	flag_raise(&busy.go);
	quiesce();
	cr_assert_eq(tally_of(&n), 1);
	task = submit_pointer(count_one, &n);
	quiesce();
	cr_assert_eq(rota_task_forget(task), 0);
	expect_used_up(task);
	engine_stop();
}

Test(task, waited_for_ones_are_not_forgotten, .timeout = HANG)
{
	struct stalled s = {.result = 5};
	struct joiner j = {.within = ROTA_FOREVER};

	engine_start(1);
	j.task = stalled_start(&s);
	j.pthread = thread_start(thread_joining, &j);
	await_sleep(&j.thread);
	cr_assert_eq(rota_task_forget(j.task), -EBUSY);
	flag_raise(&s.stall.go);
	thread_join(j.pthread);
	cr_assert_eq(j.error, 0);
	cr_assert_eq(j.result, 5);
	engine_stop();
}

/* ---- rest, stop, memory ---- */

Test(task, quiescence_waits_for_tasks, .timeout = HANG)
{
	struct stalled s = {.result = 0};

	engine_start(1);
	(void)stalled_start(&s);
	cr_assert_eq(rota_quiesce(engine, ROTA_MS(1)), -ETIMEDOUT);
	flag_raise(&s.stall.go);
	quiesce();
	cr_assert(flag_is_up(&s.stall.ended));
	engine_stop();
}

static void *stop_it(void *arg)
{
	(void)arg;
	engine_stop();
	return NULL;
}

Test(task, a_stop_cancels_what_has_not_started, .timeout = HANG)
{
	struct tally n = {0};
	struct joiner j = {.within = ROTA_FOREVER};
	struct stalled s = {.result = 0};
	rota_engine *stopping;
	void *pointer = &n;
	pthread_t stopper;

	engine_start(1);
	stopping = engine;
	(void)stalled_start(&s);
	for (int i = 0; i < 1000; i++)
		j.task = submit_pointer(count_one, &n);
	j.pthread = thread_start(thread_joining, &j);
	await_sleep(&j.thread);
	stopper = thread_start(stop_it, NULL);
	/* Submits are refused from now on, then the engine is gone. */
	AWAIT(rota_task_submit(stopping, count_one, &pointer, sizeof(pointer),
			       NULL) == -ESHUTDOWN);
	flag_raise(&s.stall.go);
	thread_join(j.pthread);
	cr_assert_eq(j.error, -ECANCELED);
	thread_join(stopper);
	cr_assert_eq(s.cancelled[1], 1); /* by the stop */
	cr_assert_eq(tally_of(&n), 0);
}

Test(task, a_stop_gives_up_what_does_not_return, .timeout = HANG)
{
	static struct joiner j[JOINERS / 2];
	struct stalled s = {.result = 0};
	rota_task task;

	engine_start(1);
	task = stalled_start(&s);
	for (size_t i = 0; i < JOINERS / 2; i++) {
		j[i] = (struct joiner){.task = task, .within = ROTA_FOREVER};
		j[i].pthread = thread_start(thread_joining, &j[i]);
		await_sleep(&j[i].thread);
	}
	cr_assert_eq(rota_stop(engine, ROTA_MS(20)), -ETIMEDOUT);
	for (size_t i = 0; i < JOINERS / 2; i++) {
		thread_join(j[i].pthread);
		cr_assert_eq(j[i].error, -ESRCH);
	}
	flag_raise(&s.stall.go);
	AWAIT(flag_is_up(&s.stall.ended));
}

#define BLOCK ((size_t)2 << 20)

static AO_t may_map = 1;

static void *map(void *context, size_t size)
{
	(void)context;
	void *block = AO_load(&may_map) ? aligned_alloc(BLOCK, size) : NULL;

	return block ? memset(block, 0, size) : NULL;
}

static void *map_zeroed(void *context, size_t size)
{
	void *block = map(context, size);

	if (block)
		memset(block, 0, size);
	return block;
}

static void unmap(void *context, void *block, size_t size)
{
	(void)context;
	(void)size;
	free(block);
}

Test(task, without_memory_submits_fail_and_nothing_is_lost, .timeout = HANG)
{
	struct rota_config config = test_config(1);
	size_t most = 1 << 20, n = 0;
	rota_task *task = calloc(most, sizeof(*task));
	struct tally ran = {0};
	void *pointer = &ran;
	int error = 0;

	config.allocator.map = map_zeroed;
	config.allocator.unmap = unmap;
	engine = engine_make(&config);
	task[n++] = submit_pointer(count_one, &ran);
	AO_store(&may_map, 0);
	while (n < most && !error) {
		error = rota_task_submit(engine, count_one, &pointer,
					 sizeof(pointer), &task[n]);
		n += !error;
	}
	cr_assert_eq(error, -ENOMEM);
	AO_store(&may_map, 1);
	task[n++] = submit_pointer(count_one, &ran);
	for (size_t i = 0; i < n; i++)
		expect_join(task[i], 0);
	cr_assert_eq(tally_of(&ran), n);
	engine_stop();
	free(task);
}

/* Names that nobody asks for do not keep an engine from ending. */
Test(task, a_stop_frees_unjoined_ones, .timeout = HANG)
{
	engine_start(2);
	for (int i = 0; i < 5000; i++)
		(void)submit(return_it, &i, sizeof(i));
	quiesce();
	engine_stop();
}
