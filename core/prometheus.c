/* SPDX-License-Identifier: MIT */
/*
 * prometheus - the counters as text
 *
 * Reference: "Exposition formats" of the Prometheus documentation, the text
 * format, version 0.0.4.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/stats.h"

/* Writes as far as there is room, and counts on as if there were more. */
struct writer {
	char *buffer;
	size_t size;
	size_t length;
	const char *name; /* of the engine, for the label; NULL: its number */
	struct engine *engine;
};

static void put_char(struct writer *writer, char c)
{
	if (writer->length + 1 < writer->size)
		writer->buffer[writer->length] = c;
	writer->length++;
}

static ROTA_PRINTF(2, 3) void put(struct writer *writer, const char *format,
				  ...)
{
	char text[256];
	va_list arguments;
	const char *c;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	for (c = text; *c; c++)
		put_char(writer, *c);
}

/* Within a label's quotes. */
static void put_escaped(struct writer *writer, const char *text)
{
	for (; *text; text++) {
		if (*text == '\\' || *text == '"')
			put_char(writer, '\\');
		if (*text == '\n')
			put(writer, "\\n");
		else
			put_char(writer, *text);
	}
}

/* ---- metrics ---- */

static void put_about(struct writer *writer, const char *metric,
		      const char *type, const char *help)
{
	put(writer, "# HELP %s %s\n# TYPE %s %s\n", metric, help, metric, type);
}

/* One line; @label: NULL or the name of a second label. */
static void put_sample(struct writer *writer, const char *metric,
		       const char *label, const char *value, uint64_t n)
{
	put(writer, "%s{engine=\"", metric);
	if (writer->name)
		put_escaped(writer, writer->name);
	else
		put(writer, "%u", writer->engine->number);
	put_char(writer, '"');
	if (label)
		put(writer, ",%s=\"%s\"", label, value);
	put(writer, "} %" PRIu64 "\n", n);
}

static void put_single(struct writer *writer, const char *metric,
		       const char *type, const char *help, uint64_t n)
{
	put_about(writer, metric, type, help);
	put_sample(writer, metric, NULL, NULL, n);
}

/* What every worker counts, by where it stands in struct rota_stats. */
static const struct counter {
	const char *metric;
	const char *help;
	size_t offset;
} counters[] = {
	{"rota_actors_spawned_total", "Actors made.",
	 offsetof(struct rota_stats, spawned)},
	{"rota_actors_ended_total", "Actors that have ended.",
	 offsetof(struct rota_stats, ended)},
	{"rota_actors_abandoned_total", "Actors given up in their handlers.",
	 offsetof(struct rota_stats, abandoned)},
	{"rota_actors_returned_total",
	 "Handlers of abandoned actors that have returned since.",
	 offsetof(struct rota_stats, returned)},
	{"rota_messages_total", "Messages handled.",
	 offsetof(struct rota_stats, messages)},
	{"rota_turns_total", "Stretches of an actor running on a worker.",
	 offsetof(struct rota_stats, turns)},
	{"rota_waits_total", "Turns that gave up their worker to wait.",
	 offsetof(struct rota_stats, waits)},
	{"rota_overdrafts_total",
	 "Messages let in over a mailbox's bound to open a circle of waits.",
	 offsetof(struct rota_stats, overdrafts)},
	{"rota_steals_total", "Tasks taken from another worker.",
	 offsetof(struct rota_stats, steals)},
	{"rota_wakeups_total", "Sleeping workers woken, by who woke them.",
	 offsetof(struct rota_stats, wakeups)},
	{"rota_stuck_total", "Turns that were reported for not ending.",
	 offsetof(struct rota_stats, stuck)},
	{"rota_late_replies_total",
	 "Answers that came after the asker had given up.",
	 offsetof(struct rota_stats, late_replies)},
	{"rota_queries_total",
	 "Queries offered to be handled beside others of their actor.",
	 offsetof(struct rota_stats, queries)},
	{"rota_tasks_total", "Tasks that came to their end.",
	 offsetof(struct rota_stats, tasks)},
	{"rota_chained_total", "Messages that went out in chains.",
	 offsetof(struct rota_stats, chained)},
};

static uint64_t figure(struct writer *writer, int of, size_t offset)
{
	struct rota_stats stats = ROTA_STATS_INIT;

	stats_read(writer->engine, of, &stats);
	return *(const uint64_t *)(const void *)((const char *)&stats + offset);
}

