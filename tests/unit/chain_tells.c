/* SPDX-License-Identifier: MIT */
/*
 * chain_tells - whoever is told something sees what was sent before
 *
 * A handler has a chain open, tells somebody something by one of all the calls
 * that can, and does not return. Who was told, on a thread of its own, sends to
 * the chain's receiver: that comes behind the chain. Nothing here is left to
 * chance: the receiver stands still until both are there, and the monitor, which
 * would take the chain in a tick, finds nothing to call.
 */
#include "core/chain.h"
#include "core/engine.h"
#include "core/table.h"

#include <rota/ask.h>
#include <rota/cell.h>
#include <rota/closure.h>
#include <rota/offload.h>
#include <rota/process.h>
#include <rota/task.h>
#include <rota/wait.h>

#include "tests/unit/chains.h"

/* After so many sends in a row one is open, whatever has not paid before. */
#define OPENS_AT_LAST (CHAIN_LAST + 3)
/* The mailbox has room for so many. */
#define TRIES 10

static struct {
	/* Set before the handler runs. */
	int (*prepare)(
		void); /* in the handler, before the chain; may be NULL */
	int (*tell)(void);
	rota_engine *other; /* than the sender's and the receiver's */
	rota_id to;
	rota_id third;	   /* on a thread of its own */
	rota_id elsewhere; /* in the other engine */
	rota_cell *cell;   /* as the third */
	/* The handler's; whoever is told reads @xn, and what tells need not
	   order anything else. */
	AO_t xn; /* sent to the receiver */
	bool was_open;
	int error; /* of what told */
	rota_token token;
	rota_task task;
	struct rota_asking asking;
	struct rota_task_group group;
	struct flag begun; /* who is to be told is there */
	struct flag told;  /* and has sent, for it was */
	struct flag ended; /* of the handler */
} scene;

/* ---- who is told ---- */

/* Once: the third is told of its end, too. */
static int is_told(void *arg)
{
	(void)arg;
	if (flag_is_up(&scene.told))
		return 0;
	send_value(scene.to, 1, AO_load_acquire(&scene.xn));
	flag_raise(&scene.told);
	return 0;
}

static int function_is_told(void *state, void *capture)
{
	(void)capture;
	return is_told(state);
}

static void end_is_told(void *state)
{
	is_told(state);
}

static const struct rota_behaviour mourned_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "mourned",
	.state_size = sizeof(struct puppet),
	.handle = puppet_handle,
	.destroy = end_is_told,
};

/* ---- the handler ---- */

static const struct local *own(void)
{
	return (const struct local *)worker_current;
}

/* Until one is open, with two in the hand; how many have been sent by then. */
static uint64_t open_chain(uint64_t n)
{
	uint64_t most = n + OPENS_AT_LAST;
	bool opened = false;

	while (n < most) {
		cr_assert_eq(send_value(scene.to, 1, n), 0);
		AO_store_release(&scene.xn, ++n);
		if (own()->chain.is_open && !opened)
			most = n + 2;
		opened |= own()->chain.is_open;
	}
	return n;
}

/* The monitor closes one where it finds the worker at the same turn as a tick
   before, be it that the thread got no processor: then another is opened. */
static void hold_chain(void)
{
	uint64_t n = 0;

	for (int i = 0; i < TRIES && !scene.was_open; i++) {
		n = open_chain(n);
		scene.was_open =
			own()->chain.is_open && own()->chain.messages.n == 2;
	}
}

static int act_scene(void *arg)
{
	(void)arg;
	if (scene.prepare)
		cr_assert_eq(scene.prepare(), 0);
	hold_chain();
	scene.error = scene.tell();
	AWAIT(flag_is_up(&scene.told));
	flag_raise(&scene.ended);
	return 0;
}

/* ---- what happens ---- */

static rota_id spawn_apart(rota_engine *where,
			   const struct rota_behaviour *behaviour,
			   const void *state)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	rota_id id;

	options.mailbox = 1000;
	options.flags = ROTA_OWN_THREAD | ROTA_TAKES_URGENT;
	id = rota_spawn(where, behaviour, state, &options);
	cr_assert_eq(rota_id_error(id), 0, "rota_spawn: %s",
		     rota_strerror(rota_id_error(id)));
	return id;
}

static void take_nothing(struct worker *worker)
{
	(void)worker;
}

/* While nobody has anything in hand yet: who looks later sees it. */
static void keep_monitor_out(void)
{
	/* Relaxed: started by this thread. */
	struct engine *mine = (struct engine *)AO_load(&engine->xengine);

	mine->crew.options.revoke = take_nothing;
}

static void *thread_ask(void *arg)
{
	struct act act = {act_scene, NULL};
	int error = rota_ask(*(rota_id *)arg, ACT, &act, sizeof(act), NULL, 0,
			     ROTA_FOREVER);

	/* Dropped, it is told nonetheless. */
	if (error == 0 || error == -EPIPE)
		is_told(NULL);
	return NULL;
}

