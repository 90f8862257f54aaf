/* SPDX-License-Identifier: MIT */
/*
 * places - do options and environment decide where an engine's workers sit, and
 * can it be seen?
 */
#include "tests/unit/support.h"

#include <rota/topology.h>

#define N_LINES 8

/* What the engine said. */
static struct {
	AO_TS_t lock;
	unsigned n;
	enum rota_log_level level[N_LINES];
	char line[N_LINES][512];
} diary = {.lock = AO_TS_INITIALIZER};

static void note(void *context, enum rota_log_level level, const char *line)
{
	(void)context;
	while (AO_test_and_set_acquire(&diary.lock) == AO_TS_SET)
		nap();
	if (diary.n < N_LINES) {
		diary.level[diary.n] = level;
		snprintf(diary.line[diary.n], sizeof(diary.line[0]), "%s",
			 line);
	}
	diary.n++;
	AO_CLEAR(&diary.lock);
}

static struct rota_config config;

static void begin(void)
{
	unsetenv("ROTA_WORKERS");
	unsetenv("ROTA_BIND");
	unsetenv("ROTA_TOPOLOGY");
	config = test_config(0);
	config.log = note;
}

static void begin_on(const char *machine)
{
	config.topology = machine;
	engine = engine_make(&config);
}

static char *printed(void)
{
	int length = rota_topology_print(engine, NULL, 0);
	char *text = malloc((size_t)length + 1);

	cr_assert_gt(length, 0);
	cr_assert_eq(rota_topology_print(engine, text, (size_t)length + 1),
		     length);
	cr_assert_eq(strlen(text), (size_t)length);
	return text;
}

static void expect_printed(const char *part)
{
	char *text = printed();

	cr_assert(strstr(text, part), "%s", text);
	free(text);
}

Test(places, the_plan_can_be_seen, .init = begin, .timeout = HANG)
{
	begin_on("pack:2 [numa] l3:1 core:2 pu:2");
	cr_assert_eq(rota_workers(engine), 4);
	expect_printed("4 workers for 4 cores on 4 cores, not bound (another "
		       "machine)\n");
	expect_printed("Core 3 (cpu 6-7): worker 3\n");
	expect_printed("worker 2, NUMA node 1, victims: cache 3; far 0 1\n");
	cr_assert_eq(diary.n, 0, "%s", diary.line[0]);
	engine_stop();
}

Test(places, the_machine_at_hand_can_be_seen, .init = begin, .timeout = HANG)
{
	engine = engine_make(&config);
	expect_printed("Machine 0\n");
	expect_printed("worker 0");
	engine_stop();
}

/* It is of the start, and says so; and what has become of it. */
Test(places, the_plan_stays_as_it_was, .init = begin, .timeout = HANG)
{
	char *before, *after;

	begin_on("core:2 pu:1");
	before = printed();
	cr_assert_eq(strncmp(before, "planned: 2 workers for 2 cores on ", 34),
		     0, "%s", before);
	cr_assert_null(strstr(before, "at present"), "%s", before);
	cr_assert_eq(rota_workers_set(engine, 5), 0);
	expect_printed("\nat present: 5 workers\n");
	cr_assert_eq(rota_workers_set(engine, 1), 0);
	expect_printed("\nat present: 1 worker\n");
	cr_assert_eq(rota_workers_set(engine, 2), 0);
	after = printed();
	cr_assert_str_eq(after, before);
	free(before);
	free(after);
	engine_stop();
}

Test(places, a_gone_engine_shows_nothing, .init = begin, .timeout = HANG)
{
	rota_engine *gone;
	char text[4] = "abc";

	begin_on("core:2 pu:1");
	gone = engine;
	engine_stop();
	cr_assert_eq(rota_topology_print(gone, text, sizeof(text)), -ESRCH);
	cr_assert_eq(rota_topology_print(NULL, text, sizeof(text)), -ESRCH);
	cr_assert_str_eq(text, "abc");
}

Test(places, a_short_buffer_is_not_overrun, .init = begin, .timeout = HANG)
{
	char text[12] = "###########";

	begin_on("core:2 pu:1");
	cr_assert_gt(rota_topology_print(engine, text, 10), 10);
	cr_assert_str_eq(text, "planned: ");
	cr_assert_eq(text[10], '#');
	engine_stop();
}

Test(places, a_worker_per_hardware_thread_if_asked_for, .init = begin,
     .timeout = HANG)
{
	config.flags = ROTA_EACH_THREAD;
	begin_on("core:2 pu:2");
	expect_printed("4 workers for 4 hardware threads on 2 cores, not bound "
		       "(another machine)");
	engine_stop();
	config.flags = ROTA_NO_BIND;
	begin_on("core:2 pu:2");
	expect_printed("2 workers for 2 cores on 2 cores, not bound");
	engine_stop();
	config.flags = 0;
	setenv("ROTA_BIND", "thread", 1);
	setenv("ROTA_TOPOLOGY", "core:3 pu:2", 1);
	begin_on(NULL);
	expect_printed("6 workers for 6 hardware threads on 3 cores, not bound "
		       "(another machine)");
	engine_stop();
	setenv("ROTA_WORKERS", "2", 1);
	begin_on(NULL);
	expect_printed("2 workers for 6 hardware threads on 3 cores, not bound "
		       "(another machine)");
	engine_stop();
}

