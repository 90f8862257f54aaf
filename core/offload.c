/* SPDX-License-Identifier: MIT */
/*
 * offload - slow code on helper threads, for turns, tasks and threads
 *
 * Problem:    the function works on memory of its caller, who may be stopped,
 *             or run out of time, while it does.
 * Approach:   who waits takes a function back that has not started; where it
 *             has, the wait goes on, whatever ended it, until the helper has
 *             let go. The record of the call lies on the caller's stack; its
 *             lock says whether the helper is done with it.
 *             The asynchronous form keeps everything in the message that will
 *             tell the result: nothing can fail afterwards. Behind the payload
 *             lies its record, which is cut off when the message is sent.
 *             Whoever waits from outside the engine is not in it meanwhile, but
 *             holds the pool of helpers.
 *             A function that has not returned when the engine gives up keeps
 *             what it may touch: the engine's memory, with the stack of the
 *             turn that called it. Its helper then looks at nothing any more
 *             but frees the engine if it is the last to keep it.
 * Orderings:  [L1] see spin.h: the record's lock, between caller and helper.
 */
#include "core/offload.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include <rota/offload.h>

#include "core/await.h"
#include "core/chain.h"
#include "core/overflow.h"
#include "core/run.h"
#include "sched/helpers.h"

/* One call, of either form. */
struct call {
	struct work work; /* first */
	rota_offload_function *run;
	void *argument;
	struct engine *engine; /* of the helpers; NULL: who waits is outside */
	struct rota_engine *handle; /* of the helpers' engine */
	uint32_t first_generation;  /* which of that number it is */
	rota_id actor;		    /* that calls, or ROTA_NONE */
	AO_t xcancelled;	    /* a hint to the function: relaxed */
	/* If somebody waits. */
	AO_TS_t xlock; /* the next three */
	struct wait_ticket ticket;
	bool is_done;
	int result;
	/* Else. */
	struct message *message;
	size_t length; /* of its argument */
};

/* What this thread, a helper, runs. */
static __thread struct call *call_here;

/* ---- on a helper ---- */

static int run_call(struct call *call)
{
	int result;

	call_here = call;
	result = call->run(call->argument);
	call_here = NULL;
	return result;
}

static void tell_waiter(struct call *call, int result)
{
	struct wait_ticket ticket;
	bool is_ours;

	spin_lock(&call->xlock);
	call->result = result;
	call->is_done = true;
	ticket = call->ticket;
	is_ours = wait_claim(ticket);
	spin_unlock(&call->xlock);
	/* The call is gone, unless its wait is ours to end. */
	if (is_ours)
		wait_finish(ticket.wait, 0);
}

static void run_waited(struct work *work, struct helper *helper)
{
	struct call *call = (struct call *)work;
	struct engine *engine = call->engine;
	int result = run_call(call);
	bool is_late = !helpers_done(helper);

	/* Who waits is there, also where the engine has not waited for us. */
	tell_waiter(call, result);
	if (is_late)
		engine_let_go(engine);
}

/* Under the shard's lock. */
static void deliver(struct site *site, struct message *message, rota_id to)
{
	struct actor *actor = engine_actor(site->engine, to);
	enum mailbox_push pushed = MAILBOX_IS_CLOSED;

	/* Relaxed: a life that ends now reports it. */
	if (signal_accepts(AO_load(&actor->xsignal), to)) {
		overflow_note(site, actor, to, message);
		pushed = mailbox_push_over(&actor->xmail, message);
	}
	if (pushed == MAILBOX_AWAKENED)
		site_schedule(site, actor);
	if (pushed == MAILBOX_IS_CLOSED)
		dead_letter_outside(site, message, to, ROTA_DEAD_NO_ACTOR);
	count_done(site->cache);
}

/* A thread's first call may need memory. */
static void enter_whatever(struct site *site, rota_id to)
{
	const struct timespec moment = {.tv_nsec = 1000000};

	while (site_enter(site, to) == -ENOMEM)
		nanosleep(&moment, NULL);
}

