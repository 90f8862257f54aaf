/* SPDX-License-Identifier: MIT */
/*
 * A message of bytes is sent without its head.
 *
 * expect-c: incompatible type for argument 2|too few arguments|to parameter of
 * incompatible type
 *
 * expect-c++: too few arguments|could not convert|no matching function
 */
#include <rota/rota.h>

struct line_head {
	int number;
};

#define SINK(M, p)                          \
	M(p, BYTES, line, struct line_head) \
	M(p, BYTES, raw, void)
ROTA_PROTOCOL(sink, SINK);

struct sink {
	size_t length;
};

int use(sink_id id);
int use(sink_id id)
{
#ifdef FIXED
	struct line_head head = {1};
	return sink_line(id, head, "abc", 3);
#else
	return sink_line(id, "abc", 3);
#endif
}
