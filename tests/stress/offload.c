/* SPDX-License-Identifier: MIT */
/*
 * offload - a crowd of turns, tasks and threads that offload, with deadlines
 * and stops: each function is run once or its caller is told that it was not,
 * and none touches its caller's memory after the call has returned
 */
#include <rota/offload.h>
#include <rota/task.h>
#include <rota/wait.h>

#include "tests/unit/support.h"

#define ACTORS SIZED(60, 20)
#define THREADS 3
#define ROUNDS SIZED(60, 20)

struct caller {
	uint64_t random;
	rota_engine *engine;
	struct tally *wrong;
	struct tally *ended;
	struct tally *ran;
};

struct argument {
	uint64_t canary; /* on the caller's stack */
	unsigned us;
	bool ran;
};

#define CANARY UINT64_C(0x5eed5eed5eed5eed)

static int run_argument(void *at)
{
	struct argument *argument = at;

	if (argument->canary != CANARY)
		return -1;
	usleep(argument->us);
	if (argument->canary != CANARY)
		return -1;
	argument->ran = true;
	return 1;
}

static int offload_once(struct caller *c)
{
	struct argument argument = {
		.canary = CANARY,
		.us = (unsigned)(next_random(&c->random) % 100)};
	bool hurries = next_random(&c->random) % 4 == 0;
	int result = 0;
	int error =
		rota_offload(c->engine, run_argument, &argument,
			     hurries ? ROTA_US(100) : ROTA_FOREVER, &result);

	if (argument.ran != (error == 0) || (error == 0 && result != 1))
		tally_add(c->wrong, 1);
	argument.canary = 0;
	if (error == 0)
		tally_add(c->ran, 1);
	return error == -ETIMEDOUT ? 0 : error;
}

static int act_caller(void *arg)
{
	struct caller *c = arg;
	int error = 0;

	for (int i = 0; i < ROUNDS && error == 0; i++)
		error = offload_once(c);
	if (error != 0 && error != -ECANCELED && error != -ESHUTDOWN &&
	    error != -ESRCH)
		tally_add(c->wrong, 1);
	tally_add(c->ended, 1);
	return 0;
}

static void *thread_caller(void *arg)
{
	act_caller(arg);
	return NULL;
}

static int task_caller(void *argument)
{
	return act_caller(*(struct caller **)argument);
}

static void run(unsigned workers, unsigned most)
{
	struct caller callers[3 * ACTORS], *at;
	struct tally wrong = {0}, ended = {0}, ran = {0};
	struct rota_config config = test_config(workers);
	pthread_t threads[THREADS];
	rota_id ids[ACTORS];

	config.offload_threads = most;
	engine = engine_make(&config);
	for (size_t i = 0; i < 3 * ACTORS; i++)
		callers[i] = (struct caller){i + 1, NULL, &wrong, &ended, &ran};
	for (size_t i = 0; i < THREADS; i++) {
		callers[2 * ACTORS + i].engine = engine;
		threads[i] =
			thread_start(thread_caller, &callers[2 * ACTORS + i]);
	}
	for (size_t i = 0; i < ACTORS; i++) {
		at = &callers[ACTORS + i];
		ids[i] = puppet_spawn(NULL, 0);
		ACTS(ids[i], act_caller, &callers[i]);
		cr_assert_eq(rota_task_submit(engine, task_caller, &at,
					      sizeof(at), NULL),
			     0);
	}
	AWAIT(tally_of(&ran) > 100);
	for (size_t i = 0; i < ACTORS; i += 2)
		cr_assert_eq(rota_actor_stop(ids[i]), 0);
	AWAIT(tally_of(&ended) >= ACTORS);
	engine_stop();
	for (size_t i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	cr_assert_eq(tally_of(&wrong), 0);
}

Test(offload, once_or_never, .timeout = STRESS)
{
	run(1, 1);
	run(2, 0);
	run(64, 3);
}
