/* SPDX-License-Identifier: MIT */
/*
 * philosophers - they dine and never hang, each one function with a loop
 *
 * Five philosophers, five forks between them. Whoever takes the left fork first
 * and then waits for the right one starves with the others, as everybody knows.
 * Here a philosopher and a fork are actors in process style: the handler of
 * the first message is their whole life, and what comes later they receive
 * where they need it.
 *
 * A fork that lies on the table takes only `take`; one that is held takes only
 * `put`: other requests keep their places in its mailbox, so that the hungry get
 * it in their order, and nobody writes a queue. A philosopher asks for the fork
 * with the lower number first; so somebody always has both, and all eat.
 */
#include <stdio.h>

#include <rota/rota.h>

enum { SEATS = 5, MEALS = 200 };
enum { BEGIN, TAKE, TAKEN, PUT };

struct table {
	rota_id forks[SEATS];
	rota_id philosophers[SEATS];
};

static const struct table *table_of(void *state)
{
	return *(const struct table **)state;
}

/* ---- forks ---- */

static int fork_life(void *state, unsigned tag, void *payload, size_t length)
{
	const struct rota_tags only_take = rota_tags_of(TAKE);
	const struct rota_tags only_put = rota_tags_of(PUT);
	struct rota_received m;
	int error;

	(void)state;
	(void)tag;
	(void)payload;
	(void)length;
	for (;;) {
		error = rota_receive(&only_take, ROTA_FOREVER, &m);
		if (error)
			break;
		rota_send(m.from, TAKEN, NULL, 0);
		error = rota_receive(&only_put, ROTA_FOREVER, &m);
		if (error)
			break;
	}
	return 0; /* told to stop, or drained */
}

static const struct rota_behaviour fork_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "fork",
	.state_size = sizeof(struct table *),
	.handle = fork_life,
};

/* ---- philosophers ---- */

static int take_fork(rota_id fork)
{
	const struct rota_tags only_taken = rota_tags_of(TAKEN);
	struct rota_received m;
	int error = rota_send(fork, TAKE, NULL, 0);

	return error ? error : rota_receive(&only_taken, ROTA_FOREVER, &m);
}

static int philosopher_life(void *state, unsigned tag, void *payload,
			    size_t length)
{
	const struct table *table = table_of(state);
	int seat = *(int *)payload, meals, error = 0;
	int first = seat, second = (seat + 1) % SEATS;

	(void)tag;
	(void)length;
	if (first > second) {
		first = second;
		second = seat;
	}
	for (meals = 0; meals < MEALS && !error; meals++) {
		error = take_fork(table->forks[first]);
		if (!error)
			error = take_fork(table->forks[second]);
		if (error)
			break;
		rota_yield(); /* eats */
		rota_send(table->forks[second], PUT, NULL, 0);
		rota_send(table->forks[first], PUT, NULL, 0);
	}
	return error ? error : rota_self_stop(meals);
}

static const struct rota_behaviour philosopher_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "philosopher",
	.state_size = sizeof(struct table *),
	.handle = philosopher_life,
};

/* ---- the evening ---- */

int main(void)
{
	struct rota_spawn_options anywhere = ROTA_SPAWN_INIT;
	rota_engine *engine = rota_start(NULL);
	struct table table, *at = &table;
	struct rota_exit why;
	int seat, hungry = 0;

	if (!engine)
		return 1;
	anywhere.flags = ROTA_ANYWHERE;
	for (seat = 0; seat < SEATS; seat++) {
		table.forks[seat] =
			rota_spawn(engine, &fork_behaviour, &at, &anywhere);
		table.philosophers[seat] = rota_spawn(
			engine, &philosopher_behaviour, &at, &anywhere);
	}
	for (seat = 0; seat < SEATS; seat++) {
		rota_send(table.forks[seat], BEGIN, NULL, 0);
		rota_send(table.philosophers[seat], BEGIN, &seat, sizeof(seat));
	}
	for (seat = 0; seat < SEATS; seat++) {
		if (rota_join(table.philosophers[seat], ROTA_S(60), &why) !=
			    0 ||
		    why.cause != ROTA_EXIT_NORMAL || why.reason != MEALS)
			hungry++;
		else
			printf("philosopher %d has eaten %d times\n", seat,
			       why.reason);
	}
	return rota_stop(engine, ROTA_S(10)) != 0 || hungry != 0;
}
