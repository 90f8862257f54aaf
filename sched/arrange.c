/* SPDX-License-Identifier: MIT */
/*
 * arrange - from what program, environment and machine say to a plan
 *
 * A program that says something is obeyed; what it leaves open the environment
 * decides; what both leave open follows from the machine. The environment of a
 * program with more rights than its user is not asked.
 */
#include "sched/arrange.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched/cgroup.h"
#include "sched/topology.h"

struct wish {
	struct place_policy policy;
	const char *topology;
	const char *from; /* who said so, for complaints */
	bool is_hidden;	  /* the control group, see cgroup.h */
};

/* 1 ... WORKERS_MAX, digits only, or 0. */
static unsigned parse_workers(const char *text)
{
	unsigned n = 0;

	for (; *text >= '0' && *text <= '9' && n <= WORKERS_MAX; text++)
		n = n * 10 + (unsigned)(*text - '0');
	return *text == '\0' && n <= WORKERS_MAX ? n : 0;
}

static int wish_workers(struct wish *wish,
			const struct arrange_options *options, char *complaint,
			size_t size)
{
	const char *text = secure_getenv("ROTA_WORKERS");

	wish->policy.n_workers = options->n_workers;
	if (options->n_workers > WORKERS_MAX) {
		snprintf(complaint, size, "%u workers are more than %d",
			 options->n_workers, WORKERS_MAX);
		return -EINVAL;
	}
	if (options->n_workers > 0 || !text)
		return 0;
	wish->policy.n_workers = parse_workers(text);
	if (wish->policy.n_workers > 0)
		return 0;
	snprintf(complaint, size,
		 "ROTA_WORKERS is \"%.64s\": it must be a number from 1 to %d",
		 text, WORKERS_MAX);
	return -EINVAL;
}

static int wish_bind(struct wish *wish, const struct arrange_options *options,
		     char *complaint, size_t size)
{
	const char *text = secure_getenv("ROTA_BIND");

	wish->policy.each_thread = options->each_thread;
	wish->policy.bind = !options->unbound;
	if (options->each_thread || options->unbound || !text)
		return 0;
	wish->policy.each_thread = strcmp(text, "thread") == 0;
	wish->policy.bind = strcmp(text, "none") != 0;
	if (wish->policy.each_thread || !wish->policy.bind ||
	    strcmp(text, "core") == 0)
		return 0;
	snprintf(complaint, size,
		 "ROTA_BIND is \"%.64s\": it must be core, thread or none",
		 text);
	return -EINVAL;
}

static int load(hwloc_topology_t *topology, struct wish *wish,
		const struct arrange_options *options, char *complaint,
		size_t size)
{
	int error;

	wish->topology = options->topology;
	wish->from = "the topology";
	if (!wish->topology) {
		wish->topology = secure_getenv("ROTA_TOPOLOGY");
		wish->from = "ROTA_TOPOLOGY";
	}
	error = topology_load(topology, wish->topology);
	if (error == -EINVAL)
		snprintf(complaint, size,
			 "%s is \"%.64s\": it must be a synthetic description "
			 "(like \"pack:2 core:4 pu:2\") or the name of an .xml "
			 "file that lstopo has written",
			 wish->from, wish->topology);
	else if (error)
		snprintf(complaint, size, "hwloc cannot read this machine");
	return error;
}

/* What limits us: what we were told, else what does on this very machine. */
static hwloc_bitmap_t limit(struct wish *wish, hwloc_topology_t topology,
			    const struct arrange_options *options)
{
	bool is_here =
		!wish->topology && hwloc_topology_is_thissystem(topology);
	hwloc_bitmap_t affinity = NULL;

	if (!options->allowed && is_here)
		affinity = topology_affinity(topology);
	wish->policy.allowed = options->allowed ? options->allowed : affinity;
	wish->policy.millicpus = options->millicpus;
	if (options->millicpus == 0 && is_here) {
		wish->policy.millicpus = cgroup_millicpus(
			options->root ? options->root : "", &wish->is_hidden);
		wish->policy.follows_quota = wish->policy.n_workers == 0;
	}
	return affinity;
}

/*
 * Distances are a table of places by places. Where the number of workers may
 * change by itself all seats are in it; else so many, and who comes later than
 * that shares a place.
 */
#define PLACES_TO_GROW 64

static int plan(struct places *places, struct wish *wish,
		hwloc_topology_t topology,
		const struct arrange_options *options, char *complaint,
		size_t size)
{
	hwloc_bitmap_t affinity = limit(wish, topology, options);
	int error;

	if (options->may_grow)
		wish->policy.n_places = wish->policy.follows_quota
						? WORKERS_MAX
						: PLACES_TO_GROW;
	error = places_plan(places, topology, &wish->policy);
	hwloc_bitmap_free(affinity);
	if (error == -ENODEV)
		snprintf(complaint, size,
			 "no processor that this process may use is in the "
			 "topology");
	else if (error)
		snprintf(complaint, size, "no memory for the plan of places");
	else if (wish->is_hidden && wish->policy.follows_quota)
		snprintf(complaint, size,
			 "the control group of this process cannot be seen "
			 "from its namespace (its file system is not mounted "
			 "there): its quota may be missed; ROTA_WORKERS says "
			 "how many workers there shall be");
	return error;
}

int arrange(struct places *places, const struct arrange_options *options,
	    char *complaint, size_t size)
{
	struct wish wish = {.topology = NULL};
	hwloc_topology_t topology;
	int error;

	complaint[0] = '\0';
	*places = (struct places){.n_workers = 0};
	error = wish_workers(&wish, options, complaint, size);
	if (!error)
		error = wish_bind(&wish, options, complaint, size);
	if (!error)
		error = load(&topology, &wish, options, complaint, size);
	if (error)
		return error;
	return plan(places, &wish, topology, options, complaint, size);
}
