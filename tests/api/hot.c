/* SPDX-License-Identifier: MIT */
/*
 * Compiled to assembly by ./run: the two functions below and the dispatch must
 * come out as two calls of rota_send() and nothing else that is called by name.
 */
#include <rota/rota.h>

struct hot_inc {
	long by;
};

#define HOT(M, p)                       \
	M(p, SEND, inc, struct hot_inc) \
	M(p, SEND, reset, void)         \
	M(p, SEND, set, long)
ROTA_PROTOCOL(hot, HOT);

struct hot {
	long total;
};

static int hot_on_inc(struct hot *self, const struct hot_inc *m)
{
	self->total += m->by;
	return 0;
}

static int hot_on_reset(struct hot *self)
{
	self->total = 0;
	return 0;
}

static int hot_on_set(struct hot *self, const long *m)
{
	self->total = *m;
	return 0;
}

int hot_send(hot_id id, struct hot_inc m);
int hot_send(hot_id id, struct hot_inc m)
{
	return hot_inc(id, m);
}

int hot_send_void(hot_id id);
int hot_send_void(hot_id id)
{
	return hot_reset(id);
}

/* ROTA_BEHAVIOUR() without TYPE_spawn(), whose call of rota_spawn() is cold. */
int hot_dispatch(void *state, unsigned tag, void *payload, size_t length);
ROTA__HANDLE_BEGIN(hot)
ROTA__CASES(hot, hot, HOT)
ROTA__HANDLE_END
int hot_dispatch(void *state, unsigned tag, void *payload, size_t length)
{
	return hot__handle(state, tag, payload, length);
}
