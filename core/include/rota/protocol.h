/* SPDX-License-Identifier: MIT */
/*
 * rota/protocol.h - typed messages: what a C or C++ program writes
 *
 * A protocol is a list of messages. It is written down once, as a macro, and
 * everything else is made of it: a type for the ids of actors that speak it, a
 * tag and typed calls for each message, and the dispatch of an actor type.
 *
 *	struct counter_inc { int by; };
 *
 *	#define COUNTER(M, p) \
 *		M(p, SEND, inc, struct counter_inc) \
 *		M(p, SEND, reset, void)
 *	ROTA_PROTOCOL(counter, COUNTER);           (in a header)
 *
 *	struct counter { long total; };
 *	static int counter_on_inc(struct counter *c,
 *				  const struct counter_inc *m) { ... }
 *	static int counter_on_reset(struct counter *c) { ... }
 *	ROTA_BEHAVIOUR(counter, counter, COUNTER, NULL);   (in one .c file)
 *
 *	counter_id id = counter_spawn(engine, &(struct counter){ 0 }, NULL);
 *	counter_inc(id, (struct counter_inc){ .by = 10 });     (in C)
 *	counter_inc(id, {10});                                 (in C++)
 *
 * Each line of the list is M(p, KIND, name, ...), and what follows the name
 * depends on the kind. T is any complete object type that begins with a name
 * and can be copied as bytes: struct s, enum e, long, const char *, a typedef.
 *
 * SEND  M(p, SEND, inc, T)      the payload travels by value
 *       M(p, SEND, reset, void) there is none
 *	call:    int p_inc(p_id to, T m);       int p_reset(p_id to);
 *	         int p_inc_ref(p_id to, const T *m);     for large structs
 *	handler: int TYPE_on_inc(struct TYPE *self, const T *m);
 *	         int TYPE_on_reset(struct TYPE *self);
 *
 * OWN   M(p, OWN, chunk, T, drop)  a pointer moves, its object stays in place
 *	call:    int p_chunk(p_id to, T *m);
 *	handler: int TYPE_on_chunk(struct TYPE *self, T *m);
 *	On success *m is no longer the caller's, and void drop(T *) runs
 *	exactly once, whatever happens; on failure *m is still the caller's.
 *	The handler may take it over with rota_keep(), or just send it on.
 *
 * BYTES M(p, BYTES, line, T)    a head and a tail of bytes
 *       M(p, BYTES, line, void) the bytes alone
 *	call:    int p_line(p_id to, T head,
 *			    const void *bytes, size_t length);
 *	         int p_line(p_id to, const void *bytes, size_t length);
 *	handler: int TYPE_on_line(struct TYPE *self, const T *head,
 *				  const char *bytes, size_t length);
 *	         int TYPE_on_line(struct TYPE *self, const char *bytes,
 *				  size_t length);
 *	Head and bytes are one payload: sizeof(T) bytes, then the tail,
 *	together up to ROTA_MAX_PAYLOAD (else -EMSGSIZE). Without a head the
 *	bytes are aligned to 8.
 *
 * ASK   M(p, ASK, take, Q, R)   a request and a reply, each of which may be
 * READ  M(p, READ, get, void, R) void; READ: the handler reads the state only
 *	call:    int p_take(p_id to, Q m, R *reply, int64_t within);
 *	         int p_get(p_id to, R *reply, int64_t within);
 *	         (within: a time, ROTA_FOREVER, or ROTA_DEFAULT)
 *	handler: int TYPE_on_take(struct TYPE *self, const Q *m, R *reply);
 *	         int TYPE_on_get(const struct TYPE *self, R *reply);
 *	The call waits for the answer; 0: *reply is set, positive: the handler's
 *	own error, negative: rota's, see <rota/ask.h>. What the handler returns
 *	is the answer and nothing more: 0, or an error, whose sign does not
 *	matter. A handler that has taken the token, to answer later, returns
 *	ROTA_LATER. Variants, with the arguments of the plain call first:
 *
 *	  p_take_urgent(..., within)   through the urgent lane
 *	  p_take_start(..., within, asking)  rota_ask_start(); *reply must last
 *	  p_take_then(to, m, within, reply_tag, context)  rota_ask_then()
 *	  p_take_until(..., deadline), p_take_start_until(..., deadline, asking),
 *	  p_take_then_until(to, m, deadline, reply_tag, context)
 *	                               with a deadline of its own: rota_ask_until()
 *	  p_take_forward(token, to, m, within)            rota_forward()
 *	  p_take_reply(token, R reply)                    rota_reply()
 *
 *	READs that stand in the mailbox one behind the other may be handled at
 *	the same time by several workers: see ROTA_QUERY.
 *
 * Calls of the other kinds return what rota_send() returns and wait for room
 * like it. They have these variants, with the arguments of the plain call first:
 *
 *	p_try_inc(...)            never waits: -EAGAIN when there is no room
 *	p_inc_within(..., within) waits that long at most, then -ETIMEDOUT
 *	p_inc_urgent(...)         into the urgent lane
 *	p_inc_after(..., delay, timer)  SEND only: rota_send_after()
 *	p_inc_until(..., deadline)      of no use after that: rota_send_until()
 *
 * (of the _ref form: p_try_inc_ref, p_inc_ref_within, p_inc_ref_urgent,
 * p_inc_ref_after, p_inc_ref_until). For raw users there are the constants
 * p_inc_tag, and p_of() makes a p_id of a rota_id, say of rota_sender(). A p_id
 * is a struct whose one field, id, is the rota_id.
 *
 * A handler of these returns 0, or a negative number if its actor has failed.
 * Messages that the actor's protocols do not contain, and payloads of a wrong
 * size, are dead letters (ROTA_DEAD_UNKNOWN).
 *
 * What is wrong does not compile, without any compiler option: a handler that
 * is missing or has another type, a payload of another type, an id of another
 * protocol, a message that the protocol does not have. In C this needs three
 * warnings to be errors, which including this header does for the rest of the
 * file; define ROTA_NO_STRICT before to leave them as they are.
 */
#ifndef ROTA_PROTOCOL_H
#define ROTA_PROTOCOL_H

#include <rota/actor.h>
#include <rota/ask.h>
#include <rota/timer.h>

#ifdef __cplusplus
#include <type_traits>
#elif !defined(ROTA_NO_STRICT)
#pragma GCC diagnostic error "-Wimplicit-function-declaration"
#pragma GCC diagnostic error "-Wincompatible-pointer-types"
#pragma GCC diagnostic error "-Wint-conversion"
#endif

/* A number is 1 ... 511; 0 is left to those who use the raw interface. */
#define ROTA_MAX_PROTOCOL 511

/* Messages of one protocol: the low seven bits of a tag say which. */
#define ROTA_MAX_MESSAGES 128

