/* SPDX-License-Identifier: MIT */
/*
 * task_group - tasks that somebody waits for: all of them, and once
 */
#include <rota/task.h>
#include <rota/wait.h>

#include "tests/unit/support.h"

static void *pointer_in(void *argument)
{
	void *pointer;

	memcpy(&pointer, argument, sizeof(pointer));
	return pointer;
}

static int put(struct rota_task_group *group, rota_task_function *run,
	       void *pointer)
{
	return rota_task_group_submit(group, run, &pointer, sizeof(pointer));
}

static int count_one(void *argument)
{
	tally_add(pointer_in(argument), 1);
	return 0;
}

/* Run a function as a task, and wait for its result. */
static int run_task(rota_task_function *run, void *pointer)
{
	rota_task task;
	int result = 0;
	int error =
		rota_task_submit(engine, run, &pointer, sizeof(pointer), &task);

	cr_assert_eq(error, 0, "%s", rota_strerror(error));
	error = rota_task_join(task, PATIENCE, &result);
	cr_assert_eq(error, 0, "%s", rota_strerror(error));
	return result;
}

/* ---- trees ---- */

struct fib {
	int n;
	long *result;
};

static int fork_fib(struct rota_task_group *group, rota_task_function *fib,
		    int n, long *result)
{
	struct fib child = {n, result};

	return rota_task_group_submit(group, fib, &child, sizeof(child));
}

static int fib(void *argument)
{
	struct fib *f = argument;
	struct rota_task_group group;
	long a = 0, b = 0;
	int failure = 0, error;

	if (f->n < 2) {
		*f->result = f->n;
		return 0;
	}
	error = rota_task_group_init(&group, NULL);
	if (!error)
		error = fork_fib(&group, fib, f->n - 1, &a);
	if (!error)
		error = fork_fib(&group, fib, f->n - 2, &b);
	if (!error)
		error = rota_task_group_wait(&group, ROTA_FOREVER, &failure);
	*f->result = a + b;
	return error ? error : failure;
}

static void expect_fib(int n, long expected)
{
	struct rota_task_group group;
	struct fib f = {n, &(long){0}};
	int failure = 1;

	cr_assert_eq(rota_task_group_init(&group, engine), 0);
	cr_assert_eq(rota_task_group_submit(&group, fib, &f, sizeof(f)), 0);
	cr_assert_eq(rota_task_group_wait(&group, ROTA_FOREVER, &failure), 0);
	cr_assert_eq(failure, 0);
	cr_assert_eq(*f.result, expected);
}

Test(task_group, unfolds_a_tree, .timeout = HANG)
{
	for (unsigned workers = 1; workers <= 4; workers++) {
		engine_start(workers);
		expect_fib(0, 0);
		expect_fib(1, 1);
		expect_fib(SIZED(22, 16), SIZED(17711, 987));
		quiesce();
		cr_assert_eq(counters().tasks, 2 + SIZED(57313, 3193));
		engine_stop();
	}
}

/* What a single worker forks it runs itself, on the stack that waits. */
Test(task_group, runs_what_it_waits_for, .timeout = HANG)
{
	engine_start(1);
	expect_fib(15, 610);
	cr_assert_eq(counters().waits, 0);
	engine_stop();
}

/* ---- deep and wide ---- */

struct chain {
	struct tally *n;
	long left;
};

/* Each waits for the next: no stack is deep enough for all. */
static int chain(void *argument)
{
	struct chain *c = argument;
	struct chain next = {c->n, c->left - 1};
	struct rota_task_group group;
	int error;

	tally_add(c->n, 1);
	if (c->left == 0)
		return 0;
	error = rota_task_group_init(&group, NULL);
	if (!error)
		error = rota_task_group_submit(&group, chain, &next,
					       sizeof(next));
	if (!error)
		error = rota_task_group_wait(&group, ROTA_FOREVER, NULL);
	return error;
}

Test(task_group, a_chain_is_deeper_than_a_stack, .timeout = HANG)
{
	long length = SIZED(30000, 3000);
	struct rota_config config = test_config(2);
	struct tally n = {0};
	struct chain first = {&n, length};
	rota_task task;
	int result = 1;

	config.stack_size = SIZED(32, 64) * 1024;
	engine = engine_make(&config);
	cr_assert_eq(
		rota_task_submit(engine, chain, &first, sizeof(first), &task),
		0);
	cr_assert_eq(rota_task_join(task, PATIENCE, &result), 0);
	cr_assert_eq(result, 0);
	cr_assert_eq(tally_of(&n), (size_t)length + 1);
	cr_assert_gt(counters().waits, 0); /* it took several stacks */
	engine_stop();
}

