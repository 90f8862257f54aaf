/* SPDX-License-Identifier: MIT */
/*
 * input - the list of what is to be read
 *
 * The list is complete before anything is counted. Folders are walked to the
 * bottom; a link to a folder is not followed unless it is named itself, a link
 * to a file is, one that leads nowhere is no file. Each file is listed once,
 * however many names it has. Sorted by name, so that two runs read in the same
 * order.
 */
#ifndef WORDCOUNT_INPUT_H
#define WORDCOUNT_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct input_file {
	char *path;
	uint64_t device, inode;
	uint64_t bytes; /* on disk */
};

/* Either files or a generated text. Constant once it has been gathered. */
struct input {
	struct input_file *files;
	size_t n_files;
	size_t room;
	uint64_t file_bytes;
	size_t skipped;		 /* found while walking, each reported */
	uint64_t generate_bytes; /* not 0: the text is generated */
	uint64_t generate_seed;
};

/* List @n_paths files and folders; reports what cannot be read on stderr. */
void input_gather(struct input *input, char *const *paths, size_t n_paths);

/* Take a generated text instead. */
void input_generate(struct input *input, uint64_t bytes, uint64_t seed);

/*
 * List the documentation of this machine's packages; generate a text where
 * there is none or too little of it.
 */
void input_default(struct input *input);

/*
 * Read every file once, for the page cache, so that of two counts the first
 * one is not the one that waits for the disk.
 */
void input_warm(const struct input *input);

/* How many items there are, and what the i-th is called. */
size_t input_items(const struct input *input);
const char *input_name(const struct input *input, size_t item);

void input_fini(struct input *input);

/* One line on stderr: this could not be read, and why. */
void input_report_skip(const char *name, const char *why);

#endif
