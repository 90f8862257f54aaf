/* SPDX-License-Identifier: MIT */
/*
 * wait - does the wait word keep to its table, from every state?
 */
#include <errno.h>
#include <string.h>

#include "sched/wait.h"
#include "tests/check.h"

static struct wait wait;
static struct wait_ticket ticket;
static unsigned n_woken;
static bool had_ended; /* when wake() was called */

static void wake(struct wait *woken)
{
	n_woken++;
	had_ended = woken == &wait && wait_has_ended(&wait);
}

static void begin(void)
{
	memset(&wait, 0, sizeof(wait));
	wait.wake = wake;
	wait.result = 1234;
	n_woken = 0;
	had_ended = false;
}

static enum wait_state state(void)
{
	return (enum wait_state)(wait.xword & WAIT_STATE_MASK);
}

static bool is_cancelled(void)
{
	return (wait.xword & WAIT_CANCEL) != 0;
}

static void start(void)
{
	cr_assert(wait_begin(&wait, &ticket));
	cr_assert_eq(state(), WAIT_WAITING);
	cr_assert_eq(ticket.wait, &wait);
}

/* A cancel, and what its caller has to do if it has won. */
static void cancel(void)
{
	if (!wait_cancel(&wait))
		return;
	cr_assert_eq(state(), WAIT_CLAIMED);
	cr_assert_not(wait_has_ended(&wait));
	wait_finish(&wait, -ECANCELED);
}

static void expect_end(int result)
{
	cr_assert(wait_has_ended(&wait));
	cr_assert_eq(wait_end(&wait), result);
	cr_assert_eq(state(), WAIT_IDLE);
	cr_assert_not(wait_has_ended(&wait));
}

Test(wait, memory_of_zeroes_is_an_idle_wait, .init = begin)
{
	cr_assert_eq(state(), WAIT_IDLE);
	cr_assert_not(wait_has_ended(&wait));
	start();
}

Test(wait, winner_hands_over_the_result_then_wakes, .init = begin)
{
	start();
	cr_assert_not(wait_has_ended(&wait));
	cr_assert(wait_claim(ticket));
	cr_assert_eq(state(), WAIT_CLAIMED);
	cr_assert_not(wait_has_ended(&wait));
	cr_assert_eq(n_woken, 0);
	wait_finish(&wait, -7);
	cr_assert_eq(n_woken, 1);
	cr_assert(had_ended, "woken before the result was there");
	cr_assert_eq(state(), WAIT_ENDED);
	expect_end(-7);
}

Test(wait, one_claim_wins, .init = begin)
{
	start();
	cr_assert(wait_claim(ticket));
	cr_assert_not(wait_claim(ticket));
	wait_finish(&wait, 5);
	cr_assert_not(wait_claim(ticket));
	expect_end(5);
	cr_assert_not(wait_claim(ticket));
	cr_assert_eq(n_woken, 1);
}

Test(wait, late_claims_do_not_hit_later_waits, .init = begin)
{
	struct wait_ticket old[100];

	for (int i = 0; i < 100; i++) {
		start();
		old[i] = ticket;
		for (int k = 0; k < i; k++) {
			cr_assert_not(wait_claim(old[k]));
			cr_assert_not(wait_retract(old[k]));
		}
		cr_assert_eq(state(), WAIT_WAITING);
		cr_assert(wait_claim(ticket));
		wait_finish(&wait, i);
		expect_end(i);
	}
}

Test(wait, complete_ends_and_wakes_in_one_step, .init = begin)
{
	start();
	wait_complete(ticket);
	cr_assert_eq(n_woken, 1);
	cr_assert(had_ended, "woken before it had ended");
	cr_assert_not(wait_claim(ticket));
	cr_assert_not(wait_retract(ticket));
	expect_end(1234); /* no result was handed over */
}

Test(wait, complete_comes_too_late_for_one_that_is_claimed, .init = begin)
{
	struct wait_ticket old;

	start();
	old = ticket;
	cr_assert(wait_claim(ticket));
	wait_complete(old);
	cr_assert_eq(state(), WAIT_CLAIMED);
	cr_assert_eq(n_woken, 0);
	wait_finish(&wait, 3);
	wait_complete(old);
	cr_assert_eq(n_woken, 1);
	expect_end(3);
	start();
	wait_complete(old);
	cr_assert_eq(state(), WAIT_WAITING);
	cr_assert_eq(n_woken, 1);
}

