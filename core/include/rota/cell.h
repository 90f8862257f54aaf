/* SPDX-License-Identifier: MIT */
/*
 * rota/cell.h - a thread-safe object, made of any struct
 *
 * A cell is a state that only functions of its own touch, one at a time and in
 * the order in which they were asked for, by whichever threads and actors. It
 * needs no lock: each function travels to the state as a closure (see
 * <rota/closure.h>). What its users see can be a small interface of the
 * object's own, which shows no actor at all.
 *
 *	struct map { ... };
 *	static void map_fini(struct map *map) { ... }
 *	ROTA_CELL(map, struct map, map_fini);
 *
 *	struct entry { long key, value; };
 *	static int put(struct map *map, const struct entry *e) { ... }
 *	static int get(struct map *map, struct entry *e) { ... }
 *	ROTA_CELL_FN(map, put, struct entry);
 *	ROTA_CELL_FN(map, get, struct entry);
 *
 *	map_cell *cell = map_make(engine, &(struct map){ 0 }, NULL);
 *
 *	map_cast_put(cell, &(struct entry){ .key = 1, .value = 2 });
 *	if (map_call_get(cell, &e, ROTA_FOREVER) == 0)
 *		... e.value ...
 *	map_release(cell);
 *
 * A cast sends the function and a copy of the capture, and goes on. A call
 * waits until the function has run, and brings back its copy of the capture: in
 * a handler the turn waits, in a thread the thread.
 *
 * Owners. Who makes a cell owns it; map_retain() makes one owner more, in any
 * thread or handler, map_release() one less. When the last owner releases it,
 * what was cast before is run, then map_fini(), and the state is gone. Only
 * owners may use the cell: a function that casts to its own cell while that
 * drains gets -ESHUTDOWN. The pointer stays good until it is released, also
 * where the engine has been stopped (which runs map_fini(), and makes dead
 * letters of what is queued): casts and calls give -ESRCH then.
 *
 * A function that is cast returns 0; a negative number fails the cell: its
 * destructor runs, and from then on all get -ESRCH. What a function that is
 * called returns is only the caller's, see rota_call_bytes().
 *
 * Where it runs. On the engine's workers, like any actor; or, by the options of
 * map_make(), on a thread of its own (ROTA_OWN_THREAD in actor.h), for what blocks
 * or belongs to one thread. Its users do not see the difference.
 *
 * What has the wrong type does not compile: the cell, the state or the capture
 * of a function, the capture of a cast or call, the destructor.
 */
#ifndef ROTA_CELL_H
#define ROTA_CELL_H

#include <rota/closure.h>
#include <rota/protocol.h>

ROTA_EXTERN_C_BEGIN

/* A cell of whatever type; what ROTA_CELL() makes is written with these. */
typedef struct rota_cell rota_cell;

/**
 * rota_cell_make() - make a cell, with one owner
 * @engine, @behaviour, @state, @options: as in rota_spawn()
 *
 * Context: a handler or any thread; never waits.
 * Return:  the cell; NULL with errno set as rota_spawn() says.
 */
ROTA_API rota_cell *rota_cell_make(rota_engine *engine,
				   const struct rota_behaviour *behaviour,
				   const void *state,
				   const struct rota_spawn_options *options);

/* One owner more; the caller is one. Returns @cell. Any context. */
ROTA_API rota_cell *rota_cell_retain(rota_cell *cell);

/**
 * rota_cell_release() - the caller does not own the cell any more
 * @cell: NULL is allowed and does nothing
 *
 * The last one drains it: returns at once, what is queued still runs.
 *
 * Context: any thread or handler, also in a function of the cell itself; never
 *          waits.
 */
ROTA_API void rota_cell_release(rota_cell *cell);

/* The actor that it is, for rota_status(), rota_join(), rota_cast_bytes(). */
ROTA_API rota_id rota_cell_id(const rota_cell *cell);

ROTA_EXTERN_C_END

/**
 * ROTA_CELL() - make a type of cells
 * @name:    prefix of all it declares
 * @T:       type of the state, see ROTA_MAX_STATE: struct map
 * @destroy: void destroy(T *state), which runs once when the state is done
 *           with; or NULL
 *
 * Stands in one file. Defines the type NAME_cell and
 *
 *	NAME_cell *NAME_make(rota_engine *engine, const T *state,
 *			     const struct rota_spawn_options *options);
 *	NAME_cell *NAME_retain(NAME_cell *cell);
 *	void NAME_release(NAME_cell *cell);
 *	rota_id NAME_id(const NAME_cell *cell);
 *
 * which are the calls above. The state is copied; options say how large the
 * mailbox is, and whether it has a thread of its own.
 */
