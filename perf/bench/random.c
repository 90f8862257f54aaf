/* SPDX-License-Identifier: MIT */
/*
 * random - a million actors, 1,024 tokens that hop among them at random
 *
 * Every hop meets an actor whose memory is in no cache: what is measured is
 * how many cold lines a message touches, and how well they overlap. Making the
 * actors is outside the clock. The number lies if the actors fit into a cache
 * (--actors), if tokens die early or actors are skipped: each actor counts its
 * visits and hands its count over when it ends; these must add up to all hops.
 */
#include <stdlib.h>

#include <atomic_ops.h>

#include "perf/bench/scenarios.h"

#define TOKENS 1024

enum { TOKEN, ARRIVED };

/* xvisits: added to by destructors on any worker; relaxed, because the main
   thread reads it after rota_quiesce(), which orders what came before it. */
static volatile AO_t xvisits;
static const rota_id *targets;
static uint64_t n_targets;
static rota_id collector_id;

struct place {
	uint64_t visits;
	char rest[40]; /* 48 bytes of state, as an idle actor has */
};

struct token {
	uint64_t random;
	uint64_t left;
};

struct collector {
	uint64_t missing;
};

static void token_send(struct token *token)
{
	uint64_t target = measure_random(&token->random) % n_targets;

	/* Never to itself: a send to one's own full mailbox is refused. */
	if (targets[target] == rota_self())
		target = (target + 1) % n_targets;
	bench_send(targets[target], TOKEN, token, sizeof(*token));
}

static int place_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct place *place = state;
	struct token *token = payload;

	(void)tag;
	(void)length;
	place->visits++;
	if (--token->left == 0)
		bench_tell(collector_id, ARRIVED);
	else
		token_send(token);
	return 0;
}

static void place_destroy(void *state)
{
	const struct place *place = state;

	AO_fetch_and_add(&xvisits, place->visits);
}

static int collector_handle(void *state, unsigned tag, void *payload,
			    size_t length)
{
	struct collector *collector = state;

	(void)tag;
	(void)payload;
	(void)length;
	return --collector->missing == 0 ? rota_self_stop(0) : 0;
}

static const struct rota_behaviour place_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "place",
	.state_size = sizeof(struct place),
	.handle = place_handle,
	.destroy = place_destroy,
};

static const struct rota_behaviour collector_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "collector",
	.state_size = sizeof(struct collector),
	.handle = collector_handle,
};

static rota_id *places_make(struct run *run)
{
	rota_id *ids = bench_alloc(run->actors, sizeof(*ids));

	for (uint64_t i = 0; i < run->actors; i++)
		ids[i] = run_spawn(run, &place_behaviour, NULL);
	return ids;
}

static void places_stop(struct run *run, const rota_id *ids)
{
	for (uint64_t i = 0; i < run->actors; i++) {
		int error = rota_actor_stop(ids[i]);

		if (error != 0)
			bench_fail_call("rota_actor_stop", error);
	}
	run_quiesce(run);
}

static void tokens_run(struct run *run, uint64_t hops)
{
	struct collector collector = {TOKENS};
	struct token token = {.left = hops};

	collector_id = run_spawn(run, &collector_behaviour, &collector);
	run_clock_start(run);
	for (uint64_t i = 0; i < TOKENS; i++) {
		token.random = i * 0x9E3779B97F4A7C15u + 1;
		/* The first steps of this generator are not random at all. */
		token.random = measure_work(16, token.random);
		token_send(&token);
	}
	run_join(run, collector_id);
	run_clock_stop(run);
	run->ops = hops * TOKENS;
}

static void random_run(struct run *run)
{
	uint64_t hops = run->n / TOKENS != 0 ? run->n / TOKENS : 1;
	rota_id *ids = places_make(run);

	targets = ids;
	n_targets = run->actors;
	AO_store(&xvisits, 0); /* No actor of this run has ended yet. */
	tokens_run(run, hops);
	places_stop(run, ids);
	run_metric(run, "actors", (double)run->actors);
	run_check(run, "visits", AO_load(&xvisits), run->ops);
	free(ids);
}

const struct scenario scenario_random = {
	.name = "random",
	.what = "1,024 tokens hop among 1 M actors at random (n hops)",
	.unit = "message",
	.n = 10000000,
	.quick_n = 2000000,
	.actors = 1000000,
	.flags = SCENARIO_MESSAGES | SCENARIO_SCALES,
	.run = random_run,
};
