/* SPDX-License-Identifier: MIT */
/*
 * look - at an actor from outside, at one moment
 */
#ifndef ROTA_CORE_LOOK_H
#define ROTA_CORE_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#include <rota/status.h>

#include "core/engine.h"
#include "core/watch.h"
#include "mailbox/sift.h"

struct look {
	const struct behaviour *behaviour;
	const struct task_class *class; /* leads there */
	enum rota_activity activity;
	int worker; /* that runs it, or on which it waits; -1 */
	bool is_closing;
	unsigned capacity;
	unsigned over; /* messages beyond it, see overflow.h */
	unsigned over_limit;
	uint64_t begun;	 /* messages that it has begun to handle */
	uint64_t length; /* messages queued and in hand */
	uint64_t queued; /* without the one in hand */
	bool calls;	 /* waits below the turn that it has called */
	/* Valid while it runs, or calls: then of that turn. */
	struct sighting sighting;
	/* Valid while it waits. */
	uint64_t since_ns;
	unsigned tag;
	enum rota_waits_for waits_for;
	rota_id whom;
	/* What it would take, if it chooses and is idle or waits for that. */
	struct tag_set tags;
	/* Queries in progress beside each other. */
	unsigned n_readings;
};

/* 0 or -ESRCH. The caller is inside the engine. */
int look_at(struct engine *engine, rota_id id, struct look *look);

#endif
