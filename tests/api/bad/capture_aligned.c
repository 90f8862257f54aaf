/* SPDX-License-Identifier: MIT */
/*
 * A capture that needs more alignment than there is.
 *
 * expect: rota: a capture is aligned to 8 bytes
 */
#include <rota/rota.h>

struct wide {
#ifdef FIXED
	long value;
#else
	long value __attribute__((aligned(32)));
#endif
};

static int look(void *state, void *capture)
{
	return *(long *)state == ((struct wide *)capture)->value;
}

int use(rota_id id, struct wide *wide);
int use(rota_id id, struct wide *wide)
{
	return rota_cast(id, look, wide);
}
