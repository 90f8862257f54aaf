/* SPDX-License-Identifier: MIT */
/*
 * abandon - actors that are given up in their handlers
 *
 * The handlers here are really stuck, on a flag or in read(2), until the test
 * lets them go; each test sees both ends: what is told at once, and what is put
 * away when the handler returns.
 */
#include <rota/closure.h>
#include <rota/wait.h>

#include "tests/unit/asks.h"

static struct record record;
static rota_id stuck;

#define ABANDON(id) cr_assert_eq(rota_abandon_within((id), PATIENCE), 0)

static void expect_exit(rota_id id)
{
	struct rota_exit why;

	cr_assert_eq(rota_join(id, ROTA_NOW, &why), 0);
	cr_assert_eq(why.cause, ROTA_EXIT_ABANDONED);
	cr_assert_eq(why.reason, 0);
}

static void expect_letter(size_t i, enum rota_dead_cause cause, unsigned tag,
			  uint64_t value)
{
	cr_assert_eq(morgue.letter[i].cause, cause, "letter %zu: cause %d", i,
		     (int)morgue.letter[i].cause);
	cr_assert_eq(morgue.letter[i].tag, tag);
	cr_assert_eq(morgue.letter[i].to, stuck);
	if (tag != ACT)
		cr_assert_eq(morgue.letter[i].value, value);
}

static void await_returned(uint64_t n)
{
	AWAIT(counters().returned == n);
}

/* Let it return, and see that all is put away: a checked build's stop sees
   blocks that are lost. */
static void let_go(struct stall *stall)
{
	cr_assert_eq(tally_of(&record.destroyed), 0);
	flag_raise(&stall->go);
	await_returned(1);
	cr_assert(flag_is_up(&stall->ended));
	cr_assert_eq(tally_of(&record.destroyed), 1);
	engine_stop();
	cr_assert_eq(tally_of(&record.destroyed), 1);
}

/* ---- the two ways to be stuck ---- */

static int act_spin(void *arg)
{
	struct stall *stall = arg;

	flag_raise(&stall->begun);
	while (!flag_is_up(&stall->go))
		;
	flag_raise(&stall->ended);
	return 0;
}

static void give_up(int (*act)(void *), struct stall *stall, unsigned workers)
{
	engine_start(workers);
	stuck = puppet_spawn(&record, 4);
	ACTS(stuck, act, stall);
	AWAIT(flag_is_up(&stall->begun));
	ABANDON(stuck);
	cr_assert_eq(rota_is_alive(stuck), 0);
	cr_assert_eq(send_value(stuck, 1, 1), -ESRCH);
	cr_assert_eq(rota_send_urgent(stuck, 1, NULL, 0), -ESRCH);
	cr_assert_eq(rota_actor_stop(stuck), -ESRCH);
	cr_assert_eq(rota_abandon(stuck), -ESRCH);
	expect_exit(stuck);
	quiesce();
	cr_assert_eq(n_dead(), 1);
	expect_letter(0, ROTA_DEAD_ABANDONED, ACT, 0);
	cr_assert_eq(counters().abandoned, 1);
	cr_assert_eq(counters().returned, 0);
	cr_assert_eq(counters().ended, 1);
}

Test(abandon, one_that_computes, .init = check_kernel, .timeout = HANG)
{
	static struct stall stall;

	give_up(act_spin, &stall, 2);
	let_go(&stall);
}

Test(abandon, one_that_has_the_only_worker, .init = check_kernel,
     .timeout = HANG)
{
	static struct stall stall;

	give_up(act_stall, &stall, 1);
	let_go(&stall);
}

static int ends[2];

static int act_read(void *arg)
{
	struct stall *stall = arg;
	char byte;

	flag_raise(&stall->begun);
	if (read(ends[0], &byte, 1) == 1)
		flag_raise(&stall->ended);
	return 0;
}

Test(abandon, one_that_is_in_the_kernel, .init = check_kernel, .timeout = HANG)
{
	static struct stall stall;

	cr_assert_eq(pipe(ends), 0);
	give_up(act_read, &stall, 2);
	cr_assert_eq(tally_of(&record.destroyed), 0);
	cr_assert_eq(write(ends[1], "x", 1), 1);
	await_returned(1);
	cr_assert(flag_is_up(&stall.ended));
	cr_assert_eq(tally_of(&record.destroyed), 1);
	engine_stop();
	close(ends[0]);
	close(ends[1]);
}

/* ---- what is in the mailbox ---- */

/* The message in hand was alone as it was begun: it is linked still. */
static void with_queue(struct stall *stall)
{
	for (uint64_t i = 0; i < 5; i++)
		cr_assert_eq(send_value(stuck, 1, i), 0);
	for (uint64_t i = 5; i < 8; i++)
		cr_assert_eq(rota_send_urgent(stuck, 2, &i, sizeof(i)), 0);
	cr_assert_eq(send_value(stuck, 1, 8), 0);
	ABANDON(stuck);
	cr_assert_eq(n_dead(), 10);
	expect_letter(0, ROTA_DEAD_ABANDONED, ACT, 0);
	for (size_t i = 0; i < 3; i++)
		expect_letter(1 + i, ROTA_DEAD_STOPPED, 2, 5 + i);
	for (size_t i = 0; i < 5; i++)
		expect_letter(4 + i, ROTA_DEAD_STOPPED, 1, i);
	expect_letter(9, ROTA_DEAD_STOPPED, 1, 8);
	quiesce();
	let_go(stall);
	cr_assert_eq(n_dead(), 10);
}

Test(abandon, buries_what_is_queued_behind, .init = check_kernel,
     .timeout = HANG)
{
	static struct stall stall;

	engine_start(2);
	stuck = puppet_spawn(&record, 64);
	stall_start(&stall, stuck);
	with_queue(&stall);
}

