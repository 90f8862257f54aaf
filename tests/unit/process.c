/* SPDX-License-Identifier: MIT */
/*
 * process - accept, stash and become: does an actor get what it asked for, in
 * order, and does nothing get lost that it did not?
 */
#include <rota/closure.h>
#include <rota/process.h>
#include <rota/status.h>

#include "tests/unit/support.h"

/* A puppet with a will: what each message of a tag does. */
enum { NOTE, STASH = 20, UNSTASH, ACCEPT, ACCEPT_ALL, BECOME };

static struct tally put_back;
static int last_error;

static const struct rota_behaviour other_behaviour;

static int chooser_handle(void *state, unsigned tag, void *payload,
			  size_t length)
{
	struct puppet *puppet = state;
	struct rota_tags tags;
	int error = 0;

	record_note(puppet->record, tag, payload, length);
	switch (tag) {
	case STASH:
		error = rota_stash();
		break;
	case UNSTASH:
		tally_add(&put_back, (size_t)rota_unstash());
		break;
	case ACCEPT:
		tags = rota_tags_of((unsigned)value_at(payload, length));
		rota_tags_add(&tags, ACCEPT_ALL);
		error = rota_accept(&tags);
		break;
	case ACCEPT_ALL:
		error = rota_accept(NULL);
		break;
	case BECOME:
		error = rota_become(&other_behaviour);
		break;
	}
	if (error)
		last_error = error;
	return 0;
}

static const struct rota_behaviour chooser_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "chooser",
	.state_size = sizeof(struct puppet),
	.handle = chooser_handle,
	.destroy = puppet_destroy,
};

static int other_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct puppet *puppet = state;
	uint64_t value = 1000 + value_at(payload, length);

	record_note(puppet->record, tag, &value, sizeof(value));
	return 0;
}

static const struct rota_behaviour other_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "other",
	.state_size = sizeof(struct puppet),
	.handle = other_handle,
};

static struct record *record;
static rota_id chooser;

static void start(unsigned workers, unsigned mailbox, unsigned flags)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;

	engine_start(workers);
	record = calloc(1, sizeof(*record));
	options.mailbox = mailbox;
	options.flags = flags;
	chooser = rota_spawn(engine, &chooser_behaviour,
			     &(struct puppet){record}, &options);
	cr_assert_eq(rota_id_error(chooser), 0);
}

static void end(void)
{
	engine_stop();
	free(record);
	cr_assert_eq(last_error, 0, "%d", last_error);
}

/* All at once, so that they are one batch. */
static void send_all(const unsigned *tags, size_t n)
{
	struct stall stall = {.go = {0}};

	stall_start(&stall, puppet_spawn(NULL, 0));
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(send_value(chooser, tags[i], i), 0);
	flag_raise(&stall.go);
	quiesce();
}

static void send_each(const unsigned *tags, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		cr_assert_eq(send_value(chooser, tags[i], i), 0);
		quiesce();
	}
}

static void expect_values(const uint64_t *values, size_t n)
{
	cr_assert_eq(tally_of(&record->n), n, "%zu", tally_of(&record->n));
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(record->note[i].value, values[i], "%zu: %" PRIu64,
			     i, record->note[i].value);
}

#define EXPECT(...)                              \
	expect_values((uint64_t[]){__VA_ARGS__}, \
		      sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))
#define SEND_ALL(...)                       \
	send_all((unsigned[]){__VA_ARGS__}, \
		 sizeof((unsigned[]){__VA_ARGS__}) / sizeof(unsigned))
#define SEND_EACH(...)                       \
	send_each((unsigned[]){__VA_ARGS__}, \
		  sizeof((unsigned[]){__VA_ARGS__}) / sizeof(unsigned))

/* With and without ROTA_ANYWHERE, one by one and in a batch. */
#define ALL_WAYS(mailbox, expected, ...)                                     \
	for (unsigned way_ = 0; way_ < 4; way_++) {                          \
		start(1, (mailbox), way_ & 1 ? (unsigned)ROTA_ANYWHERE : 0); \
		if (way_ & 2)                                                \
			SEND_EACH(__VA_ARGS__);                              \
		else                                                         \
			SEND_ALL(__VA_ARGS__);                               \
		expected;                                                    \
		end();                                                       \
	}

