/* SPDX-License-Identifier: MIT */
/*
 * worker - runs tasks one after the other, on stacks that may stay behind
 *
 * Problem:    a task may wait in the middle of a C function, and a million may
 *             do so at once; but the many that never wait must not pay.
 * Approach:   the worker's loop itself runs on a stack of the pool and calls
 *             tasks as functions. A task that waits leaves the stack as it is,
 *             with the loop's frame below its own; the worker takes a fresh
 *             stack and starts another loop on it. When the wait has ended the
 *             worker leaves that loop, between two tasks, and switches back;
 *             the task goes on, returns into the old loop, and that one
 *             carries on. The stack that was left is mostly the next one that
 *             is needed: its loop goes on then, and no other is begun. The OS
 *             thread's own stack is left once at the start and seen again at
 *             the end.
 *             A stack resumes on the thread where it stood (C caches the
 *             addresses of thread-locals), so its wake-up goes into that
 *             worker's inbox.
 *             A worker that is off duty (roster.c) runs the same loop. It looks
 *             around at each step, hands over what the turns that stand on it
 *             and its alarms have made runnable, and takes nothing. One that is
 *             home to some tasks (home.c) takes these, and nothing else.
 * Rejected:   a stack per task (two switches per turn, 2 KiB per idle actor);
 *             a loop on the thread's stack that switches to a pool stack for
 *             each task (two switches per turn).
 * Invariants: I1 worker->stack is the stack that runs.
 *             I2 at most one of next, ring, spill, nest, inject, a home's list
 *             holds a task.
 *             I3 a worker sleeps only with INBOX_ASLEEP in its inbox.
 * Orderings:  [B1] wake: inbox CAS -> collect_inbox() CAS: the stack's wait has
 *             ended, and what its winner wrote is seen.
 *             [B2] INBOX_ASLEEP: sleeper's CAS and waker's CAS are on one
 *             word: whoever is second sees the other. INBOX_LOOK likewise.
 *             [H1] see hand.c.
 *             [I1] see idle.c.
 */
#include "sched/worker.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "sched/asleep.h"
#include "sched/call.h"
#include "sched/drive.h"
#include "sched/handover.h"
#include "sched/monitor.h"
#include "sched/steal.h"

__thread struct worker *worker_current;

/* Somebody is at our hand: a few hundred instructions. */
__attribute__((noinline)) void worker_await_hand(struct worker *worker)
{
	do {
		/* [H1] pairs with hand_seize() */
		AO_store_release(&worker->xbusy, 0);
		sched_yield();
		/* Relaxed: see worker_step_in(). */
		AO_store(&worker->xbusy, 1);
		AO_compiler_barrier();
		/* [H1] pairs with hand_release(): what was taken is gone */
	} while (AO_load_acquire(&worker->xrevoked) != 0);
}

/* ---- pushing ---- */

/* Wake somebody if what lies in the ring is worth it. */
static void offer(struct worker *worker)
{
	/* Relaxed: one that comes now looks through all queues. */
	if (AO_load(&worker->crew->idle.xn_members) > 1 &&
	    steal_is_worth_waking(worker))
		crew_wake_one(worker->crew, worker, false);
}

/*
 * Behind all others. Once tasks have spilled, all that come later go there too,
 * or they would overtake them for ever.
 */
static void enqueue(struct worker *worker, struct task *task)
{
	if (likely(spill_length(&worker->spill) == 0 &&
		   queue_push(&worker->queue, task)))
		return;
	/* Relaxed: the owner's own. */
	spill_push(&worker->spill, task, AO_load(&worker->xturns));
}

/*
 * What waits here is expected to take so long, per turn. It falls faster than
 * it rises: among many short turns a long one says little about the next.
 */
static void estimate(struct worker *worker, AO_t n_waiting, AO_t expected)
{
	/* Relaxed: the owner's own; readers want an estimate. */
	AO_t mean = AO_load(&worker->xmean_ns);

	if (n_waiting == 0)
		mean = expected; /* no history */
	else if (expected < mean)
		mean = mean / 2 + expected / 2;
	else
		mean += (expected - mean) / 8;
	/* Relaxed: as above. */
	AO_store(&worker->xmean_ns, mean);
}

