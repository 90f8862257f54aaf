/* SPDX-License-Identifier: MIT */
/*
 * offload - does slow code run elsewhere, exactly once or never, with its
 * caller's memory in place for as long as it runs?
 */
#include <dirent.h>

#include <rota/offload.h>
#include <rota/task.h>
#include <rota/wait.h>

#include "tests/unit/support.h"

/* A function that does not return before it is let go. */
struct slow {
	struct flag begun;
	struct flag go;
	struct tally n;
	struct tally cancelled; /* seen so, at its end */
	char name[16];
};

static int run_slow(void *argument)
{
	struct slow *slow = argument;

	pthread_getname_np(pthread_self(), slow->name, sizeof(slow->name));
	flag_raise(&slow->begun);
	flag_block(&slow->go);
	tally_add(&slow->cancelled, rota_offload_is_cancelled() != 0);
	tally_add(&slow->n, 1);
	return 42;
}

static int run_until_cancelled(void *argument)
{
	struct slow *slow = argument;

	flag_raise(&slow->begun);
	while (!rota_offload_is_cancelled())
		nap();
	tally_add(&slow->cancelled, 1);
	flag_block(&slow->go);
	return 42;
}

struct offloading {
	rota_engine *engine;
	rota_offload_function *run;
	void *argument;
	int64_t within;
	struct tally thread;
	struct flag begun;
	struct flag ended;
	int error; /* behind @ended, like the rest */
	int result;
	int next; /* of a sleep after it */
};

static int act_offload(void *arg)
{
	struct offloading *o = arg;

	flag_raise(&o->begun);
	tally_add(&o->thread, (size_t)thread_number());
	o->error = rota_offload(o->engine, o->run, o->argument, o->within,
				&o->result);
	o->next = rota_sleep(1);
	flag_raise(&o->ended);
	return 0;
}

static int task_offload(void *argument)
{
	return act_offload(*(struct offloading **)argument);
}

static void *thread_offload(void *arg)
{
	act_offload(arg);
	return NULL;
}

static struct offloading offloading_of(struct slow *slow)
{
	return (struct offloading){
		.run = run_slow, .argument = slow, .within = ROTA_FOREVER};
}

static void expect(struct offloading *o, int error, int result)
{
	AWAIT(flag_is_up(&o->ended));
	cr_assert_eq(o->error, error, "%d", o->error);
	cr_assert_eq(o->result, result);
}

static void start_with(unsigned workers, unsigned threads)
{
	struct rota_config config = test_config(workers);

	config.offload_threads = threads;
	engine = engine_make(&config);
}

/* ---- waiting for it ---- */

Test(offload, runs_elsewhere_whoever_calls, .timeout = HANG)
{
	struct slow slow[3] = {{.n = {0}}};
	struct offloading by_actor = offloading_of(&slow[0]);
	struct offloading by_task = offloading_of(&slow[1]), *at = &by_task;
	struct offloading by_thread = offloading_of(&slow[2]);
	struct record record = {.n = {0}};
	pthread_t thread;

	engine_start(1);
	by_thread.engine = engine;
	ACTS(puppet_spawn(NULL, 0), act_offload, &by_actor);
	cr_assert_eq(
		rota_task_submit(engine, task_offload, &at, sizeof(at), NULL),
		0);
	thread = thread_start(thread_offload, &by_thread);
	for (int i = 0; i < 3; i++)
		AWAIT(flag_is_up(&slow[i].begun));
	/* The only worker is free. */
	cr_assert_eq(send_value(puppet_spawn(&record, 0), 1, 1), 0);
	AWAIT(tally_of(&record.n) == 1);
	for (int i = 0; i < 3; i++)
		flag_raise(&slow[i].go);
	expect(&by_actor, 0, 42);
	expect(&by_task, 0, 42);
	expect(&by_thread, 0, 42);
	thread_join(thread);
	cr_assert_eq(strncmp(slow[0].name, "rota", 4), 0);
	cr_assert_not_null(strstr(slow[0].name, "-off"), "%s", slow[0].name);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(tally_of(&slow[i].n), 1);
		cr_assert_eq(tally_of(&slow[i].cancelled), 0);
	}
	engine_stop();
}

