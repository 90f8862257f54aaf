/* SPDX-License-Identifier: MIT */
/*
 * timer - messages that are sent later
 *
 * Problem:    a timer may be cancelled by anyone while it fires on its worker,
 *             or while its message lies in a mailbox; after a cancel that
 *             succeeded the message must never be handled.
 * Approach:   the timer's block begins with the message, so firing allocates
 *             nothing. All that happens to it is a CAS on its state word; who
 *             wins decides. A cancelled timer is unlinked at once: left until
 *             its time it would hold its memory, and keep the engine from
 *             being at rest, for as long as that takes.
 *
 *   state      meaning                        left by
 *   FREE       in a magazine                  rota_send_after() -> ARMED
 *   ARMED      in a wheel                     firing -> QUEUED; cancel ->
 *                                             CANCELLED
 *   QUEUED     in a mailbox, or about to be   taken -> FREE; cancel ->
 *                                             CANCELLED
 *   CANCELLED  whoever finds it frees it: who -> FREE
              unlinks it from the wheel
              (cancel, or arm() if that came
              too early), fire() or the one
              who takes the message
 *
 * The word also has a sequence that grows with each use: a timer's name is its
 * block's number and that sequence, so an old name finds nothing.
 *
 * Orderings:  [K1] the CASes on the state word.
 */
#include "core/run.h"

#include <errno.h>
#include <string.h>

#include <rota/timer.h>

enum timer_state { TIMER_FREE, TIMER_ARMED, TIMER_QUEUED, TIMER_CANCELLED };

#define TIMER_STATE ((AO_t)3)
#define TIMER_SEQUENCE ((AO_t)4)

struct message_timer {
	struct message message; /* first: the mailbox links it */
	struct alarm alarm;
	AO_t xword;   /* sequence * 4 + enum timer_state */
	AO_t xworker; /* struct worker *: whose wheel; relaxed, the
	                           CAS that follows a look at it decides */
	rota_id to;
	uint32_t number; /* constant: the block's */
};

size_t timer_size(void)
{
	return (sizeof(struct message_timer) + CACHE_LINE - 1) / CACHE_LINE *
	       CACHE_LINE;
}

void timer_carve(void *block, uint32_t number, uint32_t parameter)
{
	struct message_timer *timer = block;

	(void)parameter;
	timer->number = number;
	/* Relaxed: see slabs_cell(). */
	AO_store(&timer->xword, TIMER_SEQUENCE);
}

/* One step of the table above; false if it is not in state @from any more. */
static bool change(struct message_timer *timer, AO_t word, enum timer_state to)
{
	/* [K1] pairs with every other change */
	return AO_compare_and_swap_full(&timer->xword, word,
					(word & ~TIMER_STATE) | (AO_t)to);
}

static enum timer_state state_of(AO_t word)
{
	return (enum timer_state)(word & TIMER_STATE);
}

/* timer name = engine << 56 | sequence (24 bits) << 32 | number */
static rota_timer name_of(unsigned engine, const struct message_timer *timer,
			  AO_t word)
{
	return (rota_timer)engine << 56 |
	       (rota_timer)(word / TIMER_SEQUENCE & 0xffffff) << 32 |
	       timer->number;
}

static void free_timer(struct engine *engine, struct cache *cache,
		       struct message_timer *timer)
{
	/* Relaxed: nobody else changes it in this state. */
	AO_t word = AO_load(&timer->xword);

	/* [K1] a cancel by an old name fails from here on */
	AO_store_release(&timer->xword,
			 ((word & ~TIMER_STATE) + TIMER_SEQUENCE) | TIMER_FREE);
	pool_put(&engine->timers, &cache->timers, timer);
}

void timer_put(struct engine *engine, struct cache *cache,
	       struct message *message)
{
	free_timer(engine, cache, (struct message_timer *)message);
}

bool timer_take(struct message *message)
{
	struct message_timer *timer = (struct message_timer *)message;
	/* [K1] pairs with rota_timer_cancel() */
	AO_t word = AO_load_acquire(&timer->xword);

	return state_of(word) == TIMER_QUEUED &&
	       change(timer, word, TIMER_FREE);
}

/* ---- firing ---- */

