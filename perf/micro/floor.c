/* SPDX-License-Identifier: MIT */
/*
 * floor - what a message costs at least, on this machine and with this mailbox
 *
 * An engine of one thread and a hundred lines: the mailbox word, peek, a
 * run-next slot, a ring, blocks from a free list. No ids, no waits, no signals,
 * no counters, no one who could steal or look: what the engine takes more is
 * what these cost. The scenarios of rota-bench, without mailboxes that get full.
 *
 * c, one load and CAS, does not say how fast a machine is at the rest of a
 * message; this does: compare a scenario's ns with the floor's of the same
 * machine. Lies if messages are lost: handlers count, and the count is checked.
 */
#include <stdlib.h>
#include <string.h>

#include "mailbox/lane.h"
#include "mailbox/mailbox.h"
#include "perf/micro/micro.h"

#define CAPACITY 64
#define RING 256 /* runnable actors at most; a power of two */

struct floor;

struct floor_actor {
	_Alignas(64) AO_t word;
	struct message *normal;
	void (*handle)(struct floor *floor, struct floor_actor *self,
		       struct message *message);
	struct floor_actor *peer;
	uint64_t n; /* messages handled */
};

struct floor {
	struct message *free;
	struct floor_actor *next; /* the run-next slot */
	struct floor_actor *ring[RING];
	unsigned head, tail;
	uint64_t left; /* messages still to be sent */
	uint64_t random;
	struct floor_actor *actors;
	unsigned n_actors;
};

static struct message *take_block(struct floor *floor)
{
	struct message *message = floor->free;

	if (unlikely(!message)) {
		message = aligned_alloc(64, sizeof(*message));
		micro_check(message != NULL);
		memset(message, 0, sizeof(*message));
		return message;
	}
	floor->free = message->next;
	return message;
}

static void put_block(struct floor *floor, struct message *message)
{
	message->next = floor->free;
	floor->free = message;
}

static void make_runnable(struct floor *floor, struct floor_actor *actor)
{
	if (likely(!floor->next))
		floor->next = actor;
	else
		floor->ring[floor->tail++ % RING] = actor;
}

static void tell(struct floor *floor, struct floor_actor *to, unsigned tag,
		 uint64_t value)
{
	struct message *message = take_block(floor);

	message_set(message, 1, tag, 0, sizeof(value));
	memcpy(message->payload, &value, sizeof(value));
	switch (mailbox_push(&to->word, message, CAPACITY, 0)) {
	case MAILBOX_AWAKENED:
		make_runnable(floor, to);
		break;
	case MAILBOX_PUSHED:
		break;
	default:
		micro_fail("a mailbox is full");
	}
}

static void run_batch(struct floor *floor, struct floor_actor *actor,
		      struct message *in_hand)
{
	struct message *urgent = NULL, *message;
	unsigned n = in_hand != NULL;
	bool has_urgent;

	lanes_fill(&actor->normal, &urgent,
		   mailbox_take(&actor->word, &has_urgent), false);
	if (in_hand) /* handled in place: it is the oldest of them */
		put_block(floor, lane_pop(&actor->normal));
	while ((message = lane_pop(&actor->normal)) != NULL) {
		actor->handle(floor, actor, message);
		put_block(floor, message);
		n++;
	}
	if (!mailbox_idle(&actor->word, n)) {
		mailbox_credit(&actor->word, n);
		floor->ring[floor->tail++ % RING] = actor;
	}
}

static void run_actor(struct floor *floor, struct floor_actor *actor)
{
	AO_t word = AO_load_acquire(&actor->word);
	struct message *message = mailbox_newest(word);

	if (message->next) {
		run_batch(floor, actor, NULL);
		return;
	}
	actor->handle(floor, actor, message);
	if (unlikely(!AO_compare_and_swap_full(
		    &actor->word, word,
		    (word - MAILBOX_ONE) &
			    ~(MAILBOX_POINTER | MAILBOX_SCHEDULED)))) {
		run_batch(floor, actor, message);
		return;
	}
	put_block(floor, message);
}

/* Until nothing is runnable. Everybody else waits for three from the slot at
   most. */
static void run_all(struct floor *floor)
{
	unsigned n_direct = 0;

	for (;;) {
		struct floor_actor *actor = floor->next;

		if (actor && (n_direct++ < 3 || floor->head == floor->tail)) {
			floor->next = NULL;
		} else {
			if (floor->head == floor->tail)
				return;
			actor = floor->ring[floor->head++ % RING];
			n_direct = 0;
		}
		run_actor(floor, actor);
	}
}