#define ROTA_CELL(name, T, destroy)                                           \
	ROTA__ASSERT(sizeof(T) <= ROTA_MAX_STATE,                             \
		     "rota: " #T " is larger than 1 MiB");                    \
	ROTA__ASSERT(ROTA__ALIGNOF(T) <= 16,                                  \
		     "rota: " #T " needs more than the 16 bytes of alignment" \
		     " there are");                                           \
	ROTA__ASSERT(ROTA__IS_BYTES(T),                                       \
		     "rota: " #T " cannot be copied as bytes");               \
	typedef T name##__state;                                              \
	typedef struct name##_cell name##_cell;                               \
	ROTA__INLINE int name##__handle(void *state_, unsigned tag_,          \
					void *payload_, size_t length_)       \
	{                                                                     \
		(void)state_;                                                 \
		(void)tag_;                                                   \
		(void)payload_;                                               \
		(void)length_;                                                \
		return ROTA_UNKNOWN;                                          \
	}                                                                     \
	ROTA__INLINE void name##__destroy(void *state_)                       \
	{                                                                     \
		void (*const destroy_)(T * self_) = destroy;                  \
		if (destroy_ != NULL)                                         \
			destroy_(ROTA__CAST(T *, state_));                    \
	}                                                                     \
	static const struct rota_behaviour name##__behaviour = {              \
		sizeof(struct rota_behaviour),                                \
		#name,                                                        \
		sizeof(T),                                                    \
		name##__handle,                                               \
		name##__destroy,                                              \
		NULL};                                                        \
	ROTA__INLINE name##_cell *name##_make(                                \
		rota_engine *engine_, T const *init_,                         \
		const struct rota_spawn_options *options_)                    \
	{                                                                     \
		return ROTA__CELL_OF(name, rota_cell_make(engine_,            \
							  &name##__behaviour, \
							  init_, options_));  \
	}                                                                     \
	ROTA__INLINE name##_cell *name##_retain(name##_cell *cell_)           \
	{                                                                     \
		return ROTA__CELL_OF(name,                                    \
				     rota_cell_retain(ROTA__CELL(cell_)));    \
	}                                                                     \
	ROTA__INLINE void name##_release(name##_cell *cell_)                  \
	{                                                                     \
		rota_cell_release(ROTA__CELL(cell_));                         \
	}                                                                     \
	ROTA__INLINE rota_id name##_id(const name##_cell *cell_)              \
	{                                                                     \
		return rota_cell_id(ROTA__CAST(                               \
			const rota_cell *, ROTA__CAST(const void *, cell_))); \
	}                                                                     \
	ROTA__ASSERT(1, #name)

/**
 * ROTA_CELL_FN() - a function of a cell: how it is cast and called
 * @name: of the cell
 * @fn:   int fn(T *state, C *capture), int fn(T *state, const C *capture), or
 *        int fn(T *state) if C is void
 * @C:    type of the capture, or void
 *
 * Defines, with C void without the capture,
 *
 *	int NAME_cast_FN(NAME_cell *cell, const C *capture);
 *	int NAME_try_cast_FN(NAME_cell *cell, const C *capture);
 *	int NAME_cast_FN_within(NAME_cell *cell, const C *capture, within);
 *	int NAME_cast_FN_until(NAME_cell *cell, const C *capture, deadline);
 *	int NAME_cast_FN_urgent(NAME_cell *cell, const C *capture);
 *	int NAME_call_FN(NAME_cell *cell, C *capture, int64_t within);
 *	int NAME_call_FN_until(NAME_cell *cell, C *capture, deadline);
 *
 * which wait for room, do not, do for so long, or until a moment after which
 * the function is not run any more, go into the urgent lane; and wait for the
 * function itself, for so long or until a moment. They return what
 * rota_cast_bytes() and rota_call_bytes() return.
 */
#define ROTA_CELL_FN(name, fn, C)                                   \
	ROTA__VOID_OR(C, ROTA__CELL_FN_VOID, ROTA__CELL_FN_CAPTURE) \
	(name, fn, C)

/**
 * ROTA_CELL_OWN() - a function whose capture owns something
 * @drop: void drop(C *capture)
 * @name, @fn, @C: as in ROTA_CELL_FN(); C is not void
 *
 * Defines the casts, without a call. After a cast that returned 0 the capture's
 * copy is dropped exactly once, whatever happens, unless the function takes it
 * over with rota_keep(). After one that failed *capture is the caller's still.
 */
#define ROTA_CELL_OWN(name, fn, C, drop)                                    \
	ROTA__CELL_CAPTURE(name, fn, C)                                     \
	ROTA__INLINE void name##__drop_##fn(void *capture_, size_t length_) \
	{                                                                   \
		void (*const drop_)(C * own_) = drop;                       \
		(void)length_;                                              \
		drop_(ROTA__CAST(C *, capture_));                           \
	}                                                                   \
	ROTA__CELL_CASTS(                                                   \
		name, fn, ROTA__CELL_WITH,                                  \
		(name##_cell * cell_, C const *capture_),                   \
		(name##_cell * cell_, C const *capture_, int64_t within_),  \
		(name##_cell * cell_, C const *capture_,                    \
		 rota_deadline deadline_),                                  \
		(capture_, sizeof(C), name##__drop_##fn))                   \
	ROTA__ASSERT(1, #fn)

/*
 * From here on nothing is for direct use.
 */

#define ROTA__CELL(cell) ROTA__CAST(rota_cell *, ROTA__CAST(void *, cell))
#define ROTA__CELL_OF(name, cell) \
	ROTA__CAST(name##_cell *, ROTA__CAST(void *, cell))

#ifdef __cplusplus
#define ROTA__CELL_IS(fn, S, C)                                   \
	(std::is_same<decltype(&fn), int (*)(S *, C *)>::value || \
	 std::is_same<decltype(&fn), int (*)(S *, C const *)>::value)
#define ROTA__CELL_IS_VOID(fn, S) \
	std::is_same<decltype(&fn), int (*)(S *)>::value
#else
#define ROTA__CELL_IS(fn, S, C)                                           \
	_Generic(&fn, int (*)(S *, C *) : 1, int (*)(S *, C const *) : 1, \
		 default : 0)
#define ROTA__CELL_IS_VOID(fn, S) _Generic(&fn, int (*)(S *) : 1, default : 0)
#endif

/* What the closure runs: the one place where the types are left behind. */
#define ROTA__CELL_CAPTURE(name, fn, C)                                      \
	ROTA__ASSERT(ROTA__CELL_IS(fn, name##__state, C),                    \
		     "rota: a function of the cell " #name                   \
		     " with this capture is int " #fn "(its state *, " #C    \
		     " *)");                                                 \
	ROTA__ASSERT(sizeof(C) <= ROTA_MAX_PAYLOAD,                          \
		     "rota: " #C " is larger than 64 KiB");                  \
	ROTA__ASSERT(ROTA__ALIGNOF(C) <= 8,                                  \
		     "rota: " #C                                             \
		     " needs more than the 8 bytes of alignment there are"); \
	ROTA__ASSERT(ROTA__IS_BYTES(C),                                      \
		     "rota: " #C " cannot be copied as bytes");              \
	ROTA__INLINE int name##__run_##fn(void *state_, void *capture_)      \
	{                                                                    \
		return fn(ROTA__CAST(name##__state *, state_),               \
			  ROTA__CAST(C *, capture_));                        \
	}

#define ROTA__CELL_FN_CAPTURE(name, fn, C)                                 \
	ROTA__CELL_CAPTURE(name, fn, C)                                    \
	ROTA__CELL_CASTS(                                                  \
		name, fn, ROTA__CELL_BYTES,                                \
		(name##_cell * cell_, C const *capture_),                  \
		(name##_cell * cell_, C const *capture_, int64_t within_), \
		(name##_cell * cell_, C const *capture_,                   \
		 rota_deadline deadline_),                                 \
		(capture_, sizeof(C), NULL))                               \
	ROTA__INLINE int name##_call_##fn(name##_cell *cell_, C *capture_, \
					  int64_t within_)                 \
	{                                                                  \
		return rota_call_bytes(name##_id(cell_), name##__run_##fn, \
				       capture_, sizeof(C), within_);      \
	}                                                                  \
	ROTA__INLINE int name##_call_##fn##_until(                         \
		name##_cell *cell_, C *capture_, rota_deadline deadline_)  \
	{                                                                  \
		return rota_call_bytes_until(name##_id(cell_),             \
					     name##__run_##fn, capture_,   \
					     sizeof(C), deadline_);        \
	}                                                                  \
	ROTA__ASSERT(1, #fn)

#define ROTA__CELL_FN_VOID(name, fn, C)                                        \
	ROTA__ASSERT(ROTA__CELL_IS_VOID(fn, name##__state),                    \
		     "rota: a function of the cell " #name                     \
		     " without a capture is int " #fn "(its state *)");        \
	ROTA__INLINE int name##__run_##fn(void *state_, void *capture_)        \
	{                                                                      \
		(void)capture_;                                                \
		return fn(ROTA__CAST(name##__state *, state_));                \
	}                                                                      \
	ROTA__CELL_CASTS(name, fn, ROTA__CELL_BYTES, (name##_cell * cell_),    \
			 (name##_cell * cell_, int64_t within_),               \
			 (name##_cell * cell_, rota_deadline deadline_),       \
			 (NULL, 0, NULL))                                      \
	ROTA__INLINE int name##_call_##fn(name##_cell *cell_, int64_t within_) \
	{                                                                      \
		return rota_call_bytes(name##_id(cell_), name##__run_##fn,     \
				       NULL, 0, within_);                      \
	}                                                                      \
	ROTA__INLINE int name##_call_##fn##_until(name##_cell *cell_,          \
						  rota_deadline deadline_)     \
	{                                                                      \
		return rota_call_bytes_until(name##_id(cell_),                 \
					     name##__run_##fn, NULL, 0,        \
					     deadline_);                       \
	}                                                                      \
	ROTA__ASSERT(1, #fn)

/*
 * The casts. @one: their parameters; @two: and a time; @three: and a moment;
 * @what: the capture, its length, its drop function; @CAST: how they go without
 * an option.
 */
#define ROTA__CELL_CASTS(name, fn, CAST, one, two, three, what)                \
	ROTA__INLINE int name##_cast_##fn one                                  \
	{                                                                      \
		return CAST(name##_id(cell_), name##__run_##fn, ROTA_FOREVER,  \
			    ROTA__CELL_ARGUMENTS what);                        \
	}                                                                      \
	ROTA__INLINE int name##_try_cast_##fn one                              \
	{                                                                      \
		return CAST(name##_id(cell_), name##__run_##fn, ROTA_NOW,      \
			    ROTA__CELL_ARGUMENTS what);                        \
	}                                                                      \
	ROTA__INLINE int name##_cast_##fn##_within two                         \
	{                                                                      \
		return CAST(name##_id(cell_), name##__run_##fn, within_,       \
			    ROTA__CELL_ARGUMENTS what);                        \
	}                                                                      \
	ROTA__INLINE int name##_cast_##fn##_until three                        \
	{                                                                      \
		return ROTA__CELL_UNTIL(name##_id(cell_), name##__run_##fn,    \
					deadline_, ROTA__CELL_ARGUMENTS what); \
	}                                                                      \
	ROTA__INLINE int name##_cast_##fn##_urgent one                         \
	{                                                                      \
		return ROTA__CELL_URGENT(name##_id(cell_), name##__run_##fn,   \
					 ROTA__CELL_ARGUMENTS what);           \
	}

#define ROTA__CELL_ARGUMENTS(capture, length, drop) capture, length, drop
#define ROTA__CELL_BYTES(...) ROTA__CELL_BYTES_(__VA_ARGS__)
#define ROTA__CELL_BYTES_(to, run, within, capture, length, drop) \
	rota_cast_bytes(to, run, capture, length, within)
#define ROTA__CELL_WITH(...) ROTA__CELL_WITH_(__VA_ARGS__)
#define ROTA__CELL_WITH_(to, run, within, capture, length, drop) \
	rota_cast_with(to, run, capture, length, drop, 0, within)
#define ROTA__CELL_UNTIL(...) ROTA__CELL_UNTIL_(__VA_ARGS__)
#define ROTA__CELL_UNTIL_(to, run, deadline, capture, length, drop) \
	rota_cast_with_until(to, run, capture, length, drop, 0, deadline)
#define ROTA__CELL_URGENT(...) ROTA__CELL_URGENT_(__VA_ARGS__)
#define ROTA__CELL_URGENT_(to, run, capture, length, drop)          \
	rota_cast_with(to, run, capture, length, drop, ROTA_URGENT, \
		       ROTA_FOREVER)

#endif
