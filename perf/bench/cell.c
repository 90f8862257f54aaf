/* SPDX-License-Identifier: MIT */
/*
 * cell - a map that is shared as a cell, beside the same map under a mutex
 *
 * cell/cast: 1, 2, 4 and 8 threads (or --actors N of them) add n / threads
 * times to entries drawn by chance, until all has been added. cell/call: the
 * same, each waiting for what it has added. ns_per_op is over all of these;
 * cell_N_ns and mutex_N_ns are with N threads. cell/dedicated: as cell/cast, but
 * the cell has a thread of its own. cell/inside: one actor casts n
 * times, so that this is to be held against counting.
 * The number lies if what was cast has not run (the sum of all entries is
 * checked, and asking for it ends the clocked time), or if the map is so small
 * that the mutex is all there is: an add is a few ns here, which is the
 * mutex's best case. One that takes microseconds holds up all others there.
 */
#include <pthread.h>
#include <stdlib.h>

#include <rota/cell.h>

#include "perf/bench/scenarios.h"

#define ENTRIES 4096
#define MAX_THREADS 64

struct map {
	long value[ENTRIES];
};

ROTA_CELL(map, struct map, NULL);

struct add {
	uint64_t key;
	long by;
	long value; /* what it is then */
};

static int add(struct map *map, struct add *a)
{
	a->value = map->value[a->key % ENTRIES] += a->by;
	return 0;
}

static int sum(struct map *map, long *total)
{
	*total = 0;
	for (size_t i = 0; i < ENTRIES; i++)
		*total += map->value[i];
	return 0;
}

ROTA_CELL_FN(map, add, struct add);
ROTA_CELL_FN(map, sum, long);

/* ---- users ---- */

struct user {
	pthread_t thread;
	void (*add)(struct user *user, struct add *a);
	map_cell *cell;
	struct map *map;
	pthread_mutex_t *lock;
	pthread_barrier_t *start;
	uint64_t random;
	uint64_t n;
	uint64_t begun_ns;
	uint64_t ended_ns;
};

static void expect(const char *call, int error)
{
	if (error != 0)
		bench_fail_call(call, error);
}

static void add_by_cast(struct user *user, struct add *a)
{
	expect("cast", map_cast_add(user->cell, a));
}

static void add_by_call(struct user *user, struct add *a)
{
	expect("call", map_call_add(user->cell, a, ROTA_FOREVER));
}

static void add_by_mutex(struct user *user, struct add *a)
{
	pthread_mutex_lock(user->lock);
	add(user->map, a);
	pthread_mutex_unlock(user->lock);
}

static void *user_main(void *argument)
{
	struct user *user = argument;

	pthread_barrier_wait(user->start);
	user->begun_ns = measure_ns();
	for (uint64_t i = 0; i < user->n; i++) {
		struct add a = {measure_random(&user->random), 1, 0};

		user->add(user, &a);
	}
	user->ended_ns = measure_ns();
	return NULL;
}

static void users_start(struct user *users, const struct user *like,
			unsigned n_threads, uint64_t n)
{
	for (unsigned i = 0; i < n_threads; i++) {
		users[i] = *like;
		users[i].random = i + 1;
		users[i].n = n / n_threads;
		if (pthread_create(&users[i].thread, NULL, user_main,
				   &users[i]) != 0)
			bench_fail("no thread");
	}
}

/* The time in ns from the first that begins until all have ended, and, with a
   cell, until what they cast has run. */
static uint64_t users_run(struct user *like, unsigned n_threads, uint64_t n)
{
	struct user *users = bench_alloc(n_threads, sizeof(*users));
	uint64_t begun = UINT64_MAX, ended = 0;
	pthread_barrier_t start;
	long total;

	pthread_barrier_init(&start, NULL, n_threads);
	like->start = &start;
	users_start(users, like, n_threads, n);
	for (unsigned i = 0; i < n_threads; i++) {
		pthread_join(users[i].thread, NULL);
		if (users[i].begun_ns < begun)
			begun = users[i].begun_ns;
		if (users[i].ended_ns > ended)
			ended = users[i].ended_ns;
	}
	if (like->cell) {
		expect("call", map_call_sum(like->cell, &total, ROTA_FOREVER));
		ended = measure_ns();
	}
	pthread_barrier_destroy(&start);
	free(users);
	return ended - begun;
}

/* ---- runs ---- */

static map_cell *cell_open(struct run *run, unsigned flags)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	map_cell *cell;

	options.flags = flags;
	cell = map_make(run->engine, NULL, &options);

	if (!cell)
		bench_fail("no cell");
	return cell;
}

