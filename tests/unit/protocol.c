/* SPDX-License-Identifier: MIT */
/*
 * protocol - typed calls arrive at their typed handlers, as what was sent
 *
 * What does not compile is tests/api's business. Results are plain variables:
 * a test reads them after rota_quiesce() or rota_stop().
 */
#include <limits.h>
#include <semaphore.h>
#include <atomic_ops.h>
#include <stdlib.h>
#include <string.h>

#include <rota/rota.h>

#include "tests/check.h"

/* ---- a protocol with a bit of everything ---- */

enum { LARGE = ROTA_MAX_PAYLOAD };

struct box_point {
	int x, y;
};

struct box_large {
	unsigned char bytes[LARGE];
};

struct box_chunk {
	int serial;
	int drops; /* how often it was dropped */
};

struct box_head {
	char kind;
	int number;
};

static void chunk_drop(struct box_chunk *c)
{
	c->drops++;
}

/* As a user of the raw interface would have it. */
static void raw_drop(void *buffer, size_t length)
{
	(void)length;
	chunk_drop(buffer);
}

ROTA_PROTOCOL_ID(box);

struct box_relay {
	box_id to;
};

#define BOX(M, p)                                      \
	M(p, SEND, reset, void)                        \
	M(p, SEND, add, long)                          \
	M(p, SEND, point, struct box_point)            \
	M(p, SEND, text, const char *)                 \
	M(p, SEND, large, struct box_large)            \
	M(p, SEND, relay, struct box_relay)            \
	M(p, SEND, gate, sem_t *)                      \
	M(p, SEND, ask, box_id)                        \
	M(p, SEND, echo, void)                         \
	M(p, SEND, fail, int)                          \
	M(p, OWN, chunk, struct box_chunk, chunk_drop) \
	M(p, BYTES, line, struct box_head)             \
	M(p, BYTES, raw, void)
ROTA_PROTOCOL_CALLS(box, BOX);

enum { LOG = 16 };

/* What the handlers saw; one actor of a test writes it. */
static struct {
	long order[LOG];
	size_t n;
	struct box_point point;
	const char *text;
	struct box_large large;
	const void *payload;
	struct box_head head;
	unsigned char bytes[LARGE];
	size_t length;
	struct box_chunk *chunk;
	AO_t destroyed; /* boxes may end on two workers at once */
	AO_t last_total;
} seen;

struct box {
	long total;
	int keep;    /* keep chunks */
	box_id next; /* or send them on */
};

static void note(long what)
{
	if (seen.n < LOG)
		seen.order[seen.n++] = what;
}

static int box_on_reset(struct box *b)
{
	b->total = 0;
	note(0);
	return 0;
}

static int box_on_add(struct box *b, const long *m)
{
	b->total += *m;
	note(*m);
	return 0;
}

static int box_on_point(struct box *b, const struct box_point *m)
{
	(void)b;
	seen.point = *m;
	return 0;
}

static int box_on_text(struct box *b, const char *const *m)
{
	(void)b;
	seen.text = *m;
	return 0;
}

static int box_on_large(struct box *b, const struct box_large *m)
{
	(void)b;
	seen.large = *m;
	return 0;
}

static int box_on_relay(struct box *b, const struct box_relay *m)
{
	b->next = m->to;
	return 0;
}

static int box_on_gate(struct box *b, sem_t *const *m)
{
	(void)b;
	while (sem_wait(*m) != 0)
		;
	return 0;
}

static int box_on_ask(struct box *b, const box_id *m)
{
	(void)b;
	return box_echo(*m);
}

static int box_on_echo(struct box *b)
{
	return box_add(box_of(rota_sender()), b->total);
}

static int box_on_fail(struct box *b, const int *m)
{
	(void)b;
	return *m;
}

static int box_on_chunk(struct box *b, struct box_chunk *m)
{
	if (b->next.id != ROTA_NONE)
		return box_chunk(b->next, m);
	seen.chunk = m;
	note(m->serial);
	return b->keep ? rota_keep() : 0;
}

static int box_on_line(struct box *b, const struct box_head *head,
		       const char *bytes, size_t length)
{
	(void)b;
	seen.payload = head;
	seen.head = *head;
	memcpy(seen.bytes, bytes, length);
	seen.length = length;
	note((long)(bytes - (const char *)(const void *)head));
	return 0;
}

static int box_on_raw(struct box *b, const char *bytes, size_t length)
{
	(void)b;
	seen.payload = bytes;
	if (length > 0)
		memcpy(seen.bytes, bytes, length);
	seen.length = length;
	note((long)length);
	return 0;
}

