/* SPDX-License-Identifier: MIT */
/*
 * options - structs that begin with their size, across versions
 */
#ifndef ROTA_CORE_OPTIONS_H
#define ROTA_CORE_OPTIONS_H

#include <stddef.h>

/*
 * Copy a caller's struct (NULL: nothing) over our defaults. A shorter one is
 * from an older program: the rest keeps the defaults. A longer one may only
 * hold zeroes in what we do not know. 0, -EINVAL (no size), -E2BIG.
 */
int options_copy(void *ours, size_t our_size, const void *theirs);

/* Fill a caller's struct with as much as it has room for. */
void options_give(void *theirs, const void *ours, size_t our_size);

#endif
