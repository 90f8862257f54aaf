/* SPDX-License-Identifier: MIT */
/*
 * asking - the calls of those who ask
 *
 * The common case, room in the mailbox, begins its wait before the request is
 * pushed: so whoever answers finds the ticket in the cell, and no further step
 * is needed. Where the mailbox is full that wait is taken back, the request
 * waits for room like any message, and then a second wait begins.
 *
 * A turn that asks an actor of its own engine, which is most of them, goes a way
 * of its own (call_near()): the same steps, without finding out at each of them
 * who asks whom. If whom it asks looks idle, and a turn of that could come next,
 * there is no wait at all at first: the turn is called (see sched/call.h), and
 * only if that has not answered does its asker wait. Expected: two switches of
 * stacks and the two read-modify-writes of any message, so about two messages of
 * ping-pong. Measured, 10 interleaved runs, with the switch that is no call:
 * 101 -> 60 ns where c is 6.0, 1,226 -> some 940 instructions, 7 -> 2
 * read-modify-writes.
 *
 * Several asks at a time: what was started leaves its answer in the cell, and
 * the caller's memory is written by the caller alone. To wait for all that are
 * left is to wait for the last one and then to look again: they are answered in
 * about the order in which they were started, so that this is mostly one wait;
 * and it is one edge for the walk that finds circles, which finds every circle
 * that way, if not always the moment it closes. To wait for some of them all
 * are WATCHED at once, and a count ends the wait; that has no edge. Nor has a
 * quorum for which all that are left are needed, until it is but one: any of them
 * may fail and end it, and then a wait that was refused could have ended.
 *
 * Limits: an ask that was started, or answers by a message, does not notice
 * that an engine other than the asker's gives up (see rota_stop()): it ends as
 * its time is up.
 */
#include "core/asking.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/await.h"
#include "core/cold.h"
#include "core/cycle.h"
#include "core/deadlock.h"
#include "core/estate.h"
#include "core/run.h"
#include "core/send.h"

static __thread struct rota_ask_detail last_detail;

void rota_ask_detail(struct rota_ask_detail *detail)
{
	*detail = last_detail;
}

/* ---- requests ---- */

/* A tag that is too large may be one with a flag. */
static bool take_flag(struct request *request)
{
	if (request->tag < ROTA_QUERY ||
	    request->tag > (ROTA_QUERY | ROTA_MAX_TAG))
		return false;
	request->tag &= ROTA_MAX_TAG;
	request->flags |= MESSAGE_READ;
	return true;
}

int request_check(struct request *request)
{
	if ((unlikely(request->tag > ROTA_MAX_TAG) && !take_flag(request)) ||
	    (!request->payload && request->length > 0))
		return -EINVAL;
	return request->length > ROTA_MAX_PAYLOAD ? -EMSGSIZE : 0;
}

void request_until(struct request *request, rota_deadline deadline)
{
	request->has_deadline = true;
	request->within = clock_left(clock_ns(), deadline.ns);
}

static inline void fill(struct site *site, char *to,
			const struct request *request)
{
	if (likely(request->length <= MESSAGE_INLINE)) {
		message_copy_inline((unsigned char *)to, request->payload,
				    request->length);
		return;
	}
	if (request->length > SHORT_COPY)
		site_unlock(site);
	memcpy(to, request->payload, request->length);
	if (request->length > SHORT_COPY)
		site_lock(site);
}

/* For a block of the smallest class, and no closure. */
static inline struct message *pack_small(struct site *site,
					 const struct request *request,
					 rota_id from, uint64_t token,
					 uint64_t deadline_ns)
{
	struct message *message = pool_get(&site->engine->messages.of[0],
					   &site->cache->messages[0]);
	struct message_extension *extension;

	if (unlikely(!message))
		return NULL;
	extension = (struct message_extension *)(void *)message->payload;
	message->from = from;
	message_set(message, id_generation(request->to), request->tag,
		    request->flags | MESSAGE_EXTENDED,
		    (unsigned)request->length);
	*extension = (struct message_extension){deadline_ns, token, 0};
	message_copy_inline((unsigned char *)(extension + 1), request->payload,
			    request->length);
	return message;
}

static inline bool is_small(const struct request *request)
{
	return request->length <= MESSAGE_EXTENDED_INLINE && !request->run;
}

struct message *request_pack(struct site *site, const struct request *request,
			     rota_id from, uint64_t token, uint64_t deadline_ns)
{
	size_t lead = request->run ? closure_lead(request->flags) : 0;
	struct message *message;
	char *payload;

	if (is_small(request))
		return pack_small(site, request, from, token, deadline_ns);
	message = message_get_extended(&site->engine->messages,
				       site->cache->messages,
				       lead + request->length);
	if (!message)
		return NULL;
	message->from = from;
	message_set(message, id_generation(request->to), request->tag,
		    request->flags | MESSAGE_EXTENDED, message->size);
	*message_extension(message) =
		(struct message_extension){deadline_ns, token, 0};
	payload = message_payload(message);
	if (unlikely(lead > 0))
		memcpy(payload, &request->run, lead);
	fill(site, payload + lead, request);
	return message;
}

static rota_id asker_here(void)
{
	struct local *local = local_in_turn();

	return local ? local->turn.self : ROTA_NONE;
}