#define WIDE 5000

static int wide(void *argument)
{
	struct rota_task_group group;
	int error = rota_task_group_init(&group, NULL);

	for (int i = 0; i < WIDE && !error; i++)
		error = put(&group, count_one, pointer_in(argument));
	return error ? error : rota_task_group_wait(&group, ROTA_FOREVER, NULL);
}

Test(task_group, may_be_wider_than_the_nest, .timeout = HANG)
{
	for (unsigned workers = 1; workers <= 2; workers++) {
		struct tally n = {0};

		engine_start(workers);
		cr_assert_eq(run_task(wide, &n), 0);
		cr_assert_eq(tally_of(&n), WIDE);
		engine_stop();
	}
}

/* ---- tasks of the group put more into it ---- */

struct spreading {
	struct rota_task_group *group;
	struct tally *n;
	int left;
};

static int spreading(void *argument)
{
	struct spreading *s = argument;
	struct spreading child = {s->group, s->n, s->left - 1};
	int error = 0;

	tally_add(s->n, 1);
	for (int i = 0; i < 2 && s->left > 0 && !error; i++)
		error = rota_task_group_submit(s->group, spreading, &child,
					       sizeof(child));
	return error;
}

static int spread_and_wait(void *argument)
{
	struct rota_task_group group;
	struct spreading first = {&group, pointer_in(argument), SIZED(12, 8)};
	int failure = 0;
	int error = rota_task_group_init(&group, NULL);

	if (!error)
		error = rota_task_group_submit(&group, spreading, &first,
					       sizeof(first));
	if (!error)
		error = rota_task_group_wait(&group, ROTA_FOREVER, &failure);
	return error ? error : failure;
}

static int act_spread_and_wait(void *arg)
{
	void **both = arg;

	*(int *)both[1] = spread_and_wait(&both[0]);
	return 0;
}

Test(task_group, waits_for_what_its_tasks_put_in, .timeout = HANG)
{
	size_t all = SIZED(8191, 511);

	for (unsigned workers = 1; workers <= 2; workers++) {
		struct tally n[3] = {{0}};
		struct rota_task_group group;
		struct spreading first = {&group, &n[1], SIZED(12, 8)};
		int result = 1;
		void *both[] = {&n[2], &result};

		engine_start(workers);
		/* By a task, a thread, a handler. */
		cr_assert_eq(run_task(spread_and_wait, &n[0]), 0);
		cr_assert_eq(tally_of(&n[0]), all);
		cr_assert_eq(rota_task_group_init(&group, engine), 0);
		cr_assert_eq(rota_task_group_submit(&group, spreading, &first,
						    sizeof(first)),
			     0);
		cr_assert_eq(rota_task_group_wait(&group, ROTA_FOREVER, NULL),
			     0);
		cr_assert_eq(tally_of(&n[1]), all);
		ACTS(puppet_spawn(NULL, 0), act_spread_and_wait, both);
		quiesce();
		cr_assert_eq(result, 0);
		cr_assert_eq(tally_of(&n[2]), all);
		engine_stop();
	}
}

/* ---- made by a turn that goes on anywhere ---- */

#define N_MOVERS 8
#define N_SINKS 4

/* The movers' tasks, and messages to sinks that have no room, in between. */
struct moving {
	rota_id sinks[N_SINKS];
	struct tally n_groups;
	struct tally n_moved;
	struct tally n_cheap; /* groups that are counted without atomics */
	struct tally n_wrong;
};

static int act_for_a_moment(void *arg)
{
	for (int i = 0; i < 3000; i++)
		(void)tally_of(arg);
	return 0;
}

static int act_move_and_wait(void *arg)
{
	struct moving *m = arg;
	struct rota_task_group group;
	long thread = thread_number();
	struct tally n = {0};
	int error = rota_task_group_init(&group, NULL);

	for (int i = 0; i < 40 && !error; i++)
		error = put(&group, count_one, &n);
	tally_add(&m->n_cheap, !error && group.local != NULL);
	for (int i = 0; i < N_SINKS && !error; i++)
		error = puppet_act(m->sinks[i], act_for_a_moment, &m->n_wrong);
	if (thread != thread_number())
		tally_add(&m->n_moved, 1);
	if (rota_task_group_wait(&group, ROTA_FOREVER, NULL) || error ||
	    tally_of(&n) != 40)
		tally_add(&m->n_wrong, 1);
	tally_add(&m->n_groups, 1);
	return 0;
}