static int act_send_rest_and_stall(void *arg)
{
	for (uint64_t i = 0; i < 3; i++)
		send_value(rota_self(), 3, i);
	ACTS(rota_self(), act_stall, arg);
	for (uint64_t i = 3; i < 6; i++)
		send_value(rota_self(), 3, i);
	return 0;
}

/* In the middle of a batch: three are handled, three lie in the lane. */
Test(abandon, buries_the_rest_of_a_batch, .init = check_kernel, .timeout = HANG)
{
	static struct stall stall;

	engine_start(2);
	stuck = puppet_spawn(&record, 64);
	ACTS(stuck, act_send_rest_and_stall, &stall);
	AWAIT(flag_is_up(&stall.begun));
	cr_assert_eq(send_value(stuck, 4, 6), 0);
	ABANDON(stuck);
	cr_assert_eq(tally_of(&record.n), 3);
	cr_assert_eq(n_dead(), 5);
	expect_letter(0, ROTA_DEAD_ABANDONED, ACT, 0);
	for (size_t i = 0; i < 3; i++)
		expect_letter(1 + i, ROTA_DEAD_STOPPED, 3, 3 + i);
	expect_letter(4, ROTA_DEAD_STOPPED, 4, 6);
	cr_assert_eq(morgue.letter[1].from, stuck);
	expect_conserved(9);
	let_go(&stall);
}

/* A mailbox of one, and a message that does not count. */
static int timed_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct stall *stall = *(struct stall **)state;

	(void)payload;
	(void)length;
	(void)tag;
	return act_stall(stall);
}

static void timed_destroy(void *state)
{
	(void)state;
	tally_add(&record.destroyed, 1);
}

static const struct rota_behaviour timed_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "timed",
	.state_size = sizeof(struct stall *),
	.handle = timed_handle,
	.destroy = timed_destroy,
};

Test(abandon, with_a_timers_message_in_hand, .init = check_kernel,
     .timeout = HANG)
{
	static struct stall stall;
	struct stall *state = &stall;
	uint64_t value = 77;

	engine_start(2);
	stuck = spawn(&timed_behaviour, &state, 1);
	cr_assert_eq(rota_send_after(stuck, 5, &value, sizeof(value), 0, NULL),
		     0);
	AWAIT(flag_is_up(&stall.begun));
	cr_assert_eq(send_value(stuck, 6, 78), 0);
	cr_assert_eq(try_value(stuck, 6, 79), -EAGAIN);
	ABANDON(stuck);
	cr_assert_eq(n_dead(), 2);
	expect_letter(0, ROTA_DEAD_ABANDONED, 5, 77);
	expect_letter(1, ROTA_DEAD_STOPPED, 6, 78);
	quiesce();
	let_go(&stall);
}

/* ---- those who wait for it ---- */

Test(abandon, tells_those_who_wait_for_room, .init = check_kernel,
     .timeout = HANG)
{
	static struct stall stall;
	struct sending in_thread, in_turn;

	engine_start(2);
	stuck = puppet_spawn(&record, 2);
	stall_start(&stall, stuck);
	cr_assert_eq(fill(stuck, 1), 1);
	in_thread = sending_to(stuck, 2, 1);
	in_turn = sending_to(stuck, 2, 2);
	sending_in_thread(&in_thread);
	sending_in_puppet(&in_turn, puppet_spawn(NULL, 1));
	ABANDON(stuck);
	cr_assert_eq(sending_thread_result(&in_thread), -ESRCH);
	cr_assert_eq(sending_puppet_result(&in_turn), -ESRCH);
	quiesce();
	cr_assert_eq(n_dead(), 2);
	let_go(&stall);
}

struct joining {
	rota_id id;
	struct rota_exit why;
	int result;
	struct tally thread;
	struct flag ended;
};

static int act_join(void *arg)
{
	struct joining *j = arg;

	tally_add(&j->thread, (size_t)thread_number());
	j->result = rota_join(j->id, ROTA_FOREVER, &j->why);
	flag_raise(&j->ended);
	return 0;
}

static void *thread_joining(void *arg)
{
	act_join(arg);
	return NULL;
}

Test(abandon, tells_joiners, .init = check_kernel, .timeout = HANG)
{
	static struct stall stall;
	static struct joining in_thread, in_turn;
	pthread_t thread;
	uint64_t waits;

	engine_start(2);
	stuck = puppet_spawn(&record, 2);
	stall_start(&stall, stuck);
	in_thread.id = in_turn.id = stuck;
	thread = thread_start(thread_joining, &in_thread);
	await_sleep(&in_thread.thread);
	waits = counters().waits;
	ACTS(puppet_spawn(NULL, 1), act_join, &in_turn);
	AWAIT(counters().waits > waits);
	ABANDON(stuck);
	thread_join(thread);
	AWAIT(flag_is_up(&in_turn.ended));
	cr_assert_eq(in_thread.result, 0);
	cr_assert_eq(in_turn.result, 0);
	cr_assert_eq(in_thread.why.cause, ROTA_EXIT_ABANDONED);
	cr_assert_eq(in_turn.why.cause, ROTA_EXIT_ABANDONED);
	let_go(&stall);
}

static struct tally flusher;

static void *thread_flushing(void *arg)
{
	tally_add(&flusher, (size_t)thread_number());
	*(int *)arg = rota_flush(stuck, ROTA_FOREVER);
	return NULL;
}

