/* SPDX-License-Identifier: MIT */
/*
 * steal - takes tasks from other workers where moving them pays
 */
#ifndef ROTA_SCHED_STEAL_H
#define ROTA_SCHED_STEAL_H

#include <stdbool.h>

struct task;
struct worker;

/* A task of somebody else's, and more of them in our own ring; or NULL. */
struct task *steal_any(struct worker *thief);

/* Run it, and learn from how long it took what moving costs here. */
void steal_run(struct worker *thief, struct task *task);

/* We have run out of work: what did moving tasks here cost, or bring? */
void steal_end_stay(struct worker *thief);

/* We found work: if we were the last to look for it, wake the next. */
void steal_end_search(struct worker *worker);

/* Is there anything that steal_any() would take? */
bool steal_sees_work(struct worker *thief);

/* Would a sleeper that is woken now do better than the owner alone? */
bool steal_is_worth_waking(struct worker *owner);

#endif
