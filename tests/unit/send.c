/* SPDX-License-Identifier: MIT */
/*
 * send - what travels with a message, and what a send refuses
 */
#include "tests/unit/support.h"

static unsigned char pattern(size_t i, size_t length)
{
	return (unsigned char)(i * 7 + length * 13 + i / 255);
}

struct parcel_seen {
	struct tally n;
	size_t bad;
	size_t misaligned;
	size_t length[512];
};

static struct parcel_seen seen;

/* Check a payload, then scribble on it: it is the handler's to change. */
static int parcel_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	unsigned char *bytes = payload;

	(void)state;
	(void)tag;
	if (length && (uintptr_t)payload % 8)
		seen.misaligned++;
	for (size_t i = 0; i < length; i++)
		if (bytes[i] != pattern(i, length))
			seen.bad++;
	if (length)
		memset(bytes, 0xdd, length);
	seen.length[tally_of(&seen.n) % 512] = length;
	tally_add(&seen.n, 1);
	return 0;
}

static const struct rota_behaviour parcel_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "parcel",
	.handle = parcel_handle,
};

static const size_t lengths[] = {
	0,     1,     2,     3,	    4,	   5,	  7,
	8,     9,     15,    16,    17,	   23,	  24,
	31,    32,    33,    39,    40,	   41,	  42,
	47,    48,    49,    63,    64,	   65,	  80,
	96,    100,   104,   105,   127,   128,	  129,
	200,   255,   256,   257,   500,   511,	  512,
	513,   1000,  1023,  1024,  1025,  2000,  2048,
	4000,  4096,  4097,  8191,  8192,  10000, 16384,
	20000, 32767, 32768, 32769, 50000, 65535, ROTA_MAX_PAYLOAD};

#define N_LENGTHS (sizeof(lengths) / sizeof(lengths[0]))

/* The sender's memory is its own again at once: it is overwritten. */
static void send_parcels(int (*send)(rota_id, unsigned, const void *, size_t))
{
	unsigned char *bytes = malloc(ROTA_MAX_PAYLOAD);
	rota_id id;

	engine_start(2);
	id = spawn(&parcel_behaviour, NULL, 1000);
	for (int again = 0; again < 3; again++) {
		memset(&seen, 0, sizeof(seen));
		for (size_t i = 0; i < N_LENGTHS; i++) {
			for (size_t j = 0; j < lengths[i]; j++)
				bytes[j] = pattern(j, lengths[i]);
			cr_assert_eq(send(id, 1, bytes, lengths[i]), 0);
			memset(bytes, 0xbb, lengths[i]);
		}
		quiesce();
		cr_assert_eq(tally_of(&seen.n), N_LENGTHS);
		cr_assert_eq(seen.bad, 0);
		cr_assert_eq(seen.misaligned, 0);
		for (size_t i = 0; i < N_LENGTHS; i++)
			cr_assert_eq(seen.length[i], lengths[i]);
	}
	engine_stop();
	free(bytes);
}

Test(send, payloads_of_all_sizes_arrive_intact, .timeout = HANG)
{
	send_parcels(rota_send);
}

Test(send, payloads_of_all_sizes_arrive_intact_by_try, .timeout = HANG)
{
	send_parcels(rota_try_send);
}

Test(send, payloads_of_all_sizes_arrive_intact_when_urgent, .timeout = HANG)
{
	send_parcels(rota_send_urgent);
}

Test(send, a_payload_over_the_limit_is_refused, .timeout = HANG)
{
	static struct record record;
	char *bytes = calloc(1, ROTA_MAX_PAYLOAD + 1);
	size_t over = ROTA_MAX_PAYLOAD + 1;
	rota_id id;

	engine_start(1);
	id = puppet_spawn(&record, 0);
	cr_assert_eq(rota_send(id, 1, bytes, over), -EMSGSIZE);
	cr_assert_eq(rota_try_send(id, 1, bytes, over), -EMSGSIZE);
	cr_assert_eq(rota_send_within(id, 1, bytes, over, 0), -EMSGSIZE);
	cr_assert_eq(rota_send_urgent(id, 1, bytes, over), -EMSGSIZE);
	cr_assert_eq(rota_send(id, 1, bytes, SIZE_MAX), -EMSGSIZE);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 0);
	engine_stop();
	free(bytes);
}

Test(send, tags_up_to_the_limit_arrive, .timeout = HANG)
{
	static struct record record;
	static const unsigned tags[] = {0, 1, 255, 256, 32768, ROTA_MAX_TAG};
	rota_id id;

	engine_start(1);
	id = puppet_spawn(&record, 0);
	for (size_t i = 0; i < 6; i++)
		cr_assert_eq(send_value(id, tags[i], i), 0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 6);
	for (size_t i = 0; i < 6; i++)
		cr_assert_eq(record.note[i].tag, tags[i]);
	engine_stop();
}

