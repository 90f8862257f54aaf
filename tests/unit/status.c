/* SPDX-License-Identifier: MIT */
/*
 * status - what an actor is doing can be seen without its help
 *
 * Times are compared with what the test's own clock allows at most, and waited
 * for where they must grow.
 */
#include <sys/mman.h>

#include <rota/host.h>
#include <rota/process.h>
#include <rota/status.h>

#include "core/engine.h"
#include "core/watched.h"
#include "sched/spin.h"

#include "tests/unit/support.h"

static struct record record;

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return ROTA_S(now.tv_sec) + now.tv_nsec;
}

static struct rota_status status_of(rota_id id)
{
	struct rota_status status = ROTA_STATUS_INIT;
	int error = rota_status(id, &status);

	cr_assert_eq(error, 0, "rota_status: %s", rota_strerror(error));
	return status;
}

/* ---- activities ---- */

Test(status, of_an_idle_actor, .timeout = HANG)
{
	struct rota_status status;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 17);
	for (uint64_t i = 0; i < 40; i++)
		cr_assert_eq(send_value(id, 1, i), 0);
	quiesce();
	status = status_of(id);
	cr_assert_str_eq(status.type, "puppet");
	cr_assert_eq(status.activity, ROTA_IDLE);
	cr_assert_eq(status.worker, -1);
	cr_assert_eq(status.is_closing, 0);
	cr_assert_eq(status.for_ns, 0);
	cr_assert_eq(status.waits_for, ROTA_WAITS_FOR_NOTHING);
	cr_assert_eq(status.whom, ROTA_NONE);
	cr_assert_eq(status.mailbox_capacity, 17);
	cr_assert_eq(status.mailbox_length, 0);
	cr_assert_eq(status.handled, 40);
	cr_assert_eq(status.oldest_ns, 0);
	engine_stop();
}

Test(status, of_one_that_hangs_in_its_handler, .timeout = HANG)
{
	struct stall stall = {0};
	struct rota_status status;
	int64_t before = now_ns(), seen;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 0);
	cr_assert_eq(send_value(id, 1, 1), 0);
	stall_start(&stall, id);
	for (uint64_t i = 0; i < 5; i++)
		cr_assert_eq(send_value(id, 1, i), 0);
	AWAIT((status = status_of(id)).for_ns > 0);
	cr_assert_eq(status.activity, ROTA_RUNNING);
	cr_assert_eq(status.tag, ACT);
	cr_assert(status.worker == 0 || status.worker == 1);
	cr_assert_eq(status.waits_for, ROTA_WAITS_FOR_NOTHING);
	cr_assert_eq(status.handled, 2);
	cr_assert_eq(status.mailbox_length, 6);
	/* It grows on, and is never more than what has passed. */
	seen = status.for_ns;
	AWAIT(status_of(id).for_ns > seen + ROTA_MS(5));
	seen = status_of(id).for_ns;
	cr_assert_leq(seen, now_ns() - before);
	flag_raise(&stall.go);
	quiesce();
	status = status_of(id);
	cr_assert_eq(status.activity, ROTA_IDLE);
	cr_assert_eq(status.for_ns, 0);
	cr_assert_eq(status.handled, 7);
	engine_stop();
}

/* One message after the other in a single turn: the time is of the one. */
Test(status, tells_each_message_of_a_batch_apart, .timeout = HANG)
{
	struct stall first = {0}, second = {0};
	struct rota_status status;
	int64_t before;
	rota_id id;

	engine_start(1);
	id = puppet_spawn(NULL, 0);
	stall_start(&first, id);
	ACTS(id, act_stall, &second);
	AWAIT(status_of(id).for_ns > ROTA_MS(20));
	before = now_ns();
	flag_raise(&first.go);
	AWAIT(flag_is_up(&second.begun));
	status = status_of(id);
	cr_assert_leq(status.for_ns, now_ns() - before);
	cr_assert_eq(status.handled, 2);
	/* The first is finished, if not given back yet. */
	cr_assert_eq(status.mailbox_length, 1);
	flag_raise(&second.go);
	quiesce();
	engine_stop();
}

