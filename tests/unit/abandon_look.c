/* SPDX-License-Identifier: MIT */
/*
 * abandon_look - is the turn that is seized the one that was seen to stand?
 *
 * Between the look that finds an actor stuck and the seizing of the hand the
 * worker may have gone on: to the next message of the turn, to another turn, to
 * another actor. A moment that is met by no test of the whole engine for sure:
 * so turns are played here, and the source is included.
 */
#include "core/abandon.c"

#include "tests/check.h"

static struct local local;
static struct actor actor;
static struct sighting seen;

/* Stuck in its 7th message, in the worker's 3rd turn. */
static void begin(void)
{
	local.turn.actor = &actor;
	local.turn.self = id_make(1, 2, 3);
	AO_store(&local.worker.xturns, 3);
	AO_store(&actor.xhandled, 7);
	seen = (struct sighting){
		.self = local.turn.self, .turns = 3, .handled = 7};
}

Test(abandon_look, finds_what_stands_still, .init = begin)
{
	cr_assert_eq(check_turn(&local, &seen), 0);
}

Test(abandon_look, not_another_actor, .init = begin)
{
	local.turn.self = id_make(1, 2, 4);
	cr_assert_eq(check_turn(&local, &seen), -EAGAIN);
	local.turn.self = ROTA_NONE;
	cr_assert_eq(check_turn(&local, &seen), -EAGAIN);
}

Test(abandon_look, not_a_later_turn, .init = begin)
{
	AO_store(&local.worker.xturns, 4);
	cr_assert_eq(check_turn(&local, &seen), -EAGAIN);
}

Test(abandon_look, not_a_later_message, .init = begin)
{
	AO_store(&actor.xhandled, 8);
	cr_assert_eq(check_turn(&local, &seen), -EAGAIN);
}

Test(abandon_look, not_one_that_is_given_up_already, .init = begin)
{
	local.turn.marks = TURN_ABANDONED;
	cr_assert_eq(check_turn(&local, &seen), -ESRCH);
}

Test(abandon_look, not_one_beside_others, .init = begin)
{
	local.turn.marks = TURN_BESIDE;
	cr_assert_eq(check_turn(&local, &seen), -EBUSY);
}

Test(abandon_look, not_one_in_a_callback, .init = begin)
{
	local.turn.marks = TURN_ASIDE;
	cr_assert_eq(check_turn(&local, &seen), -EBUSY);
}
