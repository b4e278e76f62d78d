#include "tools/tally.h"

#include <stdlib.h>
#include <string.h>

int
tally_init(struct tally *t, size_t max)
{
	memset(t, 0, sizeof *t);
	t->max = max;
	for (t->slots = 16; t->slots < max * 2; )
		t->slots *= 2;
	t->entry = calloc(max, sizeof *t->entry);
	t->slot = calloc(t->slots, sizeof *t->slot);
	return t->entry && t->slot ? 1 : -1;
}

static uint32_t
hash_of(char const *s, size_t n)
{
	uint32_t h = 2166136261u;

	while (n--)
		h = (h ^ (unsigned char)*s++) * 16777619u;
	return h;
}

/* The slot where it is, or would be. */
static uint32_t *
find(struct tally const *t, char const *s, size_t n, uint32_t h)
{
	size_t i = h & (t->slots - 1);

	for (; t->slot[i]; i = (i + 1) & (t->slots - 1)) {
		struct tally_entry const *e = t->entry + t->slot[i] - 1;

		if (e->hash == h && e->n == n && !memcmp(e->name, s, n))
			break;
	}
	return t->slot + i;
}

struct tally_entry *
tally_get(struct tally const *t, char const *s, size_t n)
{
	uint32_t at;

	if (n > TALLY_NAME)
		n = TALLY_NAME;
	at = *find(t, s, n, hash_of(s, n));
	return at ? t->entry + at - 1 : 0;
}

static int
rising(void const *a, void const *b)
{
	uint64_t x = *(uint64_t const *)a, y = *(uint64_t const *)b;

	return x < y ? -1 : x > y;
}

static void
rebuild(struct tally *t)
{
	size_t i;

	memset(t->slot, 0, t->slots * sizeof *t->slot);
	for (i = 0; i < t->n; i++) {
		struct tally_entry *e = t->entry + i;

		*find(t, e->name, e->n, e->hash) = (uint32_t)i + 1;
	}
}

void
tally_drop(struct tally *t, int (*goes)(struct tally_entry const *, void *),
    void *ctx)
{
	size_t i, kept = 0;

	for (i = 0; i < t->n; i++) {
		struct tally_entry *e = t->entry + i;

		if (goes(e, ctx)) {
			free(e->name);
			free(e->own);
		} else {
			t->entry[kept++] = *e;
		}
	}
	t->n = kept;
	rebuild(t);
}

struct least {
	uint64_t count, lost;
	size_t leave;
};

static int
is_least(struct tally_entry const *e, void *ctx)
{
	struct least *l = ctx;

	if (!l->leave || e->count[0] > l->count)
		return 0;
	l->lost += e->count[0];
	l->leave--;
	return 1;
}

/* A quarter leaves.  1, or 0: out of memory. */
static int
prune(struct tally *t)
{
	uint64_t *all = malloc(t->n * sizeof *all);
	struct least l = { 0, 0, t->n / 4 + 1 };
	size_t i;

	if (!all)
		return 0;
	for (i = 0; i < t->n; i++)
		all[i] = t->entry[i].count[0];
	qsort(all, t->n, sizeof *all, rising);
	l.count = all[l.leave - 1];
	free(all);
	tally_drop(t, is_least, &l);
	t->lost += l.lost;
	return 1;
}

struct tally_entry *
tally_put(struct tally *t, char const *s, size_t n)
{
	struct tally_entry *e;
	uint32_t *at, h;

	if (n > TALLY_NAME)
		n = TALLY_NAME;
	h = hash_of(s, n);
	at = find(t, s, n, h);
	if (*at)
		return t->entry + *at - 1;
	if (t->n == t->max) {
		if (t->keep || !prune(t))
			return 0;
		at = find(t, s, n, h);
	}
	e = t->entry + t->n;
	memset(e, 0, sizeof *e);
	e->name = malloc(n + 1);
	if (!e->name)
		return 0;
	memcpy(e->name, s, n);
	e->name[n] = 0;
	e->n = (uint32_t)n;
	e->hash = h;
	*at = (uint32_t)++t->n;
	return e;
}

void
tally_add(struct tally *t, char const *s, size_t n, uint64_t u)
{
	struct tally_entry *e = tally_put(t, s, n);

	if (e)
		e->count[0] += u;
	else
		t->lost += u;
}

static int
falling(void const *a, void const *b)
{
	struct tally_entry const *x = a, *y = b;
	int r;

	if (x->count[0] != y->count[0])
		return x->count[0] > y->count[0] ? -1 : 1;
	r = memcmp(x->name, y->name, x->n < y->n ? x->n : y->n);
	return r ? r : x->n < y->n ? -1 : x->n > y->n;
}

void
tally_sort(struct tally *t)
{
	if (t->n)
		qsort(t->entry, t->n, sizeof *t->entry, falling);
	rebuild(t);
}