Test(abandon, tells_those_who_flush, .init = check_kernel, .timeout = HANG)
{
	static struct stall stall;
	pthread_t thread;
	int result = 1;

	engine_start(2);
	stuck = puppet_spawn(&record, 2);
	stall_start(&stall, stuck);
	thread = thread_start(thread_flushing, &result);
	await_sleep(&flusher);
	ABANDON(stuck);
	thread_join(thread);
	cr_assert_eq(result, -ESRCH);
	let_go(&stall);
}

/* ---- what its handler does meanwhile ---- */

struct late {
	struct stall stall;
	rota_id other;
	rota_id self;
	rota_id sender;
	int sent[3];
	int waits[4];
	int to_self;
	int stops, drains;
};

/* With a chain open as it gets stuck. */
static int act_late(void *arg)
{
	struct late *late = arg;

	for (uint64_t i = 0; i < 10; i++)
		send_value(late->other, 1, i);
	act_stall(&late->stall);
	late->self = rota_self();
	late->sender = rota_sender();
	for (uint64_t i = 10; i < 20; i++)
		late->sent[0] |= send_value(late->other, 1, i);
	late->to_self = send_value(rota_self(), 1, 0);
	late->waits[0] = rota_sleep(ROTA_S(1000));
	late->waits[1] = rota_join(late->other, ROTA_FOREVER, NULL);
	late->waits[2] = rota_yield();
	late->waits[3] = rota_flush(late->other, ROTA_FOREVER);
	for (uint64_t i = 20; i < 30; i++)
		late->sent[1] |= send_value(late->other, 1, i);
	late->stops = rota_self_stop(5);
	late->drains = rota_self_drain();
	for (uint64_t i = 30; i < 40; i++)
		late->sent[2] |= send_value(late->other, 1, i);
	return -1;
}

Test(abandon, its_handler_goes_on_as_it_was, .init = check_kernel,
     .timeout = HANG)
{
	static struct record others;
	static struct late late;

	engine_start(2);
	stuck = puppet_spawn(&record, 8);
	late.other = puppet_spawn(&others, 64);
	ACTS(stuck, act_late, &late);
	AWAIT(flag_is_up(&late.stall.begun));
	AWAIT(tally_of(&others.n) == 10);
	ABANDON(stuck);
	flag_raise(&late.stall.go);
	await_returned(1);
	quiesce();
	expect_exit(stuck);
	engine_stop();
	cr_assert_eq(late.self, stuck);
	cr_assert_eq(late.sender, ROTA_NONE);
	cr_assert_eq(late.to_self, -ESRCH);
	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(late.sent[i], 0);
	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(late.waits[i], -ECANCELED, "wait %zu: %d", i,
			     late.waits[i]);
	cr_assert_eq(late.stops, 0);
	cr_assert_eq(late.drains, 0);
	cr_assert_eq(tally_of(&others.n), 40);
	for (size_t i = 0; i < 40; i++) {
		cr_assert_eq(others.note[i].value, i);
		cr_assert_eq(others.note[i].sender, stuck);
	}
	cr_assert_eq(tally_of(&record.destroyed), 1);
	cr_assert_eq(n_dead(), 1);
}

/* The worker goes on, and so does the slot. */
Test(abandon, its_slot_serves_others_once_it_is_back, .init = check_kernel,
     .timeout = HANG)
{
	static struct stall stall;
	rota_id next;

	engine_start(1);
	stuck = puppet_spawn(&record, 8);
	stall_start(&stall, stuck);
	ABANDON(stuck);
	for (size_t i = 0; i < 100; i++) {
		next = puppet_spawn(NULL, 8);
		cr_assert_neq((uint32_t)(next >> 24), (uint32_t)(stuck >> 24),
			      "its slot");
	}
	flag_raise(&stall.go);
	await_returned(1);
	/* By the worker that has the slot now. */
	for (size_t i = 0; i < 1000; i++) {
		ACTS(next, act_self_stop, NULL);
		next = puppet_spawn(NULL, 8);
	}
	quiesce();
	expect_exit(stuck);
	engine_stop();
}

static int act_wait_and_stall(void *arg)
{
	rota_sleep(ROTA_US(50));
	return act_stall(arg);
}

Test(abandon, one_that_has_waited_before, .init = check_kernel, .timeout = HANG)
{
	static struct stall stall;

	engine_start(2);
	stuck = puppet_spawn(&record, 8);
	ACTS(stuck, act_wait_and_stall, &stall);
	AWAIT(flag_is_up(&stall.begun));
	cr_assert_eq(send_value(stuck, 1, 1), 0);
	ABANDON(stuck);
	cr_assert_eq(n_dead(), 2);
	quiesce();
	let_go(&stall);
}

/* Its tasks write to its stack: they are waited for, whatever else fails. */
static struct tally tasks_run;

static int task_of_it(void *arg)
{
	(void)arg;
	nap();
	tally_add(&tasks_run, 1);
	return 0;
}

struct grouped {
	struct stall stall;
	int error;
	size_t n_run;
	int sleeps;
};

static int act_group(void *arg)
{
	struct grouped *grouped = arg;
	struct rota_task_group group;

	rota_task_group_init(&group, NULL);
	act_stall(&grouped->stall);
	for (int i = 0; i < 20; i++)
		rota_task_group_submit(&group, task_of_it, NULL, 0);
	grouped->error = rota_task_group_wait(&group, ROTA_FOREVER, NULL);
	grouped->n_run = tally_of(&tasks_run);
	grouped->sleeps = rota_sleep(1);
	return 0;
}

