#include "scanq/boundary.h"

#include <string.h>

void
boundary_start(struct boundaries *all)
{
	all->n = all->empty = 0;
	memset(all->first, 0, sizeof all->first);
}

int
boundary_push(struct boundaries *all, unsigned int level, char const *s,
    size_t n)
{
	struct boundary *b = &all->b[all->n];

	if (all->n == BOUNDARIES)
		return 0;
	b->level = level;
	b->n = n < BOUNDARY_LENGTH ? n : BOUNDARY_LENGTH;
	memcpy(b->s, s, b->n);
	if (b->n)
		all->first[(unsigned char)*s]++;
	else
		all->empty++;
	all->n++;
	return 1;
}

void
boundary_pop(struct boundaries *all, unsigned int level)
{
	struct boundary *b;

	while (all->n && all->b[all->n - 1].level >= level) {
		b = &all->b[--all->n];
		if (b->n)
			all->first[(unsigned char)b->s[0]]--;
		else
			all->empty--;
	}
}

int
boundary_known(struct boundaries const *all, char const *s, size_t n)
{
	unsigned int i;

	for (i = 0; i < all->n; i++)
		if (all->b[i].n == n && memcmp(all->b[i].s, s, n) == 0)
			return 1;
	return 0;
}

static int
is_blank(char const *s, size_t n)
{
	for (; n; s++, n--)
		if (*s != ' ' && *s != '\t' && *s != '\r' && *s)
			return 0;
	return 1;
}

int
boundary_may(struct boundaries const *all, char c)
{
	return all->empty || all->first[(unsigned char)c];
}

/* s: behind the two hyphens */
static int
compare(char const *b, size_t bn, char const *s, size_t n,
    struct boundary_match *out)
{
	if (bn > n || memcmp(b, s, bn) != 0)
		return 0;
	s += bn;
	n -= bn;
	out->close = 0;
	out->junk = !is_blank(s, n);
	if (out->junk && n >= 2 && s[0] == '-' && s[1] == '-') {
		out->close = 1;
		out->junk = !is_blank(s + 2, n - 2);
	}
	return bn || !out->junk;	/* an empty one would begin anything */
}

int
boundary_is(char const *b, size_t bn, char const *s, size_t n,
    struct boundary_match *out)
{
	return n >= 2 && s[0] == '-' && s[1] == '-' &&
	    compare(b, bn, s + 2, n - 2, out);
}

int
boundary_match(struct boundaries const *all, char const *s, size_t n,
    int (*over)(void *, unsigned int), void *ctx, struct boundary_match *out)
{
	struct boundary_match m;
	unsigned int i;
	int best = 0, rank;

	if (n < 2 || s[0] != '-' || s[1] != '-')
		return 0;
	s += 2;
	n -= 2;
	if (n ? !boundary_may(all, *s) : !all->empty)
		return 0;
	for (i = all->n; i-- && best < 3;) {
		struct boundary const *b = &all->b[i];

		if (b->n > n || (b->n && *b->s != *s) ||
		    !compare(b->s, b->n, s, n, &m))
			continue;
		rank = m.junk ? 1 : over(ctx, b->level) ? 2 : 3;
		if (rank <= best)
			continue;
		best = rank;
		*out = m;
		out->level = b->level;
	}
	return best > 0;
}
