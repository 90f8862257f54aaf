/* SPDX-License-Identifier: MIT */
/*
 * turn - a handler that waits: what it keeps, and what others do meanwhile
 */
#include <alloca.h>

#include "tests/unit/support.h"

static struct record record;

/* ---- what it keeps ---- */

struct keeper {
	struct hold hold;
	size_t bytes; /* of stack */
	int bad;
	int error_before;
	int error_after;
	long thread_before;
	long thread_after;
};

/* Fill some stack, wait, and see whether it is still as it was. */
static int act_keep_locals(void *arg)
{
	struct keeper *keeper = arg;
	volatile unsigned char *local = alloca(keeper->bytes);
	volatile uint64_t a = 0x0123456789abcdef;
	volatile double b = 0.1;

	for (size_t i = 0; i < keeper->bytes; i++)
		local[i] = (unsigned char)(i * 7);
	errno = keeper->error_before;
	keeper->thread_before = thread_number();
	act_hold(&keeper->hold);
	keeper->thread_after = thread_number();
	keeper->error_after = errno;
	for (size_t i = 0; i < keeper->bytes; i++)
		if (local[i] != (unsigned char)(i * 7))
			keeper->bad++;
	if (a != 0x0123456789abcdef || b < 0.1 || b > 0.1)
		keeper->bad++;
	return 0;
}

#define KEEPERS 64

Test(turn, keeps_its_locals_errno_and_thread, .timeout = HANG)
{
	static struct keeper keeper[KEEPERS];

	engine_start(4);
	for (int i = 0; i < KEEPERS; i++) {
		keeper[i].bytes = 100 + (size_t)i * 1000;
		keeper[i].error_before = 1 + i;
		keeper[i].hold.gate = puppet_spawn(NULL, 1);
		ACTS(puppet_spawn(NULL, 1), act_keep_locals, &keeper[i]);
	}
	AWAIT(counters().waits >= KEEPERS);
	for (int i = KEEPERS - 1; i >= 0; i--)
		cr_assert_eq(rota_actor_stop(keeper[i].hold.gate), 0);
	quiesce();
	for (int i = 0; i < KEEPERS; i++) {
		cr_assert_eq(keeper[i].hold.result, 0);
		cr_assert_eq(keeper[i].bad, 0, "turn %d", i);
		cr_assert_eq(keeper[i].error_after, 1 + i);
		cr_assert_eq(keeper[i].thread_after, keeper[i].thread_before);
	}
	engine_stop();
}

/* 256 KiB are there unless another size was asked for. */
static void deep(size_t stack_size, size_t bytes)
{
	static struct keeper keeper;
	struct rota_config config = test_config(2);

	memset(&keeper, 0, sizeof(keeper));
	config.stack_size = stack_size;
	engine = engine_make(&config);
	keeper.bytes = bytes;
	keeper.hold.gate = puppet_spawn(NULL, 1);
	ACTS(puppet_spawn(NULL, 1), act_keep_locals, &keeper);
	AWAIT(counters().waits >= 1);
	cr_assert_eq(rota_actor_stop(keeper.hold.gate), 0);
	quiesce();
	cr_assert_eq(keeper.bad, 0);
	engine_stop();
}

Test(turn, has_a_stack_of_256_kib, .timeout = HANG)
{
	deep(0, 240 * 1024);
}

Test(turn, has_a_stack_of_the_size_asked_for, .timeout = HANG)
{
	deep(64 * 1024, 48 * 1024);
	deep(4 * 1024 * 1024, 4000 * 1024);
}

/* A format with floating point: needs an aligned stack and some of it. */
static int act_print(void *arg)
{
	char *line = arg;

	snprintf(line, 64, "%.3f %Lg %s", 1.5, 2.5L, rota_strerror(-ESRCH));
	return 0;
}

Test(turn, may_call_what_any_function_may, .timeout = HANG)
{
	static char line[64];
	char expected[64];

	engine_start(1);
	ACTS(puppet_spawn(NULL, 0), act_print, line);
	quiesce();
	act_print(expected);
	cr_assert_str_eq(line, expected);
	engine_stop();
}

/* Waits over and over, of every kind, in one turn. */
struct sleeper {
	rota_id gate;
	rota_id full;
	size_t n;
	size_t bad;
};

static int act_wait_often(void *arg)
{
	struct sleeper *sleeper = arg;
	uint64_t value = 0;

	for (size_t i = 0; i < sleeper->n; i++) {
		if (rota_join(sleeper->gate, ROTA_US(20), NULL) != -ETIMEDOUT)
			sleeper->bad++;
		if (rota_send_within(sleeper->full, 1, &value, 8,
				     ROTA_US(20)) != -ETIMEDOUT)
			sleeper->bad++;
	}
	return 0;
}

Test(turn, may_wait_as_often_as_it_likes, .timeout = HANG)
{
	struct sleeper sleeper[4];
	struct hold hold = {0};
	rota_id full;

	engine_start(2);
	full = puppet_spawn(NULL, 1);
	hold_start(&hold, full);
	for (int i = 0; i < 4; i++) {
		sleeper[i] =
			(struct sleeper){hold.gate, full, SIZED(500, 100), 0};
		ACTS(puppet_spawn(NULL, 0), act_wait_often, &sleeper[i]);
	}
	AWAIT(counters().messages >= 4);
	hold_end(&hold);
	quiesce();
	for (int i = 0; i < 4; i++)
		cr_assert_eq(sleeper[i].bad, 0);
	engine_stop();
}

