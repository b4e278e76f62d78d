#include "tools/guardcount.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
guardcount_init(struct guardcount *c, unsigned int window)
{
	memset(c, 0, sizeof *c);
	/* the part that has just begun stands for almost nothing */
	c->unit = (uint64_t)window * 1000000 / (GUARDCOUNT_PARTS - 1);
	c->slots = 2 * GUARDCOUNT_NAMES;
	c->name = calloc(GUARDCOUNT_NAMES, sizeof *c->name);
	c->slot = calloc(c->slots, sizeof *c->slot);
	return c->name && c->slot ? 1 : -1;
}

static uint32_t
hash_of(char const *s, size_t n)
{
	uint32_t h = 2166136261u;

	while (n--)
		h = (h ^ (unsigned char)*s++) * 16777619u;
	return h;
}

static uint32_t *
find(struct guardcount const *c, char const *s, size_t n, uint32_t h)
{
	size_t i = h & (c->slots - 1);

	for (; c->slot[i]; i = (i + 1) & (c->slots - 1)) {
		struct guardcount_name const *e = c->name + c->slot[i] - 1;

		if (e->hash == h && e->n == n && !memcmp(e->name, s, n))
			break;
	}
	return c->slot + i;
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

static void
forget(struct guardcount *c, uint64_t part, uint32_t most)
{
	size_t i, kept = 0;

	for (i = 0; i < c->n; i++) {
		struct guardcount_name *e = c->name + i;

		if (e->newest + GUARDCOUNT_PARTS <= part || sum_of(e) <= most)
			free(e->name);
		else
			c->name[kept++] = *e;
	}
	c->n = kept;
	memset(c->slot, 0, c->slots * sizeof *c->slot);
	for (i = 0; i < c->n; i++) {
		struct guardcount_name *e = c->name + i;

		*find(c, e->name, e->n, e->hash) = (uint32_t)i + 1;
	}
}

static struct guardcount_name *
put(struct guardcount *c, char const *s, uint64_t part)
{
	size_t n = strlen(s);
	uint32_t h = hash_of(s, n), *at = find(c, s, n, h), least;
	struct guardcount_name *e;

	if (*at)
		return c->name + *at - 1;
	for (least = 0; c->n == GUARDCOUNT_NAMES; least = least * 2 + 1)
		forget(c, part, least);
	at = find(c, s, n, h);
	e = c->name + c->n;
	memset(e, 0, sizeof *e);
	e->name = strdup(s);
	if (!e->name)
		return 0;
	e->n = (uint32_t)n;
	e->hash = h;
	e->newest = part;
	*at = (uint32_t)++c->n;
	return e;
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
	size_t n = strlen(name);
	uint32_t at = *find(c, name, n, hash_of(name, n));

	return at ? c->name + at - 1 : 0;
}

int
guardcount_save(struct guardcount const *c, uint64_t now, stralloc *out)
{
	char fmt[64];
	size_t i, j;

	for (i = 0; i < c->n; i++) {
		struct guardcount_name const *e = c->name + i;

		if (e->newest + GUARDCOUNT_PARTS <= now / c->unit)
			continue;
		snprintf(fmt, sizeof fmt, " %llu %lu",
		    (unsigned long long)e->newest, (unsigned long)e->level);
		if (!stralloc_cats(out, "key ") ||
		    !stralloc_cats(out, e->name) || !stralloc_cats(out, fmt))
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
