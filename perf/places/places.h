/* SPDX-License-Identifier: MIT */
/*
 * places - what the parts of rota-places share
 */
#ifndef ROTA_PERF_PLACES_H
#define ROTA_PERF_PLACES_H

#include "sched/place.h"

/* Say why, and end with status 1. */
_Noreturn void places_fail(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

/* The plan as one line of JSON on standard output. */
void places_json(const struct places *places);

/* Write a file; if that fails, say why and end, and an old file stays as it
   was. */
void places_save(const char *name, const char *text, size_t size);

/*
 * Draw the machine into the file @svg, with all victims in order; those of the
 * worker @from in colours.
 */
void places_draw(const struct places *places, unsigned from, const char *svg);

#endif
