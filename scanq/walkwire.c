#include "scanq/walkwire.h"

#include <string.h>

static void
put(unsigned char *p, uint64_t v, int n)
{
	for (; n--; v >>= 8)
		*p++ = v & 255;
}

static uint64_t
get(unsigned char const *p, int n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | p[n];
	return v;
}

void
walkwire_put(unsigned char out[WALKWIRE_HEADER], struct walk_event const *e)
{
	put(out, (uint64_t)e->type, 1);
	put(out + 1, (uint64_t)e->code, 1);
	put(out + 2, e->alt, 2);
	put(out + 4, e->depth, 4);
	put(out + 8, e->part, 4);
	put(out + 12, e->parent, 4);
	put(out + 16, e->n, 4);
	put(out + 20, e->tn, 4);
	put(out + 24, e->size, 8);
}

static int
code_most(int type)
{
	switch (type) {
	case WALK_FILE: return WALK_SOURCES - 1;
	case WALK_LEAF: return WALK_UUENCODE;
	case WALK_END: return WALK_MAGICS - 1;
	case WALK_ANOMALY: return WALK_ANOMALY_COUNT - 1;
	default: return 0;
	}
}

long
walkwire_get(char const *s, size_t n, struct walk_event *e)
{
	unsigned char const *p = (unsigned char const *)s;
	size_t sn, tn;

	if (n < WALKWIRE_HEADER)
		return 0;
	sn = get(p + 16, 4);
	tn = get(p + 20, 4);
	if (!p[0] || p[0] > WALK_DONE || p[1] > code_most(p[0]) ||
	    sn > WALK_VALUE || tn > WALK_VALUE)
		return -1;
	if (n - WALKWIRE_HEADER < sn + tn)
		return 0;
	memset(e, 0, sizeof *e);
	e->type = p[0];
	e->code = p[1];
	e->alt = (unsigned int)get(p + 2, 2);
	e->depth = (unsigned int)get(p + 4, 4);
	e->part = (uint32_t)get(p + 8, 4);
	e->parent = (uint32_t)get(p + 12, 4);
	e->size = get(p + 24, 8);
	e->s = s + WALKWIRE_HEADER;
	e->n = sn;
	e->t = e->s + sn;
	e->tn = tn;
	return (long)(WALKWIRE_HEADER + sn + tn);
}