Test(status, of_one_that_waits_for_an_end, .timeout = HANG)
{
	struct rota_status status;
	struct hold hold = {0};
	int64_t before = now_ns();
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 0);
	hold_start(&hold, id);
	cr_assert_eq(send_value(id, 1, 1), 0);
	status = status_of(id);
	cr_assert_eq(status.activity, ROTA_WAITING);
	cr_assert_eq(status.waits_for, ROTA_WAITS_FOR_END);
	cr_assert_eq(status.whom, hold.gate);
	cr_assert_eq(status.tag, ACT);
	cr_assert(status.worker == 0 || status.worker == 1);
	cr_assert_eq(status.mailbox_length, 2);
	cr_assert_eq(status.handled, 1);
	AWAIT(status_of(id).for_ns > ROTA_MS(5));
	status = status_of(id);
	cr_assert_leq(status.for_ns, now_ns() - before);
	hold_end(&hold);
	quiesce();
	status = status_of(id);
	cr_assert_eq(status.activity, ROTA_IDLE);
	cr_assert_eq(status.whom, ROTA_NONE);
	cr_assert_eq(status.for_ns, 0);
	engine_stop();
}

/* The time since the last tick before the engine slept is not waiting. */
Test(status, does_not_count_sleep_as_waiting, .timeout = HANG)
{
	struct hold hold = {0};
	int64_t before;
	rota_id id;

	engine_start(1);
	id = puppet_spawn(NULL, 0);
	send_value(id, 1, 1);
	quiesce();
	for (int i = 0; i < 1000; i++)
		nap();
	before = now_ns();
	hold_start(&hold, id);
	cr_assert_leq(status_of(id).for_ns, now_ns() - before + ROTA_MS(10));
	hold_end(&hold);
	engine_stop();
}

Test(status, of_one_that_waits_for_room, .timeout = HANG)
{
	struct rota_status status;
	struct sending sending;
	struct hold hold = {0};
	rota_id id, sender;

	engine_start(2);
	id = puppet_spawn(&record, 1);
	sender = puppet_spawn(NULL, 0);
	hold_start(&hold, id);
	sending = sending_to(id, 1, 1);
	sending_in_puppet(&sending, sender);
	status = status_of(sender);
	cr_assert_eq(status.activity, ROTA_WAITING);
	cr_assert_eq(status.waits_for, ROTA_WAITS_FOR_ROOM);
	cr_assert_eq(status.whom, id);
	/* Who waits to get in is not in. */
	cr_assert_eq(status_of(id).mailbox_length, 1);
	cr_assert_eq(status_of(id).mailbox_capacity, 1);
	hold_end(&hold);
	cr_assert_eq(sending_puppet_result(&sending), 0);
	quiesce();
	cr_assert_eq(status_of(sender).activity, ROTA_IDLE);
	engine_stop();
}

/* What a roamer has in hand is not queued, though no worker is its own. */
Test(status, of_one_that_waits_for_room_anywhere, .timeout = HANG)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	struct rota_status status;
	struct sending sending;
	struct hold hold = {0};
	rota_id id, sender;

	engine_start(2);
	id = puppet_spawn(&record, 1);
	options.flags = ROTA_ANYWHERE;
	sender = rota_spawn(engine, &puppet_behaviour, &(struct puppet){0},
			    &options);
	hold_start(&hold, id);
	(void)status_of(sender);
	sending = sending_to(id, 1, 1);
	sending_in_puppet(&sending, sender);
	status = status_of(sender);
	cr_assert_eq(status.activity, ROTA_WAITING);
	cr_assert_eq(status.waits_for, ROTA_WAITS_FOR_ROOM);
	cr_assert_eq(status.worker, -1);
	cr_assert_eq(status.tag, ACT);
	cr_assert_eq(status.mailbox_length, 1);
	cr_assert_eq(status.oldest_ns, 0);
	hold_end(&hold);
	cr_assert_eq(sending_puppet_result(&sending), 0);
	engine_stop();
}

