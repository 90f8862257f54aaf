/* SPDX-License-Identifier: MIT */
/*
 * counting - one actor sends n messages to one other, which counts them
 *
 * The sender's handler is a plain loop and so waits for room whenever the
 * mailbox is full: what is measured is push, take-all and the waiting. It
 * lies if the mailbox is not bounded (then the sender runs to its end before
 * the counter begins, and memory, not messages, is measured) or if messages
 * are lost: the counter's answer must be n.
 */
#include "perf/bench/scenarios.h"

enum { GO, INC, GET, COUNT };

struct sender {
	rota_id counter;
	uint64_t n;
	uint64_t *counted;
};

struct counter {
	uint64_t count;
};

static int sender_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct sender *sender = state;
	const int64_t *count = payload;

	(void)length;
	if (tag == GO) {
		for (uint64_t i = 0; i < sender->n; i++)
			bench_tell(sender->counter, INC);
		bench_tell(sender->counter, GET);
		return 0;
	}
	*sender->counted = (uint64_t)*count;
	return rota_self_stop(0);
}

static int counter_handle(void *state, unsigned tag, void *payload,
			  size_t length)
{
	struct counter *counter = state;

	(void)payload;
	(void)length;
	if (tag == INC) {
		counter->count++;
		return 0;
	}
	bench_tell_i64(rota_sender(), COUNT, (int64_t)counter->count);
	return rota_self_stop(0);
}

static const struct rota_behaviour sender_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "sender",
	.state_size = sizeof(struct sender),
	.handle = sender_handle,
};

static const struct rota_behaviour counter_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "counter",
	.state_size = sizeof(struct counter),
	.handle = counter_handle,
};

static void counting(struct run *run)
{
	uint64_t counted = 0;
	struct sender sender = {.n = run->n, .counted = &counted};
	rota_id id;

	run_clock_start(run);
	sender.counter = run_spawn(run, &counter_behaviour, NULL);
	id = run_spawn(run, &sender_behaviour, &sender);
	bench_tell(id, GO);
	run_join(run, id);
	run_clock_stop(run);
	run->ops = run->n;
	run_check(run, "counted", counted, run->n);
}

static const struct budget budgets[] = {
	{.figure = "ratio", .limit = {1.5, 1.6}, .reach = {1, 0}},
	{.figure = NULL},
};

const struct scenario scenario_counting = {
	.name = "counting",
	.what = "one actor sends n messages to one that counts them",
	.unit = "message",
	.n = 10000000,
	.quick_n = 1000000,
	.flags = SCENARIO_MESSAGES,
	.budgets = budgets,
	.run = counting,
};
