/* SPDX-License-Identifier: MIT */
/*
 * queens - in how many ways can n queens be placed? Tasks, and no actors
 *
 * The squares of the first rows are tasks in groups, the rest is a plain
 * recursion. speedup is the processor time of the same search in plain calls,
 * measured before and after, over the time here; machine is what plain threads
 * reach (yardstick.h). The numbers lie if the plain search ran on a slower
 * processor (it is measured on both sides), or if parts of the tree are left
 * out (the number of ways is known).
 */
#include <rota/task.h>

#include "perf/bench/scenarios.h"
#include "perf/bench/yardstick.h"

#define MIN_N 8
#define MAX_N 16
#define FORK_ROWS 4

/* Bits are columns. */
struct board {
	uint32_t n;
	uint32_t row;
	uint32_t columns;
	uint32_t left;
	uint32_t right;
	uint64_t *n_ways;
};

static uint32_t free_squares(const struct board *b)
{
	return ~(b->columns | b->left | b->right) & ((1u << b->n) - 1);
}

static struct board place(const struct board *b, uint32_t square,
			  uint64_t *n_ways)
{
	return (struct board){b->n,
			      b->row + 1,
			      b->columns | square,
			      (b->left | square) << 1,
			      (b->right | square) >> 1,
			      n_ways};
}

static uint64_t count(const struct board *b)
{
	uint64_t n_ways = 0;

	if (b->row == b->n)
		return 1;
	for (uint32_t rest = free_squares(b); rest; rest &= rest - 1) {
		struct board next = place(b, rest & -rest, NULL);

		n_ways += count(&next);
	}
	return n_ways;
}

static int solve(void *argument)
{
	struct board *b = argument;
	struct rota_task_group group;
	uint64_t n_ways[MAX_N] = {0};
	unsigned i = 0;

	if (b->row >= FORK_ROWS) {
		*b->n_ways = count(b);
		return 0;
	}
	rota_task_group_init(&group, NULL);
	for (uint32_t rest = free_squares(b); rest; rest &= rest - 1) {
		struct board next = place(b, rest & -rest, &n_ways[i++]);
		int error = rota_task_group_submit(&group, solve, &next,
						   sizeof(next));

		if (error != 0)
			bench_fail_call("rota_task_group_submit", error);
	}
	run_wait(&group);
	for (*b->n_ways = 0; i > 0; i--)
		*b->n_ways += n_ways[i - 1];
	return 0;
}

static uint64_t plain(void *board, unsigned thread)
{
	(void)thread;
	return count(board);
}

/* From a board of 8 on. */
static const uint64_t known[] = {92,	352,	724,	 2680,	  14200,
				 73712, 365596, 2279184, 14772512};

static void queens(struct run *run)
{
	uint64_t n_ways = 0;
	struct board empty = {.n = (uint32_t)run->n, .n_ways = &n_ways};
	struct yardstick yardstick = {
		.work = plain, .argument = &empty, .share = 1};
	struct rota_stats stats = ROTA_STATS_INIT;

	if (run->n < MIN_N || run->n > MAX_N)
		bench_fail("--n is the size of the board, %d to %d", MIN_N,
			   MAX_N);
	yardstick_measure(&yardstick, run->workers);
	rota_stats(run->engine, ROTA_STATS_ALL, &stats);
	run->ops = -stats.tasks;
	run_clock_start(run);
	run_task(run, solve, &empty, sizeof(empty));
	run_clock_stop(run);
	run_quiesce(run);
	rota_stats(run->engine, ROTA_STATS_ALL, &stats);
	run->ops += stats.tasks;
	yardstick_measure(&yardstick, run->workers);
	yardstick_report(&yardstick, run);
	run_check(run, "ways", n_ways, known[run->n - MIN_N]);
}

static const struct budget budgets[] = {
	{.figure = "speedup", .limit = {0, 1.9}, .at_least = true},
	{.figure = "of_machine", .limit = {0, 0.95}, .at_least = true},
	{.figure = NULL},
};

const struct scenario scenario_queens = {
	.name = "queens",
	.what = "n queens on a board of n by n: a tree of tasks, no actors",
	.unit = "task",
	.n = 15,
	.quick_n = 14,
	.flags = SCENARIO_PARALLEL | SCENARIO_SCALES | SCENARIO_WARM_FULL,
	.budgets = budgets,
	.run = queens,
};
