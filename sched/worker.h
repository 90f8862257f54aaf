/* SPDX-License-Identifier: MIT */
/*
 * worker - a thread of the engine, and the crew of all of them
 *
 * A worker runs tasks one after the other, on stacks of the pool. A task that
 * has to wait calls worker_block(): its stack stays as it is, and the worker
 * goes on with a fresh one. A turn that never waits pays nothing for this.
 */
#ifndef ROTA_SCHED_WORKER_H
#define ROTA_SCHED_WORKER_H

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <atomic_ops.h>

#include "sched/arrange.h"
#include "sched/chance.h"
#include "sched/clock.h"
#include "sched/clockwork.h"
#include "sched/context.h"
#include "sched/home.h"
#include "sched/idle.h"
#include "sched/memory.h"
#include "sched/nest.h"
#include "sched/nodes.h"
#include "sched/park.h"
#include "sched/place.h"
#include "sched/queue.h"
#include "sched/relief.h"
#include "sched/roster.h"
#include "sched/spill.h"
#include "sched/stack.h"
#include "sched/task.h"
#include "sched/wait.h"

struct crew;
struct drive;

/* The inbox of a worker that sleeps, or is about to; of one that is to look
   around before its next turn. No stacks' addresses. */
#define INBOX_ASLEEP ((AO_t)1)
#define INBOX_LOOK ((AO_t)2)

/* A worker looks at its wheel, its descriptors and the shared list this often,
   in turns, however busy it is; more often if its turns are long. */
#define WORKER_LOOK_AROUND 61
#define WORKER_LOOK_NS 500000

/*
 * How often in a row the run-next slot may be served while others wait: more
 * and a pair that plays ping-pong keeps everybody else from running.
 */
#define WORKER_MAX_DIRECT 3
/* Callers below one task; see call.h. */
#define WORKER_MAX_CALLERS 4

/* A thief's stay with fresh tasks that it stole, until it runs out of work. */
struct spread {
	struct worker *victim; /* NULL: none */
	AO_t turns;	       /* xturns at its beginning */
	uint64_t ticks;
	AO_t reckoned_ns; /* per turn, by the victim */
};

/* A thief's stay with a forked task that it stole, likewise. */
struct visit {
	struct worker *victim; /* NULL: none */
	uint64_t ticks;
};

/* A stack that is being left; see stand.h. */
struct departure {
	struct stack *stack;
	bool (*publish)(struct worker *worker, void *context); /* NULL: none */
	void *context;
};

struct worker {
	/* The owner's while xbusy is 1: see hand.c. */
	AO_t xnext; /* struct task * in the run-next slot; others may look
	               whether there is one: relaxed */
	AO_t xheld; /* likewise: not 0 if there is something to take away */
	AO_t xbusy; /* 1: in engine code; 0: in user code */

	/* The owner's alone. */
	struct stack *stack;	    /* the one that runs */
	struct stack *pinned_first; /* ended waits that stand on this thread;
	                               xn_pinned of them */
	struct stack *pinned_last;
	struct stack *retired; /* left for good, not put back yet */
	struct stack *spare;   /* for the next worker_block() */
	struct stack *caller; /* of the task that runs, and so on; see call.h */
	AO_t xn_callers;      /* how many; relaxed, others may look */
	struct task *called;  /* to be run by the loop on the spare */
	struct departure leaving;
	AO_t stretch_turn;	/* of xturns: that turn is timed, see stand.c */
	uint64_t stretch_since; /* ticks */
	struct worker *robbed;	/* whom we stole from last */
	struct spread spread;	/* what came of the last fresh ones we stole */
	struct visit visit;	/* ... and of the last forked ones */
	uint32_t n_forked;	/* while the nest was empty */
	uint64_t served_oldest_ns; /* when we took from the spill's old end */
	struct crew *crew;
	uint32_t direct_left; /* turns in a row from the slot, until the others
	                         have theirs; see next_task() */
	uint32_t pushes;      /* into the ring, for every 16th */
	uint32_t countdown;   /* the turn that looks around is that at which it
	                       becomes 0 */
	uint32_t stride;      /* what it was after the last look */
	uint32_t n_vain;      /* looks for work that others saw too */
	uint32_t n_looks;     /* around, for every 8th */
	unsigned number;
	unsigned seat;	  /* the place that the thread is bound to */
	unsigned node;	  /* of the crew's, there */
	uint64_t left_ns; /* when it became no member */
	bool is_member;	  /* of the idle list: takes tasks */
	bool is_searching;
	bool nest_waits;     /* what lies there: it is the ring's turn */
	bool may_call;	     /* see call.h; constant */
	bool has_hand;	     /* the two words above can be had by others */
	bool chooses_tasks;  /* chance.chooses_tasks, at hand */
	bool spare_has_loop; /* a loop of ours stands on the spare, between two
	                        tasks; if there is a spare */
	struct home *home;   /* it runs the tasks that live here, and no others;
	                      NULL: whatever comes, see home.h */

