/* SPDX-License-Identifier: MIT */
/*
 * The function takes another capture than the one it is declared with.
 *
 * expect: rota: a function of the cell map with this capture is int put(its state *, struct entry *)
 */
#include <rota/rota.h>

struct map {
	long value;
};

struct entry {
	long value;
};

ROTA_CELL(map, struct map, NULL);

#ifdef FIXED
static int put(struct map *map, struct entry *e)
#else
static int put(struct map *map, struct map *e)
#endif
{
	map->value = e->value;
	return 0;
}

ROTA_CELL_FN(map, put, struct entry);
