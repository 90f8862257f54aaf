/* SPDX-License-Identifier: MIT */
/*
 * context - does what stood on a stack stand there again after a switch?
 *
 * Every test makes its contexts of malloc'ed memory: no pool is involved.
 */
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unwind.h>

#include "sched/context.h"
#include "tests/check.h"

#define SIZE ((size_t)64 * 1024)
#define N_RING 100

#if (defined(__x86_64__) || defined(__aarch64__)) && !defined(ROTA_UCONTEXT)
#define WITH_UCONTEXT 0
#else
#define WITH_UCONTEXT 1
#endif

struct fiber {
	struct context context;
	struct context *back; /* who resumed it last */
	char *low;
	uintptr_t seen;
	uint64_t value;
};

static struct context here;

static void fiber_init(struct fiber *fiber, void (*entry)(void *))
{
	*fiber = (struct fiber){.back = &here, .low = malloc(SIZE)};
	cr_assert_not_null(fiber->low);
	context_make(&fiber->context, fiber->low, SIZE, entry, fiber);
}

static void fiber_fini(struct fiber *fiber)
{
	context_forget(&fiber->context);
	free(fiber->low);
}

static void start(void)
{
	context_of_thread(&here);
}

static void leave_for_good(struct fiber *fiber)
{
	for (;;)
		context_switch(&fiber->context, fiber->back);
}

/* The compiler may know nothing about what this returns. */
static __attribute__((noinline)) uint64_t opaque(uint64_t x)
{
	__asm__ volatile("" : "+r"(x));
	return x;
}

static void note_address(void *arg)
{
	struct fiber *fiber = arg;

	fiber->seen = (uintptr_t)__builtin_frame_address(0);
	fiber->value = 7;
	leave_for_good(fiber);
}

Test(context, runs_on_its_own_stack, .init = start)
{
	struct fiber fiber;

	fiber_init(&fiber, note_address);
	cr_assert_eq(fiber.value, 0);
	context_switch(&here, &fiber.context);
	cr_assert_eq(fiber.value, 7);
	cr_assert_geq(fiber.seen, (uintptr_t)fiber.low);
	cr_assert_lt(fiber.seen, (uintptr_t)fiber.low + SIZE);
	fiber_fini(&fiber);
}

static void note_alignment(void *arg)
{
	struct fiber *fiber = arg;
	_Alignas(16) char aligned[16];

	memset(aligned, 1, sizeof(aligned));
	__asm__ volatile("" : : "r"(aligned) : "memory");
	fiber->seen = (uintptr_t)aligned;
	/* The frame pointer is pushed right below the return address. */
	fiber->value = (uintptr_t)__builtin_frame_address(0);
	leave_for_good(fiber);
}

Test(context, aligns_stacks_of_any_size, .init = start)
{
	struct fiber fiber;

	fiber_init(&fiber, note_alignment);
	for (size_t odd = 0; odd < 64; odd++) {
		context_make(&fiber.context, fiber.low + odd,
			     SIZE - 2 * odd - odd % 5, note_alignment, &fiber);
		context_switch(&here, &fiber.context);
		cr_assert_eq(fiber.seen % 16, 0, "odd %zu", odd);
#if defined(__x86_64__) || defined(__aarch64__)
		cr_assert_eq(fiber.value % 16, 0, "odd %zu", odd);
#endif
	}
	fiber_fini(&fiber);
}

/*
 * More values live across the switch than there are registers to keep them in,
 * integers and doubles, and something else in all of them on the other side.
 */