Test(status, of_one_whose_thread_is_taken, .timeout = HANG)
{
	struct rota_status status;
	struct stall stall = {0};
	struct hold hold = {0};
	rota_id id, other;

	engine_start(1);
	id = puppet_spawn(NULL, 0);
	other = puppet_spawn(NULL, 0);
	hold_start(&hold, id);
	stall_start(&stall, other);
	cr_assert_eq(rota_actor_stop(id), 0); /* ends the wait */
	status = status_of(id);
	cr_assert_eq(status.activity, ROTA_WAITING);
	cr_assert_eq(status.waits_for, ROTA_WAITS_FOR_WORKER);
	cr_assert_eq(status.worker, 0);
	cr_assert_eq(status.whom, ROTA_NONE);
	cr_assert_eq(status.is_closing, 1);
	cr_assert_eq(status_of(other).worker, 0);
	flag_raise(&stall.go);
	quiesce();
	cr_assert_eq(hold.result, -ECANCELED);
	cr_assert_eq(rota_status(id, &status), -ESRCH);
	engine_stop();
}

Test(status, of_one_that_has_no_worker, .timeout = HANG)
{
	struct rota_status status;
	struct stall stall = {0};
	rota_id id;

	engine_start(1);
	id = puppet_spawn(&record, 0);
	stall_start(&stall, puppet_spawn(NULL, 0));
	for (uint64_t i = 0; i < 3; i++)
		cr_assert_eq(send_value(id, 1, i), 0);
	status = status_of(id);
	cr_assert_eq(status.activity, ROTA_QUEUED);
	cr_assert_eq(status.worker, -1);
	cr_assert_eq(status.mailbox_length, 3);
	cr_assert_eq(status.handled, 0);
	flag_raise(&stall.go);
	engine_stop();
}

static int act_status(void *arg)
{
	*(struct rota_status *)arg = status_of(rota_self());
	return 0;
}

Test(status, of_itself, .timeout = HANG)
{
	struct rota_status status;

	engine_start(1);
	ACTS(puppet_spawn(NULL, 0), act_status, &status);
	quiesce();
	cr_assert_eq(status.activity, ROTA_RUNNING);
	cr_assert_eq(status.tag, ACT);
	cr_assert_eq(status.worker, 0);
	cr_assert_eq(status.handled, 1);
	cr_assert_eq(status.mailbox_length, 1);
	engine_stop();
}

Test(status, of_nobody_is_an_error, .timeout = HANG)
{
	struct rota_status status = ROTA_STATUS_INIT;
	rota_id id;

	engine_start(1);
	id = puppet_spawn(NULL, 0);
	cr_assert_eq(rota_status(id, NULL), -EINVAL);
	status.tag = 77;
	cr_assert_eq(rota_status(ROTA_NONE, &status), -ESRCH);
	cr_assert_eq(rota_status(id + 1, &status), -ESRCH);
	cr_assert_eq(rota_status(rota_spawn(engine, NULL, NULL, NULL), &status),
		     -EINVAL);
	ACTS(id, act_self_stop, NULL);
	quiesce();
	cr_assert_eq(rota_status(id, &status), -ESRCH);
	id = puppet_spawn(NULL, 0);
	engine_stop();
	cr_assert_eq(rota_status(id, &status), -ESRCH);
	cr_assert_eq(status.tag, 77);
}

Test(status, fills_no_more_than_it_was_given, .timeout = HANG)
{
	struct rota_status older;

	engine_start(1);
	memset(&older, 0x5a, sizeof(older));
	older.size = offsetof(struct rota_status, handled);
	cr_assert_eq(rota_status(puppet_spawn(NULL, 9), &older), 0);
	cr_assert_eq(older.mailbox_capacity, 9);
	cr_assert_eq(older.handled, UINT64_C(0x5a5a5a5a5a5a5a5a));
	engine_stop();
}

/* ---- the oldest message ---- */

