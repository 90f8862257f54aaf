/* SPDX-License-Identifier: MIT */
/*
 * place - decides where worker threads sit, and who is near whom
 *
 * Approach:   every allowed processor leads to its core; the cores (or the
 *             processors themselves) are the seats. They are sorted by kind
 *             and filled in that order, so that fewer workers than seats sit
 *             close together, on the fast cores, and talk cheaply.
 *             How near two seats are is the depth of the closest object of
 *             hwloc's tree that contains both: a core, a cache, a group, a
 *             package. NUMA nodes hang off that tree, at objects with the
 *             same processors, so the depth orders them too. It does not say
 *             all: of four packages in a square each has two neighbours and
 *             one across, with nothing in the tree between them and the
 *             machine. So those of other nodes at one depth are ordered by
 *             what hwloc's table says of the nodes (latency.c), if there is
 *             one; whom it does not know comes last. Groups do not count for
 *             that, except where the table makes no difference: hwloc makes
 *             some of the table itself, of nodes that lead to each other by
 *             shortest links, of which two may be farther from each other
 *             than from a node outside. All workers at one depth and latency
 *             make a ring; within a ring they stand in the order of their
 *             numbers, from the worker's own on, so that workers which do not
 *             choose do not all begin with the same victim.
 *             A quota gives as many workers as it has whole or begun
 *             processors: with one less, part of it could never be used.
 * Rejected:   binding to one thread of the core (the kernel moves a bound
 *             thread off a thread that someone else keeps busy, if it may);
 *             the table before the tree (it knows nothing of caches, and
 *             some that were measured contradict the tree by noise); relying
 *             on the groups that hwloc makes of the table (a square or a ring
 *             of nodes is one group, or none if there are no more nodes).
 *             Binding memory by policy of the thread: a bound thread's pages
 *             come from its node by default (which is why each node has chunks
 *             of its own, see memory.c), and a host that has asked for another
 *             policy gets it. Only what the starter touches for a worker is
 *             placed, by places_alloc().
 */
#include "sched/place.h"

#include <errno.h>
#include <stdlib.h>

#include "sched/cgroup.h"
#include "sched/latency.h"

/* A place to be: what a worker's place is made of. */
struct seat {
	hwloc_obj_t object; /* core or processor */
	unsigned turn;	    /* 0 for the first thread of a core, ... */
	int kind;
	unsigned order; /* in hwloc's tree */
};

struct seats {
	struct seat *seat;
	unsigned n;
	unsigned n_cores;
};

/* ---- seats */

/* Some virtual machines and boards do not tell which cores they have. */
static hwloc_obj_t core_of(hwloc_topology_t topology, hwloc_obj_t pu)
{
	hwloc_obj_t core =
		hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_CORE, pu);

	return core ? core : pu;
}

/* hwloc ranks kinds from slow to fast, if it knows how fast they are. */
int places_kind(hwloc_topology_t topology, hwloc_obj_t object, int *n_kinds)
{
	int kind, efficiency = -1;

	while (object->first_child)
		object = object->first_child;
	kind = hwloc_cpukinds_get_by_cpuset(topology, object->cpuset, 0);
	*n_kinds = 1;
	if (kind < 0 || hwloc_cpukinds_get_info(topology, (unsigned)kind, NULL,
						&efficiency, NULL, NULL, 0) < 0)
		return 0;
	if (efficiency < 0)
		return 0;
	*n_kinds = hwloc_cpukinds_get_nr(topology, 0);
	return efficiency;
}

static void add_seat(struct seats *seats, hwloc_topology_t topology,
		     hwloc_obj_t pu, hwloc_obj_t core, unsigned turn,
		     bool each_thread)
{
	struct seat *seat = &seats->seat[seats->n];
	int n_kinds;

	seats->n_cores += turn == 0;
	if (turn > 0 && !each_thread)
		return;
	seat->object = each_thread ? pu : core;
	seat->turn = turn;
	seat->kind = places_kind(topology, pu, &n_kinds);
	seat->order = seats->n++;
}