static void box_fini(struct box *b)
{
	AO_fetch_and_add1(&seen.destroyed);
	AO_store(&seen.last_total, (AO_t)b->total);
}

ROTA_HOOKS(box, .destroy = box_fini);
ROTA_BEHAVIOUR(box, box, BOX, &box_hooks);

/* ---- an engine per test ---- */

static rota_engine *engine;

/* The last one; a test makes its dead letters with one receiver. */
static struct {
	unsigned tag;
	size_t length;
} last_dead;

static void on_dead_letter(void *context, const struct rota_dead_letter *d)
{
	(void)context;
	last_dead.tag = d->tag;
	last_dead.length = d->length;
}

static void start(void)
{
	struct rota_config config = ROTA_CONFIG_INIT;

	config.dead_letter = on_dead_letter;
	memset(&seen, 0, sizeof(seen));
	engine = rota_start(&config);
	cr_assert_not_null(engine);
}

static void stop(void)
{
	cr_assert_eq(rota_stop(engine, ROTA_S(20)), 0);
}

static void settle(void)
{
	cr_assert_eq(rota_quiesce(engine, ROTA_S(20)), 0);
}

static uint64_t dead(enum rota_dead_cause cause)
{
	struct rota_stats counters = ROTA_STATS_INIT;

	rota_stats(engine, ROTA_STATS_ALL, &counters);
	return counters.dead_letters[cause];
}

static box_id box_with(long total, unsigned mailbox)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	struct box state = {.total = total};
	box_id id;

	options.mailbox = mailbox;
	options.flags = ROTA_TAKES_URGENT;
	id = box_spawn(engine, &state, &options);
	cr_assert_eq(rota_id_error(id.id), 0);
	return id;
}

static struct box_large pattern(unsigned seed)
{
	struct box_large m;

	for (size_t i = 0; i < LARGE; i++)
		m.bytes[i] = (unsigned char)(i * 7 + i / 256 + seed);
	return m;
}

/* ---- SEND ---- */

Test(protocol, payloads_arrive_as_sent_and_in_order, .init = start,
     .fini = stop)
{
	box_id id = box_with(100, 0);

	cr_assert_eq(box_add(id, 5), 0);
	cr_assert_eq(box_reset(id), 0);
	cr_assert_eq(box_add(id, LONG_MIN), 0);
	cr_assert_eq(box_point(id, (struct box_point){.x = 3, .y = -4}), 0);
	cr_assert_eq(box_text(id, "words"), 0);
	settle();
	cr_assert_eq(seen.n, 3);
	cr_assert_eq(seen.order[0], 5);
	cr_assert_eq(seen.order[1], 0);
	cr_assert_eq(seen.order[2], LONG_MIN);
	cr_assert_eq(seen.point.x, 3);
	cr_assert_eq(seen.point.y, -4);
	cr_assert_str_eq(seen.text, "words");
}

Test(protocol, large_payloads_arrive_by_value_and_by_reference, .init = start,
     .fini = stop)
{
	static struct box_large m;
	box_id id = box_with(0, 0);

	m = pattern(1);
	cr_assert_eq(box_large_ref(id, &m), 0);
	settle();
	cr_assert_eq(memcmp(&seen.large, &m, sizeof(m)), 0);
	m = pattern(2);
	cr_assert_eq(box_large(id, m), 0);
	m = pattern(3); /* a copy travels */
	settle();
	m = pattern(2);
	cr_assert_eq(memcmp(&seen.large, &m, sizeof(m)), 0);
}

Test(protocol, all_variants_of_a_send_deliver, .init = start, .fini = stop)
{
	box_id id = box_with(0, 0);
	const long one = 1;

	cr_assert_eq(box_add(id, one), 0);
	cr_assert_eq(box_try_add(id, one), 0);
	cr_assert_eq(box_add_within(id, one, ROTA_S(20)), 0);
	cr_assert_eq(box_add_urgent(id, one), 0);
	cr_assert_eq(box_add_after(id, one, ROTA_MS(1), NULL), 0);
	cr_assert_eq(box_add_ref(id, &one), 0);
	cr_assert_eq(box_try_add_ref(id, &one), 0);
	cr_assert_eq(box_add_ref_within(id, &one, ROTA_S(20)), 0);
	cr_assert_eq(box_add_ref_urgent(id, &one), 0);
	cr_assert_eq(box_add_ref_after(id, &one, ROTA_MS(1), NULL), 0);
	settle();
	cr_assert_eq(seen.n, 10);
	cr_assert_eq(box_reset(id), 0);
	cr_assert_eq(box_try_reset(id), 0);
	cr_assert_eq(box_reset_within(id, ROTA_S(20)), 0);
	cr_assert_eq(box_reset_urgent(id), 0);
	cr_assert_eq(box_reset_after(id, ROTA_MS(1), NULL), 0);
	settle();
	cr_assert_eq(seen.n, 15);
}

