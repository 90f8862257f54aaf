/* SPDX-License-Identifier: MIT */
/*
 * crew - all workers of an engine: made, woken, let go
 *
 * Orderings:  [S1] crew_stop() store -> worker's load before it sleeps: a
 *             worker that misses it has not slept yet and is woken after it.
 *             [S2] a worker's last write -> crew_stop() load of xpresent.
 *             [S4] crew_add_worker() store -> crew_slots(): what was made is
 *             complete.
 *             [S3] an outsider that wakes a worker counts itself before the
 *             wait can end, and off as its last access -> crew_fini().
 */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched/drive.h"
#include "sched/hand.h"
#include "sched/monitor.h"
#include "sched/worker.h"

static void wake_worker(struct crew *crew, struct worker *self, int number,
			bool first)
{
	if (number < 0)
		return;
	park_wake(&crew->workers[number]->park);
	if (self)
		worker_count(&self->xwakeups, 1);
	else
		/* Relaxed: a statistic. */
		AO_fetch_and_add1(&crew->xforeign_wakeups);
	if (first && crew->monitor)
		monitor_wake(crew->monitor);
}

/*
 * Where everybody is asked under a lock, only so many that fell asleep last are
 * looked at: they have the warmest caches.
 */
#define SLEEPERS_LOOK 64

/* See choose_sleeper(). */
struct waker {
	struct crew *crew;
	enum { WAKE_ANY, WAKE_PLACE, WAKE_LIST } what;
	unsigned place;	 /* WAKE_LIST: any of those that are the node's */
	unsigned number; /* of the worker that chance is told of */
};

#define FARTHER_THAN_RINGS (PLACE_RINGS + 1)

/*
 * All workers of a node are as near to its list. Who shares the seat of a
 * worker comes last: it would wait for the same processor, while those of
 * others may have nothing to do.
 */
static unsigned how_far(const struct waker *waker, unsigned place)
{
	const struct crew *crew = waker->crew;
	const struct place *places = crew->places.of;
	const uint16_t *node = crew->nodes.of_worker;

	if (waker->what == WAKE_LIST && node[waker->place] == node[place])
		return 0;
	if (places[waker->place].seat == places[place].seat)
		return FARTHER_THAN_RINGS;
	return places_distance(&crew->places, waker->place, place);
}

/* idle_pick()'s question, put to the table of chance: one of the nearest. */
static unsigned choose_sleeper(void *context, const uint16_t *sleepers,
			       unsigned n)
{
	const struct waker *waker = context;
	struct chance *chance = &waker->crew->chance;
	unsigned nearest[SLEEPERS_LOOK], n_nearest = 0, i;
	unsigned from = n > SLEEPERS_LOOK ? n - SLEEPERS_LOOK : 0;
	unsigned best = UINT_MAX;

	if (waker->what == WAKE_ANY)
		return chance->choose(chance->context, 0, CHOOSE_SLEEPER, n);
	for (i = from; i < n; i++) {
		const struct worker *sleeper =
			waker->crew->workers[sleepers[i]];
		/* Relaxed: a preference. */
		unsigned distance =
			how_far(waker, (unsigned)AO_load(&sleeper->xplace));

		if (distance < best) {
			best = distance;
			n_nearest = 0;
		}
		if (distance == best)
			nearest[n_nearest++] = i;
	}
	return nearest[chance->choose(chance->context, waker->number,
				      CHOOSE_SLEEPER, n_nearest)];
}

static void wake(struct waker *waker, struct worker *self, bool force)
{
	struct crew *crew = waker->crew;
	bool first;
	int number =
		idle_pick(&crew->idle, force, choose_sleeper, waker, &first);

	wake_worker(crew, self, number, first);
}

void crew_wake_one(struct crew *crew, struct worker *self, bool force)
{
	struct waker waker = {.crew = crew, .what = WAKE_ANY};

	if (self) {
		waker.what = WAKE_PLACE;
		waker.place = self->seat;
		waker.number = self->number;
	}
	wake(&waker, self, force);
}

void crew_wake_for(struct crew *crew, const struct worker *worker)
{
	struct waker waker = {.crew = crew,
			      .what = WAKE_PLACE,
			      /* Relaxed: a preference. */
			      .place = (unsigned)AO_load(&worker->xplace),
			      .number = worker->number};

	wake(&waker, NULL, true);
}