/* ---- what others do meanwhile ---- */

Test(turn, handles_nothing_else_while_it_waits, .timeout = HANG)
{
	struct hold hold = {0};
	uint64_t value = 0;
	rota_id other;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 64);
	other = puppet_spawn(NULL, 64);
	hold_start(&hold, id);
	for (int i = 0; i < 10; i++) {
		cr_assert_eq(send_value(id, 1, 1), 0);
		cr_assert_eq(rota_send_urgent(id, 1, &value, 8), 0);
		cr_assert_eq(rota_send_after(id, 1, NULL, 0, 0, NULL), 0);
	}
	for (int i = 0; i < 50; i++)
		cr_assert_eq(send_value(other, 1, 1), 0);
	AWAIT(counters().messages >= 50);
	cr_assert_eq(tally_of(&record.n), 0);
	hold_end(&hold);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 30);
	engine_stop();
}

Test(turn, leaves_its_worker_to_others, .timeout = HANG)
{
	struct hold hold[20];

	engine_start(1);
	for (int i = 0; i < 20; i++) {
		hold[i] = (struct hold){0};
		hold_start(&hold[i], puppet_spawn(NULL, 0));
	}
	for (size_t i = 0; i < 100; i++) {
		rota_id id = puppet_spawn(&record, 0);

		cr_assert_eq(send_value(id, 1, i), 0);
		AWAIT(tally_of(&record.n) == i + 1);
	}
	for (int i = 0; i < 20; i++)
		hold_end(&hold[(i * 7) % 20]);
	engine_stop();
}

/* ---- many ---- */

/* gcc's ThreadSanitizer dies at 8,128 fibers. */
#define MANY SIZED(20000u, 4000u)

struct crowd {
	rota_id gate;
	struct tally woken;
	struct tally bad;
};

static int act_in_crowd(void *arg)
{
	struct crowd *crowd = arg;
	volatile rota_id self = rota_self();

	if (rota_join(crowd->gate, ROTA_FOREVER, NULL) || self != rota_self())
		tally_add(&crowd->bad, 1);
	tally_add(&crowd->woken, 1);
	return 0;
}

static void crowd(unsigned workers)
{
	static struct crowd crowd;

	memset(&crowd, 0, sizeof(crowd));
	engine_start(workers);
	crowd.gate = puppet_spawn(NULL, 1);
	for (size_t i = 0; i < MANY; i++)
		ACTS(puppet_spawn(NULL, 1), act_in_crowd, &crowd);
	AWAIT(counters().waits >= MANY);
	cr_assert_eq(tally_of(&crowd.woken), 0);
	cr_assert_eq(rota_actor_stop(crowd.gate), 0);
	quiesce();
	cr_assert_eq(tally_of(&crowd.woken), MANY);
	cr_assert_eq(tally_of(&crowd.bad), 0);
	engine_stop();
}

Test(turn, many_wait_at_once, .timeout = HANG)
{
	crowd(2);
}

Test(turn, many_wait_at_once_on_one_worker, .timeout = HANG)
{
	crowd(1);
}

/* Stopped all at once while they wait. */
Test(turn, many_are_cancelled_when_the_engine_stops, .timeout = HANG)
{
	static struct crowd crowd;

	engine_start(2);
	crowd.gate = puppet_spawn(NULL, 1);
	for (size_t i = 0; i < MANY / 4; i++)
		ACTS(puppet_spawn(NULL, 1), act_in_crowd, &crowd);
	AWAIT(counters().waits >= MANY / 4);
	engine_stop();
	cr_assert_eq(tally_of(&crowd.woken), MANY / 4);
}

/* ---- no message in hand ---- */

static struct {
	rota_id sender;
	int kept;
	unsigned n;
} last_words;

static void note_last_words(void *state)
{
	(void)state;
	last_words.sender = rota_sender();
	last_words.kept = rota_keep();
	last_words.n++;
}

static const struct rota_behaviour dying_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "dying",
	.state_size = sizeof(struct puppet),
	.handle = puppet_handle,
	.destroy = note_last_words,
};

/* A turn that only ends its actor follows one that had a message in hand. */
Test(turn, of_a_destructor_has_no_message_in_hand, .timeout = HANG)
{
	struct sending sending;
	rota_id id, other;

	engine_start(1);
	id = spawn(&dying_behaviour, &(struct puppet){NULL}, 0);
	other = puppet_spawn(NULL, 0);
	for (int i = 0; i < 3; i++) {
		sending = sending_to(other, 1, 1);
		ACTS(puppet_spawn(NULL, 0), act_sending, &sending);
		quiesce();
	}
	cr_assert_eq(rota_actor_stop(id), 0);
	quiesce();
	cr_assert_eq(last_words.n, 1);
	cr_assert_eq(last_words.sender, ROTA_NONE);
	cr_assert_eq(last_words.kept, -EINVAL);
	engine_stop();
}
