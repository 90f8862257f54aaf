/* SPDX-License-Identifier: MIT */
/*
 * run - an actor's turn, from the first message to its end
 *
 * Problem:    most turns handle one message and then have nothing to do; that
 *             case must cost two read-modify-writes per message, its sender's
 *             included. The others must not pay for it.
 * Approach:   peek: a turn that finds exactly one message handles it in place;
 *             then one CAS takes it and goes idle, and the block is freed. If
 *             the CAS fails, something came on top (or somebody waits for
 *             room): the message is taken with all others, cut off, and the
 *             rest is a batch. All else is a batch: take all, split by lane,
 *             handle, give back the room of finished messages when a quarter
 *             of the capacity is due, and at the end in the CAS that goes
 *             idle.
 *             A handler that waits first settles: what it has in hand is taken
 *             out, what is due is given back.
 * Invariants: I1 between two turns local->turn.self is ROTA_NONE.
 *             I2 turn.peeked != 0 <=> the message in hand is still linked.
 *             I3 turn.due counted messages are finished and still in count.
 * Orderings:  [X1] [X2] of mailbox.c: nothing else is shared here.
 */
#include "core/run.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/abandon.h"
#include "core/asking.h"
#include "core/await.h"
#include "core/blocking.h"
#include "core/chain.h"
#include "core/cold.h"
#include "core/flush.h"
#include "core/overflow.h"
#include "core/process.h"
#include "core/reads.h"
#include "core/reply.h"
#include "mailbox/closure.h"
#include "mailbox/lane.h"

/* Looked at more closely before they are handled. */
#define MESSAGE_SPECIAL (MESSAGE_TIMER | MESSAGE_FLUSH)

#define TURN_MESSAGES 64 /* a turn ends after so many messages */
#define TURN_NS 100000	 /* or after about so long */
#define CLOCK_STRIDE 16	 /* messages between two looks at the clock */

/* ---- giving back room ---- */

void turn_grant(struct local *local)
{
	struct actor *actor = local->turn.actor;
	struct cold *cold = cold_lock_own(local);
	struct waiter *chain;

	if (!cold)
		return;
	chain = waiters_grant(&cold->room, &actor->xmail,
			      actor_capacity(actor));
	cold_unlock(cold);
	waiters_finish(chain, 0);
}

void turn_give_back(struct local *local)
{
	struct turn *turn = &local->turn;
	unsigned due = turn->due;

	turn_set_due(turn, 0);
	if (due > 0 && mailbox_credit(&turn->actor->xmail, due))
		turn_grant(local);
}

/* ---- messages ---- */

void message_discard(struct engine *engine, struct cache *cache,
		     struct message *message)
{
	if (unlikely(message->flags & MESSAGE_TIMER))
		timer_put(engine, cache, message);
	else
		message_put(&engine->messages, cache->messages, message);
}

static __thread unsigned n_asides; /* of a thread that is no worker */

bool aside_in_thread(void)
{
	return n_asides > 0;
}

struct aside aside_begin(void)
{
	struct local *local = local_here();
	struct aside aside = {.local = local};

	if (!local) {
		n_asides++;
		return aside;
	}
	aside.in_hand = worker_is_in_hand(&local->worker);
	if (!aside.in_hand) { /* user code has called us */
		aside.is_nested =
			(turn_marks(local, TURN_ASIDE, 0) & TURN_ASIDE) != 0;
		return aside;
	}
	aside.is_nested = (local->turn.marks & TURN_ASIDE) != 0;
	local->turn.marks |= TURN_ASIDE;
	worker_step_out(&local->worker);
	return aside;
}

void aside_end(struct aside aside)
{
	struct local *local = aside.local;
	uint32_t clear = aside.is_nested ? 0 : TURN_ASIDE;

	if (!local) {
		n_asides--;
		return;
	}
	if (!aside.in_hand) {
		turn_marks(local, 0, clear);
		return;
	}
	worker_step_in(&local->worker);
	local->turn.marks &= ~clear;
	chain_close(local);
}

static void drop_owned(struct message *message)
{
	struct aside aside;
	struct owned owned;

	if (message->flags & MESSAGE_CLOSURE) {
		aside = aside_begin();
		closure_end(message);
		aside_end(aside);
		return;
	}
	owned = message_owned(message);
	if (!owned.drop)
		return;
	aside = aside_begin();
	owned.drop(owned.buffer, owned.length);
	aside_end(aside);
}

/* What it brought, as its sender knows it. */
static void tell_content(struct rota_dead_letter *letter,
			 struct message *message)
{
	if (message->flags & MESSAGE_CLOSURE) {
		letter->tag = CLOSURE_TAG;
		letter->function = closure_function(message);
		letter->payload = closure_capture(message);
		letter->length = closure_length(message);
	} else if (message->flags & MESSAGE_OWNED) {
		struct owned owned = message_owned(message);

		letter->payload = owned.buffer;
		letter->length = owned.length;
	}
}

struct rota_dead_letter letter_of(struct message *message, rota_id to,
				  enum rota_dead_cause cause)
{
	struct rota_dead_letter letter = {
		.to = to,
		.from = message->from,
		.cause = cause,
		.tag = message->tag,
		.payload = message_payload(message),
		.length = message_length(message),
	};

	tell_content(&letter, message);
	return letter;
}

static void count_letter(struct cache *cache, enum rota_dead_cause cause)
{
	count(&cache->counters.xdead[cause], 1);
	count(&cache->counters.xdead[0], 1);
}

