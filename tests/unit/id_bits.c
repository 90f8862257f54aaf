/* SPDX-License-Identifier: MIT */
/*
 * id_bits - do engine, slot and generation share 64 bits in peace?
 */
#include <errno.h>

#include "core/id.h"
#include "tests/check.h"

static const uint32_t slots[] = {0,	     1,		 0x8000,
				 0x7fffffff, 0x80000000, UINT32_MAX};
static const uint32_t generations[] = {0, 1, 0x800000, ID_MAX_GENERATION};

Test(id_bits, parts_come_back_as_they_went_in)
{
	for (unsigned engine = 0; engine <= ID_MAX_ENGINE; engine++)
		for (int i = 0; i < 6; i++)
			for (int k = 0; k < 4; k++) {
				rota_id id = id_make(engine, slots[i],
						     generations[k]);

				cr_assert_eq(id_engine(id), engine);
				cr_assert_eq(id_slot(id), slots[i]);
				cr_assert_eq(id_generation(id), generations[k]);
			}
}

Test(id_bits, all_64_are_used)
{
	cr_assert_eq(id_make(ID_MAX_ENGINE, UINT32_MAX, ID_MAX_GENERATION),
		     UINT64_MAX);
	cr_assert_eq(id_make(0, 0, 0), ROTA_NONE);
	cr_assert_eq(id_make(1, 0, 0) | id_make(0, 1, 0) | id_make(0, 0, 1),
		     UINT64_C(0x0100000001000001));
}

Test(id_bits, an_error_is_the_id_of_no_engine)
{
	for (int error = 1; error < 4096; error++) {
		rota_id id = id_of_error(-error);

		cr_assert_eq(id_engine(id), 0);
		cr_assert_eq(rota_id_error(id), -error);
	}
}

Test(id_bits, no_id_of_an_engine_is_an_error)
{
	for (unsigned engine = 1; engine <= ID_MAX_ENGINE; engine++)
		for (int i = 0; i < 6; i++)
			cr_assert_eq(
				rota_id_error(id_make(engine, slots[i], 1)), 0);
}

Test(id_bits, made_up_ids_of_no_engine_are_nobody)
{
	cr_assert_eq(rota_id_error(ROTA_NONE), -ESRCH);
	cr_assert_eq(rota_id_error(id_make(0, 0, 5)), -ESRCH);
	cr_assert_eq(rota_id_error(id_make(0, 0x80000000, 0)), -ESRCH);
	cr_assert_eq(rota_id_error(id_make(0, UINT32_MAX, 0)), -ESRCH);
}
