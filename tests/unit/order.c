/* SPDX-License-Identifier: MIT */
/*
 * order - first in first out per sender, and causal between actors
 *
 * The causal tests have three actors: A tells B, then tells C; C, told, tells
 * B. So B must hear of each round from A before it hears of it from C. B is
 * idle (each message finds it asleep), busy (it has always some queued) or full
 * (both senders wait for room).
 */
#include "tests/unit/support.h"

enum { FROM_A = 1, FROM_C, GO };

enum receiver { IDLE, BUSY, FULL };

struct bee {
	uint64_t a;	/* rounds heard of from A */
	uint64_t c;	/* rounds heard of from C */
	size_t gaps;	/* out of order from one sender */
	size_t early;	/* heard from C what A had not said */
	unsigned pause; /* what a message costs, in turns of an empty loop */
};

static int bee_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct bee *bee = *(struct bee **)state;
	uint64_t round = value_at(payload, length);

	if (tag == FROM_A && round != bee->a++)
		bee->gaps++;
	if (tag == FROM_C && round != bee->c++)
		bee->gaps++;
	if (tag == FROM_C && round >= bee->a)
		bee->early++;
	for (volatile unsigned i = 0; i < bee->pause; i++)
		;
	return 0;
}

static const struct rota_behaviour bee_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "B",
	.state_size = sizeof(struct bee *),
	.handle = bee_handle,
};

struct cee {
	rota_id b;
	size_t *failed; /* C's and B's are never the same */
};

static int cee_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct cee *cee = state;

	(void)tag;
	if (rota_send(cee->b, FROM_C, payload, length))
		++*cee->failed;
	return 0;
}

static const struct rota_behaviour cee_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "C",
	.state_size = sizeof(struct cee),
	.handle = cee_handle,
};

/* How A tells B and C; each kind of message goes its own way inside. */
struct ay {
	rota_id b;
	rota_id c;
	uint64_t next;
	uint64_t end;
	bool is_mixed;	/* inline, large and moved payloads in turn */
	bool is_urgent; /* the promise is per lane */
	size_t failed;
};

static void drop_buffer(void *buffer, size_t length)
{
	(void)length;
	free(buffer);
}

static int tell_moved(rota_id to, unsigned tag, uint64_t value)
{
	uint64_t *buffer = malloc(sizeof(*buffer));
	int error;

	*buffer = value;
	error = rota_send_own(to, tag, buffer, sizeof(*buffer), drop_buffer,
			      ROTA_FOREVER);
	if (error)
		free(buffer);
	return error;
}

static int tell_large(rota_id to, unsigned tag, uint64_t value)
{
	uint64_t large[400] = {value};

	return rota_send(to, tag, large, sizeof(large));
}

static int tell(const struct ay *ay, rota_id to, unsigned tag, uint64_t value)
{
	unsigned kind = ay->is_mixed ? (unsigned)(value % 4) : 0;

	if (ay->is_urgent)
		return rota_send_urgent(to, tag, &value, sizeof(value));
	if (kind == 1)
		return tell_moved(to, tag, value);
	if (kind == 2)
		return tell_large(to, tag, value);
	if (kind == 3)
		return rota_send_within(to, tag, &value, sizeof(value),
					PATIENCE);
	return send_value(to, tag, value);
}

/* One round a turn at IDLE, else all of them in one turn. */
static int act_tell(void *arg)
{
	struct ay *ay = arg;

	for (; ay->next < ay->end; ay->next++) {
		if (tell(ay, ay->b, FROM_A, ay->next))
			ay->failed++;
		if (tell(ay, ay->c, GO, ay->next))
			ay->failed++;
	}
	return 0;
}

static void *thread_tell(void *arg)
{
	act_tell(arg);
	return NULL;
}

static void tell_idle(struct ay *ay, rota_id a, uint64_t rounds)
{
	for (uint64_t i = 0; i < rounds; i++) {
		ay->end = i + 1;
		ACTS(a, act_tell, ay);
		quiesce();
	}
}

static void judge(const struct bee *bee, uint64_t rounds)
{
	cr_assert_eq(bee->a, rounds);
	cr_assert_eq(bee->gaps, 0);
	cr_assert_eq(bee->early, 0);
}

static void causal(unsigned workers, enum receiver receiver, struct ay ay)
{
	static struct bee bee;
	struct bee *bee_state = &bee;
	uint64_t rounds = SIZED(20000, 3000);
	unsigned capacity = receiver == FULL ? 1 : 64;
	size_t failed = 0;
	rota_id a;

	engine_start(workers);
	bee.pause = receiver == IDLE ? 0 : 200;
	ay.b = spawn(&bee_behaviour, &bee_state, capacity);
	ay.c = spawn(&cee_behaviour, &(struct cee){ay.b, &failed}, capacity);
	a = puppet_spawn(NULL, 0);
	if (receiver == IDLE) {
		rounds /= 10;
		tell_idle(&ay, a, rounds);
	} else {
		ay.end = rounds;
		ACTS(a, act_tell, &ay);
		quiesce();
	}
	cr_assert_eq(ay.failed, 0);
	cr_assert_eq(failed, 0);
	judge(&bee, rounds);
	cr_assert_eq(bee.c, rounds);
	engine_stop();
	cr_assert_eq(n_dead(), 0);
}

