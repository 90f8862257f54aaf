/* SPDX-License-Identifier: MIT */
/*
 * ask - where an answer is waited for
 *
 * Problem:    exactly one answer, or exactly one failure, whoever is faster:
 *             the answerer, the deadline, a cancel, the end of either side. The
 *             answer goes into memory of the asker, who may leave at any time.
 * Approach:   one CAS away from OPEN decides. An asker that comes second stays
 *             until the answer is written; an answerer that comes second finds
 *             that nobody wants it. Each of the two has the cell until it is
 *             done with it, and the second one frees it: so a token in a
 *             message never dangles, and a cancelled request is found out when
 *             it is taken, without a search.
 *             An ask whose answer is to come as a message, and that is made on
 *             behalf of another ask, stands in a list of the asker's cold block
 *             until it is answered: nobody waits for it whom a cancel could
 *             find. The cancel is its asker then: it leaves the cell, under the
 *             list's lock, and sends the message. So it goes on from handler to
 *             handler without memory of its own: what is to be told next lies
 *             in the messages.
 *             Waiting is another matter: an asker that waits says so (WATCHED)
 *             and is woken; what it then finds in the cell counts, not how its
 *             wait ended.
 * Rejected:   a ticket of the asker's wait in the message, and no cell (one CAS
 *             less; but no way to hand the token on, to cancel a request, or to
 *             start several); cells on the asker's stack (late answers).
 * Limits:     a cancel looks at all that the handler's actor has asked by message
 *             on behalf of anybody, under the lock of its block; it recurses
 *             where it goes on to another engine; and a dead letter callback
 *             that it meets holds up whom it would tell next.
 * Read-modify-writes, of an ask that is called and answered at once, all told: 2,
 *             the push and the one that takes the message and goes idle; see
 *             ask_is_called(). Of one that waits: 7.
 *             Asker: wait_begin(), the push, the lock on its own cold block for
 *             the edge; one more if the receiver has such a block: its lock.
 *             Receiver: STARTED, CLAIMED, the end of the wait, and the one that
 *             takes the message and goes idle.
 * Orderings:  [Y1] the CASes on the word: what the asker prepared is seen by
 *             the answerer; and in a cell that is left, by who frees it.
 *             [Y2] DONE store -> the asker's load: the answer.
 *             [Y3] xaim; and xholder, where it is set before xaim is cleared.
 *             [Y4] xname of an alarm: that it has rung is seen by who answers.
 *             [E5] see stop.c.
 */
#include "core/ask.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "core/cold.h"
#include "core/estate.h"
#include "core/overflow.h"
#include "core/reads.h"
#include "core/run.h"
#include "mailbox/closure.h"

/* Each engine starts somewhere else. */
void ask_carve(void *block, uint32_t number, uint32_t parameter)
{
	struct ask *ask = block;

	ask->number = number;
	/* Relaxed: see slabs_cell(). */
	AO_store(&ask->xword, (AO_t)(parameter * 2654435761u) * ASK_SEQUENCE);
}

