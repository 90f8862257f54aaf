/* SPDX-License-Identifier: MIT */
/*
 * abandon - handlers that stand still for a while, and threads that give up
 *
 * Feeders send numbered messages to a few posts, and to whoever stands there
 * next when one is gone. Handlers stand still for 0.1 to 3 ms now and then, in
 * the kernel or computing, some with what they have received by themselves, or
 * after they have put something aside; half of them may move. Abandoners try to
 * give up whom they find. Some actors are stopped meanwhile, too. In the end
 * each message was handled or became a dead letter, exactly once (a handler
 * that is given up counts as the latter), each state was destroyed, each moved
 * buffer dropped, and a checked build's stop finds no block lost.
 */
#include <rota/process.h>
#include <rota/wait.h>

#include "tests/unit/support.h"

#define POSTS 6
#define FEEDERS 2
#define ABANDONERS 2
#define MESSAGES SIZED(15000, 3000) /* of a feeder */
#define MIN_MESSAGES 1500	    /* else nobody gets stuck */
#define MAX_MESSAGES (FEEDERS * 15000)

/* Of each message; written by whoever ends it. Relaxed: read at the end. */
static AO_t xbegun[MAX_MESSAGES];
static AO_t xdied[MAX_MESSAGES];
static AO_t xabandoned[MAX_MESSAGES];
static AO_t xdropped[MAX_MESSAGES];

static AO_t xpost[POSTS]; /* rota_id */
static AO_t xdone;	  /* feeders that are done */
static struct tally n_spawned, n_destroyed, n_given_up, n_accepted;
static unsigned n_messages;

#define PLAIN 1u
#define URGENT 2u
#define MOVED 3u

/* ---- actors ---- */

struct laggard {
	uint64_t random;
	AO_t xinside; /* 1: a handler runs; it is never entered twice */
};

static struct tally n_overlaps;

static void stand_still(uint64_t random)
{
	long ns = 100000 + (long)(random % 2900000);
	struct timespec until, now;

	if (random & 1) {
		nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ns / 4;
	do {
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - until.tv_sec) * 1000000000 + now.tv_nsec <
		 until.tv_nsec);
}

/* In hand for the first time. */
static void begin(uint64_t number)
{
	AO_fetch_and_add1(&xbegun[number]);
}

/* Put aside it is none's: it comes again, or becomes a dead letter. */
static bool put_aside(uint64_t number)
{
	if (rota_stash() != 0)
		return false;
	AO_fetch_and_sub1(&xbegun[number]);
	return true;
}

/* False: nothing is in hand any more. */
static bool receive_some(struct rota_received *m, uint64_t random)
{
	for (int i = 0; i < 3; i++) {
		uint64_t number;

		if (rota_receive(NULL, ROTA_US(20), m) != 0)
			return false;
		number = value_at(m->payload, m->length);
		begin(number);
		random >>= 4;
		if (random % 4 == 0)
			stand_still(random >> 8);
		if (random % 4 == 1 && put_aside(number))
			return false;
	}
	return true;
}

/* Is there something in hand still? */
static bool handle_message(struct rota_received *m, uint64_t random)
{
	uint64_t number = value_at(m->payload, m->length);

	begin(number);
	if (random % 8 == 0)
		stand_still(random >> 8);
	else if (random % 64 == 2)
		rota_sleep(ROTA_US(20));
	else if (random % 16 == 5)
		rota_unstash();
	else if (random % 16 == 9)
		return receive_some(m, random >> 8);
	else if (random % 16 == 13 && put_aside(number)) {
		if (random % 64 == 13)
			stand_still(random >> 8);
		return false;
	}
	return true;
}

static int laggard_handle(void *state, unsigned tag, void *payload,
			  size_t length)
{
	struct laggard *self = state;
	struct rota_received m = {.payload = payload, .length = length};
	uint64_t random = next_random(&self->random);

	(void)tag;
	if (AO_fetch_and_add1(&self->xinside) != 0)
		tally_add(&n_overlaps, 1);
	if (handle_message(&m, random)) {
		/* Still ours, whatever has been done meanwhile. */
		uint64_t number = value_at(m.payload, m.length);

		if (number >= MAX_MESSAGES || AO_load(&xbegun[number]) != 1)
			tally_add(&n_overlaps, 1);
	}
	AO_fetch_and_sub1(&self->xinside);
	return random % 512 == 3 ? -1 : 0;
}

static void laggard_destroy(void *state)
{
	struct laggard *self = state;

	if (AO_load(&self->xinside) != 0)
		tally_add(&n_overlaps, 1);
	tally_add(&n_destroyed, 1);
}

static const struct rota_behaviour laggard_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "laggard",
	.state_size = sizeof(struct laggard),
	.handle = laggard_handle,
	.destroy = laggard_destroy,
};

static rota_id laggard_spawn(uint64_t random)
{
	struct laggard state = {.random = random | 1};
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	rota_id id;

	options.flags = ROTA_TAKES_URGENT;
	if (random & 2)
		options.flags |= ROTA_ANYWHERE;
	id = rota_spawn(engine, &laggard_behaviour, &state, &options);
	if (rota_id_error(id) == 0)
		tally_add(&n_spawned, 1);
	return id;
}

/* ---- dead letters ---- */

