/* SPDX-License-Identifier: MIT */
/*
 * source - the bytes of one item of the input, block by block
 *
 * A name that ends in .gz is decompressed. All of it is tested before its
 * first byte is given out, so that of a broken one nothing counts.
 */
#ifndef WORDCOUNT_SOURCE_H
#define WORDCOUNT_SOURCE_H

#include <stdbool.h>
#include <sys/types.h>
#include <zlib.h>

#include "generate.h"
#include "input.h"

/* Reads one item after the other; zero it first. */
struct source {
	enum { SOURCE_FILE, SOURCE_GZIP, SOURCE_AHEAD, SOURCE_MADE } kind;
	int file;
	gzFile gzip;
	char *ahead; /* decompressed while it was tested */
	size_t ahead_used, ahead_given;
	struct generator generator;
	char why[128]; /* set where a call fails */
};

/* 0, or -1 with the reason in source->why; nothing is open then. */
int source_open(struct source *source, const struct input *input, size_t item);

/*
 * Up to @size bytes; 0 at the end, -1 with the reason in source->why. What was
 * given out before an error stays given out.
 */
ssize_t source_read(struct source *source, char *buffer, size_t size);

void source_close(struct source *source);

/* Give back what is kept between items. */
void source_release(struct source *source);

#endif
