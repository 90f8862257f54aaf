/* SPDX-License-Identifier: MIT */
/*
 * blocking - are others served while turns block, and do regions end well?
 */
#include <semaphore.h>

#include <rota/task.h>

#include "core/engine.h"
#include "tests/unit/threads.h"

/* What the log said. */
static struct tally n_lines;
static char last_line[512];

static void note_line(void *context, enum rota_log_level level,
		      const char *line)
{
	(void)context;
	(void)level;
	strncpy(last_line, line, sizeof(last_line) - 1);
	tally_add(&n_lines, 1);
}

static void start(unsigned workers, unsigned spares)
{
	struct rota_config config = test_config(workers);

	config.spares = spares;
	config.log = note_line;
	engine = engine_make(&config);
}

/* ---- others go on ---- */

static sem_t semaphore;
static struct tally n_begun, n_ended;

static int act_take(void *arg)
{
	int error = rota_blocking_begin();

	(void)arg;
	tally_add(&n_begun, 1);
	while (sem_wait(&semaphore) != 0)
		;
	rota_blocking_end();
	tally_add(&n_ended, 1);
	return error;
}

static int act_give(void *arg)
{
	for (size_t i = 0; i < *(size_t *)arg; i++)
		sem_post(&semaphore);
	return 0;
}

#define MANY 20

/* A worker, and many turns that block until a later one lets them go. */
static void many_block(unsigned workers)
{
	size_t many = MANY;
	unsigned before;

	n_begun = n_ended = (struct tally){0};
	sem_init(&semaphore, 0, 0);
	start(workers, 0);
	before = n_threads();
	for (unsigned round = 0; round < 3; round++) {
		for (size_t i = 0; i < many; i++)
			ACTS(puppet_spawn(NULL, 0), act_take, NULL);
		ACTS(puppet_spawn(NULL, 0), act_give, &many);
		quiesce();
		cr_assert_eq(tally_of(&n_ended), (round + 1) * many);
		cr_assert_eq(rota_workers(engine), workers);
	}
	AWAIT(n_threads() == before);
	cr_assert_eq(n_dead(), 0);
	engine_stop();
}

Test(blocking, many_turns_on_one_worker, .timeout = HANG)
{
	many_block(1);
}

Test(blocking, many_turns_on_three_workers, .timeout = HANG)
{
	many_block(3);
}

/* They block and do not say so. */
static int act_read(void *arg)
{
	char byte;

	tally_add(&n_begun, 1);
	if (read(*(int *)arg, &byte, 1) != 1)
		return -EIO;
	tally_add(&n_ended, 1);
	return 0;
}

/*
 * The kernel knows that their threads are asleep: it takes a tick or two for
 * each, not the growing intervals of turns that compute. Those would have grown
 * to more than a second each.
 */
static void many_read(unsigned workers, unsigned n)
{
	int ends[2];

	n_begun = n_ended = (struct tally){0};
	cr_assert_eq(pipe(ends), 0);
	start(workers, n);
	for (unsigned i = 0; i < n; i++)
		ACTS(puppet_spawn(NULL, 0), act_read, &ends[0]);
	AWAIT(tally_of(&n_begun) == n);
	for (unsigned i = 0; i < n; i++)
		cr_assert_eq(write(ends[1], "", 1), 1);
	quiesce();
	cr_assert_eq(tally_of(&n_ended), n);
	engine_stop();
	close(ends[0]);
	close(ends[1]);
}

Test(blocking, many_turns_that_do_not_say_so, .timeout = HANG)
{
	many_read(1, 64);
	many_read(2, 64);
}

static int task_take(void *arg)
{
	return act_take(arg);
}

static int task_give(void *arg)
{
	return act_give(arg);
}

