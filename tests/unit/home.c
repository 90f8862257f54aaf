/* SPDX-License-Identifier: MIT */
/*
 * home - do tasks come to where they live, and does its thread come and go?
 *
 * The first tests play a home that has no thread; in the last ones it runs.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "sched/home.h"
#include "sched/worker.h"
#include "tests/check.h"

static struct crew crew;

static void no_rest(struct worker *worker)
{
	(void)worker;
}

static void abandoned(struct crew *who)
{
	(void)who;
}

static void begin(void)
{
	const struct crew_options options = {
		.n_workers = 1,
		.unbound = true,
		.stack_size = 65536,
		.worker_size = sizeof(struct worker),
		.rest = no_rest,
		.abandoned = abandoned,
	};

	cr_assert_eq(crew_init(&crew, &options), 0);
}

static void end(void)
{
	crew_fini(&crew);
}

/* A slot that has no thread. */
static struct worker *play_home(void)
{
	struct home *home = calloc(1, sizeof(*home));
	struct worker *worker;

	cr_assert_not_null(home);
	home->xlock = AO_TS_INITIALIZER;
	cr_assert_eq(crew_add_worker(&crew, 0, false, home, &worker), 0);
	AO_store(&worker->xduty, DUTY_HOME);
	return worker;
}

/* ---- tasks ---- */

static AO_t xn_run;
static struct worker *ran_at;

static void run(struct task *task, struct worker *worker)
{
	(void)task;
	ran_at = worker;
	AO_fetch_and_add1_full(&xn_run);
}

static struct task_class anywhere = {.run = run, .xmean_ns = 100};

static struct task_class class_of(struct worker *home)
{
	return (struct task_class){
		.run = run, .xmean_ns = TASK_HOME_NS, .home = home};
}

Test(home, tasks_are_taken_in_their_order, .init = begin, .fini = end)
{
	struct worker *worker = play_home();
	struct task_class class = class_of(worker);
	struct task tasks[8];
	size_t taken = 0;

	for (size_t i = 0; i < 8; i++) {
		tasks[i].class = &class;
		home_push(worker, &tasks[i]);
		if (i % 3 == 2) /* some in between */
			cr_assert_eq(home_take(worker->home), &tasks[taken++]);
		cr_assert_eq(home_length(worker->home), i + 1 - taken);
	}
	while (taken < 8)
		cr_assert_eq(home_take(worker->home), &tasks[taken++]);
	cr_assert_null(home_take(worker->home));
	cr_assert_eq(home_length(worker->home), 0);
}

Test(home, every_way_leads_there, .init = begin, .fini = end)
{
	struct worker *worker = play_home(), *other = crew.workers[0];
	struct task_class class = class_of(worker);
	struct task task = {.class = &class};

	worker_push_next(other, &task);
	cr_assert_eq(home_take(worker->home), &task);
	worker_push_last(other, &task);
	cr_assert_eq(home_take(worker->home), &task);
	worker_push_any(other, &task);
	cr_assert_eq(home_take(worker->home), &task);
	crew_inject(&crew, &task);
	cr_assert_eq(home_take(worker->home), &task);
	worker_push_next(worker, &task);
	cr_assert_eq(home_take(worker->home), &task);
	worker_push_last(worker, &task);
	cr_assert_eq(home_take(worker->home), &task);
	cr_assert_eq(worker_backlog(other) + worker_backlog(worker), 0);
	cr_assert_eq(AO_load(&other->xnext) + AO_load(&worker->xnext), 0);
	cr_assert_eq(nodes_length(&crew.nodes), 0);
}

Test(home, what_is_for_others_goes_out_at_once, .init = begin, .fini = end)
{
	struct worker *worker = play_home();
	struct task tasks[2] = {{.class = &anywhere}, {.class = &anywhere}};

	worker_push_next(worker, &tasks[0]);
	worker_push_any(worker, &tasks[1]);
	cr_assert_eq(AO_load(&worker->xnext), 0);
	cr_assert_eq(worker_backlog(worker), 0);
	cr_assert_eq(home_length(worker->home), 0);
	cr_assert_eq(nodes_length(&crew.nodes), 2);
}

