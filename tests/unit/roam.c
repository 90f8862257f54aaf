/* SPDX-License-Identifier: MIT */
/*
 * roam - turns that wait for room, and go on on whichever worker
 */
#include <rota/status.h>

#include "tests/unit/support.h"

static struct record record;

static rota_id roamer_spawn_in(rota_engine *where, struct record *notes)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	rota_id id;

	options.flags = ROTA_ANYWHERE;
	id = rota_spawn(where, &puppet_behaviour, &(struct puppet){notes},
			&options);
	cr_assert_eq(rota_id_error(id), 0);
	return id;
}

static rota_id roamer_spawn(void)
{
	return roamer_spawn_in(engine, NULL);
}

/* ---- where it goes on ---- */

struct trip {
	rota_id to;
	long threads[2];
	int result;
	int saved_errno;
	struct flag ended;
};

static int act_trip(void *arg)
{
	struct trip *trip = arg;
	uint64_t value = 7;

	errno = 77;
	trip->threads[0] = thread_number();
	trip->result = rota_send(trip->to, 1, &value, sizeof(value));
	trip->saved_errno = errno;
	trip->threads[1] = thread_number();
	flag_raise(&trip->ended);
	return 0;
}

/*
 * One worker stands still in the receiver, which has no room; the other in a
 * handler that lasts, after the sender has begun to wait there. Then the
 * receiver's becomes free: the sender goes on there, beside the other.
 */
Test(roam, goes_on_beside_a_worker_that_is_held_up, .timeout = HANG)
{
	struct stall busy = {.go = {0}}, hog = {.go = {0}};
	struct trip trip = {.result = 1};
	uint64_t waits;

	engine_start(2);
	trip.to = puppet_spawn(&record, 1);
	stall_start(&busy, trip.to);
	waits = counters().waits;
	ACTS(roamer_spawn(), act_trip, &trip);
	AWAIT(counters().waits > waits);
	stall_start(&hog, puppet_spawn(NULL, 0));
	cr_assert_not(flag_is_up(&trip.ended));
	flag_raise(&busy.go);
	AWAIT(flag_is_up(&trip.ended));
	cr_assert_not(flag_is_up(&hog.ended));
	flag_raise(&hog.go);
	quiesce();
	cr_assert_eq(trip.result, 0);
	cr_assert_eq(trip.saved_errno, 77);
	cr_assert_neq(trip.threads[0], trip.threads[1]);
	cr_assert_eq(tally_of(&record.n), 1);
	expect_conserved(4);
	engine_stop();
}

/* Others stay, however long that takes. */
Test(roam, is_for_those_who_want_it, .timeout = HANG)
{
	struct stall busy = {.go = {0}};
	struct trip trip = {.result = 1};
	uint64_t waits;

	for (int i = 0; i < 20; i++) {
		engine_start(2);
		trip = (struct trip){.to = puppet_spawn(NULL, 1)};
		busy = (struct stall){.go = {0}};
		stall_start(&busy, trip.to);
		waits = counters().waits;
		ACTS(puppet_spawn(NULL, 0), act_trip, &trip);
		AWAIT(counters().waits > waits);
		flag_raise(&busy.go);
		AWAIT(flag_is_up(&trip.ended));
		cr_assert_eq(trip.threads[0], trip.threads[1]);
		engine_stop();
	}
}

/* ---- how it ends ---- */

/* A puppet that stands still, without room. */
static rota_id full_puppet(struct hold *hold)
{
	rota_id id = puppet_spawn(&record, 1);

	*hold = (struct hold){0};
	hold_start(hold, id);
	return id;
}

static void ends_by_its_deadline(unsigned workers)
{
	struct hold hold;
	struct sending s;

	engine_start(workers);
	s = sending_to(full_puppet(&hold), 1, 1);
	s.within = ROTA_MS(2);
	sending_in_puppet(&s, roamer_spawn());
	cr_assert_eq(sending_puppet_result(&s), -ETIMEDOUT);
	hold_end(&hold);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 0);
	engine_stop();
}

