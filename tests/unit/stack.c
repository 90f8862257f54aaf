/* SPDX-License-Identifier: MIT */
/*
 * stack - are pool stacks guarded, all there, and given back?
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sched/stack.h"
#include "tests/check.h"

#ifdef __has_feature
#define FEATURE(x) __has_feature(x)
#else
#define FEATURE(x) 0
#endif

#if defined(__SANITIZE_THREAD__) || FEATURE(thread_sanitizer)
#define N_MANY 4000 /* it has no room for more fibers */
#else
#define N_MANY 20000
#endif

#if defined(__SANITIZE_THREAD__) || FEATURE(thread_sanitizer) || \
	defined(__SANITIZE_ADDRESS__) || FEATURE(address_sanitizer)
#define WITH_SANITIZER 1
#else
#define WITH_SANITIZER 0
#endif

#define SIZE ((size_t)256 * 1024)

static struct stack_pool pool;
static struct stack_cache cache;
static struct stack *many[N_MANY];

static void start_with(enum stack_guard guard)
{
	int r = stack_pool_init(&pool, SIZE, guard);

	if (guard == STACK_GUARD_MADVISE && r == -ENOSYS)
		cr_skip_test("no MADV_GUARD_INSTALL here");
	cr_assert_eq(r, 0);
}

static void start(void)
{
	start_with(STACK_GUARD_AUTO);
}

static void end(void)
{
	stack_cache_flush(&pool, &cache);
	stack_pool_fini(&pool);
}

static struct stack *get(void)
{
	struct stack *stack = stack_get(&pool, &cache);

	cr_assert_not_null(stack);
	return stack;
}

static void get_many(size_t n)
{
	for (size_t i = 0; i < n; i++)
		many[i] = get();
}

static void put_many(size_t n)
{
	for (size_t i = 0; i < n; i++)
		stack_put(&pool, &cache, many[i]);
}

/* Whether one may write there, without the fault. */
static bool is_writable(char *p)
{
	uintptr_t aligned = (uintptr_t)p & ~(uintptr_t)15;

	return syscall(SYS_clock_gettime, CLOCK_MONOTONIC, aligned) == 0;
}

static char *top(const struct stack *stack)
{
	return stack->low + stack->size;
}

static size_t resident_pages(const struct stack *stack)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t n_pages = (stack->size + page - 1) / page;
	unsigned char *map = malloc(n_pages);
	size_t n = 0;

	cr_assert_eq(mincore(stack->low, stack->size, map), 0);
	for (size_t i = 0; i < n_pages; i++)
		n += map[i] & 1;
	free(map);
	return n;
}

Test(stack, sizes_out_of_range_are_refused)
{
	static const size_t wrong[] = {0, 1, 16383, ((size_t)1 << 30) + 1,
				       SIZE_MAX};
	static const size_t right[] = {16384, 100001, (size_t)1 << 30};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		cr_assert_eq(stack_pool_init(&pool, wrong[i], STACK_GUARD_AUTO),
			     -EINVAL, "%zu", wrong[i]);
	for (size_t i = 0; i < sizeof(right) / sizeof(*right); i++) {
		struct stack *stack;

		cr_assert_eq(stack_pool_init(&pool, right[i], STACK_GUARD_AUTO),
			     0);
		stack = get();
		cr_assert_geq(stack->size, right[i]);
		*stack->low = 1;
		top(stack)[-1] = 1;
		stack_put(&pool, &cache, stack);
		end();
	}
}

static void stacks_are_whole_with(enum stack_guard guard)
{
	enum { N = 700 };

	start_with(guard);
	get_many(N);
	for (size_t i = 0; i < N; i++) {
		cr_assert_geq(many[i]->size, SIZE);
		cr_assert_eq(many[i]->wait.xword, 0);
		cr_assert_null(many[i]->context.sp);
		memset(many[i]->low, (int)i, 64);
		memset(top(many[i]) - 64, (int)i, 64);
	}
	for (size_t i = 0; i < N; i++)
		for (int k = 0; k < 64; k++) {
			cr_assert_eq(many[i]->low[k], (char)i);
			cr_assert_eq(top(many[i])[-1 - k], (char)i);
		}
	for (size_t i = 0; i < N; i++)
		for (size_t j = 0; j < i; j++)
			cr_assert(many[i]->low >= top(many[j]) ||
				  many[j]->low >= top(many[i]));
	put_many(N);
	end();
}

