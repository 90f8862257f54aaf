/* SPDX-License-Identifier: MIT */
/*
 * send - puts messages into mailboxes, and waits for room where it is wanted
 *
 * The common case (a turn sends a small message to an actor of its engine that
 * has room) is one function without a call; everything else goes through
 * post(), which is the same for turns and threads.
 *
 * Orderings:  [X1] [X2] see mailbox.c. [A1] see cold.c.
 */
#include <errno.h>
#include <string.h>

#include <rota/actor.h>
#include <rota/closure.h>

#include "core/await.h"
#include "core/chain.h"
#include "core/cold.h"
#include "core/desk.h"
#include "core/engine.h"
#include "core/overflow.h"
#include "core/process.h"
#include "core/run.h"
#include "core/send.h"
#include "mailbox/closure.h"

uint64_t send_inherited_ns(void)
{
	struct local *local = local_in_turn();
	struct message *message = local ? local->turn.message : NULL;
	struct message_extension *extension =
		message ? message_extension(message) : NULL;

	return extension ? extension->deadline_ns : CLOCK_NEVER;
}

static void fill_header(struct message *message, rota_id from, rota_id to,
			unsigned tag, unsigned flags)
{
	message->from = from;
	message_set(message, id_generation(to), tag, flags, message->size);
}

static void fill_payload(struct message *message, const struct parcel *parcel)
{
	char *payload = message_payload(message);

	if (parcel->head_length > 0)
		memcpy(payload, parcel->head, parcel->head_length);
	if (parcel->tail_length > 0)
		memcpy(payload + parcel->head_length, parcel->tail,
		       parcel->tail_length);
}

/* A block for so long a payload, with a deadline where there is one. */
static struct message *get_block(struct site *site, size_t length,
				 uint64_t deadline_ns)
{
	struct message_pools *pools = &site->engine->messages;
	struct message *message;

	if (likely(deadline_ns == CLOCK_NEVER))
		return message_get(pools, site->cache->messages, length);
	message = message_get_extended(pools, site->cache->messages, length);
	if (message)
		*message_extension(message) =
			(struct message_extension){.deadline_ns = deadline_ns};
	return message;
}

static struct message *pack(struct site *site, const struct parcel *parcel)
{
	size_t length = parcel->head_length + parcel->tail_length;
	uint64_t deadline_ns = parcel->has_deadline ? parcel->deadline_ns
						    : send_inherited_ns();
	struct message *message = get_block(site, length, deadline_ns);
	struct local *sender = local_in_turn();

	if (!message)
		return NULL;
	fill_header(message, sender ? sender->turn.self : ROTA_NONE, parcel->to,
		    parcel->tag,
		    parcel->flags | (message->flags & MESSAGE_EXTENDED));
	if (length > SHORT_COPY)
		site_unlock(site);
	fill_payload(message, parcel);
	if (length > SHORT_COPY)
		site_lock(site);
	return message;
}

static void unpack(struct site *site, struct message *message)
{
	message_put(&site->engine->messages, site->cache->messages, message);
}

int send_refusal(const struct actor *actor, rota_id to)
{
	/* Relaxed: a moment old in any case. */
	return actor && signal_lives(AO_load(&actor->xsignal), to) ? -ESHUTDOWN
								   : -ESRCH;
}

int send_check_urgent(const struct actor *actor, rota_id to)
{
	/* [A1] pairs with make_live(); before the second look at the signal */
	const struct task_class *class =
		(const struct task_class *)AO_load_acquire(&actor->task.xclass);

	/* [A1] pairs with end_life(): the class was that life's */
	if (!signal_accepts(AO_load_acquire(&actor->xsignal), to))
		return send_refusal(actor, to);
	return behaviour_of(class)->flags & ROTA_TAKES_URGENT ? 0 : -EPERM;
}

/* ---- waiting for room ---- */

/* Enter the list of waiters; or push, if there is room by now. */
static int enter_queue(struct await *await, struct site *site)
{
	struct actor *target = await->target;
	enum mailbox_push pushed;
	struct cold *cold;
	int error;

	cold = cold_lock(site, target, await->to, true, &error);
	if (!cold)
		return error;
	/*
	 * Whoever raised a signal refuses those in the list after it.
	 * Relaxed: the lock orders, see end_waits().
	 */
	if (!signal_accepts(AO_load(&target->xsignal), await->to)) {
		cold_unlock(cold);
		return send_refusal(target, await->to);
	}
	pushed = mailbox_push_or_wait(&target->xmail, await->waiter.message,
				      actor_capacity(target));
	if (pushed == MAILBOX_FULL &&
	    desk_admits(cold, target, await->waiter.message)) {
		pushed = mailbox_push_over(&target->xmail,
					   await->waiter.message);
		if (!cold->room.first)
			mailbox_clear_waiters(&target->xmail);
	}
	if (pushed == MAILBOX_FULL)
		await_enter(await, cold, &cold->room);
	cold_unlock(cold);
	if (pushed == MAILBOX_IS_CLOSED)
		return send_refusal(target, await->to);
	if (pushed == MAILBOX_AWAKENED)
		site_schedule(site, target);
	return 0;
}