static int compare_seats(const void *left, const void *right)
{
	const struct seat *a = left, *b = right;

	if (a->turn != b->turn)
		return a->turn < b->turn ? -1 : 1;
	if (a->kind != b->kind)
		return a->kind > b->kind ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

/* Processors of a core stand next to each other in hwloc's order. */
static int find_seats(struct seats *seats, hwloc_topology_t topology,
		      hwloc_const_cpuset_t allowed, bool each_thread)
{
	int n = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU);
	hwloc_obj_t pu = NULL, last = NULL;
	unsigned turn = 0;

	*seats = (struct seats){
		.seat = calloc(n > 0 ? (size_t)n : 1, sizeof(*seats->seat))};
	if (!seats->seat)
		return -ENOMEM;
	while ((pu = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_PU, pu))) {
		hwloc_obj_t core = core_of(topology, pu);

		if (!hwloc_bitmap_isset(allowed, pu->os_index))
			continue;
		turn = core == last ? turn + 1 : 0;
		last = core;
		add_seat(seats, topology, pu, core, turn, each_thread);
	}
	if (seats->n == 0)
		return -ENODEV;
	qsort(seats->seat, seats->n, sizeof(*seats->seat), compare_seats);
	return 0;
}

/* ---- distances */

unsigned places_node(hwloc_topology_t topology, hwloc_obj_t object)
{
	hwloc_obj_t node = NULL;

	while ((node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE,
						  node)))
		if (hwloc_bitmap_intersects(object->cpuset, node->cpuset))
			return node->logical_index;
	return PLACE_NO_NODE;
}

static bool is_below_cache(hwloc_obj_t object)
{
	for (; object; object = object->parent)
		if (hwloc_obj_type_is_dcache(object->type))
			return true;
	return false;
}

static enum nearness nearness_of(const struct place *a, const struct place *b,
				 hwloc_obj_t common)
{
	if (common->type == HWLOC_OBJ_CORE || common->type == HWLOC_OBJ_PU)
		return NEAR_CORE;
	if (is_below_cache(common))
		return NEAR_CACHE;
	return a->node == b->node && a->node != PLACE_NO_NODE ? NEAR_NODE
							      : NEAR_FAR;
}

/* As hwloc's, which does not end for an object and itself. */
static hwloc_obj_t common_ancestor(hwloc_obj_t a, hwloc_obj_t b)
{
	while (a != b) {
		if (a->depth >= b->depth)
			a = a->parent;
		else
			b = b->parent;
	}
	return a;
}

/* How far another worker is; nearer ones sort first. */
struct reach {
	int depth; /* of the closest object that has both; of the closest that
		      is no group, for another node's */
	enum nearness near;
	uint64_t latency; /* between nodes; 0 within one, or one cache */
	int closest;	  /* depth of the closest, group or not */
	unsigned turn;	  /* in the order of numbers, from ours on */
	unsigned worker;
};

/* Without regard to their numbers. */
static int compare_far(const struct reach *a, const struct reach *b)
{
	if (a->depth != b->depth)
		return a->depth > b->depth ? -1 : 1;
	if (a->latency != b->latency)
		return a->latency < b->latency ? -1 : 1;
	return a->closest > b->closest ? -1 : a->closest < b->closest;
}

static int compare_reach(const void *left, const void *right)
{
	const struct reach *a = left, *b = right;
	int far = compare_far(a, b);

	if (far != 0)
		return far;
	return a->turn < b->turn ? -1 : a->turn > b->turn;
}

static void reach_for(const struct places *places,
		      const struct latency *latency, unsigned from,
		      struct reach *reach)
{
	const struct place *a = &places->of[from];
	const struct place *b = &places->of[reach->worker];
	hwloc_obj_t common = common_ancestor(a->seat, b->seat);

