/* SPDX-License-Identifier: MIT */
/*
 * rota/base.h - identities, times and errors: what every other header uses
 */
#ifndef ROTA_BASE_H
#define ROTA_BASE_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
/* g++ -Wshadow minds a function named like a struct, which is usual in C. */
#define ROTA_EXTERN_C_BEGIN                                               \
	_Pragma("GCC diagnostic push")                                    \
		_Pragma("GCC diagnostic ignored \"-Wshadow\"") extern "C" \
	{
#define ROTA_EXTERN_C_END \
	}                 \
	_Pragma("GCC diagnostic pop")
#else
#define ROTA_EXTERN_C_BEGIN
#define ROTA_EXTERN_C_END
#endif

#if defined(__GNUC__)
#define ROTA_API __attribute__((visibility("default")))
#define ROTA_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define ROTA_API
#define ROTA_PRINTF(fmt, args)
#endif

/* Initialises an option struct: its size, and the default of all else. */
#ifdef __cplusplus
template <typename options> inline options rota_sized()
{
	options zero = options();

	zero.size = sizeof(zero);
	return zero;
}
#define ROTA_SIZED(name) rota_sized<struct name>()
#else
#define ROTA_SIZED(name)                    \
	{                                   \
		.size = sizeof(struct name) \
	}
#endif

ROTA_EXTERN_C_BEGIN

typedef struct rota_engine rota_engine;

/**
 * rota_id - the name of an actor: a plain 64-bit value
 *
 * Copy it, store it, compare it with ==, print it (%016PRIx64), send it to
 * others. It never dangles: once its actor is gone every call on it returns
 * -ESRCH, for ever, even when the memory serves another actor by then. A failed
 * spawn yields an id too; every call on that one returns the spawn's error.
 */
typedef uint64_t rota_id;

/* No actor. Calls on it return -ESRCH. */
#define ROTA_NONE ((rota_id)0)

/*
 * Durations are relative nanoseconds in an int64_t. Where a call takes one,
 * ROTA_NOW asks without waiting and ROTA_FOREVER waits without limit.
 */
#define ROTA_NOW INT64_C(0)
#define ROTA_FOREVER INT64_MAX
/* In calls that ask (rota_ask() and what is made of it), and only there: the
   time that whom is asked has for that, see rota_spawn_options.ask_within. */
#define ROTA_DEFAULT INT64_MIN
#define ROTA_NS(n) ((int64_t)(n))
#define ROTA_US(n) ((int64_t)(n)*1000)
#define ROTA_MS(n) ((int64_t)(n)*1000000)
#define ROTA_S(n) ((int64_t)(n)*1000000000)

/* A moment, on the clock of rota_deadline_in(). Compare with ->ns. */
typedef struct rota_deadline {
	uint64_t ns; /* UINT64_MAX: never */
} rota_deadline;

/* The moment after that time; ROTA_FOREVER: never. Any thread. */
ROTA_API rota_deadline rota_deadline_in(int64_t within);

/* How long it is until then: 0 it has passed, ROTA_FOREVER it never comes. */
ROTA_API int64_t rota_deadline_left(rota_deadline deadline);

/**
 * rota_id_error() - 0 if @id may name an actor, else the error it carries
 *
 * Says whether a spawn succeeded; it does not say whether the actor still
 * lives.
 *
 * Context: any thread or handler; never waits.
 * Return:  0, or the negative errno of the spawn that yielded @id (-ESRCH for
 *          ROTA_NONE).
 */
ROTA_API int rota_id_error(rota_id id);

/**
 * rota_strerror() - what a return value of this library means, in words
 * @error: a return value; the sign does not matter
 *
 * Context: any thread; never waits.
 * Return:  a constant string, never NULL.
 */
ROTA_API const char *rota_strerror(int error);

ROTA_EXTERN_C_END

#endif
