/* SPDX-License-Identifier: MIT */
/*
 * task - what a submitted function is made of
 *
 *   job         the function, its group; what runs
 *   small_job   a cell of 64 bytes: no name, a small argument
 *   large_job   a cell of 128 bytes, with a number: a name, or a large argument
 */
#ifndef ROTA_CORE_TASK_H
#define ROTA_CORE_TASK_H

#include <stdbool.h>
#include <stdint.h>
#include <atomic_ops.h>

#include <rota/task.h>

#include "core/actor.h"
#include "mailbox/waiters.h"
#include "sched/memory.h"
#include "sched/spin.h"
#include "sched/task.h"

struct engine;
struct local;
struct site;

/* A free cell's links lie in bytes 16 to 39. */
struct job {
	struct task task; /* its class says which of the two it is */
	rota_task_function *run;
	struct rota_task_group *group; /* NULL: none */
};

struct small_job {
	struct job job;
	unsigned char argument[ROTA_TASK_SMALL];
};

/*
 *   state      meaning                      left by
 *   FREE       in a magazine                submit -> QUEUED
 *   QUEUED     in a run queue, or about to  runner -> STARTED, or -> SKIPPED
 *              be                           (the engine stops); a cancel
 *                                           -> CANCELLED
 *   CANCELLED  in a run queue still         runner -> SKIPPED
 *   STARTED    its function runs            runner -> ENDED
 *   SKIPPED    it did not run               who takes the outcome -> FREE
 *   ENDED      the outcome is known         likewise
 *
 * Without a name, or when the name was used up before, the runner frees it
 * where it would set SKIPPED or ENDED. A name that is used up changes the
 * generation.
 */
enum job_state {
	JOB_FREE,
	JOB_QUEUED,
	JOB_CANCELLED,
	JOB_STARTED,
	JOB_SKIPPED,
	JOB_ENDED
};

struct large_job {
	struct job job;
	struct waiters joiners;	  /* under xlock, like all below */
	uint32_t number;	  /* constant */
	uint32_t generation;	  /* of its present or next name */
	AO_TS_t xlock;		  /* never held across a call of others */
	unsigned char state;	  /* enum job_state */
	bool is_named;		  /* a name leads here */
	unsigned char xcancelled; /* written under xlock, read by the task */
	int result;		  /* what the function returned, if ENDED */
	_Alignas(16) unsigned char argument[ROTA_TASK_ARGUMENT];
};

_Static_assert(sizeof(struct small_job) == 64, "one cache line");
_Static_assert(sizeof(struct large_job) == 128, "two cache lines");

/* Classes of tasks, by kind and by their function's address: those that share
   one share an estimate of how long they take. */
#define JOB_CLASSES 64

struct job_classes {
	struct task_class small[JOB_CLASSES];
	struct task_class large[JOB_CLASSES];
};

/* Functions of large_job that pool_init() and the engine's stop need. */
void job_carve(void *block, uint32_t number, uint32_t generation);
uint32_t job_first_generation(uint32_t engine_generation);
void job_classes_init(struct job_classes *classes);

/* The engine gives up: nobody may wait for this one any more. */
void job_release_joiners(struct engine *engine, uint32_t number);

/* All workers have left: nobody takes the outcome of this one any more. */
void job_release(struct engine *engine, uint32_t number);

/* ---- core/task_group.c ---- */

/*
 * By a call, or because the actor whose handler made it is being stopped: that
 * one waits, so this is the life that made the group. It may wait for a worker
 * that runs us, so it cannot be the one to tell. A group that destroy() made is
 * not: a stop ends what handlers do.
 */
static inline bool task_group_is_cancelled(const struct rota_task_group *group)
{
	const struct actor *actor = group->actor;

	/* Relaxed, as the next: one that starts as it is cancelled has started
	   before. The actor was at its end, or not, when the group was made. */
	return AO_load(&group->xcancelled) != 0 ||
	       (unlikely(actor != NULL) &&
		AO_load(&actor->xsignal) & (SIGNAL_STOP | SIGNAL_ENGINE) &&
		!actor_is_at_end(actor));
}

/* A task of the group has ended, on this worker. */
void task_group_leave(struct local *local, struct rota_task_group *group);

/* ---- for both ---- */

/* A task that is not runnable yet; @name: set to its name, if not NULL. NULL:
   no memory. */
struct job *job_make_small(struct site *site, rota_task_function *run,
			   const void *argument, size_t length);
struct large_job *job_make_large(struct site *site, rota_task_function *run,
				 const void *argument, size_t length,
				 rota_task *name);

/* May it be submitted? 0, -EINVAL, -EMSGSIZE, -ESHUTDOWN. */
int job_check(struct engine *engine, rota_task_function *run,
	      const void *argument, size_t length);

#endif
