/* SPDX-License-Identifier: MIT */
/*
 * here - an engine that a host's thread drives, and what that means for waits
 *
 * The thread that drove last is the one whose waiting calls drive: instead of
 * sleeping it runs what it waits for. All others sleep as ever.
 */
#ifndef ROTA_CORE_HERE_H
#define ROTA_CORE_HERE_H

#include "core/engine.h"

/*
 * The calling thread, outside a handler, is about to begin a wait on its record
 * in this engine (NULL: in none): does it drive meanwhile, or sleep?
 */
void here_choose(struct engine *engine, struct thread_record *record);

/* thread_block() as here_choose() has chosen. The site was stepped out of. */
void here_block(struct engine *engine, struct thread_record *record,
		struct wait_ticket ticket, uint64_t deadline_ns);

/*
 * engine_await_rest() by driving. @record: of a thread that has announced a call
 * to the engine, which is over afterwards: only the thread that drove last may.
 * NULL: by who stops the engine, and keeps it. False: not for us; nothing was
 * done.
 */
bool here_await_rest(struct engine *engine, struct thread_record *record,
		     int64_t within);

#endif
