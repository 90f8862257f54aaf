/* SPDX-License-Identifier: MIT */
/*
 * threads - how many threads and open files this process has
 *
 * One that was joined is seen by the kernel for a moment still: what is to have
 * ended is awaited, never asserted. The same holds for the number to compare
 * with, see n_threads_before().
 */
#ifndef ROTA_TESTS_UNIT_THREADS_H
#define ROTA_TESTS_UNIT_THREADS_H

#include <dirent.h>

#include "tests/unit/support.h"

static inline unsigned n_entries(const char *path)
{
	DIR *folder = opendir(path);
	unsigned n = 0;

	cr_assert_not_null(folder, "%s", path);
	while (readdir(folder))
		n++;
	closedir(folder);
	return n - 2; /* . and .. */
}

static inline unsigned n_threads(void)
{
	return n_entries("/proc/self/task");
}

/* With the one that this takes. */
static inline unsigned n_descriptors(void)
{
	return n_entries("/proc/self/fd");
}

static inline void *note_thread(void *number)
{
	tally_add(number, (size_t)thread_number());
	return NULL;
}

static inline bool thread_is_seen(long number)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%ld", number);
	return access(path, F_OK) == 0;
}

/*
 * Where no engine has started yet. A sanitizer has a thread of its own from when
 * the first other one is made: here, so that it counts.
 */
static inline unsigned n_threads_before(void)
{
	struct tally number = {0};

	thread_join(thread_start(note_thread, &number));
	AWAIT(!thread_is_seen((long)tally_of(&number)));
	return n_threads();
}

#endif
