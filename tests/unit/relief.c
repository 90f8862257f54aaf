/* SPDX-License-Identifier: MIT */
/*
 * relief - is it seen who is lost, and do spare workers come when they are due?
 *
 * Most tests play workers and a clock; in the last one threads run. The limits
 * are constants of the source, which is why it is included.
 */
#include <sched.h>
#include <unistd.h>

#include "sched/relief.c"
#include "tests/unit/stage.h"

/* ---- who is lost ---- */

static void look(struct worker *worker)
{
	look_at(worker, now_ns, allowance(&crew));
}

Test(relief, who_is_in_a_turn_for_too_long_is_lost, .init = begin, .fini = end)
{
	AO_store(&one->xturns, 7);
	look(one);
	cr_assert_not(is_lost(one));
	now_ns += LOST_NS - 1;
	look(one);
	cr_assert_not(is_lost(one));
	now_ns++;
	look(one);
	cr_assert(is_lost(one));
	AO_store(&one->xturns, 8);
	look(one);
	cr_assert_not(is_lost(one));
	now_ns += LOST_NS - 1;
	look(one);
	cr_assert_not(is_lost(one));
}

Test(relief, who_sleeps_is_not_lost, .init = begin, .fini = end)
{
	AO_store(&one->xinbox, INBOX_ASLEEP);
	for (int i = 0; i < 4; i++) {
		look(one);
		cr_assert_not(is_lost(one));
		now_ns += LOST_NS;
	}
}

/* Its count of turns is as it was when it went to sleep, long ago. */
Test(relief, who_has_just_woken_up_is_not_lost, .init = begin, .fini = end)
{
	look(one);
	AO_store(&one->xinbox, INBOX_ASLEEP);
	now_ns += LOST_NS;
	look(one);
	AO_store(&one->xinbox, 0);
	now_ns += LOST_NS;
	look(one);
	cr_assert_not(is_lost(one));
	/* Nobody looked while it slept. */
	relief_tick(&crew, 0);
	now_ns += LOST_NS;
	relief_tick(&crew, now_ns);
	cr_assert_not(is_lost(one));
	now_ns += LOST_NS;
	relief_tick(&crew, now_ns);
	cr_assert(is_lost(one));
}

/* It has not had the time to run a turn. */
Test(relief, who_has_just_come_is_not_lost, .init = begin, .fini = end)
{
	struct worker *spare;

	look(one);
	cr_assert_not(is_lost(one));
	cr_assert_eq(roster_add_spare(&crew, &spare), 0);
	look(spare);
	now_ns += LOST_NS;
	look(spare);
	AO_store(&spare->xduty, DUTY_ACTIVE);
	look(spare);
	cr_assert_not(is_lost(spare));
	now_ns += LOST_NS;
	look(spare);
	cr_assert(is_lost(spare));
}

Test(relief, who_has_left_is_not_lost, .init = begin, .fini = end)
{
	look(two);
	now_ns += LOST_NS;
	cr_assert_eq(roster_set(&crew, 1), 0);
	roster_look(two);
	look(two);
	cr_assert_not(is_lost(two));
	cr_assert_eq(count_losses(&crew).n, 0);
}

/* Where there are more workers than processors each stands still at times. */
Test(relief, a_crowd_is_given_time)
{
	begin_with("core:2 pu:1", 64);
	cr_assert_eq(allowance(&crew), 32 * (uint64_t)SLICE_NS);
	end();
	begin_with("core:2 pu:1", 2);
	cr_assert_eq(allowance(&crew), LOST_NS);
	end();
}

static AO_t xsleeper;

static void *sleep_in_read(void *arg)
{
	char byte;

	AO_store(&xsleeper, (AO_t)asleep_self());
	return read(*(int *)arg, &byte, 1) == 1 ? NULL : arg;
}

