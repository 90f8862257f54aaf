/* SPDX-License-Identifier: MIT */
/*
 * process - actors that stash, put back, accept now these tags and now those,
 * and become each other, with small mailboxes that threads and actors keep
 * full: each message is handled once, and in order per sender and tag
 */
#include <rota/process.h>
#include <rota/wait.h>

#include "tests/unit/support.h"

#define CHOOSERS SIZED(24, 6)
#define MAX_CHOOSERS 24
#define THREADS 3
#define ACTORS 5
#define SENDERS (THREADS + ACTORS)
#define ROUNDS SIZED(12000, 500)
#define CAPACITY 8

/* Items have a tag below ITEMS; those of the last come urgently. FINISH is what
   a sender says to everybody in the end; TICK comes from a timer. */
enum { URGENT = 4, ITEMS, FINISH = ITEMS, TICK };

/* Numbers count up per sender, receiver and tag. */
struct item {
	uint32_t from;
	uint32_t number;
};

struct chooser {
	uint64_t random;
	unsigned n_finished; /* senders */
	unsigned aside;	     /* bit i: those of tag i are stashed */
	unsigned n_stashed;
	bool is_other;
	uint32_t next[SENDERS][ITEMS];
};

static struct tally n_taken, n_sent, n_stashed, n_wrong, n_changes;
static rota_id choosers[MAX_CHOOSERS];

static void expect_error(int error)
{
	if (error)
		tally_add(&n_wrong, 1);
}

static bool is_finished(const struct chooser *c)
{
	return c->n_finished == SENDERS;
}

static void accept_some(struct chooser *c)
{
	unsigned which = (unsigned)next_random(&c->random);
	struct rota_tags tags = rota_tags_of(FINISH);

	expect_error(rota_tags_add(&tags, TICK));
	for (unsigned tag = 0; tag < ITEMS; tag++)
		if (which >> tag & 1)
			expect_error(rota_tags_add(&tags, tag));
	expect_error(rota_accept(&tags));
}

/*
 * All that is aside comes back in front; what is put aside again is so in its
 * order, before what came later. So nothing overtakes what has its tag.
 */
static void choose(struct chooser *c)
{
	if (rota_unstash() != (int)c->n_stashed)
		tally_add(&n_wrong, 1);
	c->n_stashed = 0;
	c->aside = is_finished(c) ? 0 : (unsigned)next_random(&c->random);
	if (is_finished(c) || next_random(&c->random) % 2)
		expect_error(rota_accept(NULL));
	else
		accept_some(c);
	tally_add(&n_changes, 1);
}

static void put_aside(struct chooser *c)
{
	expect_error(rota_stash());
	c->n_stashed++;
	tally_add(&n_stashed, 1);
	if (c->n_stashed == CAPACITY - 1) /* one more is refused */
		choose(c);
}

static void take(struct chooser *c, unsigned tag, const struct item *item)
{
	if (item->number != c->next[item->from][tag]++)
		tally_add(&n_wrong, 1);
	tally_add(&n_taken, 1);
}

static const struct rota_behaviour behaviours[2];

static void change(struct chooser *c)
{
	switch (next_random(&c->random) % 64) {
	case 0:
	case 1:
	case 2:
		choose(c);
		break;
	case 3:
		c->is_other = !c->is_other;
		expect_error(rota_become(&behaviours[c->is_other]));
		break;
	case 4:
		rota_yield();
		break;
	}
}

static void arm(void)
{
	expect_error(rota_send_after(rota_self(), TICK, NULL, 0, ROTA_US(300),
				     NULL));
}

static int handle(struct chooser *c, unsigned tag, void *payload)
{
	switch (tag) {
	case FINISH:
		c->n_finished++;
		if (is_finished(c))
			choose(c);
		return 0;
	case TICK:
		choose(c); /* nobody may be able to send what it accepts */
		if (!is_finished(c))
			arm();
		return 0;
	}
	if (c->aside >> tag & 1)
		put_aside(c);
	else
		take(c, tag, payload);
	change(c);
	return 0;
}

