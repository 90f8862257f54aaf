/* SPDX-License-Identifier: MIT */
/*
 * The capture of a cast is of another type than its function's.
 *
 * expect-c: incompatible pointer type
 *
 * expect-c++: cannot convert .slot\*. to .const entry\*.|no matching function for call to .map_cast_put.
 */
#include <rota/rota.h>

struct map {
	long value;
};

struct entry {
	long value;
};

struct slot {
	long value;
};

ROTA_CELL(map, struct map, NULL);

static int put(struct map *map, const struct entry *e)
{
	map->value = e->value;
	return 0;
}

ROTA_CELL_FN(map, put, struct entry);

#ifdef FIXED
#define CAPTURE struct entry
#else
#define CAPTURE struct slot
#endif

int use(map_cell *cell);
int use(map_cell *cell)
{
	CAPTURE capture = {1};

	return map_cast_put(cell, &capture);
}
