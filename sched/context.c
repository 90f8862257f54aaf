/* SPDX-License-Identifier: MIT */
/*
 * context - switches a thread between stacks
 *
 * A suspended stack is its stack pointer: all registers that must survive lie
 * at the top of it, in a struct frame that context_swap() of context.S pushes
 * and pops. Where there is no context.S (another architecture, or
 * -DROTA_UCONTEXT) a ucontext_t lies there instead: the same contract, plus a
 * system call per switch for the signal mask.
 *
 * Every switch passes the context that was left to where it arrives. Only the
 * sanitizers need that, but it costs nothing: AddressSanitizer tells the
 * arriving side the bounds of the stack that was left, which is how a
 * context_of_thread() learns its own without asking /proc.
 *
 * A context whose turn was abandoned (killed, or simply made again) keeps its
 * AddressSanitizer fake stack for its next life; no call of its API could
 * destroy it from outside. Frames of the last life are unpoisoned in
 * context_make() and reclaimed after start() has said that nobody returns to
 * them. ThreadSanitizer's fibers cannot be rewound: each life leaves entries
 * on the fiber's stack of calls for the frames that nobody returned from. But
 * to make one costs a millisecond with gcc's, so a few lives share one. No race
 * is hidden by that: whoever makes a stack again has come after its last life,
 * or has raced already for what the pool keeps about it.
 *
 * Rejected:   errno and the signal mask as part of a context: the former
 *             belongs to the turn (stack.h), the latter costs a system call.
 *             Inline asm that lets the compiler save what is live: sanitizer
 *             calls around it make everything live, and unwinders get lost.
 */
#include "sched/context.h"

#include <stdint.h>

#ifdef __has_feature
#define FEATURE(x) __has_feature(x)
#else
#define FEATURE(x) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || FEATURE(address_sanitizer)
#define WITH_ASAN 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#else
#define WITH_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__) || FEATURE(thread_sanitizer)
#define WITH_TSAN 1
#include <sanitizer/tsan_interface.h>
#else
#define WITH_TSAN 0
#endif

#if (defined(__x86_64__) || defined(__aarch64__)) && defined(__LP64__) && \
	!defined(ROTA_UCONTEXT)
#define WITH_ASSEMBLY 1
#else
#define WITH_ASSEMBLY 0
#include <ucontext.h>
#endif

/* Lies at the very top of a stack. context.S calls run(start, from). */
struct start {
	void (*run)(struct start *start, struct context *from);
	struct context *context;
	void (*entry)(void *arg);
	void *arg;
};

#define STACK_ALIGN ((uintptr_t)16)

#if WITH_TSAN
/* Entries of a life: a dozen, more where it was given up; there is room for
   65,536. */
#define FIBER_LIVES 16

static void renew_fiber(struct context *context)
{
	if (context->fiber && ++context->n_lives < FIBER_LIVES)
		return;
	if (context->fiber)
		__tsan_destroy_fiber(context->fiber);
	context->fiber = __tsan_create_fiber(0);
	context->n_lives = 0;
}
#endif

static void sanitize_make(struct context *context)
{
#if WITH_ASAN
	__asan_unpoison_memory_region(context->low, context->size);
#endif
#if WITH_TSAN
	renew_fiber(context);
#endif
	(void)context;
}

static inline void sanitize_arrive(struct context *self, struct context *from)
{
#if WITH_ASAN
	__sanitizer_finish_switch_fiber(self->fake, &from->low, &from->size);
#endif
	(void)self;
	(void)from;
}

static void run(struct start *start, struct context *from)
{
	sanitize_arrive(start->context, from);
#if WITH_ASAN
	__asan_handle_no_return();
#endif
	start->entry(start->arg);
	__builtin_trap();
}

static struct start *place_start(struct context *context, void (*entry)(void *),
				 void *arg)
{
	uintptr_t top = (uintptr_t)context->low + context->size;
	struct start *start;

	start = (struct start *)((top - sizeof(*start)) & ~(STACK_ALIGN - 1));
	start->run = run;
	start->context = context;
	start->entry = entry;
	start->arg = arg;
	return start;
}

#if WITH_ASSEMBLY

/* What context_swap() pushes, lowest address first. */
#ifdef __x86_64__

