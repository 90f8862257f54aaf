/* SPDX-License-Identifier: MIT */
/*
 * roster - do duties change as they should, and the number as asked for?
 *
 * Most tests play workers and a clock; in the last ones threads run. The limits
 * are constants of the source, which is why it is included.
 */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sched/roster.c"
#include "tests/unit/stage.h"

static unsigned n_members(void)
{
	return (unsigned)AO_load(&crew.idle.xn_members);
}

/* ---- duties ---- */

Test(roster, the_first_workers_are_on_duty, .init = begin, .fini = end)
{
	cr_assert_eq(crew_slots(&crew), 2);
	cr_assert_eq(n_dressed, 2);
	cr_assert_eq(roster_target(&crew.roster), 2);
	for (unsigned i = 0; i < 2; i++) {
		cr_assert_eq(roster_duty(crew.workers[i]), DUTY_ACTIVE);
		cr_assert(crew.workers[i]->is_member);
		cr_assert_eq(roster_regular(&crew.roster, i), crew.workers[i]);
	}
	cr_assert_null(roster_regular(&crew.roster, 2));
	cr_assert_eq(n_members(), 2);
}

Test(roster, who_is_to_leave_takes_notice_and_is_no_member, .init = begin,
     .fini = end)
{
	cr_assert_eq(roster_set(&crew, 1), 0);
	cr_assert_eq(roster_target(&crew.roster), 1);
	cr_assert_eq(roster_duty(one), DUTY_ACTIVE);
	cr_assert_eq(roster_duty(two), DUTY_RETIRING);
	cr_assert_eq(n_members(), 2, "it does not know yet");
	roster_look(two);
	cr_assert_eq(roster_duty(two), DUTY_RETIRED);
	cr_assert_not(two->is_member);
	cr_assert_eq(n_members(), 1);
	roster_look(two);
	cr_assert_eq(n_members(), 1, "once is enough");
}

Test(roster, who_was_to_leave_may_stay, .init = begin, .fini = end)
{
	cr_assert_eq(roster_set(&crew, 1), 0);
	cr_assert_eq(roster_set(&crew, 2), 0);
	cr_assert_eq(roster_duty(two), DUTY_ACTIVE);
	roster_look(two);
	cr_assert(two->is_member);
	cr_assert_eq(n_members(), 2);
}

Test(roster, who_has_left_may_come_back, .init = begin, .fini = end)
{
	cr_assert_eq(roster_set(&crew, 1), 0);
	roster_look(two);
	cr_assert_eq(roster_set(&crew, 2), 0);
	cr_assert_eq(roster_duty(two), DUTY_ACTIVE);
	cr_assert_eq(n_members(), 1, "it does not know yet");
	roster_look(two);
	cr_assert(two->is_member);
	cr_assert_eq(n_members(), 2);
}

Test(roster, numbers_out_of_range_are_refused, .init = begin, .fini = end)
{
	cr_assert_eq(roster_set(&crew, 0), -EINVAL);
	cr_assert_eq(roster_set(&crew, WORKERS_MAX + 1), -EINVAL);
	roster_close(&crew);
	cr_assert_eq(roster_set(&crew, 1), -ESRCH);
	cr_assert_eq(roster_target(&crew.roster), 2);
	cr_assert_eq(roster_duty(two), DUTY_ACTIVE);
}

/* ---- the end of a thread ---- */

static void retire(void)
{
	cr_assert_eq(roster_set(&crew, 1), 0);
	roster_look(two);
}

Test(roster, a_thread_ends_some_time_after_it_has_retired, .init = begin,
     .fini = end)
{
	cr_assert_not(roster_may_end(two), "it is on duty");
	retire();
	cr_assert_eq(roster_patience(two), KEEP_NS);
	cr_assert_not(roster_may_end(two));
	now_ns += KEEP_NS - 1;
	cr_assert_eq(roster_patience(two), 1);
	cr_assert_not(roster_may_end(two));
	now_ns++;
	cr_assert(roster_may_end(two));
	cr_assert_eq(roster_duty(two), DUTY_ENDING);
	cr_assert_eq(AO_load(&crew.roster.xn_ending), 1);
}

Test(roster, not_while_turns_wait_on_it, .init = begin, .fini = end)
{
	retire();
	now_ns += KEEP_NS;
	two->n_standing = 1;
	cr_assert_eq(roster_patience(two), -1);
	cr_assert_not(roster_may_end(two));
	two->n_standing = 0;
	cr_assert(roster_may_end(two));
}

