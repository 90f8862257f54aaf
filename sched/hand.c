/* SPDX-License-Identifier: MIT */
/*
 * hand - takes away what a worker has in hand, while it is in user code
 *
 * Problem:    the run-next slot of a worker, the chain of its turn and the turn
 *             itself are nobody's business but the worker's, which must not pay
 *             for a fence to touch them. But a turn that does not end would
 *             keep them from all others.
 * Approach:   the owner marks where it is. xbusy is 1 while it is in engine code
 *             that touches what it has in hand: its loop, the machinery of a
 *             turn before and after the handler, and short sections of calls
 *             that a handler makes. It is 0 while user code runs: a handler, a
 *             task, a destructor, a callback. On its way from 0 to 1 it looks
 *             whether somebody is at its hand. Whoever wants to be says so,
 *             makes all threads execute a barrier, and looks whether the owner
 *             is busy: one of the two sees the other.
 *             The mark also says where a fault was taken: in user code or not.
 *
 *               owner                           who seizes
 *               1. xbusy = 1                    a. xrevoked = 1
 *               2. (compiler barrier)           b. membarrier()
 *               3. xrevoked? xbusy = 0, again   c. xbusy? give up
 *               4. the hand                     d. the hand
 *               5. xbusy = 0                    e. xrevoked = 0
 *
 *             b executes a barrier on every thread of the process that runs;
 *             the kernel has executed one on those that do not. Where it meets
 *             the owner before 1, the owner's 3 is behind it and sees a: it
 *             waits for e, or as long as the other is put aside by the kernel.
 *             Where it meets it behind 1, c sees 1, or a later 5. So 4 and d
 *             exclude each other. Without membarrier() there are no slot and no
 *             chain (has_hand), and no actor is given up. A worker that moved
 *             on just when it was taken for stuck finds its slot empty: the
 *             task is in its node's list, late, not lost.
 * Rejected:   a fence, or a read-modify-write, of the owner's (10 ns of the 20
 *             that a message may cost); a signal to the owner's thread (a
 *             guest in the process has no signal handlers).
 * Invariants: I1 xbusy == 0 => the owner touches nothing of its hand.
 *             I2 who seizes sets xrevoked, and alone clears it.
 *             I3 the owner changes its hand with xbusy == 1 only, and sections
 *                nest: the inner one leaves what it found.
 * Orderings:  [H1] worker_leave_hand() -> hand_seize(): who seizes sees what the
 *             owner has put there; hand_release() -> worker_enter_hand(): the
 *             owner sees what was taken. membarrier() stands for the fence
 *             between the owner's store of xbusy and its load of xrevoked; the
 *             compiler keeps them in order.
 *             [H2] hand_release() -> hand_seize(), of two that want it.
 */
#include "sched/hand.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sched/worker.h"

bool hand_prepare(void)
{
	return syscall(SYS_membarrier,
		       MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

bool hand_seize(struct worker *worker)
{
	/* [H2] pairs with hand_release(); who fails leaves it to who is there.
	   The barrier orders it before the load of xbusy. */
	if (!AO_compare_and_swap_acquire(&worker->xrevoked, 0, 1))
		return false;
	syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
	/* [H1] pairs with worker_leave_hand() */
	if (AO_load_acquire(&worker->xbusy) == 0)
		return true;
	hand_release(worker);
	return false;
}

void hand_release(struct worker *worker)
{
	/* [H1] pairs with worker_enter_hand(), [H2] with hand_seize() */
	AO_store_release(&worker->xrevoked, 0);
}
