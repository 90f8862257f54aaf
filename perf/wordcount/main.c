/* SPDX-License-Identifier: MIT */
/*
 * wordcount - the main job: one actor per distinct word
 *
 * What would make its numbers a lie: a cold page cache (every file is read
 * once before the clock starts), memory that the first of two counts warms for
 * the second (each has its own, fresh from the system), a sequential count that
 * reads or inflates less (it uses the same source.c).
 */
#include <stdio.h>
#include <stdlib.h>

#include <rota/stats.h>

#include "check.h"
#include "common.h"
#include "print.h"

/* Nothing is sent here that should not arrive: a dead letter is a fault. */
static void on_dead_letter(void *context, const struct rota_dead_letter *letter)
{
	(void)context;
	die("a message was lost: tag %u to %016llx, cause %d", letter->tag,
	    (unsigned long long)letter->to, (int)letter->cause);
}

static void on_log(void *context, enum rota_log_level level, const char *line)
{
	(void)context;
	if (level <= ROTA_LOG_WARNING)
		fprintf(stderr, "wordcount: %s\n", line);
}

static rota_engine *start_engine(const struct options *options)
{
	struct rota_config config = ROTA_CONFIG_INIT;
	rota_engine *engine;

	config.workers = options->workers;
	config.mailbox = options->mailbox;
	config.dead_letter = on_dead_letter;
	config.log = on_log;
	engine = rota_start(&config);
	if (engine == NULL)
		die("cannot start: %s", rota_strerror(errno));
	return engine;
}

static struct rota_stats counters(rota_engine *engine)
{
	struct rota_stats all = ROTA_STATS_INIT;

	rota_stats(engine, ROTA_STATS_ALL, &all);
	return all;
}

static void count(struct job *job, rota_engine *engine,
		  struct measured *measured)
{
	uint64_t resident = resident_bytes();
	struct rota_stats before = counters(engine), after;
	double start = now();

	job_start(job, engine);
	job_wait(job);
	measured->seconds = now() - start;
	must(rota_quiesce(engine, ROTA_FOREVER), "waiting for the last turn");
	after = counters(engine);
	measured->workers = rota_workers(engine);
	measured->messages = after.messages - before.messages;
	measured->turns = after.turns - before.turns;
	measured->waits = after.waits - before.waits;
	measured->overdrafts = after.overdrafts - before.overdrafts;
	measured->steals = after.steals - before.steals;
	measured->wakeups = after.wakeups - before.wakeups;
	measured->dead_letters = after.dead_letters[0];
	measured->actors = job->outcome.distinct;
	measured->engine_bytes = after.memory - before.memory;
	resident = resident_bytes() - resident;
	measured->resident = (int64_t)resident > 0 ? resident : 0;
	measured->peak = resident_bytes_peak();
}

static void gather(struct input *input, const struct options *options)
{
	if (options->generate_bytes != 0)
		input_generate(input, options->generate_bytes,
			       options->generate_seed);
	else if (options->n_paths > 0)
		input_gather(input, options->paths, options->n_paths);
	else
		input_default(input);
	input_warm(input);
}

/* Each word that the shards passed on must have been counted by its actor. */
static uint64_t check_nothing_lost(const struct outcome *outcome)
{
	if (outcome->words == outcome->counted)
		return 0;
	fprintf(stderr,
		"wordcount: shards passed on %llu words, their actors counted "
		"%llu\n",
		(unsigned long long)outcome->words,
		(unsigned long long)outcome->counted);
	return 1;
}

static enum status compare_and_print(const struct job *job,
				     const struct measured *measured)
{
	const struct options *options = job->options;
	struct sequential sequential = {0};
	enum verdict verdict = VERDICT_NONE;
	uint64_t differences = check_nothing_lost(&job->outcome);

	if (options->sequential) {
		sequential_count(&sequential, job->input);
		differences += check_totals(job, &sequential);
	}
	if (options->check) {
		differences += check_words(job, &sequential);
		verdict = differences == 0 ? VERDICT_PASSED : VERDICT_FAILED;
	}
	if (options->json)
		print_json(job, measured,
			   options->sequential ? &sequential : NULL, verdict,
			   differences);
	else
		print_measured(job, measured,
			       options->sequential ? &sequential : NULL,
			       verdict);
	sequential_fini(&sequential);
	if (differences > 0)
		return STATUS_WRONG;
	return job->input->skipped + job->outcome.skipped > 0 ? STATUS_SKIPPED
							      : STATUS_OK;
}

int main(int argc, char **argv)
{
	struct options options;
	struct input input = {0};
	struct job job = {.options = &options, .input = &input};
	struct measured measured = {0};
	rota_engine *engine;
	enum status status;

	options_parse(&options, argc, argv);
	gather(&input, &options);
	engine = start_engine(&options);
	count(&job, engine, &measured);
	must(rota_stop(engine, ROTA_S(60)), "stopping the engine");
	status = compare_and_print(&job, &measured);
	job_fini(&job);
	input_fini(&input);
	/* An earlier write may be what failed. */
	if (fflush(stdout) != 0 || ferror(stdout))
		die("cannot write the result");
	return (int)status;
}
