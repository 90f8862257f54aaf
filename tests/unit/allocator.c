/* SPDX-License-Identifier: MIT */
/*
 * allocator - memory through the host's hooks, and what happens without it
 *
 * Running out of memory is an error for whoever asked, and nothing is lost:
 * what was accepted is handled, and with memory again the engine goes on.
 */
#include <sys/mman.h>

#include "tests/unit/support.h"

#define BLOCK ((size_t)2 << 20)

/* ---- an allocator that keeps books ---- */

struct books {
	pthread_mutex_t lock;
	size_t n_maps;
	size_t n_unmaps;
	size_t bytes; /* mapped now */
	size_t limit; /* of bytes */
	size_t bad;   /* requests and returns that break the contract */
	size_t n_live;
	struct {
		void *block;
		size_t size;
	} live[4096];
	size_t skew; /* misalign what is returned */
};

static struct books books = {.lock = PTHREAD_MUTEX_INITIALIZER,
			     .limit = SIZE_MAX};

/* 2 MiB aligned memory: map more and give back the ends. */
static char *map_aligned(size_t size)
{
	char *wide = mmap(NULL, size + BLOCK, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t before;

	if (wide == MAP_FAILED)
		return NULL;
	before = (BLOCK - (uintptr_t)wide % BLOCK) % BLOCK;
	if (before)
		munmap(wide, before);
	munmap(wide + before + size, BLOCK - before);
	return wide + before;
}

static void *books_map(void *context, size_t size)
{
	struct books *b = context;
	char *block = NULL;

	pthread_mutex_lock(&b->lock);
	if (size == 0 || size % BLOCK)
		b->bad++;
	if (b->bytes + size <= b->limit && b->n_live < 4096)
		block = map_aligned(size);
	if (block) {
		b->live[b->n_live].block = block;
		b->live[b->n_live++].size = size;
		b->n_maps++;
		b->bytes += size;
		block += b->skew;
	}
	pthread_mutex_unlock(&b->lock);
	return block;
}

static void books_unmap(void *context, void *block, size_t size)
{
	struct books *b = context;
	char *start = (char *)block - b->skew;
	size_t i = 0;

	pthread_mutex_lock(&b->lock);
	while (i < b->n_live && b->live[i].block != start)
		i++;
	if (i == b->n_live || b->live[i].size != size) {
		b->bad++;
	} else {
		munmap(start, size);
		b->live[i] = b->live[--b->n_live];
		b->bytes -= size;
		b->n_unmaps++;
	}
	pthread_mutex_unlock(&b->lock);
}

static void books_limit(size_t limit)
{
	pthread_mutex_lock(&books.lock);
	books.limit = limit;
	pthread_mutex_unlock(&books.lock);
}

static size_t books_bytes(void)
{
	size_t bytes;

	pthread_mutex_lock(&books.lock);
	bytes = books.bytes;
	pthread_mutex_unlock(&books.lock);
	return bytes;
}

/* No more than is mapped now. */
static void books_close(void)
{
	books_limit(books_bytes());
}

static void expect_balance(void)
{
	cr_assert_eq(books.bad, 0);
	cr_assert_eq(books.n_live, 0);
	cr_assert_eq(books.bytes, 0);
	cr_assert_eq(books.n_maps, books.n_unmaps);
}

static struct rota_config books_config(unsigned workers)
{
	struct rota_config config = test_config(workers);

	config.allocator =
		(struct rota_allocator){books_map, books_unmap, &books};
	return config;
}

static void engine_start_with_books(unsigned workers)
{
	struct rota_config config = books_config(workers);

	engine = engine_make(&config);
}

/* ---- balance ---- */

static uint64_t bytes_but_stacks(void)
{
	struct rota_stats sums = counters();

	return sums.memory - sums.memory_of[ROTA_MEMORY_STACKS];
}

Test(allocator, gets_everything_back, .timeout = HANG)
{
	static struct record record;
	char *bytes = calloc(1, ROTA_MAX_PAYLOAD);
	struct hold hold = {0};

	for (int round = 0; round < SIZED(5, 2); round++) {
		rota_id id;

		engine_start_with_books(2);
		cr_assert_gt(books_bytes(), 0);
		for (int i = 0; i < 20000; i++)
			(void)puppet_spawn(&record, 0);
		id = puppet_spawn(NULL, 1000);
		hold = (struct hold){0};
		hold_start(&hold, id);
		for (int i = 0; i < 200; i++)
			cr_assert_eq(
				rota_try_send(id, 1, bytes, ROTA_MAX_PAYLOAD),
				0);
		for (int i = 0; i < 1000; i++)
			cr_assert_eq(rota_send_after(id, 1, NULL, 0,
						     ROTA_S(3600), NULL),
				     0);
		/* The worker may be about to take another stack. */
		AWAIT(bytes_but_stacks() == books_bytes());
		engine_stop();
		expect_balance();
	}
	free(bytes);
}

Test(allocator, serves_several_engines, .timeout = HANG)
{
	struct rota_config config = books_config(1);
	rota_engine *engines[4];

	for (int i = 0; i < 4; i++)
		engines[i] = engine_make(&config);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(rota_stop(engines[i], PATIENCE), 0);
	expect_balance();
}

/* ---- what cannot be ---- */

Test(allocator, is_both_functions_or_none)
{
	struct rota_config config = books_config(1);

	config.allocator.unmap = NULL;
	errno = 0;
	cr_assert_null(rota_start(&config));
	cr_assert_eq(errno, EINVAL);
	config = books_config(1);
	config.allocator.map = NULL;
	errno = 0;
	cr_assert_null(rota_start(&config));
	cr_assert_eq(errno, EINVAL);
}

Test(allocator, must_align, .timeout = HANG)
{
	struct rota_config config = books_config(1);

	books.skew = 4096;
	errno = 0;
	cr_assert_null(rota_start(&config));
	cr_assert_eq(errno, EINVAL);
	expect_balance(); /* it got back what it gave */
}

/* ---- none left ---- */

/* However early memory runs out, start fails cleanly or works. */
Test(allocator, start_may_fail_at_any_map, .timeout = HANG)
{
	struct rota_config config = books_config(2);
	size_t failed = 0;

	for (size_t limit = 0; limit < 40; limit++) {
		books_limit(limit * BLOCK);
		errno = 0;
		engine = rota_start(&config);
		if (!engine) {
			cr_assert_eq(errno, ENOMEM, "%zu blocks: errno %d",
				     limit, errno);
			failed++;
		} else {
			engine_stop();
		}
		expect_balance();
	}
	cr_assert_gt(failed, 0); /* an engine needs some memory */
	cr_assert_lt(failed, 40);
}

struct large {
	unsigned char bytes[100000];
};

static struct tally large_destroyed;

static int large_handle(void *state, unsigned tag, void *payload, size_t length)
{
	(void)state;
	(void)tag;
	(void)payload;
	(void)length;
	return rota_self_stop(0);
}

static void large_destroy(void *state)
{
	(void)state;
	tally_add(&large_destroyed, 1);
}

static const struct rota_behaviour large_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "large",
	.state_size = sizeof(struct large),
	.handle = large_handle,
	.destroy = large_destroy,
};