/* What the message in hand leaves of a time. */
static __attribute__((noinline)) int64_t within_deadline(int64_t within)
{
	uint64_t deadline_ns = send_inherited_ns();
	int64_t left;

	if (likely(deadline_ns == CLOCK_NEVER))
		return within;
	left = clock_left(crew_now_ns(&local_here()->engine->crew),
			  deadline_ns);
	return left < within ? left : within;
}

/* The calling worker if what runs there is near whom it asks: in its engine, and
   has neither a deadline that goes on to others nor a chain open. */
static inline struct local *asks_nearby(const struct request *request)
{
	struct local *local = local_here();

	return likely(local && local_is_near(local, id_engine(request->to)))
		       ? local
		       : NULL;
}

static inline int enter_site(struct site *site, const struct request *request)
{
	struct local *local = asks_nearby(request);

	if (unlikely(!local))
		return site_enter(site, request->to);
	site_enter_own(site, local);
	return 0;
}

/* Enter the engine of whom is asked; *actor accepts messages. */
static inline int enter(struct site *site, struct request *request,
			struct actor **actor)
{
	int error = request_check(request);

	if (!error)
		error = enter_site(site, request);
	if (error)
		return error;
	*actor = engine_actor(site->engine, request->to);
	/* Relaxed: as in post(). */
	if (!*actor ||
	    !signal_accepts(AO_load(&(*actor)->xsignal), request->to))
		error = send_refusal(*actor, request->to);
	else if (unlikely(request->flags & MESSAGE_URGENT))
		error = send_check_urgent(*actor, request->to);
	if (error)
		site_leave(site);
	return error;
}

#define ASK_NS ROTA_S(5)

/* What ROTA_DEFAULT stands for where this actor is asked. */
static __attribute__((noinline)) int64_t
default_within(const struct site *site, rota_id to, const struct actor *actor)
{
	/* [A1] pairs with make_live() */
	AO_t signal = AO_load_acquire(&actor->xsignal);
	uint32_t number = signal_cold(signal);
	AO_t within = 0;

	/* Relaxed: as it was before the actor lived. Once that life is over it
	   may be another's, and the ask fails. */
	if (number && signal_lives(signal, to))
		within = AO_load(&cold_at(site->engine, number)->xask_within);
	if (!within)
		within = (AO_t)site->engine->config.ask_within;
	return within ? (int64_t)within : ASK_NS;
}

/* In the engine of whom is asked: how long that may take. */
static inline void settle_time(const struct site *site, struct request *request,
			       const struct actor *actor)
{
	if (unlikely(request->has_deadline))
		return;
	if (unlikely(request->within == ROTA_DEFAULT))
		request->within = default_within(site, request->to, actor);
	/* A turn that is near has none that goes on to others. */
	if (unlikely(!site->local ||
		     !local_is_near(site->local, id_engine(request->to))))
		request->within = within_deadline(request->within);
}

/* ---- one that waits ---- */

/* It is DONE: the outcome. */
static inline int take_outcome(struct site *site, struct ask *ask)
{
	int outcome = ask->outcome;

	/* Relaxed: DONE is ours. */
	last_detail.progress = ask_progress(AO_load(&ask->xword));
	last_detail.length = ask->length;
	if (unlikely(outcome == 0 && ask->length < ask->reply_size))
		memset((char *)ask->reply + ask->length, 0,
		       ask->reply_size - ask->length);
	ask_close(site, ask);
	return outcome;
}

/* The wait has ended without an answer, for that reason. */
static __attribute__((noinline)) int do_without(struct site *site,
						struct ask *ask, int error)
{
	rota_id handler = ask_handler(ask);
	uint64_t token = ask_token(site, ask);
	bool withdrawn = error != -ETIMEDOUT;
	AO_t word;

	if (!ask_leave(ask, withdrawn, &word))
		return take_outcome(site, ask);
	last_detail.progress = ask_progress(word);
	if (withdrawn && word & ASK_STARTED) {
		site_step_out(site);
		ask_cascade(handler, token);
		site_step_in(site);
	}
	return error;
}

/* The wait is over; the outcome, and the cell is given up. */
static inline int conclude(struct site *site, struct ask *ask, int error)
{
	if (likely(ask_is_done(ask)))
		return take_outcome(site, ask);
	return do_without(site, ask, error);
}

static bool is_far(const struct await *await, const struct site *site)
{
	return !await->turn || await->turn->engine != site->engine;
}

/* Wait for the answer to one that is open, or was. */
static int wait_for(struct site *site, struct ask *ask, struct await *await,
		    int64_t within)
{
	int error = await_begin(await, within, site);

	if (error)
		return error == -EAGAIN ? -EDEADLK : error;
	ask->ticket = wait_ticket_copy(&await->waiter.ticket);
	ask->is_far = is_far(await, site);
	ask->gather = NULL;
	if (!ask_watch(ask))
		return await_end(await, 0, site);
	await_enter(await, NULL, NULL);
	error = await_end(await, 0, site);
	ask_unwatch(ask);
	return ask_is_done(ask) ? 0 : error;
}