static uint64_t juggle(uint64_t seed, struct context *from, struct context *to)
{
	uint64_t a = opaque(seed + 1), b = opaque(seed + 2);
	uint64_t c = opaque(seed + 3), d = opaque(seed + 4);
	uint64_t e = opaque(seed + 5), f = opaque(seed + 6);
	uint64_t g = opaque(seed + 7), h = opaque(seed + 8);
	uint64_t i = opaque(seed + 9), j = opaque(seed + 10);
	uint64_t k = opaque(seed + 11), l = opaque(seed + 12);
	double m = (double)opaque(seed + 13), n = (double)opaque(seed + 14);
	double o = (double)opaque(seed + 15), p = (double)opaque(seed + 16);
	double q = (double)opaque(seed + 17), r = (double)opaque(seed + 18);
	double s = (double)opaque(seed + 19), t = (double)opaque(seed + 20);
	uint64_t wrong = 0;

	context_switch(from, to);

	wrong |= a ^ (seed + 1);
	wrong |= b ^ (seed + 2);
	wrong |= c ^ (seed + 3);
	wrong |= d ^ (seed + 4);
	wrong |= e ^ (seed + 5);
	wrong |= f ^ (seed + 6);
	wrong |= g ^ (seed + 7);
	wrong |= h ^ (seed + 8);
	wrong |= i ^ (seed + 9);
	wrong |= j ^ (seed + 10);
	wrong |= k ^ (seed + 11);
	wrong |= l ^ (seed + 12);
	wrong |= (uint64_t)m ^ (seed + 13);
	wrong |= (uint64_t)n ^ (seed + 14);
	wrong |= (uint64_t)o ^ (seed + 15);
	wrong |= (uint64_t)p ^ (seed + 16);
	wrong |= (uint64_t)q ^ (seed + 17);
	wrong |= (uint64_t)r ^ (seed + 18);
	wrong |= (uint64_t)s ^ (seed + 19);
	wrong |= (uint64_t)t ^ (seed + 20);
	return wrong;
}

static void juggler(void *arg)
{
	struct fiber *fiber = arg;

	for (uint64_t i = 0;; i++)
		fiber->value |= juggle(i << 32, &fiber->context, fiber->back);
}

Test(context, keeps_registers, .init = start)
{
	struct fiber fiber;

	fiber_init(&fiber, juggler);
	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t wrong = juggle(i * 64, &here, &fiber.context);

		cr_assert_eq(wrong, 0);
	}
	cr_assert_eq(fiber.value, 0);
	fiber_fini(&fiber);
}

/*
 * Rounding up (x87: by its control word) and down; only the parts of the
 * control words that the calling convention makes a callee keep.
 */
#if defined(__x86_64__)

#define HAVE_ROUNDING 1
#define MXCSR_UP 0x4000U
#define X87_UP 0x0800U

static void rounding_set(unsigned sse, unsigned x87)
{
	uint32_t mxcsr;
	uint16_t word;

	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	mxcsr = (mxcsr & ~0x6000U) | sse;
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
	__asm__ volatile("fnstcw %0" : "=m"(word));
	word = (uint16_t)((word & ~0x0c00U) | x87);
	__asm__ volatile("fldcw %0" : : "m"(word));
}

static unsigned rounding_get(void)
{
	uint32_t mxcsr;
	uint16_t word;

	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	__asm__ volatile("fnstcw %0" : "=m"(word));
	return (mxcsr & 0x6000U) << 16 | (word & 0x0c00U);
}

#elif defined(__aarch64__)

#define HAVE_ROUNDING 1
#define MXCSR_UP 0x400000U
#define X87_UP 0

static void rounding_set(unsigned mode, unsigned unused)
{
	uint64_t fpcr;

	__asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
	fpcr = (fpcr & ~(uint64_t)0xc00000) | mode | unused;
	__asm__ volatile("msr fpcr, %0" : : "r"(fpcr));
}

static unsigned rounding_get(void)
{
	uint64_t fpcr;

	__asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
	return (unsigned)(fpcr & 0xc00000);
}

#else

#define HAVE_ROUNDING 0
#define MXCSR_UP 0
#define X87_UP 0

static void rounding_set(unsigned sse, unsigned x87)
{
	(void)sse;
	(void)x87;
}

static unsigned rounding_get(void)
{
	return 0;
}

#endif

struct rounding {
	struct fiber fiber;
	unsigned sse;
	unsigned x87;
};

