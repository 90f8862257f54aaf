/* SPDX-License-Identifier: MIT */
/*
 * timer - a hierarchical timing wheel
 *
 * Problem:    millions of timers and deadlines, nearly all of them taken out
 *             before their time: putting in and taking out must cost nothing
 *             to speak of, and memory nothing at all.
 * Approach:   time is cut into ticks of 16 us; a timer's tick is the first one
 *             that begins at or after its time, so that it never comes early.
 *             A slot of level L spans 64^L ticks. A timer lies at the level of
 *             the highest six bits in which its tick and the wheel's differ, in
 *             the slot which these bits name. When the wheel reaches the first
 *             tick of a slot, that slot's timers sink to lower levels, or are
 *             due. The clock may jump: the wheel goes from one occupied slot to
 *             the next and never through empty ticks.
 * Removal:    prev points to whatever points to the timer. Where that is a
 *             slot's head and the timer is the last in it, the address of the
 *             head tells which bit to clear: bits are exact, and an idle worker
 *             is not woken for a deadline that was called off.
 * Order:      slots are stacks, newest first. A slot that sinks is turned
 *             around and pushed timer by timer, so that newest stays first all
 *             the way down; what is due is appended oldest first to a queue.
 * Rejected:   a heap: a cache miss per level on both operations. Sinking one
 *             timer at a time, so that no call ever does much: it needs a
 *             second place where a timer may be, and each sinks seven times at
 *             most in its whole life.
 * Invariants: I1  every slot holds timers whose tick shares all bits above the
 *                 slot's level with the wheel's tick, and is later
 *             I2  hence all of a level come before all of the next one up
 *             I3  a bit is set just where the slot is not empty
 * Reference:  Varghese and Lauck, "Hashed and Hierarchical Timing Wheels",
 *             SOSP 1987
 */
#include "sched/timer.h"

#define SLOT_BITS 6
#define TICK_BITS (WHEEL_LEVELS * SLOT_BITS)
#define TICK_NEVER ((UINT64_C(1) << TICK_BITS) - 1)
#define LOOK_MAX 8

_Static_assert(1 << SLOT_BITS == WHEEL_SLOTS, "a bit per slot in a word");

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The last tick of all is never reached, so that what lies there stays. */
static uint64_t tick_reached(uint64_t now_ns)
{
	return min(now_ns >> WHEEL_TICK_SHIFT, TICK_NEVER - 1);
}

static uint64_t tick_of(uint64_t when_ns)
{
	uint64_t part = when_ns & ((UINT64_C(1) << WHEEL_TICK_SHIFT) - 1);

	return min((when_ns >> WHEEL_TICK_SHIFT) + (part > 0), TICK_NEVER);
}

/* ---- lists */

static void link_at(struct timer **place, struct timer *timer)
{
	timer->next = *place;
	timer->prev = place;
	if (timer->next)
		timer->next->prev = &timer->next;
	*place = timer;
}

static void append_due(struct wheel *wheel, struct timer *timer)
{
	link_at(wheel->due_end, timer);
	wheel->due_end = &timer->next;
}

/* Put a timer where its tick belongs, as the wheel stands now. */
static void place(struct wheel *wheel, struct timer *timer)
{
	uint64_t tick = tick_of(timer->when_ns);
	unsigned level, slot;

	/* Less than a tick ago: due now, although its tick is yet to begin. */
	if (timer->when_ns <= wheel->now_ns)
		tick = min(tick, tick_reached(wheel->now_ns));
	if (tick <= wheel->tick) {
		append_due(wheel, timer);
		return;
	}
	level = (unsigned)(63 - __builtin_clzll(tick ^ wheel->tick)) /
		SLOT_BITS;
	slot = (tick >> (level * SLOT_BITS)) % WHEEL_SLOTS;
	link_at(&wheel->slot[level][slot], timer);
	wheel->occupied[level] |= UINT64_C(1) << slot;
}

/* A slot's timers, oldest first; the slot is empty then. */
static struct timer *turn_around(struct wheel *wheel, unsigned level,
				 unsigned slot)
{
	struct timer *timer = wheel->slot[level][slot];
	struct timer *oldest_first = NULL;

	while (timer) {
		struct timer *next = timer->next;

		timer->next = oldest_first;
		oldest_first = timer;
		timer = next;
	}
	wheel->slot[level][slot] = NULL;
	wheel->occupied[level] &= ~(UINT64_C(1) << slot);
	return oldest_first;
}

