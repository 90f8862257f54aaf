/* SPDX-License-Identifier: MIT */
/*
 * here - threads send while a host drives under poll(), with changing budgets
 *
 * All that was accepted is handled, exactly once and in each sender's order;
 * the host sleeps whenever the descriptor says that nothing is there, so that a
 * wake-up that got lost is a hang.
 */
#include "tests/unit/support.h"

#include <poll.h>

#include <rota/host.h>
#include <rota/task.h>

#define SENDERS 4
#define SINKS 7

struct sink {
	uint64_t next[SENDERS]; /* what each sender has to send next */
};

static struct {
	rota_id sink[SINKS];
	uint64_t rounds;
	struct tally handled;
	struct tally disorder;
	struct tally refused;
	struct tally tasks;
} all;

static int sink_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct sink *sink = state;
	uint64_t value = value_at(payload, length);

	if (sink->next[tag] != value)
		tally_add(&all.disorder, 1);
	sink->next[tag] = value + 1;
	tally_add(&all.handled, 1);
	return 0;
}

static const struct rota_behaviour sink_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "sink",
	.state_size = sizeof(struct sink),
	.handle = sink_handle,
};

static int task_count(void *argument)
{
	(void)argument;
	tally_add(&all.tasks, 1);
	return 0;
}

/* Pauses now and then, so that the host falls asleep. */
static void *thread_send(void *arg)
{
	unsigned number = (unsigned)(uintptr_t)arg;
	uint64_t random = number + 1;

	for (uint64_t i = 0; i < all.rounds; i++) {
		for (unsigned s = 0; s < SINKS; s++)
			if (send_value(all.sink[s], number, i) != 0)
				tally_add(&all.refused, 1);
		if (i % 64 == 0)
			rota_task_submit(engine, task_count, NULL, 0, NULL);
		if (next_random(&random) % 1024 == 0)
			nap();
	}
	return NULL;
}

/* Drive once; sleep if nothing is left, and something is still to come. */
static void host_once(uint64_t *random, size_t expected)
{
	struct pollfd at = {.fd = rota_run_fd(engine), .events = POLLIN};
	int more = rota_run_some(engine,
				 1 + (unsigned)(next_random(random) % 200));

	cr_assert_geq(more, 0, "rota_run_some: %s", rota_strerror(more));
	if (more > 0) {
		cr_assert_eq(poll(&at, 1, 0), 1, "it says that there is more");
	} else if (tally_of(&all.handled) + tally_of(&all.refused) < expected) {
		cr_assert_eq(poll(&at, 1, HANG * 1000), 1, "asleep after %zu",
			     tally_of(&all.handled));
	}
}

static void start_here(void)
{
	struct rota_config config = test_config(0);

	config.flags = ROTA_RUN_HERE;
	engine = engine_make(&config);
}

Test(here, nothing_is_lost_between_poll_and_run, .timeout = STRESS)
{
	uint64_t random = 4711;
	pthread_t thread[SENDERS];
	size_t expected;

	all.rounds = check_stress(75000);
	expected = all.rounds * SINKS * SENDERS;
	start_here();
	for (int i = 0; i < SINKS; i++)
		all.sink[i] = spawn(&sink_behaviour, NULL, i == 0 ? 1 : 16);
	for (uintptr_t i = 0; i < SENDERS; i++)
		thread[i] = thread_start(thread_send, (void *)i);
	while (tally_of(&all.handled) + tally_of(&all.refused) < expected)
		host_once(&random, expected);
	for (int i = 0; i < SENDERS; i++)
		thread_join(thread[i]);
	cr_assert_eq(tally_of(&all.refused), 0);
	cr_assert_eq(tally_of(&all.handled), expected);
	cr_assert_eq(tally_of(&all.disorder), 0);
	expect_conserved(expected);
	cr_assert_eq(tally_of(&all.tasks), SENDERS * ((all.rounds + 63) / 64));
	engine_stop();
}

/* ---- waits of the host, ended by others ---- */

static AO_t victim; /* an id, or 0 */

static void *thread_drain_victims(void *arg)
{
	uint64_t rounds = *(uint64_t *)arg;

	while (rounds > 0) {
		/* [T2] pairs with the test */
		rota_id id = AO_load_acquire(&victim);

		if (id == 0) {
			sched_yield();
			continue;
		}
		/* [T2] pairs with the test */
		AO_store_release(&victim, 0);
		rounds--;
		if (rounds % 3 == 0)
			nap();
		if (rota_actor_drain(id) != 0)
			tally_add(&all.refused, 1);
	}
	return NULL;
}

static int act_join(void *arg)
{
	rota_join(*(rota_id *)arg, ROTA_FOREVER, NULL);
	return 0;
}

/* The engine is stopped right after the wait: who ended it is in it still. */
Test(here, who_ends_a_wait_is_done_before_the_engine_goes, .timeout = STRESS)
{
	uint64_t rounds = check_stress(300), n = rounds;
	static rota_id gate;
	pthread_t thread;

	thread = thread_start(thread_drain_victims, &n);
	for (uint64_t i = 0; i < rounds; i++) {
		rota_id id;

		start_here();
		gate = puppet_spawn(NULL, 0);
		id = puppet_spawn(NULL, 1);
		ACTS(id, act_join, &gate);
		cr_assert_eq(rota_run_within(engine, ROTA_FOREVER), 0);
		fill(id, 1);
		/* [T2] pairs with thread_drain_victims() */
		AO_store_release(&victim, id);
		cr_assert_eq(send_value(id, 1, 1), -ESHUTDOWN);
		engine_stop();
	}
	thread_join(thread);
	cr_assert_eq(tally_of(&all.refused), 0);
}

/* ---- several threads that drive by turns ---- */

static struct tally strange;
static struct flag over;

static void *thread_host(void *arg)
{
	while (!flag_is_up(&over)) {
		int more = rota_run_some(engine, 5);

		if (more < 0 && more != -EBUSY && more != -EPERM)
			tally_add(&strange, 1);
		if (more <= 0)
			nap();
	}
	(void)arg;
	return NULL;
}

static int act_send_all(void *arg)
{
	rota_id to = *(rota_id *)arg;

	for (uint64_t i = 0; i < 20; i++)
		send_value(to, 1, i);
	return 0;
}

Test(here, threads_drive_by_turns, .timeout = STRESS)
{
	static struct record record;
	uint64_t rounds = check_stress(2000);
	pthread_t thread[3];
	rota_id to;

	start_here();
	to = puppet_spawn(&record, 4);
	for (int i = 0; i < 3; i++)
		thread[i] = thread_start(thread_host, NULL);
	for (uint64_t i = 0; i < rounds; i++) {
		ACTS(puppet_spawn(NULL, 0), act_send_all, &to);
		if (i % 16 == 0)
			nap();
	}
	AWAIT(tally_of(&record.n) == rounds * 20);
	flag_raise(&over);
	for (int i = 0; i < 3; i++)
		thread_join(thread[i]);
	cr_assert_eq(tally_of(&strange), 0);
	engine_stop();
}
