/* SPDX-License-Identifier: MIT */
/*
 * spawn - making actors: their state, their identity, their cost in calls
 */
#include "tests/unit/support.h"

/* ---- the state ---- */

/* A state of any size, each byte of which is known. */
static unsigned char pattern(size_t i)
{
	return (unsigned char)(i * 31 + i / 251 + 1);
}

struct state_seen {
	size_t size; /* what to check */
	bool zero;   /* all zeroes instead of the pattern */
	struct tally handled;
	struct tally destroyed;
	size_t bad; /* bytes; of the one actor at a time */
	size_t misaligned;
};

static struct state_seen seen;

static void state_check(const unsigned char *state)
{
	if ((uintptr_t)state % 16)
		seen.misaligned++;
	for (size_t i = 0; i < seen.size; i++)
		if (state[i] != (seen.zero ? 0 : pattern(i)))
			seen.bad++;
}

/* Check what is there, then leave dirt for the slot's next owner. */
static int state_handle(void *state, unsigned tag, void *payload, size_t length)
{
	(void)tag;
	(void)payload;
	(void)length;
	state_check(state);
	memset(state, 0xee, seen.size);
	tally_add(&seen.handled, 1);
	return rota_self_stop(0);
}

static void state_destroy(void *state)
{
	const unsigned char *bytes = state;

	for (size_t i = 0; i < seen.size; i++)
		if (bytes[i] != 0xee)
			seen.bad++;
	tally_add(&seen.destroyed, 1);
}

static const size_t state_sizes[] = {0,
				     1,
				     7,
				     8,
				     15,
				     16,
				     17,
				     40,
				     47,
				     48,
				     49,
				     63,
				     64,
				     65,
				     100,
				     127,
				     128,
				     129,
				     192,
				     255,
				     256,
				     257,
				     511,
				     512,
				     513,
				     1000,
				     1024,
				     1025,
				     2048,
				     4096,
				     4097,
				     8192,
				     10000,
				     16384,
				     32768,
				     65536,
				     65537,
				     100000,
				     131072,
				     262144,
				     500000,
				     524288,
				     524289,
				     ROTA_MAX_STATE - 1,
				     ROTA_MAX_STATE};

#define N_SIZES (sizeof(state_sizes) / sizeof(state_sizes[0]))

/* The size is in the behaviour, so each size has one of its own. */
static struct rota_behaviour state_behaviour[N_SIZES];

static void state_behaviours_init(void)
{
	for (size_t i = 0; i < N_SIZES; i++)
		state_behaviour[i] = (struct rota_behaviour){
			.size = sizeof(struct rota_behaviour),
			.name = "state",
			.state_size = state_sizes[i],
			.handle = state_handle,
			.destroy = state_destroy,
		};
}

static void state_round_trip(size_t i, const void *state)
{
	size_t size = state_sizes[i];
	rota_id id;

	memset(&seen, 0, sizeof(seen));
	seen.size = size;
	seen.zero = !state;
	id = rota_spawn(engine, &state_behaviour[i], state, NULL);
	cr_assert_eq(rota_id_error(id), 0, "size %zu: %s", size,
		     rota_strerror(rota_id_error(id)));
	cr_assert_eq(rota_send(id, 1, NULL, 0), 0);
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
	cr_assert_eq(tally_of(&seen.handled), 1);
	cr_assert_eq(tally_of(&seen.destroyed), 1);
	cr_assert_eq(seen.bad, 0, "size %zu: %zu bytes", size, seen.bad);
	cr_assert_eq(seen.misaligned, 0, "size %zu", size);
}

Test(spawn, copies_states_of_all_sizes, .timeout = HANG)
{
	unsigned char *state = malloc(ROTA_MAX_STATE);

	state_behaviours_init();
	engine_start(2);
	for (size_t i = 0; i < N_SIZES; i++)
		for (int again = 0; again < 2; again++) {
			for (size_t j = 0; j < state_sizes[i]; j++)
				state[j] = pattern(j);
			state_round_trip(i, state);
		}
	engine_stop();
	free(state);
}