/* The mailbox was full, and the wait has been taken back. */
static int call_when_room(struct site *site, struct ask *ask,
			  struct actor *actor, const struct request *request,
			  struct message *message, uint64_t deadline_ns)
{
	struct crew *crew = &site->engine->crew;
	struct await await = {.edge = EDGE_ASK, .to = request->to};
	int error = send_push(site, actor, request->to, message,
			      clock_left(crew_now_ns(crew), deadline_ns));

	if (error) {
		ask_retract(site, ask);
		return error == -EAGAIN ? -ETIMEDOUT : error;
	}
	last_detail.progress = ROTA_ASK_SENT;
	await.token = ask_token(site, ask);
	error = wait_for(site, ask, &await,
			 clock_left(crew_now_ns(crew), deadline_ns));
	return conclude(site, ask, error);
}

/* It was not pushed; @await has begun. */
static __attribute__((noinline)) int
call_otherwise(struct site *site, struct ask *ask, struct actor *actor,
	       const struct request *request, struct message *message,
	       struct await *await, enum mailbox_push pushed)
{
	ask_unwatch(ask);
	await_end(await, 0, site);
	if (pushed == MAILBOX_FULL)
		return call_when_room(site, ask, actor, request, message,
				      await->deadline_ns);
	message_discard(site->engine, site->cache, message);
	ask_retract(site, ask);
	return send_refusal(actor, request->to);
}

static inline enum mailbox_push push(struct actor *actor,
				     struct message *message)
{
	return mailbox_push(&actor->xmail, message, actor_capacity(actor),
			    mailbox_flags_of(message));
}

/* Push the request, with its wait begun. */
static int call_now(struct site *site, struct ask *ask, struct actor *actor,
		    const struct request *request, struct message *message,
		    struct await *await)
{
	enum mailbox_push pushed = push(actor, message);
	int error;

	if (unlikely(pushed == MAILBOX_FULL || pushed == MAILBOX_IS_CLOSED))
		return call_otherwise(site, ask, actor, request, message, await,
				      pushed);
	if (pushed == MAILBOX_AWAKENED)
		site_schedule(site, actor);
	last_detail.progress = ROTA_ASK_SENT;
	await_enter(await, NULL, NULL);
	error = await_end(await, 0, site);
	return conclude(site, ask, error);
}

/* What others may know of it while it is open. */
static inline void describe(struct ask *ask, const struct request *request,
			    rota_id asker, uint64_t deadline_ns)
{
	ask->tag = (uint16_t)request->tag;
	ask->is_closure = request->run != NULL;
	ask->asker = asker;
	ask->deadline_ns = deadline_ns;
	/* Relaxed: opening it publishes it. */
	AO_store(&ask->xaim, request->to);
}

static int call(struct site *site, struct actor *actor,
		const struct request *request, void *reply, size_t reply_size)
{
	struct await await = {
		.edge = EDGE_ASK, .to = request->to, .target = actor};
	struct ask *ask = ask_get(site, ASK_CALL);
	struct message *message;
	rota_id asker = asker_here();
	int error;

	if (!ask)
		return -ENOMEM;
	error = await_begin(&await, request->within, site);
	if (error) {
		ask_put(site, ask);
		if (error == -EDEADLK)
			deadlock_note_self(local_here(),
					   request->run ? CLOSURE_TAG
							: request->tag);
		return error == -EAGAIN ? -EDEADLK : error;
	}
	ask->reply = reply;
	ask->reply_size = reply_size;
	describe(ask, request, asker, await.deadline_ns);
	ask->ticket = wait_ticket_copy(&await.waiter.ticket);
	ask->is_far = is_far(&await, site);
	ask_open(ask, ASK_WATCHED);
	await.token = ask_token(site, ask);
	message = request_pack(site, request, asker, await.token,
			       await.deadline_ns);
	if (message)
		return call_now(site, ask, actor, request, message, &await);
	ask_unwatch(ask);
	await_end(&await, 0, site);
	ask_retract(site, ask);
	return -ENOMEM;
}

/* ---- the same, of a turn that is near ---- */

/* The step from the asker to whom it waits for, by its open ask. */
static inline struct step step_of(const struct ask *ask,
				  const struct request *request, uint64_t token)
{
	return (struct step){
		.from = ask->asker,
		.to = request->to,
		.edge = EDGE_ASK,
		.ticket = wait_ticket_copy(&ask->ticket),
		.token = token,
	};
}

/* The request was not pushed, or there is none: the wait is taken back. */
static __attribute__((noinline)) int
fail_near(struct site *site, struct ask *ask, struct actor *actor,
	  const struct request *request, struct message *message,
	  enum mailbox_push pushed)
{
	struct await await = {.state = AWAIT_BEGUN,
			      .waiter.ticket = ask->ticket,
			      .wait = ask->ticket.wait,
			      .turn = site->local,
			      .deadline_ns = ask->deadline_ns};

	if (message)
		return call_otherwise(site, ask, actor, request, message,
				      &await, pushed);
	ask_unwatch(ask);
	await_end(&await, 0, site);
	ask_retract(site, ask);
	return -ENOMEM;
}

/* @message: what was refused, if MAILBOX_FULL or MAILBOX_IS_CLOSED; NULL if
   there was no memory for it. */