/* Cut the record off: what is left is the message. */
static struct message *finish_message(struct call *call, int result)
{
	struct message *message = call->message;
	struct rota_offloaded *offloaded = message_payload(message);

	offloaded->result = result;
	message_set_length(message, sizeof(*offloaded) + call->length);
	return message;
}

/*
 * Those who do not wait are bounded by a number, those who wait by themselves:
 * so the former are counted here. Room for one more?
 */
static bool join_queue(struct engine *engine)
{
	size_t most = engine->config.offload_queue
			      ? engine->config.offload_queue
			      : 1024;
	/* Relaxed, as all that follows: a number, and nothing behind it. */
	AO_t n = AO_load(&engine->xtold);

	for (;;) {
		AO_t seen;

		if (n >= most)
			return false;
		/* Relaxed: see above. If it fails another has come or gone. */
		seen = AO_fetch_compare_and_swap(&engine->xtold, n, n + 1);
		if (seen == n)
			return true;
		n = seen;
	}
}

static void leave_queue(struct engine *engine)
{
	/* Relaxed: see join_queue(). */
	AO_fetch_and_sub1(&engine->xtold);
}

static void run_told(struct work *work, struct helper *helper)
{
	struct call *call = (struct call *)work;
	struct engine *engine = call->engine;
	rota_id to = call->actor;
	struct site site;
	int result;

	leave_queue(engine);
	result = run_call(call);
	if (!helpers_done(helper)) {
		engine_let_go(engine);
		return;
	}
	enter_whatever(&site, to);
	deliver(&site, finish_message(call, result), to);
	site_leave(&site);
}

int rota_offload_is_cancelled(void)
{
	struct call *call = call_here;
	struct actor *actor;
	AO_t signal;

	if (!call)
		return 0;
	/* Relaxed: a hint, like the next. The engine itself may be gone. */
	if (AO_load(&call->xcancelled) ||
	    table_is_stopped(call->handle, call->first_generation))
		return 1;
	if (!call->message)
		return 0;
	actor = engine_actor(call->engine, call->actor);
	signal = AO_load(&actor->xsignal); /* relaxed: as above */
	return !signal_lives(signal, call->actor) || (signal & SIGNAL_STOP);
}

bool offload_is_here(const struct rota_engine *handle)
{
	return call_here && call_here->handle == handle;
}

/* ---- waiting for it ---- */

static void refuse_waited(struct work *work, int error)
{
	struct call *call = (struct call *)work;
	struct wait_ticket ticket = call->ticket;

	if (wait_claim(ticket))
		wait_finish(ticket.wait, error);
}

/* Is the helper done with it? If not, who waits does so with this ticket. */
static bool look_or_wait(struct call *call, struct await *await)
{
	bool is_done;

	spin_lock(&call->xlock);
	is_done = call->is_done;
	if (!is_done) {
		call->ticket = await->waiter.ticket;
		await_enter_list(await, NULL, NULL);
	}
	spin_unlock(&call->xlock);
	return is_done;
}

static bool is_done(struct call *call)
{
	bool done;

	spin_lock(&call->xlock);
	done = call->is_done;
	spin_unlock(&call->xlock);
	return done;
}

/* There is no stack to wait with: the worker itself does. */
static void block(struct call *call)
{
	const struct timespec moment = {.tv_nsec = 1000000};

	while (!is_done(call))
		nanosleep(&moment, NULL);
}

/* It runs: wait until it has returned, whatever else happens. */
static void outlast(struct call *call, struct site *site, bool is_stopped)
{
	struct await await;
	int error;

	/* Relaxed: see there. */
	AO_store(&call->xcancelled, 1);
	do {
		await = (struct await){.edge = EDGE_NONE};
		error = await_begin(&await, ROTA_FOREVER, site);
		if (error == -ECANCELED) {
			is_stopped = true;
			wait_clear(await.wait);
		} else if (error) {
			block(call);
		} else {
			look_or_wait(call, &await);
			if (await_end(&await, 0, site) == -ECANCELED)
				is_stopped = true;
		}
	} while (!is_done(call));
	if (is_stopped && await.wait)
		/* As it was found: what else the handler waits for fails. */
		wait_cancel(await.wait);
}

