/* SPDX-License-Identifier: MIT */
/*
 * counter - the first program: a protocol, a type, some messages
 *
 * A counter counts, and main() asks it. Asked to report, it tells a clerk, who
 * stops with what he was told.
 */
#include <stdio.h>

#include <rota/rota.h>

/* The clerk's protocol comes first: the counter's messages name its ids. */
struct clerk_total {
	long total;
};

#define CLERK(M, p) M(p, SEND, total, struct clerk_total)
ROTA_PROTOCOL(clerk, CLERK);

struct counter_inc {
	int by;
};

struct counter_report {
	clerk_id to;
};

#define COUNTER(M, p)                       \
	M(p, SEND, inc, struct counter_inc) \
	M(p, SEND, reset, void)             \
	M(p, READ, get, void, long)         \
	M(p, SEND, report, struct counter_report)
ROTA_PROTOCOL(counter, COUNTER);

/* ---- counter ---- */

struct counter {
	long total;
};

static int counter_on_inc(struct counter *c, const struct counter_inc *m)
{
	c->total += m->by;
	return 0;
}

static int counter_on_reset(struct counter *c)
{
	c->total = 0;
	return 0;
}

static int counter_on_get(const struct counter *c, long *reply)
{
	*reply = c->total;
	return 0;
}

static int counter_on_report(struct counter *c, const struct counter_report *m)
{
	return clerk_total(m->to, (struct clerk_total){.total = c->total});
}

ROTA_BEHAVIOUR(counter, counter, COUNTER, NULL);

/* ---- clerk ---- */

struct clerk {
	const char *name;
};

static int clerk_on_total(struct clerk *c, const struct clerk_total *m)
{
	printf("%s: the total is %ld\n", c->name, m->total);
	return rota_self_stop((int)m->total);
}

ROTA_BEHAVIOUR(clerk, clerk, CLERK, NULL);

int main(void)
{
	rota_engine *engine = rota_start(NULL);
	counter_id counter;
	clerk_id clerk;
	struct rota_exit why = {.reason = -1};
	long total = 0;
	int error;

	if (engine == NULL) {
		perror("rota_start");
		return 1;
	}
	counter = counter_spawn(engine, &(struct counter){.total = 0}, NULL);
	clerk = clerk_spawn(engine, &(struct clerk){.name = "clerk"}, NULL);

	counter_inc(counter, (struct counter_inc){.by = 1000});
	counter_reset(counter);
	for (int i = 1; i <= 1000; i++)
		counter_inc(counter, (struct counter_inc){.by = i});
	error = counter_get(counter, &total, ROTA_S(10));
	if (error != 0 || total != 500500)
		fprintf(stderr, "the counter: %ld, %s\n", total,
			rota_strerror(error));
	counter_report(counter, (struct counter_report){.to = clerk});

	if (rota_join(clerk.id, ROTA_S(10), &why) != 0)
		fprintf(stderr, "the clerk was told nothing\n");
	if (rota_stop(engine, ROTA_S(10)) != 0)
		return 1;
	return total != 500500 || why.cause != ROTA_EXIT_NORMAL ||
	       why.reason != 500500;
}