Test(status, watches_the_oldest_message, .timeout = HANG)
{
	struct stall stall = {0};
	struct rota_status status;
	int64_t before, age;
	rota_id id;

	engine_start(1);
	id = puppet_spawn(NULL, 0);
	stall_start(&stall, id);
	AWAIT(status_of(id).for_ns > ROTA_MS(5));
	cr_assert_eq(status_of(id).oldest_ns, 0); /* only the one in hand */
	before = now_ns();
	cr_assert_eq(send_value(id, 1, 1), 0);
	AWAIT(status_of(id).oldest_ns > ROTA_MS(5));
	cr_assert_eq(send_value(id, 1, 1), 0);
	age = status_of(id).oldest_ns;
	cr_assert_gt(age, ROTA_MS(5));
	cr_assert_leq(age, now_ns() - before);
	flag_raise(&stall.go);
	quiesce();
	status = status_of(id);
	cr_assert_eq(status.oldest_ns, 0);
	engine_stop();
}

/* As rota_status() says it: what two looks may lie apart, or a part of the age. */
#define GAP ROTA_MS(2)
#define GAP_PART 10

/* Some look has seen what is queued. */
static bool is_marked(rota_id id)
{
	struct watch *watch = &table_engine(id_engine(id))->watch;
	struct watched *watched;
	bool is;

	spin_lock(&watch->xlock);
	watched = watches_find(watch->watches, id);
	is = watched && watched->arrivals.n > 0;
	spin_unlock(&watch->xlock);
	return is;
}

/* The oldest came between these: its age is told right, or it is unknown. */
static int64_t age_if_known(rota_id id, int64_t sent_ns, int64_t was_sent_ns)
{
	int64_t asked = now_ns(), age = status_of(id).oldest_ns;

	if (age == ROTA_AGE_UNKNOWN)
		return age;
	cr_assert_leq(age, now_ns() - sent_ns);
	cr_assert_geq(age + (age > GAP * GAP_PART ? age / GAP_PART : GAP),
		      asked - was_sent_ns);
	return age;
}

/* ... it will be known some time. */
static void expect_age(rota_id id, int64_t sent_ns, int64_t was_sent_ns)
{
	AWAIT(age_if_known(id, sent_ns, was_sent_ns) != ROTA_AGE_UNKNOWN);
}

/* The monitor watches, not only those who ask. */
Test(status, watches_while_nobody_asks, .timeout = HANG)
{
	struct stall stall = {0};
	int64_t before, after;
	rota_id id;

	engine_start(1);
	id = puppet_spawn(NULL, 0);
	stall_start(&stall, id);
	(void)status_of(id);
	before = now_ns();
	cr_assert_eq(send_value(id, 1, 1), 0);
	after = now_ns();
	AWAIT(is_marked(id));
	expect_age(id, before, after);
	flag_raise(&stall.go);
	engine_stop();
}

/* What was there before anybody asked is at least as old as the first answer. */
Test(status, tells_what_is_not_known_from_what_is_not_there, .timeout = HANG)
{
	struct stall stall = {0};
	rota_id some, none;

	engine_start(1);
	stall_start(&stall, puppet_spawn(NULL, 0));
	some = puppet_spawn(NULL, 0);
	none = puppet_spawn(NULL, 0);
	cr_assert_eq(send_value(some, 1, 1), 0);
	cr_assert_eq(status_of(some).oldest_ns, ROTA_AGE_UNKNOWN);
	cr_assert_eq(status_of(none).oldest_ns, 0);
	AWAIT(status_of(some).oldest_ns > ROTA_MS(2));
	/* Of one that is watched already, unless the monitor was late. */
	cr_assert_eq(send_value(none, 1, 1), 0);
	AWAIT(status_of(none).oldest_ns > 0);
	flag_raise(&stall.go);
	quiesce();
	cr_assert_eq(status_of(some).oldest_ns, 0);
	cr_assert_eq(status_of(none).oldest_ns, 0);
	engine_stop();
}

