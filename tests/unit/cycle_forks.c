/* SPDX-License-Identifier: MIT */
/*
 * cycle_forks - are circles found where actors wait for several, whatever
 * happens meanwhile, and nothing that is none?
 *
 * Here no actor runs. Waits are written into the blocks of actors that stand
 * still, several into that of a table, whose queries are played; whoever would
 * have walked hands over to the monitor, which is the test, some steps at a
 * time. Asks are looked up in the middle of a walk, and there waits end that
 * can, and others begin. Each wait that is ended by the walks is looked at
 * against a plain reference as it ends, and when nothing is left to walk no
 * circle may stand. For that the source is included.
 */
#include <stdlib.h>

#define calloc played_calloc
#define realloc played_realloc
#define ask_edge played_edge
#define ask_look played_look
#define mailbox_push_over played_push
#define reads_answering played_answering
#define reads_of played_of
#define reads_next played_next
static void *played_calloc(size_t n, size_t size);
static void *played_realloc(void *block, size_t size);
#include "core/cycle.c"
#undef calloc
#undef realloc

#include "tests/unit/support.h"

#define MAX_ACTORS 512
#define MAX_SEATS 2048

enum op {
	ASKS,
	HAS, /* another seat's answer */
	JOINS,
	ENDS, /* a join with a deadline */
	SENDS,
	N_OPS
};

struct seat {
	size_t at;
	enum op op;
	size_t to;   /* an actor; HAS: a seat */
	bool is_new; /* none of its waits has begun */
	struct wait_ticket ticket;
	struct reading reading;
	struct waiter waiter;
};

static struct {
	rota_engine *engine[2];
	size_t n_engines;
	size_t n_actors;
	size_t n_seats;
	rota_id id[MAX_ACTORS];
	size_t n_at[MAX_ACTORS]; /* seats */
	struct seat seat[MAX_SEATS];
	struct wait wait[MAX_SEATS]; /* in the order in which they are taken */
	size_t n_refused;
	size_t n_let_in;
	size_t n_opened; /* circles, by themselves */
	size_t n_looked; /* at forks */
	uint64_t random;
	size_t n_changes; /* to be made in the middle of walks */
	bool has_no_memory;
} world;

static size_t below(size_t n)
{
	return (size_t)(next_random(&world.random) % n);
}

/* ---- the reference ---- */

static bool waits(size_t i)
{
	const struct seat *seat = &world.seat[i];

	return !seat->is_new && AO_load(&world.wait[i].xword) ==
					(seat->ticket.sequence | WAIT_WAITING);
}

static bool leads(size_t i, size_t to)
{
	const struct seat *seat = &world.seat[i];

	return seat->op == HAS ? to == seat->to : world.seat[to].at == seat->to;
}

/* Which kinds of waits a way may lead along. */
#define ALONG(op) (1u << (op))
#define ALONG_ANY (ALONG(N_OPS) - 1)
#define ALONG_STUCK (ALONG_ANY & ~ALONG(ENDS))
#define ALONG_HOPELESS (ALONG_STUCK & ~ALONG(SENDS))

/* Does a way lead from there to that seat? @victim: it has just been ended. */
static bool reaches(size_t from, size_t to, unsigned along, size_t victim)
{
	static bool is_seen[MAX_SEATS];
	static size_t list[MAX_SEATS];
	size_t n = 0;

	memset(is_seen, 0, world.n_seats);
	list[n++] = from;
	while (n > 0) {
		size_t at = list[--n];

		if (!(waits(at) || at == victim) ||
		    !(along & ALONG(world.seat[at].op)))
			continue;
		for (size_t i = 0; i < world.n_seats; i++) {
			if (is_seen[i] || !leads(at, i))
				continue;
			if (i == to)
				return true;
			is_seen[i] = true;
			list[n++] = i;
		}
	}
	return false;
}

static bool is_on_circle(size_t i, unsigned along)
{
	return reaches(i, i, along, i);
}

/* Neither it, nor whom it waits for, stands in a circle. */
static bool can_end(size_t i)
{
	for (size_t k = 0; k < world.n_seats; k++)
		if (waits(k) && is_on_circle(k, ALONG_STUCK) &&
		    (k == i || reaches(i, k, ALONG_STUCK, i)))
			return false;
	return true;
}

