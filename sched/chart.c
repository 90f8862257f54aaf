/* SPDX-License-Identifier: MIT */
/*
 * chart - writes a plan of places down as a tree
 *
 * Hardware that makes no difference to workers is left out: caches of one core,
 * and what is not a place, a cache or memory.
 */
#include "sched/chart.h"

#include <stdarg.h>
#include <stdio.h>

/* Text that goes on growing behind the end of its buffer, uncopied. */
struct text {
	char *buffer;
	size_t size;
	size_t length;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *text,
						      const char *format, ...)
{
	size_t used = text->length < text->size ? text->length : text->size;
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(used < text->size ? text->buffer + used : NULL,
		      text->size - used, format, arguments);
	va_end(arguments);
	text->length += n > 0 ? (size_t)n : 0;
}

const char *nearness_name(enum nearness near)
{
	static const char *const names[] = {"core", "cache", "node", "far"};

	return names[near];
}

/* ---- victims */

/* Numbers in a row, of which three or more are shortened: "4 7-9". */
static void put_numbers(struct text *text, const uint16_t *number, unsigned n)
{
	for (unsigned i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n; end++)
			if (number[end] != number[end - 1] + 1)
				break;
		if (end - i < 3)
			end = i + 1;
		put(text, " %u", number[i]);
		if (end - i > 1)
			put(text, "-%u", number[end - 1]);
	}
}

/* Those of a ring who are there from the beginning. */
static unsigned planned(const struct places *places, const uint16_t *victims,
			unsigned n, uint16_t *planned_victims)
{
	unsigned n_planned = 0;

	for (unsigned i = 0; i < n; i++)
		if (victims[i] < places->n_workers)
			planned_victims[n_planned++] = victims[i];
	return n_planned;
}

static void put_victims(struct text *text, const struct places *places,
			const struct place *place)
{
	uint16_t victims[WORKERS_MAX];
	const char *between = "";
	unsigned start = 0, n;

	for (unsigned ring = 0; ring < place->n_rings; ring++) {
		n = planned(places, place->victims + start,
			    place->ring_end[ring] - start, victims);
		start = place->ring_end[ring];
		if (n == 0)
			continue;
		put(text, "%s%s", between, nearness_name(place->near[ring]));
		put_numbers(text, victims, n);
		between = "; ";
	}
}

size_t chart_victims(const struct places *places, unsigned worker, char *buffer,
		     size_t size)
{
	struct text text = {buffer, size, 0};

	put(&text, "%s", "");
	put_victims(&text, places, &places->of[worker]);
	return text.length;
}

/* ---- the machine */

static void put_cpus(struct text *text, hwloc_const_bitmap_t cpus)
{
	char list[256];

	hwloc_bitmap_list_snprintf(list, sizeof(list), cpus);
	put(text, " (cpu %s)", list);
}

bool chart_shows(const struct places *places, hwloc_obj_t object)
{
	if (object->type == HWLOC_OBJ_PU)
		return places->each_thread ||
		       object->parent->type != HWLOC_OBJ_CORE;
	if (hwloc_obj_type_is_icache(object->type))
		return false;
	return !hwloc_obj_type_is_dcache(object->type) || object->arity > 1;
}

const char *chart_speed(const struct places *places, hwloc_obj_t object)
{
	int kind, n_kinds;

	if (object->type != HWLOC_OBJ_CORE &&
	    (object->type != HWLOC_OBJ_PU ||
	     object->parent->type == HWLOC_OBJ_CORE))
		return NULL;
	kind = places_kind(places->topology, object, &n_kinds);
	if (n_kinds < 2)
		return NULL;
	if (kind == n_kinds - 1)
		return "fast";
	return kind > 0 ? "medium" : "slow";
}

static void put_name(struct text *text, hwloc_obj_t object)
{
	char type[32];

	hwloc_obj_type_snprintf(type, sizeof(type), object, 0);
	put(text, "%s %u", type, object->logical_index);
}

size_t chart_name(hwloc_obj_t object, char *buffer, size_t size)
{
	struct text text = {buffer, size, 0};

	put_name(&text, object);
	return text.length;
}

/* The first worker that sits at this object behind another one (-1: none);
   n_workers: no more. */
static unsigned next_worker(const struct places *places, hwloc_obj_t object,
			    int last)
{
	unsigned worker = (unsigned)(last + 1);

	while (worker < places->n_workers && places->of[worker].seat != object)
		worker++;
	return worker;
}

static void put_title(struct text *text, const struct places *places,
		      hwloc_obj_t object)
{
	const char *speed = chart_speed(places, object);
	unsigned worker = next_worker(places, object, -1);
	char attributes[64];

	put_name(text, object);
	if (hwloc_obj_type_is_cache(object->type)) {
		hwloc_obj_attr_snprintf(attributes, sizeof(attributes), object,
					" ", 0);
		put(text, " (%s)", attributes);
	}
	if (speed)
		put(text, ", %s", speed);
	if (worker < places->n_workers)
		put_cpus(text, places->of[worker].cpus);
}

