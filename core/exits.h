/* SPDX-License-Identifier: MIT */
/*
 * exits - remembers how actors ended, once their slots serve others
 *
 * Only ends worth remembering come here (a normal end with reason 0 is what
 * everyone assumes). Keeps the newest EXITS_KEPT.
 */
#ifndef ROTA_CORE_EXITS_H
#define ROTA_CORE_EXITS_H

#include <stdbool.h>
#include <stdint.h>
#include <atomic_ops.h>

#include <rota/actor.h>

#define EXITS_KEPT (1u << 20)

struct exits {
	AO_TS_t xlock;		  /* everything below */
	struct exit_record *ring; /* mapped lazily; touched as it fills */
	uint32_t *buckets;	  /* newest of each bucket + 1 */
	uint32_t n_recorded;	  /* ever, modulo 2^32 */
	bool has_wrapped;
};

int exits_init(struct exits *exits);
void exits_fini(struct exits *exits);
void exits_record(struct exits *exits, rota_id id, int cause, int reason);

/*
 * How @id ended: as recorded; ROTA_EXIT_NORMAL if it was not worth a record;
 * ROTA_EXIT_FORGOTTEN if its record may have been dropped.
 */
void exits_find(struct exits *exits, rota_id id, struct rota_exit *why);

#endif