void crew_wake_at(struct crew *crew, unsigned node, bool force)
{
	struct waker waker = {.crew = crew, .what = WAKE_ANY};

	/* Where there is one only, all are near it. */
	if (crew->nodes.n > 1) {
		waker.what = WAKE_LIST;
		waker.place = crew->nodes.of[node]->first_worker;
		waker.number = waker.place;
	}
	wake(&waker, NULL, force);
}

void crew_inject(struct crew *crew, struct task *task)
{
	unsigned node = nodes_here(&crew->nodes);

	if (unlikely(task_expected_ns(task) >= TASK_HOME_NS)) {
		home_push(task->class->home, task);
		return;
	}
	nodes_push(&crew->nodes, node, task);
	crew_wake_at(crew, node, false);
}

/* ---- threads ---- */

void crew_name_thread(const struct crew *crew, pthread_t thread,
		      const char *what)
{
	const char *name = crew->options.name ? crew->options.name : "rota";
	char full[16];

	snprintf(full, sizeof(full), "%.7s-%.7s", name, what);
	pthread_setname_np(thread, full);
}

/* Of the calling thread, if it is not the user's. */
static __thread const struct crew *owner;

void crew_own_thread(const struct crew *crew)
{
	owner = crew;
}

bool crew_owns_thread(const struct crew *crew)
{
	return crew ? owner == crew : owner != NULL;
}

static void name_worker(const struct worker *worker, pthread_t thread)
{
	char number[12];

	if (worker->home) {
		crew_name_thread(worker->crew, thread, worker->home->title);
		return;
	}
	snprintf(number, sizeof(number), "%u", worker->number);
	crew_name_thread(worker->crew, thread, number);
}

void crew_say(struct crew *crew, bool is_error, const char *line)
{
	if (crew->options.say)
		crew->options.say(crew, is_error, line);
}

/* Where one is refused, others are too: the first says so. */
void crew_sit(struct crew *crew, struct worker *worker, unsigned place)
{
	int error = places_bind(&crew->places, place);
	char line[200], cpus[64];

	worker->seat = place;
	worker->node = crew->nodes.of_worker[place];
	/* Relaxed: a count. */
	if (error == 0 || AO_fetch_and_add1(&crew->xunbound) > 0)
		return;
	hwloc_bitmap_list_snprintf(cpus, sizeof(cpus),
				   crew->places.of[place].cpus);
	snprintf(line, sizeof(line),
		 "worker %u may not be bound to cpu %s (%s): it runs unbound, "
		 "as do all others that are refused; ROTA_BIND=none stops the "
		 "attempts",
		 worker->number, cpus, strerror(-error));
	crew_say(crew, false, line);
}

static void put_stack(struct worker *worker, struct stack **stack)
{
	if (*stack)
		stack_put(&worker->crew->stacks, &worker->stacks, *stack);
	*stack = NULL;
}

/* No turn stands here, and no thread runs, or it is on its own stack. */
static void put_stacks(struct worker *worker)
{
	put_stack(worker, &worker->stack);
	put_stack(worker, &worker->spare);
	put_stack(worker, &worker->retired);
	stack_cache_flush(&worker->crew->stacks, &worker->stacks);
}

/*
 * The thread ends, and has left the last loop for ever: we are on its own stack
 * again, and may_leave() saw no turn stand on one of the others. All go back:
 * its slot may be without a thread for good. If it has retired, the monitor is
 * to join it: see sleep_without_tick() for the order.
 */
static void shed(struct worker *worker)
{
	struct crew *crew = worker->crew;

	put_stacks(worker);
	/* Relaxed: its own. */
	if (AO_load(&worker->xduty) != DUTY_ENDING)
		return;
	idle_vanish(&crew->idle);
	if (crew->monitor)
		monitor_wake(crew->monitor);
}

static void *worker_main(void *argument)
{
	struct worker *worker = argument;
	struct crew *crew = worker->crew;
	unsigned *present = &crew->xpresent;

	crew_own_thread(crew);
	name_worker(worker, pthread_self());
	if (worker->home)
		home_sit(worker);
	else
		/* Relaxed: written before the thread began. */
		crew_sit(crew, worker, (unsigned)AO_load(&worker->xplace));
	worker_current = worker;
	worker_enter(worker);
	worker_current = NULL;
	shed(worker);
	/* Relaxed: read after pthread_join(), or never. */
	AO_store(&worker->xended, 1);
	/* [S2] pairs with crew_stop() and crew_release() */
	if (AO_int_fetch_and_sub1_full(present) == 1)
		crew->options.abandoned(crew); /* the stopper left before us */
	else
		futex_wake(present,
			   INT_MAX); /* an address: harmless if it is gone */
	return NULL;
}