/* Which of the two is called must be what was said last. */
static int one_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct chooser *c = state;

	(void)length;
	if (c->is_other)
		tally_add(&n_wrong, 1);
	return handle(c, tag, payload);
}

static int other_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct chooser *c = state;

	(void)length;
	if (!c->is_other)
		tally_add(&n_wrong, 1);
	return handle(c, tag, payload);
}

static const struct rota_behaviour behaviours[2] = {
	{
		.size = sizeof(struct rota_behaviour),
		.name = "one",
		.state_size = sizeof(struct chooser),
		.handle = one_handle,
	},
	{
		.size = sizeof(struct rota_behaviour),
		.name = "other",
		.state_size = sizeof(struct chooser),
		.handle = other_handle,
	},
};

/* ---- senders ---- */

struct sender {
	uint32_t number;
	uint32_t next[MAX_CHOOSERS][ITEMS];
};

static void send_one(struct sender *s, uint64_t *random)
{
	size_t to = next_random(random) % CHOOSERS;
	unsigned tag = (unsigned)(next_random(random) % ITEMS);
	struct item item = {s->number, s->next[to][tag]++};

	expect_error(tag == URGENT ? rota_send_urgent(choosers[to], tag, &item,
						      sizeof(item))
				   : rota_send(choosers[to], tag, &item,
					       sizeof(item)));
	tally_add(&n_sent, 1);
}

static int act_send_all(void *arg)
{
	struct sender *s = arg;
	uint64_t random = 88172645463325252 + s->number;

	for (size_t i = 0; i < ROUNDS; i++)
		send_one(s, &random);
	for (size_t i = 0; i < CHOOSERS; i++)
		expect_error(rota_send(choosers[i], FINISH, NULL, 0));
	return 0;
}

static void *thread_send_all(void *arg)
{
	act_send_all(arg);
	return NULL;
}

static void spawn_choosers(void)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;

	options.mailbox = CAPACITY;
	for (size_t i = 0; i < CHOOSERS; i++) {
		struct chooser c = {.random = 7 + i};

		options.flags = ROTA_TAKES_URGENT;
		if (i % 2)
			options.flags |= ROTA_ANYWHERE;
		choosers[i] = rota_spawn(engine, &behaviours[0], &c, &options);
		cr_assert_eq(rota_id_error(choosers[i]), 0);
		cr_assert_eq(rota_send(choosers[i], TICK, NULL, 0), 0);
	}
}

static void storm(unsigned workers)
{
	static struct sender senders[SENDERS];
	pthread_t thread[THREADS];

	n_taken = n_sent = n_stashed = n_changes = (struct tally){0};
	memset(senders, 0, sizeof(senders));
	engine_start(workers);
	spawn_choosers();
	for (uint32_t i = 0; i < SENDERS; i++)
		senders[i].number = i;
	for (size_t i = 0; i < THREADS; i++)
		thread[i] = thread_start(thread_send_all, &senders[i]);
	for (size_t i = THREADS; i < SENDERS; i++)
		ACTS(puppet_spawn(NULL, 0), act_send_all, &senders[i]);
	for (size_t i = 0; i < THREADS; i++)
		thread_join(thread[i]);
	quiesce();
	cr_assert_eq(tally_of(&n_sent), SENDERS * ROUNDS);
	cr_assert_eq(tally_of(&n_taken), SENDERS * ROUNDS);
	cr_assert_eq(tally_of(&n_wrong), 0);
	cr_assert_eq(n_dead(), 0);
	cr_assert_gt(tally_of(&n_stashed), 0);
	cr_assert_gt(tally_of(&n_changes), 0);
	engine_stop();
}

Test(process, nothing_is_lost_or_out_of_order, .timeout = STRESS)
{
	storm(2);
	storm(1);
	storm(4);
}
