/* SPDX-License-Identifier: MIT */
/*
 * process - actors that choose what they take next, and when
 *
 * Problem:    a handler that waits for its own mailbox must be woken by any
 *             message, and neither senders nor actors that never do this may
 *             pay for it; a million of them are to spread over the workers.
 * Approach:   such an actor goes idle like any other, only that its stack stays
 *             (stand.h). A message, a signal or the end of its time finds the
 *             mailbox idle, schedules the actor and knows nothing more. What it
 *             means to be run is in the actor's class, which is another one
 *             between two turns:
 *
 *               class   its actor                        run
 *               class   handles what comes               actor_run(), or
 *                                                        process_run()
 *               sifts   accepts some tags only           process_run()
 *               stands  has a stack that stands in a     goes on with that
 *                       receive
 *
 *             In a turn the class is always the first. So an actor that waits
 *             in a receive is an ordinary task in an ordinary queue, and may be
 *             stolen. The frames below its handler know the worker where it was
 *             called; only process_run() asks anew after each call. Actors that
 *             are run by actor_run() go on where they stood.
 *             A message that is not wanted stays in its lane, and the actor
 *             goes idle with it there. Then a full mailbox is no reason to wait
 *             for who has what is wanted: the actor lets the oldest such sender
 *             in before it goes idle, and later ones find it idle.
 * Rejected:   a flag in the mailbox's word that senders look at; a wait word
 *             for receives (who sends would have to claim it: one CAS more).
 * Invariants: I1 desk->stack != NULL <=> the class is `stands`.
 *             I2 an idle actor's desk->wanted says what it would take.
 *             I3 all of this is in the hand of the worker where it is (see
 *                hand.c), but for the handler; an actor that was abandoned is
 *                left alone.
 * Orderings:  [L1] see spin.h. [A1] see cold.c. [X1] [X2] of mailbox.c: the
 *             stack that stands was left before the CAS that went idle, or was
 *             queued; whoever runs the actor next sees it.
 */
#include "core/process.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include <rota/process.h>

#include "core/await.h"
#include "core/chain.h"
#include "core/cold.h"
#include "core/dedicated.h"
#include "core/overflow.h"
#include "core/reply.h"
#include "core/run.h"
#include "mailbox/closure.h"
#include "mailbox/lane.h"

/* A turn gives way after so many messages. */
#define TURN_MESSAGES 64

/* ---- classes ---- */

static void set_class(struct actor *actor, struct task_class *class)
{
	/* [A1] pairs with who looks at an actor, see look.c: the class may be
	   new. Who runs it next is told by the mailbox, or by a queue. */
	AO_store_release(&actor->task.xclass, (AO_t) class);
}

/* In a turn. */
static struct behaviour *own_behaviour(const struct actor *actor)
{
	return (struct behaviour *)actor->task.class;
}

static void sift_run(struct task *task, struct worker *worker);
static void stand_run(struct task *task, struct worker *worker);

void process_init_classes(struct behaviour *behaviour)
{
	behaviour->sifts.run = sift_run;
	behaviour->sifts.is_fresh = actor_is_fresh;
	behaviour->stands.run = stand_run;
	behaviour->stands.is_fresh = actor_is_fresh;
	behaviour->roams.run = worker_run_roamer;
}

const struct behaviour *behaviour_of(const struct task_class *class)
{
	const char *at = (const char *)class;

	if (class->run == sift_run)
		at -= offsetof(struct behaviour, sifts);
	else if (class->run == stand_run)
		at -= offsetof(struct behaviour, stands);
	return (const struct behaviour *)at;
}

bool process_may_move(const struct local *local)
{
	const struct turn *turn = &local->turn;

	/* Those below a callback, or a task, know this worker; who gave up a
	   turn knows its thread. */
	return turn->self != ROTA_NONE && !turn->job &&
	       !(turn->marks & (TURN_ASIDE | TURN_ABANDONED)) &&
	       !local->worker.home && own_behaviour(turn->actor)->is_anywhere;
}

