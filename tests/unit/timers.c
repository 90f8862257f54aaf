/* SPDX-License-Identifier: MIT */
/*
 * timers - messages that are sent later, and those that never are
 */
#include "tests/unit/support.h"

static struct record record;

static int after(rota_id to, uint64_t value, int64_t delay, rota_timer *timer)
{
	return rota_send_after(to, 1, &value, sizeof(value), delay, timer);
}

/* ---- firing ---- */

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * ROTA_S(1) + now.tv_nsec;
}

Test(timers, delivers_once_the_delay_has_passed, .timeout = HANG)
{
	static const int64_t delays[] = {1,	      ROTA_US(1),
					 ROTA_US(17), ROTA_US(500),
					 ROTA_MS(3),  ROTA_MS(70)};
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 0);
	for (size_t i = 0; i < 6; i++) {
		cr_assert_eq(after(id, i, delays[i], NULL), 0);
		quiesce();
		cr_assert_eq(tally_of(&record.n), i + 1);
		cr_assert_eq(record.note[i].value, i);
		cr_assert_eq(record.note[i].tag, 1);
		cr_assert_eq(record.note[i].length, 8);
	}
	engine_stop();
}

/* Not before its time: this bound holds however slow the machine is. */
Test(timers, never_fires_early, .timeout = HANG)
{
	int64_t begin;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 0);
	for (size_t i = 0; i < 20; i++) {
		begin = now_ns();
		cr_assert_eq(after(id, i, ROTA_MS(2), NULL), 0);
		AWAIT(tally_of(&record.n) == i + 1);
		cr_assert_geq(now_ns() - begin, ROTA_MS(2));
	}
	engine_stop();
}

Test(timers, zero_and_less_fire_at_once, .timeout = HANG)
{
	static const int64_t delays[] = {0, -1, -1000000, INT64_MIN};
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 0);
	for (size_t i = 0; i < 4; i++) {
		cr_assert_eq(after(id, i, delays[i], NULL), 0);
		quiesce();
		cr_assert_eq(tally_of(&record.n), i + 1);
	}
	engine_stop();
}

Test(timers, huge_delays_never_fire, .timeout = HANG)
{
	static const int64_t delays[] = {INT64_MAX, INT64_MAX - 1,
					 INT64_MAX / 2, ROTA_S(3153600000)};
	rota_timer timer[4];
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 0);
	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(after(id, i, delays[i], &timer[i]), 0);
	cr_assert_eq(after(id, 99, ROTA_MS(30), NULL), 0);
	AWAIT(tally_of(&record.n) == 1);
	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(rota_timer_cancel(timer[i]), 0);
	quiesce();
	cr_assert_eq(record.note[0].value, 99);
	cr_assert_eq(tally_of(&record.n), 1);
	engine_stop();
}

/*
 * Started in the reverse order of their times, 5 ms apart. Where the machine
 * took that long to start them the order is anybody's, and it is tried again.
 */
Test(timers, fires_in_the_order_of_time, .timeout = HANG)
{
	enum { N = 20 };
	int64_t took;
	rota_id id;

	engine_start(1);
	id = puppet_spawn(&record, 0);
	do {
		AO_store(&record.n.n, 0);
		took = -now_ns();
		for (int64_t i = N; i-- > 0;)
			cr_assert_eq(after(id, (uint64_t)i,
					   ROTA_MS(100) + ROTA_MS(5) * i, NULL),
				     0);
		took += now_ns();
		quiesce();
		cr_assert_eq(tally_of(&record.n), N);
	} while (took > ROTA_MS(4));
	for (uint64_t i = 0; i < N; i++)
		cr_assert_eq(record.note[i].value, i);
	engine_stop();
}

static int act_count(void *arg)
{
	tally_add(arg, 1);
	return 0;
}

