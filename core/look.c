/* SPDX-License-Identifier: MIT */
/*
 * look - at an actor from outside, at one moment
 *
 * All that is read belongs to somebody who may change it at any time: words of
 * type-stable memory, between two looks at the signal word that find the same
 * life there. The actor takes no notice.
 *
 * Orderings:  [A1] see cold.c; make_live() writes the fields before it stores
 *             LIVE, end_life() takes LIVE away before the next owner writes.
 */
#include "core/look.h"

#include <errno.h>

#include "core/cold.h"
#include "core/overflow.h"
#include "core/process.h"
#include "core/reads.h"
#include "mailbox/closure.h"
#include "sched/call.h"

static void find_worker(struct engine *engine, rota_id id, struct look *look)
{
	unsigned i, n = crew_slots(&engine->crew);

	for (i = 0; i < n; i++) {
		const struct local *local =
			(const struct local *)engine->crew.workers[i];

		/* Relaxed: looked at again below. */
		if (AO_load(&local->turn.xself) != id)
			continue;
		look->sighting = watch_sight(engine, i);
		if (look->sighting.self != id)
			continue;
		look->activity = ROTA_RUNNING;
		look->worker = (int)i;
		look->tag = look->sighting.tag;
		look->begun = look->sighting.handled; /* due is of then */
		return;
	}
}

static unsigned tag_of(AO_t head)
{
	return closure_tag((union message_word){.word = head}.head);
}

/* Or it stands below the turn of one that it has asked: see sched/call.h. */
static void find_calling(struct engine *engine, rota_id id, struct look *look)
{
	unsigned i, j, n = crew_slots(&engine->crew);

	for (i = 0; i < n; i++) {
		const struct local *local =
			(const struct local *)engine->crew.workers[i];
		struct sighting seen;

		if (worker_n_callers(&local->worker) == 0)
			continue;
		seen = watch_sight(engine, i);
		for (j = 0; j < worker_n_callers(&local->worker); j++) {
			const struct calling *calling = &local->callings[j];

			/* Relaxed: see struct calling, here and below. */
			if (AO_load(&calling->xself) != id)
				continue;
			look->activity = ROTA_WAITING;
			look->waits_for = ROTA_WAITS_FOR_ANSWER;
			look->whom = AO_load(&calling->xto);
			look->tag = tag_of(AO_load(&calling->xhead));
			look->worker = (int)i;
			look->calls = true;
			look->sighting = seen;
			/* Relaxed: as above. */
			look->sighting.due = (uint32_t)AO_load(&calling->xdue);
			return;
		}
	}
}

/* What the wait in progress is for. Under the cold block's lock. */
static void name_wait(const struct cold *cold, const struct wait *wait,
		      AO_t word, struct look *look)
{
	/* [W1] as in follow(): it waits, and for this */
	bool has_edge = cold->edge_ticket.wait == wait &&
			word == (cold->edge_ticket.sequence | WAIT_WAITING);

	look->waits_for = ROTA_WAITS_FOR_OTHER;
	if ((word & WAIT_STATE_MASK) != WAIT_WAITING) {
		look->waits_for = ROTA_WAITS_FOR_WORKER;
	} else if (has_edge && cold->edge == EDGE_ROOM) {
		look->waits_for = ROTA_WAITS_FOR_ROOM;
		look->whom = cold->edge_to;
	} else if (has_edge && cold->edge == EDGE_JOIN) {
		look->waits_for = ROTA_WAITS_FOR_END;
		look->whom = cold->edge_to;
	} else if (has_edge && cold->edge == EDGE_FLUSH) {
		look->waits_for = ROTA_WAITS_FOR_FLUSH;
		look->whom = cold->edge_to;
	} else if (has_edge && cold->edge == EDGE_ASK) {
		look->waits_for = ROTA_WAITS_FOR_ANSWER;
		look->whom = cold->edge_to;
	} else if (has_edge && cold->edge == EDGE_ANY) {
		look->waits_for = ROTA_WAITS_FOR_ANSWER;
	}
}

/* The same, in look. */
static void look_at_wait(const struct cold *cold, const struct wait *wait,
			 struct look *look)
{
	AO_t word = WAIT_IDLE, about;

	if (wait)
		/* [W1] pairs with wait_begin() */
		word = AO_load_acquire(&wait->xword);
	if ((word & WAIT_STATE_MASK) != WAIT_IDLE) {
		name_wait(cold, wait, word, look);
		/* Relaxed: see struct cold. */
		look->since_ns = AO_load(&cold->xsince_ns);
		about = AO_load(&cold->xabout);
		look->worker = (int)(about >> 32);
		look->tag = (unsigned)(uint32_t)about;
		look->activity = ROTA_WAITING;
	}
}

