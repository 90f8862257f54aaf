/* SPDX-License-Identifier: MIT */
/*
 * map - an object that threads and actors share, and no actor in sight
 *
 * A map from names to numbers, with a small interface: new, share, free, add,
 * get, size. Whoever uses it needs no lock and does not know that there is an
 * actor inside. Threads and actors count fruit in it at the same time; what it
 * holds in the end must be what all of them have brought. They do so twice: in a
 * map that the engine's workers run, and in one on a thread of its own.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rota/rota.h>

/* ---- the map, as others see it: this could be map.h ---- */

/*
 * One of its owners. All calls return 0 or an error of rota's; map_get() also
 * ENOENT. map_add() does not wait for the map, but for room if it is far behind.
 */
typedef struct map_cell map;

static map *map_new(rota_engine *engine);
static map *map_new_on_thread(rota_engine *engine); /* one of its own */
static map *map_share(map *m);
static void map_free(map *m); /* the last owner's ends the map */
static int map_add(map *m, const char *name, long by);
static int map_get(map *m, const char *name, long *value);
static int map_size(map *m, size_t *size);

/* ---- the map, inside: this could be map.c ---- */

enum { BUCKETS = 64, NAME = 23 };

struct entry {
	struct entry *next;
	char *name;
	long value;
};

struct map_state {
	struct entry *bucket[BUCKETS];
	size_t size;
};

static struct entry **find(struct map_state *m, const char *name)
{
	unsigned long hash = 5381;
	struct entry **place;

	for (const char *c = name; *c; c++)
		hash = hash * 33 + (unsigned char)*c;
	place = &m->bucket[hash % BUCKETS];
	while (*place && strcmp((*place)->name, name) != 0)
		place = &(*place)->next;
	return place;
}

static void map_fini(struct map_state *m)
{
	for (size_t i = 0; i < BUCKETS; i++)
		while (m->bucket[i]) {
			struct entry *entry = m->bucket[i];

			m->bucket[i] = entry->next;
			free(entry->name);
			free(entry);
		}
}

/* The cell. Where it runs, map_new() and map_new_on_thread() say. */
ROTA_CELL(map, struct map_state, map_fini);

/* A name of malloc's travels, and is freed wherever it ends. */
struct add {
	char *name;
	long by;
};

static void add_drop(struct add *add)
{
	free(add->name);
}

static int add_to(struct map_state *m, struct add *add)
{
	struct entry **place = find(m, add->name);

	if (!*place) {
		*place = calloc(1, sizeof(**place));
		if (!*place)
			return -ENOMEM;
		(*place)->name = add->name;
		rota_keep(); /* the name is the map's */
		m->size++;
	}
	(*place)->value += add->by;
	return 0;
}

ROTA_CELL_OWN(map, add_to, struct add, add_drop);

/* Copied, name and all: who calls may have gone before this runs. */
struct get {
	char name[NAME + 1];
	long value;
};

static int get_from(struct map_state *m, struct get *get)
{
	struct entry **place = find(m, get->name);

	if (!*place)
		return ENOENT;
	get->value = (*place)->value;
	return 0;
}

ROTA_CELL_FN(map, get_from, struct get);

static int count(struct map_state *m, size_t *size)
{
	*size = m->size;
	return 0;
}

ROTA_CELL_FN(map, count, size_t);

static map *map_new(rota_engine *engine)
{
	struct map_state empty = {.size = 0};

	return map_make(engine, &empty, NULL);
}

/* The same, but for the options: for a map whose functions block, or which uses
   a library that is bound to a thread. */
static map *map_new_on_thread(rota_engine *engine)
{
	struct map_state empty = {.size = 0};
	struct rota_spawn_options options = ROTA_SPAWN_INIT;

	options.flags = ROTA_OWN_THREAD;
	return map_make(engine, &empty, &options);
}

static map *map_share(map *m)
{
	return map_retain(m);
}

static void map_free(map *m)
{
	map_release(m);
}

