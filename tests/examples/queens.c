/* SPDX-License-Identifier: MIT */
/*
 * queens - how many ways are there to place n queens, in parallel?
 *
 *	queens [n [workers]]
 *
 * The upper rows of the search tree are tasks, one per square that is free;
 * below that a plain recursion is cheaper. No actor is needed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <rota/rota.h>

#define FORK_ROWS 4 /* rows of the board whose squares are tasks */
#define MAX_N 16

/* Bits are columns; those that the queens above cover. */
struct board {
	unsigned n;
	unsigned row;
	unsigned columns;
	unsigned left;	/* going down and left */
	unsigned right; /* going down and right */
	unsigned long *n_ways;
};

static unsigned free_squares(const struct board *b)
{
	return ~(b->columns | b->left | b->right) & ((1u << b->n) - 1);
}

static struct board place(const struct board *b, unsigned square,
			  unsigned long *n_ways)
{
	return (struct board){b->n,
			      b->row + 1,
			      b->columns | square,
			      (b->left | square) << 1,
			      (b->right | square) >> 1,
			      n_ways};
}

static unsigned long count(const struct board *b)
{
	unsigned long n_ways = 0;
	unsigned squares;

	if (b->row == b->n)
		return 1;
	for (squares = free_squares(b); squares; squares &= squares - 1) {
		struct board next = place(b, squares & -squares, NULL);

		n_ways += count(&next);
	}
	return n_ways;
}

/*
 * Until all have ended: they write to the caller's stack, so it may not return
 * before, whatever happens. The first failure of a task is the group's.
 */
static int await_all(struct rota_task_group *group)
{
	int failure = 0;
	int error = rota_task_group_wait(group, ROTA_FOREVER, &failure);

	if (error == -ENOMEM) {
		/* No stack to wait with: then nothing more is to start. */
		rota_task_group_cancel(group);
		rota_task_group_wait(group, ROTA_FOREVER, NULL);
	}
	return error ? error : failure;
}

/* A task: its result goes where its parent waits for it. */
static int solve(void *argument)
{
	struct board *b = argument;
	unsigned long n_ways[MAX_N] = {0};
	struct rota_task_group group;
	unsigned squares, i = 0;
	int error = 0, wait;

	if (b->row == b->n || b->row >= FORK_ROWS) {
		*b->n_ways = count(b);
		return 0;
	}
	error = rota_task_group_init(&group, NULL);
	if (error)
		return error;
	for (squares = free_squares(b); squares && !error;
	     squares &= squares - 1) {
		struct board next = place(b, squares & -squares, &n_ways[i++]);

		error = rota_task_group_submit(&group, solve, &next,
					       sizeof(next));
	}
	wait = await_all(&group); /* also after an error */
	for (*b->n_ways = 0; i > 0; i--)
		*b->n_ways += n_ways[i - 1];
	return error ? error : wait;
}

static const unsigned long known[MAX_N + 1] = {
	1,   1,	  0,	0,     2,     10,     4,       40,	92,
	352, 724, 2680, 14200, 73712, 365596, 2279184, 14772512};

int main(int argc, char **argv)
{
	unsigned n = argc > 1 ? (unsigned)atoi(argv[1]) : 9;
	struct rota_config config = ROTA_CONFIG_INIT;
	struct rota_task_group group;
	unsigned long n_ways = 0;
	struct board empty = {.n = n, .n_ways = &n_ways};
	rota_engine *engine;
	int error;

	config.workers = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
	engine = rota_start(&config);
	if (!engine || n > MAX_N)
		return 1;
	error = rota_task_group_init(&group, engine);
	if (!error)
		error = rota_task_group_submit(&group, solve, &empty,
					       sizeof(empty));
	if (!error)
		error = await_all(&group);
	if (error) {
		fprintf(stderr, "queens: %s\n", rota_strerror(error));
		return 1;
	}
	printf("%u queens: %lu ways\n", n, n_ways);
	return rota_stop(engine, ROTA_S(10)) != 0 || n_ways != known[n];
}