bool process_stays(const struct local *local)
{
	const struct turn *turn = &local->turn;

	if (turn->self == ROTA_NONE)
		return turn->job != NULL;
	return !own_behaviour(turn->actor)->is_anywhere;
}

struct task_class *process_roams(const struct local *local)
{
	return &own_behaviour(local->turn.actor)->roams;
}

bool process_stands(const struct task_class *class)
{
	return class->run == stand_run;
}

bool process_sifts(const struct task_class *class)
{
	return class->run == sift_run;
}

/* The turn is about to end: who goes on with the actor? */
static void set_class_between(struct actor *actor, struct desk *desk)
{
	struct behaviour *behaviour = own_behaviour(actor);

	if (desk && desk->accepts.mask != 0) {
		set_class(actor, &behaviour->sifts);
		return;
	}
	if (desk)
		desk_forget(desk);
}

/* ---- what is there ---- */

static struct message *take(struct actor *actor, struct desk *desk,
			    const struct tag_set *set)
{
	struct message *message;

	if (desk)
		return desk_take(desk, actor, set);
	message = lane_pop(&actor->urgent);
	return message ? message : lane_pop(&actor->normal);
}

static struct message *next(struct actor *actor, struct desk *desk,
			    const struct tag_set *set)
{
	struct message *message;

	/* Relaxed: a take orders; what is seen late is seen next time. */
	if (AO_load(&actor->xmail) & MAILBOX_URGENT)
		turn_take_all(actor);
	message = take(actor, desk, set);
	/* Relaxed: as above. */
	if (message || !mailbox_newest(AO_load(&actor->xmail)))
		return message;
	turn_take_all(actor);
	return take(actor, desk, set);
}

static unsigned n_counted(const struct message *newest)
{
	const struct message *message = newest;
	unsigned n = 0;

	if (!newest)
		return 0;
	do {
		n += !(message->flags & MESSAGE_UNCOUNTED);
		message = message->next;
	} while (message != newest);
	return n;
}

static unsigned n_stashed(const struct desk *desk)
{
	unsigned i, n = 0;

	for (i = 0; i < DESK_LANES; i++)
		n += n_counted(desk->stash[i]);
	return n;
}

unsigned process_n_stashed(struct local *local)
{
	const struct desk *desk = desk_here(local);

	return desk ? n_stashed(desk) : 0;
}

/* The mailbox is closed: chains that were accepted before may still come. */
static bool awaits_chains(const struct local *local, const struct desk *desk)
{
	const struct actor *actor = local->turn.actor;
	unsigned n = local->turn.due + n_stashed(desk);

	n += n_counted(actor->urgent) + n_counted(actor->normal);
	/* Relaxed: it is closed, so that leases only become fewer. */
	return mailbox_count(AO_load(&actor->xmail)) > n;
}

/* ---- going idle ---- */

/* Let the oldest sender in that waits with a message of the set. */
static struct waiter *admit_one(struct cold *cold, struct actor *actor,
				const struct tag_set *set)
{
	struct waiter *waiter = cold->room.first, *next;

	for (; waiter; waiter = next) {
		next = waiter->next;
		if (!tag_set_has(set, waiter->message->tag))
			continue;
		waiters_remove(&cold->room, waiter);
		if (wait_claim(waiter->ticket))
			break;
	}
	if (waiter) {
		waiter->next = NULL;
		mailbox_push_over(&actor->xmail, waiter->message);
	}
	if (!cold->room.first)
		mailbox_clear_waiters(&actor->xmail);
	return waiter;
}

/*
 * Nothing of the set is there. True: idle, the actor is not ours any more, and
 * the room of @due messages is given back. False: look again.
 */
