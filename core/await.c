/* SPDX-License-Identifier: MIT */
/*
 * await - a call that waits, from its beginning to its end
 *
 * Nothing is held across a wait: no lock, no shard, no announced call. A turn
 * leaves its stack as it is and the worker goes on with another; a thread
 * sleeps on its record.
 *
 * A stop has to find the wait of a turn, whatever it is for: the first wait of
 * a turn enters the stack's wait word into the cold block of its actor, where
 * it stays until the turn is over. The stop raises its signal and then looks
 * into the block, under its lock; the turn enters its wait under that lock and
 * then looks at the signals: whoever locks second sees the other. Either sets
 * the cancel bit, so that whether the stop comes before the first wait or later
 * all that follow fail, until the turn is over. What runs at the actor's end
 * waits as if there had been no stop.
 */
#include "core/await.h"

#include <errno.h>

#include "core/abandon.h"
#include "core/ask.h"
#include "core/blocking.h"
#include "core/cold.h"
#include "core/cycle.h"
#include "core/here.h"
#include "core/process.h"
#include "core/run.h"
#include "core/watch.h"
#include "mailbox/closure.h"
#include "sched/call.h"

/* ---- the turn, where a stop finds it ---- */

/* In the hand: the turn may be abandoned at any time before. */
static int enter_wait(struct local *local)
{
	struct turn *turn = &local->turn;
	struct site own = site_of(local);
	struct cold *cold;
	struct wait *wait;
	int error;

	if (unlikely(turn->marks & TURN_ABANDONED)) {
		abandoned_heeds(local); /* no wait is in progress */
		return 0;
	}
	if (turn->marks & TURN_WAITED)
		return 0;
	wait = &local->worker.stack->wait;
	cold = cold_lock(&own, turn->actor, turn->self, true, &error);
	if (!cold)
		return error;
	cold->wait = wait;
	turn->marks |= TURN_WAITED;
	cold_unlock(cold);
	/*
	 * A stop that came before we were entered has found nothing to cancel:
	 * it is for us to do. Relaxed: the lock orders, see actor_signal().
	 */
	if (likely(!(AO_load(&turn->actor->xsignal) &
		     (SIGNAL_STOP | SIGNAL_ENGINE))) ||
	    actor_is_at_end(turn->actor))
		return 0;
	wait_cancel(wait);
	return -ECANCELED;
}

int turn_may_wait(struct local *local)
{
	int error = worker_prepare_block(&local->worker);
	AO_t was;

	/* A task: nobody stops it. */
	if (error || local->turn.self == ROTA_NONE)
		return error;
	was = worker_enter_hand(&local->worker);
	error = enter_wait(local);
	worker_leave_hand(&local->worker, was);
	return error;
}

void turn_leaves_wait(struct local *local)
{
	struct cold *cold = cold_lock_own(local);

	if (cold) {
		cold->wait = NULL;
		cold->edge = EDGE_NONE;
		cold_unlock(cold);
	}
	wait_clear(&local->worker.stack->wait);
	local->turn.marks &= ~(uint32_t)TURN_WAITED;
}

/* In place of a worker's number: -1 as an int. */
#define NO_WORKER ((AO_t)UINT32_MAX)

/* What rota_status() tells of the wait that begins. */
static inline void note_in(struct cold *cold, struct local *local, AO_t number)
{
	struct turn *turn = &local->turn;
	/* Not ours, if this turn has none in hand. */
	AO_t tag = turn->message ? closure_tag(message_look(turn->message)) : 0;

	/* Relaxed: see struct cold. */
	AO_store(&cold->xsince_ns, watch_now_ns(local->engine));
	AO_store(&cold->xabout, number << 32 | tag);
}

static void note_wait(struct local *local, bool roams)
{
	/* Relaxed: our own life; turn_may_wait() has made the block. */
	AO_t signal = AO_load(&local->turn.actor->xsignal);

	note_in(cold_at(local->engine, signal_cold(signal)), local,
		roams ? NO_WORKER : local->worker.number);
}

/*
 * Field by field, by loads that are not put together: a wide one would wait for
 * the narrow stores of a moment ago to reach the cache.
 */
