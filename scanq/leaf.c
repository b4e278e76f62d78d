#include "scanq/leaf.h"

#include <string.h>

#include "scanq/filename.h"

static void
inner_end(void *ctx)
{
	struct leaf *l = ctx;

	if (l->inside)
		contents_end(&l->within);
	l->inside = 0;
}

static void
inner_begin(void *ctx, enum walk_encoding encoding)
{
	static char const type[] = "application/octet-stream";
	struct leaf *l = ctx;
	struct walk_event e = { .parent = l->part, .depth = l->depth + 1 };

	inner_end(l);
	if (l->out->parts >= WALK_PARTS_MOST)
		return;
	e.part = walkout_number(l->out);
	e.s = type;
	e.n = sizeof type - 1;
	walkout_part(l->out, &e);
	walkout_leaf(l->out, e.part, 0, encoding);
	contents_start(&l->within, l->out, e.part, 0, 0);
	l->inside = 1;
}

static void
inner_name(void *ctx, enum walk_source source, char const *s, size_t n)
{
	struct leaf *l = ctx;
	struct contents_label *label = &l->within.label;
	struct filename f = { l->part, source, WALK_UNKNOWN, s, n };

	if (l->inside) {
		f.part = l->within.part;
		label->n = n < CONTENTS_NAME ? n : CONTENTS_NAME;
		memcpy(label->name, s, label->n);
	}
	filename_report(l->out, &f, s, n);
}

static void
inner_data(void *ctx, char const *s, size_t n)
{
	struct leaf *l = ctx;

	if (l->inside)
		contents_feed(&l->within, s, n);
}

static void
inner_anomaly(void *ctx, enum walk_anomaly code, char const *s, size_t n)
{
	struct leaf *l = ctx;

	walkout_anomaly(l->out, l->part, (int)code, s, n);
}

/* A CR that does not stand before a LF (RFC 5322 2.3). */
static void
look_for_cr(struct leaf *l, char const *s, size_t n)
{
	char const *p = s, *end = s + n;

	if (l->cr && *s != '\n' && *s != '\r')
		l->bare = 1;
	l->cr = end[-1] == '\r';
	while (!l->bare && (p = memchr(p, '\r', (size_t)(end - p))) &&
	    ++p < end)
		l->bare = *p != '\n' && *p != '\r';
	if (l->bare)
		walkout_anomaly(l->out, l->part, WALK_BARE_CR, "", 0);
}

static void
decoded(void *ctx, char const *s, size_t n)
{
	struct leaf *l = ctx;

	contents_feed(&l->contents, s, n);
	tnef_feed(&l->tnef, s, n);
	if (l->text && !l->bare)
		look_for_cr(l, s, n);
	if (l->text && (l->tnef.state == TNEF_START ||
	    l->tnef.state == TNEF_OVER))
		uutext_feed(&l->uutext, s, n);
	if (l->also)
		l->also(l->ctx, s, n);
}

void
leaf_open(struct leaf *l, struct leaf_setup const *setup)
{
	struct inner inner = { l, inner_begin, inner_name, inner_data,
	    inner_end, inner_anomaly };

	memset(l, 0, offsetof(struct leaf, inner));
	l->out = setup->out;
	l->part = setup->part;
	l->depth = setup->depth;
	l->text = setup->text || setup->encoding == WALK_UUENCODE;
	l->inner = inner;
	l->also = 0;
	l->ctx = 0;
	walkout_leaf(l->out, l->part, setup->alt, (int)setup->encoding);
	decode_start(&l->decode, setup->encoding, decoded, l);
	contents_start(&l->contents, l->out, l->part, setup->alt,
	    setup->label);
	tnef_start(&l->tnef, &l->inner);
	uutext_start(&l->uutext, &l->inner,
	    setup->encoding == WALK_UUENCODE);
}

void
leaf_feed(struct leaf *l, char const *s, size_t n)
{
	if (n)
		decode_feed(&l->decode, s, n);
}

void
leaf_close(struct leaf *l)
{
	static struct {
		int bit;
		enum walk_anomaly code;
	} const wrong[] = {
		{ DECODE_ILLEGAL, WALK_BASE64_ILLEGAL },
		{ DECODE_PADDING, WALK_BASE64_PADDING },
		{ DECODE_URL, WALK_BASE64_URL },
		{ DECODE_QUOTED, WALK_QUOTED_BAD }
	};
	size_t i;

	decode_end(&l->decode);
	for (i = 0; i < sizeof wrong / sizeof *wrong; i++)
		if (l->decode.wrong & wrong[i].bit)
			walkout_anomaly(l->out, l->part, (int)wrong[i].code,
			    "", 0);
	tnef_end(&l->tnef);
	uutext_end(&l->uutext);
	inner_end(l);
	contents_end(&l->contents);
}