Test(blocking, tasks_may_block_too, .timeout = HANG)
{
	size_t many = MANY;

	sem_init(&semaphore, 0, 0);
	start(1, 0);
	for (size_t i = 0; i < many; i++)
		cr_assert_eq(rota_task_submit(engine, task_take, NULL, 0, NULL),
			     0);
	cr_assert_eq(
		rota_task_submit(engine, task_give, &many, sizeof(many), NULL),
		0);
	quiesce();
	cr_assert_eq(tally_of(&n_ended), many);
	engine_stop();
}

/* Where all spares are in use others wait, and no longer than that. */
Test(blocking, more_turns_than_spares, .timeout = HANG)
{
	size_t many = MANY;

	sem_init(&semaphore, 0, 0);
	start(1, 3);
	for (size_t i = 0; i < many; i++)
		ACTS(puppet_spawn(NULL, 0), act_take, NULL);
	AWAIT(tally_of(&n_begun) == 4);
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	cr_assert_eq(tally_of(&n_begun), 4);
	for (size_t i = 0; i < many; i++)
		sem_post(&semaphore);
	quiesce();
	cr_assert_eq(tally_of(&n_ended), many);
	engine_stop();
}

/* What was queued behind the turn, and what it has sent before and sends from
   inside, is handled while it blocks. */
struct outlet {
	rota_id to;
	struct record *record;
	struct flag go;
	int error;
};

static int act_send_around(void *arg)
{
	struct outlet *outlet = arg;

	for (uint64_t i = 0; i < 40; i++)
		outlet->error |= send_value(outlet->to, 1, i);
	outlet->error |= rota_blocking_begin();
	for (uint64_t i = 40; i < 60; i++)
		outlet->error |= send_value(outlet->to, 1, i);
	flag_block(&outlet->go);
	rota_blocking_end();
	return 0;
}

Test(blocking, what_was_sent_is_handled_meanwhile, .timeout = HANG)
{
	static struct record record;
	struct outlet outlet = {.record = &record};

	start(1, 1);
	outlet.to = puppet_spawn(&record, 64);
	ACTS(puppet_spawn(NULL, 0), act_send_around, &outlet);
	AWAIT(tally_of(&record.n) == 60);
	flag_raise(&outlet.go);
	quiesce();
	for (uint64_t i = 0; i < 60; i++)
		cr_assert_eq(record.note[i].value, i);
	cr_assert_eq(outlet.error, 0);
	engine_stop();
}

/* All of it at once, not only when the monitor comes. */
struct inside {
	rota_id to[10];
	AO_t left;   /* in the worker's queues */
	AO_t relief; /* spare workers on duty */
	/* Those that sleep: one that has come for an earlier turn, which a slow
	   machine has made long, and is leaving. */
	unsigned sleepers;
	int error;
};

static int act_look_inside(void *arg)
{
	struct inside *inside = arg;
	struct worker *worker = &local_here()->worker;

	for (size_t i = 0; i < 10; i++)
		inside->error |= send_value(inside->to[i], 1, i);
	inside->sleepers = idle_sleepers(idle_read(&worker->crew->idle));
	inside->error |= rota_blocking_begin();
	inside->left = worker_backlog(worker) + AO_load(&worker->xnext);
	inside->relief = AO_load(&worker->crew->relief.xn);
	inside->sleepers += idle_sleepers(idle_read(&worker->crew->idle));
	rota_blocking_end();
	return 0;
}

Test(blocking, the_worker_gives_all_away_at_once, .timeout = HANG)
{
	static struct record records[10];
	struct inside inside = {.left = 1};

	start(1, 1);
	for (size_t i = 0; i < 10; i++)
		inside.to[i] = puppet_spawn(&records[i], 0);
	ACTS(puppet_spawn(NULL, 0), act_look_inside, &inside);
	quiesce();
	cr_assert_eq(inside.error, 0);
	cr_assert_eq(inside.left, 0);
	cr_assert(inside.relief == 1 || inside.sleepers > 0);
	engine_stop();
}

