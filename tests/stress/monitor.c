/* SPDX-License-Identifier: MIT */
/*
 * monitor - its two protocols, with their owners at work
 *
 * Revocation: an owner puts tasks into its slot and takes them out again, and
 * counts things into its hand, while the monitor takes both away. Each task is
 * had by one of them, complete, each thing is counted by one.
 *
 * The unparked count: workers fall asleep, wake up and are picked all the time,
 * often the last and the first one; whoever is awake for long sees the monitor
 * tick, or waits for it in vain.
 */
#include <errno.h>
#include <string.h>

#include "tests/stress/jitter.h"

#include "sched/park.h"

/* The monitor's thread, between its look at the word and its sleep. */
static inline void linger(void)
{
	unsigned word = 0;

	if (jitter_random() % 2)
		futex_wait(&word, 0, 1000 * (jitter_random() % 64));
}

#define AO_int_compare_and_swap_full(p, old, new) \
	(linger(), AO_int_compare_and_swap_full(p, old, new))

#include "sched/idle.c"
#include "sched/monitor.c"
#include "sched/worker.c"

#include "tests/stress/crowd.h"

#define MAX_WORKERS 4

static struct crew crew;
static unsigned long n_rounds;
static AO_t xis_over;

static void no_rest(struct worker *worker)
{
	(void)worker;
}

static void revoke_held(struct worker *worker);

static void make_crew(unsigned n_workers)
{
	const struct crew_options options = {
		.n_workers = n_workers,
		.unbound = true,
		.stack_size = 65536,
		.worker_size = sizeof(struct worker),
		.rest = no_rest,
		.revoke = revoke_held,
	};

	cr_assert_eq(crew_init(&crew, &options), 0);
	AO_store(&xis_over, 0);
}

static bool is_over(void)
{
	return AO_load(&xis_over) != 0; /* relaxed: for its value alone */
}

/* ---- revocation ---- */

#define TOKENS 6

struct token {
	struct task task;
	uintptr_t written; /* by the owner; the hand has to order it */
	uintptr_t expected;
	AO_t xis_out; /* 1: pushed, and not had yet */
};

static struct task_class class = {.xmean_ns = 100};
static struct token tokens[TOKENS];
static unsigned long n_pushed, n_back; /* the owner's */
static unsigned long n_taken;	       /* the thief's */
static unsigned long n_held, n_put, n_revoked;
static AO_t xn_wrong;

/* Whoever has it: it is complete, and ours alone. */
static void have(struct token *token)
{
	if (token->written != token->expected)
		AO_fetch_and_add1(&xn_wrong);
	token->expected = 0;
	if (AO_fetch_compare_and_swap_full(&token->xis_out, 1, 0) != 1)
		AO_fetch_and_add1(&xn_wrong);
}

/* In the hand. */
static void revoke_held(struct worker *worker)
{
	n_revoked += n_held;
	n_held = 0;
	AO_store(&worker->xheld, 0);
}

static void push_some(struct worker *worker)
{
	struct token *token = &tokens[jitter_random() % TOKENS];

	/* The one who had it last has let go. */
	if (AO_load_acquire(&token->xis_out))
		return;
	token->expected = token->written = ++n_pushed;
	AO_store_release(&token->xis_out, 1);
	worker_push_next(worker, &token->task);
}

static void take_some(struct worker *worker)
{
	AO_t was = worker_enter_hand(worker); /* as the loop is in it */
	struct task *task = take_next(worker);

	worker_leave_hand(worker, was);
	if (!task)
		task = queue_pop(&worker->queue);
	if (!task)
		return;
	n_back++;
	have((struct token *)task);
}

/* As a chain does: things in the hand, and a word that says so. */
static void hold_some(struct worker *worker)
{
	AO_t was = worker_enter_hand(worker);

	n_held++;
	AO_store(&worker->xheld, 1);
	worker_leave_hand(worker, was);
	n_put++;
}

static void let_go(struct worker *worker, unsigned long *n)
{
	AO_t was = worker_enter_hand(worker);

	*n += n_held;
	n_held = 0;
	AO_store(&worker->xheld, 0);
	worker_leave_hand(worker, was);
}

static unsigned long n_let_go;

static void own(struct worker *worker)
{
	for (unsigned long i = 0; i < n_rounds; i++) {
		switch (jitter_random() % 8) {
		case 0:
			let_go(worker, &n_let_go);
			break;
		case 1:
		case 2:
			hold_some(worker);
			break;
		case 3:
		case 4:
			take_some(worker);
			break;
		default:
			push_some(worker);
		}
	}
	AO_store_release(&xis_over, 1);
}

