/* SPDX-License-Identifier: MIT */
/*
 * One type that speaks four protocols, two types that speak one, hooks, ids in
 * messages of the same and of a later protocol.
 */
#include <rota/rota.h>

ROTA_PROTOCOL_ID(ping);
ROTA_PROTOCOL_ID(pong);

struct ping_hit {
	pong_id from;
};

struct pong_back {
	ping_id from;
	pong_id next;
};

#define PING(M, p) M(p, SEND, hit, struct ping_hit)
#define PONG(M, p) M(p, SEND, back, struct pong_back) M(p, SEND, stop, void)
#define LIGHT(M, p) M(p, SEND, on, void) M(p, SEND, off, void)
#define SPARE(M, p) M(p, SEND, stop, void)
ROTA_PROTOCOL_CALLS(ping, PING);
ROTA_PROTOCOL_CALLS_NUMBERED(pong, PONG, 100);
ROTA_PROTOCOL(light, LIGHT);
ROTA_PROTOCOL_NUMBERED(spare, SPARE, 101);

struct player {
	int hits;
};

struct lamp {
	int on;
};

struct table {
	int stops;
};

/* What a header would say of the types. */
ROTA_SPAWN(player, ping);
ROTA_AS(player, ping, pong);
ROTA_SPAWN(lamp, light);
static ROTA_SPAWN(table, light);

static int player_on_hit(struct player *p, const struct ping_hit *m)
{
	struct pong_back back = {ping_of(rota_self()), m->from};

	p->hits++;
	return pong_back(m->from, back);
}

static int player_on_back(struct player *p, const struct pong_back *m)
{
	struct ping_hit hit = {pong_of(rota_self())};

	p->hits++;
	return ping_hit(m->from, hit);
}

static int player_on_stop(struct player *p)
{
	return rota_self_stop(p->hits);
}

static int player_on_on(struct player *p)
{
	p->hits++;
	return 0;
}

static int player_on_off(struct player *p)
{
	p->hits--;
	return 0;
}

static void player_fini(struct player *p)
{
	p->hits = 0;
}

#ifdef __cplusplus
ROTA_HOOKS(player, player_fini);
#else
ROTA_HOOKS(player, .destroy = player_fini);
#endif

/* Two protocols have a message stop of the same form: one handler does. */
ROTA_BEHAVIOUR_4(player, ping, PING, pong, PONG, light, LIGHT, spare, SPARE,
		 &player_hooks);

static int lamp_on_on(struct lamp *l)
{
	l->on = 1;
	return 0;
}

static int lamp_on_off(struct lamp *l)
{
	l->on = 0;
	return 0;
}

/* Hooks may also be made by hand. */
static void lamp_end(void *state)
{
	(void)state;
}

static const struct rota_hooks lamp_hooks = {sizeof(lamp_hooks), lamp_end};

ROTA_BEHAVIOUR(lamp, light, LIGHT, &lamp_hooks);

static int table_on_on(struct table *t)
{
	t->stops++;
	return 0;
}

static int table_on_off(struct table *t)
{
	t->stops++;
	return 0;
}

static int table_on_stop(struct table *t)
{
	t->stops++;
	return 0;
}

static int table_on_hit(struct table *t, const struct ping_hit *m)
{
	t->stops += m->from.id != rota_self();
	return 0;
}

ROTA_BEHAVIOUR_3(table, light, LIGHT, spare, SPARE, ping, PING, NULL);

int use(rota_engine *engine);
int use(rota_engine *engine)
{
	ping_id ping = player_spawn(engine, NULL, NULL);
	pong_id pong = player_as_pong(ping);
	light_id light = table_spawn(engine, NULL, NULL);
	struct ping_hit hit = {pong};

	return ping_hit(ping, hit) + light_on(player_as_light(ping)) +
	       spare_stop(table_as_spare(light)) +
	       light_off(lamp_spawn(engine, NULL, NULL)) +
	       spare_stop(player_as_spare(ping));
}

struct pair {
	int n;
};

static int pair_on_stop(struct pair *p)
{
	p->n++;
	return 0;
}

static int pair_on_on(struct pair *p)
{
	p->n++;
	return 0;
}

static int pair_on_off(struct pair *p)
{
	p->n++;
	return 0;
}

ROTA_BEHAVIOUR_2(pair, spare, SPARE, light, LIGHT, NULL);
