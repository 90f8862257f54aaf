/* SPDX-License-Identifier: MIT */
/*
 * relief - spare workers take the places of those that are lost to their turns
 *
 * Problem:    a turn that does not come back (it computes, or blocks in a system
 *             call) takes a worker away from all others.
 * Approach:   where a worker is lost, a spare one sits down at the same place.
 *             There are never more spare ones on duty than workers lost, so
 *             when one comes back a spare one retires (roster.c).
 *             Whoever knows that it will block says so, and has a spare one at
 *             once unless somebody sleeps. Else the monitor finds out, and
 *             sends one only if there is work and nobody to be woken for it:
 *             one for each whose thread the kernel has asleep.
 *             That a turn is long does not say that a processor is free: spare
 *             ones for workers that compute come at growing intervals, and not
 *             while as many workers move as there are seats; and who was seen
 *             to stand still on a crowded machine may just not have been given
 *             a processor, unless the kernel has it asleep.
 * Rejected:   a spare for each turn that lasts long (turns of 10 ms on all
 *             workers would bring all spares in); letting a spare take over
 *             the stuck worker's structure, as Go does with its P (a turn uses
 *             its worker's memory while it computes).
 * Invariants: I1 xn_relief = spare workers that are ACTIVE; <= max_spares.
 *             I2 after each settling xn_relief <= workers that are lost.
 * Orderings:  none of its own: the roster's lock; hints read without it are
 *             looked at again under it, or at the next tick.
 */
#include "sched/relief.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sched/asleep.h"
#include "sched/worker.h"

/* A turn that has lasted that long keeps its worker from others. */
#define LOST_NS 1500000
/* Per thread and processor: for so long others may have had the processor. */
#define SLICE_NS 8000000
/* For so long none could come: before, a busy machine may be all there is. */
#define FAIL_NS 500000000
/* That is said again after so long, at the soonest. */
#define SAY_NS UINT64_C(10000000000)
/* Intervals between spares for turns that have said nothing: doublings. */
#define MAX_DOUBLINGS 10
/* A tick asks the kernel about so many at most: some microseconds each. */
#define TICK_ASKS 4

/* ---- who is lost; under the lock, or a hint ---- */

static bool is_lost(const struct worker *worker)
{
	/* Relaxed: hints, see the top. */
	return roster_duty(worker) == DUTY_ACTIVE &&
	       (AO_load(&worker->xblocked) || AO_load(&worker->xlost));
}

/* What the monitor, or who is about to block, finds. */
struct losses {
	unsigned n_blocked; /* they said so, or the kernel did */
	unsigned n;	    /* all */
};

static struct losses count_losses(struct crew *crew)
{
	struct losses losses = {0, 0};
	unsigned i, n = crew_slots(crew);

	for (i = 0; i < n; i++) {
		const struct worker *worker = crew->workers[i];

		if (!is_lost(worker))
			continue;
		losses.n++;
		/* Relaxed: a hint. */
		losses.n_blocked += AO_load(&worker->xblocked) != 0 ||
				    AO_load(&worker->xasleep) != 0;
	}
	return losses;
}

/* ---- spares; under the lock ---- */

/* Only changed under the lock, and read by others as a hint: relaxed. */
static void add(AO_t *xn, int n)
{
	/* Relaxed: see above. */
	AO_store(xn, AO_load(xn) + (AO_t)n);
}

/* Where the one sits that was lost after so many others. */
static unsigned place_of_lost(struct crew *crew, unsigned nth)
{
	unsigned i, n = crew_slots(crew), place = 0;

	for (i = 0; i < n; i++) {
		if (!is_lost(crew->workers[i]))
			continue;
		/* Relaxed: under the lock. */
		place = (unsigned)AO_load(&crew->workers[i]->xplace);
		if (nth-- == 0)
			break;
	}
	return place;
}

/* The cheapest to bring on duty first: its thread is there. */
static struct worker *choose_spare(struct roster *roster)
{
	struct worker *chosen = NULL;
	unsigned i;

	for (i = 0; i < roster->n_spares; i++) {
		struct worker *spare = roster->spare[i];
		enum duty duty = roster_duty(spare);

		if (duty == DUTY_RETIRING || duty == DUTY_RETIRED)
			return spare;
		if (duty != DUTY_ACTIVE && !chosen)
			chosen = spare;
	}
	return chosen;
}

