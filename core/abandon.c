/* SPDX-License-Identifier: MIT */
/*
 * abandon - gives up actors whose handlers do not return
 *
 * Problem:    a handler that never returns keeps all that is its actor's: those
 *             who wait for room or for its end, the messages behind the one in
 *             hand. The thread cannot be taken out of it. But the actor can be
 *             taken away from under it, so that whoever depends on it is told;
 *             and if it does return one day, nothing may have been done twice.
 * Approach:   who gives it up seizes the worker's hand. Then the owner is in
 *             user code, and the turn stands still: it is looked at once more,
 *             copied, marked ABANDONED, and its mailbox severed, by one CAS.
 *             After that the hand is let go. From there on the two go ways of
 *             their own:
 *               the abandoner is the mailbox's consumer: it has the lanes, the
 *               cold block, the end of the life, all at leisure;
 *               the owner has the state, the stack and what its handler still
 *               does; all in the engine that would touch its actor enters the
 *               hand first and finds the mark.
 *             The message in hand is needed by both (to be reported; by the
 *             handler), and the slot by both. Each parts from the mailbox by
 *             one read-modify-write of its word: the second puts the message
 *             away, and frees the slot unless leases of chains are out.
 *             The mark lies in a word that the end of each message looks at
 *             anyway: a turn pays nothing for all this.
 * Rejected:   killing the thread, or unwinding it by a signal (it may be in
 *             malloc(), or hold any lock); to let the owner wait until the
 *             abandoner is done (it calls the user's functions); a record per
 *             abandoned actor (it may not be to be had when it is needed).
 * Invariants: I1 turn.marks & ABANDONED => the owner touches neither lanes, nor
 *                mailbox word (but for abandoned_returns()), nor cold block of
 *                turn.actor, nor frees turn.message.
 *             I2 the mailbox's count is not 0 before the owner has left: its
 *                own room, see mailbox_sever(). So who gives back the last
 *                lease does not free the slot under the handler.
 *             I3 SCHEDULED is set until the abandoner has left: nobody runs
 *                the actor, and nobody frees it.
 *             I4 a moved buffer in hand is given away (kept, or sent on) in
 *                the hand and not after the mark: it is either the handler's
 *                or, when both have left, dropped.
 * Edges:      in callbacks of a turn (destructor, drop, dead letter) the mark
 *             ASIDE says that the turn is in the middle of something: -EBUSY.
 *             A query that is one of a run (see reads.c) is not given up
 *             either. The others of the run would go on in an actor whose life
 *             is over: what finds their waits for a stop, a cancel or a circle
 *             is a list in the cold block, and each of their waits notes there
 *             what it is for; that block ends with the life. The room of the
 *             run is given back by who ends last, as a turn of the actor, which
 *             would then be nobody's; and the state would have as many owners
 *             as there are readers, of whom each may be stuck, be given up in
 *             turn, and return last. So the end of a life would have to come in
 *             two parts, wherever one ends now. A query that is handled alone is
 *             a turn like any other.
 *             A turn that waits is in no worker's hand: it is not found. One
 *             that was about to wait as it was marked fails in turn_block().
 *             So is one whose stack stands in a receive. A handler that has
 *             received, or put aside, may have no message in hand: then there
 *             is none to report. What lies aside is in the desk, which goes
 *             with the life; the calls of process.h enter the hand as a whole,
 *             and find the mark.
 *             destroy() of an abandoned actor may wait, as that of others may,
 *             but there is no cold block any more that knows of it. All that has
 *             to find it is a stop that gives up: for that its turn stands in a
 *             list of the engine's.
 *             A request in hand keeps its token: the ask's cell sees to it
 *             that one of the two answers, ours (-ECONNRESET) or what the
 *             handler had given before. The promises that the actor holds are
 *             broken with its life; it makes no more of them.
 *             A stop that looks for the wait of the turn has the cold block's
 *             lock; we take the wait out under that lock before the life ends,
 *             and the owner clears its wait word after it has seen the end, or
 *             under the same lock.
 * Orderings:  [H1] see hand.c: the turn, and the mark in it.
 *             [X4] see mailbox.c: message, lanes and slot.
 *             [E1] see rest.c: abandoned is counted before ended (a
 *             read-modify-write lies in between) and before returned: a sum
 *             that misses a handler which is still out there does not occur.
 */