static int run_nested(void *argument)
{
	struct slow *slow = argument;
	int result = 0, error;

	/* With one thread it could not be done otherwise than in place. */
	error = rota_offload(engine, run_slow, slow, ROTA_FOREVER, &result);
	return error ? error : result + 1;
}

Test(offload, in_an_offloaded_function_runs_in_place, .timeout = HANG)
{
	struct slow slow = {.n = {0}};
	int result = 0;

	start_with(1, 1);
	flag_raise(&slow.go);
	cr_assert_eq(rota_offload(engine, run_nested, &slow, PATIENCE, &result),
		     0);
	cr_assert_eq(result, 43);
	engine_stop();
}

Test(offload, what_has_not_started_is_taken_back, .timeout = HANG)
{
	struct slow busy = {.n = {0}}, never = {.n = {0}};
	struct offloading first = offloading_of(&busy);
	struct offloading late = offloading_of(&never);
	struct offloading stopped = offloading_of(&never);
	rota_id id;

	start_with(1, 1);
	ACTS(puppet_spawn(NULL, 0), act_offload, &first);
	AWAIT(flag_is_up(&busy.begun));
	late.within = ROTA_MS(1);
	ACTS(puppet_spawn(NULL, 0), act_offload, &late);
	expect(&late, -ETIMEDOUT, 0);
	id = puppet_spawn(NULL, 0);
	ACTS(id, act_offload, &stopped);
	/* The busy one's, the late one's and its sleep's, and this. */
	AWAIT(counters().waits >= 4);
	cr_assert_eq(rota_actor_stop(id), 0);
	expect(&stopped, -ECANCELED, 0);
	cr_assert_eq(stopped.next, -ECANCELED);
	flag_raise(&busy.go);
	expect(&first, 0, 42);
	engine_stop();
	cr_assert_eq(tally_of(&never.n), 0);
}

Test(offload, what_has_started_is_waited_for, .timeout = HANG)
{
	struct slow slow[3] = {{.n = {0}}};
	struct offloading late = offloading_of(&slow[0]);
	struct offloading stopped = offloading_of(&slow[1]);
	struct offloading in_thread = offloading_of(&slow[2]);
	pthread_t thread;
	rota_id id;

	engine_start(2);
	late.within = in_thread.within = ROTA_MS(1);
	in_thread.engine = engine;
	stopped.run = run_until_cancelled;
	ACTS(puppet_spawn(NULL, 0), act_offload, &late);
	id = puppet_spawn(NULL, 0);
	ACTS(id, act_offload, &stopped);
	thread = thread_start(thread_offload, &in_thread);
	for (int i = 0; i < 3; i++)
		if (!flag_is_up(&slow[i].begun))
			nap();
	AWAIT(flag_is_up(&slow[1].begun));
	cr_assert_eq(rota_actor_stop(id), 0);
	AWAIT(tally_of(&slow[1].cancelled) == 1);
	cr_assert_not(flag_is_up(&stopped.ended));
	for (int i = 0; i < 3; i++)
		flag_raise(&slow[i].go);
	expect(&stopped, 0, 42);
	cr_assert_eq(stopped.next, -ECANCELED); /* the stop still holds */
	AWAIT(flag_is_up(&late.ended) && flag_is_up(&in_thread.ended));
	/* On a slow machine they may not have started in time. */
	cr_assert_eq(late.error, tally_of(&slow[0].n) ? 0 : -ETIMEDOUT);
	cr_assert_eq(in_thread.error, tally_of(&slow[2].n) ? 0 : -ETIMEDOUT);
	thread_join(thread);
	engine_stop();
}

