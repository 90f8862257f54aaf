/* SPDX-License-Identifier: MIT */
/*
 * abandon_process - actors that choose among their messages, and are given up
 *
 * What they have received, skipped, put aside or moved to another worker with is
 * found by who gives them up, once and in order; and they find nothing any more.
 */
#include <rota/ask.h>
#include <rota/closure.h>
#include <rota/process.h>
#include <rota/wait.h>

#include "tests/unit/support.h"

static struct record record;
static rota_id stuck;

#define ABANDON(id) cr_assert_eq(rota_abandon_within((id), PATIENCE), 0)

static rota_id spawn_stuck(unsigned flags)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	struct puppet puppet = {&record};
	rota_id id;

	options.mailbox = 16;
	options.flags = flags | ROTA_TAKES_URGENT;
	id = rota_spawn(engine, &puppet_behaviour, &puppet, &options);
	cr_assert_eq(rota_id_error(id), 0);
	return id;
}

/* A handler that receives as the case wants, and stands still then. */
struct process {
	struct stall stall;
	struct tally begun;
	long threads[2];
	uint64_t value; /* of what it has in hand, once it is let go */
	int results[4];
	/* behind stall.ended */
	int receives, stashes, unstashes, accepts, becomes, cancelled;
};

/* Nothing of its actor is there any more. */
static void try_all(struct process *p)
{
	struct rota_tags one = rota_tags_of(1);
	struct rota_received m;

	p->receives = rota_receive(NULL, ROTA_FOREVER, &m);
	p->stashes = rota_stash();
	p->unstashes = rota_unstash();
	p->accepts = rota_accept(&one);
	p->becomes = rota_become(&puppet_behaviour);
	p->cancelled = rota_is_cancelled();
}

static void stand_still(struct process *p, const struct rota_received *in_hand)
{
	flag_raise(&p->stall.begun);
	flag_block(&p->stall.go);
	if (in_hand)
		p->value = value_at(in_hand->payload, in_hand->length);
	try_all(p);
	flag_raise(&p->stall.ended);
}

static void send_values(unsigned tag, uint64_t first, uint64_t n)
{
	for (uint64_t i = first; i < first + n; i++)
		cr_assert_eq(send_value(stuck, tag, i), 0);
}

static void expect_letter(size_t i, enum rota_dead_cause cause, unsigned tag,
			  uint64_t value)
{
	cr_assert_eq(morgue.letter[i].cause, cause, "letter %zu: cause %d", i,
		     (int)morgue.letter[i].cause);
	cr_assert_eq(morgue.letter[i].tag, tag, "letter %zu: tag %u", i,
		     morgue.letter[i].tag);
	cr_assert_eq(morgue.letter[i].to, stuck);
	cr_assert_eq(morgue.letter[i].value, value, "letter %zu: %" PRIu64, i,
		     morgue.letter[i].value);
}

static void expect_exit(void)
{
	struct rota_exit why;

	cr_assert_eq(rota_join(stuck, ROTA_NOW, &why), 0);
	cr_assert_eq(why.cause, ROTA_EXIT_ABANDONED);
	cr_assert_eq(rota_abandon(stuck), -ESRCH);
}

/* A checked build's stop sees blocks that are lost. What became a dead letter is
   not handled, too. */
static void let_go(struct process *p)
{
	uint64_t n_handled;

	quiesce(); /* all others */
	n_handled = counters().messages;
	cr_assert_eq(tally_of(&record.destroyed), 0);
	flag_raise(&p->stall.go);
	AWAIT(counters().returned == 1);
	cr_assert(flag_is_up(&p->stall.ended));
	cr_assert_eq(counters().messages, n_handled);
	cr_assert_eq(tally_of(&record.destroyed), 1);
	engine_stop();
	cr_assert_eq(tally_of(&record.destroyed), 1);
	cr_assert_eq(p->receives, -ECANCELED, "%d", p->receives);
	cr_assert_eq(p->stashes, -ECANCELED, "%d", p->stashes);
	cr_assert_eq(p->unstashes, -ECANCELED, "%d", p->unstashes);
	cr_assert_eq(p->accepts, -ECANCELED, "%d", p->accepts);
	cr_assert_eq(p->becomes, -ECANCELED, "%d", p->becomes);
	cr_assert_eq(p->cancelled, 1);
}

/* ---- received ---- */

/* The second of tag 2: one of tag 1 was skipped. */
static int act_receive(void *arg)
{
	struct rota_tags two = rota_tags_of(2);
	struct process *p = arg;
	struct rota_received m;

	p->threads[0] = thread_number();
	for (int i = 0; i < 2; i++) {
		tally_add(&p->begun, 1);
		p->results[i] = rota_receive(&two, ROTA_FOREVER, &m);
	}
	p->threads[1] = thread_number();
	stand_still(p, &m);
	return 0;
}

