/* SPDX-License-Identifier: MIT */
/*
 * fairness - whoever has something to do gets its turn
 *
 * An actor that always has more to do shares its worker with all others: those
 * that it makes itself, those that others make, and those that threads wake.
 */
#include "tests/unit/support.h"

/* ---- one that never rests ---- */

/*
 * Handles a message by sending itself another, and makes some work for others
 * each time. It ends when it is told to, or has gone on for far too long.
 */
struct restless {
	unsigned children; /* that it spawns each time */
	size_t too_long;   /* messages */
	size_t n;
	size_t spawned;
	size_t backlog;	      /* most children that waited at a time */
	struct tally handled; /* by children */
	struct flag enough;
	struct flag ended;
};

static int child_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct restless *parent = *(struct restless **)state;

	(void)tag;
	(void)payload;
	(void)length;
	tally_add(&parent->handled, 1);
	return rota_self_stop(0);
}

static const struct rota_behaviour child_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "child",
	.state_size = sizeof(struct restless *),
	.handle = child_handle,
};

static int act_restless(void *arg)
{
	struct restless *me = arg;
	size_t backlog;

	for (unsigned i = 0; i < me->children; i++)
		if (rota_send(rota_spawn(NULL, &child_behaviour, &me, NULL), 1,
			      NULL, 0) == 0)
			me->spawned++;
	backlog = me->spawned - tally_of(&me->handled);
	if (backlog > me->backlog)
		me->backlog = backlog;
	if (flag_is_up(&me->enough) || ++me->n >= me->too_long) {
		flag_raise(&me->ended);
		return 0;
	}
	return puppet_act(rota_self(), act_restless, me);
}

#define TOO_LONG ((size_t)SIZED(1000000, 100000))
/* For those that are told when it is enough, however slow the teller. */
#define FAR_TOO_LONG ((size_t)10000000)

/* The others: a thread wakes them, one after the other. */
static void others_get_their_turn(unsigned workers, unsigned n_restless,
				  unsigned children)
{
	static struct restless restless[4];
	static struct record record;
	rota_id other;

	engine_start(workers);
	other = puppet_spawn(&record, 0);
	for (unsigned i = 0; i < n_restless; i++) {
		restless[i].children = children;
		restless[i].too_long = FAR_TOO_LONG / (children + 1);
		ACTS(puppet_spawn(NULL, 0), act_restless, &restless[i]);
	}
	for (size_t i = 0; i < 20; i++) {
		cr_assert_eq(send_value(other, 1, i), 0);
		AWAIT(tally_of(&record.n) == i + 1 ||
		      flag_is_up(&restless[0].ended));
		cr_assert_eq(tally_of(&record.n), i + 1, "message %zu: starved",
			     i);
	}
	for (unsigned i = 0; i < n_restless; i++)
		flag_raise(&restless[i].enough);
	quiesce();
	for (unsigned i = 0; i < n_restless; i++)
		cr_assert_eq(tally_of(&restless[i].handled),
			     restless[i].spawned);
	engine_stop();
}

Test(fairness, who_never_rests_lets_others_run, .timeout = HANG)
{
	others_get_their_turn(1, 1, 0);
}

Test(fairness, many_that_never_rest_let_others_run, .timeout = HANG)
{
	others_get_their_turn(2, 4, 0);
}

Test(fairness, who_spawns_without_end_lets_others_run, .timeout = HANG)
{
	others_get_their_turn(1, 1, 20);
}

Test(fairness, many_that_spawn_without_end_let_others_run, .timeout = HANG)
{
	others_get_their_turn(2, 4, 20);
}

/* Its children too: they do not pile up behind it. */
static void children_get_their_turn(unsigned workers, unsigned n_restless)
{
	static struct restless restless[4];

	engine_start(workers);
	for (unsigned i = 0; i < n_restless; i++) {
		restless[i].children = 20;
		restless[i].too_long = TOO_LONG / 20;
		ACTS(puppet_spawn(NULL, 0), act_restless, &restless[i]);
	}
	quiesce();
	for (unsigned i = 0; i < n_restless; i++) {
		cr_assert_eq(restless[i].spawned, TOO_LONG / 20 * 20);
		cr_assert_eq(tally_of(&restless[i].handled),
			     restless[i].spawned);
		cr_assert_lt(restless[i].backlog, TOO_LONG / 10,
			     "%zu of %zu waited at a time", restless[i].backlog,
			     restless[i].spawned);
	}
	engine_stop();
}

Test(fairness, children_of_who_spawns_without_end_run, .timeout = HANG)
{
	children_get_their_turn(1, 1);
}

Test(fairness, children_of_many_that_spawn_without_end_run, .timeout = HANG)
{
	children_get_their_turn(2, 4);
}

/* ---- a fair share ---- */

struct share {
	size_t n;
	struct flag *enough;
};

static int act_share(void *arg)
{
	struct share *share = arg;

	share->n++;
	for (volatile int i = 0; i < 200; i++)
		;
	if (flag_is_up(share->enough))
		return 0;
	return puppet_act(rota_self(), act_share, share);
}

/*
 * Equals that never rest, on one worker: none gets less than a tenth of the
 * mean, whatever their number is against the size of a run queue.
 */
static void shares_are_fair(size_t n)
{
	static struct flag enough;
	struct share *share = calloc(n, sizeof(*share));
	uint64_t sum = 0;

	memset(&enough, 0, sizeof(enough));
	engine_start(1);
	for (size_t i = 0; i < n; i++) {
		share[i].enough = &enough;
		ACTS(puppet_spawn(NULL, 0), act_share, &share[i]);
	}
	AWAIT(counters().messages > n * 64 * 40);
	flag_raise(&enough);
	quiesce();
	for (size_t i = 0; i < n; i++)
		sum += share[i].n;
	for (size_t i = 0; i < n; i++)
		cr_assert_gt(share[i].n, sum / n / 10, "actor %zu of %zu: %zu",
			     i, n, share[i].n);
	engine_stop();
	free(share);
}

Test(fairness, ten_equals_share, .timeout = HANG)
{
	shares_are_fair(10);
}

Test(fairness, a_thousand_equals_share, .timeout = HANG)
{
	shares_are_fair(1000);
}
