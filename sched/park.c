/* SPDX-License-Identifier: MIT */
/*
 * park - the one place where threads of ours go to sleep
 *
 * The eventfd is watched edge-triggered and never read: each write makes one
 * event, which stays with the epoll until a sleeper has seen it. So a wake-up
 * is one system call on either side, and one that comes before the sleep is not
 * lost. Its counter grows by one per wake-up and has room for 2^64 - 2.
 *
 * epoll_pwait2() sleeps to the nanosecond. Where it is missing (Linux before
 * 5.11, some sandboxes and emulators) epoll_pwait() does, rounded up to
 * milliseconds: waking early would make a worker turn in circles until a timer
 * is due.
 *
 * Where a host sleeps for the worker, in a poll() of its own, it sleeps on the
 * epoll, and a timerfd stands in for the time limit. It is watched as the
 * eventfd is, and never read either: setting it anew takes back what it had to
 * say.
 *
 * Rejected:   a futex for workers: it cannot be slept on together with
 *             descriptors. A pipe: two descriptors more, and it fills up.
 */
#include "sched/park.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "sched/clock.h"

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

#define NS_PER_S 1000000000
#define NS_PER_MS 1000000
#define N_EVENTS 16

static struct timespec timespec_of(int64_t ns)
{
	return (struct timespec){.tv_sec = ns / NS_PER_S,
				 .tv_nsec = ns % NS_PER_S};
}

/* The events' data.ptr of the wake-up is its park. */
static int watch(struct park *park, int fd, void *data)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET,
				    .data.ptr = data};

	if (epoll_ctl(park->epoll, EPOLL_CTL_ADD, fd, &event) == 0)
		return 0;
	return errno == ENOSPC ? -ENOMEM : -errno;
}

int park_init(struct park *park)
{
	int r;

	*park = (struct park){.epoll = epoll_create1(EPOLL_CLOEXEC),
			      .timer = -1,
			      .armed_ns = CLOCK_NEVER};
	if (park->epoll < 0)
		return -errno;
	park->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = park->event < 0 ? -errno : watch(park, park->event, park);
	if (r < 0)
		park_fini(park);
	return r;
}

void park_fini(struct park *park)
{
	if (park->event >= 0)
		close(park->event);
	if (park->timer >= 0)
		close(park->timer);
	close(park->epoll);
	park->epoll = park->event = park->timer = -1;
}

int park_add_timer(struct park *park)
{
	park->timer =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return park->timer < 0 ? -errno : watch(park, park->timer, NULL);
}

void park_arm(struct park *park, uint64_t when_ns)
{
	/* 0 takes the time back. */
	struct itimerspec at = {.it_value = {0}};

	if (when_ns == park->armed_ns)
		return;
	park->armed_ns = when_ns;
	if (when_ns != CLOCK_NEVER)
		at.it_value = timespec_of(when_ns < INT64_MAX ? (int64_t)when_ns
							      : INT64_MAX);
	timerfd_settime(park->timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static int wait_coarse(struct park *park, struct epoll_event *events,
		       int64_t within)
{
	int64_t ms = within / NS_PER_MS + (within % NS_PER_MS > 0);

	if (within < 0)
		ms = -1;
	if (ms > INT_MAX)
		ms = INT_MAX;
	return epoll_pwait(park->epoll, events, N_EVENTS, (int)ms, NULL);
}

static int wait_fine(struct park *park, struct epoll_event *events,
		     int64_t within)
{
	struct timespec limit = timespec_of(within);

	return (int)syscall(SYS_epoll_pwait2, park->epoll, events, N_EVENTS,
			    within < 0 ? NULL : &limit, NULL, (size_t)0);
}

/* One try: how many events, or -errno. */
static int wait_events(struct park *park, struct epoll_event *events,
		       int64_t within)
{
	int n;

	if (!park->is_coarse) {
		n = wait_fine(park, events, within);
		if (n >= 0)
			return n;
		/* Sandboxes answer EPERM to what they do not know. */
		if (errno != ENOSYS && errno != EPERM)
			return -errno;
		park->is_coarse = true;
	}
	n = wait_coarse(park, events, within);
	return n < 0 ? -errno : n;
}

static int find_wake(const struct park *park, const struct epoll_event *events,
		     int n)
{
	for (int i = 0; i < n; i++)
		if (events[i].data.ptr == park)
			return 1;
	return 0;
}

int park_sleep(struct park *park, int64_t within)
{
	struct epoll_event events[N_EVENTS];
	uint64_t start = within > 0 ? clock_ns() : 0;
	int64_t left = within;

	for (;;) {
		int n = wait_events(park, events, left);

		if (n > 0 || within == 0)
			return find_wake(park, events, n);
		/* A signal, or the longest time that epoll_pwait() knows. */
		if (within > 0) {
			uint64_t gone = clock_ns() - start;

			if (gone >= (uint64_t)within)
				return 0;
			left = within - (int64_t)gone;
		}
	}
}

void park_wake(struct park *park)
{
	uint64_t one = 1;

	while (write(park->event, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

int futex_wait(unsigned *word, unsigned value, int64_t within)
{
	struct timespec limit = timespec_of(within);
	long r = syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value,
			 within < 0 ? NULL : &limit, NULL, 0);

	return r < 0 && errno == ETIMEDOUT ? -ETIMEDOUT : 0;
}

void futex_wake(unsigned *word, int n_threads)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n_threads, NULL, NULL, 0);
}
