/* SPDX-License-Identifier: MIT */
/*
 * latency - a ping-pong beside 100 actors that always have work
 *
 * The background: 50 pairs with one message between each two, or a ring of 100
 * with 100 tokens; 1 µs of computing per message. Beside it two actors play
 * ping-pong and note how long each round took, for 1 s of warm-up that is
 * thrown away and then for 8 s or n rounds.
 *
 * Quantiles over rounds alone lie: an engine that does a thousand quick rounds
 * and then starves the pair for a second looks perfect up to p99.9. Hence
 * tw_p99_us, the time-weighted p99: what one meets at a random instant. And an
 * engine that starves the background instead makes the ping-pong look good:
 * hence evenness, the service of the worst-served background actor over the
 * mean, counted within the same time.
 */
#include <stdlib.h>

#include <atomic_ops.h>

#include "perf/bench/scenarios.h"

#define WORK_NS 1000

enum { GO, WORK, PING, PONG, END };
enum { PAIRS, RING };

/*
 * One line per background actor. xserved: written by the actor that owns it,
 * read by the pinger at the begin and the end of the time that counts. Relaxed:
 * a statistic, and being one message late is no matter.
 */
struct served {
	volatile AO_t xserved;
	char rest[56];
};

struct latency {
	rota_id *ids;
	struct served *served;
	uint64_t *served_before; /* the pinger's */
	uint64_t n_background;
	uint64_t steps; /* of computing per message */
	/* Set by the main thread, read by the background. Relaxed: seen soon,
	   and nothing hangs on when. */
	volatile AO_t xstop;
};

struct worker_actor {
	struct latency *latency;
	uint64_t index;
	uint64_t next;
};

struct pinger {
	struct latency *latency;
	rota_id ponger;
	uint64_t *rounds;
	uint64_t n_rounds;
	uint64_t max_rounds;
	uint64_t warm_ns;
	uint64_t max_ns;
	uint64_t begin_ns;
	uint64_t sent_ns;
	int64_t sequence;
	bool is_warm;
	uint64_t *result_rounds;
	uint64_t *result_ns;
};

/* ---- the background */

static int background_handle(void *state, unsigned tag, void *payload,
			     size_t length)
{
	const struct worker_actor *actor = state;
	struct latency *latency = actor->latency;
	struct served *served = &latency->served[actor->index];
	uint64_t x;

	(void)length;
	if (tag == END)
		return rota_self_stop(0);
	AO_store(&served->xserved, AO_load(&served->xserved) + 1);
	x = measure_work(latency->steps, *(const uint64_t *)payload);
	if (!AO_load(&latency->xstop))
		bench_send(latency->ids[actor->next], WORK, &x, sizeof(x));
	return 0;
}

static const struct rota_behaviour background_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "background",
	.state_size = sizeof(struct worker_actor),
	.handle = background_handle,
};

/* ---- the pair that is watched */

static void pinger_fire(struct pinger *pinger)
{
	pinger->sent_ns = measure_ns();
	bench_tell_i64(pinger->ponger, PING, ++pinger->sequence);
}

/* From now on it counts. */
static void pinger_begin(struct pinger *pinger, uint64_t now)
{
	struct latency *latency = pinger->latency;

	pinger->is_warm = true;
	pinger->begin_ns = now;
	for (uint64_t i = 0; i < latency->n_background; i++)
		latency->served_before[i] =
			AO_load(&latency->served[i].xserved);
}

static int pinger_end(struct pinger *pinger, uint64_t now)
{
	struct latency *latency = pinger->latency;

	for (uint64_t i = 0; i < latency->n_background; i++)
		latency->served_before[i] =
			AO_load(&latency->served[i].xserved) -
			latency->served_before[i];
	*pinger->result_rounds = pinger->n_rounds;
	*pinger->result_ns = now - pinger->begin_ns;
	bench_tell(pinger->ponger, END);
	return rota_self_stop(0);
}

static int pinger_round(struct pinger *pinger, int64_t value)
{
	uint64_t now = measure_ns();

	if (value != pinger->sequence + 1)
		bench_fail("round %lld answered with %lld",
			   (long long)pinger->sequence, (long long)value);
	if (!pinger->is_warm) {
		if (now - pinger->begin_ns > pinger->warm_ns)
			pinger_begin(pinger, now);
	} else {
		pinger->rounds[pinger->n_rounds++] = now - pinger->sent_ns;
		if (now - pinger->begin_ns > pinger->max_ns ||
		    pinger->n_rounds == pinger->max_rounds)
			return pinger_end(pinger, now);
	}
	pinger_fire(pinger);
	return 0;
}

static int pinger_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct pinger *pinger = state;

	(void)length;
	if (tag == PONG)
		return pinger_round(pinger, *(const int64_t *)payload);
	pinger->begin_ns = measure_ns();
	pinger_fire(pinger);
	return 0;
}

static int ponger_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	(void)state;
	(void)length;
	if (tag == END)
		return rota_self_stop(0);
	bench_tell_i64(rota_sender(), PONG, *(const int64_t *)payload + 1);
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

/* ---- the run */