static bool go_idle(struct cold *cold, struct actor *actor, struct desk *desk,
		    const struct tag_set *set, unsigned due)
{
	struct waiter *admitted = NULL;
	bool is_idle = false;

	spin_lock(&cold->xlock);
	desk->wanted = *set;
	if (cold->room.first)
		admitted = admit_one(cold, actor, set);
	if (!admitted)
		is_idle = mailbox_idle_beside(&actor->xmail, due,
					      actor_capacity(actor));
	cold_unlock(cold);
	waiters_finish(admitted, 0);
	return is_idle;
}

/* Before a look at the signals. */
static void clear_signal(struct actor *actor)
{
	/* Relaxed: who goes idle finds out what this misses. */
	if (AO_load(&actor->xmail) & MAILBOX_SIGNALLED)
		mailbox_clear_signal(&actor->xmail);
}

/* Who waits for room gets what there is. */
static void make_room(struct local *local)
{
	turn_give_back(local);
	/* Relaxed: as above. */
	if (AO_load(&local->turn.actor->xmail) & MAILBOX_WAITERS)
		turn_grant(local);
}

static struct cold *own_cold(const struct local *local)
{
	/* Relaxed: our own life; there is one, for there is a desk. */
	return cold_at(local->engine,
		       signal_cold(AO_load(&local->turn.actor->xsignal)));
}

/* ---- the loop over messages ---- */

static enum batch rest(struct local *local, struct desk *desk)
{
	struct turn *turn = &local->turn;
	struct actor *actor = turn->actor;
	struct behaviour *behaviour = own_behaviour(actor);

	if (!desk)
		return turn_is_empty(local);
	if ((turn->marks & TURN_DRAINS) && !awaits_chains(local, desk)) {
		turn_end(local, TURN_STOPPED, turn->reason);
		return BATCH_ENDED;
	}
	if (turn->marks & TURN_WAITED)
		turn_leaves_wait(local);
	set_class_between(actor, desk);
	if (go_idle(own_cold(local), actor, desk, &desk->accepts, turn->due)) {
		turn_set_due(turn, 0);
		count_done(&local->cache);
		turn_end(local, TURN_RETURNED, 0);
		return BATCH_ENDED;
	}
	set_class(actor, &behaviour->class);
	clear_signal(actor);
	make_room(local);
	return BATCH_GOES_ON;
}

static void give_way(struct local *local, struct desk *desk)
{
	struct actor *actor = local->turn.actor;

	turn_give_back(local);
	set_class_between(actor, desk);
	turn_end(local, TURN_RETURNED, 0);
	worker_push_last(&local->worker, &actor->task);
}

/* Out of the hand. Returns on any worker. */
static int call_function(struct actor *actor, struct message *message)
{
	const struct behaviour *behaviour = own_behaviour(actor);
	struct owned owned;

	if (message->flags & MESSAGE_CLOSURE)
		return closure_function(message)(actor_state(actor),
						 closure_capture(message));
	if (message->flags & MESSAGE_OWNED) {
		owned = message_owned(message);
		return behaviour->handle(actor_state(actor), message->tag,
					 owned.buffer, owned.length);
	}
	return behaviour->handle(actor_state(actor), message->tag,
				 message_payload(message),
				 message_length(message));
}

/* What is sent from now on inherits this message's deadline, if it has one. */
static void inherit(struct local *local, struct message *message)
{
	const struct message_extension *extension = message_extension(message);

	local->near = extension && extension->deadline_ns != CLOCK_NEVER
			      ? NEAR_NONE
			      : local->usual;
}

/* The message in hand. *local is the worker's on which it ends. */
static int call(struct local **at, struct actor *actor, struct message *message)
{
	struct local *local = *at;
	bool is_request = false;
	int result;

	if (message->flags & MESSAGE_EXTENDED) {
		local->refused = reply_begin(local, message);
		if (local->refused)
			return ROTA_UNKNOWN;
		is_request = message_extension(message)->token != 0;
		inherit(local, message);
	}
	worker_step_out(&local->worker);
	result = call_function(actor, message);
	*at = local = local_again(); /* it may have moved */
	worker_step_in(&local->worker);
	chain_close(local);
	local->near = local->usual;
	local->refused = 0;
	/* As in run.c. */
	return is_request && !(local->turn.marks &
			       (TURN_SWAPPED | TURN_ABANDONED))
		       ? reply_end(local, message, result)
		       : result;
}