static size_t n_on_circles(void)
{
	size_t n = 0;

	for (size_t i = 0; i < world.n_seats; i++)
		n += waits(i) && is_on_circle(i, ALONG_STUCK);
	return n;
}

/* ---- the world ---- */

static size_t number_of(rota_id id)
{
	size_t i = 0;

	while (i < world.n_actors && world.id[i] != id)
		i++;
	return i;
}

static struct cold *lock(struct site *site, size_t actor)
{
	struct cold *cold;
	int error;

	cr_assert_eq(site_enter(site, world.id[actor]), 0);
	cold = cold_lock(site, engine_actor(site->engine, world.id[actor]),
			 world.id[actor], true, &error);
	cr_assert_not_null(cold);
	return cold;
}

static void leave_room(size_t i)
{
	struct seat *seat = &world.seat[i];
	struct site site;
	struct cold *cold;

	if (!seat->waiter.prev)
		return;
	cold = lock(&site, seat->to);
	waiters_remove(&cold->room, &seat->waiter);
	leave(&site, cold);
}

/* The walks have ended its wait: was that right? */
static void wake(struct wait *wait)
{
	size_t i = (size_t)(wait - world.wait);
	struct seat *seat = &world.seat[i];
	int result = wait_end(wait);

	if (result == 0) {
		cr_assert_eq(seat->op, SENDS);
		/* Just before, another one's deadline may have come, or another
		   monitor may have opened it. */
		if (!is_on_circle(i, ALONG_ANY) && world.n_engines == 1)
			cr_assert_gt(world.n_opened--, 0, "let in: %zu", i);
		world.n_let_in++;
	} else {
		cr_assert_eq(result, -EDEADLK);
		cr_assert(is_on_circle(i, ALONG_HOPELESS), "refused: %zu", i);
		world.n_refused++;
	}
}

static void enter_room(size_t i)
{
	struct seat *seat = &world.seat[i];
	struct site site;
	struct cold *cold = lock(&site, seat->to);

	seat->waiter.ticket = seat->ticket;
	waiters_append(&cold->room, &seat->waiter);
	leave(&site, cold);
}

static void begin_wait(size_t i, enum op op, size_t to)
{
	static const enum edge edges[] = {EDGE_ASK, EDGE_ASK, EDGE_JOIN,
					  EDGE_JOIN, EDGE_ROOM};
	struct seat *seat = &world.seat[i];
	struct site site;
	struct cold *cold;
	struct step step;

	world.wait[i].wake = wake;
	cr_assert(wait_begin(&world.wait[i], &seat->ticket));
	seat->is_new = false;
	seat->op = op;
	seat->to = to;
	if (op == HAS)
		to = world.seat[to].at;
	step = (struct step){world.id[seat->at], world.id[to], edges[op],
			     op == ENDS,	 seat->ticket, i + 1};
	if (op == SENDS)
		enter_room(i);
	cold = lock(&site, seat->at);
	seat->reading.wait = &world.wait[i];
	seat->reading.step = step;
	if (world.n_at[seat->at] > 1)
		cold->run = (struct run *)&world;
	else
		cycle_set_edge(cold, &step, 0);
	leave(&site, cold);
}

/* Who would have walked. */
static void hand_over_if_closed(size_t i)
{
	if (is_on_circle(i, ALONG_ANY))
		hand_over_other(world.id[world.seat[i].at]);
}

static void begin_random_wait(size_t i)
{
	static const enum op ops[] = {ASKS, ASKS,  ASKS, HAS,  HAS,
				      HAS,  JOINS, ENDS, SENDS};
	enum op op = ops[below(sizeof(ops) / sizeof(ops[0]))];
	size_t at = world.seat[i].at, to;

	do
		to = below(op == HAS ? world.n_seats : world.n_actors);
	while ((op == HAS ? world.seat[to].at : to) == at);
	begin_wait(i, op, to);
	hand_over_if_closed(i);
}