Test(roam, ends_by_its_deadline, .timeout = HANG)
{
	ends_by_its_deadline(1);
	ends_by_its_deadline(2);
	ends_by_its_deadline(64);
}

static void ends_by_a_stop(unsigned workers)
{
	struct hold hold;
	struct sending s;
	rota_id from;

	engine_start(workers);
	s = sending_to(full_puppet(&hold), 1, 1);
	from = roamer_spawn();
	sending_in_puppet(&s, from);
	cr_assert_eq(rota_actor_stop(from), 0);
	cr_assert_eq(sending_puppet_result(&s), -ECANCELED);
	cr_assert_eq(rota_join(from, PATIENCE, NULL), 0);
	hold_end(&hold);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 0);
	engine_stop();
}

Test(roam, ends_by_a_stop_from_outside, .timeout = HANG)
{
	ends_by_a_stop(1);
	ends_by_a_stop(2);
}

Test(roam, ends_with_the_receiver, .timeout = HANG)
{
	struct hold hold;
	struct sending s;
	rota_id to;

	engine_start(2);
	to = full_puppet(&hold);
	s = sending_to(to, 1, 1);
	sending_in_puppet(&s, roamer_spawn());
	cr_assert_eq(rota_actor_stop(to), 0);
	cr_assert_eq(sending_puppet_result(&s), -ESHUTDOWN);
	AWAIT(flag_is_up(&hold.ended));
	engine_stop();
}

/* Whoever stops the engine ends the waits, from a thread that is no worker. */
Test(roam, ends_with_the_engine, .timeout = HANG)
{
	static struct sending s[50];
	struct hold hold;
	rota_id to;

	engine_start(2);
	to = full_puppet(&hold);
	for (int i = 0; i < 50; i++) {
		s[i] = sending_to(to, 1, 1);
		sending_in_puppet(&s[i], roamer_spawn());
	}
	engine_stop();
	for (int i = 0; i < 50; i++)
		cr_assert(s[i].result == -ECANCELED ||
				  s[i].result == -ESHUTDOWN ||
				  s[i].result == -ESRCH,
			  "%d", s[i].result);
}

/* In a circle the wait is let in over the bound, before it is left. */
static int act_to_self_and_on(void *arg)
{
	struct sending *s = arg;

	for (s->value = 0; s->value < 100; s->value++) {
		s->result = rota_send(s->to, 1, &s->value, sizeof(s->value));
		if (s->result)
			break;
	}
	flag_raise(&s->ended);
	return 0;
}

Test(roam, passes_a_circle, .timeout = HANG)
{
	static struct record records[2];
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	struct sending s[2];
	rota_id ids[2];

	engine_start(2);
	options.flags = ROTA_ANYWHERE;
	options.mailbox = 1;
	for (int i = 0; i < 2; i++)
		ids[i] = rota_spawn(engine, &puppet_behaviour,
				    &(struct puppet){&records[i]}, &options);
	for (int i = 0; i < 2; i++) {
		s[i] = sending_to(ids[1 - i], 1, 0);
		ACTS(ids[i], act_to_self_and_on, &s[i]);
	}
	quiesce();
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(s[i].result, 0);
		cr_assert_eq(tally_of(&records[i].n), 100);
	}
	expect_conserved(202);
	engine_stop();
}

/* ---- what its frames know ---- */

struct parcel {
	rota_id to;
	struct tally n_dropped;
	int result;
	struct flag ended;
};

static struct parcel parcel;

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
				      drop_parcel, ROTA_MS(2));
	flag_raise(&parcel.ended);
	return 0;
}

static const struct rota_behaviour forward_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "forward",
	.handle = forward_handle,
};

