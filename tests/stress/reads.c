/* SPDX-License-Identifier: MIT */
/*
 * reads - tables that are read beside each other while others write
 *
 * Each table is two words that a write makes equal again after it has made them
 * differ for a while; and a count of those that are writing or reading. A query
 * that finds them different, or a writer in there, was beside a write. Actors
 * and threads write and read, all at once, and know what they wrote last: what
 * they read afterwards cannot be older. Some queries wait, some are given up,
 * some ask another table. In the end each write was done once.
 */
#include <rota/ask.h>
#include <rota/wait.h>

#include "tests/unit/support.h"

enum { WRITE = 1, READ, NEXT };

#define N_TABLES 3
#define N_CLIENTS SIZED(48, 8)
#define N_THREADS 2
#define N_STEPS SIZED(200, 40)

struct table {
	AO_t xfirst; /* relaxed: so that a reader that is wrong finds out, and
	                ThreadSanitizer looks at `plain` */
	AO_t xsecond;
	AO_t xreaders;
	uint64_t plain;
	uint64_t by[N_CLIENTS + N_THREADS]; /* last number that each wrote */
};

struct write {
	size_t client;
	uint64_t number;
};

struct query {
	size_t client;
	uint64_t seen; /* of its own writes */
	uint64_t random;
};

static rota_id tables[N_TABLES];
static struct tally n_wrong, n_writes, n_reads, n_given_up, n_done;
static struct tally n_beside; /* reads that have met another */
static struct tally n_begun, n_ended;
static AO_t xsum; /* of all writes, as tables end */

static void wrong(const char *what, int64_t value)
{
	fprintf(stderr, "# %s: %" PRId64 "\n", what, value);
	tally_add(&n_wrong, 1);
}

static void spend(size_t n)
{
	for (volatile size_t i = 0; i < n; i++)
		;
}

static int table_write(struct table *table, const struct write *write)
{
	if (AO_load(&table->xreaders))
		wrong("a write beside reads", (int64_t)write->number);
	AO_store(&table->xfirst, AO_load(&table->xfirst) + 1);
	spend(100);
	if (table->by[write->client] + 1 != write->number)
		wrong("out of order", (int64_t)write->number);
	table->by[write->client] = write->number;
	table->plain++;
	AO_store(&table->xsecond, AO_load(&table->xsecond) + 1);
	return 0;
}

/* What readers may be up to. */
static void read_on(uint64_t random)
{
	uint64_t value = 0;

	switch (random % 16) {
	case 0:
		rota_sleep(ROTA_US(50));
		break;
	case 1:
		rota_yield();
		break;
	case 2:
		/* Not in a circle: the last one asks nobody. */
		if (rota_self() != tables[N_TABLES - 1])
			rota_ask(tables[N_TABLES - 1], NEXT | ROTA_QUERY, NULL,
				 0, &value, sizeof(value), ROTA_MS(50));
		break;
	default:
		spend(1000 + random % 8000);
	}
}

static int table_read(struct table *table, const struct query *query)
{
	AO_t first = AO_load(&table->xfirst);
	uint64_t plain = table->plain;

	if (AO_fetch_and_add(&table->xreaders, 1) > 0)
		tally_add(&n_beside, 1);
	if (table->by[query->client] < query->seen)
		wrong("has not seen its own write", (int64_t)query->seen);
	read_on(query->random);
	if (AO_load(&table->xsecond) != first || table->plain != plain ||
	    plain != first)
		wrong("read beside a write", (int64_t)first);
	AO_fetch_and_add(&table->xreaders, (AO_t)-1);
	return rota_answer(0, &plain, sizeof(plain));
}

static int table_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct table *table = state;
	uint64_t value;

	(void)length;
	if (tag == WRITE)
		return table_write(table, payload);
	if (tag == READ)
		return table_read(table, payload);
	value = table->plain;
	return rota_answer(0, &value, sizeof(value));
}

static void table_destroy(void *state)
{
	struct table *table = state;

	if (AO_load(&table->xreaders))
		wrong("ended beside reads", 0);
	AO_fetch_and_add(&xsum, table->plain);
	tally_add(&n_ended, 1);
}

static const struct rota_behaviour table_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "table",
	.state_size = sizeof(struct table),
	.handle = table_handle,
	.destroy = table_destroy,
};

/* ---- clients ---- */

struct client {
	size_t number;
	uint64_t random;
	uint64_t written[N_TABLES];
};

static void write_one(struct client *client, size_t i)
{
	struct write write = {client->number, client->written[i] + 1};
	int error = rota_send(tables[i], WRITE, &write, sizeof(write));

	if (error) {
		wrong("write", error);
		return;
	}
	client->written[i]++;
	tally_add(&n_writes, 1);
}

static void read_some(struct client *client, size_t i)
{
	struct query query = {client->number, client->written[i],
			      next_random(&client->random)};
	bool gives_up = query.random % 32 == 5;
	uint64_t value = 0;
	int error = rota_ask(tables[i], READ | ROTA_QUERY, &query,
			     sizeof(query), &value, sizeof(value),
			     gives_up ? ROTA_US(20) : PATIENCE);

	if (error == 0)
		tally_add(&n_reads, 1);
	else if (error == -ETIMEDOUT && gives_up)
		tally_add(&n_given_up, 1);
	else
		wrong("read", error);
}