static void rounder(void *arg)
{
	struct rounding *r = arg;

	r->fiber.seen = rounding_get();
	rounding_set(r->sse, r->x87);
	r->fiber.value = rounding_get();
	for (;;) {
		context_switch(&r->fiber.context, r->fiber.back);
		if (rounding_get() != r->fiber.value)
			r->fiber.value = ~UINT64_C(0);
	}
}

Test(context, keeps_the_rounding_mode, .init = start)
{
	static const unsigned modes[][2] = {
		{MXCSR_UP, 0}, {0, X87_UP}, {MXCSR_UP, X87_UP}};
	unsigned mine;

	if (!HAVE_ROUNDING)
		cr_skip_test("no rounding mode known for this machine");
	rounding_set(0, 0);
	mine = rounding_get();
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		struct rounding r = {.sse = modes[i][0], .x87 = modes[i][1]};
		uint64_t expected;

		rounding_set(r.sse, r.x87);
		expected = rounding_get();
		rounding_set(0, 0);
		fiber_init(&r.fiber, rounder);
		context_make(&r.fiber.context, r.fiber.low, SIZE, rounder, &r);
		for (int n = 0; n < 3; n++) {
			context_switch(&here, &r.fiber.context);
			cr_assert_eq(rounding_get(), mine, "mode %zu", i);
			cr_assert_eq(r.fiber.value, expected, "mode %zu", i);
		}
		cr_assert_eq(r.fiber.seen, mine, "inherited, mode %zu", i);
		fiber_fini(&r.fiber);
	}
}

static struct fiber ring[N_RING];

/* Switches to a neighbour by its own reckoning; checks its own stack. */
static void wander(void *arg)
{
	struct fiber *fiber = arg;
	uint64_t state = (uint64_t)(fiber - ring) + 1;
	volatile uint64_t local[8];

	for (;;) {
		struct context *to;

		for (int i = 0; i < 8; i++)
			local[i] = state + (uint64_t)i;
		if (++ring[0].seen >= 20 * N_RING)
			to = &here;
		else
			to = &ring[(state >> 33) % N_RING].context;
		if (to == &fiber->context)
			to = &ring[(state >> 33) % N_RING ? 0 : 1].context;
		context_switch(&fiber->context, to);
		for (int i = 0; i < 8; i++)
			fiber->value |= local[i] ^ (state + (uint64_t)i);
		state = state * 6364136223846793005U + 1442695040888963407U;
	}
}

Test(context, any_stack_switches_to_any, .init = start)
{
	uint64_t wrong = 0;

	for (int i = 0; i < N_RING; i++)
		fiber_init(&ring[i], wander);
	for (int i = 0; i < N_RING; i++)
		context_switch(&here, &ring[i].context);
	cr_assert_geq(ring[0].seen, 20 * N_RING);
	for (int i = 0; i < N_RING; i++)
		wrong |= ring[i].value;
	cr_assert_eq(wrong, 0);
	for (int i = 0; i < N_RING; i++)
		fiber_fini(&ring[i]);
}

static __attribute__((noinline)) unsigned descend(struct fiber *fiber,
						  unsigned depth)
{
	volatile char room[256];
	unsigned sum;

	memset((void *)(uintptr_t)room, (int)depth, sizeof(room));
	if (depth == 0) {
		fiber->value++;
		context_switch(&fiber->context, fiber->back);
		return 0;
	}
	sum = descend(fiber, depth - 1);
	return sum + (unsigned)(unsigned char)room[depth % sizeof(room)];
}

static void diver(void *arg)
{
	struct fiber *fiber = arg;

	fiber->seen = descend(fiber, 40);
	leave_for_good(fiber);
}

Test(context, comes_back_from_the_deep, .init = start)
{
	struct fiber fiber;

	fiber_init(&fiber, diver);
	context_switch(&here, &fiber.context);
	cr_assert_eq(fiber.value, 1);
	context_switch(&here, &fiber.context);
	cr_assert_eq(fiber.seen, 40 * 41 / 2);
	fiber_fini(&fiber);
}

/*
 * Left in the deep each time, and every other life not begun at all: sanitizers
 * must forget what stood there. More lives than ThreadSanitizer has fibers.
 */