static inline void save(struct turn *saved, const struct turn *turn)
{
	/* Relaxed: the owner's own. */
	saved->xself = AO_load(&turn->xself);
	saved->actor = turn->actor;
	saved->xmessage = AO_load(&turn->xmessage); /* relaxed: as above */
	saved->peeked = AO_load(&turn->peeked);	    /* relaxed: as above */
	saved->xdue = AO_int_load(&turn->xdue);	    /* relaxed: as above */
	saved->marks = AO_int_load(&turn->marks);   /* relaxed: as above */
	saved->reason = turn->reason;
	saved->xjob = AO_load(&turn->xjob); /* relaxed: as above */
}

static inline void pack(struct local *local, struct luggage *luggage)
{
	save(&luggage->turn, &local->turn);
	luggage->asks = local->asks;
	luggage->near = local->near;
	luggage->outside = local->outside;
	if (unlikely(local->turn.marks & TURN_BLOCKS)) {
		luggage->region = local->region;
		blocking_pause(local);
	}
	turn_set_self(&local->turn, ROTA_NONE);
	turn_set_job(&local->turn, NULL);
	local->asks = NULL;
	local->outside = NULL;
	local->near = local->usual;
}

void turn_pack(struct local *local, struct luggage *luggage)
{
	pack(local, luggage);
}

static inline void restore(struct turn *turn, const struct turn *saved)
{
	turn->actor = saved->actor;
	turn->peeked = saved->peeked;
	turn->marks = saved->marks;
	turn->reason = saved->reason;
	turn_set_job(turn, saved->job);
	turn_set_due(turn, saved->due);
	turn_set_message(turn, saved->message);
	turn_set_self(turn, saved->self);
}

/*
 * What a turn's way of sending is when it goes on. Not as it was then, unless it
 * has to take the other one: what is usual may have changed.
 */
static inline unsigned near_again(const struct local *local, unsigned near)
{
	return near == NEAR_NONE ? near : local->usual;
}

static inline void unpack(struct local *local, const struct luggage *luggage)
{
	restore(&local->turn, &luggage->turn);
	local->near = near_again(local, luggage->near);
	local->outside = luggage->outside;
	local->asks = luggage->asks;
	if (unlikely(local->asks != NULL))
		local->asks->prev = &local->asks;
	if (unlikely(local->turn.marks & TURN_BLOCKS))
		blocking_resume(local, luggage->region);
}

void turn_unpack(struct local *local, const struct luggage *luggage)
{
	unpack(local, luggage);
}

struct local *turn_block(struct local *local, struct wait_ticket ticket,
			 uint64_t deadline_ns, bool roams)
{
	AO_t was = worker_enter_hand(&local->worker);
	struct luggage luggage;

	if (local->turn.self != ROTA_NONE && abandoned_heeds(local))
		wait_finish(ticket.wait, -ECANCELED);
	/* Without TURN_WAITED there may be no block; see insist(). */
	if (local->turn.self != ROTA_NONE &&
	    (local->turn.marks & (TURN_ABANDONED | TURN_WAITED)) == TURN_WAITED)
		note_wait(local, roams);
	pack(local, &luggage);
	if (roams)
		local = (struct local *)worker_block_roaming(
			&local->worker, ticket, deadline_ns);
	else
		worker_block(&local->worker, ticket, deadline_ns);
	unpack(local, &luggage);
	worker_leave_hand(&local->worker, was);
	return local;
}

/* ---- who waits ---- */

/* The turn has waited before, and holds nothing back: it may wait as it is. */
static inline bool is_settled(struct local *local)
{
	const struct turn *turn = &local->turn;
	AO_t was = worker_enter_hand(&local->worker);
	bool is =
		(turn->marks & (TURN_WAITED | TURN_ABANDONED)) == TURN_WAITED &&
		!turn->peeked && turn->due == 0;

	worker_leave_hand(&local->worker, was);
	return is && !local->chain.is_open;
}

static __attribute__((noinline)) int settle(struct local *local)
{
	int error = turn_may_wait(local);

	turn_settle(local);
	return error;
}

