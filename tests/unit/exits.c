/* SPDX-License-Identifier: MIT */
/*
 * exits - are the newest ends remembered, and the dropped ones admitted?
 */
#include <string.h>

#include "core/exits.h"
#include "core/id.h"
#include "tests/check.h"

static struct exits exits;

static void begin(void)
{
	cr_assert_eq(exits_init(&exits), 0);
}

static void end(void)
{
	exits_fini(&exits);
	cr_assert_null(exits.ring);
	cr_assert_null(exits.buckets);
}

static rota_id name(uint32_t i)
{
	return id_make(1 + i % 3, i / 7, 1 + i % 7);
}

/* Something to tell records apart by. */
static int reason_of(uint32_t i)
{
	return (int)(i * 2654435761u);
}

static enum rota_exit_cause cause_of(uint32_t i)
{
	return i % 2 ? ROTA_EXIT_FAILED : ROTA_EXIT_STOPPED;
}

static void record(uint32_t first, uint32_t n)
{
	for (uint32_t i = first; i < first + n; i++)
		exits_record(&exits, name(i), (int)cause_of(i), reason_of(i));
}

static void expect(rota_id id, enum rota_exit_cause cause, int reason)
{
	static const struct rota_exit nothing;
	struct rota_exit why;

	memset(&why, 0xff, sizeof(why));
	exits_find(&exits, id, &why);
	cr_assert_eq(why.cause, cause);
	cr_assert_eq(why.reason, reason);
	cr_assert_arr_eq(why.reserved, nothing.reserved, sizeof(why.reserved));
}

static void expect_known(uint32_t first, uint32_t n)
{
	for (uint32_t i = first; i < first + n; i++)
		expect(name(i), cause_of(i), reason_of(i));
}

Test(exits, what_was_not_worth_a_record_was_normal, .init = begin, .fini = end)
{
	expect(ROTA_NONE, ROTA_EXIT_NORMAL, 0);
	expect(name(1), ROTA_EXIT_NORMAL, 0);
	record(100, 1000);
	expect(name(1), ROTA_EXIT_NORMAL, 0);
	/* The same slot in another life, in another engine. */
	expect(name(100) + 100, ROTA_EXIT_NORMAL, 0);
	expect(name(100) + ((rota_id)1 << 60), ROTA_EXIT_NORMAL, 0);
}

Test(exits, recorded_ends_are_found, .init = begin, .fini = end)
{
	record(0, 10000);
	expect_known(0, 10000);
}

Test(exits, as_many_as_promised_are_kept, .init = begin, .fini = end)
{
	record(0, EXITS_KEPT);
	expect_known(0, EXITS_KEPT);
	/* Nothing is lost yet. */
	expect(name(UINT32_MAX - 5), ROTA_EXIT_NORMAL, 0);
	record(EXITS_KEPT, 1);
	expect(name(UINT32_MAX - 5), ROTA_EXIT_FORGOTTEN, 0);
	record(EXITS_KEPT + 1, 4999);
	expect_known(5000, EXITS_KEPT);
}

Test(exits, dropped_ends_are_admitted, .init = begin, .fini = end)
{
	record(0, EXITS_KEPT + 5000);
	for (uint32_t i = 0; i < 5000; i++)
		expect(name(i), ROTA_EXIT_FORGOTTEN, 0);
	/* Nor can one say any more that it was not worth a record. */
	expect(name(UINT32_MAX - 5), ROTA_EXIT_FORGOTTEN, 0);
	record(EXITS_KEPT + 5000, EXITS_KEPT);
	for (uint32_t i = 0; i < EXITS_KEPT; i += 97)
		expect(name(i), ROTA_EXIT_FORGOTTEN, 0);
	expect_known(EXITS_KEPT + 5000, EXITS_KEPT);
}

/* ---- buckets ---- */

/* The i-th of the ids that share the bucket of number @bucket. */
static rota_id sibling(uint32_t bucket, uint32_t i)
{
	const uint64_t factor = UINT64_C(0x9e3779b97f4a7c15);
	uint64_t inverse = factor;

	/* Newton's iteration doubles the bits that are right. */
	for (int k = 0; k < 6; k++)
		inverse *= 2 - factor * inverse;
	return inverse * ((uint64_t)bucket << 44 | i);
}

Test(exits, ids_may_share_a_bucket, .init = begin, .fini = end)
{
	for (uint32_t i = 0; i < 2000; i++) {
		exits_record(&exits, sibling(5, i), ROTA_EXIT_FAILED, (int)i);
		exits_record(&exits, sibling(6, i), ROTA_EXIT_FAILED, -(int)i);
	}
	for (uint32_t i = 0; i < 2000; i++) {
		expect(sibling(5, i), ROTA_EXIT_FAILED, (int)i);
		expect(sibling(6, i), ROTA_EXIT_FAILED, -(int)i);
	}
	expect(sibling(5, 2000), ROTA_EXIT_NORMAL, 0);
	expect(sibling(7, 0), ROTA_EXIT_NORMAL, 0);
}

/*
 * Chains that run into records of other buckets must not lead anywhere: not in
 * circles, not to somebody else's end. Two buckets take turns, round and round.
 */
Test(exits, chains_end_where_they_were_overwritten, .init = begin, .fini = end)
{
	enum { GROUP = 1000 };
	uint32_t n = 0;

	for (uint32_t group = 0; n < 2 * EXITS_KEPT + 3 * GROUP; group++)
		for (uint32_t i = 0; i < GROUP; i++, n++)
			/* A few of the chosen buckets, many of others. */
			exits_record(&exits,
				     i < 2 ? sibling(group % 3, n)
					   : sibling(10 + n % 100000, n),
				     ROTA_EXIT_FAILED, (int)n);
	for (uint32_t i = 0; i < n; i += i % GROUP ? GROUP - 1 : 1) {
		rota_id id = sibling(i / GROUP % 3, i);

		if (i + EXITS_KEPT < n)
			expect(id, ROTA_EXIT_FORGOTTEN, 0);
		else
			expect(id, ROTA_EXIT_FAILED, (int)i);
	}
	for (uint32_t bucket = 0; bucket < 100020; bucket++)
		expect(sibling(bucket, UINT32_MAX), ROTA_EXIT_FORGOTTEN, 0);
}

/* ---- for ever ---- */

Test(exits, number_of_records_may_wrap, .init = begin, .fini = end)
{
	exits.n_recorded = UINT32_MAX - 1000;
	record(0, 5000);
	expect_known(0, 5000);
	record(5000, EXITS_KEPT);
	expect_known(5000, EXITS_KEPT);
	for (uint32_t i = 0; i < 5000; i++)
		expect(name(i), ROTA_EXIT_FORGOTTEN, 0);
}
