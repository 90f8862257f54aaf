/* SPDX-License-Identifier: MIT */
/*
 * blocking - a handler or a task says in advance that it will block
 *
 * Problem:    a system call that blocks takes the worker's thread with it, and
 *             all that is queued there has to wait until the monitor finds out.
 * Approach:   the region's beginning does at once what the monitor would do a
 *             little later: what the turn has sent goes out, what is queued
 *             here goes to the others, and somebody takes the worker's place.
 *             While the region lasts nothing is kept in hand, and the ring is
 *             open to thieves at no price, so what the handler sends from
 *             inside is had by others at once.
 *             A turn that waits in a region (for room, say) gives up its
 *             worker, which is then not lost at all: the region pauses.
 *             A region that is left open is closed where the turn comes back.
 *             That costs no look of its own: the mark is one of those for which
 *             a turn leaves the short way.
 * Rejected:   refusing to wait in a region (a send would then fail where it
 *             would have to wait, and work in tests); a thread pool of our own
 *             for blocking calls (the handler's stack would have to move).
 */
#include "core/blocking.h"

#include <errno.h>

#include <rota/actor.h>

#include "core/run.h"
#include "sched/handover.h"

/* Others may take all that is pushed from now on. */
static void lay_open(struct worker *worker)
{
	worker->has_hand = false;
	/* Relaxed: a hint, for this turn only. */
	AO_store(&worker->xstuck_at, AO_load(&worker->xturns));
}

static void enter(struct local *local)
{
	struct worker *worker = &local->worker;

	if (worker->home) {
		home_block(worker);
		return;
	}
	lay_open(worker);
	relief_block(worker);
	handover(worker);
}

static void leave(struct local *local)
{
	struct worker *worker = &local->worker;

	if (worker->home) {
		home_unblock(worker);
		return;
	}
	worker->has_hand = worker->crew->can_revoke;
	/* Relaxed: as above. */
	AO_store(&worker->xstuck_at, (AO_t)-1);
	relief_unblock(worker);
}

void blocking_pause(struct local *local)
{
	leave(local);
	turn_marks(local, 0, TURN_BLOCKS);
}

/* The turn is back, with its mark. */
void blocking_resume(struct local *local, struct region region)
{
	local->region = region;
	enter(local);
}

static void close_region(struct local *local)
{
	turn_marks(local, 0, TURN_BLOCKS);
	leave(local);
}

void blocking_repair(struct local *local)
{
	close_region(local);
	if (local->turn.self != ROTA_NONE)
		engine_log(local->engine, ROTA_LOG_WARNING,
			   "actor %016llx (%s) has returned without "
			   "rota_blocking_end()",
			   (unsigned long long)local->turn.self,
			   ((struct behaviour *)local->turn.actor->task.class)
				   ->name);
	else
		engine_log(local->engine, ROTA_LOG_WARNING,
			   "a task has returned without rota_blocking_end()");
}

int rota_blocking_begin(void)
{
	struct local *local = local_may_wait();
	struct turn *turn;

	if (!local)
		return -EPERM;
	turn = &local->turn;
	if (turn_marks(local, 0, 0) & TURN_BLOCKS) {
		local->region.depth++;
		return 0;
	}
	turn_settle(local);
	turn_marks(local, TURN_BLOCKS, 0);
	local->region = (struct region){.task = turn->job, .depth = 1};
	enter(local);
	return 0;
}

void rota_blocking_end(void)
{
	struct local *local = local_may_wait();

	if (!local || !(turn_marks(local, 0, 0) & TURN_BLOCKS))
		return;
	if (--local->region.depth == 0)
		close_region(local);
}