static int call_spare(struct crew *crew)
{
	struct roster *roster = &crew->roster;
	/* Relaxed: under the lock. */
	unsigned n = (unsigned)AO_load(&crew->relief.xn);
	struct worker *spare = choose_spare(roster);
	int error = spare ? 0 : roster_add_spare(crew, &spare);

	return error ? error : roster_call(spare, place_of_lost(crew, n));
}

/* Why one could not come; 0: it came, or none is wanted. Under the lock. */
static void note_outcome(struct relief *relief, int error, uint64_t now_ns)
{
	/* Relaxed, here and below: under the lock. */
	AO_t since_ns = AO_load(&relief->xfailing_ns);

	if (error == 0)
		since_ns = 0;
	else if (since_ns == 0)
		since_ns = now_ns;
	/* The monitor's tick may have begun before somebody else tried. */
	if (now_ns < since_ns + FAIL_NS)
		error = 0;
	AO_store(&relief->xfailing_ns, since_ns); /* relaxed: see above */
	AO_store(&relief->xerror, (AO_t)-error);  /* relaxed: likewise */
}

/* If there is no thread to be had the next tick tries again. */
static void relieve(struct crew *crew, uint64_t now_ns)
{
	int error = call_spare(crew);

	note_outcome(&crew->relief, error, now_ns);
	if (error)
		return;
	crew->relief.last_ns = crew_now_ns(crew);
	add(&crew->relief.xn, 1);
	add(&crew->relief.xn_total, 1);
}

/* Of more spare ones than workers lost some are not lost themselves. */
static void dismiss(struct crew *crew, unsigned n)
{
	struct roster *roster = &crew->roster;
	unsigned i = roster->n_spares;

	while (n > 0 && i-- > 0) {
		struct worker *spare = roster->spare[i];

		if (roster_duty(spare) != DUTY_ACTIVE || is_lost(spare))
			continue;
		roster_dismiss(spare);
		add(&crew->relief.xn, -1);
		n--;
	}
}

static void dismiss_surplus(struct crew *crew, struct losses losses)
{
	/* Relaxed: under the lock. */
	unsigned n = (unsigned)AO_load(&crew->relief.xn);

	if (n > losses.n)
		dismiss(crew, n - losses.n);
}

/* ---- who says that it blocks ---- */

void relief_block(struct worker *worker)
{
	struct crew *crew = worker->crew;
	struct roster *roster = &crew->roster;

	pthread_mutex_lock(&roster->lock);
	/* Relaxed: under the lock. */
	AO_store(&worker->xblocked, 1);
	/* Relaxed: likewise. */
	if (roster->is_open && roster_duty(worker) == DUTY_ACTIVE &&
	    AO_load(&crew->relief.xn) < count_losses(crew).n &&
	    idle_sleepers(idle_read(&crew->idle)) == 0)
		relieve(crew, crew_now_ns(crew));
	pthread_mutex_unlock(&roster->lock);
}

void relief_unblock(struct worker *worker)
{
	struct crew *crew = worker->crew;

	pthread_mutex_lock(&crew->roster.lock);
	/* Relaxed: under the lock. */
	AO_store(&worker->xblocked, 0);
	/* Relaxed: the monitor's finding of long ago, perhaps. */
	AO_store(&worker->xlost, 0);
	if (crew->roster.is_open)
		dismiss_surplus(crew, count_losses(crew));
	pthread_mutex_unlock(&crew->roster.lock);
}

void relief_lend(struct crew *crew)
{
	pthread_mutex_lock(&crew->roster.lock);
	crew->roster.max_spares = crew->options.max_spares + 1;
	pthread_mutex_unlock(&crew->roster.lock);
}

/* ---- the monitor ---- */

/* It is asleep, or has just been. */
static bool sleeps(const struct worker *worker)
{
	/* Relaxed: a hint. */
	return AO_load(&worker->xinbox) == INBOX_ASLEEP;
}

/* For how long a worker may stand still before it is taken for lost. */
static uint64_t allowance(const struct crew *crew)
{
	unsigned n = roster_target(&crew->roster);
	unsigned seats = crew->places.n_seats;

	return n <= seats ? LOST_NS : (uint64_t)SLICE_NS * n / seats;
}

