/* SPDX-License-Identifier: MIT */
/* budget - what is taken and given adds up, and never exceeds the limit */
#include <pthread.h>

#include "sched/budget.h"
#include "tests/check.h"

Test(budget, without_a_limit_gives_all)
{
	struct budget none = {0};

	cr_assert(budget_take(NULL, (size_t)-1));
	cr_assert(budget_take(&none, (size_t)-1));
	cr_assert(budget_take(&none, (size_t)-1));
	budget_give(NULL, 7);
	budget_give(&none, 7);
	cr_assert(!budget_is_limited(NULL));
	cr_assert(!budget_is_limited(&none));
}

Test(budget, is_exact_at_its_limit)
{
	struct budget budget = {.limit = 100};

	cr_assert(budget_is_limited(&budget));
	cr_assert(budget_take(&budget, 60));
	cr_assert(!budget_take(&budget, 41));
	cr_assert(!budget_take(&budget, (size_t)-1));
	cr_assert(budget_take(&budget, 40));
	cr_assert(!budget_take(&budget, 1));
	budget_give(&budget, 10);
	cr_assert(!budget_take(&budget, 11));
	cr_assert(budget_take(&budget, 10));
	cr_assert(budget_take(&budget, 0));
}

#define N_THREADS 4
#define EACH 3

static struct budget shared = {.limit = 2 * EACH};
static AO_t xholders;
static AO_t xtoo_many;

/* At most two can hold their part at a time. */
static void *take_and_give(void *arg)
{
	for (unsigned long i = check_stress(20000); i > 0; i--) {
		if (!budget_take(&shared, EACH))
			continue;
		/* Relaxed: counts, no more, here and below. */
		if (AO_fetch_and_add1(&xholders) >= 2)
			AO_store(&xtoo_many, 1);
		AO_fetch_and_sub1(&xholders);
		budget_give(&shared, EACH);
	}
	return arg;
}

Test(budget, holds_among_threads)
{
	pthread_t threads[N_THREADS];

	for (int i = 0; i < N_THREADS; i++)
		cr_assert_eq(
			pthread_create(&threads[i], NULL, take_and_give, NULL),
			0);
	for (int i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	cr_assert_eq(AO_load(&xtoo_many), 0); /* relaxed: all have ended */
	cr_assert(budget_take(&shared, 2 * EACH));
	cr_assert(!budget_take(&shared, 1));
}

Test(budget, what_exceeds_it_is_given_back_first)
{
	struct budget budget = {.limit = 100};

	cr_assert(budget_take(&budget, 90));
	cr_assert(!budget_is_exceeded(&budget));
	budget_exceed(&budget, 30);
	cr_assert(budget_is_exceeded(&budget));
	cr_assert(!budget_take(&budget, 1));
	cr_assert(!budget_take(&budget, (size_t)-1));
	budget_give(&budget, 20);
	cr_assert(!budget_is_exceeded(&budget));
	cr_assert(!budget_take(&budget, 1));
	budget_give(&budget, 1);
	cr_assert(budget_take(&budget, 1));
	budget_exceed(NULL, 1);
	cr_assert(!budget_is_exceeded(NULL));
}