void worker_push_last(struct worker *worker, struct task *task)
{
	AO_t expected = task_expected_ns(task);
	AO_t n = worker_backlog(worker);

	if (unlikely(expected >= TASK_HOME_NS)) {
		home_push(task->class->home, task);
		return;
	}
	estimate(worker, n, expected);
	enqueue(worker, task);
	/* When there are 1, 2, 4, 8 ... and at each 16th push. */
	if (unlikely((n & (n + 1)) == 0 || ++worker->pushes % 16 == 0))
		offer(worker);
}

void worker_push_quietly(struct worker *worker, struct task *task)
{
	if (unlikely(worker->home != NULL))
		home_push(worker, task);
	else
		enqueue(worker, task);
}

void worker_displace_next(struct worker *worker, struct task *task)
{
	struct task *previous;
	AO_t was;

	if (task_expected_ns(task) > DIRECT_MAX_NS || !worker->has_hand) {
		if (unlikely(worker->home != NULL))
			home_push_out(worker, task);
		else
			worker_push_last(worker, task);
		return;
	}
	was = worker_enter_hand(worker);
	/* Relaxed: [H1] orders. */
	previous = (struct task *)AO_load(&worker->xnext);
	/* Relaxed: as above. */
	AO_store(&worker->xnext, (AO_t)task);
	worker_leave_hand(worker, was);
	if (previous)
		worker_push_last(worker, previous);
}

/*
 * Somebody is woken when the first task comes into the nest, if that pays; for
 * those that come later whoever searches, or the tick, sees to it.
 */
bool worker_fork(struct worker *worker, struct task *task, AO_t key)
{
	AO_t n = nest_length(&worker->nest);
	uint32_t stride;

	if (unlikely(!nest_push(&worker->nest, task, key)))
		return false;
	/* Relaxed: as in offer(). */
	if (likely(n != 0) || AO_load(&worker->crew->idle.xn_members) == 1)
		return true;
	/* Relaxed: an estimate. */
	stride = (uint32_t)1 << AO_load(&worker->xfork_price);
	if (++worker->n_forked % stride == 0)
		crew_wake_one(worker->crew, worker, false);
	return true;
}

bool worker_should_make_way(struct worker *worker)
{
	if (unlikely(worker->home != NULL))
		return home_length(worker->home) > 0 || worker->pinned_first;
	if (likely(!worker_is_stuck(worker)))
		return false;
	/* Relaxed: hints; what is missed now is seen the next time. */
	return AO_load(&worker->xnext) != 0 || worker_backlog(worker) > 0 ||
	       worker->pinned_first || AO_load(&worker->xinbox) > INBOX_LOOK ||
	       nodes_length(&worker->crew->nodes) > 0 ||
	       clockwork_wants_service(&worker->clockwork);
}

/* ---- waiting ---- */

static struct stack *stack_of(struct wait *wait)
{
	return (struct stack *)((char *)wait - offsetof(struct stack, wait));
}

void worker_pin(struct worker *worker, struct stack *stack)
{
	stack->next = NULL;
	if (worker->pinned_last)
		worker->pinned_last->next = stack;
	else
		worker->pinned_first = stack;
	worker->pinned_last = stack;
	worker_count(&worker->xn_pinned, 1);
}

/* The chain below may be somebody else's by now: then the CAS fails. */
static void count_inbox(struct stack *stack, const struct stack *below)
{
	/* Relaxed: an estimate. */
	unsigned n = below ? AO_short_load(&below->xn_inbox) : 0;

	/* Relaxed: as above. */
	AO_short_store(&stack->xn_inbox, (unsigned short)(n + (n < 65535)));
}

AO_t worker_n_ended(const struct worker *worker)
{
	/* Relaxed: an estimate. */
	AO_t n = AO_load(&worker->xn_pinned);
	/* [B1] pairs with inbox_push(); it may have been taken since: stacks
	   stay stacks. */
	AO_t inbox = AO_load_acquire(&worker->xinbox);

	if (inbox > INBOX_LOOK)
		/* Relaxed: as above. */
		n += AO_short_load(&((struct stack *)inbox)->xn_inbox);
	return n;
}

/*
 * Put an ended wait's stack into the inbox of its worker. True if that sleeps.
 */