	/* Written by the owner, read by others. */
	_Alignas(CACHE_LINE) AO_t xturns; /* counts worker_step()s: relaxed, a
	                                     sign of life */
	AO_t xwaits; /* statistics, relaxed, like the next two */
	AO_t xsteals;
	AO_t xwakeups;
	AO_t xblocked;	/* 1: its turn said that it blocks; relaxed, found out
	                   with or without */
	AO_t xn_pinned; /* likewise */
	AO_t xmean_ns;	/* of what lies in the ring, estimated;
	                             relaxed */
	struct queue queue;
	struct spill spill; /* what did not fit there */
	struct nest nest;   /* forked by the tasks that run here */

	/* Written by others. */
	_Alignas(CACHE_LINE) AO_t
		xspread_price; /* doublings of what fresh tasks of ours cost to
	                          move: raised and lowered by thieves, lowered
	                          by the monitor; an estimate, relaxed */
	AO_t xfork_price; /* doublings of how many forks it takes until somebody
	                     is woken for them; likewise */
	_Alignas(CACHE_LINE) AO_t xinbox; /* struct stack * chain whose waits
	                                     have ended, or one of INBOX_...;
	                                     pushed by anyone, taken by the
	                                     owner */
	AO_t xduty;	/* enum duty; written under the roster's lock, read
	                   by anyone as a hint */
	AO_t xplace;	/* where it is to sit; likewise */
	AO_t xrevoked;	/* 1: somebody has its hand in ours */
	AO_t xstuck_at; /* value of xturns at which the monitor saw it
	                             stand still: a hint to thieves to help
	                             themselves, and to the turn to end; relaxed,
	                             loses its force with the next turn */

	_Alignas(CACHE_LINE) struct clockwork clockwork;
	struct park park;
	struct stack_cache stacks;
	struct context thread;	    /* the OS thread's own stack */
	void (*loop)(void *worker); /* where its stacks begin */
	uint32_t n_standing; /* stacks whose wait has not ended, or which have
	                        not gone on yet; the owner's alone */
	pthread_t pthread;
	uint8_t *price;	 /* per victim: shift on the cost of moving */
	bool is_started; /* there is a thread to be joined */
	bool is_spare;
	bool has_park;
	AO_t xended; /* there is no thread, or this was its last word */

	/* The monitor's, see relief_tick(). */
	AO_t still_turns;
	uint64_t still_since_ns;
	uint64_t ask_at_ns; /* whether it is asleep, in a crowd */
	AO_t xthread; /* the kernel's number of its thread, 0: not known; relaxed */
	AO_t xlost;   /* it has been in its turn for too long; relaxed */
	AO_t xasleep; /* lost, and the kernel had its thread asleep; relaxed */
};