static void call_back(const struct engine *engine,
		      const struct rota_dead_letter *letter)
{
	struct aside aside = aside_begin();

	engine->config.dead_letter(engine->config.context, letter);
	aside_end(aside);
}

void letter_tell(struct site *site, const struct rota_dead_letter *letter)
{
	count_letter(site->cache, letter->cause);
	if (!site->engine->config.dead_letter)
		return;
	site_unlock(site);
	call_back(site->engine, letter);
	site_lock(site);
}

void message_drop(struct site *site, struct message *message)
{
	if (message->flags & MESSAGE_OWNED) {
		site_unlock(site);
		drop_owned(message);
		site_lock(site);
	}
	message_discard(site->engine, site->cache, message);
}

void message_bury(struct site *site, struct message *message, rota_id to,
		  enum rota_dead_cause cause)
{
	struct rota_dead_letter letter = letter_of(message, to, cause);

	letter_tell(site, &letter);
	if (unlikely(message->flags & MESSAGE_EXTENDED))
		reply_refuse(site, message, cause);
	message_drop(site, message);
}

void dead_letter(struct engine *engine, struct cache *cache,
		 struct message *message, rota_id to,
		 enum rota_dead_cause cause)
{
	struct site site = {
		.engine = engine, .cache = cache, .local = local_here()};

	message_bury(&site, message, to, cause);
}

void dead_letter_outside(struct site *site, struct message *message, rota_id to,
			 enum rota_dead_cause cause)
{
	struct rota_dead_letter letter = letter_of(message, to, cause);

	count_letter(site->cache, cause);
	site_step_out(site);
	if (site->engine->config.dead_letter)
		call_back(site->engine, &letter);
	site_step_in(site);
	message_discard(site->engine, site->cache, message);
}

/* Everything in the mailbox goes behind what was taken before. */
static inline void take_all(struct actor *actor)
{
	bool has_urgent;
	struct message *newest = mailbox_take(&actor->xmail, &has_urgent);

	lanes_fill(&actor->normal, &actor->urgent, newest, has_urgent);
}

/*
 * This was in the mailbox: it goes behind what was taken before. A message
 * that is handled in place is the oldest of it, and is cut off; it stays in
 * hand and counted.
 */
void actor_absorb(struct actor *actor, struct message *in_place,
		  struct message *newest, bool has_urgent)
{
	struct message *above = NULL, *message;

	if (in_place) {
		for (message = newest; message != in_place;
		     message = message->next)
			above = message;
		if (!above)
			return;
		above->next = NULL;
	}
	lanes_fill(&actor->normal, &actor->urgent, newest, has_urgent);
}

static void absorb(struct local *local, struct message *newest, bool has_urgent)
{
	struct turn *turn = &local->turn;
	struct message *in_place = turn->peeked ? turn->message : NULL;

	turn->peeked = 0;
	actor_absorb(turn->actor, in_place, newest, has_urgent);
}

/* ---- the end of a turn ---- */

/* One message of a life that ends. */
static void bury_one(struct site *site, struct actor *actor, rota_id id,
		     struct message *message)
{
	uint32_t generation = message->generation & MESSAGE_GENERATION;

	if (message->flags & MESSAGE_FLUSH)
		flush_take(site, actor, id, message, -ESRCH);
	else if ((message->flags & MESSAGE_TIMER) && !timer_take(message))
		message_discard(site->engine, site->cache, message);
	else if (generation == id_generation(id))
		message_bury(site, message, id, ROTA_DEAD_STOPPED);
	else
		message_bury(site, message,
			     id_make(id_engine(id), actor->slot, generation),
			     ROTA_DEAD_NO_ACTOR);
}

unsigned actor_bury(struct site *site, struct actor *actor, rota_id id)
{
	struct message *message;
	unsigned n_counted = 0;

	for (;;) {
		message = lane_pop(&actor->urgent);
		if (!message)
			message = lane_pop(&actor->normal);
		if (!message)
			return n_counted;
		n_counted += !(message->flags & MESSAGE_UNCOUNTED);
		bury_one(site, actor, id, message);
	}
}

/* Those who wait for room wait in vain. */
static void refuse_waiters(struct local *local, int error_to_waiters)
{
	struct cold *cold = cold_lock_own(local);
	struct waiter *chain;

	if (!cold)
		return;
	chain = waiters_claim_all(&cold->room);
	if (chain)
		mailbox_clear_waiters(&local->turn.actor->xmail);
	cold_unlock(cold);
	waiters_finish(chain, error_to_waiters);
}

/* Accept nothing more, as the flags say, and take what is there. */
static void shut_mailbox(struct local *local, AO_t flags, int error_to_waiters)
{
	AO_t *xmail = &local->turn.actor->xmail;
	AO_t word;

	/* Relaxed: only we set them. */
	if ((AO_load(xmail) & flags) == flags)
		return;
	word = mailbox_close(xmail, flags);
	absorb(local, mailbox_newest(word), (word & MAILBOX_URGENT) != 0);
	if (unlikely(word & MAILBOX_WAITERS))
		refuse_waiters(local, error_to_waiters);
}

void turn_shut(struct local *local)
{
	AO_t was = worker_enter_hand(&local->worker);

	if (likely(!(local->turn.marks & TURN_ABANDONED)))
		shut_mailbox(local, MAILBOX_CLOSED, -ESHUTDOWN);
	worker_leave_hand(&local->worker, was);
}

