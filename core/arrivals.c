/* SPDX-License-Identifier: MIT */
/*
 * arrivals - when the messages of an actor came, as far as looks at it tell
 *
 * Problem:    the age of the oldest message is to be told, though none carries
 *             a time: right, or not at all.
 * Approach:   messages are told apart by their ordinal: begun + queued is the
 *             ordinal of the newest one, and begun + 1 that of the oldest that
 *             is queued. A look that finds a greater ordinal than those before
 *             notes it with the time (a mark); the oldest message came no later
 *             than the first mark at or above its ordinal, and no sooner than
 *             the look before that mark. If the two lie far apart (nobody was
 *             there to look) the mark keeps that gap, and its age is not told
 *             until the gap is a tenth of it.
 *             When the marks are used up, those that lie closest in time are
 *             thinned out: of 64 marks over a time T two neighbours of one lie
 *             no further apart than 2 T / 62. So ages become coarser by a
 *             thirtieth of the oldest, and too low if anything.
 *             A look may see fewer messages than there are, for a moment (one
 *             that is begun between a look at those that are begun and at those
 *             that are queued is in neither), or the marks may have counted
 *             room that was leased, and given back. What two looks in a row say
 *             is the latter: the marks are lowered to what the first of them
 *             saw. What came after it is not theirs: it would be told too old.
 *             What came before it may still be, by what lies between two looks.
 * Rejected:   the same number at two looks (where messages come between the
 *             looks it is never the same); the greater of the two numbers (see
 *             above); to forget all marks at a look that finds nothing queued
 *             (it may have found so by mistake; if not, two are enough).
 */
#include "core/arrivals.h"

#include <string.h>

#include <rota/status.h>

#define GAP_PART 10 /* of the age that is told: a gap of that is harmless */

void arrivals_init(struct arrivals *arrivals)
{
	arrivals->has_looked = false;
	arrivals->is_fewer = false;
	arrivals->n = 0;
}

static const struct mark *last_of(const struct arrivals *arrivals)
{
	return &arrivals->of[arrivals->n - 1];
}

static bool tells_more(const struct arrivals *arrivals, uint64_t ordinal)
{
	return arrivals->n > 0 && last_of(arrivals)->ordinal > ordinal;
}

/* Messages up to that ordinal are of no interest any more. */
static void drop_begun(struct arrivals *arrivals, uint64_t begun)
{
	unsigned n = 0;

	while (n < arrivals->n && arrivals->of[n].ordinal <= begun)
		n++;
	if (n == 0)
		return;
	arrivals->n -= n;
	memmove(arrivals->of, arrivals->of + n,
		arrivals->n * sizeof(*arrivals->of));
}

/*
 * The one whose neighbours are closest in time. The first one stays: what it
 * tells is asked for next. What came by it is the next one's from now on, and so
 * is its gap.
 */
static void thin(struct arrivals *arrivals)
{
	struct mark *of = arrivals->of;
	unsigned i, least = 1;

	for (i = 2; i < MARKS - 1; i++)
		if (of[i + 1].at_ns - of[i - 1].at_ns <
		    of[least + 1].at_ns - of[least - 1].at_ns)
			least = i;
	if (of[least + 1].gap_ns < of[least].gap_ns)
		of[least + 1].gap_ns = of[least].gap_ns;
	arrivals->n--;
	memmove(of + least, of + least + 1,
		(arrivals->n - least) * sizeof(*of));
}

static void lower_to(struct arrivals *arrivals, uint64_t ordinal)
{
	while (tells_more(arrivals, ordinal)) {
		struct mark *last = &arrivals->of[arrivals->n - 1];

		last->ordinal = ordinal;
		if (arrivals->n > 1 && last[-1].ordinal >= ordinal)
			arrivals->n--;
	}
}

static void lower(struct arrivals *arrivals, uint64_t newest)
{
	if (arrivals->is_fewer && tells_more(arrivals, newest))
		lower_to(arrivals, arrivals->fewer);
	arrivals->is_fewer = tells_more(arrivals, newest);
	arrivals->fewer = newest;
}

/* What came before anybody looked is as old as the first look at least; that is
   what people are told. */
static uint64_t gap_of(const struct arrivals *arrivals,
		       const struct arrivals_look *look, uint64_t gap_ns)
{
	uint64_t gap =
		arrivals->has_looked ? look->after_ns - arrivals->looked_ns : 0;

	return gap > gap_ns ? gap : 0;
}

void arrivals_look(struct arrivals *arrivals, const struct arrivals_look *look,
		   uint64_t gap_ns)
{
	uint64_t newest = look->begun + look->queued;

	lower(arrivals, newest);
	drop_begun(arrivals, look->begun);
	if (look->queued > 0 &&
	    (arrivals->n == 0 || last_of(arrivals)->ordinal < newest)) {
		if (arrivals->n == MARKS)
			thin(arrivals);
		arrivals->of[arrivals->n++] = (struct mark){
			newest, look->after_ns, gap_of(arrivals, look, gap_ns)};
	}
	/* A look that seems to have missed some vouches for nothing. */
	if (!arrivals->is_fewer)
		arrivals->looked_ns = look->before_ns;
	arrivals->has_looked = true;
}

int64_t arrivals_oldest(const struct arrivals *arrivals,
			const struct arrivals_look *look)
{
	const struct mark *first = arrivals->of;
	uint64_t age;

	if (look->queued == 0)
		return 0;
	/* A look that was too old to be noted may see what the marks do not. */
	if (arrivals->n == 0)
		return ROTA_AGE_UNKNOWN;
	age = look->after_ns > first->at_ns ? look->after_ns - first->at_ns : 0;
	if (first->gap_ns > 0 && age / GAP_PART < first->gap_ns)
		return ROTA_AGE_UNKNOWN;
	return (int64_t)age;
}
