/* SPDX-License-Identifier: MIT */
/*
 * strerror - every value the library returns has words of its own
 */
#include "tests/unit/support.h"

static const int errors[] = {
	EINVAL,	   E2BIG,  ENOMEM,    ESHUTDOWN, ESRCH,	     EMSGSIZE, EDEADLK,
	ECANCELED, EAGAIN, ETIMEDOUT, EPERM,	 EMFILE,     EUSERS,   ENODEV,
	EALREADY,  ENOSYS, EPIPE,     EIO,	 ECONNRESET,
};

#define N_ERRORS (sizeof(errors) / sizeof(errors[0]))

Test(strerror, knows_every_error_by_words_of_its_own)
{
	for (size_t i = 0; i < N_ERRORS; i++) {
		const char *words = rota_strerror(-errors[i]);

		cr_assert_not_null(words);
		cr_assert_gt(strlen(words), 0);
		for (size_t j = 0; j < i; j++)
			cr_assert(strcmp(words, rota_strerror(-errors[j])),
				  "%d and %d: %s", errors[i], errors[j], words);
	}
}

/* Tasks, engines and groups give these, too. */
Test(strerror, speaks_of_no_actor_where_it_may_be_another)
{
	cr_assert_null(strstr(rota_strerror(-ESRCH), "actor"));
	cr_assert_null(strstr(rota_strerror(-ECANCELED), "actor"));
}

Test(strerror, does_not_mind_the_sign)
{
	for (size_t i = 0; i < N_ERRORS; i++)
		cr_assert_str_eq(rota_strerror(errors[i]),
				 rota_strerror(-errors[i]));
}

Test(strerror, has_words_for_any_number)
{
	static const int others[] = {0,	    1,	     -1,	4095,
				     -4095, 1000000, INT32_MAX, INT32_MIN};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		cr_assert_not_null(rota_strerror(others[i]));
		cr_assert_gt(strlen(rota_strerror(others[i])), 0);
	}
}

Test(strerror, returns_constants)
{
	const char *words = rota_strerror(-ESRCH);

	(void)rota_strerror(-EAGAIN);
	cr_assert(words == rota_strerror(-ESRCH));
}
