/* SPDX-License-Identifier: MIT */
/*
 * chain - messages of one handler to one receiver that go out together
 *
 * Problem:    a producer that sends ten thousand messages to one actor pays a
 *             CAS for each, on a line that the receiver's worker wants too.
 * Approach:   after some sends in a row to the same receiver, a push also
 *             leases room for more; the messages that follow are linked in the
 *             worker's hand, at the cost of a few stores, and go out with one
 *             CAS when the lease is used up (with the next lease), when the
 *             handler returns or waits, and before any other call into the
 *             engine. So the bound is exact and the order causal.
 *             The lease counts as room that is used. It is given back with the
 *             chain. If the receiver has ended by then, the messages become
 *             dead letters, and its slot is not used again before: see
 *             actor_free_leased().
 *             A handler that computes on holds its chain for a tick at most:
 *             then the monitor takes it.
 * Measured:   the plan was that the second send in a row leases 1 + min(62,
 *             room / 4), and none below a capacity of eight. Instead (medians of
 *             paired runs on one worker, ns a message, a CAS being 2.4):
 *             - The send after the second opens the chain: its own push takes
 *               the lease along. A lease by a CAS of its own made mpsc 6 %
 *               dearer, and counting 3 %.
 *             - It leases min(62, room / 2), and nothing where that is less
 *               than four, whatever the capacity: fewer and longer chains.
 *               Without chains / with a quarter / with half: counting 13.3 /
 *               14.1 / 13.3, mpsc 14.1 / 15.4 / 14.8, big 25.3 / 25.5 / 25.5.
 *             - Sends that make their receiver runnable do not count: who sends
 *               one message and returns pays a store.
 *             - Where a chain had fewer than three messages, the next is tried
 *               after twice as many sends as this one, up to 64; where there
 *               was no room, after four.
 *             Where a CAS is that cheap, chains win nothing, and the look for
 *             sends in a row costs what it costs: so there is neither there,
 *             see chain_choice.c.
 * Rejected:   buffers that outlive the handler (another actor could see that
 *             a later message overtook them); combining by the receiver.
 * Invariants: I1 xheld != ROTA_NONE <=> a lease is open: actor cannot become
 *                another one.
 *             I2 between worker_enter_hand() and worker_leave_hand() nothing
 *                waits or calls out.
 * Orderings:  [H1] see hand.c.
 * Read-modify-writes: one per chain; a chain that was opened in vain costs one
 *             that gives the lease back, and the next is tried later.
 */
#include "core/chain.h"

#include <errno.h>

#include "core/run.h"

/* ---- out of the hand ---- */

/* What came of pushing a chain. */
struct outcome {
	rota_id to; /* ROTA_NONE: there was no chain, the monitor was first */
	struct actor *actor;
	bool awakened; /* the receiver has to be made runnable */
	bool refused;  /* it has ended; the chain's messages are ours to bury */
	AO_t word;     /* then: of its mailbox, without the lease */
};

/*
 * Inside the hand. The messages are not copied out of it: wide copies would
 * wait for the narrow stores that linked them.
 */
static inline struct outcome push_out(struct local *local, bool again)
{
	struct mailbox_chain *messages = &local->chain.messages;
	struct outcome outcome = {.actor = local->chain.actor};
	unsigned lease = messages->lease;

	/* Relaxed: [H1] orders. */
	outcome.to = AO_load(&local->worker.xheld);
	if (unlikely(outcome.to == ROTA_NONE))
		return outcome;
	if (likely(!local->chain.is_refused)) {
		AO_t word = mailbox_push_chain(&outcome.actor->xmail, messages,
					       actor_capacity(outcome.actor),
					       again, &outcome.awakened);

		outcome.word = word - MAILBOX_ONE * lease;
		outcome.refused = (word & MAILBOX_ENDED) != 0;
	} else {
		outcome.refused = true;
		outcome.word = MAILBOX_SCHEDULED; /* was seen to already */
		local->chain.is_refused = false;
	}
	if (messages->lease == 0)
		/* Relaxed: [H1] orders. */
		AO_store(&local->worker.xheld, ROTA_NONE);
	return outcome;
}

static void bury(struct site *site, struct mailbox_chain *chain, rota_id to)
{
	struct message *message = chain->newest, *oldest = NULL, *next;

	for (; message; message = next) {
		next = message == chain->oldest ? NULL : message->next;
		message->next = oldest;
		oldest = message;
	}
	for (message = oldest; message; message = next) {
		next = message->next;
		dead_letter(site->engine, site->cache, message, to,
			    ROTA_DEAD_STOPPED);
	}
}

/* Outside the hand: the messages that nobody takes, the receiver that wakes. */
static inline void see_to(struct local *local, const struct outcome *outcome)
{
	struct site site = site_of(local);

	if (unlikely(outcome->refused)) {
		actor_free_leased(&site, outcome->actor, outcome->word);
		bury(&site, &local->chain.messages, outcome->to);
	} else if (outcome->awakened) {
		site_schedule(&site, outcome->actor);
	}
}

