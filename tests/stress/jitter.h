/* SPDX-License-Identifier: MIT */
/*
 * jitter - makes threads hesitate between two atomic operations
 *
 * A race of a few instructions is hit once in a billion times, the more so on
 * two cores. A stress test that includes this file, and then the sources under
 * test, has each atomic operation of theirs preceded by a small chance of a
 * pause or of being put aside for others. To be included before any header
 * with atomics of our own.
 */
#ifndef ROTA_TESTS_STRESS_JITTER_H
#define ROTA_TESTS_STRESS_JITTER_H

#include <sched.h>
#include <stdint.h>
#include <atomic_ops.h>

static __thread uint32_t jitter_state;

static inline uint32_t jitter_random(void)
{
	uint32_t x = jitter_state;

	if (x == 0)
		x = (uint32_t)(uintptr_t)&jitter_state * 2654435761u | 1;
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return jitter_state = x;
}

static inline void jitter(void)
{
	uint32_t x = jitter_random();

	if (x % 256 == 0)
		sched_yield();
	else if (x % 16 == 0)
		for (volatile uint32_t i = x >> 26; i > 0;)
			i = i - 1;
}

/* These are functions of libatomic_ops: a macro does not expand itself. */
#define AO_load(p) (jitter(), AO_load(p))
#define AO_load_acquire(p) (jitter(), AO_load_acquire(p))
#define AO_store(p, v) (jitter(), AO_store(p, v))
#define AO_store_release(p, v) (jitter(), AO_store_release(p, v))
#define AO_compare_and_swap_full(p, old, new) \
	(jitter(), AO_compare_and_swap_full(p, old, new))
#define AO_fetch_compare_and_swap(p, old, new) \
	(jitter(), AO_fetch_compare_and_swap(p, old, new))
#define AO_fetch_compare_and_swap_release(p, old, new) \
	(jitter(), AO_fetch_compare_and_swap_release(p, old, new))
#define AO_fetch_compare_and_swap_full(p, old, new) \
	(jitter(), AO_fetch_compare_and_swap_full(p, old, new))
#define AO_fetch_and_add_full(p, n) (jitter(), AO_fetch_and_add_full(p, n))
#define AO_fetch_and_add_release(p, n) \
	(jitter(), AO_fetch_and_add_release(p, n))

#endif