/* It is about to wait. 0, or as turn_may_wait(). */
static inline int prepare(struct local *local)
{
	if (likely(is_settled(local)))
		return worker_prepare_block(&local->worker);
	return settle(local);
}

/*
 * There was no memory, or the engine has given up, and it has to wait all the
 * same: on a stack beyond the limit; and if there is no cold block either, or
 * none to be had any more, where no stop finds the wait, and rota_status() tells
 * that the actor is queued, and so is its message in hand.
 */
static __attribute__((noinline)) int insist(struct await *await,
					    struct local *local)
{
	int error =
		worker_prepare_block_beyond(&local->worker, &await->exceeds);

	if (error)
		return error;
	error = prepare(local);
	return error == -ENOMEM || error == -ESRCH ? 0 : error;
}

/* Nobody after it is to wait on the stack that it took beyond the limit. */
static inline void end_excess(struct await *await)
{
	if (likely(!await->exceeds))
		return;
	worker_end_beyond(&await->turn->worker);
	await->exceeds = false;
}

static int choose_turn(struct await *await, struct local *local, int64_t within,
		       struct site *site)
{
	int error;

	if (local->turn.self != ROTA_NONE && local->turn.self == await->to)
		return -EDEADLK;
	await->turn = local;
	/* A look at the clock costs as much as the rest of this. */
	await->deadline_ns =
		within == CLOCK_FOREVER
			? CLOCK_NEVER
			: crew_deadline(&local->engine->crew, within);
	site_unlock(site); /* of another engine: ours makes stacks, wakes up */
	error = prepare(local);
	if (unlikely(await->insists && (error == -ENOMEM || error == -ESRCH)))
		error = insist(await, local);
	site_lock(site);
	await->wait = &local->worker.stack->wait;
	if (unlikely(site->may_move) && !error && process_may_move(local)) {
		await->roams = true;
		worker_prepare_roaming(&local->worker, process_roams(local));
	}
	return error;
}

static int choose_thread(struct await *await, struct site *site, int64_t within)
{
	struct thread_record *record = thread_record_here();

	if (!record)
		return -ENOMEM;
	here_choose(site->engine, record);
	await->thread = record;
	await->deadline_ns = clock_deadline(clock_ns(), within);
	await->wait = &record->wait;
	return 0;
}

int await_begin(struct await *await, int64_t within, struct site *site)
{
	struct local *local = local_may_wait();
	int error;

	if (local)
		error = choose_turn(await, local, within, site);
	else if (local_here())
		error = -EAGAIN; /* a callback on a worker */
	else
		error = choose_thread(await, site, within);
	if (!error && !wait_begin(await->wait, &await->waiter.ticket))
		error = -ECANCELED;
	if (!error)
		await->state = AWAIT_BEGUN;
	else
		end_excess(await);
	return error;
}

void await_enter_list(struct await *await, AO_TS_t *lock, struct waiters *list)
{
	await->state = AWAIT_ENTERED;
	await->lock = lock;
	await->list = list;
	if (list)
		waiters_append(list, &await->waiter);
}

void await_enter(struct await *await, struct cold *cold, struct waiters *list)
{
	await_enter_list(await, cold ? &cold->xlock : NULL, list);
}

/* ---- the end ---- */

/* Stay here until the wait has ended; its result. */
static int see_through(struct await *await, struct site *site)
{
	if (await->turn)
		await->turn = turn_block(await->turn, await->waiter.ticket,
					 await->deadline_ns, await->roams);
	else
		here_block(site->engine, await->thread, await->waiter.ticket,
			   await->deadline_ns);
	if (unlikely(await->roams))
		site_follow(site, await->turn);
	return wait_result(await->wait);
}

/* Nobody else knows of it; but a stop may have been faster. */
static void retract(struct await *await, struct site *site)
{
	if (wait_retract(await->waiter.ticket))
		return;
	site_step_out(site);
	see_through(await, site);
	site_step_in(site);
}

