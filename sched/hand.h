/* SPDX-License-Identifier: MIT */
/*
 * hand - takes away what a worker has in hand, while it is in user code
 *
 * The owner's half is in worker.h: worker_enter_hand() and its relatives.
 */
#ifndef ROTA_SCHED_HAND_H
#define ROTA_SCHED_HAND_H

#include <stdbool.h>

struct worker;

/* Prepare the process for it; false if the kernel cannot. */
bool hand_prepare(void);

/*
 * From a true return to hand_release() the owner stays in user code, or waits
 * as it comes back: what is its hand's alone is the caller's. That is a matter
 * of some hundred instructions, in which nothing waits or calls out. False: it
 * is in engine code right now, or somebody else is at it; nothing is to be
 * released. A system call: not under a lock that the owner could want.
 */
bool hand_seize(struct worker *worker);
void hand_release(struct worker *worker);

#endif
