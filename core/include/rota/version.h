/* SPDX-License-Identifier: MIT */
/*
 * rota/version.h - which version this is: of the headers, of the library
 *
 * Numbers that differ in the first place are versions that do not go together;
 * while the first is 0, the second counts as the first.
 */
#ifndef ROTA_VERSION_H
#define ROTA_VERSION_H

#include <rota/base.h>

ROTA_EXTERN_C_BEGIN

/* Of the headers: what the program is compiled with. */
#define ROTA_VERSION_MAJOR 0
#define ROTA_VERSION_MINOR 1
#define ROTA_VERSION_PATCH 0

#define ROTA_VERSION_STRING "0.1.0"

/* To compare with: #if ROTA_VERSION >= ROTA_VERSION_OF(0, 2, 0). The second
   and the third number are below 1000. */
#define ROTA_VERSION_OF(major, minor, patch) \
	((major)*1000000 + (minor)*1000 + (patch))
#define ROTA_VERSION                                            \
	ROTA_VERSION_OF(ROTA_VERSION_MAJOR, ROTA_VERSION_MINOR, \
			ROTA_VERSION_PATCH)

/**
 * rota_version() - the version of the library that runs
 *
 * With a shared library it may be another than ROTA_VERSION_STRING.
 *
 * Context: anywhere; never waits.
 * Return:  three numbers with points between; a constant, never NULL.
 */
ROTA_API const char *rota_version(void);

ROTA_EXTERN_C_END

#endif
