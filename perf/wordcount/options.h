/* SPDX-License-Identifier: MIT */
/*
 * options - what the command line asks for
 */
#ifndef WORDCOUNT_OPTIONS_H
#define WORDCOUNT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct options {
	char **paths; /* files and folders */
	size_t n_paths;
	unsigned workers;		   /* 0: the engine decides */
	unsigned mailbox;		   /* capacity of every mailbox */
	unsigned readers, parsers, shards; /* 0: by the number of workers */
	uint64_t generate_bytes, generate_seed; /* 0 bytes: read files */
	bool check;
	bool json;
	bool sequential;  /* also count without actors */
	uint64_t slow_ns; /* what a word's actor wastes on each message */
	uint64_t lose;	  /* every how many words one is lost; 0: never */
};

/* Ends the program if the line asks for help or cannot be understood. */
void options_parse(struct options *options, int argc, char **argv);

#endif