/* The worker that it leaves still runs some of the tasks. */
Test(task_group, its_maker_may_move, .timeout = HANG)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	size_t rounds = SIZED(200, 50);
	struct moving m = {.sinks = {0}};
	rota_id movers[N_MOVERS];

	engine_start(2);
	for (int i = 0; i < N_SINKS; i++)
		m.sinks[i] = puppet_spawn(NULL, 1);
	options.flags = ROTA_ANYWHERE;
	for (int i = 0; i < N_MOVERS; i++)
		movers[i] = rota_spawn(engine, &puppet_behaviour,
				       &(struct puppet){NULL}, &options);
	for (size_t k = 0; k < rounds; k++)
		for (int i = 0; i < N_MOVERS; i++)
			ACTS(movers[i], act_move_and_wait, &m);
	quiesce();
	cr_assert_eq(tally_of(&m.n_groups), rounds * N_MOVERS);
	cr_assert_eq(tally_of(&m.n_wrong), 0);
	cr_assert_gt(tally_of(&m.n_moved), 0);
	/* A lost count is too rare to wait for, so this looks inside; turns that
	   stay on their thread have it cheaper. */
	cr_assert_eq(tally_of(&m.n_cheap), 0);
	ACTS(puppet_spawn(NULL, 0), act_move_and_wait, &m);
	quiesce();
	cr_assert_eq(tally_of(&m.n_cheap), 1);
	cr_assert_eq(tally_of(&m.n_wrong), 0);
	engine_stop();
}

/* ---- large arguments ---- */

struct large {
	struct tally *n;
	uint64_t value[7];
};

static int large(void *argument)
{
	struct large *l = argument;

	for (int i = 0; i < 7; i++)
		tally_add(l->n, l->value[i]);
	return 0;
}

static int large_ones(void *argument)
{
	struct large l = {pointer_in(argument), {1, 2, 3, 4, 5, 6, 7}};
	struct rota_task_group group;
	int error = rota_task_group_init(&group, NULL);

	for (int i = 0; i < 100 && !error; i++)
		error = rota_task_group_submit(&group, large, &l, sizeof(l));
	return error ? error : rota_task_group_wait(&group, ROTA_FOREVER, NULL);
}

Test(task_group, takes_large_arguments, .timeout = HANG)
{
	struct tally n = {0};

	engine_start(2);
	cr_assert_eq(run_task(large_ones, &n), 0);
	cr_assert_eq(tally_of(&n), 2800);
	engine_stop();
}

/* ---- failures, cancelling ---- */

static int fail(void *argument)
{
	(void)argument;
	return -EIO;
}

Test(task_group, tells_of_a_failure, .timeout = HANG)
{
	struct rota_task_group group;
	struct tally n = {0};
	int failure = 0;

	engine_start(2);
	cr_assert_eq(rota_task_group_init(&group, engine), 0);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(put(&group, i == 5 ? fail : count_one, &n), 0);
	cr_assert_eq(rota_task_group_wait(&group, ROTA_FOREVER, &failure), 0);
	cr_assert_eq(failure, -EIO);
	cr_assert_eq(tally_of(&n), 9); /* the others ran all the same */
	/* And is as new. */
	cr_assert_eq(put(&group, count_one, &n), 0);
	cr_assert_eq(rota_task_group_wait(&group, ROTA_FOREVER, &failure), 0);
	cr_assert_eq(failure, 0);
	engine_stop();
}

static int stall_task(void *argument)
{
	return act_stall(pointer_in(argument));
}

/* Until it is cancelled. */
static int run_on(void *argument)
{
	flag_raise(pointer_in(argument));
	while (!rota_task_is_cancelled())
		nap();
	return 0;
}

/* ... in a group in a task in a group. */
static int run_on_below(void *argument)
{
	struct rota_task_group group;
	int error = rota_task_group_init(&group, NULL);

	if (!error)
		error = put(&group, run_on, pointer_in(argument));
	return error ? error : rota_task_group_wait(&group, ROTA_FOREVER, NULL);
}

