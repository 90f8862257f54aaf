/* SPDX-License-Identifier: MIT */
/*
 * closures - captures that know what became of them, and who casts them
 */
#ifndef ROTA_TESTS_UNIT_CLOSURES_H
#define ROTA_TESTS_UNIT_CLOSURES_H

#include "tests/unit/support.h"

#include <rota/closure.h>

typedef void closure_dropper(void *capture, size_t length);

/* ---- cargo: a capture is a pointer to one of these ---- */

#define MAX_CARGO 64

enum { RUN_NEVER, RUN_ONCE };
enum { DROPPED_NEVER, DROPPED_ONCE };

struct cargo {
	struct tally ran;
	struct tally dropped;
	struct tally bad;
	struct tally early; /* dropped before the function returned */
	bool keeps;	    /* the function takes it over, twice */
	int kept[2];
	int result; /* of the function */
};

static struct cargo cargo[MAX_CARGO];

static inline int run_cargo(void *state, void *capture)
{
	struct cargo *c = *(struct cargo **)capture;

	(void)state;
	tally_add(&c->ran, 1);
	if (c->keeps) {
		c->kept[0] = rota_keep();
		c->kept[1] = rota_keep();
	}
	if (tally_of(&c->dropped))
		tally_add(&c->early, 1);
	return c->result;
}

static inline void drop_cargo(void *capture, size_t length)
{
	struct cargo *c = *(struct cargo **)capture;

	if (length != sizeof(c))
		tally_add(&c->bad, 1);
	tally_add(&c->dropped, 1);
}

static inline int cast_cargo_with(rota_id to, size_t i, unsigned flags,
				  int64_t within)
{
	struct cargo *c = &cargo[i];

	return rota_cast_with(to, run_cargo, &c, sizeof(c), drop_cargo, flags,
			      within);
}

static inline int cast_cargo(rota_id to, size_t i, int result, int64_t within)
{
	cargo[i].result = result;
	return cast_cargo_with(to, i, 0, within);
}

static inline void expect_cargo(size_t i, size_t ran, size_t dropped)
{
	cr_assert_eq(tally_of(&cargo[i].ran), ran, "cargo %zu ran %zu times", i,
		     tally_of(&cargo[i].ran));
	cr_assert_eq(tally_of(&cargo[i].dropped), dropped,
		     "cargo %zu: %zu drops", i, tally_of(&cargo[i].dropped));
	cr_assert_eq(tally_of(&cargo[i].bad), 0);
}

/* ---- functions ---- */

static struct tally n_drops;

static inline void count_drop(void *capture, size_t length)
{
	(void)capture;
	(void)length;
	tally_add(&n_drops, 1);
}

static inline int never_run(void *state, void *capture)
{
	(void)state;
	(void)capture;
	return -EIO;
}

static inline int never_known(void *state, void *capture)
{
	(void)state;
	(void)capture;
	return ROTA_UNKNOWN;
}

static inline int act_keep_nothing(void *arg)
{
	*(int *)arg = rota_keep();
	return 0;
}

struct seen {
	rota_id self;
	rota_id sender;
	size_t n_before;
};

struct look_at {
	struct seen *seen;
	struct record *record;
};

static inline int note_seen(void *state, void *capture)
{
	struct look_at *look = capture;

	(void)state;
	*look->seen = (struct seen){rota_self(), rota_sender(),
				    tally_of(&look->record->n)};
	return 0;
}

/* ---- one cast that waits for room ---- */

struct cast_sending {
	rota_id to;
	rota_function *function;
	struct tally thread; /* its number, right before it casts */
	struct flag ended;
	int result; /* behind @ended */
	pthread_t pthread;
};

static inline int act_cast_sending(void *arg)
{
	struct cast_sending *s = arg;

	tally_add(&s->thread, (size_t)thread_number());
	s->result = rota_cast_bytes(s->to, s->function, NULL, 0, ROTA_FOREVER);
	flag_raise(&s->ended);
	return 0;
}

static inline void *thread_cast_sending(void *arg)
{
	act_cast_sending(arg);
	return NULL;
}

static inline void cast_sending_in_thread(struct cast_sending *s, rota_id to,
					  rota_function *function)
{
	s->to = to;
	s->function = function;
	s->pthread = thread_start(thread_cast_sending, s);
	await_sleep(&s->thread);
}

static inline int cast_sending_thread_result(struct cast_sending *s)
{
	thread_join(s->pthread);
	return s->result;
}

static inline void cast_sending_in_puppet(struct cast_sending *s,
					  rota_id puppet, rota_id to,
					  rota_function *function)
{
	uint64_t waits = counters().waits;

	s->to = to;
	s->function = function;
	ACTS(puppet, act_cast_sending, s);
	AWAIT(counters().waits > waits);
}

#endif