static inline __attribute__((always_inline)) enum mailbox_push
push_packed(struct site *site, const struct ask *ask, struct actor *actor,
	    const struct request *request, uint64_t token,
	    struct message **message)
{
	if (likely(is_small(request)))
		*message = pack_small(site, request, ask->asker, token,
				      ask->deadline_ns);
	else
		*message = request_pack(site, request, ask->asker, token,
					ask->deadline_ns);
	return likely(*message != NULL) ? push(actor, *message) : MAILBOX_FULL;
}

/* Push the request, with its wait begun and the ask open. */
static inline int push_near(struct site *site, struct ask *ask,
			    struct actor *actor, const struct request *request)
{
	uint64_t token = ask_token(site, ask);
	struct step step = step_of(ask, request, token);
	struct message *message;
	enum mailbox_push pushed =
		push_packed(site, ask, actor, request, token, &message);

	if (unlikely(pushed == MAILBOX_FULL || pushed == MAILBOX_IS_CLOSED))
		return fail_near(site, ask, actor, request, message, pushed);
	if (likely(pushed == MAILBOX_AWAKENED))
		site_schedule(site, actor);
	last_detail.progress = ROTA_ASK_SENT;
	return conclude(site, ask,
			await_answer(site->local, actor, &ask->xaim, &step,
				     ask->deadline_ns));
}

/* It has been sent, and whom it was sent to has had its turn: if that has not
   answered, wait for it. */
static __attribute__((noinline)) int
wait_after_call(struct site *site, struct ask *ask,
		const struct request *request)
{
	struct await await = {.edge = EDGE_ASK,
			      .to = request->to,
			      .token = ask_token(site, ask)};
	int64_t within =
		clock_left(crew_now_ns(&site->engine->crew), ask->deadline_ns);

	return conclude(site, ask, wait_for(site, ask, &await, within));
}

/* The request of one that nobody watches was not pushed. */
static __attribute__((noinline)) int
fail_called(struct site *site, struct ask *ask, struct actor *actor,
	    const struct request *request, struct message *message,
	    enum mailbox_push pushed)
{
	if (message && pushed == MAILBOX_FULL)
		return call_when_room(site, ask, actor, request, message,
				      ask->deadline_ns);
	ask_retract(site, ask);
	if (!message)
		return -ENOMEM;
	message_discard(site->engine, site->cache, message);
	return send_refusal(actor, request->to);
}

/*
 * The actor looks idle, and its turn can come at once: the asker calls it, and
 * waits only if that was not enough.
 */
static int call_inside(struct site *site, struct ask *ask, struct actor *actor,
		       const struct request *request)
{
	struct message *message;
	enum mailbox_push pushed = push_packed(site, ask, actor, request,
					       ask_token(site, ask), &message);

	if (unlikely(pushed == MAILBOX_FULL || pushed == MAILBOX_IS_CLOSED))
		return fail_called(site, ask, actor, request, message, pushed);
	if (likely(pushed == MAILBOX_AWAKENED)) {
		struct local *local = site->local;
		struct ask *outer = local->called;

		count_begun(site->cache);
		local->called = ask;
		await_call(local, actor, request->to);
		local->called = outer;
	}
	last_detail.progress = ROTA_ASK_SENT;
	if (likely(ask_is_done(ask)))
		return take_outcome(site, ask);
	return wait_after_call(site, ask, request);
}

/* What call() does, where all that it finds out is known. */
static int call_near(struct site *site, struct actor *actor,
		     const struct request *request, void *reply,
		     size_t reply_size)
{
	struct local *local = site->local;
	struct ask *ask = ask_get(site, ASK_CALL);
	uint64_t deadline_ns = CLOCK_NEVER;
	int error;

	if (unlikely(!ask))
		return -ENOMEM;
	/* A look at the clock would be a good part of the rest of this. */
	if (request->within != CLOCK_FOREVER)
		deadline_ns =
			crew_deadline(&site->engine->crew, request->within);
	ask->reply = reply;
	ask->reply_size = reply_size;
	describe(ask, request, local->turn.self, deadline_ns);
	if (likely(await_may_call(local, actor))) {
		ask_open(ask, ASK_CALLED);
		return call_inside(site, ask, actor, request);
	}
	error = await_turn(local, &ask->ticket);
	if (unlikely(error)) {
		ask_put(site, ask);
		return error;
	}
	ask_open(ask, ASK_WATCHED);
	return push_near(site, ask, actor, request);
}

/* Is it a turn, of the engine where it asks, and not its own actor? */
static inline bool is_near(const struct site *site,
			   const struct request *request)
{
	const struct local *local = site->local;

	return likely(local && local->turn.self != ROTA_NONE &&
		      !local->turn.job && local->turn.self != request->to);
}

/* ---- */

int request_call(struct request *request, void *reply, size_t reply_size)
{
	struct actor *actor;
	struct site site;
	int error;

	last_detail = (struct rota_ask_detail){0};
	if (!reply && reply_size > 0)
		return -EINVAL;
	error = enter(&site, request, &actor);
	if (error)
		return error;
	settle_time(&site, request, actor);
	if (unlikely(request->within <= 0))
		error = -ETIMEDOUT;
	else if (is_near(&site, request))
		error = call_near(&site, actor, request, reply, reply_size);
	else
		error = call(&site, actor, request, reply, reply_size);
	if (unlikely(site.shard != NULL)) /* spares most of us a call */
		site_leave(&site);
	return error;
}