Test(timers, many_run_at_once, .timeout = HANG)
{
	static struct tally n;
	struct act act = {act_count, &n};
	size_t many = SIZED(100000, 10000);
	uint64_t random = 88172645463325252u;
	rota_id id[16];

	engine_start(2);
	for (size_t i = 0; i < 16; i++)
		id[i] = puppet_spawn(NULL, 1);
	for (size_t i = 0; i < many; i++) {
		(void)next_random(&random);
		cr_assert_eq(rota_send_after(id[i % 16], ACT, &act, sizeof(act),
					     (int64_t)(random >> 36), NULL),
			     0); /* up to 268 ms */
	}
	quiesce();
	cr_assert_eq(tally_of(&n), many);
	engine_stop();
}

Test(timers, payloads_arrive_intact, .timeout = HANG)
{
	unsigned char bytes[ROTA_TIMER_PAYLOAD + 1];
	uint64_t value;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 0);
	for (size_t length = 0; length <= ROTA_TIMER_PAYLOAD; length++) {
		memset(bytes, (int)length, sizeof(bytes));
		cr_assert_eq(
			rota_send_after(id, 2, bytes, length, ROTA_MS(2), NULL),
			0);
		memset(bytes, 0xff, sizeof(bytes)); /* was copied */
		quiesce();
		value = 0;
		memset(&value, (int)length, length < 8 ? length : 8);
		cr_assert_eq(record.note[length].length, length);
		cr_assert_eq(record.note[length].value, value);
	}
	cr_assert_eq(
		rota_send_after(id, 2, bytes, ROTA_TIMER_PAYLOAD + 1, 0, NULL),
		-EMSGSIZE);
	engine_stop();
}

struct delayed {
	rota_id to;
	int64_t delay;
	rota_timer timer;
	int result;
	int cancel;
};

static int act_after(void *arg)
{
	struct delayed *delayed = arg;

	delayed->result =
		after(delayed->to, 5, delayed->delay, &delayed->timer);
	return 0;
}

static int act_cancel(void *arg)
{
	struct delayed *delayed = arg;

	delayed->cancel = rota_timer_cancel(delayed->timer);
	return 0;
}

Test(timers, names_the_caller_as_its_sender, .timeout = HANG)
{
	struct delayed delayed = {.delay = ROTA_MS(2)};
	rota_id from;

	engine_start(2);
	delayed.to = puppet_spawn(&record, 0);
	from = puppet_spawn(NULL, 0);
	ACTS(from, act_after, &delayed);
	quiesce();
	cr_assert_eq(delayed.result, 0);
	cr_assert_eq(record.note[0].sender, from);
	cr_assert_eq(after(delayed.to, 5, 0, NULL), 0);
	quiesce();
	cr_assert_eq(record.note[1].sender, ROTA_NONE);
	engine_stop();
}

/* The timer is the engine's: it fires though its maker is gone. */
Test(timers, outlives_its_sender, .timeout = HANG)
{
	struct delayed delayed = {.delay = ROTA_MS(30)};
	rota_id from;

	engine_start(2);
	delayed.to = puppet_spawn(&record, 0);
	from = puppet_spawn(NULL, 0);
	ACTS(from, act_after, &delayed);
	ACTS(from, act_self_stop, NULL);
	cr_assert_eq(rota_join(from, PATIENCE, NULL), 0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 1);
	cr_assert_eq(record.note[0].sender, from);
	engine_stop();
}

Test(timers, an_actor_may_remind_itself, .timeout = HANG)
{
	struct delayed delayed = {.delay = ROTA_US(50)};
	rota_id id;

	engine_start(1);
	id = delayed.to = puppet_spawn(&record, 1);
	for (size_t i = 0; i < 50; i++) {
		ACTS(id, act_after, &delayed);
		quiesce();
		cr_assert_eq(delayed.result, 0);
		cr_assert_eq(tally_of(&record.n), i + 1);
	}
	cr_assert_eq(record.note[0].sender, id);
	engine_stop();
}

/* ---- cancelling ---- */

