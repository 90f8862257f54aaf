/* SPDX-License-Identifier: MIT */
/*
 * drive - runs the one worker of a crew without threads, on a host's thread
 *
 * Problem:    a program that has a loop of its own wants no threads beside it:
 *             it runs the engine in between, and sleeps for both in one poll().
 * Approach:   worker_step() in a loop of another kind. Like a thread's it
 *             stands on a stack of the pool, so that a turn that waits keeps
 *             none of the host's frames; where a thread's loop would sleep, or
 *             when its share is used up, it switches back to the host's stack,
 *             between two tasks, and the next run goes on from there.
 *             The worker sleeps while the host does: it is in the list of
 *             sleepers, its inbox says ASLEEP, its alarms are in a timerfd. To
 *             others it looks like any sleeping worker, and they wake it in the
 *             same way, by its eventfd; the epoll around both is the host's
 *             descriptor. If a run ends before that, the eventfd is written by
 *             ourselves.
 *             No wake-up is lost: what has been said so far is taken out of
 *             the epoll before the worker counts as asleep, and only then it
 *             looks. A wake-up that was taken out came after its task, which
 *             that look sees; one that comes later stays in the epoll. So the
 *             descriptor is readable too often at times, and never too rarely.
 *             Stacks that wait go on on the thread where they stood. So
 *             another thread may take over only while there is none; then it
 *             begins the loop's stack anew, for the compiler may keep addresses
 *             of thread-locals there.
 *             The monitor has nothing to do here but its tick for others: that
 *             is called between turns, and when nothing is left, until it has
 *             nothing left either. Threads of homes (home.h), which run whether
 *             anybody drives or not, call it before they sleep, too.
 * Rejected:   the loop on the host's stack (a waiting turn would keep the
 *             host's frames); a crew that belongs to one thread for good (a
 *             runtime that drives from whichever of its threads polls could
 *             not use it, and a thread that has ended would take the crew with
 *             it); reading the eventfd (a system call more).
 * Orderings:  [R1] drive_give() -> drive_take(): all that is the driver's.
 *             [S2] see crew.c. What makes the worker sleep are the
 *             read-modify-writes of worker_lie_down(), as for threads.
 */
#include "sched/drive.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>

#define TICK_TICKS (clock_ticks_per_1024ns() * 1000) /* 1 ms */
#define CLOCK_STRIDE 8 /* turns between two looks at the clock */

/* ---- whose it is ---- */

/* Threads have numbers that no later one gets. */
static AO_t thread_number(void)
{
	static AO_t xlast;
	static __thread AO_t own __attribute__((tls_model("initial-exec")));

	if (unlikely(own == 0))
		/* Relaxed: different ones, no more. */
		own = AO_fetch_and_add1(&xlast) + 1;
	return own;
}

bool drive_is_mine(const struct crew *crew)
{
	/* Relaxed: see struct drive. */
	return AO_load(&crew->drive->xthread) == thread_number();
}

static bool change(struct drive *drive, enum drive_state from,
		   enum drive_state to)
{
	/* [R1] pairs with itself: what was done before a FREE is seen after */
	return AO_int_compare_and_swap_full(&drive->xstate, from, to);
}

/* It is taken: may this thread keep it? */
static bool take_over(struct crew *crew)
{
	struct drive *drive = crew->drive;

	if (drive_is_mine(crew))
		return true;
	if (crew->workers[0]->n_standing > 0)
		return false;
	drive->is_fresh = true;
	/* Relaxed: see struct drive. */
	AO_store(&drive->xthread, thread_number());
	return true;
}

enum drive_take drive_take(struct crew *crew)
{
	struct drive *drive = crew->drive;

	while (!change(drive, DRIVE_FREE, DRIVE_TAKEN)) {
		/* If we drove last, who has it is in take_over(). */
		if (!drive_is_mine(crew) ||
		    /* Relaxed: it does not change any more. */
		    AO_int_load(&drive->xstate) == DRIVE_ABANDONED)
			return DRIVE_BUSY;
		sched_yield();
	}
	if (take_over(crew))
		return DRIVE_OURS;
	drive_give(crew);
	return DRIVE_ELSEWHERE;
}

/* ---- asleep ---- */

bool drive_tick(struct crew *crew, uint64_t now_ns)
{
	struct drive *drive = crew->drive;
	bool again;

	if (!crew->options.tick)
		return false;
	pthread_mutex_lock(&drive->tick_lock);
	again = crew->options.tick(crew, now_ns);
	pthread_mutex_unlock(&drive->tick_lock);
	return again;
}