Test(send, a_tag_over_the_limit_is_refused, .timeout = HANG)
{
	static struct record record;
	char byte = 0;
	rota_id id;

	engine_start(1);
	id = puppet_spawn(&record, 0);
	cr_assert_eq(rota_send(id, ROTA_MAX_TAG + 1, &byte, 1), -EINVAL);
	cr_assert_eq(rota_try_send(id, UINT32_MAX, &byte, 1), -EINVAL);
	cr_assert_eq(rota_send_urgent(id, ROTA_MAX_TAG + 1, &byte, 1), -EINVAL);
	cr_assert_eq(rota_send_within(id, ROTA_MAX_TAG + 1, &byte, 1, 0),
		     -EINVAL);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 0);
	engine_stop();
}

Test(send, nothing_to_nobody, .timeout = HANG)
{
	cr_assert_eq(send_value(ROTA_NONE, 1, 1), -ESRCH);
	cr_assert_eq(try_value(ROTA_NONE, 1, 1), -ESRCH);
	engine_start(1);
	cr_assert_eq(send_value(ROTA_NONE, 1, 1), -ESRCH);
	engine_stop();
}

/* ---- in two parts ---- */

static void send_parts(unsigned flags, int64_t within)
{
	static const size_t splits[] = {0, 1, 8, 39, 40, 41, 100, 5000};
	unsigned char *bytes = malloc(ROTA_MAX_PAYLOAD);
	size_t n = 0;
	rota_id id;

	memset(&seen, 0, sizeof(seen));
	engine_start(2);
	id = spawn(&parcel_behaviour, NULL, 1000);
	for (size_t i = 0; i < 8; i++)
		for (size_t j = 0; j < 8; j++, n++) {
			size_t length = splits[i] + splits[j];

			for (size_t k = 0; k < length; k++)
				bytes[k] = pattern(k, length);
			cr_assert_eq(rota_send_parts(id, 1, bytes, splits[i],
						     bytes + splits[i],
						     splits[j], flags, within),
				     0);
		}
	quiesce();
	cr_assert_eq(tally_of(&seen.n), n);
	cr_assert_eq(seen.bad, 0);
	cr_assert_eq(seen.misaligned, 0);
	engine_stop();
	free(bytes);
}

Test(send, parts_arrive_as_one_payload, .timeout = HANG)
{
	send_parts(0, ROTA_FOREVER);
	send_parts(0, ROTA_NOW);
	send_parts(ROTA_URGENT, ROTA_FOREVER);
}

Test(send, parts_may_be_missing, .timeout = HANG)
{
	static struct record record;
	uint64_t value = 5;
	rota_id id;

	engine_start(1);
	id = puppet_spawn(&record, 0);
	cr_assert_eq(rota_send_parts(id, 1, NULL, 0, NULL, 0, 0, 0), 0);
	cr_assert_eq(rota_send_parts(id, 1, &value, 8, NULL, 0, 0, 0), 0);
	cr_assert_eq(rota_send_parts(id, 1, NULL, 0, &value, 8, 0, 0), 0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 3);
	cr_assert_eq(record.note[0].length, 0);
	cr_assert_eq(record.note[1].value, 5);
	cr_assert_eq(record.note[2].value, 5);
	engine_stop();
}

Test(send, parts_too_long_together_are_refused, .timeout = HANG)
{
	static struct record record;
	char *bytes = calloc(1, ROTA_MAX_PAYLOAD);
	size_t half = ROTA_MAX_PAYLOAD / 2;
	rota_id id;

	engine_start(1);
	id = puppet_spawn(&record, 0);
	cr_assert_eq(rota_send_parts(id, 1, bytes, half, bytes, half, 0, 0), 0);
	cr_assert_eq(rota_send_parts(id, 1, bytes, half + 1, bytes, half, 0, 0),
		     -EMSGSIZE);
	cr_assert_eq(rota_send_parts(id, 1, bytes, half, bytes, SIZE_MAX, 0, 0),
		     -EMSGSIZE);
	cr_assert_eq(rota_send_parts(id, 1, bytes, SIZE_MAX, bytes, 1, 0, 0),
		     -EMSGSIZE);
	cr_assert_eq(rota_send_parts(id, 1, bytes, 1, bytes, 1, 1u << 31, 0),
		     -EINVAL);
	cr_assert_eq(
		rota_send_parts(id, ROTA_MAX_TAG + 1, bytes, 1, bytes, 1, 0, 0),
		-EINVAL);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 1);
	cr_assert_eq(record.note[0].length, ROTA_MAX_PAYLOAD);
	engine_stop();
	free(bytes);
}

/* ---- urgent ---- */

Test(send, urgently_only_to_who_takes_it, .timeout = HANG)
{
	static struct record record;
	struct puppet puppet = {&record};
	char *buffer = malloc(8);
	rota_id id;

	engine_start(1);
	id = rota_spawn(engine, &puppet_behaviour, &puppet, NULL);
	cr_assert_eq(rota_send_urgent(id, 1, NULL, 0), -EPERM);
	cr_assert_eq(
		rota_send_parts(id, 1, NULL, 0, NULL, 0, ROTA_URGENT, ROTA_NOW),
		-EPERM);
	cr_assert_eq(rota_send_own_urgent(id, 1, buffer, 8, NULL, ROTA_NOW),
		     -EPERM);
	free(buffer); /* still ours */
	cr_assert_eq(send_value(id, 1, 1), 0);
	quiesce();
	cr_assert_eq(tally_of(&record.n), 1);
	cr_assert_eq(rota_actor_stop(id), 0);
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
	cr_assert_eq(rota_send_urgent(id, 1, NULL, 0), -ESRCH);
	expect_conserved(1);
	engine_stop();
}

