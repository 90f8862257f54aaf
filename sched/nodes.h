/* SPDX-License-Identifier: MIT */
/*
 * nodes - the shared lists of runnable tasks, one per NUMA node
 *
 * Nodes are numbered 0 ... n - 1 here: those that have a place for a worker, in
 * the order of the places. All places without a node share one number.
 */
#ifndef ROTA_SCHED_NODES_H
#define ROTA_SCHED_NODES_H

#include <stdbool.h>
#include <stdint.h>
#include <atomic_ops.h>

#include "sched/inject.h"
#include "sched/place.h"

struct node {
	struct inject inject;
	unsigned first_worker; /* constant, like all below: a worker of it */
	uint16_t *order;       /* all nodes, nearest first: itself, ... */
};

struct nodes {
	unsigned n;
	struct node **of;
	uint16_t *of_worker;
	uint16_t *of_cpu; /* by the kernel's number, NO_NODE: none of ours;
	                     NULL: it says nothing */
	unsigned n_cpus;
	AO_t xnext; /* round robin of those without a node; relaxed */
};

#define NO_NODE UINT16_MAX

/* 0 or -ENOMEM; call nodes_fini() in both cases. Zero it before. */
int nodes_init(struct nodes *nodes, const struct places *places);
void nodes_fini(struct nodes *nodes, const struct places *places);

/* Where the calling thread runs; if that is none of ours: any, in turns. */
unsigned nodes_here(struct nodes *nodes);

static inline void nodes_push(struct nodes *nodes, unsigned node,
			      struct task *task)
{
	inject_push(&nodes->of[node]->inject, task, task, 1);
}

/* How many tasks lie in all lists; a hint, as with inject_length(). */
static inline unsigned nodes_length(const struct nodes *nodes)
{
	unsigned n = inject_length(&nodes->of[0]->inject), i;

	for (i = 1; i < nodes->n; i++)
		n += inject_length(&nodes->of[i]->inject);
	return n;
}

/*
 * Take up to @most tasks out of one list: the nearest to @node that has any,
 * without the @skip nearest (modulo their number), which come last. Returns how
 * many.
 */
unsigned nodes_take(struct nodes *nodes, unsigned node, unsigned skip,
		    unsigned most, struct task **first);

#endif
