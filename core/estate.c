/* SPDX-License-Identifier: MIT */
/*
 * estate - what became of asks whose engine is gone
 *
 * A list in the order of the cells' numbers, which are the low part of the
 * tokens: so one is found by halving, and to take all that a million asks have
 * left takes no time to speak of. Only the stop that makes it adds to it.
 *
 * Rejected: to say that nothing is known, where something is (an ask that was
 * handled must not be reported as one that was not); to leave the engine's cells
 * where they are until all were taken (a thread that forgets one would keep
 * their memory for good: here it keeps some bytes, and until the number is used
 * again).
 */
#include "core/estate.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "core/ask.h"
#include "core/engine.h"
#include "core/run.h"
#include "sched/spin.h"

struct estate {
	size_t n;
	size_t max;
	size_t n_left; /* that nobody has taken */
	struct bequest bequest[];
};

static AO_TS_t lock =
	AO_TS_INITIALIZER; /* what the table's entries have of it */

/* ---- making ---- */

#define FIRST_BEQUESTS 8

/* NULL: no memory. */
static struct bequest *make_room(struct rota_engine *handle)
{
	struct estate *estate = handle->estate;
	size_t max = estate ? 2 * estate->max : FIRST_BEQUESTS;

	if (!estate || estate->n == estate->max) {
		estate = realloc(estate, sizeof(*estate) +
						 max * sizeof(struct bequest));
		if (!estate)
			return NULL;
		if (!handle->estate)
			estate->n = estate->n_left = 0;
		estate->max = max;
		handle->estate = estate;
	}
	estate->n_left++;
	return &estate->bequest[estate->n++];
}

void estate_open(struct rota_engine *handle)
{
	spin_lock(&lock);
	handle->is_settling = true;
	spin_unlock(&lock);
}

/* While it is being settled nobody else looks at it. */
void estate_add(struct engine *engine, uint32_t number)
{
	struct rota_engine *handle = engine->handle;
	struct bequest bequest, *kept;

	if (!ask_bequeath(engine, number, &bequest))
		return;
	kept = make_room(handle);
	if (kept) {
		*kept = bequest;
	} else {
		free(bequest.reply);
		handle->is_partial = true;
	}
}

void estate_settle(struct rota_engine *handle)
{
	spin_lock(&lock);
	handle->is_settling = false;
	spin_unlock(&lock);
}

static void free_estate(struct estate *estate)
{
	size_t i;

	for (i = 0; estate && i < estate->n; i++)
		if (!estate->bequest[i].is_taken)
			free(estate->bequest[i].reply);
	free(estate);
}

void estate_drop(struct rota_engine *handle)
{
	struct estate *estate;

	spin_lock(&lock);
	estate = handle->estate;
	handle->estate = NULL;
	handle->is_partial = false;
	spin_unlock(&lock);
	free_estate(estate);
}

/* ---- taking ---- */

static bool is_settling(const struct rota_engine *handle)
{
	bool is;

	spin_lock(&lock);
	is = handle->is_settling;
	spin_unlock(&lock);
	return is;
}

int estate_await(unsigned number, uint64_t deadline_ns)
{
	const struct timespec moment = {.tv_nsec = 100000};
	const struct rota_engine *handle = table_handle(number);

	while (is_settling(handle)) {
		if (aside_in_thread())
			return -EDEADLK;
		if (clock_left(clock_ns(), deadline_ns) == 0)
			return -ETIMEDOUT;
		nanosleep(&moment, NULL);
	}
	return 0;
}

static struct bequest *find(struct estate *estate, uint64_t token)
{
	size_t low = 0, high = estate ? estate->n : 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct bequest *bequest = &estate->bequest[middle];

		if (ask_number(bequest->token) == ask_number(token))
			return bequest->token == token ? bequest : NULL;
		if (ask_number(bequest->token) < ask_number(token))
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* The last one takes the list, too. */
static struct estate *take(struct rota_engine *handle, struct bequest *found,
			   struct bequest *bequest)
{
	struct estate *estate = handle->estate;

	*bequest = *found;
	found->is_taken = true;
	if (--estate->n_left > 0)
		return NULL;
	handle->estate = NULL;
	return estate;
}

enum estate_take estate_take(uint64_t token, struct bequest *bequest)
{
	struct rota_engine *handle = table_handle(id_engine(token));
	enum estate_take result = ESTATE_NONE;
	struct estate *done = NULL;
	struct bequest *found = NULL;

	spin_lock(&lock);
	if (!handle->is_settling)
		found = find(handle->estate, token);
	if (found && !found->is_taken) {
		done = take(handle, found, bequest);
		result = ESTATE_TAKEN;
	} else if (handle->is_settling || (!found && handle->is_partial)) {
		result = ESTATE_UNKNOWN;
	}
	spin_unlock(&lock);
	free_estate(done);
	return result;
}
