/* SPDX-License-Identifier: MIT */
/*
 * version - do the macros, the library and the build agree on one?
 */
#include <stdio.h>

#include <rota/version.h>

#include "tests/check.h"

Test(version, is_the_same_everywhere)
{
	char numbers[64];

	snprintf(numbers, sizeof(numbers), "%d.%d.%d", ROTA_VERSION_MAJOR,
		 ROTA_VERSION_MINOR, ROTA_VERSION_PATCH);
	cr_assert_str_eq(ROTA_VERSION_STRING, PROJECT_VERSION);
	cr_assert_str_eq(numbers, PROJECT_VERSION);
	cr_assert_str_eq(rota_version(), PROJECT_VERSION);
}

#if ROTA_VERSION < ROTA_VERSION_OF(0, 1, 0) || \
	ROTA_VERSION >= ROTA_VERSION_OF(1000, 0, 0)
#error "the preprocessor cannot compare versions"
#endif

Test(version, compares_number_by_number)
{
	cr_assert_gt(ROTA_VERSION_OF(0, 2, 0), ROTA_VERSION_OF(0, 1, 999));
	cr_assert_gt(ROTA_VERSION_OF(1, 0, 0), ROTA_VERSION_OF(0, 999, 999));
	cr_assert_gt(ROTA_VERSION_OF(1, 2, 3), ROTA_VERSION_OF(1, 2, 2));
}