Test(stack, stacks_are_whole_and_apart_madvise)
{
	stacks_are_whole_with(STACK_GUARD_MADVISE);
}

Test(stack, stacks_are_whole_and_apart_mprotect)
{
	stacks_are_whole_with(STACK_GUARD_MPROTECT);
}

Test(stack, stacks_are_whole_and_apart_canary)
{
	stacks_are_whole_with(STACK_GUARD_CANARY);
}

static void guards_hold_with(enum stack_guard guard)
{
	enum { N = 100 };

	start_with(guard);
	get_many(N);
	for (size_t i = 0; i < N; i++) {
		cr_assert(!many[i]->has_canary);
		cr_assert(is_writable(many[i]->low));
		cr_assert(!is_writable(many[i]->low - 1));
		cr_assert(!is_writable(many[i]->low - STACK_GUARD_SIZE / 2));
		cr_assert(!is_writable(many[i]->low - STACK_GUARD_SIZE));
		cr_assert(stack_is_intact(many[i]));
	}
	put_many(N);
	/* Also when their pages were given back meanwhile. */
	get_many(1000);
	put_many(1000);
	get_many(1000);
	for (size_t i = 0; i < 1000; i++)
		cr_assert(!is_writable(many[i]->low - 1));
	put_many(1000);
	end();
}

Test(stack, guards_hold_madvise)
{
	guards_hold_with(STACK_GUARD_MADVISE);
}

Test(stack, guards_hold_mprotect)
{
	guards_hold_with(STACK_GUARD_MPROTECT);
}

Test(stack, auto_takes_guards_that_work)
{
	struct stack *stack;

	start();
	cr_assert_neq(pool.guard, STACK_GUARD_AUTO);
	stack = get();
	cr_assert(!stack->has_canary);
	cr_assert(!is_writable(stack->low - 1));
	stack_put(&pool, &cache, stack);
	end();
}

Test(stack, canaries_tell_an_overflow)
{
	struct stack *stack, *again;

	start_with(STACK_GUARD_CANARY);
	stack = get();
	cr_assert(stack->has_canary);
	for (size_t depth = 1; depth <= 128; depth++) {
		cr_assert(stack_is_intact(stack));
		memset(stack->low, 0xff, 64);
		cr_assert(stack_is_intact(stack));
		stack->low[-(ptrdiff_t)depth] = 1;
		cr_assert(!stack_is_intact(stack), "at %zu", depth);
		stack_put(&pool, &cache, stack);
		again = get();
		cr_assert_eq(again, stack);
	}
	stack_put(&pool, &cache, stack);
	end();
}

Test(stack, mprotect_stops_at_16000, .timeout = 300)
{
	start_with(STACK_GUARD_MPROTECT);
	if (N_MANY < 20000)
		pool.n_protected = 16000 - N_MANY / 2;
	get_many(N_MANY);
	cr_assert_eq(pool.n_protected, 16000);
	for (size_t i = 0, n = 0; i < N_MANY; i++) {
		n += !many[i]->has_canary;
		cr_assert_eq(is_writable(many[i]->low - 1),
			     many[i]->has_canary);
		if (i == N_MANY - 1)
			cr_assert_eq(n, N_MANY < 20000 ? N_MANY / 2 : 16000);
	}
	put_many(N_MANY);
	end();
}

static struct context here;

static void wait_once(void *arg)
{
	struct stack *stack = arg;

	stack->holder = arg;
	context_switch(&stack->context, &here);
	stack->holder = NULL;
	for (;;)
		context_switch(&stack->context, &here);
}

static void many_wait_with(enum stack_guard guard)
{
	start_with(guard);
	context_of_thread(&here);
	get_many(N_MANY);
	for (size_t i = 0; i < N_MANY; i++) {
		context_make(&many[i]->context, many[i]->low, many[i]->size,
			     wait_once, many[i]);
		context_switch(&here, &many[i]->context);
	}
	for (size_t i = 0; i < N_MANY; i++) {
		cr_assert_eq(many[i]->holder, many[i]);
		cr_assert(stack_is_intact(many[i]));
		context_switch(&here, &many[i]->context);
		cr_assert_null(many[i]->holder);
	}
	put_many(N_MANY);
	end();
}

