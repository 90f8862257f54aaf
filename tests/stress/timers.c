/* SPDX-License-Identifier: MIT */
/*
 * timers - starting, firing and cancelling, all at once
 *
 * Each timer has a number. In the end each was handled, cancelled or a dead
 * letter: exactly one of the three.
 */
#include "tests/unit/support.h"

static unsigned char *fate; /* per timer; written by one at a time */
static struct tally n_handled;
static struct tally n_twice;

enum { HANDLED = 1, CANCELLED = 2, DEAD = 4 };

static void seal(uint64_t number, unsigned char how)
{
	if (fate[number])
		tally_add(&n_twice, 1);
	fate[number] = how;
}

static int bell_handle(void *state, unsigned tag, void *payload, size_t length)
{
	(void)state;
	(void)tag;
	seal(value_at(payload, length), HANDLED);
	tally_add(&n_handled, 1);
	return 0;
}

static const struct rota_behaviour bell_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "bell",
	.handle = bell_handle,
};

static void bury_timer(void *context, const struct rota_dead_letter *dead)
{
	bury(context, dead);
	seal(value_at(dead->payload, dead->length), DEAD);
}

#define BELLS 16
#define RINGERS 8
#define WINDOW 64

struct ringer {
	AO_t *bell; /* ids; some of them stale; relaxed, any will do */
	size_t n_bells;
	uint64_t first;
	uint64_t n;
	uint64_t random;
	uint64_t refused;
	uint64_t cancelled;
	uint64_t strange;
	int64_t longest; /* delay */
};

struct started {
	rota_timer timer;
	uint64_t number;
};

static void cancel(struct ringer *r, struct started *one)
{
	int error = one->timer ? rota_timer_cancel(one->timer) : -ESRCH;

	if (error == 0) {
		seal(one->number, CANCELLED);
		r->cancelled++;
	} else if (error != -ESRCH) {
		r->strange++;
	}
	one->timer = 0;
}

/* Start one after the other, and cancel one of the last WINDOW each time. */
static int act_ring(void *arg)
{
	struct ringer *r = arg;
	struct started last[WINDOW] = {{0, 0}};

	for (uint64_t i = r->first; i < r->first + r->n; i++) {
		uint64_t way = next_random(&r->random);
		struct started *one = &last[way % WINDOW];
		int error;

		if (way & 1 << 20)
			cancel(r, one);
		one->number = i;
		error = rota_send_after(
			AO_load(&r->bell[(way >> 8) % r->n_bells]), 1, &i,
			sizeof(i), (int64_t)(way >> 32) % r->longest,
			&one->timer);
		if (error == -ESRCH || error == -ESHUTDOWN) {
			one->timer = 0;
			r->refused++;
		} else if (error) {
			r->strange++;
		}
	}
	for (size_t i = 0; i < WINDOW; i++)
		cancel(r, &last[i]);
	return 0;
}

static void *thread_ring(void *arg)
{
	act_ring(arg);
	return NULL;
}

static void ring(unsigned workers, int64_t longest, uint64_t n, bool is_mortal)
{
	struct rota_config config = test_config(workers);
	static struct ringer r[RINGERS];
	static AO_t bell[BELLS];
	pthread_t thread[RINGERS / 2];
	uint64_t cancelled = 0;
	uint64_t refused = 0;

	fate = calloc(n * RINGERS, 1);
	config.dead_letter = bury_timer;
	engine = engine_make(&config);
	for (int i = 0; i < BELLS; i++)
		bell[i] = spawn(&bell_behaviour, NULL, 1);
	for (size_t i = 0; i < RINGERS; i++) {
		r[i] = (struct ringer){.bell = bell,
				       .n_bells = BELLS,
				       .first = i * n,
				       .n = n,
				       .random = i + 1,
				       .longest = longest};
		if (i < RINGERS / 2)
			thread[i] = thread_start(thread_ring, &r[i]);
		else
			ACTS(puppet_spawn(NULL, 1), act_ring, &r[i]);
	}
	/* Bells end and are replaced under them. */
	for (size_t i = 0; is_mortal && i < 400; i++) {
		rota_id old = AO_load(&bell[i % BELLS]);

		nap();
		AO_store(&bell[i % BELLS], spawn(&bell_behaviour, NULL, 1));
		cr_assert_eq(i % 2 ? rota_actor_stop(old)
				   : rota_actor_drain(old),
			     0);
	}
	for (size_t i = 0; i < RINGERS / 2; i++)
		thread_join(thread[i]);
	quiesce();
	for (size_t i = 0; i < RINGERS; i++) {
		cr_assert_eq(r[i].strange, 0);
		cancelled += r[i].cancelled;
		refused += r[i].refused;
	}
	cr_assert_eq(tally_of(&n_twice), 0);
	cr_assert_eq(tally_of(&n_handled) + n_dead() + cancelled + refused,
		     n * RINGERS);
	if (!is_mortal)
		cr_assert_eq(n_dead() + refused, 0);
	engine_stop();
	free(fate);
}