Test(offload, a_deadline_cancels_but_waits, .timeout = HANG)
{
	struct slow slow = {.n = {0}};
	struct offloading o = offloading_of(&slow);

	engine_start(1);
	for (int64_t within = ROTA_MS(1);; within *= 2) {
		slow = (struct slow){.n = {0}};
		o = offloading_of(&slow);
		o.within = within;
		ACTS(puppet_spawn(NULL, 0), act_offload, &o);
		AWAIT(flag_is_up(&slow.begun) || flag_is_up(&o.ended));
		if (flag_is_up(&slow.begun))
			break;
	}
	nanosleep(&(struct timespec){.tv_nsec = (long)(o.within % 900000000)},
		  NULL);
	AWAIT(counters().waits >= 2); /* the first wait is over */
	cr_assert_not(flag_is_up(&o.ended));
	flag_raise(&slow.go);
	expect(&o, 0, 42);
	cr_assert_eq(o.next, 0);
	cr_assert_eq(tally_of(&slow.cancelled), 1);
	engine_stop();
}

Test(offload, says_what_is_wrong, .timeout = HANG)
{
	struct slow slow = {.n = {0}};
	rota_engine *gone;

	engine_start(1);
	cr_assert_eq(rota_offload(engine, NULL, NULL, PATIENCE, NULL), -EINVAL);
	cr_assert_eq(rota_offload(NULL, run_slow, &slow, PATIENCE, NULL),
		     -EINVAL);
	cr_assert_eq(rota_offload(engine, run_slow, &slow, ROTA_NOW, NULL),
		     -ETIMEDOUT);
	cr_assert_eq(rota_offload_start(run_slow, NULL, 0, 1), -EPERM);
	cr_assert_eq(rota_offload_is_cancelled(), 0);
	gone = engine;
	engine_stop();
	cr_assert_eq(rota_offload(gone, run_slow, &slow, PATIENCE, NULL),
		     -ESRCH);
	cr_assert_eq(tally_of(&slow.n), 0);
}

/* ---- being told ---- */

enum { START = 1, TOLD };

struct starter {
	rota_offload_function *run;
	const void *argument;
	size_t length;
	unsigned tag;
	int error;
	struct flag *ended;
};

/* What an actor was told. */
struct told {
	struct tally n;
	int result;
	unsigned length;
	uint64_t value;
	bool by_itself;
};

struct worker {
	struct told *told;
};

static int worker_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct worker *worker = state;
	struct rota_offloaded *o = payload;
	struct starter *s;

	if (tag == START) {
		memcpy(&s, payload, sizeof(s));
		s->error = rota_offload_start(s->run, s->argument, s->length,
					      s->tag);
		flag_raise(s->ended);
		return 0;
	}
	worker->told->result = o->result;
	worker->told->length = o->length;
	worker->told->value = value_at(rota_offloaded_argument(o),
				       length - sizeof(struct rota_offloaded));
	worker->told->by_itself = rota_sender() == rota_self();
	tally_add(&worker->told->n, 1);
	return 0;
}

static const struct rota_behaviour worker_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "worker",
	.state_size = sizeof(struct worker),
	.handle = worker_handle,
};

static int start(rota_id id, struct starter starter)
{
	struct flag ended = {0};
	struct starter *at = &starter;

	starter.ended = &ended;
	cr_assert_eq(rota_send(id, START, &at, sizeof(at)), 0);
	AWAIT(flag_is_up(&ended));
	return starter.error;
}

static rota_id worker_spawn(struct told *told)
{
	return spawn(&worker_behaviour, &(struct worker){told}, 1);
}

static int run_double(void *argument)
{
	uint64_t *value = argument;

	*value *= 2;
	return (uintptr_t)argument % 16 == 0 ? 7 : 8;
}

Test(offload, result_comes_as_a_message, .timeout = HANG)
{
	struct told told = {.n = {0}};
	uint64_t value = 21;
	rota_id id;

	engine_start(1);
	id = worker_spawn(&told);
	cr_assert_eq(start(id, (struct starter){.run = run_double,
						.argument = &value,
						.length = sizeof(value),
						.tag = TOLD}),
		     0);
	quiesce(); /* waits for it */
	cr_assert_eq(tally_of(&told.n), 1);
	cr_assert_eq(told.result, 7);
	cr_assert_eq(told.length, sizeof(value));
	cr_assert_eq(told.value, 42);
	cr_assert(told.by_itself);
	cr_assert_eq(value, 21);
	engine_stop();
}

static int run_is_null(void *argument)
{
	return argument == NULL;
}

