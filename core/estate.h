/* SPDX-License-Identifier: MIT */
/*
 * estate - what became of asks whose engine is gone
 *
 * A thread may start an ask, and look for its answer when the engine has been
 * stopped. The cell goes with the engine; what it came to stays here, at the
 * engine's entry of the table, until the thread takes it, or until the number
 * goes to another engine.
 */
#ifndef ROTA_CORE_ESTATE_H
#define ROTA_CORE_ESTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct engine;
struct rota_engine;

/* One ask, and how it ended. */
struct bequest {
	uint64_t token;
	int outcome;
	unsigned progress; /* enum rota_ask_progress */
	size_t length;	   /* of the reply */
	void *reply;	   /* from malloc(), or NULL */
	bool is_taken;	   /* and with it the reply */
};

/* ---- who stops the engine ---- */

/* Before it is unpublished: who looks from then on waits for the next. */
void estate_open(struct rota_engine *handle);

/* For each cell, when nobody is in the engine, nor waits in it from outside: what
   a thread has started and not ended is moved here. */
void estate_add(struct engine *engine, uint32_t number);

/* That was all. */
void estate_settle(struct rota_engine *handle);

/* A number goes to a new engine. */
void estate_drop(struct rota_engine *handle);

/* ---- who has started the asks ---- */

/*
 * An engine is not there any more: wait until its estate is. 0; -ETIMEDOUT;
 * -EDEADLK: in a callback, for which the stop may be waiting.
 */
int estate_await(unsigned number, uint64_t deadline_ns);

enum estate_take {
	ESTATE_TAKEN,	/* *bequest is the caller's, with its reply */
	ESTATE_UNKNOWN, /* it is not known: there was no memory to keep it, or
	                   estate_await() has failed */
	ESTATE_NONE	/* it was taken before, or there was no such ask */
};

enum estate_take estate_take(uint64_t token, struct bequest *bequest);

#endif
