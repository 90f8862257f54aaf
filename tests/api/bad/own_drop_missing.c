/* SPDX-License-Identifier: MIT */
/*
 * The drop function of a moved payload does not exist.
 *
 * expect-c: implicit declaration of function .chunk_drop.
 *
 * expect-c++: .chunk_drop. was not declared|undeclared identifier .chunk_drop.
 */
#include <stdlib.h>

#include <rota/rota.h>

struct chunk {
	char *bytes;
};

struct slab {
	char *bytes;
};

#ifdef FIXED
static void chunk_drop(struct chunk *c)
{
	free(c);
}
#endif

#define SINK(M, p) M(p, OWN, chunk, struct chunk, chunk_drop)
ROTA_PROTOCOL(sink, SINK);

struct sink {
	int seen;
};

static int sink_on_chunk(struct sink *s, struct chunk *m)
{
	s->seen += m->bytes != NULL;
	return 0;
}

ROTA_BEHAVIOUR(sink, sink, SINK, NULL);
