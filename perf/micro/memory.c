/* SPDX-License-Identifier: MIT */
/*
 * memory - getting and freeing blocks of 64 bytes
 *
 * magazine: one block to and fro, never leaves the magazine: the best case.
 * depot: more than a magazine holds, so that every batch goes through the pool
 * and its lock. threads: one thread gets what the other frees, as when messages
 * flow from one worker to another. Lies if blocks are never written: each is.
 */
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>

#include <atomic_ops.h>

#include "perf/micro/micro.h"
#include "sched/memory.h"

#define BLOCKS 1024

struct store {
	struct source source;
	struct pool pool;
};

static void store_init(struct store *store)
{
	source_init(&store->source, NULL, NULL, NULL);
	pool_init(&store->pool, 64, &store->source, NULL, NULL, 0);
}

static void store_fini(struct store *store)
{
	micro_check(pool_in_use(&store->pool) == 0);
	source_fini(&store->source);
}

static char *get(struct store *store, struct magazine *magazine)
{
	char *block = pool_get(&store->pool, magazine);

	micro_check(block != NULL);
	*block = 1;
	return block;
}

static void magazine_only(struct micro_run *run)
{
	struct store store;
	struct magazine magazine = {0};

	store_init(&store);
	micro_start(run);
	for (uint64_t i = 0; i < run->n; i++)
		pool_put(&store.pool, &magazine, get(&store, &magazine));
	micro_stop(run, run->n);
	pool_flush(&store.pool, &magazine);
	store_fini(&store);
}

static void through_depot(struct micro_run *run)
{
	char *blocks[BLOCKS];
	struct store store;
	struct magazine magazine = {0};
	uint64_t rounds = run->n / BLOCKS + 1;

	store_init(&store);
	micro_start(run);
	for (uint64_t r = 0; r < rounds; r++) {
		for (unsigned i = 0; i < BLOCKS; i++)
			blocks[i] = get(&store, &magazine);
		for (unsigned i = 0; i < BLOCKS; i++)
			pool_put(&store.pool, &magazine, blocks[i]);
	}
	micro_stop(run, rounds * BLOCKS);
	pool_flush(&store.pool, &magazine);
	store_fini(&store);
}

/* ---- two threads */

/* A ring from the thread that gets to the one that frees. */
struct belt {
	struct store store;
	uint64_t n;
	AO_t slot[BLOCKS];
	_Alignas(64) volatile AO_t xfilled;  /* by the one that gets */
	_Alignas(64) volatile AO_t xemptied; /* by the one that frees */
};

static void *free_all(void *arg)
{
	struct belt *belt = arg;
	struct magazine magazine = {0};

	for (uint64_t i = 0; i < belt->n; i++) {
		/* [B1] pairs with by_two(): the slot is filled */
		while (AO_load_acquire(&belt->xfilled) <= i)
			sched_yield();
		pool_put(&belt->store.pool, &magazine,
			 (void *)belt->slot[i % BLOCKS]);
		/* [B2] pairs with by_two(): the slot is free again */
		AO_store_release(&belt->xemptied, i + 1);
	}
	pool_flush(&belt->store.pool, &magazine);
	return NULL;
}

static void by_two(struct micro_run *run)
{
	static struct belt belt;
	struct magazine magazine = {0};
	pthread_t thread;

	store_init(&belt.store);
	belt.n = run->n;
	/* Relaxed: the thread does not exist yet. */
	AO_store(&belt.xfilled, 0);
	AO_store(&belt.xemptied, 0);
	micro_check(pthread_create(&thread, NULL, free_all, &belt) == 0);
	micro_start(run);
	for (uint64_t i = 0; i < run->n; i++) {
		/* [B2] pairs with free_all() */
		while (i - AO_load_acquire(&belt.xemptied) >= BLOCKS)
			sched_yield();
		belt.slot[i % BLOCKS] = (AO_t)get(&belt.store, &magazine);
		/* [B1] pairs with free_all() */
		AO_store_release(&belt.xfilled, i + 1);
	}
	pthread_join(thread, NULL);
	micro_stop_threads(run, run->n);
	pool_flush(&belt.store.pool, &magazine);
	store_fini(&belt.store);
}

const struct micro micros_memory[] = {
	{"memory/magazine", "get and put one block of 64 bytes", 20000000,
	 magazine_only},
	{"memory/depot", "get and put 1,024, through the pool", 10000000,
	 through_depot},
	{"memory/threads", "get here, put on another thread", 3000000, by_two},
	{NULL, NULL, 0, NULL},
};