static struct expecting expecting;
static struct stall stall;

static void set_scene(int (*prepare)(void), int (*tell)(void))
{
	static struct expecting *state = &expecting;
	struct rota_config config = test_config(2);
	struct puppet puppet = {NULL};

	scene.prepare = prepare;
	scene.tell = tell;
	engine_start_with(2, ROTA_CHAINS);
	keep_monitor_out();
	scene.other = engine_make(&config);
	scene.to = spawn_apart(engine, &expecting_behaviour, &state);
	scene.third = spawn_apart(engine, &mourned_behaviour, &puppet);
	scene.elsewhere = spawn_apart(scene.other, &mourned_behaviour, &puppet);
	stall_start(&stall, scene.to);
}

static void end_scene(void)
{
	AWAIT(flag_is_up(&scene.ended));
	cr_assert(scene.was_open);
	cr_assert_eq(scene.error, 0, "%s", rota_strerror(scene.error));
	flag_raise(&stall.go);
	quiesce();
	cr_assert_eq(tally_of(&expecting.n), AO_load_acquire(&scene.xn) + 1);
	cr_assert_eq(tally_of(&expecting.n_wrong), 0);
	engine_stop();
	cr_assert_eq(rota_stop(scene.other, PATIENCE), 0);
}

/* By @tell; @prepare: what has to be there, or NULL. */
static void comes_first(int (*prepare)(void), int (*tell)(void))
{
	set_scene(prepare, tell);
	ACTS(puppet_spawn(NULL, 0), act_scene, NULL);
	end_scene();
}

/* The same of a handler that a thread has asked, and waits for. */
static void comes_first_asked(int (*prepare)(void), int (*tell)(void))
{
	pthread_t thread;
	rota_id sender;

	set_scene(prepare, tell);
	sender = puppet_spawn(NULL, 0);
	thread = thread_start(thread_ask, &sender);
	end_scene();
	thread_join(thread);
}

