/* SPDX-License-Identifier: MIT */
/*
 * common - how this program ends early, and how it tells the time
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <rota/base.h>

#include "common.h"

#define HUGE_PAGE ((size_t)2 << 20)

void die(const char *format, ...)
{
	char line[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	fprintf(stderr, "wordcount: %s\n", line);
	/* Not exit(): workers still run and must not see half a process. */
	_exit(STATUS_BROKEN);
}

void must(int error, const char *what)
{
	if (error != 0)
		die("%s: %s", what, rota_strerror(error));
}

void *must_allocate(size_t size)
{
	void *block = malloc(size);

	if (block == NULL)
		die("out of memory (%zu bytes)", size);
	return block;
}

void *must_reallocate(void *block, size_t size)
{
	block = realloc(block, size);
	if (block == NULL)
		die("out of memory (%zu bytes)", size);
	return block;
}

void *must_allocate_table(size_t size)
{
	void *block;

	if (size < HUGE_PAGE) {
		block = calloc(1, size);
		if (block == NULL)
			die("out of memory (%zu bytes)", size);
		return block;
	}
	if (posix_memalign(&block, HUGE_PAGE, size) != 0)
		die("out of memory (%zu bytes)", size);
	madvise(block, size, MADV_HUGEPAGE); /* a wish: failing is fine */
	return memset(block, 0, size);
}

double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

uint64_t resident_bytes(void)
{
	unsigned long long total = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (file == NULL)
		return 0;
	if (fscanf(file, "%llu %llu", &total, &resident) != 2)
		resident = 0;
	fclose(file);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Not getrusage(): its figure begins with that of the process that forked. */
uint64_t resident_bytes_peak(void)
{
	char line[128];
	unsigned long long kilobytes = 0;
	FILE *file = fopen("/proc/self/status", "re");

	if (file == NULL)
		return 0;
	while (fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "VmHWM: %llu kB", &kilobytes) == 1)
			break;
	}
	fclose(file);
	return kilobytes * 1024;
}