Test(timers, a_cancelled_one_is_never_handled, .timeout = HANG)
{
	rota_timer timer[100];
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 0);
	for (size_t i = 0; i < 100; i++) {
		cr_assert_eq(after(id, i, i % 2 ? ROTA_MS(5) : ROTA_S(3600),
				   &timer[i]),
			     0);
		cr_assert_neq(timer[i], 0);
	}
	for (size_t i = 0; i < 100; i += 2)
		cr_assert_eq(rota_timer_cancel(timer[i]), 0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 50);
	for (size_t i = 0; i < 50; i++)
		cr_assert_eq(record.note[i].value % 2, 1);
	cr_assert_eq(n_dead(), 0);
	engine_stop();
}

Test(timers, is_cancelled_once_only, .timeout = HANG)
{
	rota_timer timer;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 0);
	cr_assert_eq(after(id, 1, ROTA_S(3600), &timer), 0);
	cr_assert_eq(rota_timer_cancel(timer), 0);
	cr_assert_eq(rota_timer_cancel(timer), -ESRCH);
	cr_assert_eq(after(id, 1, 0, &timer), 0);
	quiesce();
	cr_assert_eq(rota_timer_cancel(timer), -ESRCH); /* was handled */
	cr_assert_eq(rota_timer_cancel(0), -ESRCH);
	cr_assert_eq(tally_of(&record.n), 1);
	engine_stop();
	cr_assert_eq(rota_timer_cancel(timer), -ESRCH);
	cr_assert_eq(rota_timer_cancel(0), -ESRCH);
}

/* It had fired, and waited in the mailbox. */
Test(timers, a_cancelled_one_is_not_handled_though_queued, .timeout = HANG)
{
	struct hold hold = {0};
	rota_timer timer[10];
	rota_id other;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 64);
	other = puppet_spawn(&record, 64);
	hold_start(&hold, id);
	for (size_t i = 0; i < 10; i++) {
		cr_assert_eq(after(id, i, 0, &timer[i]), 0);
		cr_assert_eq(send_value(id, 2, i), 0);
	}
	/* By when this one is there, those have fired. */
	cr_assert_eq(after(other, 0, ROTA_MS(20), NULL), 0);
	AWAIT(tally_of(&record.n) == 1);
	for (size_t i = 0; i < 10; i += 2)
		cr_assert_eq(rota_timer_cancel(timer[i]), 0);
	hold_end(&hold);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 1 + 15);
	for (size_t i = 1; i < 16; i++)
		cr_assert(record.note[i].tag == 2 ||
			  record.note[i].value % 2 == 1);
	for (size_t i = 0; i < 10; i++)
		cr_assert_eq(rota_timer_cancel(timer[i]), -ESRCH);
	cr_assert_eq(n_dead(), 0);
	engine_stop();
}

static int act_cancel_in_hand(void *arg)
{
	struct delayed *delayed = *(struct delayed **)arg;

	return act_cancel(delayed);
}

Test(timers, one_in_hand_cannot_be_cancelled, .timeout = HANG)
{
	static struct delayed delayed;
	static struct delayed *self = &delayed;
	struct act act = {act_cancel_in_hand, &self};
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 0);
	cr_assert_eq(rota_send_after(id, ACT, &act, sizeof(act), ROTA_MS(50),
				     &delayed.timer),
		     0);
	quiesce();
	cr_assert_eq(delayed.cancel, -ESRCH);
	engine_stop();
}

Test(timers, a_handler_may_cancel, .timeout = HANG)
{
	struct delayed delayed = {.delay = ROTA_S(3600)};
	rota_id by;

	engine_start(2);
	by = puppet_spawn(NULL, 0);
	delayed.to = puppet_spawn(&record, 0);
	ACTS(by, act_after, &delayed);
	ACTS(by, act_cancel, &delayed);
	quiesce(); /* would wait an hour */
	cr_assert_eq(delayed.result, 0);
	cr_assert_eq(delayed.cancel, 0);
	cr_assert_eq(tally_of(&record.n), 0);
	engine_stop();
}

