/* SPDX-License-Identifier: MIT */
/*
 * check - what a test includes: Criterion, or a small runner with its macros
 *
 * Criterion runs neither under ThreadSanitizer nor under qemu-user, and under
 * AddressSanitizer it hides reports and misses leaks. There
 * (ROTA_SMALL_RUNNER) the same sources run on tests/check.c: one forked child
 * per test, a time-out, the macros below and no others. Tests keep to these:
 *
 *   Test(suite, name, .init = f, .fini = f, .timeout = seconds,
 *        .signal = SIGX, .exit_code = n, .disabled = true)
 *   cr_assert(condition)                      and cr_expect(...), which goes on
 *   cr_assert_eq neq lt leq gt geq (a, b)     and cr_expect_...
 *   cr_assert_null not_null (pointer)         and cr_expect_...
 *   cr_assert_str_eq str_neq (a, b)           and cr_expect_...
 *   cr_assert_arr_eq arr_neq (a, b, bytes)    and cr_expect_...
 *   cr_assert_fail()  cr_skip_test()
 *
 * Each takes an optional message in printf style at its end. A test without
 * a time-out gets one of a minute; $ROTA_TIMEOUT_SCALE multiplies all of them.
 */
#ifndef ROTA_TESTS_CHECK_H
#define ROTA_TESTS_CHECK_H

/*
 * How often a stress test repeats: n at $ROTA_STRESS = 100 (percent, also the
 * default), never less than 1.
 */
unsigned long check_stress(unsigned long n);

/* $ROTA_TIMEOUT_SCALE, or 1: for what waits inside a test, too. */
double check_patience(void);

#ifndef ROTA_SMALL_RUNNER
#include <criterion/criterion.h>
#else

/* As Criterion's header is one: its users' warnings stay theirs. */
#pragma GCC system_header

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct check_options {
	void (*init)(void);
	void (*fini)(void);
	double timeout; /* seconds; 0: a minute */
	int signal;	/* the test passes if it dies of this */
	int exit_code;	/* ... or exits with this */
	bool disabled;
	const char *description;
	int end; /* never set by a test */
};

struct check_test {
	const char *suite;
	const char *name;
	void (*body)(void);
	struct check_options options;
	struct check_test *next;
};

void check_register(struct check_test *test);

/* Report a failure; check_stop() then ends the test. From any thread. */
void check_note(const char *file, int line, const char *text,
		const char *format, ...) __attribute__((format(printf, 4, 5)));
_Noreturn void check_stop(const char *file, int line, const char *text,
			  const char *format, ...)
	__attribute__((format(printf, 4, 5)));
_Noreturn void check_skip(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

#define Test(...) CHECK_TEST(__VA_ARGS__, .end = 0)
#define CHECK_TEST(Suite, Name, ...)                                        \
	static void Suite##_##Name##_body(void);                            \
	static struct check_test Suite##_##Name##_test = {                  \
		.suite = #Suite,                                            \
		.name = #Name,                                              \
		.body = Suite##_##Name##_body,                              \
		.options = {__VA_ARGS__},                                   \
	};                                                                  \
	__attribute__((constructor)) static void Suite##_##Name##_add(void) \
	{                                                                   \
		check_register(&Suite##_##Name##_test);                     \
	}                                                                   \
	static void Suite##_##Name##_body(void)

/*
 * A message is optional: with none, an empty one is put in. The kinds differ
 * in how many arguments come before it.
 */
#define CHECK_FAIL(how, text, ...) \
	check_##how(__FILE__, __LINE__, text, "" __VA_ARGS__)
#define CHECK_1(how, condition, ...) \
	((condition) ? (void)0 : CHECK_FAIL(how, #condition, __VA_ARGS__))
#define CHECK_2(how, a, op, b, ...) \
	(((a)op(b)) ? (void)0 : CHECK_FAIL(how, #a " " #op " " #b, __VA_ARGS__))
#define CHECK_STR(how, a, op, b, ...)                             \
	((strcmp((a), (b)) op 0)                                  \
		 ? (void)0                                        \
		 : CHECK_FAIL(how, "strings: " #a " " #op " " #b, \
			      __VA_ARGS__))
#define CHECK_ARR(how, a, op, b, n, ...) \
	((memcmp((a), (b), (n)) op 0)    \
		 ? (void)0               \
		 : CHECK_FAIL(how, "bytes: " #a " " #op " " #b, __VA_ARGS__))

#define cr_assert(c, ...) CHECK_1(stop, c, __VA_ARGS__)
#define cr_assert_not(c, ...) CHECK_1(stop, !(c), __VA_ARGS__)
#define cr_assert_eq(a, b, ...) CHECK_2(stop, a, ==, b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...) CHECK_2(stop, a, !=, b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...) CHECK_2(stop, a, <, b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...) CHECK_2(stop, a, <=, b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...) CHECK_2(stop, a, >, b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...) CHECK_2(stop, a, >=, b, __VA_ARGS__)
#define cr_assert_null(p, ...) CHECK_2(stop, p, ==, NULL, __VA_ARGS__)
#define cr_assert_not_null(p, ...) CHECK_2(stop, p, !=, NULL, __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) CHECK_STR(stop, a, ==, b, __VA_ARGS__)
#define cr_assert_str_neq(a, b, ...) CHECK_STR(stop, a, !=, b, __VA_ARGS__)
#define cr_assert_arr_eq(a, b, n, ...) CHECK_ARR(stop, a, ==, b, n, __VA_ARGS__)
#define cr_assert_arr_neq(a, b, n, ...) \
	CHECK_ARR(stop, a, !=, b, n, __VA_ARGS__)
#define cr_assert_fail(...) CHECK_FAIL(stop, "reached", __VA_ARGS__)

#define cr_expect(c, ...) CHECK_1(note, c, __VA_ARGS__)
#define cr_expect_not(c, ...) CHECK_1(note, !(c), __VA_ARGS__)
#define cr_expect_eq(a, b, ...) CHECK_2(note, a, ==, b, __VA_ARGS__)
#define cr_expect_neq(a, b, ...) CHECK_2(note, a, !=, b, __VA_ARGS__)
#define cr_expect_lt(a, b, ...) CHECK_2(note, a, <, b, __VA_ARGS__)
#define cr_expect_leq(a, b, ...) CHECK_2(note, a, <=, b, __VA_ARGS__)
#define cr_expect_gt(a, b, ...) CHECK_2(note, a, >, b, __VA_ARGS__)
#define cr_expect_geq(a, b, ...) CHECK_2(note, a, >=, b, __VA_ARGS__)
#define cr_expect_null(p, ...) CHECK_2(note, p, ==, NULL, __VA_ARGS__)
#define cr_expect_not_null(p, ...) CHECK_2(note, p, !=, NULL, __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...) CHECK_STR(note, a, ==, b, __VA_ARGS__)
#define cr_expect_str_neq(a, b, ...) CHECK_STR(note, a, !=, b, __VA_ARGS__)
#define cr_expect_arr_eq(a, b, n, ...) CHECK_ARR(note, a, ==, b, n, __VA_ARGS__)
#define cr_expect_arr_neq(a, b, n, ...) \
	CHECK_ARR(note, a, !=, b, n, __VA_ARGS__)
#define cr_expect_fail(...) CHECK_FAIL(note, "reached", __VA_ARGS__)

#define cr_skip_test(...) check_skip("" __VA_ARGS__)

#endif
#endif
