/* SPDX-License-Identifier: MIT */
/*
 * stuck - turns that do not end are reported, and nothing else is
 */
#include <inttypes.h>

#include <rota/host.h>
#include <rota/task.h>

#include "tests/unit/support.h"

#define MAX_REPORTS 64
#define AFTER ROTA_MS(20)

/* Written by the monitor's thread before it counts. */
static struct rota_stuck reports[MAX_REPORTS];
static char types[MAX_REPORTS][16];
static AO_t xn_reports;
static char line[512];
static AO_t xn_lines;

static void note_report(void *context, const struct rota_stuck *report)
{
	AO_t n = AO_load(&xn_reports);

	if (context != &morgue || n == MAX_REPORTS)
		return;
	reports[n] = *report;
	if (report->type)
		snprintf(types[n], sizeof(types[n]), "%s", report->type);
	AO_store_release(&xn_reports, n + 1);
}

static void note_line(void *context, enum rota_log_level level,
		      const char *text)
{
	(void)context;
	if (level != ROTA_LOG_WARNING || !strstr(text, "holds up"))
		return;
	if (AO_load(&xn_lines) == 0)
		snprintf(line, sizeof(line), "%s", text);
	AO_fetch_and_add_release(&xn_lines, 1);
}

static AO_t n_reports(void)
{
	return AO_load_acquire(&xn_reports);
}

static void start(unsigned workers, int64_t after)
{
	struct rota_config config = test_config(workers);

	config.stuck_after = after;
	config.stuck = note_report;
	config.log = note_line;
	engine = engine_make(&config);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return ROTA_S(now.tv_sec) + now.tv_nsec;
}

/* ---- who ---- */

static int act_compute(void *arg)
{
	struct stall *stall = arg;

	flag_raise(&stall->begun);
	while (!flag_is_up(&stall->go))
		;
	return 0;
}

Test(stuck, a_handler_that_computes_is_reported, .timeout = HANG)
{
	struct stall stall = {0};
	int64_t before = now_ns();
	char id[32];
	rota_id actor;

	start(2, AFTER);
	actor = puppet_spawn(NULL, 1);
	ACTS(actor, act_compute, &stall);
	AWAIT(n_reports() >= 1);
	cr_assert_eq(reports[0].actor, actor);
	cr_assert_str_eq(types[0], "puppet");
	cr_assert_null(reports[0].task);
	cr_assert_eq(reports[0].tag, ACT);
	cr_assert_lt(reports[0].worker, 2);
	cr_assert_geq(reports[0].for_ns, AFTER);
	cr_assert_leq(reports[0].for_ns, now_ns() - before);
	flag_raise(&stall.go);
	quiesce();
	cr_assert_gt(AO_load_acquire(&xn_lines), 0);
	snprintf(id, sizeof(id), "%016" PRIx64, (uint64_t)actor);
	cr_assert(strstr(line, id), "%s", line);
	cr_assert(strstr(line, "(puppet)"), "%s", line);
	cr_assert(strstr(line, "tag 1000"), "%s", line);
	AWAIT(counters().stuck == 1); /* counted once it is told */
	engine_stop();
}

/* There is no monitor; who drives looks in between. */
Test(stuck, one_on_its_own_thread_while_a_host_drives, .timeout = HANG)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	struct rota_config config = test_config(1);
	struct puppet puppet = {NULL};
	struct stall stall = {0};
	rota_id actor;

	config.flags = ROTA_RUN_HERE;
	config.stuck_after = AFTER;
	config.stuck = note_report;
	config.log = note_line;
	engine = engine_make(&config);
	options.flags = ROTA_OWN_THREAD;
	actor = rota_spawn(engine, &puppet_behaviour, &puppet, &options);
	ACTS(actor, act_compute, &stall);
	AWAIT(rota_run_some(engine, 1) >= 0 && n_reports() >= 1);
	cr_assert_eq(reports[0].actor, actor);
	cr_assert_eq(reports[0].tag, ACT);
	cr_assert_geq(reports[0].for_ns, AFTER);
	cr_assert_eq(counters().stuck, 1);
	flag_raise(&stall.go);
	quiesce();
	engine_stop();
}

