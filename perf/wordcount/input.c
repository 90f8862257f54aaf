/* SPDX-License-Identifier: MIT */
/*
 * input - the list of what is to be read
 */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common.h"
#include "generate.h"
#include "input.h"

/* Less than this of real text is not worth counting. */
#define DEFAULT_LEAST 10000000
#define DEFAULT_GENERATED 458000000

void input_report_skip(const char *name, const char *why)
{
	/* A progress line may stand there: write over it. */
	fprintf(stderr, "%swordcount: %s: %s\n",
		isatty(STDERR_FILENO) ? "\r\033[K" : "", name, why);
}

static void skip(struct input *input, const char *name, int error)
{
	input_report_skip(name, strerror(error));
	input->skipped++;
}

static void add_file(struct input *input, const char *path,
		     const struct stat *status)
{
	struct input_file *file;

	if (input->n_files == input->room) {
		input->room = input->room == 0 ? 256 : 2 * input->room;
		input->files = must_reallocate(
			input->files, input->room * sizeof(input->files[0]));
	}
	file = &input->files[input->n_files++];
	file->path = strdup(path);
	if (file->path == NULL)
		die("out of memory");
	file->device = (uint64_t)status->st_dev;
	file->inode = (uint64_t)status->st_ino;
	file->bytes = (uint64_t)status->st_size;
}

/* A link inside a folder: only what leads to a file counts. */
static void add_link(struct input *input, const char *path)
{
	struct stat status;

	if (stat(path, &status) == 0 && S_ISREG(status.st_mode))
		add_file(input, path, &status);
}

static void add_entry(struct input *input, const FTSENT *entry)
{
	switch (entry->fts_info) {
	case FTS_F:
		add_file(input, entry->fts_path, entry->fts_statp);
		break;
	case FTS_SL:
		add_link(input, entry->fts_path);
		break;
	case FTS_SLNONE: /* named by the user and leads nowhere */
		skip(input, entry->fts_path, ENOENT);
		break;
	case FTS_DEFAULT: /* a device, a pipe: cannot be read twice */
		if (entry->fts_level == FTS_ROOTLEVEL) {
			input_report_skip(entry->fts_path,
					  "not a regular file or folder");
			input->skipped++;
		}
		break;
	case FTS_DNR:
	case FTS_ERR:
	case FTS_NS:
		skip(input, entry->fts_path, entry->fts_errno);
		break;
	default: /* a folder, before and after its files */
		break;
	}
}

static void walk(struct input *input, char *path)
{
	char *const paths[] = {path, NULL};
	FTSENT *entry;
	FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR,
			     NULL);

	if (tree == NULL) {
		skip(input, path, errno);
		return;
	}
	while ((errno = 0, entry = fts_read(tree)) != NULL)
		add_entry(input, entry);
	if (errno != 0)
		skip(input, path, errno);
	fts_close(tree);
}

static int by_inode(const void *x, const void *y)
{
	const struct input_file *a = x, *b = y;

	if (a->device != b->device)
		return a->device < b->device ? -1 : 1;
	if (a->inode != b->inode)
		return a->inode < b->inode ? -1 : 1;
	return strcmp(a->path, b->path);
}

static int by_path(const void *x, const void *y)
{
	const struct input_file *a = x, *b = y;

	return strcmp(a->path, b->path);
}

/* Of several names of one file keep the first. */
static void drop_repeated(struct input *input)
{
	struct input_file *files = input->files;
	size_t i, kept = 0;

	for (i = 0; i < input->n_files; i++) {
		if (kept > 0 && files[kept - 1].device == files[i].device &&
		    files[kept - 1].inode == files[i].inode)
			free(files[i].path);
		else
			files[kept++] = files[i];
	}
	input->n_files = kept;
}

void input_gather(struct input *input, char *const *paths, size_t n_paths)
{
	size_t i;

	for (i = 0; i < n_paths; i++)
		walk(input, paths[i]);
	if (input->n_files == 0)
		return;
	qsort(input->files, input->n_files, sizeof(input->files[0]), by_inode);
	drop_repeated(input);
	qsort(input->files, input->n_files, sizeof(input->files[0]), by_path);
	for (i = 0; i < input->n_files; i++)
		input->file_bytes += input->files[i].bytes;
}

void input_generate(struct input *input, uint64_t bytes, uint64_t seed)
{
	input->generate_bytes = bytes;
	input->generate_seed = seed;
}

void input_default(struct input *input)
{
	static char documentation[] = "/usr/share/doc";
	static char licences[] = "/usr/share/common-licenses";
	char *paths[2];
	size_t n = 0;

	if (access(documentation, F_OK) == 0)
		paths[n++] = documentation;
	if (access(licences, F_OK) == 0)
		paths[n++] = licences;
	input_gather(input, paths, n);
	if (input->file_bytes < DEFAULT_LEAST) {
		input_fini(input);
		input_generate(input, DEFAULT_GENERATED, 1);
	}
}

void input_warm(const struct input *input)
{
	enum { ROOM = 1 << 18 };
	char *room = must_allocate(ROOM);
	size_t i;

	for (i = 0; i < input->n_files; i++) {
		int file = open(input->files[i].path, O_RDONLY | O_CLOEXEC);

		if (file < 0)
			continue;
		while (read(file, room, ROOM) > 0)
			;
		close(file);
	}
	free(room);
}

size_t input_items(const struct input *input)
{
	if (input->generate_bytes != 0)
		return generate_pieces(input->generate_bytes);
	return input->n_files;
}

const char *input_name(const struct input *input, size_t item)
{
	if (input->generate_bytes != 0)
		return "(generated text)";
	return input->files[item].path;
}

void input_fini(struct input *input)
{
	size_t i;

	for (i = 0; i < input->n_files; i++)
		free(input->files[i].path);
	free(input->files);
	*input = (struct input){0};
}
