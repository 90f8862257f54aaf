/* SPDX-License-Identifier: MIT */
/*
 * prometheus - the text is what the format asks for, and says what is so
 *
 * Read with a parser of the text exposition format as it is specified: for each
 * metric one HELP, one TYPE, then its samples, all of them together.
 */
#include <ctype.h>

#include <rota/task.h>

#include "tests/unit/support.h"

#define MAX_SAMPLES 256

struct sample {
	char metric[64];
	char label[4][2][64]; /* name and value */
	unsigned n_labels;
	uint64_t value;
};

struct text {
	struct sample sample[MAX_SAMPLES];
	size_t n;
	char metric[64]; /* the family that was opened last */
	char closed[64][64];
	size_t n_closed;
	bool has_type;
	bool is_counter;
};

static const char *name_end(const char *at)
{
	if (!isalpha((unsigned char)*at) && *at != '_')
		return at;
	while (isalnum((unsigned char)*at) || *at == '_')
		at++;
	return at;
}

static const char *read_name(const char *at, char name[64])
{
	const char *end = name_end(at);

	cr_assert(end > at && end - at < 64, "no name: %.40s", at);
	memcpy(name, at, (size_t)(end - at));
	name[end - at] = '\0';
	return end;
}

static const char *expect(const char *at, const char *text)
{
	cr_assert(strncmp(at, text, strlen(text)) == 0, "%s in: %.40s", text,
		  at);
	return at + strlen(text);
}

static const char *read_value(const char *at, char value[64])
{
	size_t n = 0;

	for (at = expect(at, "\""); *at != '"'; at++) {
		char c = *at;

		cr_assert(c != '\0' && c != '\n', "a label without end");
		if (c == '\\') {
			c = *++at;
			cr_assert(c == '\\' || c == '"' || c == 'n',
				  "escape %c", c);
			c = c == 'n' ? '\n' : c;
		}
		cr_assert_lt(n, 63);
		value[n++] = c;
	}
	value[n] = '\0';
	return at + 1;
}

static void open_family(struct text *text, const char *metric)
{
	for (size_t i = 0; i < text->n_closed; i++)
		cr_assert_str_neq(text->closed[i], metric, "twice");
	strcpy(text->closed[text->n_closed++], metric);
	strcpy(text->metric, metric);
	text->has_type = false;
}

static const char *read_comment(struct text *text, const char *at)
{
	char metric[64];

	if (strncmp(at, "# HELP ", 7) == 0) {
		at = read_name(at + 7, metric);
		open_family(text, metric);
		cr_assert_eq(*at, ' ');
		while (*at != '\n') {
			cr_assert_neq(*at, '\0');
			cr_assert_neq(*at++, '\\');
		}
		return at + 1;
	}
	at = read_name(expect(at, "# TYPE "), metric);
	cr_assert_str_eq(metric, text->metric);
	cr_assert(!text->has_type);
	text->has_type = true;
	text->is_counter = strncmp(at, " counter\n", 9) == 0;
	return expect(at, text->is_counter ? " counter\n" : " gauge\n");
}

static const char *read_sample(struct text *text, const char *at)
{
	struct sample *sample = &text->sample[text->n++];
	size_t length;
	char *end;

	cr_assert_leq(text->n, MAX_SAMPLES);
	at = read_name(at, sample->metric);
	cr_assert_str_eq(sample->metric, text->metric);
	cr_assert(text->has_type);
	length = strlen(sample->metric);
	cr_assert_eq(text->is_counter,
		     length > 6 &&
			     strcmp(sample->metric + length - 6, "_total") == 0,
		     "%s", sample->metric);
	at = expect(at, "{");
	do {
		cr_assert_lt(sample->n_labels, 4);
		at = read_name(at, sample->label[sample->n_labels][0]);
		at = read_value(expect(at, "="),
				sample->label[sample->n_labels++][1]);
	} while (*at++ == ',');
	at = expect(at - 1, "} ");
	cr_assert(isdigit((unsigned char)*at));
	sample->value = strtoull(at, &end, 10);
	return expect(end, "\n");
}

static struct text parse(const char *at)
{
	struct text text = {.n = 0};

	while (*at)
		at = *at == '#' ? read_comment(&text, at)
				: read_sample(&text, at);
	return text;
}

