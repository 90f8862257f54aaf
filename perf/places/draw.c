/* SPDX-License-Identifier: MIT */
/*
 * draw - the machine as boxes in boxes, drawn by graphviz
 *
 * dot lays out nested tables well and says nothing of their columns, so those
 * are chosen here. It does not say either when it could not write all, so it
 * writes to memory; what is whole goes to the file at once.
 */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perf/places/places.h"
#include "sched/chart.h"

struct drawing {
	FILE *out;
	const struct places *places;
	unsigned from;
	unsigned *rank; /* of each worker among the victims of from */
};

#define COLOUR_OF_FROM "#d6604d"

/* By nearness: the farther, the paler. */
static const char *const colours[] = {"#f4a582", "#fddbc7", "#d1e5f0",
				      "#f0f0f0"};

/* Not of the worker itself. */
static enum nearness near_from(const struct drawing *drawing, unsigned worker)
{
	const struct places *places = drawing->places;
	unsigned distance = places_distance(places, drawing->from, worker);

	return places->of[drawing->from].near[distance - 1];
}

static void put_worker(const struct drawing *drawing, unsigned worker)
{
	bool is_from = worker == drawing->from;
	FILE *out = drawing->out;

	fprintf(out, "<TR><TD BORDER=\"1\" BGCOLOR=\"%s\">worker %u",
		is_from ? COLOUR_OF_FROM : colours[near_from(drawing, worker)],
		worker);
	if (!is_from)
		fprintf(out, "<BR/>victim %u", drawing->rank[worker]);
	fputs("</TD></TR>", out);
}

static void put_title(const struct drawing *drawing, hwloc_obj_t object)
{
	hwloc_obj_t node = NULL;
	char title[512];

	chart_title(drawing->places, object, title, sizeof(title));
	fputs(title, drawing->out);
	while ((node = chart_next_memory(drawing->places, object, node)))
		fprintf(drawing->out, " | NUMA node %u", node->os_index);
}

/*
 * What is shown of what is below this object, in order; @shown NULL: only count
 * it. It may be more than there are processors: memory holds objects that have
 * none.
 */
static unsigned collect(const struct places *places, hwloc_obj_t object,
			hwloc_obj_t *shown, unsigned n)
{
	for (hwloc_obj_t child = object->first_child; child;
	     child = child->next_sibling) {
		if (!chart_shows(places, child))
			n = collect(places, child, shown, n);
		else if (shown)
			shown[n++] = child;
		else
			n++;
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
	unsigned n = collect(places, object, NULL, 0);
	unsigned columns = n > 0 ? columns_of(n) : 1, i;
	hwloc_obj_t *shown = calloc(n + 1, sizeof(hwloc_obj_t));
	FILE *out = drawing->out;

	if (shown == NULL)
		places_fail("no memory for a drawing");
	collect(places, object, shown, 0);
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

static void put_legend_cell(const struct drawing *drawing, const char *colour,
			    const char *what)
{
	fprintf(drawing->out, "<TD BORDER=\"1\" BGCOLOR=\"%s\">%s</TD>", colour,
		what);
}

/* Which colours there are, and what worker and victim have in common there. */
static void put_legend(const struct drawing *drawing)
{
	bool has[NEAR_FAR + 1] = {false};
	unsigned i;

	for (i = 0; i < drawing->places->n_workers; i++)
		if (i != drawing->from)
			has[near_from(drawing, i)] = true;
	fprintf(drawing->out,
		"<TABLE BORDER=\"0\"><TR><TD>how near to worker %u:</TD>",
		drawing->from);
	put_legend_cell(drawing, COLOUR_OF_FROM, "itself");
	for (i = 0; i <= NEAR_FAR; i++)
		if (has[i])
			put_legend_cell(drawing, colours[i], nearness_name(i));
	fputs("</TR></TABLE>", drawing->out);
}

static void put_drawing(const struct drawing *drawing)
{
	fputs("digraph {\nnode [shape=plain fontname=\"sans-serif\" "
	      "fontsize=10]\nmachine [label=<<TABLE BORDER=\"0\"><TR><TD>",
	      drawing->out);
	put_box(drawing, hwloc_get_root_obj(drawing->places->topology));
	fputs("</TD></TR><TR><TD ALIGN=\"LEFT\">", drawing->out);
	put_legend(drawing);
	fputs("</TD></TR><TR><TD ALIGN=\"LEFT\">", drawing->out);
	put_victims(drawing);
	fputs("</TD></TR></TABLE>>]\n}\n", drawing->out);
}

/* A file in memory. */
static FILE *scratch(void)
{
	int fd = memfd_create("rota-places", MFD_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w+");

	if (file == NULL)
		places_fail("no memory for a drawing: %s", strerror(errno));
	return file;
}

static void run_dot(FILE *in, FILE *out)
{
	static char name[] = "dot", format[] = "-Tsvg";
	char *const argv[] = {name, format, NULL};
	posix_spawn_file_actions_t actions;
	int error, status;
	pid_t pid;

	if (posix_spawn_file_actions_init(&actions) != 0 ||
	    posix_spawn_file_actions_adddup2(&actions, fileno(in), 0) != 0 ||
	    posix_spawn_file_actions_adddup2(&actions, fileno(out), 1) != 0)
		places_fail("no memory for a drawing");
	error = posix_spawnp(&pid, name, &actions, NULL, argv, environ);
	if (error != 0)
		places_fail("dot (package graphviz): %s", strerror(error));
	posix_spawn_file_actions_destroy(&actions);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			places_fail("dot: %s", strerror(errno));
	if (status != 0)
		places_fail("dot (package graphviz) did not draw");
}

/* All that dot has written, which ends as an SVG does. */
static char *read_svg(FILE *file, size_t *size)
{
	static const char end[] = "</svg>\n";
	long length = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
	char *text = length < 0 ? NULL : malloc((size_t)length + 1);

	if (text == NULL)
		places_fail("no memory for a drawing");
	rewind(file);
	*size = fread(text, 1, (size_t)length, file);
	text[*size] = '\0';
	if (*size < strlen(end) || strcmp(text + *size - strlen(end), end) != 0)
		places_fail("dot (package graphviz) drew a part only");
	return text;
}

void places_draw(const struct places *places, unsigned from, const char *svg)
{
	const struct place *place = &places->of[from];
	struct drawing drawing = {.places = places, .from = from};
	FILE *drawn = scratch();
	size_t size;
	char *text;

	drawing.rank = calloc(places->n_workers, sizeof(*drawing.rank));
	if (drawing.rank == NULL)
		places_fail("no memory for a drawing");
	for (unsigned i = 0; i + 1 < places->n_workers; i++)
		drawing.rank[place->victims[i]] = i + 1;
	drawing.out = scratch();
	put_drawing(&drawing);
	if (fflush(drawing.out) != 0 || ferror(drawing.out))
		places_fail("no memory for a drawing");
	rewind(drawing.out);
	run_dot(drawing.out, drawn);
	text = read_svg(drawn, &size);
	places_save(svg, text, size);
	free(text);
	fclose(drawn);
	fclose(drawing.out);
	free(drawing.rank);
}