Test(wait, retract_undoes_a_begin, .init = begin)
{
	start();
	cr_assert(wait_retract(ticket));
	cr_assert_eq(state(), WAIT_IDLE);
	cr_assert_eq(n_woken, 0);
	cr_assert_not(wait_claim(ticket));
	cr_assert_not(wait_retract(ticket));
	start();
	cr_assert(wait_claim(ticket));
}

Test(wait, retract_after_a_claim_is_too_late, .init = begin)
{
	start();
	cr_assert(wait_claim(ticket));
	cr_assert_not(wait_retract(ticket));
	cr_assert_eq(state(), WAIT_CLAIMED);
	wait_finish(&wait, 3);
	cr_assert_not(wait_retract(ticket));
	expect_end(3);
}

/* ---- cancel ---- */

Test(wait, cancel_ends_the_wait_in_progress, .init = begin)
{
	start();
	cancel();
	cr_assert_eq(n_woken, 1);
	cr_assert(had_ended);
	cr_assert_not(wait_claim(ticket));
	cr_assert_not(wait_retract(ticket));
	expect_end(-ECANCELED);
}

Test(wait, cancel_makes_waits_fail_until_it_is_cleared, .init = begin)
{
	AO_t word;

	cancel();
	cr_assert(is_cancelled());
	cr_assert_eq(n_woken, 0);
	word = wait.xword;
	for (int i = 0; i < 3; i++)
		cr_assert_not(wait_begin(&wait, &ticket));
	cr_assert_eq(wait.xword, word);
	wait_clear(&wait);
	cr_assert_not(is_cancelled());
	start();
	cr_assert(wait_claim(ticket));
	wait_finish(&wait, 1);
	expect_end(1);
}

Test(wait, cancel_of_a_wait_sticks, .init = begin)
{
	start();
	cancel();
	expect_end(-ECANCELED);
	cr_assert(is_cancelled());
	cr_assert_not(wait_begin(&wait, &ticket));
	wait_clear(&wait);
	start();
}

Test(wait, cancel_leaves_the_winner_its_win, .init = begin)
{
	start();
	cr_assert(wait_claim(ticket));
	cancel();
	cr_assert_eq(state(), WAIT_CLAIMED);
	cr_assert_eq(n_woken, 0);
	wait_finish(&wait, 9);
	cr_assert_eq(n_woken, 1);
	cr_assert_eq(state(), WAIT_ENDED);
	cancel();
	cr_assert_eq(n_woken, 1);
	expect_end(9);
	cr_assert(is_cancelled());
	cr_assert_not(wait_begin(&wait, &ticket));
}

Test(wait, second_cancel_changes_nothing, .init = begin)
{
	AO_t word;

	start();
	cancel();
	word = wait.xword;
	cancel();
	cr_assert_eq(wait.xword, word);
	cr_assert_eq(n_woken, 1);
	expect_end(-ECANCELED);
}

Test(wait, clear_touches_nothing_but_the_cancel, .init = begin)
{
	AO_t word;

	start();
	word = wait.xword;
	wait_clear(&wait);
	cr_assert_eq(wait.xword, word);
	cr_assert(wait_claim(ticket));
	word = wait.xword;
	cancel();
	wait_clear(&wait);
	cr_assert_eq(wait.xword, word);
	wait_finish(&wait, 2);
	word = wait.xword;
	cancel();
	wait_clear(&wait);
	cr_assert_eq(wait.xword, word);
	expect_end(2);
}

/* A wait that was cancelled was a wait: its ticket is spent, too. */
Test(wait, sequence_grows_with_each_begin, .init = begin)
{
	AO_t last = 0;

	for (int i = 0; i < 1000; i++) {
		start();
		cr_assert_gt(ticket.sequence, last);
		last = ticket.sequence;
		switch (i % 3) {
		case 0:
			cr_assert(wait_retract(ticket));
			break;
		case 1:
			cancel();
			expect_end(-ECANCELED);
			wait_clear(&wait);
			break;
		default:
			cr_assert(wait_claim(ticket));
			wait_finish(&wait, i);
			expect_end(i);
		}
	}
}