/* ---- while no worker is awake ---- */

/* When the monitor looks next, in its sleep; 0: it ticks, or nobody asked. */
static uint64_t dozes_until(rota_id id)
{
	struct watch *watch = &table_engine(id_engine(id))->watch;
	uint64_t until;

	spin_lock(&watch->xlock);
	until = watch->doze_ns;
	spin_unlock(&watch->xlock);
	return until;
}

/* Nobody works; an actor is watched from now on. */
static void watch_asleep(rota_id id)
{
	AWAIT(dozes_until(id) == UINT64_MAX);
	cr_assert_eq(status_of(id).oldest_ns, 0);
	AWAIT(dozes_until(id) != UINT64_MAX && dozes_until(id) != 0);
}

/* It comes at some time, and somebody asks at a later one. */
static void expect_age_of_next(rota_id id)
{
	int64_t before, after;

	for (int i = 0; i < 50; i++)
		nap();
	before = now_ns();
	cr_assert_eq(send_value(id, 1, 1), 0);
	after = now_ns();
	AWAIT(is_marked(id));
	for (int i = 0; i < 50; i++)
		nap();
	expect_age(id, before, after);
}

/* A message to one whose handler waits wakes nobody. */
Test(status, tells_ages_in_an_engine_that_sleeps, .timeout = HANG)
{
	struct hold hold = {0};
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 0);
	hold_start(&hold, id);
	watch_asleep(id);
	expect_age_of_next(id);
	hold_end(&hold);
	engine_stop();
}

static int act_receive(void *arg)
{
	struct rota_tags tags = rota_tags_of(5);
	struct rota_received received;

	(void)arg;
	return rota_receive(&tags, ROTA_FOREVER, &received);
}

/* One that is not wanted wakes a worker, but for a moment only. */
Test(status, tells_ages_of_what_is_not_wanted, .timeout = HANG)
{
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 0);
	ACTS(id, act_receive, NULL);
	AWAIT(status_of(id).waits_for == ROTA_WAITS_FOR_MESSAGE);
	expect_age_of_next(id);
	engine_stop();
}

static void start_here(void)
{
	struct rota_config config = test_config(0);

	config.flags = ROTA_RUN_HERE;
	engine = engine_make(&config);
}

/* The host does not drive, and nobody else looks. */
Test(status, does_not_tell_ages_of_what_nobody_saw_coming, .timeout = HANG)
{
	int64_t before, after;
	rota_id id;

	start_here();
	id = puppet_spawn(NULL, 0);
	cr_assert_eq(status_of(id).oldest_ns, 0);
	before = now_ns();
	cr_assert_eq(send_value(id, 1, 1), 0);
	after = now_ns();
	for (int i = 0; i < 100; i++)
		nap();
	cr_assert_eq(status_of(id).oldest_ns, ROTA_AGE_UNKNOWN);
	expect_age(id, before, after);
	cr_assert_geq(rota_run_some(engine, 64), 0);
	cr_assert_eq(status_of(id).oldest_ns, 0);
	engine_stop();
}

static void drive(void)
{
	cr_assert_eq(rota_run_some(engine, 64), 0);
}

/* One that waits for other messages than are sent to it. */
static rota_id spawn_choosy(void)
{
	rota_id id = puppet_spawn(NULL, 0);

	ACTS(id, act_receive, NULL);
	return id;
}

/* It is seen to come while the host drives, and somebody asks later. */
static void expect_age_of_seen(rota_id id)
{
	int64_t before = now_ns(), after;

	cr_assert_eq(send_value(id, 1, 1), 0);
	after = now_ns();
	drive();
	cr_assert(is_marked(id));
	for (int i = 0; i < 50; i++)
		nap();
	expect_age(id, before, after);
}

/* It looks when it has nothing more to run. */
Test(status, sees_what_came_while_the_host_drove, .timeout = HANG)
{
	rota_id id;

	start_here();
	id = spawn_choosy();
	drive();
	cr_assert_eq(status_of(id).oldest_ns, 0);
	expect_age_of_seen(id);
	engine_stop();
}