/* Not because a spare one was fast enough to steal it: here is none. */
Test(blocking, the_worker_gives_away_what_nobody_takes, .timeout = HANG)
{
	static struct record records[10];
	struct inside inside = {.left = 1, .relief = 1};

	start(1, ROTA_NO_SPARES);
	for (size_t i = 0; i < 10; i++)
		inside.to[i] = puppet_spawn(&records[i], 0);
	ACTS(puppet_spawn(NULL, 0), act_look_inside, &inside);
	quiesce();
	cr_assert_eq(inside.error, 0);
	cr_assert_eq(inside.left, 0);
	cr_assert_eq(inside.relief, 0);
	for (size_t i = 0; i < 10; i++)
		cr_assert_eq(tally_of(&records[i].n), 1);
	engine_stop();
}

/* ---- regions ---- */

struct tries {
	int results[4];
	struct flag inside;
	struct flag go;
};

static int act_nested(void *arg)
{
	struct tries *tries = arg;

	tries->results[0] = rota_blocking_begin();
	tries->results[1] = rota_blocking_begin();
	rota_blocking_end();
	/* Still inside. */
	flag_raise(&tries->inside);
	flag_block(&tries->go);
	rota_blocking_end();
	/* One too many does nothing. */
	rota_blocking_end();
	tries->results[2] = rota_blocking_begin();
	rota_blocking_end();
	return 0;
}

Test(blocking, regions_may_be_nested, .timeout = HANG)
{
	static struct record record;
	struct tries tries = {.results = {1, 1, 1, 1}};

	start(1, 1);
	ACTS(puppet_spawn(NULL, 0), act_nested, &tries);
	AWAIT(flag_is_up(&tries.inside));
	cr_assert_eq(send_value(puppet_spawn(&record, 0), 1, 1), 0);
	AWAIT(tally_of(&record.n) == 1);
	flag_raise(&tries.go);
	quiesce();
	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(tries.results[i], 0);
	cr_assert_eq(tally_of(&n_lines), 0, "%s", last_line);
	engine_stop();
}

Test(blocking, outside_of_handlers_it_is_refused, .timeout = HANG)
{
	cr_assert_eq(rota_blocking_begin(), -EPERM);
	rota_blocking_end();
	start(1, 1);
	cr_assert_eq(rota_blocking_begin(), -EPERM);
	rota_blocking_end();
	engine_stop();
}

static int act_forget(void *arg)
{
	int error = rota_blocking_begin() | rota_blocking_begin();

	return arg ? -1 : error;
}

static int task_forget(void *arg)
{
	(void)arg;
	return rota_blocking_begin();
}

/* It is as if it had ended: everything works as before, but the log knows. */
Test(blocking, a_region_that_is_left_open_is_closed, .timeout = HANG)
{
	static struct record record;
	rota_id forgetful;

	start(1, 1);
	forgetful = puppet_spawn(&record, 0);
	for (size_t i = 1; i <= 3; i++) {
		ACTS(forgetful, act_forget, NULL);
		quiesce();
		cr_assert_eq(tally_of(&n_lines), i);
		cr_assert(strstr(last_line, "puppet"), "%s", last_line);
		cr_assert(strstr(last_line, "rota_blocking_end"), "%s",
			  last_line);
	}
	cr_assert_eq(send_value(forgetful, 1, 1), 0);
	quiesce();
	cr_assert_eq(tally_of(&n_lines), 3);
	/* One that fails, too. */
	ACTS(forgetful, act_forget, &record);
	quiesce();
	cr_assert_eq(tally_of(&n_lines), 4);
	cr_assert_eq(rota_is_alive(forgetful), 0);
	cr_assert_eq(rota_task_submit(engine, task_forget, NULL, 0, NULL), 0);
	quiesce();
	cr_assert_eq(tally_of(&n_lines), 5);
	cr_assert(strstr(last_line, "task"), "%s", last_line);
	cr_assert_eq(tally_of(&record.n), 1);
	engine_stop();
}

/* ---- waiting inside ---- */