static bool inbox_push(struct worker *worker, struct stack *stack)
{
	/* Relaxed: the CAS re-checks it. */
	AO_t old = AO_load(&worker->xinbox);

	for (;;) {
		AO_t seen;

		stack->next = old <= INBOX_LOOK ? NULL : (struct stack *)old;
		count_inbox(stack, stack->next);
		/* [B1] pairs with collect_inbox(), [B2] with fall_asleep() */
		seen = AO_fetch_compare_and_swap_full(&worker->xinbox, old,
						      (AO_t)stack);
		if (seen == old)
			return old == INBOX_ASLEEP;
		old = seen;
	}
}

static __attribute__((noinline)) void wake_elsewhere(struct worker *worker,
						     struct stack *stack)
{
	struct crew *crew = worker->crew;
	bool is_outsider;

	/*
	 * Once the stack is in the inbox its turn may end, and the crew with
	 * it; workers of the crew itself are waited for in any case.
	 */
	is_outsider = !worker_current || worker_current->crew != crew;
	if (is_outsider)
		/* [S3] pairs with crew_fini() */
		AO_fetch_and_add1_full(&crew->xoutsiders);
	if (inbox_push(worker, stack))
		park_wake(&worker->park);
	if (is_outsider)
		/* [S3] pairs with crew_fini() */
		AO_fetch_and_sub1_full(&crew->xoutsiders);
}

void worker_wake_stack(struct wait *wait)
{
	struct stack *stack = stack_of(wait);
	struct worker *worker = stack->holder;

	if (likely(worker == worker_current))
		worker_pin(worker, stack);
	else
		wake_elsewhere(worker, stack);
}

void worker_nudge(struct worker *worker)
{
	/* [B2] pairs with fall_asleep(): it looks again before it sleeps */
	AO_compare_and_swap_full(&worker->xinbox, 0, INBOX_LOOK);
}

/* Move what others put into the inbox to the pinned list, oldest first. */
static void collect_inbox(struct worker *worker)
{
	/* Relaxed: the CAS re-checks it. */
	AO_t old = AO_load(&worker->xinbox);
	struct stack *stack, *older = NULL;

	for (;;) {
		/* [B1] pairs with worker_wake_stack() */
		AO_t seen =
			AO_fetch_compare_and_swap_full(&worker->xinbox, old, 0);

		if (seen == old)
			break;
		old = seen;
	}
	if (old == INBOX_LOOK)
		worker->countdown = 1;
	if (old <= INBOX_LOOK)
		return;
	for (stack = (struct stack *)old; stack;) {
		struct stack *next = stack->next;

		stack->next = older;
		older = stack;
		stack = next;
	}
	for (stack = older; stack;) {
		struct stack *next = stack->next;

		worker_pin(worker, stack);
		stack = next;
	}
}

/* We stand on another stack now: the one we came from is free. */
void worker_see_to_left(struct worker *worker)
{
	if (worker->retired) {
		stack_put(&worker->crew->stacks, &worker->stacks,
			  worker->retired);
		worker->retired = NULL;
	}
	if (unlikely(worker->leaving.publish != NULL))
		worker_publish(worker);
}

void worker_retire(struct worker *worker, struct stack *left, bool has_loop)
{
	if (worker->spare) {
		worker->retired = left;
	} else {
		worker->spare = left;
		worker->spare_has_loop = has_loop;
	}
}

struct stack *worker_use_spare(struct worker *worker)
{
	struct stack *spare = worker->spare;

	worker->spare = NULL;
	worker->stack = spare;
	if (unlikely(!worker->spare_has_loop))
		context_make(&spare->context, spare->low, spare->size,
			     worker->loop, worker);
	return spare;
}

/*
 * Leave this stack, on which only a loop between two tasks stands. Returns if it
 * is the spare that is taken next, with another stack left; else never.
 */
static void resume(struct worker *worker)
{
	struct stack *stack = worker->pinned_first;
	struct stack *left = worker->stack;

	if (worker->is_searching)
		steal_end_search(worker);
	worker->pinned_first = stack->next;
	if (!stack->next)
		worker->pinned_last = NULL;
	worker_count(&worker->xn_pinned, (AO_t)-1);
	worker_retire(worker, left, true);
	worker->stack = stack;
	context_switch(&left->context, &stack->context);
	worker_step_in(worker);
	worker_put_retired(worker);
	if (worker->called)
		worker_run_called(worker);
}

