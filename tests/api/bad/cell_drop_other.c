/* SPDX-License-Identifier: MIT */
/*
 * The drop function is that of another type.
 *
 * expect-c: incompatible (function )?pointer type
 *
 * expect-c++: invalid conversion from|cannot initialize a variable of type
 */
#include <stdlib.h>

#include <rota/rota.h>

struct map {
	long value;
};

struct text {
	char *bytes;
};

ROTA_CELL(map, struct map, NULL);

static int print(struct map *map, struct text *text)
{
	map->value = text->bytes[0];
	return 0;
}

#ifdef FIXED
static void text_drop(struct text *text)
{
	free(text->bytes);
}
#else
static void text_drop(struct map *text)
{
	text->value = 0;
}
#endif

ROTA_CELL_OWN(map, print, struct text, text_drop);