static void put_counter(struct writer *writer, const struct counter *counter)
{
	unsigned i, n = crew_slots(&writer->engine->crew);

	put_about(writer, counter->metric, "counter", counter->help);
	for (i = 0; i < n; i++) {
		char number[12];

		snprintf(number, sizeof(number), "%u", i);
		put_sample(writer, counter->metric, "worker", number,
			   figure(writer, (int)i, counter->offset));
	}
	put_sample(writer, counter->metric, "worker", "outside",
		   figure(writer, ROTA_STATS_OUTSIDE, counter->offset));
}

static void put_dead_letters(struct writer *writer,
			     const struct rota_stats *all)
{
	static const char *const causes[] = {
		[ROTA_DEAD_NO_ACTOR] = "no_actor",
		[ROTA_DEAD_STOPPED] = "stopped",
		[ROTA_DEAD_UNKNOWN] = "unknown",
		[ROTA_DEAD_EXPIRED] = "expired",
		[ROTA_DEAD_WITHDRAWN] = "withdrawn",
		[ROTA_DEAD_ABANDONED] = "abandoned",
	};
	unsigned i;

	_Static_assert(sizeof(causes) / sizeof(causes[0]) == ROTA_DEAD_CAUSES,
		       "every cause has a name");
	put_about(writer, "rota_dead_letters_total", "counter",
		  "Messages that were accepted and not handled.");
	for (i = 1; i < ROTA_DEAD_CAUSES; i++)
		put_sample(writer, "rota_dead_letters_total", "cause",
			   causes[i], all->dead_letters[i]);
}

static void put_memory(struct writer *writer, const struct rota_stats *all)
{
	static const char *const kinds[] = {
		[ROTA_MEMORY_ACTORS] = "actors",
		[ROTA_MEMORY_MESSAGES] = "messages",
		[ROTA_MEMORY_TIMERS] = "timers",
		[ROTA_MEMORY_RECORDS] = "records",
		[ROTA_MEMORY_STACKS] = "stacks",
		[ROTA_MEMORY_SPARE] = "spare",
		[ROTA_MEMORY_TASKS] = "tasks",
		[ROTA_MEMORY_ASKS] = "asks",
	};
	unsigned i;

	_Static_assert(sizeof(kinds) / sizeof(kinds[0]) == ROTA_MEMORY_KINDS,
		       "every kind has a name");
	put_about(writer, "rota_memory_bytes", "gauge",
		  "Memory held, by what it is for.");
	for (i = 0; i < ROTA_MEMORY_KINDS; i++)
		put_sample(writer, "rota_memory_bytes", "kind", kinds[i],
			   all->memory_of[i]);
	put_single(writer, "rota_memory_limit_bytes", "gauge",
		   "Memory that may be held, 0 for no limit.",
		   all->memory_limit);
	put_single(writer, "rota_memory_refused_total", "counter",
		   "Requests for memory refused because of the limit.",
		   all->memory_refused);
}

static void put_all(struct writer *writer)
{
	struct rota_stats all = ROTA_STATS_INIT;
	unsigned i;

	stats_read(writer->engine, ROTA_STATS_ALL, &all);
	put_single(writer, "rota_workers", "gauge", "Workers, without spares.",
		   roster_target(&writer->engine->crew.roster));
	put_single(writer, "rota_spares_total", "counter",
		   "Times that a spare thread took a stuck worker's place.",
		   all.spares);
	put_single(writer, "rota_actors", "gauge", "Actors alive.",
		   all.spawned > all.ended ? all.spawned - all.ended : 0);
	for (i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		put_counter(writer, &counters[i]);
	put_dead_letters(writer, &all);
	put_memory(writer, &all);
}

int rota_prometheus(rota_engine *handle, const char *name, char *buffer,
		    size_t size)
{
	struct writer writer = {buffer, size, 0, name, NULL};
	struct thread_record *record;
	int error;

	if (!buffer && size > 0)
		return -EINVAL;
	if (size > 0)
		buffer[0] = '\0';
	error = handle ? site_look(handle->number, &writer.engine, &record)
		       : -EINVAL;
	if (error)
		return error;
	put_all(&writer);
	site_end_look(record);
	if (size > 0)
		buffer[writer.length < size ? writer.length : size - 1] = '\0';
	return (int)writer.length;
}