/* True: it has moved since the last look. */
static bool look_at(struct worker *worker, uint64_t now_ns,
		    uint64_t allowance_ns)
{
	bool lost = false, moves = false;
	/* Relaxed: a sign of life. */
	AO_t turns = AO_load(&worker->xturns);

	if (sleeps(worker) || roster_duty(worker) != DUTY_ACTIVE)
		turns = TURNS_UNSEEN;
	if (turns != worker->still_turns || turns == TURNS_UNSEEN) {
		moves = turns != TURNS_UNSEEN;
		worker->still_turns = turns;
		worker->still_since_ns = now_ns;
		worker->ask_at_ns = now_ns + LOST_NS;
		AO_store(&worker->xasleep, 0); /* relaxed: a hint */
	} else {
		/* Relaxed: only we write it. */
		lost = now_ns - worker->still_since_ns >= allowance_ns ||
		       AO_load(&worker->xasleep);
	}
	/* Relaxed: only we write it, but for relief_unblock(). */
	if (AO_load(&worker->xlost) != lost)
		AO_store(&worker->xlost, lost);
	return moves;
}

/* There is no tick for a while: what was seen before it says nothing then. */
static void forget_all(struct crew *crew)
{
	unsigned i, n = crew_slots(crew);

	for (i = 0; i < n; i++)
		crew->workers[i]->still_turns = TURNS_UNSEEN;
}

static bool has_tasks(const struct worker *worker)
{
	/* Relaxed: a hint. */
	return worker_backlog(worker) > 0 || nest_length(&worker->nest) > 0 ||
	       AO_load(&worker->xnext) != 0;
}

/* Is there work, and nobody to be woken for it? */
static bool is_wanting(struct crew *crew)
{
	unsigned i, n = crew_slots(crew);

	/* Relaxed: a hint. */
	if (idle_sleepers(AO_load(&crew->idle.xword)) > 0)
		return false;
	for (i = 0; i < n; i++)
		if (has_tasks(crew->workers[i]))
			return true;
	/* Relaxed: a hint. */
	return nodes_length(&crew->nodes) > 0 || AO_load(&crew->xlate) != 0;
}

/* May one more come for those who did not say that they block? */
static bool is_due(const struct crew *crew, struct losses losses,
		   unsigned n_relief, uint64_t now_ns)
{
	const struct roster *roster = &crew->roster;
	unsigned n_moving = roster_target(roster) + n_relief - losses.n;
	unsigned doublings = n_relief - losses.n_blocked;

	if (n_moving >= crew->places.n_seats)
		return false;
	if (doublings > MAX_DOUBLINGS)
		doublings = MAX_DOUBLINGS;
	return doublings == 0 ||
	       now_ns >=
		       crew->relief.last_ns + ((uint64_t)LOST_NS << doublings);
}

/*
 * Some that are lost and say nothing, each in turn: asleep or computing? That
 * some had no processor at that moment is no matter: it is not asleep then. Who
 * was once asleep in its turn is taken for blocked until that is over, or in a
 * crowd until it is asked again.
 */
static unsigned ask_for_sleepers(struct crew *crew)
{
	unsigned i, n = crew_slots(crew), left = TICK_ASKS, found = 0;

	for (i = 0; i < n && left > 0; i++) {
		unsigned slot = crew->relief.next_asked++ % n;
		struct worker *worker = crew->workers[slot];
		bool is_asleep;

		/* Relaxed, here and below: hints. */
		if (AO_load(&worker->xasleep) || AO_load(&worker->xblocked) ||
		    !is_lost(worker) || AO_load(&worker->xthread) == 0)
			continue;
		is_asleep = asleep_is((long)AO_load(&worker->xthread));
		AO_store(&worker->xasleep, is_asleep);
		found += is_asleep;
		left--;
	}
	return found;
}

/*
 * In a crowd: is it time to ask whether that one is asleep? It has not moved for
 * long enough to be lost, were there no crowd. One that was asleep is asked again,
 * so that a turn that waited a moment and computes on is not taken for blocked
 * where processors are scarce.
 */
static bool is_to_be_asked(const struct worker *worker, uint64_t now_ns)
{
	if (now_ns < worker->ask_at_ns || worker->still_turns == TURNS_UNSEEN)
		return false;
	/* Relaxed, all: hints. */
	return AO_load(&worker->xthread) != 0 &&
	       (AO_load(&worker->xasleep) || !is_lost(worker));
}

/* The longer it has been as it is the later it is asked again: an answer of the
   kernel takes some microseconds, and in a crowd most stand still. */
static void ask_in_crowd(struct worker *worker, uint64_t now_ns)
{
	uint64_t still_ns = now_ns - worker->still_since_ns;
	/* Relaxed, here and below: hints. */
	bool is_asleep =
		asleep_is((long)AO_load(&worker->xthread)) && !sleeps(worker);
	bool lost = is_asleep || still_ns >= allowance(worker->crew);

	worker->ask_at_ns = now_ns + still_ns;
	AO_store(&worker->xasleep, is_asleep); /* relaxed: a hint */
	AO_store(&worker->xlost, lost);	       /* relaxed: likewise */
}

