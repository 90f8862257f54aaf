/* SPDX-License-Identifier: MIT */
/*
 * foreign - threads of the host use the engine without ceremony
 */
#include "tests/unit/threads.h"

struct visitor {
	rota_id friend;
	struct record record; /* of the actor it spawns itself */
	rota_id spawned;
	int sent;
	int sent_own;
	int joined;
	struct rota_exit why;
};

/* All that a thread may do; it says neither hello nor goodbye. */
static void *thread_visit(void *arg)
{
	struct visitor *v = arg;
	struct puppet puppet = {&v->record};

	v->sent = send_value(v->friend, 1, 1);
	v->spawned = rota_spawn(engine, &puppet_behaviour, &puppet, NULL);
	v->sent_own = send_value(v->spawned, 1, 2);
	puppet_act(v->spawned, act_self_stop, NULL);
	v->joined = rota_join(v->spawned, PATIENCE, &v->why);
	return NULL;
}

static void expect_visit(const struct visitor *v)
{
	cr_assert_eq(v->sent, 0);
	cr_assert_eq(rota_id_error(v->spawned), 0);
	cr_assert_eq(v->sent_own, 0);
	cr_assert_eq(v->joined, 0);
	cr_assert_eq(v->why.cause, ROTA_EXIT_NORMAL);
	cr_assert_eq(v->record.n.n, 1);
	cr_assert_eq(v->record.note[0].value, 2);
	cr_assert_eq(v->record.destroyed.n, 1);
}

Test(foreign, threads_send_spawn_and_join, .timeout = HANG)
{
	enum { N = 8 };
	static struct record record;
	struct visitor *v = calloc(N, sizeof(*v));
	pthread_t thread[N];
	rota_id friend;

	engine_start(2);
	friend = puppet_spawn(&record, 2);
	for (int i = 0; i < N; i++) {
		v[i].friend = friend;
		thread[i] = thread_start(thread_visit, &v[i]);
	}
	for (int i = 0; i < N; i++) {
		thread_join(thread[i]);
		expect_visit(&v[i]);
	}
	quiesce();
	cr_assert_eq(tally_of(&record.n), N);
	engine_stop();
	free(v);
}

/* Threads that come and go leave nothing, in the engine or the process. */
Test(foreign, threads_come_and_go, .timeout = HANG)
{
	static struct record record;
	struct visitor *v = calloc(1, sizeof(*v));
	size_t n = SIZED(1000, 200);
	unsigned descriptors = 0;
	uint64_t memory = 0;
	rota_id friend;

	engine_start(2);
	friend = puppet_spawn(&record, 0);
	for (size_t i = 0; i < n; i++) {
		memset(v, 0, sizeof(*v));
		v->friend = friend;
		thread_join(thread_start(thread_visit, v));
		expect_visit(v);
		quiesce();
		if (i == n / 10) {
			descriptors = n_descriptors();
			memory = counters().memory;
		}
	}
	cr_assert_eq(tally_of(&record.n), n);
	cr_assert_eq(n_descriptors(), descriptors);
	cr_assert_eq(counters().memory, memory);
	engine_stop();
	free(v);
}

/* A thread that was there before the engine, and is there after it. */
struct regular {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	rota_id to; /* ROTA_NONE: nothing to do; 1: go home */
	int sent;
	bool is_done;
};

static void *thread_regular(void *arg)
{
	struct regular *r = arg;

	pthread_mutex_lock(&r->lock);
	while (r->to != 1) {
		if (r->to != ROTA_NONE) {
			r->sent = send_value(r->to, 1, 1);
			r->to = ROTA_NONE;
			r->is_done = true;
			pthread_cond_broadcast(&r->changed);
		}
		pthread_cond_wait(&r->changed, &r->lock);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

static int regular_sends(struct regular *r, rota_id to)
{
	int sent;

	pthread_mutex_lock(&r->lock);
	r->to = to;
	r->is_done = false;
	pthread_cond_broadcast(&r->changed);
	while (to != 1 && !r->is_done)
		pthread_cond_wait(&r->changed, &r->lock);
	sent = r->sent;
	pthread_mutex_unlock(&r->lock);
	return sent;
}

Test(foreign, a_thread_outlives_engines, .timeout = HANG)
{
	static struct record record;
	static struct regular r = {.lock = PTHREAD_MUTEX_INITIALIZER,
				   .changed = PTHREAD_COND_INITIALIZER};
	pthread_t thread = thread_start(thread_regular, &r);
	rota_id id;

	for (size_t i = 0; i < 50; i++) {
		engine_start(2);
		id = puppet_spawn(&record, 0);
		cr_assert_eq(regular_sends(&r, id), 0);
		quiesce();
		cr_assert_eq(tally_of(&record.n), i + 1);
		engine_stop();
		cr_assert_eq(regular_sends(&r, id), -ESRCH);
	}
	regular_sends(&r, 1);
	thread_join(thread);
}

/* One thread, several engines at a time. */
Test(foreign, a_thread_serves_several_engines, .timeout = HANG)
{
	enum { N = 5 };
	static struct record record[N];
	struct rota_config config = test_config(1);
	rota_engine *engines[N];
	rota_id id[N];

	for (int i = 0; i < N; i++) {
		engine = engines[i] = engine_make(&config);
		id[i] = puppet_spawn(&record[i], 1);
	}
	for (uint64_t j = 0; j < 200; j++)
		for (int i = 0; i < N; i++)
			cr_assert_eq(send_value(id[i], 1, j), 0);
	for (int i = 0; i < N; i++) {
		cr_assert_eq(rota_quiesce(engines[i], PATIENCE), 0);
		cr_assert_eq(tally_of(&record[i].n), 200);
		cr_assert_eq(rota_stop(engines[i], PATIENCE), 0);
	}
}

/* A thread with a small stack: nothing of the engine runs on it. */
Test(foreign, a_thread_needs_no_large_stack, .timeout = HANG)
{
	static struct record record;
	struct visitor *v = calloc(1, sizeof(*v));
	pthread_attr_t attributes;
	pthread_t thread;

	engine_start(2);
	v->friend = puppet_spawn(&record, 0);
	cr_assert_eq(pthread_attr_init(&attributes), 0);
	cr_assert_eq(
		pthread_attr_setstacksize(&attributes, SIZED(32768, 262144)),
		0);
	cr_assert_eq(pthread_create(&thread, &attributes, thread_visit, v), 0);
	thread_join(thread);
	expect_visit(v);
	pthread_attr_destroy(&attributes);
	engine_stop();
	free(v);
}

static void *thread_stop(void *arg)
{
	*(int *)arg = rota_stop(engine, PATIENCE);
	return NULL;
}

Test(foreign, an_engine_is_stopped_by_any_thread, .timeout = HANG)
{
	static struct record record;
	int stopped = 1;

	engine_start(2);
	(void)puppet_spawn(&record, 0);
	thread_join(thread_start(thread_stop, &stopped));
	cr_assert_eq(stopped, 0);
	cr_assert_eq(tally_of(&record.destroyed), 1);
}