/*
 * An actor that chooses among its messages, and waits for one that it would
 * take: it is as idle as any. Under the cold block's lock, like its going idle.
 */
static void look_at_desk(const struct cold *cold, const struct actor *actor,
			 struct look *look)
{
	/* [X2] pairs with mailbox_idle_beside(): class and times are those */
	AO_t mail = AO_load_acquire(&actor->xmail);
	/* [A1] pairs with set_class(); if it runs again, a moment ago */
	const struct task_class *class =
		(const struct task_class *)AO_load_acquire(&actor->task.xclass);

	if (!cold->desk || (mail & MAILBOX_SCHEDULED))
		return;
	if (process_stands(class) || process_sifts(class))
		look->tags = cold->desk->wanted;
	if (!process_stands(class))
		return;
	look->activity = ROTA_WAITING;
	look->waits_for = ROTA_WAITS_FOR_MESSAGE;
	/* Relaxed: see struct cold. */
	look->since_ns = AO_load(&cold->xsince_ns);
	look->worker = behaviour_of(class)->is_anywhere
			       ? -1
			       : (int)(AO_load(&cold->xabout) >> 32);
}

/* What lies in the cold block, if there is one. */
static void look_at_cold(struct engine *engine, struct actor *actor, rota_id id,
			 struct look *look)
{
	struct site site = {.engine = engine};
	const struct task_class *class;
	struct cold *cold;
	const struct wait *wait;
	int error;

	cold = cold_lock(&site, actor, id, false, &error);
	if (!cold)
		return;
	/* [A1] pairs with set_class(); one that stands is in no wait: what its
	   turn waited for before has ended */
	class = (const struct task_class *)AO_load_acquire(&actor->task.xclass);
	look->n_readings = reads_count(cold, &wait);
	look->over = overflow_length(cold);
	/* Relaxed: a constant of its life. */
	look->over_limit = AO_int_load(&cold->xover_limit);
	if (look->activity == ROTA_IDLE && !process_stands(class))
		look_at_wait(cold, wait ? wait : cold->wait, look);
	if (look->activity == ROTA_IDLE)
		look_at_desk(cold, actor, look);
	cold_unlock(cold);
}

/* Wherever it runs or waits. */
static bool has_one_in_hand(const struct look *look)
{
	/* One that runs and looks for a message that it wants has none. */
	if (look->activity == ROTA_RUNNING)
		return look->sighting.has_message;
	return look->activity == ROTA_WAITING &&
	       look->waits_for != ROTA_WAITS_FOR_MESSAGE;
}

static void look_inside(struct engine *engine, struct actor *actor, rota_id id,
			struct look *look)
{
	uint64_t held; /* in hand, or finished and still counted */
	AO_t mail;

	/* [A1] before the second look at the signal. And before the look at the
	   mailbox: a message that is begun meanwhile is rather in neither number
	   than in both */
	look->begun = AO_load_acquire(&actor->xhandled);
	find_worker(engine, id, look);
	if (look->activity != ROTA_RUNNING)
		find_calling(engine, id, look);
	look_at_cold(engine, actor, id, look);
	/* [A1] before the second look at the signal, like the rest */
	look->class =
		(const struct task_class *)AO_load_acquire(&actor->task.xclass);
	look->capacity = AO_short_load_acquire(&actor->xcapacity); /* [A1] */
	mail = AO_load_acquire(&actor->xmail);			   /* [A1] */
	if (look->activity == ROTA_IDLE && (mail & MAILBOX_SCHEDULED))
		look->activity = ROTA_QUEUED;
	held = look->sighting.due;
	look->length = mailbox_count(mail);
	look->length -= held < look->length ? held : look->length;
	look->length += look->over;
	held = look->n_readings;
	if (held == 0 && has_one_in_hand(look))
		held = 1;
	look->queued =
		look->length - (held < look->length ? held : look->length);
}

int look_at(struct engine *engine, rota_id id, struct look *look)
{
	struct actor *actor = engine_actor(engine, id);
	AO_t signal;

	*look = (struct look){.activity = ROTA_IDLE, .worker = -1};
	if (!actor)
		return -ESRCH;
	/* [A1] pairs with make_live() */
	signal = AO_load_acquire(&actor->xsignal);
	if (!signal_lives(signal, id))
		return -ESRCH;
	look_inside(engine, actor, id, look);
	look->is_closing =
		(signal & (SIGNAL_STOP | SIGNAL_DRAIN | SIGNAL_ENGINE)) != 0;
	/* [A1] pairs with end_life(): it was the same life all the time */
	if (!signal_lives(AO_load_acquire(&actor->xsignal), id))
		return -ESRCH;
	look->behaviour = behaviour_of(look->class);
	return 0;
}
