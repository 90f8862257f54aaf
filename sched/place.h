/* SPDX-License-Identifier: MIT */
/*
 * place - decides where worker threads sit, and who is near whom
 *
 * A plan follows from a topology and a policy and from nothing else, so that
 * machines which nobody here owns drive the same code in tests. arrange.h finds
 * topology and policy for an engine.
 */
#ifndef ROTA_SCHED_PLACE_H
#define ROTA_SCHED_PLACE_H

#include <hwloc.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORKERS_MAX 1024

/* What the closest pair of processors of two workers have in common. */
enum nearness {
	NEAR_CORE,  /* a core: siblings, or one and the same place */
	NEAR_CACHE, /* a cache */
	NEAR_NODE,  /* a NUMA node */
	NEAR_FAR    /* the machine, or no memory that is ours */
};

/*
 * Victims at one distance make a ring, nearest ring first: closest common
 * object and, where that has several NUMA nodes and is not below a shared
 * cache, the latency between these. Of more distances than this, the farthest
 * share a ring.
 */
#define PLACE_RINGS 16

/* Where a processor has no memory that this process may use. */
#define PLACE_NO_NODE UINT_MAX

struct place {
	hwloc_cpuset_t cpus; /* allowed processors of its core, or thread */
	hwloc_obj_t seat;    /* that core or hardware thread */
	unsigned node;	     /* places_node() of it */
	int kind;	     /* of core: more is faster; 0 if all are alike */
	uint16_t *victims;   /* numbers of all other workers, by distance */
	uint8_t *distance;   /* per worker: 1 + its ring; 0: ours */
	unsigned n_rings;
	uint16_t ring_end[PLACE_RINGS]; /* in victims */
	enum nearness near[PLACE_RINGS];
};

struct places {
	hwloc_topology_t topology; /* owned */
	unsigned n_workers;
	unsigned n_places;  /* n_workers, or more: for those that come later */
	unsigned n_cores;   /* that have an allowed processor */
	unsigned n_seats;   /* cores, or hardware threads if each has a seat */
	unsigned n_nodes;   /* NUMA nodes that have a worker */
	unsigned millicpus; /* the quota at that time; 0: none */
	bool follows_quota; /* see the policy */
	bool each_thread;
	bool bind;
	struct place *of; /* n_places; the first n_workers are taken */
	uint16_t *victims;
	uint8_t *distance;
	hwloc_cpuset_t allowed; /* all that the crew may run on */
};

struct place_policy {
	unsigned n_workers; /* 0: one per seat, as the quota allows */
	unsigned n_places;  /* so many at least, if there are seats */
	unsigned millicpus; /* quota, in thousandths of a processor;
	                                 0: none */
	bool each_thread;   /* a seat is a hardware thread; else a core */
	bool bind;	    /* worker threads stay in their places */
	bool follows_quota; /* it is the control groups', which may change */
	hwloc_const_cpuset_t allowed; /* NULL: all of the topology */
};

/*
 * Plan where workers sit: the fastest kind of core first, then in hwloc's
 * order, which puts neighbours next to each other; siblings of a core after all
 * first threads. More workers than seats share them evenly. Takes the topology
 * over, whatever is returned.
 * Errors: -EINVAL (more than WORKERS_MAX workers), -ENODEV (nothing of the
 * topology is allowed), -ENOMEM.
 */
int places_plan(struct places *places, hwloc_topology_t topology,
		const struct place_policy *policy);
void places_fini(struct places *places);

/* How many workers so many seats get under a quota (0: none); 1 at least. */
unsigned places_wanted(unsigned n_seats, unsigned millicpus);

/*
 * Look at the quota again: how many workers would this plan get now? As many as
 * it has, if it does not follow the quota. Reads files: not for hot paths. Any
 * thread. @root as in cgroup.h.
 */
unsigned places_reread(const struct places *places, const char *root);

/* How far from one place to another: 0 is the place itself, 1 its first ring,
   and so on. */
static inline unsigned places_distance(const struct places *places,
				       unsigned from, unsigned to)
{
	return places->of[from].distance[to];
}

/*
 * How fast the processors of @object are that come first: more is faster, 0 if
 * all are alike. @n_kinds: how many values there are, 1 if all are alike.
 */
int places_kind(hwloc_topology_t topology, hwloc_obj_t object, int *n_kinds);

/* The logical index of the first NUMA node that has processors of @object's, or
   PLACE_NO_NODE. */
unsigned places_node(hwloc_topology_t topology, hwloc_obj_t object);

/* Is it this machine, and are workers bound? */
bool places_are_bound(const struct places *places);

/* Bind the calling thread to a worker's place. 0 or -errno; a refusal is no
   reason to stop. */
int places_bind(const struct places *places, unsigned worker);

/*
 * Bind the calling thread to a hardware thread, by the kernel's number, whether
 * workers are bound or not. 0, -EINVAL (there is none), or -errno.
 */
int places_bind_cpu(const struct places *places, unsigned cpu);

/* Let the calling thread run wherever workers may, if these are bound: it may
   have been made by one of them. A refusal is no matter. */
void places_unbind(const struct places *places);

/* A place that has this hardware thread; 0, if none has. */
unsigned places_near_cpu(const struct places *places, unsigned cpu);

/*
 * Memory near a worker, not touched yet, aligned to 64 bytes; @size is a
 * multiple of that. Where there is one node only, or no binding: anywhere.
 * NULL if there is none.
 */
void *places_alloc(const struct places *places, unsigned worker, size_t size);
void places_free(const struct places *places, void *block, size_t size);

#endif
