/* SPDX-License-Identifier: MIT */
/*
 * big - 120 actors ping each other at random; each sends n pings
 *
 * Each actor has one ping under way; whoever gets one answers with a pong, and
 * a pong makes its receiver choose the next target. All mailboxes may be full
 * at once and the actors wait for each other in circles, so that with a
 * capacity of 1 this also shows that waiting for room cannot hang. The number
 * lies if targets are not random (then caches and pairs help; every actor has
 * a generator of its own) or if pings are lost: pings and pongs of all actors
 * must each add up to 120 n.
 *
 * An actor never pings itself: a send to one's own full mailbox is refused.
 */
#include <stdlib.h>

#include "perf/bench/scenarios.h"

enum { GO, PING, PONG, END, DONE, RESULT };

struct big {
	rota_id *ids;
	uint64_t n_actors;
	uint64_t pings; /* written by the collector, read after its end */
	uint64_t pongs;
};

struct player {
	const struct big *big;
	rota_id collector;
	uint64_t random;
	uint64_t index;
	uint64_t left;
	uint64_t pings;
	uint64_t pongs;
};

struct collector {
	struct big *big;
	uint64_t playing;
	uint64_t missing;
};

struct result {
	uint64_t pings;
	uint64_t pongs;
};

static void player_ping(struct player *player)
{
	const struct big *big = player->big;
	uint64_t target = measure_random(&player->random) % (big->n_actors - 1);

	if (target >= player->index)
		target++;
	bench_tell(big->ids[target], PING);
}

static int player_end(const struct player *player)
{
	struct result result = {player->pings, player->pongs};

	bench_send(player->collector, RESULT, &result, sizeof(result));
	return rota_self_stop(0);
}

static int player_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct player *player = state;

	(void)payload;
	(void)length;
	switch (tag) {
	case PING:
		player->pings++;
		bench_tell(rota_sender(), PONG);
		return 0;
	case PONG:
		if (++player->pongs == player->left)
			bench_tell(player->collector, DONE);
		else
			player_ping(player);
		return 0;
	case GO:
		player_ping(player);
		return 0;
	case END:
		return player_end(player);
	default:
		return ROTA_UNKNOWN;
	}
}

static int collector_handle(void *state, unsigned tag, void *payload,
			    size_t length)
{
	struct collector *collector = state;
	struct big *big = collector->big;
	const struct result *result = payload;

	(void)length;
	if (tag == DONE) {
		if (--collector->playing == 0)
			for (uint64_t i = 0; i < big->n_actors; i++)
				bench_tell(big->ids[i], END);
		return 0;
	}
	big->pings += result->pings;
	big->pongs += result->pongs;
	return --collector->missing == 0 ? rota_self_stop(0) : 0;
}

static const struct rota_behaviour player_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "player",
	.state_size = sizeof(struct player),
	.handle = player_handle,
};

static const struct rota_behaviour collector_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "collector",
	.state_size = sizeof(struct collector),
	.handle = collector_handle,
};

void big_run(struct run *run)
{
	uint64_t k = run->actors;
	struct big big = {.n_actors = k};
	struct collector collector = {&big, k, k};
	struct player player = {.big = &big, .left = run->n};

	big.ids = bench_alloc(k, sizeof(*big.ids));
	run_clock_start(run);
	player.collector = run_spawn(run, &collector_behaviour, &collector);
	for (; player.index < k; player.index++) {
		player.random = player.index * 0x9E3779B97F4A7C15u + 1;
		big.ids[player.index] =
			run_spawn(run, &player_behaviour, &player);
	}
	for (uint64_t i = 0; i < k; i++)
		bench_tell(big.ids[i], GO);
	run_join(run, player.collector);
	run_clock_stop(run);
	run->ops = 2 * run->n * k;
	run_check(run, "pings", big.pings, run->n * k);
	run_check(run, "pongs", big.pongs, run->n * k);
	run_quiesce(run);
	free(big.ids);
}

static const struct budget budgets[] = {
	{.figure = "ratio", .limit = {2.9, 3}, .reach = {0, 2}},
	{.figure = NULL},
};

const struct scenario scenario_big = {
	.name = "big",
	.what = "120 actors ping each other at random (n pings each)",
	.unit = "message",
	.n = 20000,
	.quick_n = 3000,
	.actors = 120,
	.flags = SCENARIO_MESSAGES | SCENARIO_SCALES,
	.budgets = budgets,
	.run = big_run,
};
