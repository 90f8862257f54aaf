/* SPDX-License-Identifier: MIT */
/* options - structs that begin with their size, across versions */
#include "core/options.h"

#include <errno.h>
#include <string.h>

int options_copy(void *ours, size_t our_size, const void *theirs)
{
	const unsigned char *bytes = theirs;
	size_t size, i;

	if (!theirs)
		return 0;
	memcpy(&size, theirs, sizeof(size));
	if (size < sizeof(size))
		return -EINVAL;
	if (size == our_size) {
		memcpy(ours, theirs, our_size);
		return 0;
	}
	if (size > 4096)
		return -E2BIG; /* garbage: nobody has that many options */
	for (i = our_size; i < size; i++)
		if (bytes[i] != 0)
			return -E2BIG;
	memcpy(ours, theirs, size < our_size ? size : our_size);
	memcpy(ours, &our_size, sizeof(our_size));
	return 0;
}

void options_give(void *theirs, const void *ours, size_t our_size)
{
	size_t size;

	memcpy(&size, theirs, sizeof(size));
	if (size < sizeof(size))
		return;
	memcpy((char *)theirs + sizeof(size), (const char *)ours + sizeof(size),
	       (size < our_size ? size : our_size) - sizeof(size));
}
