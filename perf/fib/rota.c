/* SPDX-License-Identifier: MIT */
/* rota - fib with a task per call, on rota */
#include <rota/rota.h>

#include "perf/bench/measure.h"
#include "perf/fib/fib.h"

struct call {
	int n;
	int64_t *result;
};

static int fork_call(struct rota_task_group *group, rota_task_function *fib,
		     int n, int64_t *result)
{
	struct call call = {n, result};

	return rota_task_group_submit(group, fib, &call, sizeof(call));
}

static int fib(void *argument)
{
	struct call *call = argument;
	struct rota_task_group group;
	int error, wait, failure = 0;
	int64_t a = 0, b = 0;

	if (call->n < 2) {
		*call->result = call->n;
		return 0;
	}
	error = rota_task_group_init(&group, NULL);
	if (error)
		return error;
	error = fork_call(&group, fib, call->n - 1, &a);
	if (!error)
		error = fork_call(&group, fib, call->n - 2, &b);
	wait = rota_task_group_wait(&group, ROTA_FOREVER, &failure);
	*call->result = a + b;
	return error ? error : wait ? wait : failure;
}

static int64_t run(rota_engine *engine, int n)
{
	int64_t result = -1;
	struct call call = {n, &result};
	rota_task task;
	int failure = 0;
	int error = rota_task_submit(engine, fib, &call, sizeof(call), &task);

	if (!error)
		error = rota_task_join(task, ROTA_FOREVER, &failure);
	return error || failure ? -1 : result;
}

struct fib_time fib_on_rota(int n, unsigned workers)
{
	struct rota_config config = ROTA_CONFIG_INIT;
	struct fib_time time = {.result = -1};
	rota_engine *engine;

	config.workers = workers;
	engine = rota_start(&config);
	if (!engine)
		return time;
	run(engine, n > 5 ? n - 5 : n);
	time.elapsed_ns = measure_ns();
	time.cpu_ns = measure_cpu_ns();
	time.result = run(engine, n);
	time.elapsed_ns = measure_ns() - time.elapsed_ns;
	time.cpu_ns = measure_cpu_ns() - time.cpu_ns;
	if (rota_stop(engine, ROTA_S(10)) != 0)
		time.result = -1;
	return time;
}