/* A turn that would close a circle with this wait, for ever, is told so. */
static void close_circle(struct await *await)
{
	int error = 0;

	/* A task is no actor that another could wait for. */
	if (await->turn && await->turn->turn.self != ROTA_NONE &&
	    await->edge != EDGE_NONE) {
		struct step step = {
			.from = await->turn->turn.self,
			.to = await->to,
			.edge = await->edge,
			/* An ask in a circle would end in failure only. */
			.ends = await->edge != EDGE_ASK &&
				await->deadline_ns != CLOCK_NEVER,
			.ticket = wait_ticket_copy(&await->waiter.ticket),
			.token = await->token,
		};

		error = cycle_add_edge(await->turn, &step);
	}
	if (error && wait_claim(await->waiter.ticket))
		wait_finish(await->wait, error);
}

/*
 * The wait ended otherwise than by who serves the list: leave that, if nobody
 * has taken us out. A cold block may be another actor's by now; our own link is
 * under its lock still, and if it is linked the block is still the target's.
 * Likewise the cell of a task.
 */
static void leave_list(struct await *await)
{
	struct waiters *list = await->list;

	if (!list)
		return;
	spin_lock(await->lock);
	if (await->waiter.prev) {
		waiters_remove(list, &await->waiter);
		if (await->edge == EDGE_ROOM && !list->first)
			mailbox_clear_waiters(&await->target->xmail);
	}
	spin_unlock(await->lock);
}

int await_end(struct await *await, int outcome, struct site *site)
{
	if (await->state == AWAIT_ENTERED) {
		site_step_out(site);
		close_circle(await);
		outcome = see_through(await, site);
		if (outcome || await->lingers)
			leave_list(await);
		site_step_in(site);
	} else {
		retract(await, site);
	}
	end_excess(await);
	await->state = AWAIT_OVER;
	return outcome;
}

/* ---- a turn that calls ---- */

/* Handles what comes, on whatever worker: its turn returns to where it was run
   from, or waits first. */
static inline bool is_common(const struct task_class *class)
{
	return class->run == actor_run && !class->home;
}

/* With nothing in its mailbox. Relaxed: all that is found here may have changed
   by the push, which tells; see await_call(). */
bool await_may_call(struct local *local, const struct actor *actor)
{
	const struct task_class *class =
		(const struct task_class *)AO_load(&actor->task.xclass);

	/* Relaxed: as above; whether it blocks is the owner's own, and a stop
	   that is seen the next time is seen in time. */
	return !(AO_int_load(&local->turn.marks) & TURN_BLOCKS) &&
	       !(AO_load(&local->turn.actor->xsignal) &
		 (SIGNAL_STOP | SIGNAL_ENGINE)) &&
	       !(AO_load(&actor->xmail) & MAILBOX_SCHEDULED) &&
	       is_common(class) && worker_may_call(&local->worker, class);
}

/* For those who ask what the caller does. */
static void note_calling(struct local *local, rota_id to)
{
	unsigned n = worker_n_callers(&local->worker);
	struct calling *calling = &local->callings[n];
	struct message *message = local->turn.message;

	/* Relaxed: see struct calling. */
	AO_store(&calling->xself, local->turn.self);
	AO_store(&calling->xto, to);
	AO_store(&calling->xdue, local->turn.due);
	AO_store(&calling->xhead, message ? AO_load(&message->xhead) : 0);
}

void await_call(struct local *local, struct actor *actor, rota_id to)
{
	AO_t was = worker_enter_hand(&local->worker);
	struct luggage luggage;

	if (unlikely(local->turn.marks & TURN_ABANDONED ||
		     !is_common(actor->task.class))) {
		worker_leave_hand(&local->worker, was);
		worker_push_next(&local->worker, &actor->task);
		return;
	}
	note_calling(local, to);
	pack(local, &luggage);
	worker_call(&local->worker, &actor->task);
	unpack(local, &luggage);
	worker_leave_hand(&local->worker, was);
}

/* ---- a turn that asks ---- */

int await_turn(struct local *local, struct wait_ticket *ticket)
{
	int error = prepare(local);

	if (likely(!error) &&
	    unlikely(!wait_begin(&local->worker.stack->wait, ticket)))
		error = -ECANCELED;
	return error;
}

/* For whom the turn waits if it waits now: the token of the request in hand, 0 if
   that is none. False: it takes more than a look to tell. */