/* The options of a crew. */
struct crew_options {
	unsigned n_workers; /* 0: as arrange.h says */
	bool each_thread;   /* these three as in arrange.h */
	bool unbound;
	const char *topology;
	size_t stack_size;
	struct budget *budget; /* for stacks; NULL: no limit */
	unsigned max_spares; /* threads that may take the place of stuck ones */
	const char *root;    /* of the quota's files, as in arrange.h */
	uint64_t seed;
	const char *name; /* threads are called NAME-what; up to 7 bytes; NULL:
	                     "rota" */
	size_t worker_size; /* sizeof the structure that begins with struct
	                        worker; a multiple of CACHE_LINE */
	/* A worker was made, by whichever thread; nobody sees it yet. May be
	   NULL. */
	void (*dress)(struct worker *worker);
	/* A worker is about to sleep: nothing is runnable as far as it sees. */
	void (*rest)(struct worker *worker);
	/* The worker looks around: every so often, between two turns. May be
	   NULL. */
	void (*look)(struct worker *worker);
	/*
	 * The worker has not moved for a tick: what it holds back of its turn
	 * is to go out, by the monitor's thread. Its hand is seized. May be
	 * NULL.
	 */
	void (*revoke)(struct worker *worker);
	/* The monitor has ticked; 0: there is no tick until a worker wakes. On
	   the monitor's thread, or that which drives; may be NULL. True: once
	   more, even if all workers sleep by then. */
	bool (*tick)(struct crew *crew, uint64_t now_ns);
	/* There is no tick: how long until this is called again, if there still is
	   none by then; -1: for ever. On the monitor's thread; may be NULL. */
	int64_t (*doze)(struct crew *crew);
	/* What went wrong, or not as wished; from the caller of crew_init() or
	   a worker. NULL: nobody wants to know. */
	void (*say)(struct crew *crew, bool is_error, const char *line);
	bool driven; /* no threads: one worker, which a host drives; see
	                drive.h */
	/* The last worker has left, after the stopper: see crew_release(). */
	void (*abandoned)(struct crew *crew);
};

struct crew {
	struct crew_options options;
	struct places places;
	unsigned capacity;	 /* of the next; never more workers */
	struct worker **workers; /* by number; see crew_slots() */
	AO_t xn_slots;		 /* so many were made: it only grows */
	struct roster roster;
	struct relief relief;
	struct stack_pool stacks;
	struct chance chance;
	struct chance_default chance_storage;
	struct monitor *monitor; /* NULL where a host drives */
	struct drive *drive;	 /* NULL where threads do */
	_Alignas(CACHE_LINE) struct idle idle;
	_Alignas(CACHE_LINE) struct nodes nodes;
	AO_t xstopping; /* set once by crew_stop(), read by workers */
	AO_t xlate;	/* 1: the clockwork of one that stands still wants to be
	                   served: set by the monitor at each tick, cleared by
	                   whoever does it; a hint, relaxed */
	bool has_stacks;
	bool can_revoke;   /* the kernel has membarrier() */
	unsigned xpresent; /* futex: threads of workers, and the stopper */
	AO_t xoutsiders;   /* threads of no worker of this crew that are waking
	                    one of its workers; crew_fini() waits for 0 */
	AO_t xunbound;	   /* workers that could not be bound */
	AO_t xforeign_wakeups; /* by threads that are no workers, and by homes; a
				  statistic */
};

/* 0 or -EINVAL, -ENOMEM, -EMFILE, -EAGAIN. No thread runs on failure. */
int crew_init(struct crew *crew, const struct crew_options *options);

/* Let the threads go. */
int crew_start(struct crew *crew);

/*
 * Workers that were made so far: those below are in crew->workers, for as long
 * as the crew. Not all of them have a thread or take tasks.
 */
static inline unsigned crew_slots(const struct crew *crew)
{
	/* [S4] pairs with crew_add_worker(): they are complete */
	return (unsigned)AO_load_acquire(&crew->xn_slots);
}

/*
 * For roster.c and home.c, under the roster's lock: make one more worker,
 * without a thread, at a place; @home: see there. 0, -ENOMEM, -EMFILE.
 */
int crew_add_worker(struct crew *crew, unsigned place, bool is_spare,
		    struct home *home, struct worker **made);

/* Likewise: begin its thread. 0, -EAGAIN, -ENOMEM. Join it: it is about to end. */
int crew_start_worker(struct worker *worker);
void crew_join_worker(struct worker *worker);

/* The calling thread is one of the crew's own: a worker's, or the monitor's. */
void crew_own_thread(const struct crew *crew);

/* Is it? Also before it is, and after it was, a worker; the crew is not looked
   at. NULL: is it of any? */
bool crew_owns_thread(const struct crew *crew);