/* Also where another actor has left its dirt before. */
Test(spawn, without_a_state_means_zeroes, .timeout = HANG)
{
	state_behaviours_init();
	engine_start(2);
	for (size_t i = 0; i < N_SIZES; i++)
		for (int again = 0; again < 4; again++)
			state_round_trip(i, NULL);
	engine_stop();
}

Test(spawn, neighbours_do_not_touch_each_others_state, .timeout = HANG)
{
	enum { N = 3000 };
	static struct record record[3];
	rota_id *id = calloc(N, sizeof(*id));

	engine_start(2);
	for (size_t i = 0; i < N; i++)
		id[i] = puppet_spawn(&record[i % 3], 0);
	for (size_t i = 0; i < N; i += 3)
		for (size_t j = 0; j < 3; j++) {
			cr_assert_eq(send_value(id[i + j], 1, j), 0);
			quiesce();
		}
	for (size_t j = 0; j < 3; j++) {
		cr_assert_eq(tally_of(&record[j].n), N / 3);
		for (size_t i = 0; i < N / 3; i++) {
			cr_assert_eq(record[j].note[i].value, j);
			cr_assert_eq(record[j].note[i].self, id[3 * i + j]);
		}
	}
	engine_stop();
	free(id);
}

/* ---- refusals ---- */

static rota_id spawn_changed(size_t state_size, const char *name,
			     int (*handle)(void *, unsigned, void *, size_t))
{
	static struct rota_behaviour changed;

	changed = puppet_behaviour;
	changed.state_size = state_size;
	changed.name = name;
	changed.handle = handle;
	return rota_spawn(engine, &changed, NULL, NULL);
}

Test(spawn, refuses_what_cannot_be, .timeout = HANG)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	struct rota_stats before;

	engine_start(1);
	before = counters();
	cr_assert_eq(rota_id_error(rota_spawn(engine, NULL, NULL, NULL)),
		     -EINVAL);
	cr_assert_eq(rota_id_error(spawn_changed(ROTA_MAX_STATE + 1, "big",
						 puppet_handle)),
		     -EINVAL);
	cr_assert_eq(
		rota_id_error(spawn_changed(SIZE_MAX, "huge", puppet_handle)),
		-EINVAL);
	cr_assert_eq(rota_id_error(spawn_changed(8, NULL, puppet_handle)),
		     -EINVAL);
	cr_assert_eq(rota_id_error(spawn_changed(8, "deaf", NULL)), -EINVAL);
	options.mailbox = ROTA_MAX_MAILBOX + 1;
	cr_assert_eq(rota_id_error(rota_spawn(engine, &puppet_behaviour, NULL,
					      &options)),
		     -EINVAL);
	options.mailbox = UINT32_MAX;
	cr_assert_eq(rota_id_error(rota_spawn(engine, &puppet_behaviour, NULL,
					      &options)),
		     -EINVAL);
	/* No engine, and not in a handler. */
	cr_assert_eq(
		rota_id_error(rota_spawn(NULL, &puppet_behaviour, NULL, NULL)),
		-EINVAL);
	cr_assert_eq(counters().spawned, before.spawned);
	engine_stop();
}

Test(spawn, a_refused_one_is_never_destroyed, .timeout = HANG)
{
	static struct record record;
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	struct puppet puppet = {&record};
	rota_id id;

	options.mailbox = ROTA_MAX_MAILBOX + 1;
	engine_start(1);
	id = rota_spawn(engine, &puppet_behaviour, &puppet, &options);
	cr_assert_neq(rota_id_error(id), 0);
	engine_stop();
	cr_assert_eq(tally_of(&record.destroyed), 0);
}

/* ---- from inside ---- */

struct child {
	struct record *record;
	rota_engine *engine;
	rota_id id;
	int sent;
};

static int act_spawn_child(void *arg)
{
	struct child *child = arg;
	struct puppet puppet = {child->record};

	child->id = rota_spawn(child->engine, &puppet_behaviour, &puppet, NULL);
	child->sent = send_value(child->id, 1, 77);
	return 0;
}

