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

/* A thread that is asleep until it is told to compute, until it is told to end. */
struct sleeper {
	pthread_t thread;
	AO_t xnumber; /* the kernel's */
	AO_t xends;
	int ends[2];
};

static void *sleep_and_compute(void *arg)
{
	struct sleeper *sleeper = arg;
	char byte;

	AO_store_release(&sleeper->xnumber, (AO_t)asleep_self());
	if (read(sleeper->ends[0], &byte, 1) != 1)
		return arg;
	while (!AO_load_acquire(&sleeper->xends))
		;
	return NULL;
}

static long number_of(struct sleeper *sleeper)
{
	return (long)AO_load_acquire(&sleeper->xnumber);
}

static void sleeper_start(struct sleeper *sleeper)
{
	memset(sleeper, 0, sizeof(*sleeper));
	cr_assert_eq(pipe(sleeper->ends), 0);
	cr_assert_eq(pthread_create(&sleeper->thread, NULL, sleep_and_compute,
				    sleeper),
		     0);
	while (!number_of(sleeper) || !asleep_is(number_of(sleeper)))
		sched_yield();
}

static void sleeper_compute(struct sleeper *sleeper)
{
	cr_assert_eq(write(sleeper->ends[1], "", 1), 1);
	while (asleep_is(number_of(sleeper)))
		sched_yield();
}

static void sleeper_end(struct sleeper *sleeper)
{
	AO_store_release(&sleeper->xends, 1);
	cr_assert_eq(pthread_join(sleeper->thread, NULL), 0);
}

/* Eight workers on two processors; two that stand still: `one` is asleep, `two`
   is not. The first look is made. */
static void crowd_begin(struct sleeper *sleeper)
{
	sleeper_start(sleeper);
	begin_with("core:2 pu:1", 8);
	AO_store(&one->xthread, (AO_t)number_of(sleeper));
	AO_store(&two->xthread, (AO_t)asleep_self());
	relief_tick(&crew, now_ns);
}

static void crowd_tick(uint64_t after_ns)
{
	now_ns += after_ns;
	relief_tick(&crew, now_ns);
}

static void crowd_end(struct sleeper *sleeper)
{
	sleeper_end(sleeper);
	end();
}

/* But who is asleep in its turn waits for no processor. */
Test(relief, but_not_those_who_sleep_in_their_turns, .timeout = 60)
{
	struct sleeper sleeper;

	crowd_begin(&sleeper);
	crowd_tick(LOST_NS);
	cr_assert_not(is_lost(one), "there is nothing to be done");
	AO_store(&crew.xlate, 1);
	crowd_tick(0);
	cr_assert(is_lost(one));
	cr_assert_not(is_lost(two));
	crowd_tick(LOST_NS);
	cr_assert(is_lost(one));
	cr_assert_eq(count_losses(&crew).n_blocked, 1);
	AO_store(&one->xturns, 8);
	crowd_tick(0);
	cr_assert_not(is_lost(one));
	sleeper_compute(&sleeper);
	crowd_end(&sleeper);
}

/* It was asleep for a moment, and computes on: that needs a processor. */
Test(relief, a_nap_in_a_crowd_does_not_last_for_the_turn, .timeout = 60)
{
	struct sleeper sleeper;

	crowd_begin(&sleeper);
	AO_store(&crew.xlate, 1);
	crowd_tick(LOST_NS);
	cr_assert(is_lost(one));
	sleeper_compute(&sleeper);
	crowd_tick(LOST_NS - 1);
	cr_assert(is_lost(one), "it is not asked again that soon");
	crowd_tick(1);
	cr_assert_not(is_lost(one));
	cr_assert_eq(count_losses(&crew).n_blocked, 0);
	crowd_end(&sleeper);
}

