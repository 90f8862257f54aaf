/* SPDX-License-Identifier: MIT */
/*
 * word - the actor of one distinct word: it counts
 *
 * It does not know the word, only its number: that is what there are millions
 * of. The slow kind wastes time on every message, to show what a slow part
 * does to the rest.
 */
#include <time.h>

#include "common.h"
#include "job.h"

struct word {
	uint64_t count;
};

struct slow_word {
	struct word word;
	uint64_t waste_ns;
};

static int word_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct word *word = state;

	(void)length;
	if (tag == WORD_SEEN) {
		word->count++;
		return 0;
	}
	if (tag == WORD_TELL) {
		struct word_answer answer = {
			.slot = *(const size_t *)payload,
			.count = word->count,
		};

		must(rota_send(rota_sender(), SHARD_COUNT, &answer,
			       sizeof(answer)),
		     "telling a count");
		return 0;
	}
	return ROTA_UNKNOWN;
}

static int word_handle_slowly(void *state, unsigned tag, void *payload,
			      size_t length)
{
	double until =
		now() + (double)((struct slow_word *)state)->waste_ns * 1e-9;

	while (now() < until)
		;
	return word_handle(state, tag, payload, length);
}

rota_id word_spawn(uint64_t slow_ns)
{
	static const struct rota_behaviour quick = {
		.size = sizeof(quick),
		.name = "word",
		.state_size = sizeof(struct word),
		.handle = word_handle,
	};
	static const struct rota_behaviour slow = {
		.size = sizeof(slow),
		.name = "slow word",
		.state_size = sizeof(struct slow_word),
		.handle = word_handle_slowly,
	};

	if (slow_ns != 0) {
		struct slow_word word = {.waste_ns = slow_ns};

		return rota_spawn(NULL, &slow, &word, NULL);
	}
	return rota_spawn(NULL, &quick, NULL, NULL);
}
