/* SPDX-License-Identifier: MIT */
/*
 * pingpong - two actors of one type play; each message names who serves next
 *
 * usage: pingpong [HITS]
 *
 * The ball is a message of the protocol whose ids it carries, so the id type
 * is declared ahead of the calls.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <rota/rota.h>

ROTA_PROTOCOL_ID(player);

struct player_ball {
	player_id from;
	long left; /* hits to go */
};

#define PLAYER(M, p) M(p, SEND, ball, struct player_ball)
ROTA_PROTOCOL_CALLS(player, PLAYER);

struct player {
	long hits;
};

static int player_on_ball(struct player *self, const struct player_ball *m)
{
	struct player_ball back = {player_of(rota_self()), m->left - 1};
	int error;

	self->hits++;
	if (m->left == 0)
		return rota_self_stop((int)self->hits);
	error = player_ball(m->from, back);
	if (error == 0 && back.left <= 0)
		return rota_self_stop((int)self->hits);
	return error;
}

ROTA_BEHAVIOUR(player, player, PLAYER, NULL);

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
	const long hits = argc > 1 ? atol(argv[1]) : 200000;
	rota_engine *engine = rota_start(NULL);
	struct rota_exit a, b;
	player_id alice, bob;
	double start;
	int error;

	if (engine == NULL || hits < 1) {
		perror("pingpong");
		return 2;
	}
	alice = player_spawn(engine, NULL, NULL);
	bob = player_spawn(engine, NULL, NULL);
	start = seconds();
	error = player_ball(alice, (struct player_ball){bob, hits});
	if (error == 0)
		error = rota_join(alice.id, ROTA_S(60), &a);
	if (error == 0)
		error = rota_join(bob.id, ROTA_S(60), &b);
	if (error != 0) {
		fprintf(stderr, "pingpong: %s\n", rota_strerror(error));
		return 1;
	}
	printf("%016" PRIx64 " hit %d times, %016" PRIx64
	       " %d times: %.0f ns per message\n",
	       alice.id, a.reason, bob.id, b.reason,
	       (seconds() - start) * 1e9 / (double)(hits + 1));
	return rota_stop(engine, ROTA_S(10)) != 0 ||
	       a.reason + b.reason != hits + 1;
}