/* The one CAS that ends a life; its last signals and cold block. */
static AO_t end_life(struct actor *actor)
{
	/* Relaxed: the CAS re-checks it. */
	AO_t signal = AO_load(&actor->xsignal);

	for (;;) {
		AO_t next = (AO_t)(signal_generation(signal) + 1) << 8;
		/* [A1] pairs with cold_lock() and actor_signal() */
		AO_t seen = AO_fetch_compare_and_swap_full(&actor->xsignal,
							   signal, next);

		if (seen == signal)
			return signal;
		signal = seen;
	}
}

/* @last: the signal word of the life that is over. */
static __attribute__((noinline)) void
wake_joiners(struct site *site, const struct actor *actor, AO_t last)
{
	struct engine *engine = site->engine;
	struct cold *cold = cold_at(engine, signal_cold(last));
	rota_id id =
		id_make(engine->number, actor->slot, signal_generation(last));
	struct promises *promises = cold->promises;
	struct deadlock *deadlock;
	struct waiter *chain, *room;
	struct desk *desk;

	spin_lock(&cold->xlock);
	cold->promises = NULL;
	ask_release_behalf(cold);
	deadlock = cold->deadlock;
	cold->deadlock = NULL;
	/* Whoever locks the block from now on sees that the life is over. */
	cold->owner = 0;
	desk = cold->desk;
	cold->desk = NULL;
	chain = waiters_claim_all(&cold->joiners);
	room = waiters_claim_all(&cold->room);
	spin_unlock(&cold->xlock);
	site_unlock(site); /* a wake-up may be a system call */
	waiters_finish(room, -ESRCH);
	free(deadlock);
	site_lock(site);
	promises_break(site, promises, id);
	site_unlock(site);
	waiters_finish(chain, 0);
	site_lock(site);
	desk_free(engine, site->cache, desk);
	cold_release(engine, site->cache, cold);
}

static inline void end_and_tell(struct site *site, struct actor *actor,
				enum rota_exit_cause cause, int reason)
{
	AO_t last;

	/* Relaxed: end_life() publishes it. */
	AO_store(&actor->xended, exit_pack(cause, reason));
	last = end_life(actor);
	if (signal_cold(last))
		wake_joiners(site, actor, last);
}

void actor_end_life(struct site *site, struct actor *actor,
		    enum rota_exit_cause cause, int reason)
{
	end_and_tell(site, actor, cause, reason);
}

/* The next life may begin. */
static inline void free_slot(struct engine *engine, struct cache *cache,
			     struct actor *actor)
{
	unsigned class = ((struct behaviour *)actor->task.class)->cell_class;
	/* Relaxed: the slot is ours. */
	uint32_t generation = signal_generation(AO_load(&actor->xsignal));

	/* The last generation is never given out: the slot is retired. */
	if (generation >= ID_MAX_GENERATION) {
		count(&cache->counters.xretired, 1);
		return;
	}
	pool_put(&engine->cells[class], &cache->cells[class], actor);
}

void actor_free_slot(struct engine *engine, struct cache *cache,
		     struct actor *actor)
{
	free_slot(engine, cache, actor);
}

/*
 * Nobody runs the actor any more. @leased: there may be room that is leased to
 * a chain; then who gives back the last of it frees the slot.
 */
static void leave_slot(struct local *local, struct actor *actor, bool leased)
{
	AO_t word;

	if (unlikely(leased)) {
		/* [X2] pairs with actor_free_leased(): one of the two frees */
		word = AO_fetch_and_add_full(&actor->xmail, -MAILBOX_SCHEDULED);
		if (mailbox_count(word) > 0)
			return;
	}
	free_slot(local->engine, &local->cache, actor);
}

void actor_free_leased(struct site *site, struct actor *actor, AO_t word)
{
	if (mailbox_count(word) == 0 && !(word & MAILBOX_SCHEDULED))
		actor_free_slot(site->engine, site->cache, actor);
}

/*
 * The mailbox of a life that is over: closed, and @n counted messages less. True
 * if some of its room is leased still.
 */
static bool settle_mailbox(struct actor *actor, unsigned n)
{
	/* Relaxed: it is closed; only leases still change it. */
	AO_t word = AO_load(&actor->xmail);

	assert(mailbox_count(word) >= n);
	if (likely(mailbox_count(word) == n)) {
		/* [X2] pairs with mailbox_push(): closed, not scheduled */
		AO_store_release(&actor->xmail, MAILBOX_CLOSED);
		return false;
	}
	/* [X2] as mailbox_credit() */
	AO_fetch_and_add_full(&actor->xmail, -(n * MAILBOX_ONE));
	return true;
}

static enum rota_exit_cause exit_cause(enum turn_cause cause)
{
	switch (cause) {
	case TURN_FAILED:
		return ROTA_EXIT_FAILED;
	case TURN_CANCELLED:
		return ROTA_EXIT_STOPPED;
	case TURN_KILLED:
		return ROTA_EXIT_ENGINE;
	default:
		return ROTA_EXIT_NORMAL;
	}
}

void actor_destroy(struct actor *actor)
{
	struct behaviour *behaviour = (struct behaviour *)actor->task.class;
	struct aside aside;

	if (!behaviour->destroy)
		return;
	aside = aside_begin();
	behaviour->destroy(actor_state(actor));
	aside_end(aside);
}

