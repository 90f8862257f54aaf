/* SPDX-License-Identifier: MIT */
/*
 * A handler takes the length as an int.
 *
 * expect: struct sink needs, before ROTA_BEHAVIOUR, the handler int
 * sink_on_raw(struct sink *self, const char *bytes, size_t length)
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

static int sink_on_line(struct sink *s, const struct line_head *head,
			const char *bytes, size_t length)
{
	(void)bytes;
	s->length += (size_t)head->number + length;
	return 0;
}

#ifdef FIXED
static int sink_on_raw(struct sink *s, const char *bytes, size_t length)
{
	(void)bytes;
	s->length += length;
	return 0;
}
#else
static int sink_on_raw(struct sink *s, const char *bytes, int length)
{
	(void)bytes;
	s->length += (size_t)length;
	return 0;
}
#endif

ROTA_BEHAVIOUR(sink, sink, SINK, NULL);
