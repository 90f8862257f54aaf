/* SPDX-License-Identifier: MIT */
/*
 * wait - claims, cancels and retracts of one wait at once: does one win?
 *
 * What the owner prepared and what the winner answers are plain memory, and
 * tickets travel by relaxed accesses: only the wait word orders them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/stress/jitter.h"

#include "sched/wait.c"

#include "tests/stress/crowd.h"

#define CLAIMERS 3

static struct wait wait;
static AO_t xticket;  /* sequence of the newest wait */
static AO_t xn_woken; /* calls of wake() */
static AO_t xis_over;
static AO_t *xn_won; /* per sequence: claims that succeeded */
static unsigned long n_rounds;
static uintptr_t prepared; /* by the owner, before it waits */
static uintptr_t answer;   /* by the winner */
static unsigned long n_wrong[CLAIMERS + 2];
static bool is_stuck;

/* What became of the owner's waits. */
static struct {
	unsigned long begun, answered, cancelled, retracted, refused;
} n;

static void wake(struct wait *woken)
{
	(void)woken;
	AO_fetch_and_add1(&xn_woken);
}

static bool is_over(void)
{
	return AO_load(&xis_over) != 0; /* relaxed: for its value alone */
}

static int result_of(AO_t sequence)
{
	return (int)(sequence / WAIT_SEQUENCE & 0xffffff) + 1;
}

/* ---- those who end waits ---- */

static AO_t pick_sequence(AO_t *kept)
{
	/* Relaxed: the claim orders; see the top. */
	AO_t newest = AO_load(&xticket);

	if (jitter_random() % 64 == 0)
		*kept = newest; /* to be tried much later */
	return jitter_random() % 4 == 0 ? *kept : newest;
}

static void win(unsigned number, AO_t sequence)
{
	if (AO_fetch_and_add1(&xn_won[sequence / WAIT_SEQUENCE]) != 0)
		n_wrong[number]++;
	if (prepared != sequence / WAIT_SEQUENCE)
		n_wrong[number]++;
	answer = prepared;
	wait_finish(&wait, result_of(sequence));
}

static void cancel(void)
{
	if (wait_cancel(&wait))
		wait_finish(&wait, -ECANCELED);
}

static void claim_until_over(unsigned number)
{
	AO_t kept = 0;

	while (!is_over()) {
		AO_t sequence = pick_sequence(&kept);
		struct wait_ticket ticket = {&wait, sequence};

		if (wait_claim(ticket))
			win(number, sequence);
	}
}

static void cancel_until_over(void)
{
	while (!is_over()) {
		cancel();
		for (unsigned i = jitter_random() % 256; i > 0; i--)
			jitter();
	}
}

/* ---- the owner ---- */

static bool see_through(void)
{
	struct patience patience = {0};

	while (!wait_has_ended(&wait)) {
		if (!patience_left(&patience, 1))
			return false;
		sched_yield();
	}
	return true;
}

static void note_end(AO_t sequence)
{
	int result = wait_end(&wait);

	if (result == -ECANCELED) {
		n.cancelled++;
		wait_clear(&wait);
	} else if (result == result_of(sequence) &&
		   answer == sequence / WAIT_SEQUENCE) {
		n.answered++;
	} else {
		n_wrong[CLAIMERS]++;
	}
}

static bool wait_once(AO_t next)
{
	struct wait_ticket ticket;

	prepared = next;
	if (!wait_begin(&wait, &ticket)) {
		n.refused++;
		wait_clear(&wait);
		return true;
	}
	n.begun++;
	if (ticket.sequence != next * WAIT_SEQUENCE)
		n_wrong[CLAIMERS]++;
	/* Relaxed: see the top. */
	AO_store(&xticket, ticket.sequence);
	if (jitter_random() % 4 == 0) {
		jitter();
		if (wait_retract(ticket)) {
			n.retracted++;
			return true;
		}
	}
	if (!see_through())
		return false;
	note_end(ticket.sequence);
	return true;
}