/*
 * The mailbox is full: wait for room with the message. On failure the message
 * is freed.
 */
static int wait_for_room(struct site *site, struct actor *target, rota_id to,
			 struct message *message, int64_t within)
{
	struct await await = {
		.edge = EDGE_ROOM,
		.to = to,
		.target = target,
		.waiter.message = message,
	};
	int error = await_begin(&await, within, site);

	if (await.turn)
		chain_look_again(await.turn);
	if (!error)
		error = await_end(&await, enter_queue(&await, site), site);
	if (error)
		unpack(site, message);
	return error;
}

/* ---- the general send ---- */

/*
 * A turn that sends to itself may hold the room it looks for: of messages that
 * it has finished and not given back yet.
 */
static bool makes_own_room(rota_id to)
{
	struct local *local = local_in_turn();

	if (!local || local->turn.self != to || local->turn.due == 0)
		return false;
	turn_settle(local);
	return true;
}

/* It is in the mailbox, or that was closed. */
static int end_push(struct site *site, struct actor *actor, rota_id to,
		    struct message *message, enum mailbox_push pushed)
{
	if (pushed == MAILBOX_IS_CLOSED) {
		unpack(site, message);
		return send_refusal(actor, to);
	}
	if (pushed == MAILBOX_AWAKENED)
		site_schedule(site, actor);
	return 0;
}

int send_push(struct site *site, struct actor *actor, rota_id to,
	      struct message *message, int64_t within)
{
	enum mailbox_push pushed =
		mailbox_push(&actor->xmail, message, actor_capacity(actor),
			     mailbox_flags_of(message));

	switch (pushed) {
	case MAILBOX_FULL:
		if (makes_own_room(to))
			return send_push(site, actor, to, message, within);
		if (unlikely(overflow_push(site, actor, to, message, &pushed)))
			return end_push(site, actor, to, message, pushed);
		if (within > 0)
			return wait_for_room(site, actor, to, message, within);
		unpack(site, message);
		return -EAGAIN;
	default:
		return end_push(site, actor, to, message, pushed);
	}
}

bool send_until(struct parcel *parcel, rota_deadline deadline)
{
	parcel->has_deadline = true;
	parcel->deadline_ns = deadline.ns;
	parcel->within = deadline.ns == CLOCK_NEVER
				 ? CLOCK_FOREVER
				 : clock_left(clock_ns(), deadline.ns);
	return parcel->within > 0;
}

int send_parcel(const struct parcel *parcel)
{
	struct message *message;
	struct actor *actor;
	struct site site;
	int error = site_enter(&site, parcel->to);

	if (error)
		return error;
	site.may_move = true;
	actor = engine_actor(site.engine, parcel->to);
	/* Relaxed: whoever pushes to a life that ends now gets it reported. */
	if (!actor || !signal_accepts(AO_load(&actor->xsignal), parcel->to)) {
		error = send_refusal(actor, parcel->to);
	} else if (parcel->flags & MESSAGE_URGENT &&
		   (error = send_check_urgent(actor, parcel->to)) != 0) {
		/* nothing was done */
	} else {
		message = pack(&site, parcel);
		error = message ? send_push(&site, actor, parcel->to, message,
					    parcel->within)
				: -ENOMEM;
	}
	site_leave(&site);
	/* In a callback on a worker, which cannot wait. */
	if (error == -EAGAIN && parcel->has_deadline)
		return -ETIMEDOUT;
	return error;
}

static int post(const struct parcel *parcel)
{
	if (parcel->tag > ROTA_MAX_TAG ||
	    (!parcel->head && parcel->head_length > 0) ||
	    (!parcel->tail && parcel->tail_length > 0))
		return -EINVAL;
	if (parcel->head_length > ROTA_MAX_PAYLOAD ||
	    parcel->tail_length > ROTA_MAX_PAYLOAD - parcel->head_length)
		return -EMSGSIZE;
	return send_parcel(parcel);
}