Test(protocol, a_full_mailbox_refuses_try_and_times_out_within, .init = start,
     .fini = stop)
{
	struct box_chunk chunk = {.serial = 1};
	struct box_head head = {.kind = 'x'};
	box_id id = box_with(0, 1);
	sem_t gate;

	sem_init(&gate, 0, 0);
	cr_assert_eq(box_gate(id, &gate), 0);
	cr_assert_eq(box_try_reset(id), -EAGAIN);
	cr_assert_eq(box_try_add(id, 1), -EAGAIN);
	cr_assert_eq(box_try_chunk(id, &chunk), -EAGAIN);
	cr_assert_eq(box_try_line(id, head, "abc", 3), -EAGAIN);
	cr_assert_eq(box_try_raw(id, "abc", 3), -EAGAIN);
	cr_assert_eq(box_reset_within(id, ROTA_US(10)), -ETIMEDOUT);
	cr_assert_eq(box_add_within(id, 1, ROTA_US(10)), -ETIMEDOUT);
	cr_assert_eq(box_chunk_within(id, &chunk, ROTA_US(10)), -ETIMEDOUT);
	cr_assert_eq(box_line_within(id, head, "a", 1, ROTA_US(10)),
		     -ETIMEDOUT);
	cr_assert_eq(box_raw_within(id, "a", 1, ROTA_US(10)), -ETIMEDOUT);
	sem_post(&gate);
	settle();
	cr_assert_eq(seen.n, 0, "a refused message was delivered");
	cr_assert_eq(chunk.drops, 0, "a refused chunk was dropped");
	sem_destroy(&gate);
}

Test(protocol, urgent_overtakes_in_every_kind, .init = start, .fini = stop)
{
	struct box_chunk chunk = {.serial = 40};
	struct box_head head = {.kind = 'x'};
	box_id id = box_with(0, 0);
	sem_t gate;

	sem_init(&gate, 0, 0);
	cr_assert_eq(box_gate(id, &gate), 0);
	cr_assert_eq(box_add(id, 1), 0);
	cr_assert_eq(box_add(id, 2), 0);
	cr_assert_eq(box_add_urgent(id, 30), 0);
	cr_assert_eq(box_chunk_urgent(id, &chunk), 0);
	cr_assert_eq(box_raw_urgent(id, "12345", 5), 0);
	cr_assert_eq(box_line_urgent(id, head, "abc", 3), 0);
	cr_assert_eq(box_reset_urgent(id), 0);
	sem_post(&gate);
	settle();
	cr_assert_eq(seen.n, 7);
	cr_assert_eq(seen.order[0], 30);
	cr_assert_eq(seen.order[1], 40);
	cr_assert_eq(seen.order[2], 5);
	cr_assert_eq(seen.order[3], (long)sizeof(struct box_head));
	cr_assert_eq(seen.order[4], 0);
	cr_assert_eq(seen.order[5], 1);
	cr_assert_eq(seen.order[6], 2);
	sem_destroy(&gate);
}

Test(protocol, a_cancelled_after_is_not_delivered, .init = start, .fini = stop)
{
	box_id id = box_with(0, 0);
	rota_timer timer = 0;

	cr_assert_eq(box_add_after(id, 1, ROTA_S(3600), &timer), 0);
	cr_assert_eq(rota_timer_cancel(timer), 0);
	cr_assert_eq(rota_timer_cancel(timer), -ESRCH);
	settle();
	cr_assert_eq(seen.n, 0);
}

Test(protocol, after_refuses_what_a_timer_cannot_hold, .init = start,
     .fini = stop)
{
	static struct box_large m;
	box_id id = box_with(0, 0);

	cr_assert_eq(box_large_ref_after(id, &m, ROTA_MS(1), NULL), -EMSGSIZE);
}

Test(protocol, the_sender_can_be_answered, .init = start, .fini = stop)
{
	box_id asked = box_with(42, 0), asker = box_with(0, 0);

	cr_assert_eq(box_ask(asker, asked), 0);
	settle();
	cr_assert_eq(seen.n, 1);
	cr_assert_eq(seen.order[0], 42, "the asker was sent the total");
	/* A thread is no actor: there is no one to answer. */
	cr_assert_eq(box_echo(asked), 0);
	settle();
	cr_assert_eq(rota_is_alive(asked.id), 0);
	cr_assert_eq(rota_is_alive(asker.id), 1);
}

