/* SPDX-License-Identifier: MIT */
/*
 * chain_choice - whether an engine looks for sends that could go out in chains
 *
 * Problem:    a chain saves a CAS per message and costs some steps instead, as
 *             does the look for sends that follow one to the same receiver.
 *             Where a CAS is cheap that is a loss.
 * Approach:   a CAS on a line that nobody else wants is timed when an engine
 *             starts. Where chains are not wanted there is no look either: all
 *             sends take the common path, which knows nothing of chains.
 * Measured:   on a processor whose CAS takes 2.4 ns (21 pairs of runs, with /
 *             without, 1 and 2 workers): counting 1.02, 1.06; mpsc 1.06, 1.04;
 *             fjthroughput 1.02, 1.01, with 240 receivers 0.96, 1.04; big 1.01,
 *             1.02; pingpong 1.00, 1.02. A chain's steps take what such a CAS
 *             takes. On another host of that kind, where it takes 5.7 ns (7
 *             pairs): counting 0.80, 0.81; mpsc 0.84, 0.82; big 1.03, 1.00;
 *             pingpong 1.02, 1.03; fjthroughput 1.10, 1.15. So CAS_DEAR_NS
 *             lies between. Where chains are wanted, a send that is not in one
 *             takes some 36 instructions more, which is what fjthroughput
 *             paid. Since then a worker whose looks find nothing stops
 *             looking, see chain.h: 7 pairs, 1 worker, the same host: counting
 *             0.81, mpsc 0.84, big, pingpong, fjthroughput 1.00, with 240
 *             receivers 1.01.
 * Orderings:  [Z1] none: nobody else has the word; it is the CAS that all
 *             sends use.
 */
#include "core/chain_choice.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <atomic_ops.h>

#include <rota/engine.h>

#include "sched/clock.h"

#define CAS_DEAR_NS 4
#define ROUNDS 8 /* the shortest counts: in others somebody else may have run */
#define STEPS 512

/* Nanoseconds of STEPS compare-and-swaps, each after a load of its word. */
static uint64_t time_round(AO_t *xword)
{
	uint64_t start = clock_ns();

	for (unsigned i = 0; i < STEPS; i++) {
		AO_t seen = AO_load(xword); /* relaxed: it is ours */

		/* [Z1] pairs with itself: only its time is wanted */
		AO_compare_and_swap_full(xword, seen, seen + 1);
	}
	return clock_ns() - start;
}

static bool cas_is_dear(void)
{
	_Alignas(128) AO_t xword = 0;
	uint64_t shortest = UINT64_MAX;

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t round = time_round(&xword);

		shortest = round < shortest ? round : shortest;
	}
	return shortest > CAS_DEAR_NS * STEPS;
}

int chain_choice(unsigned flags, bool *wanted, char *complaint, size_t size)
{
	const char *text = secure_getenv("ROTA_CHAINS");

	*wanted = (flags & ROTA_CHAINS) != 0;
	if (flags & (ROTA_CHAINS | ROTA_NO_CHAINS))
		return 0;
	if (!text) {
		*wanted = cas_is_dear();
		return 0;
	}
	*wanted = strcmp(text, "yes") == 0;
	if (*wanted || strcmp(text, "no") == 0)
		return 0;
	snprintf(complaint, size,
		 "ROTA_CHAINS is \"%.64s\": it must be yes or no", text);
	return -EINVAL;
}