int rota_ask(rota_id to, unsigned tag, const void *payload, size_t length,
	     void *reply, size_t reply_size, int64_t within)
{
	struct request request = {to, tag,    payload, length,
				  0,  within, NULL,    false};

	return request_call(&request, reply, reply_size);
}

int rota_ask_urgent(rota_id to, unsigned tag, const void *payload,
		    size_t length, void *reply, size_t reply_size,
		    int64_t within)
{
	struct request request = {to,	  tag,	payload, length, MESSAGE_URGENT,
				  within, NULL, false};

	return request_call(&request, reply, reply_size);
}

int rota_ask_until(rota_id to, unsigned tag, const void *payload, size_t length,
		   void *reply, size_t reply_size, rota_deadline deadline)
{
	struct request request = {to, tag, payload, length, 0, 0, NULL, false};

	request_until(&request, deadline);
	return request_call(&request, reply, reply_size);
}

/* ---- those that are started ---- */

/* Where the cell is to be: with the turn that asks, else where it is sent. */
static struct site *home_of(struct site *site, struct site *own)
{
	struct local *local = local_may_wait();

	if (!local || local->engine == site->engine)
		return site;
	*own = site_of(local);
	return own;
}

/* The handler's list: see asking_end_handler(). */
static void note_asking(struct ask *ask)
{
	struct local *local = local_in_turn();

	ask->prev = NULL;
	if (!local || local->turn.job) /* a thread, or a task */
		return;
	turn_marks(local, TURN_ASKS, 0);
	ask->next = local->asks;
	ask->prev = &local->asks;
	if (ask->next)
		ask->next->prev = &ask->next;
	local->asks = ask;
}

static void forget_asking(struct ask *ask)
{
	if (!ask->prev)
		return;
	*ask->prev = ask->next;
	if (ask->next)
		ask->next->prev = ask->prev;
	ask->prev = NULL;
}

static void ring(struct worker *worker, struct alarm *alarm)
{
	struct ask_alarm *own = (struct ask_alarm *)alarm;
	struct site site = site_of((struct local *)worker);
	AO_t token = AO_load(&own->xname); /* relaxed: set before the alarm */

	/* [Y4] pairs with clear_alarm(): it is the answerer's from here on */
	AO_store_release(&own->xname, 0);
	ask_fail(&site, token, -ETIMEDOUT);
}

/* Before the request is sent: an answer clears it. */
static void set_alarm(struct local *local, struct ask *ask)
{
	struct site site = site_of(local);

	if (ask->deadline_ns == CLOCK_NEVER)
		return;
	memset(&ask->alarm, 0, sizeof(ask->alarm));
	ask->alarm.alarm.ring = ring;
	ask->worker = &local->worker;
	/* Relaxed: the lock of the wheel publishes it. */
	AO_store(&ask->alarm.xname, ask_token(&site, ask));
	worker_set_alarm(&local->worker, &ask->alarm.alarm, ask->deadline_ns);
}

static void open_then(struct local *local, struct ask *ask)
{
	struct cold *cold = ask_begin_behalf(ask);

	ask_open(ask, 0);
	set_alarm(local, ask);
	ask_end_behalf(ask, cold);
}

/* Open a cell and send the request with it. */
static int start(struct site *site, struct site *home, struct ask *ask,
		 struct actor *actor, const struct request *request)
{
	rota_id asker = asker_here();
	uint64_t token = ask_token(home, ask), deadline_ns = ask->deadline_ns;
	struct message *message;
	int error;

	ask->length = 0;
	describe(ask, request, asker, deadline_ns);
	if (ask->kind == ASK_NOTICE)
		open_then(home->local, ask);
	else
		ask_open(ask, 0);
	message = request_pack(site, request, asker, token, deadline_ns);
	error = message ? send_push(site, actor, request->to, message,
				    request->within)
			: -ENOMEM;
	return error == -EAGAIN ? -ETIMEDOUT : error;
}

static int start_asking(struct site *site, struct actor *actor,
			const struct request *request,
			struct rota_asking *asking)
{
	struct site own, *home = home_of(site, &own);
	struct ask *ask = ask_get(home, ASK_HANDLE);
	int error;

	if (!ask)
		return -ENOMEM;
	ask->is_threads = !local_may_wait();
	ask->deadline_ns = crew_deadline(&site->engine->crew, request->within);
	error = start(site, home, ask, actor, request);
	if (error) {
		ask_retract(home, ask);
		return error;
	}
	note_asking(ask);
	asking->token = ask_token(home, ask);
	asking->deadline_ns = ask->deadline_ns;
	return 0;
}

static int start_request(struct request *request, void *reply,
			 size_t reply_size, struct rota_asking *asking)
{
	struct actor *actor;
	struct site site;
	int error;

	if (!asking || (!reply && reply_size > 0))
		return -EINVAL;
	*asking =
		(struct rota_asking){.reply = reply, .reply_size = reply_size};
	error = enter(&site, request, &actor);
	if (!error) {
		settle_time(&site, request, actor);
		error = request->within > 0
				? start_asking(&site, actor, request, asking)
				: -ETIMEDOUT;
		site_leave(&site);
	}
	asking->outcome = error;
	return error;
}