Test(home, its_time_is_not_taken, .init = begin, .fini = end)
{
	struct worker *worker = play_home();
	struct task_class class = class_of(worker);

	worker_note_time(&class, 7);
	cr_assert_eq(AO_load(&class.xmean_ns), TASK_HOME_NS);
}

Test(home, who_lies_down_is_woken_by_the_first_task, .init = begin, .fini = end)
{
	struct worker *worker = play_home();
	struct task_class class = class_of(worker);
	struct task tasks[2] = {{.class = &class}, {.class = &class}};

	cr_assert(home_lie_down(worker->home));
	cr_assert_eq(park_sleep(&worker->park, 0), 0);
	home_push(worker, &tasks[0]);
	cr_assert_neq(park_sleep(&worker->park, 0), 0);
	home_push(worker, &tasks[1]);
	cr_assert_eq(park_sleep(&worker->park, 0), 0, "once is enough");
	cr_assert_not(home_lie_down(worker->home), "there are tasks");
	cr_assert_eq(home_take(worker->home), &tasks[0]);
	cr_assert_not(home_lie_down(worker->home), "one is there still");
	cr_assert_eq(home_take(worker->home), &tasks[1]);
	cr_assert(home_lie_down(worker->home));
	home_get_up(worker->home);
	home_push(worker, &tasks[0]);
	cr_assert_eq(park_sleep(&worker->park, 0), 0, "it is awake");
}

/* ---- threads ---- */

static void start(void)
{
	begin();
	cr_assert_eq(crew_start(&crew), 0);
	xn_run = 0;
}

static void stop(void)
{
	cr_assert_eq(crew_stop(&crew, INT64_MAX), 0);
	cr_assert(crew_release(&crew));
	crew_fini(&crew);
}

static struct worker *enter(const char *name)
{
	const struct home_wish wish = {.name = name, .title = "home"};
	struct worker *worker;

	cr_assert_eq(home_enter(&crew, &wish, &worker), 0);
	return worker;
}

static void await_end(struct worker *worker)
{
	while (roster_duty(worker) == DUTY_HOME)
		sched_yield();
}

Test(home, tasks_run_there, .init = start, .fini = stop, .timeout = 120)
{
	struct worker *worker = enter(NULL);
	struct task_class class = class_of(worker);
	struct task task = {.class = &class};

	for (AO_t i = 1; i <= 1000; i++) {
		crew_inject(&crew, &task);
		while (AO_load_acquire(&xn_run) < i)
			sched_yield();
		cr_assert_eq(ran_at, worker);
	}
	home_leave(worker);
	await_end(worker);
}

Test(home, a_name_is_shared_while_somebody_lives_there, .init = start,
     .fini = stop, .timeout = 120)
{
	struct worker *red = enter("red"), *own = enter(NULL);

	cr_assert_neq(enter("blue"), red);
	cr_assert_eq(enter("red"), red);
	cr_assert_neq(enter(NULL), own);
	home_leave(red);
	cr_assert_eq(enter("red"), red, "one is there still");
	home_leave(red);
	home_leave(red);
	await_end(red);
}

Test(home, slots_are_used_again, .init = start, .fini = stop, .timeout = 120)
{
	unsigned n;

	await_end(crew.workers[0]); /* is none */
	for (int i = 0; i < 100; i++) {
		struct worker *worker = enter(i % 2 ? "odd" : NULL);

		home_leave(worker);
		await_end(worker);
	}
	n = crew_slots(&crew);
	cr_assert_eq(n, 2);
	cr_assert_eq(roster_target(&crew.roster), 1);
}

Test(home, nobody_moves_in_while_the_crew_stops, .init = start, .fini = stop,
     .timeout = 120)
{
	const struct home_wish wish = {.title = "late"};
	struct worker *worker;

	roster_close(&crew);
	cr_assert_eq(home_enter(&crew, &wish, &worker), -ESHUTDOWN);
	cr_assert_eq(crew_slots(&crew), 1);
}