	reach->near = nearness_of(a, b, common);
	reach->latency = 0;
	reach->closest = common->depth;
	if (reach->near == NEAR_FAR) {
		reach->latency = latency_between(latency, a->node, b->node);
		while (common->type == HWLOC_OBJ_GROUP)
			common = common->parent;
	}
	reach->depth = common->depth;
}

static void order_victims(struct places *places, const struct latency *latency,
			  unsigned worker, struct reach *reach)
{
	struct place *place = &places->of[worker];
	unsigned n = places->n_places - 1, ring = 0, i;

	for (i = 0; i < n; i++) {
		reach[i].turn = i;
		reach[i].worker = (worker + 1 + i) % places->n_places;
		reach_for(places, latency, worker, &reach[i]);
	}
	qsort(reach, n, sizeof(*reach), compare_reach);
	for (i = 0; i < n; i++) {
		if (i > 0 && ring < PLACE_RINGS - 1 &&
		    compare_far(&reach[i - 1], &reach[i]) != 0)
			ring++;
		place->victims[i] = (uint16_t)reach[i].worker;
		place->distance[reach[i].worker] = (uint8_t)(ring + 1);
		place->near[ring] = reach[i].near;
		place->ring_end[ring] = (uint16_t)(i + 1);
		place->n_rings = ring + 1;
	}
}

static int measure_all(struct places *places, const struct latency *latency)
{
	size_t n = places->n_places;
	struct reach *reach = calloc(n, sizeof(*reach));

	places->victims = calloc(n * n, sizeof(*places->victims));
	places->distance = calloc(n * n, sizeof(*places->distance));
	if (!reach || !places->victims || !places->distance) {
		free(reach);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < n; i++) {
		places->of[i].victims = places->victims + i * n;
		places->of[i].distance = places->distance + i * n;
		order_victims(places, latency, i, reach);
	}
	free(reach);
	return 0;
}

static int measure(struct places *places)
{
	struct latency latency;
	int error = latency_init(&latency, places->topology);

	if (!error)
		error = measure_all(places, &latency);
	latency_fini(&latency);
	return error;
}

/* ---- the plan */

static int sit_down(struct places *places, const struct seats *seats,
		    hwloc_const_cpuset_t allowed)
{
	places->of = calloc(places->n_places, sizeof(*places->of));
	if (!places->of)
		return -ENOMEM;
	for (unsigned i = 0; i < places->n_places; i++) {
		const struct seat *seat = &seats->seat[i % seats->n];
		struct place *place = &places->of[i];

		place->seat = seat->object;
		place->kind = seat->kind;
		place->node = places_node(places->topology, seat->object);
		place->cpus = hwloc_bitmap_dup(seat->object->cpuset);
		if (!place->cpus ||
		    hwloc_bitmap_and(place->cpus, place->cpus, allowed) < 0)
			return -ENOMEM;
	}
	return 0;
}

static unsigned count_nodes(const struct places *places)
{
	unsigned n = 0, i, k;

	for (i = 0; i < places->n_workers; i++) {
		for (k = 0; k < i; k++)
			if (places->of[k].node == places->of[i].node)
				break;
		n += k == i && places->of[i].node != PLACE_NO_NODE;
	}
	return n;
}

unsigned places_wanted(unsigned n_seats, unsigned millicpus)
{
	unsigned n = n_seats < WORKERS_MAX ? n_seats : WORKERS_MAX;
	unsigned begun = millicpus / 1000 + (millicpus % 1000 > 0);

	return millicpus > 0 && begun < n ? begun : n;
}

static unsigned planned_places(const struct places *places, unsigned wanted)
{
	unsigned n = wanted < places->n_seats ? wanted : places->n_seats;

	return n > places->n_workers ? n : places->n_workers;
}

