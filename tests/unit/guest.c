/* SPDX-License-Identifier: MIT */
/*
 * guest - the engine in a process that is not its own: fork
 */
#include <dirent.h>
#include <sys/wait.h>

#include "tests/unit/support.h"

static struct record record;

/* The child has no workers: every call there is refused, and none hangs. */
static int child_calls(rota_id id, rota_timer timer)
{
	uint64_t value = 1;

	alarm(30);
	if (rota_send(id, 1, &value, 8) != -EPERM)
		return 1;
	if (rota_try_send(id, 1, &value, 8) != -EPERM)
		return 2;
	if (rota_id_error(rota_spawn(engine, &puppet_behaviour, NULL, NULL)) !=
	    -EPERM)
		return 3;
	if (rota_join(id, ROTA_FOREVER, NULL) != -EPERM)
		return 4;
	if (rota_actor_stop(id) != -EPERM || rota_actor_drain(id) != -EPERM)
		return 5;
	if (rota_send_after(id, 1, &value, 8, 0, NULL) != -EPERM)
		return 6;
	if (rota_timer_cancel(timer) != -EPERM)
		return 7;
	if (rota_quiesce(engine, ROTA_FOREVER) != -EPERM)
		return 8;
	if (rota_stop(engine, ROTA_FOREVER) != -EPERM)
		return 9;
	return 0;
}

Test(guest, a_forked_child_is_refused_not_hung, .timeout = HANG)
{
	if (!WIPES_ON_FORK)
		cr_skip_test("qemu-user does not wipe pages on fork");
	rota_timer timer;
	int status = 0;
	rota_id id;
	pid_t pid;

	engine_start(2);
	id = puppet_spawn(&record, 0);
	cr_assert_eq(rota_send_after(id, 1, NULL, 0, ROTA_S(3600), &timer), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0)
		_exit(child_calls(id, timer));
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status), "signal %d", WTERMSIG(status));
	cr_assert_eq(WEXITSTATUS(status), 0, "call %d", WEXITSTATUS(status));
	cr_assert_eq(send_value(id, 1, 1), 0); /* here all is as it was */
	cr_assert_eq(rota_timer_cancel(timer), 0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 1);
	engine_stop();
}

static bool others_sleep(void)
{
	DIR *tasks = opendir("/proc/self/task");
	const struct dirent *entry;
	bool all = tasks != NULL;

	while (all && (entry = readdir(tasks)) != NULL) {
		long number = strtol(entry->d_name, NULL, 10);

		if (number > 0 && number != thread_number())
			all = thread_sleeps(number);
	}
	if (tasks)
		closedir(tasks);
	return all;
}

/*
 * A fork while others allocate leaves the child an allocator that is locked for
 * ever; the C library sees to its own, sanitizers do not.
 */
static void await_calm(void)
{
	unsigned seen = 0;

	AWAIT((seen = others_sleep() ? seen + 1 : 0) >= 10);
}

/* A child may have an engine of its own. */
static int child_engine(void)
{
	struct rota_config config = test_config(2);
	int error;

	alarm(60);
	engine = rota_start(&config);
	if (!engine)
		return 1;
	error = rota_send(rota_spawn(engine, &puppet_behaviour,
				     &(struct puppet){&record}, NULL),
			  1, NULL, 0);
	if (error || rota_quiesce(engine, PATIENCE))
		return 2;
	if (tally_of(&record.n) != 1)
		return 3;
	return rota_stop(engine, PATIENCE) ? 4 : 0;
}

Test(guest, a_forked_child_may_have_its_own, .timeout = HANG)
{
	if (!WIPES_ON_FORK)
		cr_skip_test("qemu-user does not wipe pages on fork");
	int status = 0;
	pid_t pid;

	if (UNDER_TSAN)
		cr_skip_test("no threads after a fork under TSan");
	engine_start(2);
	await_calm();
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0)
		_exit(child_engine());
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status), "signal %d", WTERMSIG(status));
	cr_assert_eq(WEXITSTATUS(status), 0, "step %d", WEXITSTATUS(status));
	engine_stop();
}
