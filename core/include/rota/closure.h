/* SPDX-License-Identifier: MIT */
/*
 * rota/closure.h - messages that are a function and what it has captured
 *
 *	struct add { long by; };
 *
 *	static int add(void *state, void *capture)
 *	{
 *		struct counter *counter = state;
 *		struct add *a = capture;
 *
 *		counter->total += a->by;
 *		return 0;
 *	}
 *
 *	struct add a = {.by = 10};
 *	rota_cast(id, add, &a);
 *
 * The function runs in a turn of the actor, with the actor's state: never
 * beside a handler or another such function, and in order with all other
 * messages. It may do whatever a handler may. Any actor takes closures; who
 * sends one has to know of what type its state is. (<rota/cell.h> makes objects
 * for which the compiler knows.)
 *
 * The captured bytes are copied. Up to ROTA_INLINE_CAPTURE travel inside the
 * message block, and cost what a typed message costs; up to ROTA_MAX_PAYLOAD
 * are copied into a larger one. The function gets them aligned to 8 bytes,
 * valid until it returns and its to change.
 *
 * It returns what the handler of a SEND message returns: 0, or a negative
 * number if the actor has failed. ROTA_UNKNOWN makes it a dead letter.
 *
 * What is not run becomes a dead letter, with the tag ROTA_TAG_CLOSURE, its
 * function, and its capture as the payload. rota_status() shows that tag too.
 */
#ifndef ROTA_CLOSURE_H
#define ROTA_CLOSURE_H

#include <rota/actor.h>
#include <rota/ask.h>

#ifdef __cplusplus
#include <type_traits>
#endif

ROTA_EXTERN_C_BEGIN

/* So much may be captured inside the message block. */
#define ROTA_INLINE_CAPTURE 32

/* The tag of closures, where one is told; no message has it. */
#define ROTA_TAG_CLOSURE (ROTA_MAX_TAG + 1)

typedef int rota_function(void *state, void *capture);

/**
 * rota_cast_bytes() - have an actor run a function
 * @to:       the actor
 * @function: gets the actor's state and a copy of the capture
 * @capture:  @length bytes, copied; may be NULL if that is 0
 * @length:   0 ... ROTA_MAX_PAYLOAD
 * @within:   as in rota_send_within(); ROTA_NOW gives -EAGAIN when full
 *
 * Context: a handler (its turn waits) or any thread (the thread waits).
 * Errors:  those of rota_send_within(). The function does not run then, and
 *          what the capture refers to is the caller's.
 * Return:  0 or one of these errors.
 */
ROTA_API int rota_cast_bytes(rota_id to, rota_function *function,
			     const void *capture, size_t length,
			     int64_t within);

/**
 * rota_cast_with() - the general form
 * @drop:  NULL, or what ends the capture, see below
 * @flags: ROTA_URGENT or 0
 * @to, @function, @capture, @length, @within: as in rota_cast_bytes()
 *
 * For captures that own something: on success @drop(capture, length) runs
 * exactly once, whatever happens: after the function has returned, or when the
 * message becomes a dead letter. A function that keeps what was captured calls
 * rota_keep(); then @drop does not run. On failure the capture is the caller's
 * as before. With a @drop, 8 bytes less fit into the message block.
 *
 * Context: as for rota_cast_bytes(). @drop runs in any of the engine's threads,
 *          and does not wait.
 * Errors:  those, and -EINVAL for other flags.
 * Return:  0 or one of these errors.
 */
ROTA_API int rota_cast_with(rota_id to, rota_function *function,
			    const void *capture, size_t length,
			    void (*drop)(void *capture, size_t length),
			    unsigned flags, int64_t within);

/**
 * rota_cast_with_until() - have an actor run a function, or not after a moment
 * @deadline: as in rota_send_until()
 * @to, @function, @capture, @length, @drop, @flags: as in rota_cast_with()
 *
 * Waits for room until then at most; what has not begun before is not run, but
 * becomes a dead letter. The deadline is that of what the function sends and
 * asks. (Other casts have that of the message in hand, if it has one; with
 * rota_deadline_in(ROTA_FOREVER) this one has none.)
 *
 * Context: as for rota_cast_bytes().
 * Errors:  those of rota_cast_with(); -ETIMEDOUT also if @deadline has passed.
 * Return:  0 or one of these errors.
 */