/*
 * Who stands still because it is asleep waits for no processor. While as many
 * move as there are seats none of these is idle, whoever sleeps: then only those
 * that were asleep are asked.
 */
static void ask_the_still(struct crew *crew, uint64_t now_ns, unsigned n_moved)
{
	unsigned i, n = crew_slots(crew), left = TICK_ASKS;
	bool all_seats_move = n_moved >= crew->places.n_seats;

	for (i = 0; i < n && left > 0; i++) {
		unsigned slot = crew->relief.next_asked++ % n;
		struct worker *worker = crew->workers[slot];

		/* Relaxed: a hint. */
		if (!is_to_be_asked(worker, now_ns) ||
		    (all_seats_move && !AO_load(&worker->xasleep)))
			continue;
		left--;
		ask_in_crowd(worker, now_ns);
	}
}

/* Under the lock. */
static void settle(struct crew *crew, uint64_t now_ns)
{
	struct losses losses = count_losses(crew);
	/* Relaxed: under the lock. */
	unsigned n_relief = (unsigned)AO_load(&crew->relief.xn);
	bool is_lacking = n_relief < losses.n && is_wanting(crew);

	dismiss_surplus(crew, losses);
	if (is_lacking && n_relief >= losses.n_blocked)
		losses.n_blocked += ask_for_sleepers(crew);
	if (is_lacking && (n_relief < losses.n_blocked ||
			   is_due(crew, losses, n_relief, now_ns)))
		relieve(crew, now_ns);
	else
		note_outcome(&crew->relief, 0, now_ns);
}

/* Under the lock, if the crew does not stop. */
static void settle_all(struct crew *crew, uint64_t now_ns)
{
	pthread_mutex_lock(&crew->roster.lock);
	if (crew->roster.is_open)
		settle(crew, now_ns);
	pthread_mutex_unlock(&crew->roster.lock);
}

static const char *advice(int error)
{
	switch (error) {
	case EMFILE:
		return "more descriptors (ulimit -n) are needed";
	case EAGAIN:
		return "more threads (ulimit -u, pids.max) are needed";
	default:
		return "more memory is needed";
	}
}

#define WAITS_UNTIL                                              \
	"what is queued waits until turns return that block or " \
	"last long"

/* Not under the lock: who listens may call whatever wants it. */
static void say_why(struct crew *crew, uint64_t now_ns)
{
	struct relief *relief = &crew->relief;
	/* Relaxed: a hint. */
	int error = (int)AO_load(&relief->xerror);
	char line[200];

	if (error == 0 || crew->options.max_spares == 0 ||
	    (relief->said_ns != 0 && now_ns - relief->said_ns < SAY_NS))
		return;
	relief->said_ns = now_ns;
	if (error == ENOSPC)
		snprintf(line, sizeof(line),
			 "all %u spare threads are in use: " WAITS_UNTIL
			 "; rota_config.spares allows more",
			 crew->options.max_spares);
	else
		snprintf(line, sizeof(line),
			 "no spare thread can be made (%s): " WAITS_UNTIL
			 "; %s",
			 strerror(error), advice(error));
	crew_say(crew, false, line);
}

bool relief_tick(struct crew *crew, uint64_t now_ns)
{
	uint64_t allowance_ns = allowance(crew);
	unsigned i, n = crew_slots(crew), n_lost = 0, n_moved = 0;
	bool is_last = now_ns == 0;

	if (is_last)
		now_ns = crew_now_ns(crew);
	for (i = 0; i < n; i++)
		n_moved += look_at(crew->workers[i], now_ns, allowance_ns);
	if (allowance_ns > LOST_NS && is_wanting(crew))
		ask_the_still(crew, now_ns, n_moved);
	for (i = 0; i < n; i++)
		n_lost += is_lost(crew->workers[i]);
	/* Relaxed: hints; what is missed is seen at the next tick. */
	if (n_lost > 0 || AO_load(&crew->relief.xn) > 0 ||
	    AO_load(&crew->relief.xfailing_ns) != 0)
		settle_all(crew, now_ns);
	say_why(crew, now_ns);
	if (is_last)
		forget_all(crew);
	/* Relaxed: as above. */
	return AO_load(&crew->relief.xn) > 0;
}