static inline bool knows_behalf(const struct local *local, uint64_t *behalf)
{
	struct message *message = local->turn.message;
	const struct message_extension *extension;

	*behalf = 0;
	/* Not ours, if this turn has none in hand. */
	if (!message ||
	    !(message_look(message).flags & (MESSAGE_EXTENDED | MESSAGE_READ)))
		return true;
	extension = message_extension(message);
	if (!extension || message->flags & MESSAGE_READ || extension->taken)
		return false;
	*behalf = extension->token;
	return !*behalf || id_engine(*behalf) == local->number;
}

/* All that others see of a wait: the edge, and what rota_status() tells. */
static inline void publish(struct local *local, const struct step *step,
			   uint64_t behalf)
{
	struct cold *cold = cold_lock_own(local);

	if (unlikely(!cold))
		return;
	cycle_set_edge(cold, step, behalf);
	note_in(cold, local, local->worker.number);
	cold_unlock(cold);
}

/*
 * turn_pack(), worker_block() and turn_unpack() for a turn that has settled, and
 * is in no blocking region: nothing is peeked or due, and no task has its place.
 */
static inline void block_settled(struct local *local, struct wait_ticket ticket,
				 uint64_t deadline_ns)
{
	struct turn *turn = &local->turn;
	struct actor *actor = turn->actor;
	struct message *message = turn->message;
	rota_id self = turn->self;
	/* Relaxed: the owner's own; alone, see save(). */
	uint32_t marks = AO_int_load(&turn->marks);
	int reason = turn->reason;
	unsigned near = local->near;
	struct ask *asks = local->asks;
	struct site *outside = local->outside;

	turn_set_self(turn, ROTA_NONE);
	local->asks = NULL;
	local->outside = NULL;
	local->near = local->usual;
	worker_block(&local->worker, ticket, deadline_ns);
	turn->actor = actor;
	turn->peeked = 0;
	turn->marks = marks;
	turn->reason = reason;
	turn_set_due(turn, 0);
	turn_set_message(turn, message);
	turn_set_self(turn, self);
	local->near = near_again(local, near);
	local->outside = outside;
	local->asks = asks;
	if (unlikely(asks != NULL))
		asks->prev = &local->asks;
}

/* Step by step. */
static __attribute__((noinline)) void block_specially(struct local *local,
						      const struct step *step,
						      uint64_t deadline_ns)
{
	int error = cycle_add_edge(local, step);

	if (error && wait_claim(step->ticket))
		wait_finish(step->ticket.wait, error);
	turn_block(local, step->ticket, deadline_ns, false);
}

/* The edge leads to one that waits, or to another one by now: look on. */
static __attribute__((noinline)) void block_after_walk(struct local *local,
						       const struct step *step,
						       uint64_t deadline_ns)
{
	cycle_walk(local, step);
	turn_block(local, step->ticket, deadline_ns, false);
}

int await_answer(struct local *local, const struct actor *target,
		 const AO_t *xaim, const struct step *step,
		 uint64_t deadline_ns)
{
	AO_t was = worker_enter_hand(&local->worker);
	uint64_t behalf;

	if (unlikely(local->turn.marks & (TURN_ABANDONED | TURN_BLOCKS) ||
		     !knows_behalf(local, &behalf))) {
		worker_leave_hand(&local->worker, was);
		block_specially(local, step, deadline_ns);
		return wait_result(step->ticket.wait);
	}
	publish(local, step, behalf);
	if (unlikely(behalf && ask_is_withdrawn(local->engine, behalf)) &&
	    wait_claim(step->ticket))
		wait_finish(step->ticket.wait, -ECANCELED);
	/*
	 * [Y3] pairs with ask_aim(). Who forwarded it looks at our edge after it
	 * has turned the aim, we look at the aim after we have written the edge,
	 * both under the lock of our block: one of the two sees the other.
	 */
	if (unlikely(AO_load_acquire(xaim) != step->to ||
		     !cycle_stands_alone(local->engine, target, step->to))) {
		worker_leave_hand(&local->worker, was);
		block_after_walk(local, step, deadline_ns);
	} else {
		block_settled(local, step->ticket, deadline_ns);
		worker_leave_hand(&local->worker, was);
	}
	return wait_result(step->ticket.wait);
}
