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
 *             A turn that roams has a wait word too: that its stack has been
 *             left and that its wait has ended are told by one count, and who
 *             comes second goes on with it, or has it queued where it is.
 * Rejected:   telling with the switch itself (a word that the switch writes
 *             last, on which a taker spins: it would hold up a whole worker
 *             while the thread that switches is put aside); a loop that is
 *             reloaded after each task (all tasks would pay for it).
 * Invariants: I1 a worker that runs on a stack it took up, or resumed, has a
 *             spare: worker_leave_stack() cannot fail. But for a stack on which
 *             a wait has taken one beyond the limit, and has given it back:
 *             it had no spare before, so it had not moved, and has not since.
 * Orderings:  what the stack did is seen by who takes it up through whatever
 *             tells of it.
 *             [S5] leave_roaming() <-> wake_roamer(): who comes second sees
 *             what the first one did; and a queue tells who runs the roamer.
 */
#include "sched/stand.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

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

	stack->saved_errno = errno;
	worker->leaving = (struct departure){stack, publish, context};
	worker_count(&worker->xwaits, 1);
	context_switch(&stack->context, &worker_use_spare(worker)->context);
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
	worker_retire(worker, left, false);
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

	worker->retired = left;
	context_switch(&left->context, &worker_use_spare(worker)->context);
	__builtin_unreachable();
}

/* ---- waits that end anywhere ---- */

/* A stretch between two waits is timed in one turn of so many. */
#define STRETCH_STRIDE 64

static struct stack *stack_of_roamer(struct task *task)
{
	return (struct stack *)((char *)task - offsetof(struct stack, roamer));
}

/* The stack was left, its wait has ended: have both happened now? */
static bool is_second(struct stack *stack)
{
	/* [S5] pairs with itself */
	return AO_fetch_and_add1_full(&stack->xmet) != 0;
}

static bool leave_roaming(struct worker *worker, void *context)
{
	(void)worker;
	return !is_second(context);
}

/* From a thread that the crew would not wait for. */
static void inject_roamer(struct crew *crew, struct task *roamer)
{
	/* [S3] pairs with crew_fini(): see worker_wake_stack() */
	AO_fetch_and_add1_full(&crew->xoutsiders);
	crew_inject(crew, roamer);
	/* [S3] pairs with crew_fini() */
	AO_fetch_and_sub1_full(&crew->xoutsiders);
}

/* wait.wake of a turn that roams. */
static void wake_roamer(struct wait *wait)
{
	struct stack *stack =
		(struct stack *)((char *)wait - offsetof(struct stack, wait));
	struct worker *worker = worker_current;
	struct crew *crew;

	if (!is_second(stack))
		return;
	crew = ((struct worker *)stack->holder)->crew;
	if (worker && worker->crew == crew)
		worker_push_any(worker, &stack->roamer);
	else
		inject_roamer(crew, &stack->roamer);
}

void worker_prepare_roaming(struct worker *worker, struct task_class *class)
{
	struct stack *stack = worker->stack;

	/* Relaxed, both: the wait's beginning publishes. */
	AO_store(&stack->roamer.xclass, (AO_t) class);
	AO_store(&stack->xmet, 0);
	stack->wait.wake = wake_roamer;
}

/* Steps of a loop that took a turn up are not timed by the loop. */
static void note_stretch(struct worker *worker, struct task_class *class)
{
	uint64_t ticks;

	/* Relaxed: the owner's own. */
	if (worker->stretch_turn != AO_load(&worker->xturns))
		return;
	worker->stretch_turn = 0;
	ticks = clock_ticks() - worker->stretch_since;
	worker_note_time(class, ticks * 1024 / clock_ticks_per_1024ns() + 1);
}

struct worker *worker_block_roaming(struct worker *worker,
				    struct wait_ticket ticket,
				    uint64_t deadline_ns)
{
	struct clockwork *clockwork = &worker->clockwork;
	struct wait_alarm alarm;

	note_stretch(worker, worker->stack->roamer.class);
	if (deadline_ns != CLOCK_NEVER) {
		memset(&alarm, 0, sizeof(alarm));
		alarm.ticket = ticket;
		worker_set_alarm(worker, &alarm.alarm, deadline_ns);
	}
	worker_stand(worker, leave_roaming, worker->stack);
	if (deadline_ns != CLOCK_NEVER)
		clockwork_clear(clockwork, &alarm.alarm);
	return worker_again();
}

void worker_run_roamer(struct task *task, struct worker *worker)
{
	/* Relaxed: the owner's own. */
	AO_t turns = AO_load(&worker->xturns);

	/* Relaxed: an estimate. */
	if (AO_load(&task->class->xmean_ns) == 0 ||
	    turns % STRETCH_STRIDE == 0) {
		worker->stretch_turn = turns;
		worker->stretch_since = clock_ticks();
	}
	worker_take_up(worker, stack_of_roamer(task));
}