Test(task_group, cancelled_starts_no_more_and_tells_the_others, .timeout = HANG)
{
	struct rota_task_group group;
	struct tally n = {0};
	struct flag begun[2] = {{0}};
	int failure = 1;

	engine_start(2);
	cr_assert_eq(rota_task_group_init(&group, engine), 0);
	cr_assert_eq(put(&group, run_on, &begun[0]), 0);
	cr_assert_eq(put(&group, run_on_below, &begun[1]), 0);
	AWAIT(flag_is_up(&begun[0]) && flag_is_up(&begun[1]));
	for (int i = 0; i < 100; i++)
		cr_assert_eq(put(&group, count_one, &n), 0);
	rota_task_group_cancel(&group);
	cr_assert_eq(rota_task_group_wait(&group, ROTA_FOREVER, &failure),
		     -ECANCELED);
	cr_assert_eq(failure, 0);
	cr_assert_eq(tally_of(&n), 0);
	/* And is as new. */
	cr_assert_eq(put(&group, count_one, &n), 0);
	cr_assert_eq(rota_task_group_wait(&group, ROTA_FOREVER, &failure), 0);
	cr_assert_eq(tally_of(&n), 1);
	engine_stop();
}

/* ---- out of memory ---- */

/* What becomes of waits that are told so, and then cancel. */
struct shortage {
	struct tally n_short;
	struct tally n_ended;
	struct tally n_waited; /* stacks left by waits that had cancelled */
	struct tally n_stuck;  /* waits that cancelled, and never ended */
	struct tally n_ran;
};

/* Nobody may return from where tasks still write to. */
static int wait_or_cancel(struct rota_task_group *group, struct shortage *s)
{
	int failure = 0;
	int error = rota_task_group_wait(group, ROTA_FOREVER, &failure);
	uint64_t waits;

	if (error == -ENOMEM) {
		tally_add(&s->n_short, 1);
		waits = counters().waits;
		rota_task_group_cancel(group);
		error = rota_task_group_wait(group, ROTA_FOREVER, &failure);
		tally_add(&s->n_waited, counters().waits - waits);
	}
	if (error == -ENOMEM) {
		tally_add(&s->n_stuck, 1);
		for (;;)
			nap();
	}
	return error ? error : failure;
}

struct descent {
	struct shortage *shortage;
	long left;
	long *depth; /* lies on the stack of the task above */
};

/* Waits on its stack, of which each has some hundred, and then on more. */
static int descend(void *argument)
{
	struct descent *d = argument;
	long below = 0;
	struct descent next = {d->shortage, d->left - 1, &below};
	struct rota_task_group group;
	int error = rota_task_group_init(&group, NULL);

	if (d->left == 0 || error)
		return error;
	error = rota_task_group_submit(&group, descend, &next, sizeof(next));
	if (!error)
		error = wait_or_cancel(&group, d->shortage);
	*d->depth = below + 1;
	return error;
}

static void run_into_the_limit(unsigned workers)
{
	struct rota_config config = test_config(workers);
	struct shortage s = {.n_short = {0}};
	long depth = 0;
	struct descent first = {&s, 1000000, &depth};
	rota_task task;
	int result = 0;

	config.memory = (size_t)14 << 20;
	engine = engine_make(&config);
	cr_assert_eq(
		rota_task_submit(engine, descend, &first, sizeof(first), &task),
		0);
	AWAIT(tally_of(&s.n_stuck) ||
	      rota_task_join(task, ROTA_MS(1), &result) == 0);
	cr_assert_eq(tally_of(&s.n_stuck), 0);
	cr_assert_gt(tally_of(&s.n_short), 0);
	cr_assert_eq(result, -ECANCELED);
	cr_assert_gt(depth, 100);
	/* All is queued here: it is passed over, on the stack that waits. */
	cr_assert(workers > 1 || tally_of(&s.n_waited) == 0);
	engine_stop();
}

Test(task_group, a_wait_without_memory_ends_once_cancelled, .timeout = HANG)
{
	run_into_the_limit(1);
	run_into_the_limit(2);
	run_into_the_limit(4);
}

static int sleep_a_little(void *argument)
{
	struct shortage *s = pointer_in(argument);

	tally_add(&s->n_ran, 1);
	(void)rota_sleep(ROTA_MS(2));
	return 0;
}

static int act_sleepers(void *arg)
{
	struct shortage *s = arg;
	struct rota_task_group group;
	int error = rota_task_group_init(&group, NULL);

	for (int i = 0; i < 200 && !error; i++)
		error = put(&group, sleep_a_little, s);
	wait_or_cancel(&group, s);
	tally_add(&s->n_ended, 1);
	return 0;
}

#define N_SHORT 100