/* ---- the stash ---- */

Test(process, stashed_messages_come_back_in_front, .timeout = HANG)
{
	/* 0 and 1 are put aside, 3 puts them back: again put aside. */
	for (unsigned flags = 0; flags <= ROTA_ANYWHERE; flags++) {
		start(1, 0, flags);
		SEND_ALL(STASH, STASH, NOTE, UNSTASH, NOTE);
		EXPECT(0, 1, 2, 3, 0, 1, 4);
		cr_assert_eq(tally_of(&put_back), 2 * (flags + 1));
		SEND_EACH(UNSTASH);
		EXPECT(0, 1, 2, 3, 0, 1, 4, 0, 0, 1);
		engine_stop();
		free(record);
		tally_add(&put_back, (size_t)-2);
	}
	cr_assert_eq(last_error, 0);
}

Test(process, stashed_messages_come_back_into_their_lanes, .timeout = HANG)
{
	for (unsigned flags = 0; flags <= (unsigned)ROTA_ANYWHERE;
	     flags += (unsigned)ROTA_ANYWHERE) {
		uint64_t urgent[2] = {2, 3};

		start(1, 0, flags | ROTA_TAKES_URGENT);
		SEND_EACH(STASH, STASH); /* 0 and 1 */
		for (size_t i = 0; i < 2; i++) {
			cr_assert_eq(
				rota_send_urgent(chooser, STASH, &urgent[i], 8),
				0);
			quiesce();
		}
		cr_assert_eq(send_value(chooser, UNSTASH, 4), 0);
		quiesce(); /* each is stashed again */
		EXPECT(0, 1, 2, 3, 4, 2, 3, 0, 1);
		end();
	}
}

Test(process, nothing_stashed_is_put_back_as_nothing, .timeout = HANG)
{
	start(1, 0, 0);
	SEND_EACH(UNSTASH, STASH, UNSTASH);
	EXPECT(0, 1, 2, 1); /* the values are positions */
	cr_assert_eq(tally_of(&put_back), 1);
	end();
}

Test(process, stash_counts_and_leaves_a_place, .timeout = HANG)
{
	start(1, 3, 0);
	SEND_EACH(STASH, STASH);
	cr_assert_eq(last_error, 0);
	SEND_EACH(STASH);
	cr_assert_eq(last_error, -EAGAIN);
	last_error = 0;
	cr_assert_eq(fill(chooser, NOTE) > 0, 1);
	quiesce();
	end();
}

Test(process, stash_fills_the_mailbox, .timeout = HANG)
{
	struct hold hold = {.gate = ROTA_NONE};
	rota_id id;

	(void)id;
	start(1, 4, 0);
	SEND_EACH(STASH, STASH);
	id = puppet_spawn(NULL, 0);
	hold_start(&hold, id);
	hold_end(&hold);
	{
		struct rota_status status = ROTA_STATUS_INIT;

		cr_assert_eq(rota_status(chooser, &status), 0);
		cr_assert_eq(status.mailbox_length, 2);
		cr_assert_str_eq(status.type, "chooser");
	}
	end();
}

Test(process, what_is_stashed_at_the_end_is_a_dead_letter, .timeout = HANG)
{
	start(1, 0, 0);
	SEND_EACH(STASH, NOTE, STASH);
	cr_assert_eq(rota_actor_stop(chooser), 0);
	cr_assert_eq(rota_join(chooser, PATIENCE, NULL), 0);
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_STOPPED]), 2);
	cr_assert_eq(morgue.letter[0].value, 0);
	cr_assert_eq(morgue.letter[1].value, 2);
	expect_conserved(3);
	end();
}

Test(process, drain_does_not_wait_for_the_stash, .timeout = HANG)
{
	start(1, 0, 0);
	SEND_EACH(STASH, NOTE);
	cr_assert_eq(rota_actor_drain(chooser), 0);
	cr_assert_eq(rota_join(chooser, PATIENCE, NULL), 0);
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_STOPPED]), 1);
	end();
}