/**
 * ROTA_PROTOCOL() - declare a protocol: its id type, its tags, its calls
 * @name: prefix of all it declares
 * @LIST: the list of messages, see above; 128 at most
 *
 * The protocol's number, which tells its messages from those of others, is
 * computed from @name. Should two protocols of one actor type happen to have
 * the same number, compiling that type says so; give one of them another with
 * ROTA_PROTOCOL_NUMBERED(name, LIST, number), 1 ... ROTA_MAX_PROTOCOL.
 *
 * Where messages carry ids of the protocol itself, or of one that comes later,
 * say ROTA_PROTOCOL_ID(name) before, and ROTA_PROTOCOL_CALLS(name, LIST) or
 * ROTA_PROTOCOL_CALLS_NUMBERED(name, LIST, number) in place of the above.
 */
#define ROTA_PROTOCOL(name, LIST) \
	ROTA_PROTOCOL_ID(name);   \
	ROTA__PROTOCOL(name, LIST, ROTA__HASH(#name))
#define ROTA_PROTOCOL_NUMBERED(name, LIST, number) \
	ROTA_PROTOCOL_ID(name);                    \
	ROTA__PROTOCOL(name, LIST, number)
#define ROTA_PROTOCOL_CALLS(name, LIST) \
	ROTA__PROTOCOL(name, LIST, ROTA__HASH(#name))
#define ROTA_PROTOCOL_CALLS_NUMBERED(name, LIST, number) \
	ROTA__PROTOCOL(name, LIST, number)

#define ROTA_PROTOCOL_ID(name)                        \
	typedef struct name##_id {                    \
		rota_id id;                           \
	} name##_id;                                  \
	ROTA__INLINE name##_id name##_of(rota_id id_) \
	{                                             \
		name##_id typed_ = {id_};             \
		return typed_;                        \
	}                                             \
	ROTA__ASSERT(sizeof(name##_id) == sizeof(rota_id), #name)

/**
 * ROTA_BEHAVIOUR() - make an actor type: struct type speaks a protocol
 * @type:     struct @type is the state; TYPE_on_NAME() are the handlers
 * @protocol: name of the protocol
 * @LIST:     its list
 * @hooks:    NULL or a const struct rota_hooks *, see ROTA_HOOKS()
 *
 * Stands in one file, after the handlers. Defines
 *
 *	PROTOCOL_id TYPE_spawn(rota_engine *engine, const struct TYPE *state,
 *			       const struct rota_spawn_options *options);
 *
 * which is rota_spawn(), and is declared elsewhere by ROTA_SPAWN(type,
 * protocol). Put that, made static, before this one to keep it in its file.
 *
 * ROTA_BEHAVIOUR_2, _3 and _4 take as many pairs of protocol and list. Their
 * TYPE_spawn() returns the id for the first protocol; for each of the others
 * PROTOCOL_id TYPE_as_PROTOCOL(FIRST_id) makes its id, and is declared
 * elsewhere by ROTA_AS(type, first, protocol).
 */
#define ROTA_BEHAVIOUR(type, protocol, LIST, hooks) \
	ROTA__BEHAVIOUR_BEGIN(type)                 \
	ROTA__SPEAK(type, protocol, LIST)           \
	ROTA__HANDLE_BEGIN(type)                    \
	ROTA__CASES(type, protocol, LIST)           \
	ROTA__HANDLE_END                            \
	ROTA__NAMES_BEGIN(type)                     \
	ROTA__NAMES(protocol, LIST)                 \
	ROTA__NAMES_END                             \
	ROTA__SPAWN(type, protocol, hooks)          \
	ROTA__BEHAVIOUR_END(type)

#define ROTA_BEHAVIOUR_2(type, p1, LIST1, p2, LIST2, hooks) \
	ROTA__BEHAVIOUR_BEGIN(type)                         \
	ROTA__SPEAK(type, p1, LIST1)                        \
	ROTA__SPEAK(type, p2, LIST2)                        \
	ROTA__DIFFER(type, p1, p2);                         \
	ROTA__HANDLE_BEGIN(type)                            \
	ROTA__CASES(type, p1, LIST1)                        \
	ROTA__CASES(type, p2, LIST2)                        \
	ROTA__HANDLE_END                                    \
	ROTA__NAMES_BEGIN(type)                             \
	ROTA__NAMES(p1, LIST1)                              \
	ROTA__NAMES(p2, LIST2)                              \
	ROTA__NAMES_END                                     \
	ROTA__AS(type, p1, p2)                              \
	ROTA__SPAWN(type, p1, hooks)                        \
	ROTA__BEHAVIOUR_END(type)

#define ROTA_BEHAVIOUR_3(type, p1, LIST1, p2, LIST2, p3, LIST3, hooks) \
	ROTA__BEHAVIOUR_BEGIN(type)                                    \
	ROTA__SPEAK(type, p1, LIST1)                                   \
	ROTA__SPEAK(type, p2, LIST2)                                   \
	ROTA__SPEAK(type, p3, LIST3)                                   \
	ROTA__DIFFER(type, p1, p2);                                    \
	ROTA__DIFFER(type, p1, p3);                                    \
	ROTA__DIFFER(type, p2, p3);                                    \
	ROTA__HANDLE_BEGIN(type)                                       \
	ROTA__CASES(type, p1, LIST1)                                   \
	ROTA__CASES(type, p2, LIST2)                                   \
	ROTA__CASES(type, p3, LIST3)                                   \
	ROTA__HANDLE_END                                               \
	ROTA__NAMES_BEGIN(type)                                        \
	ROTA__NAMES(p1, LIST1)                                         \
	ROTA__NAMES(p2, LIST2)                                         \
	ROTA__NAMES(p3, LIST3)                                         \
	ROTA__NAMES_END                                                \
	ROTA__AS(type, p1, p2)                                         \
	ROTA__AS(type, p1, p3)                                         \
	ROTA__SPAWN(type, p1, hooks)                                   \
	ROTA__BEHAVIOUR_END(type)

#define ROTA_BEHAVIOUR_4(type, p1, LIST1, p2, LIST2, p3, LIST3, p4, LIST4, \
			 hooks)                                            \
	ROTA__BEHAVIOUR_BEGIN(type)                                        \
	ROTA__SPEAK(type, p1, LIST1)                                       \
	ROTA__SPEAK(type, p2, LIST2)                                       \
	ROTA__SPEAK(type, p3, LIST3)                                       \
	ROTA__SPEAK(type, p4, LIST4)                                       \
	ROTA__DIFFER(type, p1, p2);                                        \
	ROTA__DIFFER(type, p1, p3);                                        \
	ROTA__DIFFER(type, p1, p4);                                        \
	ROTA__DIFFER(type, p2, p3);                                        \
	ROTA__DIFFER(type, p2, p4);                                        \
	ROTA__DIFFER(type, p3, p4);                                        \
	ROTA__HANDLE_BEGIN(type)                                           \
	ROTA__CASES(type, p1, LIST1)                                       \
	ROTA__CASES(type, p2, LIST2)                                       \
	ROTA__CASES(type, p3, LIST3)                                       \
	ROTA__CASES(type, p4, LIST4)                                       \
	ROTA__HANDLE_END                                                   \
	ROTA__NAMES_BEGIN(type)                                            \
	ROTA__NAMES(p1, LIST1)                                             \
	ROTA__NAMES(p2, LIST2)                                             \
	ROTA__NAMES(p3, LIST3)                                             \
	ROTA__NAMES(p4, LIST4)                                             \
	ROTA__NAMES_END                                                    \
	ROTA__AS(type, p1, p2)                                             \
	ROTA__AS(type, p1, p3)                                             \
	ROTA__AS(type, p1, p4)                                             \
	ROTA__SPAWN(type, p1, hooks)                                       \
	ROTA__BEHAVIOUR_END(type)

#define ROTA_SPAWN(type, protocol)                            \
	protocol##_id type##_spawn(rota_engine *engine_,      \
				   const struct type *state_, \
				   const struct rota_spawn_options *options_)

#define ROTA_AS(type, first, protocol) \
	protocol##_id type##_as_##protocol(first##_id id_)

/* What an actor type may have besides handlers; zero means none. */
struct rota_hooks {
	size_t size;
	void (*destroy)(void *state); /* as in struct rota_behaviour */
};

/**
 * ROTA_HOOKS() - make the hooks of struct type out of typed functions
 *
 *	static void counter_fini(struct counter *self) { ... }
 *	ROTA_HOOKS(counter, .destroy = counter_fini);
 *	ROTA_BEHAVIOUR(counter, counter, COUNTER, &counter_hooks);
 *
 * Defines the constant TYPE_hooks. What follows @type initialises a struct of
 * function pointers, for now only void (*destroy)(struct TYPE *self). (C++
 * before 20 has no names there: ROTA_HOOKS(counter, counter_fini).)
 */
#define ROTA_HOOKS(type, ...)                                            \
	struct type##__hooks {                                           \
		void (*destroy)(struct type * self_);                    \
	};                                                               \
	static const struct type##__hooks type##__hooks = {__VA_ARGS__}; \
	static void type##__hook_destroy(void *state_)                   \
	{                                                                \
		if (type##__hooks.destroy != NULL)                       \
			type##__hooks.destroy(                           \
				ROTA__CAST(struct type *, state_));      \
	}                                                                \
	static const struct rota_hooks type##_hooks = {                  \
		sizeof(struct rota_hooks), type##__hook_destroy}

/*
 * From here on nothing is for direct use.
 *
 * The passes over a list are ROTA__INDEX (numbers the messages), ROTA__TAG,
 * ROTA__CALLS, ROTA__CHECK (handlers), ROTA__CASE (dispatch) and ROTA__NAME (what
 * people call them, see rota_behaviour.tag_name). Each takes
 * (p, kind, name, ...) and goes on to a macro of its kind with (p, name, ...),
 * so that a kind has as many arguments as it likes. p is whatever ROTA_PROTOCOL
 * or ROTA_BEHAVIOUR handed to the list: for ROTA__CASE a pair (type, protocol).
 */

#ifdef __cplusplus
#define ROTA__INLINE inline __attribute__((unused))
#define ROTA__CAST(T, x) static_cast<T>(x)
#define ROTA__ASSERT(condition, text) static_assert(condition, text)
#define ROTA__ALIGNOF(T) alignof(T)
#define ROTA__IS_BYTES(T) std::is_trivially_copyable<T>::value
#define ROTA__UNSIGNED_ENUM enum : unsigned
#else
#define ROTA__INLINE static inline __attribute__((unused))
#define ROTA__CAST(T, x) ((T)(x))
#define ROTA__ASSERT(condition, text) _Static_assert(condition, text)
#define ROTA__ALIGNOF(T) _Alignof(T)
#define ROTA__IS_BYTES(T) 1
#define ROTA__UNSIGNED_ENUM __extension__ enum
#endif

#define ROTA__PRAGMA(...) _Pragma(#__VA_ARGS__)

/*
 * ROTA__VOID_OR(T, yes, no): yes if T is void, else no. Only the very token
 * void, not void *, makes ROTA__VOID_##T a macro call, whose comma then shifts
 * yes into third place.
 */
#define ROTA__VOID_OR(T, yes, no) ROTA__THIRD(ROTA__VOID_##T(~), yes, no, ~)
#define ROTA__VOID_void(x) x, x
#define ROTA__THIRD(...) ROTA__THIRD_(__VA_ARGS__)
#define ROTA__THIRD_(a, b, c, ...) c

/*
 * ROTA__HASH(s) - the number of the protocol called s, a constant
 *
 * A polynomial over the first 32 characters. The number has to be a constant
 * that switch labels and assertions accept, in all compilers the same: C++ and
 * clang fold s[i]; gcc does not in C, but folds strspn of two literals, hence
 * the tour bit by bit. Characters outside of ASCII count as 0 everywhere.
 */
#define ROTA__HASH(s) ((ROTA__HASH_32(s) >> 1) % ROTA_MAX_PROTOCOL + 1)
#define ROTA__HASH_32(s) ROTA__HASH_16(s, 16, ROTA__HASH_16(s, 0, 0u))
#define ROTA__HASH_16(s, i, h) ROTA__HASH_8(s, i + 8, ROTA__HASH_8(s, i, h))
#define ROTA__HASH_8(s, i, h) ROTA__HASH_4(s, i + 4, ROTA__HASH_4(s, i, h))
#define ROTA__HASH_4(s, i, h) ROTA__HASH_2(s, i + 2, ROTA__HASH_2(s, i, h))
#define ROTA__HASH_2(s, i, h) ROTA__HASH_1(s, i + 1, ROTA__HASH_1(s, i, h))
#define ROTA__HASH_1(s, i, h) ((h)*16777619u + ROTA__CHAR(s, i))
#define ROTA__AT(s, i) ((i) < sizeof(s) ? (i) : sizeof(s) - 1)
#if defined(__cplusplus) || defined(__clang__)
#define ROTA__CHAR(s, i)                   \
	(((s)[ROTA__AT(s, i)] & 0x80) != 0 \
		 ? 0u                      \
		 : ROTA__CAST(unsigned, (s)[ROTA__AT(s, i)]))
#else
#define ROTA__CHAR(s, i)                                               \
	(ROTA__BIT(s, i, "13579ACEGIKMOQSUWY_acegikmoqsuwy", 0) |      \
	 ROTA__BIT(s, i, "2367BCFGJKNORSVWZ_bcfgjknorsvwz", 1) |       \
	 ROTA__BIT(s, i, "$4567DEFGLMNOTUVW_defglmnotuvw", 2) |        \
	 ROTA__BIT(s, i, "89HIJKLMNOXYZ_hijklmnoxyz", 3) |             \
	 ROTA__BIT(s, i, "0123456789PQRSTUVWXYZ_pqrstuvwxyz", 4) |     \
	 ROTA__BIT(s, i, "$0123456789abcdefghijklmnopqrstuvwxyz", 5) | \
	 ROTA__BIT(s, i,                                               \
		   "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"                       \
		   "abcdefghijklmnopqrstuvwxyz",                       \
		   6))
#define ROTA__BIT(s, i, set, bit) \
	((__builtin_strspn(&(s)[ROTA__AT(s, i)], set) != 0 ? 1u : 0u) << (bit))
#endif

/* ---- ROTA_PROTOCOL ---- */

/* A misspelt kind is one that is not declared here. */
enum {
	rota__kind_SEND = 0,
	rota__kind_OWN = 0,
	rota__kind_BYTES = 0,
	rota__kind_ASK = 0,
	rota__kind_READ = 0
};

#define ROTA__PROTOCOL(p, LIST, number)                                        \
	ROTA__UNSIGNED_ENUM{p##__number = (number)};                           \
	enum { LIST(ROTA__INDEX, p) p##__messages };                           \
	ROTA__ASSERT(ROTA__CAST(int, p##__number) >= 1 &&                      \
			     ROTA__CAST(int, p##__number) <=                   \
				     ROTA_MAX_PROTOCOL,                        \
		     "rota: the number of protocol " #p " must be 1 ... 511"); \
	ROTA__ASSERT(ROTA__CAST(int, p##__messages) <= ROTA_MAX_MESSAGES,      \
		     "rota: protocol " #p " has more than 128 messages");      \
	enum { LIST(ROTA__TAG, p) p##__end };                                  \
	ROTA__CALLS_BEGIN                                                      \
	LIST(ROTA__CALLS, p)                                                   \
	ROTA__CALLS_END                                                        \
	ROTA__ASSERT(1, #p)

#define ROTA__INDEX(p, kind, name, ...) p##__index_##name,
#define ROTA__TAG(p, kind, name, ...)                           \
	p##_##name##_tag = ROTA__CAST(int, p##__number) << 7 |  \
			   ROTA__CAST(int, p##__index_##name) | \
			   rota__kind_##kind,
#define ROTA__TAG_OF(p, name) ROTA__CAST(unsigned, p##_##name##_tag)

/* counter_inc() beside struct counter_inc: see ROTA_EXTERN_C_BEGIN. */
#ifdef __cplusplus
#define ROTA__CALLS_BEGIN                 \
	ROTA__PRAGMA(GCC diagnostic push) \
	ROTA__PRAGMA(GCC diagnostic ignored "-Wshadow")
#define ROTA__CALLS_END ROTA__PRAGMA(GCC diagnostic pop)
#else
#define ROTA__CALLS_BEGIN
#define ROTA__CALLS_END
#endif

#define ROTA__CALLS(p, kind, name, ...) ROTA__CALLS_##kind(p, name, __VA_ARGS__)

/*
 * Asks all that a payload has to be. The first condition is always true; it
 * does not compile for arrays, whose name as a parameter would be a pointer.
 */
#define ROTA__PAYLOAD(p, name, T)                                              \
	ROTA__ASSERT(sizeof(T(*)(void)) != 0 && sizeof(T) <= ROTA_MAX_PAYLOAD, \
		     "rota: the payload of " #p "_" #name                      \
		     " is larger than 64 KiB; move it with OWN");              \
	ROTA__ASSERT(ROTA__ALIGNOF(T) <= 8,                                    \
		     "rota: the payload of " #p "_" #name                      \
		     " needs more than the 8 bytes of alignment there are");   \
	ROTA__ASSERT(ROTA__IS_BYTES(T), "rota: the payload of " #p "_" #name   \
					" cannot be copied as bytes");

#define ROTA__CALLS_SEND(p, name, T)                                    \
	ROTA__VOID_OR(T, ROTA__CALLS_SEND_VOID, ROTA__CALLS_SEND_VALUE) \
	(p, name, T)

#define ROTA__CALLS_SEND_VOID(p, name, T)                                      \
	ROTA__INLINE int p##_##name(p##_id to_)                                \
	{                                                                      \
		return rota_send(to_.id, ROTA__TAG_OF(p, name), NULL, 0);      \
	}                                                                      \
	ROTA__INLINE int p##_try_##name(p##_id to_)                            \
	{                                                                      \
		return rota_try_send(to_.id, ROTA__TAG_OF(p, name), NULL, 0);  \
	}                                                                      \
	ROTA__INLINE int p##_##name##_within(p##_id to_, int64_t within_)      \
	{                                                                      \
		return rota_send_within(to_.id, ROTA__TAG_OF(p, name), NULL,   \
					0, within_);                           \
	}                                                                      \
	ROTA__INLINE int p##_##name##_urgent(p##_id to_)                       \
	{                                                                      \
		return rota_send_urgent(to_.id, ROTA__TAG_OF(p, name), NULL,   \
					0);                                    \
	}                                                                      \
	ROTA__INLINE int p##_##name##_after(p##_id to_, int64_t delay_,        \
					    rota_timer *timer_)                \
	{                                                                      \
		return rota_send_after(to_.id, ROTA__TAG_OF(p, name), NULL, 0, \
				       delay_, timer_);                        \
	}                                                                      \
	ROTA__INLINE int p##_##name##_until(p##_id to_,                        \
					    rota_deadline deadline_)           \
	{                                                                      \
		return rota_send_until(to_.id, ROTA__TAG_OF(p, name), NULL, 0, \
				       deadline_);                             \
	}

#define ROTA__CALLS_SEND_VALUE(p, name, T)                             \
	ROTA__PAYLOAD(p, name, T)                                      \
	ROTA__CALLS_SEND_FORM(p, name##_ref, name, T, T const *m_, m_) \
	ROTA__CALLS_SEND_FORM(p, name, name, T, T m_, &m_)

#define ROTA__CALLS_SEND_FORM(p, form, name, T, parameter, pointer)            \
	ROTA__INLINE int p##_##form(p##_id to_, parameter)                     \
	{                                                                      \
		return rota_send(to_.id, ROTA__TAG_OF(p, name), pointer,       \
				 sizeof(T));                                   \
	}                                                                      \
	ROTA__INLINE int p##_try_##form(p##_id to_, parameter)                 \
	{                                                                      \
		return rota_try_send(to_.id, ROTA__TAG_OF(p, name), pointer,   \
				     sizeof(T));                               \
	}                                                                      \
	ROTA__INLINE int p##_##form##_within(p##_id to_, parameter,            \
					     int64_t within_)                  \
	{                                                                      \
		return rota_send_within(to_.id, ROTA__TAG_OF(p, name),         \
					pointer, sizeof(T), within_);          \
	}                                                                      \
	ROTA__INLINE int p##_##form##_urgent(p##_id to_, parameter)            \
	{                                                                      \
		return rota_send_urgent(to_.id, ROTA__TAG_OF(p, name),         \
					pointer, sizeof(T));                   \
	}                                                                      \
	ROTA__INLINE int p##_##form##_after(                                   \
		p##_id to_, parameter, int64_t delay_, rota_timer *timer_)     \
	{                                                                      \
		return rota_send_after(to_.id, ROTA__TAG_OF(p, name), pointer, \
				       sizeof(T), delay_, timer_);             \
	}                                                                      \
	ROTA__INLINE int p##_##form##_until(p##_id to_, parameter,             \
					    rota_deadline deadline_)           \
	{                                                                      \
		return rota_send_until(to_.id, ROTA__TAG_OF(p, name), pointer, \
				       sizeof(T), deadline_);                  \
	}

#define ROTA__CALLS_OWN(p, name, T, drop)                                      \
	ROTA__INLINE void p##__drop_##name(void *m_, size_t length_)           \
	{                                                                      \
		T *const typed_ = ROTA__CAST(T *, m_);                         \
		(void)length_;                                                 \
		drop(typed_);                                                  \
	}                                                                      \
	ROTA__INLINE int p##_##name(p##_id to_, T *m_)                         \
	{                                                                      \
		return rota_send_own(to_.id, ROTA__TAG_OF(p, name), m_,        \
				     sizeof(T), p##__drop_##name,              \
				     ROTA_FOREVER);                            \
	}                                                                      \
	ROTA__INLINE int p##_try_##name(p##_id to_, T *m_)                     \
	{                                                                      \
		return rota_send_own(to_.id, ROTA__TAG_OF(p, name), m_,        \
				     sizeof(T), p##__drop_##name, ROTA_NOW);   \
	}                                                                      \
	ROTA__INLINE int p##_##name##_within(p##_id to_, T *m_,                \
					     int64_t within_)                  \
	{                                                                      \
		return rota_send_own(to_.id, ROTA__TAG_OF(p, name), m_,        \
				     sizeof(T), p##__drop_##name, within_);    \
	}                                                                      \
	ROTA__INLINE int p##_##name##_urgent(p##_id to_, T *m_)                \
	{                                                                      \
		return rota_send_own_urgent(to_.id, ROTA__TAG_OF(p, name), m_, \
					    sizeof(T), p##__drop_##name,       \
					    ROTA_FOREVER);                     \
	}                                                                      \
	ROTA__INLINE int p##_##name##_until(p##_id to_, T *m_,                 \
					    rota_deadline deadline_)           \
	{                                                                      \
		return rota_send_own_until(to_.id, ROTA__TAG_OF(p, name), m_,  \
					   sizeof(T), p##__drop_##name,        \
					   deadline_);                         \
	}

#define ROTA__CALLS_BYTES(p, name, T)                                     \
	ROTA__VOID_OR(T, ROTA__CALLS_BYTES_ALONE, ROTA__CALLS_BYTES_HEAD) \
	(p, name, T)

#define ROTA__CALLS_BYTES_ALONE(p, name, T)                                    \
	ROTA__INLINE int p##_##name(p##_id to_, const void *bytes_,            \
				    size_t length_)                            \
	{                                                                      \
		return rota_send(to_.id, ROTA__TAG_OF(p, name), bytes_,        \
				 length_);                                     \
	}                                                                      \
	ROTA__INLINE int p##_try_##name(p##_id to_, const void *bytes_,        \
					size_t length_)                        \
	{                                                                      \
		return rota_try_send(to_.id, ROTA__TAG_OF(p, name), bytes_,    \
				     length_);                                 \
	}                                                                      \
	ROTA__INLINE int p##_##name##_within(p##_id to_, const void *bytes_,   \
					     size_t length_, int64_t within_)  \
	{                                                                      \
		return rota_send_within(to_.id, ROTA__TAG_OF(p, name), bytes_, \
					length_, within_);                     \
	}                                                                      \
	ROTA__INLINE int p##_##name##_urgent(p##_id to_, const void *bytes_,   \
					     size_t length_)                   \
	{                                                                      \
		return rota_send_urgent(to_.id, ROTA__TAG_OF(p, name), bytes_, \
					length_);                              \
	}                                                                      \
	ROTA__INLINE int p##_##name##_until(p##_id to_, const void *bytes_,    \
					    size_t length_,                    \
					    rota_deadline deadline_)           \
	{                                                                      \
		return rota_send_until(to_.id, ROTA__TAG_OF(p, name), bytes_,  \
				       length_, deadline_);                    \
	}

#define ROTA__CALLS_BYTES_HEAD(p, name, T)                                    \
	ROTA__PAYLOAD(p, name, T)                                             \
	ROTA__INLINE int p##_##name(p##_id to_, T head_, const void *bytes_,  \
				    size_t length_)                           \
	{                                                                     \
		return rota_send_parts(to_.id, ROTA__TAG_OF(p, name), &head_, \
				       sizeof(T), bytes_, length_, 0,         \
				       ROTA_FOREVER);                         \
	}                                                                     \
	ROTA__INLINE int p##_try_##name(p##_id to_, T head_,                  \
					const void *bytes_, size_t length_)   \
	{                                                                     \
		return rota_send_parts(to_.id, ROTA__TAG_OF(p, name), &head_, \
				       sizeof(T), bytes_, length_, 0,         \
				       ROTA_NOW);                             \
	}                                                                     \
	ROTA__INLINE int p##_##name##_within(p##_id to_, T head_,             \
					     const void *bytes_,              \
					     size_t length_, int64_t within_) \
	{                                                                     \
		return rota_send_parts(to_.id, ROTA__TAG_OF(p, name), &head_, \
				       sizeof(T), bytes_, length_, 0,         \
				       within_);                              \
	}                                                                     \
	ROTA__INLINE int p##_##name##_urgent(                                 \
		p##_id to_, T head_, const void *bytes_, size_t length_)      \
	{                                                                     \
		return rota_send_parts(to_.id, ROTA__TAG_OF(p, name), &head_, \
				       sizeof(T), bytes_, length_,            \
				       ROTA_URGENT, ROTA_FOREVER);            \
	}                                                                     \
	ROTA__INLINE int p##_##name##_until(                                  \
		p##_id to_, T head_, const void *bytes_, size_t length_,      \
		rota_deadline deadline_)                                      \
	{                                                                     \
		return rota_send_parts_until(to_.id, ROTA__TAG_OF(p, name),   \
					     &head_, sizeof(T), bytes_,       \
					     length_, 0, deadline_);          \
	}

