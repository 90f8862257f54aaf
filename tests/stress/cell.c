/* SPDX-License-Identifier: MIT */
/*
 * cell - shared by threads and actors in a storm, and let go of
 *
 * What was cast and called is counted exactly; the end of a cell comes once,
 * after everything that its owners cast, however their releases race; and a stop
 * of the engine in the middle of it loses nothing but what it reports.
 */
#include "tests/unit/support.h"

#include <rota/cell.h>

struct till {
	size_t total;
	size_t inside; /* raised while a function runs; plain: it never races */
	struct tally *ends;
	struct tally *final;
	struct tally *bad;
};

static void till_end(struct till *till)
{
	tally_add(till->ends, 1);
	tally_add(till->final, till->total);
	if (till->inside)
		tally_add(till->bad, 1);
}

ROTA_CELL(till, struct till, till_end);

static int pay(struct till *till, size_t *amount)
{
	if (till->inside++)
		tally_add(till->bad, 1);
	till->total += *amount;
	*amount = till->total;
	till->inside--;
	return 0;
}

ROTA_CELL_FN(till, pay, size_t);

static struct tally ends, final, bad;

static till_cell *till_open(unsigned mailbox)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	struct till till = {.ends = &ends, .final = &final, .bad = &bad};
	till_cell *cell;

	options.mailbox = mailbox;
	cell = till_make(engine, &till, &options);
	cr_assert_not_null(cell);
	return cell;
}

/* ---- payers: threads and actors ---- */

struct payer {
	till_cell *cell;
	size_t n;
	bool stops; /* at the first refusal: the engine is being stopped */
	struct tally paid;
	struct tally strange;
	struct tally begun;
};

static bool is_refusal(int error)
{
	return error == -ESRCH || error == -ESHUTDOWN || error == -ECANCELED ||
	       error == -ECONNRESET;
}

/* One in eight waits for what it paid. */
static int pay_once(struct payer *payer, size_t i)
{
	size_t amount = 1;

	if (i % 8)
		return till_cast_pay(payer->cell, &amount);
	return till_call_pay(payer->cell, &amount, ROTA_FOREVER);
}

static void pay_all(struct payer *payer)
{
	tally_add(&payer->begun, 1);
	for (size_t i = 0; i < payer->n; i++) {
		int error = pay_once(payer, i);

		if (error && !(payer->stops && is_refusal(error)))
			tally_add(&payer->strange, 1);
		if (error)
			break;
		tally_add(&payer->paid, 1);
	}
	till_release(payer->cell);
}

static void *thread_pay(void *arg)
{
	pay_all(arg);
	return NULL;
}

static int act_pay(void *arg)
{
	pay_all(arg);
	return 0;
}

#define PAYERS 8 /* half of them threads */

static void pay_by_all(till_cell *cell, struct payer *payers,
		       pthread_t *threads, size_t n, bool stops)
{
	for (size_t i = 0; i < PAYERS; i++) {
		payers[i] = (struct payer){
			.cell = till_retain(cell), .n = n, .stops = stops};
		if (i % 2)
			threads[i / 2] = thread_start(thread_pay, &payers[i]);
		else
			ACTS(puppet_spawn(NULL, 0), act_pay, &payers[i]);
	}
}

static size_t settle(struct payer *payers, pthread_t *threads)
{
	size_t paid = 0;

	for (size_t i = 0; i < PAYERS / 2; i++)
		thread_join(threads[i]);
	if (engine)
		quiesce();
	for (size_t i = 0; i < PAYERS; i++) {
		cr_assert_eq(tally_of(&payers[i].strange), 0);
		paid += tally_of(&payers[i].paid);
		if (!tally_of(&payers[i].begun)) /* the stop was faster */
			till_release(payers[i].cell);
	}
	return paid;
}

static void count_exactly(unsigned workers, unsigned mailbox)
{
	struct payer payers[PAYERS];
	pthread_t threads[PAYERS / 2];
	size_t n = check_stress(10000);
	till_cell *cell;
	size_t seen = 0;
	rota_id id;

	engine_start(workers);
	cell = till_open(mailbox);
	id = till_id(cell);
	pay_by_all(cell, payers, threads, n, false);
	cr_assert_eq(settle(payers, threads), PAYERS * n);
	cr_assert_eq(till_call_pay(cell, &seen, ROTA_FOREVER), 0);
	cr_assert_eq(seen, PAYERS * n);
	till_release(cell);
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
	cr_assert_eq(tally_of(&ends), 1);
	cr_assert_eq(tally_of(&final), PAYERS * n);
	cr_assert_eq(tally_of(&bad), 0);
	cr_assert_eq(n_dead(), 0);
	engine_stop();
}

Test(cell, counts_exactly_on_1_worker, .timeout = STRESS)
{
	count_exactly(1, 0);
}

Test(cell, counts_exactly_on_2_workers, .timeout = STRESS)
{
	count_exactly(2, 0);
}

Test(cell, counts_exactly_on_64_workers, .timeout = STRESS)
{
	count_exactly(64, 0);
}

Test(cell, counts_exactly_without_room, .timeout = STRESS)
{
	count_exactly(2, 1);
}

/* ---- the last release, round after round ---- */

static void release_races(unsigned workers)
{
	struct payer payers[PAYERS];
	pthread_t threads[PAYERS / 2];
	size_t rounds = check_stress(300);

	engine_start(workers);
	for (size_t i = 0; i < rounds; i++) {
		till_cell *cell = till_open(1 + (unsigned)i % 40);
		rota_id id = till_id(cell);

		pay_by_all(cell, payers, threads, 1 + i % 20, false);
		till_release(cell); /* payers are the only owners now */
		cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
		cr_assert_eq(tally_of(&ends), i + 1);
		cr_assert_eq(settle(payers, threads), PAYERS * (1 + i % 20));
		cr_assert_eq(tally_of(&final), PAYERS * (1 + i % 20));
		final = (struct tally){0};
	}
	cr_assert_eq(tally_of(&bad), 0);
	cr_assert_eq(n_dead(), 0);
	engine_stop();
}

Test(cell, the_last_release_races_with_casts_on_1_worker, .timeout = STRESS)
{
	release_races(1);
}

Test(cell, the_last_release_races_with_casts_on_2_workers, .timeout = STRESS)
{
	release_races(2);
}

Test(cell, the_last_release_races_with_casts_on_64_workers, .timeout = STRESS)
{
	release_races(64);
}

/* ---- the engine stops meanwhile ---- */

static void stop_races(unsigned workers)
{
	struct payer payers[PAYERS];
	pthread_t threads[PAYERS / 2];
	size_t rounds = check_stress(40), paid;

	for (size_t i = 0; i < rounds; i++) {
		till_cell *cell;
		size_t dead = n_dead();

		engine_start(workers);
		cell = till_open(0);
		pay_by_all(cell, payers, threads, SIZE_MAX, true);
		for (size_t j = 0; j < i % 8; j++)
			nap();
		engine_stop();
		paid = settle(payers, threads);
		cr_assert_eq(tally_of(&ends), i + 1);
		/* Casts that were accepted ran, or were reported; a call that
		   was refused may have run, too: it says so. */
		cr_assert_geq(tally_of(&final) + n_dead() - dead, paid);
		final = (struct tally){0};
		till_release(cell);
	}
	cr_assert_eq(tally_of(&bad), 0);
}

Test(cell, a_stop_races_with_owners_on_2_workers, .timeout = STRESS)
{
	stop_races(2);
}

Test(cell, a_stop_races_with_owners_on_64_workers, .timeout = STRESS)
{
	stop_races(64);
}
