/* SPDX-License-Identifier: MIT */
/*
 * lane - are lists of taken messages in the order in which they were sent?
 */
#include <stdlib.h>

#include "mailbox/lane.h"
#include "tests/check.h"

#define N 64

static struct message messages[N];
static struct message *normal, *urgent;

static void begin(void)
{
	normal = urgent = NULL;
	for (int i = 0; i < N; i++)
		messages[i] = (struct message){.tag = (uint16_t)i};
}

/* messages[first] ... as they come out of a mailbox: newest first. */
static struct message *chain(int first, int n)
{
	struct message *newest = NULL;

	for (int i = first; i < first + n; i++) {
		messages[i].next = newest;
		newest = &messages[i];
	}
	return newest;
}

Test(lane, empty_gives_nothing, .init = begin)
{
	cr_assert_null(lane_pop(&normal));
	lane_push(&normal, &messages[0]);
	cr_assert_eq(lane_pop(&normal), &messages[0]);
	cr_assert_null(normal);
	cr_assert_null(lane_pop(&normal));
}

Test(lane, is_fifo, .init = begin)
{
	for (int n = 1; n <= N; n++) {
		for (int i = 0; i < n; i++)
			lane_push(&normal, &messages[i]);
		cr_assert_eq(normal, &messages[n - 1]);
		for (int i = 0; i < n; i++)
			cr_assert_eq(lane_pop(&normal), &messages[i]);
		cr_assert_null(normal);
	}
}

Test(lane, pushes_and_pops_mix, .init = begin)
{
	int pushed = 0, popped = 0;

	srand(7);
	for (int i = 0; i < 10000; i++) {
		if (rand() % 2 && pushed - popped < N)
			lane_push(&normal, &messages[pushed++ % N]);
		else if (popped < pushed)
			cr_assert_eq(lane_pop(&normal),
				     &messages[popped++ % N]);
		else
			cr_assert_null(lane_pop(&normal));
	}
}

Test(lanes, fill_turns_the_order_round, .init = begin)
{
	lanes_fill(&normal, &urgent, chain(0, 10), true);
	cr_assert_null(urgent);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(lane_pop(&normal), &messages[i]);
	cr_assert_null(normal);
}

Test(lanes, fill_with_nothing_changes_nothing, .init = begin)
{
	lanes_fill(&normal, &urgent, NULL, true);
	cr_assert_null(normal);
	cr_assert_null(urgent);
	lane_push(&urgent, &messages[1]);
	lanes_fill(&normal, &urgent, NULL, true);
	cr_assert_eq(lane_pop(&urgent), &messages[1]);
}

Test(lanes, later_takes_go_behind_earlier_ones, .init = begin)
{
	lanes_fill(&normal, &urgent, chain(0, 3), true);
	cr_assert_eq(lane_pop(&normal), &messages[0]);
	lanes_fill(&normal, &urgent, chain(3, 1), true);
	lanes_fill(&normal, &urgent, chain(4, 4), true);
	for (int i = 1; i < 8; i++)
		cr_assert_eq(lane_pop(&normal), &messages[i]);
	cr_assert_null(normal);
}

/* All patterns of urgent and normal among eight messages, in two takes. */
Test(lanes, each_lane_keeps_its_order, .init = begin)
{
	for (unsigned pattern = 0; pattern < 256; pattern++) {
		int cut = (int)(pattern * 7 % 9);

		for (int i = 0; i < 8; i++)
			messages[i].flags =
				pattern >> i & 1 ? MESSAGE_URGENT : 0;
		lanes_fill(&normal, &urgent, chain(0, cut), true);
		lanes_fill(&normal, &urgent, chain(cut, 8 - cut), true);
		for (int i = 0; i < 8; i++)
			cr_assert_eq(
				lane_pop(pattern >> i & 1 ? &urgent : &normal),
				&messages[i]);
		cr_assert_null(normal);
		cr_assert_null(urgent);
	}
}

/* Other flags do not make a message urgent. */
Test(lanes, urgency_is_one_flag, .init = begin)
{
	messages[0].flags = (uint8_t)~MESSAGE_URGENT;
	messages[1].flags = MESSAGE_URGENT | MESSAGE_OWNED;
	lanes_fill(&normal, &urgent, chain(0, 2), true);
	cr_assert_eq(lane_pop(&normal), &messages[0]);
	cr_assert_eq(lane_pop(&urgent), &messages[1]);
}
