/* SPDX-License-Identifier: MIT */
/*
 * stack - a pool of guarded stacks for turns
 *
 * Problem:    a turn that waits keeps its stack, and a million may wait at
 *             once. Memory should be what they touched, an overflow should be
 *             a fault and not another turn's data, and a turn that starts
 *             should find a stack without a lock or a system call.
 * Approach:   regions of many slots are mapped at a time, without reserving
 *             memory; a slot is
 *
 *                [guard, 64 KiB][usable: page-rounded][colour]
 *
 *             Memory comes when a stack is first touched, a guard when it is
 *             first handed out. The descriptors of a region lie in a mapping of
 *             their own, dense, and stay until the pool ends. Free stacks go
 *             through two caches: the worker's (no atomics) and, 16 at a time,
 *             the pool's (a spin lock, never held across a system call).
 *             Beyond a few hundred free ones their pages are given back: such a
 *             stack is "cold" and taken after the warm ones, before fresh ones.
 * Colour:     the busiest lines of a stack are those at its top, and slots are
 *             a multiple of the page size apart: all tops would fall into the
 *             same sets of the first-level cache. So the top moves down by 0 to
 *             15 times 128 bytes, out of room set aside for it: half a page, so
 *             that a shallow turn still touches one page only.
 * Guards:     MADV_GUARD_INSTALL marks page table entries and splits no
 *             mapping. It is believed only after an access was seen to fail:
 *             emulators accept advice that they do not know. Where it is
 *             missing, mprotect() takes two mappings per stack, of which a
 *             process has 65,530; so the first 16,000 only.
 * Canary:     for the rest, and wherever a guard was refused. The 128 bytes
 *             right below the usable part must read zero, which is what memory
 *             that was never written reads: setting up a canary costs nothing,
 *             looking at it maps the kernel's page of zeros. The 64 KiB around
 *             it are writable then, so that an overflow up to there hurts
 *             nobody before it is seen.
 * Rejected:   mmap() per stack: two mappings each, and the kernel's lock per
 *             spawned turn. A pattern as canary: touches another 4 KiB of each
 *             stack. Huge pages: 2 MiB per waiting turn. MADV_FREE: the memory
 *             of an engine could not be told by its RSS.
 * Budget:     a stack counts at its full size from when it is made until its
 *             pages are given back. Under a limit stacks are made, and taken
 *             from the pool, one at a time: unused ones would eat it up.
 *             Spare threads take theirs beyond it (crew.c), and so do waits that
 *             cannot be given up (core/task_group.c). Such a thread gives
 *             one stack back at least when it ends, such a wait gives one back
 *             when it has ended, and while the budget is exceeded what is
 *             given back loses its pages: so it is never exceeded by more than
 *             a stack for each such thread that runs and each such wait in
 *             progress, of which a thread may have many.
 * Orderings:  the spin lock's: what the pool holds, and what the last owner of
 * a stack left in its descriptor.
 */
#include "sched/stack.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sched/poison.h"
#include "sched/spin.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

#define SIZE_MIN ((size_t)16 << 10)
#define SIZE_MAX_ ((size_t)1 << 30)
#define N_COLOURS 16
#define COLOUR 128
#define CANARY_WORDS 16
#define PROTECTED_MAX 16000

#define BATCH 16      /* between a cache and the pool */
#define CACHE_MAX 32  /* warm in a worker */
#define WARM_MAX 512  /* warm in the pool */
#define REGION_MIN 16 /* stacks of the first region */
#define REGION_MAX 4096
#define REGION_BYTES ((size_t)4 << 30) /* unless a single stack has more */

/* Its own mapping, with the descriptors; the stacks lie at base. */
struct stack_region {
	struct stack_region *next;	 /* of all */
	struct stack_region *next_fresh; /* of those not used up */
	char *base;
	size_t n_stacks;
	size_t n_made;
	_Alignas(64) struct stack stacks[];
};

/* Taken from a region, not yet made: the taker's alone. */
struct fresh {
	struct stack_region *region;
	size_t first;
	size_t n;
	size_t number;	    /* of the first, in the pool */
	size_t n_protected; /* how many of them may be mprotect'ed */
};

/* ---- mappings */

