/* SPDX-License-Identifier: MIT */
/*
 * cycle_look - is a circle that nobody was on at any one time left alone?
 *
 * Edges are read one after the other, and waits end and begin meanwhile. What
 * has been seen then may look like a circle and be none. Three actors are
 * played here: a waits for room at b, b asks c, c asks a. Asks are looked up in
 * the middle of a walk, and there the test changes who waits. For that the
 * source is included.
 */
#define ask_edge played_edge
#define ask_look played_look
#include "core/cycle.c"

#include "tests/unit/support.h"

enum { A, B, C, N };

static rota_id id[N];
static struct wait waits[N];
static struct wait_ticket tickets[N];
static struct waiter waiter; /* a's, at b */
static struct engine *own;

/* What happens in the middle of a walk. */
static enum {
	NOTHING,
	B_TO_C,	   /* b's wait ends, and c's begins */
	TO_AND_FRO /* the same, and the other way round when c's has been seen */
} happens;

static void wake_nobody(struct wait *wait)
{
	(void)wait;
}

static void wait_for(unsigned who, enum edge edge, unsigned whom)
{
	struct cold *cold;
	struct site site;
	int error;

	waits[who].wake = wake_nobody;
	cr_assert(wait_begin(&waits[who], &tickets[who]));
	cr_assert_eq(site_enter(&site, id[who]), 0);
	cold = cold_lock(&site, engine_actor(site.engine, id[who]), id[who],
			 true, &error);
	cr_assert_not_null(cold);
	cycle_set_edge(cold,
		       &(struct step){id[who], id[whom], edge, false,
				      tickets[who], who},
		       0);
	leave(&site, cold);
}

static void end_wait(unsigned who)
{
	cr_assert(wait_retract(tickets[who]));
}

static bool waits_still(unsigned who)
{
	return AO_load(&waits[who].xword) ==
	       (tickets[who].sequence | WAIT_WAITING);
}

rota_id played_edge(uint64_t token)
{
	if (token == B && happens != NOTHING) {
		end_wait(B);
		wait_for(C, EDGE_ASK, A);
		if (happens == B_TO_C)
			happens = NOTHING;
	} else if (token == C && happens == TO_AND_FRO) {
		end_wait(C);
		wait_for(B, EDGE_ASK, C);
	}
	return id[token == B ? C : A];
}

bool played_look(uint64_t token, struct ask_seen *seen)
{
	(void)token;
	(void)seen;
	return false;
}

/* Nobody drives: there is no monitor but us. */
static void begin(void)
{
	struct rota_config config = test_config(1);
	struct site site;

	config.flags = ROTA_RUN_HERE;
	engine = engine_make(&config);
	for (unsigned i = 0; i < N; i++)
		id[i] = puppet_spawn(NULL, 1);
	cr_assert_eq(site_enter(&site, id[A]), 0);
	own = site.engine;
	site_leave(&site);
	wait_for(B, EDGE_ASK, C);
}

/* a's wait, for room or for an end, is seen by all. */
static void a_waits(enum edge edge)
{
	struct site site;
	struct cold *cold;

	wait_for(A, edge, B);
	if (edge != EDGE_ROOM)
		return;
	waiter.ticket = tickets[A];
	cold = visit(&site, id[B]);
	cr_assert_not_null(cold);
	waiters_append(&cold->room, &waiter);
	leave(&site, cold);
}

static void end(void)
{
	struct site site;
	struct cold *cold;

	for (unsigned i = 0; i < N; i++) {
		cold = visit(&site, id[i]);
		if (!cold)
			continue;
		cold->edge = EDGE_NONE;
		if (i == B && cold->room.first)
			waiters_remove(&cold->room, &waiter);
		leave(&site, cold);
	}
	engine_stop();
}

/* ---- by the turn that closes it */