size_t ask_size(void)
{
	return (sizeof(struct ask) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

/* ---- the asker ---- */

bool ask_is_asked(const struct ask *ask, uint64_t token)
{
	/* Relaxed: the asker's own, or not its at all. */
	AO_t word = AO_load(&ask->xword);
	enum ask_state state = ask_state(word);

	return ask_is_of(word, token) && state != ASK_FREE && state != ASK_LEFT;
}

bool ask_is_done(const struct ask *ask)
{
	/* [Y2] pairs with finish() */
	return ask_state(AO_load_acquire(&ask->xword)) == ASK_DONE;
}

/* The answer is being written: a copy of 64 KiB at most. */
static void await_done(const struct ask *ask)
{
	while (!ask_is_done(ask))
		sched_yield();
}

bool ask_watch(struct ask *ask)
{
	/* Relaxed: the CAS re-checks it. */
	AO_t word = AO_load(&ask->xword);

	while (ask_state(word) == ASK_OPEN) {
		/* [Y1] pairs with claim(): the ticket; a CAS fails only as the
		   answerer has gone on */
		AO_t seen = AO_fetch_compare_and_swap_full(
			&ask->xword, word, (word & ~ASK_CALLED) | ASK_WATCHED);

		if (seen == word)
			return true;
		word = seen;
	}
	await_done(ask);
	return false;
}

void ask_unwatch(struct ask *ask)
{
	/* Relaxed: the CAS re-checks it. */
	AO_t word = AO_load(&ask->xword);

	while (ask_state(word) == ASK_OPEN) {
		/* [Y1] as in ask_watch() */
		AO_t seen = AO_fetch_compare_and_swap_full(&ask->xword, word,
							   word & ~ASK_WATCHED);

		if (seen == word)
			return;
		word = seen;
	}
	await_done(ask);
}

void ask_retract(struct site *site, struct ask *ask)
{
	/* Relaxed: the CAS re-checks it. */
	AO_t word = AO_load(&ask->xword);

	while (ask_state(word) == ASK_OPEN) {
		/* [Y1] as in claim(), in whose place this is */
		AO_t seen = AO_fetch_compare_and_swap_full(
			&ask->xword, word, (word & ~ASK_STATE) | ASK_CLAIMED);

		if (seen == word) {
			ask_close(site, ask);
			return;
		}
		word = seen;
	}
	await_done(ask);
	ask_close(site, ask);
}

bool ask_leave(struct ask *ask, bool withdrawn, AO_t *seen)
{
	/* Relaxed: the CAS re-checks it. */
	AO_t word = AO_load(&ask->xword);

	while (ask_state(word) == ASK_OPEN) {
		AO_t next = (word & ~(ASK_STATE | ASK_WATCHED | ASK_CALLED)) |
			    ASK_LEFT | (withdrawn ? ASK_WITHDRAWN : 0);

		/* [Y1] pairs with claim() and ask_begin(); fails as above */
		*seen = AO_fetch_compare_and_swap_full(&ask->xword, word, next);
		if (*seen == word)
			return true;
		word = *seen;
	}
	await_done(ask);
	return false;
}

void ask_free_block(struct site *site, struct ask *ask)
{
	message_discard(site->engine, site->cache, ask->block);
	ask->block = NULL;
}

/* ---- notices ---- */

/* Nothing rings for this ask any more. */
static void clear_alarm(struct ask *ask)
{
	if (!ask->worker ||
	    clockwork_clear(&ask->worker->clockwork, &ask->alarm.alarm))
		return;
	/* [Y4] pairs with ask_ring(): it is about to read the name, or has */
	while (AO_load_acquire(&ask->alarm.xname) != 0)
		sched_yield();
}

/* The message for an answer; the one that was made before, where it fits. */
static struct message *notice_of(struct site *site, struct ask *ask,
				 struct rota_notice *head, size_t length)
{
	size_t size = sizeof(*head) + length;
	struct message *message = ask->block;

	ask->block = NULL;
	if (size > MESSAGE_INLINE) {
		struct message *large = message_get(
			&site->engine->messages, site->cache->messages, size);

		if (large) {
			message_discard(site->engine, site->cache, message);
			return large;
		}
		head->outcome = -ENOMEM;
		size = sizeof(*head);
	}
	message_set(message, 0, 0, 0, (unsigned)size);
	return message;
}

/* Into the asker's mailbox, past the bound; or, if that has ended, reported. */
static void deliver(struct site *site, rota_id to, struct message *message)
{
	struct actor *actor = engine_actor(site->engine, to);
	enum mailbox_push pushed = MAILBOX_IS_CLOSED;

	/* Relaxed: a life that ends now reports it. */
	if (signal_accepts(AO_load(&actor->xsignal), to)) {
		overflow_note(site, actor, to, message);
		pushed = mailbox_push_over(&actor->xmail, message);
	}
	if (pushed == MAILBOX_AWAKENED)
		site_schedule(site, actor);
	else if (pushed == MAILBOX_IS_CLOSED)
		dead_letter_outside(site, message, to, ROTA_DEAD_NO_ACTOR);
}

/*
 * The block may be another actor's by now, which has a list of its own; the ask's
 * link is under its lock still, and if it is linked the block is the asker's.
 */
static void delist(struct ask *ask)
{
	if (likely(!ask->cold))
		return;
	spin_lock(&ask->cold->xlock);
	if (ask->prev) {
		*ask->prev = ask->next;
		if (ask->next)
			ask->next->prev = ask->prev;
		ask->prev = NULL;
	}
	cold_unlock(ask->cold);
}

/* Under the lock: who finds it in the list finds it open, with its alarm set;
   and who answers it has to wait before it is freed. */
struct cold *ask_begin_behalf(struct ask *ask)
{
	struct cold *cold = ask->cold;

	ask->prev = NULL;
	if (unlikely(cold != NULL))
		spin_lock(&cold->xlock);
	return cold;
}

void ask_end_behalf(struct ask *ask, struct cold *cold)
{
	if (likely(!cold))
		return;			 /* it may be freed already */
	if (cold->owner == ask->asker) { /* else it has been abandoned */
		ask->next = cold->asked;
		ask->prev = &cold->asked;
		if (ask->next)
			ask->next->prev = &ask->next;
		cold->asked = ask;
	}
	cold_unlock(cold);
}

void ask_release_behalf(struct cold *cold)
{
	struct ask *ask, *next;

	for (ask = cold->asked; ask; ask = next) {
		next = ask->next;
		ask->prev = NULL; /* it may be freed as the lock is */
	}
	cold->asked = NULL;
}

static void send_notice(struct site *site, struct ask *ask,
			const struct answer *answer)
{
	struct rota_notice head = {.context = ask->context,
				   .outcome = answer->outcome};
	size_t length = answer->outcome == 0 ? answer->length : 0;
	struct local *local = local_in_turn();
	struct message *message;
	rota_id to = ask->asker;
	char *payload;

	if (length > ROTA_MAX_PAYLOAD - sizeof(head)) {
		head.outcome = -EMSGSIZE;
		length = 0;
	}
	message = notice_of(site, ask, &head, length);
	payload = message_plain_payload(message);
	memcpy(payload, &head, sizeof(head));
	if (head.outcome == 0 && length > 0)
		memcpy(payload + sizeof(head), answer->reply, length);
	message->from = local ? local->turn.self : ROTA_NONE;
	message_set(message, id_generation(to), ask->reply_tag,
		    MESSAGE_UNCOUNTED, message->size);
	clear_alarm(ask);
	delist(ask);
	ask_close(site, ask);
	deliver(site, to, message);
	count_done(site->cache); /* begun as it was asked: see get_then() */
}

/* ---- the answerer ---- */

enum claim {
	CLAIM_WON,
	CLAIM_UNWANTED, /* the asker had left; the cell is freed */
	CLAIM_LATE	/* the token is used up */
};

/* Whoever cancelled it may have it in hand still: see leave_notice(). */
static void await_leaver(struct ask *ask)
{
	if (ask->kind != ASK_NOTICE || !ask->cold)
		return;
	spin_lock(&ask->cold->xlock);
	cold_unlock(ask->cold);
}

/* Become the one who answers; *was: the word before. */
static enum claim claim(struct site *site, struct ask *ask, uint64_t token,
			AO_t *was)
{
	/* Relaxed: the CAS re-checks it. */
	AO_t word = AO_load(&ask->xword);

	while (ask_is_of(word, token)) {
		enum ask_state state = ask_state(word);

		if (state != ASK_OPEN && state != ASK_LEFT)
			break;
		/* [Y1] pairs with ask_open(), ask_watch(), ask_leave(): fails
		   only as one of them has changed it */
		*was = AO_fetch_compare_and_swap_full(
			&ask->xword, word,
			state == ASK_OPEN ? (word & ~ASK_STATE) | ASK_CLAIMED
					  : ask_free_word(word));
		if (*was == word) {
			if (state == ASK_OPEN)
				return CLAIM_WON;
			await_leaver(ask);
			ask_put(site, ask);
			return CLAIM_UNWANTED;
		}
		word = *was;
	}
	return CLAIM_LATE;
}

static void keep_reply(struct site *site, struct ask *ask,
		       const struct answer *answer)
{
	char *to = (char *)ask->kept;

	if (answer->length > ROTA_MAX_PAYLOAD) {
		ask->outcome = -EMSGSIZE;
		return;
	}
	if (answer->length > ASK_INLINE) {
		ask->block = message_get(&site->engine->messages,
					 site->cache->messages, answer->length);
		if (!ask->block) {
			ask->outcome = -ENOMEM;
			return;
		}
		to = message_plain_payload(ask->block);
	}
	if (answer->length > 0)
		memcpy(to, answer->reply, answer->length);
}

static void write_answer(struct site *site, struct ask *ask,
			 const struct answer *answer)
{
	ask->outcome = answer->outcome;
	ask->length = 0;
	if (answer->outcome < 0)
		return;
	ask->length = answer->length;
	if (ask->kind == ASK_HANDLE)
		keep_reply(site, ask, answer);
	else if (answer->length > ask->reply_size)
		ask->outcome = -EMSGSIZE;
	else if (likely(answer->length <= MESSAGE_INLINE))
		message_copy_inline(ask->reply, answer->reply, answer->length);
	else
		memcpy(ask->reply, answer->reply, answer->length);
}

bool ask_take_back(struct site *site, uint64_t token)
{
	struct ask *ask = ask_cell(site->engine, token);
	AO_t word;

	if (claim(site, ask, token, &word) != CLAIM_WON)
		return false;
	clear_alarm(ask);
	delist(ask);
	ask_close(site, ask);
	count_done(site->cache);
	return true;
}

/* Into the state that lets the asker go on; and wake it, if it waits. */
static void finish(struct site *site, struct ask *ask, AO_t word)
{
	AO_t done = ask_sequence(word) | (word & ASK_STARTED) | ASK_DONE;
	struct gather *gather = word & ASK_WATCHED ? ask->gather : NULL;
	bool wakes = (word & ASK_WATCHED) != 0, is_far = wakes && ask->is_far;
	struct wait_ticket ticket = {NULL, 0};

	/* If it is not WATCHED, the asker may be about to change these. */
	if (likely(wakes))
		ticket = gather ? gather->ticket : ask->ticket;
	if (gather) {
		/* [W1] orders the step that counts: see struct gather */
		wakes = AO_fetch_and_add_full(&gather->xmissing, (AO_t)-1) == 1;
	}
	/* Once it is DONE an asker elsewhere, and its engine, may go away. */
	if (unlikely(is_far && wakes))
		wakes = wait_claim(ticket);
	/* [Y2] pairs with ask_is_done(); the gather is not ours from here on */
	AO_store_release(&ask->xword, done);
	if (!wakes)
		return;
	site_unlock(site); /* a wake-up may be a system call */
	if (unlikely(is_far))
		wait_finish(ticket.wait, 0);
	else /* of a later wait than ours the sequence is another */
		wait_complete(ticket);
	site_lock(site);
}

/* It is claimed: hand the answer over. @word: as it was before. */
static void give(struct site *site, struct ask *ask, AO_t word,
		 const struct answer *answer)
{
	static const struct answer died = {.outcome = -ECONNRESET};

	/* Whoever passed it on had begun with it. */
	if (answer->outcome == -ESRCH && word & ASK_STARTED)
		answer = &died;
	if (ask->kind == ASK_NOTICE) {
		send_notice(site, ask, answer);
		return;
	}
	write_answer(site, ask, answer);
	finish(site, ask, word);
}

/* In a site of the cell's engine. */
static int answer_here(struct site *site, uint64_t token,
		       const struct answer *answer)
{
	struct ask *ask = ask_cell(site->engine, token);
	enum claim claimed = CLAIM_LATE;
	AO_t word;

	if (likely(ask != NULL))
		claimed = claim(site, ask, token, &word);
	if (unlikely(claimed != CLAIM_WON)) {
		if (claimed == CLAIM_UNWANTED && answer->outcome >= 0)
			count(&site->cache->counters.xlate, 1);
		return claimed == CLAIM_LATE ? -EALREADY : -ECANCELED;
	}
	give(site, ask, word, answer);
	return 0;
}

/*
 * Open, so claim it in one step. *was: its word. Not one whose asker neither waits
 * nor stands below: it may be about to change what is read next.
 */
static inline bool claim_near(const struct local *local, struct ask *ask,
			      uint64_t token, AO_t *was)
{
	/* Relaxed: the CAS re-checks it. */
	AO_t word = AO_load(&ask->xword), claimed;

	*was = word;
	if (unlikely(!ask_is_of(word, token) || ask_state(word) != ASK_OPEN))
		return false;
	claimed = (word & ~ASK_STATE) | ASK_CLAIMED;
	if (likely(ask_is_called(local, ask))) {
		/* Relaxed: ours alone. */
		AO_store(&ask->xword, claimed);
		return true;
	}
	return word & ASK_WATCHED &&
	       /* [Y1] as in claim() */
	       AO_compare_and_swap_full(&ask->xword, word, claimed);
}

/* A turn of this engine waits for it in a call, or will unless it is DONE by
   then; and has room for the reply. */
static inline bool is_plain_call(const struct ask *ask,
				 const struct answer *answer)
{
	return ask->kind == ASK_CALL && !ask->is_far && answer->outcome >= 0 &&
	       answer->length <= ask->reply_size &&
	       answer->length <= MESSAGE_INLINE;
}

static __attribute__((noinline)) int
answer_slowly(struct local *local, uint64_t token, const struct answer *answer)
{
	struct site site = site_of(local);

	return answer_here(&site, token, answer);
}

static __attribute__((noinline)) int give_slowly(struct local *local,
						 struct ask *ask, AO_t word,
						 const struct answer *answer)
{
	struct site site = site_of(local);

	give(&site, ask, word, answer);
	return 0;
}

int ask_answer_near(struct local *local, uint64_t token,
		    const struct answer *answer)
{
	struct ask *ask = ask_cell_near(local, token);
	struct wait_ticket ticket;
	AO_t word;

	if (unlikely(!ask || !claim_near(local, ask, token, &word)))
		return answer_slowly(local, token, answer);
	if (unlikely(!is_plain_call(ask, answer)))
		return give_slowly(local, ask, word, answer);
	message_copy_inline(ask->reply, answer->reply, answer->length);
	ask->outcome = answer->outcome;
	ask->length = answer->length;
	ticket = ask->ticket; /* valid if it is WATCHED */
	/* [Y2] as in finish() */
	AO_store_release(&ask->xword,
			 ask_sequence(word) | (word & ASK_STARTED) | ASK_DONE);
	if (word & ASK_WATCHED)
		wait_complete(ticket);
	return 0;
}

int ask_answer(struct site *site, uint64_t token, const struct answer *answer)
{
	struct site other;
	int error;

	if (likely(site->engine && site->engine->number == id_engine(token)))
		return answer_here(site, token, answer);
	error = site_enter(&other, token);
	if (error)
		return error == -ESRCH ? -ECANCELED : error; /* gone, too */
	error = answer_here(&other, token, answer);
	site_leave(&other);
	return error;
}

void ask_fail(struct site *site, uint64_t token, int error)
{
	ask_answer(site, token, &(struct answer){.outcome = error});
}

/* Only the answerer sets STARTED. */
static enum ask_begin begin_here(struct site *site, uint64_t token, bool starts)
{
	struct ask *ask = ask_cell(site->engine, token);
	AO_t word;

	if (unlikely(!ask))
		return ASK_EXPIRED;
	/* Relaxed: the CAS re-checks it. */
	word = AO_load(&ask->xword);
	while (ask_is_of(word, token) && ask_state(word) == ASK_OPEN) {
		AO_t next = starts ? word | ASK_STARTED : word;
		/* [Y1] pairs with ask_leave(): withdrawn, or started */
		AO_t seen =
			AO_fetch_compare_and_swap_full(&ask->xword, word, next);

		if (seen == word)
			return ASK_RUNS;
		word = seen;
	}
	if (claim(site, ask, token, &word) == CLAIM_UNWANTED &&
	    word & ASK_WITHDRAWN)
		return ASK_UNWANTED;
	return ASK_EXPIRED;
}

enum ask_begin ask_begin(struct site *site, uint64_t token, bool starts)
{
	struct site other;
	enum ask_begin begun;

	if (likely(site->engine && site->engine->number == id_engine(token)))
		return begin_here(site, token, starts);
	if (site_enter(&other, token) != 0)
		return ASK_UNWANTED; /* the asker's engine is gone */
	begun = begin_here(&other, token, starts);
	site_leave(&other);
	return begun;
}

/* A cell of whatever engine; false: there is none. */
static bool look(uint64_t token, struct site *site, struct ask **ask)
{
	if (site_enter(site, token) != 0)
		return false;
	*ask = ask_cell(site->engine, token);
	if (!*ask)
		site_leave(site);
	return *ask != NULL;
}

bool ask_aim(uint64_t token, rota_id from, rota_id to)
{
	struct site site;
	struct ask *ask;
	bool changed;

	if (!look(token, &site, &ask))
		return false;
	/* [Y3] pairs with ask_edge() */
	changed = AO_compare_and_swap_full(&ask->xaim, from, to);
	/* [Y1] if another has used up the token meanwhile, it is undone */
	if (changed && !ask_is_of(AO_load_acquire(&ask->xword), token))
		changed = !AO_compare_and_swap_full(&ask->xaim, to, from);
	site_leave(&site);
	return changed;
}

bool ask_hold(uint64_t token, rota_id holder)
{
	struct site site;
	struct ask *ask;
	bool is_open;

	if (!look(token, &site, &ask))
		return false;
	/* [Y1] pairs with claim(): whoever has the token is the only one */
	is_open = ask_is_of(AO_load_acquire(&ask->xword), token);
	if (is_open)
		/* Relaxed: see ask_look(). */
		AO_store(&ask->xholder, holder);
	site_leave(&site);
	return is_open;
}

/* ---- for others ---- */

rota_id ask_edge(uint64_t token)
{
	struct site site;
	struct ask *ask;
	AO_t word, aim;

	if (!look(token, &site, &ask))
		return ROTA_NONE;
	aim = AO_load_acquire(&ask->xaim); /* [Y3] pairs with ask_aim() */
	/* [Y1] pairs with claim(): it is open, and was as we looked */
	word = AO_load_acquire(&ask->xword);
	site_leave(&site);
	return ask_is_of(word, token) && ask_state(word) == ASK_OPEN
		       ? aim
		       : ROTA_NONE;
}

/* Its word, while it is that ask's; else 0. */
static AO_t word_of(uint64_t token)
{
	struct site site;
	struct ask *ask;
	AO_t word;

	if (!look(token, &site, &ask))
		return 0;
	word = AO_load_acquire(&ask->xword); /* [Y1] as above */
	site_leave(&site);
	return ask_is_of(word, token) ? word : 0;
}

bool ask_is_open(uint64_t token)
{
	AO_t word = word_of(token);

	return word != 0 && ask_state(word) == ASK_OPEN;
}

bool ask_is_begun(uint64_t token)
{
	return (word_of(token) & ASK_STARTED) != 0;
}

bool ask_look(uint64_t token, struct ask_seen *seen)
{
	struct site site;
	struct ask *ask;
	AO_t word;

	if (!look(token, &site, &ask))
		return false;
	seen->asker = ask->asker;
	seen->tag = ask->is_closure ? CLOSURE_TAG : ask->tag;
	seen->deadline_ns = ask->deadline_ns;
	seen->aim = AO_load_acquire(&ask->xaim); /* [Y3] as above */
	/* Relaxed: whoever looks restores what it saw. */
	seen->holder = AO_load(&ask->xholder);
	word = AO_load_acquire(&ask->xword); /* [Y1] as above */
	seen->is_open = ask_state(word) == ASK_OPEN;
	seen->is_withdrawn =
		ask_state(word) == ASK_LEFT && word & ASK_WITHDRAWN;
	site_leave(&site);
	return ask_is_of(word, token);
}

bool ask_is_held(uint64_t token, rota_id holder)
{
	struct site site;
	struct ask *ask;
	bool is_its;

	if (!look(token, &site, &ask))
		return false;
	/* Relaxed: what it has stored itself, or what is not its. */
	is_its = AO_load(&ask->xholder) == holder;
	/* [Y1] as above; the rest of a cell that serves another is not ours */
	is_its &= ask_is_of(AO_load_acquire(&ask->xword), token);
	site_leave(&site);
	return is_its;
}

/* ---- a cancel goes on ---- */

/*
 * Of an ask that was made on behalf of one that was cancelled: the message that
 * says so, until it is sent, and whom that concerns in turn.
 */
struct farewell {
	struct rota_notice head; /* what is sent of it */
	rota_id handler;	 /* ROTA_NONE: it has not begun */
	uint64_t token;
};

_Static_assert(sizeof(struct farewell) <= MESSAGE_INLINE, "lies in a message");

static struct farewell *farewell_of(struct message *message)
{
	return (struct farewell *)message->payload;
}

/*
 * Out of the list, whose lock is held; NULL: it is being answered. Whoever has
 * its token frees the cell, and waits for that lock: see await_leaver().
 */
static struct message *leave_notice(const struct site *site, struct ask *ask)
{
	struct message *message;
	rota_id handler;
	/* Relaxed: the CAS re-checks it. */
	AO_t seen, word = AO_load(&ask->xword);

	do {
		if (ask_state(word) != ASK_OPEN)
			return NULL;
		seen = word;
		/* [Y1] pairs with claim() and ask_begin(); fails only as the
		   answerer has gone on */
		word = AO_fetch_compare_and_swap_full(
			&ask->xword, seen,
			(seen & ~ASK_STATE) | ASK_LEFT | ASK_WITHDRAWN);
	} while (word != seen);
	/* Whoever frees it waits for the lock first. */
	handler = ask_handler(ask);
	*ask->prev = ask->next;
	if (ask->next)
		ask->next->prev = ask->prev;
	ask->prev = NULL;
	clear_alarm(ask);
	message = ask->block;
	ask->block = NULL;
	message->from = ask->asker; /* until it is sent */
	message_set(message, id_generation(ask->asker), ask->reply_tag,
		    MESSAGE_UNCOUNTED, sizeof(struct rota_notice));
	*farewell_of(message) = (struct farewell){
		.head = {.context = ask->context, .outcome = -ECANCELED},
		.handler = seen & ASK_STARTED ? handler : ROTA_NONE,
		.token = ask_name(site->engine, ask, seen)};
	return message;
}

/* All that were made on behalf of that ask go to the front of the list. */
static void leave_notices(const struct site *site, struct cold *cold,
			  uint64_t token, struct message **farewells)
{
	struct ask *ask, *next;

	for (ask = cold->asked; ask; ask = next) {
		struct message *message;

		next = ask->next;
		if (ask->behalf != token)
			continue;
		message = leave_notice(site, ask);
		if (message) {
			message->next = *farewells;
			*farewells = message;
		}
	}
}

/* What one actor does on behalf of that ask, in a site of its engine. */
static void cascade_in(struct site *site, rota_id handler, uint64_t token,
		       struct message **farewells)
{
	struct actor *actor = engine_actor(site->engine, handler);
	struct wait_ticket ticket;
	struct cold *cold = NULL;
	bool won;
	int error;

	if (actor)
		cold = cold_lock(site, actor, handler, false, &error);
	if (!cold)
		return;
	ticket = cold->edge_ticket;
	won = ((cold->edge != EDGE_NONE && cold->behalf == token) ||
	       reads_find(cold, token, &ticket)) &&
	      wait_claim(ticket);
	leave_notices(site, cold, token, farewells);
	cold_unlock(cold);
	/* Claimed, it stays where it is. */
	if (won) {
		site_unlock(site);
		wait_finish(ticket.wait, -ECANCELED);
		site_lock(site);
	}
}

/* Tell the asker; those who are asked in turn, unless elsewhere, are added. */
static void bid_farewell(struct site *site, struct message *message,
			 struct message **farewells)
{
	struct farewell farewell = *farewell_of(message);
	rota_id asker = message->from;

	message->from = ROTA_NONE;
	deliver(site, asker, message);
	count_done(site->cache); /* begun as it was asked: see get_then() */
	site_step_out(site);	 /* one is awakened at a time */
	if (id_engine(farewell.handler) != site->engine->number)
		ask_cascade(farewell.handler, farewell.token);
	site_step_in(site);
	if (id_engine(farewell.handler) == site->engine->number)
		cascade_in(site, farewell.handler, farewell.token, farewells);
}

void ask_cascade(rota_id handler, uint64_t token)
{
	struct message *farewells = NULL;
	struct site site;

	if (handler == ROTA_NONE || site_enter(&site, handler) != 0)
		return;
	cascade_in(&site, handler, token, &farewells);
	while (farewells) {
		struct message *message = farewells;

		farewells = message->next;
		bid_farewell(&site, message, &farewells);
	}
	site_leave(&site);
}

/* ---- the end ---- */

void ask_give_up(struct engine *engine, uint32_t number)
{
	struct ask *ask = slabs_cell(engine->ask_cells.xentry, number);
	struct site site = {.engine = engine,
			    .cache = &engine->shards[0].cache};
	/* [E5] who waits in there has stepped out before; [Y1] like any look */
	AO_t word = AO_load_acquire(&ask->xword);
	struct answer answer = {.outcome = -ECONNRESET};

	if (ask_state(word) != ASK_OPEN || ask->kind == ASK_NOTICE ||
	    word & ASK_CALLED)
		return;
	if (!(word & ASK_STARTED))
		answer.outcome = -ESRCH;
	spin_lock(&engine->shards[0].xlock);
	site.shard = &engine->shards[0];
	answer_here(&site, ask_name(engine, ask, word), &answer);
	spin_unlock(&engine->shards[0].xlock);
}

static void bequeath(struct engine *engine, const struct ask *ask,
		     struct bequest *bequest)
{
	/* Relaxed: DONE is ours. */
	AO_t word = AO_load(&ask->xword);

	*bequest = (struct bequest){.token = ask_name(engine, ask, word),
				    .outcome = ask->outcome,
				    .progress = ask_progress(word),
				    .length = ask->length};
	if (ask->outcome != 0 || ask->length == 0)
		return;
	bequest->reply = malloc(ask->length);
	if (bequest->reply)
		memcpy(bequest->reply, ask_kept(ask), ask->length);
	else
		bequest->outcome = -ENOMEM;
}

bool ask_bequeath(struct engine *engine, uint32_t number,
		  struct bequest *bequest)
{
	struct ask *ask = slabs_cell(engine->ask_cells.xentry, number);
	struct shard *shard = &engine->shards[0];
	struct site site = {
		.engine = engine, .cache = &shard->cache, .shard = shard};
	/* [E5] all have left; [Y1] like any look */
	enum ask_state state = ask_state(AO_load_acquire(&ask->xword));

	if (state != ASK_CLAIMED && state != ASK_DONE)
		return false; /* none is open: see ask_give_up() */
	if (ask->kind != ASK_HANDLE || !ask->is_threads)
		return false;
	await_done(ask); /* by a handler that has not returned */
	bequeath(engine, ask, bequest);
	spin_lock(&shard->xlock);
	ask_close(&site, ask);
	spin_unlock(&shard->xlock);
	return true;
}

void ask_release(struct engine *engine, uint32_t number)
{
	struct ask *ask = slabs_cell(engine->ask_cells.xentry, number);
	struct shard *shard = &engine->shards[0];
	struct site site = {.engine = engine, .cache = &shard->cache};
	/* Relaxed: all have left. */
	AO_t word = AO_load(&ask->xword);

	/* Whose other side is of another engine, or a task that started it and
	   did not end it. */
	if (ask_state(word) == ASK_DONE || ask_state(word) == ASK_LEFT ||
	    (ask_state(word) == ASK_OPEN && ask->kind == ASK_NOTICE))
		ask_close(&site, ask);
}
