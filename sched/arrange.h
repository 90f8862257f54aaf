/* SPDX-License-Identifier: MIT */
/*
 * arrange - from what program, environment and machine say to a plan
 */
#ifndef ROTA_SCHED_ARRANGE_H
#define ROTA_SCHED_ARRANGE_H

#include <stdbool.h>
#include <stddef.h>

#include "sched/place.h"

/* What a program asks for. What it leaves open the environment may say. */
struct arrange_options {
	unsigned n_workers; /* 0: $ROTA_WORKERS, else as many as fit */
	/* If neither is set, $ROTA_BIND says: core (also the default), thread
	   or none. */
	bool each_thread;     /* a worker per hardware thread, not per core */
	bool unbound;	      /* they go where the kernel puts them */
	const char *topology; /* as in topology.h; NULL: $ROTA_TOPOLOGY, else
	                         this machine */
	hwloc_const_cpuset_t allowed; /* NULL: the affinity, here */
	unsigned millicpus;	      /* quota; 0: the control groups', here */
	const char *root; /* as in cgroup.h; NULL: the machine's own */
	/* Workers may come later: see place_policy.n_places. */
	bool may_grow;
};

/*
 * Make the plan. Affinity and quota count on this machine only. Whoever
 * says how many workers there shall be gets them, whatever the quota.
 * Errors: -EINVAL (nonsense in options or environment), -ENODEV (no processor
 * that we may use), -ENOMEM; @complaint then says what is wrong, in one line.
 * Without an error it is empty, or says what may go wrong with this plan.
 */
int arrange(struct places *places, const struct arrange_options *options,
	    char *complaint, size_t size);

#endif
