/* SPDX-License-Identifier: MIT */
/*
 * receive - many processes that take now this tag, now that, with small
 * mailboxes and deadlines, fed by threads and by each other, moving or not;
 * none is lost, none comes twice or out of order, and all come to their end
 */
#include <rota/process.h>
#include <rota/wait.h>

#include "tests/unit/support.h"

#define PROCESSES SIZED(200, 40)
#define THREADS 3
#define TAGS 3
#define ROUNDS SIZED(4000, 600)

/* Of a thread, per process and tag: numbers that count up. */
struct item {
	uint32_t from;
	uint32_t number;
};

struct process {
	uint64_t random;
	struct tally *taken;
	struct tally *wrong;
	struct tally *ended;
	uint32_t next[THREADS][TAGS];
};

static void take(struct process *p, unsigned tag, const struct item *item)
{
	if (item->number != p->next[item->from][tag]++)
		tally_add(p->wrong, 1);
	tally_add(p->taken, 1);
}

static int receive_once(struct process *p)
{
	unsigned choice = (unsigned)(next_random(&p->random) % 8);
	struct rota_tags tags = rota_tags_of(choice % TAGS);
	bool hurries = choice >= 4;
	struct rota_received m;
	int error;

	error = rota_receive(choice == 7 ? NULL : &tags,
			     hurries ? ROTA_US(20) : ROTA_US(300), &m);
	if (error == 0)
		take(p, m.tag, m.payload);
	if (choice == 3)
		rota_yield();
	return error == -ETIMEDOUT ? 0 : error;
}

static int process_handle(void *state, unsigned tag, void *payload,
			  size_t length)
{
	struct process *p = *(struct process **)state;
	int error = 0;

	(void)length;
	take(p, tag, payload);
	while (next_random(&p->random) % 64 != 0 && error == 0)
		error = receive_once(p);
	if (error != 0 && error != -ECANCELED && error != -ESHUTDOWN)
		tally_add(p->wrong, 1);
	return 0;
}

static void process_destroy(void *state)
{
	tally_add((*(struct process **)state)->ended, 1);
}

static const struct rota_behaviour process_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "process",
	.state_size = sizeof(struct process *),
	.handle = process_handle,
	.destroy = process_destroy,
};

static rota_id ids[PROCESSES];

struct feeder {
	uint32_t number;
	uint64_t random;
	uint32_t sent[PROCESSES][TAGS];
};

static void *feed(void *arg)
{
	struct feeder *f = arg;

	for (int i = 0; i < ROUNDS; i++) {
		size_t to = next_random(&f->random) % PROCESSES;
		unsigned tag = (unsigned)(next_random(&f->random) % TAGS);
		struct item item = {f->number, f->sent[to][tag]++};

		if (rota_send(ids[to], tag, &item, sizeof(item)) != 0)
			return arg;
	}
	return NULL;
}

static void start_all(struct process *processes, struct tally *tallies)
{
	for (size_t i = 0; i < PROCESSES; i++) {
		struct rota_spawn_options options = ROTA_SPAWN_INIT;
		struct process *p = &processes[i];

		*p = (struct process){.random = i + 1,
				      .taken = &tallies[0],
				      .wrong = &tallies[1],
				      .ended = &tallies[2]};
		options.mailbox = (unsigned)(1 + i % 9);
		options.flags = i % 3 ? (unsigned)ROTA_ANYWHERE : 0;
		ids[i] = rota_spawn(engine, &process_behaviour, &p, &options);
		cr_assert_eq(rota_id_error(ids[i]), 0);
	}
}

static void run(unsigned workers)
{
	struct process *processes = calloc(PROCESSES, sizeof(*processes));
	struct feeder *feeders = calloc(THREADS, sizeof(*feeders));
	struct tally tallies[3] = {{0}};
	pthread_t threads[THREADS];

	engine_start(workers);
	start_all(processes, tallies);
	for (uint32_t i = 0; i < THREADS; i++) {
		feeders[i].number = i;
		feeders[i].random = i + 1;
		threads[i] = thread_start(feed, &feeders[i]);
	}
	for (size_t i = 0; i < THREADS; i++) {
		void *failed;

		cr_assert_eq(pthread_join(threads[i], &failed), 0);
		cr_assert_null(failed);
	}
	/* Half of them end by a stop in the middle of it, half by a drain. */
	AWAIT(tally_of(&tallies[0]) + PROCESSES * 10 >= THREADS * ROUNDS);
	for (size_t i = 0; i < PROCESSES; i++)
		cr_assert_eq(i % 2 ? rota_actor_stop(ids[i])
				   : rota_actor_drain(ids[i]),
			     0);
	for (size_t i = 0; i < PROCESSES; i++)
		cr_assert_eq(rota_join(ids[i], PATIENCE, NULL), 0);
	cr_assert_eq(tally_of(&tallies[1]), 0);
	cr_assert_eq(tally_of(&tallies[2]), PROCESSES);
	cr_assert_eq(tally_of(&tallies[0]) + n_dead(), THREADS * ROUNDS);
	engine_stop();
	memset(&morgue.n, 0, sizeof(morgue.n));
	free(processes);
	free(feeders);
}

Test(receive, none_is_lost_or_out_of_order, .timeout = STRESS)
{
	run(1);
	run(2);
	run(64);
}
