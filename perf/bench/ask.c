/* SPDX-License-Identifier: MIT */
/*
 * ask - an actor asks another one, n times: it waits for each answer
 *
 * What it measures: the whole round trip of a turn that waits: the request, the
 * switch to the receiver, its answer, the switch back. The number lies if the
 * asker does not wait (each reply is checked and carries the number of its
 * request), or if the two sit on two cores by design.
 *
 * ask-thread - a thread asks an engine that is busy: actors pass messages round
 *
 * p50_us is the time of the call. The engine never sleeps meanwhile, so this is
 * what the shared list, the receiver's queueing behind others, and the waking
 * of the thread cost. The number lies if the actors are not busy all the time
 * (they count what they pass on).
 */
#include <stdlib.h>

#include <atomic_ops.h>

#include <rota/ask.h>

#include "perf/bench/scenarios.h"

enum { GO, QUESTION, PASS, END };

/* ---- whoever is asked ---- */

static int oracle_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	const int64_t *value = payload;
	int64_t reply;

	(void)state;
	(void)length;
	if (tag == END)
		return rota_self_stop(0);
	reply = *value + 1;
	return rota_answer(0, &reply, sizeof(reply));
}

static const struct rota_behaviour oracle_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "oracle",
	.handle = oracle_handle,
};

/* One ask that has to be answered. */
static void question(rota_id oracle, int64_t i)
{
	int64_t reply = -1;
	int error = rota_ask(oracle, QUESTION, &i, sizeof(i), &reply,
			     sizeof(reply), ROTA_FOREVER);

	if (__builtin_expect(error != 0 || reply != i + 1, 0))
		bench_fail_call("rota_ask", error);
}

/* ---- in the engine ---- */

struct asker {
	rota_id oracle;
	uint64_t n;
	uint64_t *done;
};

static int asker_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct asker *asker = state;
	uint64_t i;

	(void)tag;
	(void)payload;
	(void)length;
	for (i = 0; i < asker->n; i++)
		question(asker->oracle, (int64_t)i);
	*asker->done = i;
	bench_tell(asker->oracle, END);
	return rota_self_stop(0);
}

static const struct rota_behaviour asker_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "asker",
	.state_size = sizeof(struct asker),
	.handle = asker_handle,
};

static void ask(struct run *run)
{
	uint64_t done = 0;
	struct asker asker = {.n = run->n, .done = &done};
	rota_id id;

	run_clock_start(run);
	asker.oracle = run_spawn(run, &oracle_behaviour, NULL);
	id = run_spawn(run, &asker_behaviour, &asker);
	bench_tell(id, GO);
	run_join(run, id);
	run_clock_stop(run);
	run->ops = run->n;
	run_check(run, "answers", done, run->n);
}

static const struct budget budgets[] = {
	{.figure = "ratio", .limit = {10, 10.5}},
	{.figure = NULL},
};

const struct scenario scenario_ask = {
	.name = "ask",
	.what = "an actor asks another one and waits (n round trips)",
	.unit = "round trip",
	.n = 2000000,
	.quick_n = 200000,
	.flags = SCENARIO_MESSAGES,
	.budgets = budgets,
	.run = ask,
};

/* ---- from a thread ---- */

#define RING 8

static volatile AO_t xover; /* the thread has asked enough; relaxed: a hint */

struct passer {
	rota_id *next;
	uint64_t n_passed;
	uint64_t *total; /* written at the end */
};

static int passer_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct passer *passer = state;

	(void)payload;
	(void)length;
	if (tag == END) {
		*passer->total = passer->n_passed;
		return rota_self_stop(0);
	}
	passer->n_passed++;
	if (!AO_load(&xover)) /* relaxed: see there */
		bench_tell(*passer->next, PASS);
	return 0;
}

static const struct rota_behaviour passer_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "passer",
	.state_size = sizeof(struct passer),
	.handle = passer_handle,
};

static void measure(struct run *run, rota_id oracle)
{
	uint64_t *took = bench_alloc(run->n, sizeof(*took)), sum = 0;

	for (uint64_t i = 0; i < run->n; i++) {
		uint64_t start = measure_ns();

		question(oracle, (int64_t)i);
		took[i] = measure_ns() - start;
		sum += took[i];
	}
	run->elapsed_ns = sum;
	run->ops = run->n;
	measure_sort(took, run->n);
	run_metric(run, "p50_us",
		   (double)measure_quantile(took, run->n, .5) / 1e3);
	run_metric(run, "p99_us",
		   (double)measure_quantile(took, run->n, .99) / 1e3);
	run_metric(run, "max_us", (double)took[run->n - 1] / 1e3);
	free(took);
}

static void end_ring(struct run *run, const rota_id *ring,
		     const uint64_t *totals)
{
	AO_store(&xover, 1); /* relaxed: see there */
	run_quiesce(run);
	for (size_t i = 0; i < RING; i++)
		bench_tell(ring[i], END);
	for (size_t i = 0; i < RING; i++) {
		run_join(run, ring[i]);
		if (totals[i] < run->n)
			bench_fail("the engine was not busy");
	}
}

static void ask_thread(struct run *run)
{
	rota_id ring[RING], oracle = run_spawn(run, &oracle_behaviour, NULL);
	uint64_t totals[RING] = {0};

	AO_store(&xover, 0); /* relaxed: see there */
	for (size_t i = 0; i < RING; i++) {
		struct passer passer = {.next = &ring[(i + 1) % RING],
					.total = &totals[i]};

		ring[i] = run_spawn(run, &passer_behaviour, &passer);
	}
	for (size_t i = 0; i < RING; i += 2)
		bench_tell(ring[i], PASS);
	measure(run, oracle);
	end_ring(run, ring, totals);
	bench_tell(oracle, END);
	run_join(run, oracle);
}

static const struct budget thread_budgets[] = {
	{.figure = "p50_us", .limit = {20, 20}},
	{.figure = NULL},
};

const struct scenario scenario_ask_thread = {
	.name = "ask-thread",
	.what = "a thread asks a busy engine (n times)",
	.unit = "round trip",
	.n = 20000,
	.quick_n = 3000,
	.budgets = thread_budgets,
	.run = ask_thread,
};