/* Tell whoever listens to the crew. */
void crew_say(struct crew *crew, bool is_error, const char *line);

/* Bind the calling thread to a place. */
void crew_sit(struct crew *crew, struct worker *worker, unsigned place);

/*
 * Make workers end once they find nothing to run, and wait for that.
 * Returns how many have not ended within that time.
 */
unsigned crew_stop(struct crew *crew, int64_t within);

/*
 * The stopper is done with the crew. True if all workers have left: then it is
 * the caller's to crew_fini(); else the last worker calls options.abandoned().
 */
bool crew_release(struct crew *crew);
void crew_fini(struct crew *crew);

/* The calling thread's worker, of whichever crew; NULL for other threads. */
extern __thread struct worker *worker_current
	__attribute__((tls_model("initial-exec")));

/* The body of a worker's thread; returns when the crew stops. */
void worker_enter(struct worker *worker);

/* ---- for the running worker ---- */

enum worker_step { STEP_RAN, STEP_IDLE };

/* Run one task. May return on another stack than it was called on. */
enum worker_step worker_step(struct worker *worker);

/*
 * Before the wait of worker->stack begins: see to it that worker_block() will
 * not fail. 0, or -ENOMEM if there is no stack.
 */
int worker_prepare_block(struct worker *worker);

/*
 * Likewise, but a limit on memory does not matter. For a wait that has to be
 * gone through with: one that cannot be given up, and frees what it holds.
 * *took is set if that has taken a stack; then worker_end_beyond() follows, as
 * soon as the wait is over or will not be: nobody else is to use that stack.
 */
int worker_prepare_block_beyond(struct worker *worker, bool *took);
void worker_end_beyond(struct worker *worker);

/*
 * Leave this stack until its wait has ended (wait of worker->stack, begun by
 * the caller), or until @deadline_ns (CLOCK_NEVER: none), which ends it with
 * -ETIMEDOUT. Needs worker_prepare_block(). In the hand. Returns on the same OS
 * thread.
 */
void worker_block(struct worker *worker, struct wait_ticket ticket,
		  uint64_t deadline_ns);

/*
 * For a loop that does not sleep itself. The worker has found nothing to run:
 * it counts as asleep from now on, as of a time at which nothing was to be seen;
 * whoever makes something runnable afterwards wakes its park. *until_ns: when
 * its next alarm is due. False: there is something after all.
 */
bool worker_lie_down(struct worker *worker, uint64_t *until_ns);
void worker_get_up(struct worker *worker);

/* First of all in a loop: the stack that was left for this one is free, or
   stands and is to be told of. */
void worker_see_to_left(struct worker *worker);

static inline void worker_put_retired(struct worker *worker)
{
	if (unlikely(worker->retired != NULL ||
		     worker->leaving.publish != NULL))
		worker_see_to_left(worker);
}

/* ---- for stand.c ---- */

/* This stack is being left: it is the next spare, or to be put back. @has_loop:
   what stands on it is this worker's loop, between two tasks. */
void worker_retire(struct worker *worker, struct stack *left, bool has_loop);

/* The spare is the stack that runs, as soon as the caller switches to it: to the
   loop that stands there, or to the beginning of a new one. */
struct stack *worker_use_spare(struct worker *worker);

/* Until somebody switches back to this stack, with all of its turn on it. */
static inline void worker_leave_standing(struct worker *worker)
{
	struct stack *stack = worker->stack;

	stack->saved_errno = errno;
	worker->n_standing++;
	context_switch(&stack->context, &worker_use_spare(worker)->context);
	worker->n_standing--;
	errno = stack->saved_errno;
	worker_put_retired(worker);
}

/* worker->leaving is left: tell of it. */
void worker_publish(struct worker *worker);

/* This stack, which stands on the worker's thread, can go on. */
void worker_pin(struct worker *worker, struct stack *stack);

/* wait.wake of a stack: puts it where its worker finds it. */
void worker_wake_stack(struct wait *wait);

/* A task of this class took so long. */
void worker_note_time(struct task_class *class, AO_t ns);

/* ---- for any thread ---- */

/* Make a task runnable from outside; wakes a worker if need be. */
void crew_inject(struct crew *crew, struct task *task);

