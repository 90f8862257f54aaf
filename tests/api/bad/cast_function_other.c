/* SPDX-License-Identifier: MIT */
/*
 * A closure's function takes something else than void *: it would be called as
 * what it is not. (Cells have typed functions.)
 *
 * expect-c: incompatible (function )?pointer type
 *
 * expect-c++: invalid conversion from|no matching function for call to .rota_cast_bytes.
 */
#include <rota/rota.h>

#ifdef FIXED
static int add(void *state, void *capture)
{
	*(long *)state += *(long *)capture;
	return 0;
}
#else
static int add(long *state, long *capture)
{
	*state += *capture;
	return 0;
}
#endif

int use(rota_id id, long *by);
int use(rota_id id, long *by)
{
	return rota_cast(id, add, by);
}
