/* SPDX-License-Identifier: MIT */
/*
 * overflow - messages beyond a mailbox's capacity, where the actor wants them
 *
 * Problem:    the count of a mailbox is 16 bits of its word, half of them for
 *             overdrafts; some actors want more in their mailbox, or as much as
 *             there is memory, and no other actor may pay for that.
 * Approach:   a second counter, in the cold block that such an actor has from
 *             its beginning. Who finds the mailbox full counts there, and
 *             pushes past the bound like a notice. So all messages go through
 *             the one word, and their order is that of others; a mailbox that
 *             has room is what it always is, and is not told apart.
 *             The consumer finds those messages by their being uncounted. So
 *             notices to such an actor count there too; timers' and flushes'
 *             messages say what they are and do not.
 *             When there is no more either, senders wait for room as elsewhere:
 *             for that in the mailbox, which comes first as it is older.
 * Rejected:   a counter beside the mailbox's word for all (a read-modify-write
 *             more for each message); a list in the cold block (its order with
 *             notices, and with who waits).
 * Invariants: I1 xover >= overflow messages and notices that are queued or in
 *             hand: counted before they are pushed, taken off when finished.
 *             I2 while senders wait nobody uses it: those come first.
 * Orderings:  [L1] see spin.h: senders are one after the other, and the block
 *             is that life's. The consumer takes off without it, relaxed: a
 *             sender sees that there is room a moment late.
 */
#include "core/overflow.h"

#include "core/cold.h"

/* Timers' copies that were put aside look like notices: see stash(). */
#define FLAGS_APART (MESSAGE_TIMER | MESSAGE_FLUSH)

/* A constant of the actor's life; 0 for most, who have no block even. */
static unsigned limit_of(struct engine *engine, AO_t signal)
{
	uint32_t number = signal_cold(signal);

	/* Relaxed: written before the actor lived. */
	return number ? AO_int_load(&cold_at(engine, number)->xover_limit) : 0;
}

static bool is_unlimited(const struct cold *cold)
{
	/* Relaxed, here and below: under the lock. */
	return AO_int_load(&cold->xover_limit) == ROTA_UNBOUNDED;
}

static bool has_room(const struct cold *cold)
{
	return is_unlimited(cold) ||
	       /* Relaxed: see above; the consumer only takes off. */
	       AO_int_load(&cold->xover) < AO_int_load(&cold->xover_limit);
}

static enum mailbox_push push(struct actor *actor, struct cold *cold,
			      struct message *message)
{
	unsigned flags = message->flags;
	enum mailbox_push pushed;

	AO_int_fetch_and_add(&cold->xover, 1); /* relaxed: see the top */
	message_set_flags(message, flags | MESSAGE_UNCOUNTED);
	pushed = mailbox_push_over(&actor->xmail, message);
	if (pushed == MAILBOX_IS_CLOSED) {
		message_set_flags(message, flags);
		AO_int_fetch_and_sub1(&cold->xover); /* relaxed: as above */
	}
	return pushed;
}

bool overflow_push(struct site *site, struct actor *actor, rota_id to,
		   struct message *message, enum mailbox_push *pushed)
{
	struct cold *cold;
	bool is_ours;
	int error;

	/* Relaxed: looked at again with the lock. */
	if (likely(limit_of(site->engine, AO_load(&actor->xsignal)) == 0))
		return false;
	cold = cold_lock(site, actor, to, false, &error);
	if (!cold)
		return false;
	is_ours = !cold->room.first && has_room(cold);
	if (is_ours)
		*pushed = push(actor, cold, message);
	cold_unlock(cold);
	return is_ours;
}

void overflow_note(struct site *site, struct actor *actor, rota_id to,
		   const struct message *message)
{
	struct cold *cold;
	int error;

	/* Relaxed: looked at again with the lock. */
	if (likely(limit_of(site->engine, AO_load(&actor->xsignal)) == 0) ||
	    message->flags & FLAGS_APART)
		return;
	cold = cold_lock(site, actor, to, false, &error);
	if (!cold)
		return;
	AO_int_fetch_and_add(&cold->xover, 1); /* relaxed: see the top */
	cold_unlock(cold);
}

/* Apart: nothing of it belongs into the end of an ordinary message. */
__attribute__((noinline)) void overflow_credit(struct local *local,
					       const struct message *message)
{
	/* Relaxed: our own life. */
	AO_t signal = AO_load(&local->turn.actor->xsignal);

	if (likely(limit_of(local->engine, signal) == 0) ||
	    message->flags & FLAGS_APART)
		return;
	/* Relaxed: see the top. */
	AO_int_fetch_and_sub1(
		&cold_at(local->engine, signal_cold(signal))->xover);
}

unsigned overflow_length(const struct cold *cold)
{
	return AO_int_load(&cold->xover); /* relaxed: a moment old anyhow */
}
