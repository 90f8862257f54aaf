/* SPDX-License-Identifier: MIT */
/*
 * flush - many flush few at once, from handlers and threads, with deadlines,
 * while some of those end: a flush that returns 0 has seen all that the flusher
 * sent before, and every flush returns
 */
#include <rota/wait.h>

#include "tests/unit/support.h"

#define TARGETS 4
#define ACTORS 8
#define THREADS 3
#define ROUNDS SIZED(2000, 200)

enum { ADD = 1, GO };

/* Each flusher has a counter of its own in each target. */
struct target {
	size_t seen[ACTORS + THREADS];
};

struct adding {
	size_t *seen;
};

static int target_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct adding *adding = payload;

	(void)state;
	(void)tag;
	(void)length;
	(*adding->seen)++;
	return 0;
}

static const struct rota_behaviour target_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "target",
	.handle = target_handle,
};

struct flusher {
	size_t number;
	uint64_t random;
	struct tally wrong;
	struct tally flushed;
	struct tally failed;
	struct flag ended;
};

static rota_id targets[TARGETS];
static struct target seen[TARGETS];

static void flush_once(struct flusher *f, size_t sent[TARGETS])
{
	size_t i = next_random(&f->random) % TARGETS;
	size_t n = next_random(&f->random) % 8;
	int64_t within = n == 0 ? ROTA_US(50) : ROTA_FOREVER;
	struct adding adding = {&seen[i].seen[f->number]};
	int error;

	for (; n > 0; n--)
		if (rota_send(targets[i], ADD, &adding, sizeof(adding)) == 0)
			sent[i]++;
	error = rota_flush(targets[i], within);
	if (error == 0 && *adding.seen != sent[i])
		tally_add(&f->wrong, 1);
	if (error != 0 && error != -ETIMEDOUT && error != -ESRCH &&
	    error != -ESHUTDOWN)
		tally_add(&f->wrong, 1);
	tally_add(error ? &f->failed : &f->flushed, 1);
	if (next_random(&f->random) % 64 == 0)
		rota_yield();
}

static int act_flusher(void *arg)
{
	struct flusher *f = arg;
	size_t sent[TARGETS] = {0};

	/* Until one has been in vain: see the end in the middle. */
	for (int i = 0; i < ROUNDS || tally_of(&f->failed) == 0; i++)
		flush_once(f, sent);
	flag_raise(&f->ended);
	return 0;
}

static void *thread_flusher(void *arg)
{
	act_flusher(arg);
	return NULL;
}

static void run(unsigned workers)
{
	static struct flusher flushers[ACTORS + THREADS];
	pthread_t threads[THREADS];

	memset(flushers, 0, sizeof(flushers));
	memset(seen, 0, sizeof(seen));
	engine_start(workers);
	for (size_t i = 0; i < TARGETS; i++)
		targets[i] = spawn(&target_behaviour, NULL, 8);
	for (size_t i = 0; i < ACTORS + THREADS; i++) {
		flushers[i].number = i;
		flushers[i].random = i + 1;
		if (i < ACTORS)
			ACTS(puppet_spawn(NULL, 0), act_flusher, &flushers[i]);
		else
			threads[i - ACTORS] =
				thread_start(thread_flusher, &flushers[i]);
	}
	/* One ends in the middle of it, being flushed. */
	AWAIT(tally_of(&flushers[0].flushed) > 20);
	cr_assert_eq(rota_actor_stop(targets[TARGETS - 1]), 0);
	for (size_t i = 0; i < ACTORS + THREADS; i++)
		AWAIT(flag_is_up(&flushers[i].ended));
	for (size_t i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	for (size_t i = 0; i < ACTORS + THREADS; i++) {
		cr_assert_eq(tally_of(&flushers[i].wrong), 0);
		cr_assert_gt(tally_of(&flushers[i].flushed), 0);
		cr_assert_gt(tally_of(&flushers[i].failed), 0);
	}
	engine_stop();
}

Test(flush, sees_all_that_came_before, .timeout = STRESS)
{
	run(1);
	run(2);
	run(64);
}