int rota_ask_start(rota_id to, unsigned tag, const void *payload, size_t length,
		   void *reply, size_t reply_size, int64_t within,
		   struct rota_asking *asking)
{
	struct request request = {to, tag,    payload, length,
				  0,  within, NULL,    false};

	return start_request(&request, reply, reply_size, asking);
}

int rota_ask_start_until(rota_id to, unsigned tag, const void *payload,
			 size_t length, void *reply, size_t reply_size,
			 rota_deadline deadline, struct rota_asking *asking)
{
	struct request request = {to, tag, payload, length, 0, 0, NULL, false};

	request_until(&request, deadline);
	return start_request(&request, reply, reply_size, asking);
}

/* ---- ending them ---- */

/* Where the cells of these asks are; a turn's are in its own engine. */
static int enter_cells(struct site *site, const struct rota_asking *askings,
		       size_t n)
{
	uint64_t token = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (!askings[i].token)
			continue;
		if (token && id_engine(token) != id_engine(askings[i].token))
			return -EXDEV;
		token = askings[i].token;
	}
	return token ? site_enter(site, token) : -ENOENT;
}

static struct ask *cell(struct site *site, const struct rota_asking *asking)
{
	return ask_cell(site->engine, asking->token);
}

/* The same; NULL: it is a copy of one that was ended, or made up. */
static struct ask *find_cell(struct site *site,
			     const struct rota_asking *asking)
{
	struct ask *ask = cell(site, asking);

	return ask && ask_is_asked(ask, asking->token) ? ask : NULL;
}

static void end_asking(struct rota_asking *asking, int outcome,
		       unsigned progress)
{
	asking->token = 0;
	asking->outcome = outcome;
	asking->progress = progress;
}

static void end_answered(struct rota_asking *asking, int outcome,
			 unsigned progress, const void *from, size_t length)
{
	if (outcome == 0 && length > asking->reply_size)
		outcome = -EMSGSIZE;
	if (outcome == 0 && length > 0)
		memcpy(asking->reply, from, length);
	if (outcome == 0 && asking->reply_size > length)
		memset((char *)asking->reply + length, 0,
		       asking->reply_size - length);
	asking->length = length;
	end_asking(asking, outcome, progress);
}

static void take_answer(struct site *site, struct ask *ask,
			struct rota_asking *asking)
{
	/* Relaxed: DONE is ours. */
	end_answered(asking, ask->outcome, ask_progress(AO_load(&ask->xword)),
		     ask_kept(ask), ask->length);
	forget_asking(ask);
	ask_close(site, ask);
}

/* Take the answer if it is there, or do without it if its time is up. */
static void look_at(struct site *site, struct rota_asking *asking,
		    uint64_t now_ns)
{
	struct ask *ask = find_cell(site, asking);
	AO_t word;

	if (!ask) {
		end_asking(asking, -EINVAL, 0);
		return;
	}
	if (ask_is_done(ask)) {
		take_answer(site, ask, asking);
		return;
	}
	if (asking->deadline_ns == CLOCK_NEVER || now_ns < asking->deadline_ns)
		return;
	forget_asking(ask);
	if (ask_leave(ask, false, &word))
		end_asking(asking, -ETIMEDOUT, ask_progress(word));
	else
		take_answer(site, ask, asking);
}

/* How many have ended; *left: until the next one's time is up. */
static size_t look_at_all(struct site *site, struct rota_asking *askings,
			  size_t n, int64_t *left)
{
	uint64_t now_ns = crew_now_ns(&site->engine->crew);
	size_t i, n_ended = 0;

	for (i = n; i-- > 0;) {
		int64_t own;

		if (askings[i].token)
			look_at(site, &askings[i], now_ns);
		own = clock_left(now_ns, askings[i].deadline_ns);
		if (!askings[i].token)
			n_ended++;
		else if (own < *left)
			*left = own;
	}
	return n_ended;
}

/* All that are left are wanted: wait for the last of them. */
static int wait_for_last(struct site *site, struct rota_asking *askings,
			 size_t n, int64_t within)
{
	struct await await = {.edge = EDGE_ASK};
	struct ask *ask;

	while (!askings[n - 1].token)
		n--;
	ask = cell(site, &askings[n - 1]);
	await.token = askings[n - 1].token;
	await.to = AO_load(&ask->xaim); /* relaxed: looked at again */
	return wait_for(site, ask, &await, within);
}

/* Watch all; true: so many were there by now that the wait is over. */
static bool watch_all(struct site *site, struct rota_asking *askings, size_t n,
		      struct gather *gather, bool far)
{
	bool is_over = false;
	size_t i;

	for (i = 0; i < n; i++) {
		struct ask *ask;

		if (!askings[i].token)
			continue;
		ask = cell(site, &askings[i]);
		ask->gather = gather;
		ask->is_far = far;
		if (!ask_watch(ask))
			/* [W1] as in finish() */
			is_over |= AO_fetch_and_add_full(&gather->xmissing,
							 (AO_t)-1) == 1;
	}
	return is_over;
}

