#include "tools/guardcount.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
guardcount_init(struct guardcount *c, unsigned int window)
{
	if (tally_init(&c->names, GUARDCOUNT_NAMES) == -1)
		return -1;
	/* the part that has just begun stands for almost nothing */
	c->unit = (uint64_t)window * 1000000 / (GUARDCOUNT_PARTS - 1);
	c->names.keep = 1;
	return 1;
}

static uint32_t
sum_of(struct guardcount_name const *e)
{
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i < GUARDCOUNT_PARTS; i++)
		sum += e->part[i];
	return sum;
}

/* Up to that part; what has left the window is forgotten. */
static void
slide(struct guardcount_name *e, uint64_t part)
{
	if (part >= e->newest + GUARDCOUNT_PARTS) {
		memset(e->part, 0, sizeof e->part);
		e->newest = part;
	}
	while (e->newest < part)
		e->part[++e->newest % GUARDCOUNT_PARTS] = 0;
	if (!sum_of(e))
		e->level = 0;
}

struct idle {
	uint64_t part;
	uint32_t most;
};

static int
is_idle(struct tally_entry const *t, void *ctx)
{
	struct guardcount_name const *e = t->own;
	struct idle const *i = ctx;

	return !e || e->newest + GUARDCOUNT_PARTS <= i->part ||
	    sum_of(e) <= i->most;
}

static struct guardcount_name *
put(struct guardcount *c, char const *s, uint64_t part)
{
	size_t n = strlen(s);
	struct tally_entry *t = tally_get(&c->names, s, n);
	struct idle i = { part, 0 };
	struct guardcount_name *e;

	for (; !t && c->names.n == c->names.max; i.most = i.most * 2 + 1)
		tally_drop(&c->names, is_idle, &i);
	t = tally_put(&c->names, s, n);
	if (t && !t->own && (e = calloc(1, sizeof *e)) != 0) {
		e->newest = part;
		t->own = e;
	}
	return t ? t->own : 0;
}

struct guardcount_name *
guardcount_add(struct guardcount *c, char const *name, uint64_t us,
    uint32_t *sum)
{
	uint64_t part = us / c->unit;
	struct guardcount_name *e = put(c, name, part);

	if (!e || part + GUARDCOUNT_PARTS <= e->newest)
		return 0;
	slide(e, part);
	e->part[part % GUARDCOUNT_PARTS]++;
	*sum = sum_of(e);
	return e;
}

struct guardcount_name *
guardcount_get(struct guardcount *c, char const *name)
{
	struct tally_entry *t = tally_get(&c->names, name, strlen(name));

	return t ? t->own : 0;
}

int
guardcount_save(struct guardcount const *c, uint64_t now, stralloc *out)
{
	char fmt[64];
	size_t i, j;

	for (i = 0; i < c->names.n; i++) {
		struct guardcount_name const *e = c->names.entry[i].own;

		if (!e || e->newest + GUARDCOUNT_PARTS <= now / c->unit)
			continue;
		snprintf(fmt, sizeof fmt, " %llu %lu",
		    (unsigned long long)e->newest, (unsigned long)e->level);
		if (!stralloc_cats(out, "key ") ||
		    !stralloc_cats(out, c->names.entry[i].name) ||
		    !stralloc_cats(out, fmt))
			return -1;
		for (j = 0; j < GUARDCOUNT_PARTS; j++) {
			snprintf(fmt, sizeof fmt, " %lu", (unsigned long)
			    e->part[j]);
			if (!stralloc_cats(out, fmt))
				return -1;
		}
		if (!stralloc_cats(out, "\n"))
			return -1;
	}
	return 1;
}

int
guardcount_load(struct guardcount *c, char *s, uint64_t now)
{
	struct guardcount_name *e;
	uint64_t newest;
	uint32_t level, part[GUARDCOUNT_PARTS];
	char *name = s, *end;
	size_t i;

	s += strcspn(s, " ");
	if (!*s)
		return 0;
	*s++ = 0;
	newest = strtoull(s, &end, 10);
	level = (uint32_t)strtoul(end, &s, 10);
	for (i = 0; i < GUARDCOUNT_PARTS; i++, s = end) {
		part[i] = (uint32_t)strtoul(s, &end, 10);
		if (end == s)
			return 0;
	}
	/* the clock has been set back: what lies ahead would never end */
	if (newest > now / c->unit)
		return 1;
	e = put(c, name, newest);
	if (!e)
		return -1;
	e->newest = newest;
	e->level = level;
	memcpy(e->part, part, sizeof part);
	return 1;
}
