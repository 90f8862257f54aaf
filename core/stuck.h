/* SPDX-License-Identifier: MIT */
/*
 * stuck - reports turns that do not end
 */
#ifndef ROTA_CORE_STUCK_H
#define ROTA_CORE_STUCK_H

#include <stdint.h>
#include <atomic_ops.h>

struct engine;

/* Of a worker. */
struct stuck {
	uint64_t since_ns; /* of the turn that this is about */
	uint64_t next_ns;  /* it is reported when it has lasted so long */
	AO_t xn_reported;  /* turns; written by the monitor, read by anyone as a
	                      statistic, relaxed */
};

/* After each watch_tick(), on the monitor's thread; no lock is held. Where a host
   drives: on its thread, under the lock on ticks. */
void stuck_tick(struct engine *engine);

/* How many turns of this worker were reported. */
uint64_t stuck_reported(const struct engine *engine, unsigned worker);

#endif