/* One message, or none. *local is the worker's on which it ends. */
static enum batch step(struct local **at, struct actor *actor)
{
	static const struct tag_set all = {0, 0};
	struct local *local = *at;
	struct desk *desk = desk_here(local);
	struct message *message;
	int result;

	if (turn_heed(local) == BATCH_ENDED)
		return BATCH_ENDED;
	message = next(actor, desk, desk ? &desk->accepts : &all);
	if (!message)
		return rest(local, desk);
	if (!turn_accepts(local, message))
		return BATCH_GOES_ON;
	turn_set_message(&local->turn, message);
	actor_count(actor);
	result = call(at, actor, message);
	local = *at;
	local->turn.marks &= ~(uint32_t)TURN_SIFTS; /* as we do anyhow */
	return turn_after(local, message, result);
}

static void go_on(struct local *local, struct actor *actor)
{
	struct worker *first = &local->worker;
	unsigned n = 0;

	while (step(&local, actor) == BATCH_GOES_ON)
		if (++n >= TURN_MESSAGES || worker_is_stuck(&local->worker)) {
			give_way(local, desk_here(local));
			break;
		}
	if (&local->worker != first)
		worker_leave_stack(&local->worker);
}

void process_run(struct task *task, struct worker *worker)
{
	struct local *local = (struct local *)worker;
	struct actor *actor = actor_of_task(task);

	turn_begin(local, actor);
	go_on(local, actor);
}

static void sift_run(struct task *task, struct worker *worker)
{
	struct behaviour *behaviour =
		(struct behaviour *)((char *)task->class -
				     offsetof(struct behaviour, sifts));

	set_class(actor_of_task(task), &behaviour->class);
	process_run(task, worker);
}

void process_go_on(struct local *local)
{
	local->turn.marks &= ~(uint32_t)TURN_SIFTS;
	go_on(local, local->turn.actor);
}

/* What was kept as a copy is not in use any more. */
static void put_away(struct local *local, struct desk *desk)
{
	if (desk->copied)
		message_discard(local->engine, &local->cache, desk->copied);
	desk->copied = NULL;
}

struct message *process_message(struct local *local)
{
	struct desk *desk = desk_here(local);

	local->turn.marks &= ~(uint32_t)TURN_SWAPPED;
	if (desk && desk->accepts.mask == 0)
		desk_forget(desk);
	if (desk)
		put_away(local, desk);
	return local->turn.message;
}

struct message *process_take_copied(struct local *local)
{
	struct desk *desk = desk_here(local);
	struct message *copied = desk ? desk->copied : NULL;

	if (desk)
		desk->copied = NULL;
	return copied;
}

void process_end(struct local *local)
{
	struct desk *desk = desk_here(local);

	if (desk)
		desk_unstash(desk, local->turn.actor);
}

/* ---- standing in a receive ---- */

struct receiving {
	struct actor *actor;
	struct desk *desk;
	struct cold *cold;
	struct tag_set set;
	uint64_t deadline_ns;
	uint64_t since_ns;	/* that it waits for; 0: it has not yet */
	bool gives_way;		/* to others; else it has nothing to do */
	bool is_time_over;	/* the deadline has passed */
	struct luggage luggage; /* while it stands */
};

/* What rota_status() tells of an actor that stands. */
static void note_wait(struct local *local, struct receiving *r)
{
	if (r->since_ns == 0)
		r->since_ns = watch_now_ns(local->engine);
	/* Relaxed: whoever sees it idle sees these, see look.c. */
	AO_store(&r->cold->xsince_ns, r->since_ns);
	AO_store(&r->cold->xabout, (AO_t)local->worker.number << 32);
}

