/* SPDX-License-Identifier: MIT */
/*
 * report - the actor that everything comes to in the end, and that prints it
 */
#include <rota/timer.h>

#include "common.h"
#include "job.h"
#include "print.h"
#include "progress.h"

struct report {
	struct member member;
	unsigned readers, shards; /* heard of */
	double start;
	struct progress progress;
	rota_timer tick; /* 0: nobody has told of progress yet */
};

static void arm(struct report *report)
{
	must(rota_send_after(rota_self(), REPORT_TICK, NULL, 0, ROTA_MS(200),
			     &report->tick),
	     "setting a timer");
}

static void on_progress(struct report *report, const struct progress *more)
{
	report->progress.bytes += more->bytes;
	report->progress.lines += more->lines;
	report->progress.words += more->words;
	report->progress.distinct += more->distinct;
	if (report->tick == 0)
		arm(report);
}

static void on_tick(struct report *report)
{
	progress_show(&report->progress, now() - report->start);
	arm(report);
}

static void on_skip(struct job *job, const struct skip *skip)
{
	input_report_skip(input_name(job->input, skip->item), skip->why);
	job->outcome.skipped++;
}

static void on_read(struct report *report, const struct reading *reading)
{
	struct reading *sum = &report->member.job->outcome.reading;

	sum->items += reading->items;
	sum->bytes += reading->bytes;
	sum->lines += reading->lines;
	report->readers++;
}

static void on_directory(struct report *report, struct tally *tally)
{
	struct outcome *outcome = &report->member.job->outcome;

	must(rota_keep(), "keeping a directory");
	outcome->tallies[tally->shard] = tally;
	outcome->words += tally->words;
	outcome->counted += tally->counted;
	outcome->distinct += tally->directory.used;
	outcome->directory_bytes += directory_bytes(&tally->directory);
	top_merge(&outcome->top, &tally->top);
	report->shards++;
}

/* Shards come after readers, for what they report follows from them. */
static void finish_if_complete(struct report *report)
{
	const struct job *job = report->member.job;

	if (report->shards < job->n_shards)
		return;
	if (report->readers < job->n_readers)
		die("the end came before what was read: order is broken");
	if (report->tick != 0) {
		rota_timer_cancel(report->tick);
		progress_end();
	}
	if (!job->options->json)
		print_counts(&job->outcome);
	rota_self_stop(0);
}

static int report_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct report *report = state;

	(void)length;
	switch (tag) {
	case REPORT_PROGRESS:
		on_progress(report, payload);
		return 0;
	case REPORT_TICK:
		on_tick(report);
		return 0;
	case REPORT_SKIP:
		on_skip(report->member.job, payload);
		return 0;
	case REPORT_READ:
		on_read(report, payload);
		return 0;
	case REPORT_DIRECTORY:
		on_directory(report, payload);
		finish_if_complete(report);
		return 0;
	default:
		return ROTA_UNKNOWN;
	}
}

rota_id report_spawn(rota_engine *engine, struct job *job)
{
	static const struct rota_behaviour behaviour = {
		.size = sizeof(behaviour),
		.name = "report",
		.state_size = sizeof(struct report),
		.handle = report_handle,
	};
	const struct report report = {.member.job = job, .start = now()};

	return rota_spawn(engine, &behaviour, &report, NULL);
}
