/* SPDX-License-Identifier: MIT */
/*
 * poison - what AddressSanitizer knows of memory that has been mapped anew
 *
 * A stack that lay there before, and whose functions have never returned, has
 * left its poison: munmap() does not take it away.
 */
#ifndef ROTA_SCHED_POISON_H
#define ROTA_SCHED_POISON_H

#include <stddef.h>
#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__)
#define POISON_IS_KEPT 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISON_IS_KEPT 1
#endif
#endif
#ifndef POISON_IS_KEPT
#define POISON_IS_KEPT 0
#endif

#if POISON_IS_KEPT
#include <sanitizer/asan_interface.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * The shadow's whole pages are given back, and read as zeroes: to write them
 * takes an eighth of what they stand for. If the kernel does not take them (they
 * are locked, say) that is what it takes.
 */
static inline void poison_forget(char *start, size_t size)
{
	size_t scale, offset;
	uintptr_t unit, low, high;

	__asan_get_shadow_mapping(&scale, &offset);
	unit = (uintptr_t)sysconf(_SC_PAGESIZE) << scale;
	low = ((uintptr_t)start + unit - 1) & ~(unit - 1);
	high = ((uintptr_t)start + size) & ~(unit - 1);
	if (low >= high) {
		__asan_unpoison_memory_region(start, size);
		return;
	}
	__asan_unpoison_memory_region(start, low - (uintptr_t)start);
	__asan_unpoison_memory_region((char *)high,
				      (uintptr_t)start + size - high);
	if (madvise((char *)((low >> scale) + offset), (high - low) >> scale,
		    MADV_DONTNEED) != 0)
		__asan_unpoison_memory_region((char *)low, high - low);
}
#else
static inline void poison_forget(char *start, size_t size)
{
	(void)start;
	(void)size;
}
#endif

#endif
