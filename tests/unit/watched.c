/* SPDX-License-Identifier: MIT */
/*
 * watched - does each that was asked about have its turn, and in time?
 */
#include <stdlib.h>

#include "core/watched.h"

#include "tests/check.h"

#define LATER (WATCHED_YIELD_NS + 1)

static struct watches *watches;

/* Ids from 1 on. */
static void begin(unsigned n)
{
	watches = watches_make();
	cr_assert_not_null(watches);
	for (rota_id id = 1; id <= n; id++)
		cr_assert_not_null(watches_add(watches, id, 0));
}

static void end(void)
{
	free(watches);
}

static void ask(rota_id id, uint64_t now_ns)
{
	watches_ask(watches, watches_find(watches, id), now_ns);
}

static void expect_next(rota_id id)
{
	cr_assert_eq(watches_next(watches)->id, id);
	watches_pass(watches);
}

Test(watched, have_their_turn_in_order)
{
	begin(3);
	for (int i = 0; i < 2; i++)
		for (rota_id id = 1; id <= 3; id++)
			expect_next(id);
	end();
}

Test(watched, are_found_until_they_are_forgotten)
{
	begin(WATCHED);
	for (rota_id id = 1; id <= WATCHED; id++)
		cr_assert_eq(watches_find(watches, id)->id, id);
	cr_assert_null(watches_find(watches, WATCHED + 1));
	for (rota_id id = 1; id <= WATCHED; id += 2)
		watches_forget(watches, watches_find(watches, id));
	for (rota_id id = 1; id <= WATCHED; id++)
		cr_assert_eq(watches_find(watches, id) != NULL, id % 2 == 0);
	cr_assert_eq(watches->n, WATCHED / 2);
	end();
}

/* The last one has the turn of the one that went. */
Test(watched, one_that_is_forgotten_gives_its_turn_to_another)
{
	begin(4);
	expect_next(1);
	watches_forget(watches, watches_next(watches));
	expect_next(4);
	expect_next(3);
	expect_next(1);
	end();
}

Test(watched, the_one_asked_about_longest_ago_yields_its_place)
{
	begin(WATCHED);
	ask(1, 1);
	cr_assert_null(watches_add(watches, WATCHED + 1, WATCHED_YIELD_NS));
	cr_assert_not_null(watches_add(watches, WATCHED + 1, LATER));
	cr_assert_null(watches_find(watches, 2));
	cr_assert_not_null(watches_find(watches, 1));
	cr_assert_not_null(watches_find(watches, WATCHED + 1));
	end();
}

static unsigned last_turn[WATCHED + 2]; /* by id */
static unsigned n_turns;

/* How long the one whose turn it is has waited for it. */
static unsigned next_turn(void)
{
	rota_id id = watches_next(watches)->id;
	unsigned waited = n_turns - last_turn[id];

	last_turn[id] = n_turns++;
	watches_pass(watches);
	return waited;
}

/* One whose turn was right before is replaced. */
Test(watched, wait_for_one_round_when_another_takes_a_place)
{
	const rota_id replaced = 1000, fresh = WATCHED + 1;

	begin(WATCHED);
	while (n_turns < WATCHED + replaced)
		next_turn();
	for (rota_id id = 1; id <= WATCHED; id++)
		if (id != replaced)
			ask(id, 1);
	cr_assert_not_null(watches_add(watches, fresh, LATER));
	cr_assert_null(watches_find(watches, replaced));
	last_turn[fresh] = n_turns;
	for (unsigned i = 0; i < 2 * WATCHED; i++)
		cr_assert_leq(next_turn(), WATCHED);
	end();
}