/* On another stack: from now on anybody may go on with ours. */
static bool tell(struct worker *worker, void *context)
{
	struct local *local = (struct local *)worker;
	struct receiving *r = context;
	unsigned due = r->luggage.turn.due;

	if (r->gives_way) {
		worker_push_last(worker, &r->actor->task);
		return true;
	}
	r->luggage.turn.due = 0;
	note_wait(local, r);
	if (go_idle(r->cold, r->actor, r->desk, &r->set, due)) {
		count_done(&local->cache);
		return true;
	}
	r->luggage.turn.due = due;
	return false;
}

/* Runs on whichever worker the actor's task came to. */
static void stand_run(struct task *task, struct worker *worker)
{
	struct actor *actor = actor_of_task(task);
	struct local *local = (struct local *)worker;
	/* Relaxed: the life does not end while it stands. */
	struct desk *desk =
		cold_at(local->engine, signal_cold(AO_load(&actor->xsignal)))
			->desk;
	struct stack *stack = desk->stack;

	/* Relaxed, both: an estimate; the owner's own. */
	if (AO_load(&task->class->xmean_ns) == 0 ||
	    AO_load(&worker->xturns) % TURN_MESSAGES == 0)
		desk->since = clock_ticks();
	if (desk->stays && stack->holder != worker)
		worker_return_stack(stack);
	else
		worker_take_up(worker, stack);
}

static void note_time(struct desk *desk, struct behaviour *behaviour)
{
	uint64_t ticks;

	if (desk->since == 0)
		return;
	ticks = clock_ticks() - desk->since;
	desk->since = 0;
	worker_note_time(&behaviour->stands,
			 ticks * 1024 / clock_ticks_per_1024ns() + 1);
}

static void stand_still(struct local *local, struct receiving *r)
{
	struct behaviour *behaviour = own_behaviour(r->actor);
	bool stays = r->desk->stays;

	note_time(r->desk, behaviour);
	r->desk->stack = local->worker.stack;
	r->desk->n_taken = 0;
	set_class(r->actor, &behaviour->stands);
	turn_pack(local, &r->luggage);
	/* Its thread must not end before it goes on there. */
	local->worker.n_standing += stays;
	worker_stand(&local->worker, tell, r);
	local = local_again();
	local->worker.n_standing -= stays;
	turn_unpack(local, &r->luggage);
	set_class(r->actor, &behaviour->class);
	r->desk->stack = NULL;
}

/* With a deadline, it counts as something that is timed, like a timer. */
static void stand_until(struct local *local, struct receiving *r)
{
	struct clockwork *clockwork = &local->worker.clockwork;
	struct wait_alarm alarm;
	struct wait *wait = &r->desk->wait;

	memset(&alarm, 0, sizeof(alarm));
	wait_begin(wait, &alarm.ticket); /* nobody cancels it */
	count_begun(&local->cache);
	worker_set_alarm(&local->worker, &alarm.alarm, r->deadline_ns);
	stand_still(local, r);
	local = local_again();
	clockwork_clear(clockwork, &alarm.alarm);
	if (!wait_retract(alarm.ticket)) {
		while (!wait_has_ended(wait)) /* some instructions */
			sched_yield();
		wait_end(wait);
		r->is_time_over = true;
	}
	count_done(&local->cache);
}

/* Until there is something to look at. 0 or -ENOMEM. */
static int stand(struct receiving *r)
{
	struct local *local = local_again();
	int error;

	/* Relaxed: a hint. */
	if (AO_load(&r->actor->xmail) & MAILBOX_WAITERS)
		make_room(local);
	error = worker_prepare_block(&local->worker);
	if (error)
		return error;
	if (r->deadline_ns == CLOCK_NEVER || r->gives_way)
		stand_still(local, r);
	else
		stand_until(local, r);
	return 0;
}

