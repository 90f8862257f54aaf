/* SPDX-License-Identifier: MIT */
/*
 * steal - takes tasks from other workers where moving them pays
 *
 * Problem:    a moved actor drags its header, its state and its messages over
 *             as cold lines, about a microsecond for a turn. Turns that only
 *             pass messages on take a twentieth of that, so that a second
 *             worker that helps makes them slower, up to seven-fold.
 * Approach:   moving has a price. A victim is robbed only if what lies in its
 *             ring takes longer per turn than the lines of a moved turn, and
 *             all together longer than the fixed cost of stealing, and of
 *             waking if someone has to be woken. Turn times are sampled per
 *             class of tasks; a class without samples counts as long, so that
 *             new work spreads at once. A thief times what it stole: if that
 *             took more than twice what the victim reckoned, moving is dearer
 *             here, and the thief's price for that victim doubles; it halves
 *             again with each steal that went well.
 *             Fresh tasks that have spilled over are another matter: short as
 *             they are, each may be the root of a tree of others, which then
 *             costs nothing more. Nobody knows before. So some of the oldest
 *             are moved as soon as the victim will be busy with them for long
 *             enough, and the thief looks at the clock when it has run out of
 *             work: if its turns took more than twice what the victim
 *             reckoned, the price of such moves doubles for all, else it
 *             halves; and it halves as time goes by, for programs change.
 *             Whom to look at first is a matter of places (place.c): the
 *             nearest, whose tasks are in a cache that we share.
 *             A forked task is the root of a tree too, and of one that is as
 *             long as its age in the nest: it is always worth moving. Waking
 *             somebody for it is not if the forks are small: a thief that had
 *             done with it sooner than a wake-up takes doubles the number of
 *             forks for which somebody is woken, else it halves.
 *             Places are few and fixed, workers come and go: behind the rings
 *             of the plan come those that have no place of their own.
 *             A victim whose turn does not end (the monitor marks it) is
 *             robbed at no price.
 * Rejected:   a threshold on the length of the queue: sixty short turns are
 *             worth less than one long one.
 * Orderings:  none of its own; see queue.c and idle.c.
 */
#include "sched/steal.h"

#include "sched/worker.h"

#define MOVE_NS 1000  /* the cold lines of one moved turn */
#define STEAL_NS 4000 /* finding and taking */
#define WAKE_NS 20000 /* waking a sleeper on top of that */
#define MAX_PRICE 6   /* doublings */

#define SPREAD_MIN 64 /* fewer fresh tasks are not worth a look */
#define SPREAD_MOST 128
#define SPREAD_MAX_PRICE 10

#define FORK_MAX_PRICE 10

static bool is_worth(const struct worker *victim, unsigned price, AO_t fixed_ns)
{
	AO_t n = worker_backlog(victim);
	/* Relaxed: an estimate. */
	AO_t mean_ns = AO_load(&victim->xmean_ns);

	if (n == 0)
		return false;
	if (worker_is_stuck(victim)) /* being wrong costs a cheap steal */
		return true;
	return mean_ns >= (AO_t)MOVE_NS << price &&
	       mean_ns * n >= fixed_ns << price;
}

static bool is_worth_spreading(const struct worker *victim, AO_t fixed_ns)
{
	AO_t n = spill_n_fresh(&victim->spill);

	/* Relaxed: estimates. */
	return unlikely(n >= SPREAD_MIN) &&
	       AO_load(&victim->xmean_ns) * n >=
		       fixed_ns << AO_load(&victim->xspread_price);
}

/* Take from the old end of the victim's spill. */
static struct task *rob_spill(struct worker *thief, struct worker *victim)
{
	struct task *first;
	unsigned n = spill_take(&victim->spill, SPREAD_MOST, true, &first);

	if (n > 1)
		worker_admit(thief, first->next);
	if (n > 0)
		worker_count(&thief->xsteals, n);
	return first;
}

static struct task *rob(struct worker *thief, struct worker *victim)
{
	struct task *task;
	uint32_t n = 0;

	switch (queue_steal(&victim->queue, &thief->queue, &task, &n)) {
	case QUEUE_STOLEN:
		worker_count(&thief->xsteals, n);
		break;
	case QUEUE_EMPTY:
		task = rob_spill(thief, victim);
		break;
	default:
		task = NULL;
	}
	if (!task)
		return NULL;
	thief->robbed = victim;
	/* Relaxed: an estimate; ours now looks like the victim's. */
	AO_store(&thief->xmean_ns, AO_load(&victim->xmean_ns));
	return task;
}

static struct task *spread(struct worker *thief, struct worker *victim)
{
	/* Relaxed: an estimate. */
	AO_t reckoned_ns = AO_load(&victim->xmean_ns);
	struct task *task = rob_spill(thief, victim);

	if (!task)
		return NULL;
	thief->spread.victim = victim;
	/* Relaxed: the owner's own. */
	thief->spread.turns = AO_load(&thief->xturns);
	thief->spread.ticks = clock_ticks();
	thief->spread.reckoned_ns = reckoned_ns;
	return task;
}

static void end_spread(struct worker *thief)
{
	struct worker *victim = thief->spread.victim;
	AO_t turns, price;
	uint64_t ns;

	if (!victim)
		return;
	thief->spread.victim = NULL;
	/* Relaxed: the owner's own. */
	turns = AO_load(&thief->xturns) - thief->spread.turns;
	ns = (clock_ticks() - thief->spread.ticks) * 1024 /
	     clock_ticks_per_1024ns();
	/* Relaxed, as all of it: an estimate. */
	price = AO_load(&victim->xspread_price);
	if (ns > 2 * turns * thief->spread.reckoned_ns)
		price += price < SPREAD_MAX_PRICE;
	else
		price -= price > 0;
	/* Relaxed: as above. */
	AO_store(&victim->xspread_price, price);
}