/* Spawn until there is no memory; how many there are then. */
static size_t spawn_all(const struct rota_behaviour *behaviour, rota_id *id,
			size_t max)
{
	size_t n = 0;

	while (n < max) {
		id[n] = rota_spawn(engine, behaviour, NULL, NULL);
		if (rota_id_error(id[n]))
			break;
		n++;
	}
	cr_assert_lt(n, max);
	cr_assert_eq(rota_id_error(id[n]), -ENOMEM);
	return n;
}

static void spawns_run_out(const struct rota_behaviour *behaviour, size_t max)
{
	rota_id *id = calloc(max + 1, sizeof(*id));
	size_t again;
	size_t n;
	int error;

	engine_start_with_books(2);
	id[max] = rota_spawn(engine, behaviour, NULL, NULL); /* warm */
	books_close();
	n = spawn_all(behaviour, id, max);
	cr_assert_eq(rota_send(id[n], 1, NULL, 0), -ENOMEM); /* no actor */
	cr_assert_eq(counters().spawned, n + 1);

	/* Room again by the end of some ... */
	for (size_t i = 0; i < n; i += 2) {
		cr_assert_eq(rota_actor_stop(id[i]), 0);
		error = rota_join(id[i], PATIENCE, NULL);
		cr_assert_eq(error, 0, "join: %s", rota_strerror(error));
	}
	again = spawn_all(behaviour, id, max);
	cr_assert_gt(n, 1);
	cr_assert_geq(again, n / 2 / 2);
	/* ... or by memory. */
	books_limit(SIZE_MAX);
	cr_assert_eq(rota_id_error(rota_spawn(engine, behaviour, NULL, NULL)),
		     0);
	engine_stop();
	expect_balance();
	free(id);
}

Test(allocator, spawn_fails_when_there_is_none, .timeout = HANG)
{
	spawns_run_out(&puppet_behaviour, 1000000);
}

Test(allocator, spawn_of_large_states_fails_when_there_is_none, .timeout = HANG)
{
	spawns_run_out(&large_behaviour, 10000);
	cr_assert_gt(tally_of(&large_destroyed), 0);
}