/* ---- what an actor does not know ---- */

#define STRANGE(M, p) M(p, SEND, word, long) M(p, SEND, none, void)
ROTA_PROTOCOL(strange, STRANGE);

Test(protocol, unknown_messages_are_dead_letters_and_do_no_harm, .init = start,
     .fini = stop)
{
	box_id id = box_with(0, 0);

	cr_assert_eq(strange_word(strange_of(id.id), 3), 0);
	cr_assert_eq(strange_none(strange_of(id.id)), 0);
	cr_assert_eq(rota_send(id.id, 0, NULL, 0), 0);
	cr_assert_eq(rota_send(id.id, ROTA_MAX_TAG, NULL, 0), 0);
	cr_assert_eq(rota_send(id.id, box_raw_tag + 1, NULL, 0), 0);
	settle();
	cr_assert_eq(dead(ROTA_DEAD_UNKNOWN), 5);
	cr_assert_eq(last_dead.tag, box_raw_tag + 1);
	cr_assert_eq(rota_is_alive(id.id), 1);
	cr_assert_eq(box_add(id, 9), 0);
	settle();
	cr_assert_eq(seen.n, 1);
}

Test(protocol, payloads_of_a_wrong_size_are_dead_letters, .init = start,
     .fini = stop)
{
	const char bytes[64] = {0};
	box_id id = box_with(0, 0);

	cr_assert_eq(rota_send(id.id, box_reset_tag, bytes, 1), 0);
	cr_assert_eq(rota_send(id.id, box_add_tag, bytes, 0), 0);
	cr_assert_eq(rota_send(id.id, box_add_tag, bytes, sizeof(long) - 1), 0);
	cr_assert_eq(rota_send(id.id, box_add_tag, bytes, sizeof(long) + 1), 0);
	cr_assert_eq(rota_send(id.id, box_chunk_tag, bytes, 1), 0);
	cr_assert_eq(rota_send(id.id, box_line_tag, bytes,
			       sizeof(struct box_head) - 1),
		     0);
	settle();
	cr_assert_eq(dead(ROTA_DEAD_UNKNOWN), 6);
	cr_assert_eq(last_dead.length, sizeof(struct box_head) - 1);
	cr_assert_eq(seen.n, 0);
	cr_assert_eq(rota_is_alive(id.id), 1);
}

Test(protocol, a_negative_return_ends_the_actor_with_that_reason, .init = start,
     .fini = stop)
{
	struct rota_exit why = {.reason = 0};
	box_id id = box_with(0, 0);

	cr_assert_eq(box_fail(id, -EIO), 0);
	cr_assert_eq(rota_join(id.id, ROTA_S(20), &why), 0);
	cr_assert_eq(why.cause, ROTA_EXIT_FAILED);
	cr_assert_eq(why.reason, -EIO);
	cr_assert_eq(box_add(id, 1), -ESRCH);
}

/* ---- OWN ---- */

Test(protocol, a_chunk_moves_and_is_dropped_once, .init = start, .fini = stop)
{
	struct box_chunk chunk = {.serial = 7};
	box_id id = box_with(0, 0);

	cr_assert_eq(box_chunk(id, &chunk), 0);
	settle();
	cr_assert_eq(seen.chunk, &chunk, "the pointer itself travels");
	cr_assert_eq(seen.order[0], 7);
	cr_assert_eq(chunk.drops, 1);
}

Test(protocol, a_kept_chunk_is_not_dropped, .init = start)
{
	struct box_chunk chunk = {.serial = 7};
	struct box state = {.keep = 1};
	box_id id = box_spawn(engine, &state, NULL);

	cr_assert_eq(box_chunk(id, &chunk), 0);
	settle();
	cr_assert_eq(seen.chunk, &chunk);
	stop();
	cr_assert_eq(chunk.drops, 0);
}

Test(protocol, a_chunk_sent_on_is_dropped_once_by_the_last, .init = start)
{
	struct box_chunk chunk = {.serial = 7};
	box_id last = box_with(0, 0), middle = box_with(0, 0);
	box_id first = box_with(0, 0);

	cr_assert_eq(box_relay(first, (struct box_relay){middle}), 0);
	cr_assert_eq(box_relay(middle, (struct box_relay){last}), 0);
	settle();
	cr_assert_eq(box_chunk(first, &chunk), 0);
	settle();
	cr_assert_eq(seen.chunk, &chunk);
	stop();
	cr_assert_eq(chunk.drops, 1);
}