/* ---- where next */

/* The lowest level with timers, which come first (I2). */
static unsigned first_level(const struct wheel *wheel)
{
	unsigned level = 0;

	while (level < WHEEL_LEVELS && !wheel->occupied[level])
		level++;
	return level;
}

static unsigned first_slot(const struct wheel *wheel, unsigned level)
{
	return (unsigned)__builtin_ctzll(wheel->occupied[level]);
}

/* The tick with which a slot begins. */
static uint64_t slot_tick(const struct wheel *wheel, unsigned level,
			  unsigned slot)
{
	unsigned shift = level * SLOT_BITS;
	uint64_t above = wheel->tick >> (shift + SLOT_BITS)
						<< (shift + SLOT_BITS);

	return above | (uint64_t)slot << shift;
}

/* Go to the next occupied slot and let it sink; false if it is beyond. */
static bool advance(struct wheel *wheel, uint64_t reached)
{
	unsigned level = first_level(wheel);
	struct timer *timer;
	unsigned slot;
	uint64_t tick;

	if (level == WHEEL_LEVELS)
		return false;
	slot = first_slot(wheel, level);
	tick = slot_tick(wheel, level, slot);
	if (tick > reached)
		return false;
	wheel->tick = tick;
	timer = turn_around(wheel, level, slot);
	while (timer) {
		struct timer *next = timer->next;

		place(wheel, timer);
		timer = next;
	}
	return true;
}

/* ---- for callers */

void wheel_init(struct wheel *wheel, uint64_t now_ns)
{
	*wheel = (struct wheel){
		.now_ns = now_ns,
		.tick = tick_reached(now_ns),
	};
	wheel->due_end = &wheel->due;
}

void wheel_insert(struct wheel *wheel, struct timer *timer, uint64_t when_ns)
{
	timer->when_ns = when_ns;
	wheel->n_timers++;
	place(wheel, timer);
}

/* Which slot this is the head of; none if it is a timer's next, or due. */
static void clear_bit_of(struct wheel *wheel, struct timer **head)
{
	uintptr_t offset = (uintptr_t)head - (uintptr_t)&wheel->slot[0][0];
	uintptr_t i = offset / sizeof(*head);

	if (i < (uintptr_t)WHEEL_LEVELS * WHEEL_SLOTS)
		wheel->occupied[i / WHEEL_SLOTS] &=
			~(UINT64_C(1) << i % WHEEL_SLOTS);
}

void wheel_remove(struct wheel *wheel, struct timer *timer)
{
	*timer->prev = timer->next;
	if (timer->next)
		timer->next->prev = timer->prev;
	else if (wheel->due_end == &timer->next)
		wheel->due_end = timer->prev;
	else
		clear_bit_of(wheel, timer->prev);
	timer->next = NULL;
	timer->prev = NULL;
	wheel->n_timers--;
}

struct timer *wheel_expire(struct wheel *wheel, uint64_t now_ns)
{
	struct timer *timer;
	uint64_t reached;

	if (now_ns > wheel->now_ns)
		wheel->now_ns = now_ns;
	reached = tick_reached(wheel->now_ns);
	while (!wheel->due && advance(wheel, reached))
		;
	timer = wheel->due;
	if (timer)
		wheel_remove(wheel, timer);
	else
		wheel->tick = reached;
	return timer;
}

/*
 * The earliest tick of a slot's timers, if they are few: it saves an idle
 * worker from waking at the beginning of the slot, and of each below it.
 */
static uint64_t look_into(const struct wheel *wheel, unsigned level,
			  unsigned slot)
{
	const struct timer *timer = wheel->slot[level][slot];
	uint64_t earliest = TICK_NEVER;

	for (int i = 0; timer && i < LOOK_MAX; i++) {
		earliest = min(earliest, tick_of(timer->when_ns));
		timer = timer->next;
	}
	return timer ? slot_tick(wheel, level, slot) : earliest;
}

uint64_t wheel_next_ns(const struct wheel *wheel)
{
	unsigned level = first_level(wheel);

	if (wheel->due)
		return wheel->now_ns;
	if (level == WHEEL_LEVELS)
		return UINT64_MAX;
	return look_into(wheel, level, first_slot(wheel, level))
	       << WHEEL_TICK_SHIFT;
}