static int call_and_wait(struct helpers *helpers, struct call *call,
			 struct site *site, int64_t within)
{
	struct await await = {.edge = EDGE_NONE};
	int error = await_begin(&await, within, site);

	if (error)
		return error == -EAGAIN ? -EDEADLK : error;
	call->ticket = await.waiter.ticket;
	error = helpers_submit(helpers, &call->work, SIZE_MAX);
	if (!error)
		await_enter_list(&await, NULL, NULL);
	error = await_end(&await, error, site);
	if (error != -ETIMEDOUT && error != -ECANCELED)
		return error; /* done, or refused */
	if (helpers_withdraw(helpers, &call->work))
		return error;
	outlast(call, site, error == -ECANCELED);
	return 0;
}

/* From outside: the engine is left, but its helpers stay. */
static int call_from_outside(struct site *site, struct call *call,
			     int64_t within)
{
	struct helpers *helpers = site->engine->helpers;
	struct site nowhere = {.engine = NULL};
	int error;

	helpers_hold(helpers);
	site_leave(site);
	error = call_and_wait(helpers, call, &nowhere, within);
	helpers_release(helpers);
	return error;
}

static int call_it(struct site *site, struct call *call, int64_t within)
{
	struct local *local = local_in_turn();
	struct engine *engine = site->engine;

	call->handle = engine->handle;
	call->first_generation = engine->first_generation;
	call->actor = local ? local->turn.self : ROTA_NONE;
	if (site->shard)
		return call_from_outside(site, call, within);
	call->engine = engine;
	return call_and_wait(engine->helpers, call, site, within);
}

int rota_offload(rota_engine *engine, rota_offload_function *run,
		 void *argument, int64_t within, int *result)
{
	struct call call = {
		.work = {.run = run_waited, .refuse = refuse_waited},
		.run = run,
		.argument = argument,
		.xlock = AO_TS_INITIALIZER};
	struct site site;
	int error;

	if (!run)
		return -EINVAL;
	if (within <= 0)
		return -ETIMEDOUT;
	if (call_here) {
		call.result = run(argument);
	} else {
		error = site_enter_handle(&site, engine);
		if (!error)
			error = call_it(&site, &call, within);
		if (error)
			return error;
	}
	if (result)
		*result = call.result;
	return 0;
}

/* ---- being told ---- */

#define RECORD_ALIGN sizeof(void *)

static size_t record_at(size_t length)
{
	return (sizeof(struct rota_offloaded) + length + RECORD_ALIGN - 1) /
	       RECORD_ALIGN * RECORD_ALIGN;
}

/* It was accepted, and is not done: the message says so to others. */
static void refuse_told(struct work *work, int error)
{
	struct call *call = (struct call *)work;
	rota_id to = call->actor;
	struct site site;

	leave_queue(call->engine);
	enter_whatever(&site, to);
	dead_letter_outside(&site, finish_message(call, error), to,
			    ROTA_DEAD_STOPPED);
	count_done(site.cache);
	site_leave(&site);
}

static struct call *make_told(struct local *local, rota_offload_function *run,
			      const void *argument, size_t length, unsigned tag)
{
	struct engine *engine = local->engine;
	rota_id self = local->turn.self;
	struct message *message =
		message_get(&engine->messages, local->cache.messages,
			    record_at(length) + sizeof(struct call));
	struct rota_offloaded *offloaded;
	struct call *call;

	if (!message)
		return NULL;
	message->from = self;
	message_set(message, id_generation(self), tag, MESSAGE_UNCOUNTED,
		    message->size);
	offloaded = message_payload(message);
	*offloaded = (struct rota_offloaded){.length = (unsigned)length};
	if (length > 0)
		memcpy(rota_offloaded_argument(offloaded), argument, length);
	call = (struct call *)((char *)offloaded + record_at(length));
	*call = (struct call){
		.work = {.run = run_told, .refuse = refuse_told},
		.run = run,
		.argument = rota_offloaded_argument(offloaded),
		.engine = engine,
		.handle = engine->handle,
		.first_generation = engine->first_generation,
		.actor = self,
		.message = message,
		.length = length,
	};
	return call;
}