/* One that can end does, or another one begins. */
static void change(void)
{
	size_t i = below(world.n_seats);

	if (world.seat[i].is_new)
		return;
	if (!waits(i)) {
		begin_random_wait(i);
	} else if (can_end(i)) {
		world.n_opened += is_on_circle(i, ALONG_ANY);
		leave_room(i);
		cr_assert(wait_retract(world.seat[i].ticket));
		if (below(2))
			begin_random_wait(i);
	}
}

/* ---- what the walks see of it ---- */

static void *played_calloc(size_t n, size_t size)
{
	return world.has_no_memory ? NULL : calloc(n, size);
}

static void *played_realloc(void *block, size_t size)
{
	return world.has_no_memory ? NULL : realloc(block, size);
}

rota_id played_edge(uint64_t token)
{
	const struct seat *seat = &world.seat[token - 1];
	size_t to = seat->op == HAS ? world.seat[seat->to].at : seat->to;

	if (world.n_changes > 0 && below(4) == 0) {
		world.n_changes--;
		change();
	}
	return world.id[to];
}

bool played_look(uint64_t token, struct ask_seen *seen)
{
	(void)token;
	(void)seen;
	return false;
}

enum mailbox_push played_push(AO_t *xword, struct message *message)
{
	(void)xword;
	(void)message;
	return MAILBOX_PUSHED;
}

enum reads_answer played_answering(const struct cold *cold, uint64_t token,
				   struct reading **reading)
{
	const struct seat *seat = &world.seat[token - 1];

	if (seat->op != HAS || world.id[world.seat[seat->to].at] != cold->owner)
		return READS_NOT;
	if (!waits(seat->to))
		return READS_RUNS;
	*reading = &world.seat[seat->to].reading;
	return READS_WAITS;
}

struct reading *played_of(const struct cold *cold, struct wait_ticket ticket)
{
	size_t i = (size_t)(ticket.wait - world.wait);

	return world.id[world.seat[i].at] == cold->owner &&
			       world.seat[i].ticket.sequence == ticket.sequence
		       ? &world.seat[i].reading
		       : NULL;
}

struct reading *played_next(const struct cold *cold, const struct wait *after)
{
	size_t i = after ? (size_t)(after - world.wait) + 1 : 0;
	size_t at = number_of(cold->owner);

	world.n_looked++;
	while (i < world.n_seats && !(world.seat[i].at == at && waits(i)))
		i++;
	return i < world.n_seats ? &world.seat[i].reading : NULL;
}

/* ---- to play it ---- */

static void begin_world(size_t n_engines, size_t n_actors)
{
	struct rota_config config = test_config(1);

	config.flags = ROTA_RUN_HERE;
	memset(&world, 0, sizeof(world));
	world.random = 88172645463325252;
	world.n_engines = n_engines;
	world.n_actors = n_actors;
	for (size_t i = 0; i < n_engines; i++)
		world.engine[i] = engine_make(&config);
	for (size_t i = 0; i < n_actors; i++) {
		engine = world.engine[i % n_engines];
		world.id[i] = puppet_spawn(NULL, 1);
	}
}

static void clear_seats(void)
{
	for (size_t i = 0; i < world.n_seats; i++) {
		leave_room(i);
		if (waits(i))
			cr_assert(wait_retract(world.seat[i].ticket));
	}
	for (size_t i = 0; i < world.n_actors; i++) {
		struct site site;
		struct cold *cold = lock(&site, i);

		cold->edge = EDGE_NONE;
		cold->run = NULL;
		leave(&site, cold);
	}
	memset(world.seat, 0, sizeof(world.seat));
	memset(world.n_at, 0, sizeof(world.n_at));
	world.n_seats = 0;
}

static void end_world(void)
{
	clear_seats();
	for (size_t i = 0; i < world.n_engines; i++) {
		engine = world.engine[i];
		engine_stop();
	}
}

static size_t add_seat(size_t actor)
{
	world.seat[world.n_seats].at = actor;
	world.seat[world.n_seats].is_new = true;
	world.n_at[actor]++;
	return world.n_seats++;
}

/* Its first actor is of that engine. */
static struct cycles *monitor_of(size_t i)
{
	struct cycles *cycles;
	struct site site;