static void background_start(struct run *run, struct latency *latency)
{
	uint64_t n = latency->n_background;
	bool is_ring = run->scenario->value == RING;
	struct worker_actor actor = {.latency = latency};

	for (uint64_t i = 0; i < n; i++) {
		actor.index = i;
		actor.next = is_ring ? (i + 1) % n : i ^ 1;
		latency->ids[i] = run_spawn(run, &background_behaviour, &actor);
	}
	for (uint64_t i = 0; i < n; i++) {
		uint64_t x = i + 1;

		if (is_ring || i % 2 == 0)
			bench_send(latency->ids[i], WORK, &x, sizeof(x));
	}
}

static void background_stop(struct run *run, struct latency *latency)
{
	AO_store(&latency->xstop, 1);
	run_quiesce(run);
	for (uint64_t i = 0; i < latency->n_background; i++)
		bench_tell(latency->ids[i], END);
	run_quiesce(run);
}

static void report_rounds(struct run *run, uint64_t *rounds, uint64_t n)
{
	measure_sort(rounds, n);
	run_metric(run, "p50_us",
		   (double)measure_quantile(rounds, n, .5) / 1e3);
	run_metric(run, "p99_us",
		   (double)measure_quantile(rounds, n, .99) / 1e3);
	run_metric(run, "p99.9_us",
		   (double)measure_quantile(rounds, n, .999) / 1e3);
	run_metric(run, "max_us", (double)rounds[n - 1] / 1e3);
	run_metric(run, "tw_p50_us",
		   (double)measure_weighted(rounds, n, .5) / 1e3);
	run_metric(run, "tw_p99_us",
		   (double)measure_weighted(rounds, n, .99) / 1e3);
}

static void report_background(struct run *run, const struct latency *latency)
{
	uint64_t least = UINT64_MAX, sum = 0;
	double mean;

	for (uint64_t i = 0; i < latency->n_background; i++) {
		sum += latency->served_before[i];
		if (latency->served_before[i] < least)
			least = latency->served_before[i];
	}
	mean = (double)sum / (double)latency->n_background;
	run_metric(run, "background_messages", (double)sum);
	run_metric(run, "evenness", mean > 0 ? (double)least / mean : 0);
}

static double seconds_of(const struct run *run)
{
	if (run->options->seconds > 0)
		return run->options->seconds;
	return run->options->quick ? 1.5 : 8;
}

static void watch(struct run *run, struct latency *latency, uint64_t *rounds)
{
	uint64_t n = 0, elapsed = 0;
	struct pinger pinger = {.latency = latency,
				.rounds = rounds,
				.max_rounds = run->n,
				.warm_ns = run->options->quick ? 300000000
							       : 1000000000,
				.max_ns = (uint64_t)(seconds_of(run) * 1e9),
				.result_rounds = &n,
				.result_ns = &elapsed};
	rota_id id;

	pinger.ponger = run_spawn(run, &ponger_behaviour, NULL);
	id = run_spawn(run, &pinger_behaviour, &pinger);
	bench_tell(id, GO);
	run_join(run, id);
	if (n == 0)
		bench_fail("not one round within the time");
	run->elapsed_ns = elapsed;
	run->ops = n;
	run_metric(run, "rounds", (double)n);
	report_rounds(run, rounds, n);
}

static void latency_run(struct run *run)
{
	uint64_t k = run->actors / 2 * 2;
	uint64_t *rounds = bench_alloc(run->n, sizeof(*rounds));
	struct latency latency = {.n_background = k,
				  .steps = measure_steps(WORK_NS)};

	latency.ids = bench_alloc(k, sizeof(*latency.ids));
	latency.served = bench_alloc(k, sizeof(*latency.served));
	latency.served_before = bench_alloc(k, sizeof(*latency.served_before));
	background_start(run, &latency);
	watch(run, &latency, rounds);
	background_stop(run, &latency);
	report_background(run, &latency);
	free(latency.served_before);
	free(latency.served);
	free(latency.ids);
	free(rounds);
}

static const struct budget budgets[] = {
	{.figure = "p50_us", .limit = {0, 100}},
	{.figure = "p99.9_us", .limit = {0, 300}},
	{.figure = "tw_p99_us", .limit = {0, 500}},
	{.figure = "evenness", .limit = {0, .5}, .at_least = true},
	{.figure = NULL},
};

const struct scenario scenario_latency_pairs = {
	.name = "latency/pairs",
	.what = "ping-pong beside 50 busy pairs (n rounds or 8 s)",
	.unit = "round",
	.n = 8000000,
	.quick_n = 2000000,
	.actors = 100,
	.value = PAIRS,
	.flags = SCENARIO_COLD | SCENARIO_PARALLEL,
	.budgets = budgets,
	.run = latency_run,
};

const struct scenario scenario_latency_ring = {
	.name = "latency/ring",
	.what = "ping-pong beside a busy ring of 100 (n rounds or 8 s)",
	.unit = "round",
	.n = 8000000,
	.quick_n = 2000000,
	.actors = 100,
	.value = RING,
	.flags = SCENARIO_COLD | SCENARIO_PARALLEL,
	.budgets = budgets,
	.run = latency_run,
};