Test(protocol, a_chunk_that_was_refused_is_the_callers, .init = start)
{
	struct box_chunk chunk = {.serial = 7};
	box_id id = box_with(0, 0);

	cr_assert_eq(rota_actor_stop(id.id), 0);
	cr_assert_eq(rota_join(id.id, ROTA_S(20), NULL), 0);
	cr_assert_eq(box_chunk(id, &chunk), -ESRCH);
	cr_assert_eq(box_try_chunk(id, &chunk), -ESRCH);
	cr_assert_eq(box_chunk_within(id, &chunk, ROTA_S(1)), -ESRCH);
	cr_assert_eq(box_chunk_urgent(id, &chunk), -ESRCH);
	cr_assert_eq(box_chunk_until(id, &chunk, rota_deadline_in(ROTA_S(1))),
		     -ESRCH);
	stop();
	cr_assert_eq(chunk.drops, 0);
}

Test(protocol, a_chunk_that_nobody_handles_is_dropped_once, .init = start)
{
	struct box_chunk queued = {.serial = 7}, lost = {.serial = 8};
	box_id id = box_with(0, 0);
	sem_t gate;

	sem_init(&gate, 0, 0);
	cr_assert_eq(box_gate(id, &gate), 0);
	cr_assert_eq(box_chunk(id, &queued), 0);
	cr_assert_eq(rota_actor_stop(id.id), 0);
	sem_post(&gate);
	cr_assert_eq(rota_join(id.id, ROTA_S(20), NULL), 0);
	/* Of a size its receiver does not know. */
	id = box_with(0, 0);
	cr_assert_eq(rota_send_own(id.id, box_chunk_tag, &lost,
				   sizeof(lost) + 1, raw_drop, ROTA_FOREVER),
		     0);
	settle();
	stop();
	cr_assert_eq(seen.n, 0);
	cr_assert_eq(queued.drops, 1);
	cr_assert_eq(lost.drops, 1);
	sem_destroy(&gate);
}

/* ---- BYTES ---- */

Test(protocol, head_and_bytes_arrive_side_by_side, .init = start, .fini = stop)
{
	struct box_head head = {.kind = 'k', .number = 77};
	box_id id = box_with(0, 0);

	cr_assert_eq(box_line(id, head, "hello", 5), 0);
	settle();
	cr_assert_eq(seen.head.kind, 'k');
	cr_assert_eq(seen.head.number, 77);
	cr_assert_eq(seen.length, 5);
	cr_assert_eq(memcmp(seen.bytes, "hello", 5), 0);
	cr_assert_eq(seen.order[0], (long)sizeof(head));
	cr_assert_eq((uintptr_t)seen.payload % 8, 0);
}

/* Once in time, once not: the gate is closed until the moment has passed. */
static void expect_until(box_id id, int (*send)(box_id, rota_deadline))
{
	rota_deadline deadline = rota_deadline_in(ROTA_MS(20));
	int error;
	sem_t gate;

	sem_init(&gate, 0, 0);
	seen.n = 0;
	cr_assert_eq(send(id, rota_deadline_in(ROTA_S(1000))), 0);
	cr_assert_eq(box_gate(id, &gate), 0);
	error = send(id, deadline);
	cr_assert(error == 0 || error == -ETIMEDOUT);
	while (rota_deadline_left(deadline) > 0)
		rota_sleep(ROTA_MS(1));
	sem_post(&gate);
	settle();
	cr_assert_eq(seen.n, 1);
	cr_assert_eq(send(id, deadline), -ETIMEDOUT);
	sem_destroy(&gate);
}

static struct box_chunk timely = {.serial = 7};

static int chunk_until(box_id id, rota_deadline deadline)
{
	return box_chunk_until(id, &timely, deadline);
}

static int line_until(box_id id, rota_deadline deadline)
{
	return box_line_until(id, (struct box_head){'k', 77}, "hello", 5,
			      deadline);
}

static int raw_until(box_id id, rota_deadline deadline)
{
	return box_raw_until(id, "hell", 4, deadline);
}

static int add_until(box_id id, rota_deadline deadline)
{
	return box_add_until(id, 3, deadline);
}

Test(protocol, all_kinds_of_sends_may_have_a_deadline, .init = start,
     .fini = stop)
{
	box_id id = box_with(0, 0);
	uint64_t before;

	expect_until(id, add_until);
	cr_assert_eq(seen.order[0], 3);
	expect_until(id, line_until);
	cr_assert_eq(seen.head.number, 77);
	cr_assert_eq(seen.length, 5);
	cr_assert_eq(memcmp(seen.bytes, "hello", 5), 0);
	expect_until(id, raw_until);
	cr_assert_eq(seen.length, 4);
	before = dead(ROTA_DEAD_EXPIRED);
	expect_until(id, chunk_until);
	cr_assert_eq(seen.chunk, &timely);
	/* It was the one chunk twice, if it was sent in time. */
	cr_assert_eq((uint64_t)timely.drops,
		     1 + dead(ROTA_DEAD_EXPIRED) - before);
}