	cr_assert_eq(site_enter(&site, world.id[i]), 0);
	cycles = &site.engine->cycles;
	site_leave(&site);
	return cycles;
}

static bool are_idle(void)
{
	for (size_t i = 0; i < world.n_engines; i++)
		if (has_walks(monitor_of(i)) ||
		    AO_load(&monitor_of(i)->xhanded) != 0)
			return false;
	return true;
}

static void walk_some(size_t i, unsigned n_steps)
{
	struct cycles *cycles = monitor_of(i);

	if (!has_walks(cycles))
		take_handed(cycles);
	carry_on(cycles, n_steps);
}

/* All monitors, some steps each in turn, until none has anything to do. */
static void walk_all(unsigned n_steps)
{
	for (size_t i = 0; !are_idle(); i++)
		walk_some(i % world.n_engines, n_steps);
}

/* ---- random graphs ---- */

static void make_random_seats(void)
{
	size_t most = 1 + below(5), n = 2 + below(world.n_actors - 1);

	for (size_t i = 0; i < n; i++)
		for (size_t k = 1 + below(most); k > 0; k--)
			add_seat(i);
}

static void play_random(size_t n_changes)
{
	size_t left;

	make_random_seats();
	left = world.n_seats;
	world.n_changes = n_changes;
	while (left > 0) {
		size_t i = below(world.n_seats);

		if (!world.seat[i].is_new)
			continue;
		if (below(8) != 0) /* some never wait */
			begin_random_wait(i);
		world.seat[i].is_new = false;
		left--;
		if (below(4) == 0)
			walk_some(below(world.n_engines),
				  (unsigned)(1 + below(20)));
	}
	walk_all((unsigned)(1 + below(30)));
	cr_assert_eq(n_on_circles(), 0, "%zu of %zu", n_on_circles(),
		     world.n_seats);
	clear_seats();
}

static void play_many(size_t n_engines, size_t n_graphs, size_t n_changes)
{
	begin_world(n_engines, 12);
	for (size_t i = 0; i < n_graphs; i++)
		play_random(n_changes);
	cr_assert_gt(world.n_refused, n_graphs / 10);
	cr_assert_gt(world.n_let_in, n_graphs / 10);
	end_world();
}

Test(cycle_forks, random_graphs_that_stand, .timeout = HANG)
{
	play_many(1, SIZED(4000, 400), 0);
}

Test(cycle_forks, random_graphs_that_change, .timeout = HANG)
{
	play_many(1, SIZED(4000, 400), 30);
}

Test(cycle_forks, random_graphs_of_two_engines, .timeout = HANG)
{
	play_many(2, SIZED(4000, 400), 0);
	play_many(2, SIZED(4000, 400), 30);
}

/* ---- with ends ---- */

/* The one that waits for room goes on before the other one's time is up. */
Test(cycle_forks, room_is_made_beside_a_deadline, .timeout = HANG)
{
	begin_world(1, 2);
	for (size_t i = 0; i < 2; i++)
		add_seat(i);
	begin_wait(0, SENDS, 1);
	begin_wait(1, ENDS, 0);
	hand_over_other(world.id[0]);
	walk_all(TICK_STEPS);
	cr_assert_eq(world.n_let_in, 1);
	end_world();
}

/* Three of four queries stand on circles that end, and one on one with room. */
Test(cycle_forks, room_is_made_behind_a_circle_that_ends, .timeout = HANG)
{
	for (size_t k = 0; k < 4; k++) {
		begin_world(1, 3);
		for (size_t i = 0; i < 6; i++)
			add_seat(i < 4 ? 0 : i - 3);
		for (size_t i = 0; i < 4; i++)
			begin_wait(i, ENDS, i == k ? 2 : 1);
		begin_wait(4, ASKS, 0);
		begin_wait(5, SENDS, 0);
		hand_over_other(world.id[0]);
		walk_all(TICK_STEPS);
		cr_assert_eq(world.n_let_in, 1);
		cr_assert_eq(world.n_refused, 0);
		end_world();
	}
}

/* ---- large ones ---- */