static int act_read(void *arg)
{
	char byte;

	return read(*(int *)arg, &byte, 1) == 1 ? 0 : -EIO;
}

Test(stuck, one_that_is_blocked_in_the_kernel_too, .timeout = HANG)
{
	rota_id actor;
	int ends[2];

	cr_assert_eq(pipe(ends), 0);
	start(1, AFTER);
	actor = puppet_spawn(NULL, 1);
	ACTS(actor, act_read, &ends[0]);
	AWAIT(n_reports() >= 1);
	cr_assert_eq(reports[0].actor, actor);
	cr_assert_eq(reports[0].tag, ACT);
	cr_assert_eq(write(ends[1], "", 1), 1);
	quiesce();
	engine_stop();
	close(ends[0]);
	close(ends[1]);
}

static int task_stall(void *argument)
{
	return act_stall(*(struct stall **)argument);
}

Test(stuck, so_is_a_task, .timeout = HANG)
{
	struct stall stall = {0}, *there = &stall;

	start(2, AFTER);
	cr_assert_eq(rota_task_submit(engine, task_stall, &there, sizeof(there),
				      NULL),
		     0);
	AWAIT(n_reports() >= 1);
	cr_assert_eq(reports[0].actor, ROTA_NONE);
	cr_assert_null(reports[0].type);
	cr_assert_eq((uintptr_t)reports[0].task, (uintptr_t)task_stall);
	flag_raise(&stall.go);
	quiesce();
	cr_assert_gt(AO_load_acquire(&xn_lines), 0);
	cr_assert(strstr(line, "task"), "%s", line);
	engine_stop();
}

/* ---- how often ---- */

Test(stuck, it_is_reported_when_its_time_doubles, .timeout = HANG)
{
	struct stall stall = {0};
	AO_t n;

	start(2, AFTER);
	stall_start(&stall, puppet_spawn(NULL, 1));
	AWAIT((n = n_reports()) >= 4);
	/* A tick may be late: each is of another doubling, none comes twice. */
	for (AO_t i = 1, least = AFTER; i < 4; i++) {
		while (least <= (AO_t)reports[i - 1].for_ns)
			least *= 2;
		cr_assert_geq((AO_t)reports[i].for_ns, least);
	}
	cr_assert_eq(counters().stuck, 1, "it is one turn");
	flag_raise(&stall.go);
	quiesce();
	/* Not after it has returned, but for one that was being told. */
	n = n_reports();
	stall = (struct stall){0};
	for (int i = 0; i < 50; i++)
		nap();
	cr_assert_leq(n_reports(), n + 1);
	cr_assert_eq(counters().stuck, 1);
	/* The next turn of the same actor is another one. */
	stall_start(&stall, reports[0].actor);
	AWAIT(counters().stuck == 2);
	flag_raise(&stall.go);
	quiesce();
	engine_stop();
}

Test(stuck, can_be_switched_off, .timeout = HANG)
{
	struct stall stall = {0};

	start(2, ROTA_FOREVER);
	stall_start(&stall, puppet_spawn(NULL, 1));
	for (int i = 0; i < 500; i++)
		nap();
	cr_assert_eq(n_reports(), 0);
	cr_assert_eq(AO_load_acquire(&xn_lines), 0);
	flag_raise(&stall.go);
	quiesce();
	cr_assert_eq(counters().stuck, 0);
	engine_stop();
}

Test(stuck, less_than_no_time_is_refused)
{
	struct rota_config config = test_config(1);

	config.stuck_after = -1;
	cr_assert_null(rota_start(&config));
	cr_assert_eq(errno, EINVAL);
}

/* ---- who is not ---- */