/* But who is asleep in its turn waits for no processor. */
Test(relief, but_not_those_who_sleep_in_their_turns, .timeout = 60)
{
	pthread_t thread;
	int ends[2];

	cr_assert_eq(pipe(ends), 0);
	cr_assert_eq(pthread_create(&thread, NULL, sleep_in_read, &ends[0]), 0);
	while (AO_load(&xsleeper) == 0 || !asleep_is((long)AO_load(&xsleeper)))
		sched_yield();
	begin_with("core:2 pu:1", 8);
	AO_store(&one->xthread, AO_load(&xsleeper));
	AO_store(&two->xthread, (AO_t)asleep_self());
	relief_tick(&crew, now_ns);
	now_ns += LOST_NS;
	relief_tick(&crew, now_ns);
	cr_assert_not(is_lost(one), "there is nothing to be done");
	AO_store(&crew.xlate, 1);
	relief_tick(&crew, now_ns);
	cr_assert(is_lost(one));
	cr_assert_not(is_lost(two));
	now_ns += LOST_NS;
	relief_tick(&crew, now_ns);
	cr_assert(is_lost(one));
	cr_assert_eq(count_losses(&crew).n_blocked, 1);
	AO_store(&one->xturns, 8);
	relief_tick(&crew, now_ns);
	cr_assert_not(is_lost(one));
	end();
	cr_assert_eq(write(ends[1], "", 1), 1);
	cr_assert_eq(pthread_join(thread, NULL), 0);
}

/* ---- when a spare one is due ---- */

Test(relief, spares_for_long_turns_come_at_growing_intervals, .init = begin,
     .fini = end)
{
	struct losses losses = {0, 1};

	cr_assert(is_due(&crew, losses, 0, now_ns), "the first one, at once");
	for (unsigned n = 1; n < 14; n++) {
		uint64_t wait = (uint64_t)LOST_NS << (n < 10 ? n : 10);

		losses.n = n + 1;
		crew.relief.last_ns = now_ns;
		cr_assert_not(is_due(&crew, losses, n, now_ns + wait - 1));
		cr_assert(is_due(&crew, losses, n, now_ns + wait));
	}
	/* Those that said that they block do not count. */
	losses = (struct losses){.n_blocked = 2, .n = 3};
	cr_assert(is_due(&crew, losses, 2, now_ns));
}

Test(relief, none_is_due_while_all_processors_are_used)
{
	begin_with("core:2 pu:1", 4);
	cr_assert_not(is_due(&crew, (struct losses){0, 1}, 0, now_ns));
	cr_assert_not(is_due(&crew, (struct losses){0, 2}, 0, now_ns));
	cr_assert(is_due(&crew, (struct losses){0, 3}, 0, now_ns));
	end();
}

Test(relief, work_is_wanting_if_nobody_sleeps, .init = begin, .fini = end)
{
	struct task_class class = {.xmean_ns = 100};
	struct task task = {.class = &class};

	cr_assert_not(is_wanting(&crew));
	queue_push(&two->queue, &task);
	cr_assert(is_wanting(&crew));
	idle_enter(&crew.idle, 0, false);
	cr_assert_not(is_wanting(&crew));
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

/* A worker that says so is relieved at once, and the spare one goes after. */
Test(relief, who_blocks_is_relieved, .init = start, .fini = stop, .timeout = 60)
{
	for (unsigned round = 1; round <= 3; round++) {
		/* Asleep, it would itself be there for others. */
		AO_store(&crew.workers[0]->xblocked, 0);
		while (idle_sleepers(idle_read(&crew.idle)) != 1)
			sched_yield();
		relief_block(crew.workers[0]);
		cr_assert_eq(AO_load(&crew.relief.xn), 0);
		relief_unblock(crew.workers[0]);
		/* The monitor may be at it as soon as it has the lock. */
		pthread_mutex_lock(&crew.roster.lock);
		relieve(&crew, 1);
		cr_assert_eq(AO_load(&crew.relief.xn_total), round);
		cr_assert_eq(n_present(), 2);
		cr_assert_eq(crew_slots(&crew), 2, "the same slot again");
		pthread_mutex_unlock(&crew.roster.lock);
		/* Nobody is lost: at the next look it is let go. If we were slow
		   the monitor has had its last. */
		while (n_present() != 1) {
			settle_all(&crew, crew_now_ns(&crew));
			sched_yield();
		}
		cr_assert_eq(AO_load(&crew.relief.xn), 0);
	}
}
