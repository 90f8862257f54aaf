/* SPDX-License-Identifier: MIT */
/*
 * helpers - do threads come when there is work, as many as may, and go when
 * there is none; and does every piece of work come to one end?
 */
#include <sys/resource.h>

#include "sched/helpers.h"
#include "tests/unit/support.h"

struct piece {
	struct work work; /* first */
	struct flag begun;
	struct flag go;
	struct flag done;
	struct tally refused;
	bool was_ours; /* behind @done */
	char name[16];
};

static void run_piece(struct work *work, struct helper *helper)
{
	struct piece *piece = (struct piece *)work;

	pthread_getname_np(pthread_self(), piece->name, sizeof(piece->name));
	flag_raise(&piece->begun);
	flag_block(&piece->go);
	piece->was_ours = helpers_done(helper);
	flag_raise(&piece->done);
}

static void refuse_piece(struct work *work, int error)
{
	tally_add(&((struct piece *)work)->refused, (size_t)-error);
}

static struct piece piece_of(void)
{
	return (struct piece){
		.work = {.run = run_piece, .refuse = refuse_piece}};
}

static void submit(struct helpers *pool, struct piece *piece)
{
	*piece = piece_of();
	cr_assert_eq(helpers_submit(pool, &piece->work, SIZE_MAX), 0);
}

static void end(struct helpers *pool)
{
	cr_assert_null(helpers_close(pool));
	cr_assert_eq(helpers_await(pool, PATIENCE), 0);
	helpers_release(pool);
}

Test(helpers, there_is_none_before_the_first_work, .timeout = HANG)
{
	struct helpers *pool = helpers_create("pool", 4);
	struct piece piece;

	cr_assert_eq(helpers_count(pool), 0);
	submit(pool, &piece);
	flag_raise(&piece.go);
	AWAIT(flag_is_up(&piece.done));
	cr_assert(piece.was_ours);
	cr_assert_str_eq(piece.name, "pool-off0");
	cr_assert_eq(helpers_count(pool), 1);
	end(pool);
}

#define PIECES 6
#define MOST 3

Test(helpers, come_as_needed_and_no_more, .timeout = HANG)
{
	struct helpers *pool = helpers_create("pool", MOST);
	struct piece pieces[PIECES];

	for (unsigned i = 0; i < PIECES; i++) {
		submit(pool, &pieces[i]);
		if (i < MOST)
			AWAIT(flag_is_up(&pieces[i].begun));
		cr_assert_eq(helpers_count(pool), i < MOST ? i + 1 : MOST);
	}
	cr_assert_str_eq(pieces[2].name, "pool-off2");
	cr_assert_not(flag_is_up(&pieces[MOST].begun));
	flag_raise(&pieces[1].go);
	AWAIT(flag_is_up(&pieces[MOST].begun)); /* the oldest */
	cr_assert_not(flag_is_up(&pieces[MOST + 1].begun));
	for (unsigned i = 0; i < PIECES; i++)
		flag_raise(&pieces[i].go);
	for (unsigned i = 0; i < PIECES; i++)
		AWAIT(flag_is_up(&pieces[i].done));
	end(pool);
}

Test(helpers, are_used_again_and_go_when_idle, .timeout = HANG)
{
	struct helpers *pool = helpers_create("pool", 8);
	struct piece piece;

	for (int i = 0; i < 5; i++) {
		submit(pool, &piece);
		flag_raise(&piece.go);
		AWAIT(flag_is_up(&piece.done));
		for (int k = 0; k < 20; k++)
			nap(); /* back to idle, most likely */
		cr_assert_leq(helpers_count(pool), 2);
	}
	AWAIT(helpers_count(pool) == 0);
	submit(pool, &piece); /* joins those that have gone */
	flag_raise(&piece.go);
	AWAIT(flag_is_up(&piece.done));
	end(pool);
}

Test(helpers, the_queue_is_bounded_for_who_says_so, .timeout = HANG)
{
	struct helpers *pool = helpers_create("pool", 1);
	struct piece first, second, third = piece_of(), fourth;

	submit(pool, &first);
	AWAIT(flag_is_up(&first.begun));
	submit(pool, &second);
	cr_assert_eq(helpers_submit(pool, &third.work, 1), -EAGAIN);
	submit(pool, &fourth);
	cr_assert_eq(helpers_submit(pool, &third.work, 3), 0);
	flag_raise(&first.go);
	flag_raise(&second.go);
	flag_raise(&third.go);
	flag_raise(&fourth.go);
	AWAIT(flag_is_up(&third.done));
	AWAIT(flag_is_up(&fourth.done));
	end(pool);
}