/*
 * The last tick before the worker sleeps, as the monitor's: true if another is
 * needed, or if this one has made something runnable.
 */
static bool tick_finds_work(struct worker *worker)
{
	return drive_tick(worker->crew, 0) || worker->pinned_first ||
	       /* Relaxed: the owner's own. */
	       AO_load(&worker->xnext) != 0 || worker_backlog(worker) > 0;
}

/* Nothing is left to be run: from here on the descriptor says if there is. */
static bool fall_asleep(struct worker *worker, struct drive *drive)
{
	uint64_t until_ns;

	park_sleep(&worker->park, 0); /* first: see the top */
	drive->is_signalled = false;
	if (tick_finds_work(worker) || !worker_lie_down(worker, &until_ns))
		return false;
	park_arm(&worker->park, until_ns);
	drive->is_asleep = true;
	drive->is_woken = false;
	return true;
}

static void get_up(struct worker *worker, struct drive *drive)
{
	drive->is_asleep = false;
	worker_get_up(worker);
}

void drive_sleep(struct crew *crew, int64_t within)
{
	park_sleep(&crew->workers[0]->park,
		   within == CLOCK_FOREVER ? -1 : within);
	crew->drive->is_woken = true;
}

/* ---- the loop ---- */

/* As often as a monitor would. */
static void tick(struct crew *crew, uint64_t now_ticks)
{
	struct drive *drive = crew->drive;

	if (now_ticks - drive->tick_ticks < TICK_TICKS)
		return;
	drive->tick_ticks = now_ticks;
	drive_tick(crew, crew_now_ns(crew));
}

static __attribute__((noinline)) bool clock_says_enough(struct worker *worker,
							struct drive *drive)
{
	uint64_t now_ticks = clock_ticks();

	drive->until_look = CLOCK_STRIDE - 1;
	tick(worker->crew, now_ticks);
	return drive->end_ticks != 0 && now_ticks >= drive->end_ticks;
}

bool drive_should_make_way(struct crew *crew)
{
	const struct drive *drive = crew->drive;
	uint64_t now_ticks = clock_ticks();

	return now_ticks - drive->tick_ticks >= TICK_TICKS ||
	       (drive->end_ticks != 0 && now_ticks >= drive->end_ticks);
}

static inline bool is_used_up(struct worker *worker, struct drive *drive)
{
	/* Relaxed: the owner's own. */
	if (AO_load(&worker->xturns) - drive->first_turn >= drive->n_turns)
		return true;
	return unlikely(drive->until_look-- == 0) &&
	       clock_says_enough(worker, drive);
}

/* To the host, until the next run; or for ever. */
static void leave(struct worker *worker)
{
	struct stack *stack = worker->stack;

	context_switch(&stack->context, &worker->thread);
}

/* Where every pool stack of this worker begins. */
static void drive_loop(void *argument)
{
	struct worker *worker = argument;
	struct drive *drive = worker->crew->drive;

	worker_step_in(worker);
	worker_put_retired(worker);
	for (;;) {
		if (unlikely(drive->is_asleep))
			get_up(worker, drive);
		if (unlikely(is_used_up(worker, drive)))
			leave(worker);
		else if (worker_step(worker) == STEP_IDLE &&
			 !worker->pinned_first && fall_asleep(worker, drive))
			leave(worker);
	}
}

/* ---- runs ---- */

static void begin_run(struct worker *worker, struct drive *drive, AO_t n_turns,
		      uint64_t end_ticks)
{
	struct stack *stack = worker->stack;

	/* Relaxed: the owner's own. */
	drive->first_turn = AO_load(&worker->xturns);
	drive->n_turns = n_turns;
	drive->end_ticks = end_ticks;
	if (end_ticks != 0)
		drive->until_look = 1; /* after the first turn */
	if (drive->is_fresh) {
		context_make(&stack->context, stack->low, stack->size,
			     drive_loop, worker);
		worker->spare_has_loop = false;
	}
	drive->is_fresh = false;
}

bool drive_run(struct crew *crew, AO_t n_turns, uint64_t end_ticks)
{
	struct worker *worker = crew->workers[0];
	struct drive *drive = crew->drive;
	int saved_errno = errno;

	begin_run(worker, drive, n_turns, end_ticks);
	worker_current = worker;
	tick(crew, clock_ticks());
	context_of_thread(&worker->thread);
	context_switch(&worker->thread, &worker->stack->context);
	worker_current = NULL;
	errno = saved_errno;
	return !drive->is_asleep;
}