/*
 * Before there is a thread, so that one that runs never fails. A spare one is
 * called where turns stand still, which may be what keeps the memory in use: it
 * comes all the same, beyond the budget.
 */
static int get_first_stack(struct worker *worker)
{
	struct stack_pool *pool = &worker->crew->stacks;

	if (!worker->stack)
		worker->stack =
			worker->is_spare
				? stack_get_beyond(pool, &worker->stacks)
				: stack_get(pool, &worker->stacks);
	return worker->stack ? 0 : -ENOMEM;
}

/* The first stack is got here already: an engine that has none for each of its
   workers does not start. */
static int worker_init(struct crew *crew, struct worker *worker, unsigned i,
		       unsigned place)
{
	int error;

	worker->crew = crew;
	worker->number = i;
	worker->seat = place;
	worker->node = crew->nodes.of_worker[place];
	worker->xplace = place;
	worker->xended = 1;
	worker->still_turns = TURNS_UNSEEN;
	worker->direct_left = WORKER_MAX_DIRECT + 1;
	worker->countdown = 1;
	worker->chooses_tasks = crew->chance.chooses_tasks;
	/* Where there is nobody who could be given it, nobody need take it. */
	worker->has_hand = crew->can_revoke || crew->options.driven;
	worker->xstuck_at = (AO_t)-1;
	queue_init(&worker->queue);
	spill_init(&worker->spill);
	nest_init(&worker->nest);
	clockwork_init(&worker->clockwork, crew_now_ns(crew));
	worker->price = calloc(crew->capacity, 1);
	if (!worker->price || get_first_stack(worker) != 0)
		return -ENOMEM;
	error = park_init(&worker->park);
	worker->has_park = error == 0;
	return error;
}

static void worker_fini(struct worker *worker)
{
	struct crew *crew = worker->crew;

	put_stacks(worker);
	if (worker->has_park)
		park_fini(&worker->park);
	free(worker->price);
	free(worker->home);
	places_free(&crew->places, worker, crew->options.worker_size);
}

int crew_add_worker(struct crew *crew, unsigned place, bool is_spare,
		    struct home *home, struct worker **made)
{
	unsigned number = crew_slots(crew);
	struct worker *worker =
		places_alloc(&crew->places, place, crew->options.worker_size);
	int error;

	if (!worker)
		return -ENOMEM;
	memset(worker, 0, crew->options.worker_size);
	worker->is_spare = is_spare;
	error = worker_init(crew, worker, number, place);
	if (error) {
		worker_fini(worker);
		return error;
	}
	worker->home = home;
	/* What it makes runnable for others goes to them at once: its turns may
	   block. */
	worker->has_hand &= !home;
	/* The loops of drive.c and home.c go ways of their own. */
	worker->may_call = !home && !crew->options.driven;
	if (crew->options.dress)
		crew->options.dress(worker);
	crew->workers[number] = worker;
	/* [S4] pairs with crew_slots() */
	AO_store_release(&crew->xn_slots, number + 1);
	*made = worker;
	return 0;
}

static int crew_make(struct crew *crew)
{
	const struct crew_options *options = &crew->options;
	const struct arrange_options wishes = {
		.n_workers = options->driven ? 1 : options->n_workers,
		.each_thread = options->each_thread,
		.unbound = options->unbound || options->driven,
		.topology = options->topology,
		.root = options->root,
		.may_grow = true,
	};
	char complaint[256];
	int error;

	error = arrange(&crew->places, &wishes, complaint, sizeof(complaint));
	if (error) {
		crew_say(crew, true, complaint);
		return error;
	}
	if (complaint[0] != '\0')
		crew_say(crew, false, complaint);
	crew->capacity = WORKERS_MAX + options->max_spares + 1 + HOMES_MAX;
	crew->workers = calloc(crew->capacity, sizeof(*crew->workers));
	if (!crew->workers)
		return -ENOMEM;
	error = chance_init_default(&crew->chance, &crew->chance_storage,
				    crew->capacity, options->seed);
	if (!error)
		error = nodes_init(&crew->nodes, &crew->places);
	if (!error)
		error = idle_init(&crew->idle, crew->places.n_workers,
				  crew->capacity);
	if (!error)
		error = stack_pool_init(&crew->stacks, options->stack_size,
					STACK_GUARD_AUTO);
	if (!error) {
		crew->has_stacks = true;
		crew->stacks.budget = options->budget;
		error = roster_init(crew);
	}
	if (!error && options->driven)
		error = drive_init(crew);
	return error;
}

