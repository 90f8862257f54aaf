/* SPDX-License-Identifier: MIT */
/*
 * options - what the command line asks for
 */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rota/actor.h>
#include <rota/version.h>

#include "common.h"
#include "options.h"

/* argp finds it by this name: --version. */
const char *argp_program_version = "rota-wordcount " ROTA_VERSION_STRING;

enum option_key {
	KEY_WORKERS = 0x100,
	KEY_MAILBOX,
	KEY_READERS,
	KEY_PARSERS,
	KEY_SHARDS,
	KEY_GENERATE,
	KEY_CHECK,
	KEY_JSON,
	KEY_NO_SEQUENTIAL,
	KEY_SLOW,
	KEY_LOSE
};

static const struct argp_option table[] = {
	{NULL, 0, NULL, 0, "What to count:", 1},
	{"generate", KEY_GENERATE, "SIZE[,SEED]", 0,
	 "count a generated text of SIZE bytes (suffixes k, M, G: powers of "
	 "1000) instead of files; same SIZE and SEED, same text",
	 1},
	{NULL, 0, NULL, 0, "How:", 2},
	{"workers", KEY_WORKERS, "N", 0,
	 "worker threads (default: $ROTA_WORKERS, else one per core)", 2},
	{"mailbox", KEY_MAILBOX, "K", 0,
	 "capacity of every mailbox, 1 to 32767 (default 64)", 2},
	{"readers", KEY_READERS, "N", 0, "actors that read", 2},
	{"parsers", KEY_PARSERS, "N", 0, "actors that cut lines", 2},
	{"shards", KEY_SHARDS, "N", 0, "actors that look words up", 2},
	{"no-sequential", KEY_NO_SEQUENTIAL, NULL, 0,
	 "leave out the sequential count that is timed beside", 2},
	{NULL, 0, NULL, 0, "What to tell:", 3},
	{"check", KEY_CHECK, NULL, 0,
	 "compare every word's count with the sequential one", 3},
	{"json", KEY_JSON, NULL, 0,
	 "one JSON object on standard output and nothing else", 3},
	{NULL, 0, NULL, 0, "To see it fail or wait:", 4},
	{"slow-words", KEY_SLOW, "NS", 0,
	 "each word's actor wastes NS nanoseconds per message: the readers "
	 "slow down with it, memory stays flat",
	 4},
	{"lose", KEY_LOSE, "N", 0,
	 "lose every Nth word of each shard: --check must notice", 4},
	{NULL, 0, NULL, 0, "Help:", 5},
	{0}};

static const char before[] =
	"Count the words of files and of all files in folders, with one actor "
	"per distinct word.\n\n"
	"Reader actors cut text into lines, parser actors cut lines into words "
	"(maximal runs of bytes that are not white space), shards of a "
	"directory find the actor of each word, and that actor counts. Without "
	"FILE the text is the package documentation and the licence texts "
	"under /usr/share, or a generated one (458M) if there are less than "
	"10 MB of those.";

static const char after[] =
	"\vOnly regular files are read, each once, however many names it has. "
	"Links inside folders are followed to files but not to folders. A file "
	"named *.gz is decompressed; if it is broken, nothing of it counts. "
	"Where reading any other file fails half-way, what was read before "
	"counts. What cannot be read is named on standard error and skipped. A "
	"line needs memory of its own size.\n\n"
	"Exit status: 0 all is well; 1 the counts differ or a message was "
	"lost; 2 the counts are right but some input was skipped; 3 the work "
	"could not be done; 64 a mistake on the command line.";

static uint64_t number(const char *text, char **end, struct argp_state *state)
{
	unsigned long long value;

	errno = 0;
	value = strtoull(text, end, 10);
	if (errno != 0 || *end == text || *text < '0' || *text > '9')
		argp_error(state, "not a number: %s", text);
	return value;
}

static uint64_t number_between(const char *text, uint64_t low, uint64_t high,
			       struct argp_state *state)
{
	char *end;
	uint64_t value = number(text, &end, state);

	if (*end != '\0' || value < low || value > high)
		argp_error(state, "not a number from %llu to %llu: %s",
			   (unsigned long long)low, (unsigned long long)high,
			   text);
	return value;
}

static void parse_generate(struct options *options, const char *text,
			   struct argp_state *state)
{
	static const char suffixes[] = "kMG";
	char *end;
	const char *suffix;
	uint64_t value = number(text, &end, state), unit = 1;

	suffix = *end != '\0' ? strchr(suffixes, *end) : NULL;
	if (suffix != NULL) {
		for (unit = 1000; suffix-- > suffixes; unit *= 1000)
			;
		end++;
	}
	if (value == 0 || value > UINT64_C(1000000000000000) / unit)
		argp_error(state, "not a size: %s", text);
	options->generate_bytes = value * unit;
	options->generate_seed = 1;
	if (*end == ',')
		options->generate_seed = number(end + 1, &end, state);
	if (*end != '\0')
		argp_error(state, "not a size and a seed: %s", text);
}

static error_t parse_number(struct options *options, int key, char *text,
			    struct argp_state *state)
{
	switch (key) {
	case KEY_WORKERS:
		options->workers =
			(unsigned)number_between(text, 1, 1024, state);
		return 0;
	case KEY_MAILBOX:
		options->mailbox = (unsigned)number_between(
			text, 1, ROTA_MAX_MAILBOX, state);
		return 0;
	case KEY_READERS:
		options->readers =
			(unsigned)number_between(text, 1, 1024, state);
		return 0;
	case KEY_PARSERS:
		options->parsers =
			(unsigned)number_between(text, 1, 1024, state);
		return 0;
	case KEY_SHARDS:
		options->shards =
			(unsigned)number_between(text, 1, 1024, state);
		return 0;
	case KEY_SLOW:
		options->slow_ns = number_between(text, 0, 1000000000, state);
		return 0;
	case KEY_LOSE:
		options->lose = number_between(text, 1, UINT64_MAX, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void parse_end(struct options *options, struct argp_state *state)
{
	if (options->generate_bytes != 0 && options->n_paths > 0)
		argp_error(state, "either --generate or files, not both");
	if (options->check && !options->sequential)
		argp_error(state, "--check needs the sequential count");
}

static error_t parse(int key, char *text, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case KEY_GENERATE:
		parse_generate(options, text, state);
		return 0;
	case KEY_CHECK:
		options->check = true;
		return 0;
	case KEY_JSON:
		options->json = true;
		return 0;
	case KEY_NO_SEQUENTIAL:
		options->sequential = false;
		return 0;
	case ARGP_KEY_ARGS:
		options->paths = state->argv + state->next;
		options->n_paths = (size_t)(state->argc - state->next);
		return 0;
	case ARGP_KEY_END:
		parse_end(options, state);
		return 0;
	default:
		return parse_number(options, key, text, state);
	}
}

void options_parse(struct options *options, int argc, char **argv)
{
	static char text[sizeof(before) + sizeof(after)];
	const struct argp argp = {
		table, parse, "[FILE OR FOLDER...]", text, NULL, NULL, NULL};

	memcpy(text, before, sizeof(before) - 1);
	memcpy(text + sizeof(before) - 1, after, sizeof(after));
	*options = (struct options){.mailbox = 64, .sequential = true};
	argp_parse(&argp, argc, argv, 0, NULL, options);
}
