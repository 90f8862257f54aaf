/* SPDX-License-Identifier: MIT */
/*
 * context - switches a thread between stacks
 */
#ifndef ROTA_SCHED_CONTEXT_H
#define ROTA_SCHED_CONTEXT_H

#include <stddef.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif

/* A switch is instructions of its caller's, where nobody has to be told. */
#if defined(__x86_64__) && defined(__LP64__) && !defined(ROTA_UCONTEXT) && \
	!defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && \
	!__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
#define CONTEXT_INLINE 1
#else
#define CONTEXT_INLINE 0
#endif

/*
 * A suspended stack. errno is not part of it. sp is the only field that a
 * switch needs; the rest tells the sanitizers which stack is which.
 */
struct context {
	void *sp;
	void *fiber; /* ThreadSanitizer's, or NULL */
	union {
		void *fake; /* AddressSanitizer's fake stack while suspended */
		size_t n_lives; /* ... or for how many lives @fiber has served */
	};
	const void *low; /* lowest byte of the stack */
	size_t size;
};

/**
 * context_make() - prepare a stack so that the first switch calls entry(arg)
 * @context: all zero before the first call
 * @low:     lowest byte of the stack, of any alignment
 * @size:    bytes from there; the highest few hold the registers
 *
 * entry() must never return. Backtraces end cleanly below it. It starts with
 * the rounding mode that the caller has now. May be called again on the same
 * context and stack once nothing on it is needed any more, but not by what
 * stands on it.
 */
void context_make(struct context *context, void *low, size_t size,
		  void (*entry)(void *arg), void *arg);

/* Describe the calling thread's own stack, so that it can be left. */
void context_of_thread(struct context *context);

/* Release what the sanitizers hold for a context nobody will resume. */
void context_forget(struct context *context);

/**
 * context_switch() - leave the running stack, resume another
 * @from: filled in; the call returns when somebody switches to it
 * @to:   made by context_make() or left by context_switch(), on this thread
 */
#if CONTEXT_INLINE

extern __attribute__((visibility("hidden"))) struct context *
context_swap(struct context *from, struct context *to);

#ifdef __AVX512F__
#define CONTEXT_HIGH                                                           \
	"xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22",         \
		"xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", \
		"xmm30", "xmm31", "k0", "k1", "k2", "k3", "k4", "k5", "k6",    \
		"k7",
#else
#define CONTEXT_HIGH
#endif

/*
 * context_swap() without a call: processors keep return addresses on a stack of
 * their own, to predict where a ret goes. A call that returns elsewhere leaves
 * one too many there, and the next ret of the stack that is resumed is
 * mispredicted: 8 ns of 68 that an ask took. All that a callee may change is
 * clobbered; 128 bytes below the stack pointer may be in use. Unwinders find the
 * caller by its frame pointer, as the stack pointer is another one here: it is
 * asked for, so that there is one.
 */
static inline __attribute__((always_inline)) void
context_switch(struct context *from, struct context *to)
{
	__asm__ volatile("lea	-128(%%rsp), %%rsp\n\t"
			 "lea	1f(%%rip), %%rcx\n\t"
			 "push	%%rcx\n\t"
			 "jmp	context_swap\n"
			 "1:\n\t"
			 "lea	128(%%rsp), %%rsp"
			 : "+D"(from), "+S"(to)
			 : "r"(__builtin_frame_address(0))
			 : CONTEXT_HIGH "rax", "rcx", "rdx", "r8", "r9", "r10",
			   "r11", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4",
			   "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
			   "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "st",
			   "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)",
			   "st(7)", "memory", "cc");
}

#else

void context_switch(struct context *from, struct context *to);

#endif

#endif
