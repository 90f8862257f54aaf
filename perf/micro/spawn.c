/* SPDX-License-Identifier: MIT */
/*
 * spawn - making and ending an actor that never gets a message
 *
 * Through the public interface, in warm memory (256 at a time). thread: by a
 * thread that is no worker. handler: by a handler, on one worker. Lies if the
 * actors are not really ended: the destructor counts.
 */
#include <stddef.h>

#include <atomic_ops.h>

#include <rota/actor.h>
#include <rota/engine.h>

#include "perf/micro/micro.h"

#define BURST 256

/* By destructors on any worker; relaxed: read after rota_quiesce() or
   rota_join(), which order what came before. */
static volatile AO_t xended;

struct mortal {
	uint64_t rest[6];
};

static int mortal_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	(void)state;
	(void)tag;
	(void)payload;
	(void)length;
	micro_fail("nobody sent it anything");
}

static void mortal_destroy(void *state)
{
	(void)state;
	AO_fetch_and_add1(&xended);
}

static const struct rota_behaviour mortal_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "mortal",
	.state_size = sizeof(struct mortal),
	.handle = mortal_handle,
	.destroy = mortal_destroy,
};

static void burst(rota_engine *engine)
{
	rota_id ids[BURST];

	for (unsigned i = 0; i < BURST; i++) {
		ids[i] = rota_spawn(engine, &mortal_behaviour, NULL, NULL);
		micro_check(rota_id_error(ids[i]) == 0);
	}
	for (unsigned i = 0; i < BURST; i++)
		micro_check(rota_actor_stop(ids[i]) == 0);
}

static rota_engine *start(void)
{
	struct rota_config config = ROTA_CONFIG_INIT;
	rota_engine *engine;

	config.workers = 1;
	engine = rota_start(&config);
	micro_check(engine != NULL);
	AO_store(&xended, 0); /* Relaxed: no actor exists yet. */
	return engine;
}

static void from_thread(struct micro_run *run)
{
	uint64_t rounds = run->n / BURST + 1;
	rota_engine *engine = start();

	micro_start(run);
	for (uint64_t i = 0; i < rounds; i++) {
		burst(engine);
		micro_check(rota_quiesce(engine, ROTA_FOREVER) == 0);
	}
	micro_stop_threads(run, rounds * BURST);
	micro_check(AO_load(&xended) == run->ops);
	micro_check(rota_stop(engine, ROTA_S(60)) == 0);
}

/* ---- from a handler */

enum { GO };

struct maker {
	uint64_t left;
};

/* One burst per message: in between the ended are cleared away. */
static int maker_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct maker *maker = state;

	(void)tag;
	(void)payload;
	(void)length;
	burst(NULL);
	if (--maker->left == 0)
		return rota_self_stop(0);
	return rota_send(rota_self(), GO, NULL, 0);
}

static const struct rota_behaviour maker_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "maker",
	.state_size = sizeof(struct maker),
	.handle = maker_handle,
};

static void from_handler(struct micro_run *run)
{
	uint64_t rounds = run->n / BURST + 1;
	struct maker maker = {rounds};
	rota_engine *engine = start();
	rota_id id;

	micro_start(run);
	id = rota_spawn(engine, &maker_behaviour, &maker, NULL);
	micro_check(rota_send(id, GO, NULL, 0) == 0);
	micro_check(rota_join(id, ROTA_FOREVER, NULL) == 0);
	micro_check(rota_quiesce(engine, ROTA_FOREVER) == 0);
	micro_stop_threads(run, rounds * BURST);
	micro_check(AO_load(&xended) == run->ops);
	micro_check(rota_stop(engine, ROTA_S(60)) == 0);
}

const struct micro micros_spawn[] = {
	{"spawn/thread", "spawn and stop, from a thread", 500000, from_thread},
	{"spawn/handler", "spawn and stop, from a handler", 1000000,
	 from_handler},
	{NULL, NULL, 0, NULL},
};
