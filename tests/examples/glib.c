/* SPDX-License-Identifier: MIT */
/*
 * glib - an engine in the main loop of GLib, beside a source of GLib's
 *
 * A producer thread sends numbers to an actor that adds them up; the main loop
 * drives the engine, and an interval of its own goes on ticking beside it. When
 * the sum is complete the actor ends, and a look at it ends the loop.
 */
#include <stdio.h>

#ifndef HAVE_GLIB

int main(void)
{
	puts("GLib was not there when this was built");
	return 77; /* Meson: skipped */
}

#else

#include <glib-unix.h>
#include <glib.h>

#include <rota/rota.h>

enum { NUMBERS = 100000, TURNS = 64 };

struct adder_add {
	int number;
};

#define ADDER(M, p) M(p, SEND, add, struct adder_add)
ROTA_PROTOCOL(adder, ADDER);

struct adder {
	long *sum;
	int left;
};

static int adder_on_add(struct adder *a, const struct adder_add *m)
{
	*a->sum += m->number;
	return --a->left == 0 ? rota_self_stop(0) : 0;
}

ROTA_BEHAVIOUR(adder, adder, ADDER, NULL);

struct host {
	GMainLoop *loop;
	rota_engine *engine;
	adder_id adder;
	long sum;
	int n_ticks;
	int error;
};

/* Waits for room like any thread: it comes as the main loop drives. */
static gpointer produce(gpointer argument)
{
	struct host *host = argument;

	for (int i = 1; i <= NUMBERS; i++)
		if (adder_add(host->adder, (struct adder_add){i}) != 0)
			return argument;
	return NULL;
}

static gboolean on_ready(gint fd, GIOCondition condition, gpointer argument)
{
	struct host *host = argument;

	(void)fd;
	(void)condition;
	/* If there is more, the descriptor stays readable. */
	if (rota_run_some(host->engine, TURNS) < 0) {
		host->error = 1;
		g_main_loop_quit(host->loop);
	}
	return G_SOURCE_CONTINUE;
}

static gboolean on_tick(gpointer argument)
{
	struct host *host = argument;

	host->n_ticks++;
	if (!rota_is_alive(host->adder.id))
		g_main_loop_quit(host->loop);
	return G_SOURCE_CONTINUE;
}

static gboolean on_hang(gpointer argument)
{
	struct host *host = argument;

	host->error = 1;
	g_main_loop_quit(host->loop);
	return G_SOURCE_REMOVE;
}

static void run(struct host *host)
{
	guint engine = g_unix_fd_add(rota_run_fd(host->engine), G_IO_IN,
				     on_ready, host);
	guint tick = g_timeout_add(1, on_tick, host);
	guint hang = g_timeout_add_seconds(60, on_hang, host);

	g_main_loop_run(host->loop);
	g_source_remove(engine); /* before rota_stop() closes the descriptor */
	g_source_remove(tick);
	if (!host->error)
		g_source_remove(hang);
}

int main(void)
{
	struct host host = {.loop = g_main_loop_new(NULL, FALSE)};
	struct rota_config config = ROTA_CONFIG_INIT;
	struct adder adder = {&host.sum, NUMBERS};
	GThread *producer;
	long wanted = (long)NUMBERS * (NUMBERS + 1) / 2;

	config.flags = ROTA_RUN_HERE;
	host.engine = rota_start(&config);
	if (!host.engine) {
		perror("rota_start");
		return 1;
	}
	host.adder = adder_spawn(host.engine, &adder, NULL);
	producer = g_thread_new("producer", produce, &host);
	run(&host);
	if (host.error || g_thread_join(producer) ||
	    rota_stop(host.engine, ROTA_S(10)) != 0)
		return 1;
	printf("the sum is %ld, and GLib ticked %d times\n", host.sum,
	       host.n_ticks);
	g_main_loop_unref(host.loop);
	return host.sum != wanted || host.n_ticks == 0;
}

#endif
