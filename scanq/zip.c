#include "scanq/zip.h"

#include <string.h>

#include "scanq/bytes.h"
#include "scanq/filename.h"

enum {
	LOCAL = 30,		/* bytes of a record's fixed part */
	CENTRAL = 46,
	END = 22,
	NAME = WALK_NAME,	/* of a longer name this is seen */
	EXTRA = 2048,		/* and of its extra fields */
	COMPARED = 256,		/* of a name, where directories differ */
	NEED = CENTRAL + NAME + EXTRA,
	FLAG_ENCRYPTED = 1,
	FLAG_MASKED = 1 << 13,	/* names are encrypted, too */
	AES = 99
};

struct entry {
	char const *name;
	size_t n;
	char const *extra;
	size_t xn;
	unsigned int flags;
	unsigned int method;
	uint64_t size;
	enum walk_source source;
};

void
zip_start(struct zip *z, struct walkout *out, uint32_t part)
{
	memset(z, 0, offsetof(struct zip, window));
	z->out = out;
	z->part = part;
	window_start(&z->window);
}

static void
count(struct zip_names *names, char const *s, size_t n)
{
	uint64_t h = 0xcbf29ce484222325u ^ n;

	n = n < COMPARED ? n : COMPARED;
	while (n--)
		h = (h ^ (unsigned char)*s++) * 0x100000001b3u;
	names->count++;
	names->sum += h;
}

/* The extension of what a Unicode name calls it counts, if it is another. */
static int
other_extension(struct entry const *e, char const *s, size_t n)
{
	size_t an, bn;
	char const *a = filename_extension(e->name, e->n, &an);
	char const *b = filename_extension(s, n, &bn);

	return an != bn || memcmp(a, b, an) != 0;
}

static void
extra_fields(struct zip *z, struct entry *e, struct filename *f)
{
	char const *s = e->extra;
	size_t n = e->xn, k;

	for (; n >= 4; s += 4 + k, n -= 4 + k) {
		k = (size_t)bytes_little(s + 2, 2);
		if (k > n - 4)
			return;
		if (bytes_little(s, 2) == 1 && k >= 8 &&
		    f->size == 0xffffffff)
			f->size = bytes_little(s + 4, 8);
		if (bytes_little(s, 2) != 0x7075 || k < 6)
			continue;
		if (other_extension(e, s + 9, k - 5))
			walkout_anomaly(z->out, z->part, WALK_ZIP_UNICODE,
			    s + 9, k - 5);
		f->raw = s + 9;
		f->rn = k - 5;
		filename_report(z->out, f, s + 9, k - 5);
	}
}

static void
report(struct zip *z, struct entry *e)
{
	struct filename f = { z->part, e->source, e->size, e->name, e->n };

	if (e->flags & FLAG_MASKED)
		walkout_anomaly(z->out, z->part, WALK_ENCRYPTED_NAMES,
		    e->name, e->n);
	if (e->flags & FLAG_ENCRYPTED || e->method == AES)
		walkout_anomaly(z->out, z->part, WALK_ENCRYPTED,
		    e->name, e->n);
	extra_fields(z, e, &f);
	f.raw = e->name;
	f.rn = e->n;
	filename_report(z->out, &f, e->name, e->n);
}

int
zip_is_plausible(unsigned int method, size_t n)
{
	return n && (method <= 21 || (method >= 92 && method <= 99));
}

/* How much of s[0..n) name and extra fields may be seen. */
static void
cut(struct entry *e, size_t room)
{
	if (e->n > NAME)
		e->n = NAME;
	if (e->n > room)
		e->n = room;
	e->extra = e->name + e->n;
	if (e->xn > EXTRA)
		e->xn = EXTRA;
	if (e->xn > room - e->n)
		e->xn = room - e->n;
}

