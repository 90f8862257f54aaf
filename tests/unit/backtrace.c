/* SPDX-License-Identifier: MIT */
/*
 * backtrace - does a profiler see where a handler was called from, and where
 * its stack ends?
 *
 * Both ways that perf has of walking a stack are gone here, from inside a
 * handler: frame pointers (`perf record -g`) and unwind tables (`--call-graph
 * dwarf`, gdb). Either has to begin in the handler and to end at the foot of
 * the stack that the turn runs on, not in what lay there before.
 */
#include <unwind.h>

#include "sched/context.h"
#include "tests/unit/support.h"

#if (defined(__x86_64__) || defined(__aarch64__)) && defined(__LP64__) && \
	!defined(ROTA_UCONTEXT)
#define HAVE_FOOT 1
/* Of context.S. */
extern __attribute__((visibility("hidden"))) void context_start(void);
#else
#define HAVE_FOOT 0
static void context_start(void)
{
}
#endif

#define MAX_FRAMES 64
#define FOOT_BYTES 32 /* context_start() is not longer */

struct trace {
	uintptr_t frame[MAX_FRAMES]; /* return addresses, innermost first */
	size_t n;
	bool has_end; /* the walker says so */
};

struct walk {
	struct trace pointers;
	struct trace tables;
	struct hold hold;
	bool waits; /* before it looks */
};

static void note_frame(struct trace *trace, uintptr_t address)
{
	if (trace->n < MAX_FRAMES)
		trace->frame[trace->n++] = address;
}

/* Frame pointers of both machines: [0] the caller's, [1] where to return. */
__attribute__((noinline, no_sanitize("address", "thread"))) static void
walk_pointers(struct trace *trace)
{
	const uintptr_t *frame = __builtin_frame_address(0);

	while (frame && trace->n < MAX_FRAMES) {
		note_frame(trace, frame[1]);
		frame = (const uintptr_t *)frame[0];
	}
	trace->has_end = !frame;
}

static _Unwind_Reason_Code note_unwound(struct _Unwind_Context *context,
					void *arg)
{
	struct trace *trace = arg;

	/* libgcc shows an end that is declared as a last frame at nowhere. */
	if (_Unwind_GetIP(context) == 0)
		return _URC_NO_REASON;
	note_frame(trace, _Unwind_GetIP(context));
	return trace->n < MAX_FRAMES ? _URC_NO_REASON : _URC_NORMAL_STOP;
}

/* Not a tail call: the handler's frame is to be seen. */
__attribute__((noinline)) static int act_walk(void *arg)
{
	struct walk *walk = arg;

	if (walk->waits)
		act_hold(&walk->hold);
	walk_pointers(&walk->pointers);
	walk->tables.has_end = _Unwind_Backtrace(note_unwound, &walk->tables) ==
			       _URC_END_OF_STACK;
	return 0;
}

static bool is_in(uintptr_t address, uintptr_t function)
{
	return (uintptr_t)_Unwind_FindEnclosingFunction((void *)address) ==
	       function;
}

static void check_trace(const char *how, const struct trace *trace)
{
	uintptr_t foot = (uintptr_t)context_start, last;

	cr_assert(trace->has_end, "%s: no end after %zu frames", how, trace->n);
	/* The handler, what called it, the loop, run(), context_start(). */
	cr_assert_geq(trace->n, 5, "%s: %zu frames", how, trace->n);
	cr_assert(is_in(trace->frame[0], (uintptr_t)act_walk),
		  "%s: does not begin in the handler", how);
	last = trace->frame[trace->n - 1];
	cr_assert(last > foot && last <= foot + FOOT_BYTES,
		  "%s: ends at %#zx, context_start() is at %#zx", how,
		  (size_t)last, (size_t)foot);
}

static void check_walk(struct walk *walk)
{
	check_trace("frame pointers", &walk->pointers);
	check_trace("unwind tables", &walk->tables);
}

Test(backtrace, leads_from_a_handler_to_the_foot_of_its_stack, .timeout = HANG)
{
	static struct walk walk;

	if (!HAVE_FOOT)
		cr_skip_test("ucontext: the foot is the C library's");
	engine_start(2);
	ACTS(puppet_spawn(NULL, 0), act_walk, &walk);
	quiesce();
	check_walk(&walk);
	engine_stop();
}

#define WALKS 32

/* Each on a stack of its own; those that come later use stacks again. */
Test(backtrace, does_so_after_a_wait_and_on_used_stacks, .timeout = HANG)
{
	static struct walk walk[2][WALKS];

	if (!HAVE_FOOT)
		cr_skip_test("ucontext: the foot is the C library's");
	engine_start(2);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < WALKS; i++) {
			walk[round][i].waits = true;
			walk[round][i].hold.gate = puppet_spawn(NULL, 1);
			ACTS(puppet_spawn(NULL, 0), act_walk, &walk[round][i]);
		}
		AWAIT(counters().waits >= (uint64_t)(round + 1) * WALKS);
		for (int i = 0; i < WALKS; i++)
			cr_assert_eq(rota_actor_stop(walk[round][i].hold.gate),
				     0);
		quiesce();
		for (int i = 0; i < WALKS; i++)
			check_walk(&walk[round][i]);
	}
	engine_stop();
}