/* Into the mailbox, past the bound; or, if that life is over, reported. */
static void deliver(struct site *site, struct message_timer *timer)
{
	struct actor *actor = engine_actor(site->engine, timer->to);
	enum mailbox_push pushed = MAILBOX_IS_CLOSED;
	rota_id to = timer->to;

	/* Relaxed: a life that ends now reports it. */
	if (signal_accepts(AO_load(&actor->xsignal), to))
		pushed = mailbox_push_over(&actor->xmail, &timer->message);
	if (pushed == MAILBOX_AWAKENED)
		site_schedule(site, actor);
	if (pushed != MAILBOX_IS_CLOSED)
		return;
	if (timer_take(&timer->message))
		dead_letter(site->engine, site->cache, &timer->message, to,
			    ROTA_DEAD_NO_ACTOR);
	else
		free_timer(site->engine, site->cache, timer);
}

static void fire(struct worker *worker, struct alarm *alarm)
{
	struct local *local = (struct local *)worker;
	struct message_timer *timer =
		(struct message_timer *)((char *)alarm -
					 offsetof(struct message_timer, alarm));
	struct site site = site_of(local);
	/* [K1] pairs with rota_timer_cancel() */
	AO_t word = AO_load_acquire(&timer->xword);

	if (state_of(word) == TIMER_ARMED && change(timer, word, TIMER_QUEUED))
		deliver(&site, timer);
	else
		free_timer(local->engine, &local->cache, timer);
	count_done(&local->cache);
}

/* ---- the calls ---- */

/* The dedicated thread that an actor lives on, if it does. */
static struct worker *home_of(struct engine *engine, rota_id to)
{
	const struct actor *actor = engine_actor(engine, to);
	/* [A1] pairs with make_live(); before the second look at the signal */
	const struct task_class *class =
		(const struct task_class *)AO_load_acquire(&actor->task.xclass);

	/* [A1] pairs with end_life(): the class was that life's */
	if (!signal_accepts(AO_load_acquire(&actor->xsignal), to))
		return NULL;
	return class->home;
}

/*
 * The caller's own wheel, which needs no claim; or else one that is claimed:
 * the next one's. A dedicated thread keeps none that others can do without, for
 * it could not end; but where a host drives nobody else may be there.
 */
static struct worker *choose_worker(struct site *site, rota_id to,
				    bool *is_claimed)
{
	struct worker *own = site->local ? &site->local->worker : NULL;
	struct worker *home = NULL;

	*is_claimed = false;
	if (likely(own && !own->home))
		return own;
	if (site->engine->crew.drive) {
		if (own)
			return own;
		home = home_of(site->engine, to);
	}
	*is_claimed = true;
	if (home && clockwork_claim(&home->clockwork))
		return home;
	/* Relaxed: spreads, no more. */
	return crew_choose_for_alarm(
		&site->engine->crew,
		AO_fetch_and_add1(&site->engine->xnext_timer_worker));
}

static void fill(struct message_timer *timer, rota_id to, unsigned tag,
		 const void *payload, size_t length)
{
	struct message *message = &timer->message;
	struct local *sender = local_in_turn();

	message->from = sender ? sender->turn.self : ROTA_NONE;
	message_set(message, id_generation(to), tag,
		    MESSAGE_TIMER | MESSAGE_UNCOUNTED, (unsigned)length);
	message_copy_inline(message->payload, payload, length);
	memset(&timer->alarm, 0, sizeof(timer->alarm));
	timer->alarm.ring = fire;
	timer->to = to;
}

/* It is cancelled, and as it was armed it may be in its wheel still, or only
   get there: then arm() sees to it. */
static void unlink_cancelled(struct site *site, struct message_timer *timer,
			     struct worker *worker, AO_t cancelled)
{
	struct clockwork *clockwork = &worker->clockwork;
	bool unlinked;

	spin_lock(&clockwork->xlock);
	/*
	 * [K1] fire() may have freed it since, and another may use it: then
	 * the sequence has changed, and its link is in somebody else's wheel.
	 */
	unlinked = AO_load_acquire(&timer->xword) == cancelled &&
		   timer_is_linked(&timer->alarm.timer);
	if (unlinked)
		wheel_remove(&clockwork->wheel, &timer->alarm.timer);
	clockwork_changed(clockwork);
	spin_unlock(&clockwork->xlock);
	if (!unlinked)
		return; /* fire() has it in hand, or arm() */
	free_timer(site->engine, site->cache, timer);
	count_done(site->cache);
}