/*
 * Pieces of calls and handlers that are there or not: ROTA__M_ of a request
 * (with _REF: by pointer), ROTA__R_ of a reply.
 */
#define ROTA__M_PARAMETER(T) \
	ROTA__VOID_OR(T, ROTA__NOTHING, ROTA__M_PARAMETER_)(T)
#define ROTA__M_PARAMETER_(T) , T m_
#define ROTA__M_ARGUMENTS(T) \
	ROTA__VOID_OR(T, ROTA__NO_ARGUMENTS, ROTA__M_ARGUMENTS_)(T)
#define ROTA__M_ARGUMENTS_(T) &m_, sizeof(T)
#define ROTA__R_PARAMETER(T) \
	ROTA__VOID_OR(T, ROTA__NOTHING, ROTA__R_PARAMETER_)(T)
#define ROTA__R_PARAMETER_(T) , T *reply_
#define ROTA__R_ARGUMENTS(T) \
	ROTA__VOID_OR(T, ROTA__NO_ARGUMENTS, ROTA__R_ARGUMENTS_)(T)
#define ROTA__R_ARGUMENTS_(T) reply_, sizeof(T)
#define ROTA__NOTHING(T)
#define ROTA__NO_ARGUMENTS(T) NULL, 0
#define ROTA__NO_PAYLOAD(p, name, T)

