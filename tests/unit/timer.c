/* SPDX-License-Identifier: MIT */
/*
 * timer - does the wheel give out what a plain list would?
 */
#include <stdlib.h>

#include "sched/timer.h"
#include "tests/check.h"

#define TICK (UINT64_C(1) << WHEEL_TICK_SHIFT)
#define US UINT64_C(1000)
#define MS (1000 * US)
#define S (1000 * MS)
#define HOUR (3600 * S)
#define YEAR (8766 * HOUR)

static struct wheel wheel;
static uint64_t random_state;

static uint64_t random_word(void)
{
	random_state =
		random_state * 6364136223846793005U + 1442695040888963407U;
	return (random_state ^ random_state >> 29) * 0x9e3779b97f4a7c15U >> 11;
}

/* Any order of magnitude up to 2^bits is as likely as any other. */
static uint64_t random_span(unsigned bits)
{
	return random_word() &
	       ((UINT64_C(1) << random_word() % (bits + 1)) - 1);
}

/* All bits are exact, all lists are sound, and nothing is lost. */
static void check_wheel(void)
{
	uint64_t n = 0;
	struct timer *const *place = &wheel.due;

	for (; *place; place = &(*place)->next, n++)
		cr_assert_eq((*place)->prev, place);
	cr_assert_eq(wheel.due_end, place);
	for (unsigned i = 0; i < WHEEL_LEVELS * WHEEL_SLOTS; i++) {
		unsigned level = i / WHEEL_SLOTS, slot = i % WHEEL_SLOTS;

		place = &wheel.slot[level][slot];
		cr_assert_eq(wheel.occupied[level] >> slot & 1, *place != NULL);
		for (; *place; place = &(*place)->next, n++)
			cr_assert_eq((*place)->prev, place);
	}
	cr_assert_eq(wheel.n_timers, n);
}

Test(timer, an_empty_wheel_has_nothing)
{
	wheel_init(&wheel, 12345);
	cr_assert_null(wheel_expire(&wheel, 12345));
	cr_assert_null(wheel_expire(&wheel, 100 * YEAR));
	cr_assert_eq(wheel_next_ns(&wheel), UINT64_MAX);
	check_wheel();
}

Test(timer, the_past_is_due_at_once)
{
	static const uint64_t nows[] = {0, 1, TICK, 5 * S + 77, 3 * YEAR};

	for (size_t i = 0; i < sizeof(nows) / sizeof(*nows); i++) {
		const uint64_t whens[] = {0, nows[i] / 2, nows[i],
					  nows[i] - (nows[i] > 0)};

		wheel_init(&wheel, nows[i]);
		for (int k = 0; k < 4; k++) {
			struct timer timer = {.prev = NULL};

			wheel_insert(&wheel, &timer, whens[k]);
			cr_assert(timer_is_linked(&timer));
			cr_assert_leq(wheel_next_ns(&wheel), nows[i]);
			cr_assert_eq(wheel_expire(&wheel, nows[i]), &timer);
			cr_assert(!timer_is_linked(&timer));
			cr_assert_null(wheel_expire(&wheel, nows[i]));
		}
	}
}

Test(timer, comes_within_its_tick)
{
	static const uint64_t spans[] = {1,	    TICK - 1,  TICK, TICK + 1,
					 64 * TICK, MS,	       S,    HOUR,
					 YEAR,	    100 * YEAR};

	for (size_t i = 0; i < sizeof(spans) / sizeof(*spans); i++)
		for (uint64_t now = 0; now < 3 * TICK; now += TICK / 3) {
			struct timer timer = {.prev = NULL};
			uint64_t when = now + spans[i];

			wheel_init(&wheel, now);
			wheel_insert(&wheel, &timer, when);
			cr_assert_null(wheel_expire(&wheel, when - 1));
			cr_assert_lt(wheel_next_ns(&wheel), when + TICK);
			cr_assert_eq(wheel_expire(&wheel, when + TICK - 1),
				     &timer);
		}
}