ROTA_API int rota_cast_with_until(rota_id to, rota_function *function,
				  const void *capture, size_t length,
				  void (*drop)(void *capture, size_t length),
				  unsigned flags, rota_deadline deadline);

/**
 * rota_call_bytes() - have an actor run a function, and wait for it
 * @to, @function, @length: as in rota_cast_bytes()
 * @capture: copied to the actor; once the function has run, what it has made of
 *           its copy is copied back
 * @within:  for all of it, as in rota_ask(); ROTA_DEFAULT is fine
 *
 * An ask whose request is a function, see <rota/ask.h>: what the function
 * returns is the answer and nothing more, its sign does not matter. It may also
 * answer early, or take the token and have it answered later, as a handler may;
 * then the reply that is given there is what comes back.
 *
 * Context: a handler (its turn waits), a task or any thread (the thread waits).
 * Return:  as rota_ask(): what the function returned, 0 or a positive number;
 *          or a negative error, with *capture as it was. -EDEADLK: an actor
 *          calls itself, or all in a circle call each other.
 */
ROTA_API int rota_call_bytes(rota_id to, rota_function *function, void *capture,
			     size_t length, int64_t within);

/* rota_call_bytes() with a deadline of its own: see rota_ask_until(). */
ROTA_API int rota_call_bytes_until(rota_id to, rota_function *function,
				   void *capture, size_t length,
				   rota_deadline deadline);

ROTA_EXTERN_C_END

/*
 * rota_cast(to, function, capture) - of *capture, as large as its type
 *
 *	int rota_cast(rota_id to, rota_function *function, T *capture);
 *	int rota_try_cast(to, function, capture)           never waits for room
 *	int rota_cast_urgent(to, function, capture)        into the urgent lane
 *	int rota_cast_within(to, function, capture, within)
 *	int rota_cast_until(to, function, capture, deadline)  rota_send_until()
 *
 * (The capture may be &(struct add){.by = 10}; for the last two it then needs
 * parentheses around. Nothing to capture: rota_cast_bytes(), NULL, 0.)
 *
 *	int rota_call(to, function, capture, within)       of rota_call_bytes()
 *	int rota_call_until(to, function, capture, deadline)  rota_ask_until()
 */
#define rota_cast(to, function, ...) \
	rota_cast_bytes(to, function, ROTA__CAPTURE(__VA_ARGS__), ROTA_FOREVER)
#define rota_try_cast(to, function, ...) \
	rota_cast_bytes(to, function, ROTA__CAPTURE(__VA_ARGS__), ROTA_NOW)
#define rota_cast_within(to, function, capture, within) \
	rota_cast_bytes(to, function, ROTA__CAPTURE(capture), within)
#define rota_cast_until(to, function, capture, deadline)                    \
	rota_cast_with_until(to, function, ROTA__CAPTURE(capture), NULL, 0, \
			     deadline)
#define rota_cast_urgent(to, function, ...)                            \
	rota_cast_with(to, function, ROTA__CAPTURE(__VA_ARGS__), NULL, \
		       ROTA_URGENT, ROTA_FOREVER)

#define rota_call(to, function, capture, within) \
	rota_call_bytes(to, function, ROTA__CAPTURE(capture), within)
#define rota_call_until(to, function, capture, deadline) \
	rota_call_bytes_until(to, function, ROTA__CAPTURE(capture), deadline)

/* The capture is evaluated once. */
#ifdef __cplusplus
template <class T> inline size_t rota__capture_size()
{
	static_assert(std::is_trivially_copyable<T>::value,
		      "rota: a capture is copied as bytes");
	static_assert(alignof(T) <= 8, "rota: a capture is aligned to 8 bytes");
	return sizeof(T);
}
#define ROTA__CAPTURE(...)                                                \
	(__VA_ARGS__),                                                    \
		rota__capture_size<                                       \
			typename std::remove_pointer<typename std::decay< \
				decltype(__VA_ARGS__)>::type>::type>()
#else
#define ROTA__CAPTURE(...)                                                 \
	(__VA_ARGS__),                                                     \
		sizeof(*(__VA_ARGS__)) +                                   \
			0 * sizeof(struct {                                \
				_Static_assert(                            \
					_Alignof(__typeof__(*(             \
						__VA_ARGS__))) <= 8,       \
					"rota: a capture is aligned to 8 " \
					"bytes");                          \
				char c;                                    \
			})
#endif

#endif
