/* SPDX-License-Identifier: MIT */
/*
 * Closures and cells: every form, also with types that are no structs.
 */
#include <stdlib.h>

#include <rota/rota.h>

struct map {
	long *values;
	size_t n;
};

static void map_fini(struct map *map)
{
	free(map->values);
}

ROTA_CELL(map, struct map, map_fini);

struct entry {
	size_t key;
	long value;
};

static int put(struct map *map, const struct entry *e)
{
	if (e->key >= map->n)
		return 0;
	map->values[e->key] = e->value;
	return 0;
}

static int get(struct map *map, struct entry *e)
{
	if (e->key >= map->n)
		return ENOENT;
	e->value = map->values[e->key];
	return 0;
}

static int clear(struct map *map)
{
	map->n = 0;
	return 0;
}

struct text {
	char *bytes;
};

static void text_drop(struct text *text)
{
	free(text->bytes);
}

static int print(struct map *map, struct text *text)
{
	map->n += text->bytes != NULL;
	return 0;
}

ROTA_CELL_FN(map, put, struct entry);
ROTA_CELL_FN(map, get, struct entry);
ROTA_CELL_FN(map, clear, void);
ROTA_CELL_OWN(map, print, struct text, text_drop);

/* Two cells in a file, a number as state, a pointer as capture. */
ROTA_CELL(number, long, NULL);

static int set(long *number, const char *const *text)
{
	*number = **text;
	return 0;
}

ROTA_CELL_FN(number, set, const char *);

int use(rota_engine *engine, struct text *text);
int use(rota_engine *engine, struct text *text)
{
	struct map none = {NULL, 0};
	struct entry e = {1, 2};
	long zero = 0;
	const char *word = "word";
	map_cell *map = map_make(engine, &none, NULL);
	number_cell *number = number_make(engine, &zero, NULL);
	int sum = 0;

	sum += map_cast_put(map, &e);
	sum += map_try_cast_put(map, &e);
	sum += map_cast_put_within(map, &e, ROTA_MS(1));
	sum += map_cast_put_urgent(map, &e);
	sum += map_cast_put_until(map, &e, rota_deadline_in(1));
	sum += map_call_put(map, &e, ROTA_FOREVER);
	sum += map_call_put_until(map, &e, rota_deadline_in(1));
	sum += map_call_get(map, &e, ROTA_MS(1));

	sum += map_cast_clear(map);
	sum += map_try_cast_clear(map);
	sum += map_cast_clear_within(map, ROTA_MS(1));
	sum += map_cast_clear_urgent(map);
	sum += map_cast_clear_until(map, rota_deadline_in(1));
	sum += map_call_clear(map, ROTA_FOREVER);
	sum += map_call_clear_until(map, rota_deadline_in(1));

	sum += map_cast_print(map, text);
	sum += map_try_cast_print(map, text);
	sum += map_cast_print_within(map, text, ROTA_MS(1));
	sum += map_cast_print_urgent(map, text);
	sum += map_cast_print_until(map, text, rota_deadline_in(1));

	sum += number_cast_set(number, &word);
	number_release(number_retain(number));
	map_release(map);
	return sum + (map_id(map) == number_id(number));
}

/* ---- closures alone ---- */

static int add(void *state, void *capture)
{
	*(long *)state += *(long *)capture;
	return 0;
}

int cast_all(rota_id id, long *by, const long *constant);
int cast_all(rota_id id, long *by, const long *constant)
{
	long array[4] = {1, 2, 3, 4};
	int sum = 0;

	sum += rota_cast(id, add, by);
	sum += rota_cast(id, add, constant);
	sum += rota_cast(id, add, array);
	sum += rota_try_cast(id, add, by);
	sum += rota_cast_within(id, add, by, ROTA_MS(1));
	sum += rota_cast_urgent(id, add, by);
	sum += rota_cast_until(id, add, by, rota_deadline_in(1));
	sum += rota_call(id, add, by, ROTA_FOREVER);
	sum += rota_call_until(id, add, by, rota_deadline_in(1));
	return sum + rota_cast_bytes(id, add, NULL, 0, ROTA_NOW);
}
