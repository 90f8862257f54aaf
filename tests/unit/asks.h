/* SPDX-License-Identifier: MIT */
/*
 * asks - what the tests of asking share: a servant, and who asks it
 */
#ifndef ROTA_TESTS_UNIT_ASKS_H
#define ROTA_TESTS_UNIT_ASKS_H

#include <rota/ask.h>
#include <rota/task.h>

#include "tests/unit/support.h"

/* What a servant does with a request; payload and reply are a uint64_t. */
enum {
	TWICE = 1, /* answers with twice the value */
	FAILS,	   /* answers with an error: the value */
	LONG,	   /* answers with so many bytes, each 0x5a */
	NOTHING,   /* just returns 0 */
	TAKES,	   /* takes the token and keeps it: see struct servant */
	RUNS	   /* payload: struct act; its result is the handler's */
};

struct servant {
	AO_t *xtoken; /* where TAKES puts what it takes */
};

static struct tally n_begun; /* requests that a servant has begun with */

static inline int serve_long(size_t length)
{
	static const unsigned char none[1];
	unsigned char *bytes = malloc(length + 1);
	int result;

	memset(bytes, 0x5a, length);
	result = rota_answer(0, length ? bytes : none, length);
	free(bytes);
	return result;
}

static inline int servant_handle(void *state, unsigned tag, void *payload,
				 size_t length)
{
	struct servant *servant = state;
	uint64_t value = value_at(payload, length);
	rota_token token;
	struct act act;
	int error;

	tally_add(&n_begun, 1);
	switch (tag) {
	case TWICE:
		value *= 2;
		return rota_answer(0, &value, sizeof(value));
	case FAILS:
		return rota_answer((int)(int64_t)value, NULL, 0);
	case LONG:
		return serve_long(value);
	case NOTHING:
		return 0;
	case TAKES:
		error = rota_reply_later(&token);
		if (error)
			return rota_answer(-error, NULL, 0);
		AO_store_release(servant->xtoken, token);
		return ROTA_LATER;
	case RUNS:
		memcpy(&act, payload, sizeof(act));
		return act.run(act.arg);
	default:
		return puppet_handle(&(struct puppet){NULL}, tag, payload,
				     length) == 0 &&
				       tag == ACT
			       ? 0
			       : ROTA_UNKNOWN;
	}
}

static inline const char *servant_tag_name(unsigned tag)
{
	return tag == NOTHING ? "nothing" : NULL;
}

static const struct rota_behaviour servant_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "servant",
	.state_size = sizeof(struct servant),
	.handle = servant_handle,
	.tag_name = servant_tag_name,
};

static inline rota_id servant_spawn(unsigned mailbox, AO_t *xtoken)
{
	return spawn(&servant_behaviour, &(struct servant){xtoken}, mailbox);
}

static inline rota_token await_token(AO_t *xtoken)
{
	AWAIT(AO_load_acquire(xtoken) != 0);
	return AO_load_acquire(xtoken);
}

/* ---- one ask, by a thread or by a puppet ---- */

struct asked {
	rota_id to;
	unsigned tag;
	uint64_t value;
	int64_t within;
	struct flag begun;
	struct flag ended;
	struct tally thread;
	/* behind @ended */
	int result;
	uint64_t reply;
	struct rota_ask_detail detail;
	pthread_t pthread;
};

static inline struct asked asked_of(rota_id to, unsigned tag, uint64_t value)
{
	return (struct asked){
		.to = to, .tag = tag, .value = value, .within = ROTA_FOREVER};
}

static inline int act_ask(void *arg)
{
	struct asked *a = arg;

	flag_raise(&a->begun);
	tally_add(&a->thread, (size_t)thread_number());
	a->reply = 12345;
	a->result = rota_ask(a->to, a->tag, &a->value, sizeof(a->value),
			     &a->reply, sizeof(a->reply), a->within);
	rota_ask_detail(&a->detail);
	flag_raise(&a->ended);
	return 0;
}

static inline void *thread_ask(void *arg)
{
	act_ask(arg);
	return NULL;
}

static inline void ask_in_thread(struct asked *a)
{
	a->pthread = thread_start(thread_ask, a);
}

static inline int ask_thread_result(struct asked *a)
{
	thread_join(a->pthread);
	return a->result;
}

static inline void ask_in_puppet(struct asked *a, rota_id puppet)
{
	ACTS(puppet, act_ask, a);
}

static inline int ask_puppet_result(struct asked *a)
{
	AWAIT(flag_is_up(&a->ended));
	return a->result;
}

/* By a puppet (of its own) or by a thread. */
static inline void ask_by(struct asked *a, bool is_thread)
{
	if (is_thread)
		ask_in_thread(a);
	else
		ask_in_puppet(a, puppet_spawn(NULL, 0));
}

static inline int ask_result(struct asked *a, bool is_thread)
{
	return is_thread ? ask_thread_result(a) : ask_puppet_result(a);
}

static inline int ask_now(struct asked *a, bool is_thread)
{
	ask_by(a, is_thread);
	return ask_result(a, is_thread);
}

#endif