Test(protocol, bytes_may_be_none, .init = start, .fini = stop)
{
	struct box_head head = {.kind = 'k', .number = 78};
	box_id id = box_with(0, 0);

	seen.length = 99;
	cr_assert_eq(box_line(id, head, NULL, 0), 0);
	settle();
	cr_assert_eq(seen.head.number, 78);
	cr_assert_eq(seen.length, 0);
	seen.length = 99;
	cr_assert_eq(box_raw(id, NULL, 0), 0);
	settle();
	cr_assert_eq(seen.length, 0);
}

Test(protocol, bytes_of_every_size_arrive_whole, .init = start, .fini = stop)
{
	static const size_t sizes[] = {
		1,  7,	8,  31,	  32,	33,   39,    40,    41,
		63, 64, 65, 1000, 4096, 4097, 65527, 65528,
	};
	static struct box_large m;
	struct box_head head = {.kind = 'k', .number = 0};
	box_id id = box_with(0, 0);

	m = pattern(5);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		head.number = (int)i + 1;
		seen.n = 0;
		memset(seen.bytes, 0, sizeof(seen.bytes));
		cr_assert_eq(box_line(id, head, m.bytes, sizes[i]), 0);
		settle();
		cr_assert_eq(seen.n, 1);
		cr_assert_eq(seen.head.number, head.number);
		cr_assert_eq(seen.length, sizes[i]);
		cr_assert_eq(memcmp(seen.bytes, m.bytes, sizes[i]), 0);
		memset(seen.bytes, 0, sizeof(seen.bytes));
		cr_assert_eq(box_raw(id, m.bytes, sizes[i]), 0);
		settle();
		cr_assert_eq(seen.length, sizes[i]);
		cr_assert_eq(memcmp(seen.bytes, m.bytes, sizes[i]), 0);
		cr_assert_eq((uintptr_t)seen.payload % 8, 0);
	}
}

Test(protocol, too_many_bytes_are_refused, .init = start, .fini = stop)
{
	static struct box_large m;
	struct box_head head = {.kind = 'k', .number = 1};
	const size_t most = ROTA_MAX_PAYLOAD - sizeof(head);
	box_id id = box_with(0, 0);

	cr_assert_eq(box_line(id, head, m.bytes, most), 0);
	cr_assert_eq(box_line(id, head, m.bytes, most + 1), -EMSGSIZE);
	cr_assert_eq(box_try_line(id, head, m.bytes, most + 1), -EMSGSIZE);
	cr_assert_eq(box_line(id, head, m.bytes, SIZE_MAX), -EMSGSIZE);
	cr_assert_eq(box_line(id, head, m.bytes, SIZE_MAX - sizeof(head) + 1),
		     -EMSGSIZE);
	cr_assert_eq(box_raw(id, m.bytes, ROTA_MAX_PAYLOAD), 0);
	cr_assert_eq(box_raw(id, m.bytes, ROTA_MAX_PAYLOAD + 1), -EMSGSIZE);
	settle();
	cr_assert_eq(seen.n, 2);
}

/* ---- types ---- */

Test(protocol, a_spawn_copies_the_state_and_null_means_zeroes, .init = start,
     .fini = stop)
{
	struct box state = {.total = 5};
	box_id id = box_spawn(engine, &state, NULL);

	state.total = 6;
	cr_assert_eq(rota_actor_stop(id.id), 0);
	cr_assert_eq(rota_join(id.id, ROTA_S(20), NULL), 0);
	cr_assert_eq(seen.last_total, 5);
	id = box_spawn(engine, NULL, NULL);
	cr_assert_eq(rota_actor_stop(id.id), 0);
	cr_assert_eq(rota_join(id.id, ROTA_S(20), NULL), 0);
	cr_assert_eq(seen.last_total, 0);
}

Test(protocol, a_failed_spawns_id_carries_its_error, .init = start,
     .fini = stop)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	box_id id;

	options.mailbox = ROTA_MAX_MAILBOX + 1;
	id = box_spawn(engine, NULL, &options);
	cr_assert_eq(rota_id_error(id.id), -EINVAL);
	cr_assert_eq(box_add(id, 1), -EINVAL);
}

