/* SPDX-License-Identifier: MIT */
/*
 * stats - adds up what every worker has counted
 */
#ifndef ROTA_CORE_STATS_H
#define ROTA_CORE_STATS_H

#include <rota/stats.h>

#include "core/engine.h"

/* The figures of @of, as in rota_stats(), which has checked it. */
void stats_read(struct engine *engine, int of, struct rota_stats *stats);

#endif