/* ---- who ---- */

Test(send, a_threads_message_has_no_sender, .timeout = HANG)
{
	static struct record record;
	rota_id id;

	engine_start(1);
	id = puppet_spawn(&record, 0);
	cr_assert_eq(send_value(id, 1, 1), 0);
	quiesce();
	cr_assert_eq(record.note[0].sender, ROTA_NONE);
	cr_assert_eq(record.note[0].self, id);
	engine_stop();
}

Test(send, a_handlers_message_names_its_sender, .timeout = HANG)
{
	static struct record record;
	struct sending s;
	rota_id from;
	rota_id to;

	engine_start(2);
	from = puppet_spawn(NULL, 0);
	to = puppet_spawn(&record, 0);
	s = sending_to(to, 3, 4);
	ACTS(from, act_sending, &s);
	quiesce();
	cr_assert_eq(s.result, 0);
	cr_assert_eq(tally_of(&record.n), 1);
	cr_assert_eq(record.note[0].sender, from);
	cr_assert_eq(record.note[0].self, to);
	engine_stop();
}

struct who {
	rota_id self;
	rota_id sender;
	rota_engine *engine;
	rota_id self_after; /* it waited for this actor's end */
	rota_id sender_after;
	struct hold hold;
};

static int act_who(void *arg)
{
	struct who *who = arg;

	who->self = rota_self();
	who->sender = rota_sender();
	who->engine = rota_self_engine();
	act_hold(&who->hold);
	who->self_after = rota_self();
	who->sender_after = rota_sender();
	return 0;
}

/* Also after a wait, while its worker ran others. */
Test(send, a_handler_knows_itself_and_its_sender, .timeout = HANG)
{
	struct who who[2] = {0};
	rota_id id[2];

	engine_start(1);
	for (int i = 0; i < 2; i++) {
		id[i] = puppet_spawn(NULL, 0);
		who[i].hold.gate = puppet_spawn(NULL, 0);
		ACTS(id[i], act_who, &who[i]);
		AWAIT(flag_is_up(&who[i].hold.begun));
	}
	for (int i = 0; i < 2; i++)
		hold_end(&who[i].hold);
	quiesce();
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(who[i].self, id[i]);
		cr_assert_eq(who[i].self_after, id[i]);
		cr_assert_eq(who[i].sender, ROTA_NONE);
		cr_assert_eq(who[i].sender_after, ROTA_NONE);
		cr_assert_eq(who[i].engine, engine);
	}
	engine_stop();
}

Test(send, outside_of_a_handler_there_is_no_self, .timeout = HANG)
{
	engine_start(1);
	cr_assert_eq(rota_self(), ROTA_NONE);
	cr_assert_eq(rota_sender(), ROTA_NONE);
	cr_assert_null(rota_self_engine());
	cr_assert_eq(rota_self_stop(0), -EPERM);
	cr_assert_eq(rota_self_drain(), -EPERM);
	cr_assert_eq(rota_keep(), -EINVAL);
	engine_stop();
}

/* ---- turns ---- */

struct busy {
	size_t inside; /* plain on purpose: turns of an actor never overlap */
	size_t overlaps;
	size_t n;
};

static int busy_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct busy *busy = *(struct busy **)state;

	(void)tag;
	(void)payload;
	(void)length;
	if (busy->inside++)
		busy->overlaps++;
	busy->n++;
	busy->inside--;
	return 0;
}

static const struct rota_behaviour busy_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "busy",
	.state_size = sizeof(struct busy *),
	.handle = busy_handle,
};

struct shower {
	rota_id to;
	size_t n;
	struct tally failed;
};

static void *thread_shower(void *arg)
{
	struct shower *shower = arg;

	for (size_t i = 0; i < shower->n; i++)
		if (send_value(shower->to, 1, i))
			tally_add(&shower->failed, 1);
	return NULL;
}

Test(send, an_actor_handles_one_message_at_a_time, .timeout = HANG)
{
	static struct busy busy;
	struct busy *state = &busy;
	struct shower shower = {.n = SIZED(20000, 4000)};
	pthread_t thread[4];

	engine_start(4);
	shower.to = spawn(&busy_behaviour, &state, 0);
	for (int i = 0; i < 4; i++)
		thread[i] = thread_start(thread_shower, &shower);
	for (int i = 0; i < 4; i++)
		thread_join(thread[i]);
	quiesce();
	cr_assert_eq(tally_of(&shower.failed), 0);
	cr_assert_eq(busy.n, 4 * shower.n);
	cr_assert_eq(busy.overlaps, 0);
	engine_stop();
}
