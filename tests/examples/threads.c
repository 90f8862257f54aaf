/* SPDX-License-Identifier: MIT */
/*
 * threads - threads that are not the engine's send, spawn, wait and join
 *
 * Four clients withdraw from one account until it is empty, each in a thread of
 * its own. A client spawns a mailman actor and waits for the answer by joining
 * it. What was paid out must be what was there, whoever got it.
 */
#include <pthread.h>
#include <stdio.h>

#include <rota/rota.h>

enum { CLIENTS = 4, FUNDS = 20000, STEP = 7 };

struct mail_money {
	int amount;
};

#define MAIL(M, p) M(p, SEND, money, struct mail_money)
ROTA_PROTOCOL(mail, MAIL);

struct account_withdraw {
	int amount;
	mail_id to;
};

#define ACCOUNT(M, p) M(p, SEND, withdraw, struct account_withdraw)
ROTA_PROTOCOL(account, ACCOUNT);

/* ---- account ---- */

struct account {
	int funds;
};

static int account_on_withdraw(struct account *a,
			       const struct account_withdraw *m)
{
	int amount = m->amount < a->funds ? m->amount : a->funds;

	a->funds -= amount;
	return mail_money(m->to, (struct mail_money){amount});
}

ROTA_BEHAVIOUR(account, account, ACCOUNT, NULL);

/* ---- mailman: ends with the amount as its reason ---- */

struct mailman {
	int unused;
};

static int mailman_on_money(struct mailman *self, const struct mail_money *m)
{
	(void)self;
	return rota_self_stop(m->amount);
}

ROTA_BEHAVIOUR(mailman, mail, MAIL, NULL);

/* ---- client, a thread ---- */

struct client {
	pthread_t thread;
	rota_engine *engine;
	account_id account;
	long got;
	int error;
};

/* One withdrawal; what came is in *amount. */
static int withdraw(struct client *c, int *amount)
{
	mail_id mailman = mailman_spawn(c->engine, NULL, NULL);
	struct account_withdraw order = {STEP, mailman};
	struct rota_exit why = {.reason = -1};
	int error = account_withdraw(c->account, order);

	if (error == 0)
		error = rota_join(mailman.id, ROTA_S(60), &why);
	*amount = why.reason;
	return error;
}

static void *client_main(void *argument)
{
	struct client *c = argument;
	int amount;

	do {
		c->error = withdraw(c, &amount);
		c->got += amount;
	} while (c->error == 0 && amount > 0);
	return NULL;
}

int main(void)
{
	rota_engine *engine = rota_start(NULL);
	struct client client[CLIENTS] = {0};
	struct account funds = {FUNDS};
	account_id account;
	long paid = 0;
	int failed = 0;

	if (engine == NULL) {
		perror("rota_start");
		return 1;
	}
	account = account_spawn(engine, &funds, NULL);
	for (int i = 0; i < CLIENTS; i++) {
		client[i].engine = engine;
		client[i].account = account;
		if (pthread_create(&client[i].thread, NULL, client_main,
				   &client[i]) != 0)
			return 1;
	}
	for (int i = 0; i < CLIENTS; i++) {
		pthread_join(client[i].thread, NULL);
		printf("client %d got %ld\n", i, client[i].got);
		if (client[i].error != 0) {
			fprintf(stderr, "client %d: %s\n", i,
				rota_strerror(client[i].error));
			failed = 1;
		}
		paid += client[i].got;
	}
	printf("%ld of %d paid out\n", paid, FUNDS);
	return rota_stop(engine, ROTA_S(10)) != 0 || failed || paid != FUNDS;
}
