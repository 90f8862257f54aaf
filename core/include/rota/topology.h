/* SPDX-License-Identifier: MIT */
/*
 * rota/topology.h - where an engine's workers sit, and whom they steal from
 *
 * An engine plans its places at its start, and keeps to the plan when its number
 * of workers changes (rota_workers_set()): one worker per core (or hardware
 * thread) that the affinity of the process allows, no more than the quota of
 * its control group and of all groups around it has use for (rounded up to
 * whole processors), fast cores first. A worker that has nothing to do looks at
 * its nearest neighbours first, and wakes the nearest sleepers.
 *
 * To override a choice, for all fields of struct rota_config that are zero:
 *
 *   ROTA_WORKERS   1 ... 1024: so many workers, whatever the quota
 *   ROTA_BIND      core, thread or none: see enum rota_config_flag
 *   ROTA_TOPOLOGY  plan for another machine: a synthetic description as hwloc
 *                  knows it ("pack:2 l3:2 core:4 pu:2"), or the name of an
 *                  .xml file that lstopo has written; rota_config.topology
 *                  may also be the XML itself. Workers are not bound then, for
 *                  the processors are not there, unless HWLOC_THISSYSTEM=1
 *                  tells hwloc that they are.
 *
 * hwloc reads the XML, and releases of it (2.9 is one) crash on some that is
 * mangled: take it from a source that you trust, as you take programs.
 *
 * Nonsense in one of these makes rota_start() fail with EINVAL; the log says
 * what is wrong with which. One that is set and empty is nonsense, too. hwloc
 * takes minutes for descriptions of ten thousand processors and more;
 * rota_start() waits for it.
 */
#ifndef ROTA_TOPOLOGY_H
#define ROTA_TOPOLOGY_H

#include <stddef.h>

#include <rota/base.h>

ROTA_EXTERN_C_BEGIN

/**
 * rota_topology_print() - write down the plan of places, as text
 * @engine: the engine whose plan it is
 * @buffer: where to; may be NULL if @size is 0
 * @size:   bytes at @buffer
 *
 * A summary, a tree of machine, caches, memory and cores with the workers that
 * sit there, then a line per worker with its victims, nearest first: all of it
 * as planned at the start, also after rota_workers_set() or a change of the
 * quota; then the summary is followed by the number of workers at present.
 * Processors and NUMA nodes have the kernel's numbers, those of taskset and
 * numactl; all else is counted through in hwloc's order.
 * "bound" says that their threads are to be; what the system refuses is in the
 * log. For people to read: the form may change. Cut off where @size is too
 * small; ends with a NUL if @size is not 0.
 *
 * Context: any thread or handler; does not wait.
 * Errors:  -ESRCH: the engine is gone (or NULL); -ENOMEM.
 * Return:  the length of the whole text without NUL, as snprintf() does, or one
 *          of the errors above.
 */
ROTA_API int rota_topology_print(const rota_engine *engine, char *buffer,
				 size_t size);

ROTA_EXTERN_C_END

#endif