size_t chart_title(const struct places *places, hwloc_obj_t object,
		   char *buffer, size_t size)
{
	struct text text = {buffer, size, 0};

	put_title(&text, places, object);
	return text.length;
}

static void put_workers(struct text *text, const struct places *places,
			hwloc_obj_t object)
{
	const char *before = ": worker";
	unsigned i = next_worker(places, object, -1);

	for (; i < places->n_workers; i = next_worker(places, object, (int)i)) {
		put(text, "%s %u", before, i);
		before = ",";
	}
}

/* Memory may hang off a cache of memory, which hangs off what it belongs to. */
static hwloc_obj_t home_of(const struct places *places, hwloc_obj_t node)
{
	hwloc_obj_t object = node->parent, below;

	while (hwloc_obj_type_is_memory(object->type))
		object = object->parent;
	below = object;
	while (!chart_shows(places, below) && below->arity == 1)
		below = below->first_child;
	if (chart_shows(places, below))
		return below;
	while (!chart_shows(places, object))
		object = object->parent;
	return object;
}

hwloc_obj_t chart_next_memory(const struct places *places, hwloc_obj_t object,
			      hwloc_obj_t last)
{
	do
		last = hwloc_get_next_obj_by_type(places->topology,
						  HWLOC_OBJ_NUMANODE, last);
	while (last && home_of(places, last) != object);
	return last;
}

static void put_memory(struct text *text, hwloc_obj_t node, int indent)
{
	put(text, "%*sNUMA node %u", indent, "", node->os_index);
	if (node->attr && node->attr->numanode.local_memory > 0)
		put(text, " (%llu MiB)",
		    (unsigned long long)(node->attr->numanode.local_memory >>
					 20));
	put(text, "\n");
}

static void put_object(struct text *text, const struct places *places,
		       hwloc_obj_t object, int indent)
{
	hwloc_obj_t node = NULL;

	put(text, "%*s", indent, "");
	put_title(text, places, object);
	put_workers(text, places, object);
	put(text, "\n");
	while ((node = chart_next_memory(places, object, node)))
		put_memory(text, node, indent + 2);
}

/* Recursive: as deep as hwloc's tree, ten levels or so. */
static void put_tree(struct text *text, const struct places *places,
		     hwloc_obj_t object, int indent)
{
	hwloc_obj_t child;

	if (chart_shows(places, object)) {
		put_object(text, places, object, indent);
		indent += 2;
	}
	for (child = object->first_child; child; child = child->next_sibling)
		put_tree(text, places, child, indent);
}

static const char *binding(const struct places *places)
{
	if (!places->bind)
		return "not bound";
	return places_are_bound(places) ? "bound"
					: "not bound (another machine)";
}

static void put_summary(struct text *text, const struct places *places)
{
	put(text, "planned: %u worker%s for %u %s%s on %u core%s",
	    places->n_workers, places->n_workers == 1 ? "" : "s",
	    places->n_seats, places->each_thread ? "hardware thread" : "core",
	    places->n_seats == 1 ? "" : "s", places->n_cores,
	    places->n_cores == 1 ? "" : "s");
	if (places->millicpus > 0)
		put(text, ", quota of %u.%03u processors",
		    places->millicpus / 1000, places->millicpus % 1000);
	put(text, ", %s\n", binding(places));
}

int chart_node(const struct places *places, unsigned worker)
{
	unsigned index = places->of[worker].node;

	if (index == PLACE_NO_NODE)
		return -1;
	return (int)hwloc_get_obj_by_type(places->topology, HWLOC_OBJ_NUMANODE,
					  index)
		->os_index;
}

static void put_worker(struct text *text, const struct places *places,
		       unsigned worker)
{
	int node = chart_node(places, worker);

	put(text, "worker %u, ", worker);
	if (node < 0)
		put(text, "no NUMA node, victims: ");
	else
		put(text, "NUMA node %d, victims: ", node);
	put_victims(text, places, &places->of[worker]);
	put(text, "%s\n", places->n_workers == 1 ? "none" : "");
}

size_t chart_print(const struct places *places, unsigned n_present,
		   char *buffer, size_t size)
{
	struct text text = {buffer, size, 0};

	put_summary(&text, places);
	if (n_present != places->n_workers)
		put(&text, "at present: %u worker%s\n", n_present,
		    n_present == 1 ? "" : "s");
	put_tree(&text, places, hwloc_get_root_obj(places->topology), 0);
	for (unsigned i = 0; i < places->n_workers; i++)
		put_worker(&text, places, i);
	return text.length;
}