Test(abandon, its_tasks_are_waited_for, .init = check_kernel, .timeout = HANG)
{
	static struct grouped grouped;

	engine_start(2);
	stuck = puppet_spawn(&record, 8);
	ACTS(stuck, act_group, &grouped);
	AWAIT(flag_is_up(&grouped.stall.begun));
	ABANDON(stuck);
	let_go(&grouped.stall);
	cr_assert(grouped.error == 0 || grouped.error == -ECANCELED);
	cr_assert_eq(tally_of(&tasks_run), grouped.n_run);
	cr_assert_eq(grouped.sleeps, -ECANCELED);
}

static int act_drain_and_stall(void *arg)
{
	rota_self_drain();
	return act_stall(arg);
}

Test(abandon, one_that_drains, .init = check_kernel, .timeout = HANG)
{
	static struct stall stall;

	engine_start(2);
	stuck = puppet_spawn(&record, 8);
	ACTS(stuck, act_drain_and_stall, &stall);
	AWAIT(flag_is_up(&stall.begun));
	cr_assert_eq(send_value(stuck, 1, 1), -ESHUTDOWN);
	ABANDON(stuck);
	cr_assert_eq(send_value(stuck, 1, 1), -ESRCH);
	expect_exit(stuck);
	let_go(&stall);
}

Test(abandon, one_that_is_being_stopped, .init = check_kernel, .timeout = HANG)
{
	static struct stall stall;

	engine_start(2);
	stuck = puppet_spawn(&record, 8);
	stall_start(&stall, stuck);
	cr_assert_eq(send_value(stuck, 1, 1), 0);
	cr_assert_eq(rota_actor_stop(stuck), 0);
	cr_assert_eq(rota_is_alive(stuck), 1);
	ABANDON(stuck);
	cr_assert_eq(rota_is_alive(stuck), 0);
	cr_assert_eq(n_dead(), 2);
	expect_exit(stuck);
	let_go(&stall);
}

/* ---- moved buffers ---- */

static struct tally drops;
static uint64_t buffer[4] = {11, 12, 13, 14};

static void drop(void *dropped, size_t length)
{
	if (dropped == buffer && length == sizeof(buffer))
		tally_add(&drops, 1);
}

struct mover {
	struct stall stall;
	rota_id other;
	bool keeps_first;
	bool moves_first;
	int kept;
	int moved;
	uint64_t seen;
};

static int mover_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct mover *mover = *(struct mover **)state;

	(void)tag;
	if (mover->keeps_first)
		mover->kept = rota_keep();
	if (mover->moves_first)
		mover->moved = rota_send_own(mover->other, 1, payload, length,
					     drop, ROTA_NOW);
	act_stall(&mover->stall);
	mover->seen = value_at(payload, length);
	if (!mover->keeps_first)
		mover->kept = rota_keep();
	if (!mover->moves_first)
		mover->moved = rota_send_own(mover->other, 1, payload, length,
					     drop, ROTA_NOW);
	return 0;
}

static void mover_destroy(void *state)
{
	(void)state;
	tally_add(&record.destroyed, 1);
}

static const struct rota_behaviour mover_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "mover",
	.state_size = sizeof(struct mover *),
	.handle = mover_handle,
	.destroy = mover_destroy,
};

static void start_mover(struct mover *mover)
{
	engine_start(2);
	mover->other = puppet_spawn(NULL, 8);
	stuck = spawn(&mover_behaviour, &mover, 8);
	cr_assert_eq(
		rota_send_own(stuck, 9, buffer, sizeof(buffer), drop, ROTA_NOW),
		0);
	AWAIT(flag_is_up(&mover->stall.begun));
	ABANDON(stuck);
	cr_assert_eq(n_dead(), 1);
	cr_assert_eq(morgue.letter[0].tag, 9);
	cr_assert_eq(morgue.letter[0].cause, ROTA_DEAD_ABANDONED);
}

Test(abandon, a_moved_buffer_stays_until_the_handler_returns,
     .init = check_kernel, .timeout = HANG)
{
	static struct mover mover;

	start_mover(&mover);
	cr_assert_eq(morgue.letter[0].length, sizeof(buffer));
	cr_assert_eq(morgue.letter[0].value, 11);
	quiesce();
	cr_assert_eq(tally_of(&drops), 0);
	let_go(&mover.stall);
	cr_assert_eq(mover.seen, 11);
	cr_assert_eq(mover.kept, -ECANCELED);
	cr_assert_eq(mover.moved, -ECANCELED);
	cr_assert_eq(tally_of(&drops), 1);
}

Test(abandon, a_buffer_that_was_kept_is_the_handlers, .init = check_kernel,
     .timeout = HANG)
{
	static struct mover mover = {.keeps_first = true};

	start_mover(&mover);
	cr_assert_eq(morgue.letter[0].length, 0);
	flag_raise(&mover.stall.go);
	await_returned(1);
	quiesce();
	cr_assert_eq(tally_of(&drops), 1);
	engine_stop();
	cr_assert_eq(mover.kept, 0);
	cr_assert_eq(mover.moved, 0); /* its own: it may send it */
}

Test(abandon, a_buffer_that_was_moved_on_is_the_next_ones, .init = check_kernel,
     .timeout = HANG)
{
	static struct mover mover = {.moves_first = true};

	start_mover(&mover);
	cr_assert_eq(morgue.letter[0].length, 0);
	AWAIT(tally_of(&drops) == 1);
	let_go(&mover.stall);
	cr_assert_eq(mover.moved, 0);
	cr_assert_eq(mover.kept, -EINVAL);
	cr_assert_eq(tally_of(&drops), 1);
}

/* ---- closures ---- */

static struct tally capture_drops;

static void drop_capture(void *capture, size_t length)
{
	(void)capture;
	tally_add(&capture_drops, length == sizeof(struct stall *) ? 1 : 100);
}

static int kept_capture;