int crew_init(struct crew *crew, const struct crew_options *options)
{
	int error;

	memset(crew, 0, sizeof(*crew));
	crew->options = *options;
	if (options->driven)
		crew->options.max_spares = 0; /* its worker has no thread */
	crew->xpresent = 1;
	clock_ticks_per_1024ns();
	crew->can_revoke = hand_prepare();
	error = crew_make(crew);
	if (error)
		crew_fini(crew);
	return error;
}

void crew_fini(struct crew *crew)
{
	unsigned i, n = crew_slots(crew);

	/* [S3] pairs with worker_wake_stack(): a system call away, at most */
	while (AO_load_acquire(&crew->xoutsiders) > 0)
		sched_yield();
	monitor_free(crew->monitor);
	drive_fini(crew);
	for (i = 0; i < n; i++)
		worker_fini(crew->workers[i]);
	free(crew->workers);
	roster_fini(crew);
	if (crew->has_stacks)
		stack_pool_fini(&crew->stacks);
	idle_fini(&crew->idle);
	chance_fini_default(&crew->chance_storage);
	if (crew->places.n_workers > 0) {
		nodes_fini(&crew->nodes, &crew->places);
		places_fini(&crew->places);
	}
}

int crew_start_worker(struct worker *worker)
{
	struct crew *crew = worker->crew;

	if (get_first_stack(worker) != 0)
		return -ENOMEM; /* the last thread gave its own back */
	/* Relaxed: nobody else looks before the thread runs. */
	AO_store(&worker->xended, 0);
	/* [S2] the thread takes it off again */
	AO_int_fetch_and_add1_full(&crew->xpresent);
	if (pthread_create(&worker->pthread, NULL, worker_main, worker) == 0) {
		worker->is_started = true;
		name_worker(worker, worker->pthread);
		return 0;
	}
	/* Relaxed: as above. */
	AO_store(&worker->xended, 1);
	/* [S2] as above; the stopper is there still */
	AO_int_fetch_and_sub1_full(&crew->xpresent);
	put_stacks(worker);
	return -EAGAIN;
}

void crew_join_worker(struct worker *worker)
{
	pthread_join(worker->pthread, NULL);
	worker->is_started = false;
}

int crew_start(struct crew *crew)
{
	unsigned i, n = crew_slots(crew);
	int error = 0;

	if (crew->drive) {
		roster_open(crew);
		return 0;
	}
	crew->monitor = monitor_start(crew);
	if (!crew->monitor)
		return -EAGAIN;
	for (i = 0; i < n && !error; i++)
		error = crew_start_worker(crew->workers[i]);
	if (error)
		/* Those that run have nothing to run and end at once. */
		crew_stop(crew, INT64_MAX);
	else
		roster_open(crew);
	return error;
}

/* Wait until all have left but so many; how many have not by then. */
static unsigned await_workers(struct crew *crew, uint64_t deadline,
			      unsigned n_given_up)
{
	for (;;) {
		/* [S2] pairs with worker_main() */
		unsigned present = AO_int_load_acquire(&crew->xpresent);
		int64_t patience = clock_left(crew_now_ns(crew), deadline);

		if (present <= 1 + n_given_up || patience == 0)
			return present - 1;
		futex_wait(&crew->xpresent, present, patience);
	}
}

/* Those that have ended are joined, the others are left alone. */
static void part_from(struct worker *worker, bool all_have_ended)
{
	if (!worker->is_started)
		return;
	/* Relaxed: if it is seen, pthread_join() orders. */
	if (all_have_ended || AO_load(&worker->xended))
		crew_join_worker(worker);
	else
		pthread_detach(worker->pthread);
}

unsigned crew_stop(struct crew *crew, int64_t within)
{
	uint64_t deadline = crew_deadline(crew, within);
	unsigned n_stuck = 0, n_slots, i;

	roster_close(crew);
	if (crew->drive)
		n_stuck = drive_stop(crew, within);
	n_slots = crew_slots(crew);
	/* [S1] pairs with rest() and may_leave() */
	AO_store_release(&crew->xstopping, 1);
	for (i = 0; i < n_slots; i++)
		park_wake(&crew->workers[i]->park);
	n_stuck = await_workers(crew, deadline, n_stuck);
	monitor_stop(crew->monitor);
	for (i = 0; i < n_slots; i++)
		part_from(crew->workers[i], n_stuck == 0);
	return n_stuck;
}

bool crew_release(struct crew *crew)
{
	/* [S2] pairs with worker_main(): whoever is last has it alone */
	return AO_int_fetch_and_sub1_full(&crew->xpresent) == 1;
}
