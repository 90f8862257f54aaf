/* SPDX-License-Identifier: MIT */
/*
 * table - the only things outside engines: their numbers, and who calls; and,
 * at the numbers, what estate.c has to do with
 *
 * Problem:    any thread may call with any id at any time, also while the
 *             engine is being stopped by another thread.
 * Approach:   a call announces itself in its thread's record, then reads the
 *             entry. Removal clears the entry, then reads all records and
 *             waits for those that announce this engine. Both sides touch the
 *             record by a read-modify-write: if the announcement is first the
 *             remover sees it and waits; if the remover is first, the caller
 *             sees the cleared entry.
 * Rejected:   a counter of callers per engine (a contended line per send); a
 *             store-load fence (ThreadSanitizer cannot check it).
 * Orderings:  [T1] announce CAS <-> remover's fetch-and-add, as above.
 *             [T2] table_publish() store -> table_enter() load: the engine is
 *             complete.
 *             [T3] table_leave() store -> remover's load: what the call did.
 *             [T4] push of a record to the list -> walk of the list.
 *             [T5] futex word of a waiting thread.
 */
#include "core/table.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "core/engine.h"
#include "sched/park.h"
#include "sched/spin.h"

static struct rota_engine entries[ID_MAX_ENGINE + 1];
static AO_TS_t entries_lock = AO_TS_INITIALIZER;
static AO_TS_t circles_lock = AO_TS_INITIALIZER;
static AO_t xrecords; /* struct thread_record *: list, only grows */
static __thread struct thread_record *record_here
	__attribute__((tls_model("initial-exec")));
static pthread_key_t record_key;
static pthread_once_t record_once = PTHREAD_ONCE_INIT;
static bool has_record_key;

/* ---- records ---- */

static void give_record_back(void *argument)
{
	struct thread_record *record = argument;

	record_here = NULL;
	/* [T4] pairs with reuse_record() */
	AO_store_release(&record->xin_use, 0);
}

/* The child of a handler's fork() runs on no worker: there are none. */
static void forget_worker(void)
{
	worker_current = NULL;
}

static void make_record_key(void)
{
	pthread_atfork(NULL, NULL, forget_worker);
	has_record_key = pthread_key_create(&record_key, give_record_back) == 0;
}

static struct thread_record *reuse_record(void)
{
	/* [T4] pairs with add_record() */
	struct thread_record *record =
		(struct thread_record *)AO_load_acquire(&xrecords);

	for (; record; record = record->next) {
		/* [T4] pairs with give_record_back() */
		if (AO_compare_and_swap_acquire(&record->xin_use, 0, 1)) {
			record->tenancy++;
			return record;
		}
	}
	return NULL;
}

static void wake_thread(struct wait *wait)
{
	struct thread_record *record =
		(struct thread_record *)((char *)wait -
					 offsetof(struct thread_record, wait));

	/* [T5] pairs with thread_block() */
	AO_int_fetch_and_add_full(&record->futex, 1);
	futex_wake(&record->futex, 1);
}

/* Who ends the wait of a thread that drives: it may go away after the count. */
static void wake_driver(struct wait *wait)
{
	struct thread_record *record =
		(struct thread_record *)((char *)wait -
					 offsetof(struct thread_record, wait));

	park_wake(record->park);
	wake_thread(wait);
}

static struct thread_record *add_record(void)
{
	static AO_t xn_records;
	struct thread_record *record =
		aligned_alloc(CACHE_LINE, (sizeof(*record) + CACHE_LINE - 1) /
						  CACHE_LINE * CACHE_LINE);
	AO_t head;

	if (!record)
		return NULL;
	*record = (struct thread_record){.xin_use = 1};
	record->wait.wake = wake_thread;
	/* Relaxed: spreads threads over shards, no more. */
	record->shard = (unsigned)AO_fetch_and_add1(&xn_records) % N_SHARDS;
	/* Relaxed: the CAS re-checks it. */
	head = AO_load(&xrecords);
	for (;;) {
		AO_t seen;

		record->next = (struct thread_record *)head;
		/* [T4] pairs with every walk of the list */
		seen = AO_fetch_compare_and_swap_full(&xrecords, head,
						      (AO_t)record);
		if (seen == head)
			return record;
		head = seen;
	}
}

struct thread_record *thread_record_here(void)
{
	struct thread_record *record = record_here;

	if (likely(record != NULL))
		return record;
	pthread_once(&record_once, make_record_key);
	record = reuse_record();
	if (!record)
		record = add_record();
	if (!record)
		return NULL;
	record_here = record;
	/* Without a key the record is merely not reused. */
	if (has_record_key)
		pthread_setspecific(record_key, record);
	return record;
}

/* ---- calls ---- */

struct engine *table_enter(struct thread_record *record, unsigned number)
{
	AO_t engine;