/* Handlers that hold all stacks, with tasks that stand on some of them. */
Test(task_group, handlers_without_memory_end_once_cancelled, .timeout = HANG)
{
	for (unsigned workers = 1; workers <= 2; workers++) {
		struct rota_config config = test_config(workers);
		struct shortage s = {.n_short = {0}};

		config.memory = (size_t)16 << 20;
		engine = engine_make(&config);
		for (int i = 0; i < N_SHORT; i++)
			ACTS(puppet_spawn(NULL, 0), act_sleepers, &s);
		AWAIT(tally_of(&s.n_stuck) || tally_of(&s.n_ended) == N_SHORT);
		cr_assert_eq(tally_of(&s.n_stuck), 0);
		cr_assert_gt(tally_of(&s.n_short), 0);
		/* Spare threads, which go beyond the limit too, leave. */
		AWAIT(counters().memory <= config.memory);
		engine_stop();
	}
}

/* ---- time ---- */

Test(task_group, a_wait_may_end_before_the_tasks, .timeout = HANG)
{
	static const int64_t within[] = {INT64_MIN, ROTA_NOW, 1, ROTA_MS(2)};
	struct rota_task_group group;
	struct stall stall = {{0}, {0}, {0}};
	struct tally n = {0};

	engine_start(2);
	cr_assert_eq(rota_task_group_init(&group, engine), 0);
	cr_assert_eq(put(&group, stall_task, &stall), 0);
	for (size_t i = 0; i < 4; i++) {
		cr_assert_eq(rota_task_group_wait(&group, within[i], NULL),
			     -ETIMEDOUT);
		cr_assert_eq(put(&group, count_one, &n), 0);
	}
	flag_raise(&stall.go);
	cr_assert_eq(rota_task_group_wait(&group, ROTA_FOREVER, NULL), 0);
	cr_assert_eq(tally_of(&n), 4);
	cr_assert_eq(rota_task_group_wait(&group, ROTA_NOW, NULL), 0);
	engine_stop();
}

static int nap_once(void *argument)
{
	nap();
	return count_one(argument);
}

static int wait_in_portions(void *argument)
{
	struct rota_task_group group;
	int error = rota_task_group_init(&group, NULL);

	for (int i = 0; i < 100 && !error; i++)
		error = put(&group, nap_once, pointer_in(argument));
	if (error)
		return error;
	do
		error = rota_task_group_wait(&group, ROTA_US(100), NULL);
	while (error == -ETIMEDOUT);
	return error;
}

Test(task_group, a_task_may_wait_in_portions, .timeout = HANG)
{
	for (unsigned workers = 1; workers <= 2; workers++) {
		struct tally n = {0};

		engine_start(workers);
		cr_assert_eq(run_task(wait_in_portions, &n), 0);
		cr_assert_eq(tally_of(&n), 100);
		engine_stop();
	}
}

/* ---- one worker is not kept from its other work ---- */

static int spin_a_little(void *argument)
{
	struct flag *done = pointer_in(argument);
	struct timespec now, end;

	if (flag_is_up(done))
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += 100000;
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec);
	return 1;
}

static int act_raise(void *arg)
{
	flag_raise(arg);
	return 0;
}

/* Forks for a minute, if an actor is not let in. */
static int fork_on(void *argument)
{
	struct flag *done = pointer_in(argument);

	for (int i = 0; i < 2000 && !flag_is_up(done); i++) {
		struct rota_task_group group;
		int error = rota_task_group_init(&group, NULL);

		for (int k = 0; k < 200 && !error; k++)
			error = put(&group, spin_a_little, done);
		if (!error)
			error = rota_task_group_wait(&group, ROTA_FOREVER,
						     NULL);
		if (error)
			return error;
	}
	return flag_is_up(done) ? 0 : 1;
}

Test(task_group, actors_run_beside_a_long_wait, .timeout = HANG)
{
	struct flag done = {0};
	void *pointer = &done;
	rota_task task;
	int result = 1;

	engine_start(1);
	cr_assert_eq(rota_task_submit(engine, fork_on, &pointer,
				      sizeof(pointer), &task),
		     0);
	while (counters().tasks < 10)
		nap();
	ACTS(puppet_spawn(NULL, 0), act_raise, &done);
	cr_assert_eq(rota_task_join(task, PATIENCE, &result), 0);
	cr_assert_eq(result, 0);
	engine_stop();
}

/* ---- who may wait ---- */

struct stuck_group {
	struct rota_task_group group;
	int result;
	bool has_same_place;
};

static int wait_for_it(void *argument)
{
	return rota_task_group_wait(pointer_in(argument), ROTA_FOREVER, NULL);
}

