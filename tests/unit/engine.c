/* SPDX-License-Identifier: MIT */
/*
 * engine - starting and stopping: what rota_start() and rota_stop() promise
 */
#include <signal.h>

#include "tests/unit/threads.h"

Test(engine, starts_with_all_defaults, .timeout = HANG)
{
	rota_engine *started = rota_start(NULL);

	cr_assert_not_null(started);
	cr_assert_gt(rota_workers(started), 0);
	cr_assert_eq(rota_stop(started, PATIENCE), 0);
}

Test(engine, has_the_workers_it_was_asked_for, .timeout = HANG)
{
	static const unsigned workers[] = {1, 2, 3, 8, 64};
	struct record *record = calloc(1, sizeof(*record));

	for (size_t i = 0; i < sizeof(workers) / sizeof(workers[0]); i++) {
		engine_start(workers[i]);
		cr_assert_eq(rota_workers(engine), workers[i]);
		cr_assert_eq(send_value(puppet_spawn(record, 0), 1, 2), 0);
		quiesce();
		cr_assert_eq(tally_of(&record->n), i + 1);
		engine_stop();
	}
	free(record);
}

Test(engine, takes_its_workers_from_the_environment, .timeout = HANG)
{
	struct rota_config config = ROTA_CONFIG_INIT;

	setenv("ROTA_WORKERS", "3", 1);
	engine = engine_make(NULL);
	cr_assert_eq(rota_workers(engine), 3);
	engine_stop();
	config.workers = 2; /* what the program says goes first */
	engine = engine_make(&config);
	cr_assert_eq(rota_workers(engine), 2);
	engine_stop();
}

Test(engine, stop_of_no_engine_does_nothing)
{
	cr_assert_eq(rota_stop(NULL, ROTA_NOW), 0);
	cr_assert_eq(rota_stop(NULL, ROTA_FOREVER), 0);
}

Test(engine, an_idle_one_stops_without_being_given_time, .timeout = HANG)
{
	engine_start(2);
	quiesce(); /* so that no handler has to be given time */
	cr_assert_eq(rota_stop(engine, ROTA_NOW), 0);
}

static char last_line[256];

static void note_line(void *context, enum rota_log_level level,
		      const char *line)
{
	(void)context;
	(void)level;
	strncpy(last_line, line, sizeof(last_line) - 1);
}

/* Refused, and the log names the option. */
static void expect_fault(struct rota_config *config, const char *option)
{
	config->log = note_line;
	last_line[0] = '\0';
	errno = 0;
	cr_assert_null(rota_start(config));
	cr_assert_eq(errno, EINVAL);
	cr_assert(strncmp(last_line, option, strlen(option)) == 0, "%s: %s",
		  option, last_line);
}

static void *refuse_to_map(void *context, size_t size)
{
	(void)context;
	(void)size;
	return NULL;
}

Test(engine, refuses_options_out_of_range)
{
	struct rota_config config = test_config(1);

	config.mailbox = ROTA_MAX_MAILBOX + 1;
	expect_fault(&config, "rota_config.mailbox");
	config = test_config(1025);
	expect_fault(&config, "rota_config.workers");
	config = test_config(2);
	config.flags = ROTA_RUN_HERE;
	expect_fault(&config, "rota_config.workers");
	config = test_config(1);
	config.spares = 1025;
	expect_fault(&config, "rota_config.spares");
	config = test_config(1);
	config.offload_threads = 1025;
	expect_fault(&config, "rota_config.offload_threads");
	config = test_config(1);
	config.flags = 1u << 31;
	expect_fault(&config, "rota_config.flags");
	config = test_config(1);
	config.flags = ROTA_CHAINS | ROTA_NO_CHAINS;
	expect_fault(&config, "rota_config.flags: not both");
	config = test_config(1);
	config.allocator.map = refuse_to_map;
	expect_fault(&config, "rota_config.allocator");
	config = test_config(1);
	config.stuck_after = -1;
	expect_fault(&config, "rota_config.stuck_after");
	config = test_config(1);
	config.ask_within = -1;
	expect_fault(&config, "rota_config.ask_within");
}

