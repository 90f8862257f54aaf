/* SPDX-License-Identifier: MIT */
/*
 * drive - is a crew without threads run, turn by turn, by whoever may?
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>

#include "sched/drive.h"
#include "tests/check.h"

#define N_TASKS 20

static struct crew crew;
static unsigned n_run, n_rests, n_ticks, ticks_left;

struct job {
	struct task task;
	struct wait_ticket ticket; /* of its wait, if it waits */
	uint64_t deadline_ns;
	bool waits;
	int result;
};

static void run_job(struct task *task, struct worker *worker)
{
	struct job *job = (struct job *)task;

	n_run++;
	cr_assert_eq(worker, worker_current);
	if (!job->waits)
		return;
	cr_assert_eq(worker_prepare_block(worker), 0);
	cr_assert(wait_begin(&worker->stack->wait, &job->ticket));
	worker_block(worker, job->ticket, job->deadline_ns);
	job->result = wait_end(job->ticket.wait);
	n_run++;
}

static bool is_fresh(const struct task *task)
{
	(void)task;
	return true;
}

static struct task_class class = {.run = run_job, .is_fresh = is_fresh};

static void rest(struct worker *worker)
{
	(void)worker;
	n_rests++;
}

static bool tick(struct crew *of, uint64_t now_ns)
{
	(void)of;
	n_ticks++;
	if (now_ns != 0 || ticks_left == 0)
		return false;
	ticks_left--;
	return true;
}

static void start(void)
{
	const struct crew_options options = {
		.driven = true,
		.stack_size = 65536,
		.worker_size = sizeof(struct worker),
		.rest = rest,
		.tick = tick,
	};

	cr_assert_eq(crew_init(&crew, &options), 0);
	cr_assert_eq(crew_slots(&crew), 1);
	cr_assert_eq(crew_start(&crew), 0);
}

static void end(void)
{
	cr_assert_eq(crew_stop(&crew, 0), 0);
	cr_assert(crew_release(&crew));
	crew_fini(&crew);
}

static bool is_readable(void)
{
	struct pollfd at = {.fd = crew.workers[0]->park.epoll,
			    .events = POLLIN};

	return poll(&at, 1, 0) == 1;
}

/* True if there may be more. */
static bool drive(AO_t n_turns)
{
	bool more;

	cr_assert_eq(drive_take(&crew), DRIVE_OURS);
	more = drive_run(&crew, n_turns, 0);
	cr_assert_null(worker_current);
	drive_give(&crew);
	return more;
}

static void inject(struct job *job)
{
	job->task.class = &class;
	crew_inject(&crew, &job->task);
}

Test(drive, runs_so_many_turns, .init = start, .fini = end)
{
	static struct job jobs[N_TASKS];

	cr_assert(is_readable());
	cr_assert(!drive(DRIVE_ALL));
	cr_assert(!is_readable());
	cr_assert_gt(n_rests, 0);
	for (int i = 0; i < N_TASKS; i++)
		inject(&jobs[i]);
	cr_assert(is_readable());
	for (unsigned i = 1; i <= N_TASKS; i++) {
		cr_assert(drive(1));
		cr_assert_eq(n_run, i);
		cr_assert(is_readable());
	}
	cr_assert(!drive(1));
	cr_assert(!is_readable());
}

Test(drive, a_time_that_is_over_allows_one_turn, .init = start, .fini = end)
{
	static struct job jobs[N_TASKS];

	for (int i = 0; i < N_TASKS; i++)
		inject(&jobs[i]);
	cr_assert_eq(drive_take(&crew), DRIVE_OURS);
	cr_assert(drive_run(&crew, DRIVE_ALL, 1));
	cr_assert_eq(n_run, 1);
	drive_give(&crew);
	cr_assert(is_readable(), "by ourselves: it was taken out before");
	drive(DRIVE_ALL);
	cr_assert_eq(n_run, N_TASKS);
}