Test(stuck, a_turn_that_waits_is_not_reported, .timeout = HANG)
{
	struct stall stall = {0};
	struct sending sending;
	rota_id full, sender;
	AO_t first, n;

	start(2, AFTER);
	full = puppet_spawn(NULL, 1);
	sender = puppet_spawn(NULL, 1);
	stall_start(&stall, full);
	fill(full, 1);
	sending = sending_to(full, 1, 1);
	sending_in_puppet(&sending, sender);
	/* The kernel may have kept it from coming to its wait; one more may be
	   on its way. */
	first = n_reports() + 1;
	/* The monitor is at it: it reports the other one again and again. */
	AWAIT(n_reports() >= first + 3);
	n = n_reports();
	for (AO_t i = first; i < n; i++)
		cr_assert_eq(reports[i].actor, full);
	flag_raise(&stall.go);
	cr_assert_eq(sending_puppet_result(&sending), 0);
	quiesce();
	engine_stop();
}

/* ---- blocking regions ---- */

static int act_stall_in_region(void *arg)
{
	int error = rota_blocking_begin();

	act_stall(arg);
	rota_blocking_end();
	return error;
}

static char why_none[512];
static AO_t xn_why_none;

static void note_why_none(void *context, enum rota_log_level level,
			  const char *text)
{
	(void)context;
	if (level != ROTA_LOG_WARNING || !strstr(text, "spare thread"))
		return;
	if (AO_load(&xn_why_none) == 0)
		snprintf(why_none, sizeof(why_none), "%s", text);
	AO_fetch_and_add_release(&xn_why_none, 1);
}

static void start_with_spares(unsigned workers, unsigned spares)
{
	struct rota_config config = test_config(workers);

	config.spares = spares;
	config.stuck_after = AFTER;
	config.stuck = note_report;
	config.log = note_why_none;
	engine = engine_make(&config);
}

static void nap_for(int64_t ns)
{
	int64_t end = now_ns() + ns;

	while (now_ns() < end)
		nap();
}

/* For many times as long as is reported. */
static void nap_long(void)
{
	nap_for(10 * AFTER);
}

/* For longer than a spare thread has to be missing until that is told. */
#define MISSED ROTA_MS(800)

Test(stuck, a_region_whose_place_is_taken_is_not, .timeout = HANG)
{
	static struct record record;
	struct stall stall = {0};
	rota_id sibling;

	start_with_spares(1, 8); /* some, if the kernel keeps one waiting */
	sibling = puppet_spawn(&record, 0);
	ACTS(puppet_spawn(NULL, 1), act_stall_in_region, &stall);
	AWAIT(flag_is_up(&stall.begun));
	for (uint64_t i = 1; i <= 3; i++) {
		cr_assert_eq(send_value(sibling, 1, i), 0);
		AWAIT(tally_of(&record.n) == i);
		nap_long();
	}
	cr_assert_eq(n_reports(), 0);
	cr_assert_eq(AO_load_acquire(&xn_why_none), 0, "%s", why_none);
	flag_raise(&stall.go);
	quiesce();
	engine_stop();
}

Test(stuck, nor_one_that_holds_up_nothing, .timeout = HANG)
{
	struct stall stall = {0};

	start_with_spares(2, ROTA_NO_SPARES);
	ACTS(puppet_spawn(NULL, 1), act_stall_in_region, &stall);
	AWAIT(flag_is_up(&stall.begun));
	nap_for(MISSED);
	cr_assert_eq(n_reports(), 0);
	flag_raise(&stall.go);
	quiesce();
	engine_stop();
}