static int stall_in_closure(void *state, void *capture)
{
	struct stall *stall;

	(void)state;
	memcpy(&stall, capture, sizeof(stall));
	act_stall(stall);
	kept_capture = rota_keep();
	return 0;
}

Test(abandon, a_closure_in_hand, .init = check_kernel, .timeout = HANG)
{
	static struct stall stall;
	struct stall *capture = &stall;

	engine_start(2);
	stuck = puppet_spawn(&record, 8);
	cr_assert_eq(rota_cast_with(stuck, stall_in_closure, &capture,
				    sizeof(capture), drop_capture, 0, ROTA_NOW),
		     0);
	AWAIT(flag_is_up(&stall.begun));
	ABANDON(stuck);
	cr_assert_eq(n_dead(), 1);
	cr_assert_eq(morgue.letter[0].tag, ROTA_TAG_CLOSURE);
	cr_assert_eq(morgue.letter[0].length, sizeof(capture));
	cr_assert_eq(tally_of(&capture_drops), 0);
	let_go(&stall);
	cr_assert_eq(tally_of(&capture_drops), 1);
	cr_assert_eq(kept_capture, -ECANCELED);
}

/* ---- requests ---- */

struct served {
	struct stall stall;
	int is_cancelled, is_cancelled_before;
	int answers;
	int takes;
};

static int act_serve(void *arg)
{
	struct served *served = arg;
	rota_token token;

	served->is_cancelled_before = rota_is_cancelled();
	act_stall(&served->stall);
	served->is_cancelled = rota_is_cancelled();
	served->takes = rota_reply_later(&token);
	served->answers = rota_answer(0, NULL, 0);
	return 7;
}

static int served_result;

static void *thread_served(void *arg)
{
	struct act act = {act_serve, arg};

	served_result =
		rota_ask(stuck, RUNS, &act, sizeof(act), NULL, 0, ROTA_FOREVER);
	return NULL;
}

Test(abandon, who_has_asked_is_told, .init = check_kernel, .timeout = HANG)
{
	static struct asked promised, queued;
	static struct served served;
	static AO_t token;
	pthread_t thread;

	engine_start(2);
	stuck = servant_spawn(8, &token);
	promised = asked_of(stuck, TAKES, 1);
	queued = asked_of(stuck, TWICE, 2);
	ask_in_thread(&promised); /* a turn might stand on the stuck worker */
	await_token(&token);
	thread = thread_start(thread_served, &served);
	AWAIT(flag_is_up(&served.stall.begun));
	ask_in_thread(&queued);
	await_sleep(&queued.thread);
	ABANDON(stuck);
	thread_join(thread);
	cr_assert_eq(served_result, -ECONNRESET, "%d", served_result);
	cr_assert_eq(ask_thread_result(&queued), -ESRCH);
	cr_assert_eq(ask_thread_result(&promised), -EPIPE);
	cr_assert_eq(n_dead(), 2);
	cr_assert_eq(rota_reply(token, 0, NULL, 0), -EALREADY);
	flag_raise(&served.stall.go);
	await_returned(1);
	engine_stop();
	cr_assert_eq(served.is_cancelled_before, 0);
	cr_assert_eq(served.is_cancelled, 1);
	cr_assert_eq(served.takes, -ECANCELED);
	cr_assert_eq(served.answers, 0);
}

/* A query that nothing runs beside is a handler like any other; afterwards it
   can wait for nobody, as often as it tries. */
static struct {
	struct stall stall;
	rota_id servant;
	int results[3];
} querist;

static int act_query(void *arg)
{
	(void)arg;
	act_stall(&querist.stall);
	for (size_t i = 0; i < 3; i++)
		querist.results[i] = rota_ask(querist.servant, NOTHING, NULL, 0,
					      NULL, 0, ROTA_FOREVER);
	return 0;
}

Test(abandon, one_in_a_query, .init = check_kernel, .timeout = HANG)
{
	struct act act = {act_query, NULL};
	struct rota_asking asking;

	engine_start(2);
	stuck = servant_spawn(8, NULL);
	querist.servant = servant_spawn(8, NULL);
	cr_assert_eq(rota_ask_start(stuck, RUNS | ROTA_QUERY, &act, sizeof(act),
				    NULL, 0, ROTA_FOREVER, &asking),
		     0);
	AWAIT(flag_is_up(&querist.stall.begun));
	ABANDON(stuck);
	expect_exit(stuck);
	cr_assert_eq(rota_ask_await(&asking, 1, 1, PATIENCE), 1);
	cr_assert_eq(asking.outcome, -ECONNRESET);
	cr_assert_eq(n_dead(), 1);
	expect_letter(0, ROTA_DEAD_ABANDONED, RUNS, (uintptr_t)act_query);
	flag_raise(&querist.stall.go);
	await_returned(1);
	engine_stop();
	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(querist.results[i], -ECANCELED);
}

/* What it has begun is put right as it returns. */
struct busy {
	struct stall stall;
	rota_id servant;
	uint64_t reply;
	struct rota_asking asking;
	int results[2];
};

static int act_busy(void *arg)
{
	struct busy *busy = arg;
	uint64_t value = 1;

	busy->results[0] = rota_ask_start(
		busy->servant, TAKES, &value, sizeof(value), &busy->reply,
		sizeof(busy->reply), ROTA_FOREVER, &busy->asking);
	busy->results[1] = rota_blocking_begin();
	return act_stall(&busy->stall);
}