Test(task_group, only_its_maker_waits, .timeout = HANG)
{
	struct rota_task_group group;

	engine_start(1);
	cr_assert_eq(rota_task_group_init(NULL, NULL), -EINVAL);
	cr_assert_eq(rota_task_group_init(&group, NULL), -EINVAL);
	cr_assert_eq(rota_task_group_init(&group, engine), 0);
	cr_assert_eq(run_task(wait_for_it, &group), -EPERM);
	cr_assert_eq(rota_task_group_wait(&group, ROTA_FOREVER, NULL), 0);
	engine_stop();
}

struct owned_group {
	struct rota_task_group *group;
	int *result;
};

static int wait_for_own(void *argument)
{
	struct owned_group *o = argument;

	*o->result = rota_task_group_wait(o->group, ROTA_FOREVER, NULL);
	return 0;
}

static int make_and_wait(void *argument)
{
	struct rota_task_group group;
	struct owned_group o = {&group, pointer_in(argument)};
	int error = rota_task_group_init(&group, NULL);

	if (!error)
		error = rota_task_group_submit(&group, wait_for_own, &o,
					       sizeof(o));
	return error ? error : rota_task_group_wait(&group, ROTA_FOREVER, NULL);
}

/* Not even one that runs on the stack of its maker. */
Test(task_group, no_member_waits_for_its_own, .timeout = HANG)
{
	for (unsigned workers = 1; workers <= 2; workers++) {
		int result = 0;

		engine_start(workers);
		cr_assert_eq(run_task(make_and_wait, &result), 0);
		cr_assert_eq(result, -EPERM);
		engine_stop();
	}
}

static void *thread_makes(void *arg)
{
	struct stuck_group *g = arg;

	g->result = rota_task_group_init(&g->group, engine);
	return NULL;
}

static void *thread_takes_over(void *arg)
{
	struct stuck_group *g = arg;
	struct rota_task_group own;

	g->result = rota_task_group_wait(&g->group, ROTA_FOREVER, NULL);
	if (rota_task_group_init(&own, engine) == 0)
		g->has_same_place = own.maker == g->group.maker;
	return NULL;
}

/* It has the first one's place in the list of threads, sooner or later. */
Test(task_group, a_later_thread_is_not_its_maker, .timeout = HANG)
{
	struct stuck_group g = {.has_same_place = false};

	engine_start(1);
	for (int i = 0; i < 1000 && !g.has_same_place; i++) {
		g.result = 1;
		thread_join(thread_start(thread_makes, &g));
		cr_assert_eq(g.result, 0);
		thread_join(thread_start(thread_takes_over, &g));
		cr_assert_eq(g.result, -EPERM);
	}
	cr_assert(g.has_same_place);
	engine_stop();
}

Test(task_group, bad_submits_are_refused, .timeout = HANG)
{
	unsigned char bytes[ROTA_TASK_ARGUMENT + 1] = {0};
	struct rota_task_group group;

	engine_start(1);
	cr_assert_eq(rota_task_group_init(&group, engine), 0);
	cr_assert_eq(rota_task_group_submit(&group, NULL, bytes, 1), -EINVAL);
	cr_assert_eq(rota_task_group_submit(&group, fail, NULL, 1), -EINVAL);
	cr_assert_eq(rota_task_group_submit(&group, fail, bytes, sizeof(bytes)),
		     -EMSGSIZE);
	cr_assert_eq(rota_task_group_wait(&group, ROTA_FOREVER, NULL), 0);
	engine_stop();
	cr_assert_eq(rota_task_group_submit(&group, fail, bytes, 1), -ESRCH);
	engine_start(1); /* of another number, or the same: not that one */
	cr_assert_eq(rota_task_group_submit(&group, fail, bytes, 1), -ESRCH);
	cr_assert_eq(rota_task_group_wait(&group, ROTA_FOREVER, NULL), 0);
	engine_stop();
}

/* ---- stopping ---- */

struct stopped {
	struct flag begun;
	struct tally n;
	int result;
	int next_wait;
	struct flag ended;
};

static int act_wait_while_stopped(void *arg)
{
	struct stopped *s = arg;
	struct rota_task_group group;
	int error = rota_task_group_init(&group, NULL);

	if (!error)
		error = put(&group, run_on, &s->begun);
	if (!error)
		error = rota_task_group_wait(&group, ROTA_FOREVER, NULL);
	s->result = error;
	s->next_wait = rota_join(rota_self() + (1 << 24), ROTA_MS(1), NULL);
	s->next_wait = rota_send_within(rota_self(), 1, NULL, 0, ROTA_NOW);
	flag_raise(&s->ended);
	return 0;
}