Test(timer, the_end_of_time_never_comes)
{
	struct timer timers[2] = {{.prev = NULL}, {.prev = NULL}};

	wheel_init(&wheel, 0);
	wheel_insert(&wheel, &timers[0], UINT64_MAX);
	wheel_insert(&wheel, &timers[1], UINT64_C(1) << 62);
	for (unsigned bits = 0; bits < 62; bits++)
		cr_assert_null(wheel_expire(&wheel, UINT64_C(1) << bits));
	cr_assert_null(wheel_expire(&wheel, (UINT64_C(1) << 62) - 1));
	cr_assert_geq(wheel_next_ns(&wheel), 100 * YEAR);
	wheel_remove(&wheel, &timers[0]);
	wheel_remove(&wheel, &timers[1]);
	check_wheel();
}

Test(timer, all_can_be_taken_out_at_the_end)
{
	enum { N = 1000 };
	static struct timer timers[N];

	for (uint64_t seed = 0; seed < 50; seed++) {
		uint64_t now = random_span(61);

		random_state = seed;
		wheel_init(&wheel, now);
		for (int i = 0; i < N; i++)
			wheel_insert(&wheel, &timers[i],
				     UINT64_MAX - random_span(64 - 1) * 2);
		wheel_expire(&wheel, now + random_span(61));
		while (wheel_expire(&wheel, UINT64_MAX))
			;
		for (int i = 0; i < N; i++)
			cr_assert(!timer_is_linked(&timers[i]));
		cr_assert_eq(wheel.n_timers, 0);
		check_wheel();
	}
}

Test(timer, a_clock_that_goes_back_is_ignored)
{
	enum { N = 20 };
	static struct timer timers[N];

	wheel_init(&wheel, HOUR);
	for (int i = 0; i < N; i++)
		wheel_insert(&wheel, &timers[i], HOUR + S);
	cr_assert_null(wheel_expire(&wheel, 0));
	cr_assert_gt(wheel_next_ns(&wheel), HOUR);
	cr_assert_null(wheel_expire(&wheel, HOUR - S));
	for (int i = 0; i < N; i++)
		cr_assert_eq(wheel_expire(&wheel, HOUR + 2 * S), &timers[i]);
	wheel_insert(&wheel, &timers[0], HOUR + S);
	cr_assert_eq(wheel_expire(&wheel, 0), &timers[0]);
}

/* Whatever levels they sank through, and whenever they were put in. */
Test(timer, timers_of_one_tick_keep_their_order)
{
	enum { N = 1000 };
	static struct timer timers[N];
	uint64_t now = 77 * S;
	uint64_t when = now + 3 * HOUR;

	when -= when % TICK;
	wheel_init(&wheel, now);
	for (int i = 0; i < N; i++) {
		wheel_insert(&wheel, &timers[i], when - (uint64_t)i);
		if (i % 10 == 0) {
			now += (when - now) / 16;
			cr_assert_null(wheel_expire(&wheel, now));
		}
		check_wheel();
	}
	for (int i = 0; i < N; i += 7)
		wheel_remove(&wheel, &timers[i]);
	for (int i = 0; i < N; i++)
		if (i % 7 != 0)
			cr_assert_eq(wheel_expire(&wheel, when), &timers[i]);
	cr_assert_null(wheel_expire(&wheel, when));
}

/* An idle worker sleeps until the time that the wheel names. */
Test(timer, few_wakes_lead_to_each_timer)
{
	enum { N = 50 };
	static struct timer timers[N];

	for (unsigned seed = 0; seed < 200; seed++) {
		uint64_t now = random_span(55);
		int n_wakes = 0;

		random_state = seed;
		wheel_init(&wheel, now);
		for (int i = 0; i < N; i++)
			wheel_insert(&wheel, &timers[i], now + random_span(56));
		for (int n = 0; n < N;) {
			uint64_t next = wheel_next_ns(&wheel);
			struct timer *timer;

			cr_assert_neq(next, UINT64_MAX);
			while ((timer = wheel_expire(&wheel, next)) != NULL) {
				cr_assert_leq(timer->when_ns, next);
				cr_assert_gt(timer->when_ns + TICK, next);
				n++;
			}
			cr_assert_gt(wheel_next_ns(&wheel), next);
			n_wakes++;
		}
		cr_assert_leq(n_wakes, 2 * N);
		cr_assert_eq(wheel_next_ns(&wheel), UINT64_MAX);
	}
}

