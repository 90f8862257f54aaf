/* SPDX-License-Identifier: MIT */
/*
 * parser - the actor that cuts lines into words
 */
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "job.h"

struct parser {
	struct member member;
	unsigned ends; /* readers that are done */
};

static void drop_word(void *word, size_t length)
{
	(void)length;
	free(word);
}

/* Junk, mostly, but it counts: it gets a buffer, which moves. */
static int send_long(rota_id shard, const char *word, size_t length)
{
	char *buffer = must_allocate(length);

	memcpy(buffer, word, length);
	return rota_send_own(shard, SHARD_WORD, buffer, length, drop_word,
			     ROTA_FOREVER);
}

static void send_word(const struct job *job, const char *word, size_t length)
{
	struct word_key key = word_key(word, length);
	rota_id shard = job->shards[word_shard(word_hash(&key), job->n_shards)];
	int error;

	if (length <= ROTA_MAX_PAYLOAD)
		error = rota_send(shard, SHARD_WORD, word, length);
	else
		error = send_long(shard, word, length);
	must(error, "sending a word");
}

static void on_line(const struct job *job, const char *line, size_t length)
{
	const char *end = line + length;
	const char *word = word_next(line, end, &length);

	while (length > 0) {
		send_word(job, word, length);
		word = word_next(word + length, end, &length);
	}
}

static void on_end(struct parser *parser)
{
	const struct job *job = parser->member.job;
	unsigned i;

	if (++parser->ends < job->n_readers)
		return;
	for (i = 0; i < job->n_shards; i++)
		must(rota_send(job->shards[i], SHARD_END, NULL, 0),
		     "telling a shard the end");
}

static int parser_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct parser *parser = state;

	switch (tag) {
	case PARSER_LINE:
		on_line(parser->member.job, payload, length);
		return 0;
	case PARSER_END:
		on_end(parser);
		return 0;
	default:
		return ROTA_UNKNOWN;
	}
}

rota_id parser_spawn(rota_engine *engine, struct job *job, unsigned index)
{
	static const struct rota_behaviour behaviour = {
		.size = sizeof(behaviour),
		.name = "parser",
		.state_size = sizeof(struct parser),
		.handle = parser_handle,
	};
	const struct parser parser = {.member = {job, index}};

	return rota_spawn(engine, &behaviour, &parser, NULL);
}
