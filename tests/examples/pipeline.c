/* SPDX-License-Identifier: MIT */
/*
 * pipeline - a reader, three cutters, a summary; nothing piles up
 *
 * The reader moves blocks of text to cutters (OWN: the pointer travels, the
 * text stays where it is), a cutter sends each line to the summary (BYTES: the
 * line's number and its text). All mailboxes are tiny, so whoever is fast
 * waits for whoever is slow, and memory stays as small as the mailboxes: the
 * program counts its blocks to show it.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rota/rota.h>

enum { BLOCKS = 2000, LINES = 50, CUTTERS = 3, ROOM = 4, LINE_MAX_ = 64 };

struct block {
	int number;
	size_t length;
	char text[LINES * LINE_MAX_];
};

/* Blocks alive now, and the most there ever were. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int blocks, most_blocks;

static void blocks_add(int n)
{
	pthread_mutex_lock(&lock);
	blocks += n;
	if (blocks > most_blocks)
		most_blocks = blocks;
	pthread_mutex_unlock(&lock);
}

static struct block *block_make(int number)
{
	struct block *b = malloc(sizeof(*b));

	if (b == NULL)
		abort();
	blocks_add(1);
	b->number = number;
	b->length = 0;
	for (int i = 0; i < LINES; i++)
		b->length += (size_t)snprintf(b->text + b->length, LINE_MAX_,
					      "block %d, line %d, %s\n", number,
					      i, i % 2 ? "odd" : "even");
	return b;
}

static void block_drop(struct block *b)
{
	blocks_add(-1);
	free(b);
}

struct line_head {
	int block;
	int line;
};

#define SUMMARY(M, p) M(p, BYTES, line, struct line_head)
#define CUTTER(M, p) M(p, OWN, block, struct block, block_drop)
#define READER(M, p) M(p, SEND, go, void)
ROTA_PROTOCOL(summary, SUMMARY);
ROTA_PROTOCOL(cutter, CUTTER);
ROTA_PROTOCOL(reader, READER);

/* ---- summary ---- */

struct summary {
	long lines, bytes, odd, wrong;
};

static struct summary result; /* for main(), when the summary has ended */

static int summary_on_line(struct summary *s, const struct line_head *head,
			   const char *text, size_t length)
{
	char want[LINE_MAX_];
	int n = snprintf(want, sizeof(want), "block %d, line %d, ", head->block,
			 head->line);

	s->lines++;
	s->bytes += (long)length;
	s->odd += length > 3 && memcmp(text + length - 3, "odd", 3) == 0;
	s->wrong += length < (size_t)n || memcmp(text, want, (size_t)n) != 0;
	return 0;
}

static void summary_fini(struct summary *s)
{
	result = *s;
}

ROTA_HOOKS(summary, .destroy = summary_fini);
ROTA_BEHAVIOUR(summary, summary, SUMMARY, &summary_hooks);

/* ---- cutter ---- */

struct cutter {
	summary_id out;
};

static int cutter_on_block(struct cutter *c, struct block *b)
{
	const char *line = b->text, *end = b->text + b->length, *stop;
	struct line_head head = {.block = b->number};
	int error = 0;

	for (; line < end && error == 0; line = stop + 1) {
		stop = memchr(line, '\n', (size_t)(end - line));
		error = summary_line(c->out, head, line, (size_t)(stop - line));
		head.line++;
	}
	return error;
}

ROTA_BEHAVIOUR(cutter, cutter, CUTTER, NULL);

/* ---- reader ---- */

struct reader {
	cutter_id to[CUTTERS];
};

static int reader_on_go(struct reader *r)
{
	for (int i = 0; i < BLOCKS; i++) {
		struct block *b = block_make(i);
		int error = cutter_block(r->to[i % CUTTERS], b);

		if (error != 0) {
			block_drop(b); /* refused: still ours */
			return error;
		}
	}
	return rota_self_stop(0);
}

ROTA_BEHAVIOUR(reader, reader, READER, NULL);

int main(void)
{
	rota_engine *engine = rota_start(NULL);
	struct rota_spawn_options small = ROTA_SPAWN_INIT;
	struct cutter cutter;
	struct reader reader;
	reader_id id;
	int error;

	if (engine == NULL) {
		perror("rota_start");
		return 1;
	}
	small.mailbox = ROOM;
	cutter.out = summary_spawn(engine, NULL, &small);
	for (int i = 0; i < CUTTERS; i++)
		reader.to[i] = cutter_spawn(engine, &cutter, &small);
	id = reader_spawn(engine, &reader, &small);

	error = reader_go(id);
	if (error == 0)
		error = rota_quiesce(engine, ROTA_S(60));
	if (error == 0)
		error = rota_stop(engine, ROTA_S(10));
	if (error != 0) {
		fprintf(stderr, "pipeline: %s\n", rota_strerror(error));
		return 1;
	}
	printf("%ld lines, %ld bytes, %ld odd; at most %d of %d blocks alive\n",
	       result.lines, result.bytes, result.odd, most_blocks, BLOCKS);
	/* A cutter has ROOM blocks and one it just let go, the reader one. */
	return result.lines != (long)BLOCKS * LINES || result.wrong != 0 ||
	       result.odd != result.lines / 2 || blocks != 0 ||
	       most_blocks > CUTTERS * (ROOM + 1) + 1;
}