static struct tally dropped;

static void drop(void *buffer, size_t length)
{
	(void)length;
	tally_add(&dropped, 1);
	free(buffer);
}

Test(process, a_moved_buffer_may_be_stashed, .timeout = HANG)
{
	start(1, 0, 0);
	cr_assert_eq(rota_send_own(chooser, STASH, calloc(1, 8), 8, drop,
				   ROTA_FOREVER),
		     0);
	quiesce();
	cr_assert_eq(tally_of(&dropped), 0);
	SEND_EACH(UNSTASH);
	quiesce(); /* put aside once more */
	cr_assert_eq(tally_of(&dropped), 0);
	cr_assert_eq(tally_of(&record->n), 3);
	cr_assert_eq(rota_actor_stop(chooser), 0);
	cr_assert_eq(rota_join(chooser, PATIENCE, NULL), 0);
	cr_assert_eq(tally_of(&dropped), 1);
	end();
}

Test(process, a_timers_message_may_be_stashed, .timeout = HANG)
{
	uint64_t value = 99;

	start(1, 0, 0);
	cr_assert_eq(rota_send_after(chooser, STASH, &value, sizeof(value),
				     ROTA_US(100), NULL),
		     0);
	quiesce();
	EXPECT(99);
	SEND_EACH(UNSTASH);
	EXPECT(99, 0, 99);
	end();
}

/* ---- accept ---- */

Test(process, only_accepted_tags_are_handled, .timeout = HANG){
	/* The value of ACCEPT is its position, 1: tag 1, and ACCEPT_ALL. */
	ALL_WAYS(0, EXPECT(0, 1, 3, 5, 2, 4, 6), 7, ACCEPT, 7, 1, 8, ACCEPT_ALL,
		 9)}

Test(process, what_is_not_accepted_waits, .timeout = HANG)
{
	struct rota_status status = ROTA_STATUS_INIT;

	start(2, 0, 0);
	SEND_EACH(7, ACCEPT, 7, 8, 9);
	EXPECT(0, 1);
	cr_assert_eq(rota_status(chooser, &status), 0);
	cr_assert_eq(status.activity, ROTA_IDLE);
	cr_assert_eq(status.tags.base, 1);
	cr_assert_eq(status.tags.mask, UINT64_C(1) << (ACCEPT_ALL - 1) | 1);
	SEND_EACH(1, ACCEPT_ALL);
	cr_assert_eq(rota_status(chooser, &status), 0);
	cr_assert_eq(status.tags.mask, 0);
	EXPECT(0, 1, 0, 1, 2, 3, 4);
	expect_conserved(7);
	end();
}

Test(process, a_mailbox_full_of_what_is_not_accepted, .timeout = HANG)
{
	struct sending unwanted, wanted;

	start(2, 4, 0);
	SEND_EACH(7, ACCEPT);
	cr_assert_eq(fill(chooser, 8), 4);
	quiesce();
	unwanted = sending_to(chooser, 8, 100);
	sending_in_thread(&unwanted);
	wanted = sending_to(chooser, ACCEPT_ALL, 200);
	wanted.pthread = thread_start(thread_sending, &wanted);
	cr_assert_eq(sending_thread_result(&wanted), 0);
	cr_assert_eq(sending_thread_result(&unwanted), 0);
	quiesce();
	EXPECT(0, 1, 200, 0, 1, 2, 3, 100);
	end();
}

static int note_run(void *state, void *capture)
{
	struct puppet *puppet = state;

	record_note(puppet->record, 0, capture, sizeof(uint64_t));
	return 0;
}