Test(helpers, what_is_queued_may_be_taken_back, .timeout = HANG)
{
	struct helpers *pool = helpers_create("pool", 1);
	struct piece first, second, third;

	submit(pool, &first);
	AWAIT(flag_is_up(&first.begun));
	submit(pool, &second);
	submit(pool, &third);
	cr_assert(helpers_withdraw(pool, &third.work)); /* the last */
	cr_assert_not(helpers_withdraw(pool, &third.work));
	cr_assert_not(helpers_withdraw(pool, &first.work));
	submit(pool, &third);
	cr_assert(helpers_withdraw(pool, &second.work)); /* one before */
	flag_raise(&first.go);
	flag_raise(&third.go);
	AWAIT(flag_is_up(&third.done));
	cr_assert_not(flag_is_up(&second.begun));
	end(pool);
}

Test(helpers, end_with_work_queued, .timeout = HANG)
{
	struct helpers *pool = helpers_create("pool", 1);
	struct piece first, second, third, late = piece_of();

	submit(pool, &first);
	AWAIT(flag_is_up(&first.begun));
	submit(pool, &second);
	submit(pool, &third);
	cr_assert_eq(helpers_close(pool), &second.work);
	cr_assert_eq(second.work.next, &third.work);
	cr_assert_eq(helpers_submit(pool, &late.work, SIZE_MAX), -ESHUTDOWN);
	cr_assert_eq(helpers_await(pool, ROTA_MS(1)), 1);
	flag_raise(&first.go);
	cr_assert_eq(helpers_await(pool, PATIENCE), 0);
	cr_assert(first.was_ours);
	helpers_release(pool);
}

static bool leave_all(struct work *work, void *context)
{
	return work == context;
}

Test(helpers, those_that_do_not_end_are_abandoned, .timeout = HANG)
{
	struct helpers *pool = helpers_create("pool", 4);
	struct piece left, kept;

	submit(pool, &left);
	submit(pool, &kept);
	AWAIT(flag_is_up(&left.begun) && flag_is_up(&kept.begun));
	cr_assert_null(helpers_close(pool));
	cr_assert_eq(helpers_await(pool, ROTA_MS(1)), 2);
	cr_assert_eq(helpers_abandon(pool, leave_all, &left.work), 2);
	flag_raise(&left.go);
	flag_raise(&kept.go);
	AWAIT(flag_is_up(&left.done) && flag_is_up(&kept.done));
	cr_assert_not(left.was_ours);
	cr_assert(kept.was_ours);
	AWAIT(helpers_count(pool) == 0);
	helpers_release(pool);
}

#if !UNDER_TSAN && !UNDER_ASAN && defined(__x86_64__)

/* No room for a thread's stack. */
static void forbid_threads(struct rlimit *before)
{
	struct rlimit low;

	cr_assert_eq(getrlimit(RLIMIT_AS, before), 0);
	low = *before;
	low.rlim_cur = 1 << 20;
	cr_assert_eq(setrlimit(RLIMIT_AS, &low), 0);
}

static void allow_threads(const struct rlimit *before)
{
	cr_assert_eq(setrlimit(RLIMIT_AS, before), 0);
}

Test(helpers, no_thread_to_be_had_is_said, .timeout = HANG)
{
	struct helpers *pool = helpers_create("pool", 4);
	struct piece first = piece_of(), second, third;
	struct rlimit before;
	int error;

	forbid_threads(&before);
	error = helpers_submit(pool, &first.work, SIZE_MAX);
	allow_threads(&before);
	cr_assert_eq(error, -EAGAIN);
	cr_assert_eq(helpers_count(pool), 0);
	cr_assert_eq(tally_of(&first.refused), 0); /* the call has said it */
	cr_assert_not(helpers_withdraw(pool, &first.work));
	/* One is there: it will come to the second. */
	submit(pool, &third);
	AWAIT(flag_is_up(&third.begun));
	forbid_threads(&before);
	second = piece_of();
	error = helpers_submit(pool, &second.work, SIZE_MAX);
	allow_threads(&before);
	cr_assert_eq(error, 0);
	cr_assert_eq(helpers_count(pool), 1);
	flag_raise(&third.go);
	flag_raise(&second.go);
	AWAIT(flag_is_up(&second.done));
	end(pool);
}

#endif