/* ---- receiving ---- */

/* The message in hand is done with. */
static void put_down(struct local *local, struct desk *desk)
{
	struct turn *turn = &local->turn;
	struct message *message = turn->message;

	if (turn->peeked)
		turn_settle(local);
	turn->marks |= TURN_SWAPPED;
	put_away(local, desk);
	if (message && message->flags & MESSAGE_EXTENDED)
		reply_end(local, message, 0);
	if (message)
		turn_finish(local, message, 0);
	/* Relaxed: a hint. */
	if (turn->due >= (actor_capacity(turn->actor) + 3) / 4 ||
	    (AO_load(&turn->actor->xmail) & MAILBOX_WAITERS))
		turn_give_back(local);
}

/* What stands in the signal word. 0 or -ECANCELED. */
static int heed(struct local *local)
{
	struct turn *turn = &local->turn;
	/* Relaxed: as in heed_signals(). */
	AO_t signal = AO_load(&turn->actor->xsignal);

	if (signal & (SIGNAL_STOP | SIGNAL_ENGINE))
		return -ECANCELED;
	if ((signal & SIGNAL_DRAIN) && !(turn->marks & TURN_DRAINS)) {
		turn->marks |= TURN_DRAINS;
		turn_shut(local);
	}
	return 0;
}

/* Nothing is there: may something come? */
static int may_come(struct local *local, const struct receiving *r)
{
	/* Relaxed: only we close it. */
	if ((AO_load(&r->actor->xmail) & MAILBOX_CLOSED) &&
	    !awaits_chains(local, r->desk))
		return -ESHUTDOWN;
	return r->is_time_over ? -ETIMEDOUT : 0;
}

static void take_in_hand(struct local *local, struct message *message,
			 struct rota_received *received)
{
	/* The turn goes on with it, and is not one that only reads. */
	if (message->flags & MESSAGE_READ)
		message_set_flags(message,
				  message->flags & ~(unsigned)MESSAGE_READ);
	turn_set_message(&local->turn, message);
	inherit(local, message);
	actor_count(local->turn.actor);
	*received = (struct rota_received){
		.from = message->from,
		.tag = message->tag,
		.payload = message_payload(message),
		.length = message_length(message),
	};
	if (message->flags & MESSAGE_OWNED) {
		struct owned owned = message_owned(message);

		received->payload = owned.buffer;
		received->length = owned.length;
	}
}

/*
 * A function is run, a request that nobody waits for is refused: false. While
 * the function runs the actor may be abandoned: the mark says so.
 */
static bool is_for_the_handler(struct actor *actor, struct message *message)
{
	struct local *local = local_again();
	int result = ROTA_UNKNOWN;

	if (message->flags & MESSAGE_CLOSURE) {
		turn_set_message(&local->turn, message);
		actor_count(actor);
		/* It has no message in hand but itself. */
		local->turn.marks &= ~(uint32_t)TURN_SWAPPED;
		result = call(&local, actor, message);
		if (local->turn.marks & TURN_ABANDONED)
			return false;
		message = local->turn.message;
		local->turn.marks |= TURN_SWAPPED;
	} else if (message->flags & MESSAGE_EXTENDED) {
		local->refused = reply_begin(local, message);
		if (!local->refused)
			return true;
	} else {
		return true;
	}
	if (message)
		turn_finish(local, message, result);
	return false;
}

/* One look. 0: *message is set if there is one; else why none will be. */
static int look(struct receiving *r, struct message **message)
{
	struct local *local = local_again();
	int error;

	*message = NULL;
	clear_signal(r->actor);
	error = heed(local);
	if (error)
		return error;
	do {
		local = local_again();
		if (local->turn.marks & TURN_ABANDONED) {
			*message = NULL; /* in hand still, see abandon.c */
			return -ECANCELED;
		}
		*message = next(r->actor, r->desk, &r->set);
	} while (*message && !(turn_accepts(local, *message) &&
			       is_for_the_handler(r->actor, *message)));
	local = local_again();
	return *message ? 0 : may_come(local, r);
}