Test(offload, argument_of_no_bytes_is_not_null, .timeout = HANG)
{
	struct told told = {.n = {0}};

	told.result = -1;
	engine_start(1);
	cr_assert_eq(start(worker_spawn(&told),
			   (struct starter){.run = run_is_null, .tag = TOLD}),
		     0);
	quiesce();
	cr_assert_eq(told.result, 0);
	cr_assert_eq(told.length, 0);
	engine_stop();
}

static int run_pointer(void *argument)
{
	return run_slow(*(struct slow **)argument);
}

/* Full, the message in hand is all that there is room for, when it comes. */
static int act_full(void *arg)
{
	struct slow *slow = arg;

	rota_offload_start(run_pointer, &slow, sizeof(slow), TOLD);
	while (tally_of(&slow->n) == 0)
		rota_sleep(ROTA_MS(1));
	return rota_sleep(ROTA_MS(1));
}

Test(offload, result_passes_a_full_mailbox, .timeout = HANG)
{
	struct record *record = calloc(1, sizeof(*record));
	struct slow slow = {.n = {0}};
	rota_id id;

	engine_start(1);
	id = puppet_spawn(record, 1);
	ACTS(id, act_full, &slow);
	AWAIT(flag_is_up(&slow.begun));
	cr_assert_eq(try_value(id, 1, 1), -EAGAIN);
	flag_raise(&slow.go);
	quiesce();
	cr_assert_eq(tally_of(&record->n), 1);
	cr_assert_eq(record->note[0].tag, TOLD);
	cr_assert_eq((int)record->note[0].value, 42);
	engine_stop();
	free(record);
}

/* One that is done and one that runs, from a handler that then stands still. */
struct two_starts {
	struct slow *done;
	struct slow *runs;
	struct stall stall;
};

static int act_two_starts(void *arg)
{
	struct two_starts *two = arg;

	rota_offload_start(run_pointer, &two->done, sizeof(two->done), TOLD);
	rota_offload_start(run_pointer, &two->runs, sizeof(two->runs), TOLD);
	return act_stall(&two->stall);
}

/* Neither while it is queued nor afterwards. */
Test(offload, result_takes_no_place_in_the_mailbox, .timeout = HANG)
{
	struct record *record = calloc(1, sizeof(*record));
	struct slow done = {.n = {0}}, runs = {.n = {0}};
	struct two_starts two = {.done = &done, .runs = &runs};
	struct stall stall = {0};
	rota_id id;

	start_with(1, 1);
	id = puppet_spawn(record, 3);
	flag_raise(&done.go);
	ACTS(id, act_two_starts, &two);
	/* The only helper has told of the first before it begins with this. */
	AWAIT(flag_is_up(&runs.begun));
	cr_assert_eq(fill(id, 1), 2);
	flag_raise(&runs.go);
	flag_raise(&two.stall.go);
	quiesce();
	cr_assert_eq(tally_of(&record->n), 4);
	stall_start(&stall, id);
	cr_assert_eq(fill(id, 1), 2);
	flag_raise(&stall.go);
	quiesce();
	engine_stop();
	free(record);
}

static struct starter starting(struct slow **slow)
{
	return (struct starter){.run = run_pointer,
				.argument = slow,
				.length = sizeof(*slow),
				.tag = TOLD};
}

Test(offload, result_for_the_dead_is_a_dead_letter, .timeout = HANG)
{
	struct slow slow = {.n = {0}}, *at = &slow;
	struct told told = {.n = {0}};
	rota_id id;

	engine_start(1);
	id = worker_spawn(&told);
	cr_assert_eq(start(id, starting(&at)), 0);
	AWAIT(flag_is_up(&slow.begun));
	cr_assert_eq(rota_actor_stop(id), 0);
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
	flag_raise(&slow.go);
	quiesce();
	cr_assert_eq(tally_of(&slow.cancelled), 1);
	cr_assert_eq(tally_of(&told.n), 0);
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_NO_ACTOR]), 1);
	cr_assert_eq(morgue.letter[0].to, id);
	cr_assert_eq(morgue.letter[0].tag, TOLD);
	cr_assert_eq((int)morgue.letter[0].value, 42);
	engine_stop();
}