static char *print(const char *name)
{
	int length = rota_prometheus(engine, name, NULL, 0);
	size_t size = (size_t)length + 100;
	char *buffer = malloc(size);

	cr_assert_gt(length, 0);
	length = rota_prometheus(engine, name, buffer, size);
	cr_assert(length > 0 && (size_t)length < size);
	cr_assert_eq(strlen(buffer), (size_t)length);
	return buffer;
}

/* The sum of a metric's samples; of those with that label, if not NULL. */
static uint64_t sum(const struct text *text, const char *metric,
		    const char *label)
{
	uint64_t sum = 0;
	unsigned n = 0;

	for (size_t i = 0; i < text->n; i++) {
		const struct sample *sample = &text->sample[i];

		if (strcmp(sample->metric, metric) == 0 &&
		    (!label || strcmp(sample->label[1][1], label) == 0)) {
			sum += sample->value;
			n++;
		}
	}
	cr_assert_gt(n, 0, "%s", metric);
	return sum;
}

Test(prometheus, tells_the_counters, .timeout = HANG)
{
	struct rota_config config = test_config(2);
	struct hold hold = {0};
	struct text text;
	char *buffer;
	rota_id id;

	config.memory = (size_t)64 << 20;
	engine = engine_make(&config);
	for (uint64_t i = 0; i < 100; i++)
		ACTS(puppet_spawn(NULL, 0), act_self_stop, NULL);
	id = puppet_spawn(NULL, 0);
	hold_start(&hold, id);
	for (uint64_t i = 0; i < 9; i++)
		cr_assert_eq(send_value(id, 1, i), 0);
	cr_assert_eq(rota_actor_stop(id), 0);
	quiesce();
	buffer = print(NULL);
	text = parse(buffer);
	cr_assert_eq(sum(&text, "rota_workers", NULL), 2);
	cr_assert_eq(sum(&text, "rota_actors", NULL), 1); /* the gate */
	cr_assert_eq(sum(&text, "rota_actors_spawned_total", NULL), 102);
	cr_assert_eq(sum(&text, "rota_actors_spawned_total", "outside"), 102);
	cr_assert_eq(sum(&text, "rota_actors_ended_total", NULL), 101);
	cr_assert_eq(sum(&text, "rota_messages_total", NULL), 101);
	cr_assert_eq(sum(&text, "rota_messages_total", "outside"), 0);
	cr_assert_eq(sum(&text, "rota_waits_total", NULL), 1);
	cr_assert_eq(sum(&text, "rota_dead_letters_total", NULL), 9);
	cr_assert_eq(sum(&text, "rota_dead_letters_total", "stopped"), 9);
	cr_assert_eq(sum(&text, "rota_memory_limit_bytes", NULL), 64 << 20);
	cr_assert_eq(sum(&text, "rota_memory_bytes", NULL), counters().memory);
	cr_assert_eq(sum(&text, "rota_memory_refused_total", NULL), 0);
	cr_assert_gt(sum(&text, "rota_turns_total", "0") +
			     sum(&text, "rota_turns_total", "1"),
		     0);
	(void)sum(&text, "rota_steals_total", "1");
	(void)sum(&text, "rota_wakeups_total", "outside");
	(void)sum(&text, "rota_overdrafts_total", "0");
	(void)sum(&text, "rota_chained_total", "0");
	free(buffer);
	engine_stop();
}

/* Each figure of rota_stats(), in their order, and where the text has it. */
static const struct field {
	size_t offset;
	size_t size;
	const char *metric;
} fields[] = {
#define FIELD(name, metric)                                               \
	{                                                                 \
		offsetof(struct rota_stats, name),                        \
			sizeof(((struct rota_stats *)NULL)->name), metric \
	}
	FIELD(spawned, "rota_actors_spawned_total"),
	FIELD(ended, "rota_actors_ended_total"),
	FIELD(messages, "rota_messages_total"),
	FIELD(turns, "rota_turns_total"),
	FIELD(waits, "rota_waits_total"),
	FIELD(overdrafts, "rota_overdrafts_total"),
	FIELD(steals, "rota_steals_total"),
	FIELD(wakeups, "rota_wakeups_total"),
	FIELD(dead_letters, "rota_dead_letters_total"), /* [0]: all */
	FIELD(memory, "rota_memory_bytes"),
	FIELD(memory_of, NULL), /* the same, by kind */
	FIELD(memory_limit, "rota_memory_limit_bytes"),
	FIELD(memory_refused, "rota_memory_refused_total"),
	FIELD(tasks, "rota_tasks_total"),
	FIELD(stuck, "rota_stuck_total"),
	FIELD(late_replies, "rota_late_replies_total"),
	FIELD(spares, "rota_spares_total"),
	FIELD(queries, "rota_queries_total"),
	FIELD(abandoned, "rota_actors_abandoned_total"),
	FIELD(returned, "rota_actors_returned_total"),
	FIELD(chained, "rota_chained_total"),
#undef FIELD
};

