/* SPDX-License-Identifier: MIT */
/*
 * stand - stacks that nobody waits on: whoever has a reason goes on with them
 *
 * worker_block() leaves a stack until its wait word says that it has ended, and
 * goes on on the same thread. A stack that stands has no wait word; whoever was
 * told of it puts it on the worker that calls, whichever that is: it may move.
 */
#ifndef ROTA_SCHED_STAND_H
#define ROTA_SCHED_STAND_H

#include "sched/worker.h"

/*
 * Leave this stack. On another one, @publish is called: from the moment on at
 * which it tells anybody of the stack, who may then go on with it at once, on
 * another thread, it must not touch @context, which may lie on the stack. False:
 * nobody was told, the stack goes on right away. Needs worker_prepare_block().
 *
 * In the hand, and it returns in that of the worker where it goes on (see
 * worker.h). Returns on any thread: what the caller knows of workers, and of
 * thread-locals, may have changed. errno is that of before.
 */
void worker_stand(struct worker *worker,
		  bool (*publish)(struct worker *worker, void *context),
		  void *context);

/* In a task: leave it for good, and go on with a stack that stands. */
void worker_take_up(struct worker *worker, struct stack *stack)
	__attribute__((noreturn));

/* The same, but on the worker where it stood, between two of its tasks. */
void worker_return_stack(struct stack *stack);

/*
 * The end of a task that has moved: its stack still has frames of a loop of the
 * worker where it began. Leave it for good, with a loop of this one.
 */
void worker_leave_stack(struct worker *worker) __attribute__((noreturn));

/*
 * A wait that ends on whichever worker is told of its end, for turns whose frames
 * know the worker by what these calls return only. The class is that of a task
 * that stands for the turn in the queues: its run is worker_run_roamer.
 *
 * Before the wait of worker->stack begins, and after worker_prepare_block():
 */
void worker_prepare_roaming(struct worker *worker, struct task_class *class);

/* worker_block() for such a wait; the worker that it has come to. */
struct worker *worker_block_roaming(struct worker *worker,
				    struct wait_ticket ticket,
				    uint64_t deadline_ns);

void worker_run_roamer(struct task *task, struct worker *worker);

/* The calling worker, for code that may have moved since it last asked. */
struct worker *worker_again(void);

#endif