static int add_edge(enum edge edge)
{
	struct local *local = (struct local *)own->crew.workers[0];
	struct step step = {id[A], id[B], edge, false, tickets[A], A};
	int error;

	local->turn.actor = engine_actor(own, id[A]);
	turn_set_self(&local->turn, id[A]);
	error = cycle_add_edge(local, &step);
	turn_set_self(&local->turn, ROTA_NONE);
	return error;
}

Test(cycle_look, a_turn_finds_one_that_stands, .init = begin, .fini = end)
{
	a_waits(EDGE_JOIN);
	wait_for(C, EDGE_ASK, A);
	cr_assert_eq(add_edge(EDGE_JOIN), 0);
	cr_assert_eq(wait_end(&waits[A]), -EDEADLK);
}

Test(cycle_look, a_turn_looks_twice, .init = begin, .fini = end)
{
	a_waits(EDGE_ROOM);
	happens = B_TO_C;
	cr_assert_eq(add_edge(EDGE_ROOM), 0);
	cr_assert(waits_still(A));
	cr_assert(waits_still(C));
}

Test(cycle_look, a_turn_sees_that_it_is_another_one, .init = begin, .fini = end)
{
	a_waits(EDGE_ROOM);
	happens = TO_AND_FRO;
	cr_assert_eq(add_edge(EDGE_ROOM), 0);
	cr_assert(waits_still(A));
	cr_assert(waits_still(B));
}

/* ---- by who has led an edge elsewhere */

Test(cycle_look, who_forwards_finds_one_that_stands, .init = begin, .fini = end)
{
	a_waits(EDGE_JOIN);
	wait_for(C, EDGE_ASK, A);
	cycle_look(id[A]);
	cr_assert_not(waits_still(A) && waits_still(B) && waits_still(C));
}

Test(cycle_look, who_forwards_looks_twice, .init = begin, .fini = end)
{
	a_waits(EDGE_ROOM);
	happens = B_TO_C;
	cycle_look(id[A]);
	cr_assert(waits_still(A));
	cr_assert(waits_still(C));
}

Test(cycle_look, who_forwards_sees_that_it_is_another_one, .init = begin,
     .fini = end)
{
	a_waits(EDGE_ROOM);
	happens = TO_AND_FRO;
	cycle_look(id[A]);
	cr_assert(waits_still(A));
	cr_assert(waits_still(B));
}

/* ---- by the monitor */

static void walk_all(void)
{
	hand_over_other(id[A]);
	while (cycle_tick(own))
		;
}

Test(cycle_look, the_monitor_finds_one_that_stands, .init = begin, .fini = end)
{
	a_waits(EDGE_JOIN);
	wait_for(C, EDGE_ASK, A);
	walk_all();
	cr_assert_not(waits_still(A) && waits_still(B) && waits_still(C));
}

Test(cycle_look, the_monitor_looks_twice, .init = begin, .fini = end)
{
	a_waits(EDGE_ROOM);
	happens = B_TO_C;
	walk_all();
	cr_assert(waits_still(A));
	cr_assert(waits_still(C));
}

Test(cycle_look, the_monitor_sees_that_it_is_another_one, .init = begin,
     .fini = end)
{
	a_waits(EDGE_ROOM);
	happens = TO_AND_FRO;
	walk_all();
	cr_assert(waits_still(A));
	cr_assert(waits_still(B));
}

/* ---- before a wait is given up */

Test(cycle_look, a_wait_is_not_given_up_for_one_that_is_open, .init = begin,
     .fini = end)
{
	struct fork forks[FEW_FORKS];
	struct walk walk, round;

	a_waits(EDGE_JOIN);
	wait_for(C, EDGE_ASK, A);
	walk_begin(&walk, id[A], tickets[A], forks, FEW_FORKS);
	cr_assert_eq(search(&walk, TURN_STEPS), WAY_CLOSES);
	cr_assert(is_closed(&walk, &round));
	end_wait(C); /* another one was faster to open it */
	give_up(&round, &round.way_out);
	cr_assert(waits_still(A));
	cr_assert(waits_still(B));
}
