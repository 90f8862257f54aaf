/* SPDX-License-Identifier: MIT */
/*
 * waiters - turns and threads that wait at a mailbox, in their order
 *
 * A waiter lies on the stack that waits. All here needs the lock that guards
 * the list, but waiters_finish().
 */
#ifndef ROTA_MAILBOX_WAITERS_H
#define ROTA_MAILBOX_WAITERS_H

#include <stdbool.h>
#include <atomic_ops.h>

#include "mailbox/message.h"
#include "sched/wait.h"

struct waiter {
	struct waiter *next;
	struct waiter **prev; /* NULL while in no list */
	struct wait_ticket ticket;
	struct message *message; /* to be linked by the grant, or NULL */
};

struct waiters {
	struct waiter *first;
	struct waiter **last; /* where the next one is linked */
};

void waiters_init(struct waiters *waiters);
void waiters_append(struct waiters *waiters, struct waiter *waiter);
void waiters_remove(struct waiters *waiters, struct waiter *waiter);

/*
 * Let in the messages of as many waiters as there is room for, in order, and
 * clear WAITERS if none is left. Returns those whose wait was won, as a chain
 * for waiters_finish().
 */
struct waiter *waiters_grant(struct waiters *waiters, AO_t *xmail,
			     unsigned capacity);

/* Empty the list; the chain of those whose wait was won. */
struct waiter *waiters_claim_all(struct waiters *waiters);

/* End the waits of a chain with this result. Without the lock. */
void waiters_finish(struct waiter *chain, int result);

#endif