static void spawn_inside(bool name_engine)
{
	static struct record record;
	struct child child = {.record = &record};
	rota_id parent;

	engine_start(2);
	if (name_engine)
		child.engine = engine;
	parent = puppet_spawn(NULL, 0);
	ACTS(parent, act_spawn_child, &child);
	quiesce();
	cr_assert_eq(rota_id_error(child.id), 0);
	cr_assert_neq(child.id, parent);
	cr_assert_eq(child.sent, 0);
	cr_assert_eq(tally_of(&record.n), 1);
	cr_assert_eq(record.note[0].self, child.id);
	cr_assert_eq(record.note[0].sender, parent);
	cr_assert_eq(record.note[0].value, 77);
	engine_stop();
}

Test(spawn, a_handler_spawns_into_its_own_engine, .timeout = HANG)
{
	spawn_inside(false);
}

Test(spawn, a_handler_spawns_into_a_named_engine, .timeout = HANG)
{
	spawn_inside(true);
}

/* A parent's end does not touch its children. */
Test(spawn, children_outlive_their_parent, .timeout = HANG)
{
	static struct record record;
	struct child child = {.record = &record};
	rota_id parent;

	engine_start(2);
	parent = puppet_spawn(NULL, 0);
	ACTS(parent, act_spawn_child, &child);
	quiesce();
	cr_assert_eq(rota_actor_stop(parent), 0);
	cr_assert_eq(rota_join(parent, PATIENCE, NULL), 0);
	cr_assert_eq(send_value(child.id, 1, 78), 0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 2);
	engine_stop();
}

struct late_child {
	rota_engine *engine;
	int error;
	struct tally destroyed;
};

static int late_handle(void *state, unsigned tag, void *payload, size_t length)
{
	(void)state;
	(void)tag;
	(void)payload;
	(void)length;
	return 0;
}

static void late_destroy(void *state)
{
	struct late_child *late = *(struct late_child **)state;
	rota_id id = rota_spawn(late->engine, &puppet_behaviour, NULL, NULL);

	late->error = rota_id_error(id);
	tally_add(&late->destroyed, 1);
}

static const struct rota_behaviour late_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "late",
	.state_size = sizeof(struct late_child *),
	.handle = late_handle,
	.destroy = late_destroy,
};

Test(spawn, is_refused_while_the_engine_stops, .timeout = HANG)
{
	static struct late_child late;
	struct late_child *state = &late;

	engine_start(2);
	late.engine = engine;
	(void)spawn(&late_behaviour, &state, 0);
	engine_stop();
	cr_assert_eq(tally_of(&late.destroyed), 1);
	cr_assert_eq(late.error, -ESHUTDOWN);
}

Test(spawn, many_live_at_once, .timeout = HANG)
{
	size_t n = SIZED(200000, 20000);
	rota_id *id = calloc(n, sizeof(*id));

	engine_start(2);
	for (size_t i = 0; i < n; i++)
		id[i] = puppet_spawn(NULL, 0);
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(send_value(id[i], 1, i), 0);
	quiesce();
	cr_assert_eq(counters().spawned, n);
	cr_assert_eq(counters().ended, 0);
	cr_assert_eq(counters().messages, n);
	cr_assert_eq(rota_is_alive(id[0]), 1);
	cr_assert_eq(rota_is_alive(id[n - 1]), 1);
	engine_stop();
	free(id);
}

/* What one actor leaves, the next one uses: memory does not grow. */
Test(spawn, memory_is_used_again, .timeout = HANG)
{
	uint64_t before;

	engine_start(2);
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < 2000; i++)
			ACTS(puppet_spawn(NULL, 0), act_self_stop, NULL);
		quiesce();
		if (round == 4)
			before = counters().memory;
	}
	cr_assert_leq(counters().memory, before);
	cr_assert_eq(counters().ended, 40000);
	engine_stop();
}
