/* SPDX-License-Identifier: MIT */
/*
 * The cell is one of another type.
 *
 * expect-c: incompatible pointer type
 *
 * expect-c++: cannot convert .set_cell\*.|no matching function for call to .map_cast_clear.
 */
#include <rota/rota.h>

struct map {
	long value;
};

ROTA_CELL(map, struct map, NULL);
ROTA_CELL(set, struct map, NULL);

static int clear(struct map *map)
{
	map->value = 0;
	return 0;
}

ROTA_CELL_FN(map, clear, void);

#ifdef FIXED
int use(map_cell *cell);
int use(map_cell *cell)
#else
int use(set_cell *cell);
int use(set_cell *cell)
#endif
{
	return map_cast_clear(cell);
}