Test(engine, leaves_nothing_behind, .timeout = HANG)
{
	struct record *record = calloc(1, sizeof(*record));
	struct sigaction before;
	struct sigaction after;
	unsigned threads = n_threads_before();
	unsigned descriptors;

	/* Once, so that what libraries open for good is open. */
	engine_start(4);
	engine_stop();
	descriptors = n_descriptors();
	cr_assert_eq(sigaction(SIGSEGV, NULL, &before), 0);
	for (int i = 0; i < 3; i++) {
		struct hold hold = {0};

		engine_start(4);
		cr_assert_eq(send_value(puppet_spawn(record, 0), 1, 2), 0);
		hold_start(&hold, puppet_spawn(NULL, 0));
		cr_assert_eq(rota_join(hold.gate, ROTA_MS(1), NULL),
			     -ETIMEDOUT);
		cr_assert_eq(sigaction(SIGSEGV, NULL, &after), 0);
		cr_assert(before.sa_handler == after.sa_handler);
		engine_stop();
		AWAIT(n_threads() == threads);
		cr_assert_eq(n_descriptors(), descriptors);
	}
	free(record);
}

Test(engine, makes_no_thread_before_start)
{
	unsigned threads = n_threads();

	cr_assert_eq(rota_send(ROTA_NONE, 1, NULL, 0), -ESRCH);
	cr_assert_eq(rota_self(), ROTA_NONE);
	cr_assert_eq(n_threads(), threads);
}

/* There are 255 engine numbers; they must serve again and again. */
Test(engine, starts_and_stops_500_times, .timeout = HANG)
{
	struct record *record = calloc(1, sizeof(*record));
	/* Of numbers ThreadSanitizer says nothing. */
	size_t rounds = UNDER_TSAN ? 60 : SIZED(500, 300);

	for (size_t i = 0; i < rounds; i++) {
		engine_start(1 + (unsigned)i % 3);
		cr_assert_eq(send_value(puppet_spawn(record, 0), 1, i), 0);
		if (i % 2)
			quiesce();
		engine_stop();
	}
	cr_assert_eq(tally_of(&record->n) + n_dead(), rounds);
	cr_assert_eq(tally_of(&record->destroyed), rounds);
	free(record);
}

Test(engine, there_are_255_at_a_time, .timeout = HANG)
{
	rota_engine *made[256];
	struct rota_config config = test_config(1);
	size_t n = 0;

	if (UNDER_TSAN)
		cr_skip_test("no races here, and so many engines take long");
	while (n < 256 && (made[n] = rota_start(&config)))
		n++;
	cr_assert_eq(n, 255, "%zu engines, errno %d", n, errno);
	cr_assert_eq(errno, EUSERS);
	cr_assert_eq(rota_stop(made[100], PATIENCE), 0);
	made[100] = engine_make(&config);
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(rota_stop(made[i], PATIENCE), 0);
}

struct engine_calls {
	rota_engine *engine;
	int stop;
	int quiesce;
};

static int act_stop_engine(void *arg)
{
	struct engine_calls *calls = arg;

	calls->stop = rota_stop(calls->engine, ROTA_FOREVER);
	calls->quiesce = rota_quiesce(calls->engine, ROTA_FOREVER);
	return 0;
}

Test(engine, a_handler_cannot_stop_or_quiesce_it, .timeout = HANG)
{
	static struct record record;
	struct engine_calls calls = {0};
	rota_id id;

	engine_start(2);
	calls.engine = engine;
	id = puppet_spawn(&record, 0);
	ACTS(id, act_stop_engine, &calls);
	quiesce();
	cr_assert_eq(calls.stop, -EDEADLK);
	cr_assert_eq(calls.quiesce, -EDEADLK);
	cr_assert_eq(send_value(id, 1, 2), 0); /* nothing was done */
	quiesce();
	cr_assert_eq(tally_of(&record.n), 1);
	engine_stop();
}