Test(timers, are_handled_or_cancelled, .timeout = STRESS)
{
	ring(2, ROTA_US(500), check_stress(50000), false);
}

Test(timers, of_no_delay_are_handled_or_cancelled, .timeout = STRESS)
{
	ring(2, 1, check_stress(100000), false);
}

Test(timers, are_handled_or_cancelled_on_64_workers, .timeout = STRESS)
{
	ring(64, ROTA_MS(2), check_stress(50000), false);
}

Test(timers, are_handled_cancelled_or_dead_letters, .timeout = STRESS)
{
	ring(2, ROTA_MS(2), check_stress(50000), true);
}

/* All of them in the wheel at once. */
Test(timers, many_at_a_time, .timeout = STRESS)
{
	ring(2, ROTA_MS(1000), check_stress(150000), false);
}

/* ---- beside workers that are stuck, for a few milliseconds at a time ---- */

struct staller {
	struct flag is_over;
	struct tally n; /* stalls */
	bool computes;	/* else it sleeps in the kernel */
};

static void stall_a_while(const struct staller *staller)
{
	struct timespec begun, now;

	clock_gettime(CLOCK_MONOTONIC, &begun);
	do {
		if (!staller->computes)
			nap();
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - begun.tv_sec) * 1000000000L + now.tv_nsec -
			 begun.tv_nsec <
		 3000000L);
}

static int act_stall_on_and_on(void *arg)
{
	struct staller *staller = arg;

	stall_a_while(staller);
	tally_add(&staller->n, 1);
	return flag_is_up(&staller->is_over)
		       ? 0
		       : puppet_act(rota_self(), act_stall_on_and_on, staller);
}

static struct tally n_through;

struct waiter_of_none {
	rota_id gate; /* lives on */
	uint64_t n;
	uint64_t n_timeouts;
};

/* Its deadlines stand on the wheels of workers that get stuck. */
static int act_wait_in_vain(void *arg)
{
	struct waiter_of_none *w = arg;

	for (uint64_t i = 0; i < w->n; i++)
		if (rota_join(w->gate, ROTA_US(100) * (int64_t)(i % 16),
			      NULL) == -ETIMEDOUT)
			w->n_timeouts++;
	tally_add(&n_through, 1);
	return 0;
}

#define WAITERS 8

static void ring_beside_stuck(unsigned workers, bool computes)
{
	struct staller staller[4] = {{{0}, {0}, false}};
	struct waiter_of_none waiter[WAITERS];
	static AO_t bell[1];
	struct ringer r[2];
	uint64_t n = SIZED(2000, 400), cancelled = 0;

	fate = calloc(n * 2, 1);
	engine_start(workers);
	AO_store(&bell[0], spawn(&bell_behaviour, NULL, 1));
	for (unsigned i = 0; i < workers; i++) {
		staller[i].computes = computes;
		ACTS(puppet_spawn(NULL, 4), act_stall_on_and_on, &staller[i]);
	}
	for (size_t i = 0; i < WAITERS; i++) {
		waiter[i] = (struct waiter_of_none){puppet_spawn(NULL, 1),
						    SIZED(20, 5), 0};
		ACTS(puppet_spawn(NULL, 1), act_wait_in_vain, &waiter[i]);
	}
	for (size_t i = 0; i < 2; i++)
		r[i] = (struct ringer){.bell = bell,
				       .n_bells = 1,
				       .first = i * n,
				       .n = n,
				       .random = i + 1,
				       .longest = ROTA_MS(4)};
	ACTS(puppet_spawn(NULL, 1), act_ring, &r[0]);
	act_ring(&r[1]);
	AWAIT(tally_of(&n_through) == WAITERS);
	for (unsigned i = 0; i < workers; i++)
		flag_raise(&staller[i].is_over);
	quiesce();
	for (size_t i = 0; i < WAITERS; i++)
		cr_assert_eq(waiter[i].n_timeouts, waiter[i].n);
	for (size_t i = 0; i < 2; i++) {
		cr_assert_eq(r[i].strange + r[i].refused, 0);
		cancelled += r[i].cancelled;
	}
	cr_assert_eq(tally_of(&n_twice), 0);
	cr_assert_eq(tally_of(&n_handled) + cancelled, 2 * n);
	engine_stop();
	free(fate);
}

Test(timers, go_on_beside_one_that_stalls, .timeout = STRESS)
{
	ring_beside_stuck(1, false);
}

Test(timers, go_on_beside_two_that_stall, .timeout = STRESS)
{
	ring_beside_stuck(2, false);
}

Test(timers, go_on_beside_two_that_compute, .timeout = STRESS)
{
	ring_beside_stuck(2, true);
}

Test(timers, go_on_beside_four_that_stall, .timeout = STRESS)
{
	ring_beside_stuck(4, false);
}