#define ROTA__CALLS_READ(p, name, Q, R)              \
	enum { p##__flag_##name = (int)ROTA_QUERY }; \
	ROTA__CALLS_REQUEST(p, name, Q, R)
#define ROTA__CALLS_ASK(p, name, Q, R) \
	enum { p##__flag_##name = 0 }; \
	ROTA__CALLS_REQUEST(p, name, Q, R)
#define ROTA__ASK_TAG_OF(p, name) \
	((unsigned)ROTA__TAG_OF(p, name) | (unsigned)p##__flag_##name)
#define ROTA__CALLS_REQUEST(p, name, Q, R)                                    \
	ROTA__VOID_OR(Q, ROTA__NO_PAYLOAD, ROTA__PAYLOAD)                     \
	(p, name, Q) ROTA__VOID_OR(R, ROTA__NO_PAYLOAD, ROTA__PAYLOAD)(       \
		p, name, R) ROTA__VOID_OR(Q, ROTA__CALLS_NO_REF,              \
					  ROTA__CALLS_ASK_REF)(p, name, Q, R) \
		ROTA__CALLS_ASK_FORM(p, name, name, ROTA__M_PARAMETER(Q),     \
				     ROTA__M_ARGUMENTS(Q), R)                 \
			ROTA__VOID_OR(R, ROTA__CALLS_REPLY_VOID,              \
				      ROTA__CALLS_REPLY)(p, name, R)
#define ROTA__CALLS_NO_REF(p, name, Q, R)
#define ROTA__COMMA(parameter) , parameter
#define ROTA__PAIR(pointer, size) pointer, size
#define ROTA__CALLS_ASK_REF(p, name, Q, R)                                  \
	ROTA__CALLS_ASK_FORM(p, name##_ref, name, ROTA__COMMA(Q const *m_), \
			     ROTA__PAIR(m_, sizeof(Q)), R)

#define ROTA__CALLS_ASK_FORM(p, form, name, parameter, arguments, R)           \
	ROTA__INLINE int p##_##form(p##_id to_ parameter ROTA__R_PARAMETER(R), \
				    int64_t within_)                           \
	{                                                                      \
		return rota_ask(to_.id, ROTA__ASK_TAG_OF(p, name), arguments,  \
				ROTA__R_ARGUMENTS(R), within_);                \
	}                                                                      \
	ROTA__INLINE int p##_##form##_urgent(                                  \
		p##_id to_ parameter ROTA__R_PARAMETER(R), int64_t within_)    \
	{                                                                      \
		return rota_ask_urgent(to_.id, ROTA__ASK_TAG_OF(p, name),      \
				       arguments, ROTA__R_ARGUMENTS(R),        \
				       within_);                               \
	}                                                                      \
	ROTA__INLINE int p##_##form##_start(                                   \
		p##_id to_ parameter ROTA__R_PARAMETER(R), int64_t within_,    \
		struct rota_asking *asking_)                                   \
	{                                                                      \
		return rota_ask_start(to_.id, ROTA__ASK_TAG_OF(p, name),       \
				      arguments, ROTA__R_ARGUMENTS(R),         \
				      within_, asking_);                       \
	}                                                                      \
	ROTA__INLINE int p##_##form##_then(                                    \
		p##_id to_ parameter, int64_t within_, unsigned reply_tag_,    \
		void *context_)                                                \
	{                                                                      \
		return rota_ask_then(to_.id, ROTA__ASK_TAG_OF(p, name),        \
				     arguments, within_, reply_tag_,           \
				     context_);                                \
	}                                                                      \
	ROTA__INLINE int p##_##form##_until(                                   \
		p##_id to_ parameter ROTA__R_PARAMETER(R),                     \
		rota_deadline deadline_)                                       \
	{                                                                      \
		return rota_ask_until(to_.id, ROTA__ASK_TAG_OF(p, name),       \
				      arguments, ROTA__R_ARGUMENTS(R),         \
				      deadline_);                              \
	}                                                                      \
	ROTA__INLINE int p##_##form##_start_until(                             \
		p##_id to_ parameter ROTA__R_PARAMETER(R),                     \
		rota_deadline deadline_, struct rota_asking *asking_)          \
	{                                                                      \
		return rota_ask_start_until(to_.id, ROTA__ASK_TAG_OF(p, name), \
					    arguments, ROTA__R_ARGUMENTS(R),   \
					    deadline_, asking_);               \
	}                                                                      \
	ROTA__INLINE int p##_##form##_then_until(                              \
		p##_id to_ parameter, rota_deadline deadline_,                 \
		unsigned reply_tag_, void *context_)                           \
	{                                                                      \
		return rota_ask_then_until(to_.id, ROTA__ASK_TAG_OF(p, name),  \
					   arguments, deadline_, reply_tag_,   \
					   context_);                          \
	}                                                                      \
	ROTA__INLINE int p##_##form##_forward(                                 \
		rota_token token_, p##_id to_ parameter, int64_t within_)      \
	{                                                                      \
		return rota_forward(token_, to_.id, ROTA__ASK_TAG_OF(p, name), \
				    arguments, within_);                       \
	}