static int plan(struct places *places, const struct place_policy *policy,
		hwloc_const_cpuset_t allowed)
{
	struct seats seats;
	int error = find_seats(&seats, places->topology, allowed,
			       policy->each_thread);

	if (!error) {
		places->n_cores = seats.n_cores;
		places->n_seats = seats.n;
		places->n_workers = policy->n_workers;
		if (places->n_workers == 0)
			places->n_workers =
				places_wanted(seats.n, policy->millicpus);
		places->n_places = planned_places(places, policy->n_places);
		error = sit_down(places, &seats, allowed);
	}
	free(seats.seat);
	if (error)
		return error;
	places->n_nodes = count_nodes(places);
	return measure(places);
}

int places_plan(struct places *places, hwloc_topology_t topology,
		const struct place_policy *policy)
{
	hwloc_bitmap_t allowed =
		hwloc_bitmap_dup(hwloc_topology_get_allowed_cpuset(topology));
	int error = allowed ? 0 : -ENOMEM;

	*places = (struct places){.topology = topology,
				  .millicpus = policy->millicpus,
				  .follows_quota = policy->follows_quota,
				  .each_thread = policy->each_thread,
				  .bind = policy->bind};
	if (policy->n_workers > WORKERS_MAX)
		error = -EINVAL;
	if (!error && policy->allowed &&
	    hwloc_bitmap_and(allowed, allowed, policy->allowed) < 0)
		error = -ENOMEM;
	places->allowed = allowed;
	if (!error)
		error = plan(places, policy, allowed);
	if (error)
		places_fini(places);
	return error;
}

void places_fini(struct places *places)
{
	for (unsigned i = 0; places->of && i < places->n_places; i++)
		hwloc_bitmap_free(places->of[i].cpus);
	free(places->of);
	free(places->victims);
	free(places->distance);
	hwloc_bitmap_free(places->allowed);
	if (places->topology)
		hwloc_topology_destroy(places->topology);
	*places = (struct places){.n_workers = 0};
}

unsigned places_reread(const struct places *places, const char *root)
{
	if (!places->follows_quota)
		return places->n_workers;
	return places_wanted(places->n_seats, cgroup_millicpus(root, NULL));
}

/* ---- using it */

bool places_are_bound(const struct places *places)
{
	return places->bind && hwloc_topology_is_thissystem(places->topology);
}

int places_bind(const struct places *places, unsigned worker)
{
	if (!places->bind)
		return 0;
	if (hwloc_set_cpubind(places->topology, places->of[worker].cpus,
			      HWLOC_CPUBIND_THREAD) < 0)
		return -errno;
	return 0;
}

int places_bind_cpu(const struct places *places, unsigned cpu)
{
	hwloc_obj_t thread =
		hwloc_get_pu_obj_by_os_index(places->topology, cpu);

	if (!thread)
		return -EINVAL;
	if (hwloc_set_cpubind(places->topology, thread->cpuset,
			      HWLOC_CPUBIND_THREAD) < 0)
		return -errno;
	return 0;
}

void places_unbind(const struct places *places)
{
	if (places->bind)
		(void)hwloc_set_cpubind(places->topology, places->allowed,
					HWLOC_CPUBIND_THREAD);
}

unsigned places_near_cpu(const struct places *places, unsigned cpu)
{
	for (unsigned i = 0; i < places->n_places; i++)
		if (hwloc_bitmap_isset(places->of[i].cpus, cpu))
			return i;
	return 0;
}

/* Elsewhere malloc's memory does, which leak checkers know. */
static bool places_memory(const struct places *places)
{
	return places->n_nodes > 1 && places_are_bound(places);
}

/* A preference, not a must: a full node gives way to its neighbours. */
void *places_alloc(const struct places *places, unsigned worker, size_t size)
{
	hwloc_obj_t seat = places->of[worker].seat;

	if (!places_memory(places))
		return aligned_alloc(64, size);
	return hwloc_alloc_membind(places->topology, size, seat->nodeset,
				   HWLOC_MEMBIND_BIND, HWLOC_MEMBIND_BYNODESET);
}

void places_free(const struct places *places, void *block, size_t size)
{
	if (!block)
		return;
	if (places_memory(places))
		hwloc_free(places->topology, block, size);
	else
		free(block);
}
