/* SPDX-License-Identifier: MIT */
/*
 * draw - the machine as boxes in boxes, drawn by graphviz
 *
 * dot lays out nested tables well and says nothing of their columns, so those
 * are chosen here. It reads the drawing from a pipe.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/places/places.h"
#include "sched/chart.h"

struct drawing {
	FILE *out;
	const struct places *places;
	unsigned from;
	unsigned *rank; /* of each worker among the victims of from */
};

/* From light to dark: the farther, the paler. */
static const char *colour_of(const struct drawing *drawing, unsigned worker)
{
	static const char *const colours[] = {"#f4a582", "#fddbc7", "#d1e5f0",
					      "#f0f0f0"};
	const struct place *from = &drawing->places->of[drawing->from];

	if (worker == drawing->from)
		return "#d6604d";
	return colours[from->near[from->distance[worker]]];
}

static void put_worker(const struct drawing *drawing, unsigned worker)
{
	FILE *out = drawing->out;

	fprintf(out, "<TR><TD BORDER=\"1\" BGCOLOR=\"%s\">worker %u",
		colour_of(drawing, worker), worker);
	if (worker != drawing->from)
		fprintf(out, "<BR/>victim %u", drawing->rank[worker]);
	fputs("</TD></TR>", out);
}

static void put_title(const struct drawing *drawing, hwloc_obj_t object)
{
	char type[32], attributes[64];

	hwloc_obj_type_snprintf(type, sizeof(type), object, 0);
	fprintf(drawing->out, "%s %u", type, object->logical_index);
	if (hwloc_obj_type_is_cache(object->type)) {
		hwloc_obj_attr_snprintf(attributes, sizeof(attributes), object,
					" ", 0);
		fprintf(drawing->out, " (%s)", attributes);
	}
	for (hwloc_obj_t child = object->memory_first_child; child;
	     child = child->next_sibling)
		if (child->type == HWLOC_OBJ_NUMANODE)
			fprintf(drawing->out, " | NUMA node %u",
				child->os_index);
}

/* What is shown of what is below this object, in order. */
static unsigned collect(const struct places *places, hwloc_obj_t object,
			hwloc_obj_t *shown, unsigned n)
{
	for (hwloc_obj_t child = object->first_child; child;
	     child = child->next_sibling) {
		if (chart_shows(places, child))
			shown[n++] = child;
		else
			n = collect(places, child, shown, n);
	}
	return n;
}

static unsigned columns_of(unsigned n)
{
	unsigned columns = 1;

	if (n <= 4)
		return n;
	while (columns * columns < n)
		columns++;
	return columns;
}

/* A box: title, workers, boxes in it. Recursive, as deep as the machine. */
static void put_box(const struct drawing *drawing, hwloc_obj_t object)
{
	const struct places *places = drawing->places;
	size_t most = (size_t)hwloc_bitmap_weight(object->cpuset);
	hwloc_obj_t *shown = calloc(most + 1, sizeof(hwloc_obj_t));
	unsigned n, columns, i;
	FILE *out = drawing->out;

	if (shown == NULL)
		places_fail("no memory for a drawing");
	n = collect(places, object, shown, 0);
	columns = n > 0 ? columns_of(n) : 1;
	fprintf(out,
		"<TABLE BORDER=\"1\" CELLBORDER=\"0\" CELLSPACING=\"2\">"
		"<TR><TD COLSPAN=\"%u\">",
		columns);
	put_title(drawing, object);
	fputs("</TD></TR>", out);
	for (i = 0; i < places->n_workers; i++)
		if (places->of[i].seat == object)
			put_worker(drawing, i);
	for (i = 0; i < n; i++) {
		fputs(i % columns == 0 ? "<TR><TD>" : "<TD>", out);
		put_box(drawing, shown[i]);
		fputs(i % columns == columns - 1 || i == n - 1 ? "</TD></TR>"
							       : "</TD>",
		      out);
	}
	fputs("</TABLE>", out);
	free(shown);
}

static void put_victims(const struct drawing *drawing)
{
	const struct places *places = drawing->places;

	fputs("<TABLE BORDER=\"0\"><TR><TD ALIGN=\"LEFT\">victims, nearest "
	      "first</TD></TR>",
	      drawing->out);
	for (unsigned i = 0; i < places->n_workers; i++) {
		size_t size = chart_victims(places, i, NULL, 0) + 1;
		char *text = malloc(size);

		if (text == NULL)
			places_fail("no memory for a drawing");
		chart_victims(places, i, text, size);
		fprintf(drawing->out,
			"<TR><TD ALIGN=\"LEFT\">worker %u: %s</TD></TR>", i,
			text[0] != '\0' ? text : "none");
		free(text);
	}
	fputs("</TABLE>", drawing->out);
}

static void put_drawing(const struct drawing *drawing)
{
	fputs("digraph {\nnode [shape=plain fontname=\"sans-serif\" "
	      "fontsize=10]\nmachine [label=<<TABLE BORDER=\"0\"><TR><TD>",
	      drawing->out);
	put_box(drawing, hwloc_get_root_obj(drawing->places->topology));
	fputs("</TD></TR><TR><TD ALIGN=\"LEFT\">", drawing->out);
	put_victims(drawing);
	fputs("</TD></TR></TABLE>>]\n}\n", drawing->out);
}

/* The name goes through the environment, where no shell looks into it. */
static FILE *start_dot(const char *svg)
{
	FILE *out;

	if (setenv("ROTA_PLACES_SVG", svg, 1) != 0)
		places_fail("no memory for a name");
	out = popen("dot -Tsvg > \"$ROTA_PLACES_SVG\"", "w");
	if (out == NULL)
		places_fail("dot: %s", strerror(errno));
	return out;
}

void places_draw(const struct places *places, unsigned from, const char *svg)
{
	const struct place *place = &places->of[from];
	struct drawing drawing = {.places = places, .from = from};

	drawing.rank = calloc(places->n_workers, sizeof(*drawing.rank));
	if (drawing.rank == NULL)
		places_fail("no memory for a drawing");
	for (unsigned i = 0; i + 1 < places->n_workers; i++)
		drawing.rank[place->victims[i]] = i + 1;
	drawing.out = start_dot(svg);
	put_drawing(&drawing);
	if (pclose(drawing.out) != 0)
		places_fail("dot (package graphviz) did not draw %s", svg);
	free(drawing.rank);
}
