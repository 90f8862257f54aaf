/* SPDX-License-Identifier: MIT */
/*
 * host - an engine in a program that has a loop of its own, and no threads
 *
 * A server in miniature: its loop is a plain epoll, which watches a connection
 * and the engine's descriptor. What comes over the connection it sends to an
 * actor; that lets each line ripen for a moment, on a timer, and then answers.
 * (The client is in the same program, and in the same loop.)
 */
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rota/rota.h>

enum { LINES = 20, TURNS = 32 };

/* ---- the actor ---- */

struct answerer_line {
	char text[32];
};

#define ANSWERER(M, p)                         \
	M(p, SEND, line, struct answerer_line) \
	M(p, SEND, ripe, struct answerer_line)
ROTA_PROTOCOL(answerer, ANSWERER);

struct answerer {
	int connection;
};

static int answerer_on_line(struct answerer *a, const struct answerer_line *m)
{
	(void)a;
	/* As a message to itself: the actor is free meanwhile. */
	return rota_send_after(rota_self(), answerer_ripe_tag, m, sizeof(*m),
			       ROTA_MS(2), NULL);
}

static int answerer_on_ripe(struct answerer *a, const struct answerer_line *m)
{
	char answer[64];
	int length = snprintf(answer, sizeof(answer), "%s indeed\n", m->text);

	return write(a->connection, answer, (size_t)length) == length ? 0 : -1;
}

ROTA_BEHAVIOUR(answerer, answerer, ANSWERER, NULL);

/* ---- the host ---- */

struct host {
	rota_engine *engine;
	answerer_id answerer;
	int server, client; /* the two ends of the connection */
	int epoll;
	int n_asked, n_answered;
};

static int watch(struct host *host, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return fd < 0 ? fd : epoll_ctl(host->epoll, EPOLL_CTL_ADD, fd, &event);
}

static void ask(struct host *host)
{
	char line[32];
	int length = snprintf(line, sizeof(line), "line %d", host->n_asked++);

	if (write(host->client, line, (size_t)length) != length)
		perror("write");
}

static void on_line(struct host *host)
{
	struct answerer_line line = {{0}};

	if (read(host->server, line.text, sizeof(line.text) - 1) > 0)
		answerer_line(host->answerer, line);
}

static void on_answer(struct host *host)
{
	char answer[64];
	ssize_t length = read(host->client, answer, sizeof(answer));

	if (length <= 0)
		return;
	printf("%.*s", (int)length, answer);
	if (++host->n_answered < LINES)
		ask(host);
}

static int loop(struct host *host)
{
	struct epoll_event event;

	while (host->n_answered < LINES) {
		if (epoll_wait(host->epoll, &event, 1, 60000) != 1)
			return -1;
		if (event.data.fd == host->server)
			on_line(host);
		else if (event.data.fd == host->client)
			on_answer(host);
		else if (rota_run_some(host->engine, TURNS) < 0)
			return -1;
		/* Readable still, if there is more to be run: the others have
		   their turn in between. */
	}
	return 0;
}

static int start(struct host *host)
{
	struct rota_config config = ROTA_CONFIG_INIT;
	struct answerer answerer;
	int ends[2];

	config.flags = ROTA_RUN_HERE;
	host->engine = rota_start(&config);
	host->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!host->engine || host->epoll < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return -1;
	host->server = ends[0];
	host->client = ends[1];
	answerer.connection = host->server;
	host->answerer = answerer_spawn(host->engine, &answerer, NULL);
	return watch(host, host->server) | watch(host, host->client) |
	       watch(host, rota_run_fd(host->engine));
}

int main(void)
{
	struct host host = {.n_asked = 0};
	int error;

	if (start(&host) != 0) {
		perror("start");
		return 1;
	}
	ask(&host);
	error = loop(&host);
	close(host.epoll); /* before the engine's descriptor goes */
	if (rota_stop(host.engine, ROTA_S(10)) != 0)
		error = -1;
	close(host.server);
	close(host.client);
	return error != 0;
}