/* As many regions as there are threads, and something behind them. */
static void nobody_comes(unsigned spares)
{
	static struct record record;
	struct stall stalls[2] = {0};
	unsigned n = spares == 1 ? 2 : 1;
	rota_id sibling;

	start_with_spares(1, spares);
	sibling = puppet_spawn(&record, 0);
	for (unsigned i = 0; i < n; i++) {
		ACTS(puppet_spawn(NULL, 1), act_stall_in_region, &stalls[i]);
		AWAIT(flag_is_up(&stalls[i].begun));
	}
	cr_assert_eq(send_value(sibling, 1, 1), 0);
	AWAIT(n_reports() >= 1);
	cr_assert_eq(tally_of(&record.n), 0);
	cr_assert_eq(reports[0].tag, ACT);
	for (unsigned i = 0; i < n; i++)
		flag_raise(&stalls[i].go);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 1);
	engine_stop();
}

Test(stuck, a_region_is_if_there_are_no_spares, .timeout = HANG)
{
	nobody_comes(ROTA_NO_SPARES);
	cr_assert_eq(AO_load_acquire(&xn_why_none), 0, "as was wished");
}

Test(stuck, or_if_all_are_in_use_and_the_log_says_so, .timeout = HANG)
{
	nobody_comes(1);
	cr_assert_eq(AO_load_acquire(&xn_why_none), 1);
	cr_assert(strstr(why_none, "all 1 spare threads"), "%s", why_none);
	cr_assert(strstr(why_none, "rota_config.spares"), "%s", why_none);
}

static int task_nap(void *argument)
{
	(void)argument;
	nap();
	return 0;
}

/* Runs its group on its own stack, for long. */
static int task_wait_for_many(void *argument)
{
	struct rota_task_group group;
	int64_t end = now_ns() + ROTA_MS(400);
	int error = 0;

	(void)argument;
	while (!error && now_ns() < end) {
		rota_task_group_init(&group, NULL);
		for (int i = 0; i < 10 && !error; i++)
			error = rota_task_group_submit(&group, task_nap, NULL,
						       0);
		if (!error)
			error = rota_task_group_wait(&group, ROTA_FOREVER,
						     NULL);
	}
	return error;
}

Test(stuck, a_task_that_runs_its_group_is_not, .timeout = HANG)
{
	/* Under load a nap may last; all of it is too long in any case. */
	start(1, ROTA_MS(250));
	cr_assert_eq(
		rota_task_submit(engine, task_wait_for_many, NULL, 0, NULL), 0);
	quiesce();
	for (AO_t i = 0; i < n_reports(); i++)
		cr_assert_eq((uintptr_t)reports[i].task, (uintptr_t)task_nap);
	engine_stop();
}

/* ---- whom it holds up ---- */

/* Waits for a thread of the test's own: ended from outside. */
static int act_await_room(void *arg)
{
	return act_sending(arg);
}

Test(stuck, tells_how_many_turns_it_holds_up, .timeout = HANG)
{
	struct stall stall = {0}, drain = {0};
	struct sending sending[3];
	rota_id full;

	/* One worker's thread has the waits; the other one ends them. */
	start(2, AFTER);
	full = puppet_spawn(NULL, 1);
	stall_start(&drain, full);
	fill(full, 1);
	for (size_t i = 0; i < 3; i++) {
		uint64_t waits = counters().waits;

		sending[i] = sending_to(full, 1, i);
		ACTS(puppet_spawn(NULL, 1), act_await_room, &sending[i]);
		AWAIT(counters().waits > waits);
	}
	stall_start(&stall, puppet_spawn(NULL, 1));
	flag_raise(&drain.go);
	AWAIT(n_reports() >= 1 && reports[n_reports() - 1].held_up == 3);
	for (size_t i = 0; i < 3; i++)
		cr_assert_not(flag_is_up(&sending[i].ended));
	flag_raise(&stall.go);
	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(sending_puppet_result(&sending[i]), 0);
	quiesce();
	engine_stop();
}

/* ---- what may not be called from there ---- */

/* What they returned, on the thread that watches. Written before it counts. */
struct watcher_calls {
	AO_t n;
	int stop;
	int quiesce;
	int report;
	long thread;
};

static struct watcher_calls from_stuck, from_log;

