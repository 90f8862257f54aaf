/* SPDX-License-Identifier: MIT */
/*
 * The cell is made with another state.
 *
 * expect-c: incompatible pointer type
 *
 * expect-c++: cannot convert .set\*. to .const map\*.|no matching function for call to .map_make.
 */
#include <rota/rota.h>

struct map {
	long value;
};

struct set {
	long value;
};

ROTA_CELL(map, struct map, NULL);

#ifdef FIXED
#define STATE struct map
#else
#define STATE struct set
#endif

map_cell *make(rota_engine *engine);
map_cell *make(rota_engine *engine)
{
	STATE state = {1};

	return map_make(engine, &state, NULL);
}