static void ring(struct worker *worker, struct alarm *alarm)
{
	(void)worker;
	(void)alarm;
}

Test(roster, not_while_an_alarm_is_set, .init = begin, .fini = end)
{
	struct alarm alarm = {.ring = ring};

	retire();
	now_ns += KEEP_NS;
	worker_set_alarm(two, &alarm, now_ns + 1000000000);
	cr_assert_eq(roster_patience(two), -1);
	cr_assert_not(roster_may_end(two));
	cr_assert(clockwork_clear(&two->clockwork, &alarm));
	cr_assert(roster_may_end(two));
}

Test(roster, not_while_somebody_is_about_to_set_one, .init = begin, .fini = end)
{
	struct worker *chosen = crew_choose_for_alarm(&crew, 1);

	cr_assert_eq(chosen, two);
	retire();
	now_ns += KEEP_NS;
	cr_assert_not(roster_may_end(two));
	clockwork_unclaim(&chosen->clockwork);
	cr_assert(roster_may_end(two));
	/* Nobody sets one there after that. */
	for (AO_t hint = 0; hint < 4; hint++) {
		chosen = crew_choose_for_alarm(&crew, hint);
		cr_assert_eq(chosen, one);
		clockwork_unclaim(&chosen->clockwork);
	}
}

Test(roster, not_if_it_was_called_back, .init = begin, .fini = end)
{
	retire();
	now_ns += KEEP_NS;
	cr_assert_eq(roster_set(&crew, 2), 0);
	cr_assert_not(roster_may_end(two));
}

Test(roster, not_by_itself_while_the_crew_stops, .init = begin, .fini = end)
{
	retire();
	now_ns += KEEP_NS;
	roster_close(&crew);
	cr_assert_not(roster_may_end(two));
}

/* ---- what it has ---- */

static unsigned n_rung;

static void run_nothing(struct task *task, struct worker *worker)
{
	(void)task;
	(void)worker;
}

static struct task_class class = {.run = run_nothing, .xmean_ns = 100};
static struct task tasks[4];

static void ring_and_push(struct worker *worker, struct alarm *alarm)
{
	(void)alarm;
	n_rung++;
	worker_push_next(worker, &tasks[3]);
}

static void retire_with_tasks(void)
{
	for (unsigned i = 0; i < 4; i++)
		tasks[i] = (struct task){.class = &class};
	worker_push_last(two, &tasks[0]);
	worker_push_last(two, &tasks[1]);
	cr_assert_eq(roster_set(&crew, 1), 0);
	two->countdown = 1;
}

Test(roster, who_retires_runs_no_more_and_keeps_nothing, .init = begin,
     .fini = end)
{
	retire_with_tasks();
	cr_assert_eq(worker_step(two), STEP_IDLE);
	cr_assert_eq(roster_duty(two), DUTY_RETIRED);
	cr_assert_eq(worker_backlog(two), 0);
	cr_assert_eq(nodes_length(&crew.nodes), 2);
	/* Nor does it take what others could. */
	cr_assert_eq(worker_step(two), STEP_IDLE);
	cr_assert_eq(nodes_length(&crew.nodes), 2);
	/* What comes later goes the same way. */
	worker_push_next(two, &tasks[2]);
	cr_assert_eq(worker_step(two), STEP_IDLE);
	cr_assert_eq(nodes_length(&crew.nodes), 3);
}

Test(roster, who_has_retired_rings_its_alarms, .init = begin, .fini = end)
{
	struct alarm alarm = {.ring = ring_and_push};

	n_rung = 0;
	retire_with_tasks();
	clockwork_set(&two->clockwork, &alarm, now_ns + 100000);
	cr_assert_eq(worker_step(two), STEP_IDLE);
	cr_assert_eq(n_rung, 0);
	now_ns += 1000000;
	cr_assert_eq(worker_step(two), STEP_IDLE);
	cr_assert_eq(n_rung, 1);
	cr_assert_eq(nodes_length(&crew.nodes), 3);
}

Test(roster, who_comes_back_takes_tasks_again, .init = begin, .fini = end)
{
	retire_with_tasks();
	cr_assert_eq(worker_step(two), STEP_IDLE);
	cr_assert_eq(roster_set(&crew, 2), 0);
	cr_assert_eq(worker_step(two), STEP_RAN);
}

/* ---- with threads ---- */

static void start(void)
{
	begin_with("core:2 pu:1", 1);
	cr_assert_eq(crew_start(&crew), 0);
}