static void floor_begin(struct floor *floor, unsigned n, uint64_t messages,
			void (*handle)(struct floor *, struct floor_actor *,
				       struct message *))
{
	memset(floor, 0, sizeof(*floor));
	floor->left = messages;
	floor->random = 1;
	floor->n_actors = n;
	floor->actors = aligned_alloc(64, n * sizeof(struct floor_actor));
	micro_check(floor->actors != NULL);
	memset(floor->actors, 0, n * sizeof(struct floor_actor));
	for (unsigned i = 0; i < n; i++) {
		floor->actors[i].handle = handle;
		floor->actors[i].peer = &floor->actors[(i + 1) % n];
	}
}

static void floor_end(struct floor *floor, uint64_t messages)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < floor->n_actors; i++)
		n += floor->actors[i].n;
	micro_check(n == messages);
	free(floor->actors);
	while (floor->free)
		free(take_block(floor));
}

/* ---- scenarios */

static void pass_on(struct floor *floor, struct floor_actor *self,
		    struct message *message)
{
	uint64_t value;

	memcpy(&value, message->payload, sizeof(value));
	self->n++;
	if (--floor->left > 0)
		tell(floor, self->peer, 1, value + 1);
}

static void pass_around(struct micro_run *run, unsigned n)
{
	struct floor floor;

	floor_begin(&floor, n, run->n, pass_on);
	micro_start(run);
	tell(&floor, floor.actors, 1, 0);
	run_all(&floor);
	micro_stop(run, run->n);
	floor_end(&floor, run->n);
}

static void pingpong(struct micro_run *run)
{
	pass_around(run, 2);
}

static void ring(struct micro_run *run)
{
	pass_around(run, 200);
}

/* The first actor sends rounds of one message to each of the others; it may go
   on once before these have run. */
#define ROUNDS (CAPACITY / 2)

static void send_rounds(struct floor *floor, struct floor_actor *self,
			struct message *message)
{
	(void)message;
	self->n++;
	if (self != floor->actors)
		return;
	for (unsigned i = 0; i < ROUNDS && floor->left > 0; i++, floor->left--)
		for (unsigned k = 1; k < floor->n_actors; k++)
			tell(floor, &floor->actors[k], 1, i);
	if (floor->left > 0)
		tell(floor, self, 2, 0);
}

static void fanout(struct micro_run *run)
{
	uint64_t rounds = run->n / 60 + 1;
	uint64_t handled = rounds * 60 + (rounds + ROUNDS - 1) / ROUNDS;
	struct floor floor;

	floor_begin(&floor, 61, rounds, send_rounds);
	micro_start(run);
	tell(&floor, floor.actors, 2, 0);
	run_all(&floor);
	micro_stop(run, rounds * 60);
	floor_end(&floor, handled);
}

enum { PING, PONG };

/* Each has one ping under way, to an actor at random. */
static void answer(struct floor *floor, struct floor_actor *self,
		   struct message *message)
{
	uint64_t from, own = (uint64_t)(self - floor->actors);

	memcpy(&from, message->payload, sizeof(from));
	self->n++;
	if (message->tag == PING) {
		tell(floor, &floor->actors[from], PONG, own);
	} else if (floor->left > 0) {
		uint64_t to = measure_random(&floor->random) % floor->n_actors;

		floor->left--;
		tell(floor, &floor->actors[to], PING, own);
	}
}

static void big(struct micro_run *run)
{
	uint64_t pings = run->n / 2 + 60;
	struct floor floor;

	floor_begin(&floor, 60, pings - 60, answer);
	micro_start(run);
	for (unsigned i = 0; i < floor.n_actors; i++)
		tell(&floor, &floor.actors[i], PING, i);
	run_all(&floor);
	micro_stop(run, 2 * pings);
	floor_end(&floor, 2 * pings);
}

const struct micro micros_floor[] = {
	{"floor/pingpong", "the least engine: per message", 20000000, pingpong},
	{"floor/ring", "the same, 200 actors", 20000000, ring},
	{"floor/fanout", "one sends to 60 in turns", 20000000, fanout},
	{"floor/big", "60 actors, pings at random", 20000000, big},
	{NULL, NULL, 0, NULL},
};
