/* SPDX-License-Identifier: MIT */
/*
 * flush - does it return when all that was queued before has run, and not
 * sooner; and does it always return?
 */
#include <rota/status.h>
#include <rota/task.h>
#include <rota/wait.h>

#include "tests/unit/support.h"

struct flushing {
	rota_id to;
	int64_t within;
	struct record *record; /* of whom it is about */
	struct tally thread;
	struct flag begun;
	struct flag ended;
	int result; /* behind @ended, as is the next */
	size_t seen;
};

static int act_flush(void *arg)
{
	struct flushing *f = arg;

	flag_raise(&f->begun);
	tally_add(&f->thread, (size_t)thread_number());
	f->result = rota_flush(f->to, f->within);
	f->seen = f->record ? tally_of(&f->record->n) : 0;
	flag_raise(&f->ended);
	return 0;
}

static void *thread_flush(void *arg)
{
	act_flush(arg);
	return NULL;
}

static int task_flush(void *argument)
{
	return act_flush(*(struct flushing **)argument);
}

static struct flushing flushing_of(rota_id to, struct record *record)
{
	return (struct flushing){
		.to = to, .within = ROTA_FOREVER, .record = record};
}

static void expect(struct flushing *f, int result)
{
	AWAIT(flag_is_up(&f->ended));
	cr_assert_eq(f->result, result, "%d", f->result);
}

#define MESSAGES 40

Test(flush, returns_when_all_before_has_run, .timeout = HANG)
{
	struct record *record = calloc(1, sizeof(*record));
	struct flushing by_actor, by_task, by_thread, *at = &by_task;
	struct hold hold = {.gate = ROTA_NONE};
	pthread_t thread;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(record, 0);
	by_actor = by_task = by_thread = flushing_of(id, record);
	hold_start(&hold, id);
	for (uint64_t i = 0; i < MESSAGES; i++)
		cr_assert_eq(send_value(id, 1, i), 0);
	ACTS(puppet_spawn(NULL, 0), act_flush, &by_actor);
	cr_assert_eq(
		rota_task_submit(engine, task_flush, &at, sizeof(at), NULL), 0);
	thread = thread_start(thread_flush, &by_thread);
	await_sleep(&by_thread.thread);
	AWAIT(counters().waits >= 3);
	cr_assert_eq(rota_flush(id, ROTA_NOW), -ETIMEDOUT);
	cr_assert_not(flag_is_up(&by_actor.ended));
	hold_end(&hold);
	expect(&by_actor, 0);
	expect(&by_task, 0);
	thread_join(thread);
	expect(&by_thread, 0);
	cr_assert_eq(by_actor.seen, MESSAGES);
	cr_assert_eq(by_task.seen, MESSAGES);
	cr_assert_eq(by_thread.seen, MESSAGES);
	cr_assert_eq(tally_of(&record->n), MESSAGES); /* no handler sees it */
	expect_conserved(MESSAGES + 2);
	engine_stop();
	free(record);
}

Test(flush, of_an_idle_actor_is_quick, .timeout = HANG)
{
	rota_id id;

	engine_start(1);
	id = puppet_spawn(NULL, 0);
	cr_assert_eq(rota_flush(id, ROTA_NOW), 0);
	cr_assert_eq(rota_flush(id, PATIENCE), 0);
	quiesce();
	cr_assert_eq(rota_flush(id, ROTA_NOW), 0);
	engine_stop();
}

Test(flush, passes_a_full_mailbox, .timeout = HANG)
{
	struct record *record = calloc(1, sizeof(*record));
	struct hold hold = {.gate = ROTA_NONE};
	struct flushing f;
	rota_id id;
	size_t n;

	engine_start(1);
	id = puppet_spawn(record, 4);
	hold_start(&hold, id);
	n = fill(id, 1);
	f = flushing_of(id, record);
	ACTS(puppet_spawn(NULL, 0), act_flush, &f);
	AWAIT(counters().waits >= 2);
	hold_end(&hold);
	expect(&f, 0);
	cr_assert_eq(f.seen, n);
	engine_stop();
	free(record);
}