/* Cancelling races with firing: it is one or the other, exactly. */
#define RACERS 4

struct race {
	size_t n;
	rota_timer *timer;
	unsigned char *cancelled; /* per timer */
	struct tally go;
};

struct racer {
	struct race *race;
	size_t first;
};

static void *thread_cancel(void *arg)
{
	struct racer *racer = arg;
	struct race *race = racer->race;

	for (size_t i = racer->first; i < race->n; i += RACERS)
		race->cancelled[i] = rota_timer_cancel(race->timer[i]) == 0;
	return NULL;
}

static unsigned char *handled_timers;

static int race_handle(void *state, unsigned tag, void *payload, size_t length)
{
	(void)state;
	(void)tag;
	handled_timers[value_at(payload, length)]++;
	return 0;
}

static const struct rota_behaviour race_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "race",
	.handle = race_handle,
};

Test(timers, is_either_handled_or_cancelled, .timeout = HANG)
{
	struct race race = {.n = SIZED(20000, 4000)};
	struct racer racer[RACERS];
	pthread_t thread[RACERS];
	size_t n_cancelled = 0;
	rota_id id;

	race.timer = calloc(race.n, sizeof(*race.timer));
	race.cancelled = calloc(race.n, 1);
	handled_timers = calloc(race.n, 1);
	engine_start(2);
	id = spawn(&race_behaviour, NULL, 0);
	for (size_t i = 0; i < race.n; i++)
		cr_assert_eq(after(id, i, ROTA_US(i % 3000), &race.timer[i]),
			     0);
	for (size_t i = 0; i < RACERS; i++) {
		racer[i] = (struct racer){&race, i};
		thread[i] = thread_start(thread_cancel, &racer[i]);
	}
	for (size_t i = 0; i < RACERS; i++)
		thread_join(thread[i]);
	quiesce();
	for (size_t i = 0; i < race.n; i++) {
		cr_assert_eq(race.cancelled[i] + handled_timers[i], 1,
			     "timer %zu: cancelled %d, handled %d", i,
			     race.cancelled[i], handled_timers[i]);
		n_cancelled += race.cancelled[i];
	}
	cr_assert_eq(counters().messages, race.n - n_cancelled);
	cr_assert_eq(n_dead(), 0);
	engine_stop();
	free(race.timer);
	free(race.cancelled);
	free(handled_timers);
}

/* A name is never used again, however many timers come after. */
Test(timers, a_stale_name_cancels_nobody_else, .timeout = HANG)
{
	size_t n = SIZED(20000, 3000);
	rota_timer stale;
	rota_timer timer;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 0);
	cr_assert_eq(after(id, 0, ROTA_S(3600), &stale), 0);
	cr_assert_eq(rota_timer_cancel(stale), 0);
	for (size_t i = 0; i < n; i++) {
		cr_assert_eq(after(id, i, ROTA_S(3600), &timer), 0);
		cr_assert_neq(timer, stale);
		cr_assert_eq(rota_timer_cancel(stale), -ESRCH);
		cr_assert_eq(rota_timer_cancel(timer), 0);
	}
	quiesce();
	engine_stop();
}

Test(timers, any_64_bits_may_be_cancelled, .timeout = HANG)
{
	uint64_t random = 88172645463325252u;
	rota_id id;

	engine_start(1);
	id = puppet_spawn(&record, 0);
	cr_assert_eq(after(id, 1, ROTA_MS(100), NULL), 0);
	for (int i = 0; i < 100000; i++) {
		(void)next_random(&random);
		cr_assert_eq(rota_timer_cancel(random), -ESRCH,
			     "timer %016" PRIx64 ": %d", random,
			     rota_timer_cancel(random));
	}
	quiesce();
	cr_assert_eq(tally_of(&record.n), 1);
	engine_stop();
}

/* ---- the receiver is gone ---- */