#define PLAIN ((struct ay){0})

Test(order, is_causal_to_an_idle_receiver_1_worker, .timeout = HANG)
{
	causal(1, IDLE, PLAIN);
}

Test(order, is_causal_to_an_idle_receiver_2_workers, .timeout = HANG)
{
	causal(2, IDLE, PLAIN);
}

Test(order, is_causal_to_an_idle_receiver_64_workers, .timeout = HANG)
{
	causal(64, IDLE, PLAIN);
}

Test(order, is_causal_to_a_busy_receiver_1_worker, .timeout = HANG)
{
	causal(1, BUSY, PLAIN);
}

Test(order, is_causal_to_a_busy_receiver_2_workers, .timeout = HANG)
{
	causal(2, BUSY, PLAIN);
}

Test(order, is_causal_to_a_busy_receiver_64_workers, .timeout = HANG)
{
	causal(64, BUSY, PLAIN);
}

Test(order, is_causal_to_a_full_receiver_1_worker, .timeout = HANG)
{
	causal(1, FULL, PLAIN);
}

Test(order, is_causal_to_a_full_receiver_2_workers, .timeout = HANG)
{
	causal(2, FULL, PLAIN);
}

Test(order, is_causal_to_a_full_receiver_64_workers, .timeout = HANG)
{
	causal(64, FULL, PLAIN);
}

Test(order, is_causal_whatever_the_payload, .timeout = HANG)
{
	causal(2, BUSY, (struct ay){.is_mixed = true});
}

Test(order, is_causal_whatever_the_payload_when_full, .timeout = HANG)
{
	causal(2, FULL, (struct ay){.is_mixed = true});
}

/* C's message to B is a normal one, so A's urgent one comes first anyway; what
   is tested is that urgent ones of one sender keep their order. */
Test(order, is_kept_among_urgent_ones, .timeout = HANG)
{
	causal(2, BUSY, (struct ay){.is_urgent = true});
}

Test(order, is_kept_among_urgent_ones_when_full, .timeout = HANG)
{
	causal(2, FULL, (struct ay){.is_urgent = true});
}

/* A may be a thread as well. */
static void causal_from_threads(unsigned workers, unsigned capacity)
{
	static struct bee bee;
	struct bee *bee_state = &bee;
	struct ay ay = {.end = SIZED(20000, 3000)};
	size_t failed = 0;

	engine_start(workers);
	bee.pause = 200;
	ay.b = spawn(&bee_behaviour, &bee_state, capacity);
	ay.c = spawn(&cee_behaviour, &(struct cee){ay.b, &failed}, capacity);
	thread_join(thread_start(thread_tell, &ay));
	quiesce();
	cr_assert_eq(ay.failed + failed, 0);
	judge(&bee, ay.end);
	cr_assert_eq(bee.c, ay.end);
	engine_stop();
}

Test(order, is_causal_from_a_thread, .timeout = HANG)
{
	causal_from_threads(2, 64);
}

Test(order, is_causal_from_a_thread_to_a_full_receiver, .timeout = HANG)
{
	causal_from_threads(2, 1);
}

Test(order, is_causal_from_a_thread_64_workers, .timeout = HANG)
{
	causal_from_threads(64, 4);
}

/* Who has seen an actor's end comes after all that it sent. */
struct last_words {
	rota_id to;
	int result;
};

static int act_last_words(void *arg)
{
	struct last_words *words = arg;

	words->result = send_value(words->to, 1, 1);
	return rota_self_stop(0);
}

Test(order, what_an_actor_sent_comes_before_what_follows_its_end,
     .timeout = HANG)
{
	static struct record record;
	struct last_words words = {.result = 1};
	size_t rounds = SIZED(2000, 400);

	engine_start(2);
	words.to = puppet_spawn(&record, 8);
	for (size_t i = 0; i < rounds; i++) {
		rota_id a = puppet_spawn(NULL, 1);

		ACTS(a, act_last_words, &words);
		cr_assert_eq(rota_join(a, PATIENCE, NULL), 0);
		cr_assert_eq(words.result, 0);
		cr_assert_eq(send_value(words.to, 2, 2), 0);
	}
	quiesce();
	cr_assert_eq(tally_of(&record.n), 2 * rounds);
	for (size_t i = 0; i < 2 * rounds; i++)
		cr_assert_eq(record.note[i].value, 1 + i % 2, "note %zu", i);
	engine_stop();
}

