/* SPDX-License-Identifier: MIT */
/*
 * cell - who owns an actor that is used as an object
 *
 * Problem:    an object is gone when its last owner lets go of it, wherever
 *             that is: in a thread, in a handler, in one of its own functions,
 *             or when the engine has been stopped long since.
 * Approach:   a count of owners outside of the engine, in memory of malloc's,
 *             beside the id; ids never dangle, so the last owner drains
 *             whatever is there to drain. What owners have cast before is in the
 *             mailbox by then: a release lets chains go out first, so that
 *             what the object's end tells others comes behind them, too.
 * Rejected:   a count in the actor's header or cold block (one would have to
 *             enter the engine to change it, and it would have to outlive the
 *             engine); a handle by value that holds nothing but the id (a second
 *             release could not be told from the first).
 * Orderings:  [O1] each release -> the last: what owners did with the handle
 *             comes before it is freed; what they cast, before the drain.
 */
#include <errno.h>
#include <stdlib.h>
#include <atomic_ops.h>

#include <rota/cell.h>

#include "core/chain.h"
#include "core/options.h"

struct rota_cell {
	rota_id id;   /* constant */
	AO_t xowners; /* by any owner; 0: about to be freed */
};

rota_cell *rota_cell_make(rota_engine *engine,
			  const struct rota_behaviour *behaviour,
			  const void *state,
			  const struct rota_spawn_options *options)
{
	struct rota_spawn_options all = ROTA_SPAWN_INIT;
	rota_cell *cell = malloc(sizeof(*cell));
	int error = options_copy(&all, sizeof(all), options);

	if (!cell)
		return NULL; /* errno is ENOMEM */
	all.flags |= ROTA_TAKES_URGENT;
	cell->id =
		error ? ROTA_NONE : rota_spawn(engine, behaviour, state, &all);
	error = error ? error : rota_id_error(cell->id);
	if (error) {
		free(cell);
		errno = -error;
		return NULL;
	}
	/* Relaxed: whoever gives the handle to others publishes it. */
	AO_store(&cell->xowners, 1);
	return cell;
}

rota_cell *rota_cell_retain(rota_cell *cell)
{
	/* Relaxed: the caller is an owner, so that it is not 0. */
	AO_fetch_and_add1(&cell->xowners);
	return cell;
}

void rota_cell_release(rota_cell *cell)
{
	struct local *local = local_here();

	if (!cell)
		return;
	/* The last one, whoever that is, tells what it belongs to. */
	if (local)
		chain_close(local);
	/* [O1] pairs with itself: those of the other owners */
	if (AO_fetch_and_add_full(&cell->xowners, (AO_t)-1) != 1)
		return;
	/* -ESRCH: it has failed, or its engine has been stopped. */
	(void)rota_actor_drain(cell->id);
	free(cell);
}

rota_id rota_cell_id(const rota_cell *cell)
{
	return cell->id;
}