/* Was it worth it? If not, the next one is tried later. */
static void learn(struct chain *chain)
{
	chain->n_looks += chain->n_joined * CHAIN_LOOKS_EACH;
	if (chain->n_looks > CHAIN_LOOKS_MAX)
		chain->n_looks = CHAIN_LOOKS_MAX;
	if (chain->n_joined >= CHAIN_MIN)
		chain->open_at = CHAIN_FIRST;
	else if (chain->open_at < CHAIN_LAST)
		chain->open_at *= 2;
	chain->until_due = chain->open_at;
	chain->n_joined = 0;
}

void chain_miss(struct local *local)
{
	learn(&local->chain);
}

static void look_for(struct local *local, unsigned n_sends)
{
	struct chain *chain = &local->chain;

	chain->last = ROTA_NONE;
	chain->open_at = CHAIN_FIRST;
	chain->until_due = CHAIN_FIRST;
	chain->n_looks = n_sends;
	local->usual = NEAR_NOTED;
	if (local->near != NEAR_NONE)
		local->near = local->usual;
}

void chain_start(struct local *local)
{
	look_for(local, CHAIN_LOOKS);
}

void chain_look_again(struct local *local)
{
	if (local->engine->has_chains && local->usual != NEAR_NOTED)
		look_for(local, CHAIN_LOOKS_AGAIN);
}

void chain_look(struct worker *worker)
{
	struct local *local = (struct local *)worker;

	if (++local->chain.n_rests % CHAIN_LOOK_EVERY == 0 &&
	    local->usual != NEAR_NOTED)
		chain_start(local);
}

/*
 * What is in the hand goes out, with a new lease if it is to go on and there is
 * room. If not, sends go their usual way again.
 */
static struct outcome go_out(struct local *local, bool again)
{
	AO_t was = worker_enter_hand(&local->worker);
	struct outcome outcome = push_out(local, again);
	/* Relaxed: [H1] orders. */
	bool ends = AO_load(&local->worker.xheld) == ROTA_NONE;

	if (ends)
		local->turn.marks &= ~(uint32_t)TURN_CHAINS;
	worker_leave_hand(&local->worker, was);
	if (!ends)
		return outcome;
	local->chain.is_open = false;
	local->near = local->usual; /* as it was when the chain was opened */
	local->chain.last = ROTA_NONE;
	count(&local->cache.counters.xchained, local->chain.n_joined);
	learn(&local->chain);
	return outcome;
}

__attribute__((noinline)) void chain_flush(struct local *local)
{
	struct outcome outcome = go_out(local, false);

	if (outcome.to != ROTA_NONE)
		see_to(local, &outcome);
}

int chain_renew(struct local *local)
{
	struct outcome outcome = go_out(local, true);

	if (!local->chain.is_open) /* the mailbox is full soon */
		local->chain.until_due = CHAIN_NO_ROOM;
	if (outcome.to != ROTA_NONE)
		see_to(local, &outcome);
	return 0;
}

/*
 * Taken away by the monitor. What nobody takes stays in the hand, for its owner
 * to report: callbacks do not run here.
 */
void chain_revoke(struct worker *worker)
{
	struct local *local = (struct local *)worker;
	struct engine *engine = local->engine;
	struct shard *shard = &engine->shards[0];
	struct site site = {
		.engine = engine, .cache = &shard->cache, .shard = shard};
	struct outcome outcome;

	if (local->chain.is_refused)
		return;
	outcome = push_out(local, false);
	if (outcome.to == ROTA_NONE || !(outcome.refused || outcome.awakened))
		return;
	spin_lock(&shard->xlock);
	if (outcome.refused)
		actor_free_leased(&site, outcome.actor, outcome.word);
	else
		site_schedule(&site, outcome.actor);
	spin_unlock(&shard->xlock);
	if (outcome.refused) {
		local->chain.is_refused = true;
		/* Relaxed: [H1] orders. */
		AO_store(&local->worker.xheld, outcome.to);
	}
	if (site.awakened)
		crew_inject(&engine->crew, site.awakened);
}

/* ---- into the hand ---- */

static void lease(struct local *local, struct actor *actor, rota_id to,
		  unsigned room)
{
	struct chain *chain = &local->chain;
	AO_t was = worker_enter_hand(&local->worker);

	local->turn.marks |= TURN_CHAINS;
	chain->messages = (struct mailbox_chain){.lease = room};
	chain->actor = actor;
	/* Relaxed: [H1] orders. */
	AO_store(&local->worker.xheld, to);
	worker_leave_hand(&local->worker, was);
	chain->is_open = true;
	local->near = NEAR_NONE;
}

bool chain_begin(struct local *local, struct actor *actor, rota_id to,
		 struct message *message)
{
	struct site site = site_of(local);
	enum mailbox_push pushed;
	unsigned room;

	pushed = mailbox_push_leasing(&actor->xmail, message,
				      actor_capacity(actor), &room);
	if (unlikely(pushed == MAILBOX_FULL || pushed == MAILBOX_IS_CLOSED))
		return false;
	if (pushed == MAILBOX_AWAKENED)
		site_schedule(&site, actor);
	if (likely(room > 0))
		lease(local, actor, to, room);
	else
		learn(&local->chain);
	return true;
}