static void steal_injected(void)
{
	struct task *task;

	for (;;) {
		bool last = AO_load_acquire(&xis_over);

		if (nodes_take(&crew.nodes, 0, 0, 1, &task) > 0) {
			n_taken++;
			have((struct token *)task);
		} else if (last) {
			return;
		} else {
			sched_yield();
		}
	}
}

static void play_revocation(unsigned number)
{
	struct worker *worker = crew.workers[0];

	if (number == 0)
		own(worker);
	else if (number == 1)
		while (!is_over())
			revoke_hand(worker);
	else
		steal_injected();
}

Test(monitor, hands_are_revoked_whole_or_not_at_all, .timeout = 120)
{
	struct worker *worker;
	struct task *task;

	make_crew(1);
	worker = crew.workers[0];
	if (!worker->has_hand)
		return; /* no membarrier(): there is nothing to revoke */
	n_rounds = check_stress(400000);
	for (unsigned i = 0; i < TOKENS; i++)
		tokens[i].task.class = &class;
	crowd_run(3, play_revocation);
	/* What is left. */
	while (nodes_take(&crew.nodes, 0, 0, 1, &task) > 0) {
		n_taken++;
		have((struct token *)task);
	}
	while (AO_load(&worker->xnext) || worker_backlog(worker) > 0)
		take_some(worker);
	let_go(worker, &n_let_go);
	cr_assert_eq(AO_load(&xn_wrong), 0);
	cr_assert_eq(n_back + n_taken, n_pushed);
	cr_assert_eq(n_let_go + n_revoked, n_put);
	/* Else nothing was tested. */
	cr_assert_gt(n_back, 0);
	cr_assert_gt(n_taken, 0);
	cr_assert_gt(n_revoked, 0);
	crew_fini(&crew);
}

/* ---- the unparked count ---- */

static AO_t xn_busy; /* workers that are not through */
static AO_t xn_vain; /* waited for a tick in vain */
static AO_t xn_picked;
static AO_t xn_seen; /* ticks that somebody waited for */

static void await_tick(struct worker *worker)
{
	struct patience patience = {0};

	worker_count(&worker->xturns, 1);
	while (!worker_is_stuck(worker)) {
		if (!patience_left(&patience, 0)) {
			AO_fetch_and_add1(&xn_vain);
			return;
		}
		sched_yield();
	}
	AO_fetch_and_add1(&xn_seen);
}

/* For as long as the monitor takes to find that all are asleep. */
static void sleep_and_wake(struct worker *worker)
{
	unsigned word = 0;
	bool first;

	idle_enter(&crew.idle, worker->number, false);
	futex_wait(&word, 0, 1000 * (jitter_random() % 512));
	if (idle_leave(&crew.idle, worker->number, &first)) {
		idle_end_search(&crew.idle);
		AO_fetch_and_add1(&xn_picked);
	}
	if (first)
		monitor_wake(crew.monitor);
}

static void work(struct worker *worker)
{
	for (unsigned long i = 0; i < n_rounds && !AO_load(&xn_vain); i++) {
		sleep_and_wake(worker);
		if (jitter_random() % 2)
			await_tick(worker);
	}
	AO_fetch_and_sub1_full(&xn_busy);
	/* Out of the way: the others are to be the first and the last. */
	idle_enter(&crew.idle, worker->number, false);
}

/* As a thread that injects: picks, and counts for the one it picked. */
static void pick(void)
{
	unsigned word = 0;

	while (AO_load(&xn_busy) > 1) {
		bool first;
		int picked = idle_pick(&crew.idle, true, NULL, NULL, &first);

		if (picked >= 0 && first)
			monitor_wake(crew.monitor);
		futex_wait(&word, 0, 200000);
	}
}

static unsigned n_workers;

static void play_count(unsigned number)
{
	if (number < n_workers)
		work(crew.workers[number]);
	else
		pick();
}

static void run_count(unsigned workers, unsigned long rounds)
{
	make_crew(workers);
	n_workers = workers;
	n_rounds = rounds;
	AO_store(&xn_busy, workers);
	for (unsigned i = 0; i < workers; i++)
		AO_store(&crew.workers[i]->xturns, 1000 * i);
	crew.monitor = monitor_start(&crew);
	cr_assert_not_null(crew.monitor);
	crowd_run(workers + 1, play_count);
	cr_assert_eq(AO_load(&xn_vain), 0, "the monitor slept");
	cr_assert_gt(AO_load(&xn_seen), 0);
	monitor_stop(crew.monitor);
	crew_fini(&crew);
}

Test(monitor, ticks_while_the_only_worker_is_awake, .timeout = 120)
{
	run_count(1, check_stress(1000));
}

Test(monitor, ticks_while_one_of_two_is_awake, .timeout = 120)
{
	run_count(2, check_stress(800));
}

Test(monitor, ticks_while_one_of_many_is_awake, .timeout = 120)
{
	run_count(4, check_stress(600));
}