Test(context, can_be_made_again, .init = start, .timeout = 300)
{
	struct fiber fiber;

	fiber_init(&fiber, diver);
	for (uint64_t i = 1; i <= 5000; i++) {
		context_switch(&here, &fiber.context);
		cr_assert_eq(fiber.value, i);
		context_make(&fiber.context, fiber.low, SIZE, note_address,
			     &fiber);
		context_make(&fiber.context, fiber.low, SIZE, diver, &fiber);
	}
	fiber_fini(&fiber);
}

struct trace {
	int n_frames;
	_Unwind_Reason_Code end;
};

static _Unwind_Reason_Code count_frame(struct _Unwind_Context *unwind,
				       void *arg)
{
	struct trace *trace = arg;

	/* libgcc shows an end that is declared as a last frame at nowhere. */
	if (_Unwind_GetIP(unwind) == 0)
		return _URC_NO_REASON;
	return ++trace->n_frames > 1000 ? _URC_NORMAL_STOP : _URC_NO_REASON;
}

static void tracer(void *arg)
{
	struct fiber *fiber = arg;
	struct trace trace = {0};

	trace.end = _Unwind_Backtrace(count_frame, &trace);
	fiber->value = (uint64_t)trace.n_frames;
	fiber->seen = trace.end;
	leave_for_good(fiber);
}

/* tracer(), run(), context_start(); ucontext has a frame of libc more. */
Test(context, backtraces_end_at_the_base, .init = start)
{
	struct fiber fiber;

	fiber_init(&fiber, tracer);
	context_switch(&here, &fiber.context);
	cr_assert_eq(fiber.seen, _URC_END_OF_STACK);
	cr_assert_geq(fiber.value, 3);
	cr_assert_leq(fiber.value, 3 + WITH_UCONTEXT);
	fiber_fini(&fiber);
}

static __attribute__((noinline)) void jump_from_the_deep(jmp_buf base, int n)
{
	volatile char room[256];

	memset((void *)(uintptr_t)room, n, sizeof(room));
	if (n == 0) {
		if (opaque(1))
			longjmp(base, 1);
		return;
	}
	jump_from_the_deep(base, n - 1);
	room[n] = 0;
}

/* Not instrumented itself: what it uses must be free of old poison. */
__attribute__((noinline, no_sanitize("address"))) static void
write_the_deep(void)
{
	volatile char room[8 * 256];

	memset((void *)(uintptr_t)room, 1, sizeof(room));
}

static void jumper(void *arg)
{
	struct fiber *fiber = arg;
	jmp_buf base;

	if (setjmp(base) == 0)
		jump_from_the_deep(base, 20);
	write_the_deep();
	fiber->value = 1;
	leave_for_good(fiber);
}

/* A sanitizer that believes itself on another stack cleans up the wrong one. */
Test(context, a_stack_can_jump_within_itself, .init = start)
{
	struct fiber fiber;

	fiber_init(&fiber, jumper);
	context_switch(&here, &fiber.context);
	cr_assert_eq(fiber.value, 1);
	fiber_fini(&fiber);
}

#if !WITH_UCONTEXT

/* What `perf record --call-graph fp` does. */
static void walker(void *arg)
{
	struct fiber *fiber = arg;
	uintptr_t *frame = __builtin_frame_address(0);

	while (frame && fiber->value++ < 1000) {
		if ((char *)frame < fiber->low ||
		    (char *)frame >= fiber->low + SIZE)
			break;
		frame = (uintptr_t *)*frame;
	}
	fiber->seen = (uintptr_t)frame;
	leave_for_good(fiber);
}

Test(context, frame_pointers_end_at_the_base, .init = start)
{
	struct fiber fiber;

	fiber_init(&fiber, walker);
	memset(fiber.low, 0xaa, SIZE);
	context_make(&fiber.context, fiber.low, SIZE, walker, &fiber);
	context_switch(&here, &fiber.context);
	cr_assert_eq(fiber.seen, 0);
	cr_assert_geq(fiber.value, 2);
	cr_assert_leq(fiber.value, 3);
	fiber_fini(&fiber);
}

#endif