static int post_copy(rota_id to, unsigned tag, const void *payload,
		     size_t length, unsigned char flags, int64_t within)
{
	struct parcel parcel = {.to = to,
				.tag = tag,
				.head = payload,
				.head_length = length,
				.flags = flags,
				.within = within};

	return post(&parcel);
}

/* ---- the common case ---- */

/* Whatever send_small() does not do. */
static __attribute__((noinline)) int post_far(rota_id to, unsigned tag,
					      const void *payload,
					      size_t length, int64_t within)
{
	return post_copy(to, tag, payload, length, 0, within);
}

/*
 * What a small message is about: a tag and a payload, or, if @run is not NULL, a
 * function and its capture. All that takes them is inlined, and knows which.
 */
#define INLINED static inline __attribute__((always_inline))

INLINED bool is_small(unsigned tag, closure_run *run, const void *payload,
		      size_t length)
{
	if (length > (run ? CLOSURE_INLINE : MESSAGE_INLINE) ||
	    (!run && tag > ROTA_MAX_TAG))
		return false;
	return payload || length == 0;
}

INLINED void fill_small(struct message *message, rota_id to, unsigned tag,
			closure_run *run, const void *payload, size_t length)
{
	if (run) {
		message_set(message, id_generation(to), 0, MESSAGE_CLOSURE,
			    (unsigned)(length + sizeof(run)));
		closure_fill(message, run, payload, length);
	} else {
		message_set(message, id_generation(to), tag, 0,
			    (unsigned)length);
		message_copy_inline(message->payload, payload, length);
	}
}

INLINED int post_any(rota_id to, unsigned tag, closure_run *run,
		     const void *payload, size_t length, int64_t within)
{
	return run ? closure_post(to, run, payload, length, within)
		   : post_far(to, tag, payload, length, within);
}

/* A block out of the magazine with a small message in it, or NULL. */
INLINED struct message *make_small(struct local *local, rota_id to,
				   unsigned tag, closure_run *run,
				   const void *payload, size_t length)
{
	struct message *message = pool_try_get(&local->cache.messages[0]);

	if (unlikely(!message))
		return NULL;
	message->from = local->turn.self;
	fill_small(message, to, tag, run, payload, length);
	return message;
}

/* The actor of a small message, if it is of our engine and accepts it. */
INLINED struct actor *near_actor(const struct local *local, rota_id to)
{
	struct actor *actor = slabs_cell(local->actors, id_slot(to));

	/* Relaxed: as in post(). */
	return actor && signal_accepts(AO_load(&actor->xsignal), to) ? actor
								     : NULL;
}

/* Send it with a lease, which opens the chain; false: nothing was done. */
INLINED bool open_chain(struct local *local, rota_id to, unsigned tag,
			closure_run *run, const void *payload, size_t length)
{
	struct actor *actor = near_actor(local, to);
	struct message *message;

	if (unlikely(!actor))
		return false;
	message = make_small(local, to, tag, run, payload, length);
	if (unlikely(!message))
		return false;
	if (likely(chain_begin(local, actor, to, message)))
		return true;
	pool_put_back(&local->cache.messages[0], message);
	return false;
}

/* What is in the chain goes first. */
static __attribute__((noinline)) int
send_past_chain(rota_id to, unsigned tag, closure_run *run, const void *payload,
		size_t length, int64_t within)
{
	chain_flush(local_here());
	return post_any(to, tag, run, payload, length, within);
}

/* A chain is open: the message joins it, or makes it go first. */
INLINED int join_chain(rota_id to, unsigned tag, closure_run *run,
		       const void *payload, size_t length, int64_t within)
{
	struct local *local = local_here();
	struct message *message;
	enum chain_link link;

	if (unlikely(to != chain_receiver(local) ||
		     !is_small(tag, run, payload, length)))
		return send_past_chain(to, tag, run, payload, length, within);
	message = make_small(local, to, tag, run, payload, length);
	if (unlikely(!message))
		return send_past_chain(to, tag, run, payload, length, within);
	link = chain_link(local, to, message);
	if (likely(link == CHAIN_LINKED))
		return 0;
	if (link == CHAIN_IS_FULL)
		return chain_renew(local);
	pool_put_back(&local->cache.messages[0], message);
	return send_past_chain(to, tag, run, payload, length, within);
}

/*
 * A turn, a small payload, an actor of its own engine that has room, a block in
 * the magazine: all in one function that returns what others return, and so
 * keeps nothing in registers across a call. Where one of these does not hold,
 * nothing has been done, and post_any() does it or says why not. @noted: this
 * engine wants to know of sends in a row.
 */
