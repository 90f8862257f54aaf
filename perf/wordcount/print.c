/* SPDX-License-Identifier: MIT */
/*
 * print - results, for people and for programs
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "print.h"

#define SHOWN_BYTES 64

/*
 * How many bytes the UTF-8 character at @text has; 0 if it is none that can be
 * printed as it is (broken, or a control character).
 */
static size_t character(const unsigned char *text, size_t left)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t code = text[0];
	size_t i, length;

	if (code < 0x80)
		return code >= 0x20 && code != 0x7f && code != '\\';
	length = code >= 0xf0 ? 4 : code >= 0xe0 ? 3 : 2;
	if (code < 0xc2 || code > 0xf4 || length > left)
		return 0;
	code &= 0xffu >> (length + 1);
	for (i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}
	if (code < least[length] || code < 0xa0 || code > 0x10ffff ||
	    (code >= 0xd800 && code < 0xe000))
		return 0;
	return length;
}

void print_word(char room[static PRINT_WORD_ROOM], const char *text,
		size_t length)
{
	size_t at = 0, out = 0;

	while (at < length && at < SHOWN_BYTES) {
		const unsigned char *byte = (const unsigned char *)text + at;
		size_t n = character(byte, length - at);

		if (n > 0) {
			memcpy(room + out, byte, n);
			out += n;
			at += n;
		} else {
			out += (size_t)sprintf(room + out, "\\x%02x", *byte);
			at++;
		}
	}
	room[out] = '\0';
	if (at < length)
		snprintf(room + out, PRINT_WORD_ROOM - out, "... (%zu bytes)",
			 length);
}

void print_counts(const struct outcome *outcome)
{
	char shown[PRINT_WORD_ROOM], room[WORD_PACKED];
	unsigned i;

	for (i = 0; i < outcome->top.n; i++) {
		const struct top_word *word = &outcome->top.words[i];

		print_word(shown, word_unpack(&word->key, room),
			   (size_t)word->key.length);
		printf("%11" PRIu64 "  %s\n", word->count, shown);
	}
	printf("%s%" PRIu64 " words, %" PRIu64 " distinct (one actor each)\n"
	       "%" PRIu64 " lines, %" PRIu64 " bytes\n",
	       outcome->top.n > 0 ? "\n" : "", outcome->counted,
	       outcome->distinct, outcome->reading.lines,
	       outcome->reading.bytes);
	fflush(stdout);
}

static double ratio(double x, double y)
{
	return y > 0 ? x / y : 0;
}

/* Bytes per actor. */
static double each(uint64_t bytes, const struct measured *measured)
{
	return ratio((double)bytes, (double)measured->actors);
}

static void print_input(const struct job *job)
{
	const struct input *input = job->input;

	if (input->generate_bytes != 0)
		printf("generated text, seed %" PRIu64 "\n",
		       input->generate_seed);
	else
		printf("%" PRIu64 " files, %" PRIu64 " bytes on disk\n",
		       job->outcome.reading.items, input->file_bytes);
	if (input->skipped + job->outcome.skipped > 0)
		printf("%zu skipped, named above\n",
		       input->skipped + job->outcome.skipped);
}

static void print_memory(const struct job *job, const struct measured *measured)
{
	printf("memory      %.0f bytes per actor held by the engine; the "
	       "process grew by %.0f,\n"
	       "            %.0f of them the directory's; at most %.0f MB in "
	       "all\n",
	       each(measured->engine_bytes, measured),
	       each(measured->resident, measured),
	       each(job->outcome.directory_bytes, measured),
	       (double)measured->peak * 1e-6);
}

static void print_sequential(const struct measured *measured,
			     const struct sequential *sequential)
{
	printf("sequential  %.3f s, %.2f M words/s, %.1f MB/s; actors took "
	       "%.2f times as long\n",
	       sequential->seconds,
	       ratio((double)sequential->words * 1e-6, sequential->seconds),
	       ratio((double)sequential->bytes * 1e-6, sequential->seconds),
	       ratio(measured->seconds, sequential->seconds));
}

void print_measured(const struct job *job, const struct measured *measured,
		    const struct sequential *sequential, enum verdict verdict)
{
	const struct outcome *outcome = &job->outcome;
	double messages = (double)measured->messages;

	print_input(job);
	printf("\nactors      %.3f s, %.2f M words/s, %.1f MB/s; %u workers, "
	       "mailbox %u,\n"
	       "            %u readers, %u parsers, %u shards\n",
	       measured->seconds,
	       ratio((double)outcome->counted * 1e-6, measured->seconds),
	       ratio((double)outcome->reading.bytes * 1e-6, measured->seconds),
	       measured->workers, job->options->mailbox, job->n_readers,
	       job->n_parsers, job->n_shards);
	printf("messages    %" PRIu64 ", %.2f M/s, %.1f ns each; %" PRIu64
	       " turns, %" PRIu64 " waits\n",
	       measured->messages, ratio(messages * 1e-6, measured->seconds),
	       ratio(measured->seconds * 1e9, messages), measured->turns,
	       measured->waits);
	print_memory(job, measured);
	if (sequential != NULL)
		print_sequential(measured, sequential);
	if (verdict == VERDICT_PASSED)
		printf("check       passed: %" PRIu64 " counts agree\n",
		       outcome->distinct);
	else if (verdict == VERDICT_FAILED)
		printf("check       FAILED\n");
}

/* ---- JSON ---- */

