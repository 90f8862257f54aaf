/* SPDX-License-Identifier: MIT */
/*
 * check - how long tests wait
 */
#include "tests/unit/support.h"

static void set_scale(const char *scale)
{
	cr_assert_eq(setenv("ROTA_TIMEOUT_SCALE", scale, 1), 0);
}

Test(check, waits_are_scaled_like_time_outs)
{
	set_scale("2.5");
	cr_assert_eq(await_limit(1000), 1000 + HANG / 2 * 5 / 2);
	set_scale("0.1");
	cr_assert_eq(await_limit(1000), 1000 + HANG / 20);
}

Test(check, nonsense_scales_nothing)
{
	set_scale("-1");
	cr_assert_eq(await_limit(1000), 1000 + HANG / 2);
	set_scale("much");
	cr_assert_eq(await_limit(1000), 1000 + HANG / 2);
	cr_assert_eq(unsetenv("ROTA_TIMEOUT_SCALE"), 0);
	cr_assert_eq(await_limit(1000), 1000 + HANG / 2);
}