/* Its callback may send, and may not stop who waits for it. */
static rota_id heir;
static int from_letter[3];

static void bury_and_send(void *context, const struct rota_dead_letter *dead)
{
	bury(context, dead);
	from_letter[0] = rota_stop(engine, ROTA_S(1));
	from_letter[1] = rota_quiesce(engine, ROTA_FOREVER);
	from_letter[2] = send_value(heir, dead->tag, 1);
}

Test(offload, a_dead_letter_of_a_helper_may_send, .timeout = HANG)
{
	struct rota_config config = test_config(1);
	struct slow slow = {.n = {0}}, *at = &slow;
	static struct record record;
	struct told told = {.n = {0}};
	rota_id id;

	config.dead_letter = bury_and_send;
	engine = engine_make(&config);
	heir = puppet_spawn(&record, 0);
	id = worker_spawn(&told);
	cr_assert_eq(start(id, starting(&at)), 0);
	AWAIT(flag_is_up(&slow.begun));
	cr_assert_eq(rota_actor_stop(id), 0);
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
	flag_raise(&slow.go);
	quiesce();
	cr_assert_eq(n_dead(), 1);
	cr_assert_eq(from_letter[0], -EDEADLK);
	cr_assert_eq(from_letter[1], -EDEADLK);
	cr_assert_eq(from_letter[2], 0);
	cr_assert_eq(tally_of(&record.n), 1);
	engine_stop();
}

/* The engine's stop refuses what is queued: everybody has ended by then. */
Test(offload, a_dead_letter_of_the_stop_may_send, .timeout = HANG)
{
	struct rota_config config = test_config(1);
	struct slow slow = {.n = {0}}, *at = &slow;
	struct told told = {.n = {0}};
	rota_id id;

	config.offload_threads = 1;
	config.dead_letter = bury_and_send;
	engine = engine_make(&config);
	heir = puppet_spawn(NULL, 0);
	id = worker_spawn(&told);
	cr_assert_eq(start(id, starting(&at)), 0);
	AWAIT(flag_is_up(&slow.begun));
	cr_assert_eq(start(id, starting(&at)), 0);
	cr_assert_eq(rota_stop(engine, ROTA_MS(10)), -ETIMEDOUT);
	cr_assert_eq(n_dead(), 1);
	cr_assert_eq(from_letter[0], -EDEADLK);
	cr_assert_eq(from_letter[1], -EDEADLK);
	cr_assert_eq(from_letter[2], -ESRCH);
	flag_raise(&slow.go);
	AWAIT(tally_of(&slow.n) == 1);
}

Test(offload, queue_of_those_who_do_not_wait_is_bounded, .timeout = HANG)
{
	struct rota_config config = test_config(1);
	struct slow slow = {.n = {0}}, *at = &slow;
	struct told told = {.n = {0}};
	struct offloading o;
	rota_id id;

	config.offload_threads = 1;
	config.offload_queue = 2;
	engine = engine_make(&config);
	o = offloading_of(&slow);
	o.engine = engine;
	id = worker_spawn(&told);
	cr_assert_eq(start(id, starting(&at)), 0);
	AWAIT(flag_is_up(&slow.begun));
	cr_assert_eq(start(id, starting(&at)), 0);
	cr_assert_eq(start(id, starting(&at)), 0);
	cr_assert_eq(start(id, starting(&at)), -EAGAIN);
	ACTS(puppet_spawn(NULL, 0), act_offload, &o); /* waits, is no bound */
	AWAIT(counters().waits >= 1);
	flag_raise(&slow.go);
	expect(&o, 0, 42);
	quiesce();
	cr_assert_eq(tally_of(&told.n), 3);
	cr_assert_eq(tally_of(&slow.n), 4);
	engine_stop();
}