/* A turn that always finds something gives way once in a while. */
static bool is_due(const struct receiving *r)
{
	return ++r->desk->n_taken > TURN_MESSAGES ||
	       worker_is_stuck(worker_again());
}

static int receive(struct receiving *r, struct rota_received *received)
{
	struct message *message = NULL;
	int error = 0;

	if (is_due(r)) {
		r->gives_way = true;
		stand(r); /* if there is no stack, not this time */
		r->gives_way = false;
	}
	for (;;) {
		error = look(r, &message);
		if (error || message)
			break;
		error = stand(r);
		if (error)
			break;
	}
	if (message)
		take_in_hand(local_again(), message, received);
	return error;
}

/* In the hand. Returns in that of any worker. */
static int receive_in_hand(struct local *local, const struct rota_tags *tags,
			   int64_t within, struct rota_received *received)
{
	struct receiving r = {.is_time_over = within <= 0};
	int error;

	if (!received)
		return -EINVAL;
	if (actor_is_at_end(local->turn.actor))
		return -ESHUTDOWN;
	/* Those below a callback, or a task, know this worker. */
	if (local->turn.marks & TURN_ASIDE || local->turn.job)
		return -EPERM;
	r.actor = local->turn.actor;
	r.desk = desk_make(local, &error);
	if (!r.desk)
		return error;
	r.cold = own_cold(local);
	r.desk->stays = !own_behaviour(r.actor)->is_anywhere;
	if (tags)
		r.set = (struct tag_set){tags->mask, tags->base};
	r.deadline_ns = crew_deadline(&local->engine->crew, within);
	put_down(local, r.desk);
	return receive(&r, received);
}

/* Into the hand, for a call by which a handler chooses. 0, or why it may not. */
static int enter(struct local **at, AO_t *was)
{
	struct local *local = *at = local_in_turn();

	if (!local || turn_only_reads(local))
		return -EPERM;
	chain_close(local);
	*was = worker_enter_hand(&local->worker);
	if (!(local->turn.marks & TURN_ABANDONED))
		return 0;
	worker_leave_hand(&local->worker, *was);
	return -ECANCELED;
}

int rota_receive(const struct rota_tags *tags, int64_t within,
		 struct rota_received *received)
{
	struct local *local;
	AO_t was;
	int error = enter(&local, &was);

	if (error)
		return error;
	error = receive_in_hand(local, tags, within, received);
	worker_leave_hand(worker_again(), was);
	return error;
}

/* ---- tags ---- */

int rota_tags_add(struct rota_tags *tags, unsigned tag)
{
	if (tags->mask != 0 && tag < tags->base) {
		unsigned down = tags->base - tag;

		if (down > 63 || tags->mask >> (64 - down) != 0)
			return -ERANGE;
		tags->mask <<= down;
		tags->base = tag;
	}
	if (tags->mask == 0)
		tags->base = tag;
	if (tag - tags->base > 63)
		return -ERANGE;
	tags->mask |= UINT64_C(1) << (tag - tags->base);
	return 0;
}

static int accept_in_hand(struct local *local, const struct rota_tags *tags)
{
	struct desk *desk = desk_here(local);
	int error = 0;

	if (!desk && (!tags || tags->mask == 0))
		return 0;
	if (!desk)
		desk = desk_make(local, &error);
	if (!desk)
		return error;
	desk->accepts = tags ? (struct tag_set){tags->mask, tags->base}
			     : (struct tag_set){0, 0};
	if (local->turn.peeked)
		turn_settle(local);
	local->turn.marks |= TURN_SIFTS | TURN_SWAPPED;
	return 0;
}