Test(abandon, what_it_has_begun_is_ended, .init = check_kernel, .timeout = HANG)
{
	static struct busy busy;
	static AO_t token;

	engine_start(2);
	stuck = puppet_spawn(&record, 8);
	busy.servant = servant_spawn(8, &token);
	ACTS(stuck, act_busy, &busy);
	AWAIT(flag_is_up(&busy.stall.begun));
	await_token(&token);
	ABANDON(stuck);
	cr_assert_eq(rota_reply_is_wanted(token), 1);
	flag_raise(&busy.stall.go);
	await_returned(1);
	AWAIT(rota_reply_is_wanted(token) == 0);
	engine_stop();
	cr_assert_eq(busy.results[0], 0);
	cr_assert_eq(busy.results[1], 0);
}

/* ---- its destructor ---- */

/* It waits for all that there is to wait for. */
static struct {
	struct stall stall;
	rota_id servant;
	rota_id full;
	int64_t sleeps;
	int in_vain;
	struct flag begun;
	int results[4];
	uint64_t reply;
	struct flag ended;
} leaver;

static int act_leave(void *arg)
{
	(void)arg;
	act_stall(&leaver.stall);
	leaver.in_vain = rota_sleep(1);
	return 0;
}

static void leaver_destroy(void *state)
{
	uint64_t value = 21;

	(void)state;
	flag_raise(&leaver.begun);
	leaver.results[0] = rota_sleep(leaver.sleeps);
	leaver.results[1] =
		rota_ask(leaver.servant, TWICE, &value, sizeof(value),
			 &leaver.reply, sizeof(leaver.reply), ROTA_FOREVER);
	leaver.results[2] = send_value(leaver.full, 1, 1);
	leaver.results[3] = rota_sleep(1);
	flag_raise(&leaver.ended);
}

static const struct rota_behaviour leaver_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "leaver",
	.handle = puppet_handle,
	.destroy = leaver_destroy,
};

/* @waits: before it is given up, too. */
static void give_up_leaver(int64_t sleeps, bool waits)
{
	static struct hold hold;

	engine_start(2);
	leaver.sleeps = sleeps;
	leaver.servant = servant_spawn(0, NULL);
	leaver.full = puppet_spawn(&record, 1);
	stuck = spawn(&leaver_behaviour, NULL, 8);
	if (waits) {
		hold_start(&hold, stuck);
		ACTS(stuck, act_leave, NULL);
		hold_end(&hold);
	} else {
		ACTS(stuck, act_leave, NULL);
	}
	AWAIT(flag_is_up(&leaver.stall.begun));
	ABANDON(stuck);
	expect_exit(stuck);
}

static void destroy_waits(bool has_waited)
{
	static struct hold hold;
	uint64_t waits;

	give_up_leaver(1, has_waited);
	hold_start(&hold, leaver.full);
	waits = counters().waits;
	flag_raise(&leaver.stall.go);
	/* For the answer, for the time, for room. */
	AWAIT(flag_is_up(&leaver.begun) && counters().waits >= waits + 3);
	cr_assert_not(flag_is_up(&leaver.ended));
	cr_assert_eq(counters().returned, 0);
	hold_end(&hold);
	await_returned(1);
	cr_assert(flag_is_up(&leaver.ended));
	cr_assert_eq(leaver.in_vain, -ECANCELED);
	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(leaver.results[i], 0, "%zu: %d", i,
			     leaver.results[i]);
	cr_assert_eq(leaver.reply, 42);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 1);
	engine_stop();
}

Test(abandon, its_destructor_may_wait, .init = check_kernel, .timeout = HANG)
{
	destroy_waits(false);
}

Test(abandon, its_destructor_may_wait_after_a_wait, .init = check_kernel,
     .timeout = HANG)
{
	destroy_waits(true);
}

Test(abandon, a_stop_ends_what_its_destructor_waits_for_at_last,
     .init = check_kernel, .timeout = HANG)
{
	uint64_t waits;

	give_up_leaver(ROTA_FOREVER, false);
	waits = counters().waits;
	flag_raise(&leaver.stall.go);
	AWAIT(flag_is_up(&leaver.begun) && counters().waits > waits);
	rota_stop(engine, ROTA_MS(50));
	AWAIT(flag_is_up(&leaver.ended));
	cr_assert_eq(leaver.results[0], -ECANCELED);
	for (size_t i = 1; i < 4; i++)
		cr_assert_lt(leaver.results[i], 0, "%zu: %d", i,
			     leaver.results[i]);
}

Test(abandon, its_destructor_waits_for_nothing_after_a_stop_in_vain,
     .init = check_kernel, .timeout = HANG)
{
	give_up_leaver(ROTA_FOREVER, false);
	cr_assert_eq(rota_stop(engine, ROTA_MS(5)), -ETIMEDOUT);
	flag_raise(&leaver.stall.go);
	AWAIT(flag_is_up(&leaver.ended));
	for (size_t i = 0; i < 4; i++)
		cr_assert_lt(leaver.results[i], 0, "%zu: %d", i,
			     leaver.results[i]);
}

/* ---- refusals ---- */

Test(abandon, not_what_does_not_exist, .init = check_kernel, .timeout = HANG)
{
	engine_start(1);
	stuck = puppet_spawn(NULL, 1);
	cr_assert_eq(rota_abandon(ROTA_NONE), -ESRCH);
	cr_assert_eq(rota_abandon(stuck + 1), -ESRCH);
	cr_assert_eq(rota_actor_stop(stuck), 0);
	quiesce();
	cr_assert_eq(rota_abandon(stuck), -ESRCH);
	cr_assert_eq(rota_abandon_within(stuck, ROTA_FOREVER), -ESRCH);
	engine_stop();
	cr_assert_eq(rota_abandon(stuck), -ESRCH);
}