static struct task *rob_nest(struct worker *thief, struct worker *victim)
{
	struct task *first;
	unsigned n = nest_steal(&victim->nest, &first);

	if (n == 0)
		return NULL;
	worker_admit(thief, first->next);
	worker_count(&thief->xsteals, n);
	thief->visit.victim = victim;
	thief->visit.ticks = clock_ticks();
	return first;
}

static void end_visit(struct worker *thief)
{
	struct worker *victim = thief->visit.victim;
	uint64_t ns;
	AO_t price;

	if (!victim)
		return;
	thief->visit.victim = NULL;
	ns = (clock_ticks() - thief->visit.ticks) * 1024 /
	     clock_ticks_per_1024ns();
	/* Relaxed, as all of it: an estimate. */
	price = AO_load(&victim->xfork_price);
	if (ns < WAKE_NS)
		price += price < FORK_MAX_PRICE;
	else
		price -= price > 0;
	/* Relaxed: as above. */
	AO_store(&victim->xfork_price, price);
}

void steal_end_stay(struct worker *thief)
{
	end_visit(thief);
	end_spread(thief);
}

static struct task *try_victim(struct worker *thief, struct worker *victim)
{
	struct task *task = NULL;

	if (is_worth(victim, thief->price[victim->number], STEAL_NS))
		task = rob(thief, victim);
	else if (is_worth_spreading(victim, STEAL_NS))
		task = spread(thief, victim);
	if (!task && nest_length(&victim->nest) > 0)
		task = rob_nest(thief, victim);
	return task;
}

/* Who has this place of the plan; they may not have come yet. */
static struct task *try_place(struct worker *thief, unsigned place)
{
	struct worker *victim = roster_regular(&thief->crew->roster, place);

	return victim && victim != thief ? try_victim(thief, victim) : NULL;
}

/* Spares, and those that share a place, in the order in which they came. */
static struct task *try_others(struct worker *thief)
{
	struct crew *crew = thief->crew;
	unsigned i, n = crew_slots(crew);
	struct task *task = NULL;

	for (i = crew->places.n_workers; i < n && !task; i++)
		if (crew->workers[i] != thief)
			task = try_victim(thief, crew->workers[i]);
	return task;
}

/* Those at one distance, from a random one on. */
static struct task *try_ring(struct worker *thief, const uint16_t *victims,
			     unsigned n)
{
	struct crew *crew = thief->crew;
	unsigned i,
		start = crew->chance.choose(crew->chance.context, thief->number,
					    CHOOSE_VICTIM, n);
	struct task *task = NULL;

	for (i = 0; i < n && !task; i++)
		task = try_place(thief, victims[(start + i) % n]);
	return task;
}

struct task *steal_any(struct worker *thief)
{
	struct crew *crew = thief->crew;
	const struct place *place = &crew->places.of[thief->seat];
	struct task *task = NULL;
	unsigned ring, start = 0;

	if (crew_slots(crew) == 1)
		return NULL;
	if (!thief->is_searching)
		thief->is_searching = idle_try_search(&crew->idle);
	if (!thief->is_searching)
		return NULL;
	/* A spare first looks where it was sent to. */
	task = try_place(thief, thief->seat);
	/* The nearest first: what is stolen from there is still in a cache. */
	for (ring = 0; ring < place->n_rings && !task; ring++) {
		task = try_ring(thief, place->victims + start,
				place->ring_end[ring] - start);
		start = place->ring_end[ring];
	}
	return task ? task : try_others(thief);
}

bool steal_sees_work(struct worker *thief)
{
	struct crew *crew = thief->crew;
	unsigned i, n = crew_slots(crew);

	for (i = 0; i < n; i++) {
		struct worker *victim = crew->workers[i];

		if (victim != thief &&
		    (is_worth(victim, thief->price[i], STEAL_NS) ||
		     is_worth_spreading(victim, STEAL_NS) ||
		     nest_length(&victim->nest) > 0))
			return true;
	}
	return false;
}

bool steal_is_worth_waking(struct worker *owner)
{
	return is_worth(owner, 0, WAKE_NS) ||
	       is_worth_spreading(owner, WAKE_NS) ||
	       nest_length(&owner->nest) > 0;
}

void steal_end_search(struct worker *worker)
{
	worker->is_searching = false;
	if (!idle_end_search(&worker->crew->idle))
		return;
	if (nodes_length(&worker->crew->nodes) > 0 || steal_sees_work(worker) ||
	    steal_is_worth_waking(worker))
		crew_wake_one(worker->crew, worker, false);
}

void steal_run(struct worker *thief, struct task *task)
{
	struct worker *victim = thief->robbed;
	AO_t waits = AO_load(&thief->xwaits); /* relaxed: own */
	AO_t reckoned_ns;
	uint64_t start, ns;
	uint8_t *price;

	if (thief->is_searching)
		steal_end_search(thief);
	thief->robbed = NULL;
	if (!victim) {
		task->class->run(task, thief);
		return;
	}
	price = &thief->price[victim->number];
	/* Relaxed: an estimate. */
	reckoned_ns = AO_load(&victim->xmean_ns);
	start = clock_ticks();
	task->class->run(task, thief);
	if (AO_load(&thief->xwaits) != waits) /* relaxed: own */
		return;
	ns = (clock_ticks() - start) * 1024 / clock_ticks_per_1024ns();
	if (ns > 2 * reckoned_ns && *price < MAX_PRICE)
		(*price)++;
	else if (ns <= 2 * reckoned_ns && *price > 0)
		(*price)--;
}
