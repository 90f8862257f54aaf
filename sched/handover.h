/* SPDX-License-Identifier: MIT */
/*
 * handover - gives away all tasks that a worker has
 */
#ifndef ROTA_SCHED_HANDOVER_H
#define ROTA_SCHED_HANDOVER_H

struct worker;

/*
 * Owner: all that is runnable here and has not begun goes to the shared list:
 * what would have run next, then the others in their order. Somebody is woken
 * for it. The number of tasks.
 */
unsigned handover(struct worker *worker);

#endif