Test(flush, has_a_deadline, .timeout = HANG)
{
	struct hold hold = {.gate = ROTA_NONE};
	struct flushing f;
	rota_id id;

	engine_start(1);
	id = puppet_spawn(NULL, 0);
	hold_start(&hold, id);
	cr_assert_eq(rota_flush(id, ROTA_MS(1)), -ETIMEDOUT);
	f = flushing_of(id, NULL);
	f.within = ROTA_MS(1);
	ACTS(puppet_spawn(NULL, 0), act_flush, &f);
	expect(&f, -ETIMEDOUT);
	hold_end(&hold); /* the marks are met now, and nobody is there */
	cr_assert_eq(rota_flush(id, PATIENCE), 0);
	engine_stop();
}

Test(flush, of_an_actor_that_ends_fails, .timeout = HANG)
{
	struct hold hold = {.gate = ROTA_NONE};
	struct flushing f;
	pthread_t thread;
	rota_id id;

	engine_start(1);
	id = puppet_spawn(NULL, 0);
	hold_start(&hold, id);
	f = flushing_of(id, NULL);
	thread = thread_start(thread_flush, &f);
	await_sleep(&f.thread);
	cr_assert_eq(rota_actor_stop(id), 0);
	expect(&f, -ESRCH);
	thread_join(thread);
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
	cr_assert_eq(rota_flush(id, PATIENCE), -ESRCH);
	cr_assert_eq(rota_flush(id, ROTA_NOW), -ESRCH);
	cr_assert_eq(rota_flush(ROTA_NONE, PATIENCE), -ESRCH);
	engine_stop();
	cr_assert_eq(rota_flush(id, PATIENCE), -ESRCH);
}

Test(flush, of_an_actor_that_closes_is_refused, .timeout = HANG)
{
	struct hold hold = {.gate = ROTA_NONE};
	struct flushing f;
	rota_id id;

	engine_start(1);
	id = puppet_spawn(NULL, 0);
	hold_start(&hold, id);
	f = flushing_of(id, NULL);
	ACTS(puppet_spawn(NULL, 0), act_flush, &f);
	AWAIT(counters().waits >= 2);
	cr_assert_eq(rota_actor_drain(id), 0);
	cr_assert_eq(rota_flush(id, PATIENCE), -ESHUTDOWN);
	hold_end(&hold);
	expect(&f, 0); /* it came before */
	engine_stop();
}

Test(flush, of_oneself_is_refused, .timeout = HANG)
{
	struct flushing f;
	rota_id id;

	engine_start(1);
	id = puppet_spawn(NULL, 0);
	f = flushing_of(id, NULL);
	ACTS(id, act_flush, &f);
	expect(&f, -EDEADLK);
	engine_stop();
}

Test(flush, in_a_circle_one_is_told, .timeout = HANG)
{
	struct flushing a, b;
	rota_id x, y;

	engine_start(2);
	x = puppet_spawn(NULL, 0);
	y = puppet_spawn(NULL, 0);
	a = flushing_of(y, NULL);
	b = flushing_of(x, NULL);
	ACTS(x, act_flush, &a);
	AWAIT(flag_is_up(&a.begun) &&
	      (flag_is_up(&a.ended) || counters().waits > 0));
	ACTS(y, act_flush, &b);
	AWAIT(flag_is_up(&a.ended) && flag_is_up(&b.ended));
	/* Either y came to its message after x's mark, and all is well, or one
	   of the two was told. */
	cr_assert((a.result == 0 && b.result == 0) ||
			  (a.result == -EDEADLK) != (b.result == -EDEADLK),
		  "%d %d", a.result, b.result);
	engine_stop();
}

static int act_flush_held(void *arg)
{
	struct hold *hold = ((void **)arg)[0];
	struct flushing *f = ((void **)arg)[1];

	act_hold(hold);
	return act_flush(f);
}