Test(abandon, not_one_that_has_nothing_to_do, .init = check_kernel,
     .timeout = HANG)
{
	engine_start(1);
	stuck = puppet_spawn(NULL, 1);
	cr_assert_eq(rota_abandon(stuck), -EAGAIN);
	cr_assert_eq(rota_abandon_within(stuck, ROTA_MS(3)), -ETIMEDOUT);
	cr_assert_eq(rota_is_alive(stuck), 1);
	engine_stop();
}

Test(abandon, not_one_that_waits, .init = check_kernel, .timeout = HANG)
{
	static struct hold hold;
	static struct stall stall;

	engine_start(1);
	stuck = puppet_spawn(NULL, 1);
	hold_start(&hold, stuck);
	/* Another stands still on the very worker. */
	stall_start(&stall, puppet_spawn(NULL, 1));
	cr_assert_eq(rota_abandon_within(stuck, ROTA_MS(5)), -ETIMEDOUT);
	flag_raise(&stall.go);
	hold_end(&hold);
	cr_assert_eq(hold.result, 0);
	quiesce();
	cr_assert_eq(rota_is_alive(stuck), 1);
	engine_stop();
}

static int stalling_task(void *arg)
{
	return act_stall(*(struct stall **)arg);
}

Test(abandon, not_an_actor_whose_worker_runs_a_task, .init = check_kernel,
     .timeout = HANG)
{
	static struct stall stall;
	struct stall *argument = &stall;

	engine_start(1);
	stuck = puppet_spawn(&record, 8);
	cr_assert_eq(send_value(stuck, 1, 1), 0);
	quiesce();
	cr_assert_eq(rota_task_submit(engine, stalling_task, &argument,
				      sizeof(argument), NULL),
		     0);
	AWAIT(flag_is_up(&stall.begun));
	cr_assert_eq(send_value(stuck, 1, 2), 0);
	cr_assert_eq(rota_abandon_within(stuck, ROTA_MS(5)), -ETIMEDOUT);
	flag_raise(&stall.go);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 2);
	engine_stop();
}

static int act_abandon_self(void *arg)
{
	*(int *)arg = rota_abandon(rota_self());
	return 0;
}

Test(abandon, not_by_its_own_handler, .init = check_kernel, .timeout = HANG)
{
	int error = 0;

	engine_start(1);
	ACTS(puppet_spawn(NULL, 1), act_abandon_self, &error);
	quiesce();
	cr_assert_eq(error, -EDEADLK);
	engine_stop();
}

static struct stall destruction;

static int doomed_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	(void)state;
	(void)tag;
	(void)payload;
	(void)length;
	return -1;
}

static void doomed_destroy(void *state)
{
	(void)state;
	act_stall(&destruction);
}

static const struct rota_behaviour doomed_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "doomed",
	.handle = doomed_handle,
	.destroy = doomed_destroy,
};

Test(abandon, not_one_in_its_destructor, .init = check_kernel, .timeout = HANG)
{
	engine_start(1);
	stuck = spawn(&doomed_behaviour, NULL, 1);
	cr_assert_eq(rota_send(stuck, 1, NULL, 0), 0);
	AWAIT(flag_is_up(&destruction.begun));
	cr_assert_eq(rota_abandon_within(stuck, PATIENCE), -EBUSY);
	flag_raise(&destruction.go);
	quiesce();
	cr_assert_eq(rota_abandon(stuck), -ESRCH);
	engine_stop();
}

/* ---- who does it, and how it is told ---- */

struct watchman {
	rota_id whom;
	int error;
	struct flag ended;
};

static int act_abandon(void *arg)
{
	struct watchman *watchman = arg;

	watchman->error = rota_abandon_within(watchman->whom, PATIENCE);
	flag_raise(&watchman->ended);
	return 0;
}

Test(abandon, by_another_actor, .init = check_kernel, .timeout = HANG)
{
	static struct watchman watchman;
	static struct stall stall;

	engine_start(2);
	stuck = puppet_spawn(&record, 8);
	stall_start(&stall, stuck);
	cr_assert_eq(send_value(stuck, 1, 1), 0);
	watchman.whom = stuck;
	ACTS(puppet_spawn(NULL, 1), act_abandon, &watchman);
	AWAIT(flag_is_up(&watchman.ended));
	cr_assert_eq(watchman.error, 0);
	cr_assert_eq(n_dead(), 2);
	quiesce();
	let_go(&stall);
}

#define CALLERS 4

static void *thread_abandoning(void *arg)
{
	act_abandon(arg);
	return NULL;
}

Test(abandon, by_one_of_many, .init = check_kernel, .timeout = HANG)
{
	static struct watchman watchman[CALLERS];
	static struct stall stall;
	pthread_t thread[CALLERS];
	size_t n_done = 0;

	engine_start(2);
	stuck = puppet_spawn(&record, 8);
	stall_start(&stall, stuck);
	for (size_t i = 0; i < CALLERS; i++) {
		watchman[i].whom = stuck;
		thread[i] = thread_start(thread_abandoning, &watchman[i]);
	}
	for (size_t i = 0; i < CALLERS; i++) {
		thread_join(thread[i]);
		n_done += watchman[i].error == 0;
		cr_assert(watchman[i].error == 0 ||
			  watchman[i].error == -ESRCH);
	}
	cr_assert_eq(n_done, 1);
	cr_assert_eq(n_dead(), 1);
	cr_assert_eq(counters().abandoned, 1);
	let_go(&stall);
}

/* Who is told may ask and send, as in any callback. */
static struct record heirs;
static rota_id heir;

static void bury_and_send(void *context, const struct rota_dead_letter *dead)
{
	bury(context, dead);
	rota_try_send(heir, dead->tag == ACT ? 1 : dead->tag, dead->payload,
		      dead->length);
}

static char line[512];

