/* SPDX-License-Identifier: MIT */
/*
 * topology - loads a description of this machine, or of one that is elsewhere
 *
 * What hwloc loads of this machine is already cut down to what is online and
 * to the cpuset of the cgroup. The affinity is asked for apart.
 *
 * The process is the union of its threads (hwloc asks for each), so that a host
 * that has pinned the calling thread does not get all workers on its one core.
 */
#include "sched/topology.h"

#include <errno.h>
#include <string.h>

#if HWLOC_API_VERSION < 0x00020400
#error "hwloc 2.4 or later is needed"
#endif

static bool is_xml_file(const char *description)
{
	size_t length = strlen(description);

	return length > 4 && strcmp(description + length - 4, ".xml") == 0;
}

/* 0, or -1 as hwloc does. */
static int describe(hwloc_topology_t topology, const char *description)
{
	if (!description)
		return 0;
	if (description[0] == '\0')
		return -1;
	if (description[0] == '<')
		return hwloc_topology_set_xmlbuffer(
			topology, description, (int)strlen(description) + 1);
	if (is_xml_file(description))
		return hwloc_topology_set_xml(topology, description);
	return hwloc_topology_set_synthetic(topology, description);
}

int topology_load(hwloc_topology_t *topology, const char *description)
{
	if (hwloc_topology_init(topology) < 0)
		return -ENOMEM;
	if (describe(*topology, description) == 0 &&
	    hwloc_topology_load(*topology) == 0)
		return 0;
	hwloc_topology_destroy(*topology);
	*topology = NULL;
	return description ? -EINVAL : -ENOMEM;
}

hwloc_bitmap_t topology_affinity(hwloc_topology_t topology)
{
	hwloc_bitmap_t mine;

	if (!hwloc_topology_is_thissystem(topology))
		return NULL;
	mine = hwloc_bitmap_alloc();
	if (mine &&
	    hwloc_get_cpubind(topology, mine, HWLOC_CPUBIND_PROCESS) == 0)
		return mine;
	hwloc_bitmap_free(mine);
	return NULL;
}