static void go_through(struct client *client)
{
	for (size_t step = 0; step < N_STEPS; step++) {
		size_t i = next_random(&client->random) % N_TABLES;

		if (next_random(&client->random) % 8 == 0)
			write_one(client, i);
		else
			read_some(client, i);
	}
	tally_add(&n_done, 1);
}

static int client_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	(void)tag;
	(void)payload;
	(void)length;
	go_through(state);
	return rota_self_stop(0);
}

static const struct rota_behaviour client_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "client",
	.state_size = sizeof(struct client),
	.handle = client_handle,
};

static struct client clients[N_CLIENTS + N_THREADS];

static void *thread_client(void *arg)
{
	go_through(arg);
	return NULL;
}

static void make_clients(void)
{
	for (size_t i = 0; i < N_CLIENTS + N_THREADS; i++)
		clients[i] = (struct client){
			.number = i,
			.random = UINT64_C(0x9e3779b97f4a7c15) * (i + 1)};
}

static void play(unsigned workers, unsigned mailbox)
{
	pthread_t thread[N_THREADS];

	make_clients();
	engine_start(workers);
	for (size_t i = 0; i < N_TABLES; i++)
		tables[i] = spawn(&table_behaviour, NULL, mailbox);
	for (size_t i = 0; i < N_CLIENTS; i++)
		cr_assert_eq(rota_send(spawn(&client_behaviour, &clients[i], 0),
				       WRITE, NULL, 0),
			     0);
	for (size_t i = 0; i < N_THREADS; i++)
		thread[i] =
			thread_start(thread_client, &clients[N_CLIENTS + i]);
	for (size_t i = 0; i < N_THREADS; i++)
		thread_join(thread[i]);
	AWAIT(tally_of(&n_done) == N_CLIENTS + N_THREADS);
	quiesce();
}

static void judge(unsigned workers)
{
	uint64_t queries = counters().queries;

	for (size_t i = 0; i < N_TABLES; i++)
		cr_assert_eq(rota_actor_drain(tables[i]), 0);
	quiesce();
	engine_stop();
	cr_assert_eq(tally_of(&n_wrong), 0);
	cr_assert_eq(tally_of(&n_ended), N_TABLES);
	cr_assert_eq(AO_load(&xsum), tally_of(&n_writes));
	cr_assert_eq(tally_of(&n_reads) + tally_of(&n_given_up) +
			     tally_of(&n_writes),
		     (size_t)(N_CLIENTS + N_THREADS) * N_STEPS);
	if (workers == 1) {
		cr_assert_eq(queries, 0);
		cr_assert_eq(tally_of(&n_beside), 0);
	} else {
		cr_assert_gt(queries, 0);
		cr_assert_gt(tally_of(&n_beside), 0);
	}
}

Test(reads, on_one_worker, .timeout = STRESS)
{
	play(1, 0);
	judge(1);
}

Test(reads, on_two_workers, .timeout = STRESS)
{
	play(2, 0);
	judge(2);
}

Test(reads, on_two_with_small_mailboxes, .timeout = STRESS)
{
	play(2, 3);
	judge(2);
}

Test(reads, on_sixteen_workers, .timeout = STRESS)
{
	play(16, 0);
	judge(16);
}

/* ---- stopped meanwhile ---- */

static int dying_handle(void *state, unsigned tag, void *payload, size_t length)
{
	struct table *table = state;
	uint64_t value = value_at(payload, length);

	(void)tag;
	tally_add(&n_begun, 1);
	read_on(value);
	return rota_answer(0, &table->plain, sizeof(table->plain));
}

static const struct rota_behaviour dying_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "dying",
	.state_size = sizeof(struct table),
	.handle = dying_handle,
	.destroy = table_destroy,
};

/* Asks whoever stands there now; it may be stopped at any time. */
static int doomed_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct client *client = state;

	(void)tag;
	(void)payload;
	(void)length;
	for (size_t step = 0; step < N_STEPS; step++) {
		uint64_t value = next_random(&client->random), reply;
		int error = rota_ask(AO_load((AO_t *)&tables[0]),
				     READ | ROTA_QUERY, &value, sizeof(value),
				     &reply, sizeof(reply), PATIENCE);

		if (error && error != -ESRCH && error != -ESHUTDOWN)
			wrong("ask", error);
	}
	tally_add(&n_done, 1);
	return rota_self_stop(0);
}

static const struct rota_behaviour doomed_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "doomed",
	.state_size = sizeof(struct client),
	.handle = doomed_handle,
};

static rota_id dying_spawn(void)
{
	return spawn(&dying_behaviour, NULL, 0);
}

Test(reads, tables_that_are_stopped, .timeout = STRESS)
{
	size_t n_tables = 1;

	make_clients();
	engine_start(2);
	tables[0] = dying_spawn();
	tables[N_TABLES - 1] = tables[0];
	for (size_t i = 0; i < N_CLIENTS; i++)
		cr_assert_eq(rota_send(spawn(&doomed_behaviour, &clients[i], 0),
				       WRITE, NULL, 0),
			     0);
	while (tally_of(&n_done) < N_CLIENTS) {
		rota_id old = tables[0];

		nap();
		AO_store((AO_t *)&tables[0], dying_spawn());
		if (n_tables++ % 2)
			rota_actor_stop(old);
		else
			rota_actor_drain(old);
	}
	rota_actor_stop(tables[0]);
	quiesce();
	cr_assert_gt(counters().queries, 0);
	engine_stop();
	cr_assert_eq(tally_of(&n_wrong), 0);
	cr_assert_eq(tally_of(&n_ended), n_tables);
}
