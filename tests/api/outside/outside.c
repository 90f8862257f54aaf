/* SPDX-License-Identifier: MIT */
/*
 * outside - a program of somebody who has rota installed
 *
 * Its own names may be those that rota's sources use among themselves, also
 * where it is linked statically.
 */
#include <stdio.h>
#include <string.h>

#include <rota/rota.h>

int context_swap = 1;
int worker_current = 2;

int mailbox_push(void);
int stack_get(void);

int mailbox_push(void)
{
	return 3;
}

int stack_get(void)
{
	return 4;
}

struct counter_inc {
	int by;
};

#define COUNTER(M, p) M(p, SEND, inc, struct counter_inc)
ROTA_PROTOCOL(counter, COUNTER);

struct counter {
	long total;
};

static int counter_on_inc(struct counter *c, const struct counter_inc *m)
{
	c->total += m->by;
	return c->total == 10 ? rota_self_stop(10) : 0;
}

ROTA_BEHAVIOUR(counter, counter, COUNTER, NULL);

int main(void)
{
	rota_engine *engine = rota_start(NULL);
	counter_id id = counter_spawn(engine, NULL, NULL);
	struct rota_exit why = {.reason = -1};

	counter_inc(id, (struct counter_inc){context_swap});
	counter_inc(id, (struct counter_inc){worker_current});
	counter_inc(id, (struct counter_inc){mailbox_push()});
	counter_inc(id, (struct counter_inc){stack_get()});
	if (rota_join(id.id, ROTA_S(60), &why) != 0)
		fprintf(stderr, "nothing was counted\n");
	if (rota_stop(engine, ROTA_S(60)) != 0)
		fprintf(stderr, "the engine does not stop\n");
	puts(rota_version());
	return why.reason != 10 ||
	       strcmp(rota_version(), ROTA_VERSION_STRING) != 0;
}
