/* SPDX-License-Identifier: MIT */
/*
 * park - is every wake-up seen, and no sleep cut short?
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic_ops.h>

#include "sched/clock.h"
#include "sched/park.h"
#include "tests/check.h"

#define MS ((int64_t)1000000)
#define N_FDS 40

static struct park park;

static void start(void)
{
	cr_assert_eq(park_init(&park), 0);
}

static void start_coarse(void)
{
	start();
	park.is_coarse = true;
}

static void end(void)
{
	park_fini(&park);
}

static void early_wake(void)
{
	for (int i = 0; i < 100; i++) {
		cr_assert_eq(park_sleep(&park, 0), 0);
		for (int n = 0; n <= i % 3; n++)
			park_wake(&park);
		cr_assert_neq(park_sleep(&park, i % 2 ? -1 : 0), 0);
		cr_assert_eq(park_sleep(&park, 0), 0, "seen twice");
	}
}

Test(park, a_wake_before_the_sleep_counts_once, .init = start, .fini = end)
{
	early_wake();
}

Test(park, a_wake_before_the_sleep_counts_once_coarse, .init = start_coarse,
     .fini = end)
{
	early_wake();
}

static void sleeps_in_full(void)
{
	static const int64_t spans[] = {1, 1000, 999999, MS, MS + 1, 3 * MS};

	for (size_t i = 0; i < sizeof(spans) / sizeof(*spans); i++) {
		uint64_t before = clock_ns();

		cr_assert_eq(park_sleep(&park, spans[i]), 0);
		cr_assert_geq(clock_ns() - before, (uint64_t)spans[i]);
	}
}

Test(park, sleeps_in_full, .init = start, .fini = end)
{
	sleeps_in_full();
}

Test(park, sleeps_in_full_coarse, .init = start_coarse, .fini = end)
{
	sleeps_in_full();
}

static long n_times_blocked(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nvcsw;
}

/*
 * Looking again and again until the time has passed would be no sleep. Once in
 * a while the time may be over before the kernel has put us to sleep.
 */
static void sleeps_without_turning(void)
{
	for (int i = 0; i < 100; i++) {
		long before = n_times_blocked();

		cr_assert_eq(park_sleep(&park, MS - 100000), 0);
		if (n_times_blocked() > before)
			return;
	}
	cr_assert_fail("never slept");
}

Test(park, sleeps_without_turning, .init = start, .fini = end)
{
	sleeps_without_turning();
}

Test(park, sleeps_without_turning_coarse, .init = start_coarse, .fini = end)
{
	sleeps_without_turning();
}

static volatile sig_atomic_t n_signals;

static void on_signal(int number)
{
	(void)number;
	n_signals++;
}

static void signals_do_not_wake(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct itimerval often = {{0, 2000}, {0, 2000}};
	uint64_t before;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	while (n_signals < 3) {
		before = clock_ns();
		cr_assert_eq(park_sleep(&park, 20 * MS), 0);
		cr_assert_geq(clock_ns() - before, (uint64_t)(20 * MS));
	}
	often = (struct itimerval){{0, 0}, {0, 0}};
	setitimer(ITIMER_REAL, &often, NULL);
}

Test(park, signals_do_not_wake, .init = start, .fini = end)
{
	signals_do_not_wake();
}

Test(park, signals_do_not_wake_coarse, .init = start_coarse, .fini = end)
{
	signals_do_not_wake();
}

static AO_t xready;
static long n_blocked;

static void *sleep_for_ever(void *arg)
{
	AO_store(&xready, 1);
	*(int *)arg = park_sleep(&park, -1);
	n_blocked = n_times_blocked();
	return NULL;
}

/* The thread is all but sure to sleep when each signal comes. */
static void only_a_wake_ends_it(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	pthread_t thread;
	int woken = 0;

	sigaction(SIGUSR1, &action, NULL);
	pthread_create(&thread, NULL, sleep_for_ever, &woken);
	while (!AO_load(&xready))
		usleep(100);
	for (int i = 0; i < 5; i++) {
		usleep(1000);
		pthread_kill(thread, SIGUSR1);
	}
	usleep(20000);
	park_wake(&park);
	pthread_join(thread, NULL);
	cr_assert_neq(woken, 0);
	cr_assert_gt(n_blocked, 0);
}

Test(park, only_a_wake_ends_a_sleep_without_limit, .init = start, .fini = end)
{
	only_a_wake_ends_it();
}

Test(park, only_a_wake_ends_a_sleep_without_limit_coarse, .init = start_coarse,
     .fini = end)
{
	only_a_wake_ends_it();
}

struct side {
	struct park *mine;
	struct park *other;
	AO_t *xmine;  /* rounds that have come to me */
	AO_t *xother; /* and gone to the other */
};

#define N_ROUNDS 5000

/* A lost wake-up hangs, which the time-out of the test ends. */
static void *rally(void *arg)
{
	struct side *side = arg;

	for (AO_t i = 1; i <= N_ROUNDS; i++) {
		while (AO_load(side->xmine) < i)
			park_sleep(side->mine, -1);
		AO_store(side->xother, i + (side->mine == &park));
		park_wake(side->other);
	}
	return NULL;
}

Test(park, no_wake_is_lost_between_threads, .init = start, .fini = end,
     .timeout = 120)
{
	AO_t xping = 0, xpong = 1; /* pong serves */
	struct park second;
	struct side a = {&park, &second, &xping, &xpong};
	struct side b = {&second, &park, &xpong, &xping};
	pthread_t threads[2];

	cr_assert_eq(park_init(&second), 0);
	pthread_create(&threads[0], NULL, rally, &a);
	pthread_create(&threads[1], NULL, rally, &b);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	cr_assert_eq(AO_load(&xping), N_ROUNDS);
	park_fini(&second);
}