/* A reaches C through a chain of actors that pass it on. */
struct link {
	rota_id next;
	unsigned tag; /* what the next one is to see */
};

static int link_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct link *link = state;

	(void)tag;
	return rota_send(link->next, link->tag, payload, length);
}

static const struct rota_behaviour link_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "link",
	.state_size = sizeof(struct link),
	.handle = link_handle,
};

Test(order, is_causal_along_a_chain, .timeout = HANG)
{
	static struct bee bee;
	struct bee *bee_state = &bee;
	struct ay ay = {.end = SIZED(5000, 1000)};
	struct link link;
	rota_id a;

	engine_start(4);
	ay.b = spawn(&bee_behaviour, &bee_state, 8);
	link = (struct link){ay.b, FROM_C};
	for (int i = 0; i < 20; i++) {
		link.next = spawn(&link_behaviour, &link, 2);
		link.tag = GO;
	}
	ay.c = link.next;
	a = puppet_spawn(NULL, 0);
	ACTS(a, act_tell, &ay);
	quiesce();
	cr_assert_eq(ay.failed, 0);
	judge(&bee, ay.end);
	cr_assert_eq(bee.c, ay.end);
	engine_stop();
}

/* ---- first in first out, many senders ---- */

#define SENDERS 16

struct funnel {
	uint64_t next[SENDERS];
	size_t n;
	size_t gaps;
};

static int funnel_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct funnel *funnel = *(struct funnel **)state;

	if (value_at(payload, length) != funnel->next[tag]++)
		funnel->gaps++;
	funnel->n++;
	return 0;
}

static const struct rota_behaviour funnel_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "funnel",
	.state_size = sizeof(struct funnel *),
	.handle = funnel_handle,
};

struct source {
	rota_id to;
	unsigned tag;
	uint64_t n;
	size_t failed;
};

static int act_pour(void *arg)
{
	struct source *source = arg;

	for (uint64_t i = 0; i < source->n; i++)
		if (send_value(source->to, source->tag, i))
			source->failed++;
	return 0;
}

static void *thread_pour(void *arg)
{
	act_pour(arg);
	return NULL;
}

/* Half of the senders are threads. */
static void pour(unsigned workers, unsigned capacity)
{
	static struct funnel funnel;
	struct funnel *state = &funnel;
	struct source source[SENDERS];
	pthread_t thread[SENDERS];
	uint64_t n = SIZED(5000, 600);
	rota_id to;

	engine_start(workers);
	to = spawn(&funnel_behaviour, &state, capacity);
	for (unsigned i = 0; i < SENDERS; i++) {
		source[i] = (struct source){to, i, n, 0};
		if (i % 2)
			thread[i] = thread_start(thread_pour, &source[i]);
		else
			ACTS(puppet_spawn(NULL, 0), act_pour, &source[i]);
	}
	for (unsigned i = 1; i < SENDERS; i += 2)
		thread_join(thread[i]);
	quiesce();
	cr_assert_eq(funnel.n, SENDERS * n);
	cr_assert_eq(funnel.gaps, 0);
	for (unsigned i = 0; i < SENDERS; i++)
		cr_assert_eq(source[i].failed, 0);
	engine_stop();
}

Test(order, is_kept_per_sender_1_worker, .timeout = HANG)
{
	pour(1, 64);
}

Test(order, is_kept_per_sender_2_workers, .timeout = HANG)
{
	pour(2, 64);
}

Test(order, is_kept_per_sender_64_workers, .timeout = HANG)
{
	pour(64, 64);
}

Test(order, is_kept_per_sender_to_a_full_receiver, .timeout = HANG)
{
	pour(2, 1);
}

Test(order, is_kept_per_sender_to_a_large_mailbox, .timeout = HANG)
{
	pour(2, ROTA_MAX_MAILBOX);
}

/* Waiting with a deadline keeps the order of what gets in. */
Test(order, is_kept_where_waits_time_out, .timeout = HANG)
{
	static struct record record;
	struct hold hold = {0};
	struct sending s;
	rota_id id;

	engine_start(2);
	id = puppet_spawn(&record, 2);
	for (uint64_t i = 0; i < 30; i++) {
		hold = (struct hold){0};
		hold_start(&hold, id);
		cr_assert_eq(send_value(id, 1, i), 0);
		s = sending_to(id, 2, i);
		s.within = ROTA_US(100);
		act_sending(&s);
		cr_assert_eq(s.result, -ETIMEDOUT);
		hold_end(&hold);
		quiesce();
	}
	cr_assert_eq(tally_of(&record.n), 30);
	for (uint64_t i = 0; i < 30; i++) {
		cr_assert_eq(record.note[i].tag, 1);
		cr_assert_eq(record.note[i].value, i);
	}
	engine_stop();
}
