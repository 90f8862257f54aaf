/* SPDX-License-Identifier: MIT */
/*
 * ASK and READ with and without request and reply, and every call they make.
 */
#include <rota/rota.h>

struct request {
	int a;
};

struct reply {
	long b[3];
};

enum colour { RED, GREEN };

#define SERVICE(M, p)                                 \
	M(p, SEND, poke, struct request)              \
	M(p, ASK, both, struct request, struct reply) \
	M(p, ASK, request, struct request, void)      \
	M(p, ASK, neither, void, void)                \
	M(p, READ, reply, void, struct reply)         \
	M(p, READ, scalars, int, enum colour)         \
	M(p, READ, pointers, const char *, const char *)
ROTA_PROTOCOL(service, SERVICE);

struct service {
	long n;
};

static int service_on_poke(struct service *s, const struct request *m)
{
	s->n += m->a;
	return 0;
}

static int service_on_both(struct service *s, const struct request *m,
			   struct reply *reply)
{
	s->n += m->a;
	reply->b[0] = s->n;
	return 0;
}

static int service_on_request(struct service *s, const struct request *m)
{
	s->n -= m->a;
	return s->n < 0;
}

static int service_on_neither(struct service *s)
{
	rota_token token;

	s->n = 0;
	if (rota_reply_later(&token) != 0)
		return 1;
	return service_neither_reply(token) < 0 ? 1 : ROTA_LATER;
}

static int service_on_reply(const struct service *s, struct reply *reply)
{
	reply->b[1] = s->n;
	return 0;
}

static int service_on_scalars(const struct service *s, const int *m,
			      enum colour *reply)
{
	*reply = s->n > *m ? RED : GREEN;
	return 0;
}

static int service_on_pointers(const struct service *s, const char *const *m,
			       const char **reply)
{
	*reply = s->n ? *m : "";
	return 0;
}

ROTA_BEHAVIOUR(service, service, SERVICE, NULL);

int use(service_id id, rota_token token);
int use(service_id id, rota_token token)
{
	struct request m = {1};
	struct reply r;
	enum colour c;
	const char *s;
	struct rota_asking asking;
	rota_deadline d = rota_deadline_in(1);

	return service_poke(id, m) + service_both(id, m, &r, 1) +
	       service_both_ref(id, &m, &r, 1) +
	       service_both_urgent(id, m, &r, 1) +
	       service_both_ref_urgent(id, &m, &r, 1) +
	       service_both_start(id, m, &r, 1, &asking) +
	       service_both_then(id, m, 1, 2, NULL) +
	       service_both_until(id, m, &r, d) +
	       service_both_ref_until(id, &m, &r, d) +
	       service_both_start_until(id, m, &r, d, &asking) +
	       service_both_then_until(id, m, d, 2, NULL) +
	       service_both_forward(token, id, m, 1) +
	       service_both_reply(token, r) + service_request(id, m, 1) +
	       service_request_start(id, m, 1, &asking) +
	       service_request_reply(token) + service_neither(id, 1) +
	       service_neither_then(id, 1, 2, NULL) +
	       service_neither_until(id, d) +
	       service_reply(id, &r, ROTA_MS(100)) +
	       service_reply_reply(token, r) +
	       service_scalars(id, 3, &c, ROTA_FOREVER) +
	       service_pointers(id, "", &s, ROTA_S(1));
}
