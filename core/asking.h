/* SPDX-License-Identifier: MIT */
/*
 * asking - the calls of those who ask
 */
#ifndef ROTA_CORE_ASKING_H
#define ROTA_CORE_ASKING_H

#include "core/ask.h"
#include "mailbox/closure.h"

/* A request, as its sender wants it. */
struct request {
	rota_id to;
	unsigned tag;
	const void *payload;
	size_t length;
	unsigned flags; /* enum message_flag */
	int64_t within;
	closure_run *run;  /* of a CLOSURE, whose capture is the payload */
	bool has_deadline; /* of its own, which within is the way to; else it
	                      has at most what the message in hand has left */
};

/* 0, -EINVAL, -EMSGSIZE. A flag in the tag becomes one of the message. */
int request_check(struct request *request);

/* Give it a deadline of its own, in place of a time. */
void request_until(struct request *request, rota_deadline deadline);

/* The message for it, complete; NULL: no memory. @from: who asks. */
struct message *request_pack(struct site *site, const struct request *request,
			     rota_id from, uint64_t token,
			     uint64_t deadline_ns);

/* Send it and wait for the answer: what rota_ask() returns. */
int request_call(struct request *request, void *reply, size_t reply_size);

/* The handler has returned: what it has started and not ended is cancelled. */
void asking_end_handler(struct local *local);

#endif