/* Its stack is in use until its tasks have ended. */
Test(task_group, a_stopped_actor_waits_for_its_tasks, .timeout = HANG)
{
	struct stopped s = {.result = 1};
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 0);
	ACTS(id, act_wait_while_stopped, &s);
	AWAIT(flag_is_up(&s.begun));
	cr_assert_eq(rota_actor_stop(id), 0);
	AWAIT(flag_is_up(&s.ended));
	cr_assert_eq(s.result, 0); /* all ran, told that they are cancelled */
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
	engine_stop();
}

struct late_stop {
	rota_id waiter;
	struct flag begun;
	struct flag over;
	int result; /* of the wait with a deadline */
};

static int sleep_until_over(void *argument)
{
	struct late_stop *l = pointer_in(argument);

	while (!flag_is_up(&l->over))
		(void)rota_sleep(ROTA_MS(2));
	return 0;
}

static int act_wait_for_a_second(void *arg)
{
	struct late_stop *l = arg;
	struct rota_task_group group;
	int error = rota_task_group_init(&group, NULL);

	if (!error)
		error = put(&group, sleep_until_over, l);
	flag_raise(&l->begun);
	if (!error)
		error = rota_task_group_wait(&group, ROTA_S(1), NULL);
	l->result = error;
	flag_raise(&l->over);
	return rota_task_group_wait(&group, ROTA_FOREVER, NULL);
}

static int act_stop_late(void *arg)
{
	struct late_stop *l = arg;
	int error = rota_sleep(ROTA_MS(800));

	return error ? error : rota_actor_stop(l->waiter);
}

static int act_end_later(void *arg)
{
	struct late_stop *l = arg;
	int error = rota_sleep(ROTA_MS(1500));

	flag_raise(&l->over);
	return error;
}

/* All alarms are of one worker, which rings them in order. */
Test(task_group, a_stop_does_not_put_off_a_deadline, .timeout = HANG)
{
	struct late_stop l = {.result = 1};

	engine_start(1);
	l.waiter = puppet_spawn(NULL, 0);
	ACTS(l.waiter, act_wait_for_a_second, &l);
	AWAIT(flag_is_up(&l.begun));
	ACTS(puppet_spawn(NULL, 0), act_stop_late, &l);
	ACTS(puppet_spawn(NULL, 0), act_end_later, &l);
	quiesce();
	cr_assert_eq(l.result, -ETIMEDOUT);
	engine_stop();
}

static struct stopped at_the_end;

static void group_destroy(void *state)
{
	struct rota_task_group group;
	int error = rota_task_group_init(&group, NULL);

	(void)state;
	for (int i = 0; i < 10 && !error; i++)
		error = put(&group, count_one, &at_the_end.n);
	if (!error)
		error = rota_task_group_wait(&group, ROTA_FOREVER, NULL);
	at_the_end.result = error;
}

static const struct rota_behaviour group_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "group",
	.state_size = sizeof(struct puppet),
	.handle = puppet_handle,
	.destroy = group_destroy,
};

/* What has ended the actor ends its handler's waits, and no others. */
Test(task_group, runs_in_destroy_after_a_stop, .timeout = HANG)
{
	for (int by_itself = 0; by_itself < 2; by_itself++) {
		rota_id id;

		engine_start(2);
		at_the_end = (struct stopped){.result = 1};
		id = spawn(&group_behaviour, &(struct puppet){NULL}, 0);
		if (by_itself)
			ACTS(id, act_self_stop, NULL);
		else
			cr_assert_eq(rota_actor_stop(id), 0);
		cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
		cr_assert_eq(at_the_end.result, 0);
		cr_assert_eq(tally_of(&at_the_end.n), 10);
		engine_stop();
	}
}

static void *thread_waits(void *arg)
{
	struct stopped *s = arg;
	struct rota_task_group group;

	s->result = rota_task_group_init(&group, engine);
	if (!s->result)
		s->result = put(&group, run_on, &s->begun);
	for (int i = 0; i < 1000 && !s->result; i++)
		s->result = put(&group, count_one, &s->n);
	flag_raise(&s->ended);
	if (!s->result)
		s->result = rota_task_group_wait(&group, ROTA_FOREVER, NULL);
	return NULL;
}