/* The actor ends: mailbox, leftovers, destructor, name, those who wait. */
static void end_actor(struct local *local, enum turn_cause cause, int reason)
{
	struct actor *actor = local->turn.actor;
	struct site site = site_of(local);
	unsigned n_buried;
	bool leased;

	shut_mailbox(local, MAILBOX_CLOSED | MAILBOX_ENDED, -ESRCH);
	/* Relaxed: our own life. */
	if (unlikely(signal_cold(AO_load(&actor->xsignal)) != 0))
		process_end(local);
	/* destroy() has none in hand, not even one of an earlier turn. */
	turn_set_message(&local->turn, NULL);
	n_buried = actor->urgent || actor->normal
			   ? actor_bury(&site, actor, local->turn.self)
			   : 0;
	actor_destroy(actor);
	if (local->turn.marks & TURN_ASKS) /* in destroy() */
		asking_end_handler(local);
	if (local->turn.marks & TURN_WAITED) /* likewise */
		turn_leaves_wait(local);
	if (local->turn.marks & TURN_BLOCKS) /* likewise */
		blocking_repair(local);
	/* Before the life ends: a next life in this slot starts from here. */
	leased = settle_mailbox(actor, n_buried + local->turn.due);
	end_and_tell(&site, actor, exit_cause(cause), reason);
	leave_slot(local, actor, leased);
	if (unlikely(local->worker.home != NULL))
		home_leave(&local->worker);
	/* Last: a stop that sees it counted takes the engine away. */
	count(&local->cache.counters.xended, 1);
	count_done(&local->cache);
}

void turn_end(struct local *local, enum turn_cause cause, int reason)
{
	if (unlikely(local->turn.marks & TURN_WAITED))
		turn_leaves_wait(local);
	if (unlikely(cause != TURN_RETURNED))
		end_actor(local, cause, reason);
	chain_close(local); /* of callbacks that sent something */
	turn_set_self(&local->turn, ROTA_NONE);
	turn_set_message(&local->turn, NULL);
}

/* ---- one message ---- */

static int call_owned(struct behaviour *behaviour, struct actor *actor,
		      struct message *message)
{
	struct owned owned = message_owned(message);

	return behaviour->handle(actor_state(actor), message->tag, owned.buffer,
				 owned.length);
}

static int call_closure(struct actor *actor, struct message *message)
{
	void *capture = closure_capture(message);

	return closure_function(message)(actor_state(actor), capture);
}

/* A request without a deadline, of a turn in this engine, that is open: it has
   begun. */
static inline bool begins(struct local *local,
			  const struct message_extension *request)
{
	return request->deadline_ns == CLOCK_NEVER && request->token &&
	       id_engine(request->token) == local->number &&
	       ask_try_begin(local, request->token);
}

/*
 * The same, and more, for a message that is OWNED, EXTENDED or a CLOSURE. @flags:
 * those of them that it has; where they are known the rest is left out.
 */
static inline int call_any(struct local *local, struct actor *actor,
			   struct message *message, unsigned flags)
{
	struct behaviour *behaviour = (struct behaviour *)actor->task.class;
	struct message_extension *request = NULL;
	int result;

	if (flags & MESSAGE_EXTENDED) {
		request = message_extension(message);
		if (unlikely(!begins(local, request))) {
			local->refused = reply_begin(local, message);
			if (local->refused)
				return ROTA_UNKNOWN;
			if (request->deadline_ns != CLOCK_NEVER)
				local->near = NEAR_NONE;
			if (!request->token)
				request = NULL;
		}
	}
	worker_step_out(&local->worker);
	if (flags & MESSAGE_CLOSURE)
		result = call_closure(actor, message);
	else if (flags & MESSAGE_OWNED)
		result = call_owned(behaviour, actor, message);
	else
		result = behaviour->handle(actor_state(actor), message->tag,
					   message_payload(message),
					   message_length(message));
	worker_step_in(&local->worker);
	chain_close(local);
	local->near = local->usual;
	local->refused = 0; /* of another turn, if this one has waited */
	/* If it is not in hand any more it has been answered. Whoever asked one
	   that was abandoned is told by who did that. */
	if (!request || local->turn.marks & (TURN_SWAPPED | TURN_ABANDONED))
		return result;
	if (!request->token && result != ROTA_UNKNOWN) /* likewise */
		return 0;
	return reply_end(local, message, result);
}

__attribute__((noinline)) int
turn_call(struct local *local, struct actor *actor, struct message *message)
{
	return call_any(local, actor, message, message->flags);
}

/* Call the handler with the message in hand; what it sent is out then. */
static inline int call_handler(struct local *local, struct actor *actor,
			       struct message *message)
{
	struct behaviour *behaviour = (struct behaviour *)actor->task.class;
	int result;

	if (unlikely(message->flags &
		     (MESSAGE_OWNED | MESSAGE_EXTENDED | MESSAGE_CLOSURE))) {
		if (message->flags != MESSAGE_CLOSURE)
			return turn_call(local, actor, message);
		worker_step_out(&local->worker);
		result = closure_call(message, actor_state(actor));
	} else {
		worker_step_out(&local->worker);
		result = behaviour->handle(actor_state(actor), message->tag,
					   message_plain_payload(message),
					   message_length(message));
	}
	worker_step_in(&local->worker);
	chain_close(local);
	return result;
}

/* The same for a plain message, which @head says it is. But what TURN_CHAINS
   tells of is still to go out. */
static inline int call_plain(struct local *local, struct actor *actor,
			     struct message *message, AO_t head)
{
	struct behaviour *behaviour = (struct behaviour *)actor->task.class;
	int result;

	turn_set_message(&local->turn, message);
	actor_count(actor);
	worker_step_out(&local->worker);
	result = behaviour->handle(actor_state(actor), message_head_tag(head),
				   message->payload, message_head_size(head));
	worker_step_in(&local->worker);
	return result;
}