#include "core/abandon.h"

#include <errno.h>

#include <rota/actor.h>
#include <rota/wait.h>

#include "core/asking.h"
#include "core/await.h"
#include "core/blocking.h"
#include "core/cold.h"
#include "core/desk.h"
#include "core/process.h"
#include "core/reply.h"
#include "core/run.h"
#include "sched/hand.h"

/* Less than a tick is not enough to tell. */
#define STILL_NS 100000

/* What is taken over from a turn. */
struct legacy {
	rota_id id;
	struct actor *actor;
	struct message *message; /* in hand, its block is the handler's too; or
	                            NULL */
	bool is_told;		 /* of the message */
	bool in_place;		 /* it is linked in the mailbox still */
	unsigned due;
	AO_t mail;	/* the mailbox as it was severed */
	uint64_t token; /* of a request that is not answered yet, or 0 */
	struct rota_dead_letter letter;
	uint64_t for_ns; /* how long it has been in hand */
};

/* ---- the short section ---- */

static void take_message(struct message *message, struct legacy *legacy)
{
	legacy->is_told = true;
	legacy->letter = letter_of(message, legacy->id, ROTA_DEAD_ABANDONED);
	legacy->token = message->flags & MESSAGE_EXTENDED
				? message_extension(message)->token
				: 0;
}

/*
 * The handler may have no message in hand any more: it has put it aside, or
 * received in vain. If what it has put aside is a copy, it still has the first
 * block, which nobody else knows of: that is put away like one in hand.
 */
static void take_over(struct local *local, struct legacy *legacy)
{
	struct turn *turn = &local->turn;
	struct message *message = turn->message;

	legacy->actor = turn->actor;
	legacy->in_place = turn->peeked != 0;
	legacy->due = turn->due;
	if (message)
		take_message(message, legacy);
	else
		turn_set_message(turn, process_take_copied(local));
	legacy->message = turn->message;
	turn->marks |= TURN_ABANDONED;
	legacy->mail =
		mailbox_sever(&turn->actor->xmail,
			      message && !(message->flags & MESSAGE_UNCOUNTED));
}

/* Is it still the turn, and the message, that was seen to stand still? */
static int check_turn(const struct local *local, const struct sighting *seen)
{
	const struct turn *turn = &local->turn;

	/* Relaxed, as the next: the owner stands still, [H1] orders. */
	if (turn->self != seen->self ||
	    AO_load(&local->worker.xturns) != seen->turns ||
	    AO_load(&turn->actor->xhandled) != seen->handled)
		return -EAGAIN;
	if (turn->marks & TURN_ABANDONED)
		return -ESRCH;
	return turn->marks & (TURN_ASIDE | TURN_BESIDE) ? -EBUSY : 0;
}

static int seize_turn(struct local *local, const struct sighting *seen,
		      struct legacy *legacy)
{
	int error;

	if (!hand_seize(&local->worker))
		return -EAGAIN;
	error = check_turn(local, seen);
	if (!error)
		take_over(local, legacy);
	hand_release(&local->worker);
	return error;
}

/* ---- at leisure ---- */

static void tell(struct engine *engine, const struct legacy *legacy)
{
	const struct behaviour *behaviour =
		(const struct behaviour *)legacy->actor->task.class;

	char what[64];

	behaviour_tag_text(behaviour, legacy->letter.tag, what, sizeof(what));
	engine_log(engine, ROTA_LOG_WARNING,
		   "actor %016llx (%s) is abandoned: it has been handling %s "
		   "for %.1f ms; its thread, its stack and its state stay "
		   "until it returns",
		   (unsigned long long)legacy->id, behaviour->name, what,
		   (double)legacy->for_ns / 1e6);
}

/* All that was queued, without the message in hand, goes into the lanes. */
static void cut_out(const struct legacy *legacy)
{
	actor_absorb(legacy->actor, legacy->in_place ? legacy->message : NULL,
		     mailbox_newest(legacy->mail),
		     (legacy->mail & MAILBOX_URGENT) != 0);
}

