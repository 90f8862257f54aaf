/* SPDX-License-Identifier: MIT */
/*
 * chains - what the tests of chains share: who sends many, and who takes them
 */
#ifndef ROTA_TESTS_UNIT_CHAINS_H
#define ROTA_TESTS_UNIT_CHAINS_H

#include "tests/unit/support.h"

/* ---- a receiver that checks the order ---- */

struct expecting {
	struct tally n; /* messages, in the right order */
	struct tally n_wrong;
};

static inline int expecting_handle(void *state, unsigned tag, void *payload,
				   size_t length)
{
	struct expecting *expecting = *(struct expecting **)state;

	if (tag == ACT)
		return puppet_handle(&(struct puppet){NULL}, tag, payload,
				     length);
	if (value_at(payload, length) != tally_of(&expecting->n))
		tally_add(&expecting->n_wrong, 1);
	tally_add(&expecting->n, 1);
	return 0;
}

static const struct rota_behaviour expecting_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "expecting",
	.state_size = sizeof(struct expecting *),
	.handle = expecting_handle,
};

static inline rota_id expecting_spawn(struct expecting *expecting,
				      unsigned mailbox)
{
	memset(expecting, 0, sizeof(*expecting));
	return spawn(&expecting_behaviour, &expecting, mailbox);
}

/* ---- a handler that sends many ---- */

struct burst {
	rota_id to;
	size_t n;
	int64_t within;
	size_t accepted;
	int error; /* of the send that was not */
	/* Then it goes on like this. */
	int (*then)(struct burst *burst);
	struct expecting *expecting; /* the receiver's */
	struct flag sent;
	struct flag go;
	struct flag ended;
};

static inline int act_burst(void *arg)
{
	struct burst *burst = arg;
	int result = 0;

	for (burst->accepted = 0; burst->accepted < burst->n;
	     burst->accepted++) {
		uint64_t value = burst->accepted;

		burst->error = rota_send_within(burst->to, 1, &value,
						sizeof(value), burst->within);
		if (burst->error)
			break;
	}
	flag_raise(&burst->sent);
	if (burst->then)
		result = burst->then(burst);
	flag_raise(&burst->ended);
	return result;
}

static inline struct burst burst_of(rota_id to, size_t n,
				    struct expecting *expecting)
{
	return (struct burst){.to = to,
			      .n = n,
			      .within = ROTA_FOREVER,
			      .expecting = expecting};
}

#endif
