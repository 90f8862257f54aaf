/* SPDX-License-Identifier: MIT */
/*
 * A function that was declared without a capture takes one.
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
#else
static int clear(struct map *map, struct map *more)
#endif
{
#ifndef FIXED
	(void)more;
#endif
	map->value = 0;
	return 0;
}

ROTA_CELL_FN(map, clear, void);
