/* SPDX-License-Identifier: MIT */
/*
 * common - how this program ends early, and how it tells the time
 */
#ifndef WORDCOUNT_COMMON_H
#define WORDCOUNT_COMMON_H

#include <stddef.h>
#include <stdint.h>

/* The exit statuses; the usage errors of argp add EX_USAGE (64). */
enum status {
	STATUS_OK = 0,
	STATUS_WRONG = 1,   /* the two counts differ, or something was lost */
	STATUS_SKIPPED = 2, /* results are right, but not all input was read */
	STATUS_BROKEN = 3   /* could not do the job at all */
};

/* Say why on standard error and end with STATUS_BROKEN. From any thread. */
_Noreturn void die(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

/*
 * Nothing here can go on without what it asked the engine for: an error of a
 * send or a spawn ends the program, it never silently loses a word.
 */
void must(int error, const char *what);

/* malloc() and realloc() that do not fail. */
void *must_allocate(size_t size);
void *must_reallocate(void *block, size_t size);

/*
 * Zeroed memory for a big table that is addressed at random: in huge pages
 * where the system has them. Free with free().
 */
void *must_allocate_table(size_t size);

/* CLOCK_MONOTONIC in seconds. */
double now(void);

/* Resident memory of this process, in bytes: now, and at its highest. */
uint64_t resident_bytes(void);
uint64_t resident_bytes_peak(void);

#endif