Test(stack, many_wait_at_once, .timeout = 300)
{
	many_wait_with(STACK_GUARD_AUTO);
}

Test(stack, many_wait_at_once_canary, .timeout = 300)
{
	many_wait_with(STACK_GUARD_CANARY);
}

Test(stack, what_is_put_comes_back, .init = start, .fini = end)
{
	size_t n_stacks;

	get_many(3000);
	n_stacks = pool.n_stacks;
	for (int round = 0; round < 5; round++) {
		put_many(3000);
		cr_assert_leq(cache.n_free, 64);
		cr_assert_eq(cache.n_free + pool.n_free + pool.n_cold,
			     n_stacks);
		get_many(3000);
		cr_assert_eq(pool.n_stacks, n_stacks, "round %d", round);
		for (size_t i = 0; i < 3000; i++) {
			cr_assert_null(many[i]->holder, "handed out twice");
			many[i]->holder = &pool;
		}
		for (size_t i = 0; i < 3000; i++)
			many[i]->holder = NULL;
	}
	put_many(3000);
	stack_cache_flush(&pool, &cache);
	cr_assert_eq(cache.n_free, 0);
	cr_assert_null(cache.free);
	cr_assert_eq(pool.n_free + pool.n_cold, n_stacks);
}

Test(stack, last_put_is_next_got, .init = start, .fini = end)
{
	struct stack *a = get(), *b = get();

	stack_put(&pool, &cache, a);
	stack_put(&pool, &cache, b);
	cr_assert_eq(get(), b);
	cr_assert_eq(get(), a);
	stack_put(&pool, &cache, a);
	stack_put(&pool, &cache, b);
}

/* A late claim of a wait that is over must find a wait word. */
Test(stack, wait_words_live_on, .init = start, .fini = end)
{
	struct stack *stack = get();

	stack->wait.xword = 5 * WAIT_SEQUENCE;
	stack->wait.result = 42;
	stack_put(&pool, &cache, stack);
	cr_assert_eq(stack->wait.xword, 5 * WAIT_SEQUENCE);
	cr_assert_eq(get(), stack);
	cr_assert_eq(stack->wait.xword, 5 * WAIT_SEQUENCE);
	cr_assert_eq(stack->wait.result, 42);
	stack_put(&pool, &cache, stack);
}

Test(stack, pages_are_given_back, .init = start, .fini = end)
{
	size_t n = 0;

	get_many(3000);
	for (size_t i = 0; i < 3000; i++) {
		memset(top(many[i]) - 16384, 1, 16384);
		*many[i]->low = 1;
		cr_assert_geq(resident_pages(many[i]), 2);
	}
	put_many(3000);
	for (size_t i = 0; i < 3000; i++)
		n += resident_pages(many[i]) > 0;
	cr_assert_leq(n, 1000);
	cr_assert_geq(n, 100, "some should stay warm");
	/* Warm ones are taken first. */
	get_many(100);
	for (size_t i = 0; i < 100; i++)
		cr_assert_gt(resident_pages(many[i]), 0);
	put_many(100);
}

Test(stack, a_shallow_turn_touches_one_page, .init = start, .fini = end)
{
	get_many(100);
	for (size_t i = 0; i < 100; i++) {
		memset(top(many[i]) - 2048, 1, 2048);
		cr_assert_eq(resident_pages(many[i]), 1, "stack %zu", i);
	}
	put_many(100);
}

Test(stack, tops_fall_into_different_cache_sets, .init = start, .fini = end)
{
	uint64_t sets = 0;

	get_many(64);
	for (size_t i = 0; i < 64; i++)
		sets |= UINT64_C(1) << ((uintptr_t)top(many[i]) / 64 % 64);
	cr_assert_geq(__builtin_popcountll(sets), 16);
	put_many(64);
}

static size_t n_mapped_pages(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	size_t n = 0;

	cr_assert_not_null(file);
	cr_assert_eq(fscanf(file, "%zu", &n), 1);
	fclose(file);
	return n;
}

