/* SPDX-License-Identifier: MIT */
/*
 * reply - the calls of those who are asked
 *
 * While a request is in hand its token lies in the message, and whoever takes
 * it, answers or passes it on leaves 0 there. What the handler returns is an
 * answer if the token is still there then. One that was taken is noted in a
 * place of its own: as long as it is held by this actor, what its handler does
 * is done on behalf of that asker, and cancelled with it.
 *
 * An actor keeps a list of the tokens that it has taken, so that its end can
 * break the promise. Nothing is taken out of that list when an answer is given,
 * by whomever: tokens that are used up, or that nobody wants any more, are swept
 * out when the list is full, and it doubles if that was of little use. So an
 * answer costs nothing for it.
 */
#include "core/reply.h"

#include <errno.h>
#include <stdlib.h>

#include <rota/wait.h>

#include "core/asking.h"
#include "core/chain.h"
#include "core/cold.h"
#include "core/cycle.h"
#include "core/send.h"
#include "sched/call.h"

/* ---- the request in hand ---- */

/* NULL: nobody has asked, or it was answered. */
static struct message_extension *request_in_hand(void)
{
	struct local *local = local_in_turn();
	struct message *message = local ? local->turn.message : NULL;
	struct message_extension *extension =
		message ? message_extension(message) : NULL;

	return extension && extension->token ? extension : NULL;
}

/* Of no particular engine: ask_answer() enters it. A worker is in its own. */
static struct site site_here(void)
{
	struct local *local = local_here();

	return local ? site_of(local) : (struct site){.engine = NULL};
}

/* Magnitude only: negative results are rota's own. */
static int outcome_of(int result)
{
	if (result == ROTA_UNKNOWN)
		return -ENOSYS;
	return result < 0 ? -result : result;
}

static int answer(uint64_t token, int outcome, const void *reply, size_t length)
{
	struct answer all = {outcome, reply, outcome == 0 ? length : 0};
	struct local *local = local_here();
	struct site site;

	if (local)
		chain_close(local);
	if (likely(local && local->number == id_engine(token)))
		return ask_answer_near(local, token, &all);
	site = site_here();
	return ask_answer(&site, token, &all);
}

/*
 * The token of the request in hand, which is not answered by it any more; 0: it
 * has none, or the actor has been abandoned, and whoever did that tells.
 */
static uint64_t take_token(struct local *local,
			   struct message_extension *request)
{
	AO_t was = worker_enter_hand(&local->worker);
	uint64_t token = 0;

	if (!(local->turn.marks & TURN_ABANDONED)) {
		token = request->token;
		request->token = 0;
	}
	worker_leave_hand(&local->worker, was);
	return token;
}

int rota_is_asked(void)
{
	return request_in_hand() != NULL;
}

int rota_answer(int result, const void *reply, size_t length)
{
	struct message_extension *request = request_in_hand();
	uint64_t token;

	if (!request)
		return 0;
	token = take_token(local_here(), request);
	if (token)
		answer(token, outcome_of(result), reply, length);
	return 0;
}

/* What the message in hand has beside its payload, or NULL. */
static struct message_extension *extension_in_hand(const struct local *local)
{
	struct message *message = local->turn.message;

	return message ? message_extension(message) : NULL;
}

/*
 * Who withdraws a request does so on its own worker: if that is ours, because its
 * wait has ended, or after it has begun one (see sched/call.h), it goes first.
 */
static void give_way(struct local *local)
{
	if (worker_n_callers(&local->worker) > 0 ||
	    worker_n_ended(&local->worker) > 0)
		rota_yield(); /* if it fails, the next look tells why */
}

int rota_is_cancelled(void)
{
	struct local *local = local_in_turn();
	struct message_extension *extension;
	struct ask_seen seen;

	if (!local)
		return 0;
	/* Relaxed: whether it is seen now or the next time. */
	if (AO_load(&local->turn.actor->xsignal) &
		    (SIGNAL_STOP | SIGNAL_ENGINE) ||
	    turn_marks(local, 0, 0) & TURN_ABANDONED)
		return 1;
	extension = extension_in_hand(local);
	if (!extension)
		return 0;
	if (extension->deadline_ns != CLOCK_NEVER &&
	    crew_now_ns(&local->engine->crew) >= extension->deadline_ns)
		return 1;
	if (!extension->token && !extension->taken)
		return 0;
	give_way(local);
	extension = extension_in_hand(local);
	if (!extension)
		return 0;
	if (extension->token)
		return !(ask_look(extension->token, &seen) && seen.is_open);
	return extension->taken && ask_look(extension->taken, &seen) &&
	       seen.is_withdrawn && seen.holder == local->turn.self;
}

