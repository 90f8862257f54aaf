/* SPDX-License-Identifier: MIT */
/*
 * json - the plan of places for programs
 */
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "perf/places/places.h"
#include "sched/chart.h"

static json_t *need(json_t *value)
{
	if (value == NULL)
		places_fail("no memory for JSON");
	return value;
}

static void append(json_t *array, json_t *value)
{
	if (json_array_append_new(array, need(value)) != 0)
		places_fail("no memory for JSON");
}

/* One per ring: how near, and whom. */
static json_t *rings_of(const struct place *place)
{
	json_t *rings = need(json_array());
	unsigned i = 0;

	for (unsigned ring = 0; ring < place->n_rings; ring++) {
		json_t *workers = need(json_array());

		for (; i < place->ring_end[ring]; i++)
			append(workers, json_integer(place->victims[i]));
		append(rings, json_pack("{s:s, s:o}", "near",
					nearness_name(place->near[ring]),
					"workers", workers));
	}
	return rings;
}

/* Of a core, or of the one that a hardware thread belongs to. */
static const char *speed_of(const struct places *places, hwloc_obj_t seat)
{
	if (seat->type == HWLOC_OBJ_PU && seat->parent->type == HWLOC_OBJ_CORE)
		seat = seat->parent;
	return chart_speed(places, seat);
}

static json_t *node_of(const struct places *places, unsigned worker)
{
	int node = chart_node(places, worker);

	return node < 0 ? json_null() : json_integer(node);
}

static json_t *worker_of(const struct places *places, unsigned worker)
{
	const struct place *place = &places->of[worker];
	char *cpus, seat[64];
	json_t *object;

	chart_name(place->seat, seat, sizeof(seat));
	if (hwloc_bitmap_list_asprintf(&cpus, place->cpus) < 0)
		places_fail("no memory for JSON");
	object = json_pack("{s:i, s:s, s:s, s:o, s:i, s:s?, s:o}", "worker",
			   (int)worker, "seat", seat, "cpus", cpus, "node",
			   node_of(places, worker), "kind", place->kind,
			   "speed", speed_of(places, place->seat), "victims",
			   rings_of(place));
	free(cpus);
	return object;
}

void places_json(const struct places *places)
{
	json_t *workers = need(json_array()), *plan;
	char *line;

	for (unsigned i = 0; i < places->n_workers; i++)
		append(workers, worker_of(places, i));
	plan = need(json_pack(
		"{s:i, s:i, s:i, s:i, s:o, s:b, s:b, s:o}", "n_workers",
		(int)places->n_workers, "cores", (int)places->n_cores, "seats",
		(int)places->n_seats, "nodes", (int)places->n_nodes, "quota",
		places->millicpus > 0 ? json_real(places->millicpus / 1000.0)
				      : json_null(),
		"each_thread", (int)places->each_thread, "bound",
		(int)places_are_bound(places), "workers", workers));
	line = json_dumps(plan, JSON_COMPACT | JSON_PRESERVE_ORDER |
					JSON_REAL_PRECISION(7));
	if (line == NULL)
		places_fail("no memory for JSON");
	puts(line);
	free(line);
	json_decref(plan);
}
