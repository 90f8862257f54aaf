/* SPDX-License-Identifier: MIT */
/*
 * Payloads of all sorts, with their handlers.
 */
#include <stdbool.h>
#include <stdlib.h>

#include <rota/rota.h>

enum colour { RED, GREEN };

struct point {
	int x, y;
};

union word {
	long l;
	double d;
};

struct large {
	char bytes[65536];
};

typedef struct {
	char name[16];
} name16;

typedef int (*callback)(void *);

static void point_drop(struct point *p)
{
	free(p);
}

#define ALL(M, p)                                  \
	M(p, SEND, nothing, void)                  \
	M(p, SEND, structure, struct point)        \
	M(p, SEND, choice, union word)             \
	M(p, SEND, enumeration, enum colour)       \
	M(p, SEND, alias, name16)                  \
	M(p, SEND, truth, bool)                    \
	M(p, SEND, letter, char)                   \
	M(p, SEND, number, unsigned long)          \
	M(p, SEND, real, double)                   \
	M(p, SEND, text, const char *)             \
	M(p, SEND, anything, void *)               \
	M(p, SEND, function, callback)             \
	M(p, SEND, actor, rota_id)                 \
	M(p, SEND, large, struct large)            \
	M(p, OWN, moved, struct point, point_drop) \
	M(p, OWN, memory, int, free)               \
	M(p, OWN, moved_large, struct large, free) \
	M(p, BYTES, headed, struct point)          \
	M(p, BYTES, numbered, short)               \
	M(p, BYTES, bare, void)
ROTA_PROTOCOL(all, ALL);

struct all {
	long sum;
};

static int all_on_nothing(struct all *a)
{
	a->sum++;
	return 0;
}

static int all_on_structure(struct all *a, const struct point *m)
{
	a->sum += m->x;
	return 0;
}

static int all_on_choice(struct all *a, const union word *m)
{
	a->sum += m->l;
	return 0;
}

static int all_on_enumeration(struct all *a, const enum colour *m)
{
	a->sum += *m == GREEN;
	return 0;
}

static int all_on_alias(struct all *a, const name16 *m)
{
	a->sum += m->name[0];
	return 0;
}

static int all_on_truth(struct all *a, const bool *m)
{
	a->sum += *m;
	return 0;
}

static int all_on_letter(struct all *a, const char *m)
{
	a->sum += *m;
	return 0;
}

static int all_on_number(struct all *a, const unsigned long *m)
{
	a->sum += *m > 3;
	return 0;
}

static int all_on_real(struct all *a, const double *m)
{
	a->sum += *m > 0.5;
	return 0;
}

static int all_on_text(struct all *a, const char *const *m)
{
	a->sum += **m;
	return 0;
}

static int all_on_anything(struct all *a, void *const *m)
{
	a->sum += *m != NULL;
	return 0;
}

static int all_on_function(struct all *a, const callback *m)
{
	return (*m)(a);
}

static int all_on_actor(struct all *a, const rota_id *m)
{
	(void)a;
	return rota_actor_stop(*m);
}

static int all_on_large(struct all *a, const struct large *m)
{
	a->sum += m->bytes[0];
	return 0;
}

static int all_on_moved(struct all *a, struct point *m)
{
	a->sum += m->x;
	return 0;
}

static int all_on_memory(struct all *a, int *m)
{
	a->sum += *m;
	return 0;
}

static int all_on_moved_large(struct all *a, struct large *m)
{
	a->sum += m->bytes[0];
	return rota_keep();
}

static int all_on_headed(struct all *a, const struct point *head,
			 const char *bytes, size_t length)
{
	a->sum += head->x + (length > 0 ? bytes[0] : 0);
	return 0;
}

static int all_on_numbered(struct all *a, const short *head, const char *bytes,
			   size_t length)
{
	a->sum += *head + (length > 0 ? bytes[0] : 0);
	return 0;
}

static int all_on_bare(struct all *a, const char *bytes, size_t length)
{
	a->sum += length > 0 ? bytes[0] : 0;
	return 0;
}

ROTA_BEHAVIOUR(all, all, ALL, NULL);

/* Tags are constants. */
int tag_kind(unsigned tag);
int tag_kind(unsigned tag)
{
	switch (tag) {
	case all_nothing_tag:
		return 1;
	case all_bare_tag:
		return 2;
	default:
		return 0;
	}
}