static size_t round_up(size_t size, size_t unit)
{
	return (size + unit - 1) / unit * unit;
}

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* What a stack's pages span: the usable part and the room for colours. */
static size_t body_size(const struct stack_pool *pool)
{
	return round_up(pool->stack_size + (size_t)N_COLOURS * COLOUR,
			page_size());
}

static size_t slot_size(const struct stack_pool *pool)
{
	return round_up(STACK_GUARD_SIZE, page_size()) + body_size(pool);
}

static void *map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static size_t record_size(size_t n_stacks)
{
	return sizeof(struct stack_region) + n_stacks * sizeof(struct stack);
}

static struct stack_region *region_map(const struct stack_pool *pool, size_t n)
{
	struct stack_region *region = map(record_size(n));
	char *base;

	if (!region)
		return NULL;
	base = map(n * slot_size(pool));
	if (!base) {
		munmap(region, record_size(n));
		return NULL;
	}
	/* Refused by kernels without huge pages, which is as good. */
	madvise(base, n * slot_size(pool), MADV_NOHUGEPAGE);
	poison_forget(base, n * slot_size(pool));
	region->base = base;
	region->n_stacks = n;
	return region;
}

static void region_unmap(const struct stack_pool *pool,
			 struct stack_region *region)
{
	for (size_t i = 0; i < region->n_made; i++)
		context_forget(&region->stacks[i].context);
	munmap(region->base, region->n_stacks * slot_size(pool));
	munmap(region, record_size(region->n_stacks));
}

/* A quarter more each time, within limits. */
static size_t region_size(const struct stack_pool *pool, size_t n_stacks)
{
	size_t n = n_stacks / 4;
	size_t most = REGION_BYTES / slot_size(pool);

	if (n < REGION_MIN)
		n = REGION_MIN;
	if (n > REGION_MAX)
		n = REGION_MAX;
	return n > most ? most : n;
}

/*
 * Map a region, a smaller one where memory is short; false if there is none for
 * a single stack. Several workers may get here at once and each map one: that
 * costs address space only.
 */
static bool pool_grow(struct stack_pool *pool, size_t n_stacks)
{
	struct stack_region *region = NULL;

	for (size_t n = region_size(pool, n_stacks); n > 0 && !region; n /= 2)
		region = region_map(pool, n);
	if (!region)
		return false;
	spin_lock(&pool->xlock);
	region->next = pool->regions;
	pool->regions = region;
	region->next_fresh = pool->fresh;
	pool->fresh = region;
	spin_unlock(&pool->xlock);
	return true;
}

/* ---- guards */

/* Whether the kernel refuses to write there. */
static bool is_guarded(void *page)
{
	return syscall(SYS_clock_gettime, CLOCK_MONOTONIC, page) < 0 &&
	       errno == EFAULT;
}

static bool madvise_works(void)
{
	size_t size = page_size();
	void *page = map(size);
	bool works;

	if (!page)
		return false;
	works = madvise(page, size, MADV_GUARD_INSTALL) == 0 &&
		is_guarded(page);
	munmap(page, size);
	return works;
}

static bool guard_install(const struct stack_pool *pool, char *guard,
			  bool may_protect)
{
	size_t size = round_up(STACK_GUARD_SIZE, page_size());

	switch (pool->guard) {
	case STACK_GUARD_MADVISE:
		/* Locked memory (mlockall) has no such guards. */
		return madvise(guard, size, MADV_GUARD_INSTALL) == 0;
	case STACK_GUARD_MPROTECT:
		return may_protect && mprotect(guard, size, PROT_NONE) == 0;
	default:
		return false;
	}
}

/* Turns may have poisoned what they wrote. */
__attribute__((no_sanitize("address"))) int
stack_is_intact(const struct stack *stack)
{
	const uint64_t *word = (const uint64_t *)(const void *)stack->low;
	uint64_t all = 0;

	if (!stack->has_canary)
		return 1;
	for (int i = 1; i <= CANARY_WORDS; i++)
		all |= word[-i];
	return all == 0;
}

static void canary_mend(struct stack *stack)
{
	size_t size = round_up(STACK_GUARD_SIZE, page_size());

	madvise(stack->low - size, size, MADV_DONTNEED);
}

/* ---- the pool; each with the lock held, but for stack_make() */

