/* SPDX-License-Identifier: MIT */
/*
 * own - moved buffers: dropped exactly once, whatever happens
 */
#include "tests/unit/support.h"

/* ---- buffers that know how often they were dropped ---- */

#define MAX_BUFFERS 256

struct buffer {
	struct tally dropped;
	struct tally dropped_otherwise; /* by drop_otherwise() */
	struct tally bad_length;
	unsigned char bytes[100];
};

static struct buffer buffer[MAX_BUFFERS];

#define LENGTH sizeof(struct buffer)

static void drop(void *dropped, size_t length)
{
	struct buffer *b = dropped;

	tally_add(&b->dropped, 1);
	if (length != LENGTH)
		tally_add(&b->bad_length, 1);
}

static void drop_otherwise(void *dropped, size_t length)
{
	struct buffer *b = dropped;

	tally_add(&b->dropped_otherwise, 1);
	if (length != LENGTH)
		tally_add(&b->bad_length, 1);
}

static void expect_drops(size_t i, size_t n)
{
	cr_assert_eq(tally_of(&buffer[i].dropped), n, "buffer %zu: %zu drops",
		     i, tally_of(&buffer[i].dropped));
	cr_assert_eq(tally_of(&buffer[i].bad_length), 0);
}

static int send_buffer(rota_id to, size_t i, int64_t within)
{
	return rota_send_own(to, 1, &buffer[i], LENGTH, drop, within);
}

/* ---- an actor that does with buffers what it was told ---- */

struct owner {
	void (*use)(struct owner *owner, struct buffer *b, size_t length);
	int result;	    /* of the handler */
	struct tally n;	    /* buffers seen */
	struct tally early; /* dropped before the handler has returned */
	rota_id next;	    /* for use_move_on() */
	int got[4];	    /* results that use() saw */
	struct hold hold;
	struct flag moved;
};

static int owner_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct owner *owner = *(struct owner **)state;
	struct act act;

	if (tag == ACT) {
		memcpy(&act, payload, sizeof(act));
		return act.run(act.arg);
	}
	if (owner->use)
		owner->use(owner, payload, length);
	else if (tally_of(&((struct buffer *)payload)->dropped))
		tally_add(&owner->early, 1);
	tally_add(&owner->n, 1);
	return owner->result;
}

static const struct rota_behaviour owner_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "owner",
	.state_size = sizeof(struct owner *),
	.handle = owner_handle,
};

static rota_id owner_spawn(struct owner *owner, unsigned capacity)
{
	return spawn(&owner_behaviour, &owner, capacity);
}

/* ---- handled ---- */

Test(own, the_receiver_gets_the_very_buffer, .timeout = HANG)
{
	static struct record record;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 0);
	memcpy(&buffer[0], "\1\2\3\4\5\6\7", 8);
	cr_assert_eq(
		rota_send_own(id, 7, &buffer[0], LENGTH, NULL, ROTA_FOREVER),
		0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 1);
	cr_assert_eq(record.note[0].tag, 7);
	cr_assert_eq(record.note[0].length, LENGTH);
	cr_assert_eq(record.note[0].value, UINT64_C(0x0007060504030201));
	engine_stop();
}

static void use_pointer(struct owner *owner, struct buffer *b, size_t length)
{
	owner->got[0] = b == &buffer[5];
	owner->got[1] = length == LENGTH;
}

Test(own, is_moved_not_copied, .timeout = HANG)
{
	static struct owner owner = {.use = use_pointer};

	engine_start(2);
	cr_assert_eq(send_buffer(owner_spawn(&owner, 0), 5, ROTA_FOREVER), 0);
	quiesce();
	cr_assert(owner.got[0]);
	cr_assert(owner.got[1]);
	engine_stop();
}

Test(own, is_dropped_once_after_the_handler, .timeout = HANG)
{
	static struct owner owner;
	rota_id id;

	engine_start(2);
	id = owner_spawn(&owner, 0);
	for (size_t i = 0; i < 100; i++)
		cr_assert_eq(send_buffer(id, i, ROTA_FOREVER), 0);
	quiesce();
	cr_assert_eq(tally_of(&owner.n), 100);
	cr_assert_eq(tally_of(&owner.early), 0);
	for (size_t i = 0; i < 100; i++)
		expect_drops(i, 1);
	engine_stop();
	for (size_t i = 0; i < 100; i++)
		expect_drops(i, 1);
}

