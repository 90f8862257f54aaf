/* SPDX-License-Identifier: MIT */
/*
 * id - how an actor's name is made
 *
 * id = engine << 56 | slot << 24 | generation
 *
 * engine 0 is none: then the slot holds the errno of the spawn that failed.
 * generation 0 names nothing, so that memory that is all zero has no name.
 */
#ifndef ROTA_CORE_ID_H
#define ROTA_CORE_ID_H

#include <rota/base.h>

#define ID_GENERATION_BITS 24
#define ID_MAX_GENERATION ((1u << ID_GENERATION_BITS) - 1)
#define ID_MAX_ENGINE 255u

static inline rota_id id_make(unsigned engine, uint32_t slot,
			      uint32_t generation)
{
	return (rota_id)engine << 56 | (rota_id)slot << ID_GENERATION_BITS |
	       generation;
}

static inline unsigned id_engine(rota_id id)
{
	return (unsigned)(id >> 56);
}

static inline uint32_t id_slot(rota_id id)
{
	return (uint32_t)(id >> ID_GENERATION_BITS);
}

static inline uint32_t id_generation(rota_id id)
{
	return (uint32_t)id & ID_MAX_GENERATION;
}

/* @error is a negative errno. */
static inline rota_id id_of_error(int error)
{
	return (rota_id)(unsigned)-error << ID_GENERATION_BITS;
}

#endif