Test(engine, stop_ends_every_actor, .timeout = HANG)
{
	static struct record record;
	struct rota_stop_report report = ROTA_STOP_REPORT_INIT;
	rota_id id[100];

	engine_start(2);
	for (size_t i = 0; i < 100; i++)
		id[i] = puppet_spawn(&record, 0);
	quiesce();
	cr_assert_eq(rota_stop_report(engine, PATIENCE, &report), 0);
	cr_assert_eq(tally_of(&record.destroyed), 100);
	cr_assert_eq(report.actors_stopped, 100);
	cr_assert_eq(report.dead_letters, 0);
	cr_assert_eq(report.stuck, 0);
	cr_assert_eq(report.bytes_kept, 0);
	for (size_t i = 0; i < 100; i++) {
		cr_assert_eq(send_value(id[i], 1, 1), -ESRCH);
		cr_assert_eq(rota_is_alive(id[i]), 0);
		cr_assert_eq(rota_join(id[i], ROTA_FOREVER, NULL), -ESRCH);
	}
}

Test(engine, stop_makes_dead_letters_of_what_is_queued, .timeout = HANG)
{
	static struct record record;
	struct rota_stop_report report = ROTA_STOP_REPORT_INIT;
	struct hold hold = {0};
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 64);
	hold_start(&hold, id);
	cr_assert_eq(fill(id, 1), 63);
	cr_assert_eq(rota_stop_report(engine, PATIENCE, &report), 0);
	cr_assert_eq(tally_of(&record.n), 0);
	cr_assert_eq(report.dead_letters, 63);
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_STOPPED]), 63);
	cr_assert_eq(n_dead(), 63);
	cr_assert(flag_is_up(&hold.ended));
	cr_assert_eq(hold.result, -ECANCELED);
}

Test(engine, stop_ends_the_waits_of_threads, .timeout = HANG)
{
	struct hold hold = {0};
	struct sending s;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 1);
	hold_start(&hold, id);
	s = sending_to(id, 1, 0);
	sending_in_thread(&s);
	engine_stop();
	sending_thread_result(&s);
	cr_assert(s.result == -ESHUTDOWN || s.result == -ESRCH, "%d", s.result);
}

/* One that never returns keeps its thread; the process goes on. */
Test(engine, stop_past_its_deadline_reports_who_is_stuck, .timeout = HANG)
{
	static struct stall stall;
	static struct record record;
	struct rota_stop_report report = ROTA_STOP_REPORT_INIT;
	rota_id stuck;
	rota_id other;

	engine_start(2);
	stuck = puppet_spawn(NULL, 0);
	other = puppet_spawn(&record, 0);
	stall_start(&stall, stuck);
	cr_assert_eq(send_value(stuck, 7, 7), 0);
	cr_assert_eq(rota_stop_report(engine, ROTA_MS(50), &report),
		     -ETIMEDOUT);
	cr_assert_eq(report.stuck, 1);
	cr_assert_eq(report.stuck_actor, stuck);
	cr_assert_eq(report.stuck_tag, ACT);
	cr_assert_gt(report.bytes_kept, 0);
	cr_assert_eq(send_value(stuck, 1, 1), -ESRCH);
	cr_assert_eq(send_value(other, 1, 1), -ESRCH);
	cr_assert_eq(tally_of(&record.destroyed), 1);

	engine_start(2);
	other = puppet_spawn(&record, 0);
	cr_assert_eq(send_value(other, 1, 1), 0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 1);
	flag_raise(&stall.go); /* it returns into an engine that is gone */
	AWAIT(flag_is_up(&stall.ended));
	cr_assert_eq(send_value(other, 1, 1), 0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 2);
	engine_stop();
}

