/* SPDX-License-Identifier: MIT */
/*
 * source - the bytes of one item of the input, block by block
 *
 * A .gz is decompressed into memory while it is tested. Most fit there whole
 * and are served from it; of the others the test goes on to the end, and then
 * they are decompressed again, in blocks. Memory is bounded either way.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common.h"
#include "source.h"

#define AHEAD (4u << 20)
#define GZIP_BLOCK (64u << 10)

static int fail(struct source *source, const char *why)
{
	snprintf(source->why, sizeof(source->why), "%s", why);
	return -1;
}

static int fail_errno(struct source *source)
{
	char room[96];

	return fail(source, strerror_r(errno, room, sizeof(room)));
}

static bool is_gzip(const char *path)
{
	size_t length = strlen(path);

	return length > 3 && memcmp(path + length - 3, ".gz", 3) == 0;
}

/* Up to @size bytes, fewer only at the end; -1 if the file is broken. */
static ssize_t gzip_read(struct source *source, char *buffer, size_t size)
{
	unsigned wanted = size < AHEAD ? (unsigned)size : AHEAD;
	int got = gzread(source->gzip, buffer, wanted);
	int error = Z_OK;
	const char *why;

	if (got == (int)wanted)
		return got;
	/* A short count is the end, or data that stop in the middle. */
	why = gzerror(source->gzip, &error);
	if (error == Z_OK || error == Z_STREAM_END)
		return got;
	if (error == Z_ERRNO)
		return fail_errno(source);
	if (error == Z_BUF_ERROR)
		return fail(source, "unexpected end of file");
	/* zlib begins with its own idea of the file's name. */
	if (strncmp(why, "<fd:", 4) == 0)
		why = strchr(why, ' ') + 1;
	return fail(source, why);
}

/* Read it to its end. */
static int gzip_test(struct source *source)
{
	ssize_t got;

	if (source->ahead == NULL)
		source->ahead = must_allocate(AHEAD);
	source->ahead_given = 0;
	got = gzip_read(source, source->ahead, AHEAD);
	if (got < 0)
		return -1;
	if (gzdirect(source->gzip))
		return fail(source, "not in gzip format");
	source->ahead_used = (size_t)got;
	if (got < (ssize_t)AHEAD) {
		source->kind = SOURCE_AHEAD;
		return 0;
	}
	source->kind = SOURCE_GZIP;
	while ((got = gzip_read(source, source->ahead, AHEAD)) > 0)
		;
	if (got == 0 && gzrewind(source->gzip) != 0)
		return fail(source, "cannot be read twice");
	return (int)got;
}

static int gzip_open(struct source *source)
{
	source->gzip = gzdopen(source->file, "rb");
	if (source->gzip == NULL) {
		close(source->file);
		return fail(source, "out of memory");
	}
	gzbuffer(source->gzip, GZIP_BLOCK);
	if (gzip_test(source) == 0)
		return 0;
	gzclose_r(source->gzip);
	return -1;
}

int source_open(struct source *source, const struct input *input, size_t item)
{
	const char *path;

	if (input->generate_bytes != 0) {
		source->kind = SOURCE_MADE;
		generate_begin(&source->generator, input->generate_seed,
			       input->generate_bytes, item);
		return 0;
	}
	path = input->files[item].path;
	source->kind = SOURCE_FILE;
	source->file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (source->file < 0)
		return fail_errno(source);
	return is_gzip(path) ? gzip_open(source) : 0;
}

static ssize_t file_read(struct source *source, char *buffer, size_t size)
{
	ssize_t got;

	do
		got = read(source->file, buffer, size);
	while (got < 0 && errno == EINTR);
	return got < 0 ? fail_errno(source) : got;
}

static ssize_t ahead_read(struct source *source, char *buffer, size_t size)
{
	size_t left = source->ahead_used - source->ahead_given;

	if (size > left)
		size = left;
	memcpy(buffer, source->ahead + source->ahead_given, size);
	source->ahead_given += size;
	return (ssize_t)size;
}

ssize_t source_read(struct source *source, char *buffer, size_t size)
{
	switch (source->kind) {
	case SOURCE_FILE:
		return file_read(source, buffer, size);
	case SOURCE_GZIP:
		return gzip_read(source, buffer, size);
	case SOURCE_AHEAD:
		return ahead_read(source, buffer, size);
	case SOURCE_MADE:
		return (ssize_t)generate_read(&source->generator, buffer, size);
	}
	return 0;
}

void source_close(struct source *source)
{
	if (source->kind == SOURCE_FILE)
		close(source->file);
	else if (source->kind != SOURCE_MADE)
		gzclose_r(source->gzip);
}

void source_release(struct source *source)
{
	free(source->ahead);
	*source = (struct source){0};
}
