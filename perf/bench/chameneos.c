/* SPDX-License-Identifier: MIT */
/*
 * chameneos - 100 creatures meet in one place, two at a time; n meetings
 *
 * One meeting is four messages: two creatures come to the mall, the mall
 * sends the second one's visit on to the first, the first tells the second its
 * new colour. The mall's mailbox (64) is smaller than the crowd: some of the
 * creatures wait for room. The number lies if meetings are counted once where
 * two creatures take part: the creatures' own counts must add up to 2 n.
 */
#include "perf/bench/scenarios.h"

enum { GO, VISIT, CHANGE, END, MEETINGS };

/* Three colours, 0 to 2. */
struct visit {
	rota_id creature;
	int64_t colour;
};

struct creature {
	rota_id mall;
	int64_t colour;
	int64_t meetings;
};

struct mall {
	uint64_t left;
	uint64_t creatures; /* that have not gone home */
	rota_id waiting;
	uint64_t sum;
	uint64_t *result;
};

static int64_t complement(int64_t a, int64_t b)
{
	return a == b ? a : 3 - a - b;
}

static void creature_visit(const struct creature *creature)
{
	struct visit visit = {rota_self(), creature->colour};

	bench_send(creature->mall, VISIT, &visit, sizeof(visit));
}

static void creature_meet(struct creature *creature, const struct visit *other)
{
	creature->colour = complement(creature->colour, other->colour);
	creature->meetings++;
	bench_tell_i64(other->creature, CHANGE, creature->colour);
	creature_visit(creature);
}

static int creature_handle(void *state, unsigned tag, void *payload,
			   size_t length)
{
	struct creature *creature = state;

	(void)length;
	switch (tag) {
	case VISIT:
		creature_meet(creature, payload);
		return 0;
	case CHANGE:
		creature->colour = *(const int64_t *)payload;
		creature->meetings++;
		creature_visit(creature);
		return 0;
	case GO:
		creature_visit(creature);
		return 0;
	case END:
		bench_tell_i64(creature->mall, MEETINGS, creature->meetings);
		return rota_self_stop(0);
	default:
		return ROTA_UNKNOWN;
	}
}

static void mall_visit(struct mall *mall, const struct visit *visit)
{
	if (mall->left == 0) {
		bench_tell(visit->creature, END);
		if (mall->waiting != ROTA_NONE)
			bench_tell(mall->waiting, END);
		mall->waiting = ROTA_NONE;
	} else if (mall->waiting == ROTA_NONE) {
		mall->waiting = visit->creature;
	} else {
		mall->left--;
		bench_send(mall->waiting, VISIT, visit, sizeof(*visit));
		mall->waiting = ROTA_NONE;
	}
}

static int mall_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct mall *mall = state;

	(void)length;
	if (tag == VISIT) {
		mall_visit(mall, payload);
		return 0;
	}
	mall->sum += (uint64_t) * (const int64_t *)payload;
	if (--mall->creatures > 0)
		return 0;
	*mall->result = mall->sum;
	return rota_self_stop(0);
}

static const struct rota_behaviour creature_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "creature",
	.state_size = sizeof(struct creature),
	.handle = creature_handle,
};

static const struct rota_behaviour mall_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "mall",
	.state_size = sizeof(struct mall),
	.handle = mall_handle,
};

static void chameneos(struct run *run)
{
	uint64_t sum = 0;
	struct mall mall = {
		.left = run->n, .creatures = run->actors, .result = &sum};
	struct creature creature = {0};

	run_clock_start(run);
	creature.mall = run_spawn(run, &mall_behaviour, &mall);
	for (uint64_t i = 0; i < run->actors; i++) {
		creature.colour = (int64_t)(i % 3);
		bench_tell(run_spawn(run, &creature_behaviour, &creature), GO);
	}
	run_join(run, creature.mall);
	run_clock_stop(run);
	run->ops = run->n;
	run_check(run, "meetings of all creatures", sum, 2 * run->n);
}

const struct scenario scenario_chameneos = {
	.name = "chameneos",
	.what = "100 creatures meet in one place (n meetings, 4 messages each)",
	.unit = "meeting",
	.n = 2000000,
	.quick_n = 200000,
	.actors = 100,
	.flags = SCENARIO_MESSAGES,
	.run = chameneos,
};
