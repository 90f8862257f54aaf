/* SPDX-License-Identifier: MIT */
/*
 * exits - remembers how actors ended, once their slots serve others
 *
 * A ring of records, chained into hash buckets newest first. A chain may run
 * into a record that was overwritten by a newer one: chains lead to ever older
 * records, so the walk ends where the age stops growing.
 */
#include "core/exits.h"

#include <string.h>
#include <sys/mman.h>

#include "sched/spin.h"

struct exit_record {
	rota_id id;
	int32_t cause;
	int32_t reason;
	uint32_t older;	 /* next of the bucket: index + 1 */
	uint32_t number; /* the how-manieth record it is */
};

#define RING_SIZE (EXITS_KEPT * sizeof(struct exit_record))
#define BUCKETS_SIZE (EXITS_KEPT * sizeof(uint32_t))

static void *map(size_t size)
{
	void *start = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return start == MAP_FAILED ? NULL : start;
}

int exits_init(struct exits *exits)
{
	memset(exits, 0, sizeof(*exits));
	exits->xlock = AO_TS_INITIALIZER;
	exits->ring = map(RING_SIZE);
	exits->buckets = map(BUCKETS_SIZE);
	if (exits->ring && exits->buckets)
		return 0;
	exits_fini(exits);
	return -1;
}

void exits_fini(struct exits *exits)
{
	if (exits->ring)
		munmap(exits->ring, RING_SIZE);
	if (exits->buckets)
		munmap(exits->buckets, BUCKETS_SIZE);
	exits->ring = NULL;
	exits->buckets = NULL;
}

static uint32_t *bucket_of(struct exits *exits, rota_id id)
{
	uint64_t hash = id * UINT64_C(0x9e3779b97f4a7c15);

	return &exits->buckets[hash >> 44];
}

void exits_record(struct exits *exits, rota_id id, int cause, int reason)
{
	uint32_t *bucket = bucket_of(exits, id);
	uint32_t index;

	spin_lock(&exits->xlock);
	index = exits->n_recorded % EXITS_KEPT;
	if (exits->ring[index].id != ROTA_NONE)
		exits->has_wrapped = true; /* its record is dropped now */
	exits->ring[index] = (struct exit_record){id, cause, reason, *bucket,
						  exits->n_recorded};
	*bucket = index + 1;
	exits->n_recorded++;
	spin_unlock(&exits->xlock);
}

void exits_find(struct exits *exits, rota_id id, struct rota_exit *why)
{
	uint32_t next, age = 0;

	memset(why, 0, sizeof(*why));
	spin_lock(&exits->xlock);
	why->cause =
		exits->has_wrapped ? ROTA_EXIT_FORGOTTEN : ROTA_EXIT_NORMAL;
	next = *bucket_of(exits, id);
	while (next != 0) {
		const struct exit_record *record = &exits->ring[next - 1];

		if (exits->n_recorded - record->number <= age)
			break; /* overwritten: the rest is gone */
		age = exits->n_recorded - record->number;
		if (record->id == id) {
			why->cause = (enum rota_exit_cause)record->cause;
			why->reason = record->reason;
			break;
		}
		next = record->older;
	}
	spin_unlock(&exits->xlock);
}
