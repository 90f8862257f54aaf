/* SPDX-License-Identifier: MIT */
/*
 * monitor - a thread that watches the workers while any of them is awake
 *
 * It ticks 100 us after a wake, backing off to 0.75 ms, and sleeps without a tick
 * when no worker is awake, but for what crew_options.doze does. A worker whose
 * turn has not ended for a tick is asked to end it, and its ring is offered to all
 * at no price.
 */
#ifndef ROTA_SCHED_MONITOR_H
#define ROTA_SCHED_MONITOR_H

#include <stdbool.h>

struct crew;
struct monitor;

/* NULL if memory or threads ran out. */
struct monitor *monitor_start(struct crew *crew);

/* End the thread; monitor_wake() does nothing from now on. NULL is allowed. */
void monitor_stop(struct monitor *monitor);
void monitor_free(struct monitor *monitor);

/* The first worker has woken up, or crew_options.doze has to be asked again. Any
   thread. */
void monitor_wake(struct monitor *monitor);

#endif
