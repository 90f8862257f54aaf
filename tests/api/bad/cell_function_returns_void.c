/* SPDX-License-Identifier: MIT */
/*
 * A function of a cell returns nothing.
 *
 * expect: rota: a function of the cell map without a capture is int clear(its state *)
 */
#include <rota/rota.h>

struct map {
	long value;
};

ROTA_CELL(map, struct map, NULL);

#ifdef FIXED
static int clear(struct map *map)
{
	map->value = 0;
	return 0;
}
#else
static void clear(struct map *map)
{
	map->value = 0;
}
#endif

ROTA_CELL_FN(map, clear, void);