int worker_prepare_block(struct worker *worker)
{
	if (unlikely(worker->caller != NULL))
		worker_release_callers(worker);
	worker->stack->holder = worker;
	worker->stack->wait.wake = worker_wake_stack;
	if (likely(worker->spare != NULL))
		return 0;
	worker->spare = stack_get(&worker->crew->stacks, &worker->stacks);
	worker->spare_has_loop = false;
	return worker->spare ? 0 : -ENOMEM;
}

int worker_prepare_block_beyond(struct worker *worker, bool *took)
{
	if (!worker->spare) {
		worker->spare = stack_get_beyond(&worker->crew->stacks,
						 &worker->stacks);
		worker->spare_has_loop = false;
		*took = worker->spare != NULL;
	}
	return worker_prepare_block(worker);
}

void worker_end_beyond(struct worker *worker)
{
	struct stack_pool *pool = &worker->crew->stacks;

	if (!worker->spare || !budget_is_exceeded(pool->budget))
		return;
	stack_put(pool, &worker->stacks, worker->spare);
	worker->spare = NULL;
	stack_cache_flush(pool, &worker->stacks);
}

/* Until somebody resumes this stack. */
static inline void leave_standing(struct worker *worker)
{
	worker_count(&worker->xwaits, 1);
	worker_leave_standing(worker);
}

static __attribute__((noinline)) void block_until(struct worker *worker,
						  struct wait_ticket ticket,
						  uint64_t deadline_ns)
{
	struct wait_alarm alarm;

	memset(&alarm, 0, sizeof(alarm));
	alarm.ticket = ticket;
	worker_set_alarm(worker, &alarm.alarm, deadline_ns);
	leave_standing(worker);
	clockwork_clear(&worker->clockwork, &alarm.alarm);
}

void worker_block(struct worker *worker, struct wait_ticket ticket,
		  uint64_t deadline_ns)
{
	if (deadline_ns == CLOCK_NEVER)
		leave_standing(worker);
	else
		block_until(worker, ticket, deadline_ns);
}

/* ---- alarms ---- */

void worker_set_alarm(struct worker *worker, struct alarm *alarm,
		      uint64_t when_ns)
{
	if (clockwork_set(&worker->clockwork, alarm, when_ns))
		park_wake(&worker->park);
}

/* On duty, and not in a turn that is known to last. Relaxed: hints. */
static bool suits_for_alarm(const struct worker *worker)
{
	/* Relaxed: see above. */
	return AO_load(&worker->xduty) == DUTY_ACTIVE && !worker->is_spare &&
	       !AO_load(&worker->xblocked);
}

struct worker *crew_choose_for_alarm(struct crew *crew, AO_t hint)
{
	unsigned i, n = crew_slots(crew);

	for (i = 0; i < n; i++) {
		struct worker *worker = crew->workers[(hint + i) % n];

		if (suits_for_alarm(worker) &&
		    clockwork_claim(&worker->clockwork))
			return worker;
	}
	clockwork_claim(&crew->workers[0]->clockwork); /* it never ends */
	return crew->workers[0];
}

/* Of those that stand still, as the monitor has found. */
static void ring_for_others(struct worker *worker)
{
	struct crew *crew = worker->crew;
	unsigned i, n = crew_slots(crew);
	bool more = false;

	/* Relaxed: a hint; the monitor says it again at its next tick. */
	AO_store(&crew->xlate, 0);
	for (i = 0; i < n; i++) {
		struct clockwork *other = &crew->workers[i]->clockwork;

		if (crew->workers[i] != worker &&
		    clockwork_wants_service(other))
			more |= clockwork_serve(other, worker,
						crew_now_ns(crew));
	}
	if (more)
		/* Relaxed: as above. */
		AO_store(&crew->xlate, 1);
}

static void ring_alarms(struct worker *worker)
{
	struct crew *crew = worker->crew;

	if (clockwork_has_alarms(&worker->clockwork))
		clockwork_serve(&worker->clockwork, worker, crew_now_ns(crew));
	/* Relaxed: a hint. */
	if (unlikely(AO_load(&crew->xlate) != 0))
		ring_for_others(worker);
}

/* ---- running ---- */