Test(own, is_not_nothing_with_a_length, .timeout = HANG)
{
	rota_id id;

	engine_start(1);
	id = puppet_spawn(NULL, 0);
	cr_assert_eq(rota_send_own(id, 1, NULL, 8, NULL, ROTA_NOW), -EINVAL);
	cr_assert_eq(rota_send_own(id, 1, NULL, 0, NULL, ROTA_NOW), 0);
	expect_conserved(1);
	engine_stop();
}

Test(own, may_be_of_any_size, .timeout = HANG)
{
	static struct record record;
	static const size_t sizes[] = {1, 40, 65536, 65537, 3000000};
	char *bytes = calloc(1, 3000000);
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 0);
	for (size_t i = 0; i < 5; i++) {
		cr_assert_eq(rota_send_own(id, 1, bytes, sizes[i], NULL,
					   ROTA_FOREVER),
			     0);
		quiesce();
		cr_assert_eq(record.note[i].length, sizes[i]);
	}
	engine_stop();
	free(bytes);
}

static void drop_by_free(void *dropped, size_t length)
{
	(void)length;
	free(dropped);
}

/* For the sanitizers: real memory, really freed. */
Test(own, memory_is_neither_leaked_nor_freed_twice, .timeout = HANG)
{
	static struct record record;
	struct hold hold = {0};
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 64);
	for (size_t i = 0; i < 200; i++)
		cr_assert_eq(rota_send_own(id, 1, calloc(1, 100 + i), 100 + i,
					   drop_by_free, ROTA_FOREVER),
			     0);
	quiesce();
	hold_start(&hold, id);
	for (size_t i = 0; i < 60; i++)
		cr_assert_eq(rota_send_own(id, 1, calloc(1, 100 + i), 100 + i,
					   drop_by_free, ROTA_FOREVER),
			     0);
	engine_stop();
	cr_assert_eq(tally_of(&record.n), 200);
	cr_assert_eq(n_dead(), 60);
}

/* ---- kept ---- */

static void use_keep(struct owner *owner, struct buffer *b, size_t length)
{
	(void)b;
	(void)length;
	owner->got[0] = rota_keep();
	owner->got[1] = rota_keep();
}

Test(own, a_kept_one_is_not_dropped, .timeout = HANG)
{
	static struct owner owner = {.use = use_keep};

	engine_start(2);
	cr_assert_eq(send_buffer(owner_spawn(&owner, 0), 0, ROTA_FOREVER), 0);
	quiesce();
	cr_assert_eq(owner.got[0], 0);
	cr_assert_eq(owner.got[1], -EINVAL); /* once only */
	engine_stop();
	expect_drops(0, 0);
}

Test(own, a_kept_one_is_not_dropped_when_the_handler_fails, .timeout = HANG)
{
	static struct owner owner = {.use = use_keep, .result = -EIO};

	engine_start(2);
	cr_assert_eq(send_buffer(owner_spawn(&owner, 0), 0, ROTA_FOREVER), 0);
	quiesce();
	engine_stop();
	expect_drops(0, 0);
}

static int act_keep(void *arg)
{
	*(int *)arg = rota_keep();
	return 0;
}

Test(own, only_moved_buffers_can_be_kept, .timeout = HANG)
{
	int result = 0;

	engine_start(2);
	ACTS(puppet_spawn(NULL, 0), act_keep, &result);
	quiesce();
	cr_assert_eq(result, -EINVAL);
	cr_assert_eq(rota_keep(), -EINVAL); /* no handler, no message */
	engine_stop();
}

static void use_keep_then_send(struct owner *owner, struct buffer *b,
			       size_t length)
{
	owner->got[0] = rota_keep();
	owner->got[1] = rota_send_own(owner->next, 1, b, length, drop_otherwise,
				      ROTA_FOREVER);
}

