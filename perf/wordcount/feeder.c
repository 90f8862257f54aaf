/* SPDX-License-Identifier: MIT */
/*
 * feeder - the actor that hands out the items of the input, each once
 */
#include "common.h"
#include "job.h"

struct feeder {
	struct member member;
	size_t next;
};

static int feeder_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct feeder *feeder = state;
	rota_id reader = rota_sender();

	(void)payload;
	(void)length;
	if (tag != FEEDER_MORE)
		return ROTA_UNKNOWN;
	if (feeder->next < input_items(feeder->member.job->input)) {
		must(rota_send(reader, READER_ITEM, &feeder->next,
			       sizeof(feeder->next)),
		     "feeding a reader");
		feeder->next++;
	} else {
		must(rota_send(reader, READER_END, NULL, 0),
		     "dismissing a reader");
	}
	return 0;
}

rota_id feeder_spawn(rota_engine *engine, struct job *job)
{
	static const struct rota_behaviour behaviour = {
		.size = sizeof(behaviour),
		.name = "feeder",
		.state_size = sizeof(struct feeder),
		.handle = feeder_handle,
	};
	const struct feeder feeder = {.member.job = job};

	return rota_spawn(engine, &behaviour, &feeder, NULL);
}