static void own(void)
{
	AO_t next = 1;

	while (n.begun < n_rounds && !is_stuck) {
		unsigned long begun = n.begun;

		is_stuck = !wait_once(next);
		next += n.begun - begun;
	}
	AO_store(&xis_over, 1);
}

/* ---- tests ---- */

static void play(unsigned number)
{
	if (number == 0)
		own();
	else if (number <= CLAIMERS)
		claim_until_over(number - 1);
	else
		cancel_until_over();
}

static unsigned long total_won(void)
{
	unsigned long won = 0;

	for (unsigned long i = 0; i <= n_rounds; i++)
		won += AO_load(&xn_won[i]);
	return won;
}

static void run(unsigned n_claimers, bool cancels)
{
	n_rounds = check_stress(120000);
	xn_won = calloc(n_rounds + 1, sizeof(*xn_won));
	cr_assert_not_null(xn_won);
	wait.wake = wake;
	/* Numbers above the claimers cancel. */
	crowd_run(1 + (cancels ? CLAIMERS + 1 : n_claimers), play);
	cr_assert_not(is_stuck, "nobody ended the wait");
	for (unsigned i = 0; i < CLAIMERS + 2; i++)
		cr_assert_eq(n_wrong[i], 0);
	cr_assert_eq(n.begun, n_rounds);
	cr_assert_eq(n.begun, n.answered + n.cancelled + n.retracted);
	cr_assert_eq(total_won(), n.answered);
	cr_assert_eq(AO_load(&xn_woken), n.answered + n.cancelled);
	cr_assert_gt(n.answered, 0);
	cr_assert_gt(n.retracted, 0);
	cr_assert_eq(n.cancelled + n.refused > 0, cancels);
	free(xn_won);
}

Test(wait, one_claimer, .timeout = 120)
{
	run(1, false);
}

Test(wait, of_many_claimers_one_wins, .timeout = 120)
{
	run(CLAIMERS, false);
}

Test(wait, claims_cancels_and_retracts, .timeout = 120)
{
	run(CLAIMERS, true);
}

/* ---- no cancel is lost ---- */

static AO_t xround;	/* the owner's */
static AO_t xcancelled; /* rounds that the other one has cancelled */

static bool await(AO_t *xcounter, AO_t value)
{
	struct patience patience = {0};

	while (AO_load(xcounter) < value) /* relaxed: orders nothing */
		if (!patience_left(&patience, 1) || is_over())
			return false;
	return true;
}

/* One cancel per round, no claims: the wait fails to begin, or is ended. */
static bool wait_for_cancel(AO_t round)
{
	struct wait_ticket ticket;

	AO_store(&xround, round);
	for (unsigned i = jitter_random() % 64; i > 0; i--)
		jitter();
	if (wait_begin(&wait, &ticket)) {
		if (!see_through())
			return false;
		if (wait_end(&wait) != -ECANCELED)
			n_wrong[0]++;
		n.cancelled++;
	} else {
		n.refused++;
	}
	if (!await(&xcancelled, round))
		return false;
	/* And it sticks until the owner says so. */
	if (wait_begin(&wait, &ticket))
		n_wrong[0]++;
	wait_clear(&wait);
	return true;
}

static void play_cancel(unsigned number)
{
	for (AO_t round = 1; round <= n_rounds; round++) {
		if (number == 0) {
			if (!wait_for_cancel(round)) {
				is_stuck = true;
				AO_store(&xis_over, 1);
				return;
			}
			continue;
		}
		if (!await(&xround, round))
			return;
		cancel();
		AO_store(&xcancelled, round);
	}
}

Test(wait, no_cancel_is_lost, .timeout = 120)
{
	n_rounds = check_stress(100000);
	wait.wake = wake;
	crowd_run(2, play_cancel);
	cr_assert_not(is_stuck, "a cancel was lost");
	cr_assert_eq(n_wrong[0], 0);
	cr_assert_eq(n.cancelled + n.refused, n_rounds);
	cr_assert_gt(n.cancelled, 0);
	cr_assert_gt(n.refused, 0);
}