Test(own, a_kept_one_may_be_sent_again, .timeout = HANG)
{
	static struct owner first = {.use = use_keep_then_send};
	static struct owner second;

	engine_start(2);
	first.next = owner_spawn(&second, 0);
	cr_assert_eq(send_buffer(owner_spawn(&first, 0), 0, ROTA_FOREVER), 0);
	quiesce();
	cr_assert_eq(first.got[0], 0);
	cr_assert_eq(first.got[1], 0);
	cr_assert_eq(tally_of(&second.n), 1);
	engine_stop();
	expect_drops(0, 0);
	cr_assert_eq(tally_of(&buffer[0].dropped_otherwise), 1);
}

/* ---- moved on ---- */

static void use_move_on(struct owner *owner, struct buffer *b, size_t length)
{
	flag_raise(&owner->moved);
	owner->got[0] = rota_send_own(owner->next, 1, b, length, drop_otherwise,
				      ROTA_FOREVER);
	owner->got[1] = owner->got[0] ? 0 : rota_keep();
}

Test(own, one_moved_on_is_dropped_by_the_last_only, .timeout = HANG)
{
	static struct owner first = {.use = use_move_on};
	static struct owner second;

	engine_start(2);
	first.next = owner_spawn(&second, 0);
	cr_assert_eq(send_buffer(owner_spawn(&first, 0), 0, ROTA_FOREVER), 0);
	quiesce();
	cr_assert_eq(first.got[0], 0);
	cr_assert_eq(first.got[1], -EINVAL); /* it is no longer in hand */
	cr_assert_eq(tally_of(&second.n), 1);
	engine_stop();
	expect_drops(0, 0);
	cr_assert_eq(tally_of(&buffer[0].dropped_otherwise), 1);
}

Test(own, one_moves_on_through_many_hands, .timeout = HANG)
{
	static struct owner hand[50];
	size_t drops;

	engine_start(2);
	for (size_t i = 0; i < 50; i++) {
		rota_id id = owner_spawn(&hand[i], 1);

		if (i < 49)
			hand[i + 1].next = id;
		if (i > 0)
			hand[i].use = use_move_on;
		if (i == 49)
			for (size_t j = 0; j < 100; j++)
				cr_assert_eq(send_buffer(id, j, ROTA_FOREVER),
					     0);
	}
	quiesce();
	cr_assert_eq(tally_of(&hand[0].n), 100);
	engine_stop();
	for (size_t i = 0; i < 100; i++) {
		drops = tally_of(&buffer[i].dropped_otherwise);
		expect_drops(i, 0);
		cr_assert_eq(drops, 1);
	}
}

/* Where it cannot move on it is still in hand, and dropped from there. */
Test(own, one_that_cannot_move_on_is_dropped_once, .timeout = HANG)
{
	static struct owner owner = {.use = use_move_on};

	engine_start(2);
	owner.next = puppet_spawn(NULL, 0);
	cr_assert_eq(rota_actor_stop(owner.next), 0);
	cr_assert_eq(rota_join(owner.next, PATIENCE, NULL), 0);
	cr_assert_eq(send_buffer(owner_spawn(&owner, 0), 0, ROTA_FOREVER), 0);
	quiesce();
	cr_assert_eq(owner.got[0], -ESRCH);
	engine_stop();
	expect_drops(0, 1);
	cr_assert_eq(tally_of(&buffer[0].dropped_otherwise), 0);
}

Test(own, one_waiting_to_move_on_is_dropped_once_when_cancelled,
     .timeout = HANG)
{
	static struct owner owner = {.use = use_move_on};
	struct hold hold = {0};
	rota_id id;

	engine_start(2);
	owner.next = puppet_spawn(NULL, 1);
	hold_start(&hold, owner.next);
	id = owner_spawn(&owner, 0);
	cr_assert_eq(send_buffer(id, 0, ROTA_FOREVER), 0);
	AWAIT(flag_is_up(&owner.moved) && counters().waits >= 2);
	cr_assert_eq(rota_actor_stop(id), 0);
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
	cr_assert_eq(owner.got[0], -ECANCELED);
	expect_drops(0, 1);
	hold_end(&hold);
	engine_stop();
	expect_drops(0, 1);
	cr_assert_eq(tally_of(&buffer[0].dropped_otherwise), 0);
}

/* ---- never handled ---- */