INLINED int send_near(struct local *local, rota_id to, unsigned tag,
		      closure_run *run, const void *payload, size_t length,
		      int64_t within, bool noted)
{
	struct actor *actor = near_actor(local, to);
	struct message *message;
	enum mailbox_push pushed;

	if (unlikely(!actor))
		return post_any(to, tag, run, payload, length, within);
	message = make_small(local, to, tag, run, payload, length);
	if (unlikely(!message))
		return post_any(to, tag, run, payload, length, within);
	pushed = mailbox_push(&actor->xmail, message, actor_capacity(actor), 0);
	if (likely(pushed == MAILBOX_PUSHED)) {
		if (noted)
			chain_note(local, to);
		return 0;
	}
	if (likely(pushed == MAILBOX_AWAKENED)) {
		count_begun(&local->cache);
		worker_push_next_outside(&local->worker, &actor->task);
		return 0;
	}
	pool_put_back(&local->cache.messages[0], message);
	return post_any(to, tag, run, payload, length, within);
}

/* What is apart for the two kinds keeps as little in registers as it can. */
#define APART static __attribute__((noinline))

APART int message_joins(rota_id to, unsigned tag, const void *payload,
			size_t length, int64_t within)
{
	return join_chain(to, tag, NULL, payload, length, within);
}

APART int cast_joins(rota_id to, closure_run *run, const void *capture,
		     size_t length, int64_t within)
{
	return join_chain(to, 0, run, capture, length, within);
}

/* Where sends do not take the common way and no chain is open. */
INLINED int send_aside(rota_id to, unsigned tag, closure_run *run,
		       const void *payload, size_t length, int64_t within)
{
	struct local *local = local_here();

	if (unlikely(!local || local->near != NEAR_NOTED ||
		     local->number != id_engine(to) ||
		     !is_small(tag, run, payload, length)))
		return post_any(to, tag, run, payload, length, within);
	if (unlikely(chain_is_due(local, to)) &&
	    likely(open_chain(local, to, tag, run, payload, length)))
		return 0;
	chain_looks(local);
	return send_near(local, to, tag, run, payload, length, within, true);
}

APART int message_aside(rota_id to, unsigned tag, const void *payload,
			size_t length, int64_t within)
{
	return send_aside(to, tag, NULL, payload, length, within);
}

APART int cast_aside(rota_id to, closure_run *run, const void *capture,
		     size_t length, int64_t within)
{
	return send_aside(to, 0, run, capture, length, within);
}

INLINED int send_small(rota_id to, unsigned tag, closure_run *run,
		       const void *payload, size_t length, int64_t within)
{
	struct local *local = local_here();

	if (likely(local && local->near == id_engine(to) &&
		   is_small(tag, run, payload, length)))
		return send_near(local, to, tag, run, payload, length, within,
				 false);
	if (local && local->chain.is_open)
		return run ? cast_joins(to, run, payload, length, within)
			   : message_joins(to, tag, payload, length, within);
	return run ? cast_aside(to, run, payload, length, within)
		   : message_aside(to, tag, payload, length, within);
}

int rota_send(rota_id to, unsigned tag, const void *payload, size_t length)
{
	return send_small(to, tag, NULL, payload, length, ROTA_FOREVER);
}

int rota_try_send(rota_id to, unsigned tag, const void *payload, size_t length)
{
	return send_small(to, tag, NULL, payload, length, ROTA_NOW);
}

int rota_send_within(rota_id to, unsigned tag, const void *payload,
		     size_t length, int64_t within)
{
	return send_small(to, tag, NULL, payload, length, within);
}

int rota_cast_bytes(rota_id to, rota_function *function, const void *capture,
		    size_t length, int64_t within)
{
	if (!function)
		return -EINVAL;
	return send_small(to, 0, function, capture, length, within);
}

int rota_send_until(rota_id to, unsigned tag, const void *payload,
		    size_t length, rota_deadline deadline)
{
	return rota_send_parts_until(to, tag, payload, length, NULL, 0, 0,
				     deadline);
}

int rota_send_urgent(rota_id to, unsigned tag, const void *payload,
		     size_t length)
{
	return post_copy(to, tag, payload, length, MESSAGE_URGENT,
			 ROTA_FOREVER);
}

