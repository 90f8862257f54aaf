/* SPDX-License-Identifier: MIT */
/*
 * asleep - does the kernel have a thread asleep?
 */
#ifndef ROTA_SCHED_ASLEEP_H
#define ROTA_SCHED_ASLEEP_H

#include <stdbool.h>

/* What asleep_is() takes for the calling thread. */
long asleep_self(void);

/*
 * Does a thread of this process wait for something but a processor? Reads a
 * file of some hundred bytes, which takes some microseconds; false where there
 * is none (no /proc, no such thread any more).
 */
bool asleep_is(long thread);

#endif
