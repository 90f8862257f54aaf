/* SPDX-License-Identifier: MIT */
/*
 * monitor - a thread that watches the workers while any of them is awake
 *
 * Problem:    a turn that computes for seconds hides the tasks behind it, and
 *             work that thieves declined as too cheap to move may turn out to
 *             stand behind such a turn.
 * Approach:   every worker counts its turns. A worker that is awake and shows
 *             the same count at two ticks gives up its ring: the count is
 *             written where thieves compare it, and one sleeper near it is
 *             woken even if others search; and what it has in hand, which the
 *             monitor takes away. The mark loses its force by itself when the
 *             worker moves on. Each tick wakes one, so where those that are
 *             near get no processor in time, farther ones follow.
 *             While all sleep there is no tick. Who stands above us may want to
 *             be called all the same (crew_options.doze); each time it says
 *             when it wants to be called next, if ever.
 * Rejected:   reading a clock at each turn's start (as dear as a message); a
 *             tick that never stops (an idle engine uses no processor); a fence
 *             in worker_enter_hand() (three times per message).
 *
 * The unparked count, and who sleeps on whom. A worker is counted from the
 * moment on at which somebody picks it (idle_pick(), before it is woken), or it
 * wakes by itself (idle_leave(): its inbox, its wheel, a stop), to idle_enter().
 * Whoever counts the first one tells the monitor:
 *
 *   who counts the first            the monitor, having read 0
 *   1. count 0 -> 1 (idle word)     a. xstate TICKS -> SLEEPS
 *   2. read xstate; if SLEEPS:      b. tell those above that there is no tick
 *      -> TICKS, wake it            c. read the idle word; 0: sleep until
 *                                      xstate is not SLEEPS
 *
 * (Others may do 2, too, to have crew_options.doze asked again: then a..c follow
 * once more.)
 *
 * 1 and c are read-modify-writes of one word, so one of them is first. If 1 is,
 * c reads 1, and the monitor stays awake. If c is, 1 sees all that came before
 * it, and so 2 sees a, or what followed it [N1]; and who looks at the time after
 * 1 sees b. A worker that is asleep again by then costs one tick in vain. So it
 * is with a thread that has retired and ends: it says so before it counts itself
 * off the idle word, and then reads xstate; the monitor looks for such threads
 * after c, or is woken for them.
 *
 * Orderings:  [N1] set_state() -> load_state(), by way of the idle word as above.
 *             [H1] see hand.c.
 */
#include "sched/monitor.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "sched/hand.h"
#include "sched/relief.h"
#include "sched/roster.h"
#include "sched/worker.h"

#define TICK_MIN_NS 100000
/* Two of these, and a wake-up, are to be less than 2 ms: so much later what stands
   behind a turn that computes begins at the latest. */
#define TICK_MAX_NS 750000
#define PRICE_TICKS 11 /* prices of spreading are halved this often: 8 ms */

enum monitor_state { MONITOR_TICKS, MONITOR_SLEEPS, MONITOR_STOPS };

struct monitor {
	struct crew *crew;
	pthread_t thread;
	unsigned xstate; /* futex; enum monitor_state */
	unsigned n_ticks;
	AO_t *seen; /* per worker: its turns at the last tick */
};

static unsigned load_state(struct monitor *monitor)
{
	/* [N1] pairs with set_state() */
	return AO_int_load_acquire(&monitor->xstate);
}

static bool set_state(struct monitor *monitor, unsigned from, unsigned to)
{
	/* [N1] pairs with load_state() */
	return AO_int_compare_and_swap_full(&monitor->xstate, from, to);
}

/* Is this worker in the same turn as at the last tick? */
static bool stands_still(struct monitor *monitor, struct worker *worker)
{
	/* Relaxed: a sign of life. */
	AO_t turns = AO_load(&worker->xturns);
	bool same = turns == monitor->seen[worker->number];

	monitor->seen[worker->number] = turns;
	return same;
}

/*
 * Take away what the worker has in hand: the task of its run-next slot, and
 * what the owner of the engine lets take. True if there was a task.
 */
static bool revoke_hand(struct worker *worker)
{
	struct crew *crew = worker->crew;
	AO_t task;

	/* Relaxed: what is put there later stands still at the next tick. */
	if (!crew->can_revoke ||
	    (AO_load(&worker->xnext) == 0 && AO_load(&worker->xheld) == 0))
		return false;
	if (!hand_seize(worker))
		return false;
	/* Relaxed: [H1] orders. */
	task = AO_load(&worker->xnext);
	/* Relaxed: as above. */
	AO_store(&worker->xnext, 0);
	if (crew->options.revoke)
		crew->options.revoke(worker);
	hand_release(worker);
	if (task)
		nodes_push(&crew->nodes, worker_node(worker),
			   (struct task *)task);
	return task != 0;
}

/* Have others serve its wheel, if something is due there. */
static bool offer_clockwork(struct worker *worker, uint64_t now_ns)
{
	if (!clockwork_is_late(&worker->clockwork, now_ns))
		return false;
	/* Relaxed: a hint; who misses it sees it at the next tick. */
	AO_store(&worker->crew->xlate, 1);
	return true;
}

/* Relaxed throughout: hints, which the worker and thieves check themselves. */
static bool free_stuck(struct worker *worker, uint64_t now_ns)
{
	bool wake;

	/* Relaxed: see above. */
	AO_store(&worker->xstuck_at, AO_load(&worker->xturns));
	wake = revoke_hand(worker);
	wake |= offer_clockwork(worker, now_ns);
	/* If there is nobody else to do it. */
	if (wake || nodes_length(&worker->crew->nodes) > 0)
		worker_nudge(worker);
	return wake || worker_backlog(worker) > 0 ||
	       nest_length(&worker->nest) > 0;
}

