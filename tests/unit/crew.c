/* SPDX-License-Identifier: MIT */
/*
 * crew - are the nearest sleepers woken, and refusals told and survived?
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sched/worker.h"
#include "tests/check.h"

static struct crew crew;
static unsigned asked_n; /* what chance was asked */

static unsigned choose_first(void *context, unsigned worker, enum choice what,
			     unsigned n)
{
	(void)context;
	(void)worker;
	(void)what;
	asked_n = n;
	return 0;
}

/* A crew without threads. */
static void begin_on(const char *machine, unsigned n_workers)
{
	const struct crew_options options = {
		.n_workers = n_workers,
		.unbound = true,
		.topology = machine,
		.stack_size = 65536,
		.worker_size = sizeof(struct worker),
	};

	cr_assert_eq(crew_init(&crew, &options), 0);
}

/* Everybody but @waker sleeps, in the order of their numbers. */
static void all_sleep_but(unsigned waker)
{
	for (unsigned i = 0; i < crew_slots(&crew); i++)
		if (i != waker)
			idle_enter(&crew.idle, i, false);
}

/* Whom does @waker (-1: a thread of no worker) wake? */
static int woken_by(int waker)
{
	unsigned n = crew.idle.n_sleepers;
	bool *asleep = calloc(crew_slots(&crew), sizeof(*asleep));
	int woken = -1;

	for (unsigned i = 0; i < n; i++)
		asleep[crew.idle.sleepers[i]] = true;
	crew_wake_one(&crew, waker < 0 ? NULL : crew.workers[waker], true);
	cr_assert_eq(crew.idle.n_sleepers, n - 1);
	for (unsigned i = 0; i < n - 1; i++)
		asleep[crew.idle.sleepers[i]] = false;
	for (unsigned i = 0; i < crew_slots(&crew); i++)
		if (asleep[i]) {
			cr_assert_eq(woken, -1);
			woken = (int)i;
		}
	free(asleep);
	return woken;
}

Test(crew, a_worker_wakes_the_nearest)
{
	/* The last of those at one distance to fall asleep first. */
	static const int order[] = {5, 7, 6, 3, 2, 1, 0};

	begin_on("numa:2 l3:2 core:2 pu:1", 8);
	all_sleep_but(4);
	for (unsigned i = 0; i < 7; i++)
		cr_assert_eq(woken_by(4), order[i], "%u", i);
	crew_fini(&crew);
}

/* It would have to share the waker's processor. */
Test(crew, who_shares_a_place_is_woken_last)
{
	begin_on("numa:2 core:2 pu:1", 4);
	AO_store(&crew.workers[2]->xplace, 0);
	idle_enter(&crew.idle, 1, false);
	idle_enter(&crew.idle, 3, false);
	idle_enter(&crew.idle, 2, false);
	cr_assert_eq(woken_by(0), 1);
	cr_assert_eq(woken_by(0), 3);
	cr_assert_eq(woken_by(0), 2);
	crew_fini(&crew);
}

/* Places 0, 2 and 4 are one core, 1, 3 and 5 the other. */
Test(crew, so_is_who_shares_a_seat_in_a_place_of_its_own)
{
	static const int order[] = {5, 3, 1, 4, 2};

	begin_on("core:2 pu:1", 6);
	all_sleep_but(0);
	for (unsigned i = 0; i < 5; i++)
		cr_assert_eq(woken_by(0), order[i], "%u", i);
	crew_fini(&crew);
}

Test(crew, a_foreign_thread_wakes_the_last_to_fall_asleep)
{
	begin_on("numa:2 l3:2 core:2 pu:1", 8);
	all_sleep_but(4);
	for (int i = 7; i >= 0; i--)
		if (i != 4)
			cr_assert_eq(woken_by(-1), i);
	crew_fini(&crew);
}

Test(crew, chance_chooses_among_the_nearest)
{
	begin_on("numa:2 l3:2 core:2 pu:1", 8);
	crew.chance.choose = choose_first;
	all_sleep_but(0);
	cr_assert_eq(woken_by(0), 1);
	cr_assert_eq(asked_n, 1);
	cr_assert_eq(woken_by(0), 2);
	cr_assert_eq(asked_n, 2);
	cr_assert_eq(woken_by(0), 3);
	cr_assert_eq(woken_by(0), 4);
	cr_assert_eq(asked_n, 4);
	cr_assert_eq(woken_by(-1), 5);
	cr_assert_eq(asked_n, 3);
	crew_fini(&crew);
}

/* Where there are very many, those that fell asleep long ago do not count. */
Test(crew, a_crowd_of_sleepers_is_woken_to_the_last)
{
	begin_on("numa:4 core:64 pu:1", 200);
	all_sleep_but(0);
	for (unsigned i = 199; i > 0; i--)
		cr_assert_geq(woken_by(0), 0);
	cr_assert_eq(crew.idle.n_sleepers, 0);
	crew_fini(&crew);
}

/* ---- refusals ---- */

static unsigned n_said;
static bool was_error;
static char said[256];
static AO_TS_t said_lock = AO_TS_INITIALIZER;

static void say(struct crew *who, bool is_error, const char *line)
{
	cr_assert(who == &crew);
	while (AO_test_and_set_acquire(&said_lock) == AO_TS_SET)
		;
	n_said++;
	was_error = is_error;
	strncpy(said, line, sizeof(said) - 1);
	AO_CLEAR(&said_lock);
}

static void no_rest(struct worker *worker)
{
	(void)worker;
}

static void abandoned(struct crew *who)
{
	(void)who;
}

static struct crew_options talkative(unsigned n_workers)
{
	return (struct crew_options){
		.n_workers = n_workers,
		.stack_size = 65536,
		.worker_size = sizeof(struct worker),
		.say = say,
		.rest = no_rest,
		.abandoned = abandoned,
	};
}

Test(crew, a_refused_place_is_told_once_and_does_no_harm, .timeout = 60)
{
	struct crew_options options = talkative(3);

	unsetenv("ROTA_BIND");
	cr_assert_eq(crew_init(&crew, &options), 0);
	for (unsigned i = 0; i < 3; i++)
		hwloc_bitmap_only(crew.places.of[i].cpus, 4000 + i);
	cr_assert_eq(crew_start(&crew), 0);
	cr_assert_eq(crew_stop(&crew, INT64_MAX), 0);
	cr_assert_eq(n_said, 1);
	cr_assert_not(was_error);
	cr_assert(strstr(said, "cpu 400"), "%s", said);
	cr_assert(strstr(said, "ROTA_BIND=none"), "%s", said);
	cr_assert(crew_release(&crew));
	crew_fini(&crew);
}

Test(crew, nonsense_is_told_and_refused)
{
	struct crew_options options = talkative(1);

	options.topology = "nonsense";
	cr_assert_eq(crew_init(&crew, &options), -EINVAL);
	cr_assert_eq(n_said, 1);
	cr_assert(was_error);
	cr_assert(strstr(said, "nonsense"), "%s", said);
}
