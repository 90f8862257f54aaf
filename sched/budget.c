/* SPDX-License-Identifier: MIT */
/* budget - how much memory an engine may have */
#include "sched/budget.h"

bool budget_take(struct budget *budget, size_t bytes)
{
	AO_t used;

	if (!budget_is_limited(budget))
		return true;
	/* Relaxed: the CAS re-checks it. */
	used = AO_load(&budget->xused);
	for (;;) {
		AO_t seen;

		if (used > budget->limit || bytes > budget->limit - used)
			return false;
		/* Relaxed: a sum; what is mapped travels by other ways. */
		seen = AO_fetch_compare_and_swap(&budget->xused, used,
						 used + bytes);
		if (seen == used)
			return true;
		used = seen; /* another one took or gave */
	}
}

void budget_give(struct budget *budget, size_t bytes)
{
	if (budget_is_limited(budget))
		/* Relaxed: see budget_take(). */
		AO_fetch_and_add(&budget->xused, (AO_t)0 - bytes);
}

void budget_exceed(struct budget *budget, size_t bytes)
{
	if (budget_is_limited(budget))
		/* Relaxed: see budget_take(). */
		AO_fetch_and_add(&budget->xused, bytes);
}

bool budget_is_exceeded(const struct budget *budget)
{
	/* Relaxed: a hint. */
	return budget_is_limited(budget) &&
	       AO_load(&budget->xused) > budget->limit;
}

void budget_refuse(struct budget *budget)
{
	/* Relaxed: a statistic. */
	AO_fetch_and_add1(&budget->xrefused);
}