/* Work gets everywhere, however far it is. */
Test(places, a_machine_with_many_distances_works, .init = begin,
     .timeout = HANG)
{
	enum { N = 2000 };

	begin_on("pack:2 numa:2 l3:2 core:2 pu:2");
	cr_assert_eq(rota_workers(engine), 16);
	for (unsigned i = 0; i < N; i++)
		cr_assert_eq(send_value(puppet_spawn(NULL, 0), 1, 2), 0);
	quiesce();
	cr_assert_eq(counters().messages, N);
	engine_stop();
}

/* The engine stops while threads send from outside to all nodes. */
static struct tally n_handled;

static int handle_by_counting(void *state, unsigned tag, void *payload,
			      size_t length)
{
	(void)state;
	(void)tag;
	(void)payload;
	(void)length;
	tally_add(&n_handled, 1);
	return 0;
}

static const struct rota_behaviour counting_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "counting",
	.handle = handle_by_counting,
};

struct sender {
	pthread_t thread;
	uint64_t n_accepted;
};

static void *thread_send_until_stop(void *arg)
{
	struct sender *sender = arg;
	rota_id to;

	for (;;) {
		to = rota_spawn(engine, &counting_behaviour, NULL, NULL);
		if (rota_id_error(to) || send_value(to, 1, 1) != 0)
			return NULL;
		sender->n_accepted++;
	}
}

Test(places, nothing_is_lost_on_any_node_at_a_stop, .init = begin,
     .timeout = HANG)
{
	struct sender sender[3] = {{0, 0}};
	struct rota_stop_report report = ROTA_STOP_REPORT_INIT;
	uint64_t n_accepted = 0;
	rota_engine *gone;

	config.dead_letter = bury;
	config.context = &morgue;
	config.log = NULL;
	begin_on("numa:4 core:2 pu:1");
	for (size_t i = 0; i < 3; i++)
		sender[i].thread =
			thread_start(thread_send_until_stop, &sender[i]);
	AWAIT(counters().messages > 1000);
	gone = engine;
	cr_assert_eq(rota_stop_report(gone, PATIENCE, &report), 0);
	for (size_t i = 0; i < 3; i++) {
		thread_join(sender[i].thread);
		n_accepted += sender[i].n_accepted;
	}
	cr_assert_gt(n_accepted, 1000);
	cr_assert_eq(tally_of(&n_handled) + n_dead(), n_accepted);
	cr_assert_leq(report.dead_letters, n_dead());
}

static void expect_refused(const char *name)
{
	diary.n = 0;
	errno = 0;
	cr_assert_null(rota_start(&config));
	cr_assert_eq(errno, EINVAL);
	cr_assert_eq(diary.n, 1);
	cr_assert_eq(diary.level[0], ROTA_LOG_ERROR);
	cr_assert(strstr(diary.line[0], name), "%s", diary.line[0]);
}

Test(places, nonsense_is_refused_and_the_log_says_where_it_is, .init = begin)
{
	setenv("ROTA_WORKERS", "many", 1);
	expect_refused("ROTA_WORKERS is \"many\"");
	unsetenv("ROTA_WORKERS");
	setenv("ROTA_BIND", "tightly", 1);
	expect_refused("ROTA_BIND is \"tightly\"");
	unsetenv("ROTA_BIND");
	setenv("ROTA_TOPOLOGY", "large", 1);
	expect_refused("ROTA_TOPOLOGY is \"large\"");
	config.topology = "small";
	expect_refused("the topology is \"small\"");
	/* None of it lasts. */
	begin_on("core:2 pu:1");
	engine_stop();
}

/* hwloc is told that processors are here which are not. */
Test(places, a_refused_binding_is_logged_and_no_more, .init = begin,
     .timeout = HANG)
{
	setenv("HWLOC_THISSYSTEM", "1", 1);
	begin_on("core:3 pu:1(indexes=4000,4001,4002)");
	cr_assert_eq(rota_workers(engine), 3);
	for (unsigned i = 0; i < 100; i++)
		cr_assert_eq(send_value(puppet_spawn(NULL, 0), 1, 2), 0);
	quiesce();
	cr_assert_eq(counters().messages, 100);
	engine_stop();
	cr_assert_eq(diary.n, 1);
	cr_assert_eq(diary.level[0], ROTA_LOG_WARNING);
	cr_assert(strstr(diary.line[0], "may not be bound to cpu 400"), "%s",
		  diary.line[0]);
}