/* The message in hand has been taken out and is finished. */
static void finish_message(struct local *local, struct message *message,
			   int result)
{
	struct turn *turn = &local->turn;

	turn_set_message(turn, NULL);
	if (likely(!(message->flags & MESSAGE_UNCOUNTED)))
		turn_set_due(turn, turn->due + 1);
	else
		overflow_credit(local, message);
	if (unlikely(result == ROTA_UNKNOWN)) {
		enum rota_dead_cause cause = ROTA_DEAD_UNKNOWN;

		if (message->flags & MESSAGE_EXTENDED && local->refused)
			cause = local->refused;
		dead_letter(local->engine, &local->cache, message, turn->self,
			    cause);
		return;
	}
	count(&local->cache.counters.xmessages, 1);
	if (unlikely(message->flags & MESSAGE_OWNED))
		drop_owned(message);
	message_discard(local->engine, &local->cache, message);
}

/* To whom a message was sent that this slot's present owner does not get. */
static rota_id addressee(const struct local *local,
			 const struct message *message)
{
	return id_make(local->number, local->turn.actor->slot,
		       message->generation & MESSAGE_GENERATION);
}

/* Is this message for the present life, and still wanted? Else it is gone. */
static __attribute__((noinline)) bool reject_or_accept(struct local *local,
						       struct message *message)
{
	struct turn *turn = &local->turn;

	if (message->flags & MESSAGE_FLUSH) {
		flush_take(&(struct site){.engine = local->engine,
					  .cache = &local->cache,
					  .local = local},
			   turn->actor, turn->self, message, 0);
		return false;
	}
	if (unlikely(message->flags & MESSAGE_TIMER) && !timer_take(message)) {
		if (!(message->flags & MESSAGE_UNCOUNTED))
			turn_set_due(turn, turn->due + 1);
		message_discard(local->engine, &local->cache, message);
		return false;
	}
	if (likely((message->generation & MESSAGE_GENERATION) ==
		   id_generation(turn->self)))
		return true;
	if (!(message->flags & MESSAGE_UNCOUNTED))
		turn_set_due(turn, turn->due + 1);
	dead_letter(local->engine, &local->cache, message,
		    addressee(local, message), ROTA_DEAD_NO_ACTOR);
	return false;
}

/* For this life, and with none of these flags. */
static inline bool is_ordinary(const struct local *local,
			       const struct message *message, unsigned special)
{
	return !(message->flags & special) &&
	       (message->generation & MESSAGE_GENERATION) ==
		       id_generation(local->turn.self);
}

static inline bool accept_message(struct local *local, struct message *message)
{
	return likely(is_ordinary(local, message, MESSAGE_SPECIAL)) ||
	       reject_or_accept(local, message);
}

/* ---- a batch ---- */

/* What is left of a turn's share, in messages. */
struct share {
	unsigned until_look; /* looks at all that follows are not for each */
	unsigned step;	     /* between the last look and the next */
	unsigned left;
	unsigned until_clock;
	unsigned quarter; /* of the mailbox: so many are due at most */
	bool is_extended;
	uint64_t start_ticks;
};

/* How many messages of this class may pass between two looks at the clock. */
static unsigned clock_stride(const struct actor *actor)
{
	/* Relaxed: an estimate. */
	AO_t mean = AO_load(&actor->task.class->xmean_ns);

	return mean > TURN_NS / CLOCK_STRIDE || mean == 0 ? 1 : CLOCK_STRIDE;
}

