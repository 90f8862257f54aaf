/* SPDX-License-Identifier: MIT */
/*
 * sift - is the oldest message of some tags found, in whatever order sets are
 * used, and is none compared twice for the same set?
 */
#include "mailbox/lane.h"
#include "mailbox/sift.h"
#include "tests/unit/support.h"

#define MOST 64

static struct message messages[MOST];
static struct message *lane;
static struct sift sift;
static size_t n_made;

static void put(unsigned tag, unsigned flags)
{
	struct message *message = &messages[n_made++];

	message_set(message, 1, tag, flags, 0);
	message->from = n_made; /* its number, from 1 */
	lane_push(&lane, message);
}

static uint64_t take(uint64_t mask)
{
	struct tag_set set = {mask, 10};
	struct message *message = sift_take(&lane, &sift, &set);

	return message ? message->from : 0;
}

#define ALL 0
#define TEN 1 /* tag 10 */
#define ELEVEN 2
#define BOTH (TEN | ELEVEN)

Test(sift, tags_of_a_set)
{
	struct tag_set set = {UINT64_C(1) << 63 | 1, 100}, all = {0, 7};

	cr_assert(tag_set_has(&set, 100));
	cr_assert(tag_set_has(&set, 163));
	cr_assert_not(tag_set_has(&set, 101));
	cr_assert_not(tag_set_has(&set, 164));
	cr_assert_not(tag_set_has(&set, 99));
	cr_assert_not(tag_set_has(&set, 0));
	cr_assert(tag_set_has(&all, 0));
	cr_assert(tag_set_has(&all, 65535));
}

Test(sift, all_are_taken_in_order)
{
	cr_assert_eq(take(ALL), 0);
	put(10, 0);
	put(11, 0);
	cr_assert_eq(take(ALL), 1);
	cr_assert_eq(take(ALL), 2);
	cr_assert_eq(take(ALL), 0);
	cr_assert_null(lane);
}

Test(sift, others_keep_their_places)
{
	put(10, 0);
	put(11, 0);
	put(10, 0);
	put(11, 0);
	cr_assert_eq(take(ELEVEN), 2);
	cr_assert_eq(take(ELEVEN), 4);
	cr_assert_eq(take(ELEVEN), 0);
	put(11, 0);
	cr_assert_eq(take(BOTH), 1);
	cr_assert_eq(take(ELEVEN), 5);
	cr_assert_eq(take(ALL), 3);
	cr_assert_null(lane);
}

/* Change what was compared before: nobody looks there any more. */
Test(sift, none_is_compared_twice)
{
	put(10, 0);
	put(10, 0);
	cr_assert_eq(take(ELEVEN), 0);
	message_set(&messages[0], 1, 11, 0, 0);
	message_set(&messages[1], 1, 11, 0, 0);
	cr_assert_eq(take(ELEVEN), 0);
	put(11, 0);
	cr_assert_eq(take(ELEVEN), 3);
	/* Another set in between, and all of them. */
	cr_assert_eq(take(TEN), 0);
	cr_assert_eq(take(ELEVEN), 0);
	cr_assert_eq(take(ALL), 1);
	cr_assert_eq(take(ELEVEN), 0);
	sift_forget(&sift);
	cr_assert_eq(take(ELEVEN), 2);
}

Test(sift, what_was_compared_stays_so_when_the_last_of_it_goes)
{
	put(10, 0);
	put(11, 0);
	cr_assert_eq(take(8), 0);      /* up to 2 */
	cr_assert_eq(take(ELEVEN), 2); /* now up to 1 */
	message_set(&messages[0], 1, 13, 0, 0);
	cr_assert_eq(take(8), 0);
	put(13, 0);
	cr_assert_eq(take(8), 3);
}

Test(sift, a_third_set_replaces_the_one_used_longest_ago)
{
	put(10, 0);
	cr_assert_eq(take(ELEVEN), 0);
	cr_assert_eq(take(4), 0);
	cr_assert_eq(take(8), 0); /* in place of ELEVEN */
	message_set(&messages[0], 1, 11, 0, 0);
	cr_assert_eq(take(ELEVEN), 1);
}

Test(sift, what_was_compared_last_may_go)
{
	put(10, 0);
	put(11, 0);
	put(12, 0);
	cr_assert_eq(take(8), 0);    /* up to 3 */
	cr_assert_eq(take(4), 3);    /* the newest, and the last of that */
	cr_assert_eq(take(BOTH), 1); /* the oldest */
	put(13, 0);
	cr_assert_eq(take(8), 4);
	cr_assert_eq(take(ALL), 2);
	cr_assert_null(lane);
	put(13, 0);
	cr_assert_eq(take(8), 5); /* from the beginning again */
}

Test(sift, a_mark_is_for_all_once_it_is_the_oldest)
{
	put(10, 0);
	put(11, MESSAGE_FLUSH);
	put(11, 0);
	put(12, MESSAGE_FLUSH);
	cr_assert_eq(take(ELEVEN), 3); /* not the mark before it */
	cr_assert_eq(take(ELEVEN), 0);
	cr_assert_eq(take(TEN), 1);
	cr_assert_eq(take(TEN), 2); /* a mark */
	cr_assert_eq(take(ELEVEN), 4);
	cr_assert_null(lane);
}

/* Against a plain array that is searched from its beginning. */
Test(sift, agrees_with_a_search_from_the_beginning)
{
	uint64_t random = 7;
	unsigned tags[MOST] = {0};
	bool gone[MOST] = {0};

	for (int round = 0; round < 2000; round++) {
		n_made = 0;
		lane = NULL;
		sift_forget(&sift);
		memset(gone, 0, sizeof(gone));
		while (n_made < MOST || lane) {
			uint64_t mask = next_random(&random) % 8, expected = 0;

			if (n_made < MOST && next_random(&random) % 2) {
				tags[n_made] =
					(unsigned)(10 +
						   next_random(&random) % 3);
				put(tags[n_made], 0);
				continue;
			}
			for (size_t i = 0; i < n_made && !expected; i++)
				if (!gone[i] &&
				    (mask == 0 || mask >> (tags[i] - 10) & 1))
					expected = i + 1;
			if (expected)
				gone[expected - 1] = true;
			cr_assert_eq(take(mask), expected);
		}
	}
}