#define ROTA__CALLS_REPLY_VOID(p, name, R)                     \
	ROTA__INLINE int p##_##name##_reply(rota_token token_) \
	{                                                      \
		return rota_reply(token_, 0, NULL, 0);         \
	}
#define ROTA__CALLS_REPLY(p, name, R)                                    \
	ROTA__INLINE int p##_##name##_reply(rota_token token_, R reply_) \
	{                                                                \
		return rota_reply(token_, 0, &reply_, sizeof(R));        \
	}

/* ---- ROTA_BEHAVIOUR ---- */

/* It declares once more what the user has declared, and see ROTA__DECLARE. */
#ifdef __cplusplus
#define ROTA__STRICT_PROTOTYPES
#else
#define ROTA__STRICT_PROTOTYPES \
	ROTA__PRAGMA(GCC diagnostic ignored "-Wstrict-prototypes")
#endif
#define ROTA__BEHAVIOUR_BEGIN(type)                              \
	ROTA__PRAGMA(GCC diagnostic push)                        \
	ROTA__PRAGMA(GCC diagnostic ignored "-Wredundant-decls") \
	ROTA__STRICT_PROTOTYPES
#define ROTA__BEHAVIOUR_END(type)        \
	ROTA__PRAGMA(GCC diagnostic pop) \
	ROTA__ASSERT(1, #type)

/* ---- ROTA_BEHAVIOUR: the handlers are there and have their types ---- */

#define ROTA__SPEAK(type, protocol, LIST) LIST(ROTA__CHECK, type)

#define ROTA__CHECK(type, kind, name, ...) \
	ROTA__CHECK_##kind(type, name, __VA_ARGS__)

#define ROTA__CHECK_SEND(type, name, T)                                 \
	ROTA__VOID_OR(T, ROTA__CHECK_SEND_VOID, ROTA__CHECK_SEND_VALUE) \
	(type, name, T)
#define ROTA__CHECK_SEND_VOID(type, name, T)                   \
	ROTA__HANDLER(type, type##_on_##name, (struct type *), \
		      (ROTA__A(struct type *)), "(struct " #type " *self)")
#define ROTA__CHECK_SEND_VALUE(type, name, T)                             \
	ROTA__HANDLER(type, type##_on_##name, (struct type *, T const *), \
		      (ROTA__A(struct type *), ROTA__A(T const *)),       \
		      "(struct " #type " *self, " #T " const *m)")
#define ROTA__CHECK_OWN(type, name, T, drop)                        \
	ROTA__HANDLER(type, type##_on_##name, (struct type *, T *), \
		      (ROTA__A(struct type *), ROTA__A(T *)),       \
		      "(struct " #type " *self, " #T " *m)")
#define ROTA__CHECK_BYTES(type, name, T)                                  \
	ROTA__VOID_OR(T, ROTA__CHECK_BYTES_ALONE, ROTA__CHECK_BYTES_HEAD) \
	(type, name, T)
#define ROTA__CHECK_BYTES_ALONE(type, name, T)                                 \
	ROTA__HANDLER(                                                         \
		type, type##_on_##name, (struct type *, const char *, size_t), \
		(ROTA__A(struct type *), ROTA__A(const char *),                \
		 ROTA__A(size_t)),                                             \
		"(struct " #type " *self, const char *bytes, size_t length)")
#define ROTA__CHECK_BYTES_HEAD(type, name, T)                           \
	ROTA__HANDLER(type, type##_on_##name,                           \
		      (struct type *, T const *, const char *, size_t), \
		      (ROTA__A(struct type *), ROTA__A(T const *),      \
		       ROTA__A(const char *), ROTA__A(size_t)),         \
		      "(struct " #type " *self, " #T                    \
		      " const *head, const char *bytes, size_t length)")

#define ROTA__CHECK_ASK(type, name, Q, R)             \
	ROTA__CHECK_ANSWER(type, name, struct type *, \
			   "(struct " #type " *self", Q, R)
#define ROTA__CHECK_READ(type, name, Q, R)                  \
	ROTA__CHECK_ANSWER(type, name, const struct type *, \
			   "(const struct " #type " *self", Q, R)
#define ROTA__CHECK_ANSWER(type, name, state, text, Q, R)                 \
	ROTA__HANDLER(type, type##_on_##name,                             \
		      (state ROTA__M_TYPE(Q) ROTA__R_TYPE(R)),            \
		      (ROTA__A(state) ROTA__M_VALUE(Q) ROTA__R_VALUE(R)), \
		      text ROTA__M_TEXT(Q) ROTA__R_TEXT(R) ")")
#define ROTA__M_TYPE(T) ROTA__VOID_OR(T, ROTA__NOTHING, ROTA__M_TYPE_)(T)
#define ROTA__M_TYPE_(T) , T const *
#define ROTA__M_VALUE(T) ROTA__VOID_OR(T, ROTA__NOTHING, ROTA__M_VALUE_)(T)
#define ROTA__M_VALUE_(T) , ROTA__A(T const *)
#define ROTA__M_TEXT(T) ROTA__VOID_OR(T, ROTA__NOTHING, ROTA__M_TEXT_)(T)
#define ROTA__M_TEXT_(T) ", " #T " const *m"
#define ROTA__R_TYPE(T) ROTA__VOID_OR(T, ROTA__NOTHING, ROTA__R_TYPE_)(T)
#define ROTA__R_TYPE_(T) , T *
#define ROTA__R_VALUE(T) ROTA__VOID_OR(T, ROTA__NOTHING, ROTA__R_VALUE_)(T)
#define ROTA__R_VALUE_(T) , ROTA__A(T *)
#define ROTA__R_TEXT(T) ROTA__VOID_OR(T, ROTA__NOTHING, ROTA__R_TEXT_)(T)
#define ROTA__R_TEXT_(T) ", " #T " *reply"

#define ROTA__A(T) rota__exactly<T>()
#define ROTA__HANDLER_TEXT(type, handler, parameters)                       \
	"rota: struct " #type " needs, before ROTA_BEHAVIOUR, the handler " \
	"int " #handler parameters

#ifdef __cplusplus

/*
 * The second overload takes what the right handler would not, so that a missing
 * or mistyped handler makes the assertion fail, which says what is needed. A
 * rota__exactly converts to the one type only, and not on to others.
 */
struct rota__no_handler;
template <class T> struct rota__exactly {
	template <class U, class = typename std::enable_if<
				   std::is_same<U, T>::value>::type>
	operator U() const;
};
#define ROTA__HANDLER(type, handler, signature, arguments, parameters)       \
	template <class...> rota__no_handler *handler(...);                  \
	static_assert(std::is_same<decltype(handler arguments), int>::value, \
		      ROTA__HANDLER_TEXT(type, handler, parameters));

#else

/*
 * A handler that is missing would be an error of the compiler's own words,
 * which do not say what its type has to be. Declared without parameters it has
 * a type instead, which matches that of no prototype and fails the assertion;
 * where a handler is there, the declaration adds nothing. (C23 has no such
 * declarations; it gets the compiler's own words.)
 */
struct rota__no_state;
#if __STDC_VERSION__ > 201710L
#define ROTA__DECLARE(handler)
#else
#define ROTA__DECLARE(handler) int handler();
#endif
#define ROTA__HANDLER(type, handler, signature, arguments, parameters)   \
	ROTA__DECLARE(handler)                                           \
	_Static_assert(                                                  \
		_Generic(&handler, int(*) signature : 1, default : 0) && \
			_Generic(&handler,                               \
				 int (*)(struct rota__no_state *) : 0,   \
				 default : 1),                           \
		ROTA__HANDLER_TEXT(type, handler, parameters));

#endif

/* ---- ROTA_BEHAVIOUR: dispatch ---- */

/* clang-format off: it cannot see that the two are one function. */
#define ROTA__HANDLE_BEGIN(type)                                               \
	static int type##__handle(void *state_, unsigned tag_, void *payload_, \
				  size_t length_)                              \
	{                                                                      \
		struct type *const self_ = ROTA__CAST(struct type *, state_);  \
		(void)self_;                                                   \
		(void)payload_;                                                \
		(void)length_;                                                 \
		switch (tag_) {
#define ROTA__HANDLE_END             \
	default:                     \
		break;               \
		}                    \
		return ROTA_UNKNOWN; \
		}

#define ROTA__NAMES_BEGIN(type)                            \
	static const char *type##__tag_name(unsigned tag_) \
	{                                                  \
		switch (tag_) {
#define ROTA__NAMES_END      \
	default:             \
		return NULL; \
		}            \
		}
/* clang-format on */

#define ROTA__NAMES(p, LIST) LIST(ROTA__NAME, p)
#define ROTA__NAME(p, kind, name, ...)               \
	case ROTA__CAST(unsigned, p##_##name##_tag): \
		return #p "_" #name;

#define ROTA__CASES(type, protocol, LIST) LIST(ROTA__CASE, (type, protocol))
#define ROTA__CASE(pair, kind, name, ...)                   \
	ROTA__CASE_(ROTA__CASE_##kind, ROTA__FIRST_OF pair, \
		    ROTA__SECOND_OF pair, name, __VA_ARGS__)
#define ROTA__CASE_(kind, type, p, name, ...) kind(type, p, name, __VA_ARGS__)
#define ROTA__FIRST_OF(type, protocol) type
#define ROTA__SECOND_OF(type, protocol) protocol

#define ROTA__CASE_SEND(type, p, name, T)                             \
	ROTA__VOID_OR(T, ROTA__CASE_SEND_VOID, ROTA__CASE_SEND_VALUE) \
	(type, p, name, T)
#define ROTA__CASE_SEND_VOID(type, p, name, T) \
	case ROTA__TAG_OF(p, name):            \
		if (length_ != 0)              \
			break;                 \
		return type##_on_##name(self_);
#define ROTA__CASE_SEND_VALUE(type, p, name, T) \
	case ROTA__TAG_OF(p, name):             \
		if (length_ != sizeof(T))       \
			break;                  \
		return type##_on_##name(self_, ROTA__CAST(T const *, payload_));
#define ROTA__CASE_OWN(type, p, name, T, drop) \
	case ROTA__TAG_OF(p, name):            \
		if (length_ != sizeof(T))      \
			break;                 \
		return type##_on_##name(self_, ROTA__CAST(T *, payload_));
#define ROTA__CASE_BYTES(type, p, name, T)                              \
	ROTA__VOID_OR(T, ROTA__CASE_BYTES_ALONE, ROTA__CASE_BYTES_HEAD) \
	(type, p, name, T)
#define ROTA__CASE_BYTES_ALONE(type, p, name, T) \
	case ROTA__TAG_OF(p, name):              \
		return type##_on_##name(         \
			self_, ROTA__CAST(const char *, payload_), length_);
#define ROTA__CASE_BYTES_HEAD(type, p, name, T)                         \
	case ROTA__TAG_OF(p, name):                                     \
		if (length_ < sizeof(T))                                \
			break;                                          \
		return type##_on_##name(                                \
			self_, ROTA__CAST(T const *, payload_),         \
			ROTA__CAST(const char *, payload_) + sizeof(T), \
			length_ - sizeof(T));

#define ROTA__CASE_READ(type, p, name, Q, R) ROTA__CASE_ASK(type, p, name, Q, R)
#define ROTA__CASE_ASK(type, p, name, Q, R)                       \
	case ROTA__TAG_OF(p, name):                               \
		if (length_ != ROTA__M_SIZE(Q))                   \
			break;                                    \
		ROTA__VOID_OR(R, ROTA__ANSWER_VOID, ROTA__ANSWER) \
		(type##_on_##name, ROTA__M_POINTER(Q), R)
#define ROTA__ANSWER_VOID(handler, parameter, R) \
	return rota_answer(handler(self_ parameter), NULL, 0);
#define ROTA__ANSWER(handler, parameter, R)                            \
	{                                                              \
		R reply_ = ROTA__ZERO;                                 \
		const int result_ = handler(self_ parameter, &reply_); \
		return rota_answer(result_, &reply_, sizeof(R));       \
	}
#define ROTA__M_SIZE(T) ROTA__VOID_OR(T, ROTA__M_SIZE_0, ROTA__M_SIZE_)(T)
#define ROTA__M_SIZE_0(T) 0
#define ROTA__M_SIZE_(T) sizeof(T)
#define ROTA__M_POINTER(T) ROTA__VOID_OR(T, ROTA__NOTHING, ROTA__M_POINTER_)(T)
#define ROTA__M_POINTER_(T) , ROTA__CAST(T const *, payload_)
#ifdef __cplusplus
#define ROTA__ZERO \
	{          \
	}
#else
#define ROTA__ZERO \
	{          \
		0  \
	}
#endif

/* ---- ROTA_BEHAVIOUR: several protocols, and spawning ---- */

#define ROTA__DIFFER(type, p1, p2)                                        \
	ROTA__ASSERT(ROTA__CAST(int, p1##__number) !=                     \
			     ROTA__CAST(int, p2##__number),               \
		     "rota: struct " #type " speaks " #p1 " and " #p2     \
		     ", which have the same number: declare one of them " \
		     "with ROTA_PROTOCOL_NUMBERED")

#define ROTA__AS(type, first, protocol)       \
	ROTA_AS(type, first, protocol);       \
	ROTA_AS(type, first, protocol)        \
	{                                     \
		return protocol##_of(id_.id); \
	}

#define ROTA__SPAWN(type, protocol, hooks)                                    \
	ROTA__ASSERT(sizeof(struct type) <= ROTA_MAX_STATE,                   \
		     "rota: struct " #type " is larger than 1 MiB");          \
	ROTA__ASSERT(ROTA__ALIGNOF(struct type) <= 16,                        \
		     "rota: struct " #type                                    \
		     " needs more than the 16 bytes of alignment there are"); \
	ROTA__ASSERT(ROTA__IS_BYTES(struct type),                             \
		     "rota: struct " #type " cannot be copied as bytes");     \
	ROTA__INLINE void type##__destroy(void *state_)                       \
	{                                                                     \
		const struct rota_hooks *const hooks_ = (hooks);              \
		if (hooks_ != NULL && hooks_->destroy != NULL)                \
			hooks_->destroy(state_);                              \
	}                                                                     \
	static const struct rota_behaviour type##__behaviour = {              \
		sizeof(struct rota_behaviour),                                \
		#type,                                                        \
		sizeof(struct type),                                          \
		type##__handle,                                               \
		ROTA__DESTROY(hooks, type##__destroy),                        \
		type##__tag_name};                                            \
	ROTA_SPAWN(type, protocol);                                           \
	ROTA_SPAWN(type, protocol)                                            \
	{                                                                     \
		return protocol##_of(rota_spawn(engine_, &type##__behaviour,  \
						state_, options_));           \
	}

/* No hooks: no destroy function, so that an actor's end costs no call. */
#ifdef __cplusplus
#define ROTA__DESTROY(hooks, destroy) \
	(std::is_pointer<decltype(hooks)>::value ? destroy : NULL)
#else
#define ROTA__DESTROY(hooks, destroy) \
	_Generic((hooks), const struct rota_hooks *: destroy,                  \
		 struct rota_hooks *: destroy, default: NULL)
#endif

#endif