static void call_from(struct watcher_calls *calls)
{
	if (AO_load(&calls->n) > 0)
		return;
	calls->stop = rota_stop(engine, ROTA_S(1));
	calls->report = rota_stop_report(engine, ROTA_S(1), NULL);
	calls->quiesce = rota_quiesce(engine, ROTA_FOREVER);
	calls->thread = thread_number();
	AO_fetch_and_add_release(&calls->n, 1);
}

static void stop_from_stuck(void *context, const struct rota_stuck *report)
{
	(void)context, (void)report;
	call_from(&from_stuck);
}

static void stop_from_log(void *context, enum rota_log_level level,
			  const char *text)
{
	(void)context, (void)level, (void)text;
	call_from(&from_log);
}

static void expect_refused(struct watcher_calls *calls)
{
	AWAIT(AO_load_acquire(&calls->n) >= 1);
	cr_assert_eq(calls->stop, -EDEADLK, "%d", calls->stop);
	cr_assert_eq(calls->report, -EDEADLK, "%d", calls->report);
	cr_assert_eq(calls->quiesce, -EDEADLK, "%d", calls->quiesce);
}

Test(stuck, who_watches_does_not_stop_the_engine, .timeout = HANG)
{
	struct rota_config config = test_config(2);
	struct stall stall = {0};

	config.stuck_after = AFTER;
	config.stuck = stop_from_stuck;
	config.log = stop_from_log;
	engine = engine_make(&config);
	stall_start(&stall, puppet_spawn(NULL, 1));
	expect_refused(&from_log);
	expect_refused(&from_stuck);
	cr_assert_eq(from_log.thread, from_stuck.thread);
	cr_assert_neq(from_log.thread, thread_number());
	flag_raise(&stall.go);
	quiesce(); /* nothing was done */
	engine_stop();
}

/* One that it does not watch is another matter, but for driving it. */
static rota_engine *other;
static int drives;

static void stop_other(void *context, const struct rota_stuck *report)
{
	(void)context, (void)report;
	if (AO_load(&from_stuck.n) > 0)
		return;
	drives = rota_run_some(other, 1);
	from_stuck.quiesce = rota_quiesce(other, ROTA_S(10));
	from_stuck.stop = rota_stop(other, ROTA_S(10));
	AO_fetch_and_add_release(&from_stuck.n, 1);
}

Test(stuck, but_may_stop_another, .timeout = HANG)
{
	struct rota_config config = test_config(1);
	struct stall stall = {0};

	config.flags = ROTA_RUN_HERE;
	other = engine_make(&config);
	config.flags = 0;
	config.stuck_after = AFTER;
	config.stuck = stop_other;
	engine = engine_make(&config);
	stall_start(&stall, puppet_spawn(NULL, 1));
	AWAIT(AO_load_acquire(&from_stuck.n) >= 1);
	cr_assert_eq(drives, -EDEADLK, "%d", drives);
	cr_assert_eq(from_stuck.quiesce, 0);
	cr_assert_eq(from_stuck.stop, 0);
	flag_raise(&stall.go);
	quiesce();
	engine_stop();
}

/* On the thread that drives, between two turns. */
Test(stuck, nor_does_a_host_while_it_drives, .timeout = HANG)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	struct rota_config config = test_config(1);
	struct puppet puppet = {NULL};
	struct stall stall = {0};

	config.flags = ROTA_RUN_HERE;
	config.stuck_after = AFTER;
	config.stuck = stop_from_stuck;
	config.log = stop_from_log;
	engine = engine_make(&config);
	options.flags = ROTA_OWN_THREAD;
	ACTS(rota_spawn(engine, &puppet_behaviour, &puppet, &options),
	     act_compute, &stall);
	AWAIT(rota_run_some(engine, 1) >= 0 &&
	      AO_load_acquire(&from_stuck.n) >= 1);
	expect_refused(&from_log);
	expect_refused(&from_stuck);
	flag_raise(&stall.go);
	quiesce();
	engine_stop();
}
