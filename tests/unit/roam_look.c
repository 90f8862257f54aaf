/* SPDX-License-Identifier: MIT */
/*
 * roam_look - what a turn that has moved to another worker leaves alone
 *
 * A turn that waits for room goes on on another worker than it stood on. From
 * then on all that is a worker's is the new one's. What it does to the old one
 * by mistake is a race that hardly ever shows: so these tests look at the old
 * one, which stands still in a handler meanwhile.
 */
#include "core/engine.h"
#include "sched/hand.h"
#include "tests/unit/support.h"

static struct {
	struct hold hold;   /* of the receiver, which has no room */
	struct stall stall; /* of the worker */
	rota_id sender;
	struct local *old;
} scene;

static struct {
	rota_id to;
	struct tally n_dropped;
	int result;
	struct flag ended;
} parcel;

static void drop_parcel(void *buffer, size_t length)
{
	(void)buffer;
	(void)length;
	tally_add(&parcel.n_dropped, 1);
}

static int forward_handle(void *state, unsigned tag, void *payload,
			  size_t length)
{
	(void)state;
	parcel.result = rota_send_own(parcel.to, tag, payload, length,
				      drop_parcel, ROTA_FOREVER);
	flag_raise(&parcel.ended);
	return 0;
}

static const struct rota_behaviour forward_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "forward",
	.handle = forward_handle,
};

/* Its turn waits with a buffer in hand; then the worker is busy for long, and
   there is another. */
static void begin(void)
{
	static char buffer[8];
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	uint64_t waits;

	engine_start(1);
	parcel.to = puppet_spawn(NULL, 1);
	hold_start(&scene.hold, parcel.to);
	options.flags = ROTA_ANYWHERE;
	scene.sender = rota_spawn(engine, &forward_behaviour, NULL, &options);
	waits = counters().waits;
	cr_assert_eq(rota_send_own(scene.sender, 1, buffer, sizeof(buffer),
				   drop_parcel, ROTA_FOREVER),
		     0);
	AWAIT(counters().waits > waits);
	stall_start(&scene.stall, puppet_spawn(NULL, 1));
	scene.old =
		(struct local *)table_engine(engine->number)->crew.workers[0];
	cr_assert_eq(rota_workers_set(engine, 2), 0);
}

/* The wait ends, on the new worker. */
static void move_on(void)
{
	cr_assert_eq(rota_actor_stop(scene.sender), 0);
	AWAIT(flag_is_up(&parcel.ended));
	cr_assert_eq(parcel.result, -ECANCELED);
	cr_assert_eq(rota_join(scene.sender, PATIENCE, NULL), 0);
	cr_assert_not(flag_is_up(&scene.stall.ended));
	cr_assert_eq(tally_of(&parcel.n_dropped), 1);
}

static void end(void)
{
	flag_raise(&scene.stall.go);
	hold_end(&scene.hold);
	quiesce();
	engine_stop();
}

/* The block of the message that was not sent goes into a magazine. */
Test(roam_look, its_magazines, .timeout = HANG)
{
	static unsigned char before[sizeof(scene.old->cache.messages)];

	begin();
	memcpy(before, scene.old->cache.messages, sizeof(before));
	move_on();
	cr_assert_arr_eq(before, scene.old->cache.messages, sizeof(before));
	end();
}

/* The buffer is put back into the message in hand, in the hand. It would wait
   for that of the old worker, which is seized. */
Test(roam_look, its_hand, .init = check_kernel, .timeout = HANG)
{
	begin();
	AWAIT(hand_seize(&scene.old->worker));
	move_on();
	hand_release(&scene.old->worker);
	end();
}