/*
 * How much of the shared list is due to run until we look again. A fixed number
 * starves it, and lets it grow without bound; in proportion, a task waits about
 * as long there as here.
 */
static unsigned fair_share(struct worker *worker)
{
	uint64_t waiting = nodes_length(&worker->crew->nodes);
	uint64_t own = worker_backlog(worker);

	return (unsigned)(worker->stride * waiting / (waiting + own + 1)) + 1;
}

void worker_admit(struct worker *worker, struct task *task)
{
	struct task *next;

	for (; task; task = next) {
		next = task->next;
		/* Relaxed: the owner's own; readers want an estimate. */
		AO_store(&worker->xmean_ns, task_expected_ns(task));
		if (!queue_push(&worker->queue, task))
			enqueue(worker, task);
	}
}

/* So many turns pass between this look and the next. */
static void worker_plan_look(struct worker *worker, uint32_t turns)
{
	worker->stride = worker->countdown = turns + 1;
}

/*
 * Not on duty, or not as a member yet: take notice. True if it is to take no
 * tasks; then it has none any more, and looks around again at its next step.
 */
static bool is_off_duty(struct worker *worker)
{
	/* Relaxed: a hint; who changes it wakes us. */
	if (likely(AO_load(&worker->xduty) == DUTY_ACTIVE && worker->is_member))
		return false;
	if (worker->is_searching)
		steal_end_search(worker);
	roster_look(worker);
	if (worker->is_member)
		return false;
	handover(worker);
	worker_plan_look(worker, 0);
	return true;
}

/* Our own node's, but every so often another one's: its workers may be stuck. */
static unsigned first_list(struct worker *worker)
{
	uint32_t n = worker->n_looks++;

	return n % 8 == 7 ? n / 8 : 0;
}

/* Every so often, however busy: time, and what comes from outside. How many
   turns may pass until the next look. */
static uint32_t look_around(struct worker *worker)
{
	struct nodes *nodes = &worker->crew->nodes;
	struct task *first;

	ring_alarms(worker);
	if (unlikely(worker->home != NULL))
		return WORKER_LOOK_AROUND - 1;
	if (is_off_duty(worker))
		return 0;
	if (nodes_length(nodes) > 0) {
		nodes_take(nodes, worker_node(worker), first_list(worker),
			   fair_share(worker), &first);
		worker_admit(worker, first);
	}
	return WORKER_LOOK_AROUND - 1;
}

/* The turn after a look took so long: when is the next one due? */
static void plan_look(struct worker *worker, AO_t ns)
{
	if (unlikely(ns * (worker->countdown - 1) > WORKER_LOOK_NS))
		worker_plan_look(worker, (uint32_t)(WORKER_LOOK_NS / ns));
}

/* Take a share of the shared list; run one, queue the others. */
static struct task *take_injected(struct worker *worker)
{
	struct crew *crew = worker->crew;
	/* Relaxed: a fair share, about. */
	unsigned n_members = (unsigned)AO_load(&crew->idle.xn_members);
	unsigned share = nodes_length(&crew->nodes) / (n_members | 1) + 1;
	struct task *first = NULL;

	if (!worker->is_member)
		return worker->home ? home_take(worker->home) : NULL;
	if (share > QUEUE_CAPACITY / 2)
		share = QUEUE_CAPACITY / 2;
	if (nodes_take(&crew->nodes, worker_node(worker), 0, share, &first) ==
	    0)
		return NULL;
	worker_admit(worker, first->next);
	return first;
}

/* So many tasks come back from the spill at a time: few, for what they push
   comes back before the rest. */
#define REFILL 64
/* The oldest among the fresh ones are served this often, whatever is newer. */
#define OLDEST_NS 1000000

/* The ring is empty: go on with what spilled from it. */
static struct task *take_spilled(struct worker *worker)
{
	struct task *first;
	uint64_t now_ns;
	bool oldest;

	if (spill_length(&worker->spill) == 0)
		return NULL;
	now_ns = crew_now_ns(worker->crew);
	oldest = now_ns - worker->served_oldest_ns >= OLDEST_NS;
	if (oldest)
		worker->served_oldest_ns = now_ns;
	if (spill_take(&worker->spill, REFILL, oldest, &first) == 0)
		return NULL;
	worker_admit(worker, first->next);
	return first;
}