/* Unless it has been at it for so long that it is lost in any case. */
Test(relief, who_computes_on_for_too_long_is_lost_in_a_crowd, .timeout = 60)
{
	struct sleeper sleeper;

	crowd_begin(&sleeper);
	AO_store(&crew.xlate, 1);
	crowd_tick(LOST_NS);
	crowd_tick(allowance(&crew));
	cr_assert(AO_load(&one->xasleep));
	sleeper_compute(&sleeper);
	crowd_tick(2 * allowance(&crew));
	cr_assert_not(AO_load(&one->xasleep));
	cr_assert(is_lost(one));
	crowd_end(&sleeper);
}

/* No processor is idle, whoever sleeps; and asking costs. */
Test(relief, none_is_asked_while_all_processors_are_used, .timeout = 60)
{
	struct sleeper sleeper;

	crowd_begin(&sleeper);
	AO_store(&crew.xlate, 1);
	AO_store(&crew.workers[6]->xturns, 9);
	AO_store(&crew.workers[7]->xturns, 9);
	crowd_tick(LOST_NS);
	cr_assert_not(is_lost(one));
	AO_store(&crew.workers[7]->xturns, 10);
	crowd_tick(1);
	cr_assert(is_lost(one), "one of them stands still");
	sleeper_compute(&sleeper);
	AO_store(&crew.workers[6]->xturns, 11);
	AO_store(&crew.workers[7]->xturns, 11);
	crowd_tick(LOST_NS + 1);
	cr_assert_not(is_lost(one), "who was asleep is asked nonetheless");
	crowd_end(&sleeper);
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

/* ---- when none can come ---- */

static AO_t outcome(int error, uint64_t at_ns)
{
	note_outcome(&crew.relief, error, at_ns);
	return AO_load(&crew.relief.xerror);
}

Test(relief, that_none_can_come_is_told_once_it_has_lasted, .init = begin,
     .fini = end)
{
	uint64_t since_ns = now_ns;

	cr_assert_eq(outcome(-ENOMEM, since_ns), 0);
	cr_assert_eq(outcome(-ENOMEM, since_ns - 1), 0, "an earlier tick");
	cr_assert_eq(outcome(-ENOSPC, since_ns + FAIL_NS - 1), 0);
	cr_assert_eq(outcome(-ENOSPC, since_ns + FAIL_NS), ENOSPC);
	cr_assert_eq(outcome(0, since_ns + FAIL_NS), 0);
	cr_assert_eq(outcome(-ENOMEM, since_ns + FAIL_NS), 0, "anew");
}

/* `one` and `two` have been at it for long, one of them says that it blocks; no
   spare one may come. */
static void be_refused(void)
{
	crew.roster.max_spares = 0;
	crew.roster.is_open = true;
	AO_store(&crew.xlate, 1);
	relief_tick(&crew, now_ns);
	AO_store(&one->xblocked, 1);
	crowd_tick(LOST_NS);
	crowd_tick(FAIL_NS);
	cr_assert_eq(AO_load(&crew.relief.xerror), ENOSPC);
}

Test(relief, that_is_over_if_nobody_blocks)
{
	begin_with("core:2 pu:1", 8);
	be_refused();
	/* Those that compute are lost, but none is due for them in a crowd. */
	AO_store(&one->xblocked, 0);
	for (unsigned i = 0; i < 7; i++)
		AO_store(&crew.workers[i]->xturns, 8);
	crowd_tick(1);
	cr_assert(is_lost(two));
	cr_assert_eq(AO_load(&crew.relief.xerror), 0);
	end();
}

Test(relief, and_if_nothing_waits_or_nobody_is_lost, .init = begin, .fini = end)
{
	be_refused();
	AO_store(&crew.xlate, 0);
	crowd_tick(1);
	cr_assert_eq(AO_load(&crew.relief.xerror), 0);
	AO_store(&crew.xlate, 1);
	crowd_tick(1);
	crowd_tick(FAIL_NS);
	cr_assert_eq(AO_load(&crew.relief.xerror), ENOSPC);
	AO_store(&one->xblocked, 0);
	AO_store(&one->xturns, 8);
	AO_store(&two->xturns, 8);
	crowd_tick(1);
	cr_assert_eq(AO_load(&crew.relief.xerror), 0);
	cr_assert_eq(AO_load(&crew.relief.xfailing_ns), 0);
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