/* So many tables one behind the other, each of whose queries asks the next. */
static void make_mesh(size_t n_tables, size_t n_queries)
{
	for (size_t i = 0; i < n_tables; i++)
		for (size_t k = 0; k < n_queries; k++)
			begin_wait(add_seat(i), ASKS, i + 1);
}

/* There are 5 to the 100th ways through it. */
Test(cycle_forks, no_part_is_walked_twice, .timeout = HANG)
{
	begin_world(1, 101);
	for (size_t i = 0; i < 100; i++)
		world.n_at[i] = 5; /* from the first one on */
	make_mesh(100, 5);
	for (size_t i = 0; i < 100; i++)
		hand_over_other(world.id[i]);
	walk_all(TICK_STEPS);
	cr_assert_leq(world.n_looked, 100 * 6);
	end_world();
}

Test(cycle_forks, no_part_of_another_engine_is_walked_twice, .timeout = HANG)
{
	begin_world(2, 101);
	for (size_t i = 0; i < 100; i++)
		world.n_at[i] = 5;
	make_mesh(100, 5);
	hand_over_other(world.id[0]);
	walk_all(TICK_STEPS);
	cr_assert_leq(world.n_looked, 100 * 6);
	end_world();
}

/* The last query of each leads back, through all of them. */
Test(cycle_forks, a_circle_of_500_tables, .timeout = HANG)
{
	begin_world(1, 502);
	for (size_t i = 0; i < 500; i++)
		world.n_at[i] = 3;
	for (size_t i = 0; i < 500; i++)
		for (size_t k = 0; k < 3; k++)
			begin_wait(add_seat(i), ASKS,
				   k < 2 ? 501 : (i + 1) % 500);
	hand_over_other(world.id[7]);
	walk_all(TICK_STEPS);
	cr_assert_eq(world.n_refused, 1);
	cr_assert_eq(n_on_circles(), 0);
	end_world();
}

/* A turn looks at some of it only. */
Test(cycle_forks, a_turn_leaves_a_mesh_to_the_monitor, .timeout = HANG)
{
	begin_world(1, 102);
	for (size_t i = 0; i < 100; i++)
		world.n_at[i] = 5;
	make_mesh(100, 5);
	begin_wait(add_seat(100), ASKS, 0); /* closes it */
	cycle_look(world.id[100]);
	cr_assert_leq(world.n_looked, TURN_STEPS);
	cr_assert_eq(world.n_refused, 0);
	walk_all(TICK_STEPS);
	cr_assert_eq(world.n_refused, 1);
	cr_assert_eq(n_on_circles(), 0);
	end_world();
}

Test(cycle_forks, without_memory_it_is_found_later, .timeout = HANG)
{
	begin_world(1, 2);
	for (size_t i = 0; i < 4; i++)
		add_seat(i < 3 ? 0 : 1);
	for (size_t i = 0; i < 3; i++)
		begin_wait(i, ASKS, 1);
	begin_wait(3, ASKS, 0);
	hand_over_other(world.id[0]);
	world.has_no_memory = true;
	for (int i = 0; i < 3; i++)
		walk_some(0, TICK_STEPS);
	cr_assert_eq(world.n_refused, 0);
	cr_assert_not(are_idle());
	world.has_no_memory = false;
	walk_all(TICK_STEPS);
	cr_assert_eq(n_on_circles(), 0);
	end_world();
}

/* The first query leads back to its table only, the second one to the start. */
Test(cycle_forks, a_turn_passes_no_fork_twice, .timeout = HANG)
{
	struct cold *cold;
	struct site site;

	begin_world(1, 3);
	for (size_t i = 0; i < 4; i++)
		add_seat(i < 2 ? 0 : i - 1);
	begin_wait(0, ASKS, 1);
	begin_wait(1, ASKS, 2);
	begin_wait(2, ASKS, 0);
	begin_wait(3, ASKS, 0);
	cycle_look(world.id[2]);
	cr_assert_eq(world.n_refused, 1);
	cold = lock(&site, 2);
	cr_assert_eq(cold->deadlock->n, 2);
	leave(&site, cold);
	end_world();
}