struct frame {
	uint32_t mxcsr;
	uint16_t x87_control;
	uint16_t unused;
	uint64_t r15, r14, r13, r12, rbx, rbp;
	uint64_t resume;
};

_Static_assert(sizeof(struct frame) == 64, "context.S pushes 64 bytes");

#else

struct frame {
	uint64_t x19, x20_28[9], x29;
	uint64_t resume;
	uint64_t d8_15[8];
	uint64_t fpcr;
	uint64_t unused;
};

_Static_assert(sizeof(struct frame) == 176, "context.S stores 176 bytes");

#endif

_Static_assert(offsetof(struct context, sp) == 0, "context.S knows this");
_Static_assert(offsetof(struct start, run) == 0, "context.S knows this");

#if !CONTEXT_INLINE
extern __attribute__((visibility("hidden"))) struct context *
context_swap(struct context *from, struct context *to);
#endif

extern __attribute__((visibility("hidden"))) void context_start(void);

/* A new stack inherits how the maker's floating point rounds, as a new thread
   does. */
static void frame_init(struct frame *frame, struct start *start)
{
	*frame = (struct frame){.resume = (uintptr_t)context_start};
#ifdef __x86_64__
	frame->rbx = (uintptr_t)start;
	__asm__ volatile("stmxcsr %0" : "=m"(frame->mxcsr));
	__asm__ volatile("fnstcw %0" : "=m"(frame->x87_control));
#else
	frame->x19 = (uintptr_t)start;
	__asm__ volatile("mrs %0, fpcr" : "=r"(frame->fpcr));
#endif
}

static void make_frame(struct context *context, struct start *start)
{
	struct frame *frame = (struct frame *)(void *)start - 1;

	frame_init(frame, start);
	context->sp = frame;
}

#else

/* What context->sp points to. */
struct frame {
	ucontext_t registers;
	struct context *from; /* written by who switches here */
};

static struct context *context_swap(struct context *from, struct context *to)
{
	struct frame *there = to->sp;
	/* Interceptors of AddressSanitizer read uc_stack. */
	struct frame here = {.registers.uc_stack = {.ss_sp = NULL}};

	from->sp = &here;
	there->from = from;
	swapcontext(&here.registers, &there->registers);
	return here.from;
}

/* makecontext() passes nothing but int. */
static void context_start(unsigned high, unsigned low)
{
	uintptr_t address = (uintptr_t)((uint64_t)high << 32 | low);
	struct start *start = (struct start *)address;

	run(start, ((struct frame *)start->context->sp)->from);
}

static void make_frame(struct context *context, struct start *start)
{
	uintptr_t address = (uintptr_t)start - sizeof(struct frame);
	struct frame *frame = (struct frame *)(address & ~(STACK_ALIGN - 1));
	uint64_t word = (uintptr_t)start;

	getcontext(&frame->registers);
	frame->registers.uc_stack.ss_sp = (void *)(uintptr_t)context->low;
	frame->registers.uc_stack.ss_size =
		(size_t)((char *)frame - (const char *)context->low);
	frame->registers.uc_link = NULL;
	makecontext(&frame->registers, (void (*)(void))context_start, 2,
		    (unsigned)(word >> 32), (unsigned)word);
	context->sp = frame;
}

#endif

void context_make(struct context *context, void *low, size_t size,
		  void (*entry)(void *arg), void *arg)
{
	context->low = low;
	context->size = size;
	sanitize_make(context);
	make_frame(context, place_start(context, entry, arg));
}

void context_of_thread(struct context *context)
{
	*context = (struct context){.sp = NULL};
#if WITH_TSAN
	context->fiber = __tsan_get_current_fiber();
#endif
}

void context_forget(struct context *context)
{
#if WITH_TSAN
	if (context->fiber)
		__tsan_destroy_fiber(context->fiber);
#endif
	context->fiber = NULL;
}

#if !CONTEXT_INLINE

static inline void sanitize_leave(struct context *from, struct context *to)
{
#if WITH_ASAN
	__sanitizer_start_switch_fiber(&from->fake, to->low, to->size);
#endif
#if WITH_TSAN
	__tsan_switch_to_fiber(to->fiber, 0);
#endif
	(void)from;
	(void)to;
}

void context_switch(struct context *from, struct context *to)
{
	sanitize_leave(from, to);
	sanitize_arrive(from, context_swap(from, to));
}

#endif
