/* SPDX-License-Identifier: MIT */
/*
 * The destructor is that of another type.
 *
 * expect-c: incompatible (function )?pointer type
 *
 * expect-c++: invalid conversion from|cannot initialize a variable of type
 */
#include <rota/rota.h>

struct map {
	long value;
};

struct set {
	long value;
};

#ifdef FIXED
static void map_fini(struct map *map)
#else
static void map_fini(struct set *map)
#endif
{
	map->value = 0;
}

ROTA_CELL(map, struct map, map_fini);
