/* SPDX-License-Identifier: MIT */
/*
 * Every variant of every kind's call.
 */
#include <stdlib.h>

#include <rota/rota.h>

struct item {
	long a, b;
};

#define SINK(M, p)                          \
	M(p, SEND, none, void)              \
	M(p, SEND, item, struct item)       \
	M(p, SEND, text, const char *)      \
	M(p, OWN, chunk, struct item, free) \
	M(p, BYTES, line, struct item)      \
	M(p, BYTES, raw, void)
ROTA_PROTOCOL(sink, SINK);

int send_all(sink_id id, struct item m, struct item *moved);
int send_all(sink_id id, struct item m, struct item *moved)
{
	const int64_t t = 1000;
	const rota_deadline d = rota_deadline_in(t);
	rota_timer timer;
	int sum = 0;

	sum += sink_none(id);
	sum += sink_try_none(id);
	sum += sink_none_within(id, t);
	sum += sink_none_urgent(id);
	sum += sink_none_until(id, d);
	sum += sink_none_after(id, t, NULL);

	sum += sink_item(id, m);
	sum += sink_try_item(id, m);
	sum += sink_item_within(id, m, t);
	sum += sink_item_urgent(id, m);
	sum += sink_item_until(id, m, d);
	sum += sink_item_after(id, m, t, &timer);

	sum += sink_item_ref(id, &m);
	sum += sink_try_item_ref(id, &m);
	sum += sink_item_ref_within(id, &m, t);
	sum += sink_item_ref_urgent(id, &m);
	sum += sink_item_ref_until(id, &m, d);
	sum += sink_item_ref_after(id, &m, t, &timer);

	sum += sink_text(id, "words");
	sum += sink_try_text(id, "words");

	sum += sink_chunk(id, moved);
	sum += sink_try_chunk(id, moved);
	sum += sink_chunk_within(id, moved, t);
	sum += sink_chunk_urgent(id, moved);
	sum += sink_chunk_until(id, moved, d);

	sum += sink_line(id, m, "abc", 3);
	sum += sink_try_line(id, m, "abc", 3);
	sum += sink_line_within(id, m, "abc", 3, t);
	sum += sink_line_urgent(id, m, "abc", 3);
	sum += sink_line_until(id, m, "abc", 3, d);

	sum += sink_raw(id, "abc", 3);
	sum += sink_try_raw(id, "abc", 3);
	sum += sink_raw_within(id, "abc", 3, t);
	sum += sink_raw_urgent(id, NULL, 0);
	sum += sink_raw_until(id, NULL, 0, d);

	sum += sink_none(sink_of(rota_sender()));
	return sum + rota_timer_cancel(timer);
}