Test(stack, short_memory_loses_nothing, .init = start, .fini = end)
{
	struct rlimit limit;
	size_t n = 0, n_stacks, n_pages;
	void *more;

	if (WITH_SANITIZER)
		cr_skip_test("sanitizers need address space themselves");
	stack_put(&pool, &cache, get());
	cr_assert_eq(getrlimit(RLIMIT_AS, &limit), 0);
	limit.rlim_cur = (rlim_t)300 << 20;
	cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
	more = mmap(NULL, (size_t)1 << 30, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (more != MAP_FAILED)
		cr_skip_test("address space cannot be limited here");
	while (n < N_MANY && (many[n] = stack_get(&pool, &cache)))
		n++;
	cr_assert_gt(n, 16);
	cr_assert_lt(n, 1200);
	n_stacks = pool.n_stacks;
	cr_assert_eq(n, n_stacks);
	more = mmap(NULL, (size_t)1 << 20, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_eq(more, MAP_FAILED, "gave up too early");
	n_pages = n_mapped_pages();
	for (int i = 0; i < 100; i++)
		cr_assert_null(stack_get(&pool, &cache));
	cr_assert_leq(n_mapped_pages(), n_pages + 16);
	put_many(n);
	get_many(n);
	cr_assert_null(stack_get(&pool, &cache));
	limit.rlim_cur = limit.rlim_max;
	cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
	many[n++] = get();
	cr_assert_gt(pool.n_stacks, n_stacks);
	put_many(n);
}

static bool is_mapped(const void *p)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	return msync((void *)((uintptr_t)p & ~(page - 1)), page, MS_ASYNC) == 0;
}

/* More lives in all than ThreadSanitizer has fibers. */
Test(stack, a_pool_gives_everything_back, .timeout = 300)
{
	context_of_thread(&here);
	for (int round = 0; round < 10; round++) {
		start();
		get_many(1000);
		for (size_t i = 0; i < 1000; i++) {
			context_make(&many[i]->context, many[i]->low,
				     many[i]->size, wait_once, many[i]);
			context_switch(&here, &many[i]->context);
			many[1000 + i] = (struct stack *)(void *)many[i]->low;
		}
		cr_assert(is_mapped(many[0]));
		cr_assert(is_mapped(many[1000]));
		put_many(1000);
		end();
		/* A sanitizer may map something there at once. */
		for (size_t i = 0; i < 2000 && !WITH_SANITIZER; i++)
			cr_assert(!is_mapped(many[i]), "%zu", i);
	}
}

#define N_THREADS 4
#define N_HELD 200

static AO_t xclash;

/* Each stack is somebody's: the holder's mark is never seen by another. */
static void *churn(void *arg)
{
	struct stack_cache mine = {.free = NULL};
	struct stack *held[N_HELD];
	size_t n_held = 0;
	uint64_t random = (uintptr_t)arg * 7919 + 1;

	for (int i = 0; i < 10000; i++) {
		size_t target;

		random = random * 6364136223846793005U + 1442695040888963407U;
		target = (random >> 40) % N_HELD;
		while (n_held < target) {
			struct stack *stack = stack_get(&pool, &mine);

			if (!stack || stack->holder) {
				AO_fetch_and_add1(&xclash);
				return NULL;
			}
			stack->holder = arg;
			top(stack)[-1]++;
			held[n_held++] = stack;
		}
		while (n_held > target) {
			struct stack *stack = held[--n_held];

			if (stack->holder != arg)
				AO_fetch_and_add1(&xclash);
			stack->holder = NULL;
			stack_put(&pool, &mine, stack);
		}
	}
	while (n_held > 0) {
		held[--n_held]->holder = NULL;
		stack_put(&pool, &mine, held[n_held]);
	}
	stack_cache_flush(&pool, &mine);
	return NULL;
}

Test(stack, threads_share_a_pool, .init = start, .fini = end, .timeout = 300)
{
	pthread_t threads[N_THREADS];

	for (uintptr_t i = 0; i < N_THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, churn,
					    (void *)(i + 1)),
			     0);
	for (int i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	cr_assert_eq(AO_load(&xclash), 0);
	cr_assert_eq(pool.n_free + pool.n_cold, pool.n_stacks);
	cr_assert_leq(pool.n_stacks, N_THREADS * (N_HELD + 64));
}