/* ---- for the turn ---- */

enum rota_dead_cause reply_begin(struct local *local, struct message *message)
{
	struct message_extension *extension = message_extension(message);
	struct site site = site_of(local);

	if (extension->deadline_ns != CLOCK_NEVER &&
	    crew_now_ns(&local->engine->crew) >= extension->deadline_ns)
		return ROTA_DEAD_EXPIRED;
	if (!extension->token)
		return 0;
	switch (ask_begin(&site, extension->token, true)) {
	case ASK_RUNS:
		return 0;
	case ASK_UNWANTED:
		extension->token = 0;
		return ROTA_DEAD_WITHDRAWN;
	default:
		extension->token = 0;
		return ROTA_DEAD_EXPIRED;
	}
}

int reply_end(struct local *local, struct message *message, int result)
{
	struct message_extension *extension = message_extension(message);
	struct answer all = {.outcome = outcome_of(result)};
	struct site site = site_of(local);
	uint64_t token = extension->token;

	if (result == ROTA_UNKNOWN)
		return result;
	if (message->flags & MESSAGE_CLOSURE) { /* goes back, come what may */
		all.reply = closure_capture(message);
		all.length = closure_length(message);
	}
	if (token) {
		extension->token = 0;
		ask_answer(&site, token, &all);
	}
	return 0;
}

static int error_of(enum rota_dead_cause cause)
{
	switch (cause) {
	case ROTA_DEAD_UNKNOWN:
		return -ENOSYS;
	case ROTA_DEAD_EXPIRED:
		return -ETIMEDOUT;
	default:
		return -ESRCH;
	}
}

void reply_fail(struct site *site, uint64_t token, int error)
{
	struct site none = {.engine = NULL};

	if (!site->shard || site->engine->number == id_engine(token)) {
		ask_fail(site, token, error);
		return;
	}
	site_unlock(site); /* the asker's engine has locks of its own */
	ask_fail(&none, token, error);
	site_lock(site);
}

void reply_refuse(struct site *site, struct message *message,
		  enum rota_dead_cause cause)
{
	struct message_extension *extension = message_extension(message);

	if (extension->token)
		reply_fail(site, extension->token, error_of(cause));
	extension->token = 0;
}

/* ---- promises ---- */

struct promises {
	size_t n;
	size_t max;
	uint64_t token[];
};

#define FIRST_PROMISES 6

/* Held, and still to be kept? One that nobody wants is used up: its holder may
   have looked and forgotten it. */
static bool is_due(uint64_t token, rota_id holder)
{
	struct site site = site_here();

	if (!ask_is_held(token, holder))
		return false;
	if (ask_is_open(token))
		return true;
	ask_fail(&site, token, -EPIPE);
	return false;
}

static size_t sweep(struct promises *promises, rota_id holder)
{
	size_t i, n = 0;

	for (i = 0; i < promises->n; i++)
		if (is_due(promises->token[i], holder))
			promises->token[n++] = promises->token[i];
	promises->n = n;
	return n;
}

/* Room for one more; NULL: no memory. */
static struct promises *make_room(struct promises *promises, rota_id holder)
{
	size_t n = promises ? promises->n : 0;
	size_t max = promises ? promises->max : 0;
	struct promises *larger;

	if (n < max || (max > 0 && sweep(promises, holder) < max / 2))
		return promises;
	max = max > 0 ? 2 * max : FIRST_PROMISES;
	larger = realloc(promises, sizeof(*larger) + max * sizeof(uint64_t));
	if (!larger)
		return promises && promises->n < promises->max ? promises
							       : NULL;
	if (!promises)
		larger->n = 0;
	larger->max = max;
	return larger;
}

/* The list is the turn's; the lock is for making the block. */
static int promise(struct local *local, uint64_t token)
{
	struct site own = site_of(local);
	struct promises *promises;
	struct cold *cold;
	int error;

	cold = cold_lock(&own, local->turn.actor, local->turn.self, true,
			 &error);
	if (!cold)
		return error;
	cold_unlock(cold);
	promises = make_room(cold->promises, local->turn.self);
	if (!promises)
		return -ENOMEM;
	promises->token[promises->n++] = token;
	cold->promises = promises;
	return 0;
}

/* Has it neither been passed on nor used up? The look enters the cell's engine by
   itself: not under a shard's lock. */
static bool is_held(struct site *site, uint64_t token, rota_id holder)
{
	bool is_its;

	site_unlock(site);
	is_its = ask_is_held(token, holder);
	site_lock(site);
	return is_its;
}

