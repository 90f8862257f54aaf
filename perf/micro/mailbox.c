/* SPDX-License-Identifier: MIT */
/*
 * mailbox - push, take and go idle, without actors and without scheduling
 *
 * Messages are made beforehand and used again and again. alone: one message at
 * a time, three read-modify-writes (the turn's peek saves one of them; that is
 * part of core). batch: 32 pushes, one take, one idle. threads: two threads
 * push, this one takes. Lies if messages are lost or come out of order: the
 * consumer checks the sequence of each sender.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "mailbox/lane.h"
#include "mailbox/mailbox.h"
#include "perf/micro/micro.h"

#define CAPACITY 64
#define BATCH 32
#define SENDERS 2

/* Blocks as the pools give them out: of 64 bytes, aligned to 64. */
static struct message *messages_make(size_t n)
{
	struct message *messages =
		aligned_alloc(64, n * sizeof(struct message));

	micro_check(messages != NULL);
	memset(messages, 0, n * sizeof(struct message));
	return messages;
}

static void alone(struct micro_run *run)
{
	static AO_t word;
	struct message *message = messages_make(1);

	word = 0;
	micro_start(run);
	for (uint64_t i = 0; i < run->n; i++) {
		micro_check(mailbox_push(&word, message, CAPACITY, 0) ==
			    MAILBOX_AWAKENED);
		micro_check(mailbox_take(&word, &(bool){false}) == message);
		micro_check(mailbox_idle(&word, 1));
	}
	micro_stop(run, run->n);
	free(message);
}

static void push_batch(AO_t *word, struct message *messages)
{
	for (unsigned i = 0; i < BATCH; i++) {
		enum mailbox_push pushed =
			mailbox_push(word, &messages[i], CAPACITY, 0);

		micro_check(pushed ==
			    (i == 0 ? MAILBOX_AWAKENED : MAILBOX_PUSHED));
	}
}

static void batch(struct micro_run *run)
{
	static AO_t word;
	struct message *messages = messages_make(BATCH);
	uint64_t rounds = run->n / BATCH + 1;

	word = 0;
	micro_start(run);
	for (uint64_t r = 0; r < rounds; r++) {
		struct message *normal = NULL, *urgent = NULL;

		push_batch(&word, messages);
		lanes_fill(&normal, &urgent,
			   mailbox_take(&word, &(bool){false}), false);
		for (unsigned i = 0; i < BATCH; i++)
			micro_check(lane_pop(&normal) == &messages[i]);
		micro_check(mailbox_idle(&word, BATCH));
	}
	micro_stop(run, rounds * BATCH);
	free(messages);
}

/* ---- threads */

/*
 * Each sender has as many messages as it may have in the mailbox, and uses
 * them in turn: message i is free again when i + CAPACITY is let in, because
 * the consumer gives room back only after it has read what made it.
 */
struct sender {
	AO_t *word;
	struct message *messages;
	uint64_t n;
	uint16_t number;
};

static void *send_all(void *arg)
{
	struct sender *sender = arg;

	for (uint64_t i = 0; i < sender->n; i++) {
		struct message *message = &sender->messages[i % CAPACITY];
		enum mailbox_push pushed;

		/* Only once there is room is the block ours to write. */
		while (mailbox_count(AO_load_acquire(sender->word)) >=
		       CAPACITY - SENDERS)
			sched_yield();
		message->from = i;
		message->tag = sender->number;
		while ((pushed = mailbox_push(sender->word, message, CAPACITY,
					      0)) == MAILBOX_FULL)
			sched_yield();
		micro_check(pushed != MAILBOX_IS_CLOSED);
	}
	return NULL;
}

static void receive(AO_t *word, uint64_t *left, uint64_t *expected)
{
	struct message *normal = NULL, *urgent = NULL, *message;
	unsigned n = 0;

	lanes_fill(&normal, &urgent, mailbox_take(word, &(bool){false}), false);
	while ((message = lane_pop(&normal)) != NULL) {
		micro_check(message->from == expected[message->tag]);
		expected[message->tag]++;
		n++;
	}
	micro_check(n <= *left);
	*left -= n;
	if (n == 0)
		sched_yield();
	else
		mailbox_credit(word, n);
}

static void threads(struct micro_run *run)
{
	static AO_t word;
	struct sender senders[SENDERS];
	pthread_t ids[SENDERS];
	uint64_t each = run->n / SENDERS + 1, left = each * SENDERS;
	uint64_t expected[SENDERS] = {0};

	word = 0;
	micro_start(run);
	for (uint16_t i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){&word, messages_make(CAPACITY),
					     each, i};
		micro_check(pthread_create(&ids[i], NULL, send_all,
					   &senders[i]) == 0);
	}
	while (left > 0)
		receive(&word, &left, expected);
	micro_stop_threads(run, each * SENDERS);
	for (unsigned i = 0; i < SENDERS; i++) {
		pthread_join(ids[i], NULL);
		free(senders[i].messages);
	}
	micro_check(mailbox_count(word) == 0);
}

const struct micro micros_mailbox[] = {
	{"mailbox/alone", "push, take, idle: one message", 10000000, alone},
	{"mailbox/batch", "the same for 32: per message", 20000000, batch},
	{"mailbox/threads", "two threads push, one takes", 2000000, threads},
	{NULL, NULL, 0, NULL},
};
