/* SPDX-License-Identifier: MIT */
/*
 * pingpong - two actors pass a number to and fro; n round trips, 2n messages
 *
 * What it measures: the whole path of a message to an idle actor: send,
 * schedule, take, handle, go idle. The number lies if a turn handles more than
 * one message (there is never more than one in flight), if a round is left out
 * (the number passed is incremented at the far side and must end as n), or if
 * the two sit on two cores by design: then it measures the cache line between
 * them, which is what the engine has to avoid.
 * pingpong/dedicated has the ponger on a thread of its own: the cost of a hop
 * from a worker there, or back, where either finds the other asleep, mostly.
 */
#include "perf/bench/scenarios.h"

enum { GO, PING, PONG, END };

struct pinger {
	rota_id ponger;
	uint64_t left;
	int64_t *answer;
};

static int pinger_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct pinger *pinger = state;
	const int64_t *value = payload;

	(void)length;
	if (tag == GO) {
		bench_tell_i64(pinger->ponger, PING, 0);
	} else if (--pinger->left > 0) {
		bench_tell_i64(pinger->ponger, PING, *value);
	} else {
		*pinger->answer = *value;
		bench_tell(pinger->ponger, END);
		return rota_self_stop(0);
	}
	return 0;
}

static int ponger_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	const int64_t *value = payload;

	(void)state;
	(void)length;
	if (tag == END)
		return rota_self_stop(0);
	bench_tell_i64(rota_sender(), PONG, *value + 1);
	return 0;
}

static const struct rota_behaviour pinger_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "pinger",
	.state_size = sizeof(struct pinger),
	.handle = pinger_handle,
};

static const struct rota_behaviour ponger_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "ponger",
	.handle = ponger_handle,
};

static rota_id spawn_ponger(struct run *run, unsigned flags)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	rota_id id;

	options.flags = flags;
	id = rota_spawn(run->engine, &ponger_behaviour, NULL, &options);
	if (rota_id_error(id) != 0)
		bench_fail_call("rota_spawn", rota_id_error(id));
	return id;
}

static void play(struct run *run, unsigned flags)
{
	int64_t answer = -1;
	struct pinger pinger = {.left = run->n, .answer = &answer};
	rota_id id;

	run_clock_start(run);
	pinger.ponger = spawn_ponger(run, flags);
	id = run_spawn(run, &pinger_behaviour, &pinger);
	bench_tell(id, GO);
	run_join(run, id);
	run_clock_stop(run);
	run->ops = 2 * run->n;
	run_check(run, "the number passed", (uint64_t)answer, run->n);
}

static void pingpong(struct run *run)
{
	play(run, 0);
}

static void pingpong_dedicated(struct run *run)
{
	play(run, ROTA_OWN_THREAD);
}

static const struct budget budgets[] = {
	{.figure = "ratio", .limit = {2.4, 2.5}, .reach = {1.9, 0}},
	{.figure = NULL},
};

const struct scenario scenario_pingpong = {
	.name = "pingpong",
	.what = "two actors pass a number to and fro (n round trips)",
	.unit = "message",
	.n = 5000000,
	.quick_n = 500000,
	.flags = SCENARIO_MESSAGES,
	.budgets = budgets,
	.run = pingpong,
};

const struct scenario scenario_pingpong_dedicated = {
	.name = "pingpong/dedicated",
	.what = "pingpong with an actor on a thread of its own",
	.unit = "message",
	.n = 200000,
	.quick_n = 20000,
	.run = pingpong_dedicated,
};
