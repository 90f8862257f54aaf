/* SPDX-License-Identifier: MIT */
/*
 * stand - stacks that nobody waits on: whoever has a reason goes on with them
 *
 * Problem:    a stack may be gone on with as soon as somebody else knows of it,
 *             but it must be left before that: two threads on one stack.
 * Approach:   it is left first, and told of by what runs next, on a fresh stack
 *             of the worker's. The worker that takes it up leaves its own stack
 *             (on which only a loop stands, within the task that does this)
 *             and keeps it as its spare. What came before on the stack that
 *             moved is a loop of the first worker: a task that has moved does
 *             not return into that, but ends with worker_leave_stack().
 * Rejected:   telling with the switch itself (a word that the switch writes
 *             last, on which a taker spins: it would hold up a whole worker
 *             while the thread that switches is put aside); a loop that is
 *             reloaded after each task (all tasks would pay for it).
 * Invariants: I1 a worker that runs on a stack it took up, or resumed, has a
 *             spare: worker_leave_stack() cannot fail.
 * Orderings:  what the stack did is seen by who takes it up through whatever
 *             tells of it.
 */
#include "sched/stand.h"

#include <errno.h>

#include "sched/steal.h"

/* The compiler must not know that nothing happens in between: it would keep
   the address of a thread-local across it. */
__attribute__((noinline)) struct worker *worker_again(void)
{
	__asm__ volatile("" ::: "memory");
	return worker_current;
}

static __attribute__((noinline)) void set_errno(int value)
{
	__asm__ volatile("" ::: "memory");
	errno = value;
}

void worker_stand(struct worker *worker,
		  bool (*publish)(struct worker *worker, void *context),
		  void *context)
{
	struct stack *stack = worker->stack;
	struct stack *fresh = worker->spare;

	stack->saved_errno = errno;
	worker->spare = NULL;
	worker->stack = fresh;
	worker->leaving = (struct departure){stack, publish, context};
	worker_count(&worker->xwaits, 1);
	context_make(&fresh->context, fresh->low, fresh->size, worker->loop,
		     worker);
	context_switch(&stack->context, &fresh->context);
	/* Perhaps on another thread. */
	worker_put_retired(worker_again());
	set_errno(stack->saved_errno);
}

void worker_publish(struct worker *worker)
{
	struct departure leaving = worker->leaving;

	worker->leaving.publish = NULL;
	if (!leaving.publish(worker, leaving.context))
		worker_take_up(worker, leaving.stack);
}

void worker_take_up(struct worker *worker, struct stack *stack)
{
	struct stack *left = worker->stack;

	if (worker->is_searching)
		steal_end_search(worker);
	stack->holder = worker;
	worker_retire(worker, left);
	worker->stack = stack;
	context_switch(&left->context, &stack->context);
	__builtin_unreachable();
}

void worker_return_stack(struct stack *stack)
{
	worker_wake_stack(&stack->wait);
}

void worker_leave_stack(struct worker *worker)
{
	struct stack *left = worker->stack;
	struct stack *fresh = worker->spare;

	worker->spare = NULL;
	worker->retired = left;
	worker->stack = fresh;
	context_make(&fresh->context, fresh->low, fresh->size, worker->loop,
		     worker);
	context_switch(&left->context, &fresh->context);
	__builtin_unreachable();
}
