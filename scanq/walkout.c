#include "scanq/walkout.h"

#include <string.h>

void
walkout_start(struct walkout *o)
{
	size_t i;

	o->parts = 0;
	o->names = 0;
	o->name_bytes = 0;
	o->anomalies = 0;
	o->next = 0;
	memset(o->recent, 0, sizeof o->recent);
	memset(o->about, 0, sizeof o->about);
	for (i = 0; i < WALKOUT_PARTS; i++)
		o->about[i].part = UINT32_MAX;
}

static void
tell(struct walkout *o, struct walk_event const *e)
{
	o->take(o->ctx, e);
}

/* Has this part this anomaly already? */
static int
repeated(struct walkout *o, uint32_t part, int code)
{
	struct walkout_part *p = &o->about[part % WALKOUT_PARTS];
	uint64_t bit = (uint64_t)1 << (code & 63);

	if (p->part != part) {
		p->part = part;
		memset(p->seen, 0, sizeof p->seen);
	}
	if (p->seen[code >> 6] & bit)
		return 1;
	p->seen[code >> 6] |= bit;
	return 0;
}

void
walkout_anomaly(struct walkout *o, uint32_t part, int code, char const *s,
    size_t n)
{
	struct walk_event e = { .type = WALK_ANOMALY, .part = part };

	if (repeated(o, part, code))
		return;
	if (o->anomalies == WALK_ANOMALIES)
		code = WALK_TOO_MANY_ANOMALIES;
	if (o->anomalies > WALK_ANOMALIES)
		return;
	o->anomalies++;
	e.code = code;
	e.s = s;
	e.n = n < WALKOUT_DETAIL ? n : WALKOUT_DETAIL;
	tell(o, &e);
}

void
walkout_header(struct walkout *o, uint32_t part, char const *name, size_t n,
    char const *value, size_t vn)
{
	struct walk_event e = { .type = WALK_HEADER, .part = part };

	e.s = name;
	e.n = n;
	e.t = value;
	e.tn = vn;
	tell(o, &e);
}

uint32_t
walkout_number(struct walkout *o)
{
	if (o->parts == WALK_PARTS)
		walkout_anomaly(o, o->parts, WALK_TOO_MANY_PARTS, "", 0);
	return o->parts++;
}

void
walkout_part(struct walkout *o, struct walk_event *e)
{
	e->type = WALK_PART;
	tell(o, e);
}

void
walkout_leaf(struct walkout *o, uint32_t part, unsigned int alt, int encoding)
{
	struct walk_event e = { .type = WALK_LEAF, .part = part, .alt = alt };

	e.code = encoding;
	tell(o, &e);
}

void
walkout_data(struct walkout *o, uint32_t part, unsigned int alt,
    char const *s, size_t n)
{
	struct walk_event e = { .type = WALK_DATA, .part = part, .alt = alt };

	if (o->flags & WALK_NO_DATA)
		return;
	for (; n; s += e.n, n -= e.n) {
		e.s = s;
		e.n = n < WALK_PIECE ? n : WALK_PIECE;
		tell(o, &e);
	}
}

void
walkout_end(struct walkout *o, uint32_t part, unsigned int alt, int magic,
    uint64_t size)
{
	struct walk_event e = { .type = WALK_END, .part = part, .alt = alt };

	e.code = magic;
	e.size = size;
	tell(o, &e);
}

static uint64_t
hash(uint64_t h, char const *s, size_t n)
{
	while (n--)
		h = (h ^ (unsigned char)*s++) * 0x100000001b3u;
	return h;
}

int
walkout_more_files(struct walkout *o, uint32_t part, size_t n)
{
	o->name_bytes += n;
	if (o->names < WALK_NAMES && o->name_bytes < WALK_NAMES_BYTES)
		return 1;
	walkout_anomaly(o, part, WALK_TOO_MANY_NAMES, "", 0);
	return 0;
}

void
walkout_file(struct walkout *o, struct walk_event *e)
{
	uint64_t h = 0xcbf29ce484222325u;
	char code = (char)e->code;
	size_t i;

	e->type = WALK_FILE;
	h = hash(h, (char const *)&e->part, sizeof e->part);
	h = hash(h, &code, 1);
	h = hash(h, e->s, e->n);
	h = hash(h, (char const *)&e->size, sizeof e->size) | 1;
	for (i = 0; i < WALKOUT_RECENT; i++)
		if (o->recent[i] == h)
			return;
	o->recent[o->next++ % WALKOUT_RECENT] = h;
	o->names++;
	tell(o, e);
}

void
walkout_done(struct walkout *o, uint64_t size)
{
	struct walk_event e = { .type = WALK_DONE, .size = size };

	tell(o, &e);
}
