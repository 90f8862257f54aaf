/* SPDX-License-Identifier: MIT */
/*
 * spin - a one-byte lock for a handful of instructions
 *
 * Never held across a context switch, a system call or a callback. A waiter
 * yields the processor after a while: with more threads than cores the holder
 * may be the one that needs it.
 *
 * Orderings:  [L1] spin_unlock() -> spin_lock(): the next holder sees what the
 *             last one wrote.
 */
#ifndef ROTA_SCHED_SPIN_H
#define ROTA_SCHED_SPIN_H

#include <sched.h>
#include <stdbool.h>
#include <atomic_ops.h>

static inline void spin_pause(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb");
#endif
}

static inline bool spin_try_lock(AO_TS_t *lock)
{
	/* [L1] pairs with spin_unlock() */
	return AO_test_and_set_acquire(lock) == AO_TS_CLEAR;
}

/* Out of line: it hardly ever comes to that. */
static __attribute__((noinline, cold, unused)) void
spin_lock_slowly(AO_TS_t *lock)
{
	unsigned tries = 0;

	while (!spin_try_lock(lock)) {
		if (++tries % 64 == 0)
			sched_yield();
		else
			spin_pause();
	}
}

static inline void spin_lock(AO_TS_t *lock)
{
	if (__builtin_expect(!spin_try_lock(lock), 0))
		spin_lock_slowly(lock);
}

static inline void spin_unlock(AO_TS_t *lock)
{
	/* [L1] pairs with spin_try_lock() */
	AO_CLEAR(lock);
}

#endif
