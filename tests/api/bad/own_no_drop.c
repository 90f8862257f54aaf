/* SPDX-License-Identifier: MIT */
/*
 * A moved payload's drop function is forgotten in the list.
 *
 * expect-re: requires 4 arguments, but only 3 given|too few arguments provided
 * to function-like macro
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

#ifdef FIXED
#define SINK(M, p) M(p, OWN, chunk, struct chunk, chunk_drop)
ROTA_PROTOCOL(sink, SINK);
#else
#define SINK(M, p) M(p, OWN, chunk, struct chunk)
ROTA_PROTOCOL(sink, SINK);
#endif