static struct tally n_dropped;

static void note_drop(void *buffer, size_t length)
{
	(void)buffer;
	(void)length;
	tally_add(&n_dropped, 1);
}

/*
 * What is queued behind a handler that does not return is told and dropped by
 * the stop, not after it; so is the message in hand, and what lies at others
 * that had nobody to run them.
 */
Test(engine, stop_past_its_deadline_tells_what_was_not_handled, .timeout = HANG,
     .init = check_kernel)
{
	static char buffer[5];
	static struct stall stall;
	struct rota_stop_report report = ROTA_STOP_REPORT_INIT;
	rota_id stuck, other;

	engine_start(1);
	stuck = puppet_spawn(NULL, 0);
	other = puppet_spawn(NULL, 0);
	stall_start(&stall, stuck);
	for (uint64_t i = 0; i < 10; i++) {
		cr_assert_eq(send_value(stuck, 7, i), 0);
		cr_assert_eq(send_value(other, 7, i), 0);
	}
	for (size_t i = 0; i < sizeof(buffer); i++)
		cr_assert_eq(rota_send_own(stuck, 8, &buffer[i], 1, note_drop,
					   ROTA_NOW),
			     0);
	cr_assert_eq(rota_stop_report(engine, ROTA_MS(20), &report),
		     -ETIMEDOUT);
	cr_assert_eq(report.stuck, 1);
	cr_assert_eq(report.stuck_actor, stuck);
	cr_assert_eq(report.dead_letters, 26);
	cr_assert_eq(n_dead(), 26);
	cr_assert_eq(morgue.letter[0].tag, ACT);
	cr_assert_eq(morgue.letter[0].cause, ROTA_DEAD_ABANDONED);
	for (size_t i = 0; i < 10; i++)
		cr_assert_eq(morgue.letter[1 + i].value, i);
	cr_assert_eq(tally_of(&n_dropped), sizeof(buffer));
	flag_raise(&stall.go);
	AWAIT(flag_is_up(&stall.ended));
	cr_assert_eq(n_dead(), 26);
	cr_assert_eq(tally_of(&n_dropped), sizeof(buffer));
}

Test(engine, the_report_may_be_left_out, .timeout = HANG)
{
	engine_start(1);
	cr_assert_eq(rota_stop_report(engine, PATIENCE, NULL), 0);
}

static void expect_refusal(rota_engine *stopped)
{
	struct rota_stats sums = ROTA_STATS_INIT;
	rota_id id = rota_spawn(stopped, &puppet_behaviour, NULL, NULL);

	cr_assert_lt(rota_id_error(id), 0);
	cr_assert_lt(rota_send(id, 1, NULL, 0), 0);
	cr_assert_lt(rota_quiesce(stopped, ROTA_FOREVER), 0);
	cr_assert_lt(rota_stop(stopped, ROTA_FOREVER), 0);
	cr_assert_eq(rota_workers(stopped), 0);
	rota_stats(stopped, ROTA_STATS_ALL, &sums);
	cr_assert_eq(sums.spawned, 0);
}

Test(engine, a_stopped_one_refuses_calls, .timeout = HANG)
{
	rota_engine *stopped;

	engine_start(2);
	stopped = engine;
	(void)puppet_spawn(NULL, 0);
	engine_stop();
	expect_refusal(stopped);
}

/* An old handle must not become that of an engine started later: who stops
   twice by mistake would stop a stranger's. */
Test(engine, a_stopped_one_is_no_later_one, .timeout = HANG)
{
	rota_engine *stopped[20];

	for (int i = 0; i < 20; i++) {
		engine_start(1);
		stopped[i] = engine;
		engine_stop();
	}
	engine_start(1);
	(void)puppet_spawn(NULL, 0);
	for (int i = 0; i < 20; i++)
		expect_refusal(stopped[i]);
	cr_assert_eq(counters().spawned, 1);
	engine_stop();
}
