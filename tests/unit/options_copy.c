/* SPDX-License-Identifier: MIT */
/*
 * options_copy - do structs of any size come over, and nothing beside them?
 */
#include <errno.h>
#include <string.h>

#include "core/options.h"
#include "tests/check.h"

/* Ours: five fields and a canary; no padding. */
struct ours {
	size_t size;
	int field[4];
	int canary[2];
};

#define OUR_SIZE offsetof(struct ours, canary)

static struct ours ours;
static unsigned char theirs[256];

/* Theirs is so long, each byte set to @byte. */
static int copy(size_t size, int byte)
{
	memset(theirs, byte, sizeof(theirs));
	memcpy(theirs, &size, sizeof(size));
	ours = (struct ours){OUR_SIZE, {1, 2, 3, 4}, {5, 6}};
	return options_copy(&ours, OUR_SIZE, theirs);
}

static void expect_untouched(void)
{
	const struct ours before = {OUR_SIZE, {1, 2, 3, 4}, {5, 6}};

	cr_assert_arr_eq(&ours, &before, sizeof(ours));
}

Test(options_copy, null_means_all_defaults)
{
	copy(0, 0);
	cr_assert_eq(options_copy(&ours, OUR_SIZE, NULL), 0);
	expect_untouched();
}

Test(options_copy, no_size_is_refused)
{
	for (size_t size = 0; size < sizeof(size_t); size++) {
		cr_assert_eq(copy(size, 0xff), -EINVAL);
		expect_untouched();
	}
}

Test(options_copy, shorter_ones_leave_the_rest_to_us)
{
	struct ours before = {OUR_SIZE, {1, 2, 3, 4}, {5, 6}};
	const unsigned char *byte = (const unsigned char *)&ours;
	const unsigned char *was = (const unsigned char *)&before;

	for (size_t size = sizeof(size_t); size <= OUR_SIZE; size++) {
		cr_assert_eq(copy(size, 0xee), 0);
		cr_assert_eq(ours.size, OUR_SIZE);
		for (size_t i = sizeof(size_t); i < sizeof(ours); i++)
			cr_assert_eq(byte[i], i < size ? 0xee : was[i]);
	}
}

Test(options_copy, longer_ones_of_zeroes_are_fine)
{
	for (size_t size = OUR_SIZE; size <= sizeof(theirs); size++) {
		cr_assert_eq(copy(size, 0), 0);
		cr_assert_eq(ours.size, OUR_SIZE);
		cr_assert_eq(ours.field[3], 0);
		cr_assert_eq(ours.canary[0], 5);
	}
}

Test(options_copy, longer_ones_with_anything_else_are_refused)
{
	for (size_t i = OUR_SIZE; i < sizeof(theirs); i++) {
		copy(sizeof(theirs), 0);
		ours = (struct ours){OUR_SIZE, {1, 2, 3, 4}, {5, 6}};
		theirs[i] = 1;
		cr_assert_eq(options_copy(&ours, OUR_SIZE, theirs), -E2BIG);
		expect_untouched();
		/* What lies behind it is not ours to judge. */
		memcpy(theirs, &i, sizeof(i));
		cr_assert_eq(options_copy(&ours, OUR_SIZE, theirs), 0);
	}
}

Test(options_give, fills_what_there_is_room_for)
{
	const struct ours full = {OUR_SIZE, {-1, -1, -1, -1}, {-1, -1}};

	for (size_t size = 0; size <= sizeof(theirs); size++) {
		memset(theirs, 0, sizeof(theirs));
		memcpy(theirs, &size, sizeof(size));
		options_give(theirs, &full, OUR_SIZE);
		cr_assert_arr_eq(theirs, &size, sizeof(size));
		for (size_t i = sizeof(size); i < sizeof(theirs); i++)
			cr_assert_eq(theirs[i],
				     i < size && i < OUR_SIZE ? 0xff : 0);
	}
}
