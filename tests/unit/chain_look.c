/* SPDX-License-Identifier: MIT */
/*
 * chain_look - does a chain go out by the second tick, whatever its sender does?
 *
 * The monitor's thread is taken out of the engine, and its ticks are given by
 * hand: so many and no more. Its state is private, so the source is included.
 */
#include "core/engine.h"
#include "sched/monitor.c"

#include "tests/unit/chains.h"

static struct crew *crew;
static int ends[2]; /* of a pipe */

static void start(unsigned workers, unsigned flags)
{
	engine_start_with(workers, flags);
	crew = &table_engine(engine->number)->crew;
	monitor_stop(crew->monitor);
	/* Those that slept were marked: it does not know of this turn. */
	for (unsigned i = 0; i < crew_slots(crew); i++)
		/* Relaxed: as the monitor does it. */
		AO_store(&crew->workers[i]->xstuck_at, (AO_t)-1);
}

/* For all that is not about ticks. */
static void ticks_again(void)
{
	struct monitor *monitor = crew->monitor;

	AO_int_store_release(&monitor->xstate, MONITOR_TICKS);
	cr_assert_eq(
		pthread_create(&monitor->thread, NULL, monitor_main, monitor),
		0);
}

static void ticks(unsigned n)
{
	while (n-- > 0)
		tick(crew->monitor);
}

/* The worker that holds back what is for that actor; NULL: none does. */
static struct worker *holder_of(rota_id to)
{
	for (unsigned i = 0; i < crew_slots(crew); i++)
		/* Relaxed: its owner stands still, and nobody else is at it. */
		if (AO_load(&crew->workers[i]->xheld) == to)
			return crew->workers[i];
	return NULL;
}

/* ---- handlers that do not return ---- */

static int then_compute(struct burst *burst)
{
	while (!flag_is_up(&burst->go))
		;
	return 0;
}

static int then_read(struct burst *burst)
{
	char byte;

	(void)burst;
	return read(ends[0], &byte, 1) == 1 ? 0 : -EIO;
}

/* What it waits for is done by the receiver of what it sent. */
static int then_spin_for_receiver(struct burst *burst)
{
	while (tally_of(&burst->expecting->n) < burst->accepted)
		;
	return 0;
}

/* Of how many is something held back as they are over? Not of very few, nor
   where a lease has just been used up. */
static unsigned n_bursts, n_held;

static rota_id start_burst(struct burst *burst, struct expecting *expecting,
			   int (*then)(struct burst *), size_t n)
{
	rota_id sender, to;

	start(2, ROTA_CHAINS);
	to = expecting_spawn(expecting, 64);
	*burst = burst_of(to, n, expecting);
	burst->then = then;
	sender = puppet_spawn(NULL, 0);
	ACTS(sender, act_burst, burst);
	AWAIT(flag_is_up(&burst->sent));
	n_bursts++;
	n_held += holder_of(to) != NULL;
	return sender;
}

static void end_burst(struct burst *burst, struct expecting *expecting,
		      size_t n_letters)
{
	ticks_again();
	flag_raise(&burst->go);
	if (burst->then == then_read)
		cr_assert_eq(write(ends[1], "", 1), 1);
	AWAIT(flag_is_up(&burst->ended));
	quiesce();
	cr_assert_eq(tally_of(&expecting->n), burst->n);
	cr_assert_eq(tally_of(&expecting->n_wrong), 0);
	cr_assert_eq(n_dead(), n_letters);
	engine_stop();
}

static void seen_while(int (*then)(struct burst *))
{
	static struct expecting expecting;
	static struct burst burst;

	cr_assert_eq(pipe(ends), 0);
	for (size_t n = 1; n < 60; n += 3) {
		start_burst(&burst, &expecting, then, n);
		ticks(2);
		/* Nobody ticks meanwhile: else it would be never. */
		AWAIT(tally_of(&expecting.n) == n);
		end_burst(&burst, &expecting, 0);
	}
	close(ends[0]);
	close(ends[1]);
	cr_assert_gt(n_held, n_bursts / 2, "of %u", n_bursts);
}

Test(chain_look, while_its_sender_computes, .init = check_kernel,
     .timeout = HANG)
{
	seen_while(then_compute);
}

Test(chain_look, while_its_sender_blocks_in_read, .init = check_kernel,
     .timeout = HANG)
{
	seen_while(then_read);
}

Test(chain_look, while_its_sender_spins_for_the_receiver, .init = check_kernel,
     .timeout = HANG)
{
	seen_while(then_spin_for_receiver);
}

/* ---- where chains are not wanted ---- */

Test(chain_look, without_chains_nobody_has_to_look, .timeout = HANG)
{
	static struct expecting expecting;
	static struct burst burst;
	rota_id to;

	for (size_t n = 1; n < 60; n += 3) {
		start(2, ROTA_NO_CHAINS);
		to = expecting_spawn(&expecting, 64);
		burst = burst_of(to, n, &expecting);
		burst.then = then_spin_for_receiver;
		ACTS(puppet_spawn(NULL, 0), act_burst, &burst);
		AWAIT(flag_is_up(&burst.ended));
		cr_assert_null(holder_of(to));
		cr_assert_eq(counters().chained, 0);
		end_burst(&burst, &expecting, 0);
	}
}

/* ---- a sender that is abandoned ---- */

/* Between the mark and the taking of a tick: then the chain is open still. */
static void mark_and_abandon(rota_id sender, rota_id to)
{
	bool was_held = holder_of(to) != NULL;
	int error;

	for (unsigned i = 0; i < crew_slots(crew); i++) {
		struct worker *worker = crew->workers[i];

		/* Relaxed: as the monitor does it. */
		AO_store(&worker->xstuck_at, AO_load(&worker->xturns));
	}
	tick_others(crew, crew_now_ns(crew));
	AWAIT((error = rota_abandon(sender)) != -EAGAIN);
	cr_assert_eq(error, 0, "%s", rota_strerror(error));
	cr_assert_eq(holder_of(to) != NULL, was_held);
}

Test(chain_look, of_an_abandoned_sender_too, .init = check_kernel,
     .timeout = HANG)
{
	static struct expecting expecting;
	static struct burst burst;
	size_t n_letters = 0;

	for (size_t n = 1; n < 60; n += 3) {
		rota_id sender =
			start_burst(&burst, &expecting, then_compute, n);

		mark_and_abandon(sender, burst.to);
		ticks(2);
		AWAIT(tally_of(&expecting.n) == n);
		end_burst(&burst, &expecting, ++n_letters);
	}
	cr_assert_gt(n_held, n_bursts / 2, "of %u", n_bursts);
}

/* It comes back before the next tick: the chain is its own to send. */
Test(chain_look, of_an_abandoned_sender_that_returns, .init = check_kernel,
     .timeout = HANG)
{
	static struct expecting expecting;
	static struct burst burst;
	size_t n_letters = 0;

	for (size_t n = 1; n < 60; n += 3) {
		rota_id sender =
			start_burst(&burst, &expecting, then_compute, n);

		mark_and_abandon(sender, burst.to);
		flag_raise(&burst.go);
		AWAIT(tally_of(&expecting.n) == n);
		end_burst(&burst, &expecting, ++n_letters);
	}
	cr_assert_gt(n_held, n_bursts / 2, "of %u", n_bursts);
}
