/* SPDX-License-Identifier: MIT */
/*
 * A pointer to another type is moved.
 *
 * expect-c: incompatible pointer type
 *
 * expect-c++: cannot convert .slab\*. to .chunk\*.|no matching function
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

int use(sink_id id, struct chunk *c, struct slab *s);
int use(sink_id id, struct chunk *c, struct slab *s)
{
	(void)c;
	(void)s;
#ifdef FIXED
	return sink_chunk(id, c);
#else
	return sink_chunk(id, s);
#endif
}