/* Whose look finds nobody any more; that takes nobody's turn. */
Test(status, sees_what_came_beside_one_that_has_ended, .timeout = HANG)
{
	rota_id ended, id;

	start_here();
	ended = puppet_spawn(NULL, 0);
	id = spawn_choosy();
	drive();
	cr_assert_eq(status_of(ended).oldest_ns, 0);
	cr_assert_eq(status_of(id).oldest_ns, 0);
	cr_assert_eq(rota_actor_stop(ended), 0);
	expect_age_of_seen(id);
	engine_stop();
}

/* ---- whichever is the oldest ---- */

/* So many times at which messages came are told apart. */
#define TOLD_APART 64
#define STEPS 200

/* Handles a message when it may. */
static struct {
	struct tally allowed;
	struct tally begun;
} steps;

static int steps_handle(void *state, unsigned tag, void *payload, size_t length)
{
	size_t mine = tally_of(&steps.begun) + 1;

	(void)state, (void)tag, (void)payload, (void)length;
	tally_add(&steps.begun, 1);
	while (tally_of(&steps.allowed) < mine)
		nap();
	return 0;
}

static const struct rota_behaviour steps_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "steps",
	.handle = steps_handle,
};

/* All that was there before has been looked at. */
static void await_ticks(const struct engine *of)
{
	for (int i = 0; i < 2; i++) {
		AO_t seen_ns = AO_load_acquire(&of->watch.xnow_ns);

		while (AO_load_acquire(&of->watch.xnow_ns) == seen_ns)
			nap();
	}
}

/* Never more than its age, whichever message is the oldest of @n; and less by
   what has passed until somebody looked, and a @part of the whole time and as
   much as ticks take. Unknown only if looks were kept from coming. */
static void expect_ages(size_t n, int64_t part)
{
	int64_t before[STEPS], after[STEPS], looked, slack, ticks = 0, gap = 0;
	struct rota_status status;
	rota_id id;

	engine_start(1);
	id = spawn(&steps_behaviour, NULL, STEPS);
	for (size_t i = 0; i < n; i++) {
		looked = now_ns();
		(void)status_of(id);
		before[i] = now_ns();
		cr_assert_eq(send_value(id, 1, 1), 0);
		(void)status_of(id);
		if (now_ns() - looked > gap)
			gap = now_ns() - looked;
		await_ticks(table_engine(id_engine(id)));
		after[i] = now_ns();
	}
	for (size_t i = 0; i < n; i++)
		if (after[i] - before[i] > ticks)
			ticks = after[i] - before[i];
	slack = part ? (after[n - 1] - before[0]) / part + ticks : 0;
	AWAIT(status_of(id).for_ns > 0);
	for (size_t i = 1; i < n; i++) {
		/* i is the oldest that is queued: i - 1 is in hand. */
		AWAIT(tally_of(&steps.begun) == i);
		nap();
		looked = now_ns();
		status = status_of(id);
		cr_assert_eq(status.handled, i);
		cr_assert_eq(status.mailbox_length, n + 1 - i);
		cr_assert_neq(status.oldest_ns, 0, "of %zu", i);
		cr_assert_leq(status.oldest_ns, now_ns() - before[i], "of %zu",
			      i);
		if (status.oldest_ns == ROTA_AGE_UNKNOWN)
			cr_assert_gt(gap, GAP, "of %zu", i);
		else
			cr_assert_geq(status.oldest_ns,
				      looked - after[i] - slack, "of %zu", i);
		tally_add(&steps.allowed, 1);
	}
	AWAIT(tally_of(&steps.begun) == n);
	cr_assert_eq(status_of(id).oldest_ns, 0);
	tally_add(&steps.allowed, 1);
	quiesce();
	engine_stop();
}

Test(status, tells_the_age_of_whichever_is_oldest, .timeout = HANG)
{
	expect_ages(TOLD_APART, 0);
}