Test(timers, to_one_that_is_gone_by_then_is_a_dead_letter, .timeout = HANG)
{
	int64_t took;
	rota_id id;
	size_t n;

	engine_start(2);
	do { /* again, where the machine took longer than the timer */
		quiesce();
		n = n_dead();
		took = -now_ns();
		id = puppet_spawn(&record, 0);
		cr_assert_eq(after(id, 77, ROTA_MS(50), NULL), 0);
		cr_assert_eq(rota_actor_stop(id), 0);
		cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
		took += now_ns();
	} while (took >= ROTA_MS(50));
	cr_assert_eq(after(id, 78, 0, NULL), -ESRCH); /* it is known now */
	quiesce();
	cr_assert_eq(n_dead(), n + 1);
	cr_assert_eq(morgue.letter[n].to, id);
	cr_assert_eq(morgue.letter[n].tag, 1);
	cr_assert_eq(morgue.letter[n].value, 77);
	cr_assert_eq(morgue.letter[n].length, 8);
	cr_assert_eq(morgue.letter[n].cause, ROTA_DEAD_NO_ACTOR);
	engine_stop();
}

/* ... also where the slot serves another by then. */
Test(timers, never_reaches_the_slots_next_owner, .timeout = HANG)
{
	enum { N = 200 };
	static struct record next;
	rota_id id;

	engine_start(1);
	for (uint64_t i = 0; i < N; i++) {
		id = puppet_spawn(&record, 0);
		cr_assert_eq(after(id, i, ROTA_MS(20), NULL), 0);
		cr_assert_eq(rota_actor_stop(id), 0);
		cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
		(void)puppet_spawn(&next, 0);
	}
	quiesce();
	cr_assert_eq(tally_of(&next.n), 0);
	/* On a busy machine some reached the one that they were for. */
	cr_assert_eq(tally_of(&record.n) + n_dead(), N);
	engine_stop();
}

Test(timers, a_cancelled_one_is_no_dead_letter, .timeout = HANG)
{
	rota_timer timer;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 0);
	cr_assert_eq(after(id, 77, ROTA_S(3600), &timer), 0);
	cr_assert_eq(rota_actor_stop(id), 0);
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
	cr_assert_eq(rota_timer_cancel(timer), 0);
	quiesce();
	cr_assert_eq(n_dead(), 0);
	engine_stop();
}

/* ---- refusals and the end ---- */

Test(timers, refuses_what_rota_send_refuses, .timeout = HANG)
{
	struct hold hold = {0};
	rota_timer timer = 12345;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 0);
	cr_assert_eq(rota_send_after(ROTA_NONE, 1, NULL, 0, 0, &timer), -ESRCH);
	cr_assert_eq(rota_send_after(id, ROTA_MAX_TAG + 1, NULL, 0, 0, &timer),
		     -EINVAL);
	hold_start(&hold, id);
	cr_assert_eq(rota_actor_drain(id), 0);
	cr_assert_eq(rota_send_after(id, 1, NULL, 0, 0, &timer), -ESHUTDOWN);
	cr_assert_eq(timer, 12345); /* set on success only */
	hold_end(&hold);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 0);
	engine_stop();
}

Test(timers, what_has_not_fired_ends_with_the_engine, .timeout = HANG)
{
	rota_timer timer;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 0);
	for (int i = 0; i < 1000; i++)
		cr_assert_eq(after(id, 1, ROTA_S(1 + i), &timer), 0);
	engine_stop();
	cr_assert_eq(tally_of(&record.n), 0);
	cr_assert_eq(rota_timer_cancel(timer), -ESRCH);
}

/* An engine without any other work wakes up for them. */
Test(timers, wakes_a_sleeping_engine, .timeout = HANG)
{
	rota_id id;

	engine_start(4);
	id = puppet_spawn(&record, 0);
	for (size_t i = 0; i < 20; i++) {
		cr_assert_eq(after(id, i, ROTA_MS(5), NULL), 0);
		AWAIT(tally_of(&record.n) == i + 1);
	}
	engine_stop();
}