int rota_accept(const struct rota_tags *tags)
{
	struct local *local;
	AO_t was;
	int error = enter(&local, &was);

	if (error)
		return error;
	error = accept_in_hand(local, tags);
	worker_leave_hand(&local->worker, was);
	return error;
}

/* ---- the stash ---- */

/* A timer's block goes back to where it came from: keep a copy. */
static struct message *copy_of(struct local *local, struct message *message)
{
	struct site site = site_of(local);
	size_t length = message_length(message);
	struct message *copy = message_get(&local->engine->messages,
					   local->cache.messages, length);

	if (!copy)
		return NULL;
	copy->from = message->from;
	message_set(copy, message->generation, message->tag,
		    message->flags & ~(unsigned)MESSAGE_TIMER, copy->size);
	memcpy(message_payload(copy), message_payload(message), length);
	overflow_note(&site, local->turn.actor, local->turn.self, copy);
	return copy;
}

static int stash(struct local *local, struct desk *desk,
		 struct message *message)
{
	struct message *kept = message;
	enum desk_lane lane =
		message->flags & MESSAGE_URGENT ? DESK_URGENT : DESK_NORMAL;

	if (message->flags & MESSAGE_TIMER) {
		kept = copy_of(local, message);
		if (!kept)
			return -ENOMEM;
		desk->copied = message; /* in use until the handler returns */
	}
	turn_set_message(&local->turn, NULL);
	local->turn.marks |= TURN_SWAPPED;
	lane_push(&desk->stash[lane], kept);
	desk->n_stashed++;
	return 0;
}

/* Its answer is due when the handler returns. */
static bool is_request(struct message *message)
{
	return message->flags & MESSAGE_EXTENDED &&
	       message_extension(message)->token != 0;
}

static int stash_in_hand(struct local *local)
{
	struct desk *desk;
	int error;

	if (!local->turn.message || is_request(local->turn.message))
		return -EINVAL;
	desk = desk_make(local, &error);
	if (!desk)
		return error;
	if (desk->n_stashed + 1 >= actor_capacity(local->turn.actor))
		return -EAGAIN;
	if (local->turn.peeked)
		turn_settle(local);
	return stash(local, desk, local->turn.message);
}

int rota_stash(void)
{
	struct local *local;
	AO_t was;
	int error = enter(&local, &was);

	if (error)
		return error;
	error = stash_in_hand(local);
	worker_leave_hand(&local->worker, was);
	return error;
}

static int unstash_in_hand(struct local *local)
{
	struct desk *desk = desk_here(local);

	if (!desk)
		return 0;
	if (local->turn.peeked)
		turn_settle(local);
	return (int)desk_unstash(desk, local->turn.actor);
}

int rota_unstash(void)
{
	struct local *local;
	AO_t was;
	int n = enter(&local, &was);

	if (n)
		return n;
	n = unstash_in_hand(local);
	worker_leave_hand(&local->worker, was);
	return n;
}

/* ---- becoming another ---- */

static int become_in_hand(struct local *local,
			  const struct rota_behaviour *origin)
{
	struct behaviour *own, *other;
	int error = 0;

	if (!origin)
		return -EINVAL;
	own = own_behaviour(local->turn.actor);
	if (unlikely(own->class.home != NULL))
		other = dedicated_behaviour(local->engine, own->class.home,
					    origin, own->flags, &error);
	else
		other = behaviour_find(local->engine, &local->cache, origin,
				       own->flags, &error);
	if (!other)
		return error;
	if (other->state_size != own->state_size)
		return -EINVAL;
	set_class(local->turn.actor, &other->class);
	return 0;
}

int rota_become(const struct rota_behaviour *origin)
{
	struct local *local;
	AO_t was;
	int error = enter(&local, &was);

	if (error)
		return error;
	error = become_in_hand(local, origin);
	worker_leave_hand(&local->worker, was);
	return error;
}