/* Nothing is lost: what it holds is what was added. */
static void cell_close(struct run *run, map_cell *cell, uint64_t added)
{
	rota_id id = map_id(cell);
	long total = 0;

	expect("call", map_call_sum(cell, &total, ROTA_FOREVER));
	run_check(run, "sum", (uint64_t)total, added);
	map_release(cell);
	run_join(run, id);
}

static const unsigned counts[] = {1, 2, 4, 8};

static void metric(struct run *run, const char *const names[4], size_t i,
		   uint64_t ns, uint64_t ops)
{
	run_metric(run, names[i], (double)ns / (double)ops);
}

static void with_cell(struct run *run, size_t i, unsigned n_threads,
		      void (*way)(struct user *, struct add *), unsigned flags)
{
	static const char *const names[] = {"cell_1_ns", "cell_2_ns",
					    "cell_4_ns", "cell_8_ns"};
	struct user like = {.add = way, .cell = cell_open(run, flags)};
	uint64_t n = run->n / n_threads * n_threads;
	uint64_t ns = users_run(&like, n_threads, n);

	metric(run, names, i, ns, n);
	run->elapsed_ns += ns;
	run->ops += n;
	cell_close(run, like.cell, n);
}

static void with_mutex(struct run *run, size_t i, unsigned n_threads)
{
	static const char *const names[] = {"mutex_1_ns", "mutex_2_ns",
					    "mutex_4_ns", "mutex_8_ns"};
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct user like = {.add = add_by_mutex, .lock = &lock};
	uint64_t n = run->n / n_threads * n_threads;
	long total;

	like.map = bench_alloc(1, sizeof(*like.map));
	metric(run, names, i, users_run(&like, n_threads, n), n);
	sum(like.map, &total);
	run_check(run, "sum under the mutex", (uint64_t)total, n);
	free(like.map);
}

static void threads_run(struct run *run,
			void (*way)(struct user *, struct add *),
			unsigned flags)
{
	if (run->actors > MAX_THREADS)
		bench_fail("--actors: %d threads at most", MAX_THREADS);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		unsigned n_threads = counts[i];

		if (run->actors != 0 && i > 0)
			break;
		if (run->actors != 0)
			n_threads = (unsigned)run->actors;
		if (run->n < n_threads)
			run->n = n_threads;
		with_cell(run, i, n_threads, way, flags);
		with_mutex(run, i, n_threads);
	}
}

static void cast_run(struct run *run)
{
	threads_run(run, add_by_cast, 0);
}

static void dedicated_run(struct run *run)
{
	threads_run(run, add_by_cast, ROTA_OWN_THREAD);
}

static void call_run(struct run *run)
{
	threads_run(run, add_by_call, 0);
}

/* ---- inside ---- */

struct caster {
	map_cell *cell;
	uint64_t n;
};

static int caster_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	const struct caster *caster = state;

	(void)tag;
	(void)payload;
	(void)length;
	for (uint64_t i = 0; i < caster->n; i++) {
		struct add a = {i, 1, 0};

		expect("cast", map_cast_add(caster->cell, &a));
	}
	return rota_self_stop(0);
}

static const struct rota_behaviour caster_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "caster",
	.state_size = sizeof(struct caster),
	.handle = caster_handle,
};

static void inside_run(struct run *run)
{
	struct caster caster = {.cell = cell_open(run, 0), .n = run->n};
	rota_id id = run_spawn(run, &caster_behaviour, &caster);
	long total;

	run_clock_start(run);
	bench_tell(id, 0);
	run_join(run, id);
	expect("call", map_call_sum(caster.cell, &total, ROTA_FOREVER));
	run_clock_stop(run);
	run->ops = run->n;
	cell_close(run, caster.cell, run->n);
}

const struct scenario scenario_cell_cast = {
	.name = "cell/cast",
	.what = "1 to 8 threads cast to a map, n times; beside a mutex",
	.unit = "cast",
	.n = 1000000,
	.quick_n = 50000,
	.run = cast_run,
};

const struct scenario scenario_cell_call = {
	.name = "cell/call",
	.what = "1 to 8 threads call a map, n times; beside a mutex",
	.unit = "call",
	.n = 50000,
	.quick_n = 5000,
	.run = call_run,
};

const struct scenario scenario_cell_dedicated = {
	.name = "cell/dedicated",
	.what = "cell/cast, to a map on a thread of its own",
	.unit = "cast",
	.n = 1000000,
	.quick_n = 50000,
	.run = dedicated_run,
};

const struct scenario scenario_cell_inside = {
	.name = "cell/inside",
	.what = "one actor casts n times to a map",
	.unit = "cast",
	.n = 8000000,
	.quick_n = 800000,
	.flags = SCENARIO_MESSAGES,
	.run = inside_run,
};
