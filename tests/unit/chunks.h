/* SPDX-License-Identifier: MIT */
/*
 * chunks - an allocator hook that keeps books and can be told to refuse
 */
#ifndef ROTA_TESTS_UNIT_CHUNKS_H
#define ROTA_TESTS_UNIT_CHUNKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include "sched/memory.h"

#define CHUNKS_MAX_EXTENTS 1024

struct chunks {
	size_t left;	 /* chunks that may still be mapped */
	size_t max_once; /* no more than this at a time */
	size_t shift;	 /* bytes by which addresses are misaligned */
	bool is_high;	 /* addresses above 2^47, not to be touched */
	unsigned n_calls;
	unsigned n_extents;
	unsigned n_wrong; /* unmapped what was never mapped */
	struct {
		char *start;
		size_t size;
	} extent[CHUNKS_MAX_EXTENTS];
};

#define CHUNKS_HIGH ((uintptr_t)1 << 47)

static inline void *chunks_reserve(size_t size)
{
	char *raw = mmap(NULL, size + CHUNK_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t head = -(uintptr_t)raw & (CHUNK_SIZE - 1);

	if (raw == MAP_FAILED)
		return NULL;
	if (head > 0)
		munmap(raw, head);
	munmap(raw + head + size, CHUNK_SIZE - head);
	return raw + head;
}

static inline void *chunks_map(void *context, size_t size)
{
	struct chunks *chunks = context;
	size_t n = size / CHUNK_SIZE;
	char *start;

	chunks->n_calls++;
	if (n > chunks->left || n > chunks->max_once ||
	    chunks->n_extents == CHUNKS_MAX_EXTENTS)
		return NULL;
	start = chunks->is_high ? (char *)(CHUNKS_HIGH - size + CHUNK_SIZE)
				: chunks_reserve(size);
	if (!start)
		return NULL;
	chunks->left -= n;
	chunks->extent[chunks->n_extents].start = start + chunks->shift;
	chunks->extent[chunks->n_extents++].size = size;
	return start + chunks->shift;
}

static inline void chunks_unmap(void *context, void *block, size_t size)
{
	struct chunks *chunks = context;

	for (unsigned i = 0; i < chunks->n_extents; i++) {
		if (chunks->extent[i].start != block ||
		    chunks->extent[i].size != size)
			continue;
		chunks->extent[i] = chunks->extent[--chunks->n_extents];
		if (!chunks->is_high)
			munmap((char *)block - chunks->shift, size);
		chunks->left += size / CHUNK_SIZE;
		return;
	}
	chunks->n_wrong++;
}

/* Bytes that are out. */
static inline size_t chunks_bytes(const struct chunks *chunks)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < chunks->n_extents; i++)
		bytes += chunks->extent[i].size;
	return bytes;
}

/* Does all of this lie in memory that is out? */
static inline bool chunks_hold(const struct chunks *chunks, const void *block,
			       size_t size)
{
	const char *start = block;

	for (unsigned i = 0; i < chunks->n_extents; i++)
		if (start >= chunks->extent[i].start &&
		    start + size <=
			    chunks->extent[i].start + chunks->extent[i].size)
			return true;
	return false;
}

#endif