static void stop(void)
{
	cr_assert_eq(crew_stop(&crew, INT64_MAX), 0);
	cr_assert(crew_release(&crew));
	crew_fini(&crew);
}

static unsigned n_present(void)
{
	return AO_int_load_acquire(&crew.xpresent) - 1;
}

static void await_present(unsigned n)
{
	while (n_present() != n)
		sched_yield();
}

Test(roster, places_are_shared_where_there_are_no_more, .init = start,
     .fini = stop, .timeout = 60)
{
	cr_assert_eq(roster_set(&crew, 5), 0);
	cr_assert_eq(crew_slots(&crew), 5);
	cr_assert_eq(crew.places.n_places, 2);
	for (unsigned i = 0; i < 5; i++)
		cr_assert_eq(AO_load(&crew.workers[i]->xplace), i % 2);
	cr_assert_eq(n_present(), 5);
	cr_assert_eq(roster_set(&crew, 1), 0);
	await_present(1);
	cr_assert_eq(roster_set(&crew, 4), 0);
	cr_assert_eq(crew_slots(&crew), 5, "slots are used again");
	cr_assert_eq(n_present(), 4);
}

/* ---- the quota ---- */

static char root[32];

static void put(const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s%s", root, name);
	file = fopen(path, "w");
	cr_assert_not_null(file, "%s", path);
	fputs(text, file);
	fclose(file);
}

static void make_folders(void)
{
	static const char *const folders[] = {"/proc", "/proc/self", "/sys",
					      "/sys/fs", "/sys/fs/cgroup"};
	char path[128];

	strcpy(root, "/tmp/rota-XXXXXX");
	cr_assert_not_null(mkdtemp(root));
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", root, folders[i]);
		mkdir(path, 0700);
	}
	put("/proc/self/cgroup", "0::/\n");
	put("/proc/self/mountinfo",
	    "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
}

static void remove_folders(void)
{
	static const char *const names[] = {"/sys/fs/cgroup/cpu.max",
					    "/sys/fs/cgroup",
					    "/sys/fs",
					    "/sys",
					    "/proc/self/mountinfo",
					    "/proc/self/cgroup",
					    "/proc/self",
					    "/proc",
					    ""};
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", root, names[i]);
		remove(path);
	}
}

/* At this time the monitor looks: who stays or leaves is told, no more. */
static void look_at_quota(const char *quota, unsigned expected)
{
	put("/sys/fs/cgroup/cpu.max", quota);
	now_ns += REREAD_NS - 1;
	roster_tick(&crew, now_ns);
	now_ns++;
	roster_tick(&crew, now_ns);
	cr_assert_eq(roster_target(&crew.roster), expected, "%s: %u", quota,
		     roster_target(&crew.roster));
	for (unsigned i = 0; i < crew_slots(&crew); i++)
		cr_assert_eq(roster_duty(crew.workers[i]) == DUTY_ACTIVE,
			     i < expected);
}

Test(roster, the_number_follows_the_quota)
{
	make_folders();
	begin_with("core:4 pu:1", 4);
	crew.options.root = root;
	crew.chance.now_ns = play_clock;
	crew.roster.is_open = true;
	look_at_quota("100000 100000\n", 4);
	/* As if it had been planned so. */
	crew.places.follows_quota = true;
	look_at_quota("100000 100000\n", 1);
	look_at_quota("250000 100000\n", 3);
	look_at_quota("max 100000\n", 4);
	/* Until somebody says how many. */
	cr_assert_eq(roster_set(&crew, 2), 0);
	look_at_quota("100000 100000\n", 2);
	end();
	remove_folders();
}

/* Not more often than that, however often it ticks. */
Test(roster, the_quota_is_not_read_at_each_tick)
{
	make_folders();
	begin_with("core:4 pu:1", 4);
	crew.options.root = root;
	crew.chance.now_ns = play_clock;
	crew.roster.is_open = true;
	crew.places.follows_quota = true;
	look_at_quota("200000 100000\n", 2);
	put("/sys/fs/cgroup/cpu.max", "300000 100000\n");
	now_ns += REREAD_NS / 2;
	roster_tick(&crew, now_ns);
	cr_assert_eq(roster_target(&crew.roster), 2);
	now_ns += REREAD_NS / 2;
	roster_tick(&crew, now_ns);
	cr_assert_eq(roster_target(&crew.roster), 3);
	end();
	remove_folders();
}
