/* SPDX-License-Identifier: MIT */
/* inject - a shared list of runnable tasks */
#include "sched/inject.h"

#include <stddef.h>

#include "sched/spin.h"

void inject_init(struct inject *inject)
{
	inject->xlock = AO_TS_INITIALIZER;
	inject->first = inject->last = NULL;
	inject->xlength = 0;
}

void inject_push(struct inject *inject, struct task *first, struct task *last,
		 unsigned n_tasks)
{
	last->next = NULL;
	spin_lock(&inject->xlock);
	if (inject->last)
		inject->last->next = first;
	else
		inject->first = first;
	inject->last = last;
	/* Relaxed: only changed under the lock. */
	AO_store(&inject->xlength, AO_load(&inject->xlength) + n_tasks);
	spin_unlock(&inject->xlock);
}

unsigned inject_take(struct inject *inject, unsigned most, struct task **first)
{
	struct task *last = NULL;
	unsigned n = 0;

	*first = NULL;
	if (inject_length(inject) == 0)
		return 0;
	spin_lock(&inject->xlock);
	if (most > 0)
		*first = inject->first;
	while (n < most && inject->first) {
		last = inject->first;
		inject->first = last->next;
		n++;
	}
	if (!inject->first)
		inject->last = NULL;
	if (last)
		last->next = NULL;
	/* Relaxed: only changed under the lock. */
	AO_store(&inject->xlength, AO_load(&inject->xlength) - n);
	spin_unlock(&inject->xlock);
	return n;
}