static int map_add(map *m, const char *name, long by)
{
	struct add add = {strdup(name), by};
	int error;

	if (!add.name)
		return -ENOMEM;
	error = map_cast_add_to(m, &add);
	if (error)
		add_drop(&add); /* it is ours still */
	return error;
}

static int map_get(map *m, const char *name, long *value)
{
	struct get get = {.value = 0};
	int error;

	if (strlen(name) > NAME)
		return ENOENT;
	memcpy(get.name, name, strlen(name));
	error = map_call_get_from(m, &get, ROTA_S(60));
	if (error == 0)
		*value = get.value;
	return error;
}

static int map_size(map *m, size_t *size)
{
	return map_call_count(m, size, ROTA_S(60));
}

/* ---- its users ---- */

enum { THREADS = 4, ACTORS = 8, ROUNDS = 2000 };

static const char *const fruit[] = {"apple", "pear", "plum", "fig", "date"};
enum { FRUIT = 5 };

static int gather(map *m)
{
	int error = 0;

	for (long i = 0; i < ROUNDS && !error; i++)
		error = map_add(m, fruit[i % FRUIT], i % FRUIT + 1);
	return error;
}

/* A thread. */
static void *farmer(void *argument)
{
	map *m = argument;
	int error = gather(m);

	map_free(m);
	return error ? m : NULL;
}

/* An actor, which owns the map while it lives. */
#define PICKER(M, p) M(p, SEND, go, void)
ROTA_PROTOCOL(picker, PICKER);

struct picker {
	map *m;
};

static int picker_on_go(struct picker *picker)
{
	long apples;
	int error = gather(picker->m);

	if (!error) /* the turn waits, its worker does not */
		error = map_get(picker->m, "apple", &apples);
	return error ? -abs(error) : rota_self_stop(0);
}

static void picker_fini(struct picker *picker)
{
	map_free(picker->m);
}

ROTA_HOOKS(picker, .destroy = picker_fini);
ROTA_BEHAVIOUR(picker, picker, PICKER, &picker_hooks);

static int show(map *m)
{
	long value, expected, bad = 0;
	size_t size = 0;

	for (long i = 0; i < FRUIT; i++) {
		expected = (i + 1) * (THREADS + ACTORS) * ROUNDS / FRUIT;
		if (map_get(m, fruit[i], &value) != 0)
			return -1;
		printf("%s: %ld\n", fruit[i], value);
		bad += value != expected;
	}
	if (map_get(m, "mango", &value) != ENOENT)
		bad++;
	if (map_size(m, &size) != 0 || size != FRUIT)
		bad++;
	return bad ? -1 : 0;
}

static int harvest(rota_engine *engine, map *m)
{
	pthread_t thread[THREADS];
	picker_id picker[ACTORS];
	struct rota_exit why;
	int failed = 0;
	void *result;

	for (int i = 0; i < ACTORS; i++) {
		struct picker p = {map_share(m)};

		picker[i] = picker_spawn(engine, &p, NULL);
		failed |= picker_go(picker[i]) != 0;
	}
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, farmer, map_share(m)) != 0)
			return 1;
	for (int i = 0; i < THREADS; i++) {
		pthread_join(thread[i], &result);
		failed |= result != NULL;
	}
	for (int i = 0; i < ACTORS; i++)
		failed |= rota_join(picker[i].id, ROTA_S(60), &why) != 0 ||
			  why.cause != ROTA_EXIT_NORMAL;
	failed |= show(m) != 0;
	map_free(m); /* the last: the map ends when it has done its work */
	return failed;
}

int main(void)
{
	rota_engine *engine = rota_start(NULL);
	map *shared, *apart;
	int failed;

	if (!engine || !(shared = map_new(engine)) ||
	    !(apart = map_new_on_thread(engine))) {
		perror("map");
		return 1;
	}
	failed = harvest(engine, shared);
	failed |= harvest(engine, apart);
	return rota_stop(engine, ROTA_S(10)) != 0 || failed;
}