Test(flush, in_a_certain_circle_one_is_told, .timeout = HANG)
{
	struct hold hold = {.gate = ROTA_NONE};
	struct flushing a, b;
	void *args[] = {&hold, &b};
	rota_id x, y;

	engine_start(2);
	x = puppet_spawn(NULL, 0);
	y = puppet_spawn(NULL, 0);
	a = flushing_of(y, NULL);
	b = flushing_of(x, NULL);
	hold.gate = puppet_spawn(NULL, 1);
	ACTS(y, act_flush_held, args);
	AWAIT(flag_is_up(&hold.begun) && counters().waits >= 1);
	ACTS(x, act_flush, &a);
	AWAIT(counters().waits >= 2);
	hold_end(&hold);
	AWAIT(flag_is_up(&a.ended) && flag_is_up(&b.ended));
	cr_assert_eq((a.result == -EDEADLK) + (b.result == -EDEADLK), 1,
		     "%d %d", a.result, b.result);
	cr_assert_eq((a.result == 0) + (b.result == 0), 1);
	engine_stop();
}

Test(flush, status_names_it, .timeout = HANG)
{
	struct rota_status status = ROTA_STATUS_INIT;
	struct hold hold = {.gate = ROTA_NONE};
	struct flushing f;
	rota_id id, flusher;

	engine_start(1);
	id = puppet_spawn(NULL, 0);
	flusher = puppet_spawn(NULL, 0);
	hold_start(&hold, id);
	f = flushing_of(id, NULL);
	ACTS(flusher, act_flush, &f);
	AWAIT(rota_status(flusher, &status) == 0 &&
	      status.waits_for == ROTA_WAITS_FOR_FLUSH);
	cr_assert_eq(status.whom, id);
	hold_end(&hold);
	expect(&f, 0);
	engine_stop();
}

/* ---- a stop that meets it ---- */

Test(flush, a_handler_that_never_returns_keeps_nobody, .timeout = HANG)
{
	struct stall stall = {.go = {0}};
	struct flushing f;
	pthread_t thread;
	rota_id id;

	engine_start(1);
	id = puppet_spawn(NULL, 0);
	stall_start(&stall, id);
	f = flushing_of(id, NULL);
	thread = thread_start(thread_flush, &f);
	await_sleep(&f.thread);
	cr_assert_eq(rota_stop(engine, ROTA_MS(10)), -ETIMEDOUT);
	expect(&f, -ESRCH);
	thread_join(thread);
	flag_raise(&stall.go);
	AWAIT(flag_is_up(&stall.ended));
}

Test(flush, by_a_turn_of_an_engine_that_is_gone, .timeout = HANG)
{
	struct hold hold = {.gate = ROTA_NONE};
	rota_engine *first, *second;
	struct flushing f;
	rota_id id;

	engine_start(1);
	first = engine;
	id = puppet_spawn(NULL, 0);
	hold_start(&hold, id);
	engine_start(1);
	second = engine;
	f = flushing_of(id, NULL);
	ACTS(puppet_spawn(NULL, 0), act_flush, &f);
	AWAIT(counters().waits >= 1);
	cr_assert_eq(rota_stop(second, PATIENCE), 0);
	expect(&f, -ECANCELED);
	engine = first;
	hold_end(&hold); /* meets the mark of a stack that is gone */
	cr_assert_eq(rota_flush(id, PATIENCE), 0);
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

#define HOLDS 8 /* their mailboxes hold more than there is memory */

Test(flush, without_memory_says_so, .timeout = HANG)
{
	struct rota_config config = test_config(1);
	struct hold hold[HOLDS] = {{.gate = ROTA_NONE}};
	rota_id ids[HOLDS];
	int error = 0;

	config.allocator.map = map_or_refuse;
	config.allocator.unmap = unmap;
	engine = engine_make(&config);
	for (int i = 0; i < HOLDS; i++)
		hold_start(&hold[i], ids[i] = puppet_spawn(NULL, 32767));
	AO_store(&refuses, 1);
	for (int i = 0; i < HOLDS; i++)
		while ((error = try_value(ids[i], 1, 1)) == 0)
			continue;
	cr_assert_eq(error, -ENOMEM);
	cr_assert_eq(rota_flush(ids[0], PATIENCE), -ENOMEM);
	AO_store(&refuses, 0);
	for (int i = 0; i < HOLDS; i++) {
		hold_end(&hold[i]);
		cr_assert_eq(rota_flush(ids[i], PATIENCE), 0);
	}
	engine_stop();
}
