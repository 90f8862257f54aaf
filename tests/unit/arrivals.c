/* SPDX-License-Identifier: MIT */
/*
 * arrivals - are ages right whatever the looks saw, or else unknown?
 *
 * Looks are made up; a look takes no time unless the test says so.
 */
#include <rota/status.h>

#include "core/arrivals.h"

#include "tests/check.h"

#define GAP 20 /* that is permitted */

static struct arrivals arrivals;
static struct arrivals_look last;

/* At that time so many had been begun, and so many were queued. */
static void look(uint64_t at_ns, uint64_t begun, uint64_t queued)
{
	last = (struct arrivals_look){at_ns, at_ns, begun, queued};
	arrivals_look(&arrivals, &last, GAP);
}

/* A first look finds nothing. */
static void begin(void)
{
	arrivals_init(&arrivals);
	look(1000, 0, 0);
}

static int64_t oldest(void)
{
	return arrivals_oldest(&arrivals, &last);
}

Test(arrivals, nothing_queued_has_no_age)
{
	begin();
	cr_assert_eq(oldest(), 0);
	look(1010, 0, 2);
	look(1500, 2, 0);
	cr_assert_eq(oldest(), 0);
	cr_assert_eq(arrivals.n, 0);
}

Test(arrivals, each_message_is_as_old_as_the_look_that_found_it)
{
	begin();
	look(1010, 0, 2);
	look(1020, 0, 3);
	look(1030, 0, 3);
	cr_assert_eq(oldest(), 20);
	look(1040, 1, 2); /* the second is the oldest now */
	cr_assert_eq(oldest(), 30);
	look(1050, 2, 1);
	cr_assert_eq(oldest(), 30);
	look(1060, 3, 0);
	cr_assert_eq(oldest(), 0);
}

/* Of what the first look found nobody can know more. */
Test(arrivals, what_was_there_is_as_old_as_the_first_look)
{
	arrivals_init(&arrivals);
	look(5000, 3, 4);
	look(5007, 3, 4);
	cr_assert_eq(oldest(), 7);
}

/* The clock is read before a look and after it: the gap is from one look's
   beginning to the next one's end, the age from its end. */
Test(arrivals, a_look_takes_time)
{
	begin();
	last = (struct arrivals_look){1005, 1010, 0, 1};
	arrivals_look(&arrivals, &last, GAP);
	last = (struct arrivals_look){1020, 1026, 0, 2};
	arrivals_look(&arrivals, &last, GAP);
	cr_assert_eq(oldest(), 16);
	cr_assert_eq(arrivals.of[1].gap_ns, 1026 - 1005);
}

/* ---- gaps ---- */

Test(arrivals, what_came_in_a_gap_is_unknown_until_that_is_small)
{
	begin();
	look(1100, 0, 1);
	cr_assert_eq(oldest(), ROTA_AGE_UNKNOWN);
	look(1110, 0, 1);
	cr_assert_eq(oldest(), ROTA_AGE_UNKNOWN);
	look(2099, 0, 1);
	cr_assert_eq(oldest(), ROTA_AGE_UNKNOWN);
	look(2100, 0, 1);
	cr_assert_eq(oldest(), 1000); /* or up to 1,100 */
}

Test(arrivals, a_gap_is_of_what_came_in_it)
{
	begin();
	look(1010, 0, 1);
	look(1110, 0, 2);
	look(1120, 0, 3);
	cr_assert_eq(oldest(), 110);
	look(1130, 1, 2);
	cr_assert_eq(oldest(), ROTA_AGE_UNKNOWN);
	look(1140, 2, 1);
	cr_assert_eq(oldest(), 20);
}

/* Looks that find nothing new have looked all the same. */
Test(arrivals, there_is_no_gap_where_somebody_looked)
{
	begin();
	look(1020, 0, 0);
	look(1040, 0, 0);
	look(1060, 0, 1);
	cr_assert_eq(oldest(), 0);
	look(1061, 0, 1);
	cr_assert_eq(oldest(), 1);
}

/* ---- thinning ---- */

static void fill(uint64_t first_ns, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		look(first_ns + 10 * i, 0, 1 + i);
}

/* Ages stay, but of the message whose mark went: that is a little younger. */
Test(arrivals, are_thinned_out_where_they_are_closest)
{
	begin();
	fill(1010, 10);
	look(1105, 0, 11); /* the tenth, at 1,100, has the closest neighbours */
	for (unsigned i = 0; i < MARKS - 11; i++)
		look(1115 + 10 * i, 0, 12 + i);
	cr_assert_eq(arrivals.n, MARKS);
	look(1750, 0, MARKS + 1);
	cr_assert_eq(arrivals.n, MARKS);
	look(1760, 8, MARKS - 7); /* the ninth is the oldest */
	cr_assert_eq(oldest(), 1760 - 1090);
	look(1760, 9, MARKS - 8);
	cr_assert_eq(oldest(), 1760 - 1105);
	look(1760, 10, MARKS - 9);
	cr_assert_eq(oldest(), 1760 - 1105);
}

