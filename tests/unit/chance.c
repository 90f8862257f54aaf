/* SPDX-License-Identifier: MIT */
/*
 * chance - is what looks like chance even, and the same for the same seed?
 */
#include <string.h>

#include "sched/chance.h"
#include "sched/clock.h"
#include "tests/check.h"

#define WORKERS 4

static struct chance chance;
static struct chance_default storage;

static void begin(uint64_t seed)
{
	memset(&chance, 0xff, sizeof(chance));
	cr_assert_eq(chance_init_default(&chance, &storage, WORKERS, seed), 0);
}

static uint64_t draw(unsigned worker)
{
	return chance.random(chance.context, worker);
}

static unsigned choose(unsigned worker, enum choice what, unsigned n)
{
	return chance.choose(chance.context, worker, what, n);
}

Test(chance, same_seed_same_run)
{
	static uint64_t numbers[WORKERS][100];
	static unsigned victims[WORKERS][100];

	for (int again = 0; again < 2; again++) {
		begin(42);
		for (unsigned i = 0; i < 100 * WORKERS; i++) {
			uint64_t *number = &numbers[i % WORKERS][i / WORKERS];
			unsigned *victim = &victims[i % WORKERS][i / WORKERS];

			if (!again) {
				*number = draw(i % WORKERS);
				*victim =
					choose(i % WORKERS, CHOOSE_VICTIM, 64);
				continue;
			}
			cr_assert_eq(draw(i % WORKERS), *number);
			cr_assert_eq(choose(i % WORKERS, CHOOSE_VICTIM, 64),
				     *victim);
		}
		chance_fini_default(&storage);
	}
}

Test(chance, other_seed_other_run)
{
	uint64_t number;

	begin(42);
	number = draw(0);
	chance_fini_default(&storage);
	begin(43);
	cr_assert_neq(draw(0), number);
	chance_fini_default(&storage);
}

/* What one worker does must not change another one's run. */
Test(chance, each_worker_has_its_own_stream)
{
	uint64_t numbers[WORKERS];

	begin(7);
	for (unsigned i = 0; i < WORKERS; i++) {
		numbers[i] = draw(i);
		for (unsigned k = 0; k < i; k++)
			cr_assert_neq(numbers[i], numbers[k]);
	}
	chance_fini_default(&storage);
	begin(7);
	for (unsigned i = 0; i < 10; i++)
		draw(0);
	for (unsigned i = 1; i < WORKERS; i++)
		cr_assert_eq(draw(i), numbers[i]);
	chance_fini_default(&storage);
}

Test(chance, victims_are_chosen_evenly)
{
	begin(1);
	for (unsigned n = 1; n <= 64; n = n * 2 + 1) {
		unsigned n_chosen[64] = {0};

		for (unsigned i = 0; i < 1000 * n; i++) {
			unsigned chosen = choose(i % WORKERS, CHOOSE_VICTIM, n);

			cr_assert_lt(chosen, n);
			n_chosen[chosen]++;
		}
		for (unsigned i = 0; i < n; i++) {
			cr_assert_gt(n_chosen[i], 850, "%u of %u", i, n);
			cr_assert_lt(n_chosen[i], 1150, "%u of %u", i, n);
		}
	}
	chance_fini_default(&storage);
}

/* ... and each bit of the numbers is as often set as not. */
Test(chance, numbers_have_no_lazy_bits)
{
	unsigned n_set[64] = {0};

	begin(1);
	for (int i = 0; i < 10000; i++) {
		uint64_t number = draw(2);

		for (int bit = 0; bit < 64; bit++)
			n_set[bit] += (unsigned)(number >> bit) & 1;
	}
	for (int bit = 0; bit < 64; bit++) {
		cr_assert_gt(n_set[bit], 4800);
		cr_assert_lt(n_set[bit], 5200);
	}
	chance_fini_default(&storage);
}

Test(chance, real_runs_wake_the_warmest_and_take_the_oldest)
{
	begin(1);
	cr_assert_not(chance.chooses_tasks);
	for (unsigned n = 1; n < 20; n++) {
		cr_assert_eq(choose(0, CHOOSE_SLEEPER, n), n - 1);
		cr_assert_eq(choose(0, CHOOSE_TASK, n), 0);
	}
	chance_fini_default(&storage);
}

Test(chance, time_is_the_clock)
{
	uint64_t before, now;

	begin(1);
	before = clock_ns();
	now = chance.now_ns(chance.context);
	cr_assert_geq(now, before);
	cr_assert_leq(now, clock_ns());
	chance_fini_default(&storage);
}
