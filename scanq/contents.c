#include "scanq/contents.h"

#include <string.h>

#include "scanq/filename.h"

enum { ISO_AT = 32769 };	/* ECMA-119 8.4.2: of "CD001" */

void
contents_start(struct contents *c, struct walkout *out, uint32_t part,
    unsigned int alt, struct contents_label const *label)
{
	c->out = out;
	c->part = part;
	c->alt = alt;
	c->size = 0;
	c->iso = 0;
	c->label.tn = c->label.n = 0;
	if (label) {
		memcpy(c->label.type, label->type, label->tn);
		c->label.tn = label->tn;
		memcpy(c->label.name, label->name, label->n);
		c->label.n = label->n;
	}
	zip_start(&c->zip, out, part);
	tar_start(&c->tar, out, part);
	rar_start(&c->rar, out, part);
}

static void
look_for_iso(struct contents *c, char const *s, size_t n)
{
	uint64_t at;
	unsigned int i;

	for (i = 0; i < 5; i++) {
		at = ISO_AT + i;
		if (at >= c->size && at < c->size + n)
			c->iso += s[at - c->size] == "CD001"[i];
	}
}

void
contents_feed(struct contents *c, char const *s, size_t n)
{
	size_t k;

	if (c->size < MAGIC_HEAD) {
		k = MAGIC_HEAD - (size_t)c->size;
		memcpy(c->head + c->size, s, n < k ? n : k);
	}
	if (c->size < ISO_AT + 5)
		look_for_iso(c, s, n);
	c->size += n;
	walkout_data(c->out, c->part, c->alt, s, n);
	zip_feed(&c->zip, s, n);
	tar_feed(&c->tar, s, n);
	rar_feed(&c->rar, s, n);
}

/* The original name in a gzip header (RFC 1952 2.3). */
static void
gzip_name(struct contents *c, size_t n)
{
	struct filename f = { c->part, WALK_IN_GZIP, WALK_UNKNOWN, 0, 0 };
	size_t at = 10;

	if (n < at || c->head[2] != 8 || !(c->head[3] & 8))
		return;
	if (c->head[3] & 4 && n >= 12)
		at += 2 + (unsigned char)c->head[10] +
		    256u * (unsigned char)c->head[11];
	if (at >= n)
		return;
	f.raw = c->head + at;
	f.rn = strnlen(f.raw, n - at);
	filename_report(c->out, &f, f.raw, f.rn);
}

void
contents_end(struct contents *c)
{
	size_t n = c->size < MAGIC_HEAD ? (size_t)c->size : MAGIC_HEAD;
	enum walk_magic magic = magic_find(c->head, n);

	if (magic == WALK_NO_MAGIC && c->iso == 5)
		magic = WALK_ISO;
	if (magic == WALK_GZIP)
		gzip_name(c, n);
	zip_end(&c->zip);
	tar_end(&c->tar);
	rar_end(&c->rar);
	if (!magic_fits(magic, c->label.name, c->label.n, c->label.type,
	    c->label.tn))
		walkout_anomaly(c->out, c->part, WALK_MISMATCH,
		    c->label.name, c->label.n);
	walkout_end(c->out, c->part, c->alt, magic, c->size);
}