/*
 * The reference is an array. Spans of all sizes, past and future; the clock
 * creeps and jumps; a third of the timers is taken out again.
 */

#define N_TIMERS 300

static struct timer timers[N_TIMERS];
static uint64_t now;

static void insert_random(struct timer *timer)
{
	switch (random_word() % 8) {
	case 0:
		wheel_insert(&wheel, timer, now - random_span(60) % (now + 1));
		break;
	case 1:
		wheel_insert(&wheel, timer, UINT64_MAX - random_span(20));
		break;
	default:
		wheel_insert(&wheel, timer, now + random_span(58));
	}
}

static void toggle_random(void)
{
	struct timer *timer = &timers[random_word() % N_TIMERS];

	if (timer_is_linked(timer))
		wheel_remove(&wheel, timer);
	else
		insert_random(timer);
}

static uint64_t earliest_when(void)
{
	uint64_t earliest = UINT64_MAX;

	for (int i = 0; i < N_TIMERS; i++)
		if (timer_is_linked(&timers[i]) && timers[i].when_ns < earliest)
			earliest = timers[i].when_ns;
	return earliest;
}

static uint64_t tick_after(uint64_t when_ns)
{
	return when_ns > UINT64_MAX - TICK ? UINT64_MAX
					   : (when_ns + TICK - 1) / TICK * TICK;
}

/* Some of what is due, each in its turn; a few changes between. */
static void expire_some(void)
{
	uint64_t n = random_word() % 20;

	while (n-- > 0) {
		uint64_t earliest = earliest_when();
		struct timer *timer = wheel_expire(&wheel, now);

		if (!timer)
			break;
		cr_assert_leq(timer->when_ns, now);
		cr_assert(!timer_is_linked(timer));
		/* What was past when put in comes in between. */
		cr_assert_leq(earliest, timer->when_ns);
		if (n % 5 == 0)
			toggle_random();
	}
}

static void expire_all(void)
{
	struct timer *timer;
	uint64_t last_tick = 0;

	/* What was due at once may come before what was due before. */
	while (wheel.due) {
		timer = wheel_expire(&wheel, now);
		cr_assert_leq(timer->when_ns, now);
	}
	while ((timer = wheel_expire(&wheel, now)) != NULL) {
		cr_assert_leq(timer->when_ns, now);
		cr_assert_leq(last_tick, timer->when_ns / TICK + 1);
		last_tick = timer->when_ns / TICK;
	}
	cr_assert_gt(tick_after(earliest_when()), now);
	cr_assert_leq(wheel_next_ns(&wheel), tick_after(earliest_when()));
	cr_assert_gt(wheel_next_ns(&wheel), now);
}

static void pass_time(void)
{
	uint64_t next = wheel_next_ns(&wheel);

	if (random_word() % 4 == 0 && next > now && next < 50 * YEAR)
		now = next;
	else if (now < 60 * YEAR)
		now += random_span(random_word() % 50 ? 40 : 56);
}

static void run_random(uint64_t seed)
{
	random_state = seed;
	now = random_span(55);
	wheel_init(&wheel, now);
	for (int i = 0; i < 2000; i++) {
		for (uint64_t n = random_word() % 8; n > 0; n--)
			toggle_random();
		pass_time();
		expire_some();
		if (i % 3 == 0)
			expire_all();
		if (i % 50 == 0)
			check_wheel();
	}
	for (int i = 0; i < N_TIMERS; i++)
		if (timer_is_linked(&timers[i]))
			wheel_remove(&wheel, &timers[i]);
	check_wheel();
	cr_assert_eq(wheel.n_timers, 0);
	cr_assert_eq(wheel_next_ns(&wheel), UINT64_MAX);
}

Test(timer, does_what_a_list_would, .timeout = 120)
{
	for (uint64_t seed = 1; seed <= 50; seed++)
		run_random(seed * 1000003);
}
