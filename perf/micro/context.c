/* SPDX-License-Identifier: MIT */
/*
 * context - one switch between two stacks
 *
 * Two stacks hand the thread to and fro; each switch is an operation. Lies if
 * one side runs more often than the other: both count.
 */
#include <stdlib.h>

#include "perf/micro/micro.h"
#include "sched/context.h"

#define STACK_SIZE (64 * 1024)

struct pair {
	struct context main;
	struct context other;
	uint64_t n_other;
};

static void other_entry(void *arg)
{
	struct pair *pair = arg;

	for (;;) {
		pair->n_other++;
		context_switch(&pair->other, &pair->main);
	}
}

static void switches(struct micro_run *run)
{
	struct pair pair = {.n_other = 0};
	void *stack = malloc(STACK_SIZE);

	micro_check(stack != NULL);
	context_of_thread(&pair.main);
	context_make(&pair.other, stack, STACK_SIZE, other_entry, &pair);
	micro_start(run);
	for (uint64_t i = 0; i < run->n; i++)
		context_switch(&pair.main, &pair.other);
	micro_stop(run, 2 * run->n);
	micro_check(pair.n_other == run->n);
	context_forget(&pair.other);
	free(stack);
}

static _Noreturn void idle_entry(void *arg)
{
	(void)arg;
	micro_fail("a context that nobody switches to runs");
}

/* What a turn that waits pays beyond the switch: a stack made ready. */
static void make(struct micro_run *run)
{
	struct context context;
	void *stack = malloc(STACK_SIZE);

	micro_check(stack != NULL);
	micro_start(run);
	for (uint64_t i = 0; i < run->n; i++) {
		context_make(&context, stack, STACK_SIZE, idle_entry, NULL);
		context_forget(&context);
	}
	micro_stop(run, run->n);
	free(stack);
}

const struct micro micros_context[] = {
	{"context/switch", "one switch to another stack", 20000000, switches},
	{"context/make", "context_make() on a warm stack", 5000000, make},
	{NULL, NULL, 0, NULL},
};