static void splice(struct stack **list, struct stack *first, struct stack *last)
{
	last->next = *list;
	*list = first;
}

/* Move up to so many stacks; how many. */
static unsigned take_free(struct stack **list, size_t *n_list, size_t most,
			  struct stack_cache *cache)
{
	unsigned n = 0;

	while (n < most && *list) {
		struct stack *stack = *list;

		*list = stack->next;
		splice(&cache->free, stack, stack);
		n++;
	}
	*n_list -= n;
	cache->n_free += n;
	return n;
}

static size_t min(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Under a limit one at a time: what lies unused with one is not to be had for
   others. */
static size_t batch(const struct stack_pool *pool, size_t most)
{
	return min(most, budget_is_limited(pool->budget) ? 1 : BATCH);
}

/* What the budget allows of n stacks that have no pages so far. */
static size_t take_bytes(struct stack_pool *pool, size_t n, bool beyond)
{
	if (n == 0)
		return 0;
	if (!budget_take(pool->budget, n * body_size(pool))) {
		if (!beyond)
			return 0;
		budget_exceed(pool->budget, n * body_size(pool));
	}
	/* Relaxed: a statistic, written under the lock. */
	AO_store(&pool->xbytes, AO_load(&pool->xbytes) + n * body_size(pool));
	return n;
}

static void give_bytes(struct stack_pool *pool, size_t n)
{
	budget_give(pool->budget, n * body_size(pool));
	/* Relaxed: see take_bytes(). */
	AO_store(&pool->xbytes, AO_load(&pool->xbytes) - n * body_size(pool));
}

static size_t reserve_protected(struct stack_pool *pool, size_t n)
{
	if (pool->guard != STACK_GUARD_MPROTECT)
		return 0;
	n = min(n, PROTECTED_MAX - pool->n_protected);
	pool->n_protected += n;
	return n;
}

static struct fresh take_fresh(struct stack_pool *pool, bool beyond)
{
	struct stack_region *region = pool->fresh;
	struct fresh fresh = {.region = region, .number = pool->n_stacks};

	if (!region)
		return fresh;
	fresh.first = region->n_made;
	fresh.n = take_bytes(
		pool, batch(pool, region->n_stacks - region->n_made), beyond);
	fresh.n_protected = reserve_protected(pool, fresh.n);
	region->n_made += fresh.n;
	pool->n_stacks += fresh.n;
	if (region->n_made == region->n_stacks)
		pool->fresh = region->next_fresh;
	return fresh;
}

static struct stack *stack_make(const struct stack_pool *pool,
				const struct fresh *fresh, size_t i)
{
	struct stack *stack = &fresh->region->stacks[fresh->first + i];
	char *slot = fresh->region->base + (fresh->first + i) * slot_size(pool);
	size_t colour = (fresh->number + i) % N_COLOURS * COLOUR;

	stack->low = slot + slot_size(pool) - body_size(pool);
	stack->size = body_size(pool) - colour;
	stack->has_canary = !guard_install(pool, slot, i < fresh->n_protected);
	return stack;
}

/* The lowest ones come out first. */
static void make_fresh(const struct stack_pool *pool, const struct fresh *fresh,
		       struct stack_cache *cache)
{
	for (size_t i = fresh->n; i-- > 0;) {
		struct stack *stack = stack_make(pool, fresh, i);

		splice(&cache->free, stack, stack);
		cache->n_free++;
	}
}

/* False: there are none, nor would growing help. */
static bool take_cold_or_fresh(struct stack_pool *pool,
			       struct stack_cache *cache, struct fresh *fresh,
			       bool beyond)
{
	if (pool->cold)
		return take_free(&pool->cold, &pool->n_cold,
				 take_bytes(pool, batch(pool, pool->n_cold),
					    beyond),
				 cache) > 0;
	*fresh = take_fresh(pool, beyond);
	return fresh->n > 0 || !pool->fresh;
}

/* Warm ones first, then cold ones, then new ones; false if there are none. */
static bool refill(struct stack_pool *pool, struct stack_cache *cache,
		   bool beyond)
{
	struct fresh fresh = {.n = 0};
	bool may_grow = true;
	size_t n_stacks;

	spin_lock(&pool->xlock);
	if (take_free(&pool->free, &pool->n_free, batch(pool, BATCH), cache) ==
	    0)
		may_grow = take_cold_or_fresh(pool, cache, &fresh, beyond);
	n_stacks = pool->n_stacks;
	spin_unlock(&pool->xlock);
	make_fresh(pool, &fresh, cache);
	if (!may_grow)
		budget_refuse(pool->budget);
	return cache->free || (may_grow && pool_grow(pool, n_stacks) &&
			       refill(pool, cache, beyond));
}

/* ---- giving back */

static void give_back_pages(const struct stack_pool *pool, struct stack *first)
{
	for (; first; first = first->next)
		madvise(first->low, body_size(pool), MADV_DONTNEED);
}

static bool keeps_warm(struct stack_pool *pool, struct stack *first,
		       struct stack *last, size_t n)
{
	bool fits;

	spin_lock(&pool->xlock);
	fits = pool->n_free + n <= WARM_MAX;
	if (fits) {
		splice(&pool->free, first, last);
		pool->n_free += n;
	}
	spin_unlock(&pool->xlock);
	return fits;
}

/* Takes a whole list over. What exceeds the budget does not stay. */
static void give_back(struct stack_pool *pool, struct stack *first)
{
	struct stack *last = first;
	size_t n = 1;

	if (!first)
		return;
	for (; last->next; last = last->next)
		n++;
	if (!budget_is_exceeded(pool->budget) &&
	    keeps_warm(pool, first, last, n))
		return;
	give_back_pages(pool, first);
	spin_lock(&pool->xlock);
	splice(&pool->cold, first, last);
	pool->n_cold += n;
	give_bytes(pool, n);
	spin_unlock(&pool->xlock);
}

/* Cut off all but the newest n, which are the warmest. */
static struct stack *cut_after(struct stack_cache *cache, unsigned n)
{
	struct stack *last = cache->free;
	struct stack *rest;

	for (unsigned i = 1; i < n; i++)
		last = last->next;
	rest = last->next;
	last->next = NULL;
	cache->n_free = n;
	return rest;
}

/* ---- for callers */

int stack_pool_init(struct stack_pool *pool, size_t stack_size,
		    enum stack_guard guard)
{
	if (stack_size < SIZE_MIN || stack_size > SIZE_MAX_ ||
	    guard > STACK_GUARD_CANARY)
		return -EINVAL;
	if (guard == STACK_GUARD_AUTO)
		guard = madvise_works() ? STACK_GUARD_MADVISE
					: STACK_GUARD_MPROTECT;
	else if (guard == STACK_GUARD_MADVISE && !madvise_works())
		return -ENOSYS;
	*pool = (struct stack_pool){
		.xlock = AO_TS_INITIALIZER,
		.stack_size = stack_size,
		.guard = guard,
	};
	return 0;
}

void stack_pool_fini(struct stack_pool *pool)
{
	while (pool->regions) {
		struct stack_region *region = pool->regions;

		pool->regions = region->next;
		region_unmap(pool, region);
	}
	*pool = (struct stack_pool){.xlock = AO_TS_INITIALIZER};
}

static struct stack *get(struct stack_pool *pool, struct stack_cache *cache,
			 bool beyond)
{
	struct stack *stack;

	if (!cache->free && !refill(pool, cache, beyond))
		return NULL;
	stack = cache->free;
	cache->free = stack->next;
	cache->n_free--;
	stack->next = NULL;
	return stack;
}

struct stack *stack_get(struct stack_pool *pool, struct stack_cache *cache)
{
	return get(pool, cache, false);
}

struct stack *stack_get_beyond(struct stack_pool *pool,
			       struct stack_cache *cache)
{
	return get(pool, cache, true);
}

void stack_put(struct stack_pool *pool, struct stack_cache *cache,
	       struct stack *stack)
{
	if (!stack_is_intact(stack))
		canary_mend(stack);
	splice(&cache->free, stack, stack);
	if (++cache->n_free > CACHE_MAX)
		give_back(pool, cut_after(cache, CACHE_MAX - BATCH));
}

void stack_cache_flush(struct stack_pool *pool, struct stack_cache *cache)
{
	give_back(pool, cache->free);
	*cache = (struct stack_cache){.free = NULL};
}
