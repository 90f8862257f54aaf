/* SPDX-License-Identifier: MIT */
/*
 * All compilers compute the same number of a name: files of one program may be
 * compiled by different ones. The figures are what the formula gave when it was
 * written; it may change, but then for all alike.
 */
#include <rota/rota.h>

#define ONE(M, p) M(p, SEND, x, void)
ROTA_PROTOCOL(a, ONE);
ROTA_PROTOCOL(counter, ONE);
ROTA_PROTOCOL(abcdefghijklmnopqrstuvwxyz, ONE);
ROTA_PROTOCOL(ABCDEFGHIJKLMNOPQRSTUVWXYZ, ONE);
ROTA_PROTOCOL(n0123456789_, ONE);
ROTA_PROTOCOL(this_name_has_thirty_two_letters, ONE);
ROTA_PROTOCOL(this_name_has_thirty_two_letters_and_more, ONE);

#ifdef __cplusplus
#define SAME(a, b) static_assert((a) == (b), #a)
#else
#define SAME(a, b) _Static_assert((a) == (b), #a)
#endif

SAME(a_x_tag >> 7, 93);
SAME(counter_x_tag >> 7, 255);
SAME(abcdefghijklmnopqrstuvwxyz_x_tag >> 7, 220);
SAME(ABCDEFGHIJKLMNOPQRSTUVWXYZ_x_tag >> 7, 312);
SAME(n0123456789__x_tag >> 7, 463);
SAME(this_name_has_thirty_two_letters_x_tag >> 7, 189);
SAME(this_name_has_thirty_two_letters_and_more_x_tag >> 7, 189);
