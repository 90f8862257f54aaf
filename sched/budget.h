/* SPDX-License-Identifier: MIT */
/*
 * budget - how much memory an engine may have
 *
 * Whoever maps memory asks first and gives back what it unmaps. A refusal is
 * what running out of memory looks like to all above: nothing is taken.
 */
#ifndef ROTA_SCHED_BUDGET_H
#define ROTA_SCHED_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <atomic_ops.h>

struct budget {
	AO_t limit; /* bytes; 0: none. Constant */
	AO_t xused; /* bytes; by read-modify-write; kept only under a limit */
	AO_t xrefused; /* how often nothing was to be had; a statistic */
};

/* NULL stands for a budget without a limit, here and below. */
static inline bool budget_is_limited(const struct budget *budget)
{
	return budget && budget->limit != 0;
}

/* Take so many bytes, or none. The caller may have a smaller wish then; else
   it calls budget_refuse(). */
bool budget_take(struct budget *budget, size_t bytes);
void budget_give(struct budget *budget, size_t bytes);

/* Take them, limit or not: nobody else gets any until as many are given. */
void budget_exceed(struct budget *budget, size_t bytes);

/* Is more in use than that allows? A hint. */
bool budget_is_exceeded(const struct budget *budget);

/* Somebody gets -ENOMEM because of the limit. */
void budget_refuse(struct budget *budget);

#endif