Test(status, tells_the_age_of_many_to_a_thirtieth, .timeout = HANG)
{
	expect_ages(STEPS, 30);
}

/* ---- of many actors ---- */

#define WATCHED_AT_ONCE 1024
#define CROWD (WATCHED_AT_ONCE + 76)

static struct {
	struct stall stall; /* of the only worker: nothing is handled */
	rota_id ids[CROWD];
} crowd;

static void crowd_start(size_t n)
{
	engine_start(1);
	stall_start(&crowd.stall, puppet_spawn(NULL, 0));
	for (size_t i = 0; i < n; i++)
		crowd.ids[i] = puppet_spawn(NULL, 0);
}

static void crowd_send(size_t n)
{
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(send_value(crowd.ids[i], 1, 1), 0);
}

static void crowd_end(size_t n)
{
	flag_raise(&crowd.stall.go);
	quiesce();
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(status_of(crowd.ids[i]).oldest_ns, 0);
	engine_stop();
}

/* All are asked about once, in turn; of how many the age is known. */
static size_t n_known(size_t n)
{
	size_t known = 0;

	for (size_t i = 0; i < n; i++) {
		struct rota_status status = status_of(crowd.ids[i]);

		cr_assert_eq(status.mailbox_length, 1);
		known += status.oldest_ns > 0;
	}
	return known;
}

Test(status, of_many_actors_asked_about_in_turn, .timeout = HANG)
{
	crowd_start(WATCHED_AT_ONCE);
	crowd_send(WATCHED_AT_ONCE);
	cr_assert_eq(n_known(WATCHED_AT_ONCE), 0);
	for (int round = 0; round < 10; round++)
		cr_assert_eq(n_known(WATCHED_AT_ONCE), WATCHED_AT_ONCE);
	crowd_end(WATCHED_AT_ONCE);
}

/* The monitor gets around to each. */
Test(status, of_many_actors_while_nobody_asks, .timeout = HANG)
{
	crowd_start(WATCHED_AT_ONCE);
	for (size_t i = 0; i < WATCHED_AT_ONCE; i++)
		cr_assert_eq(status_of(crowd.ids[i]).oldest_ns, 0);
	crowd_send(WATCHED_AT_ONCE);
	for (size_t i = 0; i < WATCHED_AT_ONCE; i++)
		AWAIT(is_marked(crowd.ids[i]));
	AWAIT(n_known(WATCHED_AT_ONCE) == WATCHED_AT_ONCE);
	crowd_end(WATCHED_AT_ONCE);
}

static int64_t oldest_of_last(void)
{
	return status_of(crowd.ids[CROWD - 1]).oldest_ns;
}

/* Some are known, and stay so; another one is as soon as these are forgotten. */
Test(status, of_more_actors_than_are_watched, .timeout = HANG)
{
	crowd_start(CROWD);
	crowd_send(CROWD);
	(void)n_known(CROWD);
	for (int round = 0; round < 5; round++) {
		cr_assert_eq(n_known(CROWD), WATCHED_AT_ONCE);
		cr_assert_eq(oldest_of_last(), ROTA_AGE_UNKNOWN);
	}
	AWAIT(oldest_of_last() > 0);
	crowd_end(CROWD);
}

/* Those that have ended make room at once. */
Test(status, of_actors_that_come_and_go, .timeout = HANG)
{
	struct stall stall = {0};
	rota_id last;

	engine_start(1);
	for (int i = 0; i < 3 * WATCHED_AT_ONCE; i++) {
		rota_id id = puppet_spawn(NULL, 0);

		(void)status_of(id);
		ACTS(id, act_self_stop, NULL);
	}
	quiesce();
	stall_start(&stall, puppet_spawn(NULL, 0));
	last = puppet_spawn(NULL, 0);
	cr_assert_eq(send_value(last, 1, 1), 0);
	AWAIT(status_of(last).oldest_ns > 0);
	flag_raise(&stall.go);
	engine_stop();
}

/* ---- while all of it changes ---- */

#define N_SLOTS 64