static struct parcel parts(rota_id to, unsigned tag, const void *head,
			   size_t head_length, const void *tail,
			   size_t tail_length, unsigned flags)
{
	return (struct parcel){.to = to,
			       .tag = tag,
			       .head = head,
			       .head_length = head_length,
			       .tail = tail,
			       .tail_length = tail_length,
			       .flags = flags ? MESSAGE_URGENT : 0};
}

int rota_send_parts(rota_id to, unsigned tag, const void *head,
		    size_t head_length, const void *tail, size_t tail_length,
		    unsigned flags, int64_t within)
{
	struct parcel parcel =
		parts(to, tag, head, head_length, tail, tail_length, flags);

	if (flags & ~ROTA_URGENT)
		return -EINVAL;
	parcel.within = within;
	return post(&parcel);
}

int rota_send_parts_until(rota_id to, unsigned tag, const void *head,
			  size_t head_length, const void *tail,
			  size_t tail_length, unsigned flags,
			  rota_deadline deadline)
{
	struct parcel parcel =
		parts(to, tag, head, head_length, tail, tail_length, flags);

	if (flags & ~ROTA_URGENT)
		return -EINVAL;
	return send_until(&parcel, deadline) ? post(&parcel) : -ETIMEDOUT;
}

/* ---- moved buffers ---- */

/* The message in hand, if it carries this buffer. */
static struct message *in_hand(const void *buffer)
{
	struct local *local = local_in_turn();
	struct message *message = local ? local->turn.message : NULL;

	if (!message || (message->flags & (MESSAGE_OWNED | MESSAGE_CLOSURE)) !=
				MESSAGE_OWNED)
		return NULL;
	return message_owned(message).buffer == buffer ? message : NULL;
}

/* One that is no closure, and so no request. */
static void own(struct message *held, bool owns)
{
	unsigned flags = held->flags & ~(unsigned)MESSAGE_OWNED;

	message_set(held, held->generation, held->tag,
		    owns ? flags | MESSAGE_OWNED : flags,
		    owns ? sizeof(struct owned) : 0);
}

/*
 * The buffer in hand is the handler's from now on: the message carries nothing.
 * Not if the actor was abandoned; then it stays where it was reported to be.
 */
static int detach(struct local *local, struct message *held)
{
	AO_t was = worker_enter_hand(&local->worker);
	int error = 0;

	if (local->turn.marks & TURN_ABANDONED)
		error = -ECANCELED;
	else if (!(held->flags & MESSAGE_CLOSURE))
		own(held, false);
	else if (!closure_keep(held))
		error = -EINVAL;
	worker_leave_hand(&local->worker, was);
	return error;
}

static void attach(struct local *local, struct message *held)
{
	AO_t was = worker_enter_hand(&local->worker);

	own(held, true);
	worker_leave_hand(&local->worker, was);
}

static int send_own(struct parcel *parcel, struct owned owned)
{
	struct message *held = in_hand(owned.buffer);
	/* Before: once it is sent the receiver may have dropped it. */
	int error = !owned.buffer && owned.length > 0 ? -EINVAL
		    : held ? detach(local_here(), held)
			   : 0;

	if (error)
		return error;
	parcel->head = &owned;
	parcel->head_length = sizeof(owned);
	parcel->flags |= MESSAGE_OWNED;
	error = post(parcel);
	if (error && held)
		attach(local_again(), held); /* it may have moved */
	return error;
}

int rota_send_own(rota_id to, unsigned tag, void *buffer, size_t length,
		  void (*drop)(void *buffer, size_t length), int64_t within)
{
	struct parcel parcel = {.to = to, .tag = tag, .within = within};

	return send_own(&parcel, (struct owned){buffer, length, drop});
}

int rota_send_own_urgent(rota_id to, unsigned tag, void *buffer, size_t length,
			 void (*drop)(void *buffer, size_t length),
			 int64_t within)
{
	struct parcel parcel = {.to = to,
				.tag = tag,
				.flags = MESSAGE_URGENT,
				.within = within};

	return send_own(&parcel, (struct owned){buffer, length, drop});
}

int rota_send_own_until(rota_id to, unsigned tag, void *buffer, size_t length,
			void (*drop)(void *buffer, size_t length),
			rota_deadline deadline)
{
	struct parcel parcel = {.to = to, .tag = tag};

	if (!send_until(&parcel, deadline))
		return -ETIMEDOUT;
	return send_own(&parcel, (struct owned){buffer, length, drop});
}

int rota_keep(void)
{
	struct local *local = local_in_turn();
	struct message *message = local ? local->turn.message : NULL;

	if (!message || !(message->flags & MESSAGE_OWNED))
		return -EINVAL;
	return detach(local, message);
}
