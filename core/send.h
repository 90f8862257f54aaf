/* SPDX-License-Identifier: MIT */
/*
 * send - puts messages into mailboxes, and waits for room where it is wanted
 */
#ifndef ROTA_CORE_SEND_H
#define ROTA_CORE_SEND_H

#include "core/engine.h"
#include "mailbox/closure.h"

/* A send, as its caller wants it. */
struct parcel {
	rota_id to;
	unsigned tag;
	const void *head;
	size_t head_length;
	const void *tail;
	size_t tail_length;
	unsigned char flags; /* enum message_flag */
	int64_t within;
	bool has_deadline; /* its own; else what it inherits */
	uint64_t deadline_ns;
};

/* More is not copied under a shard's lock: it would cost others more than
   taking the lock once more costs us. */
#define SHORT_COPY 256

/* Why an id is not sent to: its life is over, or it accepts nothing more. */
int send_refusal(const struct actor *actor, rota_id to);

/* Does an actor that lives by that id let others go first? 0, -EPERM or why it
   is not sent to. */
int send_check_urgent(const struct actor *actor, rota_id to);

/* The deadline of the message in hand; CLOCK_NEVER: none. */
uint64_t send_inherited_ns(void);

/*
 * Put a complete message into a mailbox, waiting for room so long at most. 0;
 * or what rota_send_within() returns, and the message is freed.
 */
int send_push(struct site *site, struct actor *actor, rota_id to,
	      struct message *message, int64_t within);

/* Send one that was checked: what rota_send_within() returns. */
int send_parcel(const struct parcel *parcel);

/* Give it a deadline of its own, which ends its wait for room, too; false: that
   has passed. */
bool send_until(struct parcel *parcel, rota_deadline deadline);

/* ---- core/closure.c ---- */

/* rota_cast_bytes(), without any haste. */
int closure_post(rota_id to, closure_run *run, const void *capture,
		 size_t length, int64_t within);

#endif