static void expect_received_letters(void)
{
	cr_assert_eq(n_dead(), 5);
	expect_letter(0, ROTA_DEAD_ABANDONED, 2, 12);
	expect_letter(1, ROTA_DEAD_STOPPED, 1, 20);
	expect_letter(2, ROTA_DEAD_STOPPED, 1, 21);
	expect_letter(3, ROTA_DEAD_STOPPED, 2, 13);
	expect_letter(4, ROTA_DEAD_STOPPED, 2, 14);
	expect_conserved(7);
}

static void receive_and_spin(struct process *p, unsigned flags)
{
	engine_start(2);
	stuck = spawn_stuck(flags);
	ACTS(stuck, act_receive, p);
	AWAIT(tally_of(&p->begun) == 1);
	quiesce(); /* it stands */
	send_values(1, 20, 1);
	send_values(2, 11, 2);
	AWAIT(flag_is_up(&p->stall.begun));
	send_values(1, 21, 1);
	send_values(2, 13, 2);
	ABANDON(stuck);
	expect_exit();
	expect_received_letters();
	let_go(p);
	cr_assert_eq(p->value, 12);
}

Test(abandon_process, one_that_has_received, .init = check_kernel,
     .timeout = HANG)
{
	static struct process p;

	receive_and_spin(&p, 0);
	cr_assert_eq(p.threads[0], p.threads[1]);
}

Test(abandon_process, one_that_may_have_moved, .init = check_kernel,
     .timeout = HANG)
{
	static struct process p;

	receive_and_spin(&p, ROTA_ANYWHERE);
}

Test(abandon_process, one_on_a_thread_of_its_own, .init = check_kernel,
     .timeout = HANG)
{
	static struct process p;

	receive_and_spin(&p, ROTA_OWN_THREAD);
	cr_assert_eq(p.threads[0], p.threads[1]);
}

/* ---- moved ---- */

struct where {
	struct stall stall;
	long thread;
};

static int act_stall_where(void *arg)
{
	struct where *where = arg;

	where->thread = thread_number();
	return act_stall(&where->stall);
}

static void stall_start_where(struct where *where)
{
	ACTS(puppet_spawn(NULL, 0), act_stall_where, where);
	AWAIT(flag_is_up(&where->stall.begun));
}

/* Of two workers, keep the one that has this thread from all others. */
static struct where *stall_thread(long thread)
{
	static struct where first, second;

	stall_start_where(&first);
	if (first.thread == thread)
		return &first;
	stall_start_where(&second);
	flag_raise(&first.stall.go);
	cr_assert_eq(second.thread, thread);
	return &second;
}

Test(abandon_process, one_that_has_moved, .init = check_kernel, .timeout = HANG)
{
	static struct process p;
	struct where *where;

	engine_start(2);
	stuck = spawn_stuck(ROTA_ANYWHERE);
	ACTS(stuck, act_receive, &p);
	AWAIT(tally_of(&p.begun) == 1);
	quiesce();
	where = stall_thread(p.threads[0]);
	send_values(2, 11, 2);
	AWAIT(flag_is_up(&p.stall.begun));
	cr_assert_neq(p.threads[0], p.threads[1]);
	flag_raise(&where->stall.go);
	send_values(3, 30, 2);
	ABANDON(stuck);
	expect_exit();
	cr_assert_eq(n_dead(), 3);
	expect_letter(0, ROTA_DEAD_ABANDONED, 2, 12);
	expect_letter(1, ROTA_DEAD_STOPPED, 3, 30);
	expect_letter(2, ROTA_DEAD_STOPPED, 3, 31);
	/* Its old worker is everybody's, meanwhile. */
	ACTS(puppet_spawn(NULL, 0), act_stall, &where->stall);
	let_go(&p);
}

/* ---- nothing in hand ---- */

static int act_receive_in_vain(void *arg)
{
	struct rota_tags nine = rota_tags_of(9);
	struct process *p = arg;
	struct rota_received m;

	p->results[0] = rota_receive(&nine, ROTA_US(100), &m);
	stand_still(p, NULL);
	return 0;
}

Test(abandon_process, one_that_has_received_in_vain, .init = check_kernel,
     .timeout = HANG)
{
	static struct process p;

	engine_start(2);
	stuck = spawn_stuck(0);
	ACTS(stuck, act_receive_in_vain, &p);
	AWAIT(flag_is_up(&p.stall.begun));
	send_values(1, 1, 3);
	ABANDON(stuck);
	expect_exit();
	cr_assert_eq(n_dead(), 3);
	for (size_t i = 0; i < 3; i++)
		expect_letter(i, ROTA_DEAD_STOPPED, 1, 1 + i);
	expect_conserved(4);
	let_go(&p);
	cr_assert_eq(p.results[0], -ETIMEDOUT);
}