/* There may be something to run: the descriptor is to say so. */
static void signal_host(struct worker *worker, struct drive *drive)
{
	if (!drive->is_signalled)
		park_wake(&worker->park);
	drive->is_signalled = true;
}

/* Nobody drives any more. */
static void end_crew(struct crew *crew)
{
	context_forget(&crew->workers[0]->stack->context);
	/* Relaxed: who has taken the crew is the only one that is left. */
	AO_store(&crew->workers[0]->xended, 1);
}

/*
 * The stopper did not wait for us: what is left to be run is, and then we end
 * the crew as its last worker would. But stacks that wait still may be known to
 * other crews; then it stays.
 */
static void end_abandoned(struct crew *crew)
{
	while (drive_run(crew, DRIVE_ALL, 0))
		;
	if (crew->workers[0]->n_standing > 0)
		return;
	end_crew(crew);
	/* [S2] pairs with crew_release() */
	if (AO_int_fetch_and_sub1_full(&crew->xpresent) == 1)
		crew->options.abandoned(crew);
}

void drive_give(struct crew *crew)
{
	struct drive *drive = crew->drive;
	unsigned *state = &drive->xstate;

	if (!drive->is_asleep || drive->is_woken)
		signal_host(crew->workers[0], drive);
	if (change(drive, DRIVE_TAKEN, DRIVE_FREE))
		return;
	if (change(drive, DRIVE_WANTED, DRIVE_FREE))
		futex_wake(state, INT_MAX); /* an address, if it is gone */
	else
		end_abandoned(crew);
}

/* ---- stopping ---- */

/* Another thread drives: wait for it. False: it did not come to an end. */
static bool await_driver(struct drive *drive, int64_t within)
{
	change(drive, DRIVE_TAKEN, DRIVE_WANTED);
	/* Relaxed, in the callee: the change that follows decides. */
	futex_wait(&drive->xstate, DRIVE_WANTED,
		   within == CLOCK_FOREVER ? -1 : within);
	return within > 0 || !change(drive, DRIVE_WANTED, DRIVE_ABANDONED);
}

/* Run to the end what this thread may run. True: all has ended. */
static bool finish(struct crew *crew, uint64_t deadline_ns)
{
	int64_t left;

	for (;;) {
		while (drive_run(crew, DRIVE_ALL, 0))
			;
		if (crew->workers[0]->n_standing == 0)
			return true;
		left = clock_left(crew_now_ns(crew), deadline_ns);
		if (left == 0)
			return false;
		drive_sleep(crew, left);
	}
}

unsigned drive_stop(struct crew *crew, int64_t within)
{
	uint64_t deadline_ns = crew_deadline(crew, within);
	enum drive_take take;

	while ((take = drive_take(crew)) == DRIVE_BUSY)
		if (!await_driver(crew->drive,
				  clock_left(crew_now_ns(crew), deadline_ns)))
			return 1;
	if (take == DRIVE_ELSEWHERE || !finish(crew, deadline_ns)) {
		if (crew->options.say)
			crew->options.say(crew, true,
					  "stop: turns wait on a thread that "
					  "does not drive: all memory of the "
					  "engine stays");
		return 1;
	}
	end_crew(crew);
	/* [S2] pairs with crew_release() */
	AO_int_fetch_and_sub1_full(&crew->xpresent);
	return 0;
}

/* ---- making ---- */

int drive_init(struct crew *crew)
{
	struct worker *worker = crew->workers[0];
	int error = park_add_timer(&worker->park);

	if (error)
		return error;
	crew->drive = calloc(1, sizeof(*crew->drive));
	if (!crew->drive)
		return -ENOMEM;
	pthread_mutex_init(&crew->drive->tick_lock, NULL);
	crew->xpresent++; /* whoever drives */
	worker->xended = 0;
	worker->loop = drive_loop;
	crew->drive->is_fresh = true;
	/* Relaxed: nobody knows it yet. */
	AO_store(&crew->drive->xthread, thread_number());
	/* It does not sleep yet: nobody would wake it. */
	signal_host(worker, crew->drive);
	return 0;
}

void drive_fini(struct crew *crew)
{
	if (crew->drive)
		pthread_mutex_destroy(&crew->drive->tick_lock);
	free(crew->drive);
	crew->drive = NULL;
}