Test(own, one_of_an_unknown_kind_is_dropped_once, .timeout = HANG)
{
	static struct owner owner = {.result = ROTA_UNKNOWN};

	engine_start(2);
	cr_assert_eq(send_buffer(owner_spawn(&owner, 0), 0, ROTA_FOREVER), 0);
	quiesce();
	engine_stop();
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_UNKNOWN]), 1);
	expect_drops(0, 1);
}

Test(own, one_whose_handler_fails_is_dropped_once, .timeout = HANG)
{
	static struct owner owner = {.result = -EIO};
	rota_id id;

	engine_start(2);
	id = owner_spawn(&owner, 0);
	cr_assert_eq(send_buffer(id, 0, ROTA_FOREVER), 0);
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
	expect_drops(0, 1);
	engine_stop();
	expect_drops(0, 1);
}

static void leftovers(bool by_engine)
{
	static struct owner owner;
	struct hold hold = {0};
	rota_id id;

	engine_start(2);
	id = owner_spawn(&owner, 64);
	hold_start(&hold, id);
	for (size_t i = 0; i < 63; i++)
		cr_assert_eq(send_buffer(id, i, ROTA_NOW), 0);
	cr_assert_eq(send_buffer(id, 63, ROTA_NOW), -EAGAIN);
	if (!by_engine) {
		cr_assert_eq(rota_actor_stop(id), 0);
		cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
		quiesce();
		for (size_t i = 0; i < 63; i++)
			expect_drops(i, 1);
	}
	engine_stop();
	for (size_t i = 0; i < 63; i++)
		expect_drops(i, 1);
	expect_drops(63, 0);
	cr_assert_eq(tally_of(&owner.n), 0);
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_STOPPED]), 63);
}

Test(own, leftovers_of_a_stopped_actor_are_dropped_once, .timeout = HANG)
{
	leftovers(false);
}

Test(own, leftovers_at_the_engines_end_are_dropped_once, .timeout = HANG)
{
	leftovers(true);
}

/* The callback sees the buffer whole: it is dropped afterwards. */
struct autopsy {
	struct tally n;
	struct tally dropped;
};

static void examine(void *context, const struct rota_dead_letter *dead)
{
	struct autopsy *autopsy = context;
	const struct buffer *b = dead->payload;

	tally_add(&autopsy->n, 1);
	if (b->dropped.n || dead->length != LENGTH)
		tally_add(&autopsy->dropped, 1);
}

Test(own, a_dead_letter_is_dropped_after_the_callback, .timeout = HANG)
{
	static struct autopsy autopsy;
	static struct owner owner = {.result = ROTA_UNKNOWN};
	struct rota_config config = test_config(2);

	config.dead_letter = examine;
	config.context = &autopsy;
	engine = engine_make(&config);
	cr_assert_eq(send_buffer(owner_spawn(&owner, 0), 0, ROTA_FOREVER), 0);
	quiesce();
	engine_stop();
	cr_assert_eq(tally_of(&autopsy.n), 1);
	cr_assert_eq(tally_of(&autopsy.dropped), 0);
	expect_drops(0, 1);
}

/* ---- refused: still the caller's ---- */

Test(own, an_urgent_one_is_dropped_once_too, .timeout = HANG)
{
	static struct owner owner;
	struct hold hold = {0};
	rota_id id;

	engine_start(2);
	id = owner_spawn(&owner, 3);
	cr_assert_eq(rota_send_own_urgent(id, 1, &buffer[0], LENGTH, drop,
					  ROTA_FOREVER),
		     0);
	quiesce();
	expect_drops(0, 1);
	hold_start(&hold, id);
	for (size_t i = 1; i < 3; i++)
		cr_assert_eq(rota_send_own_urgent(id, 1, &buffer[i], LENGTH,
						  drop, ROTA_NOW),
			     0);
	cr_assert_eq(
		rota_send_own_urgent(id, 1, &buffer[3], LENGTH, drop, ROTA_NOW),
		-EAGAIN);
	cr_assert_eq(rota_actor_stop(id), 0);
	quiesce();
	for (size_t i = 1; i < 3; i++)
		expect_drops(i, 1);
	expect_drops(3, 0);
	engine_stop();
}

