/* SPDX-License-Identifier: MIT */
/*
 * receive - two actors play ping-pong, each in a loop with rota_receive()
 *
 * Beside pingpong this is what a stack that stands costs per message: leaving
 * it and taking it up again. Both may go on anywhere, so that with two workers
 * it also shows whether thieves leave them where they are. It lies if messages
 * are lost: each counts its own, and the sum must be n.
 */
#include <rota/process.h>

#include "perf/bench/scenarios.h"

enum { SERVE, BALL };

struct player {
	uint64_t n; /* balls to hit */
	rota_id *others;
	unsigned number;
	uint64_t *hits;
};

static int player_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct player *player = state;
	rota_id other = player->others[1 - player->number];
	struct rota_received ball;

	(void)payload;
	(void)length;
	if (tag == SERVE)
		bench_tell(other, BALL);
	for (uint64_t i = tag == BALL; i < player->n; i++) {
		int error;

		if (tag == BALL)
			bench_tell(other, BALL);
		error = rota_receive(NULL, ROTA_FOREVER, &ball);
		if (error)
			bench_fail_call("rota_receive", error);
		player->hits[player->number]++;
		if (tag == SERVE && i + 1 < player->n)
			bench_tell(other, BALL);
	}
	if (tag == BALL)
		bench_tell(other, BALL);
	return rota_self_stop(0);
}

static const struct rota_behaviour player_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "player",
	.state_size = sizeof(struct player),
	.handle = player_handle,
};

static void receive(struct run *run)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	struct player player = {.n = run->n / 2};
	rota_id ids[2];
	uint64_t hits[2] = {0};

	options.flags = ROTA_ANYWHERE;
	player.others = ids;
	player.hits = hits;
	run_clock_start(run);
	for (unsigned i = 0; i < 2; i++) {
		player.number = i;
		ids[i] = bench_spawn(run->engine, &player_behaviour, &player,
				     &options);
	}
	bench_tell(ids[0], SERVE);
	run_join(run, ids[0]);
	run_join(run, ids[1]);
	run_clock_stop(run);
	run->ops = 2 * player.n;
	/* The first ball finds the second player's handler, not its receive. */
	run_check(run, "hits", hits[0] + hits[1], 2 * player.n - 1);
}

const struct scenario scenario_receive = {
	.name = "receive",
	.what = "two actors play ping-pong in loops with rota_receive()",
	.unit = "message",
	.n = 5000000,
	.quick_n = 500000,
	.flags = SCENARIO_MESSAGES,
	.run = receive,
};