/* A simulation may choose among the tasks of the ring. */
static void choose_task(struct worker *worker)
{
	struct chance *chance = &worker->crew->chance;
	uint32_t n = queue_length(&worker->queue);
	unsigned chosen;

	if (n < 2)
		return;
	chosen =
		chance->choose(chance->context, worker->number, CHOOSE_TASK, n);
	while (chosen-- > 0) {
		struct task *task = queue_pop(&worker->queue);

		if (!task)
			return;
		worker_push_last(worker, task);
	}
}

static inline struct task *take_next(struct worker *worker)
{
	struct task *task;

	/* Relaxed: only the owner makes it other than 0. */
	task = (struct task *)AO_load(&worker->xnext);
	if (task)
		/* Relaxed: the loop is in the hand. */
		AO_store(&worker->xnext, 0);
	return task;
}

/* In turns with the ring; always if there is nothing else. */
static inline struct task *take_forked(struct worker *worker, bool always)
{
	if (likely(nest_length(&worker->nest) == 0))
		return NULL;
	worker->nest_waits = !worker->nest_waits;
	if (!always && worker->nest_waits)
		return NULL;
	return nest_take(&worker->nest, 0);
}

/* The run-next slot is empty, or it is the others' turn. */
static __attribute__((noinline)) struct task *next_queued(struct worker *worker)
{
	struct task *task;

	worker->direct_left = WORKER_MAX_DIRECT + 1;
	task = take_forked(worker, false);
	if (unlikely(task != NULL))
		return task;
	if (unlikely(worker->chooses_tasks))
		choose_task(worker);
	task = queue_pop(&worker->queue);
	if (likely(task != NULL))
		return task;
	task = take_spilled(worker);
	if (!task)
		task = take_forked(worker, true);
	return task ? task : take_injected(worker);
}

static inline struct task *next_task(struct worker *worker)
{
	struct task *task = take_next(worker);

	if (likely(task != NULL)) {
		if (likely(--worker->direct_left != 0))
			return task;
		if (worker_backlog(worker) == 0 && !worker->pinned_first) {
			worker->direct_left =
				WORKER_MAX_DIRECT; /* it is the first */
			return task;
		}
		worker_push_last(worker, task);
	}
	return next_queued(worker);
}

void worker_note_time(struct task_class *class, AO_t ns)
{
	AO_t mean;

	/* Relaxed: an estimate; see task.h. */
	mean = AO_load(&class->xmean_ns);
	if (unlikely(mean >= TASK_HOME_NS))
		return; /* it says more than that */
	mean = mean ? mean - mean / 4 + ns / 4 : ns;
	/* Relaxed. Others read this line at every turn: small changes are not
	   worth it. */
	if (mean - mean / 8 > AO_load(&class->xmean_ns) ||
	    mean + mean / 8 < AO_load(&class->xmean_ns))
		AO_store(&class->xmean_ns, mean ? mean : 1);
}

/* A timed turn that waited measured somebody else. */
static void run_timed(struct worker *worker, struct task *task)
{
	struct task_class *class = task->class;
	AO_t waits = AO_load(&worker->xwaits); /* relaxed: own */
	uint64_t start = clock_ticks(), ticks;
	AO_t ns;

	class->run(task, worker);
	if (AO_load(&worker->xwaits) != waits) /* relaxed: own */
		return;
	ticks = clock_ticks() - start;
	ns = ticks * 1024 / clock_ticks_per_1024ns() + 1;
	plan_look(worker, ns);
	worker_note_time(class, ns);
}

/* Of what lies here; what lies in shared lists has its turn in look_around(). */
static bool has_only_ended_waits(const struct worker *worker)
{
	/* Relaxed: the owner's own. */
	return AO_load(&worker->xnext) == 0 && worker_backlog(worker) == 0 &&
	       nest_length(&worker->nest) == 0 && !worker->home;
}

/* Does a wait that has ended go first? */
static inline bool should_resume(const struct worker *worker, AO_t turns)
{
	return worker->pinned_first &&
	       (turns % 2 == 0 || has_only_ended_waits(worker));
}

/* There is no task; an ended wait, maybe. */
static __attribute__((noinline)) enum worker_step
step_without(struct worker *worker)
{
	if (!worker->pinned_first)
		return STEP_IDLE;
	resume(worker);
	return STEP_RAN;
}