Test(own, a_refused_one_stays_the_callers, .timeout = HANG)
{
	struct hold hold = {0};
	rota_id gone;
	rota_id full;
	rota_id closed;

	engine_start(2);
	gone = puppet_spawn(NULL, 0);
	cr_assert_eq(rota_actor_stop(gone), 0);
	cr_assert_eq(rota_join(gone, PATIENCE, NULL), 0);
	full = puppet_spawn(NULL, 1);
	hold_start(&hold, full);

	cr_assert_eq(send_buffer(ROTA_NONE, 0, ROTA_FOREVER), -ESRCH);
	cr_assert_eq(send_buffer(gone, 0, ROTA_FOREVER), -ESRCH);
	cr_assert_eq(send_buffer(full, 0, ROTA_NOW), -EAGAIN);
	cr_assert_eq(send_buffer(full, 0, ROTA_MS(1)), -ETIMEDOUT);
	cr_assert_eq(rota_send_own(full, ROTA_MAX_TAG + 1, &buffer[0], LENGTH,
				   drop, ROTA_FOREVER),
		     -EINVAL);
	closed = full;
	cr_assert_eq(rota_actor_drain(closed), 0);
	cr_assert_eq(send_buffer(closed, 0, ROTA_FOREVER), -ESHUTDOWN);
	hold_end(&hold);
	engine_stop();
	cr_assert_eq(send_buffer(gone, 0, ROTA_FOREVER), -ESRCH);
	expect_drops(0, 0);
	cr_assert_eq(n_dead(), 0);
}

/* ---- waited for ---- */

struct own_sender {
	rota_id to;
	struct tally thread;
	int result;
};

static void *thread_send_buffer(void *arg)
{
	struct own_sender *sender = arg;

	tally_add(&sender->thread, (size_t)thread_number());
	sender->result = send_buffer(sender->to, 0, ROTA_FOREVER);
	return NULL;
}

static void waits_with_buffer(bool is_stopped)
{
	static struct owner owner;
	struct own_sender sender = {0};
	struct hold hold = {0};
	pthread_t thread;

	engine_start(2);
	sender.to = owner_spawn(&owner, 1);
	hold_start(&hold, sender.to);
	thread = thread_start(thread_send_buffer, &sender);
	await_sleep(&sender.thread);
	expect_drops(0, 0);
	if (is_stopped)
		cr_assert_eq(rota_actor_stop(sender.to), 0);
	else
		hold_end(&hold);
	thread_join(thread);
	if (is_stopped)
		cr_assert(sender.result == -ESRCH ||
			  sender.result == -ESHUTDOWN);
	else
		cr_assert_eq(sender.result, 0);
	quiesce();
	engine_stop();
	expect_drops(0, is_stopped ? 0 : 1);
	cr_assert_eq(tally_of(&owner.n), is_stopped ? 0 : 1);
}

Test(own, one_that_waited_for_room_is_dropped_once, .timeout = HANG)
{
	waits_with_buffer(false);
}

Test(own, one_that_waited_in_vain_stays_the_callers, .timeout = HANG)
{
	waits_with_buffer(true);
}

/* ---- corners ---- */

Test(own, without_a_drop_function_nothing_is_called, .timeout = HANG)
{
	struct hold hold = {0};
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 4);
	cr_assert_eq(rota_send_own(id, 1, &buffer[0], LENGTH, NULL, 0), 0);
	quiesce();
	hold_start(&hold, id);
	cr_assert_eq(rota_send_own(id, 1, &buffer[0], LENGTH, NULL, 0), 0);
	engine_stop();
	cr_assert_eq(n_dead(), 1);
}

static struct tally empty_drops;

static void drop_empty(void *dropped, size_t length)
{
	if (!dropped && !length)
		tally_add(&empty_drops, 1);
}

Test(own, an_empty_one_is_dropped_too, .timeout = HANG)
{
	static struct record record;

	engine_start(2);
	cr_assert_eq(rota_send_own(puppet_spawn(&record, 0), 1, NULL, 0,
				   drop_empty, ROTA_FOREVER),
		     0);
	quiesce();
	engine_stop();
	cr_assert_eq(tally_of(&record.n), 1);
	cr_assert_eq(tally_of(&empty_drops), 1);
}