/* The other way round: nor do those who wait take room from the others. */
Test(offload, queue_is_of_those_who_do_not_wait, .timeout = HANG)
{
	enum { N = 4 };
	struct rota_config config = test_config(1);
	struct slow slow = {.n = {0}}, *at = &slow;
	struct offloading first, waiting[N];
	struct told told = {.n = {0}};
	rota_id id;

	config.offload_threads = 1;
	config.offload_queue = 2;
	engine = engine_make(&config);
	first = offloading_of(&slow);
	ACTS(puppet_spawn(NULL, 0), act_offload, &first);
	AWAIT(flag_is_up(&slow.begun));
	for (size_t i = 0; i < N; i++) {
		waiting[i] = offloading_of(&slow);
		ACTS(puppet_spawn(NULL, 0), act_offload, &waiting[i]);
	}
	AWAIT(counters().waits >= 1 + N);
	id = worker_spawn(&told);
	cr_assert_eq(start(id, starting(&at)), 0);
	cr_assert_eq(start(id, starting(&at)), 0);
	cr_assert_eq(start(id, starting(&at)), -EAGAIN);
	flag_raise(&slow.go);
	quiesce();
	/* The room is there again, however often it is used. */
	for (size_t i = 0; i < 10; i++) {
		cr_assert_eq(start(id, starting(&at)), 0);
		quiesce();
	}
	cr_assert_eq(tally_of(&told.n), 12);
	cr_assert_eq(tally_of(&slow.n), 13 + N);
	engine_stop();
}

Test(offload, start_says_what_is_wrong, .timeout = HANG)
{
	static char large[ROTA_OFFLOAD_ARGUMENT + 1];
	struct told told = {.n = {0}};
	struct slow slow = {.n = {0}}, *at = &slow;
	struct starter s = starting(&at);
	rota_id id;

	engine_start(1);
	id = worker_spawn(&told);
	s.run = NULL;
	cr_assert_eq(start(id, s), -EINVAL);
	s = starting(&at);
	s.argument = NULL;
	cr_assert_eq(start(id, s), -EINVAL);
	s = starting(&at);
	s.tag = ROTA_MAX_TAG + 1;
	cr_assert_eq(start(id, s), -EINVAL);
	s = (struct starter){.run = run_double,
			     .argument = large,
			     .length = sizeof(large),
			     .tag = TOLD};
	cr_assert_eq(start(id, s), -EMSGSIZE);
	s.length--;
	cr_assert_eq(start(id, s), 0);
	quiesce();
	cr_assert_eq(told.length, ROTA_OFFLOAD_ARGUMENT);
	engine_stop();
}

/* ---- the engine stops ---- */

static int run_stop(void *argument)
{
	int *errors = argument;

	errors[0] = rota_stop(engine, 0);
	errors[1] = rota_quiesce(engine, 0);
	return 0;
}

Test(offload, functions_cannot_stop_their_engine, .timeout = HANG)
{
	int errors[2] = {0};

	engine_start(1);
	cr_assert_eq(rota_offload(engine, run_stop, errors, PATIENCE, NULL), 0);
	cr_assert_eq(errors[0], -EDEADLK);
	cr_assert_eq(errors[1], -EDEADLK);
	engine_stop();
}

/* Threads of engines; sanitizers have some of their own. */
static size_t n_threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *task;
	size_t n = 0;

	cr_assert_not_null(tasks);
	while ((task = readdir(tasks))) {
		char path[300], name[16] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm",
			 task->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		n += fgets(name, sizeof(name), file) &&
		     strncmp(name, "rota", 4) == 0;
		fclose(file);
	}
	closedir(tasks);
	return n;
}

Test(offload, no_thread_is_left_after_the_stop, .timeout = HANG)
{
	size_t before = n_threads(), running;
	struct slow slow = {.n = {0}};

	engine_start(2);
	running = n_threads();
	flag_raise(&slow.go);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(
			rota_offload(engine, run_slow, &slow, PATIENCE, NULL),
			0);
	cr_assert_gt(n_threads(), running);
	engine_stop();
	/* One that was joined is seen for a moment still. */
	AWAIT(n_threads() == before);
}