/* Set an alarm at a worker; wakes it if it would sleep longer than that. It may
   ring on another worker, if this one stands still then. */
void worker_set_alarm(struct worker *worker, struct alarm *alarm,
		      uint64_t when_ns);

/*
 * A worker that will ring an alarm, whichever thread sets it; @hint says where
 * to begin. Its wheel is claimed: see clockwork_unclaim().
 */
struct worker *crew_choose_for_alarm(struct crew *crew, AO_t hint);

/*
 * The monitor: have a worker that stands still look around as soon as its turn
 * is over. Lost if something else comes into its inbox: there is a next tick.
 */
void worker_nudge(struct worker *worker);

/* Wake somebody to look for work; @force: even if others are looking. */
void crew_wake_one(struct crew *crew, struct worker *self, bool force);

/* Who is none of the crew's workers: wake somebody near one that has work for
   others, even if others are looking; or somebody of a node for what lies in
   its list. */
void crew_wake_for(struct crew *crew, const struct worker *worker);
void crew_wake_at(struct crew *crew, unsigned node, bool force);

/*
 * What a worker has in hand (the run-next slot, the chain of its turn, the turn
 * itself) is invisible to others, and so it must be possible to take it away
 * when the turn does not end: hand.h. So the owner says when it is at it. All of
 * its loop is; user code that it calls is not: the loop steps out to call it. A
 * call that user code makes enters the hand for as long as it touches the turn,
 * and leaves it as it was.
 * In the hand nothing waits for anything but a spin lock. Order: the hand comes
 * before any such lock.
 */
void worker_await_hand(struct worker *worker);

/* The user's function has returned; or a stack's loop begins. */
static inline void worker_step_in(struct worker *worker)
{
	/* Relaxed: the barrier of who seizes orders it before the load. */
	AO_store(&worker->xbusy, 1);
	AO_compiler_barrier();
	/* [H1] pairs with hand_release(): what was taken is gone */
	if (unlikely(AO_load_acquire(&worker->xrevoked) != 0))
		worker_await_hand(worker);
}

/* The same for user code that would rather not wait: false, and it is as before,
   if somebody has a hand in ours. */
static inline bool worker_try_step_in(struct worker *worker)
{
	/* Relaxed: see worker_step_in(). */
	AO_store(&worker->xbusy, 1);
	AO_compiler_barrier();
	/* [H1] pairs with hand_release(): what was taken is gone */
	if (likely(AO_load_acquire(&worker->xrevoked) == 0))
		return true;
	AO_store_release(&worker->xbusy, 0); /* [H1] nothing was touched */
	return false;
}

/* Right before the user's function is called. */
static inline void worker_step_out(struct worker *worker)
{
	/* [H1] pairs with hand_seize(): what it takes is complete */
	AO_store_release(&worker->xbusy, 0);
}

/* Is this engine code of the loop, or user code (which is 0)? */
static inline AO_t worker_is_in_hand(const struct worker *worker)
{
	/* Relaxed: the owner's own. */
	return AO_load(&worker->xbusy);
}

/* What worker_leave_hand() is to leave. */
static inline AO_t worker_enter_hand(struct worker *worker)
{
	AO_t was = worker_is_in_hand(worker);

	/* Relaxed, and the next: see worker_step_in(). */
	AO_store(&worker->xbusy, 1);
	AO_compiler_barrier();
	/* [H1] pairs with hand_release(). If we were in it, they let go. */
	if (unlikely(AO_load_acquire(&worker->xrevoked) != 0) && !was)
		worker_await_hand(worker);
	return was;
}

static inline void worker_leave_hand(struct worker *worker, AO_t was)
{
	/* [H1] pairs with hand_seize(): what it takes is complete */
	AO_store_release(&worker->xbusy, was);
}

/* What a task of this class is expected to take. */
static inline AO_t class_expected_ns(const struct task_class *class)
{
	/* Relaxed: an estimate. */
	AO_t mean = AO_load(&class->xmean_ns);

	return mean ? mean : TASK_UNKNOWN_NS;
}

static inline AO_t task_expected_ns(const struct task *task)
{
	return class_expected_ns(task->class);
}