/* A complete call is queued. */
static int submit_told(struct engine *engine, struct call *call)
{
	int error;

	if (!join_queue(engine))
		return -EAGAIN;
	error = helpers_submit(engine->helpers, &call->work, SIZE_MAX);
	if (error)
		leave_queue(engine);
	return error;
}

int rota_offload_start(rota_offload_function *run, const void *argument,
		       size_t length, unsigned tag)
{
	struct local *local = local_in_turn();
	struct call *call;
	int error;

	if (!local)
		return -EPERM;
	if (!run || (!argument && length > 0) || tag > ROTA_MAX_TAG)
		return -EINVAL;
	if (length > ROTA_OFFLOAD_ARGUMENT)
		return -EMSGSIZE;
	chain_close(local);
	call = make_told(local, run, argument, length, tag);
	if (!call)
		return -ENOMEM;
	count_begun(&local->cache);
	error = submit_told(local->engine, call);
	if (!error)
		return 0;
	count_done(&local->cache);
	message_discard(local->engine, &local->cache, call->message);
	return error;
}

/* ---- the pool's beginning and end ---- */

int offload_init(struct engine *engine)
{
	unsigned most = engine->config.offload_threads;

	if (most == 0) {
		most = 4 * roster_target(&engine->crew.roster);
		most = most < 4 ? 4 : most > 64 ? 64 : most;
	}
	engine->helpers = helpers_create(engine->name, most);
	return engine->helpers ? 0 : -ENOMEM;
}

void offload_fini(struct engine *engine)
{
	if (engine->helpers)
		helpers_release(engine->helpers);
}

#define LEAVING 8 /* are reported at most */

struct leaving {
	struct engine *engine;
	rota_id actor; /* one of them */
	unsigned n;
	rota_offload_function *run[LEAVING];
};

/* Under the pool's lock. */
static bool leave_alone(struct work *work, void *context)
{
	struct leaving *leaving = context;
	struct call *call = (struct call *)work;

	if (leaving->n < LEAVING)
		leaving->run[leaving->n++] = call->run;
	if (!call->engine)
		return false; /* what it touches is not ours */
	leaving->actor = call->actor;
	/* [E6] see engine.c */
	AO_fetch_and_add_full(&leaving->engine->xkeepers, 1);
	return true;
}

static unsigned abandon(struct engine *engine, struct rota_stop_report *report)
{
	struct leaving leaving = {.engine = engine};
	unsigned i, n = helpers_abandon(engine->helpers, leave_alone, &leaving);

	for (i = 0; i < leaving.n; i++)
		engine_log(engine, ROTA_LOG_ERROR,
			   "stop: the offloaded function at %p does not "
			   "return; its thread stays until it does",
			   (void *)(uintptr_t)leaving.run[i]);
	if (leaving.actor != ROTA_NONE)
		report->stuck_actor = leaving.actor;
	return n;
}

/* What threads may need that have nothing left to run. */
#define LEAVE_NS ROTA_MS(100)

unsigned offload_stop(struct engine *engine, int64_t within,
		      struct rota_stop_report *report)
{
	struct work *queued = helpers_close(engine->helpers);

	while (queued) {
		struct work *next = queued->next;

		queued->refuse(queued, -ESHUTDOWN);
		queued = next;
	}
	if (helpers_await(engine->helpers,
			  within > LEAVE_NS ? within : LEAVE_NS) == 0)
		return 0;
	return abandon(engine, report);
}