static void add_ready_descriptor(int pipe_of[2])
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = pipe_of};

	cr_assert_eq(pipe(pipe_of), 0);
	cr_assert_eq(write(pipe_of[1], "x", 1), 1);
	cr_assert_eq(epoll_ctl(park.epoll, EPOLL_CTL_ADD, pipe_of[0], &event),
		     0);
}

Test(park, a_ready_descriptor_ends_the_sleep, .init = start, .fini = end)
{
	int pipe_of[2];

	add_ready_descriptor(pipe_of);
	cr_assert_eq(park_sleep(&park, -1), 0);
	park_wake(&park);
	cr_assert_neq(park_sleep(&park, -1), 0);
	cr_assert_eq(park_sleep(&park, -1), 0);
	close(pipe_of[0]);
	close(pipe_of[1]);
}

Test(park, busy_descriptors_do_not_hide_a_wake, .init = start, .fini = end)
{
	int pipes[N_FDS][2];
	int n_calls = 1;

	for (int i = 0; i < N_FDS; i++)
		add_ready_descriptor(pipes[i]);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(park_sleep(&park, -1), 0);
	park_wake(&park);
	while (!park_sleep(&park, -1))
		cr_assert_lt(++n_calls, 10);
	for (int i = 0; i < N_FDS; i++) {
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
}

static int n_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

Test(park, descriptors_are_closed_on_exec_and_at_the_end)
{
	int before = n_descriptors();

	start();
	cr_assert_eq(n_descriptors(), before + 2);
	cr_assert(fcntl(park.epoll, F_GETFD) & FD_CLOEXEC);
	cr_assert(fcntl(park.event, F_GETFD) & FD_CLOEXEC);
	end();
	cr_assert_eq(n_descriptors(), before);
}

Test(park, too_many_descriptors_are_an_error)
{
	struct rlimit limit, low;
	int before = n_descriptors();
	int first = dup(0);

	close(first);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (rlim_t room = 0; room < 2; room++) {
		int r;

		low = limit;
		low.rlim_cur = (rlim_t)first + room;
		cr_assert_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
		r = park_init(&park);
		cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
		cr_assert_eq(r, -EMFILE, "%d with room for %d", r, (int)room);
		cr_assert_eq(n_descriptors(), before);
	}
}

static unsigned xword;
static AO_t n_awake;

static void *wait_for_word(void *arg)
{
	while (AO_int_load(&xword) == 0)
		cr_assert_eq(futex_wait(&xword, 0, arg ? 1000000 * MS : -1), 0);
	AO_fetch_and_add1(&n_awake);
	return NULL;
}

Test(park, futex_wakes_all)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, wait_for_word,
			       i % 2 ? &xword : NULL);
	usleep(2000);
	cr_assert_eq(AO_load(&n_awake), 0);
	AO_int_store(&xword, 1);
	futex_wake(&xword, INT_MAX);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	cr_assert_eq(AO_load(&n_awake), 4);
}

Test(park, futex_times_out)
{
	static const int64_t spans[] = {0, 1, 1000, 3 * MS};

	for (size_t i = 0; i < sizeof(spans) / sizeof(*spans); i++) {
		uint64_t before = clock_ns();

		cr_assert_eq(futex_wait(&xword, 0, spans[i]), -ETIMEDOUT);
		cr_assert_geq(clock_ns() - before, (uint64_t)spans[i]);
	}
}

Test(park, futex_does_not_sleep_on_another_value)
{
	cr_assert_eq(futex_wait(&xword, 1, -1), 0);
	cr_assert_eq(futex_wait(&xword, 1, 1000000 * MS), 0);
}

/* ---- for others to sleep on ---- */

static bool is_readable(int ms)
{
	struct pollfd at = {.fd = park.epoll, .events = POLLIN};

	return poll(&at, 1, ms) == 1;
}

static void start_timed(void)
{
	start();
	cr_assert_eq(park_add_timer(&park), 0);
}

Test(park, a_wake_is_readable_until_it_is_seen, .init = start_timed,
     .fini = end)
{
	for (int i = 0; i < 20; i++) {
		cr_assert(!is_readable(0));
		for (int n = 0; n <= i % 3; n++)
			park_wake(&park);
		cr_assert(is_readable(0) && is_readable(-1));
		cr_assert_neq(park_sleep(&park, 0), 0);
	}
}

Test(park, so_is_a_time_that_has_come, .init = start_timed, .fini = end)
{
	for (int i = 0; i < 5; i++) {
		uint64_t when = clock_ns() + (uint64_t)MS;

		park_arm(&park, when);
		cr_assert(is_readable(-1));
		cr_assert_geq(clock_ns(), when);
		cr_assert(is_readable(0), "until it is seen");
		cr_assert_eq(park_sleep(&park, 0), 0, "it is no wake-up");
		cr_assert(!is_readable(0));
	}
}

Test(park, a_time_is_put_off_and_taken_back, .init = start_timed, .fini = end)
{
	park_arm(&park, clock_ns() + (uint64_t)(1000000 * MS));
	park_arm(&park, 1);
	cr_assert(is_readable(-1), "long ago");
	park_arm(&park, CLOCK_NEVER);
	cr_assert(!is_readable(5));
	park_arm(&park, CLOCK_NEVER - 1);
	cr_assert(!is_readable(5));
	park_arm(&park, clock_ns() + (uint64_t)MS);
	cr_assert(is_readable(-1));
}