Test(abandon_process, not_one_that_stands_in_a_receive, .init = check_kernel,
     .timeout = HANG)
{
	static struct process p;

	engine_start(1);
	stuck = spawn_stuck(0);
	ACTS(stuck, act_receive, &p);
	AWAIT(tally_of(&p.begun) == 1);
	quiesce();
	cr_assert_eq(rota_abandon(stuck), -EAGAIN);
	cr_assert_eq(rota_abandon_within(stuck, ROTA_MS(3)), -ETIMEDOUT);
	cr_assert_eq(rota_is_alive(stuck), 1);
	send_values(2, 11, 2);
	AWAIT(flag_is_up(&p.stall.begun));
	flag_raise(&p.stall.go);
	AWAIT(tally_of(&p.begun) == 2);
	engine_stop();
	cr_assert_eq(tally_of(&record.destroyed), 1);
	cr_assert_eq(n_dead(), 0);
}

/* ---- put aside ---- */

/* Two aside, of each kind one; one in hand. */
static int act_stash(void *arg)
{
	struct process *p = arg;
	struct rota_received m;

	for (size_t i = 0; i < 4; i++) {
		rota_receive(NULL, ROTA_FOREVER, &m);
		if (i < 3)
			p->results[i] = rota_stash();
	}
	stand_still(p, &m);
	return 0;
}

Test(abandon_process, one_that_has_put_aside, .init = check_kernel,
     .timeout = HANG)
{
	static struct process p;
	uint64_t value = 7;

	engine_start(2);
	stuck = spawn_stuck(0);
	ACTS(stuck, act_stash, &p);
	send_values(1, 1, 3);
	cr_assert_eq(rota_send_after(stuck, 2, &value, sizeof(value), 0, NULL),
		     0);
	AWAIT(flag_is_up(&p.stall.begun));
	send_values(3, 30, 2);
	ABANDON(stuck);
	expect_exit();
	cr_assert_eq(n_dead(), 6);
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_ABANDONED]), 1);
	cr_assert_eq(morgue.letter[0].cause, ROTA_DEAD_ABANDONED);
	expect_letter(4, ROTA_DEAD_STOPPED, 3, 30);
	expect_letter(5, ROTA_DEAD_STOPPED, 3, 31);
	expect_conserved(7);
	let_go(&p);
	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(p.results[i], 0);
}

static int act_stash_in_order(void *arg)
{
	struct process *p = arg;
	struct rota_received m;

	for (size_t i = 0; i < 3; i++) {
		rota_receive(NULL, ROTA_FOREVER, &m);
		if (i < 2)
			p->results[i] = rota_stash();
	}
	p->results[2] = rota_send_urgent(rota_self(), 4, NULL, 0);
	stand_still(p, &m);
	return 0;
}

Test(abandon_process, the_stash_is_buried_in_order, .init = check_kernel,
     .timeout = HANG)
{
	static struct process p;

	engine_start(2);
	stuck = spawn_stuck(0);
	ACTS(stuck, act_stash_in_order, &p);
	send_values(1, 1, 5);
	AWAIT(flag_is_up(&p.stall.begun));
	send_values(3, 30, 1);
	ABANDON(stuck);
	expect_exit();
	cr_assert_eq(n_dead(), 7);
	expect_letter(0, ROTA_DEAD_ABANDONED, 1, 3);
	expect_letter(1, ROTA_DEAD_STOPPED, 4, 0);
	expect_letter(2, ROTA_DEAD_STOPPED, 1, 1);
	expect_letter(3, ROTA_DEAD_STOPPED, 1, 2);
	expect_letter(4, ROTA_DEAD_STOPPED, 1, 4);
	expect_letter(5, ROTA_DEAD_STOPPED, 1, 5);
	expect_letter(6, ROTA_DEAD_STOPPED, 3, 30);
	expect_conserved(8);
	let_go(&p);
	cr_assert_eq(p.value, 3);
}

/* A timer's block goes back when the handler returns, and not before. */
static int act_stash_timer(void *arg)
{
	struct process *p = arg;
	struct rota_received m;

	p->results[0] = rota_receive(NULL, ROTA_FOREVER, &m);
	p->results[1] = rota_stash();
	stand_still(p, &m);
	return 0;
}

Test(abandon_process, a_timers_message_that_was_put_aside, .init = check_kernel,
     .timeout = HANG)
{
	static struct process p;
	uint64_t value = 77;

	engine_start(2);
	stuck = spawn_stuck(0);
	ACTS(stuck, act_stash_timer, &p);
	cr_assert_eq(rota_send_after(stuck, 5, &value, sizeof(value), 0, NULL),
		     0);
	AWAIT(flag_is_up(&p.stall.begun));
	send_values(6, 78, 1);
	ABANDON(stuck);
	expect_exit();
	cr_assert_eq(n_dead(), 2);
	expect_letter(0, ROTA_DEAD_STOPPED, 5, 77);
	expect_letter(1, ROTA_DEAD_STOPPED, 6, 78);
	let_go(&p);
	cr_assert_eq(p.results[1], 0);
	cr_assert_eq(p.value, 77);
}