/* Some of them are wanted: have them counted. */
static int wait_for_some(struct site *site, struct rota_asking *askings,
			 size_t n, size_t missing, int64_t within)
{
	struct await await = {.edge = EDGE_ANY};
	struct gather gather = {.xmissing = missing};
	int error = await_begin(&await, within, site);
	size_t i;

	if (error)
		return error == -EAGAIN ? -EDEADLK : error;
	gather.ticket = await.waiter.ticket;
	if (!watch_all(site, askings, n, &gather, is_far(&await, site)))
		await_enter(&await, NULL, NULL);
	error = await_end(&await, 0, site);
	for (i = 0; i < n; i++)
		if (askings[i].token)
			ask_unwatch(cell(site, &askings[i]));
	/* Relaxed: nobody counts any more. */
	return (intptr_t)AO_load(&gather.xmissing) <= 0 ? 0 : error;
}

/* Wait until it is worth looking again. */
static int wait_for_more(struct site *site, struct rota_asking *askings,
			 size_t n, size_t missing, int64_t within)
{
	size_t i, n_open = 0;

	for (i = 0; i < n; i++)
		n_open += askings[i].token != 0;
	return missing == n_open
		       ? wait_for_last(site, askings, n, within)
		       : wait_for_some(site, askings, n, missing, within);
}

/* The engine is gone: how it ended. */
static void take_bequest(struct rota_asking *asking)
{
	struct bequest bequest;

	switch (estate_take(asking->token, &bequest)) {
	case ESTATE_TAKEN:
		end_answered(asking, bequest.outcome, bequest.progress,
			     bequest.reply, bequest.length);
		free(bequest.reply);
		return;
	case ESTATE_UNKNOWN: /* as far as it may have got */
		end_asking(asking, -ECONNRESET,
			   ROTA_ASK_SENT | ROTA_ASK_STARTED);
		return;
	default:
		end_asking(asking, -EINVAL, 0);
	}
}

/* The same for several, which are all of that engine. */
static int take_bequests(struct rota_asking *askings, size_t n, size_t wanted,
			 int64_t within)
{
	uint64_t deadline_ns = clock_deadline(clock_ns(), within);
	size_t i, n_ended = 0;
	int error = 0;

	for (i = 0; i < n; i++) {
		if (askings[i].token && !error)
			error = estate_await(id_engine(askings[i].token),
					     deadline_ns);
		if (askings[i].token && !error)
			take_bequest(&askings[i]);
		n_ended += !askings[i].token;
	}
	return n_ended >= wanted ? (int)n_ended : error;
}

static bool is_failure(int error)
{
	return error == -EDEADLK || error == -ECANCELED || error == -ENOMEM ||
	       error == -ESRCH;
}

/* In the site of the cells. How many have ended, or an error. */
static int await_in(struct site *site, struct rota_asking *askings, size_t n,
		    size_t wanted, uint64_t deadline_ns)
{
	struct crew *crew = &site->engine->crew;

	for (;;) {
		int64_t left = clock_left(crew_now_ns(crew), deadline_ns);
		bool is_over = left == 0;
		size_t n_ended = look_at_all(site, askings, n, &left);
		int error;

		if (n_ended >= wanted)
			return (int)n_ended;
		if (is_over)
			return -ETIMEDOUT;
		if (left == 0)
			continue; /* some time was up in between */
		error = wait_for_more(site, askings, n, wanted - n_ended, left);
		if (is_failure(error)) {
			n_ended = look_at_all(site, askings, n, &left);
			return n_ended >= wanted ? (int)n_ended : error;
		}
	}
}

int rota_ask_await(struct rota_asking *askings, size_t n, size_t wanted,
		   int64_t within)
{
	struct site site;
	int error;

	if (wanted > n || n > INT32_MAX || (!askings && n > 0))
		return -EINVAL;
	error = enter_cells(&site, askings, n);
	if (error == -ENOENT) /* all have ended */
		return (int)n;
	if (error == -ESRCH)
		return take_bequests(askings, n, wanted, within);
	if (error)
		return error == -EXDEV ? -EINVAL : error;
	error = await_in(&site, askings, n, wanted,
			 crew_deadline(&site.engine->crew, within));
	site_leave(&site);
	return error;
}

static size_t n_answered(const struct rota_asking *askings, size_t n)
{
	size_t i, n_ok = 0;

	for (i = 0; i < n; i++)
		n_ok += !askings[i].token && askings[i].outcome == 0;
	return n_ok;
}

/* So many more have to end before it can be settled either way. */
static size_t until_settled(size_t n_ok, size_t n_open, size_t wanted)
{
	size_t yes = wanted - n_ok, no = n_ok + n_open - wanted + 1;

	return yes < no ? yes : no;
}

int rota_ask_quorum(struct rota_asking *askings, size_t n, size_t wanted,
		    int64_t within)
{
	uint64_t deadline_ns = clock_deadline(clock_ns(), within);
	int n_ended = rota_ask_await(askings, n, 0, ROTA_NOW);

	while (n_ended >= 0) {
		size_t n_ok = n_answered(askings, n);
		size_t n_open = n - (size_t)n_ended;

		if (wanted > n)
			return -EINVAL;
		if (n_ok >= wanted)
			return (int)n_ok;
		if (n_ok + n_open < wanted)
			return -EIO;
		n_ended = rota_ask_await(
			askings, n,
			(size_t)n_ended + until_settled(n_ok, n_open, wanted),
			clock_left(clock_ns(), deadline_ns));
	}
	return n_ended;
}