Test(arrivals, the_first_one_stays_when_they_are_thinned_out)
{
	begin();
	fill(1001, 3 * MARKS);
	cr_assert_eq(oldest(), (int64_t)(last.after_ns - 1001));
	for (unsigned i = 1; i < arrivals.n; i++)
		cr_assert_gt(arrivals.of[i].ordinal,
			     arrivals.of[i - 1].ordinal);
	cr_assert_eq(arrivals.of[arrivals.n - 1].ordinal, 3 * MARKS);
}

/* The next mark answers for what came by one that went. */
Test(arrivals, a_gap_outlives_its_mark)
{
	begin();
	look(1010, 0, 1);
	look(1110, 0, 2);
	look(1111, 0, 3);
	for (unsigned i = 0; i < MARKS - 3; i++)
		look(2111 + 1000 * i, 0, 4 + i);
	/* That at 1,110 has the closest neighbours. */
	look(70000, 0, MARKS + 1);
	cr_assert_eq(arrivals.n, MARKS);
	cr_assert_eq(arrivals.of[1].ordinal, 3);
	cr_assert_eq(arrivals.of[1].gap_ns, 100);
}

/* ---- fewer than the marks say ---- */

/* It was missed: neither begun nor queued at that moment. */
Test(arrivals, one_look_that_misses_a_message_makes_none_younger)
{
	begin();
	look(1010, 0, 1);
	look(1020, 1, 0);
	look(1030, 1, 1);
	look(1040, 1, 0); /* so it seems */
	look(1050, 1, 1);
	cr_assert_eq(oldest(), 20);
	look(1060, 1, 3);
	look(1070, 1, 2); /* so it seems */
	look(1080, 1, 4); /* the fourth came at last */
	cr_assert_eq(oldest(), 50);
	look(1090, 2, 3);
	cr_assert_eq(oldest(), 30);
	look(1100, 4, 1);
	cr_assert_eq(oldest(), 20);
}

/* Room that was leased looked like ten messages, and is given back. */
Test(arrivals, are_lowered_when_two_looks_see_fewer)
{
	begin();
	look(1010, 0, 2);
	look(1020, 0, 10);
	look(1030, 0, 3);
	look(1040, 0, 3);
	look(1050, 0, 4);
	look(1060, 2, 2); /* the third came by 1,020 */
	cr_assert_eq(oldest(), 40);
	look(1070, 3, 1);
	cr_assert_eq(oldest(), 20);
}

/* Other messages come between the looks: the number is never the same. */
Test(arrivals, are_lowered_though_messages_come_meanwhile)
{
	begin();
	look(1010, 0, 10); /* two, and leased room */
	look(1020, 0, 3);
	look(1030, 0, 4);
	look(1040, 0, 5);
	cr_assert_eq(oldest(), 30);
	look(1050, 3, 2); /* the fourth */
	cr_assert_leq(oldest(), 30, "it came after the look at 1,020");
	cr_assert_eq(oldest(), 20);
	look(1060, 4, 1);
	cr_assert_eq(oldest(), 20);
}

/* ... or less each time. */
Test(arrivals, are_lowered_step_by_step)
{
	begin();
	look(1010, 0, 10);
	look(1020, 0, 7);
	look(1030, 0, 5);
	cr_assert_eq(arrivals.of[0].ordinal, 7);
	look(1040, 0, 5);
	cr_assert_eq(arrivals.of[0].ordinal, 5);
	look(1050, 0, 6);
	look(1060, 5, 1);
	cr_assert_eq(oldest(), 10);
}

Test(arrivals, one_look_that_finds_nothing_queued_forgets_nothing)
{
	begin();
	look(1010, 0, 5);
	look(1020, 0, 0); /* so it seems */
	cr_assert_eq(oldest(), 0);
	look(1030, 0, 5);
	cr_assert_eq(oldest(), 20);
}

/* It was leased room and no message at all. */
Test(arrivals, two_looks_that_find_nothing_queued_forget_all)
{
	begin();
	look(1010, 0, 5);
	look(1020, 0, 0);
	look(1030, 0, 0);
	cr_assert_eq(arrivals.n, 0);
	look(1040, 0, 1);
	cr_assert_eq(oldest(), 0);
}

/* A look that missed one does not tell that nothing had come by then. */
Test(arrivals, a_look_that_misses_messages_ends_no_gap)
{
	begin();
	look(1010, 0, 4);
	look(1025, 0, 3); /* so it seems: there may have been five */
	look(1035, 0, 5);
	cr_assert_eq(arrivals.of[1].gap_ns, 25);
}