static unsigned smaller(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* When is there something to look at again? */
static void share_step(struct share *share, unsigned due)
{
	share->step = smaller(share->left, share->until_clock);
	if (due < share->quarter)
		share->step = smaller(share->step, share->quarter - due);
	share->until_look = share->step;
}

static struct share share_begin(const struct actor *actor)
{
	struct share share = {
		.left = TURN_MESSAGES,
		.until_clock = clock_stride(actor),
		.quarter = (actor_capacity(actor) + 3) / 4,
	};

	share_step(&share, 0);
	return share;
}

static bool clock_says_enough(struct share *share)
{
	uint64_t now = clock_ticks();

	if (share->start_ticks == 0)
		share->start_ticks = now;
	return (now - share->start_ticks) * 1024 / clock_ticks_per_1024ns() >=
	       TURN_NS;
}

/*
 * The share is used up, but what is left is little or nothing: to see to it now
 * costs less than to queue again for it. Once in a turn. And who was just given
 * room finds an empty mailbox then, not one that is waited for again at once.
 */
static bool extend_share(struct local *local, struct share *share)
{
	/* Relaxed: an estimate. */
	unsigned n = mailbox_count(AO_load(&local->turn.actor->xmail)) -
		     local->turn.due;

	if (share->is_extended || n > TURN_MESSAGES / 4)
		return false;
	share->is_extended = true;
	share->left = n + 1;
	return true;
}

/* Some messages later: give back room, and see whether the share is used up. */
static __attribute__((noinline)) bool look_at_share(struct local *local,
						    struct share *share)
{
	share->left -= share->step;
	share->until_clock -= share->step;
	if (local->turn.due >= share->quarter)
		turn_give_back(local);
	if (unlikely(worker_is_stuck(&local->worker)) ||
	    (share->left == 0 && !extend_share(local, share)))
		return true;
	if (share->until_clock == 0) {
		share->until_clock = clock_stride(local->turn.actor);
		if (clock_says_enough(share))
			return true;
	}
	share_step(share, local->turn.due);
	return false;
}

static inline bool share_is_used(struct local *local, struct share *share)
{
	return unlikely(--share->until_look == 0) &&
	       look_at_share(local, share);
}

static inline bool has_failed(int result)
{
	return result < 0 && result != ROTA_UNKNOWN;
}

/* The message has come to its end; so may the actor. */
static __attribute__((noinline)) enum batch
end_message(struct local *local, struct message *message, int result)
{
	struct turn *turn = &local->turn;
	bool failed = has_failed(result);

	chain_close(local);
	if (turn->marks & TURN_ASKS)
		asking_end_handler(local);
	if (turn->marks & TURN_BLOCKS)
		blocking_repair(local);
	if (turn->marks & TURN_ABANDONED) {
		abandoned_returns(local);
		turn_end(local, TURN_RETURNED, 0);
		return BATCH_ENDED;
	}
	if (turn->marks & TURN_SWAPPED) {
		local->near = local->usual; /* its deadline goes with it */
		message = process_message(local);
		if (message && message->flags & MESSAGE_EXTENDED &&
		    message_extension(message)->token != 0)
			result = reply_end(local, message, result);
		failed = has_failed(result);
	}
	if (!failed && !(turn->marks & TURN_STOPS)) {
		if (message)
			finish_message(local, message, result);
		if (!(turn->marks & TURN_SIFTS))
			return BATCH_GOES_ON;
		process_go_on(local);
		return BATCH_ENDED;
	}
	/* First: the message may lie in the mailbox still. */
	shut_mailbox(local, MAILBOX_CLOSED | MAILBOX_ENDED, -ESRCH);
	if (message)
		finish_message(local, message, result);
	turn_end(local, failed ? TURN_FAILED : TURN_STOPPED,
		 failed ? result : turn->reason);
	return BATCH_ENDED;
}

/* A counted message with no more than these needs nothing at its end. */
#define FLAGS_IN_PLACE (MESSAGE_EXTENDED | MESSAGE_CLOSURE | MESSAGE_READ)

static inline void put_plain(struct local *local, struct message *message)
{
	if (unlikely(!pool_try_put(&local->cache.messages[0], POOL_BATCH,
				   message)))
		pool_put(&local->engine->messages.of[0],
			 &local->cache.messages[0], message);
}

/* What a handler may have done that does not end a message as usual. */
#define MARKS_UNUSUAL                                          \
	(TURN_STOPS | TURN_ASKS | TURN_BLOCKS | TURN_SWAPPED | \
	 TURN_ABANDONED | TURN_CHAINS)

static inline enum batch after_handler(struct local *local,
				       struct message *message, int result)
{
	struct turn *turn = &local->turn;

	/* First: a swapped message is gone. */
	if (unlikely(turn->marks & MARKS_UNUSUAL || result < 0 ||
		     message->flags & ~FLAGS_IN_PLACE))
		return end_message(local, message, result);
	turn_set_due(turn, turn->due + 1);
	count(&local->cache.counters.xmessages, 1);
	message_put(&local->engine->messages, local->cache.messages, message);
	return BATCH_GOES_ON;
}

/* Signals are looked at between two messages. */
static __attribute__((noinline)) enum batch heed_signals(struct local *local)
{
	struct turn *turn = &local->turn;
	/* Relaxed: what it asks for needs nothing else to be seen. */
	AO_t signal = AO_load(&turn->actor->xsignal);

	if (signal & SIGNAL_ENGINE) {
		turn_end(local, TURN_KILLED, 0);
		return BATCH_ENDED;
	}
	if (signal & SIGNAL_STOP) {
		turn_end(local, TURN_CANCELLED, 0);
		return BATCH_ENDED;
	}
	if ((signal & SIGNAL_DRAIN) && !(turn->marks & TURN_DRAINS)) {
		turn->marks |= TURN_DRAINS;
		turn_shut(local);
	}
	return BATCH_GOES_ON;
}

/* The next message of the batch, urgent ones first; NULL: none is there. */
static inline struct message *next_message(struct actor *actor)
{
	struct message *message;

	/* Relaxed: a take orders; an urgent one seen late is seen next time. */
	if (unlikely(AO_load(&actor->xmail) & MAILBOX_URGENT))
		take_all(actor);
	message = lane_pop(&actor->urgent);
	if (likely(!message))
		message = lane_pop(&actor->normal);
	if (likely(message != NULL))
		return message;
	take_all(actor);
	message = lane_pop(&actor->urgent);
	return message ? message : lane_pop(&actor->normal);
}

/* A chain that was accepted before the door was shut is still to come. */
static bool awaits_chains(struct local *local)
{
	/* Relaxed: it is closed, so that leases only become fewer. */
	AO_t word = AO_load(&local->turn.actor->xmail);

	return mailbox_count(word) > local->turn.due + process_n_stashed(local);
}

/* Nothing is there: go idle, or end if this was a drain. */
static enum batch batch_is_empty(struct local *local)
{
	struct turn *turn = &local->turn;
	struct actor *actor = turn->actor;
	unsigned due = turn->due;

	if (unlikely(turn->marks & TURN_DRAINS) && !awaits_chains(local)) {
		turn_end(local, TURN_STOPPED, turn->reason);
		return BATCH_ENDED;
	}
	if (unlikely(turn->marks & TURN_WAITED))
		turn_leaves_wait(local);
	if (!mailbox_idle(&actor->xmail, due)) {
		AO_t word;

		turn_give_back(local);
		/* Relaxed: looked at again in any case. */
		word = AO_load(&actor->xmail);
		if (word & MAILBOX_SIGNALLED)
			mailbox_clear_signal(&actor->xmail);
		if (word & MAILBOX_WAITERS)
			turn_grant(local);
		return BATCH_GOES_ON;
	}
	/* Not ours any more: it may run elsewhere already. */
	turn_set_due(turn, 0);
	count_done(&local->cache);
	turn_end(local, TURN_RETURNED, 0);
	return BATCH_ENDED;
}

/* The share is used up: the rest has to queue again. */
static void requeue(struct local *local)
{
	struct actor *actor = local->turn.actor;

	turn_give_back(local);
	turn_end(local, TURN_RETURNED, 0);
	worker_push_last(&local->worker, &actor->task);
}

static inline enum batch handle(struct local *local, struct actor *actor,
				struct message *message)
{
	int result;

	turn_set_message(&local->turn, message);
	actor_count(actor);
	result = call_handler(local, actor, message);
	return after_handler(local, message, result);
}

/* The same for a plain message; see run_peek_plain(). */
static inline enum batch handle_plain(struct local *local, struct actor *actor,
				      struct message *message, AO_t head)
{
	struct turn *turn = &local->turn;
	int result = call_plain(local, actor, message, head);

	message = turn->message;
	if (unlikely(turn->marks & MARKS_UNUSUAL || result < 0))
		return end_message(local, message, result);
	turn_set_due(turn, turn->due + 1);
	count(&local->cache.counters.xmessages, 1);
	put_plain(local, message);
	return BATCH_GOES_ON;
}

/* A query is the first of some that are read at once, or is handled here. */
static enum batch handle_special(struct local *local, struct actor *actor,
				 struct message *message)
{
	struct reads_timing timing;
	enum batch batch;

	/* Callbacks are to find none: the one before is finished. */
	turn_set_message(&local->turn, NULL);
	if (!reject_or_accept(local, message))
		return BATCH_GOES_ON;
	if (message->flags & MESSAGE_READ && reads_offer(local, message))
		return BATCH_ENDED;
	if (!(message->flags & MESSAGE_READ) || !reads_is_timed(local, message))
		return handle(local, actor, message);
	timing = reads_begin_timing(local, message);
	batch = handle(local, actor, message);
	reads_end_timing(local, &timing);
	return batch;
}

/* It has flags, is large, or was sent to an earlier life. */
static __attribute__((noinline)) enum batch
handle_other(struct local *local, struct actor *actor, struct message *message)
{
	return is_ordinary(local, message, MESSAGE_SPECIAL | MESSAGE_READ)
		       ? handle(local, actor, message)
		       : handle_special(local, actor, message);
}

static __attribute__((noinline)) void run_batch(struct local *local)
{
	struct actor *actor = local->turn.actor;
	struct share share = share_begin(actor);

	for (;;) {
		struct message *message;
		enum batch batch;
		AO_t head;

		/* Relaxed: as in heed_signals(). */
		if (unlikely((AO_load(&actor->xsignal) & SIGNAL_BITS) !=
			     SIGNAL_LIVE) &&
		    heed_signals(local) == BATCH_ENDED)
			return;
		message = next_message(actor);
		if (!message) {
			if (batch_is_empty(local) == BATCH_ENDED)
				return;
			continue;
		}
		/* Relaxed: it is ours. */
		head = AO_load(&message->xhead);
		if (likely(message_head_generation(head) ==
				   id_generation(local->turn.self) &&
			   message_is_plain(head)))
			batch = handle_plain(local, actor, message, head);
		else
			batch = handle_other(local, actor, message);
		if (batch == BATCH_ENDED)
			return;
		if (share_is_used(local, &share)) {
			requeue(local);
			return;
		}
	}
}

/* ---- a single message, handled in place ---- */

/* The message in hand is still the oldest in the mailbox: take all. */
static void cut_off(struct local *local)
{
	bool has_urgent;
	struct message *newest =
		mailbox_take(&local->turn.actor->xmail, &has_urgent);

	absorb(local, newest, has_urgent);
}

void turn_settle(struct local *local)
{
	AO_t was;

	chain_close(local);
	if (local->turn.self == ROTA_NONE) /* a task */
		return;
	was = worker_enter_hand(&local->worker);
	if (likely(!(local->turn.marks & TURN_ABANDONED))) {
		if (local->turn.peeked)
			cut_off(local);
		turn_give_back(local);
	}
	worker_leave_hand(&local->worker, was);
}

/* Take it, which is counted, and go idle with one CAS. */
static inline bool take_and_idle(struct actor *actor, AO_t word)
{
	AO_t next = (word - MAILBOX_ONE) &
		    ~(MAILBOX_POINTER | MAILBOX_SCHEDULED | MAILBOX_URGENT);

	/* [X1] [X2] pairs with mailbox_push() */
	return AO_compare_and_swap_full(&actor->xmail, word, next);
}

/* What a handler may have done that a message handled in place does not allow
   for. */
#define MARKS_OUT_OF_PLACE                                                     \
	(TURN_STOPS | TURN_WAITED | TURN_ASKS | TURN_BLOCKS | TURN_ABANDONED | \
	 TURN_CHAINS)

/* Whatever is not the one plain message that was handled and left alone. */
static __attribute__((noinline)) void
peek_becomes_batch(struct local *local, struct message *message, int result)
{
	struct turn *turn = &local->turn;

	/* An actor that ends takes it out with the CAS that shuts the door. */
	if (turn->peeked && !(turn->marks & (TURN_STOPS | TURN_ABANDONED)) &&
	    !has_failed(result))
		cut_off(local);
	if (after_handler(local, message, result) == BATCH_GOES_ON)
		run_batch(local);
}

static __attribute__((noinline)) void run_peek(struct local *local, AO_t word)
{
	struct turn *turn = &local->turn;
	struct actor *actor = turn->actor;
	struct message *message = mailbox_newest(word);
	int result;

	turn->peeked = word;
	turn_set_message(turn, message);
	actor_count(actor);
	if (likely((message->flags & (MESSAGE_EXTENDED | MESSAGE_OWNED |
				      MESSAGE_CLOSURE)) == MESSAGE_EXTENDED))
		result = call_any(local, actor, message, MESSAGE_EXTENDED);
	else
		result = call_handler(local, actor, message);
	if (unlikely(result < 0 || turn->marks & MARKS_OUT_OF_PLACE ||
		     !turn->peeked || message->flags & ~FLAGS_IN_PLACE ||
		     !take_and_idle(actor, word))) {
		peek_becomes_batch(local, message, result);
		return;
	}
	/* The actor is not ours any more. */
	turn_set_self(turn, ROTA_NONE);
	count_alone(&local->cache);
	message_put(&local->engine->messages, local->cache.messages, message);
}

/* Was the plain message handled in place, and is there nothing else to do? Then
   it has been. */
static inline bool ends_in_place(struct local *local, int result)
{
	struct turn *turn = &local->turn;
	struct message *message = turn->message;
	AO_t word = turn->peeked;

	if (unlikely(result < 0 || turn->marks & MARKS_OUT_OF_PLACE || !word ||
		     !take_and_idle(turn->actor, word)))
		return false;
	/* The actor is not ours any more. */
	turn_set_self(turn, ROTA_NONE);
	count_alone(&local->cache);
	put_plain(local, message);
	return true;
}

static __attribute__((noinline)) void ends_otherwise(struct local *local,
						     int result)
{
	if (local->turn.marks & TURN_CHAINS) {
		chain_flush(local);
		if (ends_in_place(local, result))
			return;
	}
	peek_becomes_batch(local, local->turn.message, result);
}

/*
 * The same for a plain message, written so that nothing but @local is kept in a
 * register across the call: what is needed behind it is in the turn. @head: the
 * message's.
 */
static inline void run_peek_plain(struct local *local, struct actor *actor,
				  AO_t word, struct message *message, AO_t head)
{
	int result;

	local->turn.peeked = word;
	result = call_plain(local, actor, message, head);
	if (unlikely(!ends_in_place(local, result)))
		ends_otherwise(local, result);
}

bool actor_is_fresh(const struct task *task)
{
	const struct actor *actor =
		(const struct actor *)((const char *)task -
				       offsetof(struct actor, task));

	return AO_load(&actor->xhandled) == 0; /* relaxed: a statistic */
}

void actor_run(struct task *task, struct worker *worker)
{
	struct local *local = (struct local *)worker;
	struct actor *actor = actor_of_task(task);
	struct turn *turn = &local->turn;
	/* [X1] pairs with mailbox_push(): a message seen here is complete */
	AO_t word = AO_load_acquire(&actor->xmail);
	/* Relaxed: see heed_signals(). */
	AO_t signal = AO_load(&actor->xsignal);
	struct message *message = mailbox_newest(word);
	AO_t head;

	turn->actor = actor;
	turn_set_self(turn, id_make(local->number, actor->slot,
				    signal_generation(signal)));
	turn->peeked = 0;
	turn_set_due(turn, 0);
	turn->marks = 0;
	turn->reason = 0;
	if (unlikely(!message || message->next ||
		     ((uintptr_t)actor->normal | (uintptr_t)actor->urgent) ||
		     (signal & SIGNAL_BITS) != SIGNAL_LIVE ||
		     word & MAILBOX_WAITERS)) {
		run_batch(local);
		return;
	}
	/* Relaxed: it is ours. */
	head = AO_load(&message->xhead);
	if (likely(message_head_generation(head) == signal_generation(signal) &&
		   message_is_plain(head)))
		run_peek_plain(local, actor, word, message, head);
	else if (is_ordinary(local, message, MESSAGE_SPECIAL))
		run_peek(local, word);
	else
		run_batch(local);
}

/* ---- the pieces of a turn, for process.c ---- */

void turn_begin(struct local *local, struct actor *actor)
{
	struct turn *turn = &local->turn;
	/* Relaxed: see heed_signals(). */
	AO_t signal = AO_load(&actor->xsignal);

	turn->actor = actor;
	turn_set_self(turn, id_make(local->number, actor->slot,
				    signal_generation(signal)));
	turn->peeked = 0;
	turn_set_due(turn, 0);
	turn->marks = 0;
	turn->reason = 0;
}

void turn_take_all(struct actor *actor)
{
	take_all(actor);
}

enum batch turn_heed(struct local *local)
{
	/* Relaxed: as in heed_signals(). */
	AO_t signal = AO_load(&local->turn.actor->xsignal);

	return (signal & SIGNAL_BITS) != SIGNAL_LIVE ? heed_signals(local)
						     : BATCH_GOES_ON;
}

bool turn_accepts(struct local *local, struct message *message)
{
	return accept_message(local, message);
}

enum batch turn_after(struct local *local, struct message *message, int result)
{
	return after_handler(local, message, result);
}

void turn_finish(struct local *local, struct message *message, int result)
{
	finish_message(local, message, result);
}

enum batch turn_is_empty(struct local *local)
{
	return batch_is_empty(local);
}