struct waiting {
	rota_id to;
	rota_id gate;
	struct flag inside;
	struct flag go;
	struct flag back;
	int results[3];
};

/* Its wait for room and its join are waits as elsewhere; then it blocks on. */
static int act_wait_inside(void *arg)
{
	struct waiting *waiting = arg;

	waiting->results[0] = rota_blocking_begin();
	flag_raise(&waiting->inside);
	for (uint64_t i = 0; i < 10; i++)
		waiting->results[1] |= send_value(waiting->to, 1, i);
	waiting->results[2] = rota_join(waiting->gate, ROTA_FOREVER, NULL);
	flag_raise(&waiting->back);
	flag_block(&waiting->go);
	rota_blocking_end();
	return 0;
}

Test(blocking, a_wait_inside_pauses_the_region, .timeout = HANG)
{
	static struct record record;
	struct waiting waiting = {.results = {1, 0, 1}};

	start(1, 1);
	waiting.to = puppet_spawn(&record, 1);
	waiting.gate = puppet_spawn(NULL, 1);
	ACTS(puppet_spawn(NULL, 0), act_wait_inside, &waiting);
	AWAIT(tally_of(&record.n) == 10);
	cr_assert_eq(rota_actor_stop(waiting.gate), 0);
	AWAIT(flag_is_up(&waiting.back));
	/* It is inside again. */
	cr_assert_eq(send_value(waiting.to, 1, 10), 0);
	AWAIT(tally_of(&record.n) == 11);
	flag_raise(&waiting.go);
	quiesce();
	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(waiting.results[i], 0);
	cr_assert_eq(tally_of(&n_lines), 0, "%s", last_line);
	engine_stop();
}

static int task_nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int task_fork_inside(void *arg)
{
	struct rota_task_group group;
	int error = rota_blocking_begin();

	(void)arg;
	error |= rota_task_group_init(&group, NULL);
	for (unsigned i = 0; i < 10; i++)
		error |= rota_task_group_submit(&group, task_forget, NULL, 0);
	error |= rota_task_group_submit(&group, task_nothing, NULL, 0);
	error |= rota_task_group_wait(&group, ROTA_FOREVER, NULL);
	rota_blocking_end();
	return error;
}

Test(blocking, a_group_may_be_waited_for_inside, .timeout = HANG)
{
	rota_task task;
	int result = 1;

	start(1, 2);
	cr_assert_eq(rota_task_submit(engine, task_fork_inside, NULL, 0, &task),
		     0);
	cr_assert_eq(rota_task_join(task, PATIENCE, &result), 0);
	cr_assert_eq(result, 0);
	quiesce();
	engine_stop();
}

/* ---- the stop ---- */

static int act_block_until(void *arg)
{
	struct stall *stall = arg;

	rota_blocking_begin();
	act_stall(stall);
	rota_blocking_end();
	return 0;
}

Test(blocking, a_stop_waits_for_it_and_ends_the_others, .timeout = HANG)
{
	struct stall stall = {0};
	rota_id others[50];
	rota_engine *stopped;
	unsigned before;

	before = n_threads_before();
	start(1, 1);
	for (size_t i = 0; i < 50; i++)
		others[i] = puppet_spawn(NULL, 0);
	ACTS(puppet_spawn(NULL, 0), act_block_until, &stall);
	AWAIT(flag_is_up(&stall.begun));
	for (size_t i = 0; i < 50; i++)
		cr_assert_eq(rota_actor_stop(others[i]), 0);
	for (size_t i = 0; i < 50; i++)
		cr_assert_eq(rota_join(others[i], PATIENCE, NULL), 0);
	stopped = engine;
	/* It does not return, and is left alone; later it does. */
	cr_assert_eq(rota_stop(stopped, ROTA_MS(1)), -ETIMEDOUT);
	flag_raise(&stall.go);
	AWAIT(flag_is_up(&stall.ended));
	AWAIT(n_threads() == before);
	engine = NULL;
}