Test(offload, stop_ends_what_is_queued, .timeout = HANG)
{
	struct slow busy = {.n = {0}}, never = {.n = {0}}, *at = &never;
	struct offloading by_task = offloading_of(&never), *task = &by_task;
	struct offloading by_thread = offloading_of(&never);
	struct offloading first = offloading_of(&busy);
	struct told told = {.n = {0}};
	pthread_t threads[2];

	start_with(1, 1);
	first.engine = by_thread.engine = engine;
	threads[0] = thread_start(thread_offload, &first);
	AWAIT(flag_is_up(&busy.begun));
	cr_assert_eq(start(worker_spawn(&told), starting(&at)), 0);
	cr_assert_eq(rota_task_submit(engine, task_offload, &task, sizeof(task),
				      NULL),
		     0);
	AWAIT(counters().waits >= 1);
	threads[1] = thread_start(thread_offload, &by_thread);
	await_sleep(&by_thread.thread);
	/* The task and what it waits for keep the engine to the end of its
	   time; then they are refused. The thread's function runs on. */
	cr_assert_eq(rota_stop(engine, ROTA_MS(20)), -ETIMEDOUT);
	expect(&by_task, -ESHUTDOWN, 0);
	expect(&by_thread, -ESHUTDOWN, 0);
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_STOPPED]), 1);
	flag_raise(&busy.go);
	expect(&first, 0, 42);
	thread_join(threads[0]);
	thread_join(threads[1]);
	cr_assert_eq(tally_of(&never.n), 0);
}

static int run_pointer_until_cancelled(void *argument)
{
	return run_until_cancelled(*(struct slow **)argument);
}

/* Whoever waits for it: what runs is not waited for in vain. */
Test(offload, stop_cancels_what_runs, .timeout = HANG)
{
	struct slow slow[4] = {{.n = {0}}}, *at = &slow[3];
	struct offloading by[3], *task = &by[1];
	struct told told = {.n = {0}};
	rota_engine *other;
	pthread_t thread;
	rota_id id;

	for (int i = 0; i < 4; i++)
		flag_raise(&slow[i].go);
	engine_start(1);
	id = puppet_spawn(NULL, 0);
	other = engine;
	engine_start(1);
	for (int i = 0; i < 3; i++) {
		by[i] = offloading_of(&slow[i]);
		by[i].run = run_until_cancelled;
		by[i].engine = engine;
	}
	thread = thread_start(thread_offload, &by[0]);
	cr_assert_eq(rota_task_submit(engine, task_offload, &task, sizeof(task),
				      NULL),
		     0);
	ACTS(id, act_offload, &by[2]); /* of the other engine */
	cr_assert_eq(start(worker_spawn(&told),
			   (struct starter){.run = run_pointer_until_cancelled,
					    .argument = &at,
					    .length = sizeof(at),
					    .tag = TOLD}),
		     0);
	for (int i = 0; i < 4; i++)
		AWAIT(flag_is_up(&slow[i].begun));
	for (int i = 0; i < 5; i++)
		nap();
	for (int i = 0; i < 4; i++)
		cr_assert_eq(tally_of(&slow[i].cancelled), 0);
	engine_stop();
	for (int i = 0; i < 3; i++)
		expect(&by[i], 0, 42);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(tally_of(&slow[i].cancelled), 1);
	thread_join(thread);
	engine = other;
	engine_stop();
}

/* Of that engine only: the next ones, and one of the same number, are others. */
Test(offload, stop_of_an_engine_cancels_nothing_of_the_next, .timeout = HANG)
{
	for (int i = 0; i < SIZED(260, 3); i++) {
		struct slow slow = {.n = {0}};

		engine_start(1);
		flag_raise(&slow.go);
		cr_assert_eq(
			rota_offload(engine, run_slow, &slow, PATIENCE, NULL),
			0);
		cr_assert_eq(tally_of(&slow.cancelled), 0);
		engine_stop();
	}
}

/* The memory that the function uses is the engine's, and stays. */
struct on_stack {
	struct slow *slow;
	char bytes[256];
};

static int run_on_stack(void *argument)
{
	struct on_stack *on_stack = argument;
	int result = run_slow(on_stack->slow);

	memset(on_stack->bytes, 1, sizeof(on_stack->bytes));
	return result;
}

static int act_on_stack(void *arg)
{
	struct on_stack on_stack = {.slow = arg};

	rota_offload(NULL, run_on_stack, &on_stack, ROTA_FOREVER, NULL);
	return 0;
}

static void expect_thread_gone(size_t before)
{
	AWAIT(n_threads() == before);
}