Test(drive, a_stack_that_waits_counts_as_standing, .init = start, .fini = end)
{
	static struct job job = {.waits = true, .deadline_ns = CLOCK_NEVER};

	inject(&job);
	cr_assert(!drive(DRIVE_ALL));
	cr_assert_eq(crew.workers[0]->n_standing, 1);
	cr_assert(!is_readable());
	cr_assert(wait_claim(job.ticket));
	wait_finish(job.ticket.wait, 7);
	cr_assert(is_readable());
	cr_assert(!drive(DRIVE_ALL));
	cr_assert_eq(job.result, 7);
	cr_assert_eq(crew.workers[0]->n_standing, 0);
}

Test(drive, its_deadline_is_in_the_descriptor, .init = start, .fini = end)
{
	static struct job job = {.waits = true};
	struct pollfd at = {.events = POLLIN};

	job.deadline_ns = clock_ns() + 10000000;
	inject(&job);
	do {
		while (drive(DRIVE_ALL))
			;
		at.fd = crew.workers[0]->park.epoll;
	} while (job.result == 0 && poll(&at, 1, 60000) == 1);
	cr_assert_eq(job.result, -ETIMEDOUT);
	cr_assert_geq(clock_ns(), job.deadline_ns);
}

Test(drive, does_not_sleep_before_ticks_have_an_end, .init = start, .fini = end)
{
	ticks_left = 5;
	cr_assert(drive(3));
	cr_assert(is_readable());
	cr_assert(!drive(DRIVE_ALL));
	cr_assert_eq(ticks_left, 0);
	cr_assert_geq(n_ticks, 6);
}

static void *take_elsewhere(void *result)
{
	*(enum drive_take *)result = drive_take(&crew);
	if (*(enum drive_take *)result == DRIVE_OURS) {
		drive_run(&crew, DRIVE_ALL, 0);
		drive_give(&crew);
	}
	return NULL;
}

static enum drive_take elsewhere(void)
{
	enum drive_take result = DRIVE_BUSY;
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, take_elsewhere, &result), 0);
	pthread_join(thread, NULL);
	return result;
}

Test(drive, belongs_to_one_thread_at_a_time, .init = start, .fini = end)
{
	static struct job job = {.waits = true, .deadline_ns = CLOCK_NEVER};

	cr_assert_eq(drive_take(&crew), DRIVE_OURS);
	cr_assert_eq(elsewhere(), DRIVE_BUSY);
	drive_give(&crew);
	cr_assert(drive_is_mine(&crew));
	cr_assert_eq(elsewhere(), DRIVE_OURS);
	cr_assert(!drive_is_mine(&crew));
	inject(&job);
	drive(DRIVE_ALL);
	cr_assert(drive_is_mine(&crew));
	cr_assert_eq(elsewhere(), DRIVE_ELSEWHERE);
	cr_assert(drive_is_mine(&crew));
	cr_assert(wait_claim(job.ticket));
	wait_finish(job.ticket.wait, 1);
	cr_assert_eq(elsewhere(), DRIVE_ELSEWHERE, "not gone on yet");
	drive(DRIVE_ALL);
	cr_assert_eq(elsewhere(), DRIVE_OURS);
	cr_assert_eq(drive_take(&crew), DRIVE_OURS);
	drive_give(&crew);
}

Test(drive, a_stop_runs_what_is_left, .init = start)
{
	static struct job jobs[N_TASKS];

	for (int i = 0; i < N_TASKS; i++)
		inject(&jobs[i]);
	end();
	cr_assert_eq(n_run, N_TASKS);
}

Test(drive, a_stop_does_not_wait_for_ever, .init = start)
{
	static struct job job = {.waits = true, .deadline_ns = CLOCK_NEVER};

	inject(&job);
	drive(DRIVE_ALL);
	cr_assert_eq(crew_stop(&crew, 5000000), 1);
	cr_assert(!crew_release(&crew));
}
