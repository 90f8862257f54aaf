/* SPDX-License-Identifier: MIT */
/*
 * call - a task runs at once, for a turn that needs what it does
 *
 * Problem:    who asks an idle actor of its own worker pays for a wait that
 *             nobody sees: the word that it begins and ends, the edge for those
 *             who look for circles, the alarm of its deadline, two queues.
 * Approach:   the caller's stack is left as in a wait, and the loop that stands
 *             on the spare runs the task that is called before anything else.
 *             As its turn ends the loop goes back to the caller. So a call may
 *             call again: callers are a list, the innermost first.
 *             Only what waits itself can hold up a caller for longer than it
 *             runs. That releases all callers, the outermost first, into the
 *             list of ended waits: each waits then, if it has to.
 * Rejected:   to run the task on the caller's own stack (a task that waits would
 *             hold up its caller until it has ended, whatever deadline that
 *             has); to begin the caller's wait for it as the task waits (it has
 *             a turn of its own in hand, which is half of what a wait needs).
 * Limits:     while the task computes its callers are in no wait: a deadline or
 *             a stop of theirs is noticed as it ends or waits. They could not go
 *             on before in any case, as they stand on the same thread.
 * Invariants: I1 a loop is between two tasks => it has no callers.
 *             I2 the callers' stacks are in no other list, and count as
 *             standing.
 * Orderings:  none: all is the owner's.
 */
#include "sched/call.h"

#include <errno.h>

#include "sched/stack.h"

/* So many calls in calls; one more waits. */
_Static_assert(WORKER_MAX_CALLERS >= 1, "there is a call");

static void set_callers(struct worker *worker, struct stack *first, AO_t n)
{
	worker->caller = first;
	/* Relaxed: a hint to others. */
	AO_store(&worker->xn_callers, n);
}

/* Whoever else is runnable here goes first, now and then. */
static bool is_its_turn(struct worker *worker)
{
	if (worker->countdown <= 1 || worker->pinned_first ||
	    /* Relaxed: the first a hint, the second our own word. */
	    AO_load(&worker->xinbox) != 0 || AO_load(&worker->xnext) != 0)
		return false;
	if (likely(worker_backlog(worker) == 0))
		return true;
	if (worker->direct_left <= 1)
		return false;
	worker->direct_left--;
	return true;
}

static bool has_spare(struct worker *worker)
{
	if (likely(worker->spare != NULL))
		return true;
	worker->spare = stack_get(&worker->crew->stacks, &worker->stacks);
	worker->spare_has_loop = false;
	return worker->spare != NULL;
}

bool worker_may_call(struct worker *worker, const struct task_class *class)
{
	return worker->may_call &&
	       worker_n_callers(worker) < WORKER_MAX_CALLERS &&
	       class_expected_ns(class) <= DIRECT_MAX_NS &&
	       is_its_turn(worker) && has_spare(worker);
}

void worker_call(struct worker *worker, struct task *task)
{
	struct stack *stack = worker->stack;

	worker->called = task;
	worker->countdown--;
	stack->next = worker->caller;
	set_callers(worker, stack, worker_n_callers(worker) + 1);
	worker_leave_standing(worker);
}

/* The task has ended, and did not wait: on with its caller. Returns as resume()
   does. */
static void go_back(struct worker *worker)
{
	struct stack *left = worker->stack, *stack = worker->caller;

	set_callers(worker, stack->next, worker_n_callers(worker) - 1);
	worker_retire(worker, left, true);
	worker->stack = stack;
	context_switch(&left->context, &stack->context);
	worker_step_in(worker);
	worker_put_retired(worker);
}

void worker_run_called(struct worker *worker)
{
	do {
		struct task *task = worker->called;

		worker->called = NULL;
		/* A turn like any other. Relaxed: a sign of life. */
		AO_store(&worker->xturns, AO_load(&worker->xturns) + 1);
		task->class->run(task, worker);
		if (!worker->caller)
			return; /* I1: it has waited, and the loop goes on */
		go_back(worker);
	} while (worker->called);
}

void worker_release_callers(struct worker *worker)
{
	struct stack *stack = worker->caller, *next, *outermost = NULL;

	/* What times the turns of the callers has timed more than them. */
	worker_count(&worker->xwaits, 1);
	for (; stack; stack = next) {
		next = stack->next;
		stack->next = outermost;
		outermost = stack;
	}
	set_callers(worker, NULL, 0);
	for (stack = outermost; stack; stack = next) {
		next = stack->next;
		worker_pin(worker, stack);
	}
}