static void
use_local(struct zip *z, char const *s, size_t n)
{
	struct entry e;

	e.flags = (unsigned int)bytes_little(s + 6, 2);
	e.method = (unsigned int)bytes_little(s + 8, 2);
	e.size = bytes_little(s + 22, 4);
	e.name = s + LOCAL;
	e.n = (size_t)bytes_little(s + 26, 2);
	e.xn = (size_t)bytes_little(s + 28, 2);
	e.source = WALK_IN_ZIP;
	if (!zip_is_plausible(e.method, e.n)) {
		if (!z->pos)
			walkout_anomaly(z->out, z->part, WALK_ZIP_BAD, "", 0);
		return;
	}
	if (e.flags & 8)	/* a data descriptor follows the data */
		e.size = WALK_UNKNOWN;
	cut(&e, n - LOCAL);
	count(&z->local, e.name, e.n);
	report(z, &e);
}

static void
use_central(struct zip *z, char const *s, size_t n)
{
	struct entry e;

	e.flags = (unsigned int)bytes_little(s + 8, 2);
	e.method = (unsigned int)bytes_little(s + 10, 2);
	e.size = bytes_little(s + 24, 4);
	e.name = s + CENTRAL;
	e.n = (size_t)bytes_little(s + 28, 2);
	e.xn = (size_t)bytes_little(s + 30, 2);
	e.source = WALK_IN_ZIP_DIRECTORY;
	if (!zip_is_plausible(e.method, e.n))
		return;
	cut(&e, n - CENTRAL);
	count(&z->central, e.name, e.n);
	report(z, &e);
}

/* at: where s stands in the file */
static void
use_end(struct zip *z, char const *s, uint64_t at)
{
	uint64_t size = bytes_little(s + 12, 4), off = bytes_little(s + 16, 4);

	z->before = z->ends ? z->end : 0;
	z->ends++;
	z->end = at + END + bytes_little(s + 20, 2);
	z->base = off != 0xffffffff && size + off <= at ? at - size - off : 0;
}

/* One signature at s.  1; 0: must see more. */
static int
use_record(struct zip *z, char const *s, size_t n, uint64_t at, int last)
{
	int kind = s[2];
	size_t fixed = kind == 3 ? LOCAL : kind == 1 ? CENTRAL : END;

	if (n < (kind == 5 ? END : NEED) && !last)
		return 0;
	if (n < fixed)
		return 1;
	if (kind == 3 && s[3] == 4)
		use_local(z, s, n);
	else if (kind == 1 && s[3] == 2)
		use_central(z, s, n);
	else if (kind == 5 && s[3] == 6)
		use_end(z, s, at);
	return 1;
}

static int
is_signature(char const *p)
{
	return p[1] == 'K' && ((p[2] == 3 && p[3] == 4) ||
	    (p[2] == 1 && p[3] == 2) || (p[2] == 5 && p[3] == 6));
}

static size_t
use(void *ctx, char const *s, size_t n, int last)
{
	struct zip *z = ctx;
	char const *p = s, *end = s + n;

	while ((p = memchr(p, 'P', (size_t)(end - p)))) {
		if (end - p < 4 && !last)
			break;
		if (end - p >= 4 && is_signature(p) && !use_record(z, p,
		    (size_t)(end - p), z->pos + (uint64_t)(p - s), last))
			break;
		p++;
	}
	n = p ? (size_t)(p - s) : n;
	z->pos += n;
	return n;
}

void
zip_feed(struct zip *z, char const *s, size_t n)
{
	window_feed(&z->window, s, n, use, z);
}

void
zip_end(struct zip *z)
{
	window_end(&z->window, use, z);
	if (!z->local.count && !z->central.count)
		return;
	if (!z->central.count)
		walkout_anomaly(z->out, z->part, WALK_ZIP_NO_DIRECTORY, "", 0);
	else if (z->local.count != z->central.count ||
	    z->local.sum != z->central.sum)
		walkout_anomaly(z->out, z->part, WALK_ZIP_DIFFERS, "", 0);
	if (z->ends > 1 && z->base && z->base == z->before)
		walkout_anomaly(z->out, z->part, WALK_ZIP_CONCATENATED, "", 0);
	else if (z->base)
		walkout_anomaly(z->out, z->part, WALK_ZIP_PREFIX, "", 0);
}