/* Do without the answer of one, on purpose. */
static bool withdraw(struct site *site, struct ask *ask, uint64_t token,
		     AO_t *word)
{
	rota_id handler = ask_handler(ask);

	forget_asking(ask);
	if (!ask_leave(ask, true, word))
		return false;
	if (*word & ASK_STARTED) {
		site_step_out(site);
		ask_cascade(handler, token);
		site_step_in(site);
	}
	return true;
}

int rota_ask_cancel(struct rota_asking *asking)
{
	struct site site;
	struct ask *ask;
	AO_t word;
	int error;

	if (!asking)
		return -EINVAL;
	error = enter_cells(&site, asking, 1);
	if (error == -ENOENT)
		return -EALREADY;
	if (error == -ESRCH) {
		estate_await(id_engine(asking->token), CLOCK_NEVER);
		take_bequest(asking);
		return asking->outcome == -EINVAL ? -EINVAL : -EALREADY;
	}
	if (error)
		return error;
	ask = find_cell(&site, asking);
	if (!ask) {
		end_asking(asking, -EINVAL, 0);
		error = -EINVAL;
	} else if (withdraw(&site, ask, asking->token, &word)) {
		end_asking(asking, -ECANCELED, ask_progress(word));
	} else {
		take_answer(&site, ask, asking);
		error = -EALREADY;
	}
	site_leave(&site);
	return error;
}

void asking_end_handler(struct local *local)
{
	struct site site = site_of(local);

	local->turn.marks &= ~(uint32_t)TURN_ASKS;
	while (local->asks) {
		struct ask *ask = local->asks;
		AO_t word;

		if (!withdraw(&site, ask, ask_token(&site, ask), &word))
			ask_close(&site, ask);
	}
}

/* ---- the answer as a message ---- */

/* The actor's cold block, where what it asks on behalf of others is found. */
static int find_block(struct local *local, struct cold **block)
{
	struct site own = site_of(local);
	int error;

	*block = cold_lock(&own, local->turn.actor, local->turn.self, true,
			   &error);
	if (*block)
		cold_unlock(*block);
	return error == -ENOMEM ? error : 0; /* else it has been abandoned */
}

static struct ask *get_then(struct site *own, int64_t within,
			    unsigned reply_tag, void *context, uint64_t behalf)
{
	struct ask *ask = ask_get(own, ASK_NOTICE);

	if (!ask)
		return NULL;
	ask->cold = NULL;
	ask->behalf = behalf;
	if (behalf && find_block(own->local, &ask->cold) != 0) {
		ask_close(own, ask);
		return NULL;
	}
	ask->block = message_get(&own->engine->messages, own->cache->messages,
				 MESSAGE_INLINE);
	if (!ask->block) {
		ask_close(own, ask);
		return NULL;
	}
	ask->reply_tag = (uint16_t)reply_tag;
	ask->context = context;
	ask->deadline_ns = crew_deadline(&own->engine->crew, within);
	count_begun(own->cache); /* see send_notice() */
	return ask;
}

static int ask_then(struct site *site, struct local *local, struct actor *actor,
		    const struct request *request, unsigned reply_tag,
		    void *context, uint64_t behalf)
{
	struct site own = site_of(local);
	struct ask *ask =
		get_then(&own, request->within, reply_tag, context, behalf);
	uint64_t token;
	int error;

	if (!ask)
		return -ENOMEM;
	token = ask_token(&own, ask);
	error = start(site, &own, ask, actor, request);
	/* Where the time was up first, the message is on its way. */
	return error && ask_take_back(&own, token) ? error : 0;
}

static int then_request(struct request *request, unsigned reply_tag,
			void *context)
{
	struct local *local = local_in_turn();
	struct actor *actor;
	struct site site;
	uint64_t behalf;
	int error;

	if (!local)
		return -EPERM;
	if (reply_tag > ROTA_MAX_TAG)
		return -EINVAL;
	/* A callback is nobody's handler. */
	behalf = local->turn.marks & TURN_ASIDE ? 0 : cycle_behalf(local);
	error = enter(&site, request, &actor);
	if (error)
		return error;
	settle_time(&site, request, actor);
	error = request->within > 0 ? ask_then(&site, local, actor, request,
					       reply_tag, context, behalf)
				    : -ETIMEDOUT;
	site_leave(&site);
	/* Whoever withdrew it has found this one, or it is found out here. */
	if (!error && behalf && cycle_is_withdrawn(behalf))
		ask_cascade(local->turn.self, behalf);
	return error;
}

int rota_ask_then(rota_id to, unsigned tag, const void *payload, size_t length,
		  int64_t within, unsigned reply_tag, void *context)
{
	struct request request = {to, tag,    payload, length,
				  0,  within, NULL,    false};

	return then_request(&request, reply_tag, context);
}

int rota_ask_then_until(rota_id to, unsigned tag, const void *payload,
			size_t length, rota_deadline deadline,
			unsigned reply_tag, void *context)
{
	struct request request = {to, tag, payload, length, 0, 0, NULL, false};

	request_until(&request, deadline);
	return then_request(&request, reply_tag, context);
}