static void note_death(void *context, const struct rota_dead_letter *dead)
{
	uint64_t number = value_at(dead->payload, dead->length);

	(void)context;
	if (dead->cause == ROTA_DEAD_ABANDONED)
		AO_fetch_and_add1(&xabandoned[number]);
	else
		AO_fetch_and_add1(&xdied[number]);
}

static void say_nothing(void *context, enum rota_log_level level,
			const char *text)
{
	(void)context;
	(void)level;
	(void)text;
}

/* ---- feeders ---- */

static void drop(void *buffer, size_t length)
{
	AO_fetch_and_add1(&xdropped[value_at(buffer, length)]);
	free(buffer);
}

static int send_moved(rota_id to, uint64_t number)
{
	uint64_t *buffer = malloc(sizeof(*buffer));
	int error;

	*buffer = number;
	error = rota_send_own(to, MOVED, buffer, sizeof(*buffer), drop,
			      ROTA_FOREVER);
	if (error)
		free(buffer);
	return error;
}

static int send_number(rota_id to, uint64_t number)
{
	switch (number % 4) {
	case 0:
		return send_moved(to, number);
	case 1:
		return rota_send_urgent(to, URGENT, &number, sizeof(number));
	default:
		return rota_send(to, PLAIN, &number, sizeof(number));
	}
}

/* To whoever is there; a new one takes the place of one that is gone. */
static void feed_one(uint64_t number, uint64_t *random)
{
	for (;;) {
		AO_t *xto = &xpost[next_random(random) % POSTS];
		rota_id to = AO_load_acquire(xto); /* [T1] pairs with below */

		if (send_number(to, number) == 0)
			return;
		if (rota_is_alive(to))
			continue; /* it closes */
		/* [T1] pairs with the load above; or another did it */
		if (AO_load(xto) == to) {
			rota_id fresh = laggard_spawn(next_random(random));

			if (!AO_compare_and_swap_full(xto, to, fresh))
				rota_actor_stop(fresh);
		}
	}
}

static void *feed(void *arg)
{
	unsigned which = *(unsigned *)arg;
	uint64_t random = 77 + which;
	uint64_t from = which * (uint64_t)n_messages;

	for (uint64_t i = 0; i < n_messages; i++) {
		feed_one(from + i, &random);
		tally_add(&n_accepted, 1);
		if (i % 1024 == 99)
			rota_actor_stop(
				AO_load(&xpost[next_random(&random) % POSTS]));
	}
	AO_fetch_and_add1_full(&xdone);
	return NULL;
}

/* ---- abandoners ---- */

static void *give_up(void *arg)
{
	uint64_t random = 5 + *(unsigned *)arg;

	while (AO_load_acquire(&xdone) < FEEDERS) {
		rota_id id = AO_load(&xpost[next_random(&random) % POSTS]);

		if (rota_abandon(id) == 0)
			tally_add(&n_given_up, 1);
		nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
	}
	return NULL;
}

/* ---- the account ---- */

static void check_message(size_t i)
{
	size_t begun = AO_load(&xbegun[i]), died = AO_load(&xdied[i]);
	size_t abandoned = AO_load(&xabandoned[i]);

	/* Begun, or not; if it was given up it had been begun. */
	cr_assert_eq(begun + died, 1, "message %zu: begun %zu, died %zu", i,
		     begun, died);
	cr_assert_leq(abandoned, begun, "message %zu", i);
	cr_assert_eq(AO_load(&xdropped[i]), i % 4 == 0, "buffer %zu", i);
}

static void run(unsigned workers)
{
	struct rota_config config = test_config(workers);
	pthread_t feeder[FEEDERS], abandoner[ABANDONERS];
	static unsigned number[16] = {0, 1, 2, 3, 4, 5, 6, 7};
	struct rota_stats sums;

	n_messages = (unsigned)check_stress(MESSAGES);
	if (n_messages < MIN_MESSAGES)
		n_messages = MIN_MESSAGES;
	if (n_messages > MAX_MESSAGES / FEEDERS)
		n_messages = MAX_MESSAGES / FEEDERS;
	config.dead_letter = note_death;
	config.log = say_nothing;
	engine = engine_make(&config);
	for (size_t i = 0; i < POSTS; i++)
		AO_store(&xpost[i], laggard_spawn(i + 1));
	for (size_t i = 0; i < FEEDERS; i++)
		feeder[i] = thread_start(feed, &number[i]);
	for (size_t i = 0; i < ABANDONERS; i++)
		abandoner[i] = thread_start(give_up, &number[i]);
	for (size_t i = 0; i < FEEDERS; i++)
		thread_join(feeder[i]);
	for (size_t i = 0; i < ABANDONERS; i++)
		thread_join(abandoner[i]);
	quiesce();
	sums = counters();
	cr_assert_eq(sums.abandoned, tally_of(&n_given_up));
	cr_assert_gt(sums.abandoned, 0);
	engine_stop();
	cr_assert_eq(tally_of(&n_destroyed), tally_of(&n_spawned));
	cr_assert_eq(tally_of(&n_overlaps), 0);
	for (size_t i = 0; i < FEEDERS * (size_t)n_messages; i++)
		check_message(i);
}

Test(abandon, each_message_once_with_one_worker, .init = check_kernel,
     .timeout = STRESS)
{
	run(1);
}

Test(abandon, each_message_once_with_two_workers, .init = check_kernel,
     .timeout = STRESS)
{
	run(2);
}

Test(abandon, each_message_once_with_many_workers, .init = check_kernel,
     .timeout = STRESS)
{
	run(8);
}
