/* SPDX-License-Identifier: MIT */
/*
 * context - switches a thread between stacks
 */
#ifndef ROTA_SCHED_CONTEXT_H
#define ROTA_SCHED_CONTEXT_H

#include <stddef.h>

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
void context_switch(struct context *from, struct context *to);

#endif
