/* SPDX-License-Identifier: MIT */
/*
 * pause - does a sleep last as long as was said and no longer than it may, and
 * does a yield let the others go first?
 */
#include <rota/task.h>
#include <rota/wait.h>

#include "tests/unit/support.h"

/* ---- sleeping ---- */

struct nap {
	int64_t duration;
	struct flag begun;
	struct flag ended;
	int result; /* behind @ended, as is the next */
	uint64_t took_ns;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int act_nap(void *arg)
{
	struct nap *n = arg;
	uint64_t start = now_ns();

	flag_raise(&n->begun);
	n->result = rota_sleep(n->duration);
	n->took_ns = now_ns() - start;
	flag_raise(&n->ended);
	return 0;
}

static int task_nap(void *argument)
{
	return act_nap(*(struct nap **)argument);
}

static void submit_nap(struct nap *doze)
{
	cr_assert_eq(
		rota_task_submit(engine, task_nap, &doze, sizeof(doze), NULL),
		0);
}

static void expect_slept(struct nap *n)
{
	AWAIT(flag_is_up(&n->ended));
	cr_assert_eq(n->result, 0, "%d", n->result);
	cr_assert_geq(n->took_ns, (uint64_t)n->duration);
}

Test(pause, sleep_is_never_too_short, .timeout = HANG)
{
	struct nap of_actor = {.duration = ROTA_MS(3)};
	struct nap of_task = {.duration = ROTA_MS(2)};
	struct nap of_thread = {.duration = ROTA_MS(1)};

	engine_start(1);
	ACTS(puppet_spawn(NULL, 0), act_nap, &of_actor);
	submit_nap(&of_task);
	act_nap(&of_thread);
	expect_slept(&of_actor);
	expect_slept(&of_task);
	expect_slept(&of_thread);
	engine_stop();
}

Test(pause, no_time_is_no_sleep, .timeout = HANG)
{
	struct nap none = {.duration = 0}, past = {.duration = -5};
	uint64_t waits;

	engine_start(1);
	waits = counters().waits;
	ACTS(puppet_spawn(NULL, 0), act_nap, &none);
	ACTS(puppet_spawn(NULL, 0), act_nap, &past);
	AWAIT(flag_is_up(&none.ended) && flag_is_up(&past.ended));
	cr_assert_eq(none.result, 0);
	cr_assert_eq(past.result, 0);
	cr_assert_eq(counters().waits, waits);
	engine_stop();
}

Test(pause, sleep_keeps_no_worker, .timeout = HANG)
{
	struct nap doze = {.duration = ROTA_FOREVER};
	struct record record = {.n = {0}};
	rota_id sleeper, other;

	engine_start(1);
	sleeper = puppet_spawn(NULL, 0);
	other = puppet_spawn(&record, 0);
	ACTS(sleeper, act_nap, &doze);
	AWAIT(flag_is_up(&doze.begun));
	cr_assert_eq(send_value(other, 1, 2), 0);
	AWAIT(tally_of(&record.n) == 1);
	cr_assert_not(flag_is_up(&doze.ended));
	cr_assert_eq(rota_actor_stop(sleeper), 0);
	AWAIT(flag_is_up(&doze.ended));
	cr_assert_eq(doze.result, -ECANCELED, "%d", doze.result);
	engine_stop();
}

Test(pause, stop_of_the_engine_wakes_all_of_its_sleepers, .timeout = HANG)
{
	struct nap of_actor = {.duration = ROTA_FOREVER};
	struct nap of_task = {.duration = ROTA_FOREVER};

	engine_start(2);
	ACTS(puppet_spawn(NULL, 0), act_nap, &of_actor);
	submit_nap(&of_task);
	AWAIT(counters().waits == 2);
	engine_stop();
	cr_assert_eq(of_actor.result, -ECANCELED);
	cr_assert_eq(of_task.result, -ECANCELED);
}

/* A task that falls asleep after the stop has begun. */
static int task_late(void *argument)
{
	struct nap *n = *(struct nap **)argument;

	flag_raise(&n->begun);
	while (!rota_task_is_cancelled())
		nap();
	return act_nap(n);
}

Test(pause, task_of_an_engine_that_stops_does_not_fall_asleep, .timeout = HANG)
{
	struct nap late = {.duration = ROTA_FOREVER}, *at = &late;

	engine_start(1);
	cr_assert_eq(rota_task_submit(engine, task_late, &at, sizeof(at), NULL),
		     0);
	AWAIT(flag_is_up(&late.begun));
	engine_stop();
	cr_assert_eq(late.result, -ECANCELED);
}

/* ---- where nothing may wait ---- */

struct callback {
	struct flag ended;
	int slept;
	int yielded;
};

static void pause_in_callback(void *context,
			      const struct rota_dead_letter *letter)
{
	struct callback *c = context;

	(void)letter;
	c->slept = rota_sleep(1);
	c->yielded = rota_yield();
	flag_raise(&c->ended);
}

Test(pause, callback_on_a_worker_cannot, .timeout = HANG)
{
	struct callback c = {.slept = 1, .yielded = 1};
	struct rota_config config = test_config(1);
	rota_id id;

	config.dead_letter = pause_in_callback;
	config.context = &c;
	engine = engine_make(&config);
	id = puppet_spawn(NULL, 0);
	/* Late enough to find that it has ended: else it is told in its turn. */
	cr_assert_eq(rota_send_after(id, 1, NULL, 0, ROTA_MS(300), NULL), 0);
	cr_assert_eq(rota_actor_stop(id), 0);
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
	AWAIT(flag_is_up(&c.ended));
	cr_assert_eq(c.slept, -EDEADLK, "%d", c.slept);
	cr_assert_eq(c.yielded, -EDEADLK, "%d", c.yielded);
	engine_stop();
}

/* ---- yielding ---- */

#define OTHERS 600 /* more than fit into a worker's ring */

struct crowd {
	rota_id others[OTHERS];
	struct record record;
	struct flag ended;
	int result;
	size_t seen; /* of the others' notes, right after the yield */
};

static int act_crowd(void *arg)
{
	struct crowd *crowd = arg;

	for (size_t i = 0; i < OTHERS; i++)
		send_value(crowd->others[i], 1, i);
	crowd->result = rota_yield();
	crowd->seen = tally_of(&crowd->record.n) - OTHERS;
	flag_raise(&crowd->ended);
	return 0;
}

Test(pause, yield_goes_behind_all_that_is_runnable, .timeout = HANG)
{
	struct crowd *crowd = calloc(1, sizeof(*crowd));

	engine_start(1);
	for (size_t i = 0; i < OTHERS; i++)
		crowd->others[i] = puppet_spawn(&crowd->record, 0);
	/* Those that never ran do not stand in the order. */
	for (size_t i = 0; i < OTHERS; i++)
		cr_assert_eq(send_value(crowd->others[i], 1, i), 0);
	quiesce();
	ACTS(puppet_spawn(NULL, 0), act_crowd, crowd);
	AWAIT(flag_is_up(&crowd->ended));
	cr_assert_eq(crowd->result, 0);
	/* Where the machine is slow, the monitor takes some of them out of the
	   run-next slot, and puts them elsewhere than in front of the mark. */
	cr_assert_geq(crowd->seen, OTHERS - OTHERS / 4);
	engine_stop();
	free(crowd);
}

Test(pause, yield_of_a_thread_is_the_systems, .timeout = HANG)
{
	cr_assert_eq(rota_yield(), 0);
}

/* Yields until it is told to end. */
struct yielder {
	struct flag *end;
	struct tally n;
	struct flag ended;
	int result;
};

static int act_yielder(void *arg)
{
	struct yielder *y = arg;

	while (!(y->end && flag_is_up(y->end)) &&
	       (y->result = rota_yield()) == 0)
		tally_add(&y->n, 1);
	flag_raise(&y->ended);
	return 0;
}

static int task_yielder(void *argument)
{
	return act_yielder(*(struct yielder **)argument);
}

Test(pause, yield_keeps_nobody_from_running, .timeout = HANG)
{
	struct record record = {.n = {0}};
	struct flag end = {0};
	struct yielder a = {.end = &end}, b = {.end = &end}, *at = &b;
	rota_id id;

	engine_start(1);
	ACTS(puppet_spawn(NULL, 0), act_yielder, &a);
	cr_assert_eq(
		rota_task_submit(engine, task_yielder, &at, sizeof(at), NULL),
		0);
	AWAIT(tally_of(&a.n) > 10 && tally_of(&b.n) > 10);
	id = puppet_spawn(&record, 0);
	cr_assert_eq(send_value(id, 1, 2), 0);
	/* Time goes on, too. */
	cr_assert_eq(rota_send_after(id, 2, NULL, 0, ROTA_MS(1), NULL), 0);
	AWAIT(tally_of(&record.n) == 2);
	flag_raise(&end);
	AWAIT(flag_is_up(&a.ended) && flag_is_up(&b.ended));
	engine_stop();
}

/* Sends to itself for ever: its worker is never without work. */
static int restless_handle(void *state, unsigned tag, void *payload,
			   size_t length)
{
	(void)state;
	(void)payload;
	(void)length;
	return rota_send(rota_self(), tag, NULL, 0);
}

static const struct rota_behaviour restless = {
	.size = sizeof(struct rota_behaviour),
	.name = "restless",
	.handle = restless_handle,
};

Test(pause, yield_comes_back_however_busy_the_worker_is, .timeout = HANG)
{
	struct yielder y = {.end = NULL};

	engine_start(1);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(rota_send(spawn(&restless, NULL, 0), 1, NULL, 0),
			     0);
	ACTS(puppet_spawn(NULL, 0), act_yielder, &y);
	AWAIT(tally_of(&y.n) >= 100);
	engine_stop();
	cr_assert_eq(y.result, -ECANCELED, "%d", y.result);
}

Test(pause, stop_ends_a_yield, .timeout = HANG)
{
	struct yielder y = {.end = NULL};
	rota_id id;

	engine_start(2);
	id = puppet_spawn(NULL, 0);
	ACTS(id, act_yielder, &y);
	AWAIT(tally_of(&y.n) >= 10);
	cr_assert_eq(rota_actor_stop(id), 0);
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
	cr_assert_eq(y.result, -ECANCELED, "%d", y.result);
	engine_stop();
}

/* ---- memory running out ---- */

static AO_t refuses;

static void *map_or_refuse(void *context, size_t size)
{
	(void)context;
	void *block = AO_load(&refuses) ? NULL : aligned_alloc(1 << 21, size);

	return block ? memset(block, 0, size) : NULL;
}

static void unmap(void *context, void *block, size_t size)
{
	(void)context;
	(void)size;
	free(block);
}

Test(pause, yield_without_memory_says_so, .timeout = HANG)
{
	struct rota_config config = test_config(1);
	struct yielder y = {.end = NULL};
	rota_id id;

	config.allocator.map = map_or_refuse;
	config.allocator.unmap = unmap;
	engine = engine_make(&config);
	id = puppet_spawn(NULL, 0);
	AO_store(&refuses, 1);
	while (rota_id_error(rota_spawn(engine, &restless, NULL, NULL)) == 0)
		continue;
	ACTS(id, act_yielder, &y);
	AWAIT(flag_is_up(&y.ended));
	cr_assert_eq(y.result, -ENOMEM, "%d", y.result);
	AO_store(&refuses, 0);
	y = (struct yielder){.end = NULL};
	ACTS(id, act_yielder, &y);
	AWAIT(tally_of(&y.n) >= 10);
	engine_stop();
}
