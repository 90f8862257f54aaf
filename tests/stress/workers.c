/* SPDX-License-Identifier: MIT */
/*
 * workers - their number changes while everything else goes on
 *
 * Tokens go round among actors with small mailboxes, so that sends wait; on
 * their way actors spawn, join, set timers, fork tasks and block. Meanwhile two
 * threads change the number of workers between 1 and 16. Each hop of each
 * token, each child, timer and task is counted: none may be lost or doubled,
 * and the engine's stop finds nothing.
 */
#include <rota/task.h>

#include "tests/unit/support.h"

#define ACTORS 48
#define MOST 16
#define TOKENS SIZED(64, 32)
#define HOPS SIZED(6000, 150)

enum { TOKEN, BELL, BORN };

static rota_id actors[ACTORS];
static struct tally n_hops, n_children, n_bells, n_tasks, n_strange;
static struct tally n_sown; /* children, timers and tasks that are to come */
static struct tally n_sets;
static struct flag over;

struct token {
	uint64_t random;
	uint32_t left;
};

static int child_handle(void *state, unsigned tag, void *payload, size_t length)
{
	(void)state;
	(void)tag;
	(void)payload;
	(void)length;
	tally_add(&n_children, 1);
	return rota_self_stop(0);
}

static const struct rota_behaviour child_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "child",
	.handle = child_handle,
};

static void expect(int result)
{
	if (result != 0)
		tally_add(&n_strange, 1);
}

/* A child that lives for a message; sometimes its end is waited for. */
static void have_a_child(uint64_t random)
{
	rota_id child = rota_spawn(NULL, &child_behaviour, NULL, NULL);

	expect(rota_id_error(child));
	tally_add(&n_sown, 1);
	expect(rota_send(child, BORN, NULL, 0));
	if (random % 2)
		expect(rota_join(child, ROTA_FOREVER, NULL));
}

static int task(void *argument)
{
	uint32_t depth;

	memcpy(&depth, argument, sizeof(depth));
	if (depth > 0) {
		struct rota_task_group group;

		depth--;
		expect(rota_task_group_init(&group, NULL));
		expect(rota_task_group_submit(&group, task, &depth,
					      sizeof(depth)));
		expect(rota_task_group_submit(&group, task, &depth,
					      sizeof(depth)));
		expect(rota_task_group_wait(&group, ROTA_FOREVER, NULL));
	}
	tally_add(&n_tasks, 1);
	return 0;
}

#define DEPTH 5u /* 63 tasks */

static void fork_some(void)
{
	uint32_t depth = DEPTH;

	tally_add(&n_sown, (2u << DEPTH) - 1);
	expect(rota_task_submit(NULL, task, &depth, sizeof(depth), NULL));
}

static void block_a_little(void)
{
	expect(rota_blocking_begin());
	nap();
	rota_blocking_end();
}

/* The way of a token follows from its numbers alone. */
static void live(struct token *token)
{
	switch (next_random(&token->random) % 128) {
	case 0:
		have_a_child(token->random >> 32);
		break;
	case 1:
		tally_add(&n_sown, 1);
		expect(rota_send_after(rota_self(), BELL, NULL, 0,
				       (int64_t)(token->random >> 32) % 3000000,
				       NULL));
		break;
	case 2:
		fork_some();
		break;
	case 3:
		block_a_little();
		break;
	default:
		break;
	}
}

static int walker_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct token token;
	rota_id next;
	int error;

	(void)state;
	(void)length;
	if (tag == BELL) {
		tally_add(&n_bells, 1);
		return 0;
	}
	memcpy(&token, payload, sizeof(token));
	tally_add(&n_hops, 1);
	if (token.left-- == 0)
		return 0;
	live(&token);
	next = actors[next_random(&token.random) % ACTORS];
	if (next == rota_self())
		next = actors[next == actors[0]];
	error = rota_send(next, TOKEN, &token, sizeof(token));
	expect(error);
	return 0;
}

static const struct rota_behaviour walker_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "walker",
	.handle = walker_handle,
};

/* Up and down, and to the ends more often than chance would have it. */
static void *change(void *argument)
{
	uint64_t random = 1 + (uint64_t)(uintptr_t)argument;

	while (!flag_is_up(&over)) {
		uint64_t roll = next_random(&random) % 8;
		unsigned n =
			roll == 0 ? 1
			: roll == 1
				? MOST
				: (unsigned)(next_random(&random) % MOST + 1);
		int error = rota_workers_set(engine, n);

		if (error && error != -EAGAIN)
			tally_add(&n_strange, 1);
		tally_add(&n_sets, 1);
		nap();
	}
	return NULL;
}

static void begin(void)
{
	struct rota_config config = test_config(2);

	config.spares = 8;
	engine = engine_make(&config);
	for (size_t i = 0; i < ACTORS; i++)
		actors[i] = spawn(&walker_behaviour, NULL, 4);
}

static void let_tokens_go(void)
{
	for (uint64_t i = 0; i < TOKENS; i++) {
		struct token token = {.random = i + 1, .left = HOPS};

		cr_assert_eq(rota_send(actors[i % ACTORS], TOKEN, &token,
				       sizeof(token)),
			     0);
	}
}

static void end(void)
{
	quiesce();
	flag_raise(&over);
	cr_assert_eq(tally_of(&n_strange), 0);
	cr_assert_eq(tally_of(&n_hops), (size_t)TOKENS * (HOPS + 1));
	cr_assert_eq(tally_of(&n_children) + tally_of(&n_bells) +
			     tally_of(&n_tasks),
		     tally_of(&n_sown));
	cr_assert_gt(tally_of(&n_bells), 0);
	cr_assert_gt(tally_of(&n_tasks), 0);
	cr_assert_eq(n_dead(), 0);
}

Test(workers, come_and_go_and_nothing_is_lost, .timeout = STRESS)
{
	pthread_t threads[2];

	begin();
	for (uintptr_t i = 0; i < 2; i++)
		threads[i] = thread_start(change, (void *)(i + 1));
	let_tokens_go();
	end();
	for (size_t i = 0; i < 2; i++)
		thread_join(threads[i]);
	cr_assert_gt(tally_of(&n_sets), 0);
	cr_assert_eq(rota_workers_set(engine, 1), 0);
	cr_assert_eq(rota_workers(engine), 1);
	engine_stop();
}

/* The stop comes while it all goes on: what was accepted is told. */
Test(workers, may_change_while_the_engine_stops, .timeout = STRESS)
{
	for (unsigned round = 0; round < SIZED(20, 5); round++) {
		pthread_t threads[2];
		rota_engine *stopped;

		begin();
		over = (struct flag){0};
		for (uintptr_t i = 0; i < 2; i++)
			threads[i] = thread_start(change, (void *)(i + round));
		let_tokens_go();
		nap();
		stopped = engine;
		cr_assert_eq(rota_stop(stopped, PATIENCE), 0);
		cr_assert_eq(rota_workers(stopped), 0);
		cr_assert_eq(rota_workers_set(stopped, 2), -ESRCH);
		flag_raise(&over);
		for (size_t i = 0; i < 2; i++)
			thread_join(threads[i]);
		engine = NULL;
	}
}
