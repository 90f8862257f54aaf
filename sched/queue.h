/* SPDX-License-Identifier: MIT */
/*
 * queue - a worker's ring of runnable tasks: one owner, many thieves
 *
 * FIFO. queue_push() and queue_pop() are the owner's; queue_steal() is
 * anybody's who owns another queue.
 */
#ifndef ROTA_SCHED_QUEUE_H
#define ROTA_SCHED_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <atomic_ops.h>

#include "sched/task.h"

/* A power of two; a checker build shrinks it. */
#ifndef QUEUE_CAPACITY
#define QUEUE_CAPACITY 256u
#endif

/*
 * head = steal << 32 | real. Both are free-running 32-bit counters.
 *   real    next task to take
 *   steal   first task that a thief still copies; == real when none does
 */
struct queue {
	AO_t xhead; /* CAS by owner and thieves */
	AO_t xtail; /* stored by the owner, read by thieves */
	char pad[48];
	AO_t slot[QUEUE_CAPACITY]; /* struct task *; written by the owner */
};

enum queue_steal {
	QUEUE_STOLEN,
	QUEUE_EMPTY,
	QUEUE_LOST /* another thief is at it, there or here */
};

void queue_init(struct queue *queue);

/* How many tasks anyone sees; exact for the owner while no one steals. */
static inline uint32_t queue_length(const struct queue *queue)
{
	/* Relaxed: an estimate, or re-checked by the CAS that takes. */
	uint32_t real = (uint32_t)AO_load(&queue->xhead);

	/* Relaxed, as above. */
	return (uint32_t)AO_load(&queue->xtail) - real;
}

/* False if the ring is full. */
static inline bool queue_push(struct queue *queue, struct task *task)
{
	/* [Q3] pairs with queue_steal(): the thief has copied its slots */
	uint32_t steal = (uint32_t)(AO_load_acquire(&queue->xhead) >> 32);
	/* Relaxed: the owner's own. */
	uint32_t tail = (uint32_t)AO_load(&queue->xtail);

	if (__builtin_expect(tail - steal >= QUEUE_CAPACITY, 0))
		return false;
	/* Relaxed: published by the store of tail. */
	AO_store(&queue->slot[tail % QUEUE_CAPACITY], (AO_t)task);
	/* [Q1] pairs with queue_steal(): the slot is filled */
	AO_store_release(&queue->xtail, (AO_t)(tail + 1));
	return true;
}

/* The oldest task, or NULL. */
static inline struct task *queue_pop(struct queue *queue)
{
	/* Relaxed: the owner's own. */
	uint32_t tail = (uint32_t)AO_load(&queue->xtail);
	/* Relaxed: the CAS re-checks it; slots are the owner's own writes. */
	AO_t head = AO_load(&queue->xhead);

	for (;;) {
		uint32_t steal = (uint32_t)(head >> 32);
		uint32_t real = (uint32_t)head;
		AO_t next = (AO_t)(uint32_t)(real + 1);
		AO_t seen;
		AO_t task;

		if (real == tail)
			return NULL;
		next |= (AO_t)(steal == real ? real + 1 : steal) << 32;
		/* Relaxed: the owner wrote the slot itself. */
		task = AO_load(&queue->slot[real % QUEUE_CAPACITY]);
		/*
		 * [Q2] pairs with queue_steal(): one of the two gets the task.
		 * Fails only when a thief has made progress.
		 */
		seen = AO_fetch_compare_and_swap_full(&queue->xhead, head,
						      next);
		if (seen == head)
			return (struct task *)task;
		head = seen;
	}
}

/*
 * Move about half of @victim into @own and return one of them to run now.
 */
enum queue_steal queue_steal(struct queue *victim, struct queue *own,
			     struct task **first, uint32_t *n_moved);

#endif
