/* SPDX-License-Identifier: MIT */
/*
 * senders - many senders, few receivers, full mailboxes
 *
 * Each message carries its sender's number and its place in what this sender
 * has sent to this receiver, so that a lost, doubled or reordered one shows.
 */
#include <rota/status.h>

#include "tests/unit/support.h"

#define THREADS 6
#define PUPPETS 26
#define SENDERS (THREADS + PUPPETS)
#define RECEIVERS 5

struct word {
	uint32_t sender;
	uint32_t place;
};

struct basin {
	uint32_t next[SENDERS];
	uint64_t n;
	uint64_t bad;
	char line[64]; /* basins do not share lines */
};

static int basin_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct basin *basin = *(struct basin **)state;
	struct word word, last;

	(void)tag;
	memcpy(&word, payload, sizeof(word));
	memcpy(&last, (char *)payload + length - sizeof(last), sizeof(last));
	if (length < sizeof(word) || word.sender >= SENDERS ||
	    word.place != basin->next[word.sender]++ ||
	    last.sender != word.sender || last.place != word.place)
		basin->bad++;
	basin->n++;
	return 0;
}

static const struct rota_behaviour basin_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "basin",
	.state_size = sizeof(struct basin *),
	.handle = basin_handle,
};

struct source {
	const rota_id *to;
	uint32_t sender;
	uint64_t n;
	uint64_t random;
	uint32_t sent[RECEIVERS];
	uint64_t refused;
	uint64_t failed;
};

/* One way of sending or another, and payloads of several sizes; whatever it is,
   it begins and ends with the word. */
static int pour_one(struct source *source, rota_id to, char *payload)
{
	uint64_t way = next_random(&source->random);
	size_t length = way % 64 == 0  ? 500
			: way % 8 == 0 ? 60
				       : sizeof(struct word);

	memmove(payload + length - sizeof(struct word), payload,
		sizeof(struct word));
	if (way >> 32 & 1)
		return rota_send(to, 1, payload, length);
	if (way >> 33 & 1)
		return rota_try_send(to, 1, payload, length);
	return rota_send_within(to, 1, payload, length,
				(int64_t)(way >> 34) % ROTA_US(200));
}

static int act_pour(void *arg)
{
	struct source *source = arg;
	union {
		struct word word;
		char bytes[512];
	} payload = {.bytes = {0}};

	for (uint64_t i = 0; i < source->n; i++) {
		size_t to = next_random(&source->random) % RECEIVERS;
		int error;

		payload.word.sender = source->sender;
		payload.word.place = source->sent[to];
		error = pour_one(source, source->to[to], payload.bytes);
		if (!error)
			source->sent[to]++;
		else if (error == -EAGAIN || error == -ETIMEDOUT)
			source->refused++;
		else
			source->failed++;
	}
	return 0;
}

static void *thread_pour(void *arg)
{
	act_pour(arg);
	return NULL;
}

static rota_id basin_spawn(struct basin *basin, unsigned capacity,
			   unsigned overflow)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	rota_id id;

	options.mailbox = capacity;
	options.overflow = overflow;
	id = rota_spawn(engine, &basin_behaviour, &basin, &options);
	cr_assert_eq(rota_id_error(id), 0);
	return id;
}

static void senders_with(unsigned workers, unsigned capacity, unsigned overflow,
			 uint64_t n)
{
	static struct basin basin[RECEIVERS];
	static struct source source[SENDERS];
	struct rota_status status = ROTA_STATUS_INIT;
	pthread_t thread[THREADS];
	rota_id to[RECEIVERS];
	uint64_t accepted = PUPPETS;

	engine_start(workers);
	for (size_t i = 0; i < RECEIVERS; i++)
		to[i] = basin_spawn(&basin[i], capacity, overflow);
	for (uint32_t i = 0; i < SENDERS; i++) {
		source[i] = (struct source){
			.to = to, .sender = i, .n = n, .random = i + 1};
		if (i < THREADS)
			thread[i] = thread_start(thread_pour, &source[i]);
		else
			ACTS(puppet_spawn(NULL, 1), act_pour, &source[i]);
	}
	for (size_t i = 0; i < THREADS; i++)
		thread_join(thread[i]);
	quiesce();
	for (size_t i = 0; i < RECEIVERS; i++) {
		uint64_t sent = 0;

		for (size_t j = 0; j < SENDERS; j++) {
			sent += source[j].sent[i];
			cr_assert_eq(basin[i].next[j], source[j].sent[i]);
		}
		cr_assert_eq(basin[i].bad, 0);
		cr_assert_eq(basin[i].n, sent);
		accepted += sent;
		cr_assert_eq(rota_status(to[i], &status), 0);
		cr_assert_eq(status.mailbox_length, 0);
	}
	for (size_t j = 0; j < SENDERS; j++)
		cr_assert_eq(source[j].failed, 0);
	expect_conserved(accepted);
	engine_stop();
	cr_assert_eq(n_dead(), 0);
}

static void senders(unsigned workers, unsigned capacity, uint64_t n)
{
	senders_with(workers, capacity, 0, n);
}

Test(senders, fill_mailboxes_of_capacity_1, .timeout = STRESS)
{
	senders(2, 1, check_stress(15000));
}

Test(senders, fill_mailboxes_of_capacity_3, .timeout = STRESS)
{
	senders(2, 3, check_stress(20000));
}

Test(senders, fill_mailboxes_of_capacity_64, .timeout = STRESS)
{
	senders(2, 64, check_stress(30000));
}

Test(senders, fill_mailboxes_on_one_worker, .timeout = STRESS)
{
	senders(1, 8, check_stress(20000));
}

Test(senders, fill_mailboxes_on_64_workers, .timeout = STRESS)
{
	senders(64, 8, check_stress(15000));
}

/* Sometimes there is room beyond the capacity, sometimes not. */
Test(senders, fill_mailboxes_and_more, .timeout = STRESS)
{
	senders_with(2, 3, 5, check_stress(15000));
}

Test(senders, never_fill_a_mailbox_without_bound, .timeout = STRESS)
{
	senders_with(2, 3, ROTA_UNBOUNDED, check_stress(15000));
}