Test(task_group, an_engine_that_stops_cancels_it, .timeout = HANG)
{
	struct stopped s = {.result = 1};
	pthread_t thread;

	engine_start(1);
	thread = thread_start(thread_waits, &s);
	AWAIT(flag_is_up(&s.begun) && flag_is_up(&s.ended));
	engine_stop();
	thread_join(thread);
	cr_assert_eq(s.result, -ECANCELED);
	cr_assert_eq(tally_of(&s.n), 0);
}

struct stuck {
	struct rota_task_group group;
	struct stall stall;
	struct tally thread;
	int result;
};

static void *thread_is_stuck(void *arg)
{
	struct stuck *s = arg;

	s->result = rota_task_group_init(&s->group, engine);
	if (!s->result)
		s->result = put(&s->group, stall_task, &s->stall);
	tally_add(&s->thread, (size_t)thread_number());
	s->result = rota_task_group_wait(&s->group, ROTA_FOREVER, NULL);
	return NULL;
}

Test(task_group, an_engine_that_gives_up_releases_its_maker, .timeout = HANG)
{
	static struct stuck s; /* stays: a task of it is still there */
	pthread_t thread;

	engine_start(1);
	thread = thread_start(thread_is_stuck, &s);
	await_sleep(&s.thread);
	AWAIT(flag_is_up(&s.stall.begun));
	cr_assert_eq(rota_stop(engine, ROTA_MS(20)), -ETIMEDOUT);
	thread_join(thread);
	cr_assert_eq(s.result, -ESRCH);
	flag_raise(&s.stall.go);
	AWAIT(flag_is_up(&s.stall.ended));
}

struct left_alone {
	struct stall task;
	struct stall handler;
	struct flag ended;
	int result;
};

static int act_wait_after_the_stop(void *arg)
{
	struct left_alone *l = arg;
	struct rota_task_group group;
	int error = rota_task_group_init(&group, NULL);

	if (!error)
		error = put(&group, stall_task, &l->task);
	act_stall(&l->handler);
	if (!error)
		error = rota_task_group_wait(&group, ROTA_FOREVER, NULL);
	l->result = error;
	flag_raise(&l->ended);
	return 0;
}

static struct left_alone left_alone; /* stays: a task of it is still there */

static void destroy_after_the_stop(void *state)
{
	(void)state;
	act_wait_after_the_stop(&left_alone);
}

static const struct rota_behaviour late_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "late",
	.state_size = sizeof(struct puppet),
	.handle = puppet_handle,
	.destroy = destroy_after_the_stop,
};

/* One that has been abandoned, and one that cannot be: their stacks are in use
   until the task has ended. */
Test(task_group, an_engine_that_gives_up_has_its_turns_wait, .timeout = HANG)
{
	for (int in_destroy = 0; in_destroy < 2; in_destroy++) {
		struct left_alone *l = &left_alone;
		rota_id id;

		*l = (struct left_alone){.result = 1};
		engine_start(2);
		if (in_destroy) {
			id = spawn(&late_behaviour, &(struct puppet){NULL}, 0);
			cr_assert_eq(rota_actor_stop(id), 0);
		} else {
			ACTS(puppet_spawn(NULL, 0), act_wait_after_the_stop, l);
		}
		AWAIT(flag_is_up(&l->task.begun) &&
		      flag_is_up(&l->handler.begun));
		cr_assert_eq(rota_stop(engine, ROTA_MS(20)), -ETIMEDOUT);
		flag_raise(&l->handler.go);
		for (int i = 0; i < 20; i++)
			nap();
		cr_assert(!flag_is_up(&l->ended));
		flag_raise(&l->task.go);
		AWAIT(flag_is_up(&l->ended));
		cr_assert_eq(l->result, 0);
	}
}

/* ---- of another engine ---- */

static int wait_elsewhere(void *argument)
{
	void **both = pointer_in(argument);
	struct rota_task_group group;
	int error = rota_task_group_init(&group, both[0]);

	for (int i = 0; i < 100 && !error; i++)
		error = put(&group, count_one, both[1]);
	return error ? error : rota_task_group_wait(&group, ROTA_FOREVER, NULL);
}

Test(task_group, may_be_of_another_engine, .timeout = HANG)
{
	struct rota_config config = test_config(1);
	rota_engine *other = engine_make(&config);
	struct tally n = {0};
	void *both[] = {other, &n};

	engine_start(1);
	for (int i = 0; i < 20; i++)
		cr_assert_eq(run_task(wait_elsewhere, both), 0);
	cr_assert_eq(tally_of(&n), 2000);
	quiesce();
	cr_assert_eq(counters().tasks, 20);
	cr_assert_eq(rota_stop(other, PATIENCE), 0);
	engine_stop();
}