/* Two types of one size, so that slots go from one to the other. */
static const struct rota_behaviour other_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "other",
	.state_size = sizeof(struct puppet),
	.handle = puppet_handle,
};

static struct {
	AO_t id[N_SLOTS]; /* relaxed: an id is whole */
	struct flag stop;
} board;

static void *thread_look(void *arg)
{
	unsigned i = 0;

	while (!flag_is_up(&board.stop)) {
		struct rota_status status = ROTA_STATUS_INIT;
		unsigned slot = i++ % N_SLOTS;
		rota_id id = AO_load(&board.id[slot]);
		bool is_other = slot % 2;
		int error = rota_status(id, &status);

		if (error == -ESRCH)
			continue;
		if (error || status.mailbox_capacity != slot + 1 ||
		    strcmp(status.type, is_other ? "other" : "puppet") != 0 ||
		    status.activity < ROTA_IDLE ||
		    status.activity > ROTA_WAITING || status.handled > 3 ||
		    status.mailbox_length > 3)
			return arg;
	}
	return NULL;
}

static int act_wait_a_little(void *arg)
{
	(void)arg;
	rota_join(rota_self() + 1, ROTA_US(50), NULL);
	return rota_join((rota_id)AO_load(&board.id[0]), ROTA_US(50), NULL) &&
	       0;
}

static void replace(unsigned slot)
{
	rota_id id = spawn(slot % 2 ? &other_behaviour : &puppet_behaviour,
			   NULL, slot + 1);

	AO_store(&board.id[slot], id); /* relaxed: see there */
	if (slot >= 2) {
		send_value(id, 1, slot);
		ACTS(id, act_wait_a_little, NULL);
	}
	ACTS(id, act_self_stop, NULL);
}

/* What is told of an id is its own, also when the memory serves another. */
Test(status, may_be_asked_at_any_time, .timeout = HANG)
{
	pthread_t thread[2];
	void *wrong[2];

	engine_start(2);
	for (int i = 0; i < 2; i++)
		thread[i] = thread_start(thread_look, &board);
	for (size_t i = 0; i < SIZED(100, 20); i++) {
		for (unsigned slot = 0; slot < N_SLOTS; slot++)
			replace(slot);
		quiesce();
	}
	flag_raise(&board.stop);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(pthread_join(thread[i], &wrong[i]), 0);
		cr_assert_null(wrong[i]);
	}
	engine_stop();
}

/* ---- callbacks ---- */

static struct {
	struct tally asked;
	rota_id id;
} asker;

static void *map_and_ask(void *context, size_t size)
{
	struct rota_stats stats = ROTA_STATS_INIT;
	struct rota_status status = ROTA_STATUS_INIT;
	char *wide, *start;

	(void)context;
	if (engine && rota_stats(engine, ROTA_STATS_ALL, &stats) == 0 &&
	    rota_status(asker.id, &status) == 0)
		tally_add(&asker.asked, 1);
	wide = mmap(NULL, size + (2 << 20), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (wide == MAP_FAILED)
		return NULL;
	start = wide + (2 << 20) - (uintptr_t)wide % (2 << 20);
	munmap(wide, (size_t)(start - wide));
	munmap(start + size, (size_t)(wide + (2 << 20) - start));
	return start;
}

static void unmap(void *context, void *block, size_t size)
{
	(void)context;
	munmap(block, size);
}

/* The allocator is called under locks. */
Test(status, may_be_asked_in_callbacks, .timeout = HANG)
{
	struct rota_config config = test_config(1);

	config.allocator = (struct rota_allocator){map_and_ask, unmap, NULL};
	engine = engine_make(&config);
	asker.id = puppet_spawn(NULL, 0);
	for (int i = 0; i < 200000; i++)
		(void)puppet_spawn(NULL, 0);
	cr_assert_gt(tally_of(&asker.asked), 0);
	/* The call around it is still announced, and ends as usual. */
	cr_assert_eq(send_value(asker.id, 1, 1), 0);
	engine_stop();
}