static int arm(struct site *site, rota_id to, unsigned tag, const void *payload,
	       size_t length, int64_t delay, rota_timer *name)
{
	struct message_timer *timer =
		pool_get(&site->engine->timers, &site->cache->timers);
	struct worker *worker;
	uint64_t now, when;
	AO_t word, cancelled;
	bool is_claimed;

	if (!timer)
		return -ENOMEM;
	fill(timer, to, tag, payload, length);
	worker = choose_worker(site, to, &is_claimed);
	/* Relaxed: the store of the word below publishes it. */
	AO_store(&timer->xworker, (AO_t)worker);
	now = crew_now_ns(&site->engine->crew);
	when = delay > 0 ? now + (uint64_t)delay : now;
	/* Relaxed: FREE is the holder's; the store below publishes. */
	word = (AO_load(&timer->xword) & ~TIMER_STATE) | TIMER_ARMED;
	if (name)
		*name = name_of(site->engine->number, timer, word);
	/* [K1] pairs with rota_timer_cancel(): complete */
	AO_store_release(&timer->xword, word);
	count_begun(site->cache);
	site_unlock(site); /* a wake-up is a system call */
	worker_set_alarm(worker, &timer->alarm, when);
	if (is_claimed)
		clockwork_unclaim(&worker->clockwork);
	site_lock(site);
	/*
	 * A cancel since the store above that did not find it in the wheel
	 * had the wheel's lock before us, and so we see it here.
	 */
	cancelled = (word & ~TIMER_STATE) | TIMER_CANCELLED;
	/* [K1] pairs with cancel() */
	if (unlikely(AO_load_acquire(&timer->xword) == cancelled))
		unlink_cancelled(site, timer, worker, cancelled);
	return 0;
}

int rota_send_after(rota_id to, unsigned tag, const void *payload,
		    size_t length, int64_t delay, rota_timer *name)
{
	struct actor *actor;
	struct site site;
	AO_t signal;
	int error;

	if (tag > ROTA_MAX_TAG || (!payload && length > 0))
		return -EINVAL;
	if (length > ROTA_TIMER_PAYLOAD)
		return -EMSGSIZE;
	error = site_enter(&site, to);
	if (error)
		return error;
	actor = engine_actor(site.engine, to);
	/* Relaxed: looked at again when it fires. */
	signal = actor ? AO_load(&actor->xsignal) : 0;
	if (signal_accepts(signal, to))
		error = arm(&site, to, tag, payload, length, delay, name);
	else
		error = signal_lives(signal, to) ? -ESHUTDOWN : -ESRCH;
	site_leave(&site);
	return error;
}

static int cancel(struct site *site, struct message_timer *timer,
		  rota_timer name)
{
	/* [K1] pairs with rota_send_after(), fire() and timer_take() */
	AO_t word = AO_load_acquire(&timer->xword);

	for (;;) {
		enum timer_state state = state_of(word);
		/* Before the change: afterwards fire() may give it away. */
		struct worker *worker =
			(struct worker *)AO_load(&timer->xworker);

		if (name_of(site->engine->number, timer, word) != name ||
		    (state != TIMER_ARMED && state != TIMER_QUEUED))
			return -ESRCH;
		if (change(timer, word, TIMER_CANCELLED)) {
			if (state == TIMER_ARMED)
				unlink_cancelled(site, timer, worker,
						 (word & ~TIMER_STATE) |
							 TIMER_CANCELLED);
			return 0;
		}
		word = AO_load_acquire(&timer->xword); /* [K1] as above */
	}
}

int rota_timer_cancel(rota_timer name)
{
	struct message_timer *timer;
	struct site site;
	int error = site_enter(&site, name);

	if (error)
		return error == -EPERM || error == -ENOMEM ? error : -ESRCH;
	timer = slabs_cell(site.engine->timer_cells.xentry, (uint32_t)name);
	error = timer ? cancel(&site, timer, name) : -ESRCH;
	site_leave(&site);
	return error;
}

/* ---- the end ---- */

void timer_clear_wheel(struct engine *engine, struct worker *worker)
{
	struct local *local = (struct local *)worker;
	struct timer *next;

	/* No time is later than this one. */
	while ((next = wheel_expire(&worker->clockwork.wheel, UINT64_MAX))) {
		struct message_timer *timer =
			(struct message_timer *)((char *)next -
						 offsetof(struct message_timer,
							  alarm.timer));

		/* A deadline of a stuck turn is none of ours. */
		if (((struct alarm *)next)->ring == fire)
			free_timer(engine, &local->cache, timer);
	}
}