static void note_line(void *context, enum rota_log_level level,
		      const char *text)
{
	(void)context;
	if (level == ROTA_LOG_WARNING && strstr(text, "abandoned"))
		snprintf(line, sizeof(line), "%s", text);
}

Test(abandon, is_told, .init = check_kernel, .timeout = HANG)
{
	struct rota_config config = test_config(2);
	static struct stall stall;
	static char text[65536];
	char id[20];

	config.dead_letter = bury_and_send;
	config.log = note_line;
	engine = engine_make(&config);
	heir = puppet_spawn(&heirs, 64);
	stuck = puppet_spawn(&record, 8);
	stall_start(&stall, stuck);
	for (uint64_t i = 0; i < 3; i++)
		cr_assert_eq(send_value(stuck, 7, i), 0);
	ABANDON(stuck);
	quiesce();
	cr_assert_eq(tally_of(&heirs.n), 4);
	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(heirs.note[1 + i].value, i);
	snprintf(id, sizeof(id), "%016" PRIx64, stuck);
	cr_assert_not_null(strstr(line, id), "%s", line);
	cr_assert_not_null(strstr(line, "(puppet)"), "%s", line);
	cr_assert_not_null(strstr(line, "tag 1000"), "%s", line);
	cr_assert_not_null(strstr(line, " ms"), "%s", line);
	cr_assert_gt(rota_prometheus(engine, NULL, text, sizeof(text)), 0);
	cr_assert_not_null(strstr(text, "cause=\"abandoned\"} 1\n"), "%s",
			   text);
	cr_assert_not_null(strstr(text, "rota_actors_abandoned_total"));
	let_go(&stall);
}

/* What may not be called from there, by who has given it up. */
static int from_letter[2], from_line[2];

static void stop_and_quiesce(int result[2])
{
	result[0] = rota_stop(engine, ROTA_S(1));
	result[1] = rota_quiesce(engine, ROTA_FOREVER);
}

static void bury_and_stop(void *context, const struct rota_dead_letter *dead)
{
	bury(context, dead);
	if (dead->cause == ROTA_DEAD_ABANDONED)
		stop_and_quiesce(from_letter);
}

static void log_and_stop(void *context, enum rota_log_level level,
			 const char *text)
{
	(void)context, (void)level;
	if (strstr(text, "abandoned"))
		stop_and_quiesce(from_line);
}

Test(abandon, who_is_told_does_not_stop_the_engine, .init = check_kernel,
     .timeout = HANG)
{
	struct rota_config config = test_config(2);
	static struct stall stall;

	config.dead_letter = bury_and_stop;
	config.log = log_and_stop;
	engine = engine_make(&config);
	stuck = puppet_spawn(&record, 8);
	stall_start(&stall, stuck);
	ABANDON(stuck);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(from_letter[i], -EDEADLK, "%d", from_letter[i]);
		cr_assert_eq(from_line[i], -EDEADLK, "%d", from_line[i]);
	}
	let_go(&stall);
}

/* ---- the engine's stop ---- */

Test(abandon, stop_reports_one_that_is_still_out, .init = check_kernel,
     .timeout = HANG)
{
	struct rota_stop_report report = ROTA_STOP_REPORT_INIT;
	static struct stall stall;

	engine_start(2);
	stuck = puppet_spawn(&record, 8);
	stall_start(&stall, stuck);
	ABANDON(stuck);
	quiesce();
	cr_assert_eq(rota_stop_report(engine, ROTA_MS(5), &report), -ETIMEDOUT);
	cr_assert_eq(report.stuck, 1);
	cr_assert_eq(report.stuck_actor, stuck);
	cr_assert_eq(report.stuck_tag, ACT);
	cr_assert_eq(tally_of(&record.destroyed), 0);
	flag_raise(&stall.go);
	AWAIT(tally_of(&record.destroyed) == 1);
	cr_assert_eq(n_dead(), 1);
}

static void *thread_stopping(void *arg)
{
	*(int *)arg = rota_stop(engine, PATIENCE);
	return NULL;
}

/* A stop that waits for the handler sees it return. */
Test(abandon, stop_waits_for_one_that_returns, .init = check_kernel,
     .timeout = HANG)
{
	static struct stall stall;
	pthread_t thread;
	int error = 1;

	engine_start(2);
	stuck = puppet_spawn(&record, 8);
	stall_start(&stall, stuck);
	ABANDON(stuck);
	thread = thread_start(thread_stopping, &error);
	for (int i = 0; i < 20; i++)
		nap();
	flag_raise(&stall.go);
	thread_join(thread);
	cr_assert_eq(error, 0);
	cr_assert(flag_is_up(&stall.ended));
	cr_assert_eq(tally_of(&record.destroyed), 1);
}

static int spawn_error(void)
{
	return rota_id_error(rota_spawn(engine, &puppet_behaviour, NULL, NULL));
}

/* Given up while the engine stops: the stop waits for the handler all the same,
   and those it was to be told to are told. */
Test(abandon, while_the_engine_stops, .init = check_kernel, .timeout = HANG)
{
	static struct stall stall;
	pthread_t thread;
	int error = 1;

	engine_start(2);
	stuck = puppet_spawn(&record, 8);
	stall_start(&stall, stuck);
	cr_assert_eq(send_value(stuck, 1, 1), 0);
	thread = thread_start(thread_stopping, &error);
	AWAIT(spawn_error() == -ESHUTDOWN);
	ABANDON(stuck);
	cr_assert_eq(n_dead(), 2);
	flag_raise(&stall.go);
	thread_join(thread);
	cr_assert_eq(error, 0);
	cr_assert_eq(tally_of(&record.destroyed), 1);
	cr_assert_eq(n_dead(), 2);
}
