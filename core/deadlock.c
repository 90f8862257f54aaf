/* SPDX-License-Identifier: MIT */
/*
 * deadlock - shows the circle for which a wait was refused
 *
 * What cycle.c has found is copied while it stands, with the names that people
 * know it by, and kept in the cold block of who is refused, until the next one
 * or the end of its life. Its memory is from malloc(): there is none but where a
 * program has such a circle, and where it is not to be had there is less to tell.
 */
#include "core/deadlock.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/ask.h"
#include "core/cold.h"
#include "core/process.h"

/* ---- to write it down ---- */

/* The type's name, and that of a message to it; each may be NULL. What they
   point to outlives the engine. */
static void name(rota_id id, unsigned tag, const char **type,
		 const char **message)
{
	const struct behaviour *behaviour;
	struct actor *actor;
	struct site site;

	if (site_enter(&site, id) != 0)
		return;
	actor = engine_actor(site.engine, id);
	if (actor) {
		/* [A1] pairs with make_live(): it waits, or is waited for */
		behaviour =
			behaviour_of((const struct task_class *)AO_load_acquire(
				&actor->task.xclass));
		*type = behaviour->name;
		*message = behaviour_tag_name(behaviour, tag);
	}
	site_leave(&site);
}

static void name_step(struct rota_deadlock_step *step)
{
	const char *other, *none;

	name(step->actor, 0, &step->type, &none);
	if (step->asks)
		name(step->whom, step->tag, &other, &step->message);
}

#define MAX_SHOWN 65536

/* Room for one step more, in pieces of 8, 16, 32 ... NULL: there is none, and what
   there was is freed. */
static struct deadlock *grow(struct deadlock *circle)
{
	size_t n = circle->n, room = 2 * n * sizeof(circle->step[0]);
	struct deadlock *larger;

	if (n < 8 || (n & (n - 1)) != 0)
		return circle;
	larger = n < MAX_SHOWN ? realloc(circle, sizeof(*circle) + room) : NULL;
	if (!larger)
		free(circle);
	return larger;
}

static struct rota_deadlock_step drawn_of(const struct step *step)
{
	struct rota_deadlock_step drawn = {.actor = step->from,
					   .whom = step->to,
					   .asks = step->edge == EDGE_ASK,
					   .token = step->token};
	struct ask_seen seen;

	if (drawn.asks && ask_look(step->token, &seen))
		drawn.tag = seen.tag;
	name_step(&drawn);
	return drawn;
}

struct deadlock *deadlock_begin(void)
{
	struct deadlock *circle =
		malloc(sizeof(*circle) + 8 * sizeof(circle->step[0]));

	if (circle)
		circle->n = 0;
	return circle;
}

struct deadlock *deadlock_add(struct deadlock *circle, const struct step *step)
{
	circle = grow(circle);
	if (circle)
		circle->step[circle->n++] = drawn_of(step);
	return circle;
}

struct deadlock *deadlock_remember(struct cold *cold, struct deadlock *circle)
{
	struct deadlock *old = cold->deadlock;

	cold->deadlock = circle;
	return old;
}

void deadlock_note_self(struct local *local, unsigned tag)
{
	struct site own = site_of(local);
	struct deadlock *circle = deadlock_begin();
	struct cold *cold;
	int error;

	if (!circle)
		return;
	circle->n = 1;
	circle->step[0] = (struct rota_deadlock_step){.actor = local->turn.self,
						      .whom = local->turn.self,
						      .asks = 1,
						      .tag = tag};
	name_step(&circle->step[0]);
	cold = cold_lock(&own, local->turn.actor, local->turn.self, true,
			 &error);
	if (cold) {
		circle = deadlock_remember(cold, circle);
		cold_unlock(cold);
	}
	free(circle);
}

/* ---- to read it ---- */

static int copy_steps(const struct deadlock *circle,
		      struct rota_deadlock_step *steps, size_t n)
{
	if (!circle)
		return 0;
	if (n > circle->n)
		n = circle->n;
	if (n > 0)
		memcpy(steps, circle->step, n * sizeof(*steps));
	return (int)circle->n;
}

int rota_last_deadlock(struct rota_deadlock_step *steps, size_t n)
{
	struct local *local = local_in_turn();
	struct cold *cold;
	int result;

	if (!local)
		return -EPERM;
	cold = cold_lock_own(local);
	if (!cold)
		return 0;
	result = copy_steps(cold->deadlock, steps, n);
	cold_unlock(cold);
	return result;
}

/* As snprintf(), from where the text has come to. */
static ROTA_PRINTF(4, 5) void add_text(char *text, size_t size, size_t *length,
				       const char *format, ...)
{
	size_t at = *length < size ? *length : size;
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(size > at ? text + at : NULL, size - at, format,
		      arguments);
	va_end(arguments);
	if (n > 0)
		*length += (size_t)n;
}

/* What whom a step leads to is called: the next step is its. */
static const char *type_of_whom(const struct rota_deadlock_step *steps,
				size_t n, size_t i)
{
	const struct rota_deadlock_step *next = &steps[(i + 1) % n];

	return next->actor == steps[i].whom && next->type ? next->type
							  : "actor";
}

int rota_deadlock_text(const struct rota_deadlock_step *steps, size_t n,
		       char *text, size_t size)
{
	size_t i, length = 0;

	if (size > 0)
		text[0] = '\0';
	for (i = 0; i < n; i++) {
		const struct rota_deadlock_step *step = &steps[i];

		add_text(text, size, &length,
			 "%s%s %016" PRIx64 " %s %s %016" PRIx64,
			 i > 0 ? "\n" : "", step->type ? step->type : "actor",
			 step->actor, step->asks ? "asks" : "waits for",
			 type_of_whom(steps, n, i), step->whom);
		if (step->asks && step->message)
			add_text(text, size, &length, ": %s", step->message);
		else if (step->asks)
			add_text(text, size, &length, ": tag %u", step->tag);
	}
	return length < INT_MAX ? (int)length : INT_MAX;
}