static json_int_t integer(uint64_t value)
{
	return (json_int_t)value;
}

static json_t *must_pack(json_t *value)
{
	if (value == NULL)
		die("out of memory");
	return value;
}

static json_t *json_hex(const char *text, size_t length)
{
	char *hex = must_allocate(2 * length + 1);
	json_t *value;
	size_t i;

	for (i = 0; i < length; i++)
		sprintf(hex + 2 * i, "%02x", (unsigned char)text[i]);
	value = must_pack(json_stringn(hex, 2 * length));
	free(hex);
	return value;
}

/* JSON strings are UTF-8; other words are given in hexadecimal. */
static json_t *json_word(const struct top_word *word)
{
	char room[WORD_PACKED];
	const char *text = word_unpack(&word->key, room);
	size_t length = (size_t)word->key.length;
	json_t *value = json_stringn(text, length);
	const char *name = "word";

	if (value == NULL) {
		value = json_hex(text, length);
		name = "word_hex";
	}
	return must_pack(json_pack("{s:o, s:I}", name, value, "count",
				   integer(word->count)));
}

static json_t *json_top(const struct top *top)
{
	json_t *words = must_pack(json_array());
	unsigned i;

	for (i = 0; i < top->n; i++)
		json_array_append_new(words, json_word(&top->words[i]));
	return words;
}

static json_t *json_input(const struct job *job)
{
	const struct input *input = job->input;
	const struct reading *reading = &job->outcome.reading;
	size_t skipped = input->skipped + job->outcome.skipped;

	if (input->generate_bytes != 0)
		return must_pack(json_pack(
			"{s:s, s:I, s:I, s:I}", "source", "generated", "seed",
			integer(input->generate_seed), "bytes",
			integer(reading->bytes), "skipped", integer(skipped)));
	return must_pack(json_pack("{s:s, s:I, s:I, s:I, s:I}", "source",
				   "files", "files", integer(reading->items),
				   "bytes_on_disk", integer(input->file_bytes),
				   "bytes", integer(reading->bytes), "skipped",
				   integer(skipped)));
}

static json_t *json_memory(const struct job *job,
			   const struct measured *measured)
{
	return must_pack(json_pack(
		"{s:f, s:f, s:f, s:I, s:I, s:I}", "engine_bytes_per_actor",
		each(measured->engine_bytes, measured),
		"resident_bytes_per_actor", each(measured->resident, measured),
		"directory_bytes_per_actor",
		each(job->outcome.directory_bytes, measured), "engine_bytes",
		integer(measured->engine_bytes), "resident_bytes",
		integer(measured->resident), "resident_bytes_peak",
		integer(measured->peak)));
}

static json_t *json_engine(const struct measured *measured)
{
	return must_pack(json_pack(
		"{s:I, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:I}", "messages",
		integer(measured->messages), "messages_per_second",
		ratio((double)measured->messages, measured->seconds),
		"ns_per_message",
		ratio(measured->seconds * 1e9, (double)measured->messages),
		"turns", integer(measured->turns), "waits",
		integer(measured->waits), "overdrafts",
		integer(measured->overdrafts), "steals",
		integer(measured->steals), "wakeups",
		integer(measured->wakeups), "dead_letters",
		integer(measured->dead_letters)));
}

static json_t *json_sequential(const struct measured *measured,
			       const struct sequential *sequential)
{
	if (sequential == NULL)
		return must_pack(json_null());
	return must_pack(json_pack(
		"{s:f, s:I, s:I, s:f}", "seconds", sequential->seconds, "words",
		integer(sequential->words), "distinct",
		integer(sequential->distinct), "ratio",
		ratio(measured->seconds, sequential->seconds)));
}

static json_t *json_verdict(enum verdict verdict)
{
	if (verdict == VERDICT_NONE)
		return must_pack(json_null());
	return must_pack(
		json_string(verdict == VERDICT_PASSED ? "passed" : "failed"));
}

static json_t *json_all(const struct job *job, const struct measured *measured,
			const struct sequential *sequential,
			enum verdict verdict, uint64_t differences)
{
	const struct outcome *outcome = &job->outcome;

	return must_pack(json_pack(
		"{s:s, s:o, s:i, s:i, s:i, s:i, s:i, s:I, s:I, s:I, s:I, s:f, "
		"s:o, s:o, s:o, s:o, s:o, s:I}",
		"program", "wordcount", "input", json_input(job), "workers",
		(int)measured->workers, "mailbox", (int)job->options->mailbox,
		"readers", (int)job->n_readers, "parsers", (int)job->n_parsers,
		"shards", (int)job->n_shards, "lines",
		integer(outcome->reading.lines), "words",
		integer(outcome->counted), "distinct",
		integer(outcome->distinct), "actors", integer(measured->actors),
		"seconds", measured->seconds, "engine", json_engine(measured),
		"memory", json_memory(job, measured), "top",
		json_top(&outcome->top), "sequential",
		json_sequential(measured, sequential), "check",
		json_verdict(verdict), "differences", integer(differences)));
}

void print_json(const struct job *job, const struct measured *measured,
		const struct sequential *sequential, enum verdict verdict,
		uint64_t differences)
{
	json_t *all = json_all(job, measured, sequential, verdict, differences);

	if (json_dumpf(all, stdout, JSON_INDENT(2)) != 0)
		die("cannot write the result");
	putchar('\n');
	json_decref(all);
}
