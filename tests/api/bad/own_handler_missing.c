/* SPDX-License-Identifier: MIT */
/*
 * A moved payload has no handler.
 *
 * expect: struct sink needs, before ROTA_BEHAVIOUR, the handler int
 * sink_on_chunk(struct sink *self, struct chunk *m)
 */
#include <stdlib.h>

#include <rota/rota.h>

struct chunk {
	char *bytes;
};

struct slab {
	char *bytes;
};

static void chunk_drop(struct chunk *c)
{
	free(c);
}

#define SINK(M, p) M(p, OWN, chunk, struct chunk, chunk_drop)
ROTA_PROTOCOL(sink, SINK);

struct sink {
	int seen;
};

#ifdef FIXED
static int sink_on_chunk(struct sink *s, struct chunk *m)
{
	s->seen += m->bytes != NULL;
	return 0;
}
#endif

ROTA_BEHAVIOUR(sink, sink, SINK, NULL);