/* Nobody waits for room any more, and nobody looks for the turn's waits. What
   was put aside goes to the front of the lanes. */
static void empty_cold(struct site *site, const struct legacy *legacy)
{
	int error;
	struct cold *cold =
		cold_lock(site, legacy->actor, legacy->id, false, &error);
	struct waiter *chain;

	if (!cold)
		return;
	cold->wait = NULL;
	cold->edge = EDGE_NONE;
	if (cold->desk)
		desk_unstash(cold->desk, legacy->actor);
	chain = waiters_claim_all(&cold->room);
	mailbox_clear_waiters(&legacy->actor->xmail);
	cold_unlock(cold);
	site_unlock(site); /* a wake-up may be a system call */
	waiters_finish(chain, -ESRCH);
	site_lock(site);
}

/* Both have left: @word is the mailbox's as the second one did. */
static void put_away(struct site *site, struct actor *actor,
		     struct message *message, AO_t word)
{
	if (message)
		message_drop(site, message);
	if (mailbox_count(word) == 0) /* else the last lease does it */
		actor_free_slot(site->engine, site->cache, actor);
	/* Last: a stop that sees it counted takes the engine away. */
	count_returned(site->cache);
}

/*
 * All that was queued is ours. A replacement would take the lanes as they are
 * here; without one they become dead letters. How many counted messages.
 */
static unsigned dispose_of_queue(struct site *site, const struct legacy *legacy)
{
	return actor_bury(site, legacy->actor, legacy->id);
}

static void wind_up(struct site *site, const struct legacy *legacy)
{
	struct actor *actor = legacy->actor;
	unsigned n_finished = legacy->due;
	AO_t word;

	empty_cold(site, legacy);
	if (legacy->is_told)
		letter_tell(site, &legacy->letter);
	if (legacy->token)
		reply_fail(site, legacy->token, -ECONNRESET);
	n_finished += dispose_of_queue(site, legacy);
	mailbox_credit(&actor->xmail, n_finished);
	count(&site->cache->counters.xabandoned, 1);
	actor_end_life(site, actor, ROTA_EXIT_ABANDONED, 0);
	count(&site->cache->counters.xended, 1);
	word = mailbox_resign(&actor->xmail);
	if (word & MAILBOX_LEFT)
		put_away(site, actor, legacy->message, word);
	count_done(site->cache);
}

/* ---- the owner's side ---- */

bool abandoned_heeds(struct local *local)
{
	struct turn *turn = &local->turn;

	if (likely((turn->marks & (TURN_ABANDONED | TURN_TOLD)) !=
		   TURN_ABANDONED))
		return false;
	turn->marks |= TURN_TOLD;
	return wait_cancel(&local->worker.stack->wait);
}

/*
 * From here on the engine may end its waits. If it has given up before, they all
 * fail: whoever locks second sees the other.
 */
static void part(struct engine *engine, struct parting *parting)
{
	spin_lock(&engine->outsiders_lock);
	parting->next = engine->partings;
	parting->prev = &engine->partings;
	if (parting->next)
		parting->next->prev = &parting->next;
	engine->partings = parting;
	if (engine_gives_up(engine))
		wait_cancel(parting->wait); /* none is in progress */
	spin_unlock(&engine->outsiders_lock);
}

static void have_parted(struct engine *engine, struct parting *parting)
{
	spin_lock(&engine->outsiders_lock);
	*parting->prev = parting->next;
	if (parting->next)
		parting->next->prev = parting->prev;
	spin_unlock(&engine->outsiders_lock);
}

void abandoned_release(struct engine *engine)
{
	struct parting *parting, *cancelled = NULL;

	spin_lock(&engine->outsiders_lock);
	for (parting = engine->partings; parting; parting = parting->next)
		if (wait_cancel(parting->wait)) {
			/* It stays as it is until its wait is finished. */
			parting->next_cancelled = cancelled;
			cancelled = parting;
		}
	spin_unlock(&engine->outsiders_lock);
	while (cancelled) {
		struct wait *wait = cancelled->wait;

		cancelled = cancelled->next_cancelled;
		wait_finish(wait, -ECANCELED);
	}
}