	/* [T1] pairs with await_callers(); nobody else stores non-zero */
	AO_compare_and_swap_full(&record->xcall, 0, number);
	/* [T2] pairs with table_publish() */
	engine = AO_load_acquire(&entries[number].xengine);
	if (!engine)
		table_leave(record);
	return (struct engine *)engine;
}

struct engine *table_engine(unsigned number)
{
	/* [T2] pairs with table_publish() */
	return (struct engine *)AO_load_acquire(&entries[number].xengine);
}

void table_leave(struct thread_record *record)
{
	/* [T3] pairs with await_callers() */
	AO_store_release(&record->xcall, 0);
}

static void await_callers(unsigned number)
{
	/*
	 * [T4] pairs with add_record(), [T1]: a read-modify-write, so that a
	 * record that is added later belongs to a thread that sees the entry
	 * cleared.
	 */
	struct thread_record *record =
		(struct thread_record *)AO_fetch_and_add_full(&xrecords, 0);

	for (; record; record = record->next) {
		/* [T1] pairs with table_enter(), [T3] with table_leave() */
		while (AO_fetch_and_add_full(&record->xcall, 0) == number)
			sched_yield();
	}
}

/* ---- numbers ---- */

struct rota_engine *table_handle(unsigned number)
{
	return &entries[number];
}

struct rota_engine *table_reserve(void)
{
	static unsigned last; /* given out; under the lock */
	struct rota_engine *found = NULL;
	unsigned i;

	spin_lock(&entries_lock);
	for (i = 0; i < ID_MAX_ENGINE && !found; i++) {
		/* In turn: a stale handle names nothing for a long time. */
		struct rota_engine *entry =
			&entries[(last + i) % ID_MAX_ENGINE + 1];

		/* A number whose generations are nearly used up is retired. */
		if (!entry->is_taken &&
		    entry->next_generation < ID_MAX_GENERATION / 2)
			found = entry;
	}
	if (found) {
		found->is_taken = 1;
		found->number = (unsigned)(found - entries);
		last = found->number;
		if (found->next_generation == 0)
			found->next_generation = 1;
	}
	spin_unlock(&entries_lock);
	return found;
}

void table_publish(struct rota_engine *handle, struct engine *engine)
{
	/* [T2] pairs with table_enter() */
	AO_store_release(&handle->xengine, (AO_t)engine);
}

struct engine *table_take(struct rota_engine *handle)
{
	struct engine *engine = NULL;

	spin_lock(&entries_lock);
	/* [T2] pairs with table_publish(). Relaxed: under the lock. */
	if (AO_load(&handle->xstopped) != handle->next_generation)
		engine = (struct engine *)AO_load_acquire(&handle->xengine);
	if (engine)
		AO_store(&handle->xstopped, handle->next_generation);
	spin_unlock(&entries_lock);
	return engine;
}

void table_lock_circles(void)
{
	spin_lock(&circles_lock);
}

void table_unlock_circles(void)
{
	spin_unlock(&circles_lock);
}

bool table_is_stopped(const struct rota_engine *handle,
		      uint32_t first_generation)
{
	/* Relaxed: nothing follows from it. */
	return AO_load(&handle->xstopped) >= first_generation;
}

void table_unpublish(struct rota_engine *handle)
{
	/* [T2] as above; [T1] orders it before the look at the records */
	AO_store_release(&handle->xengine, 0);
	await_callers(handle->number);
}

void table_release(struct rota_engine *handle, uint32_t max_generation)
{
	spin_lock(&entries_lock);
	handle->next_generation = max_generation + 1;
	handle->is_taken = 0;
	spin_unlock(&entries_lock);
}

/* ---- waiting ---- */

void thread_wakes_in(struct thread_record *record, struct park *park)
{
	record->park = park;
	record->wait.wake = park ? wake_driver : wake_thread;
}

void thread_await_waker(struct thread_record *record)
{
	/* [T5] pairs with wake_thread(): a system call away, at most */
	while ((int)(AO_int_load_acquire(&record->futex) - record->n_ended) < 0)
		sched_yield();
}

static void sleep_until_ended(struct thread_record *record,
			      struct wait_ticket ticket, uint64_t deadline_ns)
{
	while (!wait_has_ended(&record->wait)) {
		/* [T5] pairs with wake_thread() */
		unsigned seen = AO_int_load_acquire(&record->futex);
		int64_t left;

		if (wait_has_ended(&record->wait))
			return;
		left = clock_left(clock_ns(), deadline_ns);
		if (left == 0) {
			if (wait_claim(ticket)) {
				wait_finish(&record->wait, -ETIMEDOUT);
				return;
			}
			left = -1; /* the winner is about to finish it */
		}
		futex_wait(&record->futex, seen, left);
	}
}

void thread_block(struct thread_record *record, struct wait_ticket ticket,
		  uint64_t deadline_ns)
{
	sleep_until_ended(record, ticket, deadline_ns);
	record->n_ended++;
}