/* Moves that cost too much are tried again in the end. Relaxed: estimates. */
static void lower_price(struct worker *worker)
{
	/* Relaxed: see above. */
	AO_t price = AO_load(&worker->xspread_price);

	if (price > 0)
		/* Relaxed: see above. */
		AO_store(&worker->xspread_price, price - 1);
	/* Relaxed: see above. */
	price = AO_load(&worker->xfork_price);
	if (price > 0)
		/* Relaxed: see above. */
		AO_store(&worker->xfork_price, price - 1);
}

/*
 * What stands above us wants to be done per tick; see crew_options.tick. True:
 * it is not finished.
 */
static bool tick_others(struct crew *crew, uint64_t now_ns)
{
	bool again = roster_tick(crew, now_ns);

	again |= relief_tick(crew, now_ns);
	if (crew->options.tick)
		again |= crew->options.tick(crew, now_ns);
	return again;
}

/* One sleeper, near what there is to do. */
static void wake_near(struct crew *crew, const struct worker *stuck)
{
	unsigned node;

	if (stuck) {
		crew_wake_for(crew, stuck);
		return;
	}
	for (node = 0; node < crew->nodes.n; node++)
		if (inject_length(&crew->nodes.of[node]->inject) > 0) {
			crew_wake_at(crew, node, true);
			return;
		}
}

static void tick(struct monitor *monitor)
{
	struct crew *crew = monitor->crew;
	unsigned i, n = crew_slots(crew);
	uint64_t now_ns = crew_now_ns(crew);
	const struct worker *stuck = NULL; /* the first that has work */

	for (i = 0; i < n; i++)
		if (stands_still(monitor, crew->workers[i]) &&
		    free_stuck(crew->workers[i], now_ns) && !stuck)
			stuck = crew->workers[i];
	if (++monitor->n_ticks % PRICE_TICKS == 0)
		for (i = 0; i < n; i++)
			lower_price(crew->workers[i]);
	wake_near(crew, stuck);
	tick_others(crew, crew_now_ns(crew));
}

static void doze(struct monitor *monitor)
{
	struct crew *crew = monitor->crew;
	int64_t pause = -1;

	while (load_state(monitor) == MONITOR_SLEEPS) {
		if (crew->options.doze)
			pause = crew->options.doze(crew);
		futex_wait(&monitor->xstate, MONITOR_SLEEPS, pause);
	}
}

/* Until a worker wakes up, or a stop; not while something is left to be done. */
static void sleep_without_tick(struct monitor *monitor)
{
	if (!set_state(monitor, MONITOR_TICKS, MONITOR_SLEEPS))
		return;
	/* Before the word is read: who wakes after that finds it told that
	   there is no tick. */
	tick_others(monitor->crew, 0);
	/*
	 * [N1] idle_read() is the read-modify-write of the argument above; what
	 * a worker left to be done before it fell asleep is seen, too.
	 */
	if (idle_unparked(idle_read(&monitor->crew->idle)) == 0 &&
	    !tick_others(monitor->crew, 0))
		doze(monitor);
	set_state(monitor, MONITOR_SLEEPS, MONITOR_TICKS);
}

static void *monitor_main(void *argument)
{
	struct monitor *monitor = argument;
	int64_t pause = TICK_MIN_NS;

	crew_own_thread(monitor->crew);
	crew_name_thread(monitor->crew, pthread_self(), "monitor");
	while (load_state(monitor) != MONITOR_STOPS) {
		futex_wait(&monitor->xstate, MONITOR_TICKS, pause);
		/* Relaxed: the read-modify-write in the callee decides. */
		if (idle_unparked(AO_load(&monitor->crew->idle.xword)) == 0) {
			sleep_without_tick(monitor);
			pause = TICK_MIN_NS;
			continue;
		}
		tick(monitor);
		pause += pause / 4;
		if (pause > TICK_MAX_NS)
			pause = TICK_MAX_NS;
	}
	return NULL;
}

void monitor_wake(struct monitor *monitor)
{
	if (load_state(monitor) == MONITOR_SLEEPS &&
	    set_state(monitor, MONITOR_SLEEPS, MONITOR_TICKS))
		futex_wake(&monitor->xstate, 1);
}

struct monitor *monitor_start(struct crew *crew)
{
	struct monitor *monitor = calloc(1, sizeof(*monitor));

	if (!monitor)
		return NULL;
	monitor->crew = crew;
	monitor->seen = calloc(crew->capacity, sizeof(*monitor->seen));
	if (monitor->seen && pthread_create(&monitor->thread, NULL,
					    monitor_main, monitor) == 0) {
		crew_name_thread(crew, monitor->thread, "monitor");
		return monitor;
	}
	free(monitor->seen);
	free(monitor);
	return NULL;
}

void monitor_stop(struct monitor *monitor)
{
	if (!monitor)
		return;
	while (!set_state(monitor, MONITOR_TICKS, MONITOR_STOPS) &&
	       !set_state(monitor, MONITOR_SLEEPS, MONITOR_STOPS))
		spin_pause();
	futex_wake(&monitor->xstate, INT_MAX);
	pthread_join(monitor->thread, NULL);
}

void monitor_free(struct monitor *monitor)
{
	if (!monitor)
		return;
	free(monitor->seen);
	free(monitor);
}