#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

static void expect_fields(const struct text *text,
			  const struct rota_stats *stats)
{
	for (size_t i = 0; i < N_FIELDS; i++) {
		uint64_t value;

		memcpy(&value, (const char *)stats + fields[i].offset,
		       sizeof(value));
		if (fields[i].metric)
			cr_assert_eq(sum(text, fields[i].metric, NULL), value,
				     "%s", fields[i].metric);
	}
}

static int add_one(void *arg)
{
	tally_add(*(struct tally **)arg, 1);
	return 0;
}

Test(prometheus, tells_all_that_rota_stats_tells, .timeout = HANG)
{
	struct tally tally = {0}, *where = &tally;
	size_t end = offsetof(struct rota_stats, spawned);
	struct rota_stats stats, again;
	struct text text;
	char *buffer;

	for (size_t i = 0; i < N_FIELDS; i++) {
		cr_assert_eq(fields[i].offset, end, "before %s",
			     fields[i].metric);
		end += fields[i].size;
	}
	cr_assert_eq(end, sizeof(struct rota_stats), "one is not listed");
	engine_start(2);
	for (int i = 0; i < 7; i++) {
		ACTS(puppet_spawn(NULL, 0), act_self_stop, NULL);
		cr_assert_eq(rota_task_submit(engine, add_one, &where,
					      sizeof(where), NULL),
			     0);
	}
	quiesce();
	/* Workers step until they sleep. */
	do {
		stats = counters();
		buffer = print(NULL);
		text = parse(buffer);
		free(buffer);
		again = counters();
	} while (memcmp(&stats, &again, sizeof(stats)) != 0);
	cr_assert_eq(sum(&text, "rota_tasks_total", NULL), 7);
	expect_fields(&text, &stats);
	engine_stop();
}

static void expect_name(const char *name)
{
	char *buffer = print(name);
	struct text text = parse(buffer);

	for (size_t i = 0; i < text.n; i++) {
		cr_assert_str_eq(text.sample[i].label[0][0], "engine");
		if (name)
			cr_assert_str_eq(text.sample[i].label[0][1], name);
	}
	free(buffer);
}

Test(prometheus, escapes_the_engines_name, .timeout = HANG)
{
	engine_start(1);
	expect_name("web");
	expect_name("");
	expect_name("a \"b\" \\ c\\n\nd{}=,#");
	expect_name("\xc3\xbc");
	expect_name(NULL);
	engine_stop();
}

Test(prometheus, never_writes_past_its_buffer, .timeout = HANG)
{
	char *all, *some;
	size_t length;

	engine_start(1);
	all = print("x");
	length = strlen(all);
	some = malloc(length + 1);
	for (size_t size = 1; size <= length + 1; size += 97) {
		char *exact = malloc(size); /* a sanitizer minds the end */
		int n = rota_prometheus(engine, "x", exact, size);

		cr_assert_gt(n, (int)length - 200);
		cr_assert_eq(strlen(exact), size - 1);
		free(exact);
	}
	free(some);
	free(all);
	engine_stop();
}

Test(prometheus, refuses_what_rota_stats_refuses, .timeout = HANG)
{
	rota_engine *stopped;
	char buffer[16] = "before";

	engine_start(1);
	cr_assert_eq(rota_prometheus(NULL, NULL, buffer, 16), -EINVAL);
	cr_assert_eq(rota_prometheus(engine, NULL, NULL, 16), -EINVAL);
	stopped = engine;
	engine_stop();
	cr_assert_eq(rota_prometheus(stopped, NULL, buffer, 16), -ESRCH);
	cr_assert_str_eq(buffer, "");
}