/* What is not sent on is in hand again, wherever that is by then. */
Test(roam, keeps_a_buffer_that_was_not_sent_on, .timeout = HANG)
{
	static char buffer[8];
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	struct hold hold;
	rota_id id;

	engine_start(2);
	parcel.to = full_puppet(&hold);
	options.flags = ROTA_ANYWHERE;
	id = rota_spawn(engine, &forward_behaviour, NULL, &options);
	cr_assert_eq(rota_send_own(id, 1, buffer, sizeof(buffer), drop_parcel,
				   ROTA_FOREVER),
		     0);
	AWAIT(flag_is_up(&parcel.ended));
	hold_end(&hold);
	quiesce();
	cr_assert_eq(parcel.result, -ETIMEDOUT);
	cr_assert_eq(tally_of(&parcel.n_dropped), 1);
	engine_stop();
}

/* The room is another engine's, whose worker gives it. */
Test(roam, waits_for_another_engine, .timeout = HANG)
{
	struct rota_config config = test_config(2);
	rota_engine *other = engine_make(&config);
	struct sending s[20];
	struct hold hold;
	rota_id to;

	engine_start(2);
	to = full_puppet(&hold);
	for (int i = 0; i < 20; i++) {
		struct rota_stats sums = ROTA_STATS_INIT;
		uint64_t waits;

		rota_stats(other, ROTA_STATS_ALL, &sums);
		waits = sums.waits;
		s[i] = sending_to(to, 1, (uint64_t)i);
		ACTS(roamer_spawn_in(other, NULL), act_sending, &s[i]);
		do {
			nap();
			rota_stats(other, ROTA_STATS_ALL, &sums);
		} while (sums.waits == waits);
	}
	hold_end(&hold);
	for (int i = 0; i < 20; i++)
		cr_assert_eq(sending_puppet_result(&s[i]), 0);
	cr_assert_eq(rota_quiesce(other, PATIENCE), 0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 20);
	for (size_t i = 0; i < 20; i++)
		cr_assert_eq(record.note[i].value, i);
	cr_assert_eq(rota_stop(other, PATIENCE), 0);
	engine_stop();
}

/* ---- a callback of such an actor stays ---- */

static struct trip last_trip;

static void drop_with_words(void *buffer, size_t length)
{
	(void)buffer;
	(void)length;
	act_trip(&last_trip);
}

/* Below it are frames of the engine that know the worker. */
Test(roam, is_not_for_callbacks, .timeout = HANG)
{
	static char buffer[8];
	struct stall busy = {.go = {0}};
	uint64_t waits;

	engine_start(2);
	last_trip.to = puppet_spawn(&record, 1);
	stall_start(&busy, last_trip.to);
	waits = counters().waits;
	cr_assert_eq(rota_send_own(roamer_spawn(), 1, buffer, sizeof(buffer),
				   drop_with_words, ROTA_FOREVER),
		     0);
	AWAIT(counters().waits > waits);
	flag_raise(&busy.go);
	AWAIT(flag_is_up(&last_trip.ended));
	quiesce();
	cr_assert_eq(last_trip.result, 0);
	cr_assert_eq(last_trip.threads[0], last_trip.threads[1]);
	cr_assert_eq(tally_of(&record.n), 1);
	engine_stop();
}

/* ---- seen from outside ---- */

Test(roam, status_names_no_worker, .timeout = HANG)
{
	struct rota_status status = ROTA_STATUS_INIT;
	struct hold hold;
	struct sending s;
	rota_id from;

	engine_start(2);
	s = sending_to(full_puppet(&hold), 1, 1);
	from = roamer_spawn();
	sending_in_puppet(&s, from);
	AWAIT(rota_status(from, &status) == 0 &&
	      status.activity == ROTA_WAITING);
	cr_assert_eq(status.waits_for, ROTA_WAITS_FOR_ROOM);
	cr_assert_eq(status.whom, s.to);
	cr_assert_eq(status.worker, -1);
	cr_assert_eq(status.tag, ACT);
	hold_end(&hold);
	cr_assert_eq(sending_puppet_result(&s), 0);
	engine_stop();
}