/* ---- accepted, and called for ---- */

static int act_accept(void *arg)
{
	struct rota_tags some = rota_tags_of(ACT - 1);

	(void)arg;
	rota_tags_add(&some, ACT);
	return rota_accept(&some);
}

static int act_stand(void *arg)
{
	stand_still(arg, NULL);
	return 0;
}

Test(abandon_process, one_that_does_not_accept_all, .init = check_kernel,
     .timeout = HANG)
{
	static struct process p;

	engine_start(2);
	stuck = spawn_stuck(0);
	ACTS(stuck, act_accept, NULL);
	send_values(1, 1, 3);
	quiesce();
	ACTS(stuck, act_stand, &p);
	AWAIT(flag_is_up(&p.stall.begun));
	send_values(ACT - 1, 9, 1);
	ABANDON(stuck);
	expect_exit();
	cr_assert_eq(tally_of(&record.n), 0);
	cr_assert_eq(n_dead(), 5);
	cr_assert_eq(morgue.letter[0].cause, ROTA_DEAD_ABANDONED);
	for (size_t i = 0; i < 3; i++)
		expect_letter(1 + i, ROTA_DEAD_STOPPED, 1, 1 + i);
	expect_letter(4, ROTA_DEAD_STOPPED, ACT - 1, 9);
	expect_conserved(6);
	let_go(&p);
}

/* ---- a function on the way ---- */

static int stand_in_closure(void *state, void *capture)
{
	struct process *p;

	(void)state;
	memcpy(&p, capture, sizeof(p));
	stand_still(p, NULL);
	memcpy(&p->value, capture, sizeof(p)); /* it is there still */
	return 0;
}

static int act_receive_all(void *arg)
{
	struct process *p = arg;
	struct rota_received m;

	do
		p->results[0] = rota_receive(NULL, ROTA_FOREVER, &m);
	while (p->results[0] == 0);
	p->results[1] = rota_receive(NULL, ROTA_FOREVER, &m);
	return 0;
}

Test(abandon_process, a_function_that_a_receive_runs, .init = check_kernel,
     .timeout = HANG)
{
	static struct process p;
	struct process *capture = &p;

	engine_start(2);
	stuck = spawn_stuck(ROTA_ANYWHERE);
	ACTS(stuck, act_receive_all, &p);
	quiesce();
	cr_assert_eq(rota_cast(stuck, stand_in_closure, &capture), 0);
	AWAIT(flag_is_up(&p.stall.begun));
	send_values(1, 1, 2);
	ABANDON(stuck);
	expect_exit();
	cr_assert_eq(n_dead(), 3);
	cr_assert_eq(morgue.letter[0].cause, ROTA_DEAD_ABANDONED);
	cr_assert_eq(morgue.letter[0].tag, ROTA_TAG_CLOSURE);
	expect_letter(1, ROTA_DEAD_STOPPED, 1, 1);
	expect_letter(2, ROTA_DEAD_STOPPED, 1, 2);
	expect_conserved(4);
	let_go(&p);
	cr_assert_eq(p.results[0], -ECANCELED);
	cr_assert_eq(p.results[1], -ECANCELED);
	cr_assert_eq(p.value, (uint64_t)(uintptr_t)&p);
}

/* ---- requests ---- */

static int asked_result;

static void *thread_ask(void *arg)
{
	asked_result = rota_ask(stuck, 1, arg, sizeof(uint64_t), NULL, 0,
				ROTA_FOREVER);
	return NULL;
}

Test(abandon_process, who_has_asked_one_that_receives, .init = check_kernel,
     .timeout = HANG)
{
	static struct process p;
	uint64_t value = 5;
	pthread_t thread;

	engine_start(2);
	stuck = spawn_stuck(ROTA_ANYWHERE);
	ACTS(stuck, act_stash_timer, &p);
	thread = thread_start(thread_ask, &value);
	AWAIT(flag_is_up(&p.stall.begun));
	ABANDON(stuck);
	thread_join(thread);
	cr_assert_eq(asked_result, -ECONNRESET, "%d", asked_result);
	cr_assert_eq(n_dead(), 1);
	expect_letter(0, ROTA_DEAD_ABANDONED, 1, 5);
	let_go(&p);
	cr_assert_eq(p.results[1], -EINVAL, "requests are not put aside");
	cr_assert_eq(p.value, 5);
}