static __attribute__((noinline)) enum worker_step
look_and_step(struct worker *worker, AO_t turns)
{
	struct task *task = NULL;

	worker_plan_look(worker, look_around(worker));
	if (worker->crew->options.look)
		worker->crew->options.look(worker);
	if (!should_resume(worker, turns))
		task = next_task(worker);
	if (!task)
		return step_without(worker);
	if (worker->is_searching)
		steal_end_search(worker);
	run_timed(worker, task);
	return STEP_RAN;
}

/* In the loop of a thread without a call: that is 7 % of a short message. */
static inline __attribute__((always_inline)) enum worker_step
step(struct worker *worker)
{
	/* Relaxed: the owner's own counter, a sign of life to others. */
	AO_t turns = AO_load(&worker->xturns) + 1;
	struct task *task;

	/* Relaxed: as above. */
	AO_store(&worker->xturns, turns);
	/* Relaxed: a hint; collect_inbox() orders, sleeping checks again. */
	if (unlikely(AO_load(&worker->xinbox) != 0))
		collect_inbox(worker);
	if (unlikely(--worker->countdown == 0))
		return look_and_step(worker, turns);
	if (unlikely(should_resume(worker, turns))) {
		resume(worker);
		return STEP_RAN;
	}
	task = next_task(worker);
	if (unlikely(!task))
		return step_without(worker);
	if (unlikely(worker->is_searching))
		steal_end_search(worker);
	/* Relaxed: an estimate. */
	if (unlikely(AO_load(&task->class->xmean_ns) == 0))
		run_timed(worker, task);
	else
		task->class->run(task, worker);
	return STEP_RAN;
}

enum worker_step worker_step(struct worker *worker)
{
	return step(worker);
}

/* ---- sleeping ---- */

/*
 * The engine has stopped, and nothing will come for us any more. While turns
 * stand here something will, if late: what makes them go on may be queued at a
 * worker that hangs, or be a function that has not returned.
 */
static bool is_dismissed(const struct worker *worker)
{
	/* [S1] pairs with crew_stop(), which wakes us after it */
	return AO_load_acquire(&worker->crew->xstopping) &&
	       worker->n_standing == 0;
}

/* The last look before sleeping, after idle_enter(). */
static bool sees_work(struct worker *worker)
{
	return nodes_length(&worker->crew->nodes) > 0 ||
	       /* Relaxed: a hint. */
	       AO_load(&worker->crew->xlate) != 0 || steal_sees_work(worker);
}

/* @patience: so long at most; -1: no limit. */
static void fall_asleep(struct worker *worker, int64_t patience)
{
	struct clockwork *clockwork = &worker->clockwork;
	int64_t limit = clockwork_sleep(clockwork, crew_now_ns(worker->crew));

	if (patience >= 0 && (limit < 0 || patience < limit))
		limit = patience;
	/* [B2] pairs with worker_wake_stack() */
	if (AO_compare_and_swap_full(&worker->xinbox, 0, INBOX_ASLEEP))
		park_sleep(&worker->park, limit);
	collect_inbox(worker);
	clockwork_wake(clockwork);
}

static void rest(struct worker *worker)
{
	struct crew *crew = worker->crew;
	bool first;

	idle_enter(&crew->idle, worker->number, worker->is_searching);
	worker->is_searching = false;
	if (sees_work(worker)) {
		worker->n_vain++;
	} else {
		worker->n_vain = 0;
		crew->options.rest(worker);
		if (!is_dismissed(worker))
			fall_asleep(worker, -1);
	}
	worker->is_searching = idle_leave(&crew->idle, worker->number, &first);
	if (first)
		monitor_wake(crew->monitor);
	ring_alarms(worker);
}

/*
 * Off duty, and nothing stands ready: like rest(), but nobody wakes us for
 * work. What alarms make runnable is handed over at the next step.
 */
static void rest_off_duty(struct worker *worker)
{
	struct crew *crew = worker->crew;
	int64_t patience = roster_patience(worker);

	idle_vanish(&crew->idle);
	crew->options.rest(worker);
	if (patience != 0 && !is_dismissed(worker))
		fall_asleep(worker, patience);
	if (idle_appear(&crew->idle))
		monitor_wake(crew->monitor);
	ring_alarms(worker);
}