Test(protocol, destroy_runs_once_with_the_final_state, .init = start)
{
	box_id id = box_with(40, 0);

	cr_assert_eq(box_add(id, 2), 0);
	settle();
	cr_assert_eq(seen.destroyed, 0);
	stop();
	cr_assert_eq(seen.destroyed, 1);
	cr_assert_eq(seen.last_total, 42);
}

Test(protocol, tags_are_number_and_index)
{
	cr_assert_gt(box_reset_tag >> 7, 0);
	cr_assert_leq(box_reset_tag >> 7, ROTA_MAX_PROTOCOL);
	cr_assert_eq(box_reset_tag & 127, 0);
	cr_assert_eq(box_add_tag, box_reset_tag + 1);
	cr_assert_eq(box_raw_tag, box_reset_tag + 12);
	cr_assert_neq(box_reset_tag >> 7, strange_word_tag >> 7);
}

/* ---- several protocols ---- */

#define LEFT(M, p) M(p, SEND, push, int) M(p, SEND, halt, void)
#define RIGHT(M, p) M(p, SEND, pull, int) M(p, SEND, halt, void)
#define THIRD(M, p) M(p, BYTES, push_bytes, void)
#define FOURTH(M, p) M(p, SEND, finish, void)
ROTA_PROTOCOL(left, LEFT);
ROTA_PROTOCOL_NUMBERED(right, RIGHT, 511);
ROTA_PROTOCOL_NUMBERED(third, THIRD, 1);
ROTA_PROTOCOL(fourth, FOURTH);

struct joint {
	int sum;
};

static int joint_on_push(struct joint *j, const int *m)
{
	j->sum += *m;
	return 0;
}

static int joint_on_pull(struct joint *j, const int *m)
{
	j->sum -= *m;
	return 0;
}

static int joint_on_push_bytes(struct joint *j, const char *bytes,
			       size_t length)
{
	(void)bytes;
	j->sum += (int)length;
	return 0;
}

static int joint_on_halt(struct joint *j)
{
	j->sum *= 10;
	return 0;
}

static int joint_on_finish(struct joint *j)
{
	return rota_self_stop(j->sum);
}

ROTA_BEHAVIOUR_4(joint, left, LEFT, right, RIGHT, third, THIRD, fourth, FOURTH,
		 NULL);

/* A second type that speaks left. */
struct lever {
	int sum;
};

static int lever_on_push(struct lever *l, const int *m)
{
	l->sum += *m;
	return rota_self_stop(l->sum);
}

static int lever_on_halt(struct lever *l)
{
	(void)l;
	return 0;
}

ROTA_BEHAVIOUR(lever, left, LEFT, NULL);

Test(protocol, one_type_speaks_four_protocols, .init = start, .fini = stop)
{
	struct rota_exit why;
	left_id id = joint_spawn(engine, NULL, NULL);

	cr_assert_eq(left_push(id, 5), 0);
	cr_assert_eq(right_pull(joint_as_right(id), 2), 0);
	cr_assert_eq(right_halt(joint_as_right(id)), 0);
	cr_assert_eq(left_halt(id), 0);
	cr_assert_eq(third_push_bytes(joint_as_third(id), "1234", 4), 0);
	cr_assert_eq(fourth_finish(joint_as_fourth(id)), 0);
	cr_assert_eq(rota_join(id.id, ROTA_S(20), &why), 0);
	cr_assert_eq(why.cause, ROTA_EXIT_NORMAL);
	cr_assert_eq(why.reason, 304);
	cr_assert_eq(dead(ROTA_DEAD_UNKNOWN), 0);
}

Test(protocol, two_types_speak_one_protocol, .init = start, .fini = stop)
{
	struct lever state = {.sum = 10};
	struct rota_exit why;
	left_id id = lever_spawn(engine, &state, NULL);

	cr_assert_eq(left_push(id, 7), 0);
	cr_assert_eq(rota_join(id.id, ROTA_S(20), &why), 0);
	cr_assert_eq(why.reason, 17);
}

/* ---- ask and read ---- */

struct till_sale {
	int cents;
};

struct till_bill {
	long total;
	int number;
};

enum till_mood { TILL_CLOSED = 3, TILL_OPEN = 4 };

#define TILL(M, p)                                          \
	M(p, ASK, sell, struct till_sale, struct till_bill) \
	M(p, ASK, charge, struct till_sale, void)           \
	M(p, ASK, close, void, void)                        \
	M(p, ASK, later, void, long)                        \
	M(p, READ, total, void, long)                       \
	M(p, READ, mood, int, enum till_mood)
