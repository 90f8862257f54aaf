/* SPDX-License-Identifier: MIT */
/*
 * stack - getting and putting back a stack of the pool
 *
 * Lies if the stack is never touched: a cold one costs a page fault where its
 * first frame comes to lie. So each operation writes its highest word.
 */
#include "perf/micro/micro.h"
#include "sched/stack.h"

#define STACK_SIZE (256 * 1024)
#define BURST 256

static void touch(struct stack *stack)
{
	volatile char *top = stack->low + stack->size - 64;

	*top = 1;
}

static void cached(struct micro_run *run)
{
	struct stack_pool pool;
	struct stack_cache cache = {0};

	micro_check(stack_pool_init(&pool, STACK_SIZE, STACK_GUARD_AUTO) == 0);
	micro_start(run);
	for (uint64_t i = 0; i < run->n; i++) {
		struct stack *stack = stack_get(&pool, &cache);

		micro_check(stack != NULL);
		touch(stack);
		stack_put(&pool, &cache, stack);
	}
	micro_stop(run, run->n);
	stack_cache_flush(&pool, &cache);
	stack_pool_fini(&pool);
}

/* Many at once, through the pool. */
static void burst(struct micro_run *run)
{
	struct stack *stacks[BURST];
	struct stack_pool pool;
	struct stack_cache cache = {0};
	uint64_t rounds = run->n / BURST + 1;

	micro_check(stack_pool_init(&pool, STACK_SIZE, STACK_GUARD_AUTO) == 0);
	micro_start(run);
	for (uint64_t r = 0; r < rounds; r++) {
		for (unsigned i = 0; i < BURST; i++) {
			stacks[i] = stack_get(&pool, &cache);
			micro_check(stacks[i] != NULL);
			touch(stacks[i]);
		}
		for (unsigned i = 0; i < BURST; i++)
			stack_put(&pool, &cache, stacks[i]);
	}
	micro_stop(run, rounds * BURST);
	stack_cache_flush(&pool, &cache);
	stack_pool_fini(&pool);
}

const struct micro micros_stack[] = {
	{"stack/cached", "stack_get(), first touch, stack_put()", 10000000,
	 cached},
	{"stack/burst", "the same, 256 at a time", 500000, burst},
	{NULL, NULL, 0, NULL},
};