Test(offload, a_function_that_never_returns_is_reported, .timeout = HANG)
{
	struct rota_stop_report report = ROTA_STOP_REPORT_INIT;
	size_t before = n_threads();
	struct slow slow = {.n = {0}};
	static struct record record;
	rota_id id;

	engine_start(1);
	id = puppet_spawn(&record, 0);
	ACTS(id, act_on_stack, &slow);
	AWAIT(flag_is_up(&slow.begun));
	cr_assert_eq(rota_stop_report(engine, ROTA_MS(1), &report), -ETIMEDOUT);
	cr_assert_eq(report.stuck, 2); /* it, and the handler that waits */
	cr_assert_eq(report.stuck_actor, id);
	cr_assert_gt(report.bytes_kept, 0);
	flag_raise(&slow.go); /* writes to the stack; all frees the engine */
	expect_thread_gone(before);
	cr_assert_eq(tally_of(&record.destroyed), 1);
	cr_assert_eq(tally_of(&slow.cancelled), 1);
}

Test(offload, one_that_nobody_waits_for_is_reported, .timeout = HANG)
{
	struct rota_stop_report report = ROTA_STOP_REPORT_INIT;
	struct slow slow = {.n = {0}}, *at = &slow;
	size_t before = n_threads();
	struct told told = {.n = {0}};

	engine_start(1);
	cr_assert_eq(start(worker_spawn(&told), starting(&at)), 0);
	AWAIT(flag_is_up(&slow.begun));
	cr_assert_eq(rota_stop_report(engine, ROTA_MS(1), &report), -ETIMEDOUT);
	cr_assert_eq(report.stuck, 1);
	flag_raise(&slow.go);
	expect_thread_gone(before);
	cr_assert_eq(tally_of(&told.n), 0);
}

/* ---- memory, and threads, running out ---- */

#if !UNDER_TSAN && !UNDER_ASAN && defined(__x86_64__)

#include <sys/resource.h>

Test(offload, no_thread_to_be_had_is_said, .timeout = HANG)
{
	struct rota_config config = test_config(1);
	struct slow slow = {.n = {0}}, *at = &slow;
	struct rlimit before, low;
	struct told told = {.n = {0}};
	int waited, told_error;
	rota_id id;

	config.offload_queue = 1; /* who is refused takes no room */
	engine = engine_make(&config);
	flag_raise(&slow.go);
	id = worker_spawn(&told);
	cr_assert_eq(start(id, (struct starter){.run = NULL}), -EINVAL);
	cr_assert_eq(getrlimit(RLIMIT_AS, &before), 0);
	low = before;
	low.rlim_cur = 1 << 20;
	cr_assert_eq(setrlimit(RLIMIT_AS, &low), 0);
	waited = rota_offload(engine, run_slow, &slow, PATIENCE, NULL);
	told_error = start(id, starting(&at));
	cr_assert_eq(setrlimit(RLIMIT_AS, &before), 0);
	cr_assert_eq(waited, -EAGAIN);
	cr_assert_eq(told_error, -EAGAIN, "%d", told_error);
	cr_assert_eq(tally_of(&slow.n), 0);
	quiesce();
	cr_assert_eq(start(id, starting(&at)), 0);
	quiesce();
	cr_assert_eq(tally_of(&told.n), 1);
	engine_stop();
}

#endif

Test(offload, start_without_memory_says_so, .timeout = HANG)
{
	static char large[ROTA_OFFLOAD_ARGUMENT];
	struct rota_config config = test_config(1);
	struct told told = {.n = {0}};
	struct starter s = {.run = run_double,
			    .argument = large,
			    .length = sizeof(large),
			    .tag = TOLD};
	rota_id id;

	config.memory = 16 << 20;
	engine = engine_make(&config);
	id = worker_spawn(&told);
	cr_assert_eq(start(id, (struct starter){.run = NULL}), -EINVAL);
	while (rota_id_error(
		       rota_spawn(engine, &puppet_behaviour, NULL, NULL)) == 0)
		continue;
	cr_assert_eq(start(id, s), -ENOMEM);
	quiesce();
	engine_stop();
}