/* As that of an actor that has ended otherwise it may wait: what was cancelled,
   or is to be, were the waits of its handler. */
static void destroy(struct local *local)
{
	struct parting parting = {.wait = &local->worker.stack->wait};

	local->turn.marks |= TURN_TOLD;
	turn_leaves_wait(local);
	part(local->engine, &parting);
	actor_destroy(local->turn.actor);
	have_parted(local->engine, &parting);
}

void abandoned_returns(struct local *local)
{
	struct turn *turn = &local->turn;
	struct actor *actor = turn->actor;
	struct message *message = turn->message;
	struct site site = site_of(local);
	AO_t word;

	/* destroy() has none in hand. */
	turn_set_message(turn, NULL);
	destroy(local);
	if (turn->marks & TURN_ASKS) /* in destroy(), like the next */
		asking_end_handler(local);
	if (turn->marks & TURN_BLOCKS)
		blocking_repair(local);
	turn_leaves_wait(local);
	if (unlikely(local->worker.home != NULL))
		home_leave(&local->worker); /* not before: its thread is this */
	word = mailbox_leave(&actor->xmail);
	if (!(word & MAILBOX_SCHEDULED))
		put_away(&site, actor, message, word);
}

/* ---- the calls ---- */

/* The worker that is in this actor's turn, with what it is about. */
static struct local *find_turn(struct engine *engine, rota_id id,
			       struct sighting *seen, unsigned *number)
{
	unsigned i, n = crew_slots(&engine->crew);

	for (i = 0; i < n; i++) {
		struct local *local = (struct local *)engine->crew.workers[i];

		/* Relaxed: looked at again with the hand seized. */
		if (AO_load(&local->turn.xself) != id)
			continue;
		*seen = watch_sight(engine, i);
		*number = i;
		return seen->self == id ? local : NULL;
	}
	return NULL;
}

static int take_stuck(struct engine *engine, rota_id id, struct legacy *legacy)
{
	struct sighting seen;
	unsigned number;
	struct local *local = find_turn(engine, id, &seen, &number);
	uint64_t since, now;

	if (!local || !worker_is_stuck(&local->worker))
		return -EAGAIN;
	since = watch_since(engine, number, &seen);
	now = crew_now_ns(&engine->crew);
	if (since == 0 || now < since + STILL_NS)
		return -EAGAIN;
	legacy->id = id;
	legacy->for_ns = now - since;
	return seize_turn(local, &seen, legacy);
}

static int abandon(struct site *site, rota_id id)
{
	struct engine *engine = site->engine;
	struct actor *actor = engine_actor(engine, id);
	struct legacy legacy = {.id = ROTA_NONE};
	int error;

	if (!engine->crew.can_revoke || engine->crew.drive)
		return -ENOTSUP;
	/* Relaxed: looked at again with the hand seized. */
	if (!actor || !signal_lives(AO_load(&actor->xsignal), id))
		return -ESRCH;
	/* What follows calls the user's functions, and the system. */
	site_step_out(site);
	error = take_stuck(engine, id, &legacy);
	if (!error) {
		tell(engine, &legacy);
		cut_out(&legacy);
	}
	site_step_in(site);
	if (!error)
		wind_up(site, &legacy);
	return error;
}

int rota_abandon(rota_id id)
{
	struct local *local = local_in_turn();
	struct site site;
	int error;

	if (local && local->turn.self == id)
		return -EDEADLK;
	error = site_enter(&site, id);
	if (error)
		return error;
	error = abandon(&site, id);
	site_leave(&site);
	return error;
}

/* Between two looks: about a tick. */
#define LOOK_NS 500000

int rota_abandon_within(rota_id id, int64_t within)
{
	uint64_t deadline = clock_deadline(clock_ns(), within);

	for (;;) {
		int error = rota_abandon(id);
		int64_t left;

		if (error != -EAGAIN || within <= 0)
			return error;
		left = clock_left(clock_ns(), deadline);
		if (left == 0)
			return -ETIMEDOUT;
		error = rota_sleep(left < LOOK_NS ? left : LOOK_NS);
		if (error)
			return error;
	}
}