ROTA_PROTOCOL(till, TILL);

struct till {
	long total;
	int number;
};

static rota_token kept; /* by till_on_later(), until the next message */

static int till_on_sell(struct till *t, const struct till_sale *m,
			struct till_bill *reply)
{
	if (m->cents < 0)
		return -ERANGE;
	t->total += m->cents;
	*reply = (struct till_bill){t->total, ++t->number};
	return 0;
}

static int till_on_charge(struct till *t, const struct till_sale *m)
{
	t->total -= m->cents;
	return t->total < 0 ? 42 : 0;
}

static int till_on_close(struct till *t)
{
	t->total = 0;
	if (kept)
		return till_later_reply(kept, 77);
	return 0;
}

static int till_on_later(struct till *t, long *reply)
{
	(void)t;
	*reply = -1;
	return rota_reply_later(&kept) ? EINVAL : ROTA_LATER;
}

static int till_on_total(const struct till *t, long *reply)
{
	*reply = t->total;
	return 0;
}

static int till_on_mood(const struct till *t, const int *m,
			enum till_mood *reply)
{
	*reply = t->total >= *m ? TILL_OPEN : TILL_CLOSED;
	return 0;
}

ROTA_BEHAVIOUR(till, till, TILL, NULL);

Test(protocol, asks_are_answered_by_their_types, .init = start, .fini = stop)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	till_id id;
	struct till_bill bill = {0};
	enum till_mood mood = 0;
	long total = -1;

	options.flags = ROTA_TAKES_URGENT;
	id = till_spawn(engine, NULL, &options);
	cr_assert_eq(till_sell(id, (struct till_sale){500}, &bill, ROTA_S(20)),
		     0);
	cr_assert_eq(bill.total, 500);
	cr_assert_eq(bill.number, 1);
	cr_assert_eq(till_sell_ref_urgent(id, &(struct till_sale){1}, &bill,
					  ROTA_S(20)),
		     0);
	cr_assert_eq(bill.total, 501);
	cr_assert_eq(till_charge(id, (struct till_sale){1}, ROTA_S(20)), 0);
	cr_assert_eq(till_total(id, &total, ROTA_S(20)), 0);
	cr_assert_eq(total, 500);
	cr_assert_eq(till_mood(id, 500, &mood, ROTA_S(20)), 0);
	cr_assert_eq(mood, TILL_OPEN);
	cr_assert_eq(till_mood(id, 501, &mood, ROTA_S(20)), 0);
	cr_assert_eq(mood, TILL_CLOSED);
	cr_assert_eq(till_close(id, ROTA_S(20)), 0);
	cr_assert_eq(till_total(id, &total, ROTA_S(20)), 0);
	cr_assert_eq(total, 0);
}

Test(protocol, what_a_handler_answers_fails_nobody, .init = start, .fini = stop)
{
	till_id id = till_spawn(engine, NULL, NULL);
	struct till_bill bill = {9, 9};

	cr_assert_eq(till_sell(id, (struct till_sale){-1}, &bill, ROTA_S(20)),
		     ERANGE);
	cr_assert_eq(bill.total, 9, "no reply");
	cr_assert_eq(till_charge(id, (struct till_sale){1}, ROTA_S(20)), 42);
	cr_assert(rota_is_alive(id.id));
	/* Nor does one that nobody has asked for. */
	cr_assert_eq(rota_send(id.id, till_sell_tag, &(struct till_sale){-1},
			       sizeof(struct till_sale)),
		     0);
	cr_assert_eq(till_close(id, ROTA_S(20)), 0);
}

Test(protocol, an_answer_may_come_later, .init = start, .fini = stop)
{
	till_id id = till_spawn(engine, NULL, NULL);
	struct rota_asking asking;
	long reply = 0;

	cr_assert_eq(till_later_start(id, &reply, ROTA_FOREVER, &asking), 0);
	cr_assert_eq(till_close(id, ROTA_S(20)), 0);
	cr_assert_eq(rota_ask_await(&asking, 1, 1, ROTA_S(20)), 1);
	cr_assert_eq(asking.outcome, 0);
	cr_assert_eq(reply, 77);
}

Test(protocol, a_request_of_another_size_is_not_known, .init = start,
     .fini = stop)
{
	till_id id = till_spawn(engine, NULL, NULL);
	long value = 0;

	cr_assert_eq(rota_ask(id.id, till_sell_tag, &value, sizeof(value), NULL,
			      0, ROTA_S(20)),
		     -ENOSYS);
	cr_assert_eq(dead(ROTA_DEAD_UNKNOWN), 1);
}