/* Longer tasks do not go through the run-next slot, where no thief sees them. */
#define DIRECT_MAX_NS 5000

/* Owner: make a task runnable, behind all others. */
void worker_push_last(struct worker *worker, struct task *task);

/* The same without a word to anyone: a mark, which is no work for a thief. */
void worker_push_quietly(struct worker *worker, struct task *task);

/* Owner: a chain of tasks that were queued elsewhere before, into the ring as
   far as there is room, ahead of what has spilled from it. */
void worker_admit(struct worker *worker, struct task *first);
void worker_displace_next(struct worker *worker, struct task *task);

/* Owner: likewise, a task that may be run by any worker, where this one need not
   be such a worker itself. */
static inline void worker_push_any(struct worker *worker, struct task *task)
{
	if (likely(!worker->home))
		worker_push_last(worker, task);
	else
		home_push_out(worker, task);
}

/*
 * Owner: make a task runnable that the running one has forked and will wait
 * for. It may be had again by nest_take(worker->nest, key). False: no room.
 */
bool worker_fork(struct worker *worker, struct task *task, AO_t key);

/*
 * Owner: would others have to wait if the running task, which has run for a
 * while, went on with what it forked? Then it should block instead.
 */
bool worker_should_make_way(struct worker *worker);

/*
 * Owner: make a task runnable that the running one has just woken. A short one
 * runs next, and nobody is woken for it.
 */
static inline void worker_push_next(struct worker *worker, struct task *task)
{
	/* Relaxed: only the owner makes it other than 0. */
	if (likely(AO_load(&worker->xnext) == 0 && worker->has_hand &&
		   task_expected_ns(task) <= DIRECT_MAX_NS)) {
		AO_t was = worker_enter_hand(worker);

		/* Relaxed: [H1] orders. */
		AO_store(&worker->xnext, (AO_t)task);
		worker_leave_hand(worker, was);
	} else {
		worker_displace_next(worker, task);
	}
}

/* The same, called from user code that the loop has called. */
static inline void worker_push_next_outside(struct worker *worker,
					    struct task *task)
{
	/* Relaxed: only the owner makes it other than 0. */
	if (likely(AO_load(&worker->xnext) == 0 && worker->has_hand &&
		   task_expected_ns(task) <= DIRECT_MAX_NS &&
		   worker_try_step_in(worker))) {
		/* Relaxed: [H1] orders. */
		AO_store(&worker->xnext, (AO_t)task);
		worker_step_out(worker);
	} else {
		worker_displace_next(worker, task);
	}
}

/* How many tasks wait in its queues, as anyone sees it. */
static inline AO_t worker_backlog(const struct worker *worker)
{
	return queue_length(&worker->queue) + spill_length(&worker->spill);
}

/* How many turns whose waits have ended stand on its thread, likewise. */
AO_t worker_n_ended(const struct worker *worker);

/* Which of the crew's nodes it sits on. */
static inline unsigned worker_node(const struct worker *worker)
{
	/* Relaxed: which list is looked at first. */
	return worker->crew->nodes.of_worker[AO_load(&worker->xplace)];
}

/* Has the monitor seen this worker in its present turn for a tick or more? */
static inline bool worker_is_stuck(const struct worker *worker)
{
	/* Relaxed: hints both. */
	return AO_load(&worker->xstuck_at) == AO_load(&worker->xturns);
}

/* Owner: add to a statistic. */
static inline void worker_count(AO_t *xcounter, AO_t n)
{
	/* Relaxed: only the owner writes. */
	AO_store(xcounter, AO_load(xcounter) + n);
}

static inline uint64_t crew_now_ns(struct crew *crew)
{
	return crew->chance.now_ns(crew->chance.context);
}

/*
 * Call a thread NAME-what, as ps, perf and debuggers show it; 15 bytes are shown.
 * It does so itself, for what runs there first, and so does who has made it, for
 * whoever looks as soon as the call has returned.
 */
void crew_name_thread(const struct crew *crew, pthread_t thread,
		      const char *what);

/* See clock_deadline(). */
static inline uint64_t crew_deadline(struct crew *crew, int64_t within)
{
	return clock_deadline(crew_now_ns(crew), within);
}

#endif