#define COMES_FIRST(how, prepare)                                          \
	Test(chain_tells, by_##how, .init = check_kernel, .timeout = HANG) \
	{                                                                  \
		comes_first(prepare, by_##how);                            \
	}

/* ---- by what is sent ---- */

static const struct act told = {is_told, NULL};

static int by_send(void)
{
	return rota_send(scene.third, ACT, &told, sizeof(told));
}

static int by_try_send(void)
{
	return rota_try_send(scene.third, ACT, &told, sizeof(told));
}

static int by_send_urgent(void)
{
	return rota_send_urgent(scene.third, ACT, &told, sizeof(told));
}

static int by_send_elsewhere(void)
{
	return rota_send(scene.elsewhere, ACT, &told, sizeof(told));
}

static int by_send_after(void)
{
	return rota_send_after(scene.third, ACT, &told, sizeof(told), 0, NULL);
}

static int by_cast(void)
{
	return rota_cast_bytes(scene.third, function_is_told, NULL, 0,
			       ROTA_FOREVER);
}

static int by_call(void)
{
	return rota_call_bytes(scene.third, function_is_told, NULL, 0,
			       ROTA_FOREVER);
}

COMES_FIRST(send, NULL)
COMES_FIRST(try_send, NULL)
COMES_FIRST(send_urgent, NULL)
COMES_FIRST(send_elsewhere, NULL)
COMES_FIRST(send_after, NULL)
COMES_FIRST(cast, NULL)
COMES_FIRST(call, NULL)

/* ---- by an end ---- */

static int by_stop(void)
{
	return rota_actor_stop(scene.third);
}

static int by_drain(void)
{
	return rota_actor_drain(scene.third);
}

static int by_stop_elsewhere(void)
{
	return rota_actor_stop(scene.elsewhere);
}

static int make_cell(void)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;

	options.flags = ROTA_OWN_THREAD;
	scene.cell = rota_cell_make(engine, &mourned_behaviour,
				    &(struct puppet){NULL}, &options);
	return scene.cell ? 0 : -errno;
}

static int by_cell_release(void)
{
	rota_cell_release(scene.cell);
	return 0;
}

/* The last owner is another one, behind our release. */
static struct flag released;

static void *thread_release(void *arg)
{
	flag_block(&released);
	rota_cell_release(arg);
	return NULL;
}

static int make_shared_cell(void)
{
	int error = make_cell();

	if (!error) {
		rota_cell_retain(scene.cell);
		pthread_detach(thread_start(thread_release, scene.cell));
	}
	return error;
}

static int by_shared_cell_release(void)
{
	rota_cell_release(scene.cell);
	flag_raise(&released);
	return 0;
}

COMES_FIRST(stop, NULL)
COMES_FIRST(drain, NULL)
COMES_FIRST(stop_elsewhere, NULL)
COMES_FIRST(cell_release, make_cell)
COMES_FIRST(shared_cell_release, make_shared_cell)

/* ---- by a question ---- */

static int by_ask(void)
{
	return rota_ask(scene.third, ACT, &told, sizeof(told), NULL, 0,
			ROTA_FOREVER);
}

static int by_ask_start(void)
{
	return rota_ask_start(scene.third, ACT, &told, sizeof(told), NULL, 0,
			      ROTA_FOREVER, &scene.asking);
}

static int by_ask_then(void)
{
	return rota_ask_then(scene.third, ACT, &told, sizeof(told),
			     ROTA_FOREVER, 1, NULL);
}

static int act_until_cancelled(void *arg)
{
	flag_raise(&scene.begun);
	while (!rota_is_cancelled())
		nap();
	return is_told(arg);
}

static int ask_in_vain(void)
{
	const struct act act = {act_until_cancelled, NULL};
	int error = rota_ask_start(scene.third, ACT, &act, sizeof(act), NULL, 0,
				   ROTA_FOREVER, &scene.asking);

	AWAIT(flag_is_up(&scene.begun));
	return error;
}

static int by_ask_cancel(void)
{
	return rota_ask_cancel(&scene.asking);
}

COMES_FIRST(ask, NULL)
COMES_FIRST(ask_start, NULL)
COMES_FIRST(ask_then, NULL)
COMES_FIRST(ask_cancel, ask_in_vain)

/* ---- by an answer ---- */

static int by_answer(void)
{
	return rota_answer(0, NULL, 0);
}

static int take_token(void)
{
	return rota_reply_later(&scene.token);
}

static int by_reply(void)
{
	return rota_reply(scene.token, 0, NULL, 0);
}

static int by_reply_drop(void)
{
	return rota_reply_drop(scene.token);
}

/* The asker is told by whom the request was forwarded to. */
static int by_forward(void)
{
	return rota_forward(0, scene.third, 1, NULL, 0, ROTA_FOREVER);
}

static int by_forward_of_token(void)
{
	return rota_forward(scene.token, scene.third, 1, NULL, 0, ROTA_FOREVER);
}

#define COMES_FIRST_ASKED(how, prepare)                                    \
	Test(chain_tells, by_##how, .init = check_kernel, .timeout = HANG) \
	{                                                                  \
		comes_first_asked(prepare, by_##how);                      \
	}

COMES_FIRST_ASKED(answer, NULL)
COMES_FIRST_ASKED(reply, take_token)
COMES_FIRST_ASKED(reply_drop, take_token)
COMES_FIRST_ASKED(forward, NULL)
COMES_FIRST_ASKED(forward_of_token, take_token)

/* ---- by a task ---- */

static int by_task(void)
{
	return rota_task_submit(engine, is_told, NULL, 0, NULL);
}

static int by_task_elsewhere(void)
{
	return rota_task_submit(scene.other, is_told, NULL, 0, NULL);
}

static int until_cancelled(void *arg)
{
	flag_raise(&scene.begun);
	while (!rota_task_is_cancelled())
		nap();
	return is_told(arg);
}

static int start_task(void)
{
	int error =
		rota_task_submit(engine, until_cancelled, NULL, 0, &scene.task);

	AWAIT(flag_is_up(&scene.begun));
	return error;
}

static int by_task_cancel(void)
{
	int outcome = rota_task_cancel(scene.task);

	return outcome == 1 ? 0 : outcome; /* it runs, and is told */
}

static int make_group(void)
{
	return rota_task_group_init(&scene.group, NULL);
}

static int by_group(void)
{
	return rota_task_group_submit(&scene.group, is_told, NULL, 0);
}

static int start_group(void)
{
	int error = make_group();

	error = error ? error
		      : rota_task_group_submit(&scene.group, until_cancelled,
					       NULL, 0);
	AWAIT(flag_is_up(&scene.begun));
	return error;
}

static int by_group_cancel(void)
{
	rota_task_group_cancel(&scene.group);
	return 0;
}

COMES_FIRST(task, NULL)
COMES_FIRST(task_elsewhere, NULL)
COMES_FIRST(task_cancel, start_task)
COMES_FIRST(group, make_group)
COMES_FIRST(group_cancel, start_group)

/* ---- by a helper ---- */

static int by_offload_start(void)
{
	return rota_offload_start(is_told, NULL, 0, 1);
}

static int by_offload(void)
{
	return rota_offload(engine, is_told, NULL, ROTA_FOREVER, NULL);
}

static int by_offload_elsewhere(void)
{
	return rota_offload(scene.other, is_told, NULL, ROTA_FOREVER, NULL);
}

COMES_FIRST(offload_start, NULL)
COMES_FIRST(offload, NULL)
COMES_FIRST(offload_elsewhere, NULL)

/* ---- by what anybody may read ---- */

static void *thread_count_workers(void *arg)
{
	while (rota_workers(engine) != 3)
		nap();
	is_told(arg);
	return NULL;
}

static int count_workers(void)
{
	pthread_detach(thread_start(thread_count_workers, NULL));
	return 0;
}

static int by_workers_set(void)
{
	return rota_workers_set(engine, 3);
}

COMES_FIRST(workers_set, count_workers)
