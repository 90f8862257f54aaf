/* SPDX-License-Identifier: MIT */
/*
 * spill - the tasks that do not fit into a worker's ring
 *
 * Problem:    an actor that spawns thousands fills every ring. Served in the
 *             order in which they came, a tree of actors is unfolded level by
 *             level: a million of them are alive at once, and each turn finds
 *             its actor and its message in main memory (500 ns instead of
 *             100). Served the other way round, whoever pushes last always
 *             runs next, and what it pushed before starves.
 * Approach:   two lists. Tasks that have run before (woken) are first in,
 *             first out. Those that never ran (fresh) are kept in groups: what
 *             one turn pushes is one group, in its order; of several groups
 *             the newest is served first, so that a tree is unfolded depth
 *             first. The worker takes from both lists in proportion to their
 *             lengths: a woken task waits for about as many turns as if there
 *             were one list, and what it makes in a turn runs before its next.
 *             Thieves take the oldest groups: the largest subtrees. So does
 *             the worker once in a while, and always when there are so many
 *             that depth first has not helped; so nobody waits for ever.
 * Rejected:   a list shared by all workers (they drag each other's actors
 *             through cold lines); blocks of pointers instead of links (memory
 *             that can run out where nothing may fail).
 * Invariants: I1 xlength = woken.n + the groups' sum; xn_fresh = that sum.
 *             I2 a group that is counted in n_groups is not empty.
 * Orderings:  [L1] see spin.h: what the pusher wrote, the taker sees.
 */
#include "sched/spill.h"

#include <stddef.h>

#include "sched/spin.h"

/* A group that is smaller takes in what later turns push. */
#define GROUP_SMALL 32
/* More fresh tasks than these are served oldest first. */
#define FLOOD 262144
/* The unit of woken_due: fine enough for one among a million. */
#define DUE_ONE ((uint64_t)1 << 24)

void spill_init(struct spill *spill)
{
	spill->xlock = AO_TS_INITIALIZER;
	spill->xlength = spill->xn_fresh = 0;
	spill->turn = 0;
	spill->woken_due = 0;
	spill->woken = (struct spill_list){NULL, NULL, 0};
	spill->n_groups = spill->oldest = 0;
}

/* ---- lists ---- */

static void append(struct spill_list *list, struct spill_list more)
{
	if (list->first)
		list->last->next = more.first;
	else
		list->first = more.first;
	list->last = more.last;
	list->n += more.n;
}

/* Unlink up to @most tasks from the front. */
static struct spill_list cut(struct spill_list *list, uint32_t most)
{
	struct spill_list front = *list;
	uint32_t i;

	if (list->n <= most) {
		*list = (struct spill_list){NULL, NULL, 0};
		return front;
	}
	front.last = front.first;
	front.n = most;
	for (i = 1; i < most; i++)
		front.last = front.last->next;
	list->first = front.last->next;
	list->n -= most;
	return front;
}

/* ---- groups ---- */

static struct spill_list *newest_group(struct spill *spill)
{
	uint32_t newest = spill->oldest + spill->n_groups - 1;

	return &spill->group[newest % SPILL_GROUPS];
}

static struct spill_list *oldest_group(struct spill *spill)
{
	return &spill->group[spill->oldest % SPILL_GROUPS];
}

/* The group for what is pushed in this turn. */
static struct spill_list *group_of(struct spill *spill, AO_t turn)
{
	struct spill_list *group;

	if (spill->n_groups > 0) {
		group = newest_group(spill);
		if (spill->turn == turn || group->n < GROUP_SMALL ||
		    spill->n_groups == SPILL_GROUPS)
			return group;
	}
	spill->n_groups++;
	group = newest_group(spill);
	*group = (struct spill_list){NULL, NULL, 0};
	return group;
}

/* Move up to @most fresh tasks to @list; their number. */
static uint32_t take_fresh(struct spill *spill, struct spill_list *list,
			   uint32_t most, bool oldest)
{
	uint32_t n_before = list->n;

	while (most > 0 && spill->n_groups > 0) {
		struct spill_list *group =
			oldest ? oldest_group(spill) : newest_group(spill);
		struct spill_list front = cut(group, most);

		append(list, front);
		most -= front.n;
		if (group->n > 0)
			break;
		spill->n_groups--;
		spill->oldest += oldest;
	}
	return list->n - n_before;
}

/* ---- the interface ---- */

static bool is_fresh(const struct task *task)
{
	return task->class->is_fresh && task->class->is_fresh(task);
}

void spill_push(struct spill *spill, struct task *task, AO_t turn)
{
	struct spill_list one = {task, task, 1};
	bool fresh = is_fresh(task);

	task->next = NULL;
	spin_lock(&spill->xlock);
	if (fresh) {
		append(group_of(spill, turn), one);
		spill->turn = turn;
		/* Relaxed: only changed under the lock, like the next. */
		AO_store(&spill->xn_fresh, AO_load(&spill->xn_fresh) + 1);
	} else {
		append(&spill->woken, one);
	}
	/* Relaxed: as above. */
	AO_store(&spill->xlength, AO_load(&spill->xlength) + 1);
	spin_unlock(&spill->xlock);
}

/*
 * How many of @most are to be woken ones: in proportion, over many takes. One
 * in each take would be too many where that one makes a thousand fresh ones.
 */
static uint32_t woken_share(struct spill *spill, AO_t n_fresh, uint32_t most)
{
	uint64_t n_woken = spill->woken.n;
	uint32_t share;

	if (n_fresh == 0 || n_woken == 0)
		return n_woken > 0 ? most : 0;
	spill->woken_due += most * DUE_ONE * n_woken / (n_woken + n_fresh);
	share = (uint32_t)(spill->woken_due / DUE_ONE);
	spill->woken_due %= DUE_ONE;
	return share < most ? share : most;
}

unsigned spill_take(struct spill *spill, unsigned most, bool oldest,
		    struct task **first)
{
	struct spill_list list = {NULL, NULL, 0};
	uint32_t n_woken;
	AO_t n_fresh;

	*first = NULL;
	if (spill_length(spill) == 0)
		return 0;
	spin_lock(&spill->xlock);
	n_fresh = spill_n_fresh(spill);
	n_woken = woken_share(spill, n_fresh, most);
	if (n_woken > 0)
		append(&list, cut(&spill->woken, n_woken));
	n_fresh -= take_fresh(spill, &list, most - list.n,
			      oldest || n_fresh > FLOOD);
	/* Relaxed: only changed under the lock, like the next. */
	AO_store(&spill->xn_fresh, n_fresh);
	/* Relaxed: as above. */
	AO_store(&spill->xlength, n_fresh + spill->woken.n);
	spin_unlock(&spill->xlock);
	if (list.last)
		list.last->next = NULL;
	*first = list.first;
	return list.n;
}
