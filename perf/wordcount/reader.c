/* SPDX-License-Identifier: MIT */
/*
 * reader - the actor that cuts items of the input into lines
 *
 * Reads a block, sends each line in it to a parser and keeps the rest for the
 * next block. A whole item is read in one message: where a parser's mailbox is
 * full the send waits, and with it the reader, which is all the flow control
 * there is. Several lines in a row go to one parser, so that it finds some
 * work when it is woken.
 */
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "job.h"
#include "source.h"

#define BLOCK ((size_t)256 << 10)
#define LINES_IN_A_ROW 16

struct reader {
	struct member member;
	struct source *source;
	char *block;   /* the line that is not yet complete, and what follows */
	size_t room;   /* of block; more than BLOCK only for a longer line */
	size_t filled; /* bytes in block */
	size_t searched; /* bytes at its start without a line end */
	uint64_t sent;	 /* lines sent */
	struct reading reading;
	struct progress told; /* the sum of it */
};

static void drop_line(void *line, size_t length)
{
	(void)length;
	free(line);
}

/* Too long to be copied into a message: it gets a buffer, which moves. */
static int send_long(rota_id parser, const char *line, size_t length)
{
	char *buffer = must_allocate(length);

	memcpy(buffer, line, length);
	return rota_send_own(parser, PARSER_LINE, buffer, length, drop_line,
			     ROTA_FOREVER);
}

/* A line without bytes has no words: it is counted and goes no further. */
static void send_line(struct reader *reader, const char *line, size_t length)
{
	const struct job *job = reader->member.job;
	rota_id parser;
	int error;

	reader->reading.lines++;
	if (length == 0)
		return;
	parser = job->parsers[(reader->sent / LINES_IN_A_ROW +
			       reader->member.index) %
			      job->n_parsers];
	reader->sent++;
	if (length <= ROTA_MAX_PAYLOAD)
		error = rota_send(parser, PARSER_LINE, line, length);
	else
		error = send_long(parser, line, length);
	must(error, "sending a line");
}

/* Send all complete lines, then make room for the next block. */
static void cut_block(struct reader *reader)
{
	const char *line = reader->block;
	const char *end = reader->block + reader->filled;
	const char *from = line + reader->searched;
	const char *stop;

	while ((stop = memchr(from, '\n', (size_t)(end - from))) != NULL) {
		send_line(reader, line, (size_t)(stop - line));
		line = from = stop + 1;
	}
	reader->filled = (size_t)(end - line);
	reader->searched = reader->filled;
	memmove(reader->block, line, reader->filled);
	if (reader->filled == reader->room)
		reader->room *= 2;
	else if (reader->room > BLOCK && reader->filled < BLOCK)
		reader->room = BLOCK;
	else
		return;
	reader->block = must_reallocate(reader->block, reader->room);
}

static void tell_progress(struct reader *reader)
{
	struct progress progress = {
		.bytes = reader->reading.bytes - reader->told.bytes,
		.lines = reader->reading.lines - reader->told.lines,
	};

	if (!reader->member.job->is_watched)
		return;
	reader->told.bytes = reader->reading.bytes;
	reader->told.lines = reader->reading.lines;
	must(rota_send(reader->member.job->report, REPORT_PROGRESS, &progress,
		       sizeof(progress)),
	     "telling of progress");
}

static void read_blocks(struct reader *reader)
{
	ssize_t got;

	while ((got = source_read(reader->source,
				  reader->block + reader->filled,
				  reader->room - reader->filled)) > 0) {
		reader->reading.bytes += (size_t)got;
		reader->filled += (size_t)got;
		cut_block(reader);
		tell_progress(reader);
	}
	if (reader->filled > 0)
		send_line(reader, reader->block, reader->filled);
	reader->filled = 0;
	reader->searched = 0;
	reader->reading.items += got == 0;
}

static void tell_skip(const struct reader *reader, size_t item)
{
	struct skip skip = {.item = item};

	_Static_assert(sizeof(skip.why) == sizeof(reader->source->why), "");
	memcpy(skip.why, reader->source->why, sizeof(skip.why));
	must(rota_send(reader->member.job->report, REPORT_SKIP, &skip,
		       sizeof(skip)),
	     "reporting a skip");
}

static void on_item(struct reader *reader, size_t item)
{
	const struct job *job = reader->member.job;

	uint64_t items = reader->reading.items;

	if (source_open(reader->source, job->input, item) == 0) {
		read_blocks(reader);
		source_close(reader->source);
	}
	if (reader->reading.items == items)
		tell_skip(reader, item);
	must(rota_send(job->feeder, FEEDER_MORE, NULL, 0), "asking for more");
}

static void on_end(struct reader *reader)
{
	const struct job *job = reader->member.job;
	unsigned i;

	must(rota_send(job->report, REPORT_READ, &reader->reading,
		       sizeof(reader->reading)),
	     "reporting what was read");
	for (i = 0; i < job->n_parsers; i++)
		must(rota_send(job->parsers[i], PARSER_END, NULL, 0),
		     "telling a parser the end");
}

static int reader_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct reader *reader = state;

	(void)length;
	switch (tag) {
	case READER_START:
		must(rota_send(reader->member.job->feeder, FEEDER_MORE, NULL,
			       0),
		     "asking for input");
		return 0;
	case READER_ITEM:
		on_item(reader, *(const size_t *)payload);
		return 0;
	case READER_END:
		on_end(reader);
		return 0;
	default:
		return ROTA_UNKNOWN;
	}
}

static void destroy(void *state)
{
	struct reader *reader = state;

	source_release(reader->source);
	free(reader->source);
	free(reader->block);
}

rota_id reader_spawn(rota_engine *engine, struct job *job, unsigned index)
{
	static const struct rota_behaviour behaviour = {
		.size = sizeof(behaviour),
		.name = "reader",
		.state_size = sizeof(struct reader),
		.handle = reader_handle,
		.destroy = destroy,
	};
	struct reader reader = {
		.member = {job, index},
		.source = must_allocate(sizeof(*reader.source)),
		.block = must_allocate(BLOCK),
		.room = BLOCK,
	};

	*reader.source = (struct source){0};
	return rota_spawn(engine, &behaviour, &reader, NULL);
}