void promises_break(struct site *site, struct promises *promises,
		    rota_id holder)
{
	size_t i;

	for (i = 0; promises && i < promises->n; i++)
		if (is_held(site, promises->token[i], holder))
			reply_fail(site, promises->token[i], -EPIPE);
	free(promises);
}

/* ---- later ---- */

/* In the hand: who gives the actor up has the list from then on. */
static int take_promise(struct local *local, struct message_extension *request,
			rota_token *token)
{
	AO_t was = worker_enter_hand(&local->worker);
	int error = local->turn.marks & TURN_ABANDONED
			    ? -ECANCELED
			    : promise(local, request->token);

	if (!error) {
		ask_is_shared(local);
		*token = request->token;
		/* In the hand, too: else who breaks the promises of an actor
		   that is given up might not know that it is one of them. */
		ask_hold(request->token, local->turn.self);
		request->taken = request->token;
		request->token = 0;
	}
	worker_leave_hand(&local->worker, was);
	return error;
}

int rota_reply_later(rota_token *token)
{
	struct message_extension *request = request_in_hand();
	struct local *local = local_in_turn();
	int error;

	if (!local || turn_only_reads(local))
		return -EPERM;
	if (!request || !token)
		return -EINVAL;
	error = take_promise(local, request, token);
	if (!error)
		ask_aim(*token, local->turn.self, ROTA_NONE);
	return error;
}

int rota_reply(rota_token token, int result, const void *reply, size_t length)
{
	return answer(token, outcome_of(result), reply, length);
}

int rota_reply_drop(rota_token token)
{
	return answer(token, -EPIPE, NULL, 0);
}

int rota_reply_is_wanted(rota_token token)
{
	return ask_is_open(token);
}

/* ---- forward ---- */

/* Send it on, as its asker's. */
static int pass_on(const struct request *request, uint64_t token,
		   const struct ask_seen *seen)
{
	struct message *message;
	struct actor *actor;
	struct site site;
	int error = site_enter(&site, request->to);

	if (error)
		return error;
	actor = engine_actor(site.engine, request->to);
	/* Relaxed: as in post(). */
	if (!actor || !signal_accepts(AO_load(&actor->xsignal), request->to)) {
		error = send_refusal(actor, request->to);
	} else {
		int64_t left = clock_left(crew_now_ns(&site.engine->crew),
					  seen->deadline_ns);

		message = request_pack(&site, request, seen->asker, token,
				       seen->deadline_ns);
		if (request->within < left)
			left = request->within;
		error = message ? send_push(&site, actor, request->to, message,
					    left)
				: -ENOMEM;
	}
	site_leave(&site);
	return error;
}

/* Ordered with the end of its life, by its block's lock: see below. */
static bool has_ended(rota_id id)
{
	struct actor *actor;
	struct cold *cold;
	struct site site;
	int error = site_enter(&site, id);

	if (error)
		return error == -ESRCH;
	actor = engine_actor(site.engine, id);
	cold = cold_lock(&site, actor, id, false, &error);
	if (cold)
		cold_unlock(cold);
	site_leave(&site);
	return error != 0;
}

/*
 * A token was not passed on. If its holder has ended meanwhile it may have
 * broken its promises before it held this one again; if it ends from now on, it
 * finds it: whoever locks the block second sees the other.
 */
static void give_back(uint64_t token, rota_id holder)
{
	ask_hold(token, holder);
	if (holder != ROTA_NONE && has_ended(holder))
		answer(token, -EPIPE, NULL, 0);
}

/* Nobody waits for an answer any more, or the token is used up: why. */
static int use_up(uint64_t token, struct message_extension *in_hand)
{
	int error = answer(token, 0, NULL, 0);

	if (in_hand && (error == -ECANCELED || error == -EALREADY))
		take_token(local_here(), in_hand);
	return error;
}

int rota_forward(rota_token token, rota_id to, unsigned tag,
		 const void *payload, size_t length, int64_t within)
{
	struct request request = {to, tag,    payload, length,
				  0,  within, NULL,    false};
	struct message_extension *in_hand = token ? NULL : request_in_hand();
	struct ask_seen seen;
	int error = request_check(&request);

	if (error)
		return error;
	if (!token && !in_hand)
		return -EINVAL;
	if (in_hand) {
		token = in_hand->token;
		ask_is_shared(local_here());
	}
	if (!ask_look(token, &seen) || !seen.is_open)
		return use_up(token, in_hand);
	ask_hold(token, ROTA_NONE);
	ask_aim(token, seen.aim, to);
	error = pass_on(&request, token, &seen);
	if (error) {
		ask_aim(token, to, seen.aim);
		give_back(token, seen.holder);
		return error;
	}
	if (in_hand)
		take_token(local_here(), in_hand);
	cycle_look(seen.asker);
	return 0;
}