/* The tick of a crew without a monitor may have ended a wait of ours. */
static bool tick_finds_work(struct worker *worker)
{
	return worker->crew->drive &&
	       (drive_tick(worker->crew, 0) || worker->pinned_first);
}

/* At home: until a task comes, or a turn that stands here can go on. */
static void rest_at_home(struct worker *worker)
{
	struct crew *crew = worker->crew;

	idle_vanish(&crew->idle);
	crew->options.rest(worker);
	if (!tick_finds_work(worker) && home_lie_down(worker->home) &&
	    !is_dismissed(worker))
		fall_asleep(worker, -1);
	home_get_up(worker->home);
	home_appear(crew);
	ring_alarms(worker);
}

void worker_get_up(struct worker *worker)
{
	bool first;

	collect_inbox(worker);
	clockwork_wake(&worker->clockwork);
	worker->is_searching =
		idle_leave(&worker->crew->idle, worker->number, &first);
	ring_alarms(worker);
}

bool worker_lie_down(struct worker *worker, uint64_t *until_ns)
{
	struct clockwork *clockwork = &worker->clockwork;
	struct crew *crew = worker->crew;

	idle_enter(&crew->idle, worker->number, worker->is_searching);
	worker->is_searching = false;
	if (!sees_work(worker)) {
		crew->options.rest(worker);
		if (clockwork_sleep(clockwork, crew_now_ns(crew)) != 0 &&
		    /* [B2] pairs with worker_wake_stack() */
		    AO_compare_and_swap_full(&worker->xinbox, 0,
					     INBOX_ASLEEP)) {
			*until_ns = clockwork->sleeping_until_ns;
			return true;
		}
	}
	worker_get_up(worker);
	return false;
}

/* So many looks in vain, and a worker lets others run in between. */
#define MAX_VAIN 2

static void find_work(struct worker *worker)
{
	struct task *task;

	if (unlikely(worker->home != NULL)) {
		rest_at_home(worker);
		return;
	}
	steal_end_stay(worker);
	if (unlikely(is_off_duty(worker))) {
		rest_off_duty(worker);
		return;
	}
	task = steal_any(worker);
	if (task) {
		worker->n_vain = 0;
		steal_run(worker, task);
		return;
	}
	rest(worker);
	/*
	 * There is work that we do not get: another takes it right now, or is
	 * to. It may need this processor for that; and if all of us keep
	 * looking, the idle word's line goes round among us.
	 */
	if (worker->n_vain >= MAX_VAIN)
		sched_yield();
}

/* Who is off duty takes nothing, and has handed over what it had. */
static bool has_nothing(struct worker *worker)
{
	if (unlikely(worker->home != NULL))
		return home_length(worker->home) == 0;
	return !worker->is_member || (spill_length(&worker->spill) == 0 &&
				      nodes_length(&worker->crew->nodes) == 0);
}

static bool may_leave(struct worker *worker)
{
	/* [S1] pairs with crew_stop() */
	if (!AO_load_acquire(&worker->crew->xstopping))
		return unlikely(!worker->is_member) &&
		       (worker->home ? home_may_end(worker)
				     : roster_may_end(worker));
	return worker->n_standing == 0 && !worker->pinned_first &&
	       /* Relaxed: waits that the stop cancelled came before [S1]. */
	       AO_load(&worker->xinbox) == 0 && has_nothing(worker);
}

static void worker_loop(void *argument)
{
	struct worker *worker = argument;
	struct stack *last;

	worker_step_in(worker);
	worker_put_retired(worker);
	if (worker->called)
		worker_run_called(worker);
	for (;;) {
		if (step(worker) == STEP_RAN || worker->pinned_first)
			continue;
		if (may_leave(worker))
			break;
		find_work(worker);
	}
	last = worker->stack;
	context_switch(&last->context, &worker->thread);
}

void worker_enter(struct worker *worker)
{
	struct stack *first = worker->stack;

	/* Relaxed: a hint. */
	AO_store(&worker->xthread, (AO_t)asleep_self());
	worker->loop = worker_loop;
	context_of_thread(&worker->thread);
	context_make(&first->context, first->low, first->size, worker_loop,
		     worker);
	context_switch(&worker->thread, &first->context);
	context_forget(&worker->stack->context);
}