/* What was accepted before is handled; what was refused has no effect. */
static void sends_run_out(size_t length)
{
	enum { N = 64 };
	static struct hold hold[N];
	char *bytes = calloc(1, ROTA_MAX_PAYLOAD);
	size_t accepted = 0;
	size_t full = 0;
	rota_id id[N];
	int error = 0;

	memset(hold, 0, sizeof(hold));
	engine_start_with_books(2);
	for (size_t i = 0; i < N; i++) {
		id[i] = puppet_spawn(NULL, ROTA_MAX_MAILBOX);
		hold_start(&hold[i], id[i]);
	}
	/* Two million places: more than fit into what there is. */
	books_limit(books_bytes() + 8 * BLOCK);
	while (full < N) {
		error = rota_try_send(id[full], 1, bytes, length);
		if (error == -EAGAIN)
			full++;
		else if (error)
			break;
		else
			accepted++;
	}
	cr_assert_eq(error, -ENOMEM);
	cr_assert_eq(rota_send(id[full], 1, bytes, length), -ENOMEM);
	cr_assert_gt(accepted, 0);
	for (size_t i = 0; i < N; i++)
		hold_end(&hold[i]);
	quiesce();
	cr_assert_eq(counters().messages, accepted + N);
	cr_assert_eq(n_dead(), 0);

	/*
	 * What they used serves again, without any more memory; but for a few
	 * blocks in the magazines of those who freed them.
	 */
	for (size_t i = 0; i < accepted; i++) {
		if (i == accepted / 2)
			quiesce();
		cr_assert_eq(rota_send(id[i % N], 1, bytes, length), 0);
	}
	quiesce();
	cr_assert_eq(counters().messages, 2 * accepted + N);
	engine_stop();
	expect_balance();
	free(bytes);
}

Test(allocator, send_fails_when_there_is_none, .timeout = HANG)
{
	sends_run_out(8);
}

Test(allocator, send_of_large_payloads_fails_when_there_is_none,
     .timeout = HANG)
{
	sends_run_out(1000);
	sends_run_out(ROTA_MAX_PAYLOAD);
}

Test(allocator, timers_fail_when_there_is_none, .timeout = HANG)
{
	static struct record record;
	size_t armed = 0;
	int error;
	rota_id id;

	engine_start_with_books(2);
	id = puppet_spawn(&record, 0);
	books_close();
	while ((error = rota_send_after(id, 1, NULL, 0, ROTA_MS(500), NULL)) ==
	       0)
		armed++;
	cr_assert_eq(error, -ENOMEM);
	cr_assert_gt(armed, 0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), armed);
	cr_assert_eq(n_dead(), 0);
	engine_stop();
	expect_balance();
}

/* Ends need no memory: stop, join and drain get through. */
Test(allocator, ends_work_without_any, .timeout = HANG)
{
	enum { N = 1000 };
	static struct record record;
	rota_id *all = calloc(1000001, sizeof(*all));
	rota_id id[N];

	engine_start_with_books(2);
	for (size_t i = 0; i < N; i++)
		id[i] = puppet_spawn(&record, 0);
	books_close();
	(void)spawn_all(&puppet_behaviour, all, 1000000);
	for (size_t i = 0; i < N; i++) {
		if (i % 2)
			cr_assert_eq(rota_actor_stop(id[i]), 0);
		else
			cr_assert_eq(rota_actor_drain(id[i]), 0);
	}
	for (size_t i = 0; i < N; i++)
		cr_assert_eq(rota_join(id[i], PATIENCE, NULL), 0);
	cr_assert_eq(tally_of(&record.destroyed), N);
	engine_stop();
	expect_balance();
	free(all);
}

/* A handler is refused as a thread is, and its actor lives on. */
struct hungry {
	rota_id to;
	size_t accepted;
	int error;
};

static int act_send_all(void *arg)
{
	struct hungry *hungry = arg;
	static char bytes[30000];

	do
		hungry->error =
			rota_try_send(hungry->to, 1, bytes, sizeof(bytes));
	while (hungry->error == 0 && ++hungry->accepted < 1000000);
	return 0;
}

Test(allocator, a_handler_is_refused_and_lives_on, .timeout = HANG)
{
	static struct record record;
	struct hungry hungry = {0};
	struct hold hold = {0};
	rota_id id;

	engine_start_with_books(2);
	id = puppet_spawn(&record, 0);
	hungry.to = puppet_spawn(NULL, ROTA_MAX_MAILBOX);
	hold_start(&hold, hungry.to);
	cr_assert_eq(send_value(id, 1, 1), 0);
	books_close();
	ACTS(id, act_send_all, &hungry);
	AWAIT(counters().messages >= 2);
	hold_end(&hold);
	quiesce();
	cr_assert_eq(hungry.error, -ENOMEM);
	cr_assert_eq(counters().messages, hungry.accepted + 3);
	cr_assert_eq(send_value(id, 1, 1), 0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 2);
	engine_stop();
	expect_balance();
}