/* A function counts as tag 0. */
Test(process, functions_are_held_back_too, .timeout = HANG)
{
	for (unsigned flags = 0; flags <= (unsigned)ROTA_ANYWHERE;
	     flags += (unsigned)ROTA_ANYWHERE) {
		uint64_t value = 11;

		start(1, 0, flags);
		cr_assert_eq(send_value(chooser, ACCEPT, 5), 0);
		cr_assert_eq(rota_cast(chooser, note_run, &value), 0);
		cr_assert_eq(send_value(chooser, 5, 12), 0);
		quiesce();
		EXPECT(5, 12);
		cr_assert_eq(send_value(chooser, ACCEPT_ALL, 13), 0);
		quiesce();
		EXPECT(5, 12, 13, 11);
		cr_assert_eq(send_value(chooser, ACCEPT, 0), 0);
		cr_assert_eq(rota_cast(chooser, note_run, &value), 0);
		quiesce();
		EXPECT(5, 12, 13, 11, 0, 11);
		end();
	}
}

Test(process, what_is_never_accepted_is_a_dead_letter, .timeout = HANG)
{
	start(1, 0, 0);
	SEND_EACH(7, ACCEPT, 8, 9);
	cr_assert_eq(rota_actor_drain(chooser), 0);
	cr_assert_eq(rota_join(chooser, PATIENCE, NULL), 0);
	EXPECT(0, 1);
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_STOPPED]), 2);
	end();
}

Test(process, stop_ends_an_actor_that_accepts_little, .timeout = HANG)
{
	start(1, 0, 0);
	SEND_EACH(7, ACCEPT, 8);
	cr_assert_eq(rota_actor_stop(chooser), 0);
	cr_assert_eq(rota_join(chooser, PATIENCE, NULL), 0);
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_STOPPED]), 1);
	cr_assert_eq(tally_of(&record->destroyed), 1);
	end();
}

/* ---- become ---- */

Test(process, the_next_message_is_the_others, .timeout = HANG){
	ALL_WAYS(0, EXPECT(0, 1, 1002, 1003), NOTE, BECOME, NOTE, BECOME)}

Test(process, status_names_what_it_has_become, .timeout = HANG)
{
	struct rota_status status = ROTA_STATUS_INIT;

	start(1, 0, 0);
	SEND_EACH(BECOME);
	cr_assert_eq(rota_status(chooser, &status), 0);
	cr_assert_str_eq(status.type, "other");
	cr_assert_eq(rota_actor_stop(chooser), 0);
	cr_assert_eq(rota_join(chooser, PATIENCE, NULL), 0);
	cr_assert_eq(tally_of(&record->destroyed), 0); /* it has no destroy */
	end();
}

struct misuse {
	struct flag ended;
	int errors[4];
};

static const struct rota_behaviour larger = {
	.size = sizeof(struct rota_behaviour),
	.name = "larger",
	.state_size = sizeof(struct puppet) + 64,
	.handle = puppet_handle,
};

static const struct rota_behaviour without_handler = {
	.size = sizeof(struct rota_behaviour),
	.name = "none",
	.state_size = sizeof(struct puppet),
};

static int act_misuse(void *arg)
{
	struct misuse *m = arg;

	m->errors[0] = rota_become(NULL);
	m->errors[1] = rota_become(&larger);
	m->errors[2] = rota_become(&without_handler);
	rota_stash();
	m->errors[3] = rota_stash();
	rota_unstash(); /* this runs once more */
	flag_raise(&m->ended);
	return rota_self_stop(0);
}

Test(process, misuse_is_said, .timeout = HANG)
{
	struct misuse m = {.ended = {0}};
	struct rota_spawn_options options = ROTA_SPAWN_INIT;

	engine_start(1);
	cr_assert_eq(rota_stash(), -EPERM);
	cr_assert_eq(rota_unstash(), -EPERM);
	cr_assert_eq(rota_accept(NULL), -EPERM);
	cr_assert_eq(rota_become(&larger), -EPERM);
	options.flags = 1u << 31;
	cr_assert_eq(rota_id_error(rota_spawn(engine, &larger, NULL, &options)),
		     -EINVAL);
	ACTS(puppet_spawn(NULL, 0), act_misuse, &m);
	AWAIT(flag_is_up(&m.ended));
	cr_assert_eq(m.errors[0], -EINVAL);
	cr_assert_eq(m.errors[1], -EINVAL);
	cr_assert_eq(m.errors[2], -EINVAL);
	cr_assert_eq(m.errors[3], -EINVAL);
	engine_stop();
}
